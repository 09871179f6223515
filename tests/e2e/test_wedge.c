// SPDX-License-Identifier: MIT
/* A device that gives up: everything that was asked of it ends, and nothing more is taken. */
#include "rig.h"

#define BATCH 0x100000
#define DATA 0x800000
#define SLOT_B SZ_4K
#define MS ((uint64_t)1000000)
#define TIMEOUT_MS 50

static const enum device_schedule schedules[] = {
	SCHEDULE_NORMAL, SCHEDULE_EAGER, SCHEDULE_LAZY, SCHEDULE_ADVERSARIAL,
};

struct bench {
	struct device *device;
	struct event_reader reader;
	atomic_uint wedges;
	struct vm *vm, *lr;
	struct bo *batch, *data;
};

static void watch(struct event_reader *reader, const struct event *event)
{
	struct bench *b = container_of(reader, struct bench, reader);

	if (event->type == EVENT_WEDGE) {
		atomic_fetch_add(&b->wedges, 1);
	}
}

static void bench_init(struct bench *b, enum device_schedule schedule)
{
	memset(b, 0, sizeof(*b));
	b->device = rig_device(schedule);
	b->reader.read = watch;
	event_attach(&b->device->events, &b->reader);
	b->vm = rig_vm(b->device, 0);
	b->lr = rig_vm(b->device, VM_LR);
	b->batch = rig_bo(b->device, SZ_64K, MEM_SYSTEM);
	b->data = rig_bo(b->device, SZ_64K, MEM_VRAM);
	CHECK_OK(rig_bind(b->vm, rig_map(b->batch, BATCH, 0, SZ_64K)));
	CHECK_OK(rig_bind(b->vm, rig_map(b->data, DATA, 0, SZ_64K)));
	CHECK_OK(rig_bind(b->lr, rig_map(b->batch, BATCH, 0, SZ_64K)));
}

static void bench_fini(struct bench *b)
{
	rig_vm_done(b->vm);
	rig_vm_done(b->lr);
	bo_put(b->batch);
	bo_put(b->data);
	event_detach(&b->device->events, &b->reader);
	device_destroy(b->device);
}

/* Spins for ever. */
static uint64_t spin_batch(struct bench *b, unsigned slot)
{
	uint64_t flag = (slot + 1) * SLOT_B - 4;

	rig_write32(b->batch, flag, 1);
	rig_batch_spin(b->batch, slot * SLOT_B, BATCH + slot * SLOT_B, BATCH + flag);
	return BATCH + slot * SLOT_B;
}

static uint64_t store_batch(struct bench *b, unsigned slot, uint32_t value)
{
	uint64_t addr = DATA;

	rig_batch_stores(b->batch, slot * SLOT_B, &addr, &value, 1);
	return BATCH + slot * SLOT_B;
}

static void check_ended(struct fence *fence, int error)
{
	CHECK_OK(fence_wait(fence, PORT_FOREVER, 0));
	CHECK_ERR(fence_error(fence), error);
	fence_put(fence);
}

/* What runs, what is queued behind it, what waits for the client, what is long-running. */
static void everything_ends(uint64_t seed)
{
	struct exec_queue *runs, *waits, *lr, *idle, *late;
	struct fence *never, *fence[4], *out;
	struct bench b;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	never = rig_fence(b.device);
	runs = rig_queue(b.device, b.vm, RIG_RENDER);
	waits = rig_queue(b.device, b.vm, RIG_COPY);
	lr = rig_queue(b.device, b.lr, RIG_COMPUTE0);
	idle = rig_queue(b.device, b.vm, RIG_COPY);
	store_batch(&b, 0, 7);
	rig_write32(b.data, 0, 1);
	CHECK_OK(rig_exec(runs, spin_batch(&b, 1), NULL, &fence[0]));
	CHECK_OK(rig_exec(runs, BATCH, NULL, &fence[1]));
	CHECK_OK(rig_exec(waits, BATCH, never, &fence[2]));
	CHECK_OK(rig_exec(lr, spin_batch(&b, 2), NULL, &fence[3]));
	CHECK(!device_is_wedged(b.device));
	device_wedge(b.device);
	device_wedge(b.device);
	CHECK(device_is_wedged(b.device));
	CHECK_EQ(b.wedges, 1);
	for (unsigned i = 0; i < ARRAY_LEN(fence); i++) {
		check_ended(fence[i], -ECANCELED);
	}
	CHECK_EQ(rig_read32(b.data, 0), 1);
	CHECK_ERR(exec_queue_error(runs), -ECANCELED);
	CHECK_ERR(exec_queue_error(idle), -ECANCELED);
	CHECK_ERR(rig_exec(idle, BATCH, NULL, &out), -ECANCELED);
	late = rig_queue(b.device, b.vm, RIG_COPY);
	CHECK_ERR(rig_exec(late, BATCH, NULL, &out), -ECANCELED);
	CHECK_OK(rig_bind(b.vm, rig_unmap(DATA, SZ_64K)));
	rig_fence_done(never);
	rig_queue_done(runs);
	rig_queue_done(waits);
	rig_queue_done(lr);
	rig_queue_done(idle);
	rig_queue_done(late);
	bench_fini(&b);
}

static void test_everything_ends(void)
{
	test_seeds(everything_ends, 0, test_scale(12));
}

