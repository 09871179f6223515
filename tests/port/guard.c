// SPDX-License-Identifier: MIT
/* The client's memory: present, absent, vanishing; and the client's own signal handlers. */
#include "test.h"

#include "port/posix.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PG 4096ull

static char *map(size_t n, int prot)
{
	char *p = mmap(NULL, n, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static uint64_t addr_of(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

/* Every way of reaching @addr gives @read or @write. */
static void check_access(uint64_t addr, int read, int write)
{
	static const size_t sizes[] = { 1, 3, 4, 8, 9, 64, 300, 4096 };
	unsigned char buffer[4096];

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		CHECK_ERR(port_gpu_load(addr, buffer, sizes[i]), read);
		CHECK_ERR(port_copy_from_user(buffer, addr, sizes[i]), read);
		CHECK_ERR(port_gpu_store(addr, buffer, sizes[i]), write);
		CHECK_ERR(port_copy_to_user(addr, buffer, sizes[i]), write);
	}
	for (size_t n = 4; n <= 8; n += 4) {
		uint64_t old = 0;

		CHECK_ERR(port_gpu_cmpxchg(addr, n, &old, 0), write);
	}
	CHECK_ERR(port_user_populate(addr, 4096, false), read);
	CHECK_ERR(port_user_populate(addr, 4096, true), write);
}

static void good_memory(void)
{
	char *p = map(2 * PG, PROT_READ | PROT_WRITE);
	unsigned char out[600], in[600];

	check_access(addr_of(p), 0, 0);
	for (size_t i = 0; i < sizeof(out); i++) {
		out[i] = (unsigned char)(i * 7 + 1);
	}
	for (size_t n = 0; n <= sizeof(out); n++) {
		for (size_t off = 0; off < 9; off++) {
			memset(p, 0, 1024);
			CHECK_OK(port_copy_to_user(addr_of(p + off), out, n));
			CHECK(memcmp(p + off, out, n) == 0);
			CHECK_EQ(p[off + n], 0);
			memset(in, 0, sizeof(in));
			CHECK_OK(port_copy_from_user(in, addr_of(p + off), n));
			CHECK(memcmp(in, out, n) == 0);
			CHECK(n == sizeof(in) || in[n] == 0);
		}
	}
	munmap(p, 2 * PG);
}

static void compare_and_exchange(void)
{
	uint64_t word = 0x1122334455667788ull, old = 0;

	CHECK_OK(port_gpu_cmpxchg(addr_of(&word), 8, &old, 5));
	CHECK_EQ(old, 0x1122334455667788ull);
	CHECK_EQ(word, 0x1122334455667788ull);
	CHECK_OK(port_gpu_cmpxchg(addr_of(&word), 8, &old, 5));
	CHECK_EQ(old, 0x1122334455667788ull);
	CHECK_EQ(word, 5);
	old = 5;
	CHECK_OK(port_gpu_cmpxchg(addr_of(&word), 4, &old, 0xffffffff00000009ull));
	CHECK_EQ(old, 5);
	CHECK_EQ(word, 9);
	CHECK_OK(port_gpu_cmpxchg(addr_of(&word), 4, &old, 7));
	CHECK_EQ(old, 9);
	CHECK_EQ(word, 9);
}

static void bad_memory(void)
{
	char *p = map(4 * PG, PROT_READ | PROT_WRITE);

	munmap(p + 2 * PG, 2 * PG);
	check_access(addr_of(p + 2 * PG), -EFAULT, -EFAULT);
	CHECK(mprotect(p, PG, PROT_NONE) == 0);
	check_access(addr_of(p), -EFAULT, -EFAULT);
	CHECK(mprotect(p, PG, PROT_READ) == 0);
	check_access(addr_of(p), 0, -EFAULT);
	munmap(p, 2 * PG);

	check_access(0, -EFAULT, -EFAULT);
	check_access(64, -EFAULT, -EFAULT);
	check_access(0x0000800000000000ull, -EFAULT, -EFAULT); /* not canonical */
	check_access(0x4141414141414140ull, -EFAULT, -EFAULT);
	check_access(0xffff800000000000ull, -EFAULT, -EFAULT); /* the kernel's */
	check_access(0xfffffffffffffff8ull, -EFAULT, -EFAULT); /* wraps */
	CHECK_ERR(port_user_populate(PG, UINT64_MAX, false), -EFAULT);
	CHECK_OK(port_user_populate(PG, 0, true));
	CHECK_OK(port_copy_from_user(NULL, 0, 0));
}

static void end_of_a_mapping(void)
{
	char *p = map(2 * PG, PROT_READ | PROT_WRITE);
	unsigned char buffer[1024];

	munmap(p + PG, PG);
	memset(p, 0x5a, PG);
	for (size_t n = 1; n < sizeof(buffer); n += 5) {
		uint64_t addr = addr_of(p) + PG - n;

		CHECK_OK(port_gpu_load(addr, buffer, n));
		CHECK_EQ(buffer[n - 1], 0x5a);
		CHECK_ERR(port_gpu_load(addr, buffer, n + 1), -EFAULT);
		CHECK_OK(port_gpu_store(addr, buffer, n));
		CHECK_ERR(port_gpu_store(addr, buffer, n + 1), -EFAULT);
		CHECK_OK(port_user_populate(addr, n, true));
		CHECK_ERR(port_user_populate(addr, n + 1, true), -EFAULT);
	}
	munmap(p, PG);
}

static void truncated_file(void)
{
	int fd = memfd_create("truncated", MFD_CLOEXEC);
	char *p;

	CHECK(fd >= 0 && ftruncate(fd, 2 * PG) == 0);
	p = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	check_access(addr_of(p + PG), 0, 0);
	CHECK(ftruncate(fd, PG) == 0);
	check_access(addr_of(p + PG), -EFAULT, -EFAULT); /* SIGBUS, not SIGSEGV */
	check_access(addr_of(p), 0, 0);
	munmap(p, 2 * PG);
	close(fd);
}

struct race {
	char *p;
	atomic_bool stop;
};

static void *unmapper(void *arg)
{
	struct race *r = arg;

	while (!atomic_load(&r->stop)) {
		munmap(r->p, PG);
		CHECK(mmap(r->p, PG, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == r->p);
	}
	return NULL;
}

static void racing_unmap(void)
{
	struct race r = { .p = map(PG, PROT_READ | PROT_WRITE) };
	unsigned rounds = test_scale(50000), bad = 0, good = 0;
	unsigned char buffer[512];
	pthread_t thread;

	if (test_is_sim()) {
		munmap(r.p, PG);
		return;
	}
	CHECK(pthread_create(&thread, NULL, unmapper, &r) == 0);
	for (unsigned i = 0; i < rounds; i++) {
		uint64_t old = 0;
		int ret;

		switch (i % 4) {
		case 0:
			ret = port_gpu_load(addr_of(r.p), buffer, 8);
			break;
		case 1:
			ret = port_gpu_store(addr_of(r.p), buffer, 300);
			break;
		case 2:
			ret = port_gpu_cmpxchg(addr_of(r.p), 8, &old, old);
			break;
		default:
			ret = port_user_populate(addr_of(r.p), 8, true);
			break;
		}
		CHECK(ret == 0 || ret == -EFAULT);
		bad += ret != 0;
		good += ret == 0;
	}
	atomic_store(&r.stop, true);
	pthread_join(thread, NULL);
	CHECK_EQ(bad + good, rounds);
	munmap(r.p, PG);
}

/* ---- the client's handlers ------------------------------------------------------------------- */

static volatile sig_atomic_t handled;
static void *volatile handled_addr;
static char *volatile repair;
static sigjmp_buf way_out;
static sigset_t mask_in_handler;

static void repairing_handler(int sig, siginfo_t *info, void *context)
{
	handled += sig == SIGSEGV && context;
	handled_addr = info->si_addr;
	pthread_sigmask(SIG_BLOCK, NULL, &mask_in_handler);
	mprotect(repair, PG, PROT_READ | PROT_WRITE);
}

static void jumping_handler(int sig)
{
	handled++;
	siglongjmp(way_out, sig);
}

static __attribute__((noinline)) char touch(const char *p)
{
	return *(const volatile char *)p;
}

static void handler_with_siginfo(void)
{
	struct sigaction act = { .sa_sigaction = repairing_handler, .sa_flags = SA_SIGINFO }, old;
	unsigned char byte;

	repair = map(PG, PROT_NONE);
	handled = 0;
	sigaddset(&act.sa_mask, SIGUSR2);
	CHECK_OK(port_client_sigaction(SIGSEGV, &act, &old));
	/* Ours first: the client hears nothing of a guarded access. */
	CHECK_ERR(port_gpu_load(addr_of(repair), &byte, 1), -EFAULT);
	CHECK_EQ(handled, 0);
	/* And then the client's own fault is the client's. */
	CHECK_EQ(touch(repair + 5), 0);
	CHECK_EQ(handled, 1);
	CHECK_EQ(handled_addr, repair + 5);
	CHECK_EQ(sigismember(&mask_in_handler, SIGUSR2), 1);
	CHECK_EQ(sigismember(&mask_in_handler, SIGSEGV), 1);
	CHECK_EQ(sigismember(&mask_in_handler, SIGUSR1), 0);
	pthread_sigmask(SIG_BLOCK, NULL, &mask_in_handler);
	CHECK_EQ(sigismember(&mask_in_handler, SIGUSR2), 0);
	CHECK_ERR(port_gpu_load(addr_of(repair), &byte, 1), 0);
	CHECK_OK(port_client_sigaction(SIGSEGV, &old, &act));
	CHECK_EQ(act.sa_sigaction, repairing_handler);
	CHECK_EQ(act.sa_flags & SA_SIGINFO, SA_SIGINFO);
	munmap(repair, PG);
}

static void handler_that_jumps(void)
{
	struct sigaction act = { .sa_handler = jumping_handler, .sa_flags = SA_NODEFER }, old;
	char *p = map(PG, PROT_NONE);
	unsigned char byte;

	handled = 0;
	CHECK_OK(port_client_sigaction(SIGSEGV, &act, &old));
	for (int i = 1; i <= 3; i++) {
		int sig = sigsetjmp(way_out, 1);

		if (sig == 0) {
			touch(p);
			CHECK(false);
		}
		CHECK_EQ(sig, SIGSEGV);
		CHECK_EQ(handled, i);
		CHECK_ERR(port_gpu_load(addr_of(p), &byte, 1), -EFAULT);
		CHECK_EQ(handled, i);
	}
	CHECK_OK(port_client_sigaction(SIGSEGV, &old, NULL));
	munmap(p, PG);
}

static void bus_error_has_its_own_handler(void)
{
	struct sigaction act = { .sa_handler = jumping_handler }, old;
	int fd = memfd_create("short", MFD_CLOEXEC);
	char *p;

	CHECK(fd >= 0 && ftruncate(fd, PG) == 0);
	p = mmap(NULL, PG, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED && ftruncate(fd, 0) == 0);
	handled = 0;
	CHECK_OK(port_client_sigaction(SIGBUS, &act, &old));
	if (sigsetjmp(way_out, 1) == 0) {
		touch(p);
		CHECK(false);
	}
	CHECK_EQ(handled, 1);
	CHECK_OK(port_client_sigaction(SIGBUS, &old, NULL));
	munmap(p, PG);
	close(fd);
}

static void handler_for_once(void)
{
	struct sigaction act = { .sa_handler = jumping_handler, .sa_flags = SA_RESETHAND }, old;
	char *p = map(PG, PROT_NONE);

	handled = 0;
	CHECK_OK(port_client_sigaction(SIGSEGV, &act, &old));
	if (sigsetjmp(way_out, 1) == 0) {
		touch(p);
		CHECK(false);
	}
	CHECK_EQ(handled, 1);
	CHECK_OK(port_client_sigaction(SIGSEGV, &old, &act));
	CHECK_EQ(act.sa_handler, SIG_DFL);
	munmap(p, PG);
}

static void fault_of_the_client(void *arg)
{
	struct sigaction act = { .sa_handler = *(sighandler_t *)arg };

	CHECK_OK(port_client_sigaction(SIGSEGV, &act, NULL));
	touch((char *)64);
}

static void sent_signal(void *arg)
{
	struct sigaction act = { .sa_handler = *(sighandler_t *)arg };

	CHECK_OK(port_client_sigaction(SIGSEGV, &act, NULL));
	raise(SIGSEGV);
	_exit(7);
}

static void default_and_ignored(void)
{
	sighandler_t dfl = SIG_DFL, ign = SIG_IGN;
	int status;

	status = test_in_child(fault_of_the_client, &dfl);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	/* A fault cannot be ignored, a signal that was sent can. */
	status = test_in_child(fault_of_the_client, &ign);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	status = test_in_child(sent_signal, &dfl);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	status = test_in_child(sent_signal, &ign);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void injected_failures(void)
{
	uint64_t word = 5, copy = 0;

	port_fault_set(PORT_FAULT_USER_COPY, 2, false);
	CHECK_OK(port_copy_from_user(&copy, addr_of(&word), 8));
	CHECK_ERR(port_copy_to_user(addr_of(&word), &copy, 8), -EFAULT);
	CHECK_OK(port_user_populate(addr_of(&word), 8, true));
	CHECK_OK(port_gpu_load(addr_of(&word), &copy, 8)); /* no occurrence */
	CHECK_EQ(port_fault_count(PORT_FAULT_USER_COPY), 3);
	port_fault_set(PORT_FAULT_USER_COPY, 0, false);
}

static const struct test_case cases[] = {
	TEST(good_memory),
	TEST(compare_and_exchange),
	TEST(bad_memory),
	TEST(end_of_a_mapping),
	TEST(truncated_file),
	TEST(racing_unmap),
	TEST(handler_with_siginfo),
	TEST(handler_that_jumps),
	TEST(bus_error_has_its_own_handler),
	TEST(handler_for_once),
	TEST(default_and_ignored),
	TEST(injected_failures),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
