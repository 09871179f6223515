// SPDX-License-Identifier: MIT
/*
 * The table walk: from a VM's root through real entries in memory to a leaf.
 *
 * Entries are read with single 64-bit loads while others write them; what makes a walk that began
 * after an invalidation see the new entries is the order of the counters in mmu.c. The walk takes
 * no lock and keeps nothing. Each level waits for the one before: on the way down no more is looked
 * at than the next step needs. Example: the MMU on a TLB miss, or a dump that asks what is mapped.
 */
#include "base/bits.h"
#include "gpu/mmu.h"

static int read_entry(const struct gpu_mem_ops *mem_ops, void *mem_ctx, uint64_t phys, bool device,
		      uint64_t *entry_out)
{
	struct gpu_page page;

	if (mem_ops->page(mem_ctx, phys, device, &page)) {
		return -EFAULT;
	}
	/* Stretches and entries are aligned: the whole entry is inside. */
	ASSERT(!page.guarded && phys - page.phys < page.size_B);
	*entry_out = __atomic_load_n((const uint64_t *)page.host + (phys - page.phys) / 8,
				     __ATOMIC_ACQUIRE);
	return 0;
}

static uint64_t entry_offset(const struct gpu_pt_format *fmt, unsigned level, bool compact,
			     uint64_t va)
{
	unsigned shift = compact ? fmt->compact_shift : fmt->level[level].shift;
	unsigned bits = compact ? fmt->compact_bits : fmt->level[level].bits;

	ASSERT(!compact || level == 0);
	return ((va >> shift) & (BIT64(bits) - 1)) * 8;
}

int gpu_walk(const struct gpu_mem_ops *mem_ops, void *mem_ctx, const struct gpu_vm *vm,
	     uint64_t addr, struct gpu_pte *pte_out, unsigned *level_out)
{
	const struct gpu_pt_format *fmt = vm->fmt;
	uint64_t va = gpu_va_bare(fmt, addr), table = vm->root_phys, entry;
	bool device = vm->root_device, compact = false;
	unsigned level = fmt->levels - 1;

	ASSERT(fmt->levels <= GPU_PT_MAX_LEVELS && mem_ops->page);
	*level_out = level;
	if (gpu_va_canonical(fmt, addr) != addr) {
		*pte_out = (struct gpu_pte){ .kind = GPU_PTE_NONE };
		return -EFAULT;
	}
	for (;; level--) {
		if (read_entry(mem_ops, mem_ctx, table + entry_offset(fmt, level, compact, va),
			       device, &entry)) {
			*level_out = level;
			*pte_out = (struct gpu_pte){
				.kind = GPU_PTE_TABLE,
				.phys = table,
				.compact = compact,
				.attrs = { .device = device },
			};
			return -EFAULT;
		}
		if (!gpu_pte_is_table(fmt, level, entry)) {
			break;
		}
		ASSERT(level > 0);
		table = gpu_pte_table_phys(fmt, entry);
		compact = gpu_pte_table_compact(fmt, level, entry);
		device = gpu_pte_bit(entry, fmt->device);
	}
	*level_out = level;
	return gpu_pte_decode_end(fmt, level, compact, entry, pte_out);
}
