// SPDX-License-Identifier: MIT
/* Dependencies of jobs, and one fence for several. */
#include "test_sync.h"

struct job {
	struct ready_item item;
	struct deps deps;
	struct fence *own;
	atomic_uint runs;
	int error;
};

static void job_run(struct ready_item *item)
{
	struct job *job = container_of(item, struct job, item);

	for (unsigned i = 0; i < job->deps.count; i++) {
		CHECK(fence_is_signalled(job->deps.dep[i].fence));
	}
	atomic_fetch_add(&job->runs, 1);
	job->error = job->deps.error;
	deps_fini(&job->deps);
	if (job->own) {
		fence_signal(job->own, job->error);
	}
}

static void job_init(struct job *job, struct world *w, unsigned cap)
{
	memset(job, 0, sizeof(*job));
	job->item.run = job_run;
	CHECK_OK(deps_init(&job->deps, &w->sync, &job->item, cap));
}

static void with_all_signalled_the_caller_runs_the_job(void)
{
	struct fence *fence;
	struct world w;
	struct job job;

	world_init(&w);
	fence = new_fence(&w, FENCE_DMA);
	job_init(&job, &w, 1);
	deps_add(&job.deps, NULL);
	deps_add(&job.deps, w.sync.stub);
	deps_add(&job.deps, fence);
	fence_signal(fence, 0);
	CHECK(deps_arm(&job.deps, NULL));
	CHECK(ready_empty(&w.sync));
	CHECK_EQ(job.deps.error, 0);
	deps_fini(&job.deps);
	deps_fini(&job.deps);
	CHECK_EQ(refs_of(fence), 1);
	fence_put(fence);

	job_init(&job, &w, 0);
	CHECK(deps_arm(&job.deps, NULL));
	deps_fini(&job.deps);
	world_fini(&w);
}

static void test_A10_a_job_is_ready_when_the_last_dependency_signals(void)
{
	static const unsigned orders[][3] = { { 0, 1, 2 }, { 2, 1, 0 }, { 1, 0, 2 } };
	struct fence *fence[3];
	struct world w;
	struct job job;

	world_init(&w);
	for (unsigned o = 0; o < ARRAY_LEN(orders); o++) {
		job_init(&job, &w, 3);
		for (unsigned i = 0; i < 3; i++) {
			fence[i] = new_fence(&w, FENCE_DMA);
			deps_add(&job.deps, fence[i]);
		}
		CHECK(!deps_arm(&job.deps, NULL));
		for (unsigned i = 0; i < 3; i++) {
			CHECK(ready_empty(&w.sync));
			signal_and_put(fence[orders[o][i]], 0);
		}
		CHECK_EQ(world_run(&w), 1);
		CHECK_EQ(atomic_load(&job.runs), 1);
	}
	world_fini(&w);
}

static void a_fence_or_context_counts_once(void)
{
	struct fence *f1, *f2, *f3;
	struct world w;
	struct job job;
	uint64_t context;

	world_init(&w);
	context = sync_new_context(&w.sync);
	f1 = new_fence_of(&w, context, 1);
	f2 = new_fence_of(&w, context, 2);
	f3 = new_fence_of(&w, context, 3);
	job_init(&job, &w, 1);
	deps_add(&job.deps, f2);
	deps_add(&job.deps, f2);
	deps_add(&job.deps, f1);
	CHECK_EQ(job.deps.count, 1);
	CHECK_EQ(job.deps.dep[0].fence, f2);
	deps_add(&job.deps, f3);
	CHECK_EQ(job.deps.count, 1);
	CHECK_EQ(job.deps.dep[0].fence, f3);
	CHECK(refs_of(f1) == 1 && refs_of(f2) == 1 && refs_of(f3) == 2);
	CHECK(!deps_arm(&job.deps, NULL));
	signal_and_put(f1, 0);
	signal_and_put(f2, 0);
	CHECK(ready_empty(&w.sync));
	signal_and_put(f3, 0);
	CHECK_EQ(world_run(&w), 1);
	world_fini(&w);
}

