/* SPDX-License-Identifier: MIT */
/* Several clients at once on one device, drawn from a seed; and a hash of all events. */
#ifndef TESTS_E2E_CLIENTS_H
#define TESTS_E2E_CLIENTS_H

#include <stdint.h>

/* Runs the clients; aborts on a wrong result. Returns the hash of the event stream. */
uint64_t clients_run(uint64_t seed);

#endif
