// SPDX-License-Identifier: MIT
/* Syncobjs, engines, execution queues, submissions. */
#include "lib.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#define CODE 0x100000
#define DATA 0x200000
#define DRM_VERSION 0xc0406400ul

/* ---- syncobjs -------------------------------------------------------------------------------- */

static int wait_many(const struct vmb_wait *waits, uint32_t n, uint32_t flags,
		     uint64_t deadline_ns, unsigned *first_out)
{
	struct vmb_wait_args args = { .size_B = sizeof(args), .waits = waits, .count = n,
				      .flags = flags, .deadline_ns = deadline_ns };

	return vmb_syncobj_wait(&args, first_out);
}

static void test_A03_syncobjs(struct vmb_device *device)
{
	struct vmb_syncobj *binary, *line = new_syncobj(device), *none;
	uint64_t point = 1;

	CHECK_OK(vmb_syncobj_create(device, 1, &binary));
	CHECK(is_signalled(binary, 0));
	CHECK_OK(vmb_syncobj_reset(binary));
	CHECK_EQ(wait_for(binary, 0), -EINVAL);
	CHECK_OK(vmb_syncobj_signal(binary, 0));
	CHECK(is_signalled(binary, 0));
	CHECK_OK(vmb_syncobj_query(binary, &point));
	CHECK_EQ(point, 0);
	CHECK_OK(vmb_syncobj_signal(line, 10));
	CHECK(is_signalled(line, 10) && is_signalled(line, 3));
	CHECK_EQ(wait_for(line, 11), -EINVAL);
	CHECK_OK(vmb_syncobj_query(line, &point));
	CHECK_EQ(point, 10);
	CHECK_EQ(vmb_syncobj_create(NULL, 0, &none), -EINVAL);
	CHECK(!none);
	CHECK_EQ(vmb_syncobj_create(device, 0, NULL), -EINVAL);
	CHECK_EQ(vmb_syncobj_signal(NULL, 0), -EINVAL);
	CHECK_EQ(vmb_syncobj_reset(NULL), -EINVAL);
	CHECK_EQ(vmb_syncobj_query(NULL, &point), -EINVAL);
	CHECK_EQ(vmb_syncobj_query(line, NULL), -EINVAL);
	vmb_syncobj_destroy(NULL);
	vmb_syncobj_destroy(binary);
	vmb_syncobj_destroy(line);
}

static void waits_for_any_and_all(struct vmb_device *device)
{
	enum { N = 6 };
	LONGER(struct vmb_wait_args) longer = { .args.size_B = sizeof(longer), .later = 1 };
	struct vmb_device_config config = { .size_B = sizeof(config), .system_B = MEMORY_B,
					    .gpu = "lnl" };
	struct vmb_device *other;
	struct vmb_wait waits[N];
	unsigned first = 99;

	for (unsigned i = 0; i < N; i++) {
		waits[i].syncobj = new_syncobj(device);
		waits[i].point = 5;
	}
	CHECK_EQ(wait_many(waits, N, 0, 0, &first), -EINVAL);
	CHECK_EQ(wait_many(waits, N, VMB_WAIT_FOR_SUBMIT, 0, &first), -ETIME);
	CHECK_EQ(wait_many(waits, N, VMB_WAIT_FOR_SUBMIT, in_ms(2), &first), -ETIME);
	CHECK_EQ(first, 99);
	CHECK_OK(vmb_syncobj_signal(waits[4].syncobj, 5));
	CHECK_OK(wait_many(waits, N, VMB_WAIT_FOR_SUBMIT, 0, &first));
	CHECK_EQ(first, 4);
	CHECK_EQ(wait_many(waits, N, VMB_WAIT_FOR_SUBMIT | VMB_WAIT_ALL, 0, NULL), -ETIME);
	for (unsigned i = 0; i < N; i++) {
		CHECK_OK(vmb_syncobj_signal(waits[i].syncobj, 5 + i));
	}
	CHECK_OK(wait_many(waits, N, VMB_WAIT_ALL, VMB_FOREVER, &first));
	CHECK_EQ(first, 0);
	CHECK_EQ(wait_many(waits, N, 4, 0, NULL), -EINVAL);
	CHECK_EQ(wait_many(waits, 0, 0, 0, NULL), -EINVAL);
	CHECK_EQ(wait_many(NULL, 1, 0, 0, NULL), -EINVAL);
	CHECK_EQ(vmb_syncobj_wait(NULL, NULL), -EINVAL);
	CHECK_EQ(vmb_syncobj_wait(&longer.args, NULL), -E2BIG);
	vmb_syncobj_destroy(waits[1].syncobj);
	waits[1].syncobj = NULL;
	CHECK_EQ(wait_many(waits, 2, 0, 0, NULL), -EINVAL);
	CHECK_OK(vmb_device_create(&config, &other, NULL));
	waits[1].syncobj = new_syncobj(other);
	CHECK_OK(vmb_syncobj_signal(waits[1].syncobj, 5));
	CHECK_EQ(wait_many(waits, 2, 0, 0, NULL), -EINVAL);
	vmb_syncobj_destroy(waits[1].syncobj);
	waits[1].syncobj = NULL;
	vmb_device_destroy(other);
	for (unsigned i = 0; i < N; i++) {
		vmb_syncobj_destroy(waits[i].syncobj);
	}
}

