// SPDX-License-Identifier: MIT
/*
 * Random maps and clears against an array of pages, also while tables are evicted; walkers and jobs
 * of several threads.
 */
#include "test_pt_rig.h"

static struct model model; /* too large for a stack */
static struct rig rig;
static bool evicting; /* tables are evicted at random all the time */

static uint64_t pick(uint64_t n)
{
	return port_random() % n;
}

/* Sometimes any page, often the edges that matter. */
static uint64_t pick_page(uint64_t pages)
{
	switch (pick(4)) {
	case 0:
		return align_down(pick(pages + 1), SZ_2M >> PAGE_SHIFT);
	case 1:
		return align_down(pick(pages + 1), SZ_64K >> PAGE_SHIFT);
	default:
		return pick(pages + 1);
	}
}

static void pick_range(uint64_t pages, uint64_t *start_out, uint64_t *end_out)
{
	uint64_t a, b;

	do {
		a = pick_page(pages);
		b = pick(2) ? min_u64(a + 1 + pick(40), pages) : pick_page(pages);
	} while (a == b);
	*start_out = min_u64(a, b) << PAGE_SHIFT;
	*end_out = max_u64(a, b) << PAGE_SHIFT;
}

static struct gpu_pte_attrs pick_attrs(void)
{
	return (struct gpu_pte_attrs){
		.writable = pick(2),
		.atomic = pick(4) == 0,
		.dumpable = pick(2),
		.pat = (uint8_t)pick(32),
	};
}

/* Some tables go, or all, or those that are gone come back: as many as there is memory for. */
static void evict_or_restore(struct rig *r)
{
	int ret;

	if (pick(2)) {
		rig_evict(r, pick(3) ? pick(6) : UINT64_MAX);
	} else if (pick(3) == 0) {
		port_fault_set(PORT_FAULT_ALLOC, pick(2) ? 1 + pick(4) : 0, true);
		ret = pt_restore(&r->pt);
		port_fault_set(PORT_FAULT_ALLOC, 0, false);
		CHECK_ERR(ret, ret ? -ENOMEM : 0);
	}
	pt_check(&r->pt);
}

/* One step on [start, end), relative to the model. */
static void step(uint64_t start, uint64_t end)
{
	struct gpu_pte_attrs attrs = pick_attrs();
	enum rig_memory memory = (enum rig_memory)pick(RIG_MEMORIES);
	uint64_t va = model.base + start, size_B = end - start, offset_B;

	switch (pick(8)) {
	case 0:
	case 1:
	case 2:
		CHECK_OK(rig_clear(&rig, va, va + size_B));
		model_clear(&model, va, va + size_B);
		break;
	case 3:
		CHECK_OK(rig_map_null(&rig, va, va + size_B));
		model_map_null(&model, va, va + size_B);
		break;
	default:
		/* An offset that agrees with the address lets large pages happen. */
		offset_B = start % RIG_MEMORY_B;
		if (pick(4) == 0) {
			offset_B = pick(RIG_MEMORY_B >> PAGE_SHIFT) << PAGE_SHIFT;
		}
		size_B = min_u64(size_B, RIG_MEMORY_B - offset_B);
		CHECK_OK(rig_map(&rig, va, va + size_B, memory, offset_B, &attrs));
		model_map(&model, &rig, va, va + size_B, memory, offset_B, &attrs);
		break;
	}
}

static void finish(void)
{
	CHECK_OK(rig_clear(&rig, 0, BIT64(48)));
	CHECK(!pt_has_evicted(&rig.pt));
	rig_fini(&rig);
}

