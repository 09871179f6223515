// SPDX-License-Identifier: MIT
/*
 * Commands that move memory: immediate stores, copies, atomics, and the writes that flushes do when
 * they are done.
 *
 * Everything before a command has happened when it executes, so flushes and fences have nothing to
 * wait for; only what they write remains. A write of one aligned dword or qword is one store for
 * whoever looks at it. Batches of users have no global address space: the bit that asks for it is
 * ignored. A "store data index" names a place in a page of the driver that does not exist here, so
 * such a write is dropped.
 */
#include "gpu/cs.h"

#include "base/bits.h"
#include "gpu/mmu.h"

enum post_sync {
	POST_SYNC_NONE = 0,
	POST_SYNC_IMMEDIATE = 1,
	POST_SYNC_DEPTH_COUNT = 2,
	POST_SYNC_TIMESTAMP = 3,
};

enum cs_result mi_store_data_imm(struct gpu_cs *cs)
{
	uint64_t addr = cs_addr(cs, cs->dw[1] & ~3u, cs->dw[2]);
	uint32_t data[CS_DWORDS];
	uint32_t n;

	ASSERT(cs->len >= 4);
	for (uint32_t i = 3; i < cs->len; i += n) {
		n = (uint32_t)min_u64(cs->len - i, ARRAY_LEN(data));
		if (cs_dwords(cs, i, n, data) || cs_write(cs, addr, data, 4ull * n)) {
			return CS_FAULT;
		}
		addr += 4ull * n;
	}
	return CS_NEXT;
}

enum cs_result mi_copy_mem_mem(struct gpu_cs *cs)
{
	uint32_t value;

	ASSERT(cs->len >= 5);
	if (cs_read(cs, cs_addr(cs, cs->dw[3] & ~3u, cs->dw[4]), &value, 4) ||
	    cs_write(cs, cs_addr(cs, cs->dw[1] & ~3u, cs->dw[2]), &value, 4)) {
		return CS_FAULT;
	}
	return CS_NEXT;
}

struct atomic_args {
	unsigned op;
	unsigned bits; /* 32 or 64 */
	uint64_t src[2];
};

static int64_t sign_extend(uint64_t value, unsigned bits)
{
	return bits == 32 ? (int32_t)(uint32_t)value : (int64_t)value;
}

static uint64_t atomic_apply(uint64_t old, const void *arg)
{
	const struct atomic_args *a = arg;
	uint64_t src = a->src[0];
	bool less = sign_extend(old, a->bits) < sign_extend(src, a->bits);

	switch (a->op) {
	case 1:
		return old & src;
	case 2:
		return old | src;
	case 3:
		return old ^ src;
	case 4: /* move */
		return src;
	case 5:
		return old + 1;
	case 6:  /* decrement, and */
	case 15: /* predecrement, which returns what it wrote */
		return old - 1;
	case 7:
		return old + src;
	case 8:
		return old - src;
	case 9:
		return src - old;
	case 10: /* signed maximum */
		return less ? src : old;
	case 11: /* signed minimum */
		return less ? old : src;
	case 12:
		return max_u64(old, src);
	case 13:
		return min_u64(old, src);
	case 14: /* compare and write */
		return old == src ? a->src[1] : old;
	default:
		return old;
	}
}

enum cs_result mi_atomic(struct gpu_cs *cs)
{
	unsigned opcode = (cs->dw[0] >> 8) & 0xff;
	bool qword = (opcode & 0x20) != 0 || ((cs->dw[0] >> 19) & 3) == 1;
	struct gpu_context *ctx = cs->ctx;
	struct atomic_args args = { .op = opcode & 0x1f, .bits = qword ? 64 : 32 };
	uint64_t mask = qword ? UINT64_MAX : UINT32_MAX;
	uint64_t addr = cs_addr(cs, cs->dw[1] & (qword ? ~7u : ~3u), cs->dw[2]);
	uint64_t old;

