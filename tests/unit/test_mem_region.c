// SPDX-License-Identifier: MIT
/* Buddy regions: exhaustive on a few frames, random on many, always against a map of owners. */
#include "mem/mem.h"
#include "test.h"

#include <sys/mman.h>

#define MAP_FRAMES 4096u
#define OWNERS 512u

struct owned {
	struct extent *extents;
	unsigned count;
	uint64_t size_B, host;
};

/* Who has each frame, by the extents handed out; 0: nobody. */
struct map {
	struct region region;
	uint16_t owner[MAP_FRAMES];
	struct owned owned[OWNERS]; /* .extents NULL: unused */
};

static struct map map; /* too large for a stack */

static void map_begin(uint32_t frames, uint64_t min_page_B)
{
	CHECK(frames <= MAP_FRAMES);
	map = (struct map){ 0 };
	CHECK_OK(region_init(&map.region, "test", 0, false, (uint64_t)frames << PAGE_SHIFT,
			     min_page_B));
}

static void check_owned(unsigned id)
{
	const struct owned *o = &map.owned[id];
	uint64_t off_B = 0;

	for (unsigned i = 0; i < o->count; i++) {
		for (uint64_t at = 0; at < o->extents[i].size_B; at += SZ_4K, off_B += SZ_4K) {
			uint64_t phys = o->extents[i].phys + at;
			struct gpu_page page;

			CHECK_EQ(map.owner[phys >> PAGE_SHIFT], id + 1);
			CHECK_OK(region_find(&map.region, phys, &page));
			CHECK(phys >= page.phys && phys - page.phys < page.size_B);
			CHECK_EQ((uintptr_t)page.host + (phys - page.phys), o->host + off_B);
			CHECK(!page.guarded && atomic_load(page.gen_cell) == page.gen);
		}
	}
	CHECK_EQ(off_B, o->size_B);
}

static int map_alloc(unsigned id, uint64_t size_B)
{
	struct owned *o = &map.owned[id];
	int ret;

	CHECK(!o->extents);
	o->host = (uint64_t)(id + 1) << 40;
	o->size_B = size_B;
	ret = region_alloc(&map.region, size_B, o->host, &o->extents, &o->count);
	if (ret) {
		return ret;
	}
	for (unsigned i = 0; i < o->count; i++) {
		const struct extent *e = &o->extents[i];

		CHECK(e->size_B > 0 && is_aligned(e->phys | e->size_B, map.region.min_page_B));
		CHECK(i == 0 || e[-1].phys + e[-1].size_B != e->phys);
		for (uint64_t at = 0; at < e->size_B; at += SZ_4K) {
			uint64_t frame = (e->phys + at) >> PAGE_SHIFT;

			CHECK(frame < map.region.frames && map.owner[frame] == 0);
			map.owner[frame] = (uint16_t)(id + 1);
		}
	}
	return 0;
}

static void map_free(unsigned id)
{
	struct owned *o = &map.owned[id];

	for (unsigned i = 0; i < o->count; i++) {
		for (uint64_t at = 0; at < o->extents[i].size_B; at += SZ_4K) {
			map.owner[(o->extents[i].phys + at) >> PAGE_SHIFT] = 0;
		}
	}
	region_free(&map.region, o->extents, o->count);
	*o = (struct owned){ 0 };
}

static void map_check(void)
{
	uint64_t used_B = 0;

	region_check(&map.region);
	for (uint32_t f = 0; f < map.region.frames; f++) {
		struct gpu_page page;
		int ret = region_find(&map.region, (uint64_t)f << PAGE_SHIFT, &page);

		CHECK_ERR(ret, map.owner[f] ? 0 : -EFAULT);
		used_B += map.owner[f] ? SZ_4K : 0;
	}
	CHECK_EQ(used_B, map.region.used_B);
	for (unsigned i = 0; i < OWNERS; i++) {
		if (map.owned[i].extents) {
			check_owned(i);
		}
	}
}

static void map_end(void)
{
	for (unsigned i = 0; i < OWNERS; i++) {
		if (map.owned[i].extents) {
			map_free(i);
		}
	}
	map_check();
	region_fini(&map.region);
}

/* ---- cases ---------------------------------------------------------------------------------- */

