// SPDX-License-Identifier: MIT
/* The simulator itself: determinism, replay, virtual time, deadlocks, interrupts. */
#include "test.h"

#include "port/sim.h"

#include <stdlib.h>

#define THREADS 4
#define SEED_7_HASH 0xb52ce6ae87c433e1ull

static struct port_lock_class leaf_class = { .name = "t.leaf", .rank = RANK_LEAF };
static struct port_lock_class vm_class = { .name = "t.vm", .rank = RANK_VM };

/* ---- one seed, one execution ----------------------------------------------------------------- */

/* What happened: who took the lock, in order, and what chance said. */
struct history {
	struct port_mutex lock;
	uint64_t hash;
	uint64_t end_ns;
	unsigned next; /* numbers the workers */
};

static void mix(struct history *h, uint64_t value)
{
	h->hash = (h->hash ^ value) * 0x100000001b3ull;
}

static void history_worker(void *arg)
{
	struct history *h = arg;
	unsigned me = h->next++;

	for (int i = 0; i < 50; i++) {
		port_mutex_lock(&h->lock);
		mix(h, me);
		if (i % 16 == 0) {
			mix(h, port_random());
		}
		port_mutex_unlock(&h->lock);
		if ((unsigned)i % 8 == me) {
			port_relax();
		}
	}
}

static void history_body(void *arg)
{
	struct port_thread *t[THREADS];
	struct history *h = arg;

	port_mutex_init(&h->lock, &leaf_class);
	for (int i = 0; i < THREADS; i++) {
		CHECK_OK(port_thread_create(&t[i], "worker", history_worker, h));
	}
	for (int i = 0; i < THREADS; i++) {
		port_thread_join(t[i]);
	}
	port_mutex_fini(&h->lock);
	h->end_ns = port_now_ns();
}

/* Runs with a seed (or a replay) and keeps a copy of the choices. */
static struct history record(const struct sim_config *config, uint8_t **choices, uint64_t *len)
{
	struct history h = { 0 };
	const uint8_t *live;
	uint64_t len_alternatives;

	sim_run(config, history_body, &h);
	live = sim_choices(len);
	CHECK(*len);
	*choices = malloc(*len);
	memcpy(*choices, live, *len);
	for (uint64_t i = 0; i < *len; i++) {
		const uint8_t *n = sim_alternatives(&len_alternatives);

		CHECK_EQ(len_alternatives, *len);
		CHECK((n[i] & ~SIM_FREE) >= 2 && live[i] < (n[i] & ~SIM_FREE));
	}
	return h;
}

static void one_seed_one_execution(void)
{
	struct sim_config a = { .seed = 7 }, b = { .seed = 8 };
	uint8_t *c1, *c2, *c3;
	uint64_t n1, n2, n3;
	struct history h1 = record(&a, &c1, &n1);
	struct history h2 = record(&a, &c2, &n2);
	struct history h3 = record(&b, &c3, &n3);

	CHECK_EQ(h1.hash, h2.hash);
	CHECK_EQ(h1.end_ns, h2.end_ns);
	CHECK_EQ(n1, n2);
	CHECK(memcmp(c1, c2, n1) == 0);
	/* Whatever built it: a change of the scheduler changes this number, nothing else may. */
	CHECK_EQ(h1.hash, SEED_7_HASH);
	CHECK(h1.hash != h3.hash);
	CHECK(n1 != n3 || memcmp(c1, c3, n1) != 0);
	free(c1);
	free(c2);
	free(c3);
}

static void a_replay_repeats(void)
{
	struct sim_config a = { .seed = 21 }, replay = { .seed = 21 };
	uint8_t *c1, *c2;
	uint64_t n1, n2;
	struct history h1 = record(&a, &c1, &n1), h2;

	replay.replay = c1;
	replay.replay_len = n1;
	h2 = record(&replay, &c2, &n2);
	CHECK_EQ(h1.hash, h2.hash);
	CHECK_EQ(n1, n2);
	CHECK(memcmp(c1, c2, n1) == 0);
	free(c2);

	/* A prefix, then nobody is preempted: still an execution, and always the same one. */
	replay.replay_len = n1 / 2;
	h1 = record(&replay, &c2, &n2);
	CHECK(memcmp(c1, c2, n1 / 2) == 0);
	free(c2);
	h2 = record(&replay, &c2, &n2);
	CHECK_EQ(h1.hash, h2.hash);
	free(c1);
	free(c2);
}

/* ---- all schedules of a small program -------------------------------------------------------- */

struct lost_update {
	struct port_mutex lock;
	unsigned value;
};

