// SPDX-License-Identifier: MIT
/*
 * A soak: eight threads, sixteen VMs, objects of four times the VRAM; they map, unmap, submit and
 * look, at random, and every byte has one right value.
 *
 * A VM has two lanes, each with its own part of the address space and its own queues. A thread
 * claims a lane for one step, so two can be in one VM. Each object has a shadow: what every page
 * holds once all that was submitted has run. Who changes or reads an object claims it, submits
 * behind the fences that say so, and leaves its own; that gives the shadow its order. Claims are
 * tried, never waited for. Pages are compared where a job has copied them to (memory of the client,
 * which no eviction moves), or are read as the device's owner does.
 *
 * VMBIND_SOAK_SECONDS: how long with real threads. VMBIND_SOAK_SEEDS: how many seeds in the
 * simulator, VMBIND_SOAK_FIRST: the first one. VMBIND_SIM_SEED: just this one, in both.
 */
#include "soak.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 8
#define CLIENT_B (LANES * LANE_B + SZ_2M)
#define COMMANDS 5
#define SIM_STEPS 300    /* of each thread */
#define WINDOW ((uint64_t)1 << 41) /* one object at the end */
#define BATCH_B 256     /* in the job's first page, behind what the CPU and the GPU exchange */

/* ---- jobs ------------------------------------------------------------------------------------ */

/* Its fence signals, its user fence is written, what it has copied is right. */
static void job_finish(struct soak *s, struct job *job)
{
	uint64_t value;

	if (!job->fence) {
		return;
	}
	wait_for(s, job->fence, &job->mem[0]);
	memcpy(&value, &job->mem[2], sizeof(value));
	CHECK_EQ(value, job->has_ufence);
	for (unsigned i = 0; i < job->reads; i++) {
		page_check(s, &job->want[i], (uint8_t *)job->mem + (1 + i) * PAGE_SIZE, "a copy");
	}
	fence_put(job->fence);
	job->fence = NULL;
}

struct command {
	enum { FILL, COPY, POKE, READ } kind;
	struct object *dst, *src;
	uint64_t dst_page, src_page, n;
	struct page page;
};

struct plan {
	struct worker *w;
	struct lane *lane;
	struct job *job;
	struct slot *slot[3];
	unsigned slots, commands, reads;
	struct command command[COMMANDS + READS];
	uint32_t *cs;
};

static void emit(struct plan *p, const uint32_t *dw, unsigned n)
{
	memcpy(p->cs, dw, n * sizeof(*dw));
	p->cs += n;
	CHECK((uint8_t *)p->cs < (uint8_t *)p->job->mem + PAGE_SIZE);
}

static void emit_fill(struct plan *p, uint64_t addr, uint64_t stamp)
{
	const uint32_t dw[16] = {
		2u << 29 | 0x44u << 22 | 3u << 19 | 14, PAGE_SIZE - 1, 0, 1u << 16 | PAGE_SIZE / 8,
		(uint32_t)addr, (uint32_t)(addr >> 32), 0, (uint32_t)stamp, (uint32_t)(stamp >> 32),
		0, 0, 0, 0, 1u << 29 | 16383u << 14 | 16383,
	};

	emit(p, dw, ARRAY_LEN(dw)); /* XY_FAST_COLOR_BLT, one row of 8-byte elements */
}

static void emit_copy(struct plan *p, uint64_t dst, uint64_t src, uint64_t size_B)
{
	const uint32_t dw[10] = {
		2u << 29 | 0x5au << 22 | 8, (uint32_t)size_B - 1, 0, 0, 0, (uint32_t)src,
		(uint32_t)(src >> 32), (uint32_t)dst, (uint32_t)(dst >> 32), 3u << 25 | 3,
	};

	emit(p, dw, ARRAY_LEN(dw)); /* MEM_COPY */
}

static void emit_poke(struct plan *p, uint64_t addr, uint32_t value)
{
	const uint32_t dw[4] = { 0x20u << 23 | 2, (uint32_t)addr, (uint32_t)(addr >> 32), value };

	emit(p, dw, ARRAY_LEN(dw)); /* MI_STORE_DATA_IMM */
}

