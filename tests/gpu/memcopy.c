// SPDX-License-Identifier: MIT
/*
 * MEM_COPY and MEM_SET, and what holds for every command that moves much: it runs under a budget,
 * faults name the byte, and nothing is held back from an invalidation.
 */
#include "area.h"

#include <string.h>
#include <sys/mman.h>

static struct rig rig;

#define ODD 777777
#define SRC (AREA + 13)
#define DST (AREA + (1 << 20) + 4099)
#define MANY (1u << 30)

/* What a linear copy and a linear fill do to the reference. */
static void ref_move(uint64_t dst, uint64_t src, uint64_t size_B)
{
	for (uint64_t i = 0; i < size_B; i++) {
		*area_ref(dst + i) = *area_ref(src + i);
	}
}

static void ref_set(uint64_t dst, uint64_t size_B, uint8_t value)
{
	memset(area_ref(dst), value, size_B);
}

static void begin(enum layout layout)
{
	area_init(&rig, layout);
	area_random(&rig);
}

static void end(void)
{
	rig_finish(&rig);
	area_check(&rig);
	area_fini(&rig);
}

static void linear_copies_of_any_size_and_place_move_just_their_bytes(void)
{
	static const uint64_t sizes[] = { 1, 2, 3, 4, 7, 8, 9, 15, 255, 4096, 65536, 65537, ODD };

	for (unsigned layout = 0; layout < LAYOUTS; layout++) {
		begin(layout);
		for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
			ref_move(DST + i, SRC + 3 * i, sizes[i]);
			emit_mem_copy(&rig, DST + i, SRC + 3 * i, sizes[i]);
		}
		end();
	}
}

static void linear_fills_of_any_size_and_place_set_just_their_bytes(void)
{
	static const uint64_t sizes[] = { ODD, 65537, 65536, 4096, 255, 256, 15, 9, 8, 7, 4, 2, 1 };

	for (unsigned layout = 0; layout < LAYOUTS; layout++) {
		begin(layout);
		for (unsigned i = 0; i < ARRAY_LEN(sizes); i++) {
			ref_set(DST + i, sizes[i], (uint8_t)(i + 1));
			emit_mem_set(&rig, DST + i, sizes[i], (uint8_t)(i + 1));
		}
		end();
	}
}

static void matrices_have_rows_and_pitches(void)
{
	struct shape src = { NULL, SRC, 301 }, dst = { NULL, DST, 512 };
	struct rect r = { .width = 200, .height = 127 };
	uint32_t *dw;

	begin(SCATTERED);
	emit_mem_copy(&rig, DST, SRC, 200);
	emit_mem_set(&rig, SRC, 200, 0x5a);
	dw = rig_at(&rig, RIG_PHYS + RIG_BATCH);
	dw[0] |= 1u << 17;
	dw[2] = 126;
	dw[3] = 300;
	dw[4] = 511;
	dw[10] |= 1u << 17;
	dw[12] = 126;
	dw[13] = 300;
	ref_copy(&dst, &r, &src, 0, 0, 1);
	ref_fill(&src, &r, 1, "\x5a");
	end();
}

static void pages_are_units_of_256_bytes(void)
{
	uint32_t *dw;

	begin(MIXED);
	emit_mem_copy(&rig, DST, SRC, 17);
	dw = rig_at(&rig, RIG_PHYS + RIG_BATCH);
	dw[0] |= 1u << 19;
	ref_move(DST, SRC, 17 * 256);
	end();
}

static void width_of_older_devices_has_18_bits(void)
{
	begin(FLAT);
	rig.ctx.graphics_ver = 12;
	emit_mem_copy(&rig, DST, SRC, (1 << 19) + 5);
	ref_move(DST, SRC, 5);
	end();
}

/* ---- budgets --------------------------------------------------------------------------------- */

