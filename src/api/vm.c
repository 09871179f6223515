// SPDX-License-Identifier: MIT
/*
 * Address spaces and objects: handles to those of the core.
 *
 * An address space is closed when its handle goes; first its execution queues are killed, whose own
 * handles may still be there, and hold it. An object's mappings hold it in the core.
 *
 * Locking: vmb_vm.lock protects the list of queues. Example: examples/map.c.
 */
#include "api/api.h"

#define VM_FLAGS (VMB_VM_SCRATCH | VMB_VM_LONG_RUNNING | VMB_VM_FAULT)

_Static_assert(VMB_BAN_FAULT == (int)VM_BANNED_FAULT &&
	       VMB_BAN_BY_OWNER == (int)VM_BANNED_BY_OWNER, "bans");
_Static_assert(VMB_ACCESS_READ == (int)GPU_READ && VMB_ACCESS_WRITE == (int)GPU_WRITE &&
	       VMB_ACCESS_ATOMIC == (int)GPU_ATOMIC, "accesses");
_Static_assert(VMB_FAULT_NOT_PRESENT == (int)GPU_FAULT_NOT_PRESENT &&
	       VMB_FAULT_WRITE == (int)GPU_FAULT_WRITE &&
	       VMB_FAULT_ATOMIC == (int)GPU_FAULT_ATOMIC &&
	       VMB_FAULT_STALE == (int)GPU_FAULT_STALE &&
	       VMB_FAULT_MEMORY == (int)GPU_FAULT_MEMORY, "faults");
_Static_assert(VMB_BO_SYSTEM == BIT(MEM_SYSTEM) && VMB_BO_VRAM == BIT(MEM_VRAM), "placements");

static struct port_lock_class vm_class = { .name = "api.vm", .rank = RANK_GROUP_MODE };

struct vmb_vm *api_vm_get(struct vmb_vm *vm)
{
	ref_get(&vm->ref);
	return vm;
}

void api_vm_put(struct vmb_vm *vm)
{
	if (!ref_put(&vm->ref)) {
		return;
	}
	ASSERT(list_empty(&vm->queues));
	vm_put(vm->core);
	port_mutex_fini(&vm->lock);
	api_handle_free(vm->device, vm);
}

static int core_flags(const struct vmb_vm_args *args, unsigned *flags_out)
{
	static const unsigned errors[] = {
		[VMB_ERRORS_UNWIND] = 0,
		[VMB_ERRORS_RESTART] = VM_ERRORS_RESTART,
		[VMB_ERRORS_COOKIE] = VM_ERRORS_COOKIE,
	};

	if ((args->flags & ~VM_FLAGS) || args->errors >= ARRAY_LEN(errors)) {
		return -EINVAL;
	}
	if ((args->flags & VMB_VM_FAULT) && !(args->flags & VMB_VM_LONG_RUNNING)) {
		return -EINVAL;
	}
	*flags_out = (args->flags & VMB_VM_SCRATCH ? VM_SCRATCH : 0) |
		     (args->flags & VMB_VM_LONG_RUNNING ? VM_LR : 0) |
		     (args->flags & VMB_VM_FAULT ? VM_FAULT : 0) | errors[args->errors];
	return 0;
}

EXPORT int vmb_vm_create(struct vmb_device *device, const struct vmb_vm_args *args,
			 struct vmb_vm **vm_out)
{
	struct vmb_vm_args mine;
	struct vmb_vm *vm;
	unsigned flags = 0;
	int ret;

	if (!vm_out) {
		return -EINVAL;
	}
	*vm_out = NULL;
	ret = device ? api_args_read(args, &mine, sizeof(mine)) : -EINVAL;
	if (ret == 0) {
		ret = core_flags(&mine, &flags);
	}
	if (ret) {
		return ret;
	}
	vm = api_handle_alloc(device, sizeof(*vm));
	if (!vm) {
		return -ENOMEM;
	}
	ret = vm_create(&device->core->vm_env, flags, &vm->core);
	if (ret) {
		api_handle_free(device, vm);
		return ret;
	}
	ref_init(&vm->ref);
	vm->device = device;
	port_mutex_init(&vm->lock, &vm_class);
	list_init(&vm->queues);
	*vm_out = vm;
	return 0;
}

/* Takes a queue off the list, with a reference of the core's; NULL when none is left. */
static struct exec_queue *next_queue(struct vmb_vm *vm)
{
	struct exec_queue *core = NULL;

	port_mutex_lock(&vm->lock);
	if (!list_empty(&vm->queues)) {
		struct vmb_queue *queue = list_first(&vm->queues, struct vmb_queue, node);

		list_del(&queue->node);
		core = exec_queue_get(queue->core);
	}
	port_mutex_unlock(&vm->lock);
	return core;
}

EXPORT void vmb_vm_destroy(struct vmb_vm *vm)
{
	struct exec_queue *queue;

	if (!vm) {
		return;
	}
	port_assert_no_locks();
	while ((queue = next_queue(vm))) {
		exec_queue_kill(queue);
		exec_queue_put(queue);
	}
	vm_close(vm->core);
	api_vm_put(vm);
}

EXPORT void vmb_vm_ban(struct vmb_vm *vm)
{
	if (vm) {
		vm_ban(vm->core, VM_BANNED_BY_OWNER);
	}
}

