// SPDX-License-Identifier: MIT
/* VM_BIND and VM_UNBIND of i915: what they check, alignment, parts and aliases, force. */
#include "i915_client.h"

#include <string.h>

static struct i915_scene s;

static int bind(struct drm_i915_gem_vm_bind args)
{
	return IOCTL(s.c.file, I915_GEM_VM_BIND, &args);
}

static int unbind(struct drm_i915_gem_vm_unbind args)
{
	return client_ioctl(s.c.file, DRM_IOCTL_I915_GEM_VM_UNBIND_56, &args);
}

/* A good request, changed in one place per check. */
#define BIND(...)                                                                                  \
	bind((struct drm_i915_gem_vm_bind){ .vm_id = s.vm, .handle = s.bo, .start = SZ_1G,         \
					    .length = SZ_64K, __VA_ARGS__ })
#define UNBIND(...)                                                                                \
	unbind((struct drm_i915_gem_vm_unbind){ .vm_id = s.vm, .start = I915_AT,                   \
						.length = SZ_64K, __VA_ARGS__ })
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winitializer-overrides"
#endif

static unsigned mapped(void)
{
	return i915_mappings(&s.c, s.vm, NULL, 0);
}

/* ---- what is checked ------------------------------------------------------------------------- */

static void test_B07_capture_is_the_only_flag_of_a_bind(void)
{
	i915_scene_init(&s, "dg2", 2);
	for (unsigned bit = 1; bit < 64; bit++) {
		CHECK_ERR(BIND(.flags = UINT64_C(1) << bit), -EINVAL);
	}
	CHECK_EQ(mapped(), 1);
	CHECK_OK(BIND(.flags = I915_GEM_VM_BIND_CAPTURE));
	CHECK_EQ(mapped(), 2);
	i915_scene_fini(&s);
}

static void an_unbind_has_no_flags(void)
{
	i915_scene_init(&s, "dg2", 2);
	for (unsigned bit = 0; bit < 64; bit++) {
		CHECK_ERR(UNBIND(.flags = UINT64_C(1) << bit), -EINVAL);
	}
	CHECK_ERR(UNBIND(.rsvd = 1), -EINVAL);
	CHECK_ERR(UNBIND(.rsvd = 1u << 31), -EINVAL);
	CHECK_EQ(mapped(), 1);
	CHECK_OK(UNBIND(.flags = 0));
	CHECK_EQ(mapped(), 0);
	i915_scene_fini(&s);
}

static void numbers_that_are_unknown(void)
{
	i915_scene_init(&s, "dg2", 2);
	CHECK_ERR(BIND(.vm_id = 0), -ENOENT);
	CHECK_ERR(BIND(.vm_id = 99), -ENOENT);
	CHECK_ERR(BIND(.handle = 0), -ENOENT);
	CHECK_ERR(BIND(.handle = 99), -ENOENT);
	CHECK_ERR(UNBIND(.vm_id = 0), -ENOENT);
	CHECK_ERR(UNBIND(.vm_id = UINT32_MAX), -ENOENT);
	CHECK_EQ(mapped(), 1);
	i915_scene_fini(&s);
}

static void structs_that_are_not_there(void)
{
	i915_scene_init(&s, "dg2", 2);
	CHECK_ERR(uapi_ioctl(s.c.file, DRM_IOCTL_I915_GEM_VM_BIND, CLIENT_BAD), -EFAULT);
	CHECK_ERR(uapi_ioctl(s.c.file, DRM_IOCTL_I915_GEM_VM_UNBIND, CLIENT_BAD), -EFAULT);
	CHECK_ERR(uapi_ioctl(s.c.file, DRM_IOCTL_I915_GEM_VM_UNBIND_56, 0), -EFAULT);
	i915_scene_fini(&s);
}

