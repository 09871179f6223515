// SPDX-License-Identifier: MIT
/* See area.h. */
#include "area.h"

#include <string.h>
#include <sys/mman.h>

#define FRAMES ((uint64_t)4 << 20) /* offset in device memory: 4 MiB to choose from */

static uint8_t reference[AREA_B];
static uint8_t seen[AREA_B];

/* An odd stride visits each of a power of two of frames once. */
static uint64_t frame_of(uint64_t page)
{
	return RIG_PHYS + FRAMES + page * 389 % 1024 * 4096;
}

void area_init(struct rig *rig, enum layout layout)
{
	rig_init(rig);
	rig->client_B = AREA_B;
	rig->client = mmap(NULL, AREA_B, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			   0);
	CHECK(rig->client != MAP_FAILED);
	if (layout == FLAT) {
		rig->stretch_B = RIG_MEM_B;
		rig_map(rig, AREA, 1, false, (RIG_PHYS + FRAMES) | E_RW | E_HUGE);
		return;
	}
	for (uint64_t page = 0; page < AREA_B / 4096; page++) {
		bool client = layout == CLIENT || (layout == MIXED && page % 2);

		rig_map(rig, AREA + page * 4096, 0, false,
			client ? page * 4096 | E_PRESENT | E_WRITE : frame_of(page) | E_RW);
	}
}

void area_fini(struct rig *rig)
{
	munmap(rig->client, AREA_B);
	rig_fini(rig);
}

void area_random(struct rig *rig)
{
	struct gpu_fault fault;
	uint64_t state = 88172645463325252;

	for (uint64_t i = 0; i < AREA_B; i += 8) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		memcpy(reference + i, &state, 8);
	}
	CHECK_OK(rig_write(rig, AREA, reference, AREA_B, &fault));
}

uint8_t *area_ref(uint64_t va)
{
	CHECK(va >= AREA && va - AREA < AREA_B);
	return &reference[va - AREA];
}

void area_check(struct rig *rig)
{
	struct gpu_fault fault;

	CHECK_OK(rig_read(rig, AREA, seen, AREA_B, &fault));
	for (uint64_t i = 0; i < AREA_B; i++) {
		if (seen[i] != reference[i]) {
			test_fail(__FILE__, __LINE__, "byte 0x%llx is 0x%02x, should be 0x%02x",
				  (unsigned long long)i, seen[i], reference[i]);
		}
	}
}

/* ---- what is right --------------------------------------------------------------------------- */

static uint64_t at(const struct shape *s, uint64_t x_B, uint64_t y)
{
	uint64_t width = 1, height = 1, offset = 0, x_bits = x_B, y_bits = y;
	size_t n;

	if (!s->bits) {
		return s->addr + y * s->pitch_B + x_B;
	}
	n = strlen(s->bits);
	for (size_t i = 0; i < n; i++) {
		bool is_x = s->bits[n - 1 - i] == 'X';

		offset |= ((is_x ? x_bits : y_bits) & 1) << i;
		x_bits >>= is_x;
		y_bits >>= !is_x;
		width <<= is_x;
		height <<= !is_x;
	}
	return s->addr + y / height * height * s->pitch_B + x_B / width * width * height + offset;
}

void ref_copy(const struct shape *dst, const struct rect *r, const struct shape *src, uint64_t x,
	      uint64_t y, unsigned cpp)
{
	for (uint64_t row = 0; row < r->height; row++) {
		for (uint64_t i = 0; i < r->width * cpp; i++) {
			*area_ref(at(dst, r->x * cpp + i, r->y + row)) =
				*area_ref(at(src, x * cpp + i, y + row));
		}
	}
}

void ref_fill(const struct shape *dst, const struct rect *r, unsigned cpp, const void *value)
{
	for (uint64_t row = 0; row < r->height; row++) {
		for (uint64_t i = 0; i < r->width * cpp; i++) {
			*area_ref(at(dst, r->x * cpp + i, r->y + row)) =
				((const uint8_t *)value)[i % cpp];
		}
	}
}

/* ---- commands -------------------------------------------------------------------------------- */

static uint32_t xy(uint64_t x, uint64_t y)
{
	return (uint32_t)(y << 16 | x);
}

static uint32_t pitch(const struct shape *s, unsigned tiling)
{
	return (uint32_t)(tiling ? s->pitch_B / 4 : s->pitch_B);
}

