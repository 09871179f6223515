/* SPDX-License-Identifier: MIT */
/* Requests on a dma-buf descriptor: layouts and numbers only, under the names clients know. */
#ifndef VMB_DMA_BUF_H
#define VMB_DMA_BUF_H

#include "vmb_drm.h"

#define DMA_BUF_BASE 0x62u

#define DMA_BUF_REQ(dir, nr, size)                                                                 \
	((uint32_t)(dir) << 30 | (uint32_t)(size) << 16 | DMA_BUF_BASE << 8 | (uint32_t)(nr))

struct dma_buf_sync {
	uint64_t flags;
};
#define DMA_BUF_SYNC_READ  0x1u
#define DMA_BUF_SYNC_WRITE 0x2u
#define DMA_BUF_SYNC_RW    0x3u
#define DMA_BUF_SYNC_END   0x4u

struct dma_buf_export_sync_file {
	uint32_t flags;
	int32_t fd;
};

struct dma_buf_import_sync_file {
	uint32_t flags;
	int32_t fd;
};

#define DMA_BUF_NAME_LEN 32

#define DMA_BUF_IOCTL_SYNC DMA_BUF_REQ(DRM_DIR_WRITE, 0, sizeof(struct dma_buf_sync))
#define DMA_BUF_SET_NAME_A DMA_BUF_REQ(DRM_DIR_WRITE, 1, sizeof(uint32_t))
#define DMA_BUF_SET_NAME_B DMA_BUF_REQ(DRM_DIR_WRITE, 1, sizeof(uint64_t))
#define DMA_BUF_IOCTL_EXPORT_SYNC_FILE                                                             \
	DMA_BUF_REQ(DRM_DIR_READ | DRM_DIR_WRITE, 2, sizeof(struct dma_buf_export_sync_file))
#define DMA_BUF_IOCTL_IMPORT_SYNC_FILE                                                             \
	DMA_BUF_REQ(DRM_DIR_WRITE, 3, sizeof(struct dma_buf_import_sync_file))

#endif
