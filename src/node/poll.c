// SPDX-License-Identifier: MIT
/*
 * poll(), select() and epoll with descriptors of ours.
 *
 * The device's descriptor is a memfd, which a kernel calls always readable; a DRM device is
 * readable only when it has an event, and this one never has: it is left out. A sync file is a real
 * eventfd and needs no help.
 *
 * A dma-buf is readable when those who write have finished, and writable when all have. That
 * depends on when one asks, so its place is taken, for one call, by eventfds that become readable
 * when what there is now has signalled; or by nothing, and the call does not wait, when that is so
 * already. In an epoll set it cannot be: it is a memfd.
 */
#include "node/node.h"

#include <stdlib.h>
#include <sys/eventfd.h>

#define POLL_FEW 16

/* What one event of a dma-buf waits for. */
struct substitute {
	void *sync_file; /* a reference of kind UAPI_FD_SYNC_FILE */
	int fd;          /* a private eventfd */
	nfds_t of;       /* index of the client's entry */
	short event;
};

struct poll_call {
	struct pollfd *client, *kernel; /* the second one has @n + @extra entries */
	nfds_t n, extra;
	struct substitute *substitute; /* of each extra entry */
	bool ready;                    /* something is, without asking the kernel */
};

/* Under a leaf lock. */
static void wake(void *arg)
{
	event_write((int)(intptr_t)arg);
}

static int watch(struct poll_call *call, nfds_t i, void *sync_file, short event)
{
	struct substitute *s = &call->substitute[call->extra];
	struct pollfd *slot = &call->kernel[call->n + call->extra];

	s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->fd < 0) {
		uapi_fd_put_object(UAPI_FD_SYNC_FILE, sync_file);
		return -ENOMEM;
	}
	s->sync_file = sync_file;
	s->of = i;
	s->event = event;
	*slot = (struct pollfd){ .fd = s->fd, .events = POLLIN };
	call->extra++;
	return uapi_sync_file_watch(sync_file, wake, (void *)(intptr_t)s->fd);
}

/* Entry @i is a dma-buf: what it is asked for is ready or gets a substitute. 0 or -ENOMEM. */
static int substitute(struct poll_call *call, nfds_t i, void *object)
{
	static const short asked[] = { POLLIN, POLLOUT };
	int ret = 0;

	call->kernel[i].fd = -1;
	for (unsigned k = 0; k < ARRAY_LEN(asked) && !ret; k++) {
		void *sync_file;

		if (!(call->client[i].events & asked[k])) {
			continue;
		}
		ret = uapi_dmabuf_poll(object, asked[k] == POLLOUT, &sync_file);
		if (!ret && sync_file) {
			ret = watch(call, i, sync_file, asked[k]);
		} else if (!ret) {
			call->client[i].revents |= asked[k];
			call->ready = true;
		}
	}
	return ret;
}

/* Takes entry @i out of what the kernel is asked if it is one of those. 0 or -ENOMEM. */
static int begin_entry(struct poll_call *call, nfds_t i)
{
	struct node_file *file = fd_get(call->client[i].fd);
	int ret = 0;

	call->client[i].revents = 0;
	if (file && file->kind == NODE_DEVICE) {
		call->kernel[i].fd = -1;
	} else if (file && file->kind == NODE_OBJECT && file->object_kind == UAPI_FD_DMABUF) {
		ret = substitute(call, i, file->object);
	}
	file_put(file);
	return ret;
}

static int begin(struct poll_call *call)
{
	int ret = 0;

	node_enter();
	for (nfds_t i = 0; i < call->n && !ret; i++) {
		call->kernel[i] = call->client[i];
		if (fd_is_marked(call->client[i].fd)) {
			ret = begin_entry(call, i);
		}
	}
	node_leave();
	return ret;
}

static void end(struct poll_call *call)
{
	node_enter();
	for (nfds_t i = 0; i < call->extra; i++) {
		/* First the watch, then where it writes. */
		uapi_fd_put_object(UAPI_FD_SYNC_FILE, call->substitute[i].sync_file);
		close(call->substitute[i].fd);
	}
	node_leave();
}

/* How many entries of the client's have something to say. */
static int collect(struct poll_call *call)
{
	int n = 0;

	for (nfds_t i = 0; i < call->extra; i++) {
		const struct substitute *s = &call->substitute[i];

		if (call->kernel[call->n + i].revents) {
			call->client[s->of].revents |= s->event;
		}
	}
	for (nfds_t i = 0; i < call->n; i++) {
		if (call->kernel[i].fd == call->client[i].fd) { /* the kernel was asked */
			call->client[i].revents = call->kernel[i].revents;
		}
		n += call->client[i].revents != 0;
	}
	return n;
}

static int poll_any(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		    const sigset_t *mask)
{
	static const struct timespec no_time;
	struct pollfd few[3 * POLL_FEW];
	struct substitute few_substitutes[2 * POLL_FEW];
	struct poll_call call = { fds, few, n, 0, few_substitutes, false };
	bool ours = false;
	int ret;

	for (nfds_t i = 0; i < n; i++) {
		ours = ours || fd_is_marked(fds[i].fd);
	}
	if (!ours) {
		return REAL(ppoll)(fds, n, timeout, mask);
	}
	if (n > POLL_FEW) {
		call.kernel = malloc(3 * n * sizeof(*call.kernel));
		call.substitute = malloc(2 * n * sizeof(*call.substitute));
	}
	ret = call.kernel && call.substitute ? begin(&call) : -ENOMEM;
	if (!ret) {
		ret = REAL(ppoll)(call.kernel, n + call.extra, call.ready ? &no_time : timeout,
				  mask);
		ret = ret < 0 ? -errno : collect(&call);
	}
	end(&call);
	if (call.kernel != few) {
		free(call.kernel);
		free(call.substitute);
	}
	return node_result(ret);
}

