// SPDX-License-Identifier: MIT
/* What the scenarios draw their steps from. */
#include "sim.h"

#define USUAL                                                                                      \
	[SIM_VM] = 3, [SIM_BO] = 6, [SIM_BO_END] = 2, [SIM_MAP] = 10, [SIM_UNMAP] = 5,             \
	[SIM_LIST] = 3, [SIM_PREFETCH] = 2, [SIM_QUEUE] = 6, [SIM_EXEC] = 24, [SIM_WAIT] = 8,      \
	[SIM_SYNC] = 2, [SIM_QUERY] = 1

static const struct sim_scenario scenarios[] = {
	{
		.name = "device",
		.what = "everything",
		.weight = {
			USUAL, [SIM_VM_END] = 1, [SIM_USERPTR] = 3, [SIM_VANISH] = 2,
			[SIM_KILL] = 1, [SIM_SPIN] = 3, [SIM_HANG] = 1, [SIM_FAULT] = 1,
			[SIM_SHARE] = 2, [SIM_EVICT] = 2, [SIM_RESET] = 1, [SIM_WEDGE] = 1,
			[SIM_CLOSE] = 1, [SIM_INJECT] = 3, [SIM_SIGNAL] = 2, [SIM_RACE] = 2,
		},
	},
	{
		.name = "memory",
		.what = "objects, client memory, evictions; nothing is lost",
		.weight = {
			USUAL, [SIM_USERPTR] = 6, [SIM_VANISH] = 6, [SIM_SHARE] = 4,
			[SIM_EVICT] = 8, [SIM_RACE] = 4, [SIM_SPIN] = 3,
		},
	},
	{
		.name = "ends",
		.what = "kills, closes, hangs, resets, failures",
		.weight = {
			USUAL, [SIM_VM_END] = 4, [SIM_KILL] = 6, [SIM_SPIN] = 6, [SIM_HANG] = 3,
			[SIM_FAULT] = 4, [SIM_RESET] = 3, [SIM_WEDGE] = 1, [SIM_CLOSE] = 3,
			[SIM_INJECT] = 10, [SIM_SIGNAL] = 6,
		},
	},
	{
		.name = "canary",
		.what = "memory, with a bug planted that has to be found",
		.weight = {
			USUAL, [SIM_SHARE] = 4, [SIM_EVICT] = 12, [SIM_SPIN] = 6,
		},
		.planted = true,
	},
};

const struct sim_scenario *sim_scenario(unsigned index)
{
	return index < ARRAY_LEN(scenarios) ? &scenarios[index] : NULL;
}

const char *sim_kind_name(enum sim_kind kind)
{
	static const char *const names[] = {
#define X(name, text) text,
		SIM_KINDS(X)
#undef X
	};

	return names[kind];
}
