// SPDX-License-Identifier: MIT
/* Contexts of i915: parameters, engine maps, destruction, what GET_RESET_STATS tells. */
#include "i915_client.h"

#include <string.h>

static struct i915_scene s;

#define ENGINE(class, instance) { I915_ENGINE_CLASS_##class, instance }
#define EMPTY { I915_ENGINE_CLASS_INVALID, I915_ENGINE_CLASS_INVALID_NONE }

/* An engine map of @n places. */
struct map {
	struct i915_context_param_engines head;
	struct i915_engine_class_instance engine[66];
};

static uint32_t map_size(unsigned n)
{
	return (uint32_t)(sizeof(struct i915_context_param_engines) +
			  n * sizeof(struct i915_engine_class_instance));
}

static int create_with(const struct map *map, uint32_t size_B, uint32_t *ctx_out)
{
	return i915_context_of(s.c.file, s.vm, 0, &map->head, size_B, ctx_out);
}

static int create(uint32_t flags, const void *extensions)
{
	struct drm_i915_gem_context_create_ext args = {
		.flags = flags, .extensions = PTR(extensions),
	};

	return IOCTL(s.c.file, I915_GEM_CONTEXT_CREATE_EXT, &args);
}

static int with_param(struct drm_i915_gem_context_param param)
{
	struct drm_i915_gem_context_create_ext_setparam ext = { .param = param };

	return create(I915_CONTEXT_CREATE_FLAGS_USE_EXTENSIONS, &ext);
}

#define WITH(...) with_param((struct drm_i915_gem_context_param){ __VA_ARGS__ })

/* ---- parameters ------------------------------------------------------------------------------ */

static void create_knows_three_flags(void)
{
	i915_scene_init(&s, "dg2", 2);
	for (unsigned bit = 3; bit < 32; bit++) {
		CHECK_ERR(create(1u << bit, NULL), -EINVAL);
	}
	CHECK_OK(create(0, NULL));
	CHECK_OK(create(I915_CONTEXT_CREATE_FLAGS_SINGLE_TIMELINE, NULL));
	CHECK_OK(create(I915_CONTEXT_CREATE_FLAGS_USE_EXTENSIONS, NULL));
	i915_scene_fini(&s);
}

static void extensions_are_read_only_when_they_are_used(void)
{
	struct i915_user_extension ext = { .name = 5 };

	i915_scene_init(&s, "dg2", 2);
	CHECK_OK(create(0, (void *)(uintptr_t)CLIENT_BAD));
	CHECK_ERR(create(I915_CONTEXT_CREATE_FLAGS_USE_EXTENSIONS, (void *)(uintptr_t)CLIENT_BAD),
		  -EFAULT);
	CHECK_ERR(create(I915_CONTEXT_CREATE_FLAGS_USE_EXTENSIONS, &ext), -EINVAL);
	i915_scene_fini(&s);
}

static void params_that_are_unknown(void)
{
	i915_scene_init(&s, "dg2", 2);
	CHECK_ERR(WITH(.param = 0), -EINVAL);
	CHECK_ERR(WITH(.param = 0x3f), -EINVAL);
	CHECK_ERR(WITH(.param = UINT64_MAX), -EINVAL);
	CHECK_ERR(WITH(.param = I915_CONTEXT_PARAM_VM, .value = s.vm, .ctx_id = 1), -EINVAL);
	i915_scene_fini(&s);
}

static void params_that_change_nothing_here(void)
{
	const uint64_t known[] = {
		I915_CONTEXT_PARAM_RECOVERABLE, I915_CONTEXT_PARAM_BANNABLE,
		I915_CONTEXT_PARAM_NO_ERROR_CAPTURE, I915_CONTEXT_PARAM_PERSISTENCE,
	};

	i915_scene_init(&s, "dg2", 2);
	for (unsigned i = 0; i < ARRAY_LEN(known); i++) {
		CHECK_OK(WITH(.param = known[i], .value = 1));
		CHECK_ERR(WITH(.param = known[i], .size = 4), -EINVAL);
	}
	i915_scene_fini(&s);
}

