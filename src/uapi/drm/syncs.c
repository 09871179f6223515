// SPDX-License-Identifier: MIT
/*
 * What a bind or a submission waits for and signals, as entries that a client lists.
 *
 * How an entry looks is the driver's business: it reads one into a struct drm_sync, which needs no
 * memory and finds what the client did wrong; preparing it takes what waiting and signalling will
 * need. So after the core has accepted a job nothing can fail any more.
 */
#include "uapi/drm/drm.h"

int drm_syncs_init(struct drm_syncs *syncs, uint32_t room)
{
	syncs->sync = syncs->few_sync;
	syncs->in = syncs->few_in;
	syncs->count = 0;
	syncs->in_count = 0;
	if (room > DRM_FEW_SYNCS) {
		syncs->sync = port_alloc(room * (sizeof(*syncs->sync) + sizeof(*syncs->in)));
		if (!syncs->sync) {
			return -ENOMEM;
		}
		syncs->in = (struct fence **)(syncs->sync + room);
	}
	return 0;
}

void drm_sync_fini(struct drm_sync *sync)
{
	if (sync->mem) {
		syncobj_point_free(sync->mem);
	}
	if (sync->so) {
		syncobj_put(sync->so);
	}
	ufence_put(sync->ufence);
}

int drm_syncs_prepare(struct uapi_file *file, struct drm_syncs *syncs, struct drm_sync *sync)
{
	int ret = 0;

	if (sync->so && !sync->signal) {
		ret = syncobj_find(sync->so, sync->point, &syncs->in[syncs->in_count]);
		syncs->in_count += ret == 0;
	} else if (sync->point) {
		sync->mem = syncobj_point_alloc();
		ret = sync->mem ? 0 : -ENOMEM;
	} else if (sync->user && !sync->by_gpu) {
		sync->ufence = ufence_create(&file->device->dev->sync, sync->addr, sync->value);
		ret = sync->ufence ? 0 : -ENOMEM;
	}
	return ret;
}

void drm_syncs_signal(struct drm_syncs *syncs, struct fence *fence)
{
	ASSERT(fence);
	for (unsigned i = 0; i < syncs->count; i++) {
		struct drm_sync *sync = &syncs->sync[i];

		if (sync->so && sync->signal && sync->mem) {
			syncobj_add_point(sync->so, sync->point, fence, sync->mem);
			sync->mem = NULL;
		} else if (sync->so && sync->signal) {
			syncobj_replace(sync->so, fence);
		}
	}
}

void drm_syncs_fini(struct drm_syncs *syncs)
{
	for (unsigned i = 0; i < syncs->in_count; i++) {
		fence_put(syncs->in[i]);
	}
	for (unsigned i = 0; i < syncs->count; i++) {
		drm_sync_fini(&syncs->sync[i]);
	}
	if (syncs->sync != syncs->few_sync) {
		port_free(syncs->sync);
	}
}

int drm_sync_wait_now(struct syncobj *so, uint64_t point)
{
	struct fence *in = NULL;
	int ret = 0;

	/* One that was there and is reset by now is not waited for any more. */
	while (ret == 0 && syncobj_find_first(so, point, &in) == 0 && in) {
		ret = fence_wait(in, PORT_FOREVER, PORT_WAIT_INTERRUPTIBLE);
		fence_put(in);
	}
	return ret;
}

void drm_sync_signal_now(struct syncobj *so, uint64_t point, struct fence *fence)
{
	if (point) {
		syncobj_advance(so, point);
	} else {
		syncobj_replace(so, fence);
	}
}
