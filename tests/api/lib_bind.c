// SPDX-License-Identifier: MIT
/* Binds: operations, order, synchronous and not, what is refused. */
#include "lib.h"

#include <pthread.h>
#include <stdlib.h>

/* ---- operations ------------------------------------------------------------------------------ */

static void test_B05_B06_aliases_and_parts(struct vmb_device *device)
{
	struct vmb_vm *vm = new_vm(device, 0, 0);
	struct vmb_bo *bo = new_bo(device, 4 * PAGE);
	struct vmb_bind_op ops[] = {
		op_map(bo, 0x10000, 0, 4 * PAGE),
		op_map(bo, 0x20000, 2 * PAGE, PAGE),
		op_map(bo, 0x11000, 3 * PAGE, PAGE), /* over a part of the first */
	};
	uint32_t *cpu = vmb_bo_map(bo), word = 0x77;

	for (unsigned i = 0; i < 4; i++) {
		cpu[i * PAGE / 4] = 0x100 + i;
	}
	CHECK_OK(bind_list(vm, ops, ARRAY_LEN(ops), 0, NULL));
	CHECK_EQ(read_dword(vm, 0x10000), 0x100);
	CHECK_EQ(read_dword(vm, 0x11000), 0x103);
	CHECK_EQ(read_dword(vm, 0x12000), 0x102);
	CHECK_EQ(read_dword(vm, 0x20000), 0x102);
	CHECK_OK(vmb_vm_write(vm, 0x20000, &word, sizeof(word)));
	CHECK_EQ(read_dword(vm, 0x12000), 0x77);
	CHECK_EQ(cpu[2 * PAGE / 4], 0x77);
	CHECK_OK(bind_one(vm, op_unmap(0x12000, PAGE)));
	CHECK_EQ(read_dword(vm, 0x12000), -EFAULT);
	CHECK_EQ(read_dword(vm, 0x13000), 0x103);
	CHECK_EQ(read_dword(vm, 0x20000), 0x77);
	CHECK_OK(bind_one(vm, (struct vmb_bind_op){ .kind = VMB_BIND_UNMAP_BO, .bo = bo }));
	CHECK_EQ(mappings(vm), 0);
	CHECK_EQ(read_dword(vm, 0x20000), -EFAULT);
	vmb_vm_destroy(vm);
	vmb_bo_destroy(bo);
}

static void every_kind_of_operation(struct vmb_device *device)
{
	struct vmb_vm *vm = new_vm(device, 0, 0);
	uint32_t *memory = aligned_alloc(PAGE, PAGE), word = 0xc0de;
	struct vmb_bind_op ops[] = {
		{ .kind = VMB_BIND_MAP_NULL, .addr = PAGE, .range_B = PAGE },
		{ .kind = VMB_BIND_MAP_USER, .addr = 4 * PAGE, .range_B = PAGE, .user = memory },
		{ .kind = VMB_BIND_MAP_USER, .addr = 8 * PAGE, .range_B = PAGE, .user = memory,
		  .flags = VMB_BIND_READONLY },
		{ .kind = VMB_BIND_PREFETCH, .addr = 0, .range_B = 16 * PAGE },
	};

	memory[0] = 0x1234;
	CHECK_OK(bind_list(vm, ops, ARRAY_LEN(ops), 0, NULL));
	CHECK_EQ(read_dword(vm, PAGE), 0);
	CHECK_OK(vmb_vm_write(vm, PAGE, &word, sizeof(word)));
	CHECK_EQ(read_dword(vm, PAGE), 0);
	CHECK_EQ(read_dword(vm, 4 * PAGE), 0x1234);
	CHECK_EQ(vmb_vm_write(vm, 8 * PAGE, &word, sizeof(word)), -EFAULT);
	CHECK_OK(vmb_vm_write(vm, 4 * PAGE, &word, sizeof(word)));
	CHECK_EQ(memory[0], word);
	CHECK_EQ(read_dword(vm, 8 * PAGE), word);
	CHECK_OK(bind_one(vm, op_unmap(0, SPACE_B)));
	CHECK_EQ(mappings(vm), 0);
	/* Nothing there is fine. */
	CHECK_OK(bind_one(vm, op_unmap(0, SPACE_B)));
	vmb_vm_destroy(vm);
	free(memory);
}

