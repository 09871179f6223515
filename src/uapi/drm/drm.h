/* SPDX-License-Identifier: MIT */
/*
 * The generic half of the front-end: open files, handles, syncobjs, dispatch. A driver (uapi/xe/)
 * adds its ioctls and its own objects.
 *
 * Locking: every handle table has its own leaf lock (base/ids.h); a lookup takes the object's
 * reference under it. An object is published in a table as the last step of its creation.
 *  - file.handle_lock: handles of one file are made, found by object and dropped one at a time, so
 *    that importing an object the file already has gives the handle it has.
 *  - device.gem_lock (leaf): which objects have handles, and where their windows are.
 */
#ifndef UAPI_DRM_DRM_H
#define UAPI_DRM_DRM_H

#include "base/ids.h"
#include "debug/dump.h"
#include "exec/queue.h"
#include "sync/syncobj.h"
#include "sync/ufence.h"
#include "uapi/uapi.h"
#include "uapi/vmb_drm.h"

struct uapi_driver;
struct drm_ioctl;

/* ---- device ---------------------------------------------------------------------------------- */

#define DRM_GEM_BUCKETS 1024
#define DRM_TUNED 48
#define UAPI_ATTR_MAX_B 64 /* in one write; a number has fewer digits */

struct uapi_device {
	struct device *dev;
	bool is_companion;            /* .dev is another one's */
	struct dump *dump;            /* NULL: a companion */
	const struct uapi_driver *driver;
	const void *gpu;              /* of the driver: the model that is presented */
	unsigned bind_version;        /* of i915: what VM_BIND can do */
	struct uapi_identity identity;
	const struct uapi_host_ops *host;
	void *host_ctx;

	struct port_mutex gem_lock;   /* RANK_LEAF; protects the next two */
	struct list *gem_buckets;     /* struct drm_object.node, hashed by window */
	struct ids names;             /* struct drm_object, by global name (flink) */

	struct port_mutex master_lock; /* RANK_LEAF; protects the next two */
	struct uapi_file *master;
	bool busid_set;               /* somebody negotiated versions: GET_UNIQUE answers */
	struct ids magics;            /* struct uapi_file */

	struct port_mutex eventfd_lock; /* RANK_LEAF; protects the list */
	struct list eventfds;         /* struct drm_eventfd.node */
	atomic_uint tuned[DRM_TUNED]; /* of the driver: numbers that files of sysfs set */
	atomic_bool unbound;          /* has no driver now */
	atomic_uint unbinds;          /* how often one was taken off it */
	atomic_uint file_count;
	atomic_ullong next_file_id;
};

struct uapi_file {
	struct uapi_device *device;
	uint64_t id;                  /* unique in the device, from 1 */
	bool render;
	unsigned unbinds;             /* the device's when it was opened */
	atomic_bool authenticated;
	atomic_uint magic;            /* 0: none given out */
	void *driver_file;            /* of the driver */
	struct exec_usage usage;      /* of the driver's queues, which have to count it */
	struct port_mutex handle_lock; /* RANK_GROUP_MODE: taken first, see above */
	struct ids handles;           /* struct drm_handle */
	struct ids syncobjs;          /* struct syncobj, a reference each */
};

/* Kinds of memory that a file's usage is told by: the regions, and what was spilled. */
#define DRM_MEMORIES (MEM_REGIONS + 1)

