// SPDX-License-Identifier: MIT
/* Page tables: what exactly is written, what a cut leaves, what goes away, what failures undo. */
#include "test_pt_rig.h"

static const struct gpu_pte_attrs rw = { .writable = true };
static const struct gpu_pte_attrs ro = { 0 };

#define VA ((uint64_t)0x123400000000)

static void begin(struct rig *rig)
{
	rig_init(rig);
}

/* Clears everything there may be and expects nothing to be left. */
static void end(struct rig *rig)
{
	CHECK_OK(rig_clear(rig, 0, BIT64(48)));
	rig_fini(rig);
}

static void expect(struct rig *rig, uint64_t addr, uint64_t phys, unsigned shift, bool ps64)
{
	struct gpu_pte pte;

	CHECK(rig_walk(rig, addr, &pte));
	CHECK_EQ(pte.phys, phys);
	CHECK_EQ(pte.shift, shift);
	CHECK_EQ(pte.ps64, ps64);
}

static void expect_none(struct rig *rig, uint64_t addr)
{
	struct gpu_pte pte;

	CHECK(!rig_walk(rig, addr, &pte));
}

/* ---- golden entries ------------------------------------------------------------------------- */

static void golden_4k(void)
{
	struct rig rig;

	begin(&rig);
	CHECK_OK(rig_map(&rig, VA + 0x5000, VA + 0x8000, RIG_4K, 0x2000, &rw));
	CHECK_EQ(rig_entry(&rig, 0, VA + 0x5000), 0x300004003);
	CHECK_EQ(rig_entry(&rig, 0, VA + 0x6000), 0x300006003);
	CHECK_EQ(rig_entry(&rig, 0, VA + 0x7000), 0x300008003);
	expect(&rig, VA + 0x5abc, 0x300004abc, 12, false);
	expect_none(&rig, VA + 0x4fff);
	expect_none(&rig, VA + 0x8000);
	CHECK_EQ(rig_tables(&rig), 4);
	pt_check(&rig.pt);
	end(&rig);
}

static void golden_64k_hint(void)
{
	struct rig rig;

	begin(&rig);
	/* 4 KiB before and 64 KiB after one whole aligned page of 64 KiB. */
	CHECK_OK(rig_map(&rig, VA + 0xf000, VA + 0x30000, RIG_64K, 0xf000, &rw));
	CHECK_EQ(rig_entry(&rig, 0, VA + 0xf000), 0x20000f003);
	CHECK_EQ(rig_entry(&rig, 0, VA + 0x10000), 0x200020103);
	CHECK_EQ(rig_entry(&rig, 0, VA + 0x1f000), 0x20002f103);
	CHECK_EQ(rig_entry(&rig, 0, VA + 0x20000), 0x200040103);
	expect(&rig, VA + 0x12345, 0x200022345, 12, true);
	pt_check(&rig.pt);
	end(&rig);
}

/* Memory in one piece whose first boundary of 64 KiB comes later. */
static void a_hint_begins_inside_a_piece(void)
{
	struct rig rig;

	begin(&rig);
	CHECK_OK(rig_map(&rig, VA + 0xf000, VA + 0x31000, RIG_HUGE, 0xf000, &rw));
	CHECK_EQ(rig_entry(&rig, 0, VA + 0xf000), 0x10000f003);
	CHECK_EQ(rig_entry(&rig, 0, VA + 0x10000), 0x100010103);
	CHECK_EQ(rig_entry(&rig, 0, VA + 0x2f000), 0x10002f103);
	CHECK_EQ(rig_entry(&rig, 0, VA + 0x30000), 0x100030003);
	pt_check(&rig.pt);
	end(&rig);
}

static void no_hint_where_memory_and_address_disagree(void)
{
	struct rig rig;

	begin(&rig);
	CHECK_OK(rig_map(&rig, VA + 0x10000, VA + 0x30000, RIG_HUGE, 0x1000, &rw));
	CHECK_EQ(rig_entry(&rig, 0, VA + 0x10000), 0x100001003);
	CHECK_OK(rig_map(&rig, VA + 0x40000, VA + 0x60000, RIG_CROOKED, 0, &rw));
	CHECK_EQ(rig_entry(&rig, 0, VA + 0x40000), 0x400001003);
	pt_check(&rig.pt);
	end(&rig);
}

