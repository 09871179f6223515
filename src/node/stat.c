// SPDX-License-Identifier: MIT
/*
 * What a name or a descriptor is: stat, statx, access, readlink, realpath in all their forms.
 *
 * On this architecture the plain and the 64-bit forms have one layout; the __xstat family is what
 * programs linked against libc before 2.33 call.
 */
#include "node/node.h"

#include <stdlib.h>
#include <sys/sysmacros.h>

_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "one layout for both");

/* ---- stat ------------------------------------------------------------------------------------ */

static void stat_device(const struct node_file *file, struct stat *st)
{
	char name[32];

	node_file_name(file, name, sizeof(name));
	tree_stat(tree_find(name), st);
}

/* True when @fd has something else to say than the kernel. */
static bool stat_fd(int fd, struct stat *st)
{
	struct node_file *file;
	bool ours = false;

	if (!fd_is_marked(fd)) {
		return false;
	}
	node_enter();
	file = fd_get(fd);
	if (file && file->kind == NODE_DEVICE) {
		stat_device(file, st);
		ours = true;
	} else if (file && file->kind == NODE_OBJECT && file->object_kind == UAPI_FD_TIMELINE) {
		tree_stat(tree_find(TREE_SW_SYNC), st);
		ours = true;
	} else if (file && file->kind == NODE_TREE &&
		   (file->tnode->kind != TNODE_DIR || file->tnode->whole || REAL(fstat)(fd, st) ||
		    !S_ISDIR(st->st_mode))) {
		/* A shared directory that the host has too speaks for itself. */
		tree_stat(file->tnode, st);
		ours = true;
	}
	file_put(file);
	node_leave();
	return ours;
}

/*
 * True when the answer is ours: 0 or -errno in *ret_out. Else @path may hold another name to ask
 * the host for, when it is PATH_MOVED.
 */
static bool stat_path(int dirfd, const char *name, int flags, struct stat *st, struct path *path,
		      int *ret_out)
{
	*ret_out = 0;
	path->kind = PATH_HOST;
	if (!name || !*name) {
		return (flags & AT_EMPTY_PATH) && dirfd >= 0 && stat_fd(dirfd, st);
	}
	switch (path_resolve(dirfd, name, flags & AT_SYMLINK_NOFOLLOW ? PATH_NOFOLLOW : 0, path)) {
	case PATH_NODE:
		tree_stat(path->node, st);
		return true;
	case PATH_ERROR:
		*ret_out = path->error;
		return true;
	case PATH_FD:
		path->kind = PATH_HOST;
		return !(flags & AT_SYMLINK_NOFOLLOW) && stat_fd(path->fd, st);
	default:
		return false;
	}
}

static int stat_any(int dirfd, const char *name, struct stat64 *st, int flags)
{
	struct path path;
	int ret;

	if (stat_path(dirfd, name, flags, (struct stat *)st, &path, &ret)) {
		return node_result(ret);
	}
	if (path.kind == PATH_MOVED) {
		return REAL(fstatat64)(AT_FDCWD, path.path, st, flags);
	}
	return REAL(fstatat64)(dirfd, name, st, flags);
}

static int fstat_any(int fd, struct stat64 *st)
{
	return stat_fd(fd, (struct stat *)st) ? 0 : REAL(fstat64)(fd, st);
}

int node_stat(const char *name, struct stat *st)
{
	return stat_any(AT_FDCWD, name, (struct stat64 *)st, 0);
}

int node_lstat(const char *name, struct stat *st)
{
	return stat_any(AT_FDCWD, name, (struct stat64 *)st, AT_SYMLINK_NOFOLLOW);
}

EXPORT int stat(const char *name, struct stat *st)
{
	return node_stat(name, st);
}

EXPORT int stat64(const char *name, struct stat64 *st)
{
	return stat_any(AT_FDCWD, name, st, 0);
}

EXPORT int lstat(const char *name, struct stat *st)
{
	return node_lstat(name, st);
}

EXPORT int lstat64(const char *name, struct stat64 *st)
{
	return stat_any(AT_FDCWD, name, st, AT_SYMLINK_NOFOLLOW);
}

EXPORT int fstat(int fd, struct stat *st)
{
	return fstat_any(fd, (struct stat64 *)st);
}

EXPORT int fstat64(int fd, struct stat64 *st)
{
	return fstat_any(fd, st);
}

EXPORT int fstatat(int dirfd, const char *name, struct stat *st, int flags)
{
	return stat_any(dirfd, name, (struct stat64 *)st, flags);
}

EXPORT int fstatat64(int dirfd, const char *name, struct stat64 *st, int flags)
{
	return stat_any(dirfd, name, st, flags);
}

EXPORT int __xstat(int ver, const char *name, struct stat *st)
{
	return stat_any(AT_FDCWD, name, (struct stat64 *)st, 0);
}

EXPORT int __xstat64(int ver, const char *name, struct stat64 *st)
{
	return stat_any(AT_FDCWD, name, st, 0);
}

