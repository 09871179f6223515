// SPDX-License-Identifier: MIT
/*
 * Objects that move: who goes when VRAM is full, who waits for whom, and what happens to the bytes.
 * VRAM has memory of its own here, so that whoever is too early or too late reads rubbish.
 */
#include "rig.h"
#include "vm/change.h"
#include "vm/move.h"

#define BATCH 0x100000
#define RESULTS 0x8000 /* in the batch's object */
#define OBJECTS 0x10000000
#define VRAM ((uint64_t)512 << 10)

/* ---- a VM that uses all of its objects in each submission ------------------------------------ */

#define OBJECTS_MAX 8

struct user {
	struct device *device;
	struct vm *vm;
	struct exec_queue *queue;
	struct bo *batch, *bo[OBJECTS_MAX];
	uint64_t addr[OBJECTS_MAX];
	unsigned count;
	uint32_t version;     /* in all objects; 0: cleared */
	unsigned rounds;
	unsigned wrong;       /* bytes, or faults */
	struct port_thread *thread;
};

static struct bo *new_bo(struct device *device, uint64_t size_B, uint32_t placement)
{
	struct bo *bo = NULL;
	int ret = bo_create(&device->mem, size_B, placement, &bo);

	CHECK(!ret || test_injected());
	return bo;
}

static void user_init(struct user *u, struct device *device, unsigned flags, unsigned count)
{
	*u = (struct user){ .device = device, .count = count };
	u->vm = rig_vm(device, flags);
	u->queue = rig_queue(device, u->vm, RIG_RENDER);
	u->batch = rig_bo(device, SZ_64K, MEM_SYSTEM);
	CHECK_OK(rig_bind(u->vm, rig_map(u->batch, BATCH, 0, SZ_64K)));
	for (unsigned i = 0; i < count; i++) {
		u->bo[i] = new_bo(device, SZ_64K, BIT(MEM_VRAM));
		u->addr[i] = OBJECTS + i * SZ_64K;
		CHECK_OK(rig_bind(u->vm, rig_map(u->bo[i], u->addr[i], 0, SZ_64K)));
	}
}

static void user_fini(struct user *u)
{
	rig_queue_done(u->queue);
	rig_vm_done(u->vm);
	for (unsigned i = 0; i < u->count; i++) {
		bo_put(u->bo[i]);
	}
	bo_put(u->batch);
}

/* Every object is read and gets the next version; *fence_out is the job's. 0 or -errno. */
static int user_submit(struct user *u, struct fence **fence_out)
{
	rig_batch_swap(u->batch, 0, u->addr, u->count, BATCH + RESULTS, u->version + 1);
	return rig_exec(u->queue, BATCH, NULL, fence_out);
}

/* The job of the last submission has ended: was everything as it should be? */
static void user_check(struct user *u, struct fence *fence)
{
	if (fence_error(fence)) {
		u->wrong++; /* a fault: the queue is lost */
		return;
	}
	for (unsigned i = 0; i < u->count; i++) {
		u->wrong += rig_read32(u->batch, RESULTS + 4 * i) != u->version;
	}
	u->version++;
}

static void user_round(struct user *u)
{
	struct fence *fence;
	int ret = user_submit(u, &fence);

	CHECK_OK(ret);
	CHECK_OK(fence_wait(fence, PORT_FOREVER, 0));
	user_check(u, fence);
	fence_put(fence);
}

static bool in_vram(const struct bo *bo)
{
	return bo->place && bo->place->region->device;
}

static unsigned user_in_vram(const struct user *u)
{
	unsigned n = 0;

	for (unsigned i = 0; i < u->count; i++) {
		n += in_vram(u->bo[i]);
	}
	return n;
}

/* ---- who goes ------------------------------------------------------------------------------- */

static void test_L03_two_spaces_take_turns_in_vram(void)
{
	struct device *device = rig_device_moving(SCHEDULE_NORMAL, VRAM);
	struct user u[2];

	user_init(&u[0], device, 0, 6);
	user_init(&u[1], device, 0, 6);
	for (unsigned i = 0; i < 10; i++) {
		user_round(&u[i % 2]);
		CHECK_EQ(user_in_vram(&u[i % 2]), 6);
		CHECK_EQ(user_in_vram(&u[1 - i % 2]), 2); /* no more goes than has to */
			vm_check(u[i % 2].vm);
	}
	CHECK_EQ(u[0].wrong + u[1].wrong, 0);
	user_fini(&u[0]);
	user_fini(&u[1]);
	device_destroy(device); /* finds all frames given back */
}

/* Whoever submitted last stays; nobody's objects go first. */
static void test_B16_the_least_recently_used_goes(void)
{
	struct device *device = rig_device_moving(SCHEDULE_NORMAL, VRAM);
	struct bo *idle = new_bo(device, SZ_64K, BIT(MEM_VRAM));
	struct user u[5];

	CHECK_OK(bo_back(idle));
	for (unsigned i = 0; i < 3; i++) {
		user_init(&u[i], device, 0, 2);
	}
	user_round(&u[1]);
	user_round(&u[2]);
	user_round(&u[0]);
	CHECK(in_vram(idle) && user_in_vram(&u[1]) == 2); /* 7 of 8 pages */
	user_init(&u[3], device, 0, 2);
	user_round(&u[3]);
	CHECK(!in_vram(idle) && user_in_vram(&u[1]) == 2);
	user_init(&u[4], device, 0, 2);
	user_round(&u[4]);
	CHECK_EQ(user_in_vram(&u[1]), 0);
	CHECK_EQ(user_in_vram(&u[2]) + user_in_vram(&u[0]), 4);
	user_round(&u[2]);
	user_round(&u[1]); /* takes its place back */
	CHECK_EQ(user_in_vram(&u[0]), 0);
	CHECK_EQ(user_in_vram(&u[2]) + user_in_vram(&u[3]), 4);
	for (unsigned i = 0; i < 5; i++) {
		CHECK_EQ(u[i].wrong, 0);
		user_fini(&u[i]);
	}
	bo_put(idle);
	device_destroy(device);
}

