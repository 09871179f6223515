// SPDX-License-Identifier: MIT
/* Jobs that do not end: who is banned, who is spared, and who gets on that waited for them. */
#include "rig.h"

#define BATCH 0x100000
#define DATA 0x800000
#define SLOT_B SZ_4K
#define HALF_B (SLOT_B / 2)
#define TIMEOUT_MS 50
#define MS ((uint64_t)1000000)

static const enum device_schedule schedules[] = {
	SCHEDULE_NORMAL, SCHEDULE_LAZY, SCHEDULE_ADVERSARIAL,
};

/* What the hook for records of lost jobs was told last, and how many hangs the stream has had. */
struct watch {
	struct event_reader reader;
	atomic_uint hangs, bans;
	atomic_uint told;
	struct port_mutex lock; /* of the next two */
	struct device_lost lost;
	uint64_t at; /* where the job was */
	unsigned batches; /* that the last reset has found */
	struct device *resets; /* if set: reset when a job is told of */
	struct exec_queue *queue; /* if set: it must not be banned yet when its job is told of */
};

static struct port_lock_class watch_class = { .name = "watch", .rank = RANK_LEAF };

static void watch_read(struct event_reader *reader, const struct event *event)
{
	struct watch *watch = container_of(reader, struct watch, reader);

	if (event->type == EVENT_HANG) {
		atomic_fetch_add(&watch->hangs, 1);
	} else if (event->type == EVENT_QUEUE_BAN && event->arg[1] == EIO) {
		atomic_fetch_add(&watch->bans, 1);
	} else if (event->type == EVENT_RESET) {
		watch->batches = (unsigned)event->arg[0];
	}
}

static void watch_lost(void *ctx, const struct device_lost *lost)
{
	struct watch *watch = ctx;

	port_assert_no_locks();
	port_mutex_lock(&watch->lock);
	watch->lost = *lost;
	watch->at = lost->ctx->ip;
	port_mutex_unlock(&watch->lock);
	/* What a job may have is measured as it can itself, but for what its thread was away. */
	CHECK(!test_is_sim() || lost->ctx->runtime_ns >= lost->ran_ns / 2);
	if (watch->queue) {
		CHECK_EQ(lost->queue, exec_queue_id(watch->queue));
		CHECK_OK(exec_queue_error(watch->queue));
	}
	atomic_fetch_add(&watch->told, 1);
	if (watch->resets) {
		device_reset(watch->resets);
	}
}

struct bench {
	struct device *device;
	struct watch watch;
	struct vm *vm;
	struct bo *batch, *data;
};

static void bench_init_on(struct bench *b, struct device *device, unsigned flags)
{
	memset(b, 0, sizeof(*b));
	b->device = device;
	b->watch.reader.read = watch_read;
	port_mutex_init(&b->watch.lock, &watch_class);
	event_attach(&device->events, &b->watch.reader);
	device->lost = watch_lost;
	device->lost_ctx = &b->watch;
	b->vm = rig_vm(device, flags);
	b->batch = rig_bo(device, SZ_64K, MEM_SYSTEM);
	b->data = rig_bo(device, SZ_64K, MEM_VRAM);
	CHECK_OK(rig_bind(b->vm, rig_map(b->batch, BATCH, 0, SZ_64K)));
	CHECK_OK(rig_bind(b->vm, rig_map(b->data, DATA, 0, SZ_64K)));
}

static void bench_init(struct bench *b, enum device_schedule schedule)
{
	bench_init_on(b, rig_device(schedule), 0);
}

static void bench_fini(struct bench *b)
{
	rig_vm_done(b->vm);
	bo_put(b->batch);
	bo_put(b->data);
	event_detach(&b->device->events, &b->watch.reader);
	device_destroy(b->device);
	port_mutex_fini(&b->watch.lock);
}

static uint64_t store_batch(struct bench *b, unsigned slot, uint64_t addr, uint32_t value)
{
	rig_batch_stores(b->batch, slot * SLOT_B, &addr, &value, 1);
	return BATCH + slot * SLOT_B;
}

