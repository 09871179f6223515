// SPDX-License-Identifier: MIT
/* The schedulers of the simulator: exhaustive exploration and PCT. */
#include "test.h"

#include "port/sim.h"

#include <stdlib.h>

static struct port_lock_class leaf_class = { .name = "t.leaf", .rank = RANK_LEAF };

/* ---- counting interleavings ------------------------------------------------------------------ */

#define POINTS_MAX 8u
#define RUNS_MAX 4096u

/* Two threads of @points points each, and in which order they came to them and passed them. */
static struct counted {
	unsigned points;
	unsigned ended;
	unsigned order_len;
	char order[4 * POINTS_MAX + 1];
	struct port_wq done;
	uint64_t begin_ns, random;
} counted;

static char orders[RUNS_MAX][4 * POINTS_MAX + 1];
static unsigned order_count;

static void pass_points(const char *name)
{
	struct port_mutex own;

	port_mutex_init(&own, &leaf_class);
	for (unsigned i = 0; i < counted.points; i++) {
		counted.order[counted.order_len++] = name[0];
		port_mutex_lock(&own); /* a point, and nobody else wants the lock */
		counted.order[counted.order_len++] = name[1];
		port_mutex_unlock(&own);
	}
	port_mutex_fini(&own);
	if (++counted.ended == 2) {
		sim_preemption(false);
		port_wq_wake(&counted.done);
	}
}

static void first(void *arg)
{
	sim_preemption(true);
	pass_points("Aa");
}

static void second(void *arg)
{
	pass_points("Bb");
}

