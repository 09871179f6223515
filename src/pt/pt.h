/* SPDX-License-Identifier: MIT */
/*
 * Page tables in the hardware's format (gpu/format.h), in frames that the GPU really walks.
 *
 * Everything that changes a table follows prepare / run / cleanup:
 *  - pt_reserve_map(), pt_reserve_clear() (may sleep, may fail): allocate every table the later
 *    writes can need into a `struct pt_pool`; a map also links missing directories (filled
 *    not-present) and pins the present ones, so that a neighbour's unmap cannot take them away and
 *    a pending bind never makes a neighbour wait for a directory (P3);
 *  - pt_write(), pt_clear() (cannot fail, no allocation): change entries, take tables from the pool
 *    where a huge entry or a compact table must be cut, unlink leaf tables that became empty, note
 *    directories that became empty;
 *  - pt_release() (idempotent): unpins, unlinks directories nobody needs, frees the leaf tables
 *    that the run unlinked. Called only after the TLB invalidation of the run has ended;
 *  - pt_free_dirs() (idempotent): frees the directories that were unlinked. Those that pt_release()
 *    unlinked are empty, so no translation is left to invalidate, but a walk that began before may
 *    still read them: where pt_has_dirs() says so, the caller lets every access epoch end in
 *    between.
 *
 * Directories (level >= 1) count live entries and pins. Leaf tables (level 0) have no pins: the
 * pool holds one wherever at planning time the slot was not already a table of the right kind or
 * an unfinished job overlapped the slot. Jobs that overlap at 2 MiB granularity run in publication
 * order, so what was planned holds when the job runs. At most one reservation per tree is under way
 * at a time (the VM's lock), but writes, clears and releases of earlier jobs may run beside it.
 *
 * Several reservations may go into one pool, whose writes then run in the same order. What an
 * earlier one of the same pool will do has not been done when the next one looks: to the next one
 * the job itself is an unfinished job, and @contended must say so where they share a granule.
 *
 * A clear can do without memory (P2). When pt_reserve_clear() found none, the caller may go on with
 * @may_lose: where a table would be needed to cut an entry, pt_clear() clears the whole entry and
 * says what it took beyond the request. Nothing between reserve and release allocates then. The
 * caller, which knows the mappings, waits for the users of the lost parts before the run,
 * invalidates them with the rest, and maps them again when there is memory.
 *
 * Where a map covers an aligned GiB with one aligned GiB of memory (NULL mappings always), one leaf
 * of 1 GiB is written into the level-2 directory, which then is the one that is pinned. A level-1
 * directory that is there is unlinked with all below it, or, when somebody has pinned it, filled
 * with 512 leaves of 2 MiB: both need no memory. A reservation that concerns a part of such a GiB
 * cuts it at once: a new directory whose leaves translate the same is linked and pinned; nothing
 * changes for anybody, so that nothing is to be undone when the operation is given up. A clear also
 * makes and pins a directory where a pending job may write a leaf of 1 GiB first.
 *
 * What is written elsewhere, per 2 MiB slot: one leaf of 2 MiB where the call covers the slot and
 * the memory is one aligned 2 MiB page (NULL mappings always); a compact table of 64 KiB pages
 * where the call covers the slot with 64 KiB pages; else entries of 4 KiB, in which 16 neighbours
 * that are one aligned 64 KiB page say so (ps64). A compact table takes later writes and clears of
 * whole 64 KiB pages; any other cut makes a table of 4 KiB entries of it, as it does of a leaf. The
 * kept parts translate to the same addresses before, during and after a cut.
 *
 * Tables can be evicted: pt_evict() takes their frames away, pt_restore() gives them new ones. In
 * between their entries are in host memory, where all of the above changes them as anywhere else,
 * and to the hardware nothing is there. See evict.c.
 *
 * Locking: pt.lock (vm.pt, RANK_VM_PT) protects the tables. pt_reserve() is called without it.
 */
#ifndef PT_PT_H
#define PT_PT_H

#include "base/list.h"
#include "gpu/format.h"
#include "gpu/gpu.h"
#include "mem/mem.h"

/* Ranges of pending jobs are ordered against one another when they share one of these. */
#define PT_ORDER_GRANULE SZ_2M