static void everything(void)
{
	const uint32_t value[4] = { 0x04030201, 0x08070605, 0x0c0b0a09, 0x100f0e0d };
	struct shape src = { NULL, SRC, 2500 }, dst = { NULL, DST, 2200 };
	struct shape tile = { "YYXYXXYYXXXX", AREA + (1 << 20), 1024 };
	struct rect r = { .x = 3, .y = 1, .width = 180, .height = 99 };

	emit_mem_copy(&rig, DST, SRC, ODD);
	ref_move(DST, SRC, ODD);
	emit_block_copy(&rig, 4, 0, &dst, &r, 0, &src, 2, 2);
	ref_copy(&dst, &r, &src, 2, 2, 12);
	emit_fast_copy(&rig, 3, 2, &tile, &r, 0, &src, 2, 2);
	ref_copy(&tile, &r, &src, 2, 2, 4);
	emit_fast_color(&rig, 4, 0, &src, &r, value);
	ref_fill(&src, &r, 12, value);
	emit_mem_set(&rig, DST + 5, 99999, 0x77);
	ref_set(DST + 5, 99999, 0x77);
	emit_end(&rig);
}

static void result_does_not_depend_on_the_budget(void)
{
	static const struct {
		uint32_t commands;
		uint64_t bytes;
	} budgets[] = { { 1, 4096 }, { 1, 777 }, { MANY, 100001 }, { 1, MANY }, { 3, 65536 } };
	unsigned calls;

	for (unsigned i = 0; i < ARRAY_LEN(budgets); i++) {
		for (unsigned layout = 0; layout < LAYOUTS; layout++) {
			begin(layout);
			everything();
			CHECK_EQ(run_budget(&rig, budgets[i].commands, budgets[i].bytes, &calls),
				 GPU_RUN_DONE);
			area_check(&rig);
			area_fini(&rig);
		}
	}
}

static void single_bytes_are_steps_too(void)
{
	unsigned calls;

	begin(SCATTERED);
	emit_mem_copy(&rig, DST, SRC, 10000);
	ref_move(DST, SRC, 10000);
	emit_end(&rig);
	CHECK_EQ(run_budget(&rig, 1, 1, &calls), GPU_RUN_DONE);
	CHECK_EQ(calls, 10001);
	area_check(&rig);
	area_fini(&rig);
}

static void budget_counts_each_byte_once(void)
{
	struct gpu_budget budget = { .commands = 10, .bytes = 100000 };

	begin(FLAT);
	emit_mem_copy(&rig, DST, SRC, 60000);
	emit_mem_set(&rig, DST, 30000, 1);
	emit_end(&rig);
	gpu_soft_ops.start(&rig.ctx, RIG_BATCH);
	CHECK_EQ(gpu_soft_ops.run(&rig.engine, &rig.ctx, &budget), GPU_RUN_DONE);
	CHECK_EQ(budget.bytes, 10000);
	CHECK_EQ(budget.commands, 7);
	budget = (struct gpu_budget){ .commands = 10, .bytes = 60001 };
	gpu_soft_ops.start(&rig.ctx, RIG_BATCH);
	CHECK_EQ(gpu_soft_ops.run(&rig.engine, &rig.ctx, &budget), GPU_RUN_MORE);
	CHECK_EQ(budget.bytes, 0);
	CHECK_EQ(rig.ctx.progress_B, 1);
	area_fini(&rig);
}

/* A command that has begun goes on as it was, though its dwords are other ones by now. */
static void half_done_command_is_not_fetched_again(void)
{
	struct gpu_budget budget = { .commands = 1, .bytes = 5000 };
	unsigned calls;

	begin(SCATTERED);
	emit_mem_copy(&rig, DST, SRC, ODD);
	ref_move(DST, SRC, ODD);
	emit_end(&rig);
	gpu_soft_ops.start(&rig.ctx, RIG_BATCH);
	CHECK_EQ(gpu_soft_ops.run(&rig.engine, &rig.ctx, &budget), GPU_RUN_MORE);
	memset(rig_at(&rig, RIG_PHYS + RIG_BATCH), 0xff, 40);
	CHECK_EQ(go_on(&rig, 1, 5000, &calls), GPU_RUN_DONE);
	area_check(&rig);
	area_fini(&rig);
}

