// SPDX-License-Identifier: MIT
/* Fences, syncobjs, user fences, reservations (A03, A04, A13, A15, B20, R6, R7). */
#include "litmus.h"

#include "base/ids.h"
#include "sync/resv.h"
#include "sync/timeline.h"

static struct sync *sync_of(void)
{
	return &lit.device->sync;
}

static void nothing(void)
{
}

static void signal_0(void)
{
	lit.seen[3]++; /* what the fence stands for */
	litmus_signal(0);
}

static void signal_1(void)
{
	litmus_signal(1);
}

static void objects(void)
{
	litmus_device();
	for (unsigned i = 0; i < 2; i++) {
		lit.so[i] = syncobj_create(sync_of(), false);
		CHECK(lit.so[i]);
	}
}

/* ---- fences ---------------------------------------------------------------------------------- */

static void wait_0(void)
{
	CHECK_OK(fence_wait(lit.in[0], PORT_FOREVER, 0));
	litmus_say("%s", lit.seen[3] ? "after" : "before");
}

static struct {
	struct fence_cb cb;
	unsigned called;
	bool gone; /* what the callback uses */
	bool used_gone;
} call;

static void called(struct fence *fence, struct fence_cb *cb)
{
	/* Somewhere in the middle of it another thread runs. */
	port_relax();
	call.called++;
	call.used_gone |= call.gone;
}

static void with_callback(void)
{
	litmus_device();
	memset(&call, 0, sizeof(call));
	CHECK(fence_add_cb(lit.in[0], &call.cb, called));
}

static void remove_callback(void)
{
	bool removed = fence_remove_cb(lit.in[0], &call.cb);

	call.gone = true;
	lit.seen[0] = removed;
}

static void look_at_callback(void)
{
	CHECK_EQ(call.called + lit.seen[0], 1);
	litmus_say("%s%s", lit.seen[0] ? "removed" : "called", call.used_gone ? ",late" : "");
}

static void add_callback(void)
{
	if (!fence_add_cb(lit.in[0], &call.cb, called)) {
		call.called++;
	}
}

static void without_callback(void)
{
	litmus_device();
	memset(&call, 0, sizeof(call));
}

static void look_if_called_once(void)
{
	litmus_say("%u", call.called);
}

static void wait_for_both(void)
{
	struct fence *fences[] = { lit.in[0], lit.in[1] };

	CHECK_OK(fence_wait_many(sync_of(), fences, 2, true, PORT_FOREVER, 0, NULL));
	litmus_say("%d%d", fence_is_signalled(lit.in[0]), fence_is_signalled(lit.in[1]));
}

static void wait_for_any(void)
{
	struct fence *fences[] = { lit.in[0], lit.in[1] };
	unsigned first = 2;

	CHECK_OK(fence_wait_many(sync_of(), fences, 2, false, PORT_FOREVER, 0, &first));
	litmus_say("%u%s", first, fence_is_signalled(fences[first]) ? "" : ",early");
}

/* A fence for two signals when the last of them has, before its signaller goes on. */
static void in_one(void)
{
	litmus_device();
	lit.out[0] = fence_all(sync_of(), lit.in, 2);
	CHECK(lit.out[0]);
}

static void wait_for_one(void)
{
	CHECK_OK(litmus_wait(0));
	litmus_say("%d%d", fence_is_signalled(lit.in[0]), fence_is_signalled(lit.in[1]));
}

/* ---- the last reference ---------------------------------------------------------------------- */

/* An object in a table, as handles are: found under the table's lock, or not at all. */
static struct {
	struct ids ids;
	uint32_t id;
} table;

static void in_table(void)
{
	objects();
	ids_init(&table.ids);
	CHECK_OK(ids_alloc(&table.ids, syncobj_get(lit.so[0]), &table.id));
	syncobj_put(lit.so[0]);
	lit.so[0] = NULL;
}

static void remove_and_put(void)
{
	syncobj_put(ids_remove(&table.ids, table.id));
}

static void look_up_and_use(void)
{
	struct syncobj *so;

	ids_lock(&table.ids);
	so = ids_find_locked(&table.ids, table.id);
	port_relax(); /* the lock is what keeps it there */
	syncobj_get(so);
	ids_unlock(&table.ids);
	if (so) {
		syncobj_replace(so, lit.in[0]);
		syncobj_put(so);
	}
	lit.seen[0] = so != NULL;
}

static void look_if_found(void)
{
	ids_fini(&table.ids);
	litmus_say("%s", lit.seen[0] ? "found" : "gone");
}

/* ---- syncobjs -------------------------------------------------------------------------------- */

