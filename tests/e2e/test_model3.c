// SPDX-License-Identifier: MIT
/*
 * The small model, exhaustively: every sequence of three operations over six units of addresses.
 * An operation is one of 21 ranges, times mapping one kind of thing, another, or nothing: 63, so
 * 63^3 = 250 047 sequences. After each operation the whole mapping index, the page tables as the
 * GPU's MMU walks them, and what the GPU reads through a TLB that was warm before, agree with an
 * array with a cell per unit, which shares nothing with the engine. The simulator plays a sample.
 *
 * The unit is a page, a 64 KiB group, a leaf table, or half of one, so that its entry is cut.
 */
#include "rig.h"

#include <stdio.h>

#define UNITS 6
#define RANGES (UNITS * (UNITS + 1) / 2)
#define KINDS 3
#define OPS (RANGES * KINDS)
#define SEQUENCES ((uint64_t)OPS * OPS * OPS)

enum what {
	NOTHING,
	LINED,    /* an object whose offsets follow the addresses: neighbours line up */
	REVERSED, /* another, whose offsets do not: what starts elsewhere never lines up */
	ZEROES,   /* a NULL mapping */
};

struct world {
	const char *name;
	uint64_t base, unit_B;
	unsigned level;     /* of the entries that a lone unit gets */
	enum what kind[2];  /* what the operations map */
	bool readonly;      /* the first of them */
	bool poor;          /* unmaps meet failing allocations ... */
	bool late;          /* ... and what they gave up is written again at the end only */
};

struct cell {
	enum what what;
	uint64_t unit; /* of the object */
};

struct state {
	const struct world *world;
	struct device *device;
	struct vm *vm;
	struct bo *lined, *reversed;
	struct cell cell[UNITS + 2]; /* with an empty one before and after */
	bool gave_up;       /* entries may be missing */
	uint64_t rng;
};

struct op {
	unsigned first, count;
	enum what what;
};

static struct op op_number(const struct world *world, unsigned n)
{
	unsigned range = n / KINDS, kind = n % KINDS;
	struct op op = { .what = kind ? world->kind[kind - 1] : NOTHING };

	/* 6 ranges start at 0, 5 at 1, ... */
	while (range >= UNITS - op.first) {
		range -= UNITS - op.first++;
	}
	op.count = range + 1;
	return op;
}

static uint64_t draw(struct state *s, uint64_t below)
{
	s->rng ^= s->rng << 13;
	s->rng ^= s->rng >> 7;
	s->rng ^= s->rng << 17;
	return s->rng % below;
}

/* ---- the oracle against the engine ----------------------------------------------------------- */

static struct bo *object(const struct state *s, enum what what)
{
	return what == LINED ? s->lined : what == REVERSED ? s->reversed : NULL;
}

static bool is_readonly(const struct state *s, enum what what)
{
	return s->world->readonly && what == s->world->kind[0];
}

/* The whole index, run by run. Cell 0 stands for what is before the units. */
static void check_index(struct state *s)
{
	uint64_t low = s->world->base - s->world->unit_B, unit_B = s->world->unit_B;
	struct vm_mapping run = { .end = 0 };
	unsigned i = 0;

	while (vm_mapping_next(s->vm, run.end, &run)) {
		unsigned from = (unsigned)((run.start - low) / unit_B);
		unsigned to = (unsigned)((run.end - low) / unit_B);

		CHECK(run.start >= low && from >= i && from < to && to < ARRAY_LEN(s->cell));
		CHECK(is_aligned((run.start - low) | (run.end - low), unit_B));
		for (; i < from; i++) {
			CHECK_EQ(s->cell[i].what, NOTHING);
		}
		for (; i < to; i++) {
			const struct cell *want = &s->cell[i];
			struct bo *bo = object(s, want->what);

			CHECK(want->what != NOTHING);
			CHECK_EQ(run.null, want->what == ZEROES);
			CHECK_EQ(run.readonly, is_readonly(s, want->what));
			CHECK_EQ(run.bo_id, bo ? bo->id : 0);
			CHECK(!bo || run.offset + (i - from) * unit_B == want->unit * unit_B);
		}
	}
	for (; i < ARRAY_LEN(s->cell); i++) {
		CHECK_EQ(s->cell[i].what, NOTHING);
	}
}