/* The final RFC defines none; those of the revision before are tested with the user fences. */
static void extensions_that_are_unknown(void)
{
	struct i915_user_extension ext = { .name = 3 };

	i915_scene_init(&s, "dg2", 2);
	CHECK_ERR(BIND(.extensions = PTR(&ext)), -EINVAL);
	CHECK_ERR(UNBIND(.extensions = PTR(&ext)), -EINVAL);
	ext.name = UINT32_MAX;
	CHECK_ERR(BIND(.extensions = PTR(&ext)), -EINVAL);
	CHECK_ERR(BIND(.extensions = CLIENT_BAD), -EFAULT);
	CHECK_ERR(UNBIND(.extensions = CLIENT_BAD), -EFAULT);
	CHECK_EQ(mapped(), 1);
	i915_scene_fini(&s);
}

static void a_length_of_nothing(void)
{
	i915_scene_init(&s, "dg2", 2);
	CHECK_ERR(BIND(.length = 0), -EINVAL);
	CHECK_ERR(UNBIND(.length = 0), -EINVAL);
	CHECK_EQ(mapped(), 1);
	i915_scene_fini(&s);
}

static void sections_that_the_object_does_not_have(void)
{
	i915_scene_init(&s, "tgl", 2);
	CHECK_ERR(BIND(.offset = SZ_64K), -EINVAL);
	CHECK_ERR(BIND(.offset = SZ_4K), -EINVAL);
	CHECK_ERR(BIND(.length = SZ_64K + SZ_4K), -EINVAL);
	CHECK_ERR(BIND(.offset = -(uint64_t)SZ_4K, .length = 2 * SZ_4K), -EINVAL);
	CHECK_ERR(BIND(.length = -(uint64_t)SZ_4K), -EINVAL);
	CHECK_EQ(mapped(), 1);
	i915_scene_fini(&s);
}

/* ---- alignment ------------------------------------------------------------------------------- */

static void test_B29_all_is_aligned_to_4_KiB(void)
{
	i915_scene_init(&s, "tgl", 2);
	for (uint64_t off = 1; off < SZ_4K; off *= 2) {
		CHECK_ERR(BIND(.start = SZ_1G + off), -EINVAL);
		CHECK_ERR(BIND(.offset = off, .length = SZ_4K), -EINVAL);
		CHECK_ERR(BIND(.length = SZ_4K + off), -EINVAL);
		CHECK_ERR(UNBIND(.start = I915_AT + off), -EINVAL);
		CHECK_ERR(UNBIND(.length = SZ_4K + off), -EINVAL);
	}
	CHECK_EQ(mapped(), 1);
	CHECK_OK(BIND(.start = SZ_1G + SZ_4K, .offset = SZ_4K, .length = SZ_4K));
	i915_scene_fini(&s);
}

static void test_B29_local_objects_are_aligned_to_64_KiB(void)
{
	i915_scene_init(&s, "dg2", 2);
	s.bo = i915_bo(&s.c, 2 * SZ_64K);
	for (uint64_t off = SZ_4K; off < SZ_64K; off *= 2) {
		CHECK_ERR(BIND(.start = SZ_1G + off), -EINVAL);
		CHECK_ERR(BIND(.offset = off), -EINVAL);
		CHECK_ERR(BIND(.length = SZ_64K + off), -EINVAL);
	}
	CHECK_EQ(mapped(), 1);
	CHECK_OK(BIND(.start = SZ_1G + SZ_64K, .offset = SZ_64K));
	i915_scene_fini(&s);
}

static void test_B29_system_objects_are_aligned_to_4_KiB_there_too(void)
{
	i915_scene_init(&s, "dg2", 2);
	s.bo = i915_bo_system(&s.c, SZ_64K);
	CHECK_OK(BIND(.start = SZ_1G + SZ_4K, .offset = SZ_4K, .length = SZ_4K));
	CHECK_ERR(BIND(.start = SZ_1G + 512), -EINVAL);
	i915_scene_fini(&s);
}

static void test_B29_objects_that_may_be_local_are_aligned_as_if(void)
{
	const struct drm_i915_gem_memory_class_instance regions[2] = { { 0, 0 }, { 1, 0 } };
	struct drm_i915_gem_create_ext_memory_regions ext = {
		.num_regions = 2, .regions = PTR(regions),
	};

	i915_scene_init(&s, "dg2", 2);
	CHECK_OK(i915_create_ext(s.c.file, SZ_64K, 0, &ext, &s.bo));
	CHECK_ERR(BIND(.start = SZ_1G + SZ_4K), -EINVAL);
	CHECK_ERR(BIND(.length = SZ_4K), -EINVAL);
	CHECK_OK(BIND(.start = SZ_1G));
	i915_scene_fini(&s);
}

