// SPDX-License-Identifier: MIT
/* Address spaces of i915: opting in, numbers, who keeps them, whose addresses they are. */
#include "i915_client.h"

static struct i915_scene s;

static int make_vm(uint32_t flags, uint64_t extensions, uint32_t *vm_out)
{
	struct drm_i915_gem_vm_control args = { .flags = flags, .extensions = extensions };
	int ret = IOCTL(s.c.file, I915_GEM_VM_CREATE, &args);

	*vm_out = args.vm_id;
	return ret;
}

static int vm_destroy(uint32_t vm)
{
	struct drm_i915_gem_vm_control args = { .vm_id = vm };

	return IOCTL(s.c.file, I915_GEM_VM_DESTROY, &args);
}

static void create_knows_one_flag(void)
{
	uint32_t vm;

	i915_scene_init(&s, "dg2", 2);
	for (unsigned bit = 1; bit < 32; bit++) {
		CHECK_ERR(make_vm(1u << bit, 0, &vm), -EINVAL);
	}
	CHECK_OK(make_vm(0, 0, &vm));
	CHECK_OK(make_vm(I915_VM_CREATE_FLAGS_USE_VM_BIND, 0, &vm));
	i915_scene_fini(&s);
}

static void create_knows_no_extension(void)
{
	struct i915_user_extension ext = { 0 };
	uint32_t vm;

	i915_scene_init(&s, "dg2", 2);
	CHECK_ERR(make_vm(1, PTR(&ext), &vm), -EINVAL);
	CHECK_ERR(make_vm(1, CLIENT_BAD, &vm), -EFAULT);
	i915_scene_fini(&s);
}

static void destroy_checks_what_it_is_given(void)
{
	struct drm_i915_gem_vm_control args = { 0 };

	i915_scene_init(&s, "dg2", 2);
	CHECK_ERR(vm_destroy(0), -ENOENT);
	CHECK_ERR(vm_destroy(99), -ENOENT);
	args.vm_id = s.vm;
	args.flags = 1;
	CHECK_ERR(IOCTL(s.c.file, I915_GEM_VM_DESTROY, &args), -EINVAL);
	args.flags = 0;
	args.extensions = 8;
	CHECK_ERR(IOCTL(s.c.file, I915_GEM_VM_DESTROY, &args), -EINVAL);
	CHECK_OK(vm_destroy(s.vm));
	CHECK_ERR(vm_destroy(s.vm), -ENOENT);
	i915_scene_fini(&s);
}

static void test_B03_VM_BIND_is_opted_in_for_at_creation(void)
{
	uint32_t vm;

	i915_scene_init(&s, "dg2", 2);
	CHECK_OK(make_vm(0, 0, &vm));
	CHECK_ERR(i915_bind(&s.c, vm, s.bo, SZ_1G, 0, SZ_64K), -EOPNOTSUPP);
	CHECK_ERR(i915_unbind(&s.c, vm, SZ_1G, SZ_64K), -EOPNOTSUPP);
	CHECK_OK(i915_bind(&s.c, s.vm, s.bo, SZ_1G, 0, SZ_64K));
	i915_scene_fini(&s);
}

static void numbers_are_a_files_own(void)
{
	struct uapi_file *mine;

	i915_scene_init(&s, "dg2", 2);
	mine = s.c.file;
	s.c.file = client_open(&s.c, true);
	CHECK_ERR(vm_destroy(s.vm), -ENOENT);
	CHECK_ERR(i915_unbind(&s.c, s.vm, I915_AT, SZ_64K), -ENOENT);
	uapi_close(s.c.file);
	s.c.file = mine;
	CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), 1);
	i915_scene_fini(&s);
}

static void a_context_keeps_its_address_space(void)
{
	i915_scene_init(&s, "dg2", 2);
	CHECK_OK(vm_destroy(s.vm));
	CHECK_ERR(i915_bind(&s.c, s.vm, s.bo, SZ_1G, 0, SZ_64K), -ENOENT);
	CHECK_OK(i915_exec_wait(&s.c, s.ctx, i915_store(&s, 0, I915_AT + 1024, 3)));
	CHECK_EQ(s.cpu[256], 3);
	CHECK_OK(i915_context_destroy(&s.c, s.ctx));
	i915_scene_fini(&s);
}

