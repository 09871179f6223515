// SPDX-License-Identifier: MIT
/*
 * Preempt fences: long-running work leaves its engines when somebody waits for that (B19).
 *
 * Overview. Jobs of a long-running VM end when their client likes, so their fences can stand for
 * nothing that others wait for (A13). In their place the queue's slot of the active set holds a
 * preempt fence, a dma fence that promises only that the queue is off its engines. Nothing happens
 * while nobody waits for it. Who does enables it, which pushes a ready item; that item says that
 * the queue is wanted off, and when its last run has left its engine the fence signals. The waiter
 * may run the item itself and so needs no worker but to see steps end that are under way.
 *
 * A suspended queue with a run is resumed by a worker: it makes usable what was taken away and
 * publishes a new fence, in the way of a submission (P1), and has no engine meanwhile. If entries
 * are still to be written, behind moves of objects, the steps wait for that. Without memory it
 * tries again later; the queue is never banned for it.
 *
 *	suspended -> resuming -> running -> (wanted) -> suspended
 *
 * A ring that had nothing to do since its resume rests for REST_NS, unless it is kicked: else two
 * of them, idle, would take memory from each other all the time.
 *
 * Progress. Two VMs that take memory from each other could suspend each other for ever. So each run
 * that is there at a resume is owed one step, and the suspension waits for it. It depends on what
 * was published before the resume only, so nothing can go round in a circle. A worker makes these
 * steps; as a resume may sleep until others are done who wait for such a step, only one worker
 * resumes at a time, and there is another.
 *
 * Page faults. Work of a VM with faults may have to wait for memory at any command, and memory for
 * dma fences. So it gives way: while a group of engines has runs that promise a dma fence it is not
 * stepped there, nor is its queue resumed; but for a step that is owed.
 *
 * Locking: device.run_lock protects the state; the fences are signalled under it.
 */
#include "exec/job.h"

#define REST_NS ((uint64_t)1000000)

struct exec_preempt {
	struct fence fence;       /* holds the memory */
	struct ready_item item;   /* while pushed: a reference to the fence and one to the queue */
	struct exec_queue *queue; /* valid until the fence has signalled */
	struct fence *rebound;    /* a reference, once published: the entries are written */
	struct fence_cb rebound_cb;
	bool wanted;              /* the queue is to leave its engines; by device.run_lock */
	atomic_bool flushed;      /* translations from before the resume are gone */
};

static void preempt_release(struct fence *fence)
{
	struct exec_preempt *preempt = container_of(fence, struct exec_preempt, fence);

	if (preempt->rebound) {
		(void)fence_remove_cb(preempt->rebound, &preempt->rebound_cb);
		fence_put(preempt->rebound);
	}
	port_free(preempt);
}

static void preempt_enable(struct fence *fence)
{
	struct exec_preempt *preempt = container_of(fence, struct exec_preempt, fence);

	port_mutex_assert_held(&fence->lock);
	/* One that nobody holds any more signals it in a moment, and is not freed before. */
	if (ref_get_unless_zero(&preempt->queue->ref)) {
		fence_get(fence);
		ready_push(fence->sync, &preempt->item);
	}
}

static const struct fence_ops preempt_ops = {
	.release = preempt_release,
	.enable = preempt_enable,
};

/*
 * Has it done nothing since its resume, and has nothing to do? Off its engines only; a context that
 * is no ring's is about to be started by somebody, perhaps.
 */
static bool ring_is_idle_locked(const struct exec_queue *queue)
{
	const struct gpu_context *ctx = &queue->ctx[0];

	return queue->ring.size_B && gpu_context_is_dry(ctx) && ctx->head == queue->head_then;
}

/* In the order of the fences: whoever resumes the queue comes after this. */
static void suspend_locked(struct exec_queue *queue)
{
	struct exec_preempt *preempt = queue->preempt;

	queue->preempt = NULL;
	queue->rest_until_ns = ring_is_idle_locked(queue) ? port_now_ns() + REST_NS : 0;
	event_emit(&queue->device->events, EVENT_QUEUE_SUSPEND, queue->id, 0, 0, 0, 0, 0);
	fence_signal(&preempt->fence, 0);
	fence_put(&preempt->fence);
}

/* If it is wanted and nothing is left to wait for. */
static void try_suspend_locked(struct exec_queue *queue)
{
	port_mutex_assert_held(&queue->device->run_lock);
	if (queue->preempt && queue->preempt->wanted && !queue->on_engine && !queue->owed) {
		suspend_locked(queue);
	}
}

static void item_run(struct ready_item *item)
{
	struct exec_preempt *preempt = container_of(item, struct exec_preempt, item);
	struct exec_queue *queue = preempt->queue;
	struct device *device = queue->device;
	bool left;

	port_signalling_begin(preempt->fence.context, preempt->fence.seqno);
	port_mutex_lock(&device->run_lock);
	preempt->wanted = true;
	try_suspend_locked(queue);
	left = !list_empty(&device->runnable);
	port_mutex_unlock(&device->run_lock);
	if (left) {
		/* For a step that is owed, or to resume what has just been suspended. */
		device->sync.help_ops->kick(device);
	}
	port_signalling_end();
	fence_put(&preempt->fence);
	exec_queue_put(queue);
}

static struct exec_preempt *preempt_create(struct exec_queue *queue)
{
	struct exec_preempt *preempt = port_alloc(sizeof(*preempt));

	if (preempt) {
		fence_init(&preempt->fence, &queue->device->sync, FENCE_DMA, &preempt_ops,
			   queue->preempt_context, ++queue->preempt_seqno);
		preempt->item.run = item_run;
		list_init(&preempt->item.node);
		preempt->queue = queue;
	}
	return preempt;
}

