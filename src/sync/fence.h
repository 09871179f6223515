/* SPDX-License-Identifier: MIT */
/*
 * Fences: one-shot promises that something will be done, typed by what kind of promise it is.
 *
 * Locking: fence.lock (RANK_FENCE) protects the callbacks. Callbacks run under it, so that a
 * removed callback is known not to run any more; they only count down, push to the ready queue or
 * wake a sleeper. Whatever else a signal must cause is a ready item. A callback may drop the last
 * reference of anything but a fence.
 */
#ifndef SYNC_FENCE_H
#define SYNC_FENCE_H

#include "base/list.h"
#include "base/ref.h"
#include "event/event.h"
#include "port/port.h"

/* What a fence promises. A dma fence must never depend on one of the others (A13, R5). */
enum fence_kind {
	FENCE_DMA,   /* signals in finite time, whatever user space does */
	FENCE_USER,  /* signals when a client writes memory */
	FENCE_FAULT, /* signals after page faults were served */
	FENCE_LR,    /* completion of long-running work */
};

struct fence;
struct sync;

struct fence_ops {
	/* Optional: frees the object the fence is embedded in; without it port_free(fence). */
	void (*release)(struct fence *fence);
	/*
	 * Optional: somebody waits for it. Called once, with the first callback that is added,
	 * under the fence's lock: it may push a ready item, but not signal. Looking whether the
	 * fence has signalled does not call it.
	 */
	void (*enable)(struct fence *fence);
};

struct fence {
	struct ref ref;
	enum fence_kind kind;
	atomic_bool signalled;    /* set once, with release order, after @error */
	atomic_bool called;       /* set once, with release order, after the callbacks */
	int error;                /* 0 or -errno; stable once signalled */
	struct sync *sync;        /* the device's; outlives the fence */
	uint64_t context, seqno;  /* fences of one context signal in seqno order */
	const char *where;        /* it was made, for messages */
	uint64_t signal_ns;       /* when it signalled */
	const struct fence_ops *ops;
	struct port_mutex lock;
	struct list cbs;          /* struct fence_cb.node; by .lock */
	bool enabled;             /* somebody has waited for it; by .lock */
	struct list active_node;  /* active_set.displaced; by the lock of the set it is in */
	uint64_t active_stamp;    /* place among the set's publications, 0: none; the same lock */
};

struct fence_cb {
	struct list node; /* by the fence's lock; empty when not waiting */
	/* Mandatory. Called once, under the fence's lock, when it signals. */
	void (*func)(struct fence *fence, struct fence_cb *cb);
	/* See fence_add_cb_after(); else NULL. */
	void (*after)(struct fence *fence, struct fence_cb *cb);
};

/* ---- the device's synchronisation state ----------------------------------------------------- */

/* Work that became ready. Run at depth 0, with no ranked lock held, by a worker or a helper. */
struct ready_item {
	struct list node;
	void (*run)(struct ready_item *item); /* mandatory; may free the item */
};

/* What keeps a wake, or a fence, from being lost. A test takes one away and sees what it is for. */
enum sync_guard {
	SYNC_GUARD_RECHECK = 1, /* whoever adds a callback looks once more, under the lock */
	SYNC_GUARD_REMOVE = 2,  /* whoever removes one that is being called waits for its return */
	SYNC_GUARD_ARRIVED = 4, /* whoever watches a syncobj looks at it once more */
	SYNC_GUARD_PROMOTE = 8, /* in a reservation a fence replaces only what it stands for */
};

struct sync_help_ops {
	/*
	 * Mandatory. Runs one bounded piece of ready work on the waiter's thread (P4). False when
	 * there is nothing to run now, or when the thread is inside help() already; the waiter then
	 * sleeps, and whatever becomes ready later is a worker's. Called with no lock above
	 * RANK_RESV held.
	 */
	bool (*help)(void *ctx);
	/*
	 * Mandatory. Something was pushed while nobody may be looking: wake a worker. Called with a
	 * fence's lock held, so it may take no lock and only wake (port_wq_wake()).
	 */
	void (*kick)(void *ctx);
};

