// SPDX-License-Identifier: MIT
/*
 * Long-running contexts of i915: what an address space becomes by them, no fence that others wait
 * for, suspension when memory goes and resumption afterwards (A05, B19).
 */
#include "i915_client.h"

#include <string.h>

#define LONG I915_CONTEXT_CREATE_FLAGS_LONG_RUNNING
#define MS   INT64_C(1000000)
#define FLAG 4096 /* in the object: a spinner ends when it is 0 */

static struct i915_scene s;

static void setup_as(const struct uapi_config *config)
{
	i915_scene_init_as(&s, config, LONG);
}

static void setup(void)
{
	const struct uapi_config config = i915_config("dg2", 2);

	setup_as(&config);
}

/* ---- contexts -------------------------------------------------------------------------------- */

/* @map: with one of engines. */
static int create(uint32_t vm, bool map, uint32_t flags)
{
	struct {
		struct i915_context_param_engines head;
		struct i915_engine_class_instance engine[2];
	} m = { .engine = { { I915_ENGINE_CLASS_RENDER, 0 } } };
	uint32_t ctx;

	return i915_context_of(s.c.file, vm, flags, map ? &m.head : NULL, map ? sizeof(m) : 0,
			       &ctx);
}

static void test_A05_a_long_running_context_needs_VM_BIND_and_a_map(void)
{
	struct drm_i915_gem_vm_control args = { 0 };

	i915_scene_init(&s, "dg2", 2);
	CHECK_ERR(create(0, true, LONG), -EINVAL);
	CHECK_ERR(create(i915_vm(&s.c), false, LONG), -EINVAL);
	CHECK_OK(IOCTL(s.c.file, I915_GEM_VM_CREATE, &args));
	CHECK_ERR(create(args.vm_id, true, LONG), -EINVAL);
	CHECK_OK(create(i915_vm(&s.c), true, LONG));
	i915_scene_fini(&s);
}

static void test_A05_an_address_space_has_contexts_of_one_kind(void)
{
	uint32_t vm;

	i915_scene_init(&s, "dg2", 2);
	CHECK_ERR(create(s.vm, true, LONG), -EINVAL);
	CHECK_OK(create(s.vm, true, 0));
	vm = i915_vm(&s.c);
	CHECK_OK(create(vm, true, LONG));
	CHECK_OK(create(vm, true, LONG));
	CHECK_ERR(create(vm, true, 0), -EINVAL);
	CHECK_OK(create(vm, false, 0)); /* without engines it is of no kind */
	i915_scene_fini(&s);
}

static void test_A05_mappings_from_before_stay(void)
{
	uint32_t vm;

	i915_scene_init(&s, "dg2", 2);
	vm = i915_vm(&s.c);
	CHECK_OK(i915_bind(&s.c, vm, s.bo, SZ_1G, 0, SZ_64K));
	CHECK_OK(create(vm, true, LONG));
	CHECK_EQ(i915_mappings(&s.c, vm, NULL, 0), 1);
	CHECK_OK(i915_bind(&s.c, vm, s.bo, 2 * SZ_1G, 0, SZ_64K));
	i915_scene_fini(&s);
}

/* It runs whenever it likes, so all that is mapped has to fit at any time. */
static void test_A20_a_long_running_space_is_not_overcommitted(void)
{
	struct uapi_config config = i915_config("dg2", 2);
	uint32_t vm;

	config.vram_B = 64 << 20;
	setup_as(&config);
	CHECK_OK(i915_bind(&s.c, s.vm, i915_bo(&s.c, 48 << 20), SZ_1G, 0, 48 << 20));
	CHECK_ERR(i915_bind(&s.c, s.vm, i915_bo(&s.c, 48 << 20), 2 * SZ_1G, 0, 48 << 20), -ENOMEM);
	CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), 2);
	vm = i915_vm(&s.c); /* of no kind yet */
	CHECK_OK(i915_bind(&s.c, vm, i915_bo(&s.c, 48 << 20), SZ_1G, 0, 48 << 20));
	CHECK_OK(i915_bind(&s.c, vm, i915_bo(&s.c, 48 << 20), 2 * SZ_1G, 0, 48 << 20));
	CHECK_ERR(create(vm, true, LONG), -ENOMEM);
	CHECK_OK(create(vm, true, 0));
	i915_scene_fini(&s);
}

