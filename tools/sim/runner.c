// SPDX-License-Identifier: MIT
/* Many seeds, several at a time. */
#include "runner.h"

#include <sys/wait.h>
#include <time.h>

struct total {
	uint64_t passed, failed;
	uint64_t steps, refused, checked;
	uint64_t kinds[SIM_KIND_COUNT];
};

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

void runner_head(void)
{
	printf("%-9s %7s %7s %9s %9s %9s %8s %8s\n", "scenario", "seeds", "failed", "steps",
	       "refused", "read back", "seconds", "seeds/s");
}

static void ended(const struct runner *runner, struct run *run, int status, struct total *total)
{
	const struct sim_report *r = &run->report[0];

	run_finish(run, status);
	if (run->failure[0]) {
		total->failed++;
		run_explain(run);
		if (runner->minimize) {
			minimize(&run->plan, run->failure);
		}
		return;
	}
	total->passed++;
	total->steps += r->done;
	total->refused += r->failed;
	total->checked += r->checked;
	for (unsigned i = 0; i < SIM_KIND_COUNT; i++) {
		total->kinds[i] += r->kinds[i];
	}
	if (runner->hashes) {
		printf("%llu %016llx\n", (unsigned long long)run->plan.seed,
		       (unsigned long long)r->hash);
	}
}

/* So that a scenario that does nothing any more is seen. */
static void print_kinds(const struct total *total)
{
	const char *before = "  done: ";

	for (unsigned i = 0; i < SIM_KIND_COUNT; i++) {
		if (total->kinds[i]) {
			printf("%s%s %llu", before, sim_kind_name((enum sim_kind)i),
			       (unsigned long long)total->kinds[i]);
			before = ", ";
		}
	}
	fputc('\n', stdout);
}

/* In the order of the seeds, so that what is printed does not depend on which ends first. */
uint64_t runner_run(const struct runner *runner, const struct sim_plan *plan, uint64_t n,
		    uint64_t *passed_io)
{
	static struct run runs[RUNNER_JOBS];
	struct sim_plan next = *plan;
	struct total total = { 0 };
	uint64_t started = 0;
	double begin_s = now_s();

	for (uint64_t i = 0; i < n; i++) {
		struct run *run = &runs[i % runner->jobs];
		int status = 0;

		for (; started < n && started < i + runner->jobs; started++) {
			next.seed = plan->seed + started;
			run_start(&runs[started % runner->jobs], &next, true);
		}
		while (waitpid(run->pid, &status, 0) < 0) {
		}
		ended(runner, run, status, &total);
		run_release(run);
	}
	*passed_io += total.passed;
	if (!runner->hashes) {
		double took_s = now_s() - begin_s;

		printf("%-9s %7llu %7llu %9llu %9llu %9llu %8.1f %8.1f\n", plan->scenario->name,
		       (unsigned long long)n, (unsigned long long)total.failed,
		       (unsigned long long)total.steps, (unsigned long long)total.refused,
		       (unsigned long long)total.checked, took_s,
		       took_s > 0 ? (double)n / took_s : 0);
		print_kinds(&total);
	}
	return total.failed;
}
