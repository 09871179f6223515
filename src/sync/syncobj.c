// SPDX-License-Identifier: MIT
/*
 * Syncobjs: containers of fences.
 *
 * Overview: a binary syncobj holds one fence. The first point makes it a timeline, whose points
 * also wait for the fence it held before. Points are a list, oldest first, with numbers that never
 * fall; signalled ones at its front are pruned whenever somebody looks, and @signalled_point
 * remembers how far that went. Every point waits for all before it, so looking one up gathers the
 * unsignalled fences up to it.
 *
 * Points out of order: a point not above the last one takes the last one's number. Several nodes
 * may so have one number, which counts as signalled when the last of them is. If it was pruned
 * before the late one came, the number stays signalled for queries, while look-ups of it (and of
 * earlier ones) find the late fence as long as it is unsignalled.
 *
 * A point whose own fence has signalled adds nothing to wait for: it is there when the one before
 * it is. So it needs no node: syncobj_advance() gives its number to the last one, or to the fence
 * the syncobj held before.
 *
 * Locking: syncobj.lock (a leaf) protects everything. Memory is not allocated under it, and
 * references and nodes are dropped after it, so that no destructor runs under it.
 */
#include "sync/syncobj.h"

#include "base/bits.h"

/* A look-up of no more than this many fences needs no second try. */
#define FIND_FEW 8

static struct port_lock_class syncobj_class = { .name = "syncobj", .rank = RANK_LEAF };

/* What was taken out under the lock and goes after it. */
struct remains {
	struct fence *fence;
	struct list points;
};

static void remains_init(struct remains *r)
{
	r->fence = NULL;
	list_init(&r->points);
}

static void remains_drop(struct remains *r)
{
	fence_put(r->fence);
	while (!list_empty(&r->points)) {
		struct syncobj_point *node = list_first(&r->points, struct syncobj_point, node);

		list_del(&node->node);
		fence_put(node->fence);
		port_free(node);
	}
}

struct syncobj *syncobj_create(struct sync *sync, bool signalled)
{
	struct syncobj *so = port_alloc(sizeof(*so));

	if (so) {
		ref_init(&so->ref);
		so->sync = sync;
		port_mutex_init(&so->lock, &syncobj_class);
		list_init(&so->points);
		list_init(&so->watchers);
		so->fence = signalled ? fence_get(sync->stub) : NULL;
	}
	return so;
}

struct syncobj *syncobj_get(struct syncobj *so)
{
	if (so) {
		ref_get(&so->ref);
	}
	return so;
}

/* Empties the syncobj into @r. */
static void clear(struct syncobj *so, struct remains *r)
{
	r->fence = so->fence;
	list_splice_tail(&r->points, &so->points);
	so->fence = NULL;
	so->timeline = false;
	so->fence_point = 0;
	so->last_point = 0;
	so->signalled_point = 0;
}

void syncobj_put(struct syncobj *so)
{
	struct remains r;

	if (!so || !ref_put(&so->ref)) {
		return;
	}
	ASSERT(list_empty(&so->watchers));
	remains_init(&r);
	clear(so, &r);
	port_mutex_fini(&so->lock);
	port_free(so);
	remains_drop(&r);
}

static void tell_watchers_locked(struct syncobj *so)
{
	port_mutex_assert_held(&so->lock);
	list_for_each_safe(watcher, &so->watchers, struct syncobj_watcher, node) {
		watcher->arrived(watcher);
	}
}

void syncobj_replace(struct syncobj *so, struct fence *fence)
{
	struct remains r;

	remains_init(&r);
	port_mutex_lock(&so->lock);
	clear(so, &r);
	so->fence = fence_get(fence);
	if (fence) {
		tell_watchers_locked(so);
	}
	port_mutex_unlock(&so->lock);
	remains_drop(&r);
}

struct syncobj_point *syncobj_point_alloc(void)
{
	return port_alloc(sizeof(struct syncobj_point));
}

void syncobj_point_free(struct syncobj_point *point)
{
	ASSERT(!point || !point->fence);
	port_free(point);
}