static void test_B29_an_unbind_is_aligned_to_4_KiB(void)
{
	i915_scene_init(&s, "dg2", 2);
	CHECK_OK(UNBIND(.start = SZ_1G + SZ_4K, .length = SZ_4K)); /* nothing is there */
	CHECK_ERR(UNBIND(.start = SZ_1G + 2048), -EINVAL);
	i915_scene_fini(&s);
}

static void test_B29_the_kinds_of_pages_do_not_mix_in_2_MiB(void)
{
	uint32_t system;

	i915_scene_init(&s, "dg2", 2);
	system = i915_bo_system(&s.c, SZ_64K);
	CHECK_OK(BIND(.start = SZ_1G)); /* local */
	CHECK_ERR(BIND(.handle = system, .start = SZ_1G + SZ_64K), -EINVAL);
	CHECK_ERR(BIND(.handle = system, .start = SZ_1G + SZ_2M - SZ_4K, .length = SZ_4K), -EINVAL);
	CHECK_OK(BIND(.handle = system, .start = SZ_1G + SZ_2M));
	CHECK_ERR(BIND(.start = SZ_1G + SZ_2M + SZ_64K), -EINVAL);
	CHECK_ERR(BIND(.start = SZ_1G + 2 * SZ_2M - SZ_64K), -EINVAL);
	CHECK_OK(BIND(.start = SZ_1G + 2 * SZ_2M));
	/* Alike they may stand side by side. */
	CHECK_OK(BIND(.start = SZ_1G + SZ_64K));
	CHECK_OK(BIND(.handle = system, .start = SZ_1G + SZ_2M + SZ_64K));
	i915_scene_fini(&s);
}

static void test_B29_what_is_unbound_mixes_with_nothing(void)
{
	uint32_t system;

	i915_scene_init(&s, "dg2", 2);
	system = i915_bo_system(&s.c, SZ_64K);
	CHECK_OK(BIND(.start = SZ_1G));
	CHECK_OK(UNBIND(.start = SZ_1G));
	CHECK_OK(BIND(.handle = system, .start = SZ_1G + SZ_64K));
	CHECK_ERR(BIND(.start = SZ_1G), -EINVAL);
	CHECK_OK(UNBIND(.start = SZ_1G + SZ_64K));
	CHECK_OK(BIND(.start = SZ_1G));
	i915_scene_fini(&s);
}

static void test_B29_they_do_where_pages_are_of_one_kind(void)
{
	i915_scene_init(&s, "tgl", 2);
	CHECK_OK(BIND(.start = SZ_1G));
	CHECK_OK(BIND(.start = SZ_1G + SZ_64K, .length = SZ_4K));
	i915_scene_fini(&s);
}

/* ---- parts and aliases ----------------------------------------------------------------------- */

static void test_B06_a_section_of_an_object(void)
{
	i915_scene_init(&s, "tgl", 2);
	s.cpu[3 * SZ_4K / 4] = 33;
	CHECK_OK(BIND(.offset = 3 * SZ_4K, .length = SZ_4K));
	CHECK_EQ(i915_read(&s, SZ_1G), 33);
	CHECK_EQ(i915_read(&s, SZ_1G + SZ_4K), 0); /* no more than asked for */
	i915_scene_fini(&s);
}

static void test_B05_aliases_show_the_same_pages(void)
{
	i915_scene_init(&s, "dg2", 2);
	CHECK_OK(BIND(.start = SZ_1G));
	CHECK_OK(BIND(.start = 2 * SZ_1G));
	CHECK_OK(i915_exec_wait(&s.c, s.ctx, i915_store(&s, 0, SZ_1G + 2048, 12)));
	CHECK_EQ(s.cpu[512], 12);
	CHECK_EQ(i915_read(&s, 2 * SZ_1G + 2048), 12);
	/* One goes, the others stay. */
	CHECK_OK(UNBIND(.start = SZ_1G));
	CHECK_EQ(i915_read(&s, 2 * SZ_1G + 2048), 12);
	CHECK_EQ(i915_read(&s, SZ_1G + 2048), 0);
	i915_scene_fini(&s);
}

