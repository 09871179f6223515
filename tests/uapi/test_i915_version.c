// SPDX-License-Identifier: MIT
/*
 * The two versions of VM_BIND (B03), and what GETPARAM and QUERY say. In version 1 a mapping is
 * taken away as it was made and nothing is mapped over; version 2 lifts both.
 */
#include "i915_client.h"

#include <string.h>
#include <sys/mman.h>

#define A     UINT64_C(0x40000000)
#define PIECE SZ_4K
#define WHOLE (8 * PIECE)

static struct i915_scene s;
static uint32_t bo;

/* With one mapping of WHOLE bytes at A, which begins with page 2 of the object. */
static void setup(unsigned version)
{
	i915_scene_init(&s, "tgl", version);
	bo = i915_bo_system(&s.c, 16 * PIECE);
	CHECK_OK(i915_bind(&s.c, s.vm, bo, A, 2 * PIECE, WHOLE));
}

/* [A + @first, A + @end) is what the object's page @page is mapped at, and there are @n in all. */
static void check_mapping(unsigned index, uint64_t first, uint64_t end, uint64_t page, unsigned n)
{
	struct vm_mapping all[8];

	CHECK_EQ(i915_mappings(&s.c, s.vm, all, ARRAY_LEN(all)), n);
	CHECK_EQ(all[index].start, A + first * PIECE);
	CHECK_EQ(all[index].end, A + end * PIECE);
	CHECK_EQ(all[index].offset, page * PIECE);
}

static int bind_pages(uint64_t at, uint64_t page, uint64_t n)
{
	return i915_bind(&s.c, s.vm, bo, A + at * PIECE, page * PIECE, n * PIECE);
}

static int unbind_pages(uint64_t at, uint64_t n)
{
	return i915_unbind(&s.c, s.vm, A + at * PIECE, n * PIECE);
}

/* ---- version 1 ------------------------------------------------------------------------------- */

static void test_B03_v1_a_bind_replaces_nothing(void)
{
	setup(1);
	CHECK_ERR(bind_pages(0, 0, 8), -ENOSPC); /* the same */
	CHECK_ERR(bind_pages(0, 2, 8), -ENOSPC); /* what is there already */
	CHECK_ERR(bind_pages(2, 0, 2), -ENOSPC); /* inside */
	CHECK_ERR(bind_pages(7, 0, 1), -ENOSPC); /* its last page */
	CHECK_ERR(bind_pages(0, 0, 9), -ENOSPC); /* around */
	CHECK_ERR(bind_pages(7, 0, 4), -ENOSPC); /* over its end */
	CHECK_ERR(i915_bind(&s.c, s.vm, bo, A - PIECE, 0, 2 * PIECE), -ENOSPC);
	check_mapping(1, 0, 8, 2, 2);
	i915_scene_fini(&s);
}

static void test_B03_v1_a_bind_beside_is_fine(void)
{
	setup(1);
	CHECK_OK(bind_pages(8, 0, 2));
	CHECK_OK(i915_bind(&s.c, s.vm, bo, A - PIECE, 0, PIECE));
	CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), 4);
	i915_scene_fini(&s);
}

static void test_B03_v1_neighbours_of_one_object_stay_two(void)
{
	setup(1);
	CHECK_OK(bind_pages(8, 10, 2)); /* goes on where the other ends, in the object too */
	CHECK_ERR(unbind_pages(0, 10), -EINVAL);
	CHECK_OK(unbind_pages(0, 8));
	CHECK_OK(unbind_pages(8, 2));
	i915_scene_fini(&s);
}

static void test_B03_v1_an_address_is_free_again_once_unbound(void)
{
	setup(1);
	CHECK_OK(unbind_pages(0, 8));
	CHECK_OK(bind_pages(1, 0, 3));
	check_mapping(1, 1, 4, 0, 2);
	i915_scene_fini(&s);
}

