// SPDX-License-Identifier: MIT
/*
 * Every rule of docs/design.md, broken on purpose in a child that must abort with the rule's name,
 * both places and the objects. And that what keeps the rules passes.
 */
#include "rig.h"

#include "test_rules.h"
#include "vm/move.h"
#include "vm/vma.h"

#define BATCH 0x100000
#define DATA 0x800000
#define NOWHERE 0x40000000
#define AGE_NS ((uint64_t)2000000)

/* A device with one VM. */
struct bench {
	struct device *device;
	struct vm *vm;
	struct bo *bo;
	struct exec_queue *queue;
};

/* For callbacks. */
static struct bench *the_bench;
static struct fence *a_fence; /* nobody's */

static void bench_init(struct bench *b, uint64_t age_ns)
{
	memset(b, 0, sizeof(*b));
	the_bench = b;
	b->device = rig_device(SCHEDULE_NORMAL);
	CHECK(test_rules());
	test_rules()->age_ns = age_ns;
	b->vm = rig_vm(b->device, 0);
	b->bo = rig_bo(b->device, SZ_64K, MEM_SYSTEM);
	CHECK_OK(rig_bind(b->vm, rig_map(b->bo, BATCH, 0, SZ_64K)));
}

static void bench_fini(struct bench *b)
{
	if (b->queue) {
		rig_queue_done(b->queue);
	}
	rig_vm_done(b->vm);
	bo_put(b->bo);
	device_destroy(b->device);
}

/* @fn breaks @rule; @what of the message says how and with which objects. */
static void breaks(void (*fn)(void *arg), const char *rule, const char *what)
{
	test_expect_abort(fn, NULL, rule);
	test_expect_abort(fn, NULL, what);
	test_expect_abort(fn, NULL, "vmbind:   at ");
	test_expect_abort(fn, NULL, "vmbind:   and ");
}

/* ---- on the way to a signal ----------------------------------------------------------------- */

/* Calls @lost in the middle of a job that faults. */
static void in_a_job(void (*lost)(void *ctx, const struct device_lost *lost))
{
	struct fence *fence;
	struct bench b;

	bench_init(&b, RULES_AGE_NS);
	a_fence = rig_fence(b.device);
	b.device->lost = lost;
	b.queue = rig_queue(b.device, b.vm, RIG_RENDER);
	CHECK_OK(rig_exec(b.queue, NOWHERE, NULL, &fence));
	CHECK_OK(fence_wait(fence, PORT_FOREVER, 0));
	test_fail(__FILE__, __LINE__, "nobody has noticed");
}

static void lost_allocates(void *ctx, const struct device_lost *lost)
{
	port_free(port_alloc(16));
}

static void job_that_allocates(void *arg)
{
	in_a_job(lost_allocates);
}

static void publisher_that_allocates(void *arg)
{
	port_publishing_begin(7, 1);
	port_free(port_alloc(16));
}

static void test_R01_nothing_is_allocated_before_a_signal(void)
{
	breaks(job_that_allocates, "rule R1 broken: ",
	       "an allocation of 16 bytes inside a signalling section");
	test_expect_abort(job_that_allocates, NULL, "on the way to the signal of fence ");
	breaks(publisher_that_allocates, "rule R1 broken: ", "signal of fence 7:1\n");
}

static void lost_reserves(void *ctx, const struct device_lost *lost)
{
	resv_lock(&the_bench->bo->resv);
}

static void job_that_reserves(void *arg)
{
	in_a_job(lost_reserves);
}

static void wait_with_reservation(void *arg)
{
	struct fence *fence;
	struct bench b;

	bench_init(&b, RULES_AGE_NS);
	fence = rig_fence(b.device);
	resv_lock(&b.bo->resv);
	(void)fence_wait(fence, 1, 0);
}

static void test_R02_no_reservation_before_a_signal_nor_at_a_wait(void)
{
	breaks(job_that_reserves, "rule R2 broken: ",
	       "taking \"resv\" of object 1 (rank 8) while holding");
	test_expect_abort(job_that_reserves, NULL, "on the way to the signal of fence ");
	breaks(wait_with_reservation, "rule R2 broken: ",
	       ":1 is waited for while holding \"resv\" of object 1");
}

