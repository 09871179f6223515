// SPDX-License-Identifier: MIT
/*
 * Clears without memory (P2): what a cut takes when there is no table for it, how that comes back,
 * and how directories go away without a pin.
 */
#include "test_pt_rig.h"

#define VA ((uint64_t)0x123400000000)

static const struct gpu_pte_attrs rw = { .writable = true };
static struct model model; /* too large for a stack */
static struct rig rig;
static uint64_t evicted; /* so many tables are, at most, when a clear is made */

static void no_memory(bool on)
{
	port_fault_set(PORT_FAULT_ALLOC, on, true);
}

static void run_clear(struct pt_pool *pool, uint64_t start, uint64_t end)
{
	port_mutex_lock(&rig.pt.lock);
	pt_clear(&rig.pt, pool, start, end);
	port_mutex_unlock(&rig.pt.lock);
}

static void run_map(struct pt_pool *pool, uint64_t start, uint64_t end, enum rig_memory memory)
{
	port_mutex_lock(&rig.pt.lock);
	pt_write(&rig.pt, pool, start, end, &rig.backing[memory], 0, &rw);
	port_mutex_unlock(&rig.pt.lock);
}

/* A job from reserve to release without memory. Returns what it lost. */
static unsigned clear_poor(uint64_t start, uint64_t end, bool contended, struct pt_lost lost[2])
{
	struct pt_pool pool;
	unsigned n;
	int ret;

	no_memory(true);
	pt_pool_init(&pool);
	ret = pt_reserve_clear(&rig.pt, &pool, start, end, contended);
	if (ret) {
		CHECK_ERR(ret, -ENOMEM);
		pool.may_lose = true;
	}
	CHECK(pool.order_start <= start && pool.order_end >= end && pool.reshapes);
	run_clear(&pool, start, end);
	n = pool.lost_count;
	for (unsigned i = 0; i < n; i++) {
		CHECK(pool.order_start <= pool.lost[i].start && pool.order_end >= pool.lost[i].end);
		lost[i] = pool.lost[i];
	}
	pt_check(&rig.pt);
	rig_release(&rig, &pool);
	no_memory(false);
	return n;
}

/* ---- what is lost --------------------------------------------------------------------------- */

static const uint64_t cuts[] = { 0,	  0x1000,   0xf000,   0x10000,  0x11000, 0x20000,
				 0xff000, 0x100000, 0x1f0000, 0x1ff000, SZ_2M };

static void map_again(enum rig_memory memory, uint64_t start, uint64_t end)
{
	if (memory == RIG_MEMORIES) {
		CHECK_OK(rig_map_null(&rig, start, end));
		model_map_null(&model, start, end);
	} else {
		CHECK_OK(rig_map(&rig, start, end, memory, start - VA, &rw));
		model_map(&model, &rig, start, end, memory, start - VA, &rw);
	}
}

/* Three slots of it, cut at @start and @end; RIG_MEMORIES: a NULL mapping. */
static void lost_case(enum rig_memory memory, uint64_t entry_B, uint64_t start, uint64_t end,
		      bool contended)
{
	struct pt_lost lost[2];
	unsigned n, expected = 0;

	memset(&model, 0, sizeof(model));
	model.base = VA;
	map_again(memory, VA, VA + 3 * SZ_2M);
	rig_evict(&rig, evicted);
	n = clear_poor(start, end, contended, lost);
	model_clear(&model, start, end);
	if (!is_aligned(start, entry_B)) {
		CHECK(expected < n && lost[expected].end == start);
		CHECK_EQ(lost[expected++].start, align_down(start, entry_B));
	}
	if (!is_aligned(end, entry_B)) {
		CHECK(expected < n && lost[expected].start == end);
		CHECK_EQ(lost[expected++].end, align_up(end, entry_B));
	}
	CHECK_EQ(n, expected);
	for (unsigned i = 0; i < n; i++) {
		model_clear(&model, lost[i].start, lost[i].end);
	}
	model_compare(&model, &rig, VA - SZ_4K, VA + 3 * SZ_2M + SZ_4K);
	if (pt_has_evicted(&rig.pt)) {
		rig_restore(&rig);
		model_compare(&model, &rig, VA - SZ_4K, VA + 3 * SZ_2M + SZ_4K);
	}
	/* Memory is back: the kept parts are, too. */
	for (unsigned i = 0; i < n; i++) {
		map_again(memory, lost[i].start, lost[i].end);
	}
	pt_check(&rig.pt);
	model_compare(&model, &rig, VA - SZ_4K, VA + 3 * SZ_2M + SZ_4K);
}

