// SPDX-License-Identifier: MIT
/*
 * The simulator: coroutines, the seeded scheduler, virtual time.
 *
 * A run is one struct world. Its threads are coroutines with stacks of their own; the code that
 * called sim_run() is the world's root and runs again when all have ended. At a scheduling point
 * the world's clock moves one tick, sleepers whose deadline has come become runnable, and if more
 * than one thread could run now a choice is made: drawn from the seed (here, or in
 * sim_pct.c), or read from the replay.
 * Choices depend on nothing but the seed and the sequence of calls into the port: never on an
 * address, a process id or the host's clock.
 *
 * Candidates for a choice are numbered from the running thread on, in the order of creation, and
 * round. So choice 0 means: no preemption; after a sleep or a yield: the next in turn.
 *
 * Locking: none. All of it runs on one thread of the host.
 */
#include "port/sim_steps.h"

#include <stdlib.h>
#include <sys/mman.h>

#ifdef PORT_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef PORT_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#define STACK_B ((size_t)256 << 10)
#define GUARD_B ((size_t)4096)
#define SPARE_STACKS 16u
#define THREADS_MAX 120 /* a number of alternatives is a byte with SIM_FREE beside it */
#define CHOICES_MAX ((uint64_t)16 << 20)
#define START_NS 1000000000u

struct record {
	uint8_t *choices, *alternatives;
	uint64_t len, room;
};

struct world {
	struct world *outer;
	struct sim_config config;
	struct port_thread root;  /* the stack sim_run() was called on */
	struct port_thread first; /* in threads[] like the others, but nobody's to join */
	struct port_thread *threads[THREADS_MAX]; /* in the order of creation; not joined yet */
	unsigned n_threads;
	unsigned next_id;
	unsigned living;
	uint64_t now_ns;
	uint64_t next_deadline_ns; /* no sleeper has an earlier one */
	uint64_t steps;
	uint64_t replayed;
	uint64_t rng_schedule, rng_client; /* apart, so that a replay sees the same port_random() */
	bool calm; /* nobody is preempted, see sim_preemption() */
	struct sim_pct pct;
	struct record record;
};

static struct world outside = {
	.root = { .name = "outside" },
	.next_id = 1,
	.now_ns = START_NS,
	.next_deadline_ns = PORT_FOREVER,
};
static struct world *world = &outside;
static struct record last_record;
static uint64_t last_steps;
/* Of threads that have ended, for the next ones with their ids: so addresses are the same again. */
static void *spare_stacks[SPARE_STACKS];
struct port_thread *sim_current = &outside.root;