static void a_private_object_outlives_its_address_space(void)
{
	uint32_t vm, bo;

	i915_scene_init(&s, "dg2", 2);
	vm = i915_vm(&s.c);
	bo = i915_bo_private(&s.c, vm, SZ_64K);
	CHECK_OK(i915_bind(&s.c, vm, bo, SZ_2M, 0, SZ_64K));
	CHECK_OK(vm_destroy(vm));
	CHECK_EQ(i915_vm(&s.c), vm); /* the number is given out again, the object is not its */
	CHECK_ERR(i915_bind(&s.c, vm, bo, SZ_2M, 0, SZ_64K), -EINVAL);
	CHECK_OK(client_gem_close(s.c.file, bo));
	i915_scene_fini(&s);
}

static void an_address_space_goes_with_what_is_mapped(void)
{
	uint32_t vm;

	i915_scene_init(&s, "dg2", 2);
	vm = i915_vm(&s.c);
	for (unsigned i = 1; i < 20; i++) {
		CHECK_OK(i915_bind(&s.c, vm, s.bo, i * SZ_64K, 0, SZ_64K));
	}
	CHECK_OK(vm_destroy(vm));
	i915_scene_fini(&s);
}

static void a_file_closes_with_work_that_runs(void)
{
	struct uapi_file *mine;
	uint32_t *cpu;
	uint32_t vm, bo;

	i915_scene_init(&s, "dg2", 2);
	mine = s.c.file;
	s.c.file = client_open(&s.c, true);
	vm = i915_vm(&s.c);
	bo = i915_bo(&s.c, SZ_64K);
	cpu = i915_cpu(&s.c, bo, SZ_64K);
	cpu[1024] = 1;
	(void)client_batch_spin(cpu, SZ_2M, SZ_2M + 4096);
	CHECK_OK(i915_bind(&s.c, vm, bo, SZ_2M, 0, SZ_64K));
	CHECK_OK(i915_exec(&s.c, i915_context(&s.c, vm, 0), SZ_2M, NULL, 0));
	uapi_close(s.c.file); /* nobody stops the batch otherwise */
	s.c.file = mine;
	CHECK_OK(i915_exec_wait(&s.c, s.ctx, i915_store(&s, 0, I915_AT + 1024, 3)));
	i915_scene_fini(&s);
}

static void address_spaces_are_apart(void)
{
	uint32_t vm, data, ctx, *words;

	i915_scene_init(&s, "dg2", 2);
	vm = i915_vm(&s.c);
	ctx = i915_context(&s.c, vm, 0);
	data = i915_bo(&s.c, SZ_64K);
	words = i915_cpu(&s.c, data, SZ_64K);
	/* The same address, another object behind it. */
	CHECK_OK(i915_bind(&s.c, vm, data, I915_AT, 0, SZ_64K));
	s.cpu[512] = 1;
	words[512] = 2;
	(void)client_batch_store(words, I915_AT + 2048, 4);
	CHECK_EQ(i915_read(&s, I915_AT + 2048), 1);
	CHECK_OK(i915_exec_wait(&s.c, ctx, I915_AT));
	CHECK_EQ(words[512], 4);
	CHECK_EQ(s.cpu[512], 1);
	i915_scene_fini(&s);
}

static void test_B12_every_address_is_the_clients(void)
{
	const uint64_t top = UINT64_C(1) << 48;
	const uint64_t places[] = { 0, SZ_64K, 4 * SZ_1G, top / 2 - SZ_64K, top / 2, top - SZ_64K };

	i915_scene_init(&s, "dg2", 2);
	for (unsigned i = 0; i < ARRAY_LEN(places); i++) {
		uint64_t at = places[i], high = at >> 47 ? at | UINT64_C(0xffff) << 48 : at;

		CHECK_OK(i915_bind(&s.c, s.vm, s.bo, at, 0, SZ_64K));
		s.cpu[512] = 100 + i;
		CHECK_EQ(i915_read(&s, high + 2048), 100 + i);
		CHECK_OK(i915_unbind(&s.c, s.vm, at, SZ_64K));
	}
	i915_scene_fini(&s);
}

