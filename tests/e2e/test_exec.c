// SPDX-License-Identifier: MIT
/* Submissions: order, spinners, faults, bans, cancellation, user fences, client memory. */
#include "rig.h"

#define BATCH 0x100000
#define DATA 0x800000

struct bench {
	struct device *device;
	struct vm *vm;
	struct bo *batch, *data;
	struct exec_queue *queue;
};

static void bench_init(struct bench *b, enum device_schedule schedule, unsigned flags)
{
	b->device = rig_device(schedule);
	b->vm = rig_vm(b->device, flags);
	b->batch = rig_bo(b->device, SZ_64K, MEM_SYSTEM);
	b->data = rig_bo(b->device, SZ_64K, MEM_VRAM);
	b->queue = rig_queue(b->device, b->vm, RIG_RENDER);
	CHECK_OK(rig_bind(b->vm, rig_map(b->batch, BATCH, 0, SZ_64K)));
	CHECK_OK(rig_bind(b->vm, rig_map(b->data, DATA, 0, SZ_64K)));
}

static void bench_fini(struct bench *b)
{
	if (b->queue) {
		rig_queue_done(b->queue);
	}
	rig_vm_done(b->vm);
	bo_put(b->batch);
	bo_put(b->data);
	device_destroy(b->device);
}

/* A batch at @slot that stores @value at @addr; its GPU address. */
static uint64_t store_batch(struct bench *b, unsigned slot, uint64_t addr, uint32_t value)
{
	rig_batch_stores(b->batch, slot * 64, &addr, &value, 1);
	return BATCH + slot * 64;
}

static void jobs_in_order(enum device_schedule schedule)
{
	struct bench b;
	struct fence *fence[100];

	bench_init(&b, schedule, 0);
	for (unsigned i = 0; i < ARRAY_LEN(fence); i++) {
		CHECK_OK(rig_exec(b.queue, store_batch(&b, i, DATA, i + 1), NULL, &fence[i]));
	}
	for (unsigned i = 0; i < ARRAY_LEN(fence); i++) {
		CHECK_OK(fence_wait(fence[i], PORT_FOREVER, 0));
		CHECK(rig_read32(b.data, 0) >= i + 1);
		fence_put(fence[i]);
	}
	CHECK_EQ(rig_read32(b.data, 0), 100);
	bench_fini(&b);
}

static void test_jobs_of_a_queue_run_in_order(void)
{
	jobs_in_order(SCHEDULE_NORMAL);
	jobs_in_order(SCHEDULE_EAGER);
	jobs_in_order(SCHEDULE_LAZY);
	jobs_in_order(SCHEDULE_ADVERSARIAL);
}

static void test_A07_exec_waits_for_its_in_fence(void)
{
	struct bench b;
	struct fence *in, *out;

	bench_init(&b, SCHEDULE_NORMAL, 0);
	in = rig_fence(b.device);
	CHECK_OK(rig_exec(b.queue, store_batch(&b, 0, DATA, 0x11), in, &out));
	CHECK_ERR(fence_wait(out, port_now_ns() + 1000000, 0), -ETIMEDOUT);
	CHECK(rig_read32(b.data, 0) != 0x11);
	rig_fence_done(in);
	rig_wait(out);
	CHECK_EQ(rig_read32(b.data, 0), 0x11);
	bench_fini(&b);
}

/* A12: an exec behind a bind behind an exec, pipelined by fences alone. */
static void test_A12_bind_and_exec_are_pipelined(void)
{
	struct bench b;
	struct fence *in, *bound, *done, *gone;
	struct bo *bo;

	bench_init(&b, SCHEDULE_NORMAL, 0);
	bo = rig_bo(b.device, SZ_64K, MEM_VRAM);
	in = rig_fence(b.device);
	bound = rig_bind_async(b.vm, NULL, rig_map(bo, SZ_1G, 0, SZ_64K), in);
	CHECK_OK(rig_exec(b.queue, store_batch(&b, 0, SZ_1G, 0x22), bound, &done));
	gone = rig_bind_async(b.vm, NULL, rig_unmap(SZ_1G, SZ_64K), done);
	CHECK(!fence_is_signalled(gone));
	rig_fence_done(in);
	rig_wait(gone);
	CHECK_OK(fence_error(done));
	CHECK_EQ(rig_read32(bo, 0), 0x22);
	CHECK(!rig_mapped(b.vm, SZ_1G));
	fence_put(bound);
	fence_put(done);
	bo_put(bo);
	bench_fini(&b);
}