/* Half of each coordinate is in the rectangle and half in the offset that is added to it. */
void emit_block_copy(struct rig *rig, unsigned depth, unsigned dst_tiling, const struct shape *dst,
		     const struct rect *r, unsigned src_tiling, const struct shape *src, uint64_t x,
		     uint64_t y)
{
	uint64_t x1 = r->x - r->x / 2, y1 = r->y - r->y / 2;

	emit(rig, BLT(0x41, 22) | depth << 19);
	emit(rig, (pitch(dst, dst_tiling) - 1) | dst_tiling << 30);
	emit(rig, xy(x1, y1));
	emit(rig, xy(x1 + r->width, y1 + r->height));
	emit_addr(rig, dst->addr);
	emit(rig, xy(r->x / 2, r->y / 2));
	emit(rig, xy(x - x / 2, y - y / 2));
	emit(rig, (pitch(src, src_tiling) - 1) | src_tiling << 30);
	emit_addr(rig, src->addr);
	emit(rig, xy(x / 2, y / 2) | 1u << 31);
	for (unsigned i = 0; i < 4; i++) {
		emit(rig, 0x1f); /* compression, a clear colour: nothing to us */
	}
	for (unsigned i = 0; i < 2; i++) {
		emit(rig, 1u << 29 | 16383u << 14 | 16383);
		emit(rig, 0);
		emit(rig, 0);
	}
}

void emit_fast_copy(struct rig *rig, unsigned depth, unsigned dst_tiling, const struct shape *dst,
		    const struct rect *r, unsigned src_tiling, const struct shape *src, uint64_t x,
		    uint64_t y)
{
	emit(rig, BLT(0x42, 10) | dst_tiling << 13 | src_tiling << 20);
	emit(rig, pitch(dst, dst_tiling) | depth << 24);
	emit(rig, xy(r->x, r->y));
	emit(rig, xy(r->x + r->width, r->y + r->height));
	emit_addr(rig, dst->addr);
	emit(rig, xy(x, y));
	emit(rig, pitch(src, src_tiling));
	emit_addr(rig, src->addr);
}

void emit_fast_color(struct rig *rig, unsigned depth, unsigned dst_tiling, const struct shape *dst,
		     const struct rect *r, const uint32_t value[4])
{
	emit(rig, BLT(0x44, 16) | depth << 19);
	emit(rig, (pitch(dst, dst_tiling) - 1) | dst_tiling << 30);
	emit(rig, xy(r->x, r->y));
	emit(rig, xy(r->x + r->width, r->y + r->height));
	emit_addr(rig, dst->addr);
	emit(rig, 0);
	for (unsigned i = 0; i < 4; i++) {
		emit(rig, value[i]);
	}
	emit(rig, 0);
	emit(rig, 0);
	emit(rig, 1u << 29 | 16383u << 14 | 16383);
	emit(rig, 0);
	emit(rig, 0);
}

void emit_mem_copy(struct rig *rig, uint64_t dst, uint64_t src, uint64_t size_B)
{
	emit(rig, BLT(0x5a, 10));
	emit(rig, (uint32_t)size_B - 1);
	emit(rig, 7); /* the rows and pitches of a matrix: nothing to a linear copy */
	emit(rig, 99);
	emit(rig, 99);
	emit_addr(rig, src);
	emit_addr(rig, dst);
	emit(rig, 3u << 25 | 3);
}

void emit_mem_set(struct rig *rig, uint64_t dst, uint64_t size_B, uint8_t value)
{
	emit(rig, BLT(0x5b, 7));
	emit(rig, (uint32_t)size_B - 1);
	emit(rig, 7);
	emit(rig, 99);
	emit_addr(rig, dst);
	emit(rig, (uint32_t)value << 24 | 3);
}

enum gpu_run go_on(struct rig *rig, uint32_t commands, uint64_t bytes, unsigned *calls_out)
{
	enum gpu_run ret;

	*calls_out = 0;
	do {
		struct gpu_budget budget = { .commands = commands, .bytes = bytes };

		ret = gpu_soft_ops.run(&rig->engine, &rig->ctx, &budget);
		++*calls_out;
	} while (ret == GPU_RUN_MORE);
	return ret;
}

enum gpu_run run_budget(struct rig *rig, uint32_t commands, uint64_t bytes, unsigned *calls_out)
{
	gpu_soft_ops.start(&rig->ctx, RIG_BATCH);
	return go_on(rig, commands, bytes, calls_out);
}
