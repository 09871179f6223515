// SPDX-License-Identifier: MIT
/*
 * User fences of i915 (B20): an address and a value, written by the GPU at the end of a submission
 * or by the driver at the end of a bind, and waited for by a call.
 */
#include "i915_client.h"

#include <string.h>

#define MS     INT64_C(1000000)
#define WAIT   I915_VM_BIND_USER_FENCE_WAIT
#define SIGNAL I915_VM_BIND_USER_FENCE_SIGNAL

static struct i915_scene s;

static void setup(void)
{
	i915_scene_init(&s, "dg2", 2);
	(void)i915_store(&s, 0, I915_AT + 2048, 1);
}

/* ---- WAIT_USER_FENCE ------------------------------------------------------------------------- */

static int wait_with(struct drm_i915_gem_wait_user_fence args)
{
	return IOCTL(s.c.file, I915_GEM_WAIT_USER_FENCE, &args);
}

#define WAITS(...)                                                                                 \
	wait_with((struct drm_i915_gem_wait_user_fence){ .ctx_id = s.ctx, .mask = UINT64_MAX,      \
							 __VA_ARGS__ })
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winitializer-overrides"
#endif

static void test_B20_the_operators(void)
{
	static const struct {
		uint64_t have, value;
		unsigned holds; /* a bit for each operator: EQ NEQ GT GTE LT LTE BEFORE AFTER */
	} rows[] = {
		{ 5, 5, 1 | 8 | 32 },
		{ 6, 5, 2 | 4 | 8 | 128 },
		{ 4, 5, 2 | 16 | 32 | 64 },
		{ 0, UINT64_MAX, 2 | 16 | 32 | 128 }, /* wrapped: comes after */
		{ UINT64_MAX, 0, 2 | 4 | 8 | 64 },
		{ UINT64_C(1) << 62, 0, 2 | 4 | 8 | 128 },
	};
	uint64_t word;

	setup();
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		for (uint16_t op = 0; op < 8; op++) {
			bool holds = rows[i].holds >> op & 1;

			word = rows[i].have;
			CHECK_ERR(WAITS(.addr = PTR(&word), .value = rows[i].value, .op = op),
				  holds ? 0 : -ETIME);
		}
	}
	i915_scene_fini(&s);
}

static void test_B20_the_mask(void)
{
	uint64_t word = 0xab12;

	setup();
	CHECK_OK(WAITS(.addr = PTR(&word), .value = 0xcd12, .mask = 0xff));
	CHECK_ERR(WAITS(.addr = PTR(&word), .value = 0xcd12, .mask = 0xffff), -ETIME);
	CHECK_OK(WAITS(.addr = PTR(&word), .value = 77, .mask = 0));
	CHECK_ERR(WAITS(.addr = PTR(&word), .value = 0xcd12, .mask = 0xff, .op = 1), -ETIME);
	i915_scene_fini(&s);
}

static void test_B20_what_is_checked(void)
{
	uint64_t word[2] = { 0 };

	setup();
	CHECK_ERR(WAITS(.addr = PTR(word), .op = 8), -EINVAL);
	CHECK_ERR(WAITS(.addr = PTR(word), .op = UINT16_MAX), -EINVAL);
	for (unsigned bit = 2; bit < 16; bit++) {
		CHECK_ERR(WAITS(.addr = PTR(word), .flags = (uint16_t)(1u << bit)), -EINVAL);
	}
	for (unsigned off = 1; off < 8; off++) {
		CHECK_ERR(WAITS(.addr = PTR(word) + off), -EINVAL);
	}
	CHECK_ERR(WAITS(.addr = PTR(word), .extensions = PTR(word)), -EINVAL);
	CHECK_ERR(WAITS(.addr = CLIENT_BAD), -EFAULT);
	CHECK_ERR(WAITS(.addr = 0), -EFAULT);
	CHECK_ERR(WAITS(.addr = PTR(word), .ctx_id = 99), -ENOENT);
	CHECK_ERR(WAITS(.addr = PTR(word), .ctx_id = 0), -ENOENT);
	i915_scene_fini(&s);
}

/* Who is woken by the driver has to do with no context. */
static void test_B20_a_soft_wait_names_no_context(void)
{
	uint64_t word = 0;

	setup();
	CHECK_OK(WAITS(.addr = PTR(&word), .ctx_id = 99, .flags = I915_UFENCE_WAIT_SOFT));
	CHECK_ERR(WAITS(.addr = PTR(&word), .value = 1, .ctx_id = 99,
			.flags = I915_UFENCE_WAIT_SOFT), -ETIME);
	i915_scene_fini(&s);
}

