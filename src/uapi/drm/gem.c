// SPDX-License-Identifier: MIT
/*
 * Objects and handles: the tables that say which file may name which object, global names, and
 * sharing by descriptor.
 *
 * A drm_object stands for a bo as long as anybody has a handle to it; it is found by the bo's
 * window, which is also the offset clients map it at. A drm_handle joins one file and one object.
 *
 * Locking: file.handle_lock is held while handles of a file are made or dropped and while an
 * import looks for an existing one; inside it the leaf locks of the tables and device.gem_lock,
 * never two leaves at once. An object is freed by whoever drops its last handle, after it has left
 * all tables.
 *
 * Example: PRIME_FD_TO_HANDLE of an object the file has already: its handle, not a second one.
 */
#include "uapi/drm/drm.h"

static struct port_lock_class gem_class = { .name = "drm.gem", .rank = RANK_LEAF };

int drm_gem_device_init(struct uapi_device *device)
{
	device->gem_buckets = port_alloc(DRM_GEM_BUCKETS * sizeof(*device->gem_buckets));
	if (!device->gem_buckets) {
		return -ENOMEM;
	}
	for (unsigned i = 0; i < DRM_GEM_BUCKETS; i++) {
		list_init(&device->gem_buckets[i]);
	}
	port_mutex_init(&device->gem_lock, &gem_class);
	ids_init(&device->names);
	return 0;
}

void drm_gem_device_fini(struct uapi_device *device)
{
	for (unsigned i = 0; i < DRM_GEM_BUCKETS; i++) {
		ASSERT(list_empty(&device->gem_buckets[i]));
	}
	ids_fini(&device->names);
	port_mutex_fini(&device->gem_lock);
	port_free(device->gem_buckets);
	device->gem_buckets = NULL;
}

static struct list *bucket_of(struct uapi_device *device, uint64_t offset)
{
	uint64_t mixed = (offset >> PAGE_SHIFT) * UINT64_C(0x9e3779b97f4a7c15);

	return &device->gem_buckets[(mixed >> 32) % DRM_GEM_BUCKETS];
}

static struct drm_object *object_at_locked(struct uapi_device *device, uint64_t offset)
{
	port_mutex_assert_held(&device->gem_lock);
	list_for_each(object, bucket_of(device, offset), struct drm_object, node) {
		if (object->bo->mmap_off == offset) {
			return object;
		}
	}
	return NULL;
}

static struct drm_handle *handle_of_locked(struct drm_object *object, struct uapi_file *file)
{
	port_mutex_assert_held(&file->device->gem_lock);
	list_for_each(entry, &object->handles, struct drm_handle, object_node) {
		if (entry->file == file) {
			return entry;
		}
	}
	return NULL;
}

/* Joins @entry to the object of @bo, which is @spare when there is none yet. */
static void handle_link(struct drm_handle *entry, struct bo *bo, struct drm_object *spare)
{
	struct uapi_device *device = entry->file->device;
	struct drm_object *object;

	port_mutex_lock(&device->gem_lock);
	object = object_at_locked(device, bo->mmap_off);
	if (!object) {
		object = spare;
		spare = NULL;
		object->bo = bo_get(bo);
		list_init(&object->handles);
		list_add_head(bucket_of(device, bo->mmap_off), &object->node);
	}
	ASSERT(object->bo == bo);
	entry->object = object;
	list_add_tail(&object->handles, &entry->object_node);
	port_mutex_unlock(&device->gem_lock);
	port_free(spare);
}

/* The handle has left its file's table. */
static void handle_unlink(struct drm_handle *entry)
{
	struct uapi_device *device = entry->file->device;
	struct drm_object *object = entry->object;
	bool last;

	port_mutex_lock(&device->gem_lock);
	list_del(&entry->object_node);
	last = list_empty(&object->handles);
	if (last) {
		list_del(&object->node);
	}
	port_mutex_unlock(&device->gem_lock);
	if (last) {
		if (object->name) {
			ids_remove(&device->names, object->name);
		}
		bo_put(object->bo);
		port_free(object);
	}
	port_free(entry);
}

