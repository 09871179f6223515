// SPDX-License-Identifier: MIT
/* Reservations of objects: what binds leave on them, and who uses them. */
#include "rig.h"

#define BATCH 0x100000
#define FLAG 0x800 /* in the batch's object: spinners end when it is 0 */

/* So many unfinished fences a reader up to @usage finds on @bo. */
static unsigned on(struct bo *bo, enum resv_usage usage)
{
	unsigned n;

	resv_lock(&bo->resv);
	CHECK_EQ(bo->resv.reserved, 0);
	n = resv_collect(&bo->resv, usage, NULL, 0);
	resv_unlock(&bo->resv);
	return n;
}

static struct bind_op failing(void)
{
	struct bind_op op = rig_map_null(SZ_1G, SZ_64K);

	op.inject_error = true;
	return op;
}

static unsigned places(struct bo *bo)
{
	unsigned n;

	resv_lock(&bo->resv);
	n = bo->resv.count;
	resv_unlock(&bo->resv);
	return n;
}

static void test_B17_a_pending_bind_leaves_its_fence_on_its_objects(void)
{
	struct device *device = rig_device(SCHEDULE_NORMAL);
	struct vm *vm = rig_vm(device, 0);
	struct fence *in = rig_fence(device), *out;
	struct bind_op list[4];
	struct bo *bo[5];

	for (unsigned i = 0; i < ARRAY_LEN(bo); i++) {
		bo[i] = rig_bo(device, SZ_64K, MEM_SYSTEM);
		CHECK_OK(rig_bind(vm, rig_map(bo[i], i * SZ_64K, 0, SZ_64K)));
		CHECK_EQ(on(bo[i], RESV_BOOKKEEP), 0); /* it ran in the call */
	}
	/* Mapped over, cut, unmapped by the object; and one that none of it touches. */
	list[0] = rig_map(bo[1], 0, 0, SZ_64K);
	list[1] = rig_unmap(2 * SZ_64K, SZ_4K);
	list[2] = rig_unmap_bo(bo[3]);
	list[3] = failing();
	CHECK_ERR(rig_bind_list(vm, NULL, list, 4, in, &out), -ENOSPC);
	for (unsigned i = 0; i < ARRAY_LEN(bo); i++) {
		CHECK_EQ(on(bo[i], RESV_BOOKKEEP), 0);
	}
	CHECK_OK(rig_bind_list(vm, NULL, list, 3, in, &out));
	for (unsigned i = 0; i < ARRAY_LEN(bo); i++) {
		CHECK_EQ(on(bo[i], RESV_BOOKKEEP), i < 4);
		CHECK_EQ(on(bo[i], RESV_READ), 0);
		CHECK_EQ(resv_is_idle(&bo[i]->resv, RESV_BOOKKEEP), i == 4);
	}
	fence_put(out);
	/* The next one of the queue takes its place. */
	CHECK_OK(rig_bind_list(vm, NULL, list, 1, in, &out));
	CHECK_EQ(on(bo[1], RESV_BOOKKEEP), 1);
	CHECK_ERR(resv_wait(&bo[1]->resv, bo[1]->mem->sync, RESV_BOOKKEEP, 0, 0), -ETIMEDOUT);
	rig_fence_done(in);
	CHECK_OK(resv_wait(&bo[1]->resv, bo[1]->mem->sync, RESV_BOOKKEEP, PORT_FOREVER, 0));
	CHECK(fence_is_signalled(out));
	fence_put(out);
	rig_vm_done(vm);
	for (unsigned i = 0; i < ARRAY_LEN(bo); i++) {
		CHECK_EQ(on(bo[i], RESV_BOOKKEEP), 0);
		/* Nor do they keep what has signalled, when who has signalled it is done. */
		while (places(bo[i])) {
			port_relax();
		}
		bo_put(bo[i]);
	}
	device_destroy(device);
}

/* An object on which there is no place left without memory. */
static struct bo *crowded_bo(struct device *device)
{
	struct bo *bo = rig_bo(device, SZ_64K, MEM_SYSTEM);

