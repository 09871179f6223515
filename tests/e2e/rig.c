// SPDX-License-Identifier: MIT
#include "rig.h"

#include "test_rules.h"

static const struct device_engine_desc engines[RIG_ENGINES] = {
	[RIG_RENDER] = { GPU_CLASS_RENDER, 0 },
	[RIG_COPY] = { GPU_CLASS_COPY, 0 },
	[RIG_COMPUTE0] = { GPU_CLASS_COMPUTE, 0 },
	[RIG_COMPUTE1] = { GPU_CLASS_COMPUTE, 1 },
};

static const struct mem_config usual_mem = {
	.system_B = (uint64_t)64 << 20,
	.vram_B = (uint64_t)64 << 20,
	.vram_min_page_B = SZ_64K,
};

static struct device *make_device(const struct mem_config *mem, enum device_schedule schedule,
				  enum vm_tlb_rule rule)
{
	const struct device_config config = {
		.mem = *mem,
		.engines = engines,
		.engine_count = RIG_ENGINES,
		.fmt = &gpu_format_intel48,
		.graphics_ver = 20,
		.schedule = schedule,
		.tlb_rule = rule,
	};
	struct device *device = NULL;
	int ret = device_create(&config, &device);

	CHECK(!ret || test_injected());
	if (ret) {
		return NULL;
	}
	test_follow_rules(&device->events);
	return device;
}

struct device *rig_device(enum device_schedule schedule)
{
	return make_device(&usual_mem, schedule, VM_TLB_AT_UNBIND);
}

struct device *rig_device_with(enum device_schedule schedule, enum vm_tlb_rule rule)
{
	return make_device(&usual_mem, schedule, rule);
}

struct device *rig_device_sized(const struct mem_config *mem)
{
	return make_device(mem, SCHEDULE_NORMAL, VM_TLB_AT_UNBIND);
}

struct device *rig_device_with_memory(const struct mem_config *mem, enum device_schedule schedule)
{
	return make_device(mem, schedule, VM_TLB_AT_UNBIND);
}

struct device *rig_device_moving(enum device_schedule schedule, uint64_t vram_B)
{
	const struct mem_config mem = {
		.system_B = (uint64_t)8 << 20,
		.vram_B = vram_B,
		.vram_min_page_B = SZ_64K,
		.vram_copies = true,
	};

	return make_device(&mem, schedule, VM_TLB_AT_UNBIND);
}

struct vm *rig_vm(struct device *device, unsigned flags)
{
	struct vm *vm = NULL;
	int ret = vm_create(&device->vm_env, flags, &vm);

	CHECK(!ret || test_injected());
	return ret ? NULL : vm;
}

void rig_vm_done(struct vm *vm)
{
	vm_check(vm);
	vm_close(vm);
	vm_put(vm);
}

uint64_t rig_stamp(const struct bo *bo, uint64_t page)
{
	return (bo->id << 32) | (page + 1);
}

struct bo *rig_bo(struct device *device, uint64_t size_B, enum mem_region region)
{
	struct bo *bo = NULL;
	int ret = bo_create(&device->mem, size_B, BIT(region), &bo);

	CHECK(!ret || test_injected());
	if (ret) {
		return NULL;
	}
	for (uint64_t page = 0; page < bo->size_B / PAGE_SIZE; page++) {
		uint64_t stamp = rig_stamp(bo, page);

		memcpy((char *)bo_host(bo) + page * PAGE_SIZE, &stamp, sizeof(stamp));
	}
	return bo;
}

struct bind_op rig_map(struct bo *bo, uint64_t addr, uint64_t offset, uint64_t range)
{
	return (struct bind_op){
		.kind = BIND_MAP, .bo = bo, .addr = addr, .offset = offset, .range = range,
	};
}

struct bind_op rig_map_null(uint64_t addr, uint64_t range)
{
	return (struct bind_op){ .kind = BIND_MAP, .null = true, .addr = addr, .range = range };
}

struct bind_op rig_map_user(const void *mem, uint64_t addr, uint64_t range)
{
	return (struct bind_op){
		.kind = BIND_MAP_USERPTR, .addr = addr, .range = range,
		.offset = (uint64_t)(uintptr_t)mem,
	};
}

struct bind_op rig_unmap_bo(struct bo *bo)
{
	return (struct bind_op){ .kind = BIND_UNMAP_BO, .bo = bo };
}

struct bind_op rig_unmap(uint64_t addr, uint64_t range)
{
	return (struct bind_op){ .kind = BIND_UNMAP, .addr = addr, .range = range };
}

int rig_bind_list(struct vm *vm, struct bind_queue *queue, const struct bind_op *ops, unsigned n,
		  struct fence *in, struct fence **out)
{
	struct bind_args args = {
		.ops = ops,
		.op_count = n,
		.queue = queue,
		.in_fences = in ? &in : NULL,
		.in_count = in ? 1 : 0,
	};

	return vm_bind(vm, &args, out);
}

int rig_bind(struct vm *vm, struct bind_op op)
{
	struct fence *fence;
	int ret = rig_bind_list(vm, NULL, &op, 1, NULL, &fence);

	if (!ret) {
		rig_wait(fence);
	}
	return ret;
}

struct fence *rig_bind_async(struct vm *vm, struct bind_queue *queue, struct bind_op op,
			     struct fence *in)
{
	struct fence *fence = NULL;

	CHECK_OK(rig_bind_list(vm, queue, &op, 1, in, &fence));
	return fence;
}

struct exec_queue *rig_queue(struct device *device, struct vm *vm, unsigned engine)
{
	return rig_queue_timed(device, vm, engine, 0);
}

