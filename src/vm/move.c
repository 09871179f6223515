// SPDX-License-Identifier: MIT
/*
 * Moves of objects (P5, L03, L05).
 *
 * Overview. A move gives an object another place at once and leaves the rest to a job, which waits
 * for everybody who uses the old one, brings the contents over, and then gives the old frames back.
 * Until the job is done nobody starts to use the object: its fence is on it as KERNEL, and who maps
 * it writes its entries anew, behind that fence, before it runs again.
 *
 * Who uses an object is known by its mappings (users.c), not by fences on it, so the order matters
 * (P1). First every mapping is marked and its VM's sequence moves: a submission that has looked
 * before can no longer be published. Only then the submissions that there are become dependencies.
 * The other way round, a submission published in between would be missed; and one at a time, with
 * two VMs, the next job of the first could wait for this move, and be collected by way of the
 * other.
 *
 * A bind that is published has left its fence on the object and writes the entries it was made for;
 * the move comes after it. A bind that is just being made either finds its mapping marked, or
 * finds, when it puts the mapping in, that the object is no longer where it was.
 *
 * A clear is a move to where the object is.
 *
 * Locking: the object's reservation to publish it; none to run it.
 */
#include "vm/job.h"
#include "vm/move.h"

struct move {
	struct fence fence; /* holds the move's memory */
	struct ready_item item;
	struct deps deps;
	struct vm_env *env;
	struct bo *bo;      /* a reference */
	struct place *from; /* a reference, and its frames; NULL: a clear */
	struct place *to;   /* a reference */
	bool copy;          /* else the contents are zeroes */
	bool freed_early;   /* without GUARD_FREE */
	struct vm **vms;    /* that have mapped it, a reference each; owned */
	unsigned vm_count;
};

static void move_release(struct fence *fence)
{
	port_free(container_of(fence, struct move, fence));
}

static const struct fence_ops move_fence_ops = {
	.release = move_release,
};

/* Nothing waits any more for what it holds. Also for one that was never published. */
static void move_fini(struct move *move)
{
	for (unsigned i = 0; i < move->vm_count; i++) {
		vm_put(move->vms[i]);
	}
	port_free(move->vms);
	deps_fini(&move->deps);
	place_put(move->from);
	place_put(move->to);
	bo_put(move->bo);
	fence_put(&move->fence);
}

/* No translation leads to the old frames when this returns. */
static void drop_translations(struct move *move)
{
	struct vm_env *env = move->env;

	for (unsigned i = 0; i < move->vm_count; i++) {
		struct vm *vm = move->vms[i];

		env->gpu->invalidate(env->engines, env->engine_count, &vm->hw, 0,
				     BIT64(env->fmt->va_bits));
	}
	vm_env_flush(env);
}

static void move_run(struct move *move)
{
	struct bo *bo = move->bo;

	port_signalling_begin(move->fence.context, move->fence.seqno);
	if (!(move->env->without & GUARD_CLEAR) || move->copy) {
		place_fill(bo, move->to, move->copy ? move->from : NULL);
	}
	if (move->from && !move->freed_early) {
		drop_translations(move);
		place_free_frames(move->from);
	}
	event_emit(move->env->events, EVENT_BO_MOVED, bo->id, move->to->region->index, 0, 0, 0, 0);
	atomic_fetch_sub(&bo->moves, 1);
	fence_signal(&move->fence, 0);
	port_signalling_end();
	/* The object would else keep the fence until somebody looks at it again. */
	resv_lock(&bo->resv);
	resv_prune(&bo->resv);
	resv_unlock(&bo->resv);
	move_fini(move);
}

static void move_item_run(struct ready_item *item)
{
	move_run(container_of(item, struct move, item));
}

static struct move *move_create(struct vm_env *env, struct bo *bo)
{
	struct move *move = port_alloc(sizeof(*move));

	if (!move) {
		return NULL;
	}
	move->env = env;
	move->bo = bo_get(bo);
	move->item.run = move_item_run;
	list_init(&move->item.node);
	(void)deps_init(&move->deps, env->sync, &move->item, 0);
	fence_init(&move->fence, env->sync, FENCE_DMA, &move_fence_ops,
		   sync_new_context(env->sync), 1);
	return move;
}

