// SPDX-License-Identifier: MIT
/*
 * Unmapping never fails for want of memory (A24, P2): proofs with large mappings, and what happens
 * beside pending binds and running work.
 */
#include <stdio.h>

#include "scenes.h"
#include "vm/move.h"

#define BASE ((uint64_t)1 << 40)
#define BATCH_AT ((uint64_t)1 << 36)
#define RESULT_AT ((uint64_t)1 << 37)
#define COPY_DWORDS 5

struct proof {
	struct device *device;
	struct vm *vm;
	struct bo *batch, *result;
	struct exec_queue *queue;
	uint64_t range, granule;    /* every second granule is unmapped */
	struct bo *bo;              /* NULL: a NULL mapping */
	uint64_t offset;
	bool evicted;               /* the page tables have no frames meanwhile */
};

static struct device *big_device(void)
{
	static const struct device_engine_desc engine = { GPU_CLASS_RENDER, 0 };
	const struct device_config config = {
		.mem = { .system_B = 2 * SZ_1G, .vram_B = SZ_1G, .vram_min_page_B = SZ_64K },
		.engines = &engine,
		.engine_count = 1,
		.fmt = &gpu_format_intel48,
		.graphics_ver = 20,
	};
	struct device *device;

	CHECK_OK(device_create(&config, &device));
	return device;
}

static void memory(bool there)
{
	port_fault_set(PORT_FAULT_ALLOC, there ? 0 : 1, true);
}

static struct bo *plain_bo(struct device *device, uint64_t size_B, enum mem_region region)
{
	struct bo *bo;

	CHECK_OK(bo_create(&device->mem, size_B, BIT(region), &bo));
	CHECK_OK(bo_back(bo));
	return bo;
}

static uint64_t kept(const struct proof *p)
{
	return p->range / p->granule / 2;
}

static uint64_t kept_addr(const uint64_t granule, uint64_t i)
{
	return BASE + 2 * i * granule;
}

static uint32_t stamp(uint64_t i)
{
	return (uint32_t)(i * 2654435761u) | 1;
}

/* One copy of a dword for each kept granule. */
static void write_batch(struct proof *p)
{
	uint32_t *cs = bo_host(p->batch);

	for (uint64_t i = 0; i < kept(p); i++, cs += COPY_DWORDS) {
		uint64_t from = kept_addr(p->granule, i), to = RESULT_AT + 4 * i;

		cs[0] = 0x2eu << 23 | (COPY_DWORDS - 2); /* MI_COPY_MEM_MEM */
		cs[1] = (uint32_t)to;
		cs[2] = (uint32_t)(to >> 32);
		cs[3] = (uint32_t)from;
		cs[4] = (uint32_t)(from >> 32);
	}
	*cs = 0x0au << 23; /* MI_BATCH_BUFFER_END */
	memset(bo_host(p->result), 0xff, kept(p) * 4);
}

static void proof_begin(struct proof *p, unsigned flags, enum mem_region region, bool null)
{
	uint64_t batch_B = align_up(kept(p) * COPY_DWORDS * 4 + 4, SZ_64K);
	struct bind_op map = rig_map_null(BASE, p->range);

	p->device = big_device();
	p->vm = rig_vm(p->device, flags);
	p->queue = rig_queue(p->device, p->vm, 0);
	p->batch = plain_bo(p->device, batch_B, MEM_SYSTEM);
	p->result = plain_bo(p->device, align_up(kept(p) * 4, SZ_64K), MEM_SYSTEM);
	if (!null) {
		p->bo = plain_bo(p->device, p->offset + p->range, region);
		map = rig_map(p->bo, BASE, p->offset, p->range);
		for (uint64_t i = 0; i < kept(p); i++) {
			*(uint32_t *)((char *)bo_host(p->bo) + p->offset + 2 * i * p->granule) =
				stamp(i);
		}
	}
	CHECK_OK(rig_bind(p->vm, rig_map(p->batch, BATCH_AT, 0, batch_B)));
	CHECK_OK(rig_bind(p->vm, rig_map(p->result, RESULT_AT, 0, p->result->size_B)));
	CHECK_OK(rig_bind(p->vm, map));
	write_batch(p);
}