static void add_badly(void *arg)
{
	struct lost_update *u = arg;
	unsigned seen;

	port_mutex_lock(&u->lock);
	seen = u->value;
	port_mutex_unlock(&u->lock);
	port_mutex_lock(&u->lock);
	u->value = seen + 1;
	port_mutex_unlock(&u->lock);
}

static void lost_update_body(void *arg)
{
	struct lost_update *u = arg;
	struct port_thread *t[2];

	u->value = 0;
	port_mutex_init(&u->lock, &leaf_class);
	for (int i = 0; i < 2; i++) {
		CHECK_OK(port_thread_create(&t[i], "adder", add_badly, u));
	}
	for (int i = 0; i < 2; i++) {
		port_thread_join(t[i]);
	}
	port_mutex_fini(&u->lock);
}

static unsigned lost, kept;

static void lost_update_once(void)
{
	struct lost_update u;

	lost_update_body(&u);
	CHECK(u.value == 1 || u.value == 2);
	lost += u.value == 1;
	kept += u.value == 2;
}

static void schedules_can_be_enumerated(void)
{
	uint64_t runs[4];

	if (getenv("VMBIND_SIM_REPLAY")) {
		return;
	}
	for (unsigned preemptions = 0; preemptions < 4; preemptions++) {
		lost = kept = 0;
		runs[preemptions] = test_schedules(lost_update_once, preemptions, 1000000);
		CHECK_EQ(lost + kept, runs[preemptions]);
		/* The update is lost by one preemption at the wrong place, never by none. */
		CHECK_EQ(lost != 0, preemptions != 0);
		CHECK(kept);
		CHECK(!preemptions || runs[preemptions] > runs[preemptions - 1]);
	}
	CHECK_EQ(test_schedules(lost_update_once, 3, 5), 5);
}

static void never_lost(void)
{
	struct lost_update u;

	lost_update_body(&u);
	CHECK_EQ(u.value, 2);
}

static void search(void *arg)
{
	test_schedules(never_lost, 2, 1000000);
}

static void a_bad_schedule_is_told(void)
{
	if (!getenv("VMBIND_SIM_REPLAY")) {
		test_expect_abort(search, NULL, "replay: VMBIND_SIM_REPLAY=0");
	}
}

/* ---- virtual time ---------------------------------------------------------------------------- */

static void sleeper(void *arg)
{
	uint64_t deadline = port_now_ns() + *(uint64_t *)arg;
	struct port_wq wq;

	port_wq_init(&wq);
	CHECK_ERR(port_wq_wait(&wq, port_wq_prepare(&wq), deadline, 0), -ETIMEDOUT);
	CHECK(port_now_ns() >= deadline);
	CHECK(port_now_ns() < deadline + 1000000);
}

static void time_jumps_over_sleep(void)
{
	uint64_t day = 86400ull * 1000000000ull, durations[3] = { day, 3 * day, 2 * day };
	struct port_thread *t[3];
	uint64_t before = port_now_ns(), steps = sim_steps();

	for (int i = 0; i < 3; i++) {
		CHECK_OK(port_thread_create(&t[i], "sleeper", sleeper, &durations[i]));
	}
	for (int i = 0; i < 3; i++) {
		port_thread_join(t[i]);
	}
	CHECK(port_now_ns() >= before + 3 * day);
	CHECK(port_now_ns() < before + 3 * day + 1000000);
	CHECK(sim_steps() - steps < 100);
}

static void relax_moves_time_too(void)
{
	uint64_t before = port_now_ns();

	port_relax();
	CHECK_EQ(port_now_ns(), before + SIM_TICK_NS);
}

static void a_million_steps_take_no_time(void)
{
	struct port_mutex m;

	port_mutex_init(&m, &leaf_class);
	for (int i = 0; i < 1000000; i++) {
		port_mutex_lock(&m);
		port_mutex_unlock(&m);
	}
	port_mutex_fini(&m);
	CHECK(sim_steps() >= 1000000);
}

/* ---- panics ---------------------------------------------------------------------------------- */

static struct port_mutex one, two;
static struct port_wq never;

static void lock_two_then_sleep(void *arg)
{
	port_mutex_lock(&two);
	port_wq_wait(&never, port_wq_prepare(&never), PORT_FOREVER, 0);
}

static void deadlocked(void *arg)
{
	struct port_thread *t;

	port_mutex_init(&one, &vm_class);
	port_mutex_init(&two, &vm_class);
	port_wq_init(&never);
	port_thread_create(&t, "holder", lock_two_then_sleep, NULL);
	while (!atomic_load(&never.waiters)) {
		port_relax();
	}
	port_mutex_lock(&two);
}