/* Pass 1: nobody who has looked at the object before is published after this. */
static void mark_mappings(struct move *move)
{
	list_for_each(vma, &move->bo->mappings, struct vma, bo_node) {
		vma_mark_evicted(vma);
	}
	for (unsigned i = 0; i < move->vm_count; i++) {
		struct vm *vm = move->vms[i];

		port_rwlock_wrlock(&vm->notifier);
		active_bump(vm->active);
		port_rwlock_wrunlock(&vm->notifier);
	}
}

/* Pass 2: who was published is waited for. 0 or -ENOMEM. */
static int collect_users(struct move *move)
{
	struct bo_users users;
	int ret = bo_take_users(move->bo, &users);

	if (ret) {
		return ret;
	}
	ret = deps_init(&move->deps, move->env->sync, &move->item, users.count);
	for (unsigned i = 0; i < users.count && !ret; i++) {
		deps_add(&move->deps, users.fence[i]);
	}
	bo_put_users(&users);
	return ret;
}

/* The VMs that map the object, each once. 0 or -ENOMEM. */
static int find_vms(struct move *move)
{
	unsigned cap = 0;
	struct vm *last = NULL;

	list_for_each(vma, &move->bo->mappings, struct vma, bo_node) {
		cap += vma->vm != last; /* a VM's mappings are mostly next to one another */
		last = vma->vm;
	}
	if (!cap) {
		return 0;
	}
	move->vms = port_alloc(cap * sizeof(struct vm *));
	if (!move->vms) {
		return -ENOMEM;
	}
	last = NULL;
	list_for_each(vma, &move->bo->mappings, struct vma, bo_node) {
		if (vma->vm != last) {
			last = vma->vm;
			move->vms[move->vm_count++] = vm_get(last);
		}
	}
	return 0;
}

/* Everything that can fail. */
static int prepare(struct move *move)
{
	struct bo *bo = move->bo;
	int ret = find_vms(move);

	if (!ret) {
		ret = resv_reserve(&bo->resv, 1);
	}
	if (ret) {
		return ret;
	}
	/* Marked for nothing, if it fails below: they are written anew as they were. */
	if (!(move->env->without & GUARD_MARK)) {
		mark_mappings(move);
	}
	if (!(move->env->without & GUARD_COLLECT)) {
		ret = collect_users(move);
	}
	if (ret) {
		resv_unreserve(&bo->resv, 1);
	}
	return ret;
}

static void publish(struct move *move)
{
	struct bo *bo = move->bo;

	port_publishing_begin(move->fence.context, move->fence.seqno);
	resv_add(&bo->resv, &move->fence, RESV_KERNEL);
	atomic_fetch_add(&bo->moves, 1);
	if (move->from && (move->env->without & GUARD_FREE)) {
		move->freed_early = true;
		place_free_frames(move->from);
	}
	event_emit(move->env->events, EVENT_BO_MOVE, bo->id,
		   move->from ? move->from->region->index : move->to->region->index,
		   move->to->region->index, bo->size_B, move->deps.count, 0);
	event_emit(move->env->events, EVENT_FENCE_PUBLISH, move->fence.context, move->fence.seqno,
		   EVENT_OF_MOVE, move->fence.context, bo->id, 0);
	/* Never in the call: its owner holds the reservation. */
	if (deps_arm(&move->deps, &move->fence)) {
		ready_push(move->env->sync, &move->item);
	}
	port_publishing_end();
}

int bo_move_locked(struct vm_env *env, struct bo *bo, struct place *to, struct fence **fence_out)
{
	struct move *move = move_create(env, bo);
	int ret;

	port_assert_list(&bo->resv.lock, "mappings", bo->id);
	ASSERT(bo->place && to != bo->place);
	if (!move) {
		return -ENOMEM;
	}
	ret = prepare(move);
	if (ret) {
		move_fini(move);
		return ret;
	}
	*fence_out = fence_get(&move->fence);
	move->copy = !bo->dirty;
	bo->dirty = false;
	move->to = place_get(to ? to : bo->place);
	if (to) {
		move->from = bo->place;
		bo->place = to;
		if (to->region->device) {
			lru_add(bo, NULL);
		} else {
			lru_remove(bo);
		}
	} else {
		move->copy = false;
	}
	publish(move);
	return 0;
}

int bo_clear_locked(struct vm_env *env, struct bo *bo)
{
	struct fence *fence;
	int ret;

	if (!bo->dirty) {
		return 0;
	}
	ret = bo_move_locked(env, bo, NULL, &fence);
	if (!ret) {
		fence_put(fence);
	}
	return ret;
}
