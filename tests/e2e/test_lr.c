// SPDX-License-Identifier: MIT
/* Long-running work: suspended when somebody waits for that, resumed where it was (B19). */
#include "rig.h"

#define BATCH 0x100000
#define DATA 0x800000
#define USER SZ_1G
#define USER_B SZ_64K
#define COUNT(unit) (64u * (unit)) /* in the data: how often its loop has gone round */
#define SPIN_FLAG 0x800            /* in the data: a spinner ends when it is 0 */

static const enum device_schedule schedules[] = {
	SCHEDULE_NORMAL, SCHEDULE_EAGER, SCHEDULE_LAZY, SCHEDULE_ADVERSARIAL,
};

/* What has happened to the device's queues. */
#define QUEUES 8

struct watch {
	struct event_reader reader;
	atomic_uint resumes[QUEUES], suspends[QUEUES]; /* by queue id */
};

static void watch_read(struct event_reader *reader, const struct event *event)
{
	struct watch *watch = container_of(reader, struct watch, reader);

	if (event->type == EVENT_QUEUE_RESUME) {
		atomic_fetch_add(&watch->resumes[event->arg[0]], 1);
	} else if (event->type == EVENT_QUEUE_SUSPEND) {
		atomic_fetch_add(&watch->suspends[event->arg[0]], 1);
	}
}

/* A long-running VM with client memory. */
struct space {
	struct vm *vm;
	struct bo *batch, *data;
	struct exec_queue *queue;
	uint32_t *user; /* the first dword: loops go on while it is not 0 */
};

struct bench {
	struct device *device;
	struct watch watch;
	struct space one;
};

static void space_init(struct space *s, struct device *device, unsigned engine, uint64_t user_B)
{
	s->vm = rig_vm(device, VM_LR);
	s->batch = rig_bo(device, SZ_2M, MEM_SYSTEM);
	s->data = rig_bo(device, SZ_64K, MEM_VRAM);
	s->queue = rig_queue(device, s->vm, engine);
	s->user = port_reserve(user_B);
	CHECK(s->user);
	memset(bo_host(s->data), 0, SZ_4K);
	CHECK_OK(rig_bind(s->vm, rig_map(s->batch, BATCH, 0, SZ_2M)));
	CHECK_OK(rig_bind(s->vm, rig_map(s->data, DATA, 0, SZ_64K)));
	CHECK_OK(rig_bind(s->vm, rig_map_user(s->user, USER, user_B)));
}

static void space_fini(struct space *s, uint64_t user_B)
{
	if (s->queue) {
		rig_queue_done(s->queue);
	}
	rig_vm_done(s->vm);
	bo_put(s->batch);
	bo_put(s->data);
	port_unreserve(s->user, user_B);
}

static void bench_init_with(struct bench *b, enum device_schedule schedule, enum vm_tlb_rule rule)
{
	memset(b, 0, sizeof(*b));
	b->device = rig_device_with(schedule, rule);
	b->watch.reader.read = watch_read;
	event_attach(&b->device->events, &b->watch.reader);
	space_init(&b->one, b->device, RIG_RENDER, USER_B);
}

static void bench_init(struct bench *b, enum device_schedule schedule)
{
	bench_init_with(b, schedule, VM_TLB_AT_UNBIND);
}

static void bench_fini(struct bench *b)
{
	space_fini(&b->one, USER_B);
	event_detach(&b->device->events, &b->watch.reader);
	device_destroy(b->device);
}

static unsigned resumes(struct bench *b, const struct space *s)
{
	return atomic_load(&b->watch.resumes[exec_queue_id(s->queue)]);
}

static unsigned suspends(struct bench *b, const struct space *s)
{
	return atomic_load(&b->watch.suspends[exec_queue_id(s->queue)]);
}

static void nap(void)
{
	rig_nap(100000);
}

static void set_flag(struct space *s, uint32_t value)
{
	__atomic_store_n(s->user, value, __ATOMIC_RELEASE);
}

