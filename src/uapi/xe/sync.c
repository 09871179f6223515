// SPDX-License-Identifier: MIT
/*
 * Sync entries of VM_BIND and EXEC.
 *
 * Parsing takes references and allocates what signalling will need, so that after the core has
 * accepted a job nothing can fail any more. An entry without SIGNAL is something to wait for: its
 * fence must exist already. Entries are checked one by one, in order; the first bad one decides.
 *
 * Each is first read, which needs no memory and finds what the client did wrong, then prepared.
 * Where the memory for that is missing and the caller may not fail for it, entries are only read,
 * once to check them, once to wait for them and once to signal them, each when its time has come.
 */
#include "uapi/xe/xe.h"

/* ---- reading an entry ------------------------------------------------------------------------ */

static int read_syncobj(struct uapi_file *file, const struct drm_xe_sync *in, unsigned flags,
			struct xe_sync *sync)
{
	bool timeline = in->type == DRM_XE_SYNC_TYPE_TIMELINE_SYNCOBJ;

	if ((flags & XE_SYNC_LR) && sync->signal) {
		return -EOPNOTSUPP;
	}
	if (in->addr >> 32) {
		return -EINVAL;
	}
	if (timeline && in->timeline_value == 0) {
		return -EINVAL;
	}
	sync->so = drm_syncobj_lookup(file, in->handle);
	sync->point = timeline ? in->timeline_value : 0;
	return sync->so ? 0 : -ENOENT;
}

static int read_user_fence(const struct drm_xe_sync *in, unsigned flags, struct xe_sync *sync)
{
	uint64_t probe;

	if ((flags & XE_SYNC_NO_UFENCE) || !sync->signal) {
		return -EOPNOTSUPP;
	}
	if (!is_aligned(in->addr, sizeof(uint64_t))) {
		return -EINVAL;
	}
	sync->user = true;
	sync->addr = in->addr;
	sync->value = in->timeline_value;
	return flags & XE_SYNC_EXEC ? 0 : port_copy_from_user(&probe, in->addr, sizeof(probe));
}

/* What there is in @sync_out afterwards goes with entry_fini(), also on error. */
static int entry_read(struct uapi_file *file, uint64_t addr, unsigned flags,
		      struct xe_sync *sync_out)
{
	struct drm_xe_sync in;
	int ret = port_copy_from_user(&in, addr, sizeof(in));

	*sync_out = (struct xe_sync){ 0 };
	if (ret) {
		return ret;
	}
	if ((in.flags & ~DRM_XE_SYNC_FLAG_SIGNAL) || in.reserved[0] || in.reserved[1]) {
		return -EINVAL;
	}
	sync_out->signal = in.flags & DRM_XE_SYNC_FLAG_SIGNAL;
	switch (in.type) {
	case DRM_XE_SYNC_TYPE_SYNCOBJ:
	case DRM_XE_SYNC_TYPE_TIMELINE_SYNCOBJ:
		return read_syncobj(file, &in, flags, sync_out);
	case DRM_XE_SYNC_TYPE_USER_FENCE:
		return read_user_fence(&in, flags, sync_out);
	default:
		return -EINVAL;
	}
}

static void entry_fini(struct xe_sync *sync)
{
	if (sync->mem) {
		syncobj_point_free(sync->mem);
	}
	if (sync->so) {
		syncobj_put(sync->so);
	}
	ufence_put(sync->ufence);
}

/* ---- all at once ----------------------------------------------------------------------------- */

/* Finds what is waited for, allocates what signalling needs. */
static int entry_prepare(struct uapi_file *file, unsigned flags, struct xe_syncs *syncs,
			 struct xe_sync *sync)
{
	int ret = 0;

	if (!sync->signal) {
		ret = syncobj_find(sync->so, sync->point, &syncs->in[syncs->in_count]);
		syncs->in_count += ret == 0;
	} else if (sync->point) {
		sync->mem = syncobj_point_alloc();
		ret = sync->mem ? 0 : -ENOMEM;
	} else if (sync->user && !(flags & XE_SYNC_EXEC)) {
		sync->ufence = ufence_create(&file->device->dev->sync, sync->addr, sync->value);
		ret = sync->ufence ? 0 : -ENOMEM;
	}
	return ret;
}

int xe_syncs_parse(struct uapi_file *file, uint64_t addr, uint32_t count, unsigned flags,
		   struct xe_syncs *syncs)
{
	unsigned users = 0;
	int ret = 0;