static void every_loss(enum rig_memory memory, uint64_t entry_B)
{
	unsigned step = test_scale(10) > 1 ? 1 : 2, count = 0;

	rig_init(&rig);
	for (unsigned i = 0; i < ARRAY_LEN(cuts); i++) {
		for (unsigned j = i % step; j < ARRAY_LEN(cuts); j += step) {
			/* Inside a slot, and from the first slot into the last. */
			if (i < j) {
				lost_case(memory, entry_B, VA + SZ_2M + cuts[i],
					  VA + SZ_2M + cuts[j], count++ & 1);
			}
			lost_case(memory, entry_B, VA + cuts[i], VA + 2 * SZ_2M + cuts[j],
				  count++ & 1);
		}
	}
	CHECK_OK(rig_clear(&rig, VA, VA + 3 * SZ_2M));
	rig_fini(&rig);
}

static void test_P2_a_2m_leaf_is_lost_whole(void)
{
	every_loss(RIG_HUGE, SZ_2M);
}

static void test_P2_a_null_leaf_is_lost_whole(void)
{
	every_loss(RIG_MEMORIES, SZ_2M);
}

static void test_P2_of_a_compact_table_one_page_is_lost(void)
{
	every_loss(RIG_64K, SZ_64K);
}

static void test_P2_of_small_pages_nothing_is_lost(void)
{
	every_loss(RIG_4K, SZ_4K);
}

/* Images are cut as tables are; the directories alone are evicted where there are only leaves. */
static void test_B26_P2_below_evicted_tables_no_more_is_lost(void)
{
	static const uint64_t tables[] = { 2, UINT64_MAX };

	for (unsigned i = 0; i < ARRAY_LEN(tables); i++) {
		evicted = tables[i];
		every_loss(RIG_HUGE, SZ_2M);
		every_loss(RIG_MEMORIES, SZ_2M);
		every_loss(RIG_64K, SZ_64K);
		every_loss(RIG_4K, SZ_4K);
	}
	evicted = 0;
}

static void cut_without_leave(void *arg)
{
	struct pt_pool pool;

	pt_pool_init(&pool);
	no_memory(true);
	CHECK_ERR(pt_reserve_clear(&rig.pt, &pool, VA, VA + SZ_4K, false), -ENOMEM);
	run_clear(&pool, VA, VA + SZ_4K);
}

static void test_P2_nothing_is_lost_without_leave(void)
{
	rig_init(&rig);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_2M, RIG_HUGE, 0, &rw));
	if (!test_is_sim()) {
		test_expect_abort(cut_without_leave, NULL, "list_empty(&pool->tables)");
	}
	CHECK_OK(rig_clear(&rig, VA, VA + SZ_2M));
	rig_fini(&rig);
}

/* With memory nothing is lost, whatever would be allowed. */
static void leave_alone_loses_nothing(void)
{
	struct pt_pool pool;
	struct gpu_pte pte;

	rig_init(&rig);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_2M, RIG_HUGE, 0, &rw));
	pt_pool_init(&pool);
	pool.may_lose = true;
	CHECK_OK(pt_reserve_clear(&rig.pt, &pool, VA, VA + SZ_4K, false));
	run_clear(&pool, VA, VA + SZ_4K);
	CHECK_EQ(pool.lost_count, 0);
	rig_release(&rig, &pool);
	CHECK(rig_walk(&rig, VA + SZ_4K, &pte) && !rig_walk(&rig, VA, &pte));
	CHECK_OK(rig_clear(&rig, VA, VA + SZ_2M));
	rig_fini(&rig);
}

