// SPDX-License-Identifier: MIT
/*
 * Clients that end, or close, or lose a thread, while work of theirs is in flight: nobody hangs and
 * nobody waits until a job that does not end is found to hang, which takes 5 seconds.
 */
#include "client.h"

#include "uapi/vmb_dma_buf.h"
#include "uapi/vmb_sync.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define SW_SYNC "/sys/kernel/debug/sync/sw_sync"
#define BO_B (64 * KIB)
#define ADDR (1u << 30)
#define FLAG 100 /* the word that ends a spinner */
#define SHARED ((uint64_t)2 << 30)
#define SECOND_NS 1000000000ll
#define SOON_NS (4 * SECOND_NS)
#define BEHIND 10

enum kind {
	SPIN,   /* until its word is 0 */
	CIRCLE, /* for ever, and never looks */
	KINDS,
};

/* A batch that does not end, alone in its address space. */
struct work {
	int fd;
	uint32_t vm, queue, bo;
	uint32_t *batch;
};

static uint32_t make_vm(int fd)
{
	struct drm_xe_vm_create vm = { 0 };

	CHECK_EQ(ioctl(fd, DRM_IOCTL_XE_VM_CREATE, &vm), 0);
	return vm.vm_id;
}

static uint32_t make_queue(int fd, uint32_t vm)
{
	struct drm_xe_engine_class_instance engine = { .engine_class = DRM_XE_ENGINE_CLASS_COPY };
	struct drm_xe_exec_queue_create queue = { .width = 1, .num_placements = 1, .vm_id = vm,
						  .instances = (uintptr_t)&engine };

	CHECK_EQ(ioctl(fd, DRM_IOCTL_XE_EXEC_QUEUE_CREATE, &queue), 0);
	return queue.exec_queue_id;
}

static void bind_at(const struct work *w, uint32_t bo, uint64_t addr)
{
	struct drm_xe_vm_bind args = {
		.vm_id = w->vm,
		.num_binds = 1,
		.bind = { .obj = bo, .pat_index = 2, .range = BO_B, .addr = addr,
			  .op = DRM_XE_VM_BIND_OP_MAP },
	};

	CHECK_EQ(ioctl(w->fd, DRM_IOCTL_XE_VM_BIND, &args), 0);
}

/* A sync file of what was submitted to @queue after @in (a syncobj, or 0). */
static int submit(const struct work *w, uint32_t queue, uint32_t in)
{
	struct drm_xe_sync sync[2] = {
		{ .type = DRM_XE_SYNC_TYPE_SYNCOBJ, .flags = DRM_XE_SYNC_FLAG_SIGNAL,
		  .handle = client_syncobj(w->fd) },
		{ .type = DRM_XE_SYNC_TYPE_SYNCOBJ, .handle = in },
	};
	struct drm_xe_exec exec = { .exec_queue_id = queue, .num_batch_buffer = 1, .address = ADDR,
				    .num_syncs = in ? 2 : 1, .syncs = (uintptr_t)sync };
	struct drm_syncobj_handle export = {
		.handle = sync[0].handle,
		.flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE,
	};

	CHECK_EQ(ioctl(w->fd, DRM_IOCTL_XE_EXEC, &exec), 0);
	CHECK_EQ(ioctl(w->fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &export), 0);
	return export.fd;
}

/* *@done_out: the sync file of the batch. */
static struct work work_start(enum kind kind, int *done_out)
{
	const uint32_t spin[] = { 0x1b200002, 0, ADDR + 4 * FLAG, 0, 0x18800101, ADDR, 0 };
	const uint32_t circle[] = { 0x18800101, ADDR, 0 };
	struct work w = { .fd = client_open(RENDER) };

