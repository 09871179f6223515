// SPDX-License-Identifier: MIT
/* The allocator, sparse address space, the arena, bulk stores, and the fault sweep of the tests. */
#include "test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static bool all_zero(const void *p, size_t n)
{
	const unsigned char *c = p;

	while (n && !c[n - 1]) {
		n--;
	}
	return n == 0;
}

static void allocations_are_zeroed_and_counted(void)
{
	static const size_t sizes[] = { 0, 1, 15, 16, 100, 1024, 1025, 70000 };
	uint64_t blocks, bytes, blocks2, bytes2;

	port_alloc_stats(&blocks, &bytes);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
			char *p = port_alloc(sizes[i]);

			CHECK(p && is_aligned((uint64_t)(uintptr_t)p, 16));
			CHECK(all_zero(p, sizes[i]));
			memset(p, 0xff, sizes[i]);
			port_alloc_stats(&blocks2, &bytes2);
			CHECK_EQ(blocks2, blocks + 1);
			CHECK_EQ(bytes2, bytes + sizes[i]);
			port_free(p);
		}
	}
	port_free(NULL);
	CHECK_EQ(port_alloc(SIZE_MAX), NULL);
	port_alloc_stats(&blocks2, &bytes2);
	CHECK_EQ(blocks2, blocks);
	CHECK_EQ(bytes2, bytes);
}

static void free_twice(void *arg)
{
	port_free((char *)arg + 32);
}

static void a_foreign_pointer_is_noticed(void)
{
	char buffer[64] = { 0 };

	test_expect_abort(free_twice, buffer, "panic");
}

static void reserved_space(void)
{
	size_t size = (size_t)1 << 30;
	char *p = port_reserve(size);

	CHECK(p);
	CHECK(all_zero(p + size / 2, 8192));
	memset(p + 4096, 1, 3 * 4096);
	port_reserve_discard(p + 4097, 2 * 4096); /* covers one whole page */
	CHECK_EQ(p[2 * 4096 - 1], 1);
	CHECK(all_zero(p + 2 * 4096, 4096));
	CHECK_EQ(p[3 * 4096], 1);
	port_reserve_discard(p + 4097, 100);
	CHECK_EQ(p[4097], 1);
	port_unreserve(p, size);
	port_unreserve(NULL, 5);
}

