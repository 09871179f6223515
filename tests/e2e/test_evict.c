// SPDX-License-Identifier: MIT
/*
 * Objects that move: who goes when VRAM is full, who waits for whom, and what happens to the bytes.
 * VRAM has memory of its own here, so that whoever is too early or too late reads rubbish.
 */
#include "rig.h"

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
		CHECK(device->mem.region[MEM_VRAM].used_B <= VRAM);
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
	struct user u[4];

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
	user_fini(&u[3]);
	user_init(&u[3], device, 0, 4);
	user_round(&u[3]);
	CHECK_EQ(user_in_vram(&u[1]), 0);
	CHECK_EQ(user_in_vram(&u[2]) + user_in_vram(&u[0]), 4);
	user_round(&u[2]);
	user_round(&u[1]); /* takes its place back */
	CHECK_EQ(user_in_vram(&u[0]), 0);
	CHECK_EQ(user_in_vram(&u[2]) + user_in_vram(&u[3]), 6);
	for (unsigned i = 0; i < 4; i++) {
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
	user_round(&u[2]);
	user_fini(&u[0]); /* now it is u[1]'s, which is older than u[2] */
	user_init(&u[0], device, 0, 4);
	user_round(&u[0]);
	CHECK(user_in_vram(&u[2]) == 3 && user_in_vram(&u[0]) == 4);
	user_round(&u[1]);
	CHECK(in_vram(shared));
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
static unsigned crowd(enum device_schedule schedule, unsigned without, unsigned n_rounds)
{
	struct device *device = rig_device_moving(schedule, VRAM);
	struct user u[USERS];
	unsigned wrong = 0;

	device->vm_env.without = without;
	for (unsigned i = 0; i < USERS; i++) {
		user_init(&u[i], device, 0, 6);
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

static void crowd_seed(uint64_t seed)
{
	static const enum device_schedule schedules[] = {
		SCHEDULE_NORMAL, SCHEDULE_EAGER, SCHEDULE_LAZY, SCHEDULE_ADVERSARIAL,
	};

	CHECK_EQ(crowd(schedules[seed % 4], 0, 20), 0);
}

static void test_class_29_spaces_that_thrash_all_progress(void)
{
	test_seeds(crowd_seed, 1, test_scale(60));
}

static unsigned taken_away, seen;

static void guard_seed(uint64_t seed)
{
	seen += crowd(SCHEDULE_ADVERSARIAL, taken_away, 10) != 0;
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

static const struct test_case cases[] = {
	TEST(test_L03_two_spaces_take_turns_in_vram),
	TEST(test_B16_the_least_recently_used_goes),
	TEST(test_L05_a_shared_object_is_as_recent_as_its_last_user),
	TEST(test_A20_a_flexible_object_goes_to_system_memory),
	TEST(test_class_29_spaces_that_thrash_all_progress),
	TEST(test_P5_without_clears_old_bytes_are_seen),
	TEST(test_P5_without_kernel_fences_jobs_come_too_early),
	TEST(test_P5_frames_that_are_freed_early_are_somebody_elses),
	TEST(test_P1_without_the_mark_a_space_runs_on_old_entries),
	TEST(test_P1_without_the_collection_memory_goes_under_a_job),
	TEST(test_P1_without_the_recheck_a_validation_is_out_of_date),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
