/* SPDX-License-Identifier: MIT */
/*
 * Page-table formats of real hardware, as tables of bit positions. The software MMU (gpu/mmu.c)
 * and the table writer (pt/) use the same description: the one walks exactly what the other wrote.
 *
 * Levels count upwards from the leaf tables: level 0 entries map 4 KiB, level 3 is the root.
 */
#ifndef GPU_FORMAT_H
#define GPU_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bits.h"

#define GPU_PT_MAX_LEVELS 5

/* What a leaf entry says beside its address. */
struct gpu_pte_attrs {
	bool writable;
	bool null;   /* reads zero, drops writes; no address */
	bool device; /* the address is in device memory (VRAM) */
	bool atomic; /* GPU atomics allowed on system memory (fault-capable devices) */
	bool dumpable; /* the GPU ignores it: what it maps belongs into error dumps */
	uint8_t pat; /* index into the device's PAT */
};

/* What kind of thing an entry of a table is. */
enum gpu_pte_kind {
	GPU_PTE_NONE,  /* not present */
	GPU_PTE_TABLE, /* points to a table one level down */
	GPU_PTE_LEAF,
};

struct gpu_pte {
	enum gpu_pte_kind kind;
	uint64_t phys;              /* of the page or the table; 0 for a NULL leaf */
	unsigned shift;             /* leaf: log2 of the bytes this entry maps */
	bool compact;               /* table: 32 entries of 64 KiB instead of 512 of 4 KiB */
	bool ps64;                  /* level-0 leaf: one of 16 that form one aligned 64 KiB page */
	struct gpu_pte_attrs attrs; /* leaf; for a table only .device counts */
};

struct gpu_pt_level {
	uint8_t shift;    /* log2 of the bytes one entry maps */
	uint8_t bits;     /* log2 of the entries in a table */
	bool leaf;        /* may hold leaf entries */
	int8_t leaf_bit;  /* makes an entry a leaf where tables are possible; -1: always leaf */
};

struct gpu_pt_format {
	const char *name;
	unsigned levels;
	unsigned va_bits;
	struct gpu_pt_level level[GPU_PT_MAX_LEVELS];
	uint8_t compact_shift;  /* log2 of the bytes an entry of a compact level-0 table maps */
	uint8_t compact_bits;   /* log2 of its entries */
	/* bit positions; -1 where the format has none */
	int8_t present, write, null, device, atomic, ps64, dumpable;
	int8_t table_compact;   /* in a level-1 table entry */
	int8_t pat[5];          /* PAT index bits 0..4 of a 4 KiB leaf */
	int8_t pat_huge[5];     /* and of larger leaves */
	uint64_t address_mask;
};

/* Intel PPGTT, 48 bits, 4 levels. */
extern const struct gpu_pt_format gpu_format_intel48;

/* Encodes a leaf for @level (0: 4 KiB, 1: 2 MiB, 2: 1 GiB); @compact: entry of a compact table. */
uint64_t gpu_pte_leaf(const struct gpu_pt_format *fmt, unsigned level, bool compact, uint64_t phys,
		      bool ps64, const struct gpu_pte_attrs *attrs);
/* Encodes an entry of a table at @level (>= 1) that points to a table one level down. */
uint64_t gpu_pte_table(const struct gpu_pt_format *fmt, unsigned level, uint64_t phys, bool device,
		       bool compact);
/*
 * What stands in a directory, of any level, for a table that is in no frame now: all that
 * gpu_pte_table() says of every table, but not present. To hardware nothing is there, which ignores
 * the other bits then; to software the entry is not empty. Decoded it is a GPU_PTE_NONE.
 */
uint64_t gpu_pte_evicted(const struct gpu_pt_format *fmt);

/* Takes an entry of a table at @level (a compact one: @compact) apart. */
struct gpu_pte gpu_pte_decode(const struct gpu_pt_format *fmt, unsigned level, bool compact,
			      uint64_t entry);

/*
 * The same in parts, for a walk: it needs little of the tables it passes, and the entry where it
 * ends is no table. Level 0 has none.
 */
static inline bool gpu_pte_bit(uint64_t entry, int position)
{
	return position >= 0 && (entry & BIT64(position)) != 0;
}

static inline bool gpu_pte_is_table(const struct gpu_pt_format *fmt, unsigned level, uint64_t entry)
{
	const struct gpu_pt_level *l = &fmt->level[level];

	return gpu_pte_bit(entry, fmt->present) &&
	       !(l->leaf && (l->leaf_bit < 0 || gpu_pte_bit(entry, l->leaf_bit)));
}

static inline uint64_t gpu_pte_table_phys(const struct gpu_pt_format *fmt, uint64_t entry)
{
	return align_down(entry & fmt->address_mask, SZ_4K);
}

static inline bool gpu_pte_table_compact(const struct gpu_pt_format *fmt, unsigned level,
					 uint64_t entry)
{
	return level == 1 && gpu_pte_bit(entry, fmt->table_compact);
}

/* 0 for a leaf, -EFAULT for nothing. Written in place: a copy costs as much as two levels. */
int gpu_pte_decode_end(const struct gpu_pt_format *fmt, unsigned level, bool compact,
		       uint64_t entry, struct gpu_pte *pte_out);

#endif
