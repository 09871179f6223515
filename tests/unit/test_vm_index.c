// SPDX-License-Identifier: MIT
/* The mapping index and its records, beside a model that knows the owner of each page. */
#include "test.h"

#include "vm/vma.h"

#define LEAF_MAX 31u /* records in a leaf */
#define PAGES 4096u  /* of the model */
#define CHANGES_MAX 64u

static struct vm vm; /* nothing of it is there but the pool */

static void begin(struct vma_index *index)
{
	vma_index_init(index);
	vma_pool_init(&vm.pool);
}

/* All records are back. */
static void end(struct vma_index *index)
{
	vma_index_fini(index);
	vma_pool_fini(&vm.pool);
}

/* ---- a plain model --------------------------------------------------------------------------- */

enum kind { INSERT, REMOVE, TRIM };

struct change {
	enum kind kind;
	struct vma *vma;
	uint64_t start, end; /* before a trim */
};

struct rig {
	struct vma_index index;
	struct vma *owner[PAGES];
	uint64_t random, records;
	struct change change[CHANGES_MAX * PAGES];
	unsigned changes;
};

static uint32_t below(struct rig *rig, uint32_t n)
{
	rig->random = rig->random * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((rig->random >> 32) * n >> 32);
}

static struct rig *rig_new(uint64_t seed)
{
	struct rig *rig = port_alloc(sizeof(*rig));

	CHECK(rig);
	rig->random = seed * 0x9e3779b97f4a7c15u + 1;
	begin(&rig->index);
	return rig;
}

static void own(struct rig *rig, struct vma *vma, struct vma *owner)
{
	for (uint64_t page = vma->start / SZ_4K; page < vma->end / SZ_4K; page++) {
		rig->owner[page] = owner;
	}
}

static void note(struct rig *rig, enum kind kind, struct vma *vma)
{
	CHECK(rig->changes < ARRAY_LEN(rig->change));
	rig->change[rig->changes++] = (struct change){ kind, vma, vma->start, vma->end };
}

static void do_insert(struct rig *rig, struct vma *vma)
{
	vma_index_insert(&rig->index, vma);
	own(rig, vma, vma);
	rig->records++;
}

static void do_remove(struct rig *rig, struct vma *vma)
{
	vma_index_remove(&rig->index, vma);
	own(rig, vma, NULL);
	rig->records--;
}

static void do_trim(struct rig *rig, struct vma *vma, uint64_t start, uint64_t end)
{
	own(rig, vma, NULL);
	vma_index_trim(&rig->index, vma, start, end);
	own(rig, vma, vma);
}

static struct vma *model_first(const struct rig *rig, uint64_t page)
{
	while (page < PAGES && !rig->owner[page]) {
		page++;
	}
	return page < PAGES ? rig->owner[page] : NULL;
}

static void check_lookup(struct rig *rig, uint64_t page)
{
	struct vma *want = model_first(rig, page);

	CHECK_EQ(vma_index_first(&rig->index, page * SZ_4K), want);
	CHECK_EQ(vma_index_find(&rig->index, page * SZ_4K + SZ_4K - 1), want);
}

static void check_all(struct rig *rig)
{
	struct vma_cursor cursor;
	struct vma *vma = vma_index_seek(&rig->index, 0, &cursor), *want = model_first(rig, 0);

	vma_index_check(&rig->index);
	CHECK_EQ(rig->index.count, rig->records);
	for (; want; want = model_first(rig, want->end / SZ_4K)) {
		CHECK_EQ(vma, want);
		vma = vma_index_step(&rig->index, &cursor);
	}
	CHECK(!vma);
	CHECK(!vma_index_step(&rig->index, &cursor));
	for (unsigned i = 0; i < 8; i++) {
		check_lookup(rig, below(rig, PAGES));
	}
	CHECK(!vma_index_first(&rig->index, UINT64_MAX));
}

/* Unmaps [start, end), with room for one more record reserved. */
static void punch(struct rig *rig, uint64_t start, uint64_t end)
{
	struct vma *vma;

	while ((vma = vma_index_first(&rig->index, start)) && vma->start < end) {
		uint64_t from = vma->start, to = vma->end;

		if (from >= start && to <= end) {
			note(rig, REMOVE, vma);
			do_remove(rig, vma);
			continue;
		}
		note(rig, TRIM, vma);
		if (from >= start) {
			do_trim(rig, vma, end, to);
			continue;
		}
		do_trim(rig, vma, from, start);
		if (to > end) {
			struct vma *rest = vma_create(&vm, end, to, false);

			CHECK(rest);
			do_insert(rig, rest);
			note(rig, INSERT, rest);
		}
	}
}

