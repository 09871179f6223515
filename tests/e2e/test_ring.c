// SPDX-License-Identifier: MIT
/* Rings: work that is submitted by stores to memory (B21). */
#include "rig.h"

#define RING(unit) (0x100000u + SZ_64K * (unit)) /* each with its doorbell behind it */
#define RING_B SZ_4K
#define CONTROL(unit) (RING(unit) + RING_B)
#define CODE 0x400000u
#define DATA 0x800000u
#define USER SZ_1G
#define USER_B SZ_64K
#define UNITS 3
#define LOG 64
#define FLAG (SZ_4K - 4) /* in the data: what batch 0 waits for to be 0 */
#define MS ((uint64_t)1000000)

static const enum device_schedule schedules[] = {
	SCHEDULE_NORMAL, SCHEDULE_EAGER, SCHEDULE_LAZY, SCHEDULE_ADVERSARIAL,
};

struct watch {
	struct event_reader reader;
	atomic_uint suspends, resumes, bans;
	atomic_uint told;
	struct device_lost lost;
};

static void watch_read(struct event_reader *reader, const struct event *event)
{
	struct watch *watch = container_of(reader, struct watch, reader);

	if (event->type == EVENT_QUEUE_SUSPEND) {
		atomic_fetch_add(&watch->suspends, 1);
	} else if (event->type == EVENT_QUEUE_RESUME) {
		atomic_fetch_add(&watch->resumes, 1);
	} else if (event->type == EVENT_QUEUE_BAN) {
		atomic_fetch_add(&watch->bans, 1);
	}
}

static void watch_lost(void *ctx, const struct device_lost *lost)
{
	struct watch *watch = ctx;

	watch->lost = *lost;
	atomic_fetch_add(&watch->told, 1);
}

/* A client's end of a ring. */
struct end {
	struct exec_queue *queue;
	uint8_t *commands;
	struct gpu_ring_control *control;
	uint64_t written;
	unsigned engine; /* that it runs on */
};

/* A long-running VM with memory for a few rings, and a device. */
struct bench {
	struct device *device;
	struct watch watch;
	struct vm *vm;
	struct bo *rings, *code, *data;
	uint32_t *user;
	struct end end[UNITS];
};

static void bench_init_on(struct bench *b, struct device *device)
{
	memset(b, 0, sizeof(*b));
	b->device = device;
	b->watch.reader.read = watch_read;
	event_attach(&device->events, &b->watch.reader);
	device->lost = watch_lost;
	device->lost_ctx = &b->watch;
	b->vm = rig_vm(device, VM_LR);
	b->rings = rig_bo(device, UNITS * SZ_64K, MEM_SYSTEM);
	b->code = rig_bo(device, SZ_64K, MEM_SYSTEM);
	b->data = rig_bo(device, SZ_64K, MEM_SYSTEM);
	b->user = port_reserve(USER_B);
	CHECK(b->user);
	memset(bo_host(b->rings), 0, UNITS * SZ_64K);
	memset(bo_host(b->data), 0, SZ_64K);
	CHECK_OK(rig_bind(b->vm, rig_map(b->rings, RING(0), 0, UNITS * SZ_64K)));
	CHECK_OK(rig_bind(b->vm, rig_map(b->code, CODE, 0, SZ_64K)));
	CHECK_OK(rig_bind(b->vm, rig_map(b->data, DATA, 0, SZ_64K)));
	CHECK_OK(rig_bind(b->vm, rig_map_user(b->user, USER, USER_B)));
	for (unsigned i = 0; i < UNITS; i++) {
		struct end *e = &b->end[i];

		e->commands = (uint8_t *)bo_host(b->rings) + i * SZ_64K;
		e->control = (struct gpu_ring_control *)(void *)(e->commands + RING_B);
	}
	rig_write32(b->data, FLAG, 1);
	rig_batch_spin(b->code, 0, CODE, DATA + FLAG);
}

static void bench_init(struct bench *b, enum device_schedule schedule)
{
	bench_init_on(b, rig_device(schedule));
}

static void bench_fini(struct bench *b)
{
	for (unsigned i = 0; i < UNITS; i++) {
		if (b->end[i].queue) {
			rig_queue_done(b->end[i].queue);
		}
	}
	rig_vm_done(b->vm);
	bo_put(b->rings);
	bo_put(b->code);
	bo_put(b->data);
	port_unreserve(b->user, USER_B);
	event_detach(&b->device->events, &b->watch.reader);
	device_destroy(b->device);
}

static int create(struct bench *b, struct vm *vm, unsigned engine, struct gpu_ring ring,
		  struct exec_queue **out)
{
	const uint8_t index = (uint8_t)engine;
	struct exec_queue_args args = {
		.vm = vm, .width = 1, .placements = 1, .engines = &index,
		.priority = EXEC_PRIORITY_NORMAL,
	};

	return exec_ring_create(b->device, &args, &ring, out);
}

static struct gpu_ring ring_of(unsigned unit)
{
	return (struct gpu_ring){ .va = RING(unit), .size_B = RING_B,
				  .control_va = CONTROL(unit) };
}

