// SPDX-License-Identifier: MIT
/* Running a test's body with real threads: it is just called. */
#include "internal.h"
#include "test.h"

#include "port/posix.h"

void test_run_body(uint64_t seed, void (*fn)(void *arg), void *arg)
{
	(void)seed;
	fn(arg);
}

bool test_fd_is_of_port(int fd)
{
	return port_owns_fd(fd);
}

bool test_is_sim(void)
{
	return false;
}

uint64_t test_schedules(void (*fn)(void), unsigned preemptions, uint64_t limit)
{
	(void)preemptions;
	for (unsigned i = 0; i < 20 && i < limit; i++) {
		fn();
	}
	return 0;
}
