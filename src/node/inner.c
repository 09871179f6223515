// SPDX-License-Identifier: MIT
/*
 * libc for the code inside this library.
 *
 * The linker turns every call of an interposed name, from the core, the port or here, into a call
 * of __wrap_name (see meson.build). So no call of the device's own ever looks like the client's.
 * A name that is used inside and has no wrap here fails to link. The 64-bit forms are what the same
 * calls are named in rooms built with 64-bit file offsets.
 *
 * Descriptors made inside move to high numbers and are hidden from the client. An interruptible
 * sleep, which the port does in ppoll(), is announced to the gate.
 */
#include "node/node.h"

#include <stdarg.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#define INNER(type, name, params) type __wrap_##name params; type __wrap_##name params

int __real_memfd_create(const char *name, unsigned flags);
int __real_eventfd(unsigned count, int flags);
int __real_signalfd(int fd, const sigset_t *mask, int flags);
pid_t __real_fork(void);

/* ---- calls that make or end descriptors ------------------------------------------------------ */

int node_memfd(const char *name, unsigned flags)
{
	return __real_memfd_create(name, flags);
}

int node_eventfd(unsigned flags)
{
	return __real_eventfd(0, (int)flags);
}

pid_t node_fork(void)
{
	return __real_fork();
}

INNER(int, memfd_create, (const char *name, unsigned flags))
{
	return fd_hide(__real_memfd_create(name, flags));
}

INNER(int, eventfd, (unsigned count, int flags))
{
	return fd_hide(__real_eventfd(count, flags));
}

INNER(int, signalfd, (int fd, const sigset_t *mask, int flags))
{
	int ret = __real_signalfd(fd, mask, flags);

	return fd < 0 ? fd_hide(ret) : ret;
}

INNER(int, open, (const char *name, int flags, ...))
{
	mode_t mode;
	va_list args;

	va_start(args, flags);
	mode = va_arg(args, mode_t);
	va_end(args);
	return REAL(open)(name, flags, mode);
}

INNER(int, close, (int fd))
{
	fd_clear_private(fd);
	return REAL(close)(fd);
}

static int fcntl_inner(int fd, int cmd, void *arg)
{
	int ret = REAL(fcntl64)(fd, cmd, arg);

	if (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC) {
		fd_set_private(ret);
	}
	return ret;
}

INNER(int, fcntl, (int fd, int cmd, ...))
{
	va_list args;
	void *arg;

	va_start(args, cmd);
	arg = va_arg(args, void *);
	va_end(args);
	return fcntl_inner(fd, cmd, arg);
}

INNER(int, fcntl64, (int fd, int cmd, ...))
{
	va_list args;
	void *arg;

	va_start(args, cmd);
	arg = va_arg(args, void *);
	va_end(args);
	return fcntl_inner(fd, cmd, arg);
}

/* ---- calls that go straight through ---------------------------------------------------------- */

INNER(FILE *, fopen, (const char *name, const char *mode))
{
	return REAL(fopen)(name, mode);
}

INNER(FILE *, fopen64, (const char *name, const char *mode))
{
	return REAL(fopen64)(name, mode);
}

INNER(int, fclose, (FILE *stream))
{
	return REAL(fclose)(stream);
}

INNER(ssize_t, read, (int fd, void *buf, size_t n))
{
	return REAL(read)(fd, buf, n);
}

INNER(ssize_t, write, (int fd, const void *buf, size_t n))
{
	return REAL(write)(fd, buf, n);
}

INNER(int, ioctl, (int fd, unsigned long cmd, ...))
{
	va_list args;
	void *arg;

	va_start(args, cmd);
	arg = va_arg(args, void *);
	va_end(args);
	return REAL(ioctl)(fd, cmd, arg);
}

INNER(void *, mmap, (void *addr, size_t size_B, int prot, int flags, int fd, off_t offset))
{
	return REAL(mmap)(addr, size_B, prot, flags, fd, offset);
}

INNER(void *, mmap64, (void *addr, size_t size_B, int prot, int flags, int fd, off64_t offset))
{
	return REAL(mmap64)(addr, size_B, prot, flags, fd, offset);
}

INNER(int, munmap, (void *addr, size_t size_B))
{
	return REAL(munmap)(addr, size_B);
}

INNER(int, madvise, (void *addr, size_t size_B, int advice))
{
	return REAL(madvise)(addr, size_B, advice);
}

INNER(int, ftruncate, (int fd, off_t length_B))
{
	return REAL(ftruncate)(fd, length_B);
}

INNER(int, ftruncate64, (int fd, off64_t length_B))
{
	return REAL(ftruncate64)(fd, length_B);
}

INNER(int, sigaction, (int sig, const struct sigaction *act, struct sigaction *old_out))
{
	return REAL(sigaction)(sig, act, old_out);
}

INNER(int, ppoll, (struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		   const sigset_t *mask))
{
	bool asleep = port_locks_held() == 0;
	int ret;

	if (asleep) {
		gate_sleep_begin();
	}
	ret = REAL(ppoll)(fds, n, timeout, mask);
	if (asleep) {
		gate_sleep_end();
	}
	return ret;
}
