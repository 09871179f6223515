// SPDX-License-Identifier: MIT
/*
 * Engines, execution queues, submissions.
 *
 * The memory that a submission signals is written by the device when its fence signals, as for a
 * bind: an address of this process, and written too when the work was cancelled, so that nobody
 * waits for ever.
 *
 * Locking: vmb_vm.lock protects its list of queues. Example: examples/async-bind.c.
 */
#include "api/api.h"

_Static_assert(VMB_ENGINE_RENDER == (int)GPU_CLASS_RENDER &&
	       VMB_ENGINE_COPY == (int)GPU_CLASS_COPY &&
	       VMB_ENGINE_VIDEO_DECODE == (int)GPU_CLASS_VIDEO_DECODE &&
	       VMB_ENGINE_VIDEO_ENHANCE == (int)GPU_CLASS_VIDEO_ENHANCE &&
	       VMB_ENGINE_COMPUTE == (int)GPU_CLASS_COMPUTE, "classes");

EXPORT int vmb_device_engines(struct vmb_device *device, struct vmb_engine *engines_out,
			      unsigned cap)
{
	unsigned count;

	if (!device || (cap && !engines_out)) {
		return -EINVAL;
	}
	count = device->core->engine_count;
	for (unsigned i = 0; i < count && i < cap; i++) {
		engines_out[i] = (struct vmb_engine){
			.engine_class = device->core->engine[i].gpu.class,
			.instance = device->core->engine[i].gpu.instance,
		};
	}
	return (int)count;
}

/* The number of an engine in the core, or -1. */
static int engine_find(const struct device *device, uint32_t class, uint64_t instance)
{
	for (unsigned i = 0; i < device->engine_count; i++) {
		const struct gpu_engine *gpu = &device->engine[i].gpu;

		if (gpu->class == class && gpu->instance == instance) {
			return (int)i;
		}
	}
	return -1;
}

/* Are there engines for all units from @first on? *engine_out is the core's number of @unit's. */
static bool row_at(const struct device *device, const struct vmb_queue_args *args, uint64_t first,
		   unsigned unit, uint8_t *engine_out)
{
	for (unsigned i = 0; i < args->width; i++) {
		int engine = engine_find(device, args->engine_class, first + i);

		if (engine < 0) {
			return false;
		}
		if (i == unit) {
			*engine_out = (uint8_t)engine;
		}
	}
	return true;
}

/* Every place a queue may have, by unit. -ENODEV when there is none. */
static int placements(const struct device *device, const struct vmb_queue_args *args,
		      struct exec_queue_args *core, uint8_t *engines)
{
	bool any = args->instance == VMB_ENGINE_ANY;
	uint64_t begin = any ? 0 : args->instance;
	uint64_t end = any ? DEVICE_MAX_ENGINES : begin + 1;
	unsigned n = 0;

	core->width = args->width;
	for (unsigned unit = 0; unit < args->width; unit++) {
		core->placements = n;
		for (uint64_t first = begin; first < end; first++) {
			n += row_at(device, args, first, unit, &engines[n]);
		}
		core->placements = n - core->placements;
	}
	return n ? 0 : -ENODEV;
}

int api_queue_create(struct vmb_vm *vm, const struct vmb_queue_args *args,
		     const struct gpu_ring *ring, struct vmb_queue **queue_out)
{
	uint8_t engines[EXEC_MAX_WIDTH * DEVICE_MAX_ENGINES];
	struct exec_queue_args core = {
		.vm = vm->core,
		.engines = engines,
		.priority = EXEC_PRIORITY_NORMAL + args->priority,
		.timeslice_us = args->timeslice_us,
		.job_timeout_ms = args->job_timeout_ms,
	};
	struct device *device = vm->device->core;
	struct vmb_queue *queue;
	int ret;

	if (args->width > EXEC_MAX_WIDTH || args->engine_class >= GPU_CLASSES ||
	    args->priority < -1 || args->priority > 1) {
		return -EINVAL;
	}
	ret = placements(device, args, &core, engines);
	if (ret) {
		return ret;
	}
	queue = api_handle_alloc(vm->device, ring ? sizeof(struct vmb_ring) : sizeof(*queue));
	if (!queue) {
		return -ENOMEM;
	}
	ret = ring ? exec_ring_create(device, &core, ring, &queue->core)
		   : exec_queue_create(device, &core, &queue->core);
	if (ret) {
		api_handle_free(vm->device, queue);
		return ret;
	}
	queue->vm = api_vm_get(vm);
	port_mutex_lock(&vm->lock);
	list_add_tail(&vm->queues, &queue->node);
	port_mutex_unlock(&vm->lock);
	*queue_out = queue;
	return 0;
}

EXPORT int vmb_queue_create(struct vmb_vm *vm, const struct vmb_queue_args *args,
			    struct vmb_queue **queue_out)
{
	struct vmb_queue_args mine;
	int ret;

	if (!queue_out) {
		return -EINVAL;
	}
	*queue_out = NULL;
	ret = vm && args ? api_args_read(args, &mine, sizeof(mine)) : -EINVAL;
	if (ret) {
		return ret;
	}
	if (!mine.width) {
		mine.width = 1;
	}
	return api_queue_create(vm, &mine, NULL, queue_out);
}

void api_queue_destroy(struct vmb_queue *queue)
{
	struct vmb_vm *vm = queue->vm;

	port_assert_no_locks();
	port_mutex_lock(&vm->lock);
	list_del(&queue->node);
	port_mutex_unlock(&vm->lock);
	exec_queue_kill(queue->core);
	exec_queue_put(queue->core);
	api_handle_free(vm->device, queue);
	api_vm_put(vm);
}

EXPORT void vmb_queue_destroy(struct vmb_queue *queue)
{
	if (queue) {
		api_queue_destroy(queue);
	}
}

EXPORT int vmb_queue_error(struct vmb_queue *queue)
{
	return queue ? exec_queue_error(queue->core) : -EINVAL;
}

EXPORT int vmb_queue_submit(struct vmb_queue *queue, const struct vmb_submit_args *args)
{
	struct exec_args core = { 0 };
	struct vmb_submit_args mine;
	struct fence *fence = NULL;
	struct api_syncs syncs;
	struct vmb_vm *vm;
	int ret = queue && args ? api_args_read(args, &mine, sizeof(mine)) : -EINVAL;

	if (ret) {
		return ret;
	}
	if (mine.flags || mine.reserved || !mine.batches ||
	    mine.batch_count != exec_queue_width(queue->core)) {
		return -EINVAL;
	}
	vm = queue->vm;
	ret = api_syncs_read(&syncs, vm->device, mine.syncs, mine.sync_count,
			     vm_is_lr(vm->core));
	if (ret == 0) {
		core.batches = mine.batches;
		core.in_fences = syncs.in;
		core.in_count = syncs.in_count;
		ret = exec_submit(queue->core, &core, &fence);
	}
	if (ret == 0) {
		api_syncs_signal(&syncs, fence);
		if (syncs.ufence) {
			ufence_arm(syncs.ufence, fence);
		}
		fence_put(fence);
	}
	api_syncs_fini(&syncs);
	return ret;
}