static int handle_create_locked(struct uapi_file *file, struct bo *bo, uint32_t *handle_out)
{
	struct drm_object *spare = port_alloc(sizeof(*spare));
	struct drm_handle *entry = port_alloc(sizeof(*entry));
	int ret;

	port_mutex_assert_held(&file->handle_lock);
	if (!spare || !entry) {
		port_free(spare);
		port_free(entry);
		return -ENOMEM;
	}
	entry->file = file;
	handle_link(entry, bo, spare);
	/*
	 * Published last. Another thread of the client may guess the number and close it at once:
	 * it waits for handle_lock, so @entry is still there.
	 */
	ret = ids_alloc(&file->handles, entry, &entry->handle);
	if (ret) {
		handle_unlink(entry);
		return ret;
	}
	*handle_out = entry->handle;
	return 0;
}

int drm_gem_handle_create(struct uapi_file *file, struct bo *bo, uint32_t *handle_out)
{
	int ret;

	port_mutex_lock(&file->handle_lock);
	ret = handle_create_locked(file, bo, handle_out);
	port_mutex_unlock(&file->handle_lock);
	return ret;
}

struct bo *drm_gem_lookup(struct uapi_file *file, uint32_t handle)
{
	struct drm_handle *entry;
	struct bo *bo = NULL;

	ids_lock(&file->handles);
	entry = ids_find_locked(&file->handles, handle);
	if (entry) {
		bo = bo_get(entry->object->bo);
	}
	ids_unlock(&file->handles);
	return bo;
}

int drm_gem_mmap_offset(struct uapi_file *file, uint32_t handle, uint64_t *offset_out)
{
	struct bo *bo = drm_gem_lookup(file, handle);

	if (!bo) {
		return -ENOENT;
	}
	*offset_out = bo->mmap_off;
	bo_put(bo);
	return 0;
}

bool drm_gem_next(struct uapi_file *file, uint32_t *handle_io, struct bo **bo_out,
		  bool *shared_out)
{
	struct drm_handle *entry;

	port_mutex_lock(&file->handle_lock);
	entry = ids_next(&file->handles, handle_io);
	if (entry) {
		const struct list *handles = &entry->object->handles;

		port_mutex_lock(&file->device->gem_lock);
		*shared_out = handles->next != handles->prev;
		port_mutex_unlock(&file->device->gem_lock);
		*bo_out = bo_get(entry->object->bo);
	}
	port_mutex_unlock(&file->handle_lock);
	return entry != NULL;
}

int drm_gem_at_offset(struct uapi_file *file, uint64_t offset, struct bo **bo_out)
{
	struct uapi_device *device = file->device;
	struct drm_object *object;
	int ret = -EINVAL;

	port_mutex_lock(&device->gem_lock);
	object = object_at_locked(device, offset);
	if (object) {
		ret = -EACCES;
		if (handle_of_locked(object, file)) {
			*bo_out = bo_get(object->bo);
			ret = 0;
		}
	}
	port_mutex_unlock(&device->gem_lock);
	return ret;
}

static bool handle_close(struct uapi_file *file, uint32_t handle)
{
	struct drm_handle *entry;

	port_mutex_lock(&file->handle_lock);
	entry = ids_remove(&file->handles, handle);
	if (entry) {
		handle_unlink(entry);
	}
	port_mutex_unlock(&file->handle_lock);
	return entry != NULL;
}

void drm_gem_file_close(struct uapi_file *file)
{
	uint32_t handle = 0;

	while (ids_next(&file->handles, &handle)) {
		handle_close(file, handle);
	}
}

int drm_gem_close_ioctl(struct uapi_file *file, void *data)
{
	struct drm_gem_close *args = data;

	return handle_close(file, args->handle) ? 0 : -EINVAL;
}

/* ---- global names ---------------------------------------------------------------------------- */