static void test_B03_v1_a_partial_unbind_is_EINVAL(void)
{
	setup(1);
	CHECK_ERR(unbind_pages(0, 1), -EINVAL);
	CHECK_ERR(unbind_pages(0, 7), -EINVAL);
	CHECK_ERR(unbind_pages(1, 7), -EINVAL);
	CHECK_ERR(unbind_pages(3, 2), -EINVAL);
	CHECK_ERR(unbind_pages(7, 1), -EINVAL);
	check_mapping(1, 0, 8, 2, 2);
	i915_scene_fini(&s);
}

static void test_B03_v1_an_unbind_of_more_is_EINVAL(void)
{
	setup(1);
	CHECK_ERR(unbind_pages(0, 9), -EINVAL);
	CHECK_ERR(i915_unbind(&s.c, s.vm, A - PIECE, WHOLE + PIECE), -EINVAL);
	CHECK_ERR(i915_unbind(&s.c, s.vm, A - PIECE, 2 * PIECE), -EINVAL);
	CHECK_ERR(i915_unbind(&s.c, s.vm, 0, 2 * SZ_1G), -EINVAL);
	check_mapping(1, 0, 8, 2, 2);
	i915_scene_fini(&s);
}

static void test_B03_v1_an_unbind_of_several_is_EINVAL(void)
{
	setup(1);
	CHECK_OK(bind_pages(8, 0, 4));
	CHECK_ERR(unbind_pages(0, 12), -EINVAL);
	CHECK_ERR(unbind_pages(4, 8), -EINVAL);
	CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), 3);
	i915_scene_fini(&s);
}

static void test_B03_v1_an_exact_unbind(void)
{
	setup(1);
	CHECK_OK(unbind_pages(0, 8));
	CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), 1);
	CHECK_OK(unbind_pages(0, 8)); /* not found: no error */
	i915_scene_fini(&s);
}

/* ---- version 2 ------------------------------------------------------------------------------- */

static void test_B03_v2_a_bind_replaces(void)
{
	setup(2);
	CHECK_OK(bind_pages(0, 0, 8));
	check_mapping(1, 0, 8, 0, 2);
	i915_scene_fini(&s);
}

static void test_B03_v2_a_bind_replaces_a_part(void)
{
	setup(2);
	CHECK_OK(bind_pages(2, 12, 3));
	check_mapping(1, 0, 2, 2, 4);
	check_mapping(2, 2, 5, 12, 4);
	check_mapping(3, 5, 8, 7, 4);
	i915_scene_fini(&s);
}

static void test_B03_v2_a_bind_replaces_several(void)
{
	setup(2);
	CHECK_OK(bind_pages(10, 0, 4));
	CHECK_OK(bind_pages(6, 1, 6));
	check_mapping(1, 0, 6, 2, 4);
	check_mapping(2, 6, 12, 1, 4);
	check_mapping(3, 12, 14, 2, 4);
	i915_scene_fini(&s);
}

static void test_B03_v2_what_was_replaced_is_not_reached(void)
{
	uint32_t *words;

	setup(2);
	words = i915_cpu(&s.c, bo, 16 * PIECE);
	words[2 * PIECE / 4] = 22;
	words[9 * PIECE / 4] = 99;
	CHECK_EQ(i915_read(&s, A), 22);
	CHECK_OK(bind_pages(0, 9, 1));
	CHECK_EQ(i915_read(&s, A), 99);
	i915_scene_fini(&s);
}

static void test_B03_v2_an_unbind_of_a_part_splits(void)
{
	setup(2);
	CHECK_OK(unbind_pages(3, 2));
	check_mapping(1, 0, 3, 2, 3);
	check_mapping(2, 5, 8, 7, 3);
	CHECK_OK(unbind_pages(0, 1));
	check_mapping(1, 1, 3, 3, 3);
	CHECK_OK(unbind_pages(7, 1));
	check_mapping(2, 5, 7, 7, 3);
	i915_scene_fini(&s);
}

