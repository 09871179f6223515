// SPDX-License-Identifier: MIT
/* Queues, EXEC and WAIT_USER_FENCE: checks in their order, results, bans, what close ends. */
#include "client.h"

#define A      UINT64_C(0x100000)
#define DATA   UINT64_C(0x8000) /* where batches store, behind A */
#define MS     INT64_C(1000000)

static struct client c;
static uint32_t vm, bo;
static uint32_t *cpu;

static void setup(void)
{
	client_init(&c, "bmg");
	vm = client_vm(&c, 0);
	bo = client_bo(&c, vm, SZ_64K);
	cpu = client_cpu(&c, c.file, bo, SZ_64K);
	CHECK_OK(client_map(&c, vm, bo, 0, A, SZ_64K));
}

/* ---- queues ---------------------------------------------------------------------------------- */

static struct drm_xe_engine_class_instance eci[12];

static int create(struct drm_xe_exec_queue_create args)
{
	int ret = IOCTL(c.file, XE_EXEC_QUEUE_CREATE, &args);

	if (ret == 0) {
		CHECK_OK(client_queue_destroy(c.file, args.exec_queue_id));
	}
	return ret;
}

/* A good request on eci[0], changed in one place per check. */
#define CREATE(...)                                                                                \
	create((struct drm_xe_exec_queue_create){ .width = 1, .num_placements = 1, .vm_id = vm,    \
						  .instances = PTR(eci), __VA_ARGS__ })
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winitializer-overrides"
#endif

static void engines_set(unsigned i, uint16_t class, uint16_t instance)
{
	eci[i] = (struct drm_xe_engine_class_instance){ class, instance, 0, 0 };
}

static void queue_create_checks_in_order(void)
{
	uint32_t other;

	setup();
	engines_set(0, 0, 0);
	CHECK_OK(CREATE(.flags = 0));
	CHECK_OK(CREATE(.flags = 1)); /* low latency */
	CHECK_ERR(CREATE(.flags = 2), -EINVAL);
	CHECK_ERR(CREATE(.reserved = { 1 }), -EINVAL);
	CHECK_ERR(CREATE(.reserved = { 0, 1 }), -EINVAL);
	CHECK_ERR(CREATE(.width = 0), -EINVAL);
	CHECK_ERR(CREATE(.num_placements = 0), -EINVAL);
	CHECK_ERR(CREATE(.num_placements = 10), -EINVAL);
	CHECK_ERR(CREATE(.width = UINT16_MAX, .num_placements = UINT16_MAX), -EINVAL);
	CHECK_ERR(CREATE(.instances = CLIENT_BAD), -EFAULT);
	eci[0].gt_id = 1;
	CHECK_ERR(CREATE(.vm_id = 99), -EINVAL);
	engines_set(0, 0, 1);
	CHECK_ERR(CREATE(.vm_id = 99), -EINVAL);
	engines_set(0, 6, 0);
	CHECK_ERR(CREATE(.vm_id = 99), -EINVAL);
	engines_set(0, 0, 0);
	CHECK_ERR(CREATE(.vm_id = 99), -ENOENT);
	engines_set(0, 5, 1); /* a bind queue has no instances */
	CHECK_ERR(CREATE(.vm_id = 99), -EINVAL);
	engines_set(0, 5, 0);
	CHECK_ERR(CREATE(.num_placements = 2), -EINVAL);
	CHECK_ERR(CREATE(.width = 2), -EINVAL);
	CHECK_ERR(CREATE(.vm_id = 99), -ENOENT);
	CHECK_OK(CREATE(.flags = 0));
	other = client_vm(&c, 0);
	CHECK_OK(client_vm_destroy(&c, other));
	CHECK_ERR(CREATE(.vm_id = other), -ENOENT);
	/* Extensions are read last. */
	CHECK_ERR(CREATE(.vm_id = 99, .extensions = CLIENT_BAD), -ENOENT);
	engines_set(0, 0, 1);
	CHECK_ERR(CREATE(.extensions = CLIENT_BAD), -EINVAL);
	client_fini(&c);
}

