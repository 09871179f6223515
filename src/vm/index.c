// SPDX-License-Identifier: MIT
/*
 * The mapping index: a treap of records by address.
 *
 * The tree is intrusive and no operation on it allocates, so that taking a mapping out, or putting
 * it back when a bind is unwound, cannot fail. Priorities come from a counter, hashed: the shape
 * depends on nothing outside the index.
 */
#include "vm/vma.h"

static uint64_t hash64(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9u;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

/* ---- the tree ------------------------------------------------------------------------------- */

/* Cuts @tree into what starts below @addr and the rest. */
static void tree_split(struct vma *tree, uint64_t addr, struct vma **below, struct vma **rest)
{
	while (tree) {
		if (tree->start < addr) {
			*below = tree;
			below = &tree->right;
			tree = tree->right;
		} else {
			*rest = tree;
			rest = &tree->left;
			tree = tree->left;
		}
	}
	*below = NULL;
	*rest = NULL;
}

/* Joins two trees, all of @below before all of @rest. */
static struct vma *tree_join(struct vma *below, struct vma *rest)
{
	struct vma *root = NULL, **link = &root;

	while (below && rest) {
		if (below->priority > rest->priority) {
			*link = below;
			link = &below->right;
			below = below->right;
		} else {
			*link = rest;
			link = &rest->left;
			rest = rest->left;
		}
	}
	*link = below ? below : rest;
	return root;
}

void vma_index_init(struct vma_index *index)
{
	*index = (struct vma_index){ 0 };
}

void vma_index_fini(struct vma_index *index)
{
	ASSERT(!index->root && index->count == 0);
}

int vma_index_reserve(struct vma_index *index, unsigned inserts)
{
	return 0;
}

void vma_index_settle(struct vma_index *index)
{
}

void vma_index_insert(struct vma_index *index, struct vma *vma)
{
	struct vma **link = &index->root;

	ASSERT(!vma->left && !vma->right);
	vma->priority = hash64(++index->serial);
	while (*link && (*link)->priority >= vma->priority) {
		ASSERT(!range_overlaps((*link)->start, (*link)->end, vma->start, vma->end));
		link = vma->start < (*link)->start ? &(*link)->left : &(*link)->right;
	}
	tree_split(*link, vma->start, &vma->left, &vma->right);
	*link = vma;
	index->count++;
}

void vma_index_remove(struct vma_index *index, struct vma *vma)
{
	struct vma **link = &index->root;

	while (*link != vma) {
		ASSERT(*link);
		link = vma->start < (*link)->start ? &(*link)->left : &(*link)->right;
	}
	*link = tree_join(vma->left, vma->right);
	vma->left = NULL;
	vma->right = NULL;
	index->count--;
}

void vma_index_trim(struct vma_index *index, struct vma *vma, uint64_t start, uint64_t end)
{
	vma->start = start;
	vma->end = end;
}

struct vma *vma_index_first(const struct vma_index *index, uint64_t addr)
{
	struct vma *found = NULL;

	for (struct vma *vma = index->root; vma;) {
		if (vma->end > addr) {
			found = vma;
			vma = vma->left;
		} else {
			vma = vma->right;
		}
	}
	return found;
}
