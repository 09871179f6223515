// SPDX-License-Identifier: MIT
/*
 * The functions of include/vmbind/vmbind.h, which says what they do: a thin layer over uapi/uapi.h
 * that fixes a binary interface. A config may be shorter than ours (an older program: the rest is
 * zero) or longer (a newer one: what we do not know must be zero).
 *
 * A vmb_device is the core's device and a vmb_file its file; the names differ so that the core may
 * change behind them.
 *
 * Locking: none of its own. Example: the comment at the top of the header.
 */
#include "uapi/uapi.h"

#include <vmbind/vmbind.h>

#define EXPORT __attribute__((visibility("default")))

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

/* What @config says, in our size. */
static int config_read(const struct vmb_device_config *config, struct vmb_device_config *out)
{
	const char *bytes = (const char *)config;

	memset(out, 0, sizeof(*out));
	if (!config) {
		return 0;
	}
	if (config->size_B < sizeof(config->size_B)) {
		return -EINVAL;
	}
	for (uint64_t i = sizeof(*out); i < config->size_B; i++) {
		if (bytes[i]) {
			return -E2BIG;
		}
	}
	memcpy(out, config, config->size_B < sizeof(*out) ? config->size_B : sizeof(*out));
	return 0;
}

EXPORT int vmb_device_create(const struct vmb_device_config *config,
			     struct vmb_device **device_out, const char **what_out)
{
	/* Descriptors are the business of whoever owns a table of them: a library does not. */
	struct uapi_config core = { .host = NULL };
	struct uapi_device *device = NULL;
	struct vmb_device_config mine;
	const char *what = "config";
	int ret;

	ASSERT(device_out);
	ret = config_read(config, &mine);
	if (ret == 0) {
		core.uapi = mine.uapi;
		core.gpu = mine.gpu;
		core.schedule = mine.schedule;
		core.system_B = mine.system_B;
		core.vram_B = mine.vram_B;
		core.vram_visible_B = mine.visible_vram_B;
		ret = uapi_device_create(&core, &device, &what);
	}
	if (ret && what_out) {
		*what_out = what;
	}
	*device_out = ret ? NULL : (struct vmb_device *)device;
	return ret;
}

EXPORT void vmb_device_destroy(struct vmb_device *device)
{
	uapi_device_destroy((struct uapi_device *)device);
}

EXPORT int vmb_file_open(struct vmb_device *device, unsigned flags, struct vmb_file **file_out)
{
	struct uapi_file *file = NULL;
	int ret = -EINVAL;

	ASSERT(device);
	ASSERT(file_out);
	if (!(flags & ~VMB_FILE_PRIMARY)) {
		ret = uapi_open((struct uapi_device *)device, !(flags & VMB_FILE_PRIMARY), &file);
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
