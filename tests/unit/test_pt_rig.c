// SPDX-License-Identifier: MIT
/* See test_pt_rig.h. */
#include "test_pt_rig.h"

/* ---- memory --------------------------------------------------------------------------------- */

static struct extent *memory_pieces(uint64_t first, uint64_t size_B, uint64_t piece_B,
				    uint64_t step_B, unsigned *count_out)
{
	unsigned n = (unsigned)(size_B / piece_B);
	struct extent *extents = port_alloc(n * sizeof(*extents));

	CHECK(extents);
	for (unsigned i = 0; i < n; i++) {
		extents[i] = (struct extent){ .phys = first + i * step_B, .size_B = piece_B };
	}
	*count_out = n;
	return extents;
}

/* 4 MiB each: 2 MiB at once, 1 MiB in 64 KiB pages, 1 MiB in 4 KiB pages. */
static struct extent *memory_mixed(uint64_t phys, unsigned *count_out)
{
	struct extent *extents = port_alloc(4 * (1 + 16 + 256) * sizeof(*extents));
	unsigned n = 0;

	CHECK(extents);
	for (unsigned round = 0; round < 4; round++) {
		extents[n++] = (struct extent){ .phys = phys, .size_B = SZ_2M };
		phys += 2 * SZ_2M;
		for (unsigned i = 0; i < 16; i++, phys += 2 * SZ_64K) {
			extents[n++] = (struct extent){ .phys = phys, .size_B = SZ_64K };
		}
		for (unsigned i = 0; i < 256; i++, phys += 2 * SZ_4K) {
			extents[n++] = (struct extent){ .phys = phys, .size_B = SZ_4K };
		}
		phys = align_up(phys, SZ_2M);
	}
	*count_out = n;
	return extents;
}

static void memories_init(struct rig *rig)
{
	static const struct {
		enum rig_memory memory;
		uint64_t phys, size_B, piece_B, step_B;
	} pieces[] = {
		{ RIG_HUGE, 0x100000000, RIG_MEMORY_B, RIG_MEMORY_B, 0 },
		{ RIG_64K, 0x200000000, RIG_MEMORY_B, SZ_64K, 2 * SZ_64K },
		{ RIG_4K, 0x300000000, RIG_MEMORY_B, SZ_4K, 2 * SZ_4K },
		{ RIG_CROOKED, 0x400001000, RIG_MEMORY_B, RIG_MEMORY_B, 0 },
		{ RIG_PIECES, 0x600000000, RIG_MEMORY_B, SZ_2M / 2, SZ_2M / 2 },
		{ RIG_GIANT, 0x1000000000, RIG_GIANT_B, RIG_GIANT_B, 0 },
		{ RIG_GIANT_PIECES, 0x2000000000, RIG_GIANT_B, SZ_1G / 4, SZ_1G / 4 },
	};
	unsigned n[RIG_ALL] = { 0 };

	for (unsigned i = 0; i < ARRAY_LEN(pieces); i++) {
		enum rig_memory memory = pieces[i].memory;

		rig->extents[memory] = memory_pieces(pieces[i].phys, pieces[i].size_B,
						     pieces[i].piece_B, pieces[i].step_B,
						     &n[memory]);
	}
	rig->extents[RIG_MIXED] = memory_mixed(0x500000000, &n[RIG_MIXED]);
	rig->extents[RIG_MEMORIES] = NULL;
	for (unsigned i = 0; i < RIG_ALL; i++) {
		rig->backing[i] = (struct backing){
			.extents = rig->extents[i],
			.count = n[i],
			.device = i == RIG_MIXED,
		};
	}
}

uint64_t rig_phys(const struct rig *rig, enum rig_memory memory, uint64_t offset_B)
{
	const struct extent *e = rig->backing[memory].extents;

	while (offset_B >= e->size_B) {
		offset_B -= e->size_B;
		e++;
	}
	return e->phys + offset_B;
}

/* ---- the tree ------------------------------------------------------------------------------- */

