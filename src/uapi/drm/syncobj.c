// SPDX-License-Identifier: MIT
/*
 * Syncobj ioctls: handles, descriptors, waiting, signalling, timelines.
 *
 * Lists of handles are looked up whole before anything happens: an unknown one is -ENOENT and
 * nothing was signalled or reset. The two conversions between handles and descriptors say -EINVAL
 * for what they do not find, as clients know it.
 *
 * Locking: none held while waiting. Example: TIMELINE_WAIT with WAIT_AVAILABLE blocks until the
 * points exist, whether or not they are signalled.
 */
#include "uapi/drm/drm.h"

#define TRANSFER_TIMEOUT_NS (UINT64_C(5) * 1000 * 1000 * 1000)
#define MAX_HANDLES (1u << 20)

struct syncobj *drm_syncobj_lookup(struct uapi_file *file, uint32_t handle)
{
	struct syncobj *so;

	ids_lock(&file->syncobjs);
	so = ids_find_locked(&file->syncobjs, handle);
	if (so) {
		syncobj_get(so);
	}
	ids_unlock(&file->syncobjs);
	return so;
}

void drm_syncobj_file_close(struct uapi_file *file)
{
	uint32_t handle = 0;

	while (ids_next(&file->syncobjs, &handle)) {
		syncobj_put(ids_remove(&file->syncobjs, handle));
	}
}

/* Gives @so, whose reference it takes over, a handle. */
static int syncobj_publish(struct uapi_file *file, struct syncobj *so, uint32_t *handle_out)
{
	int ret = ids_alloc(&file->syncobjs, so, handle_out);

	if (ret) {
		syncobj_put(so);
	}
	return ret;
}

int drm_syncobj_create_ioctl(struct uapi_file *file, void *data)
{
	struct drm_syncobj_create *args = data;
	struct syncobj *so;

	if (args->flags & ~DRM_SYNCOBJ_CREATE_SIGNALED) {
		return -EINVAL;
	}
	so = syncobj_create(&file->device->dev->sync, args->flags & DRM_SYNCOBJ_CREATE_SIGNALED);
	return so ? syncobj_publish(file, so, &args->handle) : -ENOMEM;
}

int drm_syncobj_destroy_ioctl(struct uapi_file *file, void *data)
{
	struct drm_syncobj_destroy *args = data;
	struct syncobj *so;

	if (args->pad) {
		return -EINVAL;
	}
	so = ids_remove(&file->syncobjs, args->handle);
	if (!so) {
		return -EINVAL;
	}
	syncobj_put(so);
	return 0;
}

/* ---- descriptors ----------------------------------------------------------------------------- */

static int export_sync_file(struct uapi_file *file, uint32_t handle, uint64_t point, int *fd_out)
{
	struct sync_file *sync_file;
	struct syncobj *so = drm_syncobj_lookup(file, handle);
	struct fence *fence = NULL;
	int ret;

	if (!so) {
		return -ENOENT;
	}
	ret = syncobj_find(so, point, &fence);
	syncobj_put(so);
	if (ret) {
		return ret;
	}
	sync_file = sync_file_create(fence);
	fence_put(fence);
	ret = sync_file_install(file->device, sync_file);
	if (ret < 0) {
		return ret;
	}
	*fd_out = ret;
	return 0;
}

int drm_syncobj_handle_to_fd_ioctl(struct uapi_file *file, void *data)
{
	const uint32_t known = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE |
			       DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_TIMELINE;
	struct uapi_device *device = file->device;
	struct drm_syncobj_handle *args = data;
	struct syncobj *so;
	uint64_t point = 0;
	int fd;

	if (args->pad || (args->flags & ~known)) {
		return -EINVAL;
	}
	if (args->flags & DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_TIMELINE) {
		point = args->point;
	}
	if (args->flags & DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE) {
		return export_sync_file(file, args->handle, point, &args->fd);
	}
	so = point ? NULL : drm_syncobj_lookup(file, args->handle);
	if (!so) {
		return -EINVAL;
	}
	fd = device->host->fd_install(device->host_ctx, UAPI_FD_SYNCOBJ, so, 0, true);
	if (fd < 0) {
		syncobj_put(so);
		return fd;
	}
	args->fd = fd;
	return 0;
}

