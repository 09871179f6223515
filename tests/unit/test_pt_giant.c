// SPDX-License-Identifier: MIT
/* Leaves of 1 GiB: when they are written, how a part is cut out, what pending jobs count on. */
#include "test_pt_rig.h"

#define VA ((uint64_t)0x123400000000) /* a multiple of 1 GiB */
#define FAR (VA + 8 * SZ_1G)          /* in the same level-2 directory */

static const struct gpu_pte_attrs rw = { .writable = true };
static const struct gpu_pte_attrs ro = { 0 };
static struct rig rig;

static void no_memory(bool on)
{
	port_fault_set(PORT_FAULT_ALLOC, on, true);
}

static void end(void)
{
	CHECK_OK(rig_clear(&rig, 0, BIT64(48)));
	rig_fini(&rig);
}

static void expect(uint64_t addr, uint64_t phys, unsigned shift)
{
	struct gpu_pte pte;

	CHECK(rig_walk(&rig, addr, &pte));
	CHECK_EQ(pte.phys, phys);
	CHECK_EQ(pte.shift, shift);
}

static void expect_none(uint64_t addr)
{
	struct gpu_pte pte;

	CHECK(!rig_walk(&rig, addr, &pte));
}

/* All of RIG_GIANT's first GiB is at VA, but for [gone, gone_end). */
static void expect_giant(uint64_t gone, uint64_t gone_end)
{
	for (uint64_t at = VA; at < VA + SZ_1G; at += SZ_64K) {
		struct gpu_pte pte;
		bool there = rig_walk(&rig, at, &pte);

		CHECK_EQ(there, at < gone || at >= gone_end);
		CHECK(!there || pte.phys == rig_phys(&rig, RIG_GIANT, at - VA));
	}
	expect_none(VA - SZ_4K);
	expect_none(VA + SZ_1G);
	pt_check(&rig.pt);
}

static void map_giant(void)
{
	CHECK_OK(rig_map(&rig, VA, VA + SZ_1G, RIG_GIANT, 0, &rw));
}

static void reserve_map(struct pt_pool *pool, uint64_t start, uint64_t size_B,
			enum rig_memory memory, bool contended)
{
	pt_pool_init(pool);
	CHECK_OK(pt_reserve_map(&rig.pt, pool, start, start + size_B, &rig.backing[memory], 0,
				contended));
}

static void reserve_clear(struct pt_pool *pool, uint64_t start, uint64_t size_B, bool contended)
{
	pt_pool_init(pool);
	CHECK_OK(pt_reserve_clear(&rig.pt, pool, start, start + size_B, contended));
}

static void run_map(struct pt_pool *pool, uint64_t start, uint64_t size_B, enum rig_memory memory)
{
	port_mutex_lock(&rig.pt.lock);
	pt_write(&rig.pt, pool, start, start + size_B, &rig.backing[memory], 0, &rw);
	port_mutex_unlock(&rig.pt.lock);
	pt_check(&rig.pt);
}

static void run_clear(struct pt_pool *pool, uint64_t start, uint64_t size_B)
{
	port_mutex_lock(&rig.pt.lock);
	pt_clear(&rig.pt, pool, start, start + size_B);
	port_mutex_unlock(&rig.pt.lock);
	pt_check(&rig.pt);
}

/* ---- whole leaves --------------------------------------------------------------------------- */

static void test_A24_golden_1g(void)
{
	struct gpu_pte_attrs pat = { .writable = true, .pat = 0x15 };
	struct gpu_pte pte;

	rig_init(&rig);
	/* Crosses into another level-2 directory. */
	CHECK_OK(rig_map(&rig, BIT64(39) - SZ_1G, BIT64(39) + SZ_1G, RIG_GIANT, SZ_1G, &rw));
	CHECK_EQ(rig_entry(&rig, 2, BIT64(39) - SZ_1G), 0x1040000083);
	CHECK_EQ(rig_entry(&rig, 2, BIT64(39)), 0x1080000083);
	expect(BIT64(39) + 0x12345678, 0x1092345678, 30);
	CHECK_EQ(rig_tables(&rig), 3);
	CHECK_OK(rig_map(&rig, 0, SZ_1G, RIG_GIANT_PIECES, 0, &pat));
	CHECK_EQ(rig_entry(&rig, 2, 0), 0x200000200000108b);
	CHECK_OK(rig_map_null(&rig, VA - SZ_4K, VA + 2 * SZ_1G + SZ_4K));
	CHECK_EQ(rig_entry(&rig, 2, VA), 0x283);
	CHECK_EQ(rig_entry(&rig, 2, VA + SZ_1G), 0x283);
	CHECK(rig_walk(&rig, VA + 0x3456789a, &pte) && pte.attrs.null && pte.phys == 0);
	expect(VA + 2 * SZ_1G, 0, 12);
	expect(VA - 1, 0, 12);
	pt_check(&rig.pt);
	end();
}

