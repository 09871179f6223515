// SPDX-License-Identifier: MIT
/* Running a test's body in the simulator. */
#include "internal.h"
#include "test.h"

#include "port/sim.h"

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
