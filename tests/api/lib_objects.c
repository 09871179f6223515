// SPDX-License-Identifier: MIT
/* Address spaces, objects, structs that grow, the order in which handles go. */
#include "lib.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define END_TOO_EARLY "--end-too-early"

/* ---- structs that grow ----------------------------------------------------------------------- */

static void arguments_may_be_shorter_or_longer(struct vmb_device *device)
{
	LONGER(struct vmb_bo_args) longer = { .args = { .size_B = sizeof(longer),
							.length_B = PAGE } };
	struct vmb_bo_args odd = { .size_B = sizeof(odd), .length_B = PAGE, .reserved = 1 };
	struct vmb_vm_args shorter = { .size_B = sizeof(uint64_t), .flags = 77, .errors = 77 };
	struct vmb_vm *vm;
	struct vmb_bo *bo;

	CHECK_OK(vmb_bo_create(device, &longer.args, &bo));
	vmb_bo_destroy(bo);
	longer.later = 1;
	CHECK_EQ(vmb_bo_create(device, &longer.args, &bo), -E2BIG);
	CHECK(!bo);
	/* A program that knew no reserved member does not set it. */
	CHECK_EQ(vmb_bo_create(device, &odd, &bo), -EINVAL);
	odd.size_B = offsetof(struct vmb_bo_args, placement);
	CHECK_OK(vmb_bo_create(device, &odd, &bo));
	vmb_bo_destroy(bo);
	CHECK_OK(vmb_vm_create(device, &shorter, &vm));
	vmb_vm_destroy(vm);
	shorter.size_B = 7;
	CHECK_EQ(vmb_vm_create(device, &shorter, &vm), -EINVAL);
	CHECK_OK(vmb_vm_create(device, NULL, &vm));
	vmb_vm_destroy(vm);
}

static void results_go_as_far_as_the_struct(struct vmb_device *device)
{
	LONGER(struct vmb_mapping) longer = { .args.size_B = sizeof(longer), .later = 5 };
	struct vmb_mapping shorter = { .size_B = offsetof(struct vmb_mapping, offset), .pat = 55 };
	struct vmb_bind_reply reply = { .size_B = 7 };
	struct vmb_vm *vm = new_vm(device, 0, 0);
	struct vmb_bo *bo = new_bo(device, PAGE);
	struct vmb_bind_op map = op_map(bo, PAGE, 0, PAGE);
	struct vmb_bind_args bind = { .size_B = sizeof(bind), .ops = &map, .op_count = 1 };

	map.pat = 3;
	CHECK_EQ(vmb_bind(vm, &bind, &reply), -EINVAL);
	CHECK_EQ(mappings(vm), 0);
	CHECK_OK(vmb_bind(vm, &bind, NULL));
	CHECK_OK(vmb_vm_mapping_next(vm, 0, &shorter));
	CHECK_EQ(shorter.bo_id, vmb_bo_id(bo));
	CHECK_EQ(shorter.pat, 55);
	CHECK_OK(vmb_vm_mapping_next(vm, 0, &longer.args));
	CHECK_EQ(longer.args.pat, 3);
	CHECK_EQ(longer.args.size_B, sizeof(longer));
	CHECK_EQ(longer.later, 5);
	shorter.size_B = 4;
	CHECK_EQ(vmb_vm_mapping_next(vm, 0, &shorter), -EINVAL);
	vmb_vm_destroy(vm);
	vmb_bo_destroy(bo);
}

/* ---- address spaces -------------------------------------------------------------------------- */