static void no_1g_where_memory_and_address_disagree(void)
{
	rig_init(&rig);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_1G, RIG_GIANT, SZ_2M, &rw));
	expect(VA, 0x1000200000, 21);
	CHECK_OK(rig_map(&rig, VA + SZ_2M, VA + SZ_2M + SZ_1G, RIG_GIANT, 0, &rw));
	expect(VA + SZ_2M, 0x1000000000, 21);
	CHECK_OK(rig_map(&rig, FAR, FAR + SZ_1G - SZ_2M, RIG_GIANT, 0, &rw));
	expect(FAR, 0x1000000000, 21);
	CHECK_EQ(rig_tables(&rig), 5);
	end();
}

static void the_whole_address_space_takes_no_level_1_directory(void)
{
	rig_init(&rig);
	CHECK_OK(rig_map_null(&rig, 0, BIT64(48)));
	CHECK_EQ(rig_tables(&rig), 1 + 512);
	CHECK_OK(rig_clear(&rig, BIT64(39), BIT64(48)));
	CHECK_EQ(rig_tables(&rig), 2);
	expect(BIT64(39) - 1, 0, 30);
	expect_none(BIT64(39));
	pt_check(&rig.pt);
	end();
}

static void empty_level_2_directories_go_away(void)
{
	struct pt_pool pool;

	rig_init(&rig);
	map_giant();
	pt_pool_init(&pool);
	no_memory(true); /* nothing is cut */
	CHECK_OK(pt_reserve_clear(&rig.pt, &pool, VA, VA + SZ_1G, false));
	run_clear(&pool, VA, SZ_1G);
	CHECK_EQ(pool.lost_count, 0);
	rig_release(&rig, &pool);
	no_memory(false);
	CHECK_EQ(rig_tables(&rig), 1);
	rig_fini(&rig);
}

/* ---- the GPU -------------------------------------------------------------------------------- */

static struct gpu_engine engine;

static void gpu_store(uint64_t addr, uint64_t value)
{
	struct gpu_fault fault;

	CHECK_OK(gpu_soft_ops.store(&engine, &rig.hw, addr, &value, 8, &fault));
}

static void gpu_expect(uint64_t addr, uint64_t value)
{
	struct gpu_fault fault;
	uint64_t got = 0;

	CHECK_OK(gpu_soft_ops.load(&engine, &rig.hw, addr, &got, 8, &fault));
	CHECK_EQ(got, value);
}

static void gpu_expect_none(uint64_t addr)
{
	struct gpu_fault fault;
	uint64_t got;

	CHECK_ERR(gpu_soft_ops.load(&engine, &rig.hw, addr, &got, 8, &fault), -EFAULT);
	CHECK_EQ(fault.type, GPU_FAULT_NOT_PRESENT);
	CHECK_EQ(fault.address, addr);
}

static void invalidate(uint64_t start, uint64_t stop)
{
	struct gpu_engine *engines[] = { &engine };

	gpu_soft_ops.invalidate(engines, 1, &rig.hw, start, stop);
}

/* Memory enough for an aligned GiB, with one of its blocks as RIG_GIANT. */
static void *giant_frames(uint64_t *phys_out)
{
	struct mem_config config = { .system_B = 3 * SZ_1G };
	void *host = port_reserve(SZ_1G);

	CHECK(host);
	rig_init(&rig);
	pt_fini(&rig.pt);
	mem_fini(&rig.mem);
	CHECK_OK(mem_init(&rig.mem, &config, &rig.events, NULL));
	CHECK_OK(pt_init(&rig.pt, &rig.mem, &gpu_format_intel48));
	rig.hw.root_phys = rig.pt.root->page.phys;
	rig.hw.root_device = rig.pt.root->page.device;
	CHECK_OK(region_alloc_block(&rig.mem.region[MEM_SYSTEM], 18, (uintptr_t)host, phys_out));
	rig.extents[RIG_GIANT][0] = (struct extent){ .phys = *phys_out, .size_B = SZ_1G };
	gpu_engine_init(&engine, GPU_CLASS_COPY, 0, &mem_gpu_ops, &rig.mem);
	return host;
}

