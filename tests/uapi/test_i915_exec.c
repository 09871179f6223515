// SPDX-License-Identifier: MIT
/* EXECBUFFER3: what it takes, what it refuses, what is there when a batch runs. */
#include "i915_client.h"

#include <string.h>

#include "uapi/drm/drm.h"

static struct i915_scene s;

static int exec(struct drm_i915_gem_execbuffer3 args)
{
	return IOCTL(s.c.file, I915_GEM_EXECBUFFER3, &args);
}

/* A good request, changed in one place per check. */
#define EXEC(...)                                                                                  \
	exec((struct drm_i915_gem_execbuffer3){ .ctx_id = s.ctx, .batch_address = I915_AT,         \
						__VA_ARGS__ })
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winitializer-overrides"
#endif

/* With a batch that stores 1 behind itself. */
static void setup(const char *gpu)
{
	i915_scene_init(&s, gpu, 2);
	(void)i915_store(&s, 0, I915_AT + 2048, 1);
}

static void test_B11_a_batch_by_its_address(void)
{
	setup("dg2");
	CHECK_OK(i915_exec_wait(&s.c, s.ctx, I915_AT));
	CHECK_EQ(s.cpu[512], 1);
	i915_scene_fini(&s);
}

static void test_B11_what_is_reserved_is_zero(void)
{
	setup("dg2");
	for (unsigned bit = 0; bit < 64; bit++) {
		CHECK_ERR(EXEC(.flags = UINT64_C(1) << bit), -EINVAL);
		CHECK_ERR(EXEC(.rsvd2 = UINT64_C(1) << bit), -EINVAL);
		CHECK_ERR(EXEC(.rsvd1 = (uint32_t)(UINT64_C(1) << (bit % 32))), -EINVAL);
	}
	i915_scene_fini(&s);
}

static void test_B11_there_is_no_default_context(void)
{
	setup("dg2");
	CHECK_ERR(EXEC(.ctx_id = 0), -ENOENT);
	CHECK_ERR(EXEC(.ctx_id = 99), -ENOENT);
	CHECK_OK(i915_context_destroy(&s.c, s.ctx));
	CHECK_ERR(EXEC(.flags = 0), -ENOENT);
	i915_scene_fini(&s);
}

static void contexts_are_a_files_own(void)
{
	struct uapi_file *mine;

	setup("dg2");
	mine = s.c.file;
	s.c.file = client_open(&s.c, true);
	CHECK_ERR(EXEC(.flags = 0), -ENOENT);
	uapi_close(s.c.file);
	s.c.file = mine;
	i915_scene_fini(&s);
}

static void test_B11_an_index_of_the_engine_map(void)
{
	setup("dg2");
	CHECK_OK(EXEC(.engine_idx = 9));
	CHECK_ERR(EXEC(.engine_idx = 10), -EINVAL);
	CHECK_ERR(EXEC(.engine_idx = UINT32_MAX), -EINVAL);
	i915_scene_fini(&s);
}

static void test_B11_a_context_without_an_engine_map(void)
{
	uint32_t ctx;

	setup("dg2");
	CHECK_OK(i915_context_of(s.c.file, s.vm, 0, NULL, 0, &ctx));
	CHECK_ERR(EXEC(.ctx_id = ctx), -EINVAL);
	i915_scene_fini(&s);
}

static void test_B10_an_address_space_without_VM_BIND(void)
{
	struct drm_i915_gem_vm_control args = { 0 };

	setup("dg2");
	CHECK_OK(IOCTL(s.c.file, I915_GEM_VM_CREATE, &args));
	CHECK_ERR(EXEC(.ctx_id = i915_context(&s.c, args.vm_id, 0)), -EINVAL);
	CHECK_ERR(EXEC(.ctx_id = i915_context(&s.c, 0, 0)), -EINVAL); /* with none at all */
	i915_scene_fini(&s);
}

static void test_B10_no_EXECBUFFER2_with_VM_BIND(void)
{
	struct drm_i915_gem_execbuffer2 args = { 0 };

	setup("dg2");
	args.rsvd1 = s.ctx;
	CHECK_ERR(IOCTL(s.c.file, I915_GEM_EXECBUFFER2, &args), -EINVAL);
	CHECK_ERR(IOCTL(s.c.file, I915_GEM_EXECBUFFER2_WR, &args), -EINVAL);
	args.rsvd1 = 99;
	CHECK_ERR(IOCTL(s.c.file, I915_GEM_EXECBUFFER2, &args), -ENOENT);
	i915_scene_fini(&s);
}

