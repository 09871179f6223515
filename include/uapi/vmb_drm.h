/* SPDX-License-Identifier: MIT */
/*
 * The core of the DRM uAPI, as far as vmbind serves it: layouts and numbers only, under the names
 * clients know. For 64-bit clients.
 */
#ifndef VMB_DRM_H
#define VMB_DRM_H

#include <stdint.h>

/* ---- request numbers: direction 31:30, size 29:16, type 15:8, number 7:0 --------------------- */

#define DRM_IOCTL_BASE   0x64u
#define DRM_DIR_NONE     0u
#define DRM_DIR_WRITE    1u /* the client writes, the device reads */
#define DRM_DIR_READ     2u
#define DRM_COMMAND_BASE 0x40u
#define DRM_COMMAND_END  0xa0u

#define DRM_REQ(dir, nr, size)                                                                     \
	((uint32_t)(dir) << 30 | (uint32_t)(size) << 16 | DRM_IOCTL_BASE << 8 | (uint32_t)(nr))
#define DRM_REQ_NR(cmd)   ((cmd) & 0xffu)
#define DRM_REQ_TYPE(cmd) (((cmd) >> 8) & 0xffu)
#define DRM_REQ_SIZE(cmd) (((cmd) >> 16) & 0x3fffu)
#define DRM_REQ_DIR(cmd)  ((cmd) >> 30)

#define DRM_REQ_IO(nr)        DRM_REQ(DRM_DIR_NONE, nr, 0)
#define DRM_REQ_IOW(nr, t)    DRM_REQ(DRM_DIR_WRITE, nr, sizeof(t))
#define DRM_REQ_IOR(nr, t)    DRM_REQ(DRM_DIR_READ, nr, sizeof(t))
#define DRM_REQ_IOWR(nr, t)   DRM_REQ(DRM_DIR_READ | DRM_DIR_WRITE, nr, sizeof(t))

/* ---- identity and rights --------------------------------------------------------------------- */

struct drm_version {
	int32_t version_major, version_minor, version_patchlevel;
	uint32_t hole;
	uint64_t name_len, name;
	uint64_t date_len, date;
	uint64_t desc_len, desc;
};

struct drm_unique {
	uint64_t unique_len, unique;
};

struct drm_auth {
	uint32_t magic;
};

struct drm_client {
	int32_t idx, auth;
	uint64_t pid, uid, magic, iocs;
};

struct drm_stats {
	uint64_t count;
	struct {
		uint64_t value;
		uint32_t type, hole;
	} data[15];
};

struct drm_set_version {
	int32_t drm_di_major, drm_di_minor, drm_dd_major, drm_dd_minor;
};

struct drm_get_cap {
	uint64_t capability, value;
};

struct drm_set_client_cap {
	uint64_t capability, value;
};

#define DRM_CAP_DUMB_BUFFER           0x1u
#define DRM_CAP_VBLANK_HIGH_CRTC      0x2u
#define DRM_CAP_DUMB_PREFERRED_DEPTH  0x3u
#define DRM_CAP_DUMB_PREFER_SHADOW    0x4u
#define DRM_CAP_PRIME                 0x5u
#define DRM_CAP_TIMESTAMP_MONOTONIC   0x6u
#define DRM_CAP_ASYNC_PAGE_FLIP       0x7u
#define DRM_CAP_CURSOR_WIDTH          0x8u
#define DRM_CAP_CURSOR_HEIGHT         0x9u
#define DRM_CAP_ADDFB2_MODIFIERS      0x10u
#define DRM_CAP_PAGE_FLIP_TARGET      0x11u
#define DRM_CAP_CRTC_IN_VBLANK_EVENT  0x12u
#define DRM_CAP_SYNCOBJ               0x13u
#define DRM_CAP_SYNCOBJ_TIMELINE      0x14u
#define DRM_CAP_ATOMIC_ASYNC_PAGE_FLIP 0x15u
#define DRM_PRIME_CAP_IMPORT          0x1u
#define DRM_PRIME_CAP_EXPORT          0x2u

/* ---- objects --------------------------------------------------------------------------------- */

struct drm_gem_close {
	uint32_t handle, pad;
};

struct drm_gem_flink {
	uint32_t handle, name;
};

struct drm_gem_open {
	uint32_t name, handle;
	uint64_t size;
};

struct drm_prime_handle {
	uint32_t handle, flags;
	int32_t fd;
};

#define DRM_CLOEXEC 0x80000u /* O_CLOEXEC and O_RDWR of the client's libc */
#define DRM_RDWR    0x2u

struct drm_mode_card_res {
	uint64_t ptrs[4];
	uint32_t counts[4];
	uint32_t sizes[4];
};

struct drm_mode_create_dumb {
	uint32_t height, width, bpp, flags, handle, pitch;
	uint64_t size;
};

struct drm_mode_map_dumb {
	uint32_t handle, pad;
	uint64_t offset;
};

struct drm_mode_destroy_dumb {
	uint32_t handle;
};

/* ---- syncobjs -------------------------------------------------------------------------------- */

struct drm_syncobj_create {
	uint32_t handle, flags;
};
#define DRM_SYNCOBJ_CREATE_SIGNALED 0x1u

struct drm_syncobj_destroy {
	uint32_t handle, pad;
};

/* Clients older than the point pass the first 16 bytes. */
struct drm_syncobj_handle {
	uint32_t handle, flags;
	int32_t fd;
	uint32_t pad;
	uint64_t point;
};
#define DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE 0x1u
#define DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_TIMELINE         0x2u
#define DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE 0x1u
#define DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_TIMELINE         0x2u

