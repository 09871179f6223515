// SPDX-License-Identifier: MIT
/*
 * Buffer objects.
 *
 * An object gets its window of the arena, where its contents live and where clients map it, when it
 * is created, and its frames when somebody first needs them. The window is one block of a power of
 * two, so an object is contiguous on the host however scattered its frames are.
 *
 * Spilling. VRAM that is full is no reason to refuse an object that may be in VRAM only: it gets
 * frames of mem.spill, which stand for system memory: its entries have no device-memory bit. It
 * comes into VRAM, and others go out of its way, when a submission is about to use it
 * (vm/evict.c). What is spilled is in no region that clients are told about, like what a host has
 * swapped out: neither VRAM nor system memory becomes fuller by it. An object larger than VRAM is
 * never spilled, it could not have been there. Whether a VM may have more of such objects than VRAM
 * holds is for the VM to say (vm.h).
 *
 * Moves. An object is at a place: a region and frames of it. A move gives it another one; its
 * contents stay where they are in its window, as VRAM is as near to the host's processors as system
 * memory, so that only translations change. With mem_config.vram_copies VRAM has memory of its own
 * and bytes are copied, so that a test sees who comes too early or too late; frames are then given
 * back full of rubbish and have to be cleared before their next owner may use them.
 *
 * Hidden VRAM. An object that needs to be visible gets frames that the CPU reaches; every other one
 * gets hidden frames as long as there are some, and keeps what it gets. The CPU reaches an object
 * whole or not at all: with one hidden frame clients that touch it get SIGBUS. A driver could move
 * it into the visible part or to system memory when it is touched, and would raise SIGBUS only
 * where its placement allows neither; no touch moves anything here, so a client that forgot to say
 * what it needs is told at once. The GPU reaches all frames alike.
 *
 * Frames are numbers, what they hold is memory of the host, and only what is written costs any. An
 * object that the host could not hold now is refused (-ENOMEM) rather than given to a client that
 * would be killed for writing it. Objects that were promised more together than there is can still
 * be written until there is none: as on any system that overcommits.
 *
 * With the last reference the frames go first (their generations move: no translation reaches the
 * window any more without being noticed), then the contents, then the window: whoever gets it next
 * finds zeroes.
 *
 * Locking: bo.resv protects placement and frames; see mem.h. A reference is enough for .size_B,
 * .arena_off and whatever else never changes.
 */
#include "mem/mem_priv.h"

#define BO_MAX_B (SZ_1G << 20)

/* What sizes are rounded up to: a page of any region the object may come to. */
static uint64_t bo_granule(const struct mem *mem, uint32_t placement)
{
	uint64_t granule_B = SZ_4K;

	for (unsigned i = 0; i < mem->region_count; i++) {
		if (placement & BIT(i)) {
			granule_B = max_u64(granule_B, mem->region[i].min_page_B);
		}
	}
	return granule_B;
}

int bo_create(struct mem *mem, uint64_t size_B, uint32_t placement, struct bo **bo_out)
{
	unsigned order;
	struct bo *bo;

	if (size_B == 0 || size_B > BO_MAX_B) {
		return -EINVAL;
	}
	if (placement == 0 || placement >= BIT(mem->region_count)) {
		return -EINVAL;
	}
	size_B = align_up(size_B, bo_granule(mem, placement));
	order = log2_ceil(size_B >> PAGE_SHIFT);
	bo = port_alloc(sizeof(*bo));
	if (!bo) {
		return -ENOMEM;
	}
	if (mem_window_alloc(mem, order, &bo->arena, &bo->arena_off)) {
		port_free(bo);
		return -ENOMEM;
	}
	bo->mmap_off = bo->arena->first + bo->arena_off;
	ref_init(&bo->ref);
	bo->mem = mem;
	bo->id = atomic_fetch_add_explicit(&mem->next_bo_id, 1, memory_order_relaxed);
	bo->size_B = size_B;
	bo->placement = placement;
	bo->window_B = SZ_4K << order;
	resv_init(&bo->resv);
	bo->resv.id = bo->id;
	list_init(&bo->mappings);
	list_init(&bo->lru_node);
	event_emit(mem->events, EVENT_BO_CREATE, bo->id, size_B, placement, 0, 0, 0);
	*bo_out = bo;
	return 0;
}

