// SPDX-License-Identifier: MIT
/*
 * The lock checker: finds an order of locks that could deadlock the first time it is used, whether
 * or not it deadlocks this time.
 *
 * Each thread keeps a short stack of the classes it holds. Before a lock that may have to wait:
 *  - its rank must be above every rank held (equal only between PORT_LOCK_NEST classes);
 *  - every (held class, new class) pair becomes an edge of one graph for the whole process, in a
 *    bit matrix; the first sight of an edge looks for a way back. Each edge is kept with the places
 *    and the stack of its first sight, to be shown beside what closes the circle.
 * A trylock cannot deadlock and is exempt from both, but what it took counts as held afterwards.
 *
 * What is no lock, but orders threads as one does, has a class too: who waits for a fence takes
 * "fence wait" for a moment, who is about to signal one holds it; so a lock that somebody waits
 * with must not be taken on the way to a signal. An allocation may wait for client memory to go,
 * and that for fences; pinning waits for client memory that goes.
 *
 * Locking: the stack belongs to its thread. The matrix is read without a lock (bits only appear)
 * and extended, with the table of edges, under @graph_lock.
 */
#include "base/bits.h"
#include "port/internal.h"

#include <stdlib.h>

#define CLASSES_MAX 64
#define EDGES_MAX 1024

static struct spin graph_lock = SPIN_INIT;
/* after[i] bit j: some thread took class j while holding class i. Ids count from 0 here. */
static _Atomic uint64_t after[CLASSES_MAX];
static atomic_uint classes;
static struct port_lock_class *class_of[CLASSES_MAX]; /* under graph_lock */

/* An edge of the graph as it was first seen. */
struct edge {
	struct held from;
	const struct port_lock_class *to;
	const char *where; /* @to was taken */
	unsigned depth;
	struct held held[HELD_MAX];
};

static struct edge edges[EDGES_MAX]; /* under graph_lock */
static unsigned edge_count;
static uint16_t edge_of[CLASSES_MAX][CLASSES_MAX]; /* index + 1; under graph_lock */

static struct port_lock_class pin_class = { .name = "client memory",
					    .rank = RANK_CLIENT_MEMORY };
static struct port_lock_class publish_class = { .name = "publication", .rank = RANK_PUBLISHING };
static struct port_lock_class alloc_class = { .name = "allocation", .rank = RANK_ALLOCATION };
static struct port_lock_class notifier_class = { .name = "notifier", .rank = RANK_NOTIFIER };
static struct port_lock_class fence_wait_class = { .name = "fence wait",
						   .rank = RANK_FENCE_WAIT };

/* Releases check only when they are asked to. */
#ifdef NDEBUG
#define CHECKS_DEFAULT false
#else
#define CHECKS_DEFAULT true
#endif

atomic_int lockcheck_state;

bool lockcheck_decide(void)
{
	const char *env = getenv("VMBIND_CHECK");
	bool on = env && *env ? strcmp(env, "none") != 0 : CHECKS_DEFAULT;

	atomic_store_explicit(&lockcheck_state, on ? 2 : 1, memory_order_relaxed);
	return on;
}

bool port_checks_on(void)
{
	return lockcheck_on();
}

/* ---- what happened last ---------------------------------------------------------------------- */

/* By address: what two objects share, the later one has. */
static struct note {
	_Atomic(const void *) object;
	_Atomic(const char *) where;
} notes[4096];

static struct note *note_of(const void *object)
{
	return &notes[((uintptr_t)object * 0x9e3779b97f4a7c15u) >> 52];
}

void port_note_at(const void *object, const char *where)
{
	struct note *note = note_of(object);

	if (lockcheck_on()) {
		atomic_store_explicit(&note->where, where, memory_order_relaxed);
		atomic_store_explicit(&note->object, object, memory_order_relaxed);
	}
}

const char *port_noted(const void *object)
{
	struct note *note = note_of(object);

	if (atomic_load_explicit(&note->object, memory_order_relaxed) != object) {
		return NULL;
	}
	return atomic_load_explicit(&note->where, memory_order_relaxed);
}

/* ---- classes and their order ----------------------------------------------------------------- */

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

static struct lock_name held_name(const struct held *h)
{
	return lock_name(h->class, h->lock);
}

