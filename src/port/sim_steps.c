// SPDX-License-Identifier: MIT
/*
 * The table of steps, and how runs fill it.
 *
 * A step is known by the state its thread begins it in and by what it sees: for each place of
 * memory those bytes that it reads before it writes them. Two steps from one state differ first in
 * a value that they see, never in where they look. What it puts is what those places hold at its
 * end.
 *
 * Each run checks what has been learnt: a place whose bytes are not what the last step that told of
 * them left is written by somebody who does not tell; steps that saw the same must have done the
 * same. Either is a panic.
 *
 * Two things that happen in a step are not seen, as they decide nothing but whether to panic: what
 * the lock checker knows, and the events with whatever reads them (event.c does not tell). So a
 * rule that is broken by an order of events that does not show in memory is found in the runs that
 * are made, but not looked for in those that are not.
 *
 * Locking: none, as all of the simulator.
 */
#include "port/sim_steps.h"

#include <stdlib.h>

#define PAGE_SHIFT 12
#define PAGE_PLACES 512u
#define LAST_PAGES 256u
#define IDS 64u
#define MANY_STEPS 8u
#define WIPE_B 8192u
#define SHARED_B 256u /* an object and what is around it */

struct page {
	uintptr_t nr; /* address >> PAGE_SHIFT; 0: no page */
	uint32_t *places;
};

/* What the step under way did to a place. */
struct touch {
	uint32_t place;
	uint64_t old, seen, put;
	bool is_own;  /* in at.own[]: on the thread's stack, and not gone */
	bool is_gone; /* the function has returned that had it on its stack */
};

/*
 * All steps from one state. If there are many, they are told apart by the bytes @mask of @place,
 * which each of them sees.
 */
struct group {
	uint64_t from; /* 0: no group */
	struct sim_step *steps;
	unsigned n;
	uint32_t place;
	uint64_t mask;
};

struct known_state {
	uint64_t stack, state;
};

static struct {
	struct sim_place *places; /* the first one is nothing's */
	uint32_t n_places, room_places;
	struct page *pages;
	uint64_t n_pages, room_pages;
	struct page last_pages[LAST_PAGES]; /* looked for, by number */

	struct sim_step **steps; /* by key_of() */
	uint64_t n_steps, room_steps;
	struct group *groups;
	uint64_t n_groups, room_groups;
	struct known_state *states; /* by .stack */
	uint64_t n_states, room_states;

	/* The run under way. */
	uint64_t run, step;
	uint64_t state[IDS];
	struct touch *touches;
	unsigned n_touches, room_touches;
	uint32_t *own; /* numbers of touches */
	unsigned n_own, room_own;
	struct sim_deed *deeds;
	unsigned n_deeds, room_deeds;
	struct sim_step **taken;
	uint64_t n_taken, room_taken;
	struct sim_actor *start;
	unsigned n_start, first;
	bool lacks;
} at;

/* Parts of stacks that other threads look at, each SHARED_B and aligned. */
static struct {
	uintptr_t *addr;
	unsigned n, room;
} shared;

bool sim_teaching;

/* What port_now_ns() is told to have read. */
static uint64_t clock_ns;
/* Of a thread that was made. */
static uint64_t last_id;

uint64_t sim_hash(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0x9fb21c651e98df25ull;
	hash ^= hash >> 32;
	hash = (hash + 0x9e3779b97f4a7c15ull) * 0xd6e8feb86659fd93ull;
	return hash ^ hash >> 29;
}

static void *grown(void *array, size_t n, size_t size_B)
{
	array = reallocarray(array, n, size_B);
	ASSERT(array);
	return array;
}

#define MAKE_ROOM(array, n, room)                                                                  \
	do {                                                                                       \
		if ((n) == (room)) {                                                               \
			(room) = (room) ? (room) * 2 : 64;                                         \
			(array) = grown(array, room, sizeof(*(array)));                            \
		}                                                                                  \
	} while (0)

/* ---- places ---------------------------------------------------------------------------------- */

static struct page *page_slot(struct page *pages, uint64_t room, uintptr_t nr)
{
	uint64_t i = sim_hash(0, nr) & (room - 1);

	while (pages[i].nr && pages[i].nr != nr) {
		i = (i + 1) & (room - 1);
	}
	return &pages[i];
}