/* What two VMs map is as new as the newer of the two, without a submission ever saying so. */
static void test_L05_a_shared_object_is_as_recent_as_its_last_user(void)
{
	struct device *device = rig_device_moving(SCHEDULE_NORMAL, VRAM);
	struct bo *shared = new_bo(device, SZ_64K, BIT(MEM_VRAM));
	struct user u[3];

	for (unsigned i = 0; i < 2; i++) {
		user_init(&u[i], device, 0, 3);
		CHECK_OK(rig_bind(u[i].vm, rig_map(shared, 0x20000000, 0, SZ_64K)));
		user_round(&u[i]);
	}
	user_round(&u[0]);
	user_init(&u[2], device, 0, 3);
	user_round(&u[2]); /* 10 pages: two of u[1]'s have to go */
	CHECK_EQ(user_in_vram(&u[1]), 1);
	CHECK(in_vram(shared) && user_in_vram(&u[0]) == 3);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(u[i].wrong, 0);
		user_fini(&u[i]);
	}
	bo_put(shared);
	device_destroy(device);
}

/* An object that may be in either place gives way to one that may not, and needs no way back. */
static void test_A20_a_flexible_object_goes_to_system_memory(void)
{
	struct device *device = rig_device_moving(SCHEDULE_NORMAL, VRAM);
	struct bo *flexible = new_bo(device, 4 * SZ_64K, BIT(MEM_VRAM) | BIT(MEM_SYSTEM));
	uint64_t used_B;
	struct user u;

	user_init(&u, device, 0, 6);
	CHECK_OK(rig_bind(u.vm, rig_map(flexible, 0x20000000, 0, 4 * SZ_64K)));
	CHECK_EQ(user_in_vram(&u), 6);
	CHECK(!in_vram(flexible));
	user_fini(&u);
	bo_put(flexible);
	device_destroy(device); /* when it is gone everybody has let go */

	device = rig_device_moving(SCHEDULE_NORMAL, VRAM);
	flexible = new_bo(device, 4 * SZ_64K, BIT(MEM_VRAM) | BIT(MEM_SYSTEM));
	CHECK_OK(bo_back(flexible));
	CHECK(in_vram(flexible));
	user_init(&u, device, 0, 6);
	used_B = device->mem.region[MEM_SYSTEM].used_B;
	CHECK_OK(rig_bind(u.vm, rig_map(flexible, 0x20000000, 0, 4 * SZ_64K)));
	user_round(&u);
	user_round(&u);
	CHECK(user_in_vram(&u) == 6 && !in_vram(flexible));
	CHECK_EQ(device->mem.region[MEM_SYSTEM].used_B, used_B + 4 * SZ_64K);
	CHECK_EQ(u.wrong, 0);
	user_fini(&u);
	bo_put(flexible);
	device_destroy(device);
}

/* What is cut while its object is elsewhere is made whole in all its parts. */
static void test_L04_parts_of_an_evicted_mapping_come_back(void)
{
	struct device *device = rig_device_moving(SCHEDULE_NORMAL, VRAM);
	struct bo *bo = new_bo(device, 4 * SZ_64K, BIT(MEM_VRAM) | BIT(MEM_SYSTEM));
	uint64_t ids[4] = { 11, 22, 33, 44 }, id;
	struct gpu_fault fault;
	struct user u[2];

	user_init(&u[0], device, 0, 2);
	CHECK_OK(rig_bind(u[0].vm, rig_map(bo, SZ_1G, 0, 4 * SZ_64K)));
	user_init(&u[1], device, 0, 8);
	for (unsigned i = 0; i < 4; i++) {
		CHECK_OK(device_access(device, u[0].vm, SZ_1G + i * SZ_64K + 8, &ids[i], 8,
				       GPU_WRITE, &fault));
	}
	user_round(&u[1]);
	CHECK(user_in_vram(&u[0]) == 0 && !in_vram(bo));
	CHECK_OK(rig_bind(u[0].vm, rig_unmap(SZ_1G + SZ_64K, SZ_64K)));
	CHECK_OK(rig_bind(u[0].vm, rig_unmap(SZ_1G + 4 * SZ_64K - SZ_4K, SZ_64K)));
	for (unsigned i = 0; i < 4; i++) {
		CHECK_ERR(device_access(device, u[0].vm, SZ_1G + i * SZ_64K + 8, &id, 8, GPU_READ,
					&fault), i == 1 ? -EFAULT : 0);
		CHECK(i == 1 || id == ids[i]);
	}
	CHECK(user_in_vram(&u[0]) == 2 && !in_vram(bo));
	vm_check(u[0].vm);
	bo_put(bo);
	user_fini(&u[0]);
	user_fini(&u[1]);
	device_destroy(device);
}

