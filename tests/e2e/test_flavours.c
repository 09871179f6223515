// SPDX-License-Identifier: MIT
/*
 * What a failed list of binds leaves behind, in the three flavours: every list fails at every
 * operation and at every allocation; what is there then is what as many operations do on an equal
 * VM, and going on ends where one successful call ends.
 */
#include <stdio.h>

#include "scenes.h"

#define LIST(name_, n_, ...) { .name = name_, .n = n_, .op = { __VA_ARGS__ } }

static const struct scene_list lists[] = {
	LIST("two", 2, OP_MAP(OBJ_FRESH, K(64), 0, K(64)), OP_UNMAP(K(68), K(4))),
	LIST("unmap, map", 2, OP_UNMAP(M(1) + K(4), K(4)), OP_MAP(OBJ_FRESH, M(1), 0, K(128))),
	LIST("cuts of leaves", 4, OP_UNMAP(K(4), K(4)), OP_UNMAP(M(2) + K(4), K(4)),
	     OP_UNMAP(M(4) + K(4), K(4)), OP_MAP(OBJ_SYSTEM, M(6), K(4), K(64))),
	LIST("same place", 4, OP_MAP(OBJ_VRAM, M(1), K(64), M(2)), OP_UNMAP(M(1) + K(64), M(1)),
	     OP_MAP(OBJ_SYSTEM, M(1) + K(128), K(4), M(1)), OP_NULL(M(1) + K(132), K(4))),
	LIST("objects", 5, OP_UNMAP_BO(OBJ_VRAM), OP_MAP(OBJ_VRAM, M(3), 0, K(64)),
	     OP_UNMAP_BO(OBJ_SYSTEM), OP_MAP(OBJ_SMALL, 0, 0, M(1)), OP_UNMAP_BO(OBJ_SMALL)),
	LIST("client memory", 4, OP_CLIENT(K(12), K(8), K(128)), OP_UNMAP(K(16), K(8)),
	     OP_CLIENT(K(64), 0, K(64)), OP_UNMAP(0, M(1))),
	LIST("own mapping gone", 3, OP_MAP(OBJ_FRESH, M(7), 0, K(128)), OP_UNMAP(M(7), K(128)),
	     OP_MAP(OBJ_FRESH, M(7), K(64), K(64))),
	LIST("over all", 3, OP_UNMAP(0, M(8)), OP_MAP(OBJ_VRAM, 0, 0, M(4)), OP_NULL(M(4), M(4))),
	LIST("prefetch", 3, OP_PREFETCH(0, M(1)), OP_MAP_RO(OBJ_SMALL, M(2), 0, K(64)),
	     OP_PREFETCH(0, M(1))),
	LIST("unmaps", 5, OP_UNMAP(K(4), K(4)), OP_UNMAP(M(1) + K(4), K(64)),
	     OP_UNMAP_BO(OBJ_SMALL), OP_UNMAP(M(3), M(2)), OP_UNMAP(M(2) + K(8), K(4))),
	LIST("twelve", 12, OP_MAP(OBJ_SYSTEM, K(8), K(4), K(64)), OP_UNMAP(K(12), K(4)),
	     OP_NULL(K(16), M(3)), OP_MAP_RO(OBJ_SMALL, M(1), 0, M(1)), OP_UNMAP_BO(OBJ_VRAM),
	     OP_CLIENT(M(2), 0, K(256)), OP_UNMAP(M(2) + K(4), K(4)),
	     OP_MAP(OBJ_FRESH, M(5) + K(4), K(4), K(64)), OP_UNMAP(M(1) + K(4), K(4)),
	     OP_MAP(OBJ_VRAM, M(4), M(2), M(2)), OP_UNMAP(M(4) + K(4), K(4)),
	     OP_NULL(0, K(4))),
};

/* Of scene_setups[]: leaves, null, many, holes, evicted. */
static const unsigned setups[] = { 3, 4, 7, 8, 9 };

/* How a list is made to fail. */
enum failure {
	AT_OPERATION,   /* n: which */
	ONE_ALLOCATION, /* n: which */
	ALLOCATIONS,    /* n: the first */
	TABLES,         /* there are n pages for page tables */
};

/* System memory that is taken away: all but two slabs of pages for tables. */
struct hog {
	uint64_t phys[64];
	unsigned order[64], blocks;
	struct frame_page page[256];
	unsigned pages;
};

static struct {
	struct scene scene;
	struct hog hog;
	struct scene_runs after[SCENE_OPS + 1]; /* so many operations of the list, alone */
	unsigned failures;
} t;