/* A batch that counts its rounds until the client's flag is 0; its GPU address. */
static uint64_t loop_batch(struct space *s, unsigned unit)
{
	uint64_t addr = BATCH + unit * SZ_4K;
	uint32_t *cs = (uint32_t *)((char *)bo_host(s->batch) + unit * SZ_4K);

	cs[0] = 0x2fu << 23 | 5u << 8 | 1; /* MI_ATOMIC, increment */
	cs[1] = DATA + COUNT(unit);
	cs[2] = 0;
	rig_batch_spin(s->batch, unit * SZ_4K + 12, addr, USER);
	set_flag(s, 1);
	return addr;
}

static void wait_for_rounds(struct space *s, unsigned unit)
{
	uint32_t before = rig_read32(s->data, COUNT(unit));

	while (rig_read32(s->data, COUNT(unit)) == before) {
		nap();
	}
}

/* Nothing of it is on an engine. */
static void check_still(struct space *s, unsigned unit)
{
	uint32_t before = rig_read32(s->data, COUNT(unit));

	for (unsigned i = 0; i < 10; i++) {
		nap();
		CHECK_EQ(rig_read32(s->data, COUNT(unit)), before);
	}
}

static void range_begin(struct bench *b, struct mem_client_range *range, struct space *s)
{
	mem_client_range_begin(&b->device->mem, range, (uint64_t)(uintptr_t)s->user, SZ_4K);
}

static void range_end(struct bench *b, struct mem_client_range *range)
{
	mem_client_range_end(&b->device->mem, range);
}

static void drop(struct bench *b, struct space *s)
{
	rig_client_drops(b->device, (uint64_t)(uintptr_t)s->user, SZ_4K);
}

/* Has come to its end without an error. */
static void end_loop(struct space *s, struct fence *fence)
{
	CHECK(!fence_is_signalled(fence));
	set_flag(s, 0);
	CHECK_OK(fence_wait(fence, PORT_FOREVER, 0));
	CHECK_OK(fence_error(fence));
	CHECK_OK(exec_queue_error(s->queue));
	fence_put(fence);
}

/* ---- suspending ------------------------------------------------------------------------------ */

static void waiter_suspends(uint64_t seed)
{
	struct mem_client_range range;
	struct fence *fence;
	struct bench b;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	CHECK_OK(rig_exec(b.one.queue, loop_batch(&b.one, 0), NULL, &fence));
	for (unsigned i = 1; i <= 3; i++) {
		wait_for_rounds(&b.one, 0);
		range_begin(&b, &range, &b.one);
		CHECK_EQ(suspends(&b, &b.one), i);
		port_reserve_discard(b.one.user, USER_B);
		check_still(&b.one, 0);
		set_flag(&b.one, 1);
		range_end(&b, &range);
	}
	wait_for_rounds(&b.one, 0);
	end_loop(&b.one, fence);
	CHECK_EQ(suspends(&b, &b.one), 3);
	bench_fini(&b);
}

static void test_B19_a_waiter_suspends_long_running_work(void)
{
	test_seeds(waiter_suspends, 1, test_scale(40));
}

static void wide_work_is_suspended(uint64_t seed)
{
	const uint8_t engines[] = { RIG_COMPUTE0, RIG_COMPUTE1 };
	struct exec_queue_args args = { .width = 2, .placements = 1, .engines = engines };
	struct mem_client_range range;
	struct exec_args exec;
	struct fence *fence;
	uint64_t batch[2];
	struct bench b;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	rig_queue_done(b.one.queue);
	args.vm = b.one.vm;
	CHECK_OK(exec_queue_create(b.device, &args, &b.one.queue));
	batch[0] = loop_batch(&b.one, 0);
	batch[1] = loop_batch(&b.one, 1);
	exec = (struct exec_args){ .batches = batch };
	CHECK_OK(exec_submit(b.one.queue, &exec, &fence));
	for (unsigned i = 1; i <= 3; i++) {
		wait_for_rounds(&b.one, 0);
		wait_for_rounds(&b.one, 1);
		range_begin(&b, &range, &b.one);
		CHECK_EQ(suspends(&b, &b.one), i);
		check_still(&b.one, 0);
		check_still(&b.one, 1);
		range_end(&b, &range);
	}
	end_loop(&b.one, fence);
	bench_fini(&b);
}

static void test_B19_all_units_of_a_wide_queue_are_suspended(void)
{
	test_seeds(wide_work_is_suspended, 1, test_scale(40));
}

