/* SPDX-License-Identifier: MIT */
/*
 * What the files of src/node/ share. The room is a device node inside somebody's process: the
 * interposers decide whether a name or a number is ours and call libc if not, the rest answers.
 *
 *   real.c inner.c    libc behind the interposers, and for the code inside this library
 *   gate.c fork.c     who is inside; fork()
 *   device.c host.c   the device, made at first use from VMBIND_*; what it asks of its host
 *   sync.c sync_watch.c   timelines and sync files that several processes have
 *   fd.c io.c poll.c mmap.c  descriptor numbers to objects; what a program does with them
 *   truncate.c watch.c   client memory that goes in other ways
 *   tree.c sysfs.c    the files of /dev, /sys and debugfs that exist only here
 *   path.c open.c stat.c dir.c sink.c   names to files
 *   signal.c          SIGSEGV and SIGBUS belong to the device first
 */
#ifndef NODE_NODE_H
#define NODE_NODE_H

#include "base/bits.h"
#include "node/gate.h"
#include "node/real.h"
#include "node/tree.h"
#include "port/port.h"
#include "port/posix.h"
#include "uapi/uapi.h"

#include <limits.h>

/* The result of a system call in the way libc gives it. */
static inline int node_result(int ret)
{
	if (ret < 0) {
		errno = -ret;
		return -1;
	}
	return ret;
}

/* ---- device.c -------------------------------------------------------------------------------- */

/* The device, made if need be; inside the gate. NULL when it cannot be, said once on stderr. */
struct uapi_device *node_device(void);
/* The card beside it, if the client was promised one and the device is there; else NULL. */
struct uapi_device *node_companion(void);
/* The device if there is one already. */
struct uapi_device *node_device_if_any(void);
/* The client opened the device: for --require-use and --report. */
void node_mark_used(void);

/* ---- inner.c --------------------------------------------------------------------------------- */

/* memfd_create() and eventfd() for a number that the client gets to see. */
int node_memfd(const char *name, unsigned flags);
int node_eventfd(unsigned flags);
pid_t node_fork(void);

/* ---- host.c ---------------------------------------------------------------------------------- */

extern const struct uapi_host_ops node_host_ops;
struct node_file;
/* From now on @fd becomes readable when @file's fence signals. 0, -ENOMEM, -EMFILE. */
int node_watch(struct node_file *file, int fd);
/* @file is about to go: nobody needs to be told of its fence any more. */
void node_unwatch(struct node_file *file);
/* Makes the eventfd @fd readable. */
void event_write(int fd);

/* ---- mmap.c ---------------------------------------------------------------------------------- */

/* Inside the gate: [addr, addr + size_B) is about to go, or has gone, until client_range_end(). */
void client_range_begin(struct uapi_client_range *range, uint64_t addr, uint64_t size_B);
void client_range_end(struct uapi_client_range *range);
/* Is there anybody to tell of it? From inside it is an allocator serving the device. */
bool client_range_matters(void);

/* ---- watch.c --------------------------------------------------------------------------------- */

/* Can client memory be watched below libc? 0 or -errno, -ECANCELED if it is not wanted. */
int watch_probe(void);
/* In a child, before an ioctl of the device: what it inherited is watched again. */
void watch_resume(void);
void watch_in_child(void);
/* For the device: struct uapi_host_ops. */
bool host_watch(void *ctx, uint64_t addr, uint64_t size_B);
void host_watch_arm(void *ctx, uint64_t addr, uint64_t size_B);
void host_unwatch(void *ctx, uint64_t addr, uint64_t size_B);

/* ---- sync.c ---------------------------------------------------------------------------------- */

/* Memory for the device's timelines and sync files, once. 0 or -errno. */
int sync_init_shared(void);
/* A new timeline, open: its descriptor or -errno. Inside the gate. */
int sync_open_timeline(int flags);
/* A file of @timeline's has gone. */
void sync_closed(void *timeline);
/*
 * Nobody here has the object @file any more. True: it is a sync file that somebody elsewhere may
 * have, so it is kept until it has signalled, and put once more afterwards.
 */
bool sync_linger(struct node_file *file);
/* A counter was changed by this process: the others are told. */
void sync_tell(void);
/*
 * The sync file @object is about to be given out as the eventfd @fd: what it waits for is noted, so
 * that a process that gets the descriptor knows. Where to say how it ended; NULL when it cannot be
 * noted.
 */
atomic_int *sync_record(int fd, void *object);
/* Is @fd, which came from another process, a timeline or a sync file? Then it is ours now. */
bool sync_adopt(int fd);
/* @fd, if it is ours, is being sent to another process. */
void sync_sent(int fd);
/* Around fork(): while nobody is inside, in the child as well; then when the gate is open again. */
void sync_before_fork(void);
void sync_in_child(void);
void sync_after_fork(void);

/* ---- fd.c ------------------------------------------------------------------------------------ */

