// SPDX-License-Identifier: MIT
/* Where batches go: jumps, levels, conditions, waits, budgets, faults, the spinner, and time. */
#include "rig.h"

static struct rig rig;

#define MI(op, len) ((uint32_t)(op) << 23 | (uint32_t)(len))
#define CS_DST (1u << 19)
#define CS_SRC (1u << 18)
#define GPR(n) (0x600u + 8u * (n))
#define NESTED (1u << 22)
#define PREDICATED (1u << 15)
#define COMPARE (1u << 21)
#define ONE_LEVEL (1u << 18)
#define MASKED (1u << 19)

static void emit_jump(uint64_t addr, uint32_t flags)
{
	emit(&rig, MI(0x31, 1) | 1u << 8 | flags);
	emit_addr(&rig, addr);
}

static void emit_conditional_end(uint64_t addr, uint32_t value, uint32_t flags)
{
	emit(&rig, MI(0x36, 2) | flags);
	emit(&rig, value);
	emit_addr(&rig, addr);
}

static void emit_wait(uint64_t addr, uint32_t value, unsigned op)
{
	emit(&rig, MI(0x1c, 3) | 1u << 15 | op << 12);
	emit(&rig, value);
	emit_addr(&rig, addr);
	emit(&rig, 0);
}

static void emit_lri(uint32_t reg, uint32_t value)
{
	emit(&rig, MI(0x22, 1) | CS_DST);
	emit(&rig, reg);
	emit(&rig, value);
}

static uint32_t data(unsigned index)
{
	return __atomic_load_n(rig_data32(&rig, index * 4), __ATOMIC_ACQUIRE);
}

static void emit_mark(unsigned index)
{
	emit_store(&rig, RIG_DATA + index * 4, 1);
}

static void empty_batch_is_done(void)
{
	rig_init(&rig);
	rig_finish(&rig);
	CHECK(!rig.ctx.running);
	rig_fini(&rig);
}

static void batch_chains_to_another(void)
{
	rig_init(&rig);
	emit_jump(RIG_BATCH + 0x1000, 0);
	emit_mark(0);
	emit_at(&rig, RIG_BATCH + 0x1000);
	emit_mark(1);
	emit_end(&rig);
	CHECK_EQ(rig_run(&rig, 1), GPU_RUN_DONE);
	CHECK_EQ(data(0), 0);
	CHECK_EQ(data(1), 1);
	rig_fini(&rig);
}

static void second_and_third_level_batches_return(void)
{
	rig_init(&rig);
	emit_jump(RIG_BATCH + 0x1000, NESTED);
	emit_mark(0);
	emit_end(&rig);
	emit_at(&rig, RIG_BATCH + 0x1000);
	emit_mark(1);
	emit_jump(RIG_BATCH + 0x2000, NESTED);
	emit_mark(2);
	emit_end(&rig);
	emit_at(&rig, RIG_BATCH + 0x2000);
	emit_mark(3);
	emit_jump(RIG_BATCH + 0x3000, NESTED); /* chains: there is no fourth level */
	emit_mark(4);
	emit_at(&rig, RIG_BATCH + 0x3000);
	emit_mark(5);
	emit_end(&rig);
	CHECK_EQ(rig_run(&rig, 1), GPU_RUN_DONE);
	CHECK_EQ(data(0), 1);
	CHECK_EQ(data(1), 1);
	CHECK_EQ(data(2), 1);
	CHECK_EQ(data(3), 1);
	CHECK_EQ(data(4), 0);
	CHECK_EQ(data(5), 1);
	rig_fini(&rig);
}

static void chain_in_the_second_level_returns_to_the_first(void)
{
	rig_init(&rig);
	emit_jump(RIG_BATCH + 0x1000, NESTED);
	emit_mark(0);
	emit_end(&rig);
	emit_at(&rig, RIG_BATCH + 0x1000);
	emit_jump(RIG_BATCH + 0x2000, 0);
	emit_at(&rig, RIG_BATCH + 0x2000);
	emit_mark(1);
	emit_end(&rig);
	CHECK_EQ(rig_run(&rig, 1), GPU_RUN_DONE);
	CHECK_EQ(data(0), 1);
	CHECK_EQ(data(1), 1);
	rig_fini(&rig);
}