/* What is bound has to come to VRAM first: the running work must not use it before. */
static void late_mapping(uint64_t seed)
{
	struct fence *fence;
	struct bo *hog, *bo;
	struct bench b;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	CHECK_OK(bo_create(&b.device->mem, b.device->mem.region[MEM_VRAM].size_B - SZ_64K,
			   BIT(MEM_VRAM), &hog));
	CHECK_OK(bo_back(hog));
	bo = rig_bo(b.device, SZ_64K, MEM_VRAM);
	CHECK_OK(rig_exec(b.one.queue, loop_batch(&b.one, 0), NULL, &fence));
	wait_for_rounds(&b.one, 0);
	CHECK_OK(rig_bind(b.one.vm, rig_map(bo, 2 * SZ_1G, 0, SZ_64K)));
	CHECK_EQ(suspends(&b, &b.one), 1);
	wait_for_rounds(&b.one, 0);
	CHECK(bo->place->region->device && !hog->place->region->device);
	CHECK_OK(rig_bind(b.one.vm, rig_unmap(2 * SZ_1G, SZ_64K)));
	CHECK_EQ(suspends(&b, &b.one), 1);
	end_loop(&b.one, fence);
	bo_put(hog);
	bo_put(bo);
	bench_fini(&b);
}

static void test_B19_a_mapping_that_is_not_usable_yet_suspends(void)
{
	test_seeds(late_mapping, 1, test_scale(40));
}

/* Binds, submissions elsewhere, and looks at fences are no reason. */
static void test_B19_nobody_waits_nothing_is_suspended(void)
{
	struct fence *fence, *users;
	struct exec_queue *queue;
	struct bench b;
	struct bo *bo;
	struct vm *vm;

	bench_init(&b, SCHEDULE_NORMAL);
	vm = rig_vm(b.device, 0);
	queue = rig_queue(b.device, vm, RIG_RENDER);
	bo = rig_bo(b.device, SZ_64K, MEM_SYSTEM);
	rig_batch_stores(bo, 0, NULL, NULL, 0);
	CHECK_OK(rig_bind(vm, rig_map(bo, BATCH, 0, SZ_64K)));
	CHECK_OK(rig_exec(b.one.queue, loop_batch(&b.one, 0), NULL, &fence));
	wait_for_rounds(&b.one, 0);
	users = vm_bo_users(b.one.data);
	for (unsigned i = 0; i < 20; i++) {
		CHECK_OK(rig_bind(b.one.vm, rig_map(bo, 2 * SZ_1G, 0, SZ_64K)));
		CHECK_OK(rig_bind(b.one.vm, rig_unmap(2 * SZ_1G, SZ_64K)));
		CHECK_OK(rig_exec_wait(queue, BATCH));
		CHECK(!fence_is_signalled(users));
		wait_for_rounds(&b.one, 0);
	}
	CHECK(resumes(&b, &b.one) == 1 && suspends(&b, &b.one) == 0);
	end_loop(&b.one, fence);
	/* Nor does it leave when it is done. */
	CHECK_OK(rig_exec(b.one.queue, loop_batch(&b.one, 0), NULL, &fence));
	end_loop(&b.one, fence);
	CHECK(resumes(&b, &b.one) == 1 && suspends(&b, &b.one) == 0);
	CHECK(!fence_is_signalled(users));
	rig_wait(users);
	CHECK_EQ(suspends(&b, &b.one), 1);
	rig_queue_done(queue);
	rig_vm_done(vm);
	bo_put(bo);
	bench_fini(&b);
}

/* ---- going on -------------------------------------------------------------------------------- */

/* One command of several steps, then steps of many commands. */
#define COPY_B ((uint64_t)12 << 20)
#define COPY_DWORDS 32768u
#define COPIED_B (COPY_B + COPY_DWORDS * 4)
#define COPIED_TO (4 * SZ_1G)

/* A 32-bit pattern without a period that a copy could slip by. */
static uint32_t pattern(uint64_t i, uint64_t seed)
{
	return (uint32_t)((i + seed) * 2654435761u);
}