static void *signal_later(void *arg)
{
	for (uint64_t point = 1; point <= 100; point++) {
		CHECK_OK(vmb_syncobj_signal(arg, point));
	}
	return NULL;
}

static void a_wait_for_what_another_thread_signals(struct vmb_device *device)
{
	struct vmb_wait wait = { .syncobj = new_syncobj(device), .point = 100 };
	pthread_t thread;

	CHECK_OK(pthread_create(&thread, NULL, signal_later, wait.syncobj));
	CHECK_OK(wait_many(&wait, 1, VMB_WAIT_FOR_SUBMIT, in_ms(10000), NULL));
	CHECK_OK(pthread_join(thread, NULL));
	vmb_syncobj_destroy(wait.syncobj);
}

static void nothing_to_do(int signal)
{
	(void)signal;
}

static void test_A21_a_signal_interrupts_a_wait(struct vmb_device *device)
{
	const struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = { { 0, 0 }, { 0, 0 } };
	struct vmb_wait wait = { .syncobj = new_syncobj(device) };
	struct sigaction action = { .sa_handler = nothing_to_do };
	uint64_t memory = 0;

	CHECK_OK(sigaction(SIGALRM, &action, NULL));
	CHECK_OK(setitimer(ITIMER_REAL, &often, NULL));
	CHECK_EQ(wait_many(&wait, 1, VMB_WAIT_FOR_SUBMIT, in_ms(10000), NULL), -EINTR);
	CHECK_EQ(vmb_memory_wait(device, &memory, 1, in_ms(10000)), -EINTR);
	CHECK_OK(setitimer(ITIMER_REAL, &never, NULL));
	vmb_syncobj_destroy(wait.syncobj);
}

/* ---- engines and queues ---------------------------------------------------------------------- */

static void engines(struct vmb_device *device)
{
	struct vmb_engine all[32], two[2] = { { 77, 77 }, { 77, 77 } };
	int n = vmb_device_engines(device, NULL, 0);
	unsigned copy = 0;

	CHECK(n > 1 && n <= (int)ARRAY_LEN(all));
	CHECK_EQ(vmb_device_engines(device, all, ARRAY_LEN(all)), n);
	CHECK_EQ(vmb_device_engines(device, two, 1), n);
	CHECK_EQ(two[0].engine_class, all[0].engine_class);
	CHECK_EQ(two[1].engine_class, 77);
	for (int i = 0; i < n; i++) {
		copy += all[i].engine_class == VMB_ENGINE_COPY;
	}
	CHECK(copy > 0);
	CHECK_EQ(vmb_device_engines(NULL, all, 1), -EINVAL);
	CHECK_EQ(vmb_device_engines(device, NULL, 1), -EINVAL);
}

