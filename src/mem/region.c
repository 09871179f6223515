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
 * A region whose end is hidden from the CPU is two, as far as free blocks go: each part has its own
 * lists, and buddies on both sides of the border never merge. So an allocation can be kept to one
 * part, and the visible one stays free for those who need it as long as the other has room.
 *
 * Generations: see struct frame_block. region_free() moves the generation of each head it frees,
 * before the block can be found by anybody else. Merging and splitting free blocks changes states
 * and orders, never generations.
 *
 * Locking: region.lock, a leaf, for whoever changes anything. Nothing is allocated under it: blocks
 * taken are first chained through the table, and the array of extents is allocated after the lock
 * was dropped.
 *
 * Lookups take no lock: the GPU makes one in every step of a table walk. The state and the order of
 * a head are one word; what a lookup reads of a head is atomic:
 *
 *	free			allocate		lookup
 *	F1 word = inside	A1 host			L1 gen
 *	F2 gen + 1		A2 word = used, order	L2 word
 *							L3 host
 *							L4 gen moved since L1? again
 *
 * F2, A1 and A2 release; L1, L2 and L3 acquire. A used block that is split is freed and allocated
 * in this sense. Of one head frees and allocations alternate, ordered by the lock. Claim: word,
 * host and generation that get past L4 are of one allocation, if the word says "used". Call it a,
 * the one whose A2 was read at L2, and the free that ends it f.
 *  - The generation is not from before a. Else L4 would see the free that came before a, since A2
 *    of a comes after it and L2 has acquired that.
 *  - Nor is it f's or a later one. Else L1 would have acquired F2 of f, and F1 with it, and L2
 *    could not find what F1 had overwritten. For this a free changes the word first: in between,
 *    with F2 before F1, the old block would be found with a generation that stays.
 *  - The host is a's or a later one, A1 being before A2. Were it a later one, L3 would have
 *    acquired an A1 that comes after f, and L4 would see F2 of f.
 * So F2 of f moves what was found, and whoever looks at the generation after f knows. (Between L1
 * and L4 there are less than 2^32 frees. The generation of a page of a slab moves while its block
 * stays used, see page.c; word and host are the same before and after.)
 *
 * The head of the block around a frame is the frame's number with some of its lowest bits cleared.
 * A lookup tries them from the smallest block on, so that a page of a table is found at once. Each
 * try is about one head by itself: a head that was used with its order had the frame inside, or had
 * not, whatever its neighbours did meanwhile. A block that stays used is not missed: frames inside
 * it are no heads, so nothing that is tried before its own head stops the search.
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

/* State and order in one word, so that a lookup reads both at once. */
static unsigned head_word(enum frame_state state, uint8_t order)
{
	return (unsigned)order << 8 | (unsigned)state;
}

static enum frame_state state_in(unsigned word)
{
	return (enum frame_state)(word & 0xff);
}

static uint8_t order_in(unsigned word)
{
	return (uint8_t)(word >> 8);
}

/* By whoever holds the lock, which orders all changes. */
static unsigned head_of(const struct frame_block *b)
{
	return atomic_load_explicit(&b->head, memory_order_relaxed);
}

static enum frame_state state_of(const struct frame_block *b)
{
	return state_in(head_of(b));
}

static uint8_t order_of(const struct frame_block *b)
{
	return order_in(head_of(b));
}

/* A1 and A2. */
static void head_use(struct frame_block *b, uint8_t order, uint64_t host)
{
	atomic_store_explicit(&b->host, host, memory_order_release);
	atomic_store_explicit(&b->head, head_word(FRAME_USED, order), memory_order_release);
}

/* F1 and F2: from here on nothing that was remembered of the block is good. */
static void head_unuse(struct frame_block *b)
{
	ASSERT(state_of(b) == FRAME_USED);
	atomic_store_explicit(&b->head, head_word(FRAME_INSIDE, 0), memory_order_relaxed);
	atomic_fetch_add_explicit(&b->gen, 1, memory_order_release);
}

static enum region_part part_of(const struct region *region, uint32_t frame)
{
	return (uint64_t)frame << PAGE_SHIFT < region->visible_B ? PART_VISIBLE : PART_HIDDEN;
}

/* How much of a block the CPU may map. */
static uint64_t visible_part_B(const struct region *region, uint32_t frame, uint8_t order)
{
	return part_of(region, frame) == PART_VISIBLE ? SZ_4K << order : 0;
}

