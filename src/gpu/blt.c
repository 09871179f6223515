// SPDX-License-Identifier: MIT
/*
 * The blitter: copies and fills of rectangles.
 *
 * A command is decoded into a struct blit: two surfaces, or one and a pattern, and the size of the
 * rectangle in bytes and rows. Bytes move in the order of rows, within a row from left to right, so
 * that surfaces which overlap give one defined result however the work is cut. A piece is what is
 * one stretch of memory on both sides, at most an access epoch; pitches that equal the width make
 * all rows one stretch. blt_run() stops where the budget ends and goes on there.
 *
 * What is not known for certain is a GPU_FAULT_COMMAND rather than wrong data: mip levels other
 * than the first, several samples, coordinates below 0, three-dimensional surfaces in 64 KiB tiles,
 * a tiling whose name meant something else before Xe2, fast clears, matrices of pages. Compression
 * does not exist: memory always holds plain data, so its fields and clear colours are ignored.
 */
#include "gpu/blt.h"

#include "base/bits.h"
#include "gpu/cs.h"
#include "gpu/mmu.h"

struct blit {
	struct blt_surface dst, src;
	uint64_t width_B, height;
	unsigned cpp; /* bytes per element: of the fill value, too */
	const void *value; /* NULL: a copy */
};

/* Bytes per element by the depth field; 0: there is no such depth. */
static const uint8_t block_cpp[8] = { 1, 2, 4, 8, 12, 16 };
static const uint8_t fast_copy_cpp[8] = { 1, 2, 0, 4, 8, 16 };

static uint32_t field(const struct gpu_cs *cs, unsigned dw, unsigned high, unsigned low)
{
	ASSERT(dw < cs->len && dw < CS_DWORDS && high >= low && high < 32);
	return (cs->dw[dw] >> low) & (uint32_t)(BIT64(high - low + 1) - 1);
}

/* ---- moving bytes ---------------------------------------------------------------------------- */

static uint64_t place(const struct gpu_cs *cs, const struct blt_surface *surface, uint64_t x_B,
		      uint64_t y, uint64_t *run_out)
{
	return gpu_va_canonical(cs->ctx->vm->fmt,
				surface->addr + blt_offset(surface, x_B, y, run_out));
}

/* Moves up to @n bytes from @x_B of row @y on. 0, or -EFAULT. */
static int move_piece(struct gpu_cs *cs, const struct blit *b, const struct gpu_pattern *pattern,
		      uint64_t x_B, uint64_t y, uint64_t n, size_t *moved_out)
{
	struct gpu_context *ctx = cs->ctx;
	uint64_t dst_run, src_run;
	uint64_t dst = place(cs, &b->dst, x_B, y, &dst_run), src;

	n = min_u64(n, dst_run);
	if (b->value) {
		return gpu_mmu_fill(cs->engine, ctx->vm, dst, n, pattern, x_B % b->cpp, moved_out,
				    &ctx->fault);
	}
	src = place(cs, &b->src, x_B, y, &src_run);
	return gpu_mmu_copy(cs->engine, ctx->vm, dst, src, min_u64(n, src_run), moved_out,
			    &ctx->fault);
}

static bool is_one_run(const struct blt_surface *surface, uint64_t width_B)
{
	return !surface->tiling && surface->pitch_B == width_B;
}

static enum cs_result move_all(struct gpu_cs *cs, const struct blit *b,
			       const struct gpu_pattern *pattern)
{
	uint64_t total = b->width_B * b->height;
	uint64_t done = cs->ctx->progress_B;
	uint64_t y = done / b->width_B, x_B = done % b->width_B;
	size_t moved;

	ASSERT(done < total);
	for (; done < total; done += moved, cs->bytes += moved) {
		uint64_t n = min_u64(b->width_B - x_B, cs->budget_B - cs->bytes);

		if (n == 0) {
			cs->ctx->progress_B = done;
			return CS_MORE;
		}
		if (move_piece(cs, b, pattern, x_B, y, n, &moved)) {
			cs->ctx->progress_B = done;
			return CS_FAULT;
		}
		ASSERT(moved > 0 && moved <= n);
		x_B += moved;
		if (x_B == b->width_B) {
			x_B = 0;
			y++;
		}
	}
	cs->ctx->progress_B = 0;
	return CS_NEXT;
}

static enum cs_result blt_run(struct gpu_cs *cs, struct blit *b)
{
	struct gpu_pattern pattern;

	ASSERT(cs->budget_B > 0);
	ASSERT(b->width_B > 0 && b->height > 0);
	if (is_one_run(&b->dst, b->width_B) && (b->value || is_one_run(&b->src, b->width_B))) {
		b->width_B *= b->height;
		b->height = 1;
	}
	if (b->value) {
		gpu_pattern_init(&pattern, b->value, b->cpp, b->width_B);
	}
	return move_all(cs, b, &pattern);
}

/* ---- surfaces -------------------------------------------------------------------------------- */

/* Where the fields of one surface are in a command, as dwords. */
struct surface_fields {
	uint8_t pitch; /* and the tiling */
	uint8_t xy;
	uint8_t addr;
	uint8_t offset;
	uint8_t extended; /* size and type; levels and slices follow */
	uint8_t index;    /* slice */
};

