// SPDX-License-Identifier: MIT
/*
 * Sync files: a fence behind a descriptor, and who polls it.
 *
 * Locking: sync_file.lock (leaf) protects the list of watches. A watch is called under its fence's
 * lock when the fence signals, at most once; it is freed with the sync file, or when the same
 * watcher comes again.
 */
#include "uapi/drm/drm.h"

static struct port_lock_class sync_file_class = { .name = "drm.sync_file", .rank = RANK_LEAF };

struct sync_file_watch {
	struct list node;
	struct fence_cb cb;
	void (*wake)(void *arg);
	void *arg;
};

struct sync_file *sync_file_create(struct fence *fence)
{
	struct sync_file *sync_file = port_alloc(sizeof(*sync_file));

	if (!sync_file) {
		return NULL;
	}
	ref_init(&sync_file->ref);
	sync_file->fence = fence_get(fence);
	port_mutex_init(&sync_file->lock, &sync_file_class);
	list_init(&sync_file->watches);
	return sync_file;
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
		fence_remove_cb(sync_file->fence, &watch->cb);
		port_free(watch);
	}
	fence_put(sync_file->fence);
	port_mutex_fini(&sync_file->lock);
	port_free(sync_file);
}

static void watch_signalled(struct fence *fence, struct fence_cb *cb)
{
	struct sync_file_watch *watch = container_of(cb, struct sync_file_watch, cb);

	watch->wake(watch->arg);
}

bool uapi_sync_file_poll(void *object)
{
	struct sync_file *sync_file = object;

	return fence_is_signalled(sync_file->fence);
}

int uapi_sync_file_watch(void *object, void (*wake)(void *arg), void *arg)
{
	struct sync_file *sync_file = object;
	struct sync_file_watch *watch;
	bool known = false;

	ASSERT(wake);
	watch = port_alloc(sizeof(*watch));
	if (!watch) {
		return -ENOMEM;
	}
	watch->wake = wake;
	watch->arg = arg;
	list_init(&watch->cb.node);
	port_mutex_lock(&sync_file->lock);
	list_for_each(other, &sync_file->watches, struct sync_file_watch, node) {
		known = known || (other->wake == wake && other->arg == arg);
	}
	if (!known) {
		list_add_tail(&sync_file->watches, &watch->node);
	}
	port_mutex_unlock(&sync_file->lock);
	if (known) { /* one that has signalled already is looked at with poll */
		port_free(watch);
	} else if (!fence_add_cb(sync_file->fence, &watch->cb, watch_signalled)) {
		wake(arg);
	}
	return 0;
}
