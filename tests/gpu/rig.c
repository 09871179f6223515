// SPDX-License-Identifier: MIT
/* See rig.h. */
#include "rig.h"

#include <stdlib.h>
#include <sys/mman.h>

static int rig_page(void *ctx, uint64_t phys, bool device, struct gpu_page *page_out)
{
	struct rig *rig = ctx;
	uint64_t base;

	atomic_fetch_add_explicit(&rig->lookups, 1, memory_order_relaxed);
	if (rig->relax) {
		port_relax();
	}
	if (!device) {
		if (phys >= rig->client_B) {
			return -EFAULT;
		}
		*page_out = (struct gpu_page){
			.size_B = rig->client_B,
			.host = rig->client,
			.guarded = true,
		};
		return 0;
	}
	if (phys < RIG_PHYS || phys - RIG_PHYS >= RIG_MEM_B) {
		return -EFAULT;
	}
	base = align_down(phys - RIG_PHYS, rig->stretch_B);
	*page_out = (struct gpu_page){
		.phys = RIG_PHYS + base,
		.size_B = min_u64(rig->stretch_B, RIG_MEM_B - base),
		.host = rig->mem + base,
		.gen_cell = &rig->gen[base / 4096],
		.gen = atomic_load(&rig->gen[base / 4096]),
	};
	return 0;
}

static const struct gpu_mem_ops rig_mem_ops = { .page = rig_page };

void *rig_at(struct rig *rig, uint64_t phys)
{
	CHECK(phys >= RIG_PHYS && phys - RIG_PHYS < RIG_MEM_B);
	return rig->mem + (phys - RIG_PHYS);
}

static uint64_t new_table(struct rig *rig)
{
	rig->next_table -= 4096;
	return RIG_PHYS + rig->next_table;
}

void rig_map(struct rig *rig, uint64_t va, unsigned level, bool compact, uint64_t entry)
{
	static const unsigned shift[] = { 12, 21, 30, 39 };
	uint64_t table = rig->vm.root_phys;
	uint64_t index;

	for (unsigned l = 3; l > level; l--) {
		uint64_t *e = (uint64_t *)rig_at(rig, table) + ((va >> shift[l]) & 511);

		if (!(*e & E_PRESENT)) {
			*e = new_table(rig) | E_RW | (compact && l == 1 ? E_COMPACT : 0);
		}
		table = *e & 0xffffffffff000;
	}
	index = compact && level == 0 ? (va >> 16) & 31 : (va >> shift[level]) & 511;
	__atomic_store_n((uint64_t *)rig_at(rig, table) + index, entry, __ATOMIC_RELEASE);
}

uint64_t rig_entry(struct rig *rig, uint64_t va, unsigned level)
{
	uint64_t table = rig->vm.root_phys;

	for (unsigned l = 3;; l--) {
		uint64_t entry = *((uint64_t *)rig_at(rig, table) +
				   ((va >> (12 + 9 * l)) & 511));

		CHECK(entry & E_PRESENT);
		if (l == level) {
			return entry;
		}
		table = entry & 0xffffffffff000;
	}
}

void rig_init(struct rig *rig)
{
	memset(rig, 0, sizeof(*rig));
	rig->mem = mmap(NULL, RIG_MEM_B, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);
	CHECK(rig->mem != MAP_FAILED);
	rig->next_table = RIG_MEM_B;
	rig->stretch_B = 4096;
	rig->vm.fmt = &gpu_format_intel48;
	rig->vm.root_phys = new_table(rig);
	rig->vm.root_device = true;
	rig->vm.asid = 1;
	for (uint64_t off = 0; off < RIG_BATCH_B; off += 4096) {
		rig_map(rig, RIG_BATCH + off, 0, false, (RIG_PHYS + RIG_BATCH + off) | E_RW);
	}
	for (uint64_t off = 0; off < RIG_DATA_B; off += 4096) {
		rig_map(rig, RIG_DATA + off, 0, false, (RIG_PHYS + RIG_DATA + off) | E_RW);
	}
	gpu_engine_init(&rig->engine, GPU_CLASS_COPY, 0, &rig_mem_ops, rig);
	gpu_soft_ops.context_init(&rig->ctx, &rig->vm, 20);
}