static int object_name_locked(struct uapi_device *device, struct drm_object *object)
{
	uint32_t name;
	int ret = 0;

	if (object->name) {
		return 0;
	}
	ret = ids_alloc(&device->names, object, &name);
	if (ret) {
		return ret;
	}
	port_mutex_lock(&device->gem_lock);
	if (!object->name) {
		object->name = name;
		name = 0;
	}
	port_mutex_unlock(&device->gem_lock);
	if (name) { /* another file with a handle was faster */
		ids_remove(&device->names, name);
	}
	return 0;
}

int drm_gem_flink_ioctl(struct uapi_file *file, void *data)
{
	struct drm_gem_flink *args = data;
	struct drm_handle *entry;
	int ret = -ENOENT;

	/* The handle cannot be closed meanwhile, so the object stays. */
	port_mutex_lock(&file->handle_lock);
	ids_lock(&file->handles);
	entry = ids_find_locked(&file->handles, args->handle);
	ids_unlock(&file->handles);
	if (entry) {
		ret = object_name_locked(file->device, entry->object);
		args->name = entry->object->name;
	}
	port_mutex_unlock(&file->handle_lock);
	return ret;
}

int drm_gem_open_ioctl(struct uapi_file *file, void *data)
{
	struct ids *names = &file->device->names;
	struct drm_gem_open *args = data;
	struct drm_object *object;
	struct bo *bo = NULL;
	int ret;

	ids_lock(names);
	object = ids_find_locked(names, args->name);
	if (object) {
		bo = bo_get(object->bo);
	}
	ids_unlock(names);
	if (!bo) {
		return -ENOENT;
	}
	ret = drm_gem_handle_create(file, bo, &args->handle);
	args->size = bo->size_B;
	bo_put(bo);
	return ret;
}

/* ---- descriptors ----------------------------------------------------------------------------- */

int drm_prime_handle_to_fd_ioctl(struct uapi_file *file, void *data)
{
	struct uapi_device *device = file->device;
	struct drm_prime_handle *args = data;
	struct bo *bo;
	int fd;

	if (args->flags & ~(DRM_CLOEXEC | DRM_RDWR)) {
		return -EINVAL;
	}
	bo = drm_gem_lookup(file, args->handle);
	if (!bo) {
		return -ENOENT;
	}
	fd = device->driver->share_check(bo);
	if (fd < 0) {
		bo_put(bo);
		return fd;
	}
	fd = device->host->fd_install(device->host_ctx, UAPI_FD_DMABUF, bo, bo->size_B,
				      args->flags & DRM_CLOEXEC);
	if (fd < 0) {
		bo_put(bo);
		return fd;
	}
	args->fd = fd;
	return 0;
}

static int import_locked(struct uapi_file *file, struct bo *bo, uint32_t *handle_out)
{
	struct uapi_device *device = file->device;
	struct drm_object *object;
	struct drm_handle *entry = NULL;

	port_mutex_lock(&device->gem_lock);
	object = object_at_locked(device, bo->mmap_off);
	if (object) {
		entry = handle_of_locked(object, file);
	}
	if (entry) {
		*handle_out = entry->handle;
	}
	port_mutex_unlock(&device->gem_lock);
	return entry ? 0 : handle_create_locked(file, bo, handle_out);
}

int drm_prime_fd_to_handle_ioctl(struct uapi_file *file, void *data)
{
	struct uapi_device *device = file->device;
	struct drm_prime_handle *args = data;
	struct bo *bo;
	int ret;

	if (args->fd < 0 || (device->host->fd_is_open &&
			     !device->host->fd_is_open(device->host_ctx, args->fd))) {
		return -EBADF;
	}
	bo = device->host->fd_lookup(device->host_ctx, args->fd, UAPI_FD_DMABUF);
	if (!bo) {
		return -EINVAL;
	}
	if (bo->mem != &device->dev->mem) { /* of another device: not reachable here */
		bo_put(bo);
		return -EINVAL;
	}
	port_mutex_lock(&file->handle_lock);
	ret = import_locked(file, bo, &args->handle);
	port_mutex_unlock(&file->handle_lock);
	bo_put(bo);
	return ret;
}