static void golden_compact(void)
{
	struct rig rig;

	begin(&rig);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_2M, RIG_64K, 0, &rw));
	CHECK_EQ(rig_entry(&rig, 1, VA) & 0xfff, 0x43);
	CHECK_EQ(rig_entry(&rig, 0, VA), 0x200000003);
	CHECK_EQ(rig_entry(&rig, 0, VA + 0x1f0000), 0x2003e0003);
	expect(&rig, VA + 0x1fabcd, 0x2003eabcd, 16, false);
	CHECK_EQ(rig_tables(&rig), 4);
	pt_check(&rig.pt);
	end(&rig);
}

static void golden_2m(void)
{
	struct rig rig;

	begin(&rig);
	CHECK_OK(rig_map(&rig, VA, VA + 2 * SZ_2M, RIG_HUGE, SZ_2M, &rw));
	CHECK_EQ(rig_entry(&rig, 1, VA), 0x100200083);
	CHECK_EQ(rig_entry(&rig, 1, VA + SZ_2M), 0x100400083);
	expect(&rig, VA + 0x212345, 0x100412345, 21, false);
	CHECK_EQ(rig_tables(&rig), 3);
	pt_check(&rig.pt);
	end(&rig);
}

static void neighbouring_extents_make_a_large_page(void)
{
	struct rig rig;

	begin(&rig);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_2M, RIG_PIECES, 0, &rw));
	CHECK_EQ(rig_entry(&rig, 1, VA), 0x600000083);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_2M, RIG_PIECES, SZ_2M / 2, &rw));
	CHECK_EQ(rig_entry(&rig, 1, VA) & 0xfff, 0x43); /* 64 KiB pages at least */
	pt_check(&rig.pt);
	end(&rig);
}

static void golden_null(void)
{
	struct gpu_pte pte;
	struct rig rig;

	begin(&rig);
	CHECK_OK(rig_map_null(&rig, VA + 0x3000, VA + 3 * SZ_2M));
	CHECK_EQ(rig_entry(&rig, 0, VA + 0x3000), 0x203);
	CHECK_EQ(rig_entry(&rig, 1, VA + SZ_2M), 0x283);
	CHECK(rig_walk(&rig, VA + 0x10000, &pte) && pte.attrs.null && pte.phys == 0 && !pte.ps64);
	pt_check(&rig.pt);
	end(&rig);
}

static void golden_rights_and_device(void)
{
	struct gpu_pte_attrs lies = { .device = true };
	struct rig rig;

	begin(&rig);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_2M, RIG_HUGE, 0, &ro));
	CHECK_EQ(rig_entry(&rig, 1, VA), 0x100000081);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_4K, RIG_4K, 0, &ro));
	CHECK_EQ(rig_entry(&rig, 0, VA), 0x300000001);
	CHECK_EQ(rig_entry(&rig, 0, VA + 0x1000), 0x100001001);
	/* Where the memory is decides about the device bit, not the caller. */
	CHECK_OK(rig_map(&rig, VA, VA + SZ_2M, RIG_MIXED, 0, &rw));
	CHECK_EQ(rig_entry(&rig, 1, VA), 0x500000883);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_4K, RIG_4K, 0, &lies));
	CHECK_EQ(rig_entry(&rig, 0, VA), 0x300000001);
	end(&rig);
}

static void golden_pat_moves_with_a_cut(void)
{
	struct gpu_pte_attrs pat = { .writable = true, .atomic = true, .pat = 0x15 };
	struct rig rig;

	begin(&rig);
	/* PAT bits 0, 2, 4: 3, 12 and 61 of a large page, 3, 7 and 61 of a small one */
	CHECK_OK(rig_map(&rig, VA, VA + SZ_2M, RIG_HUGE, 0, &pat));
	CHECK_EQ(rig_entry(&rig, 1, VA), 0x200000010000148b);
	CHECK_OK(rig_clear(&rig, VA, VA + SZ_4K));
	CHECK_EQ(rig_entry(&rig, 0, VA + 0x1000), 0x200000010000148b);
	CHECK_EQ(rig_entry(&rig, 0, VA + 0x10000), 0x200000010001058b);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_2M, RIG_64K, 0, &pat));
	CHECK_EQ(rig_entry(&rig, 0, VA), 0x200000020000048b);
	CHECK_OK(rig_clear(&rig, VA, VA + SZ_4K));
	CHECK_EQ(rig_entry(&rig, 0, VA + 0x10000), 0x200000020002058b);
	end(&rig);
}