/* Spins until the last dword of its slot is 0. */
static uint64_t spin_batch(struct bench *b, unsigned slot)
{
	uint64_t flag = (slot + 1) * SLOT_B - 4;

	rig_write32(b->batch, flag, 1);
	rig_batch_spin(b->batch, slot * SLOT_B, BATCH + slot * SLOT_B, BATCH + flag);
	return BATCH + slot * SLOT_B;
}

static void spin_end(struct bench *b, unsigned slot)
{
	rig_write32(b->batch, (slot + 1) * SLOT_B - 4, 0);
}

/* Jumps to itself. */
static uint64_t circle_batch(struct bench *b, unsigned slot)
{
	uint32_t *cs = (uint32_t *)((char *)bo_host(b->batch) + slot * SLOT_B);

	cs[0] = 0x31u << 23 | 1u << 8 | 1; /* MI_BATCH_BUFFER_START, of the VM */
	cs[1] = BATCH + slot * SLOT_B;
	cs[2] = 0;
	return BATCH + slot * SLOT_B;
}

static struct exec_queue *queue_on(struct bench *b, unsigned engine)
{
	return rig_queue_timed(b->device, b->vm, engine, TIMEOUT_MS);
}

static void check_ended(struct fence *fence, int error)
{
	CHECK_ERR(fence_wait(fence, PORT_FOREVER, 0), 0);
	CHECK_ERR(fence_error(fence), error);
	fence_put(fence);
}

/* A spinner looks at memory, a circle never lets go by itself: both are ended, and told of. */
static void is_ended(uint64_t seed)
{
	struct exec_queue *queue;
	struct fence *hung, *behind[3];
	uint64_t batch, since, took;
	struct bench b;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	queue = queue_on(&b, RIG_RENDER);
	b.watch.queue = queue;
	batch = seed & 1 ? spin_batch(&b, 1) : circle_batch(&b, 1);
	since = port_now_ns();
	CHECK_OK(rig_exec(queue, batch, NULL, &hung));
	for (unsigned i = 0; i < ARRAY_LEN(behind); i++) {
		CHECK_OK(rig_exec(queue, store_batch(&b, 2, DATA, 7), NULL, &behind[i]));
	}
	CHECK_OK(fence_wait(hung, PORT_FOREVER, 0));
	took = port_now_ns() - since;
	CHECK(took >= TIMEOUT_MS * MS);
	CHECK(!test_is_sim() || took < 3 * TIMEOUT_MS * MS);
	CHECK_ERR(exec_queue_error(queue), -EIO);
	CHECK_ERR(rig_exec_wait(queue, BATCH), -ECANCELED);
	check_ended(hung, -ECANCELED);
	for (unsigned i = 0; i < ARRAY_LEN(behind); i++) {
		check_ended(behind[i], -ECANCELED);
	}
	CHECK(rig_read32(b.data, 0) != 7);
	CHECK_EQ(b.watch.hangs, 1);
	CHECK_EQ(b.watch.bans, 1);
	CHECK_EQ(b.watch.told, 1);
	CHECK_EQ(b.watch.lost.reason, LOST_TIMEOUT);
	CHECK_EQ(b.watch.lost.batch, batch);
	CHECK_EQ(b.watch.lost.vm, b.vm->id);
	CHECK_EQ(b.watch.lost.engine, RIG_RENDER);
	CHECK(b.watch.lost.ran_ns >= TIMEOUT_MS * MS && b.watch.lost.ran_ns <= took);
	CHECK(b.watch.at >= batch && b.watch.at < batch + SLOT_B);
	rig_queue_done(queue);
	bench_fini(&b);
}

static void test_a_job_that_hangs_is_ended(void)
{
	test_seeds(is_ended, 1, test_scale(12));
}

