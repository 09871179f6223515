// SPDX-License-Identifier: MIT
/* dma-buf descriptors: who holds the object, mmap, sizes, poll, fork. */
#include "client.h"

#include "uapi/vmb_dma_buf.h"

#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define SIZE_B (64 * KIB)
#define SPIN_AT 0x400000u
#define MI_COND_BATCH_END 0x1b200002u /* ends when memory <= the dword in the command */
#define MI_BATCH_BUFFER_START 0x18800101u

static int export_bo(int fd, uint32_t handle)
{
	struct drm_prime_handle args = { .handle = handle, .flags = DRM_CLOEXEC | DRM_RDWR };

	CHECK_EQ(ioctl(fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &args), 0);
	return args.fd;
}

static uint32_t import_bo(int fd, int dmabuf)
{
	struct drm_prime_handle args = { .fd = dmabuf };

	CHECK_EQ(ioctl(fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args), 0);
	return args.handle;
}

static int gem_close(int fd, uint32_t handle)
{
	struct drm_gem_close args = { .handle = handle };

	return ioctl(fd, DRM_IOCTL_GEM_CLOSE, &args);
}

static void *map(int fd, size_t size_B, uint64_t offset)
{
	void *ptr = mmap(NULL, size_B, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);

	CHECK(ptr != MAP_FAILED);
	return ptr;
}

/* ---- who holds it ---------------------------------------------------------------------------- */

/* A window that is free goes to the next object, which is zeroed; is that the one of @ptr? */
static bool would_be_given_away(const uint64_t *ptr)
{
	int fd = client_open(CARD);
	uint32_t bo = client_bo(fd, SIZE_B);
	uint64_t *other = map(fd, SIZE_B, client_mmap_offset(fd, bo)), was = *ptr;
	bool same;

	other[9] = ~was;
	same = *(const volatile uint64_t *)ptr != was;
	munmap(other, SIZE_B);
	close(fd);
	return same;
}

