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
			struct drm_sync *sync)
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

static int read_user_fence(const struct drm_xe_sync *in, unsigned flags, struct drm_sync *sync)
{
	uint64_t probe;

	if ((flags & XE_SYNC_NO_UFENCE) || !sync->signal) {
		return -EOPNOTSUPP;
	}
	if (!is_aligned(in->addr, sizeof(uint64_t))) {
		return -EINVAL;
	}
	sync->user = true;
	sync->by_gpu = flags & XE_SYNC_EXEC;
	sync->addr = in->addr;
	sync->value = in->timeline_value;
	return flags & XE_SYNC_EXEC ? 0 : port_copy_from_user(&probe, in->addr, sizeof(probe));
}

/* What there is in @sync_out afterwards goes with drm_sync_fini(), also on error. */
static int entry_read(struct uapi_file *file, uint64_t addr, unsigned flags,
		      struct drm_sync *sync_out)
{
	struct drm_xe_sync in;
	int ret = port_copy_from_user(&in, addr, sizeof(in));

	*sync_out = (struct drm_sync){ 0 };
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

/* ---- all at once ----------------------------------------------------------------------------- */

int xe_syncs_parse(struct uapi_file *file, uint64_t addr, uint32_t count, unsigned flags,
		   struct drm_syncs *syncs)
{
	unsigned users = 0;
	int ret;

	ASSERT(count <= XE_MAX_SYNCS);
	ret = drm_syncs_init(syncs, count);
	if (ret) {
		return ret;
	}
	for (uint32_t i = 0; i < count && ret == 0; i++) {
		struct drm_sync *sync = drm_syncs_next(syncs);

		ret = entry_read(file, addr + i * sizeof(struct drm_xe_sync), flags, sync);
		if (ret == 0) {
			ret = drm_syncs_prepare(file, syncs, sync);
		}
		users += sync->user;
	}
	if (ret == 0 && users > 1) {
		ret = -EINVAL;
	}
	if (ret) {
		drm_syncs_fini(syncs);
	}
	return ret;
}

struct drm_sync *xe_syncs_user(struct drm_syncs *syncs)
{
	for (unsigned i = 0; i < syncs->count; i++) {
		if (syncs->sync[i].user) {
			return &syncs->sync[i];
		}
	}
	return NULL;
}

/* ---- one at a time --------------------------------------------------------------------------- */

/* Calls @func for every entry, up to the first error. */
static int each_entry(const struct xe_sync_list *list,
		      int (*func)(struct drm_sync *sync, struct fence *fence), struct fence *fence)
{
	unsigned users = 0;
	int ret = 0;

	for (uint32_t i = 0; i < list->count && ret == 0; i++) {
		struct drm_sync sync;

		ret = entry_read(list->file, list->addr + i * sizeof(struct drm_xe_sync),
				 list->flags, &sync);
		if (ret == 0) {
			ret = func(&sync, fence);
		}
		users += sync.user;
		drm_sync_fini(&sync);
	}
	return ret == 0 && users > 1 ? -EINVAL : ret;
}

static int entry_check(struct drm_sync *sync, struct fence *fence)
{
	return sync->signal || syncobj_has(sync->so, sync->point) ? 0 : -EINVAL;
}

static int entry_wait(struct drm_sync *sync, struct fence *fence)
{
	return sync->signal ? 0 : drm_sync_wait_now(sync->so, sync->point);
}

static int entry_signal(struct drm_sync *sync, struct fence *fence)
{
	if (sync->user) {
		ufence_write_now(fence->sync, sync->addr, sync->value);
	} else if (sync->signal) {
		drm_sync_signal_now(sync->so, sync->point, fence);
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
