// SPDX-License-Identifier: MIT
/*
 * The large model: 10^7 random steps around a population of 10^5 mappings, of 4 KiB to 4 MiB, of
 * objects, client memory and zeroes, in 32 GiB of addresses. The oracle is an array with one word
 * per page. After every step the index, the page tables and what the GPU reads agree with it on the
 * touched range and its neighbours; every 10^5 steps, everywhere. Part of `make test-full` only.
 */
#include "rig.h"

#include <stdio.h>

#define BASE ((uint64_t)1 << 38)
#define PAGES ((uint64_t)8 << 20)
#define OBJECTS 400
#define NULL_OBJECT (OBJECTS + 1)
#define USER_OBJECT (OBJECTS + 2)
#define USER_PAGES 512
#define POPULATION 100000
#define STEPS 10000000
#define CHECK_ALL_EVERY 100000

struct page {
	uint16_t object;   /* 0: nothing, 1..OBJECTS, NULL_OBJECT, USER_OBJECT */
	uint16_t readonly;
	uint32_t page;     /* of the object or the client's memory */
};

struct model {
	struct device *device;
	struct vm *vm;
	struct bo *bo[OBJECTS];
	char *user;
	struct page *page; /* PAGES, with an empty one before and after */
	uint64_t live;     /* mappings, where what only lines up counts as one */
	uint64_t rng;
};

static uint64_t draw(struct model *m, uint64_t below)
{
	m->rng ^= m->rng << 13;
	m->rng ^= m->rng >> 7;
	m->rng ^= m->rng << 17;
	return m->rng % below;
}

/* Mostly small; a twentieth is 2 MiB or more. */
static uint64_t draw_count(struct model *m)
{
	uint64_t what = draw(m, 100);

	if (what < 75) {
		return 1 + draw(m, 16);
	}
	if (what < 95) {
		return 16 * (1 + draw(m, 16));
	}
	return draw(m, 2) ? 512 * (1 + draw(m, 2)) : 512 + draw(m, 512);
}

/* Where @count pages go; like with like, so that every kind of entry is made. */
static uint64_t draw_place(struct model *m, uint64_t count)
{
	uint64_t granule = count % 512 == 0 ? 512 : count % 16 == 0 ? 16 : 1;

	return draw(m, (PAGES - count) / granule + 1) * granule;
}

/* ---- the oracle ------------------------------------------------------------------------------ */

static bool begins(const struct page *page)
{
	const struct page *before = page - 1;

	if (!page->object) {
		return false;
	}
	return before->object != page->object || before->readonly != page->readonly ||
	       (page->object != NULL_OBJECT && before->page + 1 != page->page);
}

static uint64_t count_begins(const struct model *m, uint64_t first, uint64_t count)
{
	uint64_t n = 0;

	for (uint64_t i = first; i < first + count; i++) {
		n += begins(&m->page[i]);
	}
	return n;
}

/* @what: of the first page. */
static void note(struct model *m, uint64_t first, uint64_t count, struct page what)
{
	m->live -= count_begins(m, first, count + 1);
	for (uint64_t i = 0; i < count; i++) {
		m->page[first + i] = what;
		what.page += what.object && what.object != NULL_OBJECT;
	}
	m->live += count_begins(m, first, count + 1);
}

/* ---- the oracle against the engine ----------------------------------------------------------- */

static uint64_t stamp(const struct model *m, const struct page *want)
{
	uint64_t value;

	if (want->object == NULL_OBJECT) {
		return 0;
	}
	if (want->object == USER_OBJECT) {
		memcpy(&value, m->user + want->page * PAGE_SIZE, sizeof(value));
		return value;
	}
	return rig_stamp(m->bo[want->object - 1], want->page);
}

static void check_page(struct model *m, uint64_t i, bool load)
{
	uint64_t addr = BASE + i * PAGE_SIZE, value = 0;
	const struct page *want = &m->page[i];
	struct gpu_pte pte;
	unsigned level;

	CHECK_EQ(gpu_walk(&mem_gpu_ops, &m->device->mem, &m->vm->hw, addr, &pte, &level),
		 want->object ? 0 : -EFAULT);
	if (load) {
		CHECK_ERR(rig_load64(m->vm, addr, &value), want->object ? 0 : -EFAULT);
	}
	if (want->object) {
		CHECK_EQ(pte.attrs.null, want->object == NULL_OBJECT);
		CHECK_EQ(pte.attrs.writable, !want->readonly);
		CHECK(!load || value == stamp(m, want));
	}
}

