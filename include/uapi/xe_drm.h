/* SPDX-License-Identifier: MIT */
/*
 * The Xe uAPI, as far as vmbind serves it: layouts and numbers only, under the names clients know.
 */
#ifndef XE_DRM_H
#define XE_DRM_H

#include "uapi/vmb_drm.h"

/* ---- extensions ------------------------------------------------------------------------------ */

struct drm_xe_user_extension {
	uint64_t next_extension;
	uint32_t name, pad;
};

struct drm_xe_ext_set_property {
	struct drm_xe_user_extension base;
	uint32_t property, pad;
	union {
		uint64_t value, ptr;
	};
	uint64_t reserved[2];
};

/* ---- engines --------------------------------------------------------------------------------- */

struct drm_xe_engine_class_instance {
	uint16_t engine_class, engine_instance, gt_id, pad;
};
#define DRM_XE_ENGINE_CLASS_RENDER        0
#define DRM_XE_ENGINE_CLASS_COPY          1
#define DRM_XE_ENGINE_CLASS_VIDEO_DECODE  2
#define DRM_XE_ENGINE_CLASS_VIDEO_ENHANCE 3
#define DRM_XE_ENGINE_CLASS_COMPUTE       4
#define DRM_XE_ENGINE_CLASS_VM_BIND       5

struct drm_xe_engine {
	struct drm_xe_engine_class_instance instance;
	uint64_t reserved[3];
};

/* ---- queries --------------------------------------------------------------------------------- */

struct drm_xe_device_query {
	uint64_t extensions;
	uint32_t query, size;
	uint64_t data;
	uint64_t reserved[2];
};
#define DRM_XE_DEVICE_QUERY_ENGINES       0
#define DRM_XE_DEVICE_QUERY_MEM_REGIONS   1
#define DRM_XE_DEVICE_QUERY_CONFIG        2
#define DRM_XE_DEVICE_QUERY_GT_LIST       3
#define DRM_XE_DEVICE_QUERY_HWCONFIG      4
#define DRM_XE_DEVICE_QUERY_GT_TOPOLOGY   5
#define DRM_XE_DEVICE_QUERY_ENGINE_CYCLES 6
#define DRM_XE_DEVICE_QUERY_UC_FW_VERSION 7
#define DRM_XE_DEVICE_QUERY_OA_UNITS      8
#define DRM_XE_DEVICE_QUERY_PXP_STATUS    9
#define DRM_XE_DEVICE_QUERY_EU_STALL      10

struct drm_xe_query_engines {
	uint32_t num_engines, pad;
	struct drm_xe_engine engines[];
};

struct drm_xe_mem_region {
	uint16_t mem_class, instance;
	uint32_t min_page_size;
	uint64_t total_size, used, cpu_visible_size, cpu_visible_used;
	uint64_t reserved[6];
};
#define DRM_XE_MEM_REGION_CLASS_SYSMEM 0
#define DRM_XE_MEM_REGION_CLASS_VRAM   1

struct drm_xe_query_mem_regions {
	uint32_t num_mem_regions, pad;
	struct drm_xe_mem_region mem_regions[];
};

struct drm_xe_query_config {
	uint32_t num_params, pad;
	uint64_t info[];
};
#define DRM_XE_QUERY_CONFIG_REV_AND_DEVICE_ID            0
#define DRM_XE_QUERY_CONFIG_FLAGS                        1
#define DRM_XE_QUERY_CONFIG_FLAG_HAS_VRAM                0x1u
#define DRM_XE_QUERY_CONFIG_FLAG_HAS_LOW_LATENCY         0x2u
#define DRM_XE_QUERY_CONFIG_FLAG_HAS_CPU_ADDR_MIRROR     0x4u
#define DRM_XE_QUERY_CONFIG_FLAG_HAS_NO_COMPRESSION_HINT 0x8u
#define DRM_XE_QUERY_CONFIG_FLAG_HAS_PURGING_SUPPORT     0x20u
#define DRM_XE_QUERY_CONFIG_MIN_ALIGNMENT                2
#define DRM_XE_QUERY_CONFIG_VA_BITS                      3
#define DRM_XE_QUERY_CONFIG_MAX_EXEC_QUEUE_PRIORITY      4

