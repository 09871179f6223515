// SPDX-License-Identifier: MIT
/*
 * Address spaces: life and death, bans, client memory.
 *
 * Life (L11). A VM is created with one reference, closed once, and freed with the last reference.
 * Closing takes all mappings away and overtakes what is still pending, so that nothing of a closed
 * VM waits for a client any more; jobs of exec queues that still run on it only meet faults. The
 * tables themselves stay until the last reference, as an engine may still walk the (empty) root.
 *
 * Client memory (L07, L08). When it is about to go, the notifier puts its window on
 * vm.invalidated and bumps the active set's sequence, waits for what was published before (a dma
 * fence always signals), and then drops the translations. A submission that validated
 * earlier fails its publication by the sequence and validates again, which waits until the memory
 * has gone. It takes neither vm.lock nor a reservation.
 *
 * Locking: see vm.h at each field; order in docs/design.md, P6.
 */
#include "vm/job.h"

static uint64_t id_by_lock(const void *lock)
{
	return container_of(lock, const struct vm, lock)->id;
}

static uint64_t id_by_notifier(const void *lock)
{
	return container_of(lock, const struct vm, notifier)->id;
}

static uint64_t id_by_validate(const void *lock)
{
	return container_of(lock, const struct vm, validate_lock)->id;
}

static struct port_lock_class vm_class = { .name = "vm", .rank = RANK_VM, .of = "vm",
					   .of_id = id_by_lock };
static struct port_lock_class notifier_class = { .name = "vm.notifier", .rank = RANK_VM_NOTIFIER,
						 .of = "vm", .of_id = id_by_notifier };
static struct port_lock_class validate_class = { .name = "vm.validate", .rank = RANK_VM_VALIDATE,
						 .of = "vm", .of_id = id_by_validate };
static struct port_lock_class evicted_class = { .name = "vm.evicted", .rank = RANK_LEAF };
static struct port_lock_class faults_class = { .name = "vm.faults", .rank = RANK_LEAF };
static struct port_lock_class pending_class = { .name = "vm.pending", .rank = RANK_LEAF };

static void locks_fini(struct vm *vm)
{
	port_mutex_fini(&vm->evicted_lock);
	port_mutex_fini(&vm->validate_lock);
	port_mutex_fini(&vm->faults_lock);
	port_mutex_fini(&vm->pending_lock);
	port_rwlock_fini(&vm->notifier);
	port_rwlock_fini(&vm->lock);
}

int vm_create(struct vm_env *env, unsigned flags, struct vm **vm_out)
{
	struct vm *vm = port_alloc(sizeof(*vm));
	int ret = -ENOMEM;

	if (!vm) {
		return -ENOMEM;
	}
	ref_init(&vm->ref);
	vm->env = env;
	vm->id = atomic_fetch_add(&env->next_vm_id, 1) + 1;
	vm->flags = flags;
	atomic_init(&vm->kind, flags & VM_LR ? VM_OF_LONG_RUNNING :
			       flags & VM_LR_LATER ? VM_UNDECIDED : VM_OF_JOBS);
	port_rwlock_init(&vm->lock, &vm_class);
	port_rwlock_init(&vm->notifier, &notifier_class);
	port_mutex_init(&vm->pending_lock, &pending_class);
	port_mutex_init(&vm->faults_lock, &faults_class);
	port_mutex_init(&vm->validate_lock, &validate_class);
	list_init(&vm->pending);
	port_wq_init(&vm->cleaned);
	list_init(&vm->invalidated);
	atomic_init(&vm->invalidated_any, false);
	atomic_init(&vm->ban, VM_NOT_BANNED);
	port_mutex_init(&vm->evicted_lock, &evicted_class);
	list_init(&vm->evicted);
	atomic_init(&vm->evicted_any, false);
	atomic_init(&vm->tables_gone, false);
	list_init(&vm->stale_node);
	vma_index_init(&vm->index);
	vma_pool_init(&vm->pool);
	vm->active = active_set_create();
	if (!vm->active) {
		goto err;
	}
	ret = pt_init(&vm->pt, env->mem, env->fmt);
	if (ret) {
		goto err;
	}
	ret = bind_queue_create_own(vm, &vm->default_queue);
	if (!ret) {
		ret = bind_queue_create_own(vm, &vm->rebind_queue);
	}
	if (ret) {
		bind_queue_put(vm->default_queue);
		pt_fini(&vm->pt);
		goto err;
	}
	lru_bulk_init(env->mem, &vm->bulk);
	vm->hw.fmt = env->fmt;
	vm->hw.root_phys = vm->pt.root->page.phys;
	vm->hw.root_device = vm->pt.root->page.device;
	vm->hw.asid = vm->id;
	vm->hw.scratch = flags & VM_SCRATCH;
	vm->hw.scratch_cached = vm->hw.scratch && env->tlb_rule == VM_TLB_AT_SUBMIT;
	atomic_init(&vm->hw.inval_seq, 0);
	event_emit(env->events, EVENT_VM_CREATE, vm->id, flags, 0, 0, 0, 0);
	*vm_out = vm;
	return 0;
err:
	active_set_put(vm->active);
	locks_fini(vm);
	port_free(vm);
	return ret;
}

