// SPDX-License-Identifier: MIT
/*
 * Who has to go when VRAM is full (B16, L03, A20).
 *
 * Overview. Objects that may be in VRAM only are brought there before a submission uses them; what
 * was not used for longest goes to make room, idle objects first, then those of the VM that has
 * submitted nothing for longest (mem/lru.c). What the VM itself needs to run is never taken from
 * it: it has been seen to fit (vm_fits()). A victim's mappings are marked by its move, and its VMs
 * write them again, and fetch it back, before they run; so two VMs that need the same room take
 * turns.
 *
 * Frames are free when the moves out are done, and that is waited for here. Moves in are not waited
 * for: the submission is behind them.
 *
 * One VM at a time makes room (env.evict_lock), from the first look until its submission is
 * published; else two of them could take from one another for ever what neither has used yet
 * (class 29).
 *
 * Locking: vm.lock (write) and env.evict_lock are held over the waits for moves, which are dma
 * fences; an object's reservation is held for one look or one move.
 */
#include "vm/move.h"

#define EVICT_BATCH 16 /* moves that are waited for together */

struct evictor {
	struct vm *vm;
	uint64_t round;
	bool busy_too; /* also those that unfinished binds and moves are about */
	struct fence *fence[EVICT_BATCH];
	unsigned fences;
	uint64_t out_B; /* what they free */
};

/* The list of the VM that used it last, of those that map it. NULL: none does. */
static struct lru_bulk *last_user(struct bo *bo)
{
	struct lru_bulk *last = NULL;

	port_assert_list(&bo->resv.lock, "mappings", bo->id);
	list_for_each(vma, &bo->mappings, struct vma, bo_node) {
		struct lru_bulk *bulk = &vma->vm->bulk;

		if (!last || atomic_load_explicit(&bulk->stamp, memory_order_relaxed) >
				     atomic_load_explicit(&last->stamp, memory_order_relaxed)) {
			last = bulk;
		}
	}
	return last;
}

static bool is_needed_by(const struct vm *vm, struct bo *bo)
{
	return bo_wants_vram(bo) && vma_of_bo_locked(vm, bo);
}

/* @bo was found on a list of @stamp; its reservation is held. */
static bool may_go(const struct evictor *e, struct bo *bo, uint64_t stamp)
{
	struct lru_bulk *last = last_user(bo);

	if (!bo->place || !bo->place->region->device || is_needed_by(e->vm, bo)) {
		return false;
	}
	if (last && atomic_load_explicit(&last->stamp, memory_order_relaxed) > stamp) {
		lru_add(bo, last);
		return false;
	}
	return e->busy_too || resv_collect(&bo->resv, RESV_BOOKKEEP, NULL, 0) == 0;
}

/* Where it goes: system memory, or, if it may not be there, what stands for it. */
static struct region *refuge(struct bo *bo)
{
	return bo_wants_vram(bo) ? &bo->mem->spill : &bo->mem->region[MEM_SYSTEM];
}

/* Gives frames back that nobody has got to know of. */
static void place_drop(struct place *place)
{
	place_free_frames(place);
	place_put(place);
}

static int move_out(struct evictor *e, struct bo *bo)
{
	struct place *to;
	int ret = place_create(bo, refuge(bo), &to);

	if (ret) {
		return ret;
	}
	ret = bo_move_locked(e->vm->env, bo, to, &e->fence[e->fences]);
	if (ret) {
		place_drop(to);
		return ret;
	}
	e->fences++;
	e->out_B += bo->size_B;
	return 0;
}

/* One victim's move is published. 0, -ENOSPC (there is none left), -ENOMEM. */
static int evict_one(struct evictor *e)
{
	struct mem *mem = e->vm->env->mem;
	uint64_t stamp;
	int ret = -ENOSPC;

	while (ret == -ENOSPC) {
		struct bo *bo = lru_next(mem, e->round, &stamp);

		if (!bo && e->busy_too) {
			break;
		}
		if (!bo) {
			e->busy_too = true;
			e->round = lru_round(mem);
			continue;
		}
		resv_lock(&bo->resv);
		if (may_go(e, bo, stamp)) {
			ret = move_out(e, bo); /* -ENOSPC: no room where it would go */
		}
		resv_unlock(&bo->resv);
		bo_put(bo);
	}
	return ret;
}

