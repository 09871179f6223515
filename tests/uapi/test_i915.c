// SPDX-License-Identifier: MIT
/* The i915 front-end from end to end: what a client of the RFC does first. */
#include "i915_client.h"

#define BATCH 0x100000
#define DATA  0x200000
#define GPUS  { "dg2", "tgl" }

static void a_batch_stores_where_something_is_bound(void)
{
	static const char *const gpus[] = GPUS;

	for (unsigned i = 0; i < 2 * ARRAY_LEN(gpus); i++) {
		uint32_t vm, ctx, batch, data, *words;
		struct client c;

		i915_init(&c, gpus[i / 2], 1 + i % 2);
		vm = i915_vm(&c);
		batch = i915_bo(&c, SZ_64K);
		data = i915_bo_private(&c, vm, SZ_64K);
		words = i915_cpu(&c, data, SZ_64K);
		(void)client_batch_store(i915_cpu(&c, batch, SZ_64K), DATA + 8, 42);
		ctx = i915_context(&c, vm, 0);
		CHECK_OK(i915_bind(&c, vm, batch, BATCH, 0, SZ_64K));
		CHECK_OK(i915_bind(&c, vm, data, DATA, 0, SZ_64K));
		CHECK_OK(i915_exec_wait(&c, ctx, BATCH));
		CHECK_EQ(words[2], 42);
		/* What is unbound is not reached any more: the scratch page takes the store. */
		words[2] = 0;
		CHECK_OK(i915_unbind(&c, vm, DATA, SZ_64K));
		CHECK_OK(i915_exec_wait(&c, ctx, BATCH));
		CHECK_EQ(words[2], 0);
		CHECK_OK(i915_context_destroy(&c, ctx));
		client_fini(&c);
	}
}

/* A bind behind @gate of a timeline that signals @done. */
static int bind_behind(struct client *c, uint32_t vm, uint32_t bo, uint64_t start, uint32_t gate,
		       uint32_t done, int queue)
{
	struct drm_i915_vm_bind_ext_queue in_queue = {
		.base.name = I915_VM_BIND_EXT_QUEUE,
		.queue_idx = (uint32_t)queue,
	};
	struct drm_i915_gem_exec_fence handle = { gate, I915_TIMELINE_FENCE_WAIT };
	uint64_t point = 0;
	struct drm_i915_vm_bind_ext_timeline_fences fences = {
		.base = { .name = I915_VM_BIND_EXT_TIMELINE_FENCES,
			  .next_extension = queue < 0 ? 0 : PTR(&in_queue) },
		.fence_count = 1,
		.handles_ptr = PTR(&handle),
		.values_ptr = PTR(&point),
	};
	struct drm_i915_gem_vm_bind args = {
		.vm_id = vm,
		.handle = bo,
		.start = start,
		.length = SZ_64K,
		.fence = i915_fence(done, 0, I915_TIMELINE_FENCE_SIGNAL),
		.extensions = gate ? PTR(&fences) : fences.base.next_extension,
	};

	return IOCTL(c->file, I915_GEM_VM_BIND, &args);
}

/* In one queue the second waits for what the first waits for; without a queue nobody does. */
static void test_A11_B04_binds_are_ordered_in_their_queues_only(void)
{
	for (int queue = -1; queue < 16; queue += 16) {
		uint32_t vm, bo, ctx, gate, done[2];
		struct drm_i915_gem_timeline_fence wait;
		struct client c;
		uint32_t *flag;

		i915_init(&c, "tgl", 2);
		vm = i915_vm(&c);
		bo = i915_bo(&c, SZ_64K);
		ctx = i915_context(&c, vm, 0);
		gate = client_syncobj(c.file, false);
		done[0] = client_syncobj(c.file, false);
		done[1] = client_syncobj(c.file, false);
		flag = i915_cpu(&c, bo, SZ_64K);
		flag[1024] = 1;
		(void)client_batch_spin(flag, BATCH, BATCH + SZ_4K);
		CHECK_OK(i915_bind(&c, vm, bo, BATCH, 0, SZ_64K));
		wait = i915_fence(gate, 0, I915_TIMELINE_FENCE_SIGNAL);
		CHECK_OK(i915_exec(&c, ctx, BATCH, &wait, 1));
		CHECK_OK(bind_behind(&c, vm, bo, DATA, gate, done[0], queue));
		CHECK_OK(bind_behind(&c, vm, bo, DATA + SZ_2M, 0, done[1], queue));
		CHECK_ERR(client_syncobj_wait(c.file, done[0], 0), -ETIME);
		CHECK_ERR(client_syncobj_wait(c.file, done[1], 0), queue < 0 ? 0 : -ETIME);
		__atomic_store_n(&flag[1024], 0, __ATOMIC_RELEASE);
		CHECK_OK(client_syncobj_wait(c.file, done[0], INT64_MAX));
		CHECK_OK(client_syncobj_wait(c.file, done[1], INT64_MAX));
		client_fini(&c);
	}
}

/* Its work goes on; another that is destroyed later finds it ended, and so does the file. */
static void a_context_that_is_destroyed_ends_its_work(void)
{
	uint32_t vm, bo, ctx, other, done, *flag;
	struct drm_i915_gem_timeline_fence signal;
	struct client c;

	i915_init(&c, "tgl", 2);
	vm = i915_vm(&c);
	bo = i915_bo(&c, SZ_64K);
	ctx = i915_context(&c, vm, 0);
	other = i915_context(&c, vm, 0);
	done = client_syncobj(c.file, false);
	flag = i915_cpu(&c, bo, SZ_64K);
	flag[1024] = 1;
	(void)client_batch_spin(flag, BATCH, BATCH + SZ_4K);
	CHECK_OK(i915_bind(&c, vm, bo, BATCH, 0, SZ_64K));
	signal = i915_fence(done, 0, I915_TIMELINE_FENCE_SIGNAL);
	CHECK_OK(i915_exec(&c, ctx, BATCH, &signal, 1));
	CHECK_OK(i915_context_destroy(&c, ctx));
	CHECK_ERR(i915_context_destroy(&c, ctx), -ENOENT);
	CHECK_ERR(client_syncobj_wait(c.file, done, 0), -ETIME);
	__atomic_store_n(&flag[1024], 0, __ATOMIC_RELEASE);
	CHECK_OK(client_syncobj_wait(c.file, done, INT64_MAX));
	CHECK_OK(i915_context_destroy(&c, other));
	/* One whose work is left when the file goes. */
	ctx = i915_context(&c, vm, 0);
	flag[1024] = 1;
	CHECK_OK(i915_exec(&c, ctx, BATCH, NULL, 0));
	CHECK_OK(i915_context_destroy(&c, ctx));
	client_fini(&c);
}

static const struct test_case cases[] = {
	TEST(a_context_that_is_destroyed_ends_its_work),
	TEST(test_A11_B04_binds_are_ordered_in_their_queues_only),
	TEST(a_batch_stores_where_something_is_bound),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
