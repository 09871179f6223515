// SPDX-License-Identifier: MIT
/*
 * Sync entries of VM_BIND and EXEC.
 *
 * Parsing takes references and allocates what signalling will need, so that after the core has
 * accepted a job nothing can fail any more. An entry without SIGNAL is something to wait for: its
 * fence must exist already. Entries are checked one by one, in order; the first bad one decides.
 */
#include "uapi/xe/xe.h"

/* What is waited for; collected as it comes. */
static void in_add(struct xe_syncs *syncs, struct fence *fence)
{
	ASSERT(syncs->in_count < syncs->count);
	syncs->in[syncs->in_count++] = fence;
}

static int parse_syncobj(struct uapi_file *file, const struct drm_xe_sync *in, unsigned flags,
			 struct xe_syncs *syncs, struct xe_sync *sync)
{
	bool timeline = in->type == DRM_XE_SYNC_TYPE_TIMELINE_SYNCOBJ;
	struct fence *fence = NULL;
	int ret;

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
	if (!sync->so) {
		return -ENOENT;
	}
	sync->point = timeline ? in->timeline_value : 0;
	if (sync->signal) {
		if (timeline) {
			sync->mem = syncobj_point_alloc();
		}
		return timeline && !sync->mem ? -ENOMEM : 0;
	}
	ret = syncobj_find(sync->so, sync->point, &fence);
	if (ret == 0) {
		in_add(syncs, fence);
	}
	return ret;
}

static int parse_user_fence(struct uapi_file *file, const struct drm_xe_sync *in, unsigned flags,
			    struct xe_syncs *syncs, struct xe_sync *sync)
{
	uint64_t probe;
	int ret;

	if ((flags & XE_SYNC_NO_UFENCE) || !sync->signal) {
		return -EOPNOTSUPP;
	}
	if (!is_aligned(in->addr, sizeof(uint64_t))) {
		return -EINVAL;
	}
	sync->user = true;
	syncs->ufence_count++;
	sync->addr = in->addr;
	sync->value = in->timeline_value;
	if (flags & XE_SYNC_EXEC) {
		return 0;
	}
	ret = port_copy_from_user(&probe, in->addr, sizeof(probe));
	if (ret) {
		return ret;
	}
	sync->ufence = ufence_create(&file->device->dev->sync, in->addr, in->timeline_value);
	return sync->ufence ? 0 : -ENOMEM;
}

static int parse_one(struct uapi_file *file, uint64_t addr, unsigned flags, struct xe_syncs *syncs,
		     struct xe_sync *sync)
{
	struct drm_xe_sync in;
	int ret = port_copy_from_user(&in, addr, sizeof(in));

	if (ret) {
		return ret;
	}
	if ((in.flags & ~DRM_XE_SYNC_FLAG_SIGNAL) || in.reserved[0] || in.reserved[1]) {
		return -EINVAL;
	}
	sync->signal = in.flags & DRM_XE_SYNC_FLAG_SIGNAL;
	switch (in.type) {
	case DRM_XE_SYNC_TYPE_SYNCOBJ:
	case DRM_XE_SYNC_TYPE_TIMELINE_SYNCOBJ:
		return parse_syncobj(file, &in, flags, syncs, sync);
	case DRM_XE_SYNC_TYPE_USER_FENCE:
		return parse_user_fence(file, &in, flags, syncs, sync);
	default:
		return -EINVAL;
	}
}

int xe_syncs_parse(struct uapi_file *file, uint64_t addr, uint32_t count, unsigned flags,
		   struct xe_syncs *syncs)
{
	int ret = 0;

	ASSERT(count <= XE_MAX_SYNCS);
	*syncs = (struct xe_syncs){ .count = count };
	if (count == 0) {
		return 0;
	}
	syncs->sync = port_alloc(count * sizeof(*syncs->sync));
	syncs->in = port_alloc(count * sizeof(struct fence *));
	if (!syncs->sync || !syncs->in) {
		ret = -ENOMEM;
	}
	for (uint32_t i = 0; i < count && ret == 0; i++) {
		ret = parse_one(file, addr + i * sizeof(struct drm_xe_sync), flags, syncs,
				&syncs->sync[i]);
	}
	if (ret == 0 && syncs->ufence_count > 1) {
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
	for (unsigned i = 0; syncs->sync && i < syncs->count; i++) {
		struct xe_sync *sync = &syncs->sync[i];

		if (sync->mem) {
			syncobj_point_free(sync->mem);
		}
		if (sync->so) {
			syncobj_put(sync->so);
		}
		ufence_put(sync->ufence);
	}
	port_free(syncs->sync);
	port_free(syncs->in);
	*syncs = (struct xe_syncs){ 0 };
}
