// SPDX-License-Identifier: MIT
/* DEVICE_QUERY: both steps of every query, what clients read from the answers, bad input. */
#include "client.h"

#include <string.h>

static struct client c;

static int query_step(uint32_t query, void *data, uint32_t *size_io)
{
	struct drm_xe_device_query args = { .query = query, .size = *size_io, .data = PTR(data) };
	int ret = IOCTL(c.file, XE_DEVICE_QUERY, &args);

	*size_io = args.size;
	return ret;
}

/* Both steps; the size. */
static uint32_t query(uint32_t nr, void *data, uint32_t room)
{
	uint32_t size = 0;

	CHECK_OK(query_step(nr, NULL, &size));
	CHECK(size > 0 && size <= room);
	CHECK_OK(query_step(nr, data, &size));
	return size;
}

static void arguments_are_checked_in_order(void)
{
	struct drm_xe_device_query args = { .query = 99, .extensions = 1 };
	uint64_t data[64];
	uint32_t size;

	client_init(&c, "bmg");
	CHECK_ERR(IOCTL(c.file, XE_DEVICE_QUERY, &args), -EINVAL);
	args = (struct drm_xe_device_query){ .reserved = { 1, 0 } };
	CHECK_ERR(IOCTL(c.file, XE_DEVICE_QUERY, &args), -EINVAL);
	args = (struct drm_xe_device_query){ .reserved = { 0, 1 } };
	CHECK_ERR(IOCTL(c.file, XE_DEVICE_QUERY, &args), -EINVAL);
	size = 0;
	CHECK_ERR(query_step(11, data, &size), -EINVAL);
	CHECK_ERR(query_step(UINT32_MAX, data, &size), -EINVAL);
	for (uint32_t nr = 0; nr <= DRM_XE_DEVICE_QUERY_PXP_STATUS; nr++) {
		uint32_t right = 0;
		int bad = nr == DRM_XE_DEVICE_QUERY_MEM_REGIONS ? -ENOSPC : -EFAULT;

		CHECK_OK(query_step(nr, NULL, &right));
		size = right - 1;
		CHECK_ERR(query_step(nr, data, &size), -EINVAL);
		size = right + 1;
		CHECK_ERR(query_step(nr, data, &size), -EINVAL);
		size = UINT32_MAX;
		CHECK_ERR(query_step(nr, data, &size), -EINVAL);
		size = right;
		if (nr == DRM_XE_DEVICE_QUERY_PXP_STATUS) {
			bad = -ENODEV;
		}
		CHECK_ERR(query_step(nr, (void *)(uintptr_t)CLIENT_BAD, &size), bad);
	}
	size = 0;
	CHECK_ERR(query_step(DRM_XE_DEVICE_QUERY_EU_STALL, data, &size), -ENODEV);
	client_fini(&c);
}

static void engines(void)
{
	static const uint16_t want[][2] = { { 0, 0 }, { 1, 0 }, { 2, 0 },
					    { 2, 1 }, { 4, 0 }, { 4, 1 } };
	union {
		struct drm_xe_query_engines q;
		uint64_t room[64];
	} data;

	client_init(&c, "bmg");
	CHECK_EQ(query(DRM_XE_DEVICE_QUERY_ENGINES, &data, sizeof(data)), 8 + 6 * 32);
	CHECK_EQ(data.q.num_engines, 6);
	for (unsigned i = 0; i < 6; i++) {
		CHECK_EQ(data.q.engines[i].instance.engine_class, want[i][0]);
		CHECK_EQ(data.q.engines[i].instance.engine_instance, want[i][1]);
		CHECK_EQ(data.q.engines[i].instance.gt_id, 0);
	}
	client_fini(&c);
}

