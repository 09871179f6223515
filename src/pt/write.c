// SPDX-License-Identifier: MIT
/*
 * Changing entries. Nothing here can fail or allocate: tables come from the pool. A clear that has
 * none takes the whole entry instead of a part, if it may, and tells which range went with it.
 *
 * Work goes slot by slot (2 MiB, one entry of a level-1 directory). A slot is empty, a leaf, a
 * compact table (32 entries of 64 KiB) or a table of 512 entries of 4 KiB. Whatever has to be cut
 * is opened first: open_slot() gives a table of 4 KiB entries with the same translations, either
 * the one that is linked or one from the pool that nobody can see yet; the change is made in it;
 * then close_slot() links it with one store, or takes it out if nothing is left in it. A table that
 * is replaced stays intact for walks that are inside it until pt_release().
 *
 * Leaves of 1 GiB are written and cleared whole here; they are cut by reservations (plan.c).
 *
 * Hints: 16 neighbours that say they are one 64 KiB page are cached as one by the hardware. Before
 * some of them change, the hint is taken off those that stay, whose translation does not change.
 *
 * Locking: pt.lock is held by the caller. The hardware walks beside it.
 */
#include "pt/pt_priv.h"

struct writer {
	struct pt *pt;
	struct pt_pool *pool;
	struct pt_cursor cur;
	bool null;
	/* Entries with everything but the address; those of compact tables are like small ones. */
	uint64_t small, hinted, huge, giant;
};

/* ---- entries -------------------------------------------------------------------------------- */

/* How many of @n entries are not empty? Only holders of pt.lock write entries: plain loads do. */
static unsigned entries_live(const struct gpu_pt_format *fmt, const struct pt_table *table,
			     unsigned first, unsigned n)
{
	const uint64_t *entry = table->page.host + first;
	unsigned live = 0;

	if (table->live == 0) {
		return 0;
	}
	if (table->live == pt_entries(fmt, table)) {
		return n;
	}
	for (unsigned i = 0; i < n; i++) {
		live += entry[i] != 0;
	}
	return live;
}

/* Writes @n entries: value, value + step, ... */
static void entries_set(const struct gpu_pt_format *fmt, struct pt_table *table, unsigned first,
			unsigned n, uint64_t value, uint64_t step)
{
	ASSERT(value != 0 && table->level == 0);
	table->live += n - entries_live(fmt, table, first, n);
	port_fill64(table->page.host + first, value, step, n);
}

static void entries_clear(const struct gpu_pt_format *fmt, struct pt_table *table, unsigned first,
			  unsigned n)
{
	unsigned live = entries_live(fmt, table, first, n);

	if (live) {
		ASSERT(table->live >= live);
		table->live -= live;
		port_fill64(table->page.host + first, 0, 0, n);
	}
}

static void hint_drop(const struct gpu_pt_format *fmt, struct pt_table *table, unsigned first,
		      unsigned end)
{
	uint64_t hint = BIT64(fmt->ps64);

	for (unsigned i = first; i < end; i++) {
		uint64_t entry = pt_entry(table, i);

		if (entry & hint) {
			__atomic_store_n(&table->page.host[i], entry & ~hint, __ATOMIC_RELAXED);
		}
	}
}

/* Entries [first, end) are about to change: their neighbours no longer form 64 KiB pages. */
static void hint_cut(const struct gpu_pt_format *fmt, struct pt_table *table, unsigned first,
		     unsigned end)
{
	ASSERT(table->level == 0 && !table->compact && first < end);
	if (fmt->ps64 < 0) {
		return;
	}
	hint_drop(fmt, table, first & ~(HINT_ENTRIES - 1), first);
	hint_drop(fmt, table, end, (end + HINT_ENTRIES - 1) & ~(HINT_ENTRIES - 1));
}

/* ---- slots ---------------------------------------------------------------------------------- */

/* Makes @value the slot's entry, and @table (may be NULL) what is below it. */
static void slot_set(struct pt_pool *pool, struct pt_table *dir, unsigned slot, uint64_t value,
		     struct pt_table *table)
{
	struct pt_table *old = dir->child[slot];
	uint64_t was = pt_entry(dir, slot);

	ASSERT(dir->level == 1 && (!old || was));
	if (table) {
		ASSERT(value && table != old && !table->parent && table->live > 0);
		table->parent = dir;
		table->slot = slot;
	}
	dir->child[slot] = table;
	dir->live += value != 0;
	dir->live -= was != 0;
	__atomic_store_n(&dir->page.host[slot], value, __ATOMIC_RELEASE);
	if (old) {
		old->parent = NULL;
		list_add_tail(&pool->unlinked, &old->node);
	}
}

