// SPDX-License-Identifier: MIT
/*
 * Execution queues and jobs: submission, order, bans, the end of a job.
 *
 * Overview. A job waits for its in-fences and for the job before it on its queue; then each of its
 * batches goes onto an engine (run.c); when all have ended, the user fence is written through the
 * VM, the fence signals and the job is gone.
 *
 * Publication (P1). exec_submit() reads the active set's sequence, validates what was invalidated,
 * and publishes one fence: into the queue and into the queue's slot of the active set. If the
 * sequence moved in between, something it validated was taken away: it validates again. The cost
 * does not depend on how many objects the VM maps. Where objects have moved the mappings are made
 * whole first, and nothing can be taken away until it is published, so that no two VMs can keep one
 * another from ever running. A job of a long-running VM is in its queue only; what the slot holds
 * then is in preempt.c.
 *
 * Locking: vm.lock (read) > queue.lock > vm.active.
 */
#include "exec/job.h"

static uint64_t id_by_lock(const void *lock)
{
	return container_of(lock, const struct exec_queue, lock)->id;
}

static struct port_lock_class submit_class = { .name = "queue.submit", .rank = RANK_QUEUE_SUBMIT,
					       .of = "queue", .of_id = id_by_lock };

int exec_queue_create(struct device *device, const struct exec_queue_args *args,
		      struct exec_queue **queue_out)
{
	uint32_t timeout_ms = args->job_timeout_ms ? args->job_timeout_ms : EXEC_JOB_TIMEOUT_MS;
	struct exec_queue *queue;

	ASSERT(args->width && args->width <= EXEC_MAX_WIDTH);
	ASSERT(args->placements && args->placements <= DEVICE_MAX_ENGINES);
	if (vm_is_banned(args->vm)) {
		return -ENOENT;
	}
	queue = port_alloc(sizeof(*queue));
	if (!queue) {
		return -ENOMEM;
	}
	ref_init(&queue->ref);
	queue->device = device;
	queue->vm = vm_get(args->vm);
	queue->id = atomic_fetch_add(&device->next_queue_id, 1) + 1;
	queue->width = args->width;
	queue->placements = args->placements;
	queue->lr = vm_is_lr(args->vm);
	queue->gives_way = args->vm->flags & VM_FAULT;
	queue->priority = args->priority;
	queue->timeslice_ns = (uint64_t)args->timeslice_us * 1000;
	queue->context = sync_new_context(&device->sync);
	queue->preempt_context = sync_new_context(&device->sync);
	port_mutex_init(&queue->lock, &submit_class);
	list_init(&queue->jobs);
	for (unsigned i = 0; i < args->width * args->placements; i++) {
		ASSERT(args->engines[i] < device->engine_count);
		queue->engine[i] = args->engines[i];
	}
	queue->job_timeout_ns = (uint64_t)timeout_ms * 1000000;
	queue->usage = args->usage;
	for (unsigned i = 0; i < args->width; i++) {
		device->gpu->context_init(&queue->ctx[i], &queue->vm->hw, device->graphics_ver);
		list_init(&queue->run[i].node);
		queue->run[i].queue = queue;
	}
	active_slot_add(queue->vm->active, &queue->slot);
	port_mutex_lock(&device->run_lock);
	list_add_tail(&device->queues, &queue->device_node);
	atomic_init(&queue->error, atomic_load(&device->wedged) ? -ECANCELED : 0);
	port_mutex_unlock(&device->run_lock);
	if (queue->priority != EXEC_PRIORITY_NORMAL) {
		atomic_fetch_add(&device->ranked, 1);
	}
	event_emit(&device->events, EVENT_QUEUE_CREATE, queue->vm->id, queue->id,
		   device->engine[queue->engine[0]].gpu.class, queue->width, 0, 0);
	*queue_out = queue;
	return 0;
}

struct exec_queue *exec_queue_get(struct exec_queue *queue)
{
	ref_get(&queue->ref);
	return queue;
}

void exec_queue_put(struct exec_queue *queue)
{
	if (!queue || !ref_put(&queue->ref)) {
		return;
	}
	ASSERT(list_empty(&queue->jobs) && !queue->current);
	preempt_end(queue);
	port_mutex_lock(&queue->device->run_lock);
	list_del(&queue->device_node);
	port_mutex_unlock(&queue->device->run_lock);
	event_emit(&queue->device->events, EVENT_QUEUE_DESTROY, queue->id, 0, 0, 0, 0, 0);
	active_slot_remove(queue->vm->active, &queue->slot);
	if (queue->priority != EXEC_PRIORITY_NORMAL) {
		atomic_fetch_sub(&queue->device->ranked, 1);
	}
	fence_put(queue->last);
	port_mutex_fini(&queue->lock);
	vm_put(queue->vm);
	port_free(queue);
}

