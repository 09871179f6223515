// SPDX-License-Identifier: MIT
/* Syncobj ioctls: handles, descriptors, waits, timelines, eventfds; order of errors. */
#include "client.h"

#define MS 1000000

static struct client c;

static int64_t in_ms(unsigned ms)
{
	return (int64_t)port_now_ns() + (int64_t)ms * MS;
}

static void create_and_destroy(void)
{
	struct drm_syncobj_destroy destroy = { 0 };
	struct drm_syncobj_create create = { .flags = 2 };
	uint32_t so;

	client_init(&c, "lnl");
	CHECK_ERR(IOCTL(c.file, SYNCOBJ_CREATE, &create), -EINVAL);
	so = client_syncobj(c.file, false);
	destroy.handle = so;
	destroy.pad = 1;
	CHECK_ERR(IOCTL(c.file, SYNCOBJ_DESTROY, &destroy), -EINVAL);
	CHECK_OK(client_syncobj_destroy(c.file, so));
	CHECK_ERR(client_syncobj_destroy(c.file, so), -EINVAL);
	CHECK_ERR(client_syncobj_destroy(c.file, 0), -EINVAL);
	client_fini(&c);
}

static int handle_to_fd(uint32_t handle, uint32_t flags, uint64_t point, int *fd_out)
{
	struct drm_syncobj_handle args = { .handle = handle, .flags = flags, .point = point };
	int ret = IOCTL(c.file, SYNCOBJ_HANDLE_TO_FD, &args);

	*fd_out = args.fd;
	return ret;
}

static int fd_to_handle(struct uapi_file *file, int fd, uint32_t flags, uint64_t point,
			uint32_t *handle_io)
{
	struct drm_syncobj_handle args = {
		.handle = *handle_io,
		.flags = flags,
		.fd = fd,
		.point = point,
	};
	int ret = IOCTL(file, SYNCOBJ_FD_TO_HANDLE, &args);

	*handle_io = args.handle;
	return ret;
}

static void descriptors_carry_the_syncobj(void)
{
	struct drm_syncobj_handle padded = { .pad = 1 };
	struct uapi_file *other;
	uint32_t so, same = 0;
	int fd;

	client_init(&c, "lnl");
	other = client_open(&c, true);
	so = client_syncobj(c.file, false);
	CHECK_ERR(IOCTL(c.file, SYNCOBJ_HANDLE_TO_FD, &padded), -EINVAL);
	CHECK_ERR(IOCTL(c.file, SYNCOBJ_FD_TO_HANDLE, &padded), -EINVAL);
	CHECK_ERR(handle_to_fd(so, 4, 0, &fd), -EINVAL);
	CHECK_ERR(handle_to_fd(so, DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_TIMELINE, 5, &fd), -EINVAL);
	CHECK_ERR(handle_to_fd(99, 0, 0, &fd), -EINVAL);
	c.host.no_fds = true;
	CHECK_ERR(handle_to_fd(so, 0, 0, &fd), -EMFILE);
	c.host.no_fds = false;
	CHECK_OK(handle_to_fd(so, 0, 0, &fd));
	CHECK_ERR(fd_to_handle(other, fd, 4, 0, &same), -EINVAL);
	CHECK_ERR(fd_to_handle(other, -1, 0, 0, &same), -EINVAL);
	CHECK_ERR(fd_to_handle(other, 3, 0, 0, &same), -EINVAL);
	CHECK_OK(fd_to_handle(other, fd, 0, 0, &same));
	/* Signalled through one, seen through the other; the descriptor alone keeps it too. */
	CHECK_OK(client_syncobj_signal(c.file, so));
	CHECK_OK(client_syncobj_wait(other, same, 0));
	CHECK_OK(client_syncobj_destroy(other, same));
	CHECK_OK(client_syncobj_destroy(c.file, so));
	CHECK_OK(fd_to_handle(other, fd, 0, 0, &same));
	CHECK_OK(client_syncobj_wait(other, same, 0));
	uapi_close(other);
	client_fini(&c);
}

static void count_wake(void *arg)
{
	atomic_fetch_add((atomic_uint *)arg, 1);
}