static void check_run(struct model *m, const struct vm_mapping *run, uint64_t first, uint64_t count)
{
	uint64_t start = (run->start - BASE) / PAGE_SIZE;
	uint64_t offset = run->offset;

	if (run->userptr) {
		offset -= (uint64_t)(uintptr_t)m->user;
	}
	offset /= PAGE_SIZE;
	for (uint64_t i = first; i < first + count; i++) {
		const struct page *want = &m->page[i];

		CHECK(want->object);
		CHECK_EQ(run->null, want->object == NULL_OBJECT);
		CHECK_EQ(run->userptr, want->object == USER_OBJECT);
		CHECK_EQ(run->readonly, want->readonly);
		if (!run->null) {
			CHECK_EQ(offset + (i - start), want->page);
		}
		if (!run->null && !run->userptr) {
			CHECK_EQ(run->bo_id, m->bo[want->object - 1]->id);
		}
	}
}

/* Returns the number of runs. */
static uint64_t check_index(struct model *m, uint64_t first, uint64_t count)
{
	uint64_t i = first, end = first + count, runs = 0;
	struct vm_mapping run;

	while (i < end) {
		bool any = vm_mapping_next(m->vm, BASE + i * PAGE_SIZE, &run);
		uint64_t from = any ? min_u64((run.start - BASE) / PAGE_SIZE, end) : end;
		uint64_t to = any ? min_u64((run.end - BASE) / PAGE_SIZE, end) : end;

		for (; i < from; i++) {
			CHECK_EQ(m->page[i].object, 0);
		}
		if (from < to) {
			check_run(m, &run, from, to - from);
			runs++;
			i = to;
		}
	}
	return runs;
}

static void check_range(struct model *m, uint64_t first, uint64_t count)
{
	uint64_t from = first ? first - 1 : 0, to = min_u64(first + count + 1, PAGES);

	check_index(m, from, to - from);
	for (uint64_t i = from; i < to; i++) {
		check_page(m, i, i < from + 2 || i + 2 >= to || i % 61 == 0);
	}
}

