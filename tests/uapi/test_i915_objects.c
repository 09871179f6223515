// SPDX-License-Identifier: MIT
/* Objects of i915: how they are made, private ones, client memory, where the CPU maps them. */
#include "i915_client.h"

#include <sys/mman.h>

static struct i915_scene s;
static uint32_t made;

static int create_ext(uint64_t size, uint32_t flags, const void *chain)
{
	return i915_create_ext(s.c.file, size, flags, chain, &made);
}

/* ---- GEM_CREATE ------------------------------------------------------------------------------ */

static int create(uint64_t size, uint64_t *size_out)
{
	struct drm_i915_gem_create args = { .size = size };
	int ret = IOCTL(s.c.file, I915_GEM_CREATE, &args);

	made = args.handle;
	*size_out = args.size;
	return ret;
}

static void create_refuses_sizes_that_cannot_be(void)
{
	uint64_t size;

	i915_scene_init(&s, "dg2", 2);
	CHECK_ERR(create(0, &size), -EINVAL);
	CHECK_ERR(create(UINT64_MAX, &size), -EINVAL); /* wraps to nothing */
	CHECK_ERR(create(UINT64_MAX - 4095, &size), -E2BIG);
	CHECK_ERR(create(UINT64_C(1) << 44, &size), -E2BIG);
	CHECK_ERR(create_ext(0, 0, NULL), -EINVAL);
	CHECK_ERR(create_ext(UINT64_MAX, 0, NULL), -EINVAL);
	CHECK_ERR(create_ext(UINT64_MAX - 4095, 0, NULL), -E2BIG);
	i915_scene_fini(&s);
}

static void create_tells_the_size_in_whole_pages(void)
{
	uint64_t size;

	i915_scene_init(&s, "dg2", 2);
	CHECK_OK(create(1, &size));
	CHECK_EQ(size, SZ_4K); /* the machine's memory */
	CHECK_OK(create(SZ_4K + 1, &size));
	CHECK_EQ(size, 2 * SZ_4K);
	CHECK(made != 0);
	i915_scene_fini(&s);
}

static void create_without_extensions_is_in_system_memory(void)
{
	struct drm_i915_gem_create_ext args = { .size = 1 };

	i915_scene_init(&s, "dg2", 2);
	CHECK_OK(IOCTL(s.c.file, I915_GEM_CREATE_EXT, &args));
	CHECK_EQ(args.size, SZ_4K);
	i915_scene_fini(&s);
}

static void create_ext_refuses_unknown_flags(void)
{
	i915_scene_init(&s, "dg2", 2);
	for (unsigned bit = 1; bit < 32; bit++) {
		CHECK_ERR(create_ext(SZ_64K, 1u << bit, NULL), -EINVAL);
	}
	i915_scene_fini(&s);
}

/* ---- chains ---------------------------------------------------------------------------------- */

static void chains_are_read_to_their_end(void)
{
	struct drm_i915_gem_memory_class_instance region = { I915_MEMORY_CLASS_SYSTEM, 0 };
	struct drm_i915_gem_create_ext_memory_regions ext = { .num_regions = 1 };
	struct i915_user_extension last = { .name = 99 };

	i915_scene_init(&s, "dg2", 2);
	ext.regions = PTR(&region);
	CHECK_OK(create_ext(SZ_64K, 0, &ext));
	ext.base.next_extension = PTR(&last);
	CHECK_ERR(create_ext(SZ_64K, 0, &ext), -EINVAL);
	ext.base.next_extension = CLIENT_BAD;
	CHECK_ERR(create_ext(SZ_64K, 0, &ext), -EFAULT);
	i915_scene_fini(&s);
}