/* ---- little memory --------------------------------------------------------------------------- */

static void hog_system(void)
{
	struct region *region = &t.scene.device->mem.region[MEM_SYSTEM];
	struct hog *hog = &t.hog;
	uint64_t room;

	CHECK_OK(region_alloc_block(region, 6, 0, &room));
	hog->blocks = 0;
	for (unsigned order = 14; order < 15; order--) {
		while (!region_alloc_block(region, order, 0, &hog->phys[hog->blocks])) {
			hog->order[hog->blocks++] = order;
			CHECK(hog->blocks < ARRAY_LEN(hog->phys));
		}
	}
	CHECK_EQ(region->used_B, region->size_B);
	region_free_range(region, room, SZ_4K << 6);
	t.scene.used_B[MEM_SYSTEM] = region->used_B;
}

static void hog_system_done(void)
{
	struct hog *hog = &t.hog;

	while (hog->blocks--) {
		region_free_range(&t.scene.device->mem.region[MEM_SYSTEM], hog->phys[hog->blocks],
				  SZ_4K << hog->order[hog->blocks]);
	}
}

/* Leaves @n pages for tables. */
static void hog_pages(unsigned n)
{
	struct hog *hog = &t.hog;

	while (!frame_page_alloc(&t.scene.device->mem, &hog->page[hog->pages])) {
		hog->pages++;
		CHECK(hog->pages < ARRAY_LEN(hog->page));
	}
	CHECK(hog->pages > n);
	while (n--) {
		frame_page_free(&t.scene.device->mem, &hog->page[--hog->pages]);
	}
}

static void hog_pages_done(void)
{
	while (t.hog.pages) {
		frame_page_free(&t.scene.device->mem, &t.hog.page[--t.hog.pages]);
	}
}

/* ---- one list -------------------------------------------------------------------------------- */

static bool only_unmaps(const struct bind_op *ops, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (ops[i].kind != BIND_UNMAP && ops[i].kind != BIND_UNMAP_BO) {
			return false;
		}
	}
	return true;
}

/* What is there after each operation, on equal VMs. */
static void learn(const struct scene_list *setup, const struct scene_list *list)
{
	struct bind_op ops[SCENE_OPS];
	struct fence *fence;

	for (unsigned k = 0; k <= list->n; k++) {
		scene_vm(&t.scene, 0);
		scene_set_up(&t.scene, setup);
		scene_ops(&t.scene, list->op, k, ops);
		if (k) {
			CHECK_OK(rig_bind_list(t.scene.vm, NULL, ops, k, NULL, &fence));
			rig_wait(fence);
		}
		scene_take_runs(&t.scene, &t.after[k]);
		scene_vm_done(&t.scene);
	}
}

static void wait_default_queue(void)
{
	rig_wait(bind_queue_last(t.scene.vm->default_queue));
}

/* The VM is as after @done operations. */
static void check_half(const struct bind_op *ops, unsigned done)
{
	wait_default_queue();
	scene_apply(&t.scene, ops, done);
	scene_check_runs(&t.scene, &t.after[done]);
	scene_check(&t.scene);
}

/* A VM in error state takes nothing but unmaps; a healthy one no restart. */
static void check_error_state(struct bind_args *args, bool pending)
{
	struct scene *s = &t.scene;
	struct bind_op map = rig_map(s->bo[OBJ_SMALL], 4 * SCENE_AREA, 0, SZ_64K);
	struct bind_op unmap = rig_unmap(4 * SCENE_AREA, SZ_64K);
	struct bind_args other = { .ops = &map, .op_count = 1 };
	struct fence *fence = NULL;

	if (pending) {
		CHECK_ERR(vm_bind(s->vm, &other, &fence), -EALREADY);
		CHECK_EQ(other.reason, BIND_ERROR_STATE);
		CHECK_OK(rig_bind(s->vm, unmap));
		other.restart = true;
		CHECK_ERR(vm_bind(s->vm, &other, &fence), -EINVAL);
		CHECK_EQ(other.reason, BIND_NOT_THE_LIST);
	} else {
		args->restart = true;
		CHECK_ERR(vm_bind(s->vm, args, &fence), -EINVAL);
		CHECK_EQ(args->reason, BIND_NOT_THE_LIST);
		args->restart = false;
		CHECK_OK(rig_bind(s->vm, map));
		CHECK_OK(rig_bind(s->vm, unmap));
	}
	CHECK(!fence);
}