static uint32_t *page_of(uintptr_t nr)
{
	struct page *last = &at.last_pages[nr % LAST_PAGES], *page;

	if (last->nr == nr) {
		return last->places;
	}
	if (2 * at.n_pages >= at.room_pages) {
		uint64_t room = at.room_pages ? at.room_pages * 2 : 256;
		struct page *pages = calloc(room, sizeof(*pages));

		ASSERT(pages);
		for (uint64_t i = 0; i < at.room_pages; i++) {
			if (at.pages[i].nr) {
				*page_slot(pages, room, at.pages[i].nr) = at.pages[i];
			}
		}
		free(at.pages);
		at.pages = pages;
		at.room_pages = room;
	}
	page = page_slot(at.pages, at.room_pages, nr);
	if (!page->nr) {
		*page = (struct page){ nr, calloc(PAGE_PLACES, sizeof(uint32_t)) };
		ASSERT(page->places);
		at.n_pages++;
	}
	*last = *page;
	return page->places;
}

static bool is_shared(uintptr_t addr)
{
	for (unsigned i = 0; i < shared.n; i++) {
		if (addr - shared.addr[i] < SHARED_B) {
			return true;
		}
	}
	return false;
}

static uint32_t place_at(uintptr_t addr)
{
	uint32_t *place = &page_of(addr >> PAGE_SHIFT)[addr / 8 % PAGE_PLACES];

	if (!*place) {
		uint64_t value = *(const uint64_t *)addr;

		if (!at.n_places) {
			at.n_places = 1;
		}
		if (at.n_places >= at.room_places) {
			at.room_places = at.room_places ? at.room_places * 2 : 4096;
			at.places = grown(at.places, at.room_places, sizeof(*at.places));
		}
		at.places[at.n_places] = (struct sim_place){
			.addr = addr, .name = sim_hash(0, addr), .first = value, .value = value,
			.owner = sim_stack_owner(addr), .is_shared = is_shared(addr),
		};
		*place = at.n_places++;
	}
	return *place;
}

/* Of those places of page @nr that are in [addr, end). */
static void places_of_page(uintptr_t nr, uintptr_t addr, uintptr_t end,
			   void (*fn)(uint32_t place, void *arg), void *arg)
{
	const struct page *page = page_slot(at.pages, at.room_pages, nr);
	uintptr_t first = nr << PAGE_SHIFT;

	for (unsigned i = 0; page->nr && i < PAGE_PLACES; i++) {
		if (page->places[i] && first + 8 * i >= addr && first + 8 * i < end) {
			fn(page->places[i], arg);
		}
	}
}

void sim_places(uintptr_t addr, size_t size_B, void (*fn)(uint32_t place, void *arg), void *arg)
{
	uintptr_t end = addr + size_B, page = addr >> PAGE_SHIFT, last = (end - 1) >> PAGE_SHIFT;

	if (!size_B || !at.n_pages) {
		return;
	}
	if (last - page < at.room_pages) {
		for (; page <= last; page++) {
			places_of_page(page, addr, end, fn, arg);
		}
		return;
	}
	for (uint64_t i = 0; i < at.room_pages; i++) {
		if (at.pages[i].nr >= page && at.pages[i].nr <= last) {
			places_of_page(at.pages[i].nr, addr, end, fn, arg);
		}
	}
}

struct sim_place *sim_place(uint32_t place)
{
	return &at.places[place];
}

uint32_t sim_clock_place(void)
{
	return place_at((uintptr_t)&clock_ns);
}

/* ---- the step under way ---------------------------------------------------------------------- */

/*
 * What is on the stack of the running thread is part of its state, unless others look at it. When
 * the first one does, what was taught about the owner lacks it, so all is to be learnt anew.
 */
static void share(struct sim_place *place)
{
	if (place->owner == sim_current->id) {
		return;
	}
	MAKE_ROOM(shared.addr, shared.n, shared.room);
	shared.addr[shared.n++] = place->addr & ~(uintptr_t)(SHARED_B - 1);
	at.lacks = true;
	sim_teaching = false; /* nothing of the rest can be relied on */
}

static void own(struct touch *t)
{
	t->is_gone = false;
	if (!t->is_own) {
		t->is_own = true;
		MAKE_ROOM(at.own, at.n_own, at.room_own);
		at.own[at.n_own++] = (uint32_t)(t - at.touches);
	}
}

void sim_frame_ended(const void *frame)
{
	for (unsigned i = at.n_own; i-- > 0;) {
		struct touch *t = &at.touches[at.own[i]];

		if (at.places[t->place].addr < (uintptr_t)frame) {
			t->is_own = false;
			t->is_gone = true;
			at.own[i] = at.own[--at.n_own];
		}
	}
}

