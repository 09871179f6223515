/* SPDX-License-Identifier: MIT */
/* What the tests of src/sync/ share: a device's synchronisation state, threads and a worker. */
#ifndef TESTS_UNIT_TEST_SYNC_H
#define TESTS_UNIT_TEST_SYNC_H

#include "test.h"

#include "sync/fence.h"

#define MS 1000000ull
/* Longer than any scheduling noise: a wait that lasts that long has lost its wake. */
#define LONG (20000 * MS)
#define MAYBE_UNUSED __attribute__((unused))

struct world {
	struct event_stream events;
	struct sync sync;
	struct port_thread *worker; /* NULL: waiters run ready items themselves */
	struct port_wq work_wq;
	atomic_bool stop;
	atomic_uint helps, kicks;
};

MAYBE_UNUSED static void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	event_stream_init(&w->events);
	CHECK_OK(sync_init(&w->sync, &w->events));
	port_wq_init(&w->work_wq);
}

static bool world_help(void *ctx)
{
	struct world *w = ctx;
	struct ready_item *item = ready_pop(&w->sync);

	atomic_fetch_add(&w->helps, 1);
	if (item) {
		item->run(item);
	}
	return item != NULL;
}

static void world_kick(void *ctx)
{
	struct world *w = ctx;

	atomic_fetch_add(&w->kicks, 1);
	port_wq_wake(&w->work_wq);
}

static const struct sync_help_ops world_help_ops = { .help = world_help, .kick = world_kick };

static void world_work(void *arg)
{
	struct world *w = arg;

	for (;;) {
		uint32_t seq = port_wq_prepare(&w->work_wq);
		struct ready_item *item = ready_pop(&w->sync);

		if (item) {
			item->run(item);
		} else if (atomic_load(&w->stop)) {
			break;
		} else {
			port_wq_wait(&w->work_wq, seq, PORT_FOREVER, 0);
		}
	}
}

/* From now on a worker runs ready items, and waiters help. */
MAYBE_UNUSED static void world_hire(struct world *w)
{
	w->sync.help_ops = &world_help_ops;
	w->sync.help_ctx = w;
	CHECK_OK(port_thread_create(&w->worker, "worker", world_work, w));
}

/* Runs what is ready, when there is no worker. */
MAYBE_UNUSED static unsigned world_run(struct world *w)
{
	struct ready_item *item;
	unsigned n = 0;

	while ((item = ready_pop(&w->sync))) {
		item->run(item);
		n++;
	}
	return n;
}

MAYBE_UNUSED static void world_fini(struct world *w)
{
	if (w->worker) {
		atomic_store(&w->stop, true);
		port_wq_wake(&w->work_wq);
		port_thread_join(w->worker);
	}
	sync_fini(&w->sync);
	event_stream_fini(&w->events);
}

MAYBE_UNUSED static struct fence *new_fence(struct world *w, enum fence_kind kind)
{
	struct fence *fence = fence_create(&w->sync, kind);

	CHECK(fence);
	return fence;
}

MAYBE_UNUSED static struct fence *new_fence_of(struct world *w, uint64_t context, uint64_t seqno)
{
	struct fence *fence = port_alloc(sizeof(*fence));

	CHECK(fence);
	fence_init(fence, &w->sync, FENCE_DMA, NULL, context, seqno);
	return fence;
}

MAYBE_UNUSED static void nap(uint64_t ns)
{
	uint64_t until = port_now_ns() + ns;
	struct port_wq wq;

	port_wq_init(&wq);
	while (port_now_ns() < until) {
		port_wq_wait(&wq, port_wq_prepare(&wq), until, 0);
	}
}

/* A thread that signals a fence after a while. */
struct signaller {
	struct fence *fence;
	int error;
	uint64_t after_ns;
	struct port_thread *thread;
};

static void signaller_run(void *arg)
{
	struct signaller *s = arg;

	if (s->after_ns) {
		nap(s->after_ns);
	}
	fence_signal(s->fence, s->error);
	fence_put(s->fence);
}

MAYBE_UNUSED static void signaller_start(struct signaller *s, struct fence *fence, int error,
					 uint64_t after_ns)
{
	s->fence = fence_get(fence);
	s->error = error;
	s->after_ns = after_ns;
	CHECK_OK(port_thread_create(&s->thread, "signaller", signaller_run, s));
}

MAYBE_UNUSED static void signal_and_put(struct fence *fence, int error)
{
	fence_signal(fence, error);
	fence_put(fence);
}

MAYBE_UNUSED static unsigned refs_of(struct fence *fence)
{
	return atomic_load(&fence->ref.count);
}

/* Keeps the first events of the stream. */
struct recorder {
	struct event_reader reader;
	unsigned n;
	struct event event[64];
};

static void recorder_read(struct event_reader *self, const struct event *event)
{
	struct recorder *r = container_of(self, struct recorder, reader);

	if (r->n < ARRAY_LEN(r->event)) {
		r->event[r->n++] = *event;
	}
}

MAYBE_UNUSED static void recorder_attach(struct recorder *r, struct world *w)
{
	r->n = 0;
	r->reader.read = recorder_read;
	event_attach(&w->events, &r->reader);
}

MAYBE_UNUSED static unsigned recorder_count(const struct recorder *r, enum event_type type)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->n; i++) {
		n += r->event[i].type == type;
	}
	return n;
}

#endif
