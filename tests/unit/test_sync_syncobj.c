// SPDX-License-Identifier: MIT
/* Syncobjs: payloads, points, look-ups, watchers. Waiting is in test_sync_syncobj_wait.c. */
#include "test_sync.h"

#include "sync/syncobj.h"

static struct syncobj *new_syncobj(struct world *w, bool signalled)
{
	struct syncobj *so = syncobj_create(&w->sync, signalled);

	CHECK(so);
	return so;
}

static void add_point(struct syncobj *so, uint64_t point, struct fence *fence)
{
	struct syncobj_point *mem = syncobj_point_alloc();

	CHECK(mem);
	syncobj_add_point(so, point, fence, mem);
}

static struct fence *find(struct syncobj *so, uint64_t point)
{
	struct fence *fence = NULL;

	CHECK_OK(syncobj_find(so, point, &fence));
	CHECK(fence);
	return fence;
}

/* Is what @point waits for over? */
static bool is_over(struct world *w, struct syncobj *so, uint64_t point)
{
	struct fence *fence = find(so, point);
	bool over;

	world_run(w);
	over = fence_is_signalled(fence);
	fence_put(fence);
	return over;
}

static void test_A03_a_binary_one_holds_one_fence(void)
{
	struct fence *f1, *f2, *found;
	struct syncobj *so;
	struct world w;

	world_init(&w);
	so = new_syncobj(&w, false);
	CHECK_ERR(syncobj_find(so, 0, &found), -EINVAL);
	CHECK(!syncobj_has(so, 0));
	f1 = new_fence(&w, FENCE_DMA);
	f2 = new_fence(&w, FENCE_DMA);
	syncobj_replace(so, f1);
	CHECK_EQ(find(so, 0), f1);
	fence_put(f1);
	syncobj_replace(so, f2);
	CHECK_EQ(refs_of(f1), 1);
	/* Signalled or not, with its error: it is the fence. */
	fence_signal(f2, -EIO);
	CHECK_EQ(find(so, 0), f2);
	fence_put(f2);
	CHECK(syncobj_has(so, 0));
	syncobj_replace(so, NULL);
	CHECK_ERR(syncobj_find(so, 0, &found), -EINVAL);
	CHECK_EQ(refs_of(f2), 1);
	syncobj_put(so);
	fence_put(f1);
	fence_put(f2);
	world_fini(&w);
}

static void one_created_signalled_holds_a_signalled_fence(void)
{
	struct syncobj *so;
	struct fence *found;
	struct world w;

	world_init(&w);
	so = new_syncobj(&w, true);
	CHECK_EQ(syncobj_get(so), so);
	syncobj_put(so);
	found = find(so, 0);
	CHECK(fence_is_signalled(found));
	fence_put(found);
	syncobj_put(so);
	syncobj_put(NULL);
	CHECK(!syncobj_get(NULL));
	world_fini(&w);
}

static void a_binary_one_has_no_points(void)
{
	struct syncobj *so;
	struct fence *found;
	struct world w;

	world_init(&w);
	so = new_syncobj(&w, true);
	CHECK_ERR(syncobj_find(so, 1, &found), -EINVAL);
	CHECK(!syncobj_has(so, 1));
	CHECK_EQ(syncobj_query(so, false), 0);
	CHECK_EQ(syncobj_query(so, true), 0);
	syncobj_put(so);
	world_fini(&w);
}

static void queries_follow_the_front_of_the_timeline(void)
{
	struct fence *fence[3];
	struct syncobj *so;
	struct world w;

	world_init(&w);
	so = new_syncobj(&w, false);
	for (unsigned i = 0; i < 3; i++) {
		fence[i] = new_fence(&w, FENCE_DMA);
		add_point(so, (i + 1) * 10, fence[i]);
	}
	CHECK_EQ(syncobj_query(so, false), 0);
	CHECK_EQ(syncobj_query(so, true), 30);
	/* A point waits for those before it. */
	signal_and_put(fence[1], 0);
	CHECK_EQ(syncobj_query(so, false), 0);
	CHECK(!is_over(&w, so, 20));
	signal_and_put(fence[0], 0);
	CHECK_EQ(syncobj_query(so, false), 20);
	signal_and_put(fence[2], 0);
	CHECK_EQ(syncobj_query(so, false), 30);
	CHECK_EQ(syncobj_query(so, true), 30);
	syncobj_put(so);
	world_fini(&w);
}

