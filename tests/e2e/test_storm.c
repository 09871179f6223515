// SPDX-License-Identifier: MIT
/*
 * A storm: jobs that hang or fault, resets of all engines and queues that are killed, while others
 * work and VRAM is too small for all.
 *
 * Each thread makes a queue, submits a row of jobs, waits for their fences and compares; over and
 * over. A job stores its number; some do not end by themselves. Whatever happens, every fence
 * signals, the jobs of a queue succeed up to one and fail from there on, and for that one there is
 * a reason: it was told of as lost, or the queue was killed. Only a job that was made to hang is
 * lost by a timeout, and only one that was made to fault by a fault; an innocent one is lost if it
 * had begun when the engines were reset, else never. With real threads no innocent one waits for
 * the clock, which on a busy machine may stand for longer than a job may have.
 *
 * VMBIND_SOAK_HANGS: how many timeouts and faults there are to be with real threads.
 * VMBIND_SOAK_FIRST, VMBIND_SOAK_SEEDS: which seeds in the simulator. VMBIND_SIM_SEED: just this
 * one, in both.
 */
#include "rig.h"

#include <stdio.h>
#include <stdlib.h>

#define THREADS 8
#define JOBS 6       /* in a row */
#define SIM_ROUNDS 3 /* of each thread */
#define TIMEOUT_MS 20
#define MS ((uint64_t)1000000)

#define VRAM ((uint64_t)1 << 20)
#define PAGES 3      /* of 64 KiB, in VRAM, of each VM */
#define PAGE(i) (0x10000000 + (uint64_t)(i) * SZ_64K)
#define BATCH 0x100000
#define DATA 0x800000
#define FLAG 0x100   /* in the data: SPINS spin until it is 0, which it never is */
#define CLOCK 0x108  /* likewise: counts up, and WAITS wait for that */
#define TICK_NS ((uint64_t)100000)
#define NOWHERE ((uint64_t)1 << 40)
#define SLOT_B 512   /* a batch of one unit of a job */
#define UNITS 2

enum kind {
	STORES,
	WAITS,   /* for the clock, and then stores */
	SPINS,   /* looks at memory */
	CIRCLES, /* never lets go by itself */
	FAULTS,
	KINDS,
};

struct member {
	struct storm *storm;
	struct port_thread *thread;
	unsigned index;
	uint64_t random;
	struct vm *vm;
	bool lr;
	struct bo *batch, *data, *page[PAGES];

	/* The row that is on its way. */
	struct exec_queue *queue;
	unsigned width;
	enum kind kind[JOBS];
	struct fence *fence[JOBS];
	unsigned submitted;
	bool killed;
	atomic_uint told;        /* of its queue, by the hook */
	struct device_lost lost; /* if so */
};

struct storm {
	struct device *device;
	struct event_reader reader;
	struct member member[THREADS];
	atomic_uint hangs, faults; /* that were told of */
	atomic_bool over;
	unsigned wanted;           /* hangs and faults; 0: rounds are counted */
	struct port_mutex lock;    /* of .recent, and of which queue a member has */
	struct fence *recent[THREADS];
};

static struct port_lock_class storm_class = { .name = "storm", .rank = RANK_LEAF };
static atomic_ullong done_jobs, lost_hung, lost_faulted, lost_reset, killed_queues;

static uint64_t draw(struct member *m, uint64_t n)
{
	m->random = m->random * 6364136223846793005u + 1442695040888963407u;
	return (m->random >> 33) % n;
}

/* Comes before the ban, so the member that has this queue still has it. */
static void lost(void *ctx, const struct device_lost *lost)
{
	struct storm *s = ctx;
	struct member *found = NULL;

	port_mutex_lock(&s->lock);
	for (unsigned i = 0; i < THREADS; i++) {
		struct member *m = &s->member[i];

		if (m->queue && exec_queue_id(m->queue) == lost->queue) {
			found = m;
		}
	}
	CHECK(found);
	found->lost = *lost;
	port_mutex_unlock(&s->lock);
	CHECK_EQ(atomic_fetch_add(&found->told, 1), 0);
	if (lost->reason == LOST_TIMEOUT) {
		atomic_fetch_add(&s->hangs, 1);
	} else if (lost->reason == LOST_FAULT) {
		atomic_fetch_add(&s->faults, 1);
	}
}

