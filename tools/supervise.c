// SPDX-License-Identifier: MIT
/*
 * The command as a child of ours: for a time limit, or to learn what it did with the device.
 *
 * With a time limit the command leads a process group of its own, which gets the terminal if we
 * have it, so that everything it started can be ended with it: SIGTERM, a moment, SIGKILL. Signals
 * sent to us are passed on. If we are killed, the kernel kills the command.
 *
 * What was done is counted in a memfd that the command inherits and the library maps. The library
 * knows the file by its identity, so a program that reuses the number is safe.
 */
#include "tools.h"

#include "node/options.h"
#include "trace/counters.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GRACE_S 3.0
#define COUNTERS_FD_FLOOR 200

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* What the processes of the command add to; they inherit the file behind. NULL: see errno. */
static struct counters_shared *counters_create(bool wanted)
{
	struct counters_shared *counters;
	int fd = memfd_create("vmbind-counters", 0), high;
	char value[80];
	struct stat st;

	if (fd < 0) {
		return NULL;
	}
	high = fcntl(fd, F_DUPFD, COUNTERS_FD_FLOOR);
	if (high >= 0) {
		close(fd);
		fd = high;
	}
	if (ftruncate(fd, sizeof(*counters)) || fstat(fd, &st)) {
		return NULL;
	}
	counters = mmap(NULL, sizeof(*counters), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (counters == MAP_FAILED) {
		return NULL;
	}
	counters->version = COUNTERS_VERSION;
	counters->wanted = wanted;
	snprintf(value, sizeof(value), "%d:%ju:%ju", fd, (uintmax_t)st.st_dev,
		 (uintmax_t)st.st_ino);
	return setenv(ENV_COUNTERS_FD, value, 1) ? NULL : counters;
}

static _Noreturn void child(const char *path, const struct options *options, pid_t parent,
			    const sigset_t *mask)
{
	if (options->timeout_s > 0) {
		setpgid(0, 0);
		if (tcgetpgrp(STDIN_FILENO) == getpgid(parent)) {
			/* SIGTTOU is blocked here, as everything is. */
			tcsetpgrp(STDIN_FILENO, getpid());
		}
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) {
		_exit(EXIT_OURS);
	}
	sigprocmask(SIG_SETMASK, mask, NULL);
	execv(path, options->command);
	complain("cannot run '%s': %s", path, strerror(errno));
	_exit(EXIT_CANNOT_RUN);
}

/* The next signal for us before @deadline_s; 0 when it passes. */
static int next_signal(const sigset_t *signals, double deadline_s)
{
	double left_s = deadline_s - now_s();
	struct timespec ts;
	int sig;

	if (deadline_s <= 0) {
		sig = sigwaitinfo(signals, NULL);
	} else {
		left_s = left_s > 0 ? left_s : 0;
		ts.tv_sec = (time_t)left_s;
		ts.tv_nsec = (long)((left_s - (double)ts.tv_sec) * 1e9);
		sig = sigtimedwait(signals, NULL, &ts);
	}
	return sig > 0 ? sig : errno == EAGAIN ? 0 : -1;
}

/* Waits for @pid. @group: signals go to all of its process group. */
static void watch(pid_t pid, bool group, double timeout_s, const sigset_t *signals,
		  struct outcome *out)
{
	double start_s = now_s(), deadline_s = timeout_s > 0 ? start_s + timeout_s : 0;
	pid_t target = group ? -pid : pid;
	struct rusage usage;
	int status;

	for (;;) {
		int sig = next_signal(signals, deadline_s);

		if (sig == 0) {
			kill(target, out->timed_out ? SIGKILL : SIGTERM);
			kill(target, SIGCONT);
			deadline_s = now_s() + GRACE_S;
			out->timed_out = true;
		} else if (sig > 0 && sig != SIGCHLD) {
			/* In one group with the command, the terminal has told it already. */
			if (group || (sig != SIGINT && sig != SIGQUIT)) {
				kill(target, sig);
			}
		}
		if (wait4(pid, &status, WNOHANG, &usage) == pid) {
			break;
		}
	}
	if (out->timed_out) {
		/* What outlived its leader. */
		kill(target, SIGKILL);
	}
	out->started = true;
	out->seconds = now_s() - start_s;
	out->max_rss_kib = usage.ru_maxrss;
	out->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	out->code = out->timed_out ? EXIT_TIMEOUT :
		    out->signal ? EXIT_SIGNAL + out->signal : WEXITSTATUS(status);
}

/* The rest of `run` once the command has ended; the exit code. */
static int conclude(const char *path, const struct options *options, struct outcome *outcome,
		    const struct counters_shared *counters)
{
	if (outcome->timed_out) {
		complain("'%s' did not end within %g seconds", path, options->timeout_s);
	} else if (options->require_use && !atomic_load(&counters->opens)) {
		complain("'%s' ended with %d and never opened the device.\n"
			 "If it should have, one of these is likely:\n"
			 "- it makes system calls without libc, which no preloaded library sees: "
			 "use a build that calls libc's open() and ioctl(), as libdrm does\n"
			 "- it started a static or a setuid program, or one with an environment "
			 "of its own: start that one with `vmbind run`",
			 path, outcome->code);
		outcome->code = EXIT_OURS;
	}
	if (fault_wanted()) {
		fault_say(counters);
	}
	if (options->report &&
	    !report_write(options->report, options->command, outcome, counters) &&
	    !outcome->code) {
		outcome->code = EXIT_OURS;
	}
	return outcome->code;
}

int supervise(const char *path, const struct options *options)
{
	static const int ours[] = { SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };
	struct counters_shared *counters = NULL;
	struct outcome outcome = { 0 };
	pid_t parent = getpid(), pid;
	sigset_t signals, before, everything;

	if (options->require_use || options->report || fault_wanted()) {
		counters = counters_create(options->report);
		if (!counters) {
			complain("cannot make memory to share with the command: %s",
				 strerror(errno));
			return EXIT_OURS;
		}
	}
	sigemptyset(&signals);
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		sigaddset(&signals, ours[i]);
	}
	sigfillset(&everything);
	sigprocmask(SIG_SETMASK, &everything, &before);
	pid = fork();
	if (pid < 0) {
		complain("cannot start a process: %s", strerror(errno));
		return EXIT_OURS;
	}
	if (pid == 0) {
		child(path, options, parent, &before);
	}
	if (options->timeout_s > 0) {
		setpgid(pid, pid); /* whoever comes first */
	}
	watch(pid, options->timeout_s > 0, options->timeout_s, &signals, &outcome);
	if (options->timeout_s > 0 && tcgetpgrp(STDIN_FILENO) == pid) {
		tcsetpgrp(STDIN_FILENO, getpgrp());
	}
	return conclude(path, options, &outcome, counters);
}
