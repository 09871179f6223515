// SPDX-License-Identifier: MIT
#include "test.h"

static struct port_lock_class leaf_class = { .name = "leaf", .rank = RANK_LEAF };

static void mutex_excludes(void)
{
	struct port_mutex m;

	port_mutex_init(&m, &leaf_class);
	port_mutex_lock(&m);
	port_mutex_assert_held(&m);
	port_mutex_unlock(&m);
	port_mutex_fini(&m);
}

static const struct test_case cases[] = {
	TEST(mutex_excludes),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
