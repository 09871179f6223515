// SPDX-License-Identifier: MIT
/* vmbind env: the environment that makes a program see the device, for use by other means. */
#include "tools.h"

#include "node/options.h"

#include <stdio.h>

static const char help[] =
	"usage: vmbind env [OPTIONS]\n"
	"\n"
	"Prints the environment in which a program sees the device, one NAME=VALUE a line, for\n"
	"debuggers, service files or another libc's loader. In a shell:\n"
	"\n"
	"  env $(vmbind env --gpu lnl) ./app\n"
	"  gdb -ex \"set exec-wrapper env $(vmbind env | tr '\\n' ' ')\" ./app\n"
	"\n"
	"options:\n" OPTIONS_HELP;

static int run(int argc, char **argv)
{
	static const char *const names[] = {
		ENV_UAPI,     ENV_GPU,   ENV_BIND_VERSION, ENV_VRAM, ENV_VISIBLE_VRAM,
		ENV_SCHEDULE, ENV_TRACE, ENV_CHECK, ENV_WITH_VGEM, ENV_FAULT, ENV_USERFAULTFD,
		"LD_PRELOAD",
	};
	struct options options;

	if (!options_parse(argc, argv, help, false, &options)) {
		return EXIT_OURS;
	}
	if (*options.command) {
		complain("'%s' is too much; `vmbind run` runs commands", *options.command);
		return EXIT_OURS;
	}
	if (!options_preload()) {
		return EXIT_OURS;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (getenv(names[i])) {
			printf("%s=%s\n", names[i], getenv(names[i]));
		}
	}
	return 0;
}

const struct subcommand subcommand_env = {
	.name = "env",
	.summary = "print the environment that `run` would set",
	.help = help,
	.run = run,
};