static void a_lookup_covers_everything_up_to_the_next_point(void)
{
	struct fence *fence[3], *at[3], *found;
	struct syncobj *so;
	struct world w;

	world_init(&w);
	so = new_syncobj(&w, false);
	for (unsigned i = 0; i < 3; i++) {
		fence[i] = new_fence(&w, FENCE_DMA);
		add_point(so, (i + 1) * 10, fence[i]);
	}
	CHECK_EQ(find(so, 1), fence[0]);
	CHECK_EQ(find(so, 10), fence[0]);
	fence_put(fence[0]);
	fence_put(fence[0]);
	at[0] = find(so, 11);
	at[1] = find(so, 20);
	at[2] = find(so, 30);
	CHECK_ERR(syncobj_find(so, 31, &found), -EINVAL);
	CHECK(syncobj_has(so, 30) && !syncobj_has(so, 31));
	fence_signal(fence[1], 0);
	fence_signal(fence[2], 0);
	world_run(&w);
	for (unsigned i = 0; i < 3; i++) {
		CHECK(!fence_is_signalled(at[i]));
	}
	fence_signal(fence[0], 0);
	for (unsigned i = 0; i < 3; i++) {
		CHECK(fence_is_signalled(at[i]));
		fence_put(at[i]);
		fence_put(fence[i]);
	}
	syncobj_put(so);
	world_fini(&w);
}

static void a_signalled_point_is_the_stub(void)
{
	struct fence *f1, *f2, *found;
	struct syncobj *so;
	struct world w;

	world_init(&w);
	so = new_syncobj(&w, false);
	f1 = new_fence(&w, FENCE_DMA);
	f2 = new_fence(&w, FENCE_DMA);
	add_point(so, 5, f1);
	add_point(so, 9, f2);
	signal_and_put(f1, 0);
	for (uint64_t point = 1; point <= 5; point++) {
		found = find(so, point);
		CHECK_EQ(found, w.sync.stub);
		fence_put(found);
	}
	found = find(so, 6);
	CHECK_EQ(found, f2);
	fence_put(found);
	signal_and_put(f2, 0);
	found = find(so, 0);
	CHECK_EQ(found, w.sync.stub);
	fence_put(found);
	syncobj_put(so);
	world_fini(&w);
}

static void binary_use_of_a_timeline_means_all_of_it(void)
{
	struct fence *f1, *f2, *all;
	struct syncobj *so;
	struct world w;

	world_init(&w);
	so = new_syncobj(&w, false);
	f1 = new_fence(&w, FENCE_DMA);
	f2 = new_fence(&w, FENCE_DMA);
	add_point(so, 1, f1);
	add_point(so, 2, f2);
	all = find(so, 0);
	signal_and_put(f2, 0);
	world_run(&w);
	CHECK(!fence_is_signalled(all));
	signal_and_put(f1, 0);
	world_run(&w);
	CHECK(fence_is_signalled(all));
	fence_put(all);
	syncobj_put(so);
	world_fini(&w);
}

static void the_first_point_waits_for_the_binary_payload(void)
{
	struct fence *before, *fence;
	struct syncobj *so;
	struct world w;

	world_init(&w);
	so = new_syncobj(&w, false);
	before = new_fence(&w, FENCE_DMA);
	fence = new_fence(&w, FENCE_DMA);
	syncobj_replace(so, before);
	add_point(so, 3, fence);
	signal_and_put(fence, 0);
	CHECK_EQ(syncobj_query(so, false), 0);
	CHECK(!is_over(&w, so, 3));
	signal_and_put(before, 0);
	CHECK(is_over(&w, so, 3));
	CHECK_EQ(syncobj_query(so, false), 3);
	syncobj_put(so);
	world_fini(&w);
}

