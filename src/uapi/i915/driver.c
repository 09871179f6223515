// SPDX-License-Identifier: MIT
/*
 * The i915 driver as the generic half knows it: its table of ioctls, its part of an open file.
 *
 * What is not in the table is unknown, as it would be to another kernel: a client asks and goes
 * another way. EXECBUFFER2 is in it because the RFC says what it answers.
 */
#include "uapi/i915/i915.h"

#define LINE(name, func)                                                                           \
	[DRM_REQ_NR(DRM_IOCTL_I915_##name) - DRM_COMMAND_BASE] = { DRM_IOCTL_I915_##name,          \
								   DRM_RENDER_ALLOW, func,         \
								   "I915_" #name }

static const struct drm_ioctl i915_ioctls[] = {
	LINE(GETPARAM, i915_getparam_ioctl),
	LINE(GEM_BUSY, i915_gem_busy_ioctl),
	LINE(GEM_CREATE, i915_gem_create_ioctl),
	LINE(GEM_MMAP_OFFSET, i915_gem_mmap_offset_ioctl),
	LINE(GEM_EXECBUFFER2_WR, i915_execbuffer2_ioctl),
	LINE(GEM_WAIT, i915_gem_wait_ioctl),
	LINE(GEM_CONTEXT_CREATE_EXT, i915_context_create_ioctl),
	LINE(GEM_CONTEXT_DESTROY, i915_context_destroy_ioctl),
	LINE(GET_RESET_STATS, i915_reset_stats_ioctl),
	LINE(GEM_USERPTR, i915_gem_userptr_ioctl),
	LINE(QUERY, i915_query_ioctl),
	LINE(GEM_VM_CREATE, i915_vm_create_ioctl),
	LINE(GEM_VM_DESTROY, i915_vm_destroy_ioctl),
	LINE(GEM_CREATE_EXT, i915_gem_create_ext_ioctl),
	LINE(GEM_VM_BIND, i915_vm_bind_ioctl),
	LINE(GEM_VM_UNBIND, i915_vm_unbind_ioctl),
	LINE(GEM_EXECBUFFER3, i915_execbuffer3_ioctl),
	LINE(GEM_WAIT_USER_FENCE, i915_wait_user_fence_ioctl),
};

static int i915_describe(const struct uapi_config *config, struct uapi_device *device,
			 struct device_config *core, const char **what_out)
{
	const struct i915_gpu *gpu = i915_gpu_find(config->gpu);
	int ret;

	*what_out = "gpu";
	if (!gpu) {
		return -EINVAL;
	}
	*what_out = "vm-bind-version";
	if (config->vm_bind_version > 2) {
		return -EINVAL;
	}
	device->bind_version = config->vm_bind_version ? config->vm_bind_version : 2;
	device->gpu = gpu;
	device->identity = (struct uapi_identity){
		.driver = "i915",
		.pci_slot = gpu->pci_slot,
		.vendor = 0x8086,
		.device = gpu->device_id,
		.subsystem_vendor = 0x8086,
		.subsystem_device = 0x1020,
		.revision = gpu->revision,
		.gpu = gpu->name,
		.description = gpu->description,
	};
	*what_out = "vram";
	ret = drm_describe_memory(config, gpu->vram_B, gpu->vram_min_page_B, &core->mem);
	core->engines = gpu->engines;
	core->engine_count = gpu->engine_count;
	core->fmt = &gpu_format_intel48;
	core->graphics_ver = gpu->graphics_ver;
	core->tlb_rule = VM_TLB_AT_SUBMIT;
	core->no_mixing = gpu->vram_min_page_B == SZ_64K;
	return ret;
}

static struct port_lock_class ending_class = { .name = "i915.ending", .rank = RANK_GROUP_MODE };

static int i915_open(struct uapi_file *file)
{
	struct i915_file *ifile = port_alloc(sizeof(*ifile));

	if (!ifile) {
		return -ENOMEM;
	}
	ids_init(&ifile->vms);
	ids_init(&ifile->contexts);
	port_mutex_init(&ifile->ending_lock, &ending_class);
	list_init(&ifile->ending);
	file->driver_file = ifile;
	return 0;
}

static void i915_close(struct uapi_file *file)
{
	struct i915_file *ifile = i915_file(file);

	i915_context_kill_all(file);
	i915_vm_close_all(file);
	port_mutex_fini(&ifile->ending_lock);
	ids_fini(&ifile->contexts);
	ids_fini(&ifile->vms);
	port_free(ifile);
	file->driver_file = NULL;
}

/* Private objects and client memory stay with whom they were made for. */
static int i915_share_check(const struct bo *bo)
{
	if (bo->flags & I915_BO_USERPTR) {
		return -EINVAL;
	}
	return bo->owner_vm_id ? -EPERM : 0;
}

static const char no_dump[] = "No error state collected\n";

const struct uapi_driver i915_driver = {
	.name = "i915",
	.date = "20201103",
	.desc = "Intel Graphics",
	.major = 1,
	.minor = 6,
	.patch = 0,
	.ioctls = i915_ioctls,
	.ioctl_count = ARRAY_LEN(i915_ioctls),
	.memory_name = {
		[MEM_SYSTEM] = "system0",
		[MEM_VRAM] = "local0",
		[MEM_REGIONS] = "spilled",
	},
	.class_name = {
		[GPU_CLASS_RENDER] = "render",
		[GPU_CLASS_COPY] = "copy",
		[GPU_CLASS_VIDEO_DECODE] = "video",
		[GPU_CLASS_VIDEO_ENHANCE] = "video-enhance",
		[GPU_CLASS_COMPUTE] = "compute",
	},
	.usage_in_ns = true,
	.dump_form = DUMP_I915,
	.no_dump = no_dump,
	.no_dump_B = sizeof(no_dump) - 1,
	.gpu_name = i915_gpu_name,
	.describe = i915_describe,
	.open = i915_open,
	.close = i915_close,
	.share_check = i915_share_check,
};
