// SPDX-License-Identifier: MIT
/* Waiting for syncobjs: any and all, for submission, for availability, with time limits. */
#include "test_sync.h"

#include "sync/syncobj.h"

#define ALL SYNCOBJ_WAIT_ALL
#define SUBMIT SYNCOBJ_WAIT_FOR_SUBMIT
#define AVAILABLE SYNCOBJ_WAIT_AVAILABLE

static struct syncobj *new_syncobj(struct world *w)
{
	struct syncobj *so = syncobj_create(&w->sync, false);

	CHECK(so);
	return so;
}

static void add_point(struct syncobj *so, uint64_t point, struct fence *fence)
{
	struct syncobj_point *mem = syncobj_point_alloc();

	CHECK(mem);
	syncobj_add_point(so, point, fence, mem);
}

static int wait_one(struct world *w, struct syncobj *so, uint64_t point, unsigned flags,
		    uint64_t timeout_ns)
{
	struct syncobj_wait wait = { so, point };
	uint64_t deadline = timeout_ns ? port_now_ns() + timeout_ns : 0;

	return syncobj_wait_many(&w->sync, &wait, 1, flags, deadline, true, NULL);
}

static void a_missing_fence_is_einval_at_once(void)
{
	struct syncobj_wait wait[2];
	unsigned first = 99;
	struct world w;

	world_init(&w);
	wait[0] = (struct syncobj_wait){ new_syncobj(&w), 0 };
	wait[1] = (struct syncobj_wait){ new_syncobj(&w), 0 };
	syncobj_replace(wait[0].so, w.sync.stub);
	CHECK_ERR(syncobj_wait_many(&w.sync, wait, 2, 0, PORT_FOREVER, true, &first), -EINVAL);
	CHECK_ERR(syncobj_wait_many(&w.sync, wait, 2, ALL, PORT_FOREVER, true, &first), -EINVAL);
	CHECK_EQ(first, 99);
	/* A point that is not there yet, and one of a binary payload. */
	add_point(wait[1].so, 4, w.sync.stub);
	CHECK_ERR(wait_one(&w, wait[1].so, 5, 0, LONG), -EINVAL);
	CHECK_ERR(wait_one(&w, wait[0].so, 1, 0, LONG), -EINVAL);
	CHECK_OK(syncobj_wait_many(&w.sync, wait, 0, 0, 0, true, &first));
	syncobj_put(wait[0].so);
	syncobj_put(wait[1].so);
	world_fini(&w);
}

static void any_says_which_and_all_needs_each(void)
{
	struct syncobj_wait wait[6];
	struct fence *fence[6];
	unsigned first = 99;
	struct world w;

	world_init(&w);
	for (unsigned i = 0; i < 6; i++) {
		wait[i] = (struct syncobj_wait){ new_syncobj(&w), 0 };
		fence[i] = new_fence(&w, FENCE_DMA);
		syncobj_replace(wait[i].so, fence[i]);
	}
	CHECK_ERR(syncobj_wait_many(&w.sync, wait, 6, 0, 0, true, &first), -ETIME);
	fence_signal(fence[4], 0);
	fence_signal(fence[3], -EIO);
	CHECK_OK(syncobj_wait_many(&w.sync, wait, 6, 0, 0, true, &first));
	CHECK_EQ(first, 3);
	CHECK_ERR(syncobj_wait_many(&w.sync, wait, 6, ALL, port_now_ns() + MS, true, &first),
		  -ETIME);
	for (unsigned i = 0; i < 6; i++) {
		if (i != 3 && i != 4) {
			fence_signal(fence[i], 0);
		}
	}
	CHECK_OK(syncobj_wait_many(&w.sync, wait, 6, ALL, 0, true, &first));
	CHECK_EQ(first, 0);
	for (unsigned i = 0; i < 6; i++) {
		CHECK(list_empty(&wait[i].so->watchers));
		syncobj_put(wait[i].so);
		fence_put(fence[i]);
	}
	world_fini(&w);
}

