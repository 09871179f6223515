/* SPDX-License-Identifier: MIT */
/* Moves of objects, and what makes room for them and for page tables. Private to src/vm/. */
#ifndef VM_MOVE_H
#define VM_MOVE_H

#include "vm/vma.h"

/*
 * Moves @bo to @to, whose reference and frames it takes over, as a job behind all its users and
 * all binds and moves of it that are published; NULL: clears it where it is. Whoever maps it has
 * to write its entries anew before it runs again. *fence_out gets a reference to the job's fence,
 * which is on the object as KERNEL; the old frames are free when it signals. 0 or -ENOMEM (nothing
 * was done; @to is the caller's still). The reservation of @bo is held, and it is backed.
 */
int bo_move_locked(struct vm_env *env, struct bo *bo, struct place *to, struct fence **fence_out);

/* Has it been given frames that must be cleared, or the like, before it is used? As above. */
int bo_clear_locked(struct vm_env *env, struct bo *bo);

#define BO_USERS_FEW 8

/* Fences that must signal before an object can be taken away (P1), a reference each. */
struct bo_users {
	struct fence **fence; /* .few, or owned */
	unsigned count;
	struct fence *few[BO_USERS_FEW];
};
/* Those of @bo now. 0 or -ENOMEM (then there is nothing to put). Its reservation is held. */
int bo_take_users(struct bo *bo, struct bo_users *users);
void bo_put_users(struct bo_users *users);

/*
 * Frames for @bo, at the cost of objects in VRAM that were not used for longest, if need be (what
 * @vm needs to run stays). 0, -ENOSPC, -ENOMEM, or -EINTR (only with PORT_WAIT_INTERRUPTIBLE in
 * @flags). vm.lock held for writing; env.evict_lock is taken.
 */
int vm_back(struct vm *vm, struct bo *bo, unsigned flags, struct place **place_out);
/* Brings @bo, which is backed, to VRAM, likewise. env.evict_lock is held. */
int vm_fetch(struct vm *vm, struct bo *bo, unsigned flags);
/* Brings it to @region, likewise, if it may be there. env.evict_lock is taken. */
int vm_prefetch(struct vm *vm, struct bo *bo, enum mem_region region, unsigned flags);

/*
 * Takes the frames of up to @max_tables page tables of @vm away, when its submissions have ended.
 * Returns how many it took. env.evict_lock held; not under the VM's own reservations.
 */
uint64_t vm_evict_tables(struct vm *vm, uint64_t max_tables);
/*
 * Where no frame is left for a page table: takes those of other VMs, the least recently used first.
 * False: there were none to take, or there are frames. env.evict_lock held.
 */
bool vm_make_frames(struct vm *vm);
/* Its tables have frames again. 0 or -ENOMEM. vm.lock (write) and env.evict_lock held. */
int vm_restore_tables(struct vm *vm);

#endif
