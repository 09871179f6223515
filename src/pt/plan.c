// SPDX-License-Identifier: MIT
/*
 * Reservations: what a write or a clear will need, before anybody can see it.
 *
 * Directories first: one level-1 directory after the other is found or made, and pinned. What has
 * to be allocated for that is allocated without the lock, then the tree is looked at again; all
 * missing levels of one directory are linked under one hold of the lock, so that an error never
 * leaves an upper directory with nothing below it.
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

uint64_t pt_cursor_run(const struct pt_cursor *cur, uint64_t *phys_out)
{
	const struct backing *backing = cur->backing;
	const struct extent *e;
	uint64_t run_B;

	if (!backing) {
		*phys_out = 0;
		return align_down(UINT64_MAX, SZ_2M);
	}
	ASSERT(cur->i < backing->count);
	e = &backing->extents[cur->i];
	ASSERT(cur->off_B < e->size_B);
	*phys_out = e->phys + cur->off_B;
	run_B = e->size_B - cur->off_B;
	for (unsigned i = cur->i + 1; i < backing->count && run_B < SZ_2M; i++) {
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

enum pt_shape pt_shape(struct pt_cursor cur, uint64_t start, uint64_t end)
{
	uint64_t phys, run_B = pt_cursor_run(&cur, &phys);

	ASSERT(start < end && pt_slot_end(start, end) == end);
	if (end - start == SZ_2M && run_B >= SZ_2M && is_aligned(phys, SZ_2M)) {
		return PT_SHAPE_2M;
	}
	if (!is_aligned(start | end, SZ_64K)) {
		return PT_SHAPE_4K;
	}
	while (start < end) {
		run_B = min_u64(pt_cursor_run(&cur, &phys), end - start);
		if (run_B < SZ_64K || !is_aligned(phys, SZ_64K)) {
			return PT_SHAPE_4K;
		}
		run_B = align_down(run_B, SZ_64K);
		pt_cursor_advance(&cur, run_B);
		start += run_B;
	}
	return PT_SHAPE_64K;
}

/* ---- directories ---------------------------------------------------------------------------- */

/*
 * The level-1 directory of @addr; missing ones are made of @spares. NULL when these are too few,
 * and then nothing was linked.
 */
static struct pt_table *dir_make(struct pt *pt, uint64_t addr, struct list *spares)
{
	struct pt_table *table = pt->root;
	unsigned slot = 0, left;

	port_mutex_assert_held(&pt->lock);
	while (table->level > 1) {
		slot = pt_slot(pt->fmt, table->level, addr);
		if (!table->child[slot]) {
			break;
		}
		table = table->child[slot];
	}
	left = table->level - 1u;
	list_for_each(spare, spares, struct pt_table, node) {
		left -= left > 0;
	}
	if (left) {
		return NULL;
	}
	while (table->level > 1) {
		struct pt_table *spare = list_first(spares, struct pt_table, node);

		ASSERT(!list_empty(spares));
		list_del(&spare->node);
		pt_dir_link(pt, table, pt_slot(pt->fmt, table->level, addr), spare);
		table = spare;
	}
	return table;
}

/* Pins the level-1 directories of [start, end), making those that are missing if @make. */
static int pin_range(struct pt *pt, struct pt_pool *pool, uint64_t start, uint64_t end, bool make)
{
	struct pt_pin *pin = NULL;
	struct list spares;
	int ret = 0;

	list_init(&spares);
	for (uint64_t addr = start; addr < end;) {
		struct pt_table *dir;
		uint64_t next;

		if (!pin) {
			pin = port_alloc(sizeof(*pin));
			if (!pin) {
				ret = -ENOMEM;
				break;
			}
		}
		port_mutex_lock(&pt->lock);
		dir = pt_dir(pt, addr, &next);
		if (!dir && make) {
			dir = dir_make(pt, addr, &spares);
			next = addr;
		}
		if (dir) {
			dir->pins++;
			pin->dir = dir;
			list_add_tail(&pool->pins, &pin->node);
			pin = NULL;
			pt_dir(pt, addr, &next);
		}
		port_mutex_unlock(&pt->lock);
		if (!dir && make) {
			struct pt_table *spare = pt_table_create(pt, true);

			if (!spare) {
				ret = -ENOMEM;
				break;
			}
			list_add_tail(&spares, &spare->node);
		}
		addr = next;
	}
	list_for_each_safe(spare, &spares, struct pt_table, node) {
		list_del(&spare->node);
		pt_table_destroy(pt, spare);
	}
	port_free(pin);
	return ret;
}