/* Nor without: the device takes no lists of objects at all. */
static void EXECBUFFER2_is_not_offered(void)
{
	struct drm_i915_gem_execbuffer2 args = { 0 };
	struct drm_i915_gem_vm_control vm = { 0 };

	setup("dg2");
	CHECK_ERR(IOCTL(s.c.file, I915_GEM_EXECBUFFER2, &args), -EOPNOTSUPP);
	CHECK_OK(IOCTL(s.c.file, I915_GEM_VM_CREATE, &vm));
	args.rsvd1 = i915_context(&s.c, vm.vm_id, 0);
	CHECK_ERR(IOCTL(s.c.file, I915_GEM_EXECBUFFER2_WR, &args), -EOPNOTSUPP);
	i915_scene_fini(&s);
}

static void extensions_that_are_unknown(void)
{
	struct i915_user_extension ext = { .name = 0 };

	setup("dg2");
	CHECK_ERR(EXEC(.extensions = PTR(&ext)), -EINVAL);
	ext.name = 2;
	CHECK_ERR(EXEC(.extensions = PTR(&ext)), -EINVAL);
	CHECK_ERR(EXEC(.extensions = CLIENT_BAD), -EFAULT);
	i915_scene_fini(&s);
}

/* ---- parallel submission --------------------------------------------------------------------- */

static uint32_t wide_context(void)
{
	struct {
		struct i915_context_engines_parallel_submit ext;
		struct i915_engine_class_instance engine[2];
	} p = { .ext = { .base.name = I915_CONTEXT_ENGINES_EXT_PARALLEL_SUBMIT, .width = 2,
			 .num_siblings = 1 },
		.engine = { { I915_ENGINE_CLASS_VIDEO, 0 }, { I915_ENGINE_CLASS_VIDEO, 1 } } };
	struct {
		struct i915_context_param_engines head;
		struct i915_engine_class_instance engine[2];
	} map = { .engine = { { I915_ENGINE_CLASS_INVALID, I915_ENGINE_CLASS_INVALID_NONE } } };
	uint32_t ctx;

	map.head.extensions = PTR(&p);
	CHECK_OK(i915_context_of(s.c.file, s.vm, 0, &map.head, sizeof(map), &ctx));
	return ctx;
}

static void test_B11_a_parallel_place_takes_an_array(void)
{
	uint64_t batches[2] = { I915_AT, I915_AT + 1024 };
	uint32_t ctx;

	setup("tgl");
	ctx = wide_context();
	(void)i915_store(&s, 1024, I915_AT + 2052, 2);
	CHECK_OK(i915_exec_wait(&s.c, ctx, PTR(batches)));
	CHECK_EQ(s.cpu[512], 1);
	CHECK_EQ(s.cpu[513], 2);
	i915_scene_fini(&s);
}

static void the_array_may_not_be_there(void)
{
	setup("dg2");
	CHECK_ERR(EXEC(.ctx_id = wide_context(), .batch_address = CLIENT_BAD), -EFAULT);
	CHECK_ERR(EXEC(.ctx_id = wide_context(), .batch_address = 0), -EFAULT);
	CHECK_EQ(s.cpu[512], 0);
	i915_scene_fini(&s);
}

/* The first waits for what the second does: both have to run. */
static void the_batches_run_side_by_side(void)
{
	uint64_t batches[2];

	setup("dg2");
	batches[0] = i915_spin(&s, 0, 4096);
	batches[1] = i915_store(&s, 1024, I915_AT + 4096, 0);
	CHECK_OK(i915_exec_wait(&s.c, wide_context(), PTR(batches)));
	i915_scene_fini(&s);
}

/* ---- what is there --------------------------------------------------------------------------- */