struct uapi_driver {
	const char *name, *date, *desc;
	int major, minor, patch;
	const struct drm_ioctl *ioctls; /* index: number - DRM_COMMAND_BASE */
	unsigned ioctl_count;
	const char *memory_name[DRM_MEMORIES]; /* NULL: fdinfo says nothing */
	const char *class_name[GPU_CLASSES];   /* of engines, there */
	bool usage_in_ns;                      /* not in ticks */
	enum dump_form dump_form;
	const char *no_dump;                   /* text of an empty dump; or NULL */
	size_t no_dump_B;
	/*
	 * Mandatory but for a companion, as is the next. The models, by index; NULL behind the
	 * last. The first is the default.
	 */
	const char *(*gpu_name)(unsigned index);
	/*
	 * The model @config names, what it looks like from outside and what the core
	 * must build for it. 0, or -EINVAL with *what_out.
	 */
	int (*describe)(const struct uapi_config *config, struct uapi_device *device,
			struct device_config *core_out, const char **what_out);
	/* Mandatory. The driver's part of an open file. 0, -ENOMEM. */
	int (*open)(struct uapi_file *file);
	/* Mandatory. Ends queues, then address spaces. No lock held, no other call in the file. */
	void (*close)(struct uapi_file *file);
	/* Mandatory. May this object leave the file it was made for? 0, or why not. */
	int (*share_check)(const struct bo *bo);
	/*
	 * Optional. An object of @args->width x .height pixels of .bpp bits, which together are
	 * less than 4 GiB: fills in .handle, .pitch and .size. 0 or -ENOMEM.
	 */
	int (*dumb_create)(struct uapi_file *file, struct drm_mode_create_dumb *args);
	/*
	 * Optional, together. See uapi_attr_find(); the others are called with an index that it
	 * has found, a store for what is writable only. 0 or -EINVAL.
	 */
	bool (*attr_find)(const struct uapi_device *device, unsigned index,
			  struct uapi_attr *attr_out);
	uint32_t (*attr_load)(struct uapi_device *device, unsigned index);
	int (*attr_store)(struct uapi_device *device, unsigned index, uint32_t value);
	/* Optional. What can be tuned is as at the start: the driver is bound anew. */
	void (*rebound)(struct uapi_device *device);
	/* Optional. Is the reset that is due made to fail? */
	bool (*reset_fails)(struct uapi_device *device);
};

extern const struct uapi_driver xe_driver;
extern const struct uapi_driver i915_driver;
extern const struct uapi_driver vgem_driver; /* of companions */
/*
 * The memory that @config asks for on a model with @vram_B (0: none) in pages of @min_page_B. 0;
 * -EINVAL: more or less than there can be.
 */
int drm_describe_memory(const struct uapi_config *config, uint64_t vram_B, uint64_t min_page_B,
			struct mem_config *mem_out);
/* Which of the models that @name_of() lists is called @name; the first for NULL. -1: none. */
int drm_gpu_index(const char *(*name_of)(unsigned index), const char *name);
/* By name, the first for NULL; NULL when there is none. */
const struct uapi_driver *drm_driver_find(const char *name);

/* ---- dispatch -------------------------------------------------------------------------------- */

#define DRM_RENDER_ALLOW BIT(0) /* render nodes may; without it they get -EACCES */
#define DRM_AUTH         BIT(1) /* primary nodes need authentication */
#define DRM_MASTER       BIT(2) /* needs the file to be master */

/* One line per ioctl. A zero line is an unknown number. */
struct drm_ioctl {
	uint32_t cmd;        /* number, direction, and the size of the newest struct */
	unsigned flags;
	/* @data: what the client passed, zeroes behind it. Copied back by direction. */
	int (*handler)(struct uapi_file *file, void *data);
	const char *name;    /* as clients write it, without DRM_IOCTL_ */
};

/* 0, or why nothing can be asked of the file: -ENODEV (its device is gone), -ECANCELED (wedged). */
int drm_file_refused(const struct uapi_file *file);
bool drm_is_master(struct uapi_file *file);
bool drm_text_equal(const char *a, const char *b);

/* ---- client memory --------------------------------------------------------------------------- */

/* A copy of @n elements of @size_B bytes at @addr, to port_free(). -EFAULT, -ENOMEM (or absurd). */
int drm_copy_array(uint64_t addr, uint64_t n, size_t size_B, void **array_out);

/* ---- core ioctls (core.c) -------------------------------------------------------------------- */

