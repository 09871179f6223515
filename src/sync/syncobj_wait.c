// SPDX-License-Identifier: MIT
/*
 * Waiting for syncobjs.
 *
 * Overview: every entry goes through two stages. First its fence must exist: with the flags that
 * allow it to be missing, a watcher on the syncobj marks the entry when something arrives, and the
 * look-up is tried again. Then, unless existence was all that was asked for, the fence must signal:
 * a callback on it wakes the same sleeper. The fence found first is kept; what happens to the
 * syncobj afterwards no longer matters.
 *
 * Locking: none held by the caller, since what is waited for is in a client's hands (R4). Entries
 * live in this thread's frame or one allocation; they are taken off every watcher and callback list
 * (under those lists' locks) before it goes.
 */
#include "sync/syncobj.h"
#include "sync/waiter.h"

/* Waits for no more than this many syncobjs need no memory of their own. */
#define WAIT_FEW 4

struct entry {
	struct syncobj_watcher watcher;
	struct wait_cb wcb;
	struct waiter *waiter;
	struct fence *fence; /* a reference, once found */
	atomic_bool arrived; /* set by the watcher: look the syncobj up again */
	bool watching;
	bool waiting;        /* @wcb was added to @fence */
	bool available;      /* has a fence, or a point; @fence need not be looked up */
};

struct many {
	struct waiter waiter;
	const struct syncobj_wait *waits;
	struct entry *entries;
	unsigned n;
	unsigned flags;
	bool dma; /* some fence waited for is one that ready work may signal */
};

static void entry_arrived(struct syncobj_watcher *self)
{
	struct entry *e = container_of(self, struct entry, watcher);

	atomic_store_explicit(&e->arrived, true, memory_order_release);
	port_wq_wake(e->waiter->wq);
}

static bool may_be_missing(const struct many *m)
{
	return (m->flags & (SYNCOBJ_WAIT_FOR_SUBMIT | SYNCOBJ_WAIT_AVAILABLE)) != 0;
}

/* Looks entry @i up. 0 also when there is nothing yet and there need not be; -EINVAL, -ENOMEM. */
static int entry_look_up(struct many *m, unsigned i)
{
	const struct syncobj_wait *wait = &m->waits[i];
	struct entry *e = &m->entries[i];
	int ret;

	ASSERT(!e->fence);
	if (m->flags & SYNCOBJ_WAIT_AVAILABLE) {
		e->available = syncobj_has(wait->so, wait->point);
		return 0;
	}
	ret = syncobj_find(wait->so, wait->point, &e->fence);
	if (ret == -EINVAL && may_be_missing(m)) {
		return 0;
	}
	e->available = ret == 0;
	return ret;
}

static bool entry_done(const struct many *m, const struct entry *e)
{
	if (m->flags & SYNCOBJ_WAIT_AVAILABLE) {
		return e->available;
	}
	return e->fence && fence_is_signalled(e->fence);
}

/* The state of the whole wait. True when it is over; *@first_out is then the first done entry. */
static bool many_done(const struct many *m, unsigned *first_out)
{
	unsigned done = 0, first = 0;

	for (unsigned i = m->n; i-- > 0;) {
		if (entry_done(m, &m->entries[i])) {
			first = i;
			done++;
		}
	}
	*first_out = first;
	return done == m->n || (done && !(m->flags & SYNCOBJ_WAIT_ALL));
}

/* Looks up what is there now; with nothing missing, or what may be, 0. */
static int many_start(struct many *m)
{
	for (unsigned i = 0; i < m->n; i++) {
		int ret = entry_look_up(m, i);

		if (ret) {
			return ret;
		}
	}
	return 0;
}

/* Goes to be woken by everything that is not done. */
static void many_watch(struct many *m)
{
	for (unsigned i = 0; i < m->n; i++) {
		struct entry *e = &m->entries[i];

		if (!e->available) {
			ASSERT(!e->watching && !e->fence);
			e->waiter = &m->waiter;
			e->watcher.arrived = entry_arrived;
			e->watching = true;
			/* Something may have come since the look-up, while nobody watched. */
			atomic_init(&e->arrived,
				    !(m->waiter.sync->without & SYNC_GUARD_ARRIVED));
			syncobj_watch(m->waits[i].so, &e->watcher);
		}
	}
}

/* Looks up what has arrived, and has callbacks on all fences there are. */
static int many_refresh(struct many *m)
{
	for (unsigned i = 0; i < m->n; i++) {
		struct entry *e = &m->entries[i];

		if (!e->available &&
		    atomic_exchange_explicit(&e->arrived, false, memory_order_acquire)) {
			int ret = entry_look_up(m, i);

			if (ret) {
				return ret;
			}
		}
		ASSERT(e->available || e->watching);
		if (e->fence && !e->waiting) {
			e->waiting = true;
			m->dma |= e->fence->kind == FENCE_DMA;
			wait_cb_add(&e->wcb, &m->waiter, e->fence);
		}
	}
	return 0;
}

static int many_wait(struct many *m, unsigned *first_out)
{
	int ret = many_start(m), pause = 0;

	if (ret || many_done(m, first_out)) {
		return ret;
	}
	many_watch(m);
	for (;;) {
		uint32_t seq = port_wq_prepare(m->waiter.wq);

		ret = many_refresh(m);
		if (ret || many_done(m, first_out)) {
			return ret;
		}
		if (pause) {
			return pause == -ETIMEDOUT ? -ETIME : pause;
		}
		pause = waiter_pause(&m->waiter, seq, m->dma);
	}
}

static void many_end(struct many *m)
{
	for (unsigned i = 0; i < m->n; i++) {
		struct entry *e = &m->entries[i];

		if (e->watching) {
			syncobj_unwatch(m->waits[i].so, &e->watcher);
		}
		if (e->waiting) {
			fence_remove_cb(e->fence, &e->wcb.cb);
		}
		fence_put(e->fence);
	}
}

int syncobj_wait_many(struct sync *sync, const struct syncobj_wait *waits, unsigned n,
		      unsigned flags, uint64_t deadline_ns, bool interruptible,
		      unsigned *first_out)
{
	struct entry few[WAIT_FEW], *entries = few;
	struct many m = { .waits = waits, .n = n, .flags = flags };
	unsigned first = 0;
	int ret;

	ASSERT(!(flags & ~(SYNCOBJ_WAIT_ALL | SYNCOBJ_WAIT_FOR_SUBMIT | SYNCOBJ_WAIT_AVAILABLE)));
	ASSERT(n == 0 || waits);
	port_assert_no_locks();
	if (n > WAIT_FEW) {
		entries = port_alloc(n * sizeof(*entries));
		if (!entries) {
			return -ENOMEM;
		}
	} else {
		memset(few, 0, sizeof(few));
	}
	m.entries = entries;
	waiter_init(&m.waiter, sync, deadline_ns, interruptible ? PORT_WAIT_INTERRUPTIBLE : 0);
	ret = many_wait(&m, &first);
	many_end(&m);
	if (entries != few) {
		port_free(entries);
	}
	if (!ret && first_out) {
		*first_out = first;
	}
	return ret;
}
