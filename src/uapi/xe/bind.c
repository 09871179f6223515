// SPDX-License-Identifier: MIT
/*
 * VM_BIND: from the client's list of operations to the core's.
 *
 * Everything is copied first, then checked in stages, each over the whole list: what an operation
 * says by itself; queue and address space; ranges; objects; sync entries. Only then the core is
 * called. After it has accepted the job nothing here can fail. A short list with few sync entries
 * needs no memory for all this.
 *
 * Where memory is missing, a list of unmaps is done without any (A24): operations are read from the
 * client a few at a time, once by each stage and once more to be given to the core, as a job for
 * every few. Before the first what the list waits for is waited for; after the last job is done the
 * sync entries are signalled, one by one. What can still fail on the way is harmless to repeat, so
 * that clients may run the whole again: -EINTR, and -EBUSY when a mapping further down the list is
 * still being bound. Operations are checked again before they are used: a client that changes its
 * list during the call is told so by whatever error its new operation deserves.
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

/* More are refused at once, as by a kernel's allocator. */
#define MAX_OPS ((uint32_t)(INT32_MAX / sizeof(struct drm_xe_vm_bind_op)))
/* So many need no memory of their own. */
#define FEW_OPS 4

/* One VM_BIND on its way. */
struct bind_request {
	struct uapi_file *file;
	const struct drm_xe_vm_bind *args;
	struct xe_vm *xvm;
	struct xe_queue *queue;       /* NULL: the default queue */
	bool frugal;                  /* without memory, see above */
	bool unmaps, maps;            /* nothing but plain unmaps, some maps; as far as read */
	/* A window on the client's list: operations [@first, @first + @have). */
	const struct drm_xe_vm_bind_op *in;
	uint32_t first, have;
	void *in_memory;              /* what @in needs freed, if anything */
	struct bind_op *ops;          /* @few_ops, or owned */
	uint32_t op_count;            /* of @ops, with references */
	struct drm_xe_vm_bind_op few_in[FEW_OPS];
	struct bind_op few_ops[FEW_OPS];
	struct drm_syncs syncs;
};

/* ---- the client's list ----------------------------------------------------------------------- */

static int copy_window(struct bind_request *req, uint32_t first)
{
	const struct drm_xe_vm_bind *args = req->args;
	uint32_t n = (uint32_t)min_u64(args->num_binds - first, FEW_OPS);

	req->in = req->few_in;
	req->first = first;
	req->have = n;
	return port_copy_from_user(req->few_in,
				   args->vector_of_binds + first * sizeof(*req->in),
				   n * sizeof(*req->in));
}

static int request_copy(struct bind_request *req)
{
	const struct drm_xe_vm_bind *args = req->args;
	int ret;

	if (args->num_binds == 1) {
		req->in = &args->bind;
		req->have = 1;
		return 0;
	}
	if (args->num_binds <= FEW_OPS || req->frugal) {
		return args->num_binds ? copy_window(req, 0) : 0;
	}
	ret = drm_copy_array(args->vector_of_binds, args->num_binds, sizeof(*req->in),
			     &req->in_memory);
	req->in = req->in_memory;
	req->have = args->num_binds;
	return ret == -ENOMEM ? -ENOBUFS : ret;
}

/* Operation @i, valid until the next one is asked for. 0 or -EFAULT. */
static int op_at(struct bind_request *req, uint32_t i, const struct drm_xe_vm_bind_op **in_out)
{
	int ret = i - req->first < req->have ? 0 : copy_window(req, i);

	*in_out = &req->in[i - req->first];
	return ret;
}

/* One stage of checks. */
static int each_op(struct bind_request *req,
		   int (*check)(struct bind_request *req, const struct drm_xe_vm_bind_op *in))
{
	const struct drm_xe_vm_bind_op *in;
	int ret = 0;

	for (uint32_t i = 0; i < req->args->num_binds && ret == 0; i++) {
		ret = op_at(req, i, &in);
		if (ret == 0) {
			ret = check(req, in);
		}
	}
	return ret;
}

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

/* Notes what kind of list this is. */
static int op_classify(struct bind_request *req, const struct drm_xe_vm_bind_op *in)
{
	bool unmap = in->op == DRM_XE_VM_BIND_OP_UNMAP || in->op == DRM_XE_VM_BIND_OP_UNMAP_ALL;

	req->maps = req->maps || in->op == DRM_XE_VM_BIND_OP_MAP ||
		    in->op == DRM_XE_VM_BIND_OP_MAP_USERPTR;
	req->unmaps = req->unmaps && unmap && !(in->flags & BIND_FORCE_OP_ERROR);
	return req->frugal && !req->unmaps ? -ENOBUFS : 0;
}

