// SPDX-License-Identifier: MIT
/*
 * The tree of tables: its tables, directories, pins, and what becomes of those taken out.
 *
 * Every table has a shadow, struct pt_table, with what the entries cannot say: counts, the parent,
 * and (directories) the shadows of the tables below. Entries are the truth for the hardware and are
 * always written with single 64-bit stores; a new table is complete before the store that links it,
 * which is a release.
 *
 * A directory is there because something below it is live, or because a reservation counts on it:
 * only level-1 directories are pinned, those above are held by their live entry. pt_release() drops
 * the pins of a job and unlinks upwards whatever nobody needs any more. Since the pins are exactly
 * the directories a job could have emptied, no search is needed.
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
	if (frame_page_alloc(pt->mem, &table->page)) {
		goto fail;
	}
	return table;
fail:
	pt_table_destroy(pt, table);
	return NULL;
}

void pt_table_destroy(struct pt *pt, struct pt_table *table)
{
	if (!table) {
		return;
	}
	ASSERT(!table->parent && list_empty(&table->node) && table->pins == 0);
	frame_page_free(pt->mem, &table->page);
	port_free(table->child);
	port_free(table);
}

static unsigned list_length(const struct list *list)
{
	unsigned n = 0;

	list_for_each(table, list, struct pt_table, node) {
		n++;
	}
	return n;
}

/* Destroys what is on @list; already taken off the count. */
static void destroy_list(struct pt *pt, struct list *list)
{
	list_for_each_safe(table, list, struct pt_table, node) {
		list_del(&table->node);
		pt_table_destroy(pt, table);
	}
}

/* ---- the tree ------------------------------------------------------------------------------- */

int pt_init(struct pt *pt, struct mem *mem, const struct gpu_pt_format *fmt)
{
	/* What the granules of this room are made for. */
	ASSERT(fmt->levels >= 2 && fmt->levels <= GPU_PT_MAX_LEVELS);
	ASSERT(fmt->level[0].shift == 12 && fmt->level[1].shift == 21 && fmt->compact_shift == 16);
	for (unsigned i = 2; i < fmt->levels; i++) {
		ASSERT(fmt->level[i].bits == fmt->level[1].bits);
	}
	*pt = (struct pt){ .mem = mem, .fmt = fmt };
	pt->root = pt_table_create(pt, true);
	if (!pt->root) {
		return -ENOMEM;
	}
	pt->root->level = (uint8_t)(fmt->levels - 1);
	pt->tables = 1;
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
	ASSERT(pt->tables > 0);
	pt->tables--;
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
	ASSERT(pt->tables == 0); /* else a pool was not released */
	port_mutex_fini(&pt->lock);
}

struct pt_table *pt_dir(struct pt *pt, uint64_t addr, uint64_t *next_out)
{
	const struct gpu_pt_format *fmt = pt->fmt;
	struct pt_table *table = pt->root;

	port_mutex_assert_held(&pt->lock);
	while (table->level > 1) {
		uint64_t span_B = BIT64(fmt->level[table->level].shift);

		*next_out = align_down(addr, span_B) + span_B;
		table = table->child[pt_slot(fmt, table->level, addr)];
		if (!table) {
			return NULL;
		}
	}
	if (fmt->levels == 2) {
		*next_out = BIT64(fmt->va_bits);
	}
	return table;
}

void pt_dir_link(struct pt *pt, struct pt_table *parent, unsigned slot, struct pt_table *table)
{
	uint64_t entry = gpu_pte_table(pt->fmt, parent->level, table->page.phys,
				       table->page.device, false);

	port_mutex_assert_held(&pt->lock);
	ASSERT(parent->level > 1 && !parent->child[slot] && pt_entry(parent, slot) == 0);
	ASSERT(!table->parent && table->child && table->live == 0);
	table->level = (uint8_t)(parent->level - 1);
	table->parent = parent;
	table->slot = slot;
	parent->child[slot] = table;
	parent->live++;
	pt->tables++;
	__atomic_store_n(&parent->page.host[slot], entry, __ATOMIC_RELEASE);
}

/* Drops a pin and takes out, upwards, the directories that nobody needs any more. */
static void dir_unpin(struct pt *pt, struct pt_pool *pool, struct pt_table *dir)
{
	port_mutex_assert_held(&pt->lock);
	ASSERT(dir->level == 1 && dir->pins > 0);
	dir->pins--;
	while (dir != pt->root && dir->live == 0 && dir->pins == 0) {
		struct pt_table *parent = dir->parent;

		ASSERT(parent && parent->child[dir->slot] == dir && parent->live > 0);
		__atomic_store_n(&parent->page.host[dir->slot], 0, __ATOMIC_RELAXED);
		parent->child[dir->slot] = NULL;
		parent->live--;
		dir->parent = NULL;
		list_add_tail(&pool->dirs, &dir->node);
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
}

void pt_release(struct pt *pt, struct pt_pool *pool)
{
	unsigned n;

	port_mutex_lock(&pt->lock);
	list_for_each_safe(pin, &pool->pins, struct pt_pin, node) {
		list_del(&pin->node);
		dir_unpin(pt, pool, pin->dir);
		port_free(pin);
	}
	n = list_length(&pool->tables) + list_length(&pool->unlinked);
	ASSERT(n <= pt->tables);
	pt->tables -= n;
	port_mutex_unlock(&pt->lock);
	pool->want = 0;
	destroy_list(pt, &pool->tables);
	destroy_list(pt, &pool->unlinked);
}

void pt_free_dirs(struct pt *pt, struct pt_pool *pool)
{
	unsigned n = list_length(&pool->dirs);

	if (!n) {
		return;
	}
	port_mutex_lock(&pt->lock);
	ASSERT(n <= pt->tables);
	pt->tables -= n;
	port_mutex_unlock(&pt->lock);
	destroy_list(pt, &pool->dirs);
}
