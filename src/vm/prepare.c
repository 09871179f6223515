// SPDX-License-Identifier: MIT
/*
 * Preparing the operations of a bind, one at a time.
 *
 * Overview. Under vm.lock (write) an operation is
 *
 *  - reserved: frames for an object that has none, client memory, and every page table the run can
 *    need go into the job; the VM has not changed;
 *  - applied: to the mapping index, with a record of the change (change.h).
 *
 * An operation that fails leaves the index as it was before it. What it reserved stays in the job's
 * pool and goes with it; directories that were linked for it stay empty and go likewise.
 *
 * Locking: vm.lock (write); an object's reservation around its backing and its list of mappings.
 */
#include "vm/move.h"
#include "vm/prepare.h"

/* ---- checks ---------------------------------------------------------------------------------- */

enum bind_reason bind_check_op(const struct vm *vm, const struct bind_op *op)
{
	uint64_t size_B = BIT64(vm->env->fmt->va_bits);

	if (op->kind > BIND_PREFETCH) {
		return BIND_BAD_OP;
	}
	if (op->kind == BIND_UNMAP_BO) {
		return op->bo ? BIND_OK : BIND_BAD_OP;
	}
	if (!op->range || !is_aligned(op->addr | op->range, PAGE_SIZE) ||
	    !range_inside(op->addr, op->range, size_B)) {
		return BIND_BAD_RANGE;
	}
	if (op->kind == BIND_MAP_USERPTR && !is_aligned(op->offset, PAGE_SIZE)) {
		return BIND_BAD_RANGE;
	}
	if (op->kind != BIND_MAP) {
		return BIND_OK;
	}
	if (op->null == (op->bo != NULL)) {
		return BIND_BAD_OP;
	}
	if (op->bo && (!is_aligned(op->offset, PAGE_SIZE) ||
		       !range_inside(op->offset, op->range, op->bo->size_B))) {
		return BIND_BAD_RANGE;
	}
	if (op->bo && op->bo->owner_vm_id && op->bo->owner_vm_id != vm->id) {
		return BIND_FOREIGN_BO;
	}
	return BIND_OK;
}

bool bind_only_unmaps(const struct bind_args *args)
{
	for (unsigned i = 0; i < args->op_count; i++) {
		if (args->ops[i].kind != BIND_UNMAP && args->ops[i].kind != BIND_UNMAP_BO) {
			return false;
		}
	}
	return true;
}

/*
 * A mapping whose bind's user fence is not due yet must not be touched (A15) by another bind; the
 * operations of one list share their fence.
 */
static bool is_busy(const struct bind_args *args, const struct vma *vma)
{
	return vma->ufence && vma->ufence != args->ufence && !ufence_is_due(vma->ufence);
}

/*
 * Looks at what is mapped in [*start_io, *end_io) and narrows the range to it: a clear needs no
 * more. -EBUSY; 0 and an empty range if nothing is there.
 */
static int scan(struct vm *vm, const struct bind_args *args, uint64_t *start_io, uint64_t *end_io)
{
	/* What the operation does afterwards begins at the same place. */
	const struct vma *first = vma_index_find(&vm->index, *start_io);
	uint64_t start = *end_io, end = *start_io;
	struct vma_run run = { .end = *start_io };

	if (!first || first->start >= *end_io) {
		*start_io = *end_io;
		return 0;
	}
	while (run.end < *end_io && vma_run_next(vm, run.end, &run) && run.start < *end_io) {
		if (is_busy(args, run.vma)) {
			return -EBUSY;
		}
		start = min_u64(start, run.start);
		end = min_u64(run.end, *end_io);
	}
	*start_io = start;
	*end_io = max_u64(start, end);
	return 0;
}

