/* SPDX-License-Identifier: MIT */
/*
 * A client in the test's own process: a device behind a host that keeps descriptors in a table, and
 * short ways to say what real clients say by ioctl. What can fail is returned; what a test relies
 * on aborts when it fails.
 *
 *	struct client c;
 *
 *	client_init(&c, "bmg");
 *	vm = client_vm(&c, 0);
 *	bo = client_bo(&c, vm, SZ_64K);
 *	CHECK_OK(client_map(&c, vm, bo, 0, 0x100000, SZ_64K));
 *	client_fini(&c);
 */
#ifndef TESTS_UAPI_CLIENT_H
#define TESTS_UAPI_CLIENT_H

#include "test.h"
#include "uapi/uapi.h"
#include "uapi/xe_drm.h"

#define CLIENT_FDS     64
#define CLIENT_FD_BASE 100
#define CLIENT_BAD     UINT64_C(0x10) /* an address nothing is at */
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

struct client {
	struct uapi_device *device;
	struct uapi_file *file;   /* of the render node */
	struct client_fd fd[CLIENT_FDS];
	struct client_eventfd eventfd[4]; /* descriptors 0 to 3 are these */
	bool no_fds;              /* the next descriptor cannot be had */
};

#define PTR(p) ((uint64_t)(uintptr_t)(p))

/* A device with 256 MiB of each memory, and one open file. */
void client_init(struct client *c, const char *gpu);
void client_init_as(struct client *c, const struct uapi_config *config);
/* As client_init_as(), but may fail: nothing is left then. */
int client_try_init(struct client *c, const struct uapi_config *config);
void client_fini(struct client *c);
/* What client_init() asks for. */
struct uapi_config client_config(const char *gpu);
/* Another file of the same device, to uapi_close(). */
struct uapi_file *client_open(struct client *c, bool render);
void client_close_fd(struct client *c, int fd);

/* An ioctl with its struct: 0 or -errno. */
int client_ioctl(struct uapi_file *file, uint32_t cmd, void *arg);
#define IOCTL(file, name, arg) client_ioctl(file, DRM_IOCTL_##name, arg)

/* ---- objects --------------------------------------------------------------------------------- */

uint32_t client_vm(struct client *c, uint32_t flags);
int client_vm_destroy(struct client *c, uint32_t vm);
int client_gem_create(struct uapi_file *file, uint32_t vm, uint64_t size, uint32_t placement,
		      uint32_t flags, uint32_t *handle_out);
/* In VRAM if there is any; aborts on failure. */
uint32_t client_bo(struct client *c, uint32_t vm, uint64_t size);
/* Where the CPU sees it; stays valid as long as the object. */
void *client_cpu(struct client *c, struct uapi_file *file, uint32_t handle, uint64_t size);
int client_gem_close(struct uapi_file *file, uint32_t handle);
bool client_has_vram(struct client *c);
uint64_t client_page(struct client *c); /* smallest object */

/* ---- syncobjs -------------------------------------------------------------------------------- */

uint32_t client_syncobj(struct uapi_file *file, bool signalled);
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

/* ---- binds ----------------------------------------------------------------------------------- */

struct drm_xe_vm_bind_op client_op(uint32_t op, uint32_t bo, uint64_t offset, uint64_t addr,
				   uint64_t range);
/* One operation or a list, on @queue (0: the default), with syncs. */
int client_bind(struct uapi_file *file, uint32_t vm, uint32_t queue,
		const struct drm_xe_vm_bind_op *ops, uint32_t n, const struct drm_xe_sync *syncs,
		uint32_t sync_count);
/* Maps or unmaps and waits until it is done. */
int client_map(struct client *c, uint32_t vm, uint32_t bo, uint64_t offset, uint64_t addr,
	       uint64_t range);
int client_unmap(struct client *c, uint32_t vm, uint64_t addr, uint64_t range);

/* ---- submissions ----------------------------------------------------------------------------- */

int client_queue_create(struct uapi_file *file, uint32_t vm, uint16_t class, uint32_t *queue_out);
uint32_t client_queue(struct client *c, uint32_t vm, uint16_t class);
uint32_t client_bind_queue(struct client *c, uint32_t vm);
int client_queue_destroy(struct uapi_file *file, uint32_t queue);
int client_exec(struct uapi_file *file, uint32_t queue, uint64_t batch,
		const struct drm_xe_sync *syncs, uint32_t sync_count);
/* Writes a batch that stores @value at GPU address @addr; returns its size in dwords. */
unsigned client_batch_store(uint32_t *batch, uint64_t addr, uint32_t value);
/* Writes a batch that runs until the dword at GPU address @flag is 0; it lies at @gpu_addr. */
unsigned client_batch_spin(uint32_t *batch, uint64_t gpu_addr, uint64_t flag);

#endif