static void random_operation(struct rig *rig)
{
	uint32_t most = below(rig, 8) ? 6 : PAGES / 4, first = below(rig, PAGES - 1), n;
	uint64_t start, end;

	n = 1 + below(rig, most);
	start = first * SZ_4K;
	end = min_u64(first + n, PAGES) * SZ_4K;
	CHECK_OK(vma_index_reserve(&rig->index, 2));
	punch(rig, start, end);
	if (below(rig, 4)) {
		struct vma *vma = vma_create(&vm, start, end, false);

		CHECK(vma);
		do_insert(rig, vma);
		note(rig, INSERT, vma);
	}
}

/* Plays the changes back with no memory to be had. */
static void undo(struct rig *rig)
{
	uint64_t leaves = rig->index.leaf_count;

	port_fault_set(PORT_FAULT_ALLOC, 1, true);
	while (rig->changes) {
		struct change *c = &rig->change[--rig->changes];

		if (c->kind == INSERT) {
			do_remove(rig, c->vma);
			vma_destroy(c->vma);
		} else if (c->kind == REMOVE) {
			do_insert(rig, c->vma);
		} else {
			do_trim(rig, c->vma, c->start, c->end);
		}
		if (rig->changes % 8 == 0) {
			check_all(rig);
		}
	}
	CHECK_EQ(port_fault_count(PORT_FAULT_ALLOC), 0);
	CHECK_EQ(rig->index.leaf_count, leaves); /* there was room, not only a spare node */
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
}

static void keep(struct rig *rig)
{
	for (unsigned i = 0; i < rig->changes; i++) {
		if (rig->change[i].kind == REMOVE) {
			vma_destroy(rig->change[i].vma);
		}
	}
	rig->changes = 0;
}

static void remove_all(struct rig *rig)
{
	struct vma *vma;

	while ((vma = vma_index_first(&rig->index, 0))) {
		do_remove(rig, vma);
		vma_destroy(vma);
	}
	vma_index_check(&rig->index);
	vma_index_settle(&rig->index);
}

static void rig_free(struct rig *rig)
{
	remove_all(rig);
	vma_index_check(&rig->index);
	end(&rig->index);
	port_free(rig);
}

static void transactions(uint64_t seed)
{
	struct rig *rig = rig_new(seed);
	unsigned rounds = test_scale(60);

	for (unsigned round = 0; round < rounds; round++) {
		unsigned operations = 1 + below(rig, below(rig, 4) ? 4 : CHANGES_MAX);

		for (unsigned i = 0; i < operations; i++) {
			random_operation(rig);
			if (i % 4 == 0) {
				check_all(rig);
			}
		}
		if (below(rig, 3) == 0) {
			undo(rig);
		} else {
			keep(rig);
		}
		vma_index_settle(&rig->index);
		check_all(rig);
	}
	rig_free(rig);
}

static void random_transactions_match_a_page_model(void)
{
	test_seeds(transactions, 1, test_scale(60));
}

/* Dense: leaves are full when records are put over them and are cut there. */
static void overwrites(uint64_t seed)
{
	struct rig *rig = rig_new(seed);
	unsigned rounds = test_scale(20);

	CHECK_OK(vma_index_reserve(&rig->index, PAGES));
	for (uint64_t page = 0; page < PAGES; page++) {
		do_insert(rig, vma_create(&vm, page * SZ_4K, page * SZ_4K + SZ_4K, false));
	}
	vma_index_settle(&rig->index);
	for (unsigned round = 0; round < rounds; round++) {
		unsigned operations = 1 + below(rig, 12);

		for (unsigned i = 0; i < operations; i++) {
			random_operation(rig);
		}
		check_all(rig);
		undo(rig);
		vma_index_settle(&rig->index);
		check_all(rig);
	}
	rig_free(rig);
}

static void undoing_needs_no_memory_where_leaves_are_full(void)
{
	test_seeds(overwrites, 1, test_scale(20));
}

/* ---- particular cases ------------------------------------------------------------------------ */

static struct vma *put(struct vma_index *index, uint64_t page, uint64_t pages)
{
	struct vma *vma = vma_create(&vm, page * SZ_4K, (page + pages) * SZ_4K, false);

