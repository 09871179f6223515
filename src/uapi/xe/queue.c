// SPDX-License-Identifier: MIT
/*
 * Queues: of batches on engines, and of binds.
 *
 * Instances of an exec queue come in the client's order: for each placement one engine per unit of
 * width. The core wants them by unit. All are of one class; units must be neighbours.
 *
 * Example: width 2, placements 1 on vcs0 and vcs1 runs two batches side by side.
 */
#include "uapi/xe/xe.h"

_Static_assert(EXEC_PRIORITY_NORMAL == DRM_XE_EXEC_QUEUE_PRIORITY_NORMAL, "priorities");

#define MAX_INSTANCES  9u /* what one class may have */
#define MAX_EXTENSIONS 16u

struct xe_queue *xe_queue_lookup(struct uapi_file *file, uint32_t id)
{
	struct ids *queues = &xe_file(file)->queues;
	struct xe_queue *queue;

	ids_lock(queues);
	queue = ids_find_locked(queues, id);
	if (queue) {
		ref_get(&queue->ref);
	}
	ids_unlock(queues);
	return queue;
}

struct xe_queue *xe_queue_get(struct xe_queue *queue)
{
	ref_get(&queue->ref);
	return queue;
}

void xe_queue_put(struct xe_queue *queue)
{
	if (!queue || !ref_put(&queue->ref)) {
		return;
	}
	ASSERT(list_empty(&queue->vm_node));
	if (queue->exec) {
		exec_queue_put(queue->exec);
	}
	if (queue->bind) {
		bind_queue_put(queue->bind);
	}
	xe_vm_put(queue->xvm);
	port_free(queue);
}

bool xe_queue_banned(const struct xe_queue *queue)
{
	if (queue->exec) {
		return exec_queue_error(queue->exec) != 0;
	}
	return vm_is_banned(queue->xvm->vm);
}

/* Its number is withdrawn; takes over the table's reference. */
static void queue_close(struct xe_queue *queue)
{
	port_mutex_lock(&queue->xvm->lock);
	list_del(&queue->vm_node);
	port_mutex_unlock(&queue->xvm->lock);
	if (queue->exec) {
		exec_queue_kill(queue->exec);
	}
	xe_queue_put(queue);
}

void xe_queue_kill_all(struct uapi_file *file)
{
	struct ids *queues = &xe_file(file)->queues;
	uint32_t id = 0;

	while (ids_next(queues, &id)) {
		queue_close(ids_remove(queues, id));
	}
}

/* ---- properties given at creation ------------------------------------------------------------ */

struct queue_props {
	struct uapi_device *device;
	unsigned class; /* of the engines; binds are done by the copy engine */
	int priority;
	uint32_t timeslice_us;
};

static int prop_set(struct queue_props *props, const struct drm_xe_ext_set_property *ext)
{
	switch (ext->property) {
	case DRM_XE_EXEC_QUEUE_SET_PROPERTY_PRIORITY:
		if (ext->value > DRM_XE_EXEC_QUEUE_PRIORITY_HIGH) {
			return -EINVAL;
		}
		if (ext->value > DRM_XE_EXEC_QUEUE_PRIORITY_NORMAL &&
		    !port_client_may_raise_priority()) {
			return -EPERM;
		}
		props->priority = (int)ext->value;
		return 0;
	case DRM_XE_EXEC_QUEUE_SET_PROPERTY_TIMESLICE:
		if (!xe_sched_allowed(props->device, props->class, XE_SCHED_TIMESLICE_US,
				      ext->value)) {
			return -EINVAL;
		}
		props->timeslice_us = (uint32_t)ext->value;
		return 0;
	case DRM_XE_EXEC_QUEUE_SET_PROPERTY_PXP_TYPE: /* there is no protected content */
		if (ext->value == DRM_XE_PXP_TYPE_NONE) {
			return 0;
		}
		return ext->value == DRM_XE_PXP_TYPE_HWDRM ? -ENODEV : -EINVAL;
	default:
		return -EINVAL;
	}
}