EXPORT int __lxstat(int ver, const char *name, struct stat *st)
{
	return stat_any(AT_FDCWD, name, (struct stat64 *)st, AT_SYMLINK_NOFOLLOW);
}

EXPORT int __lxstat64(int ver, const char *name, struct stat64 *st)
{
	return stat_any(AT_FDCWD, name, st, AT_SYMLINK_NOFOLLOW);
}

EXPORT int __fxstat(int ver, int fd, struct stat *st)
{
	return fstat_any(fd, (struct stat64 *)st);
}

EXPORT int __fxstat64(int ver, int fd, struct stat64 *st)
{
	return fstat_any(fd, st);
}

EXPORT int __fxstatat(int ver, int dirfd, const char *name, struct stat *st, int flags)
{
	return stat_any(dirfd, name, (struct stat64 *)st, flags);
}

EXPORT int __fxstatat64(int ver, int dirfd, const char *name, struct stat64 *st, int flags)
{
	return stat_any(dirfd, name, st, flags);
}

static void statx_fill(const struct stat *st, struct statx *stx)
{
	memset(stx, 0, sizeof(*stx));
	stx->stx_mask = STATX_BASIC_STATS;
	stx->stx_blksize = (uint32_t)st->st_blksize;
	stx->stx_nlink = (uint32_t)st->st_nlink;
	stx->stx_uid = st->st_uid;
	stx->stx_gid = st->st_gid;
	stx->stx_mode = (uint16_t)st->st_mode;
	stx->stx_ino = st->st_ino;
	stx->stx_size = (uint64_t)st->st_size;
	stx->stx_blocks = (uint64_t)st->st_blocks;
	stx->stx_atime.tv_sec = st->st_atim.tv_sec;
	stx->stx_mtime.tv_sec = st->st_mtim.tv_sec;
	stx->stx_ctime.tv_sec = st->st_ctim.tv_sec;
	stx->stx_rdev_major = major(st->st_rdev);
	stx->stx_rdev_minor = minor(st->st_rdev);
	stx->stx_dev_major = major(st->st_dev);
	stx->stx_dev_minor = minor(st->st_dev);
}

EXPORT int statx(int dirfd, const char *name, int flags, unsigned mask, struct statx *stx)
{
	struct path path;
	struct stat st;
	int ret;

	if (stat_path(dirfd, name, flags, &st, &path, &ret)) {
		if (!ret) {
			statx_fill(&st, stx);
		}
		return node_result(ret);
	}
	if (path.kind == PATH_MOVED) {
		return REAL(statx)(AT_FDCWD, path.path, flags, mask, stx);
	}
	return REAL(statx)(dirfd, name, flags, mask, stx);
}

/* ---- access ---------------------------------------------------------------------------------- */

static int access_stat(const struct stat *st, int mode, int flags)
{
	bool root = (flags & AT_EACCESS ? geteuid() : getuid()) == 0;

	if ((mode & W_OK) && !(st->st_mode & S_IWOTH) &&
	    !(root && S_ISREG(st->st_mode) && (st->st_mode & S_IWUSR))) {
		return -EACCES;
	}
	return (mode & X_OK) && !S_ISDIR(st->st_mode) ? -EACCES : 0;
}

/* True when the answer is ours. Otherwise @path says what to ask the host. */
static bool access_path(int dirfd, const char *name, int mode, int flags, struct path *path,
			int *ret_out)
{
	struct stat st;

	if (!stat_path(dirfd, name, flags & ~AT_EMPTY_PATH, &st, path, ret_out)) {
		return false;
	}
	if (!*ret_out) {
		*ret_out = access_stat(&st, mode, flags);
	}
	return true;
}

EXPORT int faccessat(int dirfd, const char *name, int mode, int flags)
{
	struct path path;
	int ret;

	if (access_path(dirfd, name, mode, flags, &path, &ret)) {
		return node_result(ret);
	}
	if (path.kind == PATH_MOVED) {
		return REAL(faccessat)(AT_FDCWD, path.path, mode, flags);
	}
	return REAL(faccessat)(dirfd, name, mode, flags);
}

EXPORT int access(const char *name, int mode)
{
	return faccessat(AT_FDCWD, name, mode, 0);
}

EXPORT int euidaccess(const char *name, int mode)
{
	return faccessat(AT_FDCWD, name, mode, AT_EACCESS);
}

EXPORT int eaccess(const char *name, int mode)
{
	return faccessat(AT_FDCWD, name, mode, AT_EACCESS);
}

/* ---- readlink, realpath ---------------------------------------------------------------------- */

static ssize_t copy_out(const char *text, char *buf, size_t size)
{
	size_t len = strlen(text);

	len = len < size ? len : size;
	memcpy(buf, text, len);
	return (ssize_t)len;
}

