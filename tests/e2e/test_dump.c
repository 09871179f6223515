// SPDX-License-Identifier: MIT
/* Error dumps where the front-ends do not come: without room, of resets, of many at a time. */
#include "dump_text.h"
#include "rig.h"

#include "debug/dump.h"

#define BATCH   0x100000
#define CALLED  0x400000
#define DATA    0x800000 /* marked, from here on */
#define NOWHERE 0x40000000
#define TIMEOUT_MS 50

struct bench {
	struct device *device;
	struct dump *dump;
	struct vm *vm;
	struct bo *batch, *called, *data;
	struct exec_queue *queue;
};

static void map(struct bench *b, struct bo *bo, uint64_t addr, uint64_t offset, uint64_t range,
		bool dumpable)
{
	struct bind_op op = rig_map(bo, addr, offset, range);

	op.dumpable = dumpable;
	CHECK_OK(rig_bind(b->vm, op));
}

static void bench_init(struct bench *b, uint64_t contents_B, unsigned runs)
{
	const struct dump_config config = {
		.driver = "test", .date = "0", .gpu = "rig", .contents_B = contents_B, .runs = runs,
	};

	memset(b, 0, sizeof(*b));
	b->device = rig_device(SCHEDULE_NORMAL);
	CHECK_OK(dump_create(b->device, &config, &b->dump));
	b->vm = rig_vm(b->device, 0);
	b->batch = rig_bo(b->device, SZ_64K, MEM_SYSTEM);
	b->called = rig_bo(b->device, 4 * SZ_64K, MEM_SYSTEM);
	b->data = rig_bo(b->device, SZ_64K, MEM_VRAM);
	map(b, b->batch, BATCH, 0, SZ_64K, false);
	map(b, b->called, CALLED, 0, 4 * SZ_64K, false);
	b->queue = rig_queue_timed(b->device, b->vm, RIG_RENDER, TIMEOUT_MS);
}

static void bench_fini(struct bench *b)
{
	rig_queue_done(b->queue);
	rig_vm_done(b->vm);
	bo_put(b->batch);
	bo_put(b->called);
	bo_put(b->data);
	device_destroy(b->device);
	dump_destroy(b->dump);
}

static void show(struct bench *b, struct dump_text *d)
{
	memset(d, 0, sizeof(*d));
	CHECK(dump_is_kept(b->dump));
	CHECK_OK(dump_show(b->dump, DUMP_XE, dump_text_put, d));
	dump_text_parse(d);
}

static void fault(struct bench *b, uint64_t addr)
{
	const uint32_t value = 1;

	rig_batch_stores(b->batch, 0, &addr, &value, 1);
	CHECK_ERR(rig_exec_wait(b->queue, BATCH), -ECANCELED);
}

/* Four mappings of 16 KiB each, of which the list has room for three, the contents for 48 KiB. */
static void test_B07_what_does_not_fit_is_cut(void)
{
	static const enum dump_form forms[] = { DUMP_I915, DUMP_XE };
	const char *memory;
	struct dump_text d;
	struct bench b;

	bench_init(&b, SZ_64K + 3 * SZ_4K, 4);
	memory = bo_host(b.data);
	for (unsigned i = 0; i < 4; i++) {
		map(&b, b.data, DATA + i * SZ_64K, i * 4 * SZ_4K, 4 * SZ_4K, true);
	}
	fault(&b, NOWHERE);
	for (unsigned i = 0; i < ARRAY_LEN(forms); i++) {
		memset(&d, 0, sizeof(d));
		CHECK_OK(dump_show(b.dump, forms[i], dump_text_put, &d));
		dump_text_parse(&d);
		CHECK(dump_says(&d, "Cut: the list of mappings has ", "4 of 6"));
		CHECK(dump_says(&d, "Cut: contents of ", "53248 bytes did not fit"));
		CHECK_EQ(d.mappings, 4);
		CHECK(dump_has(&d, BATCH, bo_host(b.batch), SZ_64K));
		CHECK(dump_has(&d, DATA, memory, 3 * SZ_4K));
		CHECK(!dump_touches(&d, DATA + 3 * SZ_4K, 4 * SZ_64K));
		CHECK(dump_mapping_at(&d, DATA + SZ_64K)->marked);
		CHECK(!dump_mapping_at(&d, DATA + 2 * SZ_64K));
		dump_text_free(&d);
	}
	bench_fini(&b);
}

