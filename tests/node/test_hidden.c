// SPDX-License-Identifier: MIT
/* A device that hides most of its memory from the CPU, as behind a small window on the bus. */
#include "client.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define BO_B (64 * KIB)
#define VRAM 2
#define BOTH 3
#define VISIBLE DRM_XE_GEM_CREATE_FLAG_NEEDS_VISIBLE_VRAM

static uint32_t create(int fd, uint32_t placement, uint32_t flags)
{
	struct drm_xe_gem_create create = {
		.size = BO_B,
		.placement = placement,
		.flags = flags,
		.cpu_caching = DRM_XE_GEM_CPU_CACHING_WC,
	};

	CHECK_EQ(ioctl(fd, DRM_IOCTL_XE_GEM_CREATE, &create), 0);
	return create.handle;
}

static volatile uint8_t *map(int fd, uint64_t offset)
{
	void *ptr = mmap(NULL, BO_B, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);

	CHECK(ptr != MAP_FAILED);
	return ptr;
}

static volatile uint8_t *map_bo(int fd, uint32_t handle)
{
	return map(fd, client_mmap_offset(fd, handle));
}

static void unmap(volatile uint8_t *ptr)
{
	CHECK_EQ(munmap((void *)ptr, BO_B), 0);
}

static sigjmp_buf jump;
static void *volatile fault_addr;
static volatile int fault_code;

static void handler(int sig, siginfo_t *info, void *ctx)
{
	(void)ctx;
	fault_addr = info->si_addr;
	fault_code = info->si_code;
	siglongjmp(jump, sig);
}

/* The signal that a read, or a write, of @ptr raises. */
static int touch(volatile uint8_t *ptr, bool write)
{
	struct sigaction act = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO }, old;
	volatile uint8_t value = 1;
	int sig;

	CHECK_EQ(sigaction(SIGBUS, &act, &old), 0);
	sig = sigsetjmp(jump, 1);
	if (sig == 0) {
		if (write) {
			*ptr = value;
		} else {
			value = *ptr;
		}
	} else {
		CHECK_EQ(fault_addr, ptr);
		CHECK_EQ(fault_code, BUS_ADRERR);
	}
	CHECK_EQ(sigaction(SIGBUS, &old, NULL), 0);
	return sig;
}

static void what_is_hidden_raises_sigbus(void)
{
	static const uint32_t placements[] = { VRAM, BOTH };
	int fd = client_open(CARD);

	for (unsigned i = 0; i < 2; i++) {
		uint32_t handle = create(fd, placements[i], 0);
		volatile uint8_t *ptr = map_bo(fd, handle);

		CHECK_EQ(touch(ptr, true), SIGBUS);
		CHECK_EQ(touch(ptr, false), SIGBUS);
		CHECK_EQ(touch(ptr + BO_B - 1, true), SIGBUS);
		unmap(ptr);
		CHECK_EQ(touch(map_bo(fd, handle), true), SIGBUS);
	}
	close(fd);
}

static void what_is_visible_does_not(void)
{
	static const uint32_t placements[] = { VRAM, BOTH };
	int fd = client_open(CARD);

	for (unsigned i = 0; i < 2; i++) {
		uint32_t handle = create(fd, placements[i], VISIBLE);
		volatile uint8_t *a = map_bo(fd, handle), *b = map_bo(fd, handle);

		CHECK_EQ(touch(a, true), 0);
		CHECK_EQ(touch(a + BO_B - 1, false), 0);
		CHECK_EQ(*b, 1);
		unmap(a);
		unmap(b);
	}
	close(fd);
}

/* A mapping lasts, so what it shows is decided when it is made. */
static void deferred_objects_are_backed_when_mapped(void)
{
	const uint32_t defer = DRM_XE_GEM_CREATE_FLAG_DEFER_BACKING;
	int fd = client_open(CARD);

	CHECK_EQ(touch(map_bo(fd, create(fd, VRAM, defer)), true), SIGBUS);
	CHECK_EQ(touch(map_bo(fd, create(fd, VRAM, defer | VISIBLE)), true), 0);
	close(fd);
}

static void shared_by_descriptor_it_is_the_same(void)
{
	int fd = client_open(CARD);

	for (uint32_t visible = 0; visible < 2; visible++) {
		struct drm_prime_handle prime = {
			.handle = create(fd, VRAM, visible ? VISIBLE : 0),
			.flags = DRM_RDWR | DRM_CLOEXEC,
		};
		volatile uint8_t *ptr;

		CHECK_EQ(ioctl(fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime), 0);
		ptr = map(prime.fd, 0);
		CHECK_EQ(touch(ptr, true), visible ? 0 : SIGBUS);
		unmap(ptr);
		close(prime.fd);
	}
	close(fd);
}

static void a_moved_mapping_stays_hidden(void)
{
	int fd = client_open(CARD);
	volatile uint8_t *ptr = map_bo(fd, create(fd, VRAM, 0));
	volatile uint8_t *place = mmap(NULL, BO_B, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(place != MAP_FAILED);
	CHECK_EQ(mremap((void *)ptr, BO_B, BO_B, MREMAP_MAYMOVE | MREMAP_FIXED, place), place);
	CHECK_EQ(touch(place, true), SIGBUS);
	unmap(place);
	close(fd);
}

/* Without a handler it kills, and an ioctl that is to look there is told so. */
static void nobody_reads_it_for_the_client(void)
{
	int fd = client_open(CARD), status = 0;
	volatile uint8_t *ptr = map_bo(fd, create(fd, VRAM, 0));
	pid_t pid;

	CHECK_ERRNO(ioctl(fd, DRM_IOCTL_VERSION, ptr), EFAULT);
	pid = fork();
	if (pid == 0) {
		*ptr = 1;
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(WIFSIGNALED(status) ? WTERMSIG(status) : 0, SIGBUS);
	close(fd);
}

static const struct client_case cases[] = {
	CASE(what_is_hidden_raises_sigbus),
	CASE(what_is_visible_does_not),
	CASE(deferred_objects_are_backed_when_mapped),
	CASE(shared_by_descriptor_it_is_the_same),
	CASE(a_moved_mapping_stays_hidden),
	CASE(nobody_reads_it_for_the_client),
};

int main(void)
{
	return client_main(cases, sizeof(cases) / sizeof(cases[0]));
}