void rig_init(struct rig *rig)
{
	struct mem_config config = { .system_B = 64 << 20 };

	rig->in_between = NULL;
	event_stream_init(&rig->events);
	CHECK_OK(mem_init(&rig->mem, &config, &rig->events, NULL));
	CHECK_OK(pt_init(&rig->pt, &rig->mem, &gpu_format_intel48));
	rig->hw = (struct gpu_vm){
		.fmt = &gpu_format_intel48,
		.root_phys = rig->pt.root->page.phys,
		.root_device = rig->pt.root->page.device,
		.asid = 1,
	};
	memories_init(rig);
}

void rig_fini(struct rig *rig)
{
	pt_check(&rig->pt);
	CHECK_EQ(rig->pt.root->live, 0);
	CHECK_EQ(rig_tables(rig), 1);
	pt_fini(&rig->pt);
	for (unsigned i = 0; i < RIG_ALL; i++) {
		port_free(rig->extents[i]);
	}
	mem_fini(&rig->mem);
	event_stream_fini(&rig->events);
}

void rig_release(struct rig *rig, struct pt_pool *pool)
{
	pt_release(&rig->pt, pool);
	CHECK(list_empty(&pool->tables) && list_empty(&pool->unlinked) && list_empty(&pool->pins));
	CHECK(list_empty(&pool->emptied));
	pt_free_dirs(&rig->pt, pool);
	CHECK(!pt_has_dirs(pool));
}

static void in_between(struct rig *rig)
{
	if (rig->in_between) {
		rig->in_between(rig);
	}
}

static int map_job(struct rig *rig, uint64_t start, uint64_t end, const struct backing *backing,
		   uint64_t offset_B, const struct gpu_pte_attrs *attrs)
{
	struct pt_pool pool;
	int ret;

	pt_pool_init(&pool);
	ret = pt_reserve_map(&rig->pt, &pool, start, end, backing, offset_B, false);
	in_between(rig);
	if (!ret) {
		port_mutex_lock(&rig->pt.lock);
		pt_write(&rig->pt, &pool, start, end, backing, offset_B, attrs);
		port_mutex_unlock(&rig->pt.lock);
	}
	in_between(rig);
	rig_release(rig, &pool);
	return ret;
}

int rig_map(struct rig *rig, uint64_t start, uint64_t end, enum rig_memory memory,
	    uint64_t offset_B, const struct gpu_pte_attrs *attrs)
{
	return map_job(rig, start, end, &rig->backing[memory], offset_B, attrs);
}

int rig_map_null(struct rig *rig, uint64_t start, uint64_t end)
{
	struct gpu_pte_attrs attrs = { .writable = true, .null = true };

	return map_job(rig, start, end, NULL, 0, &attrs);
}

int rig_clear(struct rig *rig, uint64_t start, uint64_t end)
{
	struct pt_pool pool;
	int ret;

	pt_pool_init(&pool);
	ret = pt_reserve_clear(&rig->pt, &pool, start, end, false);
	in_between(rig);
	if (!ret) {
		port_mutex_lock(&rig->pt.lock);
		pt_clear(&rig->pt, &pool, start, end);
		port_mutex_unlock(&rig->pt.lock);
	}
	in_between(rig);
	rig_release(rig, &pool);
	return ret;
}

static uint64_t canonical(uint64_t addr)
{
	return addr & BIT64(47) ? addr | ~(BIT64(48) - 1) : addr;
}

/* Makes .phys of the leaf that of @addr. */
static void into_leaf(uint64_t addr, struct gpu_pte *pte_out)
{
	uint64_t in_leaf;

	CHECK_EQ(pte_out->kind, GPU_PTE_LEAF);
	in_leaf = addr & (BIT64(pte_out->shift) - 1);
	if (pte_out->ps64) {
		/* Read as hardware may: this entry speaks for all 64 KiB. */
		pte_out->phys = align_down(pte_out->phys, SZ_64K);
		in_leaf = addr & (SZ_64K - 1);
	}
	pte_out->phys += pte_out->attrs.null ? 0 : in_leaf;
}

bool rig_walk(struct rig *rig, uint64_t addr, struct gpu_pte *pte_out)
{
	unsigned level;

	if (gpu_walk(&mem_gpu_ops, &rig->mem, &rig->hw, canonical(addr), pte_out, &level)) {
		CHECK_EQ(pte_out->kind, GPU_PTE_NONE);
		return false;
	}
	into_leaf(addr, pte_out);
	return true;
}