static void test_fault_bans_the_queue_and_spares_the_rest(void)
{
	struct bench b;
	struct exec_queue *other;
	struct fence *fault, *behind;

	bench_init(&b, SCHEDULE_NORMAL, 0);
	other = rig_queue(b.device, b.vm, RIG_RENDER);
	CHECK_OK(rig_exec(b.queue, store_batch(&b, 0, 0xdead0000, 1), NULL, &fault));
	if (rig_exec(b.queue, store_batch(&b, 1, DATA, 0x33), fault, &behind) == 0) {
		CHECK_OK(fence_wait(behind, PORT_FOREVER, 0));
		CHECK_ERR(fence_error(behind), -ECANCELED);
		fence_put(behind);
	}
	CHECK_OK(fence_wait(fault, PORT_FOREVER, 0));
	CHECK_ERR(fence_error(fault), -ECANCELED);
	fence_put(fault);
	CHECK_ERR(exec_queue_error(b.queue), -EIO);
	CHECK(rig_read32(b.data, 0) != 0x33);
	CHECK_ERR(rig_exec_wait(b.queue, BATCH), -ECANCELED);
	CHECK_OK(rig_exec_wait(other, store_batch(&b, 2, DATA, 0x44)));
	CHECK_EQ(rig_read32(b.data, 0), 0x44);
	rig_queue_done(other);
	bench_fini(&b);
}

static void test_scratch_vm_does_not_fault(void)
{
	struct bench b;

	bench_init(&b, SCHEDULE_NORMAL, VM_SCRATCH);
	CHECK_OK(rig_exec_wait(b.queue, store_batch(&b, 0, 0xdead0000, 1)));
	CHECK_OK(rig_bind(b.vm, rig_map(b.data, 0xdead0000, 0, SZ_64K)));
	CHECK_OK(rig_exec_wait(b.queue, store_batch(&b, 0, 0xdead0000, 0x55)));
	CHECK_EQ(rig_read32(b.data, 0), 0x55);
	bench_fini(&b);
}

static void test_unmapped_under_a_job_faults(void)
{
	struct bench b;
	struct fence *in, *done;

	bench_init(&b, SCHEDULE_NORMAL, 0);
	CHECK_OK(rig_exec_wait(b.queue, store_batch(&b, 0, DATA, 0x66)));
	in = rig_fence(b.device);
	CHECK_OK(rig_exec(b.queue, store_batch(&b, 1, DATA, 0x77), in, &done));
	/* UNMAP of a whole mapping waits for no job (P8). */
	CHECK_OK(rig_bind(b.vm, rig_unmap(DATA, SZ_64K)));
	rig_fence_done(in);
	CHECK_OK(fence_wait(done, PORT_FOREVER, 0));
	CHECK_ERR(fence_error(done), -ECANCELED);
	fence_put(done);
	CHECK_EQ(rig_read32(b.data, 0), 0x66);
	bench_fini(&b);
}

static void spinner_ends(enum device_schedule schedule)
{
	struct bench b;
	struct fence *done;

	bench_init(&b, schedule, 0);
	rig_write32(b.data, 0x100, 1);
	rig_batch_spin(b.batch, 0, BATCH, DATA + 0x100);
	CHECK_OK(rig_exec(b.queue, BATCH, NULL, &done));
	CHECK_ERR(fence_wait(done, port_now_ns() + 5000000, 0), -ETIMEDOUT);
	rig_write32(b.data, 0x100, 0);
	CHECK_OK(fence_wait(done, PORT_FOREVER, 0));
	CHECK_OK(fence_error(done));
	fence_put(done);
	bench_fini(&b);
}

static void test_spinner_ends_when_the_cpu_says_so(void)
{
	spinner_ends(SCHEDULE_NORMAL);
	spinner_ends(SCHEDULE_EAGER);
	spinner_ends(SCHEDULE_LAZY);
	spinner_ends(SCHEDULE_ADVERSARIAL);
}