static int wait_so(unsigned i, uint64_t point, unsigned flags)
{
	const struct syncobj_wait wait = { lit.so[i], point };

	return syncobj_wait_many(sync_of(), &wait, 1, flags, PORT_FOREVER, false, NULL);
}

static void wait_plain(void)
{
	lit.ret[0] = wait_so(0, 0, 0);
	lit.seen[0] = lit.seen[3];
}

static void wait_for_submit(void)
{
	lit.ret[0] = wait_so(0, 0, SYNCOBJ_WAIT_FOR_SUBMIT);
	lit.seen[0] = lit.seen[3];
}

static void replace_0(void)
{
	syncobj_replace(lit.so[0], lit.in[0]);
}

static void replace_and_signal(void)
{
	replace_0();
	signal_0();
}

static void reset(void)
{
	syncobj_replace(lit.so[0], NULL);
}

static void with_fence(void)
{
	objects();
	replace_0();
}

static void look_at_wait(void)
{
	litmus_say_error(lit.ret[0]);
	if (!lit.ret[0] && !lit.seen[0]) {
		litmus_say(",early");
	}
}

static void add_point(unsigned i, uint64_t point, struct fence *fence)
{
	struct syncobj_point *mem = syncobj_point_alloc();

	CHECK(mem);
	syncobj_add_point(lit.so[i], point, fence, mem);
}

static void add_1_and_2(void)
{
	add_point(0, 1, lit.in[0]);
	add_point(0, 2, lit.in[1]);
}

static void with_points(void)
{
	objects();
	add_1_and_2();
}

static void wait_point_2(void)
{
	CHECK_OK(wait_so(0, 2, SYNCOBJ_WAIT_FOR_SUBMIT));
	litmus_say("%d%d", fence_is_signalled(lit.in[0]), fence_is_signalled(lit.in[1]));
}

static void wait_2_available(void)
{
	CHECK_OK(wait_so(0, 2, SYNCOBJ_WAIT_AVAILABLE));
	litmus_say("%d", syncobj_has(lit.so[0], 2));
}

/* A query never goes back, and a signalled point has signalled ones before it. */
static void query_twice(void)
{
	uint64_t first = syncobj_query(lit.so[0], false);
	bool both = fence_is_signalled(lit.in[0]) && fence_is_signalled(lit.in[1]);
	uint64_t second = syncobj_query(lit.so[0], false);

	litmus_say("%s", second < first || (first == 2 && !both) ? "wrong" : "right");
}

static void advance_3(void)
{
	syncobj_advance(lit.so[0], 3);
}

static void wait_point_3(void)
{
	CHECK_OK(wait_so(0, 3, SYNCOBJ_WAIT_FOR_SUBMIT));
	litmus_say("%d%d", fence_is_signalled(lit.in[0]), fence_is_signalled(lit.in[1]));
}

/* What a client's transfer does: the fence of one, found, becomes the other's. */
static void transfer(void)
{
	struct fence *fence;

	lit.ret[1] = syncobj_find(lit.so[0], 0, &fence);
	if (!lit.ret[1]) {
		syncobj_replace(lit.so[1], fence);
		fence_put(fence);
	}
}

static void wait_transferred(void)
{
	lit.ret[0] = wait_so(1, 0, SYNCOBJ_WAIT_FOR_SUBMIT);
	lit.seen[0] = lit.seen[3];
}

/* Export: whoever has found the fence keeps it, whatever the syncobj holds later. */
static void export_and_wait(void)
{
	struct fence *fence;

	if (syncobj_find(lit.so[0], 0, &fence)) {
		litmus_say("none");
		return;
	}
	CHECK_OK(fence_wait(fence, PORT_FOREVER, 0));
	litmus_say("%s", fence == lit.in[0] && !lit.seen[3] ? "early" : "waited");
	fence_put(fence);
}

static void import_signalled(void)
{
	syncobj_replace(lit.so[0], sync_of()->stub);
}

/* ---- user fences ----------------------------------------------------------------------------- */

static struct {
	uint64_t value[2];
	struct ufence *fence;
} user;

static void bind_with_ufence(unsigned queue, uint64_t *value, uint64_t addr, struct ufence **out)
{
	struct ufence *ufence = ufence_create(sync_of(), (uint64_t)(uintptr_t)value, 7);
	struct bind_op op = rig_map(lit.bo[0], addr, 0, PAGE_B);
	struct bind_args args = {
		.ops = &op, .op_count = 1, .queue = lit.binds[queue],
		.in_fences = &lit.in[0], .in_count = 1, .ufence = ufence,
	};

	CHECK(ufence);
	CHECK_OK(vm_bind(lit.vm[0], &args, &lit.out[queue]));
	*out = ufence;
}

static void with_ufence(void)
{
	litmus_device();
	memset(&user, 0, sizeof(user));
	bind_with_ufence(0, &user.value[0], DATA, &user.fence);
}

