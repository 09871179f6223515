// SPDX-License-Identifier: MIT
/*
 * Reservations: what a write or a clear will need, before anybody can see it.
 *
 * A map's directories first: one after the other is found, made or cut out of a leaf of 1 GiB, and
 * pinned: those of level 1, but of level 2 where a leaf of 1 GiB will be written.
 * Where something must be allocated for that, the lock is dropped and the tree looked at again; all
 * missing levels of one directory are linked under one hold of the lock, so that an error never
 * leaves an upper directory with nothing below it. The usual map allocates nothing here and takes
 * the lock once.
 *
 * Then the leaf tables: each slot needs at most one new table, whatever it is now and whatever the
 * call does to it. A table that will not be needed is not counted only if that is certain: from the
 * call alone (a 2 MiB leaf, a clear of the whole slot), or because the slot is right already and no
 * unfinished job may change it.
 *
 * Locking: called without pt.lock, under the VM's lock: one reservation at a time.
 */
#include "pt/pt_priv.h"

/* ---- cursors -------------------------------------------------------------------------------- */

void pt_cursor_init(struct pt_cursor *cur, const struct backing *backing, uint64_t offset_B)
{
	*cur = (struct pt_cursor){ .backing = backing };
	if (backing) {
		pt_cursor_advance(cur, offset_B);
	}
}

uint64_t pt_cursor_run(const struct pt_cursor *cur, uint64_t enough_B, uint64_t *phys_out)
{
	const struct backing *backing = cur->backing;
	const struct extent *e;
	uint64_t run_B;

	if (!backing) {
		*phys_out = 0;
		return align_down(UINT64_MAX, SZ_1G);
	}
	ASSERT(cur->i < backing->count);
	e = &backing->extents[cur->i];
	ASSERT(cur->off_B < e->size_B);
	*phys_out = e->phys + cur->off_B;
	run_B = e->size_B - cur->off_B;
	for (unsigned i = cur->i + 1; i < backing->count && run_B < enough_B; i++) {
		if (backing->extents[i].phys != *phys_out + run_B) {
			break;
		}
		run_B += backing->extents[i].size_B;
	}
	return run_B;
}

void pt_cursor_advance(struct pt_cursor *cur, uint64_t size_B)
{
	const struct backing *backing = cur->backing;

	if (!backing) {
		return;
	}
	cur->off_B += size_B;
	while (cur->i < backing->count && cur->off_B >= backing->extents[cur->i].size_B) {
		cur->off_B -= backing->extents[cur->i].size_B;
		cur->i++;
	}
	ASSERT(cur->i < backing->count || cur->off_B == 0);
}

bool pt_is_64k(struct pt_cursor cur, uint64_t start, uint64_t end)
{
	uint64_t phys, run_B;

	if (!is_aligned(start | end, SZ_64K)) {
		return false;
	}
	run_B = pt_cursor_run(&cur, SZ_2M, &phys);
	while (run_B >= SZ_64K && is_aligned(phys, SZ_64K)) {
		run_B = align_down(run_B, SZ_64K);
		if (run_B >= end - start) {
			return true;
		}
		start += run_B;
		pt_cursor_advance(&cur, run_B);
		run_B = pt_cursor_run(&cur, SZ_2M, &phys);
	}
	return false;
}

static enum pt_shape slot_shape(const struct pt_cursor *cur, uint64_t start, uint64_t end)
{
	uint64_t phys;

	if (end - start < SZ_2M) {
		return PT_SHAPE_PART;
	}
	if (pt_cursor_run(cur, SZ_2M, &phys) >= SZ_2M && is_aligned(phys, SZ_2M)) {
		return PT_SHAPE_2M;
	}
	return pt_is_64k(*cur, start, end) ? PT_SHAPE_64K : PT_SHAPE_4K;
}

/* Will a write of [start, end), with the cursor at @start, begin with a leaf of 1 GiB? */
static bool is_1g(const struct pt *pt, const struct pt_cursor *cur, uint64_t start, uint64_t end)
{
	uint64_t phys;

	return is_aligned(start, SZ_1G) && end - start >= SZ_1G && pt->fmt->levels > 2 &&
	       pt->fmt->level[2].leaf && pt_cursor_run(cur, SZ_1G, &phys) >= SZ_1G &&
	       is_aligned(phys, SZ_1G);
}

