/* SPDX-License-Identifier: MIT */
/* The operations of a bind, one by one. Private to src/vm/. */
#ifndef VM_PREPARE_H
#define VM_PREPARE_H

#include "vm/job.h"

/* What is wrong with an operation whatever the VM's state is (-EINVAL), or BIND_OK. */
enum bind_reason bind_check_op(const struct vm *vm, const struct bind_op *op);
/*
 * Is a list that starts now welcome? 0, or -errno and args->reason (and .failed_op): -ENOENT, what
 * bind_check_op() says of any operation, error state. vm.lock held for writing.
 */
int bind_begin(struct vm *vm, struct bind_args *args);

/*
 * Reserves and applies operation @i of @args. 0 or -errno; then the index is as before and the job
 * holds no step of it. vm.lock held for writing.
 */
int bind_prepare_op(struct bind_job *job, const struct bind_args *args, unsigned i);
/*
 * Adds a step that maps a part of a mapping, which is or will be in the index, and reserves for it.
 * @place: where its object is; NULL without one. 0 or -ENOMEM. vm.lock held for writing.
 */
int bind_reserve_map(struct bind_job *job, const struct vma_run *run, struct place *place,
		     struct bind_step **step_out);
/* -EBUSY if the operation touches a mapping that is still being bound (A15), else 0. */
/*
 * May @op be done where it is to be done (bind_op.exact, vm_env.no_mixing)? 0, -EEXIST or -EINVAL.
 * vm.lock held.
 */
int bind_check_place(struct vm *vm, const struct bind_op *op);
int bind_check_busy(struct vm *vm, const struct bind_args *args, const struct bind_op *op);

/* Only UNMAP and UNMAP_BO? Such a list must not fail for want of memory (A24). */
bool bind_only_unmaps(const struct bind_args *args);
/*
 * Carries out a list of unmaps without any memory, synchronously. 0 and the signalled fence, -EINTR
 * and what bind_begin() says, -EBUSY. No lock held.
 */
int bind_unmap_now(struct vm *vm, struct bind_args *args, struct fence **fence_out);

#endif
