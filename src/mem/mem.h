/* SPDX-License-Identifier: MIT */
/*
 * Memory: regions of frames, buffer objects, client memory (userptr).
 *
 * A region (system, VRAM) hands out *frames*: physical addresses that page-table entries name. A
 * frame is storage-less by itself: the block it belongs to says which host memory is behind it and
 * carries a generation, which moves when the block changes hands. Whoever kept a translation
 * without being told (a missing invalidation) is caught by the generation.
 *
 * Host memory of objects comes from the arena, a file that clients map; each object is one
 * contiguous window of it, whatever its frames look like. Host memory of page tables does not.
 *
 * Locking: region.lock (mem.windows has one too), mem.slabs_lock and mem.userptr_lock are leaves,
 * never nested. bo.resv is the object's reservation (RANK_RESV). See docs/design.md for who may
 * hold what.
 */
#ifndef MEM_MEM_H
#define MEM_MEM_H

#include "base/bits.h"
#include "base/list.h"
#include "base/ref.h"
#include "event/event.h"
#include "gpu/gpu.h"
#include "sync/resv.h"

/* ---- frames --------------------------------------------------------------------------------- */

enum frame_state {
	FRAME_INSIDE, /* not the first frame of any block now */
	FRAME_FREE,
	FRAME_USED,
};

#define FRAME_NIL UINT32_MAX

/*
 * What the head frame of a block knows. Frames inside a block know nothing. @gen is never reset,
 * only counted up, whatever block its frame heads later: a (cell, value) pair that was read while a
 * block was used never matches again after that block was freed.
 */
struct frame_block {
	atomic_uint gen;     /* moves when the block is freed or loses its contents */
	atomic_uint head;    /* enum frame_state, and log2 of its frames: see head_word() */
	uint32_t next, prev; /* free list, frame numbers; FRAME_NIL ends it */
	atomic_ullong host;  /* address of the host memory behind the block, while it is used */
};

#define FRAME_ORDERS 27 /* up to 256 GiB: an object's window of the arena is one block */

/* Parts of a region. No block has frames of both. */
enum region_part {
	PART_VISIBLE,
	PART_HIDDEN, /* from the CPU; empty in most regions */
	REGION_PARTS,
};

/* One kind of memory. Frames are numbered from 0; phys = base + (frame << PAGE_SHIFT). */
struct region {
	const char *name;
	unsigned index;       /* its bit in placement masks */
	bool device;          /* entries that point here carry the device-memory bit */
	uint64_t base;        /* the physical address of its first frame */
	uint64_t size_B;
	uint64_t visible_B;   /* what the CPU may map: so much from the first frame on; fixed */
	uint64_t min_page_B;  /* allocations are multiples of it */
	struct port_mutex lock; /* RANK_LEAF; protects the rest, for lookups see region.c */
	uint64_t used_B;
	uint64_t visible_used_B; /* of the visible ones */
	uint32_t frames;
	uint8_t *store;       /* the host memory of its frames, where they have some; or NULL */
	uint32_t free_head[REGION_PARTS][FRAME_ORDERS];
	struct frame_block *block; /* port_reserve()d, indexed by frame */
};

/* A run of frames. */
struct extent {
	uint64_t phys;
	uint64_t size_B;
};

/* Where memory is, from its start: for page tables. */
struct backing {
	const struct extent *extents;
	unsigned count;
	bool device;
};

enum mem_region {
	MEM_SYSTEM,
	MEM_VRAM,
	MEM_REGIONS,
};

/* Sizes are rounded down to whole 4 KiB pages (VRAM: to its smallest page). */
struct mem_config {
	uint64_t system_B;       /* at least 4 KiB */
	uint64_t vram_B;         /* 0: none */
	uint64_t vram_visible_B; /* rounded up to that page; 0: all of it */
	uint64_t vram_min_page_B; /* a power of two; 0: 4 KiB */
	/*
	 * What is in VRAM is in memory of its own, to and from which moves really copy: whoever is
	 * too early or too late reads wrong bytes. The CPU does not reach such an object's
	 * contents.
	 */
	bool vram_copies;
};