static void regions_and_their_use(void)
{
	union {
		struct drm_xe_query_mem_regions q;
		uint64_t room[64];
	} data;
	struct drm_xe_mem_region *vram = &data.q.mem_regions[1];
	uint64_t before;
	uint32_t bo;

	client_init(&c, "bmg");
	query(DRM_XE_DEVICE_QUERY_MEM_REGIONS, &data, sizeof(data));
	CHECK_EQ(data.q.num_mem_regions, 2);
	CHECK_EQ(data.q.mem_regions[0].mem_class, DRM_XE_MEM_REGION_CLASS_SYSMEM);
	CHECK_EQ(data.q.mem_regions[0].min_page_size, 4096);
	CHECK_EQ(vram->mem_class, DRM_XE_MEM_REGION_CLASS_VRAM);
	CHECK_EQ(vram->instance, 1);
	CHECK_EQ(vram->min_page_size, 65536);
	CHECK_EQ(vram->total_size, 256 << 20);
	CHECK_EQ(vram->cpu_visible_size, 256 << 20);
	before = vram->used;
	bo = client_bo(&c, 0, SZ_2M);
	query(DRM_XE_DEVICE_QUERY_MEM_REGIONS, &data, sizeof(data));
	CHECK_EQ(vram->used, before + SZ_2M);
	CHECK(vram->cpu_visible_used <= vram->used);
	CHECK_OK(client_gem_close(c.file, bo));
	query(DRM_XE_DEVICE_QUERY_MEM_REGIONS, &data, sizeof(data));
	CHECK_EQ(vram->used, before);
	client_fini(&c);
	client_init(&c, "lnl");
	query(DRM_XE_DEVICE_QUERY_MEM_REGIONS, &data, sizeof(data));
	CHECK_EQ(data.q.num_mem_regions, 1);
	client_fini(&c);
}

/* Spilled objects are in no region; how much of VRAM is visible and used is exact. */
static void the_use_of_a_full_vram(void)
{
	struct uapi_config config = client_config("bmg");
	union {
		struct drm_xe_query_mem_regions q;
		uint64_t room[64];
	} data;
	struct drm_xe_mem_region *system = &data.q.mem_regions[0], *vram = system + 1;
	uint64_t before;
	uint32_t bo[12];

	config.vram_visible_B = 48 << 20;
	client_init_as(&c, &config);
	query(DRM_XE_DEVICE_QUERY_MEM_REGIONS, &data, sizeof(data));
	before = system->used;
	CHECK_EQ(vram->cpu_visible_size, 48 << 20);
	CHECK_EQ(vram->cpu_visible_used, 0);
	CHECK_OK(client_gem_create(c.file, 0, 32 << 20, 2,
				   DRM_XE_GEM_CREATE_FLAG_NEEDS_VISIBLE_VRAM, &bo[0]));
	CHECK_OK(client_gem_create(c.file, 0, 32 << 20, 2, 0, &bo[1]));
	query(DRM_XE_DEVICE_QUERY_MEM_REGIONS, &data, sizeof(data));
	CHECK_EQ(vram->used, 64 << 20);
	CHECK_EQ(vram->cpu_visible_used, 32 << 20);
	for (unsigned i = 2; i < ARRAY_LEN(bo); i++) {
		CHECK_OK(client_gem_create(c.file, 0, 32 << 20, 2, 0, &bo[i]));
	}
	query(DRM_XE_DEVICE_QUERY_MEM_REGIONS, &data, sizeof(data));
	CHECK_EQ(vram->used, 256 << 20);
	CHECK_EQ(vram->cpu_visible_used, 48 << 20);
	CHECK_EQ(system->used, before);
	CHECK_EQ(system->total_size, 256 << 20);
	CHECK_OK(client_gem_close(c.file, bo[0]));
	query(DRM_XE_DEVICE_QUERY_MEM_REGIONS, &data, sizeof(data));
	CHECK_EQ(vram->cpu_visible_used, 16 << 20);
	for (unsigned i = 1; i < ARRAY_LEN(bo); i++) {
		CHECK_OK(client_gem_close(c.file, bo[i]));
	}
	query(DRM_XE_DEVICE_QUERY_MEM_REGIONS, &data, sizeof(data));
	CHECK_EQ(vram->used, 0);
	CHECK_EQ(vram->cpu_visible_used, 0);
	client_fini(&c);
}

