// SPDX-License-Identifier: MIT
/*
 * A failure made shorter: whatever it fails without in the same way is left out. Threads first,
 * then kinds of steps, then the end of all threads, then pieces of them, from large to small; and
 * all of it again while that helps.
 */
#include "runner.h"

#include <sys/wait.h>

#define RUNS_MAX 600

struct search {
	struct sim_plan best;
	const char *failure;
	unsigned runs;
	unsigned done; /* steps that the best takes */
};

/* Does @plan fail like that? Then it is the best so far. */
static bool fails(struct search *s, const struct sim_plan *plan)
{
	struct run run;
	int status = 0;
	bool same;

	if (s->runs++ >= RUNS_MAX) {
		return false;
	}
	run_start(&run, plan, strcmp(s->failure, "hash") == 0);
	while (waitpid(run.pid, &status, 0) < 0) {
	}
	run_finish(&run, status);
	same = strcmp(run.failure, s->failure) == 0;
	if (same) {
		s->best = *plan;
		s->done = run.report[0].done + 1;
	}
	run_release(&run);
	return same;
}

static bool drop_threads(struct search *s)
{
	bool any = false;

	for (unsigned i = 0; i < SIM_THREADS; i++) {
		struct sim_plan plan = s->best;

		plan.without_threads |= BIT(i);
		any = (plan.without_threads != s->best.without_threads && fails(s, &plan)) || any;
	}
	return any;
}

static bool drop_kinds(struct search *s)
{
	bool any = false;

	for (unsigned i = 0; i < SIM_KIND_COUNT; i++) {
		struct sim_plan plan = s->best;

		plan.without_kinds |= BIT(i);
		if (plan.scenario->weight[i] && plan.without_kinds != s->best.without_kinds) {
			any = fails(s, &plan) || any;
		}
	}
	return any;
}

static bool drop_end(struct search *s)
{
	bool any = false;

	for (unsigned piece = s->best.steps / 2; piece; piece /= 2) {
		struct sim_plan plan = s->best;

		while (plan.steps > piece) {
			plan.steps -= piece;
			if (!fails(s, &plan)) {
				break;
			}
			any = true;
		}
	}
	return any;
}

static bool drop_piece(struct search *s, unsigned thread, unsigned first, unsigned n)
{
	struct sim_plan plan = s->best;
	bool new = false;

	for (unsigned i = first; i < first + n && i < plan.steps; i++) {
		new = new || !sim_skipped(&plan, thread, i);
		plan.skipped[thread][i / 64] |= BIT64(i % 64);
	}
	return new && fails(s, &plan);
}

static bool drop_pieces(struct search *s)
{
	bool any = false;

	for (unsigned n = 16; n; n /= 2) {
		for (unsigned thread = 0; thread < SIM_THREADS; thread++) {
			if (s->best.without_threads & BIT(thread)) {
				continue;
			}
			for (unsigned first = 0; first < s->best.steps; first += n) {
				any = drop_piece(s, thread, first, n) || any;
			}
		}
	}
	return any;
}

void minimize(struct sim_plan *plan, const char *failure)
{
	struct search s = { .best = *plan, .failure = failure };
	bool any = fails(&s, plan);
	unsigned before = s.done;

	if (!any) {
		printf("not shortened: it does not fail again in the same way\n");
		return;
	}
	while (any && s.runs < RUNS_MAX) {
		any = drop_threads(&s);
		any = drop_kinds(&s) || any;
		any = drop_end(&s) || any;
		any = drop_pieces(&s) || any;
	}
	printf("shortened from %u steps to %u, in %u runs; it still fails: %s\n", before, s.done,
	       s.runs, failure);
	printf("replay: ");
	plan_print(stdout, &s.best);
	*plan = s.best;
}