static void placements_are_of_one_class_and_neighbours(void)
{
	setup();
	engines_set(0, 2, 0);
	engines_set(1, 2, 1);
	CHECK_OK(CREATE(.num_placements = 2)); /* virtual */
	CHECK_OK(CREATE(.width = 2));          /* parallel */
	engines_set(2, 2, 0);
	engines_set(3, 2, 1);
	CHECK_OK(CREATE(.width = 2, .num_placements = 2)); /* one row per placement */
	engines_set(1, 4, 1);
	CHECK_ERR(CREATE(.num_placements = 2), -EINVAL);
	CHECK_ERR(CREATE(.width = 2), -EINVAL);
	engines_set(0, 2, 1);
	engines_set(1, 2, 0);
	CHECK_ERR(CREATE(.width = 2), -EINVAL); /* the wrong way round */
	CHECK_OK(CREATE(.num_placements = 2));
	engines_set(1, 2, 1);
	CHECK_ERR(CREATE(.width = 2), -EINVAL); /* twice the same */
	engines_set(0, 2, 0);
	eci[1].gt_id = 1;
	CHECK_ERR(CREATE(.num_placements = 2), -EINVAL);
	client_fini(&c);
}

static void destroy_and_ban_property_check(void)
{
	struct drm_xe_exec_queue_get_property get = { 0 };
	struct drm_xe_exec_queue_destroy destroy;
	struct uapi_file *other;
	uint32_t queue;

	setup();
	other = client_open(&c, true);
	queue = client_queue(&c, vm, 0);
	destroy = (struct drm_xe_exec_queue_destroy){ .exec_queue_id = queue, .pad = 1 };
	CHECK_ERR(IOCTL(c.file, XE_EXEC_QUEUE_DESTROY, &destroy), -EINVAL);
	destroy = (struct drm_xe_exec_queue_destroy){ queue, 0, { 0, 1 } };
	CHECK_ERR(IOCTL(c.file, XE_EXEC_QUEUE_DESTROY, &destroy), -EINVAL);
	CHECK_ERR(client_queue_destroy(c.file, 0xffff), -ENOENT);
	CHECK_ERR(client_queue_destroy(other, queue), -ENOENT);
	get.exec_queue_id = 99;
	get.reserved[0] = 1;
	CHECK_ERR(IOCTL(c.file, XE_EXEC_QUEUE_GET_PROPERTY, &get), -EINVAL);
	get.reserved[0] = 0;
	CHECK_ERR(IOCTL(c.file, XE_EXEC_QUEUE_GET_PROPERTY, &get), -ENOENT);
	get.exec_queue_id = queue;
	get.property = 1;
	CHECK_ERR(IOCTL(c.file, XE_EXEC_QUEUE_GET_PROPERTY, &get), -EINVAL);
	get.property = 0;
	get.value = 9;
	CHECK_OK(IOCTL(c.file, XE_EXEC_QUEUE_GET_PROPERTY, &get));
	CHECK_EQ(get.value, 0);
	CHECK_OK(client_queue_destroy(c.file, queue));
	CHECK_ERR(client_queue_destroy(c.file, queue), -ENOENT);
	uapi_close(other);
	client_fini(&c);
}

static int with_property(uint32_t property, uint64_t value)
{
	struct drm_xe_ext_set_property ext = { .property = property, .value = value };

	return CREATE(.extensions = PTR(&ext));
}

static void extensions_set_properties(void)
{
	struct drm_xe_ext_set_property ext[17];

	setup();
	engines_set(0, 0, 0);
	CHECK_ERR(CREATE(.extensions = CLIENT_BAD), -EFAULT);
	CHECK_OK(with_property(0, DRM_XE_EXEC_QUEUE_PRIORITY_LOW));
	CHECK_OK(with_property(0, DRM_XE_EXEC_QUEUE_PRIORITY_NORMAL));
	CHECK_ERR(with_property(0, DRM_XE_EXEC_QUEUE_PRIORITY_HIGH),
		  port_client_may_raise_priority() ? 0 : -EPERM);
	CHECK_ERR(with_property(0, 3), -EINVAL);
	CHECK_ERR(with_property(0, UINT64_MAX), -EINVAL);
	CHECK_OK(with_property(1, 1000));
	CHECK_ERR(with_property(1, 0), -EINVAL);
	CHECK_ERR(with_property(1, 10000001), -EINVAL);
	CHECK_OK(with_property(2, 0)); /* protected content: none */
	CHECK_ERR(with_property(2, 1), -ENODEV);
	CHECK_ERR(with_property(2, 2), -EINVAL);
	CHECK_ERR(with_property(3, 0), -EINVAL);
	CHECK_ERR(with_property(UINT32_MAX, 0), -EINVAL);
	for (unsigned i = 0; i < 17; i++) {
		ext[i] = (struct drm_xe_ext_set_property){ .property = 1, .value = 100 };
		ext[i].base.next_extension = i < 16 ? PTR(&ext[i + 1]) : 0;
	}
	CHECK_ERR(CREATE(.extensions = PTR(&ext[0])), -E2BIG);
	CHECK_OK(CREATE(.extensions = PTR(&ext[1])));
	ext[15].base.next_extension = PTR(&ext[1]); /* a ring */
	CHECK_ERR(CREATE(.extensions = PTR(&ext[1])), -E2BIG);
	ext[1].base.next_extension = CLIENT_BAD;
	CHECK_ERR(CREATE(.extensions = PTR(&ext[1])), -EFAULT);
	ext[1] = (struct drm_xe_ext_set_property){ .property = 1, .value = 100, .pad = 1 };
	CHECK_ERR(CREATE(.extensions = PTR(&ext[1])), -EINVAL);
	ext[1] = (struct drm_xe_ext_set_property){ .base = { .name = 1 } };
	CHECK_ERR(CREATE(.extensions = PTR(&ext[1])), -EINVAL);
	ext[1] = (struct drm_xe_ext_set_property){ .base = { .pad = 1 } };
	CHECK_ERR(CREATE(.extensions = PTR(&ext[1])), -EINVAL);
	client_fini(&c);
}

