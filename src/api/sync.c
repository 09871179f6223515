// SPDX-License-Identifier: MIT
/*
 * Syncobjs, waits, and the sync entries of binds and submissions.
 *
 * Reading entries takes references on the fences to wait for and allocates what signalling needs,
 * so that after the core has accepted a job nothing can fail. Fences of another device are refused:
 * their contexts, by which dependencies are told apart, would mean something else here. Work of
 * long-running address spaces never gets into a syncobj, so that no dma fence comes to wait for it
 * (A05, A13).
 *
 * Locking: none of its own. Example: examples/async-bind.c.
 */
#include "api/api.h"

#define WAIT_FLAGS (VMB_WAIT_ALL | VMB_WAIT_FOR_SUBMIT)
#define WAIT_FEW 4

_Static_assert(VMB_FOREVER == PORT_FOREVER, "the same");

EXPORT int vmb_syncobj_create(struct vmb_device *device, int signalled,
			      struct vmb_syncobj **syncobj_out)
{
	struct vmb_syncobj *syncobj;

	if (!syncobj_out) {
		return -EINVAL;
	}
	*syncobj_out = NULL;
	if (!device) {
		return -EINVAL;
	}
	syncobj = api_handle_alloc(device, sizeof(*syncobj));
	if (!syncobj) {
		return -ENOMEM;
	}
	syncobj->device = device;
	syncobj->core = syncobj_create(&device->core->sync, signalled);
	if (!syncobj->core) {
		api_handle_free(device, syncobj);
		return -ENOMEM;
	}
	*syncobj_out = syncobj;
	return 0;
}

EXPORT void vmb_syncobj_destroy(struct vmb_syncobj *syncobj)
{
	if (syncobj) {
		syncobj_put(syncobj->core);
		api_handle_free(syncobj->device, syncobj);
	}
}

EXPORT int vmb_syncobj_signal(struct vmb_syncobj *syncobj, uint64_t point)
{
	struct syncobj_point *mem;

	if (!syncobj) {
		return -EINVAL;
	}
	if (!point) {
		syncobj_replace(syncobj->core, syncobj->device->core->sync.stub);
		return 0;
	}
	mem = syncobj_point_alloc();
	if (!mem) {
		return -ENOMEM;
	}
	syncobj_add_point(syncobj->core, point, syncobj->device->core->sync.stub, mem);
	return 0;
}

EXPORT int vmb_syncobj_reset(struct vmb_syncobj *syncobj)
{
	if (!syncobj) {
		return -EINVAL;
	}
	syncobj_replace(syncobj->core, NULL);
	return 0;
}

EXPORT int vmb_syncobj_query(struct vmb_syncobj *syncobj, uint64_t *point_out)
{
	if (!syncobj || !point_out) {
		return -EINVAL;
	}
	*point_out = syncobj_query(syncobj->core, false);
	return 0;
}

/* ---- waiting --------------------------------------------------------------------------------- */

static int waits_read(const struct vmb_wait_args *args, struct syncobj_wait *waits)
{
	for (uint32_t i = 0; i < args->count; i++) {
		const struct vmb_wait *wait = &args->waits[i];

		if (!wait->syncobj || wait->syncobj->device != args->waits[0].syncobj->device) {
			return -EINVAL;
		}
		waits[i].so = wait->syncobj->core;
		waits[i].point = wait->point;
	}
	return 0;
}

EXPORT int vmb_syncobj_wait(const struct vmb_wait_args *args, unsigned *first_out)
{
	struct syncobj_wait few[WAIT_FEW], *waits = few;
	struct vmb_wait_args mine;
	int ret = args ? api_args_read(args, &mine, sizeof(mine)) : -EINVAL;

	if (ret) {
		return ret;
	}
	if ((mine.flags & ~WAIT_FLAGS) || !mine.count || !mine.waits) {
		return -EINVAL;
	}
	if (mine.count > WAIT_FEW) {
		waits = port_alloc(mine.count * sizeof(*waits));
		if (!waits) {
			return -ENOMEM;
		}
	}
	ret = waits_read(&mine, waits);
	if (ret == 0) {
		unsigned flags = (mine.flags & VMB_WAIT_ALL ? SYNCOBJ_WAIT_ALL : 0) |
				 (mine.flags & VMB_WAIT_FOR_SUBMIT ? SYNCOBJ_WAIT_FOR_SUBMIT : 0);

		ret = syncobj_wait_many(&mine.waits[0].syncobj->device->core->sync, waits,
					mine.count, flags, mine.deadline_ns, true, first_out);
	}
	if (waits != few) {
		port_free(waits);
	}
	return ret;
}

