// SPDX-License-Identifier: MIT
/* Translation, rights, faults, the TLB and its invalidation. */
#include "rig.h"

#include <sys/mman.h>

static struct rig rig;

/* An address whose tables nothing else uses, and memory for it. */
#define VA ((uint64_t)0x700000000000)
#define PAGE_A (RIG_PHYS + 0x400000)
#define PAGE_B (RIG_PHYS + 0x600000)

static void put32(uint64_t phys, uint32_t value)
{
	*(uint32_t *)rig_at(&rig, phys) = value;
}

static uint32_t get32(uint64_t phys)
{
	return *(uint32_t *)rig_at(&rig, phys);
}

static void write32(uint64_t va, uint32_t value)
{
	struct gpu_fault fault;

	CHECK_OK(rig_write(&rig, va, &value, 4, &fault));
}

static void page_of_4k_is_read_and_written(void)
{
	rig_init(&rig);
	rig_map(&rig, VA, 0, false, PAGE_A | E_RW);
	put32(PAGE_A + 0x10, 0x1234);
	CHECK_EQ(rig_read32(&rig, VA + 0x10), 0x1234);
	write32(VA + 0xffc, 77);
	CHECK_EQ(get32(PAGE_A + 0xffc), 77);
	rig_fini(&rig);
}

static void access_goes_on_in_the_next_page_wherever_that_is(void)
{
	uint8_t out[600], in[600];
	struct gpu_fault fault;

	rig_init(&rig);
	rig_map(&rig, VA, 0, false, PAGE_B | E_RW);
	rig_map(&rig, VA + 4096, 0, false, PAGE_A | E_RW);
	for (unsigned i = 0; i < sizeof(in); i++) {
		in[i] = (uint8_t)(i * 7);
	}
	CHECK_OK(rig_write(&rig, VA + 4096 - 301, in, sizeof(in), &fault));
	CHECK(memcmp(rig_at(&rig, PAGE_B + 4096 - 301), in, 301) == 0);
	CHECK(memcmp(rig_at(&rig, PAGE_A), in + 301, 299) == 0);
	CHECK_OK(rig_read(&rig, VA + 4096 - 301, out, sizeof(out), &fault));
	CHECK(memcmp(in, out, sizeof(in)) == 0);
	rig_fini(&rig);
}

static void hinted_entry_speaks_for_its_64k_page(void)
{
	rig_init(&rig);
	rig.stretch_B = RIG_MEM_B;
	for (unsigned i = 0; i < 16; i++) {
		rig_map(&rig, VA + i * 4096, 0, false, (PAGE_A + i * 4096) | E_RW | E_PS64);
	}
	put32(PAGE_A + 0xf008, 5);
	CHECK_EQ(rig_read32(&rig, VA + 0xf008), 5);
	/* The translation now covers all of it: neighbours are not even looked at. */
	rig_map(&rig, VA + 0x3000, 0, false, 0);
	put32(PAGE_A + 0x3000, 6);
	CHECK_EQ(rig_read32(&rig, VA + 0x3000), 6);
	rig_fini(&rig);
}

static void compact_table_maps_64k_per_entry(void)
{
	rig_init(&rig);
	rig_map(&rig, VA, 0, true, PAGE_A | E_RW);
	rig_map(&rig, VA + 0x10000 * 31, 0, true, PAGE_B | E_RW);
	put32(PAGE_A + 0xfffc, 1);
	put32(PAGE_B + 0x8000, 2);
	CHECK_EQ(rig_read32(&rig, VA + 0xfffc), 1);
	CHECK_EQ(rig_read32(&rig, VA + 0x10000 * 31 + 0x8000), 2);
	rig_expect_fault(&rig, VA + 0x10000, GPU_READ, GPU_FAULT_NOT_PRESENT);
	rig_fini(&rig);
}

