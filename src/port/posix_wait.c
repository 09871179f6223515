// SPDX-License-Identifier: MIT
/*
 * Sleeping and waking on the posix host, and what surrounds a call from the client.
 *
 * An event count is a futex. Its @waiters word counts two kinds of sleepers: in the low half those
 * in the futex, in the high half those in poll() (below). A waker raises @seq, then looks at
 * @waiters; a sleeper raises @waiters, then looks at @seq (in the kernel, or under the bucket's
 * lock). Both are sequentially consistent, so no wake is lost and a wake without sleepers is free
 * of system calls.
 *
 * Signals. Between port_client_enter() and _exit() asynchronous signals are blocked, so no handler
 * of the client ever runs inside a call: it could call in again, or leave by longjmp, while locks
 * are held. An interruptible sleep must end all the same when a signal arrives that the client's
 * own mask lets through. So it polls two descriptors: an eventfd that wakers write to, and a
 * signalfd with those signals, which becomes readable while one is pending and consumes none. The
 * sleep returns -EINTR, the call unwinds, and the handler runs when port_client_exit() restores the
 * client's mask: the order of events a kernel gives. A signal that was pending before the sleep is
 * seen as well. Signals that the client ignores do not interrupt.
 *
 * Pollers are kept in a small pool, because a thread has few of them at a time and descriptors are
 * the client's resource. Buckets, hashed by the event count's address, lead wakers to them.
 *
 * Locking: a spin lock per bucket and one for the pool; nothing else is taken under them.
 */
#include "port/posix_internal.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define FUTEX_SLEEPER 1u
#define POLL_SLEEPER (1u << 16)
#define BUCKETS 64
/* Out of the way of programs that use small descriptor numbers by hand. */
#define FD_FLOOR 700

struct poller {
	struct poller *next; /* in its bucket, or in the pool's free list */
	struct poller *all;  /* every poller ever made; never shrinks */
	struct port_wq *wq;  /* slept on, under the bucket's lock */
	int event_fd;
	int signal_fd;
};

struct bucket {
	struct spin lock;
	struct poller *head;
};

static struct bucket buckets[BUCKETS];
static struct spin pool_lock = SPIN_INIT;
static struct poller *pool_free, *pool_all; /* under pool_lock */

/* ---- the client's side of a call ------------------------------------------------------------- */

void port_client_enter(void)
{
	int saved_errno = errno;
	struct thread_state *t = thread_state();
	sigset_t set;

	if (t->client_depth++) {
		return;
	}
	t->client_errno = saved_errno;
	signals_asynchronous(&set);
	pthread_sigmask(SIG_SETMASK, &set, &t->client_mask);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &t->client_cancel);
}