/* ---- exec ------------------------------------------------------------------------------------ */

static int exec(struct drm_xe_exec args)
{
	return IOCTL(c.file, XE_EXEC, &args);
}

#define EXEC(...)                                                                                  \
	exec((struct drm_xe_exec){ .exec_queue_id = queue, .address = A, .num_batch_buffer = 1,    \
				   __VA_ARGS__ })

static void exec_checks_in_order(void)
{
	struct drm_xe_sync bad = client_signal(99), two[2];
	uint64_t fence = 0;
	uint32_t queue, binds, wide;
	struct drm_xe_exec_queue_create create_wide = { .width = 2, .num_placements = 1 };

	setup();
	client_batch_store(cpu, A + DATA, 1);
	queue = client_queue(&c, vm, 0);
	binds = client_bind_queue(&c, vm);
	CHECK_ERR(EXEC(.exec_queue_id = 99, .extensions = 1), -EINVAL);
	CHECK_ERR(EXEC(.exec_queue_id = 99, .pad = { 1 }), -EINVAL);
	CHECK_ERR(EXEC(.exec_queue_id = 99, .pad = { 0, 0, 1 }), -EINVAL);
	CHECK_ERR(EXEC(.exec_queue_id = 99, .reserved = { 0, 1 }), -EINVAL);
	CHECK_ERR(EXEC(.exec_queue_id = 99, .num_syncs = 1025), -EINVAL);
	CHECK_ERR(EXEC(.exec_queue_id = 99), -ENOENT);
	CHECK_ERR(EXEC(.exec_queue_id = binds), -EINVAL);
	CHECK_ERR(EXEC(.num_batch_buffer = 2, .num_syncs = 1, .syncs = PTR(&bad)), -EINVAL);
	CHECK_ERR(EXEC(.num_syncs = 1, .syncs = PTR(&bad)), -ENOENT);
	CHECK_ERR(EXEC(.num_syncs = 1, .syncs = CLIENT_BAD), -EFAULT);
	two[0] = two[1] = client_signal_user(&fence, 1);
	CHECK_ERR(EXEC(.num_syncs = 2, .syncs = PTR(two)), -EINVAL);
	two[0].addr += 4;
	CHECK_ERR(EXEC(.num_syncs = 1, .syncs = PTR(two)), -EINVAL);
	CHECK_ERR(EXEC(.num_syncs = 1, .syncs = PTR(&two[1]), .num_batch_buffer = 0),
		  -EOPNOTSUPP);
	engines_set(0, 2, 0);
	engines_set(1, 2, 1);
	create_wide.vm_id = vm;
	create_wide.instances = PTR(eci);
	CHECK_OK(IOCTL(c.file, XE_EXEC_QUEUE_CREATE, &create_wide));
	wide = create_wide.exec_queue_id;
	CHECK_ERR(EXEC(.exec_queue_id = wide), -EINVAL);
	CHECK_ERR(EXEC(.exec_queue_id = wide, .num_batch_buffer = 2, .address = CLIENT_BAD,
		       .num_syncs = 1, .syncs = PTR(&bad)), -ENOENT);
	CHECK_ERR(EXEC(.exec_queue_id = wide, .num_batch_buffer = 2, .address = CLIENT_BAD),
		  -EFAULT);
	client_fini(&c);
}

static void wait_idle(uint32_t queue)
{
	uint32_t so = client_syncobj(c.file, false);
	struct drm_xe_sync sync = client_signal(so);

	CHECK_OK(EXEC(.num_batch_buffer = 0, .num_syncs = 1, .syncs = PTR(&sync)));
	CHECK_OK(client_syncobj_wait(c.file, so, INT64_MAX));
	CHECK_OK(client_syncobj_destroy(c.file, so));
}

