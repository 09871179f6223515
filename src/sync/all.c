// SPDX-License-Identifier: MIT
/*
 * A fence for several.
 *
 * Overview. Each part that has not signalled holds one count of @pending, and setting up holds one
 * itself, so that the count reaches zero exactly once; whoever takes the last one signals. A client
 * that has signalled the last part therefore finds the whole signalled, without anybody else having
 * to run first. Parts are never such fences themselves: one made of others takes their parts over,
 * so that who must not hold a container (resv.h) can look inside, and signals do not nest.
 *
 * Lifetime. Parts hold no reference to the whole: a client may ask a busy object a thousand times,
 * and what it forgot is not kept until the object is idle. The last reference takes the callbacks
 * off; one that is being called holds its fence's lock, and has taken a reference when it has still
 * to signal after that, or found that it is too late to.
 *
 * Locking: none of its own. The parts are constant from the set-up to the last reference. Dropping
 * that takes the parts' locks.
 */
#include "sync/fence.h"

struct part {
	struct fence_cb cb;
	struct fence *fence; /* a reference */
	struct fence_all *all;
};

struct fence_all {
	struct fence fence;
	atomic_uint pending;
	unsigned count;
	struct part part[];
};

static void all_release(struct fence *fence)
{
	struct fence_all *all = container_of(fence, struct fence_all, fence);

	for (unsigned i = 0; i < all->count; i++) {
		(void)fence_remove_cb(all->part[i].fence, &all->part[i].cb);
		fence_put(all->part[i].fence);
	}
	port_free(all);
}

static const struct fence_ops all_ops = { .release = all_release };

unsigned fence_part_count(const struct fence *fence)
{
	return fence->ops == &all_ops ? container_of(fence, struct fence_all, fence)->count : 1;
}

struct fence *fence_part(struct fence *fence, unsigned i)
{
	ASSERT(i < fence_part_count(fence));
	return fence->ops == &all_ops ? container_of(fence, struct fence_all, fence)->part[i].fence
				      : fence;
}

/* True when it was the last; the others' signals are visible then. */
static bool drop_pending(struct fence_all *all)
{
	return atomic_fetch_sub_explicit(&all->pending, 1, memory_order_acq_rel) == 1;
}

/* All parts have signalled. The first error, in the order of the parts, is the whole's. */
static void all_signal(struct fence_all *all)
{
	int error = 0;

	for (unsigned i = 0; i < all->count && !error; i++) {
		error = fence_error(all->part[i].fence);
	}
	fence_signal(&all->fence, error);
}

static void part_signalled(struct fence *fence, struct fence_cb *cb)
{
	struct fence_all *all = container_of(cb, struct part, cb)->all;

	if (!drop_pending(all) || !ref_get_unless_zero(&all->fence.ref)) {
		cb->after = NULL;
	}
}

static void last_part_signalled(struct fence *fence, struct fence_cb *cb)
{
	struct fence_all *all = container_of(cb, struct part, cb)->all;

	all_signal(all);
	fence_put(&all->fence);
}

/*
 * What the combination comes to without a fence of its own: how many are unsignalled, one of them,
 * whether one has failed, the kind of all; and how many parts it would have at most.
 */
struct survey {
	unsigned unsignalled, parts;
	struct fence *one;
	bool failed;
	enum fence_kind kind;
};

static struct survey survey(struct fence *const *fences, unsigned n)
{
	struct survey s = { .kind = FENCE_DMA };

	ASSERT(n == 0 || fences);
	for (unsigned i = 0; i < n; i++) {
		if (!fences[i]) {
			continue;
		}
		s.parts += fence_part_count(fences[i]);
		if (fence_is_signalled(fences[i])) {
			s.failed |= fences[i]->error != 0;
			continue;
		}
		s.unsignalled += fences[i] != s.one;
		s.one = fences[i];
		if (s.kind == FENCE_DMA) {
			s.kind = fences[i]->kind;
		}
	}
	return s;
}

/* A fence counts once; one that has signalled counts for its error only. */
static void add_part(struct fence_all *all, struct fence *fence)
{
	if (fence_is_signalled(fence) && !fence->error) {
		return;
	}
	for (unsigned i = 0; i < all->count; i++) {
		if (all->part[i].fence == fence) {
			return;
		}
	}
	all->part[all->count].all = all;
	all->part[all->count].fence = fence_get(fence);
	all->count++;
}

static void watch_parts(struct fence_all *all)
{
	struct fence *own = &all->fence;

	atomic_store_explicit(&all->pending, all->count + 1, memory_order_relaxed);
	for (unsigned i = 0; i < all->count; i++) {
		struct part *part = &all->part[i];

		event_emit(own->sync->events, EVENT_FENCE_DEP, own->context, own->seqno,
			   part->fence->context, part->fence->seqno,
			   fence_is_signalled(part->fence), 0);
		if (!fence_add_cb_after(part->fence, &part->cb, part_signalled,
					last_part_signalled)) {
			/* Not the last: one count is held until the end. */
			(void)drop_pending(all);
		}
	}
	if (drop_pending(all)) {
		all_signal(all);
	}
}

struct fence *fence_all(struct sync *sync, struct fence *const *fences, unsigned n)
{
	struct survey s = survey(fences, n);
	struct fence_all *all;

	if (s.unsignalled <= 1 && !s.failed) {
		return fence_get(s.unsignalled ? s.one : sync->stub);
	}
	all = port_alloc(sizeof(*all) + s.parts * sizeof(all->part[0]));
	if (!all) {
		return NULL;
	}
	fence_init(&all->fence, sync, s.kind, &all_ops, sync_new_context(sync), 1);
	for (unsigned i = 0; i < n; i++) {
		for (unsigned k = 0; fences[i] && k < fence_part_count(fences[i]); k++) {
			add_part(all, fence_part(fences[i], k));
		}
	}
	watch_parts(all);
	return &all->fence;
}
