// SPDX-License-Identifier: MIT
/*
 * Locks and event counts of the simulator. One thread runs at a time and gives way at scheduling
 * points only, so plain fields are enough. A lock that is released goes to whoever runs next, which
 * is the scheduler's choice: nothing is handed over.
 */
#include "port/sim_steps.h"

struct sim_mutex {
	uint32_t owner; /* thread id + 1; 0 free (the stack outside a run has id 0) */
};

struct sim_rwlock {
	uint32_t owner; /* the writer's */
	uint32_t readers;
	uint32_t writers; /* waiting: they keep new readers out */
};

_Static_assert(sizeof(struct sim_mutex) <= sizeof(((struct port_mutex *)0)->opaque), "opaque");
_Static_assert(sizeof(struct sim_rwlock) <= sizeof(((struct port_rwlock *)0)->opaque), "opaque");

/* Accesses that a search for states is told of. */
#define READ(x) (sim_touch(&(x), sizeof(x), SIM_READ), (x))
#define WRITE(x, value) (sim_touch(&(x), sizeof(x), SIM_WRITE), (x) = (value))
#define ADD(x, n) (sim_touch(&(x), sizeof(x), SIM_READ), WRITE(x, (x) + (n)))

static struct sim_mutex *sm(const struct port_mutex *m)
{
	return (struct sim_mutex *)(uintptr_t)m->opaque;
}

static struct sim_rwlock *srw(const struct port_rwlock *l)
{
	return (struct sim_rwlock *)(uintptr_t)l->opaque;
}

static uint32_t me(void)
{
	return sim_current->id + 1;
}

/* Has a litmus taken away what locks of @class are for? Then who holds one is not asked. */
static bool is_missing(const struct port_lock_class *class)
{
	const char *name = sim_config()->without_lock;

	return __builtin_expect(name != NULL, 0) && strcmp(name, class->name) == 0;
}

/* ---- mutexes --------------------------------------------------------------------------------- */

void port_mutex_init(struct port_mutex *m, struct port_lock_class *class)
{
	ASSERT(class && class->rank);
	m->class = class;
	WRITE(*sm(m), (struct sim_mutex){ 0 });
}

void port_mutex_fini(struct port_mutex *m)
{
	if (sm(m)->owner) {
		PANIC("a \"%s\" mutex is destroyed while held by \"%s\"", m->class->name,
		      sim_thread_name(sm(m)->owner - 1));
	}
	m->class = NULL;
}

void port_mutex_lock_at(struct port_mutex *m, const char *where)
{
	lockcheck_before(m->class, m, where);
	sim_point(false);
	while (READ(sm(m)->owner) && !is_missing(m->class)) {
		sim_block(WAIT_MUTEX, m, m->class->name, CALLER, PORT_FOREVER, 0);
	}
	WRITE(sm(m)->owner, me());
	lockcheck_acquired(m->class, m, where);
}

bool port_mutex_trylock_at(struct port_mutex *m, const char *where)
{
	sim_point(false);
	if (READ(sm(m)->owner)) {
		return false;
	}
	WRITE(sm(m)->owner, me());
	lockcheck_acquired(m->class, m, where);
	return true;
}

void port_mutex_unlock(struct port_mutex *m)
{
	lockcheck_release(m->class, m, CALLER);
	ASSERT(sm(m)->owner == me() || is_missing(m->class));
	WRITE(sm(m)->owner, 0);
	if (sim_wake(WAIT_MUTEX, m)) {
		sim_point(false);
	}
}

void port_mutex_assert_held(const struct port_mutex *m)
{
	if (lockcheck_on() && sm(m)->owner != me() && !is_missing(m->class)) {
		PANIC("a \"%s\" mutex is not held by this thread", m->class->name);
	}
}

/* ---- read-write locks ------------------------------------------------------------------------ */