static void touch_bytes(uintptr_t addr, uint64_t mask, enum sim_access access)
{
	uint32_t nr = place_at(addr);
	struct sim_place *place = &at.places[nr];
	struct touch *t;
	bool is_own;

	if (place->owner && !place->is_shared) {
		share(place);
		return;
	}
	if (place->run != at.run) {
		place->run = at.run;
		place->run_value = place->first;
	}
	if (place->step != at.step) {
		MAKE_ROOM(at.touches, at.n_touches, at.room_touches);
		place->step = at.step;
		place->touch = at.n_touches++;
		at.touches[place->touch] = (struct touch){
			.place = nr, .old = *(const uint64_t *)addr,
		};
	}
	t = &at.touches[place->touch];
	is_own = place->owner == sim_current->id;
	if (is_own) {
		own(t);
	}
	if (access == SIM_WRITE || (access == SIM_WRITE_BITS && is_own)) {
		t->put |= mask;
		return;
	}
	mask &= ~t->put;
	if (((t->old ^ place->run_value) & mask) == 0) {
		t->seen |= mask;
	} else if (!is_own) {
		PANIC("%p was %lx and is %lx: somebody writes without telling", (void *)addr,
		      (unsigned long)place->run_value, (unsigned long)t->old);
	} /* or else it is on the thread's own stack, which it has used for something else */
	if (access == SIM_WRITE_BITS) {
		t->put |= mask;
	}
}

void sim_touch(const void *ptr, size_t size_B, enum sim_access access)
{
	uintptr_t addr = (uintptr_t)ptr, end = addr + size_B;

	if (!sim_teaching) {
		return;
	}
	while (addr < end) {
		unsigned from = addr % 8, n = 8 - from;
		uint64_t mask = ~(uint64_t)0;

		if (n > end - addr) {
			n = (unsigned)(end - addr);
		}
		if (n < 8) {
			mask = (((uint64_t)1 << 8 * n) - 1) << 8 * from;
		}
		touch_bytes(addr - from, mask, access);
		addr += n;
	}
}

static void lose(uint32_t nr, void *arg)
{
	struct sim_place *place = &at.places[nr];

	place->run = at.run;
	place->run_value = 0;
	if (place->step == at.step) {
		at.touches[place->touch].put = 0;
	}
}

void sim_steps_deed(const struct sim_deed *deed)
{
	if (!sim_teaching) {
		return;
	}
	MAKE_ROOM(at.deeds, at.n_deeds, at.room_deeds);
	at.deeds[at.n_deeds++] = *deed;
	if (deed->what == DEED_CREATE) {
		/* What id it got depends on who made threads before. */
		sim_touch(&last_id, sizeof(last_id), SIM_READ);
		sim_touch(&last_id, sizeof(last_id), SIM_WRITE);
		last_id = deed->id;
	}
	if (deed->what == DEED_GONE) {
		sim_places((uintptr_t)deed->object, deed->size_B, lose, NULL);
	}
}

void sim_steps_ask_clock(void)
{
	sim_touch(&clock_ns, sizeof(clock_ns), SIM_READ);
}

void sim_steps_jump(uint64_t now_ns)
{
	struct sim_place *place;

	if (!sim_teaching) {
		return;
	}
	place = sim_place(sim_clock_place());
	clock_ns = now_ns;
	place->run = at.run;
	place->run_value = now_ns;
}

/* ---- the state of a thread ------------------------------------------------------------------- */

/* All that the running thread will find again when it goes on; @sp: its registers and stack. */
static uint64_t hash_stack(const void *sp)
{
	const char *top = (const char *)sim_current->stack + sim_current->stack_B;
	uint64_t hash = sim_hash(sim_current->id, sim_fixed_used());

	for (const uint64_t *word = sp; word < (const uint64_t *)top; word++) {
		hash = sim_hash(hash, *word);
	}
	return hash;
}

static struct known_state *state_slot(struct known_state *states, uint64_t room, uint64_t stack)
{
	uint64_t i = stack & (room - 1);

	while (states[i].stack && states[i].stack != stack) {
		i = (i + 1) & (room - 1);
	}
	return &states[i];
}

/*
 * The name of the state with the hash @stack: @state, or the one it has already. There may be words
 * on the stack that nobody looks at any more, so one state can have many hashes.
 */