/* Is @to reachable from @from? Then @before has, for each class on the way, the one before it. */
static bool reachable(unsigned from, unsigned to, uint8_t before[CLASSES_MAX])
{
	uint64_t seen = BIT64(from), todo = seen;

	while (todo) {
		unsigned i = (unsigned)__builtin_ctzll(todo);
		uint64_t next = atomic_load(&after[i]) & ~seen;

		todo &= todo - 1;
		for (uint64_t left = next; left; left &= left - 1) {
			before[__builtin_ctzll(left)] = (uint8_t)i;
		}
		if (next >> to & 1) {
			return true;
		}
		todo |= next;
		seen |= next;
	}
	return false;
}

/* Which rule says that @class is not taken while @held is? */
static const char *rule_of(const struct port_lock_class *held, const struct port_lock_class *class)
{
	if (class == &fence_wait_class) {
		return held == &fence_wait_class || held == &publish_class ? "R3" :
		       held->rank == RANK_RESV ? "R2" : "R13";
	}
	if (class == &pin_class) {
		return "R8";
	}
	if (class == &alloc_class) {
		return "R1";
	}
	if (held == &fence_wait_class) {
		return "R2";
	}
	return held == &notifier_class ? "R9" : "P6";
}

/* Names in messages: what is no lock is not taken. */
static void print_edge(const struct edge *edge)
{
	panic_print("vmbind:   but \"%s\" has been taken at %s,\n", edge->to->name, edge->where);
	for (unsigned i = 0; i < edge->depth; i++) {
		panic_print("vmbind:     with \"%s\" held, taken at %s\n",
			    edge->held[i].class->name, edge->held[i].where);
	}
}

static _Noreturn void panic_cycle(const struct held *h, unsigned held, unsigned id,
				  const uint8_t before[CLASSES_MAX], const char *where)
{
	const struct port_lock_class *new = class_of[id];

	panic_rule(rule_of(h->class, new), where, h->where,
		   "lock order: taking \"%s\" while holding %s, but others have held the "
		   "first before the second", new->name, held_name(h).text);
	for (unsigned to = held; to != id; to = before[to]) {
		unsigned at = edge_of[before[to]][to];

		if (at) {
			print_edge(&edges[at - 1]);
		}
	}
	panic_end();
}

/* @h is held by the caller, who is about to take class @id at @where. */
static void add_edge(const struct held *h, unsigned held, unsigned id, const char *where)
{
	const struct lock_checks *c = host_checks();
	uint8_t before[CLASSES_MAX];
	bool cycle;

	spin_lock(&graph_lock);
	cycle = reachable(id, held, before);
	if (!cycle && !(atomic_load(&after[held]) >> id & 1) && edge_count < EDGES_MAX) {
		struct edge *edge = &edges[edge_count++];

		edge_of[held][id] = (uint16_t)edge_count;
		*edge = (struct edge){ *h, class_of[id], where, c->depth, { { 0 } } };
		memcpy(edge->held, c->held, sizeof(edge->held));
	}
	if (!cycle) {
		atomic_fetch_or(&after[held], BIT64(id));
	}
	spin_unlock(&graph_lock);
	if (cycle) {
		panic_cycle(h, held, id, before, where);
	}
}

static void check_against(const struct held *h, struct port_lock_class *class, const void *lock,
			  const char *where)
{
	bool nest = (class->flags & PORT_LOCK_NEST) && (h->class->flags & PORT_LOCK_NEST);

	if (h->class == class && h->lock == lock && lock) {
		port_rule_broken("P6", where, h->where,
				 "lock order: %s is taken while this thread holds it",
				 lock_name(class, lock).text);
	}
	if (class->rank < h->class->rank || (class->rank == h->class->rank && !nest)) {
		port_rule_broken(rule_of(h->class, class), where, h->where,
				 "lock order: taking %s (rank %d) while holding %s (rank %d)",
				 lock_name(class, lock).text, (int)class->rank,
				 held_name(h).text, (int)h->class->rank);
	}
}

/* Work of others that a waiter runs in a notifier: nobody waits for client memory with a resv. */
static bool is_helped(const struct lock_checks *c, const struct held *h,
		      const struct port_lock_class *class)
{
	return c->helping && h->class == &notifier_class && class->rank == RANK_RESV;
}