/* Where the generation of a client memory window lives: outside the window, which may go first. */
struct userptr_cell {
	atomic_uint gen;
	uint32_t next_free; /* by mem.userptr_lock */
};

#define SPILL_PHYS_BASE ((uint64_t)1 << 45) /* above all system frames */

#define USERPTR_MAX ((uint32_t)1 << 20)
#define USERPTR_PHYS_BASE ((uint64_t)1 << 46) /* above every frame */
#define USERPTR_PHYS_END ((uint64_t)1 << 51)

/*
 * A file that clients map, and what is handed out of it. Its references are its objects, and the
 * device while new objects go there.
 */
struct mem_arena {
	struct ref ref;
	struct port_arena port;
	struct region windows; /* its space, handed out like frames; .host unused */
	uint64_t first;        /* its place among the offsets at which clients map */
	bool shared;           /* with a forked process: nothing in it is used again (P7) */
};

/*
 * Objects in VRAM, those not used for longest first: one list for each address space, in the order
 * of their last submissions, so that a submission moves all of its objects at once (B16). An object
 * is on the list of one of its users; whoever looks for a victim and finds a later user moves it to
 * that one's list (vm/evict.c).
 */
struct lru_bulk {
	struct list node;    /* lru.bulks; by lru.lock, as the next one */
	struct list objects; /* struct bo.lru_node */
	atomic_ullong stamp; /* of the last submission; stored under lru.lock */
};

struct lru {
	struct port_mutex lock; /* RANK_LEAF; protects the rest */
	struct list bulks;      /* oldest first, .idle before all */
	struct lru_bulk idle;   /* objects that no address space has asked for */
	uint64_t stamp;
	uint64_t round;         /* of looking for victims */
	_Atomic(struct lru_bulk *) newest; /* the last of .bulks; stored under the lock */
};

/*
 * Optional: a host that sees what becomes of client memory also where nobody announces it, and says
 * so afterwards, as a client range that begins and ends. All are called with any lock but a leaf.
 */
struct mem_watch_ops {
	/* Mandatory. A window is made: true if it can be watched. */
	bool (*watch)(void *ctx, uint64_t addr, uint64_t size_B);
	/* Mandatory. It is about to be made present: what is mapped there now is to be watched. */
	void (*arm)(void *ctx, uint64_t addr, uint64_t size_B);
	/* Mandatory. A window for which watch() said true is no more. */
	void (*unwatch)(void *ctx, uint64_t addr, uint64_t size_B);
};

struct mem {
	struct event_stream *events;
	struct sync *sync;
	/*
	 * Optional: an object's frames are about to be given back; when it returns no stale
	 * translation leads to them. No leaf lock held.
	 */
	void (*before_release)(void *ctx);
	void *release_ctx;
	const struct mem_watch_ops *watch; /* NULL: client ranges are all that is known */
	void *watch_ctx;
	unsigned region_count;
	struct region region[MEM_REGIONS];
	struct region spill; /* for objects of a full VRAM, see bo.c; size 0 without VRAM */
	struct lru lru;
	atomic_ullong next_bo_id;
	atomic_ullong host_left_B; /* what may be backed before the host is asked again */
	/* contents of objects */
	uint64_t arena_size_B;
	struct mem_arena *first_arena;  /* lives as long as the device */
	struct port_mutex arena_lock;   /* RANK_LEAF */
	struct mem_arena *arena;        /* for new objects; NULL after a fork, until needed */
	uint64_t arena_next;            /* .first of the next one */
	/* pages for page tables */
	struct port_mutex slabs_lock;   /* RANK_LEAF */
	struct list slabs;              /* struct page_slab.node: those with room */
	unsigned slabs_empty;           /* at most 1: kept for the next table; by .slabs_lock */
	/* client memory */
	struct port_mutex userptr_lock; /* RANK_LEAF; protects the rest */
	struct list userptrs;           /* struct userptr.node, all of the device */
	struct list ranges;             /* struct mem_client_range.node: going now */
	uint64_t userptr_next_phys;
	struct userptr_cell *userptr_cell; /* port_reserve()d, USERPTR_MAX; the pointer is fixed */
	uint32_t userptr_cells;         /* used so far */
	uint32_t userptr_cell_free;     /* head of the free ones; FRAME_NIL: none */
	struct port_wq userptr_wq;      /* woken when an invalidation or a range ends */
};

