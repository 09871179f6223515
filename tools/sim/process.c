// SPDX-License-Identifier: MIT
/* One plan in a process of its own, and what is to be said when it fails. */
#include "runner.h"

#include "trace/trace.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS_MAX 120 /* of the host: a run that loops */
#define SAID_MAX 6000

static void in_child(struct run *run, bool twice)
{
	struct rlimit no_core = { 0, 0 };

	setrlimit(RLIMIT_CORE, &no_core);
	dup2(run->said, STDERR_FILENO);
	alarm(SECONDS_MAX);
	sim_run_plan(&run->plan, &run->report[0]);
	if (twice) {
		sim_run_plan(&run->plan, &run->report[1]);
		if (run->report[0].hash != run->report[1].hash) {
			snprintf(run->report[0].check, sizeof(run->report[0].check), "hash");
			snprintf(run->report[0].text, sizeof(run->report[0].text),
				 "two runs, two hashes of their events");
		}
	}
	exit(0); /* the leaks that a sanitizer finds count */
}

void run_start(struct run *run, const struct sim_plan *plan, bool twice)
{
	run->plan = *plan;
	run->failure[0] = '\0';
	run->report = mmap(NULL, 2 * sizeof(*run->report), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	run->said = memfd_create("vmbind-sim", MFD_CLOEXEC);
	ASSERT(run->report != MAP_FAILED && run->said >= 0);
	run->pid = fork();
	ASSERT(run->pid >= 0);
	if (run->pid == 0) {
		in_child(run, twice);
	}
}

/* The line that begins with @begin, or NULL; cut to @size_B. */
static const char *line_of(const char *said, const char *begin, char *line, size_t size_B)
{
	const char *at = strstr(said, begin);
	size_t n = at ? strcspn(at, "\n") : 0;

	if (!at) {
		return NULL;
	}
	n = n < size_B - 1 ? n : size_B - 1;
	memcpy(line, at, n);
	line[n] = '\0';
	return line;
}

static void read_said(const struct run *run, char said[SAID_MAX])
{
	ssize_t n = pread(run->said, said, SAID_MAX - 1, 0);

	said[n < 0 ? 0 : n] = '\0';
}

void run_finish(struct run *run, int status)
{
	const struct sim_report *r = run->report[1].tail_next ? &run->report[1] : &run->report[0];
	char said[SAID_MAX];

	read_said(run, said);
	if (run->report[0].check[0]) {
		r = &run->report[0];
	}
	if (r->check[0]) {
		snprintf(run->failure, FAILURE_B, "%s", r->check);
	} else if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		return;
	} else if (!line_of(said, "panic at ", run->failure, FAILURE_B) &&
		   !line_of(said, "ERROR: ", run->failure, FAILURE_B) &&
		   !line_of(said, "runtime error: ", run->failure, FAILURE_B)) {
		snprintf(run->failure, FAILURE_B, WIFSIGNALED(status) ? "signal %d" : "exit %d",
			 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	}
}

/* ---- the command ----------------------------------------------------------------------------- */

static void print_skips(FILE *to, const struct sim_plan *plan)
{
	const char *before = " --skip ";

	for (unsigned i = 0; i < SIM_THREADS; i++) {
		bool left_out = plan->without_threads & BIT(i);

		for (unsigned k = 0; k < plan->steps && !left_out; k++) {
			unsigned first = k;

			while (k < plan->steps && sim_skipped(plan, i, k)) {
				k++;
			}
			if (k == first) {
				continue;
			}
			fprintf(to, k - first > 1 ? "%s%u:%u-%u" : "%s%u:%u", before, i, first,
				k - 1);
			before = ",";
		}
	}
}

void plan_print(FILE *to, const struct sim_plan *plan)
{
	const char *before = " --without ";

	fprintf(to, "vmbind sim --scenario %s --seed %llu --steps %u", plan->scenario->name,
		(unsigned long long)plan->seed, plan->steps);
	for (unsigned i = 0; i < SIM_KIND_COUNT; i++) {
		if (plan->without_kinds & BIT(i)) {
			fprintf(to, "%s%s", before, sim_kind_name((enum sim_kind)i));
			before = ",";
		}
	}
	for (unsigned i = 0; i < SIM_THREADS; i++) {
		if (plan->without_threads & BIT(i)) {
			fprintf(to, "%sthread%u", before, i);
			before = ",";
		}
	}
	print_skips(to, plan);
	fputc('\n', to);
}

/* ---- what failed ----------------------------------------------------------------------------- */

static void print_tail(const struct sim_report *r)
{
	unsigned n = r->tail_next < SIM_TAIL ? r->tail_next : SIM_TAIL;

	printf("  the last %u events, each with its device:\n", n);
	for (unsigned i = 0; i < n; i++) {
		unsigned at = (r->tail_next - n + i) % SIM_TAIL;
		char line[400];

		trace_format(&r->tail[at].event, line, sizeof(line));
		printf("    d%u %s\n", r->tail[at].device, line);
	}
}

void run_explain(const struct run *run)
{
	/* The second run fails where the first one did not only if they differ. */
	const struct sim_report *r = run->report[0].over && run->report[1].tail_next
					     ? &run->report[1] : &run->report[0];
	char said[SAID_MAX], *line, *save;
	bool hash = strcmp(run->failure, "hash") == 0;

	r = hash ? &run->report[0] : r;
	read_said(run, said);
	printf("seed %llu of %s failed: %s\n", (unsigned long long)run->plan.seed,
	       run->plan.scenario->name, run->failure);
	if (r->check[0]) {
		printf("  %s\n", r->text);
	}
	if (!r->over) {
		printf("  at step %u of thread %u: %s (%u steps were taken)\n", r->step, r->thread,
		       sim_kind_name(r->kind), r->done);
	}
	print_tail(r);
	printf("  it said:\n");
	for (line = strtok_r(said, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		/* Its seed alone is not what replays it. */
		if (strncmp(line, "replay:", 7) != 0) {
			printf("    %s\n", line);
		}
	}
	printf("replay: ");
	plan_print(stdout, &run->plan);
}

void run_release(struct run *run)
{
	munmap(run->report, 2 * sizeof(*run->report));
	close(run->said);
}