/* ---- fences ---------------------------------------------------------------------------------- */

/* Submits @batch, after which @value is at byte @at of the object. */
static int exec_user(uint64_t batch, uint64_t at, uint64_t value,
		     const struct drm_i915_gem_timeline_fence *fence)
{
	struct drm_i915_gem_execbuffer3_ext_user_fence ext = {
		.base.name = DRM_I915_GEM_EXECBUFFER3_EXT_USER_FENCE,
		.addr = I915_AT + at, .value = value,
	};
	struct drm_i915_gem_execbuffer3 args = {
		.ctx_id = s.ctx, .batch_address = batch, .extensions = PTR(&ext),
		.timeline_fences = PTR(fence), .fence_count = fence ? 1 : 0,
	};

	return IOCTL(s.c.file, I915_GEM_EXECBUFFER3, &args);
}

/* Until the qword there is @value. */
static int wait_user(uint64_t at, uint64_t value, int64_t timeout)
{
	struct drm_i915_gem_wait_user_fence args = {
		.addr = PTR(s.cpu + at / 4), .value = value, .mask = UINT64_MAX,
		.ctx_id = s.ctx, .timeout = timeout,
	};

	return IOCTL(s.c.file, I915_GEM_WAIT_USER_FENCE, &args);
}

static void test_A05_no_out_fence_of_a_submission(void)
{
	uint32_t so;
	struct drm_i915_gem_timeline_fence fence;

	setup();
	so = client_syncobj(s.c.file, true);
	fence = i915_fence(so, 0, I915_TIMELINE_FENCE_SIGNAL);
	(void)i915_store(&s, 0, I915_AT + 2048, 1);
	CHECK_ERR(i915_exec(&s.c, s.ctx, I915_AT, &fence, 1), -EINVAL);
	fence = i915_fence(so, 0, I915_TIMELINE_FENCE_WAIT | I915_TIMELINE_FENCE_SIGNAL);
	CHECK_ERR(i915_exec(&s.c, s.ctx, I915_AT, &fence, 1), -EINVAL);
	fence = i915_fence(client_syncobj(s.c.file, false), 7, I915_TIMELINE_FENCE_SIGNAL);
	CHECK_ERR(i915_exec(&s.c, s.ctx, I915_AT, &fence, 1), -EINVAL);
	CHECK_EQ(s.cpu[512], 0);
	fence = i915_fence(so, 0, I915_TIMELINE_FENCE_WAIT); /* has signalled */
	CHECK_OK(exec_user(I915_AT, 8192, 5, &fence));
	CHECK_OK(wait_user(8192, 5, -1));
	CHECK_EQ(s.cpu[512], 1);
	i915_scene_fini(&s);
}

struct behind {
	struct i915_gate gate;
	atomic_bool returned;
	int ret;
};

static void submit_behind(void *arg)
{
	struct behind *b = arg;
	struct drm_i915_gem_timeline_fence fence =
		i915_fence(b->gate.syncobj, 0, I915_TIMELINE_FENCE_WAIT);

	b->ret = exec_user(I915_AT, 8192, 5, &fence);
	atomic_store(&b->returned, true);
}

/* Starts @func behind a gate: as long as that is shut, the call does not return. */
static void check_waits_in_the_call(void (*func)(void *arg))
{
	struct port_thread *thread;
	struct behind b = { .ret = 1 };

	b.gate = i915_gate(&s.c);
	CHECK_OK(port_thread_create(&thread, "client", func, &b));
	CHECK_ERR(wait_user(8192, 5, 5 * MS), -ETIME); /* meanwhile */
	CHECK(!atomic_load(&b.returned));
	CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), 1);
	CHECK_EQ(__atomic_load_n(&s.cpu[512], __ATOMIC_ACQUIRE), 0);
	i915_gate_open(&b.gate);
	port_thread_join(thread);
	CHECK_OK(b.ret);
}