static int props_parse(struct queue_props *props, uint64_t addr)
{
	for (unsigned n = 0; addr; n++) {
		struct drm_xe_ext_set_property ext;
		int ret;

		if (n >= MAX_EXTENSIONS) {
			return -E2BIG;
		}
		ret = port_copy_from_user(&ext.base, addr, sizeof(ext.base));
		if (ret) {
			return ret;
		}
		if (ext.base.pad || ext.base.name != DRM_XE_EXEC_QUEUE_EXTENSION_SET_PROPERTY) {
			return -EINVAL;
		}
		ret = port_copy_from_user(&ext, addr, sizeof(ext));
		if (ret) {
			return ret;
		}
		ret = ext.pad ? -EINVAL : prop_set(props, &ext);
		if (ret) {
			return ret;
		}
		addr = ext.base.next_extension;
	}
	return 0;
}

/* ---- create ---------------------------------------------------------------------------------- */

/*
 * Checks the instances and turns them into device engines, unit by unit. Units must be placed on
 * logically neighbouring engines in the same order.
 */
static int placements_parse(const struct xe_gpu *gpu, const struct drm_xe_exec_queue_create *args,
			    const struct drm_xe_engine_class_instance *eci, uint8_t *engines_out)
{
	uint32_t mask_before = 0;

	for (unsigned unit = 0; unit < args->width; unit++) {
		uint32_t mask = 0;

		for (unsigned j = 0; j < args->num_placements; j++) {
			const struct drm_xe_engine_class_instance *e = &eci[j * args->width + unit];
			int engine = xe_engine_find(gpu, e);

			if (engine < 0 || e->engine_class != eci[0].engine_class) {
				return -EINVAL;
			}
			engines_out[unit * args->num_placements + j] = (uint8_t)engine;
			mask |= BIT(e->engine_instance);
		}
		if (unit && mask != mask_before << 1) {
			return -EINVAL;
		}
		mask_before = mask;
	}
	return 0;
}

static struct xe_queue *queue_alloc(struct xe_vm *xvm)
{
	struct xe_queue *queue = port_alloc(sizeof(*queue));

	if (queue) {
		ref_init(&queue->ref);
		ref_get(&xvm->ref);
		queue->xvm = xvm;
		list_init(&queue->vm_node);
	}
	return queue;
}

/* What both kinds begin with: the address space, the properties, an empty queue. */
static int create_begin(struct xe_vm *xvm, uint64_t extensions, struct queue_props *props,
			struct xe_queue **queue_out)
{
	int ret;

	if (xe_vm_closed_or_banned(xvm)) {
		return -ENOENT;
	}
	ret = props_parse(props, extensions);
	if (ret) {
		return ret;
	}
	*queue_out = queue_alloc(xvm);
	return *queue_out ? 0 : -ENOMEM;
}

static int create_bind(struct uapi_file *file, struct xe_vm *xvm, uint64_t extensions,
		       struct xe_queue **queue_out)
{
	struct queue_props props = { .device = file->device, .class = GPU_CLASS_COPY };
	struct xe_queue *queue;
	int ret = create_begin(xvm, extensions, &props, &queue);

	if (ret) {
		return ret;
	}
	ret = bind_queue_create(xvm->vm, &queue->bind);
	if (ret) {
		xe_queue_put(queue);
		return ret;
	}
	*queue_out = queue;
	return 0;
}

