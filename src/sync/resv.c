// SPDX-License-Identifier: MIT
/*
 * Reservation objects.
 *
 * Overview. An array of fences with their usages. Those that have signalled count for nobody; they
 * are let go of when room is looked for, or when whoever left one cleans up, so that the array is
 * never longer than what was unfinished and reserved at one time. Of one context at most one fence
 * per usage is kept.
 *
 * Replacing. A fence stands for an earlier one of its context when whoever looks far enough to find
 * that one finds it too: its usage is the same or further left in KERNEL < WRITE < READ < BOOKKEEP.
 * So what is known of a context only moves to the left. A later BOOKKEEP beside an earlier WRITE
 * leaves both: readers must not come to wait for what is no business of theirs.
 *
 * Locking: resv.lock. References are dropped under it: the last one of a fence frees memory only.
 *
 * Example: a job that will be published with a fence on an object
 *
 *	resv_lock(&bo->resv);
 *	ret = resv_reserve(&bo->resv, 1);
 *	resv_unlock(&bo->resv);
 *	... whatever else can fail ...
 *	resv_lock(&bo->resv);
 *	resv_add(&bo->resv, &job->fence, RESV_BOOKKEEP);
 *	resv_unlock(&bo->resv);
 */
#include "sync/resv.h"

#define WAIT_FEW 8

/* Nobody holds two: what is to be published on several has its places reserved one by one. */
static uint64_t id_by_lock(const void *lock)
{
	return container_of(lock, const struct resv, lock)->id;
}

static struct port_lock_class resv_class = { .name = "resv", .rank = RANK_RESV, .of = "object",
					     .of_id = id_by_lock };

void resv_init(struct resv *resv)
{
	port_mutex_init(&resv->lock, &resv_class);
	resv->id = 0;
	resv->reserved_at = NULL;
	resv->count = 0;
	resv->reserved = 0;
	resv->cap = RESV_FEW;
	resv->entry = resv->few;
}

void resv_fini(struct resv *resv)
{
	ASSERT(resv->reserved == 0);
	for (unsigned i = 0; i < resv->count; i++) {
		fence_put(resv->entry[i].fence);
	}
	if (resv->entry != resv->few) {
		port_free(resv->entry);
	}
	port_mutex_fini(&resv->lock);
}

void resv_lock_at(struct resv *resv, const char *where)
{
	port_mutex_lock_at(&resv->lock, where);
}

void resv_unlock(struct resv *resv)
{
	port_mutex_unlock(&resv->lock);
}

static void drop_entry(struct resv *resv, unsigned i)
{
	ASSERT(i < resv->count);
	fence_put(resv->entry[i].fence);
	resv->entry[i] = resv->entry[--resv->count];
}

void resv_prune(struct resv *resv)
{
	port_mutex_assert_held(&resv->lock);
	for (unsigned i = resv->count; i-- > 0;) {
		if (fence_is_signalled(resv->entry[i].fence)) {
			drop_entry(resv, i);
		}
	}
	if (resv->entry != resv->few && resv->count + resv->reserved == 0) {
		port_free(resv->entry);
		resv->entry = resv->few;
		resv->cap = RESV_FEW;
	}
}

int resv_reserve_at(struct resv *resv, unsigned n, const char *where)
{
	struct resv_fence *grown;
	unsigned cap;

	port_mutex_assert_held(&resv->lock);
	ASSERT(n > 0);
	if (resv->count + resv->reserved + n > resv->cap) {
		resv_prune(resv);
	}
	if (resv->count + resv->reserved + n > resv->cap) {
		cap = 2 * (resv->count + resv->reserved + n);
		grown = port_alloc_at(cap * sizeof(*grown), where);
		if (!grown) {
			return -ENOMEM;
		}
		memcpy(grown, resv->entry, resv->count * sizeof(*grown));
		if (resv->entry != resv->few) {
			port_free(resv->entry);
		}
		resv->entry = grown;
		resv->cap = cap;
	}
	resv->reserved += n;
	resv->reserved_at = where;
	return 0;
}

void resv_unreserve(struct resv *resv, unsigned n)
{
	port_mutex_assert_held(&resv->lock);
	ASSERT(resv->reserved >= n);
	resv->reserved -= n;
}

/* @fence takes the place of @old: whoever would have waited for that must wait for it (R7). */
static void check_promotes(const struct resv *resv, const struct resv_fence *old,
			   const struct fence *fence, enum resv_usage usage, const char *where)
{
	if (usage > old->usage || fence->seqno < old->fence->seqno) {
		port_rule_broken("R7", where, old->where,
				 "on object %lu fence %lu:%lu, usage %d, would take the place of "
				 "%lu:%lu, usage %d", (unsigned long)resv->id,
				 (unsigned long)fence->context, (unsigned long)fence->seqno,
				 (int)usage, (unsigned long)old->fence->context,
				 (unsigned long)old->fence->seqno, (int)old->usage);
	}
}