/* Same engine, same VM; and the VM serves new queues as before. */
static void others_go_on(uint64_t seed)
{
	struct exec_queue *bad, *good;
	struct fence *hung, *fine;
	struct bench b;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	bad = queue_on(&b, RIG_RENDER);
	good = queue_on(&b, RIG_RENDER);
	CHECK_OK(rig_exec(bad, seed & 1 ? spin_batch(&b, 1) : circle_batch(&b, 1), NULL, &hung));
	for (uint32_t i = 1; !fence_is_signalled(hung); i++) {
		CHECK_OK(rig_exec(good, store_batch(&b, 2, DATA, i), NULL, &fine));
		check_ended(fine, 0);
		CHECK_EQ(rig_read32(b.data, 0), i);
		rig_nap(MS);
	}
	check_ended(hung, -ECANCELED);
	CHECK_OK(exec_queue_error(good));
	CHECK(!vm_is_banned(b.vm));
	rig_queue_done(bad);
	bad = queue_on(&b, RIG_RENDER);
	CHECK_OK(rig_exec_wait(bad, store_batch(&b, 3, DATA, 0x55)));
	CHECK_OK(rig_bind(b.vm, rig_map_null(SZ_1G, SZ_64K)));
	CHECK_EQ(rig_read32(b.data, 0), 0x55);
	rig_queue_done(bad);
	rig_queue_done(good);
	bench_fini(&b);
}

static void test_a_hang_is_its_queues_alone(void)
{
	test_seeds(others_go_on, 1, test_scale(12));
}

/* It has the engine to itself for half of its time only: that of the other one is not its own. */
static void test_a_queue_keeps_the_timeout_it_was_made_with(void)
{
	struct exec_queue *brief, *patient;
	struct fence *hung, *fine;
	struct bench b;

	bench_init(&b, SCHEDULE_NORMAL);
	patient = rig_queue_timed(b.device, b.vm, RIG_RENDER, 20 * TIMEOUT_MS);
	brief = rig_queue_timed(b.device, b.vm, RIG_RENDER, TIMEOUT_MS);
	CHECK_OK(rig_exec(patient, spin_batch(&b, 1), NULL, &fine));
	CHECK_OK(rig_exec(brief, spin_batch(&b, 2), NULL, &hung));
	check_ended(hung, -ECANCELED);
	rig_nap(2 * TIMEOUT_MS * MS);
	CHECK(!fence_is_signalled(fine));
	spin_end(&b, 1);
	check_ended(fine, 0);
	CHECK_OK(exec_queue_error(patient));
	CHECK_EQ(b.watch.hangs, 1);
	rig_queue_done(brief);
	rig_queue_done(patient);
	bench_fini(&b);
}

#define SHARING 5

/*
 * Those that spin on one engine have a share of it each. None is ended before it has had its time,
 * though all have waited for longer by then; and all are in the end.
 */
static void take_turns(uint64_t seed)
{
	struct exec_queue *queue[SHARING];
	struct fence *hung[SHARING];
	uint64_t since, took;
	struct bench b;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	for (unsigned i = 0; i < SHARING; i++) {
		queue[i] = queue_on(&b, RIG_RENDER);
	}
	since = port_now_ns();
	for (unsigned i = 0; i < SHARING; i++) {
		CHECK_OK(rig_exec(queue[i], spin_batch(&b, 1 + i), NULL, &hung[i]));
	}
	rig_nap(TIMEOUT_MS * 2 * MS);
	CHECK_EQ(b.watch.hangs, 0);
	for (unsigned i = 0; i < SHARING; i++) {
		CHECK_OK(fence_wait(hung[i], PORT_FOREVER, 0));
	}
	took = port_now_ns() - since;
	CHECK(took >= SHARING * TIMEOUT_MS * MS);
	CHECK_EQ(b.watch.hangs, SHARING);
	for (unsigned i = 0; i < SHARING; i++) {
		check_ended(hung[i], -ECANCELED);
		rig_queue_done(queue[i]);
	}
	bench_fini(&b);
}

static void test_waiting_for_the_engine_is_no_hang(void)
{
	test_seeds(take_turns, 1, test_scale(6));
}

/* Nor is waiting for a fence. */
static void test_waiting_for_a_fence_is_no_hang(void)
{
	struct exec_queue *queue;
	struct fence *in, *out;
	struct bench b;

	bench_init(&b, SCHEDULE_NORMAL);
	queue = queue_on(&b, RIG_RENDER);
	in = rig_fence(b.device);
	CHECK_OK(rig_exec(queue, store_batch(&b, 1, DATA, 3), in, &out));
	rig_nap(3 * TIMEOUT_MS * MS);
	rig_fence_done(in);
	check_ended(out, 0);
	CHECK_EQ(rig_read32(b.data, 0), 3);
	rig_queue_done(queue);
	bench_fini(&b);
}

