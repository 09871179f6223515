// SPDX-License-Identifier: MIT
/* Mappings of the device's buffers, and the client's own memory beside them. */
#include "client.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define BO_B (64 * KIB)

static uint8_t *map(int fd, uint32_t handle)
{
	uint64_t offset = client_mmap_offset(fd, handle);
	void *ptr = mmap(NULL, BO_B, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);

	CHECK(ptr != MAP_FAILED);
	return ptr;
}

static void two_mappings_one_buffer(void)
{
	int fd = client_open(CARD);
	uint32_t a = client_bo(fd, BO_B), b = client_bo(fd, BO_B);
	uint8_t *a1 = map(fd, a), *a2 = map(fd, a), *b1 = map(fd, b);

	CHECK_EQ(a1[0] | b1[0], 0);
	a1[5] = 17;
	CHECK_EQ(a2[5], 17);
	CHECK_EQ(b1[5], 0);
	CHECK_EQ(munmap(a1, BO_B), 0);
	a2[6] = 18;
	close(fd);
	/* A mapping outlives its descriptor. */
	CHECK_EQ(a2[5] + a2[6], 35);
	CHECK_EQ(munmap(a2, BO_B), 0);
	CHECK_EQ(munmap(b1, BO_B), 0);
}

static void fixed_address(void)
{
	int fd = client_open(RENDER);
	uint32_t handle = client_bo(fd, BO_B);
	uint8_t *free_mapping = map(fd, handle), *place, *there;

	place = mmap(NULL, 2 * BO_B, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(place != MAP_FAILED);
	place[0] = 1;
	place[BO_B] = 2;
	there = mmap64(place, BO_B, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		       (off64_t)client_mmap_offset(fd, handle));
	CHECK_EQ(there, place);
	CHECK_EQ(place[0], 0);
	CHECK_EQ(place[BO_B], 2);
	place[9] = 99;
	CHECK_EQ(free_mapping[9], 99);
	/* And back. */
	CHECK_EQ(mmap(place, BO_B, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), place);
	CHECK_EQ(place[9], 0);
	CHECK_EQ(free_mapping[9], 99);
	munmap(place, 2 * BO_B);
	munmap(free_mapping, BO_B);
	close(fd);
}

static void part_of_a_buffer(void)
{
	int fd = client_open(CARD);
	uint32_t handle = client_bo(fd, BO_B);
	uint64_t offset = client_mmap_offset(fd, handle);
	uint8_t *all = map(fd, handle), *part;

	all[4095] = 55;
	part = mmap(NULL, 100, PROT_READ, MAP_SHARED, fd, (off_t)offset);
	CHECK(part != MAP_FAILED);
	CHECK_EQ(part[4095], 55);
	munmap(part, 100);
	/* As drm has it: a mapping begins where the object does. */
	CHECK_ERRNO(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, (off_t)(offset + 4096)), EINVAL);
	munmap(all, BO_B);
	close(fd);
}

static void what_is_refused(void)
{
	int fd = client_open(CARD), other = client_open(CARD), readonly;
	uint32_t handle = client_bo(fd, BO_B);
	off_t offset = (off_t)client_mmap_offset(fd, handle);
	void *ptr;

#define REFUSED(fd, size, prot, flags, offset, err)                                                \
	CHECK_ERRNO(mmap(NULL, size, prot, flags, fd, offset), err)
	REFUSED(fd, BO_B, PROT_READ, MAP_PRIVATE, offset, EINVAL);
	REFUSED(fd, 0, PROT_READ, MAP_SHARED, offset, EINVAL);
	REFUSED(fd, BO_B, PROT_READ, MAP_SHARED, offset + 1, EINVAL);
	REFUSED(fd, 2 * BO_B, PROT_READ, MAP_SHARED, offset, EINVAL);
	REFUSED(fd, BO_B, PROT_READ, MAP_SHARED, (off_t)1 << 46, EINVAL);
	/* Another file of the same device, which does not know the buffer. */
	REFUSED(other, BO_B, PROT_READ, MAP_SHARED, offset, EACCES);
	readonly = open(CARD, O_RDONLY);
	handle = client_bo(readonly, BO_B);
	offset = (off_t)client_mmap_offset(readonly, handle);
	REFUSED(readonly, BO_B, PROT_READ | PROT_WRITE, MAP_SHARED, offset, EACCES);
	ptr = mmap(NULL, BO_B, PROT_READ, MAP_SHARED, readonly, offset);
	CHECK(ptr != MAP_FAILED);
	munmap(ptr, BO_B);
	close(readonly);
	close(other);
	close(fd);
	REFUSED(fd, BO_B, PROT_READ, MAP_SHARED, offset, EBADF);
}

/* Calls on memory of which the device knows nothing behave as ever. */
static void own_memory(void)
{
	int fd = client_open(CARD);
	size_t size = 8 * 4096;
	int anonymous = MAP_PRIVATE | MAP_ANONYMOUS;
	uint8_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE, anonymous, -1, 0), *q;

	memset(p, 1, size);
	CHECK_EQ(madvise(p, 4096, MADV_DONTNEED), 0);
	CHECK_EQ(p[0], 0);
	CHECK_EQ(p[4096], 1);
	q = mremap(p, size, 2 * size, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED);
	CHECK_EQ(q[4096], 1);
	CHECK_EQ(munmap(q, 2 * size), 0);
	CHECK_ERRNO(munmap((void *)1, 4096), EINVAL);
	CHECK_ERRNO(madvise((void *)1, 4096, MADV_DONTNEED), EINVAL);
	close(fd);
}

static sigjmp_buf jump;

static void handler(int sig)
{
	siglongjmp(jump, sig);
}

/* The client's own handler gets its own faults, and bad pointers to the device are -EFAULT. */
static void segv_is_the_clients(void)
{
	struct sigaction act = { .sa_handler = handler }, old;
	int fd = client_open(CARD);
	volatile uint32_t *null = NULL;
	void *gone = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(gone, 4096);
	CHECK_EQ(sigaction(SIGSEGV, &act, &old), 0);
	CHECK_EQ(old.sa_handler == SIG_DFL, 1);
	CHECK_ERRNO(ioctl(fd, DRM_IOCTL_VERSION, gone), EFAULT);
	if (sigsetjmp(jump, 1) == 0) {
		*null = 1;
		CHECK(false);
	}
	CHECK_EQ(sigaction(SIGSEGV, NULL, &old), 0);
	CHECK_EQ(old.sa_handler == handler, 1);
	CHECK_ERRNO(ioctl(fd, DRM_IOCTL_VERSION, gone), EFAULT);
	CHECK_EQ(signal(SIGSEGV, SIG_DFL) == handler, 1);
	if (fork() == 0) {
		*null = 1;
		_exit(0);
	} else {
		int status = 0;

		CHECK(wait(&status) > 0);
		CHECK_EQ(WIFSIGNALED(status) ? WTERMSIG(status) : 0, SIGSEGV);
	}
	close(fd);
}

static const struct client_case cases[] = {
	CASE(two_mappings_one_buffer),
	CASE(fixed_address),
	CASE(part_of_a_buffer),
	CASE(what_is_refused),
	CASE(own_memory),
	CASE(segv_is_the_clients),
};

int main(void)
{
	return client_main(cases, sizeof(cases) / sizeof(cases[0]));
}
