// SPDX-License-Identifier: MIT
/* The table of small numbers. */
#include "test.h"

#include "base/ids.h"

#define THREADS 3
#define PER_THREAD 12

static int object[4096];

static void lowest_free_number_is_given_first(void)
{
	struct ids ids;
	uint32_t id;

	ids_init(&ids);
	for (uint32_t want = 1; want <= 40; want++) {
		CHECK_OK(ids_alloc(&ids, &object[want], &id));
		CHECK_EQ(id, want);
	}
	CHECK_EQ(ids_remove(&ids, 30), &object[30]);
	CHECK_EQ(ids_remove(&ids, 7), &object[7]);
	CHECK_OK(ids_alloc(&ids, &object[0], &id));
	CHECK_EQ(id, 7);
	CHECK_OK(ids_alloc(&ids, &object[0], &id));
	CHECK_EQ(id, 30);
	CHECK_OK(ids_alloc(&ids, &object[0], &id));
	CHECK_EQ(id, 41);
	ids_fini(&ids);
}

static void zero_and_unknown_numbers_find_nothing(void)
{
	struct ids ids;
	uint32_t id;

	ids_init(&ids);
	ids_lock(&ids);
	CHECK(!ids_find_locked(&ids, 1));
	ids_unlock(&ids);
	CHECK_OK(ids_alloc(&ids, object, &id));
	ids_lock(&ids);
	CHECK(!ids_find_locked(&ids, 0));
	CHECK(!ids_find_locked(&ids, 2));
	CHECK(!ids_find_locked(&ids, 1u << 30));
	CHECK(!ids_find_locked(&ids, UINT32_MAX));
	CHECK_EQ(ids_find_locked(&ids, id), object);
	ids_unlock(&ids);
	CHECK(!ids_remove(&ids, UINT32_MAX));
	ids_fini(&ids);
}

static void removal_happens_once(void)
{
	struct ids ids;
	uint32_t id;

	ids_init(&ids);
	CHECK(!ids_remove(&ids, 1));
	CHECK_OK(ids_alloc(&ids, object, &id));
	CHECK_EQ(ids_remove(&ids, id), object);
	CHECK(!ids_remove(&ids, id));
	ids_fini(&ids);
}

static void growth_keeps_every_object(void)
{
	struct ids ids;
	uint32_t id;

	ids_init(&ids);
	for (uint32_t i = 1; i < ARRAY_LEN(object); i++) {
		CHECK_OK(ids_alloc(&ids, &object[i], &id));
	}
	ids_lock(&ids);
	for (uint32_t i = 1; i < ARRAY_LEN(object); i++) {
		CHECK_EQ(ids_find_locked(&ids, i), &object[i]);
	}
	ids_unlock(&ids);
	ids_fini(&ids);
}

static void a_placeholder_is_replaced(void)
{
	struct ids ids;
	uint32_t id;

	ids_init(&ids);
	CHECK_OK(ids_alloc(&ids, &object[0], &id));
	ids_lock(&ids);
	ids_set_locked(&ids, id, &object[1]);
	CHECK_EQ(ids_find_locked(&ids, id), &object[1]);
	ids_unlock(&ids);
	ids_fini(&ids);
}

static void next_walks_in_order(void)
{
	static const uint32_t left[] = { 2, 3, 5, 17 };
	struct ids ids;
	uint32_t id;

	ids_init(&ids);
	id = 0;
	CHECK(!ids_next(&ids, &id));
	for (uint32_t i = 1; i <= 17; i++) {
		CHECK_OK(ids_alloc(&ids, &object[i], &id));
	}
	for (uint32_t i = 1; i <= 17; i++) {
		if (i != 2 && i != 3 && i != 5 && i != 17) {
			ids_remove(&ids, i);
		}
	}
	id = 0;
	for (unsigned i = 0; i < ARRAY_LEN(left); i++, id++) {
		CHECK_EQ(ids_next(&ids, &id), &object[left[i]]);
		CHECK_EQ(id, left[i]);
	}
	CHECK(!ids_next(&ids, &id));
	id = UINT32_MAX;
	CHECK(!ids_next(&ids, &id));
	ids_fini(&ids);
}

static void a_full_table_is_enomem(void)
{
	struct ids ids;
	uint32_t id = 0;

	ids_init(&ids);
	ids.cap = 1u << 24;
	ids.lowest_free = ids.cap;
	CHECK_ERR(ids_alloc(&ids, object, &id), -ENOMEM);
	CHECK_EQ(id, 0);
	ids.cap = 0;
	ids_fini(&ids);
}

struct taker {
	struct ids *ids;
	struct port_thread *thread;
	uint32_t id[PER_THREAD];
};

static void taker_run(void *arg)
{
	struct taker *t = arg;

	for (unsigned i = 0; i < PER_THREAD; i++) {
		CHECK_OK(ids_alloc(t->ids, t, &t->id[i]));
	}
}

static void take_together(uint64_t seed)
{
	struct taker takers[THREADS];
	struct ids ids;

	(void)seed;
	ids_init(&ids);
	for (unsigned i = 0; i < THREADS; i++) {
		takers[i].ids = &ids;
		CHECK_OK(port_thread_create(&takers[i].thread, "taker", taker_run, &takers[i]));
	}
	for (unsigned i = 0; i < THREADS; i++) {
		port_thread_join(takers[i].thread);
	}
	/* All numbers from 1 on, each owned by the thread that was told so. */
	for (unsigned i = 0; i < THREADS; i++) {
		for (unsigned j = 0; j < PER_THREAD; j++) {
			CHECK(takers[i].id[j] >= 1 && takers[i].id[j] <= THREADS * PER_THREAD);
			CHECK_EQ(ids_remove(&ids, takers[i].id[j]), &takers[i]);
		}
	}
	ids_fini(&ids);
}

static void threads_get_distinct_numbers_while_the_table_grows(void)
{
	test_seeds(take_together, 1, 100);
}

static void alloc_body(void *arg)
{
	struct ids ids;
	uint32_t id;

	(void)arg;
	ids_init(&ids);
	for (uint32_t want = 1; want <= 40; want++) {
		int ret = ids_alloc(&ids, &object[want], &id);

		if (ret) {
			CHECK_ERR(ret, -ENOMEM);
			CHECK(test_injected());
			test_injection_off();
			CHECK_OK(ids_alloc(&ids, &object[want], &id));
		}
		CHECK_EQ(id, want);
	}
	CHECK_EQ(ids_remove(&ids, 40), &object[40]);
	CHECK_EQ(ids_remove(&ids, 1), &object[1]);
	ids_fini(&ids);
}

static void a_failed_growth_changes_nothing(void)
{
	CHECK(test_sweep(PORT_FAULT_ALLOC, alloc_body, NULL) >= 6);
}

static void set_free_number(void *arg)
{
	struct ids ids;

	(void)arg;
	ids_init(&ids);
	ids_lock(&ids);
	ids_set_locked(&ids, 1, object);
}

static void replacing_what_is_not_there_panics(void)
{
	test_expect_abort(set_free_number, NULL, "ids_find_locked(ids, id)");
}

static const struct test_case cases[] = {
	TEST(lowest_free_number_is_given_first),
	TEST(zero_and_unknown_numbers_find_nothing),
	TEST(removal_happens_once),
	TEST(growth_keeps_every_object),
	TEST(a_placeholder_is_replaced),
	TEST(next_walks_in_order),
	TEST(a_full_table_is_enomem),
	TEST(threads_get_distinct_numbers_while_the_table_grows),
	TEST(a_failed_growth_changes_nothing),
	TEST(replacing_what_is_not_there_panics),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
