// SPDX-License-Identifier: MIT
/*
 * Mappings: records, and the hole maps of P2.
 *
 * Locking: vm.lock.
 */
#include "vm/vma.h"

/* NULL mappings above this use coarse granules: their maps would be larger than they are worth. */
#define HOLE_COARSE_ABOVE ((uint64_t)1 << 40)
#define HOLE_COARSE_SHIFT 21

/* ---- hole maps ------------------------------------------------------------------------------ */

static uint64_t hole_bit(const struct vma *vma, uint64_t addr)
{
	return (addr - vma->hole_base) >> vma->hole_shift;
}

/* One above the bit of the last byte. */
static uint64_t hole_bits(const struct vma *vma)
{
	return hole_bit(vma, vma->end - 1) + 1;
}

static const uint64_t *hole_words(const struct vma *vma)
{
	return vma->hole_owned ? vma->hole_map : &vma->hole_inline;
}

/* The first bit at or above @bit whose value is @value, or @bits. */
static uint64_t hole_find(const struct vma *vma, uint64_t bit, uint64_t bits, bool value)
{
	const uint64_t *words = hole_words(vma);

	while (bit < bits) {
		uint64_t word = value ? words[bit / 64] : ~words[bit / 64];

		word &= ~(uint64_t)0 << (bit % 64);
		if (word) {
			uint64_t found = align_down(bit, 64) + (uint64_t)__builtin_ctzll(word);

			return min_u64(found, bits);
		}
		bit = align_down(bit, 64) + 64;
	}
	return bits;
}

/* Sets the bits [from, to). */
static void hole_set(struct vma *vma, uint64_t from, uint64_t to)
{
	uint64_t *words = vma->hole_owned ? vma->hole_map : &vma->hole_inline;
	uint64_t first = ~(uint64_t)0 << (from % 64), last = ~(uint64_t)0 >> (-to % 64);
	uint64_t w = from / 64, end = (to - 1) / 64;

	if (w == end) {
		words[w] |= first & last;
		return;
	}
	words[w] |= first;
	while (++w < end) {
		words[w] = ~(uint64_t)0;
	}
	words[end] |= last;
}

void vma_punch(struct vma *vma, uint64_t start, uint64_t end)
{
	uint64_t granule = BIT64(vma->hole_shift), from, to;

	ASSERT(vma->start <= start && start < end && end <= vma->end);
	/* Ragged edges of coarse granules stay mapped (P2); the mapping's own ends do not. */
	from = start == vma->start ? align_down(start, granule) : align_up(start, granule);
	to = end == vma->end ? align_up(end, granule) : align_down(end, granule);
	if (from < to) {
		hole_set(vma, hole_bit(vma, from), hole_bit(vma, to));
		vma->holey = true;
	}
}

/* Punches into @vma what is a hole of @src there. */
static void copy_holes(struct vma *vma, const struct vma *src)
{
	uint64_t bits = hole_bit(src, vma->end - 1) + 1, first = hole_bit(src, vma->start), last;

	while ((first = hole_find(src, first, bits, true)) < bits) {
		uint64_t start, end;

		last = hole_find(src, first, bits, false);
		start = max_u64(vma->start, src->hole_base + (first << src->hole_shift));
		end = min_u64(vma->end, src->hole_base + (last << src->hole_shift));
		vma_punch(vma, start, end);
		first = last;
	}
}

bool vma_has_runs(const struct vma *vma)
{
	uint64_t bits = hole_bits(vma);

	return !vma->holey || hole_find(vma, hole_bit(vma, vma->start), bits, false) < bits;
}

/* ---- records -------------------------------------------------------------------------------- */

static void record_give(struct vma *vma)
{
	struct vma_free *record = (struct vma_free *)vma;
	struct vm *vm = vma->vm;

	record->slot = vma->slot;
	vma_pool_give(&vm->pool, record);
}

/* Each field for itself: the compiler would clear the whole as if it were large. */
static inline void record_fill(struct vma *vma, struct vm *vm, uint64_t start, uint64_t end)
{
	vma->start = start;
	vma->end = end;
	vma->bo = NULL;
	vma->userptr = NULL;
	vma->offset = 0;
	vma->ufence = NULL;
	vma->pages = VMA_UNMAPPED;
	vma->hole_shift = PAGE_SHIFT;
	vma->pat = 0;
	vma->indexed = false;
	vma->live = false;
	vma->evicted = false;
	vma->holey = false;
	vma->hole_owned = false;
	vma->hole_base = start;
	vma->hole_inline = 0;
	list_init(&vma->bo_node);
	list_init(&vma->insert_node);
	list_init(&vma->remove_node);
	vma->vm = vm;
}

