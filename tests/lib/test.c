// SPDX-License-Identifier: MIT
/*
 * The test library; see test.h. cmocka finds the cases, catches nothing (a failed check aborts) and
 * writes the TAP output. Its own handlers of fatal signals are put aside while a case runs: they
 * would take the guarded accesses' faults away from the port.
 */
#include "test.h"
#include "internal.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct balance {
	uint64_t blocks, bytes;
	unsigned fds;
};

static const char *case_name = "(none)";
static const int fatal_signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS };
static struct sigaction fatal_actions[ARRAY_LEN(fatal_signals)];

static struct test_injection injection;
static bool injection_on;
static atomic_bool injection_struck;

/* ---- checks ---------------------------------------------------------------------------------- */

_Noreturn void test_fail(const char *file, int line, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fprintf(stderr, "%s:%d: %s\n", file, line, text);
	if (injection_on) {
		fprintf(stderr, "%s:%d: with occurrence %lu of fault point %d failing%s\n", file,
			line, (unsigned long)injection.nth, (int)injection.point,
			injection.for_ever ? ", and all later ones" : "");
	}
	/* A panic adds what the host knows: locks held, seed and step. */
	port_panic(file, line, "a check failed");
}

void test_check_eq(const char *file, int line, const char *text, uint64_t a, uint64_t b)
{
	if (a != b) {
		test_fail(file, line, "%s: %lld (0x%llx) is not %lld (0x%llx)", text, (long long)a,
			  (unsigned long long)a, (long long)b, (unsigned long long)b);
	}
}

static const char *errno_name(int64_t err)
{
	const char *name = err <= 0 && err > -4096 ? strerrorname_np((int)-err) : NULL;

	return name ? name : "?";
}

void test_check_err(const char *file, int line, const char *text, int64_t got, int64_t want)
{
	if (got != want) {
		test_fail(file, line, "%s: %lld (%s) instead of %lld (%s)", text, (long long)got,
			  errno_name(got), (long long)want, errno_name(want));
	}
}

/* ---- leaks ----------------------------------------------------------------------------------- */

static unsigned count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	CHECK(dir);
	for (struct dirent *e; (e = readdir(dir));) {
		int fd = atoi(e->d_name);

		n += e->d_name[0] != '.' && fd != dirfd(dir) && !test_fd_is_of_port(fd);
	}
	closedir(dir);
	return n;
}

static void balance_take(struct balance *b)
{
	port_alloc_stats(&b->blocks, &b->bytes);
	b->fds = count_fds();
}

static void balance_check(const struct balance *before, const char *what)
{
	struct balance after;

	balance_take(&after);
	/* A sanitizer's own thread may have a file open for a moment. */
	for (int i = 0; i < 50 && after.fds > before->fds; i++) {
		nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
		balance_take(&after);
	}
	if (after.blocks != before->blocks || after.bytes != before->bytes) {
		test_fail(__FILE__, __LINE__, "%s leaks: %lld blocks, %lld bytes more than before",
			  what, (long long)(after.blocks - before->blocks),
			  (long long)(after.bytes - before->bytes));
	}
	if (after.fds != before->fds) {
		test_fail(__FILE__, __LINE__, "%s leaks: %u descriptors open, %u before", what,
			  after.fds, before->fds);
	}
}

/* ---- running --------------------------------------------------------------------------------- */

static void say_case(int sig)
{
	static const char before[] = "in the test case: ";
	ssize_t done;

	(void)sig;
	done = write(STDERR_FILENO, before, sizeof(before) - 1);
	done = write(STDERR_FILENO, case_name, strlen(case_name));
	done = write(STDERR_FILENO, "\n", 1);
	(void)done;
}

static uint64_t env_seed(uint64_t otherwise)
{
	const char *env = getenv("VMBIND_SIM_SEED");

	return env ? strtoull(env, NULL, 0) : otherwise;
}

static void call_case(void *arg)
{
	const struct test_case *c = arg;

	c->fn();
}

static void run_case(void **state)
{
	const struct test_case *c = *state;
	struct balance before;

	for (size_t i = 0; i < ARRAY_LEN(fatal_signals); i++) {
		sigaction(fatal_signals[i], &fatal_actions[i], NULL);
	}
	case_name = c->name;
	balance_take(&before);
	test_run_body(env_seed(1), call_case, *state);
	balance_check(&before, c->name);
	case_name = "(none)";
}