	CHECK(vma);
	CHECK_OK(vma_index_reserve(index, 1));
	vma_index_insert(index, vma);
	return vma;
}

static void empty(struct vma_index *index)
{
	struct vma *vma;

	while ((vma = vma_index_first(index, 0))) {
		vma_index_remove(index, vma);
		vma_destroy(vma);
	}
	vma_index_settle(index);
}

static void take(struct vma_index *index, uint64_t page)
{
	struct vma *vma = vma_index_first(index, page * SZ_4K);

	CHECK_EQ(vma->start, page * SZ_4K);
	vma_index_remove(index, vma);
	vma_destroy(vma);
}

/*
 * A record from the end of one full leaf, over an empty one, into another full one, which is split
 * for it; then its end comes down into the first, which is split as well.
 */
static void a_trim_into_a_full_leaf_has_its_node(void)
{
	struct vma_index index;
	uint64_t leaves;
	struct vma *vma;

	begin(&index);
	for (uint64_t i = 0; i < 4ull * LEAF_MAX; i++) {
		put(&index, 2 * i, 1);
		vma_index_settle(&index);
	}
	leaves = index.leaf_count;
	CHECK_EQ(leaves, 4);
	for (uint64_t i = LEAF_MAX - 1; i <= 2ull * LEAF_MAX; i++) {
		take(&index, 2 * i);
	}
	put(&index, 1, 1);
	put(&index, 4 * LEAF_MAX + 3, 1);
	CHECK_EQ(index.leaf_count, leaves);
	vma = put(&index, 2 * LEAF_MAX - 2, 2 * LEAF_MAX + 3);
	CHECK_EQ(index.leaf_count, leaves + 1);
	vma_index_check(&index);
	vma_index_trim(&index, vma, vma->start, vma->start + SZ_4K);
	CHECK_EQ(index.leaf_count, leaves + 2);
	vma_index_check(&index);
	CHECK_EQ(vma_index_first(&index, vma->start), vma);
	vma_index_settle(&index);
	vma_index_check(&index);
	empty(&index);
	end(&index);
}

static void fill(struct vma_index *index, unsigned n, unsigned order)
{
	for (unsigned i = 0; i < n; i++) {
		/* 0: ascending, 1: descending, 2: scattered (the factor is odd, n a power of 2) */
		uint64_t page = order == 0 ? i : order == 1 ? n - 1 - i : i * 40503u % n;

		put(index, 2 * page, 1);
		vma_index_settle(index);
		if (i % (n / 16) == 0) {
			vma_index_check(index);
		}
	}
}

static void what_is_filled_in_order_is_full(void)
{
	unsigned n = test_is_sim() ? 1u << 14 : 1u << 17;

	for (unsigned order = 0; order < 3; order++) {
		uint64_t blocks, bytes, blocks_before;
		struct vma_index index;

		begin(&index);
		port_alloc_stats(&blocks_before, &bytes);
		fill(&index, n, order);
		vma_index_check(&index);
		CHECK_EQ(index.count, n);
		CHECK(index.leaf_count * LEAF_MAX * (order < 2 ? 90 : 60) <= (uint64_t)n * 100);
		CHECK(index.inner_count <= index.leaf_count / (order < 2 ? 50 : 25) + index.height);
		CHECK(index.height <= 3);
		for (uint64_t page = 0; page < n; page += 7) {
			struct vma *vma = vma_index_first(&index, (2 * page - (page != 0)) * SZ_4K);

			CHECK_EQ(vma->start, 2 * page * SZ_4K);
		}
		CHECK(!vma_index_first(&index, 2ull * n * SZ_4K));
		empty(&index);
		vma_index_check(&index);
		end(&index);
		port_alloc_stats(&blocks, &bytes);
		CHECK_EQ(blocks, blocks_before); /* not one node is left, nor a spare one */
	}
}

/* Two streams side by side below others: neither leaves half leaves behind. */
static void streams_between_others_fill_their_leaves(void)
{
	enum { EACH = 4000, STREAMS = 3 };
	struct vma_index index;

	begin(&index);
	for (unsigned i = 0; i <= STREAMS; i++) {
		put(&index, (uint64_t)i << 20, 1);
	}
	for (uint64_t i = 1; i <= EACH; i++) {
		for (uint64_t stream = 0; stream < STREAMS; stream++) {
			put(&index, (stream << 20) + i, 1);
			vma_index_settle(&index);
		}
	}
	vma_index_check(&index);
	CHECK(index.leaf_count * LEAF_MAX * 90 <= index.count * 100);
	empty(&index);
	end(&index);
}