/* A record that 64 bits are too few for gets a hole map of its own. 0 or -ENOMEM. */
static int hole_map_create(struct vma *vma)
{
	uint64_t bits;

	if (vma->null && vma->end - vma->start > HOLE_COARSE_ABOVE) {
		vma->hole_shift = HOLE_COARSE_SHIFT;
		vma->hole_base = align_down(vma->start, BIT64(HOLE_COARSE_SHIFT));
	}
	bits = hole_bits(vma);
	vma->hole_map = port_alloc((size_t)((bits + 63) / 64 * sizeof(uint64_t)));
	if (!vma->hole_map) {
		return -ENOMEM;
	}
	vma->hole_owned = true;
	return 0;
}

static inline struct vma *record_take(struct vm *vm, uint64_t start, uint64_t end, bool null)
{
	struct vma_free *record = vma_pool_take(&vm->pool);
	struct vma *vma = (struct vma *)record;

	ASSERT(start < end && is_aligned(start, PAGE_SIZE));
	if (!record) {
		return NULL;
	}
	vma->slot = record->slot;
	vma->flags = 0;
	vma->null = null;
	record_fill(vma, vm, start, end);
	if (__builtin_expect(end - start > 64 * PAGE_SIZE, 0) && hole_map_create(vma)) {
		record_give(vma);
		return NULL;
	}
	return vma;
}

struct vma *vma_create(struct vm *vm, uint64_t start, uint64_t end, bool null)
{
	return record_take(vm, start, end, null);
}

struct vma *vma_clone(const struct vma *src, uint64_t start, uint64_t end)
{
	struct vma *vma = record_take(src->vm, start, end, src->null);

	ASSERT(src->start <= start && end <= src->end);
	if (!vma) {
		return NULL;
	}
	if (src->bo) {
		vma->bo = bo_get(src->bo);
	}
	if (src->userptr) {
		vma->userptr = vm_userptr_get(src->userptr);
	}
	if (src->ufence) {
		vma->ufence = ufence_get(src->ufence);
	}
	vma->offset = src->offset + (start - src->start);
	vma->flags = src->flags;
	vma->pat = src->pat;
	if (__builtin_expect(src->holey, 0)) {
		copy_holes(vma, src);
	}
	return vma;
}

/* Nothing leads to the object by it any more. */
static void leave_bo(struct vma *vma)
{
	struct bo *bo = vma->bo;

	resv_lock(&bo->resv);
	ASSERT(!vma->live);
	list_del(&vma->bo_node);
	if (list_empty(&bo->mappings) && bo->place && bo->place->region->device) {
		lru_add(bo, NULL);
	}
	resv_unlock(&bo->resv);
}

void vma_destroy_at(struct vma *vma, const char *where)
{
	ASSERT(!vma->indexed);
	if (vma->pages != VMA_UNMAPPED && vma->pages != VMA_TLB_DONE) {
		port_rule_broken("R10", where, port_noted(vma),
				 "the pages of [0x%lx, 0x%lx) in vm %u, object %lu, are let go "
				 "while %s", (unsigned long)vma->start, (unsigned long)vma->end,
				 vma->vm->id, vma->bo ? (unsigned long)vma->bo->id : 0,
				 vma->pages == VMA_MAPPED ? "entries may lead there"
							  : "translations may lead there");
	}
	if (vma->bo) {
		leave_bo(vma);
		bo_put(vma->bo);
	}
	if (vma->userptr) {
		vm_userptr_put(vma->userptr);
	}
	ufence_put(vma->ufence);
	if (vma->hole_owned) {
		port_free(vma->hole_map);
	}
	record_give(vma);
}

/* ---- objects -------------------------------------------------------------------------------- */

/* From the end: what a VM mapped last is unmapped or looked for first. */
struct vma *vma_of_bo_locked(const struct vm *vm, struct bo *bo)
{
	port_assert_list(&bo->resv.lock, "mappings", bo->id);
	for (struct list *l = bo->mappings.prev; l != &bo->mappings; l = l->prev) {
		struct vma *vma = list_entry(l, struct vma, bo_node);

		if (vma->vm == vm && vma->live) {
			return vma;
		}
	}
	return NULL;
}

struct vma *vma_of_bo(const struct vm *vm, struct bo *bo)
{
	struct vma *vma;

	resv_lock(&bo->resv);
	vma = vma_of_bo_locked(vm, bo);
	resv_unlock(&bo->resv);
	return vma;
}

