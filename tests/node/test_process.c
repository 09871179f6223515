// SPDX-License-Identifier: MIT
/* fork, vfork, exec and the end of a process that has the device open. */
#include "client.h"

#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define BO_B (64 * KIB)
#define SECOND_NS 1000000000ll

extern char **environ;

/* Exit code of @pid, 128+N for a signal. */
static int end_of(pid_t pid)
{
	int status = 0;

	CHECK(pid > 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void child_uses_inherited_file(void)
{
	int fd = client_open(CARD);
	uint32_t handle = client_bo(fd, BO_B);
	off_t offset = (off_t)client_mmap_offset(fd, handle);
	uint8_t *shared = mmap(NULL, BO_B, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
	pid_t pid;

	shared[0] = 1;
	pid = fork();
	if (pid == 0) {
		/* Mapped memory is the same memory, and what was there can be mapped anew. */
		uint8_t *again = mmap(NULL, BO_B, PROT_READ, MAP_SHARED, fd, offset);
		struct drm_gem_close gem_close = { .handle = handle };
		uint32_t own = client_bo(fd, BO_B);

		shared[1] = 2;
		_exit(client_version(fd) || again == MAP_FAILED || again[0] != 1 || !own ||
		      munmap(again, BO_B) || munmap(shared, BO_B) ||
		      ioctl(fd, DRM_IOCTL_GEM_CLOSE, &gem_close) || close(fd));
	}
	CHECK_EQ(end_of(pid), 0);
	CHECK_EQ(shared[0] + shared[1], 3);
	/* The child's close was the child's. */
	CHECK_EQ(client_version(fd), 0);
	CHECK_EQ(client_mmap_offset(fd, handle), (uint64_t)offset);
	munmap(shared, BO_B);
	close(fd);
}

/* A user fence is written by a worker, and fork() took none of them along. */
static int bind_and_wait(int fd)
{
	struct drm_xe_vm_create vm = { 0 };
	uint64_t word = 0;
	struct drm_xe_sync sync = { .type = DRM_XE_SYNC_TYPE_USER_FENCE,
				    .flags = DRM_XE_SYNC_FLAG_SIGNAL,
				    .addr = (uintptr_t)&word,
				    .timeline_value = 5 };
	struct drm_xe_vm_bind bind = {
		.num_binds = 1,
		.bind = { .obj = client_bo(fd, BO_B), .pat_index = 2, .range = BO_B,
			  .addr = 1 << 30, .op = DRM_XE_VM_BIND_OP_MAP },
		.num_syncs = 1,
		.syncs = (uintptr_t)&sync,
	};
	struct drm_xe_wait_user_fence wait = { .addr = (uintptr_t)&word, .value = 5,
					       .mask = UINT64_MAX, .timeout = 5000000000 };

	if (ioctl(fd, DRM_IOCTL_XE_VM_CREATE, &vm)) {
		return 1;
	}
	bind.vm_id = vm.vm_id;
	return ioctl(fd, DRM_IOCTL_XE_VM_BIND, &bind) ||
	       ioctl(fd, DRM_IOCTL_XE_WAIT_USER_FENCE, &wait);
}

static void child_has_workers_of_its_own(void)
{
	int fd = client_open(RENDER);
	pid_t pid;

	CHECK_EQ(bind_and_wait(fd), 0);
	pid = fork();
	if (pid == 0) {
		_exit(bind_and_wait(fd));
	}
	CHECK_EQ(end_of(pid), 0);
	CHECK_EQ(bind_and_wait(fd), 0);
	close(fd);
}

static void child_opens_its_own(void)
{
	int before = client_open_fds();
	pid_t pid = fork();

	if (pid == 0) {
		int fd = client_open(RENDER);

		client_bo(fd, BO_B);
		_exit(client_version(fd));
	}
	CHECK_EQ(end_of(pid), 0);
	CHECK_EQ(client_open_fds(), before);
}

static void grandchildren(void)
{
	int fd = client_open(CARD);
	pid_t pid = fork();

	if (pid == 0) {
		pid = fork();
		if (pid == 0) {
			client_bo(fd, BO_B);
			_exit(client_version(fd) ? 1 : 7);
		}
		_exit(end_of(pid) == 7 && client_version(fd) == 0 ? 8 : 1);
	}
	CHECK_EQ(end_of(pid), 8);
	close(fd);
}

static void vfork_child_closes_all(void)
{
	int fd = client_open(CARD);
	/* To its own memory, as far as it can tell. */
	pid_t pid = vfork();

	if (pid == 0) {
		for (int i = 3; i < 100; i++) {
			close(i);
		}
		execl("/bin/true", "true", (char *)NULL);
		_exit(127);
	}
	CHECK_EQ(end_of(pid), 0);
	CHECK_EQ(client_version(fd), 0);
	close(fd);
}

static void spawn_and_system(void)
{
	char *argv[] = { "sh", "-c", "test -c /dev/dri/card0", NULL };
	int fd = client_open(CARD);
	pid_t pid = -1;

	CHECK_EQ(posix_spawn(&pid, "/bin/sh", NULL, NULL, argv, environ), 0);
	CHECK_EQ(end_of(pid), 0);
	CHECK_EQ(system("test -c /dev/dri/renderD128 && exit 9"), 9 << 8);
	CHECK_EQ(client_version(fd), 0);
	close(fd);
}

/* After exec the number is a plain file of no interest; the new program opens its own. */
static void exec_forgets(void)
{
	int fd = open(CARD, O_RDWR);
	pid_t pid = fork();
	char text[16];

	if (pid == 0) {
		snprintf(text, sizeof(text), "%d", fd);
		execl("/proc/self/exe", "test", text, (char *)NULL);
		_exit(127);
	}
	CHECK_EQ(end_of(pid), 0);
	close(fd);
}

struct waiter {
	int fd;
	uint32_t syncobj;
	int result;
};

static void *wait_long(void *arg)
{
	struct waiter *waiter = arg;

	waiter->result = client_syncobj_wait(waiter->fd, waiter->syncobj,
					     client_now_ns() + 60 * SECOND_NS);
	return NULL;
}

static void fork_while_another_thread_waits(void)
{
	struct waiter waiter = { .fd = client_open(CARD), .result = 1 };
	int64_t start_ns;
	pthread_t thread;
	pid_t pid;

	waiter.syncobj = client_syncobj(waiter.fd);
	CHECK_EQ(pthread_create(&thread, NULL, wait_long, &waiter), 0);
	usleep(50000);
	start_ns = client_now_ns();
	pid = fork();
	if (pid == 0) {
		client_bo(waiter.fd, BO_B);
		_exit(client_version(waiter.fd));
	}
	CHECK_EQ(end_of(pid), 0);
	CHECK(client_now_ns() - start_ns < 10 * SECOND_NS);
	CHECK_EQ(client_syncobj_signal(waiter.fd, waiter.syncobj), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(waiter.result, 0);
	close(waiter.fd);
}

static void nothing(int sig)
{
}

static void signals_end_a_wait(void)
{
	struct sigaction act = { .sa_handler = nothing }, old;
	int fd = client_open(CARD);
	uint32_t syncobj = client_syncobj(fd);

	CHECK_EQ(sigaction(SIGALRM, &act, &old), 0);
	ualarm(50000, 0);
	CHECK_EQ(client_syncobj_wait(fd, syncobj, client_now_ns() + 60 * SECOND_NS), -EINTR);
	sigaction(SIGALRM, &old, NULL);
	close(fd);
}

/* Ends without closing anything, while a thread waits in the device. */
static void exit_in_the_middle(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct waiter waiter = { .fd = client_open(CARD) };
		pthread_t thread;

		waiter.syncobj = client_syncobj(waiter.fd);
		pthread_create(&thread, NULL, wait_long, &waiter);
		usleep(20000);
		alarm(10);
		exit(5);
	}
	CHECK_EQ(end_of(pid), 5);
}

static void many_forks(void)
{
	int fd = client_open(CARD), before = client_open_fds();

	for (int i = 0; i < 50; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			_exit(client_version(fd) ? 1 : 0);
		}
		CHECK_EQ(end_of(pid), 0);
	}
	CHECK_EQ(client_open_fds(), before);
	close(fd);
}

static const struct client_case cases[] = {
	CASE(child_has_workers_of_its_own),
	CASE(child_opens_its_own),
	CASE(child_uses_inherited_file),
	CASE(grandchildren),
	CASE(vfork_child_closes_all),
	CASE(spawn_and_system),
	CASE(exec_forgets),
	CASE(fork_while_another_thread_waits),
	CASE(signals_end_a_wait),
	CASE(exit_in_the_middle),
	CASE(many_forks),
};

static int after_exec(int inherited)
{
	int fd = open(CARD, O_RDWR);

	return client_version(inherited) == -ENOTTY && client_version(fd) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		return after_exec(atoi(argv[1]));
	}
	return client_main(cases, sizeof(cases) / sizeof(cases[0]));
}
