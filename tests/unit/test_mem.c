// SPDX-License-Identifier: MIT
/* Pages for tables, buffer objects, and how the GPU finds the memory behind both. */
#include "mem/mem.h"
#include "test.h"

struct rig {
	struct event_stream events;
	struct mem mem;
};

#define MEM_BOTH (BIT(MEM_SYSTEM) | BIT(MEM_VRAM))
#define IDLE_B ((uint64_t)64 * SZ_4K) /* the slab that mem_init() takes */

static const struct mem_config both = {
	.system_B = 32 << 20,
	.vram_B = 16 << 20,
	.vram_min_page_B = 65536,
};

static void begin(struct rig *rig, const struct mem_config *config)
{
	event_stream_init(&rig->events);
	CHECK_OK(mem_init(&rig->mem, config, &rig->events, NULL));
}

static void end(struct rig *rig)
{
	for (unsigned i = 0; i < rig->mem.region_count; i++) {
		region_check(&rig->mem.region[i]);
	}
	CHECK_EQ(rig->mem.spill.used_B, 0);
	CHECK_EQ(rig->mem.first_arena->windows.used_B, 0);
	mem_fini(&rig->mem);
	event_stream_fini(&rig->events);
}

static int find(struct rig *rig, uint64_t phys, bool device, struct gpu_page *page_out)
{
	return mem_gpu_ops.page(&rig->mem, phys, device, page_out);
}

/* ---- the device's memory -------------------------------------------------------------------- */

static void regions_are_as_configured(void)
{
	struct mem_config config = { .system_B = (5 << 20) + 77 };
	struct gpu_page page;
	struct rig rig;

	begin(&rig, &config);
	CHECK_EQ(rig.mem.region_count, 1);
	CHECK_EQ(rig.mem.region[MEM_SYSTEM].size_B, 5 << 20);
	CHECK_EQ(rig.mem.region[MEM_SYSTEM].used_B, IDLE_B);
	CHECK(rig.mem.first_arena->port.size_B >= SZ_1G);
	CHECK_ERR(find(&rig, 0, true, &page), -EFAULT);
	end(&rig);

	config = (struct mem_config){
		.system_B = 1 << 20,
		.vram_B = (3 << 20) + 65535,
		.vram_visible_B = 1 << 20,
		.vram_min_page_B = 65536,
	};
	begin(&rig, &config);
	CHECK_EQ(rig.mem.region_count, 2);
	CHECK_EQ(rig.mem.region[MEM_VRAM].size_B, 3 << 20);
	CHECK_EQ(rig.mem.region[MEM_VRAM].visible_B, 1 << 20);
	CHECK(rig.mem.region[MEM_VRAM].device && !rig.mem.region[MEM_SYSTEM].device);
	end(&rig);

	config.vram_visible_B = 65537;
	begin(&rig, &config);
	CHECK_EQ(rig.mem.region[MEM_VRAM].visible_B, 2 * 65536);
	end(&rig);
}

static void addresses_of_nothing(void)
{
	struct gpu_page page;
	struct rig rig;

	begin(&rig, &both);
	CHECK_ERR(find(&rig, 0, true, &page), -EFAULT);
	CHECK_ERR(find(&rig, both.vram_B, true, &page), -EFAULT);
	CHECK_ERR(find(&rig, both.system_B, false, &page), -EFAULT);
	CHECK_ERR(find(&rig, both.system_B - 1, false, &page), -EFAULT);
	CHECK_ERR(find(&rig, USERPTR_PHYS_BASE, false, &page), -EFAULT);
	CHECK_ERR(find(&rig, UINT64_MAX, false, &page), -EFAULT);
	CHECK_ERR(find(&rig, UINT64_MAX, true, &page), -EFAULT);
	end(&rig);
}

static void init_sweep_body(void *arg)
{
	struct rig rig;
	int ret;

	event_stream_init(&rig.events);
	ret = mem_init(&rig.mem, &both, &rig.events, NULL);
	if (ret) {
		CHECK(test_injected());
		CHECK_ERR(ret, -ENOMEM);
		test_injection_off();
		CHECK_OK(mem_init(&rig.mem, &both, &rig.events, NULL));
	}
	end(&rig);
}

static void every_failure_to_begin_is_undone(void)
{
	CHECK(test_sweep(PORT_FAULT_ALLOC, init_sweep_body, NULL) >= 14);
}