static void test_B20_timeouts(void)
{
	uint64_t word = 0;
	struct drm_i915_gem_wait_user_fence args = { .addr = PTR(&word), .mask = UINT64_MAX,
						     .flags = I915_UFENCE_WAIT_SOFT };
	uint64_t start;

	setup();
	args.timeout = 50 * MS;
	CHECK_OK(wait_with(args)); /* holds: none of it passes */
	args.value = 1;
	start = port_now_ns();
	args.timeout = 2 * MS;
	CHECK_ERR(IOCTL(s.c.file, I915_GEM_WAIT_USER_FENCE, &args), -ETIME);
	CHECK(port_now_ns() - start >= 2 * MS);
	CHECK_EQ(args.timeout, 0); /* what is left of it */
	start = port_now_ns();
	args.timeout = (int64_t)start + 2 * MS;
	args.flags |= I915_UFENCE_WAIT_ABSTIME;
	CHECK_ERR(IOCTL(s.c.file, I915_GEM_WAIT_USER_FENCE, &args), -ETIME);
	CHECK(port_now_ns() - start >= 2 * MS);
	CHECK_EQ(args.timeout, start + 2 * MS); /* a point in time stays one */
	args.timeout = 1; /* long ago */
	CHECK_ERR(wait_with(args), -ETIME);
	i915_scene_fini(&s);
}

static void later(void *arg)
{
	CHECK_OK(i915_exec(&s.c, s.ctx, I915_AT, NULL, 0));
}

/* Sleeps for ever, and is woken by what the GPU writes at the end of somebody's submission. */
static void test_B20_a_sleeper_is_woken(void)
{
	struct port_thread *thread;

	setup();
	(void)i915_store(&s, 0, I915_AT + 2048, 42);
	CHECK_OK(port_thread_create(&thread, "other", later, NULL));
	CHECK_OK(WAITS(.addr = PTR(&s.cpu[512]), .value = 42, .mask = UINT32_MAX, .timeout = -1));
	CHECK_EQ(s.cpu[512], 42);
	port_thread_join(thread);
	i915_scene_fini(&s);
}

static void test_B20_a_lost_context_is_EIO(void)
{
	struct drm_i915_gem_timeline_fence out;
	uint64_t word = 0;
	uint32_t done;

	setup();
	done = client_syncobj(s.c.file, false);
	out = i915_fence(done, 0, I915_TIMELINE_FENCE_SIGNAL);
	CHECK_OK(i915_exec(&s.c, s.ctx, i915_spin(&s, 0, 4096), &out, 1));
	while (client_syncobj_wait(s.c.file, done, (int64_t)port_now_ns() + MS) == -ETIME) {
		uapi_device_reset(s.c.device);
	}
	CHECK_ERR(WAITS(.addr = PTR(&word), .value = 1, .timeout = -1), -EIO);
	CHECK_OK(WAITS(.addr = PTR(&word), .value = 0)); /* what is there is there */
	CHECK_ERR(WAITS(.addr = PTR(&word), .value = 1, .flags = I915_UFENCE_WAIT_SOFT), -ETIME);
	i915_scene_fini(&s);
}

/* ---- of submissions -------------------------------------------------------------------------- */

static int exec_ext(const void *ext, uint64_t batch)
{
	struct drm_i915_gem_execbuffer3 args = {
		.ctx_id = s.ctx, .batch_address = batch, .extensions = PTR(ext),
	};

	return IOCTL(s.c.file, I915_GEM_EXECBUFFER3, &args);
}

static void test_B20_a_submission_writes_at_its_end(void)
{
	struct drm_i915_gem_execbuffer3_ext_user_fence ext = {
		.base.name = DRM_I915_GEM_EXECBUFFER3_EXT_USER_FENCE,
		.addr = I915_AT + 8192, .value = UINT64_C(0x1122334455667788),
	};
	volatile uint64_t *word;

	setup();
	word = (volatile uint64_t *)(void *)(s.cpu + 2048);
	CHECK_OK(exec_ext(&ext, i915_spin(&s, 0, 4096)));
	CHECK_ERR(WAITS(.addr = PTR(word), .value = ext.value, .timeout = MS), -ETIME);
	CHECK_EQ(*word, 0);
	i915_stop(&s, 4096);
	CHECK_OK(WAITS(.addr = PTR(word), .value = ext.value, .timeout = -1));
	CHECK_EQ(*word, ext.value);
	i915_scene_fini(&s);
}