static void slot_link(struct pt *pt, struct pt_pool *pool, struct pt_table *dir, unsigned slot,
		      struct pt_table *table)
{
	slot_set(pool, dir, slot,
		 gpu_pte_table(pt->fmt, 1, table->page.phys, table->page.device, table->compact),
		 table);
}

static struct pt_table *pool_take(struct pt_pool *pool, bool compact)
{
	struct pt_table *table = list_first(&pool->tables, struct pt_table, node);

	ASSERT(!list_empty(&pool->tables)); /* else the reservation was wrong */
	ASSERT(table->live == 0 && table->level == 0);
	list_del(&table->node);
	table->compact = compact;
	return table;
}

/* Fills @n entries with what the leaf @pte translates to. */
static void fill_from(const struct gpu_pt_format *fmt, struct pt_table *table, unsigned first,
		      unsigned n, const struct gpu_pte *pte)
{
	bool hint = !pte->attrs.null && fmt->ps64 >= 0;

	ASSERT(pte->kind == GPU_PTE_LEAF && first % HINT_ENTRIES == 0 && n % HINT_ENTRIES == 0);
	entries_set(fmt, table, first, n,
		    gpu_pte_leaf(fmt, 0, false, pte->phys, hint, &pte->attrs),
		    pte->attrs.null ? 0 : SZ_4K);
}

/* A table of 4 KiB entries that translates as the slot does now. See the top. */
static struct pt_table *open_slot(struct pt *pt, struct pt_pool *pool, struct pt_table *dir,
				  unsigned slot)
{
	struct pt_table *table = dir->child[slot], *fresh;
	struct gpu_pte pte;

	if (table && !table->compact) {
		return table;
	}
	fresh = pool_take(pool, false);
	if (table) {
		for (unsigned i = 0; i < pt_entries(pt->fmt, table); i++) {
			pte = gpu_pte_decode(pt->fmt, 0, true, pt_entry(table, i));
			if (pte.kind == GPU_PTE_LEAF) {
				fill_from(pt->fmt, fresh, i * HINT_ENTRIES, HINT_ENTRIES, &pte);
			}
		}
	} else if (pt_entry(dir, slot)) {
		pte = gpu_pte_decode(pt->fmt, 1, false, pt_entry(dir, slot));
		fill_from(pt->fmt, fresh, 0, pt_entries(pt->fmt, fresh), &pte);
	}
	return fresh;
}

static void close_slot(struct pt *pt, struct pt_pool *pool, struct pt_table *dir, unsigned slot,
		       struct pt_table *table)
{
	if (table->live == 0) {
		if (!table->parent) {
			list_add_head(&pool->tables, &table->node);
		}
		slot_set(pool, dir, slot, 0, NULL);
	} else if (!table->parent) {
		slot_link(pt, pool, dir, slot, table);
	}
}

/* ---- writing -------------------------------------------------------------------------------- */

static void writer_init(struct writer *w, struct pt *pt, struct pt_pool *pool,
			uint64_t size_B, const struct backing *backing, uint64_t offset_B,
			const struct gpu_pte_attrs *attrs)
{
	const struct gpu_pt_format *fmt = pt->fmt;
	struct gpu_pte_attrs a = *attrs;

	a.device = backing && backing->device;
	w->pt = pt;
	w->pool = pool;
	w->null = !backing;
	pt_cursor_init(&w->cur, backing, offset_B);
	w->small = gpu_pte_leaf(fmt, 0, false, 0, false, &a);
	w->hinted = w->null || fmt->ps64 < 0 ? w->small : w->small | BIT64(fmt->ps64);
	/* A smaller call writes none. */
	if (size_B >= SZ_2M) {
		w->huge = gpu_pte_leaf(fmt, 1, false, 0, false, &a);
	}
	if (size_B >= SZ_1G && fmt->levels > 2 && fmt->level[2].leaf) {
		w->giant = gpu_pte_leaf(fmt, 2, false, 0, false, &a);
	}
}

static void write_compact(struct writer *w, struct pt_table *table, uint64_t start, uint64_t end)
{
	ASSERT(table->compact && is_aligned(start | end, SZ_64K));
	while (start < end) {
		unsigned first = (unsigned)((start & (SZ_2M - 1)) / SZ_64K);
		uint64_t phys, n_B = pt_cursor_run(&w->cur, SZ_2M, &phys);

		n_B = min_u64(align_down(n_B, SZ_64K), end - start);
		ASSERT(n_B > 0);
		entries_set(w->pt->fmt, table, first, (unsigned)(n_B / SZ_64K), w->small | phys,
			    w->null ? 0 : SZ_64K);
		pt_cursor_advance(&w->cur, n_B);
		start += n_B;
	}
}

