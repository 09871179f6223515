// SPDX-License-Identifier: MIT
/*
 * Descriptor numbers to open files.
 *
 * A descriptor of ours is a real one, so that the kernel hands out the number, passes it through
 * fork and exec and closes it at the end: a fresh description of the arena for the device, an
 * eventfd or a memfd for other things. The table below says what it stands for. It is indexed by
 * number, and a number beyond its end is never ours.
 *
 * Files are counted: one per number, one per call in flight. So close() in one thread and ioctl()
 * in another is safe, and the last of the two closes the file. Files are recycled, never freed:
 * a reader may look at a file that has just gone, takes a reference only if the count is not
 * zero, and then sees that the number has another file by now.
 *
 * The library's own descriptors (arena, eventfds) are in the table as private: closed numbers, as
 * far as the client can tell. A program that closes everything it inherited does not reach them.
 *
 * Locking: @pool_lock for the free list; the table is atomic.
 */
#include "node/node.h"

#include <stdarg.h>

#define FDS_MAX (1 << 20)
#define POOL_CHUNK 64
/* Out of the way of programs that choose small numbers themselves. */
#define PRIVATE_FLOOR 800

static _Atomic(struct node_file *) table[FDS_MAX];
/* One above the highest number that was ever marked. */
static atomic_int table_end;
static struct node_file private_file = { .kind = NODE_PRIVATE, .refs = 1 };

static struct port_lock_class pool_class = { .name = "node.files", .rank = RANK_LEAF };
static struct port_mutex pool_lock;
static struct node_file *pool_free; /* under pool_lock */

static __attribute__((constructor)) void pool_init(void)
{
	if (!pool_lock.class) {
		port_mutex_init(&pool_lock, &pool_class);
	}
}

static struct node_file *pool_get(void)
{
	struct node_file *file;

	port_mutex_lock(&pool_lock);
	file = pool_free;
	if (file) {
		pool_free = file->next;
	}
	port_mutex_unlock(&pool_lock);
	return file;
}

static void pool_put(struct node_file *file)
{
	port_mutex_lock(&pool_lock);
	file->next = pool_free;
	pool_free = file;
	port_mutex_unlock(&pool_lock);
}

struct node_file *file_create(enum node_kind kind)
{
	struct node_file *file;

	pool_init();
	file = pool_get();
	if (!file) {
		file = port_alloc(POOL_CHUNK * sizeof(*file));
		if (!file) {
			return NULL;
		}
		for (int i = 1; i < POOL_CHUNK; i++) {
			pool_put(&file[i]);
		}
	}
	file->kind = kind;
	file->device = NULL;
	file->object = NULL;
	file->status = NULL;
	atomic_store(&file->elsewhere, false);
	file->tnode = NULL;
	file->writes = false;
	file->size_B = 0;
	atomic_store(&file->refs, 1);
	return file;
}

void file_put(struct node_file *file)
{
	if (!file || file->kind == NODE_PRIVATE || atomic_fetch_sub(&file->refs, 1) != 1) {
		return;
	}
	if (file->kind == NODE_DEVICE && file->device) {
		uapi_close(file->device);
	} else if (file->kind == NODE_OBJECT && file->object) {
		if (sync_linger(file)) {
			return;
		}
		node_unwatch(file);
		uapi_fd_put_object(file->object_kind, file->object);
		if (file->object_kind == UAPI_FD_TIMELINE) {
			sync_closed(file->object);
		}
	}
	pool_put(file);
}

static bool in_table(int fd)
{
	return fd >= 0 && fd < atomic_load_explicit(&table_end, memory_order_acquire);
}

bool fd_is_marked(int fd)
{
	return in_table(fd) && atomic_load_explicit(&table[fd], memory_order_relaxed) != NULL;
}

static bool file_get(struct node_file *file)
{
	unsigned refs = atomic_load(&file->refs);

	while (refs && !atomic_compare_exchange_weak(&file->refs, &refs, refs + 1)) {
	}
	return refs != 0;
}