int drm_version_ioctl(struct uapi_file *file, void *data);
int drm_get_unique_ioctl(struct uapi_file *file, void *data);
int drm_get_magic_ioctl(struct uapi_file *file, void *data);
int drm_auth_magic_ioctl(struct uapi_file *file, void *data);
int drm_get_client_ioctl(struct uapi_file *file, void *data);
int drm_get_stats_ioctl(struct uapi_file *file, void *data);
int drm_set_version_ioctl(struct uapi_file *file, void *data);
int drm_get_cap_ioctl(struct uapi_file *file, void *data);
int drm_no_modeset_ioctl(struct uapi_file *file, void *data);
int drm_set_master_ioctl(struct uapi_file *file, void *data);
int drm_drop_master_ioctl(struct uapi_file *file, void *data);
/* The first primary file becomes master; the last close gives it up. */
void drm_master_open(struct uapi_file *file);
void drm_master_close(struct uapi_file *file);

/* ---- objects and handles (gem.c) ------------------------------------------------------------- */

/* An object somebody has a handle to. Lives while there is one. */
struct drm_object {
	struct bo *bo;           /* a reference */
	struct list node;        /* device.gem_buckets; by device.gem_lock */
	struct list handles;     /* struct drm_handle.object_node; by device.gem_lock */
	uint32_t name;           /* 0: none; by file.handle_lock of the namer and device.gem_lock */
};

struct drm_handle {
	struct uapi_file *file;
	struct drm_object *object;
	struct list object_node;
	uint32_t handle;
};

int drm_gem_device_init(struct uapi_device *device);
void drm_gem_device_fini(struct uapi_device *device);
/* A new handle for @bo; takes references of its own. Publication is the last step. 0, -ENOMEM. */
int drm_gem_handle_create(struct uapi_file *file, struct bo *bo, uint32_t *handle_out);
/* The object with a reference, NULL when there is no such handle. */
struct bo *drm_gem_lookup(struct uapi_file *file, uint32_t handle);
/* Where the client maps the object of @handle. 0 or -ENOENT. */
int drm_gem_mmap_offset(struct uapi_file *file, uint32_t handle, uint64_t *offset_out);
/* Drops every handle of a file. */
void drm_gem_file_close(struct uapi_file *file);
/*
 * The first object at or above *@handle_io, with a reference; sets *@handle_io. False at the end.
 * @shared_out: does it have other handles, in any file?
 */
bool drm_gem_next(struct uapi_file *file, uint32_t *handle_io, struct bo **bo_out,
		  bool *shared_out);
/* The object whose window starts at @offset: 0 with a reference, -EINVAL, -EACCES. */
int drm_gem_at_offset(struct uapi_file *file, uint64_t offset, struct bo **bo_out);

int drm_gem_close_ioctl(struct uapi_file *file, void *data);
int drm_gem_flink_ioctl(struct uapi_file *file, void *data);
int drm_gem_open_ioctl(struct uapi_file *file, void *data);
int drm_prime_handle_to_fd_ioctl(struct uapi_file *file, void *data);
int drm_prime_fd_to_handle_ioctl(struct uapi_file *file, void *data);

/* ---- dumb buffers (dumb.c) ------------------------------------------------------------------- */

int drm_create_dumb_ioctl(struct uapi_file *file, void *data);
int drm_map_dumb_ioctl(struct uapi_file *file, void *data);
int drm_destroy_dumb_ioctl(struct uapi_file *file, void *data);

/* ---- syncobjs (syncobj.c) -------------------------------------------------------------------- */

/* With a reference, or NULL. */
struct syncobj *drm_syncobj_lookup(struct uapi_file *file, uint32_t handle);
void drm_syncobj_file_close(struct uapi_file *file);