/* ---- pages for tables ----------------------------------------------------------------------- */

static void check_zero(const void *ptr, uint64_t size_B)
{
	const uint64_t *word = ptr;

	for (uint64_t i = 0; i < size_B / 8; i++) {
		CHECK_EQ(word[i], 0);
	}
}

static void a_page_is_aligned_zero_and_found(void)
{
	struct frame_page page;
	struct gpu_page found;
	struct rig rig;

	begin(&rig, &both);
	CHECK_OK(frame_page_alloc(&rig.mem, &page));
	CHECK(is_aligned((uintptr_t)page.host, SZ_4K) && is_aligned(page.phys, SZ_4K));
	check_zero(page.host, SZ_4K);
	CHECK_OK(find(&rig, page.phys + 4088, page.device, &found));
	CHECK_EQ(found.phys, page.phys);
	CHECK_EQ(found.size_B, SZ_4K);
	CHECK(found.host == page.host && !found.guarded);
	frame_page_free(&rig.mem, &page);
	CHECK(!page.host && atomic_load(found.gen_cell) != found.gen);
	frame_page_free(&rig.mem, &page);
	end(&rig);
}

static void pages_come_back_zeroed(void)
{
	struct frame_page page[200];
	struct rig rig;

	begin(&rig, &both);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < ARRAY_LEN(page); i++) {
			CHECK_OK(frame_page_alloc(&rig.mem, &page[i]));
			check_zero(page[i].host, SZ_4K);
			memset(page[i].host, 0xa5, SZ_4K);
			for (unsigned j = 0; j < i; j++) {
				CHECK(page[j].phys != page[i].phys && page[j].host != page[i].host);
			}
		}
		for (unsigned i = 0; i < ARRAY_LEN(page); i++) {
			frame_page_free(&rig.mem, &page[(i * 7 + round) % ARRAY_LEN(page)]);
		}
		CHECK_EQ(rig.mem.region[MEM_SYSTEM].used_B, IDLE_B);
	}
	end(&rig);
}

static void pages_at_random(void)
{
	static struct frame_page page[500];
	struct rig rig;

	begin(&rig, &both);
	for (unsigned i = 0; i < test_scale(20000); i++) {
		struct frame_page *p = &page[port_random() % ARRAY_LEN(page)];

		if (p->host) {
			CHECK_EQ(p->host[17], p->phys);
			frame_page_free(&rig.mem, p);
		} else {
			CHECK_OK(frame_page_alloc(&rig.mem, p));
			CHECK(p->host[17] == 0 && p->host[511] == 0);
			p->host[17] = p->phys;
		}
	}
	region_check(&rig.mem.region[MEM_SYSTEM]);
	for (unsigned i = 0; i < ARRAY_LEN(page); i++) {
		frame_page_free(&rig.mem, &page[i]);
	}
	CHECK_EQ(rig.mem.region[MEM_SYSTEM].used_B, IDLE_B);
	end(&rig);
}

static void pages_of_a_region_in_pieces(void)
{
	struct mem_config config = { .system_B = 128 * SZ_4K };
	struct extent *extents[64];
	struct frame_page page[96];
	unsigned count;
	struct rig rig;

	begin(&rig, &config);
	/* Half of what the first slab left, every other frame. */
	for (unsigned i = 0; i < 64; i++) {
		CHECK_OK(region_alloc(&rig.mem.region[MEM_SYSTEM], SZ_4K, 1, &extents[i], &count));
	}
	for (unsigned i = 0; i < 64; i += 2) {
		region_free(&rig.mem.region[MEM_SYSTEM], extents[i], 1);
	}
	for (unsigned i = 0; i < 96; i++) {
		CHECK_OK(frame_page_alloc(&rig.mem, &page[i]));
	}
	CHECK_ERR(frame_page_alloc(&rig.mem, &(struct frame_page){ 0 }), -ENOMEM);
	for (unsigned i = 0; i < 96; i++) {
		frame_page_free(&rig.mem, &page[i]);
	}
	for (unsigned i = 1; i < 64; i += 2) {
		region_free(&rig.mem.region[MEM_SYSTEM], extents[i], 1);
	}
	end(&rig);
}

