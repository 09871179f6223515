/* SPDX-License-Identifier: MIT */
/*
 * What the tests of page tables share: a tree with nothing around it, memory that only exists as
 * addresses, and a model that is an array of pages.
 */
#ifndef TESTS_UNIT_TEST_PT_RIG_H
#define TESTS_UNIT_TEST_PT_RIG_H

#include "mem/mem.h"
#include "pt/pt.h"
#include "test.h"

/*
 * Memory of the given smoothness, 16 MiB each but the last. Nothing is behind it: only tables are
 * looked at.
 */
enum rig_memory {
	RIG_HUGE,    /* aligned to 2 MiB, one piece */
	RIG_64K,     /* 64 KiB pages, no two of them together */
	RIG_4K,      /* 4 KiB pages, no two of them together */
	RIG_CROOKED, /* one piece that begins 4 KiB after a 2 MiB boundary */
	RIG_MIXED,   /* 2 MiB, then 64 KiB, then 4 KiB pieces, over and over; device memory */
	RIG_PIECES,  /* like RIG_HUGE, told as extents of 1 MiB that are neighbours */
	RIG_MEMORIES,
	RIG_GIANT,        /* RIG_GIANT_B, aligned to 1 GiB */
	RIG_GIANT_PIECES, /* likewise, told as extents of 256 MiB that are neighbours */
	RIG_ALL,
};
#define RIG_GIANT_B ((uint64_t)4 << 30)
#define RIG_MEMORY_B ((uint64_t)16 << 20)

struct rig {
	struct event_stream events;
	struct mem mem;
	struct pt pt;
	struct gpu_vm hw;
	struct extent *extents[RIG_ALL];
	struct backing backing[RIG_ALL];
	/* Optional: called in each job once it is reserved, and once it ran. */
	void (*in_between)(struct rig *rig);
};

void rig_init(struct rig *rig);
/* Asserts that the tree is empty. */
void rig_fini(struct rig *rig);

/* One job: reserve, write or clear, release. 0 or what the reservation said. */
int rig_map(struct rig *rig, uint64_t start, uint64_t end, enum rig_memory memory,
	    uint64_t offset_B, const struct gpu_pte_attrs *attrs);
int rig_map_null(struct rig *rig, uint64_t start, uint64_t end);
int rig_clear(struct rig *rig, uint64_t start, uint64_t end);
/* The end of a job: nothing walks here, so no epoch has to end. */
void rig_release(struct rig *rig, struct pt_pool *pool);

/* The physical address of a byte of the memory. */
uint64_t rig_phys(const struct rig *rig, enum rig_memory memory, uint64_t offset_B);

/* What the hardware finds at @addr; .phys is that of @addr itself. False: nothing. */
bool rig_walk(struct rig *rig, uint64_t addr, struct gpu_pte *pte_out);
/* The entry of the table at @level that the walk to @addr passes. */
uint64_t rig_entry(struct rig *rig, unsigned level, uint64_t addr);
/* Tables now linked or in pools. */
uint64_t rig_tables(struct rig *rig);

/* Nothing walks here: the frames are given back at once. Returns how many tables were evicted. */
uint64_t rig_evict(struct rig *rig, uint64_t max);
void rig_restore(struct rig *rig);
/* Is one of the tables on the way to @addr evicted? */
bool rig_is_evicted(const struct rig *rig, uint64_t addr);
/*
 * Like rig_walk(). But where a table on the way is evicted it checks that the hardware finds
 * nothing, and tells what the entries say.
 */
bool rig_translate(struct rig *rig, uint64_t addr, struct gpu_pte *pte_out);

/* ---- an address space as an array of pages -------------------------------------------------- */

#define MODEL_PAGES 8192u

struct model_page {
	bool present;
	uint64_t phys;
	struct gpu_pte_attrs attrs;
};

struct model {
	uint64_t base; /* address of page[0] */
	struct model_page page[MODEL_PAGES];
};

void model_map(struct model *model, const struct rig *rig, uint64_t start, uint64_t end,
	       enum rig_memory memory, uint64_t offset_B, const struct gpu_pte_attrs *attrs);
void model_map_null(struct model *model, uint64_t start, uint64_t end);
void model_clear(struct model *model, uint64_t start, uint64_t end);
/*
 * Compares every page of [start, end) by rig_translate(); what lies outside of the model must not
 * be mapped.
 */
void model_compare(const struct model *model, struct rig *rig, uint64_t start, uint64_t end);
/* The runs that pt_run_next() tells are the model's, each as long as it can be; nothing else is. */
void model_compare_runs(const struct model *model, struct rig *rig);

#endif