static void sync_files_carry_the_fence(void)
{
	const uint32_t export = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE;
	const uint32_t import = DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE;
	uint32_t a, b, none = 99;
	atomic_uint wakes = 0;
	void *object;
	int fd;

	client_init(&c, "lnl");
	a = client_syncobj(c.file, false);
	b = client_syncobj(c.file, false);
	CHECK_ERR(handle_to_fd(99, export, 0, &fd), -ENOENT);
	CHECK_ERR(handle_to_fd(a, export, 0, &fd), -EINVAL); /* no fence yet */
	CHECK_OK(client_syncobj_signal(c.file, a));
	c.host.no_fds = true;
	CHECK_ERR(handle_to_fd(a, export, 0, &fd), -EMFILE);
	c.host.no_fds = false;
	CHECK_OK(handle_to_fd(a, export, 0, &fd));
	CHECK_ERR(fd_to_handle(c.file, 3, import, 0, &b), -EINVAL);
	CHECK_ERR(fd_to_handle(c.file, fd, import, 0, &none), -ENOENT);
	CHECK_ERR(client_syncobj_wait(c.file, b, 0), -EINVAL);
	CHECK_OK(fd_to_handle(c.file, fd, import, 0, &b));
	CHECK_OK(client_syncobj_wait(c.file, b, 0));
	/* The export is a snapshot. */
	CHECK_OK(client_syncobj_reset(c.file, a));
	object = c.host.fd[fd - CLIENT_FD_BASE].object;
	CHECK_EQ(uapi_sync_file_status(object), 1);
	CHECK_OK(uapi_sync_file_watch(object, count_wake, &wakes));
	CHECK_EQ(atomic_load(&wakes), 1);
	/* A point from a sync file, and a sync file of a point. */
	CHECK_OK(fd_to_handle(c.file, fd, import | DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_TIMELINE, 6, &a));
	CHECK_OK(client_point_wait(c.file, a, 6, 0, 0));
	CHECK_OK(handle_to_fd(a, export | DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_TIMELINE, 6, &fd));
	CHECK_ERR(handle_to_fd(a, export | DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_TIMELINE, 7, &fd),
		  -EINVAL);
	client_fini(&c);
}

static int wait_array(const uint32_t *handles, uint32_t n, uint32_t flags, int64_t until,
		      uint32_t *first_out)
{
	struct drm_syncobj_wait args = {
		.handles = PTR(handles),
		.count_handles = n,
		.flags = flags,
		.timeout_nsec = until,
		.first_signaled = 55,
	};
	int ret = IOCTL(c.file, SYNCOBJ_WAIT, &args);

	*first_out = args.first_signaled;
	return ret;
}

static void waits_check_in_order(void)
{
	const uint32_t all = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL;
	const uint32_t submit = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT;
	uint32_t so[3], first;

	client_init(&c, "lnl");
	so[0] = client_syncobj(c.file, false);
	so[1] = client_syncobj(c.file, true);
	so[2] = 99;
	CHECK_ERR(wait_array(so, 3, DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE, 0, &first), -EINVAL);
	CHECK_ERR(wait_array(so, 0, 0x100, 0, &first), -EINVAL);
	CHECK_OK(wait_array(NULL, 0, 0, 0, &first));
	CHECK_EQ(first, 55);
	CHECK_ERR(wait_array((void *)(uintptr_t)CLIENT_BAD, 2, 0, 0, &first), -EFAULT);
	CHECK_ERR(wait_array(so, UINT32_MAX, 0, 0, &first), -ENOMEM);
	CHECK_ERR(wait_array(so, 3, 0, 0, &first), -ENOENT);
	CHECK_ERR(wait_array(so, 2, 0, 0, &first), -EINVAL); /* one has no fence */
	CHECK_OK(wait_array(so, 2, submit, 0, &first));
	CHECK_EQ(first, 1);
	CHECK_ERR(wait_array(so, 2, submit | all, 0, &first), -ETIME);
	CHECK_ERR(wait_array(so, 2, submit | all, -5, &first), -ETIME);
	CHECK_ERR(wait_array(so, 2, submit | all, in_ms(2), &first), -ETIME);
	CHECK_OK(client_syncobj_signal(c.file, so[0]));
	CHECK_OK(wait_array(so, 2, all, INT64_MAX, &first));
	CHECK_OK(wait_array(so, 2, all | DRM_SYNCOBJ_WAIT_FLAGS_WAIT_DEADLINE, 0, &first));
	client_fini(&c);
}

