// SPDX-License-Identifier: MIT
/*
 * fork(), by docs/design.md, chapter P7: nobody is inside while the process is copied, and the
 * device parks its workers before and starts new ones after.
 *
 * Hooked with pthread_atfork(), which libc runs for its own forks too (daemon(), forkpty()), and
 * registered before main(), so that hooks of the program may use the device. posix_spawn() and
 * system() do not copy the process's memory and need nothing. A child of vfork() would share our
 * table with its parent, so vfork() is fork(), as POSIX allows.
 */
#include "node/node.h"

#include <pthread.h>

static void before(void)
{
	struct uapi_device *device = node_device_if_any();

	port_client_enter();
	gate_shut();
	if (device) {
		sync_before_fork();
		uapi_before_fork(device);
		port_before_fork();
	}
}

static void after_parent(void)
{
	struct uapi_device *device = node_device_if_any();

	if (device) {
		port_after_fork_parent();
		uapi_after_fork_parent(device);
	}
	gate_open();
	sync_after_fork();
	port_client_exit();
}

static void after_child(void)
{
	struct uapi_device *device = node_device_if_any();

	if (device) {
		port_after_fork_child();
		sync_in_child();
		watch_in_child();
		uapi_after_fork_child(device);
	}
	gate_open_child();
	sync_after_fork();
	port_client_exit();
}

static __attribute__((constructor)) void init(void)
{
	real_init();
	pthread_atfork(before, after_parent, after_child);
}

EXPORT pid_t vfork(void)
{
	return node_fork();
}
