// SPDX-License-Identifier: MIT
/*
 * The mapping index: a B+tree of records by the address where they end.
 *
 * Overview. A leaf holds up to 31 records with their ends beside them; it covers (lo, hi], and a
 * record is in the leaf that covers its end. Inner nodes hold up to 64 children and the boundaries
 * between them. Unused keys are the largest number, so that a search always looks at the whole
 * node: five or six steps without a branch. Leaves are linked in order.
 *
 * Keys are ends and not starts because a lookup asks for the first record that ends above an
 * address: it then never has to look back.
 *
 * Transactions. Until the next settle a boundary never moves and a leaf never goes away; leaves are
 * only split. So when changes are undone in reverse, at each step every leaf holds a part of what
 * one leaf held then: there is room. Leaves that became empty are skipped, in amortised constant
 * time, and taken out by settling. Nodes are never merged otherwise.
 *
 * A record that is put over removed ones may reach over boundaries (it *straddles*). Moving its end
 * below such a boundary takes it to another leaf, which may have to be split for it; a reservation
 * counts on that, once per insertion. Settling lowers the boundary to where the record starts, so
 * that no record straddles when a transaction begins.
 *
 * Changes come in clusters: a lookup before a change, a trim before an insertion. So the index
 * remembers where a writer was last (the *finger*: leaf and slot), and whoever has the lock for
 * writing looks there first. It is only a hint: the slot is checked against the keys.
 *
 * A full leaf is split in the middle, but at the place of the insertion when records come in order,
 * so that what is filled in order is full.
 *
 * Locking: the owner's.
 *
 *	ret = vma_index_reserve(&index, 1);
 *	if (!ret) vma_index_insert(&index, vma);
 *	vma_index_settle(&index);
 */
#include "vm/vma.h"

#if defined(__GNUC__) && !defined(__clang__)
/* Would make a branch of the last step of a search. */
#pragma GCC optimize("no-split-paths")
#endif

#define LEAF_MAX 31u
#define INNER_MAX 64u
#define LEVELS_MAX 16u
#define LINE_B 64u
#define NO_KEY UINT64_MAX
/* So many insertions next to one another are a run. */
#define RUN 8
/* Spare nodes for so many insertions are kept between transactions. */
#define KEEP 4u
#define RARE __attribute__((noinline)) /* kept out of its callers, which are short without it */

struct index_entry {
	uint64_t end;
	struct vma *vma;
};

struct index_leaf {
	uint64_t lo, hi;          /* covers (lo, hi] */
	struct index_leaf *prev, *next;
	struct index_leaf *link;  /* index.touched, or index.spare_leaf */
	struct index_leaf *skip;  /* when empty: no record before this leaf ... */
	uint64_t epoch;           /* ... if this is still index.epoch */
	uint8_t count;
	uint8_t last;             /* slot of the last insertion */
	int8_t run;               /* insertions each after (> 0) or before (< 0) the one before */
	bool touched;
	uint8_t shift;            /* from what was allocated to the next cache line */
	struct index_entry entry[LEAF_MAX + 1]; /* ascending; unused and last: NO_KEY */
};

struct index_inner {
	uint64_t key[INNER_MAX - 1]; /* child[i] covers (key[i - 1], key[i]]; unused: NO_KEY */
	uint8_t count;               /* children */
	uint8_t shift;
	void *child[INNER_MAX];      /* child[0] links spare nodes */
};

_Static_assert(offsetof(struct index_leaf, entry) == LINE_B, "keys begin on a line");
_Static_assert(offsetof(struct index_inner, key) == 0 && sizeof(void *) == sizeof(uint64_t),
	       "children and keys are in step");

/* The way to a leaf: node[0] is its parent, node[height - 1] the root. */
struct path {
	struct index_inner *node[LEVELS_MAX];
	unsigned slot[LEVELS_MAX];
};

/* ---- nodes ---------------------------------------------------------------------------------- */

/* Nodes begin on a cache line; *shift_out is what node_free() needs. */
static void *node_alloc(size_t size_B, uint8_t *shift_out)
{
	char *raw = port_alloc(size_B + LINE_B - 16);

	if (!raw) {
		return NULL;
	}
	*shift_out = (uint8_t)(-(uintptr_t)raw & (LINE_B - 1));
	ASSERT(*shift_out <= LINE_B - 16);
	return raw + *shift_out;
}