struct node_file *fd_get(int fd)
{
	if (!in_table(fd)) {
		return NULL;
	}
	for (;;) {
		struct node_file *file = atomic_load(&table[fd]);

		if (!file || file->kind == NODE_PRIVATE) {
			return NULL;
		}
		if (!file_get(file)) {
			continue;
		}
		if (atomic_load(&table[fd]) == file) {
			return file;
		}
		file_put(file);
	}
}

static void table_grow(int fd)
{
	int end = atomic_load(&table_end);

	while (end <= fd && !atomic_compare_exchange_weak(&table_end, &end, fd + 1)) {
	}
}

bool fd_install(int fd, struct node_file *file)
{
	if (fd < 0 || fd >= FDS_MAX) {
		return false;
	}
	table_grow(fd);
	file_put(atomic_exchange(&table[fd], file));
	return true;
}

struct node_file *fd_take(int fd)
{
	return in_table(fd) ? atomic_exchange(&table[fd], NULL) : NULL;
}

int fd_fresh(int fd)
{
	if (__builtin_expect(fd_is_marked(fd), 0)) {
		node_enter();
		file_put(fd_take(fd));
		node_leave();
	}
	return fd;
}

bool fd_is_private(int fd)
{
	return in_table(fd) && atomic_load(&table[fd]) == &private_file;
}

void fd_set_private(int fd)
{
	if (fd >= 0 && fd < FDS_MAX) {
		table_grow(fd);
		atomic_store(&table[fd], &private_file);
	}
}

void fd_clear_private(int fd)
{
	struct node_file *file = &private_file;

	if (in_table(fd)) {
		atomic_compare_exchange_strong(&table[fd], &file, NULL);
	}
}

void fd_each(void (*fn)(struct node_file *file))
{
	int end = atomic_load(&table_end);

	for (int fd = 0; fd < end; fd++) {
		struct node_file *file = atomic_load(&table[fd]);

		if (file) {
			fn(file);
		}
	}
}

int fd_hide(int fd)
{
	int high;

	if (fd < 0) {
		return fd;
	}
	high = REAL(fcntl)(fd, F_DUPFD_CLOEXEC, PRIVATE_FLOOR);
	if (high >= 0) {
		REAL(close)(fd);
		fd = high;
	}
	fd_set_private(fd);
	return fd;
}

/* ---- the interposers that move numbers ------------------------------------------------------- */

int node_close(int fd)
{
	struct node_file *file;
	int ret;

	if (!fd_is_marked(fd)) {
		return REAL(close)(fd);
	}
	if (fd_is_private(fd)) {
		return node_result(-EBADF);
	}
	node_enter();
	/* First the table: the moment the kernel has closed it, the number may be another's. */
	file = fd_take(fd);
	ret = REAL(close)(fd) ? -errno : 0;
	file_put(file);
	node_leave();
	return node_result(ret);
}

EXPORT int close(int fd)
{
	return node_close(fd);
}

EXPORT int fclose(FILE *stream)
{
	int fd = fileno(stream), ret;
	struct node_file *file;

	if (!fd_is_marked(fd) || fd_is_private(fd)) {
		return REAL(fclose)(stream);
	}
	file = fd_take(fd);
	ret = REAL(fclose)(stream);
	node_enter();
	file_put(file);
	node_leave();
	return ret;
}

/* Closes [first, last], all of it the client's, in the table and in the kernel. */
static int range_close(unsigned first, unsigned last, int flags)
{
	int ret = REAL(close_range)(first, last, flags);

	return ret ? -errno : 0;
}

EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	unsigned end = (unsigned)atomic_load(&table_end), from = first;
	int ret = 0;

	/* The other flags neither close our files nor, for those that matter, change anything. */
	if (flags || first > last || first >= end) {
		return REAL(close_range)(first, last, flags);
	}
	node_enter();
	for (unsigned fd = first; fd <= last && fd < end && !ret; fd++) {
		if (fd_is_private((int)fd)) {
			ret = fd > from ? range_close(from, fd - 1, 0) : 0;
			from = fd + 1;
		} else if (fd_is_marked((int)fd)) {
			struct node_file *file = fd_take((int)fd);

			REAL(close)((int)fd);
			file_put(file);
		}
	}
	if (!ret && from <= last) {
		ret = range_close(from, last, 0);
	}
	node_leave();
	return node_result(ret);
}