static void test_B20_user_fences_of_submissions_are_checked(void)
{
	struct drm_i915_gem_execbuffer3_ext_user_fence ext[2] = {
		{ .base.name = DRM_I915_GEM_EXECBUFFER3_EXT_USER_FENCE, .addr = I915_AT + 8192 },
		{ .base.name = DRM_I915_GEM_EXECBUFFER3_EXT_USER_FENCE, .addr = I915_AT + 8192 },
	};

	setup();
	for (unsigned off = 1; off < 8; off++) {
		ext[0].addr = I915_AT + 8192 + off;
		CHECK_ERR(exec_ext(ext, I915_AT), -EINVAL);
	}
	ext[0].addr = I915_AT + 8192;
	ext[0].rsvd = 1;
	CHECK_ERR(exec_ext(ext, I915_AT), -EINVAL);
	ext[0].rsvd = 0;
	ext[0].base.next_extension = PTR(&ext[1]); /* two */
	CHECK_ERR(exec_ext(ext, I915_AT), -EINVAL);
	CHECK_EQ(s.cpu[512], 0);
	i915_scene_fini(&s);
}

/* ---- of binds -------------------------------------------------------------------------------- */

static int bind_ext(const void *ext, uint64_t start)
{
	struct drm_i915_gem_vm_bind args = {
		.vm_id = s.vm, .handle = s.bo, .start = start, .length = SZ_64K,
		.extensions = PTR(ext),
	};

	return IOCTL(s.c.file, I915_GEM_VM_BIND, &args);
}

static int unbind_ext(const void *ext, uint64_t start)
{
	struct drm_i915_gem_vm_unbind args = {
		.vm_id = s.vm, .start = start, .length = SZ_64K, .extensions = PTR(ext),
	};

	return client_ioctl(s.c.file, DRM_IOCTL_I915_GEM_VM_UNBIND_56, &args);
}

static struct drm_i915_vm_bind_ext_user_fence user_ext(const struct drm_i915_vm_bind_user_fence *f,
						       uint64_t count)
{
	return (struct drm_i915_vm_bind_ext_user_fence){
		.base.name = I915_VM_BIND_EXT_USER_FENCE,
		.fence_count = count, .user_fence_ptr = PTR(f),
	};
}

static void test_B20_binds_and_unbinds_write_when_they_are_done(void)
{
	uint64_t word[2] = { 0 };
	struct drm_i915_vm_bind_user_fence fence[2] = {
		{ PTR(&word[0]), 7, SIGNAL, 0 }, { PTR(&word[1]), 8, SIGNAL, 0 },
	};
	struct drm_i915_vm_bind_ext_user_fence ext = user_ext(fence, 2);

	setup();
	CHECK_OK(bind_ext(&ext, SZ_1G));
	CHECK_OK(WAITS(.addr = PTR(&word[0]), .value = 7, .timeout = -1,
		       .flags = I915_UFENCE_WAIT_SOFT));
	CHECK_OK(WAITS(.addr = PTR(&word[1]), .value = 8, .timeout = -1,
		       .flags = I915_UFENCE_WAIT_SOFT));
	CHECK_EQ(i915_read(&s, SZ_1G + 2048), s.cpu[512]);
	fence[0].val = 9;
	CHECK_OK(unbind_ext(&ext, SZ_1G));
	CHECK_OK(WAITS(.addr = PTR(&word[0]), .value = 9, .timeout = -1,
		       .flags = I915_UFENCE_WAIT_SOFT));
	CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), 1);
	i915_scene_fini(&s);
}

