// SPDX-License-Identifier: MIT
/* Reservation objects: places, usages, replacement, and readers who look up to a usage. */
#include "test_sync.h"

#include "sync/resv.h"

static void add(struct resv *resv, struct fence *fence, enum resv_usage usage)
{
	resv_lock(resv);
	CHECK_OK(resv_reserve(resv, 1));
	resv_add(resv, fence, usage);
	resv_unlock(resv);
}

/* How many a reader up to @usage sees. */
static unsigned seen(struct resv *resv, enum resv_usage usage)
{
	unsigned n;

	resv_lock(resv);
	n = resv_collect(resv, usage, NULL, 0);
	resv_unlock(resv);
	return n;
}

static bool sees(struct resv *resv, enum resv_usage usage, const struct fence *fence)
{
	struct fence *found[16];
	bool has = false;
	unsigned n;

	resv_lock(resv);
	n = resv_collect(resv, usage, found, ARRAY_LEN(found));
	resv_unlock(resv);
	CHECK(n <= ARRAY_LEN(found));
	for (unsigned i = 0; i < n; i++) {
		has = has || found[i] == fence;
		fence_put(found[i]);
	}
	return has;
}

static void test_B17_a_reader_sees_up_to_its_usage(void)
{
	struct fence *fence[4];
	struct resv resv;
	struct world w;

	world_init(&w);
	resv_init(&resv);
	CHECK(resv_is_idle(&resv, RESV_BOOKKEEP));
	for (unsigned u = RESV_KERNEL; u <= RESV_BOOKKEEP; u++) {
		fence[u] = new_fence(&w, FENCE_DMA);
		add(&resv, fence[u], u);
		CHECK_EQ(refs_of(fence[u]), 2);
	}
	for (unsigned u = RESV_KERNEL; u <= RESV_BOOKKEEP; u++) {
		CHECK_EQ(seen(&resv, u), u + 1);
		CHECK(sees(&resv, u, fence[u]));
		CHECK(u == RESV_BOOKKEEP || !sees(&resv, u, fence[u + 1]));
	}
	for (unsigned u = RESV_KERNEL; u <= RESV_BOOKKEEP; u++) {
		CHECK(!resv_is_idle(&resv, u));
		fence_signal(fence[u], 0);
		CHECK(resv_is_idle(&resv, u));
	}
	resv_fini(&resv);
	for (unsigned u = RESV_KERNEL; u <= RESV_BOOKKEEP; u++) {
		CHECK_EQ(refs_of(fence[u]), 1);
		fence_put(fence[u]);
	}
	world_fini(&w);
}

static void test_R7_what_is_known_of_a_context_moves_to_the_left_only(void)
{
	struct fence *f[4];
	struct resv resv;
	struct world w;
	uint64_t context;

	world_init(&w);
	resv_init(&resv);
	context = sync_new_context(&w.sync);
	for (unsigned i = 0; i < 4; i++) {
		f[i] = new_fence_of(&w, context, i + 1);
	}
	add(&resv, f[0], RESV_BOOKKEEP);
	add(&resv, f[1], RESV_BOOKKEEP);
	CHECK(seen(&resv, RESV_BOOKKEEP) == 1 && refs_of(f[0]) == 1);
	add(&resv, f[1], RESV_WRITE); /* promoted */
	CHECK(seen(&resv, RESV_BOOKKEEP) == 1 && sees(&resv, RESV_WRITE, f[1]));
	add(&resv, f[1], RESV_READ); /* not demoted */
	CHECK(seen(&resv, RESV_BOOKKEEP) == 1 && sees(&resv, RESV_WRITE, f[1]));
	add(&resv, f[0], RESV_READ); /* an earlier one adds nothing */
	CHECK_EQ(seen(&resv, RESV_BOOKKEEP), 1);
	add(&resv, f[2], RESV_BOOKKEEP); /* a later one further right replaces nothing */
	CHECK(seen(&resv, RESV_BOOKKEEP) == 2 && sees(&resv, RESV_WRITE, f[1]));
	CHECK(!sees(&resv, RESV_READ, f[2]));
	add(&resv, f[0], RESV_KERNEL); /* nor an earlier one further left */
	CHECK(seen(&resv, RESV_BOOKKEEP) == 3 && seen(&resv, RESV_KERNEL) == 1);
	add(&resv, f[3], RESV_KERNEL); /* but a later one further left replaces all */
	CHECK(seen(&resv, RESV_BOOKKEEP) == 1 && sees(&resv, RESV_KERNEL, f[3]));
	resv_fini(&resv);
	for (unsigned i = 0; i < 4; i++) {
		CHECK_EQ(refs_of(f[i]), 1);
		signal_and_put(f[i], 0);
	}
	world_fini(&w);
}