static struct end *open_ring(struct bench *b, unsigned unit, unsigned engine)
{
	struct end *e = &b->end[unit];

	CHECK_OK(create(b, b->vm, engine, ring_of(unit), &e->queue));
	e->engine = engine;
	return e;
}

/* ---- the client's side ----------------------------------------------------------------------- */

static uint64_t head_of(const struct end *e)
{
	return __atomic_load_n(&e->control->head, __ATOMIC_ACQUIRE);
}

#define MOST_DWORDS 16u

/* Space for so many dwords, in one piece. */
static void room(struct end *e, unsigned dwords)
{
	uint64_t left_B = RING_B - e->written % RING_B;

	ASSERT(dwords <= MOST_DWORDS);
	while (e->written - head_of(e) > RING_B - 2 * 4 * MOST_DWORDS) {
		CHECK_OK(exec_queue_error(e->queue));
		port_relax();
	}
	if (left_B < 4 * dwords) {
		memset(e->commands + e->written % RING_B, 0, left_B);
		e->written += left_B;
	}
}

static void put(struct end *e, const uint32_t *dw, unsigned n)
{
	memcpy(e->commands + e->written % RING_B, dw, 4 * n);
	e->written += 4 * n;
}

static void put_store(struct end *e, uint64_t addr, uint32_t value)
{
	const uint32_t dw[] = { 0x20u << 23 | 2, (uint32_t)addr, (uint32_t)(addr >> 32), value };

	room(e, 4);
	put(e, dw, 4);
}

/* Counts: what is executed twice shows. */
static void put_count(struct end *e, uint64_t addr)
{
	const uint32_t dw[] = { 0x2fu << 23 | 5u << 8 | 1, (uint32_t)addr,
				(uint32_t)(addr >> 32), 0 };

	room(e, 4);
	put(e, dw, 4);
}

static void put_call(struct end *e, uint64_t addr)
{
	const uint32_t dw[] = { 0x31u << 23 | 1u << 8 | 1, (uint32_t)addr,
				(uint32_t)(addr >> 32), 0 };

	room(e, 4);
	put(e, dw, 4);
}

static void doorbell(struct end *e)
{
	__atomic_store_n(&e->control->tail, e->written, __ATOMIC_RELEASE);
}

/* Word @i is written when what is before is done. */
static void submit(struct end *e, unsigned i, uint32_t value)
{
	put_store(e, DATA + 4 * i, value);
	doorbell(e);
}

static uint32_t word(const struct bench *b, unsigned i)
{
	return rig_read32(b->data, 4 * i);
}

static void wait_word(const struct bench *b, unsigned i, uint32_t value)
{
	while (word(b, i) != value) {
		port_relax();
	}
}

static void wait_dry(const struct end *e)
{
	while (head_of(e) != e->written) {
		port_relax();
	}
}

static void spin_end(struct bench *b)
{
	rig_write32(b->data, FLAG, 0);
}

static void wait_error(const struct end *e, int error)
{
	while (!exec_queue_error(e->queue)) {
		port_relax();
	}
	CHECK_ERR(exec_queue_error(e->queue), error);
}

/* ---- submissions ----------------------------------------------------------------------------- */

/* Batch @i of the log copies word 0, which the ring has stored before, to word 1 + @i. */
static void write_log_batches(struct bench *b)
{
	for (unsigned i = 0; i < LOG; i++) {
		uint32_t *cs = (uint32_t *)((char *)bo_host(b->code) + SZ_4K + 64 * i);

		cs[0] = 0x2eu << 23 | 3; /* MI_COPY_MEM_MEM */
		cs[1] = DATA + 4 * (1 + i);
		cs[2] = 0;
		cs[3] = DATA;
		cs[4] = 0;
		cs[5] = 0x0au << 23;
	}
}

/*
 * Each submission stores its number and calls a batch that copies that: what the log says is in
 * order. The client runs ahead by up to a ring, which goes round often.
 */
static void in_order(uint64_t seed)
{
	unsigned n = 20 * RING_B / 32;
	struct bench b;
	struct end *e;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	write_log_batches(&b);
	e = open_ring(&b, 0, RIG_COPY);
	for (unsigned i = 1; i <= n; i++) {
		put_store(e, DATA, i);
		put_call(e, CODE + SZ_4K + 64 * (i % LOG));
		doorbell(e);
		if (seed & 4) {
			exec_ring_kick(e->queue);
		}
		if (seed & 8 && i % LOG == 0) {
			wait_word(&b, 1, i); /* the last of this round of the log */
			for (unsigned j = 0; j < LOG; j++) {
				CHECK_EQ(word(&b, 1 + j), i - (LOG - j) % LOG);
			}
		}
	}
	wait_dry(e);
	for (unsigned i = n - LOG + 1; i <= n; i++) {
		CHECK_EQ(word(&b, 1 + i % LOG), i);
	}
	CHECK_OK(exec_queue_error(e->queue));
	bench_fini(&b);
}

