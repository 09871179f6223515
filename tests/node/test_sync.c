// SPDX-License-Identifier: MIT
/* Sync files and software timelines as descriptors: polled, closed, inherited, sent elsewhere. */
#include "client.h"

#include "uapi/vmb_sync.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define SW_SYNC "/sys/kernel/debug/sync/sw_sync"
#define LONG_MS 20000
#define BO_B (64 * KIB)
#define SPIN_FLAG 100

static int timeline_open(void)
{
	int fd = open(SW_SYNC, O_RDWR | O_CLOEXEC);

	CHECK(fd >= 0);
	return fd;
}

static int fence_at(int timeline, uint32_t value)
{
	struct sw_sync_create_fence_data data = { .value = value };

	CHECK_EQ(ioctl(timeline, SW_SYNC_IOC_CREATE_FENCE, &data), 0);
	CHECK_EQ(fcntl(data.fence, F_GETFD), FD_CLOEXEC);
	return data.fence;
}

static int inc(int timeline, uint32_t step)
{
	return ioctl(timeline, SW_SYNC_IOC_INC, &step) ? -errno : 0;
}

static int merge(int a, int b)
{
	struct sync_merge_data data = { .fd2 = b };

	return ioctl(a, SYNC_IOC_MERGE, &data) ? -errno : data.fence;
}

/* 0, 1 or -errno of what it ended with. */
static int status_of(int fd)
{
	struct sync_file_info info = { 0 };

	CHECK_EQ(ioctl(fd, SYNC_IOC_FILE_INFO, &info), 0);
	return info.status;
}

static unsigned parts_of(int fd)
{
	struct sync_file_info info = { 0 };

	CHECK_EQ(ioctl(fd, SYNC_IOC_FILE_INFO, &info), 0);
	return info.num_fences;
}

static bool readable(int fd, int timeout_ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	int n = poll(&poll_fd, 1, timeout_ms);

	CHECK(n == 0 || (n == 1 && poll_fd.revents == POLLIN));
	return n == 1;
}

/* fork(); the child does not outlive us. */
static pid_t child(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	}
	return pid;
}

static void end_well(pid_t pid)
{
	int status = -1;

	CHECK(pid > 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

/* Two processes in step. */
static int line[2];

static void line_open(void)
{
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line), 0);
}

static void line_close(void)
{
	close(line[0]);
	close(line[1]);
}

static void say(int end, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .head = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct iovec io = { .iov_base = "x", .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &io, .msg_iovlen = 1 };

	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
	}
	CHECK_EQ(sendmsg(line[end], &msg, 0), 1);
}

static int hear(int end)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	struct iovec io = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &io,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *head;
	int fd = -1;

	CHECK_EQ(recvmsg(line[end], &msg, MSG_CMSG_CLOEXEC), 1);
	head = CMSG_FIRSTHDR(&msg);
	if (head) {
		memcpy(&fd, CMSG_DATA(head), sizeof(fd));
	}
	return fd;
}

/* ---- in one process -------------------------------------------------------------------------- */

static void the_file_is_there(void)
{
	int timeline = timeline_open();
	struct stat st;
	char link[64], name[64] = "";

	CHECK_EQ(access(SW_SYNC, R_OK | W_OK), 0);
	CHECK_EQ(stat(SW_SYNC, &st), 0);
	CHECK(S_ISREG(st.st_mode));
	CHECK_EQ(fstat(timeline, &st), 0);
	CHECK(S_ISREG(st.st_mode));
	snprintf(link, sizeof(link), "/proc/self/fd/%d", timeline);
	CHECK_EQ(readlink(link, name, sizeof(name) - 1), strlen(SW_SYNC));
	CHECK_ERRNO(ioctl(timeline, DRM_IOCTL_VERSION, name), ENOTTY);
	CHECK_ERRNO(ioctl(timeline, SYNC_IOC_MERGE, name), ENOTTY);
	CHECK_ERRNO(read(timeline, name, 1), EINVAL);
	CHECK_ERRNO(write(timeline, name, 1), EINVAL);
	CHECK_EQ(close(timeline), 0);
	CHECK_ERRNO(ioctl(timeline, SW_SYNC_IOC_INC, name), EBADF);
}