static void a_queue_on_every_engine(struct vmb_device *device)
{
	struct vmb_queue_args args = { .size_B = sizeof(args) };
	struct vmb_vm *vm = new_vm(device, 0, 0);
	struct vmb_bo *bo = new_bo(device, 2 * PAGE);
	struct vmb_syncobj *done = new_syncobj(device);
	struct vmb_sync sync = sync_signal(done, 0);
	struct vmb_engine all[32];
	uint32_t *cpu = vmb_bo_map(bo);
	struct vmb_queue *queue;
	int n = vmb_device_engines(device, all, ARRAY_LEN(all));

	CHECK_OK(bind_one(vm, op_map(bo, CODE, 0, PAGE)));
	CHECK_OK(bind_one(vm, op_map(bo, DATA, PAGE, PAGE)));
	for (int i = 0; i < n; i++) {
		args.engine_class = all[i].engine_class;
		args.instance = i % 2 ? all[i].instance : VMB_ENGINE_ANY;
		CHECK_OK(vmb_queue_create(vm, &args, &queue));
		batch_store(cpu, DATA, 0x1000u + i);
		CHECK_OK(submit(queue, CODE, &sync, 1));
		CHECK_OK(wait_for(done, 0));
		CHECK_EQ(cpu[PAGE / 4], 0x1000 + i);
		CHECK_OK(vmb_queue_error(queue));
		vmb_queue_destroy(queue);
	}
	vmb_vm_destroy(vm);
	vmb_bo_destroy(bo);
	vmb_syncobj_destroy(done);
}

static void batches_side_by_side(struct vmb_device *device)
{
	struct vmb_queue_args args = { .size_B = sizeof(args), .width = 2,
				       .engine_class = VMB_ENGINE_VIDEO_DECODE,
				       .instance = VMB_ENGINE_ANY };
	const uint64_t batches[] = { CODE, CODE + 0x800 };
	struct vmb_vm *vm = new_vm(device, 0, 0);
	struct vmb_bo *bo = new_bo(device, 2 * PAGE);
	struct vmb_syncobj *done = new_syncobj(device);
	struct vmb_sync sync = sync_signal(done, 0);
	struct vmb_submit_args submission = { .size_B = sizeof(submission), .batches = batches,
					      .batch_count = 2, .syncs = &sync, .sync_count = 1 };
	uint32_t *cpu = vmb_bo_map(bo);
	struct vmb_queue *queue;

	/* The second ends only when the first has stored: they run at once. */
	batch_store(cpu, DATA, 0);
	batch_spin(cpu + 0x800 / 4, CODE + 0x800, DATA);
	cpu[PAGE / 4] = 1;
	CHECK_OK(bind_one(vm, op_map(bo, CODE, 0, PAGE)));
	CHECK_OK(bind_one(vm, op_map(bo, DATA, PAGE, PAGE)));
	CHECK_OK(vmb_queue_create(vm, &args, &queue));
	CHECK_OK(vmb_queue_submit(queue, &submission));
	CHECK_OK(wait_for(done, 0));
	submission.batch_count = 1;
	CHECK_EQ(vmb_queue_submit(queue, &submission), -EINVAL);
	vmb_queue_destroy(queue);
	args.instance = 1; /* there is none behind it */
	CHECK_EQ(vmb_queue_create(vm, &args, &queue), -ENODEV);
	args.width = 3;
	args.instance = VMB_ENGINE_ANY;
	CHECK_EQ(vmb_queue_create(vm, &args, &queue), -ENODEV);
	args.width = UINT32_MAX;
	CHECK_EQ(vmb_queue_create(vm, &args, &queue), -EINVAL);
	vmb_vm_destroy(vm);
	vmb_bo_destroy(bo);
	vmb_syncobj_destroy(done);
}