/* Nothing is pipelined there: what is waited for is waited for by the call. */
static void test_A12_in_fences_of_submissions_are_waited_for_in_the_call(void)
{
	setup();
	(void)i915_store(&s, 0, I915_AT + 2048, 1);
	check_waits_in_the_call(submit_behind);
	CHECK_OK(wait_user(8192, 5, -1));
	CHECK_EQ(s.cpu[512], 1);
	i915_scene_fini(&s);
}

static int gem_wait(uint32_t bo)
{
	struct drm_i915_gem_wait args = { .bo_handle = bo };

	return IOCTL(s.c.file, I915_GEM_WAIT, &args);
}

static void test_B19_no_GEM_WAIT_for_what_is_mapped_there(void)
{
	uint32_t other;

	setup();
	other = i915_bo(&s.c, SZ_64K);
	CHECK_ERR(gem_wait(s.bo), -EOPNOTSUPP);
	CHECK_OK(gem_wait(other));
	CHECK_OK(i915_bind(&s.c, s.vm, other, SZ_1G, 0, SZ_64K));
	CHECK_ERR(gem_wait(other), -EOPNOTSUPP);
	CHECK_OK(i915_unbind(&s.c, s.vm, SZ_1G, SZ_64K));
	CHECK_OK(gem_wait(other));
	i915_scene_fini(&s);
}

/* A client of the final RFC may have it: the fence of a bind is one of the driver's own work. */
static void a_bind_may_have_an_out_fence(void)
{
	uint32_t so;
	struct drm_i915_gem_vm_bind args = { .start = SZ_1G, .length = SZ_64K };

	setup();
	so = client_syncobj(s.c.file, false);
	args.vm_id = s.vm;
	args.handle = s.bo;
	args.fence = i915_fence(so, 0, I915_TIMELINE_FENCE_SIGNAL);
	CHECK_OK(IOCTL(s.c.file, I915_GEM_VM_BIND, &args));
	CHECK_OK(client_syncobj_wait(s.c.file, so, INT64_MAX));
	i915_scene_fini(&s);
}

static void bind_behind(void *arg)
{
	struct behind *b = arg;
	struct drm_i915_gem_exec_fence handle = { b->gate.syncobj, I915_TIMELINE_FENCE_WAIT };
	uint64_t point = 0;
	struct drm_i915_vm_bind_ext_timeline_fences ext = {
		.base.name = I915_VM_BIND_EXT_TIMELINE_FENCES,
		.fence_count = 1, .handles_ptr = PTR(&handle), .values_ptr = PTR(&point),
	};
	struct drm_i915_gem_vm_bind args = {
		.vm_id = s.vm, .handle = s.bo, .start = SZ_1G, .length = SZ_64K,
		.fence = i915_fence(client_syncobj(s.c.file, false), 0,
				    I915_TIMELINE_FENCE_SIGNAL),
		.extensions = PTR(&ext),
	};

	b->ret = IOCTL(s.c.file, I915_GEM_VM_BIND, &args);
	atomic_store(&b->returned, true);
}

/* Also with an out fence. */
static void test_A12_in_fences_of_binds_are_waited_for_in_the_call(void)
{
	setup();
	check_waits_in_the_call(bind_behind);
	CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), 2);
	i915_scene_fini(&s);
}

/* ---- suspension ------------------------------------------------------------------------------ */

struct watch {
	struct event_reader reader;
	uint64_t vm;            /* whose first queue is watched */
	uint64_t queue;
	atomic_uint suspends, resumes, invalidations, ends;
};

static void watch_read(struct event_reader *reader, const struct event *event)
{
	struct watch *w = container_of(reader, struct watch, reader);

	if (event->type == EVENT_EXEC_SUBMIT && !w->queue) {
		w->queue = event->arg[1];
	} else if (event->type == EVENT_QUEUE_SUSPEND && event->arg[0] == w->queue) {
		atomic_fetch_add(&w->suspends, 1);
	} else if (event->type == EVENT_QUEUE_RESUME && event->arg[0] == w->queue) {
		atomic_fetch_add(&w->resumes, 1);
	} else if (event->type == EVENT_EXEC_DONE && event->arg[0] == w->queue) {
		atomic_fetch_add(&w->ends, 1);
	} else if (event->type == EVENT_USERPTR_INVALIDATE) {
		atomic_fetch_add(&w->invalidations, 1);
	}
}