	ASSERT(cs->len >= 3);
	/* 16 bytes at once are beyond what all hosts can do in one piece. */
	if ((opcode & 0xc0) != 0 || ((cs->dw[0] >> 19) & 3) >= 2) {
		return cs_bad_command(cs);
	}
	if (CS_HAS(cs, 18)) {
		if (cs->len < (qword ? 7 : 5)) {
			return cs_bad_command(cs);
		}
		args.src[0] = cs->dw[3] | (qword ? (uint64_t)cs->dw[5] << 32 : 0);
		args.src[1] = cs->dw[4] | (qword ? (uint64_t)cs->dw[6] << 32 : 0);
	} else {
		args.src[0] = ctx->gpr[0] & mask;
		args.src[1] = ctx->gpr[2] & mask;
	}
	cs->bytes += qword ? 8 : 4;
	if (gpu_mmu_rmw(cs->engine, ctx->vm, addr, qword ? 8 : 4, atomic_apply, &args, &old,
			&ctx->fault)) {
		return CS_FAULT;
	}
	if (CS_HAS(cs, 16)) {
		uint64_t seen = args.op == 15 ? old - 1 : old;

		ctx->gpr[4] = (ctx->gpr[4] & ~mask) | (seen & mask);
	}
	ctx->changed = true;
	return CS_NEXT;
}

/* @data: of an immediate write; @n: its bytes. */
static enum cs_result post_sync(struct gpu_cs *cs, enum post_sync op, uint64_t addr, uint64_t data,
				size_t n)
{
	ASSERT(n == 4 || n == 8);
	switch (op) {
	case POST_SYNC_NONE:
		return CS_NEXT;
	case POST_SYNC_IMMEDIATE:
		break;
	case POST_SYNC_DEPTH_COUNT: /* nothing is drawn */
		data = 0;
		n = 8;
		break;
	case POST_SYNC_TIMESTAMP:
		data = gpu_timestamp(cs->engine->clock_hz);
		n = 8;
		break;
	}
	return cs_write(cs, addr, &data, n) ? CS_FAULT : CS_NEXT;
}

enum cs_result mi_flush_dw(struct gpu_cs *cs)
{
	enum post_sync op = (cs->dw[0] >> 14) & 3;
	uint64_t data;

	if (CS_HAS(cs, 18)) {
		gpu_mmu_flush_own(cs->engine, cs->ctx->vm);
	}
	if (op == POST_SYNC_NONE || CS_HAS(cs, 21)) {
		return CS_NEXT;
	}
	if (op == POST_SYNC_DEPTH_COUNT || cs->len < 4) {
		return cs_bad_command(cs);
	}
	data = cs->dw[3] | (cs->len > 4 ? (uint64_t)cs->dw[4] << 32 : 0);
	return post_sync(cs, op, cs_addr(cs, cs->dw[1] & ~7u, cs->dw[2]), data,
			 cs->len > 4 ? 8 : 4);
}

enum cs_result pipe_control(struct gpu_cs *cs)
{
	enum post_sync op = (cs->dw[1] >> 14) & 3;
	uint64_t data;

	ASSERT(cs->len >= 2);
	if (cs->dw[1] & BIT(18)) {
		gpu_mmu_flush_own(cs->engine, cs->ctx->vm);
	}
	if (!(cs->dw[1] & BIT(23)) && (op == POST_SYNC_NONE || (cs->dw[1] & BIT(21)))) {
		return CS_NEXT;
	}
	if (cs->len < 6) {
		return cs_bad_command(cs);
	}
	if (cs->dw[1] & BIT(23)) { /* the address is that of a register */
		cs_reg_write(cs, cs_reg_offset(cs, cs->dw[2], false), cs->dw[4], UINT32_MAX);
		return CS_NEXT;
	}
	data = cs->dw[4] | (uint64_t)cs->dw[5] << 32;
	return post_sync(cs, op, cs_addr(cs, cs->dw[2] & ~3u, cs->dw[3]), data, 8);
}
