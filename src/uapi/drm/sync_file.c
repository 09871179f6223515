// SPDX-License-Identifier: MIT
/*
 * Sync files: fences behind a descriptor, who polls them, and what clients ask of them.
 *
 * A sync file has one part or, after a merge, one for each fence context that was still unsignalled
 * then: of two fences of one context the later one stands for both. Parts never change. It has
 * signalled when all parts have.
 *
 * Locking: sync_file.lock (leaf) protects the list of watches. A watch is called under the lock of
 * the last part to signal, at most once; it is freed with the sync file.
 */
#include "uapi/drm/drm.h"

#include "sync/timeline.h"
#include "uapi/vmb_sync.h"

static struct port_lock_class sync_file_class = { .name = "drm.sync_file", .rank = RANK_LEAF };

struct watch_part {
	struct fence_cb cb;
	struct sync_file_watch *watch;
};

struct sync_file_watch {
	struct list node;
	void (*wake)(void *arg);
	void *arg;
	atomic_uint pending;
	struct watch_part part[];
};

/* Of @n fences, or (without @parts) of those that @whole stands for. */
static struct sync_file *create(struct fence *const *parts, struct fence *whole, unsigned n)
{
	struct sync_file *sync_file = port_alloc(sizeof(*sync_file) + n * sizeof(*parts));

	ASSERT(n > 0);
	if (!sync_file) {
		return NULL;
	}
	ref_init(&sync_file->ref);
	sync_file->count = n;
	for (unsigned i = 0; i < n; i++) {
		sync_file->part[i] = fence_get(parts ? parts[i] : fence_part(whole, i));
	}
	port_mutex_init(&sync_file->lock, &sync_file_class);
	list_init(&sync_file->watches);
	return sync_file;
}

struct sync_file *sync_file_create(struct fence *fence)
{
	return create(NULL, fence, fence_part_count(fence));
}

struct sync_file *sync_file_get(struct sync_file *sync_file)
{
	ref_get(&sync_file->ref);
	return sync_file;
}

void sync_file_put(struct sync_file *sync_file)
{
	if (!sync_file || !ref_put(&sync_file->ref)) {
		return;
	}
	list_for_each_safe(watch, &sync_file->watches, struct sync_file_watch, node) {
		for (unsigned i = 0; i < sync_file->count; i++) {
			fence_remove_cb(sync_file->part[i], &watch->part[i].cb);
		}
		port_free(watch);
	}
	for (unsigned i = 0; i < sync_file->count; i++) {
		fence_put(sync_file->part[i]);
	}
	port_mutex_fini(&sync_file->lock);
	port_free(sync_file);
}

int sync_file_install(struct uapi_device *device, struct sync_file *sync_file)
{
	int fd = -ENOMEM;

	if (sync_file) {
		fd = device->host->fd_install(device->host_ctx, UAPI_FD_SYNC_FILE, sync_file, 0,
					      true);
	}
	if (fd < 0) {
		sync_file_put(sync_file);
	}
	return fd;
}

struct fence *sync_file_fence(struct sync_file *sync_file)
{
	return sync_file->count == 1 ? fence_get(sync_file->part[0]) :
				       fence_all(sync_file->part[0]->sync, sync_file->part,
						 sync_file->count);
}

/* ---- polling --------------------------------------------------------------------------------- */

static void watch_drop(struct sync_file_watch *watch)
{
	if (atomic_fetch_sub(&watch->pending, 1) == 1) {
		watch->wake(watch->arg);
	}
}

static void part_signalled(struct fence *fence, struct fence_cb *cb)
{
	watch_drop(container_of(cb, struct watch_part, cb)->watch);
}

/* 0 active, 1 signalled, -errno. */
static int fence_status(const struct fence *fence)
{
	if (!fence_is_signalled(fence)) {
		return 0;
	}
	return fence->error ? fence->error : 1;
}

int uapi_sync_file_status(void *object)
{
	const struct sync_file *sync_file = object;
	int status = 1;

	for (unsigned i = 0; i < sync_file->count; i++) {
		int part = fence_status(sync_file->part[i]);

		if (part == 0) {
			return 0;
		}
		status = status < 0 ? status : part;
	}
	return status;
}

