// SPDX-License-Identifier: MIT
/*
 * Registers a batch can reach, and the commands that move them.
 *
 * A register is named by its byte offset in the device. Those of an engine begin at its mmio_base;
 * a command can also name one relative to whatever engine it runs on. All state is in the context,
 * nothing in the engine, so that contexts cannot see one another. Timestamps are read only.
 */
#include "gpu/cs.h"

#include "base/bits.h"

#define REG_OFFSET_MASK 0x7ffffcu
#define ENGINE_REGS_B 0x1000u

/* Offsets from mmio_base. */
#define REG_TIMESTAMP 0x358u
#define REG_CTX_TIMESTAMP 0x3a8u
#define REG_GPR 0x600u

struct reg_other {
	uint16_t offset;
	uint16_t size_B;
	uint8_t slot; /* of gpu_context.regs_other */
};

static const struct reg_other reg_others[] = {
	{ 0x3bc, 4, CS_PREDICATE_RESULT_2 },
	{ 0x400, 8, CS_PREDICATE_SRC0 },
	{ 0x408, 8, CS_PREDICATE_SRC1 },
	{ 0x410, 8, CS_PREDICATE_DATA },
	{ 0x418, 8, CS_PREDICATE_RESULT },
};

/* The 64-bit register of the context around @offset (from mmio_base), or NULL. */
static uint64_t *find_reg(struct gpu_context *ctx, uint32_t offset, unsigned *shift_out)
{
	ASSERT(is_aligned(offset, 4));
	if (offset >= REG_GPR && offset - REG_GPR < 8u * GPU_GPRS) {
		*shift_out = (offset & 4) * 8;
		return &ctx->gpr[(offset - REG_GPR) / 8];
	}
	for (unsigned i = 0; i < ARRAY_LEN(reg_others); i++) {
		const struct reg_other *r = &reg_others[i];

		if (offset >= r->offset && offset - r->offset < r->size_B) {
			ASSERT(r->slot < ARRAY_LEN(ctx->regs_other));
			*shift_out = (offset - r->offset) * 8;
			return &ctx->regs_other[r->slot];
		}
	}
	return NULL;
}

static uint64_t context_ticks(const struct gpu_cs *cs)
{
	uint64_t ns = cs->ctx->runtime_ns + (port_now_ns() - cs->entered_ns);

	return gpu_ticks(ns, cs->engine->clock_hz);
}

uint32_t cs_reg_read(const struct gpu_cs *cs, uint32_t offset)
{
	uint32_t base = cs->engine->mmio_base;
	unsigned shift = (offset & 4) * 8;
	const uint64_t *reg;

	if (offset < base || offset - base >= ENGINE_REGS_B) {
		return 0;
	}
	switch (offset - base) {
	case REG_TIMESTAMP:
		return (uint32_t)gpu_timestamp(cs->engine->clock_hz);
	case REG_TIMESTAMP + 4:
		return (uint32_t)(gpu_timestamp(cs->engine->clock_hz) >> 32);
	case REG_CTX_TIMESTAMP:
		return (uint32_t)context_ticks(cs);
	case REG_CTX_TIMESTAMP + 4:
		return (uint32_t)(context_ticks(cs) >> 32);
	default:
		reg = find_reg(cs->ctx, offset - base, &shift);
		return reg ? (uint32_t)(*reg >> shift) : 0;
	}
}

void cs_reg_write(struct gpu_cs *cs, uint32_t offset, uint32_t value, uint32_t mask)
{
	uint32_t base = cs->engine->mmio_base;
	unsigned shift;
	uint64_t *reg;

	if (offset < base || offset - base >= ENGINE_REGS_B) {
		return;
	}
	reg = find_reg(cs->ctx, offset - base, &shift);
	if (reg) {
		*reg = (*reg & ~((uint64_t)mask << shift)) | (uint64_t)(value & mask) << shift;
	}
}

uint32_t cs_reg_offset(const struct gpu_cs *cs, uint32_t dword, bool relative)
{
	return (dword & REG_OFFSET_MASK) + (relative ? cs->engine->mmio_base : 0);
}

/* Four bits of the header each keep one byte of the register as it is. */
static uint32_t byte_mask(uint32_t header)
{
	uint32_t mask = 0;

	for (unsigned i = 0; i < 4; i++) {
		if (!(header & BIT(8 + i))) {
			mask |= 0xffu << (i * 8);
		}
	}
	return mask;
}

enum cs_result mi_load_register_imm(struct gpu_cs *cs)
{
	uint32_t mask = byte_mask(cs->dw[0]);
	uint32_t pair[2];

	ASSERT(cs->len >= 3);
	/* Loading the same values again after a fault half way changes nothing. */
	for (uint32_t i = 1; i + 2 <= cs->len; i += 2) {
		if (cs_dwords(cs, i, 2, pair)) {
			return CS_FAULT;
		}
		cs_reg_write(cs, cs_reg_offset(cs, pair[0], CS_HAS(cs, 19)), pair[1], mask);
	}
	return CS_NEXT;
}

enum cs_result mi_load_register_reg(struct gpu_cs *cs)
{
	uint32_t value = cs_reg_read(cs, cs_reg_offset(cs, cs->dw[1], CS_HAS(cs, 18)));

	ASSERT(cs->len >= 3);
	cs_reg_write(cs, cs_reg_offset(cs, cs->dw[2], CS_HAS(cs, 19)), value, UINT32_MAX);
	return CS_NEXT;
}

enum cs_result mi_load_register_mem(struct gpu_cs *cs)
{
	uint32_t value;

	ASSERT(cs->len >= 4);
	if (cs_read(cs, cs_addr(cs, cs->dw[2] & ~3u, cs->dw[3]), &value, 4)) {
		return CS_FAULT;
	}
	cs_reg_write(cs, cs_reg_offset(cs, cs->dw[1], CS_HAS(cs, 19)), value, UINT32_MAX);
	return CS_NEXT;
}

enum cs_result mi_store_register_mem(struct gpu_cs *cs)
{
	uint32_t value;

	ASSERT(cs->len >= 4);
	if (CS_HAS(cs, 21) && !(cs->ctx->regs_other[CS_PREDICATE_RESULT] & 1)) {
		return CS_NEXT;
	}
	value = cs_reg_read(cs, cs_reg_offset(cs, cs->dw[1], CS_HAS(cs, 19)));
	return cs_write(cs, cs_addr(cs, cs->dw[2] & ~3u, cs->dw[3]), &value, 4) ? CS_FAULT :
										 CS_NEXT;
}
