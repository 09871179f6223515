/* SPDX-License-Identifier: MIT */
/*
 * What a host must provide. Everything above this header is freestanding C11: it reaches threads,
 * time, memory, locks, sleeping and the client's memory through these functions only.
 *
 * There are two hosts, chosen when a program is linked: `posix` (real threads, real time) and `sim`
 * (every thread is a coroutine, one runs at a time, chosen by a seeded scheduler, in virtual time).
 * The same core objects link with either.
 *
 * Rules of the house that the port enforces when checks are on (port_checks_on()):
 *  - a lock may be taken only when its rank is above every rank the thread already holds (equal
 *    ranks are allowed for classes with PORT_LOCK_NEST only); the observed order of classes has no
 *    cycle. A trylock cannot deadlock and is exempt, but what it took counts as held;
 *  - allocating, pinning client memory, waiting for a fence, and being in the middle of a
 *    publication, a signal or an invalidation count as locks in that order (R1 to R4, R8, R9, R13);
 *  - no sleep with a lock of rank > RANK_VM_NOTIFIER held (relaxing is no sleep).
 *
 * A violation aborts with the rule's name (docs/design.md has them), both places and what is held.
 * Checks are on, in an installed release off, unless the environment says VMBIND_CHECK=none or
 * VMBIND_CHECK=rules.
 */
#ifndef PORT_PORT_H
#define PORT_PORT_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Where a call stands in the source, as "FILE:LINE". */
#define PORT_TEXT_(x) #x
#define PORT_TEXT(x) PORT_TEXT_(x)
#define PORT_HERE __FILE__ ":" PORT_TEXT(__LINE__)

/* ---- internal contradictions ---------------------------------------------------------------- */

/* Prints where and what, the held locks and how to replay (sim: seed and step), then aborts. */
_Noreturn void port_panic(const char *file, int line, const char *what);