static void the_last_page_of_the_address_space(void)
{
	const uint64_t top = BIT64(48);
	struct rig rig;

	begin(&rig);
	CHECK_OK(rig_map(&rig, top - SZ_4K, top, RIG_4K, 0, &rw));
	CHECK_OK(rig_map(&rig, 0, SZ_4K, RIG_4K, SZ_4K, &rw));
	expect(&rig, top - SZ_4K, 0x300000000, 12, false);
	expect(&rig, 0, 0x300002000, 12, false);
	pt_check(&rig.pt);
	CHECK_EQ(rig_tables(&rig), 7);
	end(&rig);
}

static void one_call_over_every_level(void)
{
	const uint64_t start = ((uint64_t)1 << 39) - 2 * SZ_2M - 0x3000; /* crosses 512 GiB */
	struct rig rig;

	begin(&rig);
	CHECK_OK(rig_map(&rig, start, start + 6 * SZ_2M, RIG_MIXED, 0, &rw));
	for (uint64_t at = 0; at < 6 * SZ_2M; at += SZ_4K) {
		struct gpu_pte pte;

		CHECK(rig_walk(&rig, start + at, &pte));
		CHECK_EQ(pte.phys, rig_phys(&rig, RIG_MIXED, at));
	}
	expect_none(&rig, start - 1);
	expect_none(&rig, start + 6 * SZ_2M);
	pt_check(&rig.pt);
	end(&rig);
}

/* ---- cuts ----------------------------------------------------------------------------------- */

static const uint64_t cuts[] = {
	0, 0x1000, 0x2000, 0xf000, 0x10000, 0x11000, 0x1f000, 0x20000, 0x21000, 0x80000, 0xff000,
	0x100000, 0x101000, 0x1e0000, 0x1ef000, 0x1f0000, 0x1f1000, 0x1ff000, 0x200000,
};

static struct model model; /* too large for a stack */

/* The slot before and the slot after stay what they were. */
static void cut_case(struct rig *rig, enum rig_memory memory, uint64_t from, uint64_t to,
		     int with)
{
	memset(&model, 0, sizeof(model));
	model.base = VA - SZ_2M;
	CHECK_OK(rig_map(rig, VA - SZ_2M, VA + 2 * SZ_2M, memory, 0, &ro));
	model_map(&model, rig, VA - SZ_2M, VA + 2 * SZ_2M, memory, 0, &ro);
	if (with == RIG_MEMORIES) {
		CHECK_OK(rig_clear(rig, VA + from, VA + to));
		model_clear(&model, VA + from, VA + to);
	} else if (with > RIG_MEMORIES) {
		CHECK_OK(rig_map_null(rig, VA + from, VA + to));
		model_map_null(&model, VA + from, VA + to);
	} else {
		CHECK_OK(rig_map(rig, VA + from, VA + to, with, from, &rw));
		model_map(&model, rig, VA + from, VA + to, with, from, &rw);
	}
	pt_check(&rig->pt);
	model_compare(&model, rig, VA - SZ_2M - SZ_4K, VA + 2 * SZ_2M + SZ_4K);
}

static void every_cut_of(enum rig_memory memory)
{
	struct rig rig;

	begin(&rig);
	for (unsigned i = 0; i < ARRAY_LEN(cuts); i++) {
		for (unsigned j = i + 1; j < ARRAY_LEN(cuts); j += test_scale(10) > 1 ? 1 : 3) {
			for (int with = 0; with <= RIG_MEMORIES + 1; with++) {
				cut_case(&rig, memory, cuts[i], cuts[j], with);
			}
		}
	}
	end(&rig);
}

static void every_cut_of_2m(void)
{
	every_cut_of(RIG_HUGE);
}

static void every_cut_of_compact(void)
{
	every_cut_of(RIG_64K);
}

static void every_cut_of_small(void)
{
	every_cut_of(RIG_4K);
}

static void every_cut_of_mixed(void)
{
	every_cut_of(RIG_MIXED);
}