EXPORT int vmb_vm_ban_reason(struct vmb_vm *vm)
{
	return vm ? (int)vm_ban_reason(vm->core) : -EINVAL;
}

EXPORT int vmb_vm_mapping_next(struct vmb_vm *vm, uint64_t addr, struct vmb_mapping *mapping_out)
{
	struct vm_mapping found;
	struct vmb_mapping mine;

	if (!vm || !mapping_out || !api_reply_fits(mapping_out)) {
		return -EINVAL;
	}
	if (!vm_mapping_next(vm->core, addr, &found)) {
		return -ENOENT;
	}
	mine = (struct vmb_mapping){
		.start = found.start,
		.end = found.end,
		.bo_id = found.bo_id,
		.offset = found.offset,
		.flags = (found.readonly ? VMB_MAPPING_READONLY : 0) |
			 (found.null ? VMB_MAPPING_NULL : 0) |
			 (found.userptr ? VMB_MAPPING_USER : 0),
		.pat = found.pat,
	};
	api_reply_write(mapping_out, &mine, sizeof(mine));
	return 0;
}

EXPORT int vmb_vm_usage(struct vmb_vm *vm, struct vmb_vm_usage *usage_out)
{
	struct vmb_vm_usage mine;
	struct vm_usage found;

	if (!vm || !usage_out || !api_reply_fits(usage_out)) {
		return -EINVAL;
	}
	vm_usage(vm->core, &found);
	mine = (struct vmb_vm_usage){
		.mappings = found.mappings,
		.evicted = found.evicted,
		.mapped_B = found.mapped_B,
		.bo_B = found.bo_B,
		.vram_B = found.vram_B,
		.page_tables_B = found.page_tables_B,
		.page_table_frames_B = found.page_table_frames_B,
	};
	api_reply_write(usage_out, &mine, sizeof(mine));
	return 0;
}

EXPORT int vmb_vm_faults(struct vmb_vm *vm, struct vmb_fault *faults_out, unsigned cap)
{
	struct gpu_fault found[VM_FAULTS_MAX];
	unsigned count;

	if (!vm || (cap && !faults_out)) {
		return -EINVAL;
	}
	count = vm_faults(vm->core, found, VM_FAULTS_MAX);
	for (unsigned i = 0; i < count && i < cap; i++) {
		faults_out[i] = (struct vmb_fault){
			.addr = found[i].address,
			.access = found[i].access,
			.type = found[i].type,
			.level = found[i].level,
		};
	}
	return (int)count;
}

static int vm_access(struct vmb_vm *vm, uint64_t addr, void *buf, size_t length_B,
		     enum gpu_access access)
{
	struct gpu_fault fault;

	if (!vm || (length_B && !buf)) {
		return -EINVAL;
	}
	if (!range_inside(addr, length_B, BIT64(vm->core->env->fmt->va_bits))) {
		return -EFAULT;
	}
	return device_access(vm->device->core, vm->core, addr, buf, length_B, access, &fault);
}

EXPORT int vmb_vm_read(struct vmb_vm *vm, uint64_t addr, void *buf, size_t length_B)
{
	return vm_access(vm, addr, buf, length_B, GPU_READ);
}

EXPORT int vmb_vm_write(struct vmb_vm *vm, uint64_t addr, const void *buf, size_t length_B)
{
	/* Nothing is stored there: the access is a write of the GPU's. */
	return vm_access(vm, addr, (void *)(uintptr_t)buf, length_B, GPU_WRITE);
}

/* ---- objects --------------------------------------------------------------------------------- */

EXPORT int vmb_bo_create(struct vmb_device *device, const struct vmb_bo_args *args,
			 struct vmb_bo **bo_out)
{
	struct vmb_bo_args mine;
	struct vmb_bo *bo;
	int ret;

	if (!bo_out) {
		return -EINVAL;
	}
	*bo_out = NULL;
	ret = device && args ? api_args_read(args, &mine, sizeof(mine)) : -EINVAL;
	if (ret) {
		return ret;
	}
	if (mine.reserved || (mine.vm && mine.vm->device != device)) {
		return -EINVAL;
	}
	bo = api_handle_alloc(device, sizeof(*bo));
	if (!bo) {
		return -ENOMEM;
	}
	ret = bo_create(&device->core->mem, mine.length_B,
			mine.placement ? mine.placement : VMB_BO_SYSTEM, &bo->core);
	if (ret) {
		api_handle_free(device, bo);
		return ret;
	}
	bo->device = device;
	bo->core->owner_vm_id = mine.vm ? mine.vm->core->id : 0;
	bo->core->needs_visible = true; /* vmb_bo_map() cannot fail */
	*bo_out = bo;
	return 0;
}

EXPORT void vmb_bo_destroy(struct vmb_bo *bo)
{
	if (bo) {
		bo_put(bo->core);
		api_handle_free(bo->device, bo);
	}
}

EXPORT void *vmb_bo_map(struct vmb_bo *bo)
{
	return bo ? bo_host(bo->core) : NULL;
}

EXPORT uint64_t vmb_bo_length(const struct vmb_bo *bo)
{
	return bo ? bo->core->size_B : 0;
}

EXPORT uint64_t vmb_bo_id(const struct vmb_bo *bo)
{
	return bo ? bo->core->id : 0;
}
