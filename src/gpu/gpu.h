/* SPDX-License-Identifier: MIT */
/*
 * The software GPU: engines with a command streamer and a TLB, behind `struct gpu_ops`.
 *
 * An engine is a steppable object. Whoever holds its token (the caller's lock) may run a context on
 * it under a budget; it returns when the batch ended, faulted, polls without progress, or the
 * budget is used up. Everything a batch has reached (instruction pointer, registers, batch nesting,
 * progress of a copy) is in the context, so that a context can be put aside at any command.
 *
 * Access epochs: each access is translate, touch at most GPU_EPOCH_MAX_B, leave. gpu_ops.invalidate
 * returns only after every epoch that could hold an old translation has ended (TLB_DONE).
 *
 * The GPU sees memory only through `struct gpu_mem_ops`, which its owner provides.
 */
#ifndef GPU_GPU_H
#define GPU_GPU_H

#include "base/list.h"
#include "gpu/format.h"
#include "port/port.h"

#define GPU_EPOCH_MAX_B ((uint64_t)524288)

/* ---- memory, as the GPU sees it ------------------------------------------------------------- */

/* A stretch of physical memory that is contiguous on the host too. */
struct gpu_page {
	uint64_t phys;    /* first byte */
	uint64_t size_B;  /* at least 4 KiB */
	void *host;       /* where @phys is; for guarded memory an address of the client */
	const atomic_uint *gen_cell; /* generation of the frames now ... */
	unsigned gen;                /* ... and when they were looked up: a change means stale */
	bool guarded;     /* client memory: only through port_gpu_*() */
};

struct gpu_mem_ops {
	/*
	 * Mandatory. Finds the stretch around @phys. 0; -EFAULT when no frame is there; -ENXIO when
	 * it stands for client memory that its owner has looked for, and which is not there. Called
	 * inside an access epoch: must not sleep and may take leaf locks only.
	 */
	int (*page)(void *ctx, uint64_t phys, bool device, struct gpu_page *page_out);
};

/* ---- address spaces ------------------------------------------------------------------------- */

/* The hardware's view of a VM. Embedded in the owner's object; valid while any context uses it. */
struct gpu_vm {
	const struct gpu_pt_format *fmt;
	uint64_t root_phys;
	bool root_device;
	uint32_t asid;            /* unique among living VMs, not 0 */
	bool scratch;             /* a miss reads as zero and drops writes instead of faulting */
	bool scratch_cached;      /* with .scratch: such a miss is remembered like a translation */
	bool check_atomic;        /* atomics on system memory need the entry's atomic bit */
	atomic_uint inval_seq;    /* bumped by every invalidation, before the TLBs are searched */
	atomic_ullong cached_by;  /* engine.vm_bit of those whose TLB has had entries of it */
};

enum gpu_access {
	GPU_READ,
	GPU_WRITE,
	GPU_ATOMIC,
};

enum gpu_fault_type {
	GPU_FAULT_NOT_PRESENT,
	GPU_FAULT_WRITE,   /* write or atomic to a read-only page */
	GPU_FAULT_ATOMIC,
	GPU_FAULT_STALE,   /* a translation whose frame has changed hands: a missing invalidation */
	GPU_FAULT_MEMORY,  /* the page is there but the client's memory behind it is not */
	GPU_FAULT_COMMAND, /* not an access: a command that cannot be parsed */
};

struct gpu_fault {
	uint64_t address; /* canonical form removed: below 1 << va_bits */
	enum gpu_access access;
	enum gpu_fault_type type;
	uint8_t level;    /* table level where the walk ended */
};

/* ---- engines and contexts ------------------------------------------------------------------- */

enum gpu_class {
	GPU_CLASS_RENDER,
	GPU_CLASS_COPY,
	GPU_CLASS_VIDEO_DECODE,
	GPU_CLASS_VIDEO_ENHANCE,
	GPU_CLASS_COMPUTE,
	GPU_CLASSES,
};

