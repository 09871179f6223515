// SPDX-License-Identifier: MIT
/*
 * Benchmarks of the mapping index with its records: map in order, map in random order, unmap and
 * map again, unmap in the middle, look up; beside a red-black tree that does the same. And, without
 * a goal, the same as a driver has to do it: with a record of the change and the object's list.
 *
 *	bench-index [--quick] [FILTER]
 *	bench-index --count ours|rb_tree|driver|none map_seq|map_random|churn|split|lookup
 *
 * The first prints a line per measurement: NAME, ours, NAME OF THE LIMIT, the limit, UNIT, goal for
 * ours, goal for the ratio (0: none). The second does COUNT_N operations of one kind on COUNT_N
 * ranges inside counted(), for a tool that counts instructions there; `none` is the loop alone.
 */
#include "measure.h"
#include "peer.h"

#include "vm/change.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define RANGE_B 0x10000ull
#define BASE 0x100000000ull
#define N_MAX 1000000u
#define OPS_MAX 200000u /* of one round, but for filling */
#define ROUNDS_MAX 101u
#define COUNT_N 100000u
#define OS_RANGES 30000u

enum test { MAP_SEQ, MAP_RANDOM, CHURN, SPLIT, LOOKUP, TESTS };
static const char *const test_name[TESTS] = { "map_seq", "map_random", "churn", "split", "lookup" };

static uint32_t order[N_MAX];

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "bench: %s\n", what);
	exit(1);
}

/* ---- ours ----------------------------------------------------------------------------------- */

static struct vm vm; /* whose records they are; nothing else of it is there */
static struct vma_index vmas = { .epoch = 1 };

static uint64_t ours_map(uint64_t start, uint64_t end)
{
	struct vma *vma = vma_create(&vm, start, end, false);

	if (!vma || vma_index_reserve(&vmas, 1)) {
		fail("no memory");
	}
	vma_index_insert(&vmas, vma); /* looks at the neighbours */
	vma_index_settle(&vmas);
	return start;
}

static uint64_t ours_unmap(uint64_t start)
{
	struct vma *vma = vma_index_find(&vmas, start);

	vma_index_remove(&vmas, vma);
	vma_index_settle(&vmas);
	vma_destroy(vma);
	return start;
}

static uint64_t ours_split(uint64_t start, uint64_t end)
{
	struct vma *vma = vma_index_find(&vmas, start), *after = vma_clone(vma, end, vma->end);

	if (!after || vma_index_reserve(&vmas, 1)) {
		fail("no memory");
	}
	vma_index_trim(&vmas, vma, vma->start, start);
	vma_index_insert(&vmas, after);
	vma_index_settle(&vmas);
	return end;
}

static uint64_t ours_lookup(uint64_t addr)
{
	return vma_index_first(&vmas, addr)->start;
}

static void ours_clear(void)
{
	struct vma *vma;

	while ((vma = vma_index_first(&vmas, 0))) {
		vma_index_remove(&vmas, vma);
		vma_destroy(vma);
	}
	vma_index_settle(&vmas);
	vma_pool_fini(&vm.pool); /* every test begins without memory */
}

const struct peer peer_ours = {
	.name = "ours",
	.map = ours_map,
	.unmap = ours_unmap,
	.split = ours_split,
	.lookup = ours_lookup,
	.clear = ours_clear,
};

/* ---- a driver's operation ------------------------------------------------------------------- */

static struct port_lock_class vm_class = { .name = "vm", .rank = RANK_VM };
static struct bo bo; /* mapped everywhere; nothing else of it is there */

/* Once; the VM's lock is held from here on. */
static void driver_init(void)
{
	ref_init(&bo.ref);
	list_init(&bo.mappings);
	resv_init(&bo.resv);
	vma_index_init(&vm.index);
	list_init(&vm.evicted);
	port_rwlock_init(&vm.lock, &vm_class);
	port_rwlock_wrlock(&vm.lock);
}

/* As a bind does when it has been published, and its cleanup. */
static void driver_done(struct vma_change *change)
{
	struct list removed;

	list_init(&removed);
	change_stand(change, &removed, false);
	vma_index_settle(&vm.index);
	list_for_each_safe(vma, &removed, struct vma, remove_node) {
		list_del(&vma->remove_node);
		vma->pages = VMA_TLB_DONE;
		vma_destroy(vma);
	}
	change_fini(change);
}

static uint64_t driver_map(uint64_t start, uint64_t end)
{
	struct vma *vma = vma_create(&vm, start, end, false);
	struct vma_change change;
	bool replaced;

	if (!vma) {
		fail("no memory");
	}
	vma->bo = bo_get(&bo);
	change_init(&change);
	if (change_map(&vm, &change, vma, NULL, &replaced)) {
		fail("no memory");
	}
	driver_done(&change);
	return start;
}

