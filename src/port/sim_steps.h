/* SPDX-License-Identifier: MIT */
/*
 * What runs teach: the steps that threads can take, as functions of what they see.
 *
 * A step is what one thread does from one scheduling point to the next. Threads are deterministic:
 * one that is in the same state and sees the same values does the same. So a step that was carried
 * out once need not be carried out again to know what comes of it: sim_states.c puts known steps
 * together in other orders, and runs only what is new.
 *
 * The state of a thread that stands at a point is what is on its stack and in the registers that a
 * call preserves; that is hashed. Everything else that a step depends on is told of while it runs:
 * memory by sim_touch(), the rest by the functions below.
 */
#ifndef PORT_SIM_STEPS_H
#define PORT_SIM_STEPS_H

#include "port/sim_internal.h"

/* Some bytes of 8 at one place of memory. */
struct sim_bytes {
	uint32_t place;
	uint64_t mask, value;
};

/* What a step does to other threads, and what it learns from them other than through memory. */
struct sim_deed {
	enum {
		DEED_WAKE,    /* makes the @count threads runnable that wait for @object */
		DEED_CREATE,  /* makes thread @id */
		DEED_ASK_END, /* asks whether thread @id has ended: @count */
		DEED_FORGET,  /* takes thread @id out of the list */
		DEED_CALM,    /* @id: from here on there are no choices */
		DEED_GONE,    /* [object, object + size_B) is no memory any more */
	} what;
	enum wait_kind kind;
	unsigned id, count;
	const void *object;
	size_t size_B;
};

enum sim_stop {
	STOP_POINT,
	STOP_YIELD,
	STOP_SLEEP, /* or waits for a lock */
	STOP_END,   /* of the thread */
};

struct sim_step {
	struct sim_step *next, *next_of_group; /* with the same key; from the same state */
	uint64_t from, to; /* states of the thread; a sleep's result is part of @from */
	uint64_t saw;      /* @from with all that is seen */
	unsigned thread;
	unsigned seen_count, put_count, deed_count;
	struct sim_bytes *seen, *put;
	struct sim_deed *deeds;
	enum sim_stop stop;
	/* Of STOP_SLEEP. */
	enum wait_kind wait;
	const void *wait_for;
	uint64_t deadline_ns;
};

/* A thread as the search has it. */
struct sim_actor {
	unsigned id;
	enum wait_kind wait;
	const void *wait_for;
	uint64_t deadline_ns;
	int wait_result;
	bool yielded;
	uint64_t state;
};

/* A place of memory, 8 bytes. */
struct sim_place {
	uintptr_t addr;
	uint64_t name;  /* a hash of .addr, far from those of its neighbours */
	uint64_t first; /* its value where exploration begins */
	uint64_t value; /* in the state that the search looks at */
	/* Of the run under way: */
	uint64_t run_value;
	uint64_t run, step; /* last touched in */
	uint32_t touch;
	unsigned owner; /* the thread on whose stack it is; 0: none */
	bool is_shared; /* other threads look at it, though it is on a stack */
};

/* Forgets all that runs have taught, but for what is on stacks and shared. */
void sim_steps_forget(void);
void sim_steps_end(void);
/* Has the last run found something shared on a stack? Then what was taught before lacks it. */
bool sim_steps_lack(void);
struct sim_place *sim_place(uint32_t place);
/* Calls @fn for each place in [addr, addr + size_B) that there is. */
void sim_places(uintptr_t addr, size_t size_B, void (*fn)(uint32_t place, void *arg), void *arg);
/* The place of the clock: it is read like memory, and written when time jumps. */
uint32_t sim_clock_place(void);
/* A step that @actor takes if it is its turn now; NULL: not known. @actors: all of them. */
const struct sim_step *sim_step_find(const struct sim_actor *actor, const struct sim_actor *actors,
				     unsigned n_actors);
/* Are they the same, or from and to the same states with the same effect? */
bool sim_steps_are_alike(const struct sim_step *a, const struct sim_step *b);
/* State of a thread that @step creates. */
uint64_t sim_step_child(const struct sim_step *step, unsigned id);
/* The steps of the last run, in order, and where it began; who ran then is in @first_out. */
struct sim_step *const *sim_steps_taken(uint64_t *n_out);
const struct sim_actor *sim_steps_start(unsigned *n_out, unsigned *first_out);

/* ---- told by the simulator, and free when nobody listens ------------------------------------- */

extern bool sim_teaching; /* in a run of a search, from the beginning of what is explored */

void sim_steps_run(void); /* a run of a search begins */
/* ... and what is explored of it. */
void sim_steps_explored(struct port_thread *const *threads, unsigned n, uint64_t now_ns);
/* The step of the running thread ends here. */
void sim_steps_stop(enum sim_stop stop, enum wait_kind wait, const void *wait_for,
		    uint64_t deadline_ns);
void sim_steps_deed(const struct sim_deed *deed);
void sim_steps_ended(void); /* the last thread has ended */
void sim_steps_ask_clock(void);
void sim_steps_jump(uint64_t now_ns); /* time has, between two steps */

/* ---- memory that is at the same address in each run ------------------------------------------ */

extern bool sim_fixed; /* in a run of a search */

/* How much the running thread has had. */
uint64_t sim_fixed_used(void);
void sim_fixed_reset(void);

uint64_t sim_hash(uint64_t hash, uint64_t value);

#endif
