// SPDX-License-Identifier: MIT
/*
 * The companion card: a driver without a GPU, whose objects are system memory and whose fences its
 * client signals. Test suites use it as the other side of a dma-buf.
 *
 * A fence is attached to an object as that of a reader or a writer, and found by all who ask the
 * object's dma-buf. It is a dma fence that a client signals: as in the kernel, which gives it ten
 * seconds, others may come to wait for it. Here it has until its file is closed.
 *
 * Locking: the file's table of fences; the object's reservation, which also decides between two who
 * attach at once.
 */
#include "uapi/drm/drm.h"
#include "uapi/vgem_drm.h"

static struct ids *fences_of(struct uapi_file *file)
{
	return file->driver_file;
}

static int vgem_open(struct uapi_file *file)
{
	struct ids *fences = port_alloc(sizeof(*fences));

	if (!fences) {
		return -ENOMEM;
	}
	ids_init(fences);
	file->driver_file = fences;
	return 0;
}

static void vgem_close(struct uapi_file *file)
{
	struct ids *fences = fences_of(file);
	uint32_t number = 0;

	while (ids_next(fences, &number)) {
		struct fence *fence = ids_remove(fences, number);

		fence_signal(fence, 0);
		fence_put(fence);
	}
	ids_fini(fences);
	port_free(fences);
	file->driver_file = NULL;
}

static int vgem_share_check(const struct bo *bo)
{
	return 0;
}

static int vgem_dumb_create(struct uapi_file *file, struct drm_mode_create_dumb *args)
{
	struct mem *mem = &file->device->dev->mem;
	struct bo *bo;
	int ret;

	args->pitch = args->width * ((args->bpp + 7) / 8);
	ret = bo_create(mem, (uint64_t)args->pitch * args->height, BIT(MEM_SYSTEM), &bo);
	if (ret == 0) {
		ret = bo_back(bo) ? -ENOMEM : 0;
		if (ret == 0) {
			args->size = bo->size_B;
			ret = drm_gem_handle_create(file, bo, &args->handle);
		}
		bo_put(bo);
	}
	return ret;
}

/* 0, -EBUSY (somebody is there who would have to be waited for) or -ENOMEM. */
static int attach(struct bo *bo, struct fence *fence, bool write)
{
	enum resv_usage conflicting = write ? RESV_READ : RESV_WRITE;
	int ret = 0;

	resv_lock(&bo->resv);
	if (resv_collect(&bo->resv, conflicting, NULL, 0)) {
		ret = -EBUSY;
	}
	if (ret == 0) {
		ret = resv_reserve(&bo->resv, 1);
	}
	if (ret == 0) {
		resv_add(&bo->resv, fence, write ? RESV_WRITE : RESV_READ);
	}
	resv_unlock(&bo->resv);
	return ret;
}

static int fence_attach_ioctl(struct uapi_file *file, void *data)
{
	struct drm_vgem_fence_attach *args = data;
	struct fence *fence;
	struct bo *bo;
	int ret;

	if ((args->flags & ~VGEM_FENCE_WRITE) || args->pad) {
		return -EINVAL;
	}
	bo = drm_gem_lookup(file, args->handle);
	if (!bo) {
		return -ENOENT;
	}
	fence = fence_create(&file->device->dev->sync, FENCE_DMA);
	ret = fence ? attach(bo, fence, args->flags & VGEM_FENCE_WRITE) : -ENOMEM;
	bo_put(bo);
	if (ret == 0) {
		ret = ids_alloc(fences_of(file), fence, &args->out_fence);
		if (ret) { /* nobody could signal it any more */
			fence_signal(fence, 0);
		}
	}
	if (ret) {
		fence_put(fence);
	}
	return ret;
}

static int fence_signal_ioctl(struct uapi_file *file, void *data)
{
	struct drm_vgem_fence_signal *args = data;
	struct fence *fence;

	if (args->flags) {
		return -EINVAL;
	}
	fence = ids_remove(fences_of(file), args->fence);
	if (!fence) {
		return -ENOENT;
	}
	fence_signal(fence, 0);
	fence_put(fence);
	return 0;
}

#define LINE(name, func)                                                                           \
	[DRM_REQ_NR(DRM_IOCTL_VGEM_##name) - DRM_COMMAND_BASE] = { DRM_IOCTL_VGEM_##name,          \
								   DRM_RENDER_ALLOW, func,         \
								   "VGEM_" #name }

static const struct drm_ioctl vgem_ioctls[] = {
	LINE(FENCE_ATTACH, fence_attach_ioctl),
	LINE(FENCE_SIGNAL, fence_signal_ioctl),
};

const struct uapi_driver vgem_driver = {
	.name = "vgem",
	.date = "0",
	.desc = "Virtual GEM provider",
	.major = 1,
	.minor = 0,
	.patch = 0,
	.ioctls = vgem_ioctls,
	.ioctl_count = ARRAY_LEN(vgem_ioctls),
	.open = vgem_open,
	.close = vgem_close,
	.share_check = vgem_share_check,
	.dumb_create = vgem_dumb_create,
};