/* @point was taken off the front: it is signalled unless the next node has the same number. */
static void front_done_locked(struct syncobj *so, uint64_t point)
{
	struct syncobj_point *next = list_first(&so->points, struct syncobj_point, node);

	if (list_empty(&so->points) || next->point != point) {
		so->signalled_point = max_u64(so->signalled_point, point);
	}
}

/* Takes what has signalled off the front of a timeline. */
static void prune_locked(struct syncobj *so, struct remains *r)
{
	port_mutex_assert_held(&so->lock);
	if (!so->timeline) {
		return;
	}
	if (so->fence) {
		if (!fence_is_signalled(so->fence)) {
			return;
		}
		ASSERT(!r->fence);
		r->fence = so->fence;
		so->fence = NULL;
		front_done_locked(so, so->fence_point);
	}
	while (!list_empty(&so->points)) {
		struct syncobj_point *node = list_first(&so->points, struct syncobj_point, node);

		if (!fence_is_signalled(node->fence)) {
			break;
		}
		list_del(&node->node);
		list_add_tail(&r->points, &node->node);
		front_done_locked(so, node->point);
	}
	if (list_empty(&so->points)) {
		so->signalled_point = so->last_point;
	}
	ASSERT(so->signalled_point <= so->last_point);
}

void syncobj_add_point(struct syncobj *so, uint64_t point, struct fence *fence,
		       struct syncobj_point *mem)
{
	struct remains r;

	ASSERT(fence);
	ASSERT(mem && !mem->fence);
	remains_init(&r);
	port_mutex_lock(&so->lock);
	so->timeline = true;
	so->last_point = max_u64(so->last_point, point);
	mem->point = so->last_point;
	mem->fence = fence_get(fence);
	list_add_tail(&so->points, &mem->node);
	prune_locked(so, &r);
	tell_watchers_locked(so);
	port_mutex_unlock(&so->lock);
	remains_drop(&r);
}

void syncobj_advance(struct syncobj *so, uint64_t point)
{
	struct remains r;

	remains_init(&r);
	port_mutex_lock(&so->lock);
	so->timeline = true;
	if (point > so->last_point) {
		list_for_each(node, &so->points, struct syncobj_point, node) {
			if (node->point == so->last_point) {
				node->point = point;
			}
		}
		if (list_empty(&so->points)) {
			so->fence_point = point;
		}
		so->last_point = point;
	}
	prune_locked(so, &r);
	tell_watchers_locked(so);
	port_mutex_unlock(&so->lock);
	remains_drop(&r);
}

/* Does the syncobj have what @point asks for, signalled or not? */
static bool has_locked(const struct syncobj *so, uint64_t point)
{
	port_mutex_assert_held(&so->lock);
	if (so->timeline) {
		return point <= so->last_point;
	}
	return so->fence && point == 0;
}

bool syncobj_has(struct syncobj *so, uint64_t point)
{
	bool has;

	port_mutex_lock(&so->lock);
	has = has_locked(so, point);
	port_mutex_unlock(&so->lock);
	return has;
}

/* The number up to which a look-up of @point must gather, of a pruned timeline that has it. */
static uint64_t gather_end_locked(const struct syncobj *so, uint64_t point)
{
	ASSERT(so->timeline && point <= so->last_point);
	if (point == 0) {
		return so->last_point;
	}
	if (point <= so->signalled_point) {
		/* Nothing but points that came late. */
		return so->signalled_point;
	}
	if (so->fence && point <= so->fence_point) {
		return so->fence_point;
	}
	list_for_each(node, &so->points, struct syncobj_point, node) {
		if (node->point >= point) {
			return node->point;
		}
	}
	return so->last_point;
}

/* Of fences of one context the last one stands for all; they mostly come in a row. */
static unsigned gather_one(struct fence **fences, unsigned n, unsigned cap, struct fence *last,
			   struct fence *fence)
{
	if (last && last->context == fence->context && last->seqno <= fence->seqno) {
		n--;
	}
	if (n < cap) {
		fences[n] = fence;
	}
	return n + 1;
}

/*
 * The fences that @point waits for, with references if they fit in @cap. Returns their number, or
 * -EINVAL when there is no such point.
 */