/* 8 MiB across a boundary of 1 GiB and 512 GiB: two directories of every level. */
static void small_space(uint64_t seed)
{
	const uint64_t pages = (8 << 20) >> PAGE_SHIFT;

	rig_init(&rig);
	memset(&model, 0, sizeof(model));
	model.base = 5 * BIT64(39) - (4 << 20);
	rig.in_between = evicting ? evict_or_restore : NULL;
	for (unsigned i = 0; i < 60; i++) {
		uint64_t start, end;

		pick_range(pages, &start, &end);
		step(start, end);
		pt_check(&rig.pt);
		model_compare(&model, &rig, model.base + start - SZ_4K, model.base + end + SZ_4K);
		if (i % 4 == 0) {
			model_compare_runs(&model, &rig);
		}
		if (i % 10 == 0) {
			rig_restore(&rig);
			model_compare(&model, &rig, model.base - SZ_4K,
				      model.base + (pages << PAGE_SHIFT) + SZ_4K);
		}
	}
	finish();
}

static void random_steps_in_a_small_space(void)
{
	test_seeds(small_space, 1, test_scale(120));
}

static void test_B26_random_steps_in_a_small_space(void)
{
	evicting = true;
	test_seeds(small_space, 1, test_scale(120));
	evicting = false;
}

/* Windows of the model's size all over the address space; each is compared whenever it is used. */
#define WINDOWS 12u
#define WINDOW_PAGES (MODEL_PAGES / WINDOWS)

static struct model windows[WINDOWS];

static void wide_space(uint64_t seed)
{
	rig_init(&rig);
	memset(windows, 0, sizeof(windows));
	for (unsigned w = 0; w < WINDOWS; w++) {
		/* Neighbours in a slot, a directory, and far away. */
		windows[w].base = w < 4 ? w * (WINDOW_PAGES << PAGE_SHIFT)
				  : w < 8 ? BIT64(30) * (2 * w + 1) - (1 << 20)
					  : BIT64(39) * (uint64_t)(w * 41) - SZ_2M;
	}
	rig.in_between = evicting ? evict_or_restore : NULL;
	for (unsigned i = 0; i < 150; i++) {
		unsigned w = (unsigned)pick(WINDOWS);
		uint64_t start, end;

		pick_range(WINDOW_PAGES, &start, &end);
		memcpy(&model, &windows[w], sizeof(model));
		step(start, end);
		pt_check(&rig.pt);
		model_compare(&model, &rig, model.base, model.base + (WINDOW_PAGES << PAGE_SHIFT));
		memcpy(&windows[w], &model, sizeof(model));
	}
	rig_restore(&rig);
	for (unsigned w = 0; w < WINDOWS; w++) {
		model_compare(&windows[w], &rig, windows[w].base,
			      windows[w].base + (WINDOW_PAGES << PAGE_SHIFT));
	}
	finish();
}

static void random_steps_far_apart(void)
{
	test_seeds(wide_space, 1000, test_scale(40));
}

static void test_B26_random_steps_far_apart(void)
{
	evicting = true;
	test_seeds(wide_space, 1000, test_scale(40));
	evicting = false;
}

/* ---- 1 GiB pages and pending jobs ----------------------------------------------------------- */

/*
 * GIB GiB across a boundary of 512 GiB, with jobs that are reserved now and run later: in any order
 * but for those whose order ranges overlap, as a VM would run them. Too many pages for an array, so
 * the model is a list of stretches, and pages at their ends and some inside are compared.
 */
#define GIB 4u
#define GIANT_BASE (7 * BIT64(39) - 2 * SZ_1G)
#define STRETCHES 512u
#define JOBS 5u

struct stretch {
	uint64_t start, end;
	bool null;
	enum rig_memory memory;
	uint64_t offset_B;
	struct gpu_pte_attrs attrs;
};

static struct stretch stretches[STRETCHES];
static unsigned stretch_count;

struct job {
	enum { JOB_NONE, JOB_PENDING, JOB_RAN } state;
	uint64_t number;
	bool clear;
	struct stretch what;
	struct pt_pool pool;
	uint64_t order_start, order_end;
	bool reshapes;
};

static struct job job_table[JOBS];
static uint64_t next_number;

static void stretch_add(const struct stretch *s)
{
	CHECK(stretch_count < STRETCHES);
	stretches[stretch_count++] = *s;
}

