// SPDX-License-Identifier: MIT
/*
 * Who uses an object (P1, B13).
 *
 * Overview. A submission leaves its fence in one place, whatever the VM maps: its slot of the VM's
 * active set. In a long-running VM the slot holds a fence that says when the queue is off its
 * engines, so that what comes out is a dma fence in any case. Binds that are unfinished have left
 * theirs on the object itself. So who is to take an object's memory away collects the object's own
 * fences and the slots of every VM that maps it. An object's list of mappings says which these are;
 * a mapping that was taken out stays on it until its entries and translations are gone. What
 * clients ask about an object (dma-buf, poll) are its own fences up to READ, where no submission
 * ever appears (B18).
 *
 * Locking: the object's reservation, around vm.active.
 */
#include "vm/move.h"

/* References to all of them; above @cap none, come again with more room. */
static unsigned collect(struct bo *bo, struct fence **fences, unsigned cap)
{
	unsigned n = resv_collect(&bo->resv, RESV_BOOKKEEP, fences, cap), got = n <= cap ? n : 0;
	const struct vm *last = NULL;

	list_for_each(vma, &bo->mappings, struct vma, bo_node) {
		unsigned room = cap - got, more;

		if (vma->vm == last) {
			continue; /* a VM's mappings are mostly next to one another */
		}
		last = vma->vm;
		more = active_collect(last->active, fences + got, room);
		n += more;
		got += more <= room ? more : 0;
	}
	for (unsigned i = 0; n > cap && i < got; i++) {
		fence_put(fences[i]);
	}
	return n;
}

int bo_take_users(struct bo *bo, struct bo_users *users)
{
	unsigned cap = BO_USERS_FEW, n;

	port_assert_list(&bo->resv.lock, "mappings", bo->id);
	users->fence = users->few;
	/* More may come in between, from VMs whose mappings are on their way out. */
	while ((n = collect(bo, users->fence, cap)) > cap) {
		if (users->fence != users->few) {
			port_free(users->fence);
		}
		cap = n;
		users->fence = port_alloc(cap * sizeof(struct fence *));
		if (!users->fence) {
			return -ENOMEM;
		}
	}
	users->count = n;
	return 0;
}

void bo_put_users(struct bo_users *users)
{
	for (unsigned i = 0; i < users->count; i++) {
		fence_put(users->fence[i]);
	}
	if (users->fence != users->few) {
		port_free(users->fence);
	}
}

struct fence *vm_bo_users(struct bo *bo)
{
	struct bo_users users;
	struct fence *all;
	int ret;

	resv_lock(&bo->resv);
	ret = bo_take_users(bo, &users);
	resv_unlock(&bo->resv);
	if (ret) {
		return NULL;
	}
	all = fence_all(bo->mem->sync, users.fence, users.count);
	bo_put_users(&users);
	return all;
}

bool vm_bo_is_lr(struct bo *bo)
{
	bool found = false;

	resv_lock(&bo->resv);
	list_for_each(vma, &bo->mappings, struct vma, bo_node) {
		found = found || (vma->live && vm_is_lr(vma->vm));
	}
	resv_unlock(&bo->resv);
	return found;
}
