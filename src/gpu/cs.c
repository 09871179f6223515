// SPDX-License-Identifier: MIT
/*
 * Command streamer: fetch, decode, dispatch, and the accounting around them.
 *
 * A step fetches one command through the TLB, executes it, and moves on. Nothing fetched outlives
 * its command: batches are changed while they run, by themselves and by the CPU. The first fetch
 * takes up to FETCH_B bytes of the page at once, which is all of most commands.
 *
 * Which command it is comes from two tables: MI commands by opcode, everything else by a masked
 * header. A command without a handler is skipped by its length. A header that has no length is a
 * GPU_FAULT_COMMAND, because nobody can know where the next command begins.
 *
 * The context's ip moves only when a command has ended, so a fault, a poll or the end of the budget
 * leaves it at the command to execute next. One that was left half done is kept in the context and
 * not fetched again.
 *
 * Time: a context is charged here for its time in cs_run() alone. What one that polls would have
 * had between two runs, on hardware that keeps spinning, its owner adds. CTX_TIMESTAMP shows both.
 *
 * Locking: the caller holds the engine's token.
 */
#include "gpu/cs.h"

#include "base/bits.h"
#include "gpu/mmu.h"

#define FETCH_B 16

struct command {
	cs_handler run;
	uint16_t min_len; /* dwords without which the handler can do nothing */
	bool always;      /* even when MI_SET_PREDICATE has switched commands off */
};

/*
 * By opcode. Without a handler: NOOP, ARB_CHECK and ARB_ON_OFF (a context can be put aside at any
 * command), MEM_FENCE (writes are in order), USER_INTERRUPT and SEMAPHORE_SIGNAL (nobody sleeps
 * until they come: waiting is polling) ...
 */
static const struct command mi_commands[64] = {
	[0x01] = { mi_set_predicate, 1, true },
	[0x0a] = { mi_batch_buffer_end, 1, true },
	[0x0c] = { mi_predicate, 1, false },
	[0x1a] = { mi_math, 2, false },
	[0x1c] = { mi_semaphore_wait, 4, false },
	[0x20] = { mi_store_data_imm, 4, false },
	[0x22] = { mi_load_register_imm, 3, false },
	[0x24] = { mi_store_register_mem, 4, false },
	[0x26] = { mi_flush_dw, 1, false },
	[0x29] = { mi_load_register_mem, 4, false },
	[0x2a] = { mi_load_register_reg, 3, false },
	[0x2e] = { mi_copy_mem_mem, 5, false },
	[0x2f] = { mi_atomic, 3, false },
	[0x31] = { mi_batch_buffer_start, 3, true },
	[0x36] = { mi_conditional_batch_buffer_end, 4, true },
	[0x39] = { mi_batch_buffer_start, 3, true }, /* of a "persistent" batch: the same */
};

struct other_command {
	uint32_t mask, value; /* of the header */
	struct command command;
};

#define BLT(opcode) 0xffc00000, 2u << 29 | (opcode) << 22

static const struct other_command other_commands[] = {
	{ BLT(0x41u), { blt_block_copy, 12, false } },
	{ BLT(0x42u), { blt_fast_copy, 10, false } },
	{ BLT(0x44u), { blt_fast_color, 11, false } },
	{ BLT(0x5au), { blt_mem_copy, 10, false } },
	{ BLT(0x5bu), { blt_mem_set, 7, false } },
	{ 0xffff0000, 0x7a000000, { pipe_control, 2, false } },
};

static const struct command *find_command(uint32_t header)
{
	if (header >> 29 == 0) {
		return &mi_commands[(header >> 23) & 0x3f];
	}
	for (unsigned i = 0; i < ARRAY_LEN(other_commands); i++) {
		if ((header & other_commands[i].mask) == other_commands[i].value) {
			return &other_commands[i].command;
		}
	}
	return NULL;
}

static uint32_t mi_length(uint32_t header)
{
	switch ((header >> 23) & 0x3f) {
	case 0x20: /* MI_STORE_DATA_IMM */
		return (header & 0x3ff) + 2;
	case 0x26: /* MI_FLUSH_DW: the bits above are flags */
		return (header & 0x3f) + 2;
	default:
		return (header >> 23) < 16 ? 1 : (header & 0xff) + 2;
	}
}

static uint32_t render_length(uint32_t header)
{
	unsigned opcode = (header >> 24) & 7;

	switch ((header >> 27) & 3) {
	case 0: /* common state */
		return opcode < 2 ? (header & 0xff) + 2 : 0;
	case 1: /* PIPELINE_SELECT and the like */
		return opcode < 2 ? 1 : 0;
	case 2: /* media and compute: the walkers of opcode 2 have flags from bit 8 on */
		if (opcode == 1) {
			return (header & 0xffff) + 2;
		}
		return opcode == 0 || opcode == 2 ? (header & 0xff) + 2 : 0;
	default: /* 3D */
		if (header >> 16 == 0x780b) {
			return 1;
		}
		return opcode < 4 ? (header & 0xff) + 2 : 0;
	}
}

uint32_t cs_length(uint32_t header)
{
	switch (header >> 29) {
	case 0:
		return mi_length(header);
	case 2:
		return (header & 0xff) + 2;
	case 3:
		return render_length(header);
	default:
		return 0;
	}
}

uint64_t cs_addr(const struct gpu_cs *cs, uint32_t low, uint32_t high)
{
	return gpu_va_canonical(cs->ctx->vm->fmt, (uint64_t)high << 32 | low);
}

int cs_read(struct gpu_cs *cs, uint64_t addr, void *dst, size_t n)
{
	cs->bytes += n;
	return gpu_mmu_read(cs->engine, cs->ctx->vm, addr, dst, n, &cs->ctx->fault);
}

