/* SPDX-License-Identifier: MIT */
/*
 * Programs that know nothing of vmbind: they open a DRM device by its name, as any client, and are
 * run by `vmbind run`. Each is a list of cases and prints TAP. A failed check ends its case.
 */
#ifndef TESTS_NODE_CLIENT_H
#define TESTS_NODE_CLIENT_H

#include "uapi/vmb_drm.h"
#include "uapi/xe_drm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CARD "/dev/dri/card0"
#define RENDER "/dev/dri/renderD128"
#define KIB 1024u

struct client_case {
	const char *name;
	void (*fn)(void);
};

#define CASE(fn) { #fn, fn }

/* Runs the cases, each in this process; the exit code for main(). */
int client_main(const struct client_case *cases, size_t n);

_Noreturn void client_fail(const char *file, int line, const char *what, long got, long wanted);

#define CHECK_EQ(got, wanted)                                                                      \
	do {                                                                                       \
		long got_ = (long)(got), wanted_ = (long)(wanted);                                 \
		if (got_ != wanted_) {                                                             \
			client_fail(__FILE__, __LINE__, #got " == " #wanted, got_, wanted_);       \
		}                                                                                  \
	} while (0)
#define CHECK(cond) CHECK_EQ(!!(cond), 1)
/* A call that must fail with @err. */
#define CHECK_ERRNO(call, err)                                                                     \
	do {                                                                                       \
		errno = 0;                                                                         \
		CHECK_EQ((long)(call), -1);                                                        \
		CHECK_EQ(errno, err);                                                              \
	} while (0)

/* ---- the device ------------------------------------------------------------------------------ */

int client_open(const char *name);
/* The driver answers VERSION on @fd: 0 or -errno. */
int client_version(int fd);
/* A buffer of @size_B in system memory; its handle. */
uint32_t client_bo(int fd, uint64_t size_B);
uint64_t client_mmap_offset(int fd, uint32_t handle);
/* An unsignalled syncobj. */
uint32_t client_syncobj(int fd);
/* Waits for it to get a fence and that to signal: 0 or -errno. */
int client_syncobj_wait(int fd, uint32_t handle, int64_t deadline_ns);
int client_syncobj_signal(int fd, uint32_t handle);
int64_t client_now_ns(void);
/* Number of open descriptors of this process, as the client can count them. */
int client_open_fds(void);

#endif