	ASSERT(count <= XE_MAX_SYNCS);
	syncs->sync = syncs->few_sync;
	syncs->in = syncs->few_in;
	syncs->count = 0;
	syncs->in_count = 0;
	if (count > XE_FEW_SYNCS) {
		syncs->sync = port_alloc(count * (sizeof(*syncs->sync) + sizeof(*syncs->in)));
		if (!syncs->sync) {
			return -ENOMEM;
		}
		syncs->in = (struct fence **)(syncs->sync + count);
	}
	for (uint32_t i = 0; i < count && ret == 0; i++) {
		struct xe_sync *sync = &syncs->sync[syncs->count++];

		ret = entry_read(file, addr + i * sizeof(struct drm_xe_sync), flags, sync);
		if (ret == 0) {
			ret = entry_prepare(file, flags, syncs, sync);
		}
		users += sync->user;
	}
	if (ret == 0 && users > 1) {
		ret = -EINVAL;
	}
	if (ret) {
		xe_syncs_fini(syncs);
	}
	return ret;
}

void xe_syncs_signal(struct xe_syncs *syncs, struct fence *fence)
{
	ASSERT(fence);
	for (unsigned i = 0; i < syncs->count; i++) {
		struct xe_sync *sync = &syncs->sync[i];

		if (sync->so && sync->signal && sync->mem) {
			syncobj_add_point(sync->so, sync->point, fence, sync->mem);
			sync->mem = NULL;
		} else if (sync->so && sync->signal) {
			syncobj_replace(sync->so, fence);
		}
	}
}

struct xe_sync *xe_syncs_user(struct xe_syncs *syncs)
{
	for (unsigned i = 0; i < syncs->count; i++) {
		if (syncs->sync[i].user) {
			return &syncs->sync[i];
		}
	}
	return NULL;
}

void xe_syncs_fini(struct xe_syncs *syncs)
{
	for (unsigned i = 0; i < syncs->in_count; i++) {
		fence_put(syncs->in[i]);
	}
	for (unsigned i = 0; i < syncs->count; i++) {
		entry_fini(&syncs->sync[i]);
	}
	if (syncs->sync != syncs->few_sync) {
		port_free(syncs->sync);
	}
}

/* ---- one at a time --------------------------------------------------------------------------- */

/* Calls @func for every entry, up to the first error. */
static int each_entry(const struct xe_sync_list *list,
		      int (*func)(struct xe_sync *sync, struct fence *fence), struct fence *fence)
{
	unsigned users = 0;
	int ret = 0;

	for (uint32_t i = 0; i < list->count && ret == 0; i++) {
		struct xe_sync sync;

		ret = entry_read(list->file, list->addr + i * sizeof(struct drm_xe_sync),
				 list->flags, &sync);
		if (ret == 0) {
			ret = func(&sync, fence);
		}
		users += sync.user;
		entry_fini(&sync);
	}
	return ret == 0 && users > 1 ? -EINVAL : ret;
}

static int entry_check(struct xe_sync *sync, struct fence *fence)
{
	return sync->signal || syncobj_has(sync->so, sync->point) ? 0 : -EINVAL;
}

static int entry_wait(struct xe_sync *sync, struct fence *fence)
{
	struct fence *in = NULL;
	int ret = 0;

	while (!sync->signal && ret == 0) {
		/* One that was there and is reset by now is not waited for any more. */
		if (syncobj_find_first(sync->so, sync->point, &in) || !in) {
			break;
		}
		ret = fence_wait(in, PORT_FOREVER, PORT_WAIT_INTERRUPTIBLE);
		fence_put(in);
	}
	return ret;
}

static int entry_signal(struct xe_sync *sync, struct fence *fence)
{
	if (sync->user) {
		ufence_write_now(fence->sync, sync->addr, sync->value);
	} else if (sync->signal && sync->point) {
		syncobj_advance(sync->so, sync->point);
	} else if (sync->signal) {
		syncobj_replace(sync->so, fence);
	}
	return 0;
}

int xe_sync_list_check(const struct xe_sync_list *list)
{
	return each_entry(list, entry_check, NULL);
}

int xe_sync_list_wait(const struct xe_sync_list *list)
{
	return each_entry(list, entry_wait, NULL);
}

int xe_sync_list_signal(const struct xe_sync_list *list, struct fence *fence)
{
	int ret = 0;

	if (list->count) {
		ret = fence_wait(fence, PORT_FOREVER, PORT_WAIT_INTERRUPTIBLE);
	}
	return ret ? ret : each_entry(list, entry_signal, fence);
}