static void emit_hold(struct plan *p)
{
	const uint32_t dw[4] = {
		0x1cu << 23 | 1u << 15 | 4u << 12 | 2, 0, (uint32_t)p->job->gpu,
		(uint32_t)(p->job->gpu >> 32),
	};

	emit(p, dw, ARRAY_LEN(dw)); /* MI_SEMAPHORE_WAIT until it is 0 */
}

/* Some pages of a slot: its address, and where they are in its object. */
static uint64_t some_pages(struct plan *p, const struct slot *slot, uint64_t most, uint64_t *page,
			   uint64_t *n)
{
	uint64_t pages = slot->hi - slot->lo, at;

	*n = 1 + draw(p->w, min_u64(pages, most));
	at = slot->lo + draw(p->w, pages - *n + 1);
	*page = slot->first + at;
	return slot_addr(p->w->s, p->lane, slot) + at * PAGE_SIZE;
}

static void add_read(struct plan *p, const struct slot *slot)
{
	struct command *c = &p->command[p->commands];
	uint64_t addr = some_pages(p, slot, 1, &c->src_page, &c->n);

	if (p->reads < READS) {
		c->kind = READ;
		c->src = slot->object;
		emit_copy(p, p->job->gpu + (1 + p->reads++) * PAGE_SIZE, addr, PAGE_SIZE);
		p->commands++;
	}
}

/* The pages come from another slot; both must be as many, and not overlap. */
static bool add_copy(struct plan *p, struct command *c, const struct slot *dst, uint64_t addr)
{
	const struct slot *from = p->slot[draw(p->w, p->slots)];
	uint64_t n, src = some_pages(p, from, c->n, &c->src_page, &n);

	c->n = n;
	if (from->object == dst->object && c->src_page < c->dst_page + n &&
	    c->dst_page < c->src_page + n) {
		return false;
	}
	c->src = from->object;
	emit_copy(p, addr, src, n * PAGE_SIZE);
	return true;
}

static void add_command(struct plan *p)
{
	const struct slot *slot = p->slot[draw(p->w, p->slots)];
	struct command *c = &p->command[p->commands];
	uint64_t addr;

	*c = (struct command){ .kind = (unsigned)draw(p->w, READ + 1), .dst = slot->object };
	if (slot->readonly || c->kind == READ) {
		add_read(p, slot);
		return;
	}
	addr = some_pages(p, slot, c->kind == COPY ? 8 : 1, &c->dst_page, &c->n);
	switch (c->kind) {
	case COPY:
		if (!add_copy(p, c, slot, addr)) {
			return;
		}
		break;
	case POKE:
		c->page.at = (uint32_t)draw(p->w, PAGE_SIZE / 4);
		c->page.poke = 1 + (uint32_t)draw(p->w, UINT32_MAX);
		c->page.stamp = page_new(p->w, slot->object, c->dst_page).stamp;
		emit_fill(p, addr, c->page.stamp);
		emit_poke(p, addr + c->page.at * 4, c->page.poke);
		break;
	default:
		c->page = page_new(p->w, slot->object, c->dst_page);
		emit_fill(p, addr, c->page.stamp);
	}
	p->commands++;
}

/* The submission stands: this is what memory will hold. */
static void plan_apply(struct plan *p)
{
	p->job->reads = 0;
	for (unsigned i = 0; i < p->commands; i++) {
		const struct command *c = &p->command[i];

		switch (c->kind) {
		case READ:
			p->job->want[p->job->reads++] = c->src->page[c->src_page];
			break;
		case COPY:
			memcpy(&c->dst->page[c->dst_page], &c->src->page[c->src_page],
			       c->n * sizeof(c->page));
			break;
		default:
			c->dst->page[c->dst_page] = c->page;
		}
	}
}

static bool plan_writes(const struct plan *p, const struct object *object)
{
	for (unsigned i = 0; i < p->commands; i++) {
		if (p->command[i].kind != READ && p->command[i].dst == object) {
			return true;
		}
	}
	return false;
}

