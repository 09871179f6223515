// SPDX-License-Identifier: MIT
/*
 * EXEC: one submission to an exec queue.
 *
 * With no batch at all it only signals: when everything submitted before is done. A user fence of
 * a submission is a GPU address; the job itself writes it.
 */
#include "uapi/xe/xe.h"

static int exec_check(const struct drm_xe_exec *args)
{
	if (args->extensions || args->pad[0] || args->pad[1] || args->pad[2] || args->reserved[0] ||
	    args->reserved[1] || args->num_syncs > XE_MAX_SYNCS) {
		return -EINVAL;
	}
	return 0;
}

static int exec_queue_check(const struct xe_queue *queue, const struct drm_xe_exec *args)
{
	if (!queue->exec) {
		return -EINVAL;
	}
	if (args->num_batch_buffer && args->num_batch_buffer != exec_queue_width(queue->exec)) {
		return -EINVAL;
	}
	if (exec_queue_error(queue->exec)) {
		return -ECANCELED;
	}
	return exec_queue_is_full(queue->exec) ? -EAGAIN : 0;
}

/* As for binds, in-fences are not offered; long-running queues have nothing to signal either. */
static int exec_signal_only(struct xe_queue *queue, struct drm_syncs *syncs)
{
	struct fence *last;

	if (syncs->in_count && !queue->xvm->lr) {
		return -EOPNOTSUPP;
	}
	last = exec_queue_last(queue->exec);
	drm_syncs_signal(syncs, last);
	fence_put(last);
	return 0;
}

static int exec_run(struct xe_queue *queue, const struct drm_xe_exec *args, struct drm_syncs *syncs)
{
	uint64_t batches[EXEC_MAX_WIDTH];
	struct drm_sync *user = xe_syncs_user(syncs);
	struct exec_args core = {
		.batches = batches,
		.in_fences = syncs->in,
		.in_count = syncs->in_count,
	};
	struct fence *fence = NULL;
	int ret;

	ASSERT(args->num_batch_buffer <= EXEC_MAX_WIDTH);
	if (args->num_batch_buffer == 1) {
		batches[0] = args->address;
	} else {
		ret = port_copy_from_user(batches, args->address,
					  args->num_batch_buffer * sizeof(batches[0]));
		if (ret) {
			return ret;
		}
	}
	if (user) {
		core.has_ufence = true;
		core.ufence_addr = user->addr;
		core.ufence_value = user->value;
	}
	ret = xe_no_room(exec_submit(queue->exec, &core, &fence));
	if (ret == 0) {
		drm_syncs_signal(syncs, fence);
		fence_put(fence);
	}
	return ret;
}

int xe_exec_ioctl(struct uapi_file *file, void *data)
{
	const struct drm_xe_exec *args = data;
	struct drm_syncs syncs;
	struct xe_queue *queue;
	unsigned flags;
	int ret = exec_check(args);

	if (ret) {
		return ret;
	}
	queue = xe_queue_lookup(file, args->exec_queue_id);
	if (!queue) {
		return -ENOENT;
	}
	ret = exec_queue_check(queue, args);
	if (ret == 0) {
		flags = XE_SYNC_EXEC | (queue->xvm->lr ? XE_SYNC_LR : 0) |
			(args->num_batch_buffer == 0 ? XE_SYNC_NO_UFENCE : 0);
		ret = xe_syncs_parse(file, args->syncs, args->num_syncs, flags, &syncs);
	}
	if (ret == 0) {
		ret = args->num_batch_buffer ? exec_run(queue, args, &syncs)
					     : exec_signal_only(queue, &syncs);
		drm_syncs_fini(&syncs);
	}
	xe_queue_put(queue);
	return ret;
}