void lockcheck_before(struct port_lock_class *class, const void *lock, const char *where)
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
		unsigned held_id;

		if (is_helped(c, h, class)) {
			continue;
		}
		check_against(h, class, lock, where);
		held_id = class_id(h->class);
		if (held_id != id &&
		    !(atomic_load_explicit(&after[held_id], memory_order_relaxed) >> id & 1)) {
			add_edge(h, held_id, id, where);
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

void lockcheck_acquired(struct port_lock_class *class, const void *lock, const char *where)
{
	struct lock_checks *c = host_checks();
	struct held *h;

	c->locks++;
	if (!lockcheck_on()) {
		return;
	}
	port_note_at(lock, where);
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

/* ---- what is no lock ------------------------------------------------------------------------- */

/* The section that the thread is in, or NULL. */
static const struct held *section_of(struct lock_checks *c)
{
	const struct held *h = c->signalling ? find_held(c, &fence_wait_class) : NULL;

	return h || !c->publishing ? h : find_held(c, &publish_class);
}

void lockcheck_alloc(const char *what, uint64_t size_B, const char *where)
{
	struct lock_checks *c;
	const struct held *section;

	if (!lockcheck_on()) {
		return;
	}
	c = host_checks();
	section = section_of(c);
	if (section) {
		port_rule_broken("R1", where, section->where,
				 "%s of %lu bytes inside a %s section", what, (unsigned long)size_B,
				 c->signalling ? "signalling" : "publishing");
	}
	for (unsigned i = 0; i < c->depth; i++) {
		if (c->held[i].class->rank > RANK_ALLOCATION) {
			port_rule_broken(c->held[i].class == &notifier_class ? "R9" : "P6",
					 where, c->held[i].where,
					 "%s of %lu bytes while holding %s", what,
					 (unsigned long)size_B, held_name(&c->held[i]).text);
		}
	}
	lockcheck_before(&alloc_class, NULL, where);
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
			port_rule_broken(c->held[i].class == &fence_wait_class ? "R3" : "R13", NULL,
					 c->held[i].where, "%s while holding %s", what,
					 held_name(&c->held[i]).text);
		}
	}
}

void lockcheck_pin(uint64_t start, uint64_t end, const char *where)
{
	struct lock_checks *c;

	if (!lockcheck_on()) {
		return;
	}
	c = host_checks();
	c->start = start;
	c->end = end;
	lockcheck_before(&pin_class, NULL, where);
	c->end = 0;
}

void port_fence_wait_at(uint64_t context, uint64_t seqno, const char *where)
{
	const struct lock_checks *c;

	if (!lockcheck_on()) {
		return;
	}
	c = host_checks();
	for (unsigned i = 0; i < c->depth; i++) {
		const struct port_lock_class *class = c->held[i].class;

		if (class->rank == RANK_RESV || class->rank == RANK_PUBLISHING ||
		    class->rank >= RANK_FENCE_WAIT) {
			port_rule_broken(rule_of(class, &fence_wait_class), where, c->held[i].where,
					 "fence %lu:%lu is waited for while holding %s",
					 (unsigned long)context, (unsigned long)seqno,
					 held_name(&c->held[i]).text);
		}
	}
	lockcheck_before(&fence_wait_class, NULL, where);
}

/* The first lock that is held, or NULL. */
static const struct held *first_lock(const struct lock_checks *c)
{
	for (unsigned i = 0; i < c->depth; i++) {
		if (c->held[i].lock || c->held[i].count > 1) {
			return &c->held[i];
		}
	}
	return c->depth > c->sections ? &c->held[0] : NULL;
}

static void no_locks(const char *what, const char *where)
{
	const struct held *h = lockcheck_on() ? first_lock(host_checks()) : NULL;

	if (h) {
		port_rule_broken("R4", where, h->where, "%s while holding %s", what,
				 held_name(h).text);
	}
}

void lockcheck_no_locks(const char *what)
{
	no_locks(what, NULL);
}

void port_assert_no_locks_at(const char *where)
{
	no_locks("a place that must hold no lock is reached", where);
}

