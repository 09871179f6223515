// SPDX-License-Identifier: MIT
/*
 * All states of a small program that schedules with few preemptions lead to: a search, depth first,
 * in which known steps (sim_steps.c) are put together, and runs are made for what is not known.
 *
 * A state is what all threads are in and what is in memory, as a hash of 64 bits: a sum over what
 * differs from the beginning, so that a step changes it by what it puts. To stand in a state with
 * fewer preemptions spent, or with all choices free, is to be able to do all that can be done with
 * more; then the search turns back.
 *
 * A run is made where a step is not known, with the choices that lead there and no preemption
 * after, and it teaches all steps that it takes, to the end of the run. So whatever a step can find
 * wrong is found: it is carried out at least once for each thing that it can see. Each run must
 * take the steps that were foreseen; if not, it is a panic. To have more such checks, some of the
 * schedules at whose end the search turns back are run too: the first ones, and then a few.
 *
 * Locking: none; called outside all runs, or inside one, which stands still.
 */
#include "port/sim_steps.h"

#include <stdlib.h>

#define ACTORS_MAX 20u
#define IDS_MAX 16u /* each has a stack that no other thread had before, see sim.c */
#define NEVER 3u
#define FIRST_TURNS 64u
#define EACH_TURNTH 4096u

/* A state with who is about to go on, and where the search is in its choices. */
struct node {
	struct sim_actor actor[ACTORS_MAX];
	unsigned n_actors, running;
	const struct sim_step *step; /* that led here */
	uint64_t memory;             /* the part of the hash that is memory's */
	uint64_t n_undo, n_path;     /* lengths to go back to */
	uint8_t order[ACTORS_MAX];   /* of actors, by number of choice */
	uint8_t n, next;
	uint8_t spent;
	bool is_free; /* no choice here is a preemption */
	bool calm;    /* there are no choices */
};

struct undo {
	uint32_t place;
	uint64_t value;
};

/* With how few preemptions a state has been had, two bits for each way: see enum way. */
struct visit {
	uint64_t state, spent;
};

enum way {
	WAY_FREE, /* free to choose who goes on */
	WAY_ANY,  /* that, or while somebody could have gone on */
	WAY_ID,   /* ... while thread 0 could have gone on, and so on for each id */
};

static struct search {
	struct sim_config config;
	void (*fn)(void *arg);
	void *arg;
	struct node *nodes;
	uint64_t n_nodes, room_nodes;
	struct undo *undo;
	uint64_t n_undo, room_undo;
	uint8_t *path; /* choices, as a replay has them */
	uint64_t n_path, room_path;
	struct visit *visits;
	uint64_t n_visits, room_visits;
	uint64_t runs, steps, max_steps;
	uint64_t turns; /* back, from a state that is known or the end */
	unsigned most;
	bool again; /* what was learnt is of no use */
} *search;

#define MAKE_ROOM(array, n, room)                                                                  \
	do {                                                                                       \
		if ((n) == (room)) {                                                               \
			(room) = (room) ? (room) * 2 : 1024;                                       \
			(array) = reallocarray(array, room, sizeof(*(array)));                     \
			ASSERT(array);                                                             \
		}                                                                                  \
	} while (0)

/* ---- states ---------------------------------------------------------------------------------- */

static void put(struct node *n, uint32_t nr, uint64_t mask, uint64_t value)
{
	struct sim_place *place = sim_place(nr);

	value |= place->value & ~mask;
	if (value == place->value) {
		return;
	}
	MAKE_ROOM(search->undo, search->n_undo, search->room_undo);
	search->undo[search->n_undo++] = (struct undo){ nr, place->value };
	n->memory -= sim_hash(place->name, place->value);
	n->memory += sim_hash(place->name, value);
	place->value = value;
}

static void undo_to(uint64_t n)
{
	while (search->n_undo > n) {
		const struct undo *u = &search->undo[--search->n_undo];

		sim_place(u->place)->value = u->value;
	}
}

static uint64_t hash_of(const struct node *n)
{
	uint64_t hash = n->memory + n->calm;

	for (unsigned i = 0; i < n->n_actors; i++) {
		const struct sim_actor *a = &n->actor[i];

		hash += sim_hash(sim_hash(a->state, a->wait), a->id << 8 | (uint8_t)a->wait_result);
	}
	return hash ? hash : 1;
}

