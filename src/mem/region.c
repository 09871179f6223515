// SPDX-License-Identifier: MIT
/*
 * Regions: buddy allocators over frames.
 *
 * A block is 1 << order frames, aligned to its size. Everything known about it is in the table
 * entry of its first frame, its head; the table is sparse memory, and only heads (and the heads of
 * buddies that are looked at for merging) are touched. An allocation takes the largest blocks that
 * fit into what is left, so that 2 GiB are two blocks of 1 GiB where such are free. Blocks that
 * happen to be neighbours become one extent; the blocks below it stay as they are and are found
 * again by walking heads when the extent is freed.
 *
 * Since an allocation is a multiple of the region's smallest page and takes the largest blocks
 * first, no block is ever smaller than that page: no order below it needs to be forbidden. Only
 * region_split_block() makes smaller ones, and these are freed together.
 *
 * Generations: see struct frame_block. region_free() moves the generation of each head it frees,
 * before the block can be found by anybody else. Merging and splitting change states and orders,
 * never generations.
 *
 * Locking: region.lock, a leaf. Nothing is allocated under it: blocks taken are first chained
 * through the table, and the array of extents is allocated after the lock was dropped.
 *
 *	ret = region_alloc(region, size_B, host, &extents, &count);
 *	...
 *	region_free(region, extents, count);
 */
#include "mem/mem.h"

static struct port_lock_class region_class = { .name = "region", .rank = RANK_LEAF };

static uint32_t frames_of(uint8_t order)
{
	ASSERT(order < FRAME_ORDERS);
	return (uint32_t)1 << order;
}

static uint64_t phys_of(const struct region *region, uint32_t frame)
{
	return region->base + ((uint64_t)frame << PAGE_SHIFT);
}

static uint32_t frame_at(const struct region *region, uint64_t phys)
{
	ASSERT(phys >= region->base && phys - region->base < region->size_B);
	return (uint32_t)((phys - region->base) >> PAGE_SHIFT);
}

/* How much of a block the CPU may map. */
static uint64_t visible_part_B(const struct region *region, uint32_t frame, uint8_t order)
{
	uint64_t start = (uint64_t)frame << PAGE_SHIFT;

	return start < region->visible_B ? min_u64(region->visible_B - start, SZ_4K << order) : 0;
}

/* ---- free lists ----------------------------------------------------------------------------- */

static void free_push(struct region *region, uint32_t frame, uint8_t order)
{
	struct frame_block *b = &region->block[frame];
	uint32_t next = region->free_head[order];

	ASSERT(frame % frames_of(order) == 0);
	ASSERT(frame < region->frames && frames_of(order) <= region->frames - frame);
	b->state = FRAME_FREE;
	b->order = order;
	b->host = 0;
	b->prev = FRAME_NIL;
	b->next = next;
	if (next != FRAME_NIL) {
		region->block[next].prev = frame;
	}
	region->free_head[order] = frame;
}

static void free_remove(struct region *region, uint32_t frame)
{
	struct frame_block *b = &region->block[frame];

	ASSERT(b->state == FRAME_FREE);
	if (b->prev == FRAME_NIL) {
		ASSERT(region->free_head[b->order] == frame);
		region->free_head[b->order] = b->next;
	} else {
		region->block[b->prev].next = b->next;
	}
	if (b->next != FRAME_NIL) {
		region->block[b->next].prev = b->prev;
	}
	b->state = FRAME_INSIDE;
}

/* Takes a block of exactly @order, from the smallest that holds one. FRAME_NIL: there is none. */
static uint32_t take_order(struct region *region, uint8_t order)
{
	uint8_t from = order;
	uint32_t frame;

	while (from < FRAME_ORDERS && region->free_head[from] == FRAME_NIL) {
		from++;
	}
	if (from == FRAME_ORDERS) {
		return FRAME_NIL;
	}
	frame = region->free_head[from];
	free_remove(region, frame);
	while (from > order) {
		from--;
		free_push(region, frame + frames_of(from), from);
	}
	region->block[frame].order = order;
	region->block[frame].state = FRAME_USED;
	region->visible_used_B += visible_part_B(region, frame, order);
	return frame;
}

