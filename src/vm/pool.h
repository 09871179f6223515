/* SPDX-License-Identifier: MIT */
/*
 * Where the records of a VM's mappings come from. Private to src/vm/ and its tests.
 *
 * Memory is had in slabs of 15 records. Slabs whose records are all free are given back when half
 * of the records that were in use are not any more, the rest with the VM.
 *
 * Locking: vm.lock (write); giving needs no lock, but a reference to the VM.
 */
#ifndef VM_POOL_H
#define VM_POOL_H

#include "port/port.h"

#define VMA_RECORD_B 128u
#define VMA_SLAB_RECORDS 15u

/* A record that is not in use. */
struct vma_free {
	struct vma_free *next;
	uint8_t slot; /* in its slab; whoever has the record keeps it meanwhile */
};

/* A free record in the wrong hands is seen by the sanitizer, as freed memory would be. */
#if defined(__SANITIZE_ADDRESS__)
void __asan_poison_memory_region(const volatile void *ptr, size_t size_B);
void __asan_unpoison_memory_region(const volatile void *ptr, size_t size_B);
#define VMA_POISON(record)                                                                         \
	__asan_poison_memory_region((record) + 1, VMA_RECORD_B - sizeof(*(record)))
#define VMA_UNPOISON(record) __asan_unpoison_memory_region((record), VMA_RECORD_B)
#else
#define VMA_POISON(record) ((void)(record))
#define VMA_UNPOISON(record) ((void)(record))
#endif

struct vma_slab;

struct vma_pool {
	/* by vm.lock (write) */
	struct vma_free *free;
	struct vma_slab *slabs;     /* all of them */
	uint64_t slab_count;
	uint64_t used;              /* records that are not known to have come back */
	uint64_t trim_at;           /* when so few are used, slabs are looked at */

	/* by anybody */
	_Atomic uintptr_t returned; /* a list of what came back; in its low bits how many, ... */
	_Atomic uint64_t batches;   /* ... and how often these bits have overflowed */
};

void vma_pool_init(struct vma_pool *pool);
/* All records are back; frees all slabs, and is as initialized. */
void vma_pool_fini(struct vma_pool *pool);

/* Refills the list, which is empty. 0, or -ENOMEM: fails as an allocation does. */
int vma_pool_fill(struct vma_pool *pool);
/* A record of VMA_RECORD_B on a cache line, with anything in it but its slot; NULL: no memory. */
static inline struct vma_free *vma_pool_take(struct vma_pool *pool)
{
	struct vma_free *record;

	/* Each record is an allocation to whoever makes one fail. */
	if (__builtin_expect(pool->free != NULL, 1) ? port_fault_hit(PORT_FAULT_ALLOC)
						    : vma_pool_fill(pool) != 0) {
		return NULL;
	}
	record = pool->free;
	pool->free = record->next;
	pool->used++;
	VMA_UNPOISON(record);
	return record;
}

/* @record->slot is what it was. */
void vma_pool_give(struct vma_pool *pool, struct vma_free *record);

/* See vma_pool_trim(). */
void vma_pool_trim_batches(struct vma_pool *pool);
/* Gives slabs back if it is time to; called every now and then. */
static inline void vma_pool_trim(struct vma_pool *pool)
{
	if (atomic_load_explicit(&pool->batches, memory_order_relaxed)) {
		vma_pool_trim_batches(pool);
	}
}

#endif
