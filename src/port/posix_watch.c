// SPDX-License-Identifier: MIT
/*
 * Watching the client's memory for what happens to it below libc's interface: what libc unmaps
 * inside itself, and raw system calls.
 *
 * A userfaultfd: ranges are registered for write protection, which nobody ever sets up. The kernel
 * then reports what is unmapped, moved or dropped there, and takes over nothing else. Mappings of
 * files cannot be registered; a range with one of these in it is not watched.
 *
 * Whoever unmaps sleeps in the kernel until the event has been *read*, with whatever locks he has,
 * an allocator's for example. So the thread that reads does only that: it allocates nothing, waits
 * for nobody and takes no lock but the one around a short list of ranges. A second thread calls
 * back, and may wait for as long as that takes. When the list is full, what is new widens its last
 * range: more is told than has happened, never less.
 *
 * Ranges may overlap. The windows over each address are counted, and memory is given up with the
 * last one.
 *
 * Locking: @list_lock for the list; @edges_lock, a leaf, for the counts, and around giving memory
 * up. Who starts and stops sees to it that it is one at a time.
 */
#include "port/posix_internal.h"

#include "base/bits.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif

#define RANGES_MAX 64
#define EVENTS_AT_ONCE 16

struct range {
	uint64_t start, end;
};

static atomic_int watch_fd = -1; /* -1: not running */
static void (*watch_gone)(uint64_t addr, uint64_t size_B);
static struct port_thread *reader_thread, *teller_thread;
static atomic_bool stopping; /* the teller, when all is told */
static void *stop_page; /* unmapping it wakes the reader */

static struct spin list_lock = SPIN_INIT;
static struct range list[RANGES_MAX]; /* under list_lock: what has gone and was not told yet */
static unsigned list_count;           /* likewise */
static struct port_wq list_wq;

/* ---- who covers what ------------------------------------------------------------------------- */

/* @count windows cover the addresses from here to the next edge. The last one's is 0. */
struct edge {
	uint64_t addr;
	unsigned count;
};

static struct port_lock_class edges_class = { .name = "watch.edges", .rank = RANK_LEAF };
static struct port_mutex edges_lock;
static pthread_once_t edges_once = PTHREAD_ONCE_INIT;
static struct edge edges[2 * PORT_WATCH_MAX]; /* under edges_lock, by address */
static unsigned edge_count;                   /* likewise */
static unsigned window_count;                 /* likewise */

static void edges_init(void)
{
	port_mutex_init(&edges_lock, &edges_class);
}

static void edges_take(void)
{
	pthread_once(&edges_once, edges_init);
	port_mutex_lock(&edges_lock);
}

static unsigned count_before(unsigned i)
{
	return i ? edges[i - 1].count : 0;
}

/* The edge at @addr, made if need be. There is room: no window needs more than two. */
static unsigned edge_at(uint64_t addr)
{
	unsigned low = 0, high = edge_count;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (edges[middle].addr < addr) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	if (low == edge_count || edges[low].addr != addr) {
		ASSERT(edge_count < ARRAY_LEN(edges));
		memmove(&edges[low + 1], &edges[low], (edge_count - low) * sizeof(*edges));
		edges[low] = (struct edge){ .addr = addr, .count = count_before(low) };
		edge_count++;
	}
	return low;
}

/* Drops the edges from @first on at which nothing changes. */
static void edges_join(unsigned first)
{
	unsigned kept = first;

	for (unsigned i = first; i < edge_count; i++) {
		if (edges[i].count != count_before(kept)) {
			edges[kept++] = edges[i];
		}
	}
	edge_count = kept;
}

/* ---- the kernel's side ----------------------------------------------------------------------- */

static void arm(uint64_t start, uint64_t end)
{
	struct uffdio_register request = {
		.range = { .start = start, .len = end - start },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};
	int fd = atomic_load(&watch_fd), saved_errno = errno;

	if (fd >= 0) {
		(void)ioctl(fd, UFFDIO_REGISTER, &request);
		errno = saved_errno;
	}
}

static void disarm(uint64_t start, uint64_t end)
{
	struct uffdio_range request = { .start = start, .len = end - start };
	int fd = atomic_load(&watch_fd), saved_errno = errno;

	if (fd >= 0) {
		(void)ioctl(fd, UFFDIO_UNREGISTER, &request);
		errno = saved_errno;
	}
}

int port_watch_open(void)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_EVENT_UNMAP | UFFD_FEATURE_EVENT_REMOVE |
			    UFFD_FEATURE_EVENT_REMAP,
	};
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY), ret;

	if (fd < 0) {
		return -errno;
	}
	if (ioctl(fd, UFFDIO_API, &api)) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

/* ---- the two threads ------------------------------------------------------------------------- */

static void list_add_range(uint64_t start, uint64_t end)
{
	struct range *last;

	spin_lock(&list_lock);
	last = &list[list_count - (list_count == RANGES_MAX)];
	if (list_count < RANGES_MAX) {
		*last = (struct range){ start, end };
		list_count++;
	} else {
		last->start = min_u64(last->start, start);
		last->end = max_u64(last->end, end);
	}
	spin_unlock(&list_lock);
}

static bool list_take(struct range *range_out)
{
	bool any;

	spin_lock(&list_lock);
	any = list_count > 0;
	if (any) {
		*range_out = list[0];
		memmove(&list[0], &list[1], --list_count * sizeof(*list));
	}
	spin_unlock(&list_lock);
	return any;
}