static void batches_run_at_either_form_of_address(void)
{
	const uint64_t high = UINT64_C(0xeffeffff0000);
	uint32_t queue;

	setup();
	queue = client_queue(&c, vm, 0);
	client_batch_store(cpu, A + DATA, 0xc0ffee);
	CHECK_OK(EXEC(.address = A));
	wait_idle(queue);
	CHECK_EQ(cpu[DATA / 4], 0xc0ffee);
	CHECK_OK(client_map(&c, vm, bo, 0, high, SZ_64K));
	client_batch_store(cpu, high + DATA, 1);
	CHECK_OK(EXEC(.address = high));
	wait_idle(queue);
	CHECK_EQ(cpu[DATA / 4], 1);
	client_batch_store(cpu, (high | UINT64_C(0xffff) << 48) + DATA, 2);
	CHECK_OK(EXEC(.address = high | UINT64_C(0xffff) << 48));
	wait_idle(queue);
	CHECK_EQ(cpu[DATA / 4], 2);
	client_fini(&c);
}

static void wide_queues_run_side_by_side(void)
{
	struct drm_xe_exec_queue_create args = { .width = 2, .num_placements = 1 };
	uint64_t batches[2] = { A, A + 0x1000 };
	uint32_t queue;

	setup();
	engines_set(0, 4, 0);
	engines_set(1, 4, 1);
	args.vm_id = vm;
	args.instances = PTR(eci);
	CHECK_OK(IOCTL(c.file, XE_EXEC_QUEUE_CREATE, &args));
	queue = args.exec_queue_id;
	client_batch_store(cpu, A + DATA, 11);
	client_batch_store(cpu + 0x1000 / 4, A + DATA + 4, 22);
	CHECK_OK(EXEC(.address = PTR(batches), .num_batch_buffer = 2));
	wait_idle(queue);
	CHECK_EQ(cpu[DATA / 4], 11);
	CHECK_EQ(cpu[DATA / 4 + 1], 22);
	client_fini(&c);
}

static void syncs_of_an_exec(void)
{
	struct drm_xe_sync syncs[3];
	uint32_t queue, out, line;
	volatile uint64_t *fence;

	setup();
	queue = client_queue(&c, vm, 0);
	out = client_syncobj(c.file, false);
	line = client_syncobj(c.file, false);
	fence = (volatile uint64_t *)(void *)cpu + 1000;
	client_batch_store(cpu, A + DATA, 5);
	syncs[0] = client_signal(out);
	syncs[1] = client_signal_point(line, 7);
	syncs[2] = client_signal_user((void *)(uintptr_t)(A + 8000), 0xfeed); /* a GPU address */
	CHECK_OK(client_exec(c.file, queue, A, syncs, 3));
	CHECK_OK(client_syncobj_wait(c.file, out, INT64_MAX));
	CHECK_OK(client_point_wait(c.file, line, 7, 0, INT64_MAX));
	CHECK_EQ(*fence, 0xfeed);
	/* What was signalled is a fine in-fence. */
	syncs[0].flags = 0;
	syncs[1] = client_signal_point(line, 8);
	CHECK_OK(client_exec(c.file, queue, A, syncs, 2));
	CHECK_OK(client_point_wait(c.file, line, 8, 0, INT64_MAX));
	client_fini(&c);
}

/* Without a batch the out-syncs follow what was submitted last. */
static void no_batch_signals_after_the_last(void)
{
	struct drm_xe_sync syncs[2];
	uint32_t queue, other, out, lr;

	setup();
	queue = client_queue(&c, vm, 0);
	other = client_queue(&c, vm, 1);
	out = client_syncobj(c.file, false);
	syncs[0] = client_signal(out);
	CHECK_OK(EXEC(.num_batch_buffer = 0, .num_syncs = 1, .syncs = PTR(syncs)));
	CHECK_OK(client_syncobj_wait(c.file, out, 0)); /* nothing was */
	cpu[64] = 1;
	client_batch_spin(cpu, A, A + 256);
	CHECK_OK(EXEC(.address = A));
	CHECK_OK(EXEC(.num_batch_buffer = 0, .num_syncs = 1, .syncs = PTR(syncs)));
	CHECK_ERR(client_syncobj_wait(c.file, out, (int64_t)port_now_ns() + MS), -ETIME);
	CHECK_OK(EXEC(.num_batch_buffer = 0)); /* with nobody to tell */
	/* In-fences are not to be had, and are looked for after all else. */
	syncs[0] = client_wait_for(out);
	syncs[1] = client_signal(99);
	CHECK_ERR(EXEC(.num_batch_buffer = 0, .num_syncs = 1, .syncs = PTR(syncs)), -EOPNOTSUPP);
	CHECK_ERR(EXEC(.num_batch_buffer = 0, .num_syncs = 2, .syncs = PTR(syncs)), -ENOENT);
	CHECK_ERR(EXEC(.exec_queue_id = other, .num_batch_buffer = 0, .num_syncs = 1,
		       .syncs = PTR(syncs)), -EOPNOTSUPP);
	__atomic_store_n(&cpu[64], 0, __ATOMIC_RELEASE);
	CHECK_OK(client_syncobj_wait(c.file, out, INT64_MAX));
	/* Long-running: nothing to signal, so nothing to do. */
	lr = client_vm(&c, DRM_XE_VM_CREATE_FLAG_LR_MODE);
	queue = client_queue(&c, lr, 0);
	CHECK_OK(EXEC(.num_batch_buffer = 0, .num_syncs = 1, .syncs = PTR(syncs)));
	CHECK_OK(client_vm_destroy(&c, lr));
	CHECK_ERR(EXEC(.num_batch_buffer = 0), -ECANCELED);
	client_fini(&c);
}