static void the_address_space_is_one_of_the_file(void)
{
	i915_scene_init(&s, "dg2", 2);
	CHECK_OK(WITH(.param = I915_CONTEXT_PARAM_VM, .value = s.vm));
	CHECK_ERR(WITH(.param = I915_CONTEXT_PARAM_VM, .value = 0), -ENOENT);
	CHECK_ERR(WITH(.param = I915_CONTEXT_PARAM_VM, .value = 99), -ENOENT);
	CHECK_ERR(WITH(.param = I915_CONTEXT_PARAM_VM, .value = UINT64_C(1) << 32 | s.vm),
		  -ENOENT);
	CHECK_ERR(WITH(.param = I915_CONTEXT_PARAM_VM, .value = s.vm, .size = 8), -EINVAL);
	i915_scene_fini(&s);
}

static void priorities_have_limits(void)
{
	const int raise = port_client_may_raise_priority() ? 0 : -EPERM;

	i915_scene_init(&s, "dg2", 2);
	CHECK_OK(WITH(.param = I915_CONTEXT_PARAM_PRIORITY, .value = 0));
	CHECK_OK(WITH(.param = I915_CONTEXT_PARAM_PRIORITY, .value = (uint64_t)-1023));
	CHECK_ERR(WITH(.param = I915_CONTEXT_PARAM_PRIORITY, .value = (uint64_t)-1024), -EINVAL);
	CHECK_ERR(WITH(.param = I915_CONTEXT_PARAM_PRIORITY, .value = 1024), -EINVAL);
	CHECK_ERR(WITH(.param = I915_CONTEXT_PARAM_PRIORITY, .value = UINT64_C(1) << 32), -EINVAL);
	CHECK_ERR(WITH(.param = I915_CONTEXT_PARAM_PRIORITY, .value = 1023), raise);
	CHECK_ERR(WITH(.param = I915_CONTEXT_PARAM_PRIORITY, .value = 0, .size = 8), -EINVAL);
	i915_scene_fini(&s);
}

/* ---- engine maps ----------------------------------------------------------------------------- */

static void maps_have_whole_places(void)
{
	struct map map = { .engine = { ENGINE(RENDER, 0), ENGINE(COPY, 0) } };
	uint32_t ctx;

	i915_scene_init(&s, "dg2", 2);
	CHECK_OK(create_with(&map, map_size(1), &ctx));
	CHECK_OK(create_with(&map, map_size(2), &ctx));
	CHECK_ERR(create_with(&map, map_size(1) + 1, &ctx), -EINVAL);
	CHECK_ERR(create_with(&map, map_size(0) - 1, &ctx), -EINVAL);
	CHECK_ERR(create_with(&map, 1, &ctx), -EINVAL);
	for (unsigned i = 0; i < 66; i++) {
		map.engine[i] = (struct i915_engine_class_instance)ENGINE(COPY, 0);
	}
	CHECK_OK(create_with(&map, map_size(64), &ctx));
	CHECK_ERR(create_with(&map, map_size(65), &ctx), -EINVAL);
	CHECK_ERR(create_with(&map, UINT32_MAX & ~3u, &ctx), -EINVAL);
	CHECK_ERR(create_with((void *)(uintptr_t)CLIENT_BAD, map_size(1), &ctx), -EFAULT);
	i915_scene_fini(&s);
}

static void a_map_is_given_once(void)
{
	struct map map = { .engine = { ENGINE(RENDER, 0) } };
	struct drm_i915_gem_context_create_ext_setparam ext[2] = {
		{ .param = { .param = I915_CONTEXT_PARAM_ENGINES, .size = map_size(1) } },
		{ .param = { .param = I915_CONTEXT_PARAM_ENGINES, .size = map_size(1) } },
	};

	i915_scene_init(&s, "dg2", 2);
	ext[0].param.value = ext[1].param.value = PTR(&map);
	ext[0].base.next_extension = PTR(&ext[1]);
	CHECK_ERR(create(I915_CONTEXT_CREATE_FLAGS_USE_EXTENSIONS, ext), -EINVAL);
	i915_scene_fini(&s);
}

