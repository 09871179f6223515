// SPDX-License-Identifier: MIT
/* Rectangles: what the XY commands make of surfaces, beside a reference that moves single bytes. */
#include "area.h"

#include <string.h>

static struct rig rig;

static const unsigned cpps[] = { 1, 2, 4, 8, 12, 16 };
/* The same depths in XY_FAST_COPY_BLT, which knows no 12 bytes. */
static const unsigned fast_depth[] = { 0, 1, 3, 4, 7, 5 };

enum tiling {
	LINEAR,
	TILE_X,
	TILE_4,
	TILE_64,
};

#define BITS_X "YYYXXXXXXXXX"
#define BITS_Y "XXXYYYYYXXXX"
#define BITS_4 "YYXYXXYYXXXX"

static const char *bits_of(enum tiling tiling, unsigned cpp)
{
	switch (tiling) {
	case LINEAR:
		return NULL;
	case TILE_X:
		return BITS_X;
	case TILE_4:
		return BITS_4;
	default:
		return cpp == 1 ? "YYYXYYXYXXYYXXXX" :
		       cpp <= 4 ? "YYXXYYXYXXYYXXXX" :
				  "YXXXYYXYXXYYXXXX";
	}
}

#define SECOND (AREA + 1013 * 1024) /* for a surface that is not tiled */
#define HALF (AREA + (1 << 20))

static void copy_both_ways(enum layout layout, unsigned depth, bool fast)
{
	unsigned cpp = cpps[depth];
	struct shape a = { .addr = AREA + 3, .pitch_B = 4099 };
	struct shape b = { .addr = SECOND + 1, .pitch_B = 3001 };
	struct rect to = { .x = 7, .y = 5, .width = 101, .height = 37 };
	struct rect back = { .x = 0, .y = 50, .width = 50, .height = 1 };

	area_init(&rig, layout);
	area_random(&rig);
	ref_copy(&b, &to, &a, 11, 3, cpp);
	ref_copy(&a, &back, &b, 20, 9, cpp);
	if (fast) {
		emit_fast_copy(&rig, fast_depth[depth], 0, &b, &to, 0, &a, 11, 3);
		emit_fast_copy(&rig, fast_depth[depth], 0, &a, &back, 0, &b, 20, 9);
	} else {
		emit_block_copy(&rig, depth, 0, &b, &to, 0, &a, 11, 3);
		emit_block_copy(&rig, depth, 0, &a, &back, 0, &b, 20, 9);
	}
	rig_finish(&rig);
	area_check(&rig);
	area_fini(&rig);
}

static void block_copy_moves_rectangles_of_every_depth(void)
{
	for (unsigned depth = 0; depth < ARRAY_LEN(cpps); depth++) {
		for (unsigned layout = 0; layout < LAYOUTS; layout++) {
			copy_both_ways(layout, depth, false);
		}
	}
}

static void fast_copy_moves_rectangles_of_every_depth(void)
{
	for (unsigned depth = 0; depth < ARRAY_LEN(cpps); depth++) {
		if (cpps[depth] != 12) {
			copy_both_ways(depth % LAYOUTS, depth, true);
		}
	}
}

static void fill(enum layout layout, unsigned depth, const uint32_t value[4])
{
	struct shape loose = { .addr = AREA + 5 * cpps[depth], .pitch_B = 4099 };
	struct shape tight = { .addr = SECOND + 1, .pitch_B = 3001 * cpps[depth] };
	struct rect some = { .x = 7, .y = 5, .width = 201, .height = 37 };
	struct rect all = { .width = 3001, .height = 13 };
	struct rect one = { .x = 3, .y = 70, .width = 1, .height = 1 };

	area_init(&rig, layout);
	area_random(&rig);
	ref_fill(&loose, &some, cpps[depth], value);
	ref_fill(&tight, &all, cpps[depth], value);
	ref_fill(&loose, &one, cpps[depth], value);
	emit_fast_color(&rig, depth, 0, &loose, &some, value);
	emit_fast_color(&rig, depth, 0, &tight, &all, value);
	emit_fast_color(&rig, depth, 0, &loose, &one, value);
	rig_finish(&rig);
	area_check(&rig);
	area_fini(&rig);
}