static uint64_t copy_batch(struct space *s)
{
	uint32_t *cs = bo_host(s->batch);

	memset(cs, 0, 40);
	cs[0] = 2u << 29 | 0x5au << 22 | 8; /* MEM_COPY, linear */
	cs[1] = (uint32_t)COPY_B - 1;
	cs[5] = (uint32_t)USER;
	cs[6] = (uint32_t)(USER >> 32);
	cs[7] = (uint32_t)COPIED_TO;
	cs[8] = (uint32_t)(COPIED_TO >> 32);
	cs += 10;
	for (uint64_t off = COPY_B; off < COPIED_B; off += 4, cs += 5) {
		uint64_t from = USER + off, to = COPIED_TO + off;

		cs[0] = 0x2eu << 23 | 3; /* MI_COPY_MEM_MEM */
		cs[1] = (uint32_t)to;
		cs[2] = (uint32_t)(to >> 32);
		cs[3] = (uint32_t)from;
		cs[4] = (uint32_t)(from >> 32);
	}
	cs[0] = 0x0au << 23; /* MI_BATCH_BUFFER_END */
	return BATCH;
}

static void copy_is_interrupted(uint64_t seed)
{
	struct space s = { 0 };
	struct fence *fence;
	const uint32_t *got;
	uint64_t wrong = 0;
	unsigned seen = 0;
	struct bench b;
	struct bo *to;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	space_init(&s, b.device, RIG_COPY, COPIED_B);
	to = rig_bo(b.device, COPIED_B, MEM_VRAM);
	CHECK_OK(rig_bind(s.vm, rig_map(to, COPIED_TO, 0, COPIED_B)));
	for (uint64_t i = 0; i < COPIED_B / 4; i++) {
		s.user[i] = pattern(i, seed);
	}
	CHECK_OK(rig_exec(s.queue, copy_batch(&s), NULL, &fence));
	while (!fence_is_signalled(fence)) {
		if (resumes(&b, &s) != seen) {
			seen = resumes(&b, &s);
			drop(&b, &s);
		}
		port_relax();
	}
	CHECK_OK(fence_error(fence));
	fence_put(fence);
	/* With real threads it depends on who has a core. */
	CHECK(!test_is_sim() || suspends(&b, &s) >= 3);
	got = bo_host(to);
	for (uint64_t i = 0; i < COPIED_B / 4; i++) {
		wrong += got[i] != pattern(i, seed);
	}
	CHECK_EQ(wrong, 0);
	space_fini(&s, COPIED_B);
	bo_put(to);
	bench_fini(&b);
}

static void test_B19_suspended_work_resumes_where_it_was(void)
{
	test_seeds(copy_is_interrupted, 1, test_scale(20));
}

/*
 * Its loop counts in one object; another one is mapped there. Where binds drop no translations the
 * engine keeps one that leads to the first, but not beyond a resume.
 */
static void mapped_anew(uint64_t seed)
{
	struct mem_client_range range;
	uint32_t old_count, new_count;
	struct fence *fence;
	struct bench b;
	struct bo *bo;

	bench_init_with(&b, schedules[seed % ARRAY_LEN(schedules)],
			seed & 4 ? VM_TLB_AT_UNBIND : VM_TLB_AT_SUBMIT);
	bo = rig_bo(b.device, SZ_64K, MEM_VRAM);
	CHECK_OK(rig_exec(b.one.queue, loop_batch(&b.one, 0), NULL, &fence));
	wait_for_rounds(&b.one, 0);
	CHECK_OK(rig_bind(b.one.vm, rig_map(bo, DATA, 0, SZ_64K)));
	CHECK_EQ(suspends(&b, &b.one), 0);
	range_begin(&b, &range, &b.one);
	CHECK_EQ(suspends(&b, &b.one), 1);
	old_count = rig_read32(b.one.data, COUNT(0));
	new_count = rig_read32(bo, COUNT(0));
	range_end(&b, &range);
	while (rig_read32(bo, COUNT(0)) == new_count &&
	       rig_read32(b.one.data, COUNT(0)) == old_count) {
		nap();
	}
	CHECK_EQ(rig_read32(b.one.data, COUNT(0)), old_count);
	end_loop(&b.one, fence);
	bo_put(bo);
	bench_fini(&b);
}

