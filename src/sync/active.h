/* SPDX-License-Identifier: MIT */
/*
 * Active sets (P1): the running work of one VM, one slot per exec queue that holds the queue's last
 * published fence. A submission replaces one slot, however many objects the VM maps; who must wait
 * for an object's users reads the slots of each VM that maps it. A queue's fences signal in order,
 * so the last one stands for all.
 *
 * The set is a leaf object: it outlives its VM as long as somebody reads it.
 */
#ifndef SYNC_ACTIVE_H
#define SYNC_ACTIVE_H

#include "sync/fence.h"

struct active_slot {
	struct list node;
	struct fence *fence; /* last published, a reference; NULL before the first */
};

struct active_set {
	struct ref ref;
	struct port_mutex lock; /* vm.active, RANK_LEAF; protects the rest */
	struct list slots;
	unsigned slot_count;
	/* Bumped, under the lock, when something a submission relies on was taken away. */
	atomic_ullong evict_seq;
	uint64_t publish_stamp; /* of the last publication; numbers them */
	/*
	 * For those in active_wait(): how many, up to which stamp they look, and the fences up to
	 * there (struct fence.active_node, a reference each) that left their slot unsignalled.
	 */
	unsigned waiters;
	uint64_t wait_stamp;
	struct list displaced;
};

struct active_set *active_set_create(void); /* NULL without memory */
struct active_set *active_set_get(struct active_set *set);
void active_set_put(struct active_set *set);

/* The slot's memory belongs to the caller (an exec queue). */
void active_slot_add(struct active_set *set, struct active_slot *slot);
/*
 * Drops the slot's fence. The caller made sure that it has signalled or no later reader needs it;
 * those already waiting keep it.
 */
void active_slot_remove(struct active_set *set, struct active_slot *slot);

/*
 * The publish step of a submission: if @seq is still the set's evict_seq, puts @fence (takes a
 * reference) into @slot and returns true; else changes nothing: validate again. O(1), allocates
 * nothing. An unsignalled fence is published once in its life.
 */
bool active_publish(struct active_set *set, struct active_slot *slot, struct fence *fence,
		    uint64_t seq);
/* Takes no lock: what was taken away before it returned is seen by who looks afterwards. */
uint64_t active_seq(struct active_set *set);
void active_bump(struct active_set *set);

/*
 * References to the unsignalled fences of all slots now. Returns their number; when it is above
 * @cap nothing was stored: come again with more room.
 */
unsigned active_collect(struct active_set *set, struct fence **fences_out, unsigned cap);
/*
 * Waits for all of them, as they are now: what is published later is never waited for. 0 or -EINTR.
 * Allocates nothing. @flags and locks as for fence_wait().
 */
int active_wait(struct active_set *set, struct sync *sync, unsigned flags);

#endif
