/* SPDX-License-Identifier: MIT */
/* What the files of pt/ share with one another. */
#ifndef PT_PT_PRIV_H
#define PT_PT_PRIV_H

#include "pt/pt.h"

#define HINT_ENTRIES 16u /* of 4 KiB: one 64 KiB page */

/* ---- tables (pt.c) -------------------------------------------------------------------------- */

/* A frame for a table, with host memory behind it. 0 or -ENOMEM. No lock held. */
int pt_frame_alloc(struct pt *pt, struct frame_page *page_out);
/* A frame, or what an evicted table has instead. */
void pt_page_free(struct pt *pt, struct frame_page *page);
/* A zeroed table that is linked nowhere. NULL without memory. No lock held. */
struct pt_table *pt_table_create(struct pt *pt, bool directory);
/* Not linked. NULL is fine. */
void pt_table_destroy(struct pt *pt, struct pt_table *table);
/*
 * The directory that decides about @addr: of level 1, or one above it where the way ends because
 * the entry is empty or a leaf. *@next_out is the first address about which it is not asked: the
 * end of a level-1 directory, else of the entry. pt.lock held.
 */
struct pt_table *pt_find(struct pt *pt, uint64_t addr, uint64_t *next_out);
/*
 * Links a directory into the tree above it, in the place of nothing or, already filled, of a leaf.
 * pt.lock held.
 */
void pt_dir_link(struct pt *pt, struct pt_table *parent, unsigned slot, struct pt_table *table);
/* A clear has made the last entry of a directory go: pt_release() will look. pt.lock held. */
void pt_dir_emptied(struct pt *pt, struct pt_pool *pool, struct pt_table *dir);
/* Puts @entry (0 or a leaf) in the place of a directory, which goes to pool.dirs. pt.lock held. */
void pt_dir_unlink(struct pt *pt, struct pt_pool *pool, struct pt_table *dir, uint64_t entry);

static inline bool pt_is_evicted(const struct pt_table *table)
{
	return !table->page.slab;
}

static inline uint64_t pt_entry(const struct pt_table *table, unsigned i)
{
	return __atomic_load_n(&table->page.host[i], __ATOMIC_RELAXED);
}

static inline unsigned pt_entries(const struct gpu_pt_format *fmt, const struct pt_table *table)
{
	return 1u << (table->compact ? fmt->compact_bits : fmt->level[table->level].bits);
}

/* Which entry of a table at @level (not a compact one) is for @addr. */
static inline unsigned pt_slot(const struct gpu_pt_format *fmt, unsigned level, uint64_t addr)
{
	return (unsigned)((addr >> fmt->level[level].shift) & ((1u << fmt->level[level].bits) - 1));
}

/* The end of the GiB of @addr, or @end if that is before. */
static inline uint64_t pt_gib_end(uint64_t addr, uint64_t end)
{
	return min_u64(align_down(addr, SZ_1G) + SZ_1G, end);
}

/* The end of the 2 MiB slot of @addr, or @end if that is before. */
static inline uint64_t pt_slot_end(uint64_t addr, uint64_t end)
{
	return min_u64(align_down(addr, SZ_2M) + SZ_2M, end);
}

/* ---- where in the backing a write is (plan.c) ----------------------------------------------- */

struct pt_cursor {
	const struct backing *backing; /* NULL: a NULL mapping, everywhere contiguous */
	unsigned i;
	uint64_t off_B;                /* in extents[i]; less than its size */
};

/* How what is written in one go will look. */
enum pt_shape {
	PT_SHAPE_PART, /* of a slot; only a compact table needs to know more: pt_is_64k() */
	PT_SHAPE_4K,   /* from here on whole slots */
	PT_SHAPE_64K,  /* in 64 KiB pages: a compact table */
	PT_SHAPE_2M,
	PT_SHAPE_1G,
};

void pt_cursor_init(struct pt_cursor *cur, const struct backing *backing, uint64_t offset_B);
/*
 * How many bytes are contiguous from here, and where; 0 and all there are for NULL mappings. Does
 * not look further than @enough_B.
 */
uint64_t pt_cursor_run(const struct pt_cursor *cur, uint64_t enough_B, uint64_t *phys_out);
void pt_cursor_advance(struct pt_cursor *cur, uint64_t size_B);
/* The end of the piece of [start, end) that is written next, with the cursor at @start. */
uint64_t pt_piece(const struct pt *pt, const struct pt_cursor *cur, uint64_t start, uint64_t end,
		  enum pt_shape *shape_out);
/* Is the part of a slot made of 64 KiB pages? It begins where the cursor is. */
bool pt_is_64k(struct pt_cursor cur, uint64_t start, uint64_t end);

#endif