static uint64_t name_state(uint64_t stack, uint64_t state)
{
	struct known_state *slot;

	if (2 * at.n_states >= at.room_states) {
		uint64_t room = at.room_states ? at.room_states * 2 : 1024;
		struct known_state *states = calloc(room, sizeof(*states));

		ASSERT(states);
		for (uint64_t i = 0; i < at.room_states; i++) {
			if (at.states[i].stack) {
				*state_slot(states, room, at.states[i].stack) = at.states[i];
			}
		}
		free(at.states);
		at.states = states;
		at.room_states = room;
	}
	slot = state_slot(at.states, at.room_states, stack);
	if (!slot->stack) {
		*slot = (struct known_state){ stack, state };
		at.n_states++;
	}
	return slot->state;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static struct group *group_slot(struct group *groups, uint64_t room, uint64_t from)
{
	uint64_t i = from & (room - 1);

	while (groups[i].from && groups[i].from != from) {
		i = (i + 1) & (room - 1);
	}
	return &groups[i];
}

static struct group *group_of(uint64_t from)
{
	if (2 * at.n_groups >= at.room_groups) {
		uint64_t room = at.room_groups ? at.room_groups * 2 : 1024;
		struct group *groups = calloc(room, sizeof(*groups));

		ASSERT(groups);
		for (uint64_t i = 0; i < at.room_groups; i++) {
			if (at.groups[i].from) {
				*group_slot(groups, room, at.groups[i].from) = at.groups[i];
			}
		}
		free(at.groups);
		at.groups = groups;
		at.room_groups = room;
	}
	return group_slot(at.groups, at.room_groups, from);
}

static uint64_t key_of(const struct group *g, uint64_t value)
{
	return sim_hash(g->from, value & g->mask);
}

/* What @s sees of @place. NULL: nothing, or not all of @mask. */
static const struct sim_bytes *sight(const struct sim_step *s, uint32_t place, uint64_t mask)
{
	for (unsigned i = 0; i < s->seen_count; i++) {
		if (s->seen[i].place == place) {
			return mask & ~s->seen[i].mask ? NULL : &s->seen[i];
		}
	}
	return NULL;
}

static struct sim_step **step_slot(const struct group *g, const struct sim_step *s)
{
	uint64_t value = g->mask ? sight(s, g->place, g->mask)->value : 0;

	return &at.steps[key_of(g, value) & (at.room_steps - 1)];
}

static void link_step(const struct group *g, struct sim_step *s)
{
	struct sim_step **slot = step_slot(g, s);

	s->next = *slot;
	*slot = s;
}

static void unlink_step(const struct group *g, const struct sim_step *s)
{
	struct sim_step **slot = step_slot(g, s);

	while (*slot != s) {
		slot = &(*slot)->next;
	}
	*slot = s->next;
}

/* In how many pairs of neighbours in the group the bytes differ; 0 if not all steps see them. */
static unsigned differences(const struct group *g, const struct sim_bytes *bytes)
{
	unsigned n = 0;

	for (const struct sim_step *s = g->steps; s; s = s->next_of_group) {
		const struct sim_bytes *mine = sight(s, bytes->place, bytes->mask);

		if (!mine) {
			return 0;
		}
		n += ((mine->value ^ bytes->value) & bytes->mask) != 0;
	}
	return n;
}

/* Chooses anew what tells the steps of @g apart. */
static void divide(struct group *g)
{
	unsigned best = 0, n;

	for (const struct sim_step *s = g->steps; s; s = s->next_of_group) {
		unlink_step(g, s);
	}
	g->place = 0;
	g->mask = 0;
	for (unsigned i = 0; i < g->steps->seen_count; i++) {
		n = differences(g, &g->steps->seen[i]);
		if (n > best) {
			best = n;
			g->place = g->steps->seen[i].place;
			g->mask = g->steps->seen[i].mask;
		}
	}
	for (struct sim_step *s = g->steps; s; s = s->next_of_group) {
		link_step(g, s);
	}
}

static void make_room_for_step(void)
{
	if (at.n_steps < at.room_steps) {
		return;
	}
	at.room_steps = at.room_steps ? at.room_steps * 2 : 4096;
	free(at.steps);
	at.steps = calloc(at.room_steps, sizeof(*at.steps));
	ASSERT(at.steps);
	for (uint64_t i = 0; i < at.room_groups; i++) {
		for (struct sim_step *s = at.groups[i].steps; s; s = s->next_of_group) {
			link_step(&at.groups[i], s);
		}
	}
}

static uint64_t value_at_end(const struct touch *t)
{
	const struct sim_place *place = &at.places[t->place];
	bool is_gone = t->is_gone || (t->is_own && sim_current->wait == WAIT_DONE);

	return is_gone ? 0 : *(const uint64_t *)place->addr;
}

/* The step that has just ended, but for .to. */
static struct sim_step *make_step(uint64_t from)
{
	unsigned seen = 0, put = 0;
	struct sim_step *s;
	struct sim_bytes *bytes;

	for (unsigned i = 0; i < at.n_touches; i++) {
		seen += at.touches[i].seen != 0;
		put += at.touches[i].put != 0;
	}
	s = calloc(1, sizeof(*s) + (seen + put) * sizeof(*bytes) + at.n_deeds * sizeof(*s->deeds));
	ASSERT(s);
	s->from = from;
	s->thread = sim_current->id;
	s->seen_count = seen;
	s->put_count = put;
	s->deed_count = at.n_deeds;
	s->seen = bytes = (struct sim_bytes *)(s + 1);
	s->put = s->seen + seen;
	s->deeds = (struct sim_deed *)(s->put + put);
	for (unsigned i = 0; i < at.n_touches; i++) {
		const struct touch *t = &at.touches[i];

		if (t->seen) {
			*bytes++ = (struct sim_bytes){ t->place, t->seen, t->old & t->seen };
		}
	}
	for (unsigned i = 0; i < at.n_touches; i++) {
		const struct touch *t = &at.touches[i];
		struct sim_place *place = &at.places[t->place];

		if (t->put) {
			uint64_t value = value_at_end(t) & t->put;

			*bytes++ = (struct sim_bytes){ t->place, t->put, value };
			place->run_value = (place->run_value & ~t->put) | value;
		}
	}
	for (unsigned i = 0; i < at.n_deeds; i++) {
		s->deeds[i] = at.deeds[i];
	}
	return s;
}

static bool same_bytes(const struct sim_bytes *a, const struct sim_bytes *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (a[i].place != b[i].place || a[i].mask != b[i].mask ||
		    a[i].value != b[i].value) {
			return false;
		}
	}
	return true;
}