#define GPU_BATCH_DEPTH 4 /* first, second and third level batches and the ring */
#define GPU_GPRS 16
#define GPU_HELD_DWORDS 22 /* the longest command that can be left half done */

/* Where a context takes commands from in place of a batch; see ring.c. */
struct gpu_ring {
	uint64_t va;         /* of the commands; whole pages on one side of the canonical hole */
	uint64_t size_B;     /* a power of two, a page at least; 0: there is no ring */
	uint64_t control_va; /* of a struct gpu_ring_control; a multiple of 8 */
};

/* In memory. Both count bytes, only grow, and begin at 0. */
struct gpu_ring_control {
	uint64_t tail; /* where commands end; written by who makes them; a multiple of 8 */
	uint64_t head; /* what is before it has been executed; written by the engine */
};

/* Slots of gpu_context.regs_other. */
enum cs_reg_other {
	CS_PREDICATE_SRC0,
	CS_PREDICATE_SRC1,
	CS_PREDICATE_DATA,
	CS_PREDICATE_RESULT,   /* the upper half is PREDICATE_RESULT_1 */
	CS_PREDICATE_RESULT_2,
	CS_SET_PREDICATE,      /* what MI_SET_PREDICATE said last */
};

/* State of one hardware context (one exec queue on one engine). */
struct gpu_context {
	struct gpu_vm *vm;
	uint32_t graphics_ver;       /* 20 = Xe2; decides command variants */
	uint64_t gpr[GPU_GPRS];
	uint64_t regs_other[8];      /* enum cs_reg_other */
	/*
	 * Time on an engine so far: CTX_TIMESTAMP counts it. run() adds what it takes itself; what
	 * a context that polls would have had between its runs is the caller's to add.
	 */
	uint64_t runtime_ns;
	bool waited, changed;        /* in this turn of a loop: a condition, an atomic */
	uint32_t loops;              /* backward jumps since start() */
	uint64_t ip;                 /* next command; valid while @running */
	uint64_t ret[GPU_BATCH_DEPTH];
	uint8_t depth;
	bool running;
	bool in_ring;                /* @ip is in the ring, not in a batch that it has called */
	struct gpu_ring ring;        /* .size_B 0: it began at a batch */
	uint64_t head, tail;         /* of the ring, as far as known here */
	uint64_t head_told;          /* what is in memory */
	uint32_t call_B;             /* length of the command at @head that has called a batch */
	uint64_t progress_B;         /* of the command at @ip, when it was left half done */
	uint32_t held[GPU_HELD_DWORDS]; /* that command, as it was when it began */
	struct gpu_fault fault;      /* valid after GPU_RUN_FAULT */
};

/* What a caller lets an engine do in one go; gpu_ops.run subtracts what it used. */
struct gpu_budget {
	uint32_t commands;
	uint64_t bytes;
};

enum gpu_run {
	GPU_RUN_MORE,  /* budget used up; run again */
	GPU_RUN_POLL,  /* polled memory and nothing changed: let others run before trying again */
	GPU_RUN_DONE,  /* MI_BATCH_BUFFER_END of the outermost batch; never of a ring */
	GPU_RUN_FAULT, /* context.fault says what; only start() or retry() make it run again */
};

#define GPU_TLB_ENTRIES 256

struct gpu_tlb_entry {
	atomic_ullong tag; /* 0 empty; else va page, asid and size: cleared by invalidators */
	/* The rest: written by the token's holder while tag is 0, read by it only. */
	struct gpu_page page; /* cut to what the entry maps; empty when null */
	uint64_t va;
	uint32_t asid;
	uint8_t shift;
	uint8_t level; /* of the leaf it came from */
	bool writable, null;
	bool atomic; /* atomics allowed even where vm.check_atomic */
};