/* The page at @offset in a cell. What was given up is missing, never wrong. */
static void check_page(struct state *s, const struct cell *want, uint64_t addr, uint64_t offset)
{
	bool there = want->what != NOTHING;
	struct gpu_pte pte;
	uint64_t value = 0;
	unsigned level;
	int ret;

	ret = gpu_walk(&mem_gpu_ops, &s->device->mem, &s->vm->hw, addr + offset, &pte, &level);
	if (s->gave_up) {
		there = there && !ret;
	}
	CHECK_ERR(ret, there ? 0 : -EFAULT);
	CHECK_ERR(rig_load64(s->vm, addr + offset, &value), there ? 0 : -EFAULT);
	if (there) {
		struct bo *bo = object(s, want->what);
		uint64_t page = (want->unit * s->world->unit_B + offset) / PAGE_SIZE;

		CHECK_EQ(pte.attrs.null, !bo);
		CHECK_EQ(pte.attrs.writable, !is_readonly(s, want->what));
		CHECK_EQ(value, bo ? rig_stamp(bo, page) : 0);
	}
}

static void check(struct state *s)
{
	uint64_t unit_B = s->world->unit_B;

	check_index(s);
	for (unsigned i = 0; i < ARRAY_LEN(s->cell); i++) {
		uint64_t addr = s->world->base + i * unit_B - unit_B;

		/* Of the cells outside only the pages next to the units. */
		if (i) {
			check_page(s, &s->cell[i], addr, 0);
		}
		if (i < UNITS + 1 && (!i || unit_B > PAGE_SIZE)) {
			check_page(s, &s->cell[i], addr, unit_B - PAGE_SIZE);
		}
	}
}

/* ---- steps ----------------------------------------------------------------------------------- */

/* What a submission does before anything can be used. */
static void make_whole(struct state *s)
{
	CHECK_OK(vm_rebind(s->vm, false));
	s->gave_up = false;
}

static void unmap(struct state *s, uint64_t addr, uint64_t range)
{
	if (s->world->poor) {
		port_fault_set(PORT_FAULT_ALLOC, 1 + draw(s, 6), true);
		s->gave_up = true;
	}
	CHECK_OK(rig_bind(s->vm, rig_unmap(addr, range)));
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	if (!s->world->late) {
		make_whole(s);
	}
}

static void step(struct state *s, struct op op)
{
	uint64_t addr = s->world->base + op.first * s->world->unit_B;
	uint64_t range = op.count * s->world->unit_B;
	uint64_t unit = op.what == LINED ? op.first : UNITS - 1 - op.first;
	struct bind_op bind;

	if (op.what == NOTHING) {
		unmap(s, addr, range);
	} else {
		bind = op.what == ZEROES ? rig_map_null(addr, range)
					 : rig_map(object(s, op.what), addr,
						   unit * s->world->unit_B, range);
		bind.readonly = is_readonly(s, op.what);
		CHECK_OK(rig_bind(s->vm, bind));
	}
	for (unsigned i = 0; i < op.count; i++) {
		s->cell[1 + op.first + i] = (struct cell){ op.what, unit + i };
	}
	check(s);
}

static void start_over(struct state *s)
{
	unmap(s, s->world->base, UNITS * s->world->unit_B);
	memset(s->cell, 0, sizeof(s->cell));
	check(s);
	CHECK_EQ(s->vm->index.count, 0);
	CHECK_EQ(s->vm->pt.tables, 1);
}

/* One unit alone is mapped as it should, or the run does not test what it is for. */
static void check_level(struct state *s)
{
	struct gpu_pte pte;
	unsigned level;

	step(s, (struct op){ 0, 2, LINED });
	CHECK_OK(gpu_walk(&mem_gpu_ops, &s->device->mem, &s->vm->hw, s->world->base, &pte, &level));
	CHECK_EQ(level, s->world->level);
	CHECK_EQ(pte.ps64, s->world->unit_B == SZ_64K);
	start_over(s);
}

/* Every @stride'th sequence; a stride without common factors with 63 meets every pair of them. */
static void run_world(const struct world *world, uint64_t stride)
{
	struct state state = { .world = world, .rng = 0x9e3779b97f4a7c15u }, *s = &state;
	uint64_t sequences = 0;

	s->device = rig_device(SCHEDULE_NORMAL);
	s->vm = rig_vm(s->device, 0);
	s->lined = rig_bo(s->device, UNITS * world->unit_B, MEM_VRAM);
	s->reversed = rig_bo(s->device, 2 * UNITS * world->unit_B, MEM_SYSTEM);
	check_level(s);
	for (uint64_t n = 0; n < SEQUENCES; n += stride) {
		step(s, op_number(world, (unsigned)(n / OPS / OPS)));
		step(s, op_number(world, (unsigned)(n / OPS % OPS)));
		step(s, op_number(world, (unsigned)(n % OPS)));
		make_whole(s);
		check(s);
		start_over(s);
		sequences++;
	}
	CHECK(stride > 1 || sequences == SEQUENCES);
	printf("# %s: %llu sequences\n", world->name, (unsigned long long)sequences);
	rig_vm_done(s->vm);
	bo_put(s->lined);
	bo_put(s->reversed);
	device_destroy(s->device);
}