static void points_out_of_order_join_the_last_one(void)
{
	static const uint64_t points[] = { 1, 5, 3, 6, 7 };
	struct fence *fence[5];
	struct syncobj *so;
	struct world w;

	world_init(&w);
	so = new_syncobj(&w, false);
	for (unsigned i = 0; i < 5; i++) {
		fence[i] = new_fence(&w, FENCE_DMA);
		add_point(so, points[i], fence[i]);
	}
	CHECK_EQ(syncobj_query(so, true), 7);
	signal_and_put(fence[0], 0);
	CHECK_EQ(syncobj_query(so, false), 1);
	signal_and_put(fence[1], 0);
	CHECK_EQ(syncobj_query(so, false), 1);
	CHECK(!is_over(&w, so, 3));
	CHECK(!is_over(&w, so, 5));
	signal_and_put(fence[2], 0);
	CHECK_EQ(syncobj_query(so, false), 5);
	CHECK(is_over(&w, so, 5));
	CHECK(!is_over(&w, so, 6));
	signal_and_put(fence[3], 0);
	signal_and_put(fence[4], 0);
	CHECK_EQ(syncobj_query(so, false), 7);
	syncobj_put(so);
	world_fini(&w);
}

static void queries_never_go_backwards(void)
{
	struct fence *late, *next;
	struct syncobj *so;
	struct world w;

	world_init(&w);
	so = new_syncobj(&w, false);
	add_point(so, 7, w.sync.stub);
	CHECK_EQ(syncobj_query(so, false), 7);
	late = new_fence(&w, FENCE_DMA);
	next = new_fence(&w, FENCE_DMA);
	add_point(so, 3, late);
	CHECK_EQ(syncobj_query(so, false), 7);
	CHECK_EQ(syncobj_query(so, true), 7);
	/* Yet who asks for it now waits for the late one. */
	CHECK(!is_over(&w, so, 3));
	CHECK(!is_over(&w, so, 7));
	add_point(so, 9, next);
	signal_and_put(next, 0);
	CHECK_EQ(syncobj_query(so, false), 7);
	CHECK(!is_over(&w, so, 8));
	signal_and_put(late, 0);
	CHECK_EQ(syncobj_query(so, false), 9);
	CHECK(is_over(&w, so, 3));
	syncobj_put(so);
	world_fini(&w);
}

static void point_zero_is_a_point(void)
{
	struct syncobj *so;
	struct fence *fence;
	struct world w;

	world_init(&w);
	so = new_syncobj(&w, false);
	fence = new_fence(&w, FENCE_DMA);
	add_point(so, 0, fence);
	CHECK(!is_over(&w, so, 0));
	signal_and_put(fence, 0);
	CHECK(is_over(&w, so, 0));
	CHECK_EQ(syncobj_query(so, true), 0);
	CHECK(!syncobj_has(so, 1));
	syncobj_put(so);
	world_fini(&w);
}

static void replacing_makes_it_binary_again(void)
{
	struct fence *fence, *found;
	struct syncobj *so;
	struct world w;

	world_init(&w);
	so = new_syncobj(&w, false);
	fence = new_fence(&w, FENCE_DMA);
	add_point(so, 5, w.sync.stub);
	add_point(so, 6, fence);
	syncobj_replace(so, fence);
	CHECK_EQ(refs_of(fence), 2);
	CHECK_EQ(syncobj_query(so, true), 0);
	CHECK_EQ(syncobj_query(so, false), 0);
	CHECK_ERR(syncobj_find(so, 5, &found), -EINVAL);
	CHECK_EQ(find(so, 0), fence);
	fence_put(fence);
	syncobj_replace(so, NULL);
	/* A new timeline starts from nothing. */
	add_point(so, 2, w.sync.stub);
	CHECK_EQ(syncobj_query(so, false), 2);
	syncobj_put(so);
	fence_put(fence);
	world_fini(&w);
}

static void points_of_one_queue_need_no_memory_to_look_up(void)
{
	struct fence *fence[50], *found;
	struct syncobj *so;
	uint64_t context;
	struct world w;

	world_init(&w);
	so = new_syncobj(&w, false);
	context = sync_new_context(&w.sync);
	for (unsigned i = 0; i < 50; i++) {
		fence[i] = new_fence_of(&w, context, i + 1);
		add_point(so, i + 1, fence[i]);
	}
	port_fault_set(PORT_FAULT_ALLOC, 1, true);
	for (unsigned i = 0; i < 50; i++) {
		found = find(so, i + 1);
		CHECK_EQ(found, fence[i]);
		fence_put(found);
	}
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	for (unsigned i = 0; i < 50; i++) {
		signal_and_put(fence[i], 0);
	}
	syncobj_put(so);
	world_fini(&w);
}