static void huge_pages_of_2m_and_1g_are_walked(void)
{
	rig_init(&rig);
	rig_map(&rig, VA, 1, false, PAGE_A | E_RW | E_HUGE);
	rig_map(&rig, VA + SZ_1G, 2, false, RIG_PHYS | E_RW | E_HUGE);
	put32(PAGE_A + 0x1ffffc, 11);
	put32(PAGE_B + 0x123458, 12);
	CHECK_EQ(rig_read32(&rig, VA + 0x1ffffc), 11);
	CHECK_EQ(rig_read32(&rig, VA + SZ_1G + (PAGE_B - RIG_PHYS) + 0x123458), 12);
	rig_fini(&rig);
}

/* The TLB holds a page of 1 GiB in blocks of 2 MiB: each is dropped by itself. */
static void test_A24_part_of_a_1g_page_is_invalidated(void)
{
	unsigned lookups;

	rig_init(&rig);
	rig.stretch_B = RIG_MEM_B;
	rig_map(&rig, VA, 2, false, RIG_PHYS | E_RW | E_HUGE);
	write32(VA + (PAGE_A - RIG_PHYS) + 8, 1);
	write32(VA + (PAGE_B - RIG_PHYS) + 8, 2);
	CHECK_EQ(get32(PAGE_A + 8), 1);
	CHECK_EQ(get32(PAGE_B + 8), 2);
	/* Made elsewhere, the directory takes the leaf's place with one store. */
	for (unsigned i = 0; i < 512; i++) {
		rig_map(&rig, VA + SZ_1G + i * SZ_2M, 1, false,
			(RIG_PHYS + i * SZ_2M) | E_RW | E_HUGE);
	}
	rig_map(&rig, VA + SZ_1G + (PAGE_A - RIG_PHYS), 1, false, PAGE_B | E_RW | E_HUGE);
	rig_map(&rig, VA + SZ_1G + (PAGE_B - RIG_PHYS), 1, false, PAGE_A | E_RW | E_HUGE);
	rig_map(&rig, VA, 2, false, rig_entry(&rig, VA + SZ_1G, 2));
	rig_invalidate(&rig, VA + (PAGE_A - RIG_PHYS) + 0x10000,
		       VA + (PAGE_A - RIG_PHYS) + 0x11000);
	lookups = atomic_load(&rig.lookups);
	CHECK_EQ(rig_read32(&rig, VA + (PAGE_B - RIG_PHYS) + 8), 2);
	CHECK_EQ(atomic_load(&rig.lookups), lookups);
	CHECK_EQ(rig_read32(&rig, VA + (PAGE_A - RIG_PHYS) + 8), 2);
	CHECK(atomic_load(&rig.lookups) > lookups);
	rig_invalidate(&rig, VA, VA + SZ_1G);
	CHECK_EQ(rig_read32(&rig, VA + (PAGE_B - RIG_PHYS) + 8), 1);
	rig_fini(&rig);
}

static void null_pages_of_every_size_read_zero_and_drop_writes(void)
{
	static const unsigned levels[] = { 0, 1, 2 };
	uint64_t value = 1;
	struct gpu_fault fault;

	rig_init(&rig);
	for (unsigned i = 0; i < ARRAY_LEN(levels); i++) {
		uint64_t va = VA + i * SZ_1G * 8;

		rig_map(&rig, va, levels[i], false,
			E_PRESENT | E_NULL | (levels[i] ? E_HUGE : 0));
		value = 1;
		CHECK_OK(rig_write(&rig, va, &value, 8, &fault));
		CHECK_OK(rig_read(&rig, va, &value, 8, &fault));
		CHECK_EQ(value, 0);
	}
	rig_map(&rig, VA + SZ_1G * 64, 0, true, E_PRESENT | E_NULL);
	CHECK_EQ(rig_read32(&rig, VA + SZ_1G * 64 + 0xfffc), 0);
	rig_fini(&rig);
}

