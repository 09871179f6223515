// SPDX-License-Identifier: MIT
/*
 * Invalidation beside running engines. The rule under test: when gpu_ops.invalidate has returned,
 * no access through a translation that was gone before it happens any more. Pages that have been
 * unmapped and invalidated are poisoned; no engine may ever see the poison or scratch it.
 */
#include "rig.h"

static struct rig rig;
static atomic_bool stop;

#define VA ((uint64_t)0x700000000000)
#define ENGINES 2
#define GOOD 0x600d600du
#define POISON 0xdeaddeadu

static struct gpu_engine engines[ENGINES];
static struct gpu_engine *const all_engines[ENGINES] = { &engines[0], &engines[1] };

static const uint64_t pages[] = { RIG_PHYS + 0x400000, RIG_PHYS + 0x410000, RIG_PHYS + 0x420000 };

static uint32_t *word(unsigned page, unsigned index)
{
	return (uint32_t *)rig_at(&rig, pages[page]) + index;
}

static void fill(unsigned page, uint32_t value)
{
	/* Plain stores: a race with an engine is one for the sanitizer too. */
	for (unsigned i = 0; i < 1024; i++) {
		*word(page, i) = value;
	}
}

static void setup(void)
{
	rig_init(&rig);
	rig.relax = true;
	atomic_store(&stop, false);
	for (unsigned i = 0; i < ENGINES; i++) {
		gpu_engine_init(&engines[i], GPU_CLASS_VIDEO_DECODE, (uint16_t)i,
				rig.engine.mem_ops, &rig);
	}
	for (unsigned i = 0; i < ARRAY_LEN(pages); i++) {
		fill(i, GOOD);
	}
	rig_map(&rig, VA, 0, false, pages[0] | E_RW);
}

static void invalidate(void)
{
	gpu_soft_ops.invalidate(all_engines, ENGINES, &rig.vm, VA, VA + 4096);
}

static void reader(void *arg)
{
	struct gpu_engine *engine = arg;
	struct gpu_fault fault;
	uint32_t buf[256];

	while (!atomic_load(&stop)) {
		CHECK_OK(gpu_soft_ops.load(engine, &rig.vm, VA, buf, sizeof(buf), &fault));
		for (unsigned i = 0; i < ARRAY_LEN(buf); i++) {
			CHECK_EQ(buf[i], GOOD);
		}
		port_relax();
	}
}

/* Something more to be set up, or NULL. */
static void (*prepare)(void);

static void run_beside(void (*fn)(void *arg), void (*body)(unsigned turn), unsigned turns)
{
	struct port_thread *threads[ENGINES];

	setup();
	if (prepare) {
		prepare();
	}
	for (unsigned i = 0; i < ENGINES; i++) {
		CHECK_OK(port_thread_create(&threads[i], "engine", fn, &engines[i]));
	}
	for (unsigned turn = 0; turn < turns; turn++) {
		body(turn);
		port_relax();
	}
	atomic_store(&stop, true);
	for (unsigned i = 0; i < ENGINES; i++) {
		port_thread_join(threads[i]);
		CHECK_EQ(atomic_load(&engines[i].epoch) & 1, 0);
	}
	rig_fini(&rig);
}

static unsigned turns(void)
{
	return test_is_sim() ? 20 : test_scale(2000);
}

static void remap_and_poison(unsigned turn)
{
	unsigned from = turn % 3, to = (turn + 1) % 3;

	fill(to, GOOD);
	rig_map(&rig, VA, 0, false, pages[to] | E_RW);
	invalidate();
	fill(from, POISON);
}

static void seed_reads(uint64_t seed)
{
	run_beside(reader, remap_and_poison, turns());
}

static void engines_never_read_a_page_that_was_invalidated(void)
{
	test_seeds(seed_reads, 1, test_is_sim() ? test_scale(200) : 1);
}

static void writer(void *arg)
{
	struct gpu_engine *engine = arg;
	struct gpu_fault fault;
	uint32_t buf[256];

	for (unsigned i = 0; i < ARRAY_LEN(buf); i++) {
		buf[i] = GOOD;
	}
	while (!atomic_load(&stop)) {
		CHECK_OK(gpu_soft_ops.store(engine, &rig.vm, VA, buf, sizeof(buf), &fault));
		port_relax();
	}
}