static void it_lives_as_long_as_anybody_has_it(void)
{
	static const int orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
					  { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
	int before = client_open_fds();

	for (int i = 0; i < 6; i++) {
		int fd[3] = { client_open(CARD), client_open(RENDER) };
		uint32_t bo = client_bo(fd[0], SIZE_B), there;
		uint64_t *ptr, *theirs;

		fd[2] = export_bo(fd[0], bo);
		there = import_bo(fd[1], fd[2]);
		theirs = map(fd[1], SIZE_B, client_mmap_offset(fd[1], there));
		ptr = map(fd[2], SIZE_B, 0);
		theirs[9] = 0x1234 + (uint64_t)i;
		CHECK_EQ(munmap(theirs, SIZE_B), 0);
		CHECK_EQ(gem_close(fd[0], bo), 0);
		for (int k = 0; k < 3; k++) { /* with the last one only the mapping is left */
			CHECK_EQ(close(fd[orders[i][k]]), 0);
			CHECK_EQ(ptr[9], 0x1234 + i);
			CHECK(!would_be_given_away(ptr + 9));
		}
		CHECK_EQ(munmap(ptr, SIZE_B), 0);
	}
	CHECK_EQ(client_open_fds(), before);
}

/* The last one that has it may be a copy of the number. */
static void a_copy_of_the_number_holds_it_too(void)
{
	int fd = client_open(CARD), dmabuf = export_bo(fd, client_bo(fd, SIZE_B)), copy;
	uint64_t *ptr = map(dmabuf, SIZE_B, 0);

	ptr[1] = 77;
	CHECK_EQ(munmap(ptr, SIZE_B), 0);
	copy = dup(dmabuf);
	CHECK(copy >= 0);
	close(dmabuf);
	close(fd);
	fd = client_open(RENDER);
	ptr = map(fd, SIZE_B, client_mmap_offset(fd, import_bo(fd, copy)));
	close(copy);
	CHECK_EQ(ptr[1], 77);
	close(fd);
	CHECK_EQ(ptr[1], 77);
	CHECK_EQ(munmap(ptr, SIZE_B), 0);
}

static void a_file_has_one_handle_for_it(void)
{
	int a = client_open(CARD), b = client_open(RENDER);
	uint32_t bo = client_bo(a, SIZE_B), there;
	int one = export_bo(a, bo), two = export_bo(a, bo), back;

	CHECK_EQ(import_bo(a, one), bo);
	there = import_bo(b, one);
	CHECK_EQ(import_bo(b, two), there);
	back = export_bo(b, there);
	CHECK_EQ(import_bo(a, back), bo);
	CHECK_EQ(gem_close(b, there), 0);
	CHECK_ERRNO(gem_close(b, there), EINVAL); /* one handle, one close */
	CHECK_EQ(import_bo(b, two), there);
	close(one);
	close(two);
	close(back);
	close(a);
	close(b);
}

/* ---- a file of its size ---------------------------------------------------------------------- */

static void it_has_a_size_and_no_position(void)
{
	int fd = client_open(CARD), dmabuf = export_bo(fd, client_bo(fd, SIZE_B));
	struct stat st;
	char buf[8];

	CHECK_EQ(lseek(dmabuf, 0, SEEK_END), SIZE_B);
	CHECK_EQ(lseek(dmabuf, 0, SEEK_SET), 0);
	CHECK_ERRNO(lseek(dmabuf, 1, SEEK_END), EINVAL);
	CHECK_ERRNO(lseek(dmabuf, -1, SEEK_SET), EINVAL);
	CHECK_ERRNO(lseek(dmabuf, 0, SEEK_CUR), EINVAL);
	CHECK_EQ(fstat(dmabuf, &st), 0);
	CHECK_EQ(st.st_size, SIZE_B);
	CHECK_ERRNO(read(dmabuf, buf, sizeof(buf)), EINVAL);
	CHECK_ERRNO(write(dmabuf, buf, sizeof(buf)), EINVAL);
	CHECK_EQ(fcntl(dmabuf, F_GETFD), FD_CLOEXEC);
	close(dmabuf);
	CHECK_ERRNO(lseek(dmabuf, 0, SEEK_END), EBADF);
	close(fd);
}

static void it_is_mapped_inside_its_size_only(void)
{
	int fd = client_open(CARD), dmabuf = export_bo(fd, client_bo(fd, SIZE_B));
	uint32_t *whole = map(dmabuf, SIZE_B, 0), *part = map(dmabuf, 4 * KIB, 8 * KIB);

	part[3] = 5;
	CHECK_EQ(whole[8 * KIB / 4 + 3], 5);
	CHECK(mmap(NULL, SIZE_B + 1, PROT_READ, MAP_SHARED, dmabuf, 0) == MAP_FAILED);
	CHECK_EQ(errno, EINVAL);
	CHECK(mmap(NULL, SIZE_B, PROT_READ, MAP_SHARED, dmabuf, 4 * KIB) == MAP_FAILED);
	CHECK_EQ(errno, EINVAL);
	CHECK(mmap(NULL, 4 * KIB, PROT_READ, MAP_SHARED, dmabuf, SIZE_B) == MAP_FAILED);
	CHECK_EQ(errno, EINVAL);
	CHECK(mmap(NULL, 4 * KIB, PROT_READ, MAP_PRIVATE, dmabuf, 0) == MAP_FAILED);
	munmap(whole, SIZE_B);
	munmap(part, 4 * KIB);
	close(dmabuf);
	close(fd);
}

static void requests_go_to_their_kind_of_file(void)
{
	int fd = client_open(CARD), dmabuf = export_bo(fd, client_bo(fd, SIZE_B));
	struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_RW };
	struct drm_gem_close none = { 0 };
	char name[] = "name";

	CHECK_EQ(ioctl(dmabuf, DMA_BUF_IOCTL_SYNC, &sync), 0);
	CHECK_EQ(ioctl(dmabuf, DMA_BUF_SET_NAME_B, name), 0);
	CHECK_ERRNO(ioctl(dmabuf, DRM_IOCTL_GEM_CLOSE, &none), ENOTTY);
	CHECK_ERRNO(ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync), ENOTTY);
	CHECK_ERRNO(ioctl(dmabuf, DMA_BUF_IOCTL_SYNC, NULL), EFAULT);
	close(dmabuf);
	CHECK_ERRNO(ioctl(dmabuf, DMA_BUF_IOCTL_SYNC, &sync), EBADF);
	close(fd);
}