static int import_sync_file(struct uapi_file *file, uint32_t handle, uint64_t point, int fd)
{
	struct uapi_device *device = file->device;
	struct sync_file *sync_file;
	struct syncobj_point *mem = NULL;
	struct fence *fence = NULL;
	struct syncobj *so;
	int ret = 0;

	sync_file = device->host->fd_lookup(device->host_ctx, fd, UAPI_FD_SYNC_FILE);
	if (!sync_file) {
		return -EINVAL;
	}
	so = drm_syncobj_lookup(file, handle);
	if (!so) {
		ret = -ENOENT;
	} else {
		fence = sync_file_fence(sync_file);
		mem = fence && point ? syncobj_point_alloc() : NULL;
		if (!fence || (point && !mem)) {
			ret = -ENOMEM;
		} else if (point) {
			syncobj_add_point(so, point, fence, mem);
		} else {
			syncobj_replace(so, fence);
		}
	}
	if (so) {
		syncobj_put(so);
	}
	fence_put(fence);
	sync_file_put(sync_file);
	return ret;
}

int drm_syncobj_fd_to_handle_ioctl(struct uapi_file *file, void *data)
{
	const uint32_t known = DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE |
			       DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_TIMELINE;
	struct uapi_device *device = file->device;
	struct drm_syncobj_handle *args = data;
	struct syncobj *so;
	uint64_t point = 0;

	if (args->pad || (args->flags & ~known)) {
		return -EINVAL;
	}
	if (args->flags & DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_TIMELINE) {
		point = args->point;
	}
	if (args->flags & DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE) {
		return import_sync_file(file, args->handle, point, args->fd);
	}
	if (point) {
		return -EINVAL;
	}
	so = device->host->fd_lookup(device->host_ctx, args->fd, UAPI_FD_SYNCOBJ);
	return so ? syncobj_publish(file, so, &args->handle) : -EINVAL;
}

/* ---- lists of syncobjs ----------------------------------------------------------------------- */

/* Most waits name one syncobj or two: these need no memory of their own. */
#define FEW 4

struct syncobj_list {
	struct syncobj_wait *wait; /* @few, or to port_free() */
	uint32_t count;
	struct syncobj_wait few[FEW];
};

static void list_fini(struct syncobj_list *list)
{
	for (uint32_t i = 0; i < list->count; i++) {
		if (list->wait[i].so) {
			syncobj_put(list->wait[i].so);
		}
	}
	if (list->wait != list->few) {
		port_free(list->wait);
	}
}

/*
 * Fills in @n handles at @addr, @n > 0, with references; every point is 0. On failure nothing is
 * left to list_fini(). -ENOMEM, -EFAULT, -ENOENT.
 */
static int list_init_user(struct syncobj_list *list, struct uapi_file *file, uint64_t addr,
			  uint32_t n)
{
	uint32_t few[FEW], *handles = few;
	void *array = NULL;
	int ret;

	ASSERT(n > 0);
	if (n > MAX_HANDLES) {
		return -ENOMEM;
	}
	if (n <= FEW) {
		ret = port_copy_from_user(few, addr, n * sizeof(few[0]));
		memset(list->few, 0, n * sizeof(list->few[0]));
		list->wait = list->few;
	} else {
		ret = drm_copy_array(addr, n, sizeof(*handles), &array);
		handles = array;
		list->wait = ret ? NULL : port_alloc(n * sizeof(*list->wait));
		ret = ret || list->wait ? ret : -ENOMEM;
	}
	list->count = ret ? 0 : n;
	for (uint32_t i = 0; i < n && ret == 0; i++) {
		list->wait[i].so = drm_syncobj_lookup(file, handles[i]);
		ret = list->wait[i].so ? 0 : -ENOENT;
	}
	port_free(array);
	if (ret) {
		list_fini(list);
	}
	return ret;
}

