// SPDX-License-Identifier: MIT
#include "scenes.h"

const struct scene_list scene_setups[] = {
	{ .name = "empty" },
	{ .name = "4k", .n = 1, .op = { OP_MAP(OBJ_SYSTEM, 0, K(4), M(4)) } },
	{ .name = "compact", .n = 1, .op = { OP_MAP(OBJ_VRAM, 0, K(64), M(4)) } },
	{ .name = "leaves", .n = 1, .op = { OP_MAP(OBJ_VRAM, 0, 0, M(4)) } },
	{ .name = "null", .n = 1, .op = { OP_NULL(0, M(6)) } },
	{ .name = "userptr", .n = 2, .op = {
		OP_CLIENT(K(4), 0, M(1)), OP_MAP(OBJ_SYSTEM, M(2), 0, M(2)),
	} },
	{ .name = "readonly", .n = 4, .op = {
		OP_MAP_RO(OBJ_VRAM, 0, 0, M(2)), OP_MAP(OBJ_SYSTEM, M(2), 0, M(1)),
		OP_MAP_RO(OBJ_SMALL, M(3), 0, M(1)), OP_MAP_RO(OBJ_SYSTEM, M(4), M(2), M(2)),
	} },
	{ .name = "many", .n = 14, .op = {
		OP_MAP(OBJ_VRAM, 0, 0, K(64)), OP_MAP(OBJ_SYSTEM, K(64), K(4), K(64)),
		OP_NULL(K(128), K(64)), OP_MAP(OBJ_SMALL, K(196), 0, K(16)),
		OP_CLIENT(K(256), 0, K(128)), OP_MAP_RO(OBJ_SMALL, K(512), K(64), K(64)),
		OP_MAP(OBJ_VRAM, M(1), 0, K(192)), OP_MAP(OBJ_SYSTEM, M(2) - K(8), 0, K(16)),
		OP_MAP(OBJ_VRAM, M(2) + K(64), M(1), M(1)), OP_NULL(M(3) + K(64), M(1)),
		OP_MAP(OBJ_SYSTEM, M(4) + K(64), 0, K(4)),
		OP_MAP(OBJ_SYSTEM, M(4) + K(68), 0, K(4)),
		OP_MAP(OBJ_SYSTEM, M(4) + K(72), 0, K(4)), OP_MAP(OBJ_SMALL, M(5), 0, M(1)),
	} },
	{ .name = "holes", .poor_from = 2, .n = 8, .op = {
		OP_MAP(OBJ_VRAM, 0, 0, M(4)), OP_NULL(M(4), M(2)), OP_UNMAP(K(64), K(64)),
		OP_UNMAP(M(1), K(4)), OP_UNMAP(M(1) + K(8), K(4)), OP_UNMAP(M(2) - K(4), K(8)),
		OP_UNMAP(M(4) + K(64), K(12)), OP_UNMAP(M(5), K(128)),
	} },
	{ .name = "evicted", .poor_from = 3, .evicted = true, .n = 7, .op = {
		OP_MAP(OBJ_VRAM, 0, 0, M(2)), OP_MAP(OBJ_VRAM, M(2), K(64), M(2)),
		OP_NULL(M(4), M(2)), OP_UNMAP(K(8), K(4)), OP_UNMAP(M(1), K(64)),
		OP_UNMAP(M(3), K(4)), OP_UNMAP(M(5) + K(4), K(4)),
	} },
};
const unsigned scene_setup_count = ARRAY_LEN(scene_setups);

static const uint64_t object_B[OBJ_COUNT] = {
	[OBJ_VRAM] = M(4) + K(64), [OBJ_SYSTEM] = M(4) + K(64), [OBJ_SMALL] = M(1),
	[OBJ_FRESH] = K(128),
};

/* ---- life ------------------------------------------------------------------------------------ */

static uint64_t client_stamp(uint64_t page)
{
	return (uint64_t)0xc11e << 32 | page;
}

void scene_nap(void)
{
	struct port_wq wq;

	port_wq_init(&wq);
	(void)port_wq_wait(&wq, port_wq_prepare(&wq), port_now_ns() + 100000, 0);
}

