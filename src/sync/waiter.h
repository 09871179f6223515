/* SPDX-License-Identifier: MIT */
/* One thread's wait, shared by all kinds of waits of this room. Not for other rooms. */
#ifndef SYNC_WAITER_H
#define SYNC_WAITER_H

#include "sync/fence.h"

struct waiter {
	struct sync *sync;
	struct port_wq own;
	struct port_wq *wq; /* what to prepare, sleep on and wake: @own or sync->ready_wq */
	uint64_t deadline_ns;
	unsigned flags;     /* PORT_WAIT_INTERRUPTIBLE, FENCE_WAIT_NO_HELP */
	unsigned helped;    /* pieces of work run so far */
};

void waiter_init(struct waiter *w, struct sync *sync, uint64_t deadline_ns, unsigned flags);

/*
 * One round of waiting, after port_wq_prepare(@w->wq) gave @seq and the condition was found unmet:
 * helps (if @dma, and where allowed) or sleeps. 0: look again; -ETIMEDOUT, -EINTR.
 */
int waiter_pause(struct waiter *w, uint32_t seq, bool dma);

/* A fence callback that wakes a waiter. */
struct wait_cb {
	struct fence_cb cb;
	struct waiter *waiter;
};

/* Wakes @w when @fence signals. False: it has. Undo with fence_remove_cb(@fence, &@wcb->cb). */
bool wait_cb_add(struct wait_cb *wcb, struct waiter *w, struct fence *fence);

#endif