static void test_A01_several_address_spaces(struct vmb_device *device)
{
	struct vmb_vm *a = new_vm(device, 0, 0), *b = new_vm(device, 0, 0);
	struct vmb_bo *one = new_bo(device, PAGE), *two = new_bo(device, PAGE);

	*(uint32_t *)vmb_bo_map(one) = 1;
	*(uint32_t *)vmb_bo_map(two) = 2;
	CHECK_OK(bind_one(a, op_map(one, PAGE, 0, PAGE)));
	CHECK_OK(bind_one(b, op_map(two, PAGE, 0, PAGE)));
	CHECK_EQ(read_dword(a, PAGE), 1);
	CHECK_EQ(read_dword(b, PAGE), 2);
	vmb_vm_destroy(a);
	CHECK_EQ(read_dword(b, PAGE), 2);
	vmb_vm_destroy(b);
	vmb_bo_destroy(one);
	vmb_bo_destroy(two);
}

static void bad_address_spaces(struct vmb_device *device)
{
	struct vmb_vm_args args = { .size_B = sizeof(args), .flags = 8 };
	struct vmb_vm_usage usage = { .size_B = 7 };
	struct vmb_vm *vm = (struct vmb_vm *)device;

	CHECK_EQ(vmb_vm_create(device, &args, &vm), -EINVAL);
	CHECK(!vm);
	args.flags = VMB_VM_FAULT;
	CHECK_EQ(vmb_vm_create(device, &args, &vm), -EINVAL);
	args.flags = 0;
	args.errors = VMB_ERRORS_COOKIE + 1;
	CHECK_EQ(vmb_vm_create(device, &args, &vm), -EINVAL);
	args.errors = 0;
	CHECK_EQ(vmb_vm_create(NULL, &args, &vm), -EINVAL);
	CHECK_EQ(vmb_vm_create(device, &args, NULL), -EINVAL);
	args.flags = VMB_VM_FAULT | VMB_VM_LONG_RUNNING | VMB_VM_SCRATCH;
	CHECK_OK(vmb_vm_create(device, &args, &vm));
	CHECK_EQ(vmb_vm_ban_reason(NULL), -EINVAL);
	CHECK_EQ(vmb_vm_faults(NULL, NULL, 0), -EINVAL);
	CHECK_EQ(vmb_vm_faults(vm, NULL, 1), -EINVAL);
	CHECK_EQ(vmb_vm_faults(vm, NULL, 0), 0);
	CHECK_EQ(vmb_vm_mapping_next(vm, 0, NULL), -EINVAL);
	CHECK_EQ(vmb_vm_mapping_next(NULL, 0, NULL), -EINVAL);
	CHECK_EQ(vmb_vm_usage(vm, NULL), -EINVAL);
	CHECK_EQ(vmb_vm_usage(vm, &usage), -EINVAL);
	usage.size_B = sizeof(usage);
	CHECK_EQ(vmb_vm_usage(NULL, &usage), -EINVAL);
	vmb_vm_ban(NULL);
	vmb_vm_destroy(NULL);
	vmb_vm_destroy(vm);
}

static void a_banned_one_takes_no_more(struct vmb_device *device)
{
	struct vmb_queue_args args = { .size_B = sizeof(args), .engine_class = VMB_ENGINE_COPY };
	struct vmb_vm *vm = new_vm(device, 0, 0);
	struct vmb_bo *bo = new_bo(device, PAGE);
	struct vmb_queue *queue = new_queue(vm), *none;

	CHECK_OK(bind_one(vm, op_map(bo, PAGE, 0, PAGE)));
	CHECK_EQ(vmb_vm_ban_reason(vm), VMB_BAN_NONE);
	vmb_vm_ban(vm);
	CHECK_EQ(vmb_vm_ban_reason(vm), VMB_BAN_BY_OWNER);
	CHECK_EQ(bind_one(vm, op_unmap(PAGE, PAGE)), -ENOENT);
	CHECK_EQ(submit(queue, PAGE, NULL, 0), -ECANCELED);
	CHECK_EQ(vmb_queue_create(vm, &args, &none), -ENOENT);
	CHECK(!none);
	CHECK_EQ(mappings(vm), 1);
	vmb_queue_destroy(queue);
	vmb_vm_destroy(vm);
	vmb_bo_destroy(bo);
}