/* Long-running work is waited for here, unless the job itself is long-running. */
static void add_dep(struct plan *p, struct use *use, struct fence **deps, unsigned *n)
{
	struct fence *fence = use->fence;

	if (!fence || fence_is_signalled(fence)) {
		return;
	}
	release(use->hold);
	if (fence->kind == FENCE_LR && !p->lane->space->lr) {
		wait_for(p->w->s, fence, use->hold);
		return;
	}
	deps[(*n)++] = fence;
}

static unsigned plan_deps(struct plan *p, struct fence **deps)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->slots; i++) {
		struct object *object = p->slot[i]->object;
		struct use bound = { p->slot[i]->bound, NULL };

		add_dep(p, &bound, deps, &n);
		add_dep(p, &object->writer, deps, &n);
		for (unsigned k = 0; plan_writes(p, object) && k < object->readers; k++) {
			add_dep(p, &object->reader[k], deps, &n);
		}
	}
	return n;
}

static void leave_fence(struct plan *p, struct object *object, struct fence *fence, uint32_t *hold)
{
	if (plan_writes(p, object)) {
		object_forget_uses(object);
		use_set(&object->writer, fence, hold);
		return;
	}
	for (unsigned i = object->readers; i-- > 0;) {
		if (fence_is_signalled(object->reader[i].fence)) {
			use_drop(&object->reader[i]);
			object->reader[i] = object->reader[--object->readers];
			object->reader[object->readers] = (struct use){ 0 };
		}
	}
	if (object->readers == READERS) {
		use_wait(p->w->s, &object->reader[--object->readers]);
	}
	use_set(&object->reader[object->readers++], fence, hold);
}

static int plan_submit(struct plan *p)
{
	struct fence *deps[ARRAY_LEN(p->slot) * (2 + READERS)];
	struct job *job = p->job;
	uint32_t *hold = __atomic_load_n(&job->mem[0], __ATOMIC_RELAXED) ? &job->mem[0] : NULL;
	uint64_t batch = job->gpu + BATCH_B;
	struct exec_args args = {
		.batches = &batch, .in_fences = deps, .in_count = plan_deps(p, deps),
		.has_ufence = job->has_ufence, .ufence_addr = job->gpu + 8, .ufence_value = 1,
	};
	struct fence *out;
	int ret;

	release(p->lane->last.hold); /* or it would hold back this one too */
	while ((ret = exec_submit(p->lane->queue, &args, &out))) {
		if (ret == -ENOSPC) {
			return ret;
		}
		try_again(p->w->s, ret);
	}
	plan_apply(p);
	for (unsigned i = 0; i < p->slots; i++) {
		leave_fence(p, p->slot[i]->object, out, hold);
	}
	use_set(&p->lane->last, out, hold);
	job->fence = out;
	return 0;
}

/* VRAM does not hold all that the VM maps. */
static void make_room(struct worker *w, struct lane *lane)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *slot = &lane->slot[i];

		if (slot->object && bo_wants_vram(slot->object->bo)) {
			unmap_slot(w, lane, slot);
			return;
		}
	}
}

static void run_plan(struct plan *p)
{
	const uint32_t end = 0x0au << 23; /* MI_BATCH_BUFFER_END */
	unsigned commands = 1 + (unsigned)draw(p->w, COMMANDS);
	unsigned overs = space_overs(p->w->s, p->lane->space);

	p->job->has_ufence = p->lane->space->lr && draw(p->w, 2);
	/* The first dword is 0, and others may release the job even now. */
	memset(&p->job->mem[1], 0, PAGE_SIZE - 4);
	p->cs = p->job->mem + BATCH_B / 4;
	if (p->lane->space->lr && draw(p->w, 2)) {
		__atomic_store_n(&p->job->mem[0], 1, __ATOMIC_RELAXED);
		emit_hold(p);
	}
	for (unsigned i = 0; i < commands; i++) {
		add_command(p);
	}
	add_read(p, p->slot[0]);
	emit(p, &end, 1);
	if (plan_submit(p)) {
		CHECK(!p->lane->space->lr && space_was_over(p->lane->space, overs));
		atomic_fetch_add(&no_space, 1);
		make_room(p->w, p->lane);
	}
	atomic_fetch_add(&execs, 1);
}

