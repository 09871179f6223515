// SPDX-License-Identifier: MIT
/* The fake host's table of descriptors, and the words of a client of Xe. */
#include "xe_client.h"

#define MI_STORE_DWORD        0x10000002u
#define MI_BATCH_BUFFER_END   0x05000000u
#define MI_BATCH_BUFFER_START 0x18800101u
#define MI_COND_BATCH_END     0x1b200002u /* ends when memory <= the dword in the command */

/* ---- host ------------------------------------------------------------------------------------ */

static int host_fd_install(void *ctx, enum uapi_fd_kind kind, void *object, uint64_t size_B,
			   bool cloexec)
{
	struct client_host *h = ctx;

	if (h->no_fds) {
		return -EMFILE;
	}
	for (int i = 0; i < CLIENT_FDS; i++) {
		if (!h->fd[i].used) {
			h->fd[i] = (struct client_fd){ true, kind, object, size_B, cloexec };
			return CLIENT_FD_BASE + i;
		}
	}
	return -EMFILE;
}

static void *host_fd_lookup(void *ctx, int fd, enum uapi_fd_kind kind)
{
	struct client_host *h = ctx;
	int i = fd - CLIENT_FD_BASE;

	if (i < 0 || i >= CLIENT_FDS || !h->fd[i].used || h->fd[i].kind != kind) {
		return NULL;
	}
	uapi_fd_get_object(kind, h->fd[i].object);
	return h->fd[i].object;
}

static void *host_eventfd_get(void *ctx, int fd)
{
	struct client_host *h = ctx;

	if (fd < 0 || fd >= (int)ARRAY_LEN(h->eventfd)) {
		return NULL;
	}
	atomic_fetch_add(&h->eventfd[fd].refs, 1);
	return &h->eventfd[fd];
}

static void host_eventfd_signal(void *ctx, void *eventfd)
{
	struct client_eventfd *e = eventfd;

	atomic_fetch_add(&e->count, 1);
}

static void host_eventfd_put(void *ctx, void *eventfd)
{
	struct client_eventfd *e = eventfd;

	ASSERT(atomic_fetch_sub(&e->refs, 1) > 0);
}

const struct uapi_host_ops client_host_ops = {
	.fd_install = host_fd_install,
	.fd_lookup = host_fd_lookup,
	.eventfd_get = host_eventfd_get,
	.eventfd_signal = host_eventfd_signal,
	.eventfd_put = host_eventfd_put,
};

void client_host_close_fd(struct client_host *h, int fd)
{
	int i = fd - CLIENT_FD_BASE;

	ASSERT(i >= 0 && i < CLIENT_FDS && h->fd[i].used);
	h->fd[i].used = false;
	uapi_fd_put_object(h->fd[i].kind, h->fd[i].object);
}

void client_host_fini(struct client_host *h)
{
	for (int i = 0; i < CLIENT_FDS; i++) {
		if (h->fd[i].used) {
			client_host_close_fd(h, CLIENT_FD_BASE + i);
		}
	}
}

/* ---- what clients say ------------------------------------------------------------------------ */

int client_ioctl(struct uapi_file *file, uint32_t cmd, void *arg)
{
	return uapi_ioctl(file, cmd, PTR(arg));
}

int client_gem_create(struct uapi_file *file, uint32_t vm, uint64_t size, uint32_t placement,
		      uint32_t flags, uint32_t *handle_out)
{
	struct drm_xe_gem_create args = {
		.size = size,
		.placement = placement,
		.flags = flags,
		.vm_id = vm,
		.cpu_caching = placement & 2 ? DRM_XE_GEM_CPU_CACHING_WC
					     : DRM_XE_GEM_CPU_CACHING_WB,
	};
	int ret = IOCTL(file, XE_GEM_CREATE, &args);

	*handle_out = args.handle;
	return ret;
}

int client_gem_close(struct uapi_file *file, uint32_t handle)
{
	struct drm_gem_close args = { .handle = handle };

	return IOCTL(file, GEM_CLOSE, &args);
}

int client_syncobj_destroy(struct uapi_file *file, uint32_t handle)
{
	struct drm_syncobj_destroy args = { .handle = handle };

	return IOCTL(file, SYNCOBJ_DESTROY, &args);
}

int client_syncobj_wait(struct uapi_file *file, uint32_t handle, int64_t until_ns)
{
	struct drm_syncobj_wait args = {
		.handles = PTR(&handle),
		.count_handles = 1,
		.timeout_nsec = until_ns,
	};

	return IOCTL(file, SYNCOBJ_WAIT, &args);
}

int client_point_wait(struct uapi_file *file, uint32_t handle, uint64_t point, uint32_t flags,
		      int64_t until_ns)
{
	struct drm_syncobj_timeline_wait args = {
		.handles = PTR(&handle),
		.points = PTR(&point),
		.count_handles = 1,
		.flags = flags,
		.timeout_nsec = until_ns,
	};

	return IOCTL(file, SYNCOBJ_TIMELINE_WAIT, &args);
}