static bool spare_leaf_add(struct vma_index *index)
{
	uint8_t shift;
	struct index_leaf *leaf = node_alloc(sizeof(*leaf), &shift);

	if (!leaf) {
		return false;
	}
	leaf->shift = shift;
	leaf->link = index->spare_leaf;
	index->spare_leaf = leaf;
	index->spare_leaves++;
	return true;
}

static bool spare_inner_add(struct vma_index *index)
{
	uint8_t shift;
	struct index_inner *inner = node_alloc(sizeof(*inner), &shift);

	if (!inner) {
		return false;
	}
	inner->shift = shift;
	inner->child[0] = index->spare_inner;
	index->spare_inner = inner;
	index->spare_inners++;
	return true;
}

/* Frees spare nodes until no more than so many are left. */
static void spares_limit(struct vma_index *index, uint64_t leaves, uint64_t inners)
{
	while (index->spare_leaves > leaves) {
		struct index_leaf *leaf = index->spare_leaf;

		index->spare_leaf = leaf->link;
		index->spare_leaves--;
		port_free((char *)leaf - leaf->shift);
	}
	while (index->spare_inners > inners) {
		struct index_inner *inner = index->spare_inner;

		index->spare_inner = inner->child[0];
		index->spare_inners--;
		port_free((char *)inner - inner->shift);
	}
}

static void leaf_clear(struct index_leaf *leaf, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		leaf->entry[i].end = NO_KEY;
	}
}

/* Empty, but its entries are to be set. */
static struct index_leaf *leaf_take(struct vma_index *index)
{
	struct index_leaf *leaf = index->spare_leaf;

	ASSERT(leaf); /* more insertions than were reserved */
	index->spare_leaf = leaf->link;
	index->spare_leaves--;
	index->leaf_count++;
	index->room = 0;
	leaf->link = NULL;
	leaf->epoch = 0;
	leaf->count = 0;
	leaf->last = 0;
	leaf->run = 0;
	return leaf;
}

static void leaf_give(struct vma_index *index, struct index_leaf *leaf)
{
	leaf->link = index->spare_leaf;
	index->spare_leaf = leaf;
	index->spare_leaves++;
	index->leaf_count--;
}

static struct index_inner *inner_take(struct vma_index *index)
{
	struct index_inner *inner = index->spare_inner;

	ASSERT(inner); /* more insertions than were reserved */
	index->spare_inner = inner->child[0];
	index->spare_inners--;
	index->inner_count++;
	inner->count = 0;
	memset(inner->key, 0xff, sizeof(inner->key));
	return inner;
}

static void inner_give(struct vma_index *index, struct index_inner *inner)
{
	inner->child[0] = index->spare_inner;
	index->spare_inner = inner;
	index->spare_inners++;
	index->inner_count--;
}

/* ---- search --------------------------------------------------------------------------------- */

/* The compiler is to forget where a pointer comes from. */
#define HIDE(at) __asm__("" : "+r"(at))

/*
 * One step of a search among 2 * @n - 1 keys. Which way it goes cannot be foreseen, so it must not
 * be a branch: the compiler, which thinks otherwise, is not told where the upper half comes from.
 */
#define STEP(at, n, key, addr)                                                                     \
	do {                                                                                       \
		__typeof__(at) upper_ = (at) + (n);                                                \
		HIDE(upper_);                                                                      \
		(at) = (at)[(n) - 1] key <= (addr) ? upper_ : (at);                                \
	} while (0)

/* The first boundary above @addr, or what is where the last one would be. */
static inline const uint64_t *inner_key(const struct index_inner *inner, uint64_t addr)
{
	const uint64_t *at = inner->key;

	STEP(at, 32, , addr);
	STEP(at, 16, , addr);
	STEP(at, 8, , addr);
	STEP(at, 4, , addr);
	STEP(at, 2, , addr);
	STEP(at, 1, , addr);
	return at;
}

/* The first record that ends above @addr, or an entry with NO_KEY. */
static inline const struct index_entry *leaf_entry(const struct index_leaf *leaf, uint64_t addr)
{
	const struct index_entry *at = leaf->entry;

	HIDE(at);
	STEP(at, 16, .end, addr);
	STEP(at, 8, .end, addr);
	STEP(at, 4, .end, addr);
	STEP(at, 2, .end, addr);
	STEP(at, 1, .end, addr);
	HIDE(at);
	return at;
}

