// SPDX-License-Identifier: MIT
/*
 * Dumb buffers: objects by width, height and depth, for drivers that offer them. The others answer
 * -ENOSYS, whatever is asked.
 */
#include "uapi/drm/drm.h"

int drm_create_dumb_ioctl(struct uapi_file *file, void *data)
{
	struct drm_mode_create_dumb *args = data;
	uint64_t cpp, stride;

	if (!file->device->driver->dumb_create) {
		return -ENOSYS;
	}
	if (!args->width || !args->height || !args->bpp) {
		return -EINVAL;
	}
	cpp = ((uint64_t)args->bpp + 7) / 8;
	stride = cpp * args->width;
	/* What does not fit into 32 bits is nobody's screen. */
	if (stride > UINT32_MAX || args->height * stride > UINT32_MAX - PAGE_SIZE + 1) {
		return -EINVAL;
	}
	args->handle = 0;
	args->pitch = 0;
	args->size = 0;
	return file->device->driver->dumb_create(file, args);
}

int drm_map_dumb_ioctl(struct uapi_file *file, void *data)
{
	struct drm_mode_map_dumb *args = data;

	if (!file->device->driver->dumb_create) {
		return -ENOSYS;
	}
	return drm_gem_mmap_offset(file, args->handle, &args->offset);
}

int drm_destroy_dumb_ioctl(struct uapi_file *file, void *data)
{
	struct drm_mode_destroy_dumb *args = data;
	struct drm_gem_close same = { .handle = args->handle };

	return file->device->driver->dumb_create ? drm_gem_close_ioctl(file, &same) : -ENOSYS;
}
