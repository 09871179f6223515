// SPDX-License-Identifier: MIT
/* Many threads at once on one table of descriptors. */
#include "client.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define THREADS 8
#define ROUNDS 2000
#define BO_B (64 * KIB)

static atomic_int bad;
static atomic_bool stop;
static atomic_int shared_fd;

static void expect(bool good)
{
	if (!good) {
		atomic_fetch_add(&bad, 1);
	}
}

static void run_threads(void *(*fn)(void *arg), int n)
{
	pthread_t thread[THREADS];

	atomic_store(&bad, 0);
	for (long i = 0; i < n; i++) {
		CHECK_EQ(pthread_create(&thread[i], NULL, fn, (void *)i), 0);
	}
	for (int i = 0; i < n; i++) {
		CHECK_EQ(pthread_join(thread[i], NULL), 0);
	}
	CHECK_EQ(atomic_load(&bad), 0);
}

static void *open_use_close(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		int fd = open(i % 2 ? CARD : RENDER, O_RDWR | O_CLOEXEC), copy;
		struct stat st;

		expect(fd >= 0 && client_version(fd) == 0);
		copy = dup(fd);
		expect(fstat(copy, &st) == 0 && S_ISCHR(st.st_mode));
		expect(close(i % 3 ? fd : copy) == 0);
		expect(client_version(i % 3 ? copy : fd) == 0);
		expect(close(i % 3 ? copy : fd) == 0);
	}
	return NULL;
}

static void each_its_own_files(void)
{
	run_threads(open_use_close, THREADS);
}

/* One closes and reopens what the others use: each call either works or finds it closed. */
static void *use_shared(void *arg)
{
	if (!arg) {
		for (int i = 0; i < ROUNDS; i++) {
			close(atomic_load(&shared_fd));
			atomic_store(&shared_fd, open(CARD, O_RDWR | O_CLOEXEC));
		}
		atomic_store(&stop, true);
		return NULL;
	}
	while (!atomic_load(&stop)) {
		int ret = client_version(atomic_load(&shared_fd));

		/* ENOTTY: between the two halves of close() or of open(). */
		expect(ret == 0 || ret == -EBADF || ret == -ENOTTY);
	}
	return NULL;
}

static void close_under_use(void)
{
	atomic_store(&shared_fd, client_open(CARD));
	atomic_store(&stop, false);
	run_threads(use_shared, 4);
	CHECK_EQ(client_version(atomic_load(&shared_fd)), 0);
	close(atomic_load(&shared_fd));
}

static void *map_unmap(void *arg)
{
	int fd = open(CARD, O_RDWR | O_CLOEXEC);

	for (int i = 0; i < ROUNDS / 10; i++) {
		struct drm_xe_gem_create create = {
			.size = BO_B,
			.placement = 1,
			.cpu_caching = DRM_XE_GEM_CPU_CACHING_WB,
		};
		struct drm_xe_gem_mmap_offset offset = { 0 };
		struct drm_gem_close gem_close = { 0 };
		uint8_t *ptr;

		expect(ioctl(fd, DRM_IOCTL_XE_GEM_CREATE, &create) == 0);
		offset.handle = gem_close.handle = create.handle;
		expect(ioctl(fd, DRM_IOCTL_XE_GEM_MMAP_OFFSET, &offset) == 0);
		ptr = mmap(NULL, BO_B, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			   (off_t)offset.offset);
		expect(ptr != MAP_FAILED && ptr[77] == 0);
		ptr[77] = 1;
		expect(ioctl(fd, DRM_IOCTL_GEM_CLOSE, &gem_close) == 0);
		expect(ptr[77] == 1);
		expect(munmap(ptr, BO_B) == 0);
	}
	close(fd);
	return NULL;
}

static void buffers(void)
{
	run_threads(map_unmap, THREADS);
}

static void *look_around(void *arg)
{
	for (int i = 0; i < ROUNDS / 10; i++) {
		DIR *dir = opendir("/dev/dri");
		struct stat st;
		int n = 0;

		while (dir && readdir(dir)) {
			n++;
		}
		expect(n == 5 && closedir(dir) == 0);
		expect(stat("/sys/class/drm/card0/device/vendor", &st) == 0);
		expect(access("/dev/null", R_OK) == 0);
	}
	return NULL;
}

static void names(void)
{
	run_threads(look_around, THREADS);
}

/* One thread forks all the time, the others are in and out of the device. */
static void *fork_or_use(void *arg)
{
	int fd = open(CARD, O_RDWR | O_CLOEXEC);

	if (arg) {
		while (!atomic_load(&stop)) {
			expect(client_version(fd) == 0);
		}
		close(fd);
		return NULL;
	}
	for (int i = 0; i < 100; i++) {
		int status = -1;
		pid_t pid = fork();

		if (pid == 0) {
			_exit(client_version(fd) ? 1 : 0);
		}
		expect(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
	}
	close(fd);
	atomic_store(&stop, true);
	return NULL;
}

static void forks(void)
{
	atomic_store(&stop, false);
	run_threads(fork_or_use, 4);
}

static const struct client_case cases[] = {
	CASE(names), /* first: they race to make the device */
	CASE(each_its_own_files),
	CASE(close_under_use),
	CASE(buffers),
	CASE(forks),
};

int main(void)
{
	return client_main(cases, sizeof(cases) / sizeof(cases[0]));
}
