/* SPDX-License-Identifier: MIT */
/*
 * The i915 uAPI, as far as vmbind serves it: what the VM_BIND RFC adds, and what a client needs
 * around it. Layouts and numbers only, under the names clients know. Behind the final RFC comes the
 * long-running half of its earlier revision, which the final one left out.
 */
#ifndef I915_DRM_H
#define I915_DRM_H

#include "uapi/vmb_drm.h"

#ifdef __cplusplus
extern "C" {
#endif

struct i915_user_extension {
	uint64_t next_extension;
	uint32_t name, flags;
	uint32_t rsvd[4];
};

/* ---- what the device is ---------------------------------------------------------------------- */

struct drm_i915_getparam {
	int32_t param;
	uint64_t value; /* where an int goes */
};
#define I915_PARAM_CHIPSET_ID               4
#define I915_PARAM_HAS_GEM                  5
#define I915_PARAM_NUM_FENCES_AVAIL         6
#define I915_PARAM_HAS_EXECBUF2             9
#define I915_PARAM_HAS_BSD                  10
#define I915_PARAM_HAS_BLT                  11
#define I915_PARAM_HAS_COHERENT_RINGS       13
#define I915_PARAM_HAS_LLC                  17
#define I915_PARAM_HAS_ALIASING_PPGTT       18
#define I915_PARAM_HAS_WAIT_TIMEOUT         19
#define I915_PARAM_HAS_SEMAPHORES           20
#define I915_PARAM_HAS_VEBOX                22
#define I915_PARAM_HAS_BSD2                 31
#define I915_PARAM_REVISION                 32
#define I915_PARAM_SUBSLICE_TOTAL           33
#define I915_PARAM_EU_TOTAL                 34
#define I915_PARAM_HAS_GPU_RESET            35
#define I915_PARAM_MMAP_GTT_VERSION         40
#define I915_PARAM_HAS_SCHEDULER            41
#define I915_SCHEDULER_CAP_ENABLED          (1u << 0)
#define I915_SCHEDULER_CAP_PRIORITY         (1u << 1)
#define I915_PARAM_SLICE_MASK               46
#define I915_PARAM_SUBSLICE_MASK            47
#define I915_PARAM_HAS_CONTEXT_ISOLATION    50
#define I915_PARAM_CS_TIMESTAMP_FREQUENCY   51
#define I915_PARAM_MMAP_GTT_COHERENT        52
#define I915_PARAM_HAS_USERPTR_PROBE        56
#define I915_PARAM_VM_BIND_VERSION          57

struct drm_i915_query {
	uint32_t num_items, flags;
	uint64_t items_ptr;
};

struct drm_i915_query_item {
	uint64_t query_id;
	int32_t length;
	uint32_t flags;
	uint64_t data_ptr;
};
#define DRM_I915_QUERY_TOPOLOGY_INFO      1
#define DRM_I915_QUERY_ENGINE_INFO        2
#define DRM_I915_QUERY_MEMORY_REGIONS     4

struct drm_i915_query_topology_info {
	uint16_t flags, max_slices, max_subslices, max_eus_per_subslice;
	uint16_t subslice_offset, subslice_stride, eu_offset, eu_stride;
	uint8_t data[];
};

struct i915_engine_class_instance {
	uint16_t engine_class, engine_instance;
};
#define I915_ENGINE_CLASS_RENDER         0
#define I915_ENGINE_CLASS_COPY           1
#define I915_ENGINE_CLASS_VIDEO          2
#define I915_ENGINE_CLASS_VIDEO_ENHANCE  3
#define I915_ENGINE_CLASS_COMPUTE        4
#define I915_ENGINE_CLASS_INVALID        0xffffu
#define I915_ENGINE_CLASS_INVALID_NONE   0xffffu

struct drm_i915_engine_info {
	struct i915_engine_class_instance engine;
	uint32_t rsvd0;
	uint64_t flags;
	uint64_t capabilities;
	uint16_t logical_instance;
	uint16_t rsvd1[3];
	uint64_t rsvd2[3];
};
#define I915_ENGINE_INFO_HAS_LOGICAL_INSTANCE (1u << 0)

struct drm_i915_query_engine_info {
	uint32_t num_engines, rsvd[3];
	struct drm_i915_engine_info engines[];
};

struct drm_i915_gem_memory_class_instance {
	uint16_t memory_class, memory_instance;
};
#define I915_MEMORY_CLASS_SYSTEM 0
#define I915_MEMORY_CLASS_DEVICE 1

struct drm_i915_memory_region_info {
	struct drm_i915_gem_memory_class_instance region;
	uint32_t rsvd0;
	uint64_t probed_size, unallocated_size;
	uint64_t probed_cpu_visible_size, unallocated_cpu_visible_size;
	uint64_t rsvd1[6];
};

struct drm_i915_query_memory_regions {
	uint32_t num_regions, rsvd[3];
	struct drm_i915_memory_region_info regions[];
};

/* ---- objects --------------------------------------------------------------------------------- */

struct drm_i915_gem_create {
	uint64_t size;
	uint32_t handle, pad;
};

struct drm_i915_gem_create_ext {
	uint64_t size;
	uint32_t handle, flags;
	uint64_t extensions;
};
#define I915_GEM_CREATE_EXT_FLAG_NEEDS_CPU_ACCESS (1u << 0)
#define I915_GEM_CREATE_EXT_MEMORY_REGIONS        0
#define I915_GEM_CREATE_EXT_VM_PRIVATE            2

struct drm_i915_gem_create_ext_memory_regions {
	struct i915_user_extension base;
	uint32_t pad, num_regions;
	uint64_t regions;
};

struct drm_i915_gem_create_ext_vm_private {
	struct i915_user_extension base;
	uint32_t vm_id;
};

struct drm_i915_gem_mmap_gtt {
	uint32_t handle, pad;
	uint64_t offset;
};

struct drm_i915_gem_mmap_offset {
	uint32_t handle, pad;
	uint64_t offset, flags, extensions;
};
#define I915_MMAP_OFFSET_GTT   0
#define I915_MMAP_OFFSET_WC    1
#define I915_MMAP_OFFSET_WB    2
#define I915_MMAP_OFFSET_UC    3
#define I915_MMAP_OFFSET_FIXED 4

struct drm_i915_gem_userptr {
	uint64_t user_ptr, user_size;
	uint32_t flags, handle;
};
#define I915_USERPTR_READ_ONLY      0x1u
#define I915_USERPTR_PROBE          0x2u
#define I915_USERPTR_UNSYNCHRONIZED 0x80000000u

struct drm_i915_gem_busy {
	uint32_t handle, busy;
};

struct drm_i915_gem_wait {
	uint32_t bo_handle, flags;
	int64_t timeout_ns;
};

/* ---- address spaces -------------------------------------------------------------------------- */

struct drm_i915_gem_vm_control {
	uint64_t extensions;
	uint32_t flags, vm_id;
};
#define I915_VM_CREATE_FLAGS_USE_VM_BIND (1u << 0)

struct drm_i915_gem_timeline_fence {
	uint32_t handle, flags;
	uint64_t value;
};
#define I915_TIMELINE_FENCE_WAIT   (1u << 0)
#define I915_TIMELINE_FENCE_SIGNAL (1u << 1)

struct drm_i915_gem_vm_bind {
	uint32_t vm_id, handle;
	uint64_t start, offset, length, flags;
	struct drm_i915_gem_timeline_fence fence;
	uint64_t extensions;
};
#define I915_GEM_VM_BIND_CAPTURE (1u << 0)

struct drm_i915_gem_vm_unbind {
	uint32_t vm_id, rsvd;
	uint64_t start, length, flags;
	struct drm_i915_gem_timeline_fence fence;
	uint64_t extensions;
};

/* ---- contexts and submissions ---------------------------------------------------------------- */

struct drm_i915_gem_context_create_ext {
	uint32_t ctx_id, flags;
	uint64_t extensions;
};
#define I915_CONTEXT_CREATE_FLAGS_USE_EXTENSIONS  (1u << 0)
#define I915_CONTEXT_CREATE_FLAGS_SINGLE_TIMELINE (1u << 1)
#define I915_CONTEXT_CREATE_EXT_SETPARAM          0

struct drm_i915_gem_context_param {
	uint32_t ctx_id, size;
	uint64_t param, value;
};
#define I915_CONTEXT_PARAM_NO_ERROR_CAPTURE 0x4
#define I915_CONTEXT_PARAM_BANNABLE         0x5
#define I915_CONTEXT_PARAM_PRIORITY         0x6
#define I915_CONTEXT_MAX_USER_PRIORITY      1023
#define I915_CONTEXT_DEFAULT_PRIORITY       0
#define I915_CONTEXT_MIN_USER_PRIORITY      (-1023)
#define I915_CONTEXT_PARAM_RECOVERABLE      0x8
#define I915_CONTEXT_PARAM_VM               0x9
#define I915_CONTEXT_PARAM_ENGINES          0xa
#define I915_CONTEXT_PARAM_PERSISTENCE      0xb

struct drm_i915_gem_context_create_ext_setparam {
	struct i915_user_extension base;
	struct drm_i915_gem_context_param param;
};

struct i915_context_param_engines {
	uint64_t extensions;
	struct i915_engine_class_instance engines[];
};
#define I915_CONTEXT_ENGINES_EXT_LOAD_BALANCE    0
#define I915_CONTEXT_ENGINES_EXT_BOND            1
#define I915_CONTEXT_ENGINES_EXT_PARALLEL_SUBMIT 2

struct i915_context_engines_load_balance {
	struct i915_user_extension base;
	uint16_t engine_index, num_siblings;
	uint32_t flags;
	uint64_t mbz64;
	struct i915_engine_class_instance engines[];
};

struct i915_context_engines_parallel_submit {
	struct i915_user_extension base;
	uint16_t engine_index, width, num_siblings, mbz16;
	uint64_t flags;
	uint64_t mbz64[3];
	struct i915_engine_class_instance engines[];
};

struct drm_i915_gem_context_destroy {
	uint32_t ctx_id, pad;
};

struct drm_i915_reset_stats {
	uint32_t ctx_id, flags, reset_count, batch_active, batch_pending, pad;
};

struct drm_i915_gem_execbuffer2 {
	uint64_t buffers_ptr;
	uint32_t buffer_count, batch_start_offset, batch_len, DR1, DR4, num_cliprects;
	uint64_t cliprects_ptr, flags, rsvd1, rsvd2;
};
#define I915_EXEC_CONTEXT_ID_MASK 0xffffffffu

struct drm_i915_gem_execbuffer3 {
	uint32_t ctx_id, engine_idx;
	uint64_t batch_address, flags;
	uint32_t rsvd1, fence_count;
	uint64_t timeline_fences, rsvd2, extensions;
};

/* ---- the long-running half ------------------------------------------------------------------- */

#define I915_CONTEXT_CREATE_FLAGS_LONG_RUNNING (1u << 2)

/* Extensions of binds and unbinds. */
#define I915_VM_BIND_EXT_TIMELINE_FENCES 0
#define I915_VM_BIND_EXT_USER_FENCE      1
/* vmbind's own: the revision had a queue's number in the struct, where there is no room now. */
#define I915_VM_BIND_EXT_QUEUE           2

struct drm_i915_gem_exec_fence {
	uint32_t handle, flags; /* I915_TIMELINE_FENCE_* */
};

struct drm_i915_vm_bind_ext_timeline_fences {
	struct i915_user_extension base;
	uint64_t fence_count, handles_ptr, values_ptr;
};

struct drm_i915_vm_bind_user_fence {
	uint64_t addr, val;
	uint32_t flags, rsvd;
};
#define I915_VM_BIND_USER_FENCE_WAIT   (1u << 0)
#define I915_VM_BIND_USER_FENCE_SIGNAL (1u << 1)

struct drm_i915_vm_bind_ext_user_fence {
	struct i915_user_extension base;
	uint64_t fence_count, user_fence_ptr;
};

struct drm_i915_vm_bind_ext_queue {
	struct i915_user_extension base;
	uint32_t queue_idx, rsvd;
};

/* Of submissions. */
#define DRM_I915_GEM_EXECBUFFER3_EXT_USER_FENCE 1

struct drm_i915_gem_execbuffer3_ext_user_fence {
	struct i915_user_extension base;
	uint64_t addr, value, rsvd;
};

struct drm_i915_gem_wait_user_fence {
	uint64_t extensions, addr;
	uint32_t ctx_id;
	uint16_t op, flags;
	uint64_t value, mask;
	int64_t timeout;
};
#define I915_UFENCE_WAIT_EQ      0
#define I915_UFENCE_WAIT_NEQ     1
#define I915_UFENCE_WAIT_GT      2
#define I915_UFENCE_WAIT_GTE     3
#define I915_UFENCE_WAIT_LT      4
#define I915_UFENCE_WAIT_LTE     5
#define I915_UFENCE_WAIT_BEFORE  6
#define I915_UFENCE_WAIT_AFTER   7
#define I915_UFENCE_WAIT_SOFT    0x1u
#define I915_UFENCE_WAIT_ABSTIME 0x2u

/* ---- requests -------------------------------------------------------------------------------- */

#define DRM_IOCTL_I915_GETPARAM           DRM_REQ_IOWR(0x46, struct drm_i915_getparam)
#define DRM_IOCTL_I915_GEM_BUSY           DRM_REQ_IOWR(0x57, struct drm_i915_gem_busy)
#define DRM_IOCTL_I915_GEM_CREATE         DRM_REQ_IOWR(0x5b, struct drm_i915_gem_create)
#define DRM_IOCTL_I915_GEM_MMAP_GTT       DRM_REQ_IOWR(0x64, struct drm_i915_gem_mmap_gtt)
#define DRM_IOCTL_I915_GEM_MMAP_OFFSET    DRM_REQ_IOWR(0x64, struct drm_i915_gem_mmap_offset)
#define DRM_IOCTL_I915_GEM_EXECBUFFER2    DRM_REQ_IOW(0x69, struct drm_i915_gem_execbuffer2)
#define DRM_IOCTL_I915_GEM_EXECBUFFER2_WR DRM_REQ_IOWR(0x69, struct drm_i915_gem_execbuffer2)
#define DRM_IOCTL_I915_GEM_WAIT           DRM_REQ_IOWR(0x6c, struct drm_i915_gem_wait)
#define DRM_IOCTL_I915_GEM_CONTEXT_CREATE_EXT                                                      \
	DRM_REQ_IOWR(0x6d, struct drm_i915_gem_context_create_ext)
#define DRM_IOCTL_I915_GEM_CONTEXT_DESTROY DRM_REQ_IOW(0x6e, struct drm_i915_gem_context_destroy)
#define DRM_IOCTL_I915_GET_RESET_STATS    DRM_REQ_IOWR(0x72, struct drm_i915_reset_stats)
#define DRM_IOCTL_I915_GEM_USERPTR        DRM_REQ_IOWR(0x73, struct drm_i915_gem_userptr)
#define DRM_IOCTL_I915_QUERY              DRM_REQ_IOWR(0x79, struct drm_i915_query)
#define DRM_IOCTL_I915_GEM_VM_CREATE      DRM_REQ_IOWR(0x7a, struct drm_i915_gem_vm_control)
#define DRM_IOCTL_I915_GEM_VM_DESTROY     DRM_REQ_IOW(0x7b, struct drm_i915_gem_vm_control)
#define DRM_IOCTL_I915_GEM_CREATE_EXT     DRM_REQ_IOWR(0x7c, struct drm_i915_gem_create_ext)
#define DRM_IOCTL_I915_GEM_VM_BIND        DRM_REQ_IOWR(0x7d, struct drm_i915_gem_vm_bind)
/* The RFC's own definition names the other struct; clients may have either. */
#define DRM_IOCTL_I915_GEM_VM_UNBIND      DRM_REQ_IOWR(0x7e, struct drm_i915_gem_vm_bind)
#define DRM_IOCTL_I915_GEM_VM_UNBIND_56   DRM_REQ_IOWR(0x7e, struct drm_i915_gem_vm_unbind)
#define DRM_IOCTL_I915_GEM_EXECBUFFER3    DRM_REQ_IOWR(0x7f, struct drm_i915_gem_execbuffer3)
#define DRM_IOCTL_I915_GEM_WAIT_USER_FENCE                                                         \
	DRM_REQ_IOWR(0x80, struct drm_i915_gem_wait_user_fence)

#ifdef __cplusplus
}
#endif

#endif
