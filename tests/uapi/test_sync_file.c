// SPDX-License-Identifier: MIT
/* Sync files and software timelines: what clients ask of them, and device work that waits. */
#include "client.h"

#include "sync/timeline.h"
#include "uapi/vmb_sync.h"

#define MS 1000000

static struct client c;
static struct timeline_counter counter[3];
static void *timeline[3];

static int64_t in_ms(unsigned ms)
{
	return (int64_t)port_now_ns() + (int64_t)ms * MS;
}

static void rig_init(void)
{
	client_init(&c, "lnl");
	for (unsigned i = 0; i < 3; i++) {
		atomic_init(&counter[i].value, TIMELINE_START);
		atomic_init(&counter[i].ended, 0);
		timeline[i] = uapi_timeline_create(c.device, &counter[i], "rig");
		CHECK(timeline[i]);
	}
}

static void rig_fini(void)
{
	for (unsigned i = 0; i < 3; i++) {
		atomic_store(&counter[i].ended, 1);
		uapi_timeline_update(timeline[i]);
		uapi_fd_put_object(UAPI_FD_TIMELINE, timeline[i]);
	}
	client_fini(&c);
}

static int timeline_ioctl(unsigned i, uint32_t cmd, void *arg)
{
	return uapi_timeline_ioctl(c.device, timeline[i], cmd, PTR(arg));
}

static int fence_at(unsigned i, uint32_t value)
{
	struct sw_sync_create_fence_data data = { .value = value };

	CHECK_OK(timeline_ioctl(i, SW_SYNC_IOC_CREATE_FENCE, &data));
	return data.fence;
}

static void inc(unsigned i, uint32_t step)
{
	CHECK_OK(timeline_ioctl(i, SW_SYNC_IOC_INC, &step));
}

static void *object_of(int fd)
{
	return c.host.fd[fd - CLIENT_FD_BASE].object;
}

static int status_of(int fd)
{
	return uapi_sync_file_status(object_of(fd));
}

static int sync_ioctl(int fd, uint32_t cmd, void *arg)
{
	return uapi_sync_file_ioctl(c.device, object_of(fd), cmd, PTR(arg));
}

static int merge(int a, int b)
{
	struct sync_merge_data data = { .name = "merged", .fd2 = b };

	CHECK_OK(sync_ioctl(a, SYNC_IOC_MERGE, &data));
	return data.fence;
}

static unsigned parts_of(int fd)
{
	struct sync_file_info info = { 0 };

	CHECK_OK(sync_ioctl(fd, SYNC_IOC_FILE_INFO, &info));
	CHECK_EQ(info.status, status_of(fd));
	return info.num_fences;
}

static void count_wake(void *arg)
{
	atomic_fetch_add((atomic_uint *)arg, 1);
}

static void merging_checks_in_order(void)
{
	struct sync_merge_data data = { .flags = 1 };
	int a, b;

	rig_init();
	a = fence_at(0, 1);
	b = fence_at(1, 1);
	CHECK_ERR(uapi_sync_file_ioctl(c.device, object_of(a), SYNC_IOC_MERGE, CLIENT_BAD),
		  -EFAULT);
	CHECK_ERR(sync_ioctl(a, SYNC_IOC_MERGE, &data), -EINVAL);
	data.flags = 0;
	data.pad = 1;
	CHECK_ERR(sync_ioctl(a, SYNC_IOC_MERGE, &data), -EINVAL);
	data.pad = 0;
	data.fd2 = -1;
	CHECK_ERR(sync_ioctl(a, SYNC_IOC_MERGE, &data), -ENOENT);
	data.fd2 = 2;
	CHECK_ERR(sync_ioctl(a, SYNC_IOC_MERGE, &data), -ENOENT);
	data.fd2 = b;
	for (unsigned nth = 1; nth <= 2; nth++) {
		port_fault_set(PORT_FAULT_ALLOC, nth, false);
		CHECK_ERR(sync_ioctl(a, SYNC_IOC_MERGE, &data), -ENOMEM);
	}
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	c.host.no_fds = true;
	CHECK_ERR(sync_ioctl(a, SYNC_IOC_MERGE, &data), -EMFILE);
	c.host.no_fds = false;
	CHECK_OK(sync_ioctl(a, SYNC_IOC_MERGE, &data));
	CHECK(c.host.fd[data.fence - CLIENT_FD_BASE].cloexec);
	CHECK_ERR(sync_ioctl(a, SYNC_IOC_MERGE + 0x10, &data), -ENOTTY);
	rig_fini();
}

