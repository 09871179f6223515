// SPDX-License-Identifier: MIT
/*
 * When translations are dropped: the two rules that front-ends choose from.
 *
 * VM_TLB_AT_UNBIND: what a bind has made stale is invalidated when it runs, and its fence covers
 * that. VM_TLB_AT_SUBMIT (B09): binds invalidate nothing. A VM some of whose translations are stale
 * is on env.stale; it is flushed when its next submission starts, and before memory is given back
 * that such translations may lead to, whoever gives it back and whether the VM submits again or
 * not. A running batch so may or may not see a change; the next submission does.
 *
 * Locking: env.stale_lock, a leaf, held over the flush: who finds the list empty may rely on it.
 */
#include "vm/job.h"

static struct port_lock_class stale_class = { .name = "vm.stale", .rank = RANK_LEAF };
static struct port_lock_class evict_class = { .name = "vm.evict", .rank = RANK_DEV_VALIDATE };

void vm_env_init(struct vm_env *env)
{
	port_rwlock_init(&env->evict_lock, &evict_class);
	port_mutex_init(&env->stale_lock, &stale_class);
	list_init(&env->stale);
}

void vm_env_fini(struct vm_env *env)
{
	ASSERT(list_empty(&env->stale));
	port_mutex_fini(&env->stale_lock);
	port_rwlock_fini(&env->evict_lock);
}

static void drop(struct vm *vm, uint64_t start, uint64_t end)
{
	struct vm_env *env = vm->env;

	if (!(env->without & GUARD_TLB)) {
		env->gpu->invalidate(env->engines, env->engine_count, &vm->hw, start, end);
	}
	event_emit(env->events, EVENT_TLB_INVALIDATE, vm->id, start, end - start, 0, 0, 0);
}

static void flush_locked(struct vm *vm)
{
	struct vm_env *env = vm->env;

	port_mutex_assert_held(&env->stale_lock);
	list_del(&vm->stale_node);
	drop(vm, 0, BIT64(env->fmt->va_bits));
}

void vm_invalidate(struct vm *vm, uint64_t start, uint64_t end)
{
	struct vm_env *env = vm->env;

	if (env->tlb_rule == VM_TLB_AT_UNBIND) {
		drop(vm, start, end);
		return;
	}
	port_mutex_lock(&env->stale_lock);
	if (list_empty(&vm->stale_node)) {
		list_add_tail(&env->stale, &vm->stale_node);
	}
	port_mutex_unlock(&env->stale_lock);
}

void vm_flush_at_submit(struct vm *vm)
{
	struct vm_env *env = vm->env;

	if (env->tlb_rule == VM_TLB_AT_UNBIND) {
		return;
	}
	port_mutex_lock(&env->stale_lock);
	flush_locked(vm);
	port_mutex_unlock(&env->stale_lock);
}

void vm_env_flush(struct vm_env *env)
{
	if (env->tlb_rule == VM_TLB_AT_UNBIND) {
		return;
	}
	port_mutex_lock(&env->stale_lock);
	while (!list_empty(&env->stale)) {
		flush_locked(list_first(&env->stale, struct vm, stale_node));
	}
	port_mutex_unlock(&env->stale_lock);
}
