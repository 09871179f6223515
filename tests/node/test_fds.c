// SPDX-License-Identifier: MIT
/* A descriptor of the device in all the ways a program handles descriptors. */
#include "client.h"

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static void both_nodes_open(void)
{
	int card = client_open(CARD), render = client_open(RENDER);

	CHECK_EQ(client_version(card), 0);
	CHECK_EQ(client_version(render), 0);
	CHECK_EQ(close(card), 0);
	CHECK_EQ(client_version(render), 0);
	CHECK_EQ(close(render), 0);
}

static void fstat_is_a_device(void)
{
	int fd = client_open(CARD), render = client_open(RENDER);
	struct statx stx;
	struct stat st;

	CHECK_EQ(fstat(fd, &st), 0);
	CHECK(S_ISCHR(st.st_mode));
	CHECK_EQ(st.st_rdev, makedev(226, 0));
	CHECK_EQ(fstat(render, &st), 0);
	CHECK_EQ(st.st_rdev, makedev(226, 128));
	CHECK_EQ(fstatat(fd, "", &st, AT_EMPTY_PATH), 0);
	CHECK_EQ(st.st_rdev, makedev(226, 0));
	CHECK_EQ(statx(fd, "", AT_EMPTY_PATH, STATX_ALL, &stx), 0);
	CHECK(S_ISCHR(stx.stx_mode));
	CHECK_EQ(stx.stx_rdev_major, 226);
	close(fd);
	close(render);
}

static void readlink_names_the_node(void)
{
	char link[64], name[64] = "";
	int fd = client_open(RENDER);

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	CHECK_EQ(readlink(link, name, sizeof(name) - 1), strlen(RENDER));
	CHECK_EQ(strcmp(name, RENDER), 0);
	snprintf(link, sizeof(link), "/proc/%d/fd/%d", getpid(), fd);
	CHECK_EQ(readlink(link, name, 5), 5);
	close(fd);
}

static void reopen_is_another_file(void)
{
	int fd = client_open(CARD), again;
	uint32_t handle = client_bo(fd, 4 * KIB);
	struct drm_gem_close gem_close = { .handle = handle };
	char link[64];
	struct stat st;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	again = open(link, O_RDWR);
	CHECK(again >= 0);
	CHECK_EQ(fstat(again, &st), 0);
	CHECK_EQ(st.st_rdev, makedev(226, 0));
	/* The handle belongs to the first file. */
	CHECK_ERRNO(ioctl(again, DRM_IOCTL_GEM_CLOSE, &gem_close), EINVAL);
	CHECK_EQ(close(fd), 0);
	CHECK_EQ(client_version(again), 0);
	CHECK_ERRNO(open(link, O_RDWR), ENOENT);
	close(again);
}

static void dup_shares_the_file(void)
{
	int fd = client_open(CARD), a = dup(fd), b = fcntl(fd, F_DUPFD_CLOEXEC, 50), c;
	uint32_t handle = client_bo(fd, 4 * KIB);
	struct drm_gem_close gem_close = { .handle = handle };

	CHECK(a >= 0 && b >= 50);
	CHECK_EQ(fcntl(b, F_GETFD), FD_CLOEXEC);
	c = dup2(fd, 60);
	CHECK_EQ(c, 60);
	CHECK_EQ(close(fd), 0);
	CHECK_EQ(close(a), 0);
	CHECK_EQ(client_version(b), 0);
	CHECK_EQ(ioctl(c, DRM_IOCTL_GEM_CLOSE, &gem_close), 0);
	CHECK_EQ(close(c), 0);
	CHECK_EQ(client_version(b), 0);
	CHECK_EQ(close(b), 0);
	CHECK_EQ(client_version(b), -EBADF);
}

static void dup2_over_the_device(void)
{
	int fd = client_open(CARD), other = open("/dev/null", O_RDWR);
	struct stat st;

	CHECK_EQ(dup2(other, fd), fd);
	CHECK_EQ(fstat(fd, &st), 0);
	CHECK_EQ(st.st_rdev, makedev(1, 3));
	CHECK_EQ(client_version(fd), -ENOTTY);
	CHECK_EQ(close(fd), 0);
	fd = client_open(CARD);
	CHECK_EQ(dup3(fd, other, O_CLOEXEC), other);
	CHECK_EQ(client_version(other), 0);
	CHECK_EQ(dup2(fd, fd), fd);
	CHECK_ERRNO(dup3(fd, fd, 0), EINVAL);
	CHECK_EQ(client_version(fd), 0);
	close(other);
	close(fd);
}

