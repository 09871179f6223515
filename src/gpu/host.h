/* SPDX-License-Identifier: MIT */
/*
 * Touching the host memory behind a page, towards client threads that look at the same words at the
 * same time. Private to src/gpu/.
 */
#ifndef GPU_HOST_H
#define GPU_HOST_H

#include "gpu/mmu.h"

/* A piece of memory inside one translation. */
struct gpu_span {
	uint8_t *host; /* NULL: reads zero, drops writes */
	size_t n;
	bool guarded;  /* client memory: may fail */
};

/* 0, or -EFAULT when guarded memory was not there. */
int gpu_host_load(const struct gpu_span *span, void *dst);
int gpu_host_store(const struct gpu_span *span, const void *src);
/*
 * Moves @dst->n = @src->n bytes. Where the two overlap the result is that of a copy byte by byte in
 * ascending order, which no cutting into pieces changes. On -EFAULT *@failed_out is the side.
 */
int gpu_host_copy(const struct gpu_span *dst, const struct gpu_span *src,
		  const struct gpu_span **failed_out);
/* @phase: which byte of the pattern comes first. */
int gpu_host_fill(const struct gpu_span *span, const struct gpu_pattern *pattern, size_t phase);
int gpu_host_rmw(const struct gpu_span *span, gpu_rmw_fn fn, const void *arg, uint64_t *old_out);

#endif
