/* SPDX-License-Identifier: MIT */
/*
 * The Xe front-end. Each ioctl checks its arguments in the kernel driver's order, because clients
 * (and their tests) can tell which check came first.
 *
 * Locking: xe_vm.lock is taken before the core's locks and never while the core is called with
 * "no lock held"; the id tables are leaves. Numbers are published last and withdrawn first.
 */
#ifndef UAPI_XE_XE_H
#define UAPI_XE_XE_H

#include "exec/queue.h"
#include "uapi/drm/drm.h"
#include "uapi/xe_drm.h"

/* ---- models (gpus.c) ------------------------------------------------------------------------- */

#define XE_PAT_RESERVED   0 /* an index the hardware does not define */
#define XE_PAT_COH_NONE   1
#define XE_PAT_COH_1WAY   2
#define XE_PAT_COH_2WAY   3
#define XE_PAT_COH_MASK   3
#define XE_PAT_COMPRESSED 4

struct xe_gpu {
	const char *name, *description, *pci_slot;
	uint16_t device_id;
	uint8_t revision;
	uint16_t ip_major, ip_minor, ip_rev;
	uint64_t vram_B;          /* 0: system memory only */
	uint64_t vram_min_page_B;
	uint32_t reference_clock_hz;
	unsigned va_bits;
	const uint8_t *pat;       /* XE_PAT_*, by index */
	unsigned pat_count;
	uint64_t dss_mask, eu_mask, l3_mask;
	const struct device_engine_desc *engines;
	unsigned engine_count;
	const struct uapi_debug_file *debug;
};

/* By name, NULL for the default; NULL when there is none. */
const struct xe_gpu *xe_gpu_find(const char *name);
const char *xe_gpu_name(unsigned index);

static inline const struct xe_gpu *xe_gpu(const struct uapi_file *file)
{
	return file->device->gpu;
}
/* Placement bits and region instances there are. */
uint32_t xe_region_mask(const struct uapi_file *file);
/* The device engine a client names, or -1. */
int xe_engine_find(const struct xe_gpu *gpu, const struct drm_xe_engine_class_instance *eci);

/* ---- what can be tuned of scheduling (sched.c) ----------------------------------------------- */

#define XE_CLASSES 5 /* of engines: GPU_CLASS_*, which are those of the uAPI */

enum xe_sched_prop {
	XE_SCHED_JOB_TIMEOUT_MS,
	XE_SCHED_TIMESLICE_US,
	XE_SCHED_PREEMPT_TIMEOUT_US,
	XE_SCHED_PROPS,
};

void xe_sched_init(struct uapi_device *device);
/* What a new queue of the class gets. */
uint32_t xe_sched_value(struct uapi_device *device, unsigned class, enum xe_sched_prop prop);
/* May the client ask for @value instead? */
bool xe_sched_allowed(struct uapi_device *device, unsigned class, enum xe_sched_prop prop,
		      uint64_t value);
/* As those of struct uapi_driver, for these files only. */
bool xe_sched_attr_find(const struct uapi_device *device, unsigned index,
			struct uapi_attr *attr_out);
uint32_t xe_sched_attr_load(struct uapi_device *device, unsigned index);
int xe_sched_attr_store(struct uapi_device *device, unsigned index, uint32_t value);

/* ---- files of one number (attr.c) ------------------------------------------------------------ */

#define XE_TUNED_FAILURES 45 /* in uapi_device.tuned: what comes before belongs to sched.c */

/* Of struct uapi_driver. */
bool xe_attr_find(const struct uapi_device *device, unsigned index, struct uapi_attr *attr_out);
uint32_t xe_attr_load(struct uapi_device *device, unsigned index);
int xe_attr_store(struct uapi_device *device, unsigned index, uint32_t value);
bool xe_reset_fails(struct uapi_device *device);
void xe_attr_init(struct uapi_device *device);

/* ---- open files, address spaces, queues ------------------------------------------------------ */

struct xe_file {
	struct ids vms;    /* struct xe_vm, a reference each */
	struct ids queues; /* struct xe_queue, a reference each */
};

static inline struct xe_file *xe_file(struct uapi_file *file)
{
	return file->driver_file;
}

/* An address space as the client knows it. */
struct xe_vm {
	struct ref ref;
	struct vm *vm;          /* a reference */
	bool lr;                /* long-running: no dma fence may come out of it */
	bool fault;
	struct port_mutex lock; /* RANK_GROUP_MODE */
	atomic_bool closed;     /* takes no more queues; set under .lock */
	struct list queues;     /* struct xe_queue.vm_node: to be killed at close; by .lock */
};