void port_client_wait_at(uint64_t context, uint64_t seqno, const char *where)
{
	const struct held *h = lockcheck_on() ? first_lock(host_checks()) : NULL;

	if (h) {
		port_rule_broken("R4", where, h->where,
				 "fence %lu:%lu, which a client may never signal, is waited for "
				 "while holding %s", (unsigned long)context, (unsigned long)seqno,
				 held_name(h).text);
	}
}

void lockcheck_thread_end(void)
{
	const struct held *section = lockcheck_on() ? section_of(host_checks()) : NULL;

	lockcheck_no_locks("a thread ends");
	if (section) {
		port_rule_broken("R1", NULL, section->where, "a thread ends inside a section");
	}
}

/* About which fence the thread publishes or signals, for messages. */
static void section_about(uint64_t context, uint64_t seqno)
{
	struct lock_checks *c = host_checks();

	if (!c->signalling && !c->publishing) {
		c->context = context;
		c->seqno = seqno;
	}
}

static void section_begin(unsigned *nesting, struct port_lock_class *class, const char *where)
{
	struct lock_checks *c = host_checks();

	if ((*nesting)++) {
		return;
	}
	if (c->depth == HELD_MAX) {
		PANIC("more than %d classes of locks held at once", HELD_MAX);
	}
	c->sections++;
	c->held[c->depth++] = (struct held){ class, NULL, where, 1 };
}

static void section_end(unsigned *nesting, const struct port_lock_class *class)
{
	struct lock_checks *c = host_checks();
	struct held *h;

	if (!*nesting) {
		PANIC("the end of a section (\"%s\") that was not begun", class->name);
	}
	if (--*nesting) {
		return;
	}
	h = find_held(c, class);
	c->sections--;
	c->depth--;
	memmove(h, h + 1, (size_t)(&c->held[c->depth] - h) * sizeof(*h));
}

void port_publishing_begin_at(uint64_t context, uint64_t seqno, const char *where)
{
	if (lockcheck_on()) {
		section_about(context, seqno);
		section_begin(&host_checks()->publishing, &publish_class, where);
	}
}

void port_publishing_end(void)
{
	if (lockcheck_on()) {
		section_end(&host_checks()->publishing, &publish_class);
	}
}

void port_signalling_begin_at(uint64_t context, uint64_t seqno, const char *where)
{
	if (lockcheck_on()) {
		section_about(context, seqno);
		section_begin(&host_checks()->signalling, &fence_wait_class, where);
	}
}

void port_signalling_end(void)
{
	if (lockcheck_on()) {
		section_end(&host_checks()->signalling, &fence_wait_class);
	}
}

void port_notifier_begin_at(uint64_t start, uint64_t end, const char *where)
{
	struct lock_checks *c;

	if (!lockcheck_on()) {
		return;
	}
	c = host_checks();
	lockcheck_before(&notifier_class, NULL, where);
	section_begin(&c->notifier, &notifier_class, where);
	c->start = start;
	c->end = end;
}

void port_notifier_end(void)
{
	if (lockcheck_on()) {
		section_end(&host_checks()->notifier, &notifier_class);
		host_checks()->end = 0;
	}
}

void port_helping_begin(void)
{
	host_checks()->helping++;
}

void port_helping_end(void)
{
	host_checks()->helping--;
}

void port_doing(const char *what, uint64_t nr)
{
	struct lock_checks *c = host_checks();

	c->doing = what;
	c->doing_nr = nr;
}

/* ---- assertions ------------------------------------------------------------------------------ */

const char *port_mutex_held_at(const struct port_mutex *m)
{
	const struct held *h = lockcheck_on() ? find_held(host_checks(), m->class) : NULL;

	return h && (!h->lock || h->lock == m) ? h->where : NULL;
}

void port_assert_list_at(const struct port_mutex *m, const char *what, uint64_t id,
			 const char *where)
{
	if (lockcheck_on() && !port_mutex_held_at(m)) {
		port_rule_broken("R12", where, port_noted(m),
				 "the list \"%s\" of %lu is walked without its lock \"%s\"", what,
				 (unsigned long)id, m->class->name);
	}
}

void lockcheck_fork_child(void)
{
	spin_reset(&graph_lock);
}