uint64_t pt_piece(const struct pt *pt, const struct pt_cursor *cur, uint64_t start, uint64_t end,
		  enum pt_shape *shape_out)
{
	ASSERT(start < end);
	if (is_1g(pt, cur, start, end)) {
		*shape_out = PT_SHAPE_1G;
		return start + SZ_1G;
	}
	end = pt_slot_end(start, end);
	*shape_out = slot_shape(cur, start, end);
	return end;
}

/* ---- directories ---------------------------------------------------------------------------- */

/* What was allocated without the lock, and what was missing when the tree was looked at. */
struct spares {
	struct list dirs; /* struct pt_table.node */
	struct pt_pin *pin;
	unsigned dirs_wanted;
	bool pin_wanted;
};

static void spares_init(struct spares *spares)
{
	*spares = (struct spares){ 0 };
	list_init(&spares->dirs);
}

static int spares_alloc(struct pt *pt, struct spares *spares)
{
	for (; spares->dirs_wanted; spares->dirs_wanted--) {
		struct pt_table *dir = pt_table_create(pt, true);

		if (!dir) {
			return -ENOMEM;
		}
		list_add_tail(&spares->dirs, &dir->node);
	}
	if (spares->pin_wanted) {
		spares->pin = port_alloc(sizeof(*spares->pin));
		if (!spares->pin) {
			return -ENOMEM;
		}
		spares->pin_wanted = false;
	}
	return 0;
}

static void spares_fini(struct pt *pt, struct spares *spares)
{
	list_for_each_safe(dir, &spares->dirs, struct pt_table, node) {
		list_del(&dir->node);
		pt_table_destroy(pt, dir);
	}
	port_free(spares->pin);
}

/* Makes a leaf of 1 GiB a directory that is not linked yet. */
static void fill_dir(const struct gpu_pt_format *fmt, struct pt_table *dir, uint64_t entry)
{
	struct gpu_pte pte = gpu_pte_decode(fmt, 2, false, entry);

	ASSERT(pte.kind == GPU_PTE_LEAF && dir->live == 0 && !dir->parent);
	dir->live = 1u << fmt->level[1].bits;
	port_fill64(dir->page.host, gpu_pte_leaf(fmt, 1, false, pte.phys, false, &pte.attrs),
		    pte.attrs.null ? 0 : SZ_2M, dir->live);
}

/*
 * The directory of @addr at @level, if need be made out of a leaf of 1 GiB. NULL, and nothing was
 * linked, when more spares are wanted.
 */
static struct pt_table *dir_make(struct pt *pt, uint64_t addr, unsigned level,
				 struct spares *spares)
{
	uint64_t next;
	struct pt_table *table = pt_find(pt, addr, &next);

	if (table->level < level) {
		return table->parent; /* @level is 2 at most */
	}
	spares->dirs_wanted = table->level - level;
	list_for_each(dir, &spares->dirs, struct pt_table, node) {
		spares->dirs_wanted -= spares->dirs_wanted > 0;
	}
	if (spares->dirs_wanted) {
		return NULL;
	}
	while (table->level > level) {
		struct pt_table *dir = list_first(&spares->dirs, struct pt_table, node);
		unsigned slot = pt_slot(pt->fmt, table->level, addr);

		list_del(&dir->node);
		if (pt_entry(table, slot)) {
			fill_dir(pt->fmt, dir, pt_entry(table, slot));
		}
		pt_dir_link(pt, table, slot, dir);
		table = dir;
	}
	return table;
}

static struct pt_pin *unused_pin(struct pt_pool *pool, struct spares *spares)
{
	for (unsigned i = 0; i < PT_POOL_PINS; i++) {
		if (!pool->pin[i].dir) {
			return &pool->pin[i];
		}
	}
	return spares->pin;
}