struct pt_table {
	struct list node;       /* in a pool; a linked directory: in pool.emptied, by pt.lock */
	struct frame_page page; /* the entries in .host; evicted: only that, on the heap */
	uint8_t level;
	bool compact;
	uint32_t live;          /* entries that are not empty */
	uint32_t pins;          /* levels 1 and 2: reservations that count on it */
	struct pt_table *parent; /* NULL: the root, or not linked */
	uint32_t slot;          /* in the parent */
	struct pt_table **child; /* directories: by entry; NULL for leaves and empty ones */
};

struct pt {
	struct mem *mem;
	const struct gpu_pt_format *fmt;
	struct port_mutex lock;
	struct pt_table *root;
	struct pt_table *last;  /* the level-1 directory that was looked for last, or NULL ... */
	uint64_t last_start;    /* ... and its first address; by .lock */
	atomic_ullong tables;   /* allocated, all levels and pools */
	atomic_ullong dirs;     /* those of them that are directories */
	atomic_ullong evicted;  /* those of them that have no frame now */
	bool need_64k;          /* device memory only in pages of 64 KiB and up (DG2 rule) */
};

/* One reservation's claim on a directory; the count is in the directory. */
struct pt_pin {
	struct list node;
	struct pt_table *dir; /* NULL: not in use */
};
#define PT_POOL_PINS 2 /* the usual job allocates none */

/* What a clear took beyond its range, see pt_clear(). */
struct pt_lost {
	uint64_t start, end;
};

/* Tables set aside for one job. Its owner runs one call on it at a time; it cannot be moved. */
struct pt_pool {
	struct list tables;     /* struct pt_table.node, level 0, for cuts and new leaf tables */
	struct list unlinked;   /* leaf tables, freed by pt_release() */
	struct list dirs;       /* unlinked directories; for pt_free_dirs() */
	struct list pins;       /* struct pt_pin.node: what was pinned, to be unpinned */
	struct list emptied;    /* linked directories that a clear emptied; by pt.lock */
	struct pt_pin pin[PT_POOL_PINS];
	bool has_emptied;       /* something was put on .emptied: others may take it off */
	bool missing;           /* a clear did not get its tables: those here are for the maps */
	bool may_lose;          /* set by the caller: clears may take more than they should */
	unsigned lost_count;
	struct pt_lost lost[2]; /* of the last pt_clear(): before its start, after its end */
	/*
	 * Of the last reservation: what it must be ordered against. A write into a leaf table that
	 * is there and stays touches nothing but its own entries; one that makes, cuts or removes a
	 * table (@reshapes) concerns everybody in that table's slot.
	 */
	uint64_t order_start, order_end;
	bool reshapes;
};

int pt_init(struct pt *pt, struct mem *mem, const struct gpu_pt_format *fmt);
/* Frees every table. The caller made sure that no engine walks it. */
void pt_fini(struct pt *pt);

void pt_pool_init(struct pt_pool *pool);

/*
 * Plans and reserves for writing or clearing [start, end): all levels of directories and the leaf
 * tables that may be needed. @contended: an unfinished job that reshapes overlaps the range,
 * widened to PT_ORDER_GRANULE. @backing: what will be mapped from @start (NULL: a NULL mapping). 0
 * or -ENOMEM; on error pt_release(@pool) undoes everything. Takes and drops pt.lock.
 *
 * After a clear's -ENOMEM the caller may also set @may_lose and go on as if it had been 0: the
 * order range is right in either case. The other clears of the same pool may lose something then,
 * too; its maps keep what was reserved for them.
 *
 * All ranges are multiples of 4 KiB, not empty, and inside the address space. But for leaves of
 * 1 GiB a clear creates no directories: where there is none now there is nothing to clear later,
 * since an earlier job that will map something there has made its own.
 */
int pt_reserve_map(struct pt *pt, struct pt_pool *pool, uint64_t start, uint64_t end,
		   const struct backing *backing, uint64_t offset_B, bool contended);
int pt_reserve_clear(struct pt *pt, struct pt_pool *pool, uint64_t start, uint64_t end,
		     bool contended);

/*
 * Maps [start, end) to @backing from @offset_B (NULL backing with attrs->null), replacing whatever
 * is there, with the largest entries that address, frames and alignment allow. pt.lock held.
 */
void pt_write(struct pt *pt, struct pt_pool *pool, uint64_t start, uint64_t end,
	      const struct backing *backing, uint64_t offset_B, const struct gpu_pte_attrs *attrs);
/*
 * Makes [start, end) not present. Entries that reach out of it are cut, or lost as a whole when the
 * pool has no table and says .may_lose; .lost_count and .lost tell about this call. pt.lock held.
 */