static void test_A24_the_gpu_uses_a_1g_page(void)
{
	static const uint64_t at[] = { 0, 0x12345678, SZ_1G / 2 + SZ_2M, SZ_1G - 8 };
	uint64_t phys, gone = SZ_1G / 2 + SZ_64K;
	uint8_t *host = giant_frames(&phys);

	map_giant();
	CHECK_EQ(rig_entry(&rig, 2, VA), phys | 0x83);
	for (unsigned i = 0; i < ARRAY_LEN(at); i++) {
		gpu_store(VA + at[i], 100 + i);
		CHECK_EQ(*(uint64_t *)(host + at[i]), 100 + i);
	}
	gpu_store(VA + gone, 7);
	CHECK_OK(rig_clear(&rig, VA + gone, VA + gone + SZ_4K));
	invalidate(VA + gone, VA + gone + SZ_4K);
	gpu_expect_none(VA + gone);
	gpu_store(VA + gone - 8, 8);
	gpu_store(VA + gone + SZ_4K, 9);
	CHECK(*(uint64_t *)(host + gone - 8) == 8 && *(uint64_t *)(host + gone + SZ_4K) == 9);
	for (unsigned i = 0; i < ARRAY_LEN(at); i++) {
		gpu_expect(VA + at[i], 100 + i);
	}
	CHECK_OK(rig_map_null(&rig, VA, VA + SZ_1G));
	invalidate(VA, VA + SZ_1G);
	gpu_store(VA + at[1], 5);
	gpu_expect(VA + at[1], 0);
	CHECK_EQ(*(uint64_t *)(host + at[1]), 101);
	CHECK_OK(rig_clear(&rig, VA, VA + SZ_1G));
	invalidate(VA, VA + SZ_1G);
	gpu_expect_none(VA + at[2]);
	region_free_range(&rig.mem.region[MEM_SYSTEM], phys, SZ_1G);
	rig_fini(&rig);
	port_unreserve(host, SZ_1G);
}

/* ---- over a directory ----------------------------------------------------------------------- */

static void a_leaf_replaces_a_directory_and_all_below(void)
{
	const struct pt_table *old;
	struct pt_pool pool;
	uint64_t before;

	rig_init(&rig);
	CHECK_OK(rig_map(&rig, VA + SZ_2M, VA + 3 * SZ_2M, RIG_4K, 0, &rw));
	CHECK_OK(rig_map(&rig, VA + 9 * SZ_2M, VA + 10 * SZ_2M, RIG_HUGE, 0, &rw));
	CHECK_EQ(rig_tables(&rig), 5);
	before = rig_entry(&rig, 0, VA + SZ_2M + 0x7000);
	reserve_map(&pool, VA, SZ_1G, RIG_GIANT, false);
	no_memory(true);
	run_map(&pool, VA, SZ_1G, RIG_GIANT);
	no_memory(false);
	CHECK_EQ(rig_entry(&rig, 2, VA), 0x1000000083);
	/* A walk may still be inside of what was there. */
	CHECK(pt_has_unlinked(&pool) && pt_has_dirs(&pool));
	old = list_first(&pool.unlinked, struct pt_table, node);
	CHECK_EQ(old->page.host[7], before);
	old = list_first(&pool.dirs, struct pt_table, node);
	CHECK(old->page.host[1] != 0 && old->page.host[9] != 0);
	pt_release(&rig.pt, &pool);
	CHECK_EQ(rig_tables(&rig), 3);
	CHECK(pt_has_dirs(&pool));
	pt_free_dirs(&rig.pt, &pool);
	CHECK_EQ(rig_tables(&rig), 2);
	expect_giant(VA, VA);
	end();
}