static void extensions_have_reserved_fields(void)
{
	struct drm_i915_gem_memory_class_instance region = { I915_MEMORY_CLASS_SYSTEM, 0 };
	struct drm_i915_gem_create_ext_memory_regions ext = { .num_regions = 1 };

	i915_scene_init(&s, "tgl", 2);
	ext.regions = PTR(&region);
	ext.base.flags = 1;
	CHECK_ERR(create_ext(SZ_4K, 0, &ext), -EINVAL);
	ext.base.flags = 0;
	for (unsigned i = 0; i < 4; i++) {
		ext.base.rsvd[i] = 1;
		CHECK_ERR(create_ext(SZ_4K, 0, &ext), -EINVAL);
		ext.base.rsvd[i] = 0;
	}
	ext.base.name = 1; /* of nothing here */
	CHECK_ERR(create_ext(SZ_4K, 0, &ext), -EINVAL);
	ext.base.name = UINT32_MAX;
	CHECK_ERR(create_ext(SZ_4K, 0, &ext), -EINVAL);
	i915_scene_fini(&s);
}

/* What is legal any number of times, in a circle. */
static void a_chain_that_is_a_circle_ends(void)
{
	struct drm_i915_gem_context_create_ext_setparam ext = {
		.param.param = I915_CONTEXT_PARAM_BANNABLE,
	};
	struct drm_i915_gem_context_create_ext args = {
		.flags = I915_CONTEXT_CREATE_FLAGS_USE_EXTENSIONS, .extensions = PTR(&ext),
	};

	i915_scene_init(&s, "tgl", 2);
	ext.base.next_extension = PTR(&ext);
	CHECK_ERR(IOCTL(s.c.file, I915_GEM_CONTEXT_CREATE_EXT, &args), -E2BIG);
	i915_scene_fini(&s);
}

/* ---- regions --------------------------------------------------------------------------------- */

static int in_regions(const struct drm_i915_gem_memory_class_instance *regions, uint32_t count,
		      uint32_t flags)
{
	struct drm_i915_gem_create_ext_memory_regions ext = {
		.num_regions = count, .regions = PTR(regions),
	};

	return create_ext(SZ_64K, flags, &ext);
}

static void regions_are_those_of_the_query(void)
{
	struct drm_i915_gem_memory_class_instance r[3] = { { 0, 0 }, { 1, 0 }, { 0, 0 } };

	i915_scene_init(&s, "dg2", 2);
	CHECK_OK(in_regions(r, 1, 0));
	CHECK_OK(in_regions(&r[1], 1, 0));
	CHECK_OK(in_regions(r, 2, 0));
	CHECK_ERR(in_regions(r, 0, 0), -EINVAL);
	CHECK_ERR(in_regions(r, 3, 0), -EINVAL);
	CHECK_ERR(in_regions(r, UINT32_MAX, 0), -EINVAL);
	r[1].memory_class = 0;
	CHECK_ERR(in_regions(r, 2, 0), -EINVAL); /* twice the same */
	r[0].memory_class = 2;
	CHECK_ERR(in_regions(r, 1, 0), -EINVAL);
	r[0] = (struct drm_i915_gem_memory_class_instance){ 0, 1 };
	CHECK_ERR(in_regions(r, 1, 0), -EINVAL);
	r[0] = (struct drm_i915_gem_memory_class_instance){ 1, 1 };
	CHECK_ERR(in_regions(r, 1, 0), -EINVAL);
	i915_scene_fini(&s);
}

static void an_integrated_gpu_has_no_memory_of_its_own(void)
{
	struct drm_i915_gem_memory_class_instance r = { I915_MEMORY_CLASS_DEVICE, 0 };

	i915_scene_init(&s, "tgl", 2);
	CHECK_ERR(in_regions(&r, 1, 0), -EINVAL);
	r.memory_class = I915_MEMORY_CLASS_SYSTEM;
	CHECK_OK(in_regions(&r, 1, 0));
	i915_scene_fini(&s);
}

static void regions_are_named_once(void)
{
	struct drm_i915_gem_memory_class_instance r = { I915_MEMORY_CLASS_SYSTEM, 0 };
	struct drm_i915_gem_create_ext_memory_regions ext[2] = { { .num_regions = 1 },
								 { .num_regions = 1 } };

	i915_scene_init(&s, "dg2", 2);
	ext[0].regions = ext[1].regions = PTR(&r);
	ext[0].base.next_extension = PTR(&ext[1]);
	CHECK_ERR(create_ext(SZ_64K, 0, ext), -EINVAL);
	ext[0].base.next_extension = 0;
	ext[0].pad = 1;
	CHECK_ERR(create_ext(SZ_64K, 0, ext), -EINVAL);
	i915_scene_fini(&s);
}