static inline unsigned leaf_slot(const struct index_leaf *leaf, uint64_t addr)
{
	return (unsigned)(leaf_entry(leaf, addr) - leaf->entry);
}

/* A child is as far from its key as the first of each. */
static inline void *child_at(const uint64_t *key)
{
	return *(void *const *)((const char *)key + offsetof(struct index_inner, child));
}

/* The leaf that covers @addr + 1. The tree has a root and @addr is no NO_KEY. */
static inline struct index_leaf *leaf_find(const struct vma_index *index, uint64_t addr)
{
	const struct index_inner *root = index->root;
	unsigned level = index->height;
	void *node = index->root;

	/* The root may have few children, which are sooner found one by one. */
	if (level && root->count <= 4) {
		const uint64_t *key = root->key;

		node = child_at(key + (key[0] <= addr) + (key[1] <= addr) + (key[2] <= addr));
		level--;
	}
	for (; level; level--) {
		node = child_at(inner_key(node, addr));
	}
	/* The search would wait for one line after the other; they are fetched in pairs. */
	__builtin_prefetch((char *)node + 2 * LINE_B);
	__builtin_prefetch((char *)node + 4 * LINE_B);
	__builtin_prefetch((char *)node + 6 * LINE_B);
	return node;
}

/* Where a writer was last, if that is it, or NULL: changes come in clusters. */
static inline struct index_leaf *finger_covers(const struct vma_index *index, uint64_t addr)
{
	struct index_leaf *finger = index->finger;

	return finger && addr - finger->lo < finger->hi - finger->lo ? finger : NULL;
}

static inline struct index_leaf *leaf_find_near(const struct vma_index *index, uint64_t addr)
{
	struct index_leaf *finger = finger_covers(index, addr);

	return finger ? finger : leaf_find(index, addr);
}

/* leaf_slot(), but tries the slot where a writer was last and the one after it. */
static inline unsigned leaf_slot_near(const struct vma_index *index, const struct index_leaf *leaf,
				      uint64_t addr)
{
	unsigned slot = index->finger_slot;

	if (leaf != index->finger) {
		return leaf_slot(leaf, addr);
	}
	slot += leaf->entry[slot].end <= addr; /* the last one, unused, never is */
	if (leaf->entry[slot].end > addr && (slot == 0 || leaf->entry[slot - 1].end <= addr)) {
		return slot;
	}
	return leaf_slot(leaf, addr);
}

static inline void finger_set(struct vma_index *index, struct index_leaf *leaf, unsigned slot)
{
	index->finger = leaf;
	index->finger_slot = slot;
}

static void path_find(const struct vma_index *index, uint64_t addr, struct path *path)
{
	void *node = index->root;

	for (unsigned level = index->height; level-- > 0;) {
		struct index_inner *inner = node;

		path->node[level] = inner;
		path->slot[level] = (unsigned)(inner_key(inner, addr) - inner->key);
		node = inner->child[path->slot[level]];
	}
}

static struct index_leaf *leaf_skip(const struct vma_index *index, const struct index_leaf *leaf)
{
	return leaf->epoch == index->epoch ? leaf->skip : leaf->next;
}

/* The first leaf with records from @leaf on. Only inside a transaction are there empty ones. */
static struct index_leaf *leaf_live(const struct vma_index *index, struct index_leaf *leaf)
{
	struct index_leaf *live = leaf, *next;

	while (live && !live->count) {
		live = leaf_skip(index, live);
	}
	for (; leaf != live; leaf = next) {
		next = leaf_skip(index, leaf);
		leaf->skip = live;
		leaf->epoch = index->epoch;
	}
	return live;
}

/* What is at @slot of @leaf, or if there is nothing the first record after it. */
static inline struct vma *leaf_at(const struct vma_index *index, const struct index_leaf *leaf,
				  unsigned slot)
{
	if (__builtin_expect(slot < leaf->count, 1)) {
		return leaf->entry[slot].vma;
	}
	leaf = leaf_live(index, leaf->next);
	return leaf ? leaf->entry[0].vma : NULL;
}

struct vma *vma_index_first(const struct vma_index *index, uint64_t addr)
{
	const struct index_entry *entry;
	const struct index_leaf *leaf;