static void engines_that_the_gpu_does_not_have(void)
{
	struct map map = { .engine = { ENGINE(RENDER, 1) } };
	uint32_t ctx;

	i915_scene_init(&s, "tgl", 2);
	CHECK_ERR(create_with(&map, map_size(1), &ctx), -ENOENT);
	map.engine[0] = (struct i915_engine_class_instance)ENGINE(COMPUTE, 0);
	CHECK_ERR(create_with(&map, map_size(1), &ctx), -ENOENT);
	map.engine[0] = (struct i915_engine_class_instance)ENGINE(INVALID, 0);
	CHECK_ERR(create_with(&map, map_size(1), &ctx), -ENOENT);
	i915_scene_fini(&s);
}

static void every_engine_runs_batches(void)
{
	struct drm_i915_gem_execbuffer3 args = { .batch_address = I915_AT };

	i915_scene_init(&s, "dg2", 2);
	args.ctx_id = s.ctx;
	for (args.engine_idx = 0; args.engine_idx < 10; args.engine_idx++) {
		uint32_t done = client_syncobj(s.c.file, false);
		struct drm_i915_gem_timeline_fence out = i915_fence(done, 0, 2);

		args.fence_count = 1;
		args.timeline_fences = PTR(&out);
		(void)i915_store(&s, 0, I915_AT + 2048, args.engine_idx + 1);
		CHECK_OK(IOCTL(s.c.file, I915_GEM_EXECBUFFER3, &args));
		CHECK_OK(client_syncobj_wait(s.c.file, done, INT64_MAX));
		CHECK_EQ(s.cpu[512], args.engine_idx + 1);
	}
	i915_scene_fini(&s);
}

struct balanced {
	struct i915_context_engines_load_balance ext;
	struct i915_engine_class_instance engine[17];
};

static int with_balance(struct map *map, unsigned places, struct balanced *b, uint32_t *ctx_out)
{
	b->ext.base.name = I915_CONTEXT_ENGINES_EXT_LOAD_BALANCE;
	map->head.extensions = PTR(b);
	return create_with(map, map_size(places), ctx_out);
}

static void load_balance_fills_an_empty_place(void)
{
	struct map map = { .engine = { EMPTY, ENGINE(COPY, 0) } };
	struct balanced b = { .ext.num_siblings = 2,
			      .engine = { ENGINE(VIDEO, 0), ENGINE(VIDEO, 1) } };
	uint32_t ctx;

	i915_scene_init(&s, "dg2", 2);
	CHECK_OK(with_balance(&map, 2, &b, &ctx));
	CHECK_OK(i915_exec_wait(&s.c, ctx, i915_store(&s, 0, I915_AT + 2048, 5)));
	CHECK_EQ(s.cpu[512], 5);
	b.ext.engine_index = 1;
	CHECK_ERR(with_balance(&map, 2, &b, &ctx), -EEXIST);
	b.ext.engine_index = 2;
	CHECK_ERR(with_balance(&map, 2, &b, &ctx), -EINVAL);
	i915_scene_fini(&s);
}

static void load_balance_checks_its_siblings(void)
{
	struct map map = { .engine = { EMPTY } };
	struct balanced b = { .ext.num_siblings = 2,
			      .engine = { ENGINE(VIDEO, 0), ENGINE(COPY, 0) } };
	uint32_t ctx;

	i915_scene_init(&s, "dg2", 2);
	CHECK_ERR(with_balance(&map, 1, &b, &ctx), -EINVAL); /* of two classes */
	b.engine[1] = (struct i915_engine_class_instance)ENGINE(VIDEO, 7);
	CHECK_ERR(with_balance(&map, 1, &b, &ctx), -EINVAL);
	b.ext.num_siblings = 17;
	CHECK_ERR(with_balance(&map, 1, &b, &ctx), -EINVAL);
	b.ext.num_siblings = 0; /* the place stays empty */
	CHECK_OK(with_balance(&map, 1, &b, &ctx));
	CHECK_ERR(i915_exec(&s.c, ctx, I915_AT, NULL, 0), -EINVAL);
	b.ext.num_siblings = 1;
	b.ext.flags = 1;
	CHECK_ERR(with_balance(&map, 1, &b, &ctx), -EINVAL);
	b.ext.flags = 0;
	b.ext.mbz64 = 1;
	CHECK_ERR(with_balance(&map, 1, &b, &ctx), -EINVAL);
	i915_scene_fini(&s);
}