/* As many operations, and syncs, as need memory in the library. */
static void test_A10_a_long_list_in_order(struct vmb_device *device)
{
	enum { N = 100 };
	struct vmb_vm *vm = new_vm(device, 0, 0);
	struct vmb_bo *bo = new_bo(device, N * PAGE);
	struct vmb_bind_op ops[2 * N];
	struct vmb_sync syncs[2 * N];
	struct vmb_syncobj *in[N], *out[N];
	struct vmb_bind_args args = { .size_B = sizeof(args), .ops = ops, .op_count = 2 * N,
				      .syncs = syncs, .sync_count = 2 * N };
	struct vmb_bind_reply reply = { .size_B = sizeof(reply) };

	for (unsigned i = 0; i < N; i++) {
		((uint32_t *)vmb_bo_map(bo))[i * PAGE / 4] = i;
		ops[2 * i] = op_map(bo, PAGE, i * PAGE, PAGE);
		ops[2 * i + 1] = i % 2 ? op_unmap(PAGE, PAGE)
				       : op_map(bo, (2 + i) * PAGE, i * PAGE, PAGE);
		in[i] = new_syncobj(device);
		out[i] = new_syncobj(device);
		CHECK_OK(vmb_syncobj_signal(in[i], i % 3));
		syncs[i] = sync_wait(in[i], i % 3);
		syncs[N + i] = sync_signal(out[i], i % 2);
	}
	ops[2 * N - 1] = op_map(bo, (2 + N) * PAGE, 0, PAGE);
	CHECK_OK(vmb_bind(vm, &args, &reply));
	CHECK_EQ(reply.reason, VMB_REASON_NONE);
	for (unsigned i = 0; i < N; i++) {
		CHECK_OK(wait_for(out[i], i % 2));
		vmb_syncobj_destroy(in[i]);
		vmb_syncobj_destroy(out[i]);
	}
	CHECK_EQ(read_dword(vm, PAGE), N - 1);
	CHECK_EQ(read_dword(vm, 12 * PAGE), 10);
	CHECK_EQ(read_dword(vm, 13 * PAGE), -EFAULT);
	vmb_vm_destroy(vm);
	vmb_bo_destroy(bo);
}

/* ---- synchronous and asynchronous ------------------------------------------------------------ */

static void test_A06_a_synchronous_bind_is_done(struct vmb_device *device)
{
	struct vmb_vm *vm = new_vm(device, 0, 0);
	struct vmb_bo *bo = new_bo(device, PAGE);
	struct vmb_syncobj *syncobj = new_syncobj(device);
	struct vmb_sync sync = sync_signal(syncobj, 0);
	struct vmb_bind_op map = op_map(bo, PAGE, 0, PAGE);
	struct vmb_bind_args args = { .size_B = sizeof(args), .flags = VMB_BIND_SYNC, .ops = &map,
				      .op_count = 1, .syncs = &sync, .sync_count = 1 };

	for (unsigned i = 0; i < 50; i++) {
		*(uint32_t *)vmb_bo_map(bo) = i;
		CHECK_OK(bind_one(vm, map));
		CHECK_EQ(read_dword(vm, PAGE), i);
		CHECK_OK(bind_one(vm, op_unmap(PAGE, PAGE)));
		CHECK_EQ(read_dword(vm, PAGE), -EFAULT);
	}
	CHECK_EQ(vmb_bind(vm, &args, NULL), -EINVAL);
	CHECK_EQ(mappings(vm), 0);
	vmb_vm_destroy(vm);
	vmb_bo_destroy(bo);
	vmb_syncobj_destroy(syncobj);
}

/* A syncobj that holds a bind which waits, until *@flag in @bo is 0, for a batch. */
static struct vmb_queue *hold(struct vmb_vm *vm, struct vmb_bo *bo, struct vmb_syncobj *held)
{
	struct vmb_queue *queue = new_queue(vm);
	struct vmb_sync sync = sync_signal(held, 0);
	char *cpu = vmb_bo_map(bo);