void resv_add_at(struct resv *resv, struct fence *fence, enum resv_usage usage, const char *where)
{
	port_mutex_assert_held(&resv->lock);
	if (!resv->reserved) {
		port_rule_broken("R6", where, resv->reserved_at,
				 "fence %lu:%lu is added to object %lu without a place reserved",
				 (unsigned long)fence->context, (unsigned long)fence->seqno,
				 (unsigned long)resv->id);
	}
	resv_unreserve(resv, 1);
	ASSERT(usage <= RESV_BOOKKEEP);
	if (fence->kind != FENCE_DMA) {
		port_rule_broken("R5", where, fence->where,
				 "object %lu would have to wait for fence %lu:%lu, which is no dma "
				 "fence", (unsigned long)resv->id, (unsigned long)fence->context,
				 (unsigned long)fence->seqno);
	}
	ASSERT(fence_part(fence, 0) == fence);
	if (fence_is_signalled(fence)) {
		return;
	}
	for (unsigned i = resv->count; i-- > 0;) {
		const struct resv_fence *old = &resv->entry[i];

		if (old->fence->context != fence->context) {
			continue;
		}
		if (old->usage <= usage && old->fence->seqno >= fence->seqno) {
			return; /* it stands for this one already */
		}
		if ((usage <= old->usage && old->fence->seqno <= fence->seqno) ||
		    (fence->sync->without & SYNC_GUARD_PROMOTE)) {
			check_promotes(resv, old, fence, usage, where);
			drop_entry(resv, i);
		}
	}
	ASSERT(resv->count + resv->reserved < resv->cap);
	resv->entry[resv->count++] = (struct resv_fence){ fence_get(fence), usage, where };
}

unsigned resv_collect(struct resv *resv, enum resv_usage usage, struct fence **fences_out,
		      unsigned cap)
{
	unsigned n = 0;

	port_mutex_assert_held(&resv->lock);
	ASSERT(cap == 0 || fences_out);
	for (unsigned i = 0; i < resv->count; i++) {
		const struct resv_fence *entry = &resv->entry[i];

		if (entry->usage <= usage && !fence_is_signalled(entry->fence)) {
			if (n < cap) {
				fences_out[n] = entry->fence;
			}
			n++;
		}
	}
	for (unsigned i = 0; i < n && n <= cap; i++) {
		fence_get(fences_out[i]);
	}
	return n;
}

bool resv_is_idle(struct resv *resv, enum resv_usage usage)
{
	bool idle;

	resv_lock(resv);
	idle = resv_collect(resv, usage, NULL, 0) == 0;
	resv_unlock(resv);
	return idle;
}

/* All of them, in @few if they fit, else in memory of their own. 0 or -ENOMEM. */
static int collect_all(struct resv *resv, enum resv_usage usage, struct fence **few,
		       struct fence ***fences_out, unsigned *n_out)
{
	struct fence **fences = few;
	unsigned n;

	resv_lock(resv);
	n = resv_collect(resv, usage, few, WAIT_FEW);
	if (n > WAIT_FEW) {
		fences = port_alloc(n * sizeof(struct fence *));
		/* Some may have signalled since: there can only be fewer. */
		n = fences ? resv_collect(resv, usage, fences, n) : 0;
	}
	resv_unlock(resv);
	*fences_out = fences;
	*n_out = n;
	return fences ? 0 : -ENOMEM;
}

static void put_all(struct fence **fences, unsigned n, struct fence **few)
{
	for (unsigned i = 0; i < n; i++) {
		fence_put(fences[i]);
	}
	if (fences != few) {
		port_free(fences);
	}
}

struct fence *resv_snapshot(struct resv *resv, struct sync *sync, enum resv_usage usage)
{
	struct fence *few[WAIT_FEW], **fences, *all;
	unsigned n;

	if (collect_all(resv, usage, few, &fences, &n)) {
		return NULL;
	}
	all = fence_all(sync, fences, n);
	put_all(fences, n, few);
	return all;
}

int resv_wait(struct resv *resv, struct sync *sync, enum resv_usage usage, uint64_t deadline_ns,
	      unsigned flags)
{
	struct fence *few[WAIT_FEW], **fences;
	unsigned n;
	int ret = collect_all(resv, usage, few, &fences, &n);

	if (!ret) {
		ret = fence_wait_many(sync, fences, n, true, deadline_ns, flags, NULL);
		put_all(fences, n, few);
	}
	return ret;
}