static void stretch_cut(uint64_t start, uint64_t end)
{
	for (unsigned i = 0; i < stretch_count;) {
		struct stretch s = stretches[i], rest = s;

		if (!range_overlaps(s.start, s.end, start, end)) {
			i++;
			continue;
		}
		stretches[i] = stretches[--stretch_count];
		if (s.start < start) {
			rest.end = start;
			stretch_add(&rest);
		}
		if (s.end > end) {
			s.offset_B += end - s.start;
			s.start = end;
			stretch_add(&s);
		}
	}
}

static void compare_at(uint64_t addr)
{
	struct gpu_pte pte;
	bool present;

	addr = align_down(addr, SZ_4K);
	present = rig_translate(&rig, addr, &pte);
	for (unsigned i = 0; i < stretch_count; i++) {
		const struct stretch *s = &stretches[i];

		if (addr >= s->start && addr < s->end) {
			uint64_t off = s->offset_B + addr - s->start;

			CHECK(present);
			CHECK_EQ(pte.attrs.null, s->null);
			CHECK_EQ(pte.phys, s->null ? 0 : rig_phys(&rig, s->memory, off));
			CHECK_EQ(pte.attrs.writable, s->attrs.writable);
			CHECK_EQ(pte.attrs.pat, s->attrs.pat);
			return;
		}
	}
	CHECK(!present);
}

static void compare_stretches(void)
{
	for (unsigned i = 0; i < stretch_count; i++) {
		const struct stretch *s = &stretches[i];

		compare_at(s->start);
		compare_at(s->start - 1);
		compare_at(s->end);
		compare_at(s->end - 1);
		compare_at(s->start + pick(s->end - s->start));
	}
	for (unsigned i = 0; i < 8; i++) {
		compare_at(GIANT_BASE + pick(GIB * SZ_1G));
	}
}

static uint64_t pick_point(void)
{
	uint64_t gib = pick(GIB + 1) * SZ_1G;

	switch (pick(4)) {
	case 0:
		return gib;
	case 1:
		return min_u64(gib + pick(64) * SZ_4K, GIB * SZ_1G);
	case 2:
		return gib - min_u64(gib, pick(64) * SZ_4K);
	default:
		return align_down(pick(GIB * SZ_1G), pick(2) ? SZ_2M : SZ_64K);
	}
}

static struct stretch pick_stretch(void)
{
	struct stretch s = { .memory = RIG_GIANT, .attrs = pick_attrs() };
	uint64_t a = pick_point(), b;

	do {
		b = pick(4) ? pick_point() : a + SZ_4K * (1 + pick(1000));
		b = min_u64(b, GIB * SZ_1G);
		a = pick(4) ? a : pick_point();
	} while (a == b);
	s.start = GIANT_BASE + min_u64(a, b);
	s.end = GIANT_BASE + max_u64(a, b);
	s.null = pick(3) == 0;
	s.attrs.null = s.null;
	s.offset_B = s.start - GIANT_BASE;
	if (!s.null && pick(2)) {
		s.memory = RIG_GIANT_PIECES;
	}
	if (!s.null && pick(3) == 0) {
		/* Small pages. */
		s.memory = (enum rig_memory)pick(RIG_MEMORIES);
		s.offset_B = s.start % SZ_2M;
		s.end = min_u64(s.end, s.start + RIG_MEMORY_B / 2);
	}
	return s;
}

static bool contended(const struct stretch *s)
{
	uint64_t start = align_down(s->start, PT_ORDER_GRANULE);
	uint64_t end = align_up(s->end, PT_ORDER_GRANULE);
	bool any = false;

	for (unsigned i = 0; i < JOBS; i++) {
		const struct job *job = &job_table[i];

		any |= job->state == JOB_PENDING && job->reshapes &&
		       range_overlaps(start, end, job->order_start, job->order_end);
	}
	return any;
}

static const struct backing *backing_of(const struct stretch *s)
{
	return s->null ? NULL : &rig.backing[s->memory];
}