static void test_B05_aliases_of_overlapping_sections(void)
{
	i915_scene_init(&s, "tgl", 2);
	CHECK_OK(BIND(.start = SZ_1G, .offset = 0, .length = 2 * SZ_4K));
	CHECK_OK(BIND(.start = 2 * SZ_1G, .offset = SZ_4K, .length = 2 * SZ_4K));
	CHECK_OK(i915_exec_wait(&s.c, s.ctx, i915_store(&s, 0, SZ_1G + SZ_4K + 8, 21)));
	CHECK_EQ(i915_read(&s, 2 * SZ_1G + 8), 21);
	i915_scene_fini(&s);
}

static void test_B01_mappings_stay_over_submissions(void)
{
	i915_scene_init(&s, "dg2", 2);
	CHECK_OK(BIND(.start = SZ_1G));
	for (uint32_t i = 1; i <= 20; i++) {
		CHECK_OK(i915_exec_wait(&s.c, s.ctx, i915_store(&s, 0, SZ_1G + 2048, i)));
		CHECK_EQ(s.cpu[512], i);
	}
	i915_scene_fini(&s);
}

/* ---- unbinding ------------------------------------------------------------------------------- */

static void test_B28_nothing_there_is_no_error(void)
{
	for (unsigned version = 1; version <= 2; version++) {
		i915_scene_init(&s, "dg2", version);
		CHECK_OK(UNBIND(.start = SZ_1G));
		CHECK_OK(UNBIND(.start = SZ_1G, .length = SZ_1G));
		CHECK_OK(UNBIND(.start = I915_AT));
		CHECK_OK(UNBIND(.start = I915_AT)); /* not any more */
		CHECK_EQ(mapped(), 0);
		i915_scene_fini(&s);
	}
}

static void test_B28_an_unbind_waits_for_no_job(void)
{
	uint32_t done;
	struct drm_i915_gem_timeline_fence out;

	i915_scene_init(&s, "dg2", 2);
	done = client_syncobj(s.c.file, false);
	out = i915_fence(done, 0, I915_TIMELINE_FENCE_SIGNAL);
	CHECK_OK(BIND(.start = SZ_1G));
	CHECK_OK(i915_exec(&s.c, s.ctx, i915_spin(&s, 0, 4096), &out, 1));
	CHECK_OK(UNBIND(.start = SZ_1G)); /* the job needs it, for all we know */
	CHECK_EQ(mapped(), 1);
	CHECK_ERR(client_syncobj_wait(s.c.file, done, 0), -ETIME);
	i915_stop(&s, 4096);
	CHECK_OK(client_syncobj_wait(s.c.file, done, INT64_MAX));
	i915_scene_fini(&s);
}

static void test_B28_what_is_unbound_is_not_reached(void)
{
	i915_scene_init(&s, "dg2", 2);
	CHECK_OK(BIND(.start = SZ_1G));
	s.cpu[512] = 7;
	CHECK_EQ(i915_read(&s, SZ_1G + 2048), 7);
	CHECK_OK(UNBIND(.start = SZ_1G));
	CHECK_EQ(i915_read(&s, SZ_1G + 2048), 0);
	i915_scene_fini(&s);
}

static void both_encodings_of_an_unbind(void)
{
	struct {
		struct drm_i915_gem_vm_unbind args;
		uint64_t more;
	} as_bind = { .args = { .start = I915_AT, .length = SZ_64K }, .more = UINT64_MAX };
	struct drm_i915_gem_vm_unbind args = { .start = I915_AT, .length = SZ_64K };

	i915_scene_init(&s, "dg2", 1);
	_Static_assert(sizeof(as_bind) == sizeof(struct drm_i915_gem_vm_bind), "the RFC's size");
	as_bind.args.vm_id = args.vm_id = s.vm;
	CHECK_OK(client_ioctl(s.c.file, DRM_IOCTL_I915_GEM_VM_UNBIND, &as_bind));
	CHECK_EQ(mapped(), 0);
	CHECK_EQ(as_bind.more, UINT64_MAX); /* not looked at, not written */
	CHECK_OK(BIND(.start = I915_AT));
	CHECK_OK(client_ioctl(s.c.file, DRM_IOCTL_I915_GEM_VM_UNBIND_56, &args));
	CHECK_EQ(mapped(), 0);
	i915_scene_fini(&s);
}