/* After the failure of @args: what is promised is there, and the rest can be done. */
static void go_on(struct bind_op *ops, struct bind_args *args)
{
	unsigned flags = t.scene.vm->flags, done = args->done;
	bool stays = (flags & (VM_ERRORS_COOKIE | VM_ERRORS_RESTART)) &&
		     !only_unmaps(ops, args->op_count);
	struct fence *fence = NULL;

	t.failures++;
	CHECK_EQ(done, stays ? args->failed_op : 0);
	check_half(ops, done);
	check_error_state(args, stays && (flags & VM_ERRORS_RESTART));
	scene_check_runs(&t.scene, &t.after[done]);
	for (unsigned i = 0; i < args->op_count; i++) {
		ops[i].inject_error = false;
	}
	if (stays && (flags & VM_ERRORS_RESTART)) {
		args->restart = true;
	} else {
		args->ops += done;
		args->op_count -= done;
	}
	CHECK_OK(vm_bind(t.scene.vm, args, &fence));
	CHECK_EQ(args->done, args->op_count);
	CHECK_EQ(args->reason, BIND_OK);
	rig_wait(fence);
	scene_apply(&t.scene, ops + done, args->op_count - (args->restart ? done : 0));
}

static void arm(enum failure failure, unsigned n, struct bind_op *ops)
{
	switch (failure) {
	case AT_OPERATION:
		ops[n].inject_error = true;
		break;
	case ONE_ALLOCATION:
	case ALLOCATIONS:
		port_fault_set(PORT_FAULT_ALLOC, n, failure == ALLOCATIONS);
		break;
	case TABLES:
		hog_pages(n);
		break;
	}
}

static void disarm(void)
{
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	hog_pages_done();
}

static void check_reason(enum failure failure, unsigned n, const struct bind_args *args, int ret)
{
	if (failure == AT_OPERATION) {
		CHECK_EQ(ret, -ENOSPC);
		CHECK_EQ(args->reason, BIND_INJECTED);
		CHECK_EQ(args->failed_op, n);
	} else if (ret) {
		/* One failure is absorbed (A09), and unmaps need nothing (A24). */
		CHECK(failure != ONE_ALLOCATION && !only_unmaps(args->ops, args->op_count));
		CHECK_EQ(ret, -ENOMEM);
		CHECK_EQ(args->reason, BIND_NO_MEMORY);
	} else {
		CHECK_EQ(args->done, args->op_count);
		CHECK_EQ(args->reason, BIND_OK);
	}
}

/* True: a larger @n makes a difference. */
static bool fail_at(unsigned flags, const struct scene_list *setup, const struct scene_list *list,
		    enum failure failure, unsigned n)
{
	struct bind_op ops[SCENE_OPS];
	struct bind_args args = { .ops = ops, .op_count = list->n };
	struct fence *fence = NULL;
	bool more;
	int ret;

	scene_vm(&t.scene, flags);
	scene_set_up(&t.scene, setup);
	scene_ops(&t.scene, list->op, list->n, ops);
	arm(failure, n, ops);
	ret = vm_bind(t.scene.vm, &args, &fence);
	more = failure == TABLES ? ret != 0 || n < 3 : port_fault_count(PORT_FAULT_ALLOC) >= n;
	disarm();
	check_reason(failure, n, &args, ret);
	if (ret) {
		CHECK(!fence);
		go_on(ops, &args);
	} else {
		rig_wait(fence);
		scene_apply(&t.scene, ops, list->n);
	}
	scene_check_runs(&t.scene, &t.after[list->n]);
	scene_check(&t.scene);
	scene_vm_done(&t.scene);
	return more;
}

static void fail_list(unsigned flags, const struct scene_list *setup,
		      const struct scene_list *list)
{
	learn(setup, list);
	for (unsigned k = 0; k < list->n; k++) {
		fail_at(flags, setup, list, AT_OPERATION, k);
	}
	for (unsigned n = 1; fail_at(flags, setup, list, ONE_ALLOCATION, n);) {
		n++;
	}
	for (unsigned n = 1; fail_at(flags, setup, list, ALLOCATIONS, n);) {
		n++;
	}
	for (unsigned n = 0; fail_at(flags, setup, list, TABLES, n);) {
		n++;
	}
}

