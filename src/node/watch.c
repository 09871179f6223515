// SPDX-License-Identifier: MIT
/*
 * What becomes of client memory where no interposed call announces it: inside libc, and in raw
 * system calls. port/posix_watch.c hears of that afterwards; here the device is told.
 *
 * It starts with the first window on client memory and ends with the process. A child has the
 * windows, but its memory is not watched before it uses the device.
 *
 * Locking: @start_lock while it is started.
 */
#include "node/node.h"

#include "node/options.h"

#include <stdlib.h>

static struct port_lock_class start_class = { .name = "node.watch", .rank = RANK_RESV };
static struct port_mutex start_lock;
static int unavailable; /* -errno; set while the device is made */
static atomic_bool lost; /* there are windows, and nothing is armed */

static __attribute__((constructor)) void init(void)
{
	port_mutex_init(&start_lock, &start_class);
}

int watch_probe(void)
{
	int fd = option_userfaultfd() ? port_watch_open() : -ECANCELED;

	unavailable = fd < 0 ? fd : 0;
	if (fd >= 0) {
		REAL(close)(fd);
	}
	return unavailable;
}

static void gone(uint64_t addr, uint64_t size_B)
{
	struct uapi_client_range range;

	node_enter();
	client_range_begin(&range, addr, size_B);
	client_range_end(&range);
	node_leave();
}

/* The next one who needs it tries again. */
static void start(void)
{
	int fd;

	if (unavailable || (port_watch_is_on() && !atomic_load(&lost))) {
		return;
	}
	port_mutex_lock(&start_lock);
	fd = port_watch_is_on() ? -1 : fd_hide(port_watch_open());
	if (fd >= 0) {
		(void)port_watch_start(fd, gone);
		port_watch_arm_all();
	}
	atomic_store(&lost, false);
	port_mutex_unlock(&start_lock);
}

void watch_resume(void)
{
	if (__builtin_expect(atomic_load_explicit(&lost, memory_order_relaxed), 0)) {
		start();
	}
}

void watch_in_child(void)
{
	atomic_store(&lost, port_watch_any());
}

bool host_watch(void *ctx, uint64_t addr, uint64_t size_B)
{
	start();
	return port_watch_is_on() && port_watch_add(addr, size_B);
}

void host_watch_arm(void *ctx, uint64_t addr, uint64_t size_B)
{
	start();
	port_watch_arm(addr, size_B);
}

void host_unwatch(void *ctx, uint64_t addr, uint64_t size_B)
{
	port_watch_remove(addr, size_B);
}
