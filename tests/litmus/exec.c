// SPDX-License-Identifier: MIT
/* Submissions, queues and the device's workers (A12, B09, B19, B21, P1, P4). */
#include "litmus.h"

#define FLAG (SZ_64K - 2 * SZ_4K) /* in the batch object: spinners end when it is 0 */
#define MS ((uint64_t)1000000)

static void nothing(void)
{
}

static void signal_0(void)
{
	litmus_signal(0);
}

static void with_queues(void)
{
	litmus_device();
	CHECK_OK(rig_bind(lit.vm[0], rig_map(lit.bo[0], DATA, 0, PAGE_B)));
	lit.queue[0] = rig_queue(lit.device, lit.vm[0], RIG_RENDER);
	lit.queue[1] = rig_queue(lit.device, lit.vm[0], RIG_COPY);
}

/* The engine has translated the address before. */
static void warm(void)
{
	with_queues();
	CHECK_OK(rig_exec_wait(lit.queue[0], litmus_store(0, DATA, 6)));
}

static void submit(unsigned i, unsigned queue, uint64_t batch, struct fence *in)
{
	lit.ret[i] = rig_exec(lit.queue[queue], batch, in, &lit.out[i]);
}

/* A batch that spins until the flag is cleared. */
static uint64_t spinner(unsigned slot)
{
	rig_write32(lit.batch, FLAG, 1);
	rig_batch_spin(lit.batch, slot * BATCH_B, BATCH + slot * BATCH_B, BATCH + FLAG);
	return BATCH + slot * BATCH_B;
}

static void spinning(void)
{
	with_queues();
	submit(0, 0, spinner(0), NULL);
}

static void end_spin(void)
{
	rig_write32(lit.batch, FLAG, 0);
}

/* How a submission went and how its job did. */
static void say_job(unsigned i)
{
	litmus_say_error(lit.ret[i]);
	if (!lit.ret[i]) {
		litmus_say(":");
		litmus_say_error(litmus_wait(i));
	}
}

/* ---- submissions and binds ------------------------------------------------------------------- */

static void exec_store(void)
{
	submit(0, 0, litmus_store(0, DATA, 7), NULL);
	lit.seen[0] = (uint64_t)litmus_wait(0);
}

static void unmap_data(void)
{
	CHECK_OK(rig_bind(lit.vm[0], rig_unmap(DATA, PAGE_B)));
	lit.seen[1] = rig_read32(lit.bo[0], 0);
}

/* A job that has ended well has stored, before the unmap's fence if it was in time. */
static void look_at_store(void)
{
	say_job(0);
	litmus_say("%s", rig_read32(lit.bo[0], 0) == 7 ? ",stored" : "");
	litmus_say("%s", rig_read32(lit.bo[0], 0) == lit.seen[1] ? "" : ",late");
}

/* B replaces A behind a fence; the job waits for that and must store to B. */
static void bind_then_exec(void)
{
	lit.out[1] = rig_bind_async(lit.vm[0], lit.binds[0], rig_map(lit.bo[1], DATA, 0, PAGE_B),
				    lit.in[0]);
	submit(0, 0, litmus_store(0, DATA, 7), lit.out[1]);
	CHECK_OK(litmus_wait(0));
}

static void look_where_stored(void)
{
	for (unsigned i = 0; i < 2; i++) {
		litmus_say("%s", rig_read32(lit.bo[i], 0) != 7 ? "" : i ? "B" : "A");
	}
}

/* The opposite: the unmap waits for the job, as clients have to make it. */
static void exec_then_unmap(void)
{
	submit(0, 0, litmus_store(0, DATA, 7), lit.in[0]);
	lit.out[1] = rig_bind_async(lit.vm[0], lit.binds[0], rig_unmap(DATA, PAGE_B), lit.out[0]);
	CHECK_OK(fence_wait(lit.out[1], PORT_FOREVER, 0));
	litmus_say_error(litmus_wait(0));
}

static void store_1_behind(void)
{
	submit(0, 0, litmus_store(0, DATA, 1), lit.in[0]);
}

static void store_2(void)
{
	submit(1, 0, litmus_store(1, DATA, 2), NULL);
	CHECK_OK(litmus_wait(1));
	lit.seen[0] = lit.out[0] && lit.out[0]->seqno < lit.out[1]->seqno &&
		      !fence_is_signalled(lit.out[0]);
}

static void look_at_order(void)
{
	CHECK_OK(litmus_wait(0));
	litmus_say("%u%s", rig_read32(lit.bo[0], 0), lit.seen[0] ? ",overtaken" : "");
}

