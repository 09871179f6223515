/* SPDX-License-Identifier: MIT */
/*
 * Litmuses: small concurrent programs and the outcomes that they may have. Every schedule up to a
 * number of preemptions is covered (docs/design.md, Determinism), and some beyond are run. Write
 *
 *	static void put_a(void) { ... }
 *	static void put_b(void) { ... }
 *	static void look(void) { litmus_say("%c", litmus_at(0, ADDR)); }
 *
 *	static const struct litmus litmuses[] = {
 *		{ CASE(a_or_b), two_objects, { put_a, put_b }, look, "A B", 
 *		  .without = { .lock = "vm" } },
 *	};
 *
 *	int main(int argc, char **argv)
 *	{
 *		return litmus_main(litmuses, ARRAY_LEN(litmuses), argc, argv);
 *	}
 *
 * Any other outcome is a failure, as is a deadlock or an assertion. And each litmus must be able to
 * fail: it is run once more without a guard of the implementation, and then one of these must show.
 *
 * Set-up, look and end have no choices. The harness makes the end: it signals what is left to
 * signal and closes what there is. `./test-litmus-x NAME` runs those whose name contains
 * NAME; with VMBIND_SIM_REPLAY, as a failure prints it, it runs that schedule alone.
 * VMBIND_LITMUS_RUNS is how many schedules a search may have (2000 if not set), of 400 steps each.
 *
 * Everything that a litmus does is compiled so that the simulator is told of its accesses to
 * memory. What libc writes for it must be told by hand, as litmus_say() does.
 */
#ifndef TESTS_LITMUS_LITMUS_H
#define TESTS_LITMUS_LITMUS_H

#include "../e2e/rig.h"

#include "sync/syncobj.h"

#define LITMUS_THREADS 4
#define LITMUS_OUT_B 48

#define PAGE_B SZ_64K
#define DATA 0x800000u     /* where most put their objects */
#define BATCH 0x100000u    /* .batch in each VM, with room for BATCHES of BATCH_B */
#define BATCH_B SZ_4K
#define RESULTS (BATCH + SZ_64K - SZ_4K) /* in the same object, for what batches read */

#define CASE(name) #name

struct litmus {
	const char *name; /* CASE(...), so that documents can name it */
	void (*set_up)(void);
	void (*thread[LITMUS_THREADS])(void);
	void (*look)(void); /* says the outcome */
	const char *allowed; /* outcomes, with spaces in between */
	/* What is taken away to see it fail. */
	struct litmus_without {
		unsigned vm;      /* enum vm_guard */
		unsigned sync;    /* enum sync_guard */
		const char *lock; /* a class of locks keeps nobody out */
		bool count;       /* sleepers do not look at the event count */
	} without;
	bool ticks; /* somebody spins until time has passed: it passes at each point */
	/* Or, where no switch takes anything away: the change that it was seen to fail with. */
	const char *by_hand;
};

/* The state of a program; all zeroes before its set-up. Whatever is in it is closed at the end. */
extern struct litmus_state {
	struct device *device;
	struct vm *vm[2];
	struct bo *bo[4];            /* called A, B, C, D */
	struct bo *batch;
	struct bind_queue *binds[2]; /* of vm[0] */
	struct exec_queue *queue[2];
	struct fence *in[3];         /* not signalled at first */
	bool in_done[3];
	struct fence *out[4];
	struct syncobj *so[2];
	uint32_t *user;              /* PAGE_B of client memory */
	int ret[LITMUS_THREADS];
	uint64_t seen[LITMUS_THREADS];
	bool vm_closed;              /* a thread has closed vm[0] */
} lit;

int litmus_main(const struct litmus *litmuses, size_t n, int argc, char **argv);

/* Adds to the outcome. No spaces. */
void litmus_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "ok" or the name of an error. */
void litmus_say_error(int ret);

/* ---- set-ups --------------------------------------------------------------------------------- */

/* A device with a VM, two objects in system memory, a batch object, two bind queues, fences. */
void litmus_device(void);
/* The rest of it, on a device that is there; @vm_flags as for rig_vm(). */
void litmus_fill(unsigned vm_flags);
/* Signals in[@i], if nobody has. */
void litmus_signal(unsigned i);
/* Another object, filled with its stamps. */
struct bo *litmus_bo(unsigned i, enum mem_region region);

/*
 * What the GPU finds at @addr of vm[@vm], through the TLB: the letter of the object, '-' for
 * nothing, '?' for something else.
 */
char litmus_at(unsigned vm, uint64_t addr);
/* What the tables say now. */
char litmus_mapped(unsigned vm, uint64_t addr);
/* What the index says. */
char litmus_indexed(unsigned vm, uint64_t addr);
/* Writes batch @slot, which stores @value to @addr; its address. */
uint64_t litmus_store(unsigned slot, uint64_t addr, uint32_t value);
/* Waits for out[@i], if it is there; its error. */
int litmus_wait(unsigned i);

#endif
