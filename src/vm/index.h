/* SPDX-License-Identifier: MIT */
/*
 * The mapping index: records by address, which do not overlap. Private to src/vm/ and its tests.
 *
 * Changes come in transactions: reserve, then any mix of inserts, removals, trims, lookups, then
 * settle. Between reserve and settle nothing allocates and nothing fails; a record that was removed
 * since the last settle can be put back without a reservation, so that undoing needs no memory.
 *
 * Locking: none of its own; the owner's (vm.lock: write for changes, read for lookups).
 */
#ifndef VM_INDEX_H
#define VM_INDEX_H

#include <stdint.h>

struct vma;

struct vma_index {
	struct vma *root;
	uint64_t count;  /* records */
	uint64_t serial; /* shapes the tree */
};

void vma_index_init(struct vma_index *index);
/* It is empty. */
void vma_index_fini(struct vma_index *index);

/* Makes room for @inserts insertions until the next settle. 0 or -ENOMEM (nothing changed). */
int vma_index_reserve(struct vma_index *index, unsigned inserts);
/* Nothing overlaps @vma. Reserved, or @vma was removed since the last settle. */
void vma_index_insert(struct vma_index *index, struct vma *vma);
void vma_index_remove(struct vma_index *index, struct vma *vma);
/* Moves the ends of a record that is in the index; its neighbours stay its neighbours. */
void vma_index_trim(struct vma_index *index, struct vma *vma, uint64_t start, uint64_t end);
/* Ends a transaction. */
void vma_index_settle(struct vma_index *index);

/* The first record that ends above @addr; NULL at the end. */
struct vma *vma_index_first(const struct vma_index *index, uint64_t addr);

#endif