static void the_first_error_in_order_of_adding_is_the_jobs(void)
{
	struct fence *fence[3];
	struct world w;
	struct job job;

	world_init(&w);
	job_init(&job, &w, 3);
	for (unsigned i = 0; i < 3; i++) {
		fence[i] = new_fence(&w, FENCE_DMA);
		deps_add(&job.deps, fence[i]);
	}
	CHECK(!deps_arm(&job.deps, NULL));
	signal_and_put(fence[2], -EIO);
	signal_and_put(fence[1], -ECANCELED);
	signal_and_put(fence[0], 0);
	CHECK_EQ(world_run(&w), 1);
	CHECK_EQ(job.error, -ECANCELED);
	world_fini(&w);
}

static void the_error_of_a_signalled_fence_is_kept(void)
{
	struct fence *f1, *f2;
	struct world w;
	struct job job;
	uint64_t context;

	world_init(&w);
	context = sync_new_context(&w.sync);
	f1 = new_fence_of(&w, context, 1);
	f2 = new_fence_of(&w, context, 2);
	fence_signal(f1, -EIO);
	job_init(&job, &w, 1);
	deps_add(&job.deps, f1);
	deps_add(&job.deps, f2);
	fence_signal(f2, 0);
	CHECK(deps_arm(&job.deps, NULL));
	CHECK_EQ(job.deps.error, -EIO);
	deps_fini(&job.deps);

	/* In the other order as well. */
	job_init(&job, &w, 1);
	deps_add(&job.deps, f2);
	deps_add(&job.deps, f1);
	CHECK(deps_arm(&job.deps, NULL));
	CHECK_EQ(job.deps.error, -EIO);
	deps_fini(&job.deps);
	fence_put(f1);
	fence_put(f2);
	world_fini(&w);
}

static void every_dependency_is_an_event_even_one_that_is_over(void)
{
	struct fence *own, *over, *open;
	struct recorder r;
	struct world w;
	struct job job;

	world_init(&w);
	own = new_fence(&w, FENCE_DMA);
	over = new_fence(&w, FENCE_DMA);
	open = new_fence(&w, FENCE_DMA);
	fence_signal(over, 0);
	recorder_attach(&r, &w);
	job_init(&job, &w, 2);
	deps_add(&job.deps, over);
	deps_add(&job.deps, open);
	CHECK(!deps_arm(&job.deps, own));
	CHECK_EQ(r.n, 2);
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(r.event[i].type, EVENT_FENCE_DEP);
		CHECK_EQ(r.event[i].arg[0], own->context);
		CHECK_EQ(r.event[i].arg[1], own->seqno);
		CHECK_EQ(r.event[i].arg[2], (i ? open : over)->context);
		CHECK_EQ(r.event[i].arg[3], 1);
	}
	fence_signal(open, 0);
	event_detach(&w.events, &r.reader);
	CHECK_EQ(world_run(&w), 1);
	fence_put(own);
	fence_put(over);
	fence_put(open);
	world_fini(&w);
}

static void count_race(uint64_t seed)
{
	struct fence *fence[3];
	struct signaller s[3];
	struct world w;
	struct job job;

	world_init(&w);
	if (seed & 1) {
		world_hire(&w);
	}
	job_init(&job, &w, 3);
	job.own = new_fence(&w, FENCE_DMA);
	for (unsigned i = 0; i < 3; i++) {
		fence[i] = new_fence(&w, FENCE_DMA);
		deps_add(&job.deps, fence[i]);
		signaller_start(&s[i], fence[i], i == 1 ? -EIO : 0, 0);
		fence_put(fence[i]);
	}
	if (deps_arm(&job.deps, job.own)) {
		job_run(&job.item);
	}
	CHECK_OK(fence_wait(job.own, PORT_FOREVER, 0));
	CHECK_EQ(fence_error(job.own), -EIO);
	for (unsigned i = 0; i < 3; i++) {
		port_thread_join(s[i].thread);
	}
	CHECK_EQ(atomic_load(&job.runs), 1);
	CHECK(ready_empty(&w.sync));
	if (w.worker) {
		/* The worker may still be inside the signal. */
		atomic_store(&w.stop, true);
		port_wq_wake(&w.work_wq);
		port_thread_join(w.worker);
		w.worker = NULL;
	}
	fence_put(job.own);
	world_fini(&w);
}

static void a_job_runs_once_under_concurrent_signals(void)
{
	test_seeds(count_race, 1, 200);
}

