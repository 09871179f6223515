// SPDX-License-Identifier: MIT
/*
 * DEVICE_QUERY: what the device is.
 *
 * Every query has two steps: with size 0 the size is told, with that size the data is written; any
 * other size is -EINVAL. Most answers are built here and copied out by answer().
 */
#include "uapi/xe/xe.h"

#define UC_GUC_MAJOR 1u /* version of the submission interface, not of a firmware file */
#define UC_GUC_MINOR 13u
#define UC_GUC_PATCH 4u

#define HWCONFIG_THREADS_PER_EU 15u /* key of the hardware configuration table */

/*
 * 1: go on and write; 0: only the size was wanted; -EINVAL.
 */
static int wants_data(struct drm_xe_device_query *args, size_t size_B)
{
	if (args->size == 0) {
		args->size = (uint32_t)size_B;
		return 0;
	}
	return args->size == size_B ? 1 : -EINVAL;
}

static int answer(struct drm_xe_device_query *args, const void *data, size_t size_B)
{
	int ret = wants_data(args, size_B);

	return ret > 0 ? port_copy_to_user(args->data, data, size_B) : ret;
}

static int query_engines(struct uapi_file *file, struct drm_xe_device_query *args)
{
	const struct xe_gpu *gpu = xe_gpu(file);
	struct {
		uint32_t num_engines, pad;
		struct drm_xe_engine engines[DEVICE_MAX_ENGINES];
	} data = { .num_engines = gpu->engine_count };
	size_t size_B = sizeof(struct drm_xe_query_engines) +
			gpu->engine_count * sizeof(struct drm_xe_engine);

	ASSERT(gpu->engine_count <= DEVICE_MAX_ENGINES);
	for (unsigned i = 0; i < gpu->engine_count; i++) {
		data.engines[i].instance.engine_class = (uint16_t)gpu->engines[i].class;
		data.engines[i].instance.engine_instance = gpu->engines[i].instance;
	}
	return answer(args, &data, size_B);
}

static int query_mem_regions(struct uapi_file *file, struct drm_xe_device_query *args)
{
	struct mem *mem = &file->device->dev->mem;
	struct {
		uint32_t num_mem_regions, pad;
		struct drm_xe_mem_region regions[MEM_REGIONS];
	} data = { .num_mem_regions = mem->region_count };
	size_t size_B = sizeof(struct drm_xe_query_mem_regions) +
			mem->region_count * sizeof(struct drm_xe_mem_region);
	int ret;

	for (unsigned i = 0; i < mem->region_count; i++) {
		struct drm_xe_mem_region *out = &data.regions[i];
		struct region *region = &mem->region[i];

		out->mem_class = i == MEM_SYSTEM ? DRM_XE_MEM_REGION_CLASS_SYSMEM
						 : DRM_XE_MEM_REGION_CLASS_VRAM;
		out->instance = (uint16_t)i;
		out->min_page_size = (uint32_t)region->min_page_B;
		out->total_size = region->size_B;
		port_mutex_lock(&region->lock);
		out->used = region->used_B;
		if (i != MEM_SYSTEM) {
			out->cpu_visible_size = region->visible_B;
			out->cpu_visible_used = region->visible_used_B;
		}
		port_mutex_unlock(&region->lock);
	}
	ret = answer(args, &data, size_B);
	/* This query alone says so when the pointer is bad. */
	return ret == -EFAULT ? -ENOSPC : ret;
}

static int query_config(struct uapi_file *file, struct drm_xe_device_query *args)
{
	const struct xe_gpu *gpu = xe_gpu(file);
	struct {
		uint32_t num_params, pad;
		uint64_t info[DRM_XE_QUERY_CONFIG_MAX_EXEC_QUEUE_PRIORITY + 1];
	} data = { .num_params = ARRAY_LEN(data.info) };

	data.info[DRM_XE_QUERY_CONFIG_REV_AND_DEVICE_ID] =
		gpu->device_id | (uint64_t)gpu->revision << 16;
	data.info[DRM_XE_QUERY_CONFIG_FLAGS] =
		(gpu->vram_B ? DRM_XE_QUERY_CONFIG_FLAG_HAS_VRAM : 0) |
		DRM_XE_QUERY_CONFIG_FLAG_HAS_LOW_LATENCY |
		DRM_XE_QUERY_CONFIG_FLAG_HAS_NO_COMPRESSION_HINT;
	data.info[DRM_XE_QUERY_CONFIG_MIN_ALIGNMENT] = gpu->vram_min_page_B;
	data.info[DRM_XE_QUERY_CONFIG_VA_BITS] = gpu->va_bits;
	data.info[DRM_XE_QUERY_CONFIG_MAX_EXEC_QUEUE_PRIORITY] =
		port_client_may_raise_priority() ? DRM_XE_EXEC_QUEUE_PRIORITY_HIGH
						 : DRM_XE_EXEC_QUEUE_PRIORITY_NORMAL;
	return answer(args, &data, sizeof(data));
}

static int query_gt_list(struct uapi_file *file, struct drm_xe_device_query *args)
{
	const struct xe_gpu *gpu = xe_gpu(file);
	struct {
		uint32_t num_gt, pad;
		struct drm_xe_gt gt;
	} data = { .num_gt = 1 };

	data.gt.type = DRM_XE_QUERY_GT_TYPE_MAIN;
	data.gt.reference_clock = gpu->reference_clock_hz;
	data.gt.near_mem_regions = gpu->vram_B ? BIT(MEM_VRAM) : BIT(MEM_SYSTEM);
	data.gt.far_mem_regions = xe_region_mask(file) ^ data.gt.near_mem_regions;
	data.gt.ip_ver_major = gpu->ip_major;
	data.gt.ip_ver_minor = gpu->ip_minor;
	data.gt.ip_ver_rev = gpu->ip_rev;
	return answer(args, &data, sizeof(data));
}

