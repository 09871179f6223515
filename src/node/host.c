// SPDX-License-Identifier: MIT
/*
 * What the device asks of its host: descriptors for its objects, and the client's eventfds.
 *
 * A sync file is an eventfd that a watch on the fence makes readable, so poll(), select() and epoll
 * work on it without our help, in a child of fork() too. The watch has a private copy of the
 * descriptor: the client may close its own while the fence is pending, and the number may be
 * another file's by the time the fence signals.
 *
 * The watch is called at most once, perhaps never, and perhaps just after the file is gone. So it
 * gets the file, which is recycled but never freed, together with the file's turn; the copy belongs
 * to whoever takes it out of @wake in one step.
 */
#include "node/node.h"

#include <sys/eventfd.h>

/* Above what an address of the client needs. */
#define TURN_SHIFT 48
#define FD_MASK 0xffffffffull

void event_write(int fd)
{
	uint64_t one = 1;
	ssize_t done = REAL(write)(fd, &one, sizeof(one));

	(void)done; /* full is readable too */
}

static void private_close(int fd)
{
	fd_clear_private(fd);
	REAL(close)(fd);
}

static int private_copy(int fd)
{
	int copy = REAL(fcntl)(fd, F_DUPFD_CLOEXEC, 3);

	return copy < 0 ? -errno : fd_hide(copy);
}

static uint64_t wake_turn(uint64_t wake)
{
	return wake >> TURN_SHIFT;
}

/* Takes the copy out of @file if it is still the one of @turn; -1 if there is none. */
static int wake_take(struct node_file *file, uint64_t turn)
{
	uint64_t wake = atomic_load(&file->wake);

	do {
		if (wake_turn(wake) != turn || !(wake & FD_MASK)) {
			return -1;
		}
	} while (!atomic_compare_exchange_weak(&file->wake, &wake, wake & ~FD_MASK));
	return (int)(wake & FD_MASK) - 1;
}

static void say_status(struct node_file *file)
{
	if (file->status) {
		atomic_store(file->status, uapi_sync_file_status(file->object));
	}
}

/* Under a leaf lock. */
static void sync_file_wake(void *arg)
{
	uint64_t both = (uintptr_t)arg;
	struct node_file *file = (void *)(uintptr_t)(both & (BIT64(TURN_SHIFT) - 1));
	int fd = wake_take(file, wake_turn(both));

	if (fd >= 0) {
		say_status(file);
		event_write(fd);
		private_close(fd);
	}
}

void node_unwatch(struct node_file *file)
{
	int fd = wake_take(file, wake_turn(atomic_load(&file->wake)));

	if (fd >= 0) {
		private_close(fd);
	}
}

int node_watch(struct node_file *file, int fd)
{
	uint64_t turn = (wake_turn(atomic_load(&file->wake)) + 1) & (UINT64_MAX >> TURN_SHIFT);
	int copy;

	if (uapi_sync_file_status(file->object)) {
		say_status(file);
		event_write(fd);
		return 0;
	}
	copy = private_copy(fd);
	if (copy < 0) {
		return copy;
	}
	ASSERT((uintptr_t)file >> TURN_SHIFT == 0);
	atomic_store(&file->wake, turn << TURN_SHIFT | ((uint64_t)copy + 1));
	/* On failure the copy goes with the file. */
	return uapi_sync_file_watch(file->object, sync_file_wake,
				    (void *)((uintptr_t)file | turn << TURN_SHIFT));
}

/* A number from the kernel for an object of @kind. */
static int object_fd(enum uapi_fd_kind kind, uint64_t size_B, bool cloexec)
{
	int fd;

	if (kind != UAPI_FD_DMABUF) {
		fd = node_eventfd((cloexec ? EFD_CLOEXEC : 0u) | EFD_NONBLOCK);
		return fd < 0 ? -errno : fd;
	}
	fd = node_memfd("vmbind-dmabuf", cloexec ? MFD_CLOEXEC : 0);
	if (fd < 0) {
		return -errno;
	}
	/* Costs nothing, and fstat() of another process then sees the size. */
	if (size_B <= INT64_MAX && ftruncate(fd, (off_t)size_B)) {
		REAL(close)(fd);
		return -ENOMEM;
	}
	return fd;
}

static int host_fd_install(void *ctx, enum uapi_fd_kind kind, void *object, uint64_t size_B,
			   bool cloexec)
{
	struct node_file *file = file_create(NODE_OBJECT);
	int fd, ret;

	if (!file) {
		return -ENOMEM;
	}
	file->object_kind = kind;
	file->object = object;
	file->size_B = size_B;
	fd = object_fd(kind, size_B, cloexec);
	ret = fd < 0 ? fd : 0;
	if (!ret && kind == UAPI_FD_SYNC_FILE) {
		file->status = sync_record(fd, object);
		ret = node_watch(file, fd);
	}
	if (!ret && !fd_install(fd, file)) {
		ret = -EMFILE;
	}
	if (ret) {
		if (fd >= 0) {
			REAL(close)(fd);
		}
		uapi_fd_get_object(kind, object); /* the caller keeps it */
		file_put(file);
		return ret;
	}
	return fd;
}

static void *host_fd_lookup(void *ctx, int fd, enum uapi_fd_kind kind)
{
	struct node_file *file = NULL;
	void *object = NULL;

	if (kind != UAPI_FD_SYNC_FILE || fd_is_marked(fd) || sync_adopt(fd)) {
		file = fd_get(fd);
	}
	if (file && file->kind == NODE_OBJECT && file->object_kind == kind) {
		object = file->object;
		uapi_fd_get_object(kind, object);
	}
	file_put(file);
	return object;
}

static bool host_fd_is_open(void *ctx, int fd)
{
	return !fd_is_private(fd) && REAL(fcntl)(fd, F_GETFD) >= 0;
}

/* The handle is the private number, never 0. */
static void *host_eventfd_get(void *ctx, int fd)
{
	char link[32], name[32];
	ssize_t len;
	int copy;

	if (fd < 0 || fd_is_marked(fd)) {
		return NULL;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = REAL(readlink)(link, name, sizeof(name));
	if (len < (ssize_t)strlen("anon_inode:[eventfd]") ||
	    strncmp(name, "anon_inode:[eventfd]", strlen("anon_inode:[eventfd]")) != 0) {
		return NULL;
	}
	copy = private_copy(fd);
	return copy > 0 ? (void *)(intptr_t)copy : NULL;
}

static void host_eventfd_signal(void *ctx, void *eventfd_handle)
{
	event_write((int)(intptr_t)eventfd_handle);
}

static void host_eventfd_put(void *ctx, void *eventfd_handle)
{
	private_close((int)(intptr_t)eventfd_handle);
}

const struct uapi_host_ops node_host_ops = {
	.fd_install = host_fd_install,
	.fd_lookup = host_fd_lookup,
	.fd_is_open = host_fd_is_open,
	.eventfd_get = host_eventfd_get,
	.eventfd_signal = host_eventfd_signal,
	.eventfd_put = host_eventfd_put,
	.watch = host_watch,
	.watch_arm = host_watch_arm,
	.unwatch = host_unwatch,
};
