// SPDX-License-Identifier: MIT
/* Memory that moves or goes while it is used (A20, B16, L03-L08, P1, P5). */
#include "litmus.h"

#define USER SZ_1G
#define SECOND (2 * SZ_1G)


static void signal_0(void)
{
	litmus_signal(0);
}

/* ---- objects that move ----------------------------------------------------------------------- */

static void new_object(unsigned i, uint32_t placement)
{
	CHECK_OK(bo_create(&lit.device->mem, PAGE_B, placement, &lit.bo[i]));
}

/* Two VMs with an object each. VRAM is full of rubbish where nobody has it. */
static void two_spaces_with(uint32_t placement, uint64_t vram_B)
{
	lit.device = rig_device_moving(SCHEDULE_NORMAL, vram_B);
	litmus_fill(0);
	lit.vm[1] = rig_vm(lit.device, 0);
	CHECK_OK(rig_bind(lit.vm[1], rig_map(lit.batch, BATCH, 0, PAGE_B)));
	for (unsigned i = 0; i < 2; i++) {
		bo_put(lit.bo[i]);
		new_object(i, placement);
		CHECK_OK(rig_bind(lit.vm[i], rig_map(lit.bo[i], DATA, 0, PAGE_B)));
		lit.queue[i] = rig_queue(lit.device, lit.vm[i], i ? RIG_COPY : RIG_RENDER);
	}
}

static void two_spaces(void)
{
	two_spaces_with(BIT(MEM_VRAM), PAGE_B);
}

/* The job reads the number in the object of vm[@i] and stores the next; says what it has read. */
static void count_with(unsigned i, unsigned round)
{
	const uint64_t addr = DATA;
	unsigned slot = 2 * i + round, result = SZ_64K - SZ_4K + 8 * slot;

	rig_batch_swap(lit.batch, slot * BATCH_B, &addr, 1, BATCH + result, round + 1);
	lit.ret[i] = rig_exec_wait(lit.queue[i], BATCH + slot * BATCH_B);
	lit.seen[i] = lit.seen[i] * 10 + (lit.ret[i] ? 9 : rig_read32(lit.batch, result));
}

static void count_0(void)
{
	count_with(0, 0);
}

static void count_1(void)
{
	count_with(1, 0);
}

static void count_0_twice(void)
{
	count_0();
	count_with(0, 1);
}

static void count_1_twice(void)
{
	count_1();
	count_with(1, 1);
}

static void look_at_counts(void)
{
	litmus_say("%02u,%02u", (unsigned)lit.seen[0], (unsigned)lit.seen[1]);
}

static void used_before(void)
{
	two_spaces();
	count_0();
	count_1();
	lit.seen[0] = lit.seen[1] = 0;
}

static void count_0_again(void)
{
	count_with(0, 1);
}

static void count_1_again(void)
{
	count_with(1, 1);
}

/* One object in both VMs, which may be anywhere. */
static void shared(void)
{
	two_spaces_with(BIT(MEM_VRAM) | BIT(MEM_SYSTEM), 2 * PAGE_B);
	CHECK_OK(rig_bind(lit.vm[1], rig_map(lit.bo[0], SECOND, 0, PAGE_B)));
	count_0();
	lit.seen[0] = 0;
}

static void prefetch(unsigned vm, uint64_t addr, enum mem_region region)
{
	const struct bind_op op = {
		.kind = BIND_PREFETCH, .addr = addr, .range = PAGE_B, .prefetch_region = region,
	};

	CHECK_OK(rig_bind(lit.vm[vm], op));
}

static void to_system(void)
{
	prefetch(0, DATA, MEM_SYSTEM);
}

static void to_vram(void)
{
	prefetch(0, DATA, MEM_VRAM);
}

static void to_system_by_other(void)
{
	prefetch(1, SECOND, MEM_SYSTEM);
}

static void look_at_count(void)
{
	struct gpu_fault fault;
	uint32_t value = 9;

	CHECK_OK(device_access(lit.device, lit.vm[0], DATA, &value, sizeof(value), GPU_READ,
			       &fault));
	litmus_say("%u,%u", (unsigned)lit.seen[0], value);
}

