// SPDX-License-Identifier: MIT
/*
 * Client memory under a handle: GEM_USERPTR (B08).
 *
 * The handle stands for an object that never has frames of its own: binds of it are binds of the
 * client's memory, which is pinned and watched per mapping.
 */
#include "uapi/i915/i915.h"

#define FLAGS (I915_USERPTR_READ_ONLY | I915_USERPTR_PROBE | I915_USERPTR_UNSYNCHRONIZED)

static int userptr_check(const struct drm_i915_gem_userptr *args)
{
	if (args->flags & ~FLAGS) {
		return -EINVAL;
	}
	if (args->user_size > I915_SIZE_MAX_B) {
		return -E2BIG;
	}
	if (!args->user_size || !is_aligned(args->user_ptr | args->user_size, PAGE_SIZE)) {
		return -EINVAL;
	}
	if (args->user_ptr > (UINT64_C(1) << 47) - args->user_size) {
		return -EFAULT;
	}
	if (args->flags & I915_USERPTR_UNSYNCHRONIZED) {
		return -ENODEV;
	}
	if (args->flags & I915_USERPTR_PROBE) {
		return port_user_populate(args->user_ptr, args->user_size,
					  !(args->flags & I915_USERPTR_READ_ONLY));
	}
	return 0;
}

int i915_gem_userptr_ioctl(struct uapi_file *file, void *data)
{
	struct drm_i915_gem_userptr *args = data;
	struct bo *bo;
	int ret = userptr_check(args);

	if (ret) {
		return ret;
	}
	ret = bo_create(&file->device->dev->mem, args->user_size, BIT(MEM_SYSTEM), &bo);
	if (ret) {
		return ret;
	}
	bo->flags = I915_BO_USERPTR;
	if (args->flags & I915_USERPTR_READ_ONLY) {
		bo->flags |= I915_BO_USERPTR_READONLY;
	}
	bo->client_addr = args->user_ptr;
	ret = drm_gem_handle_create(file, bo, &args->handle);
	bo_put(bo);
	return ret;
}
