// SPDX-License-Identifier: MIT
/* Fences: signalling, callbacks, references, waiting, and the ready queue. */
#include "test_sync.h"

struct probe {
	struct fence_cb cb;
	unsigned calls;
	unsigned order;
	unsigned *counter;
};

static void probe_func(struct fence *fence, struct fence_cb *cb)
{
	struct probe *p = container_of(cb, struct probe, cb);

	port_mutex_assert_held(&fence->lock);
	CHECK(fence_is_signalled(fence));
	/* A callback takes its time: who removes it must wait for its end. */
	port_relax();
	p->calls++;
	if (p->counter) {
		p->order = (*p->counter)++;
	}
}

static void a_signal_carries_its_error_and_time(void)
{
	struct fence *fence;
	struct world w;

	world_init(&w);
	fence = new_fence(&w, FENCE_DMA);
	CHECK(!fence_is_signalled(fence));
	fence_signal(fence, -EIO);
	CHECK(fence_is_signalled(fence));
	CHECK_EQ(fence_error(fence), -EIO);
	CHECK(fence->signal_ns > 0 && fence->signal_ns <= port_now_ns());
	fence_put(fence);
	world_fini(&w);
}

static void callbacks_run_once_in_order_under_the_lock(void)
{
	struct probe p[3] = { 0 };
	struct fence *fence;
	unsigned counter = 0;
	struct world w;

	world_init(&w);
	fence = new_fence(&w, FENCE_DMA);
	for (unsigned i = 0; i < 3; i++) {
		p[i].counter = &counter;
		CHECK(fence_add_cb(fence, &p[i].cb, probe_func));
	}
	fence_signal(fence, 0);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(p[i].calls, 1);
		CHECK_EQ(p[i].order, i);
		CHECK(!fence_remove_cb(fence, &p[i].cb));
	}
	fence_put(fence);
	world_fini(&w);
}

static void a_signalled_fence_refuses_callbacks(void)
{
	struct probe p = { 0 };
	struct world w;

	world_init(&w);
	CHECK(!fence_add_cb(w.sync.stub, &p.cb, probe_func));
	CHECK(!fence_remove_cb(w.sync.stub, &p.cb));
	CHECK_EQ(p.calls, 0);
	world_fini(&w);
}

static void a_removed_callback_is_not_called(void)
{
	struct probe p = { 0 };
	struct fence *fence;
	struct world w;

	world_init(&w);
	fence = new_fence(&w, FENCE_DMA);
	CHECK(fence_add_cb(fence, &p.cb, probe_func));
	CHECK(fence_remove_cb(fence, &p.cb));
	CHECK(!fence_remove_cb(fence, &p.cb));
	fence_signal(fence, 0);
	CHECK_EQ(p.calls, 0);
	fence_put(fence);
	world_fini(&w);
}

static void add_and_remove_race(uint64_t seed)
{
	struct signaller s;
	struct probe p[2];
	struct world w;

	world_init(&w);
	memset(p, 0, sizeof(p));
	struct fence *fence = new_fence(&w, FENCE_DMA);
	signaller_start(&s, fence, 0, 0);
	for (unsigned i = 0; i < 2; i++) {
		bool added = fence_add_cb(fence, &p[i].cb, probe_func);
		bool removed;

		for (uint64_t j = 0; j < seed % 4; j++) {
			port_relax();
		}
		removed = fence_remove_cb(fence, &p[i].cb);
		/* Settled for good: the memory may go. */
		CHECK_EQ(p[i].calls, added && !removed);
		CHECK(added || !removed);
		memset(&p[i], 0xff, sizeof(p[i]));
	}
	port_thread_join(s.thread);
	fence_put(fence);
	world_fini(&w);
}

static void adding_and_removing_race_with_the_signal(void)
{
	test_seeds(add_and_remove_race, 1, 200);
}

