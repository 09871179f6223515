// SPDX-License-Identifier: MIT
/* VM_BIND: every check in its order, syncs of all kinds, lists, unwinding. */
#include "client.h"

#include <string.h>
#include <sys/mman.h>

#include "uapi/xe/xe.h"

#define A     UINT64_C(0x100000)
#define VA_48 (UINT64_C(1) << 48)

static struct client c;
static uint32_t vm, bo;

static void setup(void)
{
	client_init(&c, "bmg");
	vm = client_vm(&c, 0);
	bo = client_bo(&c, vm, SZ_2M);
}

static int bind_op(struct drm_xe_vm_bind_op op)
{
	return client_bind(c.file, vm, 0, &op, 1, NULL, 0);
}

/* A good map, changed in one place per check. */
#define BIND(...)                                                                                  \
	bind_op((struct drm_xe_vm_bind_op){ .obj = bo, .addr = A, .range = SZ_64K,                 \
					    .pat_index = CLIENT_PAT_WB, __VA_ARGS__ })
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winitializer-overrides"
#endif

static void the_request_is_checked_first(void)
{
	struct drm_xe_vm_bind_op op;
	struct drm_xe_vm_bind args;
	struct uapi_file *other;

	setup();
	op = client_op(DRM_XE_VM_BIND_OP_MAP, bo, 0, A, SZ_64K);
	args = (struct drm_xe_vm_bind){ .vm_id = 99, .num_binds = 1, .pad = 1, .bind = op };
	CHECK_ERR(IOCTL(c.file, XE_VM_BIND, &args), -EINVAL);
	args.vm_id = vm;
	CHECK_ERR(IOCTL(c.file, XE_VM_BIND, &args), -EINVAL);
	args.pad = 0;
	args.pad2 = 1;
	CHECK_ERR(IOCTL(c.file, XE_VM_BIND, &args), -EINVAL);
	args.pad2 = 0;
	args.reserved[1] = 1;
	CHECK_ERR(IOCTL(c.file, XE_VM_BIND, &args), -EINVAL);
	args.reserved[1] = 0;
	args.extensions = 1;
	CHECK_ERR(IOCTL(c.file, XE_VM_BIND, &args), -EINVAL);
	args.extensions = 0;
	args.num_syncs = 1025;
	CHECK_ERR(IOCTL(c.file, XE_VM_BIND, &args), -EINVAL);
	args.num_syncs = 0;
	args.num_binds = 2;
	args.vector_of_binds = CLIENT_BAD;
	CHECK_ERR(IOCTL(c.file, XE_VM_BIND, &args), -EFAULT);
	args.num_binds = UINT32_MAX;
	CHECK_ERR(IOCTL(c.file, XE_VM_BIND, &args), -ENOBUFS);
	other = client_open(&c, true);
	CHECK_ERR(client_bind(other, vm, 0, &op, 1, NULL, 0), -EINVAL);
	uapi_close(other);
	client_fini(&c);
}

