/* SPDX-License-Identifier: MIT */
/*
 * Memory accesses of an engine through a VM. Private to src/gpu/. The caller of everything but
 * gpu_mmu_invalidate() holds the engine's token.
 *
 * Addresses are canonical: the bits above va_bits repeat the topmost bit of the address.
 */
#ifndef GPU_MMU_H
#define GPU_MMU_H

#include "gpu/gpu.h"

/* 0, or -EFAULT with *fault_out; then part of the bytes may have been moved. */
int gpu_mmu_read(struct gpu_engine *engine, struct gpu_vm *vm, uint64_t addr, void *dst, size_t n,
		 struct gpu_fault *fault_out);
int gpu_mmu_write(struct gpu_engine *engine, struct gpu_vm *vm, uint64_t addr, const void *src,
		  size_t n, struct gpu_fault *fault_out);

/* One epoch of a copy from @src to @dst: at most @n bytes; *moved_out says how many. */
int gpu_mmu_copy(struct gpu_engine *engine, struct gpu_vm *vm, uint64_t dst, uint64_t src, size_t n,
		 size_t *moved_out, struct gpu_fault *fault_out);

#define GPU_PATTERN_B 1536 /* of 1, 2, 4, 8, 12 and 16 bytes a multiple */

/* A few bytes again and again. */
struct gpu_pattern {
	uint8_t bytes[GPU_PATTERN_B]; /* the first @size are valid */
	size_t period;                /* the shortest, in bytes; at most 16 */
	size_t size;                  /* a multiple of @period */
	bool stream;                  /* of a fill so large that it should leave the caches alone */
};

/* @value: @period bytes. The more bytes are to be filled, the longer the pattern is made. */
void gpu_pattern_init(struct gpu_pattern *pattern, const void *value, size_t period,
		      uint64_t fill_B);
/* The same for a fill; @phase: which byte of the value comes first. */
int gpu_mmu_fill(struct gpu_engine *engine, struct gpu_vm *vm, uint64_t addr, size_t n,
		 const struct gpu_pattern *pattern, size_t phase, size_t *moved_out,
		 struct gpu_fault *fault_out);

/* What an atomic makes of the value it found. May be called several times. */
typedef uint64_t (*gpu_rmw_fn)(uint64_t old, const void *arg);

/* One atomic read-modify-write of @n = 4 or 8 bytes at an aligned address. */
int gpu_mmu_rmw(struct gpu_engine *engine, struct gpu_vm *vm, uint64_t addr, size_t n,
		gpu_rmw_fn fn, const void *arg, uint64_t *old_out, struct gpu_fault *fault_out);

/* Drops the engine's own translations of @vm, as a flush command in a batch does. */
void gpu_mmu_flush_own(struct gpu_engine *engine, const struct gpu_vm *vm);

/* gpu_ops.invalidate. Needs no token. */
void gpu_mmu_invalidate(struct gpu_engine *const *engines, unsigned count, struct gpu_vm *vm,
			uint64_t start, uint64_t end);

#endif