static void counted_body(void *arg)
{
	struct port_thread *t[2];
	uint32_t seq;

	counted = (struct counted){ .points = *(unsigned *)arg };
	sim_preemption(false);
	counted.begin_ns = port_now_ns();
	counted.random = port_random();
	port_wq_init(&counted.done);
	seq = port_wq_prepare(&counted.done);
	CHECK_OK(port_thread_create(&t[0], "first", first, NULL));
	CHECK_OK(port_thread_create(&t[1], "second", second, NULL));
	CHECK_OK(port_wq_wait(&counted.done, seq, PORT_FOREVER, 0));
	port_thread_join(t[0]);
	port_thread_join(t[1]);
	if (order_count < RUNS_MAX) {
		memcpy(orders[order_count++], counted.order, sizeof(counted.order));
	}
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* How many schedules there are, each of which is another order. */
static uint64_t count(unsigned points, unsigned preemptions)
{
	const struct sim_config config = { .seed = 5 };
	uint64_t runs;
	bool all;

	order_count = 0;
	runs = sim_explore(&config, SIM_PREEMPTIONS, preemptions, RUNS_MAX, counted_body, &points,
			   &all);
	CHECK(all);
	CHECK_EQ(runs, order_count);
	qsort(orders, order_count, sizeof(orders[0]), compare);
	for (unsigned i = 0; i < order_count; i++) {
		CHECK_EQ(strlen(orders[i]), 4 * points);
		CHECK(i == 0 || strcmp(orders[i - 1], orders[i]) != 0);
	}
	return runs;
}

/*
 * The first of two threads with k points each is preempted at one of k; then the second one at one
 * of k; then the first one again at one of those that it has left.
 */
static void schedules_are_counted(void)
{
	for (uint64_t k = 1; k <= POINTS_MAX; k++) {
		CHECK_EQ(count((unsigned)k, 0), 1);
		CHECK_EQ(count((unsigned)k, 1), 1 + k);
		CHECK_EQ(count((unsigned)k, 2), 1 + k + k * k);
		CHECK_EQ(count((unsigned)k, 3), 1 + k + k * k + k * (k * (k - 1) / 2));
	}
	/* Without a bound: all ways to merge the two, but those in which the second one begins. */
	CHECK_EQ(count(1, 100), 3);
	CHECK_EQ(count(2, 100), 10);
	CHECK_EQ(count(3, 100), 35);
}

static void come_and_go(void *arg)
{
}

/* At each of three free choices one of what is left of three threads. */
static void free_choices_body(void *arg)
{
	struct port_thread *t[3];

	sim_preemption(false);
	for (int i = 0; i < 3; i++) {
		CHECK_OK(port_thread_create(&t[i], "thread", come_and_go, NULL));
	}
	sim_preemption(true);
	for (int i = 0; i < 3; i++) {
		port_relax(); /* the running thread is none of the candidates */
	}
	sim_preemption(false);
	for (int i = 0; i < 3; i++) {
		port_thread_join(t[i]);
	}
}

/* Whose turn it is costs nothing, or as much as a preemption. */
static void detours_are_counted(void)
{
	const struct sim_config config = { .seed = 5 };
	uint64_t free_runs = sim_explore(&config, SIM_PREEMPTIONS, 0, RUNS_MAX, free_choices_body,
					 NULL, NULL);

	CHECK(free_runs > 10);
	CHECK_EQ(sim_explore(&config, SIM_DETOURS, 0, RUNS_MAX, free_choices_body, NULL, NULL), 1);
	CHECK(sim_explore(&config, SIM_DETOURS, 1, RUNS_MAX, free_choices_body, NULL, NULL) <
	      free_runs);
	free_runs = sim_explore(&config, SIM_PREEMPTIONS, 20, RUNS_MAX, free_choices_body, NULL,
				NULL);
	CHECK_EQ(sim_explore(&config, SIM_DETOURS, 20, RUNS_MAX, free_choices_body, NULL, NULL),
		 free_runs);
}

static void a_limit_is_told(void)
{
	const struct sim_config config = { .seed = 5 };
	unsigned points = 4;
	bool all;

	CHECK_EQ(sim_explore(&config, SIM_PREEMPTIONS, 2, 20, counted_body, &points, &all), 20);
	CHECK(!all);
	CHECK_EQ(sim_explore(&config, SIM_PREEMPTIONS, 2, 21, counted_body, &points, &all), 21);
	CHECK(all);
}

static uint64_t begin_ns, begin_random, begin_runs;

static void same_begin(void *arg)
{
	counted_body(arg);
	if (begin_runs++ == 0) {
		begin_ns = counted.begin_ns;
		begin_random = counted.random;
	}
	CHECK_EQ(counted.begin_ns, begin_ns);
	CHECK_EQ(counted.random, begin_random);
}

static void time_and_chance_are_the_same_in_all(void)
{
	const struct sim_config config = { .seed = 5 }, other = { .seed = 6 };
	unsigned points = 3;
	uint64_t random;

	begin_runs = 0;
	sim_explore(&config, SIM_PREEMPTIONS, 2, RUNS_MAX, same_begin, &points, NULL);
	CHECK_EQ(begin_runs, 1 + 3 + 9);
	random = begin_random;
	begin_runs = 0;
	sim_explore(&other, SIM_PREEMPTIONS, 1, RUNS_MAX, same_begin, &points, NULL);
	CHECK(begin_random != random);
}

/* ---- bugs of a known depth ------------------------------------------------------------------- */

#define WRITES 6u

/* One thread counts, another reads twice. */
static struct counting {
	struct port_mutex lock;
	unsigned value;
	unsigned seen[2];
} counting;

static void counter(void *arg)
{
	for (unsigned i = 0; i < WRITES; i++) {
		port_mutex_lock(&counting.lock);
		counting.value++;
		port_mutex_unlock(&counting.lock);
	}
}

static void reader(void *arg)
{
	for (unsigned i = 0; i < 2; i++) {
		port_mutex_lock(&counting.lock);
		counting.seen[i] = counting.value;
		port_mutex_unlock(&counting.lock);
	}
}

static void counting_body(void *arg)
{
	struct port_thread *t[2];

	counting = (struct counting){ 0 };
	port_mutex_init(&counting.lock, &leaf_class);
	CHECK_OK(port_thread_create(&t[0], "counter", counter, NULL));
	CHECK_OK(port_thread_create(&t[1], "reader", reader, NULL));
	port_thread_join(t[0]);
	port_thread_join(t[1]);
	port_mutex_fini(&counting.lock);
}

/* The reader comes between the second and the third write: one change of mind is enough. */
static bool depth_2(void)
{
	return counting.seen[0] == 2;
}

/* The same, and the counter comes between the reads but does not end there: two more. */
static bool depth_4(void)
{
	return counting.seen[0] == 2 && counting.seen[1] > 2 && counting.seen[1] < WRITES;
}

/* The same, but it may end there. */
static bool depth_3(void)
{
	return counting.seen[0] == 2 && counting.seen[1] > 2;
}

#define SEEDS 64000u
#define THREADS 3u

/* In how many of SEEDS runs PCT finds @bug; checks that a replay of each of them finds it too. */
static unsigned find(unsigned depth, uint64_t steps, bool (*bug)(void))
{
	unsigned found = 0;

	for (unsigned seed = 1; seed <= SEEDS; seed++) {
		struct sim_config config = { .seed = seed, .pct_depth = depth, .pct_steps = steps };
		struct counting was;
		const uint8_t *choices;
		uint8_t *copy;
		uint64_t len;

		sim_run(&config, counting_body, NULL);
		choices = sim_choices(&len);
		CHECK(len <= steps);
		if (!bug()) {
			continue;
		}
		found++;
		was = counting;
		copy = malloc(len + 1);
		memcpy(copy, choices, len);
		config = (struct sim_config){ .seed = seed, .replay = copy, .replay_len = len };
		sim_run(&config, counting_body, NULL);
		CHECK(memcmp(counting.seen, was.seen, sizeof(was.seen)) == 0);
		free(copy);
	}
	return found;
}

static void pct_finds_what_it_promises(void)
{
	/* More than any run has (checked): 2 * WRITES + 4 and those around starts and ends. */
	const uint64_t steps = 2 * WRITES + 10;
	unsigned two, three, four;

	if (getenv("VMBIND_SIM_REPLAY")) {
		return;
	}
	two = find(2, steps, depth_2);
	three = find(3, steps, depth_3);
	four = find(4, steps, depth_4);
	CHECK(two >= SEEDS / (THREADS * steps));
	CHECK(three >= SEEDS / (THREADS * steps * steps));
	CHECK(four >= SEEDS / (THREADS * steps * steps * steps) && four);
	/* And never what needs more changes than it was given. */
	CHECK_EQ(find(1, steps, depth_2), 0);
	CHECK_EQ(find(2, steps, depth_3), 0);
	CHECK_EQ(find(3, steps, depth_4), 0);
}

static void exploration_needs_as_many_preemptions(void)
{
	static bool (*const bug[])(void) = { depth_2, depth_3, depth_4 };
	const struct sim_config config = { .seed = 1 };

	for (unsigned i = 0; i < ARRAY_LEN(bug); i++) {
		const uint8_t *choices;
		uint64_t len, limit = 0;
		uint8_t copy[64];
		bool all = false;

		/* The first that shows it, with as many preemptions as changes of mind. */
		for (counting.seen[0] = 0; !all;) {
			sim_explore(&config, SIM_PREEMPTIONS, i + 1, ++limit, counting_body, NULL,
				    &all);
			if (bug[i]()) {
				break;
			}
		}
		CHECK(bug[i]());
		choices = sim_choices(&len);
		CHECK(len <= sizeof(copy));
		memcpy(copy, choices, len);
		counting.seen[0] = 0;
		sim_run(&(struct sim_config){ .seed = 1, .replay = copy, .replay_len = len },
			counting_body, NULL);
		CHECK(bug[i]());
	}
}

/* ---- what can be taken away ------------------------------------------------------------------ */

static struct {
	struct port_mutex lock;
	unsigned value;
	unsigned lost;
	struct port_wq wq;
	atomic_bool set;
} shared;

static void add(void *arg)
{
	unsigned value;

	port_mutex_lock(&shared.lock);
	value = shared.value;
	port_wq_wake(&shared.wq); /* a point */
	shared.value = value + 1;
	port_mutex_unlock(&shared.lock);
}

static void add_body(void *arg)
{
	struct port_thread *t[2];

	shared.value = 0;
	port_wq_init(&shared.wq);
	port_mutex_init(&shared.lock, &leaf_class);
	for (int i = 0; i < 2; i++) {
		CHECK_OK(port_thread_create(&t[i], "adder", add, NULL));
	}
	for (int i = 0; i < 2; i++) {
		port_thread_join(t[i]);
	}
	port_mutex_fini(&shared.lock);
	shared.lost += shared.value != 2;
}

static void a_lock_can_be_taken_away(void)
{
	struct sim_config config = { .seed = 1 };

	shared.lost = 0;
	sim_explore(&config, SIM_PREEMPTIONS, 1, RUNS_MAX, add_body, NULL, NULL);
	CHECK_EQ(shared.lost, 0);
	config.without_lock = "t.other";
	sim_explore(&config, SIM_PREEMPTIONS, 1, RUNS_MAX, add_body, NULL, NULL);
	CHECK_EQ(shared.lost, 0);
	config.without_lock = leaf_class.name;
	sim_explore(&config, SIM_PREEMPTIONS, 1, RUNS_MAX, add_body, NULL, NULL);
	CHECK(shared.lost);
}

static void setter(void *arg)
{
	atomic_store(&shared.set, true);
	port_wq_wake(&shared.wq);
}

static void wait_body(void *arg)
{
	struct port_thread *t;

	atomic_store(&shared.set, false);
	port_wq_init(&shared.wq);
	CHECK_OK(port_thread_create(&t, "setter", setter, NULL));
	for (;;) {
		uint32_t seq = port_wq_prepare(&shared.wq);

		if (atomic_load(&shared.set)) {
			break;
		}
		CHECK_OK(port_wq_wait(&shared.wq, seq, PORT_FOREVER, 0));
	}
	port_thread_join(t);
}

static void wait_for_it(void *arg)
{
	sim_explore(arg, SIM_PREEMPTIONS, 1, RUNS_MAX, wait_body, NULL, NULL);
}

static void the_event_count_can_be_taken_away(void)
{
	struct sim_config config = { .seed = 1 };

	wait_for_it(&config);
	config.without_count = true;
	test_expect_abort(wait_for_it, &config, "deadlock: no thread can ever run again");
}

static const struct test_case cases[] = {
	TEST(schedules_are_counted),
	TEST(detours_are_counted),
	TEST(a_limit_is_told),
	TEST(time_and_chance_are_the_same_in_all),
	TEST(pct_finds_what_it_promises),
	TEST(exploration_needs_as_many_preemptions),
	TEST(a_lock_can_be_taken_away),
	TEST(the_event_count_can_be_taken_away),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
