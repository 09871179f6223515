// SPDX-License-Identifier: MIT
/*
 * What the clients know: their objects, what they have mapped where, which jobs are under way and
 * what these will find. Nothing in here looks into the device.
 */
#include "sim.h"

#include "exec/queue.h"

#include <stdlib.h>
#include <sys/mman.h>

/* ---- objects --------------------------------------------------------------------------------- */

struct obj *obj_new(struct world *w, unsigned device, unsigned units)
{
	struct obj *obj = calloc(1, sizeof(*obj));

	ASSERT(obj);
	obj->device = device;
	obj->units = units;
	obj->next = w->objs;
	w->objs = obj;
	return obj;
}

void obj_free(struct obj *obj)
{
	if (obj->mapped) {
		munmap(obj->mapped, USER_MAPPED_B);
	}
	free(obj);
}

void obj_cleared(struct obj *obj)
{
	memset(obj->value, 0, sizeof(obj->value));
	for (unsigned i = 0; i < obj->units; i++) {
		obj->unsure[i] = obj->busy[i] != 0;
	}
}

/* ---- jobs ------------------------------------------------------------------------------------ */

uint32_t *job_results(const struct mvm *vm, const struct job *job)
{
	return (uint32_t *)(vm->cpu + RESULTS_OFF + job->slot * RESULT_B);
}

bool job_touches(const struct job *job, unsigned first, unsigned n)
{
	for (unsigned i = 0; i < job->reads; i++) {
		if (job->read[i].unit >= first && job->read[i].unit < first + n) {
			return true;
		}
	}
	for (unsigned i = 0; i < job->writes; i++) {
		if (job->write[i].unit >= first && job->write[i].unit < first + n) {
			return true;
		}
	}
	return false;
}

void job_touch(struct job *job, const struct touch *touch)
{
	struct obj *obj = touch->obj;

	if (obj) {
		obj->busy[touch->page]++;
		obj->owner[touch->page] = job->queue;
	}
}

void job_drop(struct job *job, bool done)
{
	for (unsigned i = 0; i < job->reads + job->writes; i++) {
		bool write = i >= job->reads;
		struct touch *touch = write ? &job->write[i - job->reads] : &job->read[i];

		if (!touch->obj) {
			continue;
		}
		ASSERT(touch->obj->busy[touch->page] > 0);
		touch->obj->busy[touch->page]--;
		if (write && (!done || job->loose)) {
			touch->obj->unsure[touch->page] = true;
		}
	}
	for (unsigned i = 0; i < job->astrays; i++) {
		job->astray[i].obj->busy[job->astray[i].page]--;
		job->astray[i].obj->unsure[job->astray[i].page] = true;
	}
	job->used = false;
}

static void job_loosen(struct job *job, const struct obj *obj)
{
	for (unsigned i = 0; i < job->reads; i++) {
		job->loose = job->loose || job->read[i].obj == obj;
	}
	for (unsigned i = 0; i < job->writes; i++) {
		job->loose = job->loose || job->write[i].obj == obj;
	}
}

void obj_loosen(struct world *w, struct obj *obj)
{
	for (unsigned i = 0; i < w->clients * CLIENT_VMS; i++) {
		struct mvm *vm = &w->client[i / CLIENT_VMS].vm[i % CLIENT_VMS];

		for (unsigned k = 0; k < VM_JOBS; k++) {
			if (vm->job[k].used) {
				job_loosen(&vm->job[k], obj);
			}
		}
	}
}

void job_doubt(struct world *w, struct job *job)
{
	job->loose = true;
	job->excused = true;
	for (unsigned i = 0; i < job->writes; i++) {
		if (job->write[i].obj) {
			job->write[i].obj->unsure[job->write[i].page] = true;
			obj_loosen(w, job->write[i].obj);
		}
	}
}

void job_goes_astray(struct world *w, struct job *job, struct obj *obj, unsigned page)
{
	ASSERT(job->astrays < ARRAY_LEN(job->astray));
	job->astray[job->astrays++] = (struct touch){ .obj = obj, .page = page };
	obj->busy[page]++;
	obj->owner[page] = NULL; /* nobody is sure to come after it */
	obj->unsure[page] = true;
	obj_loosen(w, obj);
}

/* ---- address spaces and queues --------------------------------------------------------------- */

void vm_use(struct mvm *vm)
{
	vm->users++;
}

void vm_unuse(struct mvm *vm)
{
	struct mclient *c = vm->client;

	if (--vm->users || !vm->gone) {
		return;
	}
	for (unsigned i = 0; i < VM_JOBS; i++) {
		if (vm->job[i].used) {
			if (vm->job[i].syncobj) {
				syncobj_end(c, vm->job[i].syncobj);
			}
			job_drop(&vm->job[i], false);
		}
	}
	for (unsigned i = 0; i < VM_BINDS; i++) {
		if (vm->bind_sync[i]) {
			syncobj_end(c, vm->bind_sync[i]);
		}
	}
	if (vm->batch_bo && c->file) {
		(void)table_left(c, TABLE_HANDLES, client_gem_close(c->file, vm->batch_bo));
	}
	memset(vm, 0, sizeof(*vm));
}