static struct visit *visit_slot(struct visit *visits, uint64_t room, uint64_t state)
{
	uint64_t i = state & (room - 1);

	while (visits[i].state && visits[i].state != state) {
		i = (i + 1) & (room - 1);
	}
	return &visits[i];
}

static struct visit *visit_of(uint64_t state)
{
	struct visit *v;

	if (4 * search->n_visits >= 3 * search->room_visits) {
		uint64_t room = search->room_visits ? search->room_visits * 2 : 4096;
		struct visit *visits = calloc(room, sizeof(*visits));

		ASSERT(visits);
		for (uint64_t i = 0; i < search->room_visits; i++) {
			if (search->visits[i].state) {
				*visit_slot(visits, room, search->visits[i].state) =
					search->visits[i];
			}
		}
		free(search->visits);
		search->visits = visits;
		search->room_visits = room;
	}
	v = visit_slot(search->visits, search->room_visits, state);
	if (!v->state) {
		*v = (struct visit){ state, ~(uint64_t)0 };
		search->n_visits++;
	}
	return v;
}

static unsigned spent(const struct visit *v, unsigned way)
{
	return v->spent >> 2 * way & NEVER;
}

static void spend(struct visit *v, unsigned way, unsigned n)
{
	if (n < spent(v, way)) {
		v->spent &= ~((uint64_t)NEVER << 2 * way);
		v->spent |= (uint64_t)n << 2 * way;
	}
}

/*
 * Marks the state of @n. False: all that can be done from here can be done from where it was marked
 * before. That is so for who stood there as @n with no more spent; for whoever stood there free to
 * choose; and for another who could have been preempted there in favour of @n.
 */
static bool is_new(const struct node *n)
{
	const struct sim_actor *running = &n->actor[n->running];
	unsigned own = WAY_ID + running->id;
	struct visit *v = visit_of(hash_of(n));

	ASSERT(running->id < IDS_MAX);
	if (running->yielded || n->calm) {
		/* Not all who can run are choices, so this has nothing to do with the others. */
		if (spent(v, own) <= n->spent) {
			return false;
		}
		spend(v, own, n->spent);
		return true;
	}
	if (spent(v, WAY_FREE) <= n->spent || spent(v, own) <= n->spent ||
	    spent(v, WAY_ANY) < n->spent) {
		return false;
	}
	spend(v, WAY_ANY, n->spent);
	spend(v, n->is_free ? WAY_FREE : own, n->spent);
	return true;
}

/* ---- the simulator's rules, as in sim.c ------------------------------------------------------ */

static void wake(struct node *n, enum wait_kind kind, const void *object)
{
	for (unsigned i = 0; i < n->n_actors; i++) {
		if (n->actor[i].wait == kind && n->actor[i].wait_for == object) {
			n->actor[i].wait = WAIT_NOTHING;
		}
	}
}

static void forget(struct node *n, unsigned id)
{
	unsigned i = 0;

	while (n->actor[i].id != id) {
		ASSERT(++i < n->n_actors);
	}
	n->n_actors--;
	memmove(&n->actor[i], &n->actor[i + 1], (n->n_actors - i) * sizeof(n->actor[0]));
	n->running -= n->running > i;
}

static void put_zero(uint32_t nr, void *arg)
{
	put(arg, nr, ~(uint64_t)0, 0);
}

static void forget_memory(struct node *n, uintptr_t addr, size_t size_B)
{
	sim_places(addr, size_B, put_zero, n);
}

static void do_deeds(struct node *n, const struct sim_step *s)
{
	for (unsigned i = 0; i < s->deed_count; i++) {
		const struct sim_deed *d = &s->deeds[i];

		switch (d->what) {
		case DEED_WAKE:
			wake(n, d->kind, d->object);
			break;
		case DEED_CREATE:
			ASSERT(n->n_actors < ACTORS_MAX);
			n->actor[n->n_actors++] = (struct sim_actor){
				.id = d->id, .state = sim_step_child(s, d->id),
				.deadline_ns = PORT_FOREVER,
			};
			break;
		case DEED_FORGET:
			forget(n, d->id);
			break;
		case DEED_CALM:
			n->calm = d->id;
			break;
		case DEED_GONE:
			forget_memory(n, (uintptr_t)d->object, d->size_B);
			break;
		case DEED_ASK_END:
			break;
		}
	}
}