/* Two queues share an engine: the second gets its turn while the first spins. */
static void test_spinner_shares_its_engine(void)
{
	struct bench b;
	struct exec_queue *other;
	struct fence *spin;

	bench_init(&b, SCHEDULE_NORMAL, 0);
	other = rig_queue(b.device, b.vm, RIG_RENDER);
	rig_write32(b.data, 0x100, 1);
	rig_batch_spin(b.batch, 0, BATCH, DATA + 0x100);
	CHECK_OK(rig_exec(b.queue, BATCH, NULL, &spin));
	CHECK_OK(rig_exec_wait(other, store_batch(&b, 2, DATA, 0x88)));
	CHECK(!fence_is_signalled(spin));
	rig_write32(b.data, 0x100, 0);
	rig_wait(spin);
	rig_queue_done(other);
	bench_fini(&b);
}

static void test_killed_queue_cancels_what_runs_and_waits(void)
{
	struct bench b;
	struct fence *spin, *never, *waits;

	bench_init(&b, SCHEDULE_NORMAL, 0);
	never = rig_fence(b.device);
	rig_write32(b.data, 0x100, 1);
	rig_batch_spin(b.batch, 0, BATCH, DATA + 0x100);
	CHECK_OK(rig_exec(b.queue, BATCH, NULL, &spin));
	CHECK_OK(rig_exec(b.queue, store_batch(&b, 2, DATA, 0x99), never, &waits));
	exec_queue_kill(b.queue);
	CHECK(fence_is_signalled(spin) && fence_is_signalled(waits));
	CHECK_ERR(fence_error(spin), -ECANCELED);
	CHECK_ERR(fence_error(waits), -ECANCELED);
	CHECK_ERR(rig_exec_wait(b.queue, BATCH), -ECANCELED);
	CHECK(rig_read32(b.data, 0) != 0x99);
	fence_put(spin);
	fence_put(waits);
	rig_fence_done(never);
	bench_fini(&b);
}

static void test_too_many_jobs_is_EAGAIN(void)
{
	struct bench b;
	struct fence *never, *out;
	unsigned n = 0;
	int ret;

	bench_init(&b, SCHEDULE_NORMAL, 0);
	never = rig_fence(b.device);
	store_batch(&b, 0, DATA, 1);
	while ((ret = rig_exec(b.queue, BATCH, never, &out)) == 0) {
		fence_put(out);
		n++;
	}
	CHECK_ERR(ret, -EAGAIN);
	CHECK_EQ(n, EXEC_MAX_JOBS);
	rig_fence_done(never);
	bench_fini(&b);
}

static void test_B20_exec_writes_its_user_fence_last(void)
{
	struct bench b;
	uint64_t batch;
	struct exec_args args;
	struct fence *out;

	bench_init(&b, SCHEDULE_NORMAL, VM_LR);
	batch = store_batch(&b, 0, DATA, 0xaa);
	args = (struct exec_args){
		.batches = &batch, .has_ufence = true, .ufence_addr = DATA + 8,
		.ufence_value = 0x1234567890,
	};
	CHECK_OK(exec_submit(b.queue, &args, &out));
	CHECK_EQ(out->kind, FENCE_LR);
	CHECK_OK(fence_wait(out, PORT_FOREVER, 0));
	CHECK_EQ(rig_read32(b.data, 0), 0xaa);
	CHECK_EQ(rig_read32(b.data, 8), 0x34567890);
	CHECK_EQ(rig_read32(b.data, 12), 0x12);
	fence_put(out);
	bench_fini(&b);
}

static void test_A15_bind_with_unsignalled_user_fence_is_busy(void)
{
	struct bench b;
	uint64_t word = 0;
	struct ufence *ufence;
	struct bind_op op, unmap = rig_unmap(SZ_1G, SZ_4K);
	struct bind_args args = { .ops = &op, .op_count = 1 };
	struct fence *in, *out, *none;

	bench_init(&b, SCHEDULE_NORMAL, 0);
	in = rig_fence(b.device);
	ufence = ufence_create(&b.device->sync, (uint64_t)(uintptr_t)&word, 7);
	CHECK(ufence);
	op = rig_map(b.data, SZ_1G, 0, SZ_64K);
	args.ufence = ufence;
	args.in_fences = &in;
	args.in_count = 1;
	CHECK_OK(vm_bind(b.vm, &args, &out));
	CHECK_ERR(rig_bind_list(b.vm, NULL, &unmap, 1, NULL, &none), -EBUSY);
	rig_fence_done(in);
	rig_wait(out);
	while (!ufence_is_signalled(ufence)) {
		device_help(b.device);
		port_relax();
	}
	CHECK_EQ(word, 7);
	CHECK_OK(rig_bind(b.vm, unmap));
	ufence_put(ufence);
	bench_fini(&b);
}

