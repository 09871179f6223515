/* SPDX-License-Identifier: MIT */
/*
 * What the files of the port share with one another, and nobody else may include.
 *
 * Common to both hosts: panic.c, lockcheck.c, fault.c, memory.c, guard.c. A host adds the functions
 * named host_*() below.
 */
#ifndef PORT_INTERNAL_H
#define PORT_INTERNAL_H

#include "port/port.h"

#include <signal.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PORT_TSAN 1
#endif
#if __has_feature(address_sanitizer)
#define PORT_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define PORT_TSAN 1
#endif
#if defined(__SANITIZE_ADDRESS__)
#define PORT_ASAN 1
#endif

#define CALLER ((uintptr_t)__builtin_return_address(0))

/* ---- spin lock: for state that no rank covers, held for a few instructions ------------------- */

struct spin {
	atomic_flag flag;
};

#define SPIN_INIT { ATOMIC_FLAG_INIT }

void spin_lock(struct spin *s);
void spin_unlock(struct spin *s);
/* In the child of a fork: whoever held it is gone. */
void spin_reset(struct spin *s);

/* ---- lock checker ---------------------------------------------------------------------------- */

#define HELD_MAX 20

/* All locks of one class a thread holds; more than one only for PORT_LOCK_NEST classes. */
struct held {
	struct port_lock_class *class;
	const void *lock; /* the only one, or NULL when several are held */
	const char *where;  /* the first was taken */
	unsigned count;
};

/* What one thread holds. Touched by that thread only (and by a panic). */
struct lock_checks {
	unsigned locks;       /* held, counted even when checks are off */
	uint64_t classes;     /* bit per class id held */
	unsigned depth;       /* entries of held[] in use, in order of acquisition */
	unsigned sections;    /* entries of held[] that are no locks */
	unsigned signalling, publishing, notifier, helping; /* nesting */
	uint64_t context, seqno; /* of the fence that is published or signalled */
	uint64_t start, end;  /* client memory that is pinned or goes; nothing: none does */
	const char *doing;    /* see port_doing() */
	uint64_t doing_nr;
	struct held held[HELD_MAX];
	/* Of faults, see fault.c. */
	const char *fault_ioctl;   /* the one that the thread is in; only while faults are armed */
	bool fault_interrupted;    /* the last -EINTR was made */
};

/* Are checks on? Asked at every lock, so inline. 0: not known yet, 1: off, 2: on. */
extern atomic_int lockcheck_state;
bool lockcheck_decide(void);

static inline bool lockcheck_on(void)
{
	int state = atomic_load_explicit(&lockcheck_state, memory_order_relaxed);

	return __builtin_expect(state == 0, 0) ? lockcheck_decide() : state == 2;
}

/* Before a lock that the caller may have to wait for: rank, recursion, cycle. */
void lockcheck_before(struct port_lock_class *class, const void *lock, const char *where);
void lockcheck_acquired(struct port_lock_class *class, const void *lock, const char *where);
void lockcheck_release(struct port_lock_class *class, const void *lock, uintptr_t where);
bool lockcheck_holds(const struct port_lock_class *class, const void *lock);
/* Client memory [@start, @end) is looked for, which its client may be taking away (R8). */
void lockcheck_pin(uint64_t start, uint64_t end, const char *where);
void lockcheck_alloc(const char *what, uint64_t size_B, const char *where);
void lockcheck_sleep(const char *what);
void lockcheck_no_locks(const char *what);
/* The thread is about to end. */
void lockcheck_thread_end(void);
void lockcheck_fork_child(void);

/* ---- faults ---------------------------------------------------------------------------------- */

/* Was the -EINTR that the thread was given last a made one? Asked once. */
bool fault_interrupted(void);

/* ---- panic ----------------------------------------------------------------------------------- */

/* Like printf to standard error, in one write and without stdio's locks; long text is cut. */
void panic_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A code address as "module+0x123", as addr2line wants it. */
void panic_print_where(const char *before, uintptr_t where);
void panic_print_held(const struct lock_checks *checks);
/* A lock with its class and its owner's number, if it is one and has one. */
struct lock_name {
	char text[80];
} lock_name(const struct port_lock_class *class, const void *lock);
_Noreturn void panic_format(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* port_rule_broken() in two halves, for who has more to say. */
void panic_rule(const char *rule, const char *first, const char *second, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
_Noreturn void panic_end(void);

#define PANIC(...) panic_format(__FILE__, __LINE__, __VA_ARGS__)

/* ---- guarded accesses ------------------------------------------------------------------------ */

/* Every signal but those that an instruction can raise. */
void signals_asynchronous(sigset_t *set);

/* Around fork(), and in the child instead of the second. */
void guard_lock(void);
void guard_unlock(void);
void guard_fork_child(void);

/* ---- memory, as the host has it -------------------------------------------------------------- */

#ifdef PORT_SIM
/* Zeroed, or NULL. */
void *host_alloc(size_t size_B);
void host_free(void *ptr);
/* Where a mapping of @size_B is to be; NULL: anywhere. */
void *host_map_at(size_t size_B);
/* [ptr, ptr + size_B) is accessed by what no compiler tells of. */
void host_touch(const void *ptr, size_t size_B, bool write);
/* ... is no memory any more. */
void host_gone(const void *ptr, size_t size_B);
#else
static inline void *host_alloc(size_t size_B)
{
	void *ptr;

	/* Up to here malloc and memset beat calloc, which does not use glibc's per-thread cache. */
	if (size_B > 1024) {
		return calloc(1, size_B);
	}
	ptr = malloc(size_B);
	/* Hides where it came from, or gcc makes the pair a calloc again. */
	__asm__("" : "+r"(ptr));
	if (ptr) {
		memset(ptr, 0, size_B);
	}
	return ptr;
}

static inline void host_free(void *ptr)
{
	free(ptr);
}

static inline void *host_map_at(size_t size_B)
{
	(void)size_B;
	return NULL;
}

static inline void host_gone(const void *ptr, size_t size_B)
{
	(void)ptr;
	(void)size_B;
}

static inline void host_touch(const void *ptr, size_t size_B, bool write)
{
	(void)ptr;
	(void)size_B;
	(void)write;
}
#endif

/* ---- supplied by each host ------------------------------------------------------------------- */

struct lock_checks *host_checks(void);
/* A scheduling point that neither locks nor sleeps. */
void host_point(void);
/* Printed at the end of a panic: how to run into it again. */
void host_panic_note(void);

#endif
