// SPDX-License-Identifier: MIT
/* Binds and execs through every room: order, deferral, unwinding, faults, close. */
#include "rig.h"

#define BATCH 0x100000
#define DATA 0x800000

static void test_A02_one_bind_one_exec(void)
{
	struct device *device = rig_device(SCHEDULE_NORMAL);
	struct vm *vm = rig_vm(device, 0);
	struct bo *batch = rig_bo(device, SZ_64K, MEM_VRAM);
	struct bo *data = rig_bo(device, SZ_64K, MEM_VRAM);
	struct exec_queue *queue = rig_queue(device, vm, RIG_RENDER);
	uint64_t addr = DATA + 0x40;
	uint32_t value = 0xc0ffee;

	CHECK_OK(rig_bind(vm, rig_map(batch, BATCH, 0, SZ_64K)));
	CHECK_OK(rig_bind(vm, rig_map(data, DATA, 0, SZ_64K)));
	rig_batch_stores(batch, 0, &addr, &value, 1);
	CHECK_OK(rig_exec_wait(queue, BATCH));
	CHECK_EQ(rig_read32(data, 0x40), 0xc0ffee);
	rig_queue_done(queue);
	rig_vm_done(vm);
	bo_put(batch);
	bo_put(data);
	device_destroy(device);
}

/*
 * A bind whose in-fence has not signalled changes nothing yet, holds back what follows on its own
 * queue, and does not hold back another queue.
 */
static void deferred_bind(enum device_schedule schedule)
{
	struct device *device = rig_device(schedule);
	struct vm *vm = rig_vm(device, 0);
	struct bo *bo = rig_bo(device, 4 * SZ_2M, MEM_SYSTEM);
	struct bind_queue *a, *b;
	struct fence *in = rig_fence(device), *first, *second, *other;

	CHECK_OK(bind_queue_create(vm, &a));
	CHECK_OK(bind_queue_create(vm, &b));
	first = rig_bind_async(vm, a, rig_map(bo, 0, 0, SZ_64K), in);
	second = rig_bind_async(vm, a, rig_map(bo, SZ_1G, 0, SZ_64K), NULL);
	other = rig_bind_async(vm, b, rig_map(bo, 2 * SZ_1G, 0, SZ_64K), NULL);
	CHECK_OK(fence_wait(other, PORT_FOREVER, 0));
	CHECK(rig_mapped(vm, 2 * SZ_1G));
	CHECK(!fence_is_signalled(first) && !rig_mapped(vm, 0));
	CHECK(!fence_is_signalled(second) && !rig_mapped(vm, SZ_1G));
	CHECK_ERR(fence_wait(second, port_now_ns() + 1000000, 0), -ETIMEDOUT);
	rig_fence_done(in);
	CHECK_OK(fence_wait(second, PORT_FOREVER, 0));
	CHECK(fence_is_signalled(first));
	CHECK(rig_mapped(vm, 0) && rig_mapped(vm, SZ_1G));
	fence_put(first);
	fence_put(second);
	fence_put(other);
	bind_queue_put(a);
	bind_queue_put(b);
	rig_vm_done(vm);
	bo_put(bo);
	device_destroy(device);
}

static void test_A07_deferred_bind(void)
{
	deferred_bind(SCHEDULE_NORMAL);
}

static void test_A07_deferred_bind_lazy(void)
{
	deferred_bind(SCHEDULE_LAZY);
}

static void test_A07_deferred_bind_adversarial(void)
{
	deferred_bind(SCHEDULE_ADVERSARIAL);
}

/*
 * Two queues: A maps address 0 and waits; @addr_b shares a leaf table with it or not. @table: that
 * table is there already, and stays. Does B finish while A waits?
 */
static bool second_queue_runs(bool table, uint64_t addr_b,
			      struct bind_op (*make_b)(struct bo *, uint64_t))
{
	struct device *device = rig_device(SCHEDULE_NORMAL);
	struct vm *vm = rig_vm(device, 0);
	struct bo *bo = rig_bo(device, SZ_2M, MEM_SYSTEM);
	struct bind_queue *a, *b;
	struct fence *in = rig_fence(device), *first, *second;
	bool ran;

