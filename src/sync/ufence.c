// SPDX-License-Identifier: MIT
/*
 * User fences of binds.
 *
 * Overview: armed on a job's fence, written when that signals. The callback only pushes a ready
 * item, because writing to the client's memory may fault and sleep. Writing comes first, then the
 * flag, then the wake: who is woken finds the value, and may reuse the fence's address or unbind
 * the mapping at once without being told that it is busy.
 *
 * Locking: none; @signalled is stored with release order after everything else was done, @fence
 * belongs to the thread that arms, then to the one that writes.
 */
#include "sync/ufence.h"

static void ufence_write(struct ready_item *item)
{
	struct ufence *ufence = container_of(item, struct ufence, item);
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

static void ufence_fence_signalled(struct fence *fence, struct fence_cb *cb)
{
	struct ufence *ufence = container_of(cb, struct ufence, cb);

	ready_push(ufence->sync, &ufence->item);
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
		ufence->item.run = ufence_write;
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
	if (!fence_add_cb(fence, &ufence->cb, ufence_fence_signalled)) {
		ufence_write(&ufence->item);
	}
}
