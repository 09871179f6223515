// SPDX-License-Identifier: MIT
#include "soak.h"

#include <stdio.h>

atomic_ullong binds, execs, accesses, moves, no_space, failures;

static void count_move(struct event_reader *reader, const struct event *event)
{
	if (event->type == EVENT_BO_MOVE) {
		atomic_fetch_add(&moves, 1);
	}
}

struct device *soak_device(struct soak *s)
{
	static const enum device_schedule schedules[] = {
		SCHEDULE_NORMAL, SCHEDULE_EAGER, SCHEDULE_LAZY, SCHEDULE_ADVERSARIAL,
	};
	static const struct device_engine_desc engines[] = {
		{ GPU_CLASS_RENDER, 0 }, { GPU_CLASS_COPY, 0 },
		{ GPU_CLASS_COMPUTE, 0 }, { GPU_CLASS_COMPUTE, 1 },
	};
	const struct device_config config = {
		.mem = {
			.system_B = 16 * s->vram_B,
			.vram_B = s->vram_B,
			.vram_min_page_B = s->seed / 4 % 2 ? SZ_64K : SZ_4K,
			.vram_copies = s->seed % 5 != 0,
		},
		.engines = engines,
		.engine_count = ARRAY_LEN(engines),
		.fmt = &gpu_format_intel48,
		.graphics_ver = 20,
		.schedule = schedules[s->seed % ARRAY_LEN(schedules)],
		.tlb_rule = s->seed / 8 % 4 ? VM_TLB_AT_UNBIND : VM_TLB_AT_SUBMIT,
	};
	struct device *device;

	CHECK_OK(device_create(&config, &device));
	s->moves.read = count_move;
	event_attach(&device->events, &s->moves);
	return device;
}

uint64_t draw(struct worker *w, uint64_t below)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return (w->rng >> 11) % below;
}

bool claim(atomic_bool *claimed)
{
	return !atomic_exchange(claimed, true);
}

void unclaim(atomic_bool *claimed)
{
	atomic_store(claimed, false);
}

void try_again(struct soak *s, int ret)
{
	if (ret != -EINTR) {
		CHECK_ERR(ret, -ENOMEM);
	}
	CHECK(s->faults);
	atomic_fetch_add(&failures, 1);
}

/* ---- waiting --------------------------------------------------------------------------------- */

void release(uint32_t *hold)
{
	if (hold) {
		__atomic_store_n(hold, 0, __ATOMIC_RELEASE);
	}
}

static void print_state(struct soak *s)
{
	fprintf(stderr, "soak: seed %llu, VRAM used %llu of %llu\n", (unsigned long long)s->seed,
		(unsigned long long)s->device->mem.region[MEM_VRAM].used_B,
		(unsigned long long)s->vram_B);
	for (unsigned i = 0; i < LANES; i++) {
		const struct lane *lane = &s->lane[i];
		const struct fence *last = lane->last.fence;

		fprintf(stderr, "soak: lane %u%s%s: last fence %llu:%llu %s, %u binds pending\n", i,
			lane->space->lr ? ", long-running" : "",
			atomic_load(&lane->claimed) ? ", claimed" : "",
			last ? (unsigned long long)last->context : 0,
			last ? (unsigned long long)last->seqno : 0,
			!last || fence_is_signalled(last) ? "signalled" : "NOT SIGNALLED",
			atomic_load(&lane->space->vm->pending_count));
	}
}

void wait_for(struct soak *s, struct fence *fence, uint32_t *hold)
{
	int ret;

	release(hold);
	ret = fence_wait(fence, port_now_ns() + DEADLINE_NS, 0);
	if (ret) {
		print_state(s);
	}
	CHECK_OK(ret);
	CHECK_OK(fence_error(fence));
}

void use_drop(struct use *use)
{
	fence_put(use->fence);
	*use = (struct use){ 0 };
}

void use_set(struct use *use, struct fence *fence, uint32_t *hold)
{
	use_drop(use);
	*use = (struct use){ fence_get(fence), hold };
}

void use_wait(struct soak *s, struct use *use)
{
	if (use->fence) {
		wait_for(s, use->fence, use->hold);
		use_drop(use);
	}
}