static void a_merge_keeps_the_last_of_each_context(void)
{
	int a, b, m;

	rig_init();
	a = merge(fence_at(0, 2), fence_at(0, 3));
	CHECK_EQ(parts_of(a), 1);
	b = merge(fence_at(1, 1), fence_at(0, 1));
	CHECK_EQ(parts_of(b), 2);
	m = merge(a, b);
	CHECK_EQ(parts_of(m), 2);
	CHECK_EQ(parts_of(merge(a, a)), 1);
	inc(0, 2);
	inc(1, 1);
	CHECK_EQ(status_of(m), 0);
	CHECK_EQ(status_of(b), 1);
	/* What has signalled is left out of the next merge. */
	CHECK_EQ(parts_of(merge(m, b)), 1);
	inc(0, 1);
	CHECK_EQ(status_of(m), 1);
	CHECK_EQ(parts_of(m), 2);
	m = merge(m, b);
	CHECK_EQ(parts_of(m), 1);
	CHECK_EQ(status_of(m), 1);
	rig_fini();
}

static void a_merge_wakes_when_the_last_signals(void)
{
	atomic_uint wakes = 0;
	int m, gone;

	rig_init();
	m = merge(merge(fence_at(0, 1), fence_at(1, 1)), fence_at(2, 1));
	gone = merge(fence_at(0, 1), fence_at(1, 1));
	CHECK_OK(uapi_sync_file_watch(object_of(m), count_wake, &wakes));
	CHECK_OK(uapi_sync_file_watch(object_of(gone), count_wake, &wakes));
	client_close_fd(&c, gone);
	inc(1, 1);
	inc(2, 1);
	CHECK_EQ(atomic_load(&wakes), 0);
	inc(0, 1);
	CHECK_EQ(atomic_load(&wakes), 1);
	CHECK_OK(uapi_sync_file_watch(object_of(m), count_wake, &wakes));
	CHECK_EQ(atomic_load(&wakes), 2);
	rig_fini();
}

static void info_tells_the_parts(void)
{
	struct sync_fence_info part[3] = { 0 };
	struct sync_file_info info = { .flags = 1 };
	int one, both;

	rig_init();
	one = fence_at(0, 1);
	both = merge(one, fence_at(1, 1));
	CHECK_ERR(sync_ioctl(both, SYNC_IOC_FILE_INFO, &info), -EINVAL);
	info = (struct sync_file_info){ .pad = 1 };
	CHECK_ERR(sync_ioctl(both, SYNC_IOC_FILE_INFO, &info), -EINVAL);
	info = (struct sync_file_info){ .num_fences = 1, .sync_fence_info = PTR(part) };
	CHECK_ERR(sync_ioctl(both, SYNC_IOC_FILE_INFO, &info), -EINVAL);
	info.num_fences = 3;
	info.sync_fence_info = CLIENT_BAD;
	CHECK_ERR(sync_ioctl(both, SYNC_IOC_FILE_INFO, &info), -EFAULT);
	inc(1, 1);
	info.sync_fence_info = PTR(part);
	CHECK_OK(sync_ioctl(both, SYNC_IOC_FILE_INFO, &info));
	CHECK_EQ(info.num_fences, 2);
	CHECK_EQ(info.status, 0);
	CHECK_EQ(strcmp(info.name, "merged"), 0);
	CHECK_EQ(strcmp(part[0].driver_name, "sw_sync"), 0);
	CHECK_EQ(strcmp(part[0].obj_name, "rig"), 0);
	CHECK_EQ(part[0].status, 0);
	CHECK_EQ(part[0].timestamp_ns, 0);
	CHECK_EQ(part[1].status, 1);
	CHECK(part[1].timestamp_ns > 0 && part[1].timestamp_ns <= port_now_ns());
	CHECK_EQ(part[2].driver_name[0], 0);
	info = (struct sync_file_info){ 0 };
	CHECK_OK(sync_ioctl(one, SYNC_IOC_FILE_INFO, &info));
	CHECK_EQ(strncmp(info.name, "sw_sync-rig", 11), 0);
	CHECK_EQ(strcmp(info.name + strlen(info.name) - 2, "-1"), 0);
	/* The one that is left fails: so does the merge. */
	atomic_store(&counter[0].ended, 1);
	uapi_timeline_update(timeline[0]);
	CHECK_EQ(status_of(one), -ENOENT);
	CHECK_EQ(status_of(both), -ENOENT);
	rig_fini();
}