struct parallel {
	struct i915_context_engines_parallel_submit ext;
	struct i915_engine_class_instance engine[16];
};

static int with_parallel(struct map *map, unsigned places, struct parallel *p, uint32_t *ctx_out)
{
	p->ext.base.name = I915_CONTEXT_ENGINES_EXT_PARALLEL_SUBMIT;
	map->head.extensions = PTR(p);
	return create_with(map, map_size(places), ctx_out);
}

static void a_parallel_place_is_wide(void)
{
	struct map map = { .engine = { EMPTY, ENGINE(COPY, 0) } };
	struct parallel p = { .ext = { .width = 2, .num_siblings = 1 },
			      .engine = { ENGINE(VIDEO, 0), ENGINE(VIDEO, 1) } };
	uint32_t ctx;

	i915_scene_init(&s, "dg2", 2);
	CHECK_OK(with_parallel(&map, 2, &p, &ctx));
	for (unsigned width = 0; width < 2; width++) {
		p.ext.width = (uint16_t)width;
		CHECK_ERR(with_parallel(&map, 2, &p, &ctx), -EINVAL);
	}
	p.ext.width = 9;
	CHECK_ERR(with_parallel(&map, 2, &p, &ctx), -EINVAL);
	p.ext.width = UINT16_MAX;
	CHECK_ERR(with_parallel(&map, 2, &p, &ctx), -EINVAL);
	p.ext.width = 2;
	p.ext.num_siblings = 0;
	CHECK_ERR(with_parallel(&map, 2, &p, &ctx), -EINVAL);
	p.ext.num_siblings = 1;
	p.ext.engine_index = 1;
	CHECK_ERR(with_parallel(&map, 2, &p, &ctx), -EINVAL); /* taken */
	p.ext.engine_index = 2;
	CHECK_ERR(with_parallel(&map, 2, &p, &ctx), -EINVAL);
	i915_scene_fini(&s);
}

static void a_parallel_place_is_of_neighbours(void)
{
	struct map map = { .engine = { EMPTY } };
	struct parallel p = { .ext = { .width = 2, .num_siblings = 1 },
			      .engine = { ENGINE(VIDEO, 1), ENGINE(VIDEO, 0) } };
	uint32_t ctx;

	i915_scene_init(&s, "dg2", 2);
	CHECK_ERR(with_parallel(&map, 1, &p, &ctx), -EINVAL);
	p.engine[0] = (struct i915_engine_class_instance)ENGINE(VIDEO, 0);
	CHECK_ERR(with_parallel(&map, 1, &p, &ctx), -EINVAL); /* twice the same */
	p.engine[1] = (struct i915_engine_class_instance)ENGINE(VIDEO_ENHANCE, 1);
	CHECK_ERR(with_parallel(&map, 1, &p, &ctx), -EINVAL);
	p.engine[1] = (struct i915_engine_class_instance)ENGINE(VIDEO, 1);
	CHECK_OK(with_parallel(&map, 1, &p, &ctx));
	i915_scene_fini(&s);
}

static void a_parallel_place_has_reserved_fields(void)
{
	struct map map = { .engine = { EMPTY } };
	struct parallel p = { .ext = { .width = 2, .num_siblings = 1, .mbz16 = 1 },
			      .engine = { ENGINE(VIDEO, 0), ENGINE(VIDEO, 1) } };
	uint32_t ctx;

	i915_scene_init(&s, "dg2", 2);
	CHECK_ERR(with_parallel(&map, 1, &p, &ctx), -EINVAL);
	p.ext.mbz16 = 0;
	p.ext.flags = 1;
	CHECK_ERR(with_parallel(&map, 1, &p, &ctx), -EINVAL);
	p.ext.flags = 0;
	for (unsigned i = 0; i < 3; i++) {
		p.ext.mbz64[i] = 1;
		CHECK_ERR(with_parallel(&map, 1, &p, &ctx), -EINVAL);
		p.ext.mbz64[i] = 0;
	}
	map.head.extensions = CLIENT_BAD;
	CHECK_ERR(create_with(&map, map_size(1), &ctx), -EFAULT);
	i915_scene_fini(&s);
}

