// SPDX-License-Identifier: MIT
/* Commands from a ring: where they come from, what they call, what is none (B21). */
#include "rig.h"

static struct rig rig;

#define RING RIG_BATCH
#define RING_B ((uint64_t)0x1000)
#define CODE (RIG_BATCH + 0x1000) /* batches that the ring calls */
#define CONTROL (RIG_DATA + 0x8000)
#define WORDS 16

#define MI(op, len) ((uint32_t)(op) << 23 | (uint32_t)(len))
#define MI_END MI(0x0a, 0)
#define SECOND_LEVEL (1u << 22)

static uint64_t written; /* where the client's next command goes */

static struct gpu_ring_control *control(void)
{
	return (struct gpu_ring_control *)(void *)rig_data64(&rig, CONTROL - RIG_DATA);
}

static uint64_t head(void)
{
	return __atomic_load_n(&control()->head, __ATOMIC_ACQUIRE);
}

static uint32_t word(unsigned i)
{
	return __atomic_load_n(rig_data32(&rig, 4 * i), __ATOMIC_ACQUIRE);
}

static void begin(void)
{
	const struct gpu_ring ring = { .va = RING, .size_B = RING_B, .control_va = CONTROL };

	rig_init(&rig);
	written = 0;
	gpu_soft_ops.start_ring(&rig.ctx, &ring);
}

static void put(uint32_t dw)
{
	emit_at(&rig, RING + written % RING_B);
	emit(&rig, dw);
	written += 4;
}

static void put_addr(uint64_t addr)
{
	put((uint32_t)addr);
	put((uint32_t)(addr >> 32));
}

static void put_store(unsigned i, uint32_t value)
{
	put(MI(0x20, 2));
	put_addr(RIG_DATA + 4 * i);
	put(value);
}

static void put_call(uint64_t addr, uint32_t flags)
{
	put(MI(0x31, 1) | 1u << 8 | flags);
	put_addr(addr);
}

static void doorbell(void)
{
	if (written % 8) {
		put(0);
	}
	__atomic_store_n(&control()->tail, written, __ATOMIC_RELEASE);
}

static enum gpu_run run_some(uint32_t commands, uint64_t bytes)
{
	struct gpu_budget budget = { .commands = commands, .bytes = bytes };

	return gpu_soft_ops.run(&rig.engine, &rig.ctx, &budget);
}

static enum gpu_run run(void)
{
	return run_some(100000, 1 << 30);
}

/* Nothing is left to do, and that has been told. */
static void check_dry(void)
{
	CHECK_EQ(run(), GPU_RUN_POLL);
	CHECK(gpu_context_is_dry(&rig.ctx));
	CHECK_EQ(head(), written);
}

static void test_B21_commands_are_taken_up_to_the_tail(void)
{
	begin();
	check_dry();
	put_store(0, 1);
	put_store(1, 2);
	CHECK_EQ(run(), GPU_RUN_POLL); /* nobody has rung */
	CHECK_EQ(word(0), 0);
	CHECK_EQ(head(), 0);
	doorbell();
	put_store(2, 3);
	CHECK_EQ(run(), GPU_RUN_POLL);
	CHECK(word(0) == 1 && word(1) == 2 && word(2) == 0);
	CHECK_EQ(head(), 32);
	doorbell();
	check_dry();
	CHECK_EQ(word(2), 3);
	/* From a step that its budget ends the head is told as well. */
	for (unsigned i = 0; i < 10; i++) {
		put_store(i, 7);
	}
	doorbell();
	CHECK_EQ(run_some(4, 1 << 20), GPU_RUN_MORE);
	CHECK_EQ(head(), written - 6 * 16);
	CHECK(word(3) == 7 && word(4) == 0);
	check_dry();
	rig_fini(&rig);
}

static void test_B21_the_ring_goes_round(void)
{
	begin();
	for (unsigned i = 0; i < 5 * RING_B / 16; i++) {
		put_store(i % WORDS, i + 1);
		doorbell();
		check_dry();
		CHECK_EQ(word(i % WORDS), i + 1);
	}
	/* All of it at once, from the middle on. */
	put_store(0, 0);
	doorbell();
	check_dry();
	for (unsigned i = 0; i < RING_B / 16; i++) {
		put_store(i % WORDS, i);
	}
	doorbell();
	check_dry();
	for (unsigned i = 0; i < WORDS; i++) {
		CHECK_EQ(word(i), RING_B / 16 - WORDS + i);
	}
	rig_fini(&rig);
}