struct exec_queue *rig_queue_timed(struct device *device, struct vm *vm, unsigned engine,
				   uint32_t job_timeout_ms)
{
	uint8_t index = (uint8_t)engine;
	struct exec_queue_args args = {
		.vm = vm, .width = 1, .placements = 1, .engines = &index,
		.priority = EXEC_PRIORITY_NORMAL, .job_timeout_ms = job_timeout_ms,
	};
	struct exec_queue *queue = NULL;
	int ret = exec_queue_create(device, &args, &queue);

	CHECK(!ret || test_injected());
	return ret ? NULL : queue;
}

void rig_queue_done(struct exec_queue *queue)
{
	exec_queue_kill(queue);
	exec_queue_put(queue);
}

int rig_exec(struct exec_queue *queue, uint64_t batch, struct fence *in, struct fence **out)
{
	struct exec_args args = {
		.batches = &batch,
		.in_fences = in ? &in : NULL,
		.in_count = in ? 1 : 0,
	};

	return exec_submit(queue, &args, out);
}

int rig_exec_wait(struct exec_queue *queue, uint64_t batch)
{
	struct fence *fence;
	int ret = rig_exec(queue, batch, NULL, &fence);

	if (!ret) {
		CHECK_OK(fence_wait(fence, PORT_FOREVER, 0));
		ret = fence_error(fence);
		fence_put(fence);
	}
	return ret;
}

uint64_t rig_batch_stores(struct bo *bo, uint64_t offset, const uint64_t *addrs,
			  const uint32_t *values, unsigned n)
{
	uint32_t *cs = (uint32_t *)((char *)bo_host(bo) + offset);
	unsigned i = 0;

	for (unsigned k = 0; k < n; k++) {
		cs[i++] = 0x20u << 23 | 2; /* MI_STORE_DATA_IMM */
		cs[i++] = (uint32_t)addrs[k];
		cs[i++] = (uint32_t)(addrs[k] >> 32);
		cs[i++] = values[k];
	}
	cs[i++] = 0x0au << 23; /* MI_BATCH_BUFFER_END */
	return i * sizeof(uint32_t);
}

uint64_t rig_batch_swap(struct bo *bo, uint64_t offset, const uint64_t *addrs, unsigned n,
			uint64_t results, uint32_t value)
{
	uint32_t *cs = (uint32_t *)((char *)bo_host(bo) + offset);
	unsigned i = 0;

	for (unsigned k = 0; k < n; k++) {
		cs[i++] = 0x2eu << 23 | 3; /* MI_COPY_MEM_MEM */
		cs[i++] = (uint32_t)(results + 4 * k);
		cs[i++] = (uint32_t)((results + 4 * k) >> 32);
		cs[i++] = (uint32_t)addrs[k];
		cs[i++] = (uint32_t)(addrs[k] >> 32);
		cs[i++] = 0x20u << 23 | 2; /* MI_STORE_DATA_IMM */
		cs[i++] = (uint32_t)addrs[k];
		cs[i++] = (uint32_t)(addrs[k] >> 32);
		cs[i++] = value;
	}
	cs[i++] = 0x0au << 23; /* MI_BATCH_BUFFER_END */
	return i * sizeof(uint32_t);
}

void rig_batch_spin(struct bo *bo, uint64_t offset, uint64_t gpu_addr, uint64_t flag)
{
	uint32_t *cs = (uint32_t *)((char *)bo_host(bo) + offset);

	cs[0] = 0x36u << 23 | 1u << 21 | 2; /* MI_CONDITIONAL_BATCH_BUFFER_END, compare */
	cs[1] = 0;
	cs[2] = (uint32_t)flag;
	cs[3] = (uint32_t)(flag >> 32);
	cs[4] = 0x31u << 23 | 1u << 8 | 1; /* MI_BATCH_BUFFER_START, PPGTT */
	cs[5] = (uint32_t)gpu_addr;
	cs[6] = (uint32_t)(gpu_addr >> 32);
}

uint32_t rig_read32(const struct bo *bo, uint64_t offset)
{
	const uint32_t *p = (const uint32_t *)((const char *)bo_host(bo) + offset);

	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

void rig_write32(struct bo *bo, uint64_t offset, uint32_t value)
{
	__atomic_store_n((uint32_t *)((char *)bo_host(bo) + offset), value, __ATOMIC_RELEASE);
}

bool rig_mapped(struct vm *vm, uint64_t addr)
{
	struct gpu_pte pte;
	unsigned level;

	return gpu_walk(&mem_gpu_ops, vm->env->mem, &vm->hw, addr, &pte, &level) == 0;
}

int rig_load64(struct vm *vm, uint64_t addr, uint64_t *value_out)
{
	struct gpu_fault fault;

	return vm->env->gpu->load(vm->env->engines[0], &vm->hw, addr, value_out,
				  sizeof(*value_out), &fault);
}

void rig_client_drops(struct device *device, uint64_t addr, uint64_t size_B)
{
	struct mem_client_range range;

	mem_client_range_begin(&device->mem, &range, addr, size_B);
	mem_client_range_end(&device->mem, &range);
}

void rig_wait(struct fence *fence)
{
	CHECK_OK(fence_wait(fence, PORT_FOREVER, 0));
	fence_put(fence);
}

struct fence *rig_fence(struct device *device)
{
	struct fence *fence = fence_create(&device->sync, FENCE_DMA);

	CHECK(fence || test_injected());
	return fence;
}

void rig_fence_done(struct fence *fence)
{
	fence_signal(fence, 0);
	fence_put(fence);
}

void rig_nap(uint64_t ns)
{
	struct port_wq wq;

	port_wq_init(&wq);
	(void)port_wq_wait(&wq, port_wq_prepare(&wq), port_now_ns() + ns, 0);
}