static void job_reserve(struct job *job)
{
	bool poor = pick(4) == 0;
	int ret;

	job->clear = pick(3) == 0;
	job->what = pick_stretch();
	pt_pool_init(&job->pool);
	port_fault_set(PORT_FAULT_ALLOC, poor ? 1 + pick(3) : 0, true);
	ret = job->clear ? pt_reserve_clear(&rig.pt, &job->pool, job->what.start, job->what.end,
					    contended(&job->what))
			 : pt_reserve_map(&rig.pt, &job->pool, job->what.start, job->what.end,
					  backing_of(&job->what), job->what.offset_B,
					  contended(&job->what));
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	CHECK_ERR(ret, ret ? -ENOMEM : 0);
	CHECK(!ret || poor);
	if (pick(8) == 0 || (ret && !job->clear)) {
		rig_release(&rig, &job->pool); /* given up */
		return;
	}
	job->pool.may_lose = ret != 0;
	job->order_start = job->pool.order_start;
	job->order_end = job->pool.order_end;
	job->reshapes = job->pool.reshapes;
	CHECK(job->order_start <= job->what.start && job->order_end >= job->what.end);
	job->number = next_number++;
	job->state = JOB_PENDING;
}

static bool job_may_run(const struct job *job)
{
	for (unsigned i = 0; i < JOBS; i++) {
		const struct job *other = &job_table[i];

		if (other->state == JOB_PENDING && other->number < job->number &&
		    range_overlaps(job->order_start, job->order_end, other->order_start,
				   other->order_end)) {
			return false;
		}
	}
	return true;
}

static void job_run(struct job *job)
{
	const struct stretch *s = &job->what;

	port_fault_set(PORT_FAULT_ALLOC, 1, true);
	port_mutex_lock(&rig.pt.lock);
	if (job->clear) {
		pt_clear(&rig.pt, &job->pool, s->start, s->end);
	} else {
		pt_write(&rig.pt, &job->pool, s->start, s->end, backing_of(s), s->offset_B,
			 &s->attrs);
	}
	port_mutex_unlock(&rig.pt.lock);
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	stretch_cut(s->start, s->end);
	if (!job->clear) {
		stretch_add(s);
	}
	CHECK(job->clear || job->pool.lost_count == 0);
	for (unsigned i = 0; i < job->pool.lost_count; i++) {
		struct pt_lost lost = job->pool.lost[i];

		CHECK(job->pool.may_lose);
		CHECK(lost.start >= job->order_start && lost.end <= job->order_end);
		stretch_cut(lost.start, lost.end);
	}
	job->state = JOB_RAN;
}

static void giant_space(uint64_t seed)
{
	rig_init(&rig);
	stretch_count = 0;
	memset(job_table, 0, sizeof(job_table));
	for (unsigned i = 0; i < 120; i++) {
		struct job *job = &job_table[pick(JOBS)];

		if (job->state == JOB_NONE) {
			job_reserve(job);
		} else if (job->state == JOB_RAN) {
			rig_release(&rig, &job->pool);
			job->state = JOB_NONE;
		} else if (job_may_run(job)) {
			job_run(job);
		}
		if (evicting) {
			evict_or_restore(&rig);
		}
		pt_check(&rig.pt);
		compare_stretches();
	}
	for (unsigned left = JOBS; left > 0;) {
		left = 0;
		for (unsigned i = 0; i < JOBS; i++) {
			struct job *job = &job_table[i];

			if (job->state == JOB_PENDING && job_may_run(job)) {
				job_run(job);
			}
			left += job->state == JOB_PENDING;
		}
	}
	compare_stretches();
	rig_restore(&rig);
	compare_stretches();
	for (unsigned i = 0; i < JOBS; i++) {
		rig_release(&rig, &job_table[i].pool);
	}
	finish();
}

static void test_A24_pending_jobs_and_pages_of_1g(void)
{
	test_seeds(giant_space, 1, test_scale(150));
}

