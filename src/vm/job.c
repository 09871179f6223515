// SPDX-License-Identifier: MIT
/*
 * Bind jobs: publication, range fences, the run and the cleanup.
 *
 * Ordering (A11, P3). A job waits for the job before it on its queue, for its in-fences, and for
 * every unfinished job of the VM whose steps' order ranges overlap its own: the addresses
 * themselves, widened to a whole leaf table where the step makes, cuts or takes away that table.
 * Edges go from later to earlier publication only, and publication happens under vm.lock (write),
 * so they cannot form a cycle. Jobs that share nothing never wait for one another.
 *
 * Locking: the run takes vm.pt and nothing else of the VM; a reservation or vm.lock in here would
 * be a lock in the signalling path of a fence that others wait for with those locks held.
 */
#include "vm/job.h"

static void job_release(struct fence *fence)
{
	struct bind_job *job = container_of(fence, struct bind_job, fence);

	port_free(job);
}

static const struct fence_ops job_fence_ops = {
	.release = job_release,
};

static void job_item_run(struct ready_item *item)
{
	bind_job_run(container_of(item, struct bind_job, item));
}

void bind_job_init(struct bind_job *job, struct vm *vm, struct bind_queue *queue)
{
	job->vm = vm_get(vm);
	job->queue = bind_queue_get(queue);
	job->item.run = job_item_run;
	job->id = atomic_fetch_add(&vm->env->next_job_id, 1) + 1;
	list_init(&job->pending_node);
	list_init(&job->item.node);
	list_init(&job->removed);
	pt_pool_init(&job->pool);
	job->step = &job->step_one;
	job->step_count = 0;
	job->ran = false;
	job->step_cap = 1;
	job->change = &job->change_one;
	job->change_count = 1;
	job->deferred = false;
	job->named = NULL;
	job->named_count = 0;
	job->named_cap = 0;
	job->left_fence = false;
	change_init(job->change);
	(void)deps_init(&job->deps, vm->env->sync, &job->item, 0);
}

int bind_job_room(struct bind_job *job, unsigned ops)
{
	struct vma_change *change;

	if (ops <= 1) {
		return 0;
	}
	change = port_alloc(ops * sizeof(*change));
	if (!change) {
		return -ENOMEM;
	}
	job->change = change;
	for (job->change_count = 0; job->change_count < ops; job->change_count++) {
		change_init(&job->change[job->change_count]);
	}
	return 0;
}

struct bind_job *bind_job_create(struct vm *vm, struct bind_queue *queue, unsigned ops)
{
	struct bind_job *job = port_alloc(sizeof(*job));

	if (!job) {
		return NULL;
	}
	bind_job_init(job, vm, queue);
	/* The seqno is given at publication; until then nobody but us sees the fence. */
	fence_init(&job->fence, vm->env->sync, FENCE_DMA, &job_fence_ops, queue->context, 0);
	job->deferred = true;
	if (bind_job_room(job, ops)) {
		bind_job_abandon(job);
		return NULL;
	}
	return job;
}

void bind_job_trim_steps(struct bind_job *job, unsigned count)
{
	while (job->step_count > count) {
		struct bind_step *step = &job->step[--job->step_count];

		place_put(step->place);
		bo_put(step->bo);
		if (step->userptr) {
			vm_userptr_put(step->userptr);
		}
	}
}

