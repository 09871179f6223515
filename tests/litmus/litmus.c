// SPDX-License-Identifier: MIT
#include "litmus.h"

#include "port/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTCOMES_MAX 64
#define PREEMPTIONS 2u
#define RUNS 2000u     /* of a search, unless VMBIND_LITMUS_RUNS says otherwise */
#define RUN_STEPS 400u /* what a run counts for, where steps are counted */
#define SEEDS 100u     /* at random, and as many by PCT */
#define PCT_DEPTH 3u
#define MAX_STEPS 100000u

#ifdef LITMUS_TRACED
#define STATES true
#else
#define STATES false
#endif

/* What the outcome of a run is not seen by is no part of its state. */
#define UNTRACED __attribute__((no_sanitize("thread")))

struct outcome {
	char text[LITMUS_OUT_B];
	uint64_t count;
};

/* In memory shared with the child that runs without the guard. */
static struct tally {
	struct outcome outcome[OUTCOMES_MAX];
	unsigned count;
	uint64_t runs;
	char forbidden[LITMUS_OUT_B]; /* the first one that may not be */
} *tally;

struct litmus_state lit;
static char out[LITMUS_OUT_B];
static const struct litmus *program;
static const struct litmus_without *without; /* what is taken away in this run */
static unsigned ended;

/* ---- outcomes -------------------------------------------------------------------------------- */

void litmus_say(const char *format, ...)
{
	size_t len = strlen(out);
	va_list args;

	sim_touch(out, sizeof(out), SIM_READ);
	sim_touch(out, sizeof(out), SIM_WRITE);
	va_start(args, format);
	vsnprintf(out + len, sizeof(out) - len, format, args);
	va_end(args);
	CHECK(strlen(out) < sizeof(out) - 1 && !strchr(out, ' '));
}

void litmus_say_error(int ret)
{
	litmus_say("%s", ret ? strerrorname_np(-ret) : "ok");
}

/* Is @text one of the words of @allowed? */
static bool is_allowed(const char *allowed, const char *text)
{
	size_t len = strlen(text);

	for (const char *at = allowed; (at = strstr(at, text)); at++) {
		if ((at == allowed || at[-1] == ' ') && (at[len] == ' ' || !at[len])) {
			return len > 0;
		}
	}
	return false;
}

static UNTRACED void tally_add(void)
{
	unsigned i = 0;

	sim_touch(out, sizeof(out), SIM_READ);
	tally->runs++;
	while (i < tally->count && strcmp(tally->outcome[i].text, out) != 0) {
		i++;
	}
	CHECK(i < OUTCOMES_MAX);
	if (i == tally->count) {
		tally->count++;
		strcpy(tally->outcome[i].text, out);
	}
	tally->outcome[i].count++;
	if (!tally->forbidden[0] && !is_allowed(program->allowed, out)) {
		strcpy(tally->forbidden, out);
	}
	if (tally->forbidden[0] && without) {
		_exit(1); /* seen: nothing of it need be whole enough to be closed */
	}
	if (tally->forbidden[0]) {
		test_fail(__FILE__, __LINE__, "%s: the outcome %s is not one of: %s",
			  program->name, tally->forbidden, program->allowed);
	}
}

/* ---- one run --------------------------------------------------------------------------------- */

/* Runs first of all; its end is the first choice, and takes nobody's turn away. */
static void start(void *arg)
{
	sim_preemption(true);
}

static void call(void *arg)
{
	(*(void (**)(void))arg)();
	if (!--ended) {
		sim_preemption(false);
	}
}

static void close_all(void)
{
	for (unsigned i = 0; i < ARRAY_LEN(lit.in); i++) {
		litmus_signal(i);
		fence_put(lit.in[i]);
	}
	for (unsigned i = 0; i < ARRAY_LEN(lit.queue); i++) {
		if (lit.queue[i]) {
			rig_queue_done(lit.queue[i]);
		}
		bind_queue_put(lit.binds[i]);
		syncobj_put(lit.so[i]);
	}
	for (unsigned i = 0; i < ARRAY_LEN(lit.out); i++) {
		fence_put(lit.out[i]);
	}
	for (unsigned i = 0; i < ARRAY_LEN(lit.vm); i++) {
		if (lit.vm[i] && i == 0 && lit.vm_closed) {
			vm_put(lit.vm[i]);
		} else if (lit.vm[i]) {
			rig_vm_done(lit.vm[i]);
		}
	}
	for (unsigned i = 0; i < ARRAY_LEN(lit.bo); i++) {
		bo_put(lit.bo[i]);
	}
	bo_put(lit.batch);
	if (lit.user) {
		port_unreserve(lit.user, PAGE_B);
	}
	device_destroy(lit.device);
}

