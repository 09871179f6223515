// SPDX-License-Identifier: MIT
/*
 * Tables that are evicted (B26): what the hardware finds meanwhile, what jobs do to them, and how
 * they come back.
 */
#include "test_pt_rig.h"

#define VA ((uint64_t)0x123400000000)
#define ALL UINT64_MAX

static const struct gpu_pte_attrs rw = { .writable = true };
static struct model model; /* too large for a stack */
static struct rig rig;

static struct region *frames(void)
{
	return &rig.mem.region[MEM_SYSTEM];
}

static void begin(void)
{
	rig_init(&rig);
	memset(&model, 0, sizeof(model));
	model.base = VA;
}

static void end(void)
{
	rig.in_between = NULL;
	CHECK_OK(rig_clear(&rig, 0, BIT64(48)));
	CHECK(!pt_has_evicted(&rig.pt));
	rig_fini(&rig);
}

static void run_map(struct pt_pool *pool, uint64_t start, uint64_t stop, enum rig_memory memory)
{
	port_mutex_lock(&rig.pt.lock);
	pt_write(&rig.pt, pool, start, stop, &rig.backing[memory], 0, &rw);
	port_mutex_unlock(&rig.pt.lock);
}

static void run_clear(struct pt_pool *pool, uint64_t start, uint64_t stop)
{
	port_mutex_lock(&rig.pt.lock);
	pt_clear(&rig.pt, pool, start, stop);
	port_mutex_unlock(&rig.pt.lock);
}

/* RIG_MEMORIES: a NULL mapping. */
static void map_both(uint64_t start, uint64_t stop, enum rig_memory memory, uint64_t offset_B)
{
	if (memory == RIG_MEMORIES) {
		CHECK_OK(rig_map_null(&rig, start, stop));
		model_map_null(&model, start, stop);
	} else {
		CHECK_OK(rig_map(&rig, start, stop, memory, offset_B, &rw));
		model_map(&model, &rig, start, stop, memory, offset_B, &rw);
	}
}

static void clear_both(uint64_t start, uint64_t stop)
{
	CHECK_OK(rig_clear(&rig, start, stop));
	model_clear(&model, start, stop);
}

static void compare(uint64_t size_B)
{
	pt_check(&rig.pt);
	model_compare(&model, &rig, VA - SZ_4K, VA + size_B + SZ_4K);
}

/* With nothing evicted any more it is the hardware alone that the model is compared with. */
static void restore_and_compare(uint64_t size_B)
{
	rig_restore(&rig);
	CHECK(!pt_has_evicted(&rig.pt));
	CHECK_EQ(pt_frames_B(&rig.pt), rig_tables(&rig) * SZ_4K);
	for (uint64_t addr = VA; addr < VA + size_B; addr += SZ_2M) {
		CHECK(!rig_is_evicted(&rig, addr));
	}
	compare(size_B);
}

/* ---- one after the other -------------------------------------------------------------------- */

static void test_B26_hardware_finds_nothing_where_a_table_was(void)
{
	const struct gpu_pt_format *fmt = &gpu_format_intel48;
	uint64_t entry = gpu_pte_evicted(fmt);

	CHECK(entry != 0);
	for (unsigned level = 1; level < fmt->levels; level++) {
		CHECK(!gpu_pte_is_table(fmt, level, entry));
		CHECK_EQ(gpu_pte_decode(fmt, level, false, entry).kind, GPU_PTE_NONE);
	}
	begin();
	map_both(VA, VA + SZ_2M, RIG_4K, 0);
	CHECK_OK(rig_map(&rig, VA + SZ_1G - SZ_64K, VA + SZ_1G, RIG_4K, 0, &rw));
	CHECK_EQ(rig_evict(&rig, 2), 2);
	CHECK_EQ(rig_entry(&rig, 1, VA), entry);
	CHECK_EQ(rig_evict(&rig, 1), 1);
	CHECK_EQ(rig_entry(&rig, 2, VA), entry);
	CHECK_EQ(rig_evict(&rig, ALL), 1);
	CHECK_EQ(rig_entry(&rig, 3, VA), entry);
	CHECK_EQ(rig_evict(&rig, ALL), 0);
	end();
}

