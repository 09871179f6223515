// SPDX-License-Identifier: MIT
/*
 * Fences: creation, references, signalling and callbacks. Waiting is in wait.c.
 *
 * Overview: a fence changes once, from unsignalled to signalled. Readers need no lock: @error and
 * @signal_ns are written before @signalled is stored with release order, and fence_is_signalled()
 * loads it with acquire order.
 *
 * Locking: fence.lock protects the list of callbacks and orders adding one against the signal, so
 * that a callback is either refused or called. Callbacks run under it; once fence_remove_cb() has
 * returned, whatever its answer, the callback is not running and its memory may go. What signals
 * other fences runs after it.
 *
 * Lifetime: whoever will signal a fence holds a reference. The signal takes another one, because
 * what its callbacks set off may drop that while the lock is still held here.
 */
#include "sync/fence.h"

#define MAX_ERRNO 4095

static struct port_lock_class fence_class = { .name = "fence", .rank = RANK_FENCE };

void fence_init_at(struct fence *fence, struct sync *sync, enum fence_kind kind,
		   const struct fence_ops *ops, uint64_t context, uint64_t seqno, const char *where)
{
	ASSERT(kind <= FENCE_LR);
	ASSERT(context);
	ref_init(&fence->ref);
	fence->kind = kind;
	atomic_init(&fence->signalled, false);
	atomic_init(&fence->called, false);
	fence->error = 0;
	fence->sync = sync;
	fence->context = context;
	fence->seqno = seqno;
	fence->where = where;
	fence->signal_ns = 0;
	fence->ops = ops;
	port_mutex_init(&fence->lock, &fence_class);
	list_init(&fence->cbs);
	fence->enabled = false;
	list_init(&fence->active_node);
	fence->active_stamp = 0;
}

struct fence *fence_create_at(struct sync *sync, enum fence_kind kind, const char *where)
{
	struct fence *fence = port_alloc_at(sizeof(*fence), where);

	if (fence) {
		fence_init_at(fence, sync, kind, NULL, sync_new_context(sync), 1, where);
	}
	return fence;
}

void fence_put(struct fence *fence)
{
	if (!fence || !ref_put(&fence->ref)) {
		return;
	}
	/* Nobody would ever be called. */
	ASSERT(list_empty(&fence->cbs));
	ASSERT(list_empty(&fence->active_node));
	if (!fence_is_signalled(fence)) {
		event_emit(fence->sync->events, EVENT_FENCE_FORGET, fence->context, fence->seqno, 0,
			   0, 0, 0);
	}
	port_mutex_fini(&fence->lock);
	if (fence->ops && fence->ops->release) {
		fence->ops->release(fence);
	} else {
		port_free(fence);
	}
}

void fence_signal(struct fence *fence, int error)
{
	struct list after;

	list_init(&after);
	ASSERT(error <= 0 && error >= -MAX_ERRNO);
	fence_get(fence);
	port_mutex_lock(&fence->lock);
	ASSERT(!fence_is_signalled(fence));
	fence->error = error;
	fence->signal_ns = port_now_ns();
	/* First, so that no event caused by the signal can precede it in the stream. */
	event_emit(fence->sync->events, EVENT_FENCE_SIGNAL, fence->context, fence->seqno,
		   (uint64_t)(int64_t)error, 0, 0, 0);
	atomic_store_explicit(&fence->signalled, true, memory_order_release);
	while (!list_empty(&fence->cbs)) {
		struct fence_cb *cb = list_first(&fence->cbs, struct fence_cb, node);

		bool twice = cb->after;

		list_del(&cb->node);
		cb->func(fence, cb); /* a plain one may be gone now */
		if (twice && cb->after) {
			list_add_tail(&after, &cb->node);
		}
	}
	atomic_store_explicit(&fence->called, true, memory_order_release);
	port_mutex_unlock(&fence->lock);
	while (!list_empty(&after)) {
		struct fence_cb *cb = list_first(&after, struct fence_cb, node);

		list_del(&cb->node);
		cb->after(fence, cb);
	}
	fence_put(fence);
}

void fence_callbacks_done(struct fence *fence)
{
	ASSERT(fence_is_signalled(fence));
	if (!atomic_load_explicit(&fence->called, memory_order_acquire)) {
		port_mutex_lock(&fence->lock);
		port_mutex_unlock(&fence->lock);
	}
}

int fence_error(const struct fence *fence)
{
	ASSERT(fence_is_signalled(fence));
	return fence->error;
}

static void enable_locked(struct fence *fence)
{
	port_mutex_assert_held(&fence->lock);
	if (!fence->enabled) {
		fence->enabled = true;
		if (fence->ops && fence->ops->enable) {
			fence->ops->enable(fence);
		}
	}
}

static bool add_cb(struct fence *fence, struct fence_cb *cb,
		   void (*func)(struct fence *fence, struct fence_cb *cb),
		   void (*after)(struct fence *fence, struct fence_cb *cb))
{
	bool added = false;

	ASSERT(func);
	list_init(&cb->node);
	cb->func = func;
	cb->after = after;
	if (fence_is_signalled(fence)) {
		return false;
	}
	port_mutex_lock(&fence->lock);
	if (!fence_is_signalled(fence) || (fence->sync->without & SYNC_GUARD_RECHECK)) {
		list_add_tail(&fence->cbs, &cb->node);
		enable_locked(fence);
		added = true;
	}
	port_mutex_unlock(&fence->lock);
	return added;
}

bool fence_add_cb(struct fence *fence, struct fence_cb *cb,
		  void (*func)(struct fence *fence, struct fence_cb *cb))
{
	return add_cb(fence, cb, func, NULL);
}

bool fence_add_cb_after(struct fence *fence, struct fence_cb *cb,
			void (*func)(struct fence *fence, struct fence_cb *cb),
			void (*after)(struct fence *fence, struct fence_cb *cb))
{
	return add_cb(fence, cb, func, after);
}

bool fence_remove_cb(struct fence *fence, struct fence_cb *cb)
{
	bool removed;

	if ((fence->sync->without & SYNC_GUARD_REMOVE) && fence_is_signalled(fence)) {
		return false;
	}
	/* Even when it looks called: the lock is what makes sure that it has returned. */
	port_mutex_lock(&fence->lock);
	removed = !list_empty(&cb->node);
	list_del(&cb->node);
	port_mutex_unlock(&fence->lock);
	return removed;
}