static void fail_on_schedule(unsigned flags, enum device_schedule schedule, unsigned step)
{
	unsigned count = ARRAY_LEN(setups) * ARRAY_LEN(lists);

	t.failures = 0;
	scene_open(&t.scene, schedule);
	hog_system();
	for (unsigned i = 0; i < count; i += step) {
		fail_list(flags, &scene_setups[setups[i / ARRAY_LEN(lists)]],
			  &lists[i % ARRAY_LEN(lists)]);
	}
	hog_system_done();
	scene_close(&t.scene);
	printf("# %u lists, %u failures\n", (count + step - 1) / step, t.failures);
}

/* Binds that are run at once, and binds that are published and run by somebody else. */
static void fail_everywhere(unsigned flags)
{
	unsigned step = 10 / test_scale(10);

	fail_on_schedule(flags, SCHEDULE_NORMAL, step);
	fail_on_schedule(flags, SCHEDULE_ADVERSARIAL, step);
}

static void test_A27_nothing_stays(void)
{
	fail_everywhere(0);
}

static void test_A26_what_was_done_stays(void)
{
	fail_everywhere(VM_ERRORS_COOKIE);
}

static void test_A25_restart(void)
{
	fail_everywhere(VM_ERRORS_RESTART);
}

/* ---- an example ------------------------------------------------------------------------------ */

/* Four operations in three flavours, one by one. */
struct example {
	struct device *device;
	struct vm *vm;
	struct bo *x, *y;
	char *client;
	struct bind_op ops[4];
	struct bind_args args;
	struct fence *out;
};

static const unsigned flavours[] = { 0, VM_ERRORS_COOKIE, VM_ERRORS_RESTART };

static void example_begin(struct example *e, unsigned flags)
{
	*e = (struct example){ .device = rig_device(SCHEDULE_NORMAL) };
	e->vm = rig_vm(e->device, flags);
	e->x = rig_bo(e->device, SZ_2M, MEM_SYSTEM);
	e->y = rig_bo(e->device, SZ_2M, MEM_VRAM);
	e->client = port_reserve(SZ_64K);
	CHECK(e->client);
	e->ops[0] = rig_map(e->x, SZ_2M, SZ_64K, SZ_64K);
	e->ops[1] = (struct bind_op){ .kind = BIND_MAP_USERPTR, .addr = 2 * SZ_2M, .range = SZ_64K,
				      .offset = (uint64_t)(uintptr_t)e->client };
	e->ops[2] = rig_map_null(3 * SZ_2M, SZ_2M);
	e->ops[3] = rig_unmap(SZ_2M, SZ_4K);
	e->args = (struct bind_args){ .ops = e->ops, .op_count = ARRAY_LEN(e->ops) };
}

static void example_end(struct example *e)
{
	rig_vm_done(e->vm);
	bo_put(e->x);
	bo_put(e->y);
	port_unreserve(e->client, SZ_64K);
	device_destroy(e->device);
}

static int example_fail(struct example *e, unsigned at)
{
	int ret;

	e->ops[at].inject_error = true;
	ret = vm_bind(e->vm, &e->args, &e->out);
	e->ops[at].inject_error = false;
	CHECK_EQ(ret, -ENOSPC);
	CHECK_EQ(e->args.reason, BIND_INJECTED);
	CHECK_EQ(e->args.failed_op, at);
	CHECK(!e->out);
	return ret;
}

static void example_succeeds(struct example *e)
{
	CHECK_OK(vm_bind(e->vm, &e->args, &e->out));
	CHECK_EQ(e->args.done, e->args.op_count);
	rig_wait(e->out);
	e->out = NULL;
}

static unsigned count_mappings(struct vm *vm)
{
	struct vm_mapping run = { .end = 0 };
	unsigned n = 0;

	while (vm_mapping_next(vm, run.end, &run)) {
		n++;
	}
	return n;
}

/* ---- restarts -------------------------------------------------------------------------------- */

static void refused(struct example *e)
{
	CHECK_ERR(vm_bind(e->vm, &e->args, &e->out), -EINVAL);
	CHECK_EQ(e->args.reason, BIND_NOT_THE_LIST);
	CHECK_EQ(count_mappings(e->vm), 1);
}