int drm_syncobj_create_ioctl(struct uapi_file *file, void *data);
int drm_syncobj_destroy_ioctl(struct uapi_file *file, void *data);
int drm_syncobj_handle_to_fd_ioctl(struct uapi_file *file, void *data);
int drm_syncobj_fd_to_handle_ioctl(struct uapi_file *file, void *data);
int drm_syncobj_transfer_ioctl(struct uapi_file *file, void *data);
int drm_syncobj_wait_ioctl(struct uapi_file *file, void *data);
int drm_syncobj_timeline_wait_ioctl(struct uapi_file *file, void *data);
int drm_syncobj_reset_ioctl(struct uapi_file *file, void *data);
int drm_syncobj_signal_ioctl(struct uapi_file *file, void *data);
int drm_syncobj_timeline_signal_ioctl(struct uapi_file *file, void *data);
int drm_syncobj_query_ioctl(struct uapi_file *file, void *data);

/* ---- entries of binds and submissions (syncs.c) ---------------------------------------------- */

struct drm_sync {
	bool signal, user;
	bool by_gpu;                 /* a user fence that the job writes, at a GPU address */
	struct syncobj *so;          /* waited for, or signalled with the result; a reference */
	uint64_t point;              /* of a timeline; 0: binary */
	struct syncobj_point *mem;   /* for the point */
	struct ufence *ufence;       /* a reference */
	uint64_t addr, value;        /* of a user fence */
};

/* So many need no memory of their own. */
#define DRM_FEW_SYNCS 8

struct drm_syncs {
	struct drm_sync *sync;       /* @few_sync, or owned */
	unsigned count;
	struct fence **in;           /* what must have signalled first; references; with @sync */
	unsigned in_count;
	struct drm_sync few_sync[DRM_FEW_SYNCS];
	struct fence *few_in[DRM_FEW_SYNCS];
};

/* None yet, with @room for so many. Need not be initialised before. 0 or -ENOMEM, then no fini. */
int drm_syncs_init(struct drm_syncs *syncs, uint32_t room);
/* The next one, for the driver to read into; drm_syncs_fini() drops what is in it. */
static inline struct drm_sync *drm_syncs_next(struct drm_syncs *syncs)
{
	return &syncs->sync[syncs->count++];
}
/* Finds what is waited for, which must be there (-EINVAL); allocates for signalling (-ENOMEM). */
int drm_syncs_prepare(struct uapi_file *file, struct drm_syncs *syncs, struct drm_sync *sync);
/* Lets every syncobj that is to be signalled follow @fence. Cannot fail. */
void drm_syncs_signal(struct drm_syncs *syncs, struct fence *fence);
void drm_syncs_fini(struct drm_syncs *syncs);
/*
 * The same for one syncobj, without memory: waits for what it holds at @point, if it does (0 or
 * -EINTR), or lets it follow @fence, which has signalled.
 */
int drm_sync_wait_now(struct syncobj *so, uint64_t point);
void drm_sync_signal_now(struct syncobj *so, uint64_t point, struct fence *fence);
/* Of one that is in no list. */
void drm_sync_fini(struct drm_sync *sync);

/* ---- eventfds waiting for syncobjs (eventfd.c) ----------------------------------------------- */

void drm_eventfd_file_close(struct uapi_file *file);
int drm_syncobj_eventfd_ioctl(struct uapi_file *file, void *data);

/* ---- sync files (sync_file.c) ---------------------------------------------------------------- */

/* Fences that clients hold by descriptor. */
struct sync_file {
	struct ref ref;
	char name[32];            /* given at a merge, else empty */
	struct port_mutex lock;   /* RANK_LEAF; protects the list */
	struct list watches;
	unsigned count;
	struct fence *part[];     /* references, of different contexts */
};

/* Takes references of its own; a fence for several becomes several. NULL without memory. */
struct sync_file *sync_file_create(struct fence *fence);
/* One fence for all of it, with a reference. NULL without memory. */
struct fence *sync_file_fence(struct sync_file *sync_file);
struct sync_file *sync_file_get(struct sync_file *sync_file);
void sync_file_put(struct sync_file *sync_file);
/* A descriptor for it, closed on exec; takes over the reference. -ENOMEM for NULL, -errno. */
int sync_file_install(struct uapi_device *device, struct sync_file *sync_file);

#endif