static void page_sweep_body(void *arg)
{
	struct rig *rig = arg;
	struct frame_page page[66];
	unsigned n = 0;

	while (n < ARRAY_LEN(page)) {
		int ret = frame_page_alloc(&rig->mem, &page[n]);

		if (ret) {
			CHECK(test_injected());
			CHECK_ERR(ret, -ENOMEM);
			test_injection_off();
		} else {
			n++;
		}
	}
	while (n) {
		frame_page_free(&rig->mem, &page[--n]);
	}
	CHECK_EQ(rig->mem.region[MEM_SYSTEM].used_B, IDLE_B);
}

static void every_page_can_fail(void)
{
	struct rig rig;

	begin(&rig, &both);
	CHECK(test_sweep(PORT_FAULT_ALLOC, page_sweep_body, &rig) > 2 * 68);
	end(&rig);
}

static void page_thread(void *arg)
{
	struct rig *rig = arg;
	struct frame_page page[10] = { 0 };

	for (unsigned i = 0; i < 60; i++) {
		struct frame_page *p = &page[(i * 7) % ARRAY_LEN(page)];

		frame_page_free(&rig->mem, p);
		CHECK_OK(frame_page_alloc(&rig->mem, p));
		CHECK_EQ(p->host[0], 0);
		p->host[0] = 1;
	}
	for (unsigned i = 0; i < ARRAY_LEN(page); i++) {
		frame_page_free(&rig->mem, &page[i]);
	}
}

static void pages_of_threads_seed(uint64_t seed)
{
	struct port_thread *thread[9];
	struct rig rig;

	begin(&rig, &both);
	for (unsigned i = 0; i < ARRAY_LEN(thread); i++) {
		CHECK_OK(port_thread_create(&thread[i], "pages", page_thread, &rig));
	}
	for (unsigned i = 0; i < ARRAY_LEN(thread); i++) {
		port_thread_join(thread[i]);
	}
	CHECK_EQ(rig.mem.region[MEM_SYSTEM].used_B, IDLE_B);
	end(&rig);
}

static void pages_of_several_threads(void)
{
	test_seeds(pages_of_threads_seed, 1, test_scale(20));
}

/* ---- buffer objects ------------------------------------------------------------------------- */

static void bad_objects_are_refused(void)
{
	struct mem_config system_only = { .system_B = 4 << 20 };
	struct bo *bo;
	struct rig rig;

	begin(&rig, &system_only);
	CHECK_ERR(bo_create(&rig.mem, 0, BIT(MEM_SYSTEM), &bo), -EINVAL);
	CHECK_ERR(bo_create(&rig.mem, UINT64_MAX, BIT(MEM_SYSTEM), &bo), -EINVAL);
	CHECK_ERR(bo_create(&rig.mem, SZ_4K, 0, &bo), -EINVAL);
	CHECK_ERR(bo_create(&rig.mem, SZ_4K, BIT(MEM_VRAM), &bo), -EINVAL);
	CHECK_ERR(bo_create(&rig.mem, SZ_4K, BIT(7), &bo), -EINVAL);
	CHECK_ERR(bo_create(&rig.mem, SZ_1G << 9, BIT(MEM_SYSTEM), &bo), -ENOMEM);
	bo_put(NULL);
	end(&rig);
}

static void sizes_are_rounded_to_the_largest_smallest_page(void)
{
	struct bo *bo;
	struct rig rig;

	begin(&rig, &both);
	CHECK_OK(bo_create(&rig.mem, 1, BIT(MEM_SYSTEM), &bo));
	CHECK_EQ(bo->size_B, SZ_4K);
	bo_put(bo);
	CHECK_OK(bo_create(&rig.mem, 5 * SZ_4K, MEM_BOTH, &bo));
	CHECK_EQ(bo->size_B, SZ_64K);
	bo_put(bo);
	end(&rig);
}

/* Every byte that the GPU finds by the frames is where the object's window says. */
static void check_frames(struct rig *rig, const struct bo *bo)
{
	struct backing backing = place_backing(bo->place);
	uint64_t off_B = 0;

	CHECK_EQ(backing.device, bo->place->region->device);
	for (unsigned i = 0; i < backing.count; i++) {
		const struct extent *e = &backing.extents[i];

		for (uint64_t at = 0; at < e->size_B; at += SZ_4K, off_B += SZ_4K) {
			struct gpu_page page;

			CHECK_OK(find(rig, e->phys + at, backing.device, &page));
			CHECK((uint8_t *)page.host + (e->phys + at - page.phys) ==
			      (uint8_t *)bo_host(bo) + off_B);
		}
	}
	CHECK_EQ(off_B, bo->size_B);
}