int uapi_sync_file_watch(void *object, void (*wake)(void *arg), void *arg)
{
	struct sync_file *sync_file = object;
	unsigned n = sync_file->count;
	struct sync_file_watch *watch;

	ASSERT(wake);
	watch = port_alloc(sizeof(*watch) + n * sizeof(watch->part[0]));
	if (!watch) {
		return -ENOMEM;
	}
	watch->wake = wake;
	watch->arg = arg;
	/* Ours keeps it from being called before all are watched. */
	atomic_init(&watch->pending, n + 1);
	for (unsigned i = 0; i < n; i++) {
		watch->part[i].watch = watch;
		if (!fence_add_cb(sync_file->part[i], &watch->part[i].cb, part_signalled)) {
			watch_drop(watch);
		}
	}
	port_mutex_lock(&sync_file->lock);
	list_add_tail(&sync_file->watches, &watch->node);
	port_mutex_unlock(&sync_file->lock);
	watch_drop(watch);
	return 0;
}

/* ---- fences that the host signals ------------------------------------------------------------ */

void *uapi_sync_file_foreign(struct uapi_device *device)
{
	struct fence *fence = fence_create(&device->dev->sync, FENCE_DMA);
	struct sync_file *sync_file = fence ? sync_file_create(fence) : NULL;

	if (fence && !sync_file) {
		fence_signal(fence, -ENOMEM);
	}
	fence_put(fence);
	return sync_file;
}

void uapi_sync_file_signal(void *object, int error)
{
	struct sync_file *sync_file = object;

	ASSERT(sync_file->count == 1);
	fence_signal(sync_file->part[0], error);
}

unsigned uapi_sync_file_points(void *object, struct uapi_point *points, unsigned room)
{
	struct sync_file *sync_file = object;

	for (unsigned i = 0; i < sync_file->count; i++) {
		struct timeline_fence *tf = timeline_fence_of(sync_file->part[i]);

		if (!tf) {
			return 0;
		}
		if (i < room) {
			points[i].timeline = tf->timeline;
			points[i].number = tf->fence.seqno;
		}
	}
	return sync_file->count <= room ? sync_file->count : 0;
}

void *uapi_sync_file_of_points(const struct uapi_point *points, unsigned n)
{
	struct fence *parts[UAPI_POINTS_MAX];
	struct sync_file *sync_file = NULL;
	unsigned made = 0;

	ASSERT(n > 0 && n <= UAPI_POINTS_MAX);
	while (made < n) {
		parts[made] = timeline_fence(points[made].timeline, points[made].number);
		if (!parts[made]) {
			break;
		}
		made++;
	}
	if (made == n) {
		sync_file = create(parts, NULL, n);
	}
	while (made) {
		fence_put(parts[--made]);
	}
	return sync_file;
}

/* ---- merging --------------------------------------------------------------------------------- */

/* Adds @fence, which has not signalled, to the @n in @parts. Without references. */
static unsigned part_add(struct fence **parts, unsigned n, struct fence *fence)
{
	for (unsigned i = 0; i < n; i++) {
		if (parts[i]->context == fence->context) {
			if (parts[i]->seqno < fence->seqno) {
				parts[i] = fence;
			}
			return n;
		}
	}
	parts[n] = fence;
	return n + 1;
}

static struct sync_file *merge(struct uapi_device *device, const struct sync_file *a,
			       const struct sync_file *b)
{
	const struct sync_file *from[] = { a, b };
	struct fence **parts = port_alloc((a->count + b->count) * sizeof(struct fence *));
	struct fence *last = device->dev->sync.stub;
	struct sync_file *merged;
	unsigned n = 0;

	if (!parts) {
		return NULL;
	}
	for (unsigned f = 0; f < 2; f++) {
		for (unsigned i = 0; i < from[f]->count; i++) {
			struct fence *fence = from[f]->part[i];

			if (!fence_is_signalled(fence)) {
				n = part_add(parts, n, fence);
			} else if (!fence->error && fence->signal_ns >= last->signal_ns) {
				last = fence;
			}
		}
	}
	/* With nothing to wait for, what signalled last tells when it was over. */
	merged = n ? create(parts, NULL, n) : sync_file_create(last);
	port_free(parts);
	return merged;
}

static int merge_ioctl(struct uapi_device *device, struct sync_file *sync_file, uint64_t arg)
{
	struct sync_file *other, *merged;
	struct sync_merge_data data;
	int ret = port_copy_from_user(&data, arg, sizeof(data));

	/* Back at once: there is no descriptor yet that a failure would have to take back. */
	if (ret || port_copy_to_user(arg, &data, sizeof(data))) {
		return -EFAULT;
	}
	if (data.flags || data.pad) {
		return -EINVAL;
	}
	other = device->host->fd_lookup(device->host_ctx, data.fd2, UAPI_FD_SYNC_FILE);
	if (!other) {
		return -ENOENT;
	}
	merged = merge(device, sync_file, other);
	sync_file_put(other);
	if (merged) {
		memcpy(merged->name, data.name, sizeof(merged->name) - 1);
	}
	ret = sync_file_install(device, merged);
	if (ret < 0) {
		return ret;
	}
	data.fence = ret;
	return port_copy_to_user(arg, &data, sizeof(data));
}

