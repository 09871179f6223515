// SPDX-License-Identifier: MIT
/* A device with its host, and what aborts when it fails. */
#include "client.h"

#include "test_rules.h"

#include <string.h>

void client_close_fd(struct client *c, int fd)
{
	client_host_close_fd(&c->host, fd);
}

/* ---- device and files ------------------------------------------------------------------------ */

struct uapi_config client_config(const char *gpu)
{
	return (struct uapi_config){
		.uapi = "xe",
		.gpu = gpu,
		.schedule = "normal",
		.system_B = 256 << 20,
		.vram_B = gpu && gpu[0] == 'l' ? 0 : 256 << 20,
	};
}

int client_try_init(struct client *c, const struct uapi_config *config)
{
	struct uapi_config mine = *config;
	const char *what = NULL;
	int ret;

	memset(c, 0, sizeof(*c));
	mine.host = &client_host_ops;
	mine.host_ctx = &c->host;
	ret = uapi_device_create(&mine, &c->device, &what);
	CHECK(ret == 0 || what);
	if (ret) {
		return ret;
	}
	test_follow_rules(uapi_device_events(c->device));
	ret = uapi_open(c->device, true, &c->file);
	if (ret) {
		uapi_device_destroy(c->device);
	}
	return ret;
}

void client_init_as(struct client *c, const struct uapi_config *config)
{
	CHECK_OK(client_try_init(c, config));
}

void client_init(struct client *c, const char *gpu)
{
	struct uapi_config config = client_config(gpu);

	client_init_as(c, &config);
}

void client_fini(struct client *c)
{
	uapi_close(c->file);
	client_host_fini(&c->host);
	uapi_device_destroy(c->device);
	for (unsigned i = 0; i < ARRAY_LEN(c->host.eventfd); i++) {
		CHECK_EQ(atomic_load(&c->host.eventfd[i].refs), 0);
	}
}

struct uapi_file *client_open(struct client *c, bool render)
{
	struct uapi_file *file;

	CHECK_OK(uapi_open(c->device, render, &file));
	return file;
}

/* ---- objects --------------------------------------------------------------------------------- */

uint32_t client_vm(struct client *c, uint32_t flags)
{
	struct drm_xe_vm_create args = { .flags = flags };

	CHECK_OK(IOCTL(c->file, XE_VM_CREATE, &args));
	CHECK(args.vm_id != 0);
	return args.vm_id;
}

int client_vm_destroy(struct client *c, uint32_t vm)
{
	struct drm_xe_vm_destroy args = { .vm_id = vm };

	return IOCTL(c->file, XE_VM_DESTROY, &args);
}

bool client_has_vram(struct client *c)
{
	return uapi_device_identity(c->device)->device == 0xe20b;
}

uint64_t client_page(struct client *c)
{
	return client_has_vram(c) ? SZ_64K : SZ_4K;
}

uint32_t client_bo(struct client *c, uint32_t vm, uint64_t size)
{
	uint32_t handle;

	CHECK_OK(client_gem_create(c->file, vm, size, client_has_vram(c) ? 2 : 1, 0, &handle));
	CHECK(handle != 0);
	return handle;
}

void *client_cpu(struct client *c, struct uapi_file *file, uint32_t handle, uint64_t size)
{
	struct drm_xe_gem_mmap_offset args = { .handle = handle };
	uint64_t host_offset;
	int host_fd;

	CHECK_OK(IOCTL(file, XE_GEM_MMAP_OFFSET, &args));
	CHECK_OK(uapi_mmap(file, args.offset, size, &host_fd, &host_offset));
	CHECK_EQ(host_offset, args.offset);
	CHECK_EQ(host_fd, uapi_arena_fd(c->device));
	return (char *)uapi_arena_base(c->device) + host_offset;
}

/* ---- syncobjs -------------------------------------------------------------------------------- */

uint32_t client_syncobj(struct uapi_file *file, bool signalled)
{
	struct drm_syncobj_create args = { .flags = signalled ? DRM_SYNCOBJ_CREATE_SIGNALED : 0 };

	CHECK_OK(IOCTL(file, SYNCOBJ_CREATE, &args));
	return args.handle;
}

/* ---- binds ----------------------------------------------------------------------------------- */

static int bind_and_wait(struct client *c, uint32_t vm, struct drm_xe_vm_bind_op op)
{
	uint32_t syncobj = client_syncobj(c->file, false);
	struct drm_xe_sync sync = client_signal(syncobj);
	int ret = client_bind(c->file, vm, 0, &op, 1, &sync, 1);

	if (ret == 0) {
		ret = client_syncobj_wait(c->file, syncobj, INT64_MAX);
	}
	CHECK_OK(client_syncobj_destroy(c->file, syncobj));
	return ret;
}

int client_map(struct client *c, uint32_t vm, uint32_t bo, uint64_t offset, uint64_t addr,
	       uint64_t range)
{
	return bind_and_wait(c, vm, client_op(DRM_XE_VM_BIND_OP_MAP, bo, offset, addr, range));
}

int client_unmap(struct client *c, uint32_t vm, uint64_t addr, uint64_t range)
{
	return bind_and_wait(c, vm, client_op(DRM_XE_VM_BIND_OP_UNMAP, 0, 0, addr, range));
}

/* ---- submissions ----------------------------------------------------------------------------- */

uint32_t client_queue(struct client *c, uint32_t vm, uint16_t class)
{
	uint32_t queue;

	CHECK_OK(client_queue_create(c->file, vm, class, &queue));
	CHECK(queue != 0);
	return queue;
}

uint32_t client_bind_queue(struct client *c, uint32_t vm)
{
	return client_queue(c, vm, DRM_XE_ENGINE_CLASS_VM_BIND);
}

