// SPDX-License-Identifier: MIT
/*
 * Steps that make, map, share and end things. Each draws what it does, says it by ioctl, and when
 * the device has answered tells the model what is so now. Any answer that has no reason is a
 * failure of the run.
 */
#include "sim.h"

#include "exec/queue.h"
#include "port/sim.h"
#include "uapi/vmb_sync.h"
#include "uapi/xe/xe.h"

#include <sys/mman.h>

#define MS UINT64_C(1000000)

int answered(struct mclient *c, int ret, const char *what, const int *also)
{
	struct world *w = c->world;
	bool known = ret == 0 || (ret == -EINTR && (w->injected || w->signalled));

	known = known || ((ret == -ENOMEM || ret == -EAGAIN) && w->injected && !w->calm);
	known = known || (ret == -EFAULT && (w->injected & BIT(PORT_FAULT_USER_COPY)) && !w->calm);
	known = known || ((ret == -ECANCELED || ret == -ENODEV) && c->device->ever_wedged);
	for (; also && *also && !known; also++) {
		known = ret == *also;
	}
	if (!known) {
		sim_fail(w, "answers", "client %u: %s answers %d (%s), without a reason",
			 c->index, what, ret, strerrorname_np(-ret));
	}
	c->lost_device = c->lost_device || ret == -ENODEV;
	return ret;
}

struct mvm *pick_vm(struct thread *t)
{
	unsigned first = draw(t, CLIENT_VMS);

	for (unsigned i = 0; i < CLIENT_VMS; i++) {
		struct mvm *vm = &t->client->vm[(first + i) % CLIENT_VMS];

		if (vm->used && !vm->gone) {
			return vm;
		}
	}
	return NULL;
}

/* ---- address spaces -------------------------------------------------------------------------- */

static uint64_t core_bo_id(struct mclient *c, uint32_t handle)
{
	struct bo *bo = drm_gem_lookup(c->file, handle);
	uint64_t id = bo ? bo->id : 0;

	bo_put(bo);
	return id;
}

static uint32_t core_vm_id(struct mclient *c, uint32_t vm)
{
	struct xe_vm *xvm = xe_vm_lookup(c->file, vm);
	uint32_t id = xvm->vm->id;

	xe_vm_put(xvm);
	return id;
}

static int gem_new(struct mclient *c, uint64_t size_B, uint32_t placement, uint32_t *handle_out)
{
	static const int also[] = { -ENOMEM, -ENOSPC, 0 };
	int ret = client_gem_create(c->file, 0, size_B, placement, 0, handle_out);

	return answered(c, table_made(c, TABLE_HANDLES, ret), "GEM_CREATE", also);
}

/* The page of its batches and of their results; in system memory, which stays where it is. */
static int vm_batches(struct mclient *c, struct mvm *vm)
{
	static const int also[] = { -ENOMEM, 0 }, ended[] = { -ENOMEM, -ENOENT, -EINVAL, 0 };
	struct drm_xe_gem_mmap_offset map = { 0 };
	struct drm_xe_vm_bind_op op;
	struct drm_xe_sync sync;
	uint64_t offset;
	int fd, ret = gem_new(c, UNIT_B, 1, &vm->batch_bo);

	if (ret) {
		vm->batch_bo = 0;
		return ret;
	}
	vm->batch_bo_id = core_bo_id(c, vm->batch_bo);
	map.handle = vm->batch_bo;
	ret = answered(c, IOCTL(c->file, XE_GEM_MMAP_OFFSET, &map), "GEM_MMAP_OFFSET", NULL);
	if (ret == 0) {
		ret = answered(c, uapi_mmap(c->file, map.offset, UNIT_B, &fd, &offset), "mmap",
			       NULL);
	}
	if (ret) {
		return ret;
	}
	vm->cpu = (char *)uapi_arena_base(c->device->uapi) + offset;
	op = client_op(DRM_XE_VM_BIND_OP_MAP, vm->batch_bo, 0, BATCH_VA, UNIT_B);
	op.flags = vm->fault ? DRM_XE_VM_BIND_FLAG_IMMEDIATE : 0;
	sync = vm_signal_user(vm);
	ret = client_bind(c->file, vm->id, 0, &op, 1, &sync, 1);
	if (answered(c, ret, "VM_BIND", vm->gone ? ended : also) == 0) {
		vm_wait_bound(c, vm);
	}
	return ret;
}