static void lost_waits(void *ctx, const struct device_lost *lost)
{
	(void)fence_wait(a_fence, 1, FENCE_WAIT_NO_HELP);
}

static void job_that_waits(void *arg)
{
	in_a_job(lost_waits);
}

static void test_R03_no_wait_before_a_signal(void)
{
	breaks(job_that_waits, "rule R3 broken: ", ":1 is waited for while holding \"fence wait\"");
	test_expect_abort(job_that_waits, NULL, "on the way to the signal of fence ");
}

static void wait_for_user_with_lock(void *arg)
{
	struct fence *fence;
	struct bench b;

	bench_init(&b, RULES_AGE_NS);
	fence = fence_create(&b.device->sync, FENCE_USER);
	port_rwlock_rdlock(&b.vm->lock);
	(void)fence_wait(fence, 1, 0);
}

static void test_R04_no_lock_at_a_wait_for_a_client(void)
{
	breaks(wait_for_user_with_lock, "rule R4 broken: ",
	       ":1, which a client may never signal, is waited for while holding \"vm\" of vm 1");
}

static void nothing_to_run(struct ready_item *item)
{
}

static void dma_on_long_running(void *arg)
{
	struct ready_item item = { .run = nothing_to_run };
	struct fence *own, *lr;
	struct deps deps;
	struct bench b;

	bench_init(&b, RULES_AGE_NS);
	own = rig_fence(b.device);
	lr = fence_create(&b.device->sync, FENCE_LR);
	CHECK_OK(deps_init(&deps, &b.device->sync, &item, 1));
	deps_add(&deps, lr);
	(void)deps_arm(&deps, own);
}

static void long_running_on_object(void *arg)
{
	struct bench b;

	bench_init(&b, RULES_AGE_NS);
	resv_lock(&b.bo->resv);
	CHECK_OK(resv_reserve(&b.bo->resv, 1));
	resv_add(&b.bo->resv, fence_create(&b.device->sync, FENCE_LR), RESV_BOOKKEEP);
}

static void test_R05_no_dma_fence_depends_on_a_client(void)
{
	breaks(dma_on_long_running, "rule R5 broken: ", "(long-running)");
	breaks(long_running_on_object, "rule R5 broken: ", ", which is no dma ");
}

/* ---- reservations --------------------------------------------------------------------------- */

static void add_without_a_place(void *arg)
{
	struct bench b;

	bench_init(&b, RULES_AGE_NS);
	resv_lock(&b.bo->resv);
	CHECK_OK(resv_reserve(&b.bo->resv, 1));
	resv_add(&b.bo->resv, rig_fence(b.device), RESV_READ);
	resv_add(&b.bo->resv, rig_fence(b.device), RESV_READ);
}

static void two_reservations(void *arg)
{
	struct bench b;
	struct bo *other;

	bench_init(&b, RULES_AGE_NS);
	other = rig_bo(b.device, SZ_4K, MEM_SYSTEM);
	resv_lock(&b.bo->resv);
	resv_lock(&other->resv);
}

static void test_P6_nobody_holds_two_reservations(void)
{
	breaks(two_reservations, "rule P6 broken: ",
	       "taking \"resv\" of object 2 (rank 8) while holding \"resv\" of object 1 ");
}

static void test_R06_a_place_is_reserved_before(void)
{
	breaks(add_without_a_place, "rule R6 broken: ", " is added to object 1 without a place");
}

static void demote(void *arg)
{
	struct fence *first, second;
	struct bench b;

	bench_init(&b, RULES_AGE_NS);
	b.device->sync.without = SYNC_GUARD_PROMOTE;
	first = rig_fence(b.device);
	fence_init(&second, &b.device->sync, FENCE_DMA, NULL, first->context, 2);
	resv_lock(&b.bo->resv);
	CHECK_OK(resv_reserve(&b.bo->resv, 2));
	resv_add(&b.bo->resv, first, RESV_WRITE);
	resv_add(&b.bo->resv, &second, RESV_BOOKKEEP);
}

static void test_R07_a_usage_is_only_promoted(void)
{
	breaks(demote, "rule R7 broken: on object 1 fence ", "usage 3, would take the place of ");
}