static uint64_t driver_split(uint64_t start, uint64_t end)
{
	struct vma_change change;

	change_init(&change);
	if (change_unmap(&vm, &change, start, end, false)) {
		fail("no memory");
	}
	driver_done(&change);
	return start;
}

static uint64_t driver_unmap(uint64_t start)
{
	return driver_split(start, start + RANGE_B);
}

static uint64_t driver_lookup(uint64_t addr)
{
	return vma_index_first(&vm.index, addr)->start;
}

static void driver_clear(void)
{
	driver_split(0, BASE + N_MAX * RANGE_B);
	vma_pool_fini(&vm.pool);
}

static const struct peer peer_driver = {
	.name = "driver",
	.map = driver_map,
	.unmap = driver_unmap,
	.split = driver_split,
	.lookup = driver_lookup,
	.clear = driver_clear,
};

/* ---- nothing -------------------------------------------------------------------------------- */

static uint64_t none(uint64_t addr)
{
	return addr;
}

static uint64_t none_range(uint64_t start, uint64_t end)
{
	return start;
}

static const struct peer peer_none = {
	.name = "none",
	.map = none_range,
	.unmap = none,
	.split = none_range,
	.lookup = none,
};

/* ---- the tests ------------------------------------------------------------------------------ */

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t n)
{
	random_state = random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((random_state >> 32) * n >> 32);
}

static void shuffle(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned j = random_below(i + 1);

		order[i] = order[j];
		order[j] = i;
	}
}

static uint64_t address(uint32_t slot)
{
	return BASE + slot * RANGE_B;
}

static void map_one(const struct peer *peer, uint32_t slot)
{
	peer->map(address(slot), address(slot) + RANGE_B);
}

/* @ops operations on @n ranges that are there (MAP_*: are not). */
__attribute__((noinline, noclone)) void counted(const struct peer *peer, enum test test,
						unsigned n, unsigned ops);
void counted(const struct peer *peer, enum test test, unsigned n, unsigned ops)
{
	uint64_t at = address(order[0]);

	for (unsigned i = 0; i < ops; i++) {
		uint32_t slot = order[i];

		switch (test) {
		case MAP_SEQ:
			map_one(peer, i);
			break;
		case MAP_RANDOM:
			map_one(peer, slot);
			break;
		case CHURN:
			peer->unmap(address(slot));
			map_one(peer, slot);
			break;
		case SPLIT:
			peer->split(address(slot) + 0x4000, address(slot) + 0xc000);
			break;
		default: /* the next depends on the answer */
			random_state += at;
			at = peer->lookup(address(random_below(n)) + 0x8000);
			break;
		}
	}
}

static double timed(const struct peer *peer, enum test test, unsigned n)
{
	unsigned ops = test == MAP_SEQ || test == MAP_RANDOM || n < OPS_MAX ? n : OPS_MAX;
	uint64_t start = now_ns();

	counted(peer, test, n, ops);
	return (double)(now_ns() - start) / ops;
}

/* Each test once; *live_B_out is what the ranges cost after they were made in random order. */
static void round_of(const struct peer *peer, unsigned n, double *ns, double *live_B_out)
{
	size_t before;

	ns[MAP_SEQ] = timed(peer, MAP_SEQ, n);
	peer->clear();
	shuffle(n);
	before = mallinfo2().uordblks;
	ns[MAP_RANDOM] = timed(peer, MAP_RANDOM, n);
	*live_B_out = (double)(mallinfo2().uordblks - before) / n;
	shuffle(n);
	ns[CHURN] = timed(peer, CHURN, n);
	ns[LOOKUP] = timed(peer, LOOKUP, n);
	shuffle(n);
	ns[SPLIT] = timed(peer, SPLIT, n);
	peer->clear();
}

/* ---- times ---------------------------------------------------------------------------------- */

static const struct {
	unsigned n;
	const char *name;
	double goal[TESTS], ratio[TESTS];
} size[] = {
	{ 1000, "1e3", { 30, 70, 120, 90, 35 }, { 0, 0.65, 0.6, 0.65, 0.65 } },
	{ 10000, "1e4", { 40, 100, 160, 130, 50 }, { 0 } },
	{ 100000, "1e5", { 60, 180, 350, 330, 120 }, { 0, 0.52, 0.47, 0.46, 0.35 } },
	{ 1000000, "1e6", { 90, 450, 800, 0, 300 }, { 0 } },
};

static void print(const char *name, double ours, const char *limit_name, double limit,
		  const char *unit, double goal, double ratio)
{
	printf("%s %.1f %s %.1f %s %.0f %.2f\n", name, ours, limit_name, limit, unit, goal, ratio);
	fflush(stdout);
}

