// SPDX-License-Identifier: MIT
/*
 * vm_bind(): a list of operations becomes a job, or fails in its VM's error flavour.
 *
 * Overview. Under vm.lock (write) the operations are prepared in order (prepare.c). When all are,
 * the changes stand and the job is published: from here nothing can fail and nothing allocates. A
 * job that nothing holds back is run instead of being published, still under vm.lock: most binds
 * are like that, and these need no job on the heap, no fence and no place on any list.
 *
 * When one fails, the changes before it are played back in reverse and the VM is what it was (A23,
 * A27). In the two other flavours (A25, A26) they stand, and are published as a job without the
 * list's out-fences; the VM keeps where to go on and a fingerprint of the list, or the caller does.
 * Mistakes in the arguments are found before the first operation and change nothing in any flavour.
 *
 * Without memory or frames (A09, A24): a list of unmaps is carried out without any, see unmap.c.
 * Any other list waits a while for the binds before it, whose end gives memory back, has the page
 * tables of other VMs evicted if frames are short, and is tried once more; only then it fails.
 *
 * Locking: vm.lock (write) from the first operation to the publication; a published job is run
 * after it.
 */
#include "vm/move.h"
#include "vm/prepare.h"

/* How long a bind waits for memory that binds before it may give back. */
#define MEMORY_WAIT_NS ((uint64_t)100000000)

static enum bind_reason reason_of(int ret)
{
	switch (ret) {
	case -EBUSY:
		return BIND_BUSY;
	case -EEXIST:
		return BIND_TAKEN;
	case -EINVAL:
		return BIND_NOT_ALLOWED_THERE;
	case -EFAULT:
		return BIND_NO_CLIENT_MEMORY;
	case -ENOSPC:
		return BIND_NO_FRAMES;
	case -EINTR:
		return BIND_INTERRUPTED;
	default:
		return BIND_NO_MEMORY;
	}
}

/* ---- error state ----------------------------------------------------------------------------- */

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
	return hash ^ (hash >> 29);
}

/* Everything that decides what the list does; not whether a test wants it to fail. */
static void fingerprint(const struct bind_args *args, uint64_t out[2])
{
	out[0] = args->op_count;
	out[1] = ~out[0];
	for (unsigned i = 0; i < args->op_count; i++) {
		const struct bind_op *op = &args->ops[i];
		const uint64_t word[] = {
			(uint64_t)op->kind | (uint64_t)op->null << 8 | (uint64_t)op->readonly << 9 |
				(uint64_t)op->dumpable << 10 | (uint64_t)op->immediate << 11 |
				(uint64_t)op->exact << 12 |
				(uint64_t)op->pat << 16 | (uint64_t)op->prefetch_region << 32,
			op->addr, op->range, op->offset, op->bo ? op->bo->id : 0,
		};

		for (unsigned k = 0; k < ARRAY_LEN(word); k++) {
			out[0] = mix(out[0], word[k]);
			out[1] = mix(out[1], out[0] + word[k]);
		}
	}
}

/* Is this the list that failed? */
static bool is_restart(const struct vm *vm, const struct bind_args *args)
{
	uint64_t mine[2];

	if (!vm->restart.pending || vm->restart.op_count != args->op_count) {
		return false;
	}
	fingerprint(args, mine);
	return mine[0] == vm->restart.fingerprint[0] && mine[1] == vm->restart.fingerprint[1];
}

static void enter_error_state(struct vm *vm, const struct bind_args *args, unsigned done)
{
	vm->restart.pending = true;
	vm->restart.done = done;
	vm->restart.op_count = args->op_count;
	fingerprint(args, vm->restart.fingerprint);
}

/* ---- a list ---------------------------------------------------------------------------------- */

static int refuse(struct bind_args *args, enum bind_reason reason, int ret)
{
	args->reason = reason;
	return ret;
}

int bind_begin(struct vm *vm, struct bind_args *args)
{
	port_rwlock_assert_write(&vm->lock);
	if ((vm->closed && !(vm->env->without & GUARD_CLOSED)) || vm_is_banned(vm)) {
		return refuse(args, BIND_VM_GONE, -ENOENT);
	}
	if (args->restart && !is_restart(vm, args)) {
		return refuse(args, BIND_NOT_THE_LIST, -EINVAL);
	}
	if (vm->restart.pending && !args->restart && !bind_only_unmaps(args)) {
		return refuse(args, BIND_ERROR_STATE, -EALREADY);
	}
	for (unsigned i = 0; i < args->op_count; i++) {
		enum bind_reason reason = bind_check_op(vm, &args->ops[i]);

		if (reason != BIND_OK) {
			args->failed_op = i;
			return refuse(args, reason, -EINVAL);
		}
	}
	return 0;
}

/*
 * Operation @failed of @args cannot be carried out. True: those before it stand, and there are
 * some.
 */