/* Has it to wait for others of its engine's group? */
static bool gives_way_locked(const struct exec_run *run)
{
	return run->queue->gives_way && run->queue->device->dma_runs[run->engine->group] &&
	       !(run->queue->vm->env->without & GUARD_GROUPS);
}

bool preempt_may_step_locked(const struct exec_run *run)
{
	const struct exec_queue *queue = run->queue;

	port_mutex_assert_held(&queue->device->run_lock);
	if (!queue->lr || atomic_load(&queue->error)) {
		return true; /* what is in error only ends */
	}
	return queue->preempt && fence_is_signalled(queue->preempt->rebound) &&
	       (run->owed || (!queue->preempt->wanted && !gives_way_locked(run)));
}

void preempt_before_step(struct exec_queue *queue)
{
	struct exec_preempt *preempt = queue->preempt; /* stays while a run is on an engine */

	ASSERT(preempt);
	if (!atomic_load(&preempt->flushed)) {
		vm_flush_at_submit(queue->vm);
		atomic_store(&preempt->flushed, true);
	}
}

bool preempt_may_resume_locked(const struct exec_run *run)
{
	const struct exec_queue *queue = run->queue;

	port_mutex_assert_held(&queue->device->run_lock);
	return queue->lr && !queue->preempt && !queue->device->resuming && !gives_way_locked(run) &&
	       !atomic_load(&queue->error) && !atomic_load(&queue->device->stop);
}

bool preempt_rests_locked(const struct exec_run *run)
{
	const struct exec_queue *queue = run->queue;

	port_mutex_assert_held(&queue->device->run_lock);
	return queue->rest_until_ns && atomic_load(&queue->kicks) == queue->kicks_then &&
	       port_now_ns() < queue->rest_until_ns;
}

void preempt_left_locked(struct exec_run *run)
{
	struct exec_queue *queue = run->queue;

	port_mutex_assert_held(&queue->device->run_lock);
	if (run->owed) {
		run->owed = false;
		queue->owed--;
	}
	try_suspend_locked(queue);
}

static void rebound_signalled(struct fence *fence, struct fence_cb *cb)
{
	(void)cb;
	fence->sync->help_ops->kick(fence->sync->help_ctx);
}

/* vm.lock held. False: mappings have to be made whole first. */
static bool publish_valid(struct exec_queue *queue, struct exec_preempt *preempt)
{
	struct vm *vm = queue->vm;
	uint64_t seq;

	port_rwlock_assert_held(&vm->lock);
	do {
		seq = active_seq(vm->active);
		if (!vm_validate(vm)) {
			return false;
		}
	} while (!active_publish(vm->active, &queue->slot, &preempt->fence, seq));
	event_emit(&queue->device->events, EVENT_FENCE_PUBLISH, preempt->fence.context,
		   preempt->fence.seqno, EVENT_OF_PREEMPTION, preempt->fence.seqno, queue->id, 0);
	preempt->rebound = vm_rebind_fence(vm);
	(void)fence_add_cb(preempt->rebound, &preempt->rebound_cb, rebound_signalled);
	lru_touch(vm->env->mem, &vm->bulk);
	return true;
}

/* False: no memory, or the queue is not to run any more. */
static bool publish(struct exec_queue *queue, struct exec_preempt *preempt)
{
	struct vm *vm = queue->vm;
	bool published;

	port_assert_no_locks();
	if (atomic_load(&queue->error)) {
		return false;
	}
	port_rwlock_rdlock(&vm->lock);
	published = publish_valid(queue, preempt);
	port_rwlock_rdunlock(&vm->lock);
	if (!published && vm_rebind_begin(vm, false) == 0) {
		published = publish_valid(queue, preempt);
		vm_rebind_end(vm);
	}
	return published;
}

bool preempt_resume(struct exec_queue *queue)
{
	struct device *device = queue->device;
	unsigned kicks = atomic_load(&queue->kicks); /* what comes later may not be seen yet */
	struct exec_preempt *preempt;
	bool published;

	/* This thread may sleep now: another one must look after what it has left. */
	device->sync.help_ops->kick(device);
	preempt = preempt_create(queue);
	published = preempt && publish(queue, preempt);
	port_mutex_lock(&device->run_lock);
	ASSERT(device->resuming == queue && !queue->preempt && !queue->owed);
	device->resuming = NULL;
	if (published) {
		event_emit(&device->events, EVENT_QUEUE_RESUME, queue->id, 0, 0, 0, 0, 0);
		queue->preempt = preempt;
		queue->head_then = queue->ctx[0].head;
		queue->kicks_then = kicks;
		for (unsigned i = 0; i < queue->width; i++) {
			queue->run[i].owed = !list_empty(&queue->run[i].node);
			queue->owed += queue->run[i].owed;
		}
		try_suspend_locked(queue);
	}
	port_mutex_unlock(&device->run_lock);
	if (atomic_load(&device->stop)) {
		port_wq_wake(&device->work_wq); /* the other one has stayed for this */
	}
	if (!published && preempt) {
		fence_put(&preempt->fence);
	}
	exec_queue_put(queue);
	return published;
}

void preempt_end(struct exec_queue *queue)
{
	struct device *device = queue->device;

	port_mutex_lock(&device->run_lock);
	ASSERT(device->resuming != queue && !queue->on_engine && !queue->owed);
	if (queue->preempt) {
		suspend_locked(queue);
	}
	port_mutex_unlock(&device->run_lock);
}
