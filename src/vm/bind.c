// SPDX-License-Identifier: MIT
/*
 * vm_bind(): the prepare half of a bind, and its undoing.
 *
 * Overview. Under vm.lock (write) each operation of the list is
 *
 *  - reserved: arguments against the VM and the object, frames for objects that have none, client
 *    memory, and every page table the run can need; the VM has not changed;
 *  - applied: to the mapping index, with a record of what was taken out and put in. If a later
 *    operation fails, the records are played back in reverse and the VM is what it was (A23).
 *
 * Then the job is published: from here nothing can fail and nothing allocates.
 *
 * An unmap whose records cannot be had marks holes instead (P2). That has no undo, so it is done
 * only in lists of plain unmaps, all of which are reserved before the first is applied: from there
 * on such a list can fail no more but for -EBUSY, which is looked for first.
 *
 * Locking: vm.lock (write) from the passes to the publication; an object's reservation only around
 * its backing and its list of mappings.
 */
#include "vm/job.h"

struct prepare {
	struct vm *vm;
	struct bind_args *args;
	struct bind_job *job;
	bool may_punch;             /* only plain unmaps in the list */
	struct vm_userptr **userptr; /* by operation; owned; NULL when the list maps none */
};

/* ---- reserve -------------------------------------------------------------------------------- */

static int check_op(const struct vm *vm, const struct bind_op *op)
{
	uint64_t size_B = BIT64(vm->env->fmt->va_bits);

	if (op->kind == BIND_UNMAP_BO) {
		return op->bo ? 0 : -EINVAL;
	}
	if (!op->range || !is_aligned(op->addr | op->range | op->offset, PAGE_SIZE)) {
		return -EINVAL;
	}
	if (!range_inside(op->addr, op->range, size_B)) {
		return -EINVAL;
	}
	if (op->kind == BIND_MAP) {
		if (op->null == (op->bo != NULL)) {
			return -EINVAL;
		}
		if (op->bo && !range_inside(op->offset, op->range, op->bo->size_B)) {
			return -EINVAL;
		}
		if (op->bo && op->bo->owner_vm_id && op->bo->owner_vm_id != vm->id) {
			return -EINVAL;
		}
	}
	return 0;
}

/* After a reservation: what the step must be ordered against. */
static void set_order(struct prepare *p, struct bind_step *step)
{
	step->order_start = p->job->pool.order_start;
	step->order_end = p->job->pool.order_end;
	step->reshapes = p->job->pool.reshapes;
}

static int reserve_map(struct prepare *p, unsigned i)
{
	const struct bind_op *op = &p->args->ops[i];
	uint64_t end = op->addr + op->range;
	bool contended = bind_range_contended(p->job, op->addr, end);
	struct vm_userptr *userptr = NULL;
	struct bind_step *step;
	struct backing backing;
	int ret;

	if (op->bo) {
		ret = bo_back(op->bo);
		if (ret) {
			return ret;
		}
	} else if (!op->null) {
		ret = vm_userptr_create(p->vm, op->addr, op->offset, op->range, op->readonly,
					&userptr);
		if (ret) {
			return ret;
		}
		p->userptr[i] = userptr;
	}
	step = bind_job_add_step(p->job);
	if (!step) {
		return -ENOMEM;
	}
	*step = (struct bind_step){
		.start = op->addr,
		.end = end,
		.map = true,
		.bo = op->bo ? bo_get(op->bo) : NULL,
		.userptr = userptr ? vm_userptr_get(userptr) : NULL,
		.offset = op->bo ? op->offset : 0,
		.attrs = {
			.writable = !op->readonly,
			.null = op->null,
			.atomic = true,
			.pat = (uint8_t)op->pat,
		},
	};
	if (!op->null) {
		backing = op->bo ? bo_backing(op->bo) : userptr_backing(&userptr->window);
		step->attrs.device = backing.device;
	}
	ret = pt_reserve_map(&p->vm->pt, &p->job->pool, op->addr, end, op->null ? NULL : &backing,
			     step->offset, contended);
	set_order(p, step);
	return ret;
}

static int reserve_clear(struct prepare *p, uint64_t start, uint64_t end)
{
	bool contended = bind_range_contended(p->job, start, end);
	struct bind_step *step = bind_job_add_step(p->job);
	int ret;

	if (!step) {
		return -ENOMEM;
	}
	step->start = start;
	step->end = end;
	step->invalidate = true;
	ret = pt_reserve_clear(&p->vm->pt, &p->job->pool, start, end, contended);
	set_order(p, step);
	return ret;
}

