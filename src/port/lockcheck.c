// SPDX-License-Identifier: MIT
/*
 * The lock checker: finds an order of locks that could deadlock the first time it is used, whether
 * or not it deadlocks this time.
 *
 * Each thread keeps a short stack of the classes it holds. Before a lock that may have to wait:
 *  - its rank must be above every rank held (equal only between PORT_LOCK_NEST classes);
 *  - every (held class, new class) pair becomes an edge of one graph for the whole process, in a
 *    bit matrix; the first sight of an edge looks for a way back.
 * A trylock cannot deadlock and is exempt from both, but what it took counts as held afterwards.
 *
 * Locking: the stack belongs to its thread. The matrix is read without a lock (bits only appear)
 * and extended under @graph_lock.
 *
 * The rules about sleeping, allocating and signalling sections are at the top of port.h.
 */
#include "port/internal.h"

#include <stdlib.h>

#define CLASSES_MAX 64

static struct spin graph_lock = SPIN_INIT;
/* after[i] bit j: some thread took class j while holding class i. Ids count from 0 here. */
static _Atomic uint64_t after[CLASSES_MAX];
static atomic_uint classes;
static struct port_lock_class *class_of[CLASSES_MAX]; /* under graph_lock */

/* Releases check only when they are asked to. */
#ifdef NDEBUG
#define CHECKS_DEFAULT false
#else
#define CHECKS_DEFAULT true
#endif

atomic_int lockcheck_state;

bool lockcheck_decide(void)
{
	const char *env = getenv("VMBIND_CHECK_LOCKS");
	bool on = env && *env ? env[0] != '0' : CHECKS_DEFAULT;

	atomic_store_explicit(&lockcheck_state, on ? 2 : 1, memory_order_relaxed);
	return on;
}

bool port_checks_on(void)
{
	return lockcheck_on();
}

static unsigned class_id(struct port_lock_class *class)
{
	unsigned id = atomic_load_explicit(&class->id, memory_order_acquire);

	if (__builtin_expect(id != 0, 1)) {
		return id - 1;
	}
	spin_lock(&graph_lock);
	id = atomic_load_explicit(&class->id, memory_order_relaxed);
	if (!id && atomic_load(&classes) < CLASSES_MAX) {
		id = atomic_fetch_add(&classes, 1) + 1;
		class_of[id - 1] = class;
		atomic_store_explicit(&class->id, id, memory_order_release);
	}
	spin_unlock(&graph_lock);
	if (!id) {
		PANIC("lock class \"%s\": more than %d lock classes", class->name, CLASSES_MAX);
	}
	return id - 1;
}

/* Is @to reachable from @from? Fills @via with the class before @to on the way. */
static bool reachable(unsigned from, unsigned to, unsigned *via_out)
{
	uint64_t seen = (uint64_t)1 << from, todo = seen;

	while (todo) {
		unsigned i = (unsigned)__builtin_ctzll(todo);
		uint64_t next = atomic_load(&after[i]);

		todo &= todo - 1;
		if (next >> to & 1) {
			*via_out = i;
			return true;
		}
		todo |= next & ~seen;
		seen |= next;
	}
	return false;
}

static void add_edge(unsigned held, unsigned id)
{
	unsigned via = 0;
	bool cycle;

	spin_lock(&graph_lock);
	cycle = reachable(id, held, &via);
	if (!cycle) {
		atomic_fetch_or(&after[held], (uint64_t)1 << id);
	}
	spin_unlock(&graph_lock);
	if (cycle) {
		PANIC("lock order: taking \"%s\" while holding \"%s\", but \"%s\" has been taken "
		      "while holding \"%s\" (itself at or after \"%s\")",
		      class_of[id]->name, class_of[held]->name, class_of[held]->name,
		      class_of[via]->name, class_of[id]->name);
	}
}

static void check_against(const struct held *h, struct port_lock_class *class, const void *lock,
			  uintptr_t where)
{
	bool nest = (class->flags & PORT_LOCK_NEST) && (h->class->flags & PORT_LOCK_NEST);

	if (h->class == class && h->lock == lock && lock) {
		panic_print_where("vmbind: taken again at ", where);
		PANIC("lock order: \"%s\" is taken while this thread holds it", class->name);
	}
	if (class->rank < h->class->rank || (class->rank == h->class->rank && !nest)) {
		panic_print_where("vmbind: wrong order at ", where);
		PANIC("lock order: taking \"%s\" (rank %d) while holding \"%s\" (rank %d)",
		      class->name, (int)class->rank, h->class->name, (int)h->class->rank);
	}
}