struct gpu_engine {
	enum gpu_class class;
	uint16_t instance;
	uint16_t gt;
	uint32_t mmio_base;
	uint64_t vm_bit;          /* in gpu_vm.cached_by; two engines may share one */
	uint32_t clock_hz;        /* of TIMESTAMP and CTX_TIMESTAMP; 19 200 000 */
	atomic_uint epoch;        /* odd: inside an access */
	const struct gpu_mem_ops *mem_ops;
	void *mem_ctx;
	struct gpu_tlb_entry tlb[GPU_TLB_ENTRIES]; /* filled by the token's holder only */
	uint64_t last_ns; /* when run() was left last; of the token's holder */
};

struct gpu_ops {
	/* All mandatory. Run, store and load: the caller holds the engine's token. */
	void (*context_init)(struct gpu_context *ctx, struct gpu_vm *vm, uint32_t graphics_ver);
	/* Points a context at a new batch. */
	void (*start)(struct gpu_context *ctx, uint64_t batch_addr);
	/* Or at the beginning of a ring, which has no end. */
	void (*start_ring)(struct gpu_context *ctx, const struct gpu_ring *ring);
	enum gpu_run (*run)(struct gpu_engine *engine, struct gpu_context *ctx,
			    struct gpu_budget *budget);
	/*
	 * After a fault that has been served (never GPU_FAULT_COMMAND): makes the context run again
	 * from the command that faulted, which has not changed any register.
	 */
	void (*retry)(struct gpu_context *ctx);
	/*
	 * Accesses of the device itself through a VM (user fences). 0, or -EFAULT with *fault_out.
	 * @addr is canonical: see gpu_va_canonical().
	 */
	int (*store)(struct gpu_engine *engine, struct gpu_vm *vm, uint64_t addr, const void *src,
		     size_t n, struct gpu_fault *fault_out);
	int (*load)(struct gpu_engine *engine, struct gpu_vm *vm, uint64_t addr, void *dst,
		    size_t n, struct gpu_fault *fault_out);
	/*
	 * Drops every translation of [start, end) of @vm from @engines, waits for the epochs
	 * that could hold one. Needs no token; may run beside everything. Never fails.
	 */
	void (*invalidate)(struct gpu_engine *const *engines, unsigned count, struct gpu_vm *vm,
			   uint64_t start, uint64_t end);
};

/* Is there nothing to do for the context before its ring's tail moves, as far as it knows? */
static inline bool gpu_context_is_dry(const struct gpu_context *ctx)
{
	return ctx->in_ring && ctx->head == ctx->tail;
}

extern const struct gpu_ops gpu_soft_ops;

void gpu_engine_init(struct gpu_engine *engine, enum gpu_class class, uint16_t instance,
		     const struct gpu_mem_ops *mem_ops, void *mem_ctx);

/* The address as commands and entries see it: without the repeated upper bits. */
static inline uint64_t gpu_va_bare(const struct gpu_pt_format *fmt, uint64_t addr)
{
	return addr & (((uint64_t)1 << fmt->va_bits) - 1);
}

/* Repeats the topmost bit of the low va_bits upwards; what was above them is dropped. */
static inline uint64_t gpu_va_canonical(const struct gpu_pt_format *fmt, uint64_t addr)
{
	uint64_t top = (uint64_t)1 << (fmt->va_bits - 1);

	return (gpu_va_bare(fmt, addr) ^ top) - top;
}

/*
 * Translates one address by walking the tables, past every TLB: for tests, debug and dumps. 0 or
 * -EFAULT; *pte_out and *level_out describe where the walk ended. The caller keeps tables stable.
 */
int gpu_walk(const struct gpu_mem_ops *mem_ops, void *mem_ctx, const struct gpu_vm *vm,
	     uint64_t addr, struct gpu_pte *pte_out, unsigned *level_out);

/* @ns in ticks of @clock_hz. */
uint64_t gpu_ticks(uint64_t ns, uint32_t clock_hz);

/* Device time in ticks of @clock_hz. */
uint64_t gpu_timestamp(uint32_t clock_hz);

#endif
