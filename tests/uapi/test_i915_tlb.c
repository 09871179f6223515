// SPDX-License-Identifier: MIT
/*
 * When translations are dropped (B09): by each submission, and when pages are released; never by a
 * bind or an unbind. A batch that runs sees what its engine has cached.
 */
#include "i915_client.h"

#include <string.h>

#include "uapi/i915/i915.h"

#define MS   INT64_C(1000000)
#define DATA UINT64_C(0x40000000)
#define FLAG 8192  /* in the scene's object: a spinner ends when it is 0 */
#define OUT  12288 /* and what batches have read */

static struct i915_scene s;

struct watch {
	struct event_reader reader;
	atomic_uint flushes, frees, stale;
};

static void watch_read(struct event_reader *reader, const struct event *event)
{
	struct watch *w = container_of(reader, struct watch, reader);

	if (event->type == EVENT_TLB_INVALIDATE) {
		atomic_fetch_add(&w->flushes, 1);
	} else if (event->type == EVENT_BO_FREE) {
		atomic_fetch_add(&w->frees, 1);
	} else if (event->type == EVENT_STALE_ACCESS) {
		atomic_fetch_add(&w->stale, 1);
	}
}

static void watch_begin(struct watch *w)
{
	memset(w, 0, sizeof(*w));
	w->reader.read = watch_read;
	event_attach(uapi_device_events(s.c.device), &w->reader);
}

static void watch_end(struct watch *w)
{
	event_detach(uapi_device_events(s.c.device), &w->reader);
}

/* Since the last look. */
static unsigned flushed(struct watch *w)
{
	return atomic_exchange(&w->flushes, 0);
}

/* An object with @value in its first dword. */
static uint32_t object_with(uint32_t value)
{
	uint32_t bo = i915_bo(&s.c, SZ_64K), *words = i915_cpu(&s.c, bo, SZ_64K);

	words[0] = value;
	return bo;
}

/* ---- counting -------------------------------------------------------------------------------- */

static void test_B09_binds_and_unbinds_flush_nothing(void)
{
	static const char *const gpus[] = { "dg2", "tgl" };

	for (unsigned i = 0; i < 2 * ARRAY_LEN(gpus); i++) {
		struct watch w;

		i915_scene_init(&s, gpus[i / 2], 1 + i % 2);
		(void)i915_read(&s, I915_AT);
		watch_begin(&w);
		for (unsigned k = 0; k < 20; k++) {
			CHECK_OK(i915_bind(&s.c, s.vm, s.bo, DATA, 0, SZ_64K));
			CHECK_OK(i915_unbind(&s.c, s.vm, DATA, SZ_64K));
		}
		CHECK_EQ(flushed(&w), 0);
		watch_end(&w);
		i915_scene_fini(&s);
	}
}

static void test_B09_nor_do_those_that_go_on_behind_the_call(void)
{
	struct drm_i915_gem_vm_bind bind = { .start = DATA, .length = SZ_64K };
	struct drm_i915_gem_vm_unbind unbind = { .start = DATA, .length = SZ_64K };
	struct watch w;

	i915_scene_init(&s, "dg2", 2);
	bind.vm_id = unbind.vm_id = s.vm;
	bind.handle = s.bo;
	bind.fence = unbind.fence = i915_fence(client_syncobj(s.c.file, false), 0,
					       I915_TIMELINE_FENCE_SIGNAL);
	watch_begin(&w);
	CHECK_OK(IOCTL(s.c.file, I915_GEM_VM_BIND, &bind));
	CHECK_OK(client_syncobj_wait(s.c.file, bind.fence.handle, INT64_MAX));
	CHECK_OK(client_ioctl(s.c.file, DRM_IOCTL_I915_GEM_VM_UNBIND_56, &unbind));
	CHECK_OK(client_syncobj_wait(s.c.file, bind.fence.handle, INT64_MAX));
	CHECK_EQ(flushed(&w), 0);
	watch_end(&w);
	i915_scene_fini(&s);
}

static void test_B09_a_bind_that_replaces_flushes_nothing(void)
{
	struct watch w;
	uint32_t bo[2];

	i915_scene_init(&s, "dg2", 2);
	bo[0] = object_with(10);
	bo[1] = object_with(11);
	CHECK_OK(i915_bind(&s.c, s.vm, bo[0], DATA, 0, SZ_64K));
	CHECK_EQ(i915_read(&s, DATA), 10);
	watch_begin(&w);
	CHECK_OK(i915_bind(&s.c, s.vm, bo[1], DATA, 0, SZ_64K));
	CHECK_EQ(flushed(&w), 0);
	CHECK_EQ(i915_read(&s, DATA), 11);
	CHECK_EQ(flushed(&w), 1);
	watch_end(&w);
	i915_scene_fini(&s);
}

static void test_B09_each_submission_flushes(void)
{
	struct watch w;

	i915_scene_init(&s, "dg2", 2);
	watch_begin(&w);
	for (unsigned i = 1; i <= 5; i++) {
		(void)i915_read(&s, I915_AT); /* nothing was bound in between */
		CHECK_EQ(flushed(&w), 1);
	}
	watch_end(&w);
	i915_scene_fini(&s);
}