static void test_B21_a_batch_comes_back_to_the_ring(void)
{
	begin();
	emit_at(&rig, CODE);
	emit_store(&rig, RIG_DATA, 1);
	emit(&rig, MI(0x31, 1) | 1u << 8 | SECOND_LEVEL);
	emit_addr(&rig, CODE + 0x100);
	emit_store(&rig, RIG_DATA + 4, 2);
	emit(&rig, MI(0x31, 1) | 1u << 8); /* chains: it is still the same call */
	emit_addr(&rig, CODE + 0x200);
	emit_at(&rig, CODE + 0x100);
	emit_store(&rig, RIG_DATA + 8, 3);
	emit(&rig, MI_END);
	emit_at(&rig, CODE + 0x200);
	emit_store(&rig, RIG_DATA + 12, 4);
	emit(&rig, MI(0x36, 2) | 1u << 21 | 4u << 12); /* goes on only if word 5 is 1 */
	emit(&rig, 1);
	emit_addr(&rig, RIG_DATA + 20);
	emit_store(&rig, RIG_DATA + 24, 6);
	emit(&rig, MI_END);
	put_call(CODE, 0);
	put_store(4, 5);
	put_store(5, 1);
	put_call(CODE, SECOND_LEVEL); /* below the first level there is only the first */
	put_store(7, 7);
	doorbell();
	CHECK_EQ(run_some(11, 1 << 20), GPU_RUN_MORE);
	CHECK_EQ(word(6), 0);
	CHECK_EQ(word(4), 5);
	check_dry();
	for (unsigned i = 0; i < 8; i++) {
		CHECK_EQ(word(i), i == 5 ? 1 : i == 6 ? 6 : i == 7 ? 7 : i + 1);
	}
	rig_fini(&rig);
}

/* While a batch runs the head stays at its call. */
static void test_B21_the_head_is_behind_what_has_been_executed(void)
{
	begin();
	emit_at(&rig, CODE);
	emit(&rig, MI(0x1c, 3) | 1u << 15 | 4u << 12); /* waits until word 1 is 1 */
	emit(&rig, 1);
	emit_addr(&rig, RIG_DATA + 4);
	emit(&rig, 0);
	emit(&rig, MI_END);
	put_store(0, 1);
	put_call(CODE, 0);
	doorbell();
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(run(), GPU_RUN_POLL);
		CHECK(!gpu_context_is_dry(&rig.ctx));
		CHECK_EQ(head(), 16);
	}
	*rig_data32(&rig, 4) = 1;
	check_dry();
	/* The same in the ring itself. */
	put_store(0, 2);
	put(MI(0x1c, 3) | 1u << 15 | 4u << 12);
	put(2);
	put_addr(RIG_DATA + 4);
	put(0);
	put_store(2, 3);
	doorbell();
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(run(), GPU_RUN_POLL);
		CHECK(!gpu_context_is_dry(&rig.ctx));
		CHECK_EQ(head(), 32 + 16);
		CHECK(word(0) == 2 && word(2) == 0);
	}
	*rig_data32(&rig, 4) = 2;
	check_dry();
	CHECK_EQ(word(2), 3);
	rig_fini(&rig);
}

static void test_B21_a_batch_leaves_no_predication_behind(void)
{
	begin();
	emit_at(&rig, CODE);
	emit(&rig, MI(0x01, 15)); /* nothing is executed from here on */
	emit_store(&rig, RIG_DATA, 1);
	emit(&rig, MI_END);
	put_call(CODE, 0);
	put_store(1, 2);
	doorbell();
	check_dry();
	CHECK(word(0) == 0 && word(1) == 2);
	rig_fini(&rig);
}

/* Calls are no loops, though the batch may be at a lower address. */
static void test_B21_calls_do_not_poll(void)
{
	begin();
	emit_at(&rig, CODE);
	emit(&rig, MI_END);
	for (unsigned i = 0; i < 200; i++) {
		put_call(CODE, 0);
		put(0);
	}
	doorbell();
	CHECK_EQ(run_some(600, 1 << 20), GPU_RUN_MORE);
	check_dry();
	rig_fini(&rig);
	/* With the ring behind the batch. */
	rig_init(&rig);
	written = 0;
	gpu_soft_ops.start_ring(&rig.ctx, &(struct gpu_ring){ .va = RIG_BATCH + 0x1000,
							      .size_B = RING_B,
							      .control_va = CONTROL });
	emit_at(&rig, RIG_BATCH);
	emit(&rig, MI_END);
	for (unsigned i = 0; i < 200; i++) {
		emit_at(&rig, RIG_BATCH + 0x1000 + 16 * i);
		emit(&rig, MI(0x31, 1) | 1u << 8);
		emit_addr(&rig, RIG_BATCH);
		emit(&rig, 0);
	}
	control()->tail = 200 * 16;
	CHECK_EQ(run_some(600, 1 << 20), GPU_RUN_MORE);
	rig_fini(&rig);
}

