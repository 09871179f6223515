// SPDX-License-Identifier: MIT
/*
 * Classes of bugs that drivers with VM_BIND have had, each with a test that says what must hold
 * here. The numbers are those of the project's list of them.
 */
#include "client.h"
#include "rig.h"

#define VA_END ((uint64_t)1 << 48)
#define A SZ_1G

struct scene {
	struct device *device;
	struct vm *vm;
};

static void scene_init(struct scene *s)
{
	s->device = rig_device(SCHEDULE_NORMAL);
	s->vm = rig_vm(s->device, 0);
}

static void scene_fini(struct scene *s)
{
	rig_vm_done(s->vm);
	device_destroy(s->device);
}

/* What the GPU reads is @want; or it faults. */
static void check_loads(struct vm *vm, uint64_t addr, uint64_t want)
{
	uint64_t value = ~want;

	CHECK_OK(rig_load64(vm, addr, &value));
	CHECK_EQ(value, want);
}

static void check_faults(struct vm *vm, uint64_t addr)
{
	uint64_t value;

	CHECK(!rig_mapped(vm, addr));
	CHECK_ERR(rig_load64(vm, addr, &value), -EFAULT);
}

static int store64(struct vm *vm, uint64_t addr, uint64_t value)
{
	struct gpu_fault fault;

	return vm->env->gpu->store(vm->env->engines[0], &vm->hw, addr, &value, sizeof(value),
				   &fault);
}

static unsigned count_runs(struct vm *vm)
{
	struct vm_mapping run = { .end = 0 };
	unsigned n = 0;

	while (vm_mapping_next(vm, run.end, &run)) {
		n++;
	}
	return n;
}

/* ---- 1: the unwinding of a split forgot the parts that were kept ----------------------------- */

#define PICTURE_PAGES (3 * 512)

/* All that can be seen of [A, A + 6 MiB). */
struct picture {
	struct vm_mapping run[32];
	unsigned runs;
	struct {
		struct gpu_pte pte;
		unsigned level;
		uint64_t value;
		int ret;
	} page[PICTURE_PAGES];
};

static void take_picture(struct scene *s, struct picture *picture)
{
	memset(picture, 0, sizeof(*picture));
	for (uint64_t addr = 0; vm_mapping_next(s->vm, addr, &picture->run[picture->runs]);) {
		addr = picture->run[picture->runs++].end;
		CHECK(picture->runs < ARRAY_LEN(picture->run));
	}
	for (uint64_t i = 0; i < PICTURE_PAGES; i++) {
		uint64_t addr = A + i * PAGE_SIZE;

		picture->page[i].ret = gpu_walk(&mem_gpu_ops, &s->device->mem, &s->vm->hw, addr,
						&picture->page[i].pte, &picture->page[i].level);
		/* Where nothing is, the level tells about tables that may come and go. */
		if (picture->page[i].ret) {
			picture->page[i].level = 0;
		}
		CHECK_ERR(rig_load64(s->vm, addr, &picture->page[i].value), picture->page[i].ret);
	}
	vm_check(s->vm);
}

/* A list that splits in every way, then fails; at the end, with @run, without the failure. */
static void unwind(bool run)
{
	static struct picture before, after;
	struct scene s;
	struct bo *x, *y;
	struct fence *fence;

	scene_init(&s);
	x = rig_bo(s.device, 3 * SZ_2M, MEM_VRAM);
	y = rig_bo(s.device, SZ_2M, MEM_SYSTEM);
	CHECK_OK(rig_bind(s.vm, rig_map(x, A, 0, 2 * SZ_2M)));
	CHECK_OK(rig_bind(s.vm, rig_map_null(A + 2 * SZ_2M, SZ_2M)));
	CHECK_OK(rig_bind(s.vm, rig_map(y, A + SZ_2M + SZ_64K, SZ_4K, SZ_64K)));
	take_picture(&s, &before);
	for (unsigned bad = 0; bad < 5; bad++) {
		const struct bind_op last[] = {
			{ .kind = BIND_UNMAP, .addr = A, .range = SZ_4K, .inject_error = true },
			rig_map(x, A, 0, 4 * SZ_2M),
			rig_map_null(VA_END - SZ_4K, SZ_2M),
			rig_unmap(A, 0),
			rig_map(y, VA_END, 0, SZ_4K),
		};
		struct bind_op ops[] = {
			rig_map(y, A + SZ_64K, 0, SZ_64K),          /* both sides kept */
			rig_map(y, A, 0, SZ_4K),                    /* the end */
			rig_map(y, A + SZ_2M - SZ_4K, 0, SZ_4K),    /* in the middle, to a border */
			rig_unmap(A + SZ_2M / 2, 2 * SZ_2M),        /* ends of two, one whole */
			rig_map(x, A + SZ_64K + SZ_4K, 0, 2 * SZ_4K), /* a part of this list's */
			rig_unmap_bo(y),
			last[bad],
		};

		CHECK(rig_bind_list(s.vm, NULL, ops, ARRAY_LEN(ops), NULL, &fence) != 0);
		take_picture(&s, &after);
		CHECK(!memcmp(&before, &after, sizeof(before)));
		if (run && bad + 1 == ARRAY_LEN(last)) {
			CHECK_OK(rig_bind_list(s.vm, NULL, ops, ARRAY_LEN(ops) - 1, NULL, &fence));
			rig_wait(fence);
			check_faults(s.vm, A);
			check_loads(s.vm, A + SZ_4K, rig_stamp(x, 1));
			check_loads(s.vm, A + SZ_64K + SZ_4K, rig_stamp(x, 0));
			check_faults(s.vm, A + SZ_2M);
			check_loads(s.vm, A + 3 * SZ_2M - SZ_4K, 0);
		}
	}
	/* The objects know of their mappings, those that were put back included. */
	CHECK_OK(rig_bind(s.vm, rig_unmap_bo(x)));
	CHECK_OK(rig_bind(s.vm, rig_unmap_bo(y)));
	CHECK_EQ(count_runs(s.vm), 1);
	bo_put(x);
	bo_put(y);
	scene_fini(&s);
}

