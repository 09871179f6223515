// SPDX-License-Identifier: MIT
/*
 * VM_BIND and VM_UNBIND: one mapping each.
 *
 * Without an out fence both complete before they return (B30). With one, or with user fences to be
 * written, what is left to do goes on behind the call. A bind flushes nothing (B09), an unbind
 * waits for no job of the GPU (B28).
 *
 * In version 1 of the interface a mapping is taken away as it was made, whole, and nothing is
 * mapped over; version 2 lifts both (B03).
 *
 * The long-running half adds extensions: lists of timeline fences, which may be waited for too, and
 * of user fences. Those of the last that are waited for are waited for before anything is done
 * (A13). And binds can name a queue of their address space, in which they come one after the other
 * (A11); where they name none nothing is promised of their order.
 */
#include "uapi/i915/i915.h"

struct request {
	struct uapi_file *file;
	struct i915_vm *ivm;          /* a reference */
	struct bind_queue *queue;     /* NULL: none was named */
	struct drm_i915_gem_timeline_fence fence;
	bool have_syncs;              /* .syncs is initialised */
	struct drm_syncs syncs;
	struct drm_i915_vm_bind_user_fence *user; /* owned */
	uint64_t user_count;
	struct ufence **ufence;       /* owned; one for each that is written */
	unsigned ufence_count;
};

/* ---- fences ---------------------------------------------------------------------------------- */

/* Room for @count from the extension, and the one of the struct itself. */
static int syncs_begin(struct request *req, uint32_t count)
{
	int ret = 0;

	if (!req->have_syncs) {
		ret = drm_syncs_init(&req->syncs, 2 * count + 1);
		req->have_syncs = ret == 0;
	}
	return ret;
}

int i915_listed_fence(const struct drm_i915_vm_bind_ext_timeline_fences *list, uint64_t index,
		      struct drm_i915_gem_timeline_fence *fence_out)
{
	struct drm_i915_gem_exec_fence in;

	if (port_copy_from_user(&in, list->handles_ptr + index * sizeof(in), sizeof(in)) ||
	    port_copy_from_user(&fence_out->value,
				list->values_ptr + index * sizeof(fence_out->value),
				sizeof(fence_out->value))) {
		return -EFAULT;
	}
	fence_out->handle = in.handle;
	fence_out->flags = in.flags;
	return 0;
}

static int read_timeline_fences(uint64_t addr, void *ctx)
{
	struct drm_i915_vm_bind_ext_timeline_fences ext;
	struct request *req = ctx;
	int ret;

	if (port_copy_from_user(&ext, addr, sizeof(ext))) {
		return -EFAULT;
	}
	if (req->have_syncs || !ext.fence_count || ext.fence_count > I915_BIND_FENCES_MAX) {
		return -EINVAL;
	}
	ret = syncs_begin(req, (uint32_t)ext.fence_count);
	for (uint64_t i = 0; i < ext.fence_count && ret == 0; i++) {
		struct drm_i915_gem_timeline_fence fence;

		ret = i915_listed_fence(&ext, i, &fence);
		ret = ret ? ret : i915_fence_add(req->file, &fence, &req->syncs);
	}
	return ret;
}

int i915_user_fence_check(const struct drm_i915_vm_bind_user_fence *fence)
{
	const uint32_t known = I915_VM_BIND_USER_FENCE_WAIT | I915_VM_BIND_USER_FENCE_SIGNAL;

	return fence->rsvd || !(fence->flags & known) || (fence->flags & ~known) ||
			       !is_aligned(fence->addr, sizeof(uint64_t))
		       ? -EINVAL
		       : 0;
}

static int read_user_fences(uint64_t addr, void *ctx)
{
	struct drm_i915_vm_bind_ext_user_fence ext;
	struct request *req = ctx;
	void *array;
	int ret;

	if (port_copy_from_user(&ext, addr, sizeof(ext))) {
		return -EFAULT;
	}
	if (req->user || !ext.fence_count || ext.fence_count > I915_BIND_FENCES_MAX) {
		return -EINVAL;
	}
	ret = drm_copy_array(ext.user_fence_ptr, ext.fence_count, sizeof(*req->user), &array);
	if (ret) {
		return ret;
	}
	req->user = array;
	req->user_count = ext.fence_count;
	for (uint64_t i = 0; i < req->user_count && ret == 0; i++) {
		ret = i915_user_fence_check(&req->user[i]);
	}
	return ret;
}

static int read_queue(uint64_t addr, void *ctx)
{
	struct drm_i915_vm_bind_ext_queue ext;
	struct request *req = ctx;

	if (port_copy_from_user(&ext, addr, sizeof(ext))) {
		return -EFAULT;
	}
	if (ext.rsvd || ext.queue_idx >= I915_BIND_QUEUES || req->queue) {
		return -EINVAL;
	}
	req->queue = i915_vm_queue(req->ivm, ext.queue_idx);
	return req->queue ? 0 : -ENOMEM;
}

