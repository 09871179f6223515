// SPDX-License-Identifier: MIT
/*
 * The open() family.
 *
 * An open of a device node gives a fresh description of the arena, so that the kernel's own mmap()
 * at an object's offset is right even when it does not pass through us. A file of the tree is a
 * sealed memfd with its contents, a directory of the tree an empty one: its number is a real one,
 * everything else about it comes from the table.
 */
#include "node/node.h"

#include <stdarg.h>
#include <stdlib.h>

#define PASSED_ON (O_CLOEXEC | O_NONBLOCK)
#define FDINFO_HOST_B 1024 /* what the kernel says of a memfd is a few short lines */
/* With one of these the host's own file gives the right answer, which is an error or a path. */
#define NOT_FOR_FDINFO (O_ACCMODE | O_DIRECTORY | O_PATH)

/* A descriptor nothing can be read from: a number for the table. */
static int empty_open(const char *name, int flags)
{
	int fd = node_memfd(name, flags & O_CLOEXEC ? MFD_CLOEXEC : 0);

	return fd < 0 ? -errno : fd;
}

/* A file for text; text_put() fills it, text_done() gives it to the client. */
static int text_begin(const char *name, int flags)
{
	int fd = node_memfd(name, MFD_ALLOW_SEALING | (flags & O_CLOEXEC ? MFD_CLOEXEC : 0));

	return fd < 0 ? -errno : fd;
}

/* @ctx: the descriptor. */
static int text_put(void *ctx, const char *text, size_t size_B)
{
	const int *fd = ctx;
	size_t done = 0;

	while (done < size_B) {
		ssize_t n = REAL(write)(*fd, text + done, size_B - done);

		if (n <= 0) {
			return -EIO;
		}
		done += (size_t)n;
	}
	return 0;
}

/* @ret: what the last text_put() has returned. */
static int text_done(int fd, int ret, int flags)
{
	if (ret) {
		REAL(close)(fd);
		return ret;
	}
	if ((flags & O_ACCMODE) == O_RDONLY) {
		REAL(fcntl)(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK);
	}
	REAL(lseek)(fd, 0, SEEK_SET);
	return fd;
}

int text_open(const char *name, const void *text, size_t size_B, int flags)
{
	int fd = text_begin(name, flags);

	return fd < 0 ? fd : text_done(fd, text_put(&fd, text, size_B), flags);
}

/* Gives @fd, fresh from the kernel, its file. */
static int install(int fd, struct node_file *file)
{
	if (fd >= 0 && !fd_install(fd, file)) {
		REAL(close)(fd);
		fd = -EMFILE;
	}
	if (fd < 0) {
		file_put(file);
	}
	return fd;
}

/* A new description of the arena. */
static int arena_open(struct uapi_device *device, int flags)
{
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", uapi_arena_fd(device));
	fd = REAL(open)(name, (flags & (PASSED_ON | O_ACCMODE)));
	if (fd < 0 && errno == ENOENT) {
		/* No /proc here. One description for all then, which only dup() could tell. */
		fd = REAL(fcntl)(uapi_arena_fd(device),
				 flags & O_CLOEXEC ? F_DUPFD_CLOEXEC : F_DUPFD, 0);
	}
	return fd < 0 ? -errno : fd;
}

static int device_open(unsigned minor_number, int flags)
{
	bool render = minor_number >= TREE_RENDER_MINOR;
	struct uapi_device *device = node_device();
	struct node_file *file;
	int ret;

	if (device && minor_number % TREE_RENDER_MINOR) {
		device = node_companion();
	}
	if (!device) {
		return -ENODEV;
	}
	file = file_create(NODE_DEVICE);
	if (!file) {
		return -ENOMEM;
	}
	file->minor = minor_number;
	ret = uapi_open(device, render, &file->device);
	if (ret) {
		file_put(file);
		return ret;
	}
	node_mark_used();
	return install(arena_open(device, flags), file);
}

static int tnode_open(struct tnode *node, int fd)
{
	struct node_file *file = fd < 0 ? NULL : file_create(NODE_TREE);

	if (fd >= 0 && !file) {
		REAL(close)(fd);
		return -ENOMEM;
	}
	if (fd < 0) {
		return fd;
	}
	file->tnode = node;
	return install(fd, file);
}

