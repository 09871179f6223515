// SPDX-License-Identifier: MIT
/*
 * Address spaces: VM_CREATE and VM_DESTROY.
 *
 * A context keeps its address space when the client gives up the number: it is closed with the last
 * of both. Those of VM_BIND become long-running or not with their first context; unbound addresses
 * read the scratch page, always.
 *
 * Closing a file: its contexts are killed, then its address spaces closed.
 */
#include "uapi/i915/i915.h"

struct i915_vm *i915_vm_lookup(struct uapi_file *file, uint32_t id)
{
	struct ids *vms = &i915_file(file)->vms;
	struct i915_vm *ivm;

	ids_lock(vms);
	ivm = ids_find_locked(vms, id);
	if (ivm) {
		ref_get(&ivm->ref);
	}
	ids_unlock(vms);
	return ivm;
}

struct i915_vm *i915_vm_get(struct i915_vm *ivm)
{
	ref_get(&ivm->ref);
	return ivm;
}

/* The last reference: no number and no context is left. */
void i915_vm_put(struct i915_vm *ivm)
{
	if (!ivm || !ref_put(&ivm->ref)) {
		return;
	}
	for (unsigned i = 0; i < I915_BIND_QUEUES; i++) {
		bind_queue_put(atomic_load(&ivm->queue[i]));
	}
	vm_close(ivm->vm);
	vm_put(ivm->vm);
	port_free(ivm);
}

struct bind_queue *i915_vm_queue(struct i915_vm *ivm, unsigned index)
{
	struct bind_queue *queue = atomic_load(&ivm->queue[index]), *other = NULL;

	if (queue) {
		return queue;
	}
	if (bind_queue_create(ivm->vm, &queue)) {
		return NULL;
	}
	if (!atomic_compare_exchange_strong(&ivm->queue[index], &other, queue)) {
		bind_queue_put(queue);
		queue = other;
	}
	return queue;
}

int i915_vm_create(struct uapi_file *file, bool bind_mode, struct i915_vm **vm_out)
{
	struct i915_vm *ivm = port_alloc(sizeof(*ivm));
	int ret;

	if (!ivm) {
		return -ENOMEM;
	}
	ret = vm_create(&file->device->dev->vm_env, VM_SCRATCH | VM_LR_LATER, &ivm->vm);
	if (ret) {
		port_free(ivm);
		return ret;
	}
	ref_init(&ivm->ref);
	ivm->bind_mode = bind_mode;
	*vm_out = ivm;
	return 0;
}

void i915_vm_close_all(struct uapi_file *file)
{
	struct ids *vms = &i915_file(file)->vms;
	uint32_t id = 0;

	while (ids_next(vms, &id)) {
		i915_vm_put(ids_remove(vms, id));
	}
}

int i915_vm_create_ioctl(struct uapi_file *file, void *data)
{
	struct drm_i915_gem_vm_control *args = data;
	struct i915_vm *ivm;
	int ret;

	if (args->flags & ~I915_VM_CREATE_FLAGS_USE_VM_BIND) {
		return -EINVAL;
	}
	ret = i915_vm_create(file, args->flags & I915_VM_CREATE_FLAGS_USE_VM_BIND, &ivm);
	if (ret) {
		return ret;
	}
	ret = args->extensions ? i915_extensions(args->extensions, NULL, 0, NULL) : 0;
	if (ret == 0) {
		ret = ids_alloc(&i915_file(file)->vms, ivm, &args->vm_id);
	}
	if (ret) {
		i915_vm_put(ivm);
	}
	return ret;
}

int i915_vm_destroy_ioctl(struct uapi_file *file, void *data)
{
	const struct drm_i915_gem_vm_control *args = data;
	struct i915_vm *ivm;

	if (args->flags || args->extensions) {
		return -EINVAL;
	}
	ivm = ids_remove(&i915_file(file)->vms, args->vm_id);
	if (!ivm) {
		return -ENOENT;
	}
	i915_vm_put(ivm);
	return 0;
}