/* Calls another batch, which stores to nowhere. */
static void write_call(struct bench *b, uint64_t at)
{
	const uint64_t nowhere = NOWHERE;
	const uint32_t value = 1;
	uint32_t *cs = bo_host(b->batch);

	cs[0] = 0x31u << 23 | 1u << 22 | 1u << 8 | 1; /* MI_BATCH_BUFFER_START, of second level */
	cs[1] = (uint32_t)(CALLED + at);
	cs[2] = 0;
	cs[3] = 0x0au << 23; /* MI_BATCH_BUFFER_END */
	rig_batch_stores(b->called, at, &nowhere, &value, 1);
}

/* Pieces of contents have a limit of their own: the two here are of the batches. */
static void test_B07_pieces_that_do_not_fit_are_cut(void)
{
	struct dump_text d;
	struct bench b;

	bench_init(&b, SZ_2M, 1);
	map(&b, b.data, 0x1000, 0, SZ_4K, true);
	map(&b, b.data, 0x3000, 2 * SZ_4K, SZ_4K, true);
	write_call(&b, 0);
	CHECK_ERR(rig_exec_wait(b.queue, BATCH), -ECANCELED);
	show(&b, &d);
	CHECK(dump_says(&d, "Cut: the list of mappings has ", "1 of 4"));
	CHECK(dump_says(&d, "Cut: contents of ", "8192 bytes did not fit"));
	CHECK_EQ(d.blobs, 2);
	CHECK(dump_has(&d, CALLED, bo_host(b.called), SZ_64K));
	dump_text_free(&d);
	bench_fini(&b);
}

/* What has begun when all engines are reset is lost too, and was no fault. */
static void test_B07_a_reset_is_dumped(void)
{
	struct fence *fence;
	struct dump_text d;
	struct bench b;

	bench_init(&b, 0, 0);
	rig_queue_done(b.queue);
	b.queue = rig_queue_timed(b.device, b.vm, RIG_COPY, 100000);
	map(&b, b.data, DATA, 0, SZ_64K, true);
	rig_write32(b.batch, SZ_64K - 4, 1);
	rig_batch_spin(b.batch, 0, BATCH, BATCH + SZ_64K - 4);
	CHECK_OK(rig_exec(b.queue, BATCH, NULL, &fence));
	/* One that has not begun yet is spared, and asked again. */
	do {
		device_reset(b.device);
	} while (fence_wait(fence, port_now_ns() + 1000000, 0));
	fence_put(fence);
	show(&b, &d);
	CHECK(dump_says(&d, "Reason: ", "reset on bcs0"));
	CHECK(!dump_line(&d, "fault_addr: "));
	CHECK(dump_has(&d, BATCH, bo_host(b.batch), SZ_64K));
	CHECK(dump_has(&d, DATA, bo_host(b.data), SZ_64K));
	dump_text_free(&d);
	bench_fini(&b);
}

/* The batch has called another one: both are there. */
static void test_B07_where_it_has_got_to_is_there_too(void)
{
	const uint64_t at = 2 * SZ_64K + 0x800;
	struct dump_text d;
	struct bench b;

	bench_init(&b, 0, 0);
	write_call(&b, at);
	CHECK_ERR(rig_exec_wait(b.queue, BATCH), -ECANCELED);
	show(&b, &d);
	CHECK_EQ(dump_number(&d, "ACTHD: "), CALLED + at);
	CHECK_EQ(dump_number(&d, "batch_addr[0]: "), BATCH);
	CHECK_EQ(dump_number(&d, "return[0]: "), BATCH + 12);
	CHECK(dump_has(&d, BATCH, bo_host(b.batch), SZ_64K));
	/* Half of it before the command. */
	CHECK(dump_has(&d, CALLED + 2 * SZ_64K - SZ_64K / 2,
		       (char *)bo_host(b.called) + 2 * SZ_64K - SZ_64K / 2, SZ_64K));
	CHECK(!dump_touches(&d, CALLED, 2 * SZ_64K - SZ_64K / 2));
	/* One that begins right behind a gap. */
	dump_text_free(&d);
	dump_clear(b.dump);
	rig_queue_done(b.queue);
	b.queue = rig_queue_timed(b.device, b.vm, RIG_RENDER, TIMEOUT_MS);
	CHECK_OK(rig_bind(b.vm, rig_unmap(CALLED + SZ_64K, SZ_64K - SZ_4K)));
	CHECK_ERR(rig_exec_wait(b.queue, BATCH), -ECANCELED);
	show(&b, &d);
	CHECK(dump_has(&d, CALLED + 2 * SZ_64K - SZ_4K,
		       (char *)bo_host(b.called) + 2 * SZ_64K - SZ_4K, SZ_64K));
	CHECK(!dump_touches(&d, CALLED + SZ_64K, SZ_64K - SZ_4K));
	dump_text_free(&d);
	bench_fini(&b);
}

