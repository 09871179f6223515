/* SPDX-License-Identifier: MIT */
/*
 * What clients ask of sync files, and of the software timelines of debugfs (sync/sw_sync): layouts
 * and numbers only, under the names clients know.
 */
#ifndef VMB_SYNC_H
#define VMB_SYNC_H

#include "uapi/vmb_drm.h"

#define VMB_REQ_OF(type, dir, nr, t)                                                               \
	((uint32_t)(dir) << 30 | (uint32_t)sizeof(t) << 16 | (uint32_t)(type) << 8 | (uint32_t)(nr))

#define SYNC_IOC_MAGIC    0x3eu
#define SW_SYNC_IOC_MAGIC 0x57u

struct sync_merge_data {
	char name[32];
	int32_t fd2;
	int32_t fence; /* out */
	uint32_t flags, pad;
};

struct sync_fence_info {
	char obj_name[32];
	char driver_name[32];
	int32_t status; /* 0 active, 1 signalled, -errno */
	uint32_t flags;
	uint64_t timestamp_ns;
};

struct sync_file_info {
	char name[32];
	int32_t status;
	uint32_t flags;
	uint32_t num_fences; /* in: room; 0: only the number is asked for */
	uint32_t pad;
	uint64_t sync_fence_info;
};

struct sync_set_deadline {
	uint64_t deadline_ns;
	uint64_t pad;
};

#define SYNC_IOC_MERGE VMB_REQ_OF(SYNC_IOC_MAGIC, 3, 3, struct sync_merge_data)
#define SYNC_IOC_FILE_INFO VMB_REQ_OF(SYNC_IOC_MAGIC, 3, 4, struct sync_file_info)
#define SYNC_IOC_SET_DEADLINE VMB_REQ_OF(SYNC_IOC_MAGIC, 1, 5, struct sync_set_deadline)

struct sw_sync_create_fence_data {
	uint32_t value;
	char name[32];
	int32_t fence; /* out */
};

struct sw_sync_get_deadline {
	uint64_t deadline_ns;
	uint32_t pad;
	int32_t fence_fd;
};

#define SW_SYNC_IOC_CREATE_FENCE                                                                   \
	VMB_REQ_OF(SW_SYNC_IOC_MAGIC, 3, 0, struct sw_sync_create_fence_data)
#define SW_SYNC_IOC_INC VMB_REQ_OF(SW_SYNC_IOC_MAGIC, 1, 1, uint32_t)
#define SW_SYNC_GET_DEADLINE VMB_REQ_OF(SW_SYNC_IOC_MAGIC, 3, 2, struct sw_sync_get_deadline)

#endif
