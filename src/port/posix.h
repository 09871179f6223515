/* SPDX-License-Identifier: MIT */
/*
 * The real host: what src/node/ and tests need beside port.h when linked with it.
 */
#ifndef PORT_POSIX_H
#define PORT_POSIX_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Around every call from the client into the device: asynchronous signals are blocked between
 * enter and exit, cancellation is off, errno is kept. Calls nest.
 *
 * An interruptible sleep in between returns -EINTR when a signal is pending that the client's own
 * mask lets through and the client does not ignore, also when it was pending before. The handler
 * runs when the outermost port_client_exit() restores the mask, never inside: it finds no lock
 * held, may call in again and may leave by longjmp.
 */
void port_client_enter(void);
void port_client_exit(void);

/*
 * After -EINTR, before port_client_exit(): would a kernel restart the call by itself? Yes if every
 * signal now pending for the thread has a handler with SA_RESTART or none at all.
 */
bool port_client_restarts(void);
/* Is this a thread of the device, or one between port_client_enter() and port_client_exit()? */
bool port_inside(void);

/* How many locks of the port the calling thread holds; known even when checks are off. */
unsigned port_locks_held(void);
/*
 * Is @fd one of the descriptors the port keeps for itself? A client that closes all descriptors, or
 * duplicates one over it, must not reach it: answer as if it were not open.
 */
bool port_owns_fd(int fd);

/*
 * First refusal of SIGSEGV and SIGBUS: the host's own handler, installed at first use, repairs
 * faults of the guarded copies and passes everything else to the client's disposition. src/node/
 * diverts the client's sigaction() and signal() for these two signals here, so that the client can
 * install handlers and never removes ours. Other signals go straight through. Same contract as
 * sigaction(2), but 0 or -errno.
 */
int port_client_sigaction(int sig, const struct sigaction *act, struct sigaction *old_out);

/* port_host_memory_B() of a host whose files are below @root ("" is this one), for tests. */
uint64_t posix_host_memory_B(const char *root);

/*
 * Around fork(): takes the port's own locks meanwhile; in the child threads made with
 * port_thread_create() are gone, and joining one of them only frees it.
 */
void port_before_fork(void);
void port_after_fork_parent(void);
void port_after_fork_child(void);

#endif
