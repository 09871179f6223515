// SPDX-License-Identifier: MIT
/*
 * Handle tables: every number that a client knows stands for the object it was given for, and there
 * are no others, but those whose number was lost on its way to the client.
 */
#include "sim.h"

#include "uapi/xe/xe.h"

#define NAME "handles"

static unsigned count(struct ids *ids)
{
	unsigned n = 0;

	for (uint32_t id = 0; ids_next(ids, &id); id++) {
		n++;
	}
	return n;
}

static void expect(struct mclient *c, struct ids *ids, unsigned n, enum table table)
{
	static const char *const what[] = { "address spaces", "queues", "objects", "syncobjs" };
	int more = (int)count(ids) - (int)n;

	if (more < c->least[table] || more > c->most[table]) {
		sim_fail(c->world, NAME, "client %u has %u %s, its tables %d more, not %d to %d",
			 c->index, n, what[table], more, c->least[table], c->most[table]);
	}
	c->least[table] = more;
	c->most[table] = more;
}

static void resolve(struct mclient *c, uint32_t handle, uint64_t bo_id)
{
	struct bo *bo = drm_gem_lookup(c->file, handle);

	if (!bo || bo->id != bo_id || atomic_load(&bo->ref.count) < 2) {
		sim_fail(c->world, NAME, "client %u: handle %u is bo %llu with %u references, "
			 "not bo %llu", c->index, handle, bo ? (unsigned long long)bo->id : 0,
			 bo ? atomic_load(&bo->ref.count) : 0, (unsigned long long)bo_id);
	}
	bo_put(bo);
}

static void check_client(struct mclient *c)
{
	unsigned vms = 0, queues = 0, handles = 0;

	for (unsigned i = 0; i < CLIENT_VMS; i++) {
		struct mvm *vm = &c->vm[i];
		bool here = vm->used && !vm->gone;

		vms += here;
		queues += here && vm->bind_queue;
		if (vm->used && vm->batch_bo) {
			handles++;
			resolve(c, vm->batch_bo, vm->batch_bo_id);
		}
	}
	for (unsigned i = 0; i < CLIENT_QUEUES; i++) {
		struct xe_queue *queue;

		if (!c->queue[i].used || c->queue[i].gone || c->queue[i].ring) {
			continue;
		}
		queues++;
		queue = xe_queue_lookup(c->file, c->queue[i].id);
		if (!queue || queue->xvm->vm->id != c->queue[i].vm->core_id) {
			sim_fail(c->world, NAME, "client %u: queue %u is not the one it made",
				 c->index, c->queue[i].id);
		}
		xe_queue_put(queue);
	}
	for (unsigned i = 0; i < CLIENT_OBJS; i++) {
		if (c->handle[i]) {
			handles++;
			resolve(c, c->handle[i], c->obj[i]->bo_id);
		}
	}
	expect(c, &xe_file(c->file)->vms, vms, TABLE_VMS);
	expect(c, &xe_file(c->file)->queues, queues, TABLE_QUEUES);
	expect(c, &c->file->handles, handles, TABLE_HANDLES);
	expect(c, &c->file->syncobjs, c->syncobjs, TABLE_SYNCOBJS);
}

static void quiet(struct world *w)
{
	for (unsigned i = 0; i < w->clients; i++) {
		struct mclient *c = &w->client[i];

		if (c->file && !c->lost_device && !c->device->ever_wedged) {
			check_client(c);
		}
	}
}

const struct checker check_handles = { .name = NAME, .quiet = quiet };
