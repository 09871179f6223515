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

#define USERS_FEW 8

unsigned bo_collect_users(struct bo *bo, struct fence **fences, unsigned cap)
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

struct fence *vm_bo_users(struct bo *bo)
{
	struct fence *few[USERS_FEW], **fences = few, *all;
	unsigned cap = USERS_FEW, n;

	for (;;) {
		resv_lock(&bo->resv);
		n = bo_collect_users(bo, fences, cap);
		resv_unlock(&bo->resv);
		if (n <= cap) {
			break;
		}
		if (fences != few) {
			port_free(fences);
		}
		cap = n;
		fences = port_alloc(cap * sizeof(struct fence *));
		if (!fences) {
			return NULL;
		}
	}
	all = fence_all(bo->mem->sync, fences, n);
	for (unsigned i = 0; i < n; i++) {
		fence_put(fences[i]);
	}
	if (fences != few) {
		port_free(fences);
	}
	return all;
}