/* A table of each kind, leaves in directories, and a second directory of level 1. */
static void map_each_kind(void)
{
	map_both(VA, VA + SZ_2M, RIG_HUGE, 0);
	map_both(VA + SZ_2M, VA + 2 * SZ_2M, RIG_64K, 0);
	map_both(VA + 2 * SZ_2M, VA + 3 * SZ_2M, RIG_4K, 0);
	map_both(VA + 3 * SZ_2M, VA + 4 * SZ_2M, RIG_MEMORIES, 0);
	map_both(VA + 4 * SZ_2M + SZ_64K, VA + 5 * SZ_2M, RIG_CROOKED, SZ_64K);
	CHECK_OK(rig_map(&rig, VA + SZ_1G, VA + 2 * SZ_1G, RIG_GIANT, 0, &rw));
	CHECK_OK(rig_map(&rig, VA + 3 * SZ_1G, VA + 3 * SZ_1G + SZ_4K, RIG_4K, 0, &rw));
}
#define KINDS_TABLES 8u /* the root, one of level 2, two of level 1, four leaf tables */

static void check_giant(bool evicted)
{
	uint64_t at = VA + 2 * SZ_1G - 0x5000;
	struct gpu_pte pte;

	CHECK_EQ(rig_is_evicted(&rig, at), evicted);
	CHECK_EQ(rig_walk(&rig, at, &pte), !evicted);
	CHECK(rig_translate(&rig, at, &pte));
	CHECK_EQ(pte.phys, rig_phys(&rig, RIG_GIANT, SZ_1G - 0x5000));
}

static void test_B26_every_kind_of_table_goes_and_comes_back(void)
{
	uint64_t memory_B;

	begin();
	map_each_kind();
	CHECK_EQ(rig_tables(&rig), KINDS_TABLES);
	memory_B = pt_memory_B(&rig.pt);
	/* As many as wanted, and one at a time. */
	for (unsigned n = 0; n <= KINDS_TABLES; n++) {
		for (unsigned step = 1; step <= 2; step++) {
			uint64_t want = min_u64(n, KINDS_TABLES - 1), got = 0;

			for (unsigned i = 0; i < (step == 1 ? n : 1); i++) {
				got += rig_evict(&rig, step == 1 ? 1 : n);
			}
			CHECK_EQ(got, want);
			CHECK_EQ(pt_has_evicted(&rig.pt), n > 0);
			CHECK_EQ(rig_tables(&rig), KINDS_TABLES);
			CHECK_EQ(pt_frames_B(&rig.pt), (KINDS_TABLES - want) * SZ_4K);
			CHECK_EQ(pt_memory_B(&rig.pt), memory_B);
			/* Leaf tables first: a leaf is there as long as its directory. */
			CHECK_EQ(rig_is_evicted(&rig, VA + SZ_2M), n > 0);
			CHECK_EQ(rig_is_evicted(&rig, VA + 3 * SZ_1G), n > 3);
			CHECK_EQ(rig_is_evicted(&rig, VA), n > 4);
			check_giant(n > 6);
			compare(6 * SZ_2M);
			restore_and_compare(6 * SZ_2M);
			check_giant(false);
		}
	}
	end();
}

static void test_B26_nothing_to_do(void)
{
	struct pt_eviction eviction;
	uint64_t evicted;

	begin();
	CHECK_EQ(rig_evict(&rig, ALL), 0); /* the root stays */
	rig_restore(&rig);
	map_both(VA, VA + SZ_4K, RIG_4K, 0);
	CHECK_EQ(rig_evict(&rig, 0), 0);
	CHECK(!pt_has_evicted(&rig.pt));
	rig_restore(&rig);
	port_fault_set(PORT_FAULT_ALLOC, 1, true);
	CHECK_OK(pt_evict(&rig.pt, 0, &eviction, &evicted));
	pt_evict_finish(&rig.pt, &eviction);
	CHECK_OK(pt_restore(&rig.pt));
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	end();
}

/* An address space ends as it is. */
static void test_B26_a_tree_ends_with_tables_evicted(void)
{
	begin();
	map_each_kind();
	CHECK_EQ(rig_evict(&rig, 5), 5);
	pt_fini(&rig.pt);
	CHECK_OK(pt_init(&rig.pt, &rig.mem, &gpu_format_intel48));
	end();
}

/* ---- the frames ----------------------------------------------------------------------------- */

#define MANY 300u

static unsigned many; /* more than are exchanged at once */