static void timelines_count_with_32_bits(void)
{
	struct sw_sync_create_fence_data data = { .value = 1 };
	int a, b, behind;

	rig_init();
	CHECK_ERR(uapi_timeline_ioctl(c.device, timeline[0], SW_SYNC_IOC_INC, CLIENT_BAD), -EFAULT);
	CHECK_ERR(uapi_timeline_ioctl(c.device, timeline[0], SW_SYNC_IOC_CREATE_FENCE, CLIENT_BAD),
		  -EFAULT);
	CHECK_ERR(timeline_ioctl(0, SYNC_IOC_MERGE, &data), -ENOTTY);
	for (unsigned nth = 1; nth <= 2; nth++) {
		port_fault_set(PORT_FAULT_ALLOC, nth, false);
		CHECK_ERR(timeline_ioctl(0, SW_SYNC_IOC_CREATE_FENCE, &data), -ENOMEM);
	}
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	c.host.no_fds = true;
	CHECK_ERR(timeline_ioctl(0, SW_SYNC_IOC_CREATE_FENCE, &data), -EMFILE);
	c.host.no_fds = false;
	behind = fence_at(0, UINT32_MAX);
	CHECK_EQ(status_of(behind), 1);
	inc(0, UINT32_MAX);
	CHECK_EQ(status_of(fence_at(0, UINT32_MAX)), 1);
	a = fence_at(0, 0);
	b = fence_at(0, 7);
	CHECK_EQ(status_of(a), 0);
	inc(0, 1);
	CHECK_EQ(status_of(a), 1);
	inc(0, 6);
	CHECK_EQ(status_of(b), 0);
	inc(0, 1);
	CHECK_EQ(status_of(b), 1);
	rig_fini();
}

static void deadlines_are_remembered(void)
{
	struct sync_set_deadline set = { .deadline_ns = 500, .pad = 1 };
	struct sw_sync_get_deadline get = { .pad = 1 };
	int a, m;

	rig_init();
	a = fence_at(0, 1);
	m = merge(a, fence_at(1, 1));
	CHECK_ERR(sync_ioctl(a, SYNC_IOC_SET_DEADLINE, &set), -EINVAL);
	get.fence_fd = a;
	CHECK_ERR(timeline_ioctl(0, SW_SYNC_GET_DEADLINE, &get), -EINVAL);
	get.pad = 0;
	CHECK_ERR(timeline_ioctl(0, SW_SYNC_GET_DEADLINE, &get), -ENOENT);
	set.pad = 0;
	CHECK_OK(sync_ioctl(m, SYNC_IOC_SET_DEADLINE, &set));
	set.deadline_ns = 900;
	CHECK_OK(sync_ioctl(a, SYNC_IOC_SET_DEADLINE, &set));
	CHECK_OK(timeline_ioctl(0, SW_SYNC_GET_DEADLINE, &get));
	CHECK_EQ(get.deadline_ns, 500);
	get = (struct sw_sync_get_deadline){ .fence_fd = m };
	CHECK_ERR(timeline_ioctl(0, SW_SYNC_GET_DEADLINE, &get), -EINVAL);
	get.fence_fd = 2;
	CHECK_ERR(timeline_ioctl(0, SW_SYNC_GET_DEADLINE, &get), -EINVAL);
	rig_fini();
}

static uint32_t import(int fd)
{
	struct drm_syncobj_handle args = {
		.handle = client_syncobj(c.file, false),
		.flags = DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE,
		.fd = fd,
	};

	CHECK_OK(IOCTL(c.file, SYNCOBJ_FD_TO_HANDLE, &args));
	return args.handle;
}