static void a_cut_2m_keeps_hints_where_it_can(void)
{
	struct rig rig;

	begin(&rig);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_2M, RIG_HUGE, 0, &rw));
	CHECK_OK(rig_clear(&rig, VA + 0x13000, VA + 0x14000));
	expect(&rig, VA + 0xf000, 0x10000f000, 12, true);
	expect(&rig, VA + 0x12000, 0x100012000, 12, false);
	expect_none(&rig, VA + 0x13000);
	expect(&rig, VA + 0x14000, 0x100014000, 12, false);
	expect(&rig, VA + 0x20000, 0x100020000, 12, true);
	CHECK_EQ(rig_tables(&rig), 4);
	end(&rig);
}

static void a_compact_table_takes_whole_64k_pages(void)
{
	struct rig rig;

	begin(&rig);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_2M, RIG_64K, 0, &rw));
	CHECK_OK(rig_clear(&rig, VA + 0x10000, VA + 0x30000));
	CHECK_OK(rig_map(&rig, VA + 0x20000, VA + 0x30000, RIG_HUGE, 0, &ro));
	CHECK_OK(rig_map_null(&rig, VA + 0x40000, VA + 0x50000));
	CHECK_EQ(rig_entry(&rig, 1, VA) & 0x40, 0x40); /* still compact */
	expect_none(&rig, VA + 0x10000);
	expect(&rig, VA + 0x20000, 0x100000000, 16, false);
	CHECK_EQ(rig_entry(&rig, 0, VA + 0x40000), 0x203);
	pt_check(&rig.pt);
	/* And a small page ends it. */
	CHECK_OK(rig_map(&rig, VA + 0x11000, VA + 0x12000, RIG_4K, 0, &rw));
	CHECK_EQ(rig_entry(&rig, 1, VA) & 0x40, 0);
	expect(&rig, VA + 0x11000, 0x300000000, 12, false);
	expect(&rig, VA + 0x20000, 0x100000000, 12, true);
	pt_check(&rig.pt);
	end(&rig);
}

static void a_64k_page_that_is_cut_loses_its_hint(void)
{
	struct rig rig;

	begin(&rig);
	CHECK_OK(rig_map(&rig, VA, VA + 0x30000, RIG_64K, 0, &rw));
	CHECK_OK(rig_map(&rig, VA + 0x17000, VA + 0x18000, RIG_4K, 0, &rw));
	expect(&rig, VA, 0x200000000, 12, true);
	expect(&rig, VA + 0x10000, 0x200020000, 12, false);
	expect(&rig, VA + 0x17000, 0x300000000, 12, false);
	expect(&rig, VA + 0x1f000, 0x20002f000, 12, false);
	expect(&rig, VA + 0x20000, 0x200040000, 12, true);
	pt_check(&rig.pt);
	/* Mapped whole again it has one. */
	CHECK_OK(rig_map(&rig, VA + 0x10000, VA + 0x20000, RIG_64K, 0x10000, &rw));
	expect(&rig, VA + 0x17000, 0x200027000, 12, true);
	pt_check(&rig.pt);
	end(&rig);
}

/* ---- what goes away ------------------------------------------------------------------------- */

static void empty_tables_go_away(void)
{
	struct rig rig;

	begin(&rig);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_4K, RIG_4K, 0, &rw));
	CHECK_OK(rig_map(&rig, VA + 5 * SZ_2M, VA + 5 * SZ_2M + SZ_4K, RIG_4K, 0, &rw));
	CHECK_EQ(rig_tables(&rig), 5);
	CHECK_OK(rig_clear(&rig, VA, VA + SZ_4K));
	CHECK_EQ(rig_tables(&rig), 4);
	CHECK_OK(rig_clear(&rig, VA + 5 * SZ_2M, VA + 5 * SZ_2M + SZ_4K));
	CHECK_EQ(rig_tables(&rig), 1);
	rig_fini(&rig);
}

static void a_large_page_frees_the_table_it_replaces(void)
{
	struct rig rig;

	begin(&rig);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_4K, RIG_4K, 0, &rw));
	CHECK_EQ(rig_tables(&rig), 4);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_2M, RIG_HUGE, 0, &rw));
	CHECK_EQ(rig_tables(&rig), 3);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_2M, RIG_64K, 0, &rw));
	CHECK_EQ(rig_tables(&rig), 4);
	CHECK_OK(rig_map_null(&rig, VA, VA + SZ_2M));
	CHECK_EQ(rig_tables(&rig), 3);
	end(&rig);
}

