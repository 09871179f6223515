// SPDX-License-Identifier: MIT
/*
 * GETPARAM and QUERY: what the device is.
 *
 * A query's item is answered on its own: its length becomes that of the answer, or an error; with
 * length 0 only the length is told.
 */
#include "uapi/i915/i915.h"

#define TOPOLOGY_MAX_B 64

/* ---- GETPARAM -------------------------------------------------------------------------------- */

static int has_engine(const struct i915_gpu *gpu, unsigned class, unsigned instance)
{
	const struct i915_engine_class_instance engine = { (uint16_t)class, (uint16_t)instance };

	return i915_engine_find(gpu, engine) >= 0;
}

/* How many of what runs shaders, which nothing here does. */
static int param_shape(const struct i915_gpu *gpu, int param, int *value_out)
{
	switch (param) {
	case I915_PARAM_SLICE_MASK:
		*value_out = (1 << gpu->slices) - 1;
		return 0;
	case I915_PARAM_SUBSLICE_MASK:
		*value_out = (1 << gpu->subslices) - 1;
		return 0;
	case I915_PARAM_SUBSLICE_TOTAL:
		*value_out = (int)(gpu->slices * gpu->subslices);
		return 0;
	case I915_PARAM_EU_TOTAL:
		*value_out = (int)(gpu->slices * gpu->subslices * gpu->eus);
		return 0;
	default:
		return -EINVAL;
	}
}

static int param_value(struct uapi_file *file, int param, int *value_out)
{
	const struct i915_gpu *gpu = i915_gpu(file);
	int value;

	switch (param) {
	case I915_PARAM_CHIPSET_ID:
		value = gpu->device_id;
		break;
	case I915_PARAM_REVISION:
		value = gpu->revision;
		break;
	case I915_PARAM_NUM_FENCES_AVAIL:
	case I915_PARAM_HAS_EXECBUF2: /* what it takes a list for, no address space here has */
	case I915_PARAM_HAS_SEMAPHORES:
		value = 0;
		break;
	case I915_PARAM_HAS_GEM:
	case I915_PARAM_HAS_COHERENT_RINGS:
	case I915_PARAM_HAS_WAIT_TIMEOUT:
	case I915_PARAM_HAS_GPU_RESET:
	case I915_PARAM_HAS_CONTEXT_ISOLATION:
	case I915_PARAM_HAS_USERPTR_PROBE:
		value = 1;
		break;
	case I915_PARAM_HAS_BSD:
		value = has_engine(gpu, I915_ENGINE_CLASS_VIDEO, 0);
		break;
	case I915_PARAM_HAS_BSD2:
		value = has_engine(gpu, I915_ENGINE_CLASS_VIDEO, 1);
		break;
	case I915_PARAM_HAS_BLT:
		value = has_engine(gpu, I915_ENGINE_CLASS_COPY, 0);
		break;
	case I915_PARAM_HAS_VEBOX:
		value = has_engine(gpu, I915_ENGINE_CLASS_VIDEO_ENHANCE, 0);
		break;
	case I915_PARAM_HAS_LLC:
		value = !gpu->vram_B;
		break;
	case I915_PARAM_HAS_ALIASING_PPGTT:
		value = 3; /* address spaces of their own, of 48 bits */
		break;
	case I915_PARAM_HAS_SCHEDULER:
		value = I915_SCHEDULER_CAP_ENABLED | I915_SCHEDULER_CAP_PRIORITY;
		break;
	case I915_PARAM_MMAP_GTT_VERSION:
		value = 4; /* MMAP_OFFSET */
		break;
	case I915_PARAM_CS_TIMESTAMP_FREQUENCY:
		value = (int)gpu->timestamp_hz;
		break;
	case I915_PARAM_VM_BIND_VERSION:
		value = (int)i915_bind_version(file);
		break;
	default:
		return param_shape(gpu, param, value_out);
	}
	*value_out = value;
	return 0;
}

