/* SPDX-License-Identifier: MIT */
/* What the files of the posix host share. */
#ifndef PORT_POSIX_INTERNAL_H
#define PORT_POSIX_INTERNAL_H

#include "port/internal.h"
#include "port/posix.h"

#include <pthread.h>
#include <signal.h>

/*
 * One per thread that ever called the port, reached through one thread-local pointer: a preloaded
 * library must ask little of the loader's static TLS. Everything belongs to the thread itself.
 */
struct thread_state {
	unsigned id;
	bool device;          /* made by port_thread_create() */
	unsigned client_depth; /* nesting of port_client_enter() */
	int client_errno;     /* the client's, while depth > 0 */
	int client_cancel;    /* likewise */
	sigset_t client_mask; /* likewise */
	struct lock_checks checks;
};

struct thread_state *thread_state(void);

/* port_wq_wait() without the checks and the fault point: for the locks of the port itself. */
int wq_sleep(struct port_wq *wq, uint32_t seq, uint64_t deadline_ns, unsigned flags);

void watch_fork_child(void);
void wait_before_fork(void);
void wait_after_fork(bool child);

#endif
