/* SPDX-License-Identifier: MIT */
/*
 * A GPU on a table: one engine, one VM, RIG_MEM_B bytes of device memory, page tables written by
 * hand. Entries are spelled out in raw bits on purpose: the tests do not trust the encoder.
 */
#ifndef TESTS_GPU_RIG_H
#define TESTS_GPU_RIG_H

#include "base/bits.h"
#include "gpu/gpu.h"
#include "test.h"

#define RIG_PHYS ((uint64_t)1 << 30) /* where device memory begins: so that a 1 GiB page fits */
#define RIG_MEM_B ((uint64_t)16 << 20)
#define RIG_PAGES (RIG_MEM_B / 4096)

/* What rig_init() maps, writable, 4 KiB entries; the memory behind is at RIG_PHYS + same offset. */
#define RIG_BATCH ((uint64_t)0x100000)
#define RIG_BATCH_B ((uint64_t)0x4000)
#define RIG_DATA ((uint64_t)0x200000)
#define RIG_DATA_B ((uint64_t)0x10000)

/* Raw bits of entries. */
#define E_PRESENT ((uint64_t)1)
#define E_WRITE ((uint64_t)2)
#define E_COMPACT ((uint64_t)1 << 6)
#define E_HUGE ((uint64_t)1 << 7)
#define E_PS64 ((uint64_t)1 << 8)
#define E_NULL ((uint64_t)1 << 9)
#define E_ATOMIC ((uint64_t)1 << 10)
#define E_DEVICE ((uint64_t)1 << 11)
#define E_RW (E_PRESENT | E_WRITE | E_DEVICE)

struct rig {
	struct gpu_engine engine;
	struct gpu_vm vm;
	struct gpu_context ctx;
	uint8_t *mem;
	atomic_uint gen[RIG_PAGES];
	uint64_t next_table; /* offset of the next free table, from the end downwards */
	uint64_t stretch_B;  /* what page() grants at once */
	atomic_uint lookups; /* calls of page() */
	bool relax;          /* page() is a scheduling point */
	uint8_t *client;     /* guarded system memory, at phys 0 */
	uint64_t client_B;
	uint32_t emitted;    /* dwords in the batch so far */
	unsigned polls;      /* of the last rig_run() */
};

void rig_init(struct rig *rig);
void rig_fini(struct rig *rig);

/* Host memory behind a physical address. */
void *rig_at(struct rig *rig, uint64_t phys);
/* Writes @entry for @va at @level, making tables above it. @compact: into a compact table. */
void rig_map(struct rig *rig, uint64_t va, unsigned level, bool compact, uint64_t entry);
/* The entry for @va at @level, which must be there. */
uint64_t rig_entry(struct rig *rig, uint64_t va, unsigned level);
void rig_invalidate(struct rig *rig, uint64_t start, uint64_t end);

/* Dwords and qwords of the data and batch areas, through the host. */
uint32_t *rig_data32(struct rig *rig, uint64_t off);
uint64_t *rig_data64(struct rig *rig, uint64_t off);

int rig_read(struct rig *rig, uint64_t va, void *dst, size_t n, struct gpu_fault *fault_out);
int rig_write(struct rig *rig, uint64_t va, const void *src, size_t n, struct gpu_fault *fault_out);
/* The dword at @va; the test fails on a fault. */
uint32_t rig_read32(struct rig *rig, uint64_t va);
/* The access must fault like this. */
void rig_expect_fault(struct rig *rig, uint64_t va, enum gpu_access access,
		      enum gpu_fault_type type);

/* Batch building: appends dwords at RIG_BATCH. */
void emit(struct rig *rig, uint32_t dw);
void emit_addr(struct rig *rig, uint64_t addr);
void emit_store(struct rig *rig, uint64_t addr, uint32_t value);
void emit_end(struct rig *rig);
/* Address of the next dword to be emitted. */
uint64_t emit_here(const struct rig *rig);
/* Goes on at another offset of the batch area. */
void emit_at(struct rig *rig, uint64_t addr);

/* Runs from RIG_BATCH with a large budget until done or faulted, at most @max_polls polls. */
enum gpu_run rig_run(struct rig *rig, unsigned max_polls);
/* Emits the end, runs, and expects the batch to be done. */
void rig_finish(struct rig *rig);

#endif