/* Bug class 8: one address for a whole queue of binds, and the last value is what stays. */
static void test_A15_user_fences_are_written_in_order(void)
{
	struct bench b;
	uint64_t word = 0, seen = 0, now;

	bench_init(&b, SCHEDULE_ADVERSARIAL, 0);
	for (unsigned i = 1; i <= 20; i++) {
		struct bind_op op = rig_map(b.data, SZ_1G + i * SZ_2M, 0, SZ_64K);
		struct bind_args args = {
			.ops = &op, .op_count = 1,
			.ufence = ufence_create(&b.device->sync, (uint64_t)(uintptr_t)&word, i),
		};
		struct fence *out;

		CHECK_OK(vm_bind(b.vm, &args, &out));
		ufence_put(args.ufence);
		fence_put(out);
	}
	while (seen < 20) {
		device_help(b.device);
		port_relax();
		now = __atomic_load_n(&word, __ATOMIC_ACQUIRE);
		CHECK(now >= seen);
		seen = now;
	}
	bench_fini(&b);
}

/* The operations of one list share their user fence and are not busy for one another. */
static void test_A15_a_list_may_change_what_it_maps(void)
{
	struct bench b;
	uint64_t word = 0;
	struct bind_op ops[3];
	struct bind_args args = { .ops = ops, .op_count = 3 };
	struct fence *out;

	bench_init(&b, SCHEDULE_NORMAL, 0);
	ops[0] = rig_map(b.data, SZ_1G, 0, SZ_64K);
	ops[1] = rig_unmap(SZ_1G, SZ_4K);
	ops[2] = (struct bind_op){ .kind = BIND_UNMAP_BO, .bo = b.data };
	args.ufence = ufence_create(&b.device->sync, (uint64_t)(uintptr_t)&word, 7);
	CHECK(args.ufence);
	CHECK_OK(vm_bind(b.vm, &args, &out));
	rig_wait(out);
	while (!ufence_is_signalled(args.ufence)) {
		device_help(b.device);
		port_relax();
	}
	CHECK_EQ(word, 7);
	ufence_put(args.ufence);
	bench_fini(&b);
}

static void wide_seed(uint64_t seed)
{
	struct bench b;
	uint8_t engines[2] = { RIG_COMPUTE0, RIG_COMPUTE1 };
	struct exec_queue_args qargs = { .width = 2, .placements = 1, .engines = engines };
	struct exec_queue *queue;
	uint64_t batch[2];
	struct exec_args args = { .batches = batch };
	struct fence *out;

	bench_init(&b, SCHEDULE_NORMAL, 0);
	qargs.vm = b.vm;
	CHECK_OK(exec_queue_create(b.device, &qargs, &queue));
	batch[0] = store_batch(&b, 0, DATA, 0xb0);
	batch[1] = store_batch(&b, 1, DATA + 4, 0xb1);
	CHECK_OK(exec_submit(queue, &args, &out));
	rig_wait(out);
	CHECK_EQ(rig_read32(b.data, 0), 0xb0);
	CHECK_EQ(rig_read32(b.data, 4), 0xb1);
	rig_queue_done(queue); /* another unit may just be leaving its engine */
	bench_fini(&b);
}

static void test_wide_queue_runs_all_its_batches(void)
{
	test_seeds(wide_seed, 1, test_scale(300));
}

/* ---- client memory -------------------------------------------------------------------------- */

#define USER SZ_1G

static struct bind_op map_user(void *addr, uint64_t size_B)
{
	return (struct bind_op){
		.kind = BIND_MAP_USERPTR, .addr = USER, .range = size_B,
		.offset = (uint64_t)(uintptr_t)addr,
	};
}

static void test_B08_client_memory_is_bound_and_written(void)
{
	struct bench b;
	uint32_t *mem = port_reserve(SZ_64K);

	bench_init(&b, SCHEDULE_NORMAL, 0);
	CHECK_OK(rig_bind(b.vm, map_user(mem, SZ_64K)));
	CHECK_OK(rig_exec_wait(b.queue, store_batch(&b, 0, USER + SZ_4K, 0xcc)));
	CHECK_EQ(mem[1024], 0xcc);
	CHECK_OK(rig_bind(b.vm, rig_unmap(USER, SZ_4K)));
	CHECK_OK(rig_exec_wait(b.queue, store_batch(&b, 0, USER + SZ_4K, 0xcd)));
	CHECK_EQ(mem[1024], 0xcd);
	CHECK_ERR(rig_exec_wait(b.queue, store_batch(&b, 0, USER, 1)), -ECANCELED);
	bench_fini(&b);
	port_unreserve(mem, SZ_64K);
}

