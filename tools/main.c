// SPDX-License-Identifier: MIT
/* vmbind: one subcommand per file; this one finds it. */
#include "tools.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct subcommand *const subcommands[] = {
	&subcommand_run,
	&subcommand_env,
	&subcommand_info,
	&subcommand_sim,
};

#define SUBCOMMANDS (sizeof(subcommands) / sizeof(subcommands[0]))

const char *complain_as = "vmbind";

void complain(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", complain_as);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

static void usage(FILE *to)
{
	fputs("A GPU with VM_BIND that needs no GPU and no kernel driver.\n\nusage:\n", to);
	for (size_t i = 0; i < SUBCOMMANDS; i++) {
		fprintf(to, "  vmbind %-11s %s\n", subcommands[i]->name, subcommands[i]->summary);
	}
	fputs("  vmbind help [SUB]  this list, or all about one of them\n"
	      "  vmbind --version\n",
	      to);
}

static const struct subcommand *find(const char *name)
{
	for (size_t i = 0; i < SUBCOMMANDS; i++) {
		if (strcmp(subcommands[i]->name, name) == 0) {
			return subcommands[i];
		}
	}
	complain("there is no subcommand '%s'; `vmbind help` lists them", name);
	return NULL;
}

static int help(const char *name)
{
	const struct subcommand *sub;

	if (!name) {
		usage(stdout);
		return 0;
	}
	sub = find(name);
	if (!sub) {
		return EXIT_OURS;
	}
	fputs(sub->help, stdout);
	return 0;
}

int main(int argc, char **argv)
{
	static char name[64];
	const struct subcommand *sub;

	if (argc < 2) {
		usage(stderr);
		return EXIT_OURS;
	}
	if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
	    strcmp(argv[1], "-h") == 0) {
		return help(argc > 2 ? argv[2] : NULL);
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("vmbind " VMBIND_VERSION);
		return 0;
	}
	sub = find(argv[1]);
	if (!sub) {
		return EXIT_OURS;
	}
	snprintf(name, sizeof(name), "vmbind %s", sub->name);
	complain_as = name;
	return sub->run(argc - 1, argv + 1);
}