static int vm_end(struct mclient *c, struct mvm *vm)
{
	struct drm_xe_vm_destroy args = { .vm_id = vm->id };
	uint32_t bind_queue = vm->bind_queue;
	int ret;

	vm_use(vm);
	vm->gone = true;
	vm->ending = true;
	rings_kill(c, vm);
	c->device->ending++;
	ret = answered(c, IOCTL(c->file, XE_VM_DESTROY, &args), "VM_DESTROY", NULL);
	c->device->ending--;
	vm->ending = false;
	/* What is refused has not been begun. A file that is of no more use takes it along. */
	vm->gone = ret == 0 || ret == -ECANCELED || ret == -ENODEV;
	if (ret == 0 && bind_queue) {
		ret = table_left(c, TABLE_QUEUES, client_queue_destroy(c->file, bind_queue));
		(void)answered(c, ret, "QUEUE_DESTROY", NULL);
		ret = 0;
	}
	vm_unuse(vm);
	return ret;
}

static int step_vm(struct thread *t)
{
	static const uint32_t kinds[] = {
		0, 0, 0, DRM_XE_VM_CREATE_FLAG_SCRATCH_PAGE, DRM_XE_VM_CREATE_FLAG_LR_MODE,
		DRM_XE_VM_CREATE_FLAG_LR_MODE | DRM_XE_VM_CREATE_FLAG_SCRATCH_PAGE,
		DRM_XE_VM_CREATE_FLAG_LR_MODE | DRM_XE_VM_CREATE_FLAG_FAULT_MODE,
	};
	struct mclient *c = t->client;
	struct drm_xe_vm_create args = { .flags = kinds[draw(t, ARRAY_LEN(kinds))] };
	struct mvm *vm = NULL;
	int ret;

	for (unsigned i = 0; i < CLIENT_VMS; i++) {
		vm = c->vm[i].used ? vm : &c->vm[i];
	}
	if (!vm) {
		return -ENODATA;
	}
	ret = table_made(c, TABLE_VMS, IOCTL(c->file, XE_VM_CREATE, &args));
	if (answered(c, ret, "VM_CREATE", NULL)) {
		return ret;
	}
	vm->client = c;
	vm->id = args.vm_id;
	vm->core_id = core_vm_id(c, vm->id);
	vm->lr = args.flags & DRM_XE_VM_CREATE_FLAG_LR_MODE;
	vm->fault = args.flags & DRM_XE_VM_CREATE_FLAG_FAULT_MODE;
	vm->scratch = args.flags & DRM_XE_VM_CREATE_FLAG_SCRATCH_PAGE;
	vm->used = true;
	vm_use(vm);
	ret = vm_batches(c, vm);
	if (ret == 0 && draw(t, 2)) {
		ret = client_queue_create(c->file, vm->id, DRM_XE_ENGINE_CLASS_VM_BIND,
					  &vm->bind_queue);
		ret = answered(c, table_made(c, TABLE_QUEUES, ret), "QUEUE_CREATE",
			       (const int[]){ -ENOENT, 0 });
		vm->bind_queue = ret ? 0 : vm->bind_queue;
	}
	if (vm->gone && vm->bind_queue) {
		(void)table_left(c, TABLE_QUEUES, client_queue_destroy(c->file, vm->bind_queue));
		vm->bind_queue = 0;
	}
	while (ret && (vm->ending || (!vm->gone && vm_end(c, vm) != 0))) {
		nap(50000); /* failures end; without batches it is of no use */
	}
	vm_unuse(vm);
	return ret;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static int free_slot(struct mclient *c)
{
	for (int i = 0; i < CLIENT_OBJS; i++) {
		if (!c->obj[i]) {
			return i;
		}
	}
	return -1;
}

int gem_end(struct mclient *c, uint32_t handle)
{
	int ret = table_left(c, TABLE_HANDLES, client_gem_close(c->file, handle));

	return answered(c, ret, "GEM_CLOSE", NULL);
}

static int step_bo(struct thread *t)
{
	struct mclient *c = t->client;
	unsigned units = 1 + draw(t, OBJ_UNITS);
	uint32_t placement = c->device->vram ? 1 + draw(t, 3) : 1, handle;
	uint64_t bo_id;
	int at, ret;

	if (free_slot(c) < 0) {
		return -ENODATA;
	}
	ret = gem_new(c, units * UNIT_B, placement, &handle);
	if (ret) {
		return ret;
	}
	bo_id = core_bo_id(c, handle);
	at = free_slot(c); /* another client may have shared something meanwhile */
	if (at < 0) {
		return gem_end(c, handle);
	}
	c->obj[at] = obj_new(c->world, c->device->index, units);
	c->obj[at]->bo_id = bo_id;
	c->handle[at] = handle;
	return 0;
}

static int step_bo_end(struct thread *t)
{
	struct mclient *c = t->client;
	int at = (int)draw(t, CLIENT_OBJS), ret;
	uint32_t handle = c->handle[at];
	struct obj *obj = c->obj[at];

	if (!obj) {
		return -ENODATA;
	}
	c->obj[at] = NULL;
	c->handle[at] = 0;
	if (!handle) {
		return 0; /* client memory stays where it is mapped */
	}
	ret = answered(c, client_gem_close(c->file, handle), "GEM_CLOSE", NULL);
	at = free_slot(c); /* another client may have shared something meanwhile */
	if (ret && at >= 0) {
		c->obj[at] = obj;
		c->handle[at] = handle;
	} else {
		(void)table_left(c, TABLE_HANDLES, ret);
	}
	return ret;
}

static int step_userptr(struct thread *t)
{
	struct mclient *c = t->client;
	unsigned units = 1 + draw(t, 4), offset = draw(t, 24);
	int at = free_slot(c);
	struct obj *obj;

	if (at < 0) {
		return -ENODATA;
	}
	obj = obj_new(c->world, c->device->index, units);
	obj->mapped = mmap(NULL, USER_MAPPED_B, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT(obj->mapped != MAP_FAILED);
	/* Which entries can be large follows the address: that has to be the same each time. */
	obj->host = (char *)(uintptr_t)align_up(PTR(obj->mapped), SZ_2M) + offset * UNIT_B;
	c->obj[at] = obj;
	return 0;
}

static struct obj *pick_client_memory(struct thread *t)
{
	unsigned first = draw(t, CLIENT_OBJS);

	for (unsigned i = 0; i < CLIENT_OBJS; i++) {
		struct obj *obj = t->client->obj[(first + i) % CLIENT_OBJS];

		if (obj && obj->host && !obj->gone) {
			return obj;
		}
	}
	return NULL;
}

/* Its pages are replaced by new ones, or taken away for good, whatever is done with it. */
static int step_vanish(struct thread *t)
{
	struct mclient *c = t->client;
	struct obj *obj = pick_client_memory(t);
	struct uapi_client_range range;
	bool for_good = draw(t, 4) == 0;

	if (!obj) {
		return -ENODATA;
	}
	obj->gone = true; /* nobody plans with it meanwhile */
	obj_loosen(t->world, obj);
	for (unsigned i = 0; i < CLIENT_VMS * VM_JOBS && for_good; i++) {
		struct mvm *vm = &c->vm[i / VM_JOBS];
		const struct job *job = &vm->job[i % VM_JOBS];

		/* What touches it from now on is lost. */
		vm->excused = vm->excused || (job->used && job->loose);
	}
	uapi_client_range_begin(c->device->uapi, &range, PTR(obj->host), obj->units * UNIT_B);
	ASSERT(mmap(obj->host, obj->units * UNIT_B, for_good ? PROT_NONE : PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == obj->host);
	uapi_client_range_end(c->device->uapi, &range);
	obj_cleared(obj);
	obj->gone = for_good;
	return 0;
}

/* ---- queues ---------------------------------------------------------------------------------- */

int queue_make(struct mclient *c, struct mvm *vm, struct mqueue *q, uint16_t class, unsigned width,
	       int priority)
{
	static const int also[] = { -ENOENT, 0 };
	struct drm_xe_engine_class_instance eci[2] = {
		{ .engine_class = class },
		{ .engine_class = class, .engine_instance = 1 },
	};
	struct drm_xe_ext_set_property ext = {
		.property = DRM_XE_EXEC_QUEUE_SET_PROPERTY_PRIORITY,
		.value = (uint64_t)priority,
	};
	struct drm_xe_exec_queue_create args = {
		.width = width == 2 ? 2 : 1,
		.num_placements = width == 3 ? 2 : 1, /* 3: one unit that may be on either */
		.vm_id = vm->id,
		.instances = PTR(eci),
		.extensions = PTR(&ext),
	};
	int ret = table_made(c, TABLE_QUEUES, IOCTL(c->file, XE_EXEC_QUEUE_CREATE, &args));

	if (answered(c, ret, "QUEUE_CREATE", also) == 0) {
		vm_use(vm);
		*q = (struct mqueue){ .vm = vm, .used = true, .id = args.exec_queue_id,
				      .width = args.width };
	}
	return ret;
}

static int step_queue(struct thread *t)
{
	static const uint16_t classes[] = {
		DRM_XE_ENGINE_CLASS_RENDER, DRM_XE_ENGINE_CLASS_COPY,
		DRM_XE_ENGINE_CLASS_VIDEO_DECODE, DRM_XE_ENGINE_CLASS_COMPUTE,
	};
	unsigned class = draw(t, 4), width = class >= 2 ? 1 + draw(t, 3) : 1;
	int priority = (int)draw(t, 3);
	struct mclient *c = t->client;
	struct mvm *vm = pick_vm(t);
	struct mqueue *q = NULL;
	int ret;

	for (unsigned i = 0; i < CLIENT_QUEUES; i++) {
		q = c->queue[i].used ? q : &c->queue[i];
	}
	if (!vm || !q) {
		return -ENODATA;
	}
	vm_use(vm);
	ret = queue_make(c, vm, q, classes[class], width, priority);
	if (ret == -ENOENT && !vm->excused && !vm->gone) {
		sim_fail(c->world, "answers", "vm %u takes no queue, without a reason",
			 vm->core_id);
	}
	vm_unuse(vm);
	return ret;
}

static int step_kill(struct thread *t)
{
	struct mclient *c = t->client;
	struct mqueue *q = &c->queue[draw(t, CLIENT_QUEUES)];
	struct mvm *vm = q->vm;
	int ret;

	if (!q->used || q->gone) {
		return -ENODATA;
	}
	if (q->ring) {
		ring_kill(q);
	} else {
		queue_forget(q);
		q->ending = true;
		ret = client_queue_destroy(c->file, q->id);
		q->ending = false;
		if (answered(c, ret, "QUEUE_DESTROY", NULL)) {
			q->gone = false;
			return ret;
		}
	}
	/* Jobs are looked at with it: the last of them lets it go. */
	for (unsigned i = 0; i < VM_JOBS; i++) {
		struct job *job = &vm->job[i];

		if (job->used && job->queue == q && !job->waited && !job->pinned &&
		    job->submitted) {
			job->waited = true; /* nobody else takes it up */
			if (job->syncobj) {
				syncobj_end(c, job->syncobj);
			}
			job_drop(job, false);
		}
	}
	return 0;
}

/* Of those that are gone and that no job is left of. */
static void sweep_queues(struct mclient *c)
{
	for (unsigned i = 0; i < CLIENT_QUEUES; i++) {
		struct mqueue *q = &c->queue[i];
		bool left = false;

		for (unsigned k = 0; q->used && q->gone && k < VM_JOBS; k++) {
			left = left || (q->vm->job[k].used && q->vm->job[k].queue == q);
		}
		if (q->used && q->gone && !q->ending && !left) {
			struct mqueue swept = *q;

			q->used = false; /* for whoever looks from here on */
			exec_queue_put(swept.ring);
			vm_unuse(swept.vm);
		}
	}
}

/* ---- sharing, syncobjs ----------------------------------------------------------------------- */

/* Another client of the same device gets a handle of its own. */
static int step_share(struct thread *t)
{
	struct mclient *c = t->client, *other = &t->world->client[draw(t, t->world->clients)];
	unsigned from = draw(t, CLIENT_OBJS);
	struct drm_prime_handle out = { .handle = c->handle[from] }, in = { 0 };
	struct obj *obj = c->obj[from];
	int ret, at;

	if (!out.handle || other == c || other->device != c->device || !other->file ||
	    other->closing || other->lost_device || other->binding || c->sharing) {
		return -ENODATA;
	}
	other->inside++; /* it is not closed meanwhile */
	other->sharing++;
	c->binding++;
	ret = answered(c, IOCTL(c->file, PRIME_HANDLE_TO_FD, &out), "PRIME_HANDLE_TO_FD",
		       (const int[]){ -ENOENT, -EMFILE, 0 });
	if (ret == 0) {
		in.fd = out.fd;
		ret = table_made(other, TABLE_HANDLES,
				 IOCTL(other->file, PRIME_FD_TO_HANDLE, &in));
		(void)answered(other, ret, "PRIME_FD_TO_HANDLE", NULL);
		client_host_close_fd(&c->device->host, out.fd);
	}
	if (ret == 0) {
		table_found(other, TABLE_HANDLES);
		at = free_slot(other);
		for (int i = 0; i < CLIENT_OBJS; i++) {
			at = other->obj[i] && other->handle[i] == in.handle ? -2 : at;
		}
		if (at >= 0) {
			other->obj[at] = obj;
			other->handle[at] = in.handle;
		} else if (at == -1) {
			(void)gem_end(other, in.handle);
		}
	}
	c->binding--;
	other->sharing--;
	other->inside--;
	return ret;
}

uint32_t held_new(struct mclient *c)
{
	struct sw_sync_create_fence_data data = { .value = c->held + 1 };
	struct drm_syncobj_handle in = { 0 };
	uint32_t handle;

	if (!c->timeline || syncobj_new(c, &handle) != 0) {
		return 0;
	}
	if (uapi_timeline_ioctl(c->device->uapi, c->timeline, SW_SYNC_IOC_CREATE_FENCE,
				PTR(&data)) == 0) {
		c->held++;
		in.handle = handle;
		in.fd = data.fence;
		in.flags = DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE;
		if (IOCTL(c->file, SYNCOBJ_FD_TO_HANDLE, &in) == 0) {
			client_host_close_fd(&c->device->host, data.fence);
			return handle;
		}
		client_host_close_fd(&c->device->host, data.fence);
	}
	syncobj_end(c, handle);
	return 0;
}

static int step_sync(struct thread *t)
{
	struct mclient *c = t->client;
	struct drm_syncobj_transfer transfer = { 0 };
	uint32_t to, held = held_new(c);
	int ret;

	if (!held) {
		return -ENODATA;
	}
	ret = answered(c, syncobj_new(c, &to), "SYNCOBJ_CREATE", NULL);
	if (ret) {
		syncobj_end(c, held);
		return ret;
	}
	transfer.src_handle = held;
	transfer.dst_handle = to;
	transfer.dst_point = draw(t, 2) ? 1 + draw(t, 9) : 0;
	ret = answered(c, IOCTL(c->file, SYNCOBJ_TRANSFER, &transfer), "SYNCOBJ_TRANSFER", NULL);
	if (ret == 0 && draw(t, 2)) {
		ret = client_point_wait(c->file, to, transfer.dst_point, 0,
					(int64_t)(port_now_ns() + 50 * MS));
		(void)answered(c, ret, "a wait for a point", NULL);
	}
	if (draw(t, 2)) {
		(void)answered(c, client_syncobj_reset(c->file, held), "SYNCOBJ_RESET", NULL);
	}
	syncobj_end(c, held);
	syncobj_end(c, to);
	return ret;
}

/* ---- the device ------------------------------------------------------------------------------ */

static int step_wedge(struct thread *t)
{
	struct mdevice *d = t->client->device;
	struct world *w = t->world;
	int ret;

	device_excuse(d);
	if (!d->wedged) {
		d->wedged = true;
		d->ever_wedged = true;
		device_wedge(uapi_device_core(d->uapi));
		return 0;
	}
	ret = uapi_device_unbind(d->uapi);
	if (ret == 0) {
		d->returning = true;
		ret = uapi_device_bind(d->uapi);
		device_set_timeouts(d);
		d->returning = false;
		for (unsigned i = 0; i < w->clients; i++) {
			w->client[i].lost_device = w->client[i].lost_device ||
						   w->client[i].device == d;
		}
		d->wedged = false;
	}
	return ret;
}

static int step_close(struct thread *t)
{
	struct mclient *c = t->client;
	int ret;

	if (c->closing) {
		return -ENODATA;
	}
	c->closing = true;
	while (c->inside > 1) {
		nap(20000);
	}
	client_shut(c);
	while (c->device->returning) {
		nap(20000);
	}
	ret = client_try_open(c);
	c->closing = false;
	return ret;
}

static int step_inject(struct thread *t)
{
	static const struct {
		enum port_fault_point point;
		unsigned within;
	} kinds[] = {
		{ PORT_FAULT_ALLOC, 40 }, { PORT_FAULT_ALLOC, 40 }, { PORT_FAULT_SLEEP, 40 },
		{ PORT_FAULT_THREAD, 4 }, { PORT_FAULT_USER_COPY, 40 }, { PORT_FAULT_BIND, 4 },
		{ PORT_FAULT_IOCTL, 20 }, { PORT_FAULT_VRAM, 8 },
	};
	unsigned kind = draw(t, ARRAY_LEN(kinds));
	uint64_t nth = 1 + draw(t, kinds[kind].within);
	struct world *w = t->world;

	w->injected |= BIT(kinds[kind].point);
	w->injected_until_ns = port_now_ns() + 2 * MS;
	w->copies_fail = w->copies_fail || kinds[kind].point == PORT_FAULT_USER_COPY;
	port_fault_set(kinds[kind].point, nth, draw(t, 16) == 0);
	return 0;
}

static int step_signal(struct thread *t)
{
	struct thread *to = &t->world->thread[draw(t, 2 * t->world->clients)];

	t->world->signalled = true;
	if (to->id) {
		sim_interrupt(to->id);
	}
	return 0;
}

/* What a submission has looked at has moved meanwhile, for all it knows. */
static int step_race(struct thread *t)
{
	struct mvm *vm = pick_vm(t);
	struct xe_vm *xvm = vm ? xe_vm_lookup(t->client->file, vm->id) : NULL;

	if (!xvm) {
		return -ENODATA;
	}
	active_bump(xvm->vm->active);
	xe_vm_put(xvm);
	return 0;
}

static int step_query(struct thread *t)
{
	struct drm_xe_device_query args = { .query = draw(t, 6) };
	char text[UAPI_FDINFO_B];
	int len = uapi_fdinfo(t->client->file, text);

	(void)answered(t->client, len < 0 ? len : 0, "fdinfo", NULL);
	return answered(t->client, IOCTL(t->client->file, XE_DEVICE_QUERY, &args), "DEVICE_QUERY",
			NULL);
}

static int step_device(struct thread *t, enum sim_kind kind)
{
	switch (kind) {
	case SIM_RESET:
		device_excuse(t->client->device);
		device_reset(uapi_device_core(t->client->device->uapi));
		return 0;
	case SIM_WEDGE:
		return step_wedge(t);
	case SIM_INJECT:
		return step_inject(t);
	case SIM_SIGNAL:
		return step_signal(t);
	case SIM_RACE:
		return step_race(t);
	case SIM_SHARE:
		return step_share(t);
	case SIM_ATTACH:
		return step_attach(t);
	case SIM_SYNC:
		return step_sync(t);
	default:
		return step_query(t);
	}
}

static int step_vm_end(struct thread *t)
{
	struct mvm *vm = pick_vm(t);

	return vm && !vm->ringing ? vm_end(t->client, vm) : -ENODATA;
}

int step_take(struct thread *t, enum sim_kind kind)
{
	sweep_queues(t->client);
	if (kind == SIM_CLOSE || t->client->lost_device || !t->client->file) {
		return step_close(t);
	}
	switch (kind) {
	case SIM_VM:
		return step_vm(t);
	case SIM_VM_END:
		return step_vm_end(t);
	case SIM_BO:
		return step_bo(t);
	case SIM_BO_END:
		return step_bo_end(t);
	case SIM_USERPTR:
		return step_userptr(t);
	case SIM_VANISH:
		return step_vanish(t);
	case SIM_MAP:
	case SIM_UNMAP:
	case SIM_LIST:
	case SIM_PREFETCH:
	case SIM_EVICT:
		return step_bind(t, kind);
	case SIM_QUEUE:
		return step_queue(t);
	case SIM_RING:
		return step_ring(t);
	case SIM_KILL:
		return step_kill(t);
	case SIM_EXEC:
	case SIM_SPIN:
	case SIM_HANG:
	case SIM_FAULT:
		return step_exec(t, kind);
	case SIM_WAIT:
		return step_wait(t);
	default:
		return step_device(t, kind);
	}
}
