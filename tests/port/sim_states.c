// SPDX-License-Identifier: MIT
/*
 * The search for states finds what all schedules find: random small programs, each searched in both
 * ways with 0, 1 and 2 preemptions, must have the same outcomes.
 */
#include "test.h"

#include "port/sim.h"

#include <stdio.h>
#include <stdlib.h>

#define THREADS_MAX 3u
#define OPS_MAX 6u
#define OUTCOMES_MAX 4096u
#define RUNS_MAX 60000u
#define PROGRAMS 150u

enum op_kind {
	OP_READ,   /* own = own * 3 + x[n] */
	OP_WRITE,  /* x[n] = own */
	OP_ADD,    /* x[n] += 1 */
	OP_HALF,   /* half[n] = own, 4 bytes beside 4 others */
	OP_LOCKED, /* reads, passes a point and writes, under lock n */
	OP_BOTH,   /* both locks, and then OP_ADD */
	OP_TRY,    /* a trylock */
	OP_SHARED, /* the read-write lock: n readers, or a writer */
	OP_WAKE,
	OP_SLEEP, /* until a wake, or for n + 1 us */
	OP_YIELD,
	OP_LEND, /* a word of the own stack, until after the next two points */
	OP_PUT,  /* writes what another has lent */
	OP_BLOCK, /* memory: a block is put where others find it; the one that was there is freed */
	OP_SPAWN, /* a thread that adds 1, and waits for it */
	OP_KINDS,
};

static struct program {
	unsigned threads, ops;
	struct op {
		enum op_kind kind;
		unsigned n;
	} op[THREADS_MAX][OPS_MAX];
} program;

static struct {
	struct port_mutex lock[2];
	struct port_rwlock rw;
	struct port_wq wq;
	uint64_t x[2];
	uint32_t half[2];
	uint64_t *lent, *block;
	uint64_t own[THREADS_MAX];
} shared;

static struct port_lock_class outer_class = { .name = "t.outer", .rank = RANK_VM };
static struct port_lock_class inner_class = { .name = "t.inner", .rank = RANK_LEAF };
static struct port_lock_class rw_class = { .name = "t.rw", .rank = RANK_GROUP_MODE };

static struct outcomes {
	uint64_t hash[OUTCOMES_MAX];
	unsigned n;
} by_schedules, by_states, *outcomes;

#define GET(x) (sim_touch(&(x), sizeof(x), SIM_READ), (x))
#define SET(x, value)                                                                              \
	do {                                                                                       \
		__typeof__(x) value_ = (value);                                                    \
		sim_touch(&(x), sizeof(x), SIM_WRITE);                                             \
		(x) = value_;                                                                      \
	} while (0)

static void a_point(void)
{
	struct port_wq wq;

	port_wq_init(&wq);
	(void)port_wq_prepare(&wq);
}

/* ---- what programs do ------------------------------------------------------------------------ */

static uint64_t locked(unsigned n, uint64_t own)
{
	port_mutex_lock(&shared.lock[n]);
	own += GET(shared.x[n]);
	a_point();
	SET(shared.x[n], own);
	port_mutex_unlock(&shared.lock[n]);
	return own;
}

static void both(unsigned n)
{
	port_mutex_lock(&shared.lock[0]);
	port_mutex_lock(&shared.lock[1]);
	SET(shared.x[n], GET(shared.x[n]) + 1);
	port_mutex_unlock(&shared.lock[0]);
	port_mutex_unlock(&shared.lock[1]);
}

static uint64_t try(unsigned n, uint64_t own)
{
	if (!port_mutex_trylock(&shared.lock[n])) {
		return own + 100;
	}
	a_point();
	port_mutex_unlock(&shared.lock[n]);
	return own;
}

static uint64_t read_write(unsigned n, uint64_t own)
{
	if (n) {
		port_rwlock_rdlock(&shared.rw);
		own += GET(shared.x[0]);
		a_point();
		own += GET(shared.x[0]);
		port_rwlock_rdunlock(&shared.rw);
	} else {
		port_rwlock_wrlock(&shared.rw);
		SET(shared.x[0], own);
		a_point();
		SET(shared.x[0], own + 1);
		port_rwlock_wrunlock(&shared.rw);
	}
	return own;
}

static uint64_t sleep_us(unsigned n, uint64_t own)
{
	uint32_t seq = port_wq_prepare(&shared.wq);

	own += GET(shared.x[1]);
	return own * 2 + (port_wq_wait(&shared.wq, seq, port_now_ns() + 1000 * (n + 1), 0) != 0);
}