static void test_class_01_unwind_keeps_skipped_parts(void)
{
	unwind(false);
	unwind(true);
}

/* ---- 4: one bind queue for two address spaces ------------------------------------------------ */

static void test_class_04_a_bind_queue_is_of_one_VM(void)
{
	static struct client c;
	struct drm_xe_vm_bind_op op;
	uint32_t vm, other, bo, queue;

	client_init(&c, "bmg");
	vm = client_vm(&c, 0);
	other = client_vm(&c, 0);
	bo = client_bo(&c, 0, SZ_64K);
	queue = client_bind_queue(&c, other);
	op = client_op(DRM_XE_VM_BIND_OP_MAP, bo, 0, A, SZ_64K);
	CHECK_ERR(client_bind(c.file, vm, queue, &op, 1, NULL, 0), -EINVAL);
	CHECK_ERR(client_bind(c.file, vm, queue, NULL, 0, NULL, 0), -EINVAL);
	op = client_op(DRM_XE_VM_BIND_OP_UNMAP, 0, 0, A, SZ_64K);
	CHECK_ERR(client_bind(c.file, vm, queue, &op, 1, NULL, 0), -EINVAL);
	CHECK_OK(client_bind(c.file, other, queue, &op, 1, NULL, 0));
	/* Nor when its own is gone. */
	CHECK_OK(client_vm_destroy(&c, other));
	CHECK_ERR(client_bind(c.file, vm, queue, &op, 1, NULL, 0), -EINVAL);
	CHECK_OK(client_bind(c.file, vm, 0, &op, 1, NULL, 0));
	client_fini(&c);
}

/* ---- 6: client memory that could not be pinned stayed on the list ---------------------------- */

/* A submission that stores @value at @addr. */
static int submit_store(struct exec_queue *queue, struct bo *batch, uint64_t addr, uint32_t value)
{
	rig_batch_stores(batch, 0, &addr, &value, 1);
	return rig_exec_wait(queue, A);
}

static bool any_invalidated(struct vm *vm)
{
	bool any;

	port_rwlock_rdlock(&vm->notifier);
	any = !list_empty(&vm->invalidated);
	port_rwlock_rdunlock(&vm->notifier);
	return any;
}

/* Of three windows one goes for good, and its mapping too, with others before and behind it. */
static void test_class_06_what_cannot_be_pinned_leaves_the_list(void)
{
	uint32_t *memory[3];
	struct exec_queue *queue;
	struct bo *batch;
	struct scene s;

	scene_init(&s);
	queue = rig_queue(s.device, s.vm, RIG_RENDER);
	batch = rig_bo(s.device, SZ_64K, MEM_SYSTEM);
	CHECK_OK(rig_bind(s.vm, rig_map(batch, A, 0, SZ_64K)));
	for (unsigned i = 0; i < 3; i++) {
		memory[i] = port_reserve(SZ_64K);
		CHECK_OK(rig_bind(s.vm, rig_map_user(memory[i], A + (i + 1) * SZ_2M, SZ_64K)));
	}
	for (unsigned round = 0; round < 3; round++) {
		CHECK_OK(rig_bind(s.vm, rig_map_user(memory[2], A + 8 * SZ_2M, SZ_64K)));
		for (unsigned i = 0; i < 3; i++) {
			rig_client_drops(s.device, (uint64_t)(uintptr_t)memory[i], SZ_64K);
		}
		CHECK(any_invalidated(s.vm));
		if (round == 0) {
			port_unreserve(memory[1], SZ_64K);
		}
		/* This one goes while it is on the list. */
		CHECK_OK(rig_bind(s.vm, rig_unmap(A + 8 * SZ_2M, SZ_64K)));
		CHECK_OK(submit_store(queue, batch, A + SZ_2M, round + 1));
		CHECK(!any_invalidated(s.vm));
		CHECK_OK(submit_store(queue, batch, A + 3 * SZ_2M, round + 1));
		CHECK(memory[0][0] == round + 1 && memory[2][0] == round + 1);
	}
	CHECK_EQ(count_runs(s.vm), 4);
	rig_queue_done(queue);
	bo_put(batch);
	scene_fini(&s);
	port_unreserve(memory[0], SZ_64K);
	port_unreserve(memory[2], SZ_64K);
}

/* ---- 7: memory that was freed cost the address space ----------------------------------------- */