/* The name of the file behind @fd, or -errno. */
static int fd_name(int fd, char *name, size_t size)
{
	struct node_file *file;

	node_enter();
	file = fd_get(fd);
	if (file) {
		node_file_name(file, name, size);
	}
	file_put(file);
	node_leave();
	return file ? 0 : -ENOENT;
}

EXPORT ssize_t readlinkat(int dirfd, const char *name, char *buf, size_t size)
{
	struct path path;
	int ret;

	if (!*name && fd_is_marked(dirfd)) {
		struct node_file *file = fd_get(dirfd);
		struct tnode *node = file ? file->tnode : NULL;

		node_enter();
		file_put(file);
		node_leave();
		if (node && node->kind == TNODE_LINK) {
			return copy_out(node->target, buf, size);
		}
	}
	switch (path_resolve(dirfd, name, PATH_NOFOLLOW, &path)) {
	case PATH_NODE:
		if (path.node->kind != TNODE_LINK) {
			return node_result(-EINVAL);
		}
		return copy_out(path.node->target, buf, size);
	case PATH_FD:
		ret = fd_name(path.fd, path.path, sizeof(path.path));
		return ret ? node_result(ret) : copy_out(path.path, buf, size);
	case PATH_ERROR:
		return node_result(path.error);
	case PATH_MOVED:
		return REAL(readlink)(path.path, buf, size);
	default:
		return REAL(readlinkat)(dirfd, name, buf, size);
	}
}

EXPORT ssize_t readlink(const char *name, char *buf, size_t size)
{
	return readlinkat(AT_FDCWD, name, buf, size);
}

EXPORT ssize_t __readlink_chk(const char *name, char *buf, size_t size, size_t buf_B)
{
	if (size > buf_B) {
		return REAL(__readlink_chk)(name, buf, size, buf_B); /* aborts */
	}
	return readlinkat(AT_FDCWD, name, buf, size);
}

EXPORT ssize_t __readlinkat_chk(int dirfd, const char *name, char *buf, size_t size, size_t buf_B)
{
	if (size > buf_B) {
		return REAL(__readlinkat_chk)(dirfd, name, buf, size, buf_B); /* aborts */
	}
	return readlinkat(dirfd, name, buf, size);
}

EXPORT char *realpath(const char *name, char *resolved)
{
	struct path path;
	int ret = 0;

	switch (path_resolve(AT_FDCWD, name, 0, &path)) {
	case PATH_NODE:
		break;
	case PATH_FD:
		ret = fd_name(path.fd, path.path, sizeof(path.path));
		break;
	case PATH_ERROR:
		ret = path.error;
		break;
	case PATH_MOVED:
		return REAL(realpath)(path.path, resolved);
	default:
		return REAL(realpath)(name, resolved);
	}
	if (ret) {
		errno = -ret;
		return NULL;
	}
	return resolved ? strcpy(resolved, path.path) : strdup(path.path);
}

EXPORT char *__realpath_chk(const char *name, char *resolved, size_t resolved_B)
{
	if (resolved_B < PATH_MAX) {
		return REAL(__realpath_chk)(name, resolved, resolved_B); /* aborts */
	}
	return realpath(name, resolved);
}

EXPORT char *canonicalize_file_name(const char *name)
{
	return realpath(name, NULL);
}

/* ---- extended attributes: ours have none, as files of sysfs do ------------------------------- */

/* True when @name is ours: 0, or -errno in *ret_out. */
static bool xattr_path(const char *name, int flags, struct path *path, int *ret_out)
{
	struct stat st;

	return stat_path(AT_FDCWD, name, flags, &st, path, ret_out);
}

EXPORT ssize_t getxattr(const char *name, const char *attribute, void *value, size_t size)
{
	struct path path;
	int ret;

	if (xattr_path(name, 0, &path, &ret)) {
		return node_result(ret ? ret : -ENODATA);
	}
	return REAL(getxattr)(path.kind == PATH_MOVED ? path.path : name, attribute, value, size);
}

EXPORT ssize_t lgetxattr(const char *name, const char *attribute, void *value, size_t size)
{
	struct path path;
	int ret;

	if (xattr_path(name, AT_SYMLINK_NOFOLLOW, &path, &ret)) {
		return node_result(ret ? ret : -ENODATA);
	}
	return REAL(lgetxattr)(path.kind == PATH_MOVED ? path.path : name, attribute, value, size);
}

EXPORT ssize_t listxattr(const char *name, char *list, size_t size)
{
	struct path path;
	int ret;

	if (xattr_path(name, 0, &path, &ret)) {
		return node_result(ret);
	}
	return REAL(listxattr)(path.kind == PATH_MOVED ? path.path : name, list, size);
}

EXPORT ssize_t llistxattr(const char *name, char *list, size_t size)
{
	struct path path;
	int ret;

	if (xattr_path(name, AT_SYMLINK_NOFOLLOW, &path, &ret)) {
		return node_result(ret);
	}
	return REAL(llistxattr)(path.kind == PATH_MOVED ? path.path : name, list, size);
}
