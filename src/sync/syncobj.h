/* SPDX-License-Identifier: MIT */
/*
 * Syncobjs: containers of fences that clients name by handle (A03). A binary one holds at most one
 * fence; a timeline holds points in ascending order, and a point counts as signalled when its own
 * fence and those of all points before it have signalled. A syncobj becomes a timeline by its first
 * syncobj_add_point() and binary again by syncobj_replace().
 *
 * A point not above the last one is a client's mistake that must not break anything: its fence
 * joins the last point, which then waits for it too. What a query has said stays true all the same:
 * queries never go backwards.
 *
 * Locking: syncobj.lock (RANK_LEAF) protects everything in it. Fences are looked at, never waited
 * for, under it.
 */
#ifndef SYNC_SYNCOBJ_H
#define SYNC_SYNCOBJ_H

#include "sync/fence.h"

struct syncobj_point {
	struct list node;
	uint64_t point;
	struct fence *fence; /* a reference */
};

struct syncobj {
	struct ref ref;
	struct sync *sync;
	struct port_mutex lock;
	bool timeline;              /* has had a point since the last replace */
	struct fence *fence;        /* binary payload, or what was there before the points; NULL */
	uint64_t fence_point;       /* of a timeline: the number that comes with @fence, mostly 0 */
	struct list points;         /* struct syncobj_point.node, ascending, oldest first */
	uint64_t last_point;        /* highest point ever added since the last reset */
	uint64_t signalled_point;   /* highest point known to be signalled */
	struct list watchers;       /* struct syncobj_watcher.node */
};

/* Told when a new fence or point arrives (wait-for-submit, eventfd); a reset is no arrival. */
struct syncobj_watcher {
	struct list node; /* by syncobj.lock */
	/* Mandatory. Called under syncobj.lock; only wakes or pushes ready items. */
	void (*arrived)(struct syncobj_watcher *self);
};

/* A syncobj with no fence, or with a signalled one. NULL without memory. */
struct syncobj *syncobj_create(struct sync *sync, bool signalled);
struct syncobj *syncobj_get(struct syncobj *so);
void syncobj_put(struct syncobj *so);

/* Replaces the payload by @fence (may be NULL: reset). Takes a reference. Cannot fail. */
void syncobj_replace(struct syncobj *so, struct fence *fence);

/* Memory for one later syncobj_add_point(), so that publishing cannot fail. NULL: no memory. */
struct syncobj_point *syncobj_point_alloc(void);
void syncobj_point_free(struct syncobj_point *point);
/* Adds @point with @fence to the timeline; takes over @mem and a reference of its own. */
void syncobj_add_point(struct syncobj *so, uint64_t point, struct fence *fence,
		       struct syncobj_point *mem);
/*
 * Adds @point with a fence that has signalled: what is signalled and what a look-up finds are as
 * after syncobj_add_point(). Needs no memory and cannot fail. Only a look-up of a number that was
 * signalled already no longer finds a late point that joined it; a look-up of @point does.
 */
void syncobj_advance(struct syncobj *so, uint64_t point);

/*
 * The fence of @point, with a reference: one that signals when the point does (fence_all() over
 * what is still unsignalled, so it may need memory; the stub when nothing is). @point 0 is the
 * binary payload, or everything a timeline holds so far. 0; -EINVAL when there is none yet, also
 * for a point of a binary payload; -ENOMEM.
 */
int syncobj_find(struct syncobj *so, uint64_t point, struct fence **fence_out);

/*
 * The first of the fences that have to signal before @point does, with a reference; NULL when
 * nothing is left. Needs no memory: who waits for one after the other has waited for the point.
 * 0; -EINVAL as syncobj_find().
 */
int syncobj_find_first(struct syncobj *so, uint64_t point, struct fence **fence_out);

/* Would syncobj_find() find something? Needs no memory. */
bool syncobj_has(struct syncobj *so, uint64_t point);

/* What it is now; a client may make the first of it either of the others. */
enum syncobj_kind {
	SYNCOBJ_EMPTY,
	SYNCOBJ_BINARY,
	SYNCOBJ_TIMELINE,
};
enum syncobj_kind syncobj_kind(struct syncobj *so);

/* The highest signalled (or, @last_submitted, the highest added) point; 0 for a binary payload. */
uint64_t syncobj_query(struct syncobj *so, bool last_submitted);

#define SYNCOBJ_WAIT_ALL BIT_(0)
#define SYNCOBJ_WAIT_FOR_SUBMIT BIT_(1)
#define SYNCOBJ_WAIT_AVAILABLE BIT_(2)

struct syncobj_wait {
	struct syncobj *so;
	uint64_t point; /* 0: binary */
};

/*
 * Waits for any (or all) of @n. Without SYNCOBJ_WAIT_FOR_SUBMIT or _AVAILABLE a missing fence is
 * -EINVAL at once, even when another is done. With _AVAILABLE an entry is done when its fence or
 * point exists, signalled or not. The first fence found for an entry counts; a later reset changes
 * nothing. 0, -ETIME, -EINTR, -ENOMEM; *@first_out (may be NULL) the lowest index of one that is
 * done. A deadline in the past polls. No lock held by the caller (asserted, R4).
 */
int syncobj_wait_many(struct sync *sync, const struct syncobj_wait *waits, unsigned n,
		      unsigned flags, uint64_t deadline_ns, bool interruptible,
		      unsigned *first_out);

/* Not called for what is there already: watch, then look. */
void syncobj_watch(struct syncobj *so, struct syncobj_watcher *watcher);
/* Harmless twice. When it returns, @watcher is not being called and never will be. */
void syncobj_unwatch(struct syncobj *so, struct syncobj_watcher *watcher);

#endif