	CHECK_OK(bind_queue_create(vm, &a));
	CHECK_OK(bind_queue_create(vm, &b));
	if (table) {
		CHECK_OK(rig_bind(vm, rig_map(bo, SZ_2M / 2, 0, SZ_4K)));
	}
	first = rig_bind_async(vm, a, rig_map(bo, 0, 0, SZ_4K), in);
	second = rig_bind_async(vm, b, make_b(bo, addr_b), NULL);
	ran = fence_wait(second, port_now_ns() + 2000000, 0) == 0;
	CHECK(!fence_is_signalled(first));
	rig_fence_done(in);
	rig_wait(first);
	rig_wait(second);
	bind_queue_put(a);
	bind_queue_put(b);
	rig_vm_done(vm);
	bo_put(bo);
	device_destroy(device);
	return ran;
}

static struct bind_op map_4k(struct bo *bo, uint64_t addr)
{
	return rig_map(bo, addr, 0, SZ_4K);
}

static struct bind_op map_2m(struct bo *bo, uint64_t addr)
{
	return rig_map(bo, addr, 0, SZ_2M);
}

static struct bind_op unmap_4k(struct bo *bo, uint64_t addr)
{
	return rig_unmap(addr, SZ_4K);
}

static void test_A11_same_new_leaf_table_serialises(void)
{
	CHECK(!second_queue_runs(false, SZ_4K, map_4k));
	CHECK(!second_queue_runs(false, SZ_2M - SZ_4K, map_4k));
	CHECK(!second_queue_runs(false, 0, map_2m));
}

static void test_A11_same_pages_or_a_reshaped_table_serialise(void)
{
	CHECK(!second_queue_runs(true, 0, map_4k));
	CHECK(!second_queue_runs(true, 0, map_2m));
	CHECK(!second_queue_runs(true, SZ_2M / 2, unmap_4k));
}

/* IGT's bind-execqueues-independent: other entries of a table that stays are independent. */
static void test_A11_other_pages_of_a_standing_table_are_independent(void)
{
	CHECK(second_queue_runs(true, SZ_4K, map_4k));
	CHECK(second_queue_runs(true, SZ_2M - SZ_4K, map_4k));
	CHECK(second_queue_runs(true, SZ_2M / 2, map_4k));
}

static void test_A11_next_leaf_table_is_independent(void)
{
	for (unsigned table = 0; table < 2; table++) {
		CHECK(second_queue_runs(table, SZ_2M, map_4k));
		CHECK(second_queue_runs(table, SZ_2M, map_2m));
		CHECK(second_queue_runs(table, SZ_2M, unmap_4k));
		CHECK(second_queue_runs(table, SZ_1G, map_4k));
	}
}

/* The mappings of a VM, to compare before and after. */
struct picture {
	struct vm_mapping mapping[64];
	unsigned count;
};

static void take_picture(struct vm *vm, struct picture *picture)
{
	uint64_t addr = 0;

	memset(picture, 0, sizeof(*picture));
	while (vm_mapping_next(vm, addr, &picture->mapping[picture->count])) {
		addr = picture->mapping[picture->count++].end;
		CHECK(picture->count < ARRAY_LEN(picture->mapping));
	}
}