static void test_B03_v2_an_unbind_of_several_and_of_holes(void)
{
	setup(2);
	CHECK_OK(bind_pages(10, 0, 4));
	CHECK_OK(i915_unbind(&s.c, s.vm, A - PIECE, 12 * PIECE));
	check_mapping(1, 11, 14, 1, 2);
	CHECK_OK(i915_unbind(&s.c, s.vm, 0, 2 * SZ_1G));
	CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), 0);
	i915_scene_fini(&s);
}

/* ---- GETPARAM -------------------------------------------------------------------------------- */

static int param(int number, int *value)
{
	struct drm_i915_getparam args = { .param = number, .value = PTR(value) };

	return IOCTL(s.c.file, I915_GETPARAM, &args);
}

static void test_B03_the_version_is_told(void)
{
	for (unsigned version = 0; version <= 2; version++) {
		int value = -1;

		setup(version);
		CHECK_OK(param(I915_PARAM_VM_BIND_VERSION, &value));
		CHECK_EQ(value, version ? version : 2);
		i915_scene_fini(&s);
	}
}

static void there_is_no_version_3(void)
{
	struct uapi_config config = i915_config("dg2", 3);
	struct uapi_device *device;
	const char *what = NULL;

	CHECK_ERR(uapi_device_create(&config, &device, &what), -EINVAL);
	CHECK_EQ(what[0], 'v');
}

static void params_describe_the_gpu(void)
{
	static const struct {
		int param, dg2, tgl;
	} rows[] = {
		{ I915_PARAM_CHIPSET_ID, 0x56a0, 0x9a49 },
		{ I915_PARAM_REVISION, 8, 1 },
		{ I915_PARAM_HAS_LLC, 0, 1 },
		{ I915_PARAM_HAS_BSD2, 1, 1 },
		{ I915_PARAM_HAS_VEBOX, 1, 1 },
		{ I915_PARAM_HAS_BLT, 1, 1 },
		{ I915_PARAM_HAS_GEM, 1, 1 },
		{ I915_PARAM_HAS_EXECBUF2, 0, 0 },
		{ I915_PARAM_HAS_ALIASING_PPGTT, 3, 3 },
		{ I915_PARAM_MMAP_GTT_VERSION, 4, 4 },
		{ I915_PARAM_HAS_USERPTR_PROBE, 1, 1 },
		{ I915_PARAM_SLICE_MASK, 0xff, 1 },
		{ I915_PARAM_SUBSLICE_TOTAL, 32, 6 },
		{ I915_PARAM_EU_TOTAL, 512, 96 },
		{ I915_PARAM_CS_TIMESTAMP_FREQUENCY, 19200000, 19200000 },
	};

	for (unsigned dg2 = 0; dg2 < 2; dg2++) {
		i915_scene_init(&s, dg2 ? "dg2" : "tgl", 2);
		for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
			int value = -1;

			CHECK_OK(param(rows[i].param, &value));
			CHECK_EQ(value, dg2 ? rows[i].dg2 : rows[i].tgl);
		}
		i915_scene_fini(&s);
	}
}

static void params_that_are_unknown_or_go_nowhere(void)
{
	int value;

	i915_scene_init(&s, "dg2", 2);
	CHECK_ERR(param(0, &value), -EINVAL);
	CHECK_ERR(param(-1, &value), -EINVAL);
	CHECK_ERR(param(58, &value), -EINVAL);
	CHECK_ERR(param(I915_PARAM_VM_BIND_VERSION, (int *)(uintptr_t)CLIENT_BAD), -EFAULT);
	i915_scene_fini(&s);
}

/* ---- QUERY ----------------------------------------------------------------------------------- */

static int query(uint64_t id, uint32_t flags, void *data, int32_t *length_io)
{
	struct drm_i915_query_item item = {
		.query_id = id, .length = *length_io, .flags = flags, .data_ptr = PTR(data),
	};
	struct drm_i915_query args = { .num_items = 1, .items_ptr = PTR(&item) };
	int ret = IOCTL(s.c.file, I915_QUERY, &args);

	*length_io = item.length;
	return ret;
}