/* Who needs room does not wait for a bind that waits for its client, if others can go. */
static void test_P1_a_parked_bind_does_not_hold_up_evictions(void)
{
	struct device *device = rig_device_moving(SCHEDULE_NORMAL, VRAM);
	struct fence *in, *out;
	struct user u[2];

	user_init(&u[0], device, 0, 6);
	user_init(&u[1], device, 0, 5);
	user_round(&u[0]);
	in = rig_fence(device);
	out = rig_bind_async(u[0].vm, NULL, rig_unmap(OBJECTS, 2 * SZ_64K), in);
	user_round(&u[1]);
	CHECK(user_in_vram(&u[1]) == 5 && in_vram(u[0].bo[0]) && in_vram(u[0].bo[1]));
	CHECK(!fence_is_signalled(out));
	rig_fence_done(in);
	rig_wait(out);
	CHECK_EQ(u[1].wrong, 0);
	user_fini(&u[0]);
	user_fini(&u[1]);
	device_destroy(device);
}

/* A prefetch brings all objects of its range where they may be, and makes room for them. */
static void test_L04_a_prefetch_moves_what_it_covers(void)
{
	struct device *device = rig_device_moving(SCHEDULE_NORMAL, VRAM);
	uint32_t either = BIT(MEM_VRAM) | BIT(MEM_SYSTEM);
	struct bind_op prefetch = { .kind = BIND_PREFETCH, .addr = 0, .range = (uint64_t)1 << 40 };
	struct user u[2];
	struct bo *bo[2];
	uint64_t id;
	struct gpu_fault fault;

	user_init(&u[1], device, 0, 8);
	user_round(&u[1]);
	user_init(&u[0], device, 0, 2);
	for (unsigned i = 0; i < 2; i++) {
		bo[i] = new_bo(device, SZ_64K, either);
		CHECK_OK(rig_bind(u[0].vm, rig_map(bo[i], SZ_1G + 2 * i * SZ_64K, 0, SZ_64K)));
		CHECK_OK(device_access(device, u[0].vm, SZ_1G + 2 * i * SZ_64K, &bo[i]->id, 8,
				       GPU_WRITE, &fault));
	}
	for (unsigned i = 0; i < 4; i++) {
		prefetch.prefetch_region = i % 2 ? MEM_SYSTEM : MEM_VRAM;
		CHECK_OK(rig_bind(u[0].vm, prefetch));
		CHECK(in_vram(bo[0]) == !(i % 2) && in_vram(bo[1]) == !(i % 2));
		CHECK_EQ(user_in_vram(&u[0]), 2);
		for (unsigned k = 0; k < 2; k++) {
			CHECK_OK(device_access(device, u[0].vm, SZ_1G + 2 * k * SZ_64K, &id, 8,
					       GPU_READ, &fault));
			CHECK_EQ(id, bo[k]->id);
		}
	}
	user_round(&u[0]);
	user_round(&u[1]);
	CHECK_EQ(u[0].wrong + u[1].wrong, 0);
	user_fini(&u[0]);
	user_fini(&u[1]);
	bo_put(bo[0]);
	bo_put(bo[1]);
	device_destroy(device);
}

/* Two VMs with 7 and 8 objects of a page, in VRAM of 8 pages. */
static void test_usage_tells_what_was_evicted(void)
{
	struct device *device = rig_device_moving(SCHEDULE_NORMAL, VRAM);
	struct vm_usage usage;
	struct user u[2];

	user_init(&u[0], device, 0, 7);
	/* A second time, and NULL, which is no object. */
	CHECK_OK(rig_bind(u[0].vm, rig_map(u[0].bo[0], SZ_1G, 0, SZ_64K)));
	CHECK_OK(rig_bind(u[0].vm, rig_map_null(2 * SZ_1G, SZ_2M)));
	user_round(&u[0]);
	vm_usage(u[0].vm, &usage);
	CHECK_EQ(usage.mappings, 10); /* with the batch */
	CHECK_EQ(usage.mapped_B, 9 * SZ_64K + SZ_2M);
	CHECK(usage.bo_B == 8 * SZ_64K && usage.vram_B == 7 * SZ_64K && usage.evicted == 0);
	user_init(&u[1], device, 0, 8);
	user_round(&u[1]);
	vm_usage(u[1].vm, &usage);
	CHECK(usage.bo_B == 9 * SZ_64K && usage.vram_B == 8 * SZ_64K && usage.evicted == 0);
	vm_usage(u[0].vm, &usage);
	CHECK(usage.bo_B == 8 * SZ_64K && usage.vram_B == 0 && usage.evicted == 8);
	/* Two parts of a mapping are two. */
	CHECK_OK(rig_bind(u[0].vm, rig_unmap(SZ_1G + SZ_4K, SZ_4K)));
	vm_usage(u[0].vm, &usage);
	CHECK(usage.mappings == 11 && usage.evicted == 9);
	CHECK_EQ(usage.mapped_B, 9 * SZ_64K + SZ_2M - SZ_4K);
	user_round(&u[0]);
	vm_usage(u[0].vm, &usage);
	CHECK(usage.bo_B == 8 * SZ_64K && usage.vram_B == 7 * SZ_64K && usage.evicted == 0);
	CHECK_OK(rig_bind(u[0].vm, rig_unmap(0, 4 * SZ_1G)));
	vm_usage(u[0].vm, &usage);
	CHECK(!usage.mappings && !usage.mapped_B && !usage.bo_B && !usage.vram_B);
	CHECK_EQ(u[0].wrong + u[1].wrong, 0);
	user_fini(&u[0]);
	user_fini(&u[1]);
	device_destroy(device);
}

/* ---- page tables ----------------------------------------------------------------------------- */

#define ALIASES 100
#define ALIAS_AT(i) (4 * SZ_1G + (uint64_t)(i) * SZ_2M) /* each needs a table of its own */

