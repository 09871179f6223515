/* SPDX-License-Identifier: MIT */
/* An index of ranges under measurement; one at a time. Nothing that is mapped overlaps. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdint.h>

struct peer {
	const char *name;
	/* All return an address, so that a caller can depend on the answer. */
	uint64_t (*map)(uint64_t start, uint64_t end);
	uint64_t (*unmap)(uint64_t start);
	/* Leaves the parts of one range before @start and from @end on. */
	uint64_t (*split)(uint64_t start, uint64_t end);
	uint64_t (*lookup)(uint64_t addr); /* where the range starts */
	void (*clear)(void);
};

extern const struct peer peer_ours, peer_rb;

#endif