static unsigned slot_of(const struct gpu_pt_format *fmt, const struct pt_table *table,
			uint64_t addr)
{
	unsigned shift = table->compact ? fmt->compact_shift : fmt->level[table->level].shift;
	unsigned bits = table->compact ? fmt->compact_bits : fmt->level[table->level].bits;

	return (addr >> shift) & (BIT(bits) - 1);
}

uint64_t rig_entry(struct rig *rig, unsigned level, uint64_t addr)
{
	const struct pt_table *table = rig->pt.root;

	for (;;) {
		unsigned slot = slot_of(rig->hw.fmt, table, addr);

		if (table->level == level) {
			return table->page.host[slot];
		}
		CHECK(table->child[slot]);
		table = table->child[slot];
	}
}

/* ---- eviction ------------------------------------------------------------------------------- */

uint64_t rig_evict(struct rig *rig, uint64_t max)
{
	struct pt_eviction eviction;
	uint64_t evicted, frames_B = pt_frames_B(&rig->pt);

	CHECK_OK(pt_evict(&rig->pt, max, &eviction, &evicted));
	CHECK(evicted <= max && pt_frames_B(&rig->pt) == frames_B - evicted * SZ_4K);
	pt_evict_finish(&rig->pt, &eviction);
	pt_evict_finish(&rig->pt, &eviction);
	return evicted;
}

void rig_restore(struct rig *rig)
{
	CHECK_OK(pt_restore(&rig->pt));
}

/* The entry where the way to @addr ends, and the table it is in; is one on the way evicted? */
static bool way_to(const struct rig *rig, uint64_t addr, const struct pt_table **table_out,
		   uint64_t *entry_out)
{
	const struct pt_table *table = rig->pt.root, *next = table;
	bool evicted = false;

	for (; next; next = table->child ? table->child[slot_of(rig->hw.fmt, table, addr)] : NULL) {
		table = next;
		evicted = evicted || !table->page.slab;
	}
	*table_out = table;
	*entry_out = table->page.host[slot_of(rig->hw.fmt, table, addr)];
	return evicted;
}

bool rig_is_evicted(const struct rig *rig, uint64_t addr)
{
	const struct pt_table *table;
	uint64_t entry;

	return way_to(rig, addr, &table, &entry);
}

bool rig_translate(struct rig *rig, uint64_t addr, struct gpu_pte *pte_out)
{
	const struct pt_table *table;
	uint64_t entry;

	if (!way_to(rig, addr, &table, &entry)) {
		return rig_walk(rig, addr, pte_out);
	}
	CHECK(!rig_walk(rig, addr, pte_out));
	*pte_out = gpu_pte_decode(rig->hw.fmt, table->level, table->compact, entry);
	if (pte_out->kind == GPU_PTE_NONE) {
		CHECK_EQ(entry, 0);
		return false;
	}
	into_leaf(addr, pte_out);
	return true;
}

uint64_t rig_tables(struct rig *rig)
{
	return atomic_load(&rig->pt.tables);
}

/* ---- the model ------------------------------------------------------------------------------ */

static struct model_page *model_page(struct model *model, uint64_t addr)
{
	uint64_t i = (addr - model->base) >> PAGE_SHIFT;

	CHECK(i < MODEL_PAGES);
	return &model->page[i];
}

void model_map(struct model *model, const struct rig *rig, uint64_t start, uint64_t end,
	       enum rig_memory memory, uint64_t offset_B, const struct gpu_pte_attrs *attrs)
{
	for (uint64_t addr = start; addr < end; addr += SZ_4K, offset_B += SZ_4K) {
		struct model_page *page = model_page(model, addr);

		page->present = true;
		page->phys = rig_phys(rig, memory, offset_B);
		page->attrs = *attrs;
		page->attrs.device = rig->backing[memory].device;
	}
}

void model_map_null(struct model *model, uint64_t start, uint64_t end)
{
	for (uint64_t addr = start; addr < end; addr += SZ_4K) {
		*model_page(model, addr) = (struct model_page){
			.present = true,
			.attrs = { .writable = true, .null = true },
		};
	}
}

