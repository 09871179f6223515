// SPDX-License-Identifier: MIT
/*
 * Devices, files and what all functions of include/vmbind/vmbind.h share; that header says what
 * they do. The library fixes a binary interface in front of uapi/uapi.h and of the core itself. A
 * struct of the caller may be shorter than ours (an older program: the rest is zero) or longer (a
 * newer one: what we do not know must be zero).
 *
 * A vmb_file is a file of the front-end; the names differ so that it may change behind them.
 *
 * Locking: none of its own. Example: the comment at the top of the header.
 */
#include "api/api.h"

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

EXPORT const char *vmb_version(int *major_out, int *minor_out, int *patch_out)
{
	if (major_out) {
		*major_out = VMB_VERSION_MAJOR;
	}
	if (minor_out) {
		*minor_out = VMB_VERSION_MINOR;
	}
	if (patch_out) {
		*patch_out = VMB_VERSION_PATCH;
	}
	return TEXT(VMB_VERSION_MAJOR) "." TEXT(VMB_VERSION_MINOR) "." TEXT(VMB_VERSION_PATCH);
}

/* ---- structs that grow ----------------------------------------------------------------------- */

int api_args_read(const void *args, void *mine, uint64_t size_B)
{
	const char *bytes = args;
	uint64_t given_B;

	memset(mine, 0, size_B);
	if (!args) {
		return 0;
	}
	memcpy(&given_B, args, sizeof(given_B));
	if (given_B < sizeof(given_B)) {
		return -EINVAL;
	}
	for (uint64_t i = size_B; i < given_B; i++) {
		if (bytes[i]) {
			return -E2BIG;
		}
	}
	memcpy(mine, args, min_u64(given_B, size_B));
	return 0;
}

bool api_reply_fits(const void *reply)
{
	uint64_t given_B;

	memcpy(&given_B, reply, sizeof(given_B));
	return given_B >= sizeof(given_B);
}

void api_reply_write(void *reply, const void *mine, uint64_t size_B)
{
	uint64_t given_B;

	memcpy(&given_B, reply, sizeof(given_B));
	ASSERT(given_B >= sizeof(given_B) && size_B >= sizeof(given_B));
	memcpy((char *)reply + sizeof(given_B), (const char *)mine + sizeof(given_B),
	       min_u64(given_B, size_B) - sizeof(given_B));
}

/* ---- handles --------------------------------------------------------------------------------- */

void *api_handle_alloc(struct vmb_device *device, size_t size_B)
{
	void *handle = port_alloc(size_B);

	if (handle) {
		atomic_fetch_add(&device->handles, 1);
	}
	return handle;
}

void api_handle_free(struct vmb_device *device, void *handle)
{
	unsigned before = atomic_fetch_sub(&device->handles, 1);

	ASSERT(before > 0);
	port_free(handle);
}

/* ---- devices and files ----------------------------------------------------------------------- */

EXPORT int vmb_device_create(const struct vmb_device_config *config,
			     struct vmb_device **device_out, const char **what_out)
{
	/* Descriptors are the business of whoever owns a table of them: a library does not. */
	struct uapi_config core = { .host = NULL };
	struct vmb_device *device = NULL;
	struct vmb_device_config mine;
	const char *what = "config";
	int ret;

	ASSERT(device_out);
	ret = api_args_read(config, &mine, sizeof(mine));
	if (ret == 0) {
		what = "memory";
		device = port_alloc(sizeof(*device));
		ret = device ? 0 : -ENOMEM;
	}
	if (ret == 0) {
		core.uapi = mine.uapi;
		core.gpu = mine.gpu;
		core.schedule = mine.schedule;
		core.system_B = mine.system_B;
		core.vram_B = mine.vram_B;
		core.vram_visible_B = mine.visible_vram_B;
		ret = uapi_device_create(&core, &device->uapi, &what);
	}
	if (ret) {
		port_free(device);
		device = NULL;
		if (what_out) {
			*what_out = what;
		}
	} else {
		device->core = uapi_device_core(device->uapi);
	}
	*device_out = device;
	return ret;
}

EXPORT void vmb_device_destroy(struct vmb_device *device)
{
	if (!device) {
		return;
	}
	if (atomic_load(&device->handles)) {
		port_panic(__FILE__, __LINE__,
			   "vmb_device_destroy(): not everything of the device was destroyed");
	}
	uapi_device_destroy(device->uapi);
	port_free(device);
}

EXPORT void vmb_device_reset(struct vmb_device *device)
{
	if (device) {
		device_reset(device->core);
	}
}

EXPORT void vmb_device_wedge(struct vmb_device *device)
{
	if (device) {
		device_wedge(device->core);
	}
}

EXPORT int vmb_file_open(struct vmb_device *device, unsigned flags, struct vmb_file **file_out)
{
	struct uapi_file *file = NULL;
	int ret = -EINVAL;

	ASSERT(device);
	ASSERT(file_out);
	if (!(flags & ~VMB_FILE_PRIMARY)) {
		ret = uapi_open(device->uapi, !(flags & VMB_FILE_PRIMARY), &file);
	}
	*file_out = ret ? NULL : (struct vmb_file *)file;
	return ret;
}

EXPORT void vmb_file_close(struct vmb_file *file)
{
	uapi_close((struct uapi_file *)file);
}

EXPORT int vmb_ioctl(struct vmb_file *file, unsigned long request, void *arg)
{
	ASSERT(file);
	return uapi_ioctl((struct uapi_file *)file, (uint32_t)request, (uint64_t)(uintptr_t)arg);
}