static void test_B21_a_copy_in_the_ring_is_left_half_done(void)
{
	enum { N = 0x2000 };

	begin();
	for (unsigned i = 0; i < N; i++) {
		((uint8_t *)rig_data32(&rig, 0x1000))[i] = (uint8_t)(i * 7);
	}
	put_store(0, 1);
	put(2u << 29 | 0x5au << 22 | 8); /* MEM_COPY, linear */
	put(N - 1);
	put(0);
	put(0);
	put(0);
	put_addr(RIG_DATA + 0x1000);
	put_addr(RIG_DATA + 0x4000);
	put(0);
	put_store(1, 2);
	doorbell();
	CHECK_EQ(run_some(100, 16 + 0x800), GPU_RUN_MORE);
	CHECK_EQ(head(), 16);
	CHECK_EQ(word(1), 0);
	while (run_some(100, 0x800) == GPU_RUN_MORE) {
		CHECK(head() == 16 || word(1) == 2);
	}
	check_dry();
	CHECK_EQ(memcmp(rig_data32(&rig, 0x1000), rig_data32(&rig, 0x4000), N), 0);
	CHECK_EQ(word(1), 2);
	rig_fini(&rig);
}

/* ---- what is none ---------------------------------------------------------------------------- */

static void expect_bad(uint64_t address)
{
	CHECK_EQ(run(), GPU_RUN_FAULT);
	CHECK_EQ(rig.ctx.fault.type, GPU_FAULT_COMMAND);
	CHECK_EQ(rig.ctx.fault.address, address);
	rig_fini(&rig);
}

static void fill(unsigned stores)
{
	for (unsigned i = 0; i < stores; i++) {
		put_store(0, i);
	}
	doorbell();
	check_dry();
}

static void test_B21_tails_that_are_none(void)
{
	static const int64_t wrong[] = { -8, -1, 1, 4, 12, RING_B + 8, RING_B + 1, INT64_MAX,
					 INT64_MIN, -(int64_t)RING_B };

	for (unsigned i = 0; i < ARRAY_LEN(wrong); i++) {
		begin();
		fill(3);
		control()->tail = written + (uint64_t)wrong[i];
		expect_bad(CONTROL);
	}
	/* The first and the last that are. */
	begin();
	fill(3);
	control()->tail = written;
	CHECK_EQ(run(), GPU_RUN_POLL);
	memset(rig_at(&rig, RIG_PHYS + RING), 0, RING_B);
	written += RING_B;
	control()->tail = written;
	check_dry();
	rig_fini(&rig);
}

static void test_B21_commands_that_do_not_fit(void)
{
	/* A store that goes on beyond the tail, and one beyond the ring's end. */
	begin();
	put_store(0, 1);
	control()->tail = 8;
	expect_bad(RING);
	begin();
	fill(RING_B / 16 - 1);
	put(0);
	put(0);
	put_store(0, 1);
	doorbell();
	expect_bad(RING + RING_B - 8);
	/* Nor one that would fill the ring and more, nor none at all. */
	begin();
	put(MI(0x20, 0x3ff));
	control()->tail = RING_B;
	expect_bad(RING);
	begin();
	put(0x80000000);
	doorbell();
	expect_bad(RING);
	/* One that fills it goes. */
	begin();
	put(MI(0x20, 0x3fe));
	put_addr(RIG_DATA);
	written = RING_B;
	doorbell();
	check_dry();
	rig_fini(&rig);
}

static void test_B21_the_ring_has_no_end(void)
{
	begin();
	put(MI_END);
	doorbell();
	expect_bad(RING);
	begin();
	put(MI(0x36, 2) | 1u << 21 | 4u << 12); /* would end it: word 0 is not 1 */
	put(1);
	put_addr(RIG_DATA);
	doorbell();
	expect_bad(RING);
}