/* Fills in the points at @addr. */
static int list_points(struct syncobj_list *list, uint64_t addr)
{
	uint64_t few[FEW], *points = few;
	void *array = NULL;
	int ret;

	if (list->count <= FEW) {
		ret = port_copy_from_user(few, addr, list->count * sizeof(few[0]));
	} else {
		ret = drm_copy_array(addr, list->count, sizeof(*points), &array);
		points = array;
	}
	for (uint32_t i = 0; i < list->count && ret == 0; i++) {
		list->wait[i].point = points[i];
	}
	port_free(array);
	return ret;
}

/* ---- waiting --------------------------------------------------------------------------------- */

static unsigned wait_flags(uint32_t flags)
{
	return (flags & DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL ? SYNCOBJ_WAIT_ALL : 0) |
	       (flags & DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT ? SYNCOBJ_WAIT_FOR_SUBMIT : 0) |
	       (flags & DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE ? SYNCOBJ_WAIT_AVAILABLE : 0);
}

/* What the two waits share; the binary one has no points. */
struct wait_args {
	uint64_t handles, points;
	uint32_t count, flags, known;
	int64_t timeout_nsec;
};

static int wait_run(struct uapi_file *file, const struct wait_args *args, uint32_t *first_out)
{
	uint64_t deadline_ns = args->timeout_nsec > 0 ? (uint64_t)args->timeout_nsec : 0;
	unsigned first = UINT32_MAX;
	struct syncobj_list list;
	int ret;

	if (args->flags & ~args->known) {
		return -EINVAL;
	}
	if (args->count == 0) {
		return 0;
	}
	ret = list_init_user(&list, file, args->handles, args->count);
	if (ret) {
		return ret;
	}
	if (args->points) {
		ret = list_points(&list, args->points);
	}
	if (ret == 0) {
		ret = syncobj_wait_many(&file->device->dev->sync, list.wait, list.count,
					wait_flags(args->flags), deadline_ns, true, &first);
	}
	if (ret == 0) {
		*first_out = first;
	}
	list_fini(&list);
	return ret;
}

int drm_syncobj_wait_ioctl(struct uapi_file *file, void *data)
{
	struct drm_syncobj_wait *args = data;
	const struct wait_args wait = {
		.handles = args->handles,
		.count = args->count_handles,
		.flags = args->flags,
		.known = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL |
			 DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT |
			 DRM_SYNCOBJ_WAIT_FLAGS_WAIT_DEADLINE,
		.timeout_nsec = args->timeout_nsec,
	};

	return wait_run(file, &wait, &args->first_signaled);
}

int drm_syncobj_timeline_wait_ioctl(struct uapi_file *file, void *data)
{
	struct drm_syncobj_timeline_wait *args = data;
	const struct wait_args wait = {
		.handles = args->handles,
		.points = args->points,
		.count = args->count_handles,
		.flags = args->flags,
		.known = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL |
			 DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT |
			 DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE |
			 DRM_SYNCOBJ_WAIT_FLAGS_WAIT_DEADLINE,
		.timeout_nsec = args->timeout_nsec,
	};

	return wait_run(file, &wait, &args->first_signaled);
}

/* ---- signalling ------------------------------------------------------------------------------ */

static int binary_array(struct uapi_file *file, const struct drm_syncobj_array *args,
			struct fence *fence)
{
	struct syncobj_list list;
	int ret;

	if (args->pad || args->count_handles == 0) {
		return -EINVAL;
	}
	ret = list_init_user(&list, file, args->handles, args->count_handles);
	if (ret) {
		return ret;
	}
	for (uint32_t i = 0; i < args->count_handles; i++) {
		syncobj_replace(list.wait[i].so, fence);
	}
	list_fini(&list);
	return 0;
}

int drm_syncobj_reset_ioctl(struct uapi_file *file, void *data)
{
	return binary_array(file, data, NULL);
}

int drm_syncobj_signal_ioctl(struct uapi_file *file, void *data)
{
	return binary_array(file, data, file->device->dev->sync.stub);
}

