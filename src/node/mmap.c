// SPDX-License-Identifier: MIT
/*
 * Mappings of the device, and what the client does to its own memory.
 *
 * A mapping of the device is a mapping of the arena where the object lives, made by the kernel at
 * the address the client wants. Memory that the client takes away or replaces may be bound on the
 * GPU: the device hears of it before it happens, and not after. What libc unmaps inside itself
 * (stacks of threads, the allocator's own) does not come by here.
 */
#include "node/node.h"

#include <stdarg.h>

/* Before [addr, addr + size_B) goes. */
static void range_gone(const void *addr, size_t size_B)
{
	struct uapi_device *device = node_device_if_any();

	/* From inside it is an allocator of the client that serves the device: not bound memory. */
	if (!device || !size_B || node_inside()) {
		return;
	}
	node_enter();
	uapi_client_range_gone(device, (uint64_t)(uintptr_t)addr, align_up(size_B, PAGE_SIZE));
	node_leave();
}

/* Where the arena holds what the client wants to map. */
static int find_mapping(struct node_file *file, uint64_t offset, uint64_t size_B, int flags,
			int *host_fd_out, uint64_t *host_offset_out)
{
	int type = flags & MAP_TYPE;

	if (type != MAP_SHARED && type != MAP_SHARED_VALIDATE) {
		return -EINVAL; /* as graphics memory is: no copy on write */
	}
	if (!size_B || size_B > INT64_MAX || !is_aligned(offset, PAGE_SIZE)) {
		return -EINVAL;
	}
	size_B = align_up(size_B, PAGE_SIZE);
	if (file->kind == NODE_DEVICE) {
		return uapi_mmap(file->device, offset, size_B, host_fd_out, host_offset_out);
	}
	if (file->kind == NODE_OBJECT && file->object_kind == UAPI_FD_DMABUF) {
		return uapi_dmabuf_mmap(file->object, offset, size_B, host_fd_out,
					host_offset_out);
	}
	return -ENODEV;
}

/* A private number for the arena has all rights; the client's own may have been opened without. */
static bool may_write(int fd)
{
	int flags = REAL(fcntl)(fd, F_GETFL);

	return flags < 0 || (flags & O_ACCMODE) == O_RDWR;
}

static void *mmap_ours(void *addr, size_t size_B, int prot, int flags, int fd, off64_t offset)
{
	struct node_file *file;
	uint64_t host_offset = 0;
	void *ptr = MAP_FAILED;
	int host_fd = -1, ret;

	node_enter();
	file = fd_get(fd);
	ret = file ? find_mapping(file, (uint64_t)offset, size_B, flags, &host_fd, &host_offset) :
		     -EBADF;
	if (!ret && (prot & PROT_WRITE) && !may_write(fd)) {
		ret = -EACCES;
	}
	if (!ret) {
		ptr = REAL(mmap64)(addr, size_B, prot, flags, host_fd, (off64_t)host_offset);
		ret = ptr == MAP_FAILED ? -errno : 0;
	}
	file_put(file);
	node_leave();
	if (ret) {
		errno = -ret;
	}
	return ptr;
}

static bool is_tree_fd(int fd)
{
	struct node_file *file = fd_get(fd);
	bool is = file && file->kind == NODE_TREE;

	node_enter();
	file_put(file);
	node_leave();
	return is;
}

static void *mmap_any(void *addr, size_t size_B, int prot, int flags, int fd, off64_t offset)
{
	/* MAP_FIXED_NOREPLACE replaces nothing. */
	if ((flags & MAP_FIXED) && node_device_if_any()) {
		range_gone(addr, size_B);
	}
	if (!(flags & MAP_ANONYMOUS) && fd_is_marked(fd) && !is_tree_fd(fd)) {
		return mmap_ours(addr, size_B, prot, flags, fd, offset);
	}
	return REAL(mmap64)(addr, size_B, prot, flags, fd, offset);
}

EXPORT void *mmap(void *addr, size_t size_B, int prot, int flags, int fd, off_t offset)
{
	return mmap_any(addr, size_B, prot, flags, fd, offset);
}

EXPORT void *mmap64(void *addr, size_t size_B, int prot, int flags, int fd, off64_t offset)
{
	return mmap_any(addr, size_B, prot, flags, fd, offset);
}

EXPORT int munmap(void *addr, size_t size_B)
{
	range_gone(addr, size_B);
	return REAL(munmap)(addr, size_B);
}

EXPORT void *mremap(void *addr, size_t old_B, size_t new_B, int flags, ...)
{
	void *target = NULL;
	va_list args;

	if (flags & MREMAP_FIXED) {
		va_start(args, flags);
		target = va_arg(args, void *);
		va_end(args);
		range_gone(target, new_B);
	}
	if (new_B < old_B || (flags & MREMAP_MAYMOVE)) {
		range_gone(addr, old_B);
	}
	return REAL(mremap)(addr, old_B, new_B, flags, target);
}

static bool drops_contents(int advice)
{
	return advice == MADV_DONTNEED || advice == MADV_REMOVE || advice == MADV_FREE ||
	       advice == 24; /* MADV_DONTNEED_LOCKED, newer than some headers */
}

EXPORT int madvise(void *addr, size_t size_B, int advice)
{
	if (drops_contents(advice)) {
		range_gone(addr, size_B);
	}
	return REAL(madvise)(addr, size_B, advice);
}
