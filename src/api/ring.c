// SPDX-License-Identifier: MIT
/*
 * Rings: execution queues that the client writes itself.
 *
 * To this room a ring is a queue that nothing is submitted to: it is on the address space's list of
 * queues, and killed with the others.
 *
 * Locking: see queue.c. Example: examples/ring.c.
 */
#include "api/api.h"

_Static_assert(sizeof(struct vmb_ring_control) == sizeof(struct gpu_ring_control) &&
	       offsetof(struct vmb_ring_control, tail) == offsetof(struct gpu_ring_control, tail) &&
	       offsetof(struct vmb_ring_control, head) == offsetof(struct gpu_ring_control, head),
	       "the doorbell");

EXPORT int vmb_ring_create(struct vmb_vm *vm, const struct vmb_ring_args *args,
			   struct vmb_ring **ring_out)
{
	struct vmb_queue_args queue_args = { .width = 1 };
	struct vmb_ring_args mine;
	struct vmb_queue *queue;
	struct gpu_ring ring;
	int ret;

	if (!ring_out) {
		return -EINVAL;
	}
	*ring_out = NULL;
	ret = vm && args ? api_args_read(args, &mine, sizeof(mine)) : -EINVAL;
	if (ret) {
		return ret;
	}
	queue_args.engine_class = mine.engine_class;
	queue_args.instance = mine.instance;
	queue_args.priority = mine.priority;
	queue_args.timeslice_us = mine.timeslice_us;
	ring = (struct gpu_ring){
		.va = mine.ring_addr,
		.size_B = mine.ring_B,
		.control_va = mine.control_addr,
	};
	ret = api_queue_create(vm, &queue_args, &ring, &queue);
	if (ret == 0) {
		*ring_out = container_of(queue, struct vmb_ring, queue);
	}
	return ret;
}

EXPORT void vmb_ring_destroy(struct vmb_ring *ring)
{
	if (ring) {
		api_queue_destroy(&ring->queue);
	}
}

EXPORT int vmb_ring_error(struct vmb_ring *ring)
{
	return ring ? exec_queue_error(ring->queue.core) : -EINVAL;
}

EXPORT void vmb_ring_kick(struct vmb_ring *ring)
{
	if (ring) {
		exec_ring_kick(ring->queue.core);
	}
}