/* Gives one used block back. */
static void give_back(struct region *region, uint32_t frame)
{
	struct frame_block *b = &region->block[frame];
	uint8_t order = b->order;

	ASSERT(b->state == FRAME_USED);
	region->visible_used_B -= visible_part_B(region, frame, order);
	atomic_fetch_add_explicit(&b->gen, 1, memory_order_release);
	b->state = FRAME_INSIDE;
	b->host = 0;
	while (order + 1u < FRAME_ORDERS) {
		uint32_t buddy = frame ^ frames_of(order);
		struct frame_block *o;

		if (buddy >= region->frames || frames_of(order) > region->frames - buddy) {
			break;
		}
		o = &region->block[buddy];
		if (o->state != FRAME_FREE || o->order != order) {
			break;
		}
		free_remove(region, buddy);
		frame = frame < buddy ? frame : buddy;
		order++;
	}
	free_push(region, frame, order);
}

/* ---- whole regions -------------------------------------------------------------------------- */

int region_init(struct region *region, const char *name, unsigned index, bool device,
		uint64_t size_B, uint64_t min_page_B)
{
	ASSERT(min_page_B >= SZ_4K && is_aligned(min_page_B, min_page_B));
	ASSERT(size_B > 0 && is_aligned(size_B, min_page_B));
	ASSERT(size_B >> PAGE_SHIFT < FRAME_NIL);
	*region = (struct region){
		.name = name,
		.index = index,
		.device = device,
		.size_B = size_B,
		.visible_B = size_B,
		.min_page_B = min_page_B,
		.frames = (uint32_t)(size_B >> PAGE_SHIFT),
	};
	region->block = port_reserve((size_t)region->frames * sizeof(*region->block));
	if (!region->block) {
		*region = (struct region){ 0 };
		return -ENOMEM;
	}
	port_mutex_init(&region->lock, &region_class);
	for (unsigned i = 0; i < FRAME_ORDERS; i++) {
		region->free_head[i] = FRAME_NIL;
	}
	/* The largest aligned blocks that fit, upwards. */
	for (uint32_t frame = 0; frame < region->frames;) {
		unsigned order = log2_floor(region->frames - frame);

		if (frame) {
			order = (unsigned)min_u64(order, (unsigned)__builtin_ctz(frame));
		}
		order = (unsigned)min_u64(order, FRAME_ORDERS - 1);
		free_push(region, frame, (uint8_t)order);
		frame += frames_of((uint8_t)order);
	}
	return 0;
}

void region_fini(struct region *region)
{
	if (!region->block) {
		return;
	}
	ASSERT(region->used_B == 0);
	port_mutex_fini(&region->lock);
	port_unreserve(region->block, (size_t)region->frames * sizeof(*region->block));
	region->block = NULL;
}

static uint32_t check_list(struct region *region, uint8_t order)
{
	uint32_t prev = FRAME_NIL, total = 0;

	for (uint32_t f = region->free_head[order]; f != FRAME_NIL; f = region->block[f].next) {
		const struct frame_block *b = &region->block[f];

		ASSERT(f < region->frames && b->state == FRAME_FREE && b->order == order);
		ASSERT(b->prev == prev);
		prev = f;
		total += frames_of(order);
		ASSERT(total <= region->frames); /* else the list is a ring */
	}
	return total;
}

