/* SPDX-License-Identifier: MIT */
/*
 * Software timelines: a counter that somebody outside advances, and fences that signal when it
 * reaches their number. The counter is not the timeline's own: several processes may have a
 * timeline each for one counter in memory that they share, and each signals its own fences.
 *
 * To the device these are dma fences. That they signal in finite time is the promise of whoever
 * advances the counter; the end of the counter signals what is left with -ENOENT.
 *
 * Locking: timeline.lock (RANK_LEAF) protects the list of fences; they are signalled under it, in
 * the order of their numbers.
 */
#ifndef SYNC_TIMELINE_H
#define SYNC_TIMELINE_H

#include "sync/fence.h"

#define TIMELINE_NAME_B 32
/* Where a counter starts, so that numbers a little behind it are no less than 0. */
#define TIMELINE_START (UINT64_C(1) << 32)

/* May be in memory shared with other processes. After a change: timeline_update(), in each. */
struct timeline_counter {
	_Atomic uint64_t value; /* only grows */
	atomic_uint ended;      /* never 0 again; nobody adds to @value any more */
};

struct timeline {
	struct ref ref;
	struct sync *sync;
	struct timeline_counter *counter; /* outlives the timeline */
	uint64_t context;
	struct port_mutex lock;
	struct list pending; /* struct timeline_fence.node, ascending; without references */
	char name[TIMELINE_NAME_B];
};

struct timeline_fence {
	struct fence fence; /* .seqno is the number */
	struct timeline *timeline; /* a reference */
	struct list node;          /* by timeline.lock */
	uint64_t deadline_ns;      /* earliest anybody hoped for, 0: nobody; by timeline.lock */
};

/* NULL without memory. @name is cut to fit. */
struct timeline *timeline_create(struct sync *sync, struct timeline_counter *counter,
				 const char *name);
struct timeline *timeline_get(struct timeline *timeline);
/* NULL is fine. */
void timeline_put(struct timeline *timeline);

/*
 * The fence of @number, with a reference; it may have signalled already. One that exists and has
 * not is given to all who ask for its number. NULL without memory.
 */
struct fence *timeline_fence(struct timeline *timeline, uint64_t number);
/* Signals what the counter has reached and, when it has ended, all others. */
void timeline_update(struct timeline *timeline);

/* The timeline's fence that @fence is, or NULL. */
struct timeline_fence *timeline_fence_of(struct fence *fence);
/* Somebody hopes for @fence until @deadline_ns: the earliest counts, and is told by the other. */
void timeline_hope(struct timeline_fence *fence, uint64_t deadline_ns);
uint64_t timeline_hoped(struct timeline_fence *fence);

#endif