	w.vm = make_vm(w.fd);
	w.queue = make_queue(w.fd, w.vm);
	w.bo = client_bo(w.fd, BO_B);
	w.batch = mmap(NULL, BO_B, PROT_READ | PROT_WRITE, MAP_SHARED, w.fd,
		       (off_t)client_mmap_offset(w.fd, w.bo));
	CHECK(w.batch != MAP_FAILED);
	memcpy(w.batch, kind == SPIN ? spin : circle, kind == SPIN ? sizeof(spin) : sizeof(circle));
	w.batch[FLAG] = 1;
	bind_at(&w, w.bo, ADDR);
	*done_out = submit(&w, w.queue, 0);
	return w;
}

static void work_unmap(struct work *w)
{
	CHECK_EQ(munmap(w->batch, BO_B), 0);
}

/* What a sync file ended with, or 0. */
static int status_of(int fd)
{
	struct sync_file_info info = { 0 };

	CHECK_EQ(ioctl(fd, SYNC_IOC_FILE_INFO, &info), 0);
	return info.status;
}

/* It is readable at once, and says so. */
static void check_cancelled(int done)
{
	struct pollfd entry = { .fd = done, .events = POLLIN };

	CHECK_EQ(poll(&entry, 1, (int)(SOON_NS / 1000000)), 1);
	CHECK_EQ(status_of(done), -ECANCELED);
	CHECK_EQ(close(done), 0);
}

/* A syncobj with a fence that nobody signals. */
static uint32_t never(int fd, int *timeline_out)
{
	struct sw_sync_create_fence_data data = { .value = 1 };
	struct drm_syncobj_handle import = {
		.handle = client_syncobj(fd),
		.flags = DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE,
	};

	*timeline_out = open(SW_SYNC, O_RDWR | O_CLOEXEC);
	CHECK_EQ(ioctl(*timeline_out, SW_SYNC_IOC_CREATE_FENCE, &data), 0);
	import.fd = data.fence;
	CHECK_EQ(ioctl(fd, DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, &import), 0);
	close(data.fence);
	return import.handle;
}

/* ---- in one process -------------------------------------------------------------------------- */

/* What runs, what is queued behind it, what waits for a fence. The next file does not notice. */
static void closing_a_file(void)
{
	for (enum kind kind = SPIN; kind < KINDS; kind++) {
		int before = client_open_fds(), timeline, others_done, done[BEHIND + 2];
		struct work other = work_start(SPIN, &others_done);
		struct work w = work_start(kind, &done[0]);
		uint32_t second = make_queue(w.fd, w.vm);
		int64_t start_ns;

		for (int i = 1; i <= BEHIND; i++) {
			done[i] = submit(&w, w.queue, 0);
		}
		done[BEHIND + 1] = submit(&w, second, never(w.fd, &timeline));
		work_unmap(&w);
		start_ns = client_now_ns();
		CHECK_EQ(close(w.fd), 0);
		CHECK(client_now_ns() - start_ns < SOON_NS);
		for (int i = 0; i < BEHIND + 2; i++) {
			check_cancelled(done[i]);
		}
		CHECK_EQ(status_of(others_done), 0);
		close(timeline);
		close(others_done);
		work_unmap(&other);
		CHECK_EQ(close(other.fd), 0);
		CHECK_EQ(client_open_fds(), before);
	}
}

/* In the order that a client may choose, also the worst. */
static void closing_one_by_one(void)
{
	for (enum kind kind = SPIN; kind < KINDS; kind++) {
		struct drm_xe_exec_queue_destroy queue = { 0 };
		struct drm_xe_vm_destroy vm = { 0 };
		struct drm_gem_close bo = { 0 };
		int64_t start_ns = client_now_ns();
		int done;
		struct work w = work_start(kind, &done);

		queue.exec_queue_id = w.queue;
		CHECK_EQ(ioctl(w.fd, DRM_IOCTL_XE_EXEC_QUEUE_DESTROY, &queue), 0);
		check_cancelled(done);
		w.queue = queue.exec_queue_id = make_queue(w.fd, w.vm);
		done = submit(&w, w.queue, 0);
		work_unmap(&w);
		bo.handle = w.bo;
		CHECK_EQ(ioctl(w.fd, DRM_IOCTL_GEM_CLOSE, &bo), 0);
		CHECK_EQ(status_of(done), 0); /* the address space keeps its objects */
		vm.vm_id = w.vm;
		CHECK_EQ(ioctl(w.fd, DRM_IOCTL_XE_VM_DESTROY, &vm), 0);
		check_cancelled(done);
		CHECK_EQ(ioctl(w.fd, DRM_IOCTL_XE_EXEC_QUEUE_DESTROY, &queue), 0);
		CHECK_EQ(close(w.fd), 0);
		CHECK(client_now_ns() - start_ns < SOON_NS);
	}
}

