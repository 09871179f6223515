/* SPDX-License-Identifier: MIT */
/*
 * libvmbind: a GPU with VM_BIND in this process.
 *
 * What an unmodified program gets by `vmbind run`, for programs that want to hold the device
 * themselves: emulators, runtimes, test benches, front-ends of other kinds. A device can be used in
 * two ways, also at once. Files of it take the same ioctls as /dev/dri/renderD128:
 *
 *	struct vmb_device *device;
 *	struct vmb_file *file;
 *	int ret = vmb_device_create(NULL, &device, NULL);
 *
 *	if (!ret) {
 *		ret = vmb_file_open(device, 0, &file);
 *		if (!ret) {
 *			ret = vmb_ioctl(file, DRM_IOCTL_VERSION, &version);
 *			vmb_file_close(file);
 *		}
 *		vmb_device_destroy(device);
 *	}
 *
 * Or address spaces, objects, queues and syncobjs are held directly (examples/map.c):
 *
 *	struct vmb_bo_args memory = { .size_B = sizeof(memory), .length_B = 65536 };
 *	struct vmb_vm *vm;
 *	struct vmb_bo *bo;
 *
 *	if (!vmb_vm_create(device, NULL, &vm) && !vmb_bo_create(device, &memory, &bo)) {
 *		struct vmb_bind_op map = { .kind = VMB_BIND_MAP, .addr = 0x100000,
 *					   .range_B = 65536, .bo = bo };
 *		struct vmb_bind_args bind = { .size_B = sizeof(bind), .flags = VMB_BIND_SYNC,
 *					      .ops = &map, .op_count = 1 };
 *
 *		ret = vmb_bind(vm, &bind, NULL);
 *	}
 *
 * Link with `pkg-config --cflags --libs vmbind`.
 *
 * Errors are 0 or a negative errno. Where NULL is not said to be fine it is -EINVAL, as are
 * unknown flags, unknown enumerators and reserved members that are not zero; other pointers are
 * trusted, as in any library. A failed create function sets its out-parameter to NULL.
 *
 * Structs that may grow begin with @size_B, which the caller sets to the size of its own: a shorter
 * one means zeroes for what it does not have, a longer one is fine as long as what this library
 * does not know is zero (-E2BIG). Results are written as far as the caller's struct goes.
 *
 * Functions may be called from any thread at any time, but not from a signal handler, and not in
 * the child of a fork(), where a device of the parent cannot be used. A destroy function must be
 * the last call on what it destroys, in any thread; what depends on one another may be destroyed in
 * any order (a queue after its address space, an object that is mapped), the device last. NULL is
 * fine for all of them. -EINTR says that a signal was handled on the way and nothing was done: call
 * again (A21).
 *
 * The first device takes over SIGSEGV and SIGBUS of the process: it repairs its own faults on
 * client memory and passes all others to the handler that was there before; one installed later
 * must pass faults that are not its own back in turn.
 *
 * Numbers like A07 name the requirement a part serves: docs/features.md.
 */
#ifndef VMBIND_VMBIND_H
#define VMBIND_VMBIND_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header. */
#define VMB_VERSION_MAJOR 0
#define VMB_VERSION_MINOR 1
#define VMB_VERSION_PATCH 0

struct vmb_device;
struct vmb_file;
struct vmb_vm;
struct vmb_bo;
struct vmb_bind_queue;
struct vmb_syncobj;
struct vmb_queue;
struct vmb_ring;

/*
 * The version of the library that runs, "0.1.0"; a static string. The three numbers go where the
 * arguments point, each of which may be NULL.
 */
const char *vmb_version(int *major_out, int *minor_out, int *patch_out);

/*
 * What the device is to be. Set @size_B to sizeof(struct vmb_device_config) and all else to zero;
 * zero means the default everywhere. Later versions add members at the end only.
 */