struct drm_xe_gt {
	uint16_t type, tile_id, gt_id, pad[3];
	uint32_t reference_clock;
	uint64_t near_mem_regions, far_mem_regions;
	uint16_t ip_ver_major, ip_ver_minor, ip_ver_rev, pad2;
	uint64_t reserved[7];
};
#define DRM_XE_QUERY_GT_TYPE_MAIN  0
#define DRM_XE_QUERY_GT_TYPE_MEDIA 1

struct drm_xe_query_gt_list {
	uint32_t num_gt, pad;
	struct drm_xe_gt gt_list[];
};

struct drm_xe_query_topology_mask {
	uint16_t gt_id, type;
	uint32_t num_bytes;
	uint8_t mask[];
};
#define DRM_XE_TOPO_DSS_GEOMETRY      1
#define DRM_XE_TOPO_DSS_COMPUTE       2
#define DRM_XE_TOPO_L3_BANK           3
#define DRM_XE_TOPO_EU_PER_DSS        4
#define DRM_XE_TOPO_SIMD16_EU_PER_DSS 5

struct drm_xe_query_engine_cycles {
	struct drm_xe_engine_class_instance eci;
	int32_t clockid;
	uint32_t width;
	uint64_t engine_cycles, cpu_timestamp, cpu_delta;
};

struct drm_xe_query_uc_fw_version {
	uint16_t uc_type, pad;
	uint32_t branch_ver, major_ver, minor_ver, patch_ver, pad2;
	uint64_t reserved;
};
#define XE_QUERY_UC_TYPE_GUC_SUBMISSION 0
#define XE_QUERY_UC_TYPE_HUC            1

struct drm_xe_query_pxp_status {
	uint32_t status, supported_session_types;
};

struct drm_xe_query_oa_units {
	uint64_t extensions;
	uint32_t num_oa_units, pad;
	uint64_t oa_units[];
};

/* ---- objects --------------------------------------------------------------------------------- */

struct drm_xe_gem_create {
	uint64_t extensions, size;
	uint32_t placement, flags, vm_id, handle;
	uint16_t cpu_caching, pad[3];
	uint64_t reserved[2];
};
#define DRM_XE_GEM_CREATE_FLAG_DEFER_BACKING      0x1u
#define DRM_XE_GEM_CREATE_FLAG_SCANOUT            0x2u
#define DRM_XE_GEM_CREATE_FLAG_NEEDS_VISIBLE_VRAM 0x4u
#define DRM_XE_GEM_CREATE_FLAG_NO_COMPRESSION     0x8u
#define DRM_XE_GEM_CPU_CACHING_WB                 1
#define DRM_XE_GEM_CPU_CACHING_WC                 2

struct drm_xe_gem_mmap_offset {
	uint64_t extensions;
	uint32_t handle, flags;
	uint64_t offset;
	uint64_t reserved[2];
};
#define DRM_XE_MMAP_OFFSET_FLAG_PCI_BARRIER 0x1u

/* ---- address spaces -------------------------------------------------------------------------- */

struct drm_xe_vm_create {
	uint64_t extensions;
	uint32_t flags, vm_id;
	uint64_t reserved[2];
};
#define DRM_XE_VM_CREATE_FLAG_SCRATCH_PAGE     0x1u
#define DRM_XE_VM_CREATE_FLAG_LR_MODE          0x2u
#define DRM_XE_VM_CREATE_FLAG_FAULT_MODE       0x4u
#define DRM_XE_VM_CREATE_FLAG_NO_VM_OVERCOMMIT 0x8u

struct drm_xe_vm_destroy {
	uint32_t vm_id, pad;
	uint64_t reserved[2];
};