static void add_candidates(struct node *n, bool stay, bool yield)
{
	n->n = 0;
	if (stay && !yield) {
		n->order[n->n++] = (uint8_t)n->running;
	}
	for (unsigned i = 1; i < n->n_actors; i++) {
		unsigned other = (n->running + i) % n->n_actors;

		if (n->actor[other].wait == WAIT_NOTHING) {
			n->order[n->n++] = (uint8_t)other;
		}
	}
	if (stay && yield && n->n == 0) {
		n->order[n->n++] = (uint8_t)n->running;
	}
}

static void expire(struct node *n)
{
	uint64_t now_ns = sim_place(sim_clock_place())->value;

	for (unsigned i = 0; i < n->n_actors; i++) {
		struct sim_actor *a = &n->actor[i];

		if (a->wait != WAIT_NOTHING && a->wait != WAIT_DONE && a->deadline_ns <= now_ns) {
			a->wait = WAIT_NOTHING;
			a->wait_result = -ETIMEDOUT;
		}
	}
}

/* Nobody can run: time jumps to the next deadline. False: there is none. */
static bool jump(struct node *n)
{
	uint64_t now_ns = PORT_FOREVER;

	for (unsigned i = 0; i < n->n_actors; i++) {
		const struct sim_actor *a = &n->actor[i];

		if (a->wait != WAIT_DONE && a->deadline_ns < now_ns) {
			now_ns = a->deadline_ns;
		}
	}
	if (now_ns == PORT_FOREVER) {
		return false;
	}
	put(n, sim_clock_place(), ~(uint64_t)0, now_ns);
	expire(n);
	return true;
}

/* Who can go on after the step that led to @n. No candidates: a deadlock. */
static void find_choices(struct node *n)
{
	struct sim_actor *a = &n->actor[n->running];

	expire(n);
	n->next = 0;
	n->is_free = n->step->stop != STOP_POINT;
	a->yielded = n->step->stop == STOP_YIELD;
	if (n->step->stop == STOP_POINT || a->yielded) {
		add_candidates(n, true, a->yielded);
		return;
	}
	for (;;) {
		add_candidates(n, a->wait == WAIT_NOTHING, false);
		if (n->n || !jump(n)) {
			n->is_free = a->wait != WAIT_NOTHING;
			return;
		}
	}
}

/* ---- the search ------------------------------------------------------------------------------ */

static struct node *push(void)
{
	MAKE_ROOM(search->nodes, search->n_nodes, search->room_nodes);
	return &search->nodes[search->n_nodes++];
}

static void pop(void)
{
	const struct node *n = &search->nodes[--search->n_nodes];

	undo_to(n->n_undo);
	search->n_path = n->n_path;
}

/* A run with the choices of the path. Its steps must be those of the nodes. */
static void make_run(void)
{
	struct sim_config config = search->config;
	struct sim_step *const *taken;
	uint64_t n;

	config.replay = search->path;
	config.replay_len = search->n_path;
	sim_steps_run();
	sim_fixed = true;
	sim_run(&config, search->fn, search->arg);
	sim_fixed = false;
	taken = sim_steps_taken(&n);
	search->runs++;
	search->steps += n;
	sim_teaching = false;
	search->again = sim_steps_lack();
	if (search->again) {
		return;
	}
	for (uint64_t i = 1; i < search->n_nodes; i++) {
		if (i > n || !sim_steps_are_alike(taken[i - 1], search->nodes[i].step)) {
			PANIC("step %lu of a run is not the one that was foreseen",
			      (unsigned long)i);
		}
	}
}

static void take_step(struct node *n)
{
	const struct sim_step *step = n->step;
	struct sim_actor *a;

	for (unsigned i = 0; i < step->put_count; i++) {
		put(n, step->put[i].place, step->put[i].mask, step->put[i].value);
	}
	do_deeds(n, step);
	a = &n->actor[n->running];
	a->state = step->to;
	a->wait = step->wait;
	a->wait_for = step->wait_for;
	a->deadline_ns = step->deadline_ns;
	if (step->stop == STOP_SLEEP || step->stop == STOP_END) {
		a->wait_result = 0;
	}
}

