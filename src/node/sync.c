// SPDX-License-Identifier: MIT
/*
 * Software timelines and sync files that several processes have (docs/design.md, chapter P7).
 *
 * The device's first open makes a piece of memory that all children share, at one address: the
 * counters of timelines, and what each sync file waits for. What travels between processes is the
 * descriptor; it is recognised by what it is a descriptor of:
 *
 *  - A timeline is the writing end of a pipe, and a slot is found by the pipe's inode. Nobody
 *    writes. Each process that knows the timeline keeps a reading end, which hangs up when the last
 *    descriptor of the last process is closed, however that came about.
 *  - A sync file is an eventfd, readable when it has signalled. It has a flag that means nothing to
 *    an eventfd, which tells it from the client's own, and a record is found by its number in the
 *    kernel. (Another eventfd may have had the number before: its record is replaced.) A process
 *    that got one from elsewhere waits for the same points of the same timelines; if it is for
 *    anything else, for the eventfd itself or the end of the process that made it.
 *
 * A sync file that may be open elsewhere is not forgotten when it is closed here: it lingers until
 * it has signalled, so that whoever polls it there is woken.
 *
 * Every process signals its own fences. Who has changed a counter does so at once and then writes
 * the one event counter that all watch (sync_watch.c).
 *
 * Locking: @sync_lock; what is shared is atomic, or constant once it can be found.
 */
#include "node/sync.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define SLOTS 16384
#define RECORDS 65536
#define SLOT_MAKING 1

struct point {
	uint64_t serial, number;
	uint32_t slot;
};

struct record {
	atomic_uint used;
	atomic_int status; /* uapi_sync_file_status() when it signalled, else 0 */
	pid_t maker;
	uint32_t count;    /* of points; 0: something else */
	struct point point[UAPI_POINTS_MAX];
};

struct board {
	atomic_uint shared;
	atomic_uint slots_used; /* none beyond was ever */
	_Atomic uint64_t next_serial;
	_Atomic uint64_t pipe_dev; /* where all pipes are */
	struct sync_slot slot[SLOTS];
	struct record record[RECORDS];
};

static struct port_lock_class sync_class = { .name = "node.sync", .rank = RANK_NODE_GATE };
struct port_mutex sync_lock;
struct sync_entry *sync_entries;
struct sync_foreign *sync_foreigns;
static struct board *board;
static struct node_file *lingering; /* by .next; under sync_lock */
static int wake_fd = -1;

static __attribute__((constructor)) void init(void)
{
	port_mutex_init(&sync_lock, &sync_class);
}

int sync_init_shared(void)
{
	void *memory;

	if (board) {
		return 0;
	}
	wake_fd = fd_hide(node_eventfd(EFD_CLOEXEC | EFD_NONBLOCK));
	if (wake_fd < 0) {
		return -EMFILE;
	}
	memory = REAL(mmap)(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED) {
		fd_clear_private(wake_fd);
		REAL(close)(wake_fd);
		return -ENOMEM;
	}
	board = memory;
	return 0;
}

bool sync_is_shared(void)
{
	return atomic_load(&board->shared);
}

int sync_wake_fd(void)
{
	return wake_fd;
}

void sync_tell(void)
{
	if (sync_is_shared()) {
		event_write(wake_fd);
	}
}

/* ---- timelines ------------------------------------------------------------------------------- */

/* A free one, taken; NULL when there is none. */
static struct sync_slot *slot_take(void)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		struct sync_slot *slot = &board->slot[i];
		unsigned used = atomic_load(&board->slots_used);
		uint64_t none = 0;

		if (!atomic_compare_exchange_strong(&slot->inode, &none, SLOT_MAKING)) {
			continue;
		}
		while (used <= i &&
		       !atomic_compare_exchange_weak(&board->slots_used, &used, i + 1)) {
		}
		return slot;
	}
	return NULL;
}

static void slot_put(struct sync_slot *slot)
{
	if (atomic_fetch_sub(&slot->processes, 1) == 1) {
		atomic_store(&slot->inode, 0);
	}
}

static struct sync_slot *slot_find(uint64_t inode)
{
	unsigned used = atomic_load(&board->slots_used);

