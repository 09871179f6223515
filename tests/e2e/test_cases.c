// SPDX-License-Identifier: MIT
/*
 * The ways in which a new mapping can meet one that is there, numbered as in descriptions of
 * drm_gpuvm: what of the old one is kept, at which offset, and who still knows about it.
 *
 * A case is a shape: the old range E and the request R, in units. It is played with units of a
 * page, of a quarter of a large page and of a large page; with every kind of E that the case is
 * about, and with requests of an object, client memory and zeroes. Before and after, the index is
 * compared run by run, each page of both ranges by walking the tables and by loading through a TLB
 * that knows the old state. At the end the old object's mappings are unmapped by object: exactly
 * the kept parts go.
 *
 * Odd numbers up to 17 are the cases where R and E are of one object and line up, even ones where
 * they do not.
 */
#include "rig.h"

#define UNITS 24

enum what {
	NOTHING,
	LINED_UP,     /* the object of the request, at the offset that the request would give */
	OTHER_OFFSET, /* the same object */
	OTHER_OBJECT,
	ZEROES,
	CLIENT,
	WHATS,
};

#define BIT_OF(what) (1u << (what))
#define IN_LINE BIT_OF(LINED_UP)
#define NO_OBJECT (BIT_OF(ZEROES) | BIT_OF(CLIENT))
#define OUT_OF_LINE (BIT_OF(OTHER_OFFSET) | BIT_OF(OTHER_OBJECT) | NO_OBJECT)
#define ANY (IN_LINE | OUT_OF_LINE)

struct part {
	unsigned start, end; /* units; empty: none */
};

struct shape {
	struct part old[4], request;
	unsigned kinds;  /* of the old mappings: bits */
	unsigned kept;   /* parts of old mappings afterwards */
};

struct cell {
	enum what what;
	unsigned bind; /* which one made it */
};

struct scene {
	struct device *device;
	struct vm *vm;
	struct bo *x, *y;   /* x is the object of requests */
	char *client;
	uint64_t base, unit_B;
	struct cell cell[UNITS];
	unsigned binds;
};

/* ---- what is expected ------------------------------------------------------------------------ */

static struct bo *object(const struct scene *s, enum what what)
{
	return what == LINED_UP || what == OTHER_OFFSET ? s->x : what == OTHER_OBJECT ? s->y : NULL;
}

/* Where in its object a unit of addresses lies. */
static uint64_t offset_of(const struct scene *s, enum what what, unsigned unit)
{
	if (what == OTHER_OFFSET) {
		unit += UNITS;
	}
	return what == ZEROES ? 0 : unit * s->unit_B;
}

static void check_index(struct scene *s, unsigned parts)
{
	struct vm_mapping run = { .end = 0 };
	unsigned runs = 0, unit = 0;

	while (vm_mapping_next(s->vm, run.end, &run)) {
		unsigned start = (unsigned)((run.start - s->base) / s->unit_B);
		unsigned end = (unsigned)((run.end - s->base) / s->unit_B);
		uint64_t offset = run.offset;
		enum what what;

		CHECK(start >= unit && start < end && end <= UNITS);
		CHECK(is_aligned((run.start - s->base) | (run.end - s->base), s->unit_B));
		what = s->cell[start].what;
		for (; unit < start; unit++) {
			CHECK_EQ(s->cell[unit].what, NOTHING);
		}
		for (; unit < end; unit++) {
			CHECK_EQ(s->cell[unit].what, what);
			CHECK_EQ(s->cell[unit].bind, s->cell[start].bind);
		}
		CHECK(what != NOTHING);
		CHECK_EQ(run.bo_id, object(s, what) ? object(s, what)->id : 0);
		CHECK_EQ(run.null, what == ZEROES);
		CHECK_EQ(run.userptr, what == CLIENT);
		if (what == CLIENT) {
			offset -= (uint64_t)(uintptr_t)s->client;
		}
		CHECK(what == ZEROES || offset == offset_of(s, what, start));
		runs++;
	}
	for (; unit < UNITS; unit++) {
		CHECK_EQ(s->cell[unit].what, NOTHING);
	}
	CHECK_EQ(runs, parts);
}

