// SPDX-License-Identifier: MIT
/*
 * Address spaces: create, destroy, properties.
 *
 * Closing: no queue can be added any more, those there are are killed, then the core closes the
 * address space, which overtakes binds whose in-fences never signal. The number is withdrawn
 * first, so that two closes do not meet.
 */
#include "uapi/xe/xe.h"

#define CREATE_FLAGS                                                                               \
	(DRM_XE_VM_CREATE_FLAG_SCRATCH_PAGE | DRM_XE_VM_CREATE_FLAG_LR_MODE |                      \
	 DRM_XE_VM_CREATE_FLAG_FAULT_MODE | DRM_XE_VM_CREATE_FLAG_NO_VM_OVERCOMMIT)

static struct port_lock_class xe_vm_class = { .name = "xe.vm", .rank = RANK_GROUP_MODE };

struct xe_vm *xe_vm_lookup(struct uapi_file *file, uint32_t id)
{
	struct ids *vms = &xe_file(file)->vms;
	struct xe_vm *xvm;

	ids_lock(vms);
	xvm = ids_find_locked(vms, id);
	if (xvm) {
		ref_get(&xvm->ref);
	}
	ids_unlock(vms);
	return xvm;
}

void xe_vm_put(struct xe_vm *xvm)
{
	if (!ref_put(&xvm->ref)) {
		return;
	}
	ASSERT(atomic_load(&xvm->closed) && list_empty(&xvm->queues));
	vm_put(xvm->vm);
	port_mutex_fini(&xvm->lock);
	port_free(xvm);
}

bool xe_vm_closed_or_banned(struct xe_vm *xvm)
{
	return vm_is_banned(xvm->vm) || atomic_load(&xvm->closed);
}

int xe_vm_add_queue(struct xe_vm *xvm, struct xe_queue *queue)
{
	int ret = -ENOENT;

	port_mutex_lock(&xvm->lock);
	if (!atomic_load(&xvm->closed)) {
		list_add_tail(&xvm->queues, &queue->vm_node);
		ret = 0;
	}
	port_mutex_unlock(&xvm->lock);
	return ret;
}

static void vm_close_queues(struct xe_vm *xvm)
{
	port_mutex_lock(&xvm->lock);
	atomic_store(&xvm->closed, true);
	while (!list_empty(&xvm->queues)) {
		struct xe_queue *queue = list_first(&xvm->queues, struct xe_queue, vm_node);

		list_del(&queue->vm_node);
		xe_queue_get(queue);
		port_mutex_unlock(&xvm->lock);
		exec_queue_kill(queue->exec);
		xe_queue_put(queue);
		port_mutex_lock(&xvm->lock);
	}
	port_mutex_unlock(&xvm->lock);
}

/* Its number is withdrawn; takes over the table's reference. */
static void xe_vm_close(struct xe_vm *xvm)
{
	port_assert_no_locks();
	vm_close_queues(xvm);
	vm_close(xvm->vm);
	xe_vm_put(xvm);
}

void xe_vm_close_all(struct uapi_file *file)
{
	struct ids *vms = &xe_file(file)->vms;
	uint32_t id = 0;

	while (ids_next(vms, &id)) {
		xe_vm_close(ids_remove(vms, id));
	}
}

static unsigned core_flags(uint32_t flags)
{
	return (flags & DRM_XE_VM_CREATE_FLAG_SCRATCH_PAGE ? VM_SCRATCH : 0) |
	       (flags & DRM_XE_VM_CREATE_FLAG_LR_MODE ? VM_LR : 0) |
	       (flags & DRM_XE_VM_CREATE_FLAG_FAULT_MODE ? VM_FAULT : 0) |
	       (flags & DRM_XE_VM_CREATE_FLAG_NO_VM_OVERCOMMIT ? VM_NO_OVERCOMMIT : 0);
}