/*
 * 0 or -ENOMEM (also when the host refuses the address space). A small slab of system frames is
 * taken for page tables at once: region[MEM_SYSTEM].used_B is not 0 on an idle device.
 */
int mem_init(struct mem *mem, const struct mem_config *config, struct event_stream *events,
	     struct sync *sync);
/* Asserts that everything was given back. */
void mem_fini(struct mem *mem);

/* In both processes after fork(), before any other thread is in the device (P7). */
void mem_after_fork(struct mem *mem, bool child);

/* How the GPU reaches frames; the context is the struct mem. */
extern const struct gpu_mem_ops mem_gpu_ops;

/*
 * Frames for @size_B in as few blocks as there are, hidden ones first; *extents_out is on the heap.
 * 0, -ENOMEM (host memory) or -ENOSPC (the region is full).
 */
int region_alloc(struct region *region, uint64_t size_B, uint64_t host, struct extent **extents_out,
		 unsigned *count_out);
/* The same, of visible frames only. */
int region_alloc_visible(struct region *region, uint64_t size_B, uint64_t host,
			 struct extent **extents_out, unsigned *count_out);
/* Moves the generations; what a region_alloc() returned, in one piece. @extents stay. */
void region_free_frames(struct region *region, const struct extent *extents, unsigned count);
/* The same, and frees @extents. */
void region_free(struct region *region, struct extent *extents, unsigned count);

/* One block of 1 << @order frames, aligned to its size. 0, -ENOMEM (injected) or -ENOSPC. */
int region_alloc_block(struct region *region, unsigned order, uint64_t host, uint64_t *phys_out);
/*
 * Makes single-frame blocks with host memory of their own from @host on out of a used block, so
 * that each has its own generation. What was remembered of the block is stale.
 */
void region_split_block(struct region *region, uint64_t phys, uint64_t host);
/* Frees all blocks of [phys, phys + size_B), which must be used and not reach out of it. */
void region_free_range(struct region *region, uint64_t phys, uint64_t size_B);
/* The used block around @phys. 0 or -EFAULT. Takes no lock. */
int region_find(const struct region *region, uint64_t phys, struct gpu_page *page_out);

/* For mem_init() and tests: @size_B a multiple of @min_page_B, which is a power of two. */
int region_init(struct region *region, const char *name, unsigned index, bool device,
		uint64_t size_B, uint64_t min_page_B);
/* Hides all but the first @visible_B, a multiple of the smallest page, of a region not yet used. */
void region_hide(struct region *region, uint64_t visible_B);
/* Asserts that everything was given back. Harmless on a zeroed region. */
void region_fini(struct region *region);
/* Aborts unless lists, states and counts agree; looks at every frame. Takes the lock. */
void region_check(struct region *region);

struct page_slab;

/* One frame with 4 KiB of zeroed, 4 KiB aligned host memory, for page tables. 0 or -ENOMEM. */
struct frame_page {
	uint64_t phys;
	bool device;
	uint64_t *host;
	struct page_slab *slab; /* not NULL */
};
int frame_page_alloc(struct mem *mem, struct frame_page *page_out);
/* Moves the frame's generation. NULL .host is fine; clears *page. */
void frame_page_free(struct mem *mem, struct frame_page *page);

/* ---- buffer objects ------------------------------------------------------------------------- */

/*
 * Where an object is, or was: what it says never changes. Its frames go back to their region when
 * the object has moved away from it or is gone, whoever still has a reference.
 */
struct place {
	struct ref ref;
	struct region *region;
	struct extent *extents;
	unsigned count;
	bool freed; /* its frames; by whoever takes the object away from it */
};