static void mappings_are_told(struct vmb_device *device)
{
	static _Alignas(PAGE) char memory[2 * PAGE];
	struct vmb_vm *vm = new_vm(device, 0, 0);
	struct vmb_bo *bo = new_bo(device, 8 * PAGE);
	struct vmb_bind_op ops[] = {
		op_map(bo, 0, PAGE, 7 * PAGE),
		{ .kind = VMB_BIND_MAP_NULL, .addr = SPACE_B - PAGE, .range_B = PAGE },
		{ .kind = VMB_BIND_MAP_USER, .addr = 16 * PAGE, .range_B = 2 * PAGE,
		  .user = memory, .flags = VMB_BIND_READONLY, .pat = 31 },
		op_unmap(2 * PAGE, PAGE),
	};
	static const struct {
		uint64_t start, end, flags, pat;
	} want[] = {
		{ 0, 2 * PAGE, 0, 0 },
		{ 3 * PAGE, 7 * PAGE, 0, 0 },
		{ 16 * PAGE, 18 * PAGE, VMB_MAPPING_USER | VMB_MAPPING_READONLY, 31 },
		{ SPACE_B - PAGE, SPACE_B, VMB_MAPPING_NULL, 0 },
	};
	struct vmb_mapping m = { .size_B = sizeof(m) };

	CHECK_OK(bind_list(vm, ops, ARRAY_LEN(ops), 0, NULL));
	for (unsigned i = 0; i < ARRAY_LEN(want); i++) {
		CHECK_OK(vmb_vm_mapping_next(vm, m.end, &m));
		CHECK_EQ(m.start, want[i].start);
		CHECK_EQ(m.end, want[i].end);
		CHECK_EQ(m.flags, want[i].flags);
		CHECK_EQ(m.pat, want[i].pat);
		CHECK_EQ(m.bo_id, i < 2 ? vmb_bo_id(bo) : 0);
		CHECK_EQ(m.offset, i < 2 ? m.start + PAGE : i == 2 ? (uintptr_t)memory : 0);
	}
	CHECK_EQ(vmb_vm_mapping_next(vm, m.end, &m), -ENOENT);
	CHECK_EQ(vmb_vm_mapping_next(vm, UINT64_MAX, &m), -ENOENT);
	vmb_vm_destroy(vm);
	vmb_bo_destroy(bo);
}

/* 26 pages, of one object two times. */
static void map_for_usage(struct vmb_vm *vm, struct vmb_bo *bo, struct vmb_bo *vram)
{
	static _Alignas(PAGE) char memory[2 * PAGE];
	struct vmb_bind_op ops[] = {
		op_map(bo, 0, PAGE, 7 * PAGE),
		op_map(bo, 16 * PAGE, 0, PAGE),
		op_map(vram, 0x40000000, 0, 0x10000),
		{ .kind = VMB_BIND_MAP_NULL, .addr = SPACE_B - PAGE, .range_B = PAGE },
		{ .kind = VMB_BIND_MAP_USER, .addr = 32 * PAGE, .range_B = 2 * PAGE,
		  .user = memory },
		op_unmap(2 * PAGE, PAGE), /* makes two of the first */
	};

	CHECK_OK(bind_list(vm, ops, ARRAY_LEN(ops), 0, NULL));
}