struct drm_xe_vm_bind_op {
	uint64_t extensions;
	uint32_t obj;
	uint16_t pat_index, pad;
	union {
		uint64_t obj_offset, userptr;
		int64_t cpu_addr_mirror_offset;
	};
	uint64_t range, addr;
	uint32_t op, flags, prefetch_mem_region_instance, pad2;
	uint64_t reserved[3];
};
#define DRM_XE_VM_BIND_OP_MAP                 0
#define DRM_XE_VM_BIND_OP_UNMAP               1
#define DRM_XE_VM_BIND_OP_MAP_USERPTR         2
#define DRM_XE_VM_BIND_OP_UNMAP_ALL           3
#define DRM_XE_VM_BIND_OP_PREFETCH            4
#define DRM_XE_VM_BIND_FLAG_READONLY          0x1u
#define DRM_XE_VM_BIND_FLAG_IMMEDIATE         0x2u
#define DRM_XE_VM_BIND_FLAG_NULL              0x4u
#define DRM_XE_VM_BIND_FLAG_DUMPABLE          0x8u
#define DRM_XE_VM_BIND_FLAG_CHECK_PXP         0x10u
#define DRM_XE_VM_BIND_FLAG_CPU_ADDR_MIRROR   0x20u
#define DRM_XE_VM_BIND_FLAG_MADVISE_AUTORESET 0x40u
#define DRM_XE_VM_BIND_FLAG_DECOMPRESS        0x80u
#define DRM_XE_CONSULT_MEM_ADVISE_PREF_LOC    0xffffffffu

struct drm_xe_vm_bind {
	uint64_t extensions;
	uint32_t vm_id, exec_queue_id, pad, num_binds;
	union {
		struct drm_xe_vm_bind_op bind;
		uint64_t vector_of_binds;
	};
	uint32_t pad2, num_syncs;
	uint64_t syncs;
	uint64_t reserved[2];
};

struct xe_vm_fault {
	uint64_t address;
	uint32_t address_precision;
	uint8_t access_type, fault_type, fault_level, pad;
	uint64_t reserved[4];
};

struct drm_xe_vm_get_property {
	uint64_t extensions;
	uint32_t vm_id, property, size, pad;
	union {
		uint64_t data, value;
	};
	uint64_t reserved[3];
};
#define DRM_XE_VM_GET_PROPERTY_FAULTS 0

/* ---- queues and submission ------------------------------------------------------------------- */

struct drm_xe_exec_queue_create {
	uint64_t extensions;
	uint16_t width, num_placements;
	uint32_t vm_id, flags, exec_queue_id;
	uint64_t instances;
	uint64_t reserved[2];
};
#define DRM_XE_EXEC_QUEUE_LOW_LATENCY_HINT         0x1u
#define DRM_XE_EXEC_QUEUE_EXTENSION_SET_PROPERTY   0
#define DRM_XE_EXEC_QUEUE_SET_PROPERTY_PRIORITY    0
#define DRM_XE_EXEC_QUEUE_SET_PROPERTY_TIMESLICE   1
#define DRM_XE_EXEC_QUEUE_SET_PROPERTY_PXP_TYPE    2
#define DRM_XE_PXP_TYPE_NONE                       0
#define DRM_XE_PXP_TYPE_HWDRM                      1
#define DRM_XE_EXEC_QUEUE_PRIORITY_LOW             0
#define DRM_XE_EXEC_QUEUE_PRIORITY_NORMAL          1
#define DRM_XE_EXEC_QUEUE_PRIORITY_HIGH            2

struct drm_xe_exec_queue_destroy {
	uint32_t exec_queue_id, pad;
	uint64_t reserved[2];
};

struct drm_xe_exec_queue_get_property {
	uint64_t extensions;
	uint32_t exec_queue_id, property;
	uint64_t value;
	uint64_t reserved[2];
};
#define DRM_XE_EXEC_QUEUE_GET_PROPERTY_BAN 0