EXPORT int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		 const sigset_t *mask)
{
	return poll_any(fds, n, timeout, mask);
}

EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
		       const sigset_t *mask, size_t fds_B)
{
	if (fds_B / sizeof(*fds) < n) {
		return REAL(__ppoll_chk)(fds, n, timeout, mask, fds_B); /* aborts */
	}
	return poll_any(fds, n, timeout, mask);
}

EXPORT int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
	struct timespec timeout = {
		.tv_sec = timeout_ms / 1000,
		.tv_nsec = timeout_ms % 1000 * 1000000l,
	};

	return poll_any(fds, n, timeout_ms < 0 ? NULL : &timeout, NULL);
}

EXPORT int __poll_chk(struct pollfd *fds, nfds_t n, int timeout_ms, size_t fds_B)
{
	if (fds_B / sizeof(*fds) < n) {
		return REAL(__poll_chk)(fds, n, timeout_ms, fds_B); /* aborts */
	}
	return poll(fds, n, timeout_ms);
}

/* ---- select ---------------------------------------------------------------------------------- */

static bool is_in(int fd, const fd_set *set)
{
	return set && FD_ISSET(fd, set);
}

/* Takes devices out of @set. Is an object, perhaps a dma-buf, in it? */
static bool look_through(int n, fd_set *set)
{
	bool any = false;

	for (int fd = 0; set && fd < n && fd < FD_SETSIZE; fd++) {
		if (fd_is_marked(fd) && FD_ISSET(fd, set)) {
			if (fd_is_kind(fd, NODE_DEVICE)) {
				FD_CLR(fd, set);
			}
			any = any || fd_is_kind(fd, NODE_OBJECT);
		}
	}
	return any;
}

/* What poll() found, as sets; how many members they have, or -EBADF. */
static int to_sets(const struct pollfd *fds, nfds_t count, fd_set *in, fd_set *out, fd_set *except)
{
	static const short says[] = { POLLIN | POLLHUP | POLLERR, POLLOUT | POLLERR, POLLPRI };
	fd_set *set[] = { in, out, except };
	int members = 0;

	for (nfds_t i = 0; i < count; i++) {
		if (fds[i].revents & POLLNVAL) {
			return -EBADF;
		}
	}
	for (nfds_t i = 0; i < count; i++) {
		for (unsigned k = 0; k < ARRAY_LEN(set); k++) {
			if (!is_in(fds[i].fd, set[k])) {
				continue;
			}
			if (fds[i].revents & says[k]) {
				members++;
			} else {
				FD_CLR(fds[i].fd, set[k]);
			}
		}
	}
	return members;
}

/* With an object in it: by poll(). */
static int select_by_poll(int n, fd_set *in, fd_set *out, fd_set *except,
			  const struct timespec *timeout, const sigset_t *mask)
{
	struct pollfd *fds = malloc(FD_SETSIZE * sizeof(*fds));
	nfds_t count = 0;
	int ret;

	if (!fds) {
		return node_result(-ENOMEM);
	}
	for (int fd = 0; fd < n && fd < FD_SETSIZE; fd++) {
		short events = (short)((is_in(fd, in) ? POLLIN : 0) |
				       (is_in(fd, out) ? POLLOUT : 0) |
				       (is_in(fd, except) ? POLLPRI : 0));

		if (events) {
			fds[count++] = (struct pollfd){ .fd = fd, .events = events };
		}
	}
	ret = poll_any(fds, count, timeout, mask) < 0 ? -errno
						       : to_sets(fds, count, in, out, except);
	free(fds);
	return node_result(ret);
}

EXPORT int pselect(int n, fd_set *restrict in, fd_set *restrict out, fd_set *restrict except,
		   const struct timespec *restrict timeout, const sigset_t *restrict mask)
{
	bool any = look_through(n, in);

	any |= look_through(n, out);
	any |= look_through(n, except);
	return any ? select_by_poll(n, in, out, except, timeout, mask)
		   : REAL(pselect)(n, in, out, except, timeout, mask);
}

/* The time that is left is not told when the sets have one of ours: few ask. */
EXPORT int select(int n, fd_set *restrict in, fd_set *restrict out, fd_set *restrict except,
		  struct timeval *restrict timeout)
{
	struct timespec until = { 0 };
	bool any = look_through(n, in);

	any |= look_through(n, out);
	any |= look_through(n, except);
	if (!any) {
		return REAL(select)(n, in, out, except, timeout);
	}
	if (timeout) {
		until.tv_sec = timeout->tv_sec;
		until.tv_nsec = timeout->tv_usec * 1000;
	}
	return select_by_poll(n, in, out, except, timeout ? &until : NULL, NULL);
}

EXPORT int epoll_ctl(int epoll_fd, int op, int fd, struct epoll_event *event)
{
	return fd_is_kind(fd, NODE_DEVICE) ? 0 : REAL(epoll_ctl)(epoll_fd, op, fd, event);
}
