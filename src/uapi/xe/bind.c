// SPDX-License-Identifier: MIT
/*
 * VM_BIND: from the client's list of operations to the core's.
 *
 * Everything is copied first, then checked in stages, each over the whole list: what an operation
 * says by itself; queue and address space; ranges; objects; sync entries. Only then the core is
 * called. After it has accepted the job nothing here can fail.
 *
 * A list that has to wait is kept as one job, which has room for so many operations; one that is
 * longer is refused with -ENOBUFS, and clients split it. Only lists that map are refused: taking
 * mappings away never fails for want of room.
 *
 * Flag bit 31 of an operation asks for a failure at that operation, after those before it were
 * prepared. Clients test the unwinding with it.
 */
#include "uapi/xe/xe.h"

#define BIND_FORCE_OP_ERROR BIT(31)
#define BIND_FLAGS                                                                                 \
	(DRM_XE_VM_BIND_FLAG_READONLY | DRM_XE_VM_BIND_FLAG_IMMEDIATE |                            \
	 DRM_XE_VM_BIND_FLAG_NULL | DRM_XE_VM_BIND_FLAG_DUMPABLE |                                 \
	 DRM_XE_VM_BIND_FLAG_CHECK_PXP | DRM_XE_VM_BIND_FLAG_CPU_ADDR_MIRROR |                     \
	 DRM_XE_VM_BIND_FLAG_MADVISE_AUTORESET | DRM_XE_VM_BIND_FLAG_DECOMPRESS |                  \
	 BIND_FORCE_OP_ERROR)
#define MAX_DEFERRED_OPS 511u

/* One VM_BIND on its way. */
struct bind_request {
	struct uapi_file *file;
	const struct drm_xe_vm_bind *args;
	struct xe_vm *xvm;
	struct xe_queue *queue;           /* NULL: the default queue */
	const struct drm_xe_vm_bind_op *in; /* num_binds operations */
	void *in_memory;                  /* what @in needs freed, if anything */
	struct bind_op *ops;
	struct xe_syncs syncs;
};

/* ---- what an operation says by itself -------------------------------------------------------- */

static bool op_object_ok(const struct drm_xe_vm_bind_op *in)
{
	bool null = in->flags & DRM_XE_VM_BIND_FLAG_NULL;

	switch (in->op) {
	case DRM_XE_VM_BIND_OP_MAP:
		return null ? !in->obj && !in->obj_offset : in->obj != 0;
	case DRM_XE_VM_BIND_OP_UNMAP_ALL:
		return in->obj && !in->addr && !in->range && !null;
	default: /* UNMAP, MAP_USERPTR, PREFETCH */
		return !in->obj && !null;
	}
}

static bool op_flags_ok(const struct uapi_file *file, const struct drm_xe_vm_bind_op *in)
{
	uint8_t pat = xe_gpu(file)->pat[in->pat_index];
	uint32_t region = in->prefetch_mem_region_instance;

	if ((in->flags & DRM_XE_VM_BIND_FLAG_DECOMPRESS) &&
	    (in->op != DRM_XE_VM_BIND_OP_MAP || (pat & XE_PAT_COMPRESSED))) {
		return false;
	}
	if (in->op == DRM_XE_VM_BIND_OP_MAP_USERPTR &&
	    ((pat & XE_PAT_COH_MASK) == XE_PAT_COH_NONE || (pat & XE_PAT_COMPRESSED))) {
		return false;
	}
	if (region && in->op != DRM_XE_VM_BIND_OP_PREFETCH) {
		return false;
	}
	if (region != DRM_XE_CONSULT_MEM_ADVISE_PREF_LOC &&
	    (region >= 32 || !(BIT(region) & xe_region_mask(file)))) {
		return false;
	}
	/* Resetting advice belongs to mirrored ranges, which this device does not have. */
	return !(in->flags & DRM_XE_VM_BIND_FLAG_MADVISE_AUTORESET);
}

static int op_check(const struct uapi_file *file, const struct drm_xe_vm_bind_op *in)
{
	const struct xe_gpu *gpu = xe_gpu(file);

	if (in->flags & DRM_XE_VM_BIND_FLAG_CPU_ADDR_MIRROR) {
		return -EINVAL;
	}
	if (in->pat_index >= gpu->pat_count || gpu->pat[in->pat_index] == XE_PAT_RESERVED) {
		return -EINVAL;
	}
	if (in->op > DRM_XE_VM_BIND_OP_PREFETCH || (in->flags & ~BIND_FLAGS)) {
		return -EINVAL;
	}
	if (!op_object_ok(in) || !op_flags_ok(file, in)) {
		return -EINVAL;
	}
	if (!is_aligned(in->obj_offset | in->addr | in->range, PAGE_SIZE) ||
	    (in->range == 0 && in->op != DRM_XE_VM_BIND_OP_UNMAP_ALL)) {
		return -EINVAL;
	}
	return in->flags & DRM_XE_VM_BIND_FLAG_DECOMPRESS ? -EOPNOTSUPP : 0;
}

