// SPDX-License-Identifier: MIT
/*
 * WAIT_USER_FENCE: sleeps until a value in the client's memory compares.
 *
 * Any store may satisfy it, also the GPU's and the client's own, of which nobody tells us: besides
 * being woken whenever the device wrote a user fence, the waiter looks once a millisecond.
 */
#include "uapi/xe/xe.h"

#define POLL_NS (UINT64_C(1000) * 1000)

static int compare(const struct drm_xe_wait_user_fence *args, bool *passed_out)
{
	uint64_t memory, value = args->value & args->mask;
	int ret = port_copy_from_user(&memory, args->addr, sizeof(memory));

	if (ret) {
		return ret;
	}
	memory &= args->mask;
	switch (args->op) {
	case DRM_XE_UFENCE_WAIT_OP_EQ:
		*passed_out = memory == value;
		break;
	case DRM_XE_UFENCE_WAIT_OP_NEQ:
		*passed_out = memory != value;
		break;
	case DRM_XE_UFENCE_WAIT_OP_GT:
		*passed_out = memory > value;
		break;
	case DRM_XE_UFENCE_WAIT_OP_GTE:
		*passed_out = memory >= value;
		break;
	case DRM_XE_UFENCE_WAIT_OP_LT:
		*passed_out = memory < value;
		break;
	default:
		*passed_out = memory <= value;
		break;
	}
	return 0;
}

/* Negative timeouts never end; those too far away do not wrap. */
static uint64_t deadline_of(const struct drm_xe_wait_user_fence *args, uint64_t now_ns)
{
	uint64_t timeout_ns = (uint64_t)args->timeout;

	if (args->timeout < 0) {
		return PORT_FOREVER;
	}
	if (args->flags & DRM_XE_UFENCE_WAIT_FLAG_ABSTIME) {
		return timeout_ns;
	}
	return timeout_ns > PORT_FOREVER - now_ns ? PORT_FOREVER : now_ns + timeout_ns;
}

static int wait_loop(struct sync *sync, const struct drm_xe_wait_user_fence *args,
		     const struct xe_queue *queue, uint64_t deadline_ns)
{
	for (;;) {
		uint32_t seq = port_wq_prepare(&sync->ufence_wq);
		bool banned = queue && xe_queue_banned(queue);
		bool passed = false;
		uint64_t now_ns, until_ns;
		int ret = compare(args, &passed);

		if (ret || passed) {
			return ret;
		}
		if (banned) { /* looked at before the value: what it wrote last counts */
			return -EIO;
		}
		now_ns = port_now_ns();
		if (now_ns >= deadline_ns) {
			return -ETIME;
		}
		until_ns = min_u64(deadline_ns, now_ns + POLL_NS);
		ret = port_wq_wait(&sync->ufence_wq, seq, until_ns, PORT_WAIT_INTERRUPTIBLE);
		if (ret && ret != -ETIMEDOUT) {
			return ret;
		}
	}
}

int xe_wait_user_fence_ioctl(struct uapi_file *file, void *data)
{
	struct drm_xe_wait_user_fence *args = data;
	struct xe_queue *queue = NULL;
	uint64_t start_ns, passed_ns;
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
	start_ns = port_now_ns();
	ret = wait_loop(&file->device->dev->sync, args, queue, deadline_of(args, start_ns));
	/* What is left, for a client that comes again. For ever stays for ever. */
	if (!(args->flags & DRM_XE_UFENCE_WAIT_FLAG_ABSTIME) && args->timeout > 0) {
		passed_ns = port_now_ns() - start_ns;
		args->timeout -= (int64_t)min_u64(passed_ns, (uint64_t)args->timeout);
	}
	xe_queue_put(queue);
	return ret;
}