static void what_has_signalled_makes_room(void)
{
	struct fence *fence[RESV_FEW];
	uint64_t before, after, bytes;
	struct resv resv;
	struct world w;

	world_init(&w);
	resv_init(&resv);
	for (unsigned round = 0; round < 10; round++) {
		for (unsigned i = 0; i < RESV_FEW; i++) {
			fence[i] = new_fence(&w, FENCE_DMA);
		}
		port_alloc_stats(&before, &bytes);
		for (unsigned i = 0; i < RESV_FEW; i++) {
			add(&resv, fence[i], RESV_WRITE);
		}
		port_alloc_stats(&after, &bytes);
		CHECK(after <= before); /* no memory; those of the last round went */
		for (unsigned i = 0; i < RESV_FEW; i++) {
			signal_and_put(fence[i], 0);
		}
	}
	fence[0] = new_fence(&w, FENCE_DMA);
	fence_signal(fence[0], 0);
	add(&resv, fence[0], RESV_KERNEL);
	CHECK_EQ(refs_of(fence[0]), 1); /* it was over */
	fence_put(fence[0]);
	resv_fini(&resv);
	world_fini(&w);
}

#define PLACES 20

static void places_body(void *arg)
{
	struct world *w = arg;
	struct fence *fence[PLACES];
	struct resv resv;
	int ret;

	resv_init(&resv);
	for (unsigned i = 0; i < PLACES; i++) {
		fence[i] = fence_create(&w->sync, FENCE_DMA);
		if (!fence[i]) {
			test_injection_off(); /* not what is tested */
			fence[i] = new_fence(w, FENCE_DMA);
		}
	}
	for (unsigned i = 0; i < PLACES; i += 4) {
		resv_lock(&resv);
		ret = resv_reserve(&resv, 4);
		CHECK(ret == 0 || (ret == -ENOMEM && test_injected()));
		CHECK_EQ(resv.reserved, ret ? 0 : 4);
		resv_unlock(&resv);
		if (ret) {
			test_injection_off();
			break;
		}
		/* Others come and go: what is reserved stays. */
		for (unsigned k = 0; k < 3; k++) {
			resv_lock(&resv);
			resv_add(&resv, fence[i + k], RESV_BOOKKEEP);
			resv_unlock(&resv);
		}
		resv_lock(&resv);
		resv_unreserve(&resv, 1);
		resv_unlock(&resv);
		CHECK_EQ(seen(&resv, RESV_BOOKKEEP), i / 4 * 3 + 3);
	}
	for (unsigned i = 0; i < PLACES; i++) {
		signal_and_put(fence[i], 0);
	}
	CHECK(resv_is_idle(&resv, RESV_BOOKKEEP));
	CHECK(resv.cap == RESV_FEW || resv.entry != resv.few);
	resv_lock(&resv);
	resv_prune(&resv);
	resv_unlock(&resv);
	CHECK(resv.count == 0 && resv.cap == RESV_FEW && resv.entry == resv.few);
	resv_fini(&resv);
}

static void test_R6_a_place_is_had_before_or_not_at_all(void)
{
	struct world w;

	world_init(&w);
	CHECK(test_sweep(PORT_FAULT_ALLOC, places_body, &w) > PLACES);
	world_fini(&w);
}

static void add_without_place(void *arg)
{
	struct fence *fence;
	struct resv resv;
	struct world w;

	world_init(&w);
	resv_init(&resv);
	fence = new_fence(&w, FENCE_DMA);
	resv_lock(&resv);
	resv_add(&resv, fence, RESV_WRITE);
}

