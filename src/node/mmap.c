// SPDX-License-Identifier: MIT
/*
 * Mappings of the device, and what the client does to its own memory.
 *
 * A mapping of the device is a mapping of the arena where the object lives, made by the kernel at
 * the address the client wants; mapping.c remembers it. Memory that the client takes away or
 * replaces may be bound on the GPU: the device hears of it before it happens. What libc unmaps
 * inside itself (stacks of threads, the allocator's own) does not come by here, but see watch.c.
 */
#include "node/mapping.h"
#include "node/node.h"

#include <stdarg.h>

bool client_range_matters(void)
{
	return node_device_if_any() && !node_inside();
}

void client_range_begin(struct uapi_client_range *range, uint64_t addr, uint64_t size_B)
{
	uint64_t whole_B = size_B && size_B <= INT64_MAX ? align_up(size_B, PAGE_SIZE) : 0;

	uapi_client_range_begin(node_device_if_any(), range, addr, whole_B);
	/* Nobody has it pinned: what happens now needs no event. */
	if (whole_B) {
		port_watch_disarm(addr, whole_B);
	}
}

void client_range_end(struct uapi_client_range *range)
{
	uapi_client_range_end(node_device_if_any(), range);
}

static void range_begin(struct uapi_client_range *range, const void *addr, size_t size_B)
{
	client_range_begin(range, (uint64_t)(uintptr_t)addr, size_B);
}

