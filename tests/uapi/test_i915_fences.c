// SPDX-License-Identifier: MIT
/*
 * Fences of i915: out fences of binds, fences of submissions, and who sees what of an object: binds
 * and submissions are BOOKKEEP, which GEM_WAIT and GEM_BUSY do not look at.
 */
#include "i915_client.h"

#include <string.h>

#include "uapi/vmb_dma_buf.h"

#define WAIT   I915_TIMELINE_FENCE_WAIT
#define SIGNAL I915_TIMELINE_FENCE_SIGNAL
#define MS     INT64_C(1000000)

static struct i915_scene s;
static uint32_t so;

static void setup(void)
{
	i915_scene_init(&s, "dg2", 2);
	so = client_syncobj(s.c.file, false);
	(void)i915_store(&s, 0, I915_AT + 2048, 1);
}

static int bind_with(struct drm_i915_gem_timeline_fence fence, uint64_t start)
{
	struct drm_i915_gem_vm_bind args = {
		.vm_id = s.vm, .handle = s.bo, .start = start, .length = SZ_64K, .fence = fence,
	};

	return IOCTL(s.c.file, I915_GEM_VM_BIND, &args);
}

static int unbind_with(struct drm_i915_gem_timeline_fence fence, uint64_t start)
{
	struct drm_i915_gem_vm_unbind args = {
		.vm_id = s.vm, .start = start, .length = SZ_64K, .fence = fence,
	};

	return client_ioctl(s.c.file, DRM_IOCTL_I915_GEM_VM_UNBIND_56, &args);
}

static bool is_done(uint32_t syncobj)
{
	int ret = client_syncobj_wait(s.c.file, syncobj, 0);

	CHECK(ret == 0 || ret == -ETIME);
	return ret == 0;
}

static int exec_with(struct drm_i915_gem_timeline_fence fence)
{
	return i915_exec(&s.c, s.ctx, I915_AT, &fence, 1);
}

/* A timeline with point 5. */
static uint32_t timeline(void)
{
	uint32_t line = client_syncobj(s.c.file, false);

	CHECK_OK(client_point_signal(s.c.file, line, 5));
	return line;
}

/* ---- binds ----------------------------------------------------------------------------------- */

static void test_B02_out_fences_of_binds_and_unbinds(void)
{
	uint32_t line;

	setup();
	line = timeline();
	CHECK_OK(bind_with(i915_fence(so, 0, SIGNAL), SZ_1G));
	CHECK_OK(client_syncobj_wait(s.c.file, so, INT64_MAX));
	CHECK_OK(bind_with(i915_fence(line, 6, SIGNAL), SZ_1G + SZ_64K));
	CHECK_OK(client_point_wait(s.c.file, line, 6, 0, INT64_MAX));
	CHECK_OK(client_syncobj_reset(s.c.file, so));
	CHECK_OK(unbind_with(i915_fence(so, 0, SIGNAL), SZ_1G));
	CHECK_OK(client_syncobj_wait(s.c.file, so, INT64_MAX));
	CHECK_OK(unbind_with(i915_fence(line, 7, SIGNAL), SZ_1G + SZ_64K));
	CHECK_OK(client_point_wait(s.c.file, line, 7, 0, INT64_MAX));
	CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), 1);
	i915_scene_fini(&s);
}

static void test_B30_a_bind_has_no_in_fence(void)
{
	setup();
	CHECK_OK(client_syncobj_signal(s.c.file, so));
	CHECK_ERR(bind_with(i915_fence(so, 0, WAIT), SZ_1G), -EINVAL);
	CHECK_ERR(bind_with(i915_fence(so, 0, WAIT | SIGNAL), SZ_1G), -EINVAL);
	CHECK_ERR(unbind_with(i915_fence(so, 0, WAIT), I915_AT), -EINVAL);
	CHECK_ERR(unbind_with(i915_fence(so, 0, WAIT | SIGNAL), I915_AT), -EINVAL);
	CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), 1);
	i915_scene_fini(&s);
}