/* Only in the last mode does one job that hangs, or faults, take the others with it. */
static void modes(uint64_t seed)
{
	enum device_wedge_mode mode = seed % WEDGE_MODES;
	bool faults = seed / WEDGE_MODES % 2, all = mode == WEDGE_UPON_HANG;
	struct exec_queue *bad, *good;
	struct fence *hung, *other;
	struct bench b;

	bench_init(&b, schedules[seed / WEDGE_MODES / 2 % ARRAY_LEN(schedules)]);
	CHECK_EQ(atomic_load(&b.device->wedge_mode), WEDGE_UPON_FAILURE);
	atomic_store(&b.device->wedge_mode, mode);
	bad = rig_queue_timed(b.device, b.vm, RIG_RENDER, TIMEOUT_MS);
	good = rig_queue_timed(b.device, b.lr, RIG_COPY, 0);
	CHECK_OK(rig_exec(good, spin_batch(&b, 2), NULL, &other));
	CHECK_OK(rig_exec(bad, faults ? BATCH + SZ_64K : spin_batch(&b, 1), NULL, &hung));
	check_ended(hung, -ECANCELED);
	CHECK_ERR(exec_queue_error(bad), -EIO);
	if (!all) {
		CHECK(!fence_is_signalled(other) && !exec_queue_error(good));
		exec_queue_kill(good);
		fence_put(other);
	} else {
		check_ended(other, -ECANCELED);
		CHECK_ERR(exec_queue_error(good), -ECANCELED);
	}
	CHECK_EQ(device_is_wedged(b.device), all);
	CHECK_EQ(b.wedges, all);
	rig_queue_done(bad);
	rig_queue_done(good);
	bench_fini(&b);
}

static void test_a_hang_wedges_if_that_is_wanted(void)
{
	test_seeds(modes, 0, 4 * 2 * WEDGE_MODES);
}

/* The queues from before stay banned. */
static void test_a_driver_that_comes_back_takes_work(void)
{
	struct exec_queue *before, *after;
	struct bench b;

	bench_init(&b, SCHEDULE_NORMAL);
	atomic_store(&b.device->wedge_mode, WEDGE_UPON_HANG);
	before = rig_queue(b.device, b.vm, RIG_COPY);
	device_wedge(b.device);
	device_unwedge(b.device);
	CHECK(!device_is_wedged(b.device));
	CHECK_EQ(atomic_load(&b.device->wedge_mode), WEDGE_UPON_FAILURE);
	after = rig_queue(b.device, b.vm, RIG_COPY);
	CHECK_ERR(rig_exec_wait(before, store_batch(&b, 0, 7)), -ECANCELED);
	CHECK_OK(rig_exec_wait(after, BATCH));
	CHECK_EQ(rig_read32(b.data, 0), 7);
	rig_queue_done(before);
	rig_queue_done(after);
	bench_fini(&b);
}

/* ---- at any time ----------------------------------------------------------------------------- */

#define CROWD 4
#define ROUNDS 200

struct member {
	struct bench *b;
	struct port_thread *thread;
	unsigned engine;
	bool lr;
};

/* Queues come and go with work in them, until one takes none. */
static void member_run(void *arg)
{
	struct member *m = arg;
	struct vm *vm = m->lr ? m->b->lr : m->b->vm;
	bool refused = false;

	while (!refused) {
		struct exec_queue *queue = rig_queue(m->b->device, vm, m->engine);
		struct fence *fence[3];
		unsigned n = 0;

		while (!refused && n < ARRAY_LEN(fence)) {
			bool spins = n == ARRAY_LEN(fence) - 1 && port_random() % 2;
			int ret = rig_exec(queue, BATCH + (spins ? SLOT_B : 0), NULL, &fence[n]);

			CHECK(ret == 0 || ret == -ECANCELED);
			refused = ret;
			n += !ret;
		}
		exec_queue_kill(queue);
		for (unsigned i = 0; i < n; i++) {
			CHECK_OK(fence_wait(fence[i], PORT_FOREVER, 0));
			CHECK(!fence_error(fence[i]) || fence_error(fence[i]) == -ECANCELED);
			fence_put(fence[i]);
		}
		CHECK(exec_queue_error(queue));
		exec_queue_put(queue);
	}
	CHECK(device_is_wedged(m->b->device));
}

static void wedged_at_any_time(uint64_t seed)
{
	struct member member[CROWD];
	struct fence *out;
	struct bench b;

	bench_init(&b, schedules[seed % ARRAY_LEN(schedules)]);
	CHECK_OK(rig_bind(b.lr, rig_map(b.data, DATA, 0, SZ_64K)));
	store_batch(&b, 0, 7);
	spin_batch(&b, 1);
	for (unsigned i = 0; i < CROWD; i++) {
		member[i] = (struct member){ .b = &b, .engine = i % RIG_ENGINES, .lr = i & 1 };
		CHECK_OK(port_thread_create(&member[i].thread, "member", member_run, &member[i]));
	}
	for (uint64_t n = port_random() % ROUNDS; n; n--) {
		device_help(b.device);
		port_relax();
	}
	device_wedge(b.device);
	for (unsigned i = 0; i < CROWD; i++) {
		struct exec_queue *late;

		port_thread_join(member[i].thread);
		late = rig_queue(b.device, b.vm, RIG_COPY);
		CHECK_ERR(rig_exec(late, BATCH, NULL, &out), -ECANCELED);
		rig_queue_done(late);
	}
	CHECK_EQ(b.wedges, 1);
	bench_fini(&b);
}

static void test_wedged_at_any_time(void)
{
	test_seeds(wedged_at_any_time, 1, test_scale(40));
}

static const struct test_case cases[] = {
	TEST(test_everything_ends),
	TEST(test_a_hang_wedges_if_that_is_wanted),
	TEST(test_a_driver_that_comes_back_takes_work),
	TEST(test_wedged_at_any_time),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
