/* SPDX-License-Identifier: MIT */
/* What the files of mem/ share with one another. */
#ifndef MEM_MEM_PRIV_H
#define MEM_MEM_PRIV_H

#include "mem/mem.h"

/* 0 or -ENOMEM. */
int mem_arenas_init(struct mem *mem, const struct mem_config *config);
/* Harmless when init failed. Asserts that every window was given back. */
void mem_arenas_fini(struct mem *mem);
/* A window of 1 << @order pages, with a reference to its arena. 0 or -ENOMEM. */
int mem_window_alloc(struct mem *mem, unsigned order, struct mem_arena **arena_out,
		     uint64_t *off_out);
/* Drops the contents, of which there are @size_B, frees the window, lets go of the arena. */
void mem_window_free(struct mem_arena *arena, uint64_t off, uint64_t window_B, uint64_t size_B);

#define STORE_RUBBISH 0xdb /* in frames that nobody has, where they have memory of their own */

void lru_init(struct mem *mem);
/* No object is in VRAM and no list is left. */
void lru_fini(struct mem *mem);

/* 0 or -ENOMEM. */
int mem_slabs_init(struct mem *mem);
/* Asserts that every page was given back. */
void mem_slabs_fini(struct mem *mem);

/* 0 or -ENOMEM. */
int mem_userptrs_init(struct mem *mem);
/* Asserts that no window is left. */
void mem_userptrs_fini(struct mem *mem);
/* The valid window around @phys. 0; -EFAULT; -ENXIO: there is one, on memory that is missing. */
int mem_userptr_find(struct mem *mem, uint64_t phys, struct gpu_page *page_out);

#endif
