// SPDX-License-Identifier: MIT
/*
 * The gate before the device (docs/design.md, chapter P7): a child made by fork() must not inherit
 * locks held by threads that it does not have. Calls count themselves in; fork() shuts the gate,
 * waits until the count is zero, and opens it again on both sides.
 *
 * It is not a lock of the port, because it is held by threads that sleep for as long as the client
 * likes, in a wait for a fence that another thread may have yet to submit. Such sleeps are the ones
 * that signals may end and in which the thread holds no lock; the inner ppoll() announces them.
 * fork() goes on without those threads. A sleeper that wakes meanwhile stops at the gate.
 *
 * Locking: four futex words; a word is changed first and the other side looked at afterwards, in
 * sequentially consistent order, on both sides.
 */
#include "node/gate.h"

#include "port/port.h"
#include "port/posix.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PIECE_NS 2000000

static atomic_uint gate_count;  /* threads inside, also those asleep */
static atomic_uint gate_asleep; /* of these, the ones that fork() need not wait for */
static atomic_uint gate_closed;

/* Set before anything else is touched: an allocator of the client may call us from inside. */
static _Thread_local bool busy __attribute__((tls_model("initial-exec")));

static void futex_wait(atomic_uint *word, unsigned value, const struct timespec *timeout)
{
	int saved_errno = errno;

	syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, timeout, NULL, 0);
	errno = saved_errno;
}

static void futex_wake(atomic_uint *word)
{
	int saved_errno = errno;

	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
	errno = saved_errno;
}

static void count_out(void)
{
	atomic_fetch_sub(&gate_count, 1);
	if (atomic_load(&gate_closed)) {
		futex_wake(&gate_count);
	}
}

void node_enter(void)
{
	busy = true;
	port_client_enter();
	for (;;) {
		while (atomic_load(&gate_closed)) {
			futex_wait(&gate_closed, 1, NULL);
		}
		atomic_fetch_add(&gate_count, 1);
		if (!atomic_load(&gate_closed)) {
			return;
		}
		count_out();
	}
}

void node_leave(void)
{
	count_out();
	busy = false;
	port_client_exit();
}

bool node_inside(void)
{
	bool inside;

	if (busy) {
		return true;
	}
	busy = true;
	inside = port_inside();
	busy = false;
	return inside;
}

void gate_shut(void)
{
	const struct timespec piece = { .tv_nsec = PIECE_NS };
	unsigned count;

	/* One fork at a time. */
	while (atomic_exchange(&gate_closed, 1)) {
		futex_wait(&gate_closed, 1, NULL);
	}
	while ((count = atomic_load(&gate_count)) != atomic_load(&gate_asleep)) {
		futex_wait(&gate_count, count, &piece);
	}
}

void gate_open(void)
{
	atomic_store(&gate_closed, 0);
	futex_wake(&gate_closed);
}

void gate_open_child(void)
{
	atomic_store(&gate_count, 0);
	atomic_store(&gate_asleep, 0);
	atomic_store(&gate_closed, 0);
}

void gate_sleep_begin(void)
{
	atomic_fetch_add(&gate_asleep, 1);
}

void gate_sleep_end(void)
{
	atomic_fetch_sub(&gate_asleep, 1);
	while (atomic_load(&gate_closed)) {
		atomic_fetch_add(&gate_asleep, 1);
		futex_wait(&gate_closed, 1, NULL);
		atomic_fetch_sub(&gate_asleep, 1);
	}
}