static void test_bind_of_missing_client_memory_is_EFAULT(void)
{
	struct bench b;
	uint32_t *mem = port_reserve(SZ_64K);
	struct bind_op op;
	struct fence *out;

	bench_init(&b, SCHEDULE_NORMAL, 0);
	port_unreserve(mem, SZ_64K);
	op = map_user(mem, SZ_64K);
	CHECK_ERR(rig_bind_list(b.vm, NULL, &op, 1, NULL, &out), -EFAULT);
	CHECK_EQ(b.vm->index.count, 2);
	bench_fini(&b);
}

/* L07: what was dropped and is there again is used again; what is gone faults only when used. */
static void test_L07_invalidated_client_memory(void)
{
	struct bench b;
	uint32_t *mem = port_reserve(SZ_64K);
	struct exec_queue *other;

	bench_init(&b, SCHEDULE_NORMAL, 0);
	other = rig_queue(b.device, b.vm, RIG_COPY);
	CHECK_OK(rig_bind(b.vm, map_user(mem, SZ_64K)));
	CHECK_OK(rig_exec_wait(b.queue, store_batch(&b, 0, USER, 0xd0)));
	rig_client_drops(b.device, (uint64_t)(uintptr_t)mem, SZ_4K);
	CHECK_OK(rig_exec_wait(b.queue, store_batch(&b, 0, USER, 0xd1)));
	CHECK_EQ(mem[0], 0xd1);
	rig_client_drops(b.device, (uint64_t)(uintptr_t)mem, SZ_64K);
	port_unreserve(mem, SZ_64K);
	/* Not used: no error. */
	CHECK_OK(rig_exec_wait(b.queue, store_batch(&b, 0, DATA, 0xd2)));
	CHECK_EQ(rig_read32(b.data, 0), 0xd2);
	CHECK_ERR(rig_exec_wait(b.queue, store_batch(&b, 0, USER, 0xd3)), -ECANCELED);
	CHECK_OK(rig_exec_wait(other, store_batch(&b, 0, DATA, 0xd4)));
	CHECK(!vm_is_banned(b.vm));
	rig_queue_done(other);
	bench_fini(&b);
}

/* Two submit at once after memory was away: neither runs before it can be reached again (L08). */
struct submitter {
	struct exec_queue *queue;
	uint64_t batch;
	int ret;
};

static void submit_and_wait(void *p)
{
	struct submitter *s = p;

	s->ret = rig_exec_wait(s->queue, s->batch);
}

static void two_submitters(uint64_t seed)
{
	struct bench b;
	uint32_t *mem = port_reserve(SZ_64K);
	struct submitter one, two;
	struct port_thread *thread;

	bench_init(&b, SCHEDULE_NORMAL, 0);
	one = (struct submitter){ .queue = rig_queue(b.device, b.vm, RIG_COPY) };
	two = (struct submitter){ .queue = b.queue };
	CHECK_OK(rig_bind(b.vm, map_user(mem, SZ_64K)));
	one.batch = store_batch(&b, 0, USER, (uint32_t)seed);
	two.batch = store_batch(&b, 1, USER + SZ_4K, (uint32_t)seed);
	rig_client_drops(b.device, (uint64_t)(uintptr_t)mem, SZ_4K);
	CHECK_OK(port_thread_create(&thread, "submitter", submit_and_wait, &one));
	submit_and_wait(&two);
	port_thread_join(thread);
	CHECK_OK(one.ret);
	CHECK_OK(two.ret);
	CHECK_EQ(mem[0], (uint32_t)seed);
	CHECK_EQ(mem[SZ_4K / 4], (uint32_t)seed);
	rig_queue_done(one.queue);
	bench_fini(&b);
	port_unreserve(mem, SZ_64K);
}

static void test_L08_two_submitters_find_the_memory_again(void)
{
	test_seeds(two_submitters, 1, test_is_sim() ? 200 : 20);
}

/* Invalidation waits for the jobs that were published before it (L07). */
struct gone_arg {
	struct bench *b;
	void *mem;
	atomic_bool returned;
};