/* Before the syncs are looked at, and also when nothing is to be run. */
static void a_full_queue_says_so_first(void)
{
	struct drm_xe_sync bad = client_signal(99), sync;
	uint32_t queue, other, binds, so;

	setup();
	queue = client_queue(&c, vm, 0);
	binds = client_bind_queue(&c, vm);
	so = client_syncobj(c.file, false);
	sync = client_signal(so);
	cpu[64] = 1;
	client_batch_spin(cpu, A, A + 256);
	for (unsigned i = 0; i < 1000; i++) {
		CHECK_OK(client_exec(c.file, queue, A, &sync, 1));
	}
	CHECK_ERR(EXEC(.num_syncs = 1, .syncs = PTR(&bad)), -EAGAIN);
	CHECK_ERR(EXEC(.num_batch_buffer = 0), -EAGAIN);
	CHECK_ERR(EXEC(.num_batch_buffer = 2), -EINVAL);
	CHECK_ERR(EXEC(.exec_queue_id = binds), -EINVAL);
	other = client_queue(&c, vm, 0);
	CHECK_ERR(EXEC(.exec_queue_id = other, .num_syncs = 1, .syncs = PTR(&bad)), -ENOENT);
	__atomic_store_n(&cpu[64], 0, __ATOMIC_RELEASE);
	CHECK_OK(client_syncobj_wait(c.file, so, INT64_MAX));
	CHECK_OK(EXEC(.num_batch_buffer = 0));
	client_fini(&c);
}

static uint64_t ban(uint32_t queue)
{
	struct drm_xe_exec_queue_get_property args = { .exec_queue_id = queue };

	CHECK_OK(IOCTL(c.file, XE_EXEC_QUEUE_GET_PROPERTY, &args));
	return args.value;
}

static void a_fault_bans(void)
{
	uint64_t fence = 0;
	struct drm_xe_wait_user_fence wait = { .addr = PTR(&fence), .value = 1,
					       .mask = UINT64_MAX, .timeout = -1 };
	uint32_t queue;

	setup();
	queue = client_queue(&c, vm, DRM_XE_ENGINE_CLASS_COPY);
	wait.exec_queue_id = queue;
	CHECK_OK(EXEC(.address = SZ_1G)); /* nothing is there */
	CHECK_ERR(IOCTL(c.file, XE_WAIT_USER_FENCE, &wait), -EIO);
	CHECK_EQ(wait.timeout, -1); /* for ever stays for ever */
	CHECK_EQ(ban(queue), 1);
	CHECK_ERR(EXEC(.address = A), -ECANCELED);
	CHECK_ERR(EXEC(.num_batch_buffer = 0), -ECANCELED);
	CHECK_ERR(EXEC(.num_batch_buffer = 2), -EINVAL);
	CHECK_ERR(EXEC(.num_syncs = 1, .syncs = CLIENT_BAD), -ECANCELED);
	CHECK_OK(client_queue_destroy(c.file, queue));
	client_fini(&c);
}

static int faults(struct drm_xe_vm_get_property *args)
{
	args->vm_id = vm;
	return IOCTL(c.file, XE_VM_GET_PROPERTY, args);
}