void scene_open(struct scene *s, enum device_schedule schedule)
{
	memset(s, 0, sizeof(*s));
	s->device = rig_device(schedule);
	for (unsigned i = OBJ_VRAM; i < OBJ_FRESH; i++) {
		s->bo[i] = rig_bo(s->device, object_B[i],
				  i == OBJ_SYSTEM ? MEM_SYSTEM : MEM_VRAM);
		CHECK_OK(bo_back(s->bo[i]));
	}
	s->batch = rig_bo(s->device, SZ_64K, MEM_SYSTEM);
	CHECK_OK(bo_back(s->batch));
	s->client = port_reserve(SCENE_CLIENT_B);
	CHECK(s->client);
	for (uint64_t page = 0; page < SCENE_CLIENT_B / SZ_4K; page++) {
		uint64_t stamp = client_stamp(page);

		memcpy(s->client + page * SZ_4K, &stamp, sizeof(stamp));
	}
	/* The first VM leaves a slab for tables behind. */
	scene_vm(s, 0);
	s->blocks = 0;
	scene_vm_done(s);
}

void scene_close(struct scene *s)
{
	for (unsigned i = OBJ_VRAM; i < OBJ_FRESH; i++) {
		bo_put(s->bo[i]);
	}
	bo_put(s->batch);
	port_unreserve(s->client, SCENE_CLIENT_B);
	device_destroy(s->device);
}

void scene_vm(struct scene *s, unsigned flags)
{
	memset(s->page, 0, sizeof(s->page));
	s->vm = rig_vm(s->device, flags);
	s->bo[OBJ_FRESH] = rig_bo(s->device, object_B[OBJ_FRESH], MEM_VRAM);
	s->queue = rig_queue(s->device, s->vm, RIG_RENDER);
	CHECK_OK(rig_bind(s->vm, rig_map(s->batch, SCENE_BATCH, 0, SZ_64K)));
}

static bool all_given_back(struct scene *s)
{
	uint64_t blocks, bytes;

	port_alloc_stats(&blocks, &bytes);
	return blocks == s->blocks && bytes == s->bytes &&
	       s->device->mem.region[MEM_SYSTEM].used_B == s->used_B[MEM_SYSTEM] &&
	       s->device->mem.region[MEM_VRAM].used_B == s->used_B[MEM_VRAM];
}

void scene_vm_done(struct scene *s)
{
	CHECK_OK(rig_bind(s->vm, rig_unmap(0, (uint64_t)1 << 48)));
	CHECK_EQ(s->vm->index.count, 0);
	/* A worker that ran a bind may still be cleaning up after it. */
	for (unsigned i = 0; i < 50000 && s->vm->pt.tables != 1; i++) {
		scene_nap();
	}
	CHECK_EQ(s->vm->pt.tables, 1);
	rig_queue_done(s->queue);
	rig_vm_done(s->vm);
	bo_put(s->bo[OBJ_FRESH]);
	if (!s->blocks) {
		port_alloc_stats(&s->blocks, &s->bytes);
		for (unsigned i = 0; i < MEM_REGIONS; i++) {
			s->used_B[i] = s->device->mem.region[i].used_B;
		}
	}
	for (unsigned i = 0; i < 50000 && !all_given_back(s); i++) {
		scene_nap();
	}
	CHECK(all_given_back(s));
}

void scene_set_up(struct scene *s, const struct scene_list *list)
{
	for (unsigned i = 0; i < list->n; i++) {
		struct bind_op op = scene_op(s, &list->op[i]);

		if (list->poor_from && i >= list->poor_from) {
			port_fault_set(PORT_FAULT_ALLOC, 1, true);
		}
		CHECK_OK(rig_bind(s->vm, op));
		port_fault_set(PORT_FAULT_ALLOC, 0, false);
		scene_apply(s, &op, 1);
	}
	CHECK_EQ(!list_empty(&s->vm->evicted), list->poor_from != 0);
	if (!list->evicted) {
		CHECK_OK(vm_rebind(s->vm, false));
	}
}

/* ---- the model ------------------------------------------------------------------------------- */