static void *inc_run(void *arg)
{
	int timeline = *(int *)arg;

	usleep(20000);
	inc(timeline, 1);
	return NULL;
}

static void select_and_epoll_hear_of_it(void)
{
	int timeline = timeline_open(), fence[3], set = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN };
	struct timeval now = { 0 }, later = { LONG_MS / 1000, 0 };
	struct timespec spec = { LONG_MS / 1000, 0 };
	struct pollfd poll_fd = { .events = POLLIN };
	pthread_t thread;
	fd_set in;

	for (unsigned i = 0; i < 3; i++) {
		fence[i] = fence_at(timeline, i + 1);
		CHECK(!readable(fence[i], 0));
	}
	CHECK_EQ(epoll_ctl(set, EPOLL_CTL_ADD, fence[0], &event), 0);
	CHECK_EQ(epoll_wait(set, &event, 1, 0), 0);
	CHECK_EQ(pthread_create(&thread, NULL, inc_run, &timeline), 0);
	CHECK_EQ(epoll_wait(set, &event, 1, LONG_MS), 1);
	pthread_join(thread, NULL);
	FD_ZERO(&in);
	FD_SET(fence[1], &in);
	CHECK_EQ(select(fence[1] + 1, &in, NULL, NULL, &now), 0);
	FD_SET(fence[1], &in);
	CHECK_EQ(pthread_create(&thread, NULL, inc_run, &timeline), 0);
	CHECK_EQ(select(fence[1] + 1, &in, NULL, NULL, &later), 1);
	pthread_join(thread, NULL);
	poll_fd.fd = fence[2];
	CHECK_EQ(pthread_create(&thread, NULL, inc_run, &timeline), 0);
	CHECK_EQ(ppoll(&poll_fd, 1, &spec, NULL), 1);
	pthread_join(thread, NULL);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(status_of(fence[i]), 1);
		close(fence[i]);
	}
	close(set);
	close(timeline);
}

static void only_sync_files_merge(void)
{
	int timeline = timeline_open(), fence = fence_at(timeline, 1), card = client_open(CARD);
	int plain = open("/dev/null", O_RDWR), event = eventfd(0, EFD_CLOEXEC), pair[2], merged;
	struct sync_file_info info = { 0 };

	CHECK_EQ(merge(fence, -1), -ENOENT);
	CHECK_EQ(merge(fence, card), -ENOENT);
	CHECK_EQ(merge(fence, plain), -ENOENT);
	CHECK_EQ(merge(fence, event), -ENOENT);
	CHECK_EQ(merge(fence, timeline), -ENOENT);
	CHECK_ERRNO(ioctl(event, SYNC_IOC_FILE_INFO, &info), ENOTTY);
	CHECK_EQ(pipe(pair), 0);
	CHECK_ERRNO(ioctl(pair[1], SW_SYNC_IOC_INC, &info), ENOTTY);
	merged = merge(fence, fence);
	CHECK(merged >= 0);
	CHECK_EQ(close(fence), 0);
	CHECK_EQ(inc(timeline, 1), 0);
	CHECK(readable(merged, 0));
	close(merged);
	close(pair[0]);
	close(pair[1]);
	close(event);
	close(plain);
	close(card);
	close(timeline);
}

static void the_last_close_ends_the_timeline(void)
{
	int timeline = timeline_open(), copy = dup(timeline), high = fcntl(copy, F_DUPFD, 40);
	int reached = fence_at(timeline, 1), left = fence_at(copy, 2), other = dup(left);

	CHECK_EQ(close(timeline), 0);
	CHECK_EQ(inc(copy, 1), 0);
	CHECK_EQ(close(copy), 0);
	CHECK(readable(reached, 0) && !readable(left, 0));
	CHECK_EQ(close(left), 0);
	CHECK_EQ(dup2(other, high), high);
	CHECK(readable(other, 0));
	CHECK_EQ(status_of(reached), 1);
	CHECK_EQ(status_of(high), -ENOENT);
	close(reached);
	close(other);
	close(high);
}