/* Each job has its own time: many short ones are no long one. */
static void test_every_job_has_its_own_time(void)
{
	struct exec_queue *queue;
	struct fence *fence;
	struct bench b;

	bench_init(&b, SCHEDULE_NORMAL);
	queue = rig_queue_timed(b.device, b.vm, RIG_RENDER, 10 * TIMEOUT_MS);
	for (unsigned i = 0; i < 12; i++) {
		CHECK_OK(rig_exec(queue, spin_batch(&b, 1), NULL, &fence));
		rig_nap(TIMEOUT_MS * MS);
		CHECK(!fence_is_signalled(fence));
		spin_end(&b, 1);
		check_ended(fence, 0);
	}
	rig_queue_done(queue);
	bench_fini(&b);
}

static void test_long_running_work_is_spared(void)
{
	struct exec_queue *queue;
	struct fence *users;
	struct bench b;

	bench_init_on(&b, rig_device(SCHEDULE_NORMAL), VM_LR);
	queue = queue_on(&b, RIG_COMPUTE0);
	CHECK_OK(rig_exec(queue, spin_batch(&b, 1), NULL, &users));
	rig_nap(4 * TIMEOUT_MS * MS);
	CHECK(!fence_is_signalled(users));
	spin_end(&b, 1);
	check_ended(users, 0);
	rig_queue_done(queue);
	bench_fini(&b);
}

/* Closed at any time around the hang. */
static void killed(uint64_t seed)
{
	struct exec_queue *queue;
	struct fence *hung, *behind;
	struct bench b;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	queue = queue_on(&b, RIG_RENDER);
	CHECK_OK(rig_exec(queue, seed & 1 ? spin_batch(&b, 1) : circle_batch(&b, 1), NULL, &hung));
	CHECK_OK(rig_exec(queue, store_batch(&b, 2, DATA, 7), hung, &behind));
	rig_nap((TIMEOUT_MS - 2) * MS + seed * 100000);
	rig_queue_done(queue);
	CHECK(fence_is_signalled(hung) && fence_is_signalled(behind));
	check_ended(hung, -ECANCELED);
	check_ended(behind, -ECANCELED);
	CHECK(b.watch.told == b.watch.hangs && b.watch.told <= 1);
	bench_fini(&b);
}

static void test_closed_around_a_hang(void)
{
	test_seeds(killed, 1, test_scale(60));
}

/* A wide job is lost as one, and told of once. */
static void wide_is_lost(bool by_reset)
{
	const uint8_t engines[] = { RIG_COMPUTE0, RIG_COMPUTE1 };
	struct exec_queue_args args = {
		.width = 2, .placements = 1, .engines = engines,
		.priority = EXEC_PRIORITY_NORMAL, .job_timeout_ms = TIMEOUT_MS,
	};
	uint64_t batches[2];
	struct exec_args submit = { .batches = batches };
	struct exec_queue *queue;
	struct fence *fence;
	struct bench b;

	bench_init(&b, SCHEDULE_NORMAL);
	args.vm = b.vm;
	CHECK_OK(exec_queue_create(b.device, &args, &queue));
	batches[0] = spin_batch(&b, 1);
	batches[1] = spin_batch(&b, 2);
	CHECK_OK(exec_submit(queue, &submit, &fence));
	if (by_reset) {
		rig_nap(10 * MS);
		device_reset(b.device);
	}
	check_ended(fence, -ECANCELED);
	CHECK_EQ(b.watch.told, 1);
	CHECK_EQ(b.watch.lost.batch, batches[b.watch.lost.unit]);
	rig_queue_done(queue);
	bench_fini(&b);
}

static void test_a_unit_that_hangs_takes_the_job_with_it(void)
{
	wide_is_lost(false);
	wide_is_lost(true);
}