	__atomic_store_n((uint32_t *)(cpu + 0x800), 1, __ATOMIC_RELEASE);
	batch_spin(cpu, 0x7000000, 0x7000800);
	CHECK_OK(bind_one(vm, op_map(bo, 0x7000000, 0, PAGE)));
	CHECK_OK(submit(queue, 0x7000000, &sync, 1));
	return queue;
}

static void release(struct vmb_bo *bo)
{
	__atomic_store_n((uint32_t *)((char *)vmb_bo_map(bo) + 0x800), 0, __ATOMIC_RELEASE);
}

static void test_A07_an_asynchronous_bind_waits(struct vmb_device *device)
{
	struct vmb_vm *vm = new_vm(device, 0, 0);
	struct vmb_bo *bo = new_bo(device, PAGE), *gate = new_bo(device, PAGE);
	struct vmb_syncobj *in = new_syncobj(device), *out = new_syncobj(device);
	struct vmb_queue *queue = hold(vm, gate, in);
	struct vmb_sync syncs[] = { sync_wait(in, 0), sync_signal(out, 7) };
	uint64_t point = 9;

	CHECK_OK(bind_syncs(vm, NULL, op_map(bo, PAGE, 0, PAGE), syncs, 2));
	CHECK_EQ(read_dword(vm, PAGE), -EFAULT);
	CHECK(!is_signalled(out, 7));
	CHECK_OK(vmb_syncobj_query(out, &point));
	CHECK_EQ(point, 0);
	release(gate);
	CHECK_OK(wait_for(out, 7));
	CHECK_OK(vmb_syncobj_query(out, &point));
	CHECK_EQ(point, 7);
	CHECK_EQ(read_dword(vm, PAGE), 0);
	vmb_queue_destroy(queue);
	vmb_vm_destroy(vm);
	vmb_bo_destroy(bo);
	vmb_bo_destroy(gate);
	vmb_syncobj_destroy(in);
	vmb_syncobj_destroy(out);
}

static void test_A11_queues_of_binds(struct vmb_device *device)
{
	struct vmb_vm *vm = new_vm(device, 0, 0), *other = new_vm(device, 0, 0);
	struct vmb_bo *bo = new_bo(device, PAGE), *gate = new_bo(device, PAGE);
	struct vmb_syncobj *in = new_syncobj(device), *first = new_syncobj(device);
	struct vmb_syncobj *second = new_syncobj(device), *free = new_syncobj(device);
	struct vmb_queue *queue = hold(vm, gate, in);
	struct vmb_bind_queue *binds, *none;
	struct vmb_sync syncs[] = { sync_wait(in, 0), sync_signal(first, 0) };

	CHECK_OK(vmb_bind_queue_create(vm, &binds));
	CHECK_OK(bind_syncs(vm, binds, op_map(bo, PAGE, 0, PAGE), syncs, 2));
	syncs[0] = sync_signal(second, 0);
	CHECK_OK(bind_syncs(vm, binds, op_map(bo, 0x40000000, 0, PAGE), syncs, 1));
	syncs[0] = sync_signal(free, 0);
	CHECK_OK(bind_syncs(vm, NULL, op_map(bo, 0x80000000, 0, PAGE), syncs, 1));
	CHECK_OK(wait_for(free, 0));
	CHECK(!is_signalled(first, 0) && !is_signalled(second, 0));
	CHECK_EQ(read_dword(vm, 0x40000000), -EFAULT);
	/* What was given to it runs all the same. */
	vmb_bind_queue_destroy(binds);
	release(gate);
	CHECK_OK(wait_for(second, 0));
	CHECK(is_signalled(first, 0));
	CHECK_OK(vmb_bind_queue_create(vm, &binds));
	CHECK_EQ(bind_syncs(other, binds, op_map(bo, PAGE, 0, PAGE), NULL, 0), -EINVAL);
	CHECK_EQ(vmb_bind_queue_create(NULL, &none), -EINVAL);
	CHECK(!none);
	CHECK_EQ(vmb_bind_queue_create(vm, NULL), -EINVAL);
	vmb_bind_queue_destroy(NULL);
	vmb_bind_queue_destroy(binds);
	vmb_queue_destroy(queue);
	vmb_vm_destroy(other);
	vmb_vm_destroy(vm);
	vmb_bo_destroy(bo);
	vmb_bo_destroy(gate);
	vmb_syncobj_destroy(in);
	vmb_syncobj_destroy(first);
	vmb_syncobj_destroy(second);
	vmb_syncobj_destroy(free);
}