static void freed_memory(unsigned flags)
{
	uint32_t *memory = port_reserve(SZ_64K);
	struct gpu_fault fault;
	struct exec_queue *queue;
	struct bo *batch;
	struct scene s;

	s.device = rig_device(SCHEDULE_NORMAL);
	s.vm = rig_vm(s.device, flags);
	queue = rig_queue(s.device, s.vm, RIG_RENDER);
	batch = rig_bo(s.device, SZ_64K, MEM_SYSTEM);
	CHECK_OK(rig_bind(s.vm, rig_map(batch, A, 0, SZ_64K)));
	CHECK_OK(rig_bind(s.vm, rig_map_user(memory, 2 * A, SZ_64K)));
	CHECK_OK(submit_store(queue, batch, 2 * A, 1));
	CHECK_EQ(memory[0], 1);
	rig_client_drops(s.device, (uint64_t)(uintptr_t)memory, SZ_64K);
	port_unreserve(memory, SZ_64K);
	/* Whoever does not use it goes on; so does the VM when somebody has. */
	CHECK_OK(submit_store(queue, batch, A + SZ_4K, 2));
	CHECK_EQ(rig_read32(batch, SZ_4K), 2);
	CHECK_ERR(submit_store(queue, batch, 2 * A, 3), -ECANCELED);
	CHECK(!vm_is_banned(s.vm));
	CHECK_EQ(vm_faults(s.vm, &fault, 1), 1);
	CHECK(fault.type == GPU_FAULT_MEMORY && fault.address == 2 * A);
	rig_queue_done(queue);
	queue = rig_queue(s.device, s.vm, RIG_RENDER);
	CHECK_OK(submit_store(queue, batch, A + SZ_4K, 4));
	CHECK_OK(rig_bind(s.vm, rig_unmap(2 * A, SZ_64K)));
	CHECK_OK(submit_store(queue, batch, A + SZ_4K, 5));
	CHECK_EQ(rig_read32(batch, SZ_4K), 5);
	rig_queue_done(queue);
	bo_put(batch);
	scene_fini(&s);
}

static void test_class_07_freed_client_memory_bans_nobody(void)
{
	freed_memory(0);
	freed_memory(VM_LR);
}

/* ---- 12: fences that signal before the translations are gone --------------------------------- */

#define BURST 24

struct burst {
	struct scene s;
	struct fence *in;
	struct bind_queue *queue[2];
	struct fence *out[2][BURST];
	struct ufence *ufence[2][BURST];
	_Atomic uint64_t word[2]; /* each queue writes 1, 2, ... to one address */
};

struct watcher {
	struct burst *b;
	unsigned which;
	bool user; /* watches the user fences */
	struct port_thread *thread;
};

static uint64_t burst_addr(unsigned queue, unsigned i)
{
	return A + (queue * BURST + i) * (SZ_2M / 2);
}

static int load_by(struct vm *vm, unsigned engine, uint64_t addr)
{
	struct gpu_fault fault;
	uint64_t value;

	return vm->env->gpu->load(vm->env->engines[engine], &vm->hw, addr, &value, sizeof(value),
				  &fault);
}

/* Until the user fence's value is in memory, as a client sees it. */
static void wait_for_value(struct sync *sync, const _Atomic uint64_t *word, uint64_t value)
{
	for (;;) {
		uint32_t seq = port_wq_prepare(&sync->ufence_wq);

		if (atomic_load(word) >= value) {
			return;
		}
		CHECK_OK(port_wq_wait(&sync->ufence_wq, seq, PORT_FOREVER, 0));
	}
}

/* Each watcher has an engine of its own, whose TLB knows all pages. */
static void watch(void *arg)
{
	struct watcher *w = arg;
	struct burst *b = w->b;

	for (unsigned i = 0; i < BURST; i++) {
		unsigned engine = w->which * 2 + w->user;

		if (w->user) {
			wait_for_value(&b->s.device->sync, &b->word[w->which], i + 1);
		} else {
			CHECK_OK(fence_wait(b->out[w->which][i], PORT_FOREVER, 0));
		}
		CHECK_ERR(load_by(b->s.vm, engine, burst_addr(w->which, i)), -EFAULT);
	}
}

static void burst_publish(struct burst *b, unsigned queue, unsigned i)
{
	struct bind_op op = rig_unmap(burst_addr(queue, i), SZ_64K);
	struct bind_args args = {
		.ops = &op, .op_count = 1, .queue = b->queue[queue], .in_fences = &b->in,
		.in_count = 1,
	};

	b->ufence[queue][i] = ufence_create(&b->s.device->sync,
					    (uint64_t)(uintptr_t)&b->word[queue], i + 1);
	CHECK(b->ufence[queue][i]);
	args.ufence = b->ufence[queue][i];
	CHECK_OK(vm_bind(b->s.vm, &args, &b->out[queue][i]));
}

