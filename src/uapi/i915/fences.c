// SPDX-License-Identifier: MIT
/*
 * Timeline fences of binds and submissions: a syncobj, what is to be done with it, a point of its
 * timeline or 0 for a binary one.
 */
#include "uapi/i915/i915.h"

#define FLAGS (I915_TIMELINE_FENCE_WAIT | I915_TIMELINE_FENCE_SIGNAL)

/* A point belongs to a timeline, and would be lost by treating that as a binary one (B30). */
static bool is_of_kind(const struct drm_i915_gem_timeline_fence *fence, struct syncobj *so)
{
	return syncobj_kind(so) != (fence->value ? SYNCOBJ_BINARY : SYNCOBJ_TIMELINE);
}

int i915_fence_lookup(struct uapi_file *file, const struct drm_i915_gem_timeline_fence *fence,
		      struct syncobj **so_out)
{
	*so_out = NULL;
	if (fence->flags & ~FLAGS) {
		return -EINVAL;
	}
	/* A point that waits for itself would never come. */
	if (fence->value && (fence->flags & FLAGS) == FLAGS) {
		return -EINVAL;
	}
	if (!fence->flags) {
		return 0;
	}
	*so_out = drm_syncobj_lookup(file, fence->handle);
	if (!*so_out) {
		return -ENOENT;
	}
	if (!is_of_kind(fence, *so_out)) {
		syncobj_put(*so_out);
		*so_out = NULL;
		return -EINVAL;
	}
	return 0;
}

/* One direction of it; takes over the reference. */
static int add(struct uapi_file *file, struct syncobj *so, uint64_t point, bool signal,
	       struct drm_syncs *syncs)
{
	struct drm_sync *sync = drm_syncs_next(syncs);

	*sync = (struct drm_sync){ .signal = signal, .point = point, .so = so };
	return drm_syncs_prepare(file, syncs, sync);
}

int i915_fence_add(struct uapi_file *file, const struct drm_i915_gem_timeline_fence *fence,
		   struct drm_syncs *syncs)
{
	struct syncobj *so;
	int ret = i915_fence_lookup(file, fence, &so);

	if (ret || !so) {
		return ret;
	}
	if (fence->flags & I915_TIMELINE_FENCE_WAIT) {
		ret = add(file, syncobj_get(so), fence->value, false, syncs);
	}
	if (ret == 0 && (fence->flags & I915_TIMELINE_FENCE_SIGNAL)) {
		ret = add(file, syncobj_get(so), fence->value, true, syncs);
	}
	syncobj_put(so);
	return ret;
}

int i915_fences_read(struct uapi_file *file, uint64_t addr, uint32_t count, struct drm_syncs *syncs)
{
	struct drm_i915_gem_timeline_fence fence;
	int ret = count > INT32_MAX / (4 * sizeof(struct drm_sync)) ? -EINVAL : 0;

	/* Each may be both. */
	ret = ret ? ret : drm_syncs_init(syncs, 2 * count);
	if (ret) {
		return ret;
	}
	for (uint32_t i = 0; i < count && ret == 0; i++) {
		ret = port_copy_from_user(&fence, addr + i * sizeof(fence), sizeof(fence));
		if (ret == 0) {
			ret = i915_fence_add(file, &fence, syncs);
		}
	}
	if (ret) {
		drm_syncs_fini(syncs);
	}
	return ret;
}