/* One job: the clear in front must not take the table of the map behind it. */
static void test_P2_a_map_keeps_the_table_reserved_for_it(void)
{
	struct pt_pool pool;
	struct gpu_pte pte;

	rig_init(&rig);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_2M, RIG_HUGE, 0, &rw));
	pt_pool_init(&pool);
	no_memory(true);
	CHECK_ERR(pt_reserve_clear(&rig.pt, &pool, VA, VA + SZ_4K, false), -ENOMEM);
	no_memory(false);
	CHECK_OK(pt_reserve_map(&rig.pt, &pool, VA + SZ_2M, VA + SZ_2M + SZ_4K,
				&rig.backing[RIG_4K], 0, false));
	pool.may_lose = true;
	run_clear(&pool, VA, VA + SZ_4K);
	CHECK_EQ(pool.lost_count, 1);
	CHECK(pool.lost[0].start == VA + SZ_4K && pool.lost[0].end == VA + SZ_2M);
	run_map(&pool, VA + SZ_2M, VA + SZ_2M + SZ_4K, RIG_4K);
	run_clear(&pool, VA + 5 * SZ_2M, VA + 6 * SZ_2M);
	CHECK_EQ(pool.lost_count, 0); /* of the last clear */
	rig_release(&rig, &pool);
	CHECK(!pool.may_lose && !pool.missing);
	CHECK(rig_walk(&rig, VA + SZ_2M, &pte));
	CHECK_OK(rig_clear(&rig, VA, VA + 2 * SZ_2M));
	rig_fini(&rig);
}

/* ---- directories ---------------------------------------------------------------------------- */

static void test_P2_emptied_directories_go_without_memory(void)
{
	struct pt_lost lost[2];

	rig_init(&rig);
	for (unsigned i = 0; i < 40; i++) {
		uint64_t at = i * 77 * SZ_1G;

		CHECK_OK(rig_map(&rig, at, at + SZ_4K, RIG_4K, 0, &rw));
	}
	CHECK(rig_tables(&rig) > 80);
	CHECK_EQ(clear_poor(0, BIT64(48), false, lost), 0);
	CHECK_EQ(rig_tables(&rig), 1);
	rig_fini(&rig);
}

static void reserve(struct pt_pool *pool, uint64_t start, uint64_t end)
{
	pt_pool_init(pool);
	CHECK_OK(pt_reserve_map(&rig.pt, pool, start, end, &rig.backing[RIG_4K], 0, false));
}

/* What one job has emptied another may take away before the first comes to it. */
static void an_emptied_directory_is_taken_by_another(void)
{
	struct pt_pool clear, given_up;

	rig_init(&rig);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_4K, RIG_4K, 0, &rw));
	pt_pool_init(&clear);
	CHECK_OK(pt_reserve_clear(&rig.pt, &clear, VA, VA + SZ_4K, false));
	run_clear(&clear, VA, VA + SZ_4K);
	pt_check(&rig.pt);
	reserve(&given_up, VA + SZ_2M, VA + SZ_2M + SZ_4K);
	pt_release(&rig.pt, &given_up);
	CHECK(pt_has_dirs(&given_up));
	pt_free_dirs(&rig.pt, &given_up);
	pt_check(&rig.pt);
	pt_release(&rig.pt, &clear);
	CHECK(!pt_has_dirs(&clear));
	pt_release(&rig.pt, &clear);
	CHECK_EQ(rig_tables(&rig), 1);
	rig_fini(&rig);
}