static void operations_are_checked_by_themselves(void)
{
	setup();
	CHECK_OK(BIND(.flags = 0));
	CHECK_OK(BIND(.flags = 1 | 2 | 8 | 16)); /* READONLY IMMEDIATE DUMPABLE CHECK_PXP */
	CHECK_OK(BIND(.flags = 4, .obj = 0));    /* NULL */
	CHECK_ERR(BIND(.flags = 0x20, .obj = 0), -EINVAL); /* no mirrors here */
	CHECK_ERR(BIND(.pat_index = 32), -EINVAL);
	CHECK_ERR(BIND(.pat_index = UINT16_MAX), -EINVAL);
	for (uint16_t pat = 16; pat < 20; pat++) {
		CHECK_ERR(BIND(.pat_index = pat), -EINVAL); /* not defined by the hardware */
	}
	for (uint16_t pat = 20; pat < 32; pat++) {
		CHECK_OK(BIND(.pat_index = pat));
	}
	CHECK_ERR(BIND(.op = 5), -EINVAL);
	CHECK_ERR(BIND(.op = UINT32_MAX), -EINVAL);
	CHECK_ERR(BIND(.flags = 0x100), -EINVAL);
	CHECK_ERR(BIND(.flags = 1u << 30), -EINVAL);
	CHECK_ERR(BIND(.flags = 4), -EINVAL);                       /* NULL with object */
	CHECK_ERR(BIND(.flags = 4, .obj = 0, .obj_offset = SZ_64K), -EINVAL);
	CHECK_ERR(BIND(.flags = 4, .op = 1, .obj = 0), -EINVAL);    /* NULL, not MAP */
	CHECK_ERR(BIND(.flags = 0x80, .op = 1, .obj = 0), -EINVAL); /* DECOMPRESS, not MAP */
	CHECK_ERR(BIND(.flags = 0x80, .pat_index = 9), -EINVAL);    /* into compressed */
	CHECK_ERR(BIND(.flags = 0x80), -EOPNOTSUPP);
	CHECK_ERR(BIND(.flags = 0x40), -EINVAL);                    /* AUTORESET */
	CHECK_ERR(BIND(.obj = 0), -EINVAL);                         /* MAP of nothing */
	CHECK_ERR(BIND(.op = 1), -EINVAL);                          /* UNMAP with object */
	CHECK_OK(BIND(.op = 1, .obj = 0));
	CHECK_ERR(BIND(.op = 2), -EINVAL);                          /* USERPTR with object */
	CHECK_ERR(BIND(.op = 2, .obj = 0, .pat_index = 0), -EINVAL); /* not coherent */
	CHECK_ERR(BIND(.op = 2, .obj = 0, .pat_index = 9), -EINVAL); /* compressed */
	CHECK_ERR(BIND(.op = 3, .obj = 0, .addr = 0, .range = 0), -EINVAL);
	CHECK_ERR(BIND(.op = 3, .range = 0), -EINVAL);
	CHECK_ERR(BIND(.op = 3, .addr = 0), -EINVAL);
	CHECK_OK(BIND(.op = 3, .addr = 0, .range = 0));
	CHECK_ERR(BIND(.op = 4), -EINVAL);                          /* PREFETCH with object */
	CHECK_ERR(BIND(.prefetch_mem_region_instance = 1), -EINVAL);
	CHECK_ERR(BIND(.op = 4, .obj = 0, .prefetch_mem_region_instance = 2), -EINVAL);
	CHECK_ERR(BIND(.op = 4, .obj = 0, .prefetch_mem_region_instance = 64), -EINVAL);
	client_fini(&c);
}

static void ranges_do_not_wrap(void)
{
	setup();
	CHECK_ERR(BIND(.addr = A + 1), -EINVAL);
	CHECK_ERR(BIND(.range = SZ_64K + 1), -EINVAL);
	CHECK_ERR(BIND(.obj_offset = 1), -EINVAL);
	CHECK_ERR(BIND(.range = 0), -EINVAL);
	CHECK_ERR(BIND(.op = 1, .obj = 0, .range = 0), -EINVAL);
	CHECK_OK(BIND(.addr = VA_48 - SZ_64K));
	CHECK_ERR(BIND(.addr = VA_48), -EINVAL);
	CHECK_ERR(BIND(.addr = VA_48 - SZ_64K, .range = 2 * SZ_64K), -EINVAL);
	CHECK_ERR(BIND(.addr = UINT64_MAX - SZ_64K + 1), -EINVAL);
	CHECK_ERR(BIND(.addr = SZ_64K, .range = UINT64_MAX - SZ_64K + 1), -EINVAL);
	CHECK_ERR(BIND(.op = 1, .obj = 0, .range = UINT64_MAX - SZ_4K + 1), -EINVAL);
	CHECK_OK(BIND(.op = 1, .obj = 0, .addr = 0, .range = VA_48));
	CHECK_ERR(BIND(.obj_offset = UINT64_MAX - SZ_64K + 1), -EINVAL);
	CHECK_ERR(BIND(.obj_offset = SZ_2M), -EINVAL);
	CHECK_ERR(BIND(.obj_offset = SZ_2M - SZ_64K, .range = 2 * SZ_64K), -EINVAL);
	CHECK_ERR(BIND(.range = SZ_2M + SZ_64K), -EINVAL);
	client_fini(&c);
}

