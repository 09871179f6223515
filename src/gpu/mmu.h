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