/* The part of [*start_io, *end_io) that has mappings: clears no more than that. False: none. */
static bool clip_to_mapped(struct vm *vm, uint64_t *start_io, uint64_t *end_io)
{
	uint64_t start = UINT64_MAX, end = 0;
	struct vma_run run = { .end = *start_io };

	while (vma_run_next(vm, run.end, &run) && run.start < *end_io) {
		start = min_u64(start, run.start);
		end = min_u64(run.end, *end_io);
	}
	*start_io = start;
	*end_io = end;
	return start < end;
}

/*
 * A mapping whose bind's user fence has not been written yet must not be touched (A15) by another
 * bind; the operations of one list share their fence.
 */
static bool is_busy(const struct prepare *p, const struct vma *vma)
{
	return vma->ufence && vma->ufence != p->args->ufence && !ufence_is_signalled(vma->ufence);
}

static int check_busy(struct prepare *p, uint64_t start, uint64_t end)
{
	struct vma_run run = { .end = start };

	while (vma_run_next(p->vm, run.end, &run) && run.start < end) {
		if (is_busy(p, run.vma)) {
			return -EBUSY;
		}
	}
	return 0;
}

static int reserve_op(struct prepare *p, unsigned i)
{
	const struct bind_op *op = &p->args->ops[i];
	uint64_t start = op->addr, end = op->addr + op->range;
	int ret = check_op(p->vm, op);

	if (!ret && op->kind != BIND_UNMAP_BO && op->kind != BIND_PREFETCH) {
		ret = check_busy(p, start, end);
	}
	if (ret) {
		return ret;
	}
	switch (op->kind) {
	case BIND_MAP:
	case BIND_MAP_USERPTR:
		return reserve_map(p, i);
	case BIND_UNMAP:
		return clip_to_mapped(p->vm, &start, &end) ? reserve_clear(p, start, end) : 0;
	case BIND_UNMAP_BO: /* one mapping at a time, when it is applied */
	case BIND_PREFETCH: /* objects are resident from their first bind on */
		return 0;
	}
	return -EINVAL;
}

/* ---- apply ---------------------------------------------------------------------------------- */

static void bo_link(struct vma *vma)
{
	if (vma->bo) {
		port_mutex_lock(&vma->bo->resv);
		list_add_tail(&vma->bo->mappings, &vma->bo_node);
		port_mutex_unlock(&vma->bo->resv);
	}
}

static void bo_unlink(struct vma *vma)
{
	if (vma->bo) {
		port_mutex_lock(&vma->bo->resv);
		list_del(&vma->bo_node);
		port_mutex_unlock(&vma->bo->resv);
	}
}

static void put_in(struct vm *vm, struct bind_change *change, struct vma *vma)
{
	vma_index_insert(&vm->index, vma);
	bo_link(vma);
	list_add_tail(&change->inserted, &vma->insert_node);
}

static void take_out(struct vm *vm, struct bind_change *change, struct vma *vma)
{
	vma_index_remove(&vm->index, vma);
	bo_unlink(vma);
	list_add_tail(&change->removed, &vma->remove_node);
}

/* A record for the part of @vma in [start, end); none (and success) if nothing of it is live. */
static int keep_part(struct vma *vma, uint64_t start, uint64_t end, struct vma **part_out)
{
	*part_out = NULL;
	if (start >= end) {
		return 0;
	}
	*part_out = vma_clone(vma, start, end);
	if (!*part_out) {
		return -ENOMEM;
	}
	if (!vma_has_runs(*part_out)) {
		vma_destroy(*part_out);
		*part_out = NULL;
	}
	return 0;
}

/* Takes [start, end) out of one mapping; the kept parts become records of their own. */
static int cut_out(struct prepare *p, struct bind_change *change, struct vma *vma, uint64_t start,
		   uint64_t end)
{
	struct vma *before, *after = NULL;
	struct vm *vm = p->vm;
	int ret = keep_part(vma, vma->start, start, &before);

	if (!ret) {
		ret = keep_part(vma, end, vma->end, &after);
	}
	if (ret) {
		if (before) {
			vma_destroy(before);
		}
		if (!p->may_punch) {
			return ret;
		}
		vma_punch(vma, max_u64(start, vma->start), min_u64(end, vma->end));
		if (!vma_has_runs(vma)) {
			take_out(vm, change, vma);
		}
		return 0;
	}
	take_out(vm, change, vma);
	if (before) {
		put_in(vm, change, before);
	}
	if (after) {
		put_in(vm, change, after);
	}
	return 0;
}