	for (unsigned i = 0; i < used; i++) {
		if (atomic_load(&board->slot[i].inode) == inode) {
			return &board->slot[i];
		}
	}
	return NULL;
}

static struct sync_entry *entry_find(const struct sync_slot *slot)
{
	struct sync_entry *entry = sync_entries;

	port_mutex_assert_held(&sync_lock);
	while (entry && entry->slot != slot) {
		entry = entry->next;
	}
	return entry;
}

/* Takes over @slot's count of this process and, if it succeeds, @read_fd. NULL without memory. */
static struct sync_entry *entry_add(struct sync_slot *slot, int read_fd)
{
	struct sync_entry *entry = port_alloc(sizeof(*entry));

	port_mutex_assert_held(&sync_lock);
	if (entry) {
		entry->timeline = uapi_timeline_create(node_device_if_any(), &slot->counter,
						       slot->name);
	}
	if (!entry || !entry->timeline) {
		port_free(entry);
		slot_put(slot);
		return NULL;
	}
	entry->slot = slot;
	entry->read_fd = read_fd;
	entry->next = sync_entries;
	sync_entries = entry;
	sync_watch_fd(read_fd, 0);
	if (sync_is_shared()) {
		sync_watch();
	}
	return entry;
}

static void private_end(int fd)
{
	sync_unwatch_fd(fd);
	if (fd >= 0) {
		fd_clear_private(fd);
		REAL(close)(fd);
	}
}

static bool hung_up(int fd)
{
	struct pollfd poll_fd = { .fd = fd };

	return fd >= 0 && REAL(poll)(&poll_fd, 1, 0) > 0 && (poll_fd.revents & POLLHUP);
}

static void look_at_entries(void)
{
	struct sync_entry **link = &sync_entries, *entry;

	while ((entry = *link)) {
		struct timeline_counter *counter = &entry->slot->counter;

		if (!atomic_load(&counter->ended) && hung_up(entry->read_fd)) {
			atomic_store(&counter->ended, 1);
			sync_tell();
		}
		uapi_timeline_update(entry->timeline);
		if (entry->files || !atomic_load(&counter->ended)) {
			link = &entry->next;
			continue;
		}
		*link = entry->next;
		private_end(entry->read_fd);
		uapi_fd_put_object(UAPI_FD_TIMELINE, entry->timeline);
		slot_put(entry->slot);
		port_free(entry);
	}
}

static bool is_readable(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return fd >= 0 && REAL(poll)(&poll_fd, 1, 0) > 0;
}

static void look_at_foreigns(void)
{
	struct sync_foreign **link = &sync_foreigns, *foreign;

	while ((foreign = *link)) {
		/* In this order: the maker may have signalled it and ended. */
		bool gone = foreign->maker_gone || is_readable(foreign->maker_fd);
		bool signalled = is_readable(foreign->fd);
		int status = atomic_load(foreign->status);

		if (!gone && !signalled) {
			link = &foreign->next;
			continue;
		}
		*link = foreign->next;
		if (!signalled) { /* its work went with it; who polls shall know too */
			status = -ECANCELED;
			event_write(foreign->fd);
		}
		uapi_sync_file_signal(foreign->object, status < 0 ? status : 0);
		private_end(foreign->maker_fd);
		private_end(foreign->fd);
		uapi_fd_put_object(UAPI_FD_SYNC_FILE, foreign->object);
		port_free(foreign);
	}
}

void sync_look(void)
{
	look_at_entries();
	look_at_foreigns();
}

/* A file of ours for @entry's timeline. NULL without memory. */
static struct node_file *entry_file(struct sync_entry *entry)
{
	struct node_file *file = file_create(NODE_OBJECT);

	port_mutex_assert_held(&sync_lock);
	if (file) {
		uapi_fd_get_object(UAPI_FD_TIMELINE, entry->timeline);
		file->object_kind = UAPI_FD_TIMELINE;
		file->object = entry->timeline;
		entry->files++;
	}
	return file;
}

/* The lowest number for @fd, which is moved there. */
static int lowest(int fd, bool cloexec)
{
	int low = REAL(fcntl)(fd, cloexec ? F_DUPFD_CLOEXEC : F_DUPFD, 0);

	if (low >= 0) {
		REAL(close)(fd);
		fd = low;
	}
	return fd;
}

