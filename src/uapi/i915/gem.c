// SPDX-License-Identifier: MIT
/*
 * Objects: GEM_CREATE, GEM_CREATE_EXT, GEM_MMAP_OFFSET, GEM_WAIT, GEM_BUSY.
 *
 * An object gets its memory with its first use. One that is private to an address space is mapped
 * there only, and cannot be shared (B14). GEM_WAIT and GEM_BUSY see what was attached to an object
 * for readers and writers, never binds and submissions, which are BOOKKEEP (B18).
 */
#include "uapi/i915/i915.h"

/* ---- making ---------------------------------------------------------------------------------- */

/* GEM_CREATE_EXT on its way. */
struct create {
	struct uapi_file *file;
	uint32_t placement;  /* 0: not said */
	struct i915_vm *ivm; /* private to; a reference */
};

static int create_object(struct uapi_file *file, uint64_t *size_io, uint32_t placement,
			 const struct i915_vm *ivm, bool needs_cpu, uint32_t *handle_out)
{
	struct mem *mem = &file->device->dev->mem;
	uint64_t page_B = PAGE_SIZE;
	struct bo *bo;
	int ret;

	for (unsigned i = 0; i < mem->region_count; i++) {
		page_B = placement & BIT(i) ? max_u64(page_B, mem->region[i].min_page_B) : page_B;
	}
	/* A size that wraps when it is rounded up is none. */
	if (align_up(*size_io, page_B) == 0) {
		return -EINVAL;
	}
	if (*size_io > I915_SIZE_MAX_B) {
		return -E2BIG;
	}
	ret = bo_create(mem, align_up(*size_io, page_B), placement, &bo);
	if (ret) {
		return ret;
	}
	bo->needs_visible = needs_cpu;
	bo->owner_vm_id = ivm ? ivm->vm->id : 0;
	*size_io = bo->size_B;
	ret = drm_gem_handle_create(file, bo, handle_out);
	bo_put(bo);
	return ret;
}

int i915_gem_create_ioctl(struct uapi_file *file, void *data)
{
	struct drm_i915_gem_create *args = data;

	return create_object(file, &args->size, BIT(MEM_SYSTEM), NULL, false, &args->handle);
}

static int region_bit(const struct create *create,
		      const struct drm_i915_gem_memory_class_instance *region, uint32_t *bit_out)
{
	bool local = region->memory_class == I915_MEMORY_CLASS_DEVICE;

	if (region->memory_class > I915_MEMORY_CLASS_DEVICE || region->memory_instance ||
	    (local && !i915_gpu(create->file)->vram_B)) {
		return -EINVAL;
	}
	*bit_out = BIT(local ? MEM_VRAM : MEM_SYSTEM);
	return 0;
}

static int create_regions(uint64_t addr, void *ctx)
{
	struct drm_i915_gem_create_ext_memory_regions ext;
	struct create *create = ctx;

	if (port_copy_from_user(&ext, addr, sizeof(ext))) {
		return -EFAULT;
	}
	/* Given twice, it would not be clear which is meant. */
	if (ext.pad || !ext.num_regions || ext.num_regions > MEM_REGIONS || create->placement) {
		return -EINVAL;
	}
	for (uint32_t i = 0; i < ext.num_regions; i++) {
		struct drm_i915_gem_memory_class_instance region;
		uint32_t bit;

		if (port_copy_from_user(&region, ext.regions + i * sizeof(region),
					sizeof(region))) {
			return -EFAULT;
		}
		if (region_bit(create, &region, &bit) || (create->placement & bit)) {
			return -EINVAL;
		}
		create->placement |= bit;
	}
	return 0;
}

static int create_private(uint64_t addr, void *ctx)
{
	struct drm_i915_gem_create_ext_vm_private ext;
	struct create *create = ctx;

	if (port_copy_from_user(&ext, addr, sizeof(ext))) {
		return -EFAULT;
	}
	if (create->ivm) {
		return -EINVAL;
	}
	create->ivm = i915_vm_lookup(create->file, ext.vm_id);
	if (!create->ivm) {
		return -ENOENT;
	}
	return create->ivm->bind_mode ? 0 : -EINVAL;
}