/* Starts a batch that runs until the flag is cleared; its queue is the one that is watched. */
static void spin_watched(struct watch *w)
{
	*w = (struct watch){ .reader = { .read = watch_read } };
	event_attach(uapi_device_events(s.c.device), &w->reader);
	CHECK_OK(exec_user(i915_spin(&s, 0, FLAG), 8192, 9, NULL));
	CHECK(w->queue);
	/* It may use its memory from when it is resumed for the first time. */
	while (!atomic_load(&w->resumes)) {
		CHECK_ERR(wait_user(8192, 9, MS), -ETIME);
	}
}

/* It is running again, to its end, and nothing was lost. */
static void check_survived(struct watch *w, unsigned suspends)
{
	struct drm_i915_reset_stats stats = { .ctx_id = s.ctx };

	i915_stop(&s, FLAG);
	CHECK_OK(wait_user(8192, 9, -1));
	event_detach(uapi_device_events(s.c.device), &w->reader);
	CHECK(atomic_load(&w->suspends) >= suspends);
	CHECK(atomic_load(&w->resumes) >= 1 + suspends);
	CHECK_OK(IOCTL(s.c.file, I915_GET_RESET_STATS, &stats));
	CHECK(!stats.batch_active && !stats.batch_pending);
	(void)i915_store(&s, 0, I915_AT + 2048, 4);
	CHECK_OK(exec_user(I915_AT, 8192, 10, NULL));
	CHECK_OK(wait_user(8192, 10, -1));
	CHECK_EQ(s.cpu[512], 4);
}

static char page[SZ_4K] __attribute__((aligned(4096)));

static void drop_page(void)
{
	struct uapi_client_range range;

	uapi_client_range_begin(s.c.device, &range, PTR(page), sizeof(page));
	uapi_client_range_end(s.c.device, &range);
}

static void test_B19_client_memory_goes_while_it_is_used(void)
{
	struct drm_i915_gem_userptr args = { .user_ptr = PTR(page), .user_size = sizeof(page) };
	struct watch w;

	setup();
	CHECK_OK(IOCTL(s.c.file, I915_GEM_USERPTR, &args));
	CHECK_OK(i915_bind(&s.c, s.vm, args.handle, SZ_1G, 0, sizeof(page)));
	spin_watched(&w);
	for (unsigned i = 1; i <= 3; i++) {
		drop_page();
		CHECK(atomic_load(&w.suspends) >= 1);
		CHECK(atomic_load(&w.invalidations) >= 1);
	}
	check_survived(&w, 1);
	/* What it is bound to is the client's memory as before. */
	memset(page, 0, sizeof(page));
	(void)i915_store(&s, 0, SZ_1G + 8, 77);
	CHECK_OK(exec_user(I915_AT, 8192, 11, NULL));
	CHECK_OK(wait_user(8192, 11, -1));
	CHECK_EQ(page[8], 77);
	i915_scene_fini(&s);
}

static void test_B19_an_object_is_evicted_while_it_is_used(void)
{
	struct uapi_config config = i915_config("dg2", 2);
	uint32_t mine, vm, bo, ctx, *words;
	struct watch w;

	config.vram_B = 64 << 20;
	setup_as(&config);
	mine = i915_bo(&s.c, 40 << 20);
	words = i915_cpu(&s.c, mine, 40 << 20);
	words[0] = 31;
	CHECK_OK(i915_bind(&s.c, s.vm, mine, SZ_1G, 0, 40 << 20));
	spin_watched(&w);
	/* Somebody else needs the room, with a fence that has to signal. */
	vm = i915_vm(&s.c);
	bo = i915_bo(&s.c, 40 << 20);
	words = i915_cpu(&s.c, bo, 40 << 20);
	(void)client_batch_store(words, SZ_1G + 4096, 8);
	CHECK_OK(i915_bind(&s.c, vm, bo, SZ_1G, 0, 40 << 20));
	ctx = i915_context(&s.c, vm, 0);
	CHECK_OK(i915_exec_wait(&s.c, ctx, SZ_1G));
	CHECK_EQ(words[1024], 8);
	CHECK(atomic_load(&w.suspends) >= 1);
	check_survived(&w, 1);
	(void)i915_copy(&s, 0, I915_AT + 2048, SZ_1G);
	CHECK_OK(exec_user(I915_AT, 8192, 11, NULL));
	CHECK_OK(wait_user(8192, 11, -1));
	CHECK_EQ(s.cpu[512], 31);
	i915_scene_fini(&s);
}