static void nothing_is_left_open(void)
{
	int before = client_open_fds();

	for (unsigned i = 0; i < 600; i++) {
		int timeline = timeline_open(), fence = fence_at(timeline, 1);
		int merged = merge(fence, fence);

		CHECK(merged >= 0 && merged < 100);
		if (i % 2) {
			CHECK_EQ(inc(timeline, 1), 0);
		}
		close(i % 3 ? timeline : merged);
		close(fence);
		close(i % 3 ? merged : timeline);
	}
	CHECK_EQ(client_open_fds(), before);
}

/* Its last descriptor goes with a message that nobody receives. */
static void a_timeline_lost_on_its_way(void)
{
	int timeline = timeline_open(), fence = fence_at(timeline, 1);

	line_open();
	say(0, timeline);
	CHECK_EQ(close(timeline), 0);
	CHECK(!readable(fence, 0));
	line_close();
	CHECK(readable(fence, LONG_MS));
	CHECK_EQ(status_of(fence), -ENOENT);
	close(fence);
}

/* ---- device work ----------------------------------------------------------------------------- */

static uint32_t import(int fd, int sync_file)
{
	struct drm_syncobj_handle args = {
		.handle = client_syncobj(fd),
		.flags = DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE,
		.fd = sync_file,
	};

	CHECK_EQ(ioctl(fd, DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, &args), 0);
	return args.handle;
}

static int export(int fd, uint32_t syncobj)
{
	struct drm_syncobj_handle args = {
		.handle = syncobj,
		.flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE,
	};

	CHECK_EQ(ioctl(fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &args), 0);
	return args.fd;
}

/* A bind that waits for @in; the syncobj it signals. */
static uint32_t bind_behind(int fd, uint32_t in)
{
	struct drm_xe_vm_create vm = { 0 };
	uint32_t out = client_syncobj(fd);
	struct drm_xe_sync sync[2] = {
		{ .type = DRM_XE_SYNC_TYPE_SYNCOBJ, .addr = in },
		{ .type = DRM_XE_SYNC_TYPE_SYNCOBJ, .flags = DRM_XE_SYNC_FLAG_SIGNAL, .addr = out },
	};
	struct drm_xe_vm_bind bind = {
		.num_binds = 1,
		.bind = { .obj = client_bo(fd, BO_B), .pat_index = 2, .range = BO_B,
			  .addr = 1 << 30, .op = DRM_XE_VM_BIND_OP_MAP },
		.num_syncs = 2,
		.syncs = (uintptr_t)sync,
	};

	CHECK_EQ(ioctl(fd, DRM_IOCTL_XE_VM_CREATE, &vm), 0);
	bind.vm_id = vm.vm_id;
	CHECK_EQ(ioctl(fd, DRM_IOCTL_XE_VM_BIND, &bind), 0);
	return out;
}

/*
 * A batch that runs until its word SPIN_FLAG is 0; *done_out is the sync file it signals. The batch
 * ends when that word is no more than 0, else it starts again.
 */