static void test_B09_suspended_work_resumes_with_what_is_mapped_then(void)
{
	test_seeds(mapped_anew, 1, test_scale(40));
}

/* So many steps of an engine, of stores to the client's memory. */
#define STEPS 20
#define STEP_COMMANDS 4096

static uint64_t stores_batch(struct space *s)
{
	static uint64_t addrs[STEPS * STEP_COMMANDS];
	static uint32_t values[STEPS * STEP_COMMANDS];

	for (unsigned i = 0; i < ARRAY_LEN(addrs); i++) {
		addrs[i] = USER + i % (USER_B / 4) * 4;
		values[i] = i;
	}
	rig_batch_stores(s->batch, 0, addrs, values, ARRAY_LEN(addrs));
	return BATCH;
}

struct thrash {
	struct bench *b;
	struct space *s;
	struct fence *fence;
	struct port_thread *thread;
};

static void thrash_run(void *arg)
{
	struct thrash *t = arg;

	while (!fence_is_signalled(t->fence)) {
		drop(t->b, t->s);
	}
}

/* Each suspension has let the work do at least a step. */
static void two_progress(uint64_t seed)
{
	struct thrash thrash[2];
	struct space other;
	struct bench b;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	space_init(&other, b.device, seed & 4 ? RIG_RENDER : RIG_COPY, USER_B);
	for (unsigned i = 0; i < 2; i++) {
		struct thrash *t = &thrash[i];

		*t = (struct thrash){ .b = &b, .s = i ? &other : &b.one };
		CHECK_OK(rig_exec(t->s->queue, stores_batch(t->s), NULL, &t->fence));
		CHECK_OK(port_thread_create(&t->thread, "thrash", thrash_run, t));
	}
	for (unsigned i = 0; i < 2; i++) {
		struct thrash *t = &thrash[i];

		port_thread_join(t->thread);
		CHECK_OK(fence_error(t->fence));
		CHECK_EQ(t->s->user[0], (STEPS * STEP_COMMANDS - 1) / (USER_B / 4) * (USER_B / 4));
		CHECK(suspends(&b, t->s) <= STEPS + 1);
		fence_put(t->fence);
	}
	space_fini(&other, USER_B);
	bench_fini(&b);
}

static void test_B19_two_spaces_that_suspend_each_other_progress(void)
{
	test_seeds(two_progress, 1, test_scale(100));
}

/* One worker may have to wait for a client's memory; the other does not join it. */
static void worker_is_left(uint64_t seed)
{
	struct mem_client_range range[2];
	struct exec_queue *queue;
	struct fence *loop[2], *spin;
	struct space other;
	struct bench b;
	struct vm *vm;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	space_init(&other, b.device, RIG_COPY, USER_B);
	vm = rig_vm(b.device, 0);
	queue = rig_queue(b.device, vm, RIG_COMPUTE0);
	CHECK_OK(rig_bind(vm, rig_map(other.batch, BATCH, 0, SZ_2M)));
	CHECK_OK(rig_bind(vm, rig_map(other.data, DATA, 0, SZ_64K)));
	CHECK_OK(rig_exec(b.one.queue, loop_batch(&b.one, 0), NULL, &loop[0]));
	CHECK_OK(rig_exec(other.queue, loop_batch(&other, 0), NULL, &loop[1]));
	wait_for_rounds(&b.one, 0);
	wait_for_rounds(&other, 0);
	rig_write32(other.data, SPIN_FLAG, 1);
	rig_batch_spin(other.batch, SZ_64K, BATCH + SZ_64K, DATA + SPIN_FLAG);
	CHECK_OK(rig_exec(queue, BATCH + SZ_64K, NULL, &spin));
	range_begin(&b, &range[0], &b.one);
	range_begin(&b, &range[1], &other);
	for (unsigned i = 0; i < 10; i++) {
		nap(); /* both are to be resumed now */
	}
	rig_write32(other.data, SPIN_FLAG, 0);
	rig_wait(spin);
	range_end(&b, &range[0]);
	range_end(&b, &range[1]);
	end_loop(&b.one, loop[0]);
	end_loop(&other, loop[1]);
	rig_queue_done(queue);
	rig_vm_done(vm);
	space_fini(&other, USER_B);
	bench_fini(&b);
}