struct later {
	uint32_t handle;
	uint64_t point;
	unsigned ms;
};

static void signal_later(void *arg)
{
	struct later *later = arg;
	struct port_wq wq;
	uint64_t until = port_now_ns() + later->ms * (uint64_t)MS;

	port_wq_init(&wq);
	while (port_now_ns() < until) {
		port_wq_wait(&wq, port_wq_prepare(&wq), until, 0);
	}
	if (later->point) {
		CHECK_OK(client_point_signal(c.file, later->handle, later->point));
	} else {
		CHECK_OK(client_syncobj_signal(c.file, later->handle));
	}
}

static void waits_end_with_the_signal(void)
{
	struct port_thread *thread;
	struct later later = { .ms = 3 };
	uint32_t first;

	client_init(&c, "lnl");
	later.handle = client_syncobj(c.file, false);
	CHECK_OK(port_thread_create(&thread, "later", signal_later, &later));
	CHECK_OK(wait_array(&later.handle, 1, DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT, INT64_MAX,
			    &first));
	port_thread_join(thread);
	later.handle = client_syncobj(c.file, false);
	later.point = 4;
	CHECK_OK(port_thread_create(&thread, "later", signal_later, &later));
	CHECK_OK(client_point_wait(c.file, later.handle, 3, DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE,
				   INT64_MAX));
	CHECK_OK(client_point_wait(c.file, later.handle, 4, 0, INT64_MAX));
	port_thread_join(thread);
	client_fini(&c);
}

static uint64_t query(uint32_t handle, uint32_t flags)
{
	uint64_t point = 77;
	struct drm_syncobj_timeline_array args = {
		.handles = PTR(&handle),
		.points = PTR(&point),
		.count_handles = 1,
		.flags = flags,
	};

	CHECK_OK(IOCTL(c.file, SYNCOBJ_QUERY, &args));
	return point;
}

static void timelines(void)
{
	const uint32_t submit = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT;
	uint32_t so;

	client_init(&c, "lnl");
	so = client_syncobj(c.file, false);
	CHECK_EQ(query(so, 0), 0);
	CHECK_ERR(client_point_wait(c.file, so, 5, 0, 0), -EINVAL);
	CHECK_ERR(client_point_wait(c.file, so, 5, submit, 0), -ETIME);
	CHECK_OK(client_point_signal(c.file, so, 5));
	CHECK_EQ(query(so, 0), 5);
	CHECK_EQ(query(so, DRM_SYNCOBJ_QUERY_FLAGS_LAST_SUBMITTED), 5);
	CHECK_OK(client_point_wait(c.file, so, 5, 0, 0));
	CHECK_OK(client_point_wait(c.file, so, 2, 0, 0));
	CHECK_ERR(client_point_wait(c.file, so, 6, 0, 0), -EINVAL);
	CHECK_ERR(client_point_wait(c.file, so, 6, 0x10, 0), -EINVAL);
	CHECK_OK(client_syncobj_reset(c.file, so));
	CHECK_EQ(query(so, 0), 0);
	client_fini(&c);
}