static void new_batch_owes_nothing_to_the_one_left_half_done(void)
{
	struct gpu_budget budget = { .commands = 1, .bytes = 5000 };

	begin(SCATTERED);
	emit_mem_copy(&rig, DST, SRC, ODD);
	ref_move(DST, SRC, 5000);
	gpu_soft_ops.start(&rig.ctx, RIG_BATCH);
	CHECK_EQ(gpu_soft_ops.run(&rig.engine, &rig.ctx, &budget), GPU_RUN_MORE);
	rig.emitted = 0;
	emit_mem_set(&rig, DST, 6000, 9);
	ref_set(DST, 6000, 9);
	end();
}

static void epoch_moves_no_more_than_its_limit(void)
{
	unsigned before, calls;

	begin(FLAT);
	emit_mem_copy(&rig, AREA + (1 << 20), AREA, 1 << 20);
	emit_mem_set(&rig, AREA, 1 << 20, 3);
	emit_end(&rig);
	before = atomic_load(&rig.engine.epoch);
	CHECK_EQ(run_budget(&rig, MANY, MANY, &calls), GPU_RUN_DONE);
	CHECK(atomic_load(&rig.engine.epoch) - before >= 2 * 2 * (1 << 20) / GPU_EPOCH_MAX_B);
	/* And not many less: an epoch costs time. */
	CHECK(atomic_load(&rig.engine.epoch) - before <= 2 * 2 * (1 << 20) / GPU_EPOCH_MAX_B + 20);
	area_fini(&rig);
}

/* ---- memory that is not there ---------------------------------------------------------------- */

#define FAR ((uint64_t)0x500000000)
#define FAR_PHYS (RIG_PHYS + (9 << 20))

static void map_far(uint64_t page, uint64_t bits)
{
	rig_map(&rig, FAR + page * 4096, 0, false, (FAR_PHYS + page * 4096) | bits);
}

static void null_pages_read_zero_and_drop_writes(void)
{
	begin(MIXED);
	map_far(0, E_RW);
	rig_map(&rig, FAR + 4096, 0, false, E_PRESENT | E_NULL);
	map_far(2, E_RW);
	memset(rig_at(&rig, FAR_PHYS), 0x11, 3 * 4096);
	emit_mem_copy(&rig, DST, FAR + 100, 3 * 4096 - 200);
	ref_set(DST, 3996, 0x11);
	ref_set(DST + 3996, 4096, 0);
	ref_set(DST + 3996 + 4096, 3996, 0x11);
	emit_mem_copy(&rig, FAR, SRC, 3 * 4096);
	emit_mem_set(&rig, FAR + 4000, 4096, 0x22);
	rig_finish(&rig);
	area_check(&rig);
	CHECK_EQ(memcmp(rig_at(&rig, FAR_PHYS), area_ref(SRC), 4000), 0);
	CHECK_EQ(*(uint8_t *)rig_at(&rig, FAR_PHYS + 4095), 0x22);
	CHECK_EQ(*(uint8_t *)rig_at(&rig, FAR_PHYS + 4096), 0x11);
	CHECK_EQ(*(uint8_t *)rig_at(&rig, FAR_PHYS + 8191), 0x11);
	CHECK_EQ(memcmp(rig_at(&rig, FAR_PHYS + 8192), area_ref(SRC + 8192), 4096), 0);
	area_fini(&rig);
}

static void misses_of_a_scratch_vm_read_zero_and_drop_writes(void)
{
	begin(CLIENT);
	rig.vm.scratch = true;
	emit_mem_copy(&rig, DST, FAR, 100000);
	emit_mem_copy(&rig, FAR, SRC, 100000);
	emit_mem_set(&rig, FAR, 100000, 1);
	ref_set(DST, 100000, 0);
	end();
}

/* Runs into a fault at @va that is @type, in steps of @bytes. */
static void run_into(uint64_t va, enum gpu_access access, enum gpu_fault_type type, uint64_t bytes)
{
	unsigned calls;

	emit_end(&rig);
	CHECK_EQ(run_budget(&rig, 1, bytes, &calls), GPU_RUN_FAULT);
	CHECK_EQ(rig.ctx.fault.address, va);
	CHECK_EQ(rig.ctx.fault.access, access);
	CHECK_EQ(rig.ctx.fault.type, type);
	CHECK_EQ(rig.ctx.ip, RIG_BATCH);
	CHECK_EQ(atomic_load(&rig.engine.epoch) & 1, 0);
}

