// SPDX-License-Identifier: MIT
/*
 * How much an address space takes up: addresses, objects, page tables.
 *
 * Overview. Nothing is counted while binds run; who asks walks the index. An object that is mapped
 * several times counts with the one of its mappings that vma_of_bo_locked() finds.
 *
 *	struct vm_usage usage;
 *
 *	vm_usage(vm, &usage);
 *
 * Locking: vm.lock (read) over the walk, around one object's reservation at a time.
 */
#include "vm/vma.h"

static void add_runs(struct vma *vma, bool evicted, struct vm_usage *usage)
{
	struct vma_run run = { .end = vma->start };

	while (run.end < vma->end && vma_run_of(vma, run.end, &run)) {
		usage->mappings++;
		usage->evicted += evicted;
		usage->mapped_B += run.end - run.start;
	}
}

static void add_vma(struct vma *vma, struct vm_usage *usage)
{
	struct bo *bo = vma->bo;
	bool evicted;

	if (!bo) {
		add_runs(vma, vma->evicted, usage);
		return;
	}
	resv_lock(&bo->resv);
	evicted = vma->evicted;
	if (vma_of_bo_locked(vma->vm, bo) == vma) {
		usage->bo_B += bo->size_B;
		usage->vram_B += bo->place && bo->place->region->device ? bo->size_B : 0;
	}
	resv_unlock(&bo->resv);
	add_runs(vma, evicted, usage);
}

void vm_usage(struct vm *vm, struct vm_usage *usage_out)
{
	struct vm_usage usage = { 0 };
	struct vma_cursor cursor;

	port_rwlock_rdlock(&vm->lock);
	for (struct vma *vma = vma_index_seek(&vm->index, 0, &cursor); vma;
	     vma = vma_index_step(&vm->index, &cursor)) {
		add_vma(vma, &usage);
	}
	port_rwlock_rdunlock(&vm->lock);
	usage.page_tables_B = pt_memory_B(&vm->pt);
	usage.page_table_frames_B = pt_frames_B(&vm->pt);
	*usage_out = usage;
}