void rig_fini(struct rig *rig)
{
	munmap(rig->mem, RIG_MEM_B);
}

void rig_invalidate(struct rig *rig, uint64_t start, uint64_t end)
{
	struct gpu_engine *engines[] = { &rig->engine };

	gpu_soft_ops.invalidate(engines, 1, &rig->vm, start, end);
}

uint32_t *rig_data32(struct rig *rig, uint64_t off)
{
	return (uint32_t *)rig_at(rig, RIG_PHYS + RIG_DATA + off);
}

uint64_t *rig_data64(struct rig *rig, uint64_t off)
{
	return (uint64_t *)rig_at(rig, RIG_PHYS + RIG_DATA + off);
}

int rig_read(struct rig *rig, uint64_t va, void *dst, size_t n, struct gpu_fault *fault_out)
{
	return gpu_soft_ops.load(&rig->engine, &rig->vm, va, dst, n, fault_out);
}

int rig_write(struct rig *rig, uint64_t va, const void *src, size_t n, struct gpu_fault *fault_out)
{
	return gpu_soft_ops.store(&rig->engine, &rig->vm, va, src, n, fault_out);
}

uint32_t rig_read32(struct rig *rig, uint64_t va)
{
	struct gpu_fault fault;
	uint32_t value = 0;

	CHECK_EQ(rig_read(rig, va, &value, 4, &fault), 0);
	return value;
}

void rig_expect_fault(struct rig *rig, uint64_t va, enum gpu_access access,
		      enum gpu_fault_type type)
{
	struct gpu_fault fault = { 0 };
	uint32_t value = 0;
	int ret = access == GPU_READ ? rig_read(rig, va, &value, 4, &fault) :
				       rig_write(rig, va, &value, 4, &fault);

	CHECK_EQ(ret, -EFAULT);
	CHECK_EQ(fault.address, va & 0xffffffffffff);
	CHECK_EQ(fault.access, access);
	CHECK_EQ(fault.type, type);
}

void emit(struct rig *rig, uint32_t dw)
{
	uint32_t *batch = rig_at(rig, RIG_PHYS + RIG_BATCH);

	CHECK(rig->emitted < RIG_BATCH_B / 4);
	batch[rig->emitted++] = dw;
}

void emit_addr(struct rig *rig, uint64_t addr)
{
	emit(rig, (uint32_t)addr);
	emit(rig, (uint32_t)(addr >> 32));
}

void emit_store(struct rig *rig, uint64_t addr, uint32_t value)
{
	emit(rig, 0x20u << 23 | 2);
	emit_addr(rig, addr);
	emit(rig, value);
}

void emit_end(struct rig *rig)
{
	emit(rig, 0x0au << 23);
}

uint64_t emit_here(const struct rig *rig)
{
	return RIG_BATCH + rig->emitted * 4ull;
}

void emit_at(struct rig *rig, uint64_t addr)
{
	CHECK(addr >= RIG_BATCH && addr - RIG_BATCH < RIG_BATCH_B);
	rig->emitted = (uint32_t)((addr - RIG_BATCH) / 4);
}

enum gpu_run rig_run(struct rig *rig, unsigned max_polls)
{
	enum gpu_run ret;

	rig->polls = 0;
	gpu_soft_ops.start(&rig->ctx, RIG_BATCH);
	do {
		struct gpu_budget budget = { .commands = 1000000, .bytes = 1 << 30 };

		ret = gpu_soft_ops.run(&rig->engine, &rig->ctx, &budget);
		if (ret == GPU_RUN_POLL && ++rig->polls >= max_polls) {
			break;
		}
		port_relax();
		rig->ctx.runtime_ns += port_now_ns() - rig->engine.last_ns; /* nobody else comes */
	} while (ret == GPU_RUN_POLL);
	return ret;
}

void rig_finish(struct rig *rig)
{
	emit_end(rig);
	CHECK_EQ(rig_run(rig, 1), GPU_RUN_DONE);
}
