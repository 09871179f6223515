// SPDX-License-Identifier: MIT
/*
 * What a client may ask of a dma-buf descriptor: to wait for those who use the object, and to carry
 * fences between the object and sync files.
 *
 * Only fences that somebody has put there for others are found, as READ or WRITE: a client by
 * IMPORT_SYNC_FILE, a companion device. Submissions and binds leave none of these (B17, B18), so a
 * client that wants to be waited for says so. A reader waits for writers, a writer for both.
 *
 * Locking: the object's reservation.
 */
#include "uapi/drm/drm.h"
#include "uapi/vmb_dma_buf.h"

/* Who means to read looks at writers, who means to write at all. */
static enum resv_usage usage_for(bool write)
{
	return write ? RESV_READ : RESV_WRITE;
}

static int sync_ioctl(struct bo *bo, uint64_t arg)
{
	struct dma_buf_sync args;

	if (port_copy_from_user(&args, arg, sizeof(args))) {
		return -EFAULT;
	}
	if ((args.flags & ~(uint64_t)(DMA_BUF_SYNC_RW | DMA_BUF_SYNC_END)) ||
	    !(args.flags & DMA_BUF_SYNC_RW)) {
		return -EINVAL;
	}
	if (args.flags & DMA_BUF_SYNC_END) {
		return 0; /* what the CPU wrote is where the GPU reads */
	}
	return resv_wait(&bo->resv, bo->mem->sync, usage_for(args.flags & DMA_BUF_SYNC_WRITE),
			 PORT_FOREVER, PORT_WAIT_INTERRUPTIBLE);
}

/* Nobody is told the name; that it could be one is checked. */
static int set_name_ioctl(uint64_t arg)
{
	char c = 1;

	for (unsigned i = 0; i < DMA_BUF_NAME_LEN; i++) {
		if (port_copy_from_user(&c, arg + i, 1)) {
			return -EFAULT;
		}
		if (!c) {
			return 0;
		}
	}
	return -EINVAL;
}

static bool direction_is_bad(uint32_t flags)
{
	return (flags & ~DMA_BUF_SYNC_RW) || !(flags & DMA_BUF_SYNC_RW);
}

static struct sync_file *snapshot(struct bo *bo, bool write)
{
	struct fence *fence = resv_snapshot(&bo->resv, bo->mem->sync, usage_for(write));
	struct sync_file *sync_file = fence ? sync_file_create(fence) : NULL;

	fence_put(fence);
	return sync_file;
}

static int export_ioctl(struct uapi_device *device, struct bo *bo, uint64_t arg)
{
	struct dma_buf_export_sync_file args;

	if (port_copy_from_user(&args, arg, sizeof(args))) {
		return -EFAULT;
	}
	if (direction_is_bad(args.flags)) {
		return -EINVAL;
	}
	/* A number that could not be told would be lost. */
	if (port_copy_to_user(arg, &args, sizeof(args))) {
		return -EFAULT;
	}
	args.fd = sync_file_install(device, snapshot(bo, args.flags & DMA_BUF_SYNC_WRITE));
	if (args.fd < 0) {
		return args.fd;
	}
	return port_copy_to_user(arg, &args, sizeof(args));
}

/* Each part is added: all have places, or none. */
static int add_fences(struct resv *resv, const struct sync_file *sync_file, enum resv_usage usage)
{
	int ret;

	resv_lock(resv);
	ret = resv_reserve(resv, sync_file->count);
	for (unsigned i = 0; i < sync_file->count && !ret; i++) {
		resv_add(resv, sync_file->part[i], usage);
	}
	resv_unlock(resv);
	return ret;
}

static int import_ioctl(struct uapi_device *device, struct bo *bo, uint64_t arg)
{
	struct dma_buf_import_sync_file args;
	struct sync_file *sync_file;
	int ret = 0;

	if (port_copy_from_user(&args, arg, sizeof(args))) {
		return -EFAULT;
	}
	if (direction_is_bad(args.flags)) {
		return -EINVAL;
	}
	sync_file = device->host->fd_lookup(device->host_ctx, args.fd, UAPI_FD_SYNC_FILE);
	if (!sync_file) {
		return -EINVAL;
	}
	if (!uapi_sync_file_status(sync_file)) {
		ret = add_fences(&bo->resv, sync_file,
				 args.flags & DMA_BUF_SYNC_WRITE ? RESV_WRITE : RESV_READ);
	}
	sync_file_put(sync_file);
	return ret;
}

int uapi_dmabuf_ioctl(struct uapi_device *device, void *object, uint32_t cmd, uint64_t arg)
{
	struct bo *bo = object;
	int ret;

	port_assert_no_locks();
	/* After a fork() there are none yet, and fences are waited for. */
	ret = device_start_workers(device->dev);
	if (ret) {
		return ret;
	}
	switch (cmd) {
	case DMA_BUF_IOCTL_SYNC:
		return sync_ioctl(bo, arg);
	case DMA_BUF_SET_NAME_A:
	case DMA_BUF_SET_NAME_B:
		return set_name_ioctl(arg);
	case DMA_BUF_IOCTL_EXPORT_SYNC_FILE:
		return export_ioctl(device, bo, arg);
	case DMA_BUF_IOCTL_IMPORT_SYNC_FILE:
		return import_ioctl(device, bo, arg);
	default:
		return -ENOTTY;
	}
}

int uapi_dmabuf_poll(void *object, bool write, void **sync_file_out)
{
	struct bo *bo = object;

	*sync_file_out = NULL;
	if (resv_is_idle(&bo->resv, usage_for(write))) {
		return 0;
	}
	*sync_file_out = snapshot(bo, write);
	return *sync_file_out ? 0 : -ENOMEM;
}