static void objects_set_conditions(void)
{
	uint32_t wb, plain, other_vm, theirs;
	struct uapi_file *other;

	setup();
	CHECK_ERR(BIND(.obj = 99), -ENOENT);
	other = client_open(&c, true);
	CHECK_OK(client_gem_create(other, 0, SZ_64K, 2, 0, &theirs));
	CHECK_OK(client_gem_create(other, 0, SZ_64K, 2, 0, &theirs));
	CHECK_ERR(BIND(.obj = theirs), -ENOENT);
	uapi_close(other);
	/* VRAM comes in pieces of 64 KiB. */
	CHECK_ERR(BIND(.addr = A + SZ_4K), -EINVAL);
	CHECK_ERR(BIND(.range = SZ_4K), -EINVAL);
	CHECK_ERR(BIND(.obj_offset = SZ_4K), -EINVAL);
	/* What the CPU caches must not be mapped without snooping. */
	CHECK_OK(client_gem_create(c.file, 0, SZ_64K, 1, 0, &wb));
	CHECK_ERR(BIND(.obj = wb, .pat_index = 0), -EINVAL);
	CHECK_OK(BIND(.obj = wb, .pat_index = 1));
	CHECK_OK(BIND(.obj = wb, .addr = A + SZ_4K, .range = SZ_4K, .obj_offset = SZ_4K));
	CHECK_OK(BIND(.obj = wb, .op = 3, .addr = 0, .range = 0, .pat_index = 0));
	CHECK_OK(client_gem_create(c.file, 0, SZ_64K, 2, 8, &plain));
	CHECK_ERR(BIND(.obj = plain, .pat_index = 9), -EINVAL);
	CHECK_OK(BIND(.obj = plain));
	CHECK_OK(BIND(.pat_index = 9));
	other_vm = client_vm(&c, 0);
	theirs = client_bo(&c, other_vm, SZ_64K);
	CHECK_ERR(BIND(.obj = theirs), -EINVAL);
	client_fini(&c);
}

static int with_queue(uint32_t queue)
{
	struct drm_xe_vm_bind_op op = client_op(DRM_XE_VM_BIND_OP_MAP, bo, 0, A, SZ_64K);

	return client_bind(c.file, vm, queue, &op, 1, NULL, 0);
}

static void queues_are_of_the_address_space(void)
{
	uint32_t other;

	setup();
	other = client_vm(&c, 0);
	CHECK_ERR(with_queue(99), -ENOENT);
	CHECK_ERR(with_queue(client_queue(&c, vm, 0)), -EINVAL);
	CHECK_ERR(with_queue(client_bind_queue(&c, other)), -EINVAL);
	CHECK_OK(with_queue(client_bind_queue(&c, vm)));
	client_fini(&c);
}

/* ---- syncs ----------------------------------------------------------------------------------- */

static int with_syncs(const struct drm_xe_sync *syncs, uint32_t n)
{
	struct drm_xe_vm_bind_op op = client_op(DRM_XE_VM_BIND_OP_MAP, bo, 0, A, SZ_64K);

	return client_bind(c.file, vm, 0, &op, 1, syncs, n);
}

static int with_sync(struct drm_xe_sync sync)
{
	return with_syncs(&sync, 1);
}

static void syncs_are_checked_one_by_one(void)
{
	uint64_t fence = 0;
	struct drm_xe_sync s, two[2];
	uint32_t so;

	setup();
	so = client_syncobj(c.file, true);
	CHECK_ERR(with_syncs((void *)(uintptr_t)CLIENT_BAD, 1), -EFAULT);
	s = client_signal(so);
	s.flags |= 2;
	CHECK_ERR(with_sync(s), -EINVAL);
	s = client_signal(so);
	s.reserved[0] = 1;
	CHECK_ERR(with_sync(s), -EINVAL);
	s.reserved[0] = 0;
	s.addr |= UINT64_C(1) << 32;
	CHECK_ERR(with_sync(s), -EINVAL);
	CHECK_ERR(with_sync(client_signal(99)), -ENOENT);
	CHECK_ERR(with_sync(client_signal_point(so, 0)), -EINVAL);
	CHECK_ERR(with_sync(client_signal_point(99, 1)), -ENOENT);
	s = client_signal_point(so, 5);
	s.flags = 0;
	CHECK_ERR(with_sync(s), -EINVAL); /* the point is not there yet */
	CHECK_OK(client_syncobj_reset(c.file, so));
	CHECK_ERR(with_sync(client_wait_for(so)), -EINVAL); /* nothing to wait for */
	s = client_signal_user(&fence, 1);
	s.flags = 0;
	CHECK_ERR(with_sync(s), -EOPNOTSUPP);
	s.flags = 1;
	s.addr += 4;
	CHECK_ERR(with_sync(s), -EINVAL);
	s.addr = CLIENT_BAD;
	CHECK_ERR(with_sync(s), -EFAULT);
	s = client_signal(so);
	s.type = 3;
	CHECK_ERR(with_sync(s), -EINVAL);
	two[0] = two[1] = client_signal_user(&fence, 1);
	CHECK_ERR(with_syncs(two, 2), -EINVAL);
	/* The first bad one decides, and none was signalled. */
	two[0] = client_signal(so);
	two[1] = client_signal(99);
	CHECK_ERR(with_syncs(two, 2), -ENOENT);
	CHECK_ERR(client_syncobj_wait(c.file, so, 0), -EINVAL);
	CHECK_EQ(fence, 0);
	client_fini(&c);
}

