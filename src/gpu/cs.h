/* SPDX-License-Identifier: MIT */
/*
 * Inside the command streamer. Private to src/gpu/.
 *
 * A handler executes one command. It reads operands from cs->dw (the first CS_DWORDS dwords of the
 * command) or with cs_dwords(), touches memory with cs_read() and cs_write(), and must change
 * registers only after everything that can fault, so that a faulting command can be run again.
 *
 * A handler that moves much stops at cs->budget_B, leaves ctx->progress_B behind and returns
 * CS_MORE; it is called again with the same dwords, whatever has become of the batch meanwhile. The
 * same holds when it faults half way and is run again. When it is done it leaves progress_B 0.
 */
#ifndef GPU_CS_H
#define GPU_CS_H

#include "gpu/gpu.h"

#define CS_DWORDS GPU_HELD_DWORDS

enum cs_result {
	CS_NEXT,
	CS_MORE, /* the budget is used up within the command */
	CS_POLL,
	CS_DONE,
	CS_FAULT, /* ctx->fault is set */
};

/* One command in execution; lives on the stack of cs_run(). */
struct gpu_cs {
	struct gpu_engine *engine;
	struct gpu_context *ctx;
	uint64_t entered_ns; /* port_now_ns() when cs_run() began */
	uint64_t ip;         /* of this command */
	uint64_t next;       /* of the next one; a jump changes it */
	uint64_t bytes;      /* moved by this command */
	uint64_t budget_B;   /* it should move no more than this now */
	uint32_t len;        /* of this command, in dwords */
	uint32_t dw[CS_DWORDS];
};

typedef enum cs_result (*cs_handler)(struct gpu_cs *cs);

#define CS_HAS(cs, n) (((cs)->dw[0] >> (n)) & 1u)

enum gpu_run cs_run(struct gpu_engine *engine, struct gpu_context *ctx, struct gpu_budget *budget);

/* Dwords in the command that begins with @header; 0 when no command does. */
uint32_t cs_length(uint32_t header);

/* The 48-bit address in two dwords of a command, in canonical form. */
uint64_t cs_addr(const struct gpu_cs *cs, uint32_t low, uint32_t high);

/* Each returns 0, or -EFAULT with ctx->fault set: the handler then returns CS_FAULT. */
int cs_dwords(struct gpu_cs *cs, uint32_t first, uint32_t count, uint32_t *out);
int cs_read(struct gpu_cs *cs, uint64_t addr, void *dst, size_t n);
int cs_write(struct gpu_cs *cs, uint64_t addr, const void *src, size_t n);

/* A batch begins as the first one of a submission does, whatever came before. */
void cs_begin_batch(struct gpu_context *ctx);

/* The ring (ring.c). ring_next(): how many bytes the command at its head may have; no CS_MORE. */
enum cs_result ring_next(struct gpu_cs *cs, uint64_t *room_B_out);
/* The command at its head is done, and none has been called. Moves ctx->ip. */
void ring_advance(struct gpu_cs *cs);
/* A batch at @addr is called. */
enum cs_result ring_call(struct gpu_cs *cs, uint64_t addr);
/* Writes to memory how far it has got, if that has changed. 0, or -EFAULT with ctx->fault set. */
int ring_tell(struct gpu_cs *cs);
/* The first batch has ended: CS_DONE, or back to the ring that has called it. */
enum cs_result cs_end_batch(struct gpu_cs *cs);

/* The command makes no sense. Returns CS_FAULT. */
enum cs_result cs_bad_command(struct gpu_cs *cs);

/* One of the six comparisons of semaphores and conditional ends; false for the two others. */
bool cs_compare(unsigned op, uint64_t memory, uint64_t inline_data);

/* Does the state left by MI_SET_PREDICATE turn commands into no-operations? */
bool cs_predicated_off(const struct gpu_context *ctx);

/* Registers, by byte offset in the device; unknown ones read 0 and drop writes. */
uint32_t cs_reg_offset(const struct gpu_cs *cs, uint32_t dword, bool relative);
uint32_t cs_reg_read(const struct gpu_cs *cs, uint32_t offset);
void cs_reg_write(struct gpu_cs *cs, uint32_t offset, uint32_t value, uint32_t mask);

/* Handlers outside cs.c. */
enum cs_result blt_block_copy(struct gpu_cs *cs);
enum cs_result blt_fast_color(struct gpu_cs *cs);
enum cs_result blt_fast_copy(struct gpu_cs *cs);
enum cs_result blt_mem_copy(struct gpu_cs *cs);
enum cs_result blt_mem_set(struct gpu_cs *cs);
enum cs_result mi_atomic(struct gpu_cs *cs);
enum cs_result mi_batch_buffer_end(struct gpu_cs *cs);
enum cs_result mi_batch_buffer_start(struct gpu_cs *cs);
enum cs_result mi_conditional_batch_buffer_end(struct gpu_cs *cs);
enum cs_result mi_copy_mem_mem(struct gpu_cs *cs);
enum cs_result mi_flush_dw(struct gpu_cs *cs);
enum cs_result mi_load_register_imm(struct gpu_cs *cs);
enum cs_result mi_load_register_mem(struct gpu_cs *cs);
enum cs_result mi_load_register_reg(struct gpu_cs *cs);
enum cs_result mi_math(struct gpu_cs *cs);
enum cs_result mi_predicate(struct gpu_cs *cs);
enum cs_result mi_semaphore_wait(struct gpu_cs *cs);
enum cs_result mi_set_predicate(struct gpu_cs *cs);
enum cs_result mi_store_data_imm(struct gpu_cs *cs);
enum cs_result mi_store_register_mem(struct gpu_cs *cs);
enum cs_result pipe_control(struct gpu_cs *cs);

#endif