static void test_B30_unknown_flags_of_a_fence(void)
{
	setup();
	for (unsigned bit = 2; bit < 32; bit++) {
		CHECK_ERR(bind_with(i915_fence(so, 0, 1u << bit), SZ_1G), -EINVAL);
		CHECK_ERR(bind_with(i915_fence(so, 0, 1u << bit | SIGNAL), SZ_1G), -EINVAL);
		CHECK_ERR(unbind_with(i915_fence(so, 0, 1u << bit), I915_AT), -EINVAL);
		CHECK_ERR(exec_with(i915_fence(so, 0, 1u << bit)), -EINVAL);
	}
	i915_scene_fini(&s);
}

static void test_B30_without_SIGNAL_nothing_else_is_looked_at(void)
{
	setup();
	CHECK_OK(bind_with(i915_fence(99, 77, 0), SZ_1G));
	CHECK_OK(unbind_with(i915_fence(99, 77, 0), SZ_1G));
	i915_scene_fini(&s);
}

static void test_B30_a_syncobj_that_is_not_there(void)
{
	setup();
	CHECK_ERR(bind_with(i915_fence(99, 0, SIGNAL), SZ_1G), -ENOENT);
	CHECK_ERR(unbind_with(i915_fence(0, 0, SIGNAL), I915_AT), -ENOENT);
	CHECK_OK(client_syncobj_destroy(s.c.file, so));
	CHECK_ERR(bind_with(i915_fence(so, 1, SIGNAL), SZ_1G), -ENOENT);
	CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), 1);
	i915_scene_fini(&s);
}

static void test_B30_value_0_of_a_timeline_is_EINVAL(void)
{
	uint32_t line;

	setup();
	line = timeline();
	CHECK_ERR(bind_with(i915_fence(line, 0, SIGNAL), SZ_1G), -EINVAL);
	CHECK_ERR(unbind_with(i915_fence(line, 0, SIGNAL), I915_AT), -EINVAL);
	CHECK_ERR(exec_with(i915_fence(line, 0, SIGNAL)), -EINVAL);
	CHECK_ERR(exec_with(i915_fence(line, 0, WAIT)), -EINVAL);
	CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), 1);
	CHECK_OK(client_point_wait(s.c.file, line, 5, 0, 0)); /* it is one still */
	/* Reset it is neither. */
	CHECK_OK(client_syncobj_reset(s.c.file, line));
	CHECK_OK(bind_with(i915_fence(line, 0, SIGNAL), SZ_1G));
	i915_scene_fini(&s);
}

static void test_B30_a_value_of_a_binary_syncobj_is_EINVAL(void)
{
	setup();
	CHECK_OK(client_syncobj_signal(s.c.file, so));
	CHECK_ERR(exec_with(i915_fence(so, 1, WAIT)), -EINVAL);
	CHECK_ERR(exec_with(i915_fence(so, 1, SIGNAL)), -EINVAL);
	CHECK_ERR(bind_with(i915_fence(so, 1, SIGNAL), SZ_1G), -EINVAL);
	CHECK_OK(exec_with(i915_fence(so, 0, WAIT)));
	i915_scene_fini(&s);
}

static unsigned binds_done;

static void count_done(struct event_reader *reader, const struct event *event)
{
	binds_done += event->type == EVENT_BIND_DONE;
}

/* With the schedule that leaves to workers what can be left. */
static void test_B30_without_an_out_fence_it_is_done_at_the_return(void)
{
	struct uapi_config config = i915_config("dg2", 2);
	struct event_reader reader = { .read = count_done };

	config.schedule = "lazy";
	i915_scene_init_as(&s, &config, 0);
	so = client_syncobj(s.c.file, false);
	event_attach(uapi_device_events(s.c.device), &reader);
	binds_done = 0;
	for (unsigned i = 0; i < 10; i++) {
		CHECK_OK(bind_with(i915_fence(0, 0, 0), SZ_1G));
		CHECK_EQ(binds_done, 2 * i + 1);
		CHECK_OK(unbind_with(i915_fence(0, 0, 0), SZ_1G));
		CHECK_EQ(binds_done, 2 * i + 2);
	}
	event_detach(uapi_device_events(s.c.device), &reader);
	/* With one it may be later. */
	CHECK_OK(bind_with(i915_fence(so, 0, SIGNAL), SZ_1G));
	CHECK_OK(client_syncobj_wait(s.c.file, so, INT64_MAX));
	i915_scene_fini(&s);
}