static void callbacks_done_race(uint64_t seed)
{
	struct signaller s;
	struct probe p[2];
	struct fence *fence;
	struct world w;

	world_init(&w);
	memset(p, 0, sizeof(p));
	fence = new_fence(&w, FENCE_DMA);
	for (unsigned i = 0; i < 2; i++) {
		CHECK(fence_add_cb(fence, &p[i].cb, probe_func));
	}
	signaller_start(&s, fence, 0, 0);
	while (!fence_is_signalled(fence)) {
		port_relax();
	}
	fence_callbacks_done(fence);
	CHECK_EQ(p[0].calls, 1);
	CHECK_EQ(p[1].calls, 1);
	port_thread_join(s.thread);
	fence_put(fence);
	world_fini(&w);
}

static void callbacks_done_means_that_all_have_been_called(void)
{
	test_seeds(callbacks_done_race, 1, 200);
}

static void drop_other(struct fence *fence, struct fence_cb *cb)
{
	struct probe *p = container_of(cb, struct probe, cb);
	struct fence *other = (struct fence *)(void *)p->counter;

	(void)fence;
	p->calls++;
	fence_put(other);
}

static void a_callback_may_drop_the_last_reference_of_another_fence(void)
{
	struct probe p = { 0 };
	struct fence *fence;
	struct world w;

	world_init(&w);
	fence = new_fence(&w, FENCE_DMA);
	p.counter = (unsigned *)(void *)new_fence(&w, FENCE_DMA);
	CHECK(fence_add_cb(fence, &p.cb, drop_other));
	fence_signal(fence, 0);
	CHECK_EQ(p.calls, 1);
	fence_put(fence);
	world_fini(&w);
}

static void drop_own(struct fence *fence, struct fence_cb *cb)
{
	(void)cb;
	fence_put(fence);
}

static void a_callback_may_drop_the_signallers_reference(void)
{
	struct fence_cb cb;
	struct world w;

	world_init(&w);
	struct fence *fence = new_fence(&w, FENCE_DMA);
	CHECK(fence_add_cb(fence, &cb, drop_own));
	/* The only reference goes during the signal, which must not touch freed memory. */
	fence_signal(fence, 0);
	world_fini(&w);
}

struct embedded {
	struct fence fence;
	unsigned *released;
};

static void embedded_release(struct fence *fence)
{
	struct embedded *e = container_of(fence, struct embedded, fence);

	port_assert_no_locks();
	(*e->released)++;
	port_free(e);
}

static void release_runs_once_at_the_last_reference(void)
{
	static const struct fence_ops ops = { .release = embedded_release };
	struct embedded *e = port_alloc(sizeof(*e));
	unsigned released = 0;
	struct world w;

	CHECK(e);
	world_init(&w);
	e->released = &released;
	fence_init(&e->fence, &w.sync, FENCE_DMA, &ops, sync_new_context(&w.sync), 7);
	CHECK_EQ(fence_get(&e->fence), &e->fence);
	fence_signal(&e->fence, 0);
	fence_put(&e->fence);
	CHECK_EQ(released, 0);
	fence_put(&e->fence);
	CHECK_EQ(released, 1);
	fence_put(NULL);
	CHECK(!fence_get(NULL));
	world_fini(&w);
}

static void contexts_are_unique(void)
{
	struct world w;
	uint64_t a, b;

	world_init(&w);
	a = sync_new_context(&w.sync);
	b = sync_new_context(&w.sync);
	CHECK(a && b && a != b);
	CHECK(w.sync.stub->context != a && w.sync.stub->context != b);
	world_fini(&w);
}

static void emit_ioctl(struct fence *fence, struct fence_cb *cb)
{
	(void)cb;
	event_emit(fence->sync->events, EVENT_IOCTL, 0, 0, 0, 0, 0, 0);
}