/* ---- free lists ----------------------------------------------------------------------------- */

static uint32_t *free_head(struct region *region, uint32_t frame, uint8_t order)
{
	return &region->free_head[part_of(region, frame)][order];
}

static void free_push(struct region *region, uint32_t frame, uint8_t order)
{
	struct frame_block *b = &region->block[frame];
	uint32_t *head = free_head(region, frame, order), next = *head;

	ASSERT(frame % frames_of(order) == 0);
	ASSERT(frame < region->frames && frames_of(order) <= region->frames - frame);
	ASSERT(part_of(region, frame) == part_of(region, frame + frames_of(order) - 1));
	atomic_store_explicit(&b->head, head_word(FRAME_FREE, order), memory_order_relaxed);
	b->prev = FRAME_NIL;
	b->next = next;
	if (next != FRAME_NIL) {
		region->block[next].prev = frame;
	}
	*head = frame;
}

static void free_remove(struct region *region, uint32_t frame)
{
	struct frame_block *b = &region->block[frame];

	ASSERT(state_of(b) == FRAME_FREE);
	if (b->prev == FRAME_NIL) {
		ASSERT(*free_head(region, frame, order_of(b)) == frame);
		*free_head(region, frame, order_of(b)) = b->next;
	} else {
		region->block[b->prev].next = b->next;
	}
	if (b->next != FRAME_NIL) {
		region->block[b->next].prev = b->prev;
	}
	atomic_store_explicit(&b->head, head_word(FRAME_INSIDE, 0), memory_order_relaxed);
}

/* Takes a block of exactly @order, from the smallest that holds one. FRAME_NIL: there is none. */
static uint32_t take_order(struct region *region, enum region_part part, uint8_t order,
			   uint64_t host)
{
	uint8_t from = order;
	uint32_t frame;

	while (from < FRAME_ORDERS && region->free_head[part][from] == FRAME_NIL) {
		from++;
	}
	if (from == FRAME_ORDERS) {
		return FRAME_NIL;
	}
	frame = region->free_head[part][from];
	if (region->store) {
		host = (uint64_t)(uintptr_t)(region->store + ((uint64_t)frame << PAGE_SHIFT));
	}
	free_remove(region, frame);
	while (from > order) {
		from--;
		free_push(region, frame + frames_of(from), from);
	}
	head_use(&region->block[frame], order, host);
	region->visible_used_B += visible_part_B(region, frame, order);
	return frame;
}

/* Gives one used block back. */
static void give_back(struct region *region, uint32_t frame)
{
	uint8_t order = order_of(&region->block[frame]);

	region->visible_used_B -= visible_part_B(region, frame, order);
	head_unuse(&region->block[frame]);
	while (order + 1u < FRAME_ORDERS) {
		uint32_t buddy = frame ^ frames_of(order);

		if (buddy >= region->frames || frames_of(order) > region->frames - buddy) {
			break;
		}
		if (head_of(&region->block[buddy]) != head_word(FRAME_FREE, order) ||
		    part_of(region, buddy) != part_of(region, frame)) {
			break;
		}
		free_remove(region, buddy);
		frame = frame < buddy ? frame : buddy;
		order++;
	}
	free_push(region, frame, order);
}

/* ---- whole regions -------------------------------------------------------------------------- */

/* Frees [frame, end), which no block has, as the largest aligned blocks that fit, upwards. */
static void push_range(struct region *region, uint32_t frame, uint32_t end)
{
	while (frame < end) {
		unsigned order = log2_floor(end - frame);

		if (frame) {
			order = (unsigned)min_u64(order, (unsigned)__builtin_ctz(frame));
		}
		order = (unsigned)min_u64(order, FRAME_ORDERS - 1);
		free_push(region, frame, (uint8_t)order);
		frame += frames_of((uint8_t)order);
	}
}

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
		region->free_head[PART_VISIBLE][i] = FRAME_NIL;
		region->free_head[PART_HIDDEN][i] = FRAME_NIL;
	}
	push_range(region, 0, region->frames);
	return 0;
}

void region_hide(struct region *region, uint64_t visible_B)
{
	uint32_t border = (uint32_t)(visible_B >> PAGE_SHIFT);

	ASSERT(is_aligned(visible_B, region->min_page_B) && visible_B <= region->size_B);
	ASSERT(region->used_B == 0 && region->visible_B == region->size_B);
	for (unsigned i = 0; i < FRAME_ORDERS; i++) {
		while (region->free_head[PART_VISIBLE][i] != FRAME_NIL) {
			free_remove(region, region->free_head[PART_VISIBLE][i]);
		}
	}
	region->visible_B = visible_B;
	push_range(region, 0, border);
	push_range(region, border, region->frames);
}

