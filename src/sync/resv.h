/* SPDX-License-Identifier: MIT */
/*
 * Reservation objects: which fences there are on an object, and for what.
 *
 * A usage says who has to wait for a fence; a reader names the usage up to which it looks. KERNEL
 * is for what nobody may be early for (moves, clears), WRITE and READ are what clients have made
 * known to one another, BOOKKEEP is only for who takes the memory away.
 *
 * Adding a fence is a part of its publication and cannot fail (R6): a place for it is reserved
 * before, and kept across unlocking. Whether a place was needed in the end does not matter.
 *
 * Locking: resv.lock (RANK_RESV; several may be held, in any order that all agree on). Nobody waits
 * for a fence while holding a reservation: whoever is to publish it may need one more.
 */
#ifndef SYNC_RESV_H
#define SYNC_RESV_H

#include "sync/fence.h"

enum resv_usage {
	RESV_KERNEL,
	RESV_WRITE,
	RESV_READ,
	RESV_BOOKKEEP,
};

struct resv_fence {
	struct fence *fence; /* a reference */
	enum resv_usage usage;
};

#define RESV_FEW 2 /* most objects never have more fences: these need no memory */

struct resv {
	struct port_mutex lock;   /* RANK_RESV; protects the rest */
	unsigned count;           /* fences */
	unsigned reserved;        /* places for more; count + reserved <= cap */
	unsigned cap;
	struct resv_fence *entry; /* .few, or owned */
	struct resv_fence few[RESV_FEW];
};

void resv_init(struct resv *resv);
/* Nobody has a place reserved. Fences that have not signalled are let go of. */
void resv_fini(struct resv *resv);
void resv_lock(struct resv *resv);
void resv_unlock(struct resv *resv);

/* Places for @n fences. 0 or -ENOMEM. Lock held, as for the next three. */
int resv_reserve(struct resv *resv, unsigned n);
/* Gives back @n places that were not used. */
void resv_unreserve(struct resv *resv, unsigned n);
/* Lets go of what has signalled, and of the memory that is not needed for the rest. */
void resv_prune(struct resv *resv);
/*
 * Uses one place. Takes a reference of its own, unless the fence has signalled. Not a fence for
 * several (add its parts), and a dma fence only. A fence takes the place of earlier ones of its
 * context, but never so that somebody who would have waited for those no longer waits (R7).
 */
void resv_add(struct resv *resv, struct fence *fence, enum resv_usage usage);

/*
 * References to the unsignalled fences up to @usage, now. Returns their number; when it is above
 * @cap none was stored: come again with more room. Lock held.
 */
unsigned resv_collect(struct resv *resv, enum resv_usage usage, struct fence **fences_out,
		      unsigned cap);
/* Have all up to @usage signalled? Takes the lock, as do the next two. */
bool resv_is_idle(struct resv *resv, enum resv_usage usage);
/*
 * A reference to one fence that signals when all up to @usage have that are there now. NULL without
 * memory.
 */
struct fence *resv_snapshot(struct resv *resv, struct sync *sync, enum resv_usage usage);
/*
 * Waits for those that are there now; what is added later is never waited for. 0, -ETIMEDOUT,
 * -EINTR, -ENOMEM. No reservation held; else as fence_wait().
 */
int resv_wait(struct resv *resv, struct sync *sync, enum resv_usage usage, uint64_t deadline_ns,
	      unsigned flags);

#endif