static void a_cancelled_job_waits_no_longer(void)
{
	struct fence *over, *open;
	struct world w;
	struct job job;

	world_init(&w);
	over = new_fence(&w, FENCE_DMA);
	open = new_fence(&w, FENCE_DMA);
	job_init(&job, &w, 2);
	deps_add(&job.deps, over);
	deps_add(&job.deps, open);
	CHECK(!deps_arm(&job.deps, NULL));
	signal_and_put(over, -EIO);
	CHECK(deps_cancel(&job.deps, 0));
	CHECK_EQ(job.deps.error, -EIO);
	CHECK(!deps_cancel(&job.deps, 0));
	CHECK(list_empty(&open->cbs));
	deps_fini(&job.deps);
	signal_and_put(open, 0);
	CHECK(ready_empty(&w.sync));
	world_fini(&w);
}

static void a_cancelled_job_still_follows_the_one_before_it(void)
{
	struct fence *before, *open;
	struct world w;
	struct job job;

	world_init(&w);
	before = new_fence(&w, FENCE_DMA);
	open = new_fence(&w, FENCE_DMA);
	job_init(&job, &w, 2);
	deps_add(&job.deps, open);
	deps_add(&job.deps, before);
	CHECK(!deps_arm(&job.deps, NULL));
	CHECK(!deps_cancel(&job.deps, before->context));
	CHECK(ready_empty(&w.sync));
	signal_and_put(before, 0);
	CHECK_EQ(ready_pop(&w.sync), &job.item);
	CHECK(!deps_cancel(&job.deps, 0));
	deps_fini(&job.deps);
	signal_and_put(open, 0);
	CHECK(ready_empty(&w.sync));
	world_fini(&w);
}

static void cancel_race(uint64_t seed)
{
	struct fence *fence[3];
	struct signaller s[2];
	struct world w;
	struct job job;

	world_init(&w);
	job_init(&job, &w, 3);
	for (unsigned i = 0; i < 3; i++) {
		fence[i] = new_fence(&w, FENCE_DMA);
		deps_add(&job.deps, fence[i]);
	}
	CHECK(!deps_arm(&job.deps, NULL));
	for (unsigned i = 0; i < 2; i++) {
		signaller_start(&s[i], fence[i], 0, 0);
	}
	for (uint64_t i = 0; i < seed % 8; i++) {
		port_relax();
	}
	/* Either way it becomes ready once: here, or by a push of what was kept. */
	if (deps_cancel(&job.deps, seed & 8 ? fence[0]->context : 0)) {
		atomic_fetch_add(&job.runs, 1);
	}
	for (unsigned i = 0; i < 2; i++) {
		port_thread_join(s[i].thread);
	}
	for (struct ready_item *item; (item = ready_pop(&w.sync));) {
		CHECK_EQ(item, &job.item);
		atomic_fetch_add(&job.runs, 1);
	}
	CHECK_EQ(atomic_load(&job.runs), 1);
	deps_fini(&job.deps);
	fence_signal(fence[2], 0);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(refs_of(fence[i]), 1);
		fence_put(fence[i]);
	}
	CHECK(ready_empty(&w.sync));
	world_fini(&w);
}

static void a_job_is_ready_once_when_cancelled_under_concurrent_signals(void)
{
	test_seeds(cancel_race, 1, 200);
}

/* ---- kinds ----------------------------------------------------------------------------------- */

struct kinds {
	struct world *w;
	enum fence_kind own, dep;
};

static void arm_kinds(void *arg)
{
	struct kinds *k = arg;
	struct fence *own = new_fence(k->w, k->own), *dep = new_fence(k->w, k->dep);
	struct job *job = port_alloc(sizeof(*job));

	CHECK(job);
	job_init(job, k->w, 1);
	deps_add(&job->deps, dep);
	CHECK(!deps_arm(&job->deps, own));
	signal_and_put(dep, 0);
	CHECK_EQ(world_run(k->w), 1);
	fence_put(own);
	port_free(job);
}

