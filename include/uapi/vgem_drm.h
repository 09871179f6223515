/* SPDX-License-Identifier: MIT */
/* The vgem uAPI: layouts and numbers only, under the names clients know. */
#ifndef VGEM_DRM_H
#define VGEM_DRM_H

#include "uapi/vmb_drm.h"

struct drm_vgem_fence_attach {
	uint32_t handle, flags, out_fence, pad;
};
#define VGEM_FENCE_WRITE 0x1u

struct drm_vgem_fence_signal {
	uint32_t fence, flags;
};

#define DRM_IOCTL_VGEM_FENCE_ATTACH                                                                \
	DRM_REQ_IOWR(DRM_COMMAND_BASE + 0x1, struct drm_vgem_fence_attach)
#define DRM_IOCTL_VGEM_FENCE_SIGNAL                                                                \
	DRM_REQ_IOW(DRM_COMMAND_BASE + 0x2, struct drm_vgem_fence_signal)

#endif