	for (unsigned i = 0; i < RESV_FEW; i++) {
		struct fence *fence = fence_create(&device->sync, FENCE_DMA);

		CHECK(fence);
		resv_lock(&bo->resv);
		CHECK_OK(resv_reserve(&bo->resv, 1));
		resv_add(&bo->resv, fence, RESV_WRITE);
		resv_unlock(&bo->resv);
		fence_put(fence);
	}
	return bo;
}

/* From allocation @nth on there is no memory. */
static int bind_without_memory(struct device *device, uint64_t nth)
{
	struct vm *vm = rig_vm(device, 0);
	struct fence *in = rig_fence(device), *out = NULL;
	struct bind_op list[6];
	struct bo *bo[6];
	int ret;

	for (unsigned i = 0; i < ARRAY_LEN(bo); i++) {
		bo[i] = crowded_bo(device);
		list[i] = rig_map(bo[i], i * SZ_64K, 0, SZ_64K);
	}
	port_fault_set(PORT_FAULT_ALLOC, nth, true);
	ret = rig_bind_list(vm, NULL, list, ARRAY_LEN(list), in, &out);
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	for (unsigned i = 0; i < ARRAY_LEN(bo); i++) {
		CHECK_EQ(on(bo[i], RESV_BOOKKEEP), RESV_FEW + (ret == 0));
	}
	fence_put(out);
	rig_fence_done(in);
	rig_vm_done(vm);
	for (unsigned i = 0; i < ARRAY_LEN(bo); i++) {
		bo_put(bo[i]);
	}
	return ret;
}

static void test_R6_a_list_has_all_its_places_or_none(void)
{
	struct device *device = rig_device(SCHEDULE_NORMAL);
	uint64_t nth = 1;

	while (bind_without_memory(device, nth)) {
		nth++;
	}
	CHECK(nth > 6);
	device_destroy(device);
}

/* A spinner of its own for each queue; they end when their object's flag is cleared. */
struct spinner {
	struct bo *batch;
	struct exec_queue *queue;
	struct fence *fence;
};

static void spin(struct spinner *s, struct device *device, struct vm *vm, unsigned engine)
{
	uint64_t addr = BATCH + engine * SZ_64K;

	s->batch = rig_bo(device, SZ_64K, MEM_SYSTEM);
	s->queue = rig_queue(device, vm, engine);
	rig_write32(s->batch, FLAG, 1);
	rig_batch_spin(s->batch, 0, addr, addr + FLAG);
	CHECK_OK(rig_bind(vm, rig_map(s->batch, addr, 0, SZ_64K)));
	CHECK_OK(rig_exec(s->queue, addr, NULL, &s->fence));
}

static void stop(struct spinner *s)
{
	rig_write32(s->batch, FLAG, 0);
	rig_wait(s->fence);
}

static void test_B13_B14_a_submission_is_found_through_the_spaces_that_map_the_object(void)
{
	struct device *device = rig_device(SCHEDULE_NORMAL);
	struct vm *vm[3];
	struct bo *bo = rig_bo(device, SZ_64K, MEM_SYSTEM);
	struct spinner s[4];
	struct fence *users, *in = rig_fence(device), *out;

	for (unsigned i = 0; i < 3; i++) {
		vm[i] = rig_vm(device, 0);
	}
	users = vm_bo_users(bo);
	CHECK(users && fence_is_signalled(users));
	fence_put(users);
	for (unsigned i = 0; i < 2; i++) { /* twice in each, not in the third */
		CHECK_OK(rig_bind(vm[i], rig_map(bo, SZ_1G, 0, SZ_64K)));
		CHECK_OK(rig_bind(vm[i], rig_map(bo, 2 * SZ_1G, 0, SZ_64K)));
	}
	for (unsigned i = 0; i < 4; i++) {
		spin(&s[i], device, vm[i < 2 ? 0 : i - 1], i);
	}
	/* B18: what clients ask for is not that. */
	CHECK_EQ(on(bo, RESV_BOOKKEEP), 0);
	out = rig_bind_async(vm[2], NULL, rig_map(bo, 0, 0, SZ_64K), in);
	CHECK(on(bo, RESV_BOOKKEEP) == 1 && on(bo, RESV_READ) == 0);
	users = vm_bo_users(bo);
	/* The third space maps it from the publication on. */
	CHECK(users && fence_part_count(users) == 5);
	for (unsigned i = 0; i < 4; i++) {
		CHECK(!fence_is_signalled(users));
		stop(&s[i]);
	}
	CHECK(!fence_is_signalled(users));
	rig_fence_done(in);
	rig_wait(out);
	rig_wait(users); /* by who signals the last of them, just after it */
	for (unsigned i = 0; i < 4; i++) {
		rig_queue_done(s[i].queue);
	}
	for (unsigned i = 0; i < 3; i++) {
		rig_vm_done(vm[i]);
	}
	for (unsigned i = 0; i < 4; i++) {
		bo_put(s[i].batch);
	}
	bo_put(bo);
	device_destroy(device);
}

