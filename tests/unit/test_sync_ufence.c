// SPDX-License-Identifier: MIT
/* User fences of binds: the value, the flag and the wake, in this order. */
#include "test_sync.h"

#include "sync/ufence.h"

static uint64_t addr_of(_Atomic uint64_t *word)
{
	return (uint64_t)(uintptr_t)word;
}

static void test_A04_an_armed_user_fence_is_written_when_the_fence_signals(void)
{
	_Atomic uint64_t word = 1;
	struct ufence *ufence;
	struct fence *fence;
	struct world w;

	world_init(&w);
	fence = new_fence(&w, FENCE_DMA);
	ufence = ufence_create(&w.sync, addr_of(&word), 0x1234567890abcdefull);
	CHECK(ufence);
	ufence_arm(ufence, fence);
	CHECK_EQ(world_run(&w), 0);
	CHECK(!ufence_is_signalled(ufence) && !ufence_is_due(ufence));
	fence_signal(fence, 0);
	CHECK(!ufence_is_signalled(ufence) && ufence_is_due(ufence));
	/* The callback writes nothing: it runs under a lock. */
	CHECK_EQ(atomic_load(&word), 1);
	CHECK_EQ(world_run(&w), 1);
	CHECK_EQ(atomic_load(&word), 0x1234567890abcdefull);
	CHECK(ufence_is_signalled(ufence));
	CHECK_EQ(refs_of(fence), 1);
	ufence_put(ufence);
	fence_put(fence);
	world_fini(&w);
}

static void armed_on_a_signalled_fence_it_is_written_at_once(void)
{
	_Atomic uint64_t word = 1;
	struct ufence *ufence;
	struct fence *fence;
	struct world w;

	world_init(&w);
	fence = new_fence(&w, FENCE_DMA);
	/* An error of the job is no reason to leave the waiter waiting. */
	fence_signal(fence, -EIO);
	ufence = ufence_create(&w.sync, addr_of(&word), 2);
	ufence_arm(ufence, fence);
	CHECK_EQ(atomic_load(&word), 2);
	CHECK(ufence_is_signalled(ufence));
	ufence_put(ufence);
	fence_put(fence);
	world_fini(&w);
}

static void an_address_that_is_gone_is_ignored(void)
{
	struct ufence *ufence;
	struct world w;

	world_init(&w);
	ufence = ufence_create(&w.sync, 8, 2);
	ufence_arm(ufence, w.sync.stub);
	CHECK(ufence_is_signalled(ufence));
	ufence_put(ufence);
	world_fini(&w);
}

static void it_lives_until_it_is_written(void)
{
	_Atomic uint64_t word = 0;
	struct ufence *ufence;
	struct fence *fence;
	struct world w;

	world_init(&w);
	fence = new_fence(&w, FENCE_DMA);
	ufence = ufence_create(&w.sync, addr_of(&word), 3);
	CHECK_EQ(ufence_get(ufence), ufence);
	ufence_arm(ufence, fence);
	ufence_put(ufence);
	ufence_put(ufence);
	signal_and_put(fence, 0);
	CHECK_EQ(world_run(&w), 1);
	CHECK_EQ(atomic_load(&word), 3);
	ufence_put(NULL);
	CHECK(!ufence_get(NULL));
	/* One that is never armed just goes. */
	ufence_put(ufence_create(&w.sync, addr_of(&word), 4));
	CHECK_EQ(atomic_load(&word), 3);
	world_fini(&w);
}

struct waiting {
	struct world *w;
	struct ufence *ufence;
	_Atomic uint64_t *word;
	struct port_thread *thread;
};

/* As WAIT_USER_FENCE does it. */
static void waiting_run(void *arg)
{
	struct waiting *t = arg;
	struct sync *sync = &t->w->sync;

	while (!ufence_is_signalled(t->ufence)) {
		uint32_t seq = port_wq_prepare(&sync->ufence_wq);

		if (ufence_is_signalled(t->ufence)) {
			break;
		}
		CHECK_OK(port_wq_wait(&sync->ufence_wq, seq, PORT_FOREVER, 0));
	}
	CHECK_EQ(atomic_load_explicit(t->word, memory_order_relaxed), 5);
}

static void order_race(uint64_t seed)
{
	_Atomic uint64_t word = 1;
	struct waiting t[2];
	struct signaller s;
	struct ufence *ufence;
	struct fence *fence;
	struct world w;

	world_init(&w);
	world_hire(&w);
	fence = new_fence(&w, FENCE_DMA);
	ufence = ufence_create(&w.sync, addr_of(&word), 5);
	for (unsigned i = 0; i < 2; i++) {
		t[i] = (struct waiting){ &w, ufence, &word, NULL };
		CHECK_OK(port_thread_create(&t[i].thread, "waiting", waiting_run, &t[i]));
	}
	signaller_start(&s, fence, 0, seed & 1 ? MS / 10 : 0);
	ufence_arm(ufence, fence);
	for (unsigned i = 0; i < 2; i++) {
		port_thread_join(t[i].thread);
	}
	port_thread_join(s.thread);
	ufence_put(ufence);
	fence_put(fence);
	world_fini(&w);
}

