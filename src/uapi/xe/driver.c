// SPDX-License-Identifier: MIT
/*
 * The Xe driver as the generic half knows it: its table of ioctls, its part of an open file.
 *
 * What is not in the table is unknown, as it would be to an older kernel: a client asks and goes
 * another way. Nothing is in it that only pretends.
 */
#include "uapi/xe/xe.h"

#define LINE(name, func)                                                                           \
	[DRM_REQ_NR(DRM_IOCTL_XE_##name) - DRM_COMMAND_BASE] = { DRM_IOCTL_XE_##name,              \
								 DRM_RENDER_ALLOW, func,           \
								 "XE_" #name }

static const struct drm_ioctl xe_ioctls[] = {
	LINE(DEVICE_QUERY, xe_query_ioctl),
	LINE(GEM_CREATE, xe_gem_create_ioctl),
	LINE(GEM_MMAP_OFFSET, xe_gem_mmap_offset_ioctl),
	LINE(VM_CREATE, xe_vm_create_ioctl),
	LINE(VM_DESTROY, xe_vm_destroy_ioctl),
	LINE(VM_BIND, xe_vm_bind_ioctl),
	LINE(EXEC_QUEUE_CREATE, xe_exec_queue_create_ioctl),
	LINE(EXEC_QUEUE_DESTROY, xe_exec_queue_destroy_ioctl),
	LINE(EXEC_QUEUE_GET_PROPERTY, xe_exec_queue_get_property_ioctl),
	LINE(EXEC, xe_exec_ioctl),
	LINE(WAIT_USER_FENCE, xe_wait_user_fence_ioctl),
	LINE(VM_GET_PROPERTY, xe_vm_get_property_ioctl),
};

static int xe_describe(const struct uapi_config *config, struct uapi_device *device,
		       struct device_config *core, const char **what_out)
{
	const struct xe_gpu *gpu = xe_gpu_find(config->gpu);
	int ret;

	*what_out = "gpu";
	if (!gpu) {
		return -EINVAL;
	}
	*what_out = "vm-bind-version";
	if (config->vm_bind_version) {
		return -EINVAL; /* of i915 */
	}
	*what_out = "vram";
	ret = drm_describe_memory(config, gpu->vram_B, gpu->vram_min_page_B, &core->mem);
	if (ret) {
		return ret;
	}
	device->gpu = gpu;
	xe_sched_init(device);
	xe_attr_init(device);
	device->identity = (struct uapi_identity){
		.driver = "xe",
		.pci_slot = gpu->pci_slot,
		.vendor = 0x8086,
		.device = gpu->device_id,
		.subsystem_vendor = 0x8086,
		.subsystem_device = 0x1100,
		.revision = gpu->revision,
		.gpu = gpu->name,
		.description = gpu->description,
		.debug = gpu->debug,
		.coredump = true,
	};
	core->engines = gpu->engines;
	core->engine_count = gpu->engine_count;
	core->fmt = &gpu_format_intel48;
	core->graphics_ver = gpu->ip_major;
	return 0;
}

static int xe_open(struct uapi_file *file)
{
	struct xe_file *xef = port_alloc(sizeof(*xef));

	if (!xef) {
		return -ENOMEM;
	}
	ids_init(&xef->vms);
	ids_init(&xef->queues);
	file->driver_file = xef;
	return 0;
}

static void xe_close(struct uapi_file *file)
{
	struct xe_file *xef = xe_file(file);

	xe_queue_kill_all(file);
	xe_vm_close_all(file);
	ids_fini(&xef->queues);
	ids_fini(&xef->vms);
	port_free(xef);
	file->driver_file = NULL;
}

/* An object made for one address space shares its fate and is known to nobody else. */
static int xe_share_check(const struct bo *bo)
{
	return bo->owner_vm_id ? -EPERM : 0;
}

const struct uapi_driver xe_driver = {
	.name = "xe",
	.date = "0",
	.desc = "Intel Xe2 Graphics",
	.major = 1,
	.minor = 1,
	.patch = 0,
	.ioctls = xe_ioctls,
	.ioctl_count = ARRAY_LEN(xe_ioctls),
	.memory_name = {
		[MEM_SYSTEM] = "gtt",
		[MEM_VRAM] = "vram0",
		[MEM_REGIONS] = "system", /* out of the GPU's reach, on hardware */
	},
	.class_name = {
		[GPU_CLASS_RENDER] = "rcs",
		[GPU_CLASS_COPY] = "bcs",
		[GPU_CLASS_VIDEO_DECODE] = "vcs",
		[GPU_CLASS_VIDEO_ENHANCE] = "vecs",
		[GPU_CLASS_COMPUTE] = "ccs",
	},
	.dump_form = DUMP_XE,
	.gpu_name = xe_gpu_name,
	.describe = xe_describe,
	.open = xe_open,
	.close = xe_close,
	.share_check = xe_share_check,
	.attr_find = xe_attr_find,
	.attr_load = xe_attr_load,
	.attr_store = xe_attr_store,
	.rebound = xe_sched_init,
	.reset_fails = xe_reset_fails,
};