/* An array that fails at any of its operations leaves the VM as it was, and can be run again. */
static void test_A23_full_unwind_at_each_operation(void)
{
	struct device *device = rig_device(SCHEDULE_NORMAL);
	struct vm *vm = rig_vm(device, 0);
	struct bo *x = rig_bo(device, SZ_2M, MEM_SYSTEM), *y = rig_bo(device, SZ_2M, MEM_VRAM);
	struct bind_op ops[] = {
		rig_map(y, 0x10000, 0, SZ_64K),
		rig_unmap(0x18000, 0x20000),
		{ .kind = BIND_UNMAP_BO, .bo = x },
		rig_map(x, 0, SZ_64K, 0x30000),
		rig_map_null(0x8000, SZ_4K),
		rig_unmap(0, SZ_2M),
		rig_map(y, 0x1000, 0, SZ_64K),
	};
	struct picture before, after;
	struct fence *fence;

	CHECK_OK(rig_bind(vm, rig_map(x, 0, 0, SZ_2M)));
	CHECK_OK(rig_bind(vm, rig_unmap(0x40000, 0x10000)));
	CHECK_OK(rig_bind(vm, rig_map(y, 0x200000, 0, SZ_64K)));
	take_picture(vm, &before);
	for (unsigned i = 0; i < ARRAY_LEN(ops); i++) {
		ops[i].inject_error = true;
		CHECK_ERR(rig_bind_list(vm, NULL, ops, ARRAY_LEN(ops), NULL, &fence), -ENOSPC);
		ops[i].inject_error = false;
		take_picture(vm, &after);
		CHECK(!memcmp(&before, &after, sizeof(before)));
		CHECK(rig_mapped(vm, 0) && !rig_mapped(vm, 0x40000) && rig_mapped(vm, 0x200000));
		vm_check(vm);
	}
	CHECK_OK(rig_bind_list(vm, NULL, ops, ARRAY_LEN(ops), NULL, &fence));
	rig_wait(fence);
	CHECK(!rig_mapped(vm, 0) && rig_mapped(vm, 0x1000) && !rig_mapped(vm, 0x11000));
	rig_vm_done(vm);
	bo_put(x);
	bo_put(y);
	device_destroy(device);
}

static void test_A10_operations_run_in_order(void)
{
	struct device *device = rig_device(SCHEDULE_NORMAL);
	struct vm *vm = rig_vm(device, 0);
	struct bo *x = rig_bo(device, SZ_2M, MEM_SYSTEM), *y = rig_bo(device, SZ_2M, MEM_SYSTEM);
	const struct bind_op ops[] = {
		rig_map(x, 0, 0, SZ_2M),
		rig_unmap(SZ_64K, SZ_64K),
		rig_map(y, SZ_4K, 0, SZ_4K),
		{ .kind = BIND_UNMAP_BO, .bo = x },
		rig_map(x, SZ_64K, SZ_4K, SZ_4K),
	};
	struct fence *fence;
	uint64_t value;

	CHECK_OK(rig_bind_list(vm, NULL, ops, ARRAY_LEN(ops), NULL, &fence));
	rig_wait(fence);
	CHECK(!rig_mapped(vm, 0) && !rig_mapped(vm, SZ_64K + SZ_4K));
	CHECK_OK(rig_load64(vm, SZ_4K, &value));
	CHECK_EQ(value, rig_stamp(y, 0));
	CHECK_OK(rig_load64(vm, SZ_64K, &value));
	CHECK_EQ(value, rig_stamp(x, 1));
	rig_vm_done(vm);
	bo_put(x);
	bo_put(y);
	device_destroy(device);
}

static void test_bad_arguments_change_nothing(void)
{
	struct device *device = rig_device(SCHEDULE_NORMAL);
	struct vm *vm = rig_vm(device, 0), *other = rig_vm(device, 0);
	struct bo *bo = rig_bo(device, SZ_64K, MEM_SYSTEM);
	struct bind_op op;

	CHECK_ERR(rig_bind(vm, rig_map(bo, 0, 0, 0)), -EINVAL);
	CHECK_ERR(rig_bind(vm, rig_map(bo, 1, 0, SZ_4K)), -EINVAL);
	CHECK_ERR(rig_bind(vm, rig_map(bo, 0, 1, SZ_4K)), -EINVAL);
	CHECK_ERR(rig_bind(vm, rig_map(bo, 0, SZ_64K, SZ_4K)), -EINVAL);
	CHECK_ERR(rig_bind(vm, rig_map(bo, 0, -SZ_4K, 2 * SZ_4K)), -EINVAL);
	CHECK_ERR(rig_bind(vm, rig_map(bo, (uint64_t)1 << 48, 0, SZ_4K)), -EINVAL);
	CHECK_ERR(rig_bind(vm, rig_unmap(-SZ_4K, 2 * SZ_4K)), -EINVAL);
	CHECK_ERR(rig_bind(vm, rig_unmap(0, ((uint64_t)1 << 48) + SZ_4K)), -EINVAL);
	op = rig_map(bo, 0, 0, SZ_4K);
	op.null = true;
	CHECK_ERR(rig_bind(vm, op), -EINVAL);
	bo->owner_vm_id = other->id;
	CHECK_ERR(rig_bind(vm, rig_map(bo, 0, 0, SZ_4K)), -EINVAL);
	CHECK_OK(rig_bind(vm, rig_unmap(0, (uint64_t)1 << 48)));
	CHECK_EQ(vm->index.count, 0);
	rig_vm_done(vm);
	rig_vm_done(other);
	bo_put(bo);
	device_destroy(device);
}