struct bo *bo_get(struct bo *bo)
{
	ref_get(&bo->ref);
	return bo;
}

void bo_put_at(struct bo *bo, const char *where)
{
	struct mem *mem;
	const char *held_at;

	if (!bo || !ref_put(&bo->ref)) {
		return;
	}
	held_at = port_mutex_held_at(&bo->resv.lock);
	if (held_at) {
		port_rule_broken("R11", where, held_at,
				 "the last reference to object %lu is dropped under its own lock",
				 (unsigned long)bo->id);
	}
	mem = bo->mem;
	ASSERT(list_empty(&bo->mappings));
	event_emit(mem->events, EVENT_BO_FREE, bo->id, bo->size_B, 0, 0, 0, 0);
	ASSERT(bo->moves == 0);
	if (bo->place && mem->before_release) {
		mem->before_release(mem->release_ctx);
	}
	if (bo->place) {
		lru_remove(bo);
		place_free_frames(bo->place);
		place_put(bo->place);
	}
	mem_window_free(bo->arena, bo->arena_off, bo->window_B, bo->size_B);
	resv_fini(&bo->resv);
	port_free(bo);
}

/*
 * Could the host give @size_B now and keep an eighth of what it has for others? It is asked again
 * when that much was handed out: in between clients write, which is what costs.
 */
static bool host_has(struct mem *mem, uint64_t size_B)
{
	unsigned long long left_B = atomic_load(&mem->host_left_B);
	uint64_t now_B, spare_B;

	while (left_B >= size_B) {
		if (atomic_compare_exchange_weak(&mem->host_left_B, &left_B, left_B - size_B)) {
			return true;
		}
	}
	now_B = port_host_memory_B();
	spare_B = now_B / 8;
	atomic_store(&mem->host_left_B, spare_B);
	return size_B <= now_B - spare_B;
}

/* ---- places --------------------------------------------------------------------------------- */

int place_create(struct bo *bo, struct region *region, struct place **place_out)
{
	uint64_t host = (uint64_t)(uintptr_t)bo_host(bo);
	struct place *place = port_alloc(sizeof(*place));
	int ret;

	if (!place) {
		return -ENOMEM;
	}
	ref_init(&place->ref);
	place->region = region;
	ret = bo->needs_visible ? region_alloc_visible(region, bo->size_B, host, &place->extents,
						       &place->count)
				: region_alloc(region, bo->size_B, host, &place->extents,
					       &place->count);
	if (ret) {
		port_free(place);
		return ret;
	}
	*place_out = place;
	return 0;
}

struct place *place_get(struct place *place)
{
	ref_get(&place->ref);
	return place;
}

void place_put(struct place *place)
{
	if (place && ref_put(&place->ref)) {
		ASSERT(place->freed);
		port_free(place->extents);
		port_free(place);
	}
}

static uint8_t *store_at(const struct place *place, unsigned i)
{
	return place->region->store + (place->extents[i].phys - place->region->base);
}

void place_free_frames(struct place *place)
{
	ASSERT(!place->freed);
	place->freed = true;
	for (unsigned i = 0; i < place->count && place->region->store; i++) {
		memset(store_at(place, i), STORE_RUBBISH, place->extents[i].size_B);
	}
	region_free_frames(place->region, place->extents, place->count);
}