static void write_small(struct writer *w, struct pt_table *table, uint64_t start, uint64_t end)
{
	ASSERT(!table->compact);
	while (start < end) {
		unsigned first = pt_slot(w->pt->fmt, 0, start);
		uint64_t phys, value = w->small;
		uint64_t n_B = pt_cursor_run(&w->cur, SZ_2M, &phys);

		n_B = min_u64(n_B, end - start);
		if (!w->null) {
			if (n_B >= SZ_64K && is_aligned(start | phys, SZ_64K)) {
				n_B = align_down(n_B, SZ_64K);
				value = w->hinted;
			} else if (((start ^ phys) & (SZ_64K - 1)) == 0) {
				/* At the next boundary a 64 KiB page may begin. */
				n_B = min_u64(n_B, align_down(start, SZ_64K) + SZ_64K - start);
			}
		}
		entries_set(w->pt->fmt, table, first, (unsigned)(n_B >> PAGE_SHIFT), value | phys,
			    w->null ? 0 : SZ_4K);
		pt_cursor_advance(&w->cur, n_B);
		start += n_B;
	}
}

static void write_slot(struct writer *w, struct pt_table *dir, uint64_t start, uint64_t end,
		       enum pt_shape shape)
{
	unsigned slot = pt_slot(w->pt->fmt, 1, start);
	struct pt_table *table = dir->child[slot];
	uint64_t phys;

	ASSERT(!w->pt->need_64k || w->null || !w->cur.backing->device || shape >= PT_SHAPE_64K ||
	       pt_is_64k(w->cur, start, end));
	if (shape == PT_SHAPE_2M) {
		pt_cursor_run(&w->cur, SZ_2M, &phys);
		slot_set(w->pool, dir, slot, w->huge | phys, NULL);
		pt_cursor_advance(&w->cur, SZ_2M);
	} else if (table && table->compact &&
		   (shape == PT_SHAPE_64K ||
		    (shape == PT_SHAPE_PART && pt_is_64k(w->cur, start, end)))) {
		write_compact(w, table, start, end);
	} else if (shape == PT_SHAPE_64K) {
		table = pool_take(w->pool, true);
		write_compact(w, table, start, end);
		slot_link(w->pt, w->pool, dir, slot, table);
	} else {
		unsigned first = pt_slot(w->pt->fmt, 0, start);

		table = open_slot(w->pt, w->pool, dir, slot);
		hint_cut(w->pt->fmt, table, first, first + (unsigned)((end - start) >> PAGE_SHIFT));
		write_small(w, table, start, end);
		close_slot(w->pt, w->pool, dir, slot, table);
	}
}

/* Puts a leaf of 1 GiB in the place of a directory that nobody counts on. */
static void replace_dir(struct writer *w, struct pt_table *dir, uint64_t entry)
{
	pt_dir_unlink(w->pt, w->pool, dir, entry);
	for (unsigned i = 0; i < pt_entries(w->pt->fmt, dir); i++) {
		struct pt_table *child = dir->child[i];

		if (child) {
			dir->child[i] = NULL;
			child->parent = NULL;
			list_add_tail(&w->pool->unlinked, &child->node);
		}
	}
}

/* @dir: what pt_find() found. */
static void write_1g(struct writer *w, struct pt_table *dir, uint64_t addr)
{
	unsigned slot = pt_slot(w->pt->fmt, 2, addr);
	uint64_t phys;

	ASSERT(dir->level == 2 ? dir->pins > 0 : dir->pins > 0 || dir->parent->pins > 0);
	pt_cursor_run(&w->cur, SZ_1G, &phys);
	pt_cursor_advance(&w->cur, SZ_1G);
	if (dir->level == 2) {
		dir->live += pt_entry(dir, slot) == 0;
		__atomic_store_n(&dir->page.host[slot], w->giant | phys, __ATOMIC_RELAXED);
	} else if (dir->pins == 0) {
		replace_dir(w, dir, w->giant | phys);
	} else {
		for (unsigned i = 0; i < pt_entries(w->pt->fmt, dir); i++) {
			slot_set(w->pool, dir, i, w->huge | phys, NULL);
			phys += w->null ? 0 : SZ_2M;
		}
	}
}