static void faults_are_remembered(void)
{
	struct drm_xe_vm_get_property args = { 0 };
	struct xe_vm_fault fault[2] = { 0 };

	setup();
	for (unsigned i = 0; i < 2; i++) {
		uint32_t queue = client_queue(&c, vm, DRM_XE_ENGINE_CLASS_COPY);
		uint32_t so = client_syncobj(c.file, false);
		struct drm_xe_sync sync = client_signal(so);

		/* Nothing is there. */
		CHECK_OK(client_exec(c.file, queue, SZ_1G + 0x48 + i * SZ_4K, &sync, 1));
		CHECK_OK(client_syncobj_wait(c.file, so, INT64_MAX));
		CHECK_OK(client_queue_destroy(c.file, queue));
	}
	CHECK_OK(faults(&args));
	CHECK_EQ(args.size, sizeof(fault));
	args.data = PTR(fault);
	args.size = sizeof(fault) - 1;
	CHECK_ERR(faults(&args), -EINVAL);
	args.size = 3 * sizeof(*fault);
	CHECK_ERR(faults(&args), -EINVAL);
	args.size = sizeof(*fault);
	CHECK_OK(faults(&args));
	CHECK_EQ(fault[0].address, SZ_1G);
	CHECK_EQ(fault[1].address, 0);
	args.size = sizeof(fault);
	CHECK_OK(faults(&args));
	CHECK_EQ(fault[1].address, SZ_1G + SZ_4K);
	CHECK_EQ(fault[1].address_precision, SZ_4K);
	CHECK_EQ(fault[1].access_type, 0);
	CHECK_EQ(fault[1].fault_type, 0);
	args.data = 8;
	CHECK_ERR(faults(&args), -EFAULT);
	client_fini(&c);
}

/* What the GPU stores where the CPU does not reach, the GPU reads there. */
static void hidden_memory_is_the_gpus(void)
{
	const uint64_t hidden = A + SZ_2M;
	struct uapi_config config = client_config("bmg");
	struct drm_xe_sync sync;
	uint32_t queue, other, so;

	config.vram_visible_B = 16 << 20;
	client_init_as(&c, &config);
	vm = client_vm(&c, 0);
	CHECK_OK(client_gem_create(c.file, vm, SZ_64K, 2,
				   DRM_XE_GEM_CREATE_FLAG_NEEDS_VISIBLE_VRAM, &bo));
	cpu = client_cpu(&c, c.file, bo, SZ_64K);
	CHECK_OK(client_map(&c, vm, bo, 0, A, SZ_64K));
	CHECK_OK(client_map(&c, vm, client_bo(&c, vm, SZ_64K), 0, hidden, SZ_64K));
	client_batch_store(cpu, hidden, 1);
	client_batch_spin(cpu + 0x1000 / 4, A + 0x1000, hidden);
	client_batch_store(cpu + 0x2000 / 4, hidden, 0);
	queue = client_queue(&c, vm, 0);
	other = client_queue(&c, vm, 1);
	so = client_syncobj(c.file, false);
	sync = client_signal(so);
	CHECK_OK(client_exec(c.file, queue, A, NULL, 0));
	CHECK_OK(client_exec(c.file, queue, A + 0x1000, &sync, 1));
	CHECK_ERR(client_syncobj_wait(c.file, so, (int64_t)port_now_ns() + MS), -ETIME);
	CHECK_OK(client_exec(c.file, other, A + 0x2000, NULL, 0));
	CHECK_OK(client_syncobj_wait(c.file, so, INT64_MAX));
	CHECK_EQ(ban(queue), 0);
	client_fini(&c);
}

static void destroying_ends_what_runs(void)
{
	struct drm_xe_sync sync;
	uint32_t queue, so;

	setup();
	so = client_syncobj(c.file, false);
	sync = client_signal(so);
	cpu[64] = 1;
	client_batch_spin(cpu, A, A + 256);
	queue = client_queue(&c, vm, 0);
	CHECK_OK(client_exec(c.file, queue, A, &sync, 1));
	CHECK_ERR(client_syncobj_wait(c.file, so, (int64_t)port_now_ns() + MS), -ETIME);
	CHECK_OK(client_queue_destroy(c.file, queue));
	CHECK_OK(client_syncobj_wait(c.file, so, INT64_MAX));
	/* The address space ends its queues. */
	queue = client_queue(&c, vm, 0);
	CHECK_OK(client_syncobj_reset(c.file, so));
	CHECK_OK(client_exec(c.file, queue, A, &sync, 1));
	CHECK_OK(client_vm_destroy(&c, vm));
	CHECK_OK(client_syncobj_wait(c.file, so, INT64_MAX));
	CHECK_ERR(EXEC(.address = A), -ECANCELED);
	CHECK_EQ(ban(queue), 1);
	client_fini(&c);
}

