/* SPDX-License-Identifier: MIT */
/*
 * The one entry of clients into the device: what a device file does. src/node/ calls it from its
 * interposers, tests call it directly, and so would a device server or a kernel module.
 *
 * Errors are negative errno. Pointers inside ioctl structs are addresses of the client and are only
 * touched through the port's guarded copies.
 */
#ifndef UAPI_UAPI_H
#define UAPI_UAPI_H

#include "event/event.h"
#include "port/port.h"

struct device;
struct uapi_device;
struct uapi_file;
struct timeline_counter;

/* Things a client can hold by file descriptor beside the device file itself. */
enum uapi_fd_kind {
	UAPI_FD_SYNCOBJ,
	UAPI_FD_SYNC_FILE,
	UAPI_FD_DMABUF,
	UAPI_FD_TIMELINE, /* a software timeline */
};

/* File descriptors are the host's: it keeps the table from numbers to objects. */
struct uapi_host_ops {
	/*
	 * Mandatory. Makes a descriptor for @object and takes over the caller's reference; on
	 * failure the caller keeps it. @size_B is what lseek(SEEK_END) answers (dma-buf). The
	 * number, or -EMFILE, -ENOMEM; -EOPNOTSUPP from a host without descriptors.
	 */
	int (*fd_install)(void *ctx, enum uapi_fd_kind kind, void *object, uint64_t size_B,
			  bool cloexec);
	/*
	 * Mandatory. The object behind @fd, with a reference taken by uapi_fd_get_object(); NULL
	 * when @fd is not of @kind.
	 */
	void *(*fd_lookup)(void *ctx, int fd, enum uapi_fd_kind kind);
	/* Optional: without it all are. Is @fd open, whatever it is? */
	bool (*fd_is_open)(void *ctx, int fd);
	/* Mandatory. A private handle to signal the eventfd @fd later, or NULL when it is none. */
	void *(*eventfd_get)(void *ctx, int fd);
	void (*eventfd_signal)(void *ctx, void *eventfd);
	void (*eventfd_put)(void *ctx, void *eventfd);
	/*
	 * Optional, together: what struct mem_watch_ops of mem/mem.h asks for. What the host sees
	 * it says with uapi_client_range_begin() and _end().
	 */
	bool (*watch)(void *ctx, uint64_t addr, uint64_t size_B);
	void (*watch_arm)(void *ctx, uint64_t addr, uint64_t size_B);
	void (*unwatch)(void *ctx, uint64_t addr, uint64_t size_B);
};

struct uapi_config {
	const char *uapi;       /* uapi_name(); NULL: the first, as for the next two */
	const char *gpu;        /* uapi_gpu_name() */
	const char *schedule;   /* uapi_schedule_name() */
	unsigned vm_bind_version; /* of i915: 1 or 2; 0: 2 */
	uint64_t system_B;      /* 0: what the host has */
	uint64_t vram_B;        /* 0: the GPU's default */
	uint64_t vram_visible_B; /* what the CPU reaches, in pages of VRAM; 0: all of it */
	/* For tests: struct mem_config.vram_copies. */
	bool vram_copies;
	/* NULL: a host without descriptors; whatever would make one is -EOPNOTSUPP. */
	const struct uapi_host_ops *host;
	void *host_ctx;
};

/* What identifies the device to a client that looks at sysfs. Static strings. */
/* A file that says the same for ever; @path is below the device's directory in debugfs. */
struct uapi_debug_file {
	const char *path, *text;
};

struct uapi_identity {
	const char *driver;     /* "xe" */
	const char *pci_slot;   /* "0000:03:00.0"; NULL: a companion, all that follows is empty */
	uint16_t vendor, device, subsystem_vendor, subsystem_device;
	uint8_t revision;
	const char *gpu, *description;
	const struct uapi_debug_file *debug; /* up to one without a path; or NULL */
	bool coredump; /* errors are told by devcoredump; else by files that are always there */
};

/*
 * The names that struct uapi_config takes, by index from 0; NULL behind the last. The first of each
 * is the default. @uapi: NULL stands for the first; an unknown one has no GPUs. Static strings.
 */