static void bad_queues_and_submissions(struct vmb_device *device)
{
	LONGER(struct vmb_queue_args) longer = { .args.size_B = sizeof(longer), .later = 1 };
	LONGER(struct vmb_submit_args) later = { .args.size_B = sizeof(later), .later = 1 };
	struct vmb_queue_args args = { .size_B = sizeof(args), .engine_class = VMB_ENGINE_COPY,
				       .instance = 1000 };
	const uint64_t batch = CODE;
	struct vmb_submit_args submission = { .size_B = sizeof(submission), .batches = &batch,
					      .batch_count = 1, .flags = 1 };
	struct vmb_vm *vm = new_vm(device, 0, 0);
	struct vmb_queue *queue, *none;

	CHECK_EQ(vmb_queue_create(vm, &args, &none), -ENODEV);
	CHECK(!none);
	args.engine_class = VMB_ENGINE_COMPUTE + 1;
	CHECK_EQ(vmb_queue_create(vm, &args, &none), -EINVAL);
	args.engine_class = VMB_ENGINE_COPY;
	args.instance = 0;
	args.priority = 2;
	CHECK_EQ(vmb_queue_create(vm, &args, &none), -EINVAL);
	args.priority = -2;
	CHECK_EQ(vmb_queue_create(vm, &args, &none), -EINVAL);
	args.priority = -1;
	CHECK_EQ(vmb_queue_create(NULL, &args, &none), -EINVAL);
	CHECK_EQ(vmb_queue_create(vm, NULL, &none), -EINVAL);
	CHECK_EQ(vmb_queue_create(vm, &args, NULL), -EINVAL);
	CHECK_EQ(vmb_queue_create(vm, &longer.args, &none), -E2BIG);
	CHECK_OK(vmb_queue_create(vm, &args, &queue));
	CHECK_EQ(vmb_queue_submit(queue, &submission), -EINVAL);
	submission.flags = 0;
	submission.reserved = 1;
	CHECK_EQ(vmb_queue_submit(queue, &submission), -EINVAL);
	submission.reserved = 0;
	submission.batch_count = 0;
	CHECK_EQ(vmb_queue_submit(queue, &submission), -EINVAL);
	submission.batch_count = 1;
	submission.batches = NULL;
	CHECK_EQ(vmb_queue_submit(queue, &submission), -EINVAL);
	CHECK_EQ(vmb_queue_submit(queue, NULL), -EINVAL);
	CHECK_EQ(vmb_queue_submit(NULL, &submission), -EINVAL);
	CHECK_EQ(vmb_queue_submit(queue, &later.args), -E2BIG);
	CHECK_EQ(vmb_queue_error(NULL), -EINVAL);
	vmb_queue_destroy(NULL);
	vmb_queue_destroy(queue);
	vmb_vm_destroy(vm);
}

/* ---- submissions ----------------------------------------------------------------------------- */