/* @n leaf tables at neighbouring slots, and as many directories. */
static void map_many(unsigned n)
{
	many = n;
	for (unsigned i = 0; i < many; i++) {
		uint64_t near = VA + i * SZ_2M, far = VA + (2 + i) * SZ_1G;

		CHECK_OK(rig_map(&rig, near, near + SZ_4K, RIG_4K, i * SZ_4K, &rw));
		CHECK_OK(rig_map(&rig, far, far + SZ_2M, RIG_HUGE, 0, &rw));
	}
}

static void check_many(bool walk)
{
	struct gpu_pte pte;

	pt_check(&rig.pt);
	for (unsigned i = 0; i < many; i++) {
		uint64_t near = VA + i * SZ_2M, far = VA + (2 + i) * SZ_1G;

		CHECK(walk ? rig_walk(&rig, near, &pte) : rig_translate(&rig, near, &pte));
		CHECK_EQ(pte.phys, rig_phys(&rig, RIG_4K, i * SZ_4K));
		CHECK(!rig_translate(&rig, near + SZ_4K, &pte));
		CHECK(walk ? rig_walk(&rig, far, &pte) : rig_translate(&rig, far, &pte));
		CHECK_EQ(pte.phys, rig_phys(&rig, RIG_HUGE, 0));
	}
}

static struct gpu_page frame_of(unsigned i)
{
	uint64_t link = rig_entry(&rig, 2, VA + (2 + i) * SZ_1G);
	struct gpu_page page;

	CHECK(gpu_pte_is_table(rig.hw.fmt, 2, link));
	CHECK_OK(region_find(frames(), gpu_pte_table_phys(rig.hw.fmt, link), &page));
	CHECK_EQ(atomic_load(page.gen_cell), page.gen);
	return page;
}

/* What is found from a directory of level 1 on, by who has been told where it is long ago. */
static bool late_walk(const struct gpu_page *dir)
{
	struct gpu_pt_format fmt = *rig.hw.fmt;
	struct gpu_vm vm = { .fmt = &fmt, .root_phys = dir->phys };
	struct gpu_pte pte;
	unsigned level;

	fmt.levels = 2;
	fmt.va_bits = 30;
	return !gpu_walk(&mem_gpu_ops, &rig.mem, &vm, 0, &pte, &level);
}

static void test_B26_frames_given_back_are_free(void)
{
	static struct gpu_page page[MANY];
	struct pt_eviction eviction;
	uint64_t idle_B, used_B, evicted;

	begin();
	idle_B = frames()->used_B;
	map_many(MANY);
	used_B = frames()->used_B;
	CHECK(used_B >= 2 * MANY * SZ_4K);
	for (unsigned i = 0; i < MANY; i++) {
		page[i] = frame_of(i);
	}
	CHECK_OK(pt_evict(&rig.pt, ALL, &eviction, &evicted));
	CHECK_EQ(evicted, rig_tables(&rig) - 1);
	/* Who is inside a table finds what was there. */
	CHECK_EQ(frames()->used_B, used_B);
	CHECK_OK(rig_map(&rig, VA + SZ_1G - SZ_2M, VA + SZ_1G, RIG_HUGE, 0, &rw));
	for (unsigned i = 0; i < MANY; i++) {
		CHECK(late_walk(&page[i]));
		CHECK_EQ(atomic_load(page[i].gen_cell), page[i].gen);
	}
	pt_evict_finish(&rig.pt, &eviction);
	/* The root, and an empty slab kept for the next table. */
	CHECK(frames()->used_B <= idle_B + 64 * SZ_4K);
	for (unsigned i = 0; i < MANY; i++) {
		CHECK(!late_walk(&page[i]));
		CHECK(atomic_load(page[i].gen_cell) != page[i].gen);
	}
	check_many(false);
	rig_restore(&rig);
	check_many(true);
	end();
}

/* A frame is of use at once: with all directories above. */
static void check_none_in_vain(void)
{
	uint64_t frames = pt_frames_B(&rig.pt) / SZ_4K, walked = 0;
	struct gpu_pte pte;

	for (unsigned i = 0; i < many; i++) {
		walked += rig_walk(&rig, VA + i * SZ_2M, &pte);
		walked += rig_walk(&rig, VA + (2 + i) * SZ_1G, &pte);
	}
	/* The root, two directories of level 2, and that of the leaf tables. */
	CHECK(walked + 4 >= frames);
}