/* ---- submissions ----------------------------------------------------------------------------- */

static void out_fences_signal_at_the_end(void)
{
	struct drm_i915_gem_timeline_fence out[2];
	uint32_t line;

	setup();
	line = timeline();
	out[0] = i915_fence(so, 0, SIGNAL);
	out[1] = i915_fence(line, 6, SIGNAL);
	CHECK_OK(i915_exec(&s.c, s.ctx, i915_spin(&s, 0, 4096), out, 2));
	CHECK_ERR(client_syncobj_wait(s.c.file, so, (int64_t)port_now_ns() + MS), -ETIME);
	CHECK_ERR(client_point_wait(s.c.file, line, 6, 0, 0), -ETIME);
	i915_stop(&s, 4096);
	CHECK_OK(client_syncobj_wait(s.c.file, so, INT64_MAX));
	CHECK_OK(client_point_wait(s.c.file, line, 6, 0, INT64_MAX));
	i915_scene_fini(&s);
}

static void in_fences_are_waited_for(void)
{
	struct drm_i915_gem_timeline_fence fence[2];
	struct i915_gate gate;

	setup();
	gate = i915_gate(&s.c);
	fence[0] = i915_fence(gate.syncobj, 0, WAIT);
	fence[1] = i915_fence(so, 0, SIGNAL);
	CHECK_OK(i915_exec(&s.c, s.ctx, I915_AT, fence, 2));
	CHECK_ERR(client_syncobj_wait(s.c.file, so, (int64_t)port_now_ns() + MS), -ETIME);
	CHECK_EQ(__atomic_load_n(&s.cpu[512], __ATOMIC_ACQUIRE), 0);
	i915_gate_open(&gate);
	CHECK_OK(client_syncobj_wait(s.c.file, so, INT64_MAX));
	CHECK_EQ(s.cpu[512], 1);
	i915_scene_fini(&s);
}

static void points_of_a_timeline_are_waited_for(void)
{
	struct drm_i915_gem_timeline_fence first, second[2];
	uint32_t line;

	setup();
	line = timeline();
	first = i915_fence(line, 10, SIGNAL);
	CHECK_OK(i915_exec(&s.c, s.ctx, i915_spin(&s, 0, 4096), &first, 1));
	second[0] = i915_fence(line, 10, WAIT);
	second[1] = i915_fence(line, 11, SIGNAL);
	(void)i915_store(&s, 1024, I915_AT + 2048, 4);
	CHECK_OK(i915_exec(&s.c, i915_context(&s.c, s.vm, 0), I915_AT + 1024, second, 2));
	CHECK_ERR(client_point_wait(s.c.file, line, 11, 0, (int64_t)port_now_ns() + MS), -ETIME);
	i915_stop(&s, 4096);
	CHECK_OK(client_point_wait(s.c.file, line, 11, 0, INT64_MAX));
	CHECK_EQ(s.cpu[512], 4);
	i915_scene_fini(&s);
}

static void what_is_waited_for_is_there(void)
{
	setup();
	CHECK_ERR(exec_with(i915_fence(so, 0, WAIT)), -EINVAL);
	CHECK_ERR(exec_with(i915_fence(timeline(), 6, WAIT)), -EINVAL);
	CHECK_OK(exec_with(i915_fence(timeline(), 5, WAIT)));
	i915_scene_fini(&s);
}

static void one_entry_may_wait_and_signal(void)
{
	struct i915_gate gate;

	setup();
	gate = i915_gate(&s.c);
	CHECK_OK(exec_with(i915_fence(gate.syncobj, 0, WAIT | SIGNAL)));
	CHECK_EQ(is_done(gate.syncobj), false);
	i915_gate_open(&gate);
	CHECK_OK(client_syncobj_wait(s.c.file, gate.syncobj, INT64_MAX));
	CHECK_EQ(s.cpu[512], 1);
	/* But a point that waits for itself would never come. */
	CHECK_ERR(exec_with(i915_fence(timeline(), 5, WAIT | SIGNAL)), -EINVAL);
	i915_scene_fini(&s);
}