static int query_hwconfig(struct uapi_file *file, struct drm_xe_device_query *args)
{
	/* Key, number of values, values. What clients know from the device id is not repeated. */
	static const uint32_t table[] = { HWCONFIG_THREADS_PER_EU, 1, 8 };

	return answer(args, table, sizeof(table));
}

static int query_gt_topology(struct uapi_file *file, struct drm_xe_device_query *args)
{
	const struct xe_gpu *gpu = xe_gpu(file);
	struct {
		uint16_t gt_id, type;
		uint32_t num_bytes;
		uint64_t mask;
	} data[4] = {
		{ 0, DRM_XE_TOPO_DSS_GEOMETRY, 8, gpu->dss_mask },
		{ 0, DRM_XE_TOPO_DSS_COMPUTE, 8, gpu->dss_mask },
		{ 0, DRM_XE_TOPO_L3_BANK, 8, gpu->l3_mask },
		{ 0, DRM_XE_TOPO_SIMD16_EU_PER_DSS, 8, gpu->eu_mask },
	};

	return answer(args, data, sizeof(data));
}

static bool clock_known(int clockid)
{
	switch (clockid) {
	case 0:  /* CLOCK_REALTIME */
	case 1:  /* CLOCK_MONOTONIC */
	case 4:  /* CLOCK_MONOTONIC_RAW */
	case 7:  /* CLOCK_BOOTTIME */
	case 11: /* CLOCK_TAI */
		return true;
	default:
		return false;
	}
}

static int query_engine_cycles(struct uapi_file *file, struct drm_xe_device_query *args)
{
	const struct xe_gpu *gpu = xe_gpu(file);
	struct drm_xe_query_engine_cycles data;
	uint64_t before_ns;
	int ret = wants_data(args, sizeof(data));

	if (ret <= 0) {
		return ret;
	}
	ret = port_copy_from_user(&data, args->data, sizeof(data));
	if (ret) {
		return ret;
	}
	if (!clock_known(data.clockid) || xe_engine_find(gpu, &data.eci) < 0) {
		return -EINVAL;
	}
	before_ns = port_now_ns();
	data.cpu_timestamp = port_now_clock_ns(data.clockid);
	data.engine_cycles = gpu_timestamp(gpu->reference_clock_hz);
	data.cpu_delta = port_now_ns() - before_ns;
	data.width = 64;
	return port_copy_to_user(args->data, &data, sizeof(data));
}

static int query_uc_fw_version(struct uapi_file *file, struct drm_xe_device_query *args)
{
	struct drm_xe_query_uc_fw_version data;
	int ret = wants_data(args, sizeof(data));

	if (ret <= 0) {
		return ret;
	}
	ret = port_copy_from_user(&data, args->data, sizeof(data));
	if (ret) {
		return ret;
	}
	if (data.pad || data.pad2 || data.reserved) {
		return -EINVAL;
	}
	if (data.uc_type == XE_QUERY_UC_TYPE_HUC) {
		return -ENODEV;
	}
	if (data.uc_type != XE_QUERY_UC_TYPE_GUC_SUBMISSION) {
		return -EINVAL;
	}
	data.branch_ver = 0;
	data.major_ver = UC_GUC_MAJOR;
	data.minor_ver = UC_GUC_MINOR;
	data.patch_ver = UC_GUC_PATCH;
	return port_copy_to_user(args->data, &data, sizeof(data));
}

static int query_oa_units(struct uapi_file *file, struct drm_xe_device_query *args)
{
	static const struct drm_xe_query_oa_units none = { .num_oa_units = 0 };

	return answer(args, &none, sizeof(none));
}

static int query_pxp_status(struct uapi_file *file, struct drm_xe_device_query *args)
{
	int ret = wants_data(args, sizeof(struct drm_xe_query_pxp_status));

	return ret > 0 ? -ENODEV : ret;
}

static int query_eu_stall(struct uapi_file *file, struct drm_xe_device_query *args)
{
	return -ENODEV;
}

static int (*const queries[])(struct uapi_file *file, struct drm_xe_device_query *args) = {
	[DRM_XE_DEVICE_QUERY_ENGINES] = query_engines,
	[DRM_XE_DEVICE_QUERY_MEM_REGIONS] = query_mem_regions,
	[DRM_XE_DEVICE_QUERY_CONFIG] = query_config,
	[DRM_XE_DEVICE_QUERY_GT_LIST] = query_gt_list,
	[DRM_XE_DEVICE_QUERY_HWCONFIG] = query_hwconfig,
	[DRM_XE_DEVICE_QUERY_GT_TOPOLOGY] = query_gt_topology,
	[DRM_XE_DEVICE_QUERY_ENGINE_CYCLES] = query_engine_cycles,
	[DRM_XE_DEVICE_QUERY_UC_FW_VERSION] = query_uc_fw_version,
	[DRM_XE_DEVICE_QUERY_OA_UNITS] = query_oa_units,
	[DRM_XE_DEVICE_QUERY_PXP_STATUS] = query_pxp_status,
	[DRM_XE_DEVICE_QUERY_EU_STALL] = query_eu_stall,
};

int xe_query_ioctl(struct uapi_file *file, void *data)
{
	struct drm_xe_device_query *args = data;

	if (args->extensions || args->reserved[0] || args->reserved[1]) {
		return -EINVAL;
	}
	if (args->query >= ARRAY_LEN(queries)) {
		return -EINVAL;
	}
	return queries[args->query](file, args);
}
