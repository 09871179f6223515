/* SPDX-License-Identifier: MIT */
/* What the files of the simulator share. */
#ifndef PORT_SIM_INTERNAL_H
#define PORT_SIM_INTERNAL_H

#include "port/internal.h"
#include "port/sim.h"
#include "port/sim_context.h"

enum wait_kind {
	WAIT_NOTHING, /* can run */
	WAIT_MUTEX,
	WAIT_RWLOCK,
	WAIT_QUEUE,
	WAIT_JOIN,
	WAIT_DONE, /* has ended */
};

/* A coroutine. Only one thing runs at a time, so nothing here needs a lock. */
struct port_thread {
	unsigned id;
	const char *name;
	void (*fn)(void *arg);
	void *arg;
	struct sim_context context;
	void *stack; /* lowest usable byte; NULL for the stack the simulator was called on */
	size_t stack_B;
	void *asan_fake_stack;
	void *tsan_fiber;

	enum wait_kind wait;
	const void *wait_for;
	const char *wait_name; /* of the lock or thread waited for */
	uintptr_t wait_where;
	uint64_t deadline_ns;
	bool interruptible; /* the present sleep */
	bool interrupted;   /* the next interruptible sleep returns -EINTR */
	int wait_result;
	int64_t priority; /* PCT: the highest one runs */

	struct lock_checks checks;
};

/* The thread that runs; the caller's own stack counts as one too, with id 0. */
extern struct port_thread *sim_current;

/* A scheduling point. With @yield another thread is preferred to the present one. */
void sim_point(bool yield);
/*
 * Puts the calling thread to sleep until sim_make_runnable(), the deadline or an interrupt;
 * returns its wait_result.
 */
int sim_block(enum wait_kind kind, const void *object, const char *name, uintptr_t where,
	      uint64_t deadline_ns, unsigned flags);
/* Makes every thread that waits for @object runnable; returns how many there were. */
unsigned sim_wake(enum wait_kind kind, const void *object);
const char *sim_thread_name(unsigned id);
/* The thread on whose stack @addr is; 0: none of this run. */
unsigned sim_stack_owner(uintptr_t addr);
/* The configuration of the run the caller is in; outside, all zeroes. */
const struct sim_config *sim_config(void);

/* The state of the PCT scheduler in one run. */
struct sim_pct {
	uint64_t rng;
	uint64_t choices; /* made so far */
	int64_t lowest;   /* priority ever given, but for those of @change */
	uint64_t change[SIM_PCT_DEPTH_MAX]; /* before which choices, counted from 0 */
};

void sim_pct_init(struct sim_pct *pct, const struct sim_config *config);
/* A new thread's place among the others. */
void sim_pct_add(struct sim_pct *pct, struct port_thread *t);
/* Chooses one of @list[@n]; @yield: the running thread, which is not in it, gives way. */
unsigned sim_pct_choose(struct sim_pct *pct, const struct sim_config *config,
			struct port_thread *const *list, unsigned n, bool yield);

uint64_t sim_splitmix(uint64_t *state);

#endif