static void one_run(void *arg)
{
	struct port_thread *t[LITMUS_THREADS + 1];
	unsigned n = 0;

	sim_preemption(false);
	memset(&lit, 0, sizeof(lit));
	memset(out, 0, sizeof(out));
	program->set_up();
	/* Workers have nothing to do and sleep. */
	for (unsigned i = 0; i < 4; i++) {
		port_relax();
	}
	CHECK_OK(port_thread_create(&t[0], "start", start, NULL));
	while (n < LITMUS_THREADS && program->thread[n]) {
		static const char *const name[] = { "first", "second", "third", "fourth" };

		CHECK_OK(port_thread_create(&t[n + 1], name[n], call,
					    (void *)(uintptr_t)&program->thread[n]));
		n++;
	}
	ended = n;
	for (unsigned i = 0; i <= n; i++) {
		port_thread_join(t[i]);
	}
	program->look();
	tally_add();
	close_all();
}

/* ---- all runs -------------------------------------------------------------------------------- */

static uint64_t run_limit(void)
{
	const char *env = getenv("VMBIND_LITMUS_RUNS");

	/* How soon a missing guard shows does not depend on the build. */
	return env ? strtoull(env, NULL, 0) : without ? RUNS : test_scale(RUNS);
}

static struct sim_config config_of(uint64_t seed)
{
	return (struct sim_config){
		.seed = seed,
		.max_steps = MAX_STEPS,
		.clock_stands = !program->ticks,
		.without_lock = without ? without->lock : NULL,
		.without_count = without && without->count,
	};
}

static struct searched {
	int preemptions, detours;
	uint64_t states; /* 0: they were not told apart */
} searched;

/* The most with which all schedules have been run, of @most; -1: none. */
static int search_bound(enum sim_bound bound, unsigned most)
{
	const struct sim_config config = config_of(1);

	for (unsigned n = 0; n <= most; n++) {
		bool all;

		sim_explore(&config, bound, n, run_limit(), one_run, NULL, &all);
		if (!all) {
			return (int)n - 1;
		}
	}
	return (int)most;
}

static void search_schedules(void)
{
	searched = (struct searched){ search_bound(SIM_PREEMPTIONS, PREEMPTIONS), -1, 0 };
	/* A tree too broad is cut another way, so that something is complete. */
	if (searched.preemptions < 1) {
		searched.detours = search_bound(SIM_DETOURS, PREEMPTIONS);
	}
}

static void search_states(void)
{
	const struct sim_config config = config_of(1);
	struct sim_search s = { .max_steps = run_limit() * RUN_STEPS };

	sim_explore_states(&config, PREEMPTIONS, &s, one_run, NULL);
	searched = (struct searched){ s.preemptions, -1, s.states };
}

static void search(void)
{
	/* States need a clock that stands. */
	if (STATES && !program->ticks) {
		search_states();
	} else {
		search_schedules();
	}
}

static void run_seeds(void)
{
	unsigned n = without ? SEEDS : test_scale(SEEDS);
	uint64_t steps;

	for (unsigned i = 0; i < n; i++) {
		struct sim_config config = config_of(1 + i);

		sim_run(&config, one_run, NULL);
		(void)sim_choices(&steps);
		config.pct_depth = PCT_DEPTH;
		config.pct_steps = steps + 1;
		sim_run(&config, one_run, NULL);
	}
}

static void replay(const char *text)
{
	const char *seed = getenv("VMBIND_SIM_SEED");
	struct sim_config config = config_of(seed ? strtoull(seed, NULL, 0) : 1);
	uint8_t *schedule = calloc(1, strlen(text) + 1);
	unsigned byte;

	CHECK(schedule);
	while (sscanf(text, "%2x", &byte) == 1) {
		schedule[config.replay_len++] = (uint8_t)byte;
		text += text[1] ? 2 : 1;
	}
	config.replay = schedule;
	sim_run(&config, one_run, NULL);
	free(schedule);
}