/* The object behind the handle is as alive after a descriptor could not be had as before. */
static void no_descriptor_is_left(void)
{
	struct drm_syncobj_create create = { 0 };
	struct drm_syncobj_handle to_fd = { 0 };
	struct drm_prime_handle prime = { .flags = DRM_CLOEXEC };
	struct rlimit before, few;
	int fd = client_open(RENDER);

	prime.handle = client_bo(fd, 64 * KIB);
	CHECK_EQ(ioctl(fd, DRM_IOCTL_SYNCOBJ_CREATE, &create), 0);
	to_fd.handle = create.handle;
	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = 0;
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (int i = 0; i < 3; i++) {
		CHECK_ERRNO(ioctl(fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &to_fd), EMFILE);
		CHECK_ERRNO(ioctl(fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime), EMFILE);
	}
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
	CHECK_EQ(ioctl(fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &to_fd), 0);
	CHECK_EQ(ioctl(fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime), 0);
	CHECK_EQ(close(to_fd.fd), 0);
	CHECK_EQ(close(prime.fd), 0);
	close(fd);
}

static void number_is_reused(void)
{
	int fd = client_open(CARD), again;

	CHECK_EQ(close(fd), 0);
	CHECK_ERRNO(close(fd), EBADF);
	again = open("/dev/null", O_RDWR);
	CHECK_EQ(again, fd);
	CHECK_EQ(client_version(fd), -ENOTTY);
	close(again);
	again = client_open(RENDER);
	CHECK_EQ(again, fd);
	CHECK_EQ(client_version(fd), 0);
	close(again);
}

static void fclose_closes_it(void)
{
	int fd = client_open(CARD);
	FILE *stream = fdopen(fd, "r+");

	CHECK(stream);
	CHECK_EQ(fclose(stream), 0);
	CHECK_EQ(client_version(fd), -EBADF);
	CHECK_EQ(open("/dev/null", O_RDWR), fd);
	CHECK_EQ(client_version(fd), -ENOTTY);
	close(fd);
}

static void closing_everything_spares_us(void)
{
	int keep = client_open(CARD), before;

	closefrom(keep + 1); /* whatever the shell left open */
	before = client_open_fds();
	CHECK(client_open(RENDER) >= 0);
	CHECK(open("/dev/null", O_RDWR) >= 0);
	for (int fd = keep + 1; fd < 1024; fd++) {
		close(fd);
	}
	CHECK_EQ(client_open_fds(), before);
	CHECK_EQ(client_version(keep), 0);
	client_bo(keep, 64 * KIB);
	CHECK(client_open(RENDER) >= 0);
	CHECK_EQ(close_range((unsigned)keep + 1, ~0u, 0), 0);
	CHECK_EQ(client_open_fds(), before);
	CHECK_EQ(client_version(client_open(CARD)), 0);
	closefrom(keep + 1);
	CHECK_EQ(client_version(keep), 0);
	CHECK_EQ(client_open_fds(), before);
	CHECK_EQ(close_range((unsigned)keep, (unsigned)keep, 0), 0);
	CHECK_EQ(client_version(keep), -EBADF);
}

static void other_ioctls(void)
{
	int fd = client_open(CARD), on = 1;
	char buf[8] = "";

	CHECK_ERRNO(ioctl(fd, TIOCGWINSZ, buf), ENOTTY);
	CHECK_EQ(isatty(fd), 0);
	CHECK_EQ(ioctl(fd, FIONBIO, &on), 0);
	CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
	CHECK_EQ(ioctl(fd, FIOCLEX), 0);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_ERRNO(ioctl(fd, DRM_IOCTL_VERSION, NULL), EFAULT);
	CHECK_ERRNO(ioctl(fd, DRM_REQ_IO(0x9f), NULL), EINVAL);
	CHECK_ERRNO(ioctl(-1, DRM_IOCTL_VERSION, buf), EBADF);
	close(fd);
}

static void reading_and_writing(void)
{
	int fd = open(CARD, O_RDWR | O_NONBLOCK);
	char buf[8] = "";

	CHECK_ERRNO(read(fd, buf, sizeof(buf)), EAGAIN);
	CHECK_ERRNO(write(fd, buf, sizeof(buf)), EINVAL);
	CHECK_EQ(lseek(fd, 0, SEEK_END), 0);
	CHECK_ERRNO(fcntl(fd, F_GET_SEALS), EINVAL);
	close(fd);
}