struct vmb_device_config {
	uint64_t size_B;
	const char *uapi;        /* kernel interface: "xe" (default) */
	const char *gpu;         /* "bmg" (default), "lnl": see `vmbind info` */
	const char *schedule;    /* "normal" (default), "eager", "lazy", "adversarial" */
	uint64_t system_B;       /* system memory the GPU may use; default: what is free */
	uint64_t vram_B;         /* memory of the GPU; default: the real one's */
	uint64_t visible_vram_B; /* what the CPU reaches of it: objects get that; default: all */
};

/*
 * Makes a device. @config may be NULL for all defaults and is not needed afterwards. @what_out may
 * be NULL; on failure it gets what was at fault ("gpu", "vram", "memory"), a static string.
 *
 * 0; -EINVAL: a name is unknown or a size impossible; -E2BIG: @config is of a later version and
 * sets something this library does not know; -ENOMEM; -EAGAIN: threads cannot be had.
 */
int vmb_device_create(const struct vmb_device_config *config, struct vmb_device **device_out,
		      const char **what_out);

/*
 * Ends a device; NULL is fine. Its files must have been closed and everything that was made with it
 * destroyed: the program is stopped if not.
 */
void vmb_device_destroy(struct vmb_device *device);

/*
 * Resets all engines: batches that have begun are lost, and their queues take no more work; what
 * has not begun runs as if nothing had been. Does not wait. NULL is fine.
 */
void vmb_device_reset(struct vmb_device *device);

/*
 * The device is lost, as hardware that cannot be reset: work that is not done is cancelled and its
 * out-syncs signal, queues take no more (-ECANCELED), every vmb_ioctl() is -ECANCELED. Binds go on.
 * There is no way back but to destroy it. Does not wait. NULL is fine.
 */
void vmb_device_wedge(struct vmb_device *device);

/* Opens the primary node (card0) instead of the render node (renderD128). */
#define VMB_FILE_PRIMARY 1u

/*
 * A new open file of @device, as open() of its node gives. @flags: 0 or VMB_FILE_PRIMARY. The file
 * is the caller's, to vmb_file_close(). 0, -EINVAL, -ENOMEM.
 */
int vmb_file_open(struct vmb_device *device, unsigned flags, struct vmb_file **file_out);

/*
 * Closes @file and everything in it: objects, address spaces, queues, whose unfinished work is
 * cancelled. NULL is fine. No other call may be in the file.
 */
void vmb_file_close(struct vmb_file *file);

/*
 * One ioctl, with the request numbers and structs of the kernel's <drm/drm.h> and of the driver's
 * header (<drm/xe_drm.h>). Pointers in @arg are addresses of this process; a bad one is -EFAULT.
 * Waits may sleep as long as they say.
 *
 * 0 or what the kernel would put into errno, negative. What would make a file descriptor (exporting
 * a syncobj, a sync file or a dma-buf) is -EOPNOTSUPP, and a descriptor given is one it does not
 * know: a device in a process has none.
 */
int vmb_ioctl(struct vmb_file *file, unsigned long request, void *arg);

/* ---- address spaces -------------------------------------------------------------------------- */

/* Flags of an address space. */
#define VMB_VM_SCRATCH 1u      /* what is not mapped reads as zero and drops writes: no fault */
/*
 * Its work may run for ever, so nothing waits for it by syncobj (A05): binds and submissions wait
 * for their in-syncs inside the call and can signal memory only.
 */
#define VMB_VM_LONG_RUNNING 2u
/*
 * Meant to have its page faults served; needs VMB_VM_LONG_RUNNING. Nothing serves them yet: they
 * end the queue as in any other address space (B23).
 */
#define VMB_VM_FAULT 4u

/*
 * What a list of operations that fails leaves behind (A25-A27). The operation that failed has
 * changed nothing in any flavour; enum vmb_bind_reason says why it failed. Mistakes of the caller
 * (VMB_REASON_BAD_OP, _BAD_RANGE, _FOREIGN_BO) are found before the first operation and leave
 * nothing in any flavour, as does a list that only unmaps.
 */