static void tally_reset(const struct litmus_without *gone)
{
	memset(tally, 0, sizeof(*tally));
	without = gone;
}

/* ---- without a guard ------------------------------------------------------------------------- */

static void search_broken(void *arg)
{
	int fd = *(int *)arg;

	alarm(30);
	dup2(fd, STDERR_FILENO);
	search();
	run_seeds();
}

/* The first line that says why the child has ended. */
static void read_reason(FILE *said, char *reason, size_t room)
{
	static const char mark[] = "vmbind: ";

	rewind(said);
	reason[0] = 0;
	while (fgets(reason, (int)room, said)) {
		if (strncmp(reason, mark, strlen(mark)) == 0) {
			reason[strcspn(reason, "\n")] = 0;
			memmove(reason, reason + strlen(mark), strlen(reason) - strlen(mark) + 1);
			return;
		}
	}
	reason[0] = 0;
}

static void must_fail(const struct litmus *l)
{
	char reason[160];
	FILE *said;
	int fd, status;

	tally_reset(&l->without);
	said = tmpfile();
	CHECK(said);
	fd = fileno(said);
	status = test_in_child(search_broken, &fd);
	without = NULL;
	if (status == 0) {
		test_fail(__FILE__, __LINE__, "%s: without its guard %llu runs were as with it",
			  l->name, (unsigned long long)tally->runs);
	}
	read_reason(said, reason, sizeof(reason));
	fclose(said);
	if (tally->forbidden[0]) {
		printf("#   without its guard: %s", tally->forbidden);
	} else if (reason[0]) {
		printf("#   without its guard: %.70s", reason);
	} else {
		printf("#   without its guard: ended with status 0x%x", status);
	}
	printf(", in run %llu\n", (unsigned long long)tally->runs + !tally->forbidden[0]);
}

/* ---- a litmus -------------------------------------------------------------------------------- */

static bool has_switch(const struct litmus *l)
{
	return l->without.vm || l->without.sync || l->without.lock || l->without.count;
}

static bool was_seen(const char *text, size_t len)
{
	for (unsigned i = 0; i < tally->count; i++) {
		if (strlen(tally->outcome[i].text) == len &&
		    memcmp(tally->outcome[i].text, text, len) == 0) {
			return true;
		}
	}
	return false;
}

static void print_row(const struct litmus *l)
{
	printf("# %s: %llu runs for all schedules with up to", l->name,
	       (unsigned long long)tally->runs);
	if (searched.preemptions >= 0) {
		printf(" %d preemption%s", searched.preemptions,
		       searched.preemptions == 1 ? "" : "s");
	}
	if (searched.detours >= 0) {
		printf("%s %d detour%s", searched.preemptions >= 0 ? "," : "", searched.detours,
		       searched.detours == 1 ? "" : "s");
	}
	if (searched.states) {
		printf(", %llu states", (unsigned long long)searched.states);
	}
	printf(";");
	for (unsigned i = 0; i < tally->count; i++) {
		printf(" %s %llu", tally->outcome[i].text,
		       (unsigned long long)tally->outcome[i].count);
	}
	for (const char *at = l->allowed; *at; at += strspn(at, " ")) {
		size_t len = strcspn(at, " ");

		if (!was_seen(at, len)) {
			printf(" (never: %.*s)", (int)len, at);
		}
		at += len;
	}
	printf("\n");
}

static void litmus_run(const struct litmus *l)
{
	const char *env = getenv("VMBIND_SIM_REPLAY");

	program = l;
	tally_reset(NULL);
	if (env) {
		replay(env);
		printf("# %s: %s\n", l->name, tally->outcome[0].text);
		return;
	}
	search();
	run_seeds();
	print_row(l);
	CHECK(has_switch(l) != (l->by_hand != NULL));
	if (has_switch(l)) {
		must_fail(l);
	} else {
		printf("#   by hand: %s\n", l->by_hand);
	}
	fflush(stdout);
}

/* ---- cases ----------------------------------------------------------------------------------- */

static const struct litmus *first_litmus, *next_litmus;
static size_t litmus_count;