/* Does @bo have users who have not ended? A look, which suspends nobody. */
static bool in_use(struct bo *bo)
{
	struct fence *users = vm_bo_users(bo);
	bool used = users && !fence_is_signalled(users);

	CHECK(users && fence_part_count(users) == 1 && users->kind == FENCE_DMA);
	fence_put(users);
	return used;
}

/* B19: long-running work promises to leave, not to end. */
static void test_B13_B19_the_users_of_an_object_are_a_dma_fence(void)
{
	struct device *device = rig_device(SCHEDULE_NORMAL);
	struct bo *bo = rig_bo(device, SZ_64K, MEM_SYSTEM);
	struct spinner s[3];
	struct fence *users;
	struct vm *vm[3];

	for (unsigned i = 0; i < 3; i++) {
		vm[i] = rig_vm(device, i ? VM_LR : 0);
		CHECK_OK(rig_bind(vm[i], rig_map(bo, SZ_1G, 0, SZ_64K)));
		spin(&s[i], device, vm[i], i);
		while (!in_use(s[i].batch)) {
			port_relax();
		}
	}
	users = vm_bo_users(bo);
	CHECK(users && users->kind == FENCE_DMA && fence_part_count(users) == 3);
	CHECK_ERR(fence_wait(users, port_now_ns() + 1000000, 0), -ETIMEDOUT);
	stop(&s[0]);
	rig_wait(users);
	CHECK(!fence_is_signalled(s[1].fence) && !fence_is_signalled(s[2].fence));
	for (unsigned i = 0; i < 3; i++) {
		if (i) {
			stop(&s[i]);
		}
		rig_queue_done(s[i].queue);
		rig_vm_done(vm[i]);
		bo_put(s[i].batch);
	}
	bo_put(bo);
	device_destroy(device);
}

/* ---- against a fence on every object --------------------------------------------------------- */

#define SPACES 4
#define SHARED 6
#define STEPS 60
#define SUBMISSIONS 64

/*
 * The naive way beside ours: each submission leaves its fence on every object its VM maps. What a
 * reader finds there, of VMs that still map the object, it must find through the active sets.
 */
struct naive {
	struct device *device;
	struct vm *vm[SPACES];
	struct exec_queue *queue[SPACES][2];
	struct bo *batch, *bo[SHARED];
	bool mapped[SPACES][SHARED];
	struct {
		unsigned vm;
		bool on[SHARED];
		struct fence *in, *out;
	} job[SUBMISSIONS];
	unsigned jobs;
	uint64_t random;
};

static unsigned draw(struct naive *n, unsigned below)
{
	n->random = n->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(n->random >> 33) % below;
}

static void naive_init(struct naive *n, uint64_t seed)
{
	*n = (struct naive){ .random = seed, .device = rig_device(SCHEDULE_NORMAL) };
	n->batch = rig_bo(n->device, SZ_64K, MEM_SYSTEM);
	rig_batch_stores(n->batch, 0, NULL, NULL, 0);
	for (unsigned i = 0; i < SHARED; i++) {
		n->bo[i] = rig_bo(n->device, SZ_64K, MEM_SYSTEM);
	}
	for (unsigned v = 0; v < SPACES; v++) {
		n->vm[v] = rig_vm(n->device, 0);
		CHECK_OK(rig_bind(n->vm[v], rig_map(n->batch, BATCH, 0, SZ_64K)));
		for (unsigned q = 0; q < 2; q++) {
			n->queue[v][q] = rig_queue(n->device, n->vm[v], q);
		}
	}
}