static bool plan_has(const struct plan *p, const struct object *object)
{
	for (unsigned i = 0; i < p->slots; i++) {
		if (p->slot[i]->object == object) {
			return true;
		}
	}
	return false;
}

static void do_exec(struct worker *w, struct lane *lane)
{
	struct plan p = { .w = w, .lane = lane };
	struct object *claimed[ARRAY_LEN(p.slot)];
	unsigned first = (unsigned)draw(w, SLOTS), claims = 0;

	for (unsigned i = 0; i < SLOTS && p.slots < ARRAY_LEN(p.slot); i++) {
		struct slot *slot = &lane->slot[(first + i) % SLOTS];
		struct object *object = slot->object;

		if (object && (plan_has(&p, object) || claim(&object->claimed))) {
			if (!plan_has(&p, object)) {
				claimed[claims++] = object;
			}
			p.slot[p.slots++] = slot;
		}
	}
	if (p.slots) {
		p.job = &lane->job[lane->next_job++ % JOBS];
		job_finish(w->s, p.job);
		run_plan(&p);
	}
	while (claims) {
		unclaim(&claimed[--claims]->claimed);
	}
}

/* ---- accesses of the device's owner ---------------------------------------------------------- */

static void access_page(struct worker *w, struct lane *lane, const struct slot *slot, bool write)
{
	struct soak *s = w->s;
	struct object *object = slot->object;
	uint64_t at = slot->lo + draw(w, slot->hi - slot->lo), words[PAGE_SIZE / 8];
	struct page *page = &object->page[slot->first + at], new = { 0 };
	unsigned overs = space_overs(s, lane->space);
	struct gpu_fault fault;
	int ret;

	wait_for(s, slot->bound, NULL);
	use_wait(s, &object->writer);
	while (write && object->readers) {
		use_wait(s, &object->reader[--object->readers]);
	}
	if (write) {
		new = page_new(w, object, slot->first + at);
		page_make(&new, words);
	}
	while ((ret = device_access(s->device, lane->space->vm,
				    slot_addr(s, lane, slot) + at * PAGE_SIZE, words, PAGE_SIZE,
				    write ? GPU_WRITE : GPU_READ, &fault))) {
		if (ret == -ENOSPC) {
			CHECK(space_was_over(lane->space, overs));
			make_room(w, lane);
			return;
		}
		try_again(s, ret);
	}
	if (write) {
		*page = new;
	} else {
		page_check(s, page, words, "an access");
	}
	atomic_fetch_add(&accesses, 1);
}

static void do_access(struct worker *w, struct lane *lane)
{
	struct slot *slot = &lane->slot[draw(w, SLOTS)];
	struct object *object = slot->object;

	if (object && claim(&object->claimed)) {
		access_page(w, lane, slot, !slot->readonly && draw(w, 2));
		unclaim(&object->claimed);
	}
}

/* ---- a run ----------------------------------------------------------------------------------- */

/* Some allocation or sleep of the next ones fails, anybody's. */
static void inject(struct worker *w)
{
	enum port_fault_point point = draw(w, 4) ? PORT_FAULT_ALLOC : PORT_FAULT_SLEEP;

	if (w->s->faults && draw(w, 4) == 0) {
		port_fault_set(point, 1 + draw(w, 12), false);
	}
}

static void step(struct worker *w)
{
	struct soak *s = w->s;
	struct lane *lane = &s->lane[draw(w, LANES)];
	uint64_t what = draw(w, 100);

	if (!claim(&lane->claimed)) {
		port_relax();
		return;
	}
	inject(w);
	if (what < 50) {
		do_exec(w, lane);
	} else if (what < 76) {
		do_map(w, lane);
	} else if (what < 84) {
		do_unmap(w, lane);
	} else if (what < 90) {
		do_access(w, lane);
	} else if (what < 94) {
		do_replace(w);
	} else if (what < 96) {
		do_prefetch(w, lane);
	} else if (what < 98) {
		job_finish(s, &lane->job[draw(w, JOBS)]);
	} else {
		lane_check(s, lane);
	}
	unclaim(&lane->claimed);
}