const char *uapi_name(unsigned index);
const char *uapi_gpu_name(const char *uapi, unsigned index);
const char *uapi_schedule_name(unsigned index);
/* What a client calls the ioctl @nr of @uapi, without DRM_IOCTL_; NULL when it is not known. */
const char *uapi_ioctl_name(const char *uapi, uint32_t nr);

/* 0, -EINVAL (unknown name: *what_out says which), -ENOMEM, -EAGAIN. */
int uapi_device_create(const struct uapi_config *config, struct uapi_device **device_out,
		       const char **what_out);
/*
 * A second card beside @device, of a driver without a GPU (vgem). It has files, handles and names
 * of its own; objects go from one to the other by descriptor. Destroyed before @device. 0, -ENOMEM.
 */
int uapi_companion_create(struct uapi_device *device, struct uapi_device **companion_out);
/* Every file is closed and every descriptor released. */
void uapi_device_destroy(struct uapi_device *device);
const struct uapi_identity *uapi_device_identity(const struct uapi_device *device);
struct event_stream *uapi_device_events(struct uapi_device *device);
/* The core behind it, for front-ends that are no kernel interface: exec/device.h. */
struct device *uapi_device_core(struct uapi_device *device);
/*
 * Resets its engines: jobs that have begun are lost, and their queues banned. If that is made to
 * fail, the device is wedged: its queues are banned and every ioctl is -ECANCELED.
 */
void uapi_device_reset(struct uapi_device *device);
/*
 * As an owner takes the driver off the device and puts it back, which is the way out of being
 * wedged. Files that are open meanwhile are of no more use: their queues are banned, every ioctl
 * and mmap is -ENODEV, what is mapped stays. 0; -ENODEV: already taken off; -EBUSY: still there.
 */
int uapi_device_unbind(struct uapi_device *device);
int uapi_device_bind(struct uapi_device *device);

/* A new open file, of the primary or the render node. 0, -ENOMEM, -ENODEV (has no driver now). */
int uapi_open(struct uapi_device *device, bool render, struct uapi_file **file_out);
/* The last descriptor of the file is gone: everything in it is closed. No other call is in it. */
void uapi_close(struct uapi_file *file);

/* One ioctl; @arg is the client's pointer. 0 or -errno. */
int uapi_ioctl(struct uapi_file *file, uint32_t cmd, uint64_t arg);

/*
 * mmap of the device file at @offset: may this file map [offset, offset + size_B), and what is
 * there: *host_fd_out and *host_offset_out. What the CPU does not reach is beyond the end of that
 * file. 0, -EINVAL (no such object), -EACCES (not this file's), -ENODEV (the driver was taken off
 * since), -ENOMEM (on a device that hides memory from the CPU the object is backed now, and could
 * not be).
 */
int uapi_mmap(struct uapi_file *file, uint64_t offset, uint64_t size_B, int *host_fd_out,
	      uint64_t *host_offset_out);
/*
 * The object at @offset, with a reference of kind UAPI_FD_DMABUF: a mapping keeps its object after
 * its handle and its file are closed. NULL when there is none or it is not this file's.
 */
void *uapi_mmap_object(struct uapi_file *file, uint64_t offset);
/* The same for a dma-buf object at @offset inside it. */
int uapi_dmabuf_mmap(void *object, uint64_t offset, uint64_t size_B, int *host_fd_out,
		     uint64_t *host_offset_out);
/* One ioctl of a dma-buf descriptor; @device is asked for further descriptors. 0 or -errno. */
int uapi_dmabuf_ioctl(struct uapi_device *device, void *object, uint32_t cmd, uint64_t arg);
/*
 * poll() of a dma-buf: what has to signal before it is readable (or, @write, writable) is an object
 * of kind UAPI_FD_SYNC_FILE with a reference; NULL when it is already. 0, -ENOMEM.
 */
int uapi_dmabuf_poll(void *object, bool write, void **sync_file_out);
/*
 * What /proc/PID/fdinfo says of @file beyond what it says of any file: lines of text into @buf, of
 * UAPI_FDINFO_B bytes, without a zero at the end. Their length (0 for a companion) or -ENOMEM.
 */
#define UAPI_FDINFO_B 2048
int uapi_fdinfo(struct uapi_file *file, char *buf);
/* The arena's descriptor, for hosts that make device files from it. */
int uapi_arena_fd(struct uapi_device *device);
/* Where the arena is in this process, for hosts without descriptors: base + *host_offset_out. */
void *uapi_arena_base(struct uapi_device *device);

