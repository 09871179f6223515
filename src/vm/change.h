/* SPDX-License-Identifier: MIT */
/*
 * Changes of the mapping index, with a record of what was changed, so that a bind whose later
 * operations fail can be taken back. Private to src/vm/.
 *
 * A change belongs to one operation. A map or an unmap touches any number of whole records and cuts
 * at most two: the one its start lies in and the one its end lies in. Those are trimmed in place.
 *
 * Locking: vm.lock held for writing; an object's reservation is taken for its list of mappings.
 */
#ifndef VM_CHANGE_H
#define VM_CHANGE_H

#include "vm/vma.h"

/* A record that was cut, as it was, and the pages that its lost part may still be translated to. */
struct vma_trim {
	struct vma *vma;            /* valid until the change stands */
	uint64_t start, end;        /* before */
	struct bo *bo;              /* a reference; NULL for the other kinds */
	struct vm_userptr *userptr; /* likewise */
};

struct vma_change {
	struct list inserted; /* struct vma.insert_node */
	struct list removed;  /* struct vma.remove_node */
	struct vma_trim trim[2];
	unsigned trims;
};

void change_init(struct vma_change *change);
/*
 * Puts @vma in, over whatever is there; takes it over on success. @place: what its entries will be
 * written for (NULL without an object). *@replaced_out: something was there. 0 or -ENOMEM: take
 * what was done back with change_undo().
 */
int change_map(struct vm *vm, struct vma_change *change, struct vma *vma,
	       const struct place *place, bool *replaced_out);
/*
 * Unmaps [start, end). With @punch it cannot fail: where a record for a kept part cannot be had,
 * the part that goes is marked in the hole map (P2), which change_undo() does not take back. Else
 * 0 or -ENOMEM, as above.
 */
int change_unmap(struct vm *vm, struct vma_change *change, uint64_t start, uint64_t end,
		 bool punch);
/* Takes a whole live record out. Its object's reservation is held. */
void change_remove_locked(struct vm *vm, struct vma_change *change, struct vma *vma);
/* The index is what it was before the change. */
void change_undo(struct vm *vm, struct vma_change *change);
/*
 * The change stands. What was taken out goes to @removed, for the job's cleanup; what was put in
 * loses the bind's user fence if the bind was cut short (@drop_ufence).
 */
void change_stand(struct vma_change *change, struct list *removed, bool drop_ufence);
/* Lets go of the pages of trimmed records; idempotent. Without vm.lock. */
void change_fini(struct vma_change *change);

#endif