static void what_is_no_dmabuf_is_not_imported(void)
{
	int fd = client_open(CARD), other = open("/dev/null", O_RDWR);
	struct drm_prime_handle args = { .fd = other };

	CHECK_ERRNO(ioctl(fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args), EINVAL);
	args.fd = fd;
	CHECK_ERRNO(ioctl(fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args), EINVAL);
	close(other);
	args.fd = other;
	CHECK_ERRNO(ioctl(fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args), EBADF);
	args.fd = export_bo(fd, client_bo(fd, SIZE_B));
	close(args.fd);
	CHECK_ERRNO(ioctl(fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args), EBADF);
	close(fd);
}

/* ---- poll ------------------------------------------------------------------------------------ */

/* A dma-buf with the fence of a batch that runs until *@flag is 0, known as @usage. */
struct busy {
	int fd, dmabuf;
	volatile uint32_t *flag;
};

static uint32_t spin(int fd, uint32_t bo)
{
	struct drm_xe_engine_class_instance eci = { .engine_class = DRM_XE_ENGINE_CLASS_COPY };
	struct drm_xe_vm_create vm = { 0 };
	struct drm_xe_exec_queue_create queue = {
		.width = 1,
		.num_placements = 1,
		.instances = (uintptr_t)&eci,
	};
	struct drm_xe_sync done = {
		.type = DRM_XE_SYNC_TYPE_SYNCOBJ,
		.flags = DRM_XE_SYNC_FLAG_SIGNAL,
		.handle = client_syncobj(fd),
	};
	struct drm_xe_vm_bind bind = {
		.num_binds = 1,
		.bind = { .obj = bo, .range = SIZE_B, .addr = SPIN_AT, .pat_index = 2 },
	};
	struct drm_xe_exec exec = {
		.num_batch_buffer = 1,
		.address = SPIN_AT,
		.num_syncs = 1,
		.syncs = (uintptr_t)&done,
	};

	CHECK_EQ(ioctl(fd, DRM_IOCTL_XE_VM_CREATE, &vm), 0);
	queue.vm_id = vm.vm_id;
	bind.vm_id = vm.vm_id;
	CHECK_EQ(ioctl(fd, DRM_IOCTL_XE_VM_BIND, &bind), 0);
	CHECK_EQ(ioctl(fd, DRM_IOCTL_XE_EXEC_QUEUE_CREATE, &queue), 0);
	exec.exec_queue_id = queue.exec_queue_id;
	CHECK_EQ(ioctl(fd, DRM_IOCTL_XE_EXEC, &exec), 0);
	return done.handle;
}

static void busy_init(struct busy *b, uint32_t usage)
{
	const uint32_t batch[] = { MI_COND_BATCH_END, 0, SPIN_AT + 4096, 0, MI_BATCH_BUFFER_START,
				   SPIN_AT, 0 };
	struct drm_syncobj_handle export = {
		.flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE,
	};
	struct dma_buf_import_sync_file import = { .flags = usage };
	uint32_t bo, *ptr;

	b->fd = client_open(CARD);
	bo = client_bo(b->fd, SIZE_B);
	ptr = map(b->fd, SIZE_B, client_mmap_offset(b->fd, bo));
	memcpy(ptr, batch, sizeof(batch));
	b->flag = ptr + 4096 / 4;
	*b->flag = 1;
	export.handle = spin(b->fd, bo);
	b->dmabuf = export_bo(b->fd, client_bo(b->fd, SIZE_B));
	CHECK_EQ(ioctl(b->fd, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &export), 0);
	import.fd = export.fd;
	CHECK_EQ(ioctl(b->dmabuf, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &import), 0);
	close(export.fd);
}

static void busy_fini(struct busy *b)
{
	*b->flag = 0;
	close(b->dmabuf);
	close(b->fd);
	munmap((uint32_t *)b->flag - 4096 / 4, SIZE_B);
}

/* What poll() says of @fd when asked for @events, at most @ms later. */
static int polled(int fd, short events, int ms)
{
	struct pollfd entry = { .fd = fd, .events = events, .revents = 0x7f };
	int ret = poll(&entry, 1, ms);

	CHECK_EQ(ret, entry.revents != 0);
	return entry.revents;
}