static void closing_a_file_ends_everything(void)
{
	struct uapi_file *first;
	struct drm_syncobj_handle args = { 0 };
	struct drm_xe_sync sync;
	uint32_t queue, so;

	setup();
	so = client_syncobj(c.file, false);
	sync = client_signal(so);
	args.handle = so;
	CHECK_OK(IOCTL(c.file, SYNCOBJ_HANDLE_TO_FD, &args));
	cpu[64] = 1;
	client_batch_spin(cpu, A, A + 256);
	queue = client_queue(&c, vm, 0);
	CHECK_OK(client_exec(c.file, queue, A, &sync, 1));
	first = c.file;
	c.file = client_open(&c, true);
	uapi_close(first); /* with a job that would never end */
	args.handle = 0;
	CHECK_OK(IOCTL(c.file, SYNCOBJ_FD_TO_HANDLE, &args));
	CHECK_OK(client_syncobj_wait(c.file, args.handle, INT64_MAX));
	client_fini(&c);
}

static int eventfd(struct uapi_file *file, uint32_t handle, int fd, uint32_t flags)
{
	struct drm_syncobj_eventfd args = { .handle = handle, .fd = fd, .flags = flags };

	return IOCTL(file, SYNCOBJ_EVENTFD, &args);
}

static unsigned signals(unsigned i)
{
	struct port_wq wq;

	/* Workers signal: give them time. */
	port_wq_init(&wq);
	for (unsigned ms = 0; ms < 2000 && atomic_load(&c.host.eventfd[i].count) == 0; ms++) {
		port_wq_wait(&wq, port_wq_prepare(&wq), port_now_ns() + MS, 0);
	}
	return atomic_load(&c.host.eventfd[i].count);
}

static void eventfds_wait_for_the_job(void)
{
	struct drm_syncobj_handle args = { 0 };
	struct uapi_file *other;
	struct drm_xe_sync sync;
	uint32_t queue;

	setup();
	other = client_open(&c, true);
	args.handle = client_syncobj(c.file, false);
	sync = client_signal(args.handle);
	CHECK_OK(eventfd(c.file, args.handle, 0, 0));
	CHECK_OK(eventfd(c.file, args.handle, 1, DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE));
	CHECK_OK(IOCTL(c.file, SYNCOBJ_HANDLE_TO_FD, &args));
	CHECK_OK(IOCTL(other, SYNCOBJ_FD_TO_HANDLE, &args));
	CHECK_OK(eventfd(other, args.handle, 2, 0));
	cpu[64] = 1;
	client_batch_spin(cpu, A, A + 256);
	queue = client_queue(&c, vm, 0);
	CHECK_OK(client_exec(c.file, queue, A, &sync, 1));
	CHECK_EQ(signals(1), 1); /* there is a fence */
	CHECK_EQ(atomic_load(&c.host.eventfd[0].count), 0);
	uapi_close(other); /* while it waits for the fence */
	__atomic_store_n(&cpu[64], 0, __ATOMIC_RELEASE);
	wait_idle(queue);
	CHECK_EQ(signals(0), 1);
	CHECK_EQ(atomic_load(&c.host.eventfd[2].count), 0);
	client_fini(&c);
}

/* ---- user fences ----------------------------------------------------------------------------- */

static int wait_user(struct drm_xe_wait_user_fence args)
{
	return IOCTL(c.file, XE_WAIT_USER_FENCE, &args);
}

#define WAIT(...)                                                                                  \
	wait_user((struct drm_xe_wait_user_fence){ .addr = PTR(&memory), .value = 5,               \
						   .mask = UINT64_MAX, __VA_ARGS__ })

static void waits_compare(void)
{
	uint64_t memory = 5;

	setup();
	CHECK_OK(WAIT(.op = 0));
	CHECK_ERR(WAIT(.op = 0, .value = 6), -ETIME);
	CHECK_ERR(WAIT(.op = 1), -ETIME);
	CHECK_OK(WAIT(.op = 1, .value = 6));
	CHECK_OK(WAIT(.op = 2, .value = 4));
	CHECK_ERR(WAIT(.op = 2), -ETIME);
	CHECK_OK(WAIT(.op = 3));
	CHECK_ERR(WAIT(.op = 3, .value = 6), -ETIME);
	CHECK_OK(WAIT(.op = 4, .value = 6));
	CHECK_ERR(WAIT(.op = 4), -ETIME);
	CHECK_OK(WAIT(.op = 5));
	CHECK_ERR(WAIT(.op = 5, .value = 4), -ETIME);
	memory = UINT64_C(0xaa00000005);
	CHECK_OK(WAIT(.op = 0, .mask = UINT32_MAX));
	CHECK_OK(WAIT(.op = 0, .mask = UINT32_MAX, .value = UINT64_C(0xff00000005)));
	client_fini(&c);
}