static void clients_cannot_switch_nested_batches_off(void)
{
	rig_init(&rig);
	emit_lri(0x9c, 1u << 28); /* MI_MODE: the mask of bit 12 */
	emit_jump(RIG_BATCH + 0x1000, NESTED);
	emit_mark(0);
	emit_end(&rig);
	emit_at(&rig, RIG_BATCH + 0x1000);
	emit_jump(RIG_BATCH + 0x2000, NESTED);
	emit_mark(1);
	emit_end(&rig);
	emit_at(&rig, RIG_BATCH + 0x2000);
	emit_end(&rig);
	CHECK_EQ(rig_run(&rig, 1), GPU_RUN_DONE);
	CHECK_EQ(data(0), 1);
	CHECK_EQ(data(1), 1);
	rig_fini(&rig);
}

static void persistent_batch_starts_like_any(void)
{
	for (unsigned nested = 0; nested < 2; nested++) {
		rig_init(&rig);
		emit(&rig, MI(0x39, 1) | (nested ? NESTED : 0));
		emit_addr(&rig, RIG_BATCH + 0x1000);
		emit_mark(0);
		emit_end(&rig);
		emit_at(&rig, RIG_BATCH + 0x1000);
		emit_mark(1);
		emit_end(&rig);
		CHECK_EQ(rig_run(&rig, 1), GPU_RUN_DONE);
		CHECK_EQ(data(0), nested);
		CHECK_EQ(data(1), 1);
		rig_fini(&rig);
	}
}

/* A counter in memory that each turn of the loop raises by one, until it is 7. */
static void persistent_batch_can_loop(void)
{
	rig_init(&rig);
	emit(&rig, MI(0x2f, 1) | 5u << 8);
	emit_addr(&rig, RIG_DATA);
	emit_conditional_end(RIG_DATA, 7, COMPARE | 2u << 12);
	emit(&rig, MI(0x39, 1));
	emit_addr(&rig, RIG_BATCH);
	CHECK_EQ(rig_run(&rig, 1), GPU_RUN_DONE);
	CHECK_EQ(data(0), 7);
	rig_fini(&rig);
}

static void conditional_end_goes_on_while_its_comparison_holds(void)
{
	static const bool go_on[6][3] = {
		/* memory 4, 5, 6 against 5 */
		{ false, false, true }, { false, true, true },  { true, false, false },
		{ true, true, false },  { false, true, false }, { true, false, true },
	};

	for (unsigned op = 0; op < 6; op++) {
		for (unsigned i = 0; i < 3; i++) {
			rig_init(&rig);
			*rig_data32(&rig, 8) = 4 + i;
			emit_conditional_end(RIG_DATA + 8, 5, COMPARE | op << 12);
			emit_mark(0);
			rig_finish(&rig);
			CHECK_EQ(data(0), go_on[op][i]);
			rig_fini(&rig);
		}
	}
}

static void conditional_end_without_compare_does_nothing(void)
{
	rig_init(&rig);
	emit_conditional_end(RIG_DATA + 8, 5, 0);
	emit_mark(0);
	rig_finish(&rig);
	CHECK_EQ(data(0), 1);
	rig_fini(&rig);
}

static void conditional_end_can_mask_what_it_compares(void)
{
	rig_init(&rig);
	*rig_data32(&rig, 8) = 0xff00;
	*rig_data32(&rig, 12) = 0x12ff;
	emit_conditional_end(RIG_DATA + 8, 0x11ff, COMPARE | MASKED);
	emit_mark(0); /* 0x1200 is more */
	emit_conditional_end(RIG_DATA + 8, 0x1200, COMPARE | MASKED);
	emit_mark(1);
	rig_finish(&rig);
	CHECK_EQ(data(0), 1);
	CHECK_EQ(data(1), 0);
	rig_fini(&rig);
}

static void conditional_end_ends_one_level_or_all(void)
{
	for (unsigned one = 0; one < 2; one++) {
		rig_init(&rig);
		emit_jump(RIG_BATCH + 0x1000, NESTED);
		emit_mark(0);
		emit_end(&rig);
		emit_at(&rig, RIG_BATCH + 0x1000);
		emit_conditional_end(RIG_DATA + 8, 0, COMPARE | (one ? ONE_LEVEL : 0));
		emit_mark(1);
		emit_end(&rig);
		CHECK_EQ(rig_run(&rig, 1), GPU_RUN_DONE);
		CHECK_EQ(data(0), one);
		CHECK_EQ(data(1), 0);
		rig_fini(&rig);
	}
}