static int create_exec(struct uapi_file *file, struct xe_vm *xvm, struct exec_queue_args *core,
		       uint64_t extensions, struct xe_queue **queue_out)
{
	struct queue_props props = {
		.device = file->device,
		.class = xe_gpu(file)->engines[core->engines[0]].class,
		.priority = EXEC_PRIORITY_NORMAL,
	};
	struct xe_queue *queue;
	int ret;

	props.timeslice_us = xe_sched_value(file->device, props.class, XE_SCHED_TIMESLICE_US);
	ret = create_begin(xvm, extensions, &props, &queue);
	if (ret) {
		return ret;
	}
	core->vm = xvm->vm;
	core->priority = props.priority;
	core->timeslice_us = props.timeslice_us;
	core->usage = &file->usage;
	core->job_timeout_ms =
		xe_sched_value(file->device, props.class, XE_SCHED_JOB_TIMEOUT_MS);
	ret = exec_queue_create(file->device->dev, core, &queue->exec);
	if (ret == 0) {
		ret = xe_vm_add_queue(xvm, queue);
		if (ret) {
			exec_queue_kill(queue->exec);
		}
	}
	if (ret) {
		xe_queue_put(queue);
		return ret;
	}
	*queue_out = queue;
	return 0;
}

int xe_exec_queue_create_ioctl(struct uapi_file *file, void *data)
{
	struct drm_xe_engine_class_instance eci[MAX_INSTANCES];
	struct drm_xe_exec_queue_create *args = data;
	unsigned len = (unsigned)args->width * args->num_placements;
	uint8_t engines[MAX_INSTANCES];
	struct exec_queue_args core = { .width = args->width,
					.placements = args->num_placements,
					.engines = engines };
	struct xe_queue *queue = NULL;
	struct xe_vm *xvm;
	bool bind;
	int ret;

	if ((args->flags & ~DRM_XE_EXEC_QUEUE_LOW_LATENCY_HINT) || args->reserved[0] ||
	    args->reserved[1]) {
		return -EINVAL;
	}
	if (len == 0 || len > MAX_INSTANCES) {
		return -EINVAL;
	}
	ret = port_copy_from_user(eci, args->instances, len * sizeof(eci[0]));
	if (ret) {
		return ret;
	}
	if (eci[0].gt_id != 0) {
		return -EINVAL;
	}
	bind = eci[0].engine_class == DRM_XE_ENGINE_CLASS_VM_BIND;
	if (bind) {
		ret = len != 1 || eci[0].engine_instance != 0 ? -EINVAL : 0;
	} else {
		ret = args->width > EXEC_MAX_WIDTH
			      ? -EINVAL
			      : placements_parse(xe_gpu(file), args, eci, engines);
	}
	if (ret) {
		return ret;
	}
	xvm = xe_vm_lookup(file, args->vm_id);
	if (!xvm) {
		return -ENOENT;
	}
	ret = bind ? create_bind(file, xvm, args->extensions, &queue)
		   : create_exec(file, xvm, &core, args->extensions, &queue);
	xe_vm_put(xvm);
	if (ret == 0) {
		ret = ids_alloc(&xe_file(file)->queues, queue, &args->exec_queue_id);
		if (ret) {
			queue_close(queue);
		}
	}
	return ret;
}

int xe_exec_queue_destroy_ioctl(struct uapi_file *file, void *data)
{
	struct drm_xe_exec_queue_destroy *args = data;
	struct xe_queue *queue;

	if (args->pad || args->reserved[0] || args->reserved[1]) {
		return -EINVAL;
	}
	queue = ids_remove(&xe_file(file)->queues, args->exec_queue_id);
	if (!queue) {
		return -ENOENT;
	}
	queue_close(queue);
	return 0;
}

int xe_exec_queue_get_property_ioctl(struct uapi_file *file, void *data)
{
	struct drm_xe_exec_queue_get_property *args = data;
	struct xe_queue *queue;
	int ret = 0;

	if (args->reserved[0] || args->reserved[1]) {
		return -EINVAL;
	}
	queue = xe_queue_lookup(file, args->exec_queue_id);
	if (!queue) {
		return -ENOENT;
	}
	if (args->property == DRM_XE_EXEC_QUEUE_GET_PROPERTY_BAN) {
		args->value = xe_queue_banned(queue);
	} else {
		ret = -EINVAL;
	}
	xe_queue_put(queue);
	return ret;
}