static void work(void *arg)
{
	struct worker *w = arg;

	for (unsigned i = 0; test_is_sim() ? i < SIM_STEPS : port_now_ns() < w->s->until_ns; i++) {
		step(w);
	}
}

static void lane_init(struct soak *s, unsigned i)
{
	struct lane *lane = &s->lane[i];
	uint8_t *mem = s->client + i * LANE_B;

	lane->index = i;
	lane->space = &s->space[i / 2];
	CHECK_OK(bind_queue_create(lane->space->vm, &lane->binds));
	lane->queue = rig_queue(s->device, lane->space->vm, i / 2 % s->device->engine_count);
	CHECK_OK(rig_bind(lane->space->vm, rig_map_user(mem, CLIENT + i * LANE_B, LANE_B)));
	for (unsigned k = 0; k < JOBS; k++) {
		lane->job[k].mem = (uint32_t *)(mem + k * JOB_B);
		lane->job[k].gpu = CLIENT + i * LANE_B + k * JOB_B;
	}
}

static void soak_init(struct soak *s, struct worker *w)
{
	s->device = soak_device(s);
	s->client_memory = port_reserve(CLIENT_B);
	CHECK(s->client_memory);
	/* How it lies decides about page tables: a seed must not depend on where it is. */
	s->client = (uint8_t *)align_up((uint64_t)(uintptr_t)s->client_memory, SZ_2M);
	for (unsigned i = 0; i < SPACES; i++) {
		s->space[i].lr = i % 4 == 3;
		s->space[i].vm = rig_vm(s->device, s->space[i].lr ? VM_LR :
					i % 4 == 1 ? VM_SCRATCH : 0);
	}
	for (unsigned i = 0; i < LANES; i++) {
		lane_init(s, i);
	}
	for (unsigned i = 0; i < OBJECTS; i++) {
		s->object[i].index = i;
		s->object[i].page = port_alloc(s->slot_pages * sizeof(struct page));
		CHECK(s->object[i].page);
		object_create(w, &s->object[i]);
	}
}

/* By copies, so many pages at a time, through the memory of a job. */
static void check_by_copies(struct soak *s, struct worker *w, struct object *object,
			    struct lane *lane)
{
	for (uint64_t page = 0; page < object->pages; page += READS) {
		struct plan p = { .w = w, .lane = lane, .job = &lane->job[0] };
		const uint32_t end = 0x0au << 23;
		struct fence *fence;

		p.job->has_ufence = false;
		memset(&p.job->mem[1], 0, PAGE_SIZE - 4);
		p.cs = p.job->mem + BATCH_B / 4;
		p.job->reads = (unsigned)min_u64(READS, object->pages - page);
		emit_copy(&p, p.job->gpu + PAGE_SIZE, WINDOW + page * PAGE_SIZE,
			  p.job->reads * PAGE_SIZE);
		emit(&p, &end, 1);
		memcpy(p.job->want, &object->page[page], p.job->reads * sizeof(struct page));
		CHECK_OK(rig_exec(lane->queue, p.job->gpu + BATCH_B, NULL, &fence));
		p.job->fence = fence;
		job_finish(s, p.job);
	}
}

static void check_by_accesses(struct soak *s, struct object *object, struct vm *vm)
{
	uint64_t words[PAGE_SIZE / 8];
	struct gpu_fault fault;

	for (uint64_t page = 0; page < object->pages; page++) {
		CHECK_OK(device_access(s->device, vm, WINDOW + page * PAGE_SIZE, words, PAGE_SIZE,
				       GPU_READ, &fault));
		page_check(s, &object->page[page], words, "an access at the end");
	}
}

/* Everything, in a VM that maps nothing else. */
static void check_object(struct soak *s, struct worker *w, struct object *object)
{
	struct space *space = object_owner(s, object);
	struct lane *lane;

	if (!space) {
		space = &s->space[object->index % SPACES];
	}
	lane = &s->lane[2 * (space - s->space)];
	CHECK_OK(rig_bind(space->vm, rig_map(object->bo, WINDOW, 0, object->pages * PAGE_SIZE)));
	if (object->index % 8 < 2) {
		check_by_copies(s, w, object, lane);
	} else {
		check_by_accesses(s, object, space->vm);
	}
	CHECK_OK(rig_bind(space->vm, rig_unmap_bo(object->bo)));
}

