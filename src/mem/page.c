// SPDX-License-Identifier: MIT
/*
 * Pages for page tables: single frames of system memory with host memory of their own.
 *
 * They are cut from slabs of up to 64 frames, so that a table costs neither a search of the region
 * nor a call of the host. Each frame of a slab is a block by itself in the region's table: a lookup
 * finds it at once, and its generation moves when the page is given back.
 *
 * Pages that wait in a slab are zeroed: they are cleaned when they come back, while they are warm.
 * One empty slab is kept, from mem_init() on, so that the first table of a device and a bind and
 * unbind at a slab's boundary stay cheap.
 *
 * Locking: mem.slabs_lock, a leaf; not held while a slab is made or freed.
 */
#include "mem/mem_priv.h"

#define SLAB_ORDER 6
#define SLAB_B (SZ_4K << SLAB_ORDER)

struct page_slab {
	struct list node; /* mem.slabs while it has room; by mem.slabs_lock */
	uint64_t phys;
	uint64_t size_B;  /* a region in pieces may give less than SLAB_B */
	uint64_t *host;   /* port_reserve()d, SLAB_B */
	uint64_t room;    /* bit i: page i is free; by mem.slabs_lock */
	uint64_t all;     /* @room of an empty slab */
};

static struct port_lock_class slabs_class = { .name = "page_slabs", .rank = RANK_LEAF };

static struct region *slab_region(struct mem *mem)
{
	return &mem->region[MEM_SYSTEM];
}

/* NULL without memory, of the host or of the region. */
static struct page_slab *slab_create(struct mem *mem)
{
	struct page_slab *slab = port_alloc(sizeof(*slab));
	unsigned order = SLAB_ORDER;
	int ret;

	if (!slab) {
		return NULL;
	}
	list_init(&slab->node);
	slab->host = port_reserve(SLAB_B);
	if (!slab->host) {
		port_free(slab);
		return NULL;
	}
	ret = region_alloc_block(slab_region(mem), order, 0, &slab->phys);
	while (ret == -ENOSPC && order > 0) {
		order--;
		ret = region_alloc_block(slab_region(mem), order, 0, &slab->phys);
	}
	if (ret) {
		port_unreserve(slab->host, SLAB_B);
		port_free(slab);
		return NULL;
	}
	slab->size_B = SZ_4K << order;
	slab->all = ~(uint64_t)0 >> (64u - (1u << order));
	slab->room = slab->all;
	region_split_block(slab_region(mem), slab->phys, (uint64_t)(uintptr_t)slab->host);
	return slab;
}

static void slab_destroy(struct mem *mem, struct page_slab *slab)
{
	if (!slab) {
		return;
	}
	ASSERT(slab->room == slab->all && list_empty(&slab->node));
	region_free_range(slab_region(mem), slab->phys, slab->size_B);
	port_unreserve(slab->host, SLAB_B);
	port_free(slab);
}

/* An empty slab joins those with room; slabs_lock held. */
static void slab_add(struct mem *mem, struct page_slab *slab)
{
	port_mutex_assert_held(&mem->slabs_lock);
	ASSERT(list_empty(&slab->node) && slab->room == slab->all && mem->slabs_empty == 0);
	list_add_tail(&mem->slabs, &slab->node);
	mem->slabs_empty++;
}

int mem_slabs_init(struct mem *mem)
{
	struct page_slab *slab = slab_create(mem);

	if (!slab) {
		return -ENOMEM;
	}
	port_mutex_init(&mem->slabs_lock, &slabs_class);
	list_init(&mem->slabs);
	port_mutex_lock(&mem->slabs_lock);
	slab_add(mem, slab);
	port_mutex_unlock(&mem->slabs_lock);
	return 0;
}

void mem_slabs_fini(struct mem *mem)
{
	list_for_each_safe(slab, &mem->slabs, struct page_slab, node) {
		ASSERT(slab->room == slab->all);
		list_del(&slab->node);
		mem->slabs_empty--;
		slab_destroy(mem, slab);
	}
	ASSERT(mem->slabs_empty == 0);
	port_mutex_fini(&mem->slabs_lock);
}

/* A page of the first slab with room, which is a partly used one if there is any. */
static bool slab_take(struct mem *mem, struct frame_page *page_out)
{
	struct page_slab *slab;
	unsigned i;

	port_mutex_assert_held(&mem->slabs_lock);
	if (list_empty(&mem->slabs)) {
		return false;
	}
	slab = list_first(&mem->slabs, struct page_slab, node);
	ASSERT(slab->room != 0);
	if (slab->room == slab->all) {
		ASSERT(mem->slabs_empty > 0);
		mem->slabs_empty--;
	}
	i = (unsigned)__builtin_ctzll(slab->room);
	slab->room &= ~BIT64(i);
	if (!slab->room) {
		list_del(&slab->node);
	}
	*page_out = (struct frame_page){
		.phys = slab->phys + ((uint64_t)i << PAGE_SHIFT),
		.device = slab_region(mem)->device,
		.host = slab->host + i * (SZ_4K / sizeof(uint64_t)),
		.slab = slab,
	};
	return true;
}

int frame_page_alloc(struct mem *mem, struct frame_page *page_out)
{
	if (port_fault_hit(PORT_FAULT_ALLOC)) {
		return -ENOMEM;
	}
	for (;;) {
		struct page_slab *slab;
		bool taken;

		port_mutex_lock(&mem->slabs_lock);
		taken = slab_take(mem, page_out);
		port_mutex_unlock(&mem->slabs_lock);
		if (taken) {
			return 0;
		}
		slab = slab_create(mem);
		if (!slab) {
			return -ENOMEM;
		}
		/* Meanwhile somebody else may have made one, or given a page back. */
		port_mutex_lock(&mem->slabs_lock);
		if (list_empty(&mem->slabs)) {
			slab_add(mem, slab);
			slab = NULL;
		}
		port_mutex_unlock(&mem->slabs_lock);
		slab_destroy(mem, slab);
	}
}

void frame_page_free(struct mem *mem, struct frame_page *page)
{
	struct region *region = slab_region(mem);
	struct page_slab *slab = page->slab, *drop = NULL;
	uint32_t i;

	if (!page->host) {
		return;
	}
	ASSERT(page->phys >= slab->phys && page->phys - slab->phys < slab->size_B);
	i = (uint32_t)((page->phys - slab->phys) >> PAGE_SHIFT);
	atomic_fetch_add_explicit(&region->block[page->phys >> PAGE_SHIFT].gen, 1,
				  memory_order_release);
	memset(page->host, 0, SZ_4K);
	*page = (struct frame_page){ 0 };

	port_mutex_lock(&mem->slabs_lock);
	ASSERT(!(slab->room & BIT64(i)));
	if (!slab->room) {
		list_add_head(&mem->slabs, &slab->node);
	}
	slab->room |= BIT64(i);
	if (slab->room == slab->all) {
		list_del(&slab->node);
		if (mem->slabs_empty) {
			drop = slab;
		} else {
			slab_add(mem, slab);
		}
	}
	port_mutex_unlock(&mem->slabs_lock);
	slab_destroy(mem, drop);
}
