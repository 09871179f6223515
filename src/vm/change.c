// SPDX-License-Identifier: MIT
/*
 * Changes of the mapping index that can be taken back.
 *
 * Overview. A change is done record by record: whole records are taken out, a record that is cut
 * at one end is trimmed where it stands, and one that is cut in the middle keeps its first part and
 * gets a new record for its last. Only that new record needs memory, beside the one being mapped.
 * Undoing goes backwards through the three kinds: what was put in goes out, what was taken out goes
 * in, what was trimmed gets its ends back; the index needs no memory for that (index.h).
 *
 * The pages of what is taken out stay referenced until no translation leads to them: by the record
 * itself, or for the part that a trim cut off by the trim.
 *
 * A live record whose entries are out of date is on vm.evicted, by its remove_node. A record that
 * was taken out can become so, too, as long as its object finds it; if it is put back it is listed.
 *
 * Locking: vm.lock (write), by the callers.
 */
#include "vm/change.h"

void change_init(struct vma_change *change)
{
	list_init(&change->inserted);
	list_init(&change->removed);
	change->trims = 0;
}

/* ---- the index and the lists a record is on -------------------------------------------------- */

/* See vma_enliven(). */
static void put_in(struct vm *vm, struct vma_change *change, struct vma *vma,
		   const struct vma *like, const struct place *place)
{
	vma_index_insert(&vm->index, vma);
	vma_enliven(vma, like, place);
	list_add_tail(&change->inserted, &vma->insert_node);
}

static void take_out(struct vm *vm, struct vma_change *change, struct vma *vma)
{
	vma_index_remove(&vm->index, vma);
	vma_retire(vma);
	list_add_tail(&change->removed, &vma->remove_node);
}

void change_remove_locked(struct vm *vm, struct vma_change *change, struct vma *vma)
{
	vma_index_remove(&vm->index, vma);
	vma_retire_locked(vma);
	list_add_tail(&change->removed, &vma->remove_node);
}

/* ---- cutting --------------------------------------------------------------------------------- */

static void set_range(struct vm *vm, struct vma *vma, uint64_t start, uint64_t end)
{
	if (!vma->null) {
		vma->offset += start - vma->start; /* forwards, or back when undone */
	}
	vma_index_trim(&vm->index, vma, start, end);
}

/* Leaves [start, end) of @vma, which goes altogether if nothing of that is live. */
static void trim(struct vm *vm, struct vma_change *change, struct vma *vma, uint64_t start,
		 uint64_t end)
{
	struct vma_trim *t = &change->trim[change->trims++];

	ASSERT(change->trims <= ARRAY_LEN(change->trim));
	*t = (struct vma_trim){
		.vma = vma,
		.start = vma->start,
		.end = vma->end,
		.bo = vma->bo ? bo_get(vma->bo) : NULL,
		.userptr = vma->userptr ? vm_userptr_get(vma->userptr) : NULL,
	};
	set_range(vm, vma, start, end);
	if (!vma_has_runs(vma)) {
		take_out(vm, change, vma);
	}
}

/* A record of its own for [start, vma->end), in no list yet. NULL without memory. */
static struct vma *clone_tail(struct vm *vm, struct vma *vma, uint64_t start)
{
	return vma_index_reserve(&vm->index, 1) ? NULL : vma_clone(vma, start, vma->end);
}

/* Takes [start, end) out of a record that overlaps it. 0 or -ENOMEM, never that with @punch. */
static int cut(struct vm *vm, struct vma_change *change, struct vma *vma, uint64_t start,
	       uint64_t end, bool punch)
{
	bool head = vma->start < start, rest = end < vma->end;
	struct vma *tail = NULL;

	if (head && rest) {
		tail = clone_tail(vm, vma, end);
		if (!tail && !punch) {
			return -ENOMEM;
		}
		if (!tail) {
			vma_punch(vma, start, end);
			if (!vma_has_runs(vma)) {
				take_out(vm, change, vma);
			}
			return 0;
		}
	}
	if (head) {
		trim(vm, change, vma, vma->start, start);
	} else if (rest) {
		trim(vm, change, vma, end, vma->end);
	} else {
		take_out(vm, change, vma);
	}
	if (tail && vma_has_runs(tail)) {
		put_in(vm, change, tail, vma, NULL);
	} else if (tail) {
		vma_destroy(tail);
	}
	return 0;
}

/*
 * Every record that overlaps is cut, a hole's too: so what is left of a holey mapping becomes
 * records again (P2).
 */
static int clear_way(struct vm *vm, struct vma_change *change, uint64_t start, uint64_t end,
		     bool punch, bool *any_out)
{
	struct vma *vma = vma_index_find(&vm->index, start);

	vma_pool_trim(&vm->pool);
	*any_out = false;
	while (vma && vma->start < end) {
		uint64_t next = vma->end; /* taken before the record may go */
		int ret = cut(vm, change, vma, start, end, punch);

		if (ret) {
			return ret;
		}
		*any_out = true;
		vma = next < end ? vma_index_find(&vm->index, next) : NULL;
	}
	return 0;
}

int change_map(struct vm *vm, struct vma_change *change, struct vma *vma,
	       const struct place *place, bool *replaced_out)
{
	int ret = vma_index_reserve(&vm->index, 2);

	port_rwlock_assert_write(&vm->lock);
	if (!ret) {
		ret = clear_way(vm, change, vma->start, vma->end, false, replaced_out);
	}
	if (!ret) {
		put_in(vm, change, vma, NULL, place);
	}
	return ret;
}

int change_unmap(struct vm *vm, struct vma_change *change, uint64_t start, uint64_t end,
		 bool punch)
{
	bool any;

	port_rwlock_assert_write(&vm->lock);
	return clear_way(vm, change, start, end, punch, &any);
}

/* ---- undone, or standing --------------------------------------------------------------------- */

void change_undo(struct vm *vm, struct vma_change *change)
{
	port_rwlock_assert_write(&vm->lock);
	list_for_each_safe(vma, &change->inserted, struct vma, insert_node) {
		list_del(&vma->insert_node);
		vma_index_remove(&vm->index, vma);
		vma_retire(vma);
		vma_destroy(vma);
	}
	list_for_each_safe(vma, &change->removed, struct vma, remove_node) {
		list_del(&vma->remove_node);
		vma_index_insert(&vm->index, vma);
		vma_enliven(vma, NULL, NULL);
	}
	for (unsigned i = change->trims; i-- > 0;) {
		struct vma_trim *t = &change->trim[i];

		set_range(vm, t->vma, t->start, t->end);
	}
	change_fini(change);
}

void change_stand(struct vma_change *change, struct list *removed, bool drop_ufence)
{
	while (!list_empty(&change->inserted)) {
		struct vma *vma = list_first(&change->inserted, struct vma, insert_node);

		vma_set_pages(vma, VMA_MAPPED);
		list_del(&vma->insert_node);
		if (drop_ufence) {
			ufence_put(vma->ufence);
			vma->ufence = NULL;
		}
	}
	list_splice_tail(removed, &change->removed);
}

void change_fini(struct vma_change *change)
{
	for (unsigned i = 0; i < change->trims; i++) {
		bo_put(change->trim[i].bo);
		if (change->trim[i].userptr) {
			vm_userptr_put(change->trim[i].userptr);
		}
	}
	change->trims = 0;
}