/* An exec queue, or a queue of binds. */
struct xe_queue {
	struct ref ref;
	struct xe_vm *xvm;          /* a reference */
	struct exec_queue *exec;    /* NULL for a bind queue */
	struct bind_queue *bind;    /* NULL for an exec queue */
	struct list vm_node;        /* by xvm->lock */
};

struct xe_vm *xe_vm_lookup(struct uapi_file *file, uint32_t id); /* a reference, or NULL */
void xe_vm_put(struct xe_vm *xvm);
bool xe_vm_closed_or_banned(struct xe_vm *xvm);
/* Adds an exec queue to those the VM kills when it is closed. 0, or -ENOENT when it is already. */
int xe_vm_add_queue(struct xe_vm *xvm, struct xe_queue *queue);
void xe_vm_close_all(struct uapi_file *file);

struct xe_queue *xe_queue_lookup(struct uapi_file *file, uint32_t id); /* a reference, or NULL */
struct xe_queue *xe_queue_get(struct xe_queue *queue);
void xe_queue_put(struct xe_queue *queue); /* NULL is fine */
bool xe_queue_banned(const struct xe_queue *queue);
void xe_queue_kill_all(struct uapi_file *file);

/* ---- sync entries (sync.c) ------------------------------------------------------------------- */

#define XE_MAX_SYNCS 1024u

#define XE_SYNC_EXEC      BIT(0) /* user fences are GPU addresses, written by the job */
#define XE_SYNC_LR        BIT(1) /* out-syncobjs are not possible */
#define XE_SYNC_NO_UFENCE BIT(2) /* nothing is submitted */

/*
 * Copies and checks @count entries at @addr, and allocates everything that signalling them will
 * need. @syncs_out need not be initialised; on error nothing is left to clean up.
 */
int xe_syncs_parse(struct uapi_file *file, uint64_t addr, uint32_t count, unsigned flags,
		   struct drm_syncs *syncs_out);
/* The user fence entry, or NULL. */
struct drm_sync *xe_syncs_user(struct drm_syncs *syncs);

/*
 * The same one entry at a time, without memory, for binds that must not fail for want of it (A24).
 * Every step reads the client's entries again; that they are the same as before is the client's
 * business.
 */
struct xe_sync_list {
	struct uapi_file *file;
	uint64_t addr;
	uint32_t count;
	unsigned flags;
};

/* As xe_syncs_parse(), but keeps nothing. */
int xe_sync_list_check(const struct xe_sync_list *list);
/* Waits for everything that has to be waited for. -EINTR, or the errors of a changed entry. */
int xe_sync_list_wait(const struct xe_sync_list *list);
/* Waits for @fence, then signals every entry that has to be signalled. Errors as before. */
int xe_sync_list_signal(const struct xe_sync_list *list, struct fence *fence);

/* ---- errors ---------------------------------------------------------------------------------- */

/*
 * Memory that is overcommitted is -ENOSPC by the documents and in the core (A20). Clients of Xe
 * know it as -ENOMEM: there a full region is one of the ways to be out of memory, and -ENOSPC is
 * left to objects that could never fit and to errors that a client injects.
 */
static inline int xe_no_room(int ret)
{
	return ret == -ENOSPC ? -ENOMEM : ret;
}

/* ---- bo flags -------------------------------------------------------------------------------- */

#define XE_BO_64K BIT(31) /* in struct bo.flags: maps in pieces of 64 KiB only */

/* ---- ioctls ---------------------------------------------------------------------------------- */

int xe_query_ioctl(struct uapi_file *file, void *data);
int xe_gem_create_ioctl(struct uapi_file *file, void *data);
int xe_gem_mmap_offset_ioctl(struct uapi_file *file, void *data);
int xe_vm_create_ioctl(struct uapi_file *file, void *data);
int xe_vm_destroy_ioctl(struct uapi_file *file, void *data);
int xe_vm_bind_ioctl(struct uapi_file *file, void *data);
int xe_vm_get_property_ioctl(struct uapi_file *file, void *data);
int xe_exec_queue_create_ioctl(struct uapi_file *file, void *data);
int xe_exec_queue_destroy_ioctl(struct uapi_file *file, void *data);
int xe_exec_queue_get_property_ioctl(struct uapi_file *file, void *data);
int xe_exec_ioctl(struct uapi_file *file, void *data);
int xe_wait_user_fence_ioctl(struct uapi_file *file, void *data);

#endif