static void usage_is_told(struct vmb_device *device)
{
	LONGER(struct vmb_vm_usage) longer = { .args.size_B = sizeof(longer), .later = 5 };
	struct vmb_vm_usage usage = { .size_B = sizeof(usage) };
	struct vmb_bo_args args = { .size_B = sizeof(args), .length_B = 0x20000,
				    .placement = VMB_BO_VRAM };
	struct vmb_vm *vm = new_vm(device, 0, 0), *other = new_vm(device, 0, 0);
	struct vmb_bo *bo = new_bo(device, 8 * PAGE), *vram;
	uint64_t empty_B;

	CHECK_OK(vmb_bo_create(device, &args, &vram));
	CHECK_OK(vmb_vm_usage(vm, &usage));
	CHECK(!usage.mappings && !usage.evicted && !usage.mapped_B && !usage.bo_B);
	empty_B = usage.page_tables_B;
	CHECK(empty_B >= usage.page_table_frames_B && usage.page_table_frames_B > 0);
	map_for_usage(vm, bo, vram);
	/* What others map is theirs. */
	CHECK_OK(bind_one(other, op_map(bo, 0, 0, 8 * PAGE)));
	CHECK_OK(vmb_vm_usage(vm, &usage));
	CHECK_EQ(usage.mappings, mappings(vm));
	CHECK_EQ(usage.mappings, 6);
	CHECK_EQ(usage.evicted, 0);
	CHECK_EQ(usage.mapped_B, 26 * PAGE);
	CHECK_EQ(usage.bo_B, 8 * PAGE + 0x20000);
	CHECK_EQ(usage.vram_B, 0x20000);
	CHECK(usage.page_tables_B > empty_B);
	CHECK_OK(vmb_vm_usage(other, &longer.args));
	CHECK(longer.args.mappings == 1 && longer.args.bo_B == 8 * PAGE && longer.later == 5);
	usage.size_B = offsetof(struct vmb_vm_usage, mapped_B);
	CHECK_OK(vmb_vm_usage(other, &usage));
	CHECK(usage.mappings == 1 && usage.bo_B == 8 * PAGE + 0x20000);
	vmb_vm_destroy(other);
	vmb_vm_destroy(vm);
	vmb_bo_destroy(vram);
	vmb_bo_destroy(bo);
}

static void reads_and_writes_as_the_gpu(struct vmb_device *device)
{
	const uint64_t far = ((uint64_t)1 << 47) - PAGE, length_B = 3 << 20;
	struct vmb_vm *vm = new_vm(device, 0, 0), *scratch = new_vm(device, VMB_VM_SCRATCH, 0);
	struct vmb_bo *bo = new_bo(device, length_B);
	struct vmb_bind_op readonly = op_map(bo, 0, 0, PAGE);
	char *out = malloc(length_B), *cpu = vmb_bo_map(bo);
	uint32_t word = 0x600d;

	readonly.flags = VMB_BIND_READONLY;
	for (uint64_t i = 0; i < length_B; i++) {
		cpu[i] = (char)(i * 7 + i / 4096);
	}
	/* Across the hole of the canonical addresses, and more than is done at once. */
	CHECK_OK(bind_one(vm, op_map(bo, far, 0, length_B)));
	CHECK_OK(vmb_vm_read(vm, far + 1, out, length_B - 1));
	CHECK(memcmp(out, cpu + 1, length_B - 1) == 0);
	CHECK_EQ(vmb_vm_read(vm, far + 1, out, length_B), -EFAULT);
	memset(out, 0x5a, length_B);
	CHECK_OK(vmb_vm_write(vm, far + 3, out, length_B - 3));
	CHECK(memcmp(out, cpu + 3, length_B - 3) == 0);
	CHECK_OK(bind_one(vm, readonly));
	CHECK_OK(vmb_vm_read(vm, 0, out, PAGE));
	CHECK_EQ(vmb_vm_write(vm, 0, &word, sizeof(word)), -EFAULT);
	CHECK_EQ(vmb_vm_read(vm, SPACE_B - 2, &word, sizeof(word)), -EFAULT);
	CHECK_EQ(vmb_vm_read(vm, UINT64_MAX, &word, sizeof(word)), -EFAULT);
	CHECK_OK(vmb_vm_read(vm, 5 * PAGE, NULL, 0));
	CHECK_EQ(vmb_vm_read(vm, 0, NULL, 1), -EINVAL);
	CHECK_EQ(vmb_vm_write(NULL, 0, &word, 1), -EINVAL);
	CHECK_OK(vmb_vm_write(scratch, PAGE, &word, sizeof(word)));
	CHECK_EQ(read_dword(scratch, PAGE), 0);
	CHECK_EQ(vmb_vm_faults(vm, NULL, 0), 0);
	free(out);
	vmb_vm_destroy(scratch);
	vmb_vm_destroy(vm);
	vmb_bo_destroy(bo);
}