int i915_getparam_ioctl(struct uapi_file *file, void *data)
{
	const struct drm_i915_getparam *args = data;
	int value;
	int ret = param_value(file, args->param, &value);

	return ret ? ret : port_copy_to_user(args->value, &value, sizeof(value));
}

_Static_assert(sizeof(struct drm_i915_query_engine_info) == 16 &&
	       sizeof(struct drm_i915_query_memory_regions) == 16 &&
	       sizeof(struct drm_i915_query_topology_info) == 16, "headers");

/* ---- QUERY ----------------------------------------------------------------------------------- */

#define HEADER_B 16 /* of each answer; the client has it, too */

/*
 * Has the client room for @size_B, and are the first @zero_B bytes of its header zero? 1: write; 0:
 * only the length is wanted; or an error. A length below 0 is what an error has left there, and
 * counts as very long.
 */
static int item_begin(const struct drm_i915_query_item *item, size_t zero_B, size_t size_B)
{
	uint8_t header[HEADER_B];

	ASSERT(zero_B <= HEADER_B);
	if (item->flags) {
		return -EINVAL;
	}
	if (item->length == 0) {
		return 0;
	}
	if ((uint32_t)item->length < size_B) {
		return -EINVAL;
	}
	if (port_copy_from_user(header, item->data_ptr, sizeof(header))) {
		return -EFAULT;
	}
	for (unsigned i = 0; i < zero_B; i++) {
		if (header[i]) {
			return -EINVAL;
		}
	}
	return 1;
}

/* The length of the answer, written if it is wanted, or an error. */
static int answer(const struct drm_i915_query_item *item, size_t zero_B, const void *data,
		  size_t size_B)
{
	int ret = item_begin(item, zero_B, size_B);

	if (ret > 0) {
		ret = port_copy_to_user(item->data_ptr, data, size_B);
	}
	return ret ? ret : (int)size_B;
}

static int query_engines(struct uapi_file *file, const struct drm_i915_query_item *item)
{
	const struct i915_gpu *gpu = i915_gpu(file);
	struct {
		uint32_t num_engines, rsvd[3];
		struct drm_i915_engine_info engines[DEVICE_MAX_ENGINES];
	} data = { .num_engines = gpu->engine_count };

	ASSERT(gpu->engine_count <= DEVICE_MAX_ENGINES);
	for (unsigned i = 0; i < gpu->engine_count; i++) {
		struct drm_i915_engine_info *info = &data.engines[i];

		info->engine.engine_class = (uint16_t)gpu->engines[i].class;
		info->engine.engine_instance = gpu->engines[i].instance;
		info->flags = I915_ENGINE_INFO_HAS_LOGICAL_INSTANCE;
		info->logical_instance = gpu->engines[i].instance;
	}
	return answer(item, HEADER_B, &data,
		      sizeof(struct drm_i915_query_engine_info) +
			      gpu->engine_count * sizeof(struct drm_i915_engine_info));
}

/* How much is left is told to those who may know; others hear that all of it is. */
static int query_regions(struct uapi_file *file, const struct drm_i915_query_item *item)
{
	struct mem *mem = &file->device->dev->mem;
	bool may_know = port_client_may_raise_priority();
	struct {
		uint32_t num_regions, rsvd[3];
		struct drm_i915_memory_region_info regions[MEM_REGIONS];
	} data = { .num_regions = mem->region_count };

	for (unsigned i = 0; i < mem->region_count; i++) {
		struct drm_i915_memory_region_info *info = &data.regions[i];
		struct region *region = &mem->region[i];

		info->region.memory_class =
			i == MEM_SYSTEM ? I915_MEMORY_CLASS_SYSTEM : I915_MEMORY_CLASS_DEVICE;
		port_mutex_lock(&region->lock);
		info->probed_size = region->size_B;
		info->unallocated_size = region->size_B - (may_know ? region->used_B : 0);
		info->probed_cpu_visible_size = i == MEM_SYSTEM ? region->size_B
								: region->visible_B;
		info->unallocated_cpu_visible_size =
			info->probed_cpu_visible_size -
			(may_know && i != MEM_SYSTEM ? region->visible_used_B : 0);
		port_mutex_unlock(&region->lock);
		if (i == MEM_SYSTEM) {
			info->unallocated_size = info->probed_size;
		}
	}
	return answer(item, HEADER_B, &data,
		      sizeof(struct drm_i915_query_memory_regions) +
			      mem->region_count * sizeof(struct drm_i915_memory_region_info));
}