static int bo_check_busy(struct vm *vm, const struct bind_args *args, struct bo *bo)
{
	int ret = 0;

	resv_lock(&bo->resv);
	list_for_each(vma, &bo->mappings, struct vma, bo_node) {
		if (vma->vm == vm && vma->live && is_busy(args, vma)) {
			ret = -EBUSY;
			break;
		}
	}
	resv_unlock(&bo->resv);
	return ret;
}

int bind_check_busy(struct vm *vm, const struct bind_args *args, const struct bind_op *op)
{
	uint64_t start = op->addr, end = op->addr + op->range;

	return op->kind == BIND_UNMAP_BO ? bo_check_busy(vm, args, op->bo)
					 : scan(vm, args, &start, &end);
}

/* ---- where ----------------------------------------------------------------------------------- */

static bool is_local(const struct bo *bo)
{
	return bo && (bo->placement & BIT(MEM_VRAM));
}

/* Is something in [start, end) that is not of the kind that @local is? */
static bool is_mixed(struct vm *vm, uint64_t start, uint64_t end, bool local)
{
	struct vma_run run = { .end = start };

	while (run.end < end && vma_run_next(vm, run.end, &run) && run.start < end) {
		if (!run.vma->null && is_local(run.vma->bo) != local) {
			return true;
		}
	}
	return false;
}

/* What the mapping does not replace of the 2 MiB that it begins and ends in. */
static int check_mixing(struct vm *vm, const struct bind_op *op)
{
	uint64_t end = op->addr + op->range;

	return is_mixed(vm, align_down(op->addr, SZ_2M), op->addr, is_local(op->bo)) ||
			       is_mixed(vm, end, align_up(end, SZ_2M), is_local(op->bo))
		       ? -EINVAL
		       : 0;
}

static int check_exact(struct vm *vm, const struct bind_op *op)
{
	uint64_t end = op->addr + op->range;
	struct vma_run run;

	if (!vma_run_next(vm, op->addr, &run) || run.start >= end) {
		return 0;
	}
	if (op->kind != BIND_UNMAP) {
		return -EEXIST;
	}
	return run.vma->start == op->addr && run.vma->end == end ? 0 : -EINVAL;
}

int bind_check_place(struct vm *vm, const struct bind_op *op)
{
	bool maps = op->kind == BIND_MAP || op->kind == BIND_MAP_USERPTR;
	int ret = 0;

	if (op->exact && (maps || op->kind == BIND_UNMAP)) {
		ret = check_exact(vm, op);
	}
	return ret == 0 && maps && vm->env->no_mixing && !op->null ? check_mixing(vm, op) : ret;
}

/* ---- reservations ---------------------------------------------------------------------------- */

/* After a reservation: what the step must be ordered against. */
static void set_order(const struct bind_job *job, struct bind_step *step)
{
	step->order_start = job->pool.order_start;
	step->order_end = job->pool.order_end;
	step->reshapes = job->pool.reshapes;
}

int bind_reserve_map(struct bind_job *job, const struct vma_run *run, struct place *place,
		     struct bind_step **step_out)
{
	bool contended = bind_range_contended(job, run->start, run->end);
	const struct vma *vma = run->vma;
	struct bind_step *step = bind_job_add_step(job);
	struct backing backing = { 0 };
	int ret;

	if (!step) {
		return -ENOMEM;
	}
	if (!vma->null) {
		backing = place ? place_backing(place) : userptr_backing(&vma->userptr->window);
	}
	step->start = run->start;
	step->end = run->end;
	step->map = true;
	step->bo = vma->bo ? bo_get(vma->bo) : NULL;
	step->place = place ? place_get(place) : NULL;
	step->userptr = vma->userptr ? vm_userptr_get(vma->userptr) : NULL;
	step->offset = vma->null ? 0 : vma->offset + (run->start - vma->start);
	step->attrs = (struct gpu_pte_attrs){
		.writable = !vma->readonly,
		.null = vma->null,
		.device = backing.device,
		.atomic = true,
		.dumpable = vma->dumpable,
		.pat = (uint8_t)vma->pat,
	};
	ret = pt_reserve_map(&job->vm->pt, &job->pool, run->start, run->end,
			     vma->null ? NULL : &backing, step->offset, contended);
	set_order(job, step);
	*step_out = step;
	return ret;
}

