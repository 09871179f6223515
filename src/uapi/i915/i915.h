/* SPDX-License-Identifier: MIT */
/*
 * The i915 front-end: the VM_BIND RFC and what a client needs around it.
 *
 * Numbers of address spaces, contexts and objects belong to an open file. A context has an engine
 * map; each place in it is an exec queue of the core, on the context's address space.
 *
 * Locking: the id tables are leaves; numbers are published last and withdrawn first. The lock of
 * contexts that are still to end is taken before the core's.
 */
#ifndef UAPI_I915_I915_H
#define UAPI_I915_I915_H

#include "exec/queue.h"
#include "uapi/drm/drm.h"
#include "uapi/i915_drm.h"

/* ---- models (gpus.c) ------------------------------------------------------------------------- */

struct i915_gpu {
	const char *name, *description, *pci_slot;
	uint16_t device_id;
	uint8_t revision;
	unsigned graphics_ver;
	uint64_t vram_B;          /* 0: system memory only */
	uint64_t vram_min_page_B;
	uint32_t timestamp_hz;
	unsigned slices, subslices, eus; /* per slice, per subslice */
	const struct device_engine_desc *engines;
	unsigned engine_count;
};

/* By name, NULL for the default; NULL when there is none. */
const struct i915_gpu *i915_gpu_find(const char *name);
const char *i915_gpu_name(unsigned index);

static inline const struct i915_gpu *i915_gpu(const struct uapi_file *file)
{
	return file->device->gpu;
}
/* The device engine a client names, or -1. */
int i915_engine_find(const struct i915_gpu *gpu, struct i915_engine_class_instance engine);

/* ---- open files ------------------------------------------------------------------------------ */

struct i915_file {
	struct ids vms;           /* struct i915_vm, a reference each */
	struct ids contexts;      /* struct i915_context, a reference each */
	struct port_mutex ending_lock; /* RANK_GROUP_MODE */
	struct list ending;       /* struct i915_context.node: destroyed, with work left to do */
};

static inline struct i915_file *i915_file(struct uapi_file *file)
{
	return file->driver_file;
}

/* 1 or 2: what I915_PARAM_VM_BIND_VERSION says. */
static inline unsigned i915_bind_version(const struct uapi_file *file)
{
	return file->device->bind_version;
}

/* Errors of memory as clients of i915 know them. */
static inline int i915_no_room(int ret)
{
	return ret == -ENOSPC ? -ENOMEM : ret;
}

/* ---- chains of extensions (extension.c) ------------------------------------------------------ */

/*
 * Calls @func[name] for each extension of the chain at @addr: with where it is, to be copied whole.
 * 0; -EINVAL (unknown, or more than can be meant), -EFAULT, or what @func says.
 */
int i915_extensions(uint64_t addr, int (*const *func)(uint64_t addr, void *ctx), unsigned count,
		    void *ctx);

/* ---- address spaces (vm.c) ------------------------------------------------------------------- */

#define I915_BIND_QUEUES 16

struct i915_vm {
	struct ref ref;         /* of its number, its contexts, and who looks it up */
	struct vm *vm;          /* a reference; closed with the last of these */
	bool bind_mode;         /* made for VM_BIND */
	/* Of binds that name one; a reference, made with the first. */
	_Atomic(struct bind_queue *) queue[I915_BIND_QUEUES];
};

/* The bind queue @index of an address space; it goes with that. NULL without memory. */
struct bind_queue *i915_vm_queue(struct i915_vm *ivm, unsigned index);
/* 0 or -ENOMEM; one reference. */
int i915_vm_create(struct uapi_file *file, bool bind_mode, struct i915_vm **vm_out);
struct i915_vm *i915_vm_lookup(struct uapi_file *file, uint32_t id); /* a reference, or NULL */
struct i915_vm *i915_vm_get(struct i915_vm *ivm);
void i915_vm_put(struct i915_vm *ivm); /* NULL is fine */
void i915_vm_close_all(struct uapi_file *file);

/* ---- contexts (context.c) -------------------------------------------------------------------- */

struct i915_context {
	struct ref ref;
	struct i915_vm *ivm;        /* a reference; NULL: the client named none */
	bool long_running;
	bool persistent;            /* what it has submitted goes on when it is destroyed */
	unsigned engine_count;      /* of the engine map; 0: there is none */
	struct exec_queue **engine; /* by place in the map; owned; NULL: an empty place */
	struct list node;           /* i915_file.ending */
};

struct i915_context *i915_context_lookup(struct uapi_file *file, uint32_t id); /* a reference */
void i915_context_put(struct i915_context *context); /* NULL is fine */
bool i915_context_banned(const struct i915_context *context);
void i915_context_kill_all(struct uapi_file *file);