static void test_A29_no_operations(struct vmb_device *device)
{
	struct vmb_vm *vm = new_vm(device, 0, 0);
	struct vmb_bo *gate = new_bo(device, PAGE);
	struct vmb_syncobj *in = new_syncobj(device), *out = new_syncobj(device);
	struct vmb_queue *queue = hold(vm, gate, in);
	struct vmb_sync syncs[] = { sync_wait(in, 0), sync_signal(out, 0) };
	struct vmb_bind_args args = { .size_B = sizeof(args), .syncs = syncs, .sync_count = 2 };

	CHECK_OK(vmb_bind(vm, &args, NULL));
	CHECK(!is_signalled(out, 0));
	release(gate);
	CHECK_OK(wait_for(out, 0));
	CHECK_OK(bind_list(vm, NULL, 0, 0, NULL));
	vmb_queue_destroy(queue);
	vmb_vm_destroy(vm);
	vmb_bo_destroy(gate);
	vmb_syncobj_destroy(in);
	vmb_syncobj_destroy(out);
}

static void test_A04_A15_memory_is_written(struct vmb_device *device)
{
	struct vmb_vm *vm = new_vm(device, 0, 0);
	struct vmb_bo *bo = new_bo(device, PAGE), *gate = new_bo(device, PAGE);
	struct vmb_syncobj *in = new_syncobj(device);
	struct vmb_queue *queue = hold(vm, gate, in);
	uint64_t memory[2] = { 0 };
	struct vmb_sync syncs[] = {
		{ .flags = VMB_SYNC_SIGNAL, .memory = memory, .value = 5 },
		sync_wait(in, 0),
	};

	CHECK_OK(bind_syncs(vm, NULL, op_map(bo, PAGE, 0, PAGE), syncs, 2));
	CHECK_EQ(vmb_memory_wait(device, memory, 5, 0), -ETIME);
	CHECK_EQ(vmb_memory_wait(device, memory, 5, in_ms(3)), -ETIME);
	CHECK_OK(vmb_memory_wait(device, memory, 0, 0));
	CHECK_EQ(bind_syncs(vm, NULL, op_unmap(PAGE, PAGE), NULL, 0), -EBUSY);
	release(gate);
	CHECK_OK(vmb_memory_wait(device, memory, 5, in_ms(10000)));
	CHECK_EQ(memory[0], 5);
	CHECK_EQ(read_dword(vm, PAGE), 0);
	CHECK_OK(bind_one(vm, op_unmap(PAGE, PAGE)));
	CHECK_EQ(vmb_memory_wait(NULL, memory, 5, 0), -EINVAL);
	CHECK_EQ(vmb_memory_wait(device, NULL, 5, 0), -EINVAL);
	CHECK_EQ(vmb_memory_wait(device, (uint64_t *)((char *)memory + 4), 5, 0), -EINVAL);
	CHECK_EQ(vmb_memory_wait(device, (uint64_t *)8, 5, 0), -EFAULT);
	vmb_queue_destroy(queue);
	vmb_vm_destroy(vm);
	vmb_bo_destroy(bo);
	vmb_bo_destroy(gate);
	vmb_syncobj_destroy(in);
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void bad_operations_change_nothing(struct vmb_device *device)
{
	static _Alignas(PAGE) char memory[PAGE];
	struct vmb_vm *vm = new_vm(device, 0, 0);
	struct vmb_bo *bo = new_bo(device, 2 * PAGE);
	struct vmb_bind_op good = op_map(bo, PAGE, 0, PAGE);
	const struct vmb_bind_op bad[] = {
		{ .kind = 0, .addr = PAGE, .range_B = PAGE },
		{ .kind = VMB_BIND_PREFETCH + 1, .addr = PAGE, .range_B = PAGE },
		{ .kind = UINT32_MAX, .addr = PAGE, .range_B = PAGE },
		{ .kind = VMB_BIND_MAP, .addr = PAGE, .range_B = PAGE },
		{ .kind = VMB_BIND_MAP, .addr = PAGE, .range_B = PAGE, .bo = bo, .reserved = 1 },
		{ .kind = VMB_BIND_MAP, .addr = PAGE, .range_B = PAGE, .bo = bo, .flags = 2 },
		{ .kind = VMB_BIND_MAP, .addr = PAGE, .range_B = PAGE, .bo = bo, .pat = 32 },
		{ .kind = VMB_BIND_MAP, .addr = PAGE, .range_B = PAGE, .bo = bo, .user = memory },
		{ .kind = VMB_BIND_MAP_NULL, .addr = PAGE, .range_B = PAGE, .bo = bo },
		{ .kind = VMB_BIND_MAP_NULL, .addr = PAGE, .range_B = PAGE, .offset = PAGE },
		{ .kind = VMB_BIND_MAP_USER, .addr = PAGE, .range_B = PAGE },
		{ .kind = VMB_BIND_MAP_USER, .addr = PAGE, .range_B = PAGE, .user = memory,
		  .offset = PAGE },
		{ .kind = VMB_BIND_UNMAP, .addr = PAGE, .range_B = PAGE, .bo = bo },
		{ .kind = VMB_BIND_UNMAP, .addr = PAGE, .range_B = PAGE, .flags = 1 },
		{ .kind = VMB_BIND_UNMAP, .addr = PAGE, .range_B = PAGE, .pat = 1 },
		{ .kind = VMB_BIND_UNMAP_BO },
		{ .kind = VMB_BIND_UNMAP_BO, .bo = bo, .range_B = PAGE },
		{ .kind = VMB_BIND_UNMAP_BO, .bo = bo, .addr = PAGE },
		{ .kind = VMB_BIND_PREFETCH, .addr = PAGE, .range_B = PAGE, .bo = bo },
	};

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		struct vmb_bind_op list[] = { good, bad[i] };
		struct vmb_bind_reply reply;

		CHECK_EQ(bind_list(vm, list, 2, 0, &reply), -EINVAL);
		CHECK_EQ(reply.failed_op, 1);
		CHECK_EQ(reply.done, 0);
		CHECK_EQ(reply.reason, VMB_REASON_BAD_OP);
		CHECK_EQ(mappings(vm), 0);
	}
	vmb_vm_destroy(vm);
	vmb_bo_destroy(bo);
}