/* Jobs that wait for a fence nobody will signal do not keep a VM from closing (L11). */
static void test_L11_close_overtakes_pending_binds(void)
{
	struct device *device = rig_device(SCHEDULE_NORMAL);
	struct vm *vm = rig_vm(device, 0);
	struct bo *bo = rig_bo(device, SZ_64K, MEM_SYSTEM);
	struct fence *in = rig_fence(device), *out[3], *fence;
	struct bind_op op = rig_map(bo, 0, 0, SZ_64K);

	for (unsigned i = 0; i < ARRAY_LEN(out); i++) {
		out[i] = rig_bind_async(vm, NULL, rig_map(bo, i * SZ_64K, 0, SZ_64K), in);
	}
	vm_close(vm);
	for (unsigned i = 0; i < ARRAY_LEN(out); i++) {
		CHECK(fence_is_signalled(out[i]));
		fence_put(out[i]);
	}
	CHECK_ERR(rig_bind_list(vm, NULL, &op, 1, NULL, &fence), -ENOENT);
	vm_put(vm);
	rig_fence_done(in);
	bo_put(bo);
	device_destroy(device);
}

static void test_banned_vm_takes_no_bind(void)
{
	struct device *device = rig_device(SCHEDULE_NORMAL);
	struct vm *vm = rig_vm(device, 0);
	struct bo *bo = rig_bo(device, SZ_64K, MEM_SYSTEM);
	struct exec_queue *queue = rig_queue(device, vm, RIG_COPY);

	CHECK_OK(rig_bind(vm, rig_map(bo, 0, 0, SZ_64K)));
	vm_ban(vm, VM_BANNED_BY_OWNER);
	CHECK_ERR(rig_bind(vm, rig_unmap(0, SZ_64K)), -ENOENT);
	CHECK_ERR(rig_exec_wait(queue, 0), -ECANCELED);
	rig_queue_done(queue);
	rig_vm_done(vm);
	bo_put(bo);
	device_destroy(device);
}

/* Unmapping without memory for records marks holes; nobody can tell the difference (P2). */
static void test_A24_unmap_without_records(void)
{
	struct device *device = rig_device(SCHEDULE_NORMAL);
	struct vm *vm = rig_vm(device, 0);
	struct bo *bo = rig_bo(device, SZ_2M, MEM_SYSTEM);
	struct vm_mapping mapping;
	uint64_t value;

	CHECK_OK(rig_bind(vm, rig_map(bo, SZ_4K, 0, 64 * SZ_4K)));
	port_fault_set(PORT_FAULT_ALLOC, 1, true);
	CHECK_OK(rig_bind(vm, rig_unmap(5 * SZ_4K, 3 * SZ_4K)));
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	vm_check(vm);
	CHECK_EQ(vm->index.count, 1);
	CHECK(rig_mapped(vm, 4 * SZ_4K) && !rig_mapped(vm, 5 * SZ_4K));
	CHECK(!rig_mapped(vm, 7 * SZ_4K) && rig_mapped(vm, 8 * SZ_4K));
	CHECK(vm_mapping_next(vm, 0, &mapping));
	CHECK_EQ(mapping.end, 5 * SZ_4K);
	CHECK(vm_mapping_next(vm, mapping.end, &mapping));
	CHECK_EQ(mapping.start, 8 * SZ_4K);
	CHECK_EQ(mapping.offset, 7 * SZ_4K);
	/* The hole can be mapped again, and a cut through it leaves two clean pieces. */
	CHECK_OK(rig_bind(vm, rig_map(bo, 6 * SZ_4K, SZ_64K, SZ_4K)));
	CHECK_OK(rig_load64(vm, 6 * SZ_4K, &value));
	CHECK_EQ(value, rig_stamp(bo, 16));
	CHECK(!rig_mapped(vm, 5 * SZ_4K));
	CHECK_OK(rig_bind(vm, rig_unmap(0, SZ_2M)));
	CHECK_EQ(vm->index.count, 0);
	rig_vm_done(vm);
	bo_put(bo);
	device_destroy(device);
}