static struct device *table_device(enum device_schedule schedule)
{
	const struct mem_config mem = {
		.system_B = (uint64_t)1 << 20, /* 256 pages: the tables of two VMs */
		.vram_B = VRAM,
		.vram_min_page_B = SZ_64K,
		.vram_copies = true,
	};

	return rig_device_with_memory(&mem, schedule);
}

static void tables_init(struct user *u, unsigned n, struct device *device)
{
	for (unsigned v = 0; v < n; v++) {
		user_init(&u[v], device, 0, 2);
	}
	for (unsigned v = 0; v < n; v++) {
		for (unsigned i = 0; i < ALIASES; i++) {
			CHECK_OK(rig_bind(u[v].vm, rig_map(u[v].bo[0], ALIAS_AT(i), 0, SZ_4K)));
		}
	}
}

/* A round, and what the GPU reads of it through some of the other tables. */
static void tables_round(struct user *u, unsigned n)
{
	struct gpu_fault fault;
	uint32_t value;

	user_round(u);
	for (unsigned i = 0; i < 4 && !u->wrong; i++) {
		CHECK_OK(device_access(u->device, u->vm, ALIAS_AT((n + 25 * i) % ALIASES), &value,
				       sizeof(value), GPU_READ, &fault));
		u->wrong += value != u->version;
	}
}

static void tables_rounds(void *arg)
{
	struct user *u = arg;

	while (u->rounds-- && !u->wrong) {
		tables_round(u, u->rounds);
	}
}

/* Three VMs have tables for which system memory is too small; binds go on where they are away. */
static void test_B26_tables_give_way_to_those_of_others(void)
{
	struct device *device = table_device(SCHEDULE_NORMAL);
	struct vm_usage usage[2];
	struct user u[3];

	tables_init(u, 3, device);
	CHECK(vm_has_evicted(u[0].vm) && pt_has_evicted(&u[0].vm->pt));
	CHECK(!rig_mapped(u[0].vm, ALIAS_AT(0)));
	vm_usage(u[0].vm, &usage[0]);
	user_round(&u[0]);
	vm_usage(u[0].vm, &usage[1]);
	CHECK_EQ(usage[0].page_tables_B, usage[1].page_tables_B);
	CHECK(usage[0].page_table_frames_B < usage[1].page_table_frames_B);
	CHECK(usage[1].page_table_frames_B < usage[1].page_tables_B);
	for (unsigned i = 0; i < 12; i++) {
		tables_round(&u[i % 3], i);
		CHECK(!pt_has_evicted(&u[i % 3].vm->pt));
		CHECK(pt_has_evicted(&u[(i + 1) % 3].vm->pt));
		CHECK_OK(rig_bind(u[(i + 1) % 3].vm, rig_unmap(ALIAS_AT(99 - i), SZ_4K)));
		CHECK_OK(rig_bind(u[(i + 1) % 3].vm,
				  rig_map(u[(i + 1) % 3].bo[0], ALIAS_AT(99 - i), 0, SZ_4K)));
		vm_check(u[(i + 1) % 3].vm);
	}
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(u[i].wrong, 0);
		user_fini(&u[i]);
	}
	device_destroy(device);
}

#define FLAG 0x800 /* in the batch's object: the spinner ends when it is 0 */

static void clear_flag(void *arg)
{
	struct user *u = arg;

	for (unsigned i = 0; i < 50; i++) {
		port_relax();
	}
	rig_write32(u->batch, FLAG, 0);
}

/* Who runs is waited for; who has looked before it runs looks again. */
static void test_P1_tables_do_not_go_under_a_job(void)
{
	struct device *device = rig_device_moving(SCHEDULE_NORMAL, VRAM);
	struct port_thread *thread;
	struct fence *job;
	struct user u;
	uint64_t seq;

	user_init(&u, device, 0, 2);
	rig_write32(u.batch, FLAG, 1);
	rig_batch_spin(u.batch, 0, BATCH, BATCH + FLAG);
	CHECK_OK(rig_exec(u.queue, BATCH, NULL, &job));
	seq = active_seq(u.vm->active);
	CHECK_OK(port_thread_create(&thread, "flag", clear_flag, &u));
	port_rwlock_wrlock(&device->vm_env.evict_lock);
	CHECK(vm_evict_tables(u.vm, UINT64_MAX) > 0);
	CHECK(fence_is_signalled(job) && !fence_error(job));
	CHECK(active_seq(u.vm->active) != seq && vm_has_evicted(u.vm));
	port_rwlock_wrunlock(&device->vm_env.evict_lock);
	port_thread_join(thread);
	fence_put(job);
	user_round(&u);
	CHECK_EQ(u.wrong, 0);
	user_fini(&u);
	device_destroy(device);
}

static void tables_seed(uint64_t seed)
{
	struct device *device = table_device(seed % 2 ? SCHEDULE_NORMAL : SCHEDULE_ADVERSARIAL);
	struct user u[3];

	tables_init(u, 3, device);
	for (unsigned i = 0; i < 3; i++) {
		u[i].rounds = 8;
		CHECK_OK(port_thread_create(&u[i].thread, "tables", tables_rounds, &u[i]));
	}
	for (unsigned i = 0; i < 3; i++) {
		port_thread_join(u[i].thread);
		CHECK_EQ(u[i].wrong, 0);
	}
	for (unsigned i = 0; i < 3; i++) {
		user_fini(&u[i]);
	}
	device_destroy(device);
}

static void test_B26_spaces_that_thrash_for_tables_all_progress(void)
{
	test_seeds(tables_seed, 1, test_scale(30));
}