enum vmb_errors {
	/* Nothing: the address space is as it was before the call. */
	VMB_ERRORS_UNWIND,
	/*
	 * What came before it, and an error state: until the same list is given again with
	 * VMB_BIND_RESTART, and then goes on where it failed, lists that do more than unmap are
	 * -EALREADY (A28).
	 */
	VMB_ERRORS_RESTART,
	/*
	 * What came before it: vmb_bind_reply.done operations. The caller goes on from there with a
	 * list of the rest, or does not.
	 */
	VMB_ERRORS_COOKIE,
};

struct vmb_vm_args {
	uint64_t size_B;
	uint32_t flags;  /* VMB_VM_* */
	uint32_t errors; /* enum vmb_errors */
};

/*
 * A GPU address space, empty (A01). @args may be NULL for no flags and VMB_ERRORS_UNWIND. Addresses
 * in it are chosen by the caller (B12), from 0 to 2^48 - 1, in pages of 4 KiB.
 *
 * 0, -EINVAL, -E2BIG, -ENOMEM.
 */
int vmb_vm_create(struct vmb_device *device, const struct vmb_vm_args *args,
		  struct vmb_vm **vm_out);

/*
 * Ends an address space (L11): work of its queues is cancelled, binds that wait run without their
 * in-syncs and have ended when this returns, everything is unmapped. Its queues of both kinds can
 * be destroyed before or after; submissions to them are -ECANCELED then.
 */
void vmb_vm_destroy(struct vmb_vm *vm);

enum vmb_ban {
	VMB_BAN_NONE,
	VMB_BAN_FAULT,    /* a GPU fault of a kind that the address space does not recover from */
	VMB_BAN_BY_OWNER, /* vmb_vm_ban() */
};

/*
 * No bind to and no submission in @vm succeeds any more: they are -ENOENT and -ECANCELED. The first
 * ban counts. NULL is fine.
 */
void vmb_vm_ban(struct vmb_vm *vm);

/* Why @vm takes no more binds: an enum vmb_ban, VMB_BAN_NONE when it does. -EINVAL. */
int vmb_vm_ban_reason(struct vmb_vm *vm);

/* Flags of a mapping. */
#define VMB_MAPPING_READONLY 1u
#define VMB_MAPPING_NULL 2u /* no memory behind it */
#define VMB_MAPPING_USER 4u /* memory of this process */

struct vmb_mapping {
	uint64_t size_B;
	uint64_t start, end; /* [start, end) */
	uint64_t bo_id;      /* vmb_bo_id(); 0: none, or an object of a file */
	uint64_t offset;     /* into the object; with VMB_MAPPING_USER, the address of the memory */
	uint32_t flags;      /* VMB_MAPPING_* */
	uint32_t pat;
};

/*
 * The first mapping that ends above @addr; to see all of them, start at 0 and go on with .end. They
 * are what the binds accepted so far will lead to, some of which may not have run yet. The caller
 * sets @mapping_out->size_B.
 *
 * 0, -ENOENT (none is left), -EINVAL.
 */
int vmb_vm_mapping_next(struct vmb_vm *vm, uint64_t addr, struct vmb_mapping *mapping_out);

/* What an address space takes up, in bytes where nothing else is said. */
struct vmb_vm_usage {
	uint64_t size_B;
	uint64_t mappings;            /* how many there are: those of vmb_vm_mapping_next() */
	/*
	 * Of these, how many the GPU cannot use before a submission has brought their object back,
	 * or has made page table entries of them again (B16).
	 */
	uint64_t evicted;
	uint64_t mapped_B;            /* addresses that are mapped, to whatever */
	uint64_t bo_B;                /* objects mapped, in part or often: each whole, once */
	uint64_t vram_B;              /* of these, those that are in memory of the GPU now */
	uint64_t page_tables_B;       /* page tables, with what the host keeps of them (B26) */
	uint64_t page_table_frames_B; /* of these, what is in the GPU's reach now */
};