/* A bind that waits for @fd, which @signal signals in two steps: the first is not enough. */
static void work_waits_for(int fd, void (*signal)(int fd, bool last))
{
	uint32_t vm = client_vm(&c, 0), bo = client_bo(&c, vm, SZ_64K);
	uint32_t done = client_syncobj(c.file, false);
	struct drm_xe_vm_bind_op op = client_op(DRM_XE_VM_BIND_OP_MAP, bo, 0, 0x100000, SZ_64K);
	struct drm_xe_sync sync[2] = { client_wait_for(import(fd)), client_signal(done) };

	CHECK_OK(client_bind(c.file, vm, 0, &op, 1, sync, 2));
	CHECK_ERR(client_syncobj_wait(c.file, done, in_ms(2)), -ETIME);
	signal(fd, false);
	CHECK_ERR(client_syncobj_wait(c.file, done, in_ms(2)), -ETIME);
	CHECK_EQ(status_of(fd), 0);
	signal(fd, true);
	CHECK_OK(client_syncobj_wait(c.file, done, INT64_MAX));
	CHECK_OK(client_vm_destroy(&c, vm));
}

static void signal_both(int fd, bool last)
{
	inc(last ? 1 : 0, 1);
}

static void signal_foreign(int fd, bool last)
{
	if (last) {
		uapi_sync_file_signal(object_of(fd), 0);
	}
}

static void device_work_waits_for_them(void)
{
	void *foreign;
	int fd;

	rig_init();
	work_waits_for(merge(fence_at(0, 1), fence_at(1, 1)), signal_both);
	foreign = uapi_sync_file_foreign(c.device);
	CHECK(foreign);
	fd = CLIENT_FD_BASE + CLIENT_FDS - 1;
	c.host.fd[CLIENT_FDS - 1] = (struct client_fd){ true, UAPI_FD_SYNC_FILE, foreign, 0, true };
	CHECK_EQ(parts_of(fd), 1);
	work_waits_for(fd, signal_foreign);
	CHECK_EQ(status_of(fd), 1);
	rig_fini();
}

static void the_same_can_be_made_from_its_points(void)
{
	struct uapi_point points[UAPI_POINTS_MAX];
	void *again;
	int m, mixed;
	uint32_t so;
	struct drm_syncobj_handle args = {
		.flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE,
	};

	rig_init();
	m = merge(fence_at(0, 4), fence_at(1, 5));
	CHECK_EQ(uapi_sync_file_points(object_of(m), points, 1), 0);
	CHECK_EQ(uapi_sync_file_points(object_of(m), points, UAPI_POINTS_MAX), 2);
	again = uapi_sync_file_of_points(points, 2);
	CHECK(again);
	inc(0, 4);
	CHECK_EQ(uapi_sync_file_status(again), 0);
	inc(1, 5);
	CHECK_EQ(uapi_sync_file_status(again), 1);
	uapi_fd_put_object(UAPI_FD_SYNC_FILE, again);
	for (unsigned nth = 1; nth <= 3; nth++) {
		port_fault_set(PORT_FAULT_ALLOC, nth, false);
		CHECK(!uapi_sync_file_of_points(points, 2));
	}
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	/* One part that is no timeline's is enough. */
	so = client_syncobj(c.file, true);
	args.handle = so;
	CHECK_OK(IOCTL(c.file, SYNCOBJ_HANDLE_TO_FD, &args));
	mixed = args.fd;
	CHECK_EQ(uapi_sync_file_points(object_of(mixed), points, UAPI_POINTS_MAX), 0);
	rig_fini();
}

static const struct test_case cases[] = {
	TEST(merging_checks_in_order),
	TEST(a_merge_keeps_the_last_of_each_context),
	TEST(a_merge_wakes_when_the_last_signals),
	TEST(info_tells_the_parts),
	TEST(timelines_count_with_32_bits),
	TEST(deadlines_are_remembered),
	TEST(device_work_waits_for_them),
	TEST(the_same_can_be_made_from_its_points),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