static void signalled_points_are_freed_when_somebody_looks(void)
{
	uint64_t blocks, bytes, now;
	struct syncobj *so;
	struct world w;

	world_init(&w);
	so = new_syncobj(&w, false);
	port_alloc_stats(&blocks, &bytes);
	for (uint64_t point = 1; point <= 1000; point++) {
		struct fence *fence = new_fence(&w, FENCE_DMA);

		add_point(so, point, fence);
		signal_and_put(fence, 0);
	}
	port_alloc_stats(&now, &bytes);
	CHECK(now <= blocks + 2);
	CHECK_EQ(syncobj_query(so, false), 1000);
	port_alloc_stats(&now, &bytes);
	CHECK_EQ(now, blocks);
	syncobj_put(so);
	syncobj_point_free(syncobj_point_alloc());
	syncobj_point_free(NULL);
	world_fini(&w);
}

struct watch {
	struct syncobj_watcher watcher;
	unsigned arrived;
};

static void watch_arrived(struct syncobj_watcher *self)
{
	container_of(self, struct watch, watcher)->arrived++;
}

static void watchers_are_told_of_arrivals_only(void)
{
	struct watch a = { .watcher.arrived = watch_arrived }, b = a;
	struct syncobj *so;
	struct world w;

	world_init(&w);
	so = new_syncobj(&w, true);
	syncobj_watch(so, &a.watcher);
	syncobj_watch(so, &b.watcher);
	CHECK_EQ(a.arrived, 0);
	syncobj_replace(so, NULL);
	CHECK_EQ(a.arrived, 0);
	syncobj_replace(so, w.sync.stub);
	CHECK(a.arrived == 1 && b.arrived == 1);
	syncobj_unwatch(so, &b.watcher);
	syncobj_unwatch(so, &b.watcher);
	add_point(so, 1, w.sync.stub);
	CHECK(a.arrived == 2 && b.arrived == 1);
	syncobj_unwatch(so, &a.watcher);
	syncobj_put(so);
	world_fini(&w);
}

struct user {
	struct syncobj *so;
	struct world *w;
	uint64_t from;
	struct port_thread *thread;
};

static void user_run(void *arg)
{
	struct user *u = arg;

	for (uint64_t i = 0; i < 6; i++) {
		struct fence *fence = new_fence(u->w, FENCE_DMA);

		add_point(u->so, u->from + i, fence);
		signal_and_put(fence, 0);
	}
}

static void use_together(uint64_t seed)
{
	struct user u[2];
	struct syncobj *so;
	struct world w;
	uint64_t last = 0;

	(void)seed;
	world_init(&w);
	so = new_syncobj(&w, false);
	for (unsigned i = 0; i < 2; i++) {
		u[i] = (struct user){ so, &w, 1 + i * 3, NULL };
		CHECK_OK(port_thread_create(&u[i].thread, "user", user_run, &u[i]));
	}
	for (unsigned i = 0; i < 10; i++) {
		uint64_t now = syncobj_query(so, false);
		struct fence *fence;

		CHECK(now >= last);
		CHECK(now <= syncobj_query(so, true));
		last = now;
		if (syncobj_find(so, 4, &fence) == 0) {
			CHECK_OK(fence_wait(fence, PORT_FOREVER, 0));
			fence_put(fence);
		}
	}
	port_thread_join(u[0].thread);
	port_thread_join(u[1].thread);
	CHECK_EQ(syncobj_query(so, false), 9);
	syncobj_put(so);
	world_fini(&w);
}

static void threads_add_query_and_look_up_together(void)
{
	test_seeds(use_together, 1, 200);
}

#define MANY 30