static void the_signal_event_comes_before_what_it_causes(void)
{
	struct recorder r;
	struct fence_cb cb;
	struct fence *fence;
	struct world w;

	world_init(&w);
	recorder_attach(&r, &w);
	fence = new_fence(&w, FENCE_DMA);
	CHECK(fence_add_cb(fence, &cb, emit_ioctl));
	fence_signal(fence, -ENODEV);
	CHECK_EQ(r.n, 2);
	CHECK_EQ(r.event[0].type, EVENT_FENCE_SIGNAL);
	CHECK_EQ(r.event[0].arg[0], fence->context);
	CHECK_EQ(r.event[0].arg[1], fence->seqno);
	CHECK_EQ(r.event[0].arg[2], (uint64_t)-ENODEV);
	CHECK_EQ(r.event[1].type, EVENT_IOCTL);
	event_detach(&w.events, &r.reader);
	fence_put(fence);
	world_fini(&w);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void a_wait_ends_with_the_signal(void)
{
	struct fence *fence;
	struct signaller s;
	struct world w;

	world_init(&w);
	CHECK_OK(fence_wait(w.sync.stub, 0, 0));
	fence = new_fence(&w, FENCE_DMA);
	signaller_start(&s, fence, -EIO, 2 * MS);
	/* The fence's error is not the wait's. */
	CHECK_OK(fence_wait(fence, port_now_ns() + LONG, 0));
	CHECK_EQ(fence_error(fence), -EIO);
	port_thread_join(s.thread);
	fence_put(fence);
	world_fini(&w);
}

static void wait_race(uint64_t seed)
{
	struct fence *fence;
	struct signaller s;
	struct world w;

	world_init(&w);
	if (seed & 1) {
		world_hire(&w);
	}
	fence = new_fence(&w, seed & 2 ? FENCE_DMA : FENCE_USER);
	signaller_start(&s, fence, 0, 0);
	/* For ever: a lost wake is a deadlock, which the simulator reports. */
	CHECK_OK(fence_wait(fence, PORT_FOREVER, 0));
	port_thread_join(s.thread);
	fence_put(fence);
	world_fini(&w);
}

static void no_wake_is_lost(void)
{
	test_seeds(wait_race, 1, 200);
}

static void a_wait_times_out_at_its_deadline(void)
{
	struct fence *fence;
	struct world w;
	uint64_t deadline;

	world_init(&w);
	fence = new_fence(&w, FENCE_DMA);
	deadline = port_now_ns() + 3 * MS;
	CHECK_ERR(fence_wait(fence, deadline, 0), -ETIMEDOUT);
	CHECK(port_now_ns() >= deadline);
	CHECK(!test_is_sim() || port_now_ns() < deadline + MS / 10);
	/* Nothing of the wait is left behind. */
	CHECK(list_empty(&fence->cbs));
	signal_and_put(fence, 0);
	world_fini(&w);
}

static void count_run(struct ready_item *item);

struct counted {
	struct ready_item item;
	unsigned runs;
	struct fence *signals; /* may be NULL */
};

static void count_run(struct ready_item *item)
{
	struct counted *c = container_of(item, struct counted, item);

	port_assert_no_locks();
	c->runs++;
	if (c->signals) {
		fence_signal(c->signals, 0);
	}
}

static void a_poll_neither_sleeps_nor_works(void)
{
	struct counted c = { .item.run = count_run };
	struct fence *fence;
	struct world w;

	world_init(&w);
	fence = new_fence(&w, FENCE_DMA);
	ready_push(&w.sync, &c.item);
	CHECK_ERR(fence_wait(fence, 0, 0), -ETIMEDOUT);
	CHECK_ERR(fence_wait(fence, port_now_ns(), PORT_WAIT_INTERRUPTIBLE), -ETIMEDOUT);
	CHECK_EQ(c.runs, 0);
	CHECK_EQ(world_run(&w), 1);
	signal_and_put(fence, 0);
	world_fini(&w);
}

static void interruptible_waits_end_and_can_be_repeated(void)
{
	struct fence *fence;
	struct signaller s;
	struct world w;

	world_init(&w);
	fence = new_fence(&w, FENCE_DMA);
	port_fault_set(PORT_FAULT_SLEEP, 1, true);
	CHECK_ERR(fence_wait(fence, port_now_ns() + LONG, PORT_WAIT_INTERRUPTIBLE), -EINTR);
	/* Nothing interrupts the other kind. */
	CHECK_ERR(fence_wait(fence, port_now_ns() + MS, 0), -ETIMEDOUT);
	port_fault_set(PORT_FAULT_SLEEP, 0, false);
	CHECK(list_empty(&fence->cbs));
	signaller_start(&s, fence, 0, 0);
	CHECK_OK(fence_wait(fence, port_now_ns() + LONG, PORT_WAIT_INTERRUPTIBLE));
	port_thread_join(s.thread);
	fence_put(fence);
	world_fini(&w);
}

static void without_workers_the_waiter_runs_what_is_ready(void)
{
	struct counted c[3] = { 0 };
	struct world w;

	world_init(&w);
	for (unsigned i = 0; i < 3; i++) {
		c[i].item.run = count_run;
		ready_push(&w.sync, &c[i].item);
	}
	c[1].signals = new_fence(&w, FENCE_DMA);
	CHECK_OK(fence_wait(c[1].signals, port_now_ns() + LONG, 0));
	/* No more than it needed. */
	CHECK(c[0].runs == 1 && c[1].runs == 1 && c[2].runs == 0);
	CHECK_EQ(world_run(&w), 1);
	fence_put(c[1].signals);
	world_fini(&w);
}

struct pusher {
	struct world *w;
	struct counted *c;
	struct port_thread *thread;
};

static void pusher_run(void *arg)
{
	struct pusher *p = arg;

	ready_push(&p->w->sync, &p->c->item);
}

static void push_to_sleeper(uint64_t seed)
{
	struct counted c = { .item.run = count_run };
	struct world w;
	struct pusher p = { .w = &w, .c = &c };

	(void)seed;
	world_init(&w);
	c.signals = new_fence(&w, FENCE_DMA);
	CHECK_OK(port_thread_create(&p.thread, "pusher", pusher_run, &p));
	CHECK_OK(fence_wait(c.signals, PORT_FOREVER, 0));
	port_thread_join(p.thread);
	CHECK_EQ(c.runs, 1);
	fence_put(c.signals);
	world_fini(&w);
}

static void without_workers_a_push_reaches_who_sleeps_already(void)
{
	test_seeds(push_to_sleeper, 1, 100);
}

static struct port_lock_class notifier_class = { .name = "test.notifier",
						 .rank = RANK_VM_NOTIFIER };

static void no_help_leaves_the_work_alone(void)
{
	struct counted c = { .item.run = count_run };
	struct port_mutex lock;
	struct fence *fence;
	struct world w;

	world_init(&w);
	fence = new_fence(&w, FENCE_DMA);
	port_mutex_init(&lock, &notifier_class);
	ready_push(&w.sync, &c.item);
	port_mutex_lock(&lock);
	CHECK_ERR(fence_wait(fence, port_now_ns() + MS, FENCE_WAIT_NO_HELP), -ETIMEDOUT);
	port_mutex_unlock(&lock);
	port_mutex_fini(&lock);
	CHECK_EQ(c.runs, 0);
	CHECK_EQ(world_run(&w), 1);
	signal_and_put(fence, 0);
	world_fini(&w);
}

struct mock {
	unsigned helps;
	uint64_t each_ns;
};

static bool mock_help(void *ctx)
{
	struct mock *m = ctx;

	m->helps++;
	if (m->each_ns) {
		nap(m->each_ns);
	}
	return m->each_ns != 0;
}

static void mock_kick(void *ctx)
{
	(void)ctx;
}

static const struct sync_help_ops mock_ops = { .help = mock_help, .kick = mock_kick };

static void only_waits_for_dma_fences_help(void)
{
	static const enum fence_kind others[] = { FENCE_USER, FENCE_FAULT, FENCE_LR };
	struct mock m = { 0 };
	struct fence *fence;
	struct world w;

	world_init(&w);
	w.sync.help_ops = &mock_ops;
	w.sync.help_ctx = &m;
	for (unsigned i = 0; i < ARRAY_LEN(others); i++) {
		fence = new_fence(&w, others[i]);
		CHECK_ERR(fence_wait(fence, port_now_ns() + MS, 0), -ETIMEDOUT);
		fence_put(fence);
	}
	CHECK_EQ(m.helps, 0);
	fence = new_fence(&w, FENCE_DMA);
	CHECK_ERR(fence_wait(fence, port_now_ns() + MS, 0), -ETIMEDOUT);
	CHECK(m.helps > 0);
	fence_put(fence);
	world_fini(&w);
}

static void endless_help_ends_at_the_deadline(void)
{
	struct mock m = { .each_ns = MS };
	struct fence *fence;
	struct world w;
	uint64_t start;

	world_init(&w);
	w.sync.help_ops = &mock_ops;
	w.sync.help_ctx = &m;
	fence = new_fence(&w, FENCE_DMA);
	start = port_now_ns();
	CHECK_ERR(fence_wait(fence, start + 5 * MS + MS / 2, 0), -ETIMEDOUT);
	CHECK(m.helps >= 1 && m.helps <= 6);
	CHECK(!test_is_sim() || port_now_ns() < start + 7 * MS);
	fence_put(fence);
	world_fini(&w);
}

static void endless_help_does_not_shut_signals_out(void)
{
	struct mock m = { .each_ns = MS / 100 };
	struct fence *fence;
	struct world w;

	world_init(&w);
	w.sync.help_ops = &mock_ops;
	w.sync.help_ctx = &m;
	fence = new_fence(&w, FENCE_DMA);
	port_fault_set(PORT_FAULT_SLEEP, 2, false);
	CHECK_ERR(fence_wait(fence, PORT_FOREVER, PORT_WAIT_INTERRUPTIBLE), -EINTR);
	port_fault_set(PORT_FAULT_SLEEP, 0, false);
	CHECK(m.helps > 1);
	fence_put(fence);
	world_fini(&w);
}

static void any_of_many(uint64_t seed)
{
	struct fence *fences[20];
	struct signaller s;
	unsigned first = 99, which = (unsigned)(seed % 20);
	struct world w;

	world_init(&w);
	for (unsigned i = 0; i < 20; i++) {
		fences[i] = new_fence(&w, FENCE_DMA);
	}
	signaller_start(&s, fences[which], 0, seed & 32 ? MS / 10 : 0);
	CHECK_OK(fence_wait_many(&w.sync, fences, 20, false, PORT_FOREVER, 0, &first));
	CHECK_EQ(first, which);
	port_thread_join(s.thread);
	for (unsigned i = 0; i < 20; i++) {
		CHECK(list_empty(&fences[i]->cbs));
		fence_put(fences[i]);
	}
	world_fini(&w);
}

static void waiting_for_any_ends_with_the_first(void)
{
	test_seeds(any_of_many, 1, 64);
}

static void waiting_for_any_of_what_is_done_says_which(void)
{
	struct fence *fences[3];
	unsigned first = 99;
	struct world w;

	world_init(&w);
	fences[0] = new_fence(&w, FENCE_DMA);
	fences[1] = NULL;
	fences[2] = w.sync.stub;
	CHECK_OK(fence_wait_many(&w.sync, fences, 3, false, 0, 0, &first));
	CHECK_EQ(first, 1);
	fences[1] = fences[0];
	CHECK_OK(fence_wait_many(&w.sync, fences, 3, false, 0, 0, &first));
	CHECK_EQ(first, 2);
	CHECK_ERR(fence_wait_many(&w.sync, fences, 2, false, 0, 0, &first), -ETIMEDOUT);
	CHECK_ERR(fence_wait_many(&w.sync, fences, 3, true, 0, 0, NULL), -ETIMEDOUT);
	CHECK_OK(fence_wait_many(&w.sync, fences, 0, false, 0, 0, &first));
	CHECK_EQ(first, 0);
	CHECK_OK(fence_wait_many(&w.sync, NULL, 0, true, 0, 0, NULL));
	fence_put(fences[0]);
	world_fini(&w);
}

static void waiting_for_all_needs_every_one(void)
{
	struct fence *fences[4];
	struct signaller s[4];
	struct world w;

	world_init(&w);
	for (unsigned i = 0; i < 4; i++) {
		fences[i] = new_fence(&w, FENCE_DMA);
	}
	for (unsigned i = 0; i < 3; i++) {
		signaller_start(&s[i], fences[2 - i], 0, i * MS / 10);
	}
	CHECK_ERR(fence_wait_many(&w.sync, fences, 4, true, port_now_ns() + 5 * MS, 0, NULL),
		  -ETIMEDOUT);
	signaller_start(&s[3], fences[3], 0, 0);
	CHECK_OK(fence_wait_many(&w.sync, fences, 4, true, PORT_FOREVER, 0, NULL));
	for (unsigned i = 0; i < 4; i++) {
		port_thread_join(s[i].thread);
		CHECK(fence_is_signalled(fences[i]));
		fence_put(fences[i]);
	}
	world_fini(&w);
}

/* ---- without memory -------------------------------------------------------------------------- */

static void create_body(void *arg)
{
	struct event_stream events;
	struct sync sync;
	struct fence *fence;

	(void)arg;
	event_stream_init(&events);
	if (sync_init(&sync, &events)) {
		CHECK(test_injected());
		test_injection_off();
		CHECK_OK(sync_init(&sync, &events));
	}
	fence = fence_create(&sync, FENCE_DMA);
	if (!fence) {
		CHECK(test_injected());
		test_injection_off();
		fence = fence_create(&sync, FENCE_DMA);
		CHECK(fence);
	}
	fence_put(fence);
	sync_fini(&sync);
	event_stream_fini(&events);
}

static void creation_without_memory_fails_cleanly(void)
{
	CHECK(test_sweep(PORT_FAULT_ALLOC, create_body, NULL) >= 5);
}

static void only_waiting_for_any_of_many_needs_memory(void)
{
	struct fence *fences[20], *fence;
	struct world w;
	int ret;

	world_init(&w);
	fence = new_fence(&w, FENCE_DMA);
	for (unsigned i = 0; i < 20; i++) {
		fences[i] = fence;
	}
	port_fault_set(PORT_FAULT_ALLOC, 1, false);
	ret = fence_wait_many(&w.sync, fences, 20, false, port_now_ns() + LONG, 0, NULL);
	CHECK_ERR(ret, -ENOMEM);
	/* The way without memory: all, or few. */
	port_fault_set(PORT_FAULT_ALLOC, 1, true);
	ret = fence_wait_many(&w.sync, fences, 20, true, port_now_ns() + MS, 0, NULL);
	CHECK_ERR(ret, -ETIMEDOUT);
	ret = fence_wait_many(&w.sync, fences, 8, false, port_now_ns() + MS, 0, NULL);
	CHECK_ERR(ret, -ETIMEDOUT);
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	ret = fence_wait_many(&w.sync, fences, 20, false, port_now_ns() + MS, 0, NULL);
	CHECK_ERR(ret, -ETIMEDOUT);
	fence_put(fence);
	world_fini(&w);
}

/* ---- the ready queue ------------------------------------------------------------------------- */

static void ready_items_come_out_in_order(void)
{
	struct counted c[3] = { 0 };
	struct world w;

	world_init(&w);
	CHECK(ready_empty(&w.sync));
	CHECK(!ready_pop(&w.sync));
	for (unsigned i = 0; i < 3; i++) {
		c[i].item.run = count_run;
		ready_push(&w.sync, &c[i].item);
	}
	CHECK(!ready_empty(&w.sync));
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(ready_pop(&w.sync), &c[i].item);
	}
	CHECK(ready_empty(&w.sync));
	world_fini(&w);
}