/* What is asked of other threads; a deed that asks nothing does not tell steps apart. */
static bool same_answers(const struct sim_step *a, const struct sim_step *b)
{
	for (unsigned i = 0; i < a->deed_count && i < b->deed_count; i++) {
		if (a->deeds[i].count != b->deeds[i].count) {
			return false;
		}
	}
	return true;
}

static bool same_deeds(const struct sim_step *a, const struct sim_step *b)
{
	if (a->deed_count != b->deed_count) {
		return false;
	}
	for (unsigned i = 0; i < a->deed_count; i++) {
		const struct sim_deed *x = &a->deeds[i], *y = &b->deeds[i];

		if (x->what != y->what || x->kind != y->kind || x->id != y->id ||
		    x->object != y->object || x->size_B != y->size_B) {
			return false;
		}
	}
	return true;
}

/* What is on the thread's own stack may be left over: the function goes on with something else. */
static bool same_puts(const struct sim_step *a, const struct sim_step *b)
{
	for (unsigned i = 0; i < a->put_count && i < b->put_count; i++) {
		bool is_own = at.places[a->put[i].place].owner == a->thread;

		if (a->put[i].place != b->put[i].place || a->put[i].mask != b->put[i].mask ||
		    (a->put[i].value != b->put[i].value && !is_own)) {
			return false;
		}
	}
	return a->put_count == b->put_count;
}

static bool did_the_same(const struct sim_step *a, const struct sim_step *b)
{
	return same_puts(a, b) && same_deeds(a, b) && a->stop == b->stop && a->wait == b->wait &&
	       a->wait_for == b->wait_for && a->deadline_ns == b->deadline_ns;
}

bool sim_steps_are_alike(const struct sim_step *a, const struct sim_step *b)
{
	return a == b || (a->from == b->from && a->to == b->to && did_the_same(a, b));
}

static struct sim_step *known_step(const struct sim_step *s)
{
	const struct group *g = group_of(s->from);
	struct sim_step *known = NULL;