static void any_size_can_be_had_whole(void)
{
	for (uint32_t frames = 1; frames < 140; frames++) {
		map_begin(frames, SZ_4K);
		map_check();
		CHECK_OK(map_alloc(0, (uint64_t)frames << PAGE_SHIFT));
		CHECK_EQ(map.owned[0].count, 1); /* neighbours are one extent */
		CHECK_ERR(map_alloc(1, SZ_4K), -ENOSPC);
		map_check();
		map_end();
	}
}

/* Operations of the exhaustive walk: allocate 1..5 frames, free the oldest or the newest. */
#define WALK_OPS 7u
#define WALK_STEPS 5u

static void walk_op(unsigned op, unsigned step)
{
	unsigned first = OWNERS, last = OWNERS;
	int ret;

	if (op < 5) {
		uint64_t size_B = (uint64_t)(op + 1) << PAGE_SHIFT;
		bool room = size_B <= map.region.size_B - map.region.used_B;

		ret = map_alloc(step, size_B);
		CHECK_ERR(ret, room ? 0 : -ENOSPC);
		return;
	}
	for (unsigned i = 0; i < WALK_STEPS; i++) {
		if (map.owned[i].extents) {
			first = first == OWNERS ? i : first;
			last = i;
		}
	}
	if (first != OWNERS) {
		map_free(op == 5 ? first : last);
	}
}

static void every_short_history_of_a_few_frames(void)
{
	static const uint32_t sizes[] = { 5, 8, 11 };
	unsigned sequences = 1;

	for (unsigned i = 0; i < WALK_STEPS; i++) {
		sequences *= WALK_OPS;
	}
	for (unsigned s = 0; s < ARRAY_LEN(sizes); s++) {
		map_begin(sizes[s], SZ_4K);
		for (unsigned seq = 0; seq < sequences; seq++) {
			for (unsigned i = 0, rest = seq; i < WALK_STEPS; i++, rest /= WALK_OPS) {
				walk_op(rest % WALK_OPS, i);
			}
			region_check(&map.region);
			for (unsigned i = 0; i < WALK_STEPS; i++) {
				if (map.owned[i].extents) {
					check_owned(i);
					map_free(i);
				}
			}
			CHECK_EQ(map.region.used_B, 0);
		}
		map_end();
	}
}

static void random_histories(uint32_t frames, uint64_t min_page_B, unsigned steps)
{
	map_begin(frames, min_page_B);
	for (unsigned i = 0; i < steps; i++) {
		unsigned id = (unsigned)(port_random() % OWNERS);
		uint64_t most = port_random() % 8 ? 8 : 256;

		if (map.owned[id].extents) {
			map_free(id);
		} else {
			map_alloc(id, (port_random() % most + 1) * min_page_B);
		}
		if (i % 64 == 0) {
			map_check();
		}
	}
	map_check();
	map_end();
}

static void random_against_the_map(void)
{
	random_histories(MAP_FRAMES, SZ_4K, test_scale(6000));
	random_histories(3001, SZ_4K, test_scale(6000));
}

static void random_with_a_larger_smallest_page(void)
{
	random_histories(MAP_FRAMES, SZ_64K, test_scale(6000));
	random_histories(4000, SZ_64K, test_scale(3000));
}

/* Whatever is remembered of a block never matches again once it was freed. */
static void generations_never_come_back(void)
{
	enum { KEPT = 600 };
	static struct gpu_page kept[KEPT];
	static uint16_t id_of[KEPT]; /* OWNERS: freed since */
	unsigned n = 0;

	map_begin(256, SZ_4K);
	for (unsigned i = 0; i < test_scale(4000); i++) {
		unsigned id = (unsigned)(port_random() % 24);

		if (map.owned[id].extents) {
			map_free(id);
			for (unsigned k = 0; k < n; k++) {
				id_of[k] = id_of[k] == id ? OWNERS : id_of[k];
			}
		} else if (!map_alloc(id, (port_random() % 40 + 1) << PAGE_SHIFT) && n < KEPT) {
			id_of[n] = (uint16_t)id;
			CHECK_OK(region_find(&map.region, map.owned[id].extents[0].phys, &kept[n]));
			n++;
		}
		for (unsigned k = 0; k < n; k++) {
			bool same = atomic_load(kept[k].gen_cell) == kept[k].gen;

			CHECK_EQ(same, id_of[k] != OWNERS);
		}
	}
	CHECK(n > test_scale(100));
	map_end();
}