int client_syncobj_signal(struct uapi_file *file, uint32_t handle)
{
	struct drm_syncobj_array args = { .handles = PTR(&handle), .count_handles = 1 };

	return IOCTL(file, SYNCOBJ_SIGNAL, &args);
}

int client_syncobj_reset(struct uapi_file *file, uint32_t handle)
{
	struct drm_syncobj_array args = { .handles = PTR(&handle), .count_handles = 1 };

	return IOCTL(file, SYNCOBJ_RESET, &args);
}

int client_point_signal(struct uapi_file *file, uint32_t handle, uint64_t point)
{
	struct drm_syncobj_timeline_array args = {
		.handles = PTR(&handle),
		.points = PTR(&point),
		.count_handles = 1,
	};

	return IOCTL(file, SYNCOBJ_TIMELINE_SIGNAL, &args);
}

struct drm_xe_sync client_wait_for(uint32_t syncobj)
{
	/* By .addr: naming .handle would leave the other half of the union undefined. */
	return (struct drm_xe_sync){ .type = DRM_XE_SYNC_TYPE_SYNCOBJ, .addr = syncobj };
}

struct drm_xe_sync client_signal(uint32_t syncobj)
{
	return (struct drm_xe_sync){
		.type = DRM_XE_SYNC_TYPE_SYNCOBJ,
		.flags = DRM_XE_SYNC_FLAG_SIGNAL,
		.addr = syncobj,
	};
}

struct drm_xe_sync client_signal_point(uint32_t syncobj, uint64_t point)
{
	return (struct drm_xe_sync){
		.type = DRM_XE_SYNC_TYPE_TIMELINE_SYNCOBJ,
		.flags = DRM_XE_SYNC_FLAG_SIGNAL,
		.addr = syncobj,
		.timeline_value = point,
	};
}

struct drm_xe_sync client_signal_user(volatile uint64_t *addr, uint64_t value)
{
	return (struct drm_xe_sync){
		.type = DRM_XE_SYNC_TYPE_USER_FENCE,
		.flags = DRM_XE_SYNC_FLAG_SIGNAL,
		.addr = PTR(addr),
		.timeline_value = value,
	};
}

struct drm_xe_vm_bind_op client_op(uint32_t op, uint32_t bo, uint64_t offset, uint64_t addr,
				   uint64_t range)
{
	return (struct drm_xe_vm_bind_op){
		.op = op,
		.obj = bo,
		.obj_offset = offset,
		.addr = addr,
		.range = range,
		.pat_index = CLIENT_PAT_WB,
	};
}

int client_bind(struct uapi_file *file, uint32_t vm, uint32_t queue,
		const struct drm_xe_vm_bind_op *ops, uint32_t n, const struct drm_xe_sync *syncs,
		uint32_t sync_count)
{
	struct drm_xe_vm_bind args = {
		.vm_id = vm,
		.exec_queue_id = queue,
		.num_binds = n,
		.num_syncs = sync_count,
		.syncs = PTR(syncs),
	};

	if (n == 1) {
		args.bind = *ops;
	} else {
		args.vector_of_binds = PTR(ops);
	}
	return IOCTL(file, XE_VM_BIND, &args);
}

int client_queue_create(struct uapi_file *file, uint32_t vm, uint16_t class, uint32_t *queue_out)
{
	struct drm_xe_engine_class_instance eci = { .engine_class = class };
	struct drm_xe_exec_queue_create args = {
		.width = 1,
		.num_placements = 1,
		.vm_id = vm,
		.instances = PTR(&eci),
	};
	int ret = IOCTL(file, XE_EXEC_QUEUE_CREATE, &args);

	*queue_out = args.exec_queue_id;
	return ret;
}

int client_queue_destroy(struct uapi_file *file, uint32_t queue)
{
	struct drm_xe_exec_queue_destroy args = { .exec_queue_id = queue };

	return IOCTL(file, XE_EXEC_QUEUE_DESTROY, &args);
}

int client_exec(struct uapi_file *file, uint32_t queue, uint64_t batch,
		const struct drm_xe_sync *syncs, uint32_t sync_count)
{
	struct drm_xe_exec args = {
		.exec_queue_id = queue,
		.num_syncs = sync_count,
		.syncs = PTR(syncs),
		.address = batch,
		.num_batch_buffer = 1,
	};

	return IOCTL(file, XE_EXEC, &args);
}

unsigned client_batch_store(uint32_t *batch, uint64_t addr, uint32_t value)
{
	batch[0] = MI_STORE_DWORD;
	batch[1] = (uint32_t)addr;
	batch[2] = (uint32_t)(addr >> 32);
	batch[3] = value;
	batch[4] = MI_BATCH_BUFFER_END;
	return 5;
}

unsigned client_batch_spin(uint32_t *batch, uint64_t gpu_addr, uint64_t flag)
{
	batch[0] = MI_COND_BATCH_END;
	batch[1] = 0;
	batch[2] = (uint32_t)flag;
	batch[3] = (uint32_t)(flag >> 32);
	batch[4] = MI_BATCH_BUFFER_START;
	batch[5] = (uint32_t)gpu_addr;
	batch[6] = (uint32_t)(gpu_addr >> 32);
	return 7;
}