static void test_B20_user_fences_of_binds_are_checked(void)
{
	uint64_t word = 0;
	struct drm_i915_vm_bind_user_fence fence = { PTR(&word), 7, SIGNAL, 0 };
	struct drm_i915_vm_bind_ext_user_fence ext = user_ext(&fence, 1), second;

	setup();
	fence.flags = 0;
	CHECK_ERR(bind_ext(&ext, SZ_1G), -EINVAL);
	fence.flags = 4 | SIGNAL;
	CHECK_ERR(bind_ext(&ext, SZ_1G), -EINVAL);
	fence.flags = SIGNAL;
	fence.rsvd = 1;
	CHECK_ERR(bind_ext(&ext, SZ_1G), -EINVAL);
	fence.rsvd = 0;
	fence.addr += 4;
	CHECK_ERR(unbind_ext(&ext, I915_AT), -EINVAL);
	fence.addr -= 4;
	ext.fence_count = 0;
	CHECK_ERR(bind_ext(&ext, SZ_1G), -EINVAL);
	ext.fence_count = UINT64_MAX;
	CHECK_ERR(bind_ext(&ext, SZ_1G), -EINVAL);
	ext = user_ext((void *)(uintptr_t)CLIENT_BAD, 1);
	CHECK_ERR(bind_ext(&ext, SZ_1G), -EFAULT);
	ext = user_ext(&fence, 1);
	second = ext;
	ext.base.next_extension = PTR(&second);
	CHECK_ERR(bind_ext(&ext, SZ_1G), -EINVAL); /* two lists */
	CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), 1);
	CHECK_EQ(word, 0);
	i915_scene_fini(&s);
}

struct waiter {
	uint64_t word;
	atomic_bool returned;
	int ret;
};

static void bind_when_written(void *arg)
{
	struct waiter *w = arg;
	struct drm_i915_vm_bind_user_fence fence = { PTR(&w->word), 5, WAIT, 0 };
	struct drm_i915_vm_bind_ext_user_fence ext = user_ext(&fence, 1);

	w->ret = bind_ext(&ext, SZ_1G);
	atomic_store(&w->returned, true);
}

/* The call itself waits, so that no dma fence ever does. */
static void test_A13_user_fences_are_waited_for_in_the_call(void)
{
	struct waiter w = { .ret = 1 };
	struct port_thread *thread;
	struct drm_i915_vm_bind_user_fence wakes = { PTR(&w.word), 5, SIGNAL, 0 };
	struct drm_i915_vm_bind_ext_user_fence ext = user_ext(&wakes, 1);
	uint64_t nothing = 0;

	setup();
	CHECK_OK(port_thread_create(&thread, "binder", bind_when_written, &w));
	CHECK_ERR(WAITS(.addr = PTR(&nothing), .value = 1, .timeout = 5 * MS), -ETIME);
	CHECK(!atomic_load(&w.returned));
	CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), 1);
	/* Binds beside it are not held up, and the value of one wakes the other. */
	CHECK_OK(bind_ext(&ext, 2 * SZ_1G));
	port_thread_join(thread);
	CHECK_OK(w.ret);
	CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), 3);
	i915_scene_fini(&s);
}

static void test_A13_a_value_that_is_there_is_not_waited_for(void)
{
	uint64_t word = 5, gone = 0;
	struct drm_i915_vm_bind_user_fence fence = { PTR(&word), 5, WAIT | SIGNAL, 0 };
	struct drm_i915_vm_bind_ext_user_fence ext = user_ext(&fence, 1);

	setup();
	CHECK_OK(bind_ext(&ext, SZ_1G));
	CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), 2);
	fence.addr = CLIENT_BAD & ~UINT64_C(7);
	CHECK_ERR(bind_ext(&ext, 2 * SZ_1G), -EFAULT);
	CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), 2);
	CHECK_EQ(gone, 0);
	i915_scene_fini(&s);
}

/* ---- lists of timeline fences ---------------------------------------------------------------- */

struct timeline_list {
	struct drm_i915_vm_bind_ext_timeline_fences ext;
	struct drm_i915_gem_exec_fence handle[4];
	uint64_t value[4];
};

static void fences_init(struct timeline_list *list, unsigned count)
{
	memset(list, 0, sizeof(*list));
	list->ext.base.name = I915_VM_BIND_EXT_TIMELINE_FENCES;
	list->ext.fence_count = count;
	list->ext.handles_ptr = PTR(list->handle);
	list->ext.values_ptr = PTR(list->value);
}