/* ---- objects --------------------------------------------------------------------------------- */

static void objects(struct vmb_device *device)
{
	struct vmb_bo_args args = { .size_B = sizeof(args), .length_B = 1 };
	struct vmb_bo *system, *vram, *none;

	CHECK_OK(vmb_bo_create(device, &args, &system));
	CHECK_EQ(vmb_bo_length(system), PAGE);
	args.placement = VMB_BO_VRAM | VMB_BO_SYSTEM;
	CHECK_OK(vmb_bo_create(device, &args, &vram));
	CHECK_EQ(vmb_bo_length(vram), 0x10000);
	CHECK(vmb_bo_id(system) && vmb_bo_id(vram) && vmb_bo_id(system) != vmb_bo_id(vram));
	for (unsigned i = 0; i < 0x10000; i++) {
		CHECK_EQ(((char *)vmb_bo_map(vram))[i], 0);
	}
	args.placement = 4;
	CHECK_EQ(vmb_bo_create(device, &args, &none), -EINVAL);
	CHECK(!none);
	args.placement = 0;
	args.length_B = 0;
	CHECK_EQ(vmb_bo_create(device, &args, &none), -EINVAL);
	args.length_B = UINT64_MAX;
	CHECK_EQ(vmb_bo_create(device, &args, &none), -EINVAL);
	CHECK_EQ(vmb_bo_create(device, NULL, &none), -EINVAL);
	CHECK_EQ(vmb_bo_create(NULL, &args, &none), -EINVAL);
	CHECK_EQ(vmb_bo_create(device, &args, NULL), -EINVAL);
	CHECK(!vmb_bo_map(NULL) && !vmb_bo_length(NULL) && !vmb_bo_id(NULL));
	vmb_bo_destroy(NULL);
	vmb_bo_destroy(vram);
	vmb_bo_destroy(system);
}

static void a_gpu_without_memory_has_no_vram(struct vmb_device *device)
{
	struct vmb_device_config config = { .size_B = sizeof(config), .gpu = "lnl",
					    .system_B = MEMORY_B };
	struct vmb_bo_args args = { .size_B = sizeof(args), .length_B = PAGE,
				    .placement = VMB_BO_VRAM };
	struct vmb_device *other;
	struct vmb_bo *bo;

	CHECK_OK(vmb_device_create(&config, &other, NULL));
	CHECK_EQ(vmb_bo_create(other, &args, &bo), -EINVAL);
	/* Nor may an object be for an address space of another device. */
	args.placement = VMB_BO_SYSTEM;
	args.vm = new_vm(device, 0, 0);
	CHECK_EQ(vmb_bo_create(other, &args, &bo), -EINVAL);
	vmb_vm_destroy(args.vm);
	vmb_device_destroy(other);
}

static void test_B01_a_mapping_keeps_the_object(struct vmb_device *device)
{
	struct vmb_vm *vm = new_vm(device, 0, 0);
	struct vmb_bo *bo = new_bo(device, PAGE);
	struct vmb_mapping m = { .size_B = sizeof(m) };
	uint64_t id = vmb_bo_id(bo);

	*(uint32_t *)vmb_bo_map(bo) = 0xa11;
	CHECK_OK(bind_one(vm, op_map(bo, PAGE, 0, PAGE)));
	vmb_bo_destroy(bo);
	bo = new_bo(device, PAGE); /* would be in the same place */
	CHECK_EQ(read_dword(vm, PAGE), 0xa11);
	CHECK_OK(vmb_vm_mapping_next(vm, 0, &m));
	CHECK_EQ(m.bo_id, id);
	CHECK_OK(bind_one(vm, op_unmap(PAGE, PAGE)));
	CHECK_EQ(read_dword(vm, PAGE), -EFAULT);
	vmb_bo_destroy(bo);
	vmb_vm_destroy(vm);
}