static void pointers_of_regions_may_be_bad(void)
{
	struct drm_i915_gem_create_ext_memory_regions ext = {
		.num_regions = 1, .regions = CLIENT_BAD,
	};

	i915_scene_init(&s, "dg2", 2);
	CHECK_ERR(create_ext(SZ_64K, 0, &ext), -EFAULT);
	CHECK_ERR(create_ext(SZ_64K, 0, (void *)(uintptr_t)CLIENT_BAD), -EFAULT);
	i915_scene_fini(&s);
}

static void what_the_cpu_needs_has_somewhere_to_go(void)
{
	const uint32_t flag = I915_GEM_CREATE_EXT_FLAG_NEEDS_CPU_ACCESS;
	struct drm_i915_gem_memory_class_instance r[2] = { { 1, 0 }, { 0, 0 } };

	i915_scene_init(&s, "dg2", 2);
	CHECK_OK(in_regions(r, 2, flag));
	CHECK_ERR(in_regions(r, 1, flag), -EINVAL);
	CHECK_ERR(in_regions(&r[1], 1, flag), -EINVAL);
	CHECK_ERR(create_ext(SZ_64K, flag, NULL), -EINVAL);
	i915_scene_fini(&s);
}

static void local_objects_are_of_64_KiB_pages(void)
{
	struct drm_i915_gem_memory_class_instance r = { I915_MEMORY_CLASS_DEVICE, 0 };
	struct drm_i915_gem_create_ext_memory_regions ext = { .num_regions = 1 };
	struct drm_i915_gem_create_ext args = { .size = 1 };

	i915_scene_init(&s, "dg2", 2);
	ext.regions = PTR(&r);
	args.extensions = PTR(&ext);
	CHECK_OK(IOCTL(s.c.file, I915_GEM_CREATE_EXT, &args));
	CHECK_EQ(args.size, SZ_64K);
	i915_scene_fini(&s);
}

/* ---- private objects ------------------------------------------------------------------------- */

static int create_private(uint32_t vm)
{
	struct drm_i915_gem_create_ext_vm_private ext = {
		.base.name = I915_GEM_CREATE_EXT_VM_PRIVATE, .vm_id = vm,
	};

	return create_ext(SZ_64K, 0, &ext);
}

static void test_B14_a_private_object_names_its_address_space(void)
{
	struct drm_i915_gem_create_ext_vm_private ext[2] = {
		{ .base.name = I915_GEM_CREATE_EXT_VM_PRIVATE },
		{ .base.name = I915_GEM_CREATE_EXT_VM_PRIVATE },
	};

	i915_scene_init(&s, "dg2", 2);
	CHECK_OK(create_private(s.vm));
	CHECK_ERR(create_private(0), -ENOENT);
	CHECK_ERR(create_private(99), -ENOENT);
	ext[0].vm_id = ext[1].vm_id = s.vm;
	ext[0].base.next_extension = PTR(&ext[1]);
	CHECK_ERR(create_ext(SZ_64K, 0, ext), -EINVAL); /* to two */
	i915_scene_fini(&s);
}

static void test_B14_private_to_an_address_space_of_VM_BIND_only(void)
{
	struct drm_i915_gem_vm_control args = { 0 };

	i915_scene_init(&s, "tgl", 2);
	CHECK_OK(IOCTL(s.c.file, I915_GEM_VM_CREATE, &args));
	CHECK_ERR(create_private(args.vm_id), -EINVAL);
	i915_scene_fini(&s);
}

