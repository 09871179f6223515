// SPDX-License-Identifier: MIT
/* The device as a program of `vmbind run` sees it; its schedule is the one it was run with. */
#include "backend.h"

#include "uapi/vmb_drm.h"
#include "uapi/xe_drm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int fd;

bool backend_open(const char *schedule)
{
	const char *have = getenv("VMBIND_SCHEDULE");

	if (strcmp(have ? have : "normal", schedule) != 0) {
		return false;
	}
	fd = open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		perror("bench: no device; use `vmbind run`");
		exit(1);
	}
	return true;
}

void backend_close(void)
{
	close(fd);
}

int backend_ioctl(uint32_t cmd, void *arg)
{
	return ioctl(fd, cmd, arg) ? -errno : 0;
}

void *backend_map(uint32_t handle, uint64_t size_B)
{
	struct drm_xe_gem_mmap_offset args = { .handle = handle };
	void *map = MAP_FAILED;

	if (ioctl(fd, DRM_IOCTL_XE_GEM_MMAP_OFFSET, &args) == 0) {
		map = mmap(NULL, size_B, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			   (off_t)args.offset);
	}
	if (map == MAP_FAILED) {
		perror("bench: an object cannot be mapped");
		exit(1);
	}
	return map;
}

const bool backend_has_locks = false;

void backend_mutex_pairs(unsigned n)
{
}