static void arrays_check_in_order(void)
{
	struct drm_syncobj_timeline_array t = { 0 };
	struct drm_syncobj_array b = { .pad = 1 };
	uint32_t so[2];
	uint64_t points[2] = { 1, 2 };

	client_init(&c, "lnl");
	so[0] = client_syncobj(c.file, false);
	so[1] = 99;
	CHECK_ERR(IOCTL(c.file, SYNCOBJ_SIGNAL, &b), -EINVAL);
	CHECK_ERR(IOCTL(c.file, SYNCOBJ_RESET, &b), -EINVAL);
	b = (struct drm_syncobj_array){ .handles = PTR(so) };
	CHECK_ERR(IOCTL(c.file, SYNCOBJ_SIGNAL, &b), -EINVAL); /* count 0 */
	b.count_handles = 2;
	CHECK_ERR(IOCTL(c.file, SYNCOBJ_SIGNAL, &b), -ENOENT);
	CHECK_ERR(client_syncobj_wait(c.file, so[0], 0), -EINVAL); /* nothing was signalled */
	b.handles = CLIENT_BAD;
	CHECK_ERR(IOCTL(c.file, SYNCOBJ_RESET, &b), -EFAULT);

	t.flags = 1;
	CHECK_ERR(IOCTL(c.file, SYNCOBJ_TIMELINE_SIGNAL, &t), -EINVAL);
	t.flags = 2;
	CHECK_ERR(IOCTL(c.file, SYNCOBJ_QUERY, &t), -EINVAL);
	t = (struct drm_syncobj_timeline_array){ .handles = PTR(so), .points = PTR(points) };
	CHECK_ERR(IOCTL(c.file, SYNCOBJ_TIMELINE_SIGNAL, &t), -EINVAL); /* count 0 */
	CHECK_ERR(IOCTL(c.file, SYNCOBJ_QUERY, &t), -EINVAL);
	t.count_handles = 1;
	t.flags = 1;
	CHECK_ERR(IOCTL(c.file, SYNCOBJ_TIMELINE_SIGNAL, &t), -EINVAL);
	points[0] = 1;
	CHECK_OK(IOCTL(c.file, SYNCOBJ_QUERY, &t)); /* LAST_SUBMITTED */
	CHECK_EQ(points[0], 0);
	t.flags = 2;
	CHECK_ERR(IOCTL(c.file, SYNCOBJ_QUERY, &t), -EINVAL);
	t.flags = 0;
	t.count_handles = 2;
	CHECK_ERR(IOCTL(c.file, SYNCOBJ_TIMELINE_SIGNAL, &t), -ENOENT);
	CHECK_ERR(IOCTL(c.file, SYNCOBJ_QUERY, &t), -ENOENT);
	t.count_handles = 1;
	t.points = CLIENT_BAD;
	CHECK_ERR(IOCTL(c.file, SYNCOBJ_TIMELINE_SIGNAL, &t), -EFAULT);
	CHECK_ERR(IOCTL(c.file, SYNCOBJ_QUERY, &t), -EFAULT);
	t.handles = CLIENT_BAD;
	t.points = PTR(points);
	CHECK_ERR(IOCTL(c.file, SYNCOBJ_TIMELINE_SIGNAL, &t), -EFAULT);
	CHECK_ERR(IOCTL(c.file, SYNCOBJ_QUERY, &t), -EFAULT);
	CHECK_EQ(query(so[0], 0), 0);
	client_fini(&c);
}

/* More than fit on a stack go another way, which ends the same. */
static void arrays_of_any_length(void)
{
	struct drm_syncobj_array b = { 0 };
	struct drm_syncobj_timeline_array t = { 0 };
	struct drm_syncobj_timeline_wait wait = { .flags = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL };
	uint64_t points[9], got[9];
	uint32_t so[9];

	client_init(&c, "lnl");
	for (unsigned i = 0; i < ARRAY_LEN(so); i++) {
		so[i] = client_syncobj(c.file, false);
		points[i] = i + 1;
	}
	for (uint32_t n = 1; n <= ARRAY_LEN(so); n++) {
		b = (struct drm_syncobj_array){ .handles = PTR(so), .count_handles = n };
		CHECK_OK(IOCTL(c.file, SYNCOBJ_RESET, &b));
		t.handles = wait.handles = PTR(so);
		t.points = wait.points = PTR(points);
		t.count_handles = wait.count_handles = n;
		CHECK_OK(IOCTL(c.file, SYNCOBJ_TIMELINE_SIGNAL, &t));
		CHECK_OK(IOCTL(c.file, SYNCOBJ_TIMELINE_WAIT, &wait));
		t.points = PTR(got);
		CHECK_OK(IOCTL(c.file, SYNCOBJ_QUERY, &t));
		for (uint32_t i = 0; i < n; i++) {
			CHECK_EQ(got[i], points[i]);
		}
		so[n - 1] += 100;
		CHECK_ERR(IOCTL(c.file, SYNCOBJ_TIMELINE_WAIT, &wait), -ENOENT);
		so[n - 1] -= 100;
		wait.points = CLIENT_BAD;
		CHECK_ERR(IOCTL(c.file, SYNCOBJ_TIMELINE_WAIT, &wait), -EFAULT);
		wait.handles = CLIENT_BAD;
		CHECK_ERR(IOCTL(c.file, SYNCOBJ_TIMELINE_WAIT, &wait), -EFAULT);
	}
	client_fini(&c);
}