static unsigned mask_B(unsigned bits)
{
	return (bits + 7) / 8;
}

/* The low @bits bits. */
static void fill_mask(uint8_t *at, unsigned bits)
{
	for (unsigned i = 0; i < bits; i++) {
		at[i / 8] |= (uint8_t)(1u << (i % 8));
	}
}

static int query_topology(struct uapi_file *file, const struct drm_i915_query_item *item)
{
	const struct i915_gpu *gpu = i915_gpu(file);
	unsigned slice_B = mask_B(gpu->slices), subslice_B = mask_B(gpu->subslices);
	unsigned eu_B = mask_B(gpu->eus), subslices = gpu->slices * gpu->subslices;
	struct {
		uint16_t flags, max_slices, max_subslices, max_eus_per_subslice;
		uint16_t subslice_offset, subslice_stride, eu_offset, eu_stride;
		uint8_t data[TOPOLOGY_MAX_B * 2];
	} data = {
		.max_slices = (uint16_t)gpu->slices,
		.max_subslices = (uint16_t)gpu->subslices,
		.max_eus_per_subslice = (uint16_t)gpu->eus,
		.subslice_offset = (uint16_t)slice_B,
		.subslice_stride = (uint16_t)subslice_B,
		.eu_offset = (uint16_t)(slice_B + gpu->slices * subslice_B),
		.eu_stride = (uint16_t)eu_B,
	};
	size_t size_B = slice_B + gpu->slices * subslice_B + subslices * eu_B;

	_Static_assert(offsetof(typeof(data), data) == sizeof(struct drm_i915_query_topology_info),
		       "the client's header");
	ASSERT(size_B <= sizeof(data.data));
	fill_mask(data.data, gpu->slices);
	for (unsigned i = 0; i < gpu->slices; i++) {
		fill_mask(data.data + slice_B + i * subslice_B, gpu->subslices);
	}
	for (unsigned i = 0; i < subslices; i++) {
		fill_mask(data.data + data.eu_offset + i * eu_B, gpu->eus);
	}
	/* Its flags; what follows is ours to fill in. */
	return answer(item, sizeof(uint16_t), &data,
		      sizeof(struct drm_i915_query_topology_info) + size_B);
}

static int query_item(struct uapi_file *file, const struct drm_i915_query_item *item)
{
	switch (item->query_id) {
	case DRM_I915_QUERY_TOPOLOGY_INFO:
		return query_topology(file, item);
	case DRM_I915_QUERY_ENGINE_INFO:
		return query_engines(file, item);
	case DRM_I915_QUERY_MEMORY_REGIONS:
		return query_regions(file, item);
	default:
		return -EINVAL;
	}
}

int i915_query_ioctl(struct uapi_file *file, void *data)
{
	const struct drm_i915_query *args = data;

	if (args->flags) {
		return -EINVAL;
	}
	for (uint32_t i = 0; i < args->num_items; i++) {
		uint64_t addr = args->items_ptr + i * sizeof(struct drm_i915_query_item);
		struct drm_i915_query_item item;
		int32_t length;

		if (port_copy_from_user(&item, addr, sizeof(item))) {
			return -EFAULT;
		}
		if (item.query_id == 0) {
			return -EINVAL;
		}
		length = query_item(file, &item);
		if (length != item.length &&
		    port_copy_to_user(addr + offsetof(struct drm_i915_query_item, length), &length,
				      sizeof(length))) {
			return -EFAULT;
		}
	}
	return 0;
}
