// SPDX-License-Identifier: MIT
/*
 * What a job pays to leave its fence on an object that many queues use: lock, a place, the fence in
 * the place of the one its queue left before, unlock; beside the same on an object of one queue.
 *
 *	bench-resv [--rounds N] [--calls N] [FILTER]
 *	bench-resv --count QUEUES
 *
 * One line per measurement: NAME, median ns, NAME OF THE LIMIT, its ns, goal in ns (0: none). With
 * --count COUNT_N fences are added in counted(), for a tool that counts instructions there.
 */
#include "measure.h"

#include "sync/resv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MANY 64u
#define COUNT_N 2000u /* a round, too */
#define ROUNDS_MAX 1001u
#define NAME "exec_fence_add_64"

static unsigned rounds = 101;
static struct event_stream events;
static struct sync sync;
static struct resv resv;
static struct fence first[MANY], fence[COUNT_N];
static uint64_t seqno;

static void need(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "bench-resv: %s\n", what);
		exit(1);
	}
}

static void stays(struct fence *f)
{
	(void)f;
}

static const struct fence_ops ops = { .release = stays };

/* None of them signals; the queues take turns. */
static void make(struct fence *f, unsigned n, unsigned queues)
{
	for (unsigned i = 0; i < n; i++) {
		fence_init(&f[i], &sync, FENCE_DMA, &ops, 1 + i % queues, ++seqno);
	}
}

static void drop(struct fence *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		fence_put(&f[i]);
	}
}

static void add(struct fence *f, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		resv_lock(&resv);
		need(!resv_reserve(&resv, 1), "no memory");
		resv_add(&resv, &f[i], RESV_BOOKKEEP);
		resv_unlock(&resv);
	}
}

__attribute__((noinline)) void counted(void);
void counted(void)
{
	add(fence, COUNT_N);
}

/* The time of one. */
static double run(unsigned queues)
{
	uint64_t start;
	double ns;

	resv_init(&resv);
	make(first, queues, queues);
	add(first, queues);
	make(fence, COUNT_N, queues);
	start = now_ns();
	counted();
	ns = (double)(now_ns() - start) / COUNT_N;
	need(resv.count == queues, "not one fence of each queue");
	resv_fini(&resv);
	drop(first, queues);
	drop(fence, COUNT_N);
	return ns;
}

static double measure(unsigned queues)
{
	double ns[ROUNDS_MAX];

	run(queues); /* warm */
	for (unsigned i = 0; i < rounds; i++) {
		ns[i] = run(queues);
	}
	return median(ns, rounds);
}

static unsigned number(const char *text, unsigned max)
{
	unsigned long n = text ? strtoul(text, NULL, 0) : 0;

	need(n > 0 && n <= max, "not a number that makes sense");
	return (unsigned)n;
}

int main(int argc, char **argv)
{
	const char *filter = "";
	unsigned count = 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--rounds") == 0) {
			rounds = number(argv[++i], ROUNDS_MAX);
		} else if (strcmp(argv[i], "--calls") == 0) {
			i++; /* a round has as many fences as there are */
		} else if (strcmp(argv[i], "--count") == 0) {
			count = number(argv[++i], MANY);
		} else {
			filter = argv[i];
		}
	}
	event_stream_init(&events);
	need(!sync_init(&sync, &events), "no memory");
	if (count) {
		run(count);
	} else if (strstr(NAME, filter)) {
		double one = measure(1);

		printf("%s %.1f one_queue %.1f 0\n", NAME, measure(MANY), one);
	}
	sync_fini(&sync);
	event_stream_fini(&events);
	return 0;
}