/* What the other VM sees of it. */
static void read_by_other(void)
{
	struct gpu_fault fault;
	uint32_t value = 9;

	CHECK_OK(device_access(lit.device, lit.vm[1], SECOND, &value, sizeof(value), GPU_READ,
			       &fault));
	lit.seen[1] = value;
}

static void look_at_reads(void)
{
	litmus_say("%u", (unsigned)lit.seen[1]);
}

static void map_again(void)
{
	CHECK_OK(rig_bind(lit.vm[0], rig_map(lit.bo[0], SECOND, 0, PAGE_B)));
}

static void unmap_data(void)
{
	CHECK_OK(rig_bind(lit.vm[0], rig_unmap(DATA, PAGE_B)));
}

static uint32_t value_at(uint64_t addr)
{
	struct gpu_fault fault;
	uint32_t value = 9;

	return device_access(lit.device, lit.vm[0], addr, &value, sizeof(value), GPU_READ, &fault)
		       ? 8
		       : value;
}

static void look_at_two_places(void)
{
	litmus_say("%u%u", value_at(DATA), value_at(SECOND));
}

static void close_0(void)
{
	vm_close(lit.vm[0]);
	lit.vm_closed = true;
}

static void look_at_other(void)
{
	litmus_say("%u,%u", (unsigned)lit.seen[1], lit.vm[0]->vram_B ? 1 : 0);
}

static void vm_0_without_queue(void)
{
	two_spaces();
	count_0();
	rig_queue_done(lit.queue[0]);
	lit.queue[0] = NULL;
	lit.seen[0] = 0;
}

/* ---- client memory --------------------------------------------------------------------------- */

static void with_user(void)
{
	litmus_device();
	lit.user = port_reserve(PAGE_B);
	CHECK(lit.user);
	lit.queue[0] = rig_queue(lit.device, lit.vm[0], RIG_RENDER);
	lit.queue[1] = rig_queue(lit.device, lit.vm[0], RIG_COPY);
}

static void map_user(void)
{
	CHECK_OK(rig_bind(lit.vm[0], rig_map_user(lit.user, USER, PAGE_B)));
}

static void with_user_mapped(void)
{
	with_user();
	map_user();
	CHECK_OK(rig_exec_wait(lit.queue[0], litmus_store(0, USER, 1)));
}

/* The client's munmap() and mmap(): what was there is gone, and who used it has ended. */
static void replace_user(void)
{
	struct mem_client_range range;

	mem_client_range_begin(&lit.device->mem, &range, (uint64_t)(uintptr_t)lit.user, PAGE_B);
	port_relax(); /* the kernel at work */
	__atomic_store_n(lit.user, 9, __ATOMIC_RELEASE);
	port_relax();
	lit.seen[1] = __atomic_load_n(lit.user, __ATOMIC_ACQUIRE);
	mem_client_range_end(&lit.device->mem, &range);
}

static void store_behind(void)
{
	lit.ret[0] = rig_exec(lit.queue[0], litmus_store(0, USER, 7), lit.in[0], &lit.out[0]);
}

static void store_now(void)
{
	lit.ret[0] = rig_exec(lit.queue[0], litmus_store(0, USER, 7), NULL, &lit.out[0]);
}

static void store_beside(void)
{
	CHECK_OK(rig_exec_wait(lit.queue[1], litmus_store(1, USER + SZ_4K, 5)));
}

/* Nobody writes while the memory is changing; a job comes before or after, and ends well. */
static void look_at_user(void)
{
	litmus_say_error(lit.ret[0]);
	litmus_say(",");
	litmus_say_error(litmus_wait(0));
	litmus_say(",%u%s", lit.user[0], lit.seen[1] == 9 ? "" : ",torn");
}

static void look_if_usable(void)
{
	int ret = rig_exec_wait(lit.queue[0], litmus_store(0, USER, 3));

	litmus_say_error(ret);
	litmus_say(",%u", lit.user[0]);
}

static void unmap_user(void)
{
	CHECK_OK(rig_bind(lit.vm[0], rig_unmap(USER, PAGE_B)));
}