/* ---- processes ------------------------------------------------------------------------------- */

enum way {
	BY_EXIT,
	BY_EXIT_AT_ONCE,
	BY_ABORT,
	BY_KILL,
	BY_EXEC,
	BY_LAST_THREAD, /* main() has gone before */
	WAYS,
};

static void *exit_later(void *arg)
{
	int *left = arg;

	CHECK_EQ(poll(NULL, 0, 20), 0);
	exit(*left);
}

static _Noreturn void end(enum way way)
{
	static int code = 7;
	pthread_t thread;

	switch (way) {
	case BY_EXIT:
		exit(code);
	case BY_EXIT_AT_ONCE:
		_exit(code);
	case BY_ABORT:
		abort();
	case BY_KILL:
		raise(SIGKILL);
		break;
	case BY_EXEC:
		execl("/bin/sh", "sh", "-c", "exit 7", (char *)NULL);
		break;
	default:
		CHECK_EQ(pthread_create(&thread, NULL, exit_later, &code), 0);
		pthread_exit(NULL);
	}
	_exit(1);
}

static _Noreturn void work_and_end(enum way way)
{
	int done[KINDS + 2], timeline;

	alarm(60);
	for (enum kind kind = SPIN; kind < KINDS; kind++) {
		struct work w = work_start(kind, &done[kind]);

		done[KINDS] = submit(&w, w.queue, 0);
		done[KINDS + 1] = submit(&w, make_queue(w.fd, w.vm), never(w.fd, &timeline));
	}
	end(way);
}

static void check_end(pid_t pid, enum way way, int64_t start_ns)
{
	int status = 0;

	CHECK(pid > 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(client_now_ns() - start_ns < SOON_NS);
	if (way == BY_ABORT || way == BY_KILL) {
		CHECK_EQ(WIFSIGNALED(status) ? WTERMSIG(status) : 0,
			 way == BY_ABORT ? SIGABRT : SIGKILL);
	} else {
		CHECK_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 7);
	}
}

static void ending_a_child(void)
{
	int fd = client_open(CARD);

	for (enum way way = BY_EXIT; way < WAYS; way++) {
		int64_t start_ns = client_now_ns();
		pid_t pid = fork();

		if (pid == 0) {
			work_and_end(way);
		}
		check_end(pid, way, start_ns);
	}
	CHECK_EQ(client_version(fd), 0);
	close(fd);
}

/* With a device of its own from the start. */
static void ending_a_program(void)
{
	for (enum way way = BY_EXIT; way < WAYS; way++) {
		char text[] = { (char)('0' + way), '\0' };
		int64_t start_ns = client_now_ns();
		pid_t pid = fork();

		if (pid == 0) {
			execl("/proc/self/exe", "test", text, (char *)NULL);
			_exit(1);
		}
		check_end(pid, way, start_ns);
	}
}

/* Two processes in step. */
static int line[2];

static void say(int end_of_line, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { .head = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct iovec io = { .iov_base = "x", .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control) };

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	CHECK_EQ(sendmsg(line[end_of_line], &msg, 0), 1);
}

static int hear(int end_of_line)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	struct iovec io = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &control,
			      .msg_controllen = sizeof(control) };
	int fd;

	CHECK_EQ(recvmsg(line[end_of_line], &msg, MSG_CMSG_CLOEXEC), 1);
	CHECK(CMSG_FIRSTHDR(&msg));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