/* A coordinate has 16 bits and a sign. */
static int coordinate(const struct gpu_cs *cs, unsigned dw, unsigned low)
{
	return (int16_t)field(cs, dw, low + 15, low);
}

/* Takes the size from two corners. False: there is nothing in between. */
static bool decode_size(const struct gpu_cs *cs, unsigned from, unsigned to, struct blit *b)
{
	int width = coordinate(cs, to, 0) - coordinate(cs, from, 0);
	int height = coordinate(cs, to, 16) - coordinate(cs, from, 16);

	if (width <= 0 || height <= 0) {
		return false;
	}
	b->width_B = (uint64_t)width * b->cpp;
	b->height = (uint64_t)height;
	return true;
}

/* Takes the first corner. False: it is outside. */
static bool decode_corner(const struct gpu_cs *cs, unsigned dw, unsigned cpp,
			  struct blt_surface *surface)
{
	int x = coordinate(cs, dw, 0), y = coordinate(cs, dw, 16);

	surface->x_B = (uint64_t)x * cpp;
	surface->y = (uint64_t)y;
	return x >= 0 && y >= 0;
}

/* Takes a tiling by its name. False: elements of that size cannot be tiled. */
static bool set_tiling(struct blt_surface *surface, enum blt_tiling_name name, unsigned cpp)
{
	if (name != BLT_LINEAR && !is_aligned(cpp, 1u << log2_floor(cpp))) {
		return false;
	}
	surface->tiling = blt_tiling(name, cpp);
	return true;
}

enum surface_type {
	SURFACE_1D = 0,
	SURFACE_2D = 1,
	SURFACE_3D = 2,
	SURFACE_CUBE = 3,
};

/* Levels and slices, in commands that have them. False: not one whose place is known. */
static bool decode_slice(const struct gpu_cs *cs, const struct surface_fields *f, unsigned cpp,
			 struct blt_surface *surface)
{
	bool tile_64 = field(cs, f->pitch, 31, 30) == 3;
	uint64_t height, width_B;
	unsigned slice, tail;

	if (cs->len <= f->index) {
		return true;
	}
	height = (uint64_t)field(cs, f->extended, 13, 0) + 1;
	width_B = ((uint64_t)field(cs, f->extended, 27, 14) + 1) * cpp;
	slice = field(cs, f->index, 31, 21);
	tail = field(cs, f->index, 11, 8);
	if (field(cs, f->extended + 1u, 3, 0) != 0) {
		return false;
	}
	/* A small surface whose levels share one tile: even the first is not at its beginning. */
	if (tile_64 && tail == 0 && blt_tile_holds(surface->tiling, width_B, height)) {
		return false;
	}
	switch (field(cs, f->extended, 31, 29)) {
	case SURFACE_1D:
		return slice == 0;
	case SURFACE_3D:
		if (tile_64) {
			return false;
		}
		break;
	case SURFACE_2D:
	case SURFACE_CUBE:
		break;
	default:
		return false;
	}
	/* The distance between slices is given in units of four rows. */
	surface->y += 4ull * field(cs, f->extended + 1u, 18, 4) * slice;
	return true;
}

/* A surface of XY_BLOCK_COPY_BLT or XY_FAST_COLOR_BLT. False: not one that we know. */
static bool decode_block_surface(const struct gpu_cs *cs, const struct surface_fields *f,
				 unsigned cpp, struct blt_surface *surface)
{
	static const enum blt_tiling_name names[] = {
		BLT_LINEAR, BLT_TILE_X, BLT_TILE_4, BLT_TILE_64,
	};
	unsigned tiling = field(cs, f->pitch, 31, 30);

	/* Before Xe2 the second name is X or Y, depending on more than we are told. */
	if ((tiling == 1 && cs->ctx->graphics_ver < 20) ||
	    !set_tiling(surface, names[tiling], cpp) ||
	    !decode_corner(cs, f->xy, cpp, surface)) {
		return false;
	}
	surface->addr = cs_addr(cs, cs->dw[f->addr], cs->dw[f->addr + 1]);
	surface->pitch_B = ((uint64_t)field(cs, f->pitch, 17, 0) + 1) * (tiling ? 4 : 1);
	surface->x_B += (uint64_t)field(cs, f->offset, 13, 0) * cpp;
	surface->y += field(cs, f->offset, 29, 16);
	return decode_slice(cs, f, cpp, surface) && blt_pitch_fits(surface);
}

/* ---- commands -------------------------------------------------------------------------------- */

enum cs_result blt_block_copy(struct gpu_cs *cs)
{
	static const struct surface_fields dst = { 1, 2, 4, 6, 16, 18 };
	static const struct surface_fields src = { 8, 7, 9, 11, 19, 21 };
	struct blit b = { .cpp = block_cpp[field(cs, 0, 21, 19)] };
	bool samples = field(cs, 0, 11, 9) != 0;