static void test_B21_submissions_run_in_order(void)
{
	test_seeds(in_order, 1, test_scale(32));
}

/* What was written before the ring was made is its first submission. */
static void test_B21_commands_may_be_there_first(void)
{
	struct bench b;
	struct end *e;

	bench_init(&b, SCHEDULE_NORMAL);
	submit(&b.end[0], 1, 5);
	e = open_ring(&b, 0, RIG_RENDER);
	wait_dry(e);
	CHECK_EQ(word(&b, 1), 5);
	bench_fini(&b);
}

/* Binds and unbinds go on beside it, and what is mapped when a command runs is what it uses. */
static void test_B21_binds_beside_a_ring(void)
{
	struct bo *bo[2];
	struct bench b;
	struct end *e;

	bench_init(&b, SCHEDULE_NORMAL);
	e = open_ring(&b, 0, RIG_COPY);
	for (unsigned i = 0; i < 2; i++) {
		bo[i] = rig_bo(b.device, SZ_64K, MEM_SYSTEM);
	}
	for (uint32_t i = 1; i <= 100; i++) {
		CHECK_OK(rig_bind(b.vm, rig_map(bo[i % 2], 3 * SZ_1G, 0, SZ_64K)));
		put_store(e, 3 * SZ_1G, i);
		submit(e, 1, i);
		wait_word(&b, 1, i);
		CHECK_EQ(rig_read32(bo[i % 2], 0), i);
		CHECK_OK(rig_bind(b.vm, rig_unmap(3 * SZ_1G, SZ_64K)));
	}
	CHECK_EQ(b.watch.suspends, 0);
	bo_put(bo[0]);
	bo_put(bo[1]);
	bench_fini(&b);
}

/* ---- who looks ------------------------------------------------------------------------------- */

/* The longest that one submission took, each after so long. */
static uint64_t slowest(struct bench *b, struct end *e, uint64_t idle_ns, unsigned rounds,
			bool kick)
{
	uint64_t longest = 0;

	for (unsigned i = 0; i < rounds; i++) {
		uint64_t since;

		rig_nap(idle_ns + i * 700);
		since = port_now_ns();
		submit(e, 1, i + 1);
		if (kick) {
			exec_ring_kick(e->queue);
		}
		wait_word(b, 1, i + 1);
		longest = max_u64(longest, port_now_ns() - since);
	}
	submit(e, 1, 0);
	wait_word(b, 1, 0);
	return longest;
}

/* In virtual time it can be said how long that takes. With real threads it is that it comes. */
static void check_below(uint64_t ns, uint64_t most_ns)
{
	CHECK(!test_is_sim() || ns < most_ns);
}

static void looks(uint64_t seed)
{
	struct bench b;
	struct end *e;

	bench_init(&b, seed & 1 ? SCHEDULE_NORMAL : SCHEDULE_EAGER);
	e = open_ring(&b, 0, RIG_COPY);
	/* A store alone: when all sleep, when somebody is up, when he has just gone to sleep. */
	check_below(slowest(&b, e, 20 * MS, 5, false), 1100000);
	check_below(slowest(&b, e, 1000, 60, false), 10000);
	check_below(slowest(&b, e, 60000, 60, false), 100000);
	/* With a kick it does not matter when. */
	check_below(slowest(&b, e, 20 * MS, 5, true), 10000);
	check_below(slowest(&b, e, 1000, 200, true), 10000);
	bench_fini(&b);
}

static void test_B21_a_store_is_seen_and_a_kick_at_once(void)
{
	test_seeds(looks, 1, test_is_sim() ? test_scale(100) : 2);
}

/* How often the engine has touched memory. */
static uint64_t accesses(struct bench *b, unsigned engine)
{
	return atomic_load(&b->device->engine[engine].gpu.epoch) / 2;
}

static void test_B21_an_idle_ring_is_seldom_looked_at(void)
{
	uint64_t before;
	struct bench b;
	struct end *e;

	bench_init(&b, SCHEDULE_NORMAL);
	e = open_ring(&b, 0, RIG_COPY);
	submit(e, 1, 1);
	wait_word(&b, 1, 1);
	rig_nap(10 * MS);
	before = accesses(&b, RIG_COPY);
	rig_nap(100 * MS);
	/* Two workers, once a millisecond, a few looks each. */
	CHECK(accesses(&b, RIG_COPY) - before < 100 * 2 * 100);
	bench_fini(&b);
}

/* ---- suspended and resumed ------------------------------------------------------------------- */

static void range_begin(struct bench *b, struct mem_client_range *range)
{
	mem_client_range_begin(&b->device->mem, range, (uint64_t)(uintptr_t)b->user, SZ_4K);
}