	if (!index->root || addr == NO_KEY) {
		return NULL;
	}
	leaf = leaf_find(index, addr);
	entry = leaf_entry(leaf, addr);
	return __builtin_expect(entry->end != NO_KEY, 1) ? entry->vma
							 : leaf_at(index, leaf, leaf->count);
}

struct vma *vma_index_find(struct vma_index *index, uint64_t addr)
{
	struct index_leaf *leaf;
	unsigned slot;

	if (!index->root || addr == NO_KEY) {
		return NULL;
	}
	leaf = leaf_find_near(index, addr);
	slot = leaf_slot_near(index, leaf, addr);
	finger_set(index, leaf, slot);
	return leaf_at(index, leaf, slot);
}

struct vma *vma_index_seek(const struct vma_index *index, uint64_t addr,
			   struct vma_cursor *cursor_out)
{
	*cursor_out = (struct vma_cursor){ 0 };
	if (!index->root || addr == NO_KEY) {
		return NULL;
	}
	cursor_out->leaf = leaf_find_near(index, addr);
	cursor_out->slot = leaf_slot_near(index, cursor_out->leaf, addr) - 1u; /* before it */
	return vma_index_step(index, cursor_out);
}

struct vma *vma_index_step(const struct vma_index *index, struct vma_cursor *cursor)
{
	if (!cursor->leaf) {
		return NULL;
	}
	if (++cursor->slot >= cursor->leaf->count) {
		cursor->leaf = leaf_live(index, cursor->leaf->next);
		cursor->slot = 0;
	}
	return cursor->leaf ? cursor->leaf->entry[cursor->slot].vma : NULL;
}

/* ---- reservation ---------------------------------------------------------------------------- */

void vma_index_init(struct vma_index *index)
{
	*index = (struct vma_index){ .epoch = 1 };
}

void vma_index_fini(struct vma_index *index)
{
	ASSERT(index->count == 0 && !index->touched);
	spares_limit(index, 0, 0);
	ASSERT(!index->root && index->leaf_count == 0 && index->inner_count == 0);
}

/*
 * The most nodes that @inserts insertions can need. Each splits at most one leaf, and that at most
 * one node a level. Many cannot split each time: a full node can be split at most three times
 * before its parts have to be filled again, by eight insertions or more.
 */
static void worst_case(const struct vma_index *index, uint64_t inserts, uint64_t *leaves_out,
		       uint64_t *inners_out)
{
	uint64_t most = max_u64(index->count, index->settled), splits, inners;

	*leaves_out = 0;
	*inners_out = 0;
	if (!inserts) {
		return;
	}
	if (index->height == 0 && most + inserts <= LEAF_MAX) {
		*leaves_out = !index->root;
		return;
	}
	splits = min_u64(inserts, 4 * index->leaf_count + inserts / 4 + 4);
	inners = min_u64(splits * index->height,
			 4 * index->inner_count + index->height * (splits / 4 + 4));
	*leaves_out = splits + !index->root;
	*inners_out = inners + 1 + splits / 16; /* a new root, and what it grows to */
}

int vma_index_reserve_nodes(struct vma_index *index, unsigned inserts)
{
	uint64_t had_leaves = index->spare_leaves, had_inners = index->spare_inners, leaves, inners;
	uint64_t room = 2 * index->promised + index->straddlers;

	worst_case(index, room, &leaves, &inners);
	while (index->spare_leaves < leaves || index->spare_inners < inners) {
		if (!(index->spare_leaves < leaves ? spare_leaf_add(index)
						   : spare_inner_add(index))) {
			spares_limit(index, had_leaves, had_inners);
			index->promised -= inserts;
			return -ENOMEM;
		}
	}
	/* What has room in the only leaf has it only until that is full. */
	index->room = leaves ? room : 0;
	index->unsettled = true;
	return 0;
}

/* ---- splits --------------------------------------------------------------------------------- */

/* Puts @child, which begins above @key, right of child @slot of a node that has room. */
static void inner_put(struct index_inner *inner, unsigned slot, uint64_t key, void *child)
{
	unsigned after = inner->count - slot - 1;

	memmove(&inner->key[slot + 1], &inner->key[slot], after * sizeof(inner->key[0]));
	memmove(&inner->child[slot + 2], &inner->child[slot + 1],
		after * sizeof(inner->child[0]));
	inner->key[slot] = key;
	inner->child[slot + 1] = child;
	inner->count++;
}