struct bo {
	struct ref ref;
	struct mem *mem;
	uint64_t id;            /* for events; unique for the device's life */
	uint64_t size_B;
	uint32_t placement;     /* mask of regions it may live in */
	uint32_t flags;         /* of the front-end; not looked at here */
	uint16_t cpu_caching;   /* likewise */
	bool needs_visible;     /* no hidden frames; set by the front-end before it is backed */
	uint64_t owner_vm_id;   /* VM-private objects: struct vm.id; 0: shared */
	uint64_t client_addr;   /* of the front-end: handles of it stand for client memory there */
	struct resv resv;       /* its lock protects the rest too */
	struct place *place;    /* where it is, a reference; NULL: not backed yet */
	atomic_uint moves;      /* and clears, published (by .resv) and not done */
	bool dirty;             /* its frames have never been cleared */
	struct list lru_node;   /* lru_bulk.objects, while it is in VRAM; by mem.lru.lock */
	uint64_t lru_round;     /* when it was looked at last; likewise */
	struct mem_arena *arena; /* a reference; with its window fixed for its life */
	uint64_t arena_off;
	uint64_t window_B;
	uint64_t mmap_off;      /* where clients map it: unique in the device */
	/*
	 * struct vma.bo_node: mappings in any VM, until nothing leads to the object by them any
	 * more.
	 */
	struct list mappings;
};

/*
 * An object without frames, with a window of the arena. The size is rounded up to the largest of
 * the smallest pages of its regions. 0, -EINVAL (size or placement) or -ENOMEM.
 */
int bo_create(struct mem *mem, uint64_t size_B, uint32_t placement, struct bo **bo_out);
struct bo *bo_get(struct bo *bo);
/*
 * NULL is fine; frees frames and contents with the last reference. The last one is never dropped
 * under the object's own reservation (R11), nor under a leaf lock.
 */
void bo_put_at(struct bo *bo, const char *where);
#define bo_put(bo) bo_put_at(bo, PORT_HERE)
/*
 * Gives it frames in the first of its regions that has room, VRAM before system memory, if it has
 * none; an object that may be in VRAM only is spilled when that is full, or its visible part for
 * one that needs it. 0, -ENOSPC (no room) or -ENOMEM (host memory). Takes bo.resv.
 */
int bo_back(struct bo *bo);
/* The same, bo.resv held. */
int bo_back_locked(struct bo *bo);
/* An object that has none gets these frames and takes the reference over. bo.resv held. */
void bo_settle_locked(struct bo *bo, struct place *place);
/* Frames for it in @region, which nobody uses yet; one reference. 0, -ENOMEM or -ENOSPC. */
int place_create(struct bo *bo, struct region *region, struct place **place_out);
struct place *place_get(struct place *place);
void place_put(struct place *place); /* NULL is fine */
/* Gives its frames back: no translation leads to them any more. Once. */
void place_free_frames(struct place *place);
static inline struct backing place_backing(const struct place *place)
{
	ASSERT(place->count > 0);
	return (struct backing){ place->extents, place->count, place->region->device };
}
/* Copies the contents of @bo, and makes those at @from unusable; NULL: zeroes. */
void place_fill(const struct bo *bo, const struct place *to, const struct place *from);
/* It may be in VRAM only. */
static inline bool bo_wants_vram(const struct bo *bo)
{
	return bo->placement == BIT(MEM_VRAM);
}
/*
 * Does the CPU reach all of it? Where some of VRAM is hidden, an object without frames is backed
 * first, so that the answer stays true. 0, or the errors of bo_back(). Takes bo.resv.
 */
int bo_cpu_reaches(struct bo *bo, bool *reaches_out);
/* Where its contents are on the host, but for an object in VRAM with mem_config.vram_copies. */
void *bo_host(const struct bo *bo);

/* ---- which object was used last ------------------------------------------------------------- */

