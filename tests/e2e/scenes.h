/* SPDX-License-Identifier: MIT */
/*
 * Populated VMs with a model of every page, for tests that try many operations on many of them.
 *
 *	scene_open(&s);
 *	scene_vm(&s, 0);
 *	scene_set_up(&s, &scene_setups[i]);
 *	... a list of operations made with scene_ops() ...
 *	scene_apply(&s, ops, n);
 *	scene_check(&s);
 *	scene_vm_done(&s);
 *	scene_close(&s);
 */
#ifndef TESTS_E2E_SCENES_H
#define TESTS_E2E_SCENES_H

#include "rig.h"

#define K(n) ((uint64_t)(n) << 10)
#define M(n) ((uint64_t)(n) << 20)

/* What the operations touch; the batch of execs is mapped below. */
#define SCENE_AREA SZ_1G
#define SCENE_AREA_B M(8)
#define SCENE_PAGES ((unsigned)(SCENE_AREA_B / SZ_4K))
#define SCENE_BATCH 0x100000
#define SCENE_CLIENT_B M(1)
#define SCENE_OPS 32

enum scene_object {
	OBJ_NONE,
	OBJ_NULL,
	OBJ_CLIENT, /* client memory */
	OBJ_VRAM,   /* 4 MiB in one piece and 64 KiB */
	OBJ_SYSTEM, /* likewise */
	OBJ_SMALL,  /* 1 MiB of VRAM */
	OBJ_FRESH,  /* 128 KiB of VRAM, without frames: of one VM's life */
	OBJ_COUNT,
};

/* A bind_op of a table; addresses are within the area. */
struct scene_op {
	enum bind_kind kind;
	enum scene_object object;
	uint64_t addr, offset, range;
	bool readonly;
	uint16_t pat;
};

#define OP_MAP(object, addr, offset, range) { BIND_MAP, object, addr, offset, range, false, 0 }
#define OP_MAP_RO(object, addr, offset, range) { BIND_MAP, object, addr, offset, range, true, 3 }
#define OP_NULL(addr, range) { BIND_MAP, OBJ_NULL, addr, 0, range, false, 0 }
#define OP_CLIENT(addr, offset, range)                                                             \
	{ BIND_MAP_USERPTR, OBJ_CLIENT, addr, offset, range, false, 0 }
#define OP_UNMAP(addr, range) { BIND_UNMAP, OBJ_NONE, addr, 0, range, false, 0 }
#define OP_UNMAP_BO(object) { BIND_UNMAP_BO, object, 0, 0, 0, false, 0 }
#define OP_PREFETCH(addr, range) { BIND_PREFETCH, OBJ_NONE, addr, 0, range, false, 0 }

struct scene_list {
	const char *name;
	struct scene_op op[SCENE_OPS];
	unsigned n;
	unsigned poor_from; /* set-ups: no memory from this operation on; 0: never */
	bool evicted;       /* set-ups: what was lost then is still missing */
};

extern const struct scene_list scene_setups[];
extern const unsigned scene_setup_count;

struct scene_page {
	uint8_t object; /* enum scene_object */
	bool readonly;
	uint16_t pat;
	uint32_t page; /* of the object */
};

struct scene {
	struct device *device;
	struct vm *vm;
	struct bo *bo[OBJ_COUNT];
	struct bo *batch;
	struct exec_queue *queue;
	char *client;
	uint64_t blocks, bytes, used_B[MEM_REGIONS]; /* without a VM */
	struct scene_page page[SCENE_PAGES];
};

/* All runs of the area; objects by their enum scene_object, client memory from its beginning. */
struct scene_runs {
	struct vm_mapping run[256];
	unsigned count;
};

void scene_open(struct scene *s, enum device_schedule schedule);
void scene_close(struct scene *s);
/* A VM, empty but for the batch. */
void scene_vm(struct scene *s, unsigned flags);
/* Unmaps everything, closes it, and looks for what was not given back. */
void scene_vm_done(struct scene *s);
void scene_set_up(struct scene *s, const struct scene_list *list);

struct bind_op scene_op(const struct scene *s, const struct scene_op *op);
void scene_ops(const struct scene *s, const struct scene_op *from, unsigned n, struct bind_op *to);
/* What the operations do to the model. */
void scene_apply(struct scene *s, const struct bind_op *ops, unsigned n);
/*
 * Index, sums and translations of every page are the model's. Right after an unmap without memory
 * translations may be missing, but none is wrong; then they come back.
 */
void scene_check(struct scene *s);
void scene_take_runs(struct scene *s, struct scene_runs *runs);
void scene_check_runs(struct scene *s, const struct scene_runs *want);
/* The first page of the area that a batch may write to; false if there is none. */
bool scene_writable(const struct scene *s, uint64_t *addr_out);

/* Until another thread has had time to get on. */
void scene_nap(void);

#endif