static void first_behind(void)
{
	with_queues();
	store_1_behind();
}

/* Two queues, an order by fences: 2 is stored after 1. */
static void store_2_after_1(void)
{
	submit(1, 1, litmus_store(1, DATA, 2), lit.out[0]);
	CHECK_OK(litmus_wait(1));
}

/* The first store comes behind a batch that spins. */
static void first_spins(void)
{
	spinning();
	fence_put(lit.out[0]);
	submit(0, 0, litmus_store(2, DATA, 1), NULL);
}

/* ---- the end of queues and VMs --------------------------------------------------------------- */

static void try_exec(void)
{
	submit(0, 0, litmus_store(0, DATA, 7), NULL);
}

static void try_exec_behind(void)
{
	submit(0, 0, litmus_store(0, DATA, 7), lit.in[0]);
}

static void kill_queue(void)
{
	exec_queue_kill(lit.queue[0]);
	lit.seen[0] = 1;
}

static void end_spin_and_help(void)
{
	end_spin();
	for (unsigned i = 0; i < 3; i++) {
		(void)device_help(lit.device);
	}
}

static void look_at_job(void)
{
	say_job(0);
}

static void wait_for_first(void)
{
	CHECK_OK(fence_wait(lit.out[0], PORT_FOREVER, 0));
}

static void kill_and_close(void)
{
	for (unsigned i = 0; i < 2; i++) {
		exec_queue_kill(lit.queue[i]);
	}
	vm_close(lit.vm[0]);
	lit.vm_closed = true;
}

/* Nobody submits to a VM that is closed, though its queues live on. */
static void close_only(void)
{
	vm_close(lit.vm[0]);
	lit.vm_closed = true;
}

static void exec_if_closed(void)
{
	bool closed = lit.vm_closed;

	submit(0, 0, litmus_store(0, DATA, 7), NULL);
	litmus_say("%s", closed && !lit.ret[0] ? "late" : "right");
}

/* ---- the end of the device's work ------------------------------------------------------------ */

/* A batch that spins is there, and not submitted yet. */
static void with_spinner(void)
{
	with_queues();
	(void)spinner(0);
}

static void exec_spinner(void)
{
	submit(0, 0, BATCH, NULL);
	(void)litmus_wait(0);
}

static void reset(void)
{
	device_reset(lit.device);
}

static void wedge(void)
{
	device_wedge(lit.device);
	lit.seen[0] = 1;
}

static void exec_if_wedged(void)
{
	uint64_t wedged = lit.seen[0];

	try_exec();
	litmus_say("%s", wedged && !lit.ret[0] ? "late," : "");
}

static void new_queue_runs(void)
{
	struct exec_queue *queue = rig_queue(lit.device, lit.vm[0], RIG_COMPUTE0);
	struct fence *fence = NULL;

	lit.ret[1] = rig_exec(queue, litmus_store(1, DATA, 2), NULL, &fence);
	if (!lit.ret[1]) {
		CHECK_OK(fence_wait(fence, PORT_FOREVER, 0));
		lit.ret[1] = fence_error(fence);
		fence_put(fence);
	}
	rig_queue_done(queue);
}

static void new_queue_if_wedged(void)
{
	uint64_t wedged = lit.seen[0];

	new_queue_runs();
	litmus_say("%s", wedged && !lit.ret[1] ? "late" : "right");
}

static void look_at_both(void)
{
	say_job(0);
	litmus_say(",");
	litmus_say_error(lit.ret[1]);
}

/* A job of 10 ms at most, which never ends. */
static void hanging(void)
{
	const uint8_t engine = RIG_RENDER;
	struct exec_queue_args args = {
		.width = 1, .placements = 1, .engines = &engine,
		.priority = EXEC_PRIORITY_NORMAL, .job_timeout_ms = 10,
	};

	litmus_device();
	args.vm = lit.vm[0];
	CHECK_OK(exec_queue_create(lit.device, &args, &lit.queue[0]));
	submit(0, 0, spinner(0), NULL);
}

static void kill_later(void)
{
	/* At the very time the batch is over; else only one of the two would be seen. */
	(void)fence_wait(lit.out[0], port_now_ns() + 10260000, 0);
	kill_queue();
}

static void look_at_hang(void)
{
	litmus_say_error(litmus_wait(0));
	litmus_say(",");
	litmus_say_error(exec_queue_error(lit.queue[0]));
}