void port_client_exit(void)
{
	struct thread_state *t = thread_state();
	int client_errno = t->client_errno;
	sigset_t mask = t->client_mask;

	ASSERT(t->client_depth);
	if (--t->client_depth) {
		return;
	}
	pthread_setcancelstate(t->client_cancel, NULL);
	errno = client_errno;
	/* Last: a handler of the client may run here, call in again, or not return. */
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

bool port_inside(void)
{
	const struct thread_state *t = thread_state();

	return t->device || t->client_depth;
}

/* Would the kernel drop this signal without anybody noticing? */
static bool signal_is_ignored(int sig, const struct sigaction *act)
{
	if (act->sa_handler == SIG_IGN) {
		return true;
	}
	return act->sa_handler == SIG_DFL &&
	       (sig == SIGCHLD || sig == SIGURG || sig == SIGWINCH || sig == SIGCONT);
}

/*
 * Of the signals in @wanted: is one pending that ends a sleep? Takes those the client ignores out
 * of @wanted.
 */
static bool signal_interrupts(sigset_t *wanted, bool *restart_out)
{
	bool interrupts = false;
	sigset_t pending;

	*restart_out = true;
	sigpending(&pending);
	for (int sig = 1; sig <= 64; sig++) {
		struct sigaction act;

		if (sigismember(&pending, sig) != 1 || sigismember(wanted, sig) != 1 ||
		    port_client_sigaction(sig, NULL, &act) != 0) {
			continue;
		}
		if (signal_is_ignored(sig, &act)) {
			sigdelset(wanted, sig);
			continue;
		}
		interrupts = true;
		if (act.sa_handler != SIG_DFL && !(act.sa_flags & SA_RESTART)) {
			*restart_out = false;
		}
	}
	return interrupts;
}

static void signals_wanted(const struct thread_state *t, sigset_t *wanted)
{
	signals_asynchronous(wanted);
	for (int sig = 1; sig <= 64; sig++) {
		if (sigismember(&t->client_mask, sig) == 1) {
			sigdelset(wanted, sig);
		}
	}
}

bool port_client_restarts(void)
{
	const struct thread_state *t = thread_state();
	sigset_t wanted;
	bool restart;

	ASSERT(t->client_depth);
	if (fault_interrupted()) {
		return false;
	}
	signals_wanted(t, &wanted);
	signal_interrupts(&wanted, &restart);
	return restart;
}

/* ---- pollers --------------------------------------------------------------------------------- */

static int fd_raise(int fd)
{
	int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FD_FLOOR);

	if (high >= 0) {
		close(fd);
		return high;
	}
	return fd;
}

static bool poller_open(struct poller *p)
{
	sigset_t none;

	sigemptyset(&none);
	p->event_fd = fd_raise(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	p->signal_fd = fd_raise(signalfd(-1, &none, SFD_CLOEXEC | SFD_NONBLOCK));
	if (p->event_fd >= 0 && p->signal_fd >= 0) {
		return true;
	}
	if (p->event_fd >= 0) {
		close(p->event_fd);
	}
	if (p->signal_fd >= 0) {
		close(p->signal_fd);
	}
	p->event_fd = p->signal_fd = -1;
	return false;
}

static void poller_put(struct poller *p)
{
	spin_lock(&pool_lock);
	p->next = pool_free;
	pool_free = p;
	spin_unlock(&pool_lock);
}

/* NULL when the process is out of descriptors. */
static struct poller *poller_get(void)
{
	struct poller *p;

	spin_lock(&pool_lock);
	p = pool_free;
	if (p) {
		pool_free = p->next;
	}
	spin_unlock(&pool_lock);
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p) {
			return NULL;
		}
		p->event_fd = p->signal_fd = -1;
		spin_lock(&pool_lock);
		p->all = pool_all;
		pool_all = p;
		spin_unlock(&pool_lock);
	}
	if (p->event_fd < 0 && !poller_open(p)) {
		poller_put(p);
		return NULL;
	}
	return p;
}

bool port_owns_fd(int fd)
{
	bool owns = false;

	spin_lock(&pool_lock);
	for (const struct poller *p = pool_all; p && fd >= 0; p = p->all) {
		owns |= p->event_fd == fd || p->signal_fd == fd;
	}
	spin_unlock(&pool_lock);
	return owns;
}

static struct bucket *bucket_of(const struct port_wq *wq)
{
	return &buckets[((uintptr_t)wq >> 4) * 0x9e3779b97f4a7c15ull >> 58];
}

static void poller_write(int fd)
{
	uint64_t one = 1;
	ssize_t done = write(fd, &one, sizeof(one));

	(void)done; /* full means: already readable */
}

static void poller_drain(int fd)
{
	uint64_t count;
	ssize_t done = read(fd, &count, sizeof(count));

	(void)done; /* empty is what it should be */
}

static void wake_pollers(struct port_wq *wq)
{
	struct bucket *b = bucket_of(wq);

	spin_lock(&b->lock);
	for (struct poller *p = b->head; p; p = p->next) {
		if (p->wq == wq) {
			poller_write(p->event_fd);
		}
	}
	spin_unlock(&b->lock);
}