uint64_t sim_splitmix(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* ---- coroutines ------------------------------------------------------------------------------ */

/* After a switch: the first thing that runs on the stack switched to. */
static void arrived(void *fake_stack)
{
#ifdef PORT_ASAN
	__sanitizer_finish_switch_fiber(fake_stack, NULL, NULL);
#else
	(void)fake_stack;
#endif
}

/* Leaves the running thread for @to; @for_good if it will not be switched to again. */
static void switch_to(struct port_thread *to, bool for_good)
{
	struct port_thread *from = sim_current;

	if (from == to) {
		return;
	}
#ifdef PORT_ASAN
	__sanitizer_start_switch_fiber(for_good ? NULL : &from->asan_fake_stack, to->stack,
				       to->stack_B);
#endif
#ifdef PORT_TSAN
	__tsan_switch_to_fiber(to->tsan_fiber, 0);
#endif
	sim_current = to;
	sim_context_switch(&from->context, &to->context);
	ASSERT(!for_good);
	arrived(from->asan_fake_stack);
}

static void stack_create(struct port_thread *t)
{
	void **spare = &spare_stacks[t->id % SPARE_STACKS];

	if (*spare) {
		t->stack = *spare;
		*spare = NULL;
	} else {
		char *base = mmap(NULL, STACK_B + GUARD_B, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

		ASSERT(base != MAP_FAILED && mprotect(base, GUARD_B, PROT_NONE) == 0);
		t->stack = base + GUARD_B;
	}
	t->stack_B = STACK_B;
#ifdef PORT_TSAN
	t->tsan_fiber = __tsan_create_fiber(0);
#endif
}

static void stack_destroy(struct port_thread *t)
{
	if (!t->stack) {
		return;
	}
#ifdef PORT_ASAN
	/* The last frames never returned: their red zones would outlive them. */
	__asan_unpoison_memory_region(t->stack, t->stack_B);
#endif
#ifdef PORT_TSAN
	__tsan_destroy_fiber(t->tsan_fiber);
#endif
	if (!spare_stacks[t->id % SPARE_STACKS]) {
		spare_stacks[t->id % SPARE_STACKS] = t->stack;
	} else {
		ASSERT(munmap((char *)t->stack - GUARD_B, STACK_B + GUARD_B) == 0);
	}
	t->stack = NULL;
}

/* The root's stack is the host's: the sanitizers want its bounds to switch back to it. */
static void root_init(struct port_thread *root)
{
#ifdef PORT_ASAN
	if (sim_current->stack) {
		root->stack = sim_current->stack;
		root->stack_B = sim_current->stack_B;
	}
#endif
#ifdef PORT_TSAN
	root->tsan_fiber = __tsan_get_current_fiber();
#endif
	root->name = "root";
}

static _Noreturn void thread_end(void);

static void thread_main(void)
{
	struct port_thread *t = sim_current;

#ifdef PORT_ASAN
	const void *bottom;
	size_t size;

	__sanitizer_finish_switch_fiber(NULL, &bottom, &size);
	if (!world->root.stack) {
		/* The first switch of a run comes from the root. */
		world->root.stack = (void *)(uintptr_t)bottom;
		world->root.stack_B = size;
	}
#endif
	t->fn(t->arg);
	thread_end();
}

/* ---- the scheduler --------------------------------------------------------------------------- */

static const char *const wait_text[] = {
	[WAIT_NOTHING] = "can run",
	[WAIT_MUTEX] = "waits for the mutex",
	[WAIT_RWLOCK] = "waits for the lock",
	[WAIT_QUEUE] = "sleeps",
	[WAIT_JOIN] = "waits for the end of thread",
	[WAIT_DONE] = "has ended",
};

static void print_waiting(void)
{
	for (unsigned i = 0; i < world->n_threads; i++) {
		const struct port_thread *t = world->threads[i];

		panic_print("vmbind:  thread %u \"%s\" %s", t->id, t->name, wait_text[t->wait]);
		if (t->wait != WAIT_NOTHING && t->wait != WAIT_DONE) {
			if (t->wait_name) {
				panic_print(" \"%s\"", t->wait_name);
			}
			panic_print_where(" at ", t->wait_where);
		} else {
			panic_print("\n");
		}
		panic_print_held(&t->checks);
	}
}

void host_panic_note(void)
{
	uint64_t len = world->record.len;

	if (world == &outside) {
		return;
	}
	panic_print("vmbind: thread %u \"%s\", step %lu, virtual time %lu ns\n", sim_current->id,
		    sim_current->name, (unsigned long)world->steps, (unsigned long)world->now_ns);
	print_waiting();
	if (!world->config.replay && !world->config.pct_depth) {
		panic_print("replay: VMBIND_SIM_SEED=%lu %s\n", (unsigned long)world->config.seed,
			    program_invocation_name);
		return;
	}
	panic_print("replay: ");
	if (world->config.pct_depth) {
		panic_print("VMBIND_SIM_SEED=%lu ", (unsigned long)world->config.seed);
	}
	panic_print("VMBIND_SIM_REPLAY=");
	while (len && !world->record.choices[len - 1]) {
		len--; /* as a replay goes on by itself */
	}
	for (uint64_t i = 0; i < len; i++) {
		panic_print("%02x", world->record.choices[i]);
	}
	panic_print(" %s\n", program_invocation_name);
}

static void record_add(struct record *r, unsigned choice, unsigned alternatives)
{
	if (r->len == r->room) {
		uint64_t room = r->room ? r->room * 2 : 4096;

		if (room > CHOICES_MAX) {
			return;
		}
		r->choices = realloc(r->choices, room);
		r->alternatives = realloc(r->alternatives, room);
		ASSERT(r->choices && r->alternatives);
		r->room = room;
	}
	r->choices[r->len] = (uint8_t)choice;
	r->alternatives[r->len++] = (uint8_t)alternatives;
}

/* Chooses one of @list[@n]; 0 is to go on when @can_stay. @yield: the running thread gives way. */
static unsigned choose(struct port_thread *const *list, unsigned n, bool can_stay, bool yield)
{
	const struct sim_config *config = &world->config;
	unsigned choice = 0;

	if (n == 1 || world->calm) {
		return 0;
	}
	if (config->replay) {
		if (world->replayed < config->replay_len) {
			choice = config->replay[world->replayed++] % n;
		}
	} else if (config->pct_depth) {
		choice = sim_pct_choose(&world->pct, config, list, n, yield);
	} else if (!can_stay) {
		choice = (unsigned)(sim_splitmix(&world->rng_schedule) % n);
	} else if (sim_splitmix(&world->rng_schedule) % 1000 < config->switch_permille) {
		choice = 1 + (unsigned)(sim_splitmix(&world->rng_schedule) % (n - 1));
	}
	record_add(&world->record, choice, can_stay ? n : n | SIM_FREE);
	return choice;
}

/*
 * All threads that can run, the next in turn after the running one first; the running one itself
 * leads when it can go on (@stay), and comes last when it only yields.
 */
static unsigned candidates(struct port_thread **out, bool stay, bool yield)
{
	unsigned n = 0, self = 0, count = world->n_threads;

	while (self < count && world->threads[self] != sim_current) {
		self++;
	}
	if (stay && !yield) {
		out[n++] = sim_current;
	}
	for (unsigned i = 1; i <= count; i++) {
		struct port_thread *t = world->threads[(self + i) % count];

		if (t->wait == WAIT_NOTHING && t != sim_current) {
			out[n++] = t;
		}
	}
	if (stay && yield && n == 0) {
		out[n++] = sim_current;
	}
	return n;
}

static void expire(void)
{
	uint64_t next = PORT_FOREVER;

	for (unsigned i = 0; i < world->n_threads; i++) {
		struct port_thread *t = world->threads[i];

		if (t->wait == WAIT_NOTHING || t->wait == WAIT_DONE) {
			continue;
		}
		if (t->deadline_ns <= world->now_ns) {
			t->wait = WAIT_NOTHING;
			t->wait_result = -ETIMEDOUT;
		} else if (t->deadline_ns < next) {
			next = t->deadline_ns;
		}
	}
	world->next_deadline_ns = next;
}

static void tick(void)
{
	if (!world->config.clock_stands) {
		world->now_ns += SIM_TICK_NS;
	}
	if (world->now_ns >= world->next_deadline_ns) {
		expire();
	}
	if (++world->steps == world->config.max_steps) {
		PANIC("no end after %lu steps", (unsigned long)world->steps);
	}
}

static __attribute__((noinline)) void point(bool yield)
{
	struct port_thread *list[THREADS_MAX];
	unsigned n;

	if (world == &outside) {
		world->now_ns += SIM_TICK_NS;
		return;
	}
	tick();
	if (world->living == 1) {
		return;
	}
	n = candidates(list, true, yield);
	switch_to(list[choose(list, n, !yield, yield)], false);
}

void sim_point(bool yield)
{
	if (sim_teaching) {
		sim_steps_stop(yield ? STOP_YIELD : STOP_POINT, WAIT_NOTHING, NULL, PORT_FOREVER);
	}
	point(yield);
}

/* Runs somebody else; the running thread cannot. */
static __attribute__((noinline)) void leave(bool for_good)
{
	struct port_thread *list[THREADS_MAX];
	unsigned n;

	tick();
	while ((n = candidates(list, sim_current->wait == WAIT_NOTHING, false)) == 0) {
		if (world->living == 0) {
			switch_to(&world->root, for_good);
		}
		if (world->next_deadline_ns == PORT_FOREVER) {
			PANIC("deadlock: no thread can ever run again");
		}
		world->now_ns = world->next_deadline_ns;
		sim_steps_jump(world->now_ns);
		expire();
	}
	switch_to(list[choose(list, n, sim_current->wait == WAIT_NOTHING, false)], for_good);
}

int sim_block(enum wait_kind kind, const void *object, const char *name, uintptr_t where,
	      uint64_t deadline_ns, unsigned flags)
{
	struct port_thread *t = sim_current;

	if (flags & PORT_WAIT_INTERRUPTIBLE && t->interrupted) {
		t->interrupted = false;
		return -EINTR;
	}
	if (deadline_ns != PORT_FOREVER) {
		sim_steps_ask_clock();
	}
	if (deadline_ns <= world->now_ns) {
		sim_point(false);
		return -ETIMEDOUT;
	}
	if (world == &outside) {
		if (deadline_ns == PORT_FOREVER) {
			PANIC("outside sim_run() a thread %s for ever", wait_text[kind]);
		}
		world->now_ns = deadline_ns;
		return -ETIMEDOUT;
	}
	if (sim_teaching) {
		sim_steps_stop(STOP_SLEEP, kind, object, deadline_ns);
	}
	t->wait = kind;
	t->wait_for = object;
	t->wait_name = name;
	t->wait_where = where;
	t->deadline_ns = deadline_ns;
	t->interruptible = flags & PORT_WAIT_INTERRUPTIBLE;
	t->wait_result = 0;
	if (deadline_ns < world->next_deadline_ns) {
		world->next_deadline_ns = deadline_ns;
	}
	leave(false);
	t->interruptible = false;
	return t->wait_result;
}

unsigned sim_wake(enum wait_kind kind, const void *object)
{
	unsigned n = 0;

	for (unsigned i = 0; i < world->n_threads; i++) {
		struct port_thread *t = world->threads[i];

		if (t->wait == kind && t->wait_for == object) {
			t->wait = WAIT_NOTHING;
			n++;
		}
	}
	sim_steps_deed(&(struct sim_deed){
		.what = DEED_WAKE, .kind = kind, .object = object, .count = n,
	});
	return n;
}

void sim_interrupt(unsigned thread_id)
{
	ASSERT(!sim_teaching); /* nobody is told of it */
	for (unsigned i = 0; i < world->n_threads; i++) {
		struct port_thread *t = world->threads[i];

		if (t->id != thread_id || t->wait == WAIT_DONE) {
			continue;
		}
		if (t->wait != WAIT_NOTHING && t->interruptible) {
			t->wait = WAIT_NOTHING;
			t->wait_result = -EINTR;
		} else {
			t->interrupted = true;
		}
	}
}

/* ---- runs ------------------------------------------------------------------------------------ */

static void thread_init(struct port_thread *t, const char *name, void (*fn)(void *arg), void *arg)
{
	if (world->n_threads == THREADS_MAX) {
		PANIC("more than %d threads", THREADS_MAX);
	}
	sim_touch(&t->id, sizeof(t->id), SIM_WRITE);
	t->id = world->next_id++;
	t->name = name;
	t->fn = fn;
	t->arg = arg;
	stack_create(t);
	sim_context_make(&t->context, t->stack, t->stack_B, thread_main);
	sim_pct_add(&world->pct, t);
	world->threads[world->n_threads++] = t;
	world->living++;
}

static void thread_fini(struct port_thread *t)
{
	unsigned i = 0;

	while (world->threads[i] != t) {
		ASSERT(++i < world->n_threads);
	}
	world->n_threads--;
	memmove(&world->threads[i], &world->threads[i + 1],
		(world->n_threads - i) * sizeof(world->threads[0]));
	stack_destroy(t);
}

/* What a join waits for: something that is the same in each run. */
static const void *end_of(const struct port_thread *t)
{
	return (const void *)(uintptr_t)t->id;
}

static _Noreturn void thread_end(void)
{
	lockcheck_thread_end();
	sim_current->wait = WAIT_DONE;
	world->living--;
	sim_wake(WAIT_JOIN, end_of(sim_current));
	if (sim_teaching) {
		sim_steps_stop(STOP_END, WAIT_DONE, NULL, PORT_FOREVER);
	}
	if (!world->living) {
		sim_steps_ended();
	}
	leave(true);
	__builtin_unreachable();
}

int port_thread_create(struct port_thread **thread_out, const char *name, void (*fn)(void *arg),
		       void *arg)
{
	struct port_thread *t;

	*thread_out = NULL;
	ASSERT(strlen(name) < 16);
	ASSERT(world != &outside); /* nobody would run it */
	if (port_fault_hit(PORT_FAULT_THREAD)) {
		return -EAGAIN;
	}
	t = port_alloc(sizeof(*t));
	if (!t) {
		return -ENOMEM;
	}
	thread_init(t, name, fn, arg);
	sim_steps_deed(&(struct sim_deed){ .what = DEED_CREATE, .id = t->id });
	*thread_out = t;
	sim_point(false);
	return 0;
}

static bool has_ended(const struct port_thread *t)
{
	bool ended = t->wait == WAIT_DONE;

	sim_steps_deed(&(struct sim_deed){
		.what = DEED_ASK_END, .id = t->id, .count = ended,
	});
	return ended;
}

void port_thread_join(struct port_thread *t)
{
	lockcheck_no_locks("a thread is joined");
	ASSERT(t != sim_current);
	sim_point(false);
	sim_touch(&t->id, sizeof(t->id), SIM_READ);
	while (!has_ended(t)) {
		sim_block(WAIT_JOIN, end_of(t), t->name, CALLER, PORT_FOREVER, 0);
	}
	sim_steps_deed(&(struct sim_deed){ .what = DEED_FORGET, .id = t->id });
	thread_fini(t);
	port_free(t);
}

void sim_run(const struct sim_config *config, void (*fn)(void *arg), void *arg)
{
	struct port_thread *caller = sim_current;
	struct world *w = calloc(1, sizeof(*w));

	ASSERT(w);
	w->outer = world;
	w->config = *config;
	w->config.switch_permille = config->switch_permille ? config->switch_permille : 250;
	w->config.max_steps = config->max_steps ? config->max_steps : 100000000;
	w->next_id = 1;
	w->now_ns = START_NS;
	w->next_deadline_ns = PORT_FOREVER;
	w->rng_schedule = config->seed;
	w->rng_client = ~config->seed;
	sim_pct_init(&w->pct, config);
	root_init(&w->root);
	world = w;
	sim_current = &w->root;

	thread_init(&w->first, "main", fn, arg);
	switch_to(&w->first, false);

	free(last_record.choices);
	free(last_record.alternatives);
	last_record = w->record;
	last_steps = w->steps;
	while (w->n_threads) {
		/* What nobody joined shows as a leak. */
		stack_destroy(w->threads[--w->n_threads]);
	}
	world = w->outer;
	sim_current = caller;
	free(w);
}

void sim_preemption(bool on)
{
	world->calm = !on;
	if (sim_teaching) {
		sim_steps_deed(&(struct sim_deed){ .what = DEED_CALM, .id = !on });
	} else if (sim_fixed && on) {
		sim_steps_explored(world->threads, world->n_threads, world->now_ns);
	}
}

const struct sim_config *sim_config(void)
{
	return &world->config;
}

uint64_t sim_steps(void)
{
	return world == &outside ? last_steps : world->steps;
}

const uint8_t *sim_choices(uint64_t *len_out)
{
	*len_out = last_record.len;
	return last_record.choices;
}

const uint8_t *sim_alternatives(uint64_t *len_out)
{
	*len_out = last_record.len;
	return last_record.alternatives;
}

const char *sim_thread_name(unsigned id)
{
	for (unsigned i = 0; i < world->n_threads; i++) {
		if (world->threads[i]->id == id) {
			return world->threads[i]->name;
		}
	}
	return "?";
}

unsigned sim_stack_owner(uintptr_t addr)
{
	for (unsigned i = 0; i < world->n_threads; i++) {
		const struct port_thread *t = world->threads[i];

		if (addr - (uintptr_t)t->stack < t->stack_B) {
			return t->id;
		}
	}
	return 0;
}

/* ---- the rest of what a host provides -------------------------------------------------------- */

struct lock_checks *host_checks(void)
{
	return &sim_current->checks;
}

void host_point(void)
{
	sim_point(false);
}

void port_relax(void)
{
	sim_point(true);
}

unsigned port_thread_id(void)
{
	return sim_current->id;
}

uint64_t port_now_ns(void)
{
	sim_steps_ask_clock();
	return world->now_ns;
}

uint64_t port_now_clock_ns(int clockid)
{
	/* CLOCK_REALTIME is 0: a day in 2001, so that nobody takes it for the monotonic one. */
	return port_now_ns() + (clockid == 0 ? 1000000000000000000u : 0);
}

uint64_t port_random(void)
{
	ASSERT(!sim_teaching); /* nobody is told of it */
	return sim_splitmix(&world->rng_client);
}

uint32_t port_pid(void)
{
	return 1;
}

uint64_t port_host_memory_B(void)
{
	uint64_t size_B = world->config.host_memory_B;

	return size_B ? size_B & ~(((uint64_t)1 << 20) - 1) : (uint64_t)4 << 30;
}

bool port_client_may_raise_priority(void)
{
	return true;
}

/* ---- entries -------------------------------------------------------------------------------- */

void port_fill64(uint64_t *dst, uint64_t value, uint64_t step, size_t n)
{
	sim_touch(dst, n * sizeof(*dst), SIM_WRITE);
	for (size_t i = 0; i < n; i++, value += step) {
		__atomic_store_n(&dst[i], value, __ATOMIC_RELAXED);
	}
}
