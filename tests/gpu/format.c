// SPDX-License-Identifier: MIT
/* Page-table entries: golden values worked out from the layout, every combination both ways. */
#include "base/bits.h"
#include "gpu/format.h"
#include "test.h"

static const struct gpu_pt_format *const fmt = &gpu_format_intel48;

static void golden_4k_leaf(void)
{
	struct gpu_pte_attrs rw = { .writable = true };
	struct gpu_pte_attrs ro_vram = { .device = true };
	struct gpu_pte_attrs all = { .writable = true, .device = true, .atomic = true, .pat = 31 };
	struct gpu_pte_attrs dump = { .dumpable = true };

	CHECK_EQ(gpu_pte_leaf(fmt, 0, false, 0x123456789000, false, &rw), 0x123456789003);
	CHECK_EQ(gpu_pte_leaf(fmt, 0, false, 0x1000, false, &ro_vram), 0x1801);
	/* bits 0 1 3 4 7 10 11, and 62 61 */
	CHECK_EQ(gpu_pte_leaf(fmt, 0, false, 0x1000, false, &all), 0x6000000000001c9b);
	/* bit 52 */
	CHECK_EQ(gpu_pte_leaf(fmt, 0, false, 0x1000, false, &dump), 0x10000000001001);
}

static void golden_64k_hint_and_compact_leaf(void)
{
	struct gpu_pte_attrs rw = { .writable = true, .device = true };
	struct gpu_pte_attrs pat4 = { .writable = true, .pat = 4 };

	CHECK_EQ(gpu_pte_leaf(fmt, 0, false, 0x35000, true, &rw), 0x35903);
	CHECK_EQ(gpu_pte_leaf(fmt, 0, true, 0x70000, false, &rw), 0x70803);
	CHECK_EQ(gpu_pte_leaf(fmt, 0, true, 0x70000, false, &pat4), 0x70083);
}

static void golden_huge_leaves(void)
{
	struct gpu_pte_attrs rw = { .writable = true };
	struct gpu_pte_attrs pat4 = { .device = true, .pat = 4 };

	CHECK_EQ(gpu_pte_leaf(fmt, 1, false, 0x40200000, false, &rw), 0x40200083);
	CHECK_EQ(gpu_pte_leaf(fmt, 2, false, 0x80000000, false, &rw), 0x80000083);
	/* PAT bit 2 moves from 7 to 12 */
	CHECK_EQ(gpu_pte_leaf(fmt, 1, false, 0x40200000, false, &pat4), 0x40201881);
}

static void golden_null_leaf_has_no_address(void)
{
	struct gpu_pte_attrs null = { .writable = true, .null = true };

	CHECK_EQ(gpu_pte_leaf(fmt, 0, false, 0x5000, false, &null), 0x203);
	CHECK_EQ(gpu_pte_leaf(fmt, 1, false, 0, false, &null), 0x283);
	CHECK_EQ(gpu_pte_leaf(fmt, 2, false, 0, false, &null), 0x283);
}

static void golden_directory_entries(void)
{
	CHECK_EQ(gpu_pte_table(fmt, 3, 0x7000, false, false), 0x7003);
	CHECK_EQ(gpu_pte_table(fmt, 2, 0x7000, true, false), 0x7803);
	CHECK_EQ(gpu_pte_table(fmt, 1, 0x7000, false, true), 0x7043);
	CHECK_EQ(gpu_pte_table(fmt, 1, 0xfffffffff7000, true, false), 0xfffffffff7803);
}

static void check_leaf(unsigned level, bool compact, bool ps64, const struct gpu_pte_attrs *attrs)
{
	unsigned shift = compact ? 16 : fmt->level[level].shift;
	uint64_t phys = 0xa5a5a5a5a5a5a000 & fmt->address_mask & ~(BIT64(shift) - 1);
	uint64_t entry = gpu_pte_leaf(fmt, level, compact, phys, ps64, attrs);
	struct gpu_pte pte = gpu_pte_decode(fmt, level, compact, entry);

	CHECK_EQ(pte.kind, GPU_PTE_LEAF);
	CHECK_EQ(pte.phys, attrs->null ? 0 : phys);
	CHECK_EQ(pte.shift, shift);
	CHECK_EQ(pte.ps64, ps64);
	CHECK_EQ(pte.attrs.writable, attrs->writable);
	CHECK_EQ(pte.attrs.null, attrs->null);
	CHECK_EQ(pte.attrs.device, attrs->device);
	CHECK_EQ(pte.attrs.atomic, attrs->atomic);
	CHECK_EQ(pte.attrs.dumpable, attrs->dumpable);
	CHECK_EQ(pte.attrs.pat, attrs->pat);
}

static void every_leaf_survives_the_way_there_and_back(void)
{
	for (unsigned i = 0; i < 32 * 32; i++) {
		struct gpu_pte_attrs attrs = {
			.writable = i & 1,
			.null = i & 2,
			.device = i & 4,
			.atomic = i & 8,
			.dumpable = i & 16,
			.pat = (uint8_t)(i >> 5),
		};

		check_leaf(0, false, false, &attrs);
		check_leaf(0, false, true, &attrs);
		check_leaf(0, true, false, &attrs);
		check_leaf(1, false, false, &attrs);
		check_leaf(2, false, false, &attrs);
	}
}

static void every_directory_entry_survives_the_way_there_and_back(void)
{
	for (unsigned level = 1; level < 4; level++) {
		for (unsigned i = 0; i < 4; i++) {
			bool compact = level == 1 && (i & 2);
			uint64_t entry = gpu_pte_table(fmt, level, 0xabcdef012000, i & 1, compact);
			struct gpu_pte pte = gpu_pte_decode(fmt, level, false, entry);

			CHECK_EQ(pte.kind, GPU_PTE_TABLE);
			CHECK_EQ(pte.phys, 0xabcdef012000);
			CHECK_EQ(pte.attrs.device, i & 1);
			CHECK_EQ(pte.compact, compact);
			/* Bit 6 is for entries that point to leaf tables. */
			CHECK_EQ(gpu_pte_decode(fmt, level, false, entry | BIT64(6)).compact,
				 level == 1);
		}
	}
}

static void entry_without_the_present_bit_is_nothing(void)
{
	for (unsigned level = 0; level < 4; level++) {
		CHECK_EQ(gpu_pte_decode(fmt, level, false, ~(uint64_t)1).kind,
				 GPU_PTE_NONE);
	}
	CHECK_EQ(gpu_pte_decode(fmt, 0, true, 0).kind, GPU_PTE_NONE);
}

static void root_holds_no_leaves(void)
{
	CHECK_EQ(gpu_pte_decode(fmt, 3, false, 0x8000000083).kind, GPU_PTE_TABLE);
}

static const struct test_case cases[] = {
	TEST(golden_4k_leaf),
	TEST(golden_64k_hint_and_compact_leaf),
	TEST(golden_huge_leaves),
	TEST(golden_null_leaf_has_no_address),
	TEST(golden_directory_entries),
	TEST(every_leaf_survives_the_way_there_and_back),
	TEST(every_directory_entry_survives_the_way_there_and_back),
	TEST(entry_without_the_present_bit_is_nothing),
	TEST(root_holds_no_leaves),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