static void test_B26_without_frames_a_restore_can_be_repeated(void)
{
	static struct frame_page hog[4 * MANY];
	struct mem_config config = { .system_B = 800 * SZ_4K };
	unsigned n = 0;

	begin();
	pt_fini(&rig.pt);
	mem_fini(&rig.mem);
	CHECK_OK(mem_init(&rig.mem, &config, &rig.events, NULL));
	CHECK_OK(pt_init(&rig.pt, &rig.mem, &gpu_format_intel48));
	rig.hw.root_phys = rig.pt.root->page.phys;
	map_many(MANY);
	CHECK(rig_evict(&rig, ALL) > 2 * MANY);
	while (n < ARRAY_LEN(hog) && !frame_page_alloc(&rig.mem, &hog[n])) {
		n++;
	}
	CHECK(n > 600 && n < ARRAY_LEN(hog));
	while (n > 0) {
		uint64_t before_B = pt_frames_B(&rig.pt);
		unsigned back = n > 100 ? 100 : n;

		CHECK_ERR(pt_restore(&rig.pt), -ENOMEM);
		CHECK_EQ(pt_frames_B(&rig.pt), before_B);
		for (unsigned i = 0; i < back; i++) {
			frame_page_free(&rig.mem, &hog[--n]);
		}
		if (before_B + back * SZ_4K >= rig_tables(&rig) * SZ_4K) {
			break;
		}
		/* All that there are are used, from the top of the tree on. */
		CHECK_ERR(pt_restore(&rig.pt), -ENOMEM);
		CHECK_EQ(pt_frames_B(&rig.pt), before_B + back * SZ_4K);
		check_many(false);
		check_none_in_vain();
	}
	while (n > 0) {
		frame_page_free(&rig.mem, &hog[--n]);
	}
	rig_restore(&rig);
	check_many(true);
	end();
}

/* ---- memory that is missing ----------------------------------------------------------------- */

static void sweep_body(void *arg)
{
	struct pt_eviction eviction;
	uint64_t evicted, tables = rig_tables(&rig);
	int ret = pt_evict(&rig.pt, ALL, &eviction, &evicted);

	(void)arg;
	CHECK(!ret || test_injected());
	CHECK_ERR(ret, ret ? -ENOMEM : 0);
	CHECK(ret ? evicted < tables - 1 : evicted == tables - 1);
	pt_evict_finish(&rig.pt, &eviction);
	CHECK_EQ(pt_frames_B(&rig.pt), (tables - evicted) * SZ_4K);
	check_many(false);
	ret = pt_restore(&rig.pt);
	CHECK(!ret || test_injected());
	CHECK_ERR(ret, ret ? -ENOMEM : 0);
	CHECK_EQ(ret != 0, pt_has_evicted(&rig.pt));
	check_many(ret == 0);
	test_injection_off();
	rig_restore(&rig);
	check_many(true);
}

static void test_B26_every_allocation_may_fail(void)
{
	begin();
	map_many(70);
	/* From here on the frames are neighbours, and there are as many slabs each time. */
	rig_evict(&rig, ALL);
	rig_restore(&rig);
	CHECK(test_sweep(PORT_FAULT_ALLOC, sweep_body, NULL) > 2 * 4 * 70);
	end();
}

/* ---- jobs meanwhile ------------------------------------------------------------------------- */

#define SLOTS_B (3 * SZ_2M)
#define EDITS 10u

/* Something is done to three slots of one kind. */
static void edit(unsigned what)
{
	uint64_t mid = VA + SZ_2M;

	switch (what) {
	case 0:
		map_both(mid + 0x3000, mid + 0x9000, RIG_4K, 0x40000);
		break;
	case 1: /* 64 KiB pages, into a compact table or another */
		map_both(mid + SZ_64K, mid + 5 * SZ_64K, RIG_64K, SZ_2M);
		break;
	case 2: /* in the place of a table, or of a leaf */
		map_both(mid, mid + SZ_2M, RIG_HUGE, 2 * SZ_2M);
		break;
	case 3:
		map_both(mid, mid + SZ_2M, RIG_64K, 2 * SZ_2M);
		break;
	case 4:
		map_both(VA + 0x1000, VA + SLOTS_B - 0x1000, RIG_MIXED, 0x1000);
		break;
	case 5: /* a cut */
		clear_both(mid + 0x5000, mid + 0x1f000);
		break;
	case 6:
		clear_both(mid + SZ_64K, mid + 3 * SZ_64K);
		break;
	case 7:
		clear_both(mid, mid + SZ_2M);
		break;
	case 8: /* what is left of the outer ones is in their last and first page */
		clear_both(VA + 0x1000, VA + SLOTS_B - 0x1000);
		break;
	default: /* all tables go */
		clear_both(VA, VA + SLOTS_B);
		break;
	}
}