static void large_blocks_touch_only_their_heads(void)
{
	const uint64_t size_B = 2 * SZ_1G;
	struct region region;
	struct extent *extents;
	unsigned char vec[(2 * SZ_1G / SZ_4K) * sizeof(struct frame_block) / SZ_4K];
	unsigned count, resident = 0;

	CHECK_OK(region_init(&region, "large", 0, true, size_B, SZ_64K));
	CHECK_OK(region_alloc(&region, size_B, 1, &extents, &count));
	CHECK_EQ(count, 1);
	region_free(&region, extents, count);
	CHECK_OK(region_alloc(&region, size_B - SZ_64K, 1, &extents, &count));
	region_free(&region, extents, count);
	CHECK(mincore(region.block, sizeof(vec) * SZ_4K, vec) == 0);
	for (unsigned i = 0; i < sizeof(vec); i++) {
		resident += vec[i] & 1;
	}
	CHECK(resident <= 32); /* of 3072 */
	region_fini(&region);
}

static void a_full_region_says_so_and_stays_usable(void)
{
	map_begin(64, SZ_4K);
	CHECK_OK(map_alloc(0, 40 * SZ_4K));
	CHECK_ERR(map_alloc(1, 25 * SZ_4K), -ENOSPC);
	map_check();
	CHECK_OK(map_alloc(1, 24 * SZ_4K));
	CHECK_ERR(map_alloc(2, SZ_4K), -ENOSPC);
	map_free(0);
	CHECK_OK(map_alloc(2, 40 * SZ_4K));
	map_check();
	map_end();
}

static void scattered_frames_make_many_extents(void)
{
	map_begin(64, SZ_4K);
	for (unsigned i = 0; i < 64; i++) {
		CHECK_OK(map_alloc(i, SZ_4K));
	}
	for (unsigned i = 0; i < 64; i += 2) {
		map_free(i);
	}
	CHECK_OK(map_alloc(100, 32 * SZ_4K));
	CHECK_EQ(map.owned[100].count, 32);
	map_check();
	map_end();
}

static void blocks_of_one_order(void)
{
	struct region region;
	uint64_t phys[4];

	CHECK_OK(region_init(&region, "blocks", 0, false, 7 * SZ_4K, SZ_4K));
	CHECK_ERR(region_alloc_block(&region, 3, 0, &phys[0]), -ENOSPC);
	CHECK_ERR(region_alloc_block(&region, FRAME_ORDERS, 0, &phys[0]), -ENOSPC);
	CHECK_OK(region_alloc_block(&region, 2, 0, &phys[0]));
	CHECK_ERR(region_alloc_block(&region, 2, 0, &phys[1]), -ENOSPC);
	CHECK_OK(region_alloc_block(&region, 1, 0, &phys[1]));
	CHECK(is_aligned(phys[0], 4 * SZ_4K) && is_aligned(phys[1], 2 * SZ_4K));
	CHECK_EQ(region.used_B, 6 * SZ_4K);
	region_check(&region);
	region_free_range(&region, phys[0], 4 * SZ_4K);
	region_free_range(&region, phys[1], 2 * SZ_4K);
	region_check(&region);
	region_fini(&region);
}

static void a_split_block_has_a_generation_per_frame(void)
{
	struct gpu_page page[4], again;
	struct region region;
	uint64_t phys;

	CHECK_OK(region_init(&region, "split", 0, false, 8 * SZ_4K, SZ_4K));
	CHECK_OK(region_alloc_block(&region, 2, 0, &phys));
	CHECK_OK(region_find(&region, phys, &again));
	region_split_block(&region, phys, 0x100000);
	CHECK(atomic_load(again.gen_cell) != again.gen);
	for (unsigned i = 0; i < 4; i++) {
		CHECK_OK(region_find(&region, phys + i * SZ_4K + 8, &page[i]));
		CHECK_EQ(page[i].size_B, SZ_4K);
		CHECK_EQ((uintptr_t)page[i].host, 0x100000 + i * SZ_4K);
	}
	region_free_range(&region, phys + SZ_4K, SZ_4K);
	CHECK(atomic_load(page[1].gen_cell) != page[1].gen);
	CHECK(atomic_load(page[2].gen_cell) == page[2].gen);
	CHECK_ERR(region_find(&region, phys + SZ_4K, &again), -EFAULT);
	region_free_range(&region, phys, SZ_4K);
	region_free_range(&region, phys + 2 * SZ_4K, 2 * SZ_4K);
	region_check(&region);
	CHECK_EQ(region.free_head[PART_VISIBLE][3], 0); /* all merged again */
	region_fini(&region);
}