/* A slot for the pipe of @fd, named like the calling program. NULL when there is none left. */
static struct sync_slot *slot_make(int fd)
{
	struct sync_slot *slot;
	struct stat st;

	if (REAL(fstat)(fd, &st)) {
		return NULL;
	}
	slot = slot_take();
	if (slot) {
		slot->serial = atomic_fetch_add(&board->next_serial, 1);
		atomic_store(&slot->processes, 1);
		atomic_store(&slot->counter.value, TIMELINE_START);
		atomic_store(&slot->counter.ended, 0);
		memset(slot->name, 0, sizeof(slot->name));
		prctl(PR_GET_NAME, slot->name);
		atomic_store(&board->pipe_dev, st.st_dev);
		atomic_store(&slot->inode, st.st_ino);
	}
	return slot;
}

int sync_open_timeline(int flags)
{
	struct sync_entry *entry = NULL;
	struct node_file *file = NULL;
	struct sync_slot *slot;
	int fds[2], fd;

	if (!node_device() || !board) {
		return -ENODEV;
	}
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK)) {
		return -errno;
	}
	fds[0] = fd_hide(fds[0]);
	fd = lowest(fds[1], flags & O_CLOEXEC);
	port_mutex_lock(&sync_lock);
	slot = slot_make(fd);
	entry = slot ? entry_add(slot, fds[0]) : NULL;
	file = entry ? entry_file(entry) : NULL;
	port_mutex_unlock(&sync_lock);
	if (file && fd_install(fd, file)) {
		return fd;
	}
	REAL(close)(fd);
	if (!entry) {
		private_end(fds[0]);
	}
	if (file) {
		file_put(file);
		return -EMFILE;
	}
	sync_closed(NULL);
	return -ENOMEM;
}

void sync_closed(void *timeline)
{
	struct sync_entry *entry;

	port_mutex_lock(&sync_lock);
	for (entry = sync_entries; entry && entry->timeline != timeline; entry = entry->next) {
	}
	if (entry) {
		entry->files--;
	}
	sync_look();
	for (entry = sync_entries; entry && entry->timeline != timeline; entry = entry->next) {
	}
	if (entry && !entry->files) {
		sync_watch(); /* open elsewhere, or on its way there: its end must be heard of */
	}
	port_mutex_unlock(&sync_lock);
}

/* ---- sync files ------------------------------------------------------------------------------ */

/* Of an open eventfd, so kept wherever it goes. */
#define SYNC_FILE_MARK O_APPEND

/* The record of the eventfd @fd; NULL when it is no eventfd, or its number is too large. */
static struct record *record_of(int fd)
{
	static const char key[] = "eventfd-id:";
	char name[40], text[512], *line;
	ssize_t n = -1;
	unsigned id;
	int info;

	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", fd);
	info = REAL(open)(name, O_RDONLY | O_CLOEXEC);
	if (info >= 0) {
		n = REAL(read)(info, text, sizeof(text) - 1);
		REAL(close)(info);
	}
	text[n > 0 ? n : 0] = '\0';
	line = strstr(text, key);
	if (!board || !line || sscanf(line + strlen(key), "%u", &id) != 1 || id >= RECORDS) {
		return NULL;
	}
	return &board->record[id];
}

atomic_int *sync_record(int fd, void *object)
{
	struct record *record = record_of(fd);
	struct uapi_point points[UAPI_POINTS_MAX];
	unsigned n;

	if (!record) {
		return NULL;
	}
	REAL(fcntl)(fd, F_SETFL, REAL(fcntl)(fd, F_GETFL) | SYNC_FILE_MARK);
	atomic_store(&record->status, 0);
	n = uapi_sync_file_points(object, points, UAPI_POINTS_MAX);
	port_mutex_lock(&sync_lock);
	for (unsigned i = 0; i < n; i++) {
		const struct sync_entry *entry = sync_entries;

		while (entry && entry->timeline != points[i].timeline) {
			entry = entry->next;
		}
		if (!entry) { /* ended meanwhile */
			n = 0;
			break;
		}
		record->point[i] = (struct point){ entry->slot->serial, points[i].number,
						   (uint32_t)(entry->slot - board->slot) };
	}
	port_mutex_unlock(&sync_lock);
	record->count = n;
	record->maker = getpid();
	atomic_store(&record->used, 1);
	return &record->status;
}

