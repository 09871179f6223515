// SPDX-License-Identifier: MIT
/* A wedged device: what it refuses and what goes on, what makes it so, and the way out. */
#include "client.h"

#include "uapi/vmb_drm.h"

#include <string.h>

#define A  UINT64_C(0x100000)
#define MS INT64_C(1000000)

static struct client c;
static uint32_t vm, bo, queue, out;
static uint32_t *cpu;

/* A spinner runs, and a syncobj follows it. */
static void setup(void)
{
	struct drm_xe_sync sync;

	client_init(&c, "bmg");
	vm = client_vm(&c, 0);
	bo = client_bo(&c, vm, SZ_64K);
	cpu = client_cpu(&c, c.file, bo, SZ_64K);
	CHECK_OK(client_map(&c, vm, bo, 0, A, SZ_64K));
	queue = client_queue(&c, vm, 0);
	out = client_syncobj(c.file, false);
	sync = client_signal(out);
	cpu[64] = 1;
	client_batch_spin(cpu, A, A + 256);
	CHECK_OK(client_exec(c.file, queue, A, &sync, 1));
}

static int find(const char *path)
{
	struct uapi_attr attr;

	for (unsigned i = 0; uapi_attr_find(c.device, i, &attr); i++) {
		if (strcmp(attr.path, path) == 0) {
			CHECK(attr.debugfs && attr.writable);
			return (int)i;
		}
	}
	return -1;
}

static int store(const char *path, const char *text)
{
	int index = find(path);

	CHECK(index >= 0);
	return uapi_attr_store(c.device, (unsigned)index, PTR(text), strlen(text));
}

static bool says(const char *path, const char *line)
{
	char text[UAPI_ATTR_B] = "";
	int index = find(path), n;

	CHECK(index >= 0);
	n = uapi_attr_show(c.device, (unsigned)index, text);
	return n == (int)strlen(line) && memcmp(text, line, strlen(line)) == 0;
}

static int version(struct uapi_file *file)
{
	struct drm_version args = { 0 };

	return IOCTL(file, VERSION, &args);
}

static void wedge(void)
{
	CHECK_OK(store("fail_gt_reset/probability", "100"));
	uapi_device_reset(c.device);
	CHECK_ERR(version(c.file), -ECANCELED);
}

static void every_ioctl_is_refused(void)
{
	struct uapi_file *before, *after;
	struct drm_xe_device_query query = { 0 };
	struct drm_xe_exec_queue_get_property get = { .exec_queue_id = queue };
	struct drm_xe_vm_bind_op op = client_op(DRM_XE_VM_BIND_OP_UNMAP, 0, 0, A, SZ_64K);
	uint64_t memory = 1;
	struct drm_xe_wait_user_fence wait = { .addr = PTR(&memory), .value = 1,
					       .mask = UINT64_MAX };
	uint32_t handle;

	setup();
	before = client_open(&c, false);
	wedge();
	CHECK_ERR(version(before), -ECANCELED);
	CHECK_ERR(IOCTL(c.file, XE_DEVICE_QUERY, &query), -ECANCELED);
	CHECK_ERR(IOCTL(c.file, XE_EXEC_QUEUE_GET_PROPERTY, &get), -ECANCELED);
	CHECK_ERR(IOCTL(c.file, XE_WAIT_USER_FENCE, &wait), -ECANCELED);
	CHECK_ERR(client_gem_create(c.file, 0, SZ_64K, 1, 0, &handle), -ECANCELED);
	CHECK_ERR(client_gem_close(c.file, bo), -ECANCELED);
	CHECK_ERR(client_vm_destroy(&c, vm), -ECANCELED);
	CHECK_ERR(client_bind(c.file, vm, 0, &op, 1, NULL, 0), -ECANCELED);
	CHECK_ERR(client_exec(c.file, queue, A, NULL, 0), -ECANCELED);
	CHECK_ERR(client_queue_destroy(c.file, queue), -ECANCELED);
	CHECK_ERR(client_syncobj_wait(c.file, out, INT64_MAX), -ECANCELED);
	/* Before anything else about the request is looked at, but that it is one of DRM's. */
	CHECK_ERR(client_ioctl(c.file, DRM_IOCTL_VERSION | 0xff, NULL), -ECANCELED);
	CHECK_ERR(client_ioctl(c.file, DRM_IOCTL_SET_MASTER, NULL), -ECANCELED);
	CHECK_ERR(client_ioctl(c.file, 0x5401, NULL), -ENOTTY);
	/* Who comes now is let in, and no further. */
	after = client_open(&c, true);
	CHECK_ERR(version(after), -ECANCELED);
	uapi_close(after);
	uapi_close(before);
	client_fini(&c);
}

