// SPDX-License-Identifier: MIT
/*
 * Page tables that give way to others (B26).
 *
 * Overview. Page tables are in system memory. When no frame of it is left for one, the tables of
 * the VMs that have submitted nothing for longest are taken away: their entries are kept on the
 * host's heap, where binds go on changing them (pt/evict.c), and get frames again before the VM's
 * next submission, which may take those of others in turn. The order is that of a move: no
 * submission that has looked before is published any more, then those that there are end, then the
 * frames go.
 *
 * Locking: env.evict_lock, so that two VMs take turns (class 29); the fences of the victim's
 * submissions are waited for under it.
 */
#include "vm/move.h"

/* So much of system memory becomes page tables at once: with less left there may be none. */
#define TABLES_AT_ONCE_B ((uint64_t)256 << 10)

static bool frames_are_short(struct mem *mem)
{
	struct region *system = &mem->region[MEM_SYSTEM];
	uint64_t left_B;

	port_mutex_lock(&system->lock);
	left_B = system->size_B - system->used_B;
	port_mutex_unlock(&system->lock);
	return left_B < TABLES_AT_ONCE_B;
}

uint64_t vm_evict_tables(struct vm *vm, uint64_t max_tables)
{
	struct vm_env *env = vm->env;
	struct pt_eviction eviction;
	uint64_t evicted;

	port_rwlock_assert_write(&env->evict_lock);
	port_rwlock_wrlock(&vm->notifier);
	atomic_store(&vm->tables_gone, true);
	active_bump(vm->active);
	port_rwlock_wrunlock(&vm->notifier);
	(void)active_wait(vm->active, env->sync, 0);
	(void)pt_evict(&vm->pt, max_tables, &eviction, &evicted);
	/* Walks that end in faults, of nobody's work, may still be inside them. */
	env->gpu->invalidate(env->engines, env->engine_count, &vm->hw, 0, PAGE_SIZE);
	pt_evict_finish(&vm->pt, &eviction);
	event_emit(env->events, EVENT_TABLES_EVICT, vm->id, evicted, 0, 0, 0, 0);
	return evicted;
}

/* The VM with tables to give that was used next after *@stamp_io. A reference. */
static struct vm *next_victim(struct vm *self, uint64_t *stamp_io)
{
	struct lru *lru = &self->env->mem->lru;
	struct vm *found = NULL;

	port_mutex_lock(&lru->lock);
	list_for_each(bulk, &lru->bulks, struct lru_bulk, node) {
		uint64_t stamp = atomic_load_explicit(&bulk->stamp, memory_order_relaxed);
		struct vm *vm;

		if (bulk == &lru->idle || stamp <= *stamp_io) {
			continue;
		}
		*stamp_io = stamp;
		vm = container_of(bulk, struct vm, bulk);
		if (vm != self && pt_frames_B(&vm->pt) > SZ_4K && ref_get_unless_zero(&vm->ref)) {
			found = vm;
			break;
		}
	}
	port_mutex_unlock(&lru->lock);
	return found;
}

bool vm_make_frames(struct vm *vm)
{
	uint64_t stamp = 0, evicted = 0;
	struct vm *victim;

	port_rwlock_assert_write(&vm->env->evict_lock);
	while (frames_are_short(vm->env->mem) && (victim = next_victim(vm, &stamp))) {
		evicted += vm_evict_tables(victim, UINT64_MAX);
		vm_put(victim);
	}
	return evicted != 0;
}

int vm_restore_tables(struct vm *vm)
{
	int ret;

	port_rwlock_assert_write(&vm->env->evict_lock);
	if (!atomic_load(&vm->tables_gone)) {
		return 0;
	}
	do {
		ret = pt_restore(&vm->pt);
	} while (ret && vm_make_frames(vm));
	if (!ret) {
		atomic_store(&vm->tables_gone, false);
		event_emit(vm->env->events, EVENT_TABLES_RESTORE, vm->id, 0, 0, 0, 0, 0);
	}
	return ret;
}