	ASSERT(cs->len >= 12);
	if (b.cpp == 0 || samples) {
		return cs_bad_command(cs);
	}
	if (!decode_size(cs, 2, 3, &b)) {
		return CS_NEXT;
	}
	if (!decode_block_surface(cs, &dst, b.cpp, &b.dst) ||
	    !decode_block_surface(cs, &src, b.cpp, &b.src)) {
		return cs_bad_command(cs);
	}
	return blt_run(cs, &b);
}

enum cs_result blt_fast_color(struct gpu_cs *cs)
{
	static const struct surface_fields dst = { 1, 2, 4, 6, 13, 15 };
	struct blit b = { .cpp = block_cpp[field(cs, 0, 21, 19)], .value = &cs->dw[7] };
	bool samples = field(cs, 0, 11, 9) != 0, clear = field(cs, 0, 13, 12) != 0;

	ASSERT(cs->len >= 11);
	if (b.cpp == 0 || samples || clear) {
		return cs_bad_command(cs);
	}
	if (!decode_size(cs, 2, 3, &b)) {
		return CS_NEXT;
	}
	if (!decode_block_surface(cs, &dst, b.cpp, &b.dst)) {
		return cs_bad_command(cs);
	}
	return blt_run(cs, &b);
}

/* @tile4: not the Y tiling of older devices. Xe2 has no other. */
static bool decode_fast_surface(const struct gpu_cs *cs, unsigned tiling, bool tile4,
				unsigned pitch, unsigned xy, unsigned addr, unsigned cpp,
				struct blt_surface *surface)
{
	const enum blt_tiling_name names[] = {
		BLT_LINEAR, BLT_TILE_X, tile4 ? BLT_TILE_4 : BLT_TILE_Y, BLT_TILE_64,
	};

	ASSERT(tiling < ARRAY_LEN(names));
	surface->addr = cs_addr(cs, cs->dw[addr], cs->dw[addr + 1]);
	surface->pitch_B = (uint64_t)field(cs, pitch, 15, 0) * (tiling ? 4 : 1);
	return set_tiling(surface, names[tiling], cpp) &&
	       decode_corner(cs, xy, cpp, surface) && blt_pitch_fits(surface);
}

enum cs_result blt_fast_copy(struct gpu_cs *cs)
{
	struct blit b = { .cpp = fast_copy_cpp[field(cs, 1, 26, 24)] };
	bool xe2 = cs->ctx->graphics_ver >= 20;

	ASSERT(cs->len >= 10);
	if (b.cpp == 0) {
		return cs_bad_command(cs);
	}
	if (!decode_size(cs, 2, 3, &b)) {
		return CS_NEXT;
	}
	if (!decode_fast_surface(cs, field(cs, 0, 14, 13), xe2 || field(cs, 1, 30, 30), 1, 2, 4,
				 b.cpp, &b.dst) ||
	    !decode_fast_surface(cs, field(cs, 0, 21, 20), xe2 || field(cs, 1, 31, 31), 7, 6, 8,
				 b.cpp, &b.src)) {
		return cs_bad_command(cs);
	}
	return blt_run(cs, &b);
}

enum mem_type {
	MEM_LINEAR = 0,
	MEM_MATRIX = 1,
};

/* What MEM_COPY and MEM_SET have in common: the size. False: it makes no sense. */
static bool decode_mem(const struct gpu_cs *cs, bool pages, struct blit *b)
{
	bool wide = pages || cs->ctx->graphics_ver >= 20;

	b->cpp = 1;
	b->width_B = (uint64_t)field(cs, 1, wide ? 23 : 17, 0) + 1;
	b->height = 1;
	switch (field(cs, 0, 18, 17)) {
	case MEM_LINEAR: /* height and pitches are ignored */
		return true;
	case MEM_MATRIX:
		b->height = (uint64_t)field(cs, 2, 17, 0) + 1;
		return !pages;
	default:
		return false;
	}
}

enum cs_result blt_mem_copy(struct gpu_cs *cs)
{
	bool pages = CS_HAS(cs, 19);
	struct blit b = { 0 };

	ASSERT(cs->len >= 10);
	if (!decode_mem(cs, pages, &b)) {
		return cs_bad_command(cs);
	}
	b.width_B *= pages ? 256 : 1;
	b.src.pitch_B = (uint64_t)field(cs, 3, 17, 0) + 1;
	b.dst.pitch_B = (uint64_t)field(cs, 4, 17, 0) + 1;
	b.src.addr = cs_addr(cs, cs->dw[5], cs->dw[6]);
	b.dst.addr = cs_addr(cs, cs->dw[7], cs->dw[8]);
	return blt_run(cs, &b);
}

enum cs_result blt_mem_set(struct gpu_cs *cs)
{
	uint8_t value = (uint8_t)field(cs, 6, 31, 24);
	struct blit b = { .value = &value };

	ASSERT(cs->len >= 7);
	if (!decode_mem(cs, false, &b)) {
		return cs_bad_command(cs);
	}
	b.dst.pitch_B = (uint64_t)field(cs, 3, 17, 0) + 1;
	b.dst.addr = cs_addr(cs, cs->dw[4], cs->dw[5]);
	return blt_run(cs, &b);
}