static void test_a_fault_is_told_too(void)
{
	struct exec_queue *queue;
	struct bench b;

	bench_init(&b, SCHEDULE_NORMAL);
	queue = queue_on(&b, RIG_RENDER);
	b.watch.queue = queue;
	CHECK_ERR(rig_exec_wait(queue, store_batch(&b, 1, SZ_1G, 1)), -ECANCELED);
	CHECK_EQ(b.watch.told, 1);
	CHECK_EQ(b.watch.lost.reason, LOST_FAULT);
	CHECK_EQ(b.watch.hangs, 0);
	rig_queue_done(queue);
	bench_fini(&b);
}

/* What has begun is lost, on every engine; what has not runs after. */
static void reset(uint64_t seed)
{
	struct exec_queue *begun[2], *idle, *waits;
	struct fence *lost[2], *in, *later;
	struct bench b;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	in = rig_fence(b.device);
	idle = queue_on(&b, RIG_RENDER);
	waits = queue_on(&b, RIG_RENDER);
	CHECK_OK(rig_exec_wait(idle, store_batch(&b, 3, DATA, 0x11)));
	CHECK_OK(rig_exec(waits, store_batch(&b, 4, DATA + 8, 0x22), in, &later));
	for (unsigned i = 0; i < 2; i++) {
		begun[i] = queue_on(&b, i ? RIG_COPY : RIG_RENDER);
		CHECK_OK(rig_exec(begun[i], spin_batch(&b, 1 + i), NULL, &lost[i]));
	}
	rig_nap(10 * MS + seed * 1000); /* less than the timeout, more than any schedule's delay */
	device_reset(b.device);
	for (unsigned i = 0; i < 2; i++) {
		CHECK_ERR(exec_queue_error(begun[i]), -EIO);
		CHECK_ERR(rig_exec_wait(begun[i], BATCH), -ECANCELED);
		check_ended(lost[i], -ECANCELED);
	}
	CHECK_EQ(b.watch.told, 2);
	CHECK_EQ(b.watch.lost.reason, LOST_RESET);
	CHECK_EQ(b.watch.hangs, 0);
	CHECK_EQ(b.watch.bans, 2);
	rig_fence_done(in);
	check_ended(later, 0);
	CHECK_OK(rig_exec_wait(idle, store_batch(&b, 3, DATA, 0x33)));
	CHECK_EQ(rig_read32(b.data, 0), 0x33);
	CHECK_EQ(rig_read32(b.data, 8), 0x22);
	for (unsigned i = 0; i < 2; i++) {
		rig_queue_done(begun[i]);
	}
	rig_queue_done(idle);
	rig_queue_done(waits);
	bench_fini(&b);
}

static void test_a_reset_takes_what_has_begun(void)
{
	test_seeds(reset, 1, test_scale(30));
}

/* And what is on its engine at that moment. */
static void test_a_reset_finds_what_is_being_stepped(void)
{
	struct exec_queue *queue;
	struct bench b;

	bench_init(&b, SCHEDULE_NORMAL);
	b.watch.resets = b.device;
	queue = queue_on(&b, RIG_RENDER);
	CHECK_ERR(rig_exec_wait(queue, store_batch(&b, 1, SZ_1G, 1)), -ECANCELED);
	CHECK_EQ(b.watch.batches, 1);
	CHECK_EQ(b.watch.told, 1);
	device_reset(b.device);
	CHECK_EQ(b.watch.batches, 0);
	rig_queue_done(queue);
	bench_fini(&b);
}

/* Workers let it lie for a while, and nobody else looks at it. */
static void test_what_has_not_begun_outlives_a_reset(void)
{
	struct exec_queue *queue;
	struct fence *fence;
	struct bench b;

	bench_init(&b, SCHEDULE_LAZY);
	queue = queue_on(&b, RIG_RENDER);
	CHECK_OK(rig_exec(queue, store_batch(&b, 1, DATA, 0x77), NULL, &fence));
	device_reset(b.device);
	check_ended(fence, 0);
	CHECK_EQ(rig_read32(b.data, 0), 0x77);
	rig_queue_done(queue);
	bench_fini(&b);
}

/* Again and again, at any time, beside long-running work too. */
struct resets {
	struct device *device;
	atomic_bool stop;
};

