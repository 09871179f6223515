// SPDX-License-Identifier: MIT
/*
 * Locks of the posix host.
 *
 * A mutex is a pthread mutex that spins for a moment, because waking a sleeper on another core
 * costs far more than most critical sections take. A read-write lock is a counter and an event
 * count of its own, so that the interruptible way of taking it is the same loop as the plain one.
 * A waiting writer keeps new readers out.
 *
 * Read-write lock: @state is the number of readers, or WRITER. Whoever is about to sleep first
 * raises @sleepers, then looks at @state once more; whoever releases first changes @state, then
 * looks at @sleepers. Both orders are sequentially consistent, so one of the two sees the other.
 */
#include "port/posix_internal.h"

#define WRITER 0x80000000u
#define SPINS 100

struct posix_mutex {
	pthread_mutex_t mutex;
	atomic_uint owner; /* thread id, kept when checks are on */
};

struct posix_rwlock {
	atomic_uint state;
	atomic_uint writers; /* waiting */
	atomic_uint sleepers;
	atomic_uint owner; /* the writer's thread id, kept when checks are on */
	struct port_wq wq;
};

_Static_assert(sizeof(struct posix_mutex) <= sizeof(((struct port_mutex *)0)->opaque), "opaque");
_Static_assert(sizeof(struct posix_rwlock) <= sizeof(((struct port_rwlock *)0)->opaque), "opaque");

static struct posix_mutex *pm(const struct port_mutex *m)
{
	return (struct posix_mutex *)(uintptr_t)m->opaque;
}

static struct posix_rwlock *prw(const struct port_rwlock *l)
{
	return (struct posix_rwlock *)(uintptr_t)l->opaque;
}

/* ---- mutexes --------------------------------------------------------------------------------- */

void port_mutex_init(struct port_mutex *m, struct port_lock_class *class)
{
	static const pthread_mutex_t adaptive = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;

	ASSERT(class && class->rank);
	m->class = class;
	pm(m)->mutex = adaptive;
	atomic_init(&pm(m)->owner, 0);
}

void port_mutex_fini(struct port_mutex *m)
{
	if (atomic_load_explicit(&pm(m)->owner, memory_order_relaxed)) {
		PANIC("a \"%s\" mutex is destroyed while held", m->class->name);
	}
	pthread_mutex_destroy(&pm(m)->mutex);
	m->class = NULL;
}

static void mutex_taken(struct port_mutex *m, const char *where)
{
	if (lockcheck_on()) {
		atomic_store_explicit(&pm(m)->owner, thread_state()->id, memory_order_relaxed);
		lockcheck_acquired(m->class, m, where);
	}
}

void port_mutex_lock_at(struct port_mutex *m, const char *where)
{
	if (lockcheck_on()) {
		lockcheck_before(m->class, m, where);
	}
	ASSERT(pthread_mutex_lock(&pm(m)->mutex) == 0);
	mutex_taken(m, where);
}

bool port_mutex_trylock_at(struct port_mutex *m, const char *where)
{
	if (pthread_mutex_trylock(&pm(m)->mutex) != 0) {
		return false;
	}
	mutex_taken(m, where);
	return true;
}

void port_mutex_unlock(struct port_mutex *m)
{
	if (lockcheck_on()) {
		lockcheck_release(m->class, m, CALLER);
		port_mutex_assert_held(m);
		atomic_store_explicit(&pm(m)->owner, 0, memory_order_relaxed);
	}
	ASSERT(pthread_mutex_unlock(&pm(m)->mutex) == 0);
}

void port_mutex_assert_held(const struct port_mutex *m)
{
	if (lockcheck_on() && atomic_load_explicit(&pm(m)->owner, memory_order_relaxed) !=
					thread_state()->id) {
		PANIC("a \"%s\" mutex is not held by this thread", m->class->name);
	}
}

/* ---- read-write locks ------------------------------------------------------------------------ */

void port_rwlock_init(struct port_rwlock *l, struct port_lock_class *class)
{
	ASSERT(class && class->rank);
	l->class = class;
	atomic_init(&prw(l)->state, 0);
	atomic_init(&prw(l)->writers, 0);
	atomic_init(&prw(l)->sleepers, 0);
	atomic_init(&prw(l)->owner, 0);
	port_wq_init(&prw(l)->wq);
}

