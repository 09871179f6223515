// SPDX-License-Identifier: MIT
/*
 * How long a command takes from start to end, and its memory: `spawn N COMMAND...` runs it N times
 * and prints the median time in microseconds and the median peak of resident memory in KiB.
 *
 * A program of its own because it must be small: a process starts with the peak of its parent.
 */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUNS_MAX 1000

static double us[RUNS_MAX], kib[RUNS_MAX];

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
	int runs = argc > 2 ? atoi(argv[1]) : 0;

	if (runs < 1 || runs > RUNS_MAX) {
		fputs("usage: spawn N COMMAND...\n", stderr);
		return 2;
	}
	for (int i = 0; i < runs; i++) {
		double start = now_us();
		struct rusage usage;
		int status, ret;
		pid_t pid;

		ret = posix_spawnp(&pid, argv[2], NULL, NULL, argv + 2, environ);
		if (ret || wait4(pid, &status, 0, &usage) != pid || status) {
			fprintf(stderr, "spawn: %s: %s\n", argv[2],
				ret ? strerror(ret) : "it failed");
			return 1;
		}
		us[i] = now_us() - start;
		kib[i] = (double)usage.ru_maxrss;
	}
	qsort(us, (size_t)runs, sizeof(us[0]), compare);
	qsort(kib, (size_t)runs, sizeof(kib[0]), compare);
	printf("%.1f %.0f\n", us[runs / 2], kib[runs / 2]);
	return 0;
}