static void a_directory_of_a_pending_job_is_filled_instead(void)
{
	struct pt_pool pending, pool;

	rig_init(&rig);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_2M, RIG_4K, 0, &rw));
	reserve_map(&pending, VA + 5 * SZ_2M, SZ_4K, RIG_4K, false);
	reserve_map(&pool, VA, SZ_1G, RIG_GIANT, true);
	no_memory(true);
	run_map(&pool, VA, SZ_1G, RIG_GIANT);
	no_memory(false);
	CHECK(pt_has_unlinked(&pool) && !pt_has_dirs(&pool));
	CHECK_EQ(rig_entry(&rig, 1, VA + 7 * SZ_2M), 0x1000e00083);
	expect_giant(VA, VA);
	rig_release(&rig, &pool);
	rig_release(&rig, &pending);
	CHECK_EQ(rig_tables(&rig), 3);
	/* The next one is not in the way of anybody. */
	CHECK_OK(rig_map_null(&rig, VA, VA + SZ_1G));
	CHECK_EQ(rig_entry(&rig, 2, VA), 0x283);
	CHECK_EQ(rig_tables(&rig), 2);
	end();
}

/* What a clear has emptied is on its list when a leaf takes its place. */
static void an_emptied_directory_is_replaced(void)
{
	struct pt_pool clear;

	rig_init(&rig);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_2M, RIG_HUGE, 0, &rw));
	reserve_clear(&clear, VA, SZ_2M, false);
	run_clear(&clear, VA, SZ_2M);
	map_giant();
	CHECK_EQ(rig_entry(&rig, 2, VA), 0x1000000083);
	rig_release(&rig, &clear);
	expect_giant(VA, VA);
	end();
}

/* ---- cuts ----------------------------------------------------------------------------------- */

static void a_cut_is_made_at_once_and_changes_nothing(void)
{
	struct pt_pool pool;

	rig_init(&rig);
	map_giant();
	reserve_clear(&pool, VA + 3 * SZ_2M + SZ_64K, SZ_64K, false);
	CHECK_EQ(rig_entry(&rig, 1, VA), 0x1000000083);
	CHECK_EQ(rig_entry(&rig, 1, VA + SZ_1G - SZ_2M), 0x103fe00083);
	expect_giant(VA, VA);
	/* It may be given up: nothing is to be undone. */
	rig_release(&rig, &pool);
	expect_giant(VA, VA);
	reserve_clear(&pool, VA + 3 * SZ_2M + SZ_64K, SZ_64K, false);
	CHECK(list_empty(&pool.pins)); /* the directory is there and nobody will take it */
	no_memory(true);
	run_clear(&pool, VA + 3 * SZ_2M + SZ_64K, SZ_64K);
	CHECK_EQ(pool.lost_count, 0);
	rig_release(&rig, &pool);
	no_memory(false);
	expect_giant(VA + 3 * SZ_2M + SZ_64K, VA + 3 * SZ_2M + 2 * SZ_64K);
	end();
}

static void both_ends_of_a_clear_are_cut(void)
{
	rig_init(&rig);
	CHECK_OK(rig_map(&rig, VA, VA + 4 * SZ_1G, RIG_GIANT, 0, &ro));
	CHECK_OK(rig_clear(&rig, VA + SZ_1G - SZ_4K, VA + 3 * SZ_1G + SZ_4K));
	expect(VA, 0x1000000000, 21);
	expect(VA + SZ_1G - 2 * SZ_4K, 0x103fffe000, 12);
	for (uint64_t at = VA + SZ_1G - SZ_4K; at <= VA + 3 * SZ_1G; at += SZ_2M / 2) {
		expect_none(at);
	}
	expect_none(VA + 3 * SZ_1G);
	expect(VA + 3 * SZ_1G + SZ_4K, 0x10c0001000, 12);
	expect(VA + 4 * SZ_1G - 1, 0x10ffffffff, 21);
	/* Root, level 2, two of level 1, two leaf tables. */
	CHECK_EQ(rig_tables(&rig), 6);
	pt_check(&rig.pt);
	end();
}