	if (g->from && (!g->mask || sight(s, g->place, g->mask))) {
		known = *step_slot(g, s);
	}
	for (; known; known = known->next) {
		if (known->from == s->from && known->seen_count == s->seen_count &&
		    same_bytes(known->seen, s->seen, s->seen_count) && same_answers(known, s)) {
			if (!did_the_same(known, s)) {
				PANIC("\"%s\" saw the same as before and did something else: it "
				      "reads what it does not tell of",
				      sim_current->name);
			}
			return known;
		}
	}
	return NULL;
}

static void add_to_group(struct sim_step *s)
{
	struct group *g = group_of(s->from);
	bool fits = !g->mask || sight(s, g->place, g->mask);

	if (!g->from) {
		g->from = s->from;
		at.n_groups++;
	}
	if (!fits) {
		/* All is in one list, until it is divided again. */
		for (const struct sim_step *old = g->steps; old; old = old->next_of_group) {
			unlink_step(g, old);
		}
		g->mask = 0;
		for (struct sim_step *old = g->steps; old; old = old->next_of_group) {
			link_step(g, old);
		}
	}
	s->next_of_group = g->steps;
	g->steps = s;
	g->n++;
	link_step(g, s);
	if (g->n >= MANY_STEPS && (!fits || (g->n & (g->n - 1)) == 0)) {
		divide(g);
	}
}

static void add_step(struct sim_step *s, uint64_t stack)
{
	make_room_for_step();
	s->saw = s->from;
	for (unsigned i = 0; i < s->seen_count; i++) {
		s->saw = sim_hash(sim_hash(s->saw, s->seen[i].place), s->seen[i].value);
	}
	for (unsigned i = 0; i < s->deed_count; i++) {
		s->saw = sim_hash(s->saw, s->deeds[i].count);
	}
	if (s->stop != STOP_END) {
		s->to = stack ? name_state(stack, s->saw) : s->saw;
	}
	add_to_group(s);
	at.n_steps++;
}

static uint64_t begin_of(uint64_t state, int wait_result)
{
	return sim_hash(state, (uint64_t)wait_result);
}

/* @stack is the hash of the state that the thread is in now; 0: there is none, or it is not had. */
static void end_step(struct sim_step *s, uint64_t stack)
{
	struct sim_step *known = known_step(s);

	if (known) {
		free(s);
		s = known;
		if (stack) {
			name_state(stack, s->to);
		}
	} else {
		add_step(s, stack);
	}
	MAKE_ROOM(at.taken, at.n_taken, at.room_taken);
	at.taken[at.n_taken++] = s;
	at.state[s->thread] = s->to;
	for (unsigned i = 0; i < s->deed_count; i++) {
		if (s->deeds[i].what == DEED_CREATE) {
			ASSERT(s->deeds[i].id < IDS);
			at.state[s->deeds[i].id] = sim_step_child(s, s->deeds[i].id);
		}
	}
	at.n_touches = at.n_deeds = at.n_own = 0;
	at.step++;
}

static __attribute__((noinline)) void stop_with(enum sim_stop stop, enum wait_kind wait,
						const void *wait_for, uint64_t deadline_ns,
						uint64_t stack)
{
	struct sim_step *s = make_step(begin_of(at.state[sim_current->id],
						sim_current->wait_result));

	s->stop = stop;
	s->wait = wait;
	s->wait_for = wait_for;
	s->deadline_ns = deadline_ns;
	if (stack) {
		stack = sim_hash(sim_hash(stack, stop), wait);
		stack = sim_hash(sim_hash(stack, (uintptr_t)wait_for), deadline_ns);
	}
	end_step(s, stop == STOP_END ? 0 : stack);
}

/*
 * What calls left below the stack would be found again in words of frames that are not in use yet,
 * and make states that are the same look different.
 */
static __attribute__((noinline)) void wipe(void)
{
	volatile uint64_t *word = (volatile uint64_t *)__builtin_frame_address(0) - 16;

	for (unsigned i = 0; i < WIPE_B / sizeof(*word); i++) {
		*--word = 0;
	}
}

/* Nothing but arguments in this frame: it is part of what is hashed. */
void sim_steps_stop(enum sim_stop stop, enum wait_kind wait, const void *wait_for,
		    uint64_t deadline_ns)
{
	stop_with(stop, wait, wait_for, deadline_ns, sim_context_look(hash_stack));
	wipe();
}

uint64_t sim_step_child(const struct sim_step *step, unsigned id)
{
	return sim_hash(step->saw, id);
}