static void burst(uint64_t seed)
{
	static struct burst burst;
	struct watcher watcher[4];
	struct burst *b = &burst;
	struct bo *bo;

	(void)seed;
	memset(b, 0, sizeof(*b));
	scene_init(&b->s);
	bo = rig_bo(b->s.device, SZ_64K, MEM_VRAM);
	b->in = rig_fence(b->s.device);
	for (unsigned queue = 0; queue < 2; queue++) {
		CHECK_OK(bind_queue_create(b->s.vm, &b->queue[queue]));
		for (unsigned i = 0; i < BURST; i++) {
			CHECK_OK(rig_bind(b->s.vm, rig_map(bo, burst_addr(queue, i), 0, SZ_64K)));
			for (unsigned engine = 0; engine < RIG_ENGINES; engine++) {
				CHECK_OK(load_by(b->s.vm, engine, burst_addr(queue, i)));
			}
		}
	}
	for (unsigned i = 0; i < 2 * BURST; i++) {
		burst_publish(b, i % 2, i / 2);
	}
	for (unsigned i = 0; i < ARRAY_LEN(watcher); i++) {
		watcher[i] = (struct watcher){ .b = b, .which = i / 2, .user = i % 2 };
		CHECK_OK(port_thread_create(&watcher[i].thread, "watcher", watch, &watcher[i]));
	}
	rig_fence_done(b->in);
	for (unsigned i = 0; i < ARRAY_LEN(watcher); i++) {
		port_thread_join(watcher[i].thread);
	}
	for (unsigned i = 0; i < 2 * BURST; i++) {
		fence_put(b->out[i % 2][i / 2]);
		ufence_put(b->ufence[i % 2][i / 2]);
	}
	bind_queue_put(b->queue[0]);
	bind_queue_put(b->queue[1]);
	bo_put(bo);
	scene_fini(&b->s);
}

static void test_class_12_fences_cover_the_invalidation(void)
{
	test_seeds(burst, 1, test_scale(50));
}

/* ---- 15: a part of a large page is unmapped -------------------------------------------------- */

struct reader {
	struct scene s;
	struct bo *bo;
	atomic_bool stop;
	struct port_thread *thread;
};

/* The GPU reads what nobody unmaps, without a gap. */
static void read_on(void *arg)
{
	static const uint64_t pages[] = { 0, 15, 255, 288, 400, 511 };
	struct reader *r = arg;

	while (!atomic_load(&r->stop)) {
		for (unsigned i = 0; i < ARRAY_LEN(pages); i++) {
			check_loads(r->s.vm, A + pages[i] * PAGE_SIZE,
				    rig_stamp(r->bo, pages[i]));
		}
		port_relax();
	}
}

static void part_of_large(uint64_t seed)
{
	struct reader reader = { 0 }, *r = &reader;
	unsigned level;
	struct gpu_pte pte;

	(void)seed;
	scene_init(&r->s);
	r->bo = rig_bo(r->s.device, SZ_2M, MEM_VRAM);
	CHECK_OK(rig_bind(r->s.vm, rig_map(r->bo, A, 0, SZ_2M)));
	CHECK_OK(port_thread_create(&r->thread, "reader", read_on, r));
	for (unsigned i = 0; i < 10; i++) {
		CHECK_OK(gpu_walk(&mem_gpu_ops, &r->s.device->mem, &r->s.vm->hw, A, &pte, &level));
		CHECK_EQ(level, 1);
		CHECK_OK(rig_bind(r->s.vm, rig_unmap(A + 16 * SZ_4K, SZ_4K)));
		CHECK(!rig_mapped(r->s.vm, A + 16 * SZ_4K));
		CHECK(rig_mapped(r->s.vm, A + 15 * SZ_4K) && rig_mapped(r->s.vm, A + 17 * SZ_4K));
		CHECK_OK(rig_bind(r->s.vm, rig_unmap(A + 256 * SZ_4K, 2 * SZ_64K)));
		CHECK(!rig_mapped(r->s.vm, A + 287 * SZ_4K));
		for (uint64_t page = 0; page < 512; page++) {
			bool gone = page == 16 || (page >= 256 && page < 288);

			CHECK_EQ(rig_mapped(r->s.vm, A + page * PAGE_SIZE), !gone);
		}
		CHECK_OK(rig_bind(r->s.vm, rig_map(r->bo, A, 0, SZ_2M)));
	}
	atomic_store(&r->stop, true);
	port_thread_join(r->thread);
	bo_put(r->bo);
	scene_fini(&r->s);
}

static void test_class_15_the_rest_of_a_large_page_stays(void)
{
	test_seeds(part_of_large, 1, test_scale(30));
}

/* ---- 17: more entries than fit a chunk ------------------------------------------------------- */

static void test_class_17_every_entry_of_a_large_bind(void)
{
	static const struct {
		uint64_t first, count; /* pages from A */
	} binds[] = {
		{ 1, 509 }, { 1, 510 }, { 1, 511 }, { 0, 512 }, { 0, 513 }, { 511, 2 },
		{ 3, 1020 }, { 2, 1021 }, { 510, 1030 }, { 511, 1530 }, { 1, 2040 }, { 0, 2047 },
	};
	struct scene s;
	struct bo *bo;

	scene_init(&s);
	bo = rig_bo(s.device, 2048 * SZ_4K, MEM_SYSTEM);
	for (unsigned i = 0; i < ARRAY_LEN(binds); i++) {
		uint64_t first = binds[i].first, count = binds[i].count;

		/* Off by a page, so that there is an entry for each. */
		for (uint64_t off = 0; off < 2; off++) {
			CHECK_OK(rig_bind(s.vm, rig_map(bo, A + first * SZ_4K, off * SZ_4K,
							count * SZ_4K)));
			for (uint64_t page = 0; page < 2560; page++) {
				uint64_t at = page - first;

				if (at < count) {
					check_loads(s.vm, A + page * SZ_4K,
						    rig_stamp(bo, at + off));
				} else {
					check_faults(s.vm, A + page * SZ_4K);
				}
			}
		}
		CHECK_OK(rig_bind(s.vm, rig_unmap(A + first * SZ_4K, count * SZ_4K)));
		CHECK_EQ(count_runs(s.vm), 0);
		CHECK_EQ(s.vm->pt.tables, 1);
	}
	bo_put(bo);
	scene_fini(&s);
}