/* ---- the end --------------------------------------------------------------------------------- */

/* Address space, its queues, object and syncobj go in every order; work is under way. */
static void handles_go_in_any_order(struct vmb_device *device)
{
	for (unsigned order = 0; order < 120; order++) {
		unsigned left = 5, code = order;
		unsigned which[5] = { 0, 1, 2, 3, 4 };
		struct vmb_vm *vm = new_vm(device, 0, 0);
		struct vmb_bo *bo = new_bo(device, 0x10000);
		struct vmb_queue *queue = new_queue(vm);
		struct vmb_syncobj *syncobj = new_syncobj(device);
		struct vmb_bind_queue *binds;
		struct vmb_sync syncs[2];

		CHECK_OK(vmb_bind_queue_create(vm, &binds));
		batch_spin(vmb_bo_map(bo), PAGE, PAGE + 0x800);
		((uint32_t *)vmb_bo_map(bo))[0x800 / 4] = 1;
		CHECK_OK(bind_one(vm, op_map(bo, PAGE, 0, 0x10000)));
		CHECK_OK(submit(queue, PAGE, NULL, 0));
		syncs[0] = sync_signal(syncobj, 1);
		CHECK_OK(submit(queue, PAGE, syncs, 1));
		syncs[0] = sync_wait(syncobj, 1);
		syncs[1] = sync_signal(syncobj, 2);
		CHECK_OK(bind_syncs(vm, binds, op_unmap(PAGE, PAGE), syncs, 2));
		while (left) {
			unsigned i = code % left, next = which[i];

			code /= left--;
			which[i] = which[left];
			switch (next) {
			case 0: vmb_vm_destroy(vm); break;
			case 1: vmb_bo_destroy(bo); break;
			case 2: vmb_queue_destroy(queue); break;
			case 3: vmb_bind_queue_destroy(binds); break;
			default: vmb_syncobj_destroy(syncobj); break;
			}
		}
	}
}

static void test_L11_nothing_runs_after_the_end(struct vmb_device *device)
{
	struct vmb_vm *vm = new_vm(device, 0, 0);
	struct vmb_bo *bo = new_bo(device, PAGE);
	struct vmb_queue *queue = new_queue(vm);
	struct vmb_syncobj *never = new_syncobj(device), *bound = new_syncobj(device);
	struct vmb_syncobj *ran = new_syncobj(device);
	struct vmb_sync syncs[2];

	/* A point nobody signals, made by a bind that waits for it in another address space. */
	struct vmb_vm *other = new_vm(device, 0, 0);
	struct vmb_queue *stuck = new_queue(other);

	((uint32_t *)vmb_bo_map(bo))[0x800 / 4] = 1;
	batch_spin(vmb_bo_map(bo), PAGE, PAGE + 0x800);
	CHECK_OK(bind_one(other, op_map(bo, PAGE, 0, PAGE)));
	syncs[0] = sync_signal(never, 0);
	CHECK_OK(submit(stuck, PAGE, syncs, 1));

	syncs[0] = sync_wait(never, 0);
	syncs[1] = sync_signal(bound, 0);
	CHECK_OK(bind_syncs(vm, NULL, op_map(bo, PAGE, 0, PAGE), syncs, 2));
	syncs[0] = sync_wait(bound, 0);
	syncs[1] = sync_signal(ran, 0);
	CHECK_OK(submit(queue, PAGE, syncs, 2));
	CHECK(!is_signalled(bound, 0) && !is_signalled(ran, 0));
	vmb_vm_destroy(vm);
	CHECK(is_signalled(bound, 0) && is_signalled(ran, 0) && !is_signalled(never, 0));
	CHECK_EQ(submit(queue, PAGE, NULL, 0), -ECANCELED);
	CHECK_EQ(vmb_queue_error(queue), -ECANCELED);
	vmb_queue_destroy(queue);
	vmb_queue_destroy(stuck);
	CHECK(is_signalled(never, 0));
	vmb_vm_destroy(other);
	vmb_bo_destroy(bo);
	vmb_syncobj_destroy(never);
	vmb_syncobj_destroy(bound);
	vmb_syncobj_destroy(ran);
}