/* ---- leaf tables ---------------------------------------------------------------------------- */

/* May writing a part of the slot, of @shape, need a table? */
static bool map_needs_table(struct pt *pt, uint64_t start, uint64_t end, enum pt_shape shape,
			    bool contended)
{
	const struct pt_table *dir, *table;
	uint64_t next;

	if (shape == PT_SHAPE_2M) {
		return false;
	}
	if (contended) {
		return true;
	}
	dir = pt_dir(pt, start, &next);
	ASSERT(dir && dir->pins > 0);
	table = dir->child[pt_slot(pt->fmt, 1, start)];
	if (!table) {
		return true;
	}
	if (table->compact) {
		return shape != PT_SHAPE_64K;
	}
	return shape == PT_SHAPE_64K && end - start == SZ_2M;
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
	dir = pt_dir(pt, start, &next);
	if (!dir || !pt_entry(dir, slot)) {
		return false;
	}
	table = dir->child[slot];
	if (!table) {
		return true;
	}
	return table->compact && !is_aligned(start | end, SZ_64K);
}

/* Allocates what the plans have counted. */
static int pool_fill(struct pt *pt, struct pt_pool *pool)
{
	unsigned made = 0;
	int ret = 0;

	while (pool->want) {
		struct pt_table *table = pt_table_create(pt, false);

		if (!table) {
			ret = -ENOMEM;
			break;
		}
		list_add_tail(&pool->tables, &table->node);
		pool->want--;
		made++;
	}
	port_mutex_lock(&pt->lock);
	pt->tables += made;
	port_mutex_unlock(&pt->lock);
	return ret;
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

int pt_reserve_map(struct pt *pt, struct pt_pool *pool, uint64_t start, uint64_t end,
		   const struct backing *backing, uint64_t offset_B, bool contended)
{
	bool table = false, first = false;
	struct pt_cursor cur;
	int ret;

	assert_range(pt, start, end);
	ASSERT(is_aligned(offset_B, PAGE_SIZE) && pool->want == 0);
	ret = pin_range(pt, pool, start, end, true);
	if (ret) {
		return ret;
	}
	pt_cursor_init(&cur, backing, offset_B);
	port_mutex_lock(&pt->lock);
	pool->reshapes = false;
	for (uint64_t addr = start, next; addr < end; addr = next) {
		enum pt_shape shape;

		next = pt_slot_end(addr, end);
		shape = pt_shape(cur, addr, next);
		table = map_needs_table(pt, addr, next, shape, contended);
		pool->want += table;
		pool->reshapes = pool->reshapes || table || shape == PT_SHAPE_2M;
		first = addr == start ? table : first;
		pt_cursor_advance(&cur, next - addr);
	}
	port_mutex_unlock(&pt->lock);
	set_order(pool, start, end, first, table);
	return pool_fill(pt, pool);
}

int pt_reserve_clear(struct pt *pt, struct pt_pool *pool, uint64_t start, uint64_t end,
		     bool contended)
{
	uint64_t first_end = pt_slot_end(start, end);
	uint64_t last = align_down(end - 1, SZ_2M);
	int ret;

	assert_range(pt, start, end);
	ASSERT(pool->want == 0);
	ret = pin_range(pt, pool, start, end, false);
	if (ret) {
		return ret;
	}
	/* Only the two ends can be parts of a slot. */
	port_mutex_lock(&pt->lock);
	pool->want += clear_needs_table(pt, start, first_end, contended);
	if (last >= first_end) {
		pool->want += clear_needs_table(pt, last, end, contended);
	}
	port_mutex_unlock(&pt->lock);
	/* A clear may empty the tables at its ends, and then it takes them away. */
	pool->reshapes = true;
	set_order(pool, start, end, true, true);
	return pool_fill(pt, pool);
}