/* A bind, the work that needs it, and the unbind are all given before the first may begin. */
static void test_A12_binds_and_work_are_pipelined(struct vmb_device *device)
{
	struct vmb_vm *vm = new_vm(device, 0, 0), *gates = new_vm(device, 0, 0);
	struct vmb_bo *bo = new_bo(device, 2 * PAGE), *gate = new_bo(device, PAGE);
	struct vmb_syncobj *line = new_syncobj(device);
	struct vmb_queue *queue = new_queue(vm), *holder = new_queue(gates);
	uint32_t *cpu = vmb_bo_map(bo), *flag = (uint32_t *)vmb_bo_map(gate) + 0x800 / 4;
	struct vmb_sync syncs[2] = { sync_signal(line, 1) };

	*flag = 1;
	batch_spin(vmb_bo_map(gate), CODE, CODE + 0x800);
	CHECK_OK(bind_one(gates, op_map(gate, CODE, 0, PAGE)));
	CHECK_OK(submit(holder, CODE, syncs, 1));
	batch_store(cpu, DATA, 0xfeed);
	for (unsigned i = 0; i < 3; i++) {
		syncs[0] = sync_wait(line, i + 1);
		syncs[1] = sync_signal(line, i + 2);
		switch (i) {
		case 0:
			CHECK_OK(bind_syncs(vm, NULL, op_map(bo, CODE, 0, PAGE), syncs, 1));
			CHECK_OK(bind_syncs(vm, NULL, op_map(bo, DATA, PAGE, PAGE), syncs, 2));
			break;
		case 1:
			CHECK_OK(submit(queue, CODE, syncs, 2));
			break;
		default:
			CHECK_OK(bind_syncs(vm, NULL, op_unmap(DATA, PAGE), syncs, 2));
		}
	}
	CHECK(!is_signalled(line, 1));
	CHECK_EQ(cpu[PAGE / 4], 0);
	__atomic_store_n(flag, 0, __ATOMIC_RELEASE);
	CHECK_OK(wait_for(line, 4));
	CHECK_EQ(cpu[PAGE / 4], 0xfeed);
	CHECK_EQ(read_dword(vm, DATA), -EFAULT);
	CHECK_OK(vmb_queue_error(queue));
	vmb_queue_destroy(queue);
	vmb_queue_destroy(holder);
	vmb_vm_destroy(vm);
	vmb_vm_destroy(gates);
	vmb_bo_destroy(bo);
	vmb_bo_destroy(gate);
	vmb_syncobj_destroy(line);
}

static void test_B23_faults_are_told(struct vmb_device *device)
{
	struct vmb_vm *vm = new_vm(device, 0, 0);
	struct vmb_bo *bo = new_bo(device, PAGE);
	struct vmb_syncobj *done = new_syncobj(device);
	struct vmb_sync sync = sync_signal(done, 0);
	struct vmb_queue *queue = new_queue(vm), *second = new_queue(vm);
	struct vmb_bind_op readonly = op_map(bo, CODE, 0, PAGE);
	struct vmb_fault faults[3];

	readonly.flags = VMB_BIND_READONLY;
	batch_store(vmb_bo_map(bo), DATA + 4, 1);
	batch_store((char *)vmb_bo_map(bo) + 0x800, CODE + 8, 1);
	CHECK_OK(bind_one(vm, readonly));
	CHECK_OK(submit(queue, CODE, &sync, 1));
	CHECK_OK(wait_for(done, 0));
	CHECK_EQ(vmb_queue_error(queue), -EIO);
	CHECK_EQ(submit(queue, CODE, NULL, 0), -ECANCELED);
	CHECK_EQ(vmb_queue_error(second), 0);
	CHECK_OK(submit(second, CODE + 0x800, &sync, 1));
	CHECK_OK(wait_for(done, 0));
	CHECK_EQ(vmb_vm_faults(vm, NULL, 0), 2);
	CHECK_EQ(vmb_vm_faults(vm, faults, 3), 2);
	CHECK_EQ(faults[0].addr, DATA + 4);
	CHECK_EQ(faults[0].access, VMB_ACCESS_WRITE);
	CHECK_EQ(faults[0].type, VMB_FAULT_NOT_PRESENT);
	CHECK_EQ(faults[1].addr, CODE + 8);
	CHECK_EQ(faults[1].type, VMB_FAULT_WRITE);
	CHECK_EQ(vmb_vm_ban_reason(vm), VMB_BAN_NONE);
	vmb_queue_destroy(queue);
	vmb_queue_destroy(second);
	vmb_vm_destroy(vm);
	vmb_bo_destroy(bo);
	vmb_syncobj_destroy(done);
}