static void proof_end(struct proof *p)
{
	rig_queue_done(p->queue);
	rig_vm_done(p->vm);
	bo_put(p->batch);
	bo_put(p->result);
	bo_put(p->bo);
	device_destroy(p->device);
}

/* Index and tables: the even granules are there, whole, the odd ones are not. */
static void check_alternate(struct proof *p)
{
	struct vm_mapping run = { .end = BASE };

	for (uint64_t i = 0; i < kept(p); i++) {
		uint64_t addr = kept_addr(p->granule, i);

		CHECK(vm_mapping_next(p->vm, run.end, &run));
		CHECK_EQ(run.start, addr);
		CHECK_EQ(run.end, addr + p->granule);
		CHECK_EQ(run.null, !p->bo);
		CHECK_EQ(run.offset, p->bo ? p->offset + (addr - BASE) : 0);
		CHECK(rig_mapped(p->vm, addr) && rig_mapped(p->vm, run.end - SZ_4K));
		CHECK(!rig_mapped(p->vm, run.end));
		CHECK(!rig_mapped(p->vm, run.end + p->granule - SZ_4K));
	}
	CHECK(!vm_mapping_next(p->vm, run.end, &run));
}

static void unmap_alternate(struct proof *p, unsigned per_list)
{
	static struct bind_op ops[1000];
	struct fence *fence;
	unsigned n = 0;

	CHECK(per_list <= ARRAY_LEN(ops));
	for (uint64_t i = 0; i < kept(p); i++) {
		ops[n++] = rig_unmap(kept_addr(p->granule, i) + p->granule, p->granule);
		if (n == per_list || i + 1 == kept(p)) {
			CHECK_OK(rig_bind_list(p->vm, NULL, ops, n, NULL, &fence));
			CHECK(fence_is_signalled(fence));
			fence_put(fence);
			n = 0;
		}
	}
}

/* Some granules go with memory, so that there are tables of all kinds; then all tables go. */
static void evict_tables(struct proof *p)
{
	for (uint64_t i = 0; i < kept(p); i += 3 * SZ_2M / p->granule) {
		CHECK_OK(rig_bind(p->vm, rig_unmap(kept_addr(p->granule, i) + p->granule,
						   p->granule)));
	}
	port_rwlock_wrlock(&p->device->vm_env.evict_lock);
	CHECK(vm_evict_tables(p->vm, UINT64_MAX) > 2);
	port_rwlock_wrunlock(&p->device->vm_env.evict_lock);
	CHECK(!rig_mapped(p->vm, BATCH_AT));
}

static void prove(struct proof *p, unsigned flags, enum mem_region region, bool null,
		  unsigned per_list)
{
	uint64_t t[4], wrong = 0;
	const uint32_t *result;

	proof_begin(p, flags, region, null);
	if (p->evicted) {
		evict_tables(p);
	}
	t[0] = port_now_ns();
	memory(false);
	unmap_alternate(p, per_list);
	memory(true);
	t[1] = port_now_ns();
	CHECK_OK(rig_exec_wait(p->queue, BATCH_AT));
	t[2] = port_now_ns();
	result = bo_host(p->result);
	for (uint64_t i = 0; i < kept(p); i++) {
		wrong += result[i] != (null ? 0 : stamp(i));
	}
	CHECK_EQ(wrong, 0);
	check_alternate(p);
	vm_check(p->vm);
	t[3] = port_now_ns();
	printf("# %llu unbinds without memory: %llu ms, rebind and read: %llu ms, check: %llu ms\n",
	       (unsigned long long)kept(p), (unsigned long long)(t[1] - t[0]) / 1000000,
	       (unsigned long long)(t[2] - t[1]) / 1000000,
	       (unsigned long long)(t[3] - t[2]) / 1000000);
	memory(false);
	CHECK_OK(rig_bind(p->vm, null ? rig_unmap(BASE, p->range)
				      : (struct bind_op){ .kind = BIND_UNMAP_BO, .bo = p->bo }));
	memory(true);
	CHECK(!rig_mapped(p->vm, BASE));
	CHECK_EQ(p->vm->index.count, 2);
	CHECK_OK(rig_bind(p->vm, rig_unmap(0, (uint64_t)1 << 48)));
	CHECK_EQ(p->vm->pt.tables, 1);
	proof_end(p);
}