static void drop_memory(void *p)
{
	struct gone_arg *arg = p;

	rig_client_drops(arg->b->device, (uint64_t)(uintptr_t)arg->mem, SZ_64K);
	atomic_store(&arg->returned, true);
}

static void test_L07_invalidation_waits_for_running_jobs(void)
{
	struct bench b;
	struct gone_arg arg = { .b = &b, .mem = port_reserve(SZ_64K) };
	struct port_thread *thread;
	struct fence *spin;
	uint64_t until;

	bench_init(&b, SCHEDULE_NORMAL, 0);
	CHECK_OK(rig_bind(b.vm, map_user(arg.mem, SZ_64K)));
	rig_write32(b.data, 0x100, 1);
	rig_batch_spin(b.batch, 0, BATCH, DATA + 0x100);
	CHECK_OK(rig_exec(b.queue, BATCH, NULL, &spin));
	CHECK_OK(port_thread_create(&thread, "drop", drop_memory, &arg));
	until = port_now_ns() + 3000000;
	while (port_now_ns() < until) {
		CHECK(!atomic_load(&arg.returned));
		port_relax();
	}
	rig_write32(b.data, 0x100, 0);
	rig_wait(spin);
	port_thread_join(thread);
	CHECK(atomic_load(&arg.returned));
	bench_fini(&b);
	port_unreserve(arg.mem, SZ_64K);
}

/* A job that was published before the memory goes still reaches it. */
static void test_L07_jobs_use_memory_until_it_goes(void)
{
	struct bench b;
	struct gone_arg arg = { .b = &b, .mem = port_reserve(SZ_64K) };
	struct port_thread *thread;
	struct fence *in, *out;
	uint64_t until;

	bench_init(&b, SCHEDULE_NORMAL, 0);
	in = rig_fence(b.device);
	CHECK_OK(rig_bind(b.vm, map_user(arg.mem, SZ_64K)));
	CHECK_OK(rig_exec(b.queue, store_batch(&b, 0, USER, 0x78), in, &out));
	CHECK_OK(port_thread_create(&thread, "drop", drop_memory, &arg));
	until = port_now_ns() + 1000000;
	while (port_now_ns() < until) {
		port_relax();
	}
	rig_fence_done(in);
	CHECK_OK(fence_wait(out, PORT_FOREVER, 0));
	CHECK_OK(fence_error(out));
	fence_put(out);
	port_thread_join(thread);
	CHECK_EQ(*(volatile uint32_t *)arg.mem, 0x78);
	bench_fini(&b);
	port_unreserve(arg.mem, SZ_64K);
}

/* While the memory is going - until the real call is through - nobody pins it again (P6). */
static void submit_one(void *p)
{
	struct gone_arg *arg = p;

	CHECK_OK(rig_exec_wait(arg->b->queue, BATCH));
	atomic_store(&arg->returned, true);
}

static void test_L07_nothing_is_pinned_while_memory_goes(void)
{
	struct bench b;
	struct gone_arg arg = { .b = &b, .mem = port_reserve(SZ_64K) };
	struct mem_client_range range;
	struct port_thread *thread;
	uint64_t until;

	bench_init(&b, SCHEDULE_NORMAL, 0);
	CHECK_OK(rig_bind(b.vm, map_user(arg.mem, SZ_64K)));
	store_batch(&b, 0, USER, 0x77);
	mem_client_range_begin(&b.device->mem, &range, (uint64_t)(uintptr_t)arg.mem, SZ_4K);
	CHECK_OK(port_thread_create(&thread, "submit", submit_one, &arg));
	until = port_now_ns() + 3000000;
	while (port_now_ns() < until) {
		CHECK(!atomic_load(&arg.returned));
		port_relax();
	}
	port_reserve_discard(arg.mem, SZ_64K);
	mem_client_range_end(&b.device->mem, &range);
	port_thread_join(thread);
	CHECK_EQ(*(volatile uint32_t *)arg.mem, 0x77);
	bench_fini(&b);
	port_unreserve(arg.mem, SZ_64K);
}

/* Unmapped is unmapped: no access through an old translation once the out-fence has signalled. */
struct hammer {
	struct bench *b;
	struct bo *bo;
	atomic_bool stop;
};