static void waits_check_in_order(void)
{
	uint64_t memory = 5;

	setup();
	CHECK_ERR(WAIT(.extensions = 1), -EINVAL);
	CHECK_ERR(WAIT(.pad = 1), -EINVAL);
	CHECK_ERR(WAIT(.pad2 = 1), -EINVAL);
	CHECK_ERR(WAIT(.reserved = { 0, 1 }), -EINVAL);
	CHECK_ERR(WAIT(.flags = 2), -EINVAL);
	CHECK_ERR(WAIT(.flags = UINT16_MAX), -EINVAL);
	CHECK_ERR(WAIT(.op = 6), -EINVAL);
	CHECK_ERR(WAIT(.op = UINT16_MAX), -EINVAL);
	CHECK_ERR(WAIT(.addr = PTR(&memory) + 4, .exec_queue_id = 99), -EINVAL);
	CHECK_ERR(WAIT(.addr = CLIENT_BAD, .exec_queue_id = 99), -ENOENT);
	CHECK_ERR(WAIT(.addr = CLIENT_BAD), -EFAULT);
	client_fini(&c);
}

static void timeouts_are_relative_or_absolute(void)
{
	uint64_t memory = 0;
	int64_t start;
	struct drm_xe_wait_user_fence args = { .addr = PTR(&memory), .value = 1,
					       .mask = UINT64_MAX, .timeout = 5 * MS };

	setup();
	start = (int64_t)port_now_ns();
	CHECK_ERR(IOCTL(c.file, XE_WAIT_USER_FENCE, &args), -ETIME);
	CHECK((int64_t)port_now_ns() - start >= 5 * MS);
	CHECK_EQ(args.timeout, 0);
	args.flags = DRM_XE_UFENCE_WAIT_FLAG_ABSTIME;
	start = (int64_t)port_now_ns();
	args.timeout = start + 5 * MS;
	CHECK_ERR(IOCTL(c.file, XE_WAIT_USER_FENCE, &args), -ETIME);
	CHECK((int64_t)port_now_ns() - start >= 5 * MS);
	CHECK_EQ(args.timeout, start + 5 * MS); /* not written back */
	args.timeout = 1; /* long ago */
	CHECK_ERR(IOCTL(c.file, XE_WAIT_USER_FENCE, &args), -ETIME);
	memory = 1;
	args.flags = 0;
	args.timeout = INT64_MAX;
	CHECK_OK(IOCTL(c.file, XE_WAIT_USER_FENCE, &args));
	CHECK(args.timeout > INT64_MAX / 2);
	client_fini(&c);
}

static uint64_t plain_memory;

static void store_later(void *arg)
{
	struct port_wq wq;
	uint64_t until = port_now_ns() + 3 * MS;

	port_wq_init(&wq);
	while (port_now_ns() < until) {
		port_wq_wait(&wq, port_wq_prepare(&wq), until, 0);
	}
	__atomic_store_n(&plain_memory, 5, __ATOMIC_RELEASE);
}

static void any_store_ends_a_wait(void)
{
	struct drm_xe_wait_user_fence args = { .addr = PTR(&plain_memory), .value = 5,
					       .mask = UINT64_MAX, .timeout = -1 };
	struct port_thread *thread;

	setup();
	plain_memory = 0;
	CHECK_OK(port_thread_create(&thread, "store", store_later, NULL));
	CHECK_OK(IOCTL(c.file, XE_WAIT_USER_FENCE, &args));
	port_thread_join(thread);
	client_fini(&c);
}

static const struct test_case cases[] = {
	TEST(queue_create_checks_in_order),
	TEST(placements_are_of_one_class_and_neighbours),
	TEST(destroy_and_ban_property_check),
	TEST(extensions_set_properties),
	TEST(exec_checks_in_order),
	TEST(batches_run_at_either_form_of_address),
	TEST(wide_queues_run_side_by_side),
	TEST(syncs_of_an_exec),
	TEST(no_batch_signals_after_the_last),
	TEST(a_full_queue_says_so_first),
	TEST(a_fault_bans),
	TEST(faults_are_remembered),
	TEST(hidden_memory_is_the_gpus),
	TEST(destroying_ends_what_runs),
	TEST(closing_a_file_ends_everything),
	TEST(eventfds_wait_for_the_job),
	TEST(waits_compare),
	TEST(waits_check_in_order),
	TEST(timeouts_are_relative_or_absolute),
	TEST(any_store_ends_a_wait),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
