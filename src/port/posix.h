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

/* ---- watching the client's memory, see posix_watch.c ---- */

/* Windows that are watched at a time: each may cost the client two of its 65530 mappings. */
#define PORT_WATCH_MAX 8192

/* Can it be had? A descriptor for port_watch_start(), or -errno: what the kernel says. */
int port_watch_open(void);
/*
 * From now on @gone is called, in a thread of its own, soon after the client has unmapped, moved or
 * dropped memory that is armed, or more than that. It may wait, and nobody for it. Takes over @fd.
 * 0, -ENOMEM, -EAGAIN. Not twice, and not beside another call of these.
 */
int port_watch_start(int fd, void (*gone)(uint64_t addr, uint64_t size_B));
/* When this returns @gone is not running. No lock held. */
void port_watch_stop(void);
bool port_watch_is_on(void);
/* Are there windows? */
bool port_watch_any(void);
/*
 * A window on [addr, addr + size_B), page aligned, that may overlap others; false when there are
 * too many. Nothing is told of it before it is armed; also while nothing runs. Under any lock but a
 * leaf.
 */
bool port_watch_add(uint64_t addr, uint64_t size_B);
/* It is no more: what no other window covers is not watched any more. Likewise. */
void port_watch_remove(uint64_t addr, uint64_t size_B);
/* Watches what is mapped there now; again after it was unmapped, and in a child. Any lock. */
void port_watch_arm(uint64_t addr, uint64_t size_B);
/* All that windows cover. */
void port_watch_arm_all(void);
/* Nothing is told of what is mapped there now until it is armed again. Any lock. */
void port_watch_disarm(uint64_t addr, uint64_t size_B);

#define PORT_CPU_WORDS 16
/*
 * The CPUs that threads made with port_thread_create() run on, now and later, in a child too; bit n
 * is CPU n. Those that the host has not are left out. 0; -EINVAL when none is left.
 */
int port_threads_set_cpus(const uint64_t mask[PORT_CPU_WORDS]);
/* What was set last; all that the host has at first. */
void port_threads_cpus(uint64_t mask_out[PORT_CPU_WORDS]);

/* port_host_memory_B() of a host whose files are below @root ("" is this one), for tests. */
uint64_t posix_host_memory_B(const char *root);

/*
 * Around fork(): takes the port's own locks meanwhile; in the child threads made with
 * port_thread_create() are gone, and joining one of them only frees it. What watched memory is not
 * running there.
 */
void port_before_fork(void);
void port_after_fork_parent(void);
void port_after_fork_child(void);

#endif