/* Memory of its VM is gone for a while: nothing runs, what has been submitted runs after. */
static void suspended(uint64_t seed)
{
	struct mem_client_range range;
	struct bench b;
	struct end *e;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	e = open_ring(&b, 0, RIG_COPY);
	for (uint32_t i = 1; i <= 5; i++) {
		submit(e, 1, i);
		if (seed & 4) {
			wait_word(&b, 1, i); /* it has nothing to do */
		}
		while (atomic_load(&b.watch.resumes) < i) {
			port_relax();
		}
		range_begin(&b, &range);
		CHECK_EQ(b.watch.suspends, i);
		put_count(e, DATA + 12);
		submit(e, 2, i);
		exec_ring_kick(e->queue);
		rig_nap(2 * MS);
		CHECK_EQ(word(&b, 2), i - 1);
		mem_client_range_end(&b.device->mem, &range);
		wait_word(&b, 2, i);
		CHECK(word(&b, 1) == i && word(&b, 3) == i);
	}
	CHECK_OK(exec_queue_error(e->queue));
	bench_fini(&b);
}

static void test_B21_a_ring_is_suspended_and_resumed_where_it_was(void)
{
	test_seeds(suspended, 1, test_scale(40));
}

struct dropping {
	struct bench *b;
	atomic_bool stop;
	struct port_thread *thread;
};

static void drop_often(void *arg)
{
	struct dropping *d = arg;

	while (!atomic_load(&d->stop)) {
		rig_client_drops(d->b->device, (uint64_t)(uintptr_t)d->b->user, SZ_64K);
		rig_nap(50000);
	}
}

/* Ring, doorbell and data in memory of the client, which somebody unmaps all the time. */
static void all_in_client_memory(uint64_t seed)
{
	const struct gpu_ring ring = { .va = USER, .size_B = RING_B,
				       .control_va = USER + RING_B };
	struct dropping d;
	struct bench b;
	struct end *e;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	d = (struct dropping){ .b = &b };
	e = &b.end[0];
	e->commands = (uint8_t *)b.user;
	e->control = (struct gpu_ring_control *)(void *)(e->commands + RING_B);
	CHECK_OK(create(&b, b.vm, RIG_COPY, ring, &e->queue));
	CHECK_OK(port_thread_create(&d.thread, "drop", drop_often, &d));
	for (uint32_t i = 0; i < 1000; i++) {
		put_store(e, USER + 2 * SZ_4K + 4 * i, i + 1);
		doorbell(e);
		if (i % 10 == 0) {
			wait_dry(e);
			CHECK_EQ(__atomic_load_n(&b.user[2 * SZ_4K / 4 + i], __ATOMIC_ACQUIRE),
				 i + 1);
		}
	}
	wait_dry(e);
	atomic_store(&d.stop, true);
	port_thread_join(d.thread);
	for (uint32_t i = 0; i < 1000; i++) {
		CHECK_EQ(b.user[2 * SZ_4K / 4 + i], i + 1);
	}
	/* With real threads it depends on who has a core. */
	CHECK(!test_is_sim() || b.watch.suspends > 0);
	CHECK_OK(exec_queue_error(e->queue));
	bench_fini(&b);
}

static void test_B21_all_of_it_in_client_memory(void)
{
	test_seeds(all_in_client_memory, 1, test_scale(20));
}

/* Its data is in VRAM, of which another VM takes all for itself now and then. */
#define VRAM ((uint64_t)256 << 10)
#define OBJECT SZ_1G * 2

static void evicted(uint64_t seed)
{
	struct bo *mine, *theirs;
	struct exec_queue *queue;
	uint64_t where = OBJECT;
	struct bench b;
	struct end *e;
	struct vm *vm;

	bench_init_on(&b, rig_device_moving(schedules[seed % ARRAY_LEN(schedules)], VRAM));
	vm = rig_vm(b.device, 0);
	queue = rig_queue(b.device, vm, seed & 4 ? RIG_COPY : RIG_RENDER);
	CHECK_OK(bo_create(&b.device->mem, VRAM, BIT(MEM_VRAM), &mine));
	CHECK_OK(bo_create(&b.device->mem, VRAM, BIT(MEM_VRAM), &theirs));
	CHECK_OK(rig_bind(b.vm, rig_map(mine, OBJECT, 0, VRAM)));
	CHECK_OK(rig_bind(vm, rig_map(theirs, OBJECT, 0, VRAM)));
	CHECK_OK(rig_bind(vm, rig_map(b.code, CODE, 0, SZ_64K)));
	rig_batch_stores(b.code, SZ_4K, &where, &(uint32_t){ 77 }, 1);
	e = open_ring(&b, 0, RIG_COPY);
	for (uint32_t i = 1; i <= 10; i++) {
		const uint32_t copy[] = { 0x2eu << 23 | 3, DATA + 4 * i, 0, (uint32_t)OBJECT,
					  (uint32_t)(OBJECT >> 32), 0 };

		put_count(e, OBJECT);
		doorbell(e);
		CHECK_OK(rig_exec_wait(queue, CODE + SZ_4K));
		room(e, 6);
		put(e, copy, 6);
		submit(e, 0, i);
		wait_word(&b, 0, i);
		CHECK_EQ(word(&b, i), i); /* through all moves */
	}
	CHECK(b.watch.suspends > 0);
	CHECK_OK(exec_queue_error(e->queue));
	rig_queue_done(queue);
	rig_vm_done(vm);
	bo_put(mine);
	bo_put(theirs);
	bench_fini(&b);
}