static void evict_in_the_job(struct rig *r)
{
	rig_evict(r, 2);
	pt_check(&r->pt);
}

static void restore_in_the_job(struct rig *r)
{
	if (pt_has_evicted(&r->pt)) {
		rig_restore(r);
	} else {
		rig_evict(r, ALL);
	}
	pt_check(&r->pt);
}

static void edit_case(enum rig_memory memory, unsigned what, unsigned evicted,
		      void (*in_between)(struct rig *rig))
{
	map_both(VA, VA + SLOTS_B, memory, 0);
	rig_evict(&rig, evicted);
	compare(SLOTS_B);
	rig.in_between = in_between;
	edit(what);
	rig.in_between = NULL;
	compare(SLOTS_B);
	restore_and_compare(SLOTS_B);
	clear_both(VA, VA + SLOTS_B);
	CHECK_EQ(rig_tables(&rig), 1);
}

static void test_B26_jobs_change_the_image(void)
{
	begin();
	for (unsigned memory = 0; memory <= RIG_MEMORIES; memory++) {
		for (unsigned what = 0; what < EDITS; what++) {
			/* Of three leaf tables, or none, and two directories. */
			for (unsigned evicted = 0; evicted <= 5; evicted++) {
				edit_case((enum rig_memory)memory, what, evicted, NULL);
			}
			edit_case((enum rig_memory)memory, what, 0, evict_in_the_job);
			edit_case((enum rig_memory)memory, what, 0, restore_in_the_job);
			edit_case((enum rig_memory)memory, what, 5, restore_in_the_job);
		}
	}
	end();
}

/* What a clear empties goes without having been restored, directories too. */
static void test_B26_emptied_tables_go_with_their_images(void)
{
	uint64_t memory_B;

	begin();
	memory_B = pt_memory_B(&rig.pt);
	map_many(MANY);
	rig_evict(&rig, ALL);
	CHECK_OK(rig_clear(&rig, 0, BIT64(48)));
	CHECK(!pt_has_evicted(&rig.pt));
	CHECK_EQ(pt_memory_B(&rig.pt), memory_B);
	CHECK_EQ(rig_tables(&rig), 1);
	end();
}

/* A directory that a clear emptied, or a reservation made, is linked: it can be evicted. */
static void test_B26_an_empty_directory_is_evicted(void)
{
	struct pt_pool clear, given_up;

	begin();
	map_both(VA, VA + SZ_4K, RIG_4K, 0);
	rig_evict(&rig, ALL);
	pt_pool_init(&clear);
	CHECK_OK(pt_reserve_clear(&rig.pt, &clear, VA, VA + SZ_4K, false));
	run_clear(&clear, VA, VA + SZ_4K);
	pt_pool_init(&given_up);
	CHECK_OK(pt_reserve_map(&rig.pt, &given_up, 0, SZ_4K, &rig.backing[RIG_4K], 0, false));
	CHECK_EQ(rig_evict(&rig, ALL), 2);
	pt_check(&rig.pt);
	rig_release(&rig, &clear);
	CHECK_EQ(rig_tables(&rig), 1 + 2 + 1);
	rig_release(&rig, &given_up);
	CHECK_EQ(rig_tables(&rig), 1);
	end();
}