static void bad_ranges_change_nothing(struct vmb_device *device)
{
	struct vmb_vm *vm = new_vm(device, 0, 0);
	struct vmb_bo *bo = new_bo(device, 2 * PAGE);
	const struct vmb_bind_op bad[] = {
		op_map(bo, PAGE, 0, 3 * PAGE),
		op_map(bo, PAGE, 0, 0),
		op_map(bo, PAGE, 2 * PAGE, PAGE),
		op_map(bo, PAGE, UINT64_MAX - PAGE + 1, PAGE),
		op_map(bo, PAGE, 1, PAGE),
		op_map(bo, 1, 0, PAGE),
		op_map(bo, PAGE, 0, PAGE + 1),
		op_map(bo, SPACE_B, 0, PAGE),
		op_map(bo, SPACE_B - PAGE, 0, 2 * PAGE),
		op_map(bo, UINT64_MAX - PAGE + 1, 0, PAGE),
		op_unmap(UINT64_MAX - PAGE + 1, 2 * PAGE),
		op_unmap(PAGE, UINT64_MAX - PAGE + 1),
		op_unmap(PAGE, 0),
	};

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		struct vmb_bind_op list[] = { op_map(bo, 0x40000, 0, PAGE), bad[i] };
		struct vmb_bind_reply reply;

		CHECK_EQ(bind_list(vm, list, 2, 0, &reply), -EINVAL);
		CHECK_EQ(reply.failed_op, 1);
		CHECK_EQ(mappings(vm), 0);
	}
	vmb_vm_destroy(vm);
	vmb_bo_destroy(bo);
}