struct bind_op scene_op(const struct scene *s, const struct scene_op *op)
{
	uint64_t base = op->object == OBJ_CLIENT ? (uint64_t)(uintptr_t)s->client : 0;

	return (struct bind_op){
		.kind = op->kind,
		.addr = op->kind == BIND_UNMAP_BO ? 0 : SCENE_AREA + op->addr,
		.range = op->range,
		.bo = s->bo[op->object],
		.offset = base + op->offset,
		.null = op->object == OBJ_NULL,
		.readonly = op->readonly,
		.pat = op->pat,
	};
}

void scene_ops(const struct scene *s, const struct scene_op *from, unsigned n, struct bind_op *to)
{
	for (unsigned i = 0; i < n; i++) {
		to[i] = scene_op(s, &from[i]);
	}
}

static enum scene_object object_of(const struct scene *s, uint64_t bo_id)
{
	for (unsigned i = OBJ_VRAM; i < OBJ_COUNT; i++) {
		if (s->bo[i]->id == bo_id) {
			return i;
		}
	}
	return OBJ_NONE;
}

static void apply_map(struct scene *s, const struct bind_op *op, enum scene_object object)
{
	uint64_t first = (op->addr - SCENE_AREA) / SZ_4K, base = op->offset;

	base -= object == OBJ_CLIENT ? (uint64_t)(uintptr_t)s->client : 0;
	for (uint64_t i = 0; i < op->range / SZ_4K; i++) {
		CHECK(first + i < SCENE_PAGES);
		s->page[first + i] = (struct scene_page){
			.object = (uint8_t)object,
			.readonly = op->readonly,
			.pat = op->pat,
			.page = object <= OBJ_NULL ? 0 : (uint32_t)(base / SZ_4K + i),
		};
	}
}

void scene_apply(struct scene *s, const struct bind_op *ops, unsigned n)
{
	for (const struct bind_op *op = ops; op < ops + n; op++) {
		switch (op->kind) {
		case BIND_MAP:
			apply_map(s, op, op->null ? OBJ_NULL : object_of(s, op->bo->id));
			break;
		case BIND_MAP_USERPTR:
			apply_map(s, op, OBJ_CLIENT);
			break;
		case BIND_UNMAP:
			apply_map(s, op, OBJ_NONE);
			break;
		case BIND_UNMAP_BO:
			for (unsigned i = 0; i < SCENE_PAGES; i++) {
				if (s->page[i].object == object_of(s, op->bo->id)) {
					s->page[i] = (struct scene_page){ 0 };
				}
			}
			break;
		case BIND_PREFETCH:
			break;
		}
	}
}

static uint64_t expected(const struct scene *s, const struct scene_page *page)
{
	switch (page->object) {
	case OBJ_NULL:
		return 0;
	case OBJ_CLIENT:
		return client_stamp(page->page);
	default:
		return rig_stamp(s->bo[page->object], page->page);
	}
}

void scene_take_runs(struct scene *s, struct scene_runs *runs)
{
	struct vm_mapping run = { .end = SCENE_AREA };

	memset(runs, 0, sizeof(*runs));
	while (vm_mapping_next(s->vm, run.end, &run) && run.start < SCENE_AREA + SCENE_AREA_B) {
		struct vm_mapping *copy = &runs->run[runs->count++];

		CHECK(runs->count < ARRAY_LEN(runs->run));
		/* Field by field: padding stays zero. */
		copy->start = run.start;
		copy->end = run.end;
		copy->bo_id = run.bo_id ? object_of(s, run.bo_id) : 0;
		copy->offset = run.offset - (run.userptr ? (uint64_t)(uintptr_t)s->client : 0);
		copy->null = run.null;
		copy->userptr = run.userptr;
		copy->readonly = run.readonly;
		copy->pat = run.pat;
	}
}

void scene_check_runs(struct scene *s, const struct scene_runs *want)
{
	static struct scene_runs got;

	scene_take_runs(s, &got);
	CHECK_EQ(got.count, want->count);
	CHECK(!memcmp(&got, want, sizeof(got)));
}