static void what_is_mapped_and_open_goes_on(void)
{
	struct drm_syncobj_handle to_fd;
	uint64_t offset;
	char text[UAPI_FDINFO_B];
	int host_fd;

	setup();
	to_fd = (struct drm_syncobj_handle){
		.handle = out, .flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE,
	};
	CHECK_OK(IOCTL(c.file, SYNCOBJ_HANDLE_TO_FD, &to_fd));
	CHECK_EQ(uapi_sync_file_status(c.host.fd[to_fd.fd - CLIENT_FD_BASE].object), 0);
	offset = (uint64_t)((char *)cpu - (char *)uapi_arena_base(c.device));
	wedge();
	/* The job has been ended and says so to whoever holds its fence. */
	while (uapi_sync_file_status(c.host.fd[to_fd.fd - CLIENT_FD_BASE].object) == 0) {
		port_relax();
	}
	CHECK_ERR(uapi_sync_file_status(c.host.fd[to_fd.fd - CLIENT_FD_BASE].object), -ECANCELED);
	cpu[0] = 0xc0ffee;
	CHECK_OK(uapi_mmap(c.file, offset, SZ_64K, &host_fd, &offset));
	CHECK(uapi_fdinfo(c.file, text) > 0);
	client_close_fd(&c, to_fd.fd);
	client_fini(&c);
}

static struct {
	struct drm_xe_wait_user_fence args;
	atomic_bool begun;
	int ret;
} waiter;

static void wait_for_it(void *arg)
{
	atomic_store(&waiter.begun, true);
	waiter.ret = IOCTL(c.file, XE_WAIT_USER_FENCE, &waiter.args);
}

static void who_waits_is_told(void)
{
	struct port_thread *thread;
	uint64_t memory = 0;

	setup();
	waiter.args = (struct drm_xe_wait_user_fence){
		.addr = PTR(&memory), .value = 1, .mask = UINT64_MAX, .timeout = -1,
		.exec_queue_id = queue,
	};
	atomic_store(&waiter.begun, false);
	CHECK_OK(port_thread_create(&thread, "wait", wait_for_it, NULL));
	while (!atomic_load(&waiter.begun)) {
		port_relax();
	}
	wedge();
	port_thread_join(thread);
	/* It was in the call, or has come too late. */
	CHECK(waiter.ret == -EIO || waiter.ret == -ECANCELED);
	client_fini(&c);
}

static void resets_can_be_made_to_fail(void)
{
	uint32_t spared;

	setup();
	CHECK(says("wedged_mode", "1\n"));
	CHECK(says("fail_gt_reset/probability", "0\n"));
	CHECK(says("fail_gt_reset/times", "1\n"));
	CHECK_ERR(store("wedged_mode", "3"), -EINVAL);
	CHECK_ERR(store("wedged_mode", "x"), -EINVAL);
	/* In mode 0 a failure is of no consequence; the reset has not been either. */
	CHECK_OK(store("wedged_mode", "0"));
	CHECK_OK(store("fail_gt_reset/probability", "100"));
	uapi_device_reset(c.device);
	CHECK(says("fail_gt_reset/times", "0\n"));
	CHECK_ERR(client_syncobj_wait(c.file, out, (int64_t)port_now_ns() + MS), -ETIME);
	/* It does not fail more often than it was told to. */
	CHECK_OK(store("wedged_mode", "1"));
	spared = client_queue(&c, vm, 1);
	uapi_device_reset(c.device);
	CHECK_OK(client_syncobj_wait(c.file, out, INT64_MAX));
	CHECK_OK(client_exec(c.file, spared, A, NULL, 0));
	CHECK_OK(store("fail_gt_reset/times", "2"));
	uapi_device_reset(c.device);
	CHECK(says("fail_gt_reset/times", "1\n"));
	CHECK_ERR(version(c.file), -ECANCELED);
	client_fini(&c);
}