static void test_B26_a_pending_job_runs_as_planned(void)
{
	struct pt_pool map, cut;
	struct gpu_pte pte;
	uint64_t at = VA + 5 * SZ_1G;

	begin();
	map_both(VA, VA + SZ_2M, RIG_HUGE, 0);
	pt_pool_init(&map);
	CHECK_OK(pt_reserve_map(&rig.pt, &map, at, at + SZ_4K, &rig.backing[RIG_4K], 0, false));
	pt_pool_init(&cut);
	CHECK_OK(pt_reserve_clear(&rig.pt, &cut, VA, VA + SZ_4K, false));
	/* Neither the tables of the pools, nor those that will be made of them. */
	CHECK_EQ(rig_evict(&rig, ALL), 3);
	port_fault_set(PORT_FAULT_ALLOC, 1, true);
	run_map(&map, at, at + SZ_4K, RIG_4K);
	run_clear(&cut, VA, VA + SZ_4K);
	model_clear(&model, VA, VA + SZ_4K);
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	pt_check(&rig.pt);
	CHECK_EQ(rig_entry(&rig, 1, at) & 1, 1); /* a frame */
	CHECK(!rig_walk(&rig, at, &pte));
	rig_release(&rig, &map);
	rig_release(&rig, &cut);
	CHECK(rig_translate(&rig, at, &pte));
	CHECK_EQ(rig_evict(&rig, 1), 1);
	restore_and_compare(SZ_2M);
	CHECK(rig_walk(&rig, at, &pte));
	CHECK_EQ(pte.phys, rig_phys(&rig, RIG_4K, 0));
	end();
}

/* A table that a run took out waits for the release: there is nothing to restore. */
static void test_B26_an_unlinked_table_is_not_restored(void)
{
	struct pt_pool pool;

	begin();
	map_both(VA, VA + SZ_2M, RIG_64K, 0);
	rig_evict(&rig, 1);
	pt_pool_init(&pool);
	CHECK_OK(pt_reserve_clear(&rig.pt, &pool, VA, VA + SZ_4K, false));
	run_clear(&pool, VA, VA + SZ_4K);
	model_clear(&model, VA, VA + SZ_4K);
	CHECK(pt_has_unlinked(&pool) && pt_has_evicted(&rig.pt));
	port_fault_set(PORT_FAULT_ALLOC, 1, true);
	CHECK_OK(pt_restore(&rig.pt));
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	compare(SZ_2M);
	rig_release(&rig, &pool);
	CHECK(!pt_has_evicted(&rig.pt));
	compare(SZ_2M);
	end();
}

/* ---- larger pages --------------------------------------------------------------------------- */

static void expect_giant(uint64_t start, uint64_t stop)
{
	const uint64_t at[] = { start, start + 0x5000, stop - 0x6000, stop - SZ_4K };

	for (unsigned i = 0; i < ARRAY_LEN(at); i++) {
		struct gpu_pte pte;

		CHECK(rig_translate(&rig, at[i], &pte));
		CHECK_EQ(pte.phys, rig_phys(&rig, RIG_GIANT, at[i] - VA));
	}
}

static void expect_none(uint64_t addr)
{
	struct gpu_pte pte;

	CHECK(!rig_translate(&rig, addr, &pte));
}

static void test_B26_a_1g_page_in_an_evicted_directory(void)
{
	for (unsigned restored = 0; restored < 2; restored++) {
		begin();
		CHECK_OK(rig_map(&rig, VA, VA + 2 * SZ_1G, RIG_GIANT, 0, &rw));
		CHECK_EQ(rig_evict(&rig, ALL), 1);
		expect_giant(VA, VA + 2 * SZ_1G);
		/* The directory that is made of one is there, above it there is nothing. */
		CHECK_OK(rig_clear(&rig, VA + SZ_64K, VA + 2 * SZ_64K));
		CHECK_EQ(rig_evict(&rig, restored ? 0 : ALL), restored ? 0 : 2);
		CHECK_OK(rig_clear(&rig, VA + SZ_1G, VA + 2 * SZ_1G));
		pt_check(&rig.pt);
		if (restored) {
			rig_restore(&rig);
		}
		expect_giant(VA, VA + SZ_64K);
		expect_giant(VA + 2 * SZ_64K, VA + SZ_1G);
		expect_none(VA + SZ_64K);
		expect_none(VA + SZ_1G);
		rig_restore(&rig);
		expect_giant(VA + 2 * SZ_64K, VA + SZ_1G);
		end();
	}
}