/* @fd may be an error; @writes: what is written to it goes to the device. */
static int written_open(struct tnode *node, int fd, bool writes)
{
	struct node_file *file;

	fd = tnode_open(node, fd);
	if (fd >= 0) {
		file = fd_get(fd);
		file->writes = writes;
		file_put(file);
	}
	return fd;
}

/*
 * Reads say what was so when it was opened. What the kernel itself writes, for libc's stdio, would
 * not reach the device and so is -EPERM.
 */
static int attr_open(struct tnode *node, int flags)
{
	bool writes = (flags & O_ACCMODE) != O_RDONLY;
	bool readable = node->kind == TNODE_ATTR || node->kind == TNODE_CPUS;
	char text[CPUS_TEXT_B];
	size_t n = 0;

	if (readable ? writes && node->kind == TNODE_ATTR && !node->writable
		     : (flags & O_ACCMODE) != O_WRONLY) {
		return -EACCES;
	}
	if (writes && geteuid() != 0) {
		return -EACCES;
	}
	_Static_assert(CPUS_TEXT_B >= UAPI_ATTR_B, "room for both");
	if (node->kind == TNODE_ATTR) {
		n = (size_t)uapi_attr_show(node_device_if_any(), node->attr, text);
	} else if (node->kind == TNODE_CPUS) {
		n = cpus_show(text);
	}
	return written_open(node, text_open(node->name, text, n, flags & ~O_ACCMODE), writes);
}

/* It is the client's own, so that everybody may read and clear it. */
static int dump_open(struct tnode *node, int flags)
{
	int fd = text_begin(node->name, flags), ret = 0;

	if (fd >= 0 && (flags & O_ACCMODE) != O_WRONLY) {
		ret = uapi_dump_show(node_device_if_any(), text_put, &fd);
	}
	if (fd >= 0) {
		fd = text_done(fd, ret, flags & ~O_ACCMODE);
	}
	return written_open(node, fd, (flags & O_ACCMODE) != O_RDONLY);
}

static int registers_open(struct tnode *node, int flags)
{
	int fd;

	if (geteuid() != 0) {
		return -EACCES;
	}
	fd = empty_open(node->name, flags);
	if (fd >= 0 && ftruncate(fd, (off_t)node->size_B)) {
		REAL(close)(fd);
		return -ENOMEM;
	}
	return tnode_open(node, fd);
}

/* Inside the gate. */
static int node_open_node(struct tnode *node, int flags)
{
	bool writes = (flags & O_ACCMODE) != O_RDONLY;

	if ((flags & O_CREAT) && (flags & O_EXCL)) {
		return -EEXIST;
	}
	if (node->kind != TNODE_DIR && (flags & O_DIRECTORY)) {
		return -ENOTDIR;
	}
	if (flags & O_PATH) {
		return tnode_open(node, empty_open(node->name, flags));
	}
	switch (node->kind) {
	case TNODE_CHAR:
		return device_open(node->minor, flags);
	case TNODE_SW_SYNC:
		return sync_open_timeline(flags);
	case TNODE_RESET:
		uapi_device_reset(node_device());
		return tnode_open(node, empty_open(node->name, flags));
	case TNODE_REGISTERS:
		return registers_open(node, flags);
	case TNODE_ATTR:
	case TNODE_UNBIND:
	case TNODE_BIND:
	case TNODE_CPUS:
		return attr_open(node, flags);
	case TNODE_DUMP:
		return dump_open(node, flags);
	case TNODE_LINK:
		return -ELOOP;
	case TNODE_DIR:
		if (writes || (flags & O_CREAT)) {
			return -EISDIR;
		}
		return tnode_open(node, empty_open(node->name, flags));
	default:
		if (writes) {
			return -EACCES;
		}
		return tnode_open(node, text_open(node->name, node->text, node->size_B, flags));
	}
}