static void test_A24_P2_alternate_unbinds(void)
{
	struct proof p = { .range = SZ_1G, .granule = SZ_4K };

	prove(&p, 0, MEM_SYSTEM, false, 1);
}

static void test_A24_P2_alternate_unbinds_of_null(void)
{
	struct proof p = { .range = SZ_1G, .granule = SZ_4K };

	prove(&p, 0, MEM_SYSTEM, true, 1);
}

static void test_A24_P2_alternate_unbinds_in_lists(void)
{
	struct proof p = { .range = M(test_scale(1024)), .granule = SZ_4K };

	prove(&p, 0, MEM_SYSTEM, false, 1000);
}

static void test_A24_P2_alternate_unbinds_long_running(void)
{
	struct proof p = { .range = M(test_scale(1024)), .granule = SZ_4K };

	prove(&p, VM_LR, MEM_SYSTEM, false, 1000);
}

/* The entries are on the heap, where they are edited (B26). */
static void test_A24_B26_alternate_unbinds_in_evicted_tables(void)
{
	struct proof pages = { .range = SZ_1G, .granule = SZ_4K, .evicted = true };
	struct proof null = { .range = SZ_1G, .granule = SZ_4K, .evicted = true };
	struct proof compact = { .range = SZ_1G / 8, .granule = SZ_4K, .offset = SZ_64K,
				 .evicted = true };

	prove(&pages, 0, MEM_SYSTEM, false, 1);
	prove(&null, 0, MEM_SYSTEM, true, 1000);
	prove(&compact, 0, MEM_VRAM, false, 1);
}

/* Compact tables: unbinds of whole entries, and of parts of them. */
static void test_A24_P2_alternate_unbinds_64k(void)
{
	struct proof whole = { .range = SZ_1G / 2, .granule = SZ_64K, .offset = SZ_64K };
	struct proof parts = { .range = SZ_1G / 8, .granule = SZ_4K, .offset = SZ_64K };

	prove(&whole, 0, MEM_VRAM, false, 1);
	prove(&parts, 0, MEM_VRAM, false, 1);
}

/* ---- a NULL mapping above 1 TiB -------------------------------------------------------------- */

static bool index_has(struct vm *vm, uint64_t addr)
{
	struct vm_mapping run;

	return vm_mapping_next(vm, addr, &run) && run.start <= addr;
}

static void check_mapped(struct vm *vm, uint64_t start, uint64_t end, bool want)
{
	for (uint64_t addr = start; addr < end; addr += SZ_4K) {
		CHECK_EQ(index_has(vm, addr), want);
		CHECK_EQ(rig_mapped(vm, addr), want);
	}
}