static uint32_t *spin(int fd, int *done_out)
{
	const uint64_t addr = 1 << 30;
	const uint32_t code[] = { 0x1b200002, 0, (uint32_t)addr + 4 * SPIN_FLAG, 0,
				  0x18800101, (uint32_t)addr, 0 };
	uint32_t bo = client_bo(fd, BO_B);
	struct drm_xe_vm_create vm = { 0 };
	struct drm_xe_engine_class_instance engine = { .engine_class = DRM_XE_ENGINE_CLASS_COPY };
	struct drm_xe_exec_queue_create queue = {
		.width = 1,
		.num_placements = 1,
		.instances = (uintptr_t)&engine,
	};
	struct drm_xe_sync sync = { .type = DRM_XE_SYNC_TYPE_SYNCOBJ,
				    .flags = DRM_XE_SYNC_FLAG_SIGNAL,
				    .addr = client_syncobj(fd) };
	struct drm_xe_vm_bind bind = {
		.num_binds = 1,
		.bind = { .obj = bo, .pat_index = 2, .range = BO_B, .addr = addr,
			  .op = DRM_XE_VM_BIND_OP_MAP },
	};
	struct drm_xe_exec exec = {
		.num_syncs = 1,
		.syncs = (uintptr_t)&sync,
		.address = addr,
		.num_batch_buffer = 1,
	};
	uint32_t *batch = mmap(NULL, BO_B, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			       (off_t)client_mmap_offset(fd, bo));

	CHECK(batch != MAP_FAILED);
	memcpy(batch, code, sizeof(code));
	batch[SPIN_FLAG] = 1;
	CHECK_EQ(ioctl(fd, DRM_IOCTL_XE_VM_CREATE, &vm), 0);
	bind.vm_id = queue.vm_id = vm.vm_id;
	CHECK_EQ(ioctl(fd, DRM_IOCTL_XE_VM_BIND, &bind), 0);
	CHECK_EQ(ioctl(fd, DRM_IOCTL_XE_EXEC_QUEUE_CREATE, &queue), 0);
	exec.exec_queue_id = queue.exec_queue_id;
	CHECK_EQ(ioctl(fd, DRM_IOCTL_XE_EXEC, &exec), 0);
	*done_out = export(fd, (uint32_t)sync.addr);
	return batch;
}

static int64_t in_ms(int64_t ms)
{
	return client_now_ns() + ms * 1000000;
}

/* ---- several processes ----------------------------------------------------------------------- */

static void a_child_wakes_poll(void)
{
	int timeline = timeline_open(), before = fence_at(timeline, 1), after;
	pid_t pid;

	line_open();
	pid = child();
	if (pid == 0) {
		hear(1);
		_exit(inc(timeline, 1) || !readable(before, 0) || (hear(1), inc(timeline, 1)));
	}
	CHECK(!readable(before, 0));
	say(0, -1);
	CHECK(readable(before, LONG_MS));
	after = fence_at(timeline, 2);
	CHECK(!readable(after, 0));
	say(0, -1);
	CHECK(readable(after, LONG_MS));
	CHECK_EQ(status_of(after), 1);
	end_well(pid);
	close(before);
	close(after);
	close(timeline);
	line_close();
}

static void a_child_starts_device_work(void)
{
	int fd = client_open(CARD), timeline = timeline_open(), fence = fence_at(timeline, 1), done;
	uint32_t out = bind_behind(fd, import(fd, fence));
	pid_t pid;

	line_open();
	done = export(fd, out);
	pid = child();
	if (pid == 0) {
		hear(1);
		_exit(inc(timeline, 1) ? 1 : 0);
	}
	CHECK_EQ(client_syncobj_wait(fd, out, in_ms(2)), -ETIME);
	say(0, -1);
	CHECK_EQ(client_syncobj_wait(fd, out, in_ms(LONG_MS)), 0);
	CHECK(readable(done, LONG_MS));
	end_well(pid);
	close(done);
	close(fence);
	close(timeline);
	close(fd);
	line_close();
}

/* In the child the parent's work is over at once, but the descriptor is the parent's too. */
static void a_child_does_not_end_the_parents_work(void)
{
	int fd = client_open(CARD), done;
	volatile uint32_t *batch;
	pid_t pid;

	batch = spin(fd, &done);
	pid = child();
	if (pid == 0) {
		_exit(client_syncobj_wait(fd, import(fd, done), in_ms(LONG_MS)) ||
		      status_of(done) != -ECANCELED || readable(done, 0));
	}
	end_well(pid);
	CHECK(!readable(done, 0));
	batch[SPIN_FLAG] = 0;
	CHECK(readable(done, LONG_MS));
	CHECK_EQ(status_of(done), 1);
	munmap((void *)batch, BO_B);
	close(done);
	close(fd);
}