/* It is only taken away if it is still empty when the job comes to it. */
static void an_emptied_directory_that_is_used_again_stays(void)
{
	struct pt_pool clear, map;
	struct gpu_pte pte;

	rig_init(&rig);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_4K, RIG_4K, 0, &rw));
	pt_pool_init(&clear);
	CHECK_OK(pt_reserve_clear(&rig.pt, &clear, VA, VA + SZ_4K, false));
	run_clear(&clear, VA, VA + SZ_4K);
	reserve(&map, VA, VA + SZ_4K);
	pt_release(&rig.pt, &clear);
	CHECK(!pt_has_dirs(&clear)); /* pinned */
	run_map(&map, VA, VA + SZ_4K, RIG_4K);
	rig_release(&rig, &map);
	CHECK(rig_walk(&rig, VA, &pte));

	pt_pool_init(&clear);
	CHECK_OK(pt_reserve_clear(&rig.pt, &clear, VA, VA + SZ_4K, false));
	run_clear(&clear, VA, VA + SZ_4K);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_4K, RIG_4K, 0, &rw));
	pt_release(&rig.pt, &clear);
	CHECK(!pt_has_dirs(&clear)); /* in use */
	CHECK(rig_walk(&rig, VA, &pte));
	pt_check(&rig.pt);
	CHECK_OK(rig_clear(&rig, VA, VA + SZ_4K));
	rig_fini(&rig);
}

static void a_directory_emptied_twice_goes_with_the_last_release(void)
{
	struct pt_pool clear;

	rig_init(&rig);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_4K, RIG_4K, 0, &rw));
	pt_pool_init(&clear);
	CHECK_OK(pt_reserve_clear(&rig.pt, &clear, VA, VA + SZ_4K, false));
	run_clear(&clear, VA, VA + SZ_4K);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_4K, RIG_4K, 0, &rw));
	CHECK_OK(rig_clear(&rig, VA, VA + SZ_4K));
	pt_check(&rig.pt);
	rig_release(&rig, &clear);
	CHECK_EQ(rig_tables(&rig), 1);
	rig_fini(&rig);
}

/* ---- what the usual job costs --------------------------------------------------------------- */

static void test_A24_a_map_into_a_standing_table_allocates_nothing(void)
{
	struct pt_lost lost[2];
	struct pt_pool pool;
	uint64_t memory_B;

	rig_init(&rig);
	memory_B = pt_memory_B(&rig.pt);
	CHECK(memory_B > 2 * SZ_4K);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_4K, RIG_4K, 0, &rw));
	CHECK(pt_memory_B(&rig.pt) > memory_B + 5 * SZ_4K);
	pt_pool_init(&pool);
	no_memory(true);
	CHECK_OK(pt_reserve_map(&rig.pt, &pool, VA + SZ_64K, VA + 2 * SZ_64K, &rig.backing[RIG_4K],
				0, false));
	run_map(&pool, VA + SZ_64K, VA + 2 * SZ_64K, RIG_4K);
	rig_release(&rig, &pool);
	no_memory(false);
	CHECK_EQ(clear_poor(VA, VA + SZ_2M, false, lost), 0);
	CHECK_EQ(pt_memory_B(&rig.pt), memory_B);
	rig_fini(&rig);
}

static const struct test_case cases[] = {
	TEST(test_P2_a_2m_leaf_is_lost_whole),
	TEST(test_P2_a_null_leaf_is_lost_whole),
	TEST(test_P2_of_a_compact_table_one_page_is_lost),
	TEST(test_P2_of_small_pages_nothing_is_lost),
	TEST(test_B26_P2_below_evicted_tables_no_more_is_lost),
	TEST(test_P2_nothing_is_lost_without_leave),
	TEST(leave_alone_loses_nothing),
	TEST(test_P2_a_map_keeps_the_table_reserved_for_it),
	TEST(test_P2_emptied_directories_go_without_memory),
	TEST(an_emptied_directory_is_taken_by_another),
	TEST(an_emptied_directory_that_is_used_again_stays),
	TEST(a_directory_emptied_twice_goes_with_the_last_release),
	TEST(test_A24_a_map_into_a_standing_table_allocates_nothing),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
