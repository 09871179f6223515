// SPDX-License-Identifier: MIT
/* Active sets: publication in constant time, and readers who wait for what they found. */
#include "test_sync.h"

#include "sync/active.h"

/* A queue with one slot. */
struct queue {
	struct active_slot slot;
	struct active_set *set;
	uint64_t context, seqno;
};

static void queue_init(struct queue *q, struct world *w, struct active_set *set)
{
	memset(q, 0, sizeof(*q));
	q->set = set;
	q->context = sync_new_context(&w->sync);
	active_slot_add(set, &q->slot);
}

static struct fence *queue_publish(struct queue *q, struct world *w)
{
	struct fence *fence = new_fence_of(w, q->context, ++q->seqno);

	CHECK(active_publish(q->set, &q->slot, fence, active_seq(q->set)));
	return fence;
}

static void a_publication_replaces_its_queues_last_one(void)
{
	struct fence *f1, *f2, *other, *found[4];
	struct active_set *set;
	struct queue q[2];
	struct world w;

	world_init(&w);
	set = active_set_create();
	queue_init(&q[0], &w, set);
	queue_init(&q[1], &w, set);
	CHECK_EQ(active_collect(set, found, 4), 0);
	f1 = queue_publish(&q[0], &w);
	f2 = queue_publish(&q[0], &w);
	CHECK(refs_of(f1) == 1 && refs_of(f2) == 2);
	other = queue_publish(&q[1], &w);
	CHECK_EQ(active_collect(set, found, 4), 2);
	CHECK(found[0] == f2 && found[1] == other);
	fence_put(found[0]);
	fence_put(found[1]);
	signal_and_put(f1, 0);
	signal_and_put(f2, 0);
	CHECK_EQ(active_collect(set, found, 4), 1);
	CHECK_EQ(found[0], other);
	fence_put(found[0]);
	signal_and_put(other, 0);
	CHECK_EQ(active_collect(set, found, 4), 0);
	active_slot_remove(set, &q[0].slot);
	active_slot_remove(set, &q[1].slot);
	active_set_put(set);
	world_fini(&w);
}

static void collecting_into_too_little_room_takes_nothing(void)
{
	struct fence *fence[3], *found[3] = { NULL };
	struct active_set *set;
	struct queue q[3];
	struct world w;

	world_init(&w);
	set = active_set_create();
	for (unsigned i = 0; i < 3; i++) {
		queue_init(&q[i], &w, set);
		fence[i] = queue_publish(&q[i], &w);
	}
	CHECK_EQ(active_collect(set, found, 2), 3);
	CHECK_EQ(active_collect(set, NULL, 0), 3);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(refs_of(fence[i]), 2);
	}
	CHECK_EQ(active_collect(set, found, 3), 3);
	for (unsigned i = 0; i < 3; i++) {
		fence_put(found[i]);
		signal_and_put(fence[i], 0);
		active_slot_remove(set, &q[i].slot);
	}
	active_set_put(set);
	world_fini(&w);
}

static void a_publication_is_refused_after_an_eviction(void)
{
	struct active_set *set;
	struct fence *fence;
	struct world w;
	struct queue q;
	uint64_t seq;

	world_init(&w);
	set = active_set_create();
	queue_init(&q, &w, set);
	fence = new_fence_of(&w, q.context, 1);
	seq = active_seq(set);
	active_bump(set);
	CHECK(!active_publish(set, &q.slot, fence, seq));
	CHECK_EQ(refs_of(fence), 1);
	CHECK(!q.slot.fence);
	CHECK_EQ(active_collect(set, NULL, 0), 0);
	/* After validating again it goes in. */
	CHECK(active_publish(set, &q.slot, fence, active_seq(set)));
	signal_and_put(fence, 0);
	active_slot_remove(set, &q.slot);
	active_set_put(set);
	world_fini(&w);
}

/* P1: what is not seen by the evictor's second pass must have been refused after its first. */
struct submitter {
	struct world *w;
	struct queue *q;
	struct port_thread *thread;
	struct fence *fence;
	atomic_uint *evicted; /* what validation looks at */
	bool saw_evicted;
};

