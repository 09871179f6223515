// SPDX-License-Identifier: MIT
/* Binds among themselves, against the TLB and against the end of their VM (A11, A23, P2, P3). */
#include "litmus.h"

#define FAR (5 * SZ_1G)

static int bind(unsigned queue, struct bind_op op)
{
	struct fence *fence;
	int ret = rig_bind_list(lit.vm[0], lit.binds[queue], &op, 1, NULL, &fence);

	if (!ret) {
		rig_wait(fence);
	}
	return ret;
}

static struct bind_op map(unsigned bo, uint64_t addr)
{
	return rig_map(lit.bo[bo], addr, 0, PAGE_B);
}

static void signal_0(void)
{
	litmus_signal(0);
}

/* ---- two binds that are ready ---------------------------------------------------------------- */

static void map_a(void)
{
	CHECK_OK(bind(0, map(0, DATA)));
}

static void map_b(void)
{
	CHECK_OK(bind(1, map(1, DATA)));
}

static void map_b_far(void)
{
	CHECK_OK(bind(1, map(1, FAR)));
}

static void map_b_same_queue(void)
{
	CHECK_OK(bind(0, map(1, DATA)));
}

static void unmap_data(void)
{
	CHECK_OK(bind(1, rig_unmap(DATA, PAGE_B)));
}

static void unmap_half(void)
{
	CHECK_OK(bind(1, rig_unmap(DATA + PAGE_B / 2, PAGE_B / 2)));
}

static void look_at_data(void)
{
	litmus_say("%c", litmus_at(0, DATA));
}

static void look_beside(void)
{
	litmus_say("%c%c", litmus_at(0, DATA), litmus_at(0, DATA + PAGE_B));
}

/* The stamps of an object's pages are all its own. */
static void look_at_halves(void)
{
	litmus_say("%c%c", litmus_at(0, DATA), litmus_at(0, DATA + PAGE_B / 2));
}

/* ---- lists: all or nothing, one after the other ---------------------------------------------- */

static struct fence *list_of(unsigned queue, unsigned bo, struct fence *in)
{
	struct bind_op ops[3];
	struct fence *fence = NULL;

	for (unsigned i = 0; i < 3; i++) {
		ops[i] = map(bo, DATA + i * PAGE_B);
	}
	CHECK_OK(rig_bind_list(lit.vm[0], lit.binds[queue], ops, 3, in, &fence));
	return fence;
}

static void list_a(void)
{
	rig_wait(list_of(0, 0, NULL));
}

static void list_b(void)
{
	rig_wait(list_of(1, 1, NULL));
}

static void look_at_three(void)
{
	for (unsigned i = 0; i < 3; i++) {
		litmus_say("%c", litmus_at(0, DATA + i * PAGE_B));
	}
}

/* A23: what a list that fails has mapped is never seen. */
static void list_fails(void)
{
	struct bind_op ops[] = { map(0, DATA), map(0, DATA + PAGE_B), map(0, FAR) };
	struct fence *fence;

	ops[2].inject_error = true;
	CHECK_ERR(rig_bind_list(lit.vm[0], lit.binds[0], ops, 3, NULL, &fence), -ENOSPC);
}

/* ---- binds that wait for a fence ------------------------------------------------------------- */

static void later(unsigned i, unsigned queue, struct bind_op op)
{
	lit.out[i] = rig_bind_async(lit.vm[0], lit.binds[queue], op, lit.in[0]);
}

static void later_a(void)
{
	later(0, 0, map(0, DATA));
}

static void later_b(void)
{
	later(1, 1, map(1, DATA));
}

static void later_b_same_queue(void)
{
	later(1, 0, map(1, DATA));
}

static void later_b_beside(void)
{
	later(1, 1, map(1, DATA + PAGE_B));
}

static void later_b_far(void)
{
	later(1, 1, map(1, FAR));
}

static void later_unmap(void)
{
	later(1, 1, rig_unmap(DATA, 2 * PAGE_B));
}

static void later_list_a(void)
{
	lit.out[0] = list_of(0, 0, lit.in[0]);
}

static void later_list_b(void)
{
	lit.out[1] = list_of(1, 1, lit.in[0]);
}

static void wait_all(void)
{
	CHECK_OK(litmus_wait(0));
	CHECK_OK(litmus_wait(1));
	CHECK_OK(litmus_wait(2));
}

/* The index changes in the order of publication; so must the tables. */
static void look_if_tables_follow(void)
{
	wait_all();
	for (unsigned i = 0; i < 3; i++) {
		char index = litmus_indexed(0, DATA + i * PAGE_B);

		litmus_say("%c%s", index, litmus_mapped(0, DATA + i * PAGE_B) == index ? "" : "!");
	}
}

static void look_beside_later(void)
{
	wait_all();
	look_beside();
}

static void look_far_later(void)
{
	wait_all();
	litmus_say("%c%c", litmus_at(0, DATA), litmus_at(0, FAR));
}

static void both_behind(void)
{
	litmus_device();
	later_a();
	later_b();
}