/* Cases are called in the order of the table; test_main() leaves out those not asked for. */
static const char *wanted;

static void next_case(void)
{
	while (wanted && !strstr(next_litmus->name, wanted)) {
		next_litmus++;
	}
	CHECK(next_litmus < first_litmus + litmus_count);
	litmus_run(next_litmus++);
}

int litmus_main(const struct litmus *litmuses, size_t n, int argc, char **argv)
{
	struct test_case *cases = calloc(n, sizeof(*cases));
	int ret;

	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		     0);
	CHECK(cases && tally != MAP_FAILED);
	first_litmus = next_litmus = litmuses;
	litmus_count = n;
	wanted = argc < 2 ? NULL : argv[1];
	for (size_t i = 0; i < n; i++) {
		cases[i] = (struct test_case){ litmuses[i].name, next_case };
	}
	ret = test_main(cases, n, argc, argv);
	free(cases);
	return ret;
}

/* ---- set-ups --------------------------------------------------------------------------------- */

struct bo *litmus_bo(unsigned i, enum mem_region region)
{
	CHECK(!lit.bo[i]);
	lit.bo[i] = rig_bo(lit.device, PAGE_B, region);
	return lit.bo[i];
}

void litmus_fill(unsigned vm_flags)
{
	if (without) {
		lit.device->vm_env.without = without->vm;
		lit.device->sync.without = without->sync;
	}
	lit.vm[0] = rig_vm(lit.device, vm_flags);
	for (unsigned i = 0; i < 2; i++) {
		litmus_bo(i, MEM_SYSTEM);
		CHECK_OK(bind_queue_create(lit.vm[0], &lit.binds[i]));
	}
	for (unsigned i = 0; i < ARRAY_LEN(lit.in); i++) {
		lit.in[i] = rig_fence(lit.device);
	}
	lit.batch = rig_bo(lit.device, PAGE_B, MEM_SYSTEM);
	CHECK_OK(rig_bind(lit.vm[0], rig_map(lit.batch, BATCH, 0, PAGE_B)));
}

void litmus_device(void)
{
	lit.device = rig_device(SCHEDULE_NORMAL);
	litmus_fill(0);
}

void litmus_signal(unsigned i)
{
	if (lit.in[i] && !lit.in_done[i]) {
		lit.in_done[i] = true;
		fence_signal(lit.in[i], 0);
	}
}

static char letter_of(uint64_t stamp)
{
	for (unsigned i = 0; i < ARRAY_LEN(lit.bo); i++) {
		if (lit.bo[i] && stamp >> 32 == lit.bo[i]->id) {
			return (char)('A' + i);
		}
	}
	return '?';
}

char litmus_at(unsigned vm, uint64_t addr)
{
	struct gpu_fault fault;
	uint64_t stamp;

	if (device_access(lit.device, lit.vm[vm], addr, &stamp, sizeof(stamp), GPU_READ, &fault)) {
		return '-';
	}
	return letter_of(stamp);
}

char litmus_mapped(unsigned vm, uint64_t addr)
{
	const struct gpu_vm *hw = &lit.vm[vm]->hw;
	struct gpu_pte pte;
	unsigned level;

	if (gpu_walk(&mem_gpu_ops, &lit.device->mem, hw, addr, &pte, &level)) {
		return '-';
	}
	for (unsigned i = 0; i < ARRAY_LEN(lit.bo); i++) {
		if (lit.bo[i] && lit.bo[i]->place->extents[0].phys == pte.phys) {
			return (char)('A' + i);
		}
	}
	return '?';
}

char litmus_indexed(unsigned vm, uint64_t addr)
{
	struct vm_mapping mapping;

	if (!vm_mapping_next(lit.vm[vm], addr, &mapping) || mapping.start > addr) {
		return '-';
	}
	return letter_of(mapping.bo_id << 32);
}

uint64_t litmus_store(unsigned slot, uint64_t addr, uint32_t value)
{
	rig_batch_stores(lit.batch, slot * BATCH_B, &addr, &value, 1);
	return BATCH + slot * BATCH_B;
}

int litmus_wait(unsigned i)
{
	if (!lit.out[i]) {
		return 0;
	}
	CHECK_OK(fence_wait(lit.out[i], PORT_FOREVER, 0));
	return fence_error(lit.out[i]);
}
