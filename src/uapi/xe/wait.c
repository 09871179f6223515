// SPDX-License-Identifier: MIT
/* WAIT_USER_FENCE: sleeps until a value in the client's memory compares (sync/ufence.h). */
#include "uapi/xe/xe.h"

_Static_assert((int)UFENCE_EQ == DRM_XE_UFENCE_WAIT_OP_EQ, "operators");
_Static_assert((int)UFENCE_LTE == DRM_XE_UFENCE_WAIT_OP_LTE, "operators");

static bool queue_lost(void *queue)
{
	return xe_queue_banned(queue);
}

int xe_wait_user_fence_ioctl(struct uapi_file *file, void *data)
{
	struct drm_xe_wait_user_fence *args = data;
	struct xe_queue *queue = NULL;
	struct ufence_cond cond;
	int ret;

	if (args->extensions || args->pad || args->pad2 || args->reserved[0] || args->reserved[1]) {
		return -EINVAL;
	}
	if ((args->flags & ~DRM_XE_UFENCE_WAIT_FLAG_ABSTIME) ||
	    args->op > DRM_XE_UFENCE_WAIT_OP_LTE ||
	    !is_aligned(args->addr, sizeof(uint64_t))) {
		return -EINVAL;
	}
	if (args->exec_queue_id) {
		queue = xe_queue_lookup(file, args->exec_queue_id);
		if (!queue) {
			return -ENOENT;
		}
	}
	cond = (struct ufence_cond){ args->addr, args->value, args->mask,
				     (enum ufence_op)args->op };
	ret = ufence_wait_timeout(&file->device->dev->sync, &cond, &args->timeout,
				  args->flags & DRM_XE_UFENCE_WAIT_FLAG_ABSTIME,
				  queue ? queue_lost : NULL, queue);
	xe_queue_put(queue);
	return ret;
}