void region_check(struct region *region)
{
	uint32_t listed = 0, free = 0, used = 0;
	uint64_t visible_used_B = 0;

	port_mutex_lock(&region->lock);
	for (uint8_t order = 0; order < FRAME_ORDERS; order++) {
		listed += check_list(region, order);
	}
	for (uint32_t f = 0; f < region->frames;) {
		const struct frame_block *b = &region->block[f];
		uint32_t n = frames_of(b->order);

		ASSERT(b->state == FRAME_FREE || b->state == FRAME_USED);
		ASSERT(f % n == 0 && n <= region->frames - f);
		for (uint32_t i = 1; i < n; i++) {
			ASSERT(region->block[f + i].state == FRAME_INSIDE);
		}
		if (b->state == FRAME_FREE) {
			free += n;
		} else {
			used += n;
			visible_used_B += visible_part_B(region, f, b->order);
		}
		f += n;
	}
	ASSERT(listed == free && free + used == region->frames);
	ASSERT((uint64_t)used << PAGE_SHIFT == region->used_B);
	ASSERT(visible_used_B == region->visible_used_B);
	port_mutex_unlock(&region->lock);
}

/* ---- allocation ----------------------------------------------------------------------------- */

/* Chains the largest blocks for @left frames through .next; there is room. Returns their number. */
static uint32_t take_chain(struct region *region, uint32_t left, uint64_t host, uint32_t *head_out)
{
	uint8_t order = (uint8_t)min_u64(log2_floor(left), FRAME_ORDERS - 1);
	uint32_t blocks = 0, tail = FRAME_NIL;

	while (left) {
		uint32_t frame;

		while (frames_of(order) > left) {
			order--;
		}
		frame = take_order(region, order);
		if (frame == FRAME_NIL) {
			/* None is left of this order or above. */
			ASSERT(order > 0);
			order--;
			continue;
		}
		region->block[frame].host = host;
		region->block[frame].next = FRAME_NIL;
		if (tail == FRAME_NIL) {
			*head_out = frame;
		} else {
			region->block[tail].next = frame;
		}
		tail = frame;
		host += (uint64_t)frames_of(order) << PAGE_SHIFT;
		left -= frames_of(order);
		blocks++;
	}
	return blocks;
}

static void free_chain(struct region *region, uint32_t head)
{
	while (head != FRAME_NIL) {
		uint32_t next = region->block[head].next;

		region->used_B -= (uint64_t)frames_of(region->block[head].order) << PAGE_SHIFT;
		give_back(region, head);
		head = next;
	}
}

static unsigned chain_extents(const struct region *region, uint32_t head, struct extent *extents)
{
	unsigned count = 0;

	for (uint32_t f = head; f != FRAME_NIL; f = region->block[f].next) {
		struct extent *last = count ? &extents[count - 1] : NULL;
		uint64_t phys = phys_of(region, f);
		uint64_t size_B = (uint64_t)frames_of(region->block[f].order) << PAGE_SHIFT;

		if (last && last->phys + last->size_B == phys) {
			last->size_B += size_B;
		} else {
			extents[count++] = (struct extent){ .phys = phys, .size_B = size_B };
		}
	}
	return count;
}

int region_alloc(struct region *region, uint64_t size_B, uint64_t host, struct extent **extents_out,
		 unsigned *count_out)
{
	uint32_t head = FRAME_NIL, blocks;
	struct extent *extents;

	ASSERT(size_B > 0 && is_aligned(size_B, region->min_page_B));
	if (port_fault_hit(PORT_FAULT_ALLOC)) {
		return -ENOMEM;
	}
	port_mutex_lock(&region->lock);
	if (size_B > region->size_B - region->used_B) {
		port_mutex_unlock(&region->lock);
		return -ENOSPC;
	}
	region->used_B += size_B;
	blocks = take_chain(region, (uint32_t)(size_B >> PAGE_SHIFT), host, &head);
	port_mutex_unlock(&region->lock);

	/* The chain is ours: nobody else looks at .next of a used block. */
	extents = port_alloc(blocks * sizeof(*extents));
	if (!extents) {
		port_mutex_lock(&region->lock);
		free_chain(region, head);
		port_mutex_unlock(&region->lock);
		return -ENOMEM;
	}
	*count_out = chain_extents(region, head, extents);
	*extents_out = extents;
	return 0;
}