/* Pins the directory of @addr at @level, makes it if there is none. False: spares are wanted. */
static bool try_pin(struct pt *pt, struct pt_pool *pool, struct spares *spares, uint64_t addr,
		    unsigned level)
{
	struct pt_pin *pin = unused_pin(pool, spares);
	struct pt_table *dir;

	if (!pin) {
		spares->pin_wanted = true;
		return false;
	}
	dir = dir_make(pt, addr, level, spares);
	if (!dir) {
		return false;
	}
	if (!list_empty(&pool->pins) && list_last(&pool->pins, struct pt_pin, node)->dir == dir) {
		return true; /* by the GiB before */
	}
	if (pin == spares->pin) {
		spares->pin = NULL;
	}
	pin->dir = dir;
	dir->pins++;
	list_add_tail(&pool->pins, &pin->node);
	return true;
}

/* pt.lock is held, and dropped to allocate. */
static int pin_dir(struct pt *pt, struct pt_pool *pool, struct spares *spares, uint64_t addr,
		   unsigned level)
{
	while (!try_pin(pt, pool, spares, addr, level)) {
		int ret;

		port_mutex_unlock(&pt->lock);
		ret = spares_alloc(pt, spares);
		port_mutex_lock(&pt->lock);
		if (ret) {
			return ret;
		}
	}
	return 0;
}

/* What the map of [start, end) counts on: for each GiB the directory that gets its entries. */
static int pin_map(struct pt *pt, struct pt_pool *pool, struct spares *spares, uint64_t start,
		   uint64_t end, struct pt_cursor cur)
{
	for (uint64_t addr = start, next; addr < end; addr = next) {
		int ret = pin_dir(pt, pool, spares, addr, is_1g(pt, &cur, addr, end) ? 2 : 1);

		if (ret) {
			return ret;
		}
		next = pt_gib_end(addr, end);
		pt_cursor_advance(&cur, next - addr);
	}
	return 0;
}

/*
 * Must the clear of a part of a GiB find a directory there? Only who will write a leaf of 1 GiB
 * pins the directory above; it may be the unfinished job.
 */
static bool clear_needs_dir(struct pt *pt, uint64_t addr, bool contended)
{
	uint64_t next;
	const struct pt_table *table = pt_find(pt, addr, &next), *above = table;

	if (table->level == 1) {
		above = table->parent;
	} else if (table->level > 2) {
		return false;
	} else if (pt_entry(table, pt_slot(pt->fmt, 2, addr))) {
		return true;
	}
	return contended && above && above->pins > 0;
}

/* For a clear of [start, end) inside a GiB. Without memory all of the GiB is concerned. */
static int pin_clear(struct pt *pt, struct pt_pool *pool, struct spares *spares, uint64_t start,
		     uint64_t end, bool contended)
{
	int ret;

	if (end - start == SZ_1G || !clear_needs_dir(pt, start, contended)) {
		return 0;
	}
	ret = pin_dir(pt, pool, spares, start, 1);
	if (ret) {
		pool->order_start = min_u64(pool->order_start, align_down(start, SZ_1G));
		pool->order_end = max_u64(pool->order_end, align_up(end, SZ_1G));
	}
	return ret;
}

/* ---- leaf tables ---------------------------------------------------------------------------- */

/* May writing a piece, of @shape, with the cursor where it begins, need a table? */
static bool map_needs_table(struct pt *pt, uint64_t start, uint64_t end,
			    const struct pt_cursor *cur, enum pt_shape shape, bool contended)
{
	const struct pt_table *dir, *table;
	uint64_t next;

	if (shape >= PT_SHAPE_2M) {
		return false;
	}
	if (contended) {
		return true;
	}
	dir = pt_find(pt, start, &next);
	ASSERT(dir->level == 1 && dir->pins > 0);
	table = dir->child[pt_slot(pt->fmt, 1, start)];
	if (!table) {
		return true;
	}
	if (table->compact && shape == PT_SHAPE_PART) {
		return !pt_is_64k(*cur, start, end);
	}
	return table->compact ? shape != PT_SHAPE_64K : shape == PT_SHAPE_64K;
}

static bool clear_needs_table(struct pt *pt, uint64_t start, uint64_t end, bool contended)
{
	const struct pt_table *dir, *table;
	unsigned slot = pt_slot(pt->fmt, 1, start);
	uint64_t next;

	if (end - start == SZ_2M) {
		return false;
	}
	if (contended) {
		return true;
	}
	dir = pt_find(pt, start, &next);
	if (dir->level > 1 || !pt_entry(dir, slot)) {
		return false; /* a leaf of 1 GiB that could not be cut is lost */
	}
	table = dir->child[slot];
	if (!table) {
		return true;
	}
	return table->compact && !is_aligned(start | end, SZ_64K);
}

