// SPDX-License-Identifier: MIT
/*
 * Rings: commands that the engine takes from memory while others still write them.
 *
 * Overview. A context begins at a batch, which somebody submits and which ends; or at a ring, which
 * does neither. Commands are taken from the ring at the head as long as it is behind the tail. Both
 * are counters of bytes in memory; modulo the ring's size they are places in it. Who writes
 * commands moves the tail behind them, and may use the space before the head again. When the engine
 * has come to the tail it looks for a new one, and says GPU_RUN_POLL if there is none.
 *
 * The ring is the level below the first batch: a jump to a batch is a call, whose end comes back.
 * The head stays at the call until then, so that everything before the head has been executed. A
 * batch begins like that of a submission, and the ring goes on without predication after it.
 *
 * The head is not written after each command, but when there is nothing left to do and when the
 * engine leaves the context: within one budget.
 *
 * What is no ring: a tail that is behind the head, more than the ring's size before it, or not a
 * multiple of 8; a command that reaches beyond the tail or the ring's end (it is filled up with
 * no-operations); the end of a batch where there is none. All of these are GPU_FAULT_COMMAND.
 *
 * Locking: the caller holds the engine's token. The tail is one load, the head one store, of 8
 * aligned bytes: acquire and release, so commands are there when their tail is seen.
 */
#include "gpu/cs.h"

#include "base/bits.h"
#include "gpu/mmu.h"

#define TAIL_OFFSET offsetof(struct gpu_ring_control, tail)
#define HEAD_OFFSET offsetof(struct gpu_ring_control, head)

static uint64_t offset_of_head(const struct gpu_context *ctx)
{
	return ctx->head & (ctx->ring.size_B - 1);
}

static uint64_t control_at(const struct gpu_context *ctx, uint64_t offset)
{
	return gpu_va_canonical(ctx->vm->fmt, ctx->ring.control_va + offset);
}

static void go_to_head(struct gpu_cs *cs)
{
	struct gpu_context *ctx = cs->ctx;

	cs->next = gpu_va_canonical(ctx->vm->fmt, ctx->ring.va + offset_of_head(ctx));
	ctx->ip = cs->next;
}

int ring_tell(struct gpu_cs *cs)
{
	struct gpu_context *ctx = cs->ctx;
	uint64_t head = align_down(ctx->head, 8);

	if (head == ctx->head_told) {
		return 0;
	}
	if (cs_write(cs, control_at(ctx, HEAD_OFFSET), &head, sizeof(head))) {
		return -EFAULT;
	}
	ctx->head_told = head;
	return 0;
}

static enum cs_result look(struct gpu_cs *cs)
{
	struct gpu_context *ctx = cs->ctx;
	uint64_t tail;

	if (ring_tell(cs) || cs_read(cs, control_at(ctx, TAIL_OFFSET), &tail, sizeof(tail))) {
		return CS_FAULT;
	}
	if (!is_aligned(tail, 8) || tail - ctx->head > ctx->ring.size_B) {
		cs->ip = ctx->ring.control_va;
		return cs_bad_command(cs);
	}
	ctx->tail = tail;
	return tail == ctx->head ? CS_POLL : CS_NEXT;
}

enum cs_result ring_next(struct gpu_cs *cs, uint64_t *room_B_out)
{
	struct gpu_context *ctx = cs->ctx;
	enum cs_result ret = gpu_context_is_dry(ctx) ? look(cs) : CS_NEXT;

	ASSERT(ctx->in_ring && ctx->ring.size_B);
	*room_B_out = min_u64(ctx->tail - ctx->head, ctx->ring.size_B - offset_of_head(ctx));
	return ret;
}

void ring_advance(struct gpu_cs *cs)
{
	/* One that polls comes again. */
	if (cs->next != cs->ip) {
		cs->ctx->head += 4ull * cs->len;
		go_to_head(cs);
	}
}

enum cs_result ring_call(struct gpu_cs *cs, uint64_t addr)
{
	struct gpu_context *ctx = cs->ctx;

	ASSERT(ctx->in_ring);
	ctx->call_B = 4 * cs->len;
	ctx->in_ring = false;
	cs_begin_batch(ctx);
	cs->next = addr;
	return CS_NEXT;
}

enum cs_result cs_end_batch(struct gpu_cs *cs)
{
	struct gpu_context *ctx = cs->ctx;

	if (!ctx->ring.size_B) {
		return CS_DONE;
	}
	if (ctx->in_ring) {
		return cs_bad_command(cs);
	}
	ctx->in_ring = true;
	ctx->head += ctx->call_B;
	cs_begin_batch(ctx);
	go_to_head(cs);
	return CS_NEXT;
}