static void vram_comes_before_system_memory(void)
{
	struct bo *bo[3];
	struct rig rig;

	begin(&rig, &both);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_OK(bo_create(&rig.mem, 7 << 20, MEM_BOTH, &bo[i]));
		CHECK(!bo[i]->place);
		CHECK_OK(bo_back(bo[i]));
		CHECK_OK(bo_back(bo[i]));
		CHECK_EQ(bo[i]->place->region->index, i < 2 ? MEM_VRAM : MEM_SYSTEM);
		check_frames(&rig, bo[i]);
	}
	CHECK_EQ(rig.mem.region[MEM_VRAM].used_B, 14 << 20);
	for (unsigned i = 0; i < 3; i++) {
		bo_put(bo[i]);
	}
	CHECK_EQ(rig.mem.region[MEM_VRAM].used_B, 0);
	CHECK_EQ(rig.mem.region[MEM_SYSTEM].used_B, IDLE_B);
	end(&rig);
}

static void no_region_has_room(void)
{
	struct bo *bo, *small;
	struct rig rig;

	begin(&rig, &both);
	CHECK_OK(bo_create(&rig.mem, 33 << 20, MEM_BOTH, &bo));
	CHECK_ERR(bo_back(bo), -ENOSPC);
	CHECK(!bo->place);
	bo_put(bo);
	CHECK_OK(bo_create(&rig.mem, 12 << 20, BIT(MEM_SYSTEM), &small));
	CHECK_OK(bo_back(small));
	CHECK_OK(bo_create(&rig.mem, 21 << 20, BIT(MEM_SYSTEM), &bo));
	CHECK_ERR(bo_back(bo), -ENOSPC);
	bo_put(small);
	CHECK_OK(bo_back(bo));
	bo_put(bo);
	end(&rig);
}

/* @n objects that may be in VRAM only; returns the error of the first that cannot be backed. */
static int fill_vram(struct rig *rig, struct bo **bo, unsigned n, uint64_t size_B, unsigned *count)
{
	int ret = 0;

	for (*count = 0; *count < n; (*count)++) {
		CHECK_OK(bo_create(&rig->mem, size_B, BIT(MEM_VRAM), &bo[*count]));
		ret = bo_back(bo[*count]);
		if (ret) {
			CHECK(!bo[*count]->place);
			bo_put(bo[*count]);
			break;
		}
	}
	return ret;
}

static void test_A20_objects_of_a_full_vram_are_spilled(void)
{
	struct bo *bo[32], *large;
	struct gpu_page page;
	struct rig rig;
	unsigned n;

	begin(&rig, &both);
	CHECK_ERR(fill_vram(&rig, bo, ARRAY_LEN(bo), 4 << 20, &n), -ENOSPC);
	CHECK_EQ(n, 4 + 12); /* VRAM, and as much as both regions */
	CHECK_EQ(rig.mem.region[MEM_VRAM].used_B, both.vram_B);
	CHECK_EQ(rig.mem.region[MEM_SYSTEM].used_B, IDLE_B);
	CHECK_EQ(rig.mem.spill.used_B, 48 << 20);
	region_check(&rig.mem.spill);
	for (unsigned i = 0; i < n; i++) {
		CHECK_EQ(bo[i]->place->region->device, i < 4);
		CHECK_EQ(bo[i]->place->extents[0].phys >= SPILL_PHYS_BASE, i >= 4);
		check_frames(&rig, bo[i]);
	}
	CHECK_ERR(find(&rig, SPILL_PHYS_BASE + (48 << 20), false, &page), -EFAULT);
	CHECK_ERR(find(&rig, SPILL_PHYS_BASE, true, &page), -EFAULT);
	/* One stays where it was put; what comes next takes the room that is there now. */
	bo_put(bo[0]);
	CHECK_OK(bo_back(bo[4]));
	CHECK(bo[4]->place->region == &rig.mem.spill);
	CHECK_OK(bo_create(&rig.mem, 4 << 20, BIT(MEM_VRAM), &bo[0]));
	CHECK_OK(bo_back(bo[0]));
	CHECK_EQ(bo[0]->place->region->index, MEM_VRAM);
	for (unsigned i = 0; i < n; i++) {
		bo_put(bo[i]);
	}
	/* It could not have been in VRAM, whatever was moved out. */
	CHECK_OK(bo_create(&rig.mem, 17 << 20, BIT(MEM_VRAM), &large));
	CHECK_ERR(bo_back(large), -ENOSPC);
	bo_put(large);
	end(&rig);
}