static void a_time_limit_is_etime(void)
{
	struct fence *fence;
	struct syncobj *so;
	struct world w;
	uint64_t start;

	world_init(&w);
	so = new_syncobj(&w);
	fence = new_fence(&w, FENCE_DMA);
	start = port_now_ns();
	CHECK_ERR(wait_one(&w, so, 0, SUBMIT, 0), -ETIME);
	CHECK_ERR(wait_one(&w, so, 0, AVAILABLE, 0), -ETIME);
	CHECK(port_now_ns() < start + LONG);
	CHECK_ERR(wait_one(&w, so, 0, SUBMIT, 2 * MS), -ETIME);
	CHECK(port_now_ns() >= start + 2 * MS);
	syncobj_replace(so, fence);
	CHECK_ERR(wait_one(&w, so, 0, 0, 2 * MS), -ETIME);
	CHECK(port_now_ns() >= start + 4 * MS);
	CHECK(!test_is_sim() || port_now_ns() < start + 5 * MS);
	CHECK(list_empty(&so->watchers) && list_empty(&fence->cbs));
	CHECK_EQ(refs_of(fence), 2);
	syncobj_put(so);
	fence_put(fence);
	world_fini(&w);
}

static void an_interrupted_wait_can_be_repeated(void)
{
	struct fence *fence;
	struct syncobj *so;
	struct world w;

	world_init(&w);
	so = new_syncobj(&w);
	fence = new_fence(&w, FENCE_DMA);
	port_fault_set(PORT_FAULT_SLEEP, 1, false);
	CHECK_ERR(wait_one(&w, so, 0, SUBMIT, LONG), -EINTR);
	CHECK(list_empty(&so->watchers));
	syncobj_replace(so, fence);
	port_fault_set(PORT_FAULT_SLEEP, 1, false);
	CHECK_ERR(wait_one(&w, so, 0, SUBMIT, LONG), -EINTR);
	port_fault_set(PORT_FAULT_SLEEP, 0, false);
	CHECK(list_empty(&fence->cbs));
	fence_signal(fence, 0);
	CHECK_OK(wait_one(&w, so, 0, SUBMIT, LONG));
	syncobj_put(so);
	fence_put(fence);
	world_fini(&w);
}

/* Submits, then signals. */
struct client {
	struct world *w;
	struct syncobj *so;
	uint64_t point; /* 0: binary */
	uint64_t after_ns;
	struct fence *fence;
	bool keep; /* never signals */
	struct port_thread *thread;
};

static void client_run(void *arg)
{
	struct client *c = arg;

	if (c->after_ns) {
		nap(c->after_ns);
	}
	if (c->point) {
		add_point(c->so, c->point, c->fence);
	} else {
		syncobj_replace(c->so, c->fence);
	}
	if (!c->keep) {
		fence_signal(c->fence, 0);
	}
}

static void client_start(struct client *c, struct world *w, struct syncobj *so, uint64_t point)
{
	c->w = w;
	c->so = so;
	c->point = point;
	c->fence = new_fence(w, FENCE_DMA);
	CHECK_OK(port_thread_create(&c->thread, "client", client_run, c));
}

static void client_end(struct client *c)
{
	port_thread_join(c->thread);
	if (c->keep) {
		fence_signal(c->fence, 0);
	}
	fence_put(c->fence);
}

static void submit_race(uint64_t seed)
{
	struct client c = { .after_ns = seed & 4 ? MS / 10 : 0 };
	struct syncobj *so;
	struct world w;

	world_init(&w);
	if (seed & 1) {
		world_hire(&w);
	}
	so = new_syncobj(&w);
	client_start(&c, &w, so, seed & 2 ? 8 : 0);
	/* A later point brings an earlier one into being. */
	CHECK_OK(wait_one(&w, so, seed & 2 ? 5 : 0, SUBMIT, LONG));
	CHECK(fence_is_signalled(c.fence));
	client_end(&c);
	CHECK(list_empty(&so->watchers));
	syncobj_put(so);
	world_fini(&w);
}

static void a_wait_for_submission_ends_with_the_signal(void)
{
	test_seeds(submit_race, 1, 200);
}

static void available_race(uint64_t seed)
{
	struct client c = { .keep = true, .after_ns = seed & 4 ? MS / 10 : 0 };
	unsigned flags = AVAILABLE | (seed & 1 ? SUBMIT : 0);
	struct syncobj *so;
	struct world w;
	uint64_t start;

	world_init(&w);
	so = new_syncobj(&w);
	start = port_now_ns();
	client_start(&c, &w, so, seed & 2 ? 8 : 0);
	CHECK_OK(wait_one(&w, so, seed & 2 ? 5 : 0, flags, LONG));
	CHECK(!fence_is_signalled(c.fence));
	/* Woken by the arrival, not found at the end of the time. */
	CHECK(port_now_ns() < start + LONG / 2);
	CHECK_OK(wait_one(&w, so, seed & 2 ? 8 : 0, flags, 0));
	client_end(&c);
	syncobj_put(so);
	world_fini(&w);
}

