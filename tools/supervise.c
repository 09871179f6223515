// SPDX-License-Identifier: MIT
/*
 * The command as a child of ours: for a time limit, or to learn whether it used the device.
 *
 * With a time limit the command leads a process group of its own, which gets the terminal if we
 * have it, so that everything it started can be ended with it: SIGTERM, a moment, SIGKILL. Signals
 * sent to us are passed on. If we are killed, the kernel kills the command.
 *
 * Use is reported through a memfd that the command inherits: the library writes a byte to it. It
 * knows the file by its identity, so a program that reuses the number is safe.
 */
#include "tools.h"

#include "node/options.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GRACE_S 3.0
#define USED_FD_FLOOR 200

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* The file that tells of use; inherited by the command. */
static int used_create(void)
{
	int fd = memfd_create("vmbind-used", 0), high;
	char value[80];
	struct stat st;

	if (fd < 0) {
		return -1;
	}
	high = fcntl(fd, F_DUPFD, USED_FD_FLOOR);
	if (high >= 0) {
		close(fd);
		fd = high;
	}
	if (fstat(fd, &st)) {
		return -1;
	}
	snprintf(value, sizeof(value), "%d:%ju:%ju", fd, (uintmax_t)st.st_dev,
		 (uintmax_t)st.st_ino);
	return setenv(ENV_USED_FD, value, 1) ? -1 : fd;
}

static bool was_used(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_size > 0;
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

/* Waits for @pid; its exit code. @group: signals go to all of its process group. */
static int watch(pid_t pid, bool group, double timeout_s, const sigset_t *signals)
{
	double deadline_s = timeout_s > 0 ? now_s() + timeout_s : 0;
	pid_t target = group ? -pid : pid;
	bool timed_out = false;
	int status;

	for (;;) {
		int sig = next_signal(signals, deadline_s);

		if (sig == 0) {
			kill(target, timed_out ? SIGKILL : SIGTERM);
			kill(target, SIGCONT);
			deadline_s = now_s() + GRACE_S;
			timed_out = true;
		} else if (sig > 0 && sig != SIGCHLD) {
			/* In one group with the command, the terminal has told it already. */
			if (group || (sig != SIGINT && sig != SIGQUIT)) {
				kill(target, sig);
			}
		}
		if (waitpid(pid, &status, WNOHANG) == pid) {
			break;
		}
	}
	if (timed_out) {
		/* What outlived its leader. */
		kill(target, SIGKILL);
		return EXIT_TIMEOUT;
	}
	return WIFSIGNALED(status) ? EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

int supervise(const char *path, const struct options *options)
{
	static const int ours[] = { SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2 };
	int used_fd = options->require_use ? used_create() : -1, code;
	pid_t parent = getpid(), pid;
	sigset_t signals, before, everything;

	if (options->require_use && used_fd < 0) {
		complain("cannot make a file for --require-use: %s", strerror(errno));
		return EXIT_OURS;
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
	code = watch(pid, options->timeout_s > 0, options->timeout_s, &signals);
	if (options->timeout_s > 0 && tcgetpgrp(STDIN_FILENO) == pid) {
		tcsetpgrp(STDIN_FILENO, getpgrp());
	}
	if (code == EXIT_TIMEOUT) {
		complain("'%s' did not end within %g seconds", path, options->timeout_s);
	} else if (options->require_use && !was_used(used_fd)) {
		complain("'%s' ended with %d and never opened the device", path, code);
		return EXIT_OURS;
	}
	return code;
}