/* False when it is the end: to stop before that one is read would leave who stops asleep. */
static bool note(const struct uffd_msg *msg)
{
	switch (msg->event) {
	case UFFD_EVENT_REMAP:
		list_add_range(msg->arg.remap.from, msg->arg.remap.from + msg->arg.remap.len);
		/* Registered still, where it is now. */
		list_add_range(msg->arg.remap.to, msg->arg.remap.to + msg->arg.remap.len);
		break;
	case UFFD_EVENT_REMOVE:
	case UFFD_EVENT_UNMAP:
		if (msg->arg.remove.start == (uintptr_t)stop_page) {
			return false;
		}
		list_add_range(msg->arg.remove.start, msg->arg.remove.end);
		break;
	default:
		break;
	}
	return true;
}

static void reader(void *arg)
{
	int fd = (int)(intptr_t)arg;
	struct uffd_msg msgs[EVENTS_AT_ONCE];
	bool on = true;

	while (on) {
		ssize_t n = read(fd, msgs, sizeof(msgs));

		if (n < 0 && errno != EINTR) {
			return;
		}
		for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(msgs[0]); i++) {
			on = note(&msgs[i]) && on;
		}
		port_wq_wake(&list_wq);
	}
}

static void teller(void *arg)
{
	(void)arg;
	for (;;) {
		uint32_t seq = port_wq_prepare(&list_wq);
		bool last = atomic_load(&stopping);
		struct range range;

		if (list_take(&range)) {
			watch_gone(range.start, range.end - range.start);
		} else if (last) {
			return;
		} else {
			(void)wq_sleep(&list_wq, seq, PORT_FOREVER, 0);
		}
	}
}

/* ---- what posix.h promises ------------------------------------------------------------------- */

static int threads_start(int fd)
{
	int ret = port_thread_create(&teller_thread, "vmbind-gone", teller, NULL);

	if (!ret) {
		ret = port_thread_create(&reader_thread, "vmbind-watch", reader,
					 (void *)(intptr_t)fd);
	}
	if (ret && teller_thread) {
		atomic_store(&stopping, true);
		port_wq_wake(&list_wq);
		port_thread_join(teller_thread);
		teller_thread = NULL;
	}
	return ret;
}

int port_watch_start(int fd, void (*gone)(uint64_t addr, uint64_t size_B))
{
	int ret;

	ASSERT(atomic_load(&watch_fd) < 0);
	watch_gone = gone;
	atomic_store(&stopping, false);
	stop_page = mmap(NULL, PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stop_page == MAP_FAILED) {
		close(fd);
		return -ENOMEM;
	}
	ret = threads_start(fd);
	if (ret) {
		munmap(stop_page, PAGE_SIZE);
		close(fd);
		return ret;
	}
	atomic_store(&watch_fd, fd);
	arm((uintptr_t)stop_page, (uintptr_t)stop_page + PAGE_SIZE);
	return 0;
}

void port_watch_stop(void)
{
	int fd = atomic_load(&watch_fd);

	if (fd < 0) {
		return;
	}
	munmap(stop_page, PAGE_SIZE);
	port_thread_join(reader_thread);
	atomic_store(&stopping, true);
	port_wq_wake(&list_wq);
	port_thread_join(teller_thread);
	atomic_store(&watch_fd, -1);
	close(fd);
}

bool port_watch_is_on(void)
{
	return atomic_load(&watch_fd) >= 0;
}

bool port_watch_any(void)
{
	bool any;

	edges_take();
	any = window_count > 0;
	port_mutex_unlock(&edges_lock);
	return any;
}

bool port_watch_add(uint64_t addr, uint64_t size_B)
{
	bool room;

	edges_take();
	room = window_count < PORT_WATCH_MAX;
	if (room) {
		unsigned first = edge_at(addr), last = edge_at(addr + size_B);

		window_count++;
		for (unsigned i = first; i < last; i++) {
			edges[i].count++;
		}
		edges_join(first);
	}
	port_mutex_unlock(&edges_lock);
	return room;
}

void port_watch_remove(uint64_t addr, uint64_t size_B)
{
	unsigned first, last;

	edges_take();
	ASSERT(window_count);
	window_count--;
	first = edge_at(addr);
	last = edge_at(addr + size_B);
	for (unsigned i = first; i < last; i++) {
		ASSERT(edges[i].count);
		if (--edges[i].count == 0) {
			disarm(edges[i].addr, edges[i + 1].addr);
		}
	}
	edges_join(first);
	port_mutex_unlock(&edges_lock);
}

void port_watch_arm(uint64_t addr, uint64_t size_B)
{
	arm(addr, addr + size_B);
}

void port_watch_arm_all(void)
{
	edges_take();
	for (unsigned i = 0; i < edge_count; i++) {
		if (edges[i].count) {
			arm(edges[i].addr, edges[i + 1].addr);
		}
	}
	port_mutex_unlock(&edges_lock);
}

void port_watch_disarm(uint64_t addr, uint64_t size_B)
{
	disarm(addr, addr + size_B);
}

/* The threads and what was registered stayed with the parent; the windows are here too. */
void watch_fork_child(void)
{
	int fd = atomic_exchange(&watch_fd, -1);

	if (fd < 0) {
		return;
	}
	spin_reset(&list_lock);
	list_count = 0;
	port_wq_init(&list_wq);
	port_thread_join(reader_thread);
	port_thread_join(teller_thread);
	munmap(stop_page, PAGE_SIZE);
	close(fd);
}