static void bad_calls(struct vmb_device *device)
{
	LONGER(struct vmb_bind_args) longer = { .args.size_B = sizeof(longer), .later = 1 };
	struct vmb_vm *vm = new_vm(device, 0, 0), *lr = new_vm(device, VMB_VM_LONG_RUNNING, 0);
	struct vmb_bind_args args = { .size_B = sizeof(args), .op_count = 1 };
	struct vmb_bo *bo = new_bo(device, PAGE);
	struct vmb_bind_op map = op_map(bo, PAGE, 0, PAGE);
	struct vmb_syncobj *out = new_syncobj(device);
	struct vmb_sync sync = sync_signal(out, 0);

	CHECK_EQ(vmb_bind(vm, &args, NULL), -EINVAL);

	args.ops = &map;
	CHECK_EQ(vmb_bind(NULL, &args, NULL), -EINVAL);
	CHECK_EQ(vmb_bind(vm, NULL, NULL), -EINVAL);
	args.op_count = 1;
	args.flags = 4;
	CHECK_EQ(vmb_bind(vm, &args, NULL), -EINVAL);
	args.flags = 0;
	args.reserved = 1;
	CHECK_EQ(vmb_bind(vm, &args, NULL), -EINVAL);
	args.reserved = 0;
	args.sync_count = 1;
	CHECK_EQ(vmb_bind(vm, &args, NULL), -EINVAL);
	longer.args.ops = &map;
	longer.args.op_count = 1;
	CHECK_EQ(vmb_bind(vm, &longer.args, NULL), -E2BIG);
	CHECK_EQ(bind_syncs(lr, NULL, map, &sync, 1), -EOPNOTSUPP);
	CHECK_EQ(mappings(vm) + mappings(lr), 0);
	vmb_vm_destroy(vm);
	vmb_vm_destroy(lr);
	vmb_bo_destroy(bo);
	vmb_syncobj_destroy(out);
}

static void bad_syncs_change_nothing(struct vmb_device *device)
{
	struct vmb_device_config config = { .size_B = sizeof(config), .system_B = MEMORY_B,
					    .gpu = "lnl" };
	struct vmb_device *other;
	struct vmb_vm *vm = new_vm(device, 0, 0);
	struct vmb_bo *bo = new_bo(device, PAGE), *foreign;
	struct vmb_syncobj *empty = new_syncobj(device), *full = new_syncobj(device), *alien;
	struct vmb_queue *queue = new_queue(vm);
	uint64_t memory[2] = { 0 };
	struct vmb_sync fence = { .flags = VMB_SYNC_SIGNAL, .memory = memory, .value = 5 };

	CHECK_OK(vmb_syncobj_signal(full, 0));
	CHECK_OK(vmb_device_create(&config, &other, NULL));
	alien = new_syncobj(other);
	foreign = new_bo(other, PAGE);
	const struct vmb_sync bad[] = {
		{ .syncobj = full },
		{ .flags = 3, .syncobj = full },
		{ .flags = 4, .syncobj = full },
		{ .flags = VMB_SYNC_WAIT, .syncobj = full, .reserved = 1 },
		{ .flags = VMB_SYNC_WAIT, .syncobj = full, .value = 1 },
		{ .flags = VMB_SYNC_SIGNAL, .syncobj = full, .memory = memory },
		sync_wait(empty, 0), sync_wait(full, 1), sync_signal(alien, 0),
		{ .flags = VMB_SYNC_SIGNAL },
		{ .flags = VMB_SYNC_WAIT, .memory = memory },
		{ .flags = VMB_SYNC_SIGNAL, .memory = memory, .point = 1 },
		{ .flags = VMB_SYNC_SIGNAL, .memory = (uint64_t *)((char *)memory + 4) },
		fence, /* a second one */
	};

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		struct vmb_sync syncs[] = { sync_wait(full, 0), fence, bad[i] };

		CHECK_EQ(bind_syncs(vm, NULL, op_map(bo, PAGE, 0, PAGE), syncs, 3), -EINVAL);
		CHECK_EQ(submit(queue, PAGE, syncs, 3), -EINVAL);
	}
	fence.memory = (uint64_t *)8;
	CHECK_EQ(bind_syncs(vm, NULL, op_map(bo, PAGE, 0, PAGE), &fence, 1), -EFAULT);
	CHECK_EQ(submit(queue, PAGE, &fence, 1), -EFAULT);
	CHECK_EQ(bind_one(vm, op_map(foreign, PAGE, 0, PAGE)), -EINVAL);
	CHECK_EQ(mappings(vm), 0);
	CHECK_EQ(memory[0], 0);
	CHECK_OK(vmb_queue_error(queue));
	vmb_syncobj_destroy(alien);
	vmb_bo_destroy(foreign);
	vmb_device_destroy(other);
	vmb_queue_destroy(queue);
	vmb_vm_destroy(vm);
	vmb_bo_destroy(bo);
	vmb_syncobj_destroy(empty);
	vmb_syncobj_destroy(full);
}