static void config_tells_the_models_apart(void)
{
	struct {
		uint32_t num_params, pad;
		uint64_t info[5];
	} data;

	client_init(&c, "bmg");
	CHECK_EQ(query(DRM_XE_DEVICE_QUERY_CONFIG, &data, sizeof(data)), sizeof(data));
	CHECK_EQ(data.num_params, 5);
	CHECK_EQ(data.info[DRM_XE_QUERY_CONFIG_REV_AND_DEVICE_ID] & 0xffff, 0xe20b);
	CHECK_EQ(data.info[DRM_XE_QUERY_CONFIG_FLAGS], 1 | 2 | 8); /* no mirrors, no purging */
	CHECK_EQ(data.info[DRM_XE_QUERY_CONFIG_MIN_ALIGNMENT], SZ_64K);
	CHECK_EQ(data.info[DRM_XE_QUERY_CONFIG_VA_BITS], 48);
	CHECK(data.info[DRM_XE_QUERY_CONFIG_MAX_EXEC_QUEUE_PRIORITY] <= 2);
	client_fini(&c);
	client_init(&c, "lnl");
	query(DRM_XE_DEVICE_QUERY_CONFIG, &data, sizeof(data));
	CHECK_EQ(data.info[DRM_XE_QUERY_CONFIG_REV_AND_DEVICE_ID] & 0xffff, 0x64a0);
	CHECK_EQ(data.info[DRM_XE_QUERY_CONFIG_FLAGS], 2 | 8);
	CHECK_EQ(data.info[DRM_XE_QUERY_CONFIG_MIN_ALIGNMENT], SZ_4K);
	client_fini(&c);
}

static void gts_name_their_memory(void)
{
	struct {
		uint32_t num_gt, pad;
		struct drm_xe_gt gt;
	} data;

	client_init(&c, "bmg");
	CHECK_EQ(query(DRM_XE_DEVICE_QUERY_GT_LIST, &data, sizeof(data)), 8 + 96);
	CHECK_EQ(data.num_gt, 1);
	CHECK_EQ(data.gt.type, DRM_XE_QUERY_GT_TYPE_MAIN);
	CHECK_EQ(data.gt.reference_clock, 19200000);
	CHECK_EQ(data.gt.near_mem_regions, 2);
	CHECK_EQ(data.gt.far_mem_regions, 1);
	CHECK_EQ(data.gt.ip_ver_major, 20);
	CHECK_EQ(data.gt.ip_ver_minor, 1);
	client_fini(&c);
	client_init(&c, "lnl");
	query(DRM_XE_DEVICE_QUERY_GT_LIST, &data, sizeof(data));
	CHECK_EQ(data.gt.near_mem_regions, 1);
	CHECK_EQ(data.gt.far_mem_regions, 0);
	CHECK_EQ(data.gt.ip_ver_minor, 4);
	client_fini(&c);
}

static void topology_ends_with_wide_units(void)
{
	uint8_t data[256];
	uint32_t size, pos = 0, types = 0;
	uint16_t last = 0;

	client_init(&c, "bmg");
	size = query(DRM_XE_DEVICE_QUERY_GT_TOPOLOGY, data, sizeof(data));
	while (pos < size) {
		struct drm_xe_query_topology_mask head;
		unsigned bits = 0;

		memcpy(&head, data + pos, sizeof(head));
		CHECK(head.num_bytes >= 4);
		pos += sizeof(head);
		for (uint32_t i = 0; i < head.num_bytes; i++) {
			bits += (unsigned)__builtin_popcount(data[pos + i]);
		}
		CHECK(bits > 0);
		pos += head.num_bytes;
		types |= BIT(head.type);
		last = head.type;
	}
	CHECK_EQ(pos, size);
	CHECK_EQ(types, BIT(1) | BIT(2) | BIT(3) | BIT(5));
	CHECK_EQ(last, DRM_XE_TOPO_SIMD16_EU_PER_DSS);
	client_fini(&c);
}

static void hwconfig_is_a_list(void)
{
	uint32_t data[64];
	uint32_t size, pos = 0;
	bool threads = false;

	client_init(&c, "lnl");
	size = query(DRM_XE_DEVICE_QUERY_HWCONFIG, data, sizeof(data));
	CHECK_EQ(size % 4, 0);
	while (pos < size / 4) {
		CHECK(pos + 2 + data[pos + 1] <= size / 4);
		threads = threads || (data[pos] == 15 && data[pos + 2] == 8);
		pos += 2 + data[pos + 1];
	}
	CHECK(threads);
	client_fini(&c);
}