static void a_list_of_fences_is_waited_for_and_signalled(void)
{
	struct timeline_list list;
	struct i915_gate gate;

	setup();
	gate = i915_gate(&s.c);
	fences_init(&list, 3);
	list.handle[0] = (struct drm_i915_gem_exec_fence){ gate.syncobj, 1 };
	list.handle[1] = (struct drm_i915_gem_exec_fence){ client_syncobj(s.c.file, false), 2 };
	list.handle[2] = (struct drm_i915_gem_exec_fence){ client_syncobj(s.c.file, false), 2 };
	list.value[2] = 3;
	CHECK_OK(bind_ext(&list, SZ_1G));
	CHECK_ERR(client_syncobj_wait(s.c.file, list.handle[1].handle, 0), -ETIME);
	CHECK_ERR(client_point_wait(s.c.file, list.handle[2].handle, 3, 0, 0), -ETIME);
	i915_gate_open(&gate);
	CHECK_OK(client_syncobj_wait(s.c.file, list.handle[1].handle, INT64_MAX));
	CHECK_OK(client_point_wait(s.c.file, list.handle[2].handle, 3, 0, INT64_MAX));
	i915_scene_fini(&s);
}

static void a_list_of_fences_is_checked(void)
{
	struct timeline_list list, second;

	setup();
	fences_init(&list, 1);
	list.handle[0] = (struct drm_i915_gem_exec_fence){ 99, 2 };
	CHECK_ERR(bind_ext(&list, SZ_1G), -ENOENT);
	list.handle[0] = (struct drm_i915_gem_exec_fence){ client_syncobj(s.c.file, false), 1 };
	CHECK_ERR(unbind_ext(&list, I915_AT), -EINVAL); /* has no fence yet */
	list.handle[0].flags = 4;
	CHECK_ERR(bind_ext(&list, SZ_1G), -EINVAL);
	list.handle[0].flags = 2;
	list.ext.fence_count = 0;
	CHECK_ERR(bind_ext(&list, SZ_1G), -EINVAL);
	list.ext.fence_count = UINT64_MAX;
	CHECK_ERR(bind_ext(&list, SZ_1G), -EINVAL);
	list.ext.fence_count = 1;
	list.ext.handles_ptr = CLIENT_BAD;
	CHECK_ERR(bind_ext(&list, SZ_1G), -EFAULT);
	list.ext.handles_ptr = PTR(list.handle);
	list.ext.values_ptr = CLIENT_BAD;
	CHECK_ERR(bind_ext(&list, SZ_1G), -EFAULT);
	list.ext.values_ptr = PTR(list.value);
	second = list;
	list.ext.base.next_extension = PTR(&second);
	CHECK_ERR(bind_ext(&list, SZ_1G), -EINVAL);
	CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), 1);
	i915_scene_fini(&s);
}

static void bind_queues_are_checked(void)
{
	struct drm_i915_vm_bind_ext_queue ext[2] = {
		{ .base.name = I915_VM_BIND_EXT_QUEUE }, { .base.name = I915_VM_BIND_EXT_QUEUE },
	};

	setup();
	for (uint32_t i = 0; i < 16; i++) {
		ext[0].queue_idx = i;
		CHECK_OK(bind_ext(ext, SZ_1G + i * SZ_64K));
		CHECK_OK(unbind_ext(ext, SZ_1G + i * SZ_64K));
	}
	ext[0].queue_idx = 16;
	CHECK_ERR(bind_ext(ext, SZ_1G), -EINVAL);
	ext[0].queue_idx = UINT32_MAX;
	CHECK_ERR(unbind_ext(ext, I915_AT), -EINVAL);
	ext[0].queue_idx = 0;
	ext[0].rsvd = 1;
	CHECK_ERR(bind_ext(ext, SZ_1G), -EINVAL);
	ext[0].rsvd = 0;
	ext[0].base.next_extension = PTR(&ext[1]);
	CHECK_ERR(bind_ext(ext, SZ_1G), -EINVAL);
	CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), 1);
	i915_scene_fini(&s);
}

static const struct test_case cases[] = {
	TEST(test_B20_the_operators),
	TEST(test_B20_the_mask),
	TEST(test_B20_what_is_checked),
	TEST(test_B20_a_soft_wait_names_no_context),
	TEST(test_B20_timeouts),
	TEST(test_B20_a_sleeper_is_woken),
	TEST(test_B20_a_lost_context_is_EIO),
	TEST(test_B20_a_submission_writes_at_its_end),
	TEST(test_B20_user_fences_of_submissions_are_checked),
	TEST(test_B20_binds_and_unbinds_write_when_they_are_done),
	TEST(test_B20_user_fences_of_binds_are_checked),
	TEST(test_A13_user_fences_are_waited_for_in_the_call),
	TEST(test_A13_a_value_that_is_there_is_not_waited_for),
	TEST(a_list_of_fences_is_waited_for_and_signalled),
	TEST(a_list_of_fences_is_checked),
	TEST(bind_queues_are_checked),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