static void add_container(void *arg)
{
	struct fence *fence[2];
	struct resv resv;
	struct world w;

	world_init(&w);
	resv_init(&resv);
	fence[0] = new_fence(&w, FENCE_DMA);
	fence[1] = new_fence(&w, FENCE_DMA);
	add(&resv, fence_all(&w.sync, fence, 2), RESV_WRITE);
}

static void test_R6_no_fence_without_a_place_and_no_container(void)
{
	if (!test_is_sim()) {
		test_expect_abort(add_without_place, NULL, "reserved");
		test_expect_abort(add_container, NULL, "fence_part");
	}
}

static void a_snapshot_does_not_see_what_comes_later(void)
{
	struct fence *fence[12], *all, *none;
	struct signaller s;
	struct resv resv;
	struct world w;

	world_init(&w);
	resv_init(&resv);
	none = resv_snapshot(&resv, &w.sync, RESV_BOOKKEEP);
	CHECK(none && fence_is_signalled(none));
	fence_put(none);
	for (unsigned i = 0; i < ARRAY_LEN(fence); i++) {
		fence[i] = new_fence(&w, FENCE_DMA);
		if (i < ARRAY_LEN(fence) - 1) {
			add(&resv, fence[i], i % 2 ? RESV_READ : RESV_WRITE);
		}
	}
	all = resv_snapshot(&resv, &w.sync, RESV_READ);
	CHECK(all && fence_part_count(all) == 11);
	add(&resv, fence[11], RESV_WRITE);
	CHECK_ERR(resv_wait(&resv, &w.sync, RESV_WRITE, 0, 0), -ETIMEDOUT);
	CHECK_OK(resv_wait(&resv, &w.sync, RESV_KERNEL, 0, 0));
	for (unsigned i = 0; i < 10; i++) {
		fence_signal(fence[i], 0);
		CHECK(!fence_is_signalled(all));
	}
	fence_signal(fence[10], 0);
	CHECK(fence_is_signalled(all));
	CHECK_ERR(resv_wait(&resv, &w.sync, RESV_READ, 0, 0), -ETIMEDOUT);
	signaller_start(&s, fence[11], 0, 0);
	CHECK_OK(resv_wait(&resv, &w.sync, RESV_READ, port_now_ns() + LONG, 0));
	port_thread_join(s.thread);
	fence_put(all);
	resv_fini(&resv);
	for (unsigned i = 0; i < ARRAY_LEN(fence); i++) {
		fence_put(fence[i]);
	}
	world_fini(&w);
}

static void read_body(void *arg)
{
	struct world *w = arg;
	struct fence *fence[10], *all;
	struct resv resv;

	resv_init(&resv);
	/* Up to here nothing is tested. */
	for (unsigned i = 0; i < ARRAY_LEN(fence); i++) {
		fence[i] = fence_create(&w->sync, FENCE_DMA);
		if (!fence[i]) {
			test_injection_off();
			fence[i] = new_fence(w, FENCE_DMA);
		}
		resv_lock(&resv);
		if (resv_reserve(&resv, 1)) {
			test_injection_off();
			CHECK_OK(resv_reserve(&resv, 1));
		}
		resv_add(&resv, fence[i], RESV_READ);
		resv_unlock(&resv);
	}
	all = resv_snapshot(&resv, &w->sync, RESV_READ);
	CHECK(all || test_injected());
	if (all) {
		CHECK_EQ(fence_part_count(all), ARRAY_LEN(fence));
	} else {
		CHECK_EQ(refs_of(fence[0]), 2);
	}
	for (unsigned i = 0; i < ARRAY_LEN(fence); i++) {
		signal_and_put(fence[i], 0);
	}
	fence_put(all);
	resv_fini(&resv);
}

static void a_reader_without_memory_takes_nothing(void)
{
	struct world w;

	world_init(&w);
	CHECK(test_sweep(PORT_FAULT_ALLOC, read_body, &w) > 10);
	world_fini(&w);
}

/* ---- against a model ------------------------------------------------------------------------- */

#define CONTEXTS 4
#define STEPS 200