/* ---- client memory -------------------------------------------------------------------------- */

static void pin_with_reservation(void *arg)
{
	static char page[2 * SZ_4K];
	struct bench b;

	bench_init(&b, RULES_AGE_NS);
	resv_lock(&b.bo->resv);
	(void)port_user_populate((uintptr_t)page, SZ_4K, false);
}

static void test_R08_nothing_is_pinned_with_a_reservation(void)
{
	breaks(pin_with_reservation, "rule R8 broken: ",
	       "taking \"client memory\" (rank 6) while holding \"resv\" of object 1 (rank 8)");
	test_expect_abort(pin_with_reservation, NULL, "vmbind:   at client memory [0x");
}

static void quiesce_with_vm(struct userptr *userptr)
{
	port_rwlock_rdlock(&the_bench->vm->lock);
}

static void quiesce_with_reservation(struct userptr *userptr)
{
	resv_lock(&the_bench->bo->resv);
}

static void quiesce_with_memory(struct userptr *userptr)
{
	port_free(port_alloc(16));
}

static void zap(struct userptr *userptr)
{
}

static void in_a_notifier(void (*quiesce)(struct userptr *userptr))
{
	const struct userptr_ops ops = { .quiesce = quiesce, .zap = zap, .release = zap };
	void *mem = port_reserve(SZ_64K);
	struct userptr window;
	struct bench b;

	bench_init(&b, RULES_AGE_NS);
	CHECK_OK(userptr_init(&window, &b.device->mem, (uintptr_t)mem, SZ_64K, true, &ops));
	rig_client_drops(b.device, (uintptr_t)mem, SZ_64K);
}

static void notifier_with_vm(void *arg)
{
	in_a_notifier(quiesce_with_vm);
}

static void notifier_with_reservation(void *arg)
{
	in_a_notifier(quiesce_with_reservation);
}

static void notifier_with_memory(void *arg)
{
	in_a_notifier(quiesce_with_memory);
}

static void test_R09_a_notifier_takes_no_lock_of_who_pins(void)
{
	breaks(notifier_with_vm, "rule R9 broken: ", "taking \"vm\" of vm 1 ");
	breaks(notifier_with_reservation, "rule R9 broken: ", "taking \"resv\" of object 1 ");
	breaks(notifier_with_memory, "rule R9 broken: ",
	       "an allocation of 16 bytes while holding \"notifier\"");
	test_expect_abort(notifier_with_vm, NULL, "vmbind:   at client memory [0x");
}

/* ---- lifetimes ------------------------------------------------------------------------------ */

static void pages_go_early(void *arg)
{
	struct bench b;
	struct vma *vma;

	bench_init(&b, RULES_AGE_NS);
	port_rwlock_wrlock(&b.vm->lock);
	vma = vma_create(b.vm, SZ_2M, SZ_2M + SZ_4K, false);
	CHECK(vma);
	vma_set_pages(vma, VMA_CLEARED);
	vma_destroy(vma);
}

static void test_R10_pages_go_after_entries_and_translations(void)
{
	breaks(pages_go_early, "rule R10 broken: ",
	       "pages of [0x200000, 0x201000) in vm 1, object 0, are let go while "
	       "translations may lead there");
}

static void put_under_its_lock(void *arg)
{
	struct bench b;
	struct bo *bo;

	bench_init(&b, RULES_AGE_NS);
	bo = rig_bo(b.device, SZ_4K, MEM_SYSTEM);
	resv_lock(&bo->resv);
	bo_put(bo);
}

static void test_R11_the_last_reference_is_dropped_without_its_lock(void)
{
	breaks(put_under_its_lock, "rule R11 broken: ",
	       "the last reference to object 2 is dropped under its own lock");
}

static void walk_without_lock(void *arg)
{
	struct bo_users users;
	struct bench b;

	bench_init(&b, RULES_AGE_NS);
	(void)bo_take_users(b.bo, &users);
}

static void test_R12_a_list_is_walked_with_its_lock(void)
{
	/* Where it was taken last is the second place. */
	breaks(walk_without_lock, "rule R12 broken: ",
	       "the list \"mappings\" of 1 is walked without its lock \"resv\"");
}

