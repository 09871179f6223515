// SPDX-License-Identifier: MIT
/*
 * Options of the device: from the command line into the environment, checked on the way, so that
 * a mistake is found before the command runs. What is already in the environment stays the default.
 */
#include "tools.h"

#include "node/options.h"
#include "uapi/uapi.h"

#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIBRARY "libvmbind-node.so"

enum {
	OPT_UAPI = 256,
	OPT_GPU,
	OPT_BIND_VERSION,
	OPT_VRAM,
	OPT_VISIBLE,
	OPT_SCHEDULE,
	OPT_WITH_VGEM,
	OPT_TRACE,
	OPT_CHECK,
	OPT_TIMEOUT,
	OPT_REQUIRE_USE,
	OPT_REPORT,
	OPT_FAULT,
	OPT_HELP,
};

/* Those only `run` has come last. */
static const struct option all[] = {
	{ "uapi", required_argument, NULL, OPT_UAPI },
	{ "gpu", required_argument, NULL, OPT_GPU },
	{ "vm-bind-version", required_argument, NULL, OPT_BIND_VERSION },
	{ "vram", required_argument, NULL, OPT_VRAM },
	{ "visible-vram", required_argument, NULL, OPT_VISIBLE },
	{ "schedule", required_argument, NULL, OPT_SCHEDULE },
	{ "with-vgem", no_argument, NULL, OPT_WITH_VGEM },
	{ "trace", required_argument, NULL, OPT_TRACE },
	{ "fault", required_argument, NULL, OPT_FAULT },
	{ "check", required_argument, NULL, OPT_CHECK },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "require-use", no_argument, NULL, OPT_REQUIRE_USE },
	{ "report", required_argument, NULL, OPT_REPORT },
	{ NULL, 0, NULL, 0 },
};

#define COMMON 11

static const char *gpu_name(unsigned index)
{
	return uapi_gpu_name(option_uapi(), index);
}

static const char *check_set(unsigned index)
{
	static const char *const names[] = { "rules", "none" };

	return index < sizeof(names) / sizeof(names[0]) ? names[index] : NULL;
}

static const char *bind_version(unsigned index)
{
	static const char *const names[] = { "1", "2" };

	return index < sizeof(names) / sizeof(names[0]) ? names[index] : NULL;
}

static bool is_one_of(const char *what, const char *value, const char *(*list)(unsigned index))
{
	char known[256] = "";
	size_t len = 0;

	for (unsigned i = 0; list(i); i++) {
		if (strcmp(list(i), value) == 0) {
			return true;
		}
		if (len < sizeof(known)) {
			len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s",
						i ? ", " : "", list(i));
		}
	}
	complain("%s: unknown name '%s'; known are: %s", what, value, known);
	return false;
}

/* What the environment says, set just now or before us, is checked by its name in messages. */
static bool check_name(const char *env, const char *what, const char *(*list)(unsigned index))
{
	const char *value = getenv(env);

	/* The library takes an empty one for none, and so do we. */
	return !value || !*value || is_one_of(what, value, list);
}

static bool check_size(const char *env, const char *what, uint64_t *size_B_out)
{
	const char *value = getenv(env);

	*size_B_out = 0;
	if (!value) {
		return true;
	}
	if (!option_size(value, size_B_out) || !*size_B_out) {
		complain("%s: '%s' is not a size; say for example 256M or 8G", what, value);
		return false;
	}
	return true;
}

static bool check_all(void)
{
	uint64_t vram_B, visible_B;

	if (!check_name(ENV_UAPI, "--uapi", uapi_name) ||
	    !check_name(ENV_GPU, "--gpu", gpu_name) ||
	    !check_name(ENV_BIND_VERSION, "--vm-bind-version", bind_version) ||
	    !check_name(ENV_SCHEDULE, "--schedule", uapi_schedule_name) ||
	    !check_name(ENV_CHECK, "--check", check_set) ||
	    !check_size(ENV_VRAM, "--vram", &vram_B) ||
	    !check_size(ENV_VISIBLE_VRAM, "--visible-vram", &visible_B) ||
	    !fault_check()) {
		return false;
	}
	if (getenv(ENV_BIND_VERSION) && strcmp(option_uapi(), "i915") != 0) {
		complain("--vm-bind-version %s is of --uapi i915, and %s has no versions",
			 getenv(ENV_BIND_VERSION), option_uapi());
		return false;
	}
	if (vram_B && visible_B > vram_B) {
		complain("--visible-vram %s is more than --vram %s; leave it out to make all of "
			 "it visible", getenv(ENV_VISIBLE_VRAM), getenv(ENV_VRAM));
		return false;
	}
	return true;
}