/* ---- what keeps bytes right ------------------------------------------------------------------ */

static void rounds(void *arg)
{
	struct user *u = arg;

	while (u->rounds-- && !u->wrong) {
		user_round(u);
	}
}

#define USERS 3

/* Three VMs, each with three quarters of VRAM, submit beside one another. How much was wrong? */
static unsigned crowd(enum device_schedule schedule, unsigned without, unsigned n_rounds,
		      unsigned lr)
{
	struct device *device = rig_device_moving(schedule, VRAM);
	struct user u[USERS];
	unsigned wrong = 0;

	device->vm_env.without = without;
	for (unsigned i = 0; i < USERS; i++) {
		user_init(&u[i], device, lr & BIT(i) ? VM_LR : 0, 6);
		u[i].rounds = n_rounds;
	}
	for (unsigned i = 0; i < USERS; i++) {
		CHECK_OK(port_thread_create(&u[i].thread, "user", rounds, &u[i]));
	}
	for (unsigned i = 0; i < USERS; i++) {
		port_thread_join(u[i].thread);
		wrong += u[i].wrong;
	}
	for (unsigned i = 0; i < USERS; i++) {
		user_fini(&u[i]);
	}
	device_destroy(device);
	return wrong;
}

static const enum device_schedule all_schedules[] = {
	SCHEDULE_NORMAL, SCHEDULE_EAGER, SCHEDULE_LAZY, SCHEDULE_ADVERSARIAL,
};

static void crowd_seed(uint64_t seed)
{
	CHECK_EQ(crowd(all_schedules[seed % 4], 0, 20, 0), 0);
}

static void test_class_29_spaces_that_thrash_all_progress(void)
{
	test_seeds(crowd_seed, 1, test_scale(60));
}

/* Some of them long-running, or all: they are suspended, and none keeps another out (B19). */
static void long_running_crowd_seed(uint64_t seed)
{
	CHECK_EQ(crowd(all_schedules[seed % 4], 0, 20, 1 + seed / 4 % (BIT(USERS) - 1)), 0);
}

static void test_B19_long_running_spaces_take_turns_in_vram(void)
{
	test_seeds(long_running_crowd_seed, 1, test_scale(84));
}

static unsigned taken_away, seen;

static void guard_seed(uint64_t seed)
{
	seen += crowd(SCHEDULE_ADVERSARIAL, taken_away, 10, 0) != 0;
}

/* Each of them is needed: without it bytes are wrong, sooner or later. */
static void needs(enum vm_guard guard)
{
	seen = 0;
	taken_away = guard;
	/* Only the simulator can be made to try enough. */
	test_seeds(guard_seed, 1, test_is_sim() ? 60 : 0);
	CHECK(!test_is_sim() || seen);
}

static void test_P5_without_clears_old_bytes_are_seen(void)
{
	needs(GUARD_CLEAR);
}

static void test_P5_without_kernel_fences_jobs_come_too_early(void)
{
	needs(GUARD_KERNEL);
}

static void test_P5_frames_that_are_freed_early_are_somebody_elses(void)
{
	needs(GUARD_FREE);
}

static void test_P1_without_the_mark_a_space_runs_on_old_entries(void)
{
	needs(GUARD_MARK);
}

static void test_P1_without_the_collection_memory_goes_under_a_job(void)
{
	needs(GUARD_COLLECT);
}

static void test_P1_without_the_recheck_a_validation_is_out_of_date(void)
{
	needs(GUARD_RECHECK);
}

/* ---- failures ------------------------------------------------------------------------------- */

/* A submission that may fail once something was injected; then it works without. */
static struct fence *try_submit(struct user *u)
{
	struct fence *fence = NULL;
	int ret = user_submit(u, &fence);

	if (ret) {
		CHECK(test_injected() && (ret == -ENOMEM || ret == -EINTR));
		vm_check(u->vm);
		test_injection_off();
		CHECK_OK(user_submit(u, &fence));
	}
	return fence;
}

static void end_round(struct user *u, struct fence *fence)
{
	CHECK_OK(fence_wait(fence, PORT_FOREVER, 0));
	user_check(u, fence);
	fence_put(fence);
	CHECK_EQ(u->wrong, 0);
	vm_check(u->vm);
}

/* Two VMs, each of which submits before the other's job has ended. */
static void failing_moves(void *arg)
{
	const enum device_schedule *schedule = arg;
	const struct test_injection *injected = test_injection();
	struct device *device;
	struct fence *fence, *next;
	struct user u[2];

	port_fault_set(injected ? injected->point : PORT_FAULT_ALLOC, 0, false);
	device = rig_device_moving(*schedule, VRAM);
	user_init(&u[0], device, 0, 6);
	user_init(&u[1], device, 0, 5);
	CHECK_OK(user_submit(&u[0], &fence));
	if (injected) {
		port_fault_set(injected->point, injected->nth, injected->for_ever);
	}
	for (unsigned i = 0; i < 4; i++) {
		next = try_submit(&u[1 - i % 2]);
		end_round(&u[i % 2], fence);
		fence = next;
	}
	test_injection_off();
	end_round(&u[0], fence);
	for (unsigned i = 0; i < 2; i++) {
		user_round(&u[i]);
		CHECK_EQ(u[i].wrong, 0);
		user_fini(&u[i]);
	}
	device_destroy(device);
}

/* Again without what was injected, if it struck. */
static void try_bind(struct user *u, struct bind_op op)
{
	int ret = rig_bind(u->vm, op);

	if (ret) {
		CHECK(test_injected() && (ret == -ENOMEM || ret == -EINTR || ret == -ENOSPC));
		vm_check(u->vm);
		test_injection_off();
		CHECK_OK(rig_bind(u->vm, op));
	}
}

