// SPDX-License-Identifier: MIT
/* Whose turn it is on an engine: priorities, timeslices, spinners (P4). */
#include "rig.h"

#define BATCH 0x100000
#define DATA 0x800000
#define QUEUES 4
#define WORK(q) (SZ_1G + (q) * (uint64_t)WORK_B)
#define WORK_B (2 * SZ_2M)
#define COUNT(q) (256u * (q))     /* in the data: how much of its work is done */
#define FLAG(q) (256u * (q) + 64) /* it goes on while this is not 0 */
#define RESULT(q) (256u * (q) + 128)
#define STEP 4096                 /* commands in one */
#define MANY (STEP * 50)
#define LONG_US 10000000u         /* a slice that does not end */
#define SPAN_NS ((uint64_t)1000000)

enum { LOW, NORMAL, HIGH };

/* Not eager, in which who submits work runs it. */
static const enum device_schedule schedules[] = {
	SCHEDULE_NORMAL, SCHEDULE_LAZY, SCHEDULE_ADVERSARIAL,
};

/* Queues of one engine, but for those that say otherwise. */
struct bench {
	struct device *device;
	struct vm *vm;
	struct bo *batch, *data, *work[QUEUES];
	struct exec_queue *queue[QUEUES];
	struct exec_usage usage; /* of all of them */
};

static void bench_init(struct bench *b, enum device_schedule schedule)
{
	memset(b, 0, sizeof(*b));
	b->device = rig_device(schedule);
	b->vm = rig_vm(b->device, 0);
	b->batch = rig_bo(b->device, SZ_64K, MEM_SYSTEM);
	b->data = rig_bo(b->device, SZ_64K, MEM_VRAM);
	memset(bo_host(b->data), 0, SZ_4K);
	CHECK_OK(rig_bind(b->vm, rig_map(b->batch, BATCH, 0, SZ_64K)));
	CHECK_OK(rig_bind(b->vm, rig_map(b->data, DATA, 0, SZ_64K)));
}

static void bench_fini(struct bench *b)
{
	for (unsigned q = 0; q < QUEUES; q++) {
		if (b->queue[q]) {
			rig_queue_done(b->queue[q]);
		}
		bo_put(b->work[q]);
	}
	rig_vm_done(b->vm);
	bo_put(b->batch);
	bo_put(b->data);
	device_destroy(b->device);
}

static void queue_init_on(struct bench *b, unsigned q, uint8_t engine, int priority,
			  uint32_t timeslice_us)
{
	struct exec_queue_args args = {
		.vm = b->vm, .width = 1, .placements = 1, .engines = &engine,
		.priority = priority, .timeslice_us = timeslice_us, .usage = &b->usage,
	};

	CHECK_OK(exec_queue_create(b->device, &args, &b->queue[q]));
}

static void queue_init(struct bench *b, unsigned q, int priority, uint32_t timeslice_us)
{
	queue_init_on(b, q, RIG_RENDER, priority, timeslice_us);
}

static void nap(void)
{
	/* Simulated engines have done much in a short time. */
	rig_nap(test_is_sim() ? 5000 : 100000);
}

static uint32_t done(const struct bench *b, unsigned q)
{
	return rig_read32(b->data, COUNT(q));
}

/* Nobody helps meanwhile. */
static void wait_for_work(struct bench *b, unsigned q, uint32_t n)
{
	uint32_t before = done(b, q);

	while (done(b, q) - before < n) {
		nap();
	}
}

/*
 * Work without an end, until end(). A jump back may count as polling, so there are few: the batch
 * is as long as a hundred steps.
 */
static struct fence *work(struct bench *b, unsigned q)
{
	struct fence *fence;
	uint32_t *cs;
	uint64_t at;

	b->work[q] = rig_bo(b->device, WORK_B, MEM_SYSTEM);
	CHECK_OK(rig_bind(b->vm, rig_map(b->work[q], WORK(q), 0, WORK_B)));
	cs = bo_host(b->work[q]);
	for (at = 0; at < WORK_B - SZ_4K; at += 12) {
		*cs++ = 0x2fu << 23 | 5u << 8 | 1; /* MI_ATOMIC, increment */
		*cs++ = DATA + COUNT(q);
		*cs++ = 0;
	}
	rig_batch_spin(b->work[q], at, WORK(q), DATA + FLAG(q));
	rig_write32(b->data, FLAG(q), 1);
	CHECK_OK(rig_exec(b->queue[q], WORK(q), NULL, &fence));
	wait_for_work(b, q, 1);
	return fence;
}

/* It only looks whether it is to end. */
static struct fence *spin(struct bench *b, unsigned q)
{
	struct fence *fence;