static void a_wait_for_availability_ends_without_a_signal(void)
{
	test_seeds(available_race, 1, 200);
}

static void all_race(uint64_t seed)
{
	struct client c[5] = { 0 };
	struct syncobj_wait wait[5];
	struct world w;

	world_init(&w);
	if (seed & 1) {
		world_hire(&w);
	}
	for (unsigned i = 0; i < 5; i++) {
		wait[i] = (struct syncobj_wait){ new_syncobj(&w), i & 1 ? 3 : 0 };
		client_start(&c[i], &w, wait[i].so, wait[i].point);
	}
	CHECK_OK(syncobj_wait_many(&w.sync, wait, 5, ALL | SUBMIT, PORT_FOREVER, false, NULL));
	for (unsigned i = 0; i < 5; i++) {
		CHECK(fence_is_signalled(c[i].fence));
		client_end(&c[i]);
		syncobj_put(wait[i].so);
	}
	world_fini(&w);
}

static void all_of_what_is_submitted_meanwhile(void)
{
	test_seeds(all_race, 1, 200);
}

static void any_race(uint64_t seed)
{
	struct syncobj_wait wait[3];
	struct client c = { 0 };
	unsigned which = (unsigned)(seed % 3), first = 99;
	struct world w;

	world_init(&w);
	for (unsigned i = 0; i < 3; i++) {
		wait[i] = (struct syncobj_wait){ new_syncobj(&w), 0 };
	}
	client_start(&c, &w, wait[which].so, 0);
	CHECK_OK(syncobj_wait_many(&w.sync, wait, 3, SUBMIT, PORT_FOREVER, true, &first));
	CHECK_EQ(first, which);
	client_end(&c);
	for (unsigned i = 0; i < 3; i++) {
		syncobj_put(wait[i].so);
	}
	world_fini(&w);
}

static void any_of_what_is_submitted_meanwhile(void)
{
	test_seeds(any_race, 1, 100);
}

struct resetter {
	struct syncobj *so;
	struct fence *fence;
	struct port_thread *thread;
};

static void resetter_run(void *arg)
{
	struct resetter *r = arg;

	syncobj_replace(r->so, r->fence);
	syncobj_replace(r->so, NULL);
	fence_signal(r->fence, 0);
	nap(MS);
	syncobj_replace(r->so, r->fence);
}

static void reset_race(uint64_t seed)
{
	struct resetter r;
	struct world w;

	(void)seed;
	world_init(&w);
	r.so = new_syncobj(&w);
	r.fence = new_fence(&w, FENCE_DMA);
	CHECK_OK(port_thread_create(&r.thread, "resetter", resetter_run, &r));
	CHECK_OK(wait_one(&w, r.so, 0, SUBMIT, LONG));
	port_thread_join(r.thread);
	syncobj_put(r.so);
	fence_put(r.fence);
	world_fini(&w);
}

static void a_reset_does_not_disturb_a_wait(void)
{
	test_seeds(reset_race, 1, 200);
}

struct replacer {
	struct syncobj *so;
	struct fence *first, *second;
};

/* Once somebody waits for the first fence, another takes its place; then the first signals. */
static void replacer_run(void *arg)
{
	struct replacer *r = arg;
	bool waited_for = false;

	while (!waited_for) {
		port_relax();
		port_mutex_lock(&r->first->lock);
		waited_for = !list_empty(&r->first->cbs);
		port_mutex_unlock(&r->first->lock);
	}
	syncobj_replace(r->so, r->second);
	fence_signal(r->first, 0);
}

static void the_fence_found_first_counts(void)
{
	struct port_thread *thread;
	struct replacer r;
	struct world w;

	world_init(&w);
	r.so = new_syncobj(&w);
	r.first = new_fence(&w, FENCE_DMA);
	r.second = new_fence(&w, FENCE_DMA);
	syncobj_replace(r.so, r.first);
	CHECK_OK(port_thread_create(&thread, "replacer", replacer_run, &r));
	CHECK_OK(wait_one(&w, r.so, 0, 0, LONG));
	port_thread_join(thread);
	CHECK(!fence_is_signalled(r.second));
	fence_signal(r.second, 0);
	fence_put(r.first);
	fence_put(r.second);
	syncobj_put(r.so);
	world_fini(&w);
}

