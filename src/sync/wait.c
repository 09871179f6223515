// SPDX-License-Identifier: MIT
/*
 * Waiting for fences.
 *
 * Overview: a wait is a loop of "read the event count, look, help or sleep". A waiting thread first
 * runs ready work itself, because a wake across cores costs more than most of that work (P4); it
 * sleeps when there is none. The fences' callbacks wake it.
 *
 * Deadline and signals: the deadline is looked at before each piece of help, so that it is overrun
 * by one piece at most. An endless supply of work must not lock out the client's signals either:
 * now and then an interruptible wait sleeps for no time.
 *
 * Locking: a waiter lives on its thread's stack. It is woken under the lock of a fence, which
 * fence_remove_cb() takes before the frame goes.
 */
#include "sync/waiter.h"

/* Waits for no more than this many fences need no memory. */
#define WAIT_FEW 8
/* Pieces of work between two looks for a signal of the client. */
#define HELP_BURST 16

void waiter_init(struct waiter *w, struct sync *sync, uint64_t deadline_ns, unsigned flags)
{
	ASSERT(!(flags & ~(PORT_WAIT_INTERRUPTIBLE | FENCE_WAIT_NO_HELP)));
	w->sync = sync;
	port_wq_init(&w->own);
	w->wq = sync->help_ops ? &w->own : &sync->ready_wq;
	w->deadline_ns = deadline_ns;
	w->flags = flags;
	w->helped = 0;
}

static bool waiter_help(struct waiter *w, bool dma)
{
	struct ready_item *item;
	bool helped;

	if (w->flags & FENCE_WAIT_NO_HELP) {
		return false;
	}
	port_helping_begin();
	if (w->sync->help_ops) {
		/* Work behind user fences and long-running jobs is not helped: it may never end. */
		helped = dma && w->sync->help_ops->help(w->sync->help_ctx);
	} else {
		item = ready_pop(w->sync);
		if (item) {
			item->run(item);
		}
		helped = item != NULL;
	}
	port_helping_end();
	return helped;
}

int waiter_pause(struct waiter *w, uint32_t seq, bool dma)
{
	unsigned flags = w->flags & PORT_WAIT_INTERRUPTIBLE;

	/* A waiter that was set up before help_ops came would sleep where nobody wakes. */
	ASSERT((w->wq == &w->own) == (w->sync->help_ops != NULL));
	if (w->deadline_ns != PORT_FOREVER && port_now_ns() >= w->deadline_ns) {
		return -ETIMEDOUT;
	}
	if (waiter_help(w, dma)) {
		if (++w->helped % HELP_BURST == 0 && flags &&
		    port_wq_wait(w->wq, seq, 0, flags) == -EINTR) {
			return -EINTR;
		}
		return 0;
	}
	return port_wq_wait(w->wq, seq, w->deadline_ns, flags);
}

static void wait_cb_func(struct fence *fence, struct fence_cb *cb)
{
	struct wait_cb *wcb = container_of(cb, struct wait_cb, cb);

	port_wq_wake(wcb->waiter->wq);
}

bool wait_cb_add(struct wait_cb *wcb, struct waiter *w, struct fence *fence)
{
	wcb->waiter = w;
	return fence_add_cb(fence, &wcb->cb, wait_cb_func);
}

/* A look, whose deadline is over, is no wait. */
static void check_wait(const struct fence *fence, uint64_t deadline_ns, const char *where)
{
	if (fence->kind != FENCE_DMA) {
		port_client_wait_at(fence->context, fence->seqno, where);
	} else if (deadline_ns) {
		port_fence_wait_at(fence->context, fence->seqno, where);
	}
}

int fence_wait_at(struct fence *fence, uint64_t deadline_ns, unsigned flags, const char *where)
{
	bool dma = fence->kind == FENCE_DMA;
	struct wait_cb wcb;
	struct waiter w;
	int ret = 0;

	check_wait(fence, deadline_ns, where);
	waiter_init(&w, fence->sync, deadline_ns, flags);
	if (!wait_cb_add(&wcb, &w, fence)) {
		return 0;
	}
	for (;;) {
		uint32_t seq = port_wq_prepare(w.wq);

		if (fence_is_signalled(fence)) {
			ret = 0;
			break;
		}
		if (ret) {
			break;
		}
		ret = waiter_pause(&w, seq, dma);
	}
	fence_remove_cb(fence, &wcb.cb);
	return ret;
}

/* One after the other: needs no memory, and all must come anyway. */
static int wait_all(struct fence *const *fences, unsigned n, uint64_t deadline_ns, unsigned flags,
		    const char *where)
{
	for (unsigned i = 0; i < n; i++) {
		int ret = fences[i] ? fence_wait_at(fences[i], deadline_ns, flags, where) : 0;

		if (ret) {
			return ret;
		}
	}
	return 0;
}

/* Index of the first signalled one, @n if there is none. */
static unsigned first_signalled(struct fence *const *fences, unsigned n)
{
	unsigned i = 0;

	while (i < n && fences[i] && !fence_is_signalled(fences[i])) {
		i++;
	}
	return i;
}

static int wait_any(struct waiter *w, struct wait_cb *wcbs, struct fence *const *fences, unsigned n,
		    unsigned *first_out)
{
	unsigned added = 0, first = n;
	bool dma = false;
	int ret = 0;

	ASSERT(n > 0);
	while (added < n && wait_cb_add(&wcbs[added], w, fences[added])) {
		dma |= fences[added]->kind == FENCE_DMA;
		added++;
	}
	for (;;) {
		uint32_t seq = port_wq_prepare(w->wq);

		first = first_signalled(fences, n);
		if (first < n) {
			ret = 0;
			*first_out = first;
			break;
		}
		if (ret) {
			break;
		}
		ret = waiter_pause(w, seq, dma);
	}
	for (unsigned i = 0; i < added; i++) {
		fence_remove_cb(fences[i], &wcbs[i].cb);
	}
	return ret;
}

int fence_wait_many_at(struct sync *sync, struct fence *const *fences, unsigned n, bool all,
		       uint64_t deadline_ns, unsigned flags, unsigned *first_out, const char *where)
{
	struct wait_cb few[WAIT_FEW], *wcbs = few;
	struct waiter w;
	unsigned first = 0;
	int ret = 0;

	ASSERT(n == 0 || fences);
	for (unsigned i = 0; i < n; i++) {
		if (fences[i]) {
			check_wait(fences[i], deadline_ns, where);
		}
	}
	if (all) {
		ret = wait_all(fences, n, deadline_ns, flags, where);
	} else if (n) {
		first = first_signalled(fences, n);
	}
	if (!all && n && first == n) {
		if (n > WAIT_FEW) {
			wcbs = port_alloc(n * sizeof(*wcbs));
			if (!wcbs) {
				return -ENOMEM;
			}
		}
		waiter_init(&w, sync, deadline_ns, flags);
		ret = wait_any(&w, wcbs, fences, n, &first);
		if (wcbs != few) {
			port_free(wcbs);
		}
	}
	if (!ret && first_out) {
		*first_out = first;
	}
	return ret;
}