/* Always compiled in: a broken invariant never runs on. */
#define ASSERT(cond)                                                                               \
	do {                                                                                       \
		if (__builtin_expect(!(cond), 0)) {                                                \
			port_panic(__FILE__, __LINE__, #cond);                                     \
		}                                                                                  \
	} while (0)

/*
 * A rule of docs/design.md is broken: prints its name, what is wrong with which objects, the two
 * places where (NULL: none), then as port_panic(). In an ioctl also which.
 */
_Noreturn void port_rule_broken(const char *rule, const char *first, const char *second,
				const char *format, ...) __attribute__((format(printf, 4, 5)));
/* One more line of a panic; called from the function below only. */
void port_panic_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* @fn(@ctx), from any panic: what the caller knows of the state. One at a time; NULL: none. */
void port_on_panic(void (*fn)(void *ctx), void *ctx);
/*
 * Something has happened to @object here: port_noted() says where the last time, for messages. It
 * may have forgotten (NULL). Nothing is noted when checks are off.
 */
void port_note_at(const void *object, const char *where);
#define port_note(object) port_note_at(object, PORT_HERE)
const char *port_noted(const void *object);
/* The calling thread carries out @what, number @nr, from here on; NULL: nothing. For messages. */
void port_doing(const char *what, uint64_t nr);

/* ---- locks ---------------------------------------------------------------------------------- */

/* Ascending; a thread takes locks only downwards in this list. See docs/design.md, chapter P6. */
enum port_rank {
	RANK_NODE_GATE = 1,
	RANK_GROUP_MODE,
	RANK_VM,
	RANK_DEV_VALIDATE,
	RANK_VM_VALIDATE,
	RANK_CLIENT_MEMORY, /* no lock: client memory is pinned (R8) */
	RANK_PUBLISHING,    /* no lock: see port_publishing_begin() */
	RANK_RESV,
	RANK_ALLOCATION,    /* no lock: memory is allocated, which may wait for memory to go */
	RANK_NOTIFIER,      /* no lock: client memory goes (R9) */
	RANK_VM_NOTIFIER,
	RANK_FENCE_WAIT,    /* no lock: a fence is waited for, or about to be signalled */
	RANK_VM_PT,
	RANK_QUEUE_SUBMIT,
	RANK_ENGINE_TOKEN,
	RANK_LEAF,   /* lists, ids, regions, active sets, syncobjs: no nesting among themselves */
	RANK_FENCE,  /* taken under a leaf when a reader looks at a fence */
	RANK_READY,  /* pushed to from fence callbacks */
	RANK_EVENTS, /* anybody may emit an event */
};

#define PORT_LOCK_NEST BIT_(0) /* several locks of this class may be held at once */
#define BIT_(n) (1u << (n))

/*
 * One static object per class; @id is filled by the port at first use. For messages: each lock is
 * of an @of ("object"), whose number @of_id() tells; both may be NULL.
 */
struct port_lock_class {
	const char *name;
	enum port_rank rank;
	unsigned flags;
	const char *of;
	uint64_t (*of_id)(const void *lock);
	atomic_uint id;
};

struct port_mutex {
	struct port_lock_class *class;
	uint64_t opaque[6];
};

struct port_rwlock {
	struct port_lock_class *class;
	uint64_t opaque[8];
};

void port_mutex_init(struct port_mutex *m, struct port_lock_class *class);
void port_mutex_fini(struct port_mutex *m);
void port_mutex_lock_at(struct port_mutex *m, const char *where);
#define port_mutex_lock(m) port_mutex_lock_at(m, PORT_HERE)
bool port_mutex_trylock_at(struct port_mutex *m, const char *where);
#define port_mutex_trylock(m) port_mutex_trylock_at(m, PORT_HERE)
void port_mutex_unlock(struct port_mutex *m);
/* Aborts unless the calling thread holds @m. Free when checks are off. */
void port_mutex_assert_held(const struct port_mutex *m);
/* Where the calling thread took @m; NULL if it does not hold it, or without checks. */
const char *port_mutex_held_at(const struct port_mutex *m);
/* The list @what of object @id is walked: @m protects it and must be held (R12). */
void port_assert_list_at(const struct port_mutex *m, const char *what, uint64_t id,
			 const char *where);
#define port_assert_list(m, what, id) port_assert_list_at(m, what, id, PORT_HERE)

void port_rwlock_init(struct port_rwlock *l, struct port_lock_class *class);
void port_rwlock_fini(struct port_rwlock *l);
/*
 * Interruptible: 0, or -EINTR when an asynchronous signal of the client arrived before the lock was
 * had. Each such call is an occurrence of PORT_FAULT_SLEEP, whether it would have slept or not. A
 * writer that waits keeps new readers out. The lock must outlive the return of every unlock.
 */
#define port_rwlock_rdlock(l) ((void)port_rwlock_lock_at(l, false, 0, PORT_HERE))
#define port_rwlock_wrlock(l) ((void)port_rwlock_lock_at(l, true, 0, PORT_HERE))
#define port_rwlock_rdlock_interruptible(l) \
	port_rwlock_lock_at(l, false, PORT_WAIT_INTERRUPTIBLE, PORT_HERE)
#define port_rwlock_wrlock_interruptible(l) \
	port_rwlock_lock_at(l, true, PORT_WAIT_INTERRUPTIBLE, PORT_HERE)
/* @flags: PORT_WAIT_INTERRUPTIBLE or 0. */
int port_rwlock_lock_at(struct port_rwlock *l, bool write, unsigned flags, const char *where);
void port_rwlock_rdunlock(struct port_rwlock *l);
void port_rwlock_wrunlock(struct port_rwlock *l);
void port_rwlock_assert_write(const struct port_rwlock *l);
void port_rwlock_assert_held(const struct port_rwlock *l);

/* Aborts if the thread holds any lock at all: said before waits on what a client controls (R4). */
void port_assert_no_locks_at(const char *where);
#define port_assert_no_locks() port_assert_no_locks_at(PORT_HERE)
/* The same, before a wait for a fence of that kind. */
void port_client_wait_at(uint64_t context, uint64_t seqno, const char *where);
/* Said before waits for a dma fence: not where its signal may need the waiter (R2, R3, R13). */
void port_fence_wait_at(uint64_t context, uint64_t seqno, const char *where);

/*
 * Around what makes a fence public: from when the first other thread may find it. Nothing in
 * between may allocate, wait for a fence or pin; reservations may be taken, as nobody waits for a
 * fence with one.
 */
void port_publishing_begin_at(uint64_t context, uint64_t seqno, const char *where);
#define port_publishing_begin(context, seqno) port_publishing_begin_at(context, seqno, PORT_HERE)
void port_publishing_end(void);
/*
 * Around the work between a fence's publication and its signal. Nothing in between may allocate
 * (R1), take a lock with which others wait for fences (R2), or wait itself (R3).
 */
void port_signalling_begin_at(uint64_t context, uint64_t seqno, const char *where);
#define port_signalling_begin(context, seqno) port_signalling_begin_at(context, seqno, PORT_HERE)
void port_signalling_end(void);
/* Around the invalidation of client memory, which is on its way out: no VM's lock (R9). */
void port_notifier_begin_at(uint64_t start, uint64_t end, const char *where);
#define port_notifier_begin(start, end) port_notifier_begin_at(start, end, PORT_HERE)
void port_notifier_end(void);
/* Around work of others that a waiter runs: it may take reservations though it is in a notifier. */
void port_helping_begin(void);
void port_helping_end(void);

/* ---- sleeping and waking -------------------------------------------------------------------- */

/*
 * An event count. A waiter reads the count, looks at its condition, and sleeps only if the count
 * has not moved since, so that no wake is lost and the condition needs no lock of the queue:
 *
 *	for (;;) {
 *		uint32_t seq = port_wq_prepare(&wq);
 *		if (condition) break;
 *		ret = port_wq_wait(&wq, seq, deadline_ns, PORT_WAIT_INTERRUPTIBLE);
 *		if (ret) break;
 *	}
 *
 * Spurious returns with 0 are allowed. port_wq_wake() never sleeps, may be called under any lock,
 * and costs no system call when nobody waits. It looks at the event count after it has let the
 * waiters go: whoever may free it on a wake must know that the waker has returned.
 */
struct port_wq {
	atomic_uint seq;
	atomic_uint waiters;
};

#define PORT_FOREVER UINT64_MAX
#define PORT_WAIT_INTERRUPTIBLE BIT_(0)

static inline void port_wq_init(struct port_wq *wq)
{
	atomic_init(&wq->seq, 0);
	atomic_init(&wq->waiters, 0);
}

uint32_t port_wq_prepare(struct port_wq *wq);
/* 0 woken (or spuriously), -ETIMEDOUT, -EINTR. @deadline_ns is on the port_now_ns() clock. */
#define port_wq_wait(wq, seq, deadline_ns, flags)                                                  \
	port_wq_wait_at(wq, seq, deadline_ns, flags, PORT_HERE)
int port_wq_wait_at(struct port_wq *wq, uint32_t seq, uint64_t deadline_ns, unsigned flags,
		    const char *place);
/* Wakes all who wait. */
void port_wq_wake(struct port_wq *wq);

/* Inside a bounded busy wait: lets another thread run (sim: a scheduling point). */
void port_relax(void);

/* ---- threads -------------------------------------------------------------------------------- */

struct port_thread;

/* Starts @fn(@arg). 0, -EAGAIN or -ENOMEM. @name (at most 15 characters) must stay valid. */
int port_thread_create(struct port_thread **thread_out, const char *name, void (*fn)(void *arg),
		       void *arg);
/* Waits for the thread's end and frees it. Takes no lock; the caller holds none. */
void port_thread_join(struct port_thread *thread);
/* Small number of the calling thread, stable for its life, unique among the living. */
unsigned port_thread_id(void);

/* ---- time and chance ------------------------------------------------------------------------ */

uint64_t port_now_ns(void);      /* monotonic */
uint64_t port_now_clock_ns(int clockid); /* one of the host's clocks by its Linux number */
uint64_t port_random(void);      /* sim: from the seed; posix: from a seed drawn at start */
uint32_t port_pid(void);
/*
 * How much memory the host has to give now, in whole MiB: what the device may present as system
 * memory when it is made, and what an object can be backed with. Any lock, no signalling section.
 */
uint64_t port_host_memory_B(void);

/* ---- memory --------------------------------------------------------------------------------- */

/*
 * Zeroed memory, or NULL. Never called in a signalling section or under a lock of rank
 * >= RANK_VM_NOTIFIER (asserted). An installed hook (tests) may make it fail. Freeing is allowed
 * anywhere.
 */
void *port_alloc_at(size_t size_B, const char *where);
#define port_alloc(size_B) port_alloc_at(size_B, PORT_HERE)
void port_free(void *ptr);

/*
 * @size_B bytes of address space that read as zero and cost memory only when written. NULL when
 * the host refuses. For tables indexed by frame number.
 */
#define port_reserve(size_B) port_reserve_at(size_B, PORT_HERE)
void *port_reserve_at(size_t size_B, const char *place);
void port_unreserve(void *ptr, size_t size_B);
/* Gives the whole pages inside [ptr, ptr + size_B) back; they read as zero afterwards. */
void port_reserve_discard(void *ptr, size_t size_B);

/*
 * The arena: one file-backed piece of memory that clients can map. Its pages cost memory only when
 * written. @fd is the host's handle for it: a memfd, sealed against any change of size.
 */
struct port_arena {
	void *base;
	uint64_t size_B;
	int fd;
};
int port_arena_create(struct port_arena *arena, uint64_t size_B);
void port_arena_destroy(struct port_arena *arena);
/* Drops the contents of the pages [off, off + size_B): they read as zero, the memory goes back. */
void port_arena_discard(struct port_arena *arena, uint64_t off, uint64_t size_B);

/* Bulk stores of page-table entries: dst[i] = value + i * step, each a single 64-bit store. */
void port_fill64(uint64_t *dst, uint64_t value, uint64_t step, size_t n);

/* ---- the client's memory -------------------------------------------------------------------- */

/* 0 or -EFAULT; never a signal. Part of the bytes may have been copied on -EFAULT. */
int port_copy_from_user(void *dst, uint64_t src, size_t n);
int port_copy_to_user(uint64_t dst, const void *src, size_t n);
/*
 * Like the two above, for use by the GPU inside an access epoch: no scheduling point, no injected
 * failure. Single aligned accesses of 4 and 8 bytes are atomic towards the client's threads.
 */
int port_gpu_load(uint64_t addr, void *dst, size_t n);
int port_gpu_store(uint64_t addr, const void *src, size_t n);
/* Atomic compare and exchange of 4 or 8 bytes at an aligned address; *@old_io is the value seen. */
int port_gpu_cmpxchg(uint64_t addr, size_t n, uint64_t *old_io, uint64_t desired);
/* Is all of [addr, addr + size_B) mapped and accessible? Makes it present. 0 or -EFAULT. */
int port_user_populate_at(uint64_t addr, uint64_t size_B, bool write, const char *where);
#define port_user_populate(addr, size_B, write) \
	port_user_populate_at(addr, size_B, write, PORT_HERE)
/* Has the calling client the right to raise priorities (CAP_SYS_NICE)? */
bool port_client_may_raise_priority(void);

/* ---- hooks for tests, checks and the simulator ---------------------------------------------- */

bool port_checks_on(void);

/* Points where a failure can be injected, by the sweeps and by `vmbind run --fault` (fault.h). */
enum port_fault_point {
	PORT_FAULT_ALLOC,     /* port_alloc, port_reserve, port_arena_create, frames of a region */
	PORT_FAULT_USER_COPY, /* port_copy_from_user, port_copy_to_user, port_user_populate */
	PORT_FAULT_SLEEP,     /* an interruptible sleep returns -EINTR at once */
	PORT_FAULT_THREAD,    /* port_thread_create */
	PORT_FAULT_BIND,      /* a list of binds whose arguments are right */
	PORT_FAULT_IOCTL,     /* an ioctl that exists and is permitted */
	PORT_FAULT_VRAM,      /* an object that needs VRAM, or may have it */
	PORT_FAULT_POINTS,
};
/*
 * Fails the @nth occurrence from now on (1 = the next one) of @point, once or for ever; 0 switches
 * off. Returns nothing; port_fault_count() counts occurrences since the last call.
 */
void port_fault_set(enum port_fault_point point, uint64_t nth, bool for_ever);
uint64_t port_fault_count(enum port_fault_point point);
/* For rooms that have a failure of their own to inject: true when this occurrence must fail. */
#define port_fault_hit(point) (port_fault_error(point) != 0)
/* The same for failures that have a number: 0, or the -errno that this occurrence fails with. */
#define port_fault_error(point) port_fault_error_at(point, PORT_HERE)
int port_fault_occurs(enum port_fault_point point, const char *place);
/*
 * Around what is done for an ioctl, so that faults can be told where they are. @name is static. An
 * occurrence of PORT_FAULT_IOCTL: 0, or the -errno it fails with.
 */
#define port_fault_enter(name) port_fault_enter_at(name, PORT_HERE)
int port_fault_begin(const char *name, const char *place);
void port_fault_end(void);

/* A bit per point that is looked at: when none is, this is all that any of it costs. */
extern __attribute__((visibility("hidden"))) atomic_uint port_fault_on;

static inline bool port_fault_any_on(void)
{
	return __builtin_expect(atomic_load_explicit(&port_fault_on, memory_order_relaxed) != 0, 0);
}

static inline int port_fault_error_at(enum port_fault_point point, const char *place)
{
	return port_fault_any_on() ? port_fault_occurs(point, place) : 0;
}

static inline int port_fault_enter_at(const char *name, const char *place)
{
	return port_fault_any_on() ? port_fault_begin(name, place) : 0;
}

static inline void port_fault_leave(void)
{
	if (port_fault_any_on()) {
		port_fault_end();
	}
}

/* Bytes and blocks now allocated by port_alloc(): a test ends with what it began with. */
void port_alloc_stats(uint64_t *blocks_out, uint64_t *bytes_out);

#endif