/* Tables that are taken away and come back, binds in them meanwhile, and a prefetch to and fro. */
static void failing_tables(void *arg)
{
	const struct test_injection *injected = test_injection();
	struct bind_op prefetch = { .kind = BIND_PREFETCH, .addr = SZ_1G, .range = SZ_1G };
	struct device *device;
	struct fence *fence;
	struct user u[2];
	struct bo *bo;

	port_fault_set(injected ? injected->point : PORT_FAULT_ALLOC, 0, false);
	device = rig_device_moving(SCHEDULE_NORMAL, VRAM);
	user_init(&u[0], device, 0, 4);
	user_init(&u[1], device, 0, 6);
	bo = new_bo(device, SZ_64K, BIT(MEM_VRAM) | BIT(MEM_SYSTEM));
	CHECK_OK(rig_bind(u[0].vm, rig_map(bo, SZ_1G, 0, SZ_64K)));
	user_round(&u[1]);
	if (injected) {
		port_fault_set(injected->point, injected->nth, injected->for_ever);
	}
	for (unsigned i = 0; i < 2; i++) {
		port_rwlock_wrlock(&device->vm_env.evict_lock);
		(void)vm_evict_tables(u[0].vm, UINT64_MAX); /* as many as there is memory for */
		port_rwlock_wrunlock(&device->vm_env.evict_lock);
		try_bind(&u[0], rig_map(bo, SZ_1G + SZ_2M, 0, SZ_4K));
		prefetch.prefetch_region = i ? MEM_SYSTEM : MEM_VRAM;
		try_bind(&u[0], prefetch);
		CHECK_EQ(in_vram(bo), !i);
		try_bind(&u[0], rig_unmap(SZ_1G + SZ_2M, SZ_2M));
		fence = try_submit(&u[0]);
		end_round(&u[0], fence);
		CHECK(!pt_has_evicted(&u[0].vm->pt) && user_in_vram(&u[0]) == 4);
	}
	test_injection_off();
	user_round(&u[1]);
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(u[i].wrong, 0);
		user_fini(&u[i]);
	}
	bo_put(bo);
	device_destroy(device);
}

static void test_B26_tables_and_prefetches_without_memory(void)
{
	CHECK(test_sweep(PORT_FAULT_ALLOC, failing_tables, NULL) > 60);
	CHECK(test_sweep(PORT_FAULT_SLEEP, failing_tables, NULL) > 1);
}

static void test_L03_moves_without_memory_fail_whole(void)
{
	static enum device_schedule schedules[] = { SCHEDULE_NORMAL, SCHEDULE_LAZY };

	for (unsigned i = 0; i < ARRAY_LEN(schedules); i++) {
		CHECK(test_sweep(PORT_FAULT_ALLOC, failing_moves, &schedules[i]) > 40);
		CHECK(test_sweep(PORT_FAULT_SLEEP, failing_moves, &schedules[i]) > 1);
	}
}

/* Both memories are full: a bind makes room as long as something may go, and says so when not. */
static void test_A20_no_room_anywhere(void)
{
	struct device *device = rig_device_moving(SCHEDULE_NORMAL, VRAM);
	struct region *system = &device->mem.region[MEM_SYSTEM];
	uint32_t either = BIT(MEM_VRAM) | BIT(MEM_SYSTEM);
	struct bo *hog, *idle, *first, *second;
	struct user u;

	user_init(&u, device, 0, 4);
	user_round(&u);
	idle = new_bo(device, 4 * SZ_64K, BIT(MEM_VRAM));
	CHECK_OK(bo_back(idle));
	first = new_bo(device, 3 * SZ_64K, either);
	second = new_bo(device, 3 * SZ_64K, either);
	hog = new_bo(device, align_down(system->size_B - system->used_B - 2 * SZ_64K, SZ_64K),
		     BIT(MEM_SYSTEM));
	CHECK_OK(bo_back(hog));
	CHECK_OK(rig_bind(u.vm, rig_map(first, SZ_1G, 0, 3 * SZ_64K)));
	CHECK(in_vram(first) && !in_vram(idle));
	CHECK_ERR(rig_bind(u.vm, rig_map(second, 2 * SZ_1G, 0, 3 * SZ_64K)), -ENOSPC);
	vm_check(u.vm);
	user_round(&u);
	CHECK_EQ(user_in_vram(&u), 4);
	CHECK_EQ(u.wrong, 0);
	user_fini(&u);
	bo_put(first);
	bo_put(second);
	bo_put(idle);
	bo_put(hog);
	device_destroy(device);
}

/* ---- beside binds and closes ----------------------------------------------------------------- */

#define SHARED_AT 0x20000000

struct crowd {
	struct device *device;
	struct user u[3]; /* the last one only needs room */
	struct bo *shared[3];
	uint64_t seed;
};

#define STAMP_AT 64 /* what never changes in a shared object: its id */

/* What is mapped now is what the GPU reads. */
static void check_stamps(struct crowd *c, struct vm *vm)
{
	struct vm_mapping m = { .end = SHARED_AT };

	while (vm_mapping_next(vm, m.end, &m)) {
		uint64_t stamp = 0;
		struct gpu_fault fault;

		if (m.offset == 0 && m.end - m.start > STAMP_AT) {
			CHECK_OK(device_access(c->device, vm, m.start + STAMP_AT, &stamp,
					       sizeof(stamp), GPU_READ, &fault));
			CHECK_EQ(stamp, m.bo_id);
		}
	}
}