static void test_B21_a_ring_whose_memory_is_taken_away(void)
{
	test_seeds(evicted, 1, test_scale(20));
}

/* One that had nothing to do between two suspensions is in no hurry, but comes. */
static void rests(uint64_t seed)
{
	struct mem_client_range range;
	uint64_t since;
	struct bench b;
	struct end *e;

	bench_init(&b, seed & 1 ? SCHEDULE_NORMAL : SCHEDULE_EAGER);
	e = open_ring(&b, 0, RIG_COPY);
	for (uint32_t i = 1; i <= 10; i++) {
		while (atomic_load(&b.watch.resumes) < i) {
			rig_nap(100000);
		}
		range_begin(&b, &range);
		mem_client_range_end(&b.device->mem, &range);
	}
	rig_nap(seed * 100000);
	since = port_now_ns();
	submit(e, 1, 1);
	while (word(&b, 1) != 1 && port_now_ns() - since < 10000 * MS) {
		rig_nap(100000);
	}
	check_below(port_now_ns() - since, 3 * MS);
	CHECK_EQ(word(&b, 1), 1);
	bench_fini(&b);
}

static void test_B21_a_ring_that_rests_comes_back(void)
{
	test_seeds(rests, 1, test_scale(20));
}

/* Two that have nothing to do, and need the same memory. */
static void test_B21_idle_rings_leave_memory_in_peace(void)
{
	struct bo *bo[2];
	struct exec_queue *queue;
	struct bench b;
	struct vm *vm;
	unsigned before;
	struct end *e;

	bench_init_on(&b, rig_device_moving(SCHEDULE_NORMAL, VRAM));
	vm = rig_vm(b.device, VM_LR);
	for (unsigned i = 0; i < 2; i++) {
		CHECK_OK(bo_create(&b.device->mem, VRAM, BIT(MEM_VRAM), &bo[i]));
		CHECK_OK(rig_bind(i ? b.vm : vm, rig_map(bo[i], OBJECT, 0, VRAM)));
	}
	CHECK_OK(rig_bind(vm, rig_map(b.rings, RING(0), 0, UNITS * SZ_64K)));
	e = open_ring(&b, 0, RIG_COPY);
	CHECK_OK(create(&b, vm, RIG_COPY, ring_of(1), &queue));
	rig_nap(20 * MS);
	before = b.watch.resumes;
	rig_nap(100 * MS);
	CHECK(b.watch.resumes - before < 300);
	/* A kick is not kept waiting by that. */
	for (uint32_t i = 1; i <= 20; i++) {
		uint64_t since;

		rig_nap(3 * MS + i * 10000);
		since = port_now_ns();
		submit(e, 1, i);
		exec_ring_kick(e->queue);
		wait_word(&b, 1, i);
		check_below(port_now_ns() - since, 300000);
	}
	rig_queue_done(queue);
	rig_vm_done(vm);
	bo_put(bo[0]);
	bo_put(bo[1]);
	bench_fini(&b);
}

/* ---- mistakes and resets --------------------------------------------------------------------- */

/* One that is banned, beside one of the same VM on the same engine that must not notice. */
static void check_lost(struct bench *b, struct end *bad, struct end *good,
		       enum device_lost_reason reason)
{
	wait_error(bad, -EIO);
	exec_queue_kill(bad->queue);
	CHECK_EQ(b->watch.told, 1);
	CHECK_EQ(b->watch.lost.reason, reason);
	CHECK_EQ(b->watch.lost.queue, exec_queue_id(bad->queue));
	CHECK_EQ(b->watch.lost.batch, RING(0));
	submit(good, 5, 99);
	wait_word(b, 5, 99);
	CHECK_OK(exec_queue_error(good->queue));
}

static void bad_tail(uint64_t seed)
{
	static const uint64_t off[] = { (uint64_t)-8, 4, 1, RING_B + 8, (uint64_t)1 << 63 };
	struct end *bad, *good;
	struct bench b;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	bad = open_ring(&b, 0, RIG_COPY);
	good = open_ring(&b, 1, RIG_COPY);
	submit(bad, 1, 1);
	submit(bad, 1, 2);
	wait_dry(bad);
	__atomic_store_n(&bad->control->tail, bad->written + off[seed % ARRAY_LEN(off)],
			 __ATOMIC_RELEASE);
	check_lost(&b, bad, good, LOST_FAULT);
	CHECK_EQ(b.vm->fault_count, 0); /* it is no access */
	bench_fini(&b);
}

static void test_B21_a_bad_tail_is_the_end(void)
{
	test_seeds(bad_tail, 1, test_scale(20));
}

