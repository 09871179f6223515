// SPDX-License-Identifier: MIT
/*
 * The tree of tables: its tables, directories, pins, and what becomes of those taken out.
 *
 * Every table has a shadow, struct pt_table, with what the entries cannot say: counts, the parent,
 * and (directories) the shadows of the tables below. Entries are the truth for the hardware and are
 * always written with single 64-bit stores; a new table is complete before the store that links it,
 * which is a release.
 *
 * A directory is there because something below it is live, because a reservation counts on it (a
 * pin), or because nobody has looked yet since a clear emptied it: then it is on the clear's list.
 * pt_release() drops a job's pins, looks at its list, and unlinks upwards whatever nobody needs any
 * more. Directories with another below them are held by that live entry. Clears have no pins (but
 * for parts of a leaf of 1 GiB) and so need no memory: a directory that a neighbour takes away
 * meanwhile has nothing for them to clear. Another job may unlink a directory that is on this one's
 * list and takes it off; hence the list belongs to pt.lock.
 *
 * Locking: pt.lock (vm.pt) protects tree and counts; tables are made and destroyed without it. A
 * pool belongs to its job.
 *
 *	ret = pt_reserve_map(pt, &pool, start, end, &backing, offset_B, contended);
 *	...						published
 *	lock; pt_write(pt, &pool, start, end, &backing, offset_B, &attrs); unlock
 *	...						TLB invalidated
 *	pt_release(pt, &pool);
 *	if (pt_has_dirs(&pool)) ...			every access epoch has ended
 *	pt_free_dirs(pt, &pool);
 */
#include "pt/pt_priv.h"

static struct port_lock_class pt_class = { .name = "vm.pt", .rank = RANK_VM_PT };

/* ---- tables --------------------------------------------------------------------------------- */

static void count(atomic_ullong *counter, uint64_t n)
{
	if (n) {
		atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
	}
}

static void uncount(atomic_ullong *counter, uint64_t n)
{
	if (n) {
		ASSERT(atomic_fetch_sub_explicit(counter, n, memory_order_relaxed) >= n);
	}
}

int pt_frame_alloc(struct pt *pt, struct frame_page *page_out)
{
	int ret = frame_page_alloc(pt->mem, page_out);

	if (!ret) {
		/* The host finds memory now, not when a table is written in the path of a fence. */
		__atomic_store_n(&page_out->host[0], 0, __ATOMIC_RELAXED);
	}
	return ret;
}

void pt_page_free(struct pt *pt, struct frame_page *page)
{
	if (page->slab) {
		frame_page_free(pt->mem, page);
	} else {
		port_free(page->host);
	}
}

struct pt_table *pt_table_create(struct pt *pt, bool directory)
{
	struct pt_table *table = port_alloc(sizeof(*table));

	if (!table) {
		return NULL;
	}
	list_init(&table->node);
	if (directory) {
		/* Directories of all levels have as many entries. */
		table->child = port_alloc(sizeof(*table->child) << pt->fmt->level[1].bits);
		if (!table->child) {
			goto fail;
		}
	}
	if (pt_frame_alloc(pt, &table->page)) {
		goto fail;
	}
	count(&pt->tables, 1);
	count(&pt->dirs, directory);
	return table;
fail:
	port_free(table->child);
	port_free(table);
	return NULL;
}

void pt_table_destroy(struct pt *pt, struct pt_table *table)
{
	if (!table) {
		return;
	}
	ASSERT(!table->parent && list_empty(&table->node) && table->pins == 0);
	uncount(&pt->tables, 1);
	uncount(&pt->dirs, table->child != NULL);
	uncount(&pt->evicted, pt_is_evicted(table));
	pt_page_free(pt, &table->page);
	port_free(table->child);
	port_free(table);
}

static void destroy_list(struct pt *pt, struct list *list)
{
	list_for_each_safe(table, list, struct pt_table, node) {
		list_del(&table->node);
		pt_table_destroy(pt, table);
	}
}

