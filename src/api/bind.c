// SPDX-License-Identifier: MIT
/*
 * Binds: from the caller's list of operations to the core's.
 *
 * What no address space would take is refused here, before anything else; the rest is the core's to
 * judge, because what a failure leaves depends on the address space. The out-syncs get their memory
 * first: when the core has accepted the list, nothing fails any more. A short list is converted on
 * the stack, so that unmapping needs no memory of ours (A24).
 *
 * A synchronous bind (A06) is the same job with a wait behind it. When it fails half-way in an
 * address space that keeps what came before, it waits for that too.
 *
 * Locking: none of its own. Example: examples/async-bind.c.
 */
#include "api/api.h"

#define BIND_FLAGS (VMB_BIND_SYNC | VMB_BIND_RESTART)
#define PAT_MAX 31u

_Static_assert(VMB_REASON_NONE == (int)BIND_OK && VMB_REASON_BAD_OP == (int)BIND_BAD_OP &&
	       VMB_REASON_BAD_RANGE == (int)BIND_BAD_RANGE &&
	       VMB_REASON_FOREIGN_BO == (int)BIND_FOREIGN_BO &&
	       VMB_REASON_VM_GONE == (int)BIND_VM_GONE && VMB_REASON_BUSY == (int)BIND_BUSY &&
	       VMB_REASON_NO_CLIENT_MEMORY == (int)BIND_NO_CLIENT_MEMORY &&
	       VMB_REASON_NO_FRAMES == (int)BIND_NO_FRAMES &&
	       VMB_REASON_NO_MEMORY == (int)BIND_NO_MEMORY &&
	       VMB_REASON_INTERRUPTED == (int)BIND_INTERRUPTED &&
	       VMB_REASON_ERROR_STATE == (int)BIND_ERROR_STATE &&
	       VMB_REASON_NOT_THE_LIST == (int)BIND_NOT_THE_LIST, "reasons");

/* One vmb_bind() on its way. */
struct request {
	struct vmb_vm *vm;
	struct vmb_bind_args args;
	struct bind_op *ops;
	struct bind_op few[API_FEW];
	struct api_syncs syncs;
	struct vmb_bind_reply reply;
};

EXPORT const char *vmb_bind_reason_text(enum vmb_bind_reason reason)
{
	static const char *const text[] = {
		[VMB_REASON_NONE] = "no failure",
		[VMB_REASON_BAD_OP] = "not an operation",
		[VMB_REASON_BAD_RANGE] = "outside the address space or the object, or misaligned",
		[VMB_REASON_FOREIGN_BO] = "private to another address space",
		[VMB_REASON_VM_GONE] = "the address space is banned",
		[VMB_REASON_BUSY] = "a mapping it touches is still being bound",
		[VMB_REASON_NO_CLIENT_MEMORY] = "there is no memory at the address to map",
		[VMB_REASON_NO_FRAMES] = "no room where the object may live",
		[VMB_REASON_NO_MEMORY] = "out of memory",
		[VMB_REASON_INTERRUPTED] = "interrupted by a signal",
		[VMB_REASON_ERROR_STATE] = "a list that failed has to be restarted first",
		[VMB_REASON_NOT_THE_LIST] = "not the list that failed",
	};

	return (unsigned)reason < ARRAY_LEN(text) ? text[reason] : "unknown reason";
}

/* ---- operations ------------------------------------------------------------------------------ */

/* Which members each kind has; all others are zero. */
#define HAS_RANGE BIT(0)
#define HAS_BO BIT(1)
#define HAS_OFFSET BIT(2)
#define HAS_USER BIT(3)
#define HAS_ATTRS BIT(4)

static const struct {
	enum bind_kind kind;
	unsigned has;
} kinds[] = {
	[VMB_BIND_MAP] = { BIND_MAP, HAS_RANGE | HAS_BO | HAS_OFFSET | HAS_ATTRS },
	[VMB_BIND_MAP_NULL] = { BIND_MAP, HAS_RANGE | HAS_ATTRS },
	[VMB_BIND_MAP_USER] = { BIND_MAP_USERPTR, HAS_RANGE | HAS_USER | HAS_ATTRS },
	[VMB_BIND_UNMAP] = { BIND_UNMAP, HAS_RANGE },
	[VMB_BIND_UNMAP_BO] = { BIND_UNMAP_BO, HAS_BO },
	[VMB_BIND_PREFETCH] = { BIND_PREFETCH, HAS_RANGE },
};

static bool op_is_one(const struct vmb_device *device, const struct vmb_bind_op *in)
{
	unsigned has;

	if (in->kind >= ARRAY_LEN(kinds) || !kinds[in->kind].has || in->reserved) {
		return false;
	}
	has = kinds[in->kind].has;
	if (!(has & HAS_RANGE) && (in->addr || in->range_B)) {
		return false;
	}
	if (!(has & HAS_OFFSET) && in->offset) {
		return false;
	}
	if (!(has & HAS_ATTRS) && (in->flags || in->pat)) {
		return false;
	}
	if ((in->flags & ~VMB_BIND_READONLY) || in->pat > PAT_MAX) {
		return false;
	}
	if (!(has & HAS_BO) != !in->bo || !(has & HAS_USER) != !in->user) {
		return false;
	}
	return !in->bo || in->bo->device == device;
}