static void a_map_cuts_and_keeps_attributes(void)
{
	struct gpu_pte_attrs pat = { .writable = true, .atomic = true, .pat = 0x15 };
	struct gpu_pte pte;

	rig_init(&rig);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_1G, RIG_GIANT, 0, &pat));
	CHECK_OK(rig_map_null(&rig, FAR, FAR + SZ_1G));
	CHECK_OK(rig_map(&rig, VA + 0x201000, VA + 0x202000, RIG_4K, 0, &ro));
	CHECK_OK(rig_map(&rig, FAR + 0x201000, FAR + 0x202000, RIG_4K, 0, &ro));
	expect(VA + 0x201000, 0x300000000, 12);
	expect(FAR + 0x201000, 0x300000000, 12);
	CHECK(rig_walk(&rig, VA, &pte) && pte.phys == 0x1000000000);
	CHECK(pte.attrs.writable && pte.attrs.atomic && pte.attrs.pat == 0x15);
	CHECK(rig_walk(&rig, VA + 0x200000, &pte) && pte.phys == 0x1000200000);
	CHECK(pte.attrs.writable && pte.attrs.atomic && pte.attrs.pat == 0x15);
	CHECK_EQ(rig_entry(&rig, 1, FAR), 0x283);
	CHECK_EQ(rig_entry(&rig, 0, FAR + 0x200000), 0x203);
	pt_check(&rig.pt);
	end();
}

/* ---- pending jobs --------------------------------------------------------------------------- */

/* Who will cut a leaf that a pending job has not written yet makes the directory for it now. */
static void a_clear_behind_a_pending_leaf_finds_its_directory(void)
{
	struct pt_pool map, clear;

	for (unsigned before = 0; before < 3; before++) {
		rig_init(&rig);
		if (before == 1) {
			CHECK_OK(rig_map_null(&rig, VA, VA + SZ_1G));
		} else if (before == 2) {
			CHECK_OK(rig_map(&rig, VA, VA + SZ_4K, RIG_4K, 0, &rw));
		}
		reserve_map(&map, VA, SZ_1G, RIG_GIANT, false);
		reserve_clear(&clear, VA + SZ_2M + SZ_4K, SZ_4K, true);
		no_memory(true);
		run_map(&map, VA, SZ_1G, RIG_GIANT);
		rig_release(&rig, &map);
		run_clear(&clear, VA + SZ_2M + SZ_4K, SZ_4K);
		CHECK_EQ(clear.lost_count, 0);
		rig_release(&rig, &clear);
		no_memory(false);
		expect_none(VA + SZ_2M + SZ_4K);
		expect(VA + SZ_2M, 0x1000200000, 12);
		expect(VA + SZ_2M + 2 * SZ_4K, 0x1000202000, 12);
		expect(VA + SZ_1G - 1, 0x103fffffff, 21);
		end();
	}
}

static void a_map_behind_a_pending_leaf_finds_its_directory(void)
{
	struct pt_pool giant, map;

	rig_init(&rig);
	reserve_map(&giant, VA, SZ_1G, RIG_GIANT, false);
	reserve_map(&map, VA + SZ_2M, SZ_4K, RIG_4K, true);
	no_memory(true);
	run_map(&giant, VA, SZ_1G, RIG_GIANT);
	rig_release(&rig, &giant);
	run_map(&map, VA + SZ_2M, SZ_4K, RIG_4K);
	rig_release(&rig, &map);
	no_memory(false);
	expect(VA + SZ_2M, 0x300000000, 12);
	expect(VA + SZ_2M + SZ_4K, 0x1000201000, 12);
	expect(VA, 0x1000000000, 21);
	end();
}

/* A level-2 directory that a pending job counts on is not taken away by a neighbour. */
static void a_pin_holds_a_level_2_directory(void)
{
	struct pt_pool giant;

	rig_init(&rig);
	CHECK_OK(rig_map(&rig, FAR, FAR + SZ_4K, RIG_4K, 0, &rw));
	reserve_map(&giant, VA, SZ_1G, RIG_GIANT, false);
	CHECK_OK(rig_clear(&rig, FAR, FAR + SZ_4K));
	CHECK_EQ(rig_tables(&rig), 2);
	pt_check(&rig.pt);
	run_map(&giant, VA, SZ_1G, RIG_GIANT);
	rig_release(&rig, &giant);
	expect_giant(VA, VA);
	end();
}

