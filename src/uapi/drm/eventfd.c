// SPDX-License-Identifier: MIT
/*
 * SYNCOBJ_EVENTFD: an eventfd of the client is signalled when a point has come, or was signalled.
 *
 * An entry watches its syncobj; what arrives, and then the point's fence, push the entry to the
 * ready queue, and the entry looks for itself. It ends when it has signalled or when its file is
 * closed. A point for whose fence no memory can be had is looked at again when the next one
 * arrives.
 *
 * Locking: device.eventfd_lock (leaf) protects the list of living entries; being on it is one
 * reference, being in the ready queue another.
 */
#include "uapi/drm/drm.h"

struct drm_eventfd {
	struct ref ref;
	struct uapi_device *device;
	struct uapi_file *file;    /* only compared */
	struct list node;          /* device.eventfds; by device.eventfd_lock */
	struct syncobj *so;        /* a reference */
	struct syncobj_watcher watcher;
	uint64_t point;
	bool available;            /* its arrival is enough */
	void *host_fd;             /* of the host; ours until the entry is freed */
	struct fence *fence;       /* waited for; a reference; by whoever set @armed */
	struct fence_cb cb;
	atomic_bool armed;         /* @fence and @cb are in use, once */
	atomic_bool queued;        /* @item is in the ready queue */
	atomic_bool again;         /* something happened while it was */
	atomic_bool done;
	struct ready_item item;
};

static void eventfd_put(struct drm_eventfd *entry)
{
	if (!ref_put(&entry->ref)) {
		return;
	}
	entry->device->host->eventfd_put(entry->device->host_ctx, entry->host_fd);
	fence_put(entry->fence);
	syncobj_put(entry->so);
	port_free(entry);
}

/* Any context in which a callback may run. */
static void eventfd_push(struct drm_eventfd *entry)
{
	atomic_store(&entry->again, true);
	if (!atomic_exchange(&entry->queued, true)) {
		ref_get(&entry->ref);
		ready_push(&entry->device->dev->sync, &entry->item);
	}
}

static void eventfd_arrived(struct syncobj_watcher *watcher)
{
	eventfd_push(container_of(watcher, struct drm_eventfd, watcher));
}

static void eventfd_fence_signalled(struct fence *fence, struct fence_cb *cb)
{
	eventfd_push(container_of(cb, struct drm_eventfd, cb));
}

/* Ends the entry, once: nothing calls it any more afterwards. */
static void eventfd_end(struct drm_eventfd *entry, bool signal)
{
	if (atomic_exchange(&entry->done, true)) {
		return;
	}
	port_mutex_lock(&entry->device->eventfd_lock);
	list_del(&entry->node);
	port_mutex_unlock(&entry->device->eventfd_lock);
	syncobj_unwatch(entry->so, &entry->watcher);
	if (atomic_load(&entry->armed)) {
		fence_remove_cb(entry->fence, &entry->cb);
	}
	if (signal) {
		entry->device->host->eventfd_signal(entry->device->host_ctx, entry->host_fd);
	}
	eventfd_put(entry);
}

/* Has what the client waits for happened? Else makes sure that somebody will push again. */
static bool eventfd_reached(struct drm_eventfd *entry)
{
	struct fence *fence;

	if (atomic_load(&entry->armed)) {
		return fence_is_signalled(entry->fence);
	}
	if (syncobj_find(entry->so, entry->point, &fence)) {
		return false;
	}
	if (entry->available) {
		fence_put(fence);
		return true;
	}
	entry->fence = fence;
	atomic_store(&entry->armed, true);
	return !fence_add_cb(fence, &entry->cb, eventfd_fence_signalled);
}

static void eventfd_run(struct ready_item *item)
{
	struct drm_eventfd *entry = container_of(item, struct drm_eventfd, item);

	/* Only the holder of @queued looks, so one thread at a time. */
	while (atomic_exchange(&entry->again, false)) {
		if (!atomic_load(&entry->done) && eventfd_reached(entry)) {
			eventfd_end(entry, true);
		}
	}
	/* Closed while it was being armed: the closer may have looked too early. */
	if (atomic_load(&entry->done) && atomic_load(&entry->armed)) {
		fence_remove_cb(entry->fence, &entry->cb);
	}
	atomic_store(&entry->queued, false);
	/* A push that came after the last look and before the store above found it queued. */
	if (atomic_load(&entry->again) && !atomic_load(&entry->done)) {
		eventfd_push(entry);
	}
	eventfd_put(entry);
}

void drm_eventfd_file_close(struct uapi_file *file)
{
	struct uapi_device *device = file->device;
	struct drm_eventfd *found;

	do {
		found = NULL;
		port_mutex_lock(&device->eventfd_lock);
		list_for_each(entry, &device->eventfds, struct drm_eventfd, node) {
			if (entry->file == file) {
				found = entry;
				ref_get(&entry->ref);
				break;
			}
		}
		port_mutex_unlock(&device->eventfd_lock);
		if (found) {
			eventfd_end(found, false);
			eventfd_put(found);
		}
	} while (found);
}

int drm_syncobj_eventfd_ioctl(struct uapi_file *file, void *data)
{
	struct uapi_device *device = file->device;
	struct drm_syncobj_eventfd *args = data;
	struct drm_eventfd *entry;
	struct syncobj *so;
	void *host_fd;

	if ((args->flags & ~DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE) || args->pad) {
		return -EINVAL;
	}
	so = drm_syncobj_lookup(file, args->handle);
	if (!so) {
		return -ENOENT;
	}
	host_fd = device->host->eventfd_get(device->host_ctx, args->fd);
	if (!host_fd) {
		syncobj_put(so);
		return args->fd < 0 ? -EBADF : -EINVAL;
	}
	entry = port_alloc(sizeof(*entry));
	if (!entry) {
		device->host->eventfd_put(device->host_ctx, host_fd);
		syncobj_put(so);
		return -ENOMEM;
	}
	ref_init(&entry->ref); /* of the list */
	ref_get(&entry->ref);  /* of this function */
	entry->device = device;
	entry->file = file;
	entry->so = so;
	entry->point = args->point;
	entry->available = args->flags & DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE;
	entry->host_fd = host_fd;
	entry->watcher.arrived = eventfd_arrived;
	list_init(&entry->watcher.node);
	list_init(&entry->cb.node);
	entry->item.run = eventfd_run;
	list_init(&entry->item.node);
	port_mutex_lock(&device->eventfd_lock);
	list_add_tail(&device->eventfds, &entry->node);
	port_mutex_unlock(&device->eventfd_lock);
	syncobj_watch(so, &entry->watcher);
	eventfd_push(entry); /* it may have come already */
	eventfd_put(entry);
	return 0;
}