/* Moves the children from @cut on to a new node; *key_out is the boundary. */
static struct index_inner *inner_cut(struct vma_index *index, struct index_inner *inner,
				     unsigned cut, uint64_t *key_out)
{
	struct index_inner *right = inner_take(index);

	right->count = (uint8_t)(inner->count - cut);
	memcpy(right->child, &inner->child[cut], right->count * sizeof(right->child[0]));
	memcpy(right->key, &inner->key[cut], (right->count - 1u) * sizeof(right->key[0]));
	*key_out = inner->key[cut - 1];
	memset(&inner->key[cut - 1], 0xff, right->count * sizeof(inner->key[0]));
	inner->count = (uint8_t)cut;
	return right;
}

/* Tells the inner nodes that @child, which begins above @key, is now right of the path's leaf. */
static void path_put(struct vma_index *index, struct path *path, uint64_t key, void *child)
{
	struct index_inner *root;

	for (unsigned level = 0; level < index->height; level++) {
		struct index_inner *inner = path->node[level], *right;
		unsigned slot = path->slot[level], cut = INNER_MAX / 2;
		uint64_t up;

		if (inner->count < INNER_MAX) {
			inner_put(inner, slot, key, child);
			return;
		}
		if (slot == INNER_MAX - 1) { /* what is filled in order stays full */
			right = inner_take(index);
			right->count = 1;
			right->child[0] = child;
			child = right;
			continue; /* above the same boundary */
		}
		if (slot == 0) {
			cut = 1;
		}
		right = inner_cut(index, inner, cut, &up);
		if (slot < cut) {
			inner_put(inner, slot, key, child);
		} else {
			inner_put(right, slot - cut, key, child);
		}
		key = up;
		child = right;
	}
	ASSERT(index->height < LEVELS_MAX);
	root = inner_take(index);
	root->count = 2;
	root->key[0] = key;
	root->child[0] = index->root;
	root->child[1] = child;
	index->root = root;
	index->height++;
}

/* Moves the entries from @cut on to a new leaf right of @leaf, boundary to be set. */
static struct index_leaf *leaf_cut(struct vma_index *index, struct index_leaf *leaf, unsigned cut)
{
	struct index_leaf *right = leaf_take(index);

	right->count = (uint8_t)(leaf->count - cut);
	memcpy(right->entry, &leaf->entry[cut], right->count * sizeof(right->entry[0]));
	leaf_clear(right, right->count, LEAF_MAX + 1);
	leaf_clear(leaf, cut, leaf->count);
	leaf->count = (uint8_t)cut;
	right->prev = leaf;
	right->next = leaf->next;
	leaf->next = right;
	if (right->next) {
		right->next->prev = right;
	}
	return right;
}

static inline void leaf_put(struct index_leaf *leaf, unsigned slot, struct vma *vma)
{
	struct index_entry *entry = &leaf->entry[slot];
	unsigned after = leaf->count++ - slot;

	leaf->last = (uint8_t)slot;
	if (after) {
		entry = (struct index_entry *)memmove(entry + 1, entry, after * sizeof(*entry)) - 1;
	}
	entry->end = vma->end;
	entry->vma = vma;
}

/* Puts @vma at *@slot_io of a full leaf. Returns the leaf that has it now, and at which slot. */
static struct index_leaf *leaf_split(struct vma_index *index, struct index_leaf *leaf,
				     unsigned *slot_io, struct vma *vma)
{
	unsigned slot = *slot_io;
	struct index_leaf *right, *into;
	int run = leaf->run;
	struct path path;
	uint64_t key;

	path_find(index, leaf->hi - 1, &path);
	leaf->run = 0;
	if (run >= RUN || run <= -RUN) {
		right = leaf_cut(index, leaf, slot);
		/* The side that the next of the run will be on. */
		if (run > 0) {
			into = slot == LEAF_MAX ? right : leaf;
		} else {
			into = slot == 0 ? leaf : right;
		}
		into->run = (int8_t)run;
	} else {
		bool low = slot <= LEAF_MAX / 2;

		right = leaf_cut(index, leaf, low ? LEAF_MAX / 2 : LEAF_MAX / 2 + 1);
		into = low ? leaf : right;
	}
	*slot_io = into == leaf ? slot : slot - leaf->count;
	leaf_put(into, *slot_io, vma);
	key = leaf->entry[leaf->count - 1u].end;
	if (run >= RUN && into == leaf) {
		key = right->entry[0].vma->start; /* the gap is for the run */
	}
	right->lo = key;
	right->hi = leaf->hi;
	leaf->hi = key;
	index->epoch++;
	path_put(index, &path, key, right);
	return into;
}