static void miss_faults_at_the_level_where_the_walk_ended(void)
{
	struct gpu_fault fault;
	uint32_t value;

	rig_init(&rig);
	rig_map(&rig, VA, 0, false, PAGE_A | E_RW);
	CHECK_ERR(rig_read(&rig, VA + 4096, &value, 4, &fault), -EFAULT);
	CHECK_EQ(fault.level, 0);
	CHECK_ERR(rig_read(&rig, VA + SZ_2M, &value, 4, &fault), -EFAULT);
	CHECK_EQ(fault.level, 1);
	CHECK_ERR(rig_read(&rig, VA + SZ_1G, &value, 4, &fault), -EFAULT);
	CHECK_EQ(fault.level, 2);
	CHECK_ERR(rig_read(&rig, SZ_1G * 1024, &value, 4, &fault), -EFAULT);
	CHECK_EQ(fault.level, 3);
	CHECK_EQ(fault.type, GPU_FAULT_NOT_PRESENT);
	CHECK_EQ(fault.address, SZ_1G * 1024);
	rig_fini(&rig);
}

static void upper_half_is_reached_in_canonical_form_only(void)
{
	uint64_t high = (uint64_t)0x800000000000;

	rig_init(&rig);
	rig_map(&rig, high, 0, false, PAGE_A | E_RW);
	put32(PAGE_A, 9);
	CHECK_EQ(rig_read32(&rig, high | (uint64_t)0xffff << 48), 9);
	rig_expect_fault(&rig, high, GPU_READ, GPU_FAULT_NOT_PRESENT);
	rig_expect_fault(&rig, RIG_DATA | (uint64_t)1 << 48, GPU_WRITE, GPU_FAULT_NOT_PRESENT);
	rig.vm.scratch = true;
	rig_expect_fault(&rig, high, GPU_READ, GPU_FAULT_NOT_PRESENT);
	rig_fini(&rig);
}

static void read_only_page_is_read_and_not_written(void)
{
	rig_init(&rig);
	rig_map(&rig, VA, 0, false, PAGE_A | E_PRESENT | E_DEVICE);
	put32(PAGE_A, 3);
	CHECK_EQ(rig_read32(&rig, VA), 3);
	rig_expect_fault(&rig, VA, GPU_WRITE, GPU_FAULT_WRITE);
	CHECK_EQ(get32(PAGE_A), 3);
	rig_fini(&rig);
}

static void right_added_without_an_invalidation_is_found(void)
{
	rig_init(&rig);
	rig_map(&rig, VA, 0, false, PAGE_A | E_PRESENT | E_DEVICE);
	rig_read32(&rig, VA);
	rig_map(&rig, VA, 0, false, PAGE_A | E_RW);
	write32(VA, 8);
	CHECK_EQ(get32(PAGE_A), 8);
	rig_fini(&rig);
}

static void scratch_vm_reads_zero_and_drops_writes_where_nothing_is(void)
{
	uint8_t out[8192];
	struct gpu_fault fault;

	rig_init(&rig);
	rig.vm.scratch = true;
	rig_map(&rig, VA + 4096, 0, false, PAGE_A | E_RW);
	memset(rig_at(&rig, PAGE_A), 0x5a, 4096);
	memset(out, 1, sizeof(out));
	write32(VA, 1);
	CHECK_OK(rig_read(&rig, VA, out, sizeof(out), &fault));
	CHECK_EQ(out[0] | out[4095], 0);
	CHECK_EQ(out[4096], 0x5a);
	CHECK_EQ(rig_read32(&rig, SZ_1G * 2048), 0);
	/* What is there still has its rights. */
	rig_map(&rig, VA + 8192, 0, false, PAGE_B | E_PRESENT | E_DEVICE);
	rig_expect_fault(&rig, VA + 8192, GPU_WRITE, GPU_FAULT_WRITE);
	rig_fini(&rig);
}

static void scratch_is_replaced_by_a_mapping_at_once(void)
{
	rig_init(&rig);
	rig.vm.scratch = true;
	CHECK_EQ(rig_read32(&rig, VA), 0);
	rig_map(&rig, VA, 0, false, PAGE_A | E_RW);
	put32(PAGE_A, 4);
	CHECK_EQ(rig_read32(&rig, VA), 4);
	rig_fini(&rig);
}

static void missing_table_frame_is_a_miss(void)
{
	rig_init(&rig);
	*((uint64_t *)rig_at(&rig, rig.vm.root_phys) + (VA >> 39)) =
		(RIG_PHYS + RIG_MEM_B) | E_RW;
	rig_expect_fault(&rig, VA, GPU_READ, GPU_FAULT_NOT_PRESENT);
	rig_fini(&rig);
}

