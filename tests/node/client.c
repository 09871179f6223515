// SPDX-License-Identifier: MIT
/* What the client programs share. */
#include "client.h"

#include <setjmp.h>
#include <time.h>

static jmp_buf failed;
static pid_t runner; /* a child does not go on with the next case */

_Noreturn void client_fail(const char *file, int line, const char *what, long got, long wanted)
{
	fprintf(stderr, "# %s:%d: %s: %ld, not %ld\n", file, line, what, got, wanted);
	if (getpid() != runner) {
		_exit(1);
	}
	longjmp(failed, 1);
}

int client_main(const struct client_case *cases, size_t n)
{
	volatile size_t bad = 0;

	runner = getpid();
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (volatile size_t i = 0; i < n; i++) {
		if (setjmp(failed)) {
			bad++;
			printf("not ok %zu - %s\n", i + 1, cases[i].name);
		} else {
			cases[i].fn();
			printf("ok %zu - %s\n", i + 1, cases[i].name);
		}
	}
	printf("1..%zu\n", n);
	return bad ? 1 : 0;
}

int client_open(const char *name)
{
	int fd = open(name, O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

int client_version(int fd)
{
	char name[16] = "";
	struct drm_version version = { .name_len = sizeof(name), .name = (uintptr_t)name };

	if (ioctl(fd, DRM_IOCTL_VERSION, &version)) {
		return -errno;
	}
	return strcmp(name, "xe") == 0 ? 0 : -EPROTO;
}

uint32_t client_bo(int fd, uint64_t size_B)
{
	struct drm_xe_gem_create create = {
		.size = size_B,
		.placement = 1,
		.cpu_caching = DRM_XE_GEM_CPU_CACHING_WB,
	};

	CHECK_EQ(ioctl(fd, DRM_IOCTL_XE_GEM_CREATE, &create), 0);
	return create.handle;
}

uint64_t client_mmap_offset(int fd, uint32_t handle)
{
	struct drm_xe_gem_mmap_offset offset = { .handle = handle };

	CHECK_EQ(ioctl(fd, DRM_IOCTL_XE_GEM_MMAP_OFFSET, &offset), 0);
	return offset.offset;
}

uint32_t client_syncobj(int fd)
{
	struct drm_syncobj_create create = { 0 };

	CHECK_EQ(ioctl(fd, DRM_IOCTL_SYNCOBJ_CREATE, &create), 0);
	return create.handle;
}

int client_syncobj_wait(int fd, uint32_t handle, int64_t deadline_ns)
{
	struct drm_syncobj_wait wait = {
		.handles = (uintptr_t)&handle,
		.count_handles = 1,
		.timeout_nsec = deadline_ns,
		.flags = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT,
	};

	return ioctl(fd, DRM_IOCTL_SYNCOBJ_WAIT, &wait) ? -errno : 0;
}

int client_syncobj_signal(int fd, uint32_t handle)
{
	struct drm_syncobj_array array = { .handles = (uintptr_t)&handle, .count_handles = 1 };

	return ioctl(fd, DRM_IOCTL_SYNCOBJ_SIGNAL, &array) ? -errno : 0;
}

int64_t client_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

int client_open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++) {
		n += fcntl(fd, F_GETFD) >= 0;
	}
	return n;
}
