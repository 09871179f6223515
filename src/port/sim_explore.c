// SPDX-License-Identifier: MIT
/*
 * All schedules of a small program, up to a number of preemptions or of detours: a search, depth
 * first, over the choices that runs record.
 *
 * Each run replays a prefix and goes on with choice 0, which is no preemption. The next prefix is
 * the same with its last choice raised that can be: so every schedule is had once, and nothing but
 * the last one need be remembered.
 *
 * Locking: none; called outside all runs, or inside one, which stands still.
 */
#include "port/sim_internal.h"

#include <stdlib.h>

struct schedule {
	uint8_t *choices;
	uint64_t len, room;
};

/* What the last run chose. */
static const uint8_t *take_choices(struct schedule *s)
{
	uint64_t len;
	const uint8_t *choices = sim_choices(&len);

	if (len > s->room) {
		free(s->choices);
		s->room = len * 2;
		s->choices = malloc(s->room);
		ASSERT(s->choices);
	}
	if (len) {
		memcpy(s->choices, choices, len);
	}
	s->len = len;
	return sim_alternatives(&len);
}

/*
 * Raises the last choice that can be within the budget and drops what follows it. False: all
 * schedules have been had.
 */
static bool raise_last(struct schedule *s, const uint8_t *alternatives, enum sim_bound bound,
		       unsigned most)
{
	const unsigned free_mask = bound == SIM_PREEMPTIONS ? SIM_FREE : 0;
	unsigned spent = 0;

	for (uint64_t i = 0; i < s->len; i++) {
		spent += !(alternatives[i] & free_mask) && s->choices[i];
	}
	for (; s->len; s->len--) {
		uint8_t *last = &s->choices[s->len - 1];
		unsigned n = alternatives[s->len - 1] & ~SIM_FREE;
		bool is_free = alternatives[s->len - 1] & free_mask;

		spent -= !is_free && *last;
		if (*last + 1u < n && (is_free || spent < most)) {
			++*last;
			return true;
		}
	}
	return false;
}

uint64_t sim_explore(const struct sim_config *config, enum sim_bound bound, unsigned most,
		     uint64_t limit, void (*fn)(void *arg), void *arg, bool *all_out)
{
	struct schedule s = { .choices = malloc(1), .room = 1 };
	struct sim_config one = *config;
	uint64_t runs = 0;
	bool more = true;

	ASSERT(!config->replay && s.choices);
	while (more && runs < limit) {
		one.replay = s.choices;
		one.replay_len = s.len;
		sim_run(&one, fn, arg);
		runs++;
		more = raise_last(&s, take_choices(&s), bound, most);
	}
	free(s.choices);
	if (all_out) {
		*all_out = !more;
	}
	return runs;
}
