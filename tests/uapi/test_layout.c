// SPDX-License-Identifier: MIT
/* Our uAPI headers have the layouts and numbers clients were compiled with. */
#include "test.h"
#include "uapi/i915_drm.h"
#include "uapi/vgem_drm.h"
#include "uapi/vmb_dma_buf.h"
#include "uapi/vmb_sync.h"
#include "uapi/xe_drm.h"

#define SIZE(s, n)        _Static_assert(sizeof(struct s) == (n), #s);
#define GREW(s, old, now) _Static_assert(sizeof(struct s) == (now), #s);
#define FIELD(s, f, off)  _Static_assert(offsetof(struct s, f) == (off), #s "." #f);
#define REQUEST(name, n)  _Static_assert((name) == (n), #name);
#define CONSTANT(name, n) _Static_assert((long long)(name) == (n), #name);
#include "layout_drm.inc"
#include "layout_xe.inc"
#include "layout_i915.inc"
#include "layout_i915_vm_bind.inc"
#include "layout_sync.inc"
#undef SIZE
#undef GREW
#undef FIELD
#undef REQUEST
#undef CONSTANT

/* Newer than the oldest headers, or in none: software timelines are no public interface. */
_Static_assert(SYNC_IOC_SET_DEADLINE == 0x40103e05u, "set deadline");
_Static_assert(SW_SYNC_IOC_CREATE_FENCE == 0xc0285700u, "create fence");
_Static_assert(SW_SYNC_IOC_INC == 0x40045701u, "inc");
_Static_assert(SW_SYNC_GET_DEADLINE == 0xc0105702u, "get deadline");

/* What has grown since the oldest headers clients are built with. */
_Static_assert(offsetof(struct drm_syncobj_handle, point) == 16, "point");
_Static_assert(offsetof(struct drm_syncobj_wait, deadline_nsec) == 32, "deadline");
_Static_assert(offsetof(struct drm_syncobj_timeline_wait, deadline_nsec) == 40, "deadline");
_Static_assert(sizeof(struct drm_syncobj_eventfd) == 24, "eventfd");
_Static_assert(offsetof(struct drm_syncobj_eventfd, point) == 8, "eventfd point");
_Static_assert(offsetof(struct drm_syncobj_eventfd, fd) == 16, "eventfd fd");

/* What no layout file has: numbers as clients were compiled with. */
_Static_assert(DMA_BUF_IOCTL_SYNC == 0x40086200, "sync");
_Static_assert(DMA_BUF_SET_NAME_A == 0x40046201, "name");
_Static_assert(DMA_BUF_SET_NAME_B == 0x40086201, "name");
_Static_assert(DMA_BUF_IOCTL_EXPORT_SYNC_FILE == 0xc0086202, "export");
_Static_assert(DMA_BUF_IOCTL_IMPORT_SYNC_FILE == 0x40086203, "import");
_Static_assert(DRM_IOCTL_VGEM_FENCE_ATTACH == 0xc0106441, "attach");
_Static_assert(DRM_IOCTL_VGEM_FENCE_SIGNAL == 0x40086442, "signal");

static void requests_carry_number_size_and_direction(void)
{
	CHECK_EQ(DRM_REQ_NR(DRM_IOCTL_XE_VM_BIND), 0x45);
	CHECK_EQ(DRM_REQ_SIZE(DRM_IOCTL_XE_VM_BIND), sizeof(struct drm_xe_vm_bind));
	CHECK_EQ(DRM_REQ_DIR(DRM_IOCTL_XE_VM_BIND), DRM_DIR_WRITE);
	CHECK_EQ(DRM_REQ_TYPE(DRM_IOCTL_XE_VM_BIND), 'd');
	CHECK_EQ(DRM_REQ_DIR(DRM_IOCTL_SET_MASTER), DRM_DIR_NONE);
	CHECK_EQ(DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, 0xc01864c1);
	CHECK_EQ(DRM_IOCTL_SYNCOBJ_WAIT, 0xc02864c3);
}

static const struct test_case cases[] = {
	TEST(requests_carry_number_size_and_direction),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