void pt_write(struct pt *pt, struct pt_pool *pool, uint64_t start, uint64_t end,
	      const struct backing *backing, uint64_t offset_B, const struct gpu_pte_attrs *attrs)
{
	struct pt_table *dir = NULL;
	struct writer w;

	port_mutex_assert_held(&pt->lock);
	ASSERT(is_aligned(start | end | offset_B, PAGE_SIZE) && start < end);
	ASSERT(attrs->null == !backing);
	writer_init(&w, pt, pool, end - start, backing, offset_B, attrs);
	for (uint64_t addr = start, next, dir_end = start; addr < end; addr = next) {
		enum pt_shape shape;

		next = pt_piece(pt, &w.cur, addr, end, &shape);
		if (addr >= dir_end) {
			dir = pt_find(pt, addr, &dir_end);
		}
		if (shape == PT_SHAPE_1G) {
			write_1g(&w, dir, addr);
		} else {
			ASSERT(dir->level == 1 && dir->pins > 0);
			write_slot(&w, dir, addr, next, shape);
		}
	}
}

/* ---- clearing ------------------------------------------------------------------------------- */

/*
 * There is no table for a cut, and the caller said that the whole entry may go. If it did not, then
 * a clear that found no tables is not among those that are run, and the others have theirs.
 */
static bool must_lose(const struct pt_pool *pool)
{
	return pool->may_lose && (pool->missing || list_empty(&pool->tables));
}

/* Widens a clear to whole entries of @entry_B, and says so. */
static void lose(struct pt_pool *pool, uint64_t *start_io, uint64_t *end_io, uint64_t entry_B)
{
	uint64_t start = align_down(*start_io, entry_B), end = align_up(*end_io, entry_B);

	/* Only the ends of a clear are cut. */
	ASSERT(pool->lost_count + (start < *start_io) + (end > *end_io) <= ARRAY_LEN(pool->lost));
	if (start < *start_io) {
		pool->lost[pool->lost_count++] = (struct pt_lost){ start, *start_io };
	}
	if (end > *end_io) {
		pool->lost[pool->lost_count++] = (struct pt_lost){ *end_io, end };
	}
	*start_io = start;
	*end_io = end;
}

static void clear_slot(struct pt *pt, struct pt_pool *pool, struct pt_table *dir, uint64_t start,
		       uint64_t end)
{
	unsigned slot = pt_slot(pt->fmt, 1, start);
	struct pt_table *table = dir->child[slot];
	uint64_t entry_B = !table ? SZ_2M : table->compact ? SZ_64K : SZ_4K;
	unsigned first, n;

	if (!pt_entry(dir, slot)) {
		return;
	}
	if (!is_aligned(start | end, entry_B) && must_lose(pool)) {
		lose(pool, &start, &end, entry_B);
	}
	if (end - start == SZ_2M) {
		slot_set(pool, dir, slot, 0, NULL);
		return;
	}
	if (table && table->compact && is_aligned(start | end, SZ_64K)) {
		first = (unsigned)((start & (SZ_2M - 1)) / SZ_64K);
		n = (unsigned)((end - start) / SZ_64K);
	} else {
		first = pt_slot(pt->fmt, 0, start);
		n = (unsigned)((end - start) >> PAGE_SHIFT);
		table = open_slot(pt, pool, dir, slot);
		hint_cut(pt->fmt, table, first, first + n);
	}
	entries_clear(pt->fmt, table, first, n);
	close_slot(pt, pool, dir, slot, table);
}

/* A leaf of 1 GiB, at level 2. With memory the reservation has cut it where a part is cleared. */
static void clear_1g(struct pt *pt, struct pt_pool *pool, struct pt_table *dir, uint64_t start,
		     uint64_t end)
{
	unsigned slot = pt_slot(pt->fmt, 2, start);

	ASSERT(dir->level == 2 && dir->live > 0);
	if (end - start < SZ_1G) {
		ASSERT(pool->may_lose);
		lose(pool, &start, &end, SZ_1G);
	}
	dir->live--;
	__atomic_store_n(&dir->page.host[slot], 0, __ATOMIC_RELAXED);
}

void pt_clear(struct pt *pt, struct pt_pool *pool, uint64_t start, uint64_t end)
{
	port_mutex_assert_held(&pt->lock);
	ASSERT(is_aligned(start | end, PAGE_SIZE) && start < end);
	pool->lost_count = 0;
	for (uint64_t addr = start, dir_end; addr < end; addr = dir_end) {
		struct pt_table *dir = pt_find(pt, addr, &dir_end);
		uint64_t stop = min_u64(dir_end, end);
		bool was_live = dir->live != 0;

		if (dir->level > 1) {
			if (pt_entry(dir, pt_slot(pt->fmt, dir->level, addr))) {
				clear_1g(pt, pool, dir, addr, stop);
			}
		} else {
			for (uint64_t next; addr < stop && dir->live; addr = next) {
				next = pt_slot_end(addr, stop);
				clear_slot(pt, pool, dir, addr, next);
			}
		}
		if (was_live && !dir->live) {
			pt_dir_emptied(pt, pool, dir);
		}
	}
}