/* ---- 19: sparse pages that fault ------------------------------------------------------------- */

static void check_sparse(struct scene *s, uint64_t addr)
{
	check_loads(s->vm, addr, 0);
	CHECK_OK(store64(s->vm, addr, 0x5bad5bad));
	check_loads(s->vm, addr, 0);
}

static void test_class_19_what_stays_NULL_reads_zero(void)
{
	static const struct {
		uint64_t at, size_B;
	} parts[] = {
		{ SZ_2M, SZ_2M }, { SZ_64K, SZ_64K }, { SZ_4K, SZ_4K },
		{ SZ_2M - SZ_4K, 2 * SZ_4K }, { 0, SZ_64K }, { 4 * SZ_2M - SZ_4K, SZ_4K },
		{ SZ_2M / 2, 2 * SZ_2M },
	};
	uint64_t size_B = 4 * SZ_2M;
	struct scene s;
	struct bo *bo;

	scene_init(&s);
	bo = rig_bo(s.device, size_B, MEM_VRAM);
	for (unsigned i = 0; i < ARRAY_LEN(parts); i++) {
		uint64_t start = parts[i].at, end = start + parts[i].size_B;

		/* Mapped and unmapped again: there nothing is left, everywhere else zeroes. */
		for (unsigned again = 0; again < 2; again++) {
			CHECK_OK(rig_bind(s.vm, rig_map_null(A, size_B)));
			CHECK_OK(rig_bind(s.vm, rig_map(bo, A + start, start, end - start)));
			check_loads(s.vm, A + start, rig_stamp(bo, start / SZ_4K));
			if (again) {
				CHECK_OK(rig_bind(s.vm, rig_map_null(A + start, end - start)));
			} else {
				CHECK_OK(rig_bind(s.vm, rig_unmap(A + start, end - start)));
			}
			for (uint64_t at = 0; at < size_B; at += SZ_4K) {
				if (again || at < start || at >= end) {
					check_sparse(&s, A + at);
				} else {
					check_faults(s.vm, A + at);
				}
			}
		}
		CHECK_EQ(rig_read32(bo, start), (uint32_t)rig_stamp(bo, start / SZ_4K));
		CHECK_OK(rig_bind(s.vm, rig_unmap(A, size_B)));
		CHECK_EQ(count_runs(s.vm), 0);
	}
	bo_put(bo);
	scene_fini(&s);
}

/* ---- 23: sums that wrap ---------------------------------------------------------------------- */

static void test_class_23_offset_and_range_do_not_wrap(void)
{
	static const uint64_t off[] = { -SZ_4K, -SZ_2M, (uint64_t)1 << 63, SZ_2M, SZ_2M - SZ_4K };
	static const uint64_t wrapping[] = { -SZ_4K, -SZ_2M, -3 * SZ_2M, (uint64_t)1 << 63 };
	struct scene s;
	struct bo *bo;
	int ret;

	scene_init(&s);
	bo = rig_bo(s.device, SZ_2M, MEM_SYSTEM);
	CHECK_OK(rig_bind(s.vm, rig_map(bo, 0, 0, SZ_2M)));
	for (unsigned i = 0; i < ARRAY_LEN(off); i++) {
		/* offset + range is 4 KiB, or 2 MiB, or more than there is. */
		CHECK_ERR(rig_bind(s.vm, rig_map(bo, A, off[i], 2 * SZ_4K)), -EINVAL);
		CHECK_ERR(rig_bind(s.vm, rig_map(bo, A, off[i], 2 * SZ_2M)), -EINVAL);
		CHECK_ERR(rig_bind(s.vm, rig_map(bo, A, off[i], -off[i])), -EINVAL);
	}
	for (unsigned i = 0; i < ARRAY_LEN(wrapping); i++) {
		uint64_t addr = wrapping[i];

		CHECK_ERR(rig_bind(s.vm, rig_unmap(addr, -addr)), -EINVAL);
		CHECK_ERR(rig_bind(s.vm, rig_unmap(addr, SZ_4K - addr)), -EINVAL);
		CHECK_ERR(rig_bind(s.vm, rig_unmap(SZ_4K, addr)), -EINVAL);
		CHECK_ERR(rig_bind(s.vm, rig_map_null(addr, SZ_2M - addr)), -EINVAL);
		CHECK_ERR(rig_bind(s.vm, rig_map(bo, addr, 0, SZ_2M)), -EINVAL);
		/* Client memory that wraps: not a range of addresses, or nobody's. */
		ret = rig_bind(s.vm, rig_map_user((void *)(uintptr_t)addr, A, SZ_4K - addr));
		CHECK(ret == -EINVAL || ret == -EFAULT);
		ret = rig_bind(s.vm, rig_map_user((void *)(uintptr_t)-SZ_4K, A, 2 * SZ_4K));
		CHECK(ret == -EINVAL || ret == -EFAULT);
	}
	CHECK_EQ(count_runs(s.vm), 1);
	check_loads(s.vm, 0, rig_stamp(bo, 0));
	check_loads(s.vm, SZ_2M - SZ_4K, rig_stamp(bo, 511));
	bo_put(bo);
	scene_fini(&s);
}