static void submit(struct naive *n)
{
	unsigned v = draw(n, SPACES), j = n->jobs++;

	n->job[j].vm = v;
	memcpy(n->job[j].on, n->mapped[v], sizeof(n->job[j].on));
	n->job[j].in = rig_fence(n->device);
	CHECK_OK(rig_exec(n->queue[v][draw(n, 2)], BATCH, n->job[j].in, &n->job[j].out));
}

static void let_go(struct naive *n)
{
	unsigned j = draw(n, n->jobs + 1);

	if (j < n->jobs && n->job[j].in) {
		rig_fence_done(n->job[j].in); /* it runs when those before it on its queue have */
		n->job[j].in = NULL;
	}
}

static void map_or_unmap(struct naive *n)
{
	unsigned v = draw(n, SPACES), i = draw(n, SHARED);
	uint64_t addr = SZ_1G + i * SZ_64K;

	CHECK_OK(rig_bind(n->vm[v], n->mapped[v][i] ? rig_unmap(addr, SZ_64K)
						    : rig_map(n->bo[i], addr, 0, SZ_64K)));
	n->mapped[v][i] = !n->mapped[v][i];
}

/* Does @users stand for @fence: is it, or a later one of its queue, among them? */
static bool stands_for(struct fence *users, const struct fence *fence)
{
	for (unsigned i = 0; i < fence_part_count(users); i++) {
		const struct fence *part = fence_part(users, i);

		if (part->context == fence->context && part->seqno >= fence->seqno) {
			return true;
		}
	}
	return fence_is_signalled(fence);
}

static void compare(struct naive *n, unsigned i)
{
	struct fence *users = vm_bo_users(n->bo[i]);

	CHECK(users);
	for (unsigned j = 0; j < n->jobs; j++) {
		if (n->job[j].on[i] && n->mapped[n->job[j].vm][i]) {
			CHECK(stands_for(users, n->job[j].out));
		}
	}
	/* And nobody else is waited for: no job of a VM that does not map it. */
	for (unsigned p = 0; p < fence_part_count(users) && !fence_is_signalled(users); p++) {
		const struct fence *part = fence_part(users, p);

		for (unsigned j = 0; j < n->jobs; j++) {
			CHECK(n->job[j].out != part || n->mapped[n->job[j].vm][i]);
		}
	}
	fence_put(users);
}

static void naive_seed(uint64_t seed)
{
	struct naive n;

	naive_init(&n, seed);
	for (unsigned step = 0; step < STEPS; step++) {
		switch (draw(&n, 4)) {
		case 0:
			submit(&n);
			break;
		case 1:
			let_go(&n);
			break;
		default:
			map_or_unmap(&n);
		}
		compare(&n, draw(&n, SHARED));
	}
	for (unsigned j = 0; j < n.jobs; j++) {
		if (n.job[j].in) {
			rig_fence_done(n.job[j].in);
		}
		rig_wait(n.job[j].out);
	}
	for (unsigned v = 0; v < SPACES; v++) {
		rig_queue_done(n.queue[v][0]);
		rig_queue_done(n.queue[v][1]);
		rig_vm_done(n.vm[v]);
	}
	for (unsigned i = 0; i < SHARED; i++) {
		bo_put(n.bo[i]);
	}
	bo_put(n.batch);
	device_destroy(n.device);
}

static void test_P1_users_are_those_of_a_fence_on_every_object(void)
{
	test_seeds(naive_seed, 1, test_scale(200));
}

static const struct test_case cases[] = {
	TEST(test_B17_a_pending_bind_leaves_its_fence_on_its_objects),
	TEST(test_R6_a_list_has_all_its_places_or_none),
	TEST(test_B13_B14_a_submission_is_found_through_the_spaces_that_map_the_object),
	TEST(test_B13_B19_the_users_of_an_object_are_a_dma_fence),
	TEST(test_P1_users_are_those_of_a_fence_on_every_object),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