/* This process's timeline for a point; NULL when it has ended, or without memory. */
static void *timeline_at(const struct point *point)
{
	struct sync_slot *slot = &board->slot[point->slot];
	struct sync_entry *entry = entry_find(slot);

	if (!entry) {
		unsigned processes = atomic_load(&slot->processes);

		while (processes && !atomic_compare_exchange_weak(&slot->processes, &processes,
								  processes + 1)) {
		}
		entry = processes ? entry_add(slot, -1) : NULL;
	}
	return entry && slot->serial == point->serial ? entry->timeline : NULL;
}

/* A sync file that waits for what @record says; NULL when it says nothing of use. */
static void *object_of_points(const struct record *record)
{
	struct uapi_point points[UAPI_POINTS_MAX];
	void *object = NULL;
	unsigned n = 0;

	port_mutex_lock(&sync_lock);
	while (n < record->count && (points[n].timeline = timeline_at(&record->point[n]))) {
		points[n].number = record->point[n].number;
		n++;
	}
	if (n && n == record->count) {
		object = uapi_sync_file_of_points(points, n);
	}
	port_mutex_unlock(&sync_lock);
	return object;
}

/* A sync file that signals when @fd becomes readable. NULL without memory or descriptors. */
static void *object_of_fd(int fd, const struct record *record)
{
	struct sync_foreign *foreign = port_alloc(sizeof(*foreign));
	void *object = foreign ? uapi_sync_file_foreign(node_device_if_any()) : NULL;
	int copy = object ? fd_hide(REAL(fcntl)(fd, F_DUPFD_CLOEXEC, 3)) : -1;

	if (copy < 0) {
		if (object) {
			uapi_sync_file_signal(object, -EMFILE);
			uapi_fd_put_object(UAPI_FD_SYNC_FILE, object);
		}
		port_free(foreign);
		return NULL;
	}
	uapi_fd_get_object(UAPI_FD_SYNC_FILE, object);
	foreign->fd = copy;
	foreign->object = object;
	foreign->status = &record->status;
	foreign->maker_fd = fd_hide((int)syscall(SYS_pidfd_open, record->maker, 0));
	foreign->maker_gone = foreign->maker_fd < 0 && errno == ESRCH;
	port_mutex_lock(&sync_lock);
	foreign->next = sync_foreigns;
	sync_foreigns = foreign;
	sync_watch_fd(copy, EPOLLIN);
	sync_watch_fd(foreign->maker_fd, EPOLLIN);
	sync_watch();
	look_at_foreigns(); /* it may have signalled already */
	port_mutex_unlock(&sync_lock);
	return object;
}

/* ---- sync files that are open elsewhere only ------------------------------------------------- */

/* Takes those that have signalled off the list; their last reference is the caller's. */
static struct node_file *lingering_done(void)
{
	struct node_file **link = &lingering, *file, *done = NULL;

	port_mutex_assert_held(&sync_lock);
	while ((file = *link)) {
		if (!uapi_sync_file_status(file->object)) {
			link = &file->next;
			continue;
		}
		*link = file->next;
		file->next = done;
		done = file;
	}
	return done;
}

bool sync_linger(struct node_file *file)
{
	bool lingers = false;
	struct node_file *done, *next;

	if (file->object_kind != UAPI_FD_SYNC_FILE || !board) {
		return false;
	}
	port_mutex_lock(&sync_lock);
	done = lingering_done();
	if (atomic_load(&file->elsewhere) && !uapi_sync_file_status(file->object)) {
		file->next = lingering;
		lingering = file;
		lingers = true;
	}
	port_mutex_unlock(&sync_lock);
	for (; done; done = next) {
		next = done->next;
		atomic_store(&done->elsewhere, false);
		atomic_store(&done->refs, 1);
		file_put(done);
	}
	return lingers;
}