static void conditional_end_of_one_level_goes_up_by_one(void)
{
	rig_init(&rig);
	emit_jump(RIG_BATCH + 0x1000, NESTED);
	emit_mark(0);
	emit_end(&rig);
	emit_at(&rig, RIG_BATCH + 0x1000);
	emit_jump(RIG_BATCH + 0x2000, NESTED);
	emit_mark(1);
	emit_conditional_end(RIG_DATA + 64, 0, COMPARE);
	emit_at(&rig, RIG_BATCH + 0x2000);
	emit_conditional_end(RIG_DATA + 64, 0, COMPARE | ONE_LEVEL);
	emit_mark(2);
	emit_end(&rig);
	CHECK_EQ(rig_run(&rig, 1), GPU_RUN_DONE);
	CHECK_EQ(data(0), 0);
	CHECK_EQ(data(1), 1);
	CHECK_EQ(data(2), 0);
	rig_fini(&rig);
}

static void semaphore_can_take_its_data_from_a_register(void)
{
	for (uint32_t i = 0; i < 2; i++) {
		rig_init(&rig);
		*rig_data32(&rig, 8) = 6 + i;
		emit_lri(GPR(0), 6);
		emit_lri(GPR(0) + 4, 1); /* the low half counts */
		emit(&rig, MI(0x1c, 3) | 1u << 15 | 1u << 17 | 4u << 12);
		emit(&rig, 7);
		emit_addr(&rig, RIG_DATA + 8);
		emit(&rig, 0);
		emit_end(&rig);
		CHECK_EQ(rig_run(&rig, 2), i ? GPU_RUN_POLL : GPU_RUN_DONE);
		rig_fini(&rig);
	}
}

/* Signals, and the tokens that name them, are between engines and a scheduler in firmware. */
static void semaphore_in_signal_mode_needs_no_signal(void)
{
	struct gpu_budget budget = { .commands = 100, .bytes = 4096 };

	rig_init(&rig);
	emit(&rig, MI(0x1b, 0)); /* SEMAPHORE_SIGNAL */
	emit(&rig, 0);
	emit(&rig, MI(0x1c, 3) | 4u << 12);
	emit(&rig, 1);
	emit_addr(&rig, RIG_DATA + 64);
	emit(&rig, 5u << 2);
	emit_mark(0);
	emit_end(&rig);
	CHECK_EQ(rig_run(&rig, 5), GPU_RUN_POLL);
	CHECK_EQ(rig.polls, 5);
	CHECK_EQ(data(0), 0);
	*rig_data32(&rig, 64) = 1;
	CHECK_EQ(gpu_soft_ops.run(&rig.engine, &rig.ctx, &budget), GPU_RUN_DONE);
	CHECK_EQ(data(0), 1);
	rig_fini(&rig);
}

/* The wait of before graphics 20, without a token. */
static void semaphore_may_have_four_dwords(void)
{
	rig_init(&rig);
	emit(&rig, MI(0x1c, 2) | 1u << 15 | 4u << 12);
	emit(&rig, 0);
	emit_addr(&rig, RIG_DATA + 64);
	emit_mark(0);
	rig_finish(&rig);
	CHECK_EQ(data(0), 1);
	rig_fini(&rig);
}

static void semaphore_passes_or_polls_by_its_comparison(void)
{
	static const bool passes[6][3] = {
		/* memory 4, 5, 6 against 5 */
		{ false, false, true }, { false, true, true },  { true, false, false },
		{ true, true, false },  { false, true, false }, { true, false, true },
	};

	for (unsigned op = 0; op < 6; op++) {
		for (unsigned i = 0; i < 3; i++) {
			rig_init(&rig);
			*rig_data32(&rig, 8) = 4 + i;
			emit_wait(RIG_DATA + 8, 5, op);
			emit_end(&rig);
			CHECK_EQ(rig_run(&rig, 2),
				 passes[op][i] ? GPU_RUN_DONE : GPU_RUN_POLL);
			rig_fini(&rig);
		}
	}
}

static void semaphore_waits_where_it_stands_until_memory_changes(void)
{
	struct gpu_budget budget = { .commands = 100, .bytes = 4096 };

	rig_init(&rig);
	emit_mark(0);
	emit_wait(RIG_DATA + 64, 1, 4);
	emit_mark(1);
	emit_end(&rig);
	CHECK_EQ(rig_run(&rig, 5), GPU_RUN_POLL);
	CHECK_EQ(rig.polls, 5);
	CHECK_EQ(rig.ctx.ip, RIG_BATCH + 16);
	CHECK_EQ(data(0), 1);
	CHECK_EQ(data(1), 0);
	*rig_data32(&rig, 64) = 1;
	CHECK_EQ(gpu_soft_ops.run(&rig.engine, &rig.ctx, &budget), GPU_RUN_DONE);
	CHECK_EQ(data(1), 1);
	rig_fini(&rig);
}