/* ---- what a client may know ------------------------------------------------------------------ */

static void text_add(char *text, size_t size_B, const char *more)
{
	size_t at = 0;

	while (text[at]) {
		at++;
	}
	for (; *more && at + 1 < size_B; at++, more++) {
		text[at] = *more;
	}
	text[at] = '\0';
}

static void text_add_number(char *text, size_t size_B, uint64_t number)
{
	char digits[21];
	unsigned at = sizeof(digits) - 1;

	digits[at] = '\0';
	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	text_add(text, size_B, digits + at);
}

static const char *driver_of(const struct uapi_device *device, struct fence *fence)
{
	if (fence == device->dev->sync.stub) {
		return "stub";
	}
	return timeline_fence_of(fence) ? "sw_sync" : device->driver->name;
}

static const char *timeline_of(const struct uapi_device *device, struct fence *fence)
{
	struct timeline_fence *tf = timeline_fence_of(fence);

	if (fence == device->dev->sync.stub) {
		return "stub";
	}
	return tf ? tf->timeline->name : "queue";
}

static void name_of(const struct uapi_device *device, const struct sync_file *sync_file, char *name,
		    size_t size_B)
{
	struct fence *fence = sync_file->part[0];
	uint64_t number = fence->seqno;

	name[0] = '\0';
	if (sync_file->name[0]) {
		text_add(name, size_B, sync_file->name);
		return;
	}
	if (timeline_fence_of(fence)) {
		number -= TIMELINE_START;
	}
	text_add(name, size_B, driver_of(device, fence));
	text_add(name, size_B, "-");
	text_add(name, size_B, timeline_of(device, fence));
	text_add_number(name, size_B, fence->context);
	text_add(name, size_B, "-");
	text_add_number(name, size_B, number);
}

static int info_parts(struct uapi_device *device, const struct sync_file *sync_file,
		      struct sync_file_info *info)
{
	info->status = 1;
	if (info->num_fences < sync_file->count) {
		return -EINVAL;
	}
	for (unsigned i = 0; i < sync_file->count; i++) {
		struct fence *fence = sync_file->part[i];
		struct sync_fence_info part = { .status = fence_status(fence) };

		text_add(part.obj_name, sizeof(part.obj_name), timeline_of(device, fence));
		text_add(part.driver_name, sizeof(part.driver_name), driver_of(device, fence));
		part.timestamp_ns = part.status ? fence->signal_ns : 0;
		/* The first that is not plainly over decides. */
		info->status = info->status <= 0 ? info->status : part.status;
		if (port_copy_to_user(info->sync_fence_info + i * sizeof(part), &part,
				      sizeof(part))) {
			return -EFAULT;
		}
	}
	return 0;
}

static int info_ioctl(struct uapi_device *device, struct sync_file *sync_file, uint64_t arg)
{
	struct sync_file_info info;
	int ret = port_copy_from_user(&info, arg, sizeof(info));

	if (ret) {
		return ret;
	}
	if (info.flags || info.pad) {
		return -EINVAL;
	}
	if (info.num_fences) {
		ret = info_parts(device, sync_file, &info);
	} else {
		info.status = uapi_sync_file_status(sync_file);
	}
	if (ret) {
		return ret;
	}
	name_of(device, sync_file, info.name, sizeof(info.name));
	info.num_fences = sync_file->count;
	return port_copy_to_user(arg, &info, sizeof(info));
}

static int deadline_ioctl(struct sync_file *sync_file, uint64_t arg)
{
	struct sync_set_deadline data;
	int ret = port_copy_from_user(&data, arg, sizeof(data));

	if (ret || data.pad) {
		return ret ? ret : -EINVAL;
	}
	/* A hint. The device's own work has no speed to choose. */
	for (unsigned i = 0; i < sync_file->count; i++) {
		struct timeline_fence *tf = timeline_fence_of(sync_file->part[i]);

		if (tf) {
			timeline_hope(tf, data.deadline_ns);
		}
	}
	return 0;
}

int uapi_sync_file_ioctl(struct uapi_device *device, void *object, uint32_t cmd, uint64_t arg)
{
	int ret = device_start_workers(device->dev);

	if (ret) {
		return ret;
	}
	port_assert_no_locks();
	switch (cmd) {
	case SYNC_IOC_MERGE:
		return merge_ioctl(device, object, arg);
	case SYNC_IOC_FILE_INFO:
		return info_ioctl(device, object, arg);
	case SYNC_IOC_SET_DEADLINE:
		return deadline_ioctl(object, arg);
	default:
		return -ENOTTY;
	}
}