/*
 * Counts what is mapped as the last bind has left it, binds that wait for their in-syncs included.
 * It goes through all mappings, and binds wait for it. 0, -EINVAL.
 */
int vmb_vm_usage(struct vmb_vm *vm, struct vmb_vm_usage *usage_out);

enum vmb_access {
	VMB_ACCESS_READ,
	VMB_ACCESS_WRITE,
	VMB_ACCESS_ATOMIC,
};

enum vmb_fault_type {
	VMB_FAULT_NOT_PRESENT,
	VMB_FAULT_WRITE,  /* a write or an atomic to a read-only mapping */
	VMB_FAULT_ATOMIC, /* an atomic where the memory has none */
	VMB_FAULT_STALE,  /* a translation that should have been gone: a bug of this library */
	VMB_FAULT_MEMORY, /* mapped, but the memory of this process behind it is gone */
};

struct vmb_fault {
	uint64_t addr;
	uint32_t access; /* enum vmb_access */
	uint32_t type;   /* enum vmb_fault_type */
	uint32_t level;  /* of the page table where the translation ended; 0: the last one */
	uint32_t reserved;
};

/*
 * The GPU faults of work in @vm, the first 50 of them (B23). Copies at most @cap (with 0
 * @faults_out may be NULL) and returns how many there are. -EINVAL.
 */
int vmb_vm_faults(struct vmb_vm *vm, struct vmb_fault *faults_out, unsigned cap);

/*
 * Reads or writes @length_B bytes at @addr as the GPU does, through the page tables as they are
 * now. Waits for no bind and no job, and leaves no trace in vmb_vm_faults().
 *
 * 0; -EFAULT: something is not mapped, or read-only, or not below 2^48; what comes before it has
 * been copied. -EINVAL, -EINTR, -ENOMEM.
 */
int vmb_vm_read(struct vmb_vm *vm, uint64_t addr, void *buf, size_t length_B);
int vmb_vm_write(struct vmb_vm *vm, uint64_t addr, const void *buf, size_t length_B);

/* ---- buffer objects -------------------------------------------------------------------------- */

/* Where an object may live; one at least. */
#define VMB_BO_SYSTEM 1u
#define VMB_BO_VRAM 2u /* memory of the GPU; taken first; not all GPUs have it */

struct vmb_bo_args {
	uint64_t size_B;    /* of this struct */
	uint64_t length_B;  /* of the object; rounded up to pages of its memory: vmb_bo_length() */
	uint32_t placement; /* VMB_BO_*; 0: VMB_BO_SYSTEM */
	uint32_t reserved;
	struct vmb_vm *vm;  /* private to that address space (B14), or NULL */
};

/*
 * An object, all zeroes. It takes up memory of the GPU when it is first mapped, which may thus fail
 * for want of it.
 *
 * 0; -EINVAL: also a placement that the GPU does not have, an address space of another device;
 * -E2BIG; -ENOMEM.
 */
int vmb_bo_create(struct vmb_device *device, const struct vmb_bo_args *args,
		  struct vmb_bo **bo_out);

/* Gives an object up. Its mappings keep what is in it (B01). */
void vmb_bo_destroy(struct vmb_bo *bo);

/*
 * Where the CPU sees the object: vmb_bo_length() bytes, readable and writable, coherent with the
 * GPU, valid until vmb_bo_destroy(). NULL for NULL.
 */
void *vmb_bo_map(struct vmb_bo *bo);

/* Its size in bytes, 0 for NULL; and the number that struct vmb_mapping knows it by. */
uint64_t vmb_bo_length(const struct vmb_bo *bo);
uint64_t vmb_bo_id(const struct vmb_bo *bo);

/* ---- syncobjs and other things to wait for --------------------------------------------------- */

