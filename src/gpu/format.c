// SPDX-License-Identifier: MIT
/*
 * Page-table entries, from a table of bit positions.
 *
 * A format says for each level what an entry maps and which bit turns an entry into a leaf where a
 * table would be possible too; for every attribute it gives the bit, or -1. Encoding sets bits,
 * decoding reads the same bits: neither knows one hardware from the other.
 *
 * Two positions of the Intel format carry two meanings. Bit 7 is the third PAT bit of a level-0
 * leaf but the leaf bit of the levels above, where the third PAT bit sits at 12, below the
 * smallest address bit of such a page. Bit 11 of a directory entry says, here, that the table lies
 * in device memory; the hardware has a hint for the whole table there, which this model does not
 * need, and knows from elsewhere where its tables are.
 *
 * Bit 52 is one of those that the hardware leaves to software: error dumps find there what belongs
 * into them, where no list of mappings can be looked at.
 *
 * A leaf bit on a level that holds no leaves is ignored, like every bit the table does not name.
 *
 * Example: gpu_pte_leaf(&gpu_format_intel48, 1, false, phys, false, &attrs) is a 2 MiB page.
 */
#include "gpu/format.h"

#include "base/bits.h"
#include "port/port.h"

const struct gpu_pt_format gpu_format_intel48 = {
	.name = "intel48",
	.levels = 4,
	.va_bits = 48,
	.level = {
		{ .shift = 12, .bits = 9, .leaf = true, .leaf_bit = -1 },
		{ .shift = 21, .bits = 9, .leaf = true, .leaf_bit = 7 },
		{ .shift = 30, .bits = 9, .leaf = true, .leaf_bit = 7 },
		{ .shift = 39, .bits = 9, .leaf = false, .leaf_bit = -1 },
	},
	.compact_shift = 16,
	.compact_bits = 5,
	.present = 0,
	.write = 1,
	.null = 9,
	.device = 11,
	.atomic = 10,
	.ps64 = 8,
	.dumpable = 52,
	.table_compact = 6,
	.pat = { 3, 4, 7, 62, 61 },
	.pat_huge = { 3, 4, 12, 62, 61 },
	.address_mask = ((uint64_t)1 << 52) - ((uint64_t)1 << 12),
};

static uint64_t bit_if(bool set, int position)
{
	if (!set) {
		return 0;
	}
	ASSERT(position >= 0 && position < 64);
	return BIT64(position);
}

static unsigned leaf_shift(const struct gpu_pt_format *fmt, unsigned level, bool compact)
{
	ASSERT(!compact || level == 0);
	return compact ? fmt->compact_shift : fmt->level[level].shift;
}

uint64_t gpu_pte_leaf(const struct gpu_pt_format *fmt, unsigned level, bool compact, uint64_t phys,
		      bool ps64, const struct gpu_pte_attrs *attrs)
{
	const int8_t *pat = level ? fmt->pat_huge : fmt->pat;
	uint64_t entry = BIT64(fmt->present);

	ASSERT(level < fmt->levels && fmt->level[level].leaf);
	ASSERT(!ps64 || (level == 0 && !compact));
	ASSERT(attrs->pat < BIT(ARRAY_LEN(fmt->pat)));
	if (!attrs->null) {
		unsigned shift = leaf_shift(fmt, level, compact);

		ASSERT(is_aligned(phys, BIT64(shift)) && (phys & ~fmt->address_mask) == 0);
		entry |= phys;
	}
	if (fmt->level[level].leaf_bit >= 0) {
		entry |= BIT64(fmt->level[level].leaf_bit);
	}
	entry |= bit_if(attrs->writable, fmt->write);
	entry |= bit_if(attrs->null, fmt->null);
	entry |= bit_if(attrs->device, fmt->device);
	entry |= bit_if(attrs->atomic, fmt->atomic);
	entry |= bit_if(attrs->dumpable, fmt->dumpable);
	entry |= bit_if(ps64, fmt->ps64);
	for (unsigned i = 0; i < ARRAY_LEN(fmt->pat); i++) {
		entry |= bit_if((attrs->pat & BIT(i)) != 0, pat[i]);
	}
	return entry;
}

uint64_t gpu_pte_table(const struct gpu_pt_format *fmt, unsigned level, uint64_t phys, bool device,
		       bool compact)
{
	ASSERT(level >= 1 && level < fmt->levels);
	ASSERT(!compact || level == 1);
	ASSERT(is_aligned(phys, SZ_4K) && (phys & ~fmt->address_mask) == 0);
	/* Rights are decided by the leaf: directories allow everything. */
	return phys | bit_if(true, fmt->present) | bit_if(true, fmt->write) |
	       bit_if(device, fmt->device) | bit_if(compact, fmt->table_compact);
}

uint64_t gpu_pte_evicted(const struct gpu_pt_format *fmt)
{
	uint64_t entry = gpu_pte_table(fmt, 1, 0, false, false) & ~BIT64(fmt->present);

	ASSERT(entry != 0);
	return entry;
}

int gpu_pte_decode_end(const struct gpu_pt_format *fmt, unsigned level, bool compact,
		       uint64_t entry, struct gpu_pte *pte_out)
{
	const int8_t *pat = level ? fmt->pat_huge : fmt->pat;
	unsigned shift = leaf_shift(fmt, level, compact);
	bool null = gpu_pte_bit(entry, fmt->null);
	uint8_t pat_index = 0;

	if (!gpu_pte_bit(entry, fmt->present)) {
		*pte_out = (struct gpu_pte){ .kind = GPU_PTE_NONE };
		return -EFAULT;
	}
	for (unsigned i = 0; i < ARRAY_LEN(fmt->pat); i++) {
		pat_index |= (uint8_t)(gpu_pte_bit(entry, pat[i]) << i);
	}
	*pte_out = (struct gpu_pte){
		.kind = GPU_PTE_LEAF,
		.phys = null ? 0 : align_down(entry & fmt->address_mask, BIT64(shift)),
		.shift = shift,
		.ps64 = level == 0 && !compact && gpu_pte_bit(entry, fmt->ps64),
		.attrs = {
			.writable = gpu_pte_bit(entry, fmt->write),
			.null = null,
			.device = gpu_pte_bit(entry, fmt->device),
			.atomic = gpu_pte_bit(entry, fmt->atomic),
			.dumpable = gpu_pte_bit(entry, fmt->dumpable),
			.pat = pat_index,
		},
	};
	return 0;
}

struct gpu_pte gpu_pte_decode(const struct gpu_pt_format *fmt, unsigned level, bool compact,
			      uint64_t entry)
{
	struct gpu_pte pte;

	ASSERT(level < fmt->levels);
	ASSERT(!compact || level == 0);
	if (!gpu_pte_is_table(fmt, level, entry)) {
		gpu_pte_decode_end(fmt, level, compact, entry, &pte);
		return pte;
	}
	ASSERT(level > 0);
	return (struct gpu_pte){
		.kind = GPU_PTE_TABLE,
		.phys = gpu_pte_table_phys(fmt, entry),
		.compact = gpu_pte_table_compact(fmt, level, entry),
		.attrs = { .device = gpu_pte_bit(entry, fmt->device) },
	};
}