void model_clear(struct model *model, uint64_t start, uint64_t end)
{
	for (uint64_t addr = start; addr < end; addr += SZ_4K) {
		*model_page(model, addr) = (struct model_page){ 0 };
	}
}

void model_compare(const struct model *model, struct rig *rig, uint64_t start, uint64_t end)
{
	for (uint64_t addr = start; addr < end; addr += SZ_4K) {
		uint64_t i = (addr - model->base) >> PAGE_SHIFT;
		struct model_page none = { 0 };
		const struct model_page *want = i < MODEL_PAGES ? &model->page[i] : &none;
		struct gpu_pte pte;
		bool present = rig_translate(rig, addr, &pte);

		if (present != want->present) {
			test_fail(__FILE__, __LINE__, "0x%llx is %smapped", (long long)addr,
				  present ? "" : "not ");
		}
		if (!present) {
			continue;
		}
		if (pte.phys != want->phys) {
			test_fail(__FILE__, __LINE__, "0x%llx leads to 0x%llx, not 0x%llx",
				  (long long)addr, (long long)pte.phys, (long long)want->phys);
		}
		CHECK_EQ(pte.attrs.writable, want->attrs.writable);
		CHECK_EQ(pte.attrs.null, want->attrs.null);
		CHECK_EQ(pte.attrs.device, want->attrs.device);
		CHECK_EQ(pte.attrs.atomic, want->attrs.atomic);
		CHECK_EQ(pte.attrs.dumpable, want->attrs.dumpable);
		CHECK_EQ(pte.attrs.pat, want->attrs.pat);
	}
}

static bool same_attrs(const struct gpu_pte_attrs *a, const struct gpu_pte_attrs *b)
{
	return a->writable == b->writable && a->null == b->null && a->device == b->device &&
	       a->atomic == b->atomic && a->dumpable == b->dumpable && a->pat == b->pat;
}

/* Each page as the model has it, and as a trace finds it. */
static void compare_run(const struct model *model, struct rig *rig, const struct pt_run *run)
{
	for (uint64_t addr = run->start; addr < run->end; addr += SZ_4K) {
		uint64_t i = (addr - model->base) >> PAGE_SHIFT, shift;
		struct pt_step step[GPU_PT_MAX_LEVELS], *last;
		struct gpu_pte pte;

		CHECK(i < MODEL_PAGES && model->page[i].present);
		CHECK(same_attrs(&model->page[i].attrs, &run->attrs));
		CHECK_EQ(model->page[i].phys,
			 run->attrs.null ? 0 : run->phys + (addr - run->start));
		last = &step[pt_trace(&rig->pt, addr, step) - 1];
		pte = gpu_pte_decode(rig->pt.fmt, last->level, last->compact, last->entry);
		shift = pte.ps64 ? 16 : pte.shift;
		CHECK_EQ(pte.kind, GPU_PTE_LEAF);
		CHECK_EQ(shift, run->page_shift);
		CHECK_EQ(run->attrs.null ? 0 : pte.phys + (addr & (BIT64(pte.shift) - 1)),
			 model->page[i].phys);
	}
}

void model_compare_runs(const struct model *model, struct rig *rig)
{
	uint64_t at = model->base, run_at = 0;
	struct pt_run run, last = { 0 };

	port_mutex_lock(&rig->pt.lock);
	for (; pt_run_next(&rig->pt, run_at, &run); run_at = run.end) {
		CHECK(run.start >= at && run.start < run.end);
		for (; at < run.start; at += SZ_4K) {
			CHECK(!model->page[(at - model->base) >> PAGE_SHIFT].present);
		}
		compare_run(model, rig, &run);
		/* What could be one is one. */
		CHECK(run.start != last.end || !same_attrs(&run.attrs, &last.attrs) ||
		      run.page_shift != last.page_shift ||
		      (!run.attrs.null && run.phys != last.phys + (last.end - last.start)));
		last = run;
		at = run.end;
	}
	for (; at < model->base + (uint64_t)MODEL_PAGES * SZ_4K; at += SZ_4K) {
		CHECK(!model->page[(at - model->base) >> PAGE_SHIFT].present);
	}
	port_mutex_unlock(&rig->pt.lock);
}
