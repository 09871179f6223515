// SPDX-License-Identifier: MIT
/* What the scenarios draw their steps from. */
#include "sim.h"

#define USUAL                                                                                      \
	[SIM_VM] = 16, [SIM_BO] = 24, [SIM_BO_END] = 4, [SIM_MAP] = 40, [SIM_UNMAP] = 16,          \
	[SIM_LIST] = 12, [SIM_PREFETCH] = 6, [SIM_QUEUE] = 24, [SIM_RING] = 4, [SIM_EXEC] = 100,   \
	[SIM_WAIT] = 30, [SIM_SYNC] = 6, [SIM_QUERY] = 2

static const struct sim_scenario scenarios[] = {
	{
		.name = "device",
		.what = "everything",
		.weight = {
			USUAL, [SIM_VM_END] = 2, [SIM_USERPTR] = 12, [SIM_VANISH] = 8,
			[SIM_KILL] = 3, [SIM_SPIN] = 12, [SIM_HANG] = 2, [SIM_FAULT] = 2,
			[SIM_SHARE] = 8, [SIM_ATTACH] = 12, [SIM_EVICT] = 8, [SIM_RESET] = 1,
			[SIM_WEDGE] = 1, [SIM_CLOSE] = 1, [SIM_INJECT] = 8, [SIM_SIGNAL] = 6,
			[SIM_RACE] = 8,
		},
	},
	{
		.name = "memory",
		.what = "objects, client memory, evictions; nothing is lost",
		.weight = {
			USUAL, [SIM_USERPTR] = 20, [SIM_VANISH] = 24, [SIM_SHARE] = 16,
			[SIM_ATTACH] = 16, [SIM_EVICT] = 30, [SIM_RACE] = 16, [SIM_SPIN] = 12,
		},
	},
	{
		.name = "ends",
		.what = "kills, closes, hangs, resets, failures",
		.weight = {
			USUAL, [SIM_VM_END] = 12, [SIM_KILL] = 16, [SIM_SPIN] = 24, [SIM_HANG] = 6,
			[SIM_FAULT] = 8, [SIM_RESET] = 4, [SIM_WEDGE] = 2, [SIM_CLOSE] = 4,
			[SIM_INJECT] = 30, [SIM_SIGNAL] = 20,
		},
	},
	{
		.name = "canary",
		.what = "memory, with a bug planted that has to be found",
		.weight = {
			USUAL, [SIM_SHARE] = 16, [SIM_EVICT] = 48, [SIM_SPIN] = 24,
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