/* Every field of every operation belongs to the list, also of those that were carried out. */
static void test_A25_a_changed_list_is_refused(void)
{
	struct example e;

	example_begin(&e, VM_ERRORS_RESTART);
	example_fail(&e, 1);
	e.args.restart = true;
	for (unsigned i = 0; i < ARRAY_LEN(e.ops); i++) {
		const struct bind_op was = e.ops[i];
		struct bind_op changed[11];

		for (unsigned k = 0; k < ARRAY_LEN(changed); k++) {
			changed[k] = was;
		}
		changed[0].kind = was.kind == BIND_PREFETCH ? BIND_UNMAP : BIND_PREFETCH;
		changed[1].addr += SZ_4K;
		changed[2].range += SZ_4K;
		changed[3].offset += SZ_4K;
		changed[4].bo = e.y;
		changed[5].null = !was.null;
		changed[6].readonly = true;
		changed[7].dumpable = true;
		changed[8].immediate = true;
		changed[9].pat = 1;
		changed[10].prefetch_region = 1;
		for (unsigned k = 0; k < ARRAY_LEN(changed); k++) {
			e.ops[i] = changed[k];
			refused(&e);
		}
		e.ops[i] = was;
	}
	e.args.op_count--;
	refused(&e);
	e.args.op_count = 1;
	e.args.ops = &e.ops[1]; /* what is left is not the list either */
	refused(&e);
	e.args.ops = e.ops;
	e.args.op_count = ARRAY_LEN(e.ops);
	example_succeeds(&e);
	CHECK_EQ(count_mappings(e.vm), 3);
	CHECK_ERR(vm_bind(e.vm, &e.args, &e.out), -EINVAL);
	CHECK_EQ(e.args.reason, BIND_NOT_THE_LIST);
	example_end(&e);
}

/* What was carried out before is not done again, though it has been unmapped meanwhile. */
static void test_A25_a_restart_that_fails_again(void)
{
	struct example e;

	example_begin(&e, VM_ERRORS_RESTART);
	for (unsigned at = 0; at < ARRAY_LEN(e.ops); at++) {
		for (unsigned again = 0; again < 2; again++) {
			example_fail(&e, at);
			CHECK_EQ(e.args.done, at);
			CHECK_EQ(count_mappings(e.vm), at > 0 && !again);
			CHECK_OK(rig_bind(e.vm, rig_unmap(0, (uint64_t)1 << 48)));
			e.args.restart = true;
		}
	}
	example_succeeds(&e);
	CHECK_EQ(count_mappings(e.vm), 0);
	example_end(&e);
}

/* Without error state, or after close, nothing can be restarted. */
static void test_A25_close_in_error_state(void)
{
	struct example e;

	example_begin(&e, VM_ERRORS_RESTART);
	example_fail(&e, 2);
	vm_close(e.vm);
	e.args.restart = true;
	CHECK_ERR(vm_bind(e.vm, &e.args, &e.out), -ENOENT);
	CHECK_EQ(e.args.reason, BIND_VM_GONE);
	vm_close(e.vm);
	example_end(&e);
}

static void test_mistakes_change_nothing_in_any_flavour(void)
{
	struct example e;

	for (unsigned i = 0; i < ARRAY_LEN(flavours); i++) {
		example_begin(&e, flavours[i]);
		for (unsigned at = 0; at < ARRAY_LEN(e.ops); at++) {
			e.ops[at].range++;
			CHECK_ERR(vm_bind(e.vm, &e.args, &e.out), -EINVAL);
			CHECK_EQ(e.args.reason, BIND_BAD_RANGE);
			CHECK_EQ(e.args.failed_op, at);
			CHECK_EQ(e.args.done, 0);
			CHECK_EQ(count_mappings(e.vm), 0);
			e.ops[at].range--;
		}
		example_succeeds(&e); /* no error state */
		example_end(&e);
	}
}

/* ---- fences ---------------------------------------------------------------------------------- */

static struct ufence *user_fence(struct example *e, uint64_t *value)
{
	struct ufence *ufence = ufence_create(&e->device->sync, (uint64_t)(uintptr_t)value, 7);

	CHECK(ufence);
	return ufence;
}

static void unmap_object(struct example *e)
{
	fence_put(rig_bind_async(e->vm, NULL, (struct bind_op){ .kind = BIND_UNMAP_BO, .bo = e->x },
				 NULL));
}

