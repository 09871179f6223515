// SPDX-License-Identifier: MIT
/* Client memory that goes without a word: the posix host only. */
#include "port/posix.h"
#include "test.h"

#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES 256u
#define TOLD_MAX 1024

static struct port_lock_class told_class = { .name = "t.told", .rank = RANK_LEAF };
static struct port_mutex told_lock;
static struct {
	uint64_t start, end;
} told[TOLD_MAX]; /* under told_lock */
static unsigned told_count; /* likewise */
static struct port_wq told_wq;
static atomic_bool hold; /* gone() stays inside while this is set */
static struct port_wq hold_wq;
static uint8_t *memory;

static void gone(uint64_t addr, uint64_t size_B)
{
	for (;;) {
		uint32_t seq = port_wq_prepare(&hold_wq);

		if (!atomic_load(&hold)) {
			break;
		}
		port_wq_wait(&hold_wq, seq, PORT_FOREVER, 0);
	}
	port_mutex_lock(&told_lock);
	CHECK(told_count < TOLD_MAX && size_B > 0);
	told[told_count].start = addr;
	told[told_count++].end = addr + size_B;
	port_mutex_unlock(&told_lock);
	port_wq_wake(&told_wq);
}

static uint64_t page(unsigned i)
{
	return (uintptr_t)memory + i * PAGE_SIZE;
}

static void *raw_map(void *at, unsigned pages)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | (at ? MAP_FIXED : 0);

	return (void *)syscall(SYS_mmap, at, pages * PAGE_SIZE, PROT_READ | PROT_WRITE, flags, -1,
			       0);
}

static void raw_unmap(unsigned first, unsigned pages)
{
	CHECK_EQ(syscall(SYS_munmap, page(first), pages * PAGE_SIZE), 0);
}

static bool is_told(uint64_t addr)
{
	bool is = false;

	port_mutex_lock(&told_lock);
	for (unsigned i = 0; i < told_count; i++) {
		is = is || (addr >= told[i].start && addr < told[i].end);
	}
	port_mutex_unlock(&told_lock);
	return is;
}

/* What was told of is told in order, so all before it has been, too. */
static void wait_told(uint64_t addr)
{
	for (;;) {
		uint32_t seq = port_wq_prepare(&told_wq);

		if (is_told(addr)) {
			break;
		}
		port_wq_wait(&told_wq, seq, PORT_FOREVER, 0);
	}
}

static void forget(void)
{
	port_mutex_lock(&told_lock);
	told_count = 0;
	port_mutex_unlock(&told_lock);
}

static void start(void)
{
	CHECK(!port_watch_is_on());
	CHECK_OK(port_watch_start(port_watch_open(), gone));
	CHECK(port_watch_is_on());
}

/* The last page is a window of its own, to unmap when all else has happened. */
static void begin(void)
{
	port_mutex_init(&told_lock, &told_class);
	port_wq_init(&told_wq);
	port_wq_init(&hold_wq);
	told_count = 0;
	memory = raw_map(NULL, PAGES);
	CHECK(memory != MAP_FAILED);
	start();
	CHECK(port_watch_add(page(PAGES - 1), PAGE_SIZE));
	port_watch_arm(page(PAGES - 1), PAGE_SIZE);
}

static void all_is_told(void)
{
	raw_unmap(PAGES - 1, 1);
	wait_told(page(PAGES - 1));
}

static void end(void)
{
	port_watch_remove(page(PAGES - 1), PAGE_SIZE);
	CHECK(!port_watch_any());
	port_watch_stop();
	CHECK(!port_watch_is_on());
	raw_unmap(0, PAGES);
	port_mutex_fini(&told_lock);
}

static void window(unsigned first, unsigned pages)
{
	CHECK(port_watch_add(page(first), pages * PAGE_SIZE));
	port_watch_arm(page(first), pages * PAGE_SIZE);
}

static void no_window(unsigned first, unsigned pages)
{
	port_watch_remove(page(first), pages * PAGE_SIZE);
}

static void test_B08_what_goes_is_told(void)
{
	uint8_t *moved;

	begin();
	window(0, 16);
	raw_unmap(2, 1);
	CHECK_EQ(syscall(SYS_madvise, page(4), PAGE_SIZE, MADV_DONTNEED), 0);
	CHECK_EQ(raw_map((void *)(uintptr_t)page(6), 1), page(6));
	moved = (void *)syscall(SYS_mremap, page(8), PAGE_SIZE, 2 * PAGE_SIZE, MREMAP_MAYMOVE);
	CHECK(moved != MAP_FAILED && (uintptr_t)moved != page(8));
	all_is_told();
	for (unsigned i = 0; i < 16; i++) {
		CHECK_EQ(is_told(page(i)), i == 2 || i == 4 || i == 6 || i == 8);
	}
	CHECK(is_told((uintptr_t)moved));
	CHECK_EQ(munmap(moved, 2 * PAGE_SIZE), 0);
	no_window(0, 16);
	end();
}