static void arena(void)
{
	uint64_t size = 64 * SZ_1G;
	struct port_arena a;
	struct stat st;
	char *p, *client;

	CHECK_OK(port_arena_create(&a, size));
	CHECK_EQ(a.size_B, size);
	CHECK(a.fd >= 0);
	p = a.base;
	p[size - 1] = 3;
	memset(p + SZ_2M, 0x11, 2 * 4096);
	/* What a client maps is the same memory. */
	client = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, a.fd, (off_t)SZ_2M);
	CHECK(client != MAP_FAILED);
	CHECK_EQ(client[7], 0x11);
	CHECK(fstat(a.fd, &st) == 0);
	CHECK_EQ(st.st_blocks * 512, 3 * 4096);
	port_arena_discard(&a, SZ_2M, 4096);
	CHECK(fstat(a.fd, &st) == 0);
	CHECK_EQ(st.st_blocks * 512, 2 * 4096);
	CHECK(all_zero(client, 4096));
	CHECK_EQ(p[SZ_2M + 4096], 0x11);
	port_arena_discard(&a, size, 0);
	/* Nobody can make an access of ours a SIGBUS. */
	CHECK(ftruncate(a.fd, 4096) != 0);
	CHECK(ftruncate(a.fd, (off_t)size + 4096) != 0);
	CHECK_EQ(fcntl(a.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	munmap(client, 4096);
	port_arena_destroy(&a);
	port_arena_destroy(&a);
	CHECK_ERR(port_arena_create(&a, 0), -EINVAL);
}

static void bulk_stores(void)
{
	uint64_t v[70];

	for (size_t n = 0; n < 64; n++) {
		memset(v, 0xcc, sizeof(v));
		port_fill64(v + 1, 0x8000000000000003ull, 4096, n);
		for (size_t i = 0; i < n; i++) {
			CHECK_EQ(v[1 + i], 0x8000000000000003ull + i * 4096);
		}
		CHECK_EQ(v[0], 0xccccccccccccccccull);
		CHECK_EQ(v[1 + n], 0xccccccccccccccccull);
	}
}

static void occurrences(void)
{
	port_fault_set(PORT_FAULT_ALLOC, 2, false);
	for (int i = 1; i <= 4; i++) {
		void *p = port_alloc(8);

		CHECK_EQ(p == NULL, i == 2);
		port_free(p);
	}
	CHECK_EQ(port_fault_count(PORT_FAULT_ALLOC), 4);
	CHECK_EQ(port_fault_count(PORT_FAULT_THREAD), 0);
	port_fault_set(PORT_FAULT_ALLOC, 3, true);
	for (int i = 1; i <= 5; i++) {
		struct port_arena a;
		bool fails = i >= 3;
		int ret;

		if (i % 2) {
			void *p = port_reserve(4096);

			CHECK_EQ(p == NULL, fails);
			port_unreserve(p, 4096);
			continue;
		}
		ret = port_arena_create(&a, 4096);
		CHECK_ERR(ret, fails ? -ENOMEM : 0);
		port_arena_destroy(&a);
	}
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	CHECK_EQ(port_fault_hit(PORT_FAULT_ALLOC), false);
}

static unsigned sweep_calls, sweep_failures;

static void three_allocations(void *arg)
{
	unsigned fail = 0;

	CHECK_EQ(test_injected(), false);
	sweep_calls++;
	for (int i = 0; i < 3; i++) {
		void *p = port_alloc(8);

		if (!p) {
			CHECK(test_injected());
			fail++;
		}
		port_free(p);
	}
	if (!test_injection()) {
		CHECK_EQ(fail, 0);
	} else if (test_injection()->nth <= 3) {
		CHECK_EQ(fail, test_injection()->for_ever ? 4 - test_injection()->nth : 1);
	}
	if (fail) {
		void *p;

		sweep_failures++;
		test_injection_off();
		p = port_alloc(8);
		CHECK(p && test_injected());
		port_free(p);
	}
}

static void a_sweep_reaches_every_occurrence(void)
{
	sweep_calls = sweep_failures = 0;
	CHECK_EQ(test_sweep(PORT_FAULT_ALLOC, three_allocations, NULL), 9);
	CHECK_EQ(sweep_calls, 9);
	CHECK_EQ(sweep_failures, 6);
}

static unsigned seeds_seen;

static void one_seed(uint64_t seed)
{
	seeds_seen++;
	CHECK(seed >= 10 && seed < 15);
}

static void seeds(void)
{
	seeds_seen = 0;
	if (getenv("VMBIND_SIM_SEED")) {
		return;
	}
	test_seeds(one_seed, 10, 5);
	CHECK_EQ(seeds_seen, 5);
}

static void the_host(void)
{
	uint64_t a = port_random(), b = port_random();

	CHECK(a != b);
	CHECK(port_pid());
	CHECK(port_host_memory_B() >= (1 << 20));
	CHECK(is_aligned(port_host_memory_B(), 1 << 20));
	CHECK(port_now_clock_ns(1) <= port_now_ns());
	CHECK(port_now_clock_ns(0) > 946684800ull * 1000000000ull);
	port_client_may_raise_priority();
}

static const struct test_case cases[] = {
	TEST(allocations_are_zeroed_and_counted),
	TEST(a_foreign_pointer_is_noticed),
	TEST(reserved_space),
	TEST(arena),
	TEST(bulk_stores),
	TEST(occurrences),
	TEST(a_sweep_reaches_every_occurrence),
	TEST(seeds),
	TEST(the_host),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