/* Deadlines are times of CLOCK_MONOTONIC in nanoseconds; 0, or any time that is past, polls. */
#define VMB_FOREVER UINT64_MAX

/*
 * A syncobj holds what is to be waited for (A03): nothing, one thing, or a timeline of points. A
 * point has signalled when what it was given has, and all points below it.
 *
 * @signalled: whether it begins as signalled or with nothing. 0, -EINVAL, -ENOMEM.
 */
int vmb_syncobj_create(struct vmb_device *device, int signalled, struct vmb_syncobj **syncobj_out);
/* Work that was told to wait for it or to signal it is not affected. */
void vmb_syncobj_destroy(struct vmb_syncobj *syncobj);

/* Signals it now, or (@point not 0) that point of it. 0, -EINVAL, -ENOMEM (points only). */
int vmb_syncobj_signal(struct vmb_syncobj *syncobj, uint64_t point);
/* Back to nothing. Who waits already is not affected. 0, -EINVAL. */
int vmb_syncobj_reset(struct vmb_syncobj *syncobj);
/* The highest point that has signalled; 0 for one without points. 0, -EINVAL. */
int vmb_syncobj_query(struct vmb_syncobj *syncobj, uint64_t *point_out);

struct vmb_wait {
	struct vmb_syncobj *syncobj;
	uint64_t point; /* 0: all that is in it */
};

#define VMB_WAIT_ALL 1u        /* all of them; without it, any */
#define VMB_WAIT_FOR_SUBMIT 2u /* first for somebody to put something there to wait for */

struct vmb_wait_args {
	uint64_t size_B;
	const struct vmb_wait *waits;
	uint32_t count; /* at least 1 */
	uint32_t flags; /* VMB_WAIT_* */
	uint64_t deadline_ns;
};

/*
 * Waits for syncobjs of one device. *first_out (may be NULL) gets the lowest index of one that has
 * signalled.
 *
 * 0; -ETIME; -EINVAL: also without VMB_WAIT_FOR_SUBMIT when one has nothing to wait for; -E2BIG;
 * -EINTR; -ENOMEM.
 */
int vmb_syncobj_wait(const struct vmb_wait_args *args, unsigned *first_out);

/* One of these two. */
#define VMB_SYNC_WAIT 1u
#define VMB_SYNC_SIGNAL 2u

/*
 * What a bind or a submission waits for before its beginning, or signals after its end, once its
 * work and its invalidations are done (A10). A syncobj, or (A04, to signal only, one per call) 8
 * aligned bytes of this process, to which @value is written even if the work was cancelled. To wait
 * for a syncobj that holds nothing is -EINVAL. Memory is never waited for by the device (A13): the
 * caller does that first, with vmb_memory_wait().
 */
struct vmb_sync {
	uint32_t flags;              /* VMB_SYNC_* */
	uint32_t reserved;
	struct vmb_syncobj *syncobj; /* of the same device; NULL: @memory */
	uint64_t point;              /* of a timeline; 0: not by points */
	uint64_t *memory;            /* NULL with a syncobj */
	uint64_t value;
};

/*
 * Waits until the 8 aligned bytes at @memory are @value or more, as an unsigned number. Any store
 * counts, the GPU's and other threads' too, though it is noticed up to a millisecond late.
 *
 * 0, -ETIME, -EFAULT, -EINVAL, -EINTR.
 */
int vmb_memory_wait(struct vmb_device *device, const uint64_t *memory, uint64_t value,
		    uint64_t deadline_ns);

/* ---- binds ----------------------------------------------------------------------------------- */

enum vmb_bind_kind {
	VMB_BIND_MAP = 1,  /* a range of @bo */
	VMB_BIND_MAP_NULL, /* reads as zero, drops writes */
	/*
	 * Memory of this process (B08). It stays where it is until its mapping is gone and the bind
	 * that took it away is done; if not, the GPU faults, or reaches what is there instead.
	 */
	VMB_BIND_MAP_USER,
	VMB_BIND_UNMAP,    /* whatever is in the range, parts of mappings too (B06, B28) */
	VMB_BIND_UNMAP_BO, /* all mappings of @bo */
	VMB_BIND_PREFETCH, /* makes resident what is mapped in the range */
};