static void look_if_unmapped(void)
{
	litmus_say("%c,%u", litmus_mapped(0, USER), lit.user[0]);
}

static void close_vm(void)
{
	for (unsigned i = 0; i < 2; i++) {
		exec_queue_kill(lit.queue[i]);
	}
	close_0();
}

static void look_at_value(void)
{
	litmus_say("%u", lit.user[0]);
}

static void read_user(void)
{
	lit.seen[0] = value_at(USER);
}

static void look_at_seen(void)
{
	litmus_say("%u", (unsigned)lit.seen[0]);
}

static const struct litmus litmuses[] = {
	{ CASE(evict_exec_clear), two_spaces, { count_0, count_1 }, look_at_counts, "00,00",
	  .without = { .vm = GUARD_CLEAR } },
	{ CASE(evict_exec_collect), used_before, { count_0_again, count_1_again }, look_at_counts,
	  "01,01", .without = { .vm = GUARD_COLLECT } },
	{ CASE(evict_exec_free), two_spaces, { count_0_twice, count_1 }, look_at_counts, "01,00",
	  .without = { .vm = GUARD_FREE } },
	{ CASE(evict_exec_mark), two_spaces, { count_0_twice, count_1_twice }, look_at_counts,
	  "01,01", .without = { .vm = GUARD_MARK } },
	{ CASE(prefetch_exec_mark), shared, { count_0_again, to_system }, look_at_count, "1,2",
	  .without = { .vm = GUARD_MARK } },
	{ CASE(prefetch_exec_collect), shared, { count_0_again, to_system_by_other }, look_at_count,
	  "1,2", .without = { .vm = GUARD_COLLECT } },
	{ CASE(prefetch_prefetch), shared, { to_system, to_vram }, look_at_two_places, "18",
	  .without = { .vm = GUARD_KERNEL } },
	{ CASE(evict_bind), shared, { to_system_by_other, map_again }, look_at_two_places, "11",
	  .without = { .lock = "resv" } },
	{ CASE(evict_unmap), shared, { to_system_by_other, unmap_data }, look_at_two_places, "88",
	  .by_hand = "vma_destroy() leaves the record with its object: an assertion" },
	{ CASE(evict_close_vm), vm_0_without_queue, { count_1, close_0 }, look_at_other, "0,0",
	  .by_hand = "find_vms() takes no reference: an assertion" },
	{ CASE(shared_evict_by_two), shared, { to_system, to_system_by_other, read_by_other },
	  look_at_reads, "1", .without = { .vm = GUARD_KERNEL } },
	{ CASE(userptr_invalidate_pending_exec), with_user_mapped,
	  { store_behind, replace_user, signal_0 }, look_at_user, "ok,ok,7 ok,ok,9",
	  .without = { .vm = GUARD_QUIESCE } },
	{ CASE(userptr_invalidate_exec), with_user_mapped, { store_now, replace_user },
	  look_at_user, "ok,ok,7 ok,ok,9", .without = { .vm = GUARD_RECHECK } },
	{ CASE(userptr_invalidate_exec_exec), with_user_mapped,
	  { store_now, store_beside, replace_user }, look_at_user, "ok,ok,7 ok,ok,9",
	  .without = { .lock = "vm.validate" } },
	{ CASE(userptr_invalidate_bind), with_user, { map_user, replace_user }, look_if_usable,
	  "ok,3", .without = { .count = true } },
	{ CASE(userptr_invalidate_unmap), with_user_mapped, { unmap_user, replace_user },
	  look_if_unmapped, "-,9",
	  .by_hand = "userptr_fini() releases what is being invalidated: an assertion" },
	{ CASE(userptr_invalidate_close_vm), with_user_mapped, { close_vm, replace_user },
	  look_at_value, "9",
	  .by_hand = "userptr_fini() releases what is being invalidated: an assertion" },
	{ CASE(userptr_invalidate_access), with_user_mapped, { read_user, replace_user },
	  look_at_seen, "1 9", .by_hand = "access_piece() passes over invalidated_any: 8" },
};

int main(int argc, char **argv)
{
	return litmus_main(litmuses, ARRAY_LEN(litmuses), argc, argv);
}