static void entry_that_outlived_its_frame_is_stale(void)
{
	rig_init(&rig);
	rig_map(&rig, VA, 0, false, (RIG_PHYS + RIG_MEM_B) | E_RW);
	rig_expect_fault(&rig, VA, GPU_READ, GPU_FAULT_STALE);
	rig_fini(&rig);
}

static void frame_that_changed_hands_is_stale_on_a_hit_and_fresh_after_a_walk(void)
{
	rig_init(&rig);
	rig_map(&rig, VA, 0, false, PAGE_A | E_RW);
	put32(PAGE_A, 21);
	CHECK_EQ(rig_read32(&rig, VA), 21);
	atomic_fetch_add(&rig.gen[(PAGE_A - RIG_PHYS) / 4096], 1);
	rig_expect_fault(&rig, VA, GPU_READ, GPU_FAULT_STALE);
	rig_expect_fault(&rig, VA, GPU_WRITE, GPU_FAULT_STALE);
	rig_invalidate(&rig, VA, VA + 4096);
	CHECK_EQ(rig_read32(&rig, VA), 21);
	rig_fini(&rig);
}

static void stale_translation_is_used_until_it_is_invalidated(void)
{
	rig_init(&rig);
	rig_map(&rig, VA, 0, false, PAGE_A | E_RW);
	put32(PAGE_A, 1);
	put32(PAGE_B, 2);
	CHECK_EQ(rig_read32(&rig, VA), 1);
	rig_map(&rig, VA, 0, false, PAGE_B | E_RW);
	CHECK_EQ(rig_read32(&rig, VA), 1);
	rig_invalidate(&rig, VA, VA + 4096);
	CHECK_EQ(rig_read32(&rig, VA), 2);
	rig_map(&rig, VA, 0, false, 0);
	CHECK_EQ(rig_read32(&rig, VA), 2);
	rig_invalidate(&rig, VA, VA + 4096);
	rig_expect_fault(&rig, VA, GPU_READ, GPU_FAULT_NOT_PRESENT);
	rig_fini(&rig);
}

static void invalidation_of_a_neighbour_leaves_a_translation_alone(void)
{
	rig_init(&rig);
	rig_map(&rig, VA, 0, false, PAGE_A | E_RW);
	rig_read32(&rig, VA);
	rig_map(&rig, VA, 0, false, 0);
	rig_invalidate(&rig, VA - 4096, VA);
	rig_invalidate(&rig, VA + 4096, VA + SZ_1G);
	rig_invalidate(&rig, VA + 2048, VA + 2048);
	rig_read32(&rig, VA);
	rig_invalidate(&rig, VA + 4095, VA + 4096);
	rig_expect_fault(&rig, VA, GPU_READ, GPU_FAULT_NOT_PRESENT);
	rig_fini(&rig);
}

static void invalidation_of_one_byte_drops_the_huge_translation_around_it(void)
{
	rig_init(&rig);
	rig.stretch_B = RIG_MEM_B;
	rig_map(&rig, VA, 1, false, PAGE_A | E_RW | E_HUGE);
	rig_read32(&rig, VA);
	rig_map(&rig, VA, 1, false, 0);
	rig_read32(&rig, VA + 0x1f0000);
	rig_invalidate(&rig, VA + 0x100000, VA + 0x100001);
	rig_expect_fault(&rig, VA, GPU_READ, GPU_FAULT_NOT_PRESENT);
	rig_fini(&rig);
}

static void invalidation_reaches_every_page_of_a_range(void)
{
	rig_init(&rig);
	for (unsigned i = 0; i < 64; i++) {
		rig_map(&rig, VA + i * 4096, 0, false, (PAGE_A + i * 4096) | E_RW);
		rig_read32(&rig, VA + i * 4096);
		rig_map(&rig, VA + i * 4096, 0, false, 0);
	}
	rig_invalidate(&rig, 0, (uint64_t)1 << 48);
	for (unsigned i = 0; i < 64; i++) {
		rig_expect_fault(&rig, VA + i * 4096, GPU_READ, GPU_FAULT_NOT_PRESENT);
	}
	rig_fini(&rig);
}

