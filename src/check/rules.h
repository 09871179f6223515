/* SPDX-License-Identifier: MIT */
/*
 * The rules of fences that no single place can see broken (design.md, "The rules"): fences that
 * wait for one another in a circle, and fences that do not signal in bounded time (R14). A reader
 * of the event stream. It also tells, from any panic, who waits for what.
 */
#ifndef CHECK_RULES_H
#define CHECK_RULES_H

#include "event/event.h"

/* Far above what a job may have of its engine, and what a machine under load adds. */
#define RULES_AGE_NS ((uint64_t)60 * 1000000000)

struct rules_node;
struct rules_edge;

struct rules {
	struct event_reader reader;  /* attached and detached by the owner */
	/* By the stream's lock. */
	uint64_t age_ns;             /* a fence that only waits for us signals within */
	struct rules_node *node;     /* owned; index 0 is none, as everywhere */
	struct rules_edge *edge;     /* owned */
	uint32_t node_free, node_top; /* freed ones, and those never used */
	uint32_t edge_free, edge_top;
	uint32_t nodes, edges;       /* in use */
	uint32_t oldest, youngest;   /* published fences that have not signalled */
	uint32_t mark;               /* of the last search */
	uint32_t circle, circle_on;  /* found: who would wait for whom; 0: none */
	uint32_t *bucket;            /* owned: first node, by context and seqno */
	uint64_t now_ns;             /* of the last event */
};

/* 0 or -ENOMEM. One per process: panics print what it knows. */
int rules_init(struct rules *rules, uint64_t age_ns);
/* Detached before. */
void rules_fini(struct rules *rules);

#endif