static void faulting(uint64_t seed)
{
	struct end *bad, *good;
	struct bench b;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	bad = open_ring(&b, 0, RIG_COPY);
	good = open_ring(&b, 1, RIG_COPY);
	submit(bad, 1, 1);
	switch (seed % 3) {
	case 0: /* in the ring */
		put_store(bad, 7 * SZ_1G, 1);
		break;
	case 1: /* in a batch */
		put_call(bad, CODE + SZ_4K);
		rig_batch_stores(b.code, SZ_4K, &(uint64_t){ 7 * SZ_1G }, &(uint32_t){ 1 }, 1);
		break;
	default: /* its own memory */
		wait_word(&b, 1, 1);
		CHECK_OK(rig_bind(b.vm, rig_unmap(RING(0), SZ_64K)));
	}
	submit(bad, 1, 2);
	check_lost(&b, bad, good, LOST_FAULT);
	CHECK_EQ(word(&b, 1), 1);
	CHECK_EQ(b.vm->fault_count, 1);
	bench_fini(&b);
}

static void test_B21_a_fault_bans_the_ring(void)
{
	test_seeds(faulting, 1, test_scale(24));
}

static void reset(uint64_t seed)
{
	struct end *bad;
	struct bench b;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	bad = open_ring(&b, 0, RIG_COPY);
	submit(bad, 1, 1);
	wait_word(&b, 1, 1);
	if (seed & 4) {
		put_call(bad, CODE); /* else it is idle */
		submit(bad, 1, 2);
	}
	rig_nap(seed * 1000);
	device_reset(b.device);
	CHECK_ERR(exec_queue_error(bad->queue), -EIO);
	CHECK_EQ(rig_read32(b.data, 4), 1);
	check_lost(&b, bad, open_ring(&b, 1, RIG_COPY), LOST_RESET);
	bench_fini(&b);
}

static void test_B21_a_reset_bans_the_ring(void)
{
	test_seeds(reset, 1, test_scale(40));
}

/* An address space that takes no submissions takes none by a ring. */
static void banned(uint64_t seed)
{
	struct bench b;
	struct end *e;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	e = open_ring(&b, 0, RIG_COPY);
	submit(e, 1, 1);
	wait_word(&b, 1, 1);
	vm_ban(b.vm, VM_BANNED_BY_OWNER);
	if (seed & 4) {
		submit(e, 1, 2);
	}
	wait_error(e, -ECANCELED);
	exec_queue_kill(e->queue);
	CHECK_EQ(b.watch.told, 0);
	CHECK_ERR(create(&b, b.vm, RIG_COPY, ring_of(1), &b.end[1].queue), -ENOENT);
	b.end[1].queue = NULL;
	bench_fini(&b);
}

static void test_B21_a_ban_of_the_space_ends_the_ring(void)
{
	test_seeds(banned, 1, test_scale(20));
}

/* Nor does one of a device that is wedged, until that is made anew. */
static void wedged(uint64_t seed)
{
	struct bench b;
	struct end *e;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	e = open_ring(&b, 0, RIG_COPY);
	submit(e, 1, 1);
	wait_word(&b, 1, 1);
	if (seed & 4) {
		put_call(e, CODE);
		doorbell(e);
	}
	device_wedge(b.device);
	CHECK_ERR(exec_queue_error(e->queue), -ECANCELED);
	CHECK_ERR(create(&b, b.vm, RIG_COPY, ring_of(1), &b.end[1].queue), -ECANCELED);
	b.end[1].queue = NULL;
	exec_queue_kill(e->queue);
	device_unwedge(b.device);
	CHECK_ERR(exec_queue_error(e->queue), -ECANCELED);
	e = open_ring(&b, 1, RIG_COPY);
	submit(e, 2, 2);
	wait_word(&b, 2, 2);
	bench_fini(&b);
}

static void test_B21_a_wedged_device_ends_the_ring(void)
{
	test_seeds(wedged, 1, test_scale(20));
}

/* ---- its end --------------------------------------------------------------------------------- */

static void killed(uint64_t seed)
{
	struct mem_client_range range;
	struct fence *last;
	struct bench b;
	struct end *e;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	e = open_ring(&b, 0, RIG_COPY);
	switch ((seed / 4) % 4) {
	case 0: /* perhaps before it has begun */
		submit(e, 1, 1);
		break;
	case 1: /* it has work without an end */
		put_call(e, CODE);
		submit(e, 1, 2);
		rig_nap(seed * 1000);
		break;
	case 2: /* it is idle, and everybody sleeps */
		rig_nap(5 * MS);
		break;
	default: /* it is suspended, and has work */
		submit(e, 1, 1);
		wait_word(&b, 1, 1);
		range_begin(&b, &range);
		submit(e, 1, 2);
	}
	exec_queue_kill(e->queue);
	CHECK_ERR(exec_queue_error(e->queue), -ECANCELED);
	last = exec_queue_last(e->queue);
	CHECK_ERR(fence_error(last), -ECANCELED);
	fence_put(last);
	CHECK(word(&b, 1) < 2);
	submit(e, 1, 3);
	rig_nap(2 * MS);
	CHECK(word(&b, 1) < 2);
	if ((seed / 4) % 4 == 3) {
		mem_client_range_end(&b.device->mem, &range);
	}
	bench_fini(&b);
}