void queue_forget(struct mqueue *q)
{
	struct mvm *vm = q->vm;

	for (unsigned i = 0; i < VM_JOBS; i++) {
		/* Its jobs are looked at no more but by who is at it. */
		if (vm->job[i].used && vm->job[i].queue == q) {
			vm->job[i].excused = true;
		}
	}
	q->gone = true;
}

void vm_excuse(struct mvm *vm)
{
	vm->excused = true;
}

void device_excuse(struct mdevice *device)
{
	struct world *w = device->world;

	device->excuses++;
	for (unsigned i = 0; i < w->clients; i++) {
		struct mclient *c = &w->client[i];

		for (unsigned k = 0; k < CLIENT_QUEUES && c->device == device; k++) {
			c->queue[k].excused = c->queue[k].used;
		}
	}
}

/* ---- what was made to fail ------------------------------------------------------------------- */

bool copies_failed(const struct world *w, uint64_t ns)
{
	return w->copies_fail || w->copies_ns >= ns;
}

void pin_failed(struct mdevice *device, const struct event *event)
{
	struct world *w = device->world;
	uint64_t vm_id = event->arg[0], va = event->arg[1];
	bool made = copies_failed(w, event->time_ns - 1000000), gone = false;

	for (struct obj *obj = w->objs; obj; obj = obj->next) {
		if (obj->host && obj->device == device->index) {
			gone = gone || obj->gone;
			obj->doubtful = obj->doubtful || made;
			if (made) {
				obj_loosen(w, obj);
			}
		}
	}
	if (!made && !gone) {
		sim_fail(w, "pages", "client memory of vm %llu at 0x%llx is there, but not found",
			 (unsigned long long)vm_id, (unsigned long long)va);
	}
	for (unsigned i = 0; i < w->clients * CLIENT_VMS && made; i++) {
		struct mvm *vm = &w->client[i / CLIENT_VMS].vm[i % CLIENT_VMS];

		if (vm->used && vm->client->device == device && vm->core_id == vm_id) {
			vm_excuse(vm);
		}
	}
}

int table_made(struct mclient *c, enum table table, int ret)
{
	c->most[table] += ret == -EFAULT;
	return ret;
}

int table_left(struct mclient *c, enum table table, int ret)
{
	c->least[table] += ret != 0;
	c->most[table] += ret != 0;
	return ret;
}

void table_found(struct mclient *c, enum table table)
{
	c->least[table] -= c->most[table] > 0;
}

/* ---- syncobjs, files ------------------------------------------------------------------------- */

int syncobj_new(struct mclient *c, uint32_t *handle_out)
{
	struct drm_syncobj_create args = { 0 };
	int ret = table_made(c, TABLE_SYNCOBJS, IOCTL(c->file, SYNCOBJ_CREATE, &args));

	*handle_out = args.handle;
	c->syncobjs += ret == 0;
	return ret;
}

void syncobj_end(struct mclient *c, uint32_t handle)
{
	int ret = c->file ? client_syncobj_destroy(c->file, handle) : -EBADF;

	c->syncobjs -= ret == 0;
	c->least[TABLE_SYNCOBJS] -= ret == -EFAULT; /* its struct is also copied out */
}

int card_open(struct mclient *c)
{
	int ret = uapi_open(c->device->companion, true, &c->card);

	c->card = ret ? NULL : c->card;
	return ret;
}

int client_try_open(struct mclient *c)
{
	int ret = uapi_open(c->device->uapi, true, &c->file);

	if (ret) {
		c->file = NULL;
		return ret;
	}
	atomic_init(&c->counter.value, TIMELINE_START);
	atomic_init(&c->counter.ended, 0);
	c->held = 0;
	c->lost_device = false;
	(void)card_open(c);
	c->timeline = uapi_timeline_create(c->device->uapi, &c->counter, "sim");
	return 0;
}

void client_shut(struct mclient *c)
{
	void *timeline = c->timeline;

	if (!c->file) {
		return;
	}
	for (unsigned i = 0; i < CLIENT_VMS; i++) {
		c->vm[i].gone = true; /* nobody writes into its memory any more */
	}
	c->device->ending++;
	card_shut(c);
	rings_kill(c, NULL);
	uapi_close(c->file);
	c->device->ending--;
	c->file = NULL;
	for (unsigned i = 0; i < CLIENT_QUEUES; i++) {
		if (c->queue[i].used) {
			exec_queue_put(c->queue[i].ring);
		}
	}
	for (unsigned i = 0; i < CLIENT_VMS; i++) {
		for (unsigned k = 0; k < VM_JOBS; k++) {
			if (c->vm[i].used && c->vm[i].job[k].used) {
				job_drop(&c->vm[i].job[k], false);
			}
		}
	}
	memset(c->vm, 0, sizeof(c->vm));
	memset(c->queue, 0, sizeof(c->queue));
	memset(c->obj, 0, sizeof(c->obj));
	memset(c->handle, 0, sizeof(c->handle));
	memset(c->least, 0, sizeof(c->least));
	memset(c->most, 0, sizeof(c->most));
	c->syncobjs = 0;
	c->timeline = NULL;
	if (timeline) {
		atomic_store(&c->counter.ended, 1);
		uapi_timeline_update(timeline);
		uapi_fd_put_object(UAPI_FD_TIMELINE, timeline);
	}
}