static void clearing_nothing_needs_nothing(void)
{
	struct pt_pool pool;
	struct rig rig;

	begin(&rig);
	pt_pool_init(&pool);
	CHECK_OK(pt_reserve_clear(&rig.pt, &pool, 0x1000, BIT64(48) - 0x1000, false));
	CHECK(list_empty(&pool.tables) && list_empty(&pool.pins));
	port_mutex_lock(&rig.pt.lock);
	pt_clear(&rig.pt, &pool, 0x1000, BIT64(48) - 0x1000);
	port_mutex_unlock(&rig.pt.lock);
	rig_release(&rig, &pool);
	rig_fini(&rig);
}

static void a_reservation_that_is_not_used_leaves_nothing(void)
{
	struct pt_pool pool;
	struct rig rig;

	begin(&rig);
	pt_pool_init(&pool);
	CHECK_OK(pt_reserve_map(&rig.pt, &pool, VA, VA + 3 * SZ_2M + SZ_4K,
				&rig.backing[RIG_4K], 0, true));
	CHECK_EQ(rig_tables(&rig), 3 + 4);
	pt_release(&rig.pt, &pool);
	CHECK(pt_has_dirs(&pool));
	CHECK_EQ(rig_tables(&rig), 3); /* the directories wait for the epochs */
	pt_release(&rig.pt, &pool);
	CHECK(pt_has_dirs(&pool));
	pt_free_dirs(&rig.pt, &pool);
	CHECK_EQ(rig_tables(&rig), 1);
	pt_free_dirs(&rig.pt, &pool);
	pt_release(&rig.pt, &pool);
	rig_fini(&rig);
}

static void expect_order(struct rig *rig, bool map, uint64_t start, uint64_t end,
			 enum rig_memory memory, uint64_t order_start, uint64_t order_end,
			 bool reshapes)
{
	struct pt_pool pool;

	pt_pool_init(&pool);
	CHECK_OK(map ? pt_reserve_map(&rig->pt, &pool, start, end, &rig->backing[memory], 0, false)
		     : pt_reserve_clear(&rig->pt, &pool, start, end, false));
	CHECK_EQ(pool.order_start, order_start);
	CHECK_EQ(pool.order_end, order_end);
	CHECK_EQ(pool.reshapes, reshapes);
	rig_release(rig, &pool);
}

/* Only who makes, cuts or may take away a table concerns everybody in its slot. */
static void what_a_job_is_ordered_against(void)
{
	const uint64_t a = VA + 4 * SZ_4K, b = VA + 2 * SZ_2M + 9 * SZ_4K;
	struct rig rig;

	begin(&rig);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_4K, RIG_4K, 0, &rw));
	expect_order(&rig, true, a, a + SZ_4K, RIG_4K, a, a + SZ_4K, false);
	expect_order(&rig, true, a, VA + SZ_2M + SZ_4K, RIG_4K, a, VA + 2 * SZ_2M, true);
	expect_order(&rig, true, b, b + SZ_4K, RIG_4K, VA + 2 * SZ_2M, VA + 3 * SZ_2M, true);
	CHECK_OK(rig_map(&rig, b, b + SZ_4K, RIG_4K, 0, &rw));
	expect_order(&rig, true, VA + SZ_2M, b, RIG_4K, VA + SZ_2M, b, true);
	expect_order(&rig, true, VA + SZ_2M + SZ_4K, b, RIG_4K, VA + SZ_2M, b, true);
	expect_order(&rig, true, VA, VA + SZ_2M, RIG_HUGE, VA, VA + SZ_2M, true);
	expect_order(&rig, false, a, b, RIG_HUGE, VA, VA + 3 * SZ_2M, true);
	end(&rig);
}

static void a_pin_holds_a_directory_that_a_neighbour_empties(void)
{
	struct pt_pool pool;
	struct rig rig;

	begin(&rig);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_4K, RIG_4K, 0, &rw));
	pt_pool_init(&pool);
	CHECK_OK(pt_reserve_map(&rig.pt, &pool, VA + SZ_2M, VA + 2 * SZ_2M, &rig.backing[RIG_HUGE],
				0, false));
	CHECK_OK(rig_clear(&rig, VA, VA + SZ_4K));
	CHECK_EQ(rig_tables(&rig), 3);
	pt_check(&rig.pt);
	port_mutex_lock(&rig.pt.lock);
	pt_write(&rig.pt, &pool, VA + SZ_2M, VA + 2 * SZ_2M, &rig.backing[RIG_HUGE], 0, &rw);
	port_mutex_unlock(&rig.pt.lock);
	rig_release(&rig, &pool);
	expect(&rig, VA + SZ_2M, 0x100000000, 21, false);
	end(&rig);
}