static void fast_color_fills_rectangles_of_every_depth(void)
{
	static const uint32_t colour[4] = { 0x04030201, 0x08070605, 0x0c0b0a09, 0x100f0e0d };
	/* These repeat sooner than the element ends. */
	static const uint32_t twice[4] = { 0x04030201, 0x04030201, 0x04030201, 0x04030201 };
	static const uint32_t late[4] = { 0x01010101, 0x01010101, 0x02010101, 0x03010101 };
	static const uint32_t zero[4] = { 0 };

	for (unsigned depth = 0; depth < ARRAY_LEN(cpps); depth++) {
		for (unsigned layout = 0; layout < LAYOUTS; layout++) {
			fill(layout, depth, colour);
		}
		fill(depth % LAYOUTS, depth, twice);
		fill(depth % LAYOUTS, depth, late);
		fill(depth % LAYOUTS, depth, zero);
	}
}

/* Many MiB: the same frames again and again, at a bias that no vector likes. */
static void large_fill(unsigned depth, uint64_t rows)
{
	const uint32_t value[4] = { 0x04030201, 0x08070605, 0x0c0b0a09, 0x100f0e0d };
	struct shape all = { .addr = AREA + 7, .pitch_B = 16381 * cpps[depth] };
	struct rect r = { .width = 16381, .height = rows };
	uint64_t end_B = 7 + rows * all.pitch_B;
	uint8_t *mem;

	CHECK(end_B > (uint64_t)40 << 20);
	area_init(&rig, FLAT);
	for (uint64_t off = 0; off <= end_B; off += AREA_B) {
		rig_map(&rig, AREA + off, 1, false, (RIG_PHYS + (4 << 20)) | E_RW | E_HUGE);
	}
	mem = rig_at(&rig, RIG_PHYS + (4 << 20));
	emit_fast_color(&rig, depth, 0, &all, &r, value);
	rig_finish(&rig);
	for (uint64_t i = 0; i < AREA_B; i++) {
		/* The last time this byte was written. */
		uint64_t turns = end_B / AREA_B - (i < end_B % AREA_B ? 0 : 1);
		uint64_t off = turns * AREA_B + i - 7;

		if (mem[i] != ((const uint8_t *)value)[off % cpps[depth]]) {
			test_fail(__FILE__, __LINE__, "byte 0x%llx", (unsigned long long)i);
		}
	}
	area_fini(&rig);
}

static void large_fills_are_right_at_both_ends(void)
{
	for (uint64_t rows = 215; rows < 223; rows++) {
		large_fill(4, rows);
		large_fill(5, rows);
	}
}

static void tiled_copy(enum tiling tiling, unsigned depth, bool fast)
{
	unsigned cpp = cpps[depth];
	struct shape tiled = {
		.bits = bits_of(tiling, cpp),
		.addr = HALF,
		.pitch_B = 2048,
	};
	struct shape linear = { .addr = AREA + 3, .pitch_B = 1201 };
	struct shape other = { .bits = BITS_4, .addr = AREA + (1 << 19), .pitch_B = 1280 };
	struct rect to = { .x = 13, .y = 29, .width = 1100 / cpp, .height = 333 };
	struct rect back = { .x = 2, .y = 3, .width = 77, .height = 99 };
	struct rect tile = { .x = 1, .y = 0, .width = 70, .height = 77 };
	void (*emit_copy)(struct rig *, unsigned, unsigned, const struct shape *,
			  const struct rect *, unsigned, const struct shape *, uint64_t,
			  uint64_t) = fast ? emit_fast_copy : emit_block_copy;
	unsigned field = fast ? fast_depth[depth] : depth;

	area_init(&rig, depth % LAYOUTS);
	area_random(&rig);
	ref_copy(&tiled, &to, &linear, 1, 2, cpp);
	ref_copy(&other, &tile, &tiled, 5, 77, cpp);
	ref_copy(&linear, &back, &tiled, 15, 31, cpp);
	emit_copy(&rig, field, tiling, &tiled, &to, 0, &linear, 1, 2);
	emit_copy(&rig, field, TILE_4, &other, &tile, tiling, &tiled, 5, 77);
	emit_copy(&rig, field, 0, &linear, &back, tiling, &tiled, 15, 31);
	rig_finish(&rig);
	area_check(&rig);
	area_fini(&rig);
}

