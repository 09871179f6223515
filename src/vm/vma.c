// SPDX-License-Identifier: MIT
/*
 * Mappings: records, and the hole maps of P2.
 *
 * Locking: vm.lock.
 */
#include "vm/vma.h"

/* Mappings from here on use coarse granules: their maps would be larger than they are worth. */
#define HOLE_COARSE_FROM ((uint64_t)1 << 40)

/* ---- records -------------------------------------------------------------------------------- */

static uint64_t hole_bits(const struct vma *vma)
{
	return (align_up(vma->end, BIT64(vma->hole_shift)) - vma->hole_base) >> vma->hole_shift;
}

static uint64_t *hole_words(struct vma *vma)
{
	return vma->hole_map ? vma->hole_map : &vma->hole_inline;
}

/* The first bit at or above @bit whose value is @value, or @bits. */
static uint64_t hole_find(const struct vma *vma, uint64_t bit, uint64_t bits, bool value)
{
	const uint64_t *words = vma->hole_map ? vma->hole_map : &vma->hole_inline;

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

/* Punches into @vma what is a hole of @src there. */
static void copy_holes(struct vma *vma, const struct vma *src)
{
	uint64_t bits = hole_bits(src), first = 0, last;

	while ((first = hole_find(src, first, bits, true)) < bits) {
		uint64_t start, end;

		last = hole_find(src, first, bits, false);
		start = max_u64(vma->start, src->hole_base + (first << src->hole_shift));
		end = min_u64(vma->end, src->hole_base + (last << src->hole_shift));
		if (start < end) {
			vma_punch(vma, start, end);
		}
		first = last;
	}
}

struct vma *vma_create(struct vm *vm, uint64_t start, uint64_t end)
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
	vma->hole_shift = end - start > HOLE_COARSE_FROM ? 21 : PAGE_SHIFT;
	vma->hole_base = align_down(start, BIT64(vma->hole_shift));
	list_init(&vma->bo_node);
	list_init(&vma->insert_node);
	list_init(&vma->remove_node);
	bits = hole_bits(vma);
	if (bits > 64) {
		vma->hole_map = port_alloc((size_t)((bits + 63) / 64 * sizeof(uint64_t)));
		if (!vma->hole_map) {
			port_free(vma);
			return NULL;
		}
	}
	return vma;
}

struct vma *vma_clone(const struct vma *src, uint64_t start, uint64_t end)
{
	struct vma *vma = vma_create(src->vm, start, end);

	ASSERT(src->start <= start && end <= src->end);
	if (!vma) {
		return NULL;
	}
	vma->bo = src->bo ? bo_get(src->bo) : NULL;
	vma->userptr = src->userptr ? vm_userptr_get(src->userptr) : NULL;
	vma->ufence = src->ufence ? ufence_get(src->ufence) : NULL;
	vma->offset = src->offset + (start - src->start);
	vma->null = src->null;
	vma->readonly = src->readonly;
	vma->dumpable = src->dumpable;
	vma->pat = src->pat;
	vma->evicted = src->evicted;
	copy_holes(vma, src);
	return vma;
}

void vma_destroy(struct vma *vma)
{
	ASSERT(list_empty(&vma->bo_node));
	ASSERT(!vma->left && !vma->right);
	ASSERT(vma->pages == VMA_UNMAPPED || vma->pages == VMA_TLB_DONE);
	bo_put(vma->bo);
	if (vma->userptr) {
		vm_userptr_put(vma->userptr);
	}
	ufence_put(vma->ufence);
	port_free(vma->hole_map);
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

/* ---- holes ---------------------------------------------------------------------------------- */

void vma_punch(struct vma *vma, uint64_t start, uint64_t end)
{
	uint64_t granule = BIT64(vma->hole_shift), from, to;
	uint64_t *words = hole_words(vma);

	ASSERT(vma->start <= start && start < end && end <= vma->end);
	vma->punched = true;
	/* Ragged edges of coarse granules stay mapped (P2); the mapping's own ends do not. */
	from = start == vma->start ? align_down(start, granule) : align_up(start, granule);
	to = end == vma->end ? align_up(end, granule) : align_down(end, granule);
	for (uint64_t addr = from; addr < to; addr += granule) {
		uint64_t bit = (addr - vma->hole_base) >> vma->hole_shift;

		if (!(words[bit / 64] >> (bit % 64) & 1)) {
			words[bit / 64] |= BIT64(bit % 64);
			vma->hole_count++;
		}
	}
}

/* Granules from the first to the last that the record is in. */
static uint64_t granules(const struct vma *vma)
{
	return hole_bits(vma) - ((vma->start - vma->hole_base) >> vma->hole_shift);
}

void vma_recount_holes(struct vma *vma)
{
	uint64_t bits = hole_bits(vma), first, last;

	if (!vma->punched) {
		return;
	}
	vma->hole_count = 0;
	first = (vma->start - vma->hole_base) >> vma->hole_shift;
	while ((first = hole_find(vma, first, bits, true)) < bits) {
		last = hole_find(vma, first, bits, false);
		vma->hole_count += last - first;
		first = last;
	}
}

bool vma_has_runs(const struct vma *vma)
{
	return vma->hole_count < granules(vma);
}

bool vma_run_next(struct vm *vm, uint64_t addr, struct vma_run *run_out)
{
	struct vma *vma;

	port_rwlock_assert_held(&vm->lock);
	while ((vma = vma_index_first(&vm->index, addr))) {
		uint64_t from = max_u64(addr, vma->start), bits = hole_bits(vma), first, last;

		first = hole_find(vma, (from - vma->hole_base) >> vma->hole_shift, bits, false);
		if (first == bits) {
			addr = vma->end;
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