void exec_queue_ban(struct exec_queue *queue, int error)
{
	int none = 0;

	ASSERT(error < 0);
	if (atomic_compare_exchange_strong(&queue->error, &none, error)) {
		event_emit(&queue->device->events, EVENT_QUEUE_BAN, queue->id, (uint64_t)-error, 0,
			   0, 0, 0);
	}
	/* Who waits for a user fence of this queue must learn that it will not come. */
	port_wq_wake(&queue->device->sync.ufence_wq);
}

void exec_queue_cancel(struct exec_queue *queue)
{
	struct sync *sync = &queue->device->sync;

	exec_queue_ban(queue, -ECANCELED);
	port_mutex_lock(&queue->lock);
	list_for_each(job, &queue->jobs, struct exec_job, node) {
		/* Its in-fences may never signal; it does not need them to be cancelled. */
		if (deps_cancel(&job->deps, queue->context)) {
			ready_push(sync, &job->item);
		}
	}
	port_mutex_unlock(&queue->lock);
	port_wq_wake(&queue->device->work_wq);
}

void exec_queue_kill(struct exec_queue *queue)
{
	struct fence *last;

	exec_queue_cancel(queue);
	last = exec_queue_last(queue);
	(void)fence_wait(last, PORT_FOREVER, 0);
	fence_put(last);
}

void exec_queue_losses(const struct exec_queue *queue, struct exec_losses *losses)
{
	losses->active = atomic_load(&queue->lost_active);
	losses->pending = atomic_load(&queue->lost_pending);
}

int exec_queue_error(const struct exec_queue *queue)
{
	return atomic_load(&queue->error);
}

struct vm *exec_queue_vm(struct exec_queue *queue)
{
	return queue->vm;
}

unsigned exec_queue_width(const struct exec_queue *queue)
{
	return queue->width;
}

uint32_t exec_queue_id(const struct exec_queue *queue)
{
	return queue->id;
}

struct fence *exec_queue_last(struct exec_queue *queue)
{
	struct fence *fence;

	port_mutex_lock(&queue->lock);
	fence = fence_get(queue->last ? queue->last : queue->device->sync.stub);
	port_mutex_unlock(&queue->lock);
	return fence;
}

bool exec_queue_is_full(const struct exec_queue *queue)
{
	return atomic_load(&queue->job_count) >= EXEC_MAX_JOBS;
}

/* ---- jobs ----------------------------------------------------------------------------------- */

static void job_release(struct fence *fence)
{
	port_free(container_of(fence, struct exec_job, fence));
}

static const struct fence_ops job_fence_ops = {
	.release = job_release,
};

int exec_fence_class(const struct fence *fence)
{
	if (fence->ops != &job_fence_ops) {
		return -1;
	}
	return (int)container_of(fence, const struct exec_job, fence)->class;
}

static void job_item_run(struct ready_item *item)
{
	exec_job_start(container_of(item, struct exec_job, item), true);
}

static struct exec_job *job_create(struct exec_queue *queue, const struct exec_args *args)
{
	struct sync *sync = &queue->device->sync;
	struct exec_job *job = port_alloc(sizeof(*job));
	unsigned without = queue->vm->env->without;

	if (!job) {
		return NULL;
	}
	/* The job before it, and the VM's last rebind. */
	if (deps_init(&job->deps, sync, &job->item, args->in_count + 2)) {
		port_free(job);
		return NULL;
	}
	fence_init(&job->fence, sync, queue->lr ? FENCE_LR : FENCE_DMA, &job_fence_ops,
		   queue->context, 0);
	job->item.run = job_item_run;
	list_init(&job->item.node);
	list_init(&job->node);
	job->queue = exec_queue_get(queue);
	job->id = atomic_fetch_add(&queue->device->next_job_id, 1) + 1;
	for (unsigned i = 0; i < queue->width; i++) {
		job->batch[i] = args->batches[i];
	}
	job->class = queue->device->engine[queue->engine[0]].gpu.class;
	job->forks = queue->device->forks;
	job->has_ufence = args->has_ufence;
	job->ufence_addr = args->ufence_addr;
	job->ufence_value = args->ufence_value;
	for (unsigned i = 0; i < args->in_count && !(without & GUARD_JOB_FENCES); i++) {
		deps_add(&job->deps, args->in_fences[i]);
	}
	return job;
}

