// SPDX-License-Identifier: MIT
/* Running a test's body in the simulator. */
#include "internal.h"
#include "test.h"

#include "port/sim.h"

#include <stdio.h>
#include <stdlib.h>

#define SCHEDULE_MAX 65536 /* choices of one run of test_schedules() */

void test_run_body(uint64_t seed, void (*fn)(void *arg), void *arg)
{
	struct sim_config config = { .seed = seed };

	sim_run(&config, fn, arg);
}

bool test_fd_is_of_port(int fd)
{
	(void)fd;
	return false;
}

bool test_is_sim(void)
{
	return true;
}

/* ---- all schedules --------------------------------------------------------------------------- */

static void call(void *arg)
{
	(*(void (**)(void))arg)();
}

static void run_schedule(void (*fn)(void), const uint8_t *schedule, uint64_t len)
{
	struct sim_config config = { .seed = 1, .replay = schedule, .replay_len = len };

	sim_run(&config, call, &fn);
}

/* Reads what a panic printed: two hexadecimal digits for each choice. */
static uint64_t parse_schedule(const char *text, uint8_t *schedule)
{
	uint64_t len = 0;
	unsigned byte;

	while (len < SCHEDULE_MAX && sscanf(text, "%2x", &byte) == 1) {
		schedule[len++] = (uint8_t)byte;
		text += text[1] ? 2 : 1;
	}
	return len;
}

uint64_t test_schedules(void (*fn)(void), unsigned preemptions, uint64_t limit)
{
	const char *env = getenv("VMBIND_SIM_REPLAY");
	const struct sim_config config = { .seed = 1 };

	if (env) {
		uint8_t *schedule = calloc(1, SCHEDULE_MAX);

		CHECK(schedule);
		run_schedule(fn, schedule, parse_schedule(env, schedule));
		free(schedule);
		return 1;
	}
	return sim_explore(&config, SIM_PREEMPTIONS, preemptions, limit, call, &fn, NULL);
}