/* Allocates @n tables, or as many as can be had. */
static int pool_fill(struct pt *pt, struct pt_pool *pool, unsigned n)
{
	for (; n; n--) {
		struct pt_table *table = pt_table_create(pt, false);

		if (!table) {
			return -ENOMEM;
		}
		list_add_tail(&pool->tables, &table->node);
	}
	return 0;
}

/*
 * What the plan must be ordered against, see pt.h: the range itself, widened to whole slots at an
 * end whose table it makes, cuts or may take away.
 */
static void set_order(struct pt_pool *pool, uint64_t start, uint64_t end, bool first, bool last)
{
	pool->order_start = first ? align_down(start, PT_ORDER_GRANULE) : start;
	pool->order_end = last ? align_up(end, PT_ORDER_GRANULE) : end;
}

static void assert_range(const struct pt *pt, uint64_t start, uint64_t end)
{
	ASSERT(is_aligned(start | end, PAGE_SIZE));
	ASSERT(start < end && end <= BIT64(pt->fmt->va_bits));
}

/* Counts the leaf tables a map may need; see pt.h about the order. */
static unsigned plan_map(struct pt *pt, struct pt_pool *pool, uint64_t start, uint64_t end,
			 struct pt_cursor cur, bool contended)
{
	bool table = false, first = false;
	unsigned want = 0;

	pool->reshapes = false;
	for (uint64_t addr = start, next; addr < end; addr = next) {
		enum pt_shape shape;

		next = pt_piece(pt, &cur, addr, end, &shape);
		table = map_needs_table(pt, addr, next, &cur, shape, contended);
		want += table;
		pool->reshapes = pool->reshapes || table || shape >= PT_SHAPE_2M;
		first = addr == start ? table : first;
		pt_cursor_advance(&cur, next - addr);
	}
	set_order(pool, start, end, first, table);
	return want;
}

int pt_reserve_map(struct pt *pt, struct pt_pool *pool, uint64_t start, uint64_t end,
		   const struct backing *backing, uint64_t offset_B, bool contended)
{
	struct spares spares;
	struct pt_cursor cur;
	unsigned want = 0;
	int ret;

	assert_range(pt, start, end);
	ASSERT(is_aligned(offset_B, PAGE_SIZE));
	pt_cursor_init(&cur, backing, offset_B);
	spares_init(&spares);
	port_mutex_lock(&pt->lock);
	ret = pin_map(pt, pool, &spares, start, end, cur);
	if (!ret) {
		want = plan_map(pt, pool, start, end, cur, contended);
	}
	port_mutex_unlock(&pt->lock);
	spares_fini(pt, &spares);
	return ret ? ret : pool_fill(pt, pool, want);
}

int pt_reserve_clear(struct pt *pt, struct pt_pool *pool, uint64_t start, uint64_t end,
		     bool contended)
{
	uint64_t first_end = pt_slot_end(start, end), last = align_down(end - 1, SZ_2M);
	uint64_t gib_end = pt_gib_end(start, end), last_gib = align_down(end - 1, SZ_1G);
	struct spares spares;
	int first_ret, last_ret = 0, ret;
	unsigned want;

	assert_range(pt, start, end);
	spares_init(&spares);
	/* A clear may empty the tables at its ends, and then it takes them away. */
	pool->reshapes = true;
	set_order(pool, start, end, true, true);
	/* Only the two ends can be parts of a GiB, or of a slot. */
	port_mutex_lock(&pt->lock);
	first_ret = pin_clear(pt, pool, &spares, start, gib_end, contended);
	if (last_gib >= gib_end) {
		last_ret = pin_clear(pt, pool, &spares, last_gib, end, contended);
	}
	want = clear_needs_table(pt, start, first_end, contended);
	if (last >= first_end) {
		want += clear_needs_table(pt, last, end, contended);
	}
	port_mutex_unlock(&pt->lock);
	spares_fini(pt, &spares);
	ret = pool_fill(pt, pool, want);
	ret = first_ret ? first_ret : last_ret ? last_ret : ret;
	/* What the pool has may have been reserved for maps. */
	pool->missing = pool->missing || ret;
	return ret;
}