static void test_B21_killed_at_any_time(void)
{
	test_seeds(killed, 1, test_scale(80));
}

/* In the child of a fork it is the parent's; there it goes on. */
static void forked(uint64_t seed)
{
	struct bench b;
	struct end *e;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	e = open_ring(&b, 0, RIG_COPY);
	submit(e, 1, 1);
	if (seed & 4) {
		wait_word(&b, 1, 1);
	}
	device_before_fork(b.device);
	if (seed & 8) {
		device_after_fork_parent(b.device);
		submit(e, 1, 2);
		wait_word(&b, 1, 2);
		CHECK_OK(exec_queue_error(e->queue));
	} else {
		device_after_fork_child(b.device);
		CHECK_ERR(exec_queue_error(e->queue), -ECANCELED);
		CHECK_OK(device_start_workers(b.device));
		e = open_ring(&b, 1, RIG_COPY);
		submit(e, 2, 2);
		wait_word(&b, 2, 2);
	}
	bench_fini(&b);
}

static void test_B21_across_a_fork(void)
{
	test_seeds(forked, 1, test_scale(40));
}

/* ---- others on the engine -------------------------------------------------------------------- */

static void two_share(uint64_t seed)
{
	struct end *e[2];
	struct bench b;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	for (unsigned i = 0; i < 2; i++) {
		e[i] = open_ring(&b, i, RIG_COPY);
	}
	put_call(e[0], CODE); /* waits for the client */
	submit(e[0], 10, 1);
	for (uint32_t i = 1; i <= 200; i++) {
		submit(e[1], 11, i);
		wait_word(&b, 11, i);
	}
	CHECK_EQ(word(&b, 10), 0);
	spin_end(&b);
	wait_word(&b, 10, 1);
	for (uint32_t i = 2; i <= 200; i++) {
		submit(e[0], 10, i);
		submit(e[1], 11, i);
	}
	wait_dry(e[0]);
	wait_dry(e[1]);
	CHECK(word(&b, 10) == 200 && word(&b, 11) == 200);
	bench_fini(&b);
}

static void test_B21_two_rings_share_an_engine(void)
{
	test_seeds(two_share, 1, test_scale(40));
}

/* Work that promises a dma fence and a ring that has something to do, or nothing, take turns. */
static void beside_jobs(uint64_t seed)
{
	struct exec_queue *queue;
	struct fence *fence = NULL;
	struct bench b;
	struct end *e;
	struct vm *vm;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	vm = rig_vm(b.device, 0);
	queue = rig_queue(b.device, vm, RIG_COPY);
	CHECK_OK(rig_bind(vm, rig_map(b.code, CODE, 0, SZ_64K)));
	CHECK_OK(rig_bind(vm, rig_map(b.data, DATA, 0, SZ_64K)));
	rig_batch_stores(b.code, SZ_4K, &(uint64_t){ DATA + 4 }, &(uint32_t){ 1 }, 1);
	e = open_ring(&b, 0, RIG_COPY);
	if (seed & 4) {
		put_call(e, CODE);
		doorbell(e);
	}
	for (uint32_t i = 1; i <= 100; i++) {
		CHECK_OK(rig_exec_wait(queue, CODE + SZ_4K));
		CHECK_EQ(word(&b, 1), 1);
		submit(e, 1, 2 + i);
		if (!(seed & 4)) {
			wait_word(&b, 1, 2 + i);
		}
	}
	CHECK_OK(rig_exec(queue, CODE, NULL, &fence)); /* and one that polls as well */
	rig_nap(MS);
	CHECK(!fence_is_signalled(fence));
	spin_end(&b);
	rig_wait(fence);
	wait_dry(e);
	CHECK_EQ(word(&b, 1), 102);
	rig_queue_done(queue);
	rig_vm_done(vm);
	bench_fini(&b);
}

static void test_B21_a_ring_beside_jobs_with_fences(void)
{
	test_seeds(beside_jobs, 1, test_scale(40));
}

/* A ring without work has no part of the engine: who hangs beside it is ended in his own time. */
static void test_B21_an_idle_ring_takes_no_time_of_others(void)
{
	const uint8_t engine = RIG_COPY;
	struct exec_queue_args args = {
		.width = 1, .placements = 1, .engines = &engine,
		.priority = EXEC_PRIORITY_NORMAL, .job_timeout_ms = 50,
	};
	struct exec_queue *queue;
	struct fence *hung;
	uint64_t since, ran;
	struct bench b;
	struct end *e;
	struct vm *vm;

	bench_init(&b, SCHEDULE_NORMAL);
	args.vm = vm = rig_vm(b.device, 0);
	CHECK_OK(exec_queue_create(b.device, &args, &queue));
	CHECK_OK(rig_bind(vm, rig_map(b.code, CODE, 0, SZ_64K)));
	CHECK_OK(rig_bind(vm, rig_map(b.data, DATA, 0, SZ_64K)));
	e = open_ring(&b, 0, RIG_COPY);
	submit(e, 1, 1);
	wait_word(&b, 1, 1);
	since = port_now_ns();
	CHECK_OK(rig_exec(queue, CODE, NULL, &hung));
	CHECK_OK(fence_wait(hung, PORT_FOREVER, 0));
	ran = port_now_ns() - since;
	CHECK(ran >= 50 * MS);
	CHECK(!test_is_sim() || ran < 75 * MS);
	CHECK_ERR(fence_error(hung), -ECANCELED);
	fence_put(hung);
	submit(e, 1, 2); /* and has no timeout itself */
	wait_word(&b, 1, 2);
	rig_queue_done(queue);
	rig_vm_done(vm);
	bench_fini(&b);
}

