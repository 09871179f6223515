// SPDX-License-Identifier: MIT
/* Software timelines: order, the end of the counter, references, several threads and processes. */
#include "test_sync.h"

#include "sync/timeline.h"

#define AT(n) (TIMELINE_START + (n))

struct rig {
	struct world w;
	struct timeline_counter counter;
	struct timeline *timeline;
};

static void rig_init(struct rig *r)
{
	world_init(&r->w);
	atomic_init(&r->counter.value, TIMELINE_START);
	atomic_init(&r->counter.ended, 0);
	r->timeline = timeline_create(&r->w.sync, &r->counter, "rig");
	CHECK(r->timeline);
}

static void rig_fini(struct rig *r)
{
	timeline_put(r->timeline);
	world_fini(&r->w);
}

static struct fence *at(struct rig *r, uint64_t n)
{
	struct fence *fence = timeline_fence(r->timeline, AT(n));

	CHECK(fence);
	CHECK_EQ(fence->kind, FENCE_DMA);
	return fence;
}

static void advance(struct rig *r, uint64_t step)
{
	atomic_fetch_add(&r->counter.value, step);
	timeline_update(r->timeline);
}

static void fences_signal_when_the_counter_is_there(void)
{
	struct fence *five, *seven, *past;
	struct rig r;

	rig_init(&r);
	seven = at(&r, 7);
	five = at(&r, 5);
	advance(&r, 4);
	CHECK(!fence_is_signalled(five));
	advance(&r, 1);
	CHECK(fence_is_signalled(five) && !fence_is_signalled(seven));
	CHECK_EQ(fence_error(five), 0);
	past = at(&r, 3);
	CHECK(fence_is_signalled(past));
	advance(&r, 1000);
	CHECK(fence_is_signalled(seven));
	fence_put(past);
	fence_put(five);
	fence_put(seven);
	rig_fini(&r);
}

static void they_signal_in_the_order_of_their_numbers(void)
{
	static const uint64_t made[] = { 4, 1, 3, 5, 2 };
	struct fence *fence[ARRAY_LEN(made)];
	struct recorder rec;
	struct rig r;
	uint64_t next = AT(1);

	rig_init(&r);
	for (unsigned i = 0; i < ARRAY_LEN(made); i++) {
		fence[i] = at(&r, made[i]);
	}
	recorder_attach(&rec, &r.w);
	advance(&r, 5);
	CHECK_EQ(recorder_count(&rec, EVENT_FENCE_SIGNAL), 5);
	for (unsigned i = 0; i < rec.n; i++) {
		CHECK_EQ(rec.event[i].arg[1], next);
		next++;
	}
	event_detach(&r.w.events, &rec.reader);
	for (unsigned i = 0; i < ARRAY_LEN(made); i++) {
		fence_put(fence[i]);
	}
	rig_fini(&r);
}

static void the_end_signals_what_is_left(void)
{
	struct fence *reached, *left, *late;
	struct rig r;

	rig_init(&r);
	reached = at(&r, 1);
	left = at(&r, 2);
	/* Added and ended before anybody looked: what was reached was reached. */
	atomic_fetch_add(&r.counter.value, 1);
	atomic_store(&r.counter.ended, 1);
	timeline_update(r.timeline);
	CHECK_EQ(fence_error(reached), 0);
	CHECK_EQ(fence_error(left), -ENOENT);
	late = at(&r, 9);
	CHECK_EQ(fence_error(late), -ENOENT);
	fence_put(late);
	fence_put(left);
	fence_put(reached);
	rig_fini(&r);
}

static void one_number_is_one_fence(void)
{
	struct fence *a, *b, *other;
	struct rig r;

	rig_init(&r);
	a = at(&r, 3);
	other = at(&r, 4);
	b = at(&r, 3);
	CHECK(a == b && a != other);
	fence_put(a);
	fence_put(b);
	/* Nobody has it any more, so it is not on the list. */
	CHECK_EQ(list_first(&r.timeline->pending, struct timeline_fence, node)->fence.seqno, AT(4));
	advance(&r, 4);
	CHECK(fence_is_signalled(other));
	fence_put(other);
	rig_fini(&r);
}

static void a_fence_keeps_its_timeline(void)
{
	struct fence *fence;
	struct rig r;

	rig_init(&r);
	fence = at(&r, 1);
	timeline_put(r.timeline);
	CHECK_EQ(atomic_load(&r.timeline->ref.count), 1);
	advance(&r, 1);
	CHECK(fence_is_signalled(fence));
	fence_put(fence);
	world_fini(&r.w);
}