#define VMB_BIND_READONLY 1u /* the GPU may not write */

/* One operation. Members that its kind does not name are zero. */
struct vmb_bind_op {
	uint32_t kind;     /* enum vmb_bind_kind */
	uint32_t flags;    /* of maps: VMB_BIND_READONLY */
	uint64_t addr;     /* all but UNMAP_BO; these two are multiples of 4 KiB */
	uint64_t range_B;
	struct vmb_bo *bo; /* MAP, UNMAP_BO: an object of this device */
	uint64_t offset;   /* MAP: into the object, a multiple of 4 KiB */
	void *user;        /* MAP_USER: page aligned */
	uint32_t pat;      /* of maps: index of the page attributes (B25), 0 to 31 */
	uint32_t reserved;
};

#define VMB_BIND_SYNC 1u    /* returns when it is done; takes no syncs (A06) */
#define VMB_BIND_RESTART 2u /* goes on with the list that failed: VMB_ERRORS_RESTART */

struct vmb_bind_args {
	uint64_t size_B;
	struct vmb_bind_queue *queue; /* NULL: the address space's own */
	const struct vmb_bind_op *ops;
	const struct vmb_sync *syncs;
	uint32_t op_count;            /* may be 0: only the syncs (A29) */
	uint32_t sync_count;
	uint32_t flags;               /* VMB_BIND_SYNC, VMB_BIND_RESTART */
	uint32_t reserved;
};

/* Why a bind failed, more precisely than its errno. */
enum vmb_bind_reason {
	VMB_REASON_NONE,             /* no failure, or none of the operations' */
	/* -EINVAL: of no kind, not as its kind demands, or with an object of another device */
	VMB_REASON_BAD_OP,
	VMB_REASON_BAD_RANGE,        /* -EINVAL: outside addresses or object, or misaligned */
	VMB_REASON_FOREIGN_BO,       /* -EINVAL: private to another address space */
	VMB_REASON_VM_GONE,          /* -ENOENT: banned */
	VMB_REASON_BUSY,             /* -EBUSY: the memory it signals is not written yet (A15) */
	VMB_REASON_NO_CLIENT_MEMORY, /* -EFAULT: nothing at @user */
	VMB_REASON_NO_FRAMES,        /* -ENOSPC: no room where the object may live (A20) */
	VMB_REASON_NO_MEMORY,        /* -ENOMEM: of this process (A22) */
	VMB_REASON_INTERRUPTED,      /* -EINTR: call again (A21) */
	VMB_REASON_ERROR_STATE,      /* -EALREADY: a list that failed has to be restarted (A25) */
	VMB_REASON_NOT_THE_LIST,     /* -EINVAL: restart of something else, or of nothing */
};

/* A static string: "private to another address space". */
const char *vmb_bind_reason_text(enum vmb_bind_reason reason);

struct vmb_bind_reply {
	uint64_t size_B;
	uint32_t failed_op; /* index of the operation that failed, if it was one */
	uint32_t done;      /* operations carried out: all on success, else see enum vmb_errors */
	uint32_t reason;    /* enum vmb_bind_reason */
	uint32_t reserved;
};

/*
 * A list of operations, in order (A02, A10). Without VMB_BIND_SYNC it is asynchronous (A07): it is
 * checked, given all it needs, and waits for its in-syncs on its queue while the caller goes on;
 * its out-syncs follow. What can fail fails here and now (A08), and signals nothing. @reply_out may
 * be NULL; the caller sets its @size_B.
 *
 * A failure leaves what enum vmb_errors says. An operation may replace what is mapped in its range.
 *
 * A list that only unmaps, of at most 16 operations and as many syncs, none of them a point or
 * memory, never fails for want of memory (A24).
 *
 * 0; -EINVAL; -E2BIG; or as said at enum vmb_bind_reason. -EOPNOTSUPP: a syncobj to signal in a
 * long-running address space (A05).
 */
