// SPDX-License-Identifier: MIT
/*
 * Software timelines as clients know them from debugfs: the ioctls of an open sync/sw_sync.
 *
 * Clients count with 32 bits and wrap around; the counter has 64. A number of a client is the one
 * nearest to where the counter is.
 *
 * Locking: none here.
 */
#include "uapi/drm/drm.h"

#include "sync/timeline.h"
#include "uapi/vmb_sync.h"

void *uapi_timeline_create(struct uapi_device *device, struct timeline_counter *counter,
			   const char *name)
{
	return timeline_create(&device->dev->sync, counter, name);
}

void uapi_timeline_update(void *object)
{
	timeline_update(object);
}

static uint64_t number_of(const struct timeline *timeline, uint32_t value)
{
	uint64_t now = atomic_load(&timeline->counter->value);

	return now + (uint64_t)(int64_t)(int32_t)(value - (uint32_t)now);
}

static int create_fence_ioctl(struct uapi_device *device, struct timeline *timeline, uint64_t arg)
{
	struct sw_sync_create_fence_data data;
	struct sync_file *sync_file;
	struct fence *fence;
	int ret = port_copy_from_user(&data, arg, sizeof(data));

	/* Back at once: there is no descriptor yet that a failure would have to take back. */
	if (ret || port_copy_to_user(arg, &data, sizeof(data))) {
		return -EFAULT;
	}
	fence = timeline_fence(timeline, number_of(timeline, data.value));
	sync_file = fence ? sync_file_create(fence) : NULL;
	fence_put(fence);
	ret = sync_file_install(device, sync_file);
	if (ret < 0) {
		return ret;
	}
	data.fence = ret;
	return port_copy_to_user(arg, &data, sizeof(data));
}

static int inc_ioctl(struct timeline *timeline, uint64_t arg)
{
	uint32_t step;
	int ret = port_copy_from_user(&step, arg, sizeof(step));

	if (ret == 0) {
		atomic_fetch_add(&timeline->counter->value, step);
		timeline_update(timeline);
	}
	return ret;
}

static int get_deadline_ioctl(struct uapi_device *device, uint64_t arg)
{
	struct sw_sync_get_deadline data;
	struct timeline_fence *tf;
	struct sync_file *sync_file;
	int ret = port_copy_from_user(&data, arg, sizeof(data));

	if (ret) {
		return ret;
	}
	if (data.deadline_ns || data.pad) {
		return -EINVAL;
	}
	sync_file = device->host->fd_lookup(device->host_ctx, data.fence_fd, UAPI_FD_SYNC_FILE);
	if (!sync_file) {
		return -EINVAL;
	}
	tf = sync_file->count == 1 ? timeline_fence_of(sync_file->part[0]) : NULL;
	data.deadline_ns = tf ? timeline_hoped(tf) : 0;
	sync_file_put(sync_file);
	if (!tf) {
		return -EINVAL;
	}
	return data.deadline_ns ? port_copy_to_user(arg, &data, sizeof(data)) : -ENOENT;
}

int uapi_timeline_ioctl(struct uapi_device *device, void *object, uint32_t cmd, uint64_t arg)
{
	int ret = device_start_workers(device->dev);

	if (ret) {
		return ret;
	}
	port_assert_no_locks();
	switch (cmd) {
	case SW_SYNC_IOC_CREATE_FENCE:
		return create_fence_ioctl(device, object, arg);
	case SW_SYNC_IOC_INC:
		return inc_ioctl(object, arg);
	case SW_SYNC_GET_DEADLINE:
		return get_deadline_ioctl(device, arg);
	default:
		return -ENOTTY;
	}
}