static void submitter_run(void *arg)
{
	struct submitter *s = arg;
	uint64_t seq;

	do {
		seq = active_seq(s->q->set);
		s->saw_evicted = atomic_load(s->evicted);
		port_relax();
	} while (!active_publish(s->q->set, &s->q->slot, s->fence, seq));
}

static void publish_race(uint64_t seed)
{
	struct fence *found[2] = { NULL };
	struct submitter s[2];
	struct queue q[2];
	atomic_uint evicted;
	unsigned n, unaware = 0;
	struct world w;
	struct active_set *set;

	(void)seed;
	world_init(&w);
	set = active_set_create();
	atomic_init(&evicted, 0);
	for (unsigned i = 0; i < 2; i++) {
		queue_init(&q[i], &w, set);
		s[i] = (struct submitter){ &w, &q[i], NULL, new_fence_of(&w, q[i].context, 1),
					   &evicted, false };
		CHECK_OK(port_thread_create(&s[i].thread, "submitter", submitter_run, &s[i]));
	}
	/* Pass 1, pass 2. */
	atomic_store(&evicted, 1);
	active_bump(set);
	n = active_collect(set, found, 2);
	for (unsigned i = 0; i < 2; i++) {
		port_thread_join(s[i].thread);
	}
	for (unsigned i = 0; i < 2; i++) {
		bool seen = (n > 0 && found[0] == s[i].fence) || (n > 1 && found[1] == s[i].fence);

		CHECK(seen || s[i].saw_evicted);
		unaware += !s[i].saw_evicted;
	}
	CHECK(unaware <= n);
	for (unsigned i = 0; i < n; i++) {
		fence_put(found[i]);
	}
	for (unsigned i = 0; i < 2; i++) {
		signal_and_put(s[i].fence, 0);
		active_slot_remove(set, &q[i].slot);
	}
	active_set_put(set);
	world_fini(&w);
}

static void an_evictor_sees_every_submission_that_did_not_see_it(void)
{
	test_seeds(publish_race, 1, 200);
}

/* ---- waiting --------------------------------------------------------------------------------- */

struct reader {
	struct world *w;
	struct active_set *set;
	struct port_thread *thread;
	unsigned flags;
	atomic_bool over;
	int ret;
};

static void reader_run(void *arg)
{
	struct reader *r = arg;

	r->ret = active_wait(r->set, &r->w->sync, r->flags);
	atomic_store(&r->over, true);
}

static unsigned waiters_of(struct active_set *set)
{
	unsigned n;

	port_mutex_lock(&set->lock);
	n = set->waiters;
	port_mutex_unlock(&set->lock);
	return n;
}

static void reader_start(struct reader *r, struct world *w, struct active_set *set)
{
	memset(r, 0, sizeof(*r));
	r->w = w;
	r->set = set;
	CHECK_OK(port_thread_create(&r->thread, "reader", reader_run, r));
	while (!waiters_of(set) && !atomic_load(&r->over)) {
		nap(MS / 10);
	}
}

static void a_reader_waits_for_every_queue(void)
{
	struct active_set *set;
	struct fence *fence[40];
	struct queue q[40];
	struct reader r;
	struct world w;

	world_init(&w);
	set = active_set_create();
	CHECK_OK(active_wait(set, &w.sync, 0));
	for (unsigned i = 0; i < 40; i++) {
		queue_init(&q[i], &w, set);
		fence[i] = queue_publish(&q[i], &w);
	}
	reader_start(&r, &w, set);
	for (unsigned i = 0; i < 40; i++) {
		CHECK(!atomic_load(&r.over));
		signal_and_put(fence[39 - i], 0);
	}
	port_thread_join(r.thread);
	CHECK_OK(r.ret);
	for (unsigned i = 0; i < 40; i++) {
		active_slot_remove(set, &q[i].slot);
	}
	CHECK_EQ(set->waiters, 0);
	active_set_put(set);
	world_fini(&w);
}