static void test_B19_nobody_is_suspended_without_need(void)
{
	struct watch w;

	setup();
	spin_watched(&w);
	CHECK_OK(i915_bind(&s.c, s.vm, s.bo, SZ_1G, 0, SZ_64K));
	CHECK_OK(i915_unbind(&s.c, s.vm, SZ_1G, SZ_64K));
	drop_page(); /* bound nowhere */
	CHECK_EQ(atomic_load(&w.suspends), 0);
	check_survived(&w, 0);
	i915_scene_fini(&s);
}

/* An address that another thread binds while the batch runs; no call synchronises the two. */
static void test_B21_binds_go_on_beside_running_work(void)
{
	struct watch w;

	setup();
	spin_watched(&w);
	for (unsigned i = 1; i < 20; i++) {
		CHECK_OK(i915_bind(&s.c, s.vm, s.bo, SZ_1G + i * SZ_64K, 0, SZ_64K));
	}
	CHECK_ERR(wait_user(8192, 9, 0), -ETIME);
	CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), 20);
	check_survived(&w, 0);
	i915_scene_fini(&s);
}

/* ---- the end --------------------------------------------------------------------------------- */

/* Nobody else would ever end it. */
static void work_ends_with_its_context(void)
{
	uint64_t nothing = 0;
	struct drm_i915_gem_wait_user_fence nap = {
		.addr = PTR(&nothing), .value = 1, .mask = UINT64_MAX,
		.flags = I915_UFENCE_WAIT_SOFT, .timeout = MS,
	};
	struct watch w;

	setup();
	spin_watched(&w);
	CHECK_OK(i915_context_destroy(&s.c, s.ctx));
	for (unsigned i = 0; i < 5000 && !atomic_load(&w.ends); i++) {
		CHECK_ERR(IOCTL(s.c.file, I915_GEM_WAIT_USER_FENCE, &nap), -ETIME);
		nap.timeout = MS;
	}
	CHECK_EQ(atomic_load(&w.ends), 1);
	event_detach(uapi_device_events(s.c.device), &w.reader);
	CHECK_ERR(wait_user(8192, 9, 0), -ENOENT);
	s.ctx = i915_context(&s.c, s.vm, LONG);
	(void)i915_store(&s, 0, I915_AT + 2048, 4);
	CHECK_OK(exec_user(I915_AT, 8192, 10, NULL));
	CHECK_OK(wait_user(8192, 10, -1));
	i915_scene_fini(&s);
}

static void work_ends_with_its_file(void)
{
	struct watch w;

	setup();
	spin_watched(&w);
	event_detach(uapi_device_events(s.c.device), &w.reader);
	i915_scene_fini(&s);
}

static const struct test_case cases[] = {
	TEST(test_A05_a_long_running_context_needs_VM_BIND_and_a_map),
	TEST(test_A05_an_address_space_has_contexts_of_one_kind),
	TEST(test_A05_mappings_from_before_stay),
	TEST(test_A20_a_long_running_space_is_not_overcommitted),
	TEST(test_A05_no_out_fence_of_a_submission),
	TEST(test_A12_in_fences_of_submissions_are_waited_for_in_the_call),
	TEST(test_B19_no_GEM_WAIT_for_what_is_mapped_there),
	TEST(a_bind_may_have_an_out_fence),
	TEST(test_A12_in_fences_of_binds_are_waited_for_in_the_call),
	TEST(test_B19_client_memory_goes_while_it_is_used),
	TEST(test_B19_an_object_is_evicted_while_it_is_used),
	TEST(test_B19_nobody_is_suspended_without_need),
	TEST(test_B21_binds_go_on_beside_running_work),
	TEST(work_ends_with_its_context),
	TEST(work_ends_with_its_file),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