static void two_timelines_follow_one_counter(void)
{
	struct fence *here, *there;
	struct timeline *other;
	struct rig r;

	rig_init(&r);
	other = timeline_create(&r.w.sync, &r.counter, "a name that is longer than its room");
	CHECK(other);
	CHECK_EQ(strlen(other->name), TIMELINE_NAME_B - 1);
	here = at(&r, 2);
	there = timeline_fence(other, AT(2));
	advance(&r, 2);
	CHECK(fence_is_signalled(here) && !fence_is_signalled(there));
	timeline_update(other);
	CHECK(fence_is_signalled(there));
	fence_put(here);
	fence_put(there);
	timeline_put(other);
	rig_fini(&r);
}

static void the_earliest_hope_counts(void)
{
	struct timeline_fence *tf;
	struct fence *fence, *plain;
	struct rig r;

	rig_init(&r);
	fence = at(&r, 1);
	plain = new_fence(&r.w, FENCE_DMA);
	CHECK(!timeline_fence_of(plain));
	tf = timeline_fence_of(fence);
	CHECK(tf);
	CHECK_EQ(timeline_hoped(tf), 0);
	timeline_hope(tf, 70);
	timeline_hope(tf, 50);
	timeline_hope(tf, 60);
	CHECK_EQ(timeline_hoped(tf), 50);
	fence_put(plain);
	fence_put(fence);
	rig_fini(&r);
}

static void without_memory_there_is_none(void)
{
	struct rig r;

	rig_init(&r);
	port_fault_set(PORT_FAULT_ALLOC, 1, true);
	CHECK(!timeline_create(&r.w.sync, &r.counter, "x"));
	CHECK(!timeline_fence(r.timeline, AT(1)));
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	rig_fini(&r);
}

/* ---- several threads ------------------------------------------------------------------------- */

#define STEPS 6

static struct rig shared;

static void advance_run(void *arg)
{
	for (unsigned i = 0; i < STEPS; i++) {
		advance(&shared, 1);
		port_relax();
	}
}

/* Fences come and go, and are waited for, while two threads advance and one drops references. */
static void make_and_advance(uint64_t seed)
{
	struct port_thread *thread[2];
	struct fence *last;

	rig_init(&shared);
	last = at(&shared, 2 * STEPS);
	for (unsigned i = 0; i < 2; i++) {
		CHECK_OK(port_thread_create(&thread[i], "advance", advance_run, NULL));
	}
	for (unsigned n = 1; n < 2 * STEPS; n++) {
		struct fence *fence = at(&shared, n), *again = at(&shared, n);

		if (n % 3) {
			CHECK_OK(fence_wait(fence, port_now_ns() + LONG, 0));
			CHECK(atomic_load(&shared.counter.value) >= AT(n));
		}
		fence_put(fence);
		fence_put(again);
	}
	CHECK_OK(fence_wait(last, port_now_ns() + LONG, 0));
	for (unsigned i = 0; i < 2; i++) {
		port_thread_join(thread[i]);
	}
	CHECK(list_empty(&shared.timeline->pending));
	fence_put(last);
	rig_fini(&shared);
}

static void threads_make_and_advance(void)
{
	test_seeds(make_and_advance, 1, test_scale(200));
}

static void drop_run(void *arg)
{
	for (unsigned n = 1; n <= 2 * STEPS; n++) {
		fence_put(at(&shared, n));
	}
}

/* An update finds fences whose last reference is just being dropped. */
static void drop_and_advance(uint64_t seed)
{
	struct port_thread *thread[3];

	rig_init(&shared);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_OK(port_thread_create(&thread[i], "drop", i ? drop_run : advance_run, NULL));
	}
	for (unsigned i = 0; i < 3; i++) {
		port_thread_join(thread[i]);
	}
	CHECK(list_empty(&shared.timeline->pending));
	rig_fini(&shared);
}

static void threads_drop_and_advance(void)
{
	test_seeds(drop_and_advance, 1, test_scale(400));
}

static const struct test_case cases[] = {
	TEST(fences_signal_when_the_counter_is_there),
	TEST(they_signal_in_the_order_of_their_numbers),
	TEST(the_end_signals_what_is_left),
	TEST(one_number_is_one_fence),
	TEST(a_fence_keeps_its_timeline),
	TEST(two_timelines_follow_one_counter),
	TEST(the_earliest_hope_counts),
	TEST(without_memory_there_is_none),
	TEST(threads_make_and_advance),
	TEST(threads_drop_and_advance),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
