// SPDX-License-Identifier: MIT
/*
 * Rings: queues whose commands and doorbell are memory that the client writes (B21).
 *
 * Overview. A ring is a queue of a long-running VM with one job, which never ends by itself. To the
 * rest of src/exec/ that is work like any other: it is suspended and resumed where it was, shares
 * its engine, faults, is reset and killed. Commands get to it without a call (src/gpu/ring.c): the
 * client stores them and the new tail. Nothing here sees a submission, nor do binds.
 *
 * Who looks at the tail. A worker that steps the ring, and workers sleep between rounds of polling:
 * so a tail is seen within a millisecond, whatever the client does. To be quicker without a call, a
 * worker stays awake for SPIN_NS after a ring has had work, one of them; that is the watcher. To be
 * quicker with one, a kick wakes the workers, unless there is a watcher, who will look anyway.
 *
 *	client				worker that is about to sleep
 *	C1 store the tail		W1 watcher = 0
 *	C2 count it, fence		W2 was there one? one more round of looks
 *	C3 a watcher? done		W3 sleep, unless work_wq has moved since before the round
 *	C4 wake work_wq
 *
 * No kick is lost. Say that C3 saw a watcher and that nobody has looked since C1. Later somebody,
 * the watcher or another worker in his place, does W1, and W2 after it. There he finds the ring, or
 * another worker on it, who looks again before he sleeps: the last one on the ring sees the tail.
 * A worker that turns to something else does W1 first, and looks when that is done; if it is a
 * resume, which may sleep, all others are woken. So a kick is late by one step at most.
 *
 * Locking: none. Example: exec_ring_create() on memory that is bound, then stores; at the end
 * exec_queue_kill() and exec_queue_put().
 */
#include "exec/job.h"

/* A wake costs a few microseconds to tens of them; longer than that it does not pay to stay up. */
#define SPIN_NS ((uint64_t)50000)
#define RING_MAX_B ((uint64_t)1 << 20)

static bool is_ring(const struct exec_queue_args *args, const struct gpu_ring *ring)
{
	const struct gpu_pt_format *fmt = args->vm->env->fmt;
	uint64_t half = BIT64(fmt->va_bits - 1), end = BIT64(fmt->va_bits);
	uint64_t va = ring->va & (half - 1);

	return vm_is_lr(args->vm) && args->width == 1 && ring->size_B >= PAGE_SIZE &&
	       ring->size_B <= RING_MAX_B && (ring->size_B & (ring->size_B - 1)) == 0 &&
	       ring->va < end && is_aligned(ring->va, PAGE_SIZE) &&
	       range_inside(va, ring->size_B, half) && ring->control_va < end &&
	       is_aligned(ring->control_va, 8) &&
	       range_inside(ring->control_va, sizeof(struct gpu_ring_control), end);
}

int exec_ring_create(struct device *device, const struct exec_queue_args *args,
		     const struct gpu_ring *ring, struct exec_queue **queue_out)
{
	const struct exec_args job = { .batches = &ring->va };
	struct exec_queue *queue;
	struct fence *fence;
	int ret = is_ring(args, ring) ? exec_queue_create(device, args, &queue) : -EINVAL;

	if (ret) {
		return ret;
	}
	queue->ring = *ring;
	ret = exec_submit(queue, &job, &fence);
	if (ret) {
		exec_queue_put(queue);
		return ret == -ECANCELED && !device_is_wedged(device) ? -ENOENT : ret;
	}
	fence_put(fence);
	*queue_out = queue;
	return 0;
}

void exec_ring_kick(struct exec_queue *queue)
{
	struct device *device = queue->device;

	ASSERT(queue->ring.size_B);
	atomic_fetch_add_explicit(&queue->kicks, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	if (!atomic_load(&device->ring_watcher)) {
		port_wq_wake(&device->work_wq);
	}
}

/* True if the calling worker is the watcher now. */
static bool become_watcher(struct device *device)
{
	unsigned me = port_thread_id() + 1, watcher = atomic_load(&device->ring_watcher);

	return watcher == me ||
	       (!watcher &&
		atomic_compare_exchange_strong(&device->ring_watcher, &watcher, me));
}

bool ring_has_worked(struct exec_run *run, uint64_t head_before, enum gpu_run state)
{
	struct device *device = run->queue->device;

	if (state == GPU_RUN_POLL && run->queue->ctx[0].head == head_before) {
		return false;
	}
	atomic_store_explicit(&device->ring_worked_ns, run->engine->gpu.last_ns,
			      memory_order_relaxed);
	/* Already now: a client that is faster than the engine would wake others all the time. */
	(void)become_watcher(device);
	return true;
}

bool ring_watch(struct device *device)
{
	uint64_t worked_ns = atomic_load_explicit(&device->ring_worked_ns, memory_order_relaxed);

	/* What another worker has just stored may be a little later than now. */
	return port_now_ns() <= worked_ns + SPIN_NS && become_watcher(device);
}

bool ring_unwatch(struct device *device)
{
	if (!atomic_load(&device->ring_watcher) || !atomic_exchange(&device->ring_watcher, 0)) {
		return false;
	}
	atomic_thread_fence(memory_order_seq_cst);
	return true;
}