static void long_running_spaces_signal_user_fences_only(void)
{
	volatile uint64_t fence = 0;
	struct drm_xe_wait_user_fence wait = { .addr = PTR(&fence), .value = 5,
					       .mask = UINT64_MAX, .timeout = INT64_MAX };
	uint32_t so;

	setup();
	vm = client_vm(&c, DRM_XE_VM_CREATE_FLAG_LR_MODE);
	bo = client_bo(&c, vm, SZ_64K);
	so = client_syncobj(c.file, true);
	CHECK_ERR(with_sync(client_signal(so)), -EOPNOTSUPP);
	CHECK_ERR(with_sync(client_signal_point(so, 0)), -EOPNOTSUPP);
	CHECK_OK(with_sync(client_wait_for(so)));
	CHECK_OK(with_sync(client_signal_user(&fence, 5)));
	CHECK_OK(IOCTL(c.file, XE_WAIT_USER_FENCE, &wait));
	CHECK_EQ(fence, 5);
	client_fini(&c);
}

static void every_kind_of_sync_follows_the_bind(void)
{
	volatile uint64_t fence = 0;
	struct drm_xe_sync syncs[4];
	struct drm_xe_wait_user_fence wait = { .addr = PTR(&fence), .value = 9,
					       .mask = UINT64_MAX, .timeout = -1 };
	uint32_t in, binary, timeline;

	setup();
	in = client_syncobj(c.file, true);
	binary = client_syncobj(c.file, false);
	timeline = client_syncobj(c.file, false);
	syncs[0] = client_wait_for(in);
	syncs[1] = client_signal(binary);
	syncs[2] = client_signal_point(timeline, 3);
	syncs[3] = client_signal_user(&fence, 9);
	CHECK_OK(with_syncs(syncs, 4));
	CHECK_OK(client_syncobj_wait(c.file, binary, INT64_MAX));
	CHECK_OK(client_point_wait(c.file, timeline, 3, 0, INT64_MAX));
	CHECK_OK(IOCTL(c.file, XE_WAIT_USER_FENCE, &wait));
	client_fini(&c);
}

static void no_binds_signal_after_the_last(void)
{
	uint64_t fence = 0;
	struct drm_xe_sync s;
	uint32_t so, queue;

	setup();
	so = client_syncobj(c.file, true);
	queue = client_bind_queue(&c, vm);
	s = client_wait_for(so);
	CHECK_ERR(client_bind(c.file, vm, 0, NULL, 0, &s, 1), -EOPNOTSUPP);
	s = client_signal_user(&fence, 1);
	CHECK_ERR(client_bind(c.file, vm, 0, NULL, 0, &s, 1), -EOPNOTSUPP);
	CHECK_OK(client_syncobj_reset(c.file, so));
	s = client_signal(so);
	CHECK_OK(client_bind(c.file, vm, queue, NULL, 0, &s, 1));
	CHECK_OK(client_syncobj_wait(c.file, so, INT64_MAX));
	CHECK_OK(client_syncobj_reset(c.file, so));
	CHECK_OK(client_bind(c.file, vm, 0, NULL, 0, &s, 1));
	CHECK_OK(client_syncobj_wait(c.file, so, INT64_MAX));
	CHECK_OK(client_bind(c.file, vm, 0, NULL, 0, NULL, 0));
	client_fini(&c);
}

/* ---- lists, holding back, unwinding ---------------------------------------------------------- */

/* A job on the copy engine that runs until told: its out-syncobj is a fence to wait for. */
struct cork {
	uint32_t vm, queue, syncobj;
	volatile uint32_t *memory;
};