/* ---- contents -------------------------------------------------------------------------------- */

void page_make(const struct page *page, uint64_t *words)
{
	for (unsigned i = 0; i < PAGE_SIZE / 8; i++) {
		words[i] = page->stamp;
	}
	if (page->poke) {
		memcpy((uint32_t *)words + page->at, &page->poke, sizeof(page->poke));
	}
}

void page_check(struct soak *s, const struct page *want, const void *got, const char *what)
{
	uint64_t words[PAGE_SIZE / 8], found;

	page_make(want, words);
	if (memcmp(words, got, PAGE_SIZE) == 0) {
		return;
	}
	for (unsigned i = 0; i < PAGE_SIZE / 8; i++) {
		memcpy(&found, (const uint64_t *)got + i, 8);
		if (found != words[i]) {
			print_state(s);
			test_fail(__FILE__, __LINE__,
				  "%s: 8 bytes at %u are 0x%llx, not 0x%llx", what, i * 8,
				  (unsigned long long)found, (unsigned long long)words[i]);
		}
	}
}

struct page page_new(struct worker *w, const struct object *object, uint64_t page)
{
	uint64_t version = atomic_fetch_add(&w->s->version, 1) + 1;

	return (struct page){
		.stamp = (uint64_t)object->index << 56 | page << 32 | (uint32_t)version,
		.at = (uint32_t)draw(w, PAGE_SIZE / 4),
	};
}

/* ---- objects --------------------------------------------------------------------------------- */

/* VRAM only, either, system memory only: 5 to 2 to 1. */
static uint32_t object_placement(const struct object *object)
{
	unsigned kind = object->index % 8;

	return kind < 5 ? BIT(MEM_VRAM) :
	       kind < 7 ? BIT(MEM_VRAM) | BIT(MEM_SYSTEM) : BIT(MEM_SYSTEM);
}

/* Every fourth object belongs to one VM. */
struct space *object_owner(struct soak *s, const struct object *object)
{
	return object->index % 4 == 1 ? &s->space[object->index / 4 % SPACES] : NULL;
}

static uint64_t object_vram_B(const struct object *object)
{
	return bo_wants_vram(object->bo) ? object->bo->size_B : 0;
}

void object_create(struct worker *w, struct object *object)
{
	struct soak *s = w->s;
	struct space *owner = object_owner(s, object);
	/* The others that may be in VRAM are 53; they make two and a half of it. */
	uint64_t pages = object->index < BIG ? s->slot_pages :
			 1 + draw(w, 2 * (s->vram_B / PAGE_SIZE) / 21);
	int ret;

	while ((ret = bo_create(&s->device->mem, pages * PAGE_SIZE, object_placement(object),
				&object->bo))) {
		try_again(s, ret);
	}
	if (owner) {
		object->bo->owner_vm_id = owner->vm->id;
	}
	object->pages = pages;
	memset(object->page, 0, pages * sizeof(*object->page));
}

void object_forget_uses(struct object *object)
{
	use_drop(&object->writer);
	while (object->readers) {
		use_drop(&object->reader[--object->readers]);
	}
}

void object_destroy(struct object *object)
{
	CHECK_EQ(atomic_load(&object->maps), 0);
	object_forget_uses(object);
	bo_put(object->bo);
	object->bo = NULL;
}

void do_replace(struct worker *w)
{
	struct object *object = &w->s->object[draw(w, OBJECTS)];

	if (!claim(&object->claimed)) {
		return;
	}
	if (atomic_load(&object->maps) == 0) {
		object_destroy(object);
		object_create(w, object);
	}
	unclaim(&object->claimed);
}

/* ---- binds ----------------------------------------------------------------------------------- */

uint64_t slot_addr(struct soak *s, const struct lane *lane, const struct slot *slot)
{
	uint64_t i = (uint64_t)(slot - lane->slot) * 2 + lane->index % 2;

	return SZ_1G + i * s->slot_pages * PAGE_SIZE;
}