static void never_readable(void)
{
	int fd = client_open(CARD), event = eventfd(1, 0), set = epoll_create1(0);
	struct pollfd fds[2] = { { fd, POLLIN, 0 }, { event, POLLIN, 0 } };
	struct epoll_event epoll_event = { .events = EPOLLIN };
	struct timeval now = { 0 };
	fd_set in;

	CHECK_EQ(poll(fds, 2, -1), 1);
	CHECK_EQ(fds[0].revents, 0);
	CHECK_EQ(fds[1].revents, POLLIN);
	CHECK_EQ(poll(fds, 1, 10), 0);
	CHECK_EQ(ppoll(fds, 1, &(struct timespec){ 0, 1000 }, NULL), 0);
	FD_ZERO(&in);
	FD_SET(fd, &in);
	FD_SET(event, &in);
	CHECK_EQ(select(event + 1, &in, NULL, NULL, &now), 1);
	CHECK(!FD_ISSET(fd, &in) && FD_ISSET(event, &in));
	CHECK_EQ(epoll_ctl(set, EPOLL_CTL_ADD, fd, &epoll_event), 0);
	CHECK_EQ(epoll_wait(set, &epoll_event, 1, 0), 0);
	CHECK_EQ(epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL), 0);
	close(set);
	close(event);
	close(fd);
}

static void open_modes(void)
{
	int fd = open(CARD, O_RDONLY);

	CHECK(fd >= 0);
	CHECK_EQ(client_version(fd), 0);
	close(fd);
	CHECK_ERRNO(open(CARD, O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	CHECK_ERRNO(open(CARD, O_RDWR | O_DIRECTORY), ENOTDIR);
	CHECK_ERRNO(open(CARD "/", O_RDWR), ENOTDIR);
	CHECK_ERRNO(open("/dev/dri/card1", O_RDWR), ENOENT);
	CHECK_ERRNO(open("/dev/dri/card1", O_RDWR | O_CREAT, 0600), EACCES);
	fd = open(CARD, O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0);
	CHECK_EQ(client_version(fd), 0);
	close(fd);
	fd = open(CARD, O_RDWR);
	CHECK_EQ(fcntl(fd, F_GETFD), 0);
	close(fd);
}

static void sync_file_polls(void)
{
	int fd = client_open(CARD);
	struct drm_syncobj_create create = { .flags = DRM_SYNCOBJ_CREATE_SIGNALED };
	struct drm_syncobj_handle export = {
		.flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE,
	};
	struct pollfd poll_fd = { .events = POLLIN };
	char buf[8];

	CHECK_EQ(ioctl(fd, DRM_IOCTL_SYNCOBJ_CREATE, &create), 0);
	export.handle = create.handle;
	CHECK_EQ(ioctl(fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &export), 0);
	poll_fd.fd = export.fd;
	CHECK_EQ(poll(&poll_fd, 1, 1000), 1);
	CHECK_EQ(poll_fd.revents, POLLIN);
	CHECK_ERRNO(read(export.fd, buf, sizeof(buf)), EINVAL);
	CHECK_EQ(poll(&poll_fd, 1, 0), 1);
	CHECK_ERRNO(ioctl(export.fd, DRM_IOCTL_VERSION, buf), ENOTTY);
	close(export.fd);
	close(fd);
}

static void syncobj_travels_by_fd(void)
{
	int a = client_open(CARD), b = client_open(RENDER);
	struct drm_syncobj_handle handle = { .handle = client_syncobj(a) };
	uint32_t there;

	there = handle.handle;
	CHECK_EQ(ioctl(a, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &handle), 0);
	handle.handle = 0;
	CHECK_EQ(ioctl(b, DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, &handle), 0);
	close(handle.fd);
	CHECK_EQ(client_syncobj_signal(a, there), 0);
	CHECK_EQ(client_syncobj_wait(b, handle.handle, 0), 0);
	handle.fd = a;
	CHECK_ERRNO(ioctl(b, DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, &handle), EINVAL);
	close(a);
	close(b);
}

static const struct client_case cases[] = {
	CASE(both_nodes_open),
	CASE(fstat_is_a_device),
	CASE(readlink_names_the_node),
	CASE(reopen_is_another_file),
	CASE(dup_shares_the_file),
	CASE(dup2_over_the_device),
	CASE(no_descriptor_is_left),
	CASE(number_is_reused),
	CASE(fclose_closes_it),
	CASE(closing_everything_spares_us),
	CASE(other_ioctls),
	CASE(reading_and_writing),
	CASE(never_readable),
	CASE(open_modes),
	CASE(sync_file_polls),
	CASE(syncobj_travels_by_fd),
};

int main(void)
{
	return client_main(cases, sizeof(cases) / sizeof(cases[0]));
}