/* ---- 24: a prefetch that ends with the first mapping ----------------------------------------- */

/* It spans mappings of all kinds and a gap; each stays, is there, and is in a region of its own. */
static void test_class_24_prefetch_over_several_mappings(void)
{
	struct bind_op op = { .kind = BIND_PREFETCH, .addr = A, .range = 8 * SZ_2M };
	void *memory = port_reserve(SZ_64K);
	struct vm_mapping run = { .end = 0 };
	struct scene s;
	struct bo *bo[4];
	unsigned i;

	scene_init(&s);
	for (i = 0; i < ARRAY_LEN(bo); i++) {
		bo[i] = rig_bo(s.device, SZ_2M, i % 2 ? MEM_SYSTEM : MEM_VRAM);
		/* The last sticks out of the range; it is not cut. */
		CHECK_OK(rig_bind(s.vm, rig_map(bo[i], A + (2 * i + 1) * SZ_2M + SZ_2M / 2, 0,
						SZ_2M)));
	}
	CHECK_OK(rig_bind(s.vm, rig_map_null(A + 3 * SZ_2M, SZ_64K)));
	CHECK_OK(rig_bind(s.vm, rig_map_user(memory, A + 5 * SZ_2M, SZ_64K)));
	for (op.prefetch_region = 0; op.prefetch_region < MEM_REGIONS; op.prefetch_region++) {
		CHECK_OK(rig_bind(s.vm, op));
		CHECK_EQ(count_runs(s.vm), ARRAY_LEN(bo) + 2);
		for (i = 0; i < ARRAY_LEN(bo); i++) {
			uint64_t addr = A + (2 * i + 1) * SZ_2M + SZ_2M / 2;

			CHECK(bo[i]->place && bo[i]->place->count);
			CHECK(vm_mapping_next(s.vm, addr, &run));
			CHECK(run.start == addr && run.end == addr + SZ_2M);
			check_loads(s.vm, addr, rig_stamp(bo[i], 0));
			check_loads(s.vm, addr + SZ_2M - SZ_4K, rig_stamp(bo[i], 511));
		}
		check_loads(s.vm, A + 3 * SZ_2M, 0);
		check_loads(s.vm, A + 5 * SZ_2M, 0);
		check_faults(s.vm, A + SZ_2M);
	}
	op.range = 0;
	CHECK_ERR(rig_bind(s.vm, op), -EINVAL);
	for (i = 0; i < ARRAY_LEN(bo); i++) {
		bo_put(bo[i]);
	}
	scene_fini(&s);
	port_unreserve(memory, SZ_64K);
}

/* ---- 27: objects that are private to another address space ----------------------------------- */

static void test_class_27_private_object_of_another_VM(void)
{
	static struct client c;
	struct drm_xe_vm_bind_op ops[2];
	uint32_t vm, other, shared, theirs;

	client_init(&c, "bmg");
	vm = client_vm(&c, 0);
	other = client_vm(&c, 0);
	shared = client_bo(&c, 0, SZ_64K);
	theirs = client_bo(&c, other, SZ_64K);
	CHECK_ERR(client_map(&c, vm, theirs, 0, A, SZ_64K), -EINVAL);
	ops[0] = client_op(DRM_XE_VM_BIND_OP_MAP, shared, 0, A, SZ_64K);
	ops[1] = client_op(DRM_XE_VM_BIND_OP_MAP, theirs, 0, 2 * A, SZ_64K);
	CHECK_ERR(client_bind(c.file, vm, 0, ops, 2, NULL, 0), -EINVAL);
	CHECK_OK(client_map(&c, other, theirs, 0, A, SZ_64K));
	CHECK_OK(client_map(&c, other, shared, 0, 2 * A, SZ_64K));
	/* Not even when the owner is gone. */
	CHECK_OK(client_vm_destroy(&c, other));
	CHECK_ERR(client_map(&c, vm, theirs, 0, A, SZ_64K), -EINVAL);
	CHECK_OK(client_map(&c, vm, shared, 0, A, SZ_64K));
	client_fini(&c);
}

/* ---- 30: validation that never ends ---------------------------------------------------------- */

/*
 * What can never be made usable again (client memory that is gone for good) does not keep
 * submissions from going on, and is not tried for ever; nor does an object without a handle.
 */
static void test_class_30_validation_ends(void)
{
	struct scene s;
	struct bo *batch, *closed;
	struct exec_queue *queue;
	uint64_t to = A + 4 * SZ_2M, id;
	uint32_t value = 7;
	void *memory = port_reserve(SZ_64K);

	scene_init(&s);
	batch = rig_bo(s.device, SZ_64K, MEM_VRAM);
	closed = rig_bo(s.device, SZ_64K, MEM_VRAM);
	id = rig_stamp(closed, 0);
	queue = rig_queue(s.device, s.vm, RIG_RENDER);
	CHECK_OK(rig_bind(s.vm, rig_map(batch, A, 0, SZ_64K)));
	CHECK_OK(rig_bind(s.vm, rig_map(closed, to, 0, SZ_64K)));
	bo_put(closed);
	for (unsigned i = 0; i < 4; i++) {
		CHECK_OK(rig_bind(s.vm, rig_map_user(memory, A + (i + 8) * SZ_2M, SZ_64K)));
	}
	rig_client_drops(s.device, (uint64_t)(uintptr_t)memory, SZ_64K);
	port_unreserve(memory, SZ_64K);
	check_loads(s.vm, to, id);
	rig_batch_stores(batch, 0, &to, &value, 1);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_OK(rig_exec_wait(queue, A));
		check_loads(s.vm, to, (id & ~(uint64_t)UINT32_MAX) | value);
	}
	/* It faults when it is used, not before. */
	to = A + 8 * SZ_2M;
	rig_batch_stores(batch, 0, &to, &value, 1);
	CHECK_ERR(rig_exec_wait(queue, A), -ECANCELED);
	CHECK_EQ(count_runs(s.vm), 6);
	rig_queue_done(queue);
	bo_put(batch);
	scene_fini(&s);
}