static void test_B19_a_resume_that_waits_leaves_a_worker(void)
{
	test_seeds(worker_is_left, 1, test_scale(20));
}

/* All of VRAM. */
#define CROWDED ((uint64_t)256 << 10)

struct clearing {
	struct bo *bo;
	struct port_thread *thread;
};

static void clear_later(void *arg)
{
	struct clearing *c = arg;

	for (unsigned i = 0; i < 20; i++) {
		nap();
	}
	rig_write32(c->bo, SPIN_FLAG, 0);
}

/*
 * Workers are stopped, as for a fork, while one of them waits in a resume for room in VRAM, behind
 * work that polls, which only the other one steps.
 */
static void stopped_in_a_resume(uint64_t seed)
{
	struct device *device = rig_device_moving(schedules[seed % ARRAY_LEN(schedules)], CROWDED);
	struct vm *vm = rig_vm(device, 0), *lr = rig_vm(device, VM_LR);
	struct exec_queue *queue = rig_queue(device, vm, RIG_RENDER);
	struct exec_queue *lr_queue = rig_queue(device, lr, RIG_COPY);
	struct bo *batch = rig_bo(device, SZ_64K, MEM_SYSTEM), *bo[2];
	struct clearing c = { .bo = batch };
	struct fence *spin, *fence;
	uint64_t value;

	for (unsigned i = 0; i < 2; i++) {
		CHECK_OK(bo_create(&device->mem, CROWDED, BIT(MEM_VRAM), &bo[i]));
		CHECK_OK(rig_bind(i ? lr : vm, rig_map(bo[i], DATA, 0, CROWDED)));
		CHECK_OK(rig_bind(i ? lr : vm, rig_map(batch, BATCH, 0, SZ_64K)));
	}
	rig_write32(batch, SPIN_FLAG, 1);
	rig_batch_spin(batch, 0, BATCH, BATCH + SPIN_FLAG);
	rig_batch_stores(batch, SZ_4K, &(uint64_t){ DATA }, &(uint32_t){ 7 }, 1);
	CHECK_OK(rig_exec(queue, BATCH, NULL, &spin));
	CHECK_OK(rig_exec(lr_queue, BATCH + SZ_4K, NULL, &fence));
	for (uint64_t i = 0; i < seed % 8; i++) {
		nap();
	}
	CHECK_OK(port_thread_create(&c.thread, "clearing", clear_later, &c));
	device_before_fork(device);
	port_thread_join(c.thread);
	device_after_fork_parent(device);
	rig_wait(spin);
	CHECK_OK(fence_wait(fence, PORT_FOREVER, 0));
	CHECK_OK(fence_error(fence));
	fence_put(fence);
	CHECK_OK(rig_load64(lr, DATA, &value));
	CHECK_EQ(value, 7);
	rig_queue_done(queue);
	rig_queue_done(lr_queue);
	rig_vm_done(vm);
	rig_vm_done(lr);
	bo_put(bo[0]);
	bo_put(bo[1]);
	bo_put(batch);
	device_destroy(device);
}

static void test_B19_workers_stop_when_a_resume_is_through(void)
{
	test_seeds(stopped_in_a_resume, 1, test_scale(80));
}

static void no_memory(uint64_t seed)
{
	struct fence *fence;
	struct bench b;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	CHECK_OK(rig_exec(b.one.queue, loop_batch(&b.one, 0), NULL, &fence));
	wait_for_rounds(&b.one, 0);
	port_fault_set(PORT_FAULT_ALLOC, 1, true);
	drop(&b, &b.one);
	check_still(&b.one, 0);
	CHECK(resumes(&b, &b.one) == 1 && suspends(&b, &b.one) == 1);
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	wait_for_rounds(&b.one, 0);
	CHECK_EQ(resumes(&b, &b.one), 2);
	end_loop(&b.one, fence);
	bench_fini(&b);
}

static void test_B19_no_memory_for_the_resume_is_retried(void)
{
	test_seeds(no_memory, 1, test_scale(40));
}

/* ---- ending ---------------------------------------------------------------------------------- */