static void test_A13_R5_a_dma_fence_depends_on_dma_fences_only(void)
{
	struct world w;
	struct kinds k = { .w = &w };

	world_init(&w);
	for (k.own = FENCE_DMA; k.own <= FENCE_LR; k.own++) {
		for (k.dep = FENCE_DMA; k.dep <= FENCE_LR; k.dep++) {
			if (k.own == FENCE_DMA && k.dep != FENCE_DMA) {
				test_expect_abort(arm_kinds, &k, "a dma fence would depend on");
			} else {
				arm_kinds(&k);
			}
		}
	}
	world_fini(&w);
}

static void test_A13_a_user_fence_waited_for_before_is_no_dependency(void)
{
	struct fence *own, *user;
	struct world w;
	struct job job;

	world_init(&w);
	own = new_fence(&w, FENCE_DMA);
	user = new_fence(&w, FENCE_USER);
	fence_signal(user, 0);
	job_init(&job, &w, 1);
	deps_add(&job.deps, user);
	CHECK(deps_arm(&job.deps, own));
	deps_fini(&job.deps);
	fence_put(user);
	signal_and_put(own, 0);
	world_fini(&w);
}

/* ---- contradictions and memory --------------------------------------------------------------- */

static void add_too_many(void *arg)
{
	struct job job;

	job_init(&job, arg, 1);
	deps_add(&job.deps, new_fence(arg, FENCE_DMA));
	deps_add(&job.deps, new_fence(arg, FENCE_DMA));
}

static void fini_while_pending(void *arg)
{
	struct job job;

	job_init(&job, arg, 1);
	deps_add(&job.deps, new_fence(arg, FENCE_DMA));
	deps_arm(&job.deps, NULL);
	deps_fini(&job.deps);
}

static void arm_twice(void *arg)
{
	struct job job;

	job_init(&job, arg, 0);
	deps_arm(&job.deps, NULL);
	deps_arm(&job.deps, NULL);
}

static void depend_on_itself(void *arg)
{
	struct fence *own = new_fence(arg, FENCE_DMA);
	struct job job;

	job_init(&job, arg, 1);
	deps_add(&job.deps, own);
	deps_arm(&job.deps, own);
}

static void contradictions_panic(void)
{
	struct world w;

	world_init(&w);
	test_expect_abort(add_too_many, &w, "deps->count < deps->cap");
	test_expect_abort(fini_while_pending, &w, "deps->pending");
	test_expect_abort(arm_twice, &w, "!deps->armed");
	test_expect_abort(depend_on_itself, &w, "fence != own");
	world_fini(&w);
}

static void init_body(void *arg)
{
	struct ready_item item = { .run = job_run };
	struct world *w = arg;
	struct deps deps;
	int ret = deps_init(&deps, &w->sync, &item, 4);

	if (ret) {
		CHECK_ERR(ret, -ENOMEM);
		CHECK(test_injected());
		deps_fini(&deps);
		test_injection_off();
		CHECK_OK(deps_init(&deps, &w->sync, &item, 4));
	}
	deps_fini(&deps);
}

static void room_that_cannot_be_had_is_enomem(void)
{
	struct world w;

	world_init(&w);
	CHECK(test_sweep(PORT_FAULT_ALLOC, init_body, &w) >= 4);
	world_fini(&w);
}

/* ---- a fence for several --------------------------------------------------------------------- */

static void of_nothing_left_it_is_the_stub(void)
{
	struct fence *fences[3], *all;
	struct world w;

	world_init(&w);
	all = fence_all(&w.sync, NULL, 0);
	CHECK_EQ(all, w.sync.stub);
	fence_put(all);
	fences[0] = NULL;
	fences[1] = w.sync.stub;
	fences[2] = new_fence(&w, FENCE_DMA);
	all = fence_all(&w.sync, fences, 3);
	CHECK_EQ(all, fences[2]);
	fence_put(all);
	fence_signal(fences[2], 0);
	all = fence_all(&w.sync, fences, 3);
	CHECK_EQ(all, w.sync.stub);
	fence_put(all);
	fence_put(fences[2]);
	world_fini(&w);
}