int region_alloc_block(struct region *region, unsigned order, uint64_t host, uint64_t *phys_out)
{
	uint32_t frame;

	if (port_fault_hit(PORT_FAULT_ALLOC)) {
		return -ENOMEM;
	}
	if (order >= FRAME_ORDERS) {
		return -ENOSPC;
	}
	ASSERT(is_aligned(SZ_4K << order, region->min_page_B));
	port_mutex_lock(&region->lock);
	frame = take_order(region, (uint8_t)order);
	if (frame != FRAME_NIL) {
		region->block[frame].host = host;
		region->used_B += SZ_4K << order;
	}
	port_mutex_unlock(&region->lock);
	if (frame == FRAME_NIL) {
		return -ENOSPC;
	}
	*phys_out = phys_of(region, frame);
	return 0;
}

void region_split_block(struct region *region, uint64_t phys, uint64_t host)
{
	uint32_t head = frame_at(region, phys), n;

	port_mutex_lock(&region->lock);
	ASSERT(head < region->frames && region->block[head].state == FRAME_USED);
	n = frames_of(region->block[head].order);
	for (uint32_t i = 0; i < n; i++) {
		struct frame_block *b = &region->block[head + i];

		ASSERT(i == 0 || b->state == FRAME_INSIDE);
		b->state = FRAME_USED;
		b->order = 0;
		b->host = host + ((uint64_t)i << PAGE_SHIFT);
	}
	port_mutex_unlock(&region->lock);
}

void region_free_range(struct region *region, uint64_t phys, uint64_t size_B)
{
	uint32_t frame = frame_at(region, phys);
	uint32_t left = (uint32_t)(size_B >> PAGE_SHIFT);

	ASSERT(is_aligned(phys | size_B, PAGE_SIZE));
	ASSERT(range_inside(phys - region->base, size_B, region->size_B));
	port_mutex_lock(&region->lock);
	ASSERT(size_B <= region->used_B);
	region->used_B -= size_B;
	while (left) {
		uint32_t n = frames_of(region->block[frame].order);

		ASSERT(n <= left);
		give_back(region, frame);
		frame += n;
		left -= n;
	}
	port_mutex_unlock(&region->lock);
}

void region_free(struct region *region, struct extent *extents, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		ASSERT(extents[i].size_B > 0);
		region_free_range(region, extents[i].phys, extents[i].size_B);
	}
	port_free(extents);
}

/* ---- lookup --------------------------------------------------------------------------------- */

int region_find(struct region *region, uint64_t phys, struct gpu_page *page_out)
{
	uint32_t frame;
	int ret = -EFAULT;

	if (phys < region->base || phys - region->base >= region->size_B) {
		return -EFAULT;
	}
	frame = frame_at(region, phys);
	port_mutex_lock(&region->lock);
	/* The first head at or below, by alignment, is the one: blocks do not overlap. */
	for (uint8_t order = 0; order < FRAME_ORDERS; order++) {
		uint32_t head = frame & ~(frames_of(order) - 1);
		const struct frame_block *b = &region->block[head];

		if (b->state == FRAME_INSIDE || b->order < order) {
			continue;
		}
		if (b->state == FRAME_USED) {
			*page_out = (struct gpu_page){
				.phys = phys_of(region, head),
				.size_B = SZ_4K << b->order,
				.host = (void *)(uintptr_t)b->host,
				.gen_cell = &b->gen,
				.gen = atomic_load_explicit(&b->gen, memory_order_relaxed),
			};
			ASSERT(phys - page_out->phys < page_out->size_B);
			ret = 0;
		}
		break;
	}
	port_mutex_unlock(&region->lock);
	return ret;
}
