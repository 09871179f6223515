// SPDX-License-Identifier: MIT
/*
 * Memory, the same on both hosts: the counted allocator, address space for sparse tables, and the
 * arena that clients can map.
 *
 * An allocation carries a header of 16 bytes with its size, so that the count needs nothing from
 * the host's malloc (a client may bring its own). Locking: none, the counts are atomic.
 */
#include "port/internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define HEADER_B 16u
#define MAGIC 0x766d62696e642121ull

struct header {
	uint64_t size_B;
	uint64_t magic;
};

_Static_assert(sizeof(struct header) == HEADER_B, "keeps the alignment of malloc");

/*
 * Counts of what is allocated, a pair for each thread id: what one thread allocates another may
 * free, so only the sums over all mean something. Threads beyond the last pair share it.
 */
#define COUNTS 1024u

static struct counts {
	_Atomic uint64_t blocks, bytes;
} __attribute__((aligned(64))) counts[COUNTS];

static void count(uint64_t blocks, uint64_t bytes)
{
	unsigned id = port_thread_id();
	struct counts *c = &counts[id < COUNTS ? id : 0]; /* id 0 is nobody's */

	if (id >= COUNTS) {
		atomic_fetch_add_explicit(&c->blocks, blocks, memory_order_relaxed);
		atomic_fetch_add_explicit(&c->bytes, bytes, memory_order_relaxed);
		return;
	}
	/* Nobody else writes it: no locked instruction is needed. */
	atomic_store_explicit(&c->blocks,
			      atomic_load_explicit(&c->blocks, memory_order_relaxed) + blocks,
			      memory_order_relaxed);
	atomic_store_explicit(&c->bytes,
			      atomic_load_explicit(&c->bytes, memory_order_relaxed) + bytes,
			      memory_order_relaxed);
}

void *port_alloc_at(size_t size_B, const char *where)
{
	struct header *h;

	lockcheck_alloc("an allocation", size_B, where);
	if (port_fault_error_at(PORT_FAULT_ALLOC, where) || size_B > SIZE_MAX / 2) {
		return NULL;
	}
	h = host_alloc(size_B + HEADER_B);
	if (!h) {
		return NULL;
	}
	h->size_B = size_B;
	h->magic = MAGIC;
	count(1, size_B);
	return h + 1;
}

void port_free(void *ptr)
{
	struct header *h = ptr;

	if (!ptr) {
		return;
	}
	h--;
	ASSERT(h->magic == MAGIC); /* not ours, or freed before */
	h->magic = 0;
	count((uint64_t)-1, -(uint64_t)h->size_B);
	host_free(h);
}

void port_alloc_stats(uint64_t *blocks_out, uint64_t *bytes_out)
{
	*blocks_out = 0;
	*bytes_out = 0;
	for (unsigned i = 0; i < COUNTS; i++) {
		*blocks_out += atomic_load(&counts[i].blocks);
		*bytes_out += atomic_load(&counts[i].bytes);
	}
}

void *port_reserve_at(size_t size_B, const char *where)
{
	void *ptr;

	lockcheck_alloc("a reservation of address space", size_B, where);
	if (port_fault_error_at(PORT_FAULT_ALLOC, where)) {
		return NULL;
	}
	ptr = mmap(host_map_at(size_B), size_B, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ptr == MAP_FAILED) {
		return NULL;
	}
	count(1, size_B);
	return ptr;
}

void port_unreserve(void *ptr, size_t size_B)
{
	if (!ptr) {
		return;
	}
	host_gone(ptr, size_B);
	ASSERT(munmap(ptr, size_B) == 0);
	count((uint64_t)-1, -(uint64_t)size_B);
}

void port_reserve_discard(void *ptr, size_t size_B)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t first = ((uintptr_t)ptr + page - 1) & ~(page - 1);
	uintptr_t end = ((uintptr_t)ptr + size_B) & ~(page - 1);

	if (first < end) {
		host_touch((void *)first, end - first, true);
		ASSERT(madvise((void *)first, end - first, MADV_DONTNEED) == 0);
	}
}

int port_arena_create(struct port_arena *arena, uint64_t size_B)
{
	void *base;
	int fd, ret;

	lockcheck_alloc("the creation of an arena", size_B, NULL);
	*arena = (struct port_arena){ .fd = -1 };
	if (size_B == 0 || size_B > INT64_MAX) {
		return -EINVAL;
	}
	if (port_fault_hit(PORT_FAULT_ALLOC)) {
		return -ENOMEM;
	}
	fd = memfd_create("vmbind-arena", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0) {
		return -errno;
	}
	/* Sealed against shrinking: no client can turn an access of ours into SIGBUS. */
	if (ftruncate(fd, (off_t)size_B) != 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) {
		ret = -errno;
		close(fd);
		return ret;
	}
	base = mmap(host_map_at(size_B), size_B, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (base == MAP_FAILED) {
		ret = -errno;
		close(fd);
		return ret;
	}
	*arena = (struct port_arena){ .base = base, .size_B = size_B, .fd = fd };
	count(1, size_B);
	return 0;
}

void port_arena_destroy(struct port_arena *arena)
{
	if (!arena->base) {
		return;
	}
	host_gone(arena->base, arena->size_B);
	ASSERT(munmap(arena->base, arena->size_B) == 0);
	close(arena->fd);
	count((uint64_t)-1, -(uint64_t)arena->size_B);
	*arena = (struct port_arena){ .fd = -1 };
}

void port_arena_discard(struct port_arena *arena, uint64_t off, uint64_t size_B)
{
	int ret;

	ASSERT(size_B <= arena->size_B && off <= arena->size_B - size_B);
	if (!size_B) {
		return;
	}
	host_touch((char *)arena->base + off, size_B, true);
	do {
		ret = fallocate(arena->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off,
				(off_t)size_B);
	} while (ret != 0 && errno == EINTR);
	if (ret != 0) {
		/* The contents must go even where the memory cannot. */
		memset((char *)arena->base + off, 0, size_B);
	}
}