/* As WAIT_USER_FENCE does it: looks, and sleeps until one may have changed. */
static void wait_ufence(void)
{
	for (;;) {
		uint32_t seq = port_wq_prepare(&sync_of()->ufence_wq);

		if (__atomic_load_n(&user.value[0], __ATOMIC_ACQUIRE) == 7) {
			break;
		}
		CHECK_OK(port_wq_wait(&sync_of()->ufence_wq, seq, PORT_FOREVER, 0));
	}
	litmus_say("%c%s", litmus_mapped(0, DATA), ufence_is_due(user.fence) ? "" : ",early");
}

/* A15: a mapping is busy until the value can be seen. */
static void unmap_busy(void)
{
	bool written = __atomic_load_n(&user.value[0], __ATOMIC_ACQUIRE) == 7;
	int ret = rig_bind(lit.vm[0], rig_unmap(DATA, PAGE_B));

	CHECK(!ret || ret == -EBUSY);
	litmus_say("%s", ret && written ? "busy,written" : "right");
}

static void end_ufence(void)
{
	while (!ufence_is_signalled(user.fence)) {
		port_relax();
	}
	ufence_put(user.fence);
}

/* ---- reservations and active sets ------------------------------------------------------------ */

/* A dma-buf's importer waits for what a bind has left: it is published there before it is armed. */
static void bind_behind_0(void)
{
	lit.out[0] = rig_bind_async(lit.vm[0], lit.binds[0], rig_map(lit.bo[0], DATA, 0, PAGE_B),
				    lit.in[0]);
	lit.seen[1] = 1;
}

static void wait_resv(void)
{
	bool published = lit.seen[1];

	CHECK_OK(resv_wait(&lit.bo[0]->resv, sync_of(), RESV_BOOKKEEP, PORT_FOREVER, 0));
	litmus_say("%s", published && !fence_is_signalled(lit.out[0]) ? "early" : "right");
}

static struct {
	struct active_set *set;
	struct active_slot slot;
	bool published;
} active;

static void with_set(void)
{
	litmus_device();
	memset(&active, 0, sizeof(active));
	active.set = active_set_create();
	CHECK(active.set);
	active_slot_add(active.set, &active.slot);
}

/* A submission: what it has validated must be there when it is published, or be waited for. */
static void publish(void)
{
	uint64_t seq;

	do {
		seq = active_seq(active.set);
		lit.seen[0] = !lit.seen[1]; /* still there? */
	} while (!active_publish(active.set, &active.slot, lit.in[0], seq));
	active.published = lit.seen[0];
}

static void take_away(void)
{
	lit.seen[1] = 1; /* marked */
	active_bump(active.set);
	CHECK_OK(active_wait(active.set, sync_of(), 0));
	litmus_say("%s", active.published && !fence_is_signalled(lit.in[0]) ? "in_use" : "free");
}

static void look_at_set(void)
{
	active_slot_remove(active.set, &active.slot);
	active_set_put(active.set);
}

/* ---- dependencies ---------------------------------------------------------------------------- */

static struct {
	struct ready_item item;
	struct deps deps;
	unsigned runs;
} job;

static void job_run(struct ready_item *item)
{
	job.runs++;
}

static void armed(void)
{
	litmus_device();
	memset(&job, 0, sizeof(job));
	job.item.run = job_run;
	list_init(&job.item.node);
	CHECK_OK(deps_init(&job.deps, sync_of(), &job.item, 2));
	deps_add(&job.deps, lit.in[0]);
	deps_add(&job.deps, lit.in[1]);
	CHECK(!deps_arm(&job.deps, NULL));
}

static void cancel(void)
{
	if (deps_cancel(&job.deps, 0)) {
		job_run(&job.item);
	}
}

static void signal_both(void)
{
	litmus_signal(0);
	litmus_signal(1);
}

static void look_at_job(void)
{
	while (device_help(lit.device)) {
	}
	for (unsigned i = 0; i < 10 && !job.runs; i++) {
		port_relax(); /* a worker may have it */
	}
	litmus_say("%u", job.runs);
	deps_fini(&job.deps);
}

/* ---- software timelines ---------------------------------------------------------------------- */

static struct {
	struct timeline_counter counter;
	struct timeline *timeline;
} soft;

static void with_timeline(void)
{
	litmus_device();
	memset(&soft, 0, sizeof(soft));
	soft.timeline = timeline_create(sync_of(), &soft.counter, "litmus");
	CHECK(soft.timeline);
}

static void advance(void)
{
	atomic_fetch_add(&soft.counter.value, 1);
	timeline_update(soft.timeline);
}

