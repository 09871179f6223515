// SPDX-License-Identifier: MIT
/*
 * The GPUs that can be presented. The first is the default.
 *
 * Engine classes of the software GPU and of the uAPI have the same numbers; the list is in the
 * order of the query. Two engines of a class make virtual and parallel queues possible.
 */
#include "uapi/xe/xe.h"

_Static_assert((int)GPU_CLASS_RENDER == DRM_XE_ENGINE_CLASS_RENDER, "render");
_Static_assert((int)GPU_CLASS_COPY == DRM_XE_ENGINE_CLASS_COPY, "copy");
_Static_assert((int)GPU_CLASS_VIDEO_DECODE == DRM_XE_ENGINE_CLASS_VIDEO_DECODE, "decode");
_Static_assert((int)GPU_CLASS_VIDEO_ENHANCE == DRM_XE_ENGINE_CLASS_VIDEO_ENHANCE, "enhance");
_Static_assert((int)GPU_CLASS_COMPUTE == DRM_XE_ENGINE_CLASS_COMPUTE, "compute");

static const struct device_engine_desc xe2_engines[] = {
	{ GPU_CLASS_RENDER, 0 },       { GPU_CLASS_COPY, 0 },    { GPU_CLASS_VIDEO_DECODE, 0 },
	{ GPU_CLASS_VIDEO_DECODE, 1 }, { GPU_CLASS_COMPUTE, 0 }, { GPU_CLASS_COMPUTE, 1 },
};

#define R  XE_PAT_RESERVED
#define N  XE_PAT_COH_NONE
#define W1 XE_PAT_COH_1WAY
#define W2 XE_PAT_COH_2WAY
#define C  (XE_PAT_COH_NONE | XE_PAT_COMPRESSED)

/* Page attributes of Xe2: four classes of service repeat from 20 on. */
static const uint8_t xe2_pat[32] = {
	/*  0 */ N, W1, W2, N, W1, W1, N, W2,
	/*  8 */ N, C, C, C, C, N, C, C,
	/* 16 */ R, R, R, R, N, C, W1, W2,
	/* 24 */ N, C, W1, W2, N, C, W1, W2,
};

#undef R
#undef N
#undef W1
#undef W2
#undef C

/* All classes of engines take parallel queues. */
#define DEBUG_INFO(verx100, dgfx, devid, revid)                                                    \
	"graphics_verx100 " verx100 "\n"                                                           \
	"is_dgfx " dgfx "\n"                                                                       \
	"devid " devid "\n"                                                                        \
	"revid " revid "\n"                                                                        \
	"tile_count 1\n"                                                                           \
	"vm_max_level 3\n"                                                                         \
	"has_usm yes\n"                                                                            \
	"gt0 multi_lrc_engine_classes: rcs bcs vcs ccs\n"

/*
 * Memory object control as Xe2 defines it: 5 entries, the rest as the last of them. A line has the
 * page attributes' bit, the class of service and the L4 policy; nothing can change them.
 */
#define MOCS(index, pat, l4, value) "GLOB_MOCS[" index "] = [" pat ", 0, " l4 "]  (" value ")\n"
#define MOCS_UNUSED(index) MOCS(index, "1", "0", "   0x100")

static const char xe2_mocs[] =
	"Global mocs table configuration:\n"
	"GLOB_MOCS[idx] = [IG_PAT, L3_CLOS, L3_CACHE_POLICY, L4_CACHE_POLICY] (value)\n\n"
	MOCS(" 0", "0", "3", "     0xc")
	MOCS(" 1", "1", "3", "   0x10c")
	MOCS(" 2", "1", "0", "   0x130")
	MOCS(" 3", "1", "3", "   0x13c")
	MOCS(" 4", "1", "0", "   0x100")
	MOCS_UNUSED(" 5") MOCS_UNUSED(" 6") MOCS_UNUSED(" 7") MOCS_UNUSED(" 8")
	MOCS_UNUSED(" 9") MOCS_UNUSED("10") MOCS_UNUSED("11") MOCS_UNUSED("12")
	MOCS_UNUSED("13") MOCS_UNUSED("14") MOCS_UNUSED("15");

#undef MOCS
#undef MOCS_UNUSED

static const struct uapi_debug_file bmg_debug[] = {
	{ "info", DEBUG_INFO("2001", "yes", "0xe20b", "0") },
	{ "gt0/mocs", xe2_mocs },
	{ 0 },
};

static const struct uapi_debug_file lnl_debug[] = {
	{ "info", DEBUG_INFO("2004", "no", "0x64a0", "4") },
	{ "gt0/mocs", xe2_mocs },
	{ 0 },
};

static const struct xe_gpu gpus[] = {
	{
		.name = "bmg",
		.description = "Intel Arc B580 (Battlemage)",
		.pci_slot = "0000:03:00.0",
		.device_id = 0xe20b,
		.revision = 0,
		.ip_major = 20,
		.ip_minor = 1,
		.ip_rev = 4,
		.vram_B = 8 * SZ_1G,
		.vram_min_page_B = SZ_64K,
		.reference_clock_hz = 19200000,
		.va_bits = 48,
		.pat = xe2_pat,
		.pat_count = ARRAY_LEN(xe2_pat),
		.dss_mask = 0xfffff,
		.eu_mask = 0xff,
		.l3_mask = 0xffff,
		.engines = xe2_engines,
		.engine_count = ARRAY_LEN(xe2_engines),
		.debug = bmg_debug,
	},
	{
		.name = "lnl",
		.description = "Intel Arc 140V (Lunar Lake)",
		.pci_slot = "0000:00:02.0",
		.device_id = 0x64a0,
		.revision = 4,
		.ip_major = 20,
		.ip_minor = 4,
		.ip_rev = 4,
		.vram_min_page_B = SZ_4K,
		.reference_clock_hz = 19200000,
		.va_bits = 48,
		.pat = xe2_pat,
		.pat_count = ARRAY_LEN(xe2_pat),
		.dss_mask = 0xff,
		.eu_mask = 0xff,
		.l3_mask = 0xff,
		.engines = xe2_engines,
		.engine_count = ARRAY_LEN(xe2_engines),
		.debug = lnl_debug,
	},
};

const char *xe_gpu_name(unsigned index)
{
	return index < ARRAY_LEN(gpus) ? gpus[index].name : NULL;
}

const struct xe_gpu *xe_gpu_find(const char *name)
{
	int index = drm_gpu_index(xe_gpu_name, name);

	return index < 0 ? NULL : &gpus[index];
}

uint32_t xe_region_mask(const struct uapi_file *file)
{
	return BIT(MEM_SYSTEM) | (xe_gpu(file)->vram_B ? BIT(MEM_VRAM) : 0);
}

int xe_engine_find(const struct xe_gpu *gpu, const struct drm_xe_engine_class_instance *eci)
{
	if (eci->gt_id != 0) {
		return -1;
	}
	for (unsigned i = 0; i < gpu->engine_count; i++) {
		if ((unsigned)gpu->engines[i].class == eci->engine_class &&
		    gpu->engines[i].instance == eci->engine_instance) {
			return (int)i;
		}
	}
	return -1;
}