/* Nobody will write such a leaf: the clear behind a pending job makes no directory. */
static void a_clear_behind_a_pending_job_makes_no_directory(void)
{
	struct pt_pool map, clear;

	rig_init(&rig);
	reserve_map(&map, VA, SZ_2M, RIG_4K, false);
	reserve_clear(&clear, VA + SZ_2M - SZ_4K, SZ_1G, true);
	CHECK(list_empty(&clear.pins));
	run_map(&map, VA, SZ_2M, RIG_4K);
	run_clear(&clear, VA + SZ_2M - SZ_4K, SZ_1G);
	rig_release(&rig, &map);
	rig_release(&rig, &clear);
	expect_none(VA + SZ_2M - SZ_4K);
	expect(VA, 0x300000000, 12);
	end();
}

/* ---- without memory ------------------------------------------------------------------------- */

/* RIG_GIANT, or NULL, at VA: 3 GiB, there already or to be written by a pending job. */
static void write_three(struct pt_pool *pool, bool null)
{
	struct gpu_pte_attrs attrs = { .writable = true, .null = null };

	port_mutex_lock(&rig.pt.lock);
	pt_write(&rig.pt, pool, VA, VA + 3 * SZ_1G, null ? NULL : &rig.backing[RIG_GIANT], 0,
		 &attrs);
	port_mutex_unlock(&rig.pt.lock);
}

static void expect_three(uint64_t gone, uint64_t gone_end, bool null)
{
	for (uint64_t at = VA; at < VA + 3 * SZ_1G; at += SZ_2M / 4) {
		struct gpu_pte pte;
		bool there = rig_walk(&rig, at, &pte);

		CHECK_EQ(there, at < gone || at >= gone_end);
		CHECK(!there || pte.attrs.null == null);
		CHECK(!there || null || pte.phys == rig_phys(&rig, RIG_GIANT, at - VA));
	}
	pt_check(&rig.pt);
}

static void lose_case(uint64_t start, uint64_t stop, bool null, bool pending)
{
	uint64_t first = align_down(start, SZ_1G), last = align_up(stop, SZ_1G);
	struct pt_pool map, clear;
	unsigned n = 0;

	rig_init(&rig);
	pt_pool_init(&map);
	pt_pool_init(&clear);
	CHECK_OK(pt_reserve_map(&rig.pt, &map, VA, VA + 3 * SZ_1G,
				null ? NULL : &rig.backing[RIG_GIANT], 0, false));
	if (!pending) {
		write_three(&map, null);
		rig_release(&rig, &map);
	}
	no_memory(true);
	CHECK_ERR(pt_reserve_clear(&rig.pt, &clear, start, stop, pending), -ENOMEM);
	clear.may_lose = true;
	CHECK(clear.order_start <= first && clear.order_end >= last);
	if (pending) {
		write_three(&map, null);
		rig_release(&rig, &map);
	}
	run_clear(&clear, start, stop - start);
	if (first < start) {
		CHECK(clear.lost[n].start == first && clear.lost[n].end == start);
		n++;
	}
	if (stop < last) {
		CHECK(clear.lost[n].start == stop && clear.lost[n].end == last);
		n++;
	}
	CHECK_EQ(clear.lost_count, n);
	rig_release(&rig, &clear);
	no_memory(false);
	expect_three(first, last, null);
	/* And again, when there is memory. */
	if (first < start) {
		CHECK_OK(null ? rig_map_null(&rig, first, start)
			      : rig_map(&rig, first, start, RIG_GIANT, first - VA, &rw));
	}
	if (stop < last) {
		CHECK_OK(null ? rig_map_null(&rig, stop, last)
			      : rig_map(&rig, stop, last, RIG_GIANT, stop - VA, &rw));
	}
	expect_three(start, stop, null);
	end();
}

static void test_P2_a_1g_leaf_is_lost_whole(void)
{
	for (unsigned how = 0; how < 4; how++) {
		bool null = how & 1, pending = how & 2;

		lose_case(VA + SZ_1G, VA + SZ_1G + SZ_2M, null, pending);
		lose_case(VA + SZ_1G + SZ_2M, VA + SZ_1G + 5 * SZ_2M, null, pending);
		lose_case(VA + SZ_1G - SZ_2M, VA + 2 * SZ_1G + SZ_2M, null, pending);
		lose_case(VA + 2 * SZ_1G - SZ_2M, VA + 3 * SZ_1G, null, pending);
	}
}