static void test_B14_a_private_object_is_mapped_in_its_address_space_only(void)
{
	uint32_t bo, other;

	i915_scene_init(&s, "dg2", 2);
	other = i915_vm(&s.c);
	bo = i915_bo_private(&s.c, s.vm, SZ_64K);
	CHECK_ERR(i915_bind(&s.c, other, bo, SZ_2M, 0, SZ_64K), -EINVAL);
	CHECK_OK(i915_bind(&s.c, s.vm, bo, 2 * SZ_2M, 0, SZ_64K));
	CHECK_EQ(i915_mappings(&s.c, other, NULL, 0), 0);
	i915_scene_fini(&s);
}

static void test_B14_a_private_object_is_not_shared(void)
{
	struct drm_prime_handle prime = { .flags = DRM_CLOEXEC | DRM_RDWR };
	struct drm_gem_flink flink = { 0 };
	struct uapi_file *primary;

	i915_scene_init(&s, "dg2", 2);
	prime.handle = i915_bo_private(&s.c, s.vm, SZ_64K);
	CHECK_ERR(IOCTL(s.c.file, PRIME_HANDLE_TO_FD, &prime), -EPERM);
	primary = client_open(&s.c, false);
	flink.handle = prime.handle;
	CHECK_ERR(IOCTL(primary, GEM_FLINK, &flink), -ENOENT); /* another file's */
	uapi_close(primary);
	i915_scene_fini(&s);
}

static void test_B14_a_shared_object_is_mapped_anywhere(void)
{
	struct drm_prime_handle prime = { .flags = DRM_CLOEXEC | DRM_RDWR };
	struct client second;
	uint32_t other;

	i915_scene_init(&s, "dg2", 2);
	other = i915_vm(&s.c);
	CHECK_OK(i915_bind(&s.c, other, s.bo, SZ_2M, 0, SZ_64K));
	prime.handle = s.bo;
	CHECK_OK(IOCTL(s.c.file, PRIME_HANDLE_TO_FD, &prime));
	second = s.c;
	second.file = client_open(&s.c, true);
	CHECK_OK(IOCTL(second.file, PRIME_FD_TO_HANDLE, &prime));
	CHECK_OK(i915_bind(&second, i915_vm(&second), prime.handle, SZ_2M, 0, SZ_64K));
	uapi_close(second.file);
	client_close_fd(&s.c, prime.fd);
	i915_scene_fini(&s);
}

/* ---- client memory --------------------------------------------------------------------------- */

static char pages[4 * SZ_4K] __attribute__((aligned(4096)));

static int userptr(uint64_t addr, uint64_t size, uint32_t flags)
{
	struct drm_i915_gem_userptr args = { .user_ptr = addr, .user_size = size, .flags = flags };
	int ret = IOCTL(s.c.file, I915_GEM_USERPTR, &args);

	made = args.handle;
	return ret;
}

static void userptr_is_of_whole_pages(void)
{
	i915_scene_init(&s, "tgl", 2);
	CHECK_OK(userptr(PTR(pages), SZ_4K, 0));
	CHECK_ERR(userptr(PTR(pages) + 1, SZ_4K, 0), -EINVAL);
	CHECK_ERR(userptr(PTR(pages), SZ_4K + 1, 0), -EINVAL);
	CHECK_ERR(userptr(PTR(pages), 0, 0), -EINVAL);
	CHECK_ERR(userptr(PTR(pages), UINT64_MAX & ~UINT64_C(4095), 0), -E2BIG);
	CHECK_ERR(userptr(UINT64_MAX & ~UINT64_C(4095), SZ_4K, 0), -EFAULT);
	i915_scene_fini(&s);
}

static void userptr_flags(void)
{
	i915_scene_init(&s, "tgl", 2);
	for (unsigned bit = 2; bit < 31; bit++) {
		CHECK_ERR(userptr(PTR(pages), SZ_4K, 1u << bit), -EINVAL);
	}
	CHECK_ERR(userptr(PTR(pages), SZ_4K, I915_USERPTR_UNSYNCHRONIZED), -ENODEV);
	CHECK_OK(userptr(PTR(pages), SZ_4K, I915_USERPTR_PROBE));
	CHECK_ERR(userptr(SZ_4K, SZ_4K, I915_USERPTR_PROBE), -EFAULT);
	CHECK_OK(userptr(SZ_4K, SZ_4K, 0)); /* found out when it is bound */
	CHECK_ERR(i915_bind(&s.c, s.vm, made, SZ_1G, 0, SZ_4K), -EFAULT);
	i915_scene_fini(&s);
}

