// SPDX-License-Identifier: MIT
/*
 * The pool of records.
 *
 * Overview. Free records are on a list, the last one first, as it is still in the cache. Records
 * are taken under vm.lock, but come back from any thread's cleanup: onto a second list, which the
 * taker takes over as a whole when its own is empty. So nobody ever takes one record off a list
 * that others push to.
 *
 * Slabs are not looked at when records come and go, which would cost a cache miss each time. When
 * half of the records that were used have come back, all free records are counted slab by slab, and
 * slabs that are all free go. After that no slab is without a used record, so that counting costs a
 * constant amount of work for each record that came back since the last time.
 *
 * How many came back is counted in the unused low bits of the pointer to the list, as a second
 * atomic operation for each record would double the cost.
 *
 * Locking: vm.lock (write), but for vma_pool_give().
 *
 *	record = vma_pool_take(&vm->pool);
 *	...
 *	vma_pool_give(&vm->pool, record);
 */
#include "vm/pool.h"

#include "base/bits.h"

#define LINE_B 64u
#define BATCH LINE_B /* records begin on a line, so a pointer to one has room for a count below */
/* No more than so many slabs are not worth looking at. */
#define KEEP 4u

/* What ends on a cache line, records follow. */
struct vma_slab {
	struct vma_slab *next;
	uint32_t free;  /* records, while they are counted */
	uint32_t shift; /* from what was allocated to this */
};

#define SLAB_B (sizeof(struct vma_slab) + (size_t)VMA_SLAB_RECORDS * VMA_RECORD_B)

static struct vma_free *record_of(struct vma_slab *slab, unsigned slot)
{
	return (struct vma_free *)((char *)(slab + 1) + slot * VMA_RECORD_B);
}

static struct vma_slab *slab_of(struct vma_free *record)
{
	return (struct vma_slab *)((char *)record - record->slot * VMA_RECORD_B) - 1;
}

static int slab_add(struct vma_pool *pool)
{
	char *raw = port_alloc(SLAB_B + LINE_B - 16);
	struct vma_slab *slab;
	uint32_t shift;

	if (!raw) {
		return -ENOMEM;
	}
	shift = (uint32_t)(-(uintptr_t)(raw + sizeof(*slab)) % LINE_B);
	ASSERT(shift <= LINE_B - 16);
	slab = (struct vma_slab *)(raw + shift);
	slab->shift = shift;
	slab->next = pool->slabs;
	pool->slabs = slab;
	pool->slab_count++;
	for (unsigned slot = VMA_SLAB_RECORDS; slot-- > 0;) {
		struct vma_free *record = record_of(slab, slot);

		record->next = pool->free;
		record->slot = (uint8_t)slot;
		pool->free = record;
		VMA_POISON(record);
	}
	return 0;
}

/* Unlinks and frees the slab that *@link points to. */
static void slab_free(struct vma_pool *pool, struct vma_slab **link)
{
	struct vma_slab *slab = *link;

	*link = slab->next;
	pool->slab_count--;
	port_free((char *)slab - slab->shift);
}

/* Takes what came back. */
static struct vma_free *take_returned(struct vma_pool *pool)
{
	uintptr_t word = atomic_exchange_explicit(&pool->returned, 0, memory_order_acquire);

	pool->used -= word % BATCH;
	return (struct vma_free *)(word - word % BATCH);
}

static void count_batches(struct vma_pool *pool)
{
	pool->used -= BATCH * atomic_exchange_explicit(&pool->batches, 0, memory_order_relaxed);
}

void vma_pool_init(struct vma_pool *pool)
{
	*pool = (struct vma_pool){ 0 };
}

void vma_pool_fini(struct vma_pool *pool)
{
	(void)take_returned(pool);
	count_batches(pool);
	ASSERT(pool->used == 0);
	while (pool->slabs) {
		slab_free(pool, &pool->slabs);
	}
	ASSERT(pool->slab_count == 0);
	vma_pool_init(pool);
}

int vma_pool_fill(struct vma_pool *pool)
{
	pool->free = take_returned(pool);
	if (!pool->free) {
		return slab_add(pool);
	}
	return port_fault_hit(PORT_FAULT_ALLOC) ? -ENOMEM : 0;
}

void vma_pool_give(struct vma_pool *pool, struct vma_free *record)
{
	uintptr_t seen = atomic_load_explicit(&pool->returned, memory_order_relaxed), word;

	VMA_POISON(record);
	do {
		word = (uintptr_t)record + (seen + 1) % BATCH;
		record->next = (struct vma_free *)(seen - seen % BATCH);
	} while (!atomic_compare_exchange_weak_explicit(&pool->returned, &seen, word,
							memory_order_release,
							memory_order_relaxed));
	if (word % BATCH == 0) {
		atomic_fetch_add_explicit(&pool->batches, 1, memory_order_relaxed);
	}
}

/* Gives back the slabs that are all free. */
static void trim(struct vma_pool *pool)
{
	struct vma_free **at = &pool->free, *record;
	struct vma_slab **link = &pool->slabs;

	while (*at) {
		at = &(*at)->next;
	}
	*at = take_returned(pool);
	for (record = pool->free; record; record = record->next) {
		slab_of(record)->free++;
	}
	for (at = &pool->free; (record = *at);) {
		if (slab_of(record)->free == VMA_SLAB_RECORDS) {
			*at = record->next;
		} else {
			at = &record->next;
		}
	}
	while (*link) {
		if ((*link)->free == VMA_SLAB_RECORDS) {
			slab_free(pool, link);
		} else {
			(*link)->free = 0;
			link = &(*link)->next;
		}
	}
}

void vma_pool_trim_batches(struct vma_pool *pool)
{
	pool->trim_at = max_u64(pool->trim_at, pool->used / 2);
	count_batches(pool);
	if (pool->used <= pool->trim_at && pool->slab_count > KEEP) {
		trim(pool);
		pool->trim_at = pool->used / 2;
	}
}
