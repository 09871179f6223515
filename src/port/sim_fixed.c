// SPDX-License-Identifier: MIT
/*
 * Memory at fixed addresses, for runs whose states are compared: each thread has a window of its
 * own from which it takes one piece after the other, and nothing is used twice in a run. So an
 * address tells nothing of what other threads have done. Mappings follow each other.
 *
 * Locking: none, as all of the simulator.
 */
#include "port/sim_steps.h"

#include <stdlib.h>
#include <sys/mman.h>

/* Far from everything that the host maps by itself. */
#define WINDOWS_AT ((uintptr_t)0x200000000000)
#define WINDOW_B ((size_t)64 << 20)
#define WINDOWS 64u
#define MAPS_AT (WINDOWS_AT + WINDOWS * WINDOW_B)
#define PIECE_B 16u /* alignment, and room for the size */

bool sim_fixed;

static bool have_windows;
static size_t used[WINDOWS], mapped;

void sim_fixed_reset(void)
{
	if (!have_windows) {
		void *at = (void *)WINDOWS_AT;

		ASSERT(mmap(at, WINDOWS * WINDOW_B, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1,
			    0) == at);
		have_windows = true;
	}
	memset(used, 0, sizeof(used));
	mapped = 0;
}

uint64_t sim_fixed_used(void)
{
	return used[sim_current->id];
}

/* A piece for the running thread, zeroed. What a thread gets depends on what it got before only. */
static void *take(size_t size_B)
{
	unsigned id = sim_current->id;
	char *piece;

	ASSERT(id < WINDOWS);
	size_B = (size_B + PIECE_B - 1) & ~(size_t)(PIECE_B - 1);
	if (size_B >= WINDOW_B - used[id] - PIECE_B) {
		PANIC("thread %u needs more memory than a window has", id);
	}
	piece = (char *)WINDOWS_AT + id * WINDOW_B + used[id] + PIECE_B;
	((size_t *)piece)[-1] = size_B;
	used[id] += PIECE_B + size_B;
	memset(piece, 0, size_B);
	return piece;
}

/* False: it is not from here. */
static bool give(void *ptr)
{
	uintptr_t addr = (uintptr_t)ptr;

	if (addr < WINDOWS_AT || addr >= MAPS_AT) {
		return false;
	}
	/* What is left in it is no part of the state. */
	host_gone(ptr, ((size_t *)ptr)[-1]);
	return true;
}

void *host_map_at(size_t size_B)
{
	void *at;

	if (!sim_fixed) {
		return NULL;
	}
	sim_touch(&mapped, sizeof(mapped), SIM_READ);
	sim_touch(&mapped, sizeof(mapped), SIM_WRITE);
	at = (void *)(MAPS_AT + mapped);
	mapped += (size_B + 4095) & ~(size_t)4095;
	return at;
}

void *host_alloc(size_t size_B)
{
	return sim_fixed ? take(size_B) : calloc(1, size_B);
}

void host_free(void *ptr)
{
	if (!give(ptr)) {
		free(ptr);
	}
}

void host_gone(const void *ptr, size_t size_B)
{
	sim_steps_deed(&(struct sim_deed){
		.what = DEED_GONE, .object = ptr, .size_B = size_B,
	});
}

void host_touch(const void *ptr, size_t size_B, bool write)
{
	sim_touch(ptr, size_B, write ? SIM_WRITE : SIM_READ);
}