static int reserve_clear(struct bind_job *job, uint64_t start, uint64_t end)
{
	bool contended = bind_range_contended(job, start, end);
	struct bind_step *step = bind_job_add_step(job);
	int ret;

	if (!step) {
		return -ENOMEM;
	}
	step->start = start;
	step->end = end;
	step->invalidate = true;
	ret = pt_reserve_clear(&job->vm->pt, &job->pool, start, end, contended);
	set_order(job, step);
	return ret;
}

/* ---- operations ------------------------------------------------------------------------------ */

/* Must all that is mapped fit into VRAM (vm.vram_B) for this operation to succeed? */
static bool must_fit(const struct vm *vm, const struct bind_op *op)
{
	return vm->flags & VM_FAULT ? (vm->flags & VM_NO_OVERCOMMIT) && op->immediate
				    : vm_is_lr(vm);
}

/* A mapping that this one replaces counts still: what it maps is in VRAM until this has run. */
static int check_fits(const struct vm *vm, const struct bind_op *op)
{
	uint64_t more_B;

	if (!bo_wants_vram(op->bo) || !must_fit(vm, op)) {
		return 0;
	}
	more_B = vma_of_bo(vm, op->bo) ? 0 : op->bo->size_B;
	return vm->vram_B + more_B > vm->env->mem->region[MEM_VRAM].size_B ? -ENOSPC : 0;
}

/* The record of a mapping, with what it maps made resident: *place_out is where, a reference. */
static int make_vma(struct vm *vm, const struct bind_args *args, const struct bind_op *op,
		    struct vma **vma_out, struct place **place_out)
{
	struct vma *vma = vma_create(vm, op->addr, op->addr + op->range, op->null);
	int ret = 0;

	if (!vma) {
		return -ENOMEM;
	}
	vma->null = op->null;
	vma->readonly = op->readonly;
	vma->dumpable = op->dumpable;
	vma->pat = op->pat;
	vma->ufence = args->ufence ? ufence_get(args->ufence) : NULL;
	if (op->bo) {
		vma->bo = bo_get(op->bo);
		vma->offset = op->offset;
		ret = check_fits(vm, op);
		if (!ret) {
			ret = vm_back(vm, op->bo, PORT_WAIT_INTERRUPTIBLE, place_out);
		}
	} else if (!op->null) {
		ret = vm_userptr_create(vm, op->addr, op->offset, op->range, op->readonly,
					&vma->userptr);
	}
	if (ret) {
		vma_destroy(vma);
		return ret;
	}
	*vma_out = vma;
	return 0;
}

static int prepare_map(struct bind_job *job, const struct bind_args *args,
		       const struct bind_op *op, struct vma_change *change)
{
	struct vm *vm = job->vm;
	uint64_t start = op->addr, end = op->addr + op->range;
	struct bind_step *step = NULL;
	struct place *place = NULL;
	struct vma *vma = NULL;
	bool replaced = false;
	int ret = scan(vm, args, &start, &end);

	if (!ret) {
		ret = make_vma(vm, args, op, &vma, &place);
	}
	if (!ret) {
		struct vma_run run = { .vma = vma, .start = vma->start, .end = vma->end };

		ret = bind_reserve_map(job, &run, place, &step);
	}
	if (!ret) {
		ret = change_map(vm, change, vma, place, &replaced);
	}
	place_put(place);
	if (ret) {
		if (vma) {
			vma_destroy(vma);
		}
		return ret;
	}
	/* With scratch pages a miss is a translation too, and it may be cached. */
	step->invalidate = replaced || (vm->flags & VM_SCRATCH);
	event_emit(vm->env->events, EVENT_BIND_MAP, vm->id, job->id, op->addr, op->range,
		   op->bo ? op->bo->id : 0, op->bo ? op->offset : 0);
	return 0;
}

