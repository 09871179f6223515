// SPDX-License-Identifier: MIT
/* vmbind run: a command that sees the device. */
#include "tools.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
	"usage: vmbind run [OPTIONS] [--] COMMAND [ARGUMENTS]\n"
	"\n"
	"Runs COMMAND, unmodified, on a machine that seems to have a GPU: /dev/dri/card0 and\n"
	"/dev/dri/renderD128 and what sysfs says of them. Other programs see nothing of it.\n"
	"\n"
	"options:\n" OPTIONS_HELP
	"  --timeout SECONDS    end the command and all of its process group after this time\n"
	"  --require-use        fail if nothing opened the device\n"
	"  --report FILE        write what was done as JSON when the command has ended\n"
	"\n"
	"--fault makes calls of the device fail: one or several of these, separated by commas.\n"
	"  alloc=WHEN               memory of the device, never the command's own\n"
	"  bind=WHEN[:ERROR]        a list of binds whose arguments are right; ENOMEM by default\n"
	"  wait=WHEN                a wait that signals can end: EINTR, as if by a handler\n"
	"  ioctl:NAME=WHEN[:ERROR]  an ioctl, before it does anything\n"
	"  vram=N                   from the N-th request on there is no memory of the GPU: what\n"
	"                           may be nowhere else is refused\n"
	"WHEN is N (the N-th), everyN or fromN. For alloc, wait and vram /NAME at the end counts\n"
	"only those in one ioctl; alloc@FILE:LINE= and wait@FILE:LINE= those at one place in\n"
	"vmbind's source. For example: alloc=7, alloc=3/VM_BIND, alloc@src/vm/job.c:64=1,\n"
	"wait=every3, ioctl:VM_BIND=5:ENOSPC, vram=10.\n"
	"Afterwards stderr says what failed where, and how many of each there were; --fault count\n"
	"only counts. Counting begins when the device is there, in each process for itself. With\n"
	"one thread and --schedule eager the N-th is the same each time; threads are counted in\n"
	"the order in which they come.\n"
	"\n"
	"The exit code is the command's, 128+N when signal N ended it. 124: the timeout passed.\n"
	"125: vmbind itself failed, or the device was required and not used. 126: the command\n"
	"cannot be run. 127: it was not found.\n"
	"\n"
	"The device lives in a library that is preloaded into COMMAND and what it starts. That\n"
	"does not reach static programs, setuid programs of another user and those that make\n"
	"system calls without libc: run a dynamically linked build, a copy without the setuid\n"
	"bit, a build that opens the device through libc.\n";

/* Where the command is, with everything set for it; 0, or the exit code after a complaint. */
static int prepare(const struct options *options, char path[PATH_MAX])
{
	int code = program_find(*options->command, path);

	if (!code) {
		code = program_check(path);
	}
	return code || options_preload() ? code : EXIT_OURS;
}

static int run(int argc, char **argv)
{
	struct options options;
	char path[PATH_MAX];
	int code;

	if (!options_parse(argc, argv, help, true, &options)) {
		return EXIT_OURS;
	}
	if (!*options.command) {
		complain("there is no command; say `vmbind run -- COMMAND`");
		return EXIT_OURS;
	}
	code = prepare(&options, path);
	if (code) {
		const struct outcome outcome = { .code = code };

		if (options.report) {
			report_write(options.report, options.command, &outcome, NULL);
		}
		return code;
	}
	if (options.timeout_s > 0 || options.require_use || options.report || fault_wanted()) {
		return supervise(path, &options);
	}
	execv(path, options.command);
	complain("cannot run '%s': %s", path, strerror(errno));
	return EXIT_CANNOT_RUN;
}

const struct subcommand subcommand_run = {
	.name = "run",
	.summary = "run a command on the device",
	.help = help,
	.run = run,
};