static int op_check(struct bind_request *req, const struct drm_xe_vm_bind_op *in)
{
	const struct xe_gpu *gpu = xe_gpu(req->file);
	int ret = op_classify(req, in);

	if (ret) {
		return ret;
	}
	if (in->flags & DRM_XE_VM_BIND_FLAG_CPU_ADDR_MIRROR) {
		return -EINVAL;
	}
	if (in->pat_index >= gpu->pat_count || gpu->pat[in->pat_index] == XE_PAT_RESERVED) {
		return -EINVAL;
	}
	if (in->op > DRM_XE_VM_BIND_OP_PREFETCH || (in->flags & ~BIND_FLAGS)) {
		return -EINVAL;
	}
	if (!op_object_ok(in) || !op_flags_ok(req->file, in)) {
		return -EINVAL;
	}
	if (!is_aligned(in->obj_offset | in->addr | in->range, PAGE_SIZE) ||
	    (in->range == 0 && in->op != DRM_XE_VM_BIND_OP_UNMAP_ALL)) {
		return -EINVAL;
	}
	return in->flags & DRM_XE_VM_BIND_FLAG_DECOMPRESS ? -EOPNOTSUPP : 0;
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

static int op_check_range(struct bind_request *req, const struct drm_xe_vm_bind_op *in)
{
	uint64_t size_B = BIT64(xe_gpu(req->file)->va_bits);

	return range_inside(in->addr, in->range, size_B) ? 0 : -EINVAL;
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
	op->exact = false;
	op->inject_error = in->flags & BIND_FORCE_OP_ERROR;
	op->pat = in->pat_index;
	op->prefetch_region = in->prefetch_mem_region_instance ? MEM_VRAM : MEM_SYSTEM;
	if (in->prefetch_mem_region_instance == DRM_XE_CONSULT_MEM_ADVISE_PREF_LOC) {
		op->prefetch_region = xe_gpu(req->file)->vram_B ? MEM_VRAM : MEM_SYSTEM;
	}
}

/* Appends @in, with its object, to what the core will be told. */
static int op_add(struct bind_request *req, const struct drm_xe_vm_bind_op *in)
{
	struct bind_op *op = &req->ops[req->op_count++];

	op_fill(req, in, op);
	op->bo = NULL;
	if (!in->obj) {
		return 0;
	}
	op->bo = drm_gem_lookup(req->file, in->obj);
	return op->bo ? object_check(req, in, op->bo) : -ENOENT;
}

static void ops_drop(struct bind_request *req)
{
	for (uint32_t i = 0; i < req->op_count; i++) {
		bo_put(req->ops[i].bo);
	}
	req->op_count = 0;
}

/* The objects are there now; who they are is looked up again when their turn comes. */
static int op_check_object(struct bind_request *req, const struct drm_xe_vm_bind_op *in)
{
	int ret = op_add(req, in);

	ops_drop(req);
	return ret;
}

static int request_objects(struct bind_request *req)
{
	uint32_t n = req->args->num_binds;

	if (req->frugal) {
		return each_op(req, op_check_object);
	}
	if (n > FEW_OPS) {
		struct bind_op *ops = port_alloc(n * sizeof(*ops));

		if (!ops) {
			return -ENOMEM;
		}
		req->ops = ops;
	}
	return each_op(req, op_add);
}

/* Must it wait, and is it too long for that? */
static bool too_long_to_wait(const struct bind_request *req)
{
	bool waits = false;

	if (req->args->num_binds <= MAX_DEFERRED_OPS || !req->maps) {
		return false;
	}
	for (unsigned i = 0; i < req->syncs.in_count; i++) {
		waits = waits || !fence_is_signalled(req->syncs.in[i]);
	}
	return waits;
}

/* ---- the call -------------------------------------------------------------------------------- */

static struct bind_queue *request_bind_queue(const struct bind_request *req)
{
	return req->queue ? req->queue->bind : req->xvm->vm->default_queue;
}

/* Nothing to bind: the out-syncs follow what the queue was given last. */
static int request_signal_only(struct bind_request *req)
{
	struct fence *fence;

	if (req->syncs.in_count) {
		return -EOPNOTSUPP;
	}
	fence = bind_queue_last(request_bind_queue(req));
	drm_syncs_signal(&req->syncs, fence);
	fence_put(fence);
	return 0;
}

static int request_bind(struct bind_request *req)
{
	struct drm_sync *user = xe_syncs_user(&req->syncs);
	struct bind_args args = {
		.ops = req->ops,
		.op_count = req->op_count,
		.queue = request_bind_queue(req),
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
		drm_syncs_signal(&req->syncs, fence);
		fence_put(fence);
	}
	return args.reason == BIND_INJECTED ? ret : xe_no_room(ret);
}

static int request_submit(struct bind_request *req, unsigned flags)
{
	int ret = xe_syncs_parse(req->file, req->args->syncs, req->args->num_syncs, flags,
				 &req->syncs);

	if (ret == 0) {
		ret = req->args->num_binds ? request_bind(req) : request_signal_only(req);
		drm_syncs_fini(&req->syncs);
	}
	return ret;
}

/* Reads operations from @first on, a few, and checks them all over. */
static int few_read(struct bind_request *req, uint32_t first)
{
	uint32_t n = (uint32_t)min_u64(req->args->num_binds - first, FEW_OPS);
	const struct drm_xe_vm_bind_op *in;
	int ret = 0;

	for (uint32_t i = first; i < first + n && ret == 0; i++) {
		ret = op_at(req, i, &in);
		if (ret == 0) {
			ret = op_check(req, in);
		}
		if (ret == 0) {
			ret = op_check_range(req, in);
		}
		if (ret == 0) {
			ret = op_add(req, in);
		}
	}
	return ret;
}

/* Unmaps a few at a time. *@fence_out is the last job's; those before it are in the same queue. */
static int frugal_bind(struct bind_request *req, struct fence **fence_out)
{
	struct bind_args args = { .ops = req->ops, .queue = request_bind_queue(req) };
	int ret = 0;

	for (uint32_t i = 0; i < req->args->num_binds && ret == 0; i += args.op_count) {
		ret = few_read(req, i);
		args.op_count = req->op_count;
		args.continued = i > 0;
		if (ret == 0) {
			fence_put(*fence_out);
			*fence_out = NULL;
			ret = vm_bind(req->xvm->vm, &args, fence_out);
		}
		ops_drop(req);
	}
	return ret;
}

static int frugal_submit(struct bind_request *req, unsigned flags)
{
	const struct xe_sync_list list = {
		.file = req->file,
		.addr = req->args->syncs,
		.count = req->args->num_syncs,
		.flags = flags,
	};
	struct fence *fence = NULL;
	int ret = xe_sync_list_check(&list);

	if (ret == 0) {
		ret = xe_sync_list_wait(&list);
	}
	if (ret == 0) {
		ret = frugal_bind(req, &fence);
	}
	if (ret == 0) {
		ret = xe_sync_list_signal(&list, fence);
	}
	fence_put(fence);
	return ret;
}

static int request_run(struct bind_request *req)
{
	unsigned flags = (req->xvm->lr ? XE_SYNC_LR : 0) |
			 (req->args->num_binds == 0 ? XE_SYNC_NO_UFENCE : 0);
	int ret = request_copy(req);

	if (ret == 0) {
		ret = each_op(req, op_check);
	}
	if (ret == 0) {
		ret = request_queue(req);
	}
	if (ret == 0 && xe_vm_closed_or_banned(req->xvm)) {
		ret = -ENOENT;
	}
	if (ret == 0) {
		ret = each_op(req, op_check_range);
	}
	if (ret == 0) {
		ret = request_objects(req);
	}
	if (ret == 0) {
		ret = req->frugal ? frugal_submit(req, flags) : request_submit(req, flags);
	}
	return ret;
}

/* One try. What is not set here is when it is used: most of it is room for what may come. */
static int request_try(struct bind_request *req, bool frugal)
{
	int ret;

	req->queue = NULL;
	req->frugal = frugal;
	req->unmaps = true;
	req->maps = false;
	req->first = 0;
	req->have = 0;
	req->in_memory = NULL;
	req->ops = req->few_ops;
	req->op_count = 0;
	ret = request_run(req);
	ops_drop(req);
	if (req->ops != req->few_ops) {
		port_free(req->ops);
	}
	port_free(req->in_memory);
	xe_queue_put(req->queue);
	return ret;
}

int xe_vm_bind_ioctl(struct uapi_file *file, void *data)
{
	const struct drm_xe_vm_bind *args = data;
	struct bind_request req;
	int ret = -EINVAL;

	req.file = file;
	req.args = args;
	req.xvm = xe_vm_lookup(file, args->vm_id);
	if (!req.xvm) {
		return -EINVAL;
	}
	if (!args->pad && !args->pad2 && !args->reserved[0] && !args->reserved[1] &&
	    !args->extensions && args->num_syncs <= XE_MAX_SYNCS) {
		ret = request_try(&req, false);
		if ((ret == -ENOMEM || ret == -ENOBUFS) && req.unmaps && args->num_binds > 0 &&
		    args->num_binds <= MAX_OPS) {
			ret = request_try(&req, true);
		}
	}
	xe_vm_put(req.xvm);
	return ret;
}