static void find_body(void *arg)
{
	struct world *w = arg;
	struct syncobj *so = syncobj_create(&w->sync, false);
	struct fence *fence[MANY], *found;
	struct syncobj_point *mem[MANY];
	int ret;

	if (!so) {
		CHECK(test_injected());
		test_injection_off();
		so = new_syncobj(w, false);
	}
	for (unsigned i = 0; i < MANY; i++) {
		mem[i] = syncobj_point_alloc();
		fence[i] = fence_create(&w->sync, FENCE_DMA);
		if (!mem[i] || !fence[i]) {
			CHECK(test_injected());
			test_injection_off();
			mem[i] = mem[i] ? mem[i] : syncobj_point_alloc();
			fence[i] = fence[i] ? fence[i] : new_fence(w, FENCE_DMA);
		}
		syncobj_add_point(so, i + 1, fence[i], mem[i]);
	}
	ret = syncobj_find(so, MANY, &found);
	if (ret) {
		CHECK_ERR(ret, -ENOMEM);
		CHECK(test_injected());
		test_injection_off();
		found = find(so, MANY);
	}
	for (unsigned i = 0; i < MANY; i++) {
		CHECK(!fence_is_signalled(found));
		fence_signal(fence[i], 0);
		fence_put(fence[i]);
	}
	CHECK(fence_is_signalled(found));
	fence_put(found);
	syncobj_put(so);
}

static void without_memory_a_lookup_fails_and_can_be_repeated(void)
{
	struct world w;

	world_init(&w);
	CHECK(test_sweep(PORT_FAULT_ALLOC, find_body, &w) >= 2 * (1 + 2 * MANY + 3));
	world_fini(&w);
}

/* ---- without memory -------------------------------------------------------------------------- */

/* One timeline given signalled points as nodes, one given them without: nobody can tell which. */
struct twins {
	struct world w;
	struct syncobj *so[2];
	struct fence *fence[24];
	unsigned n;
	uint64_t last;
};

static void twins_compare(struct twins *t)
{
	CHECK_EQ(syncobj_query(t->so[0], false), syncobj_query(t->so[1], false));
	CHECK_EQ(syncobj_query(t->so[0], true), syncobj_query(t->so[1], true));
	for (uint64_t point = 0; point <= t->last + 1; point++) {
		bool has = syncobj_has(t->so[0], point);

		CHECK_EQ(has, syncobj_has(t->so[1], point));
		if (has) {
			CHECK_EQ(is_over(&t->w, t->so[0], point), is_over(&t->w, t->so[1], point));
		}
	}
}

static void twins_step(struct twins *t, uint64_t random)
{
	struct fence *fence = t->fence[(random >> 8) % t->n];
	uint64_t point = t->last + 1 + (random >> 16) % 3;

	switch (random % 4) {
	case 0: /* something to wait for */
		for (unsigned i = 0; i < 2; i++) {
			add_point(t->so[i], point, fence);
		}
		t->last = point;
		break;
	case 1:
		if (random & BIT(30)) { /* not above the last one */
			point = (random >> 16) % (t->last + 1);
		}
		add_point(t->so[0], point, t->w.sync.stub);
		syncobj_advance(t->so[1], point);
		t->last = max_u64(t->last, point);
		break;
	case 2:
		if (!fence_is_signalled(fence)) {
			fence_signal(fence, 0);
		}
		break;
	default:
		twins_compare(t);
	}
}

static void advance_as_if(uint64_t seed)
{
	struct twins t = { .n = ARRAY_LEN(t.fence) };
	uint64_t random = seed * 0x9e3779b97f4a7c15ull;

	world_init(&t.w);
	for (unsigned i = 0; i < t.n; i++) {
		t.fence[i] = new_fence(&t.w, FENCE_DMA);
	}
	for (unsigned i = 0; i < 2; i++) {
		t.so[i] = new_syncobj(&t.w, false);
		if (seed % 3) { /* the points wait for what was there before */
			syncobj_replace(t.so[i], t.fence[0]);
		}
	}
	for (unsigned i = 0; i < 60; i++) {
		random = random * 6364136223846793005ull + 1442695040888963407ull;
		twins_step(&t, random >> 24);
	}
	twins_compare(&t);
	for (unsigned i = 0; i < t.n; i++) {
		if (!fence_is_signalled(t.fence[i])) {
			fence_signal(t.fence[i], 0);
			twins_compare(&t);
		}
		fence_put(t.fence[i]);
	}
	CHECK_EQ(syncobj_query(t.so[1], false), t.last);
	syncobj_put(t.so[0]);
	syncobj_put(t.so[1]);
	world_run(&t.w);
	world_fini(&t.w);
}

