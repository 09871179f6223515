// SPDX-License-Identifier: MIT
/*
 * The thread that hears what other processes do to timelines and sync files.
 *
 * It exists only where somebody else can do something: after a fork() with a timeline open, where a
 * sync file came from another process, or where a timeline is closed here and still open elsewhere.
 * It sleeps in epoll outside the gate, with nothing held, so fork() need not wait for it; the child
 * starts its own.
 *
 * All descriptors are watched for edges: the event counter that all processes write to is never
 * read, since each of them must see each change.
 */
#include "node/sync.h"

#include <sys/epoll.h>

static int epoll_fd = -1;        /* under sync_lock, and so is @thread */
static struct port_thread *thread;

static void watcher(void *arg)
{
	int fd = (int)(intptr_t)arg;
	struct epoll_event event;

	for (;;) {
		int n = epoll_wait(fd, &event, 1, -1);

		if (n < 0 && errno != EINTR) {
			return;
		}
		node_enter();
		port_mutex_lock(&sync_lock);
		sync_look();
		port_mutex_unlock(&sync_lock);
		node_leave();
	}
}

void sync_watch_fd(int fd, unsigned events)
{
	struct epoll_event event = { .events = events | EPOLLET };

	if (epoll_fd >= 0 && fd >= 0) {
		REAL(epoll_ctl)(epoll_fd, EPOLL_CTL_ADD, fd, &event);
	}
}

void sync_unwatch_fd(int fd)
{
	if (epoll_fd >= 0 && fd >= 0) {
		REAL(epoll_ctl)(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	}
}

void sync_watch(void)
{
	port_mutex_assert_held(&sync_lock);
	if (thread) {
		return;
	}
	if (epoll_fd < 0) {
		epoll_fd = fd_hide(epoll_create1(EPOLL_CLOEXEC));
		sync_watch_fd(sync_wake_fd(), EPOLLIN);
		for (const struct sync_entry *e = sync_entries; e; e = e->next) {
			sync_watch_fd(e->read_fd, 0);
		}
		for (const struct sync_foreign *f = sync_foreigns; f; f = f->next) {
			sync_watch_fd(f->fd, EPOLLIN);
			sync_watch_fd(f->maker_fd, EPOLLIN);
		}
	}
	/* Without a thread now, the next one who needs it tries again. */
	if (epoll_fd >= 0) {
		(void)port_thread_create(&thread, "vmbind-sync", watcher,
					 (void *)(intptr_t)epoll_fd);
	}
}

void sync_watch_forget(void)
{
	if (thread) {
		port_thread_join(thread);
		thread = NULL;
	}
	if (epoll_fd >= 0) {
		fd_clear_private(epoll_fd);
		REAL(close)(epoll_fd);
		epoll_fd = -1;
	}
}