/* ---- a row of jobs --------------------------------------------------------------------------- */

static uint64_t job_slot(unsigned job, unsigned unit)
{
	return (uint64_t)(job * UNITS + unit) * SLOT_B;
}

static void write_batch(struct member *m, unsigned job, unsigned unit)
{
	uint64_t at = job_slot(job, unit), addr[] = { PAGE(draw(m, PAGES)), DATA + unit * 8 };
	uint32_t value[] = { (uint32_t)draw(m, UINT32_MAX), job + 1 };
	uint32_t *cs = (uint32_t *)((char *)bo_host(m->batch) + at);

	switch (unit == 0 ? m->kind[job] : STORES) {
	case WAITS:
		cs[0] = 0x1cu << 23 | 1u << 15 | 1u << 12 | 2; /* MI_SEMAPHORE_WAIT, at least */
		cs[1] = rig_read32(m->data, CLOCK) + (uint32_t)draw(m, 4);
		cs[2] = DATA + CLOCK;
		cs[3] = 0;
		rig_batch_stores(m->batch, at + 16, addr, value, 2);
		break;
	case SPINS:
		rig_batch_spin(m->batch, at, BATCH + at, DATA + FLAG);
		break;
	case CIRCLES:
		cs[0] = 0x31u << 23 | 1u << 8 | 1; /* MI_BATCH_BUFFER_START, of the VM */
		cs[1] = (uint32_t)(BATCH + at);
		cs[2] = 0;
		break;
	case FAULTS:
		addr[0] = NOWHERE;
		rig_batch_stores(m->batch, at, addr, value, 1);
		break;
	default:
		rig_batch_stores(m->batch, at, addr, value, 2);
	}
}

static struct exec_queue *row_queue(struct member *m)
{
	static const uint8_t both[] = { RIG_COMPUTE0, RIG_COMPUTE1 };
	const uint8_t any = (uint8_t)draw(m, RIG_ENGINES);
	unsigned shape = (unsigned)draw(m, 4);
	struct exec_queue_args args = {
		.vm = m->vm,
		.width = shape == 0 ? 2 : 1,
		.placements = shape == 1 ? 2 : 1,
		.engines = shape < 2 ? both : &any,
		.priority = (int)draw(m, 3),
		.timeslice_us = (uint32_t)draw(m, 2) * 1000,
		.job_timeout_ms = TIMEOUT_MS,
	};
	struct exec_queue *queue;

	CHECK_OK(exec_queue_create(m->storm->device, &args, &queue));
	m->width = args.width;
	port_mutex_lock(&m->storm->lock);
	m->queue = queue;
	port_mutex_unlock(&m->storm->lock);
	return queue;
}

/* The last job of somebody, to be waited for; or NULL. */
static struct fence *somebodys(struct member *m)
{
	struct storm *s = m->storm;
	struct fence *fence = NULL;

	port_mutex_lock(&s->lock);
	if (draw(m, 3) == 0) {
		fence = fence_get(s->recent[draw(m, THREADS)]);
	}
	port_mutex_unlock(&s->lock);
	return fence;
}

static void publish(struct member *m, struct fence *fence)
{
	struct storm *s = m->storm;
	struct fence *old;

	/* Others may wait for what promises to end only. */
	if (m->lr) {
		return;
	}
	port_mutex_lock(&s->lock);
	old = s->recent[m->index];
	s->recent[m->index] = fence_get(fence);
	port_mutex_unlock(&s->lock);
	fence_put(old);
}

static void row_submit(struct member *m)
{
	uint64_t batches[UNITS];
	struct exec_args args = { .batches = batches };
	int ret = 0;

	for (m->submitted = 0; m->submitted < JOBS && !ret; m->submitted += !ret) {
		struct fence *in = somebodys(m);

		for (unsigned unit = 0; unit < m->width; unit++) {
			write_batch(m, m->submitted, unit);
			batches[unit] = BATCH + job_slot(m->submitted, unit);
		}
		args.in_fences = &in;
		args.in_count = in ? 1 : 0;
		ret = exec_submit(m->queue, &args, &m->fence[m->submitted]);
		fence_put(in);
		if (!ret) {
			publish(m, m->fence[m->submitted]);
		}
	}
	CHECK(!ret || ret == -ECANCELED);
}

