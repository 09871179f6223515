// SPDX-License-Identifier: MIT
/*
 * Objects: GEM_CREATE and GEM_MMAP_OFFSET.
 *
 * An object gets its memory when it is made, unless the client asks to wait for the first use. One
 * that is made for an address space is tied to it: it cannot be shared.
 */
#include "uapi/xe/xe.h"

#define CREATE_FLAGS                                                                               \
	(DRM_XE_GEM_CREATE_FLAG_DEFER_BACKING | DRM_XE_GEM_CREATE_FLAG_SCANOUT |                   \
	 DRM_XE_GEM_CREATE_FLAG_NEEDS_VISIBLE_VRAM | DRM_XE_GEM_CREATE_FLAG_NO_COMPRESSION)

/* What can be said without looking anything up. */
static int create_check(struct uapi_file *file, const struct drm_xe_gem_create *args)
{
	bool vram = args->placement & BIT(MEM_VRAM);

	if (args->extensions || args->pad[0] || args->pad[1] || args->pad[2] || args->reserved[0] ||
	    args->reserved[1]) {
		return -EINVAL;
	}
	if (!args->placement || (args->placement & ~xe_region_mask(file))) {
		return -EINVAL;
	}
	if ((args->flags & ~CREATE_FLAGS) || args->handle) {
		return -EINVAL;
	}
	if (args->size == 0 || !is_aligned(args->size, PAGE_SIZE)) {
		return -EINVAL;
	}
	if ((args->flags & DRM_XE_GEM_CREATE_FLAG_NEEDS_VISIBLE_VRAM) && !vram) {
		return -EINVAL;
	}
	if (args->cpu_caching != DRM_XE_GEM_CPU_CACHING_WB &&
	    args->cpu_caching != DRM_XE_GEM_CPU_CACHING_WC) {
		return -EINVAL;
	}
	if (args->cpu_caching == DRM_XE_GEM_CPU_CACHING_WB &&
	    (vram || (args->flags & DRM_XE_GEM_CREATE_FLAG_SCANOUT))) {
		return -EINVAL;
	}
	return 0;
}

/* Could it ever have memory? */
static int create_check_size(struct uapi_file *file, const struct drm_xe_gem_create *args)
{
	struct mem *mem = &file->device->dev->mem;

	if ((args->placement & BIT(MEM_VRAM)) &&
	    !is_aligned(args->size, mem->region[MEM_VRAM].min_page_B)) {
		return -EINVAL;
	}
	for (unsigned i = 0; i < mem->region_count; i++) {
		uint64_t room_B = mem->region[i].size_B;

		if (i == MEM_VRAM &&
		    (args->flags & DRM_XE_GEM_CREATE_FLAG_NEEDS_VISIBLE_VRAM)) {
			room_B = mem->region[i].visible_B;
		}
		if ((args->placement & BIT(i)) && args->size <= room_B) {
			return 0;
		}
	}
	return -ENOSPC;
}

static int create_bo(struct uapi_file *file, const struct drm_xe_gem_create *args,
		     uint64_t owner_vm_id, struct bo **bo_out)
{
	struct mem *mem = &file->device->dev->mem;
	struct bo *bo;
	int ret = create_check_size(file, args);

	if (ret == 0) {
		ret = bo_create(mem, args->size, args->placement, &bo);
	}
	if (ret) {
		return ret;
	}
	bo->flags = args->flags;
	bo->cpu_caching = args->cpu_caching;
	bo->needs_visible = args->flags & DRM_XE_GEM_CREATE_FLAG_NEEDS_VISIBLE_VRAM;
	bo->owner_vm_id = owner_vm_id;
	if ((args->placement & BIT(MEM_VRAM)) && mem->region[MEM_VRAM].min_page_B == SZ_64K) {
		bo->flags |= XE_BO_64K;
	}
	if (!(args->flags & DRM_XE_GEM_CREATE_FLAG_DEFER_BACKING)) {
		ret = xe_no_room(bo_back(bo));
		if (ret) {
			bo_put(bo);
			return ret;
		}
	}
	*bo_out = bo;
	return 0;
}

int xe_gem_create_ioctl(struct uapi_file *file, void *data)
{
	struct drm_xe_gem_create *args = data;
	struct xe_vm *xvm = NULL;
	struct bo *bo = NULL;
	int ret = create_check(file, args);

	if (ret) {
		return ret;
	}
	if (args->vm_id) {
		xvm = xe_vm_lookup(file, args->vm_id);
		if (!xvm) {
			return -ENOENT;
		}
	}
	ret = create_bo(file, args, xvm ? xvm->vm->id : 0, &bo);
	if (xvm) {
		xe_vm_put(xvm);
	}
	if (ret) {
		return ret;
	}
	ret = drm_gem_handle_create(file, bo, &args->handle);
	bo_put(bo);
	return ret;
}

int xe_gem_mmap_offset_ioctl(struct uapi_file *file, void *data)
{
	struct drm_xe_gem_mmap_offset *args = data;

	if (args->extensions || args->reserved[0] || args->reserved[1]) {
		return -EINVAL;
	}
	/* A page that reads as a constant and drops stores would need a device behind it. */
	if (args->flags) {
		return -EINVAL;
	}
	return drm_gem_mmap_offset(file, args->handle, &args->offset);
}