static void enlist(struct vma *vma)
{
	struct vm *vm = vma->vm;

	port_mutex_lock(&vm->evicted_lock);
	list_add_tail(&vm->evicted, &vma->remove_node);
	atomic_store(&vm->evicted_any, true);
	port_mutex_unlock(&vm->evicted_lock);
}

static void unlist(struct vma *vma)
{
	struct vm *vm = vma->vm;

	port_mutex_lock(&vm->evicted_lock);
	list_del(&vma->remove_node);
	atomic_store(&vm->evicted_any, !list_empty(&vm->evicted));
	port_mutex_unlock(&vm->evicted_lock);
}

void vma_lock_bo(struct vma *vma)
{
	if (vma->bo) {
		resv_lock(&vma->bo->resv);
	}
}

void vma_unlock_bo(struct vma *vma)
{
	if (vma->bo) {
		resv_unlock(&vma->bo->resv);
	}
}

static void assert_held(const struct vma *vma)
{
	if (vma->bo) {
		port_mutex_assert_held(&vma->bo->resv.lock);
	} else {
		port_rwlock_assert_write(&vma->vm->lock);
	}
}

void vma_mark_evicted(struct vma *vma)
{
	assert_held(vma);
	if (!vma->evicted) {
		vma->evicted = true;
		if (vma->live) {
			enlist(vma);
		}
	}
}

void vma_unmark_evicted(struct vma *vma)
{
	assert_held(vma);
	ASSERT(vma->live && vma->evicted);
	vma->evicted = false;
	unlist(vma);
}

/* Is what is written for @place right, and may it be used as soon as it is written? */
static bool is_usable_at(const struct bo *bo, const struct place *place)
{
	return bo->place == place && !bo->moves &&
	       (!bo_wants_vram(bo) || place->region->device);
}

static void enliven_locked(struct vma *vma, const struct vma *like, const struct place *place)
{
	struct bo *bo = vma->bo;

	vma->evicted = vma->evicted || (like && like->evicted) ||
		       (bo && place && !is_usable_at(bo, place));
	vma->live = true;
	if (__builtin_expect(vma->evicted, 0)) {
		enlist(vma);
	}
}

void vma_enliven(struct vma *vma, const struct vma *like, const struct place *place)
{
	struct bo *bo = vma->bo;

	port_rwlock_assert_write(&vma->vm->lock);
	if (!bo) {
		enliven_locked(vma, like, place);
		return;
	}
	resv_lock(&bo->resv);
	if (bo_wants_vram(bo) && !vma_of_bo_locked(vma->vm, bo)) {
		vma->vm->vram_B += bo->size_B;
	}
	/* What is put back may be among them still. */
	list_del(&vma->bo_node);
	list_add_tail(&bo->mappings, &vma->bo_node);
	enliven_locked(vma, like, place);
	resv_unlock(&bo->resv);
}

void vma_retire_locked(struct vma *vma)
{
	struct bo *bo = vma->bo;

	port_rwlock_assert_write(&vma->vm->lock);
	assert_held(vma);
	vma->live = false;
	if (__builtin_expect(vma->evicted, 0)) {
		unlist(vma);
	}
	if (bo && bo_wants_vram(bo) && !vma_of_bo_locked(vma->vm, bo)) {
		ASSERT(vma->vm->vram_B >= bo->size_B);
		vma->vm->vram_B -= bo->size_B;
	}
}

void vma_retire(struct vma *vma)
{
	vma_lock_bo(vma);
	vma_retire_locked(vma);
	vma_unlock_bo(vma);
}

/* ---- live parts ----------------------------------------------------------------------------- */

bool vma_run_of(struct vma *vma, uint64_t addr, struct vma_run *run_out)
{
	uint64_t from = max_u64(addr, vma->start), bits = hole_bits(vma), first, last;

	first = hole_find(vma, hole_bit(vma, from), bits, false);
	if (first == bits) {
		return false;
	}
	last = hole_find(vma, first, bits, true);
	run_out->vma = vma;
	run_out->start = max_u64(from, vma->hole_base + (first << vma->hole_shift));
	run_out->end = min_u64(vma->end, vma->hole_base + (last << vma->hole_shift));
	ASSERT(run_out->start < run_out->end);
	return true;
}

bool vma_run_next(struct vm *vm, uint64_t addr, struct vma_run *run_out)
{
	struct vma_cursor cursor;

	port_rwlock_assert_held(&vm->lock);
	for (struct vma *vma = vma_index_seek(&vm->index, addr, &cursor); vma;
	     vma = vma_index_step(&vm->index, &cursor)) {
		if (vma_run_of(vma, addr, run_out)) {
			return true;
		}
	}
	return false;
}