static void vms_do_not_share_translations(void)
{
	struct gpu_engine *engines[] = { &rig.engine };
	struct gpu_fault fault;
	struct gpu_vm other;
	uint32_t value;

	rig_init(&rig);
	rig_map(&rig, VA, 0, false, PAGE_A | E_RW);
	rig_read32(&rig, VA);
	/* Same tables; the numbers differ above what a tag holds of them. */
	other = rig.vm;
	other.asid = rig.vm.asid + 0x10000;
	rig_map(&rig, VA, 0, false, 0);
	CHECK_ERR(gpu_soft_ops.load(&rig.engine, &other, VA, &value, 4, &fault), -EFAULT);
	rig_read32(&rig, VA);
	other.asid = rig.vm.asid + 1;
	gpu_soft_ops.invalidate(engines, 1, &other, 0, (uint64_t)1 << 48);
	rig_read32(&rig, VA);
	rig_fini(&rig);
}

static unsigned lookups_for_2m(uint64_t stretch_B)
{
	unsigned before;

	rig_init(&rig);
	rig.stretch_B = stretch_B;
	rig_map(&rig, VA, 1, false, PAGE_A | E_RW | E_HUGE);
	before = rig.lookups;
	for (uint64_t off = 0; off < SZ_2M; off += 4096) {
		rig_read32(&rig, VA + off);
	}
	rig_fini(&rig);
	return rig.lookups - before;
}

static void translation_is_as_large_as_leaf_and_memory_allow(void)
{
	/* Three tables and one page for each walk. */
	CHECK_EQ(lookups_for_2m(RIG_MEM_B), 4);
	CHECK_EQ(lookups_for_2m(SZ_64K * 2), 4 * 32);
	CHECK_EQ(lookups_for_2m(SZ_4K), 4 * 512);
}

static void long_access_is_many_epochs(void)
{
	static uint8_t buf[SZ_2M];
	struct gpu_fault fault;
	unsigned before;

	rig_init(&rig);
	rig.stretch_B = RIG_MEM_B;
	rig_map(&rig, VA, 1, false, PAGE_A | E_RW | E_HUGE);
	before = atomic_load(&rig.engine.epoch);
	CHECK_OK(rig_read(&rig, VA, buf, sizeof(buf), &fault));
	CHECK_EQ(atomic_load(&rig.engine.epoch) - before, 2 * SZ_2M / GPU_EPOCH_MAX_B);
	rig_fini(&rig);
}

static void fault_leaves_no_epoch_open(void)
{
	rig_init(&rig);
	rig_expect_fault(&rig, VA, GPU_READ, GPU_FAULT_NOT_PRESENT);
	CHECK_EQ(atomic_load(&rig.engine.epoch) & 1, 0);
	rig_invalidate(&rig, 0, (uint64_t)1 << 48);
	rig_fini(&rig);
}

static void client_memory_is_reached_and_its_loss_is_a_fault(void)
{
	uint32_t value = 0;
	struct gpu_fault fault;

	rig_init(&rig);
	rig.client_B = 8192;
	rig.client = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(rig.client != MAP_FAILED);
	rig_map(&rig, VA, 0, false, 0x0000 | E_PRESENT | E_WRITE);
	rig_map(&rig, VA + 4096, 0, false, 0x1000 | E_PRESENT | E_WRITE);
	write32(VA + 4, 55);
	CHECK_EQ(((uint32_t *)(void *)rig.client)[1], 55);
	CHECK_EQ(rig_read32(&rig, VA + 4), 55);
	CHECK_EQ(munmap(rig.client + 4096, 4096), 0);
	CHECK_ERR(rig_read(&rig, VA + 4096, &value, 4, &fault), -EFAULT);
	CHECK_EQ(fault.type, GPU_FAULT_MEMORY);
	CHECK_ERR(rig_write(&rig, VA + 4096, &value, 4, &fault), -EFAULT);
	CHECK_EQ(fault.type, GPU_FAULT_MEMORY);
	CHECK_EQ(atomic_load(&rig.engine.epoch) & 1, 0);
	munmap(rig.client, 4096);
	rig_fini(&rig);
}