static void job_put(struct exec_job *job)
{
	struct exec_queue *queue = job->queue;

	deps_fini(&job->deps);
	fence_put(&job->fence);
	exec_queue_put(queue);
}

void exec_job_end(struct exec_job *job)
{
	struct exec_queue *queue = job->queue;
	struct device *device = queue->device;
	int error = atomic_load(&job->error);

	ASSERT(!queue->current);
	if (error && !atomic_load(&job->lost) && exec_queue_error(queue) == -EIO) {
		atomic_fetch_add(&queue->lost_pending, 1);
	}
	port_signalling_begin(job->fence.context, job->fence.seqno);
	port_mutex_lock(&queue->lock);
	list_del(&job->node);
	atomic_fetch_sub(&queue->job_count, 1);
	port_mutex_unlock(&queue->lock);
	event_emit(&device->events, EVENT_EXEC_DONE, queue->id, job->id, (uint64_t)-error, 0, 0,
		   0);
	fence_signal(&job->fence, error);
	port_signalling_end();
	if (queue->ring.size_B) {
		exec_queue_ban(queue, -ECANCELED); /* it has no other, in the child of a fork too */
	}
	if (job->has_ufence || error) {
		port_wq_wake(&device->sync.ufence_wq);
	}
	job_put(job);
}

/* The candidate that has least to do: so that a virtual queue spreads over its engines. */
static struct device_engine *choose_engine(struct exec_queue *queue, unsigned unit)
{
	struct device *device = queue->device;
	struct device_engine *best = NULL;
	unsigned best_load = 0;

	if (queue->placements == 1) {
		return &device->engine[queue->engine[unit]];
	}
	port_mutex_lock(&device->run_lock);
	for (unsigned i = 0; i < queue->placements; i++) {
		struct device_engine *engine =
			&device->engine[queue->engine[unit * queue->placements + i]];
		unsigned load = engine->busy;

		list_for_each(run, &device->runnable, struct exec_run, node) {
			load += run->engine == engine;
		}
		if (!best || load < best_load) {
			best = engine;
			best_load = load;
		}
	}
	port_mutex_unlock(&device->run_lock);
	return best;
}

void exec_job_start(struct exec_job *job, bool kick)
{
	struct exec_queue *queue = job->queue;
	struct device *device = queue->device;
	unsigned width = queue->width;

	if (atomic_load(&queue->error) || job->forks != device->forks) {
		atomic_store(&job->error, -ECANCELED);
		exec_job_end(job);
		return;
	}
	ASSERT(!queue->current);
	port_signalling_begin(job->fence.context, job->fence.seqno);
	vm_flush_at_submit(queue->vm);
	queue->current = job;
	atomic_store(&job->units_left, width);
	job->units_there = width;
	for (unsigned i = 0; i < width; i++) {
		queue->run[i].engine = choose_engine(queue, i);
		queue->run[i].polled = false;
		queue->run[i].shares = false;
		queue->run[i].begun = false;
		atomic_store(&queue->run[i].fate, RUN_OPEN);
		queue->run[i].ran_ns = 0;
		if (queue->ring.size_B) {
			device->gpu->start_ring(&queue->ctx[i], &queue->ring);
		} else {
			device->gpu->start(&queue->ctx[i], job->batch[i]);
		}
		event_emit(&device->events, EVENT_EXEC_START, queue->id, job->id,
			   queue->run[i].engine->index, 0, 0, 0);
	}
	/* Only now: once all are there the job may end, and with it the queue. */
	for (unsigned i = 0; i < width; i++) {
		device_add_run(device, &queue->run[i], kick);
	}
	port_signalling_end();
}

/* ---- submission ----------------------------------------------------------------------------- */

/* It runs after the entries that it needs are written. */
static void add_rebind(struct vm *vm, struct exec_job *job)
{
	struct fence *last = vm->rebind_queue->last; /* changes under vm.lock (write) only */

	port_rwlock_assert_held(&vm->lock);
	if (last && !fence_is_signalled(last)) {
		deps_add(&job->deps, last);
	}
}

/*
 * The publish step. 0 with *ready_out: nothing holds the job back and the caller starts it; -EAGAIN
 * too many jobs; -ECANCELED banned; 1 what was validated is no longer so: validate again.
 */