/* ---- VRAM that the CPU does not reach -------------------------------------------------------- */

static struct bo *bo_of(struct rig *rig, uint64_t size_B, uint32_t placement, bool needs_visible)
{
	struct bo *bo;

	CHECK_OK(bo_create(&rig->mem, size_B, placement, &bo));
	bo->needs_visible = needs_visible;
	return bo;
}

/* Backs it, which must put it into @region, and says whether the CPU reaches it there. */
static bool reached_in(struct bo *bo, const struct region *region)
{
	bool reaches;

	CHECK_OK(bo_back(bo));
	CHECK(bo->place->region == region);
	CHECK_OK(bo_cpu_reaches(bo, &reaches));
	return reaches;
}

static const struct mem_config four_of_16 = {
	.system_B = 32 << 20,
	.vram_B = 16 << 20,
	.vram_visible_B = 4 << 20,
	.vram_min_page_B = 65536,
};

static void what_needs_to_be_visible_is(void)
{
	const struct region *vram;
	struct bo *bo[7];
	struct rig rig;

	begin(&rig, &four_of_16);
	vram = &rig.mem.region[MEM_VRAM];
	bo[0] = bo_of(&rig, 3 << 20, BIT(MEM_VRAM), false);
	CHECK(!reached_in(bo[0], vram));
	CHECK_EQ(vram->visible_used_B, 0);
	bo[1] = bo_of(&rig, 3 << 20, BIT(MEM_VRAM), true);
	CHECK(reached_in(bo[1], vram));
	CHECK_EQ(vram->visible_used_B, 3 << 20);
	/* Full for them, though not for others: system memory, where that is allowed. */
	bo[2] = bo_of(&rig, 2 << 20, MEM_BOTH, true);
	CHECK(reached_in(bo[2], &rig.mem.region[MEM_SYSTEM]));
	bo[3] = bo_of(&rig, 2 << 20, BIT(MEM_VRAM), true);
	CHECK(reached_in(bo[3], &rig.mem.spill));
	/* It could not have been there. */
	bo[4] = bo_of(&rig, 5 << 20, BIT(MEM_VRAM), true);
	CHECK_ERR(bo_back(bo[4]), -ENOSPC);
	/* Whole or not at all: nine hidden MiB are left, and one visible. */
	bo[5] = bo_of(&rig, 10 << 20, MEM_BOTH, false);
	CHECK(!reached_in(bo[5], vram));
	CHECK_EQ(vram->visible_used_B, 4 << 20);
	bo[6] = bo_of(&rig, 1 << 20, BIT(MEM_SYSTEM), false);
	CHECK(reached_in(bo[6], &rig.mem.region[MEM_SYSTEM]));
	for (unsigned i = 0; i < ARRAY_LEN(bo); i++) {
		if (bo[i]->place) {
			check_frames(&rig, bo[i]); /* the GPU reaches all */
		}
		bo_put(bo[i]);
	}
	CHECK_EQ(vram->visible_used_B, 0);
	end(&rig);
}

/* Asked where something is hidden, an object gets its frames; else nothing is decided. */
static void the_answer_stays_true(void)
{
	struct bo *bo, *large;
	struct rig rig;
	bool reaches;

	begin(&rig, &four_of_16);
	bo = bo_of(&rig, 2 << 20, BIT(MEM_VRAM), false);
	CHECK_OK(bo_cpu_reaches(bo, &reaches));
	CHECK(!reaches && bo->place->region == &rig.mem.region[MEM_VRAM]);
	bo_put(bo);
	large = bo_of(&rig, 5 << 20, BIT(MEM_VRAM), true);
	CHECK_ERR(bo_cpu_reaches(large, &reaches), -ENOSPC);
	bo_put(large);
	end(&rig);

	begin(&rig, &both);
	bo = bo_of(&rig, 2 << 20, BIT(MEM_VRAM), false);
	CHECK_OK(bo_cpu_reaches(bo, &reaches));
	CHECK(reaches && !bo->place);
	bo_put(bo);
	end(&rig);
}