static bool fail_list(struct vm *vm, struct bind_job *job, struct bind_args *args, unsigned first,
		      unsigned failed, bool may_stand)
{
	if (may_stand && (vm->flags & VM_ERRORS_RESTART)) {
		enter_error_state(vm, args, failed);
	}
	if (may_stand && (vm->flags & (VM_ERRORS_RESTART | VM_ERRORS_COOKIE))) {
		args->done = failed;
		return failed > first;
	}
	for (unsigned i = failed; i-- > first;) {
		change_undo(vm, &job->change[i]);
	}
	return false;
}

/*
 * The -errno that a list is made to fail with, or 0. Of one that is tried again, or comes in parts,
 * that is its first call: else what was done before would stand.
 */
static int made_failure(const struct bind_args *args, bool final)
{
	return args->op_count && !args->continued && !final ? port_fault_error(PORT_FAULT_BIND) : 0;
}

/*
 * Prepares the list; 0 or -errno with *stands_out: the changes stand (after an error those before
 * the failing operation, without the out-fences). Want of memory is only final if @final. A @job
 * that could not be had (NULL) is a failure of the first operation.
 */
static int prepare_list(struct vm *vm, struct bind_job *job, struct bind_args *args, bool now,
			bool final, bool *stands_out)
{
	unsigned first, i;
	int ret = bind_begin(vm, args), fault;

	if (ret) {
		return ret;
	}
	fault = made_failure(args, final);
	first = args->restart ? vm->restart.done : 0;
	i = first;
	args->done = first;
	if (!job) {
		ret = -ENOMEM;
	} else if (!now) {
		ret = deps_init(&job->deps, vm->env->sync, &job->item,
				bind_job_deps_max(vm, args->in_count));
	}
	while (!ret && i < args->op_count) {
		/* The last operation's, so that as much as can be has to be undone. */
		ret = i + 1 == args->op_count ? fault : 0;
		if (!ret) {
			ret = bind_prepare_op(job, args, i);
		}
		i += !ret;
	}
	if (ret) {
		bool injected = fault || (i < args->op_count && args->ops[i].inject_error);
		bool wanting = (ret == -ENOMEM || ret == -ENOSPC) && !injected;

		args->failed_op = i;
		args->reason = injected ? BIND_INJECTED : reason_of(ret);
		event_emit(vm->env->events, EVENT_BIND_FAIL, vm->id, job ? job->id : 0, i,
			   (uint64_t)-ret, 0, 0);
		*stands_out = fail_list(vm, job, args, first, i,
					(final || !wanting) && !bind_only_unmaps(args));
		return ret;
	}
	args->done = args->op_count;
	if (args->restart) {
		vm->restart.pending = false;
	}
	*stands_out = true;
	return 0;
}

/*
 * Does nothing hold a bind on @queue back? Then it is run before anybody else can see it, and needs
 * neither memory for a job nor a fence. vm.lock held for writing: what is so stays so.
 */
static bool may_run_now(struct vm *vm, struct bind_queue *queue, const struct bind_args *args)
{
	struct fence *last = queue->last;

	if (vm->env->defer_ready || bind_any_pending(vm) ||
	    (last && !fence_is_signalled(last))) {
		return false;
	}
	for (unsigned i = 0; i < args->in_count; i++) {
		if (args->in_fences[i] && !fence_is_signalled(args->in_fences[i])) {
			return false;
		}
	}
	if (last) {
		/* Its user fence is due before ours. */
		fence_callbacks_done(last);
		port_mutex_lock(&queue->lock);
		queue->last = NULL;
		port_mutex_unlock(&queue->lock);
		fence_put(last);
	}
	return true;
}

/*
 * What was mapped may not be usable yet: its object is moving, or has to come to VRAM. Submissions
 * find that out before they run; long-running work, which runs already, is suspended for it before
 * it can learn of the bind.
 */
static void suspend_for_new(struct vm *vm)
{
	if (vm_is_lr(vm) && vm_has_evicted(vm)) {
		active_bump(vm->active);
		(void)active_wait(vm->active, vm->env->sync, 0);
	}
}

/* What is left to do once no lock is held any more. */
enum afterwards {
	NOTHING_MORE,
	RUN_JOB,
	WRITE_UFENCE,
};

/* The list stands, or after an error a part of it. */
static enum afterwards publish(struct bind_job *job, struct bind_args *args, bool now, bool whole,
			       struct fence **fence_out)
{
	struct ufence *ufence = whole ? args->ufence : NULL;
	struct vm *vm = job->vm;

	suspend_for_new(vm);
	if (!now) {
		bind_job_leave_fence(job);
	}
	for (unsigned i = 0; i < job->change_count; i++) {
		change_stand(&job->change[i], &job->removed, !whole);
	}
	if (!now) {
		if (whole) {
			*fence_out = fence_get(&job->fence);
		}
		return bind_job_publish(job, args->in_fences, args->in_count, ufence, args->done)
			       ? RUN_JOB
			       : NOTHING_MORE;
	}
	event_emit(vm->env->events, EVENT_BIND_PUBLISH, vm->id, job->id, job->queue->id, args->done,
		   0, 0);
	bind_job_run_now(job);
	if (whole) {
		*fence_out = fence_get(vm->env->sync->stub);
	}
	return ufence && ufence_arm_due(ufence) ? WRITE_UFENCE : NOTHING_MORE;
}