static void engine_cycles_follow_the_clock(void)
{
	static const int clocks[] = { 0, 1, 4, 7, 11 };
	struct drm_xe_query_engine_cycles a = { 0 }, b;
	uint32_t size = sizeof(a);

	client_init(&c, "bmg");
	for (unsigned i = 0; i < ARRAY_LEN(clocks); i++) {
		a = (struct drm_xe_query_engine_cycles){ .clockid = clocks[i] };
		CHECK_OK(query_step(DRM_XE_DEVICE_QUERY_ENGINE_CYCLES, &a, &size));
		CHECK_EQ(a.width, 64);
		CHECK(a.cpu_timestamp > 0);
	}
	a = (struct drm_xe_query_engine_cycles){ .clockid = 1 };
	b = a;
	CHECK_OK(query_step(DRM_XE_DEVICE_QUERY_ENGINE_CYCLES, &a, &size));
	CHECK_OK(query_step(DRM_XE_DEVICE_QUERY_ENGINE_CYCLES, &b, &size));
	CHECK(b.engine_cycles >= a.engine_cycles && b.cpu_timestamp >= a.cpu_timestamp);
	b.clockid = 2; /* a process clock */
	CHECK_ERR(query_step(DRM_XE_DEVICE_QUERY_ENGINE_CYCLES, &b, &size), -EINVAL);
	b.clockid = 1;
	b.eci.gt_id = 1;
	CHECK_ERR(query_step(DRM_XE_DEVICE_QUERY_ENGINE_CYCLES, &b, &size), -EINVAL);
	b.eci = (struct drm_xe_engine_class_instance){ .engine_class = 5 };
	CHECK_ERR(query_step(DRM_XE_DEVICE_QUERY_ENGINE_CYCLES, &b, &size), -EINVAL);
	b.eci = (struct drm_xe_engine_class_instance){ .engine_instance = 1 };
	CHECK_ERR(query_step(DRM_XE_DEVICE_QUERY_ENGINE_CYCLES, &b, &size), -EINVAL);
	client_fini(&c);
}

static void firmware_speaks_a_recent_interface(void)
{
	struct drm_xe_query_uc_fw_version v = { .uc_type = XE_QUERY_UC_TYPE_GUC_SUBMISSION };
	uint32_t size = sizeof(v);

	client_init(&c, "bmg");
	CHECK_OK(query_step(DRM_XE_DEVICE_QUERY_UC_FW_VERSION, &v, &size));
	CHECK(v.major_ver > 1 || (v.major_ver == 1 && v.minor_ver >= 2)); /* compute queues */
	v.pad = 1;
	CHECK_ERR(query_step(DRM_XE_DEVICE_QUERY_UC_FW_VERSION, &v, &size), -EINVAL);
	v = (struct drm_xe_query_uc_fw_version){ .reserved = 1 };
	CHECK_ERR(query_step(DRM_XE_DEVICE_QUERY_UC_FW_VERSION, &v, &size), -EINVAL);
	v = (struct drm_xe_query_uc_fw_version){ .uc_type = XE_QUERY_UC_TYPE_HUC };
	CHECK_ERR(query_step(DRM_XE_DEVICE_QUERY_UC_FW_VERSION, &v, &size), -ENODEV);
	v.uc_type = 2;
	CHECK_ERR(query_step(DRM_XE_DEVICE_QUERY_UC_FW_VERSION, &v, &size), -EINVAL);
	client_fini(&c);
}

static const struct test_case cases[] = {
	TEST(arguments_are_checked_in_order),
	TEST(engines),
	TEST(regions_and_their_use),
	TEST(the_use_of_a_full_vram),
	TEST(config_tells_the_models_apart),
	TEST(gts_name_their_memory),
	TEST(topology_ends_with_wide_units),
	TEST(hwconfig_is_a_list),
	TEST(engine_cycles_follow_the_clock),
	TEST(firmware_speaks_a_recent_interface),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