/* The batch itself is nowhere: there is a dump, without it. */
static void test_B07_a_batch_that_is_nowhere(void)
{
	struct dump_text d;
	struct bench b;

	bench_init(&b, 0, 0);
	CHECK_ERR(rig_exec_wait(b.queue, NOWHERE), -ECANCELED);
	show(&b, &d);
	CHECK_EQ(dump_number(&d, "fault_addr: "), NOWHERE);
	CHECK(!dump_line(&d, "IPEHR: "));
	CHECK_EQ(d.blobs, 0);
	CHECK_EQ(d.mappings, 2);
	dump_text_free(&d);
	bench_fini(&b);
}

/* ---- many at a time -------------------------------------------------------------------------- */

#define LOSERS 3
#define LOSSES 8

struct crowd {
	struct bench b;
	atomic_uint lost, seen;
	atomic_bool done;
};

static void loser(void *arg)
{
	struct crowd *crowd = arg;

	for (unsigned i = 0; i < LOSSES; i++) {
		struct exec_queue *queue = rig_queue_timed(crowd->b.device, crowd->b.vm,
							   i % RIG_ENGINES, TIMEOUT_MS);

		CHECK_ERR(rig_exec_wait(queue, BATCH), -ECANCELED);
		atomic_fetch_add(&crowd->lost, 1);
		rig_queue_done(queue);
	}
}

/* Reads what there is, which must be whole; every error is either read or counted. */
static void reader(void *arg)
{
	struct crowd *crowd = arg;
	bool last;

	do {
		struct dump_text d = { 0 };

		last = atomic_load(&crowd->done);
		CHECK_OK(dump_show(crowd->b.dump, DUMP_I915, dump_text_put, &d));
		if (d.n) {
			dump_text_parse(&d);
			CHECK_EQ(dump_number(&d, "fault_addr: "), NOWHERE);
			CHECK(dump_has(&d, DATA, bo_host(crowd->b.data), SZ_64K));
			atomic_fetch_add(&crowd->seen, 1);
			dump_clear(crowd->b.dump);
		} else {
			rig_nap(100000);
		}
		dump_text_free(&d);
	} while (!last);
}

static void errors_of_many(uint64_t seed)
{
	const uint64_t nowhere = NOWHERE;
	const uint32_t value = 1;
	struct port_thread *thread[LOSERS], *reads;
	struct crowd crowd;

	(void)seed;
	memset(&crowd, 0, sizeof(crowd));
	bench_init(&crowd.b, 0, 0);
	map(&crowd.b, crowd.b.data, DATA, 0, SZ_64K, true);
	rig_batch_stores(crowd.b.batch, 0, &nowhere, &value, 1);
	CHECK_OK(port_thread_create(&reads, "reads", reader, &crowd));
	for (unsigned i = 0; i < LOSERS; i++) {
		CHECK_OK(port_thread_create(&thread[i], "loser", loser, &crowd));
	}
	for (unsigned i = 0; i < LOSERS; i++) {
		port_thread_join(thread[i]);
	}
	atomic_store(&crowd.done, true);
	port_thread_join(reads);
	CHECK_EQ(crowd.lost, LOSERS * LOSSES);
	CHECK(crowd.seen >= 1 && crowd.seen <= LOSERS * LOSSES);
	CHECK(!dump_is_kept(crowd.b.dump));
	bench_fini(&crowd.b);
}

static void test_B07_errors_of_many_and_one_who_reads(void)
{
	test_seeds(errors_of_many, 1, test_scale(8));
}

static const struct test_case cases[] = {
	TEST(test_B07_what_does_not_fit_is_cut),
	TEST(test_B07_pieces_that_do_not_fit_are_cut),
	TEST(test_B07_a_reset_is_dumped),
	TEST(test_B07_where_it_has_got_to_is_there_too),
	TEST(test_B07_a_batch_that_is_nowhere),
	TEST(test_B07_errors_of_many_and_one_who_reads),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
