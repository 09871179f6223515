// SPDX-License-Identifier: MIT
/*
 * Making mappings whole whose entries are out of date (P2, P5, L04).
 *
 * Overview. Before a submission the mappings on vm.evicted are gone through: objects that may be
 * in VRAM only come back there (evict.c), then every live run's entries are written again, by one
 * job for all, so that the first run in a leaf table makes it and the others find it. Where an
 * object is still moving the job waits for that, on the VM's rebind queue, and the submission
 * waits for the job; else it is carried out here. Unfinished binds of the same addresses are
 * waited for first.
 *
 * A mapping is off the list as soon as the entries that will be written are right. Who takes its
 * object away after that marks it again, and waits for the submission.
 *
 * In a closed VM nothing is written: closing clears the tables before it takes the mappings out.
 *
 * Locking: vm.lock (write) and env.evict_lock; binds are waited for without them.
 */
#include "vm/move.h"
#include "vm/prepare.h"

/* The first mapping on the list; NULL: it is empty. */
static struct vma *next_evicted(struct vm *vm)
{
	struct vma *vma = NULL;

	port_mutex_lock(&vm->evicted_lock);
	if (!list_empty(&vm->evicted)) {
		vma = list_first(&vm->evicted, struct vma, remove_node);
	}
	port_mutex_unlock(&vm->evicted_lock);
	return vma;
}

/* ---- objects -------------------------------------------------------------------------------- */

/* Those that have to be in VRAM come back. Nothing else is put on the list meanwhile. */
static int fetch_objects(struct vm *vm, unsigned flags)
{
	int ret = 0;

	list_for_each(vma, &vm->evicted, struct vma, remove_node) {
		if (!ret && vma->bo && bo_wants_vram(vma->bo)) {
			ret = vm_fetch(vm, vma->bo, flags);
			/* It can be used where it is, and what must fit was counted. */
			ret = ret == -ENOSPC ? 0 : ret;
		}
	}
	return ret;
}

/* ---- entries -------------------------------------------------------------------------------- */

/* What the entries are written for, and what they have to wait for. */
struct target {
	struct place *place;  /* a reference; NULL without an object */
	struct fence *moving; /* a reference; NULL: nothing to wait for */
};

static int target_find(struct vm *vm, struct vma *vma, struct target *target_out)
{
	struct target t = { 0 };

	if (vma->bo) {
		resv_lock(&vma->bo->resv);
		t.place = place_get(vma->bo->place);
		resv_unlock(&vma->bo->resv);
		t.moving = resv_snapshot(&vma->bo->resv, vm->env->sync, RESV_KERNEL);
		if (!t.moving) {
			place_put(t.place);
			return -ENOMEM;
		}
		if (fence_is_signalled(t.moving) || (vm->env->without & GUARD_KERNEL)) {
			fence_put(t.moving);
			t.moving = NULL;
		}
	}
	*target_out = t;
	return 0;
}

static void target_put(struct target *target)
{
	place_put(target->place);
	fence_put(target->moving);
}

/* One run, now. 0 or -ENOMEM. */
static int write_run(struct vm *vm, const struct vma_run *run, struct place *place)
{
	struct bind_step *step;
	struct bind_job job;
	int ret;

	bind_job_init(&job, vm, vm->rebind_queue);
	ret = bind_reserve_map(&job, run, place, &step);
	if (!ret) {
		bind_job_run_now(&job);
	}
	bind_job_fini(&job);
	return ret;
}

static int write_now(struct vm *vm, const struct vma *vma, struct place *place)
{
	struct vma_run run = { .end = vma->start };
	int ret = 0;

	while (!ret && run.end < vma->end && vma_run_next(vm, run.end, &run) && run.vma == vma) {
		ret = write_run(vm, &run, place);
	}
	return ret;
}

static int reserve_all(struct bind_job *job, struct vma *vma, struct place *place)
{
	struct vma_run run = { .end = vma->start };
	struct bind_step *step;
	int ret = vma->bo ? bind_job_name(job, vma->bo) : 0;

	while (!ret && run.end < vma->end && vma_run_next(job->vm, run.end, &run) &&
	       run.vma == vma) {
		ret = bind_reserve_map(job, &run, place, &step);
	}
	return ret;
}

/* By a job, behind the object's move and the binds that are in the way. 0 or -ENOMEM. */
static int write_later(struct vm *vm, struct vma *vma, const struct target *target)
{
	unsigned in_count = target->moving ? 1 : 0;
	struct bind_job *job = bind_job_create(vm, vm->rebind_queue, 0);
	int ret;

	if (!job) {
		return -ENOMEM;
	}
	ret = deps_init(&job->deps, vm->env->sync, &job->item, bind_job_deps_max(vm, in_count));
	if (!ret) {
		ret = reserve_all(job, vma, target->place);
	}
	if (ret) {
		bind_job_abandon(job);
		return ret;
	}
	bind_job_leave_fence(job);
	if (bind_job_publish(job, &target->moving, in_count, NULL, 0)) {
		ready_push(vm->env->sync, &job->item);
	}
	return 0;
}

/* Its entries are, or will be, those of where its object is now. */
static void now_whole(struct vma *vma)
{
	vma_lock_bo(vma);
	vma_unmark_evicted(vma);
	vma_unlock_bo(vma);
}

static int write_vma(struct vm *vm, struct vma *vma)
{
	struct target target;
	int ret = target_find(vm, vma, &target);

	if (ret) {
		return ret;
	}
	ret = target.moving || bind_any_pending(vm) ? write_later(vm, vma, &target)
						    : write_now(vm, vma, target.place);
	if (!ret) {
		now_whole(vma);
	}
	target_put(&target);
	return ret;
}

/* ---- the whole ------------------------------------------------------------------------------ */

static int make_whole(struct vm *vm, unsigned flags)
{
	int ret = vm_restore_tables(vm);
	struct vma *vma;

	if (!ret) {
		ret = fetch_objects(vm, flags);
	}
	while (!ret && (vma = next_evicted(vm))) {
		ret = write_vma(vm, vma);
		if (ret == -ENOMEM && vm_make_frames(vm)) {
			ret = 0;
		}
	}
	return ret;
}

int vm_rebind_begin(struct vm *vm, bool interruptible)
{
	unsigned flags = interruptible ? PORT_WAIT_INTERRUPTIBLE : 0;
	int ret = 0;

	if (!interruptible) {
		port_rwlock_wrlock(&vm->lock);
		port_rwlock_wrlock(&vm->env->evict_lock);
	} else if (port_rwlock_wrlock_interruptible(&vm->lock)) {
		return -EINTR;
	} else if (port_rwlock_wrlock_interruptible(&vm->env->evict_lock)) {
		port_rwlock_wrunlock(&vm->lock);
		return -EINTR;
	}
	if (!vm->closed) {
		lru_touch(vm->env->mem, &vm->bulk);
		ret = make_whole(vm, flags);
	}
	if (ret) {
		vm_rebind_end(vm);
	}
	return ret;
}

void vm_rebind_end(struct vm *vm)
{
	port_rwlock_wrunlock(&vm->env->evict_lock);
	port_rwlock_wrunlock(&vm->lock);
}

int vm_rebind(struct vm *vm, bool interruptible)
{
	int ret = vm_rebind_begin(vm, interruptible);

	if (!ret) {
		vm_rebind_end(vm);
	}
	return ret;
}

struct fence *vm_rebind_fence(struct vm *vm)
{
	return bind_queue_last(vm->rebind_queue);
}