static void test_B08_what_is_mapped_anew_is_not_watched_until_armed(void)
{
	begin();
	window(0, 4);
	CHECK_EQ(raw_map((void *)(uintptr_t)page(1), 1), page(1));
	wait_told(page(1));
	forget();
	raw_unmap(1, 1);
	CHECK_EQ(raw_map((void *)(uintptr_t)page(1), 1), page(1));
	port_watch_disarm(page(2), PAGE_SIZE);
	raw_unmap(2, 1);
	all_is_told();
	CHECK(!is_told(page(1)) && !is_told(page(2)));
	CHECK_EQ(raw_map((void *)(uintptr_t)page(2), 1), page(2));
	port_watch_arm(page(0), 4 * PAGE_SIZE);
	raw_unmap(1, 1);
	raw_unmap(2, 1);
	wait_told(page(2));
	CHECK(is_told(page(1)));
	no_window(0, 4);
	end();
}

/* Windows come and go; what is unmapped then is told if one of those that are left covers it. */
static void test_B08_overlapping_windows_are_counted(uint64_t seed)
{
	struct {
		unsigned first, pages;
	} windows[64];
	unsigned covered[PAGES] = { 0 }, n = 0;

	begin();
	for (unsigned i = 0; i < 400; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		if (n == ARRAY_LEN(windows) || (n && seed >> 60 < 7)) {
			unsigned k = (unsigned)(seed >> 33) % n;

			no_window(windows[k].first, windows[k].pages);
			for (unsigned j = 0; j < windows[k].pages; j++) {
				covered[windows[k].first + j]--;
			}
			windows[k] = windows[--n];
		} else {
			windows[n].first = (unsigned)(seed >> 33) % (PAGES - 40);
			windows[n].pages = 1 + (unsigned)(seed >> 20) % 32;
			window(windows[n].first, windows[n].pages);
			for (unsigned j = 0; j < windows[n].pages; j++) {
				covered[windows[n].first + j]++;
			}
			n++;
		}
	}
	for (unsigned i = 0; i < PAGES - 1; i++) {
		raw_unmap(i, 1);
		if (covered[i]) {
			wait_told(page(i)); /* or more would be told than has happened */
		}
	}
	all_is_told();
	for (unsigned i = 0; i < PAGES - 1; i++) {
		CHECK_EQ(is_told(page(i)), covered[i] > 0);
	}
	while (n) {
		n--;
		no_window(windows[n].first, windows[n].pages);
	}
	end();
}

static void test_B08_any_windows(void)
{
	test_seeds(test_B08_overlapping_windows_are_counted, 1, 8);
}

/* Who unmaps waits for nobody who is told, however many there are. */
static void test_B08_nobody_waits_for_who_is_told(void)
{
	begin();
	window(0, PAGES - 1);
	atomic_store(&hold, true);
	for (unsigned i = 0; i < PAGES - 1; i += 2) {
		raw_unmap(i, 1);
	}
	CHECK(!is_told(page(0)));
	atomic_store(&hold, false);
	port_wq_wake(&hold_wq);
	wait_told(page(PAGES - 2));
	for (unsigned i = 0; i < PAGES - 1; i += 2) {
		CHECK(is_told(page(i)));
	}
	CHECK(!is_told(page(1)));
	no_window(0, PAGES - 1);
	end();
}

static void test_B08_too_many_windows(void)
{
	uint64_t base = 1ull << 40; /* nothing is there, which is nobody's business here */

	begin();
	for (unsigned i = 1; i < PORT_WATCH_MAX; i++) {
		CHECK(port_watch_add(base + 2 * i * PAGE_SIZE, PAGE_SIZE));
	}
	CHECK(!port_watch_add(base, PAGE_SIZE));
	for (unsigned i = 1; i < PORT_WATCH_MAX; i++) {
		port_watch_remove(base + 2 * i * PAGE_SIZE, PAGE_SIZE);
	}
	window(0, 1);
	raw_unmap(0, 1);
	wait_told(page(0));
	no_window(0, 1);
	end();
}

static void child(void)
{
	CHECK(!port_watch_is_on() && port_watch_any());
	raw_unmap(0, 1); /* nobody reads, so nobody waits either */
	start();
	port_watch_arm_all();
	raw_unmap(1, 1);
	wait_told(page(1));
	CHECK(!is_told(page(0)));
	no_window(0, 4);
	end();
}

static void test_B08_a_child_watches_its_own(void)
{
	int status = -1;
	pid_t pid;

	begin();
	window(0, 4);
	port_before_fork();
	pid = fork();
	if (pid == 0) {
		port_after_fork_child();
		child();
		_exit(0);
	}
	port_after_fork_parent();
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	raw_unmap(0, 1);
	wait_told(page(0));
	no_window(0, 4);
	end();
}

static const struct test_case cases[] = {
	TEST(test_B08_what_goes_is_told),
	TEST(test_B08_what_is_mapped_anew_is_not_watched_until_armed),
	TEST(test_B08_any_windows),
	TEST(test_B08_nobody_waits_for_who_is_told),
	TEST(test_B08_too_many_windows),
	TEST(test_B08_a_child_watches_its_own),
};

int main(int argc, char **argv)
{
	int fd = port_watch_open();

	if (fd < 0) {
		printf("1..0 # SKIP userfaultfd: %s\n", strerror(-fd));
		return 0;
	}
	close(fd);
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
