// SPDX-License-Identifier: MIT
/*
 * The model: random binds against an array with one entry per page. After every step the mapping
 * index, the page tables as the GPU's MMU walks them, and what the GPU reads through its TLB agree
 * with the array on the touched range and its neighbours; every 1000 steps, everywhere.
 */
#include "rig.h"
#include "vm/move.h"

#define BASE ((uint64_t)1 << 30) /* of the modelled addresses */
#define PAGES 4096               /* 16 MiB: eight leaf tables */
#define OBJECTS 6

struct page {
	uint8_t object; /* 0: nothing, 1..OBJECTS, NULL_PAGE */
	bool readonly;
	uint32_t page;  /* of the object */
};

#define NULL_PAGE 255

struct model {
	struct device *device;
	struct vm *vm;
	struct bo *bo[OBJECTS];
	struct page page[PAGES + 1]; /* one more than there is, always empty */
	uint64_t rng;
	bool moving; /* tables and objects */
};

static uint64_t draw(struct model *m, uint64_t below)
{
	m->rng ^= m->rng << 13;
	m->rng ^= m->rng >> 7;
	m->rng ^= m->rng << 17;
	return m->rng % below;
}

/* Sizes and places that hit every kind of entry: pages, 64K groups, whole leaf tables. */
static uint64_t draw_granule(struct model *m)
{
	static const uint64_t pages[] = { 1, 1, 1, 16, 16, 512 };

	return pages[draw(m, ARRAY_LEN(pages))];
}

static void draw_range(struct model *m, uint64_t limit, uint64_t *first_out, uint64_t *count_out)
{
	uint64_t granule = draw_granule(m);
	uint64_t count = granule * (1 + draw(m, granule == 512 ? 2 : 8));

	if (count > limit) {
		count = 1;
		granule = 1;
	}
	*count_out = count;
	*first_out = draw(m, (limit - count) / granule + 1) * granule;
}

static void check_page(struct model *m, uint64_t i, bool load)
{
	uint64_t addr = BASE + i * PAGE_SIZE, value = 0;
	const struct page *want = &m->page[i];
	struct gpu_pte pte;
	unsigned level;
	bool there = gpu_walk(&mem_gpu_ops, &m->device->mem, &m->vm->hw, addr, &pte, &level) == 0;

	CHECK_EQ(there, want->object != 0);
	if (!there) {
		CHECK(!load || rig_load64(m->vm, addr, &value) == -EFAULT);
		return;
	}
	CHECK_EQ(pte.attrs.null, want->object == NULL_PAGE);
	CHECK_EQ(pte.attrs.writable, !want->readonly);
	if (load) {
		CHECK_OK(rig_load64(m->vm, addr, &value));
		CHECK_EQ(value, want->object == NULL_PAGE
					? 0
					: rig_stamp(m->bo[want->object - 1], want->page));
	}
}

/* The index over [first, first + count) pages, run by run. */
static void check_index(struct model *m, uint64_t first, uint64_t count)
{
	uint64_t i = first;
	struct vm_mapping run;

	while (i < first + count) {
		bool any = vm_mapping_next(m->vm, BASE + i * PAGE_SIZE, &run);
		uint64_t from = any ? (run.start - BASE) / PAGE_SIZE : first + count;
		uint64_t to = any ? (run.end - BASE) / PAGE_SIZE : first + count;

		for (; i < from && i < first + count; i++) {
			CHECK_EQ(m->page[i].object, 0);
		}
		for (; i < to && i < first + count; i++) {
			const struct page *want = &m->page[i];

			CHECK_EQ(run.null, want->object == NULL_PAGE);
			CHECK_EQ(run.readonly, want->readonly);
			if (!run.null) {
				CHECK(want->object);
				CHECK_EQ(run.bo_id, m->bo[want->object - 1]->id);
				CHECK_EQ(run.offset / PAGE_SIZE + (i - from), want->page);
			}
		}
	}
}

/* As the next submission does. */
static void make_usable(struct model *m)
{
	if (m->moving) {
		CHECK_OK(vm_rebind(m->vm, false));
		rig_wait(vm_rebind_fence(m->vm));
	}
}

static void check_range(struct model *m, uint64_t first, uint64_t count)
{
	uint64_t from = first ? first - 1 : 0, to = min_u64(first + count + 1, PAGES);
	uint64_t stride = count > 64 ? 61 : 1; /* of loads: the walk is of every page */

	make_usable(m);
	check_index(m, from, to - from);
	for (uint64_t i = from; i < to; i++) {
		check_page(m, i, i < from + 2 || i + 2 >= to || i % stride == 0);
	}
}

static void check_all(struct model *m)
{
	make_usable(m);
	check_index(m, 0, PAGES);
	for (uint64_t i = 0; i < PAGES; i++) {
		check_page(m, i, true);
	}
	vm_check(m->vm);
}

static void step_map(struct model *m)
{
	unsigned object = 1 + (unsigned)draw(m, OBJECTS);
	struct bo *bo = m->bo[object - 1];
	uint64_t first, count, page;
	struct bind_op op;

	draw_range(m, min_u64(PAGES, bo->size_B / PAGE_SIZE), &first, &count);
	page = draw(m, 3) ? min_u64(first, bo->size_B / PAGE_SIZE - count)
			  : draw(m, bo->size_B / PAGE_SIZE - count + 1);
	first = min_u64(draw(m, PAGES / 512) * 512 + first % 512, PAGES - count);
	op = rig_map(bo, BASE + first * PAGE_SIZE, page * PAGE_SIZE, count * PAGE_SIZE);
	op.readonly = draw(m, 8) == 0;
	CHECK_OK(rig_bind(m->vm, op));
	for (uint64_t i = 0; i < count; i++) {
		m->page[first + i] = (struct page){ (uint8_t)object, op.readonly,
						    (uint32_t)(page + i) };
	}
	check_range(m, first, count);
}

