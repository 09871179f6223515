// SPDX-License-Identifier: MIT
/*
 * Dependencies of a job.
 *
 * Overview: a job fills its dependencies before publication and arms them at publication, when
 * nothing may fail any more. Each unsignalled one holds one count of @pending and arming holds one
 * itself, so that the count reaches zero exactly once: in deps_arm() if all was over by then (the
 * caller runs the job), else in the callback of the last fence, which pushes the ready item. From
 * the push on the job may run on another thread and be freed. Cancelling holds a count too, takes
 * off the callbacks that have not been called, with their counts, and may so be the last.
 *
 * Locking: none of its own. Before deps_arm() the job belongs to one thread; afterwards to the
 * callbacks, each under its fence's lock, which touch nothing but @pending until it is zero.
 */
#include "sync/fence.h"

int deps_init(struct deps *deps, struct sync *sync, struct ready_item *item, unsigned cap)
{
	ASSERT(item);
	deps->sync = sync;
	deps->item = item;
	atomic_init(&deps->pending, 0);
	deps->count = 0;
	deps->cap = cap;
	deps->dep = deps->few;
	deps->armed = false;
	deps->error = 0;
	if (cap > DEPS_FEW) {
		deps->dep = port_alloc(cap * sizeof(*deps->dep));
		if (!deps->dep) {
			deps->cap = 0;
			return -ENOMEM;
		}
	}
	return 0;
}

void deps_fini(struct deps *deps)
{
	ASSERT(atomic_load_explicit(&deps->pending, memory_order_acquire) == 0);
	for (unsigned i = 0; i < deps->count; i++) {
		fence_put(deps->dep[i].fence);
	}
	if (deps->dep != deps->few) {
		port_free(deps->dep);
	}
	deps->dep = NULL;
	deps->count = 0;
	deps->cap = 0;
}

/* Keeps the error of a fence that will not be looked at again. */
static void note_error(struct deps *deps, const struct fence *fence)
{
	if (!deps->error && fence_is_signalled(fence)) {
		deps->error = fence->error;
	}
}

void deps_add(struct deps *deps, struct fence *fence)
{
	ASSERT(deps->sync && !deps->armed);
	if (!fence || fence == deps->sync->stub) {
		return;
	}
	for (unsigned i = 0; i < deps->count; i++) {
		struct dep *dep = &deps->dep[i];

		if (dep->fence->context != fence->context) {
			continue;
		}
		if (dep->fence->seqno < fence->seqno) {
			note_error(deps, dep->fence);
			fence_put(dep->fence);
			dep->fence = fence_get(fence);
		} else {
			note_error(deps, fence);
		}
		return;
	}
	ASSERT(deps->count < deps->cap);
	deps->dep[deps->count].deps = deps;
	deps->dep[deps->count].fence = fence_get(fence);
	deps->count++;
}

/*
 * Nothing is waited for any more: the first error, in the order of adding, is the job's. What was
 * cancelled may be unsignalled and has none.
 */
static void collect_error(struct deps *deps)
{
	ASSERT(atomic_load_explicit(&deps->pending, memory_order_relaxed) == 0);
	for (unsigned i = 0; i < deps->count; i++) {
		note_error(deps, deps->dep[i].fence);
	}
}

/* True when it was the last; the others' signals are visible then. */
static bool drop_pending(struct deps *deps)
{
	return atomic_fetch_sub_explicit(&deps->pending, 1, memory_order_acq_rel) == 1;
}

static void dep_signalled(struct fence *fence, struct fence_cb *cb)
{
	struct deps *deps = container_of(cb, struct dep, cb)->deps;

	if (drop_pending(deps)) {
		collect_error(deps);
		ready_push(deps->sync, deps->item);
	}
}

static void check_kinds(const struct fence *own, const struct fence *fence, const char *where)
{
	static const char *const kind[] = {
		[FENCE_USER] = "user", [FENCE_FAULT] = "fault", [FENCE_LR] = "long-running",
	};

	if (own->kind == FENCE_DMA && fence->kind != FENCE_DMA && !fence_is_signalled(fence)) {
		port_rule_broken("R5", where, fence->where,
				 "a dma fence would depend on a user, fault or long-running fence: "
				 "%lu:%lu on %lu:%lu (%s)",
				 (unsigned long)own->context, (unsigned long)own->seqno,
				 (unsigned long)fence->context, (unsigned long)fence->seqno,
				 kind[fence->kind]);
	}
}

bool deps_arm_at(struct deps *deps, const struct fence *own, const char *where)
{
	/* The job may be gone after the last drop: nothing is read from it then. */
	unsigned count = deps->count;

	ASSERT(!deps->armed);
	for (unsigned i = 0; own && i < count; i++) {
		const struct fence *fence = deps->dep[i].fence;

		ASSERT(fence != own);
		check_kinds(own, fence, where);
		event_emit_at(deps->sync->events, EVENT_FENCE_DEP, own->context, own->seqno,
			      fence->context, fence->seqno, fence_is_signalled(fence), 0, where);
	}
	deps->armed = true;
	atomic_store_explicit(&deps->pending, count + 1, memory_order_relaxed);
	for (unsigned i = 0; i < count; i++) {
		if (!fence_add_cb(deps->dep[i].fence, &deps->dep[i].cb, dep_signalled)) {
			/* What it causes comes before what ours will: user fences in order. */
			fence_callbacks_done(deps->dep[i].fence);
			/* Not the last: arming holds one count until the end. */
			atomic_fetch_sub_explicit(&deps->pending, 1, memory_order_relaxed);
		}
	}
	if (!drop_pending(deps)) {
		return false;
	}
	collect_error(deps);
	return true;
}

bool deps_cancel(struct deps *deps, uint64_t keep_context)
{
	unsigned pending = atomic_load_explicit(&deps->pending, memory_order_acquire);

	/* A count of our own keeps the job from running, and @dep from being freed, meanwhile. */
	do {
		if (!pending) {
			return false;
		}
	} while (!atomic_compare_exchange_weak(&deps->pending, &pending, pending + 1));
	for (unsigned i = 0; i < deps->count; i++) {
		struct dep *dep = &deps->dep[i];

		if (dep->fence->context != keep_context && fence_remove_cb(dep->fence, &dep->cb)) {
			atomic_fetch_sub_explicit(&deps->pending, 1, memory_order_relaxed);
		}
	}
	if (!drop_pending(deps)) {
		return false;
	}
	collect_error(deps);
	return true;
}