static void semaphore_can_poll_a_register(void)
{
	rig_init(&rig);
	emit_lri(GPR(7), 3);
	emit(&rig, MI(0x1c, 3) | 1u << 15 | 1u << 16 | 4u << 12);
	emit(&rig, 3);
	emit_addr(&rig, 0x22000 + GPR(7));
	emit(&rig, 0);
	rig_finish(&rig);
	rig_fini(&rig);
}

static void batch_may_rewrite_what_comes_next(void)
{
	rig_init(&rig);
	/* Replaces the store two commands on, which is in the same fetch, by no-operations. */
	emit(&rig, MI(0x20, 3) | 1u << 21);
	emit_addr(&rig, RIG_BATCH + 20);
	emit_addr(&rig, 0);
	emit(&rig, 0x80000000); /* would fault */
	emit(&rig, 0x80000000);
	emit_mark(0);
	rig_finish(&rig);
	CHECK_EQ(data(0), 1);
	rig_fini(&rig);
}

static void emit_math_sub_inverted(unsigned dst, unsigned a, unsigned b)
{
	emit(&rig, MI(0x1a, 3));
	emit(&rig, 0x080u << 20 | 0x20u << 10 | a);
	emit(&rig, 0x080u << 20 | 0x21u << 10 | b);
	emit(&rig, 0x101u << 20);
	emit(&rig, 0x580u << 20 | dst << 10 | 0x31);
}

static void emit_move_context_time(unsigned gpr)
{
	emit(&rig, MI(0x2a, 1) | CS_DST | CS_SRC);
	emit(&rig, 0x3a8);
	emit(&rig, GPR(gpr));
}

/* The loop the test suites keep an engine busy with; @ticks: and end by itself after so many. */
static void emit_spinner(uint64_t start, uint64_t end, uint64_t delta, uint32_t ticks)
{
	uint64_t loop;

	if (ticks) {
		emit_lri(GPR(0) + 4, 0);
		emit_move_context_time(0);
	}
	loop = emit_here(&rig);
	emit_store(&rig, start, 0xc0ffee);
	emit(&rig, MI(0x05, 0));
	if (ticks) {
		emit_lri(GPR(1) + 4, 0);
		emit_move_context_time(1);
		emit_math_sub_inverted(1, 1, 0);
		emit(&rig, MI(0x24, 2) | CS_DST);
		emit(&rig, GPR(1));
		emit_addr(&rig, delta);
		for (unsigned i = 0; i < 8; i++) {
			emit_store(&rig, delta + 8, 0xc0ffee);
		}
		emit_conditional_end(delta, ~ticks, COMPARE);
	}
	emit_conditional_end(end, 0, COMPARE);
	emit_jump(loop, 0);
}

static void clear_word(void *arg)
{
	/* Until the spinner has been seen running, as its users do. */
	while (__atomic_load_n(rig_data32(&rig, 0), __ATOMIC_ACQUIRE) != 0xc0ffee) {
		port_relax();
	}
	__atomic_store_n((uint32_t *)arg, 0, __ATOMIC_RELEASE);
}

static void spinner_ends_when_a_client_clears_its_word(void)
{
	struct port_thread *thread;

	rig_init(&rig);
	*rig_data32(&rig, 64) = UINT32_MAX;
	emit_spinner(RIG_DATA, RIG_DATA + 64, 0, 0);
	CHECK_OK(port_thread_create(&thread, "client", clear_word, rig_data32(&rig, 64)));
	CHECK_EQ(rig_run(&rig, UINT32_MAX), GPU_RUN_DONE);
	port_thread_join(thread);
	CHECK_EQ(data(0), 0xc0ffee);
	rig_fini(&rig);
}

static void spinner_polls_once_in_a_turn(void)
{
	struct gpu_budget budget = { .commands = 1000, .bytes = 1 << 20 };

	rig_init(&rig);
	*rig_data32(&rig, 64) = UINT32_MAX;
	emit_spinner(RIG_DATA, RIG_DATA + 64, 0, 0);
	gpu_soft_ops.start(&rig.ctx, RIG_BATCH);
	for (unsigned i = 0; i < 10; i++) {
		CHECK_EQ(gpu_soft_ops.run(&rig.engine, &rig.ctx, &budget), GPU_RUN_POLL);
		CHECK_EQ(rig.ctx.ip, RIG_BATCH);
	}
	CHECK_EQ(budget.commands, 1000 - 10 * 4);
	rig_fini(&rig);
}