void pt_clear(struct pt *pt, struct pt_pool *pool, uint64_t start, uint64_t end);

/*
 * See above. Idempotent; also undoes a failed or unused reservation. The pool can then be used for
 * another job once pt_free_dirs() was called. Takes and drops pt.lock if there is a reason.
 */
void pt_release(struct pt *pt, struct pt_pool *pool);

/*
 * After the run: did it replace or empty leaf tables? A walk may be inside one, also on behalf of a
 * neighbour in the same slot whose translation stays. Then an invalidation must lie between run and
 * pt_release() even if no translation of the job's range can be cached: any range does, what counts
 * is that every access epoch ends.
 */
static inline bool pt_has_unlinked(const struct pt_pool *pool)
{
	return !list_empty(&pool->unlinked);
}

/* Are there unlinked directories that wait for pt_free_dirs()? */
static inline bool pt_has_dirs(const struct pt_pool *pool)
{
	return !list_empty(&pool->dirs);
}
/* Every walk that began before pt_release() has ended. No lock needed. Idempotent. */
void pt_free_dirs(struct pt *pt, struct pt_pool *pool);

/* Frames that pt_evict() has taken, for pt_evict_finish(). */
struct pt_eviction {
	struct list pages; /* struct pt_pages.node */
};

/*
 * Takes the frames of up to @max_tables linked tables, leaf tables first, directories only when no
 * leaf table has one, never the root. Their parts of the address space are not present from here
 * on. *@evicted_out says how many, @eviction holds the frames. 0, or -ENOMEM (host memory), with
 * what was evicted until then. pt_evict_finish() is called in either case.
 *
 * The caller made sure that until pt_restore() has returned 0 no engine needs the tree: a walk may
 * end in a fault. Translations that are cached stay right and need not be dropped. Runs beside all
 * other calls but pt_evict() and pt_restore(). Takes and drops pt.lock; allocates without it.
 */
int pt_evict(struct pt *pt, uint64_t max_tables, struct pt_eviction *eviction,
	     uint64_t *evicted_out);
/* Gives the frames back. Every walk that began before pt_evict() returned has ended. No lock. */
void pt_evict_finish(struct pt *pt, struct pt_eviction *eviction);

/*
 * Has pt_restore() something to do? It may also be a table that is no longer linked, and not yet
 * released: no more is said than that false is certain.
 */
static inline bool pt_has_evicted(const struct pt *pt)
{
	return atomic_load_explicit(&pt->evicted, memory_order_relaxed) != 0;
}
/*
 * Gives every linked table a frame again. 0 or -ENOMEM (frames or host memory): what was restored
 * stays so, and the call can be repeated. No invalidation is needed, not even beside walks. Locking
 * as for pt_evict().
 */
int pt_restore(struct pt *pt);

/*
 * Host and GPU memory of all tables, those in pools too. An eviction does not change it: it is in
 * host memory that the entries are then.
 */
uint64_t pt_memory_B(const struct pt *pt);
/* The part of it that is frames. Those that pt_evict_finish() will give back are not counted. */
uint64_t pt_frames_B(const struct pt *pt);

/* ---- for who shows what is mapped (show.c) --------------------------------------------------- */

/* Neighbours whose entries say the same, of contiguous memory. */
struct pt_run {
	uint64_t start, end;
	uint64_t phys;         /* of @start; 0 of a NULL mapping */
	uint8_t page_shift;    /* log2 of the page: 64 KiB also where 16 entries say they are one */
	struct gpu_pte_attrs attrs;
};

/* The first run that ends above @addr, from @addr on; of any length. False: none. pt.lock held. */
bool pt_run_next(struct pt *pt, uint64_t addr, struct pt_run *run_out);

/* A step of a walk. */
struct pt_step {
	uint8_t level;
	bool compact;   /* an entry of a compact table */
	bool evicted;   /* the table is in no frame: this is what its image says */
	uint64_t table; /* its physical address */
	unsigned slot;
	uint64_t entry;
};

/* What a walk for @addr, below 1 << va_bits, looks at: so many steps. pt.lock held. */
unsigned pt_trace(struct pt *pt, uint64_t addr, struct pt_step step_out[GPU_PT_MAX_LEVELS]);

/*
 * Checks counts, links, kinds and hints of the whole tree against the entries; aborts on a
 * difference. Takes and drops pt.lock.
 */
void pt_check(struct pt *pt);

#endif
