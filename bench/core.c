// SPDX-License-Identifier: MIT
/* The device in this process, entered where src/node/ enters it. */
#include "backend.h"

#include "check/rules.h"
#include "uapi/uapi.h"
#include "uapi/vmb_drm.h"
#include "uapi/xe_drm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct uapi_device *device;
static struct uapi_file *file;
static struct rules rules;
static bool follows;

bool backend_open(const char *schedule)
{
	const struct uapi_config config = {
		.gpu = "bmg",
		.schedule = schedule,
		.system_B = (uint64_t)1 << 30,
		.vram_B = (uint64_t)256 << 20,
	};
	const char *what = "", *check = getenv("VMBIND_CHECK");

	if (uapi_device_create(&config, &device, &what) || uapi_open(device, true, &file)) {
		fprintf(stderr, "bench: no device: %s\n", what);
		exit(1);
	}
	follows = check && strcmp(check, "rules") == 0 && !rules_init(&rules, RULES_AGE_NS);
	if (follows) {
		event_attach(uapi_device_events(device), &rules.reader);
	}
	return true;
}

void backend_close(void)
{
	uapi_close(file);
	if (follows) {
		event_detach(uapi_device_events(device), &rules.reader);
		rules_fini(&rules);
	}
	uapi_device_destroy(device);
}

int backend_ioctl(uint32_t cmd, void *arg)
{
	return uapi_ioctl(file, cmd, (uintptr_t)arg);
}

void *backend_map(uint32_t handle, uint64_t size_B)
{
	struct drm_xe_gem_mmap_offset args = { .handle = handle };
	uint64_t offset;
	int fd;

	if (backend_ioctl(DRM_IOCTL_XE_GEM_MMAP_OFFSET, &args) ||
	    uapi_mmap(file, args.offset, size_B, &fd, &offset)) {
		fprintf(stderr, "bench: an object cannot be mapped\n");
		exit(1);
	}
	return (char *)uapi_arena_base(device) + offset;
}

const bool backend_has_locks = true;

void backend_mutex_pairs(unsigned n)
{
	static struct port_lock_class class = { .name = "bench", .rank = RANK_LEAF };
	struct port_mutex lock;

	port_mutex_init(&lock, &class);
	while (n--) {
		port_mutex_lock(&lock);
		port_mutex_unlock(&lock);
	}
	port_mutex_fini(&lock);
}