static int request_copy(struct bind_request *req)
{
	const struct drm_xe_vm_bind *args = req->args;
	int ret = 0;

	if (args->num_binds > 1) {
		ret = drm_copy_array(args->vector_of_binds, args->num_binds, sizeof(*req->in),
				     &req->in_memory);
		req->in = req->in_memory;
		if (ret == -ENOMEM) {
			ret = -ENOBUFS;
		}
	} else {
		req->in = &args->bind;
	}
	for (uint32_t i = 0; i < args->num_binds && ret == 0; i++) {
		ret = op_check(req->file, &req->in[i]);
	}
	return ret;
}

/* ---- queue, address space, ranges, objects --------------------------------------------------- */

static int request_queue(struct bind_request *req)
{
	if (!req->args->exec_queue_id) {
		return 0;
	}
	req->queue = xe_queue_lookup(req->file, req->args->exec_queue_id);
	if (!req->queue) {
		return -ENOENT;
	}
	return !req->queue->bind || req->queue->xvm != req->xvm ? -EINVAL : 0;
}

static int request_ranges(const struct bind_request *req)
{
	uint64_t size_B = BIT64(xe_gpu(req->file)->va_bits);

	for (uint32_t i = 0; i < req->args->num_binds; i++) {
		if (!range_inside(req->in[i].addr, req->in[i].range, size_B)) {
			return -EINVAL;
		}
	}
	return 0;
}

static int object_check(const struct bind_request *req, const struct drm_xe_vm_bind_op *in,
			const struct bo *bo)
{
	uint8_t pat = xe_gpu(req->file)->pat[in->pat_index];

	if ((bo->flags & DRM_XE_GEM_CREATE_FLAG_NO_COMPRESSION) && (pat & XE_PAT_COMPRESSED)) {
		return -EINVAL;
	}
	if (!range_inside(in->obj_offset, in->range, bo->size_B)) {
		return -EINVAL;
	}
	if ((bo->flags & XE_BO_64K) &&
	    !is_aligned(in->obj_offset | in->addr | in->range, SZ_64K)) {
		return -EINVAL;
	}
	/* Nothing is mapped by UNMAP_ALL, whose attributes clients leave at what is convenient. */
	if (in->op == DRM_XE_VM_BIND_OP_MAP && bo->cpu_caching == DRM_XE_GEM_CPU_CACHING_WB &&
	    (pat & XE_PAT_COH_MASK) == XE_PAT_COH_NONE) {
		return -EINVAL;
	}
	/* An object made for another address space has nothing to do here. */
	return bo->owner_vm_id && bo->owner_vm_id != req->xvm->vm->id ? -EINVAL : 0;
}

static void op_fill(const struct bind_request *req, const struct drm_xe_vm_bind_op *in,
		    struct bind_op *op)
{
	static const enum bind_kind kind[] = {
		[DRM_XE_VM_BIND_OP_MAP] = BIND_MAP,
		[DRM_XE_VM_BIND_OP_UNMAP] = BIND_UNMAP,
		[DRM_XE_VM_BIND_OP_MAP_USERPTR] = BIND_MAP_USERPTR,
		[DRM_XE_VM_BIND_OP_UNMAP_ALL] = BIND_UNMAP_BO,
		[DRM_XE_VM_BIND_OP_PREFETCH] = BIND_PREFETCH,
	};

	op->kind = kind[in->op];
	op->addr = in->addr;
	op->range = in->range;
	op->offset = in->obj_offset;
	op->null = in->flags & DRM_XE_VM_BIND_FLAG_NULL;
	op->readonly = in->flags & DRM_XE_VM_BIND_FLAG_READONLY;
	op->dumpable = in->flags & DRM_XE_VM_BIND_FLAG_DUMPABLE;
	op->immediate = in->flags & DRM_XE_VM_BIND_FLAG_IMMEDIATE;
	op->inject_error = in->flags & BIND_FORCE_OP_ERROR;
	op->pat = in->pat_index;
	op->prefetch_region = in->prefetch_mem_region_instance;
	if (op->prefetch_region == DRM_XE_CONSULT_MEM_ADVISE_PREF_LOC) {
		op->prefetch_region = xe_gpu(req->file)->vram_B ? MEM_VRAM : MEM_SYSTEM;
	}
}