int vmb_bind(struct vmb_vm *vm, const struct vmb_bind_args *args,
	     struct vmb_bind_reply *reply_out);

/*
 * A queue of binds to @vm (A11): those of one queue run in order, those of different queues without
 * one but where they change the same pages. 0, -EINVAL, -ENOMEM.
 */
int vmb_bind_queue_create(struct vmb_vm *vm, struct vmb_bind_queue **queue_out);
/* What was given to it runs all the same. */
void vmb_bind_queue_destroy(struct vmb_bind_queue *queue);

/* ---- execution ------------------------------------------------------------------------------- */

enum vmb_engine_class {
	VMB_ENGINE_RENDER,
	VMB_ENGINE_COPY,
	VMB_ENGINE_VIDEO_DECODE,
	VMB_ENGINE_VIDEO_ENHANCE,
	VMB_ENGINE_COMPUTE,
};

struct vmb_engine {
	uint32_t engine_class; /* enum vmb_engine_class */
	uint32_t instance;
};

/*
 * The engines of @device: copies at most @cap (with 0 @engines_out may be NULL) and returns how
 * many there are. -EINVAL.
 */
int vmb_device_engines(struct vmb_device *device, struct vmb_engine *engines_out, unsigned cap);

#define VMB_ENGINE_ANY UINT32_MAX /* whichever of the class has least to do */

struct vmb_queue_args {
	uint64_t size_B;
	uint32_t engine_class; /* enum vmb_engine_class */
	uint32_t instance;     /* or VMB_ENGINE_ANY */
	uint32_t width;        /* batches that run side by side, on neighbouring instances; 0: 1 */
	int32_t priority;      /* of its work on an engine: -1, 0 or 1 */
	uint32_t timeslice_us; /* it keeps its engine from others of its priority; 0: least */
	uint32_t job_timeout_ms; /* that work which ends may have of its engine; 0: 5000 */
};

/*
 * A queue of batches that run in @vm, in order. A batch that has its engine for longer than it may
 * hangs: the queue takes no more work, others go on. 0; -EINVAL; -E2BIG; -ENODEV: there is no such
 * engine, or not @width of them; -ENOENT: @vm is banned; -ENOMEM.
 */
int vmb_queue_create(struct vmb_vm *vm, const struct vmb_queue_args *args,
		     struct vmb_queue **queue_out);
/* Cancels what is not done; its out-syncs signal. */
void vmb_queue_destroy(struct vmb_queue *queue);

/*
 * 0 while @queue takes work; else why it does not: -EIO after a fault (vmb_vm_faults()), a hang or
 * a reset of the device, -ECANCELED when its address space has ended or the device is wedged.
 * -EINVAL.
 */
int vmb_queue_error(struct vmb_queue *queue);

struct vmb_submit_args {
	uint64_t size_B;
	const uint64_t *batches;      /* addresses in the queue's address space */
	const struct vmb_sync *syncs;
	uint32_t batch_count;         /* the queue's width */
	uint32_t sync_count;
	uint32_t flags;               /* 0 */
	uint32_t reserved;
};

/*
 * One batch for each unit of the queue's width, after what was submitted before and after the
 * in-syncs; the out-syncs follow (A12). What it uses is mapped when it runs, not necessarily now.
 * The commands are those of the GPU that the device presents.
 *
 * 0; -EINVAL; -E2BIG; -ECANCELED: the queue or the address space takes no work; -EAGAIN: 1000
 * submissions are not done; -EFAULT: the memory to signal is none; -EOPNOTSUPP: a syncobj to signal
 * in a long-running address space (A05); -ENOMEM; -EINTR.
 */
int vmb_queue_submit(struct vmb_queue *queue, const struct vmb_submit_args *args);

