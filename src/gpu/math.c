// SPDX-License-Identifier: MIT
/*
 * MI_MATH: a small 64-bit calculator over the general purpose registers.
 *
 * A program is a list of ALU instructions of one dword: opcode, and two operands. Two sources, an
 * accumulator and two flags live as long as the command. Subtraction sets the carry flag when it
 * borrows; a flag reads as all ones or zero. The indirect instructions go to memory at the address
 * in the accumulator. Registers change only when the whole program has run, so that a program that
 * faults can be run again.
 */
#include "gpu/cs.h"

#include "base/bits.h"

enum alu_opcode {
	ALU_NOOP = 0x000,
	ALU_FENCE_RD = 0x001,
	ALU_FENCE_WR = 0x002,
	ALU_LOAD = 0x080,
	ALU_LOAD0 = 0x081,
	ALU_LOADIND = 0x082,
	ALU_ADD = 0x100,
	ALU_SUB = 0x101,
	ALU_AND = 0x102,
	ALU_OR = 0x103,
	ALU_XOR = 0x104,
	ALU_SHL = 0x105,
	ALU_SHR = 0x106,
	ALU_SAR = 0x107,
	ALU_STORE = 0x180,
	ALU_STOREIND = 0x181,
	ALU_LOADINV = 0x480,
	ALU_LOAD1 = 0x481,
	ALU_STOREINV = 0x580,
};

enum alu_operand {
	ALU_GPR_LAST = GPU_GPRS - 1,
	ALU_SRCA = 0x20,
	ALU_SRCB = 0x21,
	ALU_ACCU = 0x31,
	ALU_ZF = 0x32,
	ALU_CF = 0x33,
};

struct alu {
	uint64_t gpr[GPU_GPRS];
	uint64_t a, b, accu;
	bool zero, carry;
};

static uint64_t alu_get(const struct alu *alu, unsigned operand)
{
	switch (operand) {
	case ALU_SRCA:
		return alu->a;
	case ALU_SRCB:
		return alu->b;
	case ALU_ACCU:
		return alu->accu;
	case ALU_ZF:
		return alu->zero ? UINT64_MAX : 0;
	case ALU_CF:
		return alu->carry ? UINT64_MAX : 0;
	default:
		return operand <= ALU_GPR_LAST ? alu->gpr[operand] : 0;
	}
}

static void alu_set(struct alu *alu, unsigned operand, uint64_t value)
{
	if (operand <= ALU_GPR_LAST) {
		alu->gpr[operand] = value;
	} else if (operand == ALU_SRCA) {
		alu->a = value;
	} else if (operand == ALU_SRCB) {
		alu->b = value;
	}
}

/* False when @opcode is no arithmetic. */
static bool alu_compute(struct alu *alu, unsigned opcode)
{
	unsigned count = alu->b & 63;
	bool carry = false;

	switch (opcode) {
	case ALU_ADD:
		carry = __builtin_add_overflow(alu->a, alu->b, &alu->accu);
		break;
	case ALU_SUB:
		carry = __builtin_sub_overflow(alu->a, alu->b, &alu->accu);
		break;
	case ALU_AND:
		alu->accu = alu->a & alu->b;
		break;
	case ALU_OR:
		alu->accu = alu->a | alu->b;
		break;
	case ALU_XOR:
		alu->accu = alu->a ^ alu->b;
		break;
	case ALU_SHL:
		alu->accu = alu->a << count;
		break;
	case ALU_SHR:
		alu->accu = alu->a >> count;
		break;
	case ALU_SAR:
		alu->accu = (uint64_t)((int64_t)alu->a >> count);
		break;
	default:
		return false;
	}
	alu->carry = carry;
	alu->zero = alu->accu == 0;
	return true;
}

static enum cs_result alu_step(struct gpu_cs *cs, struct alu *alu, uint32_t instruction)
{
	unsigned opcode = instruction >> 20;
	unsigned op1 = (instruction >> 10) & 0x3ff, op2 = instruction & 0x3ff;
	uint64_t addr = cs_addr(cs, (uint32_t)alu->accu & ~7u, (uint32_t)(alu->accu >> 32));
	uint64_t value;

	switch (opcode) {
	case ALU_NOOP:
	case ALU_FENCE_RD:
	case ALU_FENCE_WR:
		return CS_NEXT;
	case ALU_LOAD:
	case ALU_STORE:
		alu_set(alu, op1, alu_get(alu, op2));
		return CS_NEXT;
	case ALU_LOADINV:
	case ALU_STOREINV:
		alu_set(alu, op1, ~alu_get(alu, op2));
		return CS_NEXT;
	case ALU_LOAD0:
		alu_set(alu, op1, 0);
		return CS_NEXT;
	case ALU_LOAD1:
		alu_set(alu, op1, UINT64_MAX);
		return CS_NEXT;
	case ALU_LOADIND:
		if (cs_read(cs, addr, &value, 8)) {
			return CS_FAULT;
		}
		alu_set(alu, op1, value);
		return CS_NEXT;
	case ALU_STOREIND:
		value = alu_get(alu, op2);
		return cs_write(cs, addr, &value, 8) ? CS_FAULT : CS_NEXT;
	default:
		return alu_compute(alu, opcode) ? CS_NEXT : cs_bad_command(cs);
	}
}

enum cs_result mi_math(struct gpu_cs *cs)
{
	struct alu alu = { 0 };
	uint32_t code[CS_DWORDS];
	uint32_t n;

	ASSERT(cs->len >= 2);
	memcpy(alu.gpr, cs->ctx->gpr, sizeof(alu.gpr));
	for (uint32_t i = 1; i < cs->len; i += n) {
		n = (uint32_t)min_u64(cs->len - i, ARRAY_LEN(code));
		if (cs_dwords(cs, i, n, code)) {
			return CS_FAULT;
		}
		for (uint32_t k = 0; k < n; k++) {
			enum cs_result ret = alu_step(cs, &alu, code[k]);

			if (ret != CS_NEXT) {
				return ret;
			}
		}
	}
	memcpy(cs->ctx->gpr, alu.gpr, sizeof(alu.gpr));
	return CS_NEXT;
}