static void syncobjs_that_are_not_there(void)
{
	struct drm_i915_gem_timeline_fence fence[2] = { { 0 } };
	struct uapi_file *mine;
	uint32_t foreign;

	setup();
	CHECK_ERR(exec_with(i915_fence(99, 0, WAIT)), -ENOENT);
	CHECK_ERR(exec_with(i915_fence(0, 3, SIGNAL)), -ENOENT);
	mine = s.c.file;
	s.c.file = client_open(&s.c, true);
	do {
		foreign = client_syncobj(s.c.file, true);
	} while (foreign <= so); /* a number that this file does not have */
	uapi_close(s.c.file);
	s.c.file = mine;
	fence[0] = i915_fence(so, 0, SIGNAL);
	fence[1] = i915_fence(foreign, 0, WAIT);
	CHECK_ERR(i915_exec(&s.c, s.ctx, I915_AT, fence, 2), -ENOENT);
	CHECK_ERR(client_syncobj_wait(s.c.file, so, 0), -EINVAL); /* nothing was submitted */
	i915_scene_fini(&s);
}

static void a_list_of_fences_may_not_be_there(void)
{
	struct drm_i915_gem_execbuffer3 args = { .batch_address = I915_AT, .fence_count = 1,
						 .timeline_fences = CLIENT_BAD };

	setup();
	args.ctx_id = s.ctx;
	CHECK_ERR(IOCTL(s.c.file, I915_GEM_EXECBUFFER3, &args), -EFAULT);
	args.fence_count = 1000;
	CHECK_ERR(IOCTL(s.c.file, I915_GEM_EXECBUFFER3, &args), -EFAULT);
	args.timeline_fences = UINT64_MAX - 8;
	CHECK_ERR(IOCTL(s.c.file, I915_GEM_EXECBUFFER3, &args), -EFAULT);
	args.fence_count = UINT32_MAX;
	CHECK_ERR(IOCTL(s.c.file, I915_GEM_EXECBUFFER3, &args), -EINVAL);
	args.fence_count = UINT32_MAX / 2;
	CHECK_ERR(IOCTL(s.c.file, I915_GEM_EXECBUFFER3, &args), -EINVAL);
	args.fence_count = 0;
	CHECK_OK(IOCTL(s.c.file, I915_GEM_EXECBUFFER3, &args));
	i915_scene_fini(&s);
}

#define MANY 40

static void many_fences(void)
{
	struct drm_i915_gem_timeline_fence fence[MANY];

	setup();
	for (unsigned i = 0; i < MANY; i++) {
		uint32_t syncobj = client_syncobj(s.c.file, i % 2);

		fence[i] = i915_fence(syncobj, 0, i % 2 ? WAIT : SIGNAL);
	}
	CHECK_OK(i915_exec(&s.c, s.ctx, I915_AT, fence, MANY));
	for (unsigned i = 0; i < MANY; i++) {
		CHECK_OK(client_syncobj_wait(s.c.file, fence[i].handle, INT64_MAX));
	}
	CHECK_EQ(s.cpu[512], 1);
	i915_scene_fini(&s);
}

/* Who waits for a job that was lost is told that it is over. */
static void the_fence_of_a_lost_job_signals(void)
{
	struct drm_i915_gem_timeline_fence out;

	setup();
	out = i915_fence(so, 0, SIGNAL);
	CHECK_OK(i915_exec(&s.c, s.ctx, i915_spin(&s, 0, 4096), &out, 1));
	while (client_syncobj_wait(s.c.file, so, (int64_t)port_now_ns() + MS) == -ETIME) {
		uapi_device_reset(s.c.device);
	}
	CHECK(is_done(so));
	CHECK_ERR(exec_with(out), -EIO);
	i915_scene_fini(&s);
}

/* ---- binds and submissions in a row ---------------------------------------------------------- */

