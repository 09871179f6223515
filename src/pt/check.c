// SPDX-License-Identifier: MIT
/*
 * Does the tree agree with itself? Walks shadows and entries together, for tests and debug builds.
 *
 * Beside counts and links it looks for two things that a walk of single addresses would not notice:
 * a directory that nobody needs (a leak), and a group of 16 entries of which only some say that
 * they are a 64 KiB page (a translation cached from one would serve the others too).
 *
 * Locking: takes pt.lock.
 */
#include "pt/pt_priv.h"

static void check_group(const struct gpu_pt_format *fmt, const struct pt_table *table,
			unsigned first)
{
	struct gpu_pte head = gpu_pte_decode(fmt, 0, false, pt_entry(table, first));
	bool any = false;

	for (unsigned i = first; i < first + HINT_ENTRIES; i++) {
		any |= gpu_pte_decode(fmt, 0, false, pt_entry(table, i)).ps64;
	}
	if (!any) {
		return;
	}
	ASSERT(head.kind == GPU_PTE_LEAF && head.ps64 && is_aligned(head.phys, SZ_64K));
	for (unsigned i = 1; i < HINT_ENTRIES; i++) {
		ASSERT(pt_entry(table, first + i) == pt_entry(table, first) + i * SZ_4K);
	}
}

static void check_leaf_table(const struct gpu_pt_format *fmt, const struct pt_table *table)
{
	unsigned live = 0, n = pt_entries(fmt, table);

	for (unsigned i = 0; i < n; i++) {
		uint64_t entry = pt_entry(table, i);
		struct gpu_pte pte = gpu_pte_decode(fmt, 0, table->compact, entry);

		ASSERT((entry == 0) == (pte.kind == GPU_PTE_NONE));
		ASSERT(!pte.attrs.null || (entry & fmt->address_mask) == 0);
		live += entry != 0;
	}
	if (!table->compact) {
		for (unsigned i = 0; i < n; i += HINT_ENTRIES) {
			check_group(fmt, table, i);
		}
	}
	ASSERT(live == table->live && live > 0);
	ASSERT(table->pins == 0 && !table->child);
}

static uint64_t check_table(const struct pt *pt, const struct pt_table *table,
			    uint64_t *evicted_io);

/* Returns the number of tables below the entry. */
static uint64_t check_entry(const struct pt *pt, const struct pt_table *dir, unsigned slot,
			    uint64_t *evicted_io)
{
	const struct pt_table *child = dir->child[slot];
	uint64_t entry = pt_entry(dir, slot);
	struct gpu_pte pte = gpu_pte_decode(pt->fmt, dir->level, false, entry);
	bool evicted = child && pt_is_evicted(child);

	ASSERT((pte.kind == GPU_PTE_TABLE) == (child && !evicted));
	ASSERT((pte.kind == GPU_PTE_NONE) == (evicted || entry == 0));
	ASSERT(!evicted || entry == gpu_pte_evicted(pt->fmt));
	if (pte.kind == GPU_PTE_LEAF) {
		ASSERT(pt->fmt->level[dir->level].leaf && dir->level <= 2);
		/* With an aligned address and nothing that has no meaning. */
		ASSERT(entry ==
		       gpu_pte_leaf(pt->fmt, dir->level, false, pte.phys, false, &pte.attrs));
	}
	if (!child) {
		return 0;
	}
	ASSERT(child->parent == dir && child->slot == slot && child->level == dir->level - 1);
	ASSERT(child->child || list_empty(&child->node));
	if (evicted) {
		++*evicted_io;
	} else {
		ASSERT(pte.phys == child->page.phys && pte.attrs.device == child->page.device);
		ASSERT(pte.compact == child->compact);
	}
	return check_table(pt, child, evicted_io);
}

/* As deep as there are levels. */
static uint64_t check_table(const struct pt *pt, const struct pt_table *table,
			    uint64_t *evicted_io)
{
	uint64_t tables = 1;
	unsigned live = 0;

	if (table->level == 0) {
		check_leaf_table(pt->fmt, table);
		return tables;
	}
	ASSERT(table->child && !table->compact);
	for (unsigned i = 0; i < pt_entries(pt->fmt, table); i++) {
		live += pt_entry(table, i) != 0;
		tables += check_entry(pt, table, i, evicted_io);
	}
	ASSERT(live == table->live);
	ASSERT(table->level <= 2 || table->pins == 0);
	/* Else a release must still come that looks at it. */
	ASSERT(table == pt->root || live > 0 || table->pins > 0 || !list_empty(&table->node));
	return tables;
}

/* Is what pt_find() remembers still there? */
static void check_last(const struct pt *pt)
{
	const struct pt_table *table = pt->root;

	while (table && table->level > 1) {
		table = table->child[pt_slot(pt->fmt, table->level, pt->last_start)];
	}
	ASSERT(!pt->last || pt->last == table);
}

void pt_check(struct pt *pt)
{
	uint64_t linked, evicted = 0;

	port_mutex_lock(&pt->lock);
	ASSERT(pt->root && !pt->root->parent && pt->root->level == pt->fmt->levels - 1);
	ASSERT(!pt_is_evicted(pt->root));
	linked = check_table(pt, pt->root, &evicted);
	check_last(pt);
	ASSERT(linked <= atomic_load(&pt->tables) && evicted <= atomic_load(&pt->evicted));
	port_mutex_unlock(&pt->lock);
}