static void test_B26_pending_jobs_and_pages_of_1g(void)
{
	evicting = true;
	test_seeds(giant_space, 1, test_scale(150));
	evicting = false;
}

/* ---- threads -------------------------------------------------------------------------------- */

/*
 * Jobs of several threads in one directory, each in its own slots; a slot between them, and a leaf
 * of 1 GiB beside them, are cut and mended over and over while a walker watches a page of each that
 * never changes. Evicting: that page is there or not; if it is, it is the right one.
 */
#define THREADS 4u
#define GIANT_THREAD 3u

static struct port_lock_class vm_class = { .name = "test.vm", .rank = RANK_VM };

struct race {
	struct port_rwlock vm;
	atomic_uint epoch;  /* of the walker: odd inside a walk */
	atomic_bool stop;
	unsigned rounds;
	struct backing huge; /* one page of 2 MiB */
	struct extent extent;
};

static struct race race;

struct racer {
	unsigned id;
	struct port_thread *thread;
};

#define RACE_VA ((uint64_t)7 << 39)
#define WATCHED (RACE_VA + 0x55000)
#define WATCHED_PHYS ((uint64_t)0x40000000)
#define RACE_GIANT (RACE_VA + 16 * SZ_1G)

static void wait_epoch(void)
{
	unsigned seen = atomic_load(&race.epoch);

	while ((seen & 1) && atomic_load(&race.epoch) == seen) {
		port_relax();
	}
}

static void race_job(uint64_t start, uint64_t end, const struct backing *backing,
		     uint64_t offset_B)
{
	struct gpu_pte_attrs attrs = { .writable = true };
	struct pt_pool pool;
	int ret;

	pt_pool_init(&pool);
	port_rwlock_wrlock(&race.vm);
	ret = backing ? pt_reserve_map(&rig.pt, &pool, start, end, backing, offset_B, false)
		      : pt_reserve_clear(&rig.pt, &pool, start, end, false);
	port_rwlock_wrunlock(&race.vm);
	CHECK_OK(ret);
	port_mutex_lock(&rig.pt.lock);
	if (backing) {
		pt_write(&rig.pt, &pool, start, end, backing, offset_B, &attrs);
	} else {
		pt_clear(&rig.pt, &pool, start, end);
	}
	port_mutex_unlock(&rig.pt.lock);
	wait_epoch();
	pt_release(&rig.pt, &pool);
	wait_epoch();
	pt_free_dirs(&rig.pt, &pool);
}

static void race_jobs(void *arg)
{
	struct racer *racer = arg;
	/* Slots of thread 1 and up: one next to the watched one, one in a directory of its own. */
	uint64_t near = RACE_VA + racer->id * SZ_2M, far = RACE_VA + racer->id * SZ_1G;

	for (unsigned i = 0; i < race.rounds; i++) {
		if (racer->id == 0) {
			uint64_t cut = RACE_VA + ((i * 7) % 0x40) * SZ_4K;

			race_job(cut, cut + SZ_4K, NULL, 0);
			race_job(RACE_VA, RACE_VA + SZ_2M, &race.huge, 0);
			continue;
		}
		if (racer->id == GIANT_THREAD) {
			uint64_t cut = RACE_GIANT + SZ_2M + (i % 3) * SZ_64K;

			race_job(cut, cut + SZ_64K, NULL, 0);
			race_job(RACE_GIANT, RACE_GIANT + SZ_1G, &rig.backing[RIG_GIANT], 0);
			continue;
		}
		race_job(near, near + SZ_64K, &rig.backing[RIG_4K], 0);
		race_job(far - SZ_4K, far + SZ_4K, &rig.backing[RIG_64K], 0);
		race_job(near, near + SZ_2M, NULL, 0);
		race_job(far - SZ_64K, far + SZ_64K, NULL, 0);
	}
}

