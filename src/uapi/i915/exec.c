// SPDX-License-Identifier: MIT
/*
 * EXECBUFFER3: batches by address, fences by a list, nothing else (B11). All that is mapped is
 * needed; what it costs does not depend on how much that is (B14).
 *
 * EXECBUFFER2 takes lists of objects, and no address space here does: on one of VM_BIND that is an
 * error of the client, on others it is what the device does not offer (B10).
 */
#include "uapi/i915/i915.h"

struct request {
	struct uapi_file *file;
	const struct drm_i915_gem_execbuffer3 *args;
	struct i915_context *context; /* a reference */
	struct exec_queue *queue;     /* the context's */
	struct exec_args core;
	uint64_t batches[EXEC_MAX_WIDTH];
};

static int read_user_fence(uint64_t addr, void *ctx)
{
	struct drm_i915_gem_execbuffer3_ext_user_fence ext;
	struct request *req = ctx;

	if (port_copy_from_user(&ext, addr, sizeof(ext))) {
		return -EFAULT;
	}
	if (ext.rsvd || !is_aligned(ext.addr, sizeof(uint64_t)) || req->core.has_ufence) {
		return -EINVAL;
	}
	req->core.has_ufence = true;
	req->core.ufence_addr = ext.addr;
	req->core.ufence_value = ext.value;
	return 0;
}

static int (*const extensions[])(uint64_t addr, void *ctx) = {
	[DRM_I915_GEM_EXECBUFFER3_EXT_USER_FENCE] = read_user_fence,
};

static int request_queue(struct request *req)
{
	req->context = i915_context_lookup(req->file, req->args->ctx_id);
	if (!req->context) {
		return -ENOENT;
	}
	if (req->args->engine_idx >= req->context->engine_count) {
		return -EINVAL; /* also without a map, or without VM_BIND */
	}
	req->queue = req->context->engine[req->args->engine_idx];
	if (!req->queue) {
		return -EINVAL;
	}
	return i915_context_banned(req->context) ? -EIO : 0;
}

static int request_batches(struct request *req)
{
	unsigned width = exec_queue_width(req->queue);

	req->core.batches = req->batches;
	if (width == 1) {
		req->batches[0] = req->args->batch_address;
		return 0;
	}
	return port_copy_from_user(req->batches, req->args->batch_address,
				   width * sizeof(req->batches[0]));
}

/* A fence that anybody may wait for does not come from work that may run for ever (B19). */
static int check_signals(const struct request *req, const struct drm_syncs *syncs)
{
	for (unsigned i = 0; i < syncs->count && req->context->long_running; i++) {
		if (syncs->sync[i].signal) {
			return -EINVAL;
		}
	}
	return 0;
}

static int request_submit(struct request *req)
{
	struct fence *fence = NULL;
	struct drm_syncs syncs;
	int ret = i915_fences_read(req->file, req->args->timeline_fences, req->args->fence_count,
				   &syncs);

	if (ret) {
		return ret;
	}
	ret = check_signals(req, &syncs);
	if (ret == 0) {
		req->core.in_fences = syncs.in;
		req->core.in_count = syncs.in_count;
		ret = exec_submit(req->queue, &req->core, &fence);
	}
	if (ret == 0) {
		drm_syncs_signal(&syncs, fence);
		fence_put(fence);
	}
	drm_syncs_fini(&syncs);
	return ret == -ECANCELED ? -EIO : i915_no_room(ret);
}

int i915_execbuffer3_ioctl(struct uapi_file *file, void *data)
{
	const struct drm_i915_gem_execbuffer3 *args = data;
	struct request req = { .file = file, .args = args };
	int ret;

	if (args->flags || args->rsvd1 || args->rsvd2) {
		return -EINVAL;
	}
	ret = i915_extensions(args->extensions, extensions, ARRAY_LEN(extensions), &req);
	if (ret == 0) {
		ret = request_queue(&req);
	}
	if (ret == 0) {
		ret = request_batches(&req);
	}
	if (ret == 0) {
		ret = request_submit(&req);
	}
	i915_context_put(req.context);
	return ret;
}

int i915_execbuffer2_ioctl(struct uapi_file *file, void *data)
{
	const struct drm_i915_gem_execbuffer2 *args = data;
	uint32_t id = (uint32_t)(args->rsvd1 & I915_EXEC_CONTEXT_ID_MASK);
	struct i915_context *context = id ? i915_context_lookup(file, id) : NULL;
	bool bind_mode = context && context->ivm && context->ivm->bind_mode;
	int ret = -EOPNOTSUPP;

	if (id && !context) {
		ret = -ENOENT;
	} else if (bind_mode) {
		ret = -EINVAL;
	}
	i915_context_put(context);
	return ret;
}