/* Its holes are of 2 MiB: the ragged edges stay NULL until they are unmapped with memory. */
static void test_A24_P2_ragged_edges_of_a_sparse_giant(void)
{
	struct device *device = big_device();
	struct vm *vm = rig_vm(device, 0);
	const uint64_t base = BASE + SZ_4K, end = base + 2 * BASE, hole = BASE + SZ_1G;
	const uint64_t cut = hole + SZ_1G; /* by an unmap with memory: there is a table of 4 KiB */

	CHECK_OK(rig_bind(vm, rig_map_null(base, end - base)));
	CHECK_OK(rig_bind(vm, rig_unmap(cut, SZ_4K)));
	memory(false);
	CHECK_OK(rig_bind(vm, rig_unmap(cut + SZ_64K, SZ_4K)));
	CHECK_OK(rig_bind(vm, rig_unmap(cut - SZ_2M, SZ_4K)));
	check_mapped(vm, cut + SZ_4K, cut + SZ_2M, true);
	CHECK_OK(rig_bind(vm, rig_unmap(hole + SZ_64K, SZ_4K)));
	CHECK_OK(rig_bind(vm, rig_unmap(hole + SZ_2M - SZ_4K, 2 * SZ_4K)));
	CHECK_OK(rig_bind(vm, rig_unmap(hole + 4 * SZ_2M - SZ_4K, 2 * SZ_2M)));
	CHECK_OK(rig_bind(vm, rig_unmap(base, SZ_4K)));
	CHECK_OK(rig_bind(vm, rig_unmap(end - SZ_64K, SZ_64K)));
	memory(true);
	CHECK(index_has(vm, base + SZ_4K) && !index_has(vm, base));
	CHECK(index_has(vm, end - SZ_64K - SZ_4K) && !index_has(vm, end - SZ_64K));
	CHECK_OK(vm_rebind(vm, false));
	vm_check(vm);
	check_mapped(vm, base, base + SZ_4K, false);
	check_mapped(vm, base + SZ_4K, base + SZ_2M, true);
	check_mapped(vm, hole, hole + 4 * SZ_2M, true);
	check_mapped(vm, hole + 4 * SZ_2M, hole + 5 * SZ_2M, false);
	check_mapped(vm, hole + 5 * SZ_2M, hole + 7 * SZ_2M, true);
	check_mapped(vm, end - SZ_2M, end - SZ_64K, true);
	check_mapped(vm, end - SZ_64K, end, false);
	/* The same again, with memory. */
	CHECK_OK(rig_bind(vm, rig_unmap(hole + 4 * SZ_2M - SZ_4K, 2 * SZ_2M)));
	check_mapped(vm, hole + 3 * SZ_2M, hole + 4 * SZ_2M - SZ_4K, true);
	check_mapped(vm, hole + 4 * SZ_2M - SZ_4K, hole + 6 * SZ_2M - SZ_4K, false);
	check_mapped(vm, hole + 6 * SZ_2M - SZ_4K, hole + 7 * SZ_2M, true);
	CHECK_OK(rig_bind(vm, rig_unmap(0, (uint64_t)1 << 48)));
	CHECK_EQ(vm->index.count, 0);
	CHECK_EQ(vm->pt.tables, 1);
	rig_vm_done(vm);
	device_destroy(device);
}

/* ---- evicted mappings ------------------------------------------------------------------------ */

struct bench {
	struct device *device;
	struct vm *vm;
	struct bo *bo, *batch; /* 4 MiB; a spinning batch that waits for a dword of @bo */
	struct exec_queue *queue;
};

#define AT SZ_1G
#define FLAG (SZ_2M + SZ_64K)

static void bench_begin(struct bench *b, unsigned flags)
{
	b->device = rig_device(SCHEDULE_NORMAL);
	b->vm = rig_vm(b->device, flags);
	b->bo = rig_bo(b->device, 2 * SZ_2M, MEM_VRAM);
	b->batch = rig_bo(b->device, SZ_64K, MEM_SYSTEM);
	b->queue = rig_queue(b->device, b->vm, RIG_RENDER);
	CHECK_OK(rig_bind(b->vm, rig_map(b->bo, AT, 0, 2 * SZ_2M)));
	CHECK_OK(rig_bind(b->vm, rig_map(b->batch, BATCH_AT, 0, SZ_64K)));
	rig_batch_spin(b->batch, 0, BATCH_AT, AT + FLAG);
}

static void bench_end(struct bench *b)
{
	rig_queue_done(b->queue);
	rig_vm_done(b->vm);
	bo_put(b->bo);
	bo_put(b->batch);
	device_destroy(b->device);
}

static void unmap_poor(struct bench *b, uint64_t offset, uint64_t range)
{
	memory(false);
	CHECK_OK(rig_bind(b->vm, rig_unmap(AT + offset, range)));
	memory(true);
}

static void check_stamp(struct bench *b, uint64_t offset)
{
	uint64_t value;

	CHECK_OK(rig_load64(b->vm, AT + offset, &value));
	CHECK_EQ(value, rig_stamp(b->bo, offset / SZ_4K));
}

static bool has_evicted(struct vm *vm)
{
	bool has;

	port_rwlock_rdlock(&vm->lock);
	has = vm_has_evicted(vm);
	port_rwlock_rdunlock(&vm->lock);
	return has;
}