static void test_B26_a_1g_page_replaces_evicted_tables(void)
{
	struct pt_pool pin;
	uint64_t tables;

	for (unsigned pinned = 0; pinned < 2; pinned++) {
		begin();
		CHECK_OK(rig_map(&rig, VA, VA + SZ_2M, RIG_4K, 0, &rw));
		CHECK_OK(rig_map(&rig, VA + SZ_2M, VA + 2 * SZ_2M, RIG_64K, 0, &rw));
		pt_pool_init(&pin);
		if (pinned) {
			CHECK_OK(pt_reserve_map(&rig.pt, &pin, VA, VA + SZ_2M, NULL, 0, false));
		}
		CHECK_EQ(rig_evict(&rig, ALL), 4);
		CHECK_OK(rig_map(&rig, VA, VA + SZ_1G, RIG_GIANT, 0, &rw));
		tables = rig_tables(&rig);
		CHECK_EQ(tables, pinned ? 3 : 2); /* the root, and directories */
		pt_check(&rig.pt);
		CHECK(rig_is_evicted(&rig, VA));
		expect_giant(VA, VA + SZ_1G);
		rig_restore(&rig);
		CHECK(!rig_is_evicted(&rig, VA));
		expect_giant(VA, VA + SZ_1G);
		rig_release(&rig, &pin);
		end();
	}
}

/* Device memory in 64 KiB pages: a compact table stays one, evicted or not. */
static void test_B26_need_64k(void)
{
	uint64_t at = VA + SZ_2M;

	begin();
	rig.pt.need_64k = true;
	map_both(at, at + SZ_2M / 2, RIG_MIXED, SZ_2M);
	map_both(at + SZ_2M, at + 2 * SZ_2M, RIG_64K, 0);
	CHECK_EQ(rig_evict(&rig, ALL), 4);
	map_both(at + SZ_64K, at + 4 * SZ_64K, RIG_MIXED, SZ_2M + 7 * SZ_64K);
	map_both(at + SZ_2M + SZ_64K, at + SZ_2M + 4 * SZ_64K, RIG_MIXED, SZ_2M);
	clear_both(at + 2 * SZ_64K, at + 3 * SZ_64K);
	clear_both(at + SZ_2M + 2 * SZ_64K, at + SZ_2M + 3 * SZ_64K);
	CHECK_EQ(rig_tables(&rig), 5);
	compare(4 * SZ_2M);
	restore_and_compare(4 * SZ_2M);
	end();
}

/* ---- the GPU -------------------------------------------------------------------------------- */

#define GPU_PAGES 16u /* each in a slot of its own; behind them one that is mapped nowhere */
#define GPU_MEMORY_B (2 * GPU_PAGES * SZ_4K)

static struct gpu_engine engine;
static uint64_t *gpu_memory;
static atomic_bool gpu_stop;

static uint64_t gpu_addr(unsigned i)
{
	return VA + i * SZ_2M;
}

static void gpu_map(unsigned i)
{
	CHECK_OK(rig_map(&rig, gpu_addr(i), gpu_addr(i) + SZ_4K, RIG_HUGE, i * SZ_4K, &rw));
}

/* Page i holds 1000 + i. */
static void gpu_begin(void)
{
	uint64_t phys;

	begin();
	gpu_memory = port_reserve(GPU_MEMORY_B);
	CHECK(gpu_memory);
	CHECK_OK(region_alloc_block(frames(), 5, (uintptr_t)gpu_memory, &phys));
	rig.extents[RIG_HUGE][0] = (struct extent){ .phys = phys, .size_B = GPU_MEMORY_B };
	gpu_engine_init(&engine, GPU_CLASS_COPY, 0, &mem_gpu_ops, &rig.mem);
	for (unsigned i = 0; i < GPU_PAGES; i++) {
		gpu_memory[i * (SZ_4K / sizeof(*gpu_memory))] = 1000 + i;
		gpu_map(i);
	}
}

static void gpu_end(void)
{
	region_free_range(frames(), rig.extents[RIG_HUGE][0].phys, GPU_MEMORY_B);
	port_unreserve(gpu_memory, GPU_MEMORY_B);
	end();
}

static void gpu_invalidate(uint64_t start, uint64_t stop)
{
	struct gpu_engine *engines[] = { &engine };

	gpu_soft_ops.invalidate(engines, 1, &rig.hw, start, stop);
}

/* False: nothing is there. All else but the page's own value is wrong. */
static bool gpu_loads(unsigned i)
{
	struct gpu_fault fault;
	uint64_t got = 0;
	int ret = gpu_soft_ops.load(&engine, &rig.hw, gpu_addr(i), &got, sizeof(got), &fault);

	if (ret) {
		CHECK_ERR(ret, -EFAULT);
		CHECK_EQ(fault.type, GPU_FAULT_NOT_PRESENT);
		return false;
	}
	CHECK_EQ(got, 1000 + i);
	return true;
}