/* No list says what is needed: all that is mapped is, also what had to give way meanwhile. */
static void test_B11_all_that_is_mapped_is_there(void)
{
	struct uapi_config config = i915_config("dg2", 2);
	uint32_t vm[2], ctx[2], bo[2];

	config.vram_B = 64 << 20;
	config.vram_copies = false;
	i915_scene_init_as(&s, &config, 0);
	for (unsigned i = 0; i < 2; i++) {
		uint32_t *words;

		vm[i] = i915_vm(&s.c);
		bo[i] = i915_bo(&s.c, 48 << 20);
		words = i915_cpu(&s.c, bo[i], 48 << 20);
		words[1024] = 100 + i;
		(void)client_batch_store(words, SZ_1G + 4100, 200 + i);
		CHECK_OK(i915_bind(&s.c, vm[i], bo[i], SZ_1G, 0, 48 << 20));
		ctx[i] = i915_context(&s.c, vm[i], 0);
	}
	for (unsigned i = 0; i < 6; i++) {
		uint32_t *words = i915_cpu(&s.c, bo[i % 2], 48 << 20);

		words[1025] = 0;
		CHECK_OK(i915_exec_wait(&s.c, ctx[i % 2], SZ_1G));
		CHECK_EQ(words[1024], 100 + i % 2);
		CHECK_EQ(words[1025], 200 + i % 2);
	}
	i915_scene_fini(&s);
}

static void test_A20_more_than_there_is_memory_for(void)
{
	struct uapi_config config = i915_config("dg2", 2);
	uint32_t bo;

	config.vram_B = 64 << 20;
	i915_scene_init_as(&s, &config, 0);
	(void)i915_store(&s, 0, I915_AT + 2048, 1);
	for (unsigned i = 0; i < 2; i++) {
		bo = i915_bo(&s.c, 48 << 20);
		CHECK_OK(i915_bind(&s.c, s.vm, bo, SZ_1G * (1 + i), 0, 48 << 20));
	}
	CHECK_ERR(EXEC(.flags = 0), -ENOMEM);
	CHECK_OK(i915_unbind(&s.c, s.vm, SZ_1G, 48 << 20));
	CHECK_OK(i915_exec_wait(&s.c, s.ctx, I915_AT));
	i915_scene_fini(&s);
}

static void test_B13_an_object_is_active_while_a_job_may_use_it(void)
{
	uint32_t done;
	struct drm_i915_gem_timeline_fence out;
	struct fence *users;
	struct bo *bo;

	setup("dg2");
	done = client_syncobj(s.c.file, false);
	out = i915_fence(done, 0, I915_TIMELINE_FENCE_SIGNAL);
	bo = drm_gem_lookup(s.c.file, s.bo);
	CHECK_OK(i915_exec(&s.c, s.ctx, i915_spin(&s, 0, 4096), &out, 1));
	users = vm_bo_users(bo);
	CHECK(users && !fence_is_signalled(users));
	i915_stop(&s, 4096);
	CHECK_OK(client_syncobj_wait(s.c.file, done, INT64_MAX));
	CHECK_OK(fence_wait(users, PORT_FOREVER, 0));
	fence_put(users);
	bo_put(bo);
	i915_scene_fini(&s);
}

static void jobs_of_one_place_run_in_order(void)
{
	setup("dg2");
	for (uint32_t i = 1; i <= 5; i++) {
		(void)i915_store(&s, i * 32, I915_AT + 2048, i);
		if (i < 5) {
			CHECK_OK(EXEC(.batch_address = I915_AT + i * 32));
		}
	}
	CHECK_OK(i915_exec_wait(&s.c, s.ctx, I915_AT + 5 * 32));
	CHECK_EQ(s.cpu[512], 5);
	i915_scene_fini(&s);
}

/* ---- what goes wrong ------------------------------------------------------------------------- */

static void a_lost_context_is_EIO(void)
{
	struct drm_i915_gem_timeline_fence out;
	uint32_t other, done;

	setup("dg2");
	other = i915_context(&s.c, s.vm, 0);
	done = client_syncobj(s.c.file, false);
	out = i915_fence(done, 0, I915_TIMELINE_FENCE_SIGNAL);
	CHECK_OK(i915_exec(&s.c, s.ctx, i915_spin(&s, 0, 4096), &out, 1));
	while (client_syncobj_wait(s.c.file, done, (int64_t)port_now_ns() + 1000000) == -ETIME) {
		uapi_device_reset(s.c.device); /* once it has begun */
	}
	CHECK_ERR(EXEC(.engine_idx = 1), -EIO); /* all of the context, not one of its engines */
	CHECK_ERR(EXEC(.engine_idx = 0), -EIO);
	CHECK_ERR(EXEC(.engine_idx = 99), -EINVAL);
	CHECK_OK(i915_exec_wait(&s.c, other, i915_store(&s, 1024, I915_AT + 2048, 3)));
	CHECK_EQ(s.cpu[512], 3);
	i915_scene_fini(&s);
}