struct model {
	uint64_t random;
	struct fence *fence[STEPS];
	unsigned context[STEPS], n;
	int usage[STEPS]; /* the leftmost one it was added with; -1: never */
	unsigned made[CONTEXTS];
};

static unsigned draw(struct model *m, unsigned n)
{
	m->random = m->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(m->random >> 33) % n;
}

/*
 * Who looks up to @usage must wait for each fence that was added with it or further left; it may
 * find a later one of the context instead. And it must find nothing that was not added for it.
 */
static void compare(struct model *m, struct resv *resv, unsigned usage)
{
	struct fence *found[STEPS];
	unsigned n;

	resv_lock(resv);
	n = resv_collect(resv, usage, found, STEPS);
	resv_unlock(resv);
	CHECK(n <= CONTEXTS * (usage + 1));
	for (unsigned i = 0; i < m->n; i++) {
		bool covered = m->usage[i] < 0 || m->usage[i] > (int)usage ||
			       fence_is_signalled(m->fence[i]);

		for (unsigned k = 0; k < n; k++) {
			covered = covered || (found[k]->context == m->fence[i]->context &&
					      found[k]->seqno >= m->fence[i]->seqno);
			CHECK(found[k] != m->fence[i] ||
			      (m->usage[i] >= 0 && m->usage[i] <= (int)usage));
		}
		CHECK(covered);
	}
	for (unsigned k = 0; k < n; k++) {
		fence_put(found[k]);
	}
}

static void model_step(struct model *m, struct world *w, struct resv *resv, uint64_t *context)
{
	unsigned c = draw(m, CONTEXTS), usage = draw(m, 4), i = m->n;

	switch (draw(m, 4)) {
	case 0: /* the next of a context signals */
		for (i = 0; i < m->n; i++) {
			if (m->context[i] == c && !fence_is_signalled(m->fence[i])) {
				fence_signal(m->fence[i], 0);
				break;
			}
		}
		break;
	case 1: /* one that is known is added again, in any order */
		if (m->n) {
			i = draw(m, m->n);
			add(resv, m->fence[i], usage);
			if (m->usage[i] < 0 || m->usage[i] > (int)usage) {
				m->usage[i] = (int)usage;
			}
		}
		break;
	default:
		m->fence[i] = new_fence_of(w, context[c], ++m->made[c]);
		m->context[i] = c;
		m->usage[i] = (int)usage;
		m->n++;
		add(resv, m->fence[i], usage);
		break;
	}
}

static void random_fences(uint64_t seed)
{
	struct model m = { .random = seed };
	uint64_t context[CONTEXTS];
	struct resv resv;
	struct world w;

	world_init(&w);
	resv_init(&resv);
	for (unsigned c = 0; c < CONTEXTS; c++) {
		context[c] = sync_new_context(&w.sync);
	}
	for (unsigned step = 0; step < STEPS; step++) {
		model_step(&m, &w, &resv, context);
		compare(&m, &resv, draw(&m, 4));
	}
	for (unsigned i = 0; i < m.n; i++) {
		if (!fence_is_signalled(m.fence[i])) {
			fence_signal(m.fence[i], 0);
		}
	}
	CHECK(resv_is_idle(&resv, RESV_BOOKKEEP));
	resv_fini(&resv);
	for (unsigned i = 0; i < m.n; i++) {
		CHECK_EQ(refs_of(m.fence[i]), 1);
		fence_put(m.fence[i]);
	}
	world_fini(&w);
}

static void test_B17_random_fences_agree_with_a_model(void)
{
	test_seeds(random_fences, 1, test_scale(100));
}

static const struct test_case cases[] = {
	TEST(test_B17_a_reader_sees_up_to_its_usage),
	TEST(test_R7_what_is_known_of_a_context_moves_to_the_left_only),
	TEST(what_has_signalled_makes_room),
	TEST(test_R6_a_place_is_had_before_or_not_at_all),
	TEST(test_R6_no_fence_without_a_place_and_no_container),
	TEST(a_snapshot_does_not_see_what_comes_later),
	TEST(a_reader_without_memory_takes_nothing),
	TEST(test_B17_random_fences_agree_with_a_model),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