/* ---- changes -------------------------------------------------------------------------------- */

/* Settling will look at the leaf. */
static void leaf_touch(struct vma_index *index, struct index_leaf *leaf)
{
	if (!leaf->touched) {
		index->unsettled = true;
		leaf->touched = true;
		leaf->link = index->touched;
		index->touched = leaf;
	}
}

/*
 * @vma, to be put before or after all records of a leaf, overlaps none of another leaf. Where
 * nothing straddles the boundaries say enough.
 */
static RARE void assert_apart(const struct vma_index *index, struct index_leaf *leaf,
			      unsigned slot, const struct vma *vma)
{
	const struct index_leaf *near;

	if (slot == leaf->count && index->straddlers) {
		near = leaf_live(index, leaf->next);
		ASSERT(!near || near->entry[0].vma->start >= vma->end);
	}
	if (slot == 0 && vma->start < leaf->lo) {
		near = leaf->prev;
		while (near && !near->count) {
			near = near->prev;
		}
		ASSERT(!near || near->entry[near->count - 1u].end <= vma->start);
	}
}

static RARE void straddler_note(struct vma_index *index, struct index_leaf *leaf)
{
	index->straddlers++;
	leaf_touch(index, leaf);
}

static RARE void tree_begin(struct vma_index *index)
{
	struct index_leaf *leaf = leaf_take(index);

	leaf_clear(leaf, 0, LEAF_MAX + 1);
	leaf->lo = 0;
	leaf->hi = NO_KEY;
	leaf->prev = NULL;
	leaf->next = NULL;
	index->root = leaf;
}

/* @vma has this place in the index. */
static inline void put_done(struct vma_index *index, struct index_leaf *leaf, unsigned slot,
			    const struct vma *vma)
{
	finger_set(index, leaf, slot);
	if (__builtin_expect(vma->start < leaf->lo, 0)) {
		straddler_note(index, leaf);
	}
}

/* Into a leaf that is full, or empty. */
static RARE void put_rare(struct vma_index *index, struct index_leaf *leaf, unsigned slot,
			  struct vma *vma)
{
	if (leaf->count) {
		leaf = leaf_split(index, leaf, &slot, vma);
	} else {
		index->epoch++; /* nobody skips it any more */
		leaf_put(leaf, slot, vma);
	}
	put_done(index, leaf, slot, vma);
}

static void tree_put(struct vma_index *index, struct vma *vma)
{
	struct index_leaf *leaf = finger_covers(index, vma->end - 1);
	unsigned slot;

	if (!leaf) {
		if (__builtin_expect(!index->root, 0)) {
			tree_begin(index);
		}
		leaf = leaf_find(index, vma->end - 1);
	}
	slot = leaf_slot_near(index, leaf, vma->start);
	ASSERT(slot >= leaf->count || leaf->entry[slot].vma->start >= vma->end);
	if (__builtin_expect(index->straddlers || vma->start < leaf->lo, 0)) {
		assert_apart(index, leaf, slot, vma);
	}
	if (slot == leaf->last + 1u) {
		leaf->run = (int8_t)(leaf->run < 0 ? 1 : leaf->run + (leaf->run < RUN));
	} else if (slot == leaf->last) {
		leaf->run = (int8_t)(leaf->run > 0 ? -1 : leaf->run - (leaf->run > -RUN));
	} else {
		leaf->run = 0;
	}
	if (__builtin_expect(leaf->count - 1u >= LEAF_MAX - 1u, 0)) {
		put_rare(index, leaf, slot, vma);
		return;
	}
	put_done(index, leaf, slot, vma);
	leaf_put(leaf, slot, vma);
}

/* Puts the finger on a record that is in the index. */
static RARE void finger_search(struct vma_index *index, const struct vma *vma)
{
	struct index_leaf *leaf;
	unsigned slot;

	ASSERT(index->root);
	leaf = leaf_find_near(index, vma->end - 1);
	slot = leaf_slot(leaf, vma->end - 1);
	ASSERT(slot < leaf->count && leaf->entry[slot].vma == vma);
	finger_set(index, leaf, slot);
}