static int gather_locked(struct syncobj *so, uint64_t point, struct fence **fences, unsigned cap)
{
	struct fence *last = so->fence;
	unsigned n = 0;
	uint64_t end;

	if (!has_locked(so, point)) {
		return -EINVAL;
	}
	if (last) {
		n = gather_one(fences, n, cap, NULL, last);
	}
	end = so->timeline ? gather_end_locked(so, point) : 0;
	list_for_each(node, &so->points, struct syncobj_point, node) {
		if (node->point > end) {
			break;
		}
		if (!fence_is_signalled(node->fence)) {
			n = gather_one(fences, n, cap, last, node->fence);
			last = node->fence;
		}
	}
	for (unsigned i = 0; i < n && n <= cap; i++) {
		fence_get(fences[i]);
	}
	return (int)n;
}

/* The fence of @n gathered ones; drops their references. */
static struct fence *combine(struct sync *sync, struct fence **fences, unsigned n)
{
	struct fence *fence;

	ASSERT(n == 0 || fences[0]);
	if (n == 0) {
		return fence_get(sync->stub);
	}
	if (n == 1) {
		return fences[0];
	}
	fence = fence_all(sync, fences, n);
	for (unsigned i = 0; i < n; i++) {
		fence_put(fences[i]);
	}
	return fence;
}

int syncobj_find(struct syncobj *so, uint64_t point, struct fence **fence_out)
{
	struct fence *few[FIND_FEW], **fences = few;
	unsigned cap = FIND_FEW;
	int n;

	for (;;) {
		struct remains r;

		remains_init(&r);
		port_mutex_lock(&so->lock);
		prune_locked(so, &r);
		n = gather_locked(so, point, fences, cap);
		port_mutex_unlock(&so->lock);
		remains_drop(&r);
		if (n <= (int)cap) {
			break;
		}
		/* More may arrive meanwhile: leave some room. */
		cap = (unsigned)n + FIND_FEW;
		if (fences != few) {
			port_free(fences);
		}
		fences = port_alloc(cap * sizeof(struct fence *));
		if (!fences) {
			return -ENOMEM;
		}
	}
	if (n >= 0) {
		*fence_out = combine(so->sync, fences, (unsigned)n);
		n = *fence_out ? 0 : -ENOMEM;
	}
	if (fences != few) {
		port_free(fences);
	}
	return n;
}

int syncobj_find_first(struct syncobj *so, uint64_t point, struct fence **fence_out)
{
	struct fence *first = NULL;
	struct remains r;
	int n;

	remains_init(&r);
	port_mutex_lock(&so->lock);
	prune_locked(so, &r);
	n = gather_locked(so, point, &first, 1);
	if (n > 1) { /* did not fit: without references */
		fence_get(first);
	}
	port_mutex_unlock(&so->lock);
	remains_drop(&r);
	if (n == 1 && fence_is_signalled(first)) {
		fence_put(first);
		first = NULL;
	}
	if (n >= 0) {
		*fence_out = first;
	}
	return n < 0 ? n : 0;
}

enum syncobj_kind syncobj_kind(struct syncobj *so)
{
	enum syncobj_kind kind = SYNCOBJ_EMPTY;

	port_mutex_lock(&so->lock);
	if (so->timeline) {
		kind = SYNCOBJ_TIMELINE;
	} else if (so->fence) {
		kind = SYNCOBJ_BINARY;
	}
	port_mutex_unlock(&so->lock);
	return kind;
}

uint64_t syncobj_query(struct syncobj *so, bool last_submitted)
{
	struct remains r;
	uint64_t point;

	remains_init(&r);
	port_mutex_lock(&so->lock);
	prune_locked(so, &r);
	point = last_submitted ? so->last_point : so->signalled_point;
	port_mutex_unlock(&so->lock);
	remains_drop(&r);
	return point;
}

void syncobj_watch(struct syncobj *so, struct syncobj_watcher *watcher)
{
	ASSERT(watcher->arrived);
	port_mutex_lock(&so->lock);
	list_add_tail(&so->watchers, &watcher->node);
	port_mutex_unlock(&so->lock);
}

void syncobj_unwatch(struct syncobj *so, struct syncobj_watcher *watcher)
{
	port_mutex_lock(&so->lock);
	list_del(&watcher->node);
	port_mutex_unlock(&so->lock);
}