static void copies_reach_every_tiling(void)
{
	for (unsigned depth = 0; depth < ARRAY_LEN(cpps); depth++) {
		for (unsigned tiling = TILE_X; tiling <= TILE_64 && cpps[depth] != 12; tiling++) {
			tiled_copy(tiling, depth, false);
			tiled_copy(tiling, depth, true);
		}
	}
}

static void fills_reach_every_tiling(void)
{
	static const uint32_t colour[4] = { 0x04030201, 0x08070605, 0x0c0b0a09, 0x100f0e0d };

	for (unsigned tiling = TILE_X; tiling <= TILE_64; tiling++) {
		struct shape s = { bits_of(tiling, 16), HALF, 2048 };
		struct rect r = { .x = 3, .y = 50, .width = 99, .height = 200 };

		area_init(&rig, SCATTERED);
		area_random(&rig);
		ref_fill(&s, &r, 16, colour);
		emit_fast_color(&rig, 5, tiling, &s, &r, colour);
		rig_finish(&rig);
		area_check(&rig);
		area_fini(&rig);
	}
}

/* One command of an older device; the bit says whether its Y is the old one. */
static void old_device_tells_y_from_4(void)
{
	for (unsigned is_4 = 0; is_4 < 2; is_4++) {
		struct shape tiled = { is_4 ? BITS_4 : BITS_Y, HALF, 512 };
		struct shape linear = { NULL, AREA, 400 };
		struct rect r = { .x = 1, .y = 2, .width = 90, .height = 100 };

		area_init(&rig, FLAT);
		rig.ctx.graphics_ver = 12;
		area_random(&rig);
		ref_copy(&tiled, &r, &linear, 0, 0, 4);
		emit_fast_copy(&rig, 3 | is_4 << 6, 2, &tiled, &r, 0, &linear, 0, 0);
		rig_finish(&rig);
		area_check(&rig);
		area_fini(&rig);
	}
}

static void slices_are_found_by_their_distance(void)
{
	struct shape dst = { NULL, HALF, 800 }, src = { NULL, AREA, 1000 };
	struct rect r = { .width = 100, .height = 30 };
	uint32_t *dw;

	area_init(&rig, FLAT);
	area_random(&rig);
	emit_block_copy(&rig, 2, 0, &dst, &r, 0, &src, 0, 0);
	dw = rig_at(&rig, RIG_PHYS + RIG_BATCH);
	dw[17] = 10u << 4;  /* 40 rows */
	dw[18] = 3u << 21;
	dw[20] = 11u << 4;
	dw[21] = 2u << 21;
	dst.addr += 3 * 40 * dst.pitch_B;
	src.addr += 2 * 44 * src.pitch_B;
	ref_copy(&dst, &r, &src, 0, 0, 4);
	rig_finish(&rig);
	area_check(&rig);
	area_fini(&rig);
}

static void overlap_of_surfaces(int64_t ahead, enum layout layout, uint64_t bytes)
{
	struct shape src = { NULL, AREA + 40000, 1000 };
	struct shape dst = { NULL, AREA + 40000 + (uint64_t)ahead, 1000 };
	struct rect tight = { .width = 1000, .height = 31 };
	struct rect loose = { .x = 1, .width = 900, .height = 31 };
	unsigned calls;

	area_init(&rig, layout);
	area_random(&rig);
	ref_copy(&dst, &tight, &src, 0, 0, 1);
	ref_copy(&dst, &loose, &src, 1, 0, 1);
	emit_block_copy(&rig, 0, 0, &dst, &tight, 0, &src, 0, 0);
	emit_fast_copy(&rig, 0, 0, &dst, &loose, 0, &src, 1, 0);
	emit_end(&rig);
	CHECK_EQ(run_budget(&rig, 100, bytes, &calls), GPU_RUN_DONE);
	area_check(&rig);
	area_fini(&rig);
}