static int export_bo(int fd, uint32_t bo)
{
	struct drm_prime_handle args = { .handle = bo, .flags = O_RDWR | O_CLOEXEC };

	CHECK_EQ(ioctl(fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &args), 0);
	return args.fd;
}

static uint32_t import_bo(int fd, int dmabuf)
{
	struct drm_prime_handle args = { .fd = dmabuf };

	CHECK_EQ(ioctl(fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args), 0);
	return args.handle;
}

/* Says its fence, and is in the middle of the batch until it is killed. */
static _Noreturn void partner(int dmabuf)
{
	struct dma_buf_import_sync_file import = { .flags = DMA_BUF_SYNC_WRITE };
	struct work w = work_start(CIRCLE, &import.fd);

	bind_at(&w, import_bo(w.fd, dmabuf), SHARED);
	CHECK_EQ(ioctl(dmabuf, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &import), 0);
	say(1, import.fd);
	for (;;) {
		pause();
	}
}

/* Who is left has the memory, a device that works, and learns that the fence has ended. */
static void survive(int fence, int dmabuf, volatile uint32_t *shared)
{
	int own_done;
	struct work w = work_start(SPIN, &own_done);
	struct drm_syncobj_handle import = {
		.handle = client_syncobj(w.fd), .fd = fence,
		.flags = DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE,
	};
	struct pollfd entry = { .fd = dmabuf, .events = POLLOUT };
	int behind;

	CHECK_EQ(ioctl(w.fd, DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, &import), 0);
	behind = submit(&w, make_queue(w.fd, w.vm), import.handle);
	CHECK_EQ(client_syncobj_wait(w.fd, import.handle, client_now_ns() + SOON_NS), 0);
	CHECK_EQ(status_of(fence), -ECANCELED);
	CHECK_EQ(poll(&entry, 1, (int)(SOON_NS / 1000000)), 1);
	CHECK_EQ(*shared, 5);
	*shared = 6;
	bind_at(&w, import_bo(w.fd, dmabuf), SHARED);
	CHECK_EQ(status_of(own_done), 0);
	w.batch[FLAG] = 0;
	CHECK_EQ(poll(&(struct pollfd){ .fd = own_done, .events = POLLIN }, 1, 4000), 1);
	CHECK_EQ(poll(&(struct pollfd){ .fd = behind, .events = POLLIN }, 1, 4000), 1);
	CHECK_EQ(status_of(own_done), 1);
	work_unmap(&w);
	close(behind);
	close(own_done);
	close(fence);
	close(w.fd);
}

/* Of two that share memory and a fence one is killed; once the child, once the parent. */
static void killing_one_of_two(void)
{
	for (int parent = 0; parent < 2; parent++) {
		int before = client_open_fds(), fd = client_open(CARD), status = -1, fence;
		uint32_t bo = client_bo(fd, BO_B);
		volatile uint32_t *shared = mmap(NULL, BO_B, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
						 (off_t)client_mmap_offset(fd, bo));
		int dmabuf = export_bo(fd, bo);
		int64_t start_ns = client_now_ns();
		pid_t pid;

		*shared = 5;
		CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, line), 0);
		pid = fork();
		if (pid == 0) {
			alarm(60);
			if (!parent) {
				partner(dmabuf);
			}
			/* This one's child is who survives. */
			pid = fork();
			if (pid) {
				partner(dmabuf);
			}
			fence = hear(0);
			kill(getppid(), SIGKILL);
			survive(fence, dmabuf, shared);
			_exit(0);
		}
		CHECK(pid > 0);
		if (!parent) {
			fence = hear(0);
			CHECK_EQ(status_of(fence), 0);
			CHECK_EQ(kill(pid, SIGKILL), 0);
			survive(fence, dmabuf, shared);
		}
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK_EQ(WIFSIGNALED(status) ? WTERMSIG(status) : 0, SIGKILL);
		close(line[1]);
		/* The end of the survivor, if it is not us. */
		CHECK_EQ(read(line[0], &status, 1), 0);
		CHECK_EQ(*shared, 6);
		CHECK(client_now_ns() - start_ns < 2 * SOON_NS);
		munmap((void *)shared, BO_B);
		close(line[0]);
		close(dmabuf);
		close(fd);
		CHECK_EQ(client_open_fds(), before);
	}
}