static void settling_takes_out_what_is_empty(void)
{
	enum { N = 5000 };
	struct vma_index index;
	uint64_t leaves;

	begin(&index);
	for (uint64_t page = 0; page < N; page++) {
		put(&index, page, 1);
	}
	vma_index_settle(&index);
	leaves = index.leaf_count;
	for (uint64_t page = N / 4; page < N; page++) {
		struct vma *vma = vma_index_first(&index, page * SZ_4K);

		vma_index_remove(&index, vma);
		vma_destroy(vma);
	}
	CHECK_EQ(index.leaf_count, leaves);
	CHECK(!vma_index_first(&index, N / 2 * SZ_4K));
	vma_index_check(&index);
	vma_index_settle(&index);
	vma_index_check(&index);
	CHECK(index.leaf_count <= leaves / 4 + 1);
	CHECK_EQ(index.inner_count, index.height == 1 ? 1 : 0);
	empty(&index);
	CHECK_EQ(index.height, 0);
	end(&index);
}

static void spares_neither_pile_up_nor_are_fetched_each_time(void)
{
	struct vma_index index;
	unsigned allocations = 0;

	begin(&index);
	for (uint64_t page = 0; page < 10000; page++) {
		struct vma *vma = vma_create(&vm, page * SZ_4K, (page + 1) * SZ_4K, false);

		port_fault_set(PORT_FAULT_ALLOC, UINT64_MAX, false); /* only counts */
		CHECK_OK(vma_index_reserve(&index, 1));
		allocations += (unsigned)port_fault_count(PORT_FAULT_ALLOC);
		vma_index_insert(&index, vma);
		vma_index_settle(&index);
	}
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	CHECK(allocations > 0 && allocations <= 10000 / 25);
	CHECK_OK(vma_index_reserve(&index, 500));
	CHECK(index.spare_leaves >= 500);
	vma_index_settle(&index);
	CHECK(index.spare_leaves <= 8 && index.spare_inners <= 32);
	empty(&index);
	end(&index);
}

static void reserve_body(void *arg)
{
	struct vma_index *index = arg, before = *index;
	int ret = vma_index_reserve(index, 100);

	if (ret) {
		CHECK_ERR(ret, -ENOMEM);
		CHECK(test_injected());
		before.spare_leaf = index->spare_leaf;
		before.spare_inner = index->spare_inner;
		CHECK(memcmp(&before, index, sizeof(before)) == 0);
		vma_index_check(index);
	}
	vma_index_settle(index);
}

static void a_failed_reservation_changes_nothing(void)
{
	struct vma_index index;

	begin(&index);
	for (uint64_t page = 0; page < 3000; page++) {
		put(&index, page, 1);
		vma_index_settle(&index);
	}
	CHECK_OK(vma_index_reserve(&index, 10));
	vma_index_settle(&index); /* as many spares as are ever kept */
	CHECK(test_sweep(PORT_FAULT_ALLOC, reserve_body, &index) >= 100);
	empty(&index);
	end(&index);
}

static void insert_overlap(void *arg)
{
	struct vma_index index;

	begin(&index);
	put(&index, 10, 4);
	put(&index, arg ? 12 : 8, 3);
}

static void an_overlap_panics(void)
{
	test_expect_abort(insert_overlap, NULL, "vma->start >= vma->end");
	test_expect_abort(insert_overlap, "", "vma->start >= vma->end");
}

/* ---- hole maps ------------------------------------------------------------------------------- */

static void holes(uint64_t seed)
{
	struct rig *rig = rig_new(seed);
	unsigned pages = 1 + below(rig, 400);
	struct vma *vma = vma_create(&vm, 7 * SZ_4K, (7 + pages) * SZ_4K, false), *part;
	bool hole[400] = { false }, left = true;
	unsigned from, to;

	while (left) {
		from = below(rig, pages);
		to = from + 1 + below(rig, pages - from);
		vma_punch(vma, vma->start + from * SZ_4K, vma->start + to * SZ_4K);
		memset(&hole[from], true, to - from);
		from = below(rig, pages);
		to = from + 1 + below(rig, pages - from);
		part = vma_clone(vma, vma->start + from * SZ_4K, vma->start + to * SZ_4K);
		left = memchr(hole, false, pages) != NULL;
		CHECK_EQ(vma_has_runs(vma), left);
		CHECK_EQ(vma_has_runs(part), memchr(&hole[from], false, to - from) != NULL);
		/* A record that was trimmed has the holes of what is left. */
		part->start += below(rig, to - from) * SZ_4K;
		from = (unsigned)((part->start - vma->start) / SZ_4K);
		CHECK_EQ(vma_has_runs(part), memchr(&hole[from], false, to - from) != NULL);
		vma_destroy(part);
	}
	vma_destroy(vma);
	rig_free(rig);
}