static void test_B26_the_gpu_translates_again_without_an_invalidation(void)
{
	gpu_begin();
	CHECK(gpu_loads(0));
	rig_evict(&rig, ALL);
	CHECK(gpu_loads(0)); /* it knows */
	CHECK(!gpu_loads(1));
	CHECK_OK(rig_clear(&rig, gpu_addr(0), gpu_addr(0) + SZ_4K));
	gpu_invalidate(gpu_addr(0), gpu_addr(0) + SZ_4K);
	CHECK(!gpu_loads(0));
	gpu_map(0);
	CHECK(!gpu_loads(0));
	rig_restore(&rig);
	for (unsigned i = 0; i < GPU_PAGES; i++) {
		CHECK(gpu_loads(i));
	}
	gpu_end();
}

static void gpu_run(void *arg)
{
	(void)arg;
	while (!atomic_load(&gpu_stop)) {
		for (unsigned i = 0; i < GPU_PAGES; i++) {
			gpu_loads(i);
		}
		port_relax();
	}
}

/* Somebody else gets the frames, for tables of his own: who walks on in them finds another page. */
static void gpu_reuse(void)
{
	struct frame_page page[GPU_PAGES + 2];
	uint64_t phys = rig_phys(&rig, RIG_HUGE, GPU_PAGES * SZ_4K);
	uint64_t trap = gpu_pte_leaf(rig.hw.fmt, 0, false, phys, false, &rw);

	for (unsigned i = 0; i < ARRAY_LEN(page); i++) {
		CHECK_OK(frame_page_alloc(&rig.mem, &page[i]));
		port_fill64(page[i].host, trap, 0, SZ_4K / sizeof(trap));
	}
	for (unsigned i = 0; i < ARRAY_LEN(page); i++) {
		frame_page_free(&rig.mem, &page[i]);
	}
}

static void gpu_race(uint64_t seed)
{
	unsigned rounds = test_is_sim() ? 10 : test_scale(2000);
	struct port_thread *thread;

	(void)seed;
	gpu_begin();
	atomic_store(&gpu_stop, false);
	CHECK_OK(port_thread_create(&thread, "gpu", gpu_run, NULL));
	for (unsigned i = 0; i < rounds; i++) {
		struct pt_eviction eviction;
		uint64_t evicted;

		CHECK_OK(pt_evict(&rig.pt, i % 3 ? ALL : i % 7, &eviction, &evicted));
		gpu_invalidate(VA, VA + SZ_4K);
		pt_evict_finish(&rig.pt, &eviction);
		gpu_reuse();
		rig_restore(&rig);
		gpu_invalidate(VA, VA + SZ_1G); /* so that it walks again */
	}
	atomic_store(&gpu_stop, true);
	port_thread_join(thread);
	for (unsigned i = 0; i < GPU_PAGES; i++) {
		CHECK(gpu_loads(i));
	}
	gpu_end();
}

static void test_B26_the_gpu_walks_while_tables_come_and_go(void)
{
	test_seeds(gpu_race, 1, test_is_sim() ? test_scale(50) : 1);
}

static const struct test_case cases[] = {
	TEST(test_B26_hardware_finds_nothing_where_a_table_was),
	TEST(test_B26_every_kind_of_table_goes_and_comes_back),
	TEST(test_B26_nothing_to_do),
	TEST(test_B26_a_tree_ends_with_tables_evicted),
	TEST(test_B26_frames_given_back_are_free),
	TEST(test_B26_without_frames_a_restore_can_be_repeated),
	TEST(test_B26_every_allocation_may_fail),
	TEST(test_B26_jobs_change_the_image),
	TEST(test_B26_emptied_tables_go_with_their_images),
	TEST(test_B26_an_empty_directory_is_evicted),
	TEST(test_B26_a_pending_job_runs_as_planned),
	TEST(test_B26_an_unlinked_table_is_not_restored),
	TEST(test_B26_a_1g_page_in_an_evicted_directory),
	TEST(test_B26_a_1g_page_replaces_evicted_tables),
	TEST(test_B26_need_64k),
	TEST(test_B26_the_gpu_translates_again_without_an_invalidation),
	TEST(test_B26_the_gpu_walks_while_tables_come_and_go),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