static int (*const create_extensions[])(uint64_t addr, void *ctx) = {
	[I915_GEM_CREATE_EXT_MEMORY_REGIONS] = create_regions,
	[I915_GEM_CREATE_EXT_VM_PRIVATE] = create_private,
};

int i915_gem_create_ext_ioctl(struct uapi_file *file, void *data)
{
	struct drm_i915_gem_create_ext *args = data;
	bool needs_cpu = args->flags & I915_GEM_CREATE_EXT_FLAG_NEEDS_CPU_ACCESS;
	struct create create = { .file = file };
	int ret;

	if (args->flags & ~I915_GEM_CREATE_EXT_FLAG_NEEDS_CPU_ACCESS) {
		return -EINVAL;
	}
	ret = i915_extensions(args->extensions, create_extensions, ARRAY_LEN(create_extensions),
			      &create);
	if (ret == 0 && !create.placement) {
		create.placement = BIT(MEM_SYSTEM);
	}
	/* Where the CPU may not reach it, there has to be somewhere else for it to go. */
	if (ret == 0 && needs_cpu && create.placement != (BIT(MEM_SYSTEM) | BIT(MEM_VRAM))) {
		ret = -EINVAL;
	}
	if (ret == 0) {
		ret = create_object(file, &args->size, create.placement, create.ivm, needs_cpu,
				    &args->handle);
	}
	i915_vm_put(create.ivm);
	return ret;
}

/* ---- mapping --------------------------------------------------------------------------------- */

int i915_gem_mmap_offset_ioctl(struct uapi_file *file, void *data)
{
	struct drm_i915_gem_mmap_offset *args = data;
	bool fixed = args->flags == I915_MMAP_OFFSET_FIXED;
	struct bo *bo;
	int ret = i915_extensions(args->extensions, NULL, 0, NULL);

	if (ret) {
		return ret;
	}
	if (args->flags > I915_MMAP_OFFSET_FIXED) {
		return -EINVAL;
	}
	bo = drm_gem_lookup(file, args->handle);
	if (!bo) {
		return -ENOENT;
	}
	/* How memory of the device's own is cached is not the client's to say. */
	if ((bo->flags & I915_BO_USERPTR) || fixed != (i915_gpu(file)->vram_B != 0)) {
		ret = -ENODEV;
	} else {
		args->offset = bo->mmap_off;
	}
	bo_put(bo);
	return ret;
}

/* ---- waiting --------------------------------------------------------------------------------- */

int i915_gem_wait_ioctl(struct uapi_file *file, void *data)
{
	struct drm_i915_gem_wait *args = data;
	uint64_t start_ns = port_now_ns();
	struct bo *bo;
	int ret;

	if (args->flags) {
		return -EINVAL;
	}
	bo = drm_gem_lookup(file, args->bo_handle);
	if (!bo) {
		return -ENOENT;
	}
	if (vm_bo_is_lr(bo)) {
		bo_put(bo);
		return -EOPNOTSUPP;
	}
	ret = resv_wait(&bo->resv, bo->mem->sync, RESV_READ,
			ufence_deadline(args->timeout_ns, false, start_ns),
			PORT_WAIT_INTERRUPTIBLE);
	bo_put(bo);
	args->timeout_ns = ufence_timeout_left(args->timeout_ns, start_ns);
	return ret == -ETIMEDOUT ? -ETIME : ret;
}

/* Which engines read and write it is known of jobs of this device only. */
static uint32_t busy_classes(struct bo *bo)
{
	uint32_t busy = 0;

	resv_lock(&bo->resv);
	for (unsigned i = 0; i < bo->resv.count; i++) {
		const struct resv_fence *entry = &bo->resv.entry[i];
		int class = exec_fence_class(entry->fence);

		if (entry->usage > RESV_READ || class < 0 || fence_is_signalled(entry->fence)) {
			continue;
		}
		busy |= BIT(16 + class);
		if (entry->usage <= RESV_WRITE) {
			busy |= (uint32_t)class + 1;
		}
	}
	resv_unlock(&bo->resv);
	return busy;
}

int i915_gem_busy_ioctl(struct uapi_file *file, void *data)
{
	struct drm_i915_gem_busy *args = data;
	struct bo *bo = drm_gem_lookup(file, args->handle);

	if (!bo) {
		return -ENOENT;
	}
	args->busy = busy_classes(bo);
	bo_put(bo);
	return 0;
}