static void spinner_with_a_time_ends_by_itself(void)
{
	uint64_t before;

	rig_init(&rig);
	*rig_data32(&rig, 64) = UINT32_MAX;
	emit_spinner(RIG_DATA, RIG_DATA + 64, RIG_DATA + 128, 1920); /* 100 us */
	before = port_now_ns();
	CHECK_EQ(rig_run(&rig, UINT32_MAX), GPU_RUN_DONE);
	CHECK(port_now_ns() - before >= 100000);
	CHECK(rig.ctx.runtime_ns >= 100000);
	CHECK_EQ(data(16), UINT32_MAX);
	rig_fini(&rig);
}

static void loop_that_changes_memory_by_atomics_does_not_poll_every_turn(void)
{
	rig_init(&rig);
	emit(&rig, MI(0x2f, 1) | 5u << 8);
	emit_addr(&rig, RIG_DATA);
	emit(&rig, MI(0x09, 3));
	emit_conditional_end(RIG_DATA, 29, COMPARE | 5u << 12);
	emit_jump(RIG_BATCH, 0);
	CHECK_EQ(rig_run(&rig, 1), GPU_RUN_DONE);
	CHECK_EQ(data(0), 29);
	rig_fini(&rig);
}

static void endless_loop_polls_now_and_then(void)
{
	rig_init(&rig);
	emit_jump(RIG_BATCH, 0);
	CHECK_EQ(rig_run(&rig, 3), GPU_RUN_POLL);
	CHECK_EQ(rig.ctx.loops, 3 * 32);
	rig_fini(&rig);
}

static void predicate_combines_comparisons(void)
{
	static const struct {
		uint32_t command;
		uint32_t src0, src1, old, result;
	} t[] = {
		{ 2u << 6 | 0, 0, 0, 0, 1 },              /* load true */
		{ 2u << 6 | 1, 0, 0, 1, 0 },              /* load false */
		{ 2u << 6 | 2, 7, 7, 0, 1 },              /* equal */
		{ 3u << 6 | 2, 7, 7, 1, 0 },              /* not equal */
		{ 3u << 6 | 2, 7, 8, 0, 1 },
		{ 2u << 6 | 1u << 3 | 2, 7, 7, 0, 0 },    /* and */
		{ 2u << 6 | 2u << 3 | 2, 7, 8, 1, 1 },    /* or */
		{ 2u << 6 | 3u << 3 | 2, 7, 7, 1, 0 },    /* exclusive or */
		{ 0u << 6 | 2, 7, 7, 0, 0 },              /* keep */
		{ 2u << 6 | 3, 5, 3, 0, 1 },              /* difference is DATA, 2 */
	};

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		rig_init(&rig);
		emit_lri(0x400, t[i].src0);
		emit_lri(0x408, t[i].src1);
		emit_lri(0x410, 2);
		emit_lri(0x418, t[i].old);
		emit(&rig, MI(0x0c, t[i].command));
		emit(&rig, MI(0x24, 2) | CS_DST);
		emit(&rig, 0x418);
		emit_addr(&rig, RIG_DATA);
		rig_finish(&rig);
		CHECK_EQ(data(0), t[i].result);
		rig_fini(&rig);
	}
}

static void set_predicate_switches_commands_off(void)
{
	static const struct {
		uint32_t mode, result, result2;
		bool off;
	} t[] = {
		{ 0, 0, 0, false },  { 1, 0, 0, true }, { 1, 0, 1, false }, { 2, 0, 1, true },
		{ 2, 0, 0, false },  { 3, 0, 0, true }, { 3, 1, 0, false }, { 4, 1, 0, true },
		{ 4, 0, 0, false },  { 15, 0, 0, true },
	};

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		rig_init(&rig);
		emit_lri(0x418, t[i].result);
		emit_lri(0x3bc, t[i].result2);
		emit(&rig, MI(0x01, t[i].mode));
		emit_mark(0);
		emit_jump(emit_here(&rig) + 12 + 16, PREDICATED);
		emit_mark(1);
		emit(&rig, MI(0x01, 0));
		emit_mark(2);
		rig_finish(&rig);
		CHECK_EQ(data(0), !t[i].off);
		CHECK_EQ(data(1), 0);
		CHECK_EQ(data(2), 1);
		rig_fini(&rig);
	}
}

static void predicated_jump_is_not_taken_when_off(void)
{
	rig_init(&rig);
	emit(&rig, MI(0x01, 15));
	emit_jump(RIG_BATCH + 0x1000, PREDICATED);
	emit(&rig, MI(0x01, 0));
	emit_mark(0);
	emit_end(&rig);
	CHECK_EQ(rig_run(&rig, 1), GPU_RUN_DONE);
	CHECK_EQ(data(0), 1);
	rig_fini(&rig);
}

