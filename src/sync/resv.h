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
 * Locking: resv.lock (RANK_RESV), one at a time: a place that is reserved stays, so whoever needs
 * several objects need not hold them together, and there is no order among them to agree on. Nobody
 * waits for a fence while holding a reservation: whoever is to publish it may need one more.
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
	const char *where; /* it was added, for messages */
};

#define RESV_FEW 2 /* most objects never have more fences: these need no memory */

struct resv {
	struct port_mutex lock;   /* RANK_RESV; protects the rest */
	uint64_t id;              /* of the object, for messages; its owner's to set */
	const char *reserved_at;  /* last, or NULL; for messages */
	unsigned count;           /* fences */
	unsigned reserved;        /* places for more; count + reserved <= cap */
	unsigned cap;
	struct resv_fence *entry; /* .few, or owned */
	struct resv_fence few[RESV_FEW];
};

void resv_init(struct resv *resv);
/* Nobody has a place reserved. Fences that have not signalled are let go of. */
void resv_fini(struct resv *resv);
void resv_lock_at(struct resv *resv, const char *where);
#define resv_lock(resv) resv_lock_at(resv, PORT_HERE)
void resv_unlock(struct resv *resv);

/* Places for @n fences. 0 or -ENOMEM. Lock held, as for the next three. */
int resv_reserve_at(struct resv *resv, unsigned n, const char *where);
#define resv_reserve(resv, n) resv_reserve_at(resv, n, PORT_HERE)
/* Gives back @n places that were not used. */
void resv_unreserve(struct resv *resv, unsigned n);
/* Lets go of what has signalled, and of the memory that is not needed for the rest. */
void resv_prune(struct resv *resv);
/*
 * Uses one place. Takes a reference of its own, unless the fence has signalled. Not a fence for
 * several (add its parts), and a dma fence only. A fence takes the place of earlier ones of its
 * context, but never so that somebody who would have waited for those no longer waits (R7).
 */
void resv_add_at(struct resv *resv, struct fence *fence, enum resv_usage usage, const char *where);
#define resv_add(resv, fence, usage) resv_add_at(resv, fence, usage, PORT_HERE)

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