static void addresses_beyond_the_end_are_not_there(void)
{
	const uint64_t top = UINT64_C(1) << 48;

	i915_scene_init(&s, "tgl", 2);
	CHECK_ERR(i915_bind(&s.c, s.vm, s.bo, top - SZ_4K, 0, 2 * SZ_4K), -EINVAL);
	CHECK_ERR(i915_bind(&s.c, s.vm, s.bo, top, 0, SZ_4K), -EINVAL);
	CHECK_ERR(i915_bind(&s.c, s.vm, s.bo, UINT64_C(1) << 60, 0, SZ_4K), -EINVAL);
	CHECK_ERR(i915_bind(&s.c, s.vm, s.bo, -(uint64_t)SZ_4K, 0, 2 * SZ_4K), -EINVAL);
	CHECK_ERR(i915_unbind(&s.c, s.vm, top - SZ_4K, 2 * SZ_4K), -EINVAL);
	CHECK_ERR(i915_unbind(&s.c, s.vm, UINT64_C(1) << 60, SZ_4K), -EINVAL);
	CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), 1);
	i915_scene_fini(&s);
}

/* What is bound nowhere reads as zero and swallows stores; it is no fault. */
static void unbound_addresses_are_the_scratch_page(void)
{
	i915_scene_init(&s, "dg2", 2);
	CHECK_OK(i915_exec_wait(&s.c, s.ctx, i915_store(&s, 0, SZ_1G, 9)));
	CHECK_EQ(i915_read(&s, SZ_1G), 0);
	i915_scene_fini(&s);
}

/* ---- numbers that go at any time ------------------------------------------------------------- */

static void use_and_destroy(void *arg)
{
	struct drm_i915_gem_vm_control args = { .vm_id = 1 };

	i915_bind(&s.c, 1, 1, SZ_1G, 0, SZ_64K);
	i915_exec(&s.c, 1, I915_AT, NULL, 0);
	i915_unbind(&s.c, 1, I915_AT, SZ_64K);
	client_gem_close(s.c.file, 1);
	i915_context_destroy(&s.c, 1);
	IOCTL(s.c.file, I915_GEM_VM_DESTROY, &args);
}

static void race(uint64_t seed)
{
	struct port_thread *thread[2];

	i915_scene_init(&s, "tgl", 2);
	(void)i915_store(&s, 0, I915_AT + 1024, 1);
	CHECK(s.vm == 1 && s.ctx == 1 && s.bo == 1);
	for (unsigned i = 0; i < 2; i++) {
		CHECK_OK(port_thread_create(&thread[i], "client", use_and_destroy, NULL));
	}
	port_thread_join(thread[0]);
	port_thread_join(thread[1]);
	CHECK_ERR(i915_exec(&s.c, 1, I915_AT, NULL, 0), -ENOENT);
	i915_scene_fini(&s);
}

static void numbers_can_go_at_any_time(void)
{
	test_seeds(race, 1, test_scale(60));
}

static const struct test_case cases[] = {
	TEST(create_knows_one_flag),
	TEST(create_knows_no_extension),
	TEST(destroy_checks_what_it_is_given),
	TEST(test_B03_VM_BIND_is_opted_in_for_at_creation),
	TEST(numbers_are_a_files_own),
	TEST(a_context_keeps_its_address_space),
	TEST(a_private_object_outlives_its_address_space),
	TEST(an_address_space_goes_with_what_is_mapped),
	TEST(a_file_closes_with_work_that_runs),
	TEST(address_spaces_are_apart),
	TEST(test_B12_every_address_is_the_clients),
	TEST(addresses_beyond_the_end_are_not_there),
	TEST(unbound_addresses_are_the_scratch_page),
	TEST(numbers_can_go_at_any_time),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