static void it_signals_after_the_last_with_the_first_error(void)
{
	struct fence *fences[3], *all;
	struct world w;

	world_init(&w);
	for (unsigned i = 0; i < 3; i++) {
		fences[i] = new_fence(&w, FENCE_DMA);
	}
	all = fence_all(&w.sync, fences, 3);
	CHECK(all && all->kind == FENCE_DMA);
	signal_and_put(fences[1], -EIO);
	signal_and_put(fences[0], 0);
	CHECK_EQ(world_run(&w), 0);
	CHECK(!fence_is_signalled(all));
	signal_and_put(fences[2], -ENODEV);
	/* At once: nobody else has to run first. */
	CHECK(fence_is_signalled(all));
	CHECK_EQ(fence_error(all), -EIO);
	CHECK_EQ(refs_of(all), 1);
	fence_put(all);
	world_fini(&w);
}

static void an_error_of_the_past_is_not_lost(void)
{
	struct fence *fences[2], *all;
	struct world w;

	world_init(&w);
	fences[0] = new_fence(&w, FENCE_DMA);
	fences[1] = new_fence(&w, FENCE_DMA);
	fence_signal(fences[0], -EIO);
	all = fence_all(&w.sync, fences, 2);
	CHECK(all && !fence_is_signalled(all));
	fence_signal(fences[1], 0);
	CHECK_EQ(fence_error(all), -EIO);
	fence_put(all);
	all = fence_all(&w.sync, fences, 2);
	CHECK_EQ(fence_error(all), -EIO);
	fence_put(all);
	fence_put(fences[0]);
	fence_put(fences[1]);
	world_fini(&w);
}

static void its_parts_are_no_such_fences(void)
{
	struct fence *fences[4], *half[2], *all;
	struct world w;

	world_init(&w);
	for (unsigned i = 0; i < 4; i++) {
		fences[i] = new_fence(&w, FENCE_DMA);
	}
	half[0] = fence_all(&w.sync, &fences[0], 3);
	half[1] = fence_all(&w.sync, &fences[2], 2); /* one in both */
	all = fence_all(&w.sync, half, 2);
	CHECK_EQ(fence_part_count(half[0]), 3);
	CHECK_EQ(fence_part_count(all), 4);
	CHECK_EQ(fence_part_count(fences[0]), 1);
	CHECK_EQ(fence_part(fences[0], 0), fences[0]);
	for (unsigned i = 0; i < 4; i++) {
		CHECK_EQ(fence_part(all, i), fences[i]);
		CHECK(!fence_is_signalled(all));
		fence_signal(fences[i], 0);
	}
	CHECK(fence_is_signalled(all) && fence_is_signalled(half[0]));
	fence_put(half[0]);
	fence_put(half[1]);
	fence_put(all);
	for (unsigned i = 0; i < 4; i++) {
		CHECK_EQ(refs_of(fences[i]), 1);
		fence_put(fences[i]);
	}
	world_fini(&w);
}

static void its_kind_is_that_of_the_worst(void)
{
	struct fence *fences[3], *all;
	struct world w;

	world_init(&w);
	fences[0] = new_fence(&w, FENCE_DMA);
	fences[1] = new_fence(&w, FENCE_LR);
	fences[2] = new_fence(&w, FENCE_DMA);
	all = fence_all(&w.sync, fences, 3);
	CHECK_EQ(all->kind, FENCE_LR);
	for (unsigned i = 0; i < 3; i++) {
		signal_and_put(fences[i], 0);
	}
	CHECK_OK(fence_wait(all, port_now_ns() + LONG, 0));
	fence_put(all);
	world_fini(&w);
}

static void forgotten_it_is_gone(void)
{
	struct fence *fences[2];
	struct world w;

	world_init(&w);
	fences[0] = new_fence(&w, FENCE_DMA);
	fences[1] = new_fence(&w, FENCE_DMA);
	fence_put(fence_all(&w.sync, fences, 2));
	CHECK(refs_of(fences[0]) == 1 && refs_of(fences[1]) == 1);
	CHECK(list_empty(&fences[0]->cbs));
	signal_and_put(fences[0], 0);
	signal_and_put(fences[1], 0);
	world_fini(&w);
}

/* Forgotten while its parts signal. */
static void forgetting_race(uint64_t seed)
{
	struct fence *fence[2];
	struct signaller s[2];
	struct world w;

	world_init(&w);
	for (unsigned i = 0; i < 2; i++) {
		fence[i] = new_fence(&w, FENCE_DMA);
		signaller_start(&s[i], fence[i], 0, 0);
	}
	for (unsigned i = 0; i < 1 + seed % 4; i++) {
		fence_put(fence_all(&w.sync, fence, 2));
	}
	for (unsigned i = 0; i < 2; i++) {
		port_thread_join(s[i].thread);
		CHECK_EQ(refs_of(fence[i]), 1);
		fence_put(fence[i]);
	}
	world_fini(&w);
}