static void step_null_or_unmap(struct model *m, bool null)
{
	uint64_t first, count;

	draw_range(m, PAGES, &first, &count);
	CHECK_OK(rig_bind(m->vm, null ? rig_map_null(BASE + first * PAGE_SIZE, count * PAGE_SIZE)
				      : rig_unmap(BASE + first * PAGE_SIZE, count * PAGE_SIZE)));
	for (uint64_t i = 0; i < count; i++) {
		m->page[first + i] = (struct page){ null ? NULL_PAGE : 0, false, 0 };
	}
	check_range(m, first, count);
}

/* With no memory: the same, by holes, and entries that are lost until there is memory again. */
static void step_unmap_poor(struct model *m)
{
	uint64_t first, count;

	draw_range(m, PAGES, &first, &count);
	port_fault_set(PORT_FAULT_ALLOC, 1 + draw(m, 12), true);
	CHECK_OK(rig_bind(m->vm, rig_unmap(BASE + first * PAGE_SIZE, count * PAGE_SIZE)));
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	CHECK_OK(vm_rebind(m->vm, false)); /* as the next submission does */
	for (uint64_t i = 0; i < count; i++) {
		m->page[first + i] = (struct page){ 0 };
	}
	check_range(m, first, count);
}

static void step_unmap_object(struct model *m)
{
	unsigned object = 1 + (unsigned)draw(m, OBJECTS);

	CHECK_OK(rig_bind(m->vm, (struct bind_op){ .kind = BIND_UNMAP_BO,
						   .bo = m->bo[object - 1] }));
	for (uint64_t i = 0; i < PAGES; i++) {
		if (m->page[i].object == object) {
			m->page[i] = (struct page){ 0 };
		}
	}
	check_index(m, 0, PAGES);
}

/* Some page tables are taken away, and now and then objects move. */
static void take_away(struct model *m)
{
	struct bind_op op = { .kind = BIND_PREFETCH };
	uint64_t first, count;

	port_rwlock_wrlock(&m->device->vm_env.evict_lock);
	(void)vm_evict_tables(m->vm, 1 + draw(m, 12));
	port_rwlock_wrunlock(&m->device->vm_env.evict_lock);
	if (draw(m, 4) == 0) {
		draw_range(m, PAGES, &first, &count);
		op.addr = BASE + first * PAGE_SIZE;
		op.range = count * PAGE_SIZE;
		op.prefetch_region = draw(m, 2) ? MEM_VRAM : MEM_SYSTEM;
		CHECK_OK(rig_bind(m->vm, op));
	}
}

static void step(struct model *m)
{
	uint64_t what = draw(m, 1000), page;

	if (m->moving) {
		take_away(m);
	}
	if (what < 350) {
		step_map(m);
	} else if (what < 400) {
		step_null_or_unmap(m, true);
	} else if (what < 600) {
		step_null_or_unmap(m, false);
	} else if (what < 620) {
		step_unmap_poor(m);
	} else if (what < 622) {
		step_unmap_object(m);
	} else {
		page = draw(m, PAGES);
		make_usable(m);
		check_page(m, page, true);
		check_index(m, page, 1);
	}
}

static void run_model(uint64_t seed, uint64_t steps, bool moving)
{
	static struct model model;
	struct model *m = &model;

	memset(m, 0, sizeof(*m));
	m->rng = seed * 0x9e3779b97f4a7c15u + 1;
	m->moving = moving;
	m->device = rig_device(SCHEDULE_NORMAL);
	m->vm = rig_vm(m->device, 0);
	for (unsigned i = 0; i < OBJECTS; i++) {
		static const uint64_t size_B[OBJECTS] = {
			16 * SZ_64K, SZ_64K, 3 * SZ_2M, 4 * SZ_2M, SZ_4K, 17 * SZ_4K,
		};

		m->bo[i] = rig_bo(m->device, size_B[i], i % 2 ? MEM_SYSTEM : MEM_VRAM);
		if (moving && i % 3 && is_aligned(m->bo[i]->size_B, SZ_64K)) {
			m->bo[i]->placement = BIT(MEM_SYSTEM) | BIT(MEM_VRAM);
		}
	}
	for (uint64_t i = 1; i <= steps; i++) {
		step(m);
		if (i % 1000 == 0) {
			check_all(m);
		}
	}
	CHECK_OK(rig_bind(m->vm, rig_unmap(0, (uint64_t)1 << 48)));
	CHECK_EQ(m->vm->index.count, 0);
	CHECK_EQ(m->vm->pt.tables, 1);
	rig_vm_done(m->vm);
	for (unsigned i = 0; i < OBJECTS; i++) {
		bo_put(m->bo[i]);
	}
	device_destroy(m->device);
}

static void test_model_1000000_steps(void)
{
	run_model(1, test_is_sim() ? test_scale(100000) : test_scale(1000000), false);
}

/* With page tables taken away before every step, and objects that move. */
static void test_B26_model_with_evicted_tables_and_moves(void)
{
	run_model(2, test_is_sim() ? test_scale(20000) : test_scale(200000), true);
}

static const struct test_case cases[] = {
	TEST(test_model_1000000_steps),
	TEST(test_B26_model_with_evicted_tables_and_moves),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