/* /proc/self/fd/N: a new file of what N stands for. Inside the gate. */
static int reopen(int fd, int flags)
{
	struct node_file *file = fd_get(fd);
	int ret = -ENXIO;

	if (!file) {
		return -ENOENT;
	}
	if (file->kind == NODE_DEVICE) {
		ret = flags & O_DIRECTORY ? -ENOTDIR : device_open(file->minor, flags);
	} else if (file->kind == NODE_TREE) {
		ret = node_open_node(file->tnode, flags);
	}
	file_put(file);
	return ret;
}

/* A name of the host's, which may be a directory that shows something of ours. */
static int host_open(const struct path *path, int flags)
{
	int fd = REAL(openat)(AT_FDCWD, path->path, flags & ~O_CREAT);

	if (fd < 0) {
		return -errno;
	}
	fd_fresh(fd);
	if (!path->node) {
		return fd;
	}
	node_enter();
	fd = tnode_open(path->node, fd);
	node_leave();
	return fd;
}

/*
 * What the kernel says of the number @fd, and what the device says of the file behind it; as it is
 * now, however late it is read. Inside the gate.
 */
static int fdinfo_open(int fd, int flags)
{
	char text[FDINFO_HOST_B + UAPI_FDINFO_B], name[32];
	struct node_file *file = fd_get(fd);
	int host, ret = -ENOENT;
	ssize_t n = 0;

	if (!file || file->kind != NODE_DEVICE) {
		file_put(file);
		return ret;
	}
	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", fd);
	host = REAL(open)(name, O_RDONLY | O_CLOEXEC);
	if (host >= 0) {
		n = REAL(read)(host, text, FDINFO_HOST_B);
		REAL(close)(host);
		ret = n < 0 ? -EIO : uapi_fdinfo(file->device, text + n);
	}
	file_put(file);
	return ret < 0 ? ret : text_open("fdinfo", text, (size_t)(n + ret), flags);
}

bool node_open(int dirfd, const char *name, int flags, int *fd_out)
{
	unsigned follow = flags & O_NOFOLLOW ? PATH_NOFOLLOW : 0;
	struct path path;
	enum path_kind kind = path_resolve(dirfd, name, follow, &path);
	bool host = kind == PATH_HOST || kind == PATH_MOVED;
	int fdinfo = host && !(flags & NOT_FOR_FDINFO) ? path_fdinfo(dirfd, name) : -1;

	if (fdinfo >= 0) {
		node_enter();
		*fd_out = fdinfo_open(fdinfo, flags);
		node_leave();
		fd_fresh(*fd_out);
		return true;
	}
	if (host && sink_wants(dirfd, name, path.path, flags)) {
		*fd_out = sink_open(path.path, flags);
		return true;
	}
	switch (kind) {
	case PATH_HOST:
		if (!path.node) {
			return false;
		}
		*fd_out = host_open(&path, flags);
		return true;
	case PATH_MOVED:
		*fd_out = host_open(&path, flags);
		return true;
	case PATH_ERROR:
		*fd_out = path.error == -ENOENT && (flags & O_CREAT) ? -EACCES : path.error;
		return true;
	default:
		node_enter();
		*fd_out = kind == PATH_FD ? reopen(path.fd, flags) :
					    node_open_node(path.node, flags);
		node_leave();
		return true;
	}
}

void node_file_name(const struct node_file *file, char *name, size_t size)
{
	static const char *const object[] = {
		[UAPI_FD_SYNCOBJ] = "anon_inode:syncobj_file",
		[UAPI_FD_SYNC_FILE] = "anon_inode:sync_file",
		[UAPI_FD_DMABUF] = "/dmabuf:",
		[UAPI_FD_TIMELINE] = TREE_SW_SYNC,
	};

	switch (file->kind) {
	case NODE_DEVICE:
		snprintf(name, size, "/dev/dri/%s%u",
			 file->minor >= TREE_RENDER_MINOR ? "renderD" : "card", file->minor);
		break;
	case NODE_TREE:
		if (!tree_path(file->tnode, name, size)) {
			name[0] = '\0';
		}
		break;
	default:
		snprintf(name, size, "%s", object[file->object_kind]);
		break;
	}
}