static void both_encodings_check_the_same(void)
{
	const uint32_t cmd[] = { DRM_IOCTL_I915_GEM_VM_UNBIND, DRM_IOCTL_I915_GEM_VM_UNBIND_56 };
	struct drm_i915_gem_vm_unbind args[2]; /* the first, with room behind it */

	i915_scene_init(&s, "dg2", 2);
	for (unsigned i = 0; i < ARRAY_LEN(cmd); i++) {
		memset(args, 0, sizeof(args));
		args[0] = (struct drm_i915_gem_vm_unbind){ .vm_id = s.vm, .start = I915_AT };
		CHECK_ERR(client_ioctl(s.c.file, cmd[i], args), -EINVAL);
		args[0].length = SZ_64K;
		args[0].fence.flags = I915_TIMELINE_FENCE_WAIT;
		CHECK_ERR(client_ioctl(s.c.file, cmd[i], args), -EINVAL);
		args[0].fence.flags = 0;
		args[0].extensions = CLIENT_BAD;
		CHECK_ERR(client_ioctl(s.c.file, cmd[i], args), -EFAULT);
	}
	CHECK_EQ(mapped(), 1);
	i915_scene_fini(&s);
}

/* ---- sizes, errors, threads ------------------------------------------------------------------ */

/* Without its fence and extensions, which are then none; with more, which is left alone. */
static void structs_of_other_sizes(void)
{
	struct drm_i915_gem_vm_bind args[2];

	i915_scene_init(&s, "dg2", 2);
	memset(args, 0xff, sizeof(args));
	args[0].vm_id = s.vm;
	args[0].handle = s.bo;
	args[0].start = SZ_1G;
	args[0].offset = args[0].flags = 0;
	args[0].length = SZ_64K;
	CHECK_ERR(IOCTL(s.c.file, I915_GEM_VM_BIND, args), -EINVAL);
	CHECK_OK(client_ioctl(s.c.file, DRM_REQ_IOWR(0x7d, uint64_t[5]), args));
	CHECK_EQ(mapped(), 2);
	memset(&args[0].fence, 0, sizeof(args[0].fence));
	args[0].extensions = 0;
	args[0].start = 2 * SZ_1G;
	CHECK_OK(client_ioctl(s.c.file, DRM_REQ_IOWR(0x7d, args), args));
	CHECK_EQ(mapped(), 3);
	CHECK_EQ(args[1].start, UINT64_MAX);
	i915_scene_fini(&s);
}

static void test_A23_an_error_changes_nothing(void)
{
	struct vm_mapping before[2], after[2];
	uint32_t other;

	i915_scene_init(&s, "dg2", 2);
	other = i915_bo_private(&s.c, i915_vm(&s.c), SZ_64K);
	CHECK_EQ(i915_mappings(&s.c, s.vm, before, 2), 1);
	CHECK_ERR(BIND(.start = I915_AT, .handle = other), -EINVAL);
	CHECK_ERR(BIND(.start = I915_AT, .extensions = CLIENT_BAD), -EFAULT);
	CHECK_ERR(BIND(.start = I915_AT, .offset = SZ_64K), -EINVAL);
	CHECK_ERR(BIND(.start = I915_AT, .fence = i915_fence(99, 0, 2)), -ENOENT);
	CHECK_ERR(UNBIND(.fence = i915_fence(99, 0, 2)), -ENOENT);
	CHECK_ERR(UNBIND(.extensions = CLIENT_BAD), -EFAULT);
	CHECK_EQ(i915_mappings(&s.c, s.vm, after, 2), 1);
	CHECK(i915_same_mappings(before, after, 1));
	i915_scene_fini(&s);
}