static void race_evict(void *arg)
{
	unsigned n = 0;

	while (!atomic_load(&race.stop)) {
		struct pt_eviction eviction;
		uint64_t evicted;

		CHECK_OK(pt_evict(&rig.pt, n % 5 ? n % 5 : UINT64_MAX, &eviction, &evicted));
		n++;
		wait_epoch();
		pt_evict_finish(&rig.pt, &eviction);
		port_relax();
		if (n % 2) {
			CHECK_OK(pt_restore(&rig.pt));
		}
		port_relax();
	}
	CHECK_OK(pt_restore(&rig.pt));
}

static void watch(uint64_t addr, uint64_t phys)
{
	struct gpu_pte pte;

	if (rig_walk(&rig, addr, &pte)) {
		CHECK_EQ(pte.phys, phys);
	} else {
		CHECK(evicting);
	}
}

static void watch_all(void)
{
	struct gpu_pte other;

	watch(WATCHED, WATCHED_PHYS + 0x55000);
	rig_walk(&rig, RACE_VA + SZ_2M + SZ_4K, &other);
	watch(WATCHED, WATCHED_PHYS + 0x55000);
	watch(RACE_GIANT + SZ_1G - SZ_4K, rig_phys(&rig, RIG_GIANT, SZ_1G - SZ_4K));
	watch(RACE_GIANT + SZ_2M + 0x55000, rig_phys(&rig, RIG_GIANT, SZ_2M + 0x55000));
}

static void race_walk(void *arg)
{
	while (!atomic_load(&race.stop)) {
		atomic_fetch_add(&race.epoch, 1);
		watch_all();
		atomic_fetch_add(&race.epoch, 1);
		port_relax();
	}
}

static void race_run(uint64_t seed)
{
	struct racer racer[THREADS];
	struct port_thread *walker, *evictor = NULL;

	rig_init(&rig);
	memset(&race, 0, sizeof(race));
	port_rwlock_init(&race.vm, &vm_class);
	race.rounds = test_is_sim() ? 4 : test_scale(1000);
	race.extent = (struct extent){ .phys = WATCHED_PHYS, .size_B = SZ_2M };
	race.huge = (struct backing){ .extents = &race.extent, .count = 1 };
	race_job(RACE_VA, RACE_VA + SZ_2M, &race.huge, 0);
	race_job(RACE_GIANT, RACE_GIANT + SZ_1G, &rig.backing[RIG_GIANT], 0);
	CHECK_OK(port_thread_create(&walker, "walker", race_walk, NULL));
	if (evicting) {
		CHECK_OK(port_thread_create(&evictor, "evictor", race_evict, NULL));
	}
	for (unsigned i = 0; i < THREADS; i++) {
		racer[i].id = i;
		CHECK_OK(port_thread_create(&racer[i].thread, "racer", race_jobs, &racer[i]));
	}
	for (unsigned i = 0; i < THREADS; i++) {
		port_thread_join(racer[i].thread);
	}
	atomic_store(&race.stop, true);
	port_thread_join(walker);
	if (evicting) {
		port_thread_join(evictor);
		CHECK(!pt_has_evicted(&rig.pt));
	}
	pt_check(&rig.pt);
	port_rwlock_fini(&race.vm);
	finish();
}

static void jobs_and_a_walker_of_several_threads(void)
{
	test_seeds(race_run, 1, test_is_sim() ? test_scale(200) : 1);
}

static void test_B26_jobs_a_walker_and_eviction_of_several_threads(void)
{
	evicting = true;
	test_seeds(race_run, 1, test_is_sim() ? test_scale(200) : 1);
	evicting = false;
}

static const struct test_case cases[] = {
	TEST(random_steps_in_a_small_space),
	TEST(random_steps_far_apart),
	TEST(test_A24_pending_jobs_and_pages_of_1g),
	TEST(jobs_and_a_walker_of_several_threads),
	TEST(test_B26_random_steps_in_a_small_space),
	TEST(test_B26_random_steps_far_apart),
	TEST(test_B26_pending_jobs_and_pages_of_1g),
	TEST(test_B26_jobs_a_walker_and_eviction_of_several_threads),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