struct push_cb {
	struct fence_cb cb;
	struct counted c;
};

static void push_func(struct fence *fence, struct fence_cb *cb)
{
	ready_push(fence->sync, &container_of(cb, struct push_cb, cb)->c.item);
}

static void a_push_under_a_fence_lock_kicks_a_worker(void)
{
	struct push_cb p = { .c.item.run = count_run };
	struct fence *fence, *done;
	struct world w;

	world_init(&w);
	world_hire(&w);
	fence = new_fence(&w, FENCE_DMA);
	done = new_fence(&w, FENCE_USER);
	p.c.signals = done;
	CHECK(fence_add_cb(fence, &p.cb, push_func));
	fence_signal(fence, 0);
	CHECK_EQ(atomic_load(&w.kicks), 1);
	/* A user fence's wait does not help, so this is the worker's doing. */
	CHECK_OK(fence_wait(done, PORT_FOREVER, 0));
	CHECK_EQ(atomic_load(&w.helps), 0);
	fence_put(fence);
	fence_put(done);
	world_fini(&w);
}

/* ---- contradictions -------------------------------------------------------------------------- */

static void signal_twice(void *arg)
{
	fence_signal(((struct world *)arg)->sync.stub, 0);
}

static void signal_positive(void *arg)
{
	fence_signal(new_fence(arg, FENCE_DMA), 5);
}

