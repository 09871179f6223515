// SPDX-License-Identifier: MIT
/*
 * Making mappings whole whose entries were given up (P2).
 *
 * Overview. What unmap.c took away beyond its request is written again before the next submission:
 * every live run of a mapping on vm.evicted, one by one, so that the first in a leaf table makes it
 * and the others find it. Unfinished binds of the same addresses are waited for first.
 *
 * In a closed VM nothing is written: closing clears the tables before it takes the mappings out.
 *
 * Locking: vm.lock (write); binds are waited for without it.
 */
#include "vm/prepare.h"

/* One run, now. 0 or -ENOMEM. */
static int write_run(struct vm *vm, const struct vma_run *run)
{
	struct bind_step *step;
	struct bind_job job;
	int ret;

	bind_job_init(&job, vm, vm->default_queue);
	ret = bind_reserve_map(&job, run->vma, run->start, run->end, &step);
	if (!ret) {
		bind_job_run_now(&job);
	}
	bind_job_fini(&job);
	return ret;
}

static int write_vma(struct vm *vm, struct vma *vma)
{
	struct vma_run run = { .end = vma->start };
	int ret = 0;

	while (!ret && run.end < vma->end && vma_run_next(vm, run.end, &run) && run.vma == vma) {
		ret = write_run(vm, &run);
	}
	if (!ret) {
		vma->evicted = false;
		list_del(&vma->remove_node);
	}
	return ret;
}

/* vm.lock held; as much as there is no bind in the way of, whose fence is returned. */
static int rebind_locked(struct vm *vm, struct fence **before_out)
{
	int ret = 0;

	*before_out = NULL;
	while (!ret && !vm->closed && vm_has_evicted(vm)) {
		struct vma *vma = list_first(&vm->evicted, struct vma, remove_node);

		*before_out = bind_pending_fence(vm, NULL, vma->start, vma->end);
		if (*before_out) {
			break;
		}
		ret = write_vma(vm, vma);
	}
	return ret;
}

int vm_rebind(struct vm *vm, bool interruptible)
{
	unsigned flags = interruptible ? PORT_WAIT_INTERRUPTIBLE : 0;
	struct fence *before;
	int ret = 0;

	do {
		if (interruptible) {
			ret = port_rwlock_wrlock_interruptible(&vm->lock);
		} else {
			port_rwlock_wrlock(&vm->lock);
		}
		if (ret) {
			return ret;
		}
		ret = rebind_locked(vm, &before);
		port_rwlock_wrunlock(&vm->lock);
		if (before) {
			ret = fence_wait(before, PORT_FOREVER, flags);
			fence_put(before);
		}
	} while (!ret && before);
	return ret;
}