/* @memory: the resume waits for the client's; else it finds none for itself. */
static void killed_while_suspended(enum device_schedule schedule, bool memory)
{
	struct mem_client_range range;
	struct fence *fence;
	struct bench b;

	bench_init(&b, schedule);
	CHECK_OK(rig_exec(b.one.queue, loop_batch(&b.one, 0), NULL, &fence));
	wait_for_rounds(&b.one, 0);
	if (memory) {
		range_begin(&b, &range, &b.one);
	} else {
		port_fault_set(PORT_FAULT_ALLOC, 1, true);
		drop(&b, &b.one);
	}
	nap();
	exec_queue_kill(b.one.queue);
	CHECK_ERR(fence_error(fence), -ECANCELED);
	CHECK_EQ(suspends(&b, &b.one), 1);
	exec_queue_put(b.one.queue);
	b.one.queue = NULL;
	fence_put(fence);
	if (memory) {
		range_end(&b, &range);
	}
	vm_close(b.one.vm); /* as there is nothing to be resumed it needs no memory */
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	bench_fini(&b);
}

static void killed(uint64_t seed)
{
	killed_while_suspended(schedules[seed % ARRAY_LEN(schedules)], seed & 4);
}

static void test_B19_killed_and_closed_while_suspended(void)
{
	test_seeds(killed, 1, test_scale(80));
}

/* Whoever waits for a queue that goes is told; and for one that is killed and stays. */
static void gone(uint64_t seed)
{
	struct fence *fence, *users;
	struct bench b;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	CHECK_OK(rig_exec(b.one.queue, loop_batch(&b.one, 0), NULL, &fence));
	wait_for_rounds(&b.one, 0);
	users = vm_bo_users(b.one.data);
	CHECK(users && !fence_is_signalled(users));
	exec_queue_kill(b.one.queue);
	CHECK(fence_is_signalled(fence));
	fence_put(fence);
	if (seed & 4) {
		CHECK_OK(fence_wait(users, PORT_FOREVER, 0));
	}
	exec_queue_put(b.one.queue);
	b.one.queue = NULL;
	while (!fence_is_signalled(users)) { /* a look is no wait: its end does it */
		nap();
	}
	fence_put(users);
	bench_fini(&b);
}

static void test_B19_a_queue_that_goes_is_not_waited_for(void)
{
	test_seeds(gone, 1, test_scale(80));
}

/* It runs when all its entries are there: one that is missing is its own mistake. */
static void test_B19_long_running_work_faults_for_itself_only(void)
{
	struct exec_queue *other;
	struct bench b;
	uint64_t where = 5 * SZ_1G;
	uint32_t value = 1;

	bench_init(&b, SCHEDULE_NORMAL);
	other = rig_queue(b.device, b.one.vm, RIG_COPY);
	drop(&b, &b.one);
	rig_batch_stores(b.one.batch, 0, &where, &value, 1);
	CHECK_ERR(rig_exec_wait(b.one.queue, BATCH), -ECANCELED);
	CHECK_ERR(exec_queue_error(b.one.queue), -EIO);
	where = USER;
	rig_batch_stores(b.one.batch, 0, &where, &value, 1);
	CHECK_OK(rig_exec_wait(other, BATCH));
	CHECK_EQ(*(volatile uint32_t *)b.one.user, 1);
	rig_queue_done(other);
	bench_fini(&b);
}

static const struct test_case cases[] = {
	TEST(test_B19_a_waiter_suspends_long_running_work),
	TEST(test_B19_all_units_of_a_wide_queue_are_suspended),
	TEST(test_B19_a_mapping_that_is_not_usable_yet_suspends),
	TEST(test_B19_nobody_waits_nothing_is_suspended),
	TEST(test_B19_suspended_work_resumes_where_it_was),
	TEST(test_B09_suspended_work_resumes_with_what_is_mapped_then),
	TEST(test_B19_two_spaces_that_suspend_each_other_progress),
	TEST(test_B19_a_resume_that_waits_leaves_a_worker),
	TEST(test_B19_workers_stop_when_a_resume_is_through),
	TEST(test_B19_no_memory_for_the_resume_is_retried),
	TEST(test_B19_killed_and_closed_while_suspended),
	TEST(test_B19_a_queue_that_goes_is_not_waited_for),
	TEST(test_B19_long_running_work_faults_for_itself_only),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