void place_fill(const struct bo *bo, const struct place *to, const struct place *from)
{
	uint8_t *window = bo_host(bo);
	uint64_t off_B = 0;

	/* One of the two at most has memory of its own; the other is the window. */
	ASSERT(!from || !to->region->store || !from->region->store);
	for (unsigned i = 0; i < to->count && to->region->store; i++) {
		if (from) {
			memcpy(store_at(to, i), window + off_B, to->extents[i].size_B);
		} else {
			memset(store_at(to, i), 0, to->extents[i].size_B);
		}
		off_B += to->extents[i].size_B;
	}
	for (unsigned i = 0; from && i < from->count && from->region->store; i++) {
		memcpy(window + off_B, store_at(from, i), from->extents[i].size_B);
		off_B += from->extents[i].size_B;
	}
	if (from && to->region->store) {
		memset(window, STORE_RUBBISH, bo->size_B);
	}
}

/* ---- backing -------------------------------------------------------------------------------- */

void bo_settle_locked(struct bo *bo, struct place *place)
{
	port_mutex_assert_held(&bo->resv.lock);
	ASSERT(!bo->place);
	bo->place = place;
	bo->dirty = place->region->store != NULL;
	if (place->region->device) {
		lru_add(bo, NULL);
	}
	event_emit(bo->mem->events, EVENT_BO_BACK, bo->id, place->region->index, place->count, 0, 0,
		   0);
}

static int take_frames(struct bo *bo, struct region *region)
{
	struct place *place;
	int ret = place_create(bo, region, &place);

	if (!ret) {
		bo_settle_locked(bo, place);
	}
	return ret;
}

/* Could it be in VRAM, were that empty? */
static bool fits_vram(const struct bo *bo)
{
	const struct region *vram = &bo->mem->region[MEM_VRAM];

	return bo->size_B <= (bo->needs_visible ? vram->visible_B : vram->size_B);
}

int bo_back_locked(struct bo *bo)
{
	unsigned allowed = bo->placement;
	struct mem *mem = bo->mem;
	int ret = -ENOSPC;

	port_mutex_assert_held(&bo->resv.lock);
	if (bo->place) {
		return 0;
	}
	if (!host_has(mem, bo->size_B)) {
		return -ENOMEM;
	}
	if ((allowed & BIT(MEM_VRAM)) && port_fault_hit(PORT_FAULT_VRAM)) {
		allowed &= ~BIT(MEM_VRAM);
		ret = allowed ? -ENOSPC : -ENOMEM; /* not spilled: that would hide it */
	}
	for (unsigned i = mem->region_count; i-- > 0 && ret == -ENOSPC;) {
		if (allowed & BIT(i)) {
			ret = take_frames(bo, &mem->region[i]);
		}
	}
	if (ret == -ENOSPC && bo_wants_vram(bo) && fits_vram(bo)) {
		ret = take_frames(bo, &mem->spill);
	}
	return ret;
}

int bo_back(struct bo *bo)
{
	int ret;

	resv_lock(&bo->resv);
	ret = bo_back_locked(bo);
	resv_unlock(&bo->resv);
	return ret;
}

int bo_cpu_reaches(struct bo *bo, bool *reaches_out)
{
	const struct region *vram = &bo->mem->region[MEM_VRAM];
	int ret = 0;

	*reaches_out = true;
	if (vram->visible_B == vram->size_B) {
		return 0; /* also where there is none */
	}
	resv_lock(&bo->resv);
	ret = bo_back_locked(bo);
	for (unsigned i = 0; !ret && bo->place->region == vram && i < bo->place->count; i++) {
		*reaches_out &= range_inside(bo->place->extents[i].phys - vram->base,
					     bo->place->extents[i].size_B, vram->visible_B);
	}
	resv_unlock(&bo->resv);
	return ret;
}

void *bo_host(const struct bo *bo)
{
	ASSERT(range_inside(bo->arena_off, bo->window_B, bo->arena->port.size_B));
	return (uint8_t *)bo->arena->port.base + bo->arena_off;
}