static void test_B08_client_memory_is_bound_like_any_object(void)
{
	volatile uint32_t *word = (uint32_t *)(pages + SZ_4K);

	i915_scene_init(&s, "tgl", 2);
	CHECK_OK(userptr(PTR(pages), sizeof(pages), 0));
	CHECK_OK(i915_bind(&s.c, s.vm, made, SZ_1G, SZ_4K, SZ_4K)); /* a part of it */
	*word = 77;
	CHECK_EQ(i915_read(&s, SZ_1G), 77);
	CHECK_OK(i915_exec_wait(&s.c, s.ctx, i915_store(&s, 0, SZ_1G, 78)));
	CHECK_EQ(*word, 78);
	i915_scene_fini(&s);
}

static void test_B08_client_memory_that_is_only_read(void)
{
	volatile uint32_t *word = (uint32_t *)pages;

	i915_scene_init(&s, "tgl", 2);
	CHECK_OK(userptr(PTR(pages), SZ_4K, I915_USERPTR_READ_ONLY));
	CHECK_OK(i915_bind(&s.c, s.vm, made, SZ_1G, 0, SZ_4K));
	*word = 5;
	CHECK_EQ(i915_read(&s, SZ_1G), 5);
	CHECK_OK(i915_exec_wait(&s.c, s.ctx, i915_store(&s, 0, SZ_1G, 6)));
	CHECK_EQ(*word, 5);
	CHECK_ERR(i915_exec(&s.c, s.ctx, I915_AT, NULL, 0), -EIO);
	i915_scene_fini(&s);
}

static void client_memory_stays_with_its_client(void)
{
	struct drm_prime_handle prime = { .flags = DRM_CLOEXEC };
	struct drm_i915_gem_mmap_offset map = { .flags = I915_MMAP_OFFSET_WB };

	i915_scene_init(&s, "tgl", 2);
	CHECK_OK(userptr(PTR(pages), SZ_4K, 0));
	prime.handle = map.handle = made;
	CHECK_ERR(IOCTL(s.c.file, PRIME_HANDLE_TO_FD, &prime), -EINVAL);
	CHECK_ERR(IOCTL(s.c.file, I915_GEM_MMAP_OFFSET, &map), -ENODEV);
	i915_scene_fini(&s);
}

/* ---- mapping, closing ------------------------------------------------------------------------ */

static int map_offset(uint32_t handle, uint64_t flags, uint64_t extensions)
{
	struct drm_i915_gem_mmap_offset args = {
		.handle = handle, .flags = flags, .extensions = extensions,
	};

	return IOCTL(s.c.file, I915_GEM_MMAP_OFFSET, &args);
}

static void how_the_cpu_maps_depends_on_the_gpu(void)
{
	static const char *const gpus[] = { "dg2", "tgl" };

	for (unsigned i = 0; i < ARRAY_LEN(gpus); i++) {
		i915_scene_init(&s, gpus[i], 2);
		for (uint64_t kind = 0; kind <= I915_MMAP_OFFSET_FIXED; kind++) {
			bool fits = (kind == I915_MMAP_OFFSET_FIXED) == i915_has_vram(&s.c);

			CHECK_ERR(map_offset(s.bo, kind, 0), fits ? 0 : -ENODEV);
		}
		i915_scene_fini(&s);
	}
}

static void mapping_checks_what_it_is_given(void)
{
	struct i915_user_extension ext = { 0 };

	i915_scene_init(&s, "dg2", 2);
	CHECK_ERR(map_offset(99, I915_MMAP_OFFSET_FIXED, 0), -ENOENT);
	CHECK_ERR(map_offset(s.bo, I915_MMAP_OFFSET_FIXED + 1, 0), -EINVAL);
	CHECK_ERR(map_offset(s.bo, UINT64_MAX, 0), -EINVAL);
	CHECK_ERR(map_offset(s.bo, I915_MMAP_OFFSET_FIXED, PTR(&ext)), -EINVAL);
	CHECK_ERR(map_offset(s.bo, I915_MMAP_OFFSET_FIXED, CLIENT_BAD), -EFAULT);
	i915_scene_fini(&s);
}