static void test_A22_what_the_host_cannot_hold_is_refused(void)
{
	uint64_t host_B = align_up(port_host_memory_B(), SZ_1G);
	struct mem_config config = { .system_B = SZ_64K * 16, .vram_B = 2 * host_B };
	struct bo *bo, *small;
	struct rig rig;

	begin(&rig, &config);
	CHECK_OK(bo_create(&rig.mem, 2 * host_B, BIT(MEM_VRAM), &bo));
	CHECK_ERR(bo_back(bo), -ENOMEM);
	CHECK(!bo->place);
	CHECK_EQ(rig.mem.region[MEM_VRAM].used_B, 0);
	CHECK_OK(bo_create(&rig.mem, SZ_2M, BIT(MEM_VRAM), &small));
	CHECK_OK(bo_back(small));
	bo_put(small);
	bo_put(bo);
	/* Something is kept for others. What a real host has moves meanwhile. */
	for (uint64_t sixteenths = 13; sixteenths < 17 && test_is_sim(); sixteenths++) {
		CHECK_OK(bo_create(&rig.mem, host_B / 16 * sixteenths, BIT(MEM_VRAM), &bo));
		CHECK_ERR(bo_back(bo), sixteenths <= 14 ? 0 : -ENOMEM);
		bo_put(bo);
	}
	end(&rig);
}

static void recycled_windows_read_as_zero(void)
{
	struct bo *bo;
	struct rig rig;
	uint64_t off;

	begin(&rig, &both);
	CHECK_OK(bo_create(&rig.mem, 3 * SZ_64K, MEM_BOTH, &bo));
	off = bo->arena_off;
	for (unsigned i = 0; i < 5; i++) {
		CHECK_OK(bo_back(bo));
		CHECK_EQ(bo->arena_off, off);
		check_zero(bo_host(bo), bo->size_B);
		memset(bo_host(bo), 0x5a, bo->size_B);
		bo_put(bo);
		CHECK_OK(bo_create(&rig.mem, 3 * SZ_64K, MEM_BOTH, &bo));
	}
	bo_put(bo);
	end(&rig);
}

static void what_was_kept_of_a_freed_object_is_stale(void)
{
	struct gpu_page page;
	struct bo *bo;
	struct rig rig;
	uint64_t phys;

	begin(&rig, &both);
	CHECK_OK(bo_create(&rig.mem, SZ_2M, BIT(MEM_VRAM), &bo));
	CHECK_OK(bo_back(bo));
	phys = bo->place->extents[0].phys;
	CHECK_OK(find(&rig, phys + SZ_64K, true, &page));
	CHECK_EQ(page.size_B, SZ_2M);
	CHECK_EQ(atomic_load(page.gen_cell), page.gen);
	bo_get(bo);
	bo_put(bo);
	CHECK_EQ(atomic_load(page.gen_cell), page.gen);
	bo_put(bo);
	CHECK(atomic_load(page.gen_cell) != page.gen);
	CHECK_ERR(find(&rig, phys, true, &page), -EFAULT);
	end(&rig);
}

static void large_objects_have_one_window(void)
{
	struct mem_config config = { .system_B = 3 * SZ_1G };
	struct bo *bo;
	struct rig rig;

	begin(&rig, &config);
	CHECK_OK(bo_create(&rig.mem, 2 * SZ_1G + SZ_4K, BIT(MEM_SYSTEM), &bo));
	CHECK_EQ(bo->window_B, 4 * SZ_1G);
	CHECK_OK(bo_back(bo));
	CHECK(bo->place->count <= 8);
	((uint8_t *)bo_host(bo))[2 * SZ_1G] = 1;
	bo_put(bo);
	end(&rig);
}

struct log {
	struct event_reader reader;
	struct event event[8];
	unsigned count;
};

static void log_read(struct event_reader *self, const struct event *event)
{
	struct log *log = container_of(self, struct log, reader);

	CHECK(log->count < ARRAY_LEN(log->event));
	log->event[log->count++] = *event;
}