static void ends_are_taken_when_off_unless_predicated(void)
{
	for (unsigned predicated = 0; predicated < 2; predicated++) {
		uint32_t flag = predicated ? PREDICATED : 0;

		rig_init(&rig);
		emit(&rig, MI(0x01, 15));
		emit(&rig, MI(0x0a, 0) | flag);
		emit(&rig, MI(0x01, 0));
		emit_mark(0);
		rig_finish(&rig);
		CHECK_EQ(data(0), predicated);
		rig_fini(&rig);

		rig_init(&rig);
		emit(&rig, MI(0x01, 15));
		emit_conditional_end(RIG_DATA + 64, 0, COMPARE | flag);
		emit(&rig, MI(0x01, 0));
		emit_mark(0);
		rig_finish(&rig);
		CHECK_EQ(data(0), predicated);
		rig_fini(&rig);
	}
}

static void predicated_register_store_looks_at_the_result(void)
{
	for (uint32_t result = 0; result < 2; result++) {
		rig_init(&rig);
		emit_lri(0x418, result);
		emit_lri(GPR(0), 5);
		emit(&rig, MI(0x24, 2) | CS_DST | 1u << 21);
		emit(&rig, GPR(0));
		emit_addr(&rig, RIG_DATA);
		rig_finish(&rig);
		CHECK_EQ(data(0), result ? 5 : 0);
		rig_fini(&rig);
	}
}

static void fault_stops_at_its_command_and_can_be_retried(void)
{
	uint64_t va = SZ_1G * 8;
	struct gpu_budget budget = { .commands = 100, .bytes = 4096 };

	rig_init(&rig);
	emit_mark(0);
	emit_store(&rig, va, 6);
	emit_mark(1);
	emit_end(&rig);
	CHECK_EQ(rig_run(&rig, 1), GPU_RUN_FAULT);
	CHECK_EQ(rig.ctx.fault.address, va);
	CHECK_EQ(rig.ctx.fault.access, GPU_WRITE);
	CHECK_EQ(rig.ctx.fault.type, GPU_FAULT_NOT_PRESENT);
	CHECK_EQ(rig.ctx.ip, RIG_BATCH + 16);
	CHECK(!rig.ctx.running);
	CHECK_EQ(data(0), 1);
	CHECK_EQ(data(1), 0);
	rig_map(&rig, va, 0, false, (RIG_PHYS + 0x400000) | E_RW);
	gpu_soft_ops.retry(&rig.ctx);
	CHECK_EQ(gpu_soft_ops.run(&rig.engine, &rig.ctx, &budget), GPU_RUN_DONE);
	CHECK_EQ(rig_read32(&rig, va), 6);
	CHECK_EQ(data(1), 1);
	rig_fini(&rig);
}

static void batch_that_runs_off_its_mapping_faults(void)
{
	rig_init(&rig);
	emit_at(&rig, RIG_BATCH + RIG_BATCH_B - 16);
	emit_mark(0);
	rig.emitted = 0;
	emit_jump(RIG_BATCH + RIG_BATCH_B - 16, 0);
	CHECK_EQ(rig_run(&rig, 1), GPU_RUN_FAULT);
	CHECK_EQ(rig.ctx.fault.address, RIG_BATCH + RIG_BATCH_B);
	CHECK_EQ(rig.ctx.fault.access, GPU_READ);
	CHECK_EQ(data(0), 1);
	rig_fini(&rig);
}

static void command_may_lie_across_a_page(void)
{
	for (uint64_t off = 4; off <= 12; off += 4) {
		rig_init(&rig);
		emit_jump(RIG_BATCH + 0x1000 - off, 0);
		emit_at(&rig, RIG_BATCH + 0x1000 - off);
		emit_mark(0);
		emit_end(&rig);
		CHECK_EQ(rig_run(&rig, 1), GPU_RUN_DONE);
		CHECK_EQ(data(0), 1);
		rig_fini(&rig);
	}
}

/* A bit of everything that leaves its traces in memory and registers. */
static void emit_program(void)
{
	emit_lri(GPR(0), 100);
	emit_lri(GPR(1), 1);
	emit_jump(RIG_BATCH + 0x1000, NESTED);
	emit(&rig, MI(0x2f, 1) | 5u << 8 | 1u << 16);
	emit_addr(&rig, RIG_DATA + 32);
	emit_math_sub_inverted(2, 0, 1);
	emit(&rig, MI(0x24, 2) | CS_DST);
	emit(&rig, GPR(2));
	emit_addr(&rig, RIG_DATA + 36);
	emit_end(&rig);
	emit_at(&rig, RIG_BATCH + 0x1000);
	emit(&rig, MI(0x2f, 1) | 5u << 8);
	emit_addr(&rig, RIG_DATA);
	emit_conditional_end(RIG_DATA, 40, COMPARE | 5u << 12 | ONE_LEVEL);
	emit_jump(RIG_BATCH + 0x1000, 0);
}