/* ---- the interposers ------------------------------------------------------------------------- */

static int open_any(int dirfd, const char *name, int flags, mode_t mode)
{
	int fd;

	if (node_open(dirfd, name, flags, &fd)) {
		return node_result(fd);
	}
	return fd_fresh(REAL(openat64)(dirfd, name, flags, mode));
}

static bool flags_have_mode(int flags)
{
	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

#define MODE_OF(last, flags, mode)                                                                 \
	do {                                                                                       \
		if (flags_have_mode(flags)) {                                                      \
			va_list args;                                                              \
			va_start(args, last);                                                      \
			mode = va_arg(args, mode_t);                                               \
			va_end(args);                                                              \
		}                                                                                  \
	} while (0)

EXPORT int open(const char *name, int flags, ...)
{
	mode_t mode = 0;

	MODE_OF(flags, flags, mode);
	return open_any(AT_FDCWD, name, flags, mode);
}

EXPORT int open64(const char *name, int flags, ...)
{
	mode_t mode = 0;

	MODE_OF(flags, flags, mode);
	return open_any(AT_FDCWD, name, flags, mode);
}

EXPORT int openat(int dirfd, const char *name, int flags, ...)
{
	mode_t mode = 0;

	MODE_OF(flags, flags, mode);
	return open_any(dirfd, name, flags, mode);
}

EXPORT int openat64(int dirfd, const char *name, int flags, ...)
{
	mode_t mode = 0;

	MODE_OF(flags, flags, mode);
	return open_any(dirfd, name, flags, mode);
}

/* The fortified forms: flags without a mode must not need one; libc's own say so and abort. */
static int open_without_mode(int dirfd, const char *name, int flags)
{
	return flags_have_mode(flags) ? REAL(__openat64_2)(dirfd, name, flags) :
					open_any(dirfd, name, flags, 0);
}

EXPORT int __open_2(const char *name, int flags)
{
	return open_without_mode(AT_FDCWD, name, flags);
}

EXPORT int __open64_2(const char *name, int flags)
{
	return open_without_mode(AT_FDCWD, name, flags);
}

EXPORT int __openat_2(int dirfd, const char *name, int flags)
{
	return open_without_mode(dirfd, name, flags);
}

EXPORT int __openat64_2(int dirfd, const char *name, int flags)
{
	return open_without_mode(dirfd, name, flags);
}

EXPORT int creat(const char *name, mode_t mode)
{
	return open_any(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

EXPORT int creat64(const char *name, mode_t mode)
{
	return open_any(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

/* The open flags of a stdio mode; -1 if it is none. */
static int flags_of_mode(const char *mode)
{
	int flags;

	switch (mode[0]) {
	case 'r':
		flags = O_RDONLY;
		break;
	case 'w':
		flags = O_WRONLY | O_CREAT | O_TRUNC;
		break;
	case 'a':
		flags = O_WRONLY | O_CREAT | O_APPEND;
		break;
	default:
		return -1;
	}
	for (mode++; *mode && *mode != ','; mode++) {
		if (*mode == '+') {
			flags = (flags & ~O_ACCMODE) | O_RDWR;
		} else if (*mode == 'e') {
			flags |= O_CLOEXEC;
		} else if (*mode == 'x') {
			flags |= O_EXCL;
		}
	}
	return flags;
}

typedef FILE *(*fopen_fn)(const char *, const char *);

static FILE *fopen_any(const char *name, const char *mode, fopen_fn real)
{
	int flags = flags_of_mode(mode), fd;
	FILE *stream;

	if (flags < 0 || !node_open(AT_FDCWD, name, flags, &fd)) {
		stream = real(name, mode);
		if (stream) {
			fd_fresh(fileno(stream));
		}
		return stream;
	}
	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	stream = fdopen(fd, mode);
	if (!stream) {
		node_close(fd);
	}
	return stream;
}

EXPORT FILE *fopen(const char *name, const char *mode)
{
	return fopen_any(name, mode, REAL(fopen));
}

EXPORT FILE *fopen64(const char *name, const char *mode)
{
	return fopen_any(name, mode, REAL(fopen64));
}