/* Both halves wait for their own in-fences; only the second has out-fences. */
static void fences_of_two_halves(unsigned flags)
{
	struct fence *in[2], *last;
	uint64_t value[2] = { 0, 0 };
	struct ufence *ufence[2];
	struct example e;

	example_begin(&e, flags);
	for (unsigned i = 0; i < 2; i++) {
		in[i] = rig_fence(e.device);
		ufence[i] = user_fence(&e, &value[i]);
	}
	e.args.in_fences = &in[0];
	e.args.in_count = 1;
	e.args.ufence = ufence[0];
	example_fail(&e, 1);
	last = bind_queue_last(e.vm->default_queue);
	CHECK(!fence_is_signalled(last) && !rig_mapped(e.vm, SZ_2M));

	if (flags & VM_ERRORS_RESTART) {
		e.args.restart = true;
	} else {
		e.args.ops++;
		e.args.op_count--;
	}
	e.args.in_fences = &in[1];
	e.args.ufence = ufence[1];
	CHECK_OK(vm_bind(e.vm, &e.args, &e.out));
	fence_signal(in[0], 0);
	CHECK_OK(fence_wait(last, PORT_FOREVER, 0));
	CHECK(rig_mapped(e.vm, SZ_2M) && !rig_mapped(e.vm, 3 * SZ_2M));
	CHECK(!fence_is_signalled(e.out));
	/* What the first half has mapped is not busy: its user fence will never be written. */
	unmap_object(&e);
	fence_signal(in[1], 0);
	rig_wait(e.out);
	while (!ufence_is_signalled(ufence[1])) {
		scene_nap();
	}
	CHECK(rig_mapped(e.vm, 3 * SZ_2M));
	CHECK(!ufence_is_signalled(ufence[0]));
	CHECK_EQ(value[0], 0);
	CHECK_EQ(value[1], 7);
	fence_put(last);
	for (unsigned i = 0; i < 2; i++) {
		fence_put(in[i]);
		ufence_put(ufence[i]);
	}
	example_end(&e);
}

static void test_A28_fences_of_a_list_in_two_halves(void)
{
	fences_of_two_halves(VM_ERRORS_COOKIE);
	fences_of_two_halves(VM_ERRORS_RESTART);
}

/* By default a failed list leaves no trace on its queue. */
static void test_A28_fences_of_a_list_that_is_undone(void)
{
	struct fence *last, *in;
	uint64_t value = 0;
	struct ufence *ufence;
	struct example e;

	example_begin(&e, 0);
	in = rig_fence(e.device);
	ufence = user_fence(&e, &value);
	e.args.ufence = ufence;
	e.args.in_fences = &in;
	for (unsigned n = 0; n < 2; n++) {
		e.args.in_count = n;
		example_fail(&e, 3);
		last = bind_queue_last(e.vm->default_queue);
		CHECK(fence_is_signalled(last));
		CHECK_EQ(last, e.device->sync.stub);
		CHECK(!ufence_is_signalled(ufence) && !value);
		CHECK(!rig_mapped(e.vm, SZ_2M) && !rig_mapped(e.vm, 3 * SZ_2M));
		fence_put(last);
	}
	rig_fence_done(in);
	ufence_put(ufence);
	example_end(&e);
}

/* ---- frames ---------------------------------------------------------------------------------- */

static struct bo *plain_bo(struct device *device, uint64_t size_B)
{
	struct bo *bo;

	CHECK_OK(bo_create(&device->mem, size_B, BIT(MEM_SYSTEM), &bo));
	return bo;
}

/* An object that does not fit, until another one is freed. */
static void test_A27_no_frames_in_each_flavour(void)
{
	for (unsigned i = 0; i < ARRAY_LEN(flavours); i++) {
		bool stays = flavours[i] != 0;
		struct bo *hog, *big;
		struct example e;

		example_begin(&e, flavours[i]);
		hog = plain_bo(e.device, M(40));
		big = plain_bo(e.device, M(32));
		CHECK_OK(bo_back(hog));
		e.ops[2] = rig_map(big, SZ_1G, 0, M(32));
		CHECK_ERR(vm_bind(e.vm, &e.args, &e.out), -ENOSPC);
		CHECK_EQ(e.args.reason, BIND_NO_FRAMES);
		CHECK_EQ(e.args.failed_op, 2);
		CHECK_EQ(e.args.done, stays ? 2 : 0);
		CHECK_EQ(count_mappings(e.vm), stays ? 2 : 0);
		bo_put(hog);
		e.args.restart = flavours[i] & VM_ERRORS_RESTART;
		if (flavours[i] & VM_ERRORS_COOKIE) {
			e.args.ops += 2;
			e.args.op_count -= 2;
		}
		example_succeeds(&e);
		CHECK_EQ(count_mappings(e.vm), 3);
		CHECK(rig_mapped(e.vm, SZ_1G) && !rig_mapped(e.vm, SZ_2M));
		bo_put(big);
		example_end(&e);
	}
}

struct later {
	struct fence *fence;
	uint64_t naps;
};

