/* SPDX-License-Identifier: MIT */
/* The soak's objects, their shadows, and the lanes that map them. See test_soak.c. */
#ifndef TESTS_E2E_SOAK_H
#define TESTS_E2E_SOAK_H

#include "rig.h"

#define SPACES 16
#define LANES (2 * SPACES)
#define SLOTS 6
#define OBJECTS 64
#define BIG 4           /* so many objects are three eighths of VRAM */
#define JOBS 3          /* unfinished ones of a lane whose copies are not compared yet */
#define READS 4         /* pages that a job copies to be compared */
#define READERS 6
#define DEADLINE_NS ((uint64_t)60000000000)

#define CLIENT ((uint64_t)1 << 40) /* the lanes' memory */
#define LANE_B ((uint64_t)SZ_64K)
#define JOB_B ((1 + READS) * PAGE_SIZE)

_Static_assert(JOBS * JOB_B <= LANE_B, "a lane's memory");

/* Every 8 bytes are the stamp, but the dword at index .at, unless .poke is 0. */
struct page {
	uint64_t stamp;
	uint32_t at, poke;
};

/* What a job has left on an object. A long-running one may wait until *.hold is 0. */
struct use {
	struct fence *fence;
	uint32_t *hold;
};

struct object {
	atomic_bool claimed; /* protects the rest but .maps */
	atomic_uint maps;    /* slots of any lane; grows only when claimed */
	unsigned index;
	struct bo *bo;
	uint64_t pages;
	struct page *page;   /* room for a big one */
	struct use writer, reader[READERS];
	unsigned readers;
};

/* Pages [lo, hi) of the slot are pages [first + lo, first + hi) of the object. */
struct slot {
	struct object *object;
	uint64_t first, lo, hi;
	bool readonly;
	struct fence *bound;
};

struct job {
	struct fence *fence;
	uint32_t *mem; /* [0] hold; [2] user fence; the batch; READS pages */
	uint64_t gpu;  /* the same for the GPU */
	unsigned reads;
	struct page want[READS];
	bool has_ufence;
};

struct space {
	struct vm *vm;
	bool lr;
	atomic_ullong vram_B; /* at least what the VM counts (vm.vram_B) */
	atomic_uint overs;    /* how often that became more than there is */
};

struct lane {
	atomic_bool claimed; /* protects the rest */
	struct space *space;
	unsigned index;
	struct bind_queue *binds;
	struct exec_queue *queue;
	struct slot slot[SLOTS];
	struct job job[JOBS];
	unsigned next_job;
	struct use last;
};

struct soak {
	uint64_t seed;
	struct device *device;
	struct event_reader moves;
	uint64_t vram_B, slot_pages;
	bool faults;
	uint64_t until_ns; /* with real threads */
	atomic_ullong version;
	void *client_memory;
	uint8_t *client; /* in it */
	struct object object[OBJECTS];
	struct space space[SPACES];
	struct lane lane[LANES];
};

/* Of all seeds. */
extern atomic_ullong binds, execs, accesses, moves, no_space, failures;

struct worker {
	struct soak *s;
	uint64_t rng;
};

/* The one place where the device's configuration is chosen, by the seed. */
struct device *soak_device(struct soak *s);
uint64_t draw(struct worker *w, uint64_t below);
/* False: somebody else has it; nobody waits for a claim. */
bool claim(atomic_bool *claimed);
void unclaim(atomic_bool *claimed);
/* Aborts unless @ret is what an injected failure leads to. */
void try_again(struct soak *s, int ret);

/* Lets the long-running job go on. NULL is fine. */
void release(uint32_t *hold);
/* Aborts when it does not signal in time, or with an error. */
void wait_for(struct soak *s, struct fence *fence, uint32_t *hold);
void use_drop(struct use *use);
void use_set(struct use *use, struct fence *fence, uint32_t *hold);
void use_wait(struct soak *s, struct use *use);

/* A new version of the object's page, and what a page's bytes are. */
struct page page_new(struct worker *w, const struct object *object, uint64_t page);
void page_make(const struct page *page, uint64_t *words);
void page_check(struct soak *s, const struct page *want, const void *got, const char *what);

/* The one VM that may map it, or NULL. */
struct space *object_owner(struct soak *s, const struct object *object);
void object_create(struct worker *w, struct object *object);
void object_forget_uses(struct object *object);
/* Claimed and mapped nowhere. What may still use its memory holds it. */
void object_destroy(struct object *object);
void do_replace(struct worker *w);

uint64_t slot_addr(struct soak *s, const struct lane *lane, const struct slot *slot);
/* Aborts unless the VM maps in the lane's part what the slots say. */
void lane_check(struct soak *s, const struct lane *lane);
/* May the VM have mapped more than VRAM holds at any time since this was called? */
unsigned space_overs(struct soak *s, struct space *space);
bool space_was_over(struct space *space, unsigned overs);
void unmap_slot(struct worker *w, struct lane *lane, struct slot *slot);
void do_unmap(struct worker *w, struct lane *lane);
void do_prefetch(struct worker *w, struct lane *lane);
void do_map(struct worker *w, struct lane *lane);

#endif