static void check_page(struct scene *s, unsigned unit, uint64_t in_unit)
{
	uint64_t addr = s->base + unit * s->unit_B + in_unit, value = 0, want = 0;
	enum what what = s->cell[unit].what;
	struct gpu_pte pte;
	unsigned level;

	CHECK_EQ(gpu_walk(&mem_gpu_ops, &s->device->mem, &s->vm->hw, addr, &pte, &level),
		 what ? 0 : -EFAULT);
	CHECK_ERR(rig_load64(s->vm, addr, &value), what ? 0 : -EFAULT);
	if (what == CLIENT) {
		memcpy(&want, s->client + unit * s->unit_B + in_unit, sizeof(want));
	} else if (object(s, what)) {
		want = rig_stamp(object(s, what), (offset_of(s, what, unit) + in_unit) / PAGE_SIZE);
	}
	if (what) {
		CHECK_EQ(value, want);
		CHECK_EQ(pte.attrs.null, what == ZEROES);
	}
}

static void check(struct scene *s, unsigned parts)
{
	check_index(s, parts);
	for (unsigned unit = 0; unit < UNITS; unit++) {
		check_page(s, unit, 0);
		check_page(s, unit, s->unit_B - PAGE_SIZE);
	}
	vm_check(s->vm);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static struct bind_op map_op(struct scene *s, enum what what, struct part part)
{
	uint64_t addr = s->base + part.start * s->unit_B;
	uint64_t range = (part.end - part.start) * s->unit_B;

	switch (what) {
	case NOTHING:
		return rig_unmap(addr, range);
	case ZEROES:
		return rig_map_null(addr, range);
	case CLIENT:
		return rig_map_user(s->client + part.start * s->unit_B, addr, range);
	default:
		return rig_map(object(s, what), addr, offset_of(s, what, part.start), range);
	}
}

static void bind(struct scene *s, enum what what, struct part part)
{
	CHECK_OK(rig_bind(s->vm, map_op(s, what, part)));
	s->binds++;
	for (unsigned unit = part.start; unit < part.end; unit++) {
		s->cell[unit] = (struct cell){ what, s->binds };
	}
}

/* By object: every part of its mappings goes, of both of x's kinds, and nothing else. */
static void unbind_object(struct scene *s, struct bo *bo, unsigned parts)
{
	CHECK_OK(rig_bind(s->vm, rig_unmap_bo(bo)));
	for (unsigned unit = 0; unit < UNITS; unit++) {
		if (object(s, s->cell[unit].what) == bo) {
			s->cell[unit] = (struct cell){ NOTHING, 0 };
		}
	}
	check(s, parts);
	CHECK(list_empty(&bo->mappings));
	CHECK_EQ(atomic_load(&bo->ref.count), 1);
}

/* Runs as long as neighbours are of one mapping. */
static unsigned count_parts(const struct scene *s)
{
	unsigned parts = 0;

	for (unsigned unit = 0; unit < UNITS; unit++) {
		const struct cell *cell = &s->cell[unit];

		parts += cell->what && (unit == 0 || cell[-1].what != cell->what ||
					cell[-1].bind != cell->bind);
	}
	return parts;
}

static void play(struct scene *s, const struct shape *shape, enum what old, enum what request)
{
	unsigned parts = 0;
	struct part all = { 0, UNITS };

	for (; parts < ARRAY_LEN(shape->old) && shape->old[parts].end; parts++) {
		bind(s, old, shape->old[parts]);
	}
	check(s, parts);
	bind(s, request, shape->request);
	CHECK_EQ(count_parts(s), shape->kept + (request != NOTHING));
	check(s, count_parts(s));
	if (object(s, old) == s->y) {
		unbind_object(s, s->y, request != NOTHING);
	}
	if (object(s, old) == s->x) {
		unbind_object(s, s->x, request == ZEROES || request == CLIENT);
	}
	bind(s, NOTHING, all);
	check(s, 0);
	CHECK_EQ(atomic_load(&s->x->ref.count), 1);
	CHECK_EQ(atomic_load(&s->y->ref.count), 1);
	CHECK_EQ(s->vm->pt.tables, 1);
}

static void stamp_client(char *client, uint64_t size_B)
{
	for (uint64_t at = 0; at < size_B; at += PAGE_SIZE) {
		uint64_t value = 0xc11e000000000000u + at;

		memcpy(client + at, &value, sizeof(value));
	}
}

/* All requests (or unmapping, with @unmap) on all kinds that the shape is about. */
static void play_unit(const struct shape *shape, uint64_t unit_B, bool unmap)
{
	static const enum what requests[] = { LINED_UP, ZEROES, CLIENT };
	const struct mem_config mem = {
		.system_B = 3 * UNITS * unit_B + SZ_2M, .vram_B = 3 * UNITS * unit_B + SZ_2M,
		.vram_min_page_B = SZ_64K,
	};
	struct scene scene = { .base = SZ_1G - 8 * unit_B, .unit_B = unit_B }, *s = &scene;
	uint64_t client_B = UNITS * unit_B;

	s->client = port_reserve(client_B);
	CHECK(s->client);
	stamp_client(s->client, client_B);
	s->device = rig_device_sized(&mem);
	s->vm = rig_vm(s->device, 0);
	s->x = rig_bo(s->device, 2 * UNITS * unit_B, MEM_VRAM);
	s->y = rig_bo(s->device, UNITS * unit_B, MEM_SYSTEM);
	for (enum what old = LINED_UP; old < WHATS; old++) {
		if (!(shape->kinds & BIT_OF(old))) {
			continue;
		}
		for (unsigned i = 0; i < ARRAY_LEN(requests) && !unmap; i++) {
			/* Other requests than x's are in line with nothing. */
			if (i == 0 || shape->kinds != IN_LINE) {
				play(s, shape, old, requests[i]);
			}
		}
		if (unmap) {
			play(s, shape, old, NOTHING);
		}
	}
	rig_vm_done(s->vm);
	bo_put(s->x);
	bo_put(s->y);
	device_destroy(s->device);
	port_unreserve(s->client, client_B);
}

static void play_shape(const struct shape *shape, bool unmap)
{
	play_unit(shape, SZ_4K, unmap);
	play_unit(shape, SZ_2M / 4, unmap);
	play_unit(shape, SZ_2M, unmap);
}

/* ---- the cases ------------------------------------------------------------------------------- */

#define CASE(name, ...)                                                                            \
	static void test_##name(void)                                                              \
	{                                                                                          \
		play_shape(&(struct shape){ __VA_ARGS__ }, false);                                 \
	}

#define SHAPE(e, e_end, r, r_end) .old = { { e, e_end } }, .request = { r, r_end }
CASE(case_01_same_range_lined_up,
     SHAPE(8, 16, 8, 16), .kinds = IN_LINE, .kept = 0)
CASE(case_02_same_range_not_lined_up,
     SHAPE(8, 16, 8, 16), .kinds = OUT_OF_LINE, .kept = 0)
CASE(case_03_same_start_ends_inside_lined_up,
     SHAPE(8, 16, 8, 19), .kinds = IN_LINE, .kept = 0)
CASE(case_04_same_start_ends_inside_not_lined_up,
     SHAPE(8, 16, 8, 19), .kinds = OUT_OF_LINE, .kept = 0)
CASE(case_05_same_start_keeps_the_end_lined_up,
     SHAPE(8, 16, 8, 13), .kinds = IN_LINE, .kept = 1)
CASE(case_06_same_start_keeps_the_end_not_lined_up,
     SHAPE(8, 16, 8, 13), .kinds = OUT_OF_LINE, .kept = 1)
CASE(case_07_same_end_keeps_the_start_lined_up,
     SHAPE(8, 16, 11, 16), .kinds = IN_LINE, .kept = 1)
CASE(case_08_same_end_keeps_the_start_not_lined_up,
     SHAPE(8, 16, 11, 16), .kinds = OUT_OF_LINE, .kept = 1)
CASE(case_09_starts_before_ends_inside_lined_up,
     SHAPE(8, 16, 11, 19), .kinds = IN_LINE, .kept = 1)
CASE(case_10_starts_before_ends_inside_not_lined_up,
     SHAPE(8, 16, 11, 19), .kinds = OUT_OF_LINE, .kept = 1)
CASE(case_11_around_it_is_split_lined_up,
     SHAPE(8, 16, 11, 13), .kinds = IN_LINE, .kept = 2)
CASE(case_12_around_it_is_split_not_lined_up,
     SHAPE(8, 16, 11, 13), .kinds = OUT_OF_LINE, .kept = 2)
CASE(case_13_starts_inside_same_end_lined_up,
     SHAPE(8, 16, 5, 16), .kinds = IN_LINE, .kept = 0)
CASE(case_14_starts_inside_same_end_not_lined_up,
     SHAPE(8, 16, 5, 16), .kinds = OUT_OF_LINE, .kept = 0)
CASE(case_15_inside_goes_lined_up,
     SHAPE(8, 16, 5, 19), .kinds = IN_LINE, .kept = 0)
CASE(case_16_inside_goes_not_lined_up,
     SHAPE(8, 16, 5, 19), .kinds = OUT_OF_LINE, .kept = 0)
CASE(case_17_starts_inside_keeps_the_end_lined_up,
     SHAPE(8, 16, 5, 13), .kinds = IN_LINE, .kept = 1)
CASE(case_18_starts_inside_keeps_the_end_not_lined_up,
     SHAPE(8, 16, 5, 13), .kinds = OUT_OF_LINE, .kept = 1)

/* Touching or far: nothing of the old ones changes, and neighbours are not merged. */
CASE(case_19_no_overlap,
     .old = { { 1, 3 }, { 6, 8 }, { 16, 18 }, { 20, 22 } }, .request = { 8, 16 },
     .kinds = ANY, .kept = 4)
CASE(case_20_spans_several,
     .old = { { 4, 9 }, { 9, 12 }, { 13, 14 }, { 15, 20 } }, .request = { 8, 16 },
     .kinds = ANY, .kept = 2)

/* Without an object nothing is ever kept, whatever the shape. */
static void test_case_21_no_object(void)
{
	static const struct shape shapes[] = {
		{ SHAPE(8, 16, 8, 16), .kinds = NO_OBJECT, .kept = 0 },
		{ SHAPE(8, 16, 8, 19), .kinds = NO_OBJECT, .kept = 0 },
		{ SHAPE(8, 16, 8, 13), .kinds = NO_OBJECT, .kept = 1 },
		{ SHAPE(8, 16, 11, 16), .kinds = NO_OBJECT, .kept = 1 },
		{ SHAPE(8, 16, 11, 19), .kinds = NO_OBJECT, .kept = 1 },
		{ SHAPE(8, 16, 11, 13), .kinds = NO_OBJECT, .kept = 2 },
		{ SHAPE(8, 16, 5, 16), .kinds = NO_OBJECT, .kept = 0 },
		{ SHAPE(8, 16, 5, 19), .kinds = NO_OBJECT, .kept = 0 },
		{ SHAPE(8, 16, 5, 13), .kinds = NO_OBJECT, .kept = 1 },
	};

	for (unsigned i = 0; i < ARRAY_LEN(shapes); i++) {
		play_shape(&shapes[i], false);
	}
}

/* The same shapes unmapped: parts outside the range are kept, at their offsets. */
#define UNMAP(name, ...)                                                                           \
	static void test_##name(void)                                                              \
	{                                                                                          \
		play_shape(&(struct shape){ __VA_ARGS__ }, true);                                  \
	}

UNMAP(unmap_same_range,
      SHAPE(8, 16, 8, 16), .kinds = ANY, .kept = 0)
UNMAP(unmap_same_start_ends_inside,
      SHAPE(8, 16, 8, 19), .kinds = ANY, .kept = 0)
UNMAP(unmap_same_start_keeps_the_end,
      SHAPE(8, 16, 8, 13), .kinds = ANY, .kept = 1)
UNMAP(unmap_same_end_keeps_the_start,
      SHAPE(8, 16, 11, 16), .kinds = ANY, .kept = 1)
UNMAP(unmap_starts_before_ends_inside,
      SHAPE(8, 16, 11, 19), .kinds = ANY, .kept = 1)
UNMAP(unmap_around_it_is_split,
      SHAPE(8, 16, 11, 13), .kinds = ANY, .kept = 2)
UNMAP(unmap_starts_inside_same_end,
      SHAPE(8, 16, 5, 16), .kinds = ANY, .kept = 0)
UNMAP(unmap_inside_goes,
      SHAPE(8, 16, 5, 19), .kinds = ANY, .kept = 0)
UNMAP(unmap_starts_inside_keeps_the_end,
      SHAPE(8, 16, 5, 13), .kinds = ANY, .kept = 1)
UNMAP(unmap_no_overlap,
      .old = { { 1, 3 }, { 6, 8 }, { 16, 18 }, { 20, 22 } }, .request = { 8, 16 },
      .kinds = ANY, .kept = 4)
UNMAP(unmap_spans_several,
      .old = { { 4, 9 }, { 9, 12 }, { 13, 14 }, { 15, 20 } }, .request = { 8, 16 },
      .kinds = ANY, .kept = 2)
UNMAP(unmap_of_nothing, .request = { 8, 16 }, .kinds = ANY)

/* One object at several places, in parts: each mapping is a thing of its own. */
static void test_aliases_of_one_object(void)
{
	struct device *device = rig_device(SCHEDULE_NORMAL);
	struct vm *vm = rig_vm(device, 0);
	struct bo *bo = rig_bo(device, SZ_2M, MEM_SYSTEM);
	uint64_t value;

	for (uint64_t i = 0; i < 16; i++) {
		CHECK_OK(rig_bind(vm, rig_map(bo, i * SZ_2M, i * SZ_4K, SZ_64K)));
		CHECK_OK(rig_load64(vm, i * SZ_2M + SZ_4K, &value));
	}
	for (uint64_t i = 0; i < 16; i += 2) {
		CHECK_OK(rig_bind(vm, rig_unmap(i * SZ_2M + SZ_4K, SZ_4K)));
	}
	for (uint64_t i = 0; i < 16; i++) {
		CHECK_OK(rig_load64(vm, i * SZ_2M, &value));
		CHECK_EQ(value, rig_stamp(bo, i));
		CHECK_ERR(rig_load64(vm, i * SZ_2M + SZ_4K, &value), i % 2 ? 0 : -EFAULT);
		CHECK_OK(rig_load64(vm, i * SZ_2M + 2 * SZ_4K, &value));
		CHECK_EQ(value, rig_stamp(bo, i + 2));
	}
	CHECK_OK(rig_bind(vm, rig_unmap_bo(bo)));
	CHECK_EQ(vm->index.count, 0);
	CHECK_EQ(atomic_load(&bo->ref.count), 1);
	rig_vm_done(vm);
	bo_put(bo);
	device_destroy(device);
}

/* Ranges that no operation may have: refused, and what is mapped stays as it is. */
static void test_bad_ranges_are_refused(void)
{
	static const struct part_B {
		uint64_t addr, range;
	} bad[] = {
		{ 0, 0 }, { SZ_2M, 0 }, { SZ_2M + SZ_64K, 0 }, { (uint64_t)1 << 48, 0 },
		{ (uint64_t)1 << 48, SZ_4K }, { ((uint64_t)1 << 48) - SZ_4K, 2 * SZ_4K },
		{ SZ_4K, (uint64_t)1 << 48 }, { 0, ((uint64_t)1 << 48) + SZ_4K },
		{ -SZ_4K, SZ_4K }, { -SZ_4K, 2 * SZ_4K }, { SZ_2M, -SZ_2M }, { SZ_2M, -SZ_4K },
		{ SZ_4K, -SZ_4K }, { 0, -SZ_4K }, { SZ_2M + 1, SZ_4K }, { SZ_2M, SZ_4K - 1 },
	};
	struct device *device = rig_device(SCHEDULE_NORMAL);
	struct vm *vm = rig_vm(device, 0);
	struct bo *bo = rig_bo(device, SZ_2M, MEM_SYSTEM);
	void *client = port_reserve(SZ_64K);
	struct vm_mapping run;

	CHECK_OK(rig_bind(vm, rig_map(bo, SZ_2M, 0, SZ_2M)));
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		uint64_t addr = bad[i].addr, range = bad[i].range;

		CHECK_ERR(rig_bind(vm, rig_unmap(addr, range)), -EINVAL);
		CHECK_ERR(rig_bind(vm, rig_map_null(addr, range)), -EINVAL);
		CHECK_ERR(rig_bind(vm, rig_map(bo, addr, 0, range)), -EINVAL);
		CHECK_ERR(rig_bind(vm, rig_map_user(client, addr, range)), -EINVAL);
		CHECK_EQ(vm->index.count, 1);
		CHECK(vm_mapping_next(vm, 0, &run));
		CHECK(run.start == SZ_2M && run.end == 2 * SZ_2M && run.offset == 0);
	}
	rig_vm_done(vm);
	bo_put(bo);
	device_destroy(device);
	port_unreserve(client, SZ_64K);
}