static int request_objects(struct bind_request *req)
{
	uint32_t n = req->args->num_binds;

	if (n == 0) {
		return 0;
	}
	req->ops = port_alloc(n * sizeof(*req->ops));
	if (!req->ops) {
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct bind_op *op = &req->ops[i];
		int ret;

		op_fill(req, &req->in[i], op);
		if (!req->in[i].obj) {
			continue;
		}
		op->bo = drm_gem_lookup(req->file, req->in[i].obj);
		ret = op->bo ? object_check(req, &req->in[i], op->bo) : -ENOENT;
		if (ret) {
			return ret;
		}
	}
	return 0;
}

/* Must it wait, and is it too long for that? */
static bool too_long_to_wait(const struct bind_request *req)
{
	bool maps = false, waits = false;

	if (req->args->num_binds <= MAX_DEFERRED_OPS) {
		return false;
	}
	for (unsigned i = 0; i < req->syncs.in_count; i++) {
		waits = waits || !fence_is_signalled(req->syncs.in[i]);
	}
	for (uint32_t i = 0; i < req->args->num_binds; i++) {
		maps = maps || req->in[i].op == DRM_XE_VM_BIND_OP_MAP ||
		       req->in[i].op == DRM_XE_VM_BIND_OP_MAP_USERPTR;
	}
	return maps && waits;
}

/* ---- the call -------------------------------------------------------------------------------- */

/* Nothing to bind: the out-syncs follow what the queue was given last. */
static int request_signal_only(struct bind_request *req)
{
	struct bind_queue *queue = req->queue ? req->queue->bind : req->xvm->vm->default_queue;
	struct fence *fence;

	if (req->syncs.in_count) {
		return -EOPNOTSUPP;
	}
	fence = bind_queue_last(queue);
	xe_syncs_signal(&req->syncs, fence);
	fence_put(fence);
	return 0;
}

static int request_bind(struct bind_request *req)
{
	struct xe_sync *user = xe_syncs_user(&req->syncs);
	struct bind_args args = {
		.ops = req->ops,
		.op_count = req->args->num_binds,
		.queue = req->queue ? req->queue->bind : NULL,
		.in_fences = req->syncs.in,
		.in_count = req->syncs.in_count,
		.ufence = user ? user->ufence : NULL,
	};
	struct fence *fence = NULL;
	int ret;

	if (too_long_to_wait(req)) {
		return -ENOBUFS;
	}
	ret = vm_bind(req->xvm->vm, &args, &fence);
	if (ret == 0) {
		xe_syncs_signal(&req->syncs, fence);
		fence_put(fence);
	}
	return ret;
}

static int request_run(struct bind_request *req)
{
	unsigned flags = (req->xvm->lr ? XE_SYNC_LR : 0) |
			 (req->args->num_binds == 0 ? XE_SYNC_NO_UFENCE : 0);
	int ret = request_copy(req);

	if (ret == 0) {
		ret = request_queue(req);
	}
	if (ret == 0 && xe_vm_closed_or_banned(req->xvm)) {
		ret = -ENOENT;
	}
	if (ret == 0) {
		ret = request_ranges(req);
	}
	if (ret == 0) {
		ret = request_objects(req);
	}
	if (ret == 0) {
		ret = xe_syncs_parse(req->file, req->args->syncs, req->args->num_syncs, flags,
				     &req->syncs);
	}
	if (ret == 0) {
		ret = req->args->num_binds ? request_bind(req) : request_signal_only(req);
	}
	return ret;
}

static void request_fini(struct bind_request *req)
{
	xe_syncs_fini(&req->syncs);
	for (uint32_t i = 0; req->ops && i < req->args->num_binds; i++) {
		bo_put(req->ops[i].bo);
	}
	port_free(req->ops);
	port_free(req->in_memory);
	xe_queue_put(req->queue);
	xe_vm_put(req->xvm);
}

int xe_vm_bind_ioctl(struct uapi_file *file, void *data)
{
	const struct drm_xe_vm_bind *args = data;
	struct bind_request req = { .file = file, .args = args };
	int ret = 0;

	req.xvm = xe_vm_lookup(file, args->vm_id);
	if (!req.xvm) {
		return -EINVAL;
	}
	if (args->pad || args->pad2 || args->reserved[0] || args->reserved[1] ||
	    args->extensions || args->num_syncs > XE_MAX_SYNCS) {
		ret = -EINVAL;
	}
	if (ret == 0) {
		ret = request_run(&req);
	}
	request_fini(&req);
	return ret;
}