/* ---- threads --------------------------------------------------------------------------------- */

enum leave {
	BY_PTHREAD_EXIT, /* in a handler */
	BY_JUMP,         /* out of one */
	BY_CANCEL,       /* behind it: ioctl() is no place where a thread is cancelled */
	LEAVES,
};

struct waiter {
	pthread_t thread;
	enum leave leave;
	int fd;
	uint32_t syncobj;
	atomic_bool begun;
	int ret;
};

static __thread sigjmp_buf out;
static __thread enum leave how;

static void leave(int sig)
{
	if (how == BY_PTHREAD_EXIT) {
		pthread_exit(NULL);
	}
	siglongjmp(out, 1);
}

static void *wait_for_ever(void *arg)
{
	struct waiter *w = arg;

	how = w->leave;
	if (sigsetjmp(out, 1) == 0) {
		atomic_store(&w->begun, true);
		w->ret = client_syncobj_wait(w->fd, w->syncobj, INT64_MAX);
		pthread_testcancel();
	}
	return client_version(w->fd) ? w : NULL;
}

/* Out of the middle of a wait: the others, a fork and the close get on. */
static void a_thread_leaves_a_wait(void)
{
	struct sigaction act = { .sa_handler = leave }, old;

	CHECK_EQ(sigaction(SIGUSR1, &act, &old), 0);
	for (enum leave way = BY_PTHREAD_EXIT; way < LEAVES; way++) {
		int64_t start_ns = client_now_ns();
		struct waiter w = { .leave = way, .fd = client_open(CARD), .ret = 1 };
		void *ret = &w;
		int status = -1;
		pid_t pid;

		w.syncobj = client_syncobj(w.fd);
		CHECK_EQ(pthread_create(&w.thread, NULL, wait_for_ever, &w), 0);
		while (!atomic_load(&w.begun)) {
			sched_yield();
		}
		CHECK_EQ(poll(NULL, 0, 20), 0); /* asleep by now, as a rule */
		CHECK_EQ(way == BY_CANCEL ? pthread_cancel(w.thread)
					  : pthread_kill(w.thread, SIGUSR1), 0);
		if (way == BY_CANCEL) {
			CHECK_EQ(client_syncobj_signal(w.fd, w.syncobj), 0);
		}
		CHECK_EQ(pthread_join(w.thread, &ret), 0);
		CHECK_EQ(w.ret, way == BY_CANCEL ? 0 : 1);
		CHECK(ret == (way == BY_CANCEL ? PTHREAD_CANCELED : NULL));
		pid = fork();
		if (pid == 0) {
			_exit(client_version(w.fd) ? 1 : 0);
		}
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK_EQ(status, 0);
		CHECK_EQ(client_syncobj_signal(w.fd, w.syncobj), 0);
		CHECK_EQ(client_syncobj_wait(w.fd, w.syncobj, 0), 0);
		CHECK_EQ(close(w.fd), 0);
		CHECK(client_now_ns() - start_ns < SOON_NS);
	}
	CHECK_EQ(sigaction(SIGUSR1, &old, NULL), 0);
}

static const struct client_case cases[] = {
	CASE(closing_a_file),
	CASE(closing_one_by_one),
	CASE(ending_a_child),
	CASE(ending_a_program),
	CASE(killing_one_of_two),
	CASE(a_thread_leaves_a_wait),
};

int main(int argc, char **argv)
{
	if (argc > 1) {
		work_and_end((enum way)(argv[1][0] - '0'));
	}
	return client_main(cases, sizeof(cases) / sizeof(cases[0]));
}
