// SPDX-License-Identifier: MIT
/*
 * How much memory there is: what the kernel says is available, and what the limits of our control
 * group leave of it, in a container for example. Memory that only caches files counts as free, it
 * is given up on demand.
 *
 * Asked while objects are made, with locks held: system calls only, no allocation, and nothing that
 * a preloaded library may have replaced.
 */
#include "port/posix.h"
#include "port/port.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TEXT_B 2048

/* What is in a file of @dir, at most TEXT_B - 1 bytes; "" when it cannot be read. */
static void text_read(const char *dir, const char *name, char *text)
{
	char path[512];
	size_t len = 0;
	long fd = -1, n;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) < sizeof(path)) {
		fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	}
	while (fd >= 0 && (n = syscall(SYS_read, fd, text + len, TEXT_B - 1 - len)) > 0) {
		len += (size_t)n;
	}
	if (fd >= 0) {
		syscall(SYS_close, fd);
	}
	text[len] = 0;
}

/* The number behind @key at the beginning of a line; @otherwise when there is none. */
static uint64_t number_after(const char *text, const char *key, uint64_t otherwise)
{
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, strlen(key)) == 0) {
			unsigned long long number;

			line += strlen(key);
			return sscanf(line, "%llu", &number) == 1 ? number : otherwise;
		}
	}
	return otherwise;
}

struct hierarchy {
	const char *line; /* in /proc/self/cgroup, before the path */
	const char *dir;
	const char *limit, *used;
	const char *cache[2]; /* in memory.stat */
};

static const struct hierarchy hierarchies[] = {
	{ "0::", "sys/fs/cgroup", "memory.max", "memory.current",
	  { "inactive_file ", "active_file " } },
	{ ":memory:", "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
	  { "total_inactive_file ", "total_active_file " } },
};

/* What the limit of one group leaves; UINT64_MAX without one. */
static uint64_t group_room(const struct hierarchy *h, const char *dir)
{
	char text[TEXT_B];
	uint64_t limit, used, cache = 0;

	text_read(dir, h->limit, text);
	limit = number_after(text, "", UINT64_MAX); /* "max" is no number */
	if (limit == UINT64_MAX) {
		return UINT64_MAX;
	}
	text_read(dir, h->used, text);
	used = number_after(text, "", 0);
	text_read(dir, "memory.stat", text);
	for (unsigned i = 0; i < 2; i++) {
		cache += number_after(text, h->cache[i], 0);
	}
	used -= cache < used ? cache : used;
	return used < limit ? limit - used : 0;
}

/*
 * Of our group and those around it. A container may show its own group as the root of all while the
 * path still tells where it is outside: directories that are not there have no limit.
 */
static uint64_t groups_room(const char *root, const struct hierarchy *h)
{
	char text[TEXT_B], dir[512], *path, *slash;
	uint64_t least = UINT64_MAX;
	int base;

	text_read(root, "proc/self/cgroup", text);
	path = strstr(text, h->line);
	path = path ? path + strlen(h->line) : text + strlen(text);
	path[strcspn(path, "\n")] = 0;
	base = snprintf(dir, sizeof(dir), "%s/%s", root, h->dir);
	if ((size_t)base + strlen(path) >= sizeof(dir)) {
		return UINT64_MAX;
	}
	strcpy(dir + base, path);
	for (;;) {
		uint64_t room = group_room(h, dir);

		least = room < least ? room : least;
		slash = strrchr(dir + base, '/');
		if (!slash) {
			return least;
		}
		*slash = 0;
	}
}

uint64_t posix_host_memory_B(const char *root)
{
	char text[TEXT_B];
	uint64_t size_B;

	text_read(root, "proc/meminfo", text);
	size_B = number_after(text, "MemAvailable:", 0) << 10;
	for (unsigned i = 0; i < sizeof(hierarchies) / sizeof(hierarchies[0]); i++) {
		uint64_t room = groups_room(root, &hierarchies[i]);

		size_B = room < size_B ? room : size_B;
	}
	return size_B & ~(((uint64_t)1 << 20) - 1);
}

uint64_t port_host_memory_B(void)
{
	return posix_host_memory_B("");
}
