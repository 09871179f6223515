/* SPDX-License-Identifier: MIT */
/* The `vmbind` command: what its subcommands share. */
#ifndef TOOLS_TOOLS_H
#define TOOLS_TOOLS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

/* Exit codes of our own, as timeout(1) and env(1) have them. */
#define EXIT_TIMEOUT 124
#define EXIT_OURS 125
#define EXIT_CANNOT_RUN 126
#define EXIT_NOT_FOUND 127
#define EXIT_SIGNAL 128

struct subcommand {
	const char *name;
	const char *summary; /* one line of `vmbind help` */
	const char *help;    /* `vmbind help NAME` */
	/* argv[0] is the name. The exit code. */
	int (*run)(int argc, char **argv);
};

extern const struct subcommand subcommand_run, subcommand_env, subcommand_info, subcommand_sim;

/* "vmbind: " or "vmbind SUB: ", the text and a line end, on stderr. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
extern const char *complain_as;

/* ---- options.c ------------------------------------------------------------------------------- */

struct options {
	double timeout_s; /* 0: none */
	bool require_use;
	FILE *report;     /* NULL: none */
	char **command;   /* what follows, NULL-terminated; may be empty */
};

/* The text of the options common to `run` and `env`. */
#define OPTIONS_HELP                                                                               \
	"  --uapi NAME          kernel interface: xe (default) or i915\n"                         \
	"  --gpu NAME           what to be; bmg or dg2 by default, see `vmbind info`\n"      \
	"  --vm-bind-version N  of i915: 1, or 2 (default), which replaces and cuts mappings\n"  \
	"  --vram SIZE          memory of the GPU, for example 256M or 8G\n"                       \
	"  --visible-vram SIZE  how much of it the CPU can reach; all by default\n"                \
	"  --schedule NAME      when submitted work runs:\n"                                       \
	"                         normal       soon, on threads of its own (default)\n"            \
	"                         eager        at submission, if nothing holds it back\n"          \
	"                         lazy         as late as allowed\n"                               \
	"                         adversarial  as late and as reordered as allowed\n"              \
	"  --with-vgem          a second card without a GPU, for tests of sharing\n"               \
	"  --trace FILE         write each event of the device as a line; - is stderr\n"         \
	"  --check SET          of the device's own rules: 'rules' or 'none'\n"                   \
	"  --fault SPEC         what is to fail; see `vmbind help run`\n"

/*
 * Reads the options into the environment of this process, where the library finds them; for `run`
 * also those in @out. False after a complaint. `--help` prints @help and exits.
 */
bool options_parse(int argc, char **argv, const char *help, bool for_run, struct options *out);
/* Puts the library before what LD_PRELOAD says. False after a complaint. */
bool options_preload(void);

/* ---- program.c ------------------------------------------------------------------------------- */

/* Where @name is, by PATH. 0, or the exit code after a complaint. */
int program_find(const char *name, char path[PATH_MAX]);
/* Would a preloaded library reach it? 0, or the exit code after a complaint. */
int program_check(const char *path);
/*
 * Where @name, a part of vmbind, is: beside the running executable as it is installed, wherever
 * that may be, or in @in_build_tree from there. False after a complaint.
 */
bool program_part(const char *name, const char *in_build_tree, char path[PATH_MAX]);

/* ---- report.c -------------------------------------------------------------------------------- */

struct counters_shared;

/* How the command ended. */
struct outcome {
	bool started, timed_out;
	int code;         /* what `run` exits with */
	int signal;       /* that ended it; 0: none */
	double seconds;
	long max_rss_kib; /* of the largest of its processes */
};

/* Writes and closes @to. @counters: NULL if the command did not run. False after a complaint. */
bool report_write(FILE *to, char *const *command, const struct outcome *outcome,
		  const struct counters_shared *counters);

/* ---- fault.c --------------------------------------------------------------------------------- */

/* Is what the environment asks for sense? False after a complaint. */
bool fault_check(void);
/* Does it ask for any, or for a count? */
bool fault_wanted(void);
/* What happened, for people and for --report: one member and its comma. */
void fault_say(const struct counters_shared *counters);
void fault_report(FILE *to, const struct counters_shared *counters);

/* ---- supervise.c ----------------------------------------------------------------------------- */

/* Runs the command as a child; the exit code for `run`. */
int supervise(const char *path, const struct options *options);

#endif