void lockcheck_before(struct port_lock_class *class, const void *lock, uintptr_t where)
{
	struct lock_checks *c;
	unsigned id;

	if (!lockcheck_on()) {
		return;
	}
	c = host_checks();
	if (!c->depth) {
		return;
	}
	id = class_id(class);
	for (unsigned i = 0; i < c->depth; i++) {
		const struct held *h = &c->held[i];
		unsigned held_id = class_id(h->class);

		check_against(h, class, lock, where);
		if (held_id != id &&
		    !(atomic_load_explicit(&after[held_id], memory_order_relaxed) >> id & 1)) {
			add_edge(held_id, id);
		}
	}
}

static struct held *find_held(struct lock_checks *c, const struct port_lock_class *class)
{
	for (unsigned i = c->depth; i-- > 0;) {
		if (c->held[i].class == class) {
			return &c->held[i];
		}
	}
	return NULL;
}

void lockcheck_acquired(struct port_lock_class *class, const void *lock, uintptr_t where)
{
	struct lock_checks *c = host_checks();
	struct held *h;

	c->locks++;
	if (!lockcheck_on()) {
		return;
	}
	h = find_held(c, class);
	if (h) {
		h->count++;
		h->lock = NULL;
		return;
	}
	if (c->depth == HELD_MAX) {
		PANIC("more than %d classes of locks held at once", HELD_MAX);
	}
	c->held[c->depth++] = (struct held){ class, lock, where, 1 };
}

void lockcheck_release(struct port_lock_class *class, const void *lock, uintptr_t where)
{
	struct lock_checks *c = host_checks();
	struct held *h;

	c->locks--;
	if (!lockcheck_on()) {
		return;
	}
	h = find_held(c, class);
	if (!h || (h->lock && h->lock != lock)) {
		panic_print_where("vmbind: released at ", where);
		PANIC("a \"%s\" lock is released that this thread does not hold", class->name);
	}
	if (--h->count) {
		return;
	}
	c->depth--;
	memmove(h, h + 1, (size_t)(&c->held[c->depth] - h) * sizeof(*h));
}

bool lockcheck_holds(const struct port_lock_class *class, const void *lock)
{
	const struct held *h = find_held(host_checks(), class);

	return h && (!h->lock || h->lock == lock);
}

void lockcheck_alloc(const char *what)
{
	const struct lock_checks *c;

	if (!lockcheck_on()) {
		return;
	}
	c = host_checks();
	if (c->signalling) {
		PANIC("%s inside a signalling section", what);
	}
	for (unsigned i = 0; i < c->depth; i++) {
		if (c->held[i].class->rank >= RANK_VM_NOTIFIER) {
			PANIC("%s while holding \"%s\"", what, c->held[i].class->name);
		}
	}
}

void lockcheck_sleep(const char *what)
{
	const struct lock_checks *c;

	if (!lockcheck_on()) {
		return;
	}
	c = host_checks();
	for (unsigned i = 0; i < c->depth; i++) {
		if (c->held[i].class->rank > RANK_VM_NOTIFIER) {
			PANIC("%s while holding \"%s\"", what, c->held[i].class->name);
		}
	}
}

void lockcheck_no_locks(const char *what)
{
	if (lockcheck_on() && host_checks()->depth) {
		PANIC("%s while holding \"%s\"", what, host_checks()->held[0].class->name);
	}
}

void port_assert_no_locks(void)
{
	lockcheck_no_locks("a place that must hold no lock is reached");
}

void lockcheck_thread_end(void)
{
	lockcheck_no_locks("a thread ends");
	if (lockcheck_on() && host_checks()->signalling) {
		PANIC("a thread ends inside a signalling section");
	}
}

void port_signalling_begin(void)
{
	if (lockcheck_on()) {
		struct lock_checks *c = host_checks();

		if (!c->signalling++) {
			c->signalling_where = CALLER;
		}
	}
}

void port_signalling_end(void)
{
	if (lockcheck_on()) {
		struct lock_checks *c = host_checks();

		if (!c->signalling) {
			PANIC("the end of a signalling section that was not begun");
		}
		c->signalling--;
	}
}

void lockcheck_fork_child(void)
{
	spin_reset(&graph_lock);
}
