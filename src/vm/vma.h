/* SPDX-License-Identifier: MIT */
/*
 * Mappings and the index over them. Private to src/vm/.
 *
 * A mapping is one record for a range of addresses. Unmapping a part of it trims the record or
 * splits it in two; when memory for a record cannot be had, the part is marked in the *hole map*
 * that MAP set aside (P2), one bit per granule. Who looks at mappings uses vma_run_next(), which
 * shows the live parts only, so that the two representations cannot be told apart.
 */
#ifndef VM_VMA_H
#define VM_VMA_H

#include "vm/vm.h"

/* Client memory bound at one place; shared by the pieces of a split mapping. */
struct vm_userptr {
	struct ref ref;
	struct userptr window;
	struct vm *vm;            /* a reference: an invalidation may outlive its mappings */
	uint64_t va;              /* where window's first byte was mapped */
	bool readonly;
	struct list invalid_node; /* vm.invalidated; by vm.notifier */
};

/* What may still lead to the pages of a record (P3, R10); they are let go when nothing does. */
enum vma_pages {
	VMA_UNMAPPED, /* no entry was ever written */
	VMA_MAPPED,
	VMA_CLEARED,  /* the entries are gone or another record's; translations may be left */
	VMA_TLB_DONE, /* or memory is not given back before they are gone (VM_TLB_AT_SUBMIT) */
};

/* Two cache lines. */
struct vma {
	uint64_t start, end;      /* by vm.lock; moved by vma_index_trim() */
	struct bo *bo;            /* a reference; NULL for the other kinds */
	struct vm_userptr *userptr; /* a reference; NULL for the other kinds */
	uint64_t offset;          /* of @start in the object or the window */
	struct ufence *ufence;    /* of the bind that made it; a reference; may be NULL */
	uint8_t slot;             /* struct vma_free.slot, kept for the pool */
	union {
		struct {
			bool null : 1, readonly : 1, dumpable : 1;
		};
		uint8_t flags;    /* all three; constant */
	};
	uint8_t pages;            /* enum vma_pages; by vm.lock, once taken out by its job */
	uint8_t hole_shift;       /* log2 of the bytes a bit stands for */
	uint16_t pat;
	struct {                  /* by vm.lock */
		bool indexed : 1;
		bool holey : 1;   /* a bit may be set */
		bool hole_owned : 1; /* over 64 bits: .hole_map, not .hole_inline; constant */
	};
	struct {                  /* by bo.resv; without an object by vm.lock */
		bool live : 1;    /* mapped; else, while on .bo_node, about to be let go */
		bool evicted : 1; /* its entries are missing or out of date; if live it is on
				   * vm.evicted */
	};
	uint64_t hole_base;       /* address of bit 0; granule aligned */
	union {
		uint64_t hole_inline;
		uint64_t *hole_map;
	};

	struct list bo_node;      /* bo.mappings, to the record's end; by bo.resv */
	struct list insert_node;  /* vma_change.inserted */
	struct list remove_node;  /* live: vm.evicted; else vma_change.removed, later
				   * bind_job.removed */
	struct vm *vm;            /* not a reference */
};

_Static_assert(sizeof(struct vma) == VMA_RECORD_B, "a record of the pool");

/* A live part of a mapping. */
struct vma_run {
	struct vma *vma;
	uint64_t start, end;
};

/*
 * A record with an empty hole map, in no list; @null: of a NULL mapping. NULL without memory.
 * Very large NULL mappings have holes of 2 MiB only; ragged edges own no memory there.
 */
struct vma *vma_create(struct vm *vm, uint64_t start, uint64_t end, bool null);
/* A copy for the part [start, end) of @src, holes included. NULL without memory. */
struct vma *vma_clone(const struct vma *src, uint64_t start, uint64_t end);
/* Drops what it references. Not in the index, not live. */
void vma_destroy_at(struct vma *vma, const char *where);
#define vma_destroy(vma) vma_destroy_at(vma, PORT_HERE)

/* Its pages go on to @to, here. */
static inline void vma_set_pages_at(struct vma *vma, enum vma_pages to, const char *where)
{
	vma->pages = (uint8_t)to;
	port_note_at(vma, where);
}

#define vma_set_pages(vma, to) vma_set_pages_at(vma, to, PORT_HERE)

/* A live mapping of @bo in @vm, or NULL; only this VM's binds change which are. */
struct vma *vma_of_bo(const struct vm *vm, struct bo *bo);
/* The same, bo.resv held. */
struct vma *vma_of_bo_locked(const struct vm *vm, struct bo *bo);
/* Around what needs the reservation of the mapping's object, if it has one. */
void vma_lock_bo(struct vma *vma);
void vma_unlock_bo(struct vma *vma);
/*
 * The mapping is live from here on: on its object's list, for vm.vram_B, and on vm.evicted if its
 * entries are not what they should be. That is so when they are those of @like (NULL: nobody
 * else's) and @like's are not; or when its object is not, or not usable yet, at @place (NULL: it
 * is where it was), for which its entries are being written. vm.lock held for writing.
 */
void vma_enliven(struct vma *vma, const struct vma *like, const struct place *place);
/*
 * The opposite. Its object still finds it, until it is destroyed, as its pages can be reached so
 * long.
 */
void vma_retire(struct vma *vma);
/* The same; the reservation of its object, if it has one, is held. */
void vma_retire_locked(struct vma *vma);
/*
 * Its entries are missing or out of date; the VM does not run until vm_rebind_begin() has written
 * them. The reservation of its object is held, or, without one, vm.lock for writing.
 */
void vma_mark_evicted(struct vma *vma);
/* They are what they should be. Locks as above. */
void vma_unmark_evicted(struct vma *vma);

/* The first live run of @vma from @addr on, which is below its end. False: none. vm.lock held. */
bool vma_run_of(struct vma *vma, uint64_t addr, struct vma_run *run_out);
/* The first live run that ends above @addr, clipped to start there. False: none. */
bool vma_run_next(struct vm *vm, uint64_t addr, struct vma_run *run_out);
/* Marks [start, end) of @vma as unmapped. Cannot fail. */
void vma_punch(struct vma *vma, uint64_t start, uint64_t end);
/* Is any of it still mapped? */
bool vma_has_runs(const struct vma *vma);

struct vm_userptr *vm_userptr_get(struct vm_userptr *userptr);
void vm_userptr_put(struct vm_userptr *userptr);
int vm_userptr_create(struct vm *vm, uint64_t va, uint64_t addr, uint64_t size_B, bool readonly,
		      struct vm_userptr **userptr_out);

#endif