/* ---- engine maps (engines.c) ----------------------------------------------------------------- */

#define I915_ENGINES_MAX 64

/* What a place in the map is made of, as the core wants it. */
struct i915_place {
	unsigned width, placements; /* 0: an empty place */
	uint8_t engines[EXEC_MAX_WIDTH * DEVICE_MAX_ENGINES]; /* device engines, by unit */
};

struct i915_map {
	unsigned count;
	struct i915_place *place; /* owned; NULL without a map */
};

/* Reads the map of @size_B bytes at @addr. 0, -EINVAL, -ENOENT, -EEXIST, -EFAULT, -ENOMEM. */
int i915_map_read(const struct i915_gpu *gpu, uint64_t addr, uint32_t size_B,
		  struct i915_map *map_out);

/* ---- fences (fences.c) ----------------------------------------------------------------------- */

/*
 * The syncobj of an entry of a client, with a reference; NULL when it asks for nothing. 0, -EINVAL
 * (its flags, or not of the kind of syncobj that its value is for), -ENOENT.
 */
int i915_fence_lookup(struct uapi_file *file, const struct drm_i915_gem_timeline_fence *fence,
		      struct syncobj **so_out);
/* One entry of a client: read into the next of @syncs, and prepared. */
int i915_fence_add(struct uapi_file *file, const struct drm_i915_gem_timeline_fence *fence,
		   struct drm_syncs *syncs);
/* @count of them at @addr; on error nothing is left to clean up. */
int i915_fences_read(struct uapi_file *file, uint64_t addr, uint32_t count,
		     struct drm_syncs *syncs);

/* ---- binds (bind.c) and unbinds without memory (unbind.c) ------------------------------------ */

#define I915_BIND_FENCES_MAX 1024u /* in a list of either kind */

/* Reads entry @index. 0 or -EFAULT. */
int i915_listed_fence(const struct drm_i915_vm_bind_ext_timeline_fences *list, uint64_t index,
		      struct drm_i915_gem_timeline_fence *fence_out);
int i915_user_fence_check(const struct drm_i915_vm_bind_user_fence *fence); /* 0, -EINVAL */
/* Until it has its value, if that is waited for. 0, -EFAULT, -EINTR. No lock held. */
int i915_user_fence_wait(struct uapi_file *file, const struct drm_i915_vm_bind_user_fence *fence);
/*
 * Does all of an unbind that was found right but for its fences, and needs no memory. 0 or what is
 * wrong with them; -EINTR or -EFAULT: ask again.
 */
int i915_unbind_frugal(struct uapi_file *file, struct i915_vm *ivm,
		       const struct drm_i915_gem_vm_unbind *args, const struct bind_op *op);

/* Of an object or of client memory: the kernel counts pages in an int. */
#define I915_SIZE_MAX_B ((uint64_t)INT32_MAX << PAGE_SHIFT)

/* ---- bo flags -------------------------------------------------------------------------------- */

#define I915_BO_USERPTR          BIT(31) /* in struct bo.flags: handles of client memory */
#define I915_BO_USERPTR_READONLY BIT(30)

/* ---- ioctls ---------------------------------------------------------------------------------- */

int i915_getparam_ioctl(struct uapi_file *file, void *data);
int i915_query_ioctl(struct uapi_file *file, void *data);
int i915_gem_create_ioctl(struct uapi_file *file, void *data);
int i915_gem_create_ext_ioctl(struct uapi_file *file, void *data);
int i915_gem_mmap_offset_ioctl(struct uapi_file *file, void *data);
int i915_gem_userptr_ioctl(struct uapi_file *file, void *data);
int i915_gem_wait_ioctl(struct uapi_file *file, void *data);
int i915_gem_busy_ioctl(struct uapi_file *file, void *data);
int i915_vm_create_ioctl(struct uapi_file *file, void *data);
int i915_vm_destroy_ioctl(struct uapi_file *file, void *data);
int i915_vm_bind_ioctl(struct uapi_file *file, void *data);
int i915_vm_unbind_ioctl(struct uapi_file *file, void *data);
int i915_context_create_ioctl(struct uapi_file *file, void *data);
int i915_context_destroy_ioctl(struct uapi_file *file, void *data);
int i915_reset_stats_ioctl(struct uapi_file *file, void *data);
int i915_execbuffer2_ioctl(struct uapi_file *file, void *data);
int i915_execbuffer3_ioctl(struct uapi_file *file, void *data);
int i915_wait_user_fence_ioctl(struct uapi_file *file, void *data);

#endif