static void budget_of_one_command_ends_where_one_go_ends(void)
{
	uint8_t data_in_one_go[256];
	uint64_t gpr_in_one_go[GPU_GPRS];
	enum gpu_run ret;
	unsigned runs = 0;

	rig_init(&rig);
	emit_program();
	CHECK_EQ(rig_run(&rig, 10), GPU_RUN_DONE);
	memcpy(data_in_one_go, rig_data32(&rig, 0), sizeof(data_in_one_go));
	memcpy(gpr_in_one_go, rig.ctx.gpr, sizeof(gpr_in_one_go));
	CHECK_EQ(data(0), 40);
	rig_fini(&rig);

	rig_init(&rig);
	emit_program();
	gpu_soft_ops.start(&rig.ctx, RIG_BATCH);
	do {
		struct gpu_budget budget = { .commands = 1, .bytes = 1 };

		ret = gpu_soft_ops.run(&rig.engine, &rig.ctx, &budget);
		CHECK_EQ(budget.commands, 0);
		runs++;
	} while (ret == GPU_RUN_MORE || ret == GPU_RUN_POLL);
	CHECK_EQ(ret, GPU_RUN_DONE);
	CHECK_EQ(runs, 3 + 40 * 3 - 1 + 4);
	CHECK(memcmp(data_in_one_go, rig_data32(&rig, 0), sizeof(data_in_one_go)) == 0);
	CHECK(memcmp(gpr_in_one_go, rig.ctx.gpr, sizeof(gpr_in_one_go)) == 0);
	rig_fini(&rig);
}

static void empty_budget_does_nothing(void)
{
	struct gpu_budget none = { .commands = 0, .bytes = 1 << 20 };
	struct gpu_budget no_bytes = { .commands = 10, .bytes = 0 };

	rig_init(&rig);
	emit_mark(0);
	emit_end(&rig);
	gpu_soft_ops.start(&rig.ctx, RIG_BATCH);
	CHECK_EQ(gpu_soft_ops.run(&rig.engine, &rig.ctx, &none), GPU_RUN_MORE);
	CHECK_EQ(gpu_soft_ops.run(&rig.engine, &rig.ctx, &no_bytes), GPU_RUN_MORE);
	CHECK_EQ(data(0), 0);
	rig_fini(&rig);
}

static void budget_of_bytes_is_charged_for_memory(void)
{
	struct gpu_budget budget = { .commands = 10, .bytes = 6 };

	rig_init(&rig);
	emit_mark(0);
	emit_mark(1);
	emit_mark(2);
	emit_end(&rig);
	gpu_soft_ops.start(&rig.ctx, RIG_BATCH);
	CHECK_EQ(gpu_soft_ops.run(&rig.engine, &rig.ctx, &budget), GPU_RUN_MORE);
	CHECK_EQ(budget.bytes, 0);
	CHECK_EQ(budget.commands, 8);
	CHECK_EQ(data(1), 1);
	CHECK_EQ(data(2), 0);
	rig_fini(&rig);
}

static void two_contexts_share_an_engine_and_no_registers(void)
{
	struct gpu_context other;
	enum gpu_run a, b;

	rig_init(&rig);
	emit_program();
	gpu_soft_ops.context_init(&other, &rig.vm, 20);
	gpu_soft_ops.start(&rig.ctx, RIG_BATCH);
	gpu_soft_ops.start(&other, RIG_BATCH + 0x2000);
	emit_at(&rig, RIG_BATCH + 0x2000);
	for (unsigned i = 0; i < 8; i++) {
		emit_lri(GPR(i), 0xdead);
	}
	emit_end(&rig);
	do {
		struct gpu_budget budget = { .commands = 1, .bytes = 100 };

		a = rig.ctx.running ? gpu_soft_ops.run(&rig.engine, &rig.ctx, &budget) : 0;
		budget.commands = 1;
		b = other.running ? gpu_soft_ops.run(&rig.engine, &other, &budget) : 0;
		CHECK(a != GPU_RUN_FAULT && b != GPU_RUN_FAULT);
	} while (rig.ctx.running || other.running);
	CHECK_EQ(data(9), (uint32_t)~99u);
	CHECK_EQ(other.gpr[7], 0xdead);
	rig_fini(&rig);
}

