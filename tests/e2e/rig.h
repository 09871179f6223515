/* SPDX-License-Identifier: MIT */
/* A small device and short ways to use it, for tests that walk through every room. */
#ifndef TESTS_E2E_RIG_H
#define TESTS_E2E_RIG_H

#include "exec/device.h"
#include "exec/queue.h"
#include "test.h"
#include "vm/vm.h"

enum {
	RIG_RENDER,
	RIG_COPY,
	RIG_COMPUTE0,
	RIG_COMPUTE1,
	RIG_ENGINES,
};

/* 64 MiB of each memory. Aborts when it cannot be had, unless a failure is injected: then NULL. */
struct device *rig_device(enum device_schedule schedule);
struct device *rig_device_with(enum device_schedule schedule, enum vm_tlb_rule rule);
/* A normal one with other sizes. */
struct device *rig_device_sized(const struct mem_config *mem);
struct device *rig_device_with_memory(const struct mem_config *mem, enum device_schedule schedule);
/* With little memory; VRAM in pages of 64 KiB, which moves copy to and from. */
struct device *rig_device_moving(enum device_schedule schedule, uint64_t vram_B);
struct vm *rig_vm(struct device *device, unsigned flags);
/* Closes and lets go. */
void rig_vm_done(struct vm *vm);
/* @region: MEM_SYSTEM or MEM_VRAM. Every page starts with its stamp. */
struct bo *rig_bo(struct device *device, uint64_t size_B, enum mem_region region);
uint64_t rig_stamp(const struct bo *bo, uint64_t page);

struct bind_op rig_map(struct bo *bo, uint64_t addr, uint64_t offset, uint64_t range);
struct bind_op rig_map_null(uint64_t addr, uint64_t range);
struct bind_op rig_map_user(const void *mem, uint64_t addr, uint64_t range);
struct bind_op rig_unmap_bo(struct bo *bo);
struct bind_op rig_unmap(uint64_t addr, uint64_t range);

/* A list of operations on a queue (NULL: the default one), after @in (may be NULL). */
int rig_bind_list(struct vm *vm, struct bind_queue *queue, const struct bind_op *ops, unsigned n,
		  struct fence *in, struct fence **out);
/* One operation; waits until it is done. */
int rig_bind(struct vm *vm, struct bind_op op);
/* One operation after @in; the out-fence. Aborts on an error. */
struct fence *rig_bind_async(struct vm *vm, struct bind_queue *queue, struct bind_op op,
			     struct fence *in);

struct exec_queue *rig_queue(struct device *device, struct vm *vm, unsigned engine);
/* With a job's timeout other than the default, unless it is 0. */
struct exec_queue *rig_queue_timed(struct device *device, struct vm *vm, unsigned engine,
				   uint32_t job_timeout_ms);
void rig_queue_done(struct exec_queue *queue);
int rig_exec(struct exec_queue *queue, uint64_t batch, struct fence *in, struct fence **out);
/* Submits and waits: 0, the submission's error, or the job's. */
int rig_exec_wait(struct exec_queue *queue, uint64_t batch);

/*
 * A batch that copies the dword at each address to @results + 4 i (a GPU address too) and then
 * stores @value there; returns its size.
 */
uint64_t rig_batch_swap(struct bo *bo, uint64_t offset, const uint64_t *addrs, unsigned n,
			uint64_t results, uint32_t value);
/* Writes a batch of @n dword stores into @bo at @offset; returns its size. */
uint64_t rig_batch_stores(struct bo *bo, uint64_t offset, const uint64_t *addrs,
			  const uint32_t *values, unsigned n);
/* A batch that spins until the dword at GPU address @flag is 0. */
void rig_batch_spin(struct bo *bo, uint64_t offset, uint64_t gpu_addr, uint64_t flag);
uint32_t rig_read32(const struct bo *bo, uint64_t offset);
void rig_write32(struct bo *bo, uint64_t offset, uint32_t value);

/* Does @addr translate for the GPU, past the TLBs? The stamp there, or 0 for not present. */
bool rig_mapped(struct vm *vm, uint64_t addr);
/* What the GPU reads at @addr, through engine 0's TLB. 0 or -EFAULT. */
int rig_load64(struct vm *vm, uint64_t addr, uint64_t *value_out);

/* Sleeps, and helps nobody. */
void rig_nap(uint64_t ns);
/* What an munmap() of the client does around the real one. */
void rig_client_drops(struct device *device, uint64_t addr, uint64_t size_B);

/* Waits for @fence and drops it. */
void rig_wait(struct fence *fence);
/* A fence nobody has signalled, to be signalled and dropped with rig_fence_done(). */
struct fence *rig_fence(struct device *device);
void rig_fence_done(struct fence *fence);

#endif