static void check_index(struct scene *s)
{
	struct vm_mapping run = { .end = SCENE_AREA };
	unsigned i = 0;

	while (vm_mapping_next(s->vm, run.end, &run) && run.start < SCENE_AREA + SCENE_AREA_B) {
		unsigned from = (unsigned)((run.start - SCENE_AREA) / SZ_4K);
		uint64_t base = run.userptr ? (uint64_t)(uintptr_t)s->client : 0;

		for (; i < from; i++) {
			CHECK_EQ(s->page[i].object, OBJ_NONE);
		}
		for (; i < (run.end - SCENE_AREA) / SZ_4K; i++) {
			const struct scene_page *want = &s->page[i];

			CHECK(want->object);
			CHECK_EQ(run.null, want->object == OBJ_NULL);
			CHECK_EQ(run.userptr, want->object == OBJ_CLIENT);
			CHECK_EQ(run.bo_id, s->bo[want->object] ? s->bo[want->object]->id : 0);
			CHECK_EQ(run.readonly, want->readonly);
			CHECK_EQ(run.pat, want->pat);
			if (!run.null) {
				CHECK_EQ((run.offset - base) / SZ_4K + (i - from), want->page);
			}
		}
	}
	for (; i < SCENE_PAGES; i++) {
		CHECK_EQ(s->page[i].object, OBJ_NONE);
	}
}

/* The sums over the index are those of the model, and of the batch. */
static void check_usage(struct scene *s)
{
	struct vm_usage usage, want = { .mapped_B = SZ_64K, .bo_B = SZ_64K };
	struct vm_mapping run = { .end = 0 };
	bool seen[OBJ_COUNT] = { false };

	while (vm_mapping_next(s->vm, run.end, &run)) {
		want.mappings++;
	}
	for (unsigned i = 0; i < SCENE_PAGES; i++) {
		struct bo *bo = s->bo[s->page[i].object];

		want.mapped_B += s->page[i].object ? SZ_4K : 0;
		if (bo && !seen[s->page[i].object]) {
			want.bo_B += bo->size_B;
			want.vram_B += bo->place->region->device ? bo->size_B : 0;
			seen[s->page[i].object] = true;
		}
	}
	vm_usage(s->vm, &usage);
	CHECK_EQ(usage.mappings, want.mappings);
	CHECK_EQ(usage.evicted != 0, !list_empty(&s->vm->evicted));
	CHECK_EQ(usage.mapped_B, want.mapped_B);
	CHECK_EQ(usage.bo_B, want.bo_B);
	CHECK_EQ(usage.vram_B, want.vram_B);
	CHECK_EQ(usage.page_tables_B, pt_memory_B(&s->vm->pt));
}

static void check_translations(struct scene *s, bool may_miss)
{
	for (unsigned i = 0; i < SCENE_PAGES; i++) {
		const struct scene_page *want = &s->page[i];
		uint64_t addr = SCENE_AREA + i * SZ_4K, value;
		struct gpu_pte pte;
		unsigned level;

		if (gpu_walk(&mem_gpu_ops, &s->device->mem, &s->vm->hw, addr, &pte, &level)) {
			CHECK(may_miss || !want->object);
			CHECK_ERR(rig_load64(s->vm, addr, &value), -EFAULT);
			continue;
		}
		CHECK(want->object);
		CHECK_EQ(pte.attrs.null, want->object == OBJ_NULL);
		CHECK_EQ(pte.attrs.writable, !want->readonly);
		CHECK_EQ(pte.attrs.pat, want->pat);
		CHECK_OK(rig_load64(s->vm, addr, &value));
		CHECK_EQ(value, expected(s, want));
	}
}

void scene_check(struct scene *s)
{
	vm_check(s->vm);
	check_index(s);
	check_usage(s);
	if (!list_empty(&s->vm->evicted)) {
		check_translations(s, true);
		CHECK_OK(vm_rebind(s->vm, false));
		vm_check(s->vm);
	}
	check_translations(s, false);
}

bool scene_writable(const struct scene *s, uint64_t *addr_out)
{
	for (unsigned i = 0; i < SCENE_PAGES; i++) {
		if (s->page[i].object > OBJ_NULL && !s->page[i].readonly) {
			*addr_out = SCENE_AREA + i * SZ_4K;
			return true;
		}
	}
	return false;
}