static void *release(void *arg)
{
	struct busy *b = arg;

	*b->flag = 0;
	return NULL;
}

static void poll_waits_for_those_who_use_it(void)
{
	static const short both = POLLIN | POLLOUT;
	int before = client_open_fds();

	for (uint32_t usage = DMA_BUF_SYNC_READ; usage <= DMA_BUF_SYNC_WRITE; usage++) {
		bool reads = usage == DMA_BUF_SYNC_READ;
		pthread_t thread;
		struct busy b;

		busy_init(&b, usage);
		CHECK_EQ(polled(b.dmabuf, POLLIN, 0), reads ? POLLIN : 0);
		CHECK_EQ(polled(b.dmabuf, POLLOUT, 0), 0);
		CHECK_EQ(polled(b.dmabuf, both, 0), reads ? POLLIN : 0);
		CHECK_EQ(polled(b.dmabuf, POLLOUT, 2), 0);
		CHECK_EQ(pthread_create(&thread, NULL, release, &b), 0);
		CHECK_EQ(polled(b.dmabuf, POLLOUT, -1), POLLOUT);
		CHECK_EQ(pthread_join(thread, NULL), 0);
		CHECK_EQ(polled(b.dmabuf, both, -1), both);
		busy_fini(&b);
	}
	CHECK_EQ(client_open_fds(), before);
}

/* How many members select() leaves of {dma-buf, pipe} in each set. */
static int selected(struct busy *b, int pipe_fd, fd_set *in, fd_set *out)
{
	struct timeval soon = { .tv_usec = 1000 };
	int most = b->dmabuf > pipe_fd ? b->dmabuf : pipe_fd;

	FD_ZERO(in);
	FD_ZERO(out);
	FD_SET(b->dmabuf, in);
	FD_SET(b->dmabuf, out);
	FD_SET(b->fd, in); /* never readable */
	FD_SET(pipe_fd, in);
	return select((b->fd > most ? b->fd : most) + 1, in, out, NULL, &soon);
}

/* Long before it would be found to hang. */
static void a_reset_ends_what_has_begun(void)
{
	struct busy b;
	int fd;

	busy_init(&b, DMA_BUF_SYNC_WRITE);
	CHECK_EQ(polled(b.dmabuf, POLLIN, 20), 0);
	fd = open("/sys/kernel/debug/dri/0/gt0/force_reset", O_WRONLY);
	CHECK(fd >= 0);
	CHECK_EQ(polled(b.dmabuf, POLLIN, 2000), POLLIN);
	close(fd);
	busy_fini(&b);
}

static void select_waits_for_those_who_use_it(void)
{
	fd_set in, out;
	int pipe_fd[2];
	struct busy b;

	busy_init(&b, DMA_BUF_SYNC_READ);
	CHECK_EQ(pipe(pipe_fd), 0);
	CHECK_EQ(selected(&b, pipe_fd[0], &in, &out), 1);
	CHECK(FD_ISSET(b.dmabuf, &in) && !FD_ISSET(pipe_fd[0], &in) && !FD_ISSET(b.fd, &in));
	CHECK(!FD_ISSET(b.dmabuf, &out));
	CHECK_EQ(write(pipe_fd[1], "x", 1), 1);
	release(&b);
	CHECK_EQ(polled(b.dmabuf, POLLOUT, -1), POLLOUT);
	CHECK_EQ(selected(&b, pipe_fd[0], &in, &out), 3);
	close(pipe_fd[0]);
	CHECK_EQ(selected(&b, pipe_fd[0], &in, &out), -1);
	CHECK_EQ(errno, EBADF);
	close(pipe_fd[1]);
	busy_fini(&b);
}

/* Each call makes descriptors of its own, which must not add up. */
static void polling_often_leaves_nothing(void)
{
	struct rlimit before, few;
	struct busy b;

	busy_init(&b, DMA_BUF_SYNC_WRITE);
	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = 1000;
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
	for (int i = 0; i < 1000; i++) {
		CHECK_EQ(polled(b.dmabuf, POLLIN | POLLOUT, 0), 0);
	}
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
	busy_fini(&b);
}