/* ---- enabling -------------------------------------------------------------------------------- */

/* Signals itself by a ready item, once somebody waits for it. */
struct lazy {
	struct fence fence;
	struct ready_item item;
	unsigned enabled;
	bool goes;
};

static void lazy_run(struct ready_item *item)
{
	struct lazy *lazy = container_of(item, struct lazy, item);

	fence_signal(&lazy->fence, 0);
	fence_put(&lazy->fence);
}

static void lazy_enable(struct fence *fence)
{
	struct lazy *lazy = container_of(fence, struct lazy, fence);

	port_mutex_assert_held(&fence->lock);
	CHECK(!fence_is_signalled(fence) && !list_empty(&fence->cbs));
	lazy->enabled++;
	if (lazy->goes) {
		fence_get(fence);
		ready_push(fence->sync, &lazy->item);
	}
}

static void lazy_release(struct fence *fence)
{
	port_free(container_of(fence, struct lazy, fence));
}

static const struct fence_ops lazy_ops = { .release = lazy_release, .enable = lazy_enable };

static struct lazy *new_lazy(struct world *w, bool goes)
{
	struct lazy *lazy = port_alloc(sizeof(*lazy));

	CHECK(lazy);
	fence_init(&lazy->fence, &w->sync, FENCE_DMA, &lazy_ops, sync_new_context(&w->sync), 1);
	lazy->item.run = lazy_run;
	list_init(&lazy->item.node);
	lazy->goes = goes;
	return lazy;
}