static void bonds_are_unknown(void)
{
	struct map map = { .engine = { EMPTY } };
	struct i915_user_extension ext = { .name = I915_CONTEXT_ENGINES_EXT_BOND };
	uint32_t ctx;

	i915_scene_init(&s, "dg2", 2);
	map.head.extensions = PTR(&ext);
	CHECK_ERR(create_with(&map, map_size(1), &ctx), -EINVAL);
	i915_scene_fini(&s);
}

/* ---- destruction ----------------------------------------------------------------------------- */

static void destroy_checks_what_it_is_given(void)
{
	struct drm_i915_gem_context_destroy args = { .pad = 1 };
	struct uapi_file *mine;

	i915_scene_init(&s, "dg2", 2);
	args.ctx_id = s.ctx;
	CHECK_ERR(IOCTL(s.c.file, I915_GEM_CONTEXT_DESTROY, &args), -EINVAL);
	CHECK_ERR(i915_context_destroy(&s.c, 0), -ENOENT);
	CHECK_ERR(i915_context_destroy(&s.c, 99), -ENOENT);
	mine = s.c.file;
	s.c.file = client_open(&s.c, true);
	CHECK_ERR(i915_context_destroy(&s.c, s.ctx), -ENOENT);
	uapi_close(s.c.file);
	s.c.file = mine;
	CHECK_OK(i915_context_destroy(&s.c, s.ctx));
	CHECK_ERR(i915_context_destroy(&s.c, s.ctx), -ENOENT);
	i915_scene_fini(&s);
}

/* A context on the address space of the scene that persists or not. */
static uint32_t persistent(bool persists)
{
	struct map map = { .engine = { ENGINE(RENDER, 0) } };
	struct drm_i915_gem_context_create_ext_setparam ext[3] = {
		{ .param = { .param = I915_CONTEXT_PARAM_VM, .value = s.vm } },
		{ .param = { .param = I915_CONTEXT_PARAM_ENGINES, .size = map_size(1),
			     .value = PTR(&map) } },
		{ .param = { .param = I915_CONTEXT_PARAM_PERSISTENCE, .value = persists } },
	};
	struct drm_i915_gem_context_create_ext args = {
		.flags = I915_CONTEXT_CREATE_FLAGS_USE_EXTENSIONS, .extensions = PTR(ext),
	};

	ext[0].base.next_extension = PTR(&ext[1]);
	ext[1].base.next_extension = PTR(&ext[2]);
	CHECK_OK(IOCTL(s.c.file, I915_GEM_CONTEXT_CREATE_EXT, &args));
	return args.ctx_id;
}

static void work_of_a_context_that_goes(void)
{
	for (unsigned persists = 0; persists < 2; persists++) {
		struct drm_i915_gem_timeline_fence out;
		uint32_t done, ctx;

		i915_scene_init(&s, "dg2", 2);
		ctx = persistent(persists);
		done = client_syncobj(s.c.file, false);
		out = i915_fence(done, 0, I915_TIMELINE_FENCE_SIGNAL);
		CHECK_OK(i915_exec(&s.c, ctx, i915_spin(&s, 0, 4096), NULL, 0));
		(void)i915_store(&s, 1024, I915_AT + 2048, 6);
		CHECK_OK(i915_exec(&s.c, ctx, I915_AT + 1024, &out, 1));
		CHECK_OK(i915_context_destroy(&s.c, ctx));
		if (persists) {
			CHECK_ERR(client_syncobj_wait(s.c.file, done, 0), -ETIME);
			i915_stop(&s, 4096);
		}
		CHECK_OK(client_syncobj_wait(s.c.file, done, INT64_MAX));
		CHECK_EQ(s.cpu[512], persists ? 6 : 0);
		i915_scene_fini(&s);
	}
}