struct vm *vm_get(struct vm *vm)
{
	ref_get(&vm->ref);
	return vm;
}

void vm_put(struct vm *vm)
{
	if (!vm || !ref_put(&vm->ref)) {
		return;
	}
	ASSERT(vm->closed && vm->index.count == 0 && list_empty(&vm->pending));
	ASSERT(list_empty(&vm->invalidated));
	port_mutex_lock(&vm->env->stale_lock);
	list_del(&vm->stale_node);
	port_mutex_unlock(&vm->env->stale_lock);
	/* The last translations, so that the id can be used again. */
	vm->env->gpu->invalidate(vm->env->engines, vm->env->engine_count, &vm->hw, 0,
				 BIT64(vm->env->fmt->va_bits));
	bind_queue_put(vm->default_queue);
	bind_queue_put(vm->rebind_queue);
	lru_bulk_fini(vm->env->mem, &vm->bulk);
	pt_fini(&vm->pt);
	vma_index_fini(&vm->index);
	vma_pool_fini(&vm->pool);
	active_set_put(vm->active);
	locks_fini(vm);
	port_free(vm);
}

void vm_ban(struct vm *vm, enum vm_ban_reason reason)
{
	int none = VM_NOT_BANNED;

	ASSERT(reason != VM_NOT_BANNED);
	if (atomic_compare_exchange_strong(&vm->ban, &none, (int)reason)) {
		event_emit(vm->env->events, EVENT_VM_BAN, vm->id, reason, 0, 0, 0, 0);
	}
}

void vm_note_fault(struct vm *vm, const struct gpu_fault *fault)
{
	if (fault->type == GPU_FAULT_COMMAND) {
		return; /* no access */
	}
	port_mutex_lock(&vm->faults_lock);
	if (vm->fault_count < VM_FAULTS_MAX) {
		vm->fault[vm->fault_count++] = *fault;
	}
	port_mutex_unlock(&vm->faults_lock);
}

unsigned vm_faults(struct vm *vm, struct gpu_fault *faults_out, unsigned cap)
{
	unsigned count;

	port_mutex_lock(&vm->faults_lock);
	count = vm->fault_count;
	memcpy(faults_out, vm->fault, min_u64(count, cap) * sizeof(*faults_out));
	port_mutex_unlock(&vm->faults_lock);
	return count;
}

/* ---- close ---------------------------------------------------------------------------------- */

/*
 * Lets the oldest pending job run whatever it waits for, or waits until whoever runs it is done.
 * False when none is left.
 */
static bool overtake_oldest(struct vm *vm)
{
	struct bind_job *job = NULL;

	port_mutex_lock(&vm->pending_lock);
	if (!list_empty(&vm->pending)) {
		job = list_first(&vm->pending, struct bind_job, pending_node);
		fence_get(&job->fence);
	}
	port_mutex_unlock(&vm->pending_lock);
	if (!job) {
		return false;
	}
	/* The one before it on its queue may be about to signal: not before it. */
	if (deps_cancel(&job->deps, job->fence.context)) {
		bind_job_run(job);
	}
	(void)fence_wait(&job->fence, PORT_FOREVER, 0);
	fence_put(&job->fence);
	return true;
}

