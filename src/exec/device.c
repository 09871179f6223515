// SPDX-License-Identifier: MIT
/*
 * Devices: putting the rooms together and taking them apart, and fork().
 */
#include "exec/job.h"

static struct port_lock_class run_class = { .name = "device.run", .rank = RANK_LEAF };

static void before_release(void *ctx)
{
	struct device *device = ctx;

	vm_env_flush(&device->vm_env);
}

static void env_init(struct device *device, const struct device_config *config)
{
	struct vm_env *env = &device->vm_env;

	vm_env_init(env);
	env->tlb_rule = config->tlb_rule;
	env->no_mixing = config->no_mixing;
	env->events = &device->events;
	env->sync = &device->sync;
	env->mem = &device->mem;
	env->gpu = device->gpu;
	env->fmt = config->fmt;
	env->engines = device->gpu_engine;
	env->engine_count = device->engine_count;
	env->defer_ready = config->schedule == SCHEDULE_LAZY;
}

static unsigned group_of(enum gpu_class class)
{
	switch (class) {
	case GPU_CLASS_RENDER:
	case GPU_CLASS_COMPUTE:
		return 0;
	case GPU_CLASS_COPY:
		return 1;
	default:
		return 2;
	}
}

int device_create(const struct device_config *config, struct device **device_out)
{
	struct device *device;
	int ret;

	if (!config->engine_count || config->engine_count > DEVICE_MAX_ENGINES) {
		return -EINVAL;
	}
	device = port_alloc(sizeof(*device));
	if (!device) {
		return -ENOMEM;
	}
	event_stream_init(&device->events);
	ret = sync_init(&device->sync, &device->events);
	if (ret) {
		goto err_events;
	}
	ret = mem_init(&device->mem, &config->mem, &device->events, &device->sync);
	if (ret) {
		goto err_sync;
	}
	device->gpu = &gpu_soft_ops;
	device->graphics_ver = config->graphics_ver;
	device->schedule = config->schedule;
	port_mutex_init(&device->run_lock, &run_class);
	list_init(&device->runnable);
	list_init(&device->queues);
	atomic_init(&device->wedge_mode, WEDGE_UPON_FAILURE);
	port_wq_init(&device->work_wq);
	for (unsigned i = 0; i < config->engine_count; i++) {
		struct device_engine *engine = &device->engine[i];

		gpu_engine_init(&engine->gpu, config->engines[i].class, config->engines[i].instance,
				&mem_gpu_ops, &device->mem);
		engine->index = i;
		engine->group = group_of(config->engines[i].class);
		device->gpu_engine[i] = &engine->gpu;
	}
	device->engine_count = config->engine_count;
	env_init(device, config);
	device->mem.before_release = before_release;
	device->mem.release_ctx = device;
	device->sync.help_ops = &device_sync_help_ops;
	device->sync.help_ctx = device;
	ret = device_start_workers(device);
	if (ret) {
		goto err_mem;
	}
	*device_out = device;
	return 0;
err_mem:
	vm_env_fini(&device->vm_env);
	port_mutex_fini(&device->run_lock);
	mem_fini(&device->mem);
err_sync:
	sync_fini(&device->sync);
err_events:
	event_stream_fini(&device->events);
	port_free(device);
	return ret;
}

void device_destroy(struct device *device)
{
	if (!device) {
		return;
	}
	device_stop_workers(device);
	/* User fences and cleanups that were still on their way. */
	while (device_help(device)) {
	}
	ASSERT(list_empty(&device->runnable) && list_empty(&device->queues));
	vm_env_fini(&device->vm_env);
	port_mutex_fini(&device->run_lock);
	mem_fini(&device->mem);
	sync_fini(&device->sync);
	event_stream_fini(&device->events);
	port_free(device);
}

/* ---- fork ----------------------------------------------------------------------------------- */

void device_before_fork(struct device *device)
{
	device_stop_workers(device);
}

void device_after_fork_parent(struct device *device)
{
	mem_after_fork(&device->mem, false);
	(void)device_start_workers(device);
}

void device_after_fork_child(struct device *device)
{
	mem_after_fork(&device->mem, true);
	/* The parent runs what was in flight; here it only ends, the rest when it would start. */
	device->forks++;
	memset(device->dma_runs, 0, sizeof(device->dma_runs));
	while (!list_empty(&device->runnable)) {
		struct exec_run *run = list_first(&device->runnable, struct exec_run, node);
		struct exec_job *job = run->queue->current;

		port_mutex_lock(&device->run_lock);
		list_del(&run->node);
		run->engine->busy = false;
		run->engine->polling -= run->shares;
		preempt_left_locked(run);
		port_mutex_unlock(&device->run_lock);
		atomic_store(&job->error, -ECANCELED);
		atomic_fetch_sub(&job->units_left, 1);
		if (--job->units_there == 0) {
			run->queue->current = NULL;
			exec_job_end(job);
		}
	}
}