/* False when @seq is old already: then the caller must not sleep. */
static bool poller_insert(struct poller *p, struct port_wq *wq, uint32_t seq)
{
	struct bucket *b = bucket_of(wq);
	bool current;

	spin_lock(&b->lock);
	atomic_fetch_add(&wq->waiters, POLL_SLEEPER);
	current = atomic_load(&wq->seq) == seq;
	if (current) {
		p->wq = wq;
		p->next = b->head;
		b->head = p;
	} else {
		atomic_fetch_sub(&wq->waiters, POLL_SLEEPER);
	}
	spin_unlock(&b->lock);
	return current;
}

static void poller_remove(struct poller *p, struct port_wq *wq)
{
	struct bucket *b = bucket_of(wq);
	struct poller **link = &b->head;

	spin_lock(&b->lock);
	while (*link != p) {
		ASSERT(*link);
		link = &(*link)->next;
	}
	*link = p->next;
	p->wq = NULL;
	atomic_fetch_sub(&wq->waiters, POLL_SLEEPER);
	spin_unlock(&b->lock);
}

/* The time from now to @deadline_ns; NULL for ever. Zero when it has passed. */
static struct timespec *time_left(uint64_t deadline_ns, struct timespec *ts)
{
	uint64_t now = port_now_ns(), left = deadline_ns > now ? deadline_ns - now : 0;

	if (deadline_ns == PORT_FOREVER) {
		return NULL;
	}
	ts->tv_sec = (time_t)(left / 1000000000u);
	ts->tv_nsec = (long)(left % 1000000000u);
	return ts;
}

static int poll_events(struct poller *p, struct port_wq *wq, uint32_t seq, uint64_t deadline_ns,
		       sigset_t *wanted)
{
	for (;;) {
		struct pollfd fds[2] = {
			{ .fd = p->event_fd, .events = POLLIN },
			{ .fd = p->signal_fd, .events = POLLIN },
		};
		struct timespec ts;
		bool restart;
		int n = ppoll(fds, 2, time_left(deadline_ns, &ts), NULL);

		if (atomic_load(&wq->seq) != seq) {
			return 0;
		}
		if (n == 0) {
			return -ETIMEDOUT;
		}
		if (n < 0 && errno != EINTR) {
			return 0; /* spurious; the caller tries again */
		}
		if (fds[0].revents & POLLIN) {
			return 0;
		}
		if (n > 0 && (fds[0].revents | fds[1].revents) & (POLLNVAL | POLLERR)) {
			return -EBADF;
		}
		if (signal_interrupts(wanted, &restart)) {
			return -EINTR;
		}
		signalfd(p->signal_fd, wanted, SFD_CLOEXEC | SFD_NONBLOCK);
	}
}

static int futex_sleep(struct port_wq *wq, uint32_t seq, uint64_t deadline_ns);

static int poll_sleep(struct thread_state *t, struct port_wq *wq, uint32_t seq,
		      uint64_t deadline_ns)
{
	struct poller *p = poller_get();
	sigset_t wanted;
	int ret = 0;

	if (!p) {
		/* Out of descriptors: sleep in short pieces and look for signals between them. */
		uint64_t piece = port_now_ns() + 1000000;
		bool restart;

		signals_wanted(t, &wanted);
		if (signal_interrupts(&wanted, &restart)) {
			return -EINTR;
		}
		ret = futex_sleep(wq, seq, deadline_ns < piece ? deadline_ns : piece);
		return ret == -ETIMEDOUT && deadline_ns >= piece ? 0 : ret;
	}
	signals_wanted(t, &wanted);
	poller_drain(p->event_fd);
	if (signalfd(p->signal_fd, &wanted, SFD_CLOEXEC | SFD_NONBLOCK) < 0) {
		ret = -EBADF;
	} else if (poller_insert(p, wq, seq)) {
		ret = poll_events(p, wq, seq, deadline_ns, &wanted);
		poller_remove(p, wq);
	}
	if (ret == -EBADF) {
		/* The client closed what is ours. The numbers may be its own by now: let go. */
		spin_lock(&pool_lock);
		p->event_fd = p->signal_fd = -1;
		spin_unlock(&pool_lock);
		ret = 0;
	}
	poller_put(p);
	return ret;
}

