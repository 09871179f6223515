/* SPDX-License-Identifier: MIT */
/*
 * What clients of Xe say, by ioctl, in one process with the device: a host that keeps descriptors
 * in a table, and short ways to fill in the structs. Nothing here fails but by what it returns.
 */
#ifndef SIM_XE_CLIENT_H
#define SIM_XE_CLIENT_H

#include "base/bits.h"
#include "uapi/uapi.h"
#include "uapi/xe_drm.h"

#define CLIENT_FDS     64
#define CLIENT_FD_BASE 100
#define CLIENT_PAT_WB  2

struct client_fd {
	bool used;
	enum uapi_fd_kind kind;
	void *object;
	uint64_t size_B;
	bool cloexec;
};

struct client_eventfd {
	atomic_uint count; /* signals so far */
	atomic_uint refs;
};

/* What descriptors a host has given out; the context of client_host_ops. */
struct client_host {
	struct client_fd fd[CLIENT_FDS];
	struct client_eventfd eventfd[4]; /* descriptors 0 to 3 are these */
	bool no_fds;              /* the next descriptor cannot be had */
};

extern const struct uapi_host_ops client_host_ops;
void client_host_close_fd(struct client_host *host, int fd);
/* Closes what is still open. */
void client_host_fini(struct client_host *host);

#define PTR(p) ((uint64_t)(uintptr_t)(p))

/* An ioctl with its struct: 0 or -errno. */
int client_ioctl(struct uapi_file *file, uint32_t cmd, void *arg);
#define IOCTL(file, name, arg) client_ioctl(file, DRM_IOCTL_##name, arg)

int client_gem_create(struct uapi_file *file, uint32_t vm, uint64_t size, uint32_t placement,
		      uint32_t flags, uint32_t *handle_out);
int client_gem_close(struct uapi_file *file, uint32_t handle);
int client_syncobj_destroy(struct uapi_file *file, uint32_t handle);
/* Absolute time; INT64_MAX for ever, 0 a poll. */
int client_syncobj_wait(struct uapi_file *file, uint32_t handle, int64_t until_ns);
int client_point_wait(struct uapi_file *file, uint32_t handle, uint64_t point, uint32_t flags,
		      int64_t until_ns);
int client_syncobj_signal(struct uapi_file *file, uint32_t handle);
int client_syncobj_reset(struct uapi_file *file, uint32_t handle);
int client_point_signal(struct uapi_file *file, uint32_t handle, uint64_t point);
struct drm_xe_sync client_wait_for(uint32_t syncobj);
struct drm_xe_sync client_signal(uint32_t syncobj);
struct drm_xe_sync client_signal_point(uint32_t syncobj, uint64_t point);
struct drm_xe_sync client_signal_user(volatile uint64_t *addr, uint64_t value);
struct drm_xe_vm_bind_op client_op(uint32_t op, uint32_t bo, uint64_t offset, uint64_t addr,
				   uint64_t range);
/* One operation or a list, on @queue (0: the default), with syncs. */
int client_bind(struct uapi_file *file, uint32_t vm, uint32_t queue,
		const struct drm_xe_vm_bind_op *ops, uint32_t n, const struct drm_xe_sync *syncs,
		uint32_t sync_count);
int client_queue_create(struct uapi_file *file, uint32_t vm, uint16_t class, uint32_t *queue_out);
int client_queue_destroy(struct uapi_file *file, uint32_t queue);
int client_exec(struct uapi_file *file, uint32_t queue, uint64_t batch,
		const struct drm_xe_sync *syncs, uint32_t sync_count);
/* Writes a batch that stores @value at GPU address @addr; returns its size in dwords. */
unsigned client_batch_store(uint32_t *batch, uint64_t addr, uint32_t value);
/* Writes a batch that runs until the dword at GPU address @flag is 0; it lies at @gpu_addr. */
unsigned client_batch_spin(uint32_t *batch, uint64_t gpu_addr, uint64_t flag);

#endif