static void test_B05_B06_aliases_and_parts(void)
{
	struct device *device = rig_device(SCHEDULE_NORMAL);
	struct vm *vm = rig_vm(device, 0);
	struct bo *bo = rig_bo(device, SZ_2M, MEM_VRAM);
	uint64_t value;

	CHECK_OK(rig_bind(vm, rig_map(bo, SZ_2M, 0, SZ_2M)));
	CHECK_OK(rig_bind(vm, rig_map(bo, 5 * SZ_2M, SZ_64K, SZ_64K)));
	CHECK_OK(rig_bind(vm, rig_unmap(SZ_2M, SZ_2M)));
	CHECK(!rig_mapped(vm, SZ_2M));
	CHECK_OK(rig_load64(vm, 5 * SZ_2M, &value));
	CHECK_EQ(value, rig_stamp(bo, 16));
	rig_vm_done(vm);
	bo_put(bo);
	device_destroy(device);
}

/* An object lives on from its last handle until the last unmap is through (P8). */
static void test_object_outlives_its_handle_while_mapped(void)
{
	struct device *device = rig_device(SCHEDULE_NORMAL);
	struct vm *vm = rig_vm(device, 0);
	struct bo *bo = rig_bo(device, SZ_64K, MEM_SYSTEM);
	uint64_t stamp = rig_stamp(bo, 0), value;

	CHECK_OK(rig_bind(vm, rig_map(bo, 0, 0, SZ_64K)));
	bo_put(bo);
	CHECK_OK(rig_load64(vm, 0, &value));
	CHECK_EQ(value, stamp);
	CHECK_OK(rig_bind(vm, rig_unmap(0, SZ_64K)));
	CHECK_ERR(rig_load64(vm, 0, &value), -EFAULT);
	rig_vm_done(vm);
	device_destroy(device);
}

static void test_A05_long_running_bind_waits_in_the_call(void)
{
	struct device *device = rig_device(SCHEDULE_NORMAL);
	struct vm *vm = rig_vm(device, VM_LR);
	struct bo *bo = rig_bo(device, SZ_64K, MEM_SYSTEM);
	struct fence *in = rig_fence(device), *out;

	fence_signal(in, 0);
	out = rig_bind_async(vm, NULL, rig_map(bo, 0, 0, SZ_64K), in);
	CHECK(fence_is_signalled(out));
	fence_put(out);
	fence_put(in);
	rig_vm_done(vm);
	bo_put(bo);
	device_destroy(device);
}

static const struct test_case cases[] = {
	TEST(test_A02_one_bind_one_exec),
	TEST(test_A07_deferred_bind),
	TEST(test_A07_deferred_bind_lazy),
	TEST(test_A07_deferred_bind_adversarial),
	TEST(test_A11_same_new_leaf_table_serialises),
	TEST(test_A11_same_pages_or_a_reshaped_table_serialise),
	TEST(test_A11_other_pages_of_a_standing_table_are_independent),
	TEST(test_A11_next_leaf_table_is_independent),
	TEST(test_A23_full_unwind_at_each_operation),
	TEST(test_A10_operations_run_in_order),
	TEST(test_bad_arguments_change_nothing),
	TEST(test_L11_close_overtakes_pending_binds),
	TEST(test_banned_vm_takes_no_bind),
	TEST(test_A24_unmap_without_records),
	TEST(test_B05_B06_aliases_and_parts),
	TEST(test_object_outlives_its_handle_while_mapped),
	TEST(test_A05_long_running_bind_waits_in_the_call),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
