/* SPDX-License-Identifier: MIT */
/*
 * The mapping index: records by address, which do not overlap. Private to src/vm/ and its tests.
 *
 * Changes come in transactions: reserve, then any mix of inserts, removals, trims, lookups, then
 * settle. Between reserve and settle nothing allocates and nothing fails; a record that was removed
 * since the last settle can be put back without a reservation, so that undoing needs no memory.
 *
 * Undoing means: in reverse, each change by its opposite. What follows it is a settle.
 *
 * Locking: none of its own; the owner's (vm.lock: write for changes, read for lookups).
 */
#ifndef VM_INDEX_H
#define VM_INDEX_H

#include <stdbool.h>
#include <stdint.h>

struct index_inner;
struct index_leaf;
struct vma;

struct vma_index {
	void *root;                       /* a leaf when .height is 0; NULL: empty */
	struct index_leaf *finger;        /* where a writer was last; may be NULL */
	unsigned finger_slot;             /* and in the leaf: at most the number of slots */
	uint64_t count;                   /* records */
	unsigned height;                  /* levels of inner nodes */
	uint64_t leaf_count, inner_count; /* nodes in the tree */

	/* of this transaction */
	uint64_t promised;                /* insertions reserved and not yet made */
	uint64_t straddlers;              /* records over a boundary of leaves */
	uint64_t settled;                 /* .count when it began */
	uint64_t epoch;                   /* of the leaves' .skip */
	struct index_leaf *touched;       /* leaves that settling looks at */
	bool unsettled;                   /* settling has nodes to look at */

	struct index_leaf *spare_leaf;    /* set aside for insertions */
	struct index_inner *spare_inner;
	uint64_t spare_leaves, spare_inners;
	uint64_t room;                    /* they are enough for so many splits */
};

/* The halves of reserving and settling that are rarely needed. */
int vma_index_reserve_nodes(struct vma_index *index, unsigned inserts);
void vma_index_settle_nodes(struct vma_index *index);

void vma_index_init(struct vma_index *index);
/* It is empty. */
void vma_index_fini(struct vma_index *index);

/* Makes room for @inserts more insertions until the next settle. 0 or -ENOMEM (nothing changed). */
static inline int vma_index_reserve(struct vma_index *index, unsigned inserts)
{
	index->promised += inserts;
	return 2 * index->promised + index->straddlers <= index->room
		       ? 0 : vma_index_reserve_nodes(index, inserts);
}

/* Nothing overlaps @vma. Reserved, or @vma was removed since the last settle. */
void vma_index_insert(struct vma_index *index, struct vma *vma);
void vma_index_remove(struct vma_index *index, struct vma *vma);
/*
 * Moves the ends of a record that is in the index: inwards, or back to where they were before a
 * trim of this transaction. Its neighbours stay its neighbours.
 */
void vma_index_trim(struct vma_index *index, struct vma *vma, uint64_t start, uint64_t end);
/* Ends a transaction; whoever changed anything does so before the lock goes. */
static inline void vma_index_settle(struct vma_index *index)
{
	index->promised = 0;
	index->straddlers = 0;
	index->settled = index->count;
	if (index->unsettled) {
		vma_index_settle_nodes(index);
	}
}

/* The first record that ends above @addr; NULL at the end. */
struct vma *vma_index_first(const struct vma_index *index, uint64_t addr);
/* The same for who has the lock for writing: what it does there next need not search. */
struct vma *vma_index_find(struct vma_index *index, uint64_t addr);

/* A place in the index; good until the next change. */
struct vma_cursor {
	struct index_leaf *leaf;
	unsigned slot;
};
/* vma_index_first(), and the records after it, each in constant time. NULL at the end. */
struct vma *vma_index_seek(const struct vma_index *index, uint64_t addr,
			   struct vma_cursor *cursor_out);
struct vma *vma_index_step(const struct vma_index *index, struct vma_cursor *cursor);

/* Asserts the shape of the whole tree, inside a transaction too. */
void vma_index_check(const struct vma_index *index);

#endif