/* Among others, more than fit on a stack; only what is ready is counted. */
static void poll_takes_it_among_others(void)
{
	struct pollfd fds[60] = { { 0 } };
	int pipe_fd[2], n = 0;
	struct busy b;

	busy_init(&b, DMA_BUF_SYNC_READ);
	CHECK_EQ(pipe(pipe_fd), 0);
	for (int i = 0; i < 60; i++) {
		fds[i].fd = i % 3 == 0 ? b.dmabuf : i % 3 == 1 ? pipe_fd[0] : -1;
		fds[i].events = i % 2 ? POLLIN : POLLOUT;
		n += i % 3 == 0 && i % 2;
	}
	CHECK_EQ(poll(fds, 60, -1), n);
	for (int i = 0; i < 60; i++) {
		CHECK_EQ(fds[i].revents, i % 3 == 0 && i % 2 ? POLLIN : 0);
		fds[i].events = POLLOUT;
	}
	fds[1] = (struct pollfd){ .fd = pipe_fd[1], .events = POLLOUT };
	CHECK_EQ(poll(fds, 60, -1), 1); /* the pipe wakes those who wait for both */
	CHECK_EQ(fds[1].revents, POLLOUT);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	busy_fini(&b);
}

/* ---- fork ------------------------------------------------------------------------------------ */

static void a_child_has_it_too(void)
{
	int fd = client_open(CARD), dmabuf = export_bo(fd, client_bo(fd, SIZE_B)), status = -1;
	volatile uint64_t *ptr = map(dmabuf, SIZE_B, 0);
	pid_t child;

	ptr[0] = 1;
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		int own = open(RENDER, O_RDWR);
		struct drm_prime_handle args = { .fd = dmabuf };
		struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_RW };
		bool good = own >= 0 && lseek(dmabuf, 0, SEEK_END) == SIZE_B && ptr[0] == 1 &&
			    ioctl(own, DRM_IOCTL_PRIME_FD_TO_HANDLE, &args) == 0 &&
			    ioctl(dmabuf, DMA_BUF_IOCTL_SYNC, &sync) == 0 &&
			    polled(dmabuf, POLLIN | POLLOUT, -1) == (POLLIN | POLLOUT);

		ptr[0] = 2;
		close(dmabuf);
		close(fd);
		_exit(good ? 0 : 1);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	CHECK_EQ(ptr[0], 2);
	CHECK_EQ(import_bo(fd, dmabuf) != 0, 1);
	munmap((void *)ptr, SIZE_B);
	close(dmabuf);
	close(fd);
}

/* What the parent has in flight is over for the child, and goes on for the parent. */
static void a_child_does_not_wait_for_its_parents_work(void)
{
	int status = -1;
	struct busy b;
	pid_t child;

	busy_init(&b, DMA_BUF_SYNC_WRITE);
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_RW };
		bool good = polled(b.dmabuf, POLLOUT, 10000) == POLLOUT &&
			    ioctl(b.dmabuf, DMA_BUF_IOCTL_SYNC, &sync) == 0;

		_exit(good ? 0 : 1);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(status, 0);
	CHECK_EQ(polled(b.dmabuf, POLLIN, 0), 0);
	release(&b);
	CHECK_EQ(polled(b.dmabuf, POLLIN | POLLOUT, -1) & POLLIN, POLLIN);
	busy_fini(&b);
}

static const struct client_case cases[] = {
	CASE(it_lives_as_long_as_anybody_has_it),
	CASE(a_copy_of_the_number_holds_it_too),
	CASE(a_file_has_one_handle_for_it),
	CASE(it_has_a_size_and_no_position),
	CASE(it_is_mapped_inside_its_size_only),
	CASE(requests_go_to_their_kind_of_file),
	CASE(what_is_no_dmabuf_is_not_imported),
	CASE(poll_waits_for_those_who_use_it),
	CASE(a_reset_ends_what_has_begun),
	CASE(select_waits_for_those_who_use_it),
	CASE(polling_often_leaves_nothing),
	CASE(poll_takes_it_among_others),
	CASE(a_child_has_it_too),
	CASE(a_child_does_not_wait_for_its_parents_work),
};

int main(void)
{
	return client_main(cases, sizeof(cases) / sizeof(cases[0]));
}