static int prepare_unmap(struct bind_job *job, const struct bind_args *args,
			 const struct bind_op *op, struct vma_change *change)
{
	uint64_t start = op->addr, end = op->addr + op->range;
	int ret = scan(job->vm, args, &start, &end);

	if (!ret && start < end) {
		ret = reserve_clear(job, start, end);
	}
	if (!ret) {
		ret = change_unmap(job->vm, change, op->addr, op->addr + op->range, false);
	}
	if (!ret) {
		event_emit(job->vm->env->events, EVENT_BIND_UNMAP, job->vm->id, job->id, op->addr,
			   op->range, 0, 0);
	}
	return ret;
}

static int prepare_unmap_bo(struct bind_job *job, const struct bind_args *args, struct bo *bo,
			    struct vma_change *change)
{
	struct vm *vm = job->vm;
	int ret = 0;

	resv_lock(&bo->resv);
	list_for_each_safe(vma, &bo->mappings, struct vma, bo_node) {
		if (vma->vm != vm || !vma->live) {
			continue;
		}
		ret = is_busy(args, vma) ? -EBUSY : reserve_clear(job, vma->start, vma->end);
		if (ret) {
			break;
		}
		event_emit(vm->env->events, EVENT_BIND_UNMAP, vm->id, job->id, vma->start,
			   vma->end - vma->start, 0, 0);
		change_remove_locked(vm, change, vma);
	}
	resv_unlock(&bo->resv);
	return ret;
}

/* Every object that is mapped there, not only the first (class 24). */
static int prepare_prefetch(struct vm *vm, const struct bind_op *op)
{
	struct vma_run run = { .end = op->addr };
	uint64_t end = op->addr + op->range;
	int ret = 0;

	while (!ret && run.end < end && vma_run_next(vm, run.end, &run) && run.start < end) {
		if (run.vma->bo) {
			ret = vm_prefetch(vm, run.vma->bo, op->prefetch_region,
					  PORT_WAIT_INTERRUPTIBLE);
		}
	}
	return ret;
}

/* The objects whose mappings the operation changed. */
static int name_objects(struct bind_job *job, const struct vma_change *change)
{
	int ret = 0;

	list_for_each(vma, &change->inserted, struct vma, insert_node) {
		ret = ret || !vma->bo ? ret : bind_job_name(job, vma->bo);
	}
	list_for_each(vma, &change->removed, struct vma, remove_node) {
		ret = ret || !vma->bo ? ret : bind_job_name(job, vma->bo);
	}
	for (unsigned i = 0; i < change->trims && !ret; i++) {
		ret = change->trim[i].bo ? bind_job_name(job, change->trim[i].bo) : 0;
	}
	return ret;
}

int bind_prepare_op(struct bind_job *job, const struct bind_args *args, unsigned i)
{
	const struct bind_op *op = &args->ops[i];
	struct vma_change *change = &job->change[i];
	unsigned steps = job->step_count;
	int ret = -ENOSPC;

	port_rwlock_assert_write(&job->vm->lock);
	if (!op->inject_error) {
		ret = bind_check_place(job->vm, op);
	}
	if (ret == 0) {
		switch (op->kind) {
		case BIND_MAP:
		case BIND_MAP_USERPTR:
			ret = prepare_map(job, args, op, change);
			break;
		case BIND_UNMAP:
			ret = prepare_unmap(job, args, op, change);
			break;
		case BIND_UNMAP_BO:
			ret = prepare_unmap_bo(job, args, op->bo, change);
			break;
		case BIND_PREFETCH:
			ret = prepare_prefetch(job->vm, op);
			break;
		}
	}
	if (!ret) {
		ret = name_objects(job, change);
	}
	if (ret) {
		change_undo(job->vm, change);
		bind_job_trim_steps(job, steps);
	}
	return ret;
}