static void remap_and_watch(unsigned turn)
{
	unsigned from = turn % 3, to = (turn + 1) % 3;

	rig_map(&rig, VA, 0, false, pages[to] | E_RW);
	invalidate();
	fill(from, POISON);
	for (unsigned i = 0; i < 8; i++) {
		port_relax();
	}
	for (unsigned i = 0; i < 1024; i++) {
		CHECK_EQ(*word(from, i), POISON);
	}
}

static void seed_writes(uint64_t seed)
{
	run_beside(writer, remap_and_watch, turns());
}

static void engines_never_write_a_page_that_was_invalidated(void)
{
	test_seeds(seed_writes, 1, test_is_sim() ? test_scale(200) : 1);
}

/* A batch of one copy for each engine; the page that moves is its source or its target. */
static void emit_copy(unsigned engine, uint64_t dst, uint64_t src, uint32_t size_B)
{
	emit_at(&rig, RIG_BATCH + engine * 4096);
	emit(&rig, 2u << 29 | 0x5au << 22 | 8);
	emit(&rig, size_B - 1);
	for (unsigned i = 0; i < 3; i++) {
		emit(&rig, 0);
	}
	emit_addr(&rig, src);
	emit_addr(&rig, dst);
	emit(&rig, 0);
	emit_end(&rig);
}

static void run_copy(struct gpu_engine *engine, struct gpu_context *ctx)
{
	enum gpu_run ret;

	gpu_soft_ops.start(ctx, RIG_BATCH + engine->instance * 4096u);
	do {
		struct gpu_budget budget = { .commands = 2, .bytes = 1500 };

		ret = gpu_soft_ops.run(engine, ctx, &budget);
		port_relax();
	} while (ret == GPU_RUN_MORE);
	CHECK_EQ(ret, GPU_RUN_DONE);
}

static void copier_from(void *arg)
{
	struct gpu_engine *engine = arg;
	uint64_t slot = engine->instance * 4096u;
	struct gpu_context ctx;

	gpu_soft_ops.context_init(&ctx, &rig.vm, 20);
	while (!atomic_load(&stop)) {
		run_copy(engine, &ctx);
		for (unsigned i = 0; i < 1024; i++) {
			CHECK_EQ(*rig_data32(&rig, slot + 4 * i), GOOD);
		}
	}
}

static void copier_to(void *arg)
{
	struct gpu_context ctx;

	gpu_soft_ops.context_init(&ctx, &rig.vm, 20);
	while (!atomic_load(&stop)) {
		run_copy(arg, &ctx);
	}
}

static void emit_copies_from(void)
{
	for (unsigned i = 0; i < ENGINES; i++) {
		emit_copy(i, RIG_DATA + i * 4096, VA, 4096);
	}
}

static void emit_copies_to(void)
{
	for (unsigned i = 0; i < ENGINES; i++) {
		emit_copy(i, VA + i * 2048, RIG_DATA + i * 4096, 2048);
	}
}

static void seed_copies_from(uint64_t seed)
{
	prepare = emit_copies_from;
	run_beside(copier_from, remap_and_poison, turns());
}

static void seed_copies_to(uint64_t seed)
{
	prepare = emit_copies_to;
	run_beside(copier_to, remap_and_watch, turns());
}

static void copies_never_read_a_page_that_was_invalidated(void)
{
	test_seeds(seed_copies_from, 1, test_is_sim() ? test_scale(100) : 1);
	prepare = NULL;
}

static void copies_never_write_a_page_that_was_invalidated(void)
{
	test_seeds(seed_copies_to, 1, test_is_sim() ? test_scale(100) : 1);
	prepare = NULL;
}

static void reader_with_faults(void *arg)
{
	struct gpu_engine *engine = arg;
	struct gpu_fault fault;
	uint32_t value;

	while (!atomic_load(&stop)) {
		if (gpu_soft_ops.load(engine, &rig.vm, VA, &value, 4, &fault)) {
			CHECK_EQ(fault.type, GPU_FAULT_NOT_PRESENT);
		} else {
			CHECK_EQ(value, GOOD);
		}
		port_relax();
	}
}

static void unmap_free_and_map_again(unsigned turn)
{
	uint64_t frame = (pages[0] - RIG_PHYS) / 4096;

	rig_map(&rig, VA, 0, false, 0);
	invalidate();
	/* The frame goes to somebody else: an access now would be reported as stale. */
	atomic_fetch_add(&rig.gen[frame], 1);
	fill(0, POISON);
	port_relax();
	fill(0, GOOD);
	rig_map(&rig, VA, 0, false, pages[0] | E_RW);
}

