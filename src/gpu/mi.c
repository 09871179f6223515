// SPDX-License-Identifier: MIT
/*
 * Batch flow and predication: where the next command comes from.
 *
 * Levels. The first batch is level 0; its end is the end of the job, or goes back to the ring that
 * has called it (ring.c). A marked jump calls a batch one level down, of which there are two; an
 * unmarked one goes on at its level. That is what graphics 20 does unless its driver switches
 * nested batches off, and the Xe driver leaves them on: a client's batch cannot reach the register
 * (MI_MODE).
 *
 * Loops. A batch that waits for memory to change does so by jumping back, and would burn a core. So
 * a backward jump says GPU_RUN_POLL when in this turn a conditional end has let the batch go on and
 * no atomic has changed memory; other loops (counters in registers, or nothing at all) say it once
 * in LOOPS_PER_POLL turns. Either way the batch has moved on to the jump's target.
 *
 * Predication. MI_PREDICATE computes a result bit; MI_SET_PREDICATE turns the commands that follow
 * into no-operations as long as a result says so. Jumps and ends are predicated only if they ask.
 */
#include "gpu/cs.h"

#include "base/bits.h"
#include "gpu/mmu.h"

#define LOOPS_PER_POLL 32
#define LEVELS 3

enum set_predicate {
	NOOP_NEVER = 0,
	NOOP_ON_RESULT2_CLEAR = 1,
	NOOP_ON_RESULT2_SET = 2,
	NOOP_ON_RESULT_CLEAR = 3,
	NOOP_ON_RESULT_SET = 4,
	NOOP_ALWAYS = 15,
};

bool cs_predicated_off(const struct gpu_context *ctx)
{
	bool result = (ctx->regs_other[CS_PREDICATE_RESULT] & 1) != 0;
	bool result2 = (ctx->regs_other[CS_PREDICATE_RESULT_2] & 1) != 0;

	switch (ctx->regs_other[CS_SET_PREDICATE]) {
	case NOOP_ON_RESULT2_CLEAR:
		return !result2;
	case NOOP_ON_RESULT2_SET:
		return result2;
	case NOOP_ON_RESULT_CLEAR:
		return !result;
	case NOOP_ON_RESULT_SET:
		return result;
	case NOOP_ALWAYS:
		return true;
	default:
		return false;
	}
}

enum cs_result mi_set_predicate(struct gpu_cs *cs)
{
	cs->ctx->regs_other[CS_SET_PREDICATE] = cs->dw[0] & 0xf;
	return CS_NEXT;
}

enum cs_result mi_predicate(struct gpu_cs *cs)
{
	uint64_t *regs = cs->ctx->regs_other;
	uint64_t src0 = regs[CS_PREDICATE_SRC0], src1 = regs[CS_PREDICATE_SRC1];
	uint64_t result = regs[CS_PREDICATE_RESULT];
	unsigned load = (cs->dw[0] >> 6) & 3;
	bool old = (result & 1) != 0, value;

	switch (cs->dw[0] & 3) {
	case 0:
		value = true;
		break;
	case 1:
		value = false;
		break;
	case 2:
		value = src0 == src1;
		break;
	default:
		value = src0 - src1 == regs[CS_PREDICATE_DATA];
		break;
	}
	if (load < 2) {
		return CS_NEXT;
	}
	value ^= load == 3;
	switch ((cs->dw[0] >> 3) & 3) {
	case 1:
		value &= old;
		break;
	case 2:
		value |= old;
		break;
	case 3:
		value ^= old;
		break;
	default:
		break;
	}
	regs[CS_PREDICATE_RESULT] = (result & ~(uint64_t)1) | value;
	return CS_NEXT;
}

/* A jump or an end that has asked to be predicated, and is off. */
static bool not_taken(const struct gpu_cs *cs)
{
	return CS_HAS(cs, 15) && cs_predicated_off(cs->ctx);
}

/* Ends the batch of the current level. */
static enum cs_result end_level(struct gpu_cs *cs)
{
	struct gpu_context *ctx = cs->ctx;