/* Wholly initialised, holes too: a restarted list is compared with the one that failed. */
static void op_fill(const struct vmb_device *device, const struct vmb_bind_op *in,
		    struct bind_op *op)
{
	memset(op, 0, sizeof(*op));
	op->kind = kinds[in->kind].kind;
	op->addr = in->addr;
	op->range = in->range_B;
	op->bo = in->bo ? in->bo->core : NULL;
	op->offset = in->user ? (uint64_t)(uintptr_t)in->user : in->offset;
	op->null = in->kind == VMB_BIND_MAP_NULL;
	op->readonly = in->flags & VMB_BIND_READONLY;
	op->pat = (uint16_t)in->pat;
	if (in->kind == VMB_BIND_PREFETCH) {
		op->prefetch_region = device->core->mem.region_count - 1; /* the GPU's, if any */
	}
}

static int request_ops(struct request *req)
{
	const struct vmb_bind_args *args = &req->args;

	if (args->op_count > API_FEW) {
		req->ops = port_alloc(args->op_count * sizeof(*req->ops));
		if (!req->ops) {
			req->reply.reason = VMB_REASON_NO_MEMORY;
			return -ENOMEM;
		}
	}
	for (uint32_t i = 0; i < args->op_count; i++) {
		struct vmb_bind_op in = args->ops[i];

		if (!op_is_one(req->vm->device, &in)) {
			req->reply.failed_op = i;
			req->reply.reason = VMB_REASON_BAD_OP;
			return -EINVAL;
		}
		op_fill(req->vm->device, &in, &req->ops[i]);
	}
	return 0;
}

/* ---- the call -------------------------------------------------------------------------------- */

static bool args_fit(const struct request *req)
{
	const struct vmb_bind_args *args = &req->args;

	if ((args->flags & ~BIND_FLAGS) || args->reserved || (args->op_count && !args->ops)) {
		return false;
	}
	if ((args->flags & VMB_BIND_SYNC) && args->sync_count) {
		return false;
	}
	return !args->queue || args->queue->vm == req->vm;
}

/* All that was published on the queue so far. */
static void wait_for_queue(struct bind_queue *queue)
{
	struct fence *fence = bind_queue_last(queue);

	(void)fence_wait(fence, PORT_FOREVER, 0);
	fence_put(fence);
}

static int request_bind(struct request *req)
{
	struct vm *vm = req->vm->core;
	struct bind_queue *queue = req->args.queue ? req->args.queue->core : vm->default_queue;
	struct bind_args core = {
		.ops = req->ops,
		.op_count = req->args.op_count,
		.queue = queue,
		.in_fences = req->syncs.in,
		.in_count = req->syncs.in_count,
		.restart = req->args.flags & VMB_BIND_RESTART,
		.ufence = req->syncs.ufence,
	};
	bool sync = req->args.flags & VMB_BIND_SYNC;
	struct fence *fence = NULL;
	int ret = vm_bind(vm, &core, &fence);

	req->reply.done = core.done;
	if (ret) {
		req->reply.failed_op = core.failed_op;
		req->reply.reason = core.reason;
		if (sync && core.done) {
			wait_for_queue(queue);
		}
		return ret;
	}
	api_syncs_signal(&req->syncs, fence);
	if (sync) {
		(void)fence_wait(fence, PORT_FOREVER, 0);
	}
	fence_put(fence);
	return 0;
}

static int request_run(struct request *req)
{
	int ret;

	if (!args_fit(req)) {
		return -EINVAL;
	}
	ret = request_ops(req);
	if (ret == 0) {
		ret = api_syncs_read(&req->syncs, req->vm->device, req->args.syncs,
				     req->args.sync_count, vm_is_lr(req->vm->core));
		if (ret == 0) {
			ret = request_bind(req);
		} else if (ret == -ENOMEM) {
			req->reply.reason = VMB_REASON_NO_MEMORY;
		}
		api_syncs_fini(&req->syncs);
	}
	if (req->ops != req->few) {
		port_free(req->ops);
	}
	return ret;
}

EXPORT int vmb_bind(struct vmb_vm *vm, const struct vmb_bind_args *args,
		    struct vmb_bind_reply *reply_out)
{
	struct request req;
	int ret;

	if (!vm || !args || (reply_out && !api_reply_fits(reply_out))) {
		return -EINVAL;
	}
	req.vm = vm;
	req.ops = req.few;
	req.reply = (struct vmb_bind_reply){ 0 };
	ret = api_args_read(args, &req.args, sizeof(req.args));
	if (ret == 0) {
		ret = request_run(&req);
	}
	if (reply_out) {
		api_reply_write(reply_out, &req.reply, sizeof(req.reply));
	}
	return ret;
}

/* ---- queues ---------------------------------------------------------------------------------- */

EXPORT int vmb_bind_queue_create(struct vmb_vm *vm, struct vmb_bind_queue **queue_out)
{
	struct vmb_bind_queue *queue;
	int ret;

	if (!queue_out) {
		return -EINVAL;
	}
	*queue_out = NULL;
	if (!vm) {
		return -EINVAL;
	}
	queue = api_handle_alloc(vm->device, sizeof(*queue));
	if (!queue) {
		return -ENOMEM;
	}
	ret = bind_queue_create(vm->core, &queue->core);
	if (ret) {
		api_handle_free(vm->device, queue);
		return ret;
	}
	queue->vm = api_vm_get(vm);
	*queue_out = queue;
	return 0;
}

EXPORT void vmb_bind_queue_destroy(struct vmb_bind_queue *queue)
{
	struct vmb_vm *vm;

	if (!queue) {
		return;
	}
	vm = queue->vm;
	bind_queue_put(queue->core);
	api_handle_free(vm->device, queue);
	api_vm_put(vm);
}