static void cork_in(struct cork *cork)
{
	struct drm_xe_sync sync;
	uint32_t batch, word = 64;

	cork->vm = client_vm(&c, 0);
	batch = client_bo(&c, cork->vm, client_page(&c));
	cork->memory = client_cpu(&c, c.file, batch, client_page(&c));
	CHECK_OK(client_map(&c, cork->vm, batch, 0, A, client_page(&c)));
	cork->memory[word] = 1;
	client_batch_spin((uint32_t *)(uintptr_t)cork->memory, A, A + 4 * word);
	cork->queue = client_queue(&c, cork->vm, DRM_XE_ENGINE_CLASS_COPY);
	cork->syncobj = client_syncobj(c.file, false);
	sync = client_signal(cork->syncobj);
	CHECK_OK(client_exec(c.file, cork->queue, A, &sync, 1));
	CHECK_ERR(client_syncobj_wait(c.file, cork->syncobj, 0), -ETIME);
}

static void cork_out(struct cork *cork)
{
	__atomic_store_n(&cork->memory[64], 0, __ATOMIC_RELEASE);
	CHECK_OK(client_syncobj_wait(c.file, cork->syncobj, INT64_MAX));
}

static void a_bind_waits_and_holds_back_its_queue_only(void)
{
	struct drm_xe_vm_bind_op op;
	struct drm_xe_sync syncs[2];
	uint32_t queue[2], out[3];
	struct cork cork;

	setup();
	cork_in(&cork);
	for (unsigned i = 0; i < 3; i++) {
		out[i] = client_syncobj(c.file, false);
		if (i < 2) {
			queue[i] = client_bind_queue(&c, vm);
		}
	}
	op = client_op(DRM_XE_VM_BIND_OP_MAP, bo, 0, A, SZ_64K);
	syncs[0] = client_wait_for(cork.syncobj);
	syncs[1] = client_signal(out[0]);
	CHECK_OK(client_bind(c.file, vm, queue[0], &op, 1, syncs, 2));
	op.addr = SZ_1G;
	syncs[1] = client_signal(out[1]);
	CHECK_OK(client_bind(c.file, vm, queue[0], &op, 1, &syncs[1], 1));
	op.addr = 600 * SZ_1G;
	syncs[1] = client_signal(out[2]);
	CHECK_OK(client_bind(c.file, vm, queue[1], &op, 1, &syncs[1], 1));
	CHECK_OK(client_syncobj_wait(c.file, out[2], INT64_MAX));
	CHECK_ERR(client_syncobj_wait(c.file, out[0], 0), -ETIME);
	CHECK_ERR(client_syncobj_wait(c.file, out[1], 0), -ETIME);
	cork_out(&cork);
	CHECK_OK(client_syncobj_wait(c.file, out[0], INT64_MAX));
	CHECK_OK(client_syncobj_wait(c.file, out[1], INT64_MAX));
	client_fini(&c);
}

static void a_long_list_does_not_wait(void)
{
	static struct drm_xe_vm_bind_op ops[512];
	struct drm_xe_sync in;
	struct cork cork;

	setup();
	cork_in(&cork);
	for (unsigned i = 0; i < 512; i++) {
		ops[i] = client_op(DRM_XE_VM_BIND_OP_MAP, bo, 0, A + i * SZ_2M, SZ_2M);
		ops[i].addr = (i + 1) * SZ_2M;
	}
	in = client_wait_for(cork.syncobj);
	CHECK_ERR(client_bind(c.file, vm, 0, ops, 512, &in, 1), -ENOBUFS);
	CHECK_OK(client_bind(c.file, vm, 0, ops, 128, &in, 1)); /* split, it fits */
	cork_out(&cork);
	CHECK_OK(client_bind(c.file, vm, 0, ops, 512, &in, 1)); /* nothing to wait for */
	for (unsigned i = 0; i < 512; i++) {
		ops[i].op = DRM_XE_VM_BIND_OP_UNMAP;
		ops[i].obj = 0;
	}
	cork_in(&cork);
	in = client_wait_for(cork.syncobj);
	CHECK_OK(client_bind(c.file, vm, 0, ops, 512, &in, 1)); /* taking away never fails so */
	cork_out(&cork);
	client_fini(&c);
}

