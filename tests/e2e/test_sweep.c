// SPDX-License-Identifier: MIT
/*
 * One scenario in which every allocation, user copy, interruptible sleep and thread creation fails
 * in turn, once and for ever: each call succeeds or returns an error, the VM is as promised,
 * nothing leaks, and the call works when it is made again without the failure.
 */
#include "rig.h"

#define BATCH 0x100000
#define DATA 0x800000

struct scene {
	struct device *device;
	struct vm *vm;
	struct bo *batch, *data;
	struct bind_queue *bind_queue;
	struct exec_queue *queue;
	void *mem;
};

static void count_mappings(struct vm *vm, unsigned *count_out, uint64_t *bytes_out)
{
	struct vm_mapping mapping = { .end = 0 };

	*count_out = 0;
	*bytes_out = 0;
	while (vm_mapping_next(vm, mapping.end, &mapping)) {
		*count_out += 1;
		*bytes_out += mapping.end - mapping.start;
	}
}

/* Once more without failures if it failed; then it must work. */
static int try_bind(struct scene *s, const struct bind_op *ops, unsigned n)
{
	unsigned count, count_after;
	uint64_t bytes, bytes_after;
	struct fence *fence = NULL;
	int ret;

	count_mappings(s->vm, &count, &bytes);
	ret = rig_bind_list(s->vm, s->bind_queue, ops, n, NULL, &fence);
	if (ret) {
		CHECK(test_injected());
		CHECK(ret == -ENOMEM || ret == -EFAULT || ret == -EINTR || ret == -ENOSPC);
		count_mappings(s->vm, &count_after, &bytes_after);
		CHECK_EQ(count, count_after);
		CHECK_EQ(bytes, bytes_after);
		vm_check(s->vm);
		test_injection_off();
		CHECK_OK(rig_bind_list(s->vm, s->bind_queue, ops, n, NULL, &fence));
	}
	rig_wait(fence);
	vm_check(s->vm);
	return ret;
}

static void try_exec(struct scene *s, uint64_t addr, uint32_t value)
{
	struct fence *fence = NULL;
	int ret;

	rig_batch_stores(s->batch, 0, &addr, &value, 1);
	ret = rig_exec(s->queue, BATCH, NULL, &fence);
	if (ret) {
		CHECK(test_injected());
		CHECK(ret == -ENOMEM || ret == -EINTR);
		test_injection_off();
		CHECK_OK(rig_exec(s->queue, BATCH, NULL, &fence));
	}
	CHECK_OK(fence_wait(fence, PORT_FOREVER, 0));
	CHECK_OK(fence_error(fence));
	fence_put(fence);
}

static void play(struct scene *s)
{
	const struct bind_op first[] = {
		rig_map(s->batch, BATCH, 0, SZ_64K),
		rig_map(s->data, DATA, 0, SZ_2M),
		rig_map_null(SZ_1G, SZ_2M),
	};
	const struct bind_op second[] = {
		rig_unmap(DATA + SZ_64K, SZ_4K),
		rig_map(s->data, SZ_1G + SZ_64K, SZ_64K, SZ_64K),
		rig_unmap(SZ_1G, SZ_4K),
	};
	struct bind_op user = { .kind = BIND_MAP_USERPTR, .addr = 2 * SZ_1G, .range = SZ_64K,
				.offset = (uint64_t)(uintptr_t)s->mem };
	struct bind_op one;

	try_bind(s, first, ARRAY_LEN(first));
	try_bind(s, second, ARRAY_LEN(second));
	try_bind(s, &user, 1);
	try_exec(s, DATA, 0x11);
	CHECK_EQ(rig_read32(s->data, 0), 0x11);
	try_exec(s, 2 * SZ_1G, 0x12);
	CHECK_EQ(*(volatile uint32_t *)s->mem, 0x12);
	rig_client_drops(s->device, (uint64_t)(uintptr_t)s->mem, SZ_64K);
	try_exec(s, SZ_1G + SZ_64K, 0x13);
	CHECK_EQ(rig_read32(s->data, SZ_64K), 0x13);
	one = rig_unmap(DATA + SZ_2M / 2, SZ_64K);
	try_bind(s, &one, 1);
	one = (struct bind_op){ .kind = BIND_UNMAP_BO, .bo = s->data };
	try_bind(s, &one, 1);
	one = rig_unmap(0, (uint64_t)1 << 48);
	try_bind(s, &one, 1);
	CHECK_EQ(s->vm->index.count, 0);
	CHECK_EQ(s->vm->pt.tables, 1);
}

static void scenario(void *arg)
{
	struct scene s = { .mem = arg };

	s.device = rig_device(SCHEDULE_NORMAL);
	if (!s.device) {
		return;
	}
	s.vm = rig_vm(s.device, 0);
	s.batch = rig_bo(s.device, SZ_64K, MEM_SYSTEM);
	s.data = rig_bo(s.device, SZ_2M, MEM_VRAM);
	if (s.vm && s.batch && s.data) {
		s.queue = rig_queue(s.device, s.vm, RIG_RENDER);
		if (s.queue && bind_queue_create(s.vm, &s.bind_queue) == 0) {
			play(&s);
		}
	}
	test_injection_off();
	bind_queue_put(s.bind_queue);
	if (s.queue) {
		rig_queue_done(s.queue);
	}
	if (s.vm) {
		rig_vm_done(s.vm);
	}
	bo_put(s.batch);
	bo_put(s.data);
	device_destroy(s.device);
}

static void sweep(enum port_fault_point point, unsigned at_least)
{
	void *mem = port_reserve(SZ_64K);

	CHECK(mem);
	CHECK(test_sweep(point, scenario, mem) >= at_least);
	port_unreserve(mem, SZ_64K);
}

static void test_A24_every_allocation_fails_in_turn(void)
{
	sweep(PORT_FAULT_ALLOC, 100);
}

static void test_every_user_copy_fails_in_turn(void)
{
	sweep(PORT_FAULT_USER_COPY, 4);
}

static void test_A21_every_interruptible_sleep_fails_in_turn(void)
{
	sweep(PORT_FAULT_SLEEP, 2);
}

static void test_every_thread_creation_fails_in_turn(void)
{
	sweep(PORT_FAULT_THREAD, 2);
}

static const struct test_case cases[] = {
	TEST(test_A24_every_allocation_fails_in_turn),
	TEST(test_every_user_copy_fails_in_turn),
	TEST(test_A21_every_interruptible_sleep_fails_in_turn),
	TEST(test_every_thread_creation_fails_in_turn),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