static int wait_for_moves(struct evictor *e, unsigned flags)
{
	int ret = 0;

	while (e->fences) {
		struct fence *fence = e->fence[--e->fences];

		ret = ret ? ret : fence_wait(fence, PORT_FOREVER, flags);
		fence_put(fence);
	}
	e->out_B = 0;
	return ret;
}

/* As place_create() in VRAM, where others go out of the way. @ret: what that said. */
static int make_room(struct vm *vm, struct bo *bo, unsigned flags, struct place **place_out)
{
	struct region *vram = &bo->mem->region[MEM_VRAM];
	struct evictor e = { .vm = vm, .round = lru_round(bo->mem) };
	int ret, waited;

	port_rwlock_assert_write(&vm->env->evict_lock);
	ret = port_fault_hit(PORT_FAULT_VRAM) ? -ENOMEM : place_create(bo, vram, place_out);
	while (ret == -ENOSPC) {
		ret = evict_one(&e);
		if (ret == 0 && e.fences < EVICT_BATCH && e.out_B < bo->size_B) {
			ret = -ENOSPC;
			continue;
		}
		if (!e.fences) {
			break;
		}
		waited = wait_for_moves(&e, flags);
		if (waited) {
			return waited;
		}
		ret = place_create(bo, vram, place_out);
	}
	waited = wait_for_moves(&e, flags);
	if (waited && !ret) {
		place_drop(*place_out);
	}
	return waited ? waited : ret;
}

/* Its place, cleared or about to be, a reference; @room, if there is, for one that has none. */
static int back_once(struct vm_env *env, struct bo *bo, struct place *room,
		     struct place **place_out)
{
	int ret = 0;

	resv_lock(&bo->resv);
	if (room && bo->place) {
		place_drop(room);
	} else if (room) {
		bo_settle_locked(bo, room);
	} else {
		ret = bo_back_locked(bo);
	}
	if (!ret) {
		ret = bo_clear_locked(env, bo);
	}
	if (!ret) {
		*place_out = place_get(bo->place);
	}
	resv_unlock(&bo->resv);
	return ret;
}

int vm_back(struct vm *vm, struct bo *bo, unsigned flags, struct place **place_out)
{
	struct vm_env *env = vm->env;
	struct place *room;
	int ret = back_once(env, bo, NULL, place_out);

	if (ret != -ENOSPC || !(bo->placement & BIT(MEM_VRAM))) {
		return ret;
	}
	/* Only those that could be in system memory too, and that is full. */
	if (port_rwlock_wrlock_interruptible(&env->evict_lock)) {
		return -EINTR;
	}
	ret = make_room(vm, bo, flags, &room);
	if (!ret) {
		ret = back_once(env, bo, room, place_out);
	}
	port_rwlock_wrunlock(&env->evict_lock);
	return ret;
}

static bool is_in(struct bo *bo, bool device)
{
	bool in;

	resv_lock(&bo->resv);
	in = bo->place->region->device == device;
	resv_unlock(&bo->resv);
	return in;
}

/* @to: its frames and reference are taken over, or given back. */
static int move_to(struct vm_env *env, struct bo *bo, struct place *to)
{
	struct fence *fence;
	int ret;

	resv_lock(&bo->resv);
	ret = bo_move_locked(env, bo, to, &fence);
	resv_unlock(&bo->resv);
	if (ret) {
		place_free_frames(to);
		place_put(to);
		return ret;
	}
	fence_put(fence);
	return 0;
}

int vm_fetch(struct vm *vm, struct bo *bo, unsigned flags)
{
	struct place *to;
	int ret;

	port_rwlock_assert_write(&vm->env->evict_lock);
	if (is_in(bo, true)) {
		return 0;
	}
	ret = make_room(vm, bo, flags, &to);
	return ret ? ret : move_to(vm->env, bo, to);
}

int vm_prefetch(struct vm *vm, struct bo *bo, enum mem_region region, unsigned flags)
{
	struct vm_env *env = vm->env;
	struct place *to;
	int ret;

	if (!(bo->placement & BIT(region))) {
		return 0;
	}
	if (port_rwlock_wrlock_interruptible(&env->evict_lock)) {
		return -EINTR;
	}
	if (region == MEM_VRAM) {
		ret = vm_fetch(vm, bo, flags);
	} else if (is_in(bo, false)) {
		ret = 0;
	} else {
		ret = place_create(bo, &env->mem->region[MEM_SYSTEM], &to);
		ret = ret ? ret : move_to(env, bo, to);
	}
	port_rwlock_wrunlock(&env->evict_lock);
	return ret;
}