/* ---- rings ----------------------------------------------------------------------------------- */

/*
 * A queue that takes commands from memory of the client, without a call (B21):
 *
 *	struct vmb_ring_control *control = vmb_bo_map(control_bo); // zeroes; mapped at CONTROL
 *	struct vmb_ring_args args = { .size_B = sizeof(args), .engine_class = VMB_ENGINE_COPY,
 *				      .ring_addr = RING, .ring_B = 0x1000,
 *				      .control_addr = CONTROL };
 *
 *	ret = vmb_ring_create(vm, &args, &ring);
 *	...
 *	memcpy((char *)vmb_bo_map(ring_bo) + tail % 0x1000, commands, length_B);
 *	tail += length_B;
 *	__atomic_store_n(&control->tail, tail, __ATOMIC_RELEASE); // submitted
 *	while (!__atomic_load_n(word_that_the_commands_write, __ATOMIC_ACQUIRE)) {
 *	}
 *
 * The engine executes what is between head and tail. Both count bytes and only grow; modulo the
 * ring's size they are places in it. At most the ring's size may be between them, so who has filled
 * the ring waits for the head before writing more. The tail is a multiple of 8, and no command goes
 * across the ring's end: what is left there is filled with zeroes, which are no-operations, as is a
 * dword that is missing to a multiple of 8.
 *
 * The commands are those of batches. A jump to a batch (MI_BATCH_BUFFER_START) comes back at its
 * end, any number of times. Whatever is mapped when a command runs is what it uses: binds neither
 * wait for the ring nor it for them.
 */
struct vmb_ring_control {
	uint64_t tail; /* written by the client, as a single store after the commands */
	/*
	 * Written by the engine: what is before it has been executed. Not after each command, but
	 * when there is nothing left to execute, and now and then before. It is not for waiting.
	 */
	uint64_t head;
};

struct vmb_ring_args {
	uint64_t size_B;
	uint32_t engine_class; /* enum vmb_engine_class */
	uint32_t instance;     /* or VMB_ENGINE_ANY: the one that has least to do now */
	int32_t priority;      /* as of a queue, and so is the next */
	uint32_t timeslice_us;
	uint64_t ring_addr;    /* in the address space, a multiple of 4 KiB */
	uint64_t ring_B;       /* a power of two from 4 KiB to 1 MiB */
	uint64_t control_addr; /* of a struct vmb_ring_control; a multiple of 8 */
};

/*
 * A ring in @vm, which has to be VMB_VM_LONG_RUNNING. It begins with a head of 0 and looks at the
 * tail at once, so its memory is mapped before: by ordinary binds, which pin nothing. Like all
 * long-running work it gives way when others need its memory, and goes on when it has that back.
 *
 * 0; -EINVAL; -E2BIG; -ENODEV: there is no such engine; -ENOENT: @vm is banned; -ECANCELED: the
 * device is wedged; -ENOSPC: @vm has more mapped than VRAM holds; -ENOMEM; -EINTR.
 */
int vmb_ring_create(struct vmb_vm *vm, const struct vmb_ring_args *args,
		    struct vmb_ring **ring_out);
/* Ends it at its next command. Nothing is executed any more when this returns. */
void vmb_ring_destroy(struct vmb_ring *ring);

/*
 * 0 while @ring takes work; else why it does not: -EIO after a fault (vmb_vm_faults()), a command
 * or tail that is none, or a reset of the device; -ECANCELED when its address space was banned or
 * has ended or the device is wedged. -EINVAL.
 */
int vmb_ring_error(struct vmb_ring *ring);

/*
 * Says that the tail has moved. It is seen without that: at once while the ring is busy and for
 * some 50 us after, up to a millisecond late when it has been idle for longer. Makes no system call
 * unless the device sleeps. NULL is fine.
 */
void vmb_ring_kick(struct vmb_ring *ring);

#ifdef __cplusplus
}
#endif

#endif