static int (*const extensions[])(uint64_t addr, void *ctx) = {
	[I915_VM_BIND_EXT_TIMELINE_FENCES] = read_timeline_fences,
	[I915_VM_BIND_EXT_USER_FENCE] = read_user_fences,
	[I915_VM_BIND_EXT_QUEUE] = read_queue,
};

/* What has to be written when it is done. */
static int ufences_create(struct request *req)
{
	struct sync *sync = &req->file->device->dev->sync;

	if (!req->user_count) {
		return 0;
	}
	req->ufence = port_alloc(req->user_count * sizeof(struct ufence *));
	if (!req->ufence) {
		return -ENOMEM;
	}
	for (uint64_t i = 0; i < req->user_count; i++) {
		if (!(req->user[i].flags & I915_VM_BIND_USER_FENCE_SIGNAL)) {
			continue;
		}
		req->ufence[req->ufence_count] =
			ufence_create(sync, req->user[i].addr, req->user[i].val);
		if (!req->ufence[req->ufence_count]) {
			return -ENOMEM;
		}
		req->ufence_count++;
	}
	return 0;
}

int i915_user_fence_wait(struct uapi_file *file, const struct drm_i915_vm_bind_user_fence *fence)
{
	const struct ufence_cond cond = {
		.addr = fence->addr,
		.value = fence->val,
		.mask = UINT64_MAX,
		.op = UFENCE_EQ,
	};

	if (!(fence->flags & I915_VM_BIND_USER_FENCE_WAIT)) {
		return 0;
	}
	return ufence_wait(&file->device->dev->sync, &cond, PORT_FOREVER, NULL, NULL);
}

static int ufences_wait(const struct request *req)
{
	int ret = 0;

	for (uint64_t i = 0; i < req->user_count && ret == 0; i++) {
		ret = i915_user_fence_wait(req->file, &req->user[i]);
	}
	return ret;
}

/* ---- the call -------------------------------------------------------------------------------- */

static int request_begin(struct request *req, struct uapi_file *file, uint32_t vm_id,
			 const struct drm_i915_gem_timeline_fence *fence)
{
	/* Not .syncs, which is large, and mostly room. */
	req->file = file;
	req->ivm = NULL;
	req->queue = NULL;
	req->fence = *fence;
	req->have_syncs = false;
	req->user = NULL;
	req->user_count = 0;
	req->ufence = NULL;
	req->ufence_count = 0;
	/* It is an out fence. */
	if (fence->flags & ~I915_TIMELINE_FENCE_SIGNAL) {
		return -EINVAL;
	}
	req->ivm = i915_vm_lookup(file, vm_id);
	if (!req->ivm) {
		return -ENOENT;
	}
	return req->ivm->bind_mode ? 0 : -EOPNOTSUPP;
}

static void request_fini(struct request *req)
{
	for (unsigned i = 0; i < req->ufence_count; i++) {
		ufence_put(req->ufence[i]);
	}
	port_free(req->ufence);
	port_free(req->user);
	if (req->have_syncs) {
		drm_syncs_fini(&req->syncs);
	}
	i915_vm_put(req->ivm);
}

static int request_fences(struct request *req, uint64_t chain)
{
	int ret = i915_extensions(chain, extensions, ARRAY_LEN(extensions), req);

	if (ret == 0) {
		ret = syncs_begin(req, 0);
	}
	if (ret == 0) {
		ret = i915_fence_add(req->file, &req->fence, &req->syncs);
	}
	return ret ? ret : ufences_create(req);
}

/* Does somebody hear of its end otherwise than by the return of the call? */
static bool request_is_async(const struct request *req)
{
	bool async = req->ufence_count > 0;

	for (unsigned i = 0; i < req->syncs.count; i++) {
		async = async || req->syncs.sync[i].signal;
	}
	return async;
}

/*
 * What is waited for by the call is waited for before anything has changed, so that it can be
 * interrupted; what is left then ends by itself.
 */