/* The file is created, and emptied for `run`, so that the processes of the run can append. */
static bool set_trace(const char *name, bool truncate)
{
	char path[PATH_MAX];
	int fd;

	if (strcmp(name, "-") == 0) {
		return setenv(ENV_TRACE, name, 1) == 0;
	}
	fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC | (truncate ? O_TRUNC : 0), 0666);
	if (fd < 0) {
		complain("--trace: cannot write '%s': %s", name, strerror(errno));
		return false;
	}
	close(fd);
	if (!realpath(name, path)) {
		complain("--trace: cannot find '%s' again: %s", name, strerror(errno));
		return false;
	}
	return setenv(ENV_TRACE, path, 1) == 0;
}

static bool set_timeout(const char *text, double *timeout_s_out)
{
	char *end;
	double value = strtod(text, &end);

	if (end != text && strcmp(end, "s") == 0) {
		end++;
	}
	if (end == text || *end || !isfinite(value) || value <= 0 || value > 1e9) {
		complain("--timeout: '%s' is not a time; say seconds, for example 30 or 0.5", text);
		return false;
	}
	*timeout_s_out = value;
	return true;
}

/* Opened now: that it cannot be written is known before the command runs. */
static bool set_report(const char *name, struct options *out)
{
	int fd = strcmp(name, "-") == 0 ? fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3) :
		 open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

	if (out->report) {
		fclose(out->report);
	}
	out->report = fd < 0 ? NULL : fdopen(fd, "w");
	if (!out->report) {
		complain("--report: cannot write '%s': %s", name, strerror(errno));
	}
	return out->report;
}

static bool apply(int option, const char *value, bool for_run, struct options *out)
{
	switch (option) {
	case OPT_UAPI:
		return setenv(ENV_UAPI, value, 1) == 0;
	case OPT_GPU:
		return setenv(ENV_GPU, value, 1) == 0;
	case OPT_BIND_VERSION:
		return setenv(ENV_BIND_VERSION, value, 1) == 0;
	case OPT_VRAM:
		return setenv(ENV_VRAM, value, 1) == 0;
	case OPT_VISIBLE:
		return setenv(ENV_VISIBLE_VRAM, value, 1) == 0;
	case OPT_SCHEDULE:
		return setenv(ENV_SCHEDULE, value, 1) == 0;
	case OPT_WITH_VGEM:
		return setenv(ENV_WITH_VGEM, "1", 1) == 0;
	case OPT_TRACE:
		return set_trace(value, for_run);
	case OPT_FAULT:
		return setenv(ENV_FAULT, value, 1) == 0;
	case OPT_CHECK:
		return setenv(ENV_CHECK, value, 1) == 0;
	case OPT_TIMEOUT:
		return set_timeout(value, &out->timeout_s);
	case OPT_REPORT:
		return set_report(value, out);
	default:
		out->require_use = true;
		return true;
	}
}

bool options_parse(int argc, char **argv, const char *help, bool for_run, struct options *out)
{
	struct option options[sizeof(all) / sizeof(all[0])];
	int option;

	memcpy(options, all, sizeof(all));
	if (!for_run) {
		memset(&options[COMMON], 0, sizeof(options[COMMON]));
	}
	memset(out, 0, sizeof(*out));
	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:h", options, NULL)) != -1) {
		if (option == OPT_HELP || option == 'h') {
			fputs(help, stdout);
			exit(0);
		}
		if (option == ':') {
			complain("%s needs a value; see `vmbind help %s`", argv[optind - 1],
				 argv[0]);
			return false;
		}
		if (option == '?') {
			complain("there is no option '%s'; see `vmbind help %s`", argv[optind - 1],
				 argv[0]);
			return false;
		}
		if (!apply(option, optarg, for_run, out)) {
			return false;
		}
	}
	out->command = argv + optind;
	return check_all();
}

/* Is @path one of the words of @list? */
static bool preloaded(const char *list, const char *path)
{
	size_t len = strlen(path);

	while (*list) {
		size_t word = strcspn(list, ": ");

		if (word == len && strncmp(list, path, len) == 0) {
			return true;
		}
		list += word + (list[word] != '\0');
	}
	return false;
}

bool options_preload(void)
{
	const char *before = getenv("LD_PRELOAD");
	char path[PATH_MAX], *both;
	bool ok;

	if (!program_part(LIBRARY, "../src/node", path)) {
		return false;
	}
	if (strpbrk(path, ": ")) {
		complain("the loader cannot preload from a path with a colon or a space: '%s'; "
			 "move vmbind elsewhere", path);
		return false;
	}
	if (!before || !*before) {
		return setenv("LD_PRELOAD", path, 1) == 0;
	}
	if (preloaded(before, path)) {
		return true;
	}
	both = malloc(strlen(path) + strlen(before) + 2);
	if (!both) {
		complain("out of memory");
		return false;
	}
	sprintf(both, "%s:%s", path, before);
	ok = setenv("LD_PRELOAD", both, 1) == 0;
	free(both);
	return ok;
}
