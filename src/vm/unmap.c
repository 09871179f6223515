// SPDX-License-Identifier: MIT
/*
 * Unmapping without memory (P2, A24).
 *
 * Overview. When memory for a job, a step, a record or a table cannot be had, a list of unmaps is
 * carried out here, in the call: first the list's in-fences, the binds before it on its queue and
 * those that overlap it are waited for, then each operation is applied and run under vm.lock, with
 * a job on the stack. A record that would have to be split gets a hole instead. An entry that would
 * have to be cut, with no table to be had, goes altogether: the VM's running work is waited for
 * before, and the mappings that lost translations go onto vm.evicted; the next submission makes
 * them whole again (rebind.c), and that may say -ENOMEM.
 *
 * What fails is decided before the first operation is applied.
 *
 * Locking: vm.lock (write) from the checks to the end; dma fences are waited for under it.
 */
#include "vm/prepare.h"

/* The fence of an unfinished bind that must come before one of the operations; a reference. */
static struct fence *bind_before(struct vm *vm, const struct bind_args *args)
{
	const struct bind_queue *queue = args->queue ? args->queue : vm->default_queue;
	struct fence *fence = NULL;

	for (unsigned i = 0; i < args->op_count && !fence; i++) {
		const struct bind_op *op = &args->ops[i];
		bool all = op->kind == BIND_UNMAP_BO;

		fence = bind_pending_fence(vm, queue, all ? 0 : op->addr,
					   all ? BIT64(vm->env->fmt->va_bits)
					       : op->addr + op->range);
	}
	return fence;
}

/* With vm.lock held and nothing unfinished in the way; or an error, without it. */
static int take_turn(struct vm *vm, struct bind_args *args)
{
	for (;;) {
		int ret = port_rwlock_wrlock_interruptible(&vm->lock);
		struct fence *fence;

		if (ret) {
			args->reason = BIND_INTERRUPTED;
			return ret;
		}
		ret = bind_begin(vm, args);
		for (unsigned i = 0; i < args->op_count && !ret; i++) {
			ret = bind_check_busy(vm, args, &args->ops[i]);
			args->failed_op = i;
			args->reason = BIND_BUSY;
			if (!ret) {
				ret = bind_check_place(vm, &args->ops[i]);
				args->reason = BIND_NOT_ALLOWED_THERE;
			}
		}
		fence = ret ? NULL : bind_before(vm, args);
		if (!ret && !fence) {
			return 0;
		}
		port_rwlock_wrunlock(&vm->lock);
		if (ret) {
			return ret;
		}
		ret = fence_wait(fence, PORT_FOREVER, PORT_WAIT_INTERRUPTIBLE);
		fence_put(fence);
		if (ret) {
			args->reason = BIND_INTERRUPTED;
			return ret;
		}
	}
}

/* The entries for [start, end) are gone though something there is mapped. */
static void evict(struct vm *vm, uint64_t start, uint64_t end)
{
	struct vma_run run = { .end = start };

	while (run.end < end && vma_run_next(vm, run.end, &run) && run.start < end) {
		vma_lock_bo(run.vma);
		vma_mark_evicted(run.vma);
		vma_unlock_bo(run.vma);
	}
}

/*
 * A hole map of coarse granules keeps the ragged edges of what was unmapped: they stay mapped, and
 * their entries stay too.
 */
static void leave_edges(struct vm *vm, uint64_t *start_io, uint64_t *end_io)
{
	struct vma_run run;

	if (vma_run_next(vm, *start_io, &run) && run.start <= *start_io) {
		*start_io = align_up(*start_io, BIT64(run.vma->hole_shift));
	}
	if (*start_io < *end_io && vma_run_next(vm, *end_io - 1, &run) &&
	    run.start < *end_io) {
		*end_io = align_down(*end_io, BIT64(run.vma->hole_shift));
	}
}

/*
 * Clears [start, end), which is no longer mapped. Entries that reach out of it may go altogether,
 * so whoever may be using them is waited for first.
 */
static void clear_now(struct bind_job *job, uint64_t start, uint64_t end)
{
	struct vm *vm = job->vm;
	struct bind_step *step;

	leave_edges(vm, &start, &end);
	if (start < end) {
		step = bind_job_add_step(job);
		ASSERT(step); /* the first one is the job's own */
		step->start = start;
		step->end = end;
		step->invalidate = true;
		if (pt_reserve_clear(&vm->pt, &job->pool, start, end, false)) {
			active_bump(vm->active);
			(void)active_wait(vm->active, vm->env->sync, 0);
			job->pool.may_lose = true;
		}
	}
	change_stand(job->change, &job->removed, false);
	bind_job_run_now(job);
	for (unsigned i = 0; i < job->pool.lost_count; i++) {
		const struct pt_lost *lost = &job->pool.lost[i];

		evict(vm, lost->start, lost->end);
		vm_invalidate(vm, lost->start, lost->end);
	}
	bind_job_fini(job);
}

static void unmap_now(struct vm *vm, struct bind_queue *queue, const struct bind_op *op)
{
	uint64_t end = op->addr + op->range;
	struct bind_job job;

	bind_job_init(&job, vm, queue);
	event_emit(vm->env->events, EVENT_BIND_UNMAP, vm->id, job.id, op->addr, op->range, 0, 0);
	(void)change_unmap(vm, job.change, op->addr, end, true);
	clear_now(&job, op->addr, end);
}

/* The first mapping of @bo in @vm goes. False: there is none. */
static bool unmap_one_of(struct vm *vm, struct bind_queue *queue, struct bo *bo)
{
	struct vma *found = NULL;
	struct bind_job job;

	bind_job_init(&job, vm, queue);
	resv_lock(&bo->resv);
	list_for_each(vma, &bo->mappings, struct vma, bo_node) {
		if (vma->vm == vm && vma->live) {
			found = vma;
			change_remove_locked(vm, job.change, vma);
			break;
		}
	}
	resv_unlock(&bo->resv);
	if (!found) {
		bind_job_fini(&job);
		return false;
	}
	event_emit(vm->env->events, EVENT_BIND_UNMAP, vm->id, job.id, found->start,
		   found->end - found->start, 0, 0);
	clear_now(&job, found->start, found->end);
	return true;
}

int bind_unmap_now(struct vm *vm, struct bind_args *args, struct fence **fence_out)
{
	struct bind_queue *queue = args->queue ? args->queue : vm->default_queue;
	struct sync *sync = vm->env->sync;
	bool write;
	int ret = fence_wait_many(sync, args->in_fences, args->in_count, true, PORT_FOREVER,
				  PORT_WAIT_INTERRUPTIBLE, NULL);

	if (ret) {
		args->reason = BIND_INTERRUPTED;
		return ret;
	}
	ret = take_turn(vm, args);
	if (ret) {
		return ret;
	}
	for (unsigned i = 0; i < args->op_count; i++) {
		if (args->ops[i].kind == BIND_UNMAP) {
			unmap_now(vm, queue, &args->ops[i]);
			continue;
		}
		while (unmap_one_of(vm, queue, args->ops[i].bo)) {
		}
	}
	args->done = args->op_count;
	vma_index_settle(&vm->index);
	write = args->ufence && ufence_arm_due(args->ufence);
	*fence_out = fence_get(sync->stub);
	port_rwlock_wrunlock(&vm->lock);
	if (write) {
		ufences_write(sync);
	}
	return 0;
}
