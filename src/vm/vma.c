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

struct vma *vma_create(struct vm *vm, uint64_t start, uint64_t end, bool null)
{
	struct vma *vma = port_alloc(sizeof(*vma));
	uint64_t bits;

	ASSERT(start < end);
	if (!vma) {
		return NULL;
	}
	vma->vm = vm;
	vma->start = start;
	vma->end = end;
	vma->null = null;
	vma->hole_shift = null && end - start > HOLE_COARSE_ABOVE ? HOLE_COARSE_SHIFT : PAGE_SHIFT;
	vma->hole_base = align_down(start, BIT64(vma->hole_shift));
	list_init(&vma->bo_node);
	list_init(&vma->insert_node);
	list_init(&vma->remove_node);
	bits = hole_bits(vma);
	if (__builtin_expect(bits > 64, 0)) {
		vma->hole_map = port_alloc((size_t)((bits + 63) / 64 * sizeof(uint64_t)));
		if (!vma->hole_map) {
			port_free(vma);
			return NULL;
		}
		vma->hole_owned = true;
	}
	return vma;
}

struct vma *vma_clone(const struct vma *src, uint64_t start, uint64_t end)
{
	struct vma *vma = vma_create(src->vm, start, end, src->null);

	ASSERT(src->start <= start && end <= src->end);
	if (!vma) {
		return NULL;
	}
	vma->bo = src->bo ? bo_get(src->bo) : NULL;
	vma->userptr = src->userptr ? vm_userptr_get(src->userptr) : NULL;
	vma->ufence = src->ufence ? ufence_get(src->ufence) : NULL;
	vma->offset = src->offset + (start - src->start);
	vma->readonly = src->readonly;
	vma->dumpable = src->dumpable;
	vma->pat = src->pat;
	vma->evicted = src->evicted;
	if (src->holey) {
		copy_holes(vma, src);
	}
	return vma;
}

void vma_destroy(struct vma *vma)
{
	ASSERT(list_empty(&vma->bo_node));
	ASSERT(!vma->indexed);
	ASSERT(vma->pages == VMA_UNMAPPED || vma->pages == VMA_TLB_DONE);
	bo_put(vma->bo);
	if (vma->userptr) {
		vm_userptr_put(vma->userptr);
	}
	ufence_put(vma->ufence);
	if (vma->hole_owned) {
		port_free(vma->hole_map);
	}
	port_free(vma);
}

/* ---- objects -------------------------------------------------------------------------------- */

/* From the end: what a VM mapped last is unmapped or looked for first. */
static struct vma *vma_of_bo_locked(const struct vm *vm, struct bo *bo)
{
	port_mutex_assert_held(&bo->resv);
	for (struct list *l = bo->mappings.prev; l != &bo->mappings; l = l->prev) {
		struct vma *vma = list_entry(l, struct vma, bo_node);

		if (vma->vm == vm) {
			return vma;
		}
	}
	return NULL;
}

struct vma *vma_of_bo(const struct vm *vm, struct bo *bo)
{
	struct vma *vma;

	port_mutex_lock(&bo->resv);
	vma = vma_of_bo_locked(vm, bo);
	port_mutex_unlock(&bo->resv);
	return vma;
}

void vma_link_bo(struct vma *vma)
{
	struct bo *bo = vma->bo;

	port_rwlock_assert_write(&vma->vm->lock);
	if (!bo) {
		return;
	}
	port_mutex_lock(&bo->resv);
	if (bo_wants_vram(bo) && !vma_of_bo_locked(vma->vm, bo)) {
		vma->vm->vram_B += bo->size_B;
	}
	list_add_tail(&bo->mappings, &vma->bo_node);
	port_mutex_unlock(&bo->resv);
}

void vma_unlink_bo_locked(struct vma *vma)
{
	struct bo *bo = vma->bo;

	port_rwlock_assert_write(&vma->vm->lock);
	list_del(&vma->bo_node);
	if (bo_wants_vram(bo) && !vma_of_bo_locked(vma->vm, bo)) {
		ASSERT(vma->vm->vram_B >= bo->size_B);
		vma->vm->vram_B -= bo->size_B;
	}
}

void vma_unlink_bo(struct vma *vma)
{
	if (vma->bo) {
		port_mutex_lock(&vma->bo->resv);
		vma_unlink_bo_locked(vma);
		port_mutex_unlock(&vma->bo->resv);
	}
}

/* ---- live parts ----------------------------------------------------------------------------- */

bool vma_run_next(struct vm *vm, uint64_t addr, struct vma_run *run_out)
{
	struct vma_cursor cursor;

	port_rwlock_assert_held(&vm->lock);
	for (struct vma *vma = vma_index_seek(&vm->index, addr, &cursor); vma;
	     vma = vma_index_step(&vm->index, &cursor)) {
		uint64_t from = max_u64(addr, vma->start), bits = hole_bits(vma), first, last;

		first = hole_find(vma, hole_bit(vma, from), bits, false);
		if (first == bits) {
			continue;
		}
		last = hole_find(vma, first, bits, true);
		run_out->vma = vma;
		run_out->start = max_u64(from, vma->hole_base + (first << vma->hole_shift));
		run_out->end = min_u64(vma->end, vma->hole_base + (last << vma->hole_shift));
		ASSERT(run_out->start < run_out->end);
		return true;
	}
	return false;
}