static void holes_match_a_page_model(void)
{
	test_seeds(holes, 1, test_scale(200));
}

/* Only a NULL mapping may keep a ragged edge, and only a very large one does (P2). */
static void only_huge_null_mappings_have_coarse_holes(void)
{
	uint64_t tib = BIT64(40);
	struct vma *vma;

	vma_pool_init(&vm.pool);
	vma = vma_create(&vm, 0, tib + SZ_4K, false);
	CHECK(vma);
	vma_punch(vma, 0, SZ_4K);
	vma_punch(vma, 2 * SZ_4K, tib + SZ_4K);
	CHECK(vma_has_runs(vma));
	vma_punch(vma, SZ_4K, 2 * SZ_4K);
	CHECK(!vma_has_runs(vma));
	vma_destroy(vma);

	vma = vma_create(&vm, 0, tib, true);
	CHECK_EQ(vma->hole_shift, PAGE_SHIFT);
	vma_destroy(vma);

	vma = vma_create(&vm, 0, tib + SZ_2M, true);
	CHECK_EQ(vma->hole_shift, 21);
	vma_punch(vma, 0, tib);
	vma_punch(vma, tib + SZ_4K, tib + SZ_2M); /* its ragged edge stays */
	CHECK(vma_has_runs(vma));
	vma_punch(vma, tib, tib + SZ_2M);
	CHECK(!vma_has_runs(vma));
	vma_destroy(vma);
	vma_pool_fini(&vm.pool);
}

/* ---- the pool -------------------------------------------------------------------------------- */

enum { HANDS = 2, PLACES = 64 };

/* Records on their way to those who destroy them. */
struct hand {
	struct port_thread *thread;
	_Atomic(struct vma *) place[PLACES];
	atomic_bool done;
	uint64_t destroyed;
};

static struct vma *tagged(uint64_t tag)
{
	struct vma *vma = vma_create(&vm, tag * SZ_4K, (tag + 1) * SZ_4K, false);

	CHECK(vma);
	CHECK_EQ((uintptr_t)vma % 64, 0);
	vma->offset = ~tag;
	return vma;
}

static void destroy_tagged(struct vma *vma)
{
	CHECK_EQ(vma->offset, ~(vma->start / SZ_4K)); /* nobody else has it */
	CHECK_EQ(vma->vm, &vm);
	vma->offset = 0;
	vma_destroy(vma);
}

static void hand_run(void *arg)
{
	struct hand *hand = arg;
	bool done;

	do {
		done = atomic_load(&hand->done);
		for (unsigned i = 0; i < PLACES; i++) {
			struct vma *vma = atomic_exchange(&hand->place[i], NULL);

			if (vma) {
				destroy_tagged(vma);
				hand->destroyed++;
			}
			if (i % 8 == 0) {
				port_relax();
			}
		}
	} while (!done);
}

/* One creates, as vm.lock has it; all destroy. */
static void come_back(uint64_t seed)
{
	struct hand hand[HANDS] = { 0 };
	struct rig *rig = rig_new(seed);
	uint64_t given = 0, destroyed = 0;
	unsigned n = test_scale(3000);

	for (unsigned i = 0; i < HANDS; i++) {
		CHECK_OK(port_thread_create(&hand[i].thread, "hand", hand_run, &hand[i]));
	}
	for (uint64_t tag = 0; tag < n; tag++) {
		struct vma *vma = tagged(tag), *none = NULL;
		struct hand *to = &hand[below(rig, HANDS)];

		if (below(rig, 4) &&
		    atomic_compare_exchange_strong(&to->place[below(rig, PLACES)], &none, vma)) {
			given++;
		} else {
			destroy_tagged(vma);
		}
		vma_pool_trim(&vm.pool);
		if (below(rig, 16) == 0) {
			port_relax();
		}
	}
	for (unsigned i = 0; i < HANDS; i++) {
		atomic_store(&hand[i].done, true);
		port_thread_join(hand[i].thread);
		destroyed += hand[i].destroyed;
	}
	CHECK_EQ(destroyed, given);
	/* No slab is added while a record is free. */
	CHECK(vm.pool.slab_count <= HANDS * (PLACES + 1) / VMA_SLAB_RECORDS + 2);
	rig_free(rig); /* asserts that none is missing */
}