void region_fini(struct region *region)
{
	if (!region->block) {
		return;
	}
	ASSERT(region->used_B == 0);
	if (region->store) {
		port_unreserve(region->store, region->size_B);
	}
	port_mutex_fini(&region->lock);
	port_unreserve(region->block, (size_t)region->frames * sizeof(*region->block));
	region->block = NULL;
}

static uint32_t check_list(struct region *region, enum region_part part, uint8_t order)
{
	uint32_t f = region->free_head[part][order], prev = FRAME_NIL, total = 0;

	for (; f != FRAME_NIL; f = region->block[f].next) {
		const struct frame_block *b = &region->block[f];

		ASSERT(f < region->frames && head_of(b) == head_word(FRAME_FREE, order));
		ASSERT(b->prev == prev && part_of(region, f) == part);
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
		listed += check_list(region, PART_VISIBLE, order);
		listed += check_list(region, PART_HIDDEN, order);
	}
	for (uint32_t f = 0; f < region->frames;) {
		const struct frame_block *b = &region->block[f];
		uint32_t n = frames_of(order_of(b));

		ASSERT(state_of(b) == FRAME_FREE || state_of(b) == FRAME_USED);
		ASSERT(f % n == 0 && n <= region->frames - f);
		ASSERT(part_of(region, f) == part_of(region, f + n - 1));
		for (uint32_t i = 1; i < n; i++) {
			ASSERT(state_of(b + i) == FRAME_INSIDE);
		}
		if (state_of(b) == FRAME_FREE) {
			free += n;
		} else {
			used += n;
			visible_used_B += visible_part_B(region, f, order_of(b));
		}
		f += n;
	}
	ASSERT(listed == free && free + used == region->frames);
	ASSERT((uint64_t)used << PAGE_SHIFT == region->used_B);
	ASSERT(visible_used_B == region->visible_used_B);
	port_mutex_unlock(&region->lock);
}

/* ---- allocation ----------------------------------------------------------------------------- */

/* Blocks of one allocation, linked through .next. */
struct chain {
	uint32_t head, tail, blocks;
	uint64_t host; /* behind the next one */
};

/* Chains the largest blocks for @left frames of @part, which has them. */
static void take_chain(struct region *region, enum region_part part, uint32_t left,
		       struct chain *chain)
{
	uint8_t order = left ? (uint8_t)min_u64(log2_floor(left), FRAME_ORDERS - 1) : 0;

	while (left) {
		uint32_t frame;

		while (frames_of(order) > left) {
			order--;
		}
		frame = take_order(region, part, order, chain->host);
		if (frame == FRAME_NIL) {
			/* None is left of this order or above. */
			ASSERT(order > 0);
			order--;
			continue;
		}
		region->block[frame].next = FRAME_NIL;
		if (chain->tail == FRAME_NIL) {
			chain->head = frame;
		} else {
			region->block[chain->tail].next = frame;
		}
		chain->tail = frame;
		chain->host += (uint64_t)frames_of(order) << PAGE_SHIFT;
		left -= frames_of(order);
		chain->blocks++;
	}
}

static void free_chain(struct region *region, uint32_t head)
{
	while (head != FRAME_NIL) {
		uint32_t next = region->block[head].next;

		region->used_B -= SZ_4K << order_of(&region->block[head]);
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
		uint64_t size_B = SZ_4K << order_of(&region->block[f]);

		if (last && last->phys + last->size_B == phys) {
			last->size_B += size_B;
		} else {
			extents[count++] = (struct extent){ .phys = phys, .size_B = size_B };
		}
	}
	return count;
}

/* At most @hidden_B of it hidden, and as much of that as there is. */
static int alloc_parts(struct region *region, uint64_t size_B, uint64_t hidden_B, uint64_t host,
		       struct extent **extents_out, unsigned *count_out)
{
	struct chain chain = { .head = FRAME_NIL, .tail = FRAME_NIL, .host = host };
	uint64_t free_B;
	struct extent *extents;

