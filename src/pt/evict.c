// SPDX-License-Identifier: MIT
/*
 * Tables without frames: when those run out, a tree that nobody uses can give up all but its root.
 *
 * An evicted table stays what it is and where it is: shadow, counts, pins and links do not change.
 * Only page.host is an image on the heap instead of a frame, and the entry above is not present
 * (gpu/format.h). It is not 0, so that a directory counts an evicted table among its live entries.
 * Whoever changes entries changes those at page.host and need not know. Nobody ever links a table
 * that is evicted, because tables from pools are not. So a pending job writes, cuts and unlinks as
 * planned. Its tables have frames, also below a directory that has none: their links are in its
 * image, and go into its new frame with the rest.
 *
 * Evicting goes up, level by level: a directory without a frame makes all those below it useless.
 * Restoring goes down: what has a frame again can be reached. Nothing else depends on the order:
 * any table may be in a frame or not, whatever is above and below it.
 *
 * What a walk finds. Evicting copies first, then one store in the entry above hides the table. The
 * frame is not written any more, so a walk that is inside it sees the tree as it was; a job that
 * changes the image meanwhile invalidates, if its range could be in use, and that waits for the
 * epoch of this walk too. The frame is given back when all such walks have ended. Restoring fills a
 * frame that nobody knows, then one store, a release, shows it. A walk sees the one entry or the
 * other: it faults, or translates as it should. No invalidation has to follow, for there is nothing
 * to drop: the hardware keeps translations, not misses, and no entries of directories; what it has
 * kept since before the eviction is right or was invalidated by the job that changed it.
 *
 * Locking: pages are made and freed without pt.lock; it is taken for at most LOOKS slots at a time,
 * since bind jobs wait for it. What changes the tree in between does no harm: the way over a level
 * is an address. Tables that are linked behind it have frames.
 *
 *	pt_evict(pt, n, &eviction, &evicted);		no engine uses the tree
 *	...						every access epoch has ended
 *	pt_evict_finish(pt, &eviction);
 *	...						jobs reserve, write, clear, release
 *	ret = pt_restore(pt);				0: engines may
 */
#include "pt/pt_priv.h"

#define PAGES 62u /* together 2 KiB */
#define LOOKS 4096u

/* What tables get in exchange, then what they gave. */
struct pt_pages {
	struct list node; /* pt_eviction.pages */
	unsigned count;
	unsigned used; /* exchanged */
	struct frame_page page[PAGES];
};

static int page_make(struct pt *pt, bool evict, struct frame_page *page_out)
{
	if (!evict) {
		return pt_frame_alloc(pt, page_out);
	}
	*page_out = (struct frame_page){ .host = port_alloc(SZ_4K) };
	return page_out->host ? 0 : -ENOMEM;
}

static void pages_destroy(struct pt *pt, struct pt_pages *pages)
{
	if (!pages) {
		return;
	}
	ASSERT(list_empty(&pages->node) && pages->used <= pages->count);
	for (unsigned i = 0; i < pages->count; i++) {
		pt_page_free(pt, &pages->page[i]);
	}
	port_free(pages);
}

/* At most @n of them, at least one, or NULL. */
static struct pt_pages *pages_create(struct pt *pt, bool evict, uint64_t n)
{
	struct pt_pages *pages = port_alloc(sizeof(*pages));

	if (!pages) {
		return NULL;
	}
	list_init(&pages->node);
	while (pages->count < PAGES && pages->count < n &&
	       !page_make(pt, evict, &pages->page[pages->count])) {
		pages->count++;
	}
	if (!pages->count) {
		port_free(pages);
		return NULL;
	}
	return pages;
}

/* The linked table of @level that is for @addr, or NULL; *@next_out: where to ask next. */
static struct pt_table *table_at(const struct pt *pt, unsigned level, uint64_t addr,
				 uint64_t *next_out)
{
	struct pt_table *table = pt->root;
	uint64_t span_B;

	ASSERT(level < table->level);
	do {
		span_B = BIT64(pt->fmt->level[table->level].shift);
		table = table->child[pt_slot(pt->fmt, table->level, addr)];
	} while (table && table->level > level);
	*next_out = align_down(addr, span_B) + span_B;
	return table;
}