static void test_A24_close_while_evicted(void)
{
	struct bench b;

	bench_begin(&b, 0);
	unmap_poor(&b, SZ_4K, SZ_4K);
	CHECK(!rig_mapped(b.vm, AT) && index_has(b.vm, AT));
	unmap_poor(&b, SZ_2M, SZ_2M / 2);
	vm_close(b.vm);
	CHECK(!has_evicted(b.vm));
	bench_end(&b);
}

/* Without memory the submission fails, the mapping stays evicted, and the next one succeeds. */
static void test_A24_exec_says_that_there_is_no_memory(void)
{
	struct bench b;
	struct fence *fence;

	bench_begin(&b, 0);
	rig_write32(b.bo, FLAG, 0);
	unmap_poor(&b, SZ_2M + SZ_4K, SZ_4K);
	for (uint64_t nth = 1; nth <= 4; nth++) {
		port_fault_set(PORT_FAULT_ALLOC, nth, true);
		if (rig_exec(b.queue, BATCH_AT, NULL, &fence) == 0) {
			CHECK(nth > 2); /* the job, and the table */
			rig_wait(fence);
		}
		memory(true);
	}
	CHECK_OK(rig_exec_wait(b.queue, BATCH_AT));
	check_stamp(&b, SZ_2M);
	CHECK(!rig_mapped(b.vm, AT + SZ_2M + SZ_4K));
	bench_end(&b);
}

/* ---- beside pending binds -------------------------------------------------------------------- */

/* Lets the main thread begin to wait, then signals and writes. */
struct later {
	struct fence *fence; /* may be NULL */
	struct bo *bo;       /* whose flag is cleared; may be NULL */
	bool memory;         /* comes back */
	struct port_thread *thread;
};

static void later_run(void *arg)
{
	struct later *later = arg;

	for (unsigned i = 0; i < 20; i++) {
		scene_nap();
	}
	if (later->memory) {
		memory(true);
	}
	if (later->bo) {
		rig_write32(later->bo, FLAG, 0);
	}
	if (later->fence) {
		fence_signal(later->fence, 0);
	}
}

static void later_start(struct later *later)
{
	CHECK_OK(port_thread_create(&later->thread, "later", later_run, later));
}

enum before {
	SAME_PLACE, /* a bind of the range, on another queue */
	SAME_QUEUE, /* a bind elsewhere, on the same queue */
	IN_FENCE,   /* the list's own in-fence */
};

/* Without memory an unmap waits in the call for what it would be queued behind. */
static void wait_for(enum before before)
{
	struct bind_op unmap = rig_unmap(AT + SZ_4K, SZ_64K);
	struct fence *first = NULL, *out = NULL;
	struct bind_queue *other;
	struct later later;
	struct bench b;

	bench_begin(&b, 0);
	CHECK_OK(bind_queue_create(b.vm, &other));
	later = (struct later){ .fence = rig_fence(b.device) };
	if (before != IN_FENCE) {
		first = rig_bind_async(b.vm, before == SAME_PLACE ? other : NULL,
				       rig_map(b.bo, before == SAME_PLACE ? AT : 8 * AT, SZ_2M,
					       SZ_2M),
				       later.fence);
		CHECK(!fence_is_signalled(first));
	}
	later_start(&later);
	memory(false);
	CHECK_OK(rig_bind_list(b.vm, NULL, &unmap, 1, before == IN_FENCE ? later.fence : NULL,
			       &out));
	CHECK(fence_is_signalled(later.fence));
	CHECK(!first || fence_is_signalled(first));
	memory(true);
	CHECK(fence_is_signalled(out));
	port_thread_join(later.thread);
	CHECK_OK(vm_rebind(b.vm, false));
	CHECK(!rig_mapped(b.vm, AT + SZ_4K) && !rig_mapped(b.vm, AT + SZ_64K));
	CHECK(rig_mapped(b.vm, AT) && rig_mapped(b.vm, AT + SZ_64K + SZ_4K));
	vm_check(b.vm);
	fence_put(out);
	fence_put(first);
	fence_put(later.fence);
	bind_queue_put(other);
	bench_end(&b);
}