static void sweep_body(void *arg)
{
	struct extent *extents;
	struct region region;
	unsigned count;
	int ret;

	ret = region_init(&region, "sweep", 0, false, 64 * SZ_4K, SZ_4K);
	if (ret) {
		CHECK(test_injected());
		CHECK_ERR(ret, -ENOMEM);
		test_injection_off();
		CHECK_OK(region_init(&region, "sweep", 0, false, 64 * SZ_4K, SZ_4K));
	}
	ret = region_alloc(&region, 13 * SZ_4K, 0, &extents, &count);
	if (ret) {
		CHECK(test_injected());
		CHECK_ERR(ret, -ENOMEM);
		CHECK_EQ(region.used_B, 0);
		region_check(&region);
		test_injection_off();
		CHECK_OK(region_alloc(&region, 13 * SZ_4K, 0, &extents, &count));
	}
	region_free(&region, extents, count);
	region_fini(&region);
}

static void every_failure_leaves_the_region_whole(void)
{
	CHECK(test_sweep(PORT_FAULT_ALLOC, sweep_body, NULL) >= 8);
}

/* The first six of 16 frames: a buddy of one that is visible is not. */
static void visible_frames_are_counted(void)
{
	uint64_t phys[16], visible_B = 0;
	struct extent *extents;
	struct region region;
	unsigned count;

	CHECK_OK(region_init(&region, "test", 0, false, 16 * SZ_4K, SZ_4K));
	region_hide(&region, 6 * SZ_4K);
	region_check(&region);
	CHECK_OK(region_alloc(&region, 16 * SZ_4K, 0, &extents, &count));
	CHECK_EQ(region.visible_used_B, 6 * SZ_4K);
	region_free(&region, extents, count);
	CHECK_EQ(region.visible_used_B, 0);
	for (unsigned i = 0; i < 16; i++) {
		CHECK_OK(region_alloc_block(&region, 0, 0, &phys[i]));
		visible_B += phys[i] < 6 * SZ_4K ? SZ_4K : 0;
		CHECK_EQ(region.visible_used_B, visible_B);
		region_check(&region);
	}
	for (unsigned i = 0; i < 16; i++) {
		region_free_range(&region, phys[i], SZ_4K);
		visible_B -= phys[i] < 6 * SZ_4K ? SZ_4K : 0;
		CHECK_EQ(region.visible_used_B, visible_B);
	}
	region_fini(&region);
}

/* Are all frames below @end, or all from it on? */
static void check_part(const struct extent *extents, unsigned count, uint64_t end_B, bool below)
{
	for (unsigned i = 0; i < count; i++) {
		CHECK_EQ(extents[i].phys < end_B, below);
		CHECK_EQ(extents[i].phys + extents[i].size_B <= end_B, below);
	}
}

