// SPDX-License-Identifier: MIT
/* vmbind-sim: `vmbind sim`. Options, and the table of what was run. */
#include "runner.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define EXIT_OURS 125
#define STEPS 60u

static const char help[] =
	"usage: vmbind sim [OPTION...]\n"
	"\n"
	"Simulates devices and their clients: one seed is one execution, with every\n"
	"thread, time and failure drawn from it. Each seed is run twice, and must be the\n"
	"same twice. A failure prints what failed, the last events and the command that\n"
	"runs into it again. The exit code is 0, 1 when a seed failed, 125 for mistakes.\n"
	"\n"
	"  --seed N         the first seed; 1 by default\n"
	"  --seeds N        how many; 1 by default\n"
	"  --scenario NAME  what is drawn from: device (default), memory, ends, canary, or\n"
	"                   all, which is all but the canary (a bug that has to be found)\n"
	"  --without LIST   leaves out kinds of steps (map, kill, ...) and threads (thread3)\n"
	"  --steps N        of each thread, 60 by default, 256 at most\n"
	"  --skip LIST      leaves out steps: 0:3-7,1:12 are 3 to 7 of thread 0 and 12 of 1\n"
	"  --minimize       shortens a failure: leaves out what it does not need\n"
	"  --jobs N         seeds at a time; by default one for each processor\n"
	"  --hashes         prints each seed with the hash of its events\n";

enum {
	OPT_SEED = 256,
	OPT_SEEDS,
	OPT_SCENARIO,
	OPT_WITHOUT,
	OPT_STEPS,
	OPT_SKIP,
	OPT_MINIMIZE,
	OPT_JOBS,
	OPT_HASHES,
	OPT_HELP,
};

static const struct option options[] = {
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "seeds", required_argument, NULL, OPT_SEEDS },
	{ "scenario", required_argument, NULL, OPT_SCENARIO },
	{ "without", required_argument, NULL, OPT_WITHOUT },
	{ "steps", required_argument, NULL, OPT_STEPS },
	{ "skip", required_argument, NULL, OPT_SKIP },
	{ "minimize", no_argument, NULL, OPT_MINIMIZE },
	{ "jobs", required_argument, NULL, OPT_JOBS },
	{ "hashes", no_argument, NULL, OPT_HASHES },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

struct request {
	struct sim_plan plan;
	struct runner runner;
	uint64_t seeds;
	bool all;
};

static _Noreturn void mistake(const char *option, const char *value, const char *why)
{
	fprintf(stderr, "vmbind sim: %s: '%s' %s\n", option, value, why);
	exit(EXIT_OURS);
}

static uint64_t number(const char *option, const char *text, uint64_t least, uint64_t most)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-' || value < least || value > most) {
		mistake(option, text, "is not a number that it can be");
	}
	return value;
}

static void set_scenario(struct request *r, const char *name)
{
	r->all = strcmp(name, "all") == 0;
	for (unsigned i = 0; sim_scenario(i); i++) {
		if (strcmp(sim_scenario(i)->name, name) == 0) {
			r->plan.scenario = sim_scenario(i);
			return;
		}
	}
	if (!r->all) {
		mistake("--scenario", name,
			"is none; known are: all, device, memory, ends, canary");
	}
}

static void set_without(struct sim_plan *plan, char *list)
{
	for (char *word = strtok(list, ","); word; word = strtok(NULL, ",")) {
		unsigned thread;
		bool known = false;
		char rest;

		if (sscanf(word, "thread%u%c", &thread, &rest) == 1 && thread < SIM_THREADS) {
			plan->without_threads |= BIT(thread);
			continue;
		}
		for (unsigned i = 0; i < SIM_KIND_COUNT; i++) {
			if (strcmp(word, sim_kind_name((enum sim_kind)i)) == 0) {
				plan->without_kinds |= BIT(i);
				known = true;
			}
		}
		if (!known) {
			char names[512] = "is neither threadN nor one of";

			for (unsigned i = 0; i < SIM_KIND_COUNT; i++) {
				strcat(strcat(names, " "), sim_kind_name((enum sim_kind)i));
			}
			mistake("--without", word, names);
		}
	}
}

static void set_skip(struct sim_plan *plan, char *list)
{
	for (char *word = strtok(list, ","); word; word = strtok(NULL, ",")) {
		unsigned thread, first, last;
		char rest;
		int n = sscanf(word, "%u:%u-%u%c", &thread, &first, &last, &rest);

		if (n != 3) {
			n = sscanf(word, "%u:%u%c", &thread, &first, &rest) == 2 ? 2 : 0;
			last = first;
		}
		if (!n || thread >= SIM_THREADS || last >= SIM_STEPS || first > last) {
			mistake("--skip", word, "is not THREAD:STEP or THREAD:STEP-STEP");
		}
		for (unsigned i = first; i <= last; i++) {
			plan->skipped[thread][i / 64] |= BIT64(i % 64);
		}
	}
}

static void apply(struct request *r, int option, char *value)
{
	switch (option) {
	case OPT_SEED:
		r->plan.seed = number("--seed", value, 0, UINT64_MAX);
		break;
	case OPT_SEEDS:
		r->seeds = number("--seeds", value, 1, UINT32_MAX);
		break;
	case OPT_SCENARIO:
		set_scenario(r, value);
		break;
	case OPT_WITHOUT:
		set_without(&r->plan, value);
		break;
	case OPT_STEPS:
		r->plan.steps = (unsigned)number("--steps", value, 1, SIM_STEPS);
		break;
	case OPT_SKIP:
		set_skip(&r->plan, value);
		break;
	case OPT_MINIMIZE:
		r->runner.minimize = true;
		break;
	case OPT_JOBS:
		r->runner.jobs = (unsigned)number("--jobs", value, 1, RUNNER_JOBS);
		break;
	default:
		r->runner.hashes = true;
	}
}

static void parse(struct request *r, int argc, char **argv)
{
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (option == OPT_HELP || option == 'h') {
			fputs(help, stdout);
			exit(0);
		}
		if (option == ':' || option == '?') {
			mistake(argv[optind - 1], "", option == ':' ? "needs a value"
								    : "is no option");
		}
		apply(r, option, optarg);
	}
	if (optind < argc) {
		mistake("vmbind sim", argv[optind], "is not expected here");
	}
}

int main(int argc, char **argv)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct request r = {
		.plan = { .seed = 1, .scenario = sim_scenario(0), .steps = STEPS },
		.seeds = 1,
		.runner = { .jobs = cpus < 1 ? 1 : cpus > RUNNER_JOBS ? RUNNER_JOBS
								      : (unsigned)cpus },
	};
	uint64_t passed = 0, failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(&r, argc, argv);
	if (!r.runner.hashes) {
		runner_head();
	}
	for (unsigned i = 0; sim_scenario(i); i++) {
		if (r.all && !sim_scenario(i)->planted) {
			r.plan.scenario = sim_scenario(i);
		} else if (r.all || sim_scenario(i) != r.plan.scenario) {
			continue;
		}
		failed += runner_run(&r.runner, &r.plan, r.seeds, &passed);
	}
	if (!r.runner.hashes) {
		printf("%llu passed, %llu failed, 0 skipped\n", (unsigned long long)passed,
		       (unsigned long long)failed);
	}
	return failed != 0;
}