/* Both sides take turns, so that what disturbs one disturbs the other. Returns ours for CHURN. */
static void measure(unsigned which, const char *filter, double churn_out[2])
{
	static double ours[TESTS][ROUNDS_MAX], rb[TESTS][ROUNDS_MAX], driver[TESTS][ROUNDS_MAX];
	unsigned n = size[which].n, rounds = 300000 / n | 3;
	double ours_ns[TESTS], rb_ns[TESTS], driver_ns[TESTS], ours_B, rb_B, unused;
	char name[64];

	rounds = rounds < ROUNDS_MAX ? rounds : ROUNDS_MAX;
	for (unsigned i = 0; i < rounds; i++) {
		round_of(&peer_ours, n, ours_ns, &ours_B);
		round_of(&peer_rb, n, rb_ns, &rb_B);
		round_of(&peer_driver, n, driver_ns, &unused);
		for (unsigned test = 0; test < TESTS; test++) {
			ours[test][i] = ours_ns[test];
			rb[test][i] = rb_ns[test];
			driver[test][i] = driver_ns[test];
		}
	}
	for (unsigned test = 0; test < TESTS; test++) {
		double ns = median(ours[test], rounds), limit = median(rb[test], rounds);

		if (test == CHURN) {
			churn_out[0] = ns;
			churn_out[1] = median(driver[test], rounds);
		}
		snprintf(name, sizeof(name), "index_%s_%s", test_name[test], size[which].name);
		if (strstr(name, filter)) {
			print(name, ns, peer_rb.name, limit, "ns", size[which].goal[test],
			      size[which].ratio[test]);
		}
		snprintf(name, sizeof(name), "index_driver_%s_%s", test_name[test],
			 size[which].name);
		if (test != LOOKUP && strstr(name, filter)) {
			print(name, median(driver[test], rounds), peer_rb.name, limit, "ns", 0, 0);
		}
	}
	snprintf(name, sizeof(name), "index_memory_%s", size[which].name);
	if (strstr(name, filter)) {
		print(name, ours_B, peer_rb.name, rb_B, "B", 0, 0);
	}
}

/* The bind of a CPU: munmap and mmap(MAP_FIXED) among other mappings. */
static double measure_os(void)
{
	char *base = mmap(NULL, OS_RANGES * RANGE_B, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned pairs = 20000;
	uint64_t start;

	if (base == MAP_FAILED) {
		fail("no address space");
	}
	/* Neighbours differ, or the kernel makes one mapping of them. */
	for (unsigned i = 0; i < OS_RANGES; i += 2) {
		if (mprotect(base + i * RANGE_B, RANGE_B, PROT_READ)) {
			fail("no more mappings");
		}
	}
	start = now_ns();
	for (unsigned i = 0; i < pairs; i++) {
		char *at = base + random_below(OS_RANGES / 2) * 2 * RANGE_B;

		if (munmap(at, RANGE_B) ||
		    mmap(at, RANGE_B, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
			    at) {
			fail("the mappings of the process cannot be changed");
		}
	}
	start = now_ns() - start;
	munmap(base, OS_RANGES * RANGE_B);
	return (double)start / pairs;
}

static void count(const char *side, const char *what)
{
	const struct peer *const peers[] = { &peer_ours, &peer_rb, &peer_driver, &peer_none };
	const struct peer *peer = NULL;
	unsigned test = 0;

	for (unsigned i = 0; i < ARRAY_LEN(peers); i++) {
		peer = strcmp(side, peers[i]->name) == 0 ? peers[i] : peer;
	}
	while (test < TESTS && strcmp(test_name[test], what) != 0) {
		test++;
	}
	if (test == TESTS || !peer) {
		fail("no such test");
	}
	shuffle(COUNT_N);
	for (unsigned i = 0; i < COUNT_N && test != MAP_SEQ && test != MAP_RANDOM; i++) {
		map_one(peer, order[i]);
	}
	shuffle(COUNT_N);
	counted(peer, test, COUNT_N, COUNT_N);
}

int main(int argc, char **argv)
{
	unsigned sizes = ARRAY_LEN(size);
	const char *filter = "";
	double churn[ARRAY_LEN(size)][2]; /* the index alone, the whole operation */

	driver_init();
	if (argc == 4 && strcmp(argv[1], "--count") == 0) {
		count(argv[2], argv[3]);
		return 0;
	}
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--quick") == 0) {
			sizes = 2;
		} else {
			filter = argv[i];
		}
	}
	for (unsigned i = 0; i < sizes; i++) {
		measure(i, filter, churn[i]);
	}
	if (sizes == ARRAY_LEN(size) && strstr("index_churn_growth", filter)) {
		print("index_churn_growth", churn[3][0], "1e3", churn[0][0], "ns", 0, 8);
		print("index_driver_churn_growth", churn[3][1], "1e3", churn[0][1], "ns", 0, 8);
	}
	if (strstr("index_churn_1e4_os", filter)) {
		print("index_churn_1e4_os", churn[1][0], "mmap_3e4", measure_os(), "ns", 0, 0);
	}
	return 0;
}
