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
	static const char *const places[] = {
		"../" VMBIND_LIBDIR "/vmbind/" PROGRAM,
		"../lib/vmbind/" PROGRAM,
		"sim/" PROGRAM,
	};
	char self[PATH_MAX], path[PATH_MAX + 64];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	(void)argc;
	if (len < 0) {
		complain("cannot tell where I am (/proc/self/exe: %s); is /proc mounted?",
			 strerror(errno));
		return EXIT_OURS;
	}
	self[len] = '\0';
	*strrchr(self, '/') = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", self, places[i]);
		execv(path, argv);
	}
	complain("cannot start " PROGRAM " from %s/../" VMBIND_LIBDIR
		 "/vmbind; install vmbind as a whole", self);
	return EXIT_OURS;
}

const struct subcommand subcommand_sim = {
	.name = "sim",
	.summary = "simulate devices and their clients, checked, by seed",
	.help = help,
	.run = run,
};