static void a_timeline_ends_with_the_last_process(void)
{
	int timeline = timeline_open(), fence = fence_at(timeline, 1);
	pid_t pid;

	line_open();
	pid = child();
	if (pid == 0) {
		hear(1);
		raise(SIGKILL);
	}
	CHECK_EQ(close(timeline), 0);
	CHECK(!readable(fence, 0));
	say(0, -1);
	CHECK(readable(fence, LONG_MS));
	CHECK_EQ(status_of(fence), -ENOENT);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	close(fence);
	line_close();
}

static void a_timeline_from_a_child(void)
{
	int fd = client_open(CARD), timeline, fence;
	pid_t pid;

	line_open();
	pid = child();
	if (pid == 0) {
		timeline = timeline_open();
		say(1, timeline);
		hear(1);
		_exit(inc(timeline, 1) ? 1 : 0);
	}
	timeline = hear(0);
	fence = fence_at(timeline, 1);
	CHECK(!readable(fence, 0));
	say(0, -1);
	CHECK(readable(fence, LONG_MS));
	end_well(pid);
	/* It goes on without the process that made it. */
	close(fence);
	fence = fence_at(timeline, 2);
	CHECK(!readable(fence, 0));
	CHECK_EQ(inc(timeline, 1), 0);
	CHECK(readable(fence, 0));
	CHECK_EQ(close(timeline), 0);
	close(fence);
	close(fd);
	line_close();
}

static void a_sync_file_from_a_child(void)
{
	int fd = client_open(CARD), timeline = timeline_open(), fence, merged;
	uint32_t out;
	pid_t pid;

	line_open();
	pid = child();
	if (pid == 0) {
		int own = timeline_open();

		say(1, merge(fence_at(timeline, 1), fence_at(own, 1)));
		hear(1);
		_exit(inc(own, 1) ? 1 : 0);
	}
	fence = hear(0);
	CHECK_EQ(parts_of(fence), 2);
	CHECK_EQ(status_of(fence), 0);
	out = bind_behind(fd, import(fd, fence));
	say(0, -1);
	/* The one who made it is gone. */
	end_well(pid);
	CHECK(!readable(fence, 0));
	merged = merge(fence, fence);
	CHECK_EQ(inc(timeline, 1), 0);
	CHECK(readable(fence, LONG_MS));
	CHECK(readable(merged, LONG_MS));
	CHECK_EQ(client_syncobj_wait(fd, out, in_ms(LONG_MS)), 0);
	close(merged);
	close(fence);
	close(timeline);
	close(fd);
	line_close();
}

/* What the child's device signals is known here by the descriptor alone. */
static void a_childs_device_work(void)
{
	int fd = client_open(CARD), timeline = timeline_open(), fence;
	uint32_t out;
	pid_t pid;

	line_open();
	pid = child();
	if (pid == 0) {
		int own = client_open(CARD);

		say(1, export(own, bind_behind(own, import(own, fence_at(timeline, 1)))));
		hear(1);
		_exit(0);
	}
	fence = hear(0);
	out = bind_behind(fd, import(fd, fence));
	CHECK_EQ(status_of(fence), 0);
	CHECK_EQ(client_syncobj_wait(fd, out, in_ms(2)), -ETIME);
	CHECK_EQ(inc(timeline, 1), 0);
	CHECK(readable(fence, LONG_MS));
	CHECK_EQ(client_syncobj_wait(fd, out, in_ms(LONG_MS)), 0);
	CHECK_EQ(status_of(fence), 1);
	say(0, -1);
	end_well(pid);
	close(fence);
	close(timeline);
	close(fd);
	line_close();
}

/* Its work ended with it, and so does what waits for that. */
static void a_killed_childs_device_work(void)
{
	int fd = client_open(CARD), timeline = timeline_open(), fence;
	uint32_t out;
	pid_t pid;

	line_open();
	pid = child();
	if (pid == 0) {
		int own = client_open(CARD);

		say(1, export(own, bind_behind(own, import(own, fence_at(timeline, 1)))));
		hear(1);
		raise(SIGKILL);
	}
	fence = hear(0);
	out = bind_behind(fd, import(fd, fence));
	CHECK_EQ(status_of(fence), 0);
	say(0, -1);
	CHECK_EQ(client_syncobj_wait(fd, out, in_ms(LONG_MS)), 0);
	CHECK(readable(fence, LONG_MS));
	CHECK_EQ(status_of(fence), -ECANCELED);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	close(fence);
	close(timeline);
	close(fd);
	line_close();
}