/* Memory came back for somebody else in between: then only the slot is lost. */
static void test_P2_of_a_leaf_that_was_cut_meanwhile_a_slot_is_lost(void)
{
	struct pt_pool clear;

	rig_init(&rig);
	map_giant();
	pt_pool_init(&clear);
	no_memory(true);
	CHECK_ERR(pt_reserve_clear(&rig.pt, &clear, VA + SZ_4K, VA + 2 * SZ_4K, false), -ENOMEM);
	no_memory(false);
	clear.may_lose = true;
	CHECK_OK(rig_map(&rig, VA + SZ_1G / 2, VA + SZ_1G / 2 + SZ_4K, RIG_GIANT, SZ_1G / 2, &rw));
	run_clear(&clear, VA + SZ_4K, SZ_4K);
	CHECK_EQ(clear.lost_count, 2);
	CHECK(clear.lost[0].start == VA && clear.lost[1].end == VA + SZ_2M);
	rig_release(&rig, &clear);
	expect_giant(VA, VA + SZ_2M);
	end();
}

static void failed(int ret, uint64_t tables)
{
	CHECK(test_injected());
	CHECK_ERR(ret, -ENOMEM);
	CHECK_EQ(rig_tables(&rig), tables);
	pt_check(&rig.pt);
	test_injection_off();
}

static void sweep_body(void *arg)
{
	const uint64_t at = BIT64(39) - SZ_1G - SZ_2M;
	uint64_t tables = rig_tables(&rig);
	struct gpu_pte pte;
	int ret;

	ret = rig_map_null(&rig, at, at + 3 * SZ_1G);
	if (ret) {
		failed(ret, tables);
		CHECK_OK(rig_map_null(&rig, at, at + 3 * SZ_1G));
	}
	/* A cut that was made stays made: the directories of both ends may be there. */
	ret = rig_clear(&rig, at + SZ_1G / 2, at + 2 * SZ_1G + SZ_4K);
	if (ret) {
		CHECK(test_injected());
		CHECK_ERR(ret, -ENOMEM);
		pt_check(&rig.pt);
		for (uint64_t off = 0; off < 3 * SZ_1G; off += SZ_2M) {
			CHECK(rig_walk(&rig, at + off, &pte) && pte.attrs.null);
		}
		test_injection_off();
		CHECK_OK(rig_clear(&rig, at + SZ_1G / 2, at + 2 * SZ_1G + SZ_4K));
	}
	test_injection_off();
	expect(at + SZ_1G / 2 - 1, 0, 21);
	expect_none(at + SZ_1G / 2);
	expect_none(at + 2 * SZ_1G);
	expect(at + 2 * SZ_1G + SZ_4K, 0, 12);
	CHECK_OK(rig_clear(&rig, 0, BIT64(48)));
	CHECK_EQ(rig_tables(&rig), 1);
}

static void every_failure_is_undone(void)
{
	rig_init(&rig);
	CHECK(test_sweep(PORT_FAULT_ALLOC, sweep_body, NULL) > 20);
	rig_fini(&rig);
}

static const struct test_case cases[] = {
	TEST(test_A24_golden_1g),
	TEST(no_1g_where_memory_and_address_disagree),
	TEST(the_whole_address_space_takes_no_level_1_directory),
	TEST(empty_level_2_directories_go_away),
	TEST(test_A24_the_gpu_uses_a_1g_page),
	TEST(a_leaf_replaces_a_directory_and_all_below),
	TEST(a_directory_of_a_pending_job_is_filled_instead),
	TEST(an_emptied_directory_is_replaced),
	TEST(a_cut_is_made_at_once_and_changes_nothing),
	TEST(both_ends_of_a_clear_are_cut),
	TEST(a_map_cuts_and_keeps_attributes),
	TEST(a_clear_behind_a_pending_leaf_finds_its_directory),
	TEST(a_map_behind_a_pending_leaf_finds_its_directory),
	TEST(a_pin_holds_a_level_2_directory),
	TEST(a_clear_behind_a_pending_job_makes_no_directory),
	TEST(test_P2_a_1g_leaf_is_lost_whole),
	TEST(test_P2_of_a_leaf_that_was_cut_meanwhile_a_slot_is_lost),
	TEST(every_failure_is_undone),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