/* Full memory is -ENOMEM here, as -ENOSPC says something else (A20, A22). */
static void test_A22_memory_that_is_full(void)
{
	struct uapi_config config = i915_config("dg2", 2);
	uint32_t bo;

	config.system_B = 16 << 20;
	i915_scene_init_as(&s, &config, 0);
	bo = i915_bo_system(&s.c, 15 << 20);
	CHECK_OK(BIND(.handle = bo, .length = 15 << 20));
	s.bo = i915_bo_system(&s.c, 15 << 20);
	CHECK_ERR(BIND(.start = 2 * SZ_1G, .length = 15 << 20), -ENOMEM);
	CHECK_EQ(mapped(), 2);
	/* Free some, try again. */
	CHECK_OK(client_gem_close(s.c.file, bo));
	CHECK_OK(UNBIND(.start = SZ_1G, .length = 15 << 20));
	CHECK_OK(BIND(.start = 2 * SZ_1G, .length = 15 << 20));
	i915_scene_fini(&s);
}

#define ROUNDS 50

static void bind_and_unbind(void *arg)
{
	uint64_t at = *(const uint64_t *)arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		CHECK_OK(i915_bind(&s.c, s.vm, s.bo, at, 0, SZ_64K));
		CHECK_OK(i915_unbind(&s.c, s.vm, at, SZ_64K));
	}
}

static void threads_at(uint64_t first, uint64_t second)
{
	const uint64_t at[2] = { first, second };
	struct port_thread *thread[2];

	for (unsigned i = 0; i < 2; i++) {
		CHECK_OK(port_thread_create(&thread[i], "binder", bind_and_unbind,
					    (void *)(uintptr_t)&at[i]));
	}
	for (unsigned i = 0; i < ROUNDS; i++) {
		CHECK_OK(i915_exec_wait(&s.c, s.ctx, i915_store(&s, 0, I915_AT + 1024, i)));
	}
	port_thread_join(thread[0]);
	port_thread_join(thread[1]);
	CHECK_EQ(mapped(), 1);
}

/* Beside each other and beside submissions; also at one address, where either order is right. */
static void test_B04_threads_are_not_ordered(void)
{
	i915_scene_init(&s, "dg2", 2);
	threads_at(SZ_1G, SZ_1G + SZ_64K);
	threads_at(SZ_1G, SZ_1G);
	i915_scene_fini(&s);
}

static const struct test_case cases[] = {
	TEST(test_B07_capture_is_the_only_flag_of_a_bind),
	TEST(an_unbind_has_no_flags),
	TEST(numbers_that_are_unknown),
	TEST(structs_that_are_not_there),
	TEST(extensions_that_are_unknown),
	TEST(a_length_of_nothing),
	TEST(sections_that_the_object_does_not_have),
	TEST(test_B29_all_is_aligned_to_4_KiB),
	TEST(test_B29_local_objects_are_aligned_to_64_KiB),
	TEST(test_B29_system_objects_are_aligned_to_4_KiB_there_too),
	TEST(test_B29_objects_that_may_be_local_are_aligned_as_if),
	TEST(test_B29_an_unbind_is_aligned_to_4_KiB),
	TEST(test_B29_the_kinds_of_pages_do_not_mix_in_2_MiB),
	TEST(test_B29_what_is_unbound_mixes_with_nothing),
	TEST(test_B29_they_do_where_pages_are_of_one_kind),
	TEST(test_B06_a_section_of_an_object),
	TEST(test_B05_aliases_show_the_same_pages),
	TEST(test_B05_aliases_of_overlapping_sections),
	TEST(test_B01_mappings_stay_over_submissions),
	TEST(test_B28_nothing_there_is_no_error),
	TEST(test_B28_an_unbind_waits_for_no_job),
	TEST(test_B28_what_is_unbound_is_not_reached),
	TEST(both_encodings_of_an_unbind),
	TEST(both_encodings_check_the_same),
	TEST(structs_of_other_sizes),
	TEST(test_A23_an_error_changes_nothing),
	TEST(test_A22_memory_that_is_full),
	TEST(test_B04_threads_are_not_ordered),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