static void test_A24_waits_for_a_bind_of_the_same_place(void)
{
	wait_for(SAME_PLACE);
}

static void test_A24_waits_for_the_bind_before_it(void)
{
	wait_for(SAME_QUEUE);
}

static void test_A24_waits_for_its_in_fence(void)
{
	wait_for(IN_FENCE);
}

/* What is evicted while a bind of the same place is pending is made whole after that, unawaited. */
static void test_A24_rebind_comes_after_pending_binds(void)
{
	struct bind_queue *other;
	struct fence *in, *first, *rebound;
	struct bench b;

	bench_begin(&b, 0);
	CHECK_OK(bind_queue_create(b.vm, &other));
	unmap_poor(&b, SZ_4K, SZ_4K);
	in = rig_fence(b.device);
	first = rig_bind_async(b.vm, other, rig_map(b.bo, AT + SZ_64K, SZ_2M, SZ_64K), in);
	CHECK_OK(vm_rebind(b.vm, false));
	rebound = vm_rebind_fence(b.vm);
	CHECK(!fence_is_signalled(rebound));
	rig_fence_done(in);
	CHECK_OK(fence_wait(rebound, PORT_FOREVER, 0));
	CHECK(fence_is_signalled(first));
	fence_put(rebound);
	check_stamp(&b, 0);
	check_stamp(&b, 2 * SZ_64K);
	CHECK(!rig_mapped(b.vm, AT + SZ_4K) && rig_mapped(b.vm, AT + SZ_64K));
	vm_check(b.vm);
	fence_put(first);
	bind_queue_put(other);
	bench_end(&b);
}

/* ---- beside running work --------------------------------------------------------------------- */

/* The job reads through the entry that has to go: it is waited for. */
static void test_A24_waits_for_running_work(void)
{
	struct fence *job;
	struct later later;
	struct bench b;

	bench_begin(&b, 0);
	rig_write32(b.bo, FLAG, 1);
	CHECK_OK(rig_exec(b.queue, BATCH_AT, NULL, &job));
	later = (struct later){ .bo = b.bo };
	later_start(&later);
	unmap_poor(&b, SZ_2M + SZ_4K, SZ_4K);
	CHECK(fence_is_signalled(job));
	CHECK_OK(fence_error(job));
	CHECK_OK(exec_queue_error(b.queue));
	port_thread_join(later.thread);
	CHECK(!rig_mapped(b.vm, AT + FLAG) && !rig_mapped(b.vm, AT + SZ_2M + SZ_4K));
	CHECK_OK(rig_exec_wait(b.queue, BATCH_AT));
	CHECK(rig_mapped(b.vm, AT + FLAG) && !rig_mapped(b.vm, AT + SZ_2M + SZ_4K));
	fence_put(job);
	bench_end(&b);
}

/* So is a long-running one, by suspending it; it goes on when the mapping has been made whole. */
static void long_running_finds_it_again(bool memory_later, uint64_t naps)
{
	struct later later;
	struct fence *job;
	struct bench b;

	bench_begin(&b, VM_LR);
	rig_write32(b.bo, FLAG, 1);
	CHECK_OK(rig_exec(b.queue, BATCH_AT, NULL, &job));
	while (naps--) {
		scene_nap(); /* so that the job is somewhere else */
	}
	later = (struct later){ .memory = memory_later };
	later_start(&later);
	for (uint64_t i = 0; i < (memory_later ? 1 : 3); i++) {
		memory(false);
		CHECK_OK(rig_bind(b.vm, rig_unmap(AT + SZ_2M + (2 * i + 1) * SZ_4K, SZ_4K)));
		if (!memory_later) {
			memory(true);
		}
		CHECK(!fence_is_signalled(job));
		while (has_evicted(b.vm)) { /* its resume sees to it */
			CHECK(!fence_is_signalled(job));
			scene_nap();
		}
	}
	CHECK(!fence_is_signalled(job));
	CHECK(rig_mapped(b.vm, AT + SZ_2M) && !rig_mapped(b.vm, AT + SZ_2M + SZ_4K));
	rig_write32(b.bo, FLAG, 0);
	CHECK_OK(fence_wait(job, PORT_FOREVER, 0));
	CHECK_OK(fence_error(job));
	CHECK_OK(exec_queue_error(b.queue));
	port_thread_join(later.thread);
	memory(true);
	fence_put(job);
	bench_end(&b);
}