/* Part of a large page goes while there is no memory for a table: all of its entry is given up. */
static void unmap_poor(struct scene *s, uint64_t addr)
{
	port_fault_set(PORT_FAULT_ALLOC, 1, true);
	CHECK_OK(rig_bind(s->vm, rig_unmap(addr, SZ_64K)));
	CHECK_ERR(vm_rebind(s->vm, false), -ENOMEM); /* and is not tried for ever */
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	CHECK(!rig_mapped(s->vm, addr + SZ_64K));
}

/* What was given up is no longer tried when its mapping goes, its object long without a handle. */
static void test_class_30_what_was_given_up_and_is_gone(void)
{
	struct scene s;
	struct bo *batch, *closed;
	struct exec_queue *queue;
	uint64_t to = A + SZ_64K, id;
	uint32_t value = 7;

	scene_init(&s);
	batch = rig_bo(s.device, SZ_64K, MEM_VRAM);
	closed = rig_bo(s.device, SZ_2M, MEM_VRAM);
	id = rig_stamp(closed, 16);
	queue = rig_queue(s.device, s.vm, RIG_RENDER);
	rig_batch_stores(batch, 0, &to, &value, 1);
	CHECK_OK(rig_bind(s.vm, rig_map(batch, 2 * A, 0, SZ_64K)));
	CHECK_OK(rig_bind(s.vm, rig_map(closed, A, 0, SZ_2M)));
	CHECK_OK(rig_bind(s.vm, rig_map(closed, A + SZ_2M, 0, SZ_2M)));
	bo_put(closed);
	unmap_poor(&s, A);
	unmap_poor(&s, A + SZ_2M);
	CHECK_OK(rig_bind(s.vm, rig_unmap(A + SZ_2M, SZ_2M)));
	/* The submission writes what is still mapped, and that only. */
	CHECK_OK(rig_exec_wait(queue, 2 * A));
	check_loads(s.vm, to, (id & ~(uint64_t)UINT32_MAX) | value);
	check_faults(s.vm, A);
	check_faults(s.vm, A + SZ_2M + SZ_64K);
	CHECK_EQ(count_runs(s.vm), 2);
	CHECK_OK(rig_bind(s.vm, rig_unmap(A, SZ_2M)));
	CHECK_OK(vm_rebind(s.vm, false));
	CHECK_EQ(count_runs(s.vm), 1);
	rig_queue_done(queue);
	bo_put(batch);
	scene_fini(&s);
}

/* ---- 31: the address of a user fence is used again ------------------------------------------- */

#define WRITES 16

struct reuse {
	struct scene s;
	_Atomic uint64_t word;
	struct port_thread *thread;
};

/* Who has seen a value may unbind at once what it stands for: it is not busy any more. */
static void unmap_seen(void *arg)
{
	struct reuse *r = arg;

	for (uint64_t i = 1; i <= WRITES; i++) {
		uint64_t seen;

		while ((seen = atomic_load(&r->word)) < i) {
			port_relax();
		}
		CHECK(seen <= WRITES);
		CHECK_OK(rig_bind(r->s.vm, rig_unmap(A + i * SZ_64K, SZ_64K)));
	}
}

static void reuse(uint64_t seed)
{
	struct reuse reuse = { 0 }, *r = &reuse;
	struct fence *in, *out[WRITES];
	struct bo *bo;

	(void)seed;
	scene_init(&r->s);
	bo = rig_bo(r->s.device, SZ_64K, MEM_VRAM);
	in = rig_fence(r->s.device);
	CHECK_OK(port_thread_create(&r->thread, "seer", unmap_seen, r));
	for (uint64_t i = 0; i < WRITES; i++) {
		struct bind_op op = rig_map(bo, A + (i + 1) * SZ_64K, 0, SZ_64K);
		struct bind_args args = {
			.ops = &op, .op_count = 1, .in_fences = &in, .in_count = 1,
			.ufence = ufence_create(&r->s.device->sync,
						(uint64_t)(uintptr_t)&r->word, i + 1),
		};

		CHECK(args.ufence);
		CHECK_OK(vm_bind(r->s.vm, &args, &out[i]));
		ufence_put(args.ufence);
		/* Half of them wait for one another, half run when they are given. */
		if (i == WRITES / 2) {
			fence_signal(in, 0);
		}
	}
	port_thread_join(r->thread);
	CHECK_EQ(atomic_load(&r->word), WRITES);
	for (unsigned i = 0; i < WRITES; i++) {
		rig_wait(out[i]);
	}
	CHECK_EQ(count_runs(r->s.vm), 0);
	fence_put(in);
	bo_put(bo);
	scene_fini(&r->s);
}