void lane_check(struct soak *s, const struct lane *lane)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		const struct slot *slot = &lane->slot[i];
		uint64_t addr = slot_addr(s, lane, slot);
		struct vm_mapping m;
		bool there = vm_mapping_next(lane->space->vm, addr, &m) &&
			     m.start < addr + s->slot_pages * PAGE_SIZE;

		CHECK_EQ(there, slot->object != NULL);
		if (there) {
			CHECK_EQ(m.start, addr + slot->lo * PAGE_SIZE);
			CHECK_EQ(m.end, addr + slot->hi * PAGE_SIZE);
			CHECK_EQ(m.bo_id, slot->object->bo->id);
			CHECK_EQ(m.offset, (slot->first + slot->lo) * PAGE_SIZE);
			CHECK_EQ(m.readonly, slot->readonly);
		}
	}
}

unsigned space_overs(struct soak *s, struct space *space)
{
	unsigned overs = atomic_load(&space->overs);

	return atomic_load(&space->vram_B) > s->vram_B ? overs - 1 : overs;
}

bool space_was_over(struct space *space, unsigned overs)
{
	return atomic_load(&space->overs) != overs;
}

static void space_add(struct soak *s, struct space *space, uint64_t size_B)
{
	if (atomic_fetch_add(&space->vram_B, size_B) + size_B > s->vram_B) {
		atomic_fetch_add(&space->overs, 1);
	}
}

static void wait_for_ufence(struct soak *s, struct ufence *ufence)
{
	struct sync *sync = &s->device->sync;

	for (;;) {
		uint32_t seq = port_wq_prepare(&sync->ufence_wq);

		if (ufence_is_signalled(ufence)) {
			break;
		}
		CHECK_OK(port_wq_wait(&sync->ufence_wq, seq, port_now_ns() + DEADLINE_NS, 0));
	}
	ufence_put(ufence);
}

/* Behind the lane's jobs. 0 or -ENOSPC; anything else is tried until it works. */
static int lane_bind(struct worker *w, struct lane *lane, const struct bind_op *ops, unsigned n,
		     struct fence **out)
{
	struct soak *s = w->s;
	bool with_ufence = lane->space->lr && draw(w, 3) == 0;
	struct bind_args args = {
		.ops = ops, .op_count = n, .queue = draw(w, 4) ? lane->binds : NULL,
	};
	int ret;

	if (lane->space->lr) {
		use_wait(s, &lane->last); /* no dma fence may wait for it */
	} else if (lane->last.fence) {
		args.in_fences = &lane->last.fence;
		args.in_count = 1;
	}
	if (with_ufence) {
		uint64_t word = (uint64_t)(uintptr_t)(s->client + lane->index * LANE_B +
						      JOBS * JOB_B);

		while (!(args.ufence = ufence_create(&s->device->sync, word, 1))) {
			try_again(s, -ENOMEM);
		}
	}
	while ((ret = vm_bind(lane->space->vm, &args, out)) && ret != -ENOSPC) {
		try_again(s, ret);
		/* Unmapping needs no memory (A24); and a failure leaves all as it was (A23). */
		CHECK(ret == -EINTR || ops[n - 1].kind != BIND_UNMAP || args.ufence);
		lane_check(s, lane);
	}
	if (with_ufence && ret) {
		ufence_put(args.ufence);
	} else if (with_ufence) {
		wait_for_ufence(s, args.ufence);
	}
	atomic_fetch_add(&binds, 1);
	return ret;
}

/* What it mapped is not mapped any more. */
static void slot_clear(struct lane *lane, struct slot *slot)
{
	if (slot->object) {
		atomic_fetch_sub(&lane->space->vram_B, object_vram_B(slot->object));
		atomic_fetch_sub(&slot->object->maps, 1);
		fence_put(slot->bound);
	}
	*slot = (struct slot){ 0 };
}

void unmap_slot(struct worker *w, struct lane *lane, struct slot *slot)
{
	struct bind_op op = rig_unmap(slot_addr(w->s, lane, slot), w->s->slot_pages * PAGE_SIZE);
	struct fence *out;

	CHECK_OK(lane_bind(w, lane, &op, 1, &out));
	fence_put(out);
	slot_clear(lane, slot);
}