/* And now it went. */
static void range_cut(const void *addr, size_t size_B)
{
	if (mapping_any()) {
		mapping_cut((uint64_t)(uintptr_t)addr, size_B);
	}
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

/* The object behind, with a reference. */
static void *find_object(struct node_file *file, uint64_t offset)
{
	if (file->kind == NODE_DEVICE) {
		return uapi_mmap_object(file->device, offset);
	}
	uapi_fd_get_object(UAPI_FD_DMABUF, file->object);
	return file->object;
}

/* The real call, and a note of what it mapped. */
static int map_object(void *addr, size_t size_B, int prot, int flags, int host_fd,
		      uint64_t host_offset, void *object, void **ptr_out)
{
	int ret = 0;

	mapping_lock();
	*ptr_out = REAL(mmap64)(addr, size_B, prot, flags, host_fd, (off64_t)host_offset);
	if (*ptr_out == MAP_FAILED) {
		ret = -errno;
	} else if (object) {
		ret = mapping_add((uint64_t)(uintptr_t)*ptr_out, size_B, object);
		if (ret) {
			REAL(munmap)(*ptr_out, size_B);
			*ptr_out = MAP_FAILED;
		}
	}
	mapping_unlock();
	return ret;
}

static void *mmap_ours(void *addr, size_t size_B, int prot, int flags, int fd, off64_t offset)
{
	struct uapi_client_range range;
	struct node_file *file;
	uint64_t host_offset = 0;
	void *ptr = MAP_FAILED, *object = NULL;
	int host_fd = -1, ret;

	node_enter();
	file = fd_get(fd);
	ret = file ? find_mapping(file, (uint64_t)offset, size_B, flags, &host_fd, &host_offset) :
		     -EBADF;
	if (!ret && (prot & PROT_WRITE) && !may_write(fd)) {
		ret = -EACCES;
	}
	if (!ret) {
		range_begin(&range, addr, flags & MAP_FIXED ? size_B : 0);
		object = find_object(file, (uint64_t)offset);
		ret = map_object(addr, size_B, prot, flags, host_fd, host_offset, object, &ptr);
		client_range_end(&range);
		if (ret && object) {
			uapi_fd_put_object(UAPI_FD_DMABUF, object);
		}
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

/* A mapping of the client's own that replaces what was there. */
static void *mmap_over(void *addr, size_t size_B, int prot, int flags, int fd, off64_t offset)
{
	struct uapi_client_range range;
	void *ptr;
	int ret;

	node_enter();
	range_begin(&range, addr, size_B);
	mapping_lock();
	ptr = REAL(mmap64)(addr, size_B, prot, flags, fd, offset);
	ret = ptr == MAP_FAILED ? -errno : 0;
	if (!ret) {
		range_cut(addr, size_B);
	}
	mapping_unlock();
	client_range_end(&range);
	node_leave();
	if (ret) {
		errno = -ret;
	}
	return ptr;
}

static void *mmap_any(void *addr, size_t size_B, int prot, int flags, int fd, off64_t offset)
{
	if (!(flags & MAP_ANONYMOUS) && fd_is_marked(fd) && !is_tree_fd(fd)) {
		return mmap_ours(addr, size_B, prot, flags, fd, offset);
	}
	/* MAP_FIXED_NOREPLACE replaces nothing. */
	if ((flags & MAP_FIXED) && client_range_matters()) {
		return mmap_over(addr, size_B, prot, flags, fd, offset);
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
	struct uapi_client_range range;
	int ret;

	if (!client_range_matters()) {
		return REAL(munmap)(addr, size_B);
	}
	node_enter();
	range_begin(&range, addr, size_B);
	if (mapping_any()) {
		mapping_lock();
		ret = REAL(munmap)(addr, size_B) ? -errno : 0;
		if (!ret) {
			range_cut(addr, size_B);
		}
		mapping_unlock();
	} else {
		ret = REAL(munmap)(addr, size_B) ? -errno : 0;
	}
	client_range_end(&range);
	node_leave();
	return node_result(ret);
}

/* The object moves along; if it cannot be noted, nobody holds it. */
static void mapping_move(const void *addr, size_t old_B, const void *moved, size_t new_B, int flags)
{
	void *object = mapping_object((uint64_t)(uintptr_t)addr);

	if (!(flags & MREMAP_DONTUNMAP)) {
		range_cut(addr, old_B);
	}
	range_cut(moved, new_B);
	if (object && mapping_add((uint64_t)(uintptr_t)moved, new_B, object)) {
		uapi_fd_put_object(UAPI_FD_DMABUF, object);
	}
}

static void *mremap_told(void *addr, size_t old_B, size_t new_B, int flags, void *target)
{
	struct uapi_client_range from, to;
	void *ptr;
	int ret;

	node_enter();
	range_begin(&to, target, flags & MREMAP_FIXED ? new_B : 0);
	/* Also if it stays: what is watched in part is several mappings, which do not grow. */
	range_begin(&from, addr, old_B);
	mapping_lock();
	ptr = REAL(mremap)(addr, old_B, new_B, flags, target);
	ret = ptr == MAP_FAILED ? -errno : 0;
	if (!ret && mapping_any()) {
		mapping_move(addr, old_B, ptr, new_B, flags);
	}
	mapping_unlock();
	client_range_end(&from);
	client_range_end(&to);
	node_leave();
	if (ret) {
		errno = -ret;
	}
	return ptr;
}

EXPORT void *mremap(void *addr, size_t old_B, size_t new_B, int flags, ...)
{
	void *target = NULL;
	va_list args;

	if (flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) {
		va_start(args, flags);
		target = va_arg(args, void *);
		va_end(args);
	}
	if (!client_range_matters()) {
		return REAL(mremap)(addr, old_B, new_B, flags, target);
	}
	return mremap_told(addr, old_B, new_B, flags, target);
}

static bool drops_contents(int advice)
{
	return advice == MADV_DONTNEED || advice == MADV_REMOVE || advice == MADV_FREE ||
	       advice == 24; /* MADV_DONTNEED_LOCKED, newer than some headers */
}

EXPORT int madvise(void *addr, size_t size_B, int advice)
{
	struct uapi_client_range range;
	int ret;

	if (!drops_contents(advice) || !client_range_matters()) {
		return REAL(madvise)(addr, size_B, advice);
	}
	node_enter();
	range_begin(&range, addr, size_B);
	ret = REAL(madvise)(addr, size_B, advice) ? -errno : 0;
	client_range_end(&range);
	node_leave();
	return node_result(ret);
}