static void hidden_frames_go_first(void)
{
	struct extent *hidden, *visible, *rest, *none;
	unsigned hidden_count, visible_count, rest_count, none_count;
	struct region region;

	CHECK_OK(region_init(&region, "test", 0, false, 16 * SZ_4K, SZ_4K));
	region_hide(&region, 6 * SZ_4K);
	/* Nine of ten, although visible blocks are larger than what is left at the end. */
	CHECK_OK(region_alloc(&region, 9 * SZ_4K, 0, &hidden, &hidden_count));
	check_part(hidden, hidden_count, 6 * SZ_4K, false);
	CHECK_EQ(region.visible_used_B, 0);
	CHECK_ERR(region_alloc_visible(&region, 7 * SZ_4K, 0, &none, &none_count), -ENOSPC);
	CHECK_OK(region_alloc_visible(&region, 3 * SZ_4K, 0, &visible, &visible_count));
	check_part(visible, visible_count, 6 * SZ_4K, true);
	CHECK_EQ(region.visible_used_B, 3 * SZ_4K);
	/* What is more than hidden frames has visible ones too. */
	CHECK_OK(region_alloc(&region, 3 * SZ_4K, 0, &rest, &rest_count));
	CHECK_EQ(region.visible_used_B, 5 * SZ_4K);
	CHECK_ERR(region_alloc(&region, 2 * SZ_4K, 0, &none, &none_count), -ENOSPC);
	CHECK_ERR(region_alloc_visible(&region, 2 * SZ_4K, 0, &none, &none_count), -ENOSPC);
	region_check(&region);
	region_free(&region, visible, visible_count);
	region_free(&region, rest, rest_count);
	region_check(&region);
	CHECK_OK(region_alloc_visible(&region, 6 * SZ_4K, 0, &visible, &visible_count));
	check_part(visible, visible_count, 6 * SZ_4K, true);
	region_free(&region, visible, visible_count);
	region_free(&region, hidden, hidden_count);
	CHECK_EQ(region.used_B, 0);
	region_check(&region);
	region_fini(&region);
}

/* ---- lookups beside everything -------------------------------------------------------------- */

/*
 * Few frames, so that heads, orders and neighbours change all the time. The host address of a
 * block says which allocation it belongs to: each has pages of its own from RACE_HOST on. Its owner
 * writes down what it got, readers what they found; the two are compared at the end.
 */
#define RACE_FRAMES 16u
#define RACE_HOST ((uint64_t)1 << 40)
#define RACE_FRAMES_EACH 4u
#define RACE_STEPS 20000u
#define RACE_THREADS 2u
#define RACE_FIXED (RACE_THREADS * RACE_STEPS * RACE_FRAMES_EACH) /* of the fixed block */
#define RACE_PAGES (RACE_FIXED + 1)

static struct race {
	struct region region;
	struct gpu_page fixed; /* a block of two frames that is used all the time */
	atomic_bool stop;
	unsigned steps;
	/* By page of host memory; 0: not (yet) allocated or seen. */
	uint64_t owned[RACE_PAGES];
	uint64_t seen[RACE_THREADS][RACE_PAGES];
} race;

/* What was found for a page of host memory. */
static uint64_t race_pack(const struct gpu_page *page)
{
	uint64_t frame = page->phys >> PAGE_SHIFT;

	CHECK(page->gen_cell == &race.region.block[frame].gen);
	return BIT64(63) | (uint64_t)page->gen << 16 | frame << 8 | page->size_B >> PAGE_SHIFT;
}

static uint64_t *race_slot(uint64_t *slots, const struct gpu_page *page)
{
	uint64_t i = ((uintptr_t)page->host - RACE_HOST) >> PAGE_SHIFT;

	CHECK(i < RACE_PAGES);
	return &slots[i];
}

static void race_find(uint64_t phys, struct gpu_page *page_out)
{
	CHECK_OK(region_find(&race.region, phys, page_out));
	CHECK(phys - page_out->phys < page_out->size_B);
}

/* The owner's lookups: nobody else changes these blocks. */
static void race_note(uint64_t phys, uint64_t size_B)
{
	for (uint64_t at = 0; at < size_B; at += SZ_4K) {
		struct gpu_page page;

		race_find(phys + at, &page);
		*race_slot(race.owned, &page) = race_pack(&page);
	}
}

static void race_whole(uint64_t size_B, uint64_t host)
{
	struct extent *extents;
	struct gpu_page page;
	unsigned count;

	if (region_alloc(&race.region, size_B, host, &extents, &count)) {
		return;
	}
	for (unsigned i = 0; i < count; i++) {
		race_note(extents[i].phys, extents[i].size_B);
	}
	race_find(extents[0].phys, &page);
	region_free(&race.region, extents, count);
	CHECK(atomic_load(page.gen_cell) != page.gen);
}

static void race_split(uint64_t host, uint64_t split_host)
{
	struct gpu_page page;
	uint64_t phys;

	if (region_alloc_block(&race.region, 2, host, &phys)) {
		return;
	}
	race_note(phys, 4 * SZ_4K);
	race_find(phys, &page);
	region_split_block(&race.region, phys, split_host);
	CHECK(atomic_load(page.gen_cell) != page.gen);
	race_note(phys, 4 * SZ_4K);
	region_free_range(&race.region, phys + SZ_4K, 3 * SZ_4K);
	region_free_range(&race.region, phys, SZ_4K);
}

