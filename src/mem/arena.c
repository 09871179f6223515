// SPDX-License-Identifier: MIT
/*
 * Arenas: where the contents of objects are on the host, and where clients map them.
 *
 * An arena is a sparse file, a few times larger than all regions together: windows are powers of
 * two, and objects without frames have one too. Its pages cost memory only when written.
 *
 * After fork() both processes map the same file, and each has its own idea of what is free in it.
 * So that neither overwrites the other (P7), nothing of it is used again on either side: new
 * objects get a new arena, made when the first one is needed, and the old one goes with its last
 * object. The first arena stays for ever: device files are descriptions of it.
 *
 * Locking: mem.arena_lock is a leaf and protects mem.arena and mem.arena_next.
 */
#include "mem/mem_priv.h"

#define ARENA_FACTOR 4
#define ARENA_MIN_B SZ_1G
#define ARENA_MAX_B (SZ_1G << 10)

static struct port_lock_class arena_class = { .name = "mem.arena", .rank = RANK_LEAF };

static uint64_t arena_size(const struct mem_config *config)
{
	uint64_t total_B = min_u64(config->system_B, ARENA_MAX_B) +
			   min_u64(config->vram_B, ARENA_MAX_B);

	return align_up(min_u64(max_u64(total_B * ARENA_FACTOR, ARENA_MIN_B), ARENA_MAX_B), SZ_2M);
}

static struct mem_arena *arena_create(uint64_t size_B)
{
	struct mem_arena *arena = port_alloc(sizeof(*arena));

	if (!arena) {
		return NULL;
	}
	ref_init(&arena->ref);
	if (port_arena_create(&arena->port, size_B)) {
		goto err;
	}
	if (region_init(&arena->windows, "windows", MEM_REGIONS, false, size_B, SZ_4K)) {
		port_arena_destroy(&arena->port);
		goto err;
	}
	return arena;
err:
	port_free(arena);
	return NULL;
}

static void arena_put(struct mem_arena *arena)
{
	if (!arena || !ref_put(&arena->ref)) {
		return;
	}
	region_fini(&arena->windows);
	port_arena_destroy(&arena->port);
	port_free(arena);
}

int mem_arenas_init(struct mem *mem, const struct mem_config *config)
{
	mem->arena_size_B = arena_size(config);
	mem->first_arena = arena_create(mem->arena_size_B);
	if (!mem->first_arena) {
		return -ENOMEM;
	}
	port_mutex_init(&mem->arena_lock, &arena_class);
	ref_get(&mem->first_arena->ref);
	mem->arena = mem->first_arena;
	mem->arena_next = mem->arena_size_B;
	return 0;
}

void mem_arenas_fini(struct mem *mem)
{
	if (!mem->first_arena) {
		return;
	}
	arena_put(mem->arena);
	arena_put(mem->first_arena);
	port_mutex_fini(&mem->arena_lock);
	mem->arena = NULL;
	mem->first_arena = NULL;
}

/* The arena for new objects, with a reference; NULL without memory. */
static struct mem_arena *arena_current(struct mem *mem)
{
	struct mem_arena *made = NULL, *arena;

	for (;;) {
		port_mutex_lock(&mem->arena_lock);
		if (!mem->arena && made) {
			made->first = mem->arena_next;
			mem->arena_next += mem->arena_size_B;
			mem->arena = made;
			made = NULL;
		}
		arena = mem->arena;
		if (arena) {
			ref_get(&arena->ref);
		}
		port_mutex_unlock(&mem->arena_lock);
		if (arena) {
			arena_put(made); /* somebody else was faster */
			return arena;
		}
		made = arena_create(mem->arena_size_B);
		if (!made) {
			return NULL;
		}
	}
}

int mem_window_alloc(struct mem *mem, unsigned order, struct mem_arena **arena_out,
		     uint64_t *off_out)
{
	struct mem_arena *arena = arena_current(mem);

	if (!arena) {
		return -ENOMEM;
	}
	if (region_alloc_block(&arena->windows, order, 0, off_out)) {
		arena_put(arena);
		return -ENOMEM;
	}
	*arena_out = arena;
	return 0;
}

void mem_window_free(struct mem_arena *arena, uint64_t off, uint64_t window_B, uint64_t size_B)
{
	/* Dropped before the window is free: whoever gets it next finds zeroes. */
	if (!arena->shared) {
		port_arena_discard(&arena->port, off, size_B);
	}
	region_free_range(&arena->windows, off, window_B);
	arena_put(arena);
}

void mem_after_fork(struct mem *mem, bool child)
{
	if (child) {
		/* The threads whose memory was going are not here. */
		list_init(&mem->ranges);
	}
	if (mem->arena) {
		mem->arena->shared = true;
		arena_put(mem->arena);
		mem->arena = NULL;
	}
}