/* A bind that waits for @gate first, as the revision before has it, and signals @so. */
static int bind_behind(const struct i915_gate *gate, uint64_t start)
{
	struct drm_i915_gem_exec_fence handle = { gate->syncobj, WAIT };
	uint64_t point = 0;
	struct drm_i915_vm_bind_ext_timeline_fences ext = {
		.base.name = I915_VM_BIND_EXT_TIMELINE_FENCES,
		.fence_count = 1, .handles_ptr = PTR(&handle), .values_ptr = PTR(&point),
	};
	struct drm_i915_gem_vm_bind args = {
		.vm_id = s.vm, .handle = s.bo, .start = start, .length = SZ_64K,
		.fence = i915_fence(so, 0, SIGNAL), .extensions = PTR(&ext),
	};

	return IOCTL(s.c.file, I915_GEM_VM_BIND, &args);
}

static void test_A12_a_submission_behind_a_bind_that_is_pending(void)
{
	struct drm_i915_gem_timeline_fence fence[2];
	struct i915_gate gate;
	uint32_t done;

	setup();
	gate = i915_gate(&s.c);
	done = client_syncobj(s.c.file, false);
	(void)i915_store(&s, 1024, SZ_1G + 2048, 9);
	CHECK_OK(bind_behind(&gate, SZ_1G));
	CHECK_EQ(is_done(so), false);
	fence[0] = i915_fence(so, 0, WAIT);
	fence[1] = i915_fence(done, 0, SIGNAL);
	CHECK_OK(i915_exec(&s.c, s.ctx, I915_AT + 1024, fence, 2));
	CHECK_EQ(is_done(done), false);
	i915_gate_open(&gate);
	CHECK_OK(client_syncobj_wait(s.c.file, done, INT64_MAX));
	CHECK_EQ(s.cpu[512], 9);
	i915_scene_fini(&s);
}

/* ---- who sees what --------------------------------------------------------------------------- */

static int gem_wait(uint32_t bo, int64_t *timeout_io)
{
	struct drm_i915_gem_wait args = { .bo_handle = bo, .timeout_ns = *timeout_io };
	int ret = IOCTL(s.c.file, I915_GEM_WAIT, &args);

	*timeout_io = args.timeout_ns;
	return ret;
}

static uint32_t gem_busy(uint32_t bo)
{
	struct drm_i915_gem_busy args = { .handle = bo, .busy = 0xabcd };

	CHECK_OK(IOCTL(s.c.file, I915_GEM_BUSY, &args));
	return args.busy;
}

static void wait_and_busy_check_what_they_are_given(void)
{
	struct drm_i915_gem_wait wait = { .flags = 1 };
	struct drm_i915_gem_busy busy = { .handle = 99 };
	int64_t timeout = 0;

	setup();
	wait.bo_handle = s.bo;
	CHECK_ERR(IOCTL(s.c.file, I915_GEM_WAIT, &wait), -EINVAL);
	CHECK_ERR(gem_wait(99, &timeout), -ENOENT);
	CHECK_ERR(IOCTL(s.c.file, I915_GEM_BUSY, &busy), -ENOENT);
	CHECK_OK(gem_wait(s.bo, &timeout));
	CHECK_EQ(gem_busy(s.bo), 0);
	i915_scene_fini(&s);
}

static void test_B18_wait_and_busy_see_no_submission(void)
{
	struct drm_i915_gem_timeline_fence out;
	int64_t timeout = -1;

	setup();
	out = i915_fence(so, 0, SIGNAL);
	CHECK_OK(i915_exec(&s.c, s.ctx, i915_spin(&s, 0, 4096), &out, 1));
	CHECK_OK(gem_wait(s.bo, &timeout)); /* for ever, and at once */
	CHECK_EQ(gem_busy(s.bo), 0);
	CHECK_EQ(is_done(so), false);
	i915_stop(&s, 4096);
	CHECK_OK(client_syncobj_wait(s.c.file, so, INT64_MAX));
	i915_scene_fini(&s);
}