/* From the last node with @choice to a new last one. False: not wanted, or search->again. */
static bool descend(unsigned choice)
{
	struct node *from = &search->nodes[search->n_nodes - 1], *to;
	unsigned cost = !from->is_free && choice;
	struct sim_actor *a;

	if (from->spent + cost > search->most) {
		return false;
	}
	to = push();
	from = to - 1;
	*to = *from;
	to->n_undo = search->n_undo;
	to->n_path = search->n_path;
	if (from->n > 1) {
		MAKE_ROOM(search->path, search->n_path, search->room_path);
		search->path[search->n_path++] = (uint8_t)choice;
	}
	to->running = from->order[choice];
	to->spent = (uint8_t)(from->spent + cost);
	a = &to->actor[to->running];
	to->step = sim_step_find(a, to->actor, to->n_actors);
	if (!to->step) {
		search->n_nodes--; /* not to be checked */
		make_run();
		search->n_nodes++;
		if (search->again) {
			return false;
		}
		to->step = sim_step_find(a, to->actor, to->n_actors);
		ASSERT(to->step && to->step->thread == a->id);
	}
	take_step(to);
	search->steps++;
	return true;
}

static bool all_have_ended(const struct node *n)
{
	for (unsigned i = 0; i < n->n_actors; i++) {
		if (n->actor[i].wait != WAIT_DONE) {
			return false;
		}
	}
	return true;
}

/* What is to be done at the new last node. False: turn back. */
static bool arrive(void)
{
	struct node *n = &search->nodes[search->n_nodes - 1];

	if (all_have_ended(n)) {
		return false;
	}
	find_choices(n);
	if (!n->n) {
		make_run();
		PANIC("a deadlock was foreseen, but a run has none");
	}
	if (n->calm) {
		n->n = 1;
		n->spent = 0;
	}
	return is_new(n);
}

static void turn_back(void)
{
	search->turns++;
	if (search->turns <= FIRST_TURNS || search->turns % EACH_TURNTH == 0) {
		make_run();
	}
	pop();
}

static void begin(void)
{
	struct node *root;
	const struct sim_actor *start;
	unsigned n, first;

	search->n_nodes = search->n_path = search->n_visits = 0;
	memset(search->visits, 0, search->room_visits * sizeof(*search->visits));
	if (!sim_steps_start(&n, &first)) {
		make_run();
	}
	start = sim_steps_start(&n, &first);
	ASSERT(n <= ACTORS_MAX);
	root = push();
	*root = (struct node){ .n_actors = n, .running = first, .n = 1, .is_free = true };
	memcpy(root->actor, start, n * sizeof(*start));
	root->order[0] = (uint8_t)first;
}

/* All schedules with at most @most preemptions; false: stopped before. */
static bool search_all(unsigned most)
{
	search->most = most;
	begin();
	while (search->n_nodes || search->again) {
		struct node *n;

		if (search->again || search->steps >= search->max_steps) {
			return false;
		}
		n = &search->nodes[search->n_nodes - 1];
		if (n->next == n->n) {
			pop();
		} else if (descend(n->next++) && !arrive()) {
			turn_back();
		}
	}
	return true;
}

void sim_explore_states(const struct sim_config *config, unsigned most, struct sim_search *out,
			void (*fn)(void *arg), void *arg)
{
	struct search s = {
		.config = *config, .fn = fn, .arg = arg,
		.max_steps = out->max_steps,
		.path = malloc(1), .room_path = 1, /* NULL would be no replay */
	};

	ASSERT(s.path);
	ASSERT(!config->replay && config->clock_stands && most < NEVER && !search);
	search = &s;
	do {
		s.again = false;
		s.n_nodes = s.n_undo = 0;
		sim_steps_forget();
		out->preemptions = -1;
		for (unsigned n = 0; n <= most && search_all(n); n++) {
			out->preemptions = (int)n;
			out->states = s.n_visits;
		}
	} while (s.again);
	out->runs = s.runs;
	sim_steps_end();
	search = NULL;
	free(s.nodes);
	free(s.undo);
	free(s.path);
	free(s.visits);
}