/* ---- threads --------------------------------------------------------------------------------- */

struct thread {
	pthread_t id;
	struct vmb_device *device;
	struct vmb_vm *vm;
	unsigned number;
};

/* Maps, uses, and unmaps at addresses of its own in the address space that all share. */
static void *bind_and_run(void *arg)
{
	struct thread *t = arg;
	uint64_t base = (uint64_t)(t->number + 1) << 32, target = base + 0x100000;
	struct vmb_bo *bo = new_bo(t->device, 2 * PAGE);
	struct vmb_syncobj *done = new_syncobj(t->device);
	struct vmb_queue *queue = new_queue(t->vm);
	uint32_t *cpu = vmb_bo_map(bo);
	struct vmb_bind_queue *binds;

	CHECK_OK(vmb_bind_queue_create(t->vm, &binds));
	CHECK_OK(bind_one(t->vm, op_map(bo, base, 0, PAGE)));
	for (unsigned i = 1; i <= 40; i++) {
		uint64_t point = 3 * i;
		struct vmb_sync bound = sync_signal(done, point);
		struct vmb_sync run[] = { sync_wait(done, point), sync_signal(done, point + 1) };
		struct vmb_sync gone[] = { sync_wait(done, point + 1),
					   sync_signal(done, point + 2) };

		batch_store(cpu, target, t->number << 16 | i);
		CHECK_OK(bind_syncs(t->vm, binds, op_map(bo, target, PAGE, PAGE), &bound, 1));
		CHECK_OK(submit(queue, base, run, 2));
		CHECK_OK(bind_syncs(t->vm, binds, op_unmap(target, PAGE), gone, 2));
		CHECK_OK(wait_for(done, point + 2));
		CHECK_EQ(cpu[PAGE / 4], t->number << 16 | i);
		CHECK_EQ(read_dword(t->vm, target), -EFAULT);
	}
	CHECK_OK(vmb_queue_error(queue));
	vmb_bind_queue_destroy(binds);
	vmb_queue_destroy(queue);
	vmb_syncobj_destroy(done);
	vmb_bo_destroy(bo);
	return NULL;
}

static void test_B04_threads_share_an_address_space(struct vmb_device *device)
{
	struct thread threads[4];
	struct vmb_vm *vm = new_vm(device, 0, 0);

	for (unsigned i = 0; i < ARRAY_LEN(threads); i++) {
		threads[i] = (struct thread){ .device = device, .vm = vm, .number = i };
		CHECK_OK(pthread_create(&threads[i].id, NULL, bind_and_run, &threads[i]));
	}
	for (unsigned i = 0; i < ARRAY_LEN(threads); i++) {
		CHECK_OK(pthread_join(threads[i].id, NULL));
	}
	CHECK_EQ(mappings(vm), ARRAY_LEN(threads));
	vmb_vm_destroy(vm);
}

static const struct test_case cases[] = {
	TEST(test_B05_B06_aliases_and_parts),
	TEST(every_kind_of_operation),
	TEST(test_A10_a_long_list_in_order),
	TEST(test_A06_a_synchronous_bind_is_done),
	TEST(test_A07_an_asynchronous_bind_waits),
	TEST(test_A11_queues_of_binds),
	TEST(test_A29_no_operations),
	TEST(test_A04_A15_memory_is_written),
	TEST(bad_operations_change_nothing),
	TEST(bad_ranges_change_nothing),
	TEST(bad_calls),
	TEST(bad_syncs_change_nothing),
	TEST(test_B04_threads_share_an_address_space),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