void port_rwlock_fini(struct port_rwlock *l)
{
	if (atomic_load(&prw(l)->state)) {
		PANIC("a \"%s\" lock is destroyed while held", l->class->name);
	}
	l->class = NULL;
}

static bool rw_try(struct posix_rwlock *rw, bool write)
{
	unsigned state = atomic_load(&rw->state);

	if (write) {
		return state == 0 && atomic_compare_exchange_strong(&rw->state, &state, WRITER);
	}
	while (!(state & WRITER) && !atomic_load(&rw->writers)) {
		if (atomic_compare_exchange_weak(&rw->state, &state, state + 1)) {
			return true;
		}
	}
	return false;
}

static int rw_wait(struct posix_rwlock *rw, bool write, unsigned flags)
{
	int ret = 0;

	for (int i = 0; i < SPINS; i++) {
		if (rw_try(rw, write)) {
			return 0;
		}
		port_relax();
	}
	atomic_fetch_add(&rw->sleepers, 1);
	if (write) {
		atomic_fetch_add(&rw->writers, 1);
	}
	for (;;) {
		uint32_t seq = port_wq_prepare(&rw->wq);

		if (rw_try(rw, write)) {
			break;
		}
		ret = wq_sleep(&rw->wq, seq, PORT_FOREVER, flags);
		if (ret) {
			break;
		}
	}
	if (write && atomic_fetch_sub(&rw->writers, 1) == 1 && ret) {
		/* Readers may have slept only because this writer waited. */
		port_wq_wake(&rw->wq);
	}
	atomic_fetch_sub(&rw->sleepers, 1);
	return ret;
}

int port_rwlock_lock_at(struct port_rwlock *l, bool write, unsigned flags, const char *where)
{
	struct posix_rwlock *rw = prw(l);
	int ret = 0;

	if (lockcheck_on()) {
		lockcheck_before(l->class, l, where);
	}
	if ((flags & PORT_WAIT_INTERRUPTIBLE) && port_fault_error_at(PORT_FAULT_SLEEP, where)) {
		return -EINTR;
	}
	if (!rw_try(rw, write)) {
		ret = rw_wait(rw, write, flags);
	}
	if (ret == 0 && lockcheck_on()) {
		if (write) {
			atomic_store_explicit(&rw->owner, thread_state()->id, memory_order_relaxed);
		}
		lockcheck_acquired(l->class, l, where);
	}
	return ret;
}

void port_rwlock_rdunlock(struct port_rwlock *l)
{
	struct posix_rwlock *rw = prw(l);
	unsigned before;

	lockcheck_release(l->class, l, CALLER);
	before = atomic_fetch_sub(&rw->state, 1);
	ASSERT(before && !(before & WRITER));
	if (before == 1 && atomic_load(&rw->sleepers)) {
		port_wq_wake(&rw->wq);
	}
}

void port_rwlock_wrunlock(struct port_rwlock *l)
{
	struct posix_rwlock *rw = prw(l);
	unsigned before;

	if (lockcheck_on()) {
		lockcheck_release(l->class, l, CALLER);
		port_rwlock_assert_write(l);
		atomic_store_explicit(&rw->owner, 0, memory_order_relaxed);
	}
	before = atomic_exchange(&rw->state, 0);
	ASSERT(before == WRITER);
	if (atomic_load(&rw->sleepers)) {
		port_wq_wake(&rw->wq);
	}
}

void port_rwlock_assert_write(const struct port_rwlock *l)
{
	if (lockcheck_on() && atomic_load_explicit(&prw(l)->owner, memory_order_relaxed) !=
					thread_state()->id) {
		PANIC("a \"%s\" lock is not held for writing by this thread", l->class->name);
	}
}

void port_rwlock_assert_held(const struct port_rwlock *l)
{
	if (lockcheck_on() && !lockcheck_holds(l->class, l)) {
		PANIC("a \"%s\" lock is not held by this thread", l->class->name);
	}
}