/* Everything is unmapped: one clear of the whole address space. */
static void clear_all(struct vm *vm)
{
	uint64_t size_B = BIT64(vm->env->fmt->va_bits);
	struct pt_pool pool;
	struct list gone;

	pt_pool_init(&pool);
	list_init(&gone);
	port_mutex_lock(&vm->pt.lock);
	pt_clear(&vm->pt, &pool, 0, size_B);
	port_mutex_unlock(&vm->pt.lock);
	vm->env->gpu->invalidate(vm->env->engines, vm->env->engine_count, &vm->hw, 0, size_B);
	pt_release(&vm->pt, &pool);
	vm->env->gpu->invalidate(vm->env->engines, vm->env->engine_count, &vm->hw, 0, PAGE_SIZE);
	pt_free_dirs(&vm->pt, &pool);

	port_rwlock_wrlock(&vm->lock);
	for (struct vma *vma; (vma = vma_index_first(&vm->index, 0));) {
		vma_index_remove(&vm->index, vma);
		vma_set_pages(vma, VMA_TLB_DONE); /* cleared and invalidated above */
		vma_retire(vma);
		list_add_tail(&gone, &vma->remove_node);
	}
	ASSERT(vm->vram_B == 0);
	vma_index_settle(&vm->index);
	port_rwlock_wrunlock(&vm->lock);
	list_for_each_safe(vma, &gone, struct vma, remove_node) {
		list_del(&vma->remove_node);
		vma_destroy(vma);
	}
}

/* Who runs a bind takes it off the list first, and signals its fence before the cleanup. */
static void wait_cleaned(struct vm *vm)
{
	for (;;) {
		uint32_t seq = port_wq_prepare(&vm->cleaned);

		if (!atomic_load(&vm->cleaning)) {
			return;
		}
		(void)port_wq_wait(&vm->cleaned, seq, PORT_FOREVER, 0);
	}
}

void vm_close(struct vm *vm)
{
	bool closed;

	port_rwlock_wrlock(&vm->lock);
	closed = vm->closed;
	vm->closed = true;
	port_rwlock_wrunlock(&vm->lock);
	if (closed) {
		return;
	}
	while (overtake_oldest(vm)) {
	}
	wait_cleaned(vm);
	clear_all(vm);
	event_emit(vm->env->events, EVENT_VM_CLOSE, vm->id, 0, 0, 0, 0, 0);
}

/* ---- client memory -------------------------------------------------------------------------- */

static void userptr_quiesce(struct userptr *window)
{
	struct vm_userptr *userptr = container_of(window, struct vm_userptr, window);
	struct vm *vm = userptr->vm;

	port_rwlock_wrlock(&vm->notifier);
	/* One whose last mapping has gone is nobody's to pin again. */
	if (list_empty(&userptr->invalid_node) && atomic_load(&userptr->ref.count)) {
		list_add_tail(&vm->invalidated, &userptr->invalid_node);
		atomic_store(&vm->invalidated_any, true);
	}
	active_bump(vm->active);
	port_rwlock_wrunlock(&vm->notifier);
	event_emit(vm->env->events, EVENT_USERPTR_INVALIDATE, vm->id, userptr->va, window->size_B,
		   0, 0, 0);
	if (!(vm->env->without & GUARD_QUIESCE)) {
		(void)active_wait(vm->active, vm->env->sync, 0);
	}
}

static void userptr_zap(struct userptr *window)
{
	struct vm_userptr *userptr = container_of(window, struct vm_userptr, window);
	struct vm *vm = userptr->vm;

	vm->env->gpu->invalidate(vm->env->engines, vm->env->engine_count, &vm->hw, userptr->va,
				 userptr->va + window->size_B);
}

static void userptr_release(struct userptr *window)
{
	struct vm_userptr *userptr = container_of(window, struct vm_userptr, window);

	ASSERT(list_empty(&userptr->invalid_node));
	vm_put(userptr->vm);
	port_free(userptr);
}

static const struct userptr_ops window_ops = {
	.quiesce = userptr_quiesce,
	.zap = userptr_zap,
	.release = userptr_release,
};

int vm_userptr_create(struct vm *vm, uint64_t va, uint64_t addr, uint64_t size_B, bool readonly,
		      struct vm_userptr **userptr_out)
{
	struct vm_userptr *userptr = port_alloc(sizeof(*userptr));
	int ret;

	if (!userptr) {
		return -ENOMEM;
	}
	ref_init(&userptr->ref);
	userptr->vm = vm_get(vm);
	userptr->va = va;
	userptr->readonly = readonly;
	list_init(&userptr->invalid_node);
	ret = userptr_init(&userptr->window, vm->env->mem, addr, size_B, !readonly, &window_ops);
	if (ret) {
		return ret; /* it has been released */
	}
	*userptr_out = userptr;
	return 0;
}

struct vm_userptr *vm_userptr_get(struct vm_userptr *userptr)
{
	ref_get(&userptr->ref);
	return userptr;
}

void vm_userptr_put(struct vm_userptr *userptr)
{
	if (!ref_put(&userptr->ref)) {
		return;
	}
	vm_env_flush(userptr->vm->env);
	port_rwlock_wrlock(&userptr->vm->notifier);
	list_del(&userptr->invalid_node);
	port_rwlock_wrunlock(&userptr->vm->notifier);
	userptr_fini(&userptr->window);
}