/* ---- event counts ---------------------------------------------------------------------------- */

static int futex_sleep(struct port_wq *wq, uint32_t seq, uint64_t deadline_ns)
{
	struct timespec ts = {
		.tv_sec = (time_t)(deadline_ns / 1000000000u),
		.tv_nsec = (long)(deadline_ns % 1000000000u),
	};
	long ret;

	atomic_fetch_add(&wq->waiters, FUTEX_SLEEPER);
	ret = syscall(SYS_futex, &wq->seq, FUTEX_WAIT_BITSET_PRIVATE, seq,
		      deadline_ns == PORT_FOREVER ? NULL : &ts, NULL, FUTEX_BITSET_MATCH_ANY);
	ret = ret < 0 ? -errno : 0;
	atomic_fetch_sub(&wq->waiters, FUTEX_SLEEPER);
	return ret == -ETIMEDOUT || ret == -EINTR ? (int)ret : 0;
}

int wq_sleep(struct port_wq *wq, uint32_t seq, uint64_t deadline_ns, unsigned flags)
{
	struct thread_state *t = thread_state();
	int ret;

	if (atomic_load(&wq->seq) != seq) {
		return 0;
	}
	if ((flags & PORT_WAIT_INTERRUPTIBLE) && t->client_depth) {
		return poll_sleep(t, wq, seq, deadline_ns);
	}
	ret = futex_sleep(wq, seq, deadline_ns);
	return ret == -EINTR && !(flags & PORT_WAIT_INTERRUPTIBLE) ? 0 : ret;
}

uint32_t port_wq_prepare(struct port_wq *wq)
{
	return atomic_load(&wq->seq);
}

int port_wq_wait_at(struct port_wq *wq, uint32_t seq, uint64_t deadline_ns, unsigned flags,
		    const char *place)
{
	lockcheck_sleep("a sleep");
	if ((flags & PORT_WAIT_INTERRUPTIBLE) && port_fault_error_at(PORT_FAULT_SLEEP, place)) {
		return -EINTR;
	}
	return wq_sleep(wq, seq, deadline_ns, flags);
}

void port_wq_wake(struct port_wq *wq)
{
	unsigned waiters;

	atomic_fetch_add(&wq->seq, 1);
	waiters = atomic_load(&wq->waiters);
	if (waiters % POLL_SLEEPER) {
		syscall(SYS_futex, &wq->seq, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
	}
	if (waiters / POLL_SLEEPER) {
		wake_pollers(wq);
	}
}

/* ---- fork ------------------------------------------------------------------------------------ */

void wait_before_fork(void)
{
	for (int i = 0; i < BUCKETS; i++) {
		spin_lock(&buckets[i].lock);
	}
	spin_lock(&pool_lock);
}

void wait_after_fork(bool child)
{
	if (child) {
		/* The others' sleeps are not ours, and the descriptors are the parent's too. */
		pool_free = NULL;
		for (struct poller *p = pool_all; p; p = p->all) {
			if (p->event_fd >= 0) {
				close(p->event_fd);
				close(p->signal_fd);
				p->event_fd = p->signal_fd = -1;
			}
			p->next = pool_free;
			pool_free = p;
		}
	}
	spin_unlock(&pool_lock);
	for (int i = 0; i < BUCKETS; i++) {
		if (child) {
			buckets[i].head = NULL;
		}
		spin_unlock(&buckets[i].lock);
	}
}