enum node_kind {
	NODE_PRIVATE, /* the library's own; the client sees a closed number */
	NODE_DEVICE,  /* an open file of the device */
	NODE_OBJECT,  /* syncobj, sync file, dma-buf, timeline */
	NODE_TREE,    /* a file or directory of the tree */
};

/* An open file description. Never freed, only reused: see fd.c. */
struct node_file {
	atomic_uint refs;
	enum node_kind kind;
	struct uapi_file *device; /* NODE_DEVICE */
	unsigned minor;           /* NODE_DEVICE: of the node it was opened by */
	enum uapi_fd_kind object_kind; /* NODE_OBJECT */
	void *object;             /* NODE_OBJECT: a reference */
	uint64_t size_B;          /* NODE_OBJECT */
	_Atomic uint64_t wake;    /* see host.c; survives recycling */
	atomic_int *status;       /* sync file: tells other processes how it ended, or NULL */
	atomic_bool elsewhere;    /* sync file: another process may have it too */
	struct tnode *tnode;      /* NODE_TREE */
	bool writes;              /* NODE_TREE: an attribute, opened for writing */
	struct node_file *next;   /* while free */
};

/* One reference, kind and contents to be filled in; NULL without memory. Inside the gate. */
struct node_file *file_create(enum node_kind kind);
/* The last one closes what is behind. Inside the gate. */
void file_put(struct node_file *file);

/* Is @fd anything but a plain descriptor of the client? No lock, no system call. */
bool fd_is_marked(int fd);
/* Is it of this kind? Outside the gate. */
bool fd_is_kind(int fd, enum node_kind kind);
/* The file behind @fd with a reference, or NULL. */
struct node_file *fd_get(int fd);
/* Gives @fd the file, with the caller's reference. False: a number beyond the table. */
bool fd_install(int fd, struct node_file *file);
/* Takes the file off @fd, with the table's reference; NULL if there is none. */
struct node_file *fd_take(int fd);
/* libc just handed out @fd as new: whatever the table says of it is of the past. */
int fd_fresh(int fd);
bool fd_is_private(int fd);
void fd_set_private(int fd);
void fd_clear_private(int fd);
/* Calls @fn for every file of ours, more than once for one of several numbers. No other thread. */
void fd_each(void (*fn)(struct node_file *file));
/* Moves @fd to a number where no client looks and marks it as the library's own. */
int fd_hide(int fd);

/* ---- path.c ---------------------------------------------------------------------------------- */

enum path_kind {
	/*
	 * Not ours: the call goes through as it came. @path is its absolute name if it was worth
	 * finding out, else empty; @node is set for a directory that both we and the host have.
	 */
	PATH_HOST,
	PATH_MOVED,  /* the same, but only @path leads there: the walk went through our links */
	PATH_NODE,   /* @node; @path is its name */
	PATH_FD,     /* /proc/self/fd/N of a file of ours: @fd */
	PATH_ERROR,  /* @error */
};

struct path {
	enum path_kind kind;
	struct tnode *node;
	int fd;
	int error; /* -errno */
	char path[PATH_MAX];
};

#define PATH_NOFOLLOW BIT(0) /* do not follow the last component */

/* Whose is @name, relative to @dirfd? Inside or outside the gate; may make the device. */
enum path_kind path_resolve(int dirfd, const char *name, unsigned flags, struct path *out);

/*
 * The device's file of which @name, relative to @dirfd, is the entry in /proc/self/fdinfo; or -1.
 * Outside the gate.
 */
int path_fdinfo(int dirfd, const char *name);

/* ---- open.c, sink.c, stat.c ------------------------------------------------------------------ */

/* The name that /proc/self/fd shows for a file of ours. */
void node_file_name(const struct node_file *file, char *name, size_t size);
/* True when @name is ours or diverted: *fd_out is the new descriptor or -errno. */
bool node_open(int dirfd, const char *name, int flags, int *fd_out);
/*
 * A write to the host that goes nowhere: kernel log, consoles, tuning. @path is the absolute name
 * if path_resolve() found it, else empty.
 */
bool sink_wants(int dirfd, const char *name, const char *path, int flags);
int sink_open(const char *path, int flags);
/* What the interposers do. */
int node_close(int fd);
int node_stat(const char *name, struct stat *st);
int node_lstat(const char *name, struct stat *st);
/* Does the host have @path? */
bool host_has(const char *path);
/* A descriptor that reads @text; -errno. */
int text_open(const char *name, const void *text, size_t size_B, int flags);

/* The CPUs of the device's threads, see cpus.c. Text without a zero behind it: how long it is. */
#define CPUS_TEXT_B 320
size_t cpus_show(char text[CPUS_TEXT_B]);
/* 0; -EINVAL (no mask, or no such CPU), -EOVERFLOW, -EFAULT. */
int cpus_store(const void *buf, size_t n);

#endif