static void later_run(void *arg)
{
	struct later *later = arg;

	while (later->naps--) {
		scene_nap();
	}
	fence_signal(later->fence, 0);
}

/* How long a bind waits for others to give memory back before it fails. */
#define MEMORY_WAIT_NS ((uint64_t)100000000)

static int timed_bind(struct vm *vm, struct bind_op op, uint64_t *waited_ns_out)
{
	uint64_t begun_ns = port_now_ns();
	int ret = rig_bind(vm, op);

	*waited_ns_out = port_now_ns() - begun_ns;
	return ret;
}

/*
 * It waits and succeeds. On a busy machine the other thread may not run within the time: then it
 * fails, but not before, and is called again. The simulator's time does not pass by itself.
 */
static void bind_that_waits(struct vm *vm, struct bind_op op)
{
	uint64_t waited_ns;
	int ret = timed_bind(vm, op, &waited_ns);

	while (!test_is_sim() && ret == -ENOSPC) {
		CHECK(waited_ns >= MEMORY_WAIT_NS);
		ret = timed_bind(vm, op, &waited_ns);
	}
	CHECK_OK(ret);
}

/* The frames are those of an object whose last mapping is going. */
static void frames_come_back(uint64_t seed)
{
	struct port_thread *thread;
	struct fence *unmap;
	struct later later;
	uint64_t waited_ns;
	struct bo *old, *new;
	struct example e;

	example_begin(&e, 0);
	old = plain_bo(e.device, M(40));
	new = plain_bo(e.device, M(40));
	CHECK_OK(rig_bind(e.vm, rig_map(old, SZ_1G, 0, M(40))));
	bo_put(old);
	later = (struct later){ rig_fence(e.device), seed % 4 };
	unmap = rig_bind_async(e.vm, NULL, rig_unmap(SZ_1G, M(40)), later.fence);
	if (seed == 1) { /* for a while, not for ever */
		CHECK_ERR(timed_bind(e.vm, rig_map(new, 0, 0, M(40)), &waited_ns), -ENOSPC);
		CHECK(waited_ns >= MEMORY_WAIT_NS);
	}
	CHECK_OK(port_thread_create(&thread, "later", later_run, &later));
	bind_that_waits(e.vm, rig_map(new, 2 * SZ_1G, 0, M(40)));
	CHECK(fence_is_signalled(unmap));
	CHECK(rig_mapped(e.vm, 2 * SZ_1G) && !rig_mapped(e.vm, SZ_1G));
	port_thread_join(thread);
	fence_put(unmap);
	fence_put(later.fence);
	bo_put(new);
	example_end(&e);
}

static void test_A09_waits_for_binds_that_give_frames_back(void)
{
	test_seeds(frames_come_back, 1, test_scale(300));
}

/* ---- reasons --------------------------------------------------------------------------------- */

static void expect(struct example *e, struct bind_args args, int ret, enum bind_reason reason,
		   unsigned *seen)
{
	struct fence *fence = NULL;

	CHECK_EQ(vm_bind(e->vm, &args, &fence), ret);
	CHECK_EQ(args.reason, reason);
	CHECK_EQ(fence != NULL, ret == 0);
	if (fence) {
		rig_wait(fence);
	}
	*seen |= BIT_(reason);
}

static void expect_op(struct example *e, struct bind_op op, int ret, enum bind_reason reason,
		      unsigned *seen)
{
	expect(e, (struct bind_args){ .ops = &op, .op_count = 1 }, ret, reason, seen);
}

static void expect_mistakes(struct example *e, unsigned *seen)
{
	struct bind_op op = rig_map(e->x, 0, 0, SZ_64K);

	expect_op(e, op, 0, BIND_OK, seen);
	op.null = true;
	expect_op(e, op, -EINVAL, BIND_BAD_OP, seen);
	expect_op(e, rig_map(e->x, 1, 0, SZ_64K), -EINVAL, BIND_BAD_RANGE, seen);
	e->y->owner_vm_id = e->vm->id + 1;
	expect_op(e, rig_map(e->y, 0, 0, SZ_64K), -EINVAL, BIND_FOREIGN_BO, seen);
	e->y->owner_vm_id = 0;
	op = e->ops[1];
	op.offset = SZ_4K; /* no client has anything there */
	expect_op(e, op, -EFAULT, BIND_NO_CLIENT_MEMORY, seen);
}