static void test_A24_a_signalled_point_needs_no_node(void)
{
	test_seeds(advance_as_if, 1, test_scale(300));
}

static void an_advance_is_an_arrival_and_needs_no_memory(void)
{
	struct watch watch = { .watcher = { .arrived = watch_arrived } };
	struct syncobj *so;
	struct fence *fence;
	struct world w;

	world_init(&w);
	so = new_syncobj(&w, false);
	fence = new_fence(&w, FENCE_DMA);
	syncobj_watch(so, &watch.watcher);
	port_fault_set(PORT_FAULT_ALLOC, 1, true);
	syncobj_advance(so, 3);
	CHECK_EQ(watch.arrived, 1);
	CHECK_EQ(syncobj_query(so, false), 3);
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	add_point(so, 5, fence);
	syncobj_advance(so, 9);
	CHECK_EQ(watch.arrived, 3);
	CHECK_EQ(syncobj_query(so, false), 3);
	CHECK_EQ(syncobj_query(so, true), 9);
	CHECK_EQ(find(so, 7), fence);
	fence_put(fence);
	signal_and_put(fence, 0);
	CHECK_EQ(syncobj_query(so, false), 9);
	syncobj_unwatch(so, &watch.watcher);
	syncobj_put(so);
	world_fini(&w);
}

static void what_comes_first_is_found_without_memory(void)
{
	struct fence *fence[3], *found = NULL;
	struct syncobj *so;
	struct world w;

	world_init(&w);
	so = new_syncobj(&w, false);
	CHECK_ERR(syncobj_find_first(so, 0, &found), -EINVAL);
	for (unsigned i = 0; i < 3; i++) {
		fence[i] = new_fence(&w, FENCE_DMA);
	}
	syncobj_replace(so, fence[0]);
	CHECK_ERR(syncobj_find_first(so, 1, &found), -EINVAL);
	add_point(so, 1, fence[1]);
	add_point(so, 2, fence[2]);
	port_fault_set(PORT_FAULT_ALLOC, 1, true);
	CHECK_ERR(syncobj_find(so, 2, &found), -ENOMEM); /* that is why */
	CHECK_ERR(syncobj_find_first(so, 3, &found), -EINVAL);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_OK(syncobj_find_first(so, 2, &found));
		CHECK_EQ(found, fence[i]);
		CHECK_EQ(refs_of(found), 3);
		fence_put(found);
		CHECK_OK(syncobj_find_first(so, 1, &found));
		CHECK_EQ(found, i < 2 ? fence[i] : NULL);
		fence_put(found);
		signal_and_put(fence[i], 0);
	}
	CHECK_OK(syncobj_find_first(so, 2, &found));
	CHECK(!found);
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	syncobj_replace(so, w.sync.stub);
	CHECK_OK(syncobj_find_first(so, 0, &found));
	CHECK(!found);
	syncobj_put(so);
	world_fini(&w);
}

static const struct test_case cases[] = {
	TEST(test_A03_a_binary_one_holds_one_fence),
	TEST(one_created_signalled_holds_a_signalled_fence),
	TEST(a_binary_one_has_no_points),
	TEST(queries_follow_the_front_of_the_timeline),
	TEST(a_lookup_covers_everything_up_to_the_next_point),
	TEST(a_signalled_point_is_the_stub),
	TEST(binary_use_of_a_timeline_means_all_of_it),
	TEST(the_first_point_waits_for_the_binary_payload),
	TEST(points_out_of_order_join_the_last_one),
	TEST(queries_never_go_backwards),
	TEST(point_zero_is_a_point),
	TEST(replacing_makes_it_binary_again),
	TEST(points_of_one_queue_need_no_memory_to_look_up),
	TEST(signalled_points_are_freed_when_somebody_looks),
	TEST(watchers_are_told_of_arrivals_only),
	TEST(threads_add_query_and_look_up_together),
	TEST(without_memory_a_lookup_fails_and_can_be_repeated),
	TEST(test_A24_a_signalled_point_needs_no_node),
	TEST(an_advance_is_an_arrival_and_needs_no_memory),
	TEST(what_comes_first_is_found_without_memory),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