static void test_B19_the_first_callback_enables(void)
{
	struct probe p[2] = { 0 };
	struct lazy *lazy;
	struct world w;

	world_init(&w);
	lazy = new_lazy(&w, false);
	CHECK(!fence_is_signalled(&lazy->fence));
	CHECK_EQ(lazy->enabled, 0);
	CHECK(fence_add_cb(&lazy->fence, &p[0].cb, probe_func));
	CHECK_EQ(lazy->enabled, 1);
	CHECK(fence_add_cb(&lazy->fence, &p[1].cb, probe_func));
	CHECK(fence_remove_cb(&lazy->fence, &p[0].cb));
	CHECK(fence_remove_cb(&lazy->fence, &p[1].cb));
	CHECK(fence_add_cb(&lazy->fence, &p[0].cb, probe_func));
	CHECK_EQ(lazy->enabled, 1);
	fence_signal(&lazy->fence, 0);
	fence_put(&lazy->fence);
	/* Nobody has waited for this one, and nobody can any more. */
	lazy = new_lazy(&w, false);
	fence_signal(&lazy->fence, 0);
	CHECK(!fence_add_cb(&lazy->fence, &p[1].cb, probe_func));
	CHECK_EQ(lazy->enabled, 0);
	fence_put(&lazy->fence);
	world_fini(&w);
}