static void objects_are_seen_in_the_event_stream(void)
{
	struct log log = { .reader.read = log_read };
	struct bo *bo, *other;
	struct rig rig;

	begin(&rig, &both);
	event_attach(&rig.events, &log.reader);
	CHECK_OK(bo_create(&rig.mem, SZ_64K, MEM_BOTH, &bo));
	CHECK_OK(bo_create(&rig.mem, SZ_64K, BIT(MEM_SYSTEM), &other));
	CHECK(bo->id != 0 && other->id != bo->id);
	CHECK_OK(bo_back(bo));
	bo_put(bo);
	bo_put(other);
	event_detach(&rig.events, &log.reader);
	CHECK_EQ(log.count, 5);
	CHECK_EQ(log.event[0].type, EVENT_BO_CREATE);
	CHECK_EQ(log.event[0].arg[1], SZ_64K);
	CHECK_EQ(log.event[0].arg[2], MEM_BOTH);
	CHECK_EQ(log.event[2].type, EVENT_BO_BACK);
	CHECK_EQ(log.event[2].arg[1], MEM_VRAM);
	CHECK_EQ(log.event[2].arg[2], 1);
	CHECK_EQ(log.event[3].type, EVENT_BO_FREE);
	CHECK_EQ(log.event[3].arg[0], log.event[0].arg[0]);
	end(&rig);
}

static void bo_sweep_body(void *arg)
{
	struct rig *rig = arg;
	struct bo *bo;
	int ret;

	ret = bo_create(&rig->mem, SZ_2M + SZ_64K, MEM_BOTH, &bo);
	if (ret) {
		CHECK(test_injected());
		CHECK_ERR(ret, -ENOMEM);
		test_injection_off();
		CHECK_OK(bo_create(&rig->mem, SZ_2M + SZ_64K, MEM_BOTH, &bo));
	}
	ret = bo_back(bo);
	if (ret) {
		CHECK(test_injected());
		CHECK_ERR(ret, -ENOMEM);
		CHECK(!bo->place);
		test_injection_off();
		CHECK_OK(bo_back(bo));
	}
	check_frames(rig, bo);
	bo_put(bo);
	CHECK_EQ(rig->mem.region[MEM_VRAM].used_B, 0);
	CHECK_EQ(rig->mem.first_arena->windows.used_B, 0);
}

static void every_object_can_fail(void)
{
	struct rig rig;

	begin(&rig, &both);
	CHECK(test_sweep(PORT_FAULT_ALLOC, bo_sweep_body, &rig) >= 10);
	end(&rig);
}

static void bo_thread(void *arg)
{
	struct rig *rig = arg;

	for (unsigned i = 0; i < 12; i++) {
		struct bo *bo;

		CHECK_OK(bo_create(&rig->mem, (i % 5 + 1) * SZ_64K, MEM_BOTH, &bo));
		CHECK_OK(bo_back(bo));
		check_frames(rig, bo);
		CHECK_EQ(*(uint64_t *)bo_host(bo), 0);
		*(uint64_t *)bo_host(bo) = 1;
		bo_put(bo);
	}
}

static void objects_of_threads_seed(uint64_t seed)
{
	struct port_thread *thread[4];
	struct rig rig;

	begin(&rig, &both);
	for (unsigned i = 0; i < ARRAY_LEN(thread); i++) {
		CHECK_OK(port_thread_create(&thread[i], "objects", bo_thread, &rig));
	}
	for (unsigned i = 0; i < ARRAY_LEN(thread); i++) {
		port_thread_join(thread[i]);
	}
	CHECK_EQ(rig.mem.region[MEM_VRAM].used_B, 0);
	end(&rig);
}

static void objects_of_several_threads(void)
{
	test_seeds(objects_of_threads_seed, 1, test_scale(20));
}

static const struct test_case cases[] = {
	TEST(regions_are_as_configured),
	TEST(addresses_of_nothing),
	TEST(every_failure_to_begin_is_undone),
	TEST(a_page_is_aligned_zero_and_found),
	TEST(pages_come_back_zeroed),
	TEST(pages_at_random),
	TEST(pages_of_a_region_in_pieces),
	TEST(every_page_can_fail),
	TEST(pages_of_several_threads),
	TEST(bad_objects_are_refused),
	TEST(sizes_are_rounded_to_the_largest_smallest_page),
	TEST(vram_comes_before_system_memory),
	TEST(no_region_has_room),
	TEST(test_A20_objects_of_a_full_vram_are_spilled),
	TEST(what_needs_to_be_visible_is),
	TEST(the_answer_stays_true),
	TEST(test_A22_what_the_host_cannot_hold_is_refused),
	TEST(recycled_windows_read_as_zero),
	TEST(what_was_kept_of_a_freed_object_is_stale),
	TEST(large_objects_have_one_window),
	TEST(objects_are_seen_in_the_event_stream),
	TEST(every_object_can_fail),
	TEST(objects_of_several_threads),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
