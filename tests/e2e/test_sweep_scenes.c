// SPDX-License-Identifier: MIT
/*
 * Many VMs times many operations, each with every allocation, user copy, interruptible sleep and
 * bind failing in turn, once and for ever: on success the VM is as it should be, on an error it is
 * as before and the same call then succeeds; a list of unmaps never fails for want of memory; what
 * was given up for want of a table comes back; nothing leaks.
 */
#include <stdio.h>

#include "scenes.h"

enum {
	WITH_IN_FENCE = 1, /* not signalled before the call has returned */
	WITH_UFENCE = 2,
	EXEC_AFTER = 4,    /* a submission is part of what may fail */
};

struct action {
	struct scene_list list;
	unsigned how;
};

#define LIST(name_, n_, ...) { .name = name_, .n = n_, .op = { __VA_ARGS__ } }
#define THREE                                                                                      \
	OP_MAP(OBJ_SMALL, M(1) + K(4), K(4), K(64)), OP_UNMAP(M(1) + K(32), K(12)),                \
	OP_MAP(OBJ_FRESH, M(3), 0, K(128))
#define SIX                                                                                        \
	OP_UNMAP(K(20), K(4)), OP_UNMAP(M(2) + K(4), K(4)), OP_UNMAP(M(1) + K(64), K(64)),         \
	OP_UNMAP(M(3) - K(12), K(24)), OP_UNMAP_BO(OBJ_SMALL), OP_UNMAP(M(4) + K(4), M(1))

static const struct action actions[] = {
	{ LIST("map into empty", 1, OP_MAP(OBJ_FRESH, M(6) + K(64), 0, K(128))), 0 },
	{ LIST("map over one", 1, OP_MAP(OBJ_SMALL, K(64), 0, K(64))), 0 },
	{ LIST("map over many", 1, OP_MAP(OBJ_SYSTEM, K(32), 0, M(4))), 0 },
	{ LIST("map over the middle", 1, OP_MAP_RO(OBJ_SMALL, M(1) + K(12), K(8), K(20))), 0 },
	{ LIST("map a leaf", 1, OP_MAP(OBJ_VRAM, M(2), M(2), M(2))), 0 },
	{ LIST("map null", 1, OP_NULL(M(1) - K(4), M(2))), 0 },
	{ LIST("map userptr", 1, OP_CLIENT(M(1) + K(8), K(16), K(512))), 0 },
	{ LIST("unmap all", 1, OP_UNMAP(0, M(8))), 0 },
	{ LIST("unmap the front", 1, OP_UNMAP(0, K(68))), 0 },
	{ LIST("unmap the back", 1, OP_UNMAP(M(4) - K(20), M(3))), 0 },
	{ LIST("unmap the middle", 1, OP_UNMAP(M(1) + K(4), K(12))), 0 },
	{ LIST("unmap the middle, 64k", 1, OP_UNMAP(M(2) + K(192), K(64))), 0 },
	{ LIST("unmap over several", 1, OP_UNMAP(K(32), M(5))), 0 },
	{ LIST("unmap an object", 1, OP_UNMAP_BO(OBJ_VRAM)), 0 },
	{ LIST("three", 3, THREE), 0 },
	{ LIST("twenty", 20, THREE, SIX, OP_MAP(OBJ_VRAM, M(2), 0, M(2)), OP_NULL(K(8), M(1)),
	       OP_CLIENT(M(2) + K(4), 0, K(64)), OP_UNMAP(M(2), K(128)), OP_UNMAP_BO(OBJ_SYSTEM),
	       OP_MAP(OBJ_SYSTEM, M(5), K(4), K(64)), OP_MAP(OBJ_SYSTEM, M(5) + K(64), 0, K(64)),
	       OP_UNMAP(M(5) + K(60), K(8)), OP_PREFETCH(0, M(1)), OP_UNMAP(0, K(4)),
	       OP_MAP_RO(OBJ_SMALL, 0, 0, K(8))), 0 },
	{ LIST("six unmaps", 6, SIX), 0 },
	{ LIST("map, unmap, map", 3, OP_MAP(OBJ_VRAM, M(1), K(64), M(2)),
	       OP_UNMAP(M(1) + K(64), K(128)), OP_MAP(OBJ_FRESH, M(1) + K(128), 0, K(128))), 0 },
	{ LIST("prefetch", 2, OP_PREFETCH(0, M(4)), OP_MAP(OBJ_FRESH, M(2) - K(4), 0, K(16))), 0 },
	{ LIST("in-fence", 3, THREE), WITH_IN_FENCE },
	{ LIST("user fence", 3, THREE), WITH_UFENCE },
	{ LIST("unmap with user fence", 6, SIX), WITH_UFENCE },
	{ LIST("unmap, exec", 1, OP_UNMAP(M(1) + K(4), K(12))), EXEC_AFTER },
};