int cs_write(struct gpu_cs *cs, uint64_t addr, const void *src, size_t n)
{
	cs->bytes += n;
	return gpu_mmu_write(cs->engine, cs->ctx->vm, addr, src, n, &cs->ctx->fault);
}

static int fetch_dwords(struct gpu_cs *cs, uint32_t first, uint32_t count, uint32_t *out)
{
	ASSERT(count > 0);
	return gpu_mmu_read(cs->engine, cs->ctx->vm, cs->ip + 4ull * first, out, 4ull * count,
			    &cs->ctx->fault);
}

int cs_dwords(struct gpu_cs *cs, uint32_t first, uint32_t count, uint32_t *out)
{
	ASSERT(range_inside(first, count, cs->len));
	if (range_inside(first, count, CS_DWORDS)) {
		memcpy(out, &cs->dw[first], 4ull * count);
		return 0;
	}
	return fetch_dwords(cs, first, count, out);
}

enum cs_result cs_bad_command(struct gpu_cs *cs)
{
	cs->ctx->fault = (struct gpu_fault){
		.address = gpu_va_bare(cs->ctx->vm->fmt, cs->ip),
		.access = GPU_READ,
		.type = GPU_FAULT_COMMAND,
	};
	return CS_FAULT;
}

/* Fills cs->dw and cs->len from cs->ip. */
static enum cs_result fetch(struct gpu_cs *cs)
{
	size_t n = min_u64(FETCH_B, PAGE_SIZE - (cs->ip & (PAGE_SIZE - 1)));
	uint64_t room_B = UINT64_MAX;
	enum cs_result ret = CS_NEXT;
	uint32_t have, want;

	ASSERT(is_aligned(cs->ip, 4));
	if (cs->ctx->in_ring) {
		ret = ring_next(cs, &room_B);
		n = min_u64(n, room_B);
	}
	if (ret != CS_NEXT) {
		return ret;
	}
	have = (uint32_t)(n / 4);
	if (fetch_dwords(cs, 0, have, cs->dw)) {
		return CS_FAULT;
	}
	cs->len = cs_length(cs->dw[0]);
	if (cs->len == 0 || 4ull * cs->len > room_B) {
		return cs_bad_command(cs);
	}
	want = (uint32_t)min_u64(cs->len, CS_DWORDS);
	if (want > have && fetch_dwords(cs, have, want - have, &cs->dw[have])) {
		return CS_FAULT;
	}
	return CS_NEXT;
}

/* Goes on with a command that was left half done. */
static enum cs_result resume(struct gpu_cs *cs)
{
	_Static_assert(sizeof(cs->ctx->held) == sizeof(cs->dw), "a held command has lost dwords");
	memcpy(cs->dw, cs->ctx->held, sizeof(cs->dw));
	cs->len = cs_length(cs->dw[0]);
	ASSERT(cs->len > 0);
	return CS_NEXT;
}

static enum cs_result step(struct gpu_cs *cs)
{
	const struct command *command;
	bool in_ring = cs->ctx->in_ring;
	enum cs_result ret;

	cs->ip = cs->ctx->ip;
	cs->bytes = 0;
	ret = cs->ctx->progress_B > 0 ? resume(cs) : fetch(cs);
	if (ret != CS_NEXT) {
		return ret;
	}
	/* An address space ends where it begins; the fetch faults if nothing is mapped there. */
	cs->next = gpu_va_canonical(cs->ctx->vm->fmt, cs->ip + 4ull * cs->len);
	command = find_command(cs->dw[0]);
	if (command && command->run && (command->always || !cs_predicated_off(cs->ctx))) {
		ret = cs->len < command->min_len ? cs_bad_command(cs) : command->run(cs);
	}
	if (ret == CS_NEXT || ret == CS_POLL) {
		ASSERT(cs->ctx->progress_B == 0);
		if (in_ring && cs->ctx->in_ring) {
			ring_advance(cs);
		} else {
			cs->ctx->ip = cs->next;
		}
	} else if (cs->ctx->progress_B > 0) {
		memcpy(cs->ctx->held, cs->dw, sizeof(cs->dw));
	}
	return ret;
}

static void charge(struct gpu_engine *engine, struct gpu_context *ctx, uint64_t entered_ns)
{
	uint64_t now_ns = port_now_ns();

	ASSERT(now_ns >= entered_ns);
	ctx->runtime_ns += now_ns - entered_ns;
	engine->last_ns = now_ns;
}

enum gpu_run cs_run(struct gpu_engine *engine, struct gpu_context *ctx, struct gpu_budget *budget)
{
	struct gpu_cs cs = { .engine = engine, .ctx = ctx, .entered_ns = port_now_ns() };
	enum cs_result ret = CS_NEXT;

	ASSERT(ctx->running);
	ASSERT(ctx->depth < GPU_BATCH_DEPTH);
	while ((ret == CS_NEXT || ret == CS_MORE) && budget->commands > 0 && budget->bytes > 0) {
		cs.budget_B = budget->bytes;
		ret = step(&cs);
		budget->commands--;
		budget->bytes -= min_u64(budget->bytes, cs.bytes);
	}
	if (ctx->ring.size_B && ret != CS_FAULT && ring_tell(&cs)) {
		ret = CS_FAULT;
	}
	charge(engine, ctx, cs.entered_ns);
	switch (ret) {
	case CS_NEXT:
	case CS_MORE:
		return GPU_RUN_MORE;
	case CS_POLL:
		return GPU_RUN_POLL;
	case CS_DONE:
		ctx->running = false;
		return GPU_RUN_DONE;
	default:
		ctx->running = false;
		return GPU_RUN_FAULT;
	}
}