static void deadlocked_run(void *arg)
{
	struct sim_config config = { .seed = 1234 };

	sim_run(&config, deadlocked, NULL);
}

static void a_deadlock_is_told(void)
{
	test_expect_abort(deadlocked_run, NULL, "deadlock: no thread can ever run again");
	test_expect_abort(deadlocked_run, NULL, "\"main\" waits for the mutex \"t.vm\" at ");
	test_expect_abort(deadlocked_run, NULL, "\"holder\" sleeps at ");
	test_expect_abort(deadlocked_run, NULL, "replay: VMBIND_SIM_SEED=1234 ");
}

static void spinning(void *arg)
{
	for (;;) {
		port_relax();
	}
}

static void spinning_run(void *arg)
{
	struct sim_config config = { .seed = 5, .max_steps = 10000 };

	sim_run(&config, spinning, NULL);
}

static void ends_with_a_lock(void *arg)
{
	port_mutex_init(&one, &vm_class);
	port_mutex_lock(&one);
}

static void ending_run(void *arg)
{
	struct sim_config config = { .seed = 5 };

	sim_run(&config, ends_with_a_lock, NULL);
}

static void hangs_and_bad_ends_are_told(void)
{
	test_expect_abort(spinning_run, NULL, "no end after 10000 steps");
	test_expect_abort(ending_run, NULL, "a thread ends while holding \"t.vm\"");
}

/* ---- interrupts ------------------------------------------------------------------------------ */

struct sleeping {
	struct port_wq wq;
	struct port_rwlock lock;
	unsigned id;
	int results[4];
};

static void interruptible_sleeper(void *arg)
{
	struct sleeping *s = arg;

	s->id = port_thread_id();
	s->results[0] = port_wq_wait(&s->wq, port_wq_prepare(&s->wq), PORT_FOREVER,
				     PORT_WAIT_INTERRUPTIBLE);
	s->results[1] = port_rwlock_rdlock_interruptible(&s->lock);
	/* Not marked any more, and a plain sleep pays no attention. */
	s->results[2] = port_wq_wait(&s->wq, port_wq_prepare(&s->wq), port_now_ns() + 5000,
				     PORT_WAIT_INTERRUPTIBLE);
	sim_interrupt(s->id);
	s->results[3] = port_wq_wait(&s->wq, port_wq_prepare(&s->wq), port_now_ns() + 5000, 0);
}

static void interrupted_sleeps(void)
{
	struct sleeping s = { .results = { 1, 1, 1, 1 } };
	struct port_thread *t;

	port_wq_init(&s.wq);
	port_rwlock_init(&s.lock, &vm_class);
	port_rwlock_wrlock(&s.lock);
	CHECK_OK(port_thread_create(&t, "sleeper", interruptible_sleeper, &s));
	while (!atomic_load(&s.wq.waiters)) {
		port_relax();
	}
	sim_interrupt(s.id);
	while (s.results[0] == 1) {
		port_relax();
	}
	sim_interrupt(s.id); /* waits for the lock, or is about to */
	while (s.results[1] == 1) {
		port_relax();
	}
	port_rwlock_wrunlock(&s.lock);
	port_thread_join(t);
	CHECK_ERR(s.results[0], -EINTR);
	CHECK_ERR(s.results[1], -EINTR);
	CHECK_ERR(s.results[2], -ETIMEDOUT);
	CHECK_ERR(s.results[3], -ETIMEDOUT);
	port_rwlock_fini(&s.lock);
}

/* ---- runs inside runs ------------------------------------------------------------------------ */

static void inner_body(void *arg)
{
	*(unsigned *)arg = port_thread_id();
	port_relax();
}

static void runs_nest(void)
{
	struct sim_config config = { .seed = 3 };
	uint64_t now = port_now_ns();
	unsigned outer = port_thread_id(), inner = 0;

	for (int i = 0; i < 3; i++) {
		sim_run(&config, inner_body, &inner);
		CHECK_EQ(inner, 1);
	}
	CHECK_EQ(port_thread_id(), outer);
	CHECK_EQ(port_now_ns(), now);
	port_relax();
	CHECK(port_now_ns() > now);
}

static const struct test_case cases[] = {
	TEST(one_seed_one_execution),
	TEST(a_replay_repeats),
	TEST(schedules_can_be_enumerated),
	TEST(a_bad_schedule_is_told),
	TEST(time_jumps_over_sleep),
	TEST(relax_moves_time_too),
	TEST(a_million_steps_take_no_time),
	TEST(a_deadlock_is_told),
	TEST(hangs_and_bad_ends_are_told),
	TEST(interrupted_sleeps),
	TEST(runs_nest),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