/* ---- a batch that runs ----------------------------------------------------------------------- */

static uint32_t *emit_copy(uint32_t *cs, uint64_t to, uint64_t from)
{
	cs[0] = 0x2eu << 23 | 3; /* MI_COPY_MEM_MEM */
	cs[1] = (uint32_t)to;
	cs[2] = (uint32_t)(to >> 32);
	cs[3] = (uint32_t)from;
	cs[4] = (uint32_t)(from >> 32);
	return cs + 5;
}

static uint32_t *emit_store(uint32_t *cs, uint64_t to, uint32_t value)
{
	cs[0] = 0x20u << 23 | 2; /* MI_STORE_DATA_IMM */
	cs[1] = (uint32_t)to;
	cs[2] = (uint32_t)(to >> 32);
	cs[3] = value;
	return cs + 4;
}

static uint32_t *emit_wait(uint32_t *cs, uint64_t flag, uint32_t value)
{
	cs[0] = 0x1cu << 23 | 1u << 15 | 4u << 12 | 2; /* MI_SEMAPHORE_WAIT: polls, equal */
	cs[1] = value;
	cs[2] = (uint32_t)flag;
	cs[3] = (uint32_t)(flag >> 32);
	return cs + 4;
}

/*
 * A batch that reads DATA, says so, waits until it is told to go on, and reads DATA again. It has
 * read once when this returns. @done tells its end.
 */
static void read_and_wait(uint32_t done)
{
	struct drm_i915_gem_timeline_fence out = i915_fence(done, 0, I915_TIMELINE_FENCE_SIGNAL);
	uint32_t *cs = s.cpu;

	memset(s.cpu + OUT / 4, 0xee, 64);
	__atomic_store_n(&s.cpu[FLAG / 4], 0, __ATOMIC_RELEASE);
	cs = emit_copy(cs, I915_AT + OUT, DATA);
	cs = emit_store(cs, I915_AT + OUT + 32, 1);
	cs = emit_wait(cs, I915_AT + FLAG, 1);
	cs = emit_copy(cs, I915_AT + OUT + 4, DATA);
	cs[0] = 0x0au << 23; /* MI_BATCH_BUFFER_END */
	CHECK_OK(i915_exec(&s.c, s.ctx, I915_AT, &out, 1));
	while (__atomic_load_n(&s.cpu[OUT / 4 + 8], __ATOMIC_ACQUIRE) != 1) {
		CHECK_ERR(client_syncobj_wait(s.c.file, done, (int64_t)port_now_ns() + MS), -ETIME);
	}
}

/* It goes on to its end; what it has read then. */
static uint32_t read_again(uint32_t done)
{
	__atomic_store_n(&s.cpu[FLAG / 4], 1, __ATOMIC_RELEASE);
	CHECK_OK(client_syncobj_wait(s.c.file, done, INT64_MAX));
	return s.cpu[OUT / 4 + 1];
}

static void test_B09_a_running_batch_keeps_what_it_has_cached(void)
{
	uint32_t bo[2], done;

	i915_scene_init(&s, "dg2", 2);
	done = client_syncobj(s.c.file, false);
	bo[0] = object_with(10);
	bo[1] = object_with(11);
	CHECK_OK(i915_bind(&s.c, s.vm, bo[0], DATA, 0, SZ_64K));
	read_and_wait(done);
	CHECK_EQ(s.cpu[OUT / 4], 10);
	CHECK_OK(i915_bind(&s.c, s.vm, bo[1], DATA, 0, SZ_64K));
	CHECK_EQ(read_again(done), 10);
	CHECK_EQ(i915_read(&s, DATA), 11); /* the next submission */
	i915_scene_fini(&s);
}

static void test_B09_a_mapping_is_not_seen_by_who_has_cached_scratch(void)
{
	uint32_t bo, done;

	i915_scene_init(&s, "dg2", 2);
	done = client_syncobj(s.c.file, false);
	bo = object_with(10);
	read_and_wait(done);
	CHECK_EQ(s.cpu[OUT / 4], 0);
	CHECK_OK(i915_bind(&s.c, s.vm, bo, DATA, 0, SZ_64K));
	CHECK_EQ(read_again(done), 0);
	CHECK_EQ(i915_read(&s, DATA), 10);
	i915_scene_fini(&s);
}

static void test_B09_what_is_unbound_stays_readable_for_who_has_cached_it(void)
{
	uint32_t bo, done;

	i915_scene_init(&s, "dg2", 2);
	done = client_syncobj(s.c.file, false);
	bo = object_with(10);
	CHECK_OK(i915_bind(&s.c, s.vm, bo, DATA, 0, SZ_64K));
	read_and_wait(done);
	CHECK_OK(i915_unbind(&s.c, s.vm, DATA, SZ_64K));
	CHECK_EQ(read_again(done), 10);
	CHECK_EQ(i915_read(&s, DATA), 0);
	i915_scene_fini(&s);
}