/* Runs a store through the address space and says whether it arrived at @target. */
static bool arrives(const volatile uint32_t *target, uint64_t addr, uint32_t value)
{
	uint32_t batch = client_bo(&c, vm, SZ_64K), so = client_syncobj(c.file, false);
	uint32_t queue = client_queue(&c, vm, DRM_XE_ENGINE_CLASS_RENDER);
	struct drm_xe_sync sync = client_signal(so);

	client_batch_store(client_cpu(&c, c.file, batch, SZ_64K), addr, value);
	CHECK_OK(client_map(&c, vm, batch, 0, 0x40000000, SZ_64K));
	CHECK_OK(client_exec(c.file, queue, 0x40000000, &sync, 1));
	CHECK_OK(client_syncobj_wait(c.file, so, INT64_MAX));
	CHECK_OK(client_queue_destroy(c.file, queue));
	CHECK_OK(client_gem_close(c.file, batch));
	return *target == value;
}

static bool reaches(uint32_t handle, uint64_t addr, uint32_t value)
{
	return arrives(client_cpu(&c, c.file, handle, SZ_64K), addr, value);
}

/* Mesa's ANV closes what it frees right after it asked for the unmap. */
static void an_object_lives_until_its_unmap(void)
{
	struct drm_xe_vm_bind_op op = client_op(DRM_XE_VM_BIND_OP_UNMAP_ALL, 0, 0, 0, 0);
	struct drm_xe_sync syncs[2];
	uint32_t queue, *target;
	struct cork cork;

	setup();
	target = client_cpu(&c, c.file, bo, SZ_2M);
	CHECK_OK(client_map(&c, vm, bo, 0, A, SZ_64K));
	CHECK_OK(client_map(&c, vm, bo, SZ_64K, 2 * SZ_1G, SZ_64K));
	cork_in(&cork);
	queue = client_bind_queue(&c, vm);
	syncs[0] = client_wait_for(cork.syncobj);
	syncs[1] = client_signal(client_syncobj(c.file, false));
	op.obj = bo;
	CHECK_OK(client_bind(c.file, vm, queue, &op, 1, syncs, 2));
	CHECK_OK(client_gem_close(c.file, bo));
	CHECK_ERR(client_gem_close(c.file, bo), -EINVAL);
	CHECK(arrives(target, A, 0xc0ffe3));
	CHECK(arrives(target + SZ_64K / 4, 2 * SZ_1G, 0xc0ffe4));
	CHECK_ERR(client_syncobj_wait(c.file, syncs[1].handle, 0), -ETIME);
	cork_out(&cork);
	CHECK_OK(client_syncobj_wait(c.file, syncs[1].handle, INT64_MAX));
	bo = client_bo(&c, vm, SZ_2M);
	CHECK(!reaches(bo, A, 0xc0ffe5));
	CHECK(!reaches(bo, 2 * SZ_1G, 0xc0ffe6));
	client_fini(&c);
}

static void an_injected_error_unwinds_the_list(void)
{
	struct drm_xe_vm_bind_op ops[4];
	uint32_t old;

	setup();
	old = client_bo(&c, vm, SZ_2M);
	CHECK_OK(client_map(&c, vm, old, 0, A, SZ_64K));
	for (unsigned i = 0; i < 3; i++) {
		ops[i] = client_op(DRM_XE_VM_BIND_OP_MAP, bo, i * SZ_64K, A + i * SZ_64K, SZ_64K);
	}
	ops[3] = client_op(DRM_XE_VM_BIND_OP_UNMAP, 0, 0, A, SZ_64K);
	ops[3].flags = 1u << 31;
	CHECK_ERR(client_bind(c.file, vm, 0, ops, 4, NULL, 0), -ENOSPC);
	CHECK(reaches(old, A, 0xc0ffee)); /* as if nothing had been asked */
	ops[3].addr = A + SZ_64K;
	ops[3].flags = 0;
	CHECK_OK(client_bind(c.file, vm, 0, ops, 4, NULL, 0));
	CHECK(reaches(bo, A, 0xc0ffe2));
	client_fini(&c);
}

static void a_pending_user_fence_is_busy(void)
{
	volatile uint64_t fence = 0;
	struct drm_xe_vm_bind_op op;
	struct drm_xe_sync syncs[2];
	struct drm_xe_wait_user_fence wait = { .addr = PTR(&fence), .value = 4,
					       .mask = UINT64_MAX, .timeout = -1 };
	struct cork cork;

	setup();
	cork_in(&cork);
	op = client_op(DRM_XE_VM_BIND_OP_MAP, bo, 0, A, SZ_64K);
	syncs[0] = client_wait_for(cork.syncobj);
	syncs[1] = client_signal_user(&fence, 4);
	CHECK_OK(client_bind(c.file, vm, 0, &op, 1, syncs, 2));
	CHECK_ERR(BIND(.op = 1, .obj = 0), -EBUSY);
	CHECK_EQ(fence, 0);
	cork_out(&cork);
	CHECK_OK(IOCTL(c.file, XE_WAIT_USER_FENCE, &wait));
	CHECK_OK(BIND(.op = 1, .obj = 0));
	client_fini(&c);
}