/* The fault is served and the command goes on: as if nothing had been. */
static void serve(void)
{
	unsigned calls;

	gpu_soft_ops.retry(&rig.ctx);
	CHECK_EQ(go_on(&rig, 1, 5000, &calls), GPU_RUN_DONE);
}

static void read_only_page_stops_a_copy_at_its_first_byte(void)
{
	begin(MIXED);
	for (uint64_t page = 0; page < 8; page++) {
		map_far(page, page == 5 ? E_PRESENT | E_DEVICE : E_RW);
	}
	emit_mem_copy(&rig, FAR + 77, SRC, 8 * 4096 - 77);
	run_into(FAR + 5 * 4096, GPU_WRITE, GPU_FAULT_WRITE, MANY);
	CHECK_EQ(memcmp(rig_at(&rig, FAR_PHYS + 77), area_ref(SRC), 5 * 4096 - 77), 0);
	CHECK_EQ(*(uint64_t *)rig_at(&rig, FAR_PHYS + 5 * 4096), 0);
	CHECK_EQ(*(uint64_t *)rig_at(&rig, FAR_PHYS + 6 * 4096), 0);
	map_far(5, E_RW);
	serve();
	CHECK_EQ(memcmp(rig_at(&rig, FAR_PHYS + 77), area_ref(SRC), 8 * 4096 - 77), 0);
	area_fini(&rig);
}

/* What had been moved before the fault is not moved again: it would be other bytes by now. */
static void overlapping_copy_goes_on_where_it_faulted(void)
{
	static uint8_t want[8 * 4096];

	begin(FLAT);
	for (uint64_t page = 0; page < 8; page++) {
		map_far(page, page == 5 ? E_PRESENT | E_DEVICE : E_RW);
	}
	memcpy(rig_at(&rig, FAR_PHYS), area_ref(AREA), sizeof(want));
	memcpy(want, area_ref(AREA), sizeof(want));
	memmove(want, want + 100, sizeof(want) - 100);
	emit_mem_copy(&rig, FAR, FAR + 100, sizeof(want) - 100);
	run_into(FAR + 5 * 4096, GPU_WRITE, GPU_FAULT_WRITE, MANY);
	map_far(5, E_RW);
	serve();
	CHECK_EQ(memcmp(rig_at(&rig, FAR_PHYS), want, sizeof(want)), 0);
	area_fini(&rig);
}

static void hole_stops_a_fill_at_its_first_byte(void)
{
	begin(FLAT);
	for (uint64_t page = 0; page < 8; page++) {
		map_far(page, page == 3 ? 0 : E_RW);
	}
	emit_mem_set(&rig, FAR + 1, 8 * 4096 - 1, 7);
	run_into(FAR + 3 * 4096, GPU_WRITE, GPU_FAULT_NOT_PRESENT, 1000);
	map_far(3, E_RW);
	serve();
	for (uint64_t i = 0; i < 8 * 4096; i++) {
		CHECK_EQ(*(uint8_t *)rig_at(&rig, FAR_PHYS + i), i == 0 ? 0 : 7);
	}
	area_fini(&rig);
}

static void hole_in_the_source_names_the_source(void)
{
	struct shape far = { NULL, FAR, 5000 }, dst = { NULL, DST, 3000 };
	struct rect r = { .width = 700, .height = 10 };

	begin(SCATTERED);
	for (uint64_t page = 0; page < 20; page++) {
		map_far(page, page == 6 ? 0 : E_RW);
	}
	emit_block_copy(&rig, 2, 0, &dst, &r, 0, &far, 0, 0);
	run_into(FAR + 6 * 4096 + 424, GPU_READ, GPU_FAULT_NOT_PRESENT, 1000);
	area_fini(&rig);
}