/* Long-running work signals memory only, and waits for its in-syncs in the call. */
static void test_A05_long_running_work(struct vmb_device *device)
{
	struct vmb_vm *vm = new_vm(device, VMB_VM_LONG_RUNNING, 0);
	struct vmb_bo *bo = new_bo(device, 2 * PAGE);
	struct vmb_syncobj *syncobj = new_syncobj(device);
	struct vmb_queue *queue = new_queue(vm);
	uint64_t memory = 0;
	struct vmb_sync out = sync_signal(syncobj, 0);
	struct vmb_sync syncs[] = {
		{ .flags = VMB_SYNC_SIGNAL, .memory = &memory, .value = 1 },
		sync_wait(syncobj, 0),
	};
	uint32_t *cpu = vmb_bo_map(bo);

	CHECK_EQ(bind_syncs(vm, NULL, op_map(bo, CODE, 0, PAGE), &out, 1), -EOPNOTSUPP);
	CHECK_EQ(submit(queue, CODE, &out, 1), -EOPNOTSUPP);
	CHECK_OK(vmb_syncobj_signal(syncobj, 0));
	CHECK_OK(bind_syncs(vm, NULL, op_map(bo, CODE, 0, PAGE), syncs, 2));
	CHECK_OK(vmb_memory_wait(device, &memory, 1, in_ms(10000)));
	CHECK_OK(bind_one(vm, op_map(bo, DATA, PAGE, PAGE)));
	batch_store(cpu, DATA, 0xbeef);
	syncs[0].value = 2;
	CHECK_OK(submit(queue, CODE, syncs, 2));
	CHECK_OK(vmb_memory_wait(device, &memory, 2, in_ms(10000)));
	CHECK_EQ(cpu[PAGE / 4], 0xbeef);
	/* Work that never ends is cancelled, and who waits for it is told. */
	batch_spin(cpu, CODE, DATA);
	syncs[0].value = 3;
	CHECK_OK(submit(queue, CODE, syncs, 1));
	CHECK_EQ(vmb_memory_wait(device, &memory, 3, in_ms(3)), -ETIME);
	vmb_queue_destroy(queue);
	CHECK_OK(vmb_memory_wait(device, &memory, 3, in_ms(10000)));
	vmb_vm_destroy(vm);
	vmb_bo_destroy(bo);
	vmb_syncobj_destroy(syncobj);
}

static void too_many_submissions(struct vmb_device *device)
{
	struct vmb_vm *vm = new_vm(device, 0, 0);
	struct vmb_bo *bo = new_bo(device, PAGE);
	struct vmb_queue *queue = new_queue(vm);
	unsigned n = 0;
	int ret;

	((uint32_t *)vmb_bo_map(bo))[0x800 / 4] = 1;
	batch_spin(vmb_bo_map(bo), CODE, CODE + 0x800);
	CHECK_OK(bind_one(vm, op_map(bo, CODE, 0, PAGE)));
	while ((ret = submit(queue, CODE, NULL, 0)) == 0) {
		n++;
	}
	CHECK_EQ(ret, -EAGAIN);
	CHECK_EQ(n, 1000);
	CHECK_OK(vmb_queue_error(queue));
	vmb_queue_destroy(queue);
	vmb_vm_destroy(vm);
	vmb_bo_destroy(bo);
}