/* ---- without memory -------------------------------------------------------------------------- */

/* Another thread's call, whose first allocation fails. */
struct caller {
	struct drm_xe_vm_bind_op op[6];
	uint32_t op_count;
	struct drm_xe_sync sync[2];
	int ret;
	struct port_thread *thread;
};

static void caller_run(void *arg)
{
	struct caller *caller = arg;

	port_fault_set(PORT_FAULT_ALLOC, 1, false);
	caller->ret = client_bind(c.file, vm, 0, caller->op, caller->op_count, caller->sync, 2);
	CHECK(port_fault_count(PORT_FAULT_ALLOC) > 0);
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
}

/* Maps @n pieces, and has them unmapped once point @point of @in is there; that tells @out. */
static void caller_start(struct caller *caller, uint32_t n, uint32_t in, uint64_t point,
			 uint32_t out)
{
	for (uint32_t i = 0; i < n; i++) {
		CHECK_OK(client_map(&c, vm, bo, 0, A + i * SZ_2M, SZ_64K));
		caller->op[i] = client_op(DRM_XE_VM_BIND_OP_UNMAP, 0, 0, A + i * SZ_2M, SZ_64K);
	}
	caller->op_count = n;
	caller->sync[0] = client_signal_point(in, point);
	caller->sync[0].flags = 0;
	caller->sync[1] = client_signal(out);
	CHECK_OK(port_thread_create(&caller->thread, "caller", caller_run, caller));
}

static unsigned mapped(void)
{
	struct xe_vm *xvm = xe_vm_lookup(c.file, vm);
	struct vm_mapping mapping = { .end = 0 };
	unsigned n = 0;

	while (vm_mapping_next(xvm->vm, mapping.end, &mapping)) {
		n++;
	}
	xe_vm_put(xvm);
	return n;
}

/* Two jobs that run until told, as the points 1 and 2 of a timeline. */
static uint32_t two_points(struct cork cork[2])
{
	struct drm_syncobj_transfer move = { .dst_handle = client_syncobj(c.file, false) };

	for (unsigned i = 0; i < 2; i++) {
		cork_in(&cork[i]);
		move.src_handle = cork[i].syncobj;
		move.dst_point = i + 1;
		CHECK_OK(IOCTL(c.file, SYNCOBJ_TRANSFER, &move));
	}
	return move.dst_handle;
}

static bool comes_soon(uint32_t syncobj)
{
	int64_t soon = (int64_t)port_now_ns() + 20 * 1000 * 1000;
	uint32_t flags = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT;

	return client_point_wait(c.file, syncobj, 0, flags, soon) != -ETIME;
}

/* Nothing can be had to follow both fences with: they are waited for, one after the other. */
static void test_A24_without_memory_an_unmap_waits_first(void)
{
	struct caller caller;
	struct cork cork[2];
	uint32_t line, out;

	setup();
	line = two_points(cork);
	out = client_syncobj(c.file, false);
	caller_start(&caller, 1, line, 2, out);
	CHECK(!comes_soon(out));
	cork_out(&cork[0]);
	CHECK(!comes_soon(out));
	CHECK_EQ(mapped(), 1);
	cork_out(&cork[1]);
	port_thread_join(caller.thread);
	CHECK_OK(caller.ret);
	CHECK_EQ(mapped(), 0);
	CHECK_OK(client_syncobj_wait(c.file, out, 0));
	client_fini(&c);
}

static void waiting_without_memory_can_be_interrupted(void)
{
	struct drm_xe_vm_bind_op op = client_op(DRM_XE_VM_BIND_OP_UNMAP, 0, 0, A, SZ_64K);
	struct drm_xe_sync in;
	struct cork cork[2];

	setup();
	in = client_signal_point(two_points(cork), 2);
	in.flags = 0;
	CHECK_OK(BIND(.flags = 0));
	port_fault_set(PORT_FAULT_ALLOC, 1, false);
	port_fault_set(PORT_FAULT_SLEEP, 1, false);
	CHECK_ERR(client_bind(c.file, vm, 0, &op, 1, &in, 1), -EINTR);
	port_fault_set(PORT_FAULT_SLEEP, 0, false);
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	CHECK_EQ(mapped(), 1);
	cork_out(&cork[0]);
	cork_out(&cork[1]);
	CHECK_OK(client_bind(c.file, vm, 0, &op, 1, &in, 1));
	CHECK_EQ(mapped(), 0);
	client_fini(&c);
}