/*
 * Files of one number each in the device's directory of sysfs, or of debugfs, by index from 0.
 * False: there are not so many. @path is relative to that directory and static.
 */
struct uapi_attr {
	const char *path;
	bool debugfs;
	bool writable; /* by its owner, root; everybody may read */
};
bool uapi_attr_find(const struct uapi_device *device, unsigned index, struct uapi_attr *attr_out);
/* The line it says now into @buf, of UAPI_ATTR_B bytes, without a zero at the end: its length. */
#define UAPI_ATTR_B 16
int uapi_attr_show(struct uapi_device *device, unsigned index, char *buf);
/* One write of @n bytes, the client's at @addr, to a writable one. 0, -EINVAL, -ERANGE, -EFAULT. */
int uapi_attr_store(struct uapi_device *device, unsigned index, uint64_t addr, size_t n);

/*
 * The error dump: what is kept of the first job that was lost, in the form of the driver. Is there
 * one? Companions have none.
 */
bool uapi_dump_is_kept(const struct uapi_device *device);
/*
 * Its text to @put, in pieces, as long as that returns 0; what it returned last. Without a dump
 * what the driver says then, if anything. @put takes no lock of the device.
 */
int uapi_dump_show(struct uapi_device *device,
		   int (*put)(void *ctx, const char *text, size_t n), void *ctx);
/* The next error is kept again. */
void uapi_dump_clear(struct uapi_device *device);

/* References on the objects behind descriptors. */
void uapi_fd_get_object(enum uapi_fd_kind kind, void *object);
void uapi_fd_put_object(enum uapi_fd_kind kind, void *object);

/* ---- sync files and software timelines ------------------------------------------------------- */

/* 0: active, 1: signalled, -errno: signalled with an error. */
int uapi_sync_file_status(void *object);
/* A call to @wake (under a leaf lock), once, when it has signalled: 0 or -ENOMEM. */
int uapi_sync_file_watch(void *object, void (*wake)(void *arg), void *arg);
/* An ioctl on a sync file; @arg is the client's pointer. 0 or -errno. */
int uapi_sync_file_ioctl(struct uapi_device *device, void *object, uint32_t cmd, uint64_t arg);
/*
 * A sync file whose fence somebody else signals: the host hears of it and says so here, once. NULL
 * without memory.
 */
void *uapi_sync_file_foreign(struct uapi_device *device);
void uapi_sync_file_signal(void *object, int error);

/*
 * A software timeline: sync/timeline.h says what the @counter is, which outlives it and which the
 * host may share with other processes. After any of them has changed it, an ioctl here included,
 * each of the others calls uapi_timeline_update(). NULL without memory.
 */
void *uapi_timeline_create(struct uapi_device *device, struct timeline_counter *counter,
			   const char *name);
int uapi_timeline_ioctl(struct uapi_device *device, void *object, uint32_t cmd, uint64_t arg);
void uapi_timeline_update(void *object);

/* What a sync file waits for when that is timelines only, to make one like it elsewhere. */
struct uapi_point {
	void *timeline; /* of kind UAPI_FD_TIMELINE; without a reference */
	uint64_t number;
};
#define UAPI_POINTS_MAX 16
/* How many points, none left out; 0 when it waits for other things or for more than @room. */
unsigned uapi_sync_file_points(void *object, struct uapi_point *points, unsigned room);
/* NULL without memory. 0 < @n <= UAPI_POINTS_MAX. */
void *uapi_sync_file_of_points(const struct uapi_point *points, unsigned n);

/*
 * Around the call with which the client unmaps, replaces or drops its memory; @range is on the
 * caller's stack. In between the thread calls nothing of the device, a signal handler included.
 */
struct uapi_client_range {
	uint64_t opaque[4];
};
void uapi_client_range_begin(struct uapi_device *device, struct uapi_client_range *range,
			     uint64_t addr, uint64_t size_B);
void uapi_client_range_end(struct uapi_device *device, struct uapi_client_range *range);

/* Around fork(), P7. In the child the inherited files stay usable, with what they held. */
void uapi_before_fork(struct uapi_device *device);
void uapi_after_fork_parent(struct uapi_device *device);
void uapi_after_fork_child(struct uapi_device *device);

#endif