	rig_batch_spin(b->batch, q * SZ_4K, BATCH + q * SZ_4K, DATA + FLAG(q));
	rig_write32(b->data, FLAG(q), 1);
	CHECK_OK(rig_exec(b->queue[q], BATCH + q * SZ_4K, NULL, &fence));
	return fence;
}

/* Work that is done at once when it has its turn: keeps the count of @of. */
static struct fence *look(struct bench *b, unsigned q, unsigned of)
{
	uint32_t *cs = (uint32_t *)((char *)bo_host(b->batch) + q * SZ_4K);
	struct fence *fence;

	cs[0] = 0x2eu << 23 | 3; /* MI_COPY_MEM_MEM */
	cs[1] = DATA + RESULT(q);
	cs[2] = 0;
	cs[3] = DATA + COUNT(of);
	cs[4] = 0;
	cs[5] = 0x0au << 23; /* MI_BATCH_BUFFER_END */
	CHECK_OK(rig_exec(b->queue[q], BATCH + q * SZ_4K, NULL, &fence));
	return fence;
}

static void end(struct bench *b, unsigned q, struct fence *fence)
{
	CHECK(!fence_is_signalled(fence));
	rig_write32(b->data, FLAG(q), 0);
	rig_wait(fence);
}

static void lower_ones_wait(enum device_schedule schedule)
{
	struct fence *high, *low[2];
	struct bench b;

	bench_init(&b, schedule);
	queue_init(&b, 0, LOW, 0);
	queue_init(&b, 1, NORMAL, 0);
	queue_init(&b, 2, HIGH, 0);
	high = work(&b, 2);
	low[0] = look(&b, 0, 2);
	low[1] = look(&b, 1, 2);
	wait_for_work(&b, 2, MANY);
	/* One who waits for them does not get them done either. */
	CHECK_ERR(fence_wait(low[0], port_now_ns() + 50000, 0), -ETIMEDOUT);
	CHECK(!fence_is_signalled(low[1]));
	end(&b, 2, high);
	rig_wait(low[0]);
	rig_wait(low[1]);
	bench_fini(&b);
}

static void test_lower_priorities_wait(void)
{
	for (unsigned i = 0; i < ARRAY_LEN(schedules); i++) {
		lower_ones_wait(schedules[i]);
	}
}

/* Between equals it takes the rest of a slice; from those below it the next step. */
static void test_a_higher_priority_has_the_next_step(void)
{
	struct fence *low, *high;
	struct bench b;
	uint32_t before;

	bench_init(&b, SCHEDULE_NORMAL);
	queue_init(&b, 0, LOW, LONG_US);
	queue_init(&b, 1, NORMAL, 0);
	low = work(&b, 0);
	for (unsigned i = 0; i < 10; i++) {
		high = look(&b, 1, 0);
		before = done(&b, 0);
		rig_wait(high);
		/* No more than the step that was under way when it came. */
		CHECK((int32_t)(rig_read32(b.data, RESULT(1)) - before) <= STEP);
		wait_for_work(&b, 0, STEP);
	}
	end(&b, 0, low);
	bench_fini(&b);
}

static void test_a_slice_is_kept(void)
{
	struct fence *one, *other;
	struct bench b;

	bench_init(&b, SCHEDULE_NORMAL);
	queue_init(&b, 0, NORMAL, LONG_US);
	queue_init(&b, 1, NORMAL, LONG_US);
	one = work(&b, 0);
	other = look(&b, 1, 0);
	wait_for_work(&b, 0, MANY);
	CHECK(!fence_is_signalled(other));
	end(&b, 0, one);
	rig_wait(other);
	bench_fini(&b);
}

static void equal_ones_share(enum device_schedule schedule, uint32_t timeslice_us)
{
	struct fence *fence[3];
	struct bench b;

	bench_init(&b, schedule);
	for (unsigned q = 0; q < ARRAY_LEN(fence); q++) {
		queue_init(&b, q, NORMAL, timeslice_us);
		fence[q] = work(&b, q);
	}
	for (unsigned i = 0; i < 3 * ARRAY_LEN(fence); i++) {
		wait_for_work(&b, i % ARRAY_LEN(fence), STEP);
	}
	for (unsigned q = 0; q < ARRAY_LEN(fence); q++) {
		end(&b, q, fence[q]);
	}
	bench_fini(&b);
}