static void check_all(struct model *m)
{
	struct vm_mapping run;
	uint64_t runs = check_index(m, 0, PAGES);

	CHECK(runs >= m->live);
	CHECK(!vm_mapping_next(m->vm, BASE + PAGES * PAGE_SIZE, &run));
	CHECK(vm_mapping_next(m->vm, 0, &run) && run.start >= BASE);
	for (uint64_t i = 0; i < PAGES; i++) {
		check_page(m, i, i % 61 == 0);
	}
	vm_check(m->vm);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void step_map(struct model *m)
{
	uint64_t what = draw(m, 100), count = draw_count(m), first, limit, page;
	bool readonly = draw(m, 8) == 0;
	struct bind_op op;
	struct bo *bo;
	unsigned object;

	if (what < 5) {
		first = draw_place(m, count);
		op = rig_map_null(BASE + first * PAGE_SIZE, count * PAGE_SIZE);
		note(m, first, count, (struct page){ .object = NULL_OBJECT });
	} else if (what < 7) {
		count = min_u64(count, USER_PAGES);
		page = draw(m, USER_PAGES - count + 1);
		first = draw_place(m, count);
		op = rig_map_user(m->user + page * PAGE_SIZE, BASE + first * PAGE_SIZE,
				  count * PAGE_SIZE);
		note(m, first, count, (struct page){ USER_OBJECT, false, (uint32_t)page });
	} else {
		object = 1 + (unsigned)draw(m, OBJECTS);
		bo = m->bo[object - 1];
		limit = bo->size_B / PAGE_SIZE;
		count = min_u64(count, limit);
		first = draw_place(m, count);
		page = draw(m, 2) ? draw(m, limit - count + 1) : 0;
		op = rig_map(bo, BASE + first * PAGE_SIZE, page * PAGE_SIZE, count * PAGE_SIZE);
		op.readonly = readonly;
		note(m, first, count,
		     (struct page){ (uint16_t)object, readonly, (uint32_t)page });
	}
	CHECK_OK(rig_bind(m->vm, op));
	check_range(m, first, count);
}

static void step_unmap(struct model *m)
{
	uint64_t count = draw_count(m), first = draw_place(m, count);

	/* Now and then without memory: by holes, and entries that are given up until later. */
	if (draw(m, 16) == 0) {
		port_fault_set(PORT_FAULT_ALLOC, 1 + draw(m, 6), true);
	}
	CHECK_OK(rig_bind(m->vm, rig_unmap(BASE + first * PAGE_SIZE, count * PAGE_SIZE)));
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	CHECK_OK(vm_rebind(m->vm, false));
	note(m, first, count, (struct page){ 0 });
	check_range(m, first, count);
}

static void step_unmap_object(struct model *m)
{
	unsigned object = 1 + (unsigned)draw(m, OBJECTS);

	CHECK_OK(rig_bind(m->vm, rig_unmap_bo(m->bo[object - 1])));
	for (uint64_t i = 0; i < PAGES; i++) {
		if (m->page[i].object == object) {
			note(m, i, 1, (struct page){ 0 });
			check_page(m, i, true);
		}
	}
	check_index(m, 0, PAGES);
}

/* More maps while there are too few mappings, more unmaps while there are too many. */
static void step(struct model *m)
{
	uint64_t what = draw(m, 20000);

	if (what == 0) {
		step_unmap_object(m);
	} else if (what % 4 ? m->live < POPULATION : m->live >= POPULATION) {
		step_map(m);
	} else {
		step_unmap(m);
	}
}

static void model_init(struct model *m)
{
	const struct mem_config mem = {
		.system_B = SZ_1G, .vram_B = SZ_1G, .vram_min_page_B = SZ_64K,
	};

	memset(m, 0, sizeof(*m));
	m->rng = 0x9e3779b97f4a7c15u;
	m->device = rig_device_sized(&mem);
	m->vm = rig_vm(m->device, 0);
	m->page = port_reserve((PAGES + 2) * sizeof(*m->page));
	CHECK(m->page);
	m->page++;
	m->user = port_reserve(USER_PAGES * PAGE_SIZE);
	CHECK(m->user);
	for (uint64_t i = 0; i < USER_PAGES; i++) {
		uint64_t value = 0x5e000000 + i;

		memcpy(m->user + i * PAGE_SIZE, &value, sizeof(value));
	}
	for (unsigned i = 0; i < OBJECTS; i++) {
		m->bo[i] = rig_bo(m->device, draw_count(m) * PAGE_SIZE,
				  i % 2 ? MEM_SYSTEM : MEM_VRAM);
	}
}

static void model_fini(struct model *m)
{
	CHECK_OK(rig_bind(m->vm, rig_unmap(0, (uint64_t)1 << 48)));
	CHECK_EQ(m->vm->index.count, 0);
	CHECK_EQ(m->vm->pt.tables, 1);
	rig_vm_done(m->vm);
	for (unsigned i = 0; i < OBJECTS; i++) {
		bo_put(m->bo[i]);
	}
	device_destroy(m->device);
	port_unreserve(m->page - 1, (PAGES + 2) * sizeof(*m->page));
	port_unreserve(m->user, USER_PAGES * PAGE_SIZE);
}

static void test_model_10000000_steps_at_100000_mappings(void)
{
	static struct model model;
	struct model *m = &model;
	uint64_t steps = test_scale(STEPS), least = UINT64_MAX;

	model_init(m);
	while (m->live < POPULATION) {
		step_map(m);
	}
	check_all(m);
	for (uint64_t i = 1; i <= steps; i++) {
		step(m);
		least = min_u64(least, m->live);
		if (i % CHECK_ALL_EVERY == 0) {
			check_all(m);
		}
	}
	CHECK(least > POPULATION * 9 / 10);
	printf("# %llu steps, at least %llu mappings at any time\n", (unsigned long long)steps,
	       (unsigned long long)least);
	model_fini(m);
}

static const struct test_case cases[] = {
	TEST(test_model_10000000_steps_at_100000_mappings),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