static void walk_tells_where_it_ended(void)
{
	struct gpu_pte pte;
	unsigned level;

	rig_init(&rig);
	rig_map(&rig, VA, 0, true, PAGE_A | E_RW);
	CHECK_OK(gpu_walk(rig.engine.mem_ops, &rig, &rig.vm, VA + 0x1234, &pte, &level));
	CHECK_EQ(level, 0);
	CHECK_EQ(pte.kind, GPU_PTE_LEAF);
	CHECK_EQ(pte.shift, 16);
	CHECK_EQ(pte.phys, PAGE_A);
	CHECK_ERR(gpu_walk(rig.engine.mem_ops, &rig, &rig.vm, VA + SZ_1G, &pte, &level), -EFAULT);
	CHECK_EQ(level, 2);
	CHECK_EQ(pte.kind, GPU_PTE_NONE);
	CHECK_ERR(gpu_walk(rig.engine.mem_ops, &rig, &rig.vm, VA << 1, &pte, &level), -EFAULT);
	CHECK_EQ(level, 3);
	CHECK_EQ(pte.kind, GPU_PTE_NONE);
	/* A table that is not there. */
	*((uint64_t *)rig_at(&rig, rig.vm.root_phys) + (VA >> 39)) =
		(RIG_PHYS + RIG_MEM_B) | E_RW;
	CHECK_ERR(gpu_walk(rig.engine.mem_ops, &rig, &rig.vm, VA, &pte, &level), -EFAULT);
	CHECK_EQ(level, 2);
	CHECK_EQ(pte.kind, GPU_PTE_TABLE);
	CHECK_EQ(pte.phys, RIG_PHYS + RIG_MEM_B);
	CHECK(pte.attrs.device && !pte.compact);
	*((uint64_t *)rig_at(&rig, rig.vm.root_phys) + (VA >> 39)) = PAGE_A | E_PRESENT | E_WRITE;
	CHECK_ERR(gpu_walk(rig.engine.mem_ops, &rig, &rig.vm, VA, &pte, &level), -EFAULT);
	CHECK_EQ(level, 2);
	CHECK_EQ(pte.phys, PAGE_A);
	CHECK(!pte.attrs.device);
	rig_fini(&rig);
}

static const struct test_case cases[] = {
	TEST(page_of_4k_is_read_and_written),
	TEST(access_goes_on_in_the_next_page_wherever_that_is),
	TEST(hinted_entry_speaks_for_its_64k_page),
	TEST(compact_table_maps_64k_per_entry),
	TEST(huge_pages_of_2m_and_1g_are_walked),
	TEST(test_A24_part_of_a_1g_page_is_invalidated),
	TEST(null_pages_of_every_size_read_zero_and_drop_writes),
	TEST(miss_faults_at_the_level_where_the_walk_ended),
	TEST(upper_half_is_reached_in_canonical_form_only),
	TEST(read_only_page_is_read_and_not_written),
	TEST(right_added_without_an_invalidation_is_found),
	TEST(scratch_vm_reads_zero_and_drops_writes_where_nothing_is),
	TEST(scratch_is_replaced_by_a_mapping_at_once),
	TEST(missing_table_frame_is_a_miss),
	TEST(entry_that_outlived_its_frame_is_stale),
	TEST(frame_that_changed_hands_is_stale_on_a_hit_and_fresh_after_a_walk),
	TEST(stale_translation_is_used_until_it_is_invalidated),
	TEST(invalidation_of_a_neighbour_leaves_a_translation_alone),
	TEST(invalidation_of_one_byte_drops_the_huge_translation_around_it),
	TEST(invalidation_reaches_every_page_of_a_range),
	TEST(vms_do_not_share_translations),
	TEST(translation_is_as_large_as_leaf_and_memory_allow),
	TEST(long_access_is_many_epochs),
	TEST(fault_leaves_no_epoch_open),
	TEST(client_memory_is_reached_and_its_loss_is_a_fault),
	TEST(walk_tells_where_it_ended),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