static void race_writer(void *arg)
{
	uint64_t each_B = RACE_FRAMES_EACH * SZ_4K;
	uint64_t host = RACE_HOST + *(const unsigned *)arg * RACE_STEPS * each_B;

	for (unsigned i = 0; i + 1 < race.steps; i += 2, host += 2 * each_B) {
		unsigned dice = (unsigned)(port_random() % 5);

		if (dice < RACE_FRAMES_EACH) {
			race_whole((dice + 1) * SZ_4K, host);
		} else {
			race_split(host, host + each_B);
		}
	}
}

static void race_reader(void *arg)
{
	uint64_t *seen = race.seen[*(const unsigned *)arg];
	uint64_t x = port_random();
	bool found = false;

	/* Also when the writers were done before it began: what nobody frees is found. */
	while (!found || !atomic_load(&race.stop)) {
		struct gpu_page page;
		uint64_t *slot, phys;

		x = x * 6364136223846793005u + 1442695040888963407u;
		phys = (x >> 33) % (RACE_FRAMES * SZ_4K);
		if (test_is_sim() || x >> 58 == 0) {
			port_relax();
		}
		if (region_find(&race.region, phys, &page)) {
			CHECK(phys - race.fixed.phys >= race.fixed.size_B);
			continue;
		}
		CHECK(phys - page.phys < page.size_B);
		slot = race_slot(seen, &page);
		CHECK(*slot == 0 || *slot == race_pack(&page));
		*slot = race_pack(&page);
		found = true;
	}
}

static void race_seed(uint64_t seed)
{
	static const unsigned index[RACE_THREADS] = { 0, 1 };
	struct port_thread *writers[RACE_THREADS], *readers[RACE_THREADS];
	unsigned found = 0;
	uint64_t phys;

	race = (struct race){ .steps = test_is_sim() ? 400 : test_scale(RACE_STEPS) };
	CHECK_OK(region_init(&race.region, "race", 0, false, RACE_FRAMES * SZ_4K, SZ_4K));
	CHECK_OK(region_alloc_block(&race.region, 1, RACE_HOST + RACE_FIXED * SZ_4K, &phys));
	race_find(phys, &race.fixed);
	*race_slot(race.owned, &race.fixed) = race_pack(&race.fixed);
	for (unsigned i = 0; i < RACE_THREADS; i++) {
		CHECK_OK(port_thread_create(&readers[i], "reader", race_reader, (void *)&index[i]));
		CHECK_OK(port_thread_create(&writers[i], "writer", race_writer, (void *)&index[i]));
	}
	for (unsigned i = 0; i < RACE_THREADS; i++) {
		port_thread_join(writers[i]);
	}
	atomic_store(&race.stop, true);
	for (unsigned i = 0; i < RACE_THREADS; i++) {
		port_thread_join(readers[i]);
		for (unsigned page = 0; page < RACE_PAGES; page++) {
			if (race.seen[i][page]) {
				CHECK_EQ(race.seen[i][page], race.owned[page]);
				found++;
			}
		}
	}
	CHECK(found > 0);
	region_check(&race.region);
	region_free_range(&race.region, phys, 2 * SZ_4K);
	region_fini(&race.region);
}

static void a_lookup_beside_changes_finds_one_allocation_whole(void)
{
	test_seeds(race_seed, 1, test_is_sim() ? test_scale(30) : 10);
}

static const struct test_case cases[] = {
	TEST(visible_frames_are_counted),
	TEST(hidden_frames_go_first),
	TEST(any_size_can_be_had_whole),
	TEST(every_short_history_of_a_few_frames),
	TEST(random_against_the_map),
	TEST(random_with_a_larger_smallest_page),
	TEST(generations_never_come_back),
	TEST(large_blocks_touch_only_their_heads),
	TEST(a_full_region_says_so_and_stays_usable),
	TEST(scattered_frames_make_many_extents),
	TEST(blocks_of_one_order),
	TEST(a_split_block_has_a_generation_per_frame),
	TEST(every_failure_leaves_the_region_whole),
	TEST(a_lookup_beside_changes_finds_one_allocation_whole),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
