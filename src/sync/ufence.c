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
 * Being due comes first, then the value, then the flag, then the wake: who sees the value, woken or
 * not, may reuse the fence's address or unbind the mapping at once without being told that it is
 * busy (bug class 31).
 *
 * Without memory for a user fence one in the caller's frame takes its place on the list. Nobody
 * touches it after its reference of being armed was dropped, so that this is what is waited for.
 *
 * Locking: sync.ready_lock protects the list and who writes, and @due is stored under it;
 * @signalled is stored with release order after everything else was done, @fence belongs to the
 * thread that arms, then to the one that writes.
 */
#include "sync/ufence.h"

static void ufence_write(struct ufence *ufence)
{
	struct fence *fence = ufence->fence;
	struct sync *sync = ufence->sync;

	ASSERT(!ufence_is_signalled(ufence));
	ASSERT(fence_is_signalled(fence));
	/* An address that is gone is nobody's error but the client's, who would have read it. */
	(void)port_copy_to_user(ufence->addr, &ufence->value, sizeof(ufence->value));
	ufence->fence = NULL;
	atomic_store_explicit(&ufence->signalled, true, memory_order_release);
	fence_put(fence);
	ufence_put(ufence); /* the reference of being armed */
	port_wq_wake(&sync->ufence_wq);
}

/* Appends to the list. True: the caller sees to it that ufence_item runs. */
static bool list_append(struct ufence *ufence)
{
	struct sync *sync = ufence->sync;
	bool idle;

	port_mutex_lock(&sync->ready_lock);
	atomic_store_explicit(&ufence->due, true, memory_order_release);
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

static void ufence_init(struct ufence *ufence, struct sync *sync, uint64_t addr, uint64_t value)
{
	ref_init(&ufence->ref);
	ufence->sync = sync;
	ufence->addr = addr;
	ufence->value = value;
	atomic_init(&ufence->due, false);
	atomic_init(&ufence->signalled, false);
	ufence->fence = NULL;
	list_init(&ufence->node);
}

struct ufence *ufence_create(struct sync *sync, uint64_t addr, uint64_t value)
{
	struct ufence *ufence = port_alloc(sizeof(*ufence));

	if (ufence) {
		ufence_init(ufence, sync, addr, value);
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

bool ufence_arm_due(struct ufence *ufence)
{
	ASSERT(!ufence->fence);
	ASSERT(!ufence_is_signalled(ufence));
	ufence_get(ufence);
	ufence->fence = fence_get(ufence->sync->stub);
	return list_append(ufence);
}

void ufences_write(struct sync *sync)
{
	port_assert_no_locks();
	ufences_run(&sync->ufence_item);
}

void ufence_write_now(struct sync *sync, uint64_t addr, uint64_t value)
{
	struct ufence ufence;

	port_assert_no_locks();
	ufence_init(&ufence, sync, addr, value);
	ufence_arm(&ufence, sync->stub);
	for (;;) {
		uint32_t seq = port_wq_prepare(&sync->ufence_wq);
		struct ready_item *item;

		if (atomic_load_explicit(&ufence.ref.count, memory_order_acquire) == 1) {
			return;
		}
		/* Where there are no workers, whoever waits runs what is ready. */
		item = sync->help_ops ? NULL : ready_pop(sync);
		if (item) {
			item->run(item);
		} else {
			(void)port_wq_wait(&sync->ufence_wq, seq, PORT_FOREVER, 0);
		}
	}
}