/* The table gives its page for another. */
static void exchange(struct pt *pt, struct pt_table *table, struct frame_page *page)
{
	struct frame_page old = table->page;
	unsigned above = table->level + 1u;
	uint64_t entry = gpu_pte_evicted(pt->fmt);

	ASSERT(table->parent && table->parent->child[table->slot] == table);
	memcpy(page->host, old.host, pt_entries(pt->fmt, table) * sizeof(*old.host));
	table->page = *page;
	*page = old;
	if (pt_is_evicted(table)) {
		atomic_fetch_add_explicit(&pt->evicted, 1, memory_order_relaxed);
	} else {
		atomic_fetch_sub_explicit(&pt->evicted, 1, memory_order_relaxed);
		entry = gpu_pte_table(pt->fmt, above, table->page.phys, table->page.device,
				      table->compact);
	}
	__atomic_store_n(&table->parent->page.host[table->slot], entry, __ATOMIC_RELEASE);
}

/*
 * Exchanges pages of tables of @level from *@addr_io on, which is moved over what needs no look any
 * more. False: a page is wanted.
 */
static bool exchange_some(struct pt *pt, bool evict, unsigned level, uint64_t *addr_io,
			  struct pt_pages *pages)
{
	uint64_t next;

	port_mutex_assert_held(&pt->lock);
	for (unsigned i = 0; i < LOOKS && *addr_io < BIT64(pt->fmt->va_bits); i++) {
		struct pt_table *table = table_at(pt, level, *addr_io, &next);

		if (table && pt_is_evicted(table) != evict) {
			if (!pages || pages->used == pages->count) {
				return false;
			}
			exchange(pt, table, &pages->page[pages->used++]);
		}
		*addr_io = next;
	}
	return true;
}

/* The pages that tables gave, and those nobody wanted, go onto @given, or away if that is NULL. */
static void pages_done(struct pt *pt, struct pt_pages *pages, struct list *given)
{
	if (pages && given) {
		list_add_tail(given, &pages->node);
	} else {
		pages_destroy(pt, pages);
	}
}

/* All of one level, or until *@left_io is 0. Evicts if there is @given. */
static int exchange_level(struct pt *pt, unsigned level, struct list *given, uint64_t *left_io)
{
	struct pt_pages *pages = NULL;
	uint64_t addr = 0, end = BIT64(pt->fmt->va_bits);
	int ret = 0;

	while (!ret && addr < end && *left_io) {
		unsigned before = pages ? pages->used : 0;
		bool enough;

		port_mutex_lock(&pt->lock);
		enough = exchange_some(pt, given != NULL, level, &addr, pages);
		port_mutex_unlock(&pt->lock);
		*left_io -= pages ? pages->used - before : 0;
		if (enough || !*left_io) {
			continue;
		}
		pages_done(pt, pages, given);
		pages = pages_create(pt, given != NULL, *left_io);
		ret = pages ? 0 : -ENOMEM;
	}
	pages_done(pt, pages, given);
	return ret;
}

int pt_evict(struct pt *pt, uint64_t max_tables, struct pt_eviction *eviction,
	     uint64_t *evicted_out)
{
	uint64_t have = pt_frames_B(pt) / SZ_4K, left = min_u64(max_tables, have), all = left;
	int ret = 0;

	list_init(&eviction->pages);
	for (unsigned level = 0; level < pt->root->level && !ret; level++) {
		ret = exchange_level(pt, level, &eviction->pages, &left);
	}
	*evicted_out = all - left;
	return ret;
}

void pt_evict_finish(struct pt *pt, struct pt_eviction *eviction)
{
	list_for_each_safe(pages, &eviction->pages, struct pt_pages, node) {
		list_del(&pages->node);
		pages_destroy(pt, pages);
	}
}

int pt_restore(struct pt *pt)
{
	uint64_t left = atomic_load_explicit(&pt->evicted, memory_order_relaxed);
	int ret = 0;

	for (unsigned level = pt->root->level; level-- > 0 && !ret;) {
		ret = exchange_level(pt, level, NULL, &left);
	}
	return ret;
}