static void lane_fini(struct soak *s, struct worker *w, struct lane *lane)
{
	for (unsigned i = 0; i < JOBS; i++) {
		job_finish(s, &lane->job[i]);
	}
	use_wait(s, &lane->last);
	lane_check(s, lane);
	for (unsigned i = 0; i < SLOTS; i++) {
		unmap_slot(w, lane, &lane->slot[i]);
	}
}

static void soak_fini(struct soak *s, struct worker *w)
{
	struct mem *mem = &s->device->mem;

	for (unsigned i = 0; i < LANES; i++) {
		lane_fini(s, w, &s->lane[i]);
	}
	for (unsigned i = 0; i < OBJECTS; i++) {
		check_object(s, w, &s->object[i]);
	}
	for (unsigned i = 0; i < LANES; i++) {
		rig_queue_done(s->lane[i].queue);
		bind_queue_put(s->lane[i].binds);
	}
	for (unsigned i = 0; i < SPACES; i++) {
		CHECK_EQ(atomic_load(&s->space[i].vram_B), 0);
		rig_vm_done(s->space[i].vm);
	}
	for (unsigned i = 0; i < OBJECTS; i++) {
		object_destroy(&s->object[i]);
		port_free(s->object[i].page);
	}
	CHECK_EQ(mem->region[MEM_VRAM].used_B, 0);
	CHECK_EQ(mem->spill.used_B, 0);
	event_detach(&s->device->events, &s->moves);
	device_destroy(s->device);
	port_unreserve(s->client_memory, CLIENT_B);
}

static uint64_t env_number(const char *name, uint64_t otherwise)
{
	const char *env = getenv(name);

	return env ? strtoull(env, NULL, 0) : otherwise;
}

static void soak(uint64_t seed)
{
	struct soak *s = port_alloc(sizeof(*s));
	struct worker worker[THREADS];
	struct port_thread *thread[THREADS];
	uint64_t seconds = env_number("VMBIND_SOAK_SECONDS", 1);

	CHECK(s);
	if (!test_is_sim()) {
		printf("# replay: VMBIND_SIM_SEED=%llu VMBIND_SOAK_SECONDS=%llu %s\n",
		       (unsigned long long)seed, (unsigned long long)seconds,
		       program_invocation_name);
		fflush(stdout);
	}
	s->seed = seed;
	s->vram_B = test_is_sim() ? SZ_2M : (uint64_t)16 << 20;
	s->slot_pages = s->vram_B / PAGE_SIZE / 8 * 3;
	for (unsigned i = 0; i < THREADS; i++) {
		worker[i] = (struct worker){ s, (seed + 1) * 0x9e3779b97f4a7c15u + i + 1 };
	}
	soak_init(s, &worker[0]);
	s->faults = seed % 3 == 2;
	s->until_ns = port_now_ns() + seconds * 1000000000;
	for (unsigned i = 0; i < THREADS; i++) {
		int ret;

		while ((ret = port_thread_create(&thread[i], "soak", work, &worker[i]))) {
			try_again(s, ret); /* the others have begun to inject failures */
		}
	}
	for (unsigned i = 0; i < THREADS; i++) {
		port_thread_join(thread[i]);
	}
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	port_fault_set(PORT_FAULT_SLEEP, 0, false);
	soak_fini(s, &worker[0]);
	port_free(s);
}

static void test_soak_with_four_times_the_vram(void)
{
	test_seeds(soak, env_number("VMBIND_SOAK_FIRST", 1),
		   env_number("VMBIND_SOAK_SEEDS", test_is_sim() ? test_scale(50) : 1));
	printf("# %llu binds, %llu submissions, %llu accesses, %llu moves, %llu without room, "
	       "%llu injected failures\n", binds, execs, accesses, moves, no_space, failures);
	CHECK(binds && execs && accesses && moves);
}

static const struct test_case cases[] = {
	TEST(test_soak_with_four_times_the_vram),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
