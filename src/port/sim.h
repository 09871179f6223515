/* SPDX-License-Identifier: MIT */
/*
 * The deterministic host: what a test or `vmbind sim` needs beside port.h when linked with it.
 *
 * Every thread made with port_thread_create() is a coroutine. One runs at a time; at every lock,
 * wake, sleep, relax, user copy and thread start the seeded scheduler may choose another. Time is
 * virtual: it moves by one tick per scheduling point, and jumps to the next deadline when nobody
 * can run. One seed gives one execution.
 *
 * Outside sim_run() the port works too, as one thread that nothing preempts.
 */
#ifndef PORT_SIM_H
#define PORT_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_TICK_NS 100u
#define SIM_PCT_DEPTH_MAX 8u

struct sim_config {
	uint64_t seed;
	/* Chance in 1000 that a scheduling point switches threads; 0 means 250. */
	unsigned switch_permille;
	/*
	 * Not 0: probabilistic concurrency testing (PCT) instead. Threads have random priorities,
	 * the highest one that can run runs, and at @pct_depth - 1 random ones among the first
	 * @pct_steps choices the running thread becomes the lowest. A bug that shows when
	 * @pct_depth events have a certain order is found with a probability of at least
	 * 1 / (n * pct_steps ^ (pct_depth - 1)) per seed, where n is the number of threads and no
	 * run has more than @pct_steps choices.
	 */
	unsigned pct_depth; /* at most SIM_PCT_DEPTH_MAX */
	uint64_t pct_steps;
	/*
	 * Replay: choices recorded by sim_choices() of an earlier run; NULL for random. Where they
	 * end, the run goes on with choice 0 everywhere: no preemption.
	 */
	const uint8_t *replay;
	uint64_t replay_len;
	uint64_t host_memory_B; /* 0 means 4 GiB */
	uint64_t max_steps;     /* more scheduling points are a hang; 0 means 100 million */
	bool clock_stands;      /* no ticks: time passes only when nobody can run */
	/* What a litmus takes away, to see that it is missed. */
	const char *without_lock; /* locks of this class keep nobody out; NULL: all do */
	bool without_count;       /* who goes to sleep does not see that the wake has been */
};

/*
 * Runs @fn(@arg) as the first thread and returns when it and all threads it made have ended. If no
 * thread can ever run again it panics with every thread's name and what it waits for. May be called
 * inside a run: the outer one stands still meanwhile.
 */
void sim_run(const struct sim_config *config, void (*fn)(void *arg), void *arg);

/* Scheduling points passed in the run the caller is in; outside, in the last one. */
uint64_t sim_steps(void);
/*
 * The choices of the last run that ended, one byte for each point with more than one thread to
 * choose from: 0 is the thread that runs already, if it can go on; the others follow in the order
 * of their creation, round from there. Valid until the end of the next run. Only the first 16 Mi
 * choices are kept.
 */
const uint8_t *sim_choices(uint64_t *len_out);
/*
 * How many threads there were to choose from, byte for byte beside sim_choices(), with SIM_FREE set
 * where the running one could not go on or gave way: no choice there is a preemption.
 */
#define SIM_FREE 0x80u
const uint8_t *sim_alternatives(uint64_t *len_out);

/*
 * While off, nobody is preempted (every choice is 0, and none of them is recorded or counted):
 * around what is not to be explored, the set-up of a program and its end. On at the start of a run.
 */
void sim_preemption(bool on);

/* What a search has a bound on. */
enum sim_bound {
	SIM_PREEMPTIONS, /* choices other than 0 where the running thread could have gone on */
	SIM_DETOURS,     /* all choices other than 0, also of who comes next: far fewer schedules */
};

/*
 * Runs @fn(@arg) under every schedule with at most @most of what is bounded, depth first, and
 * returns how many there were. Stops after @limit runs; *@all_out (may be NULL) says whether that
 * was all of them. Each is a run of its own with @config, which has no replay: virtual time and
 * port_random() begin the same in all. sim_choices() after any of them replays it.
 */
uint64_t sim_explore(const struct sim_config *config, enum sim_bound bound, unsigned most,
		     uint64_t limit, void (*fn)(void *arg), void *arg, bool *all_out);

/*
 * The same for 0 to @most preemptions (2 are the most there can be), but a schedule is not followed
 * where it leads to a state that another one has led to, nor are steps carried out again that are
 * known: see sim_states.c. From sim_preemption(true) on, up to the end of the run, every access to
 * memory must be told of by sim_touch(). What comes after sim_preemption(false) is followed too,
 * without choices.
 *
 * @config must have .clock_stands, as ticks would make each moment another state. No random numbers
 * and no sim_interrupt() from sim_preemption(true) on, and a run begins the same each time.
 */
struct sim_search {
	uint64_t max_steps; /* to stop after, in runs and in the search */
	/* Out: */
	int preemptions; /* all schedules with so many have been covered; -1: not even with none */
	uint64_t runs;   /* that were made: each step that there can be was taken in one */
	uint64_t states; /* told apart with so many preemptions */
};
void sim_explore_states(const struct sim_config *config, unsigned most, struct sim_search *search,
			void (*fn)(void *arg), void *arg);
/* The running thread is about to access [ptr, ptr + size_B). */
enum sim_access {
	SIM_READ,
	SIM_WRITE,
	SIM_WRITE_BITS, /* perhaps not all bits of these bytes */
};
void sim_touch(const void *ptr, size_t size_B, enum sim_access access);
/* What is below @frame on the stack of the running thread is in no variable any more. */
void sim_frame_ended(const void *frame);

/*
 * A signal for thread @thread_id: its present interruptible sleep, or else its next one, ends with
 * -EINTR.
 */
void sim_interrupt(unsigned thread_id);

#endif