static struct {
	struct scene scene;
	struct scene_runs before, after;
	unsigned scenarios, injections, errors;
} sweep;

struct call {
	const struct action *action;
	struct bind_op ops[SCENE_OPS];
	struct fence *in, *out;
	struct ufence *ufence;
	uint64_t written;
	bool unmaps, bound;
	bool copy_failed; /* perhaps that of the user fence, whose client's page is then gone */
	uint64_t store_to;
};

static void call_init(struct call *c, const struct action *action)
{
	struct scene *s = &sweep.scene;

	*c = (struct call){ .action = action, .unmaps = true };
	scene_ops(s, action->list.op, action->list.n, c->ops);
	for (unsigned i = 0; i < action->list.n; i++) {
		c->unmaps = c->unmaps &&
			    (c->ops[i].kind == BIND_UNMAP || c->ops[i].kind == BIND_UNMAP_BO);
	}
	if (action->how & WITH_IN_FENCE) {
		c->in = rig_fence(s->device);
	}
	if (action->how & WITH_UFENCE) {
		c->ufence = ufence_create(&s->device->sync, (uint64_t)(uintptr_t)&c->written, 7);
		CHECK(c->ufence);
	}
}

static int call_exec(struct call *c)
{
	struct scene *s = &sweep.scene;
	uint64_t addr = c->store_to + 8;
	uint32_t value = 0x5eed;

	if (c->out) {
		rig_wait(c->out);
		c->out = NULL;
	}
	rig_batch_stores(s->batch, 0, &addr, &value, c->store_to != 0);
	return rig_exec(s->queue, SCENE_BATCH, NULL, &c->out);
}

/* 0 or the error of the bind, or of the submission after it. */
static int call_make(struct call *c)
{
	struct bind_args args = {
		.ops = c->ops,
		.op_count = c->action->list.n,
		.in_fences = &c->in,
		.in_count = c->in != NULL,
		.ufence = c->ufence,
	};
	int ret = c->bound ? 0 : vm_bind(sweep.scene.vm, &args, &c->out);

	if (!c->bound && !ret) {
		CHECK_EQ(args.reason, BIND_OK);
		CHECK_EQ(args.done, args.op_count);
		c->bound = true;
		scene_apply(&sweep.scene, c->ops, args.op_count);
		(void)scene_writable(&sweep.scene, &c->store_to);
	} else if (!c->bound) {
		CHECK(args.reason != BIND_OK && args.done == 0);
	}
	return ret || !(c->action->how & EXEC_AFTER) ? ret : call_exec(c);
}

static void call_end(struct call *c)
{
	uint64_t value;

	if (c->in) {
		rig_fence_done(c->in);
	}
	CHECK_OK(fence_wait(c->out, PORT_FOREVER, 0));
	CHECK_OK(fence_error(c->out));
	fence_put(c->out);
	if (c->ufence) {
		while (!ufence_is_signalled(c->ufence)) {
			scene_nap();
		}
		CHECK(c->written == 7 || c->copy_failed);
		ufence_put(c->ufence);
	}
	if ((c->action->how & EXEC_AFTER) && c->store_to) {
		CHECK_OK(rig_load64(sweep.scene.vm, c->store_to + 8, &value));
		CHECK_EQ(value & 0xffffffff, 0x5eed);
	}
}