static unsigned named_find(const struct bind_job *job, const struct bo *bo)
{
	unsigned low = 0, high = job->named_count;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (job->named[middle]->id < bo->id) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

int bind_job_name(struct bind_job *job, struct bo *bo)
{
	unsigned at = named_find(job, bo);
	int ret;

	if (!job->deferred || (at < job->named_count && job->named[at] == bo)) {
		return 0;
	}
	if (job->named_count == job->named_cap) {
		unsigned cap = job->named_cap ? 2 * job->named_cap : 4;
		struct bo **named = port_alloc(cap * sizeof(struct bo *));

		if (!named) {
			return -ENOMEM;
		}
		if (job->named_count) {
			memcpy(named, job->named, job->named_count * sizeof(struct bo *));
		}
		port_free(job->named);
		job->named = named;
		job->named_cap = cap;
	}
	resv_lock(&bo->resv);
	ret = resv_reserve(&bo->resv, 1);
	resv_unlock(&bo->resv);
	if (ret) {
		return ret;
	}
	memmove(&job->named[at + 1], &job->named[at],
		(job->named_count - at) * sizeof(struct bo *));
	job->named[at] = bo_get(bo);
	job->named_count++;
	return 0;
}

void bind_job_leave_fence(struct bind_job *job)
{
	port_rwlock_assert_write(&job->vm->lock);
	job->fence.seqno = ++job->queue->seqno;
	port_publishing_begin(job->fence.context, job->fence.seqno);
	for (unsigned i = 0; i < job->named_count; i++) {
		struct resv *resv = &job->named[i]->resv;

		resv_lock(resv);
		resv_add(resv, &job->fence, RESV_BOOKKEEP);
		resv_unlock(resv);
	}
	job->left_fence = true;
}

/* An object would else keep the job's memory until somebody looks at its fences again. */
static void forget_named(struct bind_job *job)
{
	for (unsigned i = 0; i < job->named_count; i++) {
		struct bo *bo = job->named[i];

		resv_lock(&bo->resv);
		if (!job->left_fence) {
			resv_unreserve(&bo->resv, 1);
		}
		resv_prune(&bo->resv);
		resv_unlock(&bo->resv);
		bo_put(bo);
	}
	port_free(job->named);
}

/*
 * Gives everything back but the fence's memory. After a run the invalidation is over, so what was
 * unmapped and unlinked can go. Directories unlinked here may still be read by a walker inside its
 * epoch: one more (empty) invalidation outlasts it.
 */
void bind_job_fini(struct bind_job *job)
{
	struct vm *vm = job->vm;
	struct vm_env *env = vm->env;

	pt_release(&vm->pt, &job->pool);
	if (pt_has_dirs(&job->pool)) {
		env->gpu->invalidate(env->engines, env->engine_count, &vm->hw, 0, PAGE_SIZE);
		pt_free_dirs(&vm->pt, &job->pool);
	}
	list_for_each_safe(vma, &job->removed, struct vma, remove_node) {
		list_del(&vma->remove_node);
		vma_destroy(vma);
	}
	for (unsigned i = 0; i < job->change_count; i++) {
		change_fini(&job->change[i]);
	}
	bind_job_trim_steps(job, 0);
	forget_named(job);
	if (job->step != &job->step_one) {
		port_free(job->step);
	}
	if (job->change != &job->change_one) {
		port_free(job->change);
	}
	deps_fini(&job->deps);
	bind_queue_put(job->queue);
	if (job->ran) {
		atomic_fetch_sub(&vm->cleaning, 1);
		port_wq_wake(&vm->cleaned);
	}
	vm_put(vm);
}

void bind_job_abandon(struct bind_job *job)
{
	ASSERT(list_empty(&job->pending_node));
	bind_job_fini(job);
	fence_put(&job->fence);
}

struct bind_step *bind_job_add_step(struct bind_job *job)
{
	if (job->step_count == job->step_cap) {
		unsigned cap = job->step_cap * 4;
		struct bind_step *step = port_alloc(cap * sizeof(*step));

		if (!step) {
			return NULL;
		}
		memcpy(step, job->step, job->step_count * sizeof(*step));
		if (job->step != &job->step_one) {
			port_free(job->step);
		}
		job->step = step;
		job->step_cap = cap;
	}
	job->step[job->step_count] = (struct bind_step){ 0 };
	return &job->step[job->step_count++];
}

/* Must [start, end) be ordered against a step of @job? @reshaping: only by steps that reshape. */
static bool steps_overlap(const struct bind_job *job, uint64_t start, uint64_t end, bool reshaping)
{
	for (unsigned i = 0; i < job->step_count; i++) {
		const struct bind_step *step = &job->step[i];

		if ((step->reshapes || !reshaping) &&
		    range_overlaps(start, end, step->order_start, step->order_end)) {
			return true;
		}
	}
	return false;
}

static bool jobs_overlap(const struct bind_job *a, const struct bind_job *b)
{
	for (unsigned i = 0; i < b->step_count; i++) {
		if (steps_overlap(a, b->step[i].order_start, b->step[i].order_end, false)) {
			return true;
		}
	}
	return false;
}

bool bind_any_pending(struct vm *vm)
{
	port_rwlock_assert_write(&vm->lock);
	return atomic_load_explicit(&vm->pending_count, memory_order_acquire) != 0;
}

bool bind_range_contended(struct bind_job *job, uint64_t start, uint64_t end)
{
	struct vm *vm = job->vm;
	bool contended;

	start = align_down(start, PT_ORDER_GRANULE);
	end = align_up(end, PT_ORDER_GRANULE);
	contended = steps_overlap(job, start, end, true);
	if (!bind_any_pending(vm)) {
		return contended;
	}
	port_mutex_lock(&vm->pending_lock);
	list_for_each(other, &vm->pending, struct bind_job, pending_node) {
		contended = contended || steps_overlap(other, start, end, true);
	}
	port_mutex_unlock(&vm->pending_lock);
	return contended;
}

unsigned bind_job_deps_max(struct vm *vm, unsigned in_count)
{
	port_rwlock_assert_write(&vm->lock);
	return in_count + 1 + atomic_load_explicit(&vm->pending_count, memory_order_relaxed);
}

struct fence *bind_pending_fence(struct vm *vm, const struct bind_queue *queue, uint64_t start,
				 uint64_t end)
{
	struct fence *fence = NULL;

	if (!bind_any_pending(vm)) {
		return NULL;
	}
	start = align_down(start, SZ_1G);
	end = align_up(end, SZ_1G);
	port_mutex_lock(&vm->pending_lock);
	list_for_each(job, &vm->pending, struct bind_job, pending_node) {
		if (job->queue == queue || steps_overlap(job, start, end, false)) {
			fence = fence_get(&job->fence);
			break;
		}
	}
	port_mutex_unlock(&vm->pending_lock);
	return fence;
}

bool bind_job_publish(struct bind_job *job, struct fence *const *in_fences, unsigned in_count,
		      struct ufence *ufence, unsigned ops)
{
	struct vm *vm = job->vm;
	struct bind_queue *queue = job->queue;
	unsigned without = vm->env->without;
	bool ready;

	port_rwlock_assert_write(&vm->lock);
	for (unsigned i = 0; i < in_count && !(without & GUARD_IN_FENCES); i++) {
		deps_add(&job->deps, in_fences[i]);
	}
	/* Before any later job can run behind this one: user fences are written in order. */
	if (ufence) {
		ufence_arm(ufence, &job->fence);
	}
	port_mutex_lock(&queue->lock);
	if (queue->last && !(without & GUARD_ORDER)) {
		deps_add(&job->deps, queue->last);
	}
	port_mutex_lock(&vm->pending_lock);
	list_for_each(other, &vm->pending, struct bind_job, pending_node) {
		if (jobs_overlap(other, job) && !(without & GUARD_RANGE)) {
			deps_add(&job->deps, &other->fence);
		}
	}
	list_add_tail(&vm->pending, &job->pending_node);
	atomic_fetch_add_explicit(&vm->pending_count, 1, memory_order_relaxed);
	port_mutex_unlock(&vm->pending_lock);
	fence_put(queue->last);
	queue->last = fence_get(&job->fence);
	event_emit(vm->env->events, EVENT_BIND_PUBLISH, vm->id, job->id, queue->id,
		   ops, job->deps.count, 0);
	event_emit(vm->env->events, EVENT_FENCE_PUBLISH, job->fence.context, job->fence.seqno,
		   EVENT_OF_BIND, job->id, vm->id, 0);
	ready = deps_arm(&job->deps, &job->fence);
	port_publishing_end();
	port_mutex_unlock(&queue->lock);
	if (ready && vm->env->defer_ready) {
		ready_push(vm->env->sync, &job->item);
		return false;
	}
	return ready;
}

static void write_step(struct bind_job *job, const struct bind_step *step)
{
	struct pt *pt = &job->vm->pt;

	if (!step->map) {
		pt_clear(pt, &job->pool, step->start, step->end);
	} else if (step->attrs.null) {
		pt_write(pt, &job->pool, step->start, step->end, NULL, 0, &step->attrs);
	} else {
		struct backing backing = step->place ? place_backing(step->place)
						     : userptr_backing(&step->userptr->window);

		pt_write(pt, &job->pool, step->start, step->end, &backing, step->offset,
			 &step->attrs);
	}
}

/*
 * Drops the translations that the steps have made stale (TLB_DONE). A map onto pages that were free
 * makes none, but it may have replaced a table that a walk for a neighbour is inside: its page must
 * not be used again before that epoch has ended.
 */
static void invalidate_steps(struct bind_job *job)
{
	struct vm *vm = job->vm;
	struct vm_env *env = vm->env;
	bool waited = false;

	for (unsigned i = 0; i < job->step_count; i++) {
		const struct bind_step *step = &job->step[i];

		if (step->invalidate) {
			vm_invalidate(vm, step->start, step->end);
			waited = env->tlb_rule == VM_TLB_AT_UNBIND;
		}
	}
	if (!waited && pt_has_unlinked(&job->pool)) {
		env->gpu->invalidate(env->engines, env->engine_count, &vm->hw, 0, PAGE_SIZE);
	}
}

/* What the job took out of the index comes one step nearer to being let go. */
static void pages_move(struct bind_job *job, enum vma_pages from, enum vma_pages to)
{
	list_for_each(vma, &job->removed, struct vma, remove_node) {
		if (vma->pages != from) {
			port_rule_broken("R10", PORT_HERE, port_noted(vma),
					 "the pages of [0x%lx, 0x%lx) in vm %u are to go from "
					 "state %d to %d, but are in %d",
					 (unsigned long)vma->start, (unsigned long)vma->end,
					 job->vm->id, (int)from, (int)to, (int)vma->pages);
		}
		vma_set_pages(vma, to);
	}
}

/* To the end of the invalidation: nothing leads to what the job took away any more. */
static void carry_out(struct bind_job *job)
{
	struct vm *vm = job->vm;

	event_emit(vm->env->events, EVENT_BIND_RUN, vm->id, job->id, 0, 0, 0, 0);
	port_mutex_lock(&vm->pt.lock);
	for (unsigned i = 0; i < job->step_count; i++) {
		write_step(job, &job->step[i]);
	}
	port_mutex_unlock(&vm->pt.lock);
	pages_move(job, VMA_MAPPED, VMA_CLEARED);
	invalidate_steps(job);
	pages_move(job, VMA_CLEARED, VMA_TLB_DONE);
	/* Who waits for memory (A09) sees it here as soon as it is no longer unfinished. */
	job->ran = true;
	atomic_fetch_add(&vm->cleaning, 1);
}

void bind_job_run(struct bind_job *job)
{
	struct vm *vm = job->vm;

	port_signalling_begin(job->fence.context, job->fence.seqno);
	carry_out(job);
	/* Later jobs no longer need to order themselves behind this one. */
	port_mutex_lock(&vm->pending_lock);
	list_del(&job->pending_node);
	atomic_fetch_sub_explicit(&vm->pending_count, 1, memory_order_release);
	port_mutex_unlock(&vm->pending_lock);
	event_emit(vm->env->events, EVENT_BIND_DONE, vm->id, job->id, 0, 0, 0, 0);
	fence_signal(&job->fence, 0);
	port_signalling_end();
	bind_job_fini(job);
	fence_put(&job->fence);
}

void bind_job_run_now(struct bind_job *job)
{
	port_rwlock_assert_write(&job->vm->lock);
	carry_out(job);
	event_emit(job->vm->env->events, EVENT_BIND_DONE, job->vm->id, job->id, 0, 0, 0, 0);
}