/* Up to which job did all succeed? From there on none did. */
static unsigned row_wait(struct member *m)
{
	unsigned good = 0;

	for (unsigned i = 0; i < m->submitted; i++) {
		CHECK_OK(fence_wait(m->fence[i], PORT_FOREVER, 0));
		CHECK(fence_error(m->fence[i]) == 0 || fence_error(m->fence[i]) == -ECANCELED);
		CHECK(good == i || fence_error(m->fence[i]));
		good += !fence_error(m->fence[i]);
		fence_put(m->fence[i]);
	}
	return good;
}

/* The first one that failed has a right to. */
static void check_first(struct member *m, unsigned bad)
{
	const struct device_lost *l = &m->lost;
	enum kind kind = m->kind[bad];

	if (!atomic_load(&m->told)) {
		CHECK(m->killed);
		return;
	}
	CHECK_EQ(l->batch, BATCH + job_slot(bad, l->unit));
	switch (l->reason) {
	case LOST_TIMEOUT:
		CHECK((kind == SPINS || kind == CIRCLES) && l->unit == 0 && !m->lr);
		atomic_fetch_add(&lost_hung, 1);
		break;
	case LOST_FAULT:
		CHECK(kind == FAULTS && l->unit == 0);
		atomic_fetch_add(&lost_faulted, 1);
		break;
	default:
		atomic_fetch_add(&lost_reset, 1);
	}
}

static void row_check(struct member *m, unsigned good)
{
	bool failed = good < m->submitted || exec_queue_error(m->queue);

	for (unsigned i = 0; i < good; i++) {
		CHECK(m->kind[i] <= WAITS);
	}
	if (good < m->submitted) {
		check_first(m, good);
	} else {
		CHECK(!atomic_load(&m->told));
	}
	CHECK(failed || m->submitted == JOBS);
	for (unsigned unit = 0; unit < m->width; unit++) {
		uint32_t stored = rig_read32(m->data, unit * 8);

		/* The one that was lost may have got so far. */
		CHECK(stored == good || (failed && stored == good + 1));
	}
	atomic_fetch_add(&done_jobs, good);
}

static enum kind innocent(struct member *m)
{
	return test_is_sim() && draw(m, 2) ? WAITS : STORES;
}

static void row(struct member *m)
{
	unsigned bad = (unsigned)draw(m, 2 * JOBS), good;
	struct exec_queue *queue;

	for (unsigned i = 0; i < JOBS; i++) {
		m->kind[i] = i == bad ? SPINS + (unsigned)draw(m, KINDS - SPINS) : innocent(m);
	}
	atomic_store(&m->told, 0);
	m->killed = false;
	rig_write32(m->data, 0, 0);
	rig_write32(m->data, 8, 0);
	queue = row_queue(m);
	row_submit(m);
	/* Long-running work that hangs is its client's to end. */
	if ((m->lr && bad < JOBS) || draw(m, 8) == 0) {
		rig_nap(draw(m, 2 * TIMEOUT_MS * MS));
		m->killed = true;
		exec_queue_kill(queue);
		atomic_fetch_add(&killed_queues, 1);
	}
	good = row_wait(m);
	row_check(m, good);
	port_mutex_lock(&m->storm->lock);
	m->queue = NULL;
	port_mutex_unlock(&m->storm->lock);
	rig_queue_done(queue);
}

static bool goes_on(const struct storm *s, unsigned rounds)
{
	if (!s->wanted) {
		return rounds < SIM_ROUNDS;
	}
	return atomic_load(&s->hangs) + atomic_load(&s->faults) < s->wanted;
}

static void work(void *arg)
{
	struct member *m = arg;

	for (unsigned rounds = 0; goes_on(m->storm, rounds); rounds++) {
		row(m);
	}
}

static void reset(void *arg)
{
	struct storm *s = arg;
	struct member dice = { .random = port_random() };

	while (!atomic_load(&s->over)) {
		rig_nap(draw(&dice, 8 * TIMEOUT_MS * MS));
		device_reset(s->device);
	}
}