/* What the client says is read again when its time has come, and checked again. */
static void a_list_that_changes_is_told_so(void)
{
	struct caller caller;
	struct cork cork[2];
	uint32_t line, out;

	setup();
	line = two_points(cork);
	out = client_syncobj(c.file, false);
	caller_start(&caller, 6, line, 2, out);
	CHECK(!comes_soon(out));
	caller.op[5] = client_op(DRM_XE_VM_BIND_OP_MAP, bo, 0, SZ_1G, SZ_64K);
	cork_out(&cork[0]);
	cork_out(&cork[1]);
	port_thread_join(caller.thread);
	CHECK_ERR(caller.ret, -ENOBUFS);
	/* Four were read together, the fifth with the new one. Threads may be slow to start. */
	CHECK(mapped() == 2 || (!test_is_sim() && mapped() == 6));
	CHECK_ERR(client_syncobj_wait(c.file, out, 0), -EINVAL); /* nothing was signalled */
	client_fini(&c);
}

/* A client with newer headers than ours sends more than we know. */
static void test_A24_a_longer_request_needs_no_memory(void)
{
	struct {
		struct drm_xe_vm_bind known;
		char more[400];
	} args = { .known = { .num_binds = 1 } };
	uint32_t cmd = (DRM_IOCTL_XE_VM_BIND & ~(0x3fffu << 16)) | (uint32_t)sizeof(args) << 16;

	setup();
	CHECK_OK(BIND(.flags = 0));
	args.known.vm_id = vm;
	args.known.bind = client_op(DRM_XE_VM_BIND_OP_UNMAP, 0, 0, A, SZ_64K);
	port_fault_set(PORT_FAULT_ALLOC, 1, false);
	CHECK_OK(client_ioctl(c.file, cmd, &args));
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	CHECK_EQ(mapped(), 0);
	client_fini(&c);
}

static void client_memory_must_be_there(void)
{
	void *mine = mmap(NULL, SZ_64K, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(mine != MAP_FAILED);
	setup();
	CHECK_OK(BIND(.op = 2, .obj = 0, .userptr = PTR(mine)));
	CHECK_ERR(BIND(.op = 2, .obj = 0, .userptr = PTR(mine) + 8), -EINVAL);
	CHECK_OK(BIND(.op = 1, .obj = 0));
	munmap(mine, SZ_64K);
	CHECK_ERR(BIND(.op = 2, .obj = 0, .userptr = PTR(mine)), -EFAULT);
	CHECK_ERR(BIND(.op = 2, .obj = 0, .userptr = SZ_4K), -EFAULT);
	client_fini(&c);
}

static void destroyed_spaces_are_gone(void)
{
	setup();
	CHECK_OK(BIND(.flags = 0));
	CHECK_OK(client_vm_destroy(&c, vm));
	CHECK_ERR(BIND(.flags = 0), -EINVAL); /* the number means nothing any more */
	client_fini(&c);
}

static const struct test_case cases[] = {
	TEST(the_request_is_checked_first),
	TEST(operations_are_checked_by_themselves),
	TEST(ranges_do_not_wrap),
	TEST(objects_set_conditions),
	TEST(queues_are_of_the_address_space),
	TEST(syncs_are_checked_one_by_one),
	TEST(long_running_spaces_signal_user_fences_only),
	TEST(every_kind_of_sync_follows_the_bind),
	TEST(no_binds_signal_after_the_last),
	TEST(a_bind_waits_and_holds_back_its_queue_only),
	TEST(a_long_list_does_not_wait),
	TEST(an_object_lives_until_its_unmap),
	TEST(an_injected_error_unwinds_the_list),
	TEST(a_pending_user_fence_is_busy),
	TEST(test_A24_without_memory_an_unmap_waits_first),
	TEST(waiting_without_memory_can_be_interrupted),
	TEST(a_list_that_changes_is_told_so),
	TEST(test_A24_a_longer_request_needs_no_memory),
	TEST(client_memory_must_be_there),
	TEST(destroyed_spaces_are_gone),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
