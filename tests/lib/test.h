/* SPDX-License-Identifier: MIT */
/*
 * What every in-process test uses. One source is linked twice: with the real host and with the
 * simulator, where each case runs inside sim_run(). Write
 *
 *	static void reads_back(void)
 *	{
 *		CHECK_ERR(thing_open(NULL), -EINVAL);
 *		CHECK_EQ(thing_size(), 4096);
 *	}
 *
 *	static const struct test_case cases[] = {
 *		TEST(reads_back),
 *	};
 *
 *	int main(int argc, char **argv)
 *	{
 *		return test_main(cases, ARRAY_LEN(cases), argc, argv);
 *	}
 *
 * A failed check prints where and what and aborts, in any thread and on any stack. A case that ends
 * with more allocations or descriptors than it began with fails. `./test-x-sim NAME` runs the cases
 * whose name contains NAME; VMBIND_SIM_SEED chooses the seed (1 if not set).
 */
#ifndef TESTS_LIB_TEST_H
#define TESTS_LIB_TEST_H

#include "base/bits.h"
#include "port/port.h"

struct test_case {
	const char *name;
	void (*fn)(void);
};

#define TEST(fn) { #fn, fn }

int test_main(const struct test_case *cases, size_t n, int argc, char **argv);

/* ---- checks ---------------------------------------------------------------------------------- */

_Noreturn void test_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void test_check_eq(const char *file, int line, const char *text, uint64_t a, uint64_t b);
void test_check_err(const char *file, int line, const char *text, int64_t got, int64_t want);

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			test_fail(__FILE__, __LINE__, "CHECK(%s)", #cond);                         \
		}                                                                                  \
	} while (0)

/* Integers or pointers, compared as 64 bits after sign extension. */
#define CHECK_EQ(a, b)                                                                             \
	test_check_eq(__FILE__, __LINE__, "CHECK_EQ(" #a ", " #b ")", (uint64_t)(a), (uint64_t)(b))

/* A call that returns 0 or -errno; the wanted one may be 0 too. */
#define CHECK_ERR(expr, err)                                                                       \
	test_check_err(__FILE__, __LINE__, "CHECK_ERR(" #expr ", " #err ")", (expr), (err))

#define CHECK_OK(expr) CHECK_ERR(expr, 0)

/* ---- seeds ----------------------------------------------------------------------------------- */

/* Is this the simulator? */
bool test_is_sim(void);

/*
 * Calls @fn @n times, with seeds @first, @first + 1, ...; with the simulator each is a run of its
 * own. VMBIND_SIM_SEED, when set, picks that one seed.
 */
void test_seeds(void (*fn)(uint64_t seed), uint64_t first, uint64_t n);

/*
 * Litmus: runs @fn under every schedule with at most @preemptions preemptions and returns how many
 * there were; stops after @limit runs. With real threads it just calls @fn a few times and returns
 * 0. VMBIND_SIM_REPLAY, as a failure prints it, picks one schedule.
 */
uint64_t test_schedules(void (*fn)(void), unsigned preemptions, uint64_t limit);

/* Scales an amount of work to the build: sanitizers and the simulator are slower. */
unsigned test_scale(unsigned n);

/* ---- failures on demand ---------------------------------------------------------------------- */

struct test_injection {
	enum port_fault_point point;
	uint64_t nth; /* this occurrence fails, from the start of the body */
	bool for_ever; /* and all that follow */
};

/*
 * Runs @body(@arg) once without a failure, then with the 1st, 2nd, ... occurrence of @point failing
 * once, until one run has fewer; then the same with all later occurrences failing too. After each
 * run allocations and descriptors must be what they were. Returns the number of runs.
 *
 * The body learns the injection from test_injection(), and by test_injected() whether it has struck
 * yet: an operation may fail only if it has. Before a body retries, it calls test_injection_off().
 */
unsigned test_sweep(enum port_fault_point point, void (*body)(void *arg), void *arg);
/* NULL when nothing is injected. */
const struct test_injection *test_injection(void);
bool test_injected(void);
/* From here on nothing fails; test_injected() keeps its answer. */
void test_injection_off(void);

/* ---- the end of a process -------------------------------------------------------------------- */

/*
 * Runs @fn(@arg) in a forked child, which must abort after printing @text to standard error.
 * No other thread may exist.
 */
void test_expect_abort(void (*fn)(void *arg), void *arg, const char *text);
/* Runs @fn(@arg) in a forked child and returns its wait status; its standard error is kept. */
int test_in_child(void (*fn)(void *arg), void *arg);

#endif