static int create_check(const struct drm_xe_vm_create *args)
{
	bool fault = args->flags & DRM_XE_VM_CREATE_FLAG_FAULT_MODE;

	if (args->extensions || args->reserved[0] || args->reserved[1]) {
		return -EINVAL;
	}
	if (args->flags & ~CREATE_FLAGS) {
		return -EINVAL;
	}
	if (fault && !(args->flags & DRM_XE_VM_CREATE_FLAG_LR_MODE)) {
		return -EINVAL;
	}
	if ((args->flags & DRM_XE_VM_CREATE_FLAG_NO_VM_OVERCOMMIT) && !fault) {
		return -EINVAL;
	}
	return 0;
}

int xe_vm_create_ioctl(struct uapi_file *file, void *data)
{
	struct drm_xe_vm_create *args = data;
	struct xe_vm *xvm;
	int ret = create_check(args);

	if (ret) {
		return ret;
	}
	xvm = port_alloc(sizeof(*xvm));
	if (!xvm) {
		return -ENOMEM;
	}
	ret = vm_create(&file->device->dev->vm_env, core_flags(args->flags), &xvm->vm);
	if (ret) {
		port_free(xvm);
		return ret;
	}
	ref_init(&xvm->ref);
	xvm->lr = args->flags & DRM_XE_VM_CREATE_FLAG_LR_MODE;
	xvm->fault = args->flags & DRM_XE_VM_CREATE_FLAG_FAULT_MODE;
	port_mutex_init(&xvm->lock, &xe_vm_class);
	list_init(&xvm->queues);
	ret = ids_alloc(&xe_file(file)->vms, xvm, &args->vm_id);
	if (ret) {
		xe_vm_close(xvm);
	}
	return ret;
}

int xe_vm_destroy_ioctl(struct uapi_file *file, void *data)
{
	struct drm_xe_vm_destroy *args = data;
	struct xe_vm *xvm;

	if (args->pad || args->reserved[0] || args->reserved[1]) {
		return -EINVAL;
	}
	xvm = ids_remove(&xe_file(file)->vms, args->vm_id);
	if (!xvm) {
		return -ENOENT;
	}
	xe_vm_close(xvm);
	return 0;
}

static struct xe_vm_fault fault_entry(const struct gpu_fault *fault, const struct vm *vm)
{
	/* Whatever made the translation unusable, the client sees an access that found none. */
	static const uint8_t type[] = {
		[GPU_FAULT_WRITE] = 1,
		[GPU_FAULT_ATOMIC] = 2,
	};

	return (struct xe_vm_fault){
		.address = gpu_va_canonical(vm->hw.fmt, align_down(fault->address, PAGE_SIZE)),
		.address_precision = (uint32_t)PAGE_SIZE,
		.access_type = (uint8_t)fault->access,
		.fault_type = fault->type < ARRAY_LEN(type) ? type[fault->type] : 0,
		.fault_level = fault->level,
	};
}

/* Without a size: how much there is. With one: so much of it, whole entries from the first. */
static int faults_get(struct vm *vm, struct drm_xe_vm_get_property *args)
{
	struct xe_vm_fault entry[VM_FAULTS_MAX];
	struct gpu_fault fault[VM_FAULTS_MAX];
	unsigned count = vm_faults(vm, fault, VM_FAULTS_MAX);

	if (!args->size) {
		args->size = (uint32_t)(count * sizeof(*entry));
		return 0;
	}
	if (args->size > count * sizeof(*entry) || args->size % sizeof(*entry)) {
		return -EINVAL;
	}
	for (unsigned i = 0; i < count; i++) {
		entry[i] = fault_entry(&fault[i], vm);
	}
	return port_copy_to_user(args->data, entry, args->size);
}

int xe_vm_get_property_ioctl(struct uapi_file *file, void *data)
{
	struct drm_xe_vm_get_property *args = data;
	struct xe_vm *xvm;
	int ret;

	if (args->extensions || args->pad || args->reserved[0] || args->reserved[1] ||
	    args->reserved[2]) {
		return -EINVAL;
	}
	xvm = xe_vm_lookup(file, args->vm_id);
	if (!xvm) {
		return -ENOENT;
	}
	ret = args->property == DRM_XE_VM_GET_PROPERTY_FAULTS ? faults_get(xvm->vm, args) : -EINVAL;
	xe_vm_put(xvm);
	return ret;
}