struct dependent {
	struct ready_item item;
	struct deps deps;
	atomic_bool run;
};

static void dependent_run(struct ready_item *item)
{
	atomic_store(&container_of(item, struct dependent, item)->run, true);
}

static void every_wait_enables(bool worker)
{
	struct dependent job = { .item = { .run = dependent_run } };
	struct fence *both[2], *all;
	struct lazy *lazy[4];
	struct world w;

	world_init(&w);
	for (unsigned i = 0; i < 4; i++) {
		lazy[i] = new_lazy(&w, true);
	}
	if (worker) {
		world_hire(&w);
	}
	CHECK_OK(fence_wait(&lazy[0]->fence, port_now_ns() + LONG, 0));
	/* A container waits for its parts from the beginning. */
	both[0] = &lazy[1]->fence;
	both[1] = &lazy[2]->fence;
	all = fence_all(&w.sync, both, 2);
	CHECK(all && lazy[1]->enabled == 1 && lazy[2]->enabled == 1);
	CHECK_OK(fence_wait(all, port_now_ns() + LONG, 0));
	fence_put(all);
	/* So does a job, once it is armed. */
	CHECK_OK(deps_init(&job.deps, &w.sync, &job.item, 1));
	deps_add(&job.deps, &lazy[3]->fence);
	CHECK_EQ(lazy[3]->enabled, 0);
	if (deps_arm(&job.deps, NULL)) {
		dependent_run(&job.item);
	}
	while (!atomic_load(&job.run)) {
		(void)world_run(&w);
		port_relax();
	}
	for (unsigned i = 0; i < 4; i++) {
		CHECK_EQ(lazy[i]->enabled, 1);
		fence_put(&lazy[i]->fence);
	}
	deps_fini(&job.deps);
	world_fini(&w);
}