static __attribute__((noinline)) uint64_t lend(uint64_t own)
{
	uint64_t word = 0;

	SET(word, own);
	SET(shared.lent, &word);
	a_point();
	a_point();
	if (GET(shared.lent) == &word) {
		SET(shared.lent, NULL);
	}
	return GET(word);
}

static void put(uint64_t own)
{
	uint64_t *lent = GET(shared.lent);

	if (lent) {
		SET(*lent, own + 7);
	}
}

static uint64_t swap_blocks(uint64_t own)
{
	uint64_t *block = port_alloc(64), *old;

	SET(block[0], own + 1);
	a_point();
	old = GET(shared.block);
	SET(shared.block, block);
	if (old) {
		own += GET(old[0]);
		port_free(old);
	}
	return own;
}

static void add_one(void *arg)
{
	uint64_t *x = arg;

	SET(*x, GET(*x) + 1);
}

static void spawn(unsigned n)
{
	struct port_thread *t;

	CHECK_OK(port_thread_create(&t, "spawned", add_one, &shared.x[n]));
	port_thread_join(t);
}

static uint64_t do_op(const struct op *op, uint64_t own)
{
	unsigned n = op->n;

	switch (op->kind) {
	case OP_READ:
		return own * 3 + GET(shared.x[n]);
	case OP_WRITE:
		SET(shared.x[n], own);
		return own;
	case OP_ADD:
		SET(shared.x[n], GET(shared.x[n]) + 1);
		return own;
	case OP_HALF:
		SET(shared.half[n], (uint32_t)own);
		return own;
	case OP_LOCKED:
		return locked(n, own);
	case OP_BOTH:
		both(n);
		return own;
	case OP_TRY:
		return try(n, own);
	case OP_SHARED:
		return read_write(n, own);
	case OP_WAKE:
		port_wq_wake(&shared.wq);
		return own;
	case OP_SLEEP:
		return sleep_us(n, own);
	case OP_YIELD:
		port_relax();
		return own;
	case OP_LEND:
		return lend(own);
	case OP_PUT:
		put(own);
		return own;
	case OP_BLOCK:
		return swap_blocks(own);
	case OP_SPAWN:
		spawn(n);
		return own;
	case OP_KINDS:
		break;
	}
	CHECK(false);
	return 0;
}

static void thread(void *arg)
{
	unsigned id = (unsigned)(uintptr_t)arg;
	uint64_t own = id + 1;

	for (unsigned i = 0; i < program.ops; i++) {
		own = do_op(&program.op[id][i], own);
		a_point();
	}
	SET(shared.own[id], own);
}

/* ---- what comes of it ------------------------------------------------------------------------ */

static uint64_t hash(uint64_t h, uint64_t value)
{
	h = (h ^ value) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 29;
}

/* Adds the outcome; being told of what it is, the search makes a run for each. */
static void look(void)
{
	uint64_t h = 1;
	unsigned i = 0;

	for (unsigned j = 0; j < 2; j++) {
		h = hash(h, GET(shared.x[j]));
		h = hash(h, GET(shared.half[j]));
	}
	for (unsigned j = 0; j < program.threads; j++) {
		h = hash(h, GET(shared.own[j]));
	}
	while (i < outcomes->n && outcomes->hash[i] != h) {
		i++;
	}
	CHECK(i < OUTCOMES_MAX);
	if (i == outcomes->n) {
		outcomes->hash[outcomes->n++] = h;
	}
}

