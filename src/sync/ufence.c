// SPDX-License-Identifier: MIT
/*
 * User fences of binds.
 *
 * Overview: armed on a job's fence, written when that signals. The callback only puts it on the
 * device's list, because writing to the client's memory may fault and sleep. One thread at a time
 * writes what is on the list, oldest first, so that user fences are written in the order in which
 * the fences signalled: a client may use one address for a whole queue of binds and wait for the
 * last value (bug class 8). For that a fence is armed before any later job can depend on it.
 *
 * Writing comes first, then the flag, then the wake: who is woken finds the value, and may reuse
 * the fence's address or unbind the mapping at once without being told that it is busy.
 *
 * Locking: sync.ready_lock protects the list and who writes; @signalled is stored with release
 * order after everything else was done, @fence belongs to the thread that arms, then to the one
 * that writes.
 */
#include "sync/ufence.h"

static void ufence_write(struct ufence *ufence)
{
	struct fence *fence = ufence->fence;

	ASSERT(!ufence_is_signalled(ufence));
	ASSERT(fence_is_signalled(fence));
	/* An address that is gone is nobody's error but the client's, who would have read it. */
	(void)port_copy_to_user(ufence->addr, &ufence->value, sizeof(ufence->value));
	ufence->fence = NULL;
	atomic_store_explicit(&ufence->signalled, true, memory_order_release);
	port_wq_wake(&ufence->sync->ufence_wq);
	fence_put(fence);
	ufence_put(ufence); /* the reference of being armed */
}

/* Appends to the list. True: the caller sees to it that ufence_item runs. */
static bool list_append(struct ufence *ufence)
{
	struct sync *sync = ufence->sync;
	bool idle;

	port_mutex_lock(&sync->ready_lock);
	list_add_tail(&sync->ufences, &ufence->node);
	idle = !sync->ufence_writing;
	sync->ufence_writing = true;
	port_mutex_unlock(&sync->ready_lock);
	return idle;
}

static void ufence_fence_signalled(struct fence *fence, struct fence_cb *cb)
{
	struct ufence *ufence = container_of(cb, struct ufence, cb);

	if (list_append(ufence)) {
		ready_push(ufence->sync, &ufence->sync->ufence_item);
	}
}

void ufences_run(struct ready_item *item)
{
	struct sync *sync = container_of(item, struct sync, ufence_item);

	for (;;) {
		struct ufence *ufence = NULL;

		port_mutex_lock(&sync->ready_lock);
		if (list_empty(&sync->ufences)) {
			sync->ufence_writing = false;
		} else {
			ufence = list_first(&sync->ufences, struct ufence, node);
			list_del(&ufence->node);
		}
		port_mutex_unlock(&sync->ready_lock);
		if (!ufence) {
			return;
		}
		ufence_write(ufence);
	}
}

struct ufence *ufence_create(struct sync *sync, uint64_t addr, uint64_t value)
{
	struct ufence *ufence = port_alloc(sizeof(*ufence));

	if (ufence) {
		ref_init(&ufence->ref);
		ufence->sync = sync;
		ufence->addr = addr;
		ufence->value = value;
		atomic_init(&ufence->signalled, false);
		list_init(&ufence->node);
	}
	return ufence;
}

struct ufence *ufence_get(struct ufence *ufence)
{
	if (ufence) {
		ref_get(&ufence->ref);
	}
	return ufence;
}

void ufence_put(struct ufence *ufence)
{
	if (!ufence || !ref_put(&ufence->ref)) {
		return;
	}
	ASSERT(!ufence->fence);
	port_free(ufence);
}

void ufence_arm(struct ufence *ufence, struct fence *fence)
{
	ASSERT(!ufence->fence);
	ASSERT(!ufence_is_signalled(ufence));
	ufence_get(ufence);
	ufence->fence = fence_get(fence);
	if (!fence_add_cb(fence, &ufence->cb, ufence_fence_signalled) && list_append(ufence)) {
		ufences_run(&ufence->sync->ufence_item);
	}
}
