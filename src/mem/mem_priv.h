/* SPDX-License-Identifier: MIT */
/* What the files of mem/ share with one another. */
#ifndef MEM_MEM_PRIV_H
#define MEM_MEM_PRIV_H

#include "mem/mem.h"

/* 0 or -ENOMEM. */
int mem_slabs_init(struct mem *mem);
/* Asserts that every page was given back. */
void mem_slabs_fini(struct mem *mem);

/* 0 or -ENOMEM. */
int mem_userptrs_init(struct mem *mem);
/* Asserts that no window is left. */
void mem_userptrs_fini(struct mem *mem);
/* The valid window around @phys. 0 or -EFAULT. */
int mem_userptr_find(struct mem *mem, uint64_t phys, struct gpu_page *page_out);

#endif