/* A batch that spins hangs when its time is over, or is lost to a reset; others are not. */
static void hangs_and_resets(struct vmb_device *device)
{
	struct vmb_queue_args args = { .size_B = sizeof(args), .engine_class = VMB_ENGINE_COPY,
				       .job_timeout_ms = 20, .priority = 1, .timeslice_us = 10 };
	struct vmb_vm *vm = new_vm(device, 0, 0);
	struct vmb_bo *bo = new_bo(device, PAGE), *data = new_bo(device, PAGE);
	struct vmb_queue *hangs, *patient = new_queue(vm), *other = new_queue(vm);
	struct vmb_syncobj *done = new_syncobj(device);
	struct vmb_sync sync = sync_signal(done, 0);
	uint32_t *cpu = vmb_bo_map(bo);

	cpu[0x800 / 4] = 1;
	batch_spin(cpu, CODE, CODE + 0x800);
	batch_store(cpu + 0x400 / 4, DATA, 0xfeed);
	CHECK_OK(bind_one(vm, op_map(bo, CODE, 0, PAGE)));
	CHECK_OK(bind_one(vm, op_map(data, DATA, 0, PAGE)));
	CHECK_OK(vmb_queue_create(vm, &args, &hangs));
	CHECK_OK(submit(hangs, CODE, &sync, 1));
	CHECK_OK(wait_for(done, 0));
	CHECK_EQ(vmb_queue_error(hangs), -EIO);
	CHECK_EQ(submit(hangs, CODE + 0x400, NULL, 0), -ECANCELED);
	CHECK_OK(submit(patient, CODE, NULL, 0));
	vmb_device_reset(NULL);
	while (!vmb_queue_error(patient)) {
		vmb_device_reset(device); /* it may have yet to begin */
	}
	CHECK_EQ(vmb_queue_error(patient), -EIO);
	CHECK_OK(submit(other, CODE + 0x400, &sync, 1));
	CHECK_OK(wait_for(done, 0));
	CHECK_OK(vmb_queue_error(other));
	CHECK_EQ(*(uint32_t *)vmb_bo_map(data), 0xfeed);
	vmb_queue_destroy(other);
	vmb_queue_destroy(patient);
	vmb_queue_destroy(hangs);
	vmb_syncobj_destroy(done);
	vmb_vm_destroy(vm);
	vmb_bo_destroy(data);
	vmb_bo_destroy(bo);
}

static void a_lost_device(struct vmb_device *device)
{
	struct vmb_vm *vm = new_vm(device, 0, 0);
	struct vmb_bo *bo = new_bo(device, PAGE);
	struct vmb_queue *queue = new_queue(vm), *late;
	struct vmb_syncobj *done = new_syncobj(device);
	struct vmb_sync sync = sync_signal(done, 0);
	uint64_t version[8] = { 0 };
	struct vmb_file *file;

	((uint32_t *)vmb_bo_map(bo))[0x800 / 4] = 1;
	batch_spin(vmb_bo_map(bo), CODE, CODE + 0x800);
	CHECK_OK(bind_one(vm, op_map(bo, CODE, 0, PAGE)));
	CHECK_OK(submit(queue, CODE, &sync, 1));
	CHECK_OK(vmb_file_open(device, 0, &file));
	CHECK_OK(vmb_ioctl(file, DRM_VERSION, version));
	vmb_device_wedge(NULL);
	vmb_device_wedge(device);
	CHECK_OK(wait_for(done, 0));
	CHECK_EQ(vmb_queue_error(queue), -ECANCELED);
	CHECK_EQ(submit(queue, CODE, NULL, 0), -ECANCELED);
	late = new_queue(vm);
	CHECK_EQ(submit(late, CODE, NULL, 0), -ECANCELED);
	CHECK_EQ(vmb_ioctl(file, DRM_VERSION, version), -ECANCELED);
	CHECK_OK(bind_one(vm, op_unmap(CODE, PAGE)));
	vmb_file_close(file);
	vmb_queue_destroy(late);
	vmb_queue_destroy(queue);
	vmb_syncobj_destroy(done);
	vmb_vm_destroy(vm);
	vmb_bo_destroy(bo);
}

static const struct test_case cases[] = {
	TEST(test_A03_syncobjs),
	TEST(waits_for_any_and_all),
	TEST(a_wait_for_what_another_thread_signals),
	TEST(test_A21_a_signal_interrupts_a_wait),
	TEST(engines),
	TEST(a_queue_on_every_engine),
	TEST(batches_side_by_side),
	TEST(bad_queues_and_submissions),
	TEST(test_A12_binds_and_work_are_pipelined),
	TEST(test_B23_faults_are_told),
	TEST(test_A05_long_running_work),
	TEST(too_many_submissions),
	TEST(hangs_and_resets),
	TEST(a_lost_device),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