int test_main(const struct test_case *cases, size_t n, int argc, char **argv)
{
	struct CMUnitTest *tests = calloc(n + 1, sizeof(*tests));
	size_t chosen = 0;
	char probe = 0, copy;
	int failed;

	CHECK(tests);
	/* Makes the port install its handler, so that it is among those put back for each case. */
	CHECK_OK(port_copy_from_user(&copy, (uint64_t)(uintptr_t)&probe, 1));
	for (size_t i = 0; i < ARRAY_LEN(fatal_signals); i++) {
		sigaction(fatal_signals[i], NULL, &fatal_actions[i]);
	}
	signal(SIGABRT, say_case);

	for (size_t i = 0; i < n; i++) {
		if (argc < 2 || strstr(cases[i].name, argv[1])) {
			tests[chosen++] = (struct CMUnitTest){
				.name = cases[i].name,
				.test_func = run_case,
				.initial_state = (void *)(uintptr_t)&cases[i],
			};
		}
	}
	if (!chosen) {
		fprintf(stderr, "no test case's name contains \"%s\"\n", argc < 2 ? "" : argv[1]);
		free(tests);
		return 1;
	}
	failed = _cmocka_run_group_tests(program_invocation_short_name, tests, chosen, NULL, NULL);
	free(tests);
	return failed ? 1 : 0;
}

struct seed_call {
	void (*fn)(uint64_t seed);
	uint64_t seed;
};

static void call_seed(void *arg)
{
	const struct seed_call *call = arg;

	call->fn(call->seed);
}

void test_seeds(void (*fn)(uint64_t seed), uint64_t first, uint64_t n)
{
	if (getenv("VMBIND_SIM_SEED")) {
		first = env_seed(first);
		n = 1;
	}
	for (uint64_t i = 0; i < n; i++) {
		struct seed_call call = { fn, first + i };
		struct balance before;

		balance_take(&before);
		test_run_body(call.seed, call_seed, &call);
		balance_check(&before, "a seed");
	}
}

unsigned test_scale(unsigned n)
{
	unsigned slower = 1;

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
	slower = 10;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
	slower = 10;
#endif
#endif
	return n / slower ? n / slower : 1;
}

/* ---- failures on demand ---------------------------------------------------------------------- */

const struct test_injection *test_injection(void)
{
	return injection_on ? &injection : NULL;
}

bool test_injected(void)
{
	if (injection_on && port_fault_count(injection.point) >= injection.nth) {
		atomic_store(&injection_struck, true);
	}
	return atomic_load(&injection_struck);
}

void test_injection_off(void)
{
	test_injected();
	injection_on = false;
	port_fault_set(injection.point, 0, false);
}

/* Did the failure strike? */
static bool sweep_once(const struct test_injection *inj, void (*body)(void *arg), void *arg)
{
	struct balance before;
	bool struck;

	balance_take(&before);
	injection = *inj;
	injection_on = inj->nth != 0;
	atomic_store(&injection_struck, false);
	port_fault_set(inj->point, inj->nth, inj->for_ever);
	body(arg);
	struck = test_injected();
	test_injection_off();
	balance_check(&before, "a run with an injected failure");
	atomic_store(&injection_struck, false);
	return struck;
}

unsigned test_sweep(enum port_fault_point point, void (*body)(void *arg), void *arg)
{
	struct test_injection inj = { .point = point };
	unsigned runs = 1;

	sweep_once(&inj, body, arg);
	for (int for_ever = 0; for_ever < 2; for_ever++) {
		inj.for_ever = for_ever;
		inj.nth = 0;
		do {
			inj.nth++;
			runs++;
		} while (sweep_once(&inj, body, arg));
	}
	return runs;
}

/* ---- the end of a process -------------------------------------------------------------------- */

static pid_t child_start(void (*fn)(void *arg), void *arg, int stderr_fd)
{
	struct rlimit no_core = { 0, 0 };
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		setrlimit(RLIMIT_CORE, &no_core);
		if (stderr_fd >= 0) {
			dup2(stderr_fd, STDERR_FILENO);
		}
		fn(arg);
		_exit(0);
	}
	return pid;
}

static int child_wait(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0) {
		CHECK_EQ(errno, EINTR);
	}
	return status;
}

int test_in_child(void (*fn)(void *arg), void *arg)
{
	return child_wait(child_start(fn, arg, -1));
}

void test_expect_abort(void (*fn)(void *arg), void *arg, const char *text)
{
	char said[8192];
	size_t len = 0;
	int fds[2], status;
	pid_t pid;
	ssize_t n;

	CHECK(pipe(fds) == 0);
	pid = child_start(fn, arg, fds[1]);
	close(fds[1]);
	while (len < sizeof(said) - 1) {
		n = read(fds[0], said + len, sizeof(said) - 1 - len);
		if (n <= 0) {
			break;
		}
		len += (size_t)n;
	}
	said[len] = 0;
	close(fds[0]);
	status = child_wait(pid);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT) {
		test_fail(__FILE__, __LINE__,
			  "the child ended with status 0x%x, not by abort; it said:\n%s", status,
			  said);
	}
	if (!strstr(said, text)) {
		test_fail(__FILE__, __LINE__, "the child aborted without \"%s\"; it said:\n%s",
			  text, said);
	}
}