static void a_hang_wedges_in_mode_2(void)
{
	struct drm_syncobj_wait wait = { .handles = PTR(&out), .count_handles = 1,
					 .timeout_nsec = INT64_MAX };
	uint32_t bad;

	setup();
	bad = client_queue(&c, vm, 1);
	CHECK_OK(client_exec(c.file, bad, SZ_1G, NULL, 0)); /* nothing is there */
	while (version(c.file) == 0 && client_exec(c.file, bad, A, NULL, 0) == 0) {
		port_relax();
	}
	CHECK_OK(version(c.file));
	CHECK_OK(store("wedged_mode", "2"));
	bad = client_queue(&c, vm, 1);
	CHECK_OK(client_exec(c.file, bad, SZ_1G, NULL, 0));
	/* The spinner's fence signals too; then the wait ends, or has not been let in. */
	CHECK(IOCTL(c.file, SYNCOBJ_WAIT, &wait) == 0 || version(c.file) == -ECANCELED);
	while (version(c.file) == 0) {
		port_relax();
	}
	CHECK_ERR(version(c.file), -ECANCELED);
	client_fini(&c);
}

static void the_driver_can_be_bound_anew(void)
{
	struct uapi_file *file, *old;
	struct drm_xe_sync sync;
	uint64_t offset;
	int host_fd;

	setup();
	CHECK_ERR(uapi_device_bind(c.device), -EBUSY);
	CHECK_OK(store("wedged_mode", "2"));
	wedge();
	CHECK_OK(uapi_device_unbind(c.device));
	CHECK_ERR(uapi_device_unbind(c.device), -ENODEV);
	CHECK_ERR(version(c.file), -ENODEV);
	CHECK_ERR(uapi_open(c.device, true, &file), -ENODEV);
	CHECK_OK(uapi_device_bind(c.device));
	CHECK(says("wedged_mode", "1\n"));
	/* Files from before are of no use. */
	CHECK_ERR(version(c.file), -ENODEV);
	offset = (uint64_t)((char *)cpu - (char *)uapi_arena_base(c.device));
	CHECK_ERR(uapi_mmap(c.file, offset, SZ_64K, &host_fd, &offset), -ENODEV);
	cpu[SZ_64K / 4 - 1] = 0; /* what was mapped stays */
	old = c.file;
	c.file = client_open(&c, true);
	CHECK_OK(version(c.file));
	vm = client_vm(&c, 0);
	bo = client_bo(&c, vm, SZ_64K);
	cpu = client_cpu(&c, c.file, bo, SZ_64K);
	CHECK_OK(client_map(&c, vm, bo, 0, A, SZ_64K));
	queue = client_queue(&c, vm, 0);
	out = client_syncobj(c.file, false);
	sync = client_signal(out);
	client_batch_store(cpu, A + 0x8000, 0xc0ffee);
	CHECK_OK(client_exec(c.file, queue, A, &sync, 1));
	CHECK_OK(client_syncobj_wait(c.file, out, INT64_MAX));
	CHECK_EQ(cpu[0x8000 / 4], 0xc0ffee);
	uapi_close(old);
	client_fini(&c);
}

static const struct test_case cases[] = {
	TEST(every_ioctl_is_refused),
	TEST(what_is_mapped_and_open_goes_on),
	TEST(who_waits_is_told),
	TEST(resets_can_be_made_to_fail),
	TEST(a_hang_wedges_in_mode_2),
	TEST(the_driver_can_be_bound_anew),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