static void engines_are_listed(void)
{
	struct {
		struct drm_i915_query_engine_info head;
		struct drm_i915_engine_info info[16];
	} e = { 0 };
	int32_t length = sizeof(e);

	i915_scene_init(&s, "dg2", 2);
	CHECK_OK(query(DRM_I915_QUERY_ENGINE_INFO, 0, &e, &length));
	CHECK_EQ(e.head.num_engines, 10);
	CHECK_EQ(length, sizeof(e.head) + 10 * sizeof(e.info[0]));
	CHECK_EQ(e.info[0].engine.engine_class, I915_ENGINE_CLASS_RENDER);
	CHECK_EQ(e.info[9].engine.engine_class, I915_ENGINE_CLASS_COMPUTE);
	CHECK_EQ(e.info[9].engine.engine_instance, 3);
	CHECK_EQ(e.info[9].logical_instance, 3);
	i915_scene_fini(&s);
}

static void regions_are_listed(void)
{
	struct {
		struct drm_i915_query_memory_regions head;
		struct drm_i915_memory_region_info info[2];
	} r;

	for (unsigned dg2 = 0; dg2 < 2; dg2++) {
		int32_t length = sizeof(r);

		memset(&r, 0, sizeof(r));
		i915_scene_init(&s, dg2 ? "dg2" : "tgl", 2);
		CHECK_OK(query(DRM_I915_QUERY_MEMORY_REGIONS, 0, &r, &length));
		CHECK_EQ(r.head.num_regions, dg2 ? 2 : 1);
		CHECK_EQ(r.info[0].region.memory_class, I915_MEMORY_CLASS_SYSTEM);
		CHECK_EQ(r.info[0].probed_size, 256 << 20);
		CHECK_EQ(r.info[1].region.memory_class, dg2 ? I915_MEMORY_CLASS_DEVICE : 0);
		CHECK_EQ(r.info[1].probed_size, dg2 ? 256 << 20 : 0);
		i915_scene_fini(&s);
	}
}

static void topology_is_told(void)
{
	struct {
		struct drm_i915_query_topology_info info;
		uint8_t data[112];
	} t = { 0 };
	int32_t length = 0;

	i915_scene_init(&s, "tgl", 2);
	CHECK_OK(query(DRM_I915_QUERY_TOPOLOGY_INFO, 0, NULL, &length));
	CHECK_EQ(length, sizeof(t.info) + 1 + 1 + 6 * 2);
	CHECK_OK(query(DRM_I915_QUERY_TOPOLOGY_INFO, 0, &t, &length));
	CHECK_EQ(t.info.max_subslices, 6);
	CHECK_EQ(t.data[t.info.subslice_offset], 0x3f);
	CHECK_EQ(t.data[t.info.eu_offset + 5 * t.info.eu_stride], 0xff);
	i915_scene_fini(&s);
}

static void a_query_asks_for_the_length_first(void)
{
	struct drm_i915_query_engine_info head = { 0 };
	int32_t length = 0, shorter;

	i915_scene_init(&s, "dg2", 2);
	CHECK_OK(query(DRM_I915_QUERY_ENGINE_INFO, 0, NULL, &length));
	CHECK(length > (int32_t)sizeof(head));
	shorter = length - 1;
	CHECK_OK(query(DRM_I915_QUERY_ENGINE_INFO, 0, &head, &shorter));
	CHECK_EQ(shorter, -EINVAL);
	CHECK_EQ(head.num_engines, 0);
	/* What an error has left there counts as very long. */
	CHECK_OK(query(DRM_I915_QUERY_ENGINE_INFO, 0, (void *)(uintptr_t)CLIENT_BAD, &shorter));
	CHECK_EQ(shorter, -EFAULT);
	i915_scene_fini(&s);
}

