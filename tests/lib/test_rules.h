/* SPDX-License-Identifier: MIT */
/* The rules of fences, followed in tests that make a device. */
#ifndef TESTS_LIB_TEST_RULES_H
#define TESTS_LIB_TEST_RULES_H

#include "check/rules.h"

/*
 * From now until @stream ends each rule that is broken aborts. One device at a time is followed,
 * others pass unseen. Its memory is allocated: without, nothing is followed.
 */
void test_follow_rules(struct event_stream *stream);
/* Those of the stream that is followed; NULL: none is. */
struct rules *test_rules(void);

#endif
