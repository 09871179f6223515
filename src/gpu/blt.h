/* SPDX-License-Identifier: MIT */
/*
 * Surfaces as the blitter sees them. Private to src/gpu/.
 */
#ifndef GPU_BLT_H
#define GPU_BLT_H

#include "gpu/gpu.h"

/* How the bytes of a tile lie in memory. A tile is as wide and high as the masks have bits. */
struct blt_tiling {
	uint32_t x_mask; /* bits of the offset in the tile that come from the byte in the row ... */
	uint32_t y_mask; /* ... and from the row */
};

enum blt_tiling_name {
	BLT_LINEAR,
	BLT_TILE_X,
	BLT_TILE_Y, /* before Xe */
	BLT_TILE_4,
	BLT_TILE_64,
};

/* A rectangle in memory; its size is the blit's. */
struct blt_surface {
	uint64_t addr;                   /* of the surface */
	uint64_t pitch_B;                /* a whole number of tiles */
	const struct blt_tiling *tiling; /* NULL: linear */
	uint64_t x_B, y;                 /* the rectangle's first byte */
};

/* NULL for BLT_LINEAR. @cpp: bytes per element, a power of two where it is tiled. */
const struct blt_tiling *blt_tiling(enum blt_tiling_name name, unsigned cpp);

/* Is the pitch one that the tiling can have? */
bool blt_pitch_fits(const struct blt_surface *surface);

/* Smaller than a tile in both directions? */
bool blt_tile_holds(const struct blt_tiling *tiling, uint64_t width_B, uint64_t height);

/*
 * Where byte @x_B of row @y of the rectangle is, as a distance from the surface's address. *run_out
 * is how many of the bytes that follow in the row, this one included, follow in memory too; it may
 * go beyond the rectangle.
 */
uint64_t blt_offset(const struct blt_surface *surface, uint64_t x_B, uint64_t y, uint64_t *run_out);

#endif