/* Unmaps what is live of [start, end) in the index. 0 or -ENOMEM. */
static int unmap_runs(struct prepare *p, struct bind_change *change, uint64_t start, uint64_t end)
{
	struct vma_run run;
	uint64_t addr = start;

	while (addr < end && vma_run_next(p->vm, addr, &run) && run.start < end) {
		int ret;

		addr = run.vma->end; /* taken before the record may go */
		ret = cut_out(p, change, run.vma, start, end);
		if (ret) {
			return ret;
		}
	}
	return 0;
}

/*
 * Makes room for a record of [start, end): every record that overlaps is cut, a hole's too, so that
 * what is left of a holey mapping becomes records again (P2). 0 or -ENOMEM.
 */
static int settle_records(struct prepare *p, struct bind_change *change, uint64_t start,
			  uint64_t end, bool *any_out)
{
	struct vma *vma = vma_index_first(&p->vm->index, start);

	*any_out = false;
	while (vma && vma->start < end) {
		uint64_t next = vma->end;
		int ret = cut_out(p, change, vma, start, end);

		if (ret) {
			return ret;
		}
		*any_out = true;
		vma = next < end ? vma_index_first(&p->vm->index, next) : NULL;
	}
	return 0;
}

static int apply_map(struct prepare *p, unsigned i)
{
	const struct bind_op *op = &p->args->ops[i];
	struct bind_step *step = &p->job->step[p->job->step_count - 1]; /* by reserve_map() */
	struct vma *vma = vma_create(p->vm, op->addr, op->addr + op->range);
	bool replaced;
	int ret;

	if (!vma) {
		return -ENOMEM;
	}
	vma->bo = op->bo ? bo_get(op->bo) : NULL;
	vma->userptr = p->userptr && p->userptr[i] ? vm_userptr_get(p->userptr[i]) : NULL;
	vma->offset = op->bo ? op->offset : 0;
	vma->ufence = p->args->ufence ? ufence_get(p->args->ufence) : NULL;
	vma->null = op->null;
	vma->readonly = op->readonly;
	vma->dumpable = op->dumpable;
	vma->pat = op->pat;
	ret = settle_records(p, &p->job->change[i], vma->start, vma->end, &replaced);
	if (ret) {
		vma_destroy(vma);
		return ret;
	}
	/* With scratch pages a miss is a translation too, and it may be cached. */
	step->invalidate = replaced || (p->vm->flags & VM_SCRATCH);
	put_in(p->vm, &p->job->change[i], vma);
	event_emit(p->vm->env->events, EVENT_BIND_MAP, p->vm->id, p->job->id, op->addr, op->range,
		   op->bo ? op->bo->id : 0, op->bo ? op->offset : 0);
	return 0;
}

/* The first mapping of @bo in @vm, or NULL. Only this VM's binds move its entries on the list. */
static struct vma *bo_mapping_in(struct bo *bo, struct vm *vm)
{
	struct vma *found = NULL;

	port_mutex_lock(&bo->resv);
	list_for_each(vma, &bo->mappings, struct vma, bo_node) {
		if (vma->vm == vm) {
			found = vma;
			break;
		}
	}
	port_mutex_unlock(&bo->resv);
	return found;
}

static int apply_unmap_bo(struct prepare *p, unsigned i)
{
	struct bo *bo = p->args->ops[i].bo;
	struct vma *vma;

	while ((vma = bo_mapping_in(bo, p->vm))) {
		int ret;

		if (is_busy(p, vma)) {
			return -EBUSY;
		}
		ret = reserve_clear(p, vma->start, vma->end);
		if (ret) {
			return ret;
		}
		event_emit(p->vm->env->events, EVENT_BIND_UNMAP, p->vm->id, p->job->id, vma->start,
			   vma->end - vma->start, 0, 0);
		take_out(p->vm, &p->job->change[i], vma);
	}
	return 0;
}

static int apply_op(struct prepare *p, unsigned i)
{
	const struct bind_op *op = &p->args->ops[i];

	if (op->inject_error) {
		return -ENOSPC;
	}
	switch (op->kind) {
	case BIND_MAP:
	case BIND_MAP_USERPTR:
		return apply_map(p, i);
	case BIND_UNMAP:
		event_emit(p->vm->env->events, EVENT_BIND_UNMAP, p->vm->id, p->job->id, op->addr,
			   op->range, 0, 0);
		return unmap_runs(p, &p->job->change[i], op->addr, op->addr + op->range);
	case BIND_UNMAP_BO:
		return apply_unmap_bo(p, i);
	case BIND_PREFETCH:
		return 0;
	}
	return -EINVAL;
}