static const struct test_case cases[] = {
	TEST(test_case_01_same_range_lined_up),
	TEST(test_case_02_same_range_not_lined_up),
	TEST(test_case_03_same_start_ends_inside_lined_up),
	TEST(test_case_04_same_start_ends_inside_not_lined_up),
	TEST(test_case_05_same_start_keeps_the_end_lined_up),
	TEST(test_case_06_same_start_keeps_the_end_not_lined_up),
	TEST(test_case_07_same_end_keeps_the_start_lined_up),
	TEST(test_case_08_same_end_keeps_the_start_not_lined_up),
	TEST(test_case_09_starts_before_ends_inside_lined_up),
	TEST(test_case_10_starts_before_ends_inside_not_lined_up),
	TEST(test_case_11_around_it_is_split_lined_up),
	TEST(test_case_12_around_it_is_split_not_lined_up),
	TEST(test_case_13_starts_inside_same_end_lined_up),
	TEST(test_case_14_starts_inside_same_end_not_lined_up),
	TEST(test_case_15_inside_goes_lined_up),
	TEST(test_case_16_inside_goes_not_lined_up),
	TEST(test_case_17_starts_inside_keeps_the_end_lined_up),
	TEST(test_case_18_starts_inside_keeps_the_end_not_lined_up),
	TEST(test_case_19_no_overlap),
	TEST(test_case_20_spans_several),
	TEST(test_case_21_no_object),
	TEST(test_unmap_same_range),
	TEST(test_unmap_same_start_ends_inside),
	TEST(test_unmap_same_start_keeps_the_end),
	TEST(test_unmap_same_end_keeps_the_start),
	TEST(test_unmap_starts_before_ends_inside),
	TEST(test_unmap_around_it_is_split),
	TEST(test_unmap_starts_inside_same_end),
	TEST(test_unmap_inside_goes),
	TEST(test_unmap_starts_inside_keeps_the_end),
	TEST(test_unmap_no_overlap),
	TEST(test_unmap_spans_several),
	TEST(test_unmap_of_nothing),
	TEST(test_aliases_of_one_object),
	TEST(test_bad_ranges_are_refused),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