EXPORT int vmb_memory_wait(struct vmb_device *device, const uint64_t *memory, uint64_t value,
			   uint64_t deadline_ns)
{
	const struct ufence_cond cond = {
		.addr = (uint64_t)(uintptr_t)memory,
		.value = value,
		.mask = UINT64_MAX,
		.op = UFENCE_GTE,
	};

	if (!device || !memory || !is_aligned(cond.addr, sizeof(value))) {
		return -EINVAL;
	}
	return ufence_wait(&device->core->sync, &cond, deadline_ns, NULL, NULL);
}

/* ---- entries --------------------------------------------------------------------------------- */

static int read_memory(struct api_syncs *syncs, struct vmb_device *device,
		       const struct vmb_sync *entry)
{
	uint64_t addr = (uint64_t)(uintptr_t)entry->memory, probe;
	int ret;

	if (!addr || !is_aligned(addr, sizeof(probe)) || entry->point ||
	    entry->flags != VMB_SYNC_SIGNAL || syncs->ufence) {
		return -EINVAL;
	}
	ret = port_copy_from_user(&probe, addr, sizeof(probe));
	if (ret) {
		return ret;
	}
	syncs->ufence = ufence_create(&device->core->sync, addr, entry->value);
	return syncs->ufence ? 0 : -ENOMEM;
}

static int read_entry(struct api_syncs *syncs, struct vmb_device *device,
		      const struct vmb_sync *entry, bool lr)
{
	struct api_out *out;

	if ((entry->flags != VMB_SYNC_WAIT && entry->flags != VMB_SYNC_SIGNAL) || entry->reserved) {
		return -EINVAL;
	}
	if (!entry->syncobj) {
		return read_memory(syncs, device, entry);
	}
	if (entry->memory || entry->value || entry->syncobj->device != device) {
		return -EINVAL;
	}
	if (entry->flags == VMB_SYNC_WAIT) {
		int ret = syncobj_find(entry->syncobj->core, entry->point,
				       &syncs->in[syncs->in_count]);

		syncs->in_count += ret == 0;
		return ret;
	}
	if (lr) {
		return -EOPNOTSUPP;
	}
	out = &syncs->out[syncs->out_count++];
	*out = (struct api_out){ .so = entry->syncobj->core, .point = entry->point };
	if (out->point) {
		out->mem = syncobj_point_alloc();
	}
	return out->point && !out->mem ? -ENOMEM : 0;
}

int api_syncs_read(struct api_syncs *syncs, struct vmb_device *device,
		   const struct vmb_sync *entries, uint32_t count, bool lr)
{
	int ret = 0;

	syncs->in = syncs->in_few;
	syncs->out = syncs->out_few;
	syncs->in_count = 0;
	syncs->out_count = 0;
	syncs->ufence = NULL;
	syncs->memory = NULL;
	if (count && !entries) {
		return -EINVAL;
	}
	if (count > API_FEW) {
		syncs->memory = port_alloc(count * (sizeof(*syncs->out) + sizeof(struct fence *)));
		if (!syncs->memory) {
			return -ENOMEM;
		}
		syncs->out = syncs->memory;
		syncs->in = (struct fence **)(syncs->out + count);
	}
	for (uint32_t i = 0; i < count && ret == 0; i++) {
		struct vmb_sync entry = entries[i];

		ret = read_entry(syncs, device, &entry, lr);
	}
	return ret;
}

void api_syncs_signal(struct api_syncs *syncs, struct fence *fence)
{
	for (unsigned i = 0; i < syncs->out_count; i++) {
		struct api_out *out = &syncs->out[i];

		if (out->mem) {
			syncobj_add_point(out->so, out->point, fence, out->mem);
			out->mem = NULL;
		} else {
			syncobj_replace(out->so, fence);
		}
	}
}

void api_syncs_fini(struct api_syncs *syncs)
{
	for (unsigned i = 0; i < syncs->in_count; i++) {
		fence_put(syncs->in[i]);
	}
	for (unsigned i = 0; i < syncs->out_count; i++) {
		syncobj_point_free(syncs->out[i].mem);
	}
	ufence_put(syncs->ufence);
	port_free(syncs->memory);
}