/* ---- making one ------------------------------------------------------------------------------ */

static void test_B21_rings_that_are_none(void)
{
	static const struct gpu_ring bad[] = {
		{ RING(0), SZ_4K / 2, CONTROL(0) },
		{ RING(0), 3 * SZ_4K, CONTROL(0) },
		{ RING(0), SZ_2M, CONTROL(0) },
		{ RING(0), 0, CONTROL(0) },
		{ RING(0) + 8, SZ_4K, CONTROL(0) },
		{ RING(0), SZ_4K, CONTROL(0) + 4 },
		{ (uint64_t)1 << 48, SZ_4K, CONTROL(0) },
		{ ((uint64_t)1 << 47) - SZ_4K, 2 * SZ_4K, CONTROL(0) }, /* across the hole */
		{ ((uint64_t)1 << 48) - SZ_4K, 2 * SZ_4K, CONTROL(0) },
		{ RING(0), SZ_4K, (uint64_t)1 << 48 },
		{ RING(0), SZ_4K, ((uint64_t)1 << 48) - 8 },
	};
	const uint8_t engines[] = { RIG_COMPUTE0, RIG_COMPUTE1 };
	struct exec_queue_args wide = { .width = 2, .placements = 1, .engines = engines };
	struct gpu_ring ring = ring_of(0);
	struct exec_queue *queue;
	struct bench b;
	struct vm *vm;

	bench_init(&b, SCHEDULE_NORMAL);
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		CHECK_ERR(create(&b, b.vm, RIG_COPY, bad[i], &queue), -EINVAL);
	}
	wide.vm = b.vm;
	CHECK_ERR(exec_ring_create(b.device, &wide, &ring, &queue), -EINVAL);
	vm = rig_vm(b.device, 0);
	CHECK_ERR(create(&b, vm, RIG_COPY, ring, &queue), -EINVAL);
	rig_vm_done(vm);
	vm = rig_vm(b.device, VM_LR);
	vm_close(vm);
	CHECK_ERR(create(&b, vm, RIG_COPY, ring, &queue), -ENOENT);
	vm_put(vm);
	open_ring(&b, 0, RIG_COPY); /* this one is */
	bench_fini(&b);
}

static void make_one(void *arg)
{
	struct device *device = rig_device(SCHEDULE_NORMAL);
	struct bench b = { .device = device };
	struct vm *vm = device ? rig_vm(device, VM_LR) : NULL;
	struct exec_queue *queue;
	int ret;

	if (vm) {
		ret = create(&b, vm, RIG_COPY, ring_of(0), &queue);
		CHECK(ret == 0 || (test_injected() && ret == -ENOMEM));
		if (ret == 0) {
			rig_queue_done(queue);
		}
		rig_vm_done(vm);
	}
	device_destroy(device);
}

static void test_B21_a_ring_without_memory(void)
{
	CHECK(test_sweep(PORT_FAULT_ALLOC, make_one, NULL) > 4);
}

static const struct test_case cases[] = {
	TEST(test_B21_submissions_run_in_order),
	TEST(test_B21_commands_may_be_there_first),
	TEST(test_B21_binds_beside_a_ring),
	TEST(test_B21_a_store_is_seen_and_a_kick_at_once),
	TEST(test_B21_an_idle_ring_is_seldom_looked_at),
	TEST(test_B21_a_ring_is_suspended_and_resumed_where_it_was),
	TEST(test_B21_all_of_it_in_client_memory),
	TEST(test_B21_a_ring_whose_memory_is_taken_away),
	TEST(test_B21_a_ring_that_rests_comes_back),
	TEST(test_B21_idle_rings_leave_memory_in_peace),
	TEST(test_B21_a_bad_tail_is_the_end),
	TEST(test_B21_a_fault_bans_the_ring),
	TEST(test_B21_a_reset_bans_the_ring),
	TEST(test_B21_a_ban_of_the_space_ends_the_ring),
	TEST(test_B21_a_wedged_device_ends_the_ring),
	TEST(test_B21_killed_at_any_time),
	TEST(test_B21_across_a_fork),
	TEST(test_B21_two_rings_share_an_engine),
	TEST(test_B21_a_ring_beside_jobs_with_fences),
	TEST(test_B21_an_idle_ring_takes_no_time_of_others),
	TEST(test_B21_rings_that_are_none),
	TEST(test_B21_a_ring_without_memory),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
