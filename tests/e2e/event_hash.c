// SPDX-License-Identifier: MIT
/*
 * event_hash FIRST COUNT: prints "SEED HASH" for COUNT simulated runs, each made twice. Any two
 * builds of this program must print the same (scripts/determinism compares them).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "clients.h"
#include "port/sim.h"

static void run(void *arg)
{
	uint64_t *seed_to_hash = arg;

	*seed_to_hash = clients_run(*seed_to_hash);
}

static uint64_t hash_of(uint64_t seed)
{
	struct sim_config config = { .seed = seed };
	uint64_t io = seed;

	sim_run(&config, run, &io);
	return io;
}

int main(int argc, char **argv)
{
	uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;

	for (uint64_t seed = first; seed < first + count; seed++) {
		uint64_t hash = hash_of(seed);

		if (hash_of(seed) != hash) {
			fprintf(stderr, "seed %" PRIu64 ": two runs, two hashes\n", seed);
			return 1;
		}
		printf("%" PRIu64 " %016" PRIx64 "\n", seed, hash);
	}
	return 0;
}