static void check_error(const struct call *c, int ret, const struct test_injection *inj)
{
	switch (inj->point) {
	case PORT_FAULT_ALLOC:
		CHECK(ret == -ENOMEM || ret == -ENOSPC);
		/* A single failure is absorbed by the bind (A09); unmaps never fail (A24). */
		CHECK(c->bound || (inj->for_ever && !c->unmaps));
		break;
	case PORT_FAULT_USER_COPY:
		CHECK_EQ(ret, -EFAULT);
		break;
	case PORT_FAULT_BIND:
		/* Whatever it is, and it changes nothing. */
		CHECK_EQ(ret, -ENOMEM);
		CHECK(!c->bound);
		break;
	default:
		CHECK_EQ(ret, -EINTR);
		break;
	}
}

/* One run; did the failure strike? */
static bool run_once(const struct scene_list *setup, const struct action *action,
		     const struct test_injection *inj)
{
	struct scene *s = &sweep.scene;
	struct call c;
	bool struck;
	int ret;

	scene_vm(s, 0);
	scene_set_up(s, setup);
	call_init(&c, action);
	if (inj->nth) {
		scene_check_runs(s, &sweep.before);
	} else {
		scene_take_runs(s, &sweep.before);
	}
	port_fault_set(inj->point, inj->nth, inj->for_ever);
	ret = call_make(&c);
	struck = inj->nth && port_fault_count(inj->point) >= inj->nth;
	port_fault_set(inj->point, 0, false);
	c.copy_failed = struck && inj->point == PORT_FAULT_USER_COPY;
	if (ret) {
		CHECK(struck);
		check_error(&c, ret, inj);
		sweep.errors++;
		scene_check_runs(s, c.bound ? &sweep.after : &sweep.before);
		scene_check(s);
		CHECK_OK(call_make(&c));
	}
	call_end(&c);
	if (inj->nth) {
		scene_check_runs(s, &sweep.after);
	} else {
		scene_take_runs(s, &sweep.after);
	}
	scene_check(s);
	scene_vm_done(s);
	return struck;
}

static void sweep_scenario(const struct scene_list *setup, const struct action *action)
{
	static const enum port_fault_point points[] = {
		PORT_FAULT_ALLOC,  PORT_FAULT_USER_COPY, PORT_FAULT_SLEEP,
		PORT_FAULT_THREAD, PORT_FAULT_BIND,
	};
	struct test_injection inj = { .nth = 0 };

	run_once(setup, action, &inj);
	sweep.scenarios++;
	for (unsigned i = 0; i < 2 * ARRAY_LEN(points); i++) {
		inj.point = points[i / 2];
		inj.for_ever = i % 2;
		inj.nth = 0;
		do {
			inj.nth++;
			sweep.injections++;
		} while (run_once(setup, action, &inj));
	}
}

/* The thread sanitizer is slow and has little to say about one thread: it takes a sample. */
#define STEP 1
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#undef STEP
#define STEP 13
#endif
#endif

static void sweep_schedule(unsigned from, unsigned to, enum device_schedule schedule)
{
	scene_open(&sweep.scene, schedule);
	for (unsigned i = from * ARRAY_LEN(actions); i < to * ARRAY_LEN(actions); i += STEP) {
		sweep_scenario(&scene_setups[i / ARRAY_LEN(actions)],
			       &actions[i % ARRAY_LEN(actions)]);
	}
	scene_close(&sweep.scene);
}

/* Binds that are run at once, and binds that are published and run by somebody else. */
static void sweep_setups(unsigned from, unsigned to)
{
	sweep.scenarios = sweep.injections = sweep.errors = 0;
	sweep_schedule(from, to, SCHEDULE_NORMAL);
	sweep_schedule(from, to, SCHEDULE_ADVERSARIAL);
	printf("# %u scenarios, %u injections, %u errors\n", sweep.scenarios, sweep.injections,
	       sweep.errors);
}

static void test_A24_sweep_plain_vms(void)
{
	sweep_setups(0, 3);
}

static void test_A24_sweep_huge_entries(void)
{
	sweep_setups(3, 6);
}

static void test_A24_sweep_mixed_vms(void)
{
	sweep_setups(6, 8);
}

static void test_A24_sweep_holes(void)
{
	sweep_setups(8, scene_setup_count);
}

static const struct test_case cases[] = {
	TEST(test_A24_sweep_plain_vms),
	TEST(test_A24_sweep_huge_entries),
	TEST(test_A24_sweep_mixed_vms),
	TEST(test_A24_sweep_holes),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