uint64_t pt_memory_B(const struct pt *pt)
{
	uint64_t tables = atomic_load_explicit(&pt->tables, memory_order_relaxed);
	uint64_t dirs = atomic_load_explicit(&pt->dirs, memory_order_relaxed);

	return tables * (SZ_4K + sizeof(struct pt_table)) +
	       dirs * (sizeof(struct pt_table *) << pt->fmt->level[1].bits);
}

uint64_t pt_frames_B(const struct pt *pt)
{
	uint64_t tables = atomic_load_explicit(&pt->tables, memory_order_relaxed);
	uint64_t evicted = atomic_load_explicit(&pt->evicted, memory_order_relaxed);

	/* One may go between the two looks. */
	return (tables - min_u64(evicted, tables)) * SZ_4K;
}

/* ---- the tree ------------------------------------------------------------------------------- */

int pt_init(struct pt *pt, struct mem *mem, const struct gpu_pt_format *fmt)
{
	const struct gpu_pte_attrs all = { .writable = true, .device = true, .pat = 0x1f };

	/* What the granules of this room are made for. */
	ASSERT(fmt->levels >= 2 && fmt->levels <= GPU_PT_MAX_LEVELS);
	ASSERT(fmt->level[0].shift == 12 && fmt->level[1].shift == 21 && fmt->compact_shift == 16);
	/* One encoding serves for both, see writer_init(). */
	ASSERT(gpu_pte_leaf(fmt, 0, true, 0, false, &all) ==
	       gpu_pte_leaf(fmt, 0, false, 0, false, &all));
	for (unsigned i = 2; i < fmt->levels; i++) {
		ASSERT(fmt->level[i].bits == fmt->level[1].bits);
		ASSERT(!fmt->level[i].leaf || (i == 2 && fmt->level[i].shift == 30));
	}
	*pt = (struct pt){ .mem = mem, .fmt = fmt };
	pt->root = pt_table_create(pt, true);
	if (!pt->root) {
		return -ENOMEM;
	}
	pt->root->level = (uint8_t)(fmt->levels - 1);
	port_mutex_init(&pt->lock, &pt_class);
	return 0;
}

/* As deep as there are levels. */
static void destroy_tree(struct pt *pt, struct pt_table *table)
{
	if (table->child) {
		for (unsigned i = 0; i < pt_entries(pt->fmt, table); i++) {
			if (table->child[i]) {
				destroy_tree(pt, table->child[i]);
			}
		}
	}
	table->parent = NULL;
	pt_table_destroy(pt, table);
}

void pt_fini(struct pt *pt)
{
	if (!pt->root) {
		return;
	}
	destroy_tree(pt, pt->root);
	pt->root = NULL;
	ASSERT(atomic_load(&pt->tables) == 0); /* else a pool was not released */
	ASSERT(!pt_has_evicted(pt));
	port_mutex_fini(&pt->lock);
}

struct pt_table *pt_find(struct pt *pt, uint64_t addr, uint64_t *next_out)
{
	const struct gpu_pt_format *fmt = pt->fmt;
	struct pt_table *table = pt->root;
	uint64_t span_B = BIT64(fmt->level[1].shift + fmt->level[1].bits);

	port_mutex_assert_held(&pt->lock);
	*next_out = align_down(addr, span_B) + span_B;
	if (pt->last && pt->last_start == *next_out - span_B) {
		return pt->last;
	}
	while (table->level > 1) {
		struct pt_table *child = table->child[pt_slot(fmt, table->level, addr)];

		if (!child) {
			span_B = BIT64(fmt->level[table->level].shift);
			*next_out = align_down(addr, span_B) + span_B;
			return table;
		}
		table = child;
	}
	pt->last = table;
	pt->last_start = *next_out - span_B;
	return table;
}