static void is_elsewhere(struct node_file *file)
{
	atomic_store(&file->elsewhere, true);
}

void sync_sent(int fd)
{
	struct node_file *file;

	if (fd_is_marked(fd)) {
		node_enter();
		file = fd_get(fd);
		if (file) {
			is_elsewhere(file);
		}
		file_put(file);
		node_leave();
	}
}

/* ---- descriptors from elsewhere -------------------------------------------------------------- */

static struct node_file *adopt_timeline(int fd, const struct stat *st)
{
	struct sync_slot *slot = NULL;
	struct node_file *file = NULL;
	struct sync_entry *entry;
	char name[32];
	int read_fd;

	if (st->st_dev == atomic_load(&board->pipe_dev)) {
		slot = slot_find(st->st_ino);
	}
	if (!slot || (REAL(fcntl)(fd, F_GETFL) & O_ACCMODE) != O_WRONLY) {
		return NULL;
	}
	port_mutex_lock(&sync_lock);
	entry = entry_find(slot);
	if (!entry || entry->read_fd < 0) {
		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		read_fd = fd_hide(REAL(open)(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
		if (entry) {
			entry->read_fd = read_fd;
			sync_watch_fd(read_fd, 0);
		} else {
			atomic_fetch_add(&slot->processes, 1);
			entry = entry_add(slot, read_fd);
			if (!entry) {
				private_end(read_fd);
			}
		}
	}
	file = entry ? entry_file(entry) : NULL;
	port_mutex_unlock(&sync_lock);
	return file;
}

static struct node_file *adopt_sync_file(int fd)
{
	struct record *record = NULL;
	struct node_file *file;
	void *object;

	if (REAL(fcntl)(fd, F_GETFL) & SYNC_FILE_MARK) {
		record = record_of(fd);
	}
	if (!record || !atomic_load(&record->used)) {
		return NULL;
	}
	file = file_create(NODE_OBJECT);
	if (!file) {
		return NULL;
	}
	object = object_of_points(record);
	file->object_kind = UAPI_FD_SYNC_FILE;
	file->object = object ? object : object_of_fd(fd, record);
	file->status = &record->status;
	/* The eventfd of a foreign one needs nobody to make it readable. */
	if (!file->object || (object && node_watch(file, fd))) {
		file_put(file);
		return NULL;
	}
	return file;
}

bool sync_adopt(int fd)
{
	struct node_file *file;
	struct stat st;
	bool adopted;

	if (fd < 0 || !board || REAL(fstat)(fd, &st)) {
		return false;
	}
	file = S_ISFIFO(st.st_mode) ? adopt_timeline(fd, &st) : adopt_sync_file(fd);
	adopted = file && fd_install(fd, file);
	if (file && !adopted) {
		file_put(file);
	}
	return adopted;
}

/* ---- fork ------------------------------------------------------------------------------------ */

void sync_before_fork(void)
{
	if (!board) {
		return;
	}
	atomic_store(&board->shared, 1);
	fd_each(is_elsewhere);
	for (struct sync_entry *entry = sync_entries; entry; entry = entry->next) {
		atomic_fetch_add(&entry->slot->processes, 1);
	}
}

/*
 * What the parent's device has yet to do is the parent's to tell: the eventfds are the same ones,
 * and in the child that work ends at once. Timelines both can follow.
 */
static void forget_device_work(struct node_file *file)
{
	struct uapi_point points[UAPI_POINTS_MAX];

	if (file->kind == NODE_OBJECT && file->object_kind == UAPI_FD_SYNC_FILE &&
	    !uapi_sync_file_points(file->object, points, UAPI_POINTS_MAX)) {
		node_unwatch(file);
	}
}

void sync_in_child(void)
{
	if (board) {
		sync_watch_forget();
		fd_each(forget_device_work);
		for (struct node_file *file = lingering; file; file = file->next) {
			forget_device_work(file);
		}
	}
}

void sync_after_fork(void)
{
	if (!board) {
		return;
	}
	node_enter();
	port_mutex_lock(&sync_lock);
	if (sync_entries || sync_foreigns) {
		sync_watch();
	}
	port_mutex_unlock(&sync_lock);
	node_leave();
}