/* ---- long-running work ----------------------------------------------------------------------- */

static void long_running(void)
{
	lit.device = rig_device(SCHEDULE_NORMAL);
	litmus_fill(VM_LR);
	lit.queue[0] = rig_queue(lit.device, lit.vm[0], RIG_RENDER);
	CHECK_OK(rig_bind(lit.vm[0], rig_map(lit.bo[0], DATA, 0, PAGE_B)));
	submit(0, 0, spinner(0), NULL);
}

/* B19: who waits for the users has them off their engines. */
static void wait_for_users(void)
{
	struct fence *users = vm_bo_users(lit.bo[0]);

	CHECK(users);
	rig_wait(users);
	lit.seen[1] = 1;
}

static void look_if_ended(void)
{
	litmus_say_error(litmus_wait(0));
	litmus_say("%s", lit.seen[1] ? ",left" : ",stuck");
}

static void exec_again(void)
{
	submit(1, 0, litmus_store(1, DATA, 2), NULL);
	end_spin();
}

static void look_at_two(void)
{
	end_spin();
	say_job(0);
	litmus_say(",");
	say_job(1);
}

/* ---- rings ----------------------------------------------------------------------------------- */

#define RING 0x4000000u

static struct {
	uint32_t *commands;
	struct gpu_ring_control *control;
	uint64_t rung_ns;
} ring;

static void with_ring(void)
{
	const uint8_t engine = RIG_RENDER;
	struct exec_queue_args args = {
		.width = 1, .placements = 1, .engines = &engine, .priority = EXEC_PRIORITY_NORMAL,
	};
	const struct gpu_ring where = {
		.va = RING, .size_B = SZ_4K, .control_va = RING + SZ_4K,
	};

	lit.device = rig_device(SCHEDULE_NORMAL);
	litmus_fill(VM_LR);
	litmus_bo(2, MEM_SYSTEM);
	memset(bo_host(lit.bo[2]), 0, PAGE_B);
	CHECK_OK(rig_bind(lit.vm[0], rig_map(lit.bo[0], DATA, 0, PAGE_B)));
	CHECK_OK(rig_bind(lit.vm[0], rig_map(lit.bo[2], RING, 0, PAGE_B)));
	ring.commands = bo_host(lit.bo[2]);
	ring.control = (struct gpu_ring_control *)(void *)((char *)bo_host(lit.bo[2]) + SZ_4K);
	args.vm = lit.vm[0];
	CHECK_OK(exec_ring_create(lit.device, &args, &where, &lit.queue[0]));
	/* Until workers sleep for long between their looks. */
	(void)fence_wait(lit.in[0], port_now_ns() + 4 * MS, FENCE_WAIT_NO_HELP);
}

/* Stores a command and its doorbell; whoever looks at it next does it. */
static void ring_doorbell(void)
{
	const uint32_t store[] = { 0x20u << 23 | 2, DATA, 0, 7 };

	memcpy(ring.commands, store, sizeof(store));
	__atomic_store_n(&ring.control->tail, sizeof(store), __ATOMIC_RELEASE);
	ring.rung_ns = port_now_ns();
}

/* Until it is done, without help; if that took a worker's whole sleep, the kick was lost. */
static void wait_for_head(void)
{
	while (!__atomic_load_n(&ring.control->head, __ATOMIC_ACQUIRE)) {
		struct port_wq wq;

		port_wq_init(&wq);
		(void)port_wq_wait(&wq, port_wq_prepare(&wq), port_now_ns() + 5000, 0);
	}
	litmus_say("%u%s", rig_read32(lit.bo[0], 0),
		   port_now_ns() - ring.rung_ns > MS / 4 ? ",slow" : "");
}

static void ring_and_kick(void)
{
	ring_doorbell();
	exec_ring_kick(lit.queue[0]);
	wait_for_head();
}

static void kill_ring(void)
{
	exec_queue_kill(lit.queue[0]);
}

static void ring_bell_and_kick(void)
{
	ring_doorbell();
	exec_ring_kick(lit.queue[0]);
}

static void look_at_ring(void)
{
	bool done = __atomic_load_n(&ring.control->head, __ATOMIC_ACQUIRE) != 0;

	litmus_say("%s%s", done ? "done" : "ended",
		   done != (rig_read32(lit.bo[0], 0) == 7) ? ",wrong" : "");
}