struct drm_xe_sync {
	uint64_t extensions;
	uint32_t type, flags;
	union {
		uint32_t handle;
		uint64_t addr;
	};
	uint64_t timeline_value;
	uint64_t reserved[2];
};
#define DRM_XE_SYNC_TYPE_SYNCOBJ          0
#define DRM_XE_SYNC_TYPE_TIMELINE_SYNCOBJ 1
#define DRM_XE_SYNC_TYPE_USER_FENCE       2
#define DRM_XE_SYNC_FLAG_SIGNAL           0x1u

struct drm_xe_exec {
	uint64_t extensions;
	uint32_t exec_queue_id, num_syncs;
	uint64_t syncs, address;
	uint16_t num_batch_buffer, pad[3];
	uint64_t reserved[2];
};

struct drm_xe_wait_user_fence {
	uint64_t extensions, addr;
	uint16_t op, flags;
	uint32_t pad;
	uint64_t value, mask;
	int64_t timeout;
	uint32_t exec_queue_id, pad2;
	uint64_t reserved[2];
};
#define DRM_XE_UFENCE_WAIT_OP_EQ        0
#define DRM_XE_UFENCE_WAIT_OP_NEQ       1
#define DRM_XE_UFENCE_WAIT_OP_GT        2
#define DRM_XE_UFENCE_WAIT_OP_GTE       3
#define DRM_XE_UFENCE_WAIT_OP_LT        4
#define DRM_XE_UFENCE_WAIT_OP_LTE       5
#define DRM_XE_UFENCE_WAIT_FLAG_ABSTIME 0x1u

/* ---- the requests ---------------------------------------------------------------------------- */

#define DRM_XE_NR(n) (DRM_COMMAND_BASE + (n))

#define DRM_IOCTL_XE_DEVICE_QUERY DRM_REQ_IOWR(DRM_XE_NR(0x00), struct drm_xe_device_query)
#define DRM_IOCTL_XE_GEM_CREATE   DRM_REQ_IOWR(DRM_XE_NR(0x01), struct drm_xe_gem_create)
#define DRM_IOCTL_XE_GEM_MMAP_OFFSET DRM_REQ_IOWR(DRM_XE_NR(0x02), struct drm_xe_gem_mmap_offset)
#define DRM_IOCTL_XE_VM_CREATE    DRM_REQ_IOWR(DRM_XE_NR(0x03), struct drm_xe_vm_create)
#define DRM_IOCTL_XE_VM_DESTROY   DRM_REQ_IOW(DRM_XE_NR(0x04), struct drm_xe_vm_destroy)
#define DRM_IOCTL_XE_VM_BIND      DRM_REQ_IOW(DRM_XE_NR(0x05), struct drm_xe_vm_bind)
#define DRM_IOCTL_XE_EXEC_QUEUE_CREATE                                                             \
	DRM_REQ_IOWR(DRM_XE_NR(0x06), struct drm_xe_exec_queue_create)
#define DRM_IOCTL_XE_EXEC_QUEUE_DESTROY                                                            \
	DRM_REQ_IOW(DRM_XE_NR(0x07), struct drm_xe_exec_queue_destroy)
#define DRM_IOCTL_XE_EXEC_QUEUE_GET_PROPERTY                                                       \
	DRM_REQ_IOWR(DRM_XE_NR(0x08), struct drm_xe_exec_queue_get_property)
#define DRM_IOCTL_XE_EXEC         DRM_REQ_IOW(DRM_XE_NR(0x09), struct drm_xe_exec)
#define DRM_IOCTL_XE_WAIT_USER_FENCE DRM_REQ_IOWR(DRM_XE_NR(0x0a), struct drm_xe_wait_user_fence)
#define DRM_IOCTL_XE_VM_GET_PROPERTY DRM_REQ_IOWR(DRM_XE_NR(0x0f), struct drm_xe_vm_get_property)

#endif
