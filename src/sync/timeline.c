// SPDX-License-Identifier: MIT
/*
 * Software timelines.
 *
 * Overview: unsignalled fences are on a list in the order of their numbers. Whoever changed the
 * counter, or heard that another process did, walks it from the front. A fence is put on the list
 * first and compared with the counter afterwards, so a change in between is seen by one of the two.
 *
 * Lifetime: the list holds no references, so that a fence nobody has goes at once. Its last
 * reference may fall while an update finds it on the list; the update then leaves it alone.
 *
 * Example: a fence of 5 while the counter is at 3 signals when timeline_update() follows an
 * addition of 2.
 */
#include "sync/timeline.h"

static struct port_lock_class timeline_class = { .name = "timeline", .rank = RANK_LEAF };

struct timeline *timeline_create(struct sync *sync, struct timeline_counter *counter,
				 const char *name)
{
	struct timeline *timeline = port_alloc(sizeof(*timeline));

	ASSERT(counter);
	if (!timeline) {
		return NULL;
	}
	ref_init(&timeline->ref);
	timeline->sync = sync;
	timeline->counter = counter;
	timeline->context = sync_new_context(sync);
	port_mutex_init(&timeline->lock, &timeline_class);
	list_init(&timeline->pending);
	for (unsigned i = 0; name[i] && i + 1 < TIMELINE_NAME_B; i++) {
		timeline->name[i] = name[i];
	}
	return timeline;
}

struct timeline *timeline_get(struct timeline *timeline)
{
	ref_get(&timeline->ref);
	return timeline;
}

void timeline_put(struct timeline *timeline)
{
	if (!timeline || !ref_put(&timeline->ref)) {
		return;
	}
	ASSERT(list_empty(&timeline->pending));
	port_mutex_fini(&timeline->lock);
	port_free(timeline);
}

static void release(struct fence *fence)
{
	struct timeline_fence *tf = container_of(fence, struct timeline_fence, fence);
	struct timeline *timeline = tf->timeline;

	port_mutex_lock(&timeline->lock);
	list_del(&tf->node);
	port_mutex_unlock(&timeline->lock);
	port_free(tf);
	timeline_put(timeline);
}

static const struct fence_ops timeline_fence_ops = { .release = release };

struct timeline_fence *timeline_fence_of(struct fence *fence)
{
	return fence->ops == &timeline_fence_ops ?
		       container_of(fence, struct timeline_fence, fence) : NULL;
}

/* Puts @tf in its place; or returns the living fence that has its number, with a reference. */
static struct timeline_fence *insert_locked(struct timeline *timeline, struct timeline_fence *tf)
{
	struct list *after = &timeline->pending;

	port_mutex_assert_held(&timeline->lock);
	list_for_each(other, &timeline->pending, struct timeline_fence, node) {
		if (other->fence.seqno > tf->fence.seqno) {
			break;
		}
		if (other->fence.seqno == tf->fence.seqno &&
		    ref_get_unless_zero(&other->fence.ref)) {
			return other;
		}
		after = &other->node;
	}
	list_insert_after(after, &tf->node);
	return NULL;
}

struct fence *timeline_fence(struct timeline *timeline, uint64_t number)
{
	struct timeline_fence *tf = port_alloc(sizeof(*tf)), *other;

	if (!tf) {
		return NULL;
	}
	fence_init(&tf->fence, timeline->sync, FENCE_DMA, &timeline_fence_ops, timeline->context,
		   number);
	tf->timeline = timeline_get(timeline);
	list_init(&tf->node);
	port_mutex_lock(&timeline->lock);
	other = insert_locked(timeline, tf);
	port_mutex_unlock(&timeline->lock);
	if (other) {
		fence_put(&tf->fence);
		return &other->fence;
	}
	timeline_update(timeline);
	return &tf->fence;
}

void timeline_update(struct timeline *timeline)
{
	struct list signalled;
	/* In this order: what was added before the end counts. */
	bool ended = atomic_load(&timeline->counter->ended);
	uint64_t value = atomic_load(&timeline->counter->value);

	list_init(&signalled);
	port_mutex_lock(&timeline->lock);
	list_for_each_safe(tf, &timeline->pending, struct timeline_fence, node) {
		if (tf->fence.seqno > value && !ended) {
			break;
		}
		list_del(&tf->node);
		if (ref_get_unless_zero(&tf->fence.ref)) {
			fence_signal(&tf->fence, tf->fence.seqno > value ? -ENOENT : 0);
			list_add_tail(&signalled, &tf->node);
		}
	}
	port_mutex_unlock(&timeline->lock);
	/* Ours as long as we hold the references: nobody else looks for a node off the list. */
	while (!list_empty(&signalled)) {
		struct timeline_fence *tf = list_first(&signalled, struct timeline_fence, node);

		list_del(&tf->node);
		fence_put(&tf->fence);
	}
}

void timeline_hope(struct timeline_fence *fence, uint64_t deadline_ns)
{
	struct timeline *timeline = fence->timeline;

	port_mutex_lock(&timeline->lock);
	if (!fence->deadline_ns || deadline_ns < fence->deadline_ns) {
		fence->deadline_ns = deadline_ns;
	}
	port_mutex_unlock(&timeline->lock);
}

uint64_t timeline_hoped(struct timeline_fence *fence)
{
	uint64_t deadline_ns;

	port_mutex_lock(&fence->timeline->lock);
	deadline_ns = fence->deadline_ns;
	port_mutex_unlock(&fence->timeline->lock);
	return deadline_ns;
}