struct drm_syncobj_transfer {
	uint32_t src_handle, dst_handle;
	uint64_t src_point, dst_point;
	uint32_t flags, pad;
};

struct drm_syncobj_wait {
	uint64_t handles;
	int64_t timeout_nsec;
	uint32_t count_handles, flags, first_signaled, pad;
	uint64_t deadline_nsec;
};

struct drm_syncobj_timeline_wait {
	uint64_t handles, points;
	int64_t timeout_nsec;
	uint32_t count_handles, flags, first_signaled, pad;
	uint64_t deadline_nsec;
};
#define DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL        0x1u
#define DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT 0x2u
#define DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE  0x4u
#define DRM_SYNCOBJ_WAIT_FLAGS_WAIT_DEADLINE   0x8u

struct drm_syncobj_eventfd {
	uint32_t handle, flags;
	uint64_t point;
	int32_t fd;
	uint32_t pad;
};

struct drm_syncobj_array {
	uint64_t handles;
	uint32_t count_handles, pad;
};

struct drm_syncobj_timeline_array {
	uint64_t handles, points;
	uint32_t count_handles, flags;
};
#define DRM_SYNCOBJ_QUERY_FLAGS_LAST_SUBMITTED 0x1u

/* ---- the requests ---------------------------------------------------------------------------- */

#define DRM_IOCTL_VERSION                 DRM_REQ_IOWR(0x00, struct drm_version)
#define DRM_IOCTL_GET_UNIQUE              DRM_REQ_IOWR(0x01, struct drm_unique)
#define DRM_IOCTL_GET_MAGIC               DRM_REQ_IOR(0x02, struct drm_auth)
#define DRM_IOCTL_GET_CLIENT              DRM_REQ_IOWR(0x05, struct drm_client)
#define DRM_IOCTL_GET_STATS               DRM_REQ_IOR(0x06, struct drm_stats)
#define DRM_IOCTL_SET_VERSION             DRM_REQ_IOWR(0x07, struct drm_set_version)
#define DRM_IOCTL_GEM_CLOSE               DRM_REQ_IOW(0x09, struct drm_gem_close)
#define DRM_IOCTL_GEM_FLINK               DRM_REQ_IOWR(0x0a, struct drm_gem_flink)
#define DRM_IOCTL_GEM_OPEN                DRM_REQ_IOWR(0x0b, struct drm_gem_open)
#define DRM_IOCTL_GET_CAP                 DRM_REQ_IOWR(0x0c, struct drm_get_cap)
#define DRM_IOCTL_SET_CLIENT_CAP          DRM_REQ_IOW(0x0d, struct drm_set_client_cap)
#define DRM_IOCTL_AUTH_MAGIC              DRM_REQ_IOW(0x11, struct drm_auth)
#define DRM_IOCTL_SET_MASTER              DRM_REQ_IO(0x1e)
#define DRM_IOCTL_DROP_MASTER             DRM_REQ_IO(0x1f)
#define DRM_IOCTL_PRIME_HANDLE_TO_FD      DRM_REQ_IOWR(0x2d, struct drm_prime_handle)
#define DRM_IOCTL_PRIME_FD_TO_HANDLE      DRM_REQ_IOWR(0x2e, struct drm_prime_handle)
#define DRM_IOCTL_MODE_GETRESOURCES       DRM_REQ_IOWR(0xa0, struct drm_mode_card_res)
#define DRM_IOCTL_MODE_CREATE_DUMB        DRM_REQ_IOWR(0xb2, struct drm_mode_create_dumb)
#define DRM_IOCTL_MODE_MAP_DUMB           DRM_REQ_IOWR(0xb3, struct drm_mode_map_dumb)
#define DRM_IOCTL_MODE_DESTROY_DUMB       DRM_REQ_IOWR(0xb4, struct drm_mode_destroy_dumb)
#define DRM_IOCTL_SYNCOBJ_CREATE          DRM_REQ_IOWR(0xbf, struct drm_syncobj_create)
#define DRM_IOCTL_SYNCOBJ_DESTROY         DRM_REQ_IOWR(0xc0, struct drm_syncobj_destroy)
#define DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD    DRM_REQ_IOWR(0xc1, struct drm_syncobj_handle)
#define DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE    DRM_REQ_IOWR(0xc2, struct drm_syncobj_handle)
#define DRM_IOCTL_SYNCOBJ_WAIT            DRM_REQ_IOWR(0xc3, struct drm_syncobj_wait)
#define DRM_IOCTL_SYNCOBJ_RESET           DRM_REQ_IOWR(0xc4, struct drm_syncobj_array)
#define DRM_IOCTL_SYNCOBJ_SIGNAL          DRM_REQ_IOWR(0xc5, struct drm_syncobj_array)
#define DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT   DRM_REQ_IOWR(0xca, struct drm_syncobj_timeline_wait)
#define DRM_IOCTL_SYNCOBJ_QUERY           DRM_REQ_IOWR(0xcb, struct drm_syncobj_timeline_array)
#define DRM_IOCTL_SYNCOBJ_TRANSFER        DRM_REQ_IOWR(0xcc, struct drm_syncobj_transfer)
#define DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL DRM_REQ_IOWR(0xcd, struct drm_syncobj_timeline_array)
#define DRM_IOCTL_SYNCOBJ_EVENTFD         DRM_REQ_IOWR(0xcf, struct drm_syncobj_eventfd)

#endif