/* Memory for every point first: nothing is signalled when there is not enough. */
static int signal_points(const struct syncobj_list *list, struct fence *fence)
{
	const struct syncobj_wait *wait = list->wait;
	uint32_t n = list->count;
	struct syncobj_point **mem = port_alloc(n * sizeof(struct syncobj_point *));
	int ret = mem ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < n && ret == 0; i++) {
		mem[i] = syncobj_point_alloc();
		ret = mem[i] ? 0 : -ENOMEM;
	}
	for (uint32_t i = 0; i < n && mem; i++) {
		if (ret == 0 && wait[i].point) {
			syncobj_add_point(wait[i].so, wait[i].point, fence, mem[i]);
		} else {
			if (ret == 0) {
				syncobj_replace(wait[i].so, fence);
			}
			if (mem[i]) {
				syncobj_point_free(mem[i]);
			}
		}
	}
	port_free(mem);
	return ret;
}

int drm_syncobj_timeline_signal_ioctl(struct uapi_file *file, void *data)
{
	struct drm_syncobj_timeline_array *args = data;
	struct syncobj_list list;
	int ret;

	if (args->flags || args->count_handles == 0) {
		return -EINVAL;
	}
	ret = list_init_user(&list, file, args->handles, args->count_handles);
	if (ret) {
		return ret;
	}
	if (args->points) {
		ret = list_points(&list, args->points);
	}
	if (ret == 0) {
		ret = signal_points(&list, file->device->dev->sync.stub);
	}
	list_fini(&list);
	return ret;
}

int drm_syncobj_query_ioctl(struct uapi_file *file, void *data)
{
	struct drm_syncobj_timeline_array *args = data;
	struct syncobj_list list;
	int ret;

	if ((args->flags & ~DRM_SYNCOBJ_QUERY_FLAGS_LAST_SUBMITTED) || args->count_handles == 0) {
		return -EINVAL;
	}
	ret = list_init_user(&list, file, args->handles, args->count_handles);
	if (ret) {
		return ret;
	}
	for (uint32_t i = 0; i < args->count_handles && ret == 0; i++) {
		bool last = args->flags & DRM_SYNCOBJ_QUERY_FLAGS_LAST_SUBMITTED;
		uint64_t point = syncobj_query(list.wait[i].so, last);

		ret = port_copy_to_user(args->points + i * sizeof(point), &point, sizeof(point));
	}
	list_fini(&list);
	return ret;
}

/* ---- transfer -------------------------------------------------------------------------------- */

/* The fence of a point; with WAIT_FOR_SUBMIT waits, bounded, until it has come. */
static int transfer_source(struct uapi_file *file, const struct drm_syncobj_transfer *args,
			   struct fence **fence_out)
{
	struct syncobj_wait wait = { .point = args->src_point };
	int ret;

	wait.so = drm_syncobj_lookup(file, args->src_handle);
	if (args->flags & ~DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT) {
		ret = -EINVAL;
	} else if (!wait.so) {
		ret = -ENOENT;
	} else {
		ret = syncobj_find(wait.so, wait.point, fence_out);
		if (ret == -EINVAL && args->flags) {
			ret = syncobj_wait_many(&file->device->dev->sync, &wait, 1,
						SYNCOBJ_WAIT_AVAILABLE,
						port_now_ns() + TRANSFER_TIMEOUT_NS, true, NULL);
			if (ret == 0) {
				ret = syncobj_find(wait.so, wait.point, fence_out);
			}
		}
	}
	if (wait.so) {
		syncobj_put(wait.so);
	}
	return ret;
}

int drm_syncobj_transfer_ioctl(struct uapi_file *file, void *data)
{
	struct drm_syncobj_transfer *args = data;
	struct syncobj_point *mem = NULL;
	struct fence *fence = NULL;
	struct syncobj *dst;
	int ret;

	if (args->pad) {
		return -EINVAL;
	}
	dst = drm_syncobj_lookup(file, args->dst_handle);
	if (!dst) {
		return -ENOENT;
	}
	ret = transfer_source(file, args, &fence);
	if (ret == 0 && args->dst_point) {
		mem = syncobj_point_alloc();
		if (mem) {
			syncobj_add_point(dst, args->dst_point, fence, mem);
		} else {
			ret = -ENOMEM;
		}
	} else if (ret == 0) {
		syncobj_replace(dst, fence);
	}
	fence_put(fence);
	syncobj_put(dst);
	return ret;
}