struct sync {
	struct event_stream *events;
	atomic_ullong next_context;
	struct port_mutex ready_lock; /* RANK_READY; protects @ready */
	struct list ready;            /* struct ready_item.node */
	atomic_bool ready_any;        /* @ready is not empty; stored under the lock */
	struct list ufences;          /* struct ufence.node: due, in order; by ready_lock */
	bool ufence_writing;          /* somebody does, or the item is pushed; by ready_lock */
	struct ready_item ufence_item;
	struct port_wq ready_wq;      /* without help_ops: where waiters sleep, woken by pushes */
	struct port_wq ufence_wq;     /* woken whenever a user fence may have changed */
	struct fence *stub;           /* a dma fence that has signalled */
	/*
	 * NULL until workers exist: waiters then run all ready items themselves. Set before the
	 * first wait and push by another thread, or while there are none.
	 */
	const struct sync_help_ops *help_ops;
	void *help_ctx;
	unsigned without;             /* for tests: enum sync_guard, those that are taken away */
};

/* 0 or -ENOMEM. @events outlives it. */
int sync_init(struct sync *sync, struct event_stream *events);
/* No fence of this device is left but the stub. */
void sync_fini(struct sync *sync);
uint64_t sync_new_context(struct sync *sync);

/*
 * Appends @item to the ready queue and kicks (after dropping its own lock). Any context, any lock
 * up to RANK_FENCE: what runs in the kick is therefore lock-free.
 */
void ready_push(struct sync *sync, struct ready_item *item);
/* The oldest ready item, or NULL. The caller runs it. */
struct ready_item *ready_pop(struct sync *sync);
bool ready_empty(struct sync *sync);

/* ---- fences --------------------------------------------------------------------------------- */

void fence_init_at(struct fence *fence, struct sync *sync, enum fence_kind kind,
		   const struct fence_ops *ops, uint64_t context, uint64_t seqno,
		   const char *where);
#define fence_init(fence, sync, kind, ops, context, seqno) \
	fence_init_at(fence, sync, kind, ops, context, seqno, PORT_HERE)
/* A fence on the heap, of a context of its own; NULL without memory. */
struct fence *fence_create_at(struct sync *sync, enum fence_kind kind, const char *where);
#define fence_create(sync, kind) fence_create_at(sync, kind, PORT_HERE)

static inline struct fence *fence_get(struct fence *fence)
{
	if (fence) {
		ref_get(&fence->ref);
	}
	return fence;
}
/* NULL is fine. Never drops the last reference of an unsignalled fence that has callbacks. */
void fence_put(struct fence *fence);

/* Signals with @error (0 or -errno). Once per fence. Any context, locks below RANK_FENCE only. */
void fence_signal(struct fence *fence, int error);
/* Returns when the callbacks of a fence that has signalled have been called. */
void fence_callbacks_done(struct fence *fence);
/* The error of a fence that has signalled. */
int fence_error(const struct fence *fence);

static inline bool fence_is_signalled(const struct fence *fence)
{
	return atomic_load_explicit(&fence->signalled, memory_order_acquire);
}

/* True: @cb->func will be called once. False: already signalled, nothing was added. */
bool fence_add_cb(struct fence *fence, struct fence_cb *cb,
		  void (*func)(struct fence *fence, struct fence_cb *cb));
/*
 * The same, and when @func has returned the signaller drops the lock and calls @after, which may
 * signal other fences; unless @func has cleared @cb->after. What keeps @cb there until then is a
 * reference that @func takes: a removal does not wait for @after.
 */
bool fence_add_cb_after(struct fence *fence, struct fence_cb *cb,
			void (*func)(struct fence *fence, struct fence_cb *cb),
			void (*after)(struct fence *fence, struct fence_cb *cb));
/* True: taken off before it was called. False: it was called (and has returned). */
bool fence_remove_cb(struct fence *fence, struct fence_cb *cb);

/*
 * For waits, beside PORT_WAIT_INTERRUPTIBLE: sleep only, never run ready work here. Mandatory for a
 * caller that holds a lock ranked RANK_VM_NOTIFIER or later, since ready work takes those; somebody
 * else must then be there to run what the fence depends on.
 */
#define FENCE_WAIT_NO_HELP BIT_(8)

/*
 * Waits, helping first (P4). 0, -ETIMEDOUT or -EINTR (PORT_WAIT_INTERRUPTIBLE). The fence's error
 * is not the wait's. A deadline in the past polls. Locks: up to RANK_VM_NOTIFIER (then with
 * FENCE_WAIT_NO_HELP) for dma fences; none at all for the others (asserted, R4).
 */