/* ---- pages that are released ----------------------------------------------------------------- */

/*
 * An object is used and unbound, then goes, and its address space never submits again. @without:
 * what is taken away meanwhile.
 */
static void release(struct watch *w, unsigned without)
{
	struct device *device = uapi_device_core(s.c.device);
	uint32_t bo = object_with(10);

	CHECK_OK(i915_bind(&s.c, s.vm, bo, DATA, 0, SZ_64K));
	CHECK_EQ(i915_read(&s, DATA), 10);
	watch_begin(w);
	device->vm_env.without = without;
	CHECK_OK(i915_unbind(&s.c, s.vm, DATA, SZ_64K));
	CHECK_EQ(flushed(w), 0);
	CHECK_OK(client_gem_close(s.c.file, bo));
}

static void test_B09_pages_are_flushed_when_they_are_released(void)
{
	struct watch w;

	i915_scene_init(&s, "dg2", 2);
	release(&w, 0);
	CHECK_EQ(atomic_load(&w.frees), 1);
	CHECK_EQ(flushed(&w), 1);
	watch_end(&w);
	i915_scene_fini(&s);
}

static void test_B09_a_mapping_that_goes_with_its_object_does_so_too(void)
{
	struct watch w;
	uint32_t bo;

	i915_scene_init(&s, "dg2", 2);
	bo = object_with(10);
	CHECK_OK(i915_bind(&s.c, s.vm, bo, DATA, 0, SZ_64K));
	CHECK_EQ(i915_read(&s, DATA), 10);
	CHECK_OK(client_gem_close(s.c.file, bo)); /* the mapping has the last reference */
	watch_begin(&w);
	CHECK_OK(i915_unbind(&s.c, s.vm, DATA, SZ_64K));
	CHECK_EQ(atomic_load(&w.frees), 1);
	CHECK_EQ(flushed(&w), 1);
	watch_end(&w);
	i915_scene_fini(&s);
}

/* What the engine's TLB says of DATA, without a submission. */
static int cached(enum gpu_fault_type *type_out)
{
	struct i915_vm *ivm = i915_vm_lookup(s.c.file, s.vm);
	struct vm_env *env = ivm->vm->env;
	struct gpu_fault fault = { 0 };
	uint32_t value;
	int ret = env->gpu->load(env->engines[0], &ivm->vm->hw, DATA, &value, sizeof(value),
				 &fault);

	*type_out = fault.type;
	i915_vm_put(ivm);
	return ret;
}

/* With the flush taken away, the next use finds that the page has changed hands. */
static void test_B09_a_page_is_not_reused_before_the_flush(void)
{
	static const unsigned without[] = { 0, GUARD_TLB };

	for (unsigned i = 0; i < ARRAY_LEN(without); i++) {
		enum gpu_fault_type type;
		struct watch w;

		i915_scene_init(&s, "dg2", 2);
		release(&w, without[i]);
		CHECK_ERR(cached(&type), without[i] ? -EFAULT : 0); /* or the scratch page */
		CHECK_EQ(type, without[i] ? GPU_FAULT_STALE : 0);
		watch_end(&w);
		i915_scene_fini(&s);
	}
}

/* The same seen by a batch, which would have read somebody else's page. */
static void test_B09_a_batch_that_would_use_it_is_stopped(void)
{
	struct drm_i915_reset_stats stats = { 0 };
	struct watch w;

	i915_scene_init(&s, "dg2", 2);
	release(&w, GUARD_TLB);
	stats.ctx_id = s.ctx;
	CHECK_OK(i915_exec_wait(&s.c, s.ctx, i915_copy(&s, 0, I915_AT + OUT, DATA)));
	CHECK_EQ(atomic_load(&w.stale), 1);
	CHECK_OK(IOCTL(s.c.file, I915_GET_RESET_STATS, &stats));
	CHECK_EQ(stats.batch_active, 1);
	CHECK_ERR(i915_exec(&s.c, s.ctx, I915_AT, NULL, 0), -EIO);
	watch_end(&w);
	i915_scene_fini(&s);
}

static const struct test_case cases[] = {
	TEST(test_B09_binds_and_unbinds_flush_nothing),
	TEST(test_B09_nor_do_those_that_go_on_behind_the_call),
	TEST(test_B09_a_bind_that_replaces_flushes_nothing),
	TEST(test_B09_each_submission_flushes),
	TEST(test_B09_a_running_batch_keeps_what_it_has_cached),
	TEST(test_B09_a_mapping_is_not_seen_by_who_has_cached_scratch),
	TEST(test_B09_what_is_unbound_stays_readable_for_who_has_cached_it),
	TEST(test_B09_pages_are_flushed_when_they_are_released),
	TEST(test_B09_a_mapping_that_goes_with_its_object_does_so_too),
	TEST(test_B09_a_page_is_not_reused_before_the_flush),
	TEST(test_B09_a_batch_that_would_use_it_is_stopped),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