static void run(void *arg)
{
	struct port_thread *t[THREADS_MAX];

	(void)arg;
	memset(&shared, 0, sizeof(shared));
	port_mutex_init(&shared.lock[0], &outer_class);
	port_mutex_init(&shared.lock[1], &inner_class);
	port_rwlock_init(&shared.rw, &rw_class);
	port_wq_init(&shared.wq);
	sim_preemption(true);
	for (unsigned i = 0; i < program.threads; i++) {
		CHECK_OK(port_thread_create(&t[i], "thread", thread, (void *)(uintptr_t)i));
	}
	for (unsigned i = 0; i < program.threads; i++) {
		port_thread_join(t[i]);
	}
	look();
	port_free(GET(shared.block));
	sim_preemption(false);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void sort(struct outcomes *o)
{
	qsort(o->hash, o->n, sizeof(o->hash[0]), compare);
}

static void draw(uint64_t seed)
{
	uint64_t rng = hash(seed, 1);

	program.threads = 2 + seed % 2;
	program.ops = program.threads == 2 ? OPS_MAX : OPS_MAX / 2;
	for (unsigned i = 0; i < program.threads; i++) {
		for (unsigned j = 0; j < program.ops; j++) {
			rng = hash(rng, seed + 10 * i + j);
			program.op[i][j].kind = (enum op_kind)(rng >> 8) % OP_KINDS;
			program.op[i][j].n = rng >> 40 & 1;
		}
	}
}

/* False: there are too many schedules. */
static bool search_both(unsigned preemptions, uint64_t *runs, uint64_t *state_runs)
{
	const struct sim_config config = { .seed = 1, .clock_stands = true };
	struct sim_search search = { .max_steps = 100 * RUNS_MAX };
	bool all;

	by_schedules.n = by_states.n = 0;
	outcomes = &by_schedules;
	*runs += sim_explore(&config, SIM_PREEMPTIONS, preemptions, RUNS_MAX, run, NULL, &all);
	if (!all) {
		return false;
	}
	outcomes = &by_states;
	sim_explore_states(&config, preemptions, &search, run, NULL);
	CHECK_EQ(search.preemptions, preemptions);
	*state_runs += search.runs;
	return true;
}

static void states_and_schedules_have_the_same_outcomes(void)
{
	uint64_t runs = 0, state_runs = 0;
	unsigned compared = 0, different = 0;

	for (uint64_t seed = 1; seed <= test_scale(PROGRAMS); seed++) {
		draw(seed);
		for (unsigned most = 0; most <= 2 && search_both(most, &runs, &state_runs);
		     most++) {
			sort(&by_schedules);
			sort(&by_states);
			if (by_schedules.n != by_states.n ||
			    memcmp(by_schedules.hash, by_states.hash,
				   by_states.n * sizeof(by_states.hash[0])) != 0) {
				test_fail(__FILE__, __LINE__,
					  "program %lu, %u preemptions: outcomes: %u by states, "
					  "%u by schedules", (unsigned long)seed, most,
					  by_states.n, by_schedules.n);
			}
			compared++;
			different += by_states.n > 1;
		}
	}
	printf("# %u comparisons, %u of more than one outcome; runs: %lu by schedules, %lu by "
	       "states\n", compared, different, (unsigned long)runs, (unsigned long)state_runs);
	CHECK(different > compared / 2 && state_runs < runs / 4);
}

/* ---- what is not told of --------------------------------------------------------------------- */

static void reads_untold(void *arg)
{
	(void)arg;
	a_point();
	if (shared.x[0]) {
		a_point();
	} else {
		port_relax();
	}
}

static void writes_told(void *arg)
{
	(void)arg;
	a_point();
	SET(shared.x[0], 1);
	a_point();
}

static void reads_told(void *arg)
{
	(void)arg;
	a_point();
	(void)GET(shared.x[0]);
}

static void writes_untold(void *arg)
{
	(void)arg;
	a_point();
	shared.x[0] = 1;
	a_point();
}

static void run_two(void *arg)
{
	void (**fn)(void *) = arg;
	struct port_thread *t[2];

	memset(&shared, 0, sizeof(shared));
	sim_preemption(true);
	CHECK_OK(port_thread_create(&t[0], "first", fn[0], NULL));
	CHECK_OK(port_thread_create(&t[1], "second", fn[1], NULL));
	port_thread_join(t[0]);
	port_thread_join(t[1]);
	sim_preemption(false);
}

static void search_two(void *arg)
{
	const struct sim_config config = { .seed = 1, .clock_stands = true };
	struct sim_search search = { .max_steps = RUNS_MAX };

	sim_explore_states(&config, 2, &search, run_two, arg);
}

static void a_read_that_is_not_told_of_is_found(void)
{
	static void (*fn[])(void *) = { reads_untold, writes_told };

	test_expect_abort(search_two, fn, "it reads what it does not tell of");
}

static void a_write_that_is_not_told_of_is_found(void)
{
	static void (*fn[])(void *) = { reads_told, writes_untold };

	test_expect_abort(search_two, fn, "somebody writes without telling");
}

static void a_limit_is_told(void)
{
	static void (*fn[])(void *) = { reads_told, writes_told };
	const struct sim_config config = { .seed = 1, .clock_stands = true };
	struct sim_search search = { .max_steps = 1 };

	sim_explore_states(&config, 2, &search, run_two, fn);
	CHECK_EQ(search.preemptions, -1);
	search.max_steps = RUNS_MAX;
	sim_explore_states(&config, 2, &search, run_two, fn);
	CHECK_EQ(search.preemptions, 2);
}

static const struct test_case cases[] = {
	TEST(a_read_that_is_not_told_of_is_found),
	TEST(a_write_that_is_not_told_of_is_found),
	TEST(a_limit_is_told),
	TEST(states_and_schedules_have_the_same_outcomes),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
