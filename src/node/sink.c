// SPDX-License-Identifier: MIT
/*
 * What a test program that runs as root likes to write to its machine: marks in the kernel log and
 * the trace buffer, consoles detached from a graphics driver that is not there, its own OOM score,
 * kernel tuning. On this device none of it may reach the host: the write goes to a memfd.
 *
 * Reading goes to the host, and a file opened for both begins with what the host says.
 */
#include "node/node.h"

#include <sys/syscall.h>

#define CONTENTS_MAX_B 4096

static bool ends_with(const char *path, const char *end)
{
	size_t len = strlen(path), end_len = strlen(end);

	return len >= end_len && strcmp(path + len - end_len, end) == 0;
}

static bool begins_with(const char *path, const char *begin)
{
	return strncmp(path, begin, strlen(begin)) == 0;
}

/* Last components of what could be a sink: a relative name is looked at only if it ends so. */
static bool suspicious(const char *name)
{
	static const char *const last[] = { "bind", "oom_score_adj", "oom_adj", "trace_marker",
					    "kmsg", "sysrq-trigger", "drop_caches",
					    "ftrace_dump_on_oops" };
	const char *slash = strrchr(name, '/');
	const char *base = slash ? slash + 1 : name;

	for (size_t i = 0; i < ARRAY_LEN(last); i++) {
		if (strcmp(base, last[i]) == 0) {
			return true;
		}
	}
	return false;
}

static bool wants(const char *path, bool writes)
{
	if (strcmp(path, "/dev/kmsg") == 0) {
		return true;
	}
	if (!writes) {
		return false;
	}
	if (begins_with(path, "/proc/")) {
		return begins_with(path, "/proc/sys/kernel/") ||
		       strcmp(path, "/proc/sys/vm/drop_caches") == 0 ||
		       strcmp(path, "/proc/sysrq-trigger") == 0 ||
		       ends_with(path, "/oom_score_adj") || ends_with(path, "/oom_adj");
	}
	if (begins_with(path, "/sys/")) {
		return ends_with(path, "/trace_marker") ||
		       (strstr(path, "/vtconsole/vtcon") && ends_with(path, "/bind"));
	}
	return false;
}

bool sink_wants(int dirfd, const char *name, const char *path, int flags)
{
	bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_TRUNC | O_CREAT));
	char link[32], whole[PATH_MAX];
	ssize_t len;

	if (*path || name[0] == '/' || dirfd < 0) {
		return *path && wants(path, writes);
	}
	if (!suspicious(name)) {
		return false;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
	len = REAL(readlink)(link, whole, sizeof(whole));
	if (len <= 0 || (size_t)len + strlen(name) + 2 > sizeof(whole)) {
		return false;
	}
	whole[len] = '/';
	strcpy(whole + len + 1, name);
	return wants(whole, writes);
}

int sink_open(const char *path, int flags)
{
	char contents[CONTENTS_MAX_B];
	ssize_t n = 0;

	if ((flags & O_ACCMODE) == O_RDWR && !(flags & O_TRUNC) && strcmp(path, "/dev/kmsg") != 0) {
		int fd = REAL(open)(path, O_RDONLY | O_CLOEXEC);

		n = fd < 0 ? 0 : REAL(read)(fd, contents, sizeof(contents));
		if (fd >= 0) {
			REAL(close)(fd);
		}
	}
	return text_open("vmbind-sink", contents, n < 0 ? 0 : (size_t)n,
			 (flags & O_CLOEXEC) | O_RDWR);
}

/* ---- the interposers ------------------------------------------------------------------------- */

static bool is_debug_fs(const char *type)
{
	return type && (strcmp(type, "debugfs") == 0 || strcmp(type, "tracefs") == 0);
}

/* What a client wants to find there is ours and needs no mount. */
EXPORT int mount(const char *source, const char *target, const char *type, unsigned long flags,
		 const void *data)
{
	return is_debug_fs(type) ? 0 : REAL(mount)(source, target, type, flags, data);
}

static bool is_debug_mount(const char *target)
{
	return target && (strcmp(target, "/sys/kernel/debug") == 0 ||
			  strcmp(target, "/sys/kernel/debug/tracing") == 0 ||
			  strcmp(target, "/sys/kernel/tracing") == 0 ||
			  strcmp(target, "/debug") == 0);
}

EXPORT int umount(const char *target)
{
	return is_debug_mount(target) ? 0 : REAL(umount)(target);
}

EXPORT int umount2(const char *target, int flags)
{
	return is_debug_mount(target) ? 0 : REAL(umount2)(target, flags);
}
