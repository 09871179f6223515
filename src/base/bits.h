/* SPDX-License-Identifier: MIT */
/* Arithmetic on addresses, ranges and bitmaps that cannot wrap. */
#ifndef BASE_BITS_H
#define BASE_BITS_H

#include <stdbool.h>
#include <stdint.h>

#define PAGE_SHIFT 12u
#define PAGE_SIZE ((uint64_t)1 << PAGE_SHIFT)
#define SZ_4K ((uint64_t)4096)
#define SZ_64K ((uint64_t)65536)
#define SZ_2M ((uint64_t)2 << 20)
#define SZ_1G ((uint64_t)1 << 30)

#define BIT(n) (1u << (n))
#define BIT64(n) ((uint64_t)1 << (n))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

static inline uint64_t align_down(uint64_t x, uint64_t align)
{
	return x & ~(align - 1);
}

static inline uint64_t align_up(uint64_t x, uint64_t align)
{
	return (x + align - 1) & ~(align - 1);
}

static inline bool is_aligned(uint64_t x, uint64_t align)
{
	return (x & (align - 1)) == 0;
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Is [off, off + size) inside [0, total)? Never wraps. */
static inline bool range_inside(uint64_t off, uint64_t size, uint64_t total)
{
	return size <= total && off <= total - size;
}

/* Do [a, a_end) and [b, b_end) share a byte? */
static inline bool range_overlaps(uint64_t a, uint64_t a_end, uint64_t b, uint64_t b_end)
{
	return a < b_end && b < a_end;
}

/* Floor of the binary logarithm; @x must not be 0. */
static inline unsigned log2_floor(uint64_t x)
{
	return 63u - (unsigned)__builtin_clzll(x);
}

static inline unsigned log2_ceil(uint64_t x)
{
	return x <= 1 ? 0 : log2_floor(x - 1) + 1;
}

#endif
