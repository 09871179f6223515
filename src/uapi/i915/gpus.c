// SPDX-License-Identifier: MIT
/*
 * The GPUs that can be presented. The first is the default.
 *
 * DG2 has memory of its own, in pages of 64 KiB; Tiger Lake has the machine's. Engine classes of
 * the software GPU and of the uAPI have the same numbers; the list is in the order of the query.
 */
#include "uapi/i915/i915.h"

_Static_assert((int)GPU_CLASS_RENDER == I915_ENGINE_CLASS_RENDER, "render");
_Static_assert((int)GPU_CLASS_COPY == I915_ENGINE_CLASS_COPY, "copy");
_Static_assert((int)GPU_CLASS_VIDEO_DECODE == I915_ENGINE_CLASS_VIDEO, "video");
_Static_assert((int)GPU_CLASS_VIDEO_ENHANCE == I915_ENGINE_CLASS_VIDEO_ENHANCE, "enhance");
_Static_assert((int)GPU_CLASS_COMPUTE == I915_ENGINE_CLASS_COMPUTE, "compute");

static const struct device_engine_desc dg2_engines[] = {
	{ GPU_CLASS_RENDER, 0 },        { GPU_CLASS_COPY, 0 },
	{ GPU_CLASS_VIDEO_DECODE, 0 },  { GPU_CLASS_VIDEO_DECODE, 1 },
	{ GPU_CLASS_VIDEO_ENHANCE, 0 }, { GPU_CLASS_VIDEO_ENHANCE, 1 },
	{ GPU_CLASS_COMPUTE, 0 },       { GPU_CLASS_COMPUTE, 1 },
	{ GPU_CLASS_COMPUTE, 2 },       { GPU_CLASS_COMPUTE, 3 },
};

static const struct device_engine_desc tgl_engines[] = {
	{ GPU_CLASS_RENDER, 0 },       { GPU_CLASS_COPY, 0 },
	{ GPU_CLASS_VIDEO_DECODE, 0 }, { GPU_CLASS_VIDEO_DECODE, 1 },
	{ GPU_CLASS_VIDEO_ENHANCE, 0 },
};

static const struct i915_gpu gpus[] = {
	{
		.name = "dg2",
		.description = "Intel Arc A770 (DG2)",
		.pci_slot = "0000:03:00.0",
		.device_id = 0x56a0,
		.revision = 8,
		.graphics_ver = 12,
		.vram_B = 16 * SZ_1G,
		.vram_min_page_B = SZ_64K,
		.timestamp_hz = 19200000,
		.slices = 8,
		.subslices = 4,
		.eus = 16,
		.engines = dg2_engines,
		.engine_count = ARRAY_LEN(dg2_engines),
	},
	{
		.name = "tgl",
		.description = "Intel Iris Xe (Tiger Lake)",
		.pci_slot = "0000:00:02.0",
		.device_id = 0x9a49,
		.revision = 1,
		.graphics_ver = 12,
		.vram_min_page_B = SZ_4K,
		.timestamp_hz = 19200000,
		.slices = 1,
		.subslices = 6,
		.eus = 16,
		.engines = tgl_engines,
		.engine_count = ARRAY_LEN(tgl_engines),
	},
};

const char *i915_gpu_name(unsigned index)
{
	return index < ARRAY_LEN(gpus) ? gpus[index].name : NULL;
}

const struct i915_gpu *i915_gpu_find(const char *name)
{
	int index = drm_gpu_index(i915_gpu_name, name);

	return index < 0 ? NULL : &gpus[index];
}

int i915_engine_find(const struct i915_gpu *gpu, struct i915_engine_class_instance engine)
{
	for (unsigned i = 0; i < gpu->engine_count; i++) {
		if ((unsigned)gpu->engines[i].class == engine.engine_class &&
		    gpu->engines[i].instance == engine.engine_instance) {
			return (int)i;
		}
	}
	return -1;
}