static void lost_client_memory_is_a_fault_at_its_first_byte(void)
{
	uint64_t all = SZ_1G * 24, gone = all + (1 << 20);

	begin(CLIENT);
	/* One entry for all of it: the fault is finer than the translation. */
	rig_map(&rig, all, 1, false, E_PRESENT | E_WRITE | E_HUGE);
	CHECK_EQ(munmap(rig.client + (1 << 20), 4096), 0);
	emit_mem_copy(&rig, gone - 9999, all + 5, 20000);
	run_into(gone, GPU_WRITE, GPU_FAULT_MEMORY, MANY);
	rig.emitted = 0;
	emit_mem_copy(&rig, all, gone - 9999, 20000);
	run_into(gone, GPU_READ, GPU_FAULT_MEMORY, MANY);
	rig.emitted = 0;
	emit_mem_copy(&rig, RIG_DATA, gone - 9999, 20000);
	run_into(gone, GPU_READ, GPU_FAULT_MEMORY, MANY);
	rig.emitted = 0;
	emit_mem_copy(&rig, gone - 9999, RIG_DATA, 20000);
	run_into(gone, GPU_WRITE, GPU_FAULT_MEMORY, MANY);
	rig.emitted = 0;
	emit_mem_set(&rig, gone - 9999, 20000, 1);
	run_into(gone, GPU_WRITE, GPU_FAULT_MEMORY, MANY);
	area_fini(&rig);
}

static void page_moved_between_steps_is_followed(void)
{
	struct gpu_budget budget = { .commands = 1, .bytes = 6000 };
	unsigned calls;

	begin(SCATTERED);
	for (uint64_t page = 0; page < 4; page++) {
		map_far(page, E_RW);
	}
	emit_mem_copy(&rig, FAR, SRC, 4 * 4096);
	emit_end(&rig);
	gpu_soft_ops.start(&rig.ctx, RIG_BATCH);
	CHECK_EQ(gpu_soft_ops.run(&rig.engine, &rig.ctx, &budget), GPU_RUN_MORE);
	rig_map(&rig, FAR + 4096, 0, false, (FAR_PHYS + 9 * 4096) | E_RW);
	rig_invalidate(&rig, FAR + 4096, FAR + 8192);
	CHECK_EQ(go_on(&rig, 1, 6000, &calls), GPU_RUN_DONE);
	CHECK_EQ(memcmp(rig_at(&rig, FAR_PHYS), area_ref(SRC), 6000), 0);
	CHECK_EQ(memcmp(rig_at(&rig, FAR_PHYS + 9 * 4096 + 1904), area_ref(SRC + 6000), 2192), 0);
	CHECK_EQ(*(uint64_t *)rig_at(&rig, FAR_PHYS + 6000), 0);
	area_fini(&rig);
}

static void copy_that_reaches_the_end_of_the_lower_half_goes_no_further(void)
{
	uint64_t last = ((uint64_t)1 << 47) - 4096;

	begin(FLAT);
	rig_map(&rig, last, 0, false, FAR_PHYS | E_RW);
	emit_mem_set(&rig, last + 96, 4001, 5);
	run_into((uint64_t)1 << 47, GPU_WRITE, GPU_FAULT_NOT_PRESENT, MANY);
	CHECK_EQ(*(uint8_t *)rig_at(&rig, FAR_PHYS + 4095), 5);
	area_fini(&rig);
}

static const struct test_case cases[] = {
	TEST(linear_copies_of_any_size_and_place_move_just_their_bytes),
	TEST(linear_fills_of_any_size_and_place_set_just_their_bytes),
	TEST(matrices_have_rows_and_pitches),
	TEST(pages_are_units_of_256_bytes),
	TEST(width_of_older_devices_has_18_bits),
	TEST(result_does_not_depend_on_the_budget),
	TEST(single_bytes_are_steps_too),
	TEST(budget_counts_each_byte_once),
	TEST(half_done_command_is_not_fetched_again),
	TEST(new_batch_owes_nothing_to_the_one_left_half_done),
	TEST(epoch_moves_no_more_than_its_limit),
	TEST(null_pages_read_zero_and_drop_writes),
	TEST(misses_of_a_scratch_vm_read_zero_and_drop_writes),
	TEST(read_only_page_stops_a_copy_at_its_first_byte),
	TEST(overlapping_copy_goes_on_where_it_faulted),
	TEST(hole_stops_a_fill_at_its_first_byte),
	TEST(hole_in_the_source_names_the_source),
	TEST(lost_client_memory_is_a_fault_at_its_first_byte),
	TEST(page_moved_between_steps_is_followed),
	TEST(copy_that_reaches_the_end_of_the_lower_half_goes_no_further),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