/* What a walk may still be inside of is kept until the release. */
static void replaced_tables_stay_intact_until_the_release(void)
{
	const struct pt_table *old;
	struct pt_pool pool;
	uint64_t before;
	struct rig rig;

	begin(&rig);
	CHECK_OK(rig_map(&rig, VA, VA + SZ_2M, RIG_4K, 0, &rw));
	pt_pool_init(&pool);
	CHECK_OK(pt_reserve_map(&rig.pt, &pool, VA, VA + SZ_2M, &rig.backing[RIG_HUGE], 0, false));
	before = rig_entry(&rig, 0, VA + 0x7000);
	port_mutex_lock(&rig.pt.lock);
	pt_write(&rig.pt, &pool, VA, VA + SZ_2M, &rig.backing[RIG_HUGE], 0, &rw);
	port_mutex_unlock(&rig.pt.lock);
	old = list_first(&pool.unlinked, struct pt_table, node);
	CHECK(!list_empty(&pool.unlinked) && old->page.host[7] == before);
	rig_release(&rig, &pool);
	end(&rig);
}

static void the_tree_can_be_dropped_whole(void)
{
	struct rig rig;

	begin(&rig);
	CHECK_OK(rig_map(&rig, VA, VA + RIG_MEMORY_B, RIG_MIXED, 0, &rw));
	CHECK_OK(rig_map(&rig, 0x7000, RIG_MEMORY_B - 0x7000, RIG_4K, 0, &rw));
	pt_fini(&rig.pt);
	CHECK_EQ(rig.mem.slabs_empty, 1);
	/* The rig expects a tree. */
	CHECK_OK(pt_init(&rig.pt, &rig.mem, &gpu_format_intel48));
	rig_fini(&rig);
}

/* ---- failures ------------------------------------------------------------------------------- */

static struct rig sweep_rig;

/* An operation failed: the tree is as before, and the same succeeds now. */
static void failed(int ret, uint64_t tables)
{
	CHECK(test_injected());
	CHECK_ERR(ret, -ENOMEM);
	CHECK_EQ(rig_tables(&sweep_rig), tables);
	pt_check(&sweep_rig.pt);
	test_injection_off();
}

static void sweep_body(void *arg)
{
	struct rig *rig = &sweep_rig;
	const uint64_t at = BIT64(39) - SZ_2M - 0x3000;
	uint64_t tables = rig_tables(rig);
	int ret;

	ret = rig_map(rig, at, at + 3 * SZ_2M, RIG_MIXED, SZ_2M + 0x5000, &rw);
	if (ret) {
		failed(ret, tables);
		CHECK_OK(rig_map(rig, at, at + 3 * SZ_2M, RIG_MIXED, SZ_2M + 0x5000, &rw));
	}
	tables = rig_tables(rig);
	/* Cuts a large page that was there before, and tables of the mapping. */
	ret = rig_clear(rig, VA + 0x1000, VA + SZ_2M + 0x3000);
	if (ret) {
		failed(ret, tables);
		CHECK_OK(rig_clear(rig, VA + 0x1000, VA + SZ_2M + 0x3000));
	}
	tables = rig_tables(rig);
	ret = rig_map_null(rig, at + 0x10000, at + SZ_2M + 0x4000);
	if (ret) {
		failed(ret, tables);
		CHECK_OK(rig_map_null(rig, at + 0x10000, at + SZ_2M + 0x4000));
	}
	test_injection_off();
	CHECK_OK(rig_clear(rig, at, at + 3 * SZ_2M));
	CHECK_OK(rig_map(rig, VA, VA + SZ_2M, RIG_HUGE, 0, &rw));
	CHECK_OK(rig_map(rig, VA + SZ_2M, VA + 2 * SZ_2M, RIG_64K, 0, &rw));
	pt_check(&rig->pt);
}