	if (ctx->depth == 0) {
		return cs_end_batch(cs);
	}
	ASSERT(ctx->depth < GPU_BATCH_DEPTH);
	ctx->depth--;
	cs->next = ctx->ret[ctx->depth];
	return CS_NEXT;
}

enum cs_result mi_batch_buffer_end(struct gpu_cs *cs)
{
	return not_taken(cs) ? CS_NEXT : end_level(cs);
}

/* The batch has jumped back: go on, or let others run first? */
static enum cs_result looped(struct gpu_context *ctx)
{
	bool idle = ctx->waited && !ctx->changed;

	ctx->loops++;
	ctx->waited = false;
	ctx->changed = false;
	return idle || ctx->loops % LOOPS_PER_POLL == 0 ? CS_POLL : CS_NEXT;
}

enum cs_result mi_batch_buffer_start(struct gpu_cs *cs)
{
	struct gpu_context *ctx = cs->ctx;

	_Static_assert(LEVELS <= GPU_BATCH_DEPTH, "a level has no place to return to");
	ASSERT(cs->len >= 3);
	if (not_taken(cs)) {
		return CS_NEXT;
	}
	if (ctx->in_ring) {
		return ring_call(cs, cs_addr(cs, cs->dw[1] & ~3u, cs->dw[2]));
	}
	/* From the last level no batch may call; it chains. */
	if (CS_HAS(cs, 22) && ctx->depth + 1 < LEVELS) {
		ctx->ret[ctx->depth] = cs->next;
		ctx->depth++;
	}
	cs->next = cs_addr(cs, cs->dw[1] & ~3u, cs->dw[2]);
	return gpu_va_bare(ctx->vm->fmt, cs->next) <= gpu_va_bare(ctx->vm->fmt, cs->ip) ?
		       looped(ctx) :
		       CS_NEXT;
}

bool cs_compare(unsigned op, uint64_t memory, uint64_t inline_data)
{
	switch (op) {
	case 0:
		return memory > inline_data;
	case 1:
		return memory >= inline_data;
	case 2:
		return memory < inline_data;
	case 3:
		return memory <= inline_data;
	case 4:
		return memory == inline_data;
	case 5:
		return memory != inline_data;
	default:
		return false;
	}
}

enum cs_result mi_conditional_batch_buffer_end(struct gpu_cs *cs)
{
	bool masked = CS_HAS(cs, 19);
	uint32_t data[2];
	uint64_t addr;

	ASSERT(cs->len >= 4);
	if (!CS_HAS(cs, 21) || not_taken(cs)) {
		return CS_NEXT;
	}
	/* With a mask the address leads to a qword: mask and data. */
	addr = cs_addr(cs, cs->dw[2] & (masked ? ~7u : ~3u), cs->dw[3]);
	if (cs_read(cs, addr, data, masked ? 8 : 4)) {
		return CS_FAULT;
	}
	if (masked) {
		data[0] &= data[1];
	}
	/* The comparison says when to go on; before it had a field it was the first of the six. */
	if (cs_compare((cs->dw[0] >> 12) & 7, data[0], cs->dw[1])) {
		cs->ctx->waited = true;
		return CS_NEXT;
	}
	return CS_HAS(cs, 18) ? end_level(cs) : cs_end_batch(cs);
}

enum cs_result mi_semaphore_wait(struct gpu_cs *cs)
{
	/* The data to compare with is in the command, or in the low half of the first register. */
	uint32_t value, data = CS_HAS(cs, 17) ? (uint32_t)cs->ctx->gpr[0] : cs->dw[1];

	ASSERT(cs->len >= 4);
	if (CS_HAS(cs, 16)) {
		value = cs_reg_read(cs, cs_reg_offset(cs, cs->dw[2], false));
	} else if (cs_read(cs, cs_addr(cs, cs->dw[2] & ~3u, cs->dw[3]), &value, 4)) {
		return CS_FAULT;
	}
	if (cs_compare((cs->dw[0] >> 12) & 7, value, data)) {
		return CS_NEXT;
	}
	/*
	 * Signal mode waits like polling mode: a signal would only make it look sooner. The wait
	 * token is for a scheduler in firmware, which does not exist here.
	 */
	cs->next = cs->ip;
	return CS_POLL;
}