/* Who has it here, closes it, and still signals it for who has it there. */
static void closed_here_and_polled_there(void)
{
	int timeline = timeline_open(), sent = fence_at(timeline, 1), kept = fence_at(timeline, 2);
	int fd = client_open(CARD), done = export(fd, bind_behind(fd, import(fd, sent)));
	pid_t pid;

	line_open();
	say(0, sent);
	close(sent);
	sent = hear(1);
	CHECK(!readable(sent, 0));
	pid = child();
	if (pid == 0) {
		close(timeline);
		_exit(!readable(sent, LONG_MS) || !readable(done, LONG_MS) ||
		      !readable(kept, LONG_MS));
	}
	close(kept);
	close(done);
	CHECK_EQ(inc(timeline, 1), 0);
	CHECK(readable(sent, 0));
	CHECK_EQ(close(timeline), 0);
	end_well(pid);
	close(sent);
	close(fd);
	line_close();
}

static void sent_to_oneself(void)
{
	int timeline = timeline_open(), fence = fence_at(timeline, 1), again;

	line_open();
	say(0, fence);
	say(0, timeline);
	CHECK_EQ(close(fence), 0);
	CHECK_EQ(close(timeline), 0);
	fence = hear(1);
	CHECK_EQ(status_of(fence), 0);
	timeline = hear(1);
	again = fence_at(timeline, 2);
	CHECK_EQ(inc(timeline, 1), 0);
	CHECK(readable(fence, 0) && !readable(again, 0));
	CHECK_EQ(close(timeline), 0);
	CHECK(readable(again, LONG_MS));
	CHECK_EQ(status_of(again), -ENOENT);
	close(again);
	close(fence);
	line_close();
}

/* What the kernel would refuse is the kernel's to refuse. */
static void messages_that_cannot_be_read(void)
{
	void *hole = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec byte = { .iov_base = "x", .iov_len = 1 };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct msghdr msg = { .msg_iov = &byte, .msg_iovlen = 1 };
	int timeline = timeline_open();

	line_open();
	CHECK(hole != MAP_FAILED);
	CHECK(sendmsg(line[0], hole, 0) == -1 && errno == EFAULT);
	msg.msg_control = hole;
	msg.msg_controllen = CMSG_SPACE(sizeof(int));
	CHECK(sendmsg(line[0], &msg, 0) == -1 && errno == EFAULT);
	/* Its length says more than there is. */
	msg.msg_control = control;
	msg.msg_controllen = sizeof(control);
	CMSG_FIRSTHDR(&msg)->cmsg_level = SOL_SOCKET;
	CMSG_FIRSTHDR(&msg)->cmsg_type = SCM_RIGHTS;
	CMSG_FIRSTHDR(&msg)->cmsg_len = CMSG_LEN(1 << 20);
	CHECK(sendmsg(line[0], &msg, 0) == -1 && errno == EINVAL);
	line_close();
	close(timeline);
	munmap(hole, 4096);
}

static const struct client_case cases[] = {
	CASE(the_file_is_there),
	CASE(select_and_epoll_hear_of_it),
	CASE(only_sync_files_merge),
	CASE(the_last_close_ends_the_timeline),
	CASE(nothing_is_left_open),
	CASE(a_timeline_lost_on_its_way),
	CASE(sent_to_oneself),
	CASE(messages_that_cannot_be_read),
	CASE(a_child_wakes_poll),
	CASE(a_child_starts_device_work),
	CASE(a_child_does_not_end_the_parents_work),
	CASE(a_timeline_ends_with_the_last_process),
	CASE(a_timeline_from_a_child),
	CASE(a_sync_file_from_a_child),
	CASE(a_childs_device_work),
	CASE(a_killed_childs_device_work),
	CASE(closed_here_and_polled_there),
};

int main(void)
{
	return client_main(cases, sizeof(cases) / sizeof(cases[0]));
}