static void finds_it_again(uint64_t seed)
{
	long_running_finds_it_again(false, seed % 8);
}

static void tries_until_there_is_memory(uint64_t seed)
{
	long_running_finds_it_again(true, seed % 8);
}

static void test_A24_long_running_work_finds_it_again(void)
{
	test_seeds(finds_it_again, 1, test_scale(100));
}

static void test_A24_long_running_work_tries_until_there_is_memory(void)
{
	test_seeds(tries_until_there_is_memory, 1, test_scale(100));
}

static void rebind(void *arg)
{
	CHECK_OK(vm_rebind(arg, false));
}

/* As a resume may whose queue is killed meanwhile: nothing is written into a closed VM (L11). */
static void close_seed(uint64_t seed)
{
	struct port_thread *thread;
	struct bench b;

	bench_begin(&b, VM_LR);
	unmap_poor(&b, SZ_2M + SZ_4K, SZ_4K);
	CHECK_OK(port_thread_create(&thread, "rebind", rebind, b.vm));
	for (uint64_t i = 0; i < seed % 4; i++) {
		port_relax();
	}
	vm_close(b.vm);
	port_thread_join(thread);
	CHECK(!rig_mapped(b.vm, AT + FLAG));
	CHECK(!has_evicted(b.vm));
	bench_end(&b);
}

static void test_L11_close_beside_a_rebind(void)
{
	test_seeds(close_seed, 1, test_scale(500));
}

/* The user fence of a long-running submission goes through an entry that had been given up. */
static void test_A24_user_fence_of_long_running_work(void)
{
	uint64_t batch = BATCH_AT;
	struct exec_args args = { .batches = &batch, .has_ufence = true,
				  .ufence_addr = AT + SZ_64K, .ufence_value = 7 };
	struct fence *job;
	uint64_t value;
	struct bench b;

	bench_begin(&b, VM_LR);
	rig_write32(b.bo, FLAG, 1);
	CHECK_OK(exec_submit(b.queue, &args, &job));
	scene_nap();
	unmap_poor(&b, SZ_4K, SZ_4K);
	CHECK(!rig_mapped(b.vm, AT + SZ_64K));
	rig_write32(b.bo, FLAG, 0);
	CHECK_OK(fence_wait(job, PORT_FOREVER, 0));
	CHECK_OK(fence_error(job));
	CHECK_OK(exec_queue_error(b.queue));
	CHECK_OK(rig_load64(b.vm, AT + SZ_64K, &value));
	CHECK_EQ(value, 7);
	fence_put(job);
	bench_end(&b);
}

static const struct test_case cases[] = {
	TEST(test_A24_P2_alternate_unbinds),
	TEST(test_A24_P2_alternate_unbinds_of_null),
	TEST(test_A24_P2_alternate_unbinds_in_lists),
	TEST(test_A24_P2_alternate_unbinds_long_running),
	TEST(test_A24_B26_alternate_unbinds_in_evicted_tables),
	TEST(test_A24_P2_alternate_unbinds_64k),
	TEST(test_A24_P2_ragged_edges_of_a_sparse_giant),
	TEST(test_A24_close_while_evicted),
	TEST(test_A24_exec_says_that_there_is_no_memory),
	TEST(test_A24_waits_for_a_bind_of_the_same_place),
	TEST(test_A24_waits_for_the_bind_before_it),
	TEST(test_A24_waits_for_its_in_fence),
	TEST(test_A24_rebind_comes_after_pending_binds),
	TEST(test_A24_waits_for_running_work),
	TEST(test_A24_long_running_work_finds_it_again),
	TEST(test_A24_long_running_work_tries_until_there_is_memory),
	TEST(test_A24_user_fence_of_long_running_work),
	TEST(test_L11_close_beside_a_rebind),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
