// SPDX-License-Identifier: MIT
/* vmbind sim: a program of its own does it, with the other host below the same device. */
#include "tools.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM "vmbind-sim"

static const char help[] = "usage: vmbind sim [OPTION...]\n"
			   "\n"
			   "Simulates devices and their clients by seed, and checks them; says\n"
			   "what replays a failure, and makes it shorter. `vmbind sim --help` has\n"
			   "the options.\n";

static int run(int argc, char **argv)
{
	char path[PATH_MAX];

	(void)argc;
	if (!program_part(PROGRAM, "sim", path)) {
		return EXIT_OURS;
	}
	execv(path, argv);
	complain("cannot start %s: %s", path, strerror(errno));
	return EXIT_CANNOT_RUN;
}

const struct subcommand subcommand_sim = {
	.name = "sim",
	.summary = "simulate devices and their clients, checked, by seed",
	.help = help,
	.run = run,
};