static void overlap_gives_what_moving_single_bytes_gives(void)
{
	static const int64_t ahead[] = { 0, 1, 3, 7, 8, 100, 900, 1000, 1023, 1024, 5000, 30000,
					 -1, -8, -100, -5000 };

	for (unsigned i = 0; i < ARRAY_LEN(ahead); i++) {
		overlap_of_surfaces(ahead[i], i % LAYOUTS, 1 << 30);
		overlap_of_surfaces(ahead[i], FLAT, 4096);
		overlap_of_surfaces(ahead[i], FLAT, 777);
		overlap_of_surfaces(ahead[i], CLIENT, 1 << 30);
	}
}

static void empty_rectangles_change_nothing(void)
{
	struct shape s = { NULL, AREA, 1000 }, far = { NULL, 0x123000, 1000 };
	struct rect empty[] = { { 5, 5, 0, 9 }, { 5, 5, 9, 0 }, { 0, 0, 0, 0 } };
	const uint32_t value[4] = { 1 };
	uint32_t *dw;

	area_init(&rig, FLAT);
	area_random(&rig);
	dw = rig_at(&rig, RIG_PHYS + RIG_BATCH);
	for (unsigned i = 0; i < ARRAY_LEN(empty); i++) {
		emit_block_copy(&rig, 2, 0, &s, &empty[i], 0, &far, 0, 0);
		emit_fast_copy(&rig, 3, 0, &far, &empty[i], 0, &s, 0, 0);
		emit_fast_color(&rig, 2, 0, &s, &empty[i], value);
	}
	/* The first: its corners the wrong way round, too. */
	dw[2] = 9u << 16 | 9;
	dw[3] = 5u << 16 | 20;
	rig_finish(&rig);
	area_check(&rig);
	area_fini(&rig);
}

/* One dword of a good command, changed. */
struct spoiled {
	uint8_t opcode;
	uint8_t dword;
	uint32_t clear, set;
	uint32_t graphics_ver;
};

static const struct spoiled spoiled[] = {
	{ 0x41, 0, 7u << 19, 6u << 19, 20 },   /* no such depth */
	{ 0x41, 0, 0, 1u << 9, 20 },           /* two samples */
	{ 0x41, 2, 0, 1u << 15, 20 },          /* outside, to the left */
	{ 0x41, 2, 0, 1u << 31, 20 },          /* and above */
	{ 0x41, 7, 0, 1u << 31, 20 },
	{ 0x41, 1, 0x3ffff, 2u << 30, 20 },    /* no whole tiles in a row */
	{ 0x41, 8, 0x3ffff, 3u << 30, 20 },
	{ 0x41, 1, 0x3ffff, 1u << 30 | 1023, 12 }, /* X or Y */
	{ 0x41, 17, 0, 1, 20 },                /* a level */
	{ 0x41, 20, 0, 1, 20 },
	{ 0x41, 16, 7u << 29, 4u << 29, 20 },  /* no such type */
	{ 0x41, 21, 0, 1u << 21, 20 },         /* one dimension, many slices */
	{ 0x42, 1, 7u << 24, 2u << 24, 20 },
	{ 0x42, 2, 0, 1u << 31, 20 },
	{ 0x42, 6, 0, 1u << 15, 20 },
	{ 0x42, 0, 0, 1u << 20, 20 },          /* a pitch of no whole tiles */
	{ 0x44, 0, 7u << 19, 7u << 19, 20 },
	{ 0x44, 0, 0, 1u << 12, 20 },          /* a fast clear */
	{ 0x44, 0, 0, 1u << 9, 20 },
	{ 0x44, 14, 0, 1, 20 },
	{ 0x5a, 0, 0, 2u << 17, 20 },          /* no such type */
	{ 0x5a, 0, 0, 1u << 17 | 1u << 19, 20 }, /* a matrix of pages */
	{ 0x5b, 0, 0, 3u << 17, 20 },
};

