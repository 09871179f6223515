// SPDX-License-Identifier: MIT
/*
 * Probabilistic concurrency testing (Burckhardt and others, 2010): few threads, few changes of
 * mind, and a bound on the chance to miss a bug that needs few of them.
 *
 * A step of the algorithm is a choice: where only one thread can run its priority does not matter,
 * and a change that should have been made there has the same effect at the next choice.
 *
 * Locking: as sim.c, none.
 */
#include "port/sim_internal.h"

void sim_pct_init(struct sim_pct *pct, const struct sim_config *config)
{
	if (!config->pct_depth) {
		return;
	}
	ASSERT(config->pct_depth <= SIM_PCT_DEPTH_MAX && config->pct_steps);
	pct->rng = config->seed;
	for (unsigned i = 0; i + 1 < config->pct_depth; i++) {
		pct->change[i] = sim_splitmix(&pct->rng) % config->pct_steps;
	}
}

void sim_pct_add(struct sim_pct *pct, struct port_thread *t)
{
	/* Above those that changes give; the same one twice is as good as never. */
	t->priority = (int64_t)(sim_splitmix(&pct->rng) >> 2) + SIM_PCT_DEPTH_MAX;
}

unsigned sim_pct_choose(struct sim_pct *pct, const struct sim_config *config,
			struct port_thread *const *list, unsigned n, bool yield)
{
	uint64_t step = pct->choices++;
	unsigned best = 0;

	for (unsigned i = 0; i + 1 < config->pct_depth; i++) {
		if (pct->change[i] == step) {
			sim_current->priority = (int64_t)(config->pct_depth - i);
		}
	}
	/* Whoever polls would else keep away for ever what it polls for. */
	if (yield) {
		sim_current->priority = --pct->lowest;
	}
	for (unsigned i = 1; i < n; i++) {
		if (list[i]->priority > list[best]->priority) {
			best = i;
		}
	}
	return best;
}