static int publish(struct exec_queue *queue, struct exec_job *job, uint64_t seq, bool *ready_out)
{
	unsigned without = queue->vm->env->without;
	int ret = 0;

	port_rwlock_assert_held(&queue->vm->lock);
	port_mutex_lock(&queue->lock);
	if (atomic_load(&queue->error) || vm_is_banned(queue->vm) ||
	    (queue->vm->closed && !(without & GUARD_CLOSED))) {
		ret = -ECANCELED;
	} else if (exec_queue_is_full(queue)) {
		ret = -EAGAIN;
	} else {
		job->fence.seqno = queue->seqno + 1;
		if (without & GUARD_RECHECK) {
			seq = active_seq(queue->vm->active);
		}
		port_publishing_begin(queue->context, job->fence.seqno);
		if (!queue->lr &&
		    !active_publish(queue->vm->active, &queue->slot, &job->fence, seq)) {
			port_publishing_end();
			ret = 1;
		}
	}
	if (ret) {
		port_mutex_unlock(&queue->lock);
		return ret;
	}
	queue->seqno++;
	if (queue->last && !(without & GUARD_ORDER)) {
		deps_add(&job->deps, queue->last);
	}
	add_rebind(queue->vm, job);
	fence_put(queue->last);
	queue->last = fence_get(&job->fence);
	list_add_tail(&queue->jobs, &job->node);
	atomic_fetch_add(&queue->job_count, 1);
	event_emit(&queue->device->events, EVENT_EXEC_SUBMIT, queue->vm->id, queue->id, job->id,
		   queue->width, job->deps.count, 0);
	event_emit(&queue->device->events, EVENT_FENCE_PUBLISH, queue->context, job->fence.seqno,
		   queue->lr ? EVENT_OF_LR_JOB : EVENT_OF_JOB, job->id, queue->id, 0);
	*ready_out = deps_arm(&job->deps, &job->fence);
	port_publishing_end();
	port_mutex_unlock(&queue->lock);
	lru_touch(queue->vm->env->mem, &queue->vm->bulk);
	return 0;
}

/* vm.lock held. 1: mappings have to be made whole first. */
static int publish_valid(struct exec_queue *queue, struct exec_job *job, bool *ready_out)
{
	struct vm *vm = queue->vm;
	int ret;

	do {
		uint64_t seq = active_seq(vm->active);

		if (!vm_fits(vm)) {
			return -ENOSPC;
		}
		/* Long-running work is validated when the queue is resumed for it. */
		ret = queue->lr || vm_validate(vm) ? publish(queue, job, seq, ready_out) : 1;
	} while (ret > 0 && !vm_has_evicted(vm));
	return ret;
}

static int validate_and_publish(struct exec_queue *queue, struct exec_job *job, bool *ready_out)
{
	struct vm *vm = queue->vm;
	int ret = port_rwlock_rdlock_interruptible(&vm->lock);

	if (ret) {
		return ret;
	}
	ret = publish_valid(queue, job, ready_out);
	port_rwlock_rdunlock(&vm->lock);
	/* Again only if an unmap found no memory just then. */
	while (ret > 0) {
		ret = vm_rebind_begin(vm, true);
		if (ret) {
			break;
		}
		ret = publish_valid(queue, job, ready_out);
		vm_rebind_end(vm);
	}
	return ret;
}

/* The submitter runs what is ready; workers get what is left when it cannot go on. */
static void run_eagerly(struct device *device, struct fence *fence)
{
	while (!fence_is_signalled(fence)) {
		if (!device_help(device)) {
			device->sync.help_ops->kick(device);
			break;
		}
	}
}

int exec_submit(struct exec_queue *queue, const struct exec_args *args, struct fence **fence_out)
{
	struct device *device = queue->device;
	struct exec_job *job;
	struct fence *fence;
	bool ready = false;
	int ret;

	ASSERT(!queue->ring.size_B || !queue->last);
	if (atomic_load(&queue->error)) {
		return -ECANCELED;
	}
	if (queue->lr && args->in_count) {
		/* Long-running work is not pipelined behind anything (A12). */
		ret = fence_wait_many(&device->sync, args->in_fences, args->in_count, true,
				      PORT_FOREVER, PORT_WAIT_INTERRUPTIBLE, NULL);
		if (ret) {
			return ret;
		}
	}
	job = job_create(queue, args);
	if (!job) {
		return -ENOMEM;
	}
	fence = fence_get(&job->fence);
	ret = validate_and_publish(queue, job, &ready);
	if (ret) {
		fence_put(fence);
		job_put(job);
		return ret;
	}
	if (ready) {
		exec_job_start(job, device->schedule != SCHEDULE_EAGER);
	}
	if (device->schedule == SCHEDULE_EAGER) {
		run_eagerly(device, fence);
	}
	*fence_out = fence;
	return 0;
}