static void both_lists_behind(void)
{
	litmus_device();
	later_list_a();
	later_list_b();
}

static void map_a_below(void)
{
	later(2, 1, map(0, DATA + PAGE_B));
}

static void unmap_behind(void)
{
	litmus_device();
	later_a();
	later_unmap();
}

/* One queue: the second has no in-fence and may still not be first. */
static void in_order(void)
{
	struct fence *second;

	later_a();
	second = rig_bind_async(lit.vm[0], lit.binds[0], map(1, FAR), NULL);
	CHECK_OK(fence_wait(second, PORT_FOREVER, 0));
	litmus_say("%s", fence_is_signalled(lit.out[0]) ? "ordered" : "overtaken");
	fence_put(second);
}

static void nothing(void)
{
}

/* Two queues: the second one's bind is not to wait for what the first one's waits for. */
static void independent(void)
{
	later_a();
	rig_wait(rig_bind_async(lit.vm[0], lit.binds[1], map(1, FAR), NULL));
	litmus_say("%s", litmus_at(0, FAR) == 'B' ? "done" : "missing");
	litmus_signal(0);
}

/* A bind without operations stands for those before it on its queue (P8). */
static void empty_list(void)
{
	struct fence *fence = NULL;

	CHECK_OK(rig_bind_list(lit.vm[0], lit.binds[0], NULL, 0, NULL, &fence));
	CHECK_OK(fence_wait(fence, PORT_FOREVER, 0));
	lit.seen[0] = fence_is_signalled(lit.out[0]);
	fence_put(fence);
}

static void behind_a(void)
{
	litmus_device();
	later_a();
}

static void look_if_empty_was_last(void)
{
	litmus_say("%s", lit.seen[0] ? "last" : "early");
}

/* In-fences: what the fence stands for is there when the bind is. */
static void signal_when_written(void)
{
	lit.seen[0] = 1;
	litmus_signal(0);
}

static void after_in_fence(void)
{
	later_a();
	CHECK_OK(fence_wait(lit.out[0], PORT_FOREVER, 0));
	litmus_say("%s", lit.seen[0] ? "after" : "before");
}

/* ---- the end of the VM ----------------------------------------------------------------------- */

static void close_vm(void)
{
	vm_close(lit.vm[0]);
	lit.vm_closed = true;
}

static void try_map_a(void)
{
	lit.ret[0] = bind(0, map(0, DATA));
}

static void look_if_empty(void)
{
	struct vm_mapping mapping;

	litmus_say_error(lit.ret[0]);
	if (vm_mapping_next(lit.vm[0], 0, &mapping)) {
		litmus_say(",mapped");
	}
}

static void try_later_a(void)
{
	struct bind_op op = map(0, DATA);

	lit.ret[0] = rig_bind_list(lit.vm[0], lit.binds[0], &op, 1, lit.in[0], &lit.out[0]);
}

static void look_if_ended(void)
{
	look_if_empty();
	CHECK_OK(litmus_wait(0)); /* or for ever */
}

static void ban(void)
{
	vm_ban(lit.vm[0], VM_BANNED_BY_OWNER);
	lit.seen[1] = 1;
}

static void map_if_not_banned(void)
{
	uint64_t banned = lit.seen[1];
	int ret = bind(0, map(0, DATA));

	litmus_say("%s", banned && !ret ? "late" : "right");
}

/* ---- translations ---------------------------------------------------------------------------- */

static void mapped_and_cached(void)
{
	litmus_device();
	map_a();
	CHECK_EQ(litmus_at(0, DATA), 'A');
}

static void read_data(void)
{
	(void)litmus_at(0, DATA);
}

static void unmap_and_read(void)
{
	unmap_data();
	litmus_say("%c", litmus_at(0, DATA));
}

static void remap_and_read(void)
{
	map_b();
	litmus_say("%c", litmus_at(0, DATA));
}

static void at_submit(void)
{
	lit.device = rig_device_with(SCHEDULE_NORMAL, VM_TLB_AT_SUBMIT);
	litmus_fill(0);
	map_a();
	CHECK_EQ(litmus_at(0, DATA), 'A');
}

/* B09: the frames go to another object, which no old translation may show. */
static void unmap_and_free(void)
{
	unmap_data();
	bo_put(lit.bo[0]);
	lit.bo[0] = NULL;
	litmus_bo(2, MEM_SYSTEM);
	CHECK_OK(bo_back(lit.bo[2]));
	lit.seen[0] = 1;
}

static bool letter_is_new(uint64_t stamp)
{
	return lit.bo[2] && stamp >> 32 == lit.bo[2]->id;
}

static void read_old(void)
{
	const struct gpu_ops *gpu = lit.device->gpu;
	struct gpu_fault fault;
	uint64_t stamp = 0;

	/* Past the device's own flush, as an engine in the middle of a job does it. */
	if (gpu->load(lit.device->gpu_engine[0], &lit.vm[0]->hw, DATA, &stamp, sizeof(stamp),
		      &fault)) {
		lit.seen[1] |= fault.type == GPU_FAULT_STALE;
	} else {
		lit.seen[1] |= letter_is_new(stamp);
	}
}

