/* SPDX-License-Identifier: MIT */
/* Runs of plans in processes of their own: several at a time, what they say when they fail. */
#ifndef SIM_RUNNER_H
#define SIM_RUNNER_H

#include "sim.h"

#include <stdio.h>

#define RUNNER_JOBS 64u

struct runner {
	unsigned jobs;
	bool minimize, hashes;
};

/* The head of the table. */
void runner_head(void);
/* @n seeds from that of @plan on; adds to *@passed_io. Returns how many failed. */
uint64_t runner_run(const struct runner *runner, const struct sim_plan *plan, uint64_t n,
		    uint64_t *passed_io);

/* ---- one run (process.c) --------------------------------------------------------------------- */

/* How a run failed: the check, or where the panic was. Empty: it did not. */
#define FAILURE_B 160

struct run {
	struct sim_plan plan;
	struct sim_report *report; /* two, of the same plan; shared with the process */
	int pid, said;             /* its standard error, a file */
	char failure[FAILURE_B];
};

/* @twice: and compares. */
void run_start(struct run *run, const struct sim_plan *plan, bool twice);
/* After the process has ended with @status. */
void run_finish(struct run *run, int status);
/* Prints what failed, where, the last events. */
void run_explain(const struct run *run);
void run_release(struct run *run);
/* The command that runs @plan. */
void plan_print(FILE *to, const struct sim_plan *plan);

/* Leaves out of @plan what it fails without in the same way (minimize.c). */
void minimize(struct sim_plan *plan, const char *failure);

#endif