/* Plays the changes back in reverse: the index is what it was. */
static void unwind(struct prepare *p)
{
	struct bind_job *job = p->job;

	for (unsigned i = job->change_count; i-- > 0;) {
		struct bind_change *change = &job->change[i];

		list_for_each_safe(vma, &change->inserted, struct vma, insert_node) {
			list_del(&vma->insert_node);
			vma_index_remove(&p->vm->index, vma);
			bo_unlink(vma);
			vma_destroy(vma);
		}
		list_for_each_safe(vma, &change->removed, struct vma, remove_node) {
			list_del(&vma->remove_node);
			vma_index_insert(&p->vm->index, vma);
			bo_link(vma);
		}
	}
}

/* The changes stand: what was taken out is freed by the job's cleanup. */
static void settle(struct bind_job *job)
{
	for (unsigned i = 0; i < job->change_count; i++) {
		struct bind_change *change = &job->change[i];

		while (!list_empty(&change->inserted)) {
			struct vma *vma = list_first(&change->inserted, struct vma, insert_node);

			vma->pages = VMA_MAPPED;
			list_del(&vma->insert_node);
		}
		list_splice_tail(&job->removed, &change->removed);
	}
}

/* ---- the whole ------------------------------------------------------------------------------ */

static int prepare_list(struct prepare *p)
{
	struct bind_args *args = p->args;
	int ret;

	if (p->vm->closed || vm_is_banned(p->vm)) {
		return -ENOENT;
	}
	ret = deps_init(&p->job->deps, p->vm->env->sync, &p->job->item,
			bind_job_deps_max(p->vm, args->in_count));
	for (unsigned i = 0; i < args->op_count && !ret; i++) {
		args->failed_op = i;
		ret = reserve_op(p, i);
		if (!ret && !p->may_punch) {
			ret = apply_op(p, i);
		}
	}
	for (unsigned i = 0; i < args->op_count && !ret && p->may_punch; i++) {
		args->failed_op = i;
		ret = apply_op(p, i);
	}
	return ret;
}

static bool any_of_kind(const struct bind_args *args, enum bind_kind kind, bool is)
{
	for (unsigned i = 0; i < args->op_count; i++) {
		if ((args->ops[i].kind == kind) == is) {
			return true;
		}
	}
	return false;
}

/* What does not need vm.lock yet. 0 or -ENOMEM. */
static int prepare_init(struct prepare *p, struct bind_queue *queue)
{
	unsigned n = p->args->op_count;

	p->may_punch = !any_of_kind(p->args, BIND_UNMAP, false);
	p->job = bind_job_create(p->vm, queue, n);
	if (!p->job) {
		return -ENOMEM;
	}
	if (any_of_kind(p->args, BIND_MAP_USERPTR, true)) {
		p->userptr = port_alloc(n * sizeof(struct vm_userptr *));
		return p->userptr ? 0 : -ENOMEM;
	}
	return 0;
}

/*
 * In-fences of a long-running VM are waited for here, before any lock (A12): its binds must not be
 * pipelined behind anything.
 */
static int wait_in_fences(struct vm *vm, const struct bind_args *args)
{
	if (!(vm->flags & VM_LR) || !args->in_count) {
		return 0;
	}
	return fence_wait_many(vm->env->sync, args->in_fences, args->in_count, true, PORT_FOREVER,
			       PORT_WAIT_INTERRUPTIBLE, NULL);
}

static void prepare_fini(struct prepare *p)
{
	for (unsigned i = 0; i < p->args->op_count && p->userptr; i++) {
		if (p->userptr[i]) {
			vm_userptr_put(p->userptr[i]);
		}
	}
	port_free(p->userptr);
}

int vm_bind(struct vm *vm, struct bind_args *args, struct fence **fence_out)
{
	struct bind_queue *queue = args->queue ? args->queue : vm->default_queue;
	struct prepare p = { .vm = vm, .args = args };
	bool run = false;
	int ret;

	ASSERT(queue->vm == vm);
	args->failed_op = 0;
	ret = wait_in_fences(vm, args);
	if (ret) {
		return ret;
	}
	ret = prepare_init(&p, queue);
	if (!ret) {
		ret = port_rwlock_wrlock_interruptible(&vm->lock);
	}
	if (ret) {
		goto out;
	}
	ret = prepare_list(&p);
	if (ret) {
		event_emit(vm->env->events, EVENT_BIND_FAIL, vm->id, p.job->id, args->failed_op,
			   (uint64_t)-ret, 0, 0);
		unwind(&p);
	} else {
		settle(p.job);
		*fence_out = fence_get(&p.job->fence);
		run = bind_job_publish(p.job, args);
	}
	vma_index_settle(&vm->index);
	port_rwlock_wrunlock(&vm->lock);
out:
	if (ret && p.job) {
		bind_job_abandon(p.job);
	} else if (run) {
		bind_job_run(p.job);
	}
	prepare_fini(&p);
	return ret;
}
