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

static const struct test_case cases[] = {
	TEST(a_batch_stores_where_something_is_bound),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