void pt_dir_link(struct pt *pt, struct pt_table *parent, unsigned slot, struct pt_table *table)
{
	uint64_t entry = gpu_pte_table(pt->fmt, parent->level, table->page.phys,
				       table->page.device, false);
	bool was = pt_entry(parent, slot) != 0;

	port_mutex_assert_held(&pt->lock);
	ASSERT(parent->level > 1 && !parent->child[slot]);
	ASSERT(!table->parent && table->child && (table->live != 0) == was);
	table->level = (uint8_t)(parent->level - 1);
	table->parent = parent;
	table->slot = slot;
	parent->child[slot] = table;
	parent->live += !was;
	__atomic_store_n(&parent->page.host[slot], entry, __ATOMIC_RELEASE);
}

void pt_dir_emptied(struct pt *pt, struct pt_pool *pool, struct pt_table *dir)
{
	port_mutex_assert_held(&pt->lock);
	ASSERT(dir->child && dir->live == 0);
	/* If it is on a list, that pool's release comes later and finds it. */
	if (dir != pt->root && list_empty(&dir->node)) {
		list_add_tail(&pool->emptied, &dir->node);
		pool->has_emptied = true;
	}
}

void pt_dir_unlink(struct pt *pt, struct pt_pool *pool, struct pt_table *dir, uint64_t entry)
{
	struct pt_table *parent = dir->parent;

	port_mutex_assert_held(&pt->lock);
	ASSERT(dir->pins == 0 && parent && parent->child[dir->slot] == dir && parent->live > 0);
	__atomic_store_n(&parent->page.host[dir->slot], entry, __ATOMIC_RELAXED);
	parent->child[dir->slot] = NULL;
	parent->live -= entry == 0;
	dir->parent = NULL;
	if (dir == pt->last) {
		pt->last = NULL;
	}
	list_del(&dir->node); /* of whatever pool */
	list_add_tail(&pool->dirs, &dir->node);
}

/* Takes out, upwards, the directories that nobody needs any more. */
static void drop_dirs(struct pt *pt, struct pt_pool *pool, struct pt_table *dir)
{
	while (dir != pt->root && dir->live == 0 && dir->pins == 0) {
		struct pt_table *parent = dir->parent;

		pt_dir_unlink(pt, pool, dir, 0);
		dir = parent;
	}
}

/* ---- pools ---------------------------------------------------------------------------------- */

void pt_pool_init(struct pt_pool *pool)
{
	*pool = (struct pt_pool){ 0 };
	list_init(&pool->tables);
	list_init(&pool->unlinked);
	list_init(&pool->dirs);
	list_init(&pool->pins);
	list_init(&pool->emptied);
}

static void release_dirs(struct pt *pt, struct pt_pool *pool)
{
	port_mutex_lock(&pt->lock);
	list_for_each_safe(pin, &pool->pins, struct pt_pin, node) {
		struct pt_table *dir = pin->dir;

		ASSERT(dir->child && dir->pins > 0);
		list_del(&pin->node);
		pin->dir = NULL;
		if (pin < pool->pin || pin >= pool->pin + PT_POOL_PINS) {
			port_free(pin);
		}
		dir->pins--;
		drop_dirs(pt, pool, dir);
	}
	while (!list_empty(&pool->emptied)) {
		struct pt_table *dir = list_first(&pool->emptied, struct pt_table, node);

		list_del(&dir->node);
		drop_dirs(pt, pool, dir);
	}
	port_mutex_unlock(&pt->lock);
}

void pt_release(struct pt *pt, struct pt_pool *pool)
{
	if (pool->has_emptied || !list_empty(&pool->pins)) {
		release_dirs(pt, pool);
	}
	pool->has_emptied = false;
	pool->missing = false;
	pool->may_lose = false;
	pool->lost_count = 0;
	destroy_list(pt, &pool->tables);
	destroy_list(pt, &pool->unlinked);
}

void pt_free_dirs(struct pt *pt, struct pt_pool *pool)
{
	destroy_list(pt, &pool->dirs);
}