	ASSERT(size_B > 0 && is_aligned(size_B, region->min_page_B));
	if (port_fault_hit(PORT_FAULT_ALLOC)) {
		return -ENOMEM;
	}
	port_mutex_lock(&region->lock);
	free_B = region->visible_B - region->visible_used_B;
	hidden_B = min_u64(hidden_B, region->size_B - region->used_B - free_B);
	if (size_B - hidden_B > free_B) {
		port_mutex_unlock(&region->lock);
		return -ENOSPC;
	}
	region->used_B += size_B;
	take_chain(region, PART_HIDDEN, (uint32_t)(hidden_B >> PAGE_SHIFT), &chain);
	take_chain(region, PART_VISIBLE, (uint32_t)((size_B - hidden_B) >> PAGE_SHIFT), &chain);
	port_mutex_unlock(&region->lock);

	/* The chain is ours: nobody else looks at .next of a used block. */
	extents = port_alloc(chain.blocks * sizeof(*extents));
	if (!extents) {
		port_mutex_lock(&region->lock);
		free_chain(region, chain.head);
		port_mutex_unlock(&region->lock);
		return -ENOMEM;
	}
	*count_out = chain_extents(region, chain.head, extents);
	*extents_out = extents;
	return 0;
}

int region_alloc(struct region *region, uint64_t size_B, uint64_t host, struct extent **extents_out,
		 unsigned *count_out)
{
	return alloc_parts(region, size_B, size_B, host, extents_out, count_out);
}

int region_alloc_visible(struct region *region, uint64_t size_B, uint64_t host,
			 struct extent **extents_out, unsigned *count_out)
{
	return alloc_parts(region, size_B, 0, host, extents_out, count_out);
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
	frame = take_order(region, PART_HIDDEN, (uint8_t)order, host);
	if (frame == FRAME_NIL) {
		frame = take_order(region, PART_VISIBLE, (uint8_t)order, host);
	}
	if (frame != FRAME_NIL) {
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
	n = frames_of(order_of(&region->block[head]));
	head_unuse(&region->block[head]);
	for (uint32_t i = 0; i < n; i++) {
		struct frame_block *b = &region->block[head + i];

		ASSERT(state_of(b) == FRAME_INSIDE);
		head_use(b, 0, host + ((uint64_t)i << PAGE_SHIFT));
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
		uint32_t n = frames_of(order_of(&region->block[frame]));

		ASSERT(n <= left);
		give_back(region, frame);
		frame += n;
		left -= n;
	}
	port_mutex_unlock(&region->lock);
}

void region_free_frames(struct region *region, const struct extent *extents, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		ASSERT(extents[i].size_B > 0);
		region_free_range(region, extents[i].phys, extents[i].size_B);
	}
}

void region_free(struct region *region, struct extent *extents, unsigned count)
{
	region_free_frames(region, extents, count);
	port_free(extents);
}

/* ---- lookup --------------------------------------------------------------------------------- */

/* L1 to L4: returns the word; the rest belongs to it if it says "used". */
static unsigned head_read(const struct frame_block *b, uint64_t *host_out, unsigned *gen_out)
{
	unsigned word;

	do {
		*gen_out = atomic_load_explicit(&b->gen, memory_order_acquire);
		word = atomic_load_explicit(&b->head, memory_order_acquire);
		*host_out = atomic_load_explicit(&b->host, memory_order_acquire);
	} while (atomic_load_explicit(&b->gen, memory_order_relaxed) != *gen_out);
	return word;
}

int region_find(const struct region *region, uint64_t phys, struct gpu_page *page_out)
{
	uint32_t frame, head;
	unsigned word, gen;
	uint64_t host;

	if (phys < region->base || phys - region->base >= region->size_B) {
		return -EFAULT;
	}
	frame = frame_at(region, phys);
	/* The first block that reaches the frame is the one: blocks do not overlap. */
	for (head = frame;; head &= head - 1) {
		word = head_read(&region->block[head], &host, &gen);
		if (state_in(word) != FRAME_INSIDE && (frame - head) >> order_in(word) == 0) {
			break;
		}
		if (!head) {
			return -EFAULT; /* freed, merged or split just now */
		}
	}
	if (state_in(word) != FRAME_USED) {
		return -EFAULT;
	}
	*page_out = (struct gpu_page){
		.phys = phys_of(region, head),
		.size_B = SZ_4K << order_in(word),
		.host = (void *)(uintptr_t)host,
		.gen_cell = &region->block[head].gen,
		.gen = gen,
	};
	return 0;
}