/* What deed @d asks, of threads that are as they are. */
static unsigned answer(const struct sim_deed *d, const struct sim_actor *actors, unsigned n)
{
	unsigned count = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct sim_actor *a = &actors[i];

		count += d->what == DEED_WAKE && a->wait == d->kind && a->wait_for == d->object;
		count += d->what == DEED_ASK_END && a->id == d->id && a->wait == WAIT_DONE;
	}
	return count;
}

/* Has the step itself woken already whom its deed @i would wake? */
static bool was_woken(const struct sim_step *s, unsigned i)
{
	for (unsigned j = 0; j < i; j++) {
		if (s->deeds[i].what == DEED_WAKE && s->deeds[j].what == DEED_WAKE &&
		    s->deeds[j].kind == s->deeds[i].kind &&
		    s->deeds[j].object == s->deeds[i].object) {
			return true;
		}
	}
	return false;
}

static bool has_seen(const struct sim_step *s, const struct sim_actor *actors, unsigned n)
{
	for (unsigned i = 0; i < s->seen_count; i++) {
		if ((at.places[s->seen[i].place].value ^ s->seen[i].value) & s->seen[i].mask) {
			return false;
		}
	}
	for (unsigned i = 0; i < s->deed_count; i++) {
		const struct sim_deed *d = &s->deeds[i];

		if (d->count != (was_woken(s, i) ? 0 : answer(d, actors, n))) {
			return false;
		}
	}
	return true;
}

const struct sim_step *sim_step_find(const struct sim_actor *actor, const struct sim_actor *actors,
				     unsigned n_actors)
{
	uint64_t from = begin_of(actor->state, actor->wait_result);
	const struct group *g = group_of(from);
	struct sim_step *s = NULL;

	if (g->from) {
		s = at.steps[key_of(g, at.places[g->place].value) & (at.room_steps - 1)];
	}
	for (; s; s = s->next) {
		if (s->from == from && has_seen(s, actors, n_actors)) {
			return s;
		}
	}
	return NULL;
}

struct sim_step *const *sim_steps_taken(uint64_t *n_out)
{
	*n_out = at.n_taken;
	return at.taken;
}

/* ---- runs ------------------------------------------------------------------------------------ */

const struct sim_actor *sim_steps_start(unsigned *n_out, unsigned *first_out)
{
	*n_out = at.n_start;
	*first_out = at.first;
	return at.start;
}

void sim_steps_run(void)
{
	sim_fixed_reset();
	at.run++;
	at.step++;
	at.n_taken = at.n_touches = at.n_deeds = at.n_own = 0;
}

void sim_steps_ended(void)
{
	sim_teaching = false;
}

void sim_steps_explored(struct port_thread *const *threads, unsigned n, uint64_t now_ns)
{
	ASSERT(!at.n_taken);
	free(at.start);
	at.start = calloc(n, sizeof(*at.start));
	ASSERT(at.start);
	at.n_start = n;
	for (unsigned i = 0; i < n; i++) {
		const struct port_thread *t = threads[i];

		ASSERT(t->id < IDS && !t->interrupted);
		at.first = t == sim_current ? i : at.first;
		at.state[t->id] = sim_hash(1, t->id);
		at.start[i] = (struct sim_actor){
			.id = t->id, .wait = t->wait, .wait_for = t->wait_for,
			.deadline_ns = t->deadline_ns, .wait_result = t->wait_result,
			.state = at.state[t->id],
		};
	}
	clock_ns = now_ns;
	last_id = 0;
	(void)sim_clock_place();
	sim_teaching = true;
}

bool sim_steps_lack(void)
{
	return at.lacks;
}

void sim_steps_forget(void)
{
	for (uint64_t i = 0; i < at.room_groups; i++) {
		struct sim_step *next;

		for (struct sim_step *s = at.groups[i].steps; s; s = next) {
			next = s->next_of_group;
			free(s);
		}
	}
	for (uint64_t i = 0; i < at.room_pages; i++) {
		free(at.pages[i].places);
	}
	free(at.places);
	free(at.pages);
	free(at.steps);
	free(at.groups);
	free(at.states);
	free(at.touches);
	free(at.own);
	free(at.deeds);
	free(at.taken);
	free(at.start);
	memset(&at, 0, sizeof(at));
}

void sim_steps_end(void)
{
	sim_steps_forget();
	free(shared.addr);
	memset(&shared, 0, sizeof(shared));
}