static inline bool finger_is_on(const struct vma_index *index, const struct vma *vma)
{
	const struct index_leaf *leaf = index->finger;
	unsigned slot = index->finger_slot;

	return __builtin_expect(leaf && slot < leaf->count && leaf->entry[slot].vma == vma, 1);
}

/* Takes out what the finger is on. */
static inline void leaf_drop(struct vma_index *index)
{
	struct index_leaf *leaf = index->finger;
	struct index_entry *entry = &leaf->entry[index->finger_slot];

	if (__builtin_expect(!--leaf->count, 0)) {
		leaf_touch(index, leaf);
	}
	/* With the unused one after the last. */
	memmove(entry, entry + 1, (leaf->count + 1u - index->finger_slot) * sizeof(*entry));
}

void vma_index_insert(struct vma_index *index, struct vma *vma)
{
	ASSERT(!vma->indexed && vma->start < vma->end);
	vma->indexed = true;
	index->count++;
	index->promised -= index->promised != 0;
	tree_put(index, vma);
}

void vma_index_remove(struct vma_index *index, struct vma *vma)
{
	if (!finger_is_on(index, vma)) {
		finger_search(index, vma);
	}
	vma->indexed = false;
	index->count--;
	leaf_drop(index);
}

/* vma_index_trim() where it is not simple. */
static RARE void trim_rare(struct vma_index *index, struct vma *vma, uint64_t start, uint64_t end)
{
	struct index_leaf *leaf;
	unsigned slot;

	ASSERT(start < end);
	if (!finger_is_on(index, vma)) {
		finger_search(index, vma);
	}
	leaf = index->finger;
	slot = index->finger_slot;
	vma->start = start;
	vma->end = end;
	if (end - 1 - leaf->lo >= leaf->hi - leaf->lo) {
		leaf_drop(index);
		tree_put(index, vma);
		return;
	}
	ASSERT(slot == 0 || leaf->entry[slot - 1].end <= start);
	ASSERT(slot + 1 == leaf->count || leaf->entry[slot + 1].vma->start >= end);
	leaf->entry[slot].end = end;
	put_done(index, leaf, slot, vma);
}

void vma_index_trim(struct vma_index *index, struct vma *vma, uint64_t start, uint64_t end)
{
	struct index_leaf *leaf = index->finger;

	/* What shrinks inside its leaf is in nobody's way. */
	if (finger_is_on(index, vma) && __builtin_expect(start >= vma->start && end <= vma->end &&
							 start < end && start >= leaf->lo, 1)) {
		vma->start = start;
		vma->end = end;
		leaf->entry[index->finger_slot].end = end;
	} else {
		trim_rare(index, vma, start, end);
	}
}

/* ---- settling ------------------------------------------------------------------------------- */

/* Takes an empty leaf out; a neighbour covers its range from now on. */
static void leaf_take_out(struct vma_index *index, struct index_leaf *leaf)
{
	struct index_inner *inner;
	unsigned level = 0, slot;
	struct path path;

	path_find(index, leaf->hi - 1, &path);
	while (level < index->height && path.node[level]->count == 1) {
		inner_give(index, path.node[level++]);
	}
	if (level == index->height) { /* it was the only one */
		index->root = NULL;
		index->height = 0;
	} else {
		inner = path.node[level];
		slot = path.slot[level];
		if (slot) {
			leaf->prev->hi = leaf->hi;
		} else {
			leaf->next->lo = leaf->lo;
		}
		memmove(&inner->child[slot], &inner->child[slot + 1],
			(inner->count - slot - 1u) * sizeof(inner->child[0]));
		slot -= slot != 0; /* of the boundary that goes */
		memmove(&inner->key[slot], &inner->key[slot + 1],
			(INNER_MAX - 2u - slot) * sizeof(inner->key[0]));
		inner->key[INNER_MAX - 2] = NO_KEY;
		inner->count--;
	}
	while (index->height && (inner = index->root)->count == 1) {
		index->root = inner->child[0];
		index->height--;
		inner_give(index, inner);
	}
	if (leaf->prev) {
		leaf->prev->next = leaf->next;
	}
	if (leaf->next) {
		leaf->next->prev = leaf->prev;
	}
	leaf_give(index, leaf);
}