static void test_B20_the_value_is_there_before_the_waiters_are_told(void)
{
	test_seeds(order_race, 1, 200);
}

static void values_on_one_address_follow_the_fences(void)
{
	_Atomic uint64_t word = 0;
	struct ufence *ufence[3];
	struct fence *fence[3];
	struct ready_item *item;
	struct world w;

	world_init(&w);
	for (unsigned i = 0; i < 3; i++) {
		fence[i] = new_fence(&w, FENCE_DMA);
		ufence[i] = ufence_create(&w.sync, addr_of(&word), i + 1);
		ufence_arm(ufence[i], fence[i]);
	}
	for (unsigned i = 0; i < 3; i++) {
		fence_signal(fence[i], 0);
	}
	/* One piece of work writes them all, so that no two threads can turn them round. */
	item = ready_pop(&w.sync);
	CHECK(item && ready_empty(&w.sync));
	item->run(item);
	CHECK_EQ(atomic_load(&word), 3);
	for (unsigned i = 0; i < 3; i++) {
		CHECK(ufence_is_signalled(ufence[i]));
		ufence_put(ufence[i]);
		fence_put(fence[i]);
	}
	world_fini(&w);
}

static void without_memory_there_is_none(void)
{
	struct world w;

	world_init(&w);
	port_fault_set(PORT_FAULT_ALLOC, 1, false);
	CHECK(!ufence_create(&w.sync, 0, 0));
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	world_fini(&w);
}

/* Without workers: what was due before is on the list, and nobody has run it yet. */
static void test_A24_one_without_memory_keeps_the_order(void)
{
	_Atomic uint64_t word = 0, other = 0;
	struct ufence *ufence;
	struct fence *fence;
	struct world w;

	world_init(&w);
	fence = new_fence(&w, FENCE_DMA);
	ufence = ufence_create(&w.sync, addr_of(&word), 1);
	ufence_arm(ufence, fence);
	port_fault_set(PORT_FAULT_ALLOC, 1, true);
	/* Nothing is due: at once. An address that is gone is ignored. */
	ufence_write_now(&w.sync, addr_of(&other), 7);
	CHECK_EQ(atomic_load(&other), 7);
	ufence_write_now(&w.sync, 8, 7);
	signal_and_put(fence, 0);
	CHECK_EQ(atomic_load(&word), 0);
	ufence_write_now(&w.sync, addr_of(&word), 2);
	CHECK(ufence_is_signalled(ufence));
	CHECK_EQ(atomic_load(&word), 2);
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	CHECK_EQ(world_run(&w), 0);
	ufence_put(ufence);
	world_fini(&w);
}

static void write_now_race(uint64_t seed)
{
	_Atomic uint64_t word = 0;
	struct ufence *ufence[4];
	struct signaller s;
	struct fence *fence;
	struct world w;

	world_init(&w);
	world_hire(&w);
	fence = new_fence(&w, FENCE_DMA);
	for (unsigned i = 0; i < 4; i++) {
		ufence[i] = ufence_create(&w.sync, addr_of(&word), i + 1);
		ufence_arm(ufence[i], fence);
	}
	signaller_start(&s, fence, 0, 0);
	port_thread_join(s.thread);
	/* The frame it is in goes afterwards, while the worker may still be at the list. */
	ufence_write_now(&w.sync, addr_of(&word), 9);
	CHECK_EQ(atomic_load(&word), 9);
	for (unsigned i = 0; i < 4; i++) {
		CHECK(ufence_is_signalled(ufence[i]));
		ufence_put(ufence[i]);
	}
	fence_put(fence);
	world_fini(&w);
}

static void one_without_memory_meets_the_worker(void)
{
	test_seeds(write_now_race, 1, test_scale(200));
}

static void arm_twice(void *arg)
{
	struct world *w = arg;
	struct ufence *ufence = ufence_create(&w->sync, 0, 0);

	ufence_arm(ufence, new_fence(w, FENCE_DMA));
	ufence_arm(ufence, w->sync.stub);
}

static void arming_twice_panics(void)
{
	struct world w;

	world_init(&w);
	test_expect_abort(arm_twice, &w, "!ufence->fence");
	world_fini(&w);
}

static const struct test_case cases[] = {
	TEST(test_A04_an_armed_user_fence_is_written_when_the_fence_signals),
	TEST(armed_on_a_signalled_fence_it_is_written_at_once),
	TEST(an_address_that_is_gone_is_ignored),
	TEST(it_lives_until_it_is_written),
	TEST(test_B20_the_value_is_there_before_the_waiters_are_told),
	TEST(values_on_one_address_follow_the_fences),
	TEST(without_memory_there_is_none),
	TEST(test_A24_one_without_memory_keeps_the_order),
	TEST(one_without_memory_meets_the_worker),
	TEST(arming_twice_panics),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