/* Maps and unmaps objects that the other VM maps too, also in lists that fail in the end. */
static void bind_shared(void *arg)
{
	struct crowd *c = arg;
	struct vm *vm = c->u[1].vm;

	for (unsigned i = 0; i < 12; i++) {
		struct bo *bo = c->shared[(c->seed + i) % 3];
		struct bind_op list[3] = {
			rig_map(bo, SHARED_AT + (i % 4) * SZ_64K, 0, SZ_64K),
			rig_unmap(SHARED_AT + ((c->seed + i) % 4) * SZ_64K + SZ_4K, SZ_4K),
			rig_unmap_bo(c->shared[i % 3]),
		};
		struct vm_usage usage;
		struct fence *out;
		int ret;

		list[2].inject_error = (c->seed + i) % 2;
		ret = rig_bind_list(vm, NULL, list, 3, NULL, &out);
		CHECK_ERR(ret, list[2].inject_error ? -ENOSPC : 0);
		if (!ret) {
			rig_wait(out);
		}
		vm_check(vm);
		check_stamps(c, vm);
		/* The other one's mappings stay, wherever their objects are. */
		vm_usage(c->u[0].vm, &usage);
		CHECK(usage.mappings == 7 && usage.bo_B == 7 * SZ_64K);
		CHECK(usage.evicted <= 6 && usage.vram_B <= 6 * SZ_64K);
	}
}

static void shared_seed(uint64_t seed)
{
	struct crowd c = { .seed = seed };
	struct gpu_fault fault;

	c.device = rig_device_moving(seed % 2 ? SCHEDULE_NORMAL : SCHEDULE_ADVERSARIAL, VRAM);
	user_init(&c.u[0], c.device, 0, 3);
	user_init(&c.u[1], c.device, 0, 4);
	user_init(&c.u[2], c.device, 0, 7);
	for (unsigned i = 0; i < 3; i++) {
		c.shared[i] = new_bo(c.device, SZ_64K, BIT(MEM_VRAM));
		c.u[0].bo[3 + i] = c.shared[i];
		c.u[0].addr[3 + i] = SHARED_AT + i * SZ_64K;
		CHECK_OK(rig_bind(c.u[0].vm, rig_map(c.shared[i], c.u[0].addr[3 + i], 0, SZ_64K)));
		CHECK_OK(device_access(c.device, c.u[0].vm, c.u[0].addr[3 + i] + STAMP_AT,
				       &c.shared[i]->id, sizeof(uint64_t), GPU_WRITE, &fault));
	}
	c.u[0].count = 6;
	c.u[0].rounds = c.u[1].rounds = c.u[2].rounds = 10;
	CHECK_OK(port_thread_create(&c.u[0].thread, "user", rounds, &c.u[0]));
	CHECK_OK(port_thread_create(&c.u[1].thread, "user", rounds, &c.u[1]));
	CHECK_OK(port_thread_create(&c.u[2].thread, "user", rounds, &c.u[2]));
	bind_shared(&c);
	port_thread_join(c.u[2].thread);
	port_thread_join(c.u[1].thread);
	if (seed % 3 == 0) {
		user_fini(&c.u[1]); /* while its objects may be going and coming back */
	}
	port_thread_join(c.u[0].thread);
	if (seed % 3) {
		user_round(&c.u[1]);
		user_fini(&c.u[1]);
	}
	CHECK_EQ(c.u[0].wrong + c.u[1].wrong + c.u[2].wrong, 0);
	user_fini(&c.u[0]);
	user_fini(&c.u[2]);
	device_destroy(c.device);
}

/* Mappings of a shared object come and go while it is moved for and by another VM. */
static void test_class_05_binds_beside_moves_of_shared_objects(void)
{
	test_seeds(shared_seed, 1, test_scale(100));
}

/* The object is taken away while its mapping is out, on its way to being put back. */
static void test_L05_a_mapping_that_is_put_back_knows_of_moves(void)
{
	struct device *device = rig_device_moving(SCHEDULE_NORMAL, VRAM);
	uint64_t stamp = 0x1234, read;
	struct vma_change change;
	struct gpu_fault fault;
	struct fence *moved;
	struct place *to;
	struct user u;

	user_init(&u, device, 0, 1);
	CHECK_OK(device_access(device, u.vm, OBJECTS + 8, &stamp, 8, GPU_WRITE, &fault));
	change_init(&change);
	port_rwlock_wrlock(&u.vm->lock);
	resv_lock(&u.bo[0]->resv);
	change_remove_locked(u.vm, &change, vma_of_bo_locked(u.vm, u.bo[0]));
	CHECK_OK(place_create(u.bo[0], &device->mem.spill, &to));
	CHECK_OK(bo_move_locked(&device->vm_env, u.bo[0], to, &moved));
	resv_unlock(&u.bo[0]->resv);
	CHECK(!vm_has_evicted(u.vm));
	change_undo(u.vm, &change);
	CHECK(vm_has_evicted(u.vm));
	vma_index_settle(&u.vm->index);
	port_rwlock_wrunlock(&u.vm->lock);
	rig_wait(moved);
	CHECK_OK(device_access(device, u.vm, OBJECTS + 8, &read, 8, GPU_READ, &fault));
	CHECK_EQ(read, stamp);
	user_fini(&u);
	device_destroy(device);
}

static void close_it(void *arg)
{
	struct user *u = arg;

	rig_queue_done(u->queue);
	rig_vm_done(u->vm);
}