static void timeline_wait_pointers(void)
{
	struct drm_syncobj_timeline_wait args = { .count_handles = 1 };
	uint32_t so;
	uint64_t point = 1;

	client_init(&c, "lnl");
	so = client_syncobj(c.file, true);
	args.handles = PTR(&so);
	CHECK_OK(IOCTL(c.file, SYNCOBJ_TIMELINE_WAIT, &args)); /* no points: binary */
	args.points = CLIENT_BAD;
	CHECK_ERR(IOCTL(c.file, SYNCOBJ_TIMELINE_WAIT, &args), -EFAULT);
	args.points = PTR(&point);
	args.handles = CLIENT_BAD;
	CHECK_ERR(IOCTL(c.file, SYNCOBJ_TIMELINE_WAIT, &args), -EFAULT);
	so = 99;
	args.handles = PTR(&so);
	CHECK_ERR(IOCTL(c.file, SYNCOBJ_TIMELINE_WAIT, &args), -ENOENT);
	client_fini(&c);
}

static int transfer(uint32_t dst, uint64_t dst_point, uint32_t src, uint64_t src_point,
		    uint32_t flags)
{
	struct drm_syncobj_transfer args = {
		.src_handle = src,
		.dst_handle = dst,
		.src_point = src_point,
		.dst_point = dst_point,
		.flags = flags,
	};

	return IOCTL(c.file, SYNCOBJ_TRANSFER, &args);
}

static void transfers(void)
{
	struct drm_syncobj_transfer padded = { .pad = 1 };
	struct port_thread *thread;
	struct later later = { .ms = 2 };
	uint32_t a, b, t;

	client_init(&c, "lnl");
	a = client_syncobj(c.file, true);
	b = client_syncobj(c.file, false);
	t = client_syncobj(c.file, false);
	CHECK_ERR(IOCTL(c.file, SYNCOBJ_TRANSFER, &padded), -EINVAL);
	CHECK_ERR(transfer(99, 0, 99, 0, 0x10), -ENOENT);
	CHECK_ERR(transfer(b, 0, 99, 0, 0x10), -EINVAL);
	CHECK_ERR(transfer(b, 0, 99, 0, 0), -ENOENT);
	CHECK_ERR(transfer(a, 0, b, 0, 0), -EINVAL); /* no fence in b */
	CHECK_OK(transfer(t, 9, a, 0, 0));
	CHECK_EQ(query(t, 0), 9);
	CHECK_ERR(transfer(b, 0, t, 10, 0), -EINVAL);
	CHECK_OK(transfer(b, 0, t, 9, 0));
	CHECK_OK(client_syncobj_wait(c.file, b, 0));
	later.handle = t;
	later.point = 12;
	CHECK_OK(port_thread_create(&thread, "later", signal_later, &later));
	CHECK_OK(transfer(b, 0, t, 12, DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT));
	port_thread_join(thread);
	client_fini(&c);
}

/* ---- eventfds -------------------------------------------------------------------------------- */

static int eventfd(uint32_t handle, uint64_t point, uint32_t flags, int fd)
{
	struct drm_syncobj_eventfd args = {
		.handle = handle,
		.flags = flags,
		.point = point,
		.fd = fd,
	};

	return IOCTL(c.file, SYNCOBJ_EVENTFD, &args);
}

