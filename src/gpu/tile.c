// SPDX-License-Identifier: MIT
/*
 * Tiled surfaces: from a byte in a row to a place in memory.
 *
 * A surface is a grid of tiles, row by row; each tile is a stretch of memory of its own. Inside it
 * the bits of the offset are those of the row and of the byte in the row, mixed: a tiling is which
 * are which, lowest first.
 *
 *	X	x x x x x x x x x y y y			 512 bytes by   8 rows
 *	Y	x x x x y y y y y x x x			 128 bytes by  32 rows
 *	4	x x x x y y x x y x y y			 128 bytes by  32 rows
 *	64	as 4, then x x x x, x x y y or x y y y, with a y at the end
 *
 * The shape of a 64 KiB tile depends on the size of an element. Only its layout for surfaces with
 * two dimensions and one sample is here.
 */
#include "gpu/blt.h"

#include "base/bits.h"

static const struct blt_tiling tile_x = { 0x01ff, 0x0e00 };
static const struct blt_tiling tile_y = { 0x0e0f, 0x01f0 };
static const struct blt_tiling tile_4 = { 0x02cf, 0x0d30 };

/* By the binary logarithm of an element's bytes. */
static const struct blt_tiling tile_64[] = {
	{ 0x12cf, 0xed30 }, /*  256 bytes by 256 rows */
	{ 0x32cf, 0xcd30 }, /*  512 bytes by 128 rows */
	{ 0x32cf, 0xcd30 },
	{ 0x72cf, 0x8d30 }, /* 1024 bytes by  64 rows */
	{ 0x72cf, 0x8d30 },
};

const struct blt_tiling *blt_tiling(enum blt_tiling_name name, unsigned cpp)
{
	if (name == BLT_LINEAR) {
		return NULL;
	}
	ASSERT(cpp > 0 && cpp <= 16 && is_aligned(cpp, 1u << log2_floor(cpp)));
	switch (name) {
	case BLT_TILE_X:
		return &tile_x;
	case BLT_TILE_Y:
		return &tile_y;
	case BLT_TILE_4:
		return &tile_4;
	default:
		ASSERT(name == BLT_TILE_64);
		return &tile_64[log2_floor(cpp)];
	}
}

static unsigned width_shift(const struct blt_tiling *tiling)
{
	return (unsigned)__builtin_popcount(tiling->x_mask);
}

static unsigned height_shift(const struct blt_tiling *tiling)
{
	return (unsigned)__builtin_popcount(tiling->y_mask);
}

bool blt_pitch_fits(const struct blt_surface *surface)
{
	return !surface->tiling ||
	       is_aligned(surface->pitch_B, BIT64(width_shift(surface->tiling)));
}

bool blt_tile_holds(const struct blt_tiling *tiling, uint64_t width_B, uint64_t height)
{
	return width_B < BIT64(width_shift(tiling)) && height < BIT64(height_shift(tiling));
}

/* The low bits of @value, spread over the bits of @mask. */
static uint64_t deposit(uint64_t value, uint32_t mask)
{
	uint64_t out = 0;

	for (; mask; mask &= mask - 1, value >>= 1) {
		out |= (value & 1) << __builtin_ctz(mask);
	}
	return out;
}

uint64_t blt_offset(const struct blt_surface *surface, uint64_t x_B, uint64_t y, uint64_t *run_out)
{
	const struct blt_tiling *tiling = surface->tiling;
	uint64_t run, tile;

	x_B += surface->x_B;
	y += surface->y;
	if (!tiling) {
		*run_out = UINT64_MAX;
		return y * surface->pitch_B + x_B;
	}
	ASSERT(blt_pitch_fits(surface));
	run = BIT64(__builtin_ctz(~tiling->x_mask));
	*run_out = run - (x_B & (run - 1));
	tile = (y >> height_shift(tiling)) * (surface->pitch_B >> width_shift(tiling)) +
	       (x_B >> width_shift(tiling));
	return (tile << (width_shift(tiling) + height_shift(tiling))) +
	       deposit(x_B, tiling->x_mask) + deposit(y, tiling->y_mask);
}
