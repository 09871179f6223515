// SPDX-License-Identifier: MIT
/* A red-black tree as drivers have it: a node from malloc, both neighbours checked. */
#include "peer.h"

#define __unused __attribute__((unused)) /* tree.h wants it */
#include <bsd/sys/tree.h>
#include <stdio.h>
#include <stdlib.h>

struct range {
	RB_ENTRY(range) entry;
	uint64_t start, end;
};

static int compare(const struct range *a, const struct range *b)
{
	return a->start < b->start ? -1 : a->start > b->start;
}

RB_HEAD(ranges, range);
RB_PROTOTYPE_STATIC(ranges, range, entry, compare)
RB_GENERATE_STATIC(ranges, range, entry, compare)

static struct ranges ranges = RB_INITIALIZER(&ranges);

static _Noreturn void broken(const char *what)
{
	fprintf(stderr, "bench: the red-black tree: %s\n", what);
	exit(1);
}

static struct range *find(uint64_t addr)
{
	struct range *range = RB_ROOT(&ranges);

	while (range) {
		if (addr < range->start) {
			range = RB_LEFT(range, entry);
		} else if (addr >= range->end) {
			range = RB_RIGHT(range, entry);
		} else {
			return range;
		}
	}
	broken("nothing there");
}

static uint64_t rb_map(uint64_t start, uint64_t end)
{
	struct range *range = malloc(sizeof(*range)), *near;

	if (!range) {
		broken("no memory");
	}
	range->start = start;
	range->end = end;
	if (RB_INSERT(ranges, &ranges, range)) {
		broken("there already");
	}
	near = RB_PREV(ranges, &ranges, range);
	if (near && near->end > start) {
		broken("overlap");
	}
	near = RB_NEXT(ranges, &ranges, range);
	if (near && near->start < end) {
		broken("overlap");
	}
	return start;
}

static uint64_t rb_unmap(uint64_t start)
{
	struct range *range = find(start);

	RB_REMOVE(ranges, &ranges, range);
	free(range);
	return start;
}

static uint64_t rb_split(uint64_t start, uint64_t end)
{
	struct range *range = find(start);
	uint64_t last = range->end;

	range->end = start;
	return rb_map(end, last);
}

static uint64_t rb_lookup(uint64_t addr)
{
	return find(addr)->start;
}

static void rb_clear(void)
{
	struct range *range;

	while ((range = RB_ROOT(&ranges))) {
		RB_REMOVE(ranges, &ranges, range);
		free(range);
	}
}

const struct peer peer_rb = {
	.name = "rb_tree",
	.map = rb_map,
	.unmap = rb_unmap,
	.split = rb_split,
	.lookup = rb_lookup,
	.clear = rb_clear,
};