static void test_class_31_a_seen_user_fence_is_never_busy(void)
{
	test_seeds(reuse, 1, test_scale(100));
}

/* ---- 32: operations of no length, neighbours, and leaks -------------------------------------- */

static void test_class_32_no_length_and_neighbours(void)
{
	struct scene s;
	struct bo *bo;
	struct vm_mapping run;

	scene_init(&s);
	bo = rig_bo(s.device, SZ_2M, MEM_SYSTEM);
	CHECK_OK(rig_bind(s.vm, rig_map(bo, A, 0, SZ_64K)));
	CHECK_OK(rig_bind(s.vm, rig_map(bo, A + 2 * SZ_64K, 0, SZ_64K)));
	/* Inside, at both ends, between: of no length is nothing, not a cut. */
	for (uint64_t at = 0; at <= 3 * SZ_64K; at += SZ_4K) {
		CHECK_ERR(rig_bind(s.vm, rig_unmap(A + at, 0)), -EINVAL);
		CHECK_ERR(rig_bind(s.vm, rig_map(bo, A + at, 0, 0)), -EINVAL);
		CHECK_ERR(rig_bind(s.vm, rig_map_null(A + at, 0)), -EINVAL);
	}
	CHECK_EQ(count_runs(s.vm), 2);
	/* Up to one and from the end of the other: neither is touched. */
	CHECK_OK(rig_bind(s.vm, rig_unmap(A + SZ_64K, SZ_64K)));
	CHECK_OK(rig_bind(s.vm, rig_unmap(A - SZ_64K, SZ_64K)));
	CHECK_OK(rig_bind(s.vm, rig_unmap(A + 3 * SZ_64K, SZ_2M)));
	CHECK(vm_mapping_next(s.vm, 0, &run));
	CHECK(run.start == A && run.end == A + SZ_64K);
	CHECK(vm_mapping_next(s.vm, run.end, &run));
	CHECK(run.start == A + 2 * SZ_64K && run.end == A + 3 * SZ_64K);
	CHECK(!vm_mapping_next(s.vm, run.end, &run));
	/* And a map between them leaves both. */
	CHECK_OK(rig_bind(s.vm, rig_map(bo, A + SZ_64K, 0, SZ_64K)));
	CHECK_EQ(count_runs(s.vm), 3);
	CHECK(vm_mapping_next(s.vm, 0, &run));
	CHECK(run.start == A && run.end == A + SZ_64K);
	CHECK(vm_mapping_next(s.vm, A + 2 * SZ_64K, &run));
	CHECK(run.end == A + 3 * SZ_64K && run.offset == 0);
	check_loads(s.vm, A + SZ_64K - SZ_4K, rig_stamp(bo, 15));
	check_loads(s.vm, A + SZ_64K, rig_stamp(bo, 0));
	check_loads(s.vm, A + 2 * SZ_64K, rig_stamp(bo, 0));
	bo_put(bo);
	scene_fini(&s);
}

/* Splits on both sides, over several: each allocation fails once. */
static void split_and_fail(void *arg)
{
	struct scene *s = arg;
	struct fence *fence;
	struct bind_op ops[] = {
		rig_map_null(A, 8 * SZ_64K),
		rig_unmap(A + SZ_64K, SZ_4K),
		rig_map_null(A + 3 * SZ_64K, SZ_64K),
		rig_unmap(A + SZ_64K / 2, 4 * SZ_64K),
	};
	int ret;

	ret = rig_bind_list(s->vm, NULL, ops, ARRAY_LEN(ops), NULL, &fence);
	CHECK(!ret || (test_injected() && ret == -ENOMEM));
	CHECK_EQ(count_runs(s->vm), ret ? 0 : 2);
	test_injection_off();
	if (!ret) {
		rig_wait(fence);
		CHECK_OK(rig_bind(s->vm, rig_unmap(0, VA_END)));
	}
	CHECK_EQ(count_runs(s->vm), 0);
}

static void test_class_32_nothing_leaks_when_a_split_fails(void)
{
	struct scene s;

	scene_init(&s);
	/* Once before: what is allocated for good is not counted. */
	split_and_fail(&s);
	CHECK(test_sweep(PORT_FAULT_ALLOC, split_and_fail, &s) > 10);
	scene_fini(&s);
}

static const struct test_case cases[] = {
	TEST(test_class_01_unwind_keeps_skipped_parts),
	TEST(test_class_04_a_bind_queue_is_of_one_VM),
	TEST(test_class_06_what_cannot_be_pinned_leaves_the_list),
	TEST(test_class_07_freed_client_memory_bans_nobody),
	TEST(test_class_12_fences_cover_the_invalidation),
	TEST(test_class_15_the_rest_of_a_large_page_stays),
	TEST(test_class_17_every_entry_of_a_large_bind),
	TEST(test_class_19_what_stays_NULL_reads_zero),
	TEST(test_class_23_offset_and_range_do_not_wrap),
	TEST(test_class_24_prefetch_over_several_mappings),
	TEST(test_class_27_private_object_of_another_VM),
	TEST(test_class_30_validation_ends),
	TEST(test_class_30_what_was_given_up_and_is_gone),
	TEST(test_class_31_a_seen_user_fence_is_never_busy),
	TEST(test_class_32_no_length_and_neighbours),
	TEST(test_class_32_nothing_leaks_when_a_split_fails),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
