/* SPDX-License-Identifier: MIT */
/*
 * User fences of binds (A04, B20): when a job's fence signals, a value is written to an address of
 * the client and everybody in WAIT_USER_FENCE looks again. The write happens on a worker or helper,
 * never under a lock, whatever the fence's error; a page that is gone is the client's business.
 *
 * Waiters sleep on sync->ufence_wq. In their eyes: first it is due, then the value is there, then
 * ufence_is_signalled() says so, then they are woken. A client may look at the value without asking
 * us, so what it may do from then on must depend on ufence_is_due() and nothing later.
 */
#ifndef SYNC_UFENCE_H
#define SYNC_UFENCE_H

#include "sync/fence.h"

struct ufence {
	struct ref ref;
	struct sync *sync;
	uint64_t addr, value;
	atomic_bool due;        /* its fence has signalled: the value may be seen from now on */
	atomic_bool signalled;  /* the value is written (or its page was gone) */
	struct fence *fence;    /* waited for; a reference until the value is written */
	struct fence_cb cb;
	struct list node;       /* sync.ufences; by sync.ready_lock */
};

/* NULL without memory. */
struct ufence *ufence_create(struct sync *sync, uint64_t addr, uint64_t value);
struct ufence *ufence_get(struct ufence *ufence);
void ufence_put(struct ufence *ufence); /* NULL is fine */
/*
 * Writes the value once @fence has signalled, after those of all fences that signalled before.
 * Armed before a later job can depend on @fence, or the order among the two is open. Once per user
 * fence, which keeps itself alive until then. On a fence that has signalled: with no lock held, as
 * it may be written here and now. Cannot fail.
 */
void ufence_arm(struct ufence *ufence, struct fence *fence);
/*
 * The same as if on a fence that has just signalled, with locks below RANK_READY held: it takes its
 * place in the order. True: the caller calls ufences_write() as soon as it holds no lock.
 */
bool ufence_arm_due(struct ufence *ufence);
void ufences_write(struct sync *sync);

/*
 * Writes @value to @addr now, after those of all fences that have signalled, and returns when it is
 * written. Needs no memory. May sleep, but not longer than writing takes; no lock held.
 */
void ufence_write_now(struct sync *sync, uint64_t addr, uint64_t value);

/* The ready item of struct sync: writes what is due. */
void ufences_run(struct ready_item *item);

static inline bool ufence_is_due(const struct ufence *ufence)
{
	return atomic_load_explicit(&ufence->due, memory_order_acquire);
}

static inline bool ufence_is_signalled(const struct ufence *ufence)
{
	return atomic_load_explicit(&ufence->signalled, memory_order_acquire);
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* Both masked. The last two are for counters that wrap: which of the two comes first? */
enum ufence_op {
	UFENCE_EQ,
	UFENCE_NEQ,
	UFENCE_GT,
	UFENCE_GTE,
	UFENCE_LT,
	UFENCE_LTE,
	UFENCE_BEFORE,
	UFENCE_AFTER,
};

/* (what is at @addr & @mask) @op (@value & @mask); @addr is the client's, aligned to 8. */
struct ufence_cond {
	uint64_t addr, value, mask;
	enum ufence_op op;
};

/*
 * Returns when @cond holds: 0; -EFAULT (nothing there), -ETIME (at @deadline_ns), -EIO (@lost()
 * says that nobody will write it any more; it may be NULL), -EINTR. No lock held.
 */
int ufence_wait(struct sync *sync, const struct ufence_cond *cond, uint64_t deadline_ns,
		bool (*lost)(void *ctx), void *ctx);
/*
 * The same with a client's timeout, below 0: never. What is left of a relative one is written back
 * for a client that comes again.
 */
int ufence_wait_timeout(struct sync *sync, const struct ufence_cond *cond, int64_t *timeout_io,
			bool absolute, bool (*lost)(void *ctx), void *ctx);
/* Of a client's timeout; below 0: never. */
uint64_t ufence_deadline(int64_t timeout_ns, bool absolute, uint64_t now_ns);
/* What is left of a timeout, for a client that comes again. For ever stays for ever. */
int64_t ufence_timeout_left(int64_t timeout_ns, uint64_t start_ns);

#endif