static void what_is_not_known_is_a_fault_and_changes_nothing(void)
{
	const uint32_t value[4] = { 1, 2, 3, 4 };
	struct shape a = { NULL, AREA, 4100 }, b = { NULL, SECOND, 4100 };
	struct rect r = { .x = 2, .y = 2, .width = 50, .height = 50 };
	uint32_t *dw;

	for (unsigned i = 0; i < ARRAY_LEN(spoiled); i++) {
		const struct spoiled *s = &spoiled[i];

		area_init(&rig, FLAT);
		rig.ctx.graphics_ver = s->graphics_ver;
		area_random(&rig);
		switch (s->opcode) {
		case 0x41:
			emit_block_copy(&rig, 2, 0, &b, &r, 0, &a, 2, 2);
			break;
		case 0x42:
			emit_fast_copy(&rig, 3, 0, &b, &r, 0, &a, 2, 2);
			break;
		case 0x44:
			emit_fast_color(&rig, 2, 0, &b, &r, value);
			break;
		case 0x5a:
			emit_mem_copy(&rig, SECOND, AREA, 100);
			break;
		default:
			emit_mem_set(&rig, SECOND, 100, 1);
			break;
		}
		emit_end(&rig);
		dw = rig_at(&rig, RIG_PHYS + RIG_BATCH);
		if (s->dword == 21) {
			dw[19] &= ~(7u << 29);
		}
		dw[s->dword] = (dw[s->dword] & ~s->clear) | s->set;
		CHECK_EQ(rig_run(&rig, 1), GPU_RUN_FAULT);
		CHECK_EQ(rig.ctx.fault.type, GPU_FAULT_COMMAND);
		CHECK_EQ(rig.ctx.fault.address, RIG_BATCH);
		area_check(&rig);
		area_fini(&rig);
	}
}

static void tiles_have_no_elements_of_12_bytes_and_no_unknown_places(void)
{
	struct shape a = { NULL, AREA, 4096 }, b = { bits_of(TILE_64, 4), HALF, 4096 };
	struct rect r = { .width = 50, .height = 50 };
	uint32_t *dw;

	for (unsigned i = 0; i < 3; i++) {
		area_init(&rig, FLAT);
		area_random(&rig);
		emit_block_copy(&rig, i == 0 ? 4 : 2, TILE_64, &b, &r, 0, &a, 0, 0);
		emit_end(&rig);
		dw = rig_at(&rig, RIG_PHYS + RIG_BATCH);
		if (i == 1) {
			dw[16] = 2u << 29 | 16383u << 14 | 16383; /* three dimensions */
		} else if (i == 2) {
			dw[16] = 1u << 29 | 99u << 14 | 99; /* shares its tile with levels */
		}
		CHECK_EQ(rig_run(&rig, 1), GPU_RUN_FAULT);
		CHECK_EQ(rig.ctx.fault.type, GPU_FAULT_COMMAND);
		area_check(&rig);
		area_fini(&rig);
	}
}

static const struct test_case cases[] = {
	TEST(block_copy_moves_rectangles_of_every_depth),
	TEST(fast_copy_moves_rectangles_of_every_depth),
	TEST(fast_color_fills_rectangles_of_every_depth),
	TEST(large_fills_are_right_at_both_ends),
	TEST(copies_reach_every_tiling),
	TEST(fills_reach_every_tiling),
	TEST(old_device_tells_y_from_4),
	TEST(slices_are_found_by_their_distance),
	TEST(overlap_gives_what_moving_single_bytes_gives),
	TEST(empty_rectangles_change_nothing),
	TEST(what_is_not_known_is_a_fault_and_changes_nothing),
	TEST(tiles_have_no_elements_of_12_bytes_and_no_unknown_places),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