static void a_reader_does_not_wait_for_what_came_later(void)
{
	struct fence *f1, *f2, *f3, *other;
	struct active_set *set;
	struct queue q[2];
	struct reader r;
	struct world w;

	world_init(&w);
	set = active_set_create();
	queue_init(&q[0], &w, set);
	queue_init(&q[1], &w, set);
	f1 = queue_publish(&q[0], &w);
	reader_start(&r, &w, set);
	/* f1 loses its slot unsignalled; f2 does so too, but nobody waits for that. */
	f2 = queue_publish(&q[0], &w);
	f3 = queue_publish(&q[0], &w);
	other = queue_publish(&q[1], &w);
	CHECK_EQ(refs_of(f2), 1);
	nap(MS);
	CHECK(!atomic_load(&r.over));
	fence_signal(f1, 0);
	port_thread_join(r.thread);
	CHECK_OK(r.ret);
	CHECK_EQ(refs_of(f1), 1);
	CHECK(list_empty(&set->displaced));
	fence_put(f1);
	signal_and_put(f2, 0);
	signal_and_put(f3, 0);
	signal_and_put(other, 0);
	active_slot_remove(set, &q[0].slot);
	active_slot_remove(set, &q[1].slot);
	active_set_put(set);
	world_fini(&w);
}

/* More queues than a reader looks at in one go: it comes to the last ones later. */
#define CROWD 40

static void a_reader_finds_what_lost_its_slot_meanwhile(void)
{
	struct fence *fence[CROWD], *later[CROWD];
	struct active_set *set;
	struct queue q[CROWD];
	struct reader r;
	struct world w;

	world_init(&w);
	set = active_set_create();
	for (unsigned i = 0; i < CROWD; i++) {
		queue_init(&q[i], &w, set);
		fence[i] = queue_publish(&q[i], &w);
	}
	reader_start(&r, &w, set);
	nap(MS);
	/* All but the first are displaced, some by the next publication, some with their slot. */
	for (unsigned i = 1; i < CROWD; i++) {
		later[i] = i & 1 ? queue_publish(&q[i], &w) : NULL;
		if (!later[i]) {
			active_slot_remove(set, &q[i].slot);
		}
	}
	for (unsigned i = 0; i < CROWD; i++) {
		nap(MS / 10);
		CHECK(!atomic_load(&r.over));
		signal_and_put(fence[i], 0);
	}
	port_thread_join(r.thread);
	CHECK_OK(r.ret);
	CHECK(list_empty(&set->displaced));
	active_slot_remove(set, &q[0].slot);
	for (unsigned i = 1; i < CROWD; i += 2) {
		signal_and_put(later[i], 0);
		active_slot_remove(set, &q[i].slot);
	}
	active_set_put(set);
	world_fini(&w);
}

static void an_interrupted_reader_leaves_nothing_behind(void)
{
	struct active_set *set;
	struct fence *f1, *f2;
	struct world w;
	struct queue q;

	world_init(&w);
	set = active_set_create();
	queue_init(&q, &w, set);
	f1 = queue_publish(&q, &w);
	port_fault_set(PORT_FAULT_SLEEP, 1, false);
	CHECK_ERR(active_wait(set, &w.sync, PORT_WAIT_INTERRUPTIBLE), -EINTR);
	port_fault_set(PORT_FAULT_SLEEP, 0, false);
	CHECK_EQ(set->waiters, 0);
	f2 = queue_publish(&q, &w);
	CHECK_EQ(refs_of(f1), 1);
	signal_and_put(f1, 0);
	signal_and_put(f2, 0);
	CHECK_OK(active_wait(set, &w.sync, PORT_WAIT_INTERRUPTIBLE));
	active_slot_remove(set, &q.slot);
	active_set_put(set);
	world_fini(&w);
}

static void waiting_needs_no_memory(void)
{
	struct active_set *set;
	struct signaller s[20];
	struct queue q[20];
	struct world w;

	world_init(&w);
	set = active_set_create();
	for (unsigned i = 0; i < 20; i++) {
		struct fence *fence;

		queue_init(&q[i], &w, set);
		fence = queue_publish(&q[i], &w);
		signaller_start(&s[i], fence, 0, MS);
		fence_put(fence);
	}
	port_fault_set(PORT_FAULT_ALLOC, 1, true);
	CHECK_OK(active_wait(set, &w.sync, 0));
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	for (unsigned i = 0; i < 20; i++) {
		port_thread_join(s[i].thread);
		active_slot_remove(set, &q[i].slot);
	}
	active_set_put(set);
	world_fini(&w);
}