static void expect_wants(struct example *e, unsigned *seen)
{
	struct bo *hog = plain_bo(e->device, M(60)), *big = plain_bo(e->device, M(32));

	CHECK_OK(bo_back(hog));
	expect_op(e, rig_map(big, SZ_1G, 0, M(32)), -ENOSPC, BIND_NO_FRAMES, seen);
	expect(e, (struct bind_args){ .ops = e->ops, .op_count = 4, .restart = true }, -EINVAL,
	       BIND_NOT_THE_LIST, seen);
	expect_op(e, rig_map(e->x, 0, 0, SZ_64K), -EALREADY, BIND_ERROR_STATE, seen);
	bo_put(hog);
	expect(e, (struct bind_args){ .ops = (const struct bind_op[]){ rig_map(big, SZ_1G, 0,
									       M(32)) },
				      .op_count = 1, .restart = true }, 0, BIND_OK, seen);
	bo_put(big);
	port_fault_set(PORT_FAULT_SLEEP, 1, false);
	expect_op(e, rig_map(e->x, 0, 0, SZ_64K), -EINTR, BIND_INTERRUPTED, seen);
	port_fault_set(PORT_FAULT_SLEEP, 0, false);
	port_fault_set(PORT_FAULT_ALLOC, 1, true);
	expect_op(e, rig_map(e->x, 0, 0, SZ_64K), -ENOMEM, BIND_NO_MEMORY, seen);
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	expect(e, (struct bind_args){ .ops = (const struct bind_op[]){ rig_map(e->x, 0, 0,
									       SZ_64K) },
				      .op_count = 1, .restart = true }, 0, BIND_OK, seen);
}

static void test_reasons(void)
{
	struct fence *in, *out;
	struct bind_op op;
	uint64_t value;
	struct example e;
	unsigned seen = 0;

	example_begin(&e, 0);
	expect_mistakes(&e, &seen);
	example_end(&e);
	example_begin(&e, VM_ERRORS_RESTART);
	expect_wants(&e, &seen);

	in = rig_fence(e.device);
	op = rig_map(e.x, SZ_1G / 2, 0, SZ_64K);
	e.args = (struct bind_args){ .ops = &op, .op_count = 1, .in_fences = &in, .in_count = 1,
				     .ufence = user_fence(&e, &value) };
	CHECK_OK(vm_bind(e.vm, &e.args, &out));
	expect_op(&e, rig_unmap(SZ_1G / 2, SZ_4K), -EBUSY, BIND_BUSY, &seen);
	rig_fence_done(in);
	rig_wait(out);
	while (!ufence_is_signalled(e.args.ufence)) {
		scene_nap();
	}
	ufence_put(e.args.ufence);
	expect_op(&e, rig_unmap(SZ_1G / 2, SZ_4K), 0, BIND_OK, &seen);

	op = rig_map(e.x, 0, 0, SZ_64K);
	op.inject_error = true;
	expect_op(&e, op, -ENOSPC, BIND_INJECTED, &seen);
	vm_ban(e.vm, VM_BANNED_BY_OWNER);
	expect_op(&e, op, -ENOENT, BIND_VM_GONE, &seen);
	CHECK_EQ(seen, BIT_(BIND_INJECTED + 1) - 1);
	example_end(&e);
}

static void test_ban_reason(void)
{
	struct example e;

	example_begin(&e, 0);
	CHECK_EQ(vm_ban_reason(e.vm), VM_NOT_BANNED);
	CHECK(!vm_is_banned(e.vm));
	vm_ban(e.vm, VM_BANNED_FAULT);
	CHECK_EQ(vm_ban_reason(e.vm), VM_BANNED_FAULT);
	vm_ban(e.vm, VM_BANNED_BY_OWNER); /* the first one counts */
	CHECK_EQ(vm_ban_reason(e.vm), VM_BANNED_FAULT);
	CHECK(vm_is_banned(e.vm));
	example_end(&e);
}

static const struct test_case cases[] = {
	TEST(test_A27_nothing_stays),
	TEST(test_A26_what_was_done_stays),
	TEST(test_A25_restart),
	TEST(test_A25_a_changed_list_is_refused),
	TEST(test_A25_a_restart_that_fails_again),
	TEST(test_A25_close_in_error_state),
	TEST(test_mistakes_change_nothing_in_any_flavour),
	TEST(test_A28_fences_of_a_list_in_two_halves),
	TEST(test_A28_fences_of_a_list_that_is_undone),
	TEST(test_A27_no_frames_in_each_flavour),
	TEST(test_A09_waits_for_binds_that_give_frames_back),
	TEST(test_reasons),
	TEST(test_ban_reason),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