static const struct litmus litmuses[] = {
	{ CASE(exec_unmap), warm, { exec_store, unmap_data }, look_at_store,
	  "ok:ok,stored ok:ECANCELED", .without = { .vm = GUARD_TLB } },
	{ CASE(exec_bind_in_fence), with_queues, { bind_then_exec, signal_0 }, look_where_stored,
	  "B", .without = { .vm = GUARD_JOB_FENCES } },
	{ CASE(exec_unmap_in_fence), with_queues, { exec_then_unmap, signal_0 }, nothing, "ok",
	  .without = { .vm = GUARD_IN_FENCES } },
	{ CASE(exec_exec_one_queue), first_behind, { store_2, signal_0 }, look_at_order, "2",
	  .without = { .vm = GUARD_ORDER } },
	{ CASE(exec_exec_by_fence), first_spins, { store_2_after_1, end_spin }, look_at_order, "2",
	  .without = { .vm = GUARD_JOB_FENCES } },
	{ CASE(queue_kill_exec), with_queues, { try_exec, kill_queue }, look_at_job,
	  "ok:ok ok:ECANCELED ECANCELED", .without = { .count = true } },
	{ CASE(queue_kill_exec_behind), with_queues, { try_exec_behind, kill_queue }, look_at_job,
	  "ok:ECANCELED ECANCELED", .without = { .count = true } },
	{ CASE(queue_kill_fence_wait), first_behind, { wait_for_first, kill_queue }, look_at_job,
	  "ok:ECANCELED", .without = { .count = true } },
	{ CASE(queue_kill_signal), first_behind, { kill_queue, signal_0 }, look_at_job,
	  "ok:ECANCELED ok:ok", .without = { .count = true } },
	{ CASE(queue_kill_spinner), spinning, { kill_queue, end_spin_and_help }, look_at_job,
	  "ok:ECANCELED ok:ok", .without = { .count = true } },
	{ CASE(close_vm_exec), with_queues, { try_exec, kill_and_close }, look_at_job,
	  "ok:ok ok:ECANCELED ECANCELED", .without = { .count = true } },
	{ CASE(closed_vm_exec), with_queues, { exec_if_closed, close_only }, nothing, "right",
	  .without = { .vm = GUARD_CLOSED } },
	{ CASE(device_reset_exec), with_spinner, { exec_spinner, reset, end_spin }, look_at_job,
	  "ok:ok ok:ECANCELED", .without = { .count = true } },
	{ CASE(device_reset_new_queue), spinning, { reset, new_queue_runs }, look_at_both,
	  "ok:ECANCELED,ok ok:ECANCELED,ECANCELED", .without = { .count = true } },
	{ CASE(wedge_exec), with_queues, { exec_if_wedged, wedge }, look_at_job,
	  "ok:ok ok:ECANCELED ECANCELED", .by_hand = "device_wedge() bans no queue: late" },
	{ CASE(wedge_new_queue), with_queues, { new_queue_if_wedged, wedge }, nothing, "right",
	  .by_hand = "exec_queue_create() does not look at .wedged: late" },
	{ CASE(job_timeout_kill), hanging, { wait_for_first, kill_later }, look_at_hang,
	  "ECANCELED,EIO ECANCELED,ECANCELED", .without = { .count = true } },
	{ CASE(lr_suspend_kill), long_running, { wait_for_users, kill_queue }, look_if_ended,
	  "ECANCELED,left", .without = { .count = true } },
	{ CASE(lr_suspend_end), long_running, { wait_for_users, end_spin }, look_if_ended,
	  "ok,left", .without = { .count = true } },
	{ CASE(lr_suspend_exec), long_running, { wait_for_users, exec_again }, look_at_two,
	  "ok:ok,ok:ok", .without = { .count = true } },
	{ CASE(lr_suspend_exec_kill), long_running, { wait_for_users, exec_again, kill_queue },
	  look_at_two,
	  "ok:ok,ok:ok ok:ok,ok:ECANCELED ok:ECANCELED,ok:ECANCELED ok:ok,ECANCELED "
	  "ok:ECANCELED,ECANCELED", .without = { .count = true } },
	{ CASE(ring_doorbell_kick_sleep), with_ring, { ring_and_kick }, nothing, "7",
	  .ticks = true,
	  .by_hand = "exec_ring_kick() does not wake: 7,slow" },
	{ CASE(ring_doorbell_kill), with_ring, { ring_bell_and_kick, kill_ring }, look_at_ring,
	  "done ended", .ticks = true, .without = { .count = true } },
};

int main(int argc, char **argv)
{
	return litmus_main(litmuses, ARRAY_LEN(litmuses), argc, argv);
}