static void records_come_back_from_any_thread(void)
{
	test_seeds(come_back, 1, test_scale(40));
}

static void slabs_are_given_back(void)
{
	enum { N = 200 * VMA_SLAB_RECORDS };
	static struct vma *vma[N];
	uint64_t blocks, bytes, most;

	vma_pool_init(&vm.pool);
	for (unsigned i = 0; i < N; i++) {
		vma[i] = tagged(i);
	}
	CHECK_EQ(vm.pool.slab_count, 200);
	port_alloc_stats(&most, &bytes);
	for (unsigned i = N / 4; i < N; i++) {
		destroy_tagged(vma[i]);
		vma_pool_trim(&vm.pool);
	}
	CHECK(vm.pool.slab_count <= 100); /* at 100 records used it was looked at last */
	port_alloc_stats(&blocks, &bytes);
	CHECK_EQ(most - blocks, 200 - vm.pool.slab_count);
	for (unsigned i = N / 4; i < N; i++) {
		vma[i] = tagged(i);
	}
	CHECK_EQ(vm.pool.slab_count, 200);
	for (unsigned i = 0; i < N; i++) {
		if (i % VMA_SLAB_RECORDS) {
			destroy_tagged(vma[i]);
			vma_pool_trim(&vm.pool);
		}
	}
	CHECK_EQ(vm.pool.slab_count, 200); /* one in each is used */
	for (unsigned i = 0; i < N; i++) {
		vma[i] = i % VMA_SLAB_RECORDS ? tagged(i) : vma[i];
	}
	CHECK_EQ(vm.pool.slab_count, 200);
	for (unsigned i = 0; i < N; i++) {
		destroy_tagged(vma[i]);
	}
	vma_pool_trim(&vm.pool);
	CHECK(vm.pool.slab_count <= 5);
	vma_pool_fini(&vm.pool);
}

static void create_body(void *arg)
{
	struct vma *vma[2 * VMA_SLAB_RECORDS] = { NULL };

	vma_pool_init(&vm.pool);
	for (unsigned i = 0; i < 2 * ARRAY_LEN(vma); i++) {
		unsigned at = i % ARRAY_LEN(vma);
		uint64_t pages = at == 3 ? 65 : 1; /* with a hole map of its own */

		if (vma[at]) {
			vma_destroy(vma[at]);
		}
		vma[at] = vma_create(&vm, 0, pages * SZ_4K, false);
		CHECK(vma[at] || test_injected());
	}
	for (unsigned i = 0; i < ARRAY_LEN(vma); i++) {
		if (vma[i]) {
			vma_destroy(vma[i]);
		}
	}
	vma_pool_fini(&vm.pool);
}

/* Once for each record, where it comes from the pool too, and for each hole map. */
static void every_record_is_an_allocation_that_can_fail(void)
{
	uint64_t creates = 4 * VMA_SLAB_RECORDS + 2;

	CHECK_EQ(test_sweep(PORT_FAULT_ALLOC, create_body, NULL), 2 * (creates + 1) + 1);
}

static const struct test_case cases[] = {
	TEST(random_transactions_match_a_page_model),
	TEST(undoing_needs_no_memory_where_leaves_are_full),
	TEST(a_trim_into_a_full_leaf_has_its_node),
	TEST(what_is_filled_in_order_is_full),
	TEST(streams_between_others_fill_their_leaves),
	TEST(settling_takes_out_what_is_empty),
	TEST(spares_neither_pile_up_nor_are_fetched_each_time),
	TEST(a_failed_reservation_changes_nothing),
	TEST(an_overlap_panics),
	TEST(holes_match_a_page_model),
	TEST(only_huge_null_mappings_have_coarse_holes),
	TEST(records_come_back_from_any_thread),
	TEST(slabs_are_given_back),
	TEST(every_record_is_an_allocation_that_can_fail),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