static void test_slices_end(void)
{
	struct fence *one, *other;
	struct bench b;
	uint32_t before;

	bench_init(&b, SCHEDULE_NORMAL);
	queue_init(&b, 0, NORMAL, 100);
	queue_init(&b, 1, NORMAL, 100);
	one = work(&b, 0);
	other = look(&b, 1, 0);
	before = done(&b, 0);
	rig_wait(other);
	/* Long before it would have jumped back often enough to yield. */
	CHECK((int32_t)(rig_read32(b.data, RESULT(1)) - before) <= 500 * STEP);
	end(&b, 0, one);
	bench_fini(&b);
	for (unsigned i = 0; i < ARRAY_LEN(schedules); i++) {
		equal_ones_share(schedules[i], 0);
		equal_ones_share(schedules[i], 10);
	}
}

/* What only polls leaves the engine to others, and yet sees soon what it waits for. */
static void test_a_spinner_of_high_priority_starves_nobody(void)
{
	struct fence *high, *normal, *low;
	struct bench b;

	bench_init(&b, SCHEDULE_NORMAL);
	queue_init(&b, 0, LOW, LONG_US);
	queue_init(&b, 1, NORMAL, LONG_US);
	queue_init(&b, 2, HIGH, LONG_US);
	high = spin(&b, 2);
	low = work(&b, 0);
	wait_for_work(&b, 0, MANY);
	normal = work(&b, 1);
	wait_for_work(&b, 1, MANY);
	/* The one below waits for ever, at the head of the line. */
	end(&b, 2, high);
	wait_for_work(&b, 1, MANY);
	end(&b, 1, normal);
	wait_for_work(&b, 0, MANY);
	end(&b, 0, low);
	bench_fini(&b);
}

/* Nothing but polling: priorities do not matter. */
static void test_spinners_all_get_to_look(void)
{
	struct fence *fence[3];
	struct bench b;

	bench_init(&b, SCHEDULE_NORMAL);
	for (unsigned q = 0; q < ARRAY_LEN(fence); q++) {
		queue_init(&b, q, (int)q, 0);
		fence[q] = spin(&b, q);
	}
	for (unsigned q = 0; q < ARRAY_LEN(fence); q++) {
		end(&b, q, fence[q]);
	}
	bench_fini(&b);
}

/* Does a store of a long-running VM get done while dma-fence work spins on the render engine? */
static void beside_a_spinner(unsigned flags, unsigned engine, bool done_wanted)
{
	struct fence *spinner, *fence;
	struct exec_queue *queue;
	uint64_t addr = DATA + RESULT(1);
	uint32_t value = 0x77;
	struct vm *vm;
	struct bench b;

	bench_init(&b, SCHEDULE_NORMAL);
	queue_init(&b, 0, NORMAL, 0);
	vm = rig_vm(b.device, VM_LR | flags);
	queue = rig_queue(b.device, vm, engine);
	CHECK_OK(rig_bind(vm, rig_map(b.batch, BATCH, 0, SZ_64K)));
	CHECK_OK(rig_bind(vm, rig_map(b.data, DATA, 0, SZ_64K)));
	rig_batch_stores(b.batch, SZ_4K, &addr, &value, 1);
	/* Once with the queue still to be resumed, once after that. */
	for (unsigned i = 0; i < 2; i++) {
		rig_write32(b.data, RESULT(1), 0);
		spinner = spin(&b, 0);
		CHECK_OK(rig_exec(queue, BATCH + SZ_4K, NULL, &fence));
		for (unsigned n = 0; n < 20 || (done_wanted && !fence_is_signalled(fence)); n++) {
			nap();
		}
		CHECK_EQ(rig_read32(b.data, RESULT(1)), done_wanted ? value : 0);
		end(&b, 0, spinner);
		rig_wait(fence);
		CHECK_EQ(rig_read32(b.data, RESULT(1)), value);
	}
	rig_queue_done(queue);
	rig_vm_done(vm);
	bench_fini(&b);
}

static void test_R15_work_with_faults_gives_way(void)
{
	beside_a_spinner(VM_FAULT, RIG_RENDER, false);
	beside_a_spinner(VM_FAULT, RIG_COMPUTE0, false);
	beside_a_spinner(VM_FAULT, RIG_COPY, true);
	beside_a_spinner(0, RIG_RENDER, true);
}

#define SEEN_NS ((uint64_t)10000000)

/*
 * All engines spin; of @n that are ended in turn, how many go on for longer than they may? The wait
 * begins at once, or after a while in which nobody has helped.
 */
static unsigned seen_late(enum device_schedule schedule, unsigned n)
{
	struct fence *fence[RIG_ENGINES];
	unsigned late = 0;
	struct bench b;

	_Static_assert(RIG_ENGINES <= QUEUES, "a queue for each");
	bench_init(&b, schedule);
	for (unsigned q = 0; q < RIG_ENGINES; q++) {
		queue_init_on(&b, q, (uint8_t)q, NORMAL, 0);
		fence[q] = spin(&b, q);
	}
	for (unsigned i = 0; i < n; i++) {
		unsigned q = i % RIG_ENGINES;
		uint64_t since;

		if (port_random() % 4 == 0) {
			nap();
		}
		since = port_now_ns();
		end(&b, q, fence[q]);
		late += port_now_ns() - since > SEEN_NS;
		fence[q] = spin(&b, q);
	}
	for (unsigned q = 0; q < RIG_ENGINES; q++) {
		end(&b, q, fence[q]);
	}
	bench_fini(&b);
	return late;
}

