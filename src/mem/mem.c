// SPDX-License-Identifier: MIT
/*
 * The memory of a device as a whole: regions, and how the GPU reaches frames.
 *
 * A physical address means, for an entry with the device-memory bit, a frame of VRAM; else a frame
 * of system memory, from SPILL_PHYS_BASE on a spilled one (bo.c), and from USERPTR_PHYS_BASE on
 * client memory (userptr.c).
 *
 * Locking: none here; regions are looked up without, client windows under a leaf lock.
 */
#include "mem/mem_priv.h"

static int regions_init(struct mem *mem, const struct mem_config *config)
{
	uint64_t min_B = config->vram_min_page_B ? config->vram_min_page_B : SZ_4K;
	struct region *vram = &mem->region[MEM_VRAM];
	uint64_t spill_B;
	int ret;

	ASSERT(config->system_B >= SZ_4K && config->system_B < SPILL_PHYS_BASE);
	ret = region_init(&mem->region[MEM_SYSTEM], "system", MEM_SYSTEM, false,
			  align_down(config->system_B, SZ_4K), SZ_4K);
	if (ret) {
		return ret;
	}
	mem->region_count = 1;
	if (!config->vram_B) {
		return 0;
	}
	ret = region_init(vram, "vram", MEM_VRAM, true, align_down(config->vram_B, min_B), min_B);
	if (ret) {
		return ret;
	}
	if (config->vram_visible_B) {
		region_hide(vram, min_u64(align_up(config->vram_visible_B, min_B), vram->size_B));
	}
	mem->region_count = 2;
	if (config->vram_copies) {
		vram->store = port_reserve(vram->size_B);
		if (!vram->store) {
			return -ENOMEM;
		}
		memset(vram->store, STORE_RUBBISH, vram->size_B);
	}
	/* As much as can be anywhere: its frames are no memory. */
	spill_B = align_down(vram->size_B + config->system_B, min_B);
	ret = region_init(&mem->spill, "spill", MEM_REGIONS, false, spill_B, min_B);
	if (ret) {
		return ret;
	}
	mem->spill.base = SPILL_PHYS_BASE;
	return 0;
}

/* Idempotent, and harmless on what was never initialised. */
static void regions_fini(struct mem *mem)
{
	mem_arenas_fini(mem);
	lru_fini(mem);
	for (unsigned i = 0; i < MEM_REGIONS; i++) {
		region_fini(&mem->region[i]);
	}
	region_fini(&mem->spill);
}

int mem_init(struct mem *mem, const struct mem_config *config, struct event_stream *events,
	     struct sync *sync)
{
	int ret;

	*mem = (struct mem){ .events = events, .sync = sync };
	atomic_init(&mem->next_bo_id, 1);
	lru_init(mem);
	ret = regions_init(mem, config);
	if (ret) {
		goto fail;
	}
	ret = mem_arenas_init(mem, config);
	if (ret) {
		goto fail;
	}
	ret = mem_userptrs_init(mem);
	if (ret) {
		goto fail;
	}
	ret = mem_slabs_init(mem);
	if (ret) {
		mem_userptrs_fini(mem);
		goto fail;
	}
	return 0;
fail:
	regions_fini(mem);
	return ret;
}

void mem_fini(struct mem *mem)
{
	mem_slabs_fini(mem);
	mem_userptrs_fini(mem);
	regions_fini(mem);
}

static int mem_page(void *ctx, uint64_t phys, bool device, struct gpu_page *page_out)
{
	struct mem *mem = ctx;

	if (device) {
		return mem->region_count > MEM_VRAM
			       ? region_find(&mem->region[MEM_VRAM], phys, page_out)
			       : -EFAULT;
	}
	if (phys >= USERPTR_PHYS_BASE) {
		return mem_userptr_find(mem, phys, page_out);
	}
	if (phys >= SPILL_PHYS_BASE) {
		return region_find(&mem->spill, phys, page_out);
	}
	return region_find(&mem->region[MEM_SYSTEM], phys, page_out);
}

const struct gpu_mem_ops mem_gpu_ops = {
	.page = mem_page,
};