EXPORT void closefrom(int low)
{
	close_range(low < 0 ? 0 : (unsigned)low, ~0u, 0);
}

/* @fd_new is a copy of @fd_old made by the kernel, or -1; @file is what @fd_old stands for. */
static int dup_finish(int fd_new, struct node_file *file)
{
	int ret = fd_new < 0 ? -errno : fd_new;

	if (fd_new >= 0 && !fd_install(fd_new, file)) {
		REAL(close)(fd_new);
		ret = -EMFILE;
	}
	if (ret < 0) {
		file_put(file);
	}
	return ret;
}

EXPORT int dup(int fd)
{
	struct node_file *file;
	int ret;

	if (!fd_is_marked(fd)) {
		return fd_fresh(REAL(dup)(fd));
	}
	node_enter();
	file = fd_get(fd);
	ret = file ? dup_finish(REAL(dup)(fd), file) : -EBADF;
	node_leave();
	return node_result(ret);
}

/* dup3() where a flag of -1 means dup2(). */
static int dup_over(int fd_old, int fd_new, int flags)
{
	struct node_file *file, *over;
	int ret;

	if (!fd_is_marked(fd_old) && !fd_is_marked(fd_new)) {
		return flags < 0 ? REAL(dup2)(fd_old, fd_new) : REAL(dup3)(fd_old, fd_new, flags);
	}
	if (fd_is_private(fd_old)) {
		return node_result(-EBADF);
	}
	if (fd_is_private(fd_new)) {
		return node_result(-EBUSY);
	}
	node_enter();
	file = fd_get(fd_old);
	ret = flags < 0 ? REAL(dup2)(fd_old, fd_new) : REAL(dup3)(fd_old, fd_new, flags);
	if (ret < 0 || fd_old == fd_new) {
		ret = ret < 0 ? -errno : ret;
		file_put(file);
	} else if (file) {
		ret = dup_finish(ret, file);
	} else {
		over = fd_take(fd_new);
		file_put(over);
	}
	node_leave();
	return node_result(ret);
}

EXPORT int dup2(int fd_old, int fd_new)
{
	return dup_over(fd_old, fd_new, -1);
}

EXPORT int dup3(int fd_old, int fd_new, int flags)
{
	return dup_over(fd_old, fd_new, flags & INT_MAX);
}

/* Every command's argument is one register, if it has one. */
static int fcntl_any(int fd, int cmd, void *arg)
{
	struct node_file *file;
	int ret;

	if (!fd_is_marked(fd)) {
		ret = REAL(fcntl64)(fd, cmd, arg);
		return cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC ? fd_fresh(ret) : ret;
	}
	if (fd_is_private(fd)) {
		return node_result(-EBADF);
	}
	if (cmd == F_ADD_SEALS || cmd == F_GET_SEALS) {
		return node_result(-EINVAL); /* what it would be on a device */
	}
	if (cmd != F_DUPFD && cmd != F_DUPFD_CLOEXEC) {
		return REAL(fcntl64)(fd, cmd, arg);
	}
	node_enter();
	file = fd_get(fd);
	ret = file ? dup_finish(REAL(fcntl64)(fd, cmd, arg), file) : -EBADF;
	node_leave();
	return node_result(ret);
}

EXPORT int fcntl(int fd, int cmd, ...)
{
	va_list args;
	void *arg;

	va_start(args, cmd);
	arg = va_arg(args, void *);
	va_end(args);
	return fcntl_any(fd, cmd, arg);
}

EXPORT int fcntl64(int fd, int cmd, ...)
{
	va_list args;
	void *arg;

	va_start(args, cmd);
	arg = va_arg(args, void *);
	va_end(args);
	return fcntl_any(fd, cmd, arg);
}