void port_rwlock_init(struct port_rwlock *l, struct port_lock_class *class)
{
	ASSERT(class && class->rank);
	l->class = class;
	WRITE(*srw(l), (struct sim_rwlock){ 0 });
}

void port_rwlock_fini(struct port_rwlock *l)
{
	if (srw(l)->owner || srw(l)->readers) {
		PANIC("a \"%s\" lock is destroyed while held", l->class->name);
	}
	l->class = NULL;
}

int port_rwlock_lock_at(struct port_rwlock *l, bool write, unsigned flags, const char *where)
{
	struct sim_rwlock *rw = srw(l);
	int ret = 0;

	lockcheck_before(l->class, l, where);
	sim_point(false);
	if ((flags & PORT_WAIT_INTERRUPTIBLE) && port_fault_error_at(PORT_FAULT_SLEEP, where)) {
		return -EINTR;
	}
	ADD(rw->writers, write);
	while (ret == 0 && (READ(rw->owner) || (write ? READ(rw->readers) : READ(rw->writers))) &&
	       !is_missing(l->class)) {
		ret = sim_block(WAIT_RWLOCK, l, l->class->name, CALLER, PORT_FOREVER, flags);
	}
	ADD(rw->writers, -write);
	if (ret) {
		/* Readers may have waited only because this writer did. */
		sim_wake(WAIT_RWLOCK, l);
		return ret;
	}
	if (write) {
		WRITE(rw->owner, me());
	} else {
		ADD(rw->readers, 1);
	}
	lockcheck_acquired(l->class, l, where);
	return 0;
}

void port_rwlock_rdunlock(struct port_rwlock *l)
{
	lockcheck_release(l->class, l, CALLER);
	ASSERT((srw(l)->readers && !srw(l)->owner) || is_missing(l->class));
	ADD(srw(l)->readers, -1);
	if (srw(l)->readers == 0 && sim_wake(WAIT_RWLOCK, l)) {
		sim_point(false);
	}
}

void port_rwlock_wrunlock(struct port_rwlock *l)
{
	lockcheck_release(l->class, l, CALLER);
	ASSERT(srw(l)->owner == me() || is_missing(l->class));
	WRITE(srw(l)->owner, 0);
	if (sim_wake(WAIT_RWLOCK, l)) {
		sim_point(false);
	}
}

void port_rwlock_assert_write(const struct port_rwlock *l)
{
	if (lockcheck_on() && srw(l)->owner != me() && !is_missing(l->class)) {
		PANIC("a \"%s\" lock is not held for writing by this thread", l->class->name);
	}
}

void port_rwlock_assert_held(const struct port_rwlock *l)
{
	if (lockcheck_on() && !lockcheck_holds(l->class, l)) {
		PANIC("a \"%s\" lock is not held by this thread", l->class->name);
	}
}

/* ---- event counts ---------------------------------------------------------------------------- */

uint32_t port_wq_prepare(struct port_wq *wq)
{
	/* A condition that was looked at before this point is one whose wake can be lost. */
	sim_point(false);
	return READ(wq->seq);
}

int port_wq_wait_at(struct port_wq *wq, uint32_t seq, uint64_t deadline_ns, unsigned flags,
		    const char *place)
{
	int ret;

	lockcheck_sleep("a sleep");
	sim_point(false);
	if ((flags & PORT_WAIT_INTERRUPTIBLE) && port_fault_error_at(PORT_FAULT_SLEEP, place)) {
		return -EINTR;
	}
	if (READ(wq->seq) != seq && !sim_config()->without_count) {
		return 0;
	}
	ADD(wq->waiters, 1);
	ret = sim_block(WAIT_QUEUE, wq, NULL, CALLER, deadline_ns, flags);
	ADD(wq->waiters, -1);
	return ret;
}

void port_wq_wake(struct port_wq *wq)
{
	ADD(wq->seq, 1);
	if (READ(wq->waiters)) {
		sim_wake(WAIT_QUEUE, wq);
	}
	sim_point(false);
}