static void look_if_kept(void)
{
	read_old();
	litmus_say("%s", lit.seen[1] ? "another's" : "own");
}

static const struct litmus litmuses[] = {
	{ CASE(bind_bind_overlapping), litmus_device, { map_a, map_b }, look_at_data, "A B",
	  .without = { .lock = "vm" } },
	{ CASE(bind_bind_touching), litmus_device, { later_a, later_b_beside, signal_0 },
	  look_beside_later, "AB", .by_hand = "write_step() skips a job beside another: not AB" },
	{ CASE(bind_bind_disjoint), litmus_device, { later_a, later_b_far, signal_0 },
	  look_far_later, "AB", .by_hand = "write_step() skips a job beside another: not AB" },
	{ CASE(bind_bind_one_queue), litmus_device, { map_a, map_b_same_queue }, look_at_data,
	  "A B", .without = { .lock = "vm" } },
	{ CASE(bind_unmap), litmus_device, { map_a, unmap_data }, look_at_data, "A -",
	  .without = { .lock = "vm" } },
	{ CASE(bind_unmap_part), litmus_device, { map_a, unmap_half }, look_at_halves, "AA A-",
	  .by_hand = "write_step() clears whole 64 KiB: --" },
	{ CASE(list_list), litmus_device, { list_a, list_b }, look_at_three, "AAA BBB",
	  .without = { .lock = "vm" } },
	{ CASE(list_fails_bind), litmus_device, { list_fails, map_b }, look_beside, "B-",
	  .without = { .lock = "vm" } },
	{ CASE(pending_pending_signal), litmus_device, { later_a, later_b, signal_0 },
	  look_if_tables_follow, "A-- B--", .without = { .vm = GUARD_RANGE } },
	{ CASE(pending_one_queue_signal), litmus_device, { later_a, later_b_same_queue, signal_0 },
	  look_if_tables_follow, "A-- B--", .without = { .vm = GUARD_ORDER | GUARD_RANGE } },
	{ CASE(two_behind_signal), both_behind, { signal_0, wait_all }, look_if_tables_follow,
	  "B--", .without = { .vm = GUARD_RANGE } },
	{ CASE(lists_behind_signal), both_lists_behind, { signal_0, wait_all },
	  look_if_tables_follow, "BBB", .without = { .vm = GUARD_RANGE } },
	{ CASE(list_pending_list_pending), litmus_device, { later_list_a, later_list_b, signal_0 },
	  look_if_tables_follow, "AAA BBB", .without = { .vm = GUARD_RANGE } },
	{ CASE(unmap_behind_map), unmap_behind, { map_a_below, signal_0, wait_all },
	  look_if_tables_follow, "-A-", .without = { .vm = GUARD_RANGE } },
	{ CASE(queue_in_order), litmus_device, { in_order, signal_0 }, nothing, "ordered",
	  .without = { .vm = GUARD_ORDER } },
	{ CASE(queues_independent), litmus_device, { independent, map_b_far }, nothing, "done",
	  .by_hand = "jobs_overlap() always true: deadlock" },
	{ CASE(empty_list_is_last), behind_a, { empty_list, signal_0 }, look_if_empty_was_last,
	  "last", .without = { .vm = GUARD_ORDER } },
	{ CASE(bind_in_fence), litmus_device, { after_in_fence, signal_when_written }, nothing,
	  "after", .without = { .vm = GUARD_IN_FENCES } },
	{ CASE(close_vm_bind), litmus_device, { close_vm, try_map_a }, look_if_empty, "ok ENOENT",
	  .without = { .vm = GUARD_CLOSED } },
	{ CASE(close_vm_pending_bind), litmus_device, { close_vm, try_later_a, signal_0 },
	  look_if_ended, "ok ENOENT", .without = { .vm = GUARD_CLOSED } },
	{ CASE(ban_bind), litmus_device, { ban, map_if_not_banned }, nothing, "right",
	  .by_hand = "bind_begin() does not look at the ban: late" },
	{ CASE(tlb_access_unmap), mapped_and_cached, { unmap_and_read, read_data }, nothing, "-",
	  .without = { .vm = GUARD_TLB } },
	{ CASE(tlb_access_remap), mapped_and_cached, { remap_and_read, read_data }, nothing, "B",
	  .without = { .vm = GUARD_TLB } },
	{ CASE(tlb_at_submit_access_unmap), at_submit, { unmap_and_read, read_data }, nothing, "-",
	  .without = { .vm = GUARD_TLB } },
	{ CASE(page_release_access), at_submit, { unmap_and_free, read_old }, look_if_kept, "own",
	  .without = { .vm = GUARD_TLB } },
};

int main(int argc, char **argv)
{
	return litmus_main(litmuses, ARRAY_LEN(litmuses), argc, argv);
}