static int bind_once(struct vm *vm, struct bind_args *args, bool final, struct fence **fence_out)
{
	struct bind_queue *queue = args->queue ? args->queue : vm->default_queue;
	struct bind_job own, *job = NULL;
	enum afterwards afterwards = NOTHING_MORE;
	bool now, stands = false;
	int ret = port_rwlock_wrlock_interruptible(&vm->lock);

	if (ret) {
		return refuse(args, BIND_INTERRUPTED, ret);
	}
	now = may_run_now(vm, queue, args);
	if (now) {
		bind_job_init(&own, vm, queue);
		job = &own;
		ret = bind_job_room(job, args->op_count);
	} else {
		job = bind_job_create(vm, queue, args->op_count);
		ret = job ? 0 : -ENOMEM;
	}
	ret = prepare_list(vm, ret ? NULL : job, args, now, final, &stands);
	if (stands) {
		afterwards = publish(job, args, now, !ret, fence_out);
	}
	vma_index_settle(&vm->index);
	port_rwlock_wrunlock(&vm->lock);
	if (afterwards == WRITE_UFENCE) {
		ufences_write(vm->env->sync);
	} else if (afterwards == RUN_JOB) {
		bind_job_run(job);
	}
	if (now) {
		bind_job_fini(job);
	} else if (job && !stands) {
		bind_job_abandon(job);
	}
	return ret;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/*
 * In-fences of a long-running VM are waited for here, before any lock (A12): its binds must not be
 * pipelined behind anything.
 */
static int wait_in_fences(struct vm *vm, const struct bind_args *args)
{
	if (!vm_is_lr(vm) || !args->in_count) {
		return 0;
	}
	return fence_wait_many(vm->env->sync, args->in_fences, args->in_count, true, PORT_FOREVER,
			       PORT_WAIT_INTERRUPTIBLE, NULL);
}

/* Until no bind of the VM is unfinished. 0, -EINTR or -ETIMEDOUT. */
static int wait_for_pending(struct vm *vm, uint64_t deadline)
{
	int ret = 0;

	while (!ret) {
		struct fence *fence;

		ret = port_rwlock_wrlock_interruptible(&vm->lock);
		if (ret) {
			break;
		}
		fence = bind_pending_fence(vm, NULL, 0, BIT64(vm->env->fmt->va_bits));
		port_rwlock_wrunlock(&vm->lock);
		if (!fence) {
			break;
		}
		ret = fence_wait(fence, deadline, PORT_WAIT_INTERRUPTIBLE);
		fence_put(fence);
	}
	return ret;
}

/* Page tables of other VMs go, if that is what is missing. 0 or -EINTR. */
static int make_frames(struct vm *vm)
{
	if (port_rwlock_wrlock_interruptible(&vm->env->evict_lock)) {
		return -EINTR;
	}
	(void)vm_make_frames(vm);
	port_rwlock_wrunlock(&vm->env->evict_lock);
	return 0;
}

/* Until the VM's binds are done and have given back what they held, or for a while. 0 or -EINTR. */
static int wait_for_memory(struct vm *vm)
{
	uint64_t deadline = port_now_ns() + MEMORY_WAIT_NS;
	int ret = wait_for_pending(vm, deadline);

	/* Fences signal before the cleanup. */
	while (!ret) {
		uint32_t seq = port_wq_prepare(&vm->cleaned);

		if (!atomic_load(&vm->cleaning)) {
			break;
		}
		ret = port_wq_wait(&vm->cleaned, seq, deadline, PORT_WAIT_INTERRUPTIBLE);
	}
	return ret == -ETIMEDOUT || !ret ? make_frames(vm) : ret;
}

int vm_bind(struct vm *vm, struct bind_args *args, struct fence **fence_out)
{
	bool wanting;
	int ret;

	ASSERT(!args->queue || args->queue->vm == vm);
	args->failed_op = 0;
	args->done = 0;
	args->reason = BIND_OK;
	ret = wait_in_fences(vm, args);
	if (ret) {
		return refuse(args, BIND_INTERRUPTED, ret);
	}
	ret = bind_once(vm, args, false, fence_out);
	wanting = (ret == -ENOMEM || ret == -ENOSPC) && args->reason != BIND_INJECTED;
	if (wanting && bind_only_unmaps(args)) {
		ret = bind_unmap_now(vm, args, fence_out);
	} else if (wanting) {
		ret = wait_for_memory(vm);
		ret = ret ? refuse(args, BIND_INTERRUPTED, ret)
			  : bind_once(vm, args, true, fence_out);
	}
	if (!ret) {
		args->reason = BIND_OK;
	}
	return ret;
}
