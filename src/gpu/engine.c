// SPDX-License-Identifier: MIT
/*
 * The software GPU as the rest of the device sees it: engines, contexts, `gpu_soft_ops`.
 *
 * Nothing here sleeps, allocates or takes a lock; the caller's token keeps two threads from one
 * engine. Example: init an engine, init a context on a VM, start() it at a batch, then run() it
 * until GPU_RUN_DONE or GPU_RUN_FAULT, letting others have the token after each return.
 */
#include "base/bits.h"
#include "gpu/cs.h"
#include "gpu/mmu.h"

struct class_base {
	uint32_t first;
	uint32_t step; /* from one instance to the next */
};

/* Where the registers of an engine are in the device's register space. */
static const struct class_base class_base[GPU_CLASSES] = {
	[GPU_CLASS_RENDER] = { 0x2000, 0 },
	[GPU_CLASS_COPY] = { 0x22000, 0 },
	[GPU_CLASS_VIDEO_DECODE] = { 0x1c0000, 0x4000 },
	[GPU_CLASS_VIDEO_ENHANCE] = { 0x1c8000, 0x10000 },
	[GPU_CLASS_COMPUTE] = { 0x1a000, 0x2000 },
};

#define CLOCK_HZ 19200000u
#define NS_PER_S 1000000000u

void gpu_engine_init(struct gpu_engine *engine, enum gpu_class class, uint16_t instance,
		     const struct gpu_mem_ops *mem_ops, void *mem_ctx)
{
	ASSERT(class < GPU_CLASSES);
	ASSERT(mem_ops && mem_ops->page);
	memset(engine, 0, sizeof(*engine));
	engine->class = class;
	engine->instance = instance;
	engine->mmio_base = class_base[class].first + instance * class_base[class].step;
	engine->vm_bit = BIT64((class * 8u + instance) % 64);
	engine->clock_hz = CLOCK_HZ;
	engine->mem_ops = mem_ops;
	engine->mem_ctx = mem_ctx;
	atomic_init(&engine->epoch, 0);
	for (unsigned i = 0; i < GPU_TLB_ENTRIES; i++) {
		atomic_init(&engine->tlb[i].tag, 0);
	}
}

uint64_t gpu_ticks(uint64_t ns, uint32_t clock_hz)
{
	ASSERT(clock_hz > 0);
	return ns / NS_PER_S * clock_hz + ns % NS_PER_S * clock_hz / NS_PER_S;
}

uint64_t gpu_timestamp(uint32_t clock_hz)
{
	return gpu_ticks(port_now_ns(), clock_hz);
}

static void context_init(struct gpu_context *ctx, struct gpu_vm *vm, uint32_t graphics_ver)
{
	ASSERT(vm && vm->fmt && vm->asid != 0);
	memset(ctx, 0, sizeof(*ctx));
	ctx->vm = vm;
	ctx->graphics_ver = graphics_ver;
}

void cs_begin_batch(struct gpu_context *ctx)
{
	ctx->depth = 0;
	ctx->waited = false;
	ctx->changed = false;
	ctx->loops = 0;
	ctx->regs_other[CS_SET_PREDICATE] = 0;
}

static void start(struct gpu_context *ctx, uint64_t batch_addr)
{
	ASSERT(ctx->vm);
	/* The ring's jump to the batch has a 48-bit address field and drops the two lowest bits. */
	ctx->ip = gpu_va_canonical(ctx->vm->fmt, batch_addr & ~(uint64_t)3);
	ctx->progress_B = 0;
	ctx->in_ring = false;
	ctx->ring.size_B = 0;
	cs_begin_batch(ctx);
	ctx->running = true;
}

static void start_ring(struct gpu_context *ctx, const struct gpu_ring *ring)
{
	ASSERT(ring->size_B >= PAGE_SIZE && (ring->size_B & (ring->size_B - 1)) == 0);
	ASSERT(is_aligned(ring->va, PAGE_SIZE) && is_aligned(ring->control_va, 8));
	start(ctx, ring->va);
	ctx->ring = *ring;
	ctx->in_ring = true;
	ctx->head = 0;
	ctx->tail = 0;
	ctx->head_told = 0;
}

static void retry(struct gpu_context *ctx)
{
	ASSERT(!ctx->running);
	ASSERT(ctx->fault.type != GPU_FAULT_COMMAND);
	ctx->running = true;
}

static int store(struct gpu_engine *engine, struct gpu_vm *vm, uint64_t addr, const void *src,
		 size_t n, struct gpu_fault *fault_out)
{
	ASSERT(fault_out);
	return gpu_mmu_write(engine, vm, addr, src, n, fault_out);
}

static int load(struct gpu_engine *engine, struct gpu_vm *vm, uint64_t addr, void *dst, size_t n,
		struct gpu_fault *fault_out)
{
	ASSERT(fault_out);
	return gpu_mmu_read(engine, vm, addr, dst, n, fault_out);
}

const struct gpu_ops gpu_soft_ops = {
	.context_init = context_init,
	.start = start,
	.start_ring = start_ring,
	.run = cs_run,
	.retry = retry,
	.store = store,
	.load = load,
	.invalidate = gpu_mmu_invalidate,
};
