// SPDX-License-Identifier: MIT
/*
 * Jobs that are all reserved before the first of them runs, on one slot of 2 MiB: every pair and
 * triple of operations on every kind of slot, as separate jobs and as one job.
 */
#include "test_pt_rig.h"

#define VA (((uint64_t)3 << 39) + ((uint64_t)5 << 30) + 9 * SZ_2M)

enum op_kind {
	OP_MAP,
	OP_NULL,
	OP_CLEAR,
};

struct op {
	enum op_kind kind;
	enum rig_memory memory;
	uint64_t from, to;
};

static const struct op ops[] = {
	{ OP_MAP, RIG_4K, 0x3000, 0x21000 },
	{ OP_MAP, RIG_4K, 0, SZ_2M },
	{ OP_MAP, RIG_HUGE, 0, SZ_2M },
	{ OP_MAP, RIG_64K, 0, SZ_2M },
	{ OP_MAP, RIG_64K, 0x20000, 0x80000 },
	{ OP_MAP, RIG_HUGE, 0x1f000, 0x62000 },
	{ OP_NULL, RIG_HUGE, 0, SZ_2M },
	{ OP_NULL, RIG_HUGE, 0x7000, 0x30000 },
	{ OP_CLEAR, RIG_HUGE, 0, SZ_2M },
	{ OP_CLEAR, RIG_HUGE, 0x5000, 0x1ff000 },
	{ OP_CLEAR, RIG_HUGE, 0x10000, 0x1e0000 },
	{ OP_CLEAR, RIG_HUGE, 0x22000, 0x23000 },
};
#define OPS ARRAY_LEN(ops)
#define DEPTH 3u

static const struct gpu_pte_attrs rw = { .writable = true };
static struct model model; /* too large for a stack */
static struct rig rig;

static int reserve(struct pt_pool *pool, const struct op *op, bool contended)
{
	switch (op->kind) {
	case OP_MAP:
		return pt_reserve_map(&rig.pt, pool, VA + op->from, VA + op->to,
				      &rig.backing[op->memory], op->from, contended);
	case OP_NULL:
		return pt_reserve_map(&rig.pt, pool, VA + op->from, VA + op->to, NULL, 0,
				      contended);
	default:
		return pt_reserve_clear(&rig.pt, pool, VA + op->from, VA + op->to, contended);
	}
}

static void run(struct pt_pool *pool, const struct op *op)
{
	static const struct gpu_pte_attrs null = { .writable = true, .null = true };

	port_mutex_lock(&rig.pt.lock);
	switch (op->kind) {
	case OP_MAP:
		pt_write(&rig.pt, pool, VA + op->from, VA + op->to, &rig.backing[op->memory],
			 op->from, &rw);
		break;
	case OP_NULL:
		pt_write(&rig.pt, pool, VA + op->from, VA + op->to, NULL, 0, &null);
		break;
	default:
		pt_clear(&rig.pt, pool, VA + op->from, VA + op->to);
		break;
	}
	port_mutex_unlock(&rig.pt.lock);
}

static void in_model(const struct op *op)
{
	switch (op->kind) {
	case OP_MAP:
		model_map(&model, &rig, VA + op->from, VA + op->to, op->memory, op->from, &rw);
		break;
	case OP_NULL:
		model_map_null(&model, VA + op->from, VA + op->to);
		break;
	default:
		model_clear(&model, VA + op->from, VA + op->to);
		break;
	}
}

/* Brings the slot into the state that operation @start leaves; OPS: empty. */
static void prepare(unsigned start)
{
	struct pt_pool pool;

	memset(&model, 0, sizeof(model));
	model.base = VA;
	CHECK_OK(rig_clear(&rig, VA, VA + SZ_2M));
	CHECK_EQ(rig_tables(&rig), 1);
	if (start == OPS) {
		return;
	}
	pt_pool_init(&pool);
	CHECK_OK(reserve(&pool, &ops[start], false));
	run(&pool, &ops[start]);
	rig_release(&rig, &pool);
	in_model(&ops[start]);
}

/*
 * How the jobs end: bit 0: releases only after all have run, else each after its run; bit 1: in
 * reverse; bit 2: a further job in between is given up.
 */
#define ENDINGS 8u

static void jobs(const unsigned *seq, unsigned n, unsigned ending)
{
	struct pt_pool pool[DEPTH], given_up;

	pt_pool_init(&given_up);
	for (unsigned i = 0; i < n; i++) {
		pt_pool_init(&pool[i]);
		CHECK_OK(reserve(&pool[i], &ops[seq[i]], i > 0));
		if (i == 0 && (ending & 4)) {
			CHECK_OK(reserve(&given_up, &ops[0], true));
		}
	}
	for (unsigned i = 0; i < n; i++) {
		run(&pool[i], &ops[seq[i]]);
		in_model(&ops[seq[i]]);
		pt_check(&rig.pt);
		if (!(ending & 1)) {
			rig_release(&rig, &pool[i]);
		}
		if (i == 1 && (ending & 4)) {
			rig_release(&rig, &given_up);
		}
	}
	for (unsigned i = 0; i < n; i++) {
		rig_release(&rig, &pool[ending & 2 ? n - 1 - i : i]);
	}
	rig_release(&rig, &given_up);
}