static void resets_run(void *arg)
{
	struct resets *r = arg;

	while (!atomic_load(&r->stop)) {
		device_reset(r->device);
		rig_nap(MS / 10);
	}
}

static void under_resets(uint64_t seed)
{
	struct resets r = { 0 };
	struct port_thread *thread;
	unsigned done = 0, lost = 0;
	struct bench b;

	bench_init_on(&b, rig_device(schedules[seed % ARRAY_LEN(schedules)]),
		      seed & 4 ? VM_LR : 0);
	r.device = b.device;
	CHECK_OK(port_thread_create(&thread, "reset", resets_run, &r));
	for (unsigned i = 0; i < 40 || !done || !lost; i++) {
		struct exec_queue *queue = queue_on(&b, i % RIG_ENGINES);
		bool spins = i % 3 == 0;
		uint64_t batch = spins ? spin_batch(&b, 1 + i % 4)
				       : store_batch(&b, 1 + i % 4, DATA, i);
		int ret = rig_exec_wait(queue, batch);

		CHECK(ret == -ECANCELED || (ret == 0 && !spins));
		CHECK(!ret || exec_queue_error(queue) == -EIO);
		done += !ret;
		lost += ret != 0;
		rig_queue_done(queue);
	}
	atomic_store(&r.stop, true);
	port_thread_join(thread);
	CHECK_EQ(b.watch.told, lost);
	bench_fini(&b);
}

static void test_resets_at_any_time(void)
{
	test_seeds(under_resets, 1, test_scale(30));
}

/* ---- those who wait for it ------------------------------------------------------------------- */

#define VRAM ((uint64_t)512 << 10)
#define PAGES 5
#define PAGE(i) (0x10000000 + (uint64_t)(i) * SZ_64K)

static void map_pages(struct bench *b, struct vm *vm, struct bo **bos)
{
	for (unsigned i = 0; i < PAGES; i++) {
		CHECK_OK(bo_create(&b->device->mem, SZ_64K, BIT(MEM_VRAM), &bos[i]));
		CHECK_OK(rig_bind(vm, rig_map(bos[i], PAGE(i), 0, SZ_64K)));
	}
}

/* What it has in VRAM moves when it has been ended, and somebody else gets the place. */
static void gives_way(uint64_t seed)
{
	struct bo *mine[PAGES], *theirs[PAGES], *batch;
	struct exec_queue *bad, *good;
	uint64_t addr[PAGES];
	uint32_t value[PAGES];
	struct fence *hung;
	struct vm *other;
	struct bench b;

	bench_init_on(&b, rig_device_moving(schedules[seed % ARRAY_LEN(schedules)], VRAM), 0);
	other = rig_vm(b.device, 0);
	batch = rig_bo(b.device, SZ_64K, MEM_SYSTEM);
	CHECK_OK(rig_bind(other, rig_map(batch, BATCH, 0, SZ_64K)));
	map_pages(&b, b.vm, mine);
	map_pages(&b, other, theirs);
	bad = queue_on(&b, RIG_RENDER);
	good = rig_queue_timed(b.device, other, seed & 2 ? RIG_RENDER : RIG_COPY, TIMEOUT_MS);
	CHECK_OK(rig_exec(bad, spin_batch(&b, 1), NULL, &hung));
	for (unsigned i = 0; i < PAGES; i++) {
		addr[i] = PAGE(i);
		value[i] = 0x1000 + i;
	}
	rig_batch_stores(batch, 0, addr, value, PAGES);
	CHECK_OK(rig_exec_wait(good, BATCH));
	CHECK(fence_is_signalled(hung));
	for (unsigned i = 0; i < PAGES; i++) {
		uint64_t got;

		CHECK_OK(rig_load64(other, PAGE(i), &got));
		CHECK_EQ((uint32_t)got, value[i]);
		bo_put(mine[i]);
		bo_put(theirs[i]);
	}
	check_ended(hung, -ECANCELED);
	rig_queue_done(bad);
	rig_queue_done(good);
	rig_vm_done(other);
	bo_put(batch);
	bench_fini(&b);
}