struct flood {
	struct world *w;
	struct queue *q;
	struct fence *first;
	struct port_thread *thread;
};

static void flood_run(void *arg)
{
	struct flood *f = arg;

	/* Each signals in order, with the next one published already. */
	for (unsigned i = 0; i < 12; i++) {
		struct fence *next = queue_publish(f->q, f->w);

		signal_and_put(f->first, 0);
		f->first = next;
	}
}

static void flood_race(uint64_t seed)
{
	struct active_set *set;
	struct fence *before[2];
	struct reader early, late;
	struct flood f[2];
	struct queue q[2];
	struct world w;

	(void)seed;
	world_init(&w);
	set = active_set_create();
	for (unsigned i = 0; i < 2; i++) {
		queue_init(&q[i], &w, set);
		before[i] = queue_publish(&q[i], &w);
		f[i] = (struct flood){ &w, &q[i], fence_get(before[i]), NULL };
	}
	reader_start(&early, &w, set);
	for (unsigned i = 0; i < 2; i++) {
		CHECK_OK(port_thread_create(&f[i].thread, "flood", flood_run, &f[i]));
	}
	memset(&late, 0, sizeof(late));
	late.w = &w;
	late.set = set;
	CHECK_OK(port_thread_create(&late.thread, "late reader", reader_run, &late));
	/* Each queue's last fence is still open, and none of this reader's business. */
	port_thread_join(early.thread);
	CHECK_OK(early.ret);
	for (unsigned i = 0; i < 2; i++) {
		CHECK(fence_is_signalled(before[i]));
		fence_put(before[i]);
		port_thread_join(f[i].thread);
		signal_and_put(f[i].first, 0);
	}
	port_thread_join(late.thread);
	CHECK_OK(late.ret);
	CHECK(list_empty(&set->displaced));
	active_slot_remove(set, &q[0].slot);
	active_slot_remove(set, &q[1].slot);
	active_set_put(set);
	world_fini(&w);
}

static void readers_and_a_flood_of_submissions(void)
{
	test_seeds(flood_race, 1, 200);
}

static void a_set_outlives_its_vm(void)
{
	struct active_set *set = active_set_create();

	CHECK_EQ(active_set_get(set), set);
	active_set_put(set);
	CHECK_EQ(active_collect(set, NULL, 0), 0);
	active_set_put(set);
	active_set_put(NULL);
	CHECK(!active_set_get(NULL));
	port_fault_set(PORT_FAULT_ALLOC, 1, false);
	CHECK(!active_set_create());
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
}

/* ---- contradictions -------------------------------------------------------------------------- */

static void publish_backwards(void *arg)
{
	struct active_set *set = active_set_create();
	struct queue q;

	queue_init(&q, arg, set);
	q.seqno = 5;
	queue_publish(&q, arg);
	q.seqno = 3;
	queue_publish(&q, arg);
}

static void publish_twice(void *arg)
{
	struct active_set *set = active_set_create();
	struct fence *fence;
	struct queue q[2];

	queue_init(&q[0], arg, set);
	queue_init(&q[1], arg, set);
	fence = queue_publish(&q[0], arg);
	active_publish(set, &q[1].slot, fence, active_seq(set));
}

static void contradictions_panic(void)
{
	struct world w;

	world_init(&w);
	test_expect_abort(publish_backwards, &w, "slot->fence->seqno < fence->seqno");
	test_expect_abort(publish_twice, &w, "!fence->active_stamp");
	world_fini(&w);
}

static const struct test_case cases[] = {
	TEST(a_publication_replaces_its_queues_last_one),
	TEST(collecting_into_too_little_room_takes_nothing),
	TEST(a_publication_is_refused_after_an_eviction),
	TEST(an_evictor_sees_every_submission_that_did_not_see_it),
	TEST(a_reader_waits_for_every_queue),
	TEST(a_reader_does_not_wait_for_what_came_later),
	TEST(a_reader_finds_what_lost_its_slot_meanwhile),
	TEST(an_interrupted_reader_leaves_nothing_behind),
	TEST(waiting_needs_no_memory),
	TEST(readers_and_a_flood_of_submissions),
	TEST(a_set_outlives_its_vm),
	TEST(contradictions_panic),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