/* vm.validate_lock held: the flag stays up until the last one can be used again. */
static void repin_all(struct vm *vm)
{
	struct vm_userptr *userptr;

	port_mutex_assert_held(&vm->validate_lock);
	while (atomic_load(&vm->invalidated_any)) {
		int ret;

		port_rwlock_wrlock(&vm->notifier);
		userptr = NULL;
		if (!list_empty(&vm->invalidated)) {
			userptr = list_first(&vm->invalidated, struct vm_userptr, invalid_node);
			list_del(&userptr->invalid_node);
			if (!ref_get_unless_zero(&userptr->ref)) {
				port_rwlock_wrunlock(&vm->notifier);
				continue; /* its last mapping is just going away */
			}
		} else {
			atomic_store(&vm->invalidated_any, false);
		}
		port_rwlock_wrunlock(&vm->notifier);
		if (!userptr) {
			break;
		}
		ret = userptr_repin(&userptr->window, !userptr->readonly);
		event_emit(vm->env->events, EVENT_USERPTR_REPIN, vm->id, userptr->va,
			   userptr->window.size_B, (uint64_t)-ret, 0, 0);
		/* Gone for good is no error until it is used; then it faults (bug class 7). */
		vm_userptr_put(userptr);
	}
}

bool vm_validate(struct vm *vm)
{
	port_rwlock_assert_held(&vm->lock);
	if (vm_has_evicted(vm)) {
		return vm->closed; /* then nothing is made whole any more, and nothing runs */
	}
	/* One that comes after this look bumps the active set's sequence, which is older. */
	if (atomic_load(&vm->invalidated_any)) {
		port_mutex_lock(&vm->validate_lock);
		repin_all(vm);
		port_mutex_unlock(&vm->validate_lock);
	}
	return true;
}

int vm_decide(struct vm *vm, bool long_running)
{
	int kind = long_running ? VM_OF_LONG_RUNNING : VM_OF_JOBS;
	int ret = 0;

	port_rwlock_wrlock(&vm->lock);
	if (atomic_load(&vm->kind) != VM_UNDECIDED) {
		ret = atomic_load(&vm->kind) == kind ? 0 : -EINVAL;
	} else if (long_running && !vm_fits(vm)) {
		ret = -ENOSPC;
	} else {
		atomic_store(&vm->kind, kind);
	}
	port_rwlock_wrunlock(&vm->lock);
	return ret;
}

bool vm_fits(const struct vm *vm)
{
	port_rwlock_assert_held(&vm->lock);
	return vm_is_lr(vm) || vm->vram_B <= vm->env->mem->region[MEM_VRAM].size_B;
}

/* ---- for tests, dumps and the checker ------------------------------------------------------- */

bool vm_mapping_next(struct vm *vm, uint64_t addr, struct vm_mapping *mapping_out)
{
	struct vma_run run;
	bool found;

	port_rwlock_rdlock(&vm->lock);
	found = vma_run_next(vm, addr, &run);
	if (found) {
		*mapping_out = (struct vm_mapping){
			.start = run.start,
			.end = run.end,
			.bo_id = run.vma->bo ? run.vma->bo->id : 0,
			.offset = run.vma->offset + (run.start - run.vma->start),
			.null = run.vma->null,
			.userptr = run.vma->userptr != NULL,
			.readonly = run.vma->readonly,
			.pat = run.vma->pat,
		};
		if (run.vma->userptr) {
			mapping_out->offset += run.vma->userptr->window.addr;
		} else if (run.vma->null) {
			mapping_out->offset = 0;
		}
	}
	port_rwlock_rdunlock(&vm->lock);
	return found;
}

void vm_check(struct vm *vm)
{
	uint64_t count = 0, addr = 0, vram_B = 0;

	port_rwlock_rdlock(&vm->lock);
	for (struct vma *vma; (vma = vma_index_first(&vm->index, addr));) {
		ASSERT(vma->start >= addr && vma->start < vma->end);
		ASSERT(vma_has_runs(vma));
		ASSERT((vma->bo != NULL) + (vma->userptr != NULL) + vma->null == 1);
		if (vma->bo && bo_wants_vram(vma->bo) && vma_of_bo(vm, vma->bo) == vma) {
			vram_B += vma->bo->size_B;
		}
		addr = vma->end;
		count++;
	}
	ASSERT(count == vm->index.count && vram_B == vm->vram_B);
	port_rwlock_rdunlock(&vm->lock);
	pt_check(&vm->pt);
}