static void wait_with_leaf(void *arg)
{
	struct fence *fence;
	struct bench b;

	bench_init(&b, RULES_AGE_NS);
	fence = rig_fence(b.device);
	port_mutex_lock(&b.vm->active->lock);
	(void)fence_wait(fence, 1, FENCE_WAIT_NO_HELP);
}

static void test_R13_no_wait_with_the_lock_of_a_list(void)
{
	breaks(wait_with_leaf, "rule R13 broken: ",
	       ":1 is waited for while holding \"vm.active\"");
}

/* ---- fences that do not come ---------------------------------------------------------------- */

/* A queue whose jobs may spin for ever. */
static struct fence *spin(struct bench *b)
{
	const uint8_t engine = RIG_RENDER;
	struct exec_queue_args args = {
		.vm = b->vm, .width = 1, .placements = 1, .engines = &engine,
		.job_timeout_ms = 1000000,
	};
	struct fence *fence;

	CHECK_OK(exec_queue_create(b->device, &args, &b->queue));
	rig_write32(b->bo, SZ_4K, 1);
	rig_batch_spin(b->bo, 0, BATCH, BATCH + SZ_4K);
	CHECK_OK(rig_exec(b->queue, BATCH, NULL, &fence));
	return fence;
}

static void fence_that_does_not_signal(void *arg)
{
	struct fence *fence, *after;
	struct bench b;

	bench_init(&b, AGE_NS);
	fence = spin(&b);
	/* What waits for it is not to blame. */
	after = rig_bind_async(b.vm, NULL, rig_map(b.bo, DATA, 0, SZ_64K), fence);
	CHECK_OK(fence_wait(after, PORT_FOREVER, FENCE_WAIT_NO_HELP));
}

static void arm(struct bench *b, struct deps *deps, struct ready_item *item, struct fence *own,
		struct fence *on)
{
	CHECK_OK(deps_init(deps, &b->device->sync, item, 1));
	deps_add(deps, on);
	(void)deps_arm(deps, own);
}

static void fences_in_a_circle(void *arg)
{
	struct ready_item item[3] = { { .run = nothing_to_run } };
	struct fence *fence[3];
	struct deps deps[3];
	struct bench b;

	bench_init(&b, RULES_AGE_NS);
	for (unsigned i = 0; i < 3; i++) {
		fence[i] = rig_fence(b.device);
	}
	for (unsigned i = 0; i < 3; i++) {
		arm(&b, &deps[i], &item[i], fence[i], fence[(i + 1) % 3]);
	}
}

static void test_R14_fences_signal_in_bounded_time(void)
{
	breaks(fence_that_does_not_signal, "rule R14 broken: ",
	       " waits for nothing and has not signalled for ");
	test_expect_abort(fence_that_does_not_signal, NULL, "unfinished: job 1 of queue 1 (fence ");
	breaks(fences_in_a_circle, "rule R14 broken: ", "for which would wait ");
}

static void test_R14_who_waits_for_a_client_is_not_to_blame(void)
{
	struct fence *clients, *after;
	struct bench b;

	bench_init(&b, AGE_NS);
	clients = rig_fence(b.device);
	after = rig_bind_async(b.vm, NULL, rig_map(b.bo, DATA, 0, SZ_64K), clients);
	for (unsigned i = 0; i < 100; i++) {
		rig_nap(100000);
		event_tick(&b.device->events);
	}
	rig_fence_done(clients);
	rig_wait(after);
	bench_fini(&b);
}

static void faults_beside_dma(void *arg)
{
	const uint32_t value = 1;
	const uint64_t addr = BATCH + 2 * SZ_4K;
	struct exec_queue *queue;
	struct fence *spinner, *fence;
	struct vm *vm;
	struct bench b;

	bench_init(&b, RULES_AGE_NS);
	b.device->vm_env.without = GUARD_GROUPS;
	vm = rig_vm(b.device, VM_LR | VM_FAULT);
	queue = rig_queue(b.device, vm, RIG_RENDER);
	CHECK_OK(rig_bind(vm, rig_map(b.bo, BATCH, 0, SZ_64K)));
	/* On an engine of the same group, again and again: its first step is owed. */
	rig_batch_spin(b.bo, 3 * SZ_4K, BATCH + 3 * SZ_4K, BATCH + SZ_4K);
	(void)rig_batch_stores(b.bo, 4 * SZ_4K, &addr, &value, 1);
	spinner = spin(&b);
	CHECK_OK(rig_exec(queue, BATCH + 3 * SZ_4K, NULL, &fence));
	CHECK_OK(fence_wait(spinner, PORT_FOREVER, 0));
}