void do_unmap(struct worker *w, struct lane *lane)
{
	struct slot *slot = &lane->slot[draw(w, SLOTS)];
	uint64_t pages = slot->hi - slot->lo, cut;
	bool head = draw(w, 2);
	struct bind_op op;
	struct fence *out;

	if (!slot->object) {
		return;
	}
	if (pages < 2 || draw(w, 3)) {
		unmap_slot(w, lane, slot);
		return;
	}
	cut = 1 + draw(w, pages - 1);
	op = rig_unmap(slot_addr(w->s, lane, slot) + (head ? slot->lo : slot->hi - cut) * PAGE_SIZE,
		       cut * PAGE_SIZE);
	CHECK_OK(lane_bind(w, lane, &op, 1, &out));
	fence_put(out);
	slot->lo += head ? cut : 0;
	slot->hi -= head ? 0 : cut;
}

void do_prefetch(struct worker *w, struct lane *lane)
{
	const struct slot *slot = &lane->slot[draw(w, SLOTS)];
	struct bind_op op = {
		.kind = BIND_PREFETCH,
		.addr = slot_addr(w->s, lane, slot) + slot->lo * PAGE_SIZE,
		.range = (slot->hi - slot->lo) * PAGE_SIZE,
		.prefetch_region = draw(w, 2) ? MEM_VRAM : MEM_SYSTEM,
	};
	struct fence *out;
	int ret;

	if (!slot->object) {
		return;
	}
	ret = lane_bind(w, lane, &op, 1, &out);
	if (ret) {
		/* What the VM needs to run has all of VRAM, or others hold it. */
		CHECK_EQ(op.prefetch_region, MEM_VRAM);
		return;
	}
	fence_put(out);
}

static struct object *draw_object(struct worker *w, struct lane *lane)
{
	unsigned own = (unsigned)(lane->space - w->s->space);
	unsigned any = (unsigned)draw(w, draw(w, 10) ? OBJECTS : BIG);
	unsigned i = draw(w, 4) ? any : 4 * own + 1;
	struct space *owner = object_owner(w->s, &w->s->object[i]);

	return owner && owner != lane->space ? &w->s->object[i - 1] : &w->s->object[i];
}

/* More than VRAM holds is now and then tried on purpose. */
static bool may_map(struct worker *w, struct lane *lane, const struct object *object)
{
	return atomic_load(&lane->space->vram_B) + object_vram_B(object) <= w->s->vram_B ||
	       draw(w, 3) == 0;
}

static void map_object(struct worker *w, struct lane *lane, struct slot *slot,
		       struct object *object)
{
	struct soak *s = w->s;
	struct space *space = lane->space;
	uint64_t addr = slot_addr(s, lane, slot), first = 0, pages = object->pages, at;
	struct bind_op ops[2] = { rig_unmap(addr, s->slot_pages * PAGE_SIZE) };
	unsigned overs = space_overs(s, space);
	struct fence *out;
	int ret;

	if (draw(w, 2)) {
		first = draw(w, pages);
		pages = 1 + draw(w, pages - first);
	}
	at = draw(w, s->slot_pages - pages + 1);
	ops[1] = rig_map(object->bo, addr + at * PAGE_SIZE, first * PAGE_SIZE, pages * PAGE_SIZE);
	ops[1].readonly = draw(w, 8) == 0;
	space_add(s, space, object_vram_B(object));
	ret = lane_bind(w, lane, ops, 2, &out);
	if (ret) {
		CHECK(space->lr && bo_wants_vram(object->bo) && space_was_over(space, overs));
		atomic_fetch_add(&no_space, 1);
		atomic_fetch_sub(&space->vram_B, object_vram_B(object));
		lane_check(s, lane);
		return;
	}
	slot_clear(lane, slot);
	atomic_fetch_add(&object->maps, 1);
	*slot = (struct slot){
		.object = object, .first = first - at, .lo = at, .hi = at + pages,
		.readonly = ops[1].readonly, .bound = out,
	};
}

void do_map(struct worker *w, struct lane *lane)
{
	struct object *object = draw_object(w, lane);

	if (claim(&object->claimed)) {
		if (may_map(w, lane, object)) {
			map_object(w, lane, &lane->slot[draw(w, SLOTS)], object);
		}
		unclaim(&object->claimed);
	}
}