static void test_B18_wait_and_busy_see_no_bind(void)
{
	struct i915_gate gate;
	int64_t timeout = -1;

	setup();
	gate = i915_gate(&s.c);
	CHECK_OK(bind_behind(&gate, SZ_1G));
	CHECK_OK(gem_wait(s.bo, &timeout));
	CHECK_EQ(gem_busy(s.bo), 0);
	CHECK_EQ(is_done(so), false);
	i915_gate_open(&gate);
	CHECK_OK(client_syncobj_wait(s.c.file, so, INT64_MAX));
	i915_scene_fini(&s);
}

static int export_bo(uint32_t bo)
{
	struct drm_prime_handle args = { .handle = bo, .flags = DRM_CLOEXEC | DRM_RDWR };

	CHECK_OK(IOCTL(s.c.file, PRIME_HANDLE_TO_FD, &args));
	return args.fd;
}

/* Attaches what @fd, a sync file, stands for to the object behind @dmabuf. */
static void attach(int dmabuf, int fd, uint32_t flags)
{
	struct dma_buf_import_sync_file args = { .flags = flags, .fd = fd };

	CHECK_OK(uapi_dmabuf_ioctl(s.c.device, s.c.host.fd[dmabuf - CLIENT_FD_BASE].object,
				   DMA_BUF_IOCTL_IMPORT_SYNC_FILE, PTR(&args)));
}

static int sync_file_of(uint32_t syncobj)
{
	struct drm_syncobj_handle args = {
		.handle = syncobj, .flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE,
	};

	CHECK_OK(IOCTL(s.c.file, SYNCOBJ_HANDLE_TO_FD, &args));
	return args.fd;
}

/* A job that the client attaches itself: for readers they see it, for writers they see who. */
static void test_B17_a_dependency_that_is_set_is_seen(void)
{
	static const uint32_t usage[] = { DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE };

	for (unsigned i = 0; i < ARRAY_LEN(usage); i++) {
		const uint32_t render = 1u << 16;
		struct drm_i915_gem_timeline_fence out;
		int64_t timeout = 0;
		int dmabuf, work;

		setup();
		out = i915_fence(so, 0, SIGNAL);
		CHECK_OK(i915_exec(&s.c, s.ctx, i915_spin(&s, 0, 4096), &out, 1));
		dmabuf = export_bo(s.bo);
		work = sync_file_of(so);
		attach(dmabuf, work, usage[i]);
		CHECK_ERR(gem_wait(s.bo, &timeout), -ETIME);
		CHECK_EQ(gem_busy(s.bo), usage[i] == DMA_BUF_SYNC_WRITE ? render | 1 : render);
		i915_stop(&s, 4096);
		timeout = -1;
		CHECK_OK(gem_wait(s.bo, &timeout));
		CHECK_EQ(gem_busy(s.bo), 0);
		client_close_fd(&s.c, work);
		client_close_fd(&s.c, dmabuf);
		i915_scene_fini(&s);
	}
}

static void test_B17_classes_of_engines_have_a_bit_each(void)
{
	struct drm_i915_gem_execbuffer3 args = { .batch_address = I915_AT, .engine_idx = 1,
						 .fence_count = 1 };
	struct drm_i915_gem_timeline_fence out;
	int dmabuf, work;

	setup();
	out = i915_fence(so, 0, SIGNAL);
	args.timeline_fences = PTR(&out);
	args.ctx_id = s.ctx;
	(void)i915_spin(&s, 0, 4096);
	CHECK_OK(IOCTL(s.c.file, I915_GEM_EXECBUFFER3, &args)); /* the copy engine */
	dmabuf = export_bo(s.bo);
	work = sync_file_of(so);
	attach(dmabuf, work, DMA_BUF_SYNC_WRITE);
	CHECK_EQ(gem_busy(s.bo),
		 1u << (16 + I915_ENGINE_CLASS_COPY) | (I915_ENGINE_CLASS_COPY + 1));
	i915_stop(&s, 4096);
	CHECK_OK(client_syncobj_wait(s.c.file, so, INT64_MAX));
	client_close_fd(&s.c, work);
	client_close_fd(&s.c, dmabuf);
	i915_scene_fini(&s);
}

