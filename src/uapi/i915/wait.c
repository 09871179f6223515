// SPDX-License-Identifier: MIT
/* WAIT_USER_FENCE: sleeps until a value in the client's memory compares (sync/ufence.h). */
#include "uapi/i915/i915.h"

_Static_assert((int)UFENCE_EQ == I915_UFENCE_WAIT_EQ, "operators");
_Static_assert((int)UFENCE_LTE == I915_UFENCE_WAIT_LTE, "operators");
_Static_assert((int)UFENCE_BEFORE == I915_UFENCE_WAIT_BEFORE, "operators");
_Static_assert((int)UFENCE_AFTER == I915_UFENCE_WAIT_AFTER, "operators");

static bool context_lost(void *context)
{
	return i915_context_banned(context);
}

int i915_wait_user_fence_ioctl(struct uapi_file *file, void *data)
{
	struct drm_i915_gem_wait_user_fence *args = data;
	struct i915_context *context = NULL;
	struct ufence_cond cond;
	int ret;

	if (args->extensions ||
	    (args->flags & ~(I915_UFENCE_WAIT_SOFT | I915_UFENCE_WAIT_ABSTIME)) ||
	    args->op > I915_UFENCE_WAIT_AFTER || !is_aligned(args->addr, sizeof(uint64_t))) {
		return -EINVAL;
	}
	/* What a worker of the driver writes has to do with no context. */
	if (!(args->flags & I915_UFENCE_WAIT_SOFT)) {
		context = i915_context_lookup(file, args->ctx_id);
		if (!context) {
			return -ENOENT;
		}
	}
	cond = (struct ufence_cond){ args->addr, args->value, args->mask,
				     (enum ufence_op)args->op };
	ret = ufence_wait_timeout(&file->device->dev->sync, &cond, &args->timeout,
				  args->flags & I915_UFENCE_WAIT_ABSTIME,
				  context ? context_lost : NULL, context);
	i915_context_put(context);
	return ret;
}