static void close_seed(uint64_t seed)
{
	struct device *device = rig_device_moving(SCHEDULE_ADVERSARIAL, VRAM);
	struct port_thread *thread;
	struct fence *fence;
	struct user u[2];

	user_init(&u[0], device, 0, 6);
	user_init(&u[1], device, 0, 6);
	CHECK_OK(rig_bind(u[1].vm, rig_map(u[0].bo[0], SHARED_AT, 0, SZ_64K)));
	CHECK_OK(rig_bind(u[1].vm, rig_unmap(SHARED_AT, SZ_64K)));
	CHECK_OK(user_submit(&u[0], &fence));
	CHECK_OK(port_thread_create(&thread, "close", close_it, &u[0]));
	for (uint64_t i = 0; i < seed % 8; i++) {
		port_relax();
	}
	user_round(&u[1]); /* takes the room that the other may be leaving */
	port_thread_join(thread);
	CHECK_EQ(u[1].wrong, 0);
	fence_put(fence);
	user_fini(&u[1]);
	for (unsigned i = 0; i < u[0].count; i++) {
		bo_put(u[0].bo[i]);
	}
	bo_put(u[0].batch);
	device_destroy(device);
}

/* A VM is closed while its objects are looked for and moved. */
static void test_class_09_close_beside_an_eviction(void)
{
	test_seeds(close_seed, 1, test_scale(200));
}

/* A submission waits for the moves of all objects it can reach, also of those that others share. */
static void test_class_18_a_submission_waits_for_moves_of_shared_objects(void)
{
	struct device *device = rig_device_moving(SCHEDULE_LAZY, VRAM);
	struct user u[2];

	user_init(&u[0], device, 0, 6);
	user_init(&u[1], device, 0, 2);
	/* The last two of u[1] are shared ones, at home in the other VM. */
	for (unsigned i = 0; i < 2; i++) {
		bo_put(u[1].bo[i]);
		CHECK_OK(rig_bind(u[1].vm, rig_map(u[0].bo[i], u[1].addr[i], 0, SZ_64K)));
		u[1].bo[i] = bo_get(u[0].bo[i]);
	}
	for (unsigned i = 0; i < 6; i++) {
		struct user big;

		user_init(&big, device, 0, 8);
		user_round(&big); /* everything else goes */
		CHECK_EQ(user_in_vram(&u[0]), 0);
		u[1].version = i;
		user_round(&u[1]);
		CHECK_EQ(u[1].wrong + big.wrong, 0);
		user_fini(&big);
	}
	user_fini(&u[0]);
	user_fini(&u[1]);
	device_destroy(device);
}

/* What has been evicted is closed, or unmapped, before anybody wants it again. */
static void test_class_30_what_is_gone_is_not_validated(void)
{
	struct device *device = rig_device_moving(SCHEDULE_NORMAL, VRAM);
	struct user u[2];

	user_init(&u[0], device, 0, 6);
	user_init(&u[1], device, 0, 6);
	user_round(&u[0]);
	user_round(&u[1]);
	CHECK(vm_has_evicted(u[0].vm));
	for (unsigned i = 0; i < 6; i++) {
		if (!in_vram(u[0].bo[i])) {
			CHECK_OK(rig_bind(u[0].vm, rig_unmap_bo(u[0].bo[i])));
		}
	}
	CHECK(!vm_has_evicted(u[0].vm));
	CHECK_OK(rig_exec_wait(u[0].queue, BATCH + rig_batch_stores(u[0].batch, 0, NULL, NULL, 0) -
					   sizeof(uint32_t)));
	CHECK_EQ(user_in_vram(&u[1]), 6);
	user_fini(&u[0]);
	user_fini(&u[1]);
	device_destroy(device);
}

static const struct test_case cases[] = {
	TEST(test_L03_two_spaces_take_turns_in_vram),
	TEST(test_B16_the_least_recently_used_goes),
	TEST(test_L05_a_shared_object_is_as_recent_as_its_last_user),
	TEST(test_A20_a_flexible_object_goes_to_system_memory),
	TEST(test_L04_parts_of_an_evicted_mapping_come_back),
	TEST(test_P1_a_parked_bind_does_not_hold_up_evictions),
	TEST(test_L04_a_prefetch_moves_what_it_covers),
	TEST(test_usage_tells_what_was_evicted),
	TEST(test_B26_tables_give_way_to_those_of_others),
	TEST(test_P1_tables_do_not_go_under_a_job),
	TEST(test_B26_spaces_that_thrash_for_tables_all_progress),
	TEST(test_class_29_spaces_that_thrash_all_progress),
	TEST(test_B19_long_running_spaces_take_turns_in_vram),
	TEST(test_P5_without_clears_old_bytes_are_seen),
	TEST(test_P5_without_kernel_fences_jobs_come_too_early),
	TEST(test_P5_frames_that_are_freed_early_are_somebody_elses),
	TEST(test_P1_without_the_mark_a_space_runs_on_old_entries),
	TEST(test_P1_without_the_collection_memory_goes_under_a_job),
	TEST(test_P1_without_the_recheck_a_validation_is_out_of_date),
	TEST(test_L03_moves_without_memory_fail_whole),
	TEST(test_B26_tables_and_prefetches_without_memory),
	TEST(test_A20_no_room_anywhere),
	TEST(test_class_05_binds_beside_moves_of_shared_objects),
	TEST(test_L05_a_mapping_that_is_put_back_knows_of_moves),
	TEST(test_class_09_close_beside_an_eviction),
	TEST(test_class_18_a_submission_waits_for_moves_of_shared_objects),
	TEST(test_class_30_what_is_gone_is_not_validated),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