static void seed_generations(uint64_t seed)
{
	run_beside(reader_with_faults, unmap_free_and_map_again, turns());
}

static void access_beside_unmapping_faults_or_is_good_and_is_never_stale(void)
{
	test_seeds(seed_generations, 1, test_is_sim() ? test_scale(200) : 1);
}

static void invalidate_often(void *arg)
{
	while (!atomic_load(&stop)) {
		invalidate();
		port_relax();
	}
}

static void look(unsigned turn)
{
	struct gpu_fault fault;
	uint32_t value;

	CHECK_OK(gpu_soft_ops.load(&engines[0], &rig.vm, VA + 8, &value, 4, &fault));
	CHECK_EQ(value, GOOD);
}

static void seed_invalidators(uint64_t seed)
{
	run_beside(invalidate_often, look, turns());
}

static void invalidators_run_beside_one_another(void)
{
	test_seeds(seed_invalidators, 1, test_is_sim() ? test_scale(50) : 1);
}

static void adder(void *arg)
{
	struct gpu_budget budget = { .commands = UINT32_MAX, .bytes = UINT64_MAX };
	struct gpu_context ctx;
	enum gpu_run ret;

	gpu_soft_ops.context_init(&ctx, &rig.vm, 20);
	gpu_soft_ops.start(&ctx, RIG_BATCH);
	do {
		ret = gpu_soft_ops.run(arg, &ctx, &budget);
		port_relax();
	} while (ret == GPU_RUN_MORE || ret == GPU_RUN_POLL);
	CHECK_EQ(ret, GPU_RUN_DONE);
}

#define ADDITIONS 200

static void atomics_of_two_engines_and_a_client_lose_nothing(void)
{
	struct port_thread *threads[ENGINES];

	setup();
	for (unsigned i = 0; i < ADDITIONS; i++) {
		emit(&rig, 0x2fu << 23 | 5u << 8 | 1);
		emit_addr(&rig, RIG_DATA);
	}
	emit_end(&rig);
	for (unsigned i = 0; i < ENGINES; i++) {
		CHECK_OK(port_thread_create(&threads[i], "engine", adder, &engines[i]));
	}
	for (unsigned i = 0; i < ADDITIONS; i++) {
		__atomic_fetch_add(rig_data32(&rig, 0), 1, __ATOMIC_RELAXED);
		port_relax();
	}
	for (unsigned i = 0; i < ENGINES; i++) {
		port_thread_join(threads[i]);
	}
	CHECK_EQ(*rig_data32(&rig, 0), ADDITIONS * (ENGINES + 1));
	rig_fini(&rig);
}

static void poller(void *arg)
{
	while (__atomic_load_n(rig_data32(&rig, 64), __ATOMIC_ACQUIRE) != 1) {
		port_relax();
	}
	/* Whoever sees the word sees what the batch wrote before it: plain loads. */
	CHECK_EQ(*rig_data32(&rig, 0), 7);
	CHECK_EQ(*rig_data32(&rig, 4096), 8);
	atomic_store(&stop, true);
}

static void client_that_sees_a_word_sees_what_came_before(void)
{
	struct port_thread *thread;

	setup();
	emit_store(&rig, RIG_DATA, 7);
	emit_store(&rig, RIG_DATA + 4096, 8);
	emit_store(&rig, RIG_DATA + 64, 1);
	emit_end(&rig);
	CHECK_OK(port_thread_create(&thread, "client", poller, NULL));
	CHECK_EQ(rig_run(&rig, 1), GPU_RUN_DONE);
	port_thread_join(thread);
	CHECK(atomic_load(&stop));
	rig_fini(&rig);
}

static const struct test_case cases[] = {
	TEST(engines_never_read_a_page_that_was_invalidated),
	TEST(engines_never_write_a_page_that_was_invalidated),
	TEST(copies_never_read_a_page_that_was_invalidated),
	TEST(copies_never_write_a_page_that_was_invalidated),
	TEST(access_beside_unmapping_faults_or_is_good_and_is_never_stale),
	TEST(invalidators_run_beside_one_another),
	TEST(atomics_of_two_engines_and_a_client_lose_nothing),
	TEST(client_that_sees_a_word_sees_what_came_before),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