/* Workers signal: give them time. */
static bool eventfd_comes(unsigned i)
{
	struct port_wq wq;

	port_wq_init(&wq);
	for (unsigned ms = 0; ms < 2000 && atomic_load(&c.host.eventfd[i].count) == 0; ms++) {
		port_wq_wait(&wq, port_wq_prepare(&wq), port_now_ns() + MS, 0);
	}
	return atomic_load(&c.host.eventfd[i].count) == 1;
}

static void eventfds_are_signalled_once(void)
{
	struct drm_syncobj_eventfd padded = { .pad = 1 };
	uint32_t so;

	client_init(&c, "lnl");
	so = client_syncobj(c.file, false);
	CHECK_ERR(IOCTL(c.file, SYNCOBJ_EVENTFD, &padded), -EINVAL);
	CHECK_ERR(eventfd(99, 0, 1, 0), -EINVAL);
	CHECK_ERR(eventfd(99, 0, 0, 0), -ENOENT);
	CHECK_ERR(eventfd(so, 0, 0, -1), -EBADF);
	CHECK_ERR(eventfd(so, 0, 0, 44), -EINVAL);
	CHECK_OK(eventfd(so, 2, 0, 0));
	CHECK_OK(eventfd(so, 1, DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE, 1));
	CHECK_OK(client_point_signal(c.file, so, 1));
	CHECK(eventfd_comes(1));
	CHECK_EQ(atomic_load(&c.host.eventfd[0].count), 0);
	CHECK_OK(client_point_signal(c.file, so, 3));
	CHECK(eventfd_comes(0));
	CHECK_OK(eventfd(so, 3, 0, 2)); /* it has come already */
	CHECK(eventfd_comes(2));
	CHECK_OK(client_point_signal(c.file, so, 4));
	CHECK_EQ(atomic_load(&c.host.eventfd[0].count), 1);
	client_fini(&c);
}

static void eventfds_end_with_the_file(void)
{
	struct uapi_file *other;
	uint32_t so, same = 0;
	struct drm_syncobj_eventfd args = { .fd = 3 };
	int fd;

	client_init(&c, "lnl");
	other = client_open(&c, true);
	so = client_syncobj(c.file, false);
	CHECK_OK(handle_to_fd(so, 0, 0, &fd));
	CHECK_OK(fd_to_handle(other, fd, 0, 0, &same));
	args.handle = same;
	CHECK_OK(IOCTL(other, SYNCOBJ_EVENTFD, &args));
	CHECK_EQ(atomic_load(&c.host.eventfd[3].refs), 1);
	uapi_close(other);
	CHECK_OK(client_syncobj_signal(c.file, so));
	CHECK_EQ(atomic_load(&c.host.eventfd[3].count), 0);
	client_fini(&c);
}

static void close_against_signal(uint64_t seed)
{
	struct drm_syncobj_eventfd args = { .fd = 0 };
	struct uapi_file *other;
	struct port_thread *thread;
	struct later later = { 0 };
	uint32_t same = 0;
	int fd;

	client_init(&c, "lnl");
	other = client_open(&c, true);
	later.handle = client_syncobj(c.file, false);
	CHECK_OK(handle_to_fd(later.handle, 0, 0, &fd));
	CHECK_OK(fd_to_handle(other, fd, 0, 0, &same));
	args.handle = same;
	CHECK_OK(IOCTL(other, SYNCOBJ_EVENTFD, &args));
	CHECK_OK(port_thread_create(&thread, "later", signal_later, &later));
	uapi_close(other);
	port_thread_join(thread);
	CHECK(atomic_load(&c.host.eventfd[0].count) <= 1);
	client_fini(&c);
}

static void closing_races_with_signalling(void)
{
	test_seeds(close_against_signal, 1, test_scale(60));
}

static const struct test_case cases[] = {
	TEST(create_and_destroy),
	TEST(descriptors_carry_the_syncobj),
	TEST(sync_files_carry_the_fence),
	TEST(waits_check_in_order),
	TEST(waits_end_with_the_signal),
	TEST(timelines),
	TEST(arrays_check_in_order),
	TEST(arrays_of_any_length),
	TEST(timeline_wait_pointers),
	TEST(transfers),
	TEST(eventfds_are_signalled_once),
	TEST(eventfds_end_with_the_file),
	TEST(closing_races_with_signalling),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