/* Lowers the boundary before @leaf to where its first record starts. */
static void leaf_lower(struct vma_index *index, struct index_leaf *leaf)
{
	uint64_t start = leaf->entry[0].vma->start;
	unsigned level = 0;
	struct path path;

	path_find(index, leaf->hi - 1, &path);
	while (!path.slot[level]) {
		level++;
		ASSERT(level < index->height); /* nothing starts below the first boundary */
	}
	ASSERT(path.node[level]->key[path.slot[level] - 1] == leaf->lo);
	path.node[level]->key[path.slot[level] - 1] = start;
	leaf->prev->hi = start;
	leaf->lo = start;
}

/* Takes out the touched leaves that are empty, then mends the others, which changes no others. */
static void settle_touched(struct vma_index *index)
{
	struct index_leaf *leaf, *kept = NULL;

	while ((leaf = index->touched)) {
		index->touched = leaf->link;
		leaf->touched = false;
		if (leaf->count) {
			leaf->link = kept;
			kept = leaf;
		} else {
			leaf_take_out(index, leaf);
		}
	}
	for (leaf = kept; leaf; leaf = leaf->link) {
		if (leaf->entry[0].vma->start < leaf->lo) {
			leaf_lower(index, leaf);
		}
	}
	index->finger = NULL;
	index->epoch++;
}

void vma_index_settle_nodes(struct vma_index *index)
{
	uint64_t leaves = 0, inners = 0;

	if (index->touched) {
		settle_touched(index);
		index->room = 0;
	}
	if (index->count) {
		worst_case(index, 2 * KEEP, &leaves, &inners);
	}
	spares_limit(index, leaves, inners);
	index->room = leaves ? min_u64(index->room, 2 * KEEP) : 0;
	index->unsettled = false;
}

/* ---- check ---------------------------------------------------------------------------------- */

struct check {
	const struct vma_index *index;
	const struct index_leaf *prev;
	uint64_t end; /* of the record before */
	uint64_t records, leaves, inners;
};

static void check_leaf(struct check *c, const struct index_leaf *leaf, uint64_t lo, uint64_t hi)
{
	bool settled = !c->index->touched;

	ASSERT(leaf->lo == lo && leaf->hi == hi && leaf->prev == c->prev);
	ASSERT(!c->prev || c->prev->next == leaf);
	ASSERT(leaf->count <= LEAF_MAX && (leaf->count || leaf->touched));
	for (unsigned i = 0; i <= LEAF_MAX; i++) {
		const struct vma *vma = leaf->entry[i].vma;

		if (i >= leaf->count) {
			ASSERT(leaf->entry[i].end == NO_KEY);
			continue;
		}
		ASSERT(leaf->entry[i].end == vma->end && vma->indexed);
		ASSERT(vma->start >= c->end && vma->start < vma->end);
		ASSERT(vma->end > lo && vma->end <= hi);
		ASSERT(!settled || vma->start >= lo);
		c->end = vma->end;
	}
	c->records += leaf->count;
	c->prev = leaf;
	c->leaves++;
}

static void check_inner(struct check *c, const struct index_inner *inner, unsigned level,
			uint64_t lo, uint64_t hi)
{
	ASSERT(inner->count >= 1 && inner->count <= INNER_MAX);
	c->inners++;
	for (unsigned i = 0; i < INNER_MAX; i++) {
		uint64_t to = i + 1u < inner->count ? inner->key[i] : hi;

		if (i >= inner->count) {
			ASSERT(inner->key[i - 1] == NO_KEY);
			continue;
		}
		ASSERT(lo < to);
		if (level == 1) {
			check_leaf(c, inner->child[i], lo, to);
		} else {
			check_inner(c, inner->child[i], level - 1, lo, to);
		}
		lo = to;
	}
}

void vma_index_check(const struct vma_index *index)
{
	struct check c = { .index = index };

	if (index->height) {
		check_inner(&c, index->root, index->height, 0, NO_KEY);
	} else if (index->root) {
		check_leaf(&c, index->root, 0, NO_KEY);
	}
	ASSERT(!c.prev || !c.prev->next);
	ASSERT(c.records == index->count);
	ASSERT(c.leaves == index->leaf_count && c.inners == index->inner_count);
}
