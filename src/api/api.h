/* SPDX-License-Identifier: MIT */
/*
 * What the functions of the library share. Behind each handle is a small object of ours that holds
 * references on the core's; the core's types do not show, so that it may change behind them.
 *
 * Lifetimes. A handle is counted on its device, which refuses to end before them. A vmb_vm is also
 * held by its queues, so that they can outlive its handle; it is closed when the handle goes. All
 * else that depends on one another is held by references of the core.
 *
 * Locking: vmb_vm.lock, taken first and never while the core is called.
 */
#ifndef API_API_H
#define API_API_H

#include "exec/queue.h"
#include "sync/syncobj.h"
#include "uapi/uapi.h"

#include <vmbind/vmbind.h>

#define EXPORT __attribute__((visibility("default")))

/* Lists of so many operations or syncs need no memory. */
#define API_FEW 16

struct vmb_device {
	struct uapi_device *uapi; /* owned */
	struct device *core;      /* behind it */
	atomic_uint handles;      /* to what was made with it */
};

struct vmb_vm {
	struct ref ref;            /* of the handle and of each queue */
	struct vmb_device *device;
	struct vm *core;           /* a reference */
	struct port_mutex lock;    /* RANK_GROUP_MODE; protects the list */
	struct list queues;        /* struct vmb_queue.node: to kill when it is closed */
};

struct vmb_bo {
	struct vmb_device *device;
	struct bo *core;           /* a reference */
};

struct vmb_bind_queue {
	struct vmb_vm *vm;         /* a reference */
	struct bind_queue *core;   /* a reference */
};

struct vmb_syncobj {
	struct vmb_device *device;
	struct syncobj *core;      /* a reference */
};

struct vmb_queue {
	struct vmb_vm *vm;         /* a reference */
	struct exec_queue *core;   /* a reference */
	struct list node;          /* by vm->lock */
};

struct vmb_ring {
	struct vmb_queue queue;
};

struct vmb_vm *api_vm_get(struct vmb_vm *vm);
void api_vm_put(struct vmb_vm *vm);

/*
 * A queue, or with @ring (which may be NULL) one that is a ring. @args is checked here, but not its
 * width for a ring. As vmb_queue_create() and vmb_ring_create().
 */
int api_queue_create(struct vmb_vm *vm, const struct vmb_queue_args *args,
		     const struct gpu_ring *ring, struct vmb_queue **queue_out);
void api_queue_destroy(struct vmb_queue *queue);

/* A new object of @size_B zeroes, counted on @device; NULL without memory. */
void *api_handle_alloc(struct vmb_device *device, size_t size_B);
void api_handle_free(struct vmb_device *device, void *handle);

/*
 * Copies a struct that begins with its size and may be shorter or longer than ours of @size_B. NULL
 * is all zeroes. 0, -EINVAL, -E2BIG.
 */
int api_args_read(const void *args, void *mine, uint64_t size_B);
/* Is the size at the beginning of a struct for results one? */
bool api_reply_fits(const void *reply);
/* Fills in all of @reply behind its size that ours and the caller's have. */
void api_reply_write(void *reply, const void *mine, uint64_t size_B);

/* ---- sync entries (sync.c) ------------------------------------------------------------------- */

struct api_out {
	struct syncobj *so;
	uint64_t point;            /* 0: replaces what is in it */
	struct syncobj_point *mem; /* for the point */
};

/* What one call waits for and signals. The caller of the library keeps the syncobjs alive. */
struct api_syncs {
	struct fence **in;         /* references */
	struct api_out *out;
	unsigned in_count, out_count;
	struct ufence *ufence;     /* a reference, or NULL */
	struct fence *in_few[API_FEW];
	struct api_out out_few[API_FEW];
	void *memory;              /* of @in and @out, when they are more than few */
};

/*
 * Checks @count entries, finds what is to be waited for, and allocates all that signalling will
 * need. @lr: no syncobj can be signalled. api_syncs_fini() also after an error. 0, -EINVAL,
 * -EFAULT, -EOPNOTSUPP, -ENOMEM.
 */
int api_syncs_read(struct api_syncs *syncs, struct vmb_device *device,
		   const struct vmb_sync *entries, uint32_t count, bool lr);
/* Lets the out-syncobjs follow @fence. Cannot fail. The user fence is not looked at. */
void api_syncs_signal(struct api_syncs *syncs, struct fence *fence);
void api_syncs_fini(struct api_syncs *syncs);

#endif