static void a_point_waits_for_those_before_it(void)
{
	struct fence *f1, *f2;
	struct syncobj *so;
	struct world w;

	world_init(&w);
	so = new_syncobj(&w);
	f1 = new_fence(&w, FENCE_DMA);
	f2 = new_fence(&w, FENCE_DMA);
	add_point(so, 1, f1);
	add_point(so, 2, f2);
	fence_signal(f2, 0);
	CHECK_ERR(wait_one(&w, so, 2, 0, MS), -ETIME);
	CHECK_OK(wait_one(&w, so, 2, AVAILABLE, 0));
	fence_signal(f1, 0);
	CHECK_OK(wait_one(&w, so, 2, 0, LONG));
	fence_put(f1);
	fence_put(f2);
	syncobj_put(so);
	world_fini(&w);
}

static struct port_lock_class lock_class = { .name = "test.vm", .rank = RANK_VM };

static void wait_with_lock(void *arg)
{
	struct port_mutex lock;
	struct syncobj *so = new_syncobj(arg);

	port_mutex_init(&lock, &lock_class);
	port_mutex_lock(&lock);
	wait_one(arg, so, 0, SUBMIT, 0);
}

static void test_R4_a_wait_under_a_lock_panics(void)
{
	struct world w;

	world_init(&w);
	test_expect_abort(wait_with_lock, &w, "test.vm");
	world_fini(&w);
}

#define MANY 10

static void wait_body(void *arg)
{
	struct syncobj_wait wait[MANY];
	struct fence *f[2];
	struct world *w = arg;
	int ret;

	for (unsigned i = 0; i < MANY; i++) {
		wait[i] = (struct syncobj_wait){ syncobj_create(&w->sync, true), 0 };
		if (!wait[i].so) {
			test_injection_off();
			wait[i].so = new_syncobj(w);
			syncobj_replace(wait[i].so, w->sync.stub);
		}
	}
	for (unsigned i = 0; i < 2; i++) {
		struct syncobj_point *mem = syncobj_point_alloc();

		f[i] = fence_create(&w->sync, FENCE_DMA);
		if (!mem || !f[i]) {
			test_injection_off();
			mem = mem ? mem : syncobj_point_alloc();
			f[i] = f[i] ? f[i] : new_fence(w, FENCE_DMA);
		}
		syncobj_add_point(wait[3].so, i + 1, f[i], mem);
	}
	wait[3].point = 2;
	ret = syncobj_wait_many(&w->sync, wait, MANY, ALL, 0, true, NULL);
	if (ret != -ETIME) {
		CHECK_ERR(ret, -ENOMEM);
		CHECK(test_injected());
		test_injection_off();
		CHECK_ERR(syncobj_wait_many(&w->sync, wait, MANY, ALL, 0, true, NULL), -ETIME);
	}
	signal_and_put(f[0], 0);
	signal_and_put(f[1], 0);
	world_run(w);
	test_injection_off();
	CHECK_OK(syncobj_wait_many(&w->sync, wait, MANY, ALL, 0, true, NULL));
	for (unsigned i = 0; i < MANY; i++) {
		CHECK(list_empty(&wait[i].so->watchers));
		syncobj_put(wait[i].so);
	}
}

static void without_memory_a_wait_fails_and_can_be_repeated(void)
{
	struct world w;

	world_init(&w);
	CHECK(test_sweep(PORT_FAULT_ALLOC, wait_body, &w) >= 2 * (MANY + 4 + 3));
	world_fini(&w);
}

static const struct test_case cases[] = {
	TEST(a_missing_fence_is_einval_at_once),
	TEST(any_says_which_and_all_needs_each),
	TEST(a_time_limit_is_etime),
	TEST(an_interrupted_wait_can_be_repeated),
	TEST(a_wait_for_submission_ends_with_the_signal),
	TEST(a_wait_for_availability_ends_without_a_signal),
	TEST(all_of_what_is_submitted_meanwhile),
	TEST(any_of_what_is_submitted_meanwhile),
	TEST(a_reset_does_not_disturb_a_wait),
	TEST(the_fence_found_first_counts),
	TEST(a_point_waits_for_those_before_it),
	TEST(test_R4_a_wait_under_a_lock_panics),
	TEST(without_memory_a_wait_fails_and_can_be_repeated),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