static void test_B19_every_wait_enables(void)
{
	every_wait_enables(false);
	every_wait_enables(true);
}

static void put_with_callback(void *arg)
{
	struct fence *fence = new_fence(arg, FENCE_DMA);
	struct fence_cb cb;

	fence_add_cb(fence, &cb, drop_own);
	fence_put(fence);
}

static void wait_user_with_lock(void *arg)
{
	struct fence *fence = new_fence(arg, FENCE_USER);
	struct port_mutex lock;

	port_mutex_init(&lock, &notifier_class);
	port_mutex_lock(&lock);
	fence_wait(fence, 0, 0);
}

static void wait_any_user_with_lock(void *arg)
{
	struct fence *fences[] = { ((struct world *)arg)->sync.stub, new_fence(arg, FENCE_LR) };
	struct port_mutex lock;

	port_mutex_init(&lock, &notifier_class);
	port_mutex_lock(&lock);
	fence_wait_many(&((struct world *)arg)->sync, fences, 2, false, 0, 0, NULL);
}

static void fini_with_stub_held(void *arg)
{
	struct world *w = arg;

	fence_get(w->sync.stub);
	sync_fini(&w->sync);
}

static void contradictions_panic(void)
{
	struct world w;

	world_init(&w);
	test_expect_abort(signal_twice, &w, "!fence_is_signalled(fence)");
	test_expect_abort(signal_positive, &w, "error <= 0");
	test_expect_abort(put_with_callback, &w, "list_empty(&fence->cbs)");
	test_expect_abort(fini_with_stub_held, &w, "sync->stub");
	world_fini(&w);
}

static void test_R4_waiting_for_a_client_under_a_lock_panics(void)
{
	struct world w;

	world_init(&w);
	test_expect_abort(wait_user_with_lock, &w, "test.notifier");
	test_expect_abort(wait_any_user_with_lock, &w, "test.notifier");
	world_fini(&w);
}

static const struct test_case cases[] = {
	TEST(a_signal_carries_its_error_and_time),
	TEST(callbacks_run_once_in_order_under_the_lock),
	TEST(a_signalled_fence_refuses_callbacks),
	TEST(a_removed_callback_is_not_called),
	TEST(adding_and_removing_race_with_the_signal),
	TEST(callbacks_done_means_that_all_have_been_called),
	TEST(a_callback_may_drop_the_last_reference_of_another_fence),
	TEST(a_callback_may_drop_the_signallers_reference),
	TEST(release_runs_once_at_the_last_reference),
	TEST(contexts_are_unique),
	TEST(the_signal_event_comes_before_what_it_causes),
	TEST(a_wait_ends_with_the_signal),
	TEST(no_wake_is_lost),
	TEST(a_wait_times_out_at_its_deadline),
	TEST(a_poll_neither_sleeps_nor_works),
	TEST(interruptible_waits_end_and_can_be_repeated),
	TEST(without_workers_the_waiter_runs_what_is_ready),
	TEST(without_workers_a_push_reaches_who_sleeps_already),
	TEST(no_help_leaves_the_work_alone),
	TEST(only_waits_for_dma_fences_help),
	TEST(endless_help_ends_at_the_deadline),
	TEST(endless_help_does_not_shut_signals_out),
	TEST(waiting_for_any_ends_with_the_first),
	TEST(waiting_for_any_of_what_is_done_says_which),
	TEST(waiting_for_all_needs_every_one),
	TEST(creation_without_memory_fails_cleanly),
	TEST(only_waiting_for_any_of_many_needs_memory),
	TEST(ready_items_come_out_in_order),
	TEST(a_push_under_a_fence_lock_kicks_a_worker),
	TEST(test_B19_the_first_callback_enables),
	TEST(test_B19_every_wait_enables),
	TEST(contradictions_panic),
	TEST(test_R4_waiting_for_a_client_under_a_lock_panics),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