/* A device that is ended too early says so and stops the program: this one, as another process. */
static void a_device_outlives_its_handles(struct vmb_device *device)
{
	char text[4096] = "";
	int tube[2], status;
	ssize_t n;
	pid_t child;

	(void)device;
	CHECK_OK(pipe(tube));
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		dup2(tube[1], 2);
		execl("/proc/self/exe", "lib-objects", END_TOO_EARLY, (char *)NULL);
		_exit(0);
	}
	close(tube[1]);
	n = read(tube[0], text, sizeof(text) - 1);
	close(tube[0]);
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(n > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(strstr(text, "not everything of the device was destroyed"));
}

static int end_too_early(void)
{
	struct vmb_device_config config = { .size_B = sizeof(config), .system_B = MEMORY_B,
					    .vram_B = MEMORY_B };
	struct vmb_device *device;

	CHECK_OK(vmb_device_create(&config, &device, NULL));
	(void)new_syncobj(device);
	vmb_device_destroy(device);
	return 0;
}

/* Where some memory is hidden from the CPU: an object that the CPU is told of is not there. */
static void objects_are_where_the_cpu_reaches(struct vmb_device *unused)
{
	struct vmb_device_config config = { .size_B = sizeof(config), .system_B = MEMORY_B,
					    .vram_B = MEMORY_B,
					    .visible_vram_B = MEMORY_B / 4 };
	struct vmb_bo_args args = { .size_B = sizeof(args), .placement = VMB_BO_VRAM };
	struct vmb_device *device;
	struct vmb_bo *fits, *larger;
	struct vmb_vm *vm;

	(void)unused;
	CHECK_OK(vmb_device_create(&config, &device, NULL));
	vm = new_vm(device, 0, 0);
	args.length_B = MEMORY_B / 4;
	CHECK_OK(vmb_bo_create(device, &args, &fits));
	args.length_B = MEMORY_B / 2;
	CHECK_OK(vmb_bo_create(device, &args, &larger));
	CHECK_OK(bind_one(vm, op_map(fits, PAGE * 16, 0, MEMORY_B / 4)));
	CHECK_EQ(bind_one(vm, op_map(larger, MEMORY_B, 0, MEMORY_B / 2)), -ENOSPC);
	vmb_bo_destroy(larger);
	vmb_bo_destroy(fits);
	vmb_vm_destroy(vm);
	vmb_device_destroy(device);
}

static const struct test_case cases[] = {
	TEST(arguments_may_be_shorter_or_longer),
	TEST(results_go_as_far_as_the_struct),
	TEST(test_A01_several_address_spaces),
	TEST(bad_address_spaces),
	TEST(a_banned_one_takes_no_more),
	TEST(mappings_are_told),
	TEST(usage_is_told),
	TEST(reads_and_writes_as_the_gpu),
	TEST(objects),
	TEST(a_gpu_without_memory_has_no_vram),
	TEST(objects_are_where_the_cpu_reaches),
	TEST(test_B01_a_mapping_keeps_the_object),
	TEST(handles_go_in_any_order),
	TEST(test_L11_nothing_runs_after_the_end),
	TEST(a_device_outlives_its_handles),
};

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], END_TOO_EARLY) == 0) {
		return end_too_early();
	}
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