static void wait_soft(void)
{
	struct fence *fence = timeline_fence(soft.timeline, 1);

	CHECK(fence);
	CHECK_OK(fence_wait(fence, PORT_FOREVER, 0));
	litmus_say("%llu", (unsigned long long)atomic_load(&soft.counter.value));
	fence_put(fence);
}

static void end_timeline(void)
{
	timeline_put(soft.timeline);
}

static const struct litmus litmuses[] = {
	{ CASE(fence_wait_signal), litmus_device, { wait_0, signal_0 }, nothing, "after",
	  .without = { .count = true } },
	{ CASE(fence_add_signal), without_callback, { add_callback, signal_0 }, look_if_called_once,
	  "1", .without = { .sync = SYNC_GUARD_RECHECK } },
	{ CASE(fence_callback_remove_signal), with_callback, { remove_callback, signal_0 },
	  look_at_callback, "removed called", .without = { .sync = SYNC_GUARD_REMOVE } },
	{ CASE(fence_wait_all), litmus_device, { wait_for_both, signal_0, signal_1 }, nothing, "11",
	  .without = { .count = true } },
	{ CASE(fence_wait_any), litmus_device, { wait_for_any, signal_0, signal_1 }, nothing, "0 1",
	  .without = { .count = true } },
	{ CASE(fence_for_two), in_one, { wait_for_one, signal_0, signal_1 }, nothing, "11",
	  .without = { .count = true } },
	{ CASE(last_unref_lookup), in_table, { remove_and_put, look_up_and_use }, look_if_found,
	  "found gone", .without = { .lock = "ids" } },
	{ CASE(syncobj_wait_signal), with_fence, { wait_plain, signal_0 }, look_at_wait, "ok",
	  .without = { .count = true } },
	{ CASE(syncobj_wait_submit_signal), objects, { wait_for_submit, replace_and_signal },
	  look_at_wait, "ok", .without = { .sync = SYNC_GUARD_ARRIVED } },
	{ CASE(syncobj_wait_reset), with_fence, { wait_plain, reset, signal_0 }, look_at_wait,
	  "ok EINVAL", .by_hand = "entry_done() takes a reset for a signal: ok,early" },
	{ CASE(timeline_wait_submit), objects, { wait_point_2, add_1_and_2, signal_0, signal_1 },
	  nothing, "11", .without = { .sync = SYNC_GUARD_ARRIVED } },
	{ CASE(timeline_wait_signal), with_points, { wait_point_2, signal_1, signal_0 }, nothing,
	  "11", .without = { .sync = SYNC_GUARD_RECHECK } },
	{ CASE(timeline_wait_available), objects, { wait_2_available, add_1_and_2, signal_0 },
	  nothing, "1", .without = { .sync = SYNC_GUARD_ARRIVED } },
	{ CASE(timeline_query_signal), with_points, { query_twice, signal_0, signal_1 }, nothing,
	  "right",
	  .by_hand = "prune_locked() does not stop at a fence that has not signalled: wrong" },
	{ CASE(timeline_advance_wait), with_points, { wait_point_3, advance_3, signal_0, signal_1 },
	  nothing, "11", .without = { .sync = SYNC_GUARD_ARRIVED } },
	{ CASE(syncobj_transfer_signal), with_fence, { wait_transferred, transfer, signal_0 },
	  look_at_wait, "ok", .without = { .sync = SYNC_GUARD_ARRIVED } },
	{ CASE(syncobj_export_import_signal), with_fence,
	  { export_and_wait, import_signalled, signal_0 }, nothing, "waited",
	  .without = { .count = true } },
	{ CASE(user_fence_wait_write), with_ufence, { wait_ufence, signal_0 }, end_ufence, "A",
	  .without = { .count = true } },
	{ CASE(user_fence_busy), with_ufence, { unmap_busy, signal_0 }, end_ufence, "right",
	  .by_hand = "a mapping is busy until ufence_is_signalled(): busy,written" },
	{ CASE(resv_wait_publish), litmus_device, { bind_behind_0, wait_resv, signal_0 }, nothing,
	  "right", .by_hand = "bind_job_leave_fence() adds no fence: early" },
	{ CASE(active_publish_wait), with_set, { publish, take_away, signal_0 }, look_at_set,
	  "free", .by_hand = "active_publish() does not compare the sequence: in_use" },
	{ CASE(deps_cancel_signal), armed, { cancel, signal_both }, look_at_job, "1",
	  .by_hand = "deps_cancel() does not count: an assertion" },
	{ CASE(software_counter_wait), with_timeline, { wait_soft, advance }, end_timeline, "1",
	  .without = { .count = true } },
};

int main(int argc, char **argv)
{
	return litmus_main(litmuses, ARRAY_LEN(litmuses), argc, argv);
}