static void every_failure_is_undone(void)
{
	begin(&sweep_rig);
	CHECK_OK(rig_map(&sweep_rig, VA, VA + SZ_2M, RIG_HUGE, 0, &rw));
	CHECK_OK(rig_map(&sweep_rig, VA + SZ_2M, VA + 2 * SZ_2M, RIG_64K, 0, &rw));
	CHECK(test_sweep(PORT_FAULT_ALLOC, sweep_body, NULL) > 50);
	end(&sweep_rig);
}

static void init_sweep_body(void *arg)
{
	struct mem_config config = { .system_B = 1 << 20 };
	struct event_stream events;
	struct mem mem;
	struct pt pt;
	int ret;

	event_stream_init(&events);
	ret = mem_init(&mem, &config, &events, NULL);
	if (ret) {
		CHECK(test_injected());
		CHECK_ERR(ret, -ENOMEM);
	} else {
		ret = pt_init(&pt, &mem, &gpu_format_intel48);
		if (ret) {
			CHECK(test_injected());
			CHECK_ERR(ret, -ENOMEM);
		} else {
			pt_check(&pt);
			pt_fini(&pt);
		}
		mem_fini(&mem);
	}
	event_stream_fini(&events);
}

static void every_failure_to_begin_is_undone(void)
{
	CHECK(test_sweep(PORT_FAULT_ALLOC, init_sweep_body, NULL) >= 16);
}

static void no_frames_for_tables(void)
{
	struct mem_config config = { .system_B = 16 * SZ_4K };
	struct rig rig;

	begin(&rig);
	pt_fini(&rig.pt);
	mem_fini(&rig.mem);
	CHECK_OK(mem_init(&rig.mem, &config, &rig.events, NULL));
	CHECK_OK(pt_init(&rig.pt, &rig.mem, &gpu_format_intel48));
	/* 16 frames: the root, two directories and 13 leaf tables. */
	for (unsigned i = 0; i < 13; i++) {
		CHECK_OK(rig_map(&rig, VA + i * SZ_2M, VA + i * SZ_2M + SZ_4K, RIG_4K, 0, &rw));
	}
	CHECK_ERR(rig_map(&rig, VA + 13 * SZ_2M, VA + 13 * SZ_2M + SZ_4K, RIG_4K, 0, &rw), -ENOMEM);
	CHECK_ERR(rig_map(&rig, 0, SZ_4K, RIG_4K, 0, &rw), -ENOMEM);
	CHECK_EQ(rig_tables(&rig), 16);
	pt_check(&rig.pt);
	CHECK_OK(rig_clear(&rig, VA, VA + SZ_4K));
	CHECK_OK(rig_map(&rig, VA + 13 * SZ_2M, VA + 13 * SZ_2M + SZ_4K, RIG_4K, 0, &rw));
	end(&rig);
}

static const struct test_case cases[] = {
	TEST(golden_4k),
	TEST(golden_64k_hint),
	TEST(a_hint_begins_inside_a_piece),
	TEST(no_hint_where_memory_and_address_disagree),
	TEST(golden_compact),
	TEST(golden_2m),
	TEST(neighbouring_extents_make_a_large_page),
	TEST(golden_null),
	TEST(golden_rights_and_device),
	TEST(golden_pat_moves_with_a_cut),
	TEST(the_last_page_of_the_address_space),
	TEST(one_call_over_every_level),
	TEST(every_cut_of_2m),
	TEST(every_cut_of_compact),
	TEST(every_cut_of_small),
	TEST(every_cut_of_mixed),
	TEST(a_cut_2m_keeps_hints_where_it_can),
	TEST(a_compact_table_takes_whole_64k_pages),
	TEST(a_64k_page_that_is_cut_loses_its_hint),
	TEST(empty_tables_go_away),
	TEST(a_large_page_frees_the_table_it_replaces),
	TEST(clearing_nothing_needs_nothing),
	TEST(a_reservation_that_is_not_used_leaves_nothing),
	TEST(what_a_job_is_ordered_against),
	TEST(a_pin_holds_a_directory_that_a_neighbour_empties),
	TEST(replaced_tables_stay_intact_until_the_release),
	TEST(the_tree_can_be_dropped_whole),
	TEST(every_failure_is_undone),
	TEST(every_failure_to_begin_is_undone),
	TEST(no_frames_for_tables),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