static void test_a_write_that_ends_a_spinner_is_seen_within_10_ms(void)
{
	unsigned n = test_scale(test_is_sim() ? 100 : 1000);

	for (unsigned i = 0; i < ARRAY_LEN(schedules); i++) {
		/* With real threads one may be kept off its core for so long; seldom. */
		CHECK(seen_late(schedules[i], n) <= (test_is_sim() ? 0 : n / 50));
	}
}

static uint64_t ran_ns(struct bench *b, enum gpu_class class)
{
	return atomic_load(&b->usage.ran_ns[class]);
}

static void wait_for_usage(struct bench *b, enum gpu_class class, uint64_t ns)
{
	uint64_t before = ran_ns(b, class);

	while (ran_ns(b, class) - before < ns) {
		nap();
	}
}

/* Two that spin on one engine have it all of the time together, and no more. */
static void usage_is_the_time_on_engines(enum device_schedule schedule)
{
	struct fence *one, *other;
	uint64_t start, wall, used;
	struct bench b;

	bench_init(&b, schedule);
	queue_init(&b, 0, NORMAL, 0);
	queue_init(&b, 1, NORMAL, LONG_US);
	queue_init_on(&b, 2, RIG_COPY, NORMAL, 0);
	start = port_now_ns();
	one = spin(&b, 0);
	other = spin(&b, 1);
	wait_for_usage(&b, GPU_CLASS_RENDER, 20 * SPAN_NS);
	end(&b, 0, one);
	end(&b, 1, other);
	wall = port_now_ns() - start;
	used = ran_ns(&b, GPU_CLASS_RENDER);
	CHECK(used <= wall);
	/* Only virtual time is exact; lazy leaves new work lying for a while. */
	CHECK(!test_is_sim() || used >= wall / 4 * 3);
	CHECK_EQ(ran_ns(&b, GPU_CLASS_COPY), 0);
	/* A queue that is gone still counts, and the next one from there on. */
	rig_queue_done(b.queue[0]);
	b.queue[0] = NULL;
	nap();
	CHECK_EQ(ran_ns(&b, GPU_CLASS_RENDER), used);
	one = spin(&b, 1);
	other = spin(&b, 2);
	wait_for_usage(&b, GPU_CLASS_COPY, SPAN_NS);
	end(&b, 1, one);
	end(&b, 2, other);
	wall = port_now_ns() - start;
	CHECK(ran_ns(&b, GPU_CLASS_RENDER) > used && ran_ns(&b, GPU_CLASS_RENDER) <= wall);
	CHECK(ran_ns(&b, GPU_CLASS_COPY) <= wall);
	bench_fini(&b);
}

static void test_usage_is_the_time_on_engines(void)
{
	for (unsigned i = 0; i < ARRAY_LEN(schedules); i++) {
		usage_is_the_time_on_engines(schedules[i]);
	}
}

/* Whoever hears that a job has ended, by its fence, finds all of its time. */
static void test_usage_is_counted_before_the_fence(void)
{
	struct fence *fence;
	struct bench b;
	uint64_t used;

	bench_init(&b, SCHEDULE_NORMAL);
	queue_init(&b, 0, NORMAL, 0);
	for (unsigned i = 0; i < 20; i++) {
		uint64_t before = ran_ns(&b, GPU_CLASS_RENDER);

		fence = look(&b, 0, 0);
		rig_wait(fence);
		used = ran_ns(&b, GPU_CLASS_RENDER);
		CHECK(used > before || test_is_sim()); /* where it may take no time */
		nap();
		CHECK_EQ(ran_ns(&b, GPU_CLASS_RENDER), used);
	}
	bench_fini(&b);
}

static const struct test_case cases[] = {
	TEST(test_lower_priorities_wait),
	TEST(test_a_higher_priority_has_the_next_step),
	TEST(test_a_slice_is_kept),
	TEST(test_slices_end),
	TEST(test_a_spinner_of_high_priority_starves_nobody),
	TEST(test_spinners_all_get_to_look),
	TEST(test_R15_work_with_faults_gives_way),
	TEST(test_a_write_that_ends_a_spinner_is_seen_within_10_ms),
	TEST(test_usage_is_the_time_on_engines),
	TEST(test_usage_is_counted_before_the_fence),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