static void it_may_be_forgotten_while_it_signals(void)
{
	test_seeds(forgetting_race, 1, 300);
}

static void nested_race(uint64_t seed)
{
	struct fence *fence[4], *half[2], *all;
	struct signaller s[4];
	struct world w;

	world_init(&w);
	if (seed & 1) {
		world_hire(&w);
	}
	for (unsigned i = 0; i < 4; i++) {
		fence[i] = new_fence(&w, seed & 2 ? FENCE_DMA : FENCE_USER);
		signaller_start(&s[i], fence[i], 0, 0);
	}
	half[0] = fence_all(&w.sync, &fence[0], 2);
	half[1] = fence_all(&w.sync, &fence[2], 2);
	all = fence_all(&w.sync, half, 2);
	CHECK_OK(fence_wait(all, PORT_FOREVER, 0));
	for (unsigned i = 0; i < 4; i++) {
		CHECK(fence_is_signalled(fence[i]));
		fence_put(fence[i]);
		port_thread_join(s[i].thread);
	}
	fence_put(half[0]);
	fence_put(half[1]);
	fence_put(all);
	world_fini(&w);
}

static void nested_ones_signal_with_and_without_workers(void)
{
	test_seeds(nested_race, 1, 200);
}

static void all_body(void *arg)
{
	struct world *w = arg;
	struct fence *fences[2], *all;

	/* These two are not what is tested. */
	for (unsigned i = 0; i < 2; i++) {
		fences[i] = fence_create(&w->sync, FENCE_DMA);
		if (!fences[i]) {
			test_injection_off();
			fences[i] = new_fence(w, FENCE_DMA);
		}
	}
	all = fence_all(&w->sync, fences, 2);
	if (!all) {
		CHECK(test_injected());
		CHECK(refs_of(fences[0]) == 1 && refs_of(fences[1]) == 1);
		test_injection_off();
		all = fence_all(&w->sync, fences, 2);
	}
	CHECK(all);
	signal_and_put(fences[0], 0);
	signal_and_put(fences[1], 0);
	CHECK(fence_is_signalled(all));
	fence_put(all);
}

static void without_memory_it_is_null_and_nothing_has_happened(void)
{
	struct world w;

	world_init(&w);
	CHECK(test_sweep(PORT_FAULT_ALLOC, all_body, &w) >= 9);
	world_fini(&w);
}

static const struct test_case cases[] = {
	TEST(with_all_signalled_the_caller_runs_the_job),
	TEST(test_A10_a_job_is_ready_when_the_last_dependency_signals),
	TEST(a_fence_or_context_counts_once),
	TEST(the_first_error_in_order_of_adding_is_the_jobs),
	TEST(the_error_of_a_signalled_fence_is_kept),
	TEST(every_dependency_is_an_event_even_one_that_is_over),
	TEST(a_job_runs_once_under_concurrent_signals),
	TEST(a_cancelled_job_waits_no_longer),
	TEST(a_cancelled_job_still_follows_the_one_before_it),
	TEST(a_job_is_ready_once_when_cancelled_under_concurrent_signals),
	TEST(test_A13_R5_a_dma_fence_depends_on_dma_fences_only),
	TEST(test_A13_a_user_fence_waited_for_before_is_no_dependency),
	TEST(contradictions_panic),
	TEST(room_that_cannot_be_had_is_enomem),
	TEST(of_nothing_left_it_is_the_stub),
	TEST(it_signals_after_the_last_with_the_first_error),
	TEST(an_error_of_the_past_is_not_lost),
	TEST(its_parts_are_no_such_fences),
	TEST(its_kind_is_that_of_the_worst),
	TEST(forgotten_it_is_gone),
	TEST(it_may_be_forgotten_while_it_signals),
	TEST(nested_ones_signal_with_and_without_workers),
	TEST(without_memory_it_is_null_and_nothing_has_happened),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