/* A fence of nobody's engine: GEM_WAIT waits for it, GEM_BUSY has no name for it. */
static void test_B17_a_foreign_fence_that_is_attached(void)
{
	struct i915_gate gate;
	int64_t timeout = MS;
	int dmabuf;

	setup();
	gate = i915_gate(&s.c);
	dmabuf = export_bo(s.bo);
	attach(dmabuf, gate.fd, DMA_BUF_SYNC_WRITE);
	CHECK_ERR(gem_wait(s.bo, &timeout), -ETIME);
	CHECK_EQ(timeout, 0);
	CHECK_EQ(gem_busy(s.bo), 0);
	i915_gate_open(&gate);
	timeout = 1000 * MS;
	CHECK_OK(gem_wait(s.bo, &timeout));
	CHECK(timeout > 0);
	client_close_fd(&s.c, dmabuf);
	i915_scene_fini(&s);
}

/* There is no implicit sync: a submission does not wait for what is attached. */
static void test_B11_a_submission_waits_for_no_attached_fence(void)
{
	struct i915_gate gate;
	int dmabuf;

	setup();
	gate = i915_gate(&s.c);
	dmabuf = export_bo(s.bo);
	attach(dmabuf, gate.fd, DMA_BUF_SYNC_WRITE);
	CHECK_OK(i915_exec_wait(&s.c, s.ctx, I915_AT));
	CHECK_EQ(s.cpu[512], 1);
	i915_gate_open(&gate);
	client_close_fd(&s.c, dmabuf);
	i915_scene_fini(&s);
}

static void a_wait_may_have_no_end(void)
{
	struct drm_i915_gem_timeline_fence out;
	int64_t timeout = INT64_MIN;
	int dmabuf, work;

	setup();
	out = i915_fence(so, 0, SIGNAL);
	CHECK_OK(i915_exec(&s.c, s.ctx, I915_AT, &out, 1));
	dmabuf = export_bo(s.bo);
	work = sync_file_of(so);
	attach(dmabuf, work, DMA_BUF_SYNC_READ);
	CHECK_OK(gem_wait(s.bo, &timeout));
	CHECK_EQ(timeout, INT64_MIN); /* for ever stays for ever */
	CHECK_EQ(s.cpu[512], 1);
	client_close_fd(&s.c, work);
	client_close_fd(&s.c, dmabuf);
	i915_scene_fini(&s);
}

static const struct test_case cases[] = {
	TEST(test_B02_out_fences_of_binds_and_unbinds),
	TEST(test_B30_a_bind_has_no_in_fence),
	TEST(test_B30_unknown_flags_of_a_fence),
	TEST(test_B30_without_SIGNAL_nothing_else_is_looked_at),
	TEST(test_B30_a_syncobj_that_is_not_there),
	TEST(test_B30_value_0_of_a_timeline_is_EINVAL),
	TEST(test_B30_a_value_of_a_binary_syncobj_is_EINVAL),
	TEST(test_B30_without_an_out_fence_it_is_done_at_the_return),
	TEST(out_fences_signal_at_the_end),
	TEST(in_fences_are_waited_for),
	TEST(points_of_a_timeline_are_waited_for),
	TEST(what_is_waited_for_is_there),
	TEST(one_entry_may_wait_and_signal),
	TEST(syncobjs_that_are_not_there),
	TEST(a_list_of_fences_may_not_be_there),
	TEST(many_fences),
	TEST(the_fence_of_a_lost_job_signals),
	TEST(test_A12_a_submission_behind_a_bind_that_is_pending),
	TEST(wait_and_busy_check_what_they_are_given),
	TEST(test_B18_wait_and_busy_see_no_submission),
	TEST(test_B18_wait_and_busy_see_no_bind),
	TEST(test_B17_a_dependency_that_is_set_is_seen),
	TEST(test_B17_classes_of_engines_have_a_bit_each),
	TEST(test_B17_a_foreign_fence_that_is_attached),
	TEST(test_B11_a_submission_waits_for_no_attached_fence),
	TEST(a_wait_may_have_no_end),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
