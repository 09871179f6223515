// SPDX-License-Identifier: MIT
/* Several threads on one VM, under every schedule, by seed. */
#include "clients.h"

#include "rig.h"

static void one_seed(uint64_t seed)
{
	(void)clients_run(seed);
}

static void test_clients_under_all_schedules(void)
{
	test_seeds(one_seed, 1, test_is_sim() ? test_scale(400) : test_scale(40));
}

static const struct test_case cases[] = {
	TEST(test_clients_under_all_schedules),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
