// SPDX-License-Identifier: MIT
/*
 * Unbinds for which there is no memory (A24).
 *
 * All is done by the call then. What an unbind comes with is read one entry at a time, and three
 * times: to see whether it is right, to wait, and, when the addresses are unbound, to signal. The
 * client may be interrupted, or told that its list has gone, in between: to ask again is harmless,
 * as what is not mapped any more is no error (B28).
 */
#include "uapi/i915/i915.h"

enum round {
	ROUND_CHECK,
	ROUND_WAIT_USER, /* first, see bind.c */
	ROUND_WAIT,
	ROUND_SIGNAL,
};

struct walk {
	struct uapi_file *file;
	struct i915_vm *ivm;
	struct bind_queue *queue; /* the one that is named, if it has ever been used */
	enum round round;
	struct fence *fence;      /* of the unbind; ROUND_SIGNAL */
};

/* ---- entries --------------------------------------------------------------------------------- */

static int timeline_entry(const struct walk *walk, const struct drm_i915_gem_timeline_fence *fence)
{
	bool waits = fence->flags & I915_TIMELINE_FENCE_WAIT;
	bool signals = fence->flags & I915_TIMELINE_FENCE_SIGNAL;
	struct syncobj *so;
	int ret = i915_fence_lookup(walk->file, fence, &so);

	if (ret || !so) {
		return ret;
	}
	if (walk->round == ROUND_CHECK && waits) {
		ret = syncobj_has(so, fence->value) ? 0 : -EINVAL;
	} else if (walk->round == ROUND_WAIT && waits) {
		ret = drm_sync_wait_now(so, fence->value);
	} else if (walk->round == ROUND_SIGNAL && signals) {
		drm_sync_signal_now(so, fence->value, walk->fence);
	}
	syncobj_put(so);
	return ret;
}

static int user_entry(const struct walk *walk, const struct drm_i915_vm_bind_user_fence *fence)
{
	struct sync *sync = &walk->file->device->dev->sync;
	int ret = i915_user_fence_check(fence);

	if (ret == 0 && walk->round == ROUND_WAIT_USER) {
		ret = i915_user_fence_wait(walk->file, fence);
	} else if (ret == 0 && walk->round == ROUND_SIGNAL &&
		   (fence->flags & I915_VM_BIND_USER_FENCE_SIGNAL)) {
		ufence_write_now(sync, fence->addr, fence->val);
	}
	return ret;
}

/* ---- lists ----------------------------------------------------------------------------------- */

static int timeline_list(uint64_t addr, void *ctx)
{
	struct drm_i915_vm_bind_ext_timeline_fences ext;
	const struct walk *walk = ctx;
	int ret = port_copy_from_user(&ext, addr, sizeof(ext));

	if (ret == 0 && (!ext.fence_count || ext.fence_count > I915_BIND_FENCES_MAX)) {
		ret = -EINVAL;
	}
	for (uint64_t i = 0; ret == 0 && i < ext.fence_count; i++) {
		struct drm_i915_gem_timeline_fence fence;

		ret = i915_listed_fence(&ext, i, &fence);
		ret = ret ? ret : timeline_entry(walk, &fence);
	}
	return ret;
}

static int user_list(uint64_t addr, void *ctx)
{
	struct drm_i915_vm_bind_ext_user_fence ext;
	const struct walk *walk = ctx;
	int ret = port_copy_from_user(&ext, addr, sizeof(ext));

	if (ret == 0 && (!ext.fence_count || ext.fence_count > I915_BIND_FENCES_MAX)) {
		ret = -EINVAL;
	}
	for (uint64_t i = 0; ret == 0 && i < ext.fence_count; i++) {
		struct drm_i915_vm_bind_user_fence fence;

		ret = port_copy_from_user(&fence, ext.user_fence_ptr + i * sizeof(fence),
					  sizeof(fence));
		ret = ret ? ret : user_entry(walk, &fence);
	}
	return ret;
}

/* A queue that has never been used has nothing in it that comes before. */
static int queue_name(uint64_t addr, void *ctx)
{
	struct drm_i915_vm_bind_ext_queue ext;
	struct walk *walk = ctx;

	if (port_copy_from_user(&ext, addr, sizeof(ext))) {
		return -EFAULT;
	}
	if (ext.rsvd || ext.queue_idx >= I915_BIND_QUEUES) {
		return -EINVAL;
	}
	walk->queue = atomic_load(&walk->ivm->queue[ext.queue_idx]);
	return 0;
}

static int (*const extensions[])(uint64_t addr, void *ctx) = {
	[I915_VM_BIND_EXT_TIMELINE_FENCES] = timeline_list,
	[I915_VM_BIND_EXT_USER_FENCE] = user_list,
	[I915_VM_BIND_EXT_QUEUE] = queue_name,
};

/* ---- the call -------------------------------------------------------------------------------- */

static int walk_round(struct walk *walk, enum round round,
		      const struct drm_i915_gem_vm_unbind *args)
{
	int ret;

	walk->round = round;
	ret = timeline_entry(walk, &args->fence);
	return ret ? ret : i915_extensions(args->extensions, extensions, ARRAY_LEN(extensions),
					   walk);
}

int i915_unbind_frugal(struct uapi_file *file, struct i915_vm *ivm,
		       const struct drm_i915_gem_vm_unbind *args, const struct bind_op *op)
{
	struct walk walk = { .file = file, .ivm = ivm };
	struct bind_args bind = { .ops = op, .op_count = 1 };
	int ret = 0;

	ASSERT(op->kind == BIND_UNMAP);
	for (enum round round = ROUND_CHECK; round < ROUND_SIGNAL && ret == 0; round++) {
		ret = walk_round(&walk, round, args);
	}
	if (ret) {
		return ret;
	}
	bind.queue = walk.queue;
	ret = vm_bind(ivm->vm, &bind, &walk.fence);
	if (ret) {
		return ret;
	}
	ret = fence_wait(walk.fence, PORT_FOREVER, PORT_WAIT_INTERRUPTIBLE);
	ret = ret ? ret : walk_round(&walk, ROUND_SIGNAL, args);
	fence_put(walk.fence);
	return ret;
}
