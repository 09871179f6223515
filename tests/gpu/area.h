/* SPDX-License-Identifier: MIT */
/*
 * An area of GPU memory for copies and fills, and what they should do to it, spelled out byte by
 * byte. A test writes random bytes into the area, lets the reference change a copy of them on the
 * host and the batch change the area, and compares.
 */
#ifndef TESTS_GPU_AREA_H
#define TESTS_GPU_AREA_H

#include "rig.h"

#define AREA ((uint64_t)0x300000000) /* GPU address */
#define AREA_B ((uint64_t)2 << 20)

/* What is behind the area. */
enum layout {
	FLAT,      /* one 2 MiB entry */
	SCATTERED, /* 4 KiB entries, frames in no order */
	CLIENT,    /* the client's memory */
	MIXED,     /* pages of the client and frames in turns */
	LAYOUTS,
};

/* A tiling as the hardware's documents draw it: what the bits of an offset are, highest first. */
struct shape {
	const char *bits; /* NULL: linear */
	uint64_t addr, pitch_B;
};

struct rect {
	uint64_t x, y, width, height; /* in elements and rows */
};

void area_init(struct rig *rig, enum layout layout);
void area_fini(struct rig *rig);
/* Random bytes into the area and the reference. */
void area_random(struct rig *rig);
/* The byte of the reference at GPU address @va. */
uint8_t *area_ref(uint64_t va);
/* Does the area hold what the reference does? */
void area_check(struct rig *rig);

/* What a copy and a fill do to the reference. */
void ref_copy(const struct shape *dst, const struct rect *at, const struct shape *src, uint64_t x,
	      uint64_t y, unsigned cpp);
void ref_fill(const struct shape *dst, const struct rect *at, unsigned cpp, const void *value);

/* ---- commands -------------------------------------------------------------------------------- */

#define BLT(opcode, len) (2u << 29 | (uint32_t)(opcode) << 22 | ((uint32_t)(len) - 2))

/* The fields of the two tilings, as the command numbers them, are the caller's. */
void emit_block_copy(struct rig *rig, unsigned depth, unsigned dst_tiling, const struct shape *dst,
		     const struct rect *at, unsigned src_tiling, const struct shape *src,
		     uint64_t x, uint64_t y);
void emit_fast_copy(struct rig *rig, unsigned depth, unsigned dst_tiling, const struct shape *dst,
		    const struct rect *at, unsigned src_tiling, const struct shape *src, uint64_t x,
		    uint64_t y);
void emit_fast_color(struct rig *rig, unsigned depth, unsigned dst_tiling, const struct shape *dst,
		     const struct rect *at, const uint32_t value[4]);
void emit_mem_copy(struct rig *rig, uint64_t dst, uint64_t src, uint64_t size_B);
void emit_mem_set(struct rig *rig, uint64_t dst, uint64_t size_B, uint8_t value);

/* Starts at RIG_BATCH, with so much for each call of run(); how many calls it took. */
enum gpu_run run_budget(struct rig *rig, uint32_t commands, uint64_t bytes, unsigned *calls_out);
/* The same from where it stands. */
enum gpu_run go_on(struct rig *rig, uint32_t commands, uint64_t bytes, unsigned *calls_out);

#endif