static void test_B01_a_mapping_outlives_the_handle(void)
{
	i915_scene_init(&s, "dg2", 2);
	s.cpu[100] = 9;
	CHECK_OK(client_gem_close(s.c.file, s.bo));
	CHECK_EQ(i915_read(&s, I915_AT + 400), 9);
	CHECK_ERR(i915_bind(&s.c, s.vm, s.bo, SZ_1G, 0, SZ_64K), -ENOENT);
	CHECK_ERR(client_gem_close(s.c.file, s.bo), -EINVAL);
	i915_scene_fini(&s);
}

static void handles_are_a_files_own(void)
{
	struct uapi_file *mine;

	i915_scene_init(&s, "dg2", 2);
	mine = s.c.file;
	s.c.file = client_open(&s.c, true);
	CHECK_ERR(map_offset(s.bo, I915_MMAP_OFFSET_FIXED, 0), -ENOENT);
	CHECK_ERR(i915_bind(&s.c, i915_vm(&s.c), s.bo, SZ_1G, 0, SZ_64K), -ENOENT);
	uapi_close(s.c.file);
	s.c.file = mine;
	i915_scene_fini(&s);
}

/* A struct may be shorter or longer than ours: zeroes follow, what is behind is left alone. */
static void structs_of_other_sizes(void)
{
	struct {
		struct drm_i915_gem_create_ext args;
		uint64_t more[2];
	} longer = { .args.size = 1, .more = { 3, 4 } };
	struct drm_i915_gem_create_ext shorter = { .size = 1, .extensions = CLIENT_BAD };

	i915_scene_init(&s, "dg2", 2);
	CHECK_OK(client_ioctl(s.c.file, DRM_REQ_IOWR(0x7c, longer), &longer));
	CHECK(longer.args.handle && longer.more[0] == 3 && longer.more[1] == 4);
	CHECK_OK(client_ioctl(s.c.file, DRM_REQ_IOWR(0x7c, struct drm_i915_gem_create), &shorter));
	CHECK(shorter.handle && shorter.extensions == CLIENT_BAD);
	i915_scene_fini(&s);
}

static const struct test_case cases[] = {
	TEST(create_refuses_sizes_that_cannot_be),
	TEST(create_tells_the_size_in_whole_pages),
	TEST(create_without_extensions_is_in_system_memory),
	TEST(create_ext_refuses_unknown_flags),
	TEST(chains_are_read_to_their_end),
	TEST(extensions_have_reserved_fields),
	TEST(a_chain_that_is_a_circle_ends),
	TEST(regions_are_those_of_the_query),
	TEST(an_integrated_gpu_has_no_memory_of_its_own),
	TEST(regions_are_named_once),
	TEST(pointers_of_regions_may_be_bad),
	TEST(what_the_cpu_needs_has_somewhere_to_go),
	TEST(local_objects_are_of_64_KiB_pages),
	TEST(test_B14_a_private_object_names_its_address_space),
	TEST(test_B14_private_to_an_address_space_of_VM_BIND_only),
	TEST(test_B14_a_private_object_is_mapped_in_its_address_space_only),
	TEST(test_B14_a_private_object_is_not_shared),
	TEST(test_B14_a_shared_object_is_mapped_anywhere),
	TEST(userptr_is_of_whole_pages),
	TEST(userptr_flags),
	TEST(test_B08_client_memory_is_bound_like_any_object),
	TEST(test_B08_client_memory_that_is_only_read),
	TEST(client_memory_stays_with_its_client),
	TEST(how_the_cpu_maps_depends_on_the_gpu),
	TEST(mapping_checks_what_it_is_given),
	TEST(test_B01_a_mapping_outlives_the_handle),
	TEST(handles_are_a_files_own),
	TEST(structs_of_other_sizes),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