static void an_item_has_its_own_error(void)
{
	char room[2048] = { 0 };
	int32_t length = sizeof(room);

	i915_scene_init(&s, "dg2", 2);
	CHECK_OK(query(99, 0, room, &length));
	CHECK_EQ(length, -EINVAL);
	length = sizeof(room);
	CHECK_OK(query(DRM_I915_QUERY_ENGINE_INFO, 1, room, &length));
	CHECK_EQ(length, -EINVAL);
	length = sizeof(room);
	CHECK_OK(query(DRM_I915_QUERY_ENGINE_INFO, 0, (void *)(uintptr_t)CLIENT_BAD, &length));
	CHECK_EQ(length, -EFAULT);
	room[2] = 1; /* behind the flags of a topology */
	length = sizeof(room);
	CHECK_OK(query(DRM_I915_QUERY_TOPOLOGY_INFO, 0, room, &length));
	CHECK(length > 0);
	memset(room, 0, sizeof(room));
	room[5] = 1; /* a header that says something */
	length = sizeof(room);
	CHECK_OK(query(DRM_I915_QUERY_MEMORY_REGIONS, 0, room, &length));
	CHECK_EQ(length, -EINVAL);
	length = 0;
	CHECK_ERR(query(0, 0, room, &length), -EINVAL);
	i915_scene_fini(&s);
}

/* A page full of items, and a count that says that there are four thousand million. */
static void more_items_than_there_are(void)
{
	struct drm_i915_query args = { .num_items = UINT32_MAX };
	struct drm_i915_query_item *item;
	char *two = mmap(NULL, 2 * SZ_4K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			 0);

	i915_scene_init(&s, "dg2", 2);
	CHECK(two != MAP_FAILED);
	CHECK_OK(mprotect(two + SZ_4K, SZ_4K, PROT_NONE));
	item = (struct drm_i915_query_item *)(void *)(two + SZ_4K) - 100;
	for (unsigned i = 0; i < 100; i++) {
		item[i].query_id = DRM_I915_QUERY_ENGINE_INFO;
	}
	args.items_ptr = PTR(item);
	CHECK_ERR(IOCTL(s.c.file, I915_QUERY, &args), -EFAULT);
	CHECK(item[99].length > 0); /* those before were answered */
	args.items_ptr = CLIENT_BAD;
	CHECK_ERR(IOCTL(s.c.file, I915_QUERY, &args), -EFAULT);
	args.flags = 1;
	CHECK_ERR(IOCTL(s.c.file, I915_QUERY, &args), -EINVAL);
	CHECK_OK(munmap(two, 2 * SZ_4K));
	i915_scene_fini(&s);
}

static const struct test_case cases[] = {
	TEST(test_B03_v1_a_bind_replaces_nothing),
	TEST(test_B03_v1_a_bind_beside_is_fine),
	TEST(test_B03_v1_neighbours_of_one_object_stay_two),
	TEST(test_B03_v1_an_address_is_free_again_once_unbound),
	TEST(test_B03_v1_a_partial_unbind_is_EINVAL),
	TEST(test_B03_v1_an_unbind_of_more_is_EINVAL),
	TEST(test_B03_v1_an_unbind_of_several_is_EINVAL),
	TEST(test_B03_v1_an_exact_unbind),
	TEST(test_B03_v2_a_bind_replaces),
	TEST(test_B03_v2_a_bind_replaces_a_part),
	TEST(test_B03_v2_a_bind_replaces_several),
	TEST(test_B03_v2_what_was_replaced_is_not_reached),
	TEST(test_B03_v2_an_unbind_of_a_part_splits),
	TEST(test_B03_v2_an_unbind_of_several_and_of_holes),
	TEST(test_B03_the_version_is_told),
	TEST(there_is_no_version_3),
	TEST(params_describe_the_gpu),
	TEST(params_that_are_unknown_or_go_nowhere),
	TEST(engines_are_listed),
	TEST(regions_are_listed),
	TEST(topology_is_told),
	TEST(a_query_asks_for_the_length_first),
	TEST(an_item_has_its_own_error),
	TEST(more_items_than_there_are),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