static void test_R15_faults_and_dma_fences_do_not_share_a_group(void)
{
	breaks(faults_beside_dma, "rule R15 broken: ", "of a vm with faults, gets engine 0 while");
}

/* ---- what keeps the rules ------------------------------------------------------------------- */

/* A fence for several, by way of which a job waits; and one that is forgotten. */
static void wait_for_several(struct bench *b)
{
	struct fence *in[2] = { rig_fence(b->device), rig_fence(b->device) }, *all, *bound;

	all = fence_all(&b->device->sync, in, 2);
	CHECK(all);
	bound = rig_bind_async(b->vm, NULL, rig_map(b->bo, DATA, 0, SZ_64K), all);
	CHECK_EQ(test_rules()->edges, 3);
	fence_put(all);
	all = fence_all(&b->device->sync, in, 2);
	CHECK_EQ(test_rules()->edges, 5);
	fence_put(all);
	CHECK_EQ(test_rules()->edges, 3);
	rig_fence_done(in[0]);
	rig_fence_done(in[1]);
	rig_wait(bound);
	CHECK_OK(rig_bind(b->vm, rig_unmap(DATA, SZ_64K)));
}

static void what_keeps_the_rules_passes(void)
{
	const uint32_t value = 7;
	const uint64_t addr = BATCH + 2 * SZ_4K;
	struct fence *in, *bound, *fence[8];
	struct bench b;

	bench_init(&b, RULES_AGE_NS);
	b.queue = rig_queue(b.device, b.vm, RIG_RENDER);
	(void)rig_batch_stores(b.bo, 0, &addr, &value, 1);
	for (unsigned round = 0; round < 20; round++) {
		in = rig_fence(b.device);
		bound = rig_bind_async(b.vm, NULL, rig_map(b.bo, DATA, 0, SZ_64K), in);
		for (unsigned i = 0; i < ARRAY_LEN(fence); i++) {
			CHECK_OK(rig_exec(b.queue, BATCH, bound, &fence[i]));
		}
		rig_fence_done(in);
		for (unsigned i = 0; i < ARRAY_LEN(fence); i++) {
			rig_wait(fence[i]);
		}
		rig_wait(bound);
		CHECK_OK(rig_bind(b.vm, rig_unmap(DATA, SZ_64K)));
	}
	wait_for_several(&b);
	/* All of it is over, and forgotten. */
	CHECK_EQ(test_rules()->oldest, 0);
	CHECK_EQ(test_rules()->nodes, 0);
	CHECK_EQ(test_rules()->edges, 0);
	bench_fini(&b);
}

static const struct test_case cases[] = {
	TEST(test_R01_nothing_is_allocated_before_a_signal),
	TEST(test_R02_no_reservation_before_a_signal_nor_at_a_wait),
	TEST(test_R03_no_wait_before_a_signal),
	TEST(test_R04_no_lock_at_a_wait_for_a_client),
	TEST(test_R05_no_dma_fence_depends_on_a_client),
	TEST(test_P6_nobody_holds_two_reservations),
	TEST(test_R06_a_place_is_reserved_before),
	TEST(test_R07_a_usage_is_only_promoted),
	TEST(test_R08_nothing_is_pinned_with_a_reservation),
	TEST(test_R09_a_notifier_takes_no_lock_of_who_pins),
	TEST(test_R10_pages_go_after_entries_and_translations),
	TEST(test_R11_the_last_reference_is_dropped_without_its_lock),
	TEST(test_R12_a_list_is_walked_with_its_lock),
	TEST(test_R13_no_wait_with_the_lock_of_a_list),
	TEST(test_R14_fences_signal_in_bounded_time),
	TEST(test_R14_who_waits_for_a_client_is_not_to_blame),
	TEST(test_R15_faults_and_dma_fences_do_not_share_a_group),
	TEST(what_keeps_the_rules_passes),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