/* ---- GET_RESET_STATS ------------------------------------------------------------------------- */

static int stats(struct drm_i915_reset_stats *args)
{
	return IOCTL(s.c.file, I915_GET_RESET_STATS, args);
}

static void reset_stats_check_what_they_are_given(void)
{
	struct drm_i915_reset_stats args = { .ctx_id = 99 };

	i915_scene_init(&s, "dg2", 2);
	CHECK_ERR(stats(&args), -ENOENT);
	args = (struct drm_i915_reset_stats){ .ctx_id = s.ctx, .flags = 1 };
	CHECK_ERR(stats(&args), -EINVAL);
	args = (struct drm_i915_reset_stats){ .ctx_id = s.ctx, .pad = 1 };
	CHECK_ERR(stats(&args), -EINVAL);
	args = (struct drm_i915_reset_stats){
		.ctx_id = s.ctx, .batch_active = 7, .batch_pending = 7, .reset_count = 7,
	};
	CHECK_OK(stats(&args));
	CHECK(!args.batch_active && !args.batch_pending && !args.reset_count);
	i915_scene_fini(&s);
}

/* One that ran, one behind it; another context goes on. */
static void a_reset_is_told_to_who_lost_by_it(void)
{
	struct drm_i915_reset_stats args;
	uint32_t other, done;
	struct drm_i915_gem_timeline_fence out;

	i915_scene_init(&s, "dg2", 2);
	other = i915_context(&s.c, s.vm, 0);
	done = client_syncobj(s.c.file, false);
	out = i915_fence(done, 0, I915_TIMELINE_FENCE_SIGNAL);
	CHECK_OK(i915_exec(&s.c, s.ctx, i915_spin(&s, 0, 4096), NULL, 0));
	CHECK_OK(i915_exec(&s.c, s.ctx, I915_AT, &out, 1));
	while (client_syncobj_wait(s.c.file, done, (int64_t)port_now_ns() + 1000000) == -ETIME) {
		uapi_device_reset(s.c.device); /* once it has begun */
	}
	args = (struct drm_i915_reset_stats){ .ctx_id = s.ctx };
	CHECK_OK(stats(&args));
	CHECK_EQ(args.batch_active, 1);
	CHECK_EQ(args.batch_pending, 1);
	CHECK_EQ(args.reset_count > 0, port_client_may_raise_priority());
	CHECK_ERR(i915_exec(&s.c, s.ctx, I915_AT, NULL, 0), -EIO);
	args = (struct drm_i915_reset_stats){ .ctx_id = other };
	CHECK_OK(stats(&args));
	CHECK(!args.batch_active && !args.batch_pending);
	CHECK_OK(i915_exec_wait(&s.c, other, i915_store(&s, 1024, I915_AT + 2048, 8)));
	i915_scene_fini(&s);
}

static const struct test_case cases[] = {
	TEST(create_knows_three_flags),
	TEST(extensions_are_read_only_when_they_are_used),
	TEST(params_that_are_unknown),
	TEST(params_that_change_nothing_here),
	TEST(the_address_space_is_one_of_the_file),
	TEST(priorities_have_limits),
	TEST(maps_have_whole_places),
	TEST(a_map_is_given_once),
	TEST(engines_that_the_gpu_does_not_have),
	TEST(every_engine_runs_batches),
	TEST(load_balance_fills_an_empty_place),
	TEST(load_balance_checks_its_siblings),
	TEST(a_parallel_place_is_wide),
	TEST(a_parallel_place_is_of_neighbours),
	TEST(a_parallel_place_has_reserved_fields),
	TEST(bonds_are_unknown),
	TEST(destroy_checks_what_it_is_given),
	TEST(work_of_a_context_that_goes),
	TEST(reset_stats_check_what_they_are_given),
	TEST(a_reset_is_told_to_who_lost_by_it),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