static void test_B21_memory_that_is_not_there(void)
{
	static const struct {
		uint64_t ring, control, at;
		enum gpu_access access;
	} t[] = {
		{ RING, 0x40000000, 0x40000000, GPU_READ },
		{ 0x40000000, CONTROL, 0x40000000, GPU_READ },
		{ RING, RIG_DATA + RIG_DATA_B - 8, RIG_DATA + RIG_DATA_B, GPU_WRITE },
	};

	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		const struct gpu_ring ring = { .va = t[i].ring, .size_B = RING_B,
					       .control_va = t[i].control };

		begin();
		gpu_soft_ops.start_ring(&rig.ctx, &ring);
		control()->tail = 8;
		*rig_data64(&rig, RIG_DATA_B - 8) = 8;
		CHECK_EQ(run(), GPU_RUN_FAULT);
		CHECK_EQ(rig.ctx.fault.type, GPU_FAULT_NOT_PRESENT);
		CHECK_EQ(rig.ctx.fault.access, t[i].access);
		CHECK_EQ(rig.ctx.fault.address, t[i].at);
		rig_fini(&rig);
	}
}

/* A context that had a ring is none any more when it is started at a batch. */
static void test_B21_a_batch_after_a_ring_ends(void)
{
	begin();
	fill(3);
	emit_at(&rig, RIG_BATCH);
	emit_store(&rig, RIG_DATA + 4, 9);
	rig_finish(&rig);
	CHECK_EQ(word(1), 9);
	rig_fini(&rig);
}

/* ---- at random ------------------------------------------------------------------------------- */

static uint64_t drawn;

static unsigned draw(unsigned below)
{
	drawn = drawn * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)((drawn >> 33) % below);
}

/* Batch @i of CODE stores to word @i. */
static void write_batches(void)
{
	for (unsigned i = 0; i < WORDS; i++) {
		emit_at(&rig, CODE + 64 * i);
		emit_store(&rig, RIG_DATA + 4 * i, 1000000 + i);
		emit(&rig, MI_END);
	}
}

static void put_room(unsigned dwords)
{
	while (RING_B - written % RING_B < 4 * dwords) {
		put(0);
	}
}

/* One command; what words are then. */
static void put_any(uint32_t *model, uint32_t value)
{
	unsigned i = draw(WORDS);

	switch (draw(4)) {
	case 0:
		put(0);
		break;
	case 1:
		put_room(3);
		put_call(CODE + 64 * i, 0);
		model[i] = 1000000 + i;
		break;
	case 2: /* long */
		i = draw(WORDS - 8);
		put_room(11);
		put(MI(0x20, 9));
		put_addr(RIG_DATA + 4 * i);
		for (unsigned j = 0; j < 8; j++) {
			put(value + j);
			model[i + j] = value + j;
		}
		break;
	default:
		put_room(4);
		put_store(i, value);
		model[i] = value;
	}
}

static void random_commands(uint64_t seed)
{
	uint32_t model[WORDS] = { 0 };
	uint32_t value = 1;

	drawn = seed;
	begin();
	write_batches();
	for (unsigned round = 0; round < 300; round++) {
		for (unsigned n = draw(60); n && written - head() < RING_B - 128; n--) {
			put_any(model, value += 10);
		}
		doorbell();
		while (run_some(1 + draw(20), 1 + draw(100)) == GPU_RUN_MORE && draw(8)) {
		}
		CHECK(head() <= written);
		if (round % 4 == 0) {
			check_dry();
			for (unsigned i = 0; i < WORDS; i++) {
				CHECK_EQ(word(i), model[i]);
			}
		}
	}
	rig_fini(&rig);
}

static void test_B21_random_commands_agree_with_a_model(void)
{
	test_seeds(random_commands, 1, test_scale(50));
}

static const struct test_case cases[] = {
	TEST(test_B21_commands_are_taken_up_to_the_tail),
	TEST(test_B21_the_ring_goes_round),
	TEST(test_B21_a_batch_comes_back_to_the_ring),
	TEST(test_B21_the_head_is_behind_what_has_been_executed),
	TEST(test_B21_a_batch_leaves_no_predication_behind),
	TEST(test_B21_calls_do_not_poll),
	TEST(test_B21_a_copy_in_the_ring_is_left_half_done),
	TEST(test_B21_tails_that_are_none),
	TEST(test_B21_commands_that_do_not_fit),
	TEST(test_B21_the_ring_has_no_end),
	TEST(test_B21_memory_that_is_not_there),
	TEST(test_B21_a_batch_after_a_ring_ends),
	TEST(test_B21_random_commands_agree_with_a_model),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