static void tick(void *arg)
{
	struct storm *s = arg;

	for (uint32_t now = 1; !atomic_load(&s->over); now++) {
		for (unsigned i = 0; i < THREADS; i++) {
			rig_write32(s->member[i].data, CLOCK, now);
		}
		rig_nap(TICK_NS);
	}
}

/* ---- a run ----------------------------------------------------------------------------------- */

static void member_init(struct storm *s, unsigned i, uint64_t seed)
{
	struct member *m = &s->member[i];

	m->storm = s;
	m->index = i;
	m->random = (seed + 1) * 0x9e3779b97f4a7c15u + i;
	m->lr = i % 4 == 3;
	m->vm = rig_vm(s->device, m->lr ? VM_LR : 0);
	m->batch = rig_bo(s->device, SZ_64K, MEM_SYSTEM);
	m->data = rig_bo(s->device, SZ_64K, MEM_SYSTEM);
	CHECK_OK(rig_bind(m->vm, rig_map(m->batch, BATCH, 0, SZ_64K)));
	CHECK_OK(rig_bind(m->vm, rig_map(m->data, DATA, 0, SZ_64K)));
	for (unsigned k = 0; k < PAGES; k++) {
		CHECK_OK(bo_create(&s->device->mem, SZ_64K, BIT(MEM_VRAM), &m->page[k]));
		CHECK_OK(rig_bind(m->vm, rig_map(m->page[k], PAGE(k), 0, SZ_64K)));
	}
	rig_write32(m->data, FLAG, 1);
}

static void member_fini(struct member *m)
{
	rig_vm_done(m->vm);
	bo_put(m->batch);
	bo_put(m->data);
	for (unsigned k = 0; k < PAGES; k++) {
		bo_put(m->page[k]);
	}
	fence_put(m->storm->recent[m->index]);
}

static unsigned env_number(const char *name, unsigned otherwise)
{
	const char *env = getenv(name);

	return env ? (unsigned)strtoul(env, NULL, 0) : otherwise;
}

static void storm(uint64_t seed)
{
	static const enum device_schedule schedules[] = {
		SCHEDULE_NORMAL,
		SCHEDULE_LAZY,
		SCHEDULE_ADVERSARIAL,
	};
	struct storm *s = port_alloc(sizeof(*s));
	struct port_thread *resets, *ticks;

	CHECK(s);
	s->device = rig_device_moving(schedules[seed % ARRAY_LEN(schedules)], VRAM);
	s->device->lost = lost;
	s->device->lost_ctx = s;
	port_mutex_init(&s->lock, &storm_class);
	s->wanted = test_is_sim() ? 0 : env_number("VMBIND_SOAK_HANGS", test_scale(300));
	for (unsigned i = 0; i < THREADS; i++) {
		member_init(s, i, seed);
	}
	CHECK_OK(port_thread_create(&resets, "reset", reset, s));
	CHECK_OK(port_thread_create(&ticks, "tick", tick, s));
	for (unsigned i = 0; i < THREADS; i++) {
		CHECK_OK(port_thread_create(&s->member[i].thread, "storm", work, &s->member[i]));
	}
	for (unsigned i = 0; i < THREADS; i++) {
		port_thread_join(s->member[i].thread);
	}
	atomic_store(&s->over, true);
	port_thread_join(resets);
	port_thread_join(ticks);
	for (unsigned i = 0; i < THREADS; i++) {
		member_fini(&s->member[i]);
	}
	CHECK_EQ(s->device->mem.region[MEM_VRAM].used_B, 0);
	port_mutex_fini(&s->lock);
	device_destroy(s->device);
	port_free(s);
}

static void test_hangs_and_resets_under_load(void)
{
	test_seeds(storm, env_number("VMBIND_SOAK_FIRST", 1),
		   env_number("VMBIND_SOAK_SEEDS", test_is_sim() ? test_scale(30) : 3));
	printf("# %llu jobs done, %llu hung, %llu faulted, %llu reset, %llu queues killed\n",
	       atomic_load(&done_jobs), atomic_load(&lost_hung), atomic_load(&lost_faulted),
	       atomic_load(&lost_reset), atomic_load(&killed_queues));
	CHECK(atomic_load(&done_jobs) && atomic_load(&lost_hung) && atomic_load(&lost_faulted));
}

static const struct test_case cases[] = {
	TEST(test_hangs_and_resets_under_load),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