static void play(const struct world *world)
{
	uint64_t stride = test_is_sim() ? 101 : 1;

	/* Scaled by a stride: a sanitizer's run is a sample too. */
	run_world(world, test_scale(10) == 10 ? stride : stride * 41);
}

static void test_model3_4K(void)
{
	play(&(struct world){
		.name = "4K", .base = SZ_1G, .unit_B = SZ_4K,
		.level = 0, .kind = { LINED, REVERSED },
	});
}

static void test_model3_64K(void)
{
	play(&(struct world){
		.name = "64K", .base = SZ_1G, .unit_B = SZ_64K,
		.level = 0, .kind = { LINED, REVERSED },
	});
}

static void test_model3_2M(void)
{
	play(&(struct world){
		.name = "2M", .base = SZ_1G, .unit_B = SZ_2M,
		.level = 1, .kind = { LINED, REVERSED },
	});
}

static void test_model3_halves_of_2M(void)
{
	play(&(struct world){
		.name = "1M", .base = SZ_1G, .unit_B = SZ_2M / 2,
		.level = 1, .kind = { LINED, REVERSED },
	});
}

static void test_model3_across_2M(void)
{
	play(&(struct world){
		.name = "4K across 2M", .base = SZ_1G + SZ_2M - 3 * SZ_4K, .unit_B = SZ_4K,
		.level = 0, .kind = { LINED, REVERSED },
	});
}

static void test_model3_across_1G(void)
{
	play(&(struct world){
		.name = "4K across 1G", .base = SZ_1G - 3 * SZ_4K, .unit_B = SZ_4K,
		.level = 0, .kind = { LINED, REVERSED },
	});
}

static void test_model3_readonly_and_NULL(void)
{
	play(&(struct world){
		.name = "read-only and NULL", .base = SZ_1G, .unit_B = SZ_4K,
		.level = 0, .kind = { LINED, ZEROES }, .readonly = true,
	});
}

static void test_model3_halves_of_2M_NULL(void)
{
	play(&(struct world){
		.name = "1M, NULL", .base = SZ_1G, .unit_B = SZ_2M / 2,
		.level = 1, .kind = { LINED, ZEROES },
	});
}

/* Unmaps for which memory runs out: holes, and entries that are given up (P2). */
static void test_model3_poor(void)
{
	play(&(struct world){
		.name = "poor", .base = SZ_1G, .unit_B = SZ_4K,
		.level = 0, .kind = { LINED, REVERSED }, .poor = true,
	});
}

static void test_model3_poor_across_2M(void)
{
	play(&(struct world){
		.name = "poor, 4K across 2M", .base = SZ_1G + SZ_2M - 3 * SZ_4K, .unit_B = SZ_4K,
		.level = 0, .kind = { LINED, REVERSED }, .poor = true,
	});
}

static void test_model3_poor_halves_of_2M(void)
{
	play(&(struct world){
		.name = "poor, 1M", .base = SZ_1G, .unit_B = SZ_2M / 2,
		.level = 1, .kind = { LINED, REVERSED }, .poor = true,
	});
}

/* What was given up meets further binds before it is written again. */
static void test_model3_poor_and_late(void)
{
	play(&(struct world){
		.name = "poor and late, 1M", .base = SZ_1G, .unit_B = SZ_2M / 2,
		.level = 1, .kind = { LINED, REVERSED }, .poor = true, .late = true,
	});
}

static const struct test_case cases[] = {
	TEST(test_model3_4K),
	TEST(test_model3_64K),
	TEST(test_model3_2M),
	TEST(test_model3_halves_of_2M),
	TEST(test_model3_across_2M),
	TEST(test_model3_across_1G),
	TEST(test_model3_readonly_and_NULL),
	TEST(test_model3_halves_of_2M_NULL),
	TEST(test_model3_poor),
	TEST(test_model3_poor_across_2M),
	TEST(test_model3_poor_halves_of_2M),
	TEST(test_model3_poor_and_late),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