int fence_wait_at(struct fence *fence, uint64_t deadline_ns, unsigned flags, const char *where);
#define fence_wait(fence, deadline_ns, flags) fence_wait_at(fence, deadline_ns, flags, PORT_HERE)

/*
 * Waits until one (or, @all, each) of @n fences has signalled; NULL entries count as signalled, and
 * no entries at all are done. 0 and *@first_out (may be NULL) the lowest index of one that has;
 * -ETIMEDOUT, -EINTR; -ENOMEM only without @all. Locks as for fence_wait().
 */
int fence_wait_many_at(struct sync *sync, struct fence *const *fences, unsigned n, bool all,
		       uint64_t deadline_ns, unsigned flags, unsigned *first_out,
		       const char *where);
#define fence_wait_many(sync, fences, n, all, deadline_ns, flags, first_out) \
	fence_wait_many_at(sync, fences, n, all, deadline_ns, flags, first_out, PORT_HERE)

/* ---- dependencies --------------------------------------------------------------------------- */

/*
 * What a job waits for. Fill with deps_add() (reserved by deps_init: cannot fail), then deps_arm():
 * @item is pushed to the ready queue when all have signalled. If all have already, it is not pushed
 * and the caller runs it.
 */
struct dep {
	struct fence_cb cb;
	struct fence *fence; /* a reference */
	struct deps *deps;
};

#define DEPS_FEW 3 /* most jobs have no more: these need no memory */

struct deps {
	struct sync *sync;
	struct ready_item *item;
	atomic_uint pending;
	unsigned count, cap;
	struct dep *dep; /* .few, or owned */
	bool armed;
	int error;       /* first error among the fences; valid when ready */
	struct dep few[DEPS_FEW];
};

/* Room for @cap fences. 0 or -ENOMEM (never for up to DEPS_FEW). */
int deps_init(struct deps *deps, struct sync *sync, struct ready_item *item, unsigned cap);
/* Drops all references; idempotent; not while armed and pending. */
void deps_fini(struct deps *deps);
/*
 * Takes a reference of its own. Asserts the room: one place for each fence context added, signalled
 * or not (how much room is enough must not depend on timing, and a reader of the events learns of
 * dependencies that happened to be over). Of two fences of one context the later one stands for
 * both, and the error of the other is kept only if it had signalled by then. The signalled stub and
 * NULL need no place.
 */
void deps_add(struct deps *deps, struct fence *fence);
/*
 * Starts waiting, once. True when everything has signalled already: then @item was not pushed and
 * the caller runs it itself (after dropping its locks). False: @item may be running by now.
 *
 * @own is the fence the job will signal, NULL if it has none: named in the FENCE_DEP events, and
 * asserted not to be a dma fence that waits for one of another kind (A13, R5). Locks below
 * RANK_FENCE only.
 */
bool deps_arm_at(struct deps *deps, const struct fence *own, const char *where);
#define deps_arm(deps, own) deps_arm_at(deps, own, PORT_HERE)

/*
 * Stops waiting for what has not signalled, but for fences of @keep_context (0: nothing is kept): a
 * cancelled job still ends after the one before it. True: the caller now runs @item, as after
 * deps_arm(). False: @item was pushed, is being run, or will be pushed when what was kept signals.
 * After deps_arm(); the caller holds the memory @deps is in.
 */
bool deps_cancel(struct deps *deps, uint64_t keep_context);

/* ---- a fence for several -------------------------------------------------------------------- */

/*
 * A reference to a fence that signals when all of @fences (NULLs are skipped) have, with the first
 * error among them: the stub when there is nothing left to wait for and no error, the fence itself
 * when it is the only one. Its kind is that of the fences, the first one that is not FENCE_DMA
 * deciding. NULL without memory. Who signals the last of @fences signals it too, before
 * fence_signal() returns. When nobody holds it any more it is gone, signalled or not.
 */
struct fence *fence_all(struct sync *sync, struct fence *const *fences, unsigned n);
/*
 * The fences that @fence stands for: those of a fence_all(), which are no such fences themselves,
 * else @fence alone. No reference is taken: they live as long as @fence.
 */
unsigned fence_part_count(const struct fence *fence);
struct fence *fence_part(struct fence *fence, unsigned i);

#endif
