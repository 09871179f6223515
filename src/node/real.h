/* SPDX-License-Identifier: MIT */
/*
 * libc's own functions behind the interposers.
 *
 * Inside node/ a call of libc by its plain name reaches, after linking, either libc itself or, for
 * an interposed name, the pass-through in inner.c. A file that defines an interposer would call
 * itself that way: it says REAL(name)(...) instead, and so does every other file of node/, so that
 * one reads the same everywhere.
 */
#ifndef NODE_REAL_H
#define NODE_REAL_H

#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* A function of libc that the library puts itself before. */
#define EXPORT __attribute__((visibility("default")))

/* What libc exports but its headers do not declare: fortified forms and those of old binaries. */
int __fxstat(int ver, int fd, struct stat *st);
int __fxstat64(int ver, int fd, struct stat64 *st);
int __fxstatat(int ver, int dirfd, const char *path, struct stat *st, int flags);
int __fxstatat64(int ver, int dirfd, const char *path, struct stat64 *st, int flags);
int __lxstat(int ver, const char *path, struct stat *st);
int __lxstat64(int ver, const char *path, struct stat64 *st);
int __xstat(int ver, const char *path, struct stat *st);
int __xstat64(int ver, const char *path, struct stat64 *st);
int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dirfd, const char *path, int flags);
int __openat64_2(int dirfd, const char *path, int flags);
int __poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t fds_B);
int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		const sigset_t *mask, size_t fds_B);
ssize_t __read_chk(int fd, void *buf, size_t n, size_t buf_B);
ssize_t __readlink_chk(const char *path, char *buf, size_t n, size_t buf_B);
ssize_t __readlinkat_chk(int dirfd, const char *path, char *buf, size_t n, size_t buf_B);
char *__realpath_chk(const char *path, char *resolved, size_t resolved_B);

#include <node-names.h>

enum real_id {
#define X(name) REAL_ID_##name,
	REAL_NAMES(X)
#undef X
	REAL_IDS,
};

#define X(name) typedef __typeof__(name) real_##name##_fn;
REAL_NAMES(X)
#undef X

/* The next definition of the name after this library; a function that fails with ENOSYS if none. */
void *real_get(enum real_id id);
/* Looks all of them up at once, so that a signal handler finds them known. */
void real_init(void);

#define REAL(name) ((real_##name##_fn *)real_get(REAL_ID_##name))

#endif