static void one_job(const unsigned *seq, unsigned n)
{
	struct pt_pool pool;

	pt_pool_init(&pool);
	for (unsigned i = 0; i < n; i++) {
		CHECK_OK(reserve(&pool, &ops[seq[i]], i > 0));
	}
	for (unsigned i = 0; i < n; i++) {
		run(&pool, &ops[seq[i]]);
		in_model(&ops[seq[i]]);
		pt_check(&rig.pt);
	}
	rig_release(&rig, &pool);
}

static void settle(void)
{
	bool any = false;

	model_compare(&model, &rig, VA - SZ_4K, VA + SZ_2M + SZ_4K);
	pt_check(&rig.pt);
	for (unsigned i = 0; i < SZ_2M >> PAGE_SHIFT; i++) {
		any |= model.page[i].present;
	}
	/* Root, two directories and a leaf table, or less. */
	CHECK(rig_tables(&rig) <= 4);
	CHECK(any || rig_tables(&rig) == 1);
}

static void every_sequence(unsigned n)
{
	/* Sanitizers do every 5th pair and every 29th triple. */
	unsigned step = test_scale(10) > 1 ? 1 : n == 2 ? 5 : 29;
	unsigned sequences = 1, count = 0;

	for (unsigned i = 0; i < n; i++) {
		sequences *= OPS;
	}
	rig_init(&rig);
	for (unsigned start = 0; start <= OPS; start++) {
		for (unsigned s = start % step; s < sequences; s += step, count++) {
			unsigned seq[DEPTH], rest = s;

			for (unsigned i = 0; i < n; i++, rest /= OPS) {
				seq[i] = rest % OPS;
			}
			/* Pairs end in every way, triples take turns. */
			for (unsigned e = 0; e < ENDINGS; e++) {
				if (n == 3 && e != count % ENDINGS) {
					continue;
				}
				prepare(start);
				jobs(seq, n, e);
				settle();
			}
			if (n == 2 || count % 4 == 0) {
				prepare(start);
				one_job(seq, n);
				settle();
			}
		}
	}
	CHECK_OK(rig_clear(&rig, VA, VA + SZ_2M));
	rig_fini(&rig);
}

static void every_pair_reserved_before_either_runs(void)
{
	every_sequence(2);
}

static void every_triple_reserved_before_any_runs(void)
{
	every_sequence(3);
}

/* A map far away in the same directory is reserved first and runs last. */
static void a_pending_neighbour_is_not_disturbed(void)
{
	const uint64_t there = VA + 40 * SZ_2M;

	for (unsigned s = 0; s < OPS * OPS; s++) {
		unsigned seq[2] = { s % OPS, s / OPS };
		struct pt_pool pool;
		struct gpu_pte pte;

		rig_init(&rig);
		prepare(OPS);
		pt_pool_init(&pool);
		CHECK_OK(pt_reserve_map(&rig.pt, &pool, there, there + SZ_4K, &rig.backing[RIG_4K],
					0, false));
		jobs(seq, 2, s % ENDINGS);
		CHECK_OK(rig_clear(&rig, VA, VA + SZ_2M));
		port_mutex_lock(&rig.pt.lock);
		pt_write(&rig.pt, &pool, there, there + SZ_4K, &rig.backing[RIG_4K], 0, &rw);
		port_mutex_unlock(&rig.pt.lock);
		rig_release(&rig, &pool);
		CHECK(rig_walk(&rig, there, &pte) && pte.phys == 0x300000000);
		CHECK_EQ(rig_tables(&rig), 4);
		CHECK_OK(rig_clear(&rig, there, there + SZ_4K));
		rig_fini(&rig);
	}
}

/* A reservation fails while others are pending: they are not disturbed. */
static void sweep_body(void *arg)
{
	struct pt_pool first, second;
	uint64_t tables;
	int ret;

	pt_pool_init(&first);
	pt_pool_init(&second);
	ret = reserve(&first, &ops[0], false);
	if (ret) {
		CHECK(test_injected());
		CHECK_ERR(ret, -ENOMEM);
		rig_release(&rig, &first);
		test_injection_off();
		CHECK_OK(reserve(&first, &ops[0], false));
	}
	tables = rig_tables(&rig);
	ret = reserve(&second, &ops[9], true);
	if (ret) {
		CHECK(test_injected());
		CHECK_ERR(ret, -ENOMEM);
		rig_release(&rig, &second);
		CHECK_EQ(rig_tables(&rig), tables);
		test_injection_off();
		CHECK_OK(reserve(&second, &ops[9], true));
	}
	test_injection_off();
	run(&first, &ops[0]);
	run(&second, &ops[9]);
	rig_release(&rig, &second);
	rig_release(&rig, &first);
	memset(&model, 0, sizeof(model));
	model.base = VA;
	in_model(&ops[0]);
	in_model(&ops[9]);
	settle();
	CHECK_OK(rig_clear(&rig, VA, VA + SZ_2M));
	CHECK_EQ(rig_tables(&rig), 1);
}

static void failures_beside_a_pending_job(void)
{
	rig_init(&rig);
	CHECK(test_sweep(PORT_FAULT_ALLOC, sweep_body, NULL) > 20);
	rig_fini(&rig);
}

static const struct test_case cases[] = {
	TEST(every_pair_reserved_before_either_runs),
	TEST(every_triple_reserved_before_any_runs),
	TEST(a_pending_neighbour_is_not_disturbed),
	TEST(failures_beside_a_pending_job),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
