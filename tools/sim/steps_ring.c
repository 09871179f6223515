// SPDX-License-Identifier: MIT
/*
 * Rings: queues that take work without a call. No ioctl makes one, so they are made as libvmbind
 * makes them, on the address space behind a client's number. To the client it is a queue like the
 * others: a job of it is a jump to the job's batch, and done when the head has passed that.
 *
 * A ring has a page of its own beside its VM's batches, which is not used again: one that was
 * killed may say a last time how far it has come.
 */
#include "sim.h"

#include "exec/queue.h"
#include "uapi/xe/xe.h"

#define RING_B     SZ_4K
#define ENTRY_B    16u /* divides it: no jump goes across its end */
#define RINGS_OFF  UINT64_C(0x9000)
#define CONTROLS_OFF UINT64_C(0xd000)
#define CONTROL_B  64

static struct gpu_ring_control *control_of(const struct mqueue *q)
{
	return (struct gpu_ring_control *)(q->vm->cpu + CONTROLS_OFF + q->page * CONTROL_B);
}

static int ring_make(struct thread *t, struct mvm *vm, struct mqueue *q)
{
	struct mclient *c = t->client;
	struct device *device = uapi_device_core(c->device->uapi);
	struct xe_vm *xvm = xe_vm_lookup(c->file, vm->id);
	uint8_t engine = (uint8_t)draw(t, device->engine_count);
	unsigned page = vm->rings++, excuses = c->device->excuses;
	const struct gpu_ring ring = {
		.va = BATCH_VA + RINGS_OFF + page * RING_B,
		.size_B = RING_B,
		.control_va = BATCH_VA + CONTROLS_OFF + page * CONTROL_B,
	};
	struct exec_queue_args args = {
		.vm = xvm->vm,
		.width = 1,
		.placements = 1,
		.engines = &engine,
		.priority = (int)draw(t, 3),
		.timeslice_us = draw(t, 2) * 1000,
	};
	int ret;

	*q = (struct mqueue){ .vm = vm, .page = page, .width = 1 };
	ret = exec_ring_create(device, &args, &ring, &q->ring);
	xe_vm_put(xvm);
	q->used = ret == 0;
	q->excused = c->device->excuses != excuses; /* it runs from the first moment */
	return ret;
}

int step_ring(struct thread *t)
{
	static const int also[] = { -ENOENT, 0 };
	struct mclient *c = t->client;
	unsigned first = draw(t, CLIENT_VMS);
	struct mqueue *q = NULL;
	struct mvm *vm = NULL;
	int ret;

	for (unsigned i = 0; i < CLIENT_VMS; i++) {
		struct mvm *one = &c->vm[(first + i) % CLIENT_VMS];

		vm = one->used && !one->gone && one->lr && one->rings < VM_RINGS ? one : vm;
	}
	for (unsigned i = 0; i < CLIENT_QUEUES; i++) {
		q = c->queue[i].used ? q : &c->queue[i];
	}
	if (!vm || !q) {
		return -ENODATA;
	}
	vm_use(vm);
	vm->ringing = true;
	ret = answered(c, ring_make(t, vm, q), "a ring", also);
	vm->ringing = false;
	/* One that a wedge has met, and that looks when that is over, takes it for the vm's end. */
	if (ret == -ENOENT && !vm->excused && !c->device->ever_wedged) {
		sim_fail(c->world, "answers", "vm %u takes no ring, without a reason", vm->core_id);
	}
	if (ret) {
		vm_unuse(vm);
	}
	return ret;
}

int ring_submit(struct job *job)
{
	struct mqueue *q = job->queue;
	uint64_t batch = BATCH_VA + job->slot * SLOT_B;
	const uint32_t entry[4] = { MI_BATCH, (uint32_t)batch, (uint32_t)(batch >> 32) };

	if (exec_queue_error(q->ring)) {
		return -ECANCELED;
	}
	memcpy(q->vm->cpu + RINGS_OFF + q->page * RING_B + q->tail % RING_B, entry, ENTRY_B);
	q->tail += ENTRY_B;
	job->ring_end = q->tail;
	__atomic_store_n(&control_of(q)->tail, q->tail, __ATOMIC_RELEASE);
	if (job->seq % 2) {
		exec_ring_kick(q->ring);
	}
	return 0;
}

/* Nothing of it runs any more. */
static bool has_ended(struct mqueue *q)
{
	struct fence *last;
	bool ended;

	if (!exec_queue_error(q->ring)) {
		return false;
	}
	last = exec_queue_last(q->ring);
	ended = fence_is_signalled(last);
	fence_put(last);
	return ended;
}

int ring_wait(struct mclient *c, struct job *job, uint64_t deadline_ns)
{
	struct mqueue *q = job->queue;

	for (;;) {
		bool ended = has_ended(q);
		uint64_t head = __atomic_load_n(&control_of(q)->head, __ATOMIC_ACQUIRE);

		if (head > q->tail) {
			sim_fail(c->world, "fences", "a ring's head is at %llu, its tail at %llu",
				 (unsigned long long)head, (unsigned long long)q->tail);
		}
		if (head >= job->ring_end && job_results(q->vm, job)[RESULT_SEQ] != job->seq) {
			sim_fail(c->world, "fences", "a ring says a job is done that is not");
		}
		if (head >= job->ring_end || ended) {
			return head >= job->ring_end ? 0 : -EIO;
		}
		if (port_now_ns() >= deadline_ns) {
			return -ETIME;
		}
		nap(20000);
	}
}

void ring_kill(struct mqueue *q)
{
	struct exec_queue *ring = exec_queue_get(q->ring);

	queue_forget(q); /* from here on another thread may let it go */
	exec_queue_kill(ring);
	exec_queue_put(ring);
}

void rings_kill(struct mclient *c, const struct mvm *vm)
{
	for (unsigned i = 0; i < CLIENT_QUEUES; i++) {
		struct mqueue *q = &c->queue[i];

		if (q->used && !q->gone && q->ring && (!vm || q->vm == vm)) {
			ring_kill(q);
		}
	}
}
