// SPDX-License-Identifier: MIT
/*
 * Active sets (P1).
 *
 * Overview: a submission replaces its queue's slot, in constant time and without memory. A reader
 * must wait for exactly what was published when it came: waiting for later submissions as well
 * could last for ever, or deadlock when they wait for the reader's own work. Nor may a wait need
 * memory: it may stand between a client and the return of its memory.
 *
 * So publications are numbered. A waiting reader remembers the number of the last one, and looks
 * again and again for an unsignalled fence up to it. A fence that loses its slot to a later one
 * while such a reader waits goes to @displaced (its list node is in the fence), where the reader
 * finds it. At most one per slot and reader is kept so, until the last reader leaves.
 *
 * Locking: active_set.lock (vm.active, a leaf) protects the set, its slots, and of the fences in
 * them @active_node and @active_stamp. References are dropped after unlocking, since the last one
 * destroys what the fence is part of.
 */
#include "sync/active.h"

#define WAIT_BATCH 16

static struct port_lock_class active_class = { .name = "vm.active", .rank = RANK_LEAF };

struct active_set *active_set_create(void)
{
	struct active_set *set = port_alloc(sizeof(*set));

	if (set) {
		ref_init(&set->ref);
		port_mutex_init(&set->lock, &active_class);
		list_init(&set->slots);
		list_init(&set->displaced);
	}
	return set;
}

struct active_set *active_set_get(struct active_set *set)
{
	if (set) {
		ref_get(&set->ref);
	}
	return set;
}

void active_set_put(struct active_set *set)
{
	if (!set || !ref_put(&set->ref)) {
		return;
	}
	ASSERT(list_empty(&set->slots));
	ASSERT(set->slot_count == 0 && set->waiters == 0);
	port_mutex_fini(&set->lock);
	port_free(set);
}

void active_slot_add(struct active_set *set, struct active_slot *slot)
{
	slot->fence = NULL;
	port_mutex_lock(&set->lock);
	list_add_tail(&set->slots, &slot->node);
	set->slot_count++;
	port_mutex_unlock(&set->lock);
}

/* Empties the slot. Returns the reference to drop, NULL if it went to the waiting readers. */
static struct fence *displace_locked(struct active_set *set, struct active_slot *slot)
{
	struct fence *fence = slot->fence;

	port_mutex_assert_held(&set->lock);
	slot->fence = NULL;
	if (!fence || !set->waiters || fence->active_stamp > set->wait_stamp ||
	    fence_is_signalled(fence)) {
		return fence;
	}
	ASSERT(list_empty(&fence->active_node));
	list_add_tail(&set->displaced, &fence->active_node);
	return NULL;
}

void active_slot_remove(struct active_set *set, struct active_slot *slot)
{
	struct fence *fence;

	port_mutex_lock(&set->lock);
	ASSERT(set->slot_count > 0);
	fence = displace_locked(set, slot);
	list_del(&slot->node);
	set->slot_count--;
	port_mutex_unlock(&set->lock);
	fence_put(fence);
}

bool active_publish(struct active_set *set, struct active_slot *slot, struct fence *fence,
		    uint64_t seq)
{
	struct fence *old;

	port_mutex_lock(&set->lock);
	if (atomic_load(&set->evict_seq) != seq) {
		port_mutex_unlock(&set->lock);
		return false;
	}
	/* The last one stands for all only if it is the last. */
	ASSERT(!slot->fence || slot->fence->context != fence->context ||
	       slot->fence->seqno < fence->seqno);
	old = displace_locked(set, slot);
	slot->fence = fence_get(fence);
	set->publish_stamp++;
	if (!fence_is_signalled(fence)) {
		ASSERT(!fence->active_stamp);
		fence->active_stamp = set->publish_stamp;
	}
	port_mutex_unlock(&set->lock);
	fence_put(old);
	return true;
}

uint64_t active_seq(struct active_set *set)
{
	return atomic_load(&set->evict_seq);
}

void active_bump(struct active_set *set)
{
	port_mutex_lock(&set->lock);
	atomic_fetch_add(&set->evict_seq, 1);
	port_mutex_unlock(&set->lock);
}

unsigned active_collect(struct active_set *set, struct fence **fences_out, unsigned cap)
{
	unsigned n = 0;

	port_mutex_lock(&set->lock);
	list_for_each(slot, &set->slots, struct active_slot, node) {
		if (!slot->fence || fence_is_signalled(slot->fence)) {
			continue;
		}
		if (n < cap) {
			fences_out[n] = slot->fence;
		}
		n++;
	}
	for (unsigned i = 0; i < n && n <= cap; i++) {
		fence_get(fences_out[i]);
	}
	port_mutex_unlock(&set->lock);
	ASSERT(cap == 0 || fences_out);
	return n;
}

/* References to up to WAIT_BATCH unsignalled fences published up to @stamp. */
static unsigned collect_older(struct active_set *set, uint64_t stamp, struct fence **fences_out)
{
	unsigned n = 0;

	port_mutex_lock(&set->lock);
	ASSERT(set->waiters > 0);
	list_for_each(slot, &set->slots, struct active_slot, node) {
		struct fence *fence = slot->fence;

		if (n < WAIT_BATCH && fence && fence->active_stamp <= stamp &&
		    !fence_is_signalled(fence)) {
			fences_out[n++] = fence_get(fence);
		}
	}
	list_for_each(fence, &set->displaced, struct fence, active_node) {
		if (n < WAIT_BATCH && fence->active_stamp <= stamp && !fence_is_signalled(fence)) {
			fences_out[n++] = fence_get(fence);
		}
	}
	port_mutex_unlock(&set->lock);
	return n;
}

static uint64_t wait_enter(struct active_set *set)
{
	uint64_t stamp;

	port_mutex_lock(&set->lock);
	stamp = set->publish_stamp;
	set->wait_stamp = stamp;
	set->waiters++;
	port_mutex_unlock(&set->lock);
	return stamp;
}

static void wait_leave(struct active_set *set)
{
	struct list unneeded;

	list_init(&unneeded);
	port_mutex_lock(&set->lock);
	ASSERT(set->waiters > 0);
	if (--set->waiters == 0) {
		list_splice_tail(&unneeded, &set->displaced);
	}
	port_mutex_unlock(&set->lock);
	while (!list_empty(&unneeded)) {
		struct fence *fence = list_first(&unneeded, struct fence, active_node);

		list_del(&fence->active_node);
		fence_put(fence);
	}
}

int active_wait(struct active_set *set, struct sync *sync, unsigned flags)
{
	struct fence *batch[WAIT_BATCH];
	uint64_t stamp = wait_enter(set);
	int ret = 0;

	while (!ret) {
		unsigned n = collect_older(set, stamp, batch);

		if (!n) {
			break;
		}
		ret = fence_wait_many(sync, batch, n, true, PORT_FOREVER, flags, NULL);
		for (unsigned i = 0; i < n; i++) {
			fence_put(batch[i]);
		}
	}
	wait_leave(set);
	return ret;
}