static int request_run(struct request *req, const struct bind_op *op)
{
	struct sync *sync = &req->file->device->dev->sync;
	bool async = request_is_async(req);
	struct bind_args args = { .ops = op, .op_count = 1, .queue = req->queue };
	struct bind_queue *own = NULL;
	struct fence *fence = NULL;
	int ret = 0;

	if (async && req->syncs.in_count) {
		args.in_fences = req->syncs.in;
		args.in_count = req->syncs.in_count;
		/* Whoever binds next does not wait for what this one waits for (B04). */
		ret = args.queue ? 0 : bind_queue_create(req->ivm->vm, &own);
		args.queue = own ? own : args.queue;
	}
	if (ret == 0) {
		ret = ufences_wait(req);
	}
	if (ret == 0 && !async && req->syncs.in_count) {
		ret = fence_wait_many(sync, req->syncs.in, req->syncs.in_count, true, PORT_FOREVER,
				      PORT_WAIT_INTERRUPTIBLE, NULL);
	}
	if (ret == 0) {
		ret = vm_bind(req->ivm->vm, &args, &fence);
	}
	bind_queue_put(own);
	if (ret) {
		return ret;
	}
	drm_syncs_signal(&req->syncs, fence);
	for (unsigned i = 0; i < req->ufence_count; i++) {
		ufence_arm(req->ufence[i], fence);
	}
	if (!async) {
		(void)fence_wait(fence, PORT_FOREVER, 0);
	}
	fence_put(fence);
	return 0;
}

/* In either form: as a number, or with the highest bit repeated. Others name no address. */
static int bare(const struct request *req, uint64_t addr, uint64_t *addr_out)
{
	const struct gpu_pt_format *fmt = req->ivm->vm->hw.fmt;

	*addr_out = gpu_va_bare(fmt, addr);
	return addr == *addr_out || addr == gpu_va_canonical(fmt, addr) ? 0 : -EINVAL;
}

/* ---- VM_BIND --------------------------------------------------------------------------------- */

/* Device memory of 64 KiB pages is mapped in such pages only (B29). */
static bool is_aligned_for(const struct uapi_file *file, const struct bo *bo,
			   const struct drm_i915_gem_vm_bind *args)
{
	uint64_t page_B = bo->placement & BIT(MEM_VRAM) ? i915_gpu(file)->vram_min_page_B
							: PAGE_SIZE;

	return is_aligned(args->start | args->offset | args->length, page_B);
}

static int bind_object(struct request *req, const struct drm_i915_gem_vm_bind *args, struct bo *bo)
{
	bool userptr = bo->flags & I915_BO_USERPTR;
	struct bind_op op = {
		.kind = userptr ? BIND_MAP_USERPTR : BIND_MAP,
		.range = args->length,
		.bo = userptr ? NULL : bo,
		.offset = userptr ? bo->client_addr + args->offset : args->offset,
		.readonly = bo->flags & I915_BO_USERPTR_READONLY,
		.dumpable = args->flags & I915_GEM_VM_BIND_CAPTURE,
		.exact = i915_bind_version(req->file) == 1,
	};
	int ret;

	if (!args->length || !is_aligned_for(req->file, bo, args) ||
	    !range_inside(args->offset, args->length, bo->size_B) ||
	    bare(req, args->start, &op.addr)) {
		return -EINVAL;
	}
	ret = request_fences(req, args->extensions);
	if (ret == 0) {
		ret = request_run(req, &op);
	}
	/* Memory that is full and addresses that are taken are told apart. */
	return ret == -EEXIST ? -ENOSPC : i915_no_room(ret);
}

int i915_vm_bind_ioctl(struct uapi_file *file, void *data)
{
	const struct drm_i915_gem_vm_bind *args = data;
	struct request req;
	struct bo *bo;
	int ret;

	if (args->flags & ~(uint64_t)I915_GEM_VM_BIND_CAPTURE) {
		return -EINVAL;
	}
	ret = request_begin(&req, file, args->vm_id, &args->fence);
	if (ret == 0) {
		bo = drm_gem_lookup(file, args->handle);
		ret = bo ? bind_object(&req, args, bo) : -ENOENT;
		bo_put(bo);
	}
	request_fini(&req);
	return ret;
}

/* ---- VM_UNBIND ------------------------------------------------------------------------------- */

/* The request's number has room for the struct of VM_BIND; what is behind ours is not looked at. */
int i915_vm_unbind_ioctl(struct uapi_file *file, void *data)
{
	const struct drm_i915_gem_vm_unbind *args = data;
	struct bind_op op = { .kind = BIND_UNMAP, .range = args->length,
			      .exact = i915_bind_version(file) == 1 };
	struct request req;
	int ret;

	if (args->flags || args->rsvd) {
		return -EINVAL;
	}
	ret = request_begin(&req, file, args->vm_id, &args->fence);
	if (ret == 0 && (!args->length || !is_aligned(args->start | args->length, PAGE_SIZE))) {
		ret = -EINVAL;
	}
	if (ret == 0) {
		ret = bare(&req, args->start, &op.addr);
	}
	if (ret == 0) {
		ret = request_fences(&req, args->extensions);
	}
	if (ret == 0) {
		ret = request_run(&req, &op);
	}
	if (ret == -ENOMEM) { /* of what it comes with: unbinding itself needs none */
		ret = i915_unbind_frugal(file, req.ivm, args, &op);
	}
	request_fini(&req);
	return ret;
}