static void test_a_move_that_waits_for_a_hung_job_gets_through(void)
{
	test_seeds(gives_way, 1, test_scale(12));
}

/* ---- many at once ---------------------------------------------------------------------------- */

#define CROWD 8
#define ROUNDS 12

struct member {
	struct bench *b;
	struct exec_queue *queue;
	struct port_thread *thread;
	unsigned slot, hangs_at; /* ROUNDS: never */
};

static void member_run(void *arg)
{
	struct member *m = arg;
	struct fence *fence[ROUNDS];
	unsigned n;

	for (n = 0; n < ROUNDS; n++) {
		uint64_t batch = BATCH + m->slot * SLOT_B + n * 32;
		uint64_t addr = DATA + 0x200 + m->slot * 4;
		uint32_t value = n + 1;

		if (n == m->hangs_at) {
			batch = BATCH + m->slot * SLOT_B + HALF_B;
		} else {
			rig_batch_stores(m->b->batch, batch - BATCH, &addr, &value, 1);
		}
		if (rig_exec(m->queue, batch, NULL, &fence[n])) {
			CHECK(m->hangs_at < n); /* has been ended while we were at it */
			break;
		}
	}
	CHECK(n > m->hangs_at || n == ROUNDS);
	for (unsigned i = 0; i < n; i++) {
		check_ended(fence[i], i < m->hangs_at ? 0 : -ECANCELED);
	}
	CHECK_EQ(rig_read32(m->b->data, 0x200 + m->slot * 4), min_u64(m->hangs_at, ROUNDS));
	CHECK_ERR(exec_queue_error(m->queue), m->hangs_at < ROUNDS ? -EIO : 0);
}

static void crowd(uint64_t seed)
{
	struct member member[CROWD];
	unsigned hang = 0;
	struct bench b;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	for (unsigned i = 0; i < CROWD; i++) {
		struct member *m = &member[i];
		uint64_t random = port_random();

		*m = (struct member){ .b = &b, .slot = 1 + i, .hangs_at = ROUNDS };
		m->queue = queue_on(&b, random % 2 ? RIG_RENDER : RIG_COPY);
		if (random / 2 % 2) {
			m->hangs_at = random / 4 % ROUNDS;
			rig_write32(b.data, 0x100, 1);
			rig_batch_spin(b.batch, m->slot * SLOT_B + HALF_B,
				       BATCH + m->slot * SLOT_B + HALF_B, DATA + 0x100);
			hang++;
		}
		rig_write32(b.data, 0x200 + m->slot * 4, 0);
	}
	for (unsigned i = 0; i < CROWD; i++) {
		CHECK_OK(port_thread_create(&member[i].thread, "member", member_run, &member[i]));
	}
	for (unsigned i = 0; i < CROWD; i++) {
		port_thread_join(member[i].thread);
		rig_queue_done(member[i].queue);
	}
	CHECK_EQ(b.watch.hangs, hang);
	CHECK_EQ(b.watch.told, hang);
	bench_fini(&b);
}

static void test_among_many_only_those_that_hang_are_lost(void)
{
	test_seeds(crowd, 1, test_scale(30));
}

static const struct test_case cases[] = {
	TEST(test_a_job_that_hangs_is_ended),
	TEST(test_a_hang_is_its_queues_alone),
	TEST(test_a_queue_keeps_the_timeout_it_was_made_with),
	TEST(test_waiting_for_the_engine_is_no_hang),
	TEST(test_waiting_for_a_fence_is_no_hang),
	TEST(test_every_job_has_its_own_time),
	TEST(test_long_running_work_is_spared),
	TEST(test_closed_around_a_hang),
	TEST(test_a_unit_that_hangs_takes_the_job_with_it),
	TEST(test_a_fault_is_told_too),
	TEST(test_a_reset_takes_what_has_begun),
	TEST(test_a_reset_finds_what_is_being_stepped),
	TEST(test_what_has_not_begun_outlives_a_reset),
	TEST(test_resets_at_any_time),
	TEST(test_a_move_that_waits_for_a_hung_job_gets_through),
	TEST(test_among_many_only_those_that_hang_are_lost),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
