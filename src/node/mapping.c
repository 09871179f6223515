// SPDX-License-Identifier: MIT
/*
 * Mappings hold their objects: a buffer whose handle and descriptor are closed lives until it is
 * unmapped, and its frames go to nobody else before. A kernel counts this in the mapping itself.
 *
 * A sorted array of disjoint ranges, each with a reference. Ranges are cut as munmap() and its
 * likes cut them; a cut in the middle makes two.
 *
 * Locking: @map_lock, the lowest of all, so that objects may be released and memory taken under it.
 */
#include "node/mapping.h"

#include "node/node.h"

struct mapping {
	uint64_t addr, end;
	void *object; /* a reference, of kind UAPI_FD_DMABUF */
};

static struct port_lock_class map_class = { .name = "node.mappings", .rank = RANK_NODE_GATE };
static struct port_mutex map_lock;
static struct mapping *maps; /* under map_lock, and all below */
static size_t maps_cap;
static atomic_size_t maps_count;

static __attribute__((constructor)) void init(void)
{
	port_mutex_init(&map_lock, &map_class);
}

void mapping_lock(void)
{
	port_mutex_lock(&map_lock);
}

void mapping_unlock(void)
{
	port_mutex_unlock(&map_lock);
}

bool mapping_any(void)
{
	return atomic_load_explicit(&maps_count, memory_order_relaxed) != 0;
}

/* The first range that ends above @addr. */
static size_t find(uint64_t addr)
{
	size_t low = 0, high = atomic_load(&maps_count);

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (maps[middle].end > addr) {
			high = middle;
		} else {
			low = middle + 1;
		}
	}
	return low;
}

static int insert(size_t at, struct mapping mapping)
{
	size_t count = atomic_load(&maps_count);

	if (count == maps_cap) {
		size_t cap = maps_cap ? 2 * maps_cap : 64;
		struct mapping *grown = port_alloc(cap * sizeof(*grown));

		if (!grown) {
			return -ENOMEM;
		}
		if (count) {
			memcpy(grown, maps, count * sizeof(*grown));
		}
		port_free(maps);
		maps = grown;
		maps_cap = cap;
	}
	memmove(&maps[at + 1], &maps[at], (count - at) * sizeof(*maps));
	maps[at] = mapping;
	atomic_store(&maps_count, count + 1);
	return 0;
}

int mapping_add(uint64_t addr, uint64_t size_B, void *object)
{
	struct mapping mapping = { addr, addr + align_up(size_B, PAGE_SIZE), object };

	mapping_cut(addr, size_B);
	return insert(find(addr), mapping);
}

static void remove_at(size_t at)
{
	size_t count = atomic_load(&maps_count) - 1;
	void *object = maps[at].object;

	memmove(&maps[at], &maps[at + 1], (count - at) * sizeof(*maps));
	atomic_store(&maps_count, count);
	uapi_fd_put_object(UAPI_FD_DMABUF, object);
}

void mapping_cut(uint64_t addr, uint64_t size_B)
{
	uint64_t end = addr + align_up(size_B, PAGE_SIZE);
	size_t at = find(addr);

	while (at < atomic_load(&maps_count) && maps[at].addr < end) {
		struct mapping *m = &maps[at], upper = *m;

		if (m->addr >= addr && m->end <= end) {
			remove_at(at);
		} else if (m->addr >= addr) {
			m->addr = end;
		} else if (m->end <= end) {
			m->end = addr;
			at++;
		} else {
			/* Without memory for the second half the first speaks for both. */
			upper.addr = end;
			if (insert(at + 1, upper) == 0) {
				uapi_fd_get_object(UAPI_FD_DMABUF, upper.object);
				maps[at].end = addr;
			}
			return;
		}
	}
}

void *mapping_object(uint64_t addr)
{
	size_t at = find(addr);
	void *object = NULL;

	if (at < atomic_load(&maps_count) && maps[at].addr <= addr) {
		object = maps[at].object;
		uapi_fd_get_object(UAPI_FD_DMABUF, object);
	}
	return object;
}