void lru_bulk_init(struct mem *mem, struct lru_bulk *bulk);
/* Its objects become idle. */
void lru_bulk_fini(struct mem *mem, struct lru_bulk *bulk);
/* Its objects are the last ones to be taken now. O(1), mostly without a lock. */
void lru_touch(struct mem *mem, struct lru_bulk *bulk);
/* Puts @bo last on @bulk's list (NULL: the idle ones'), from wherever it is. */
void lru_add(struct bo *bo, struct lru_bulk *bulk);
void lru_remove(struct bo *bo);
/* Begins looking for victims: a number for lru_next(). */
uint64_t lru_round(struct mem *mem);
/*
 * The next object that was not looked at in @round, with a reference; and the stamp of the list it
 * is on. NULL at the end.
 */
struct bo *lru_next(struct mem *mem, uint64_t round, uint64_t *stamp_out);

/* ---- client memory -------------------------------------------------------------------------- */

/*
 * A window on the client's memory: a range of physical addresses (system, above all frames) that
 * stands for a range of the client's. When that memory goes, its users are waited for, then nothing
 * reaches it any more; see userptr.c.
 */
struct userptr;
struct userptr_ops {
	/*
	 * Mandatory. The memory is about to go (P6: notifier; no vm.lock, no reservation): keeps
	 * new users away until they have pinned it again, and waits for those there are. Called
	 * with no lock; may wait for dma fences.
	 */
	void (*quiesce)(struct userptr *userptr);
	/* Mandatory. No translation can be made any more: drops those there are. No lock. */
	void (*zap)(struct userptr *userptr);
	/*
	 * Mandatory. The owner has ended it and no other of these runs, or will: frees it. On the
	 * thread that ends it, or on one that has just taken its memory away. Must not wait.
	 */
	void (*release)(struct userptr *userptr);
};

struct userptr {
	struct ref ref;         /* one of its owner, one of an invalidation that runs */
	struct mem *mem;
	uint64_t addr, size_B;  /* of the client; page aligned */
	uint64_t phys;          /* first physical address standing for it */
	struct extent extent;   /* the same, as a backing */
	struct userptr_cell *cell; /* its generation; outlives it, as translations may */
	atomic_bool valid;      /* may be translated; set under the lock */
	bool going;             /* an invalidation runs; by mem.userptr_lock */
	bool missing;           /* the last pin found nothing there; by mem.userptr_lock */
	bool watched;           /* by mem.watch; fixed */
	const struct userptr_ops *ops;
	struct list node;       /* mem.userptrs; by mem.userptr_lock */
};

/*
 * -EFAULT when any of it is not mapped. 0, -ENOMEM, -EINVAL (empty, not page aligned, wraps). From
 * here on the ops may be called, even before this returns; after an error it is as ended. Waits for
 * client ranges that are going; not under a leaf lock.
 */
int userptr_init(struct userptr *userptr, struct mem *mem, uint64_t addr, uint64_t size_B,
		 bool write, const struct userptr_ops *ops);
/*
 * Ends it. Does not wait for an invalidation that runs: that may be the caller's own, who helps
 * while it waits for users. So what the ops need lives until .release. The generation moves: a
 * translation that is left is stale. No lock that .release takes.
 */
void userptr_fini(struct userptr *userptr);
/*
 * Makes an invalidated window usable again, with its present generation: translations from before
 * the invalidation stay stale. Waits for client ranges that are going. 0 or -EFAULT (the memory is
 * not there).
 */
int userptr_repin(struct userptr *userptr, bool write);
struct backing userptr_backing(const struct userptr *userptr);

/* A range of the client's memory that is going, from begin to end; on the caller's stack. */
struct mem_client_range {
	struct list node; /* mem.ranges; by mem.userptr_lock */
	uint64_t start, end;
};

/*
 * Around the call with which the client unmaps, remaps or drops [addr, addr + size_B): begin takes
 * every window that overlaps away from its users and returns when that is done (also what another
 * thread began); until end nobody pins anything there. No lock held; in between the caller calls
 * nothing of the device.
 */
void mem_client_range_begin(struct mem *mem, struct mem_client_range *range, uint64_t addr,
			    uint64_t size_B);
void mem_client_range_end(struct mem *mem, struct mem_client_range *range);

#endif