static void too_many_jobs_are_EAGAIN(void)
{
	struct i915_gate gate;
	struct drm_i915_gem_timeline_fence fence[2];
	uint32_t done;

	setup("dg2");
	gate = i915_gate(&s.c);
	done = client_syncobj(s.c.file, false);
	fence[0] = i915_fence(gate.syncobj, 0, I915_TIMELINE_FENCE_WAIT);
	fence[1] = i915_fence(done, 0, I915_TIMELINE_FENCE_SIGNAL);
	for (unsigned i = 0; i < 1000; i++) {
		CHECK_OK(i915_exec(&s.c, s.ctx, I915_AT, fence, 2));
	}
	CHECK_ERR(EXEC(.flags = 0), -EAGAIN);
	i915_gate_open(&gate);
	CHECK_OK(client_syncobj_wait(s.c.file, done, INT64_MAX));
	CHECK_OK(i915_exec_wait(&s.c, s.ctx, I915_AT));
	i915_scene_fini(&s);
}

static void structs_of_other_sizes(void)
{
	struct drm_i915_gem_execbuffer3 args[2];

	setup("dg2");
	memset(args, 0xff, sizeof(args));
	args[0].ctx_id = s.ctx;
	args[0].engine_idx = 0;
	args[0].batch_address = I915_AT;
	CHECK_ERR(IOCTL(s.c.file, I915_GEM_EXECBUFFER3, args), -EINVAL);
	CHECK_OK(client_ioctl(s.c.file, DRM_REQ_IOWR(0x7f, uint64_t[2]), args));
	args[0] = (struct drm_i915_gem_execbuffer3){ .ctx_id = s.ctx, .batch_address = I915_AT };
	CHECK_OK(client_ioctl(s.c.file, DRM_REQ_IOWR(0x7f, args), args));
	CHECK_EQ(args[1].flags, UINT64_MAX);
	CHECK_ERR(uapi_ioctl(s.c.file, DRM_IOCTL_I915_GEM_EXECBUFFER3, CLIENT_BAD), -EFAULT);
	i915_scene_fini(&s);
}

static void the_primary_node_is_served_too(void)
{
	struct uapi_file *render;

	setup("dg2");
	render = s.c.file;
	s.c.file = client_open(&s.c, false);
	CHECK_OK(i915_bind(&s.c, i915_vm(&s.c), i915_bo(&s.c, SZ_64K), SZ_2M, 0, SZ_64K));
	uapi_close(s.c.file);
	s.c.file = render;
	i915_scene_fini(&s);
}

static void requests_that_are_unknown(void)
{
	uint64_t room[16] = { 0 };

	setup("dg2");
	CHECK_ERR(client_ioctl(s.c.file, DRM_REQ_IOWR(0x81, room), room), -EINVAL);
	CHECK_ERR(client_ioctl(s.c.file, DRM_REQ_IOWR(0x40, room), room), -EINVAL);
	i915_scene_fini(&s);
}

static const struct test_case cases[] = {
	TEST(test_B11_a_batch_by_its_address),
	TEST(test_B11_what_is_reserved_is_zero),
	TEST(test_B11_there_is_no_default_context),
	TEST(contexts_are_a_files_own),
	TEST(test_B11_an_index_of_the_engine_map),
	TEST(test_B11_a_context_without_an_engine_map),
	TEST(test_B10_an_address_space_without_VM_BIND),
	TEST(test_B10_no_EXECBUFFER2_with_VM_BIND),
	TEST(EXECBUFFER2_is_not_offered),
	TEST(extensions_that_are_unknown),
	TEST(test_B11_a_parallel_place_takes_an_array),
	TEST(the_array_may_not_be_there),
	TEST(the_batches_run_side_by_side),
	TEST(test_B11_all_that_is_mapped_is_there),
	TEST(test_A20_more_than_there_is_memory_for),
	TEST(test_B13_an_object_is_active_while_a_job_may_use_it),
	TEST(jobs_of_one_place_run_in_order),
	TEST(a_lost_context_is_EIO),
	TEST(too_many_jobs_are_EAGAIN),
	TEST(structs_of_other_sizes),
	TEST(the_primary_node_is_served_too),
	TEST(requests_that_are_unknown),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
