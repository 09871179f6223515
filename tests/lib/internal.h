/* SPDX-License-Identifier: MIT */
/* What run_posix.c and run_sim.c supply to test.c. */
#ifndef TESTS_LIB_INTERNAL_H
#define TESTS_LIB_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

void test_run_body(uint64_t seed, void (*fn)(void *arg), void *arg);
/* Descriptors that the host keeps between calls are no leak. */
bool test_fd_is_of_port(int fd);

#endif