static void run_for(struct gpu_context *ctx)
{
	struct gpu_budget budget = { .commands = 100, .bytes = 100 };

	CHECK_EQ(gpu_soft_ops.run(&rig.engine, ctx, &budget), GPU_RUN_POLL);
}

static void pass_time(uint64_t ns)
{
	uint64_t until = port_now_ns() + ns;

	while (port_now_ns() < until) {
		port_relax();
	}
}

/* What it would have had of the engine in between is its owner's to say. */
static void waiting_context_is_charged_for_its_runs_alone(void)
{
	uint64_t before;

	rig_init(&rig);
	emit_wait(RIG_DATA, 1, 4);
	gpu_soft_ops.start(&rig.ctx, RIG_BATCH);
	run_for(&rig.ctx);
	before = rig.ctx.runtime_ns;
	pass_time(100000);
	CHECK_EQ(rig.ctx.runtime_ns, before);
	run_for(&rig.ctx);
	/* Only virtual time is exact. */
	CHECK(!test_is_sim() || rig.ctx.runtime_ns == before);
	CHECK(rig.engine.last_ns >= before + 100000);
	rig_fini(&rig);
}

static void registers_of_each_engine_are_where_the_hardware_has_them(void)
{
	static const struct {
		enum gpu_class class;
		uint16_t instance;
		uint32_t base;
	} t[] = {
		{ GPU_CLASS_RENDER, 0, 0x2000 },        { GPU_CLASS_COPY, 0, 0x22000 },
		{ GPU_CLASS_VIDEO_DECODE, 0, 0x1c0000 }, { GPU_CLASS_VIDEO_DECODE, 1, 0x1c4000 },
		{ GPU_CLASS_VIDEO_ENHANCE, 0, 0x1c8000 }, { GPU_CLASS_COMPUTE, 0, 0x1a000 },
		{ GPU_CLASS_COMPUTE, 1, 0x1c000 },
	};

	rig_init(&rig);
	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		const struct gpu_mem_ops *ops = rig.engine.mem_ops;

		gpu_engine_init(&rig.engine, t[i].class, t[i].instance, ops, &rig);
		CHECK_EQ(rig.engine.mmio_base, t[i].base);
		CHECK_EQ(rig.engine.clock_hz, 19200000);
	}
	rig_fini(&rig);
}

static const struct test_case cases[] = {
	TEST(empty_batch_is_done),
	TEST(batch_chains_to_another),
	TEST(second_and_third_level_batches_return),
	TEST(chain_in_the_second_level_returns_to_the_first),
	TEST(clients_cannot_switch_nested_batches_off),
	TEST(persistent_batch_starts_like_any),
	TEST(persistent_batch_can_loop),
	TEST(conditional_end_goes_on_while_its_comparison_holds),
	TEST(conditional_end_without_compare_does_nothing),
	TEST(conditional_end_can_mask_what_it_compares),
	TEST(conditional_end_ends_one_level_or_all),
	TEST(conditional_end_of_one_level_goes_up_by_one),
	TEST(semaphore_passes_or_polls_by_its_comparison),
	TEST(semaphore_waits_where_it_stands_until_memory_changes),
	TEST(semaphore_can_poll_a_register),
	TEST(semaphore_can_take_its_data_from_a_register),
	TEST(semaphore_in_signal_mode_needs_no_signal),
	TEST(semaphore_may_have_four_dwords),
	TEST(batch_may_rewrite_what_comes_next),
	TEST(spinner_ends_when_a_client_clears_its_word),
	TEST(spinner_polls_once_in_a_turn),
	TEST(spinner_with_a_time_ends_by_itself),
	TEST(loop_that_changes_memory_by_atomics_does_not_poll_every_turn),
	TEST(endless_loop_polls_now_and_then),
	TEST(predicate_combines_comparisons),
	TEST(set_predicate_switches_commands_off),
	TEST(predicated_jump_is_not_taken_when_off),
	TEST(ends_are_taken_when_off_unless_predicated),
	TEST(predicated_register_store_looks_at_the_result),
	TEST(fault_stops_at_its_command_and_can_be_retried),
	TEST(batch_that_runs_off_its_mapping_faults),
	TEST(command_may_lie_across_a_page),
	TEST(budget_of_one_command_ends_where_one_go_ends),
	TEST(empty_budget_does_nothing),
	TEST(budget_of_bytes_is_charged_for_memory),
	TEST(two_contexts_share_an_engine_and_no_registers),
	TEST(waiting_context_is_charged_for_its_runs_alone),
	TEST(registers_of_each_engine_are_where_the_hardware_has_them),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