static void hammer_binds(void *p)
{
	struct hammer *h = p;

	while (!atomic_load(&h->stop)) {
		CHECK_OK(rig_bind(h->b->vm, rig_map(h->bo, SZ_1G, 0, SZ_64K)));
		CHECK_OK(rig_bind(h->b->vm, rig_unmap(SZ_1G, SZ_64K)));
		rig_write32(h->bo, 0, 0);
		for (unsigned i = 0; i < 20; i++) {
			port_relax();
			CHECK_EQ(rig_read32(h->bo, 0), 0);
		}
	}
}

static void test_R10_nothing_is_written_after_unmap(void)
{
	struct bench b;
	struct hammer h = { .b = &b };
	struct port_thread *thread;

	bench_init(&b, SCHEDULE_NORMAL, VM_SCRATCH);
	h.bo = rig_bo(b.device, SZ_64K, MEM_VRAM);
	store_batch(&b, 0, SZ_1G, 0xee);
	CHECK_OK(port_thread_create(&thread, "hammer", hammer_binds, &h));
	for (unsigned i = 0; i < test_scale(500); i++) {
		CHECK_OK(rig_exec_wait(b.queue, BATCH));
	}
	atomic_store(&h.stop, true);
	port_thread_join(thread);
	bo_put(h.bo);
	bench_fini(&b);
}

/*
 * A table that is replaced while a neighbour's access walks through it: a compact one becomes one
 * of
 * 4 KiB entries and back, over and over, and the neighbour's stores always arrive.
 */
static void reshape_beside(void *p)
{
	struct hammer *h = p;

	while (!atomic_load(&h->stop)) {
		CHECK_OK(rig_bind(h->b->vm, rig_map(h->bo, SZ_1G, SZ_64K, SZ_2M)));
		CHECK_OK(rig_bind(h->b->vm, rig_unmap(SZ_1G, SZ_64K)));
		CHECK_OK(rig_bind(h->b->vm, rig_map(h->b->data, SZ_1G, 0, SZ_4K)));
	}
}

static void test_R10_neighbours_survive_a_reshaped_table(void)
{
	struct bench b;
	struct hammer h = { .b = &b };
	struct port_thread *thread;

	bench_init(&b, SCHEDULE_NORMAL, 0);
	h.bo = rig_bo(b.device, 2 * SZ_2M, MEM_VRAM);
	CHECK_OK(rig_bind(b.vm, rig_map(h.bo, SZ_1G, SZ_64K, SZ_2M)));
	CHECK_OK(port_thread_create(&thread, "reshape", reshape_beside, &h));
	for (unsigned i = 1; i <= test_scale(500); i++) {
		CHECK_OK(rig_exec_wait(b.queue, store_batch(&b, 0, SZ_1G + SZ_2M / 2, i)));
		CHECK_EQ(rig_read32(h.bo, SZ_64K + SZ_2M / 2), i);
	}
	atomic_store(&h.stop, true);
	port_thread_join(thread);
	bo_put(h.bo);
	bench_fini(&b);
}

static const struct test_case cases[] = {
	TEST(test_jobs_of_a_queue_run_in_order),
	TEST(test_A07_exec_waits_for_its_in_fence),
	TEST(test_A12_bind_and_exec_are_pipelined),
	TEST(test_fault_bans_the_queue_and_spares_the_rest),
	TEST(test_scratch_vm_does_not_fault),
	TEST(test_unmapped_under_a_job_faults),
	TEST(test_spinner_ends_when_the_cpu_says_so),
	TEST(test_spinner_shares_its_engine),
	TEST(test_killed_queue_cancels_what_runs_and_waits),
	TEST(test_too_many_jobs_is_EAGAIN),
	TEST(test_B20_exec_writes_its_user_fence_last),
	TEST(test_A15_bind_with_unsignalled_user_fence_is_busy),
	TEST(test_A15_user_fences_are_written_in_order),
	TEST(test_A15_a_list_may_change_what_it_maps),
	TEST(test_wide_queue_runs_all_its_batches),
	TEST(test_B08_client_memory_is_bound_and_written),
	TEST(test_bind_of_missing_client_memory_is_EFAULT),
	TEST(test_L07_invalidated_client_memory),
	TEST(test_L08_two_submitters_find_the_memory_again),
	TEST(test_L07_invalidation_waits_for_running_jobs),
	TEST(test_L07_nothing_is_pinned_while_memory_goes),
	TEST(test_L07_jobs_use_memory_until_it_goes),
	TEST(test_R10_nothing_is_written_after_unmap),
	TEST(test_R10_neighbours_survive_a_reshaped_table),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
