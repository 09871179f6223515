// SPDX-License-Identifier: MIT
/*
 * Steps that bind: single ones and lists, at once or behind fences.
 *
 * What is under way on the addresses that change is waited for, or made an in-fence of the bind, or
 * now and then neither: then nobody can tell what it will find.
 */
#include "sim.h"

#define MS UINT64_C(1000000)
#define FORCE_ERROR BIT(31)
#define OPS 6

struct change {
	struct drm_xe_vm_bind_op op;
	unsigned first, n;
	struct unit unit; /* of the first; .kind UNIT_NONE: unmapped */
};

/* ---- what to do ------------------------------------------------------------------------------ */

static void draw_range(struct thread *t, struct change *ch, unsigned most)
{
	ch->n = 1 + draw(t, most);
	ch->first = draw(t, UNITS - ch->n + 1);
	ch->op.addr = UNIT_VA(ch->first);
	ch->op.range = ch->n * UNIT_B;
}

static bool draw_map(struct thread *t, struct mvm *vm, struct change *ch)
{
	struct mclient *c = t->client;
	unsigned at = draw(t, CLIENT_OBJS);
	struct obj *obj = c->obj[at];

	memset(ch, 0, sizeof(*ch));
	ch->op.pat_index = CLIENT_PAT_WB;
	ch->op.op = DRM_XE_VM_BIND_OP_MAP;
	ch->op.flags = vm->fault ? DRM_XE_VM_BIND_FLAG_IMMEDIATE : 0;
	if (draw(t, 8) == 0) {
		draw_range(t, ch, 12);
		ch->op.flags |= DRM_XE_VM_BIND_FLAG_NULL;
		ch->unit.kind = UNIT_NULL;
		return true;
	}
	if (!obj) {
		return false;
	}
	draw_range(t, ch, obj->units);
	ch->unit.kind = UNIT_OBJ;
	ch->unit.obj = obj;
	ch->unit.page = draw(t, obj->units - ch->n + 1);
	ch->unit.readonly = draw(t, 6) == 0;
	ch->op.flags |= ch->unit.readonly ? DRM_XE_VM_BIND_FLAG_READONLY : 0;
	if (obj->host) {
		ch->op.op = DRM_XE_VM_BIND_OP_MAP_USERPTR;
		ch->op.userptr = PTR(obj->host) + ch->unit.page * UNIT_B;
	} else {
		ch->op.obj = c->handle[at];
		ch->op.obj_offset = ch->unit.page * UNIT_B;
	}
	return true;
}

static bool draw_unmap(struct thread *t, struct change *ch)
{
	struct mclient *c = t->client;
	unsigned at = draw(t, CLIENT_OBJS);

	memset(ch, 0, sizeof(*ch));
	ch->op.pat_index = CLIENT_PAT_WB;
	ch->op.op = DRM_XE_VM_BIND_OP_UNMAP;
	if (c->obj[at] && c->handle[at] && draw(t, 6) == 0) {
		ch->op.op = DRM_XE_VM_BIND_OP_UNMAP_ALL;
		ch->op.obj = c->handle[at];
		ch->unit.obj = c->obj[at];
		ch->n = UNITS;
		return true;
	}
	draw_range(t, ch, 16);
	return true;
}

static bool draw_prefetch(struct thread *t, struct change *ch)
{
	memset(ch, 0, sizeof(*ch));
	ch->op.pat_index = CLIENT_PAT_WB;
	ch->op.op = DRM_XE_VM_BIND_OP_PREFETCH;
	draw_range(t, ch, 8);
	ch->op.prefetch_mem_region_instance = t->client->device->vram ? draw(t, 2) : 0;
	return true;
}

/* ---- what is so afterwards ------------------------------------------------------------------- */

static void apply(struct mvm *vm, const struct change *ch, bool unsure)
{
	bool all = ch->op.op == DRM_XE_VM_BIND_OP_UNMAP_ALL;

	if (ch->op.op == DRM_XE_VM_BIND_OP_PREFETCH) {
		return;
	}
	for (unsigned i = 0; i < ch->n; i++) {
		struct unit *unit = &vm->unit[ch->first + i];

		if (all && unit->kind != UNIT_UNSURE && unit->obj != ch->unit.obj) {
			continue;
		}
		if (all && unit->kind == UNIT_UNSURE) {
			continue;
		}
		*unit = ch->unit;
		unit->page += i;
		if (unit->kind == UNIT_NONE) {
			*unit = (struct unit){ 0 };
		}
		if (unsure) {
			*unit = (struct unit){ .kind = UNIT_UNSURE };
		}
	}
}

/* Is it all unmaps, which want no memory? */
static bool all_unmaps(const struct change *ch, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if ((ch[i].op.op != DRM_XE_VM_BIND_OP_UNMAP &&
		     ch[i].op.op != DRM_XE_VM_BIND_OP_UNMAP_ALL) ||
		    (ch[i].op.flags & FORCE_ERROR)) {
			return false;
		}
	}
	return true;
}

/* Without memory they are read and done a few at a time, and what is done stays. */
static bool in_part(int ret, const struct change *ch, unsigned n)
{
	return (ret == -EINTR || ret == -EFAULT) && all_unmaps(ch, n);
}

/* ---- what is under way ----------------------------------------------------------------------- */

/* What @job writes may go where @ch maps something now. */
static void lead_astray(struct world *w, struct job *job, const struct change *ch)
{
	for (unsigned i = 0; i < job->writes; i++) {
		unsigned at = job->write[i].unit;

		if (ch->unit.kind == UNIT_OBJ && at >= ch->first && at < ch->first + ch->n) {
			job_goes_astray(w, job, ch->unit.obj, ch->unit.page + at - ch->first);
		}
	}
}

/* False: there is a job that does not end soon. */
static bool settle_job(struct thread *t, struct mvm *vm, struct job *job, const struct change *ch,
		       unsigned count, struct drm_xe_sync *sync, unsigned *n)
{
	unsigned how = draw(t, 8);

	if (job->waited || !job->submitted) {
		return false;
	}
	if (how == 0 && !vm->scratch && !job->astrays && count <= 2) {
		for (unsigned i = 0; i < count; i++) {
			lead_astray(t->world, job, &ch[i]);
		}
		job_doubt(t->world, job);
		vm_excuse(vm);
		return true;
	}
	if (how < 5 && !vm->lr && *n < 4) {
		job->pinned = true;
		sync[(*n)++] = client_wait_for(job->syncobj);
		return true;
	}
	return job_finish(t->client, vm, job, port_now_ns() + 100 * MS);
}

static bool settle(struct thread *t, struct mvm *vm, const struct change *ch, unsigned count,
		   struct drm_xe_sync *sync, unsigned *n)
{
	for (unsigned i = 0; i < VM_JOBS; i++) {
		bool touched = false;

		for (unsigned k = 0; k < count; k++) {
			touched = touched || job_touches(&vm->job[i], ch[k].first, ch[k].n);
		}
		if (touched && vm->job[i].used &&
		    !settle_job(t, vm, &vm->job[i], ch, count, sync, n)) {
			return false;
		}
	}
	return true;
}

/* A place for the syncobj of one more bind that submissions have to wait for. */
static bool bind_place(struct mclient *c, struct mvm *vm, unsigned *at_out)
{
	unsigned at = vm->next_bind++ % VM_BINDS;

	if (vm->bind_sync[at]) {
		int ret;

		do {
			ret = client_syncobj_wait(c->file, vm->bind_sync[at],
						  (int64_t)(port_now_ns() + 100 * MS));
		} while (ret == -EINTR);
		if (ret) {
			return false;
		}
		syncobj_end(c, vm->bind_sync[at]);
		vm->bind_sync[at] = 0;
	}
	*at_out = at;
	return syncobj_new(c, &vm->bind_sync[at]) == 0;
}

static int check_answer(struct mclient *c, struct mvm *vm, int ret, const struct change *ch,
			unsigned n)
{
	static const int always[] = { -ENOMEM, 0 };
	static const int gone[] = { -ENOMEM, -ENOENT, -EINVAL, 0 };
	bool excused = vm->gone || vm->excused, known = ret == -ENOBUFS && c->world->injected;

	if (ret == -ENOMEM && all_unmaps(ch, n) &&
	    !(c->world->injected & (BIT(PORT_FAULT_BIND) | BIT(PORT_FAULT_IOCTL)))) {
		sim_fail(c->world, "answers", "client %u: %u unmaps fail for want of memory",
			 c->index, n);
	}
	for (unsigned i = 0; i < n; i++) {
		known = known || (ret == -ENOSPC && (ch[i].op.flags & FORCE_ERROR));
		known = known || (ret == -EFAULT && ch[i].unit.obj && ch[i].unit.obj->gone);
		known = known || (ret == -ENOENT && ch[i].op.obj); /* the handle was closed */
	}
	return known ? ret : answered(c, ret, "VM_BIND", excused ? gone : always);
}

struct drm_xe_sync vm_signal_user(struct mvm *vm)
{
	vm->bind_ns = port_now_ns();
	return client_signal_user(&vm->bind_fence, ++vm->bind_value);
}

void vm_wait_bound(struct mclient *c, struct mvm *vm)
{
	struct drm_xe_wait_user_fence args = {
		.addr = PTR(&vm->bind_fence),
		.op = DRM_XE_UFENCE_WAIT_OP_GTE,
		.flags = DRM_XE_UFENCE_WAIT_FLAG_ABSTIME,
		.value = vm->bind_value,
		.mask = UINT64_MAX,
		.timeout = (int64_t)(port_now_ns() + 200 * MS),
	};
	int ret;

	for (;;) {
		ret = IOCTL(c->file, XE_WAIT_USER_FENCE, &args);
		if (ret == -EFAULT || ret == -ENOMEM) {
			nap(50000); /* failures end */
		} else if (ret != -EINTR) {
			break;
		}
	}
	/* To write it is a copy too: nobody is told if that fails. */
	if (ret == -ETIME && !vm->gone && !copies_failed(c->world, vm->bind_ns)) {
		sim_fail(c->world, "liveness", "the user fence of a bind of vm %u is not written",
			 vm->core_id);
	}
}

static int bind_behind(struct thread *t, struct mvm *vm, const struct change *ch, unsigned n)
{
	struct drm_xe_vm_bind_op ops[OPS];
	struct mclient *c = t->client;
	struct drm_xe_sync sync[8];
	unsigned syncs = 0, at = 0;
	uint32_t held = 0;
	int ret;

	if (!settle(t, vm, ch, n, sync, &syncs) || (!vm->lr && !bind_place(c, vm, &at))) {
		return -ENODATA;
	}
	if (!vm->lr && draw(t, 4) == 0) {
		held = held_new(c);
	}
	if (held) {
		sync[syncs++] = client_wait_for(held);
	}
	sync[syncs++] = vm->lr ? vm_signal_user(vm) : client_signal(vm->bind_sync[at]);
	for (unsigned i = 0; i < n; i++) {
		ops[i] = ch[i].op;
	}
	ret = client_bind(c->file, vm->id, draw(t, 2) ? vm->bind_queue : 0, ops, n, sync, syncs);
	(void)check_answer(c, vm, ret, ch, n);
	for (unsigned i = 0; i < n && (ret == 0 || in_part(ret, ch, n)); i++) {
		apply(vm, &ch[i], ret != 0);
	}
	if (held) {
		syncobj_end(c, held);
	}
	if (ret && !vm->lr) {
		syncobj_end(c, vm->bind_sync[at]);
		vm->bind_sync[at] = 0;
	}
	if (ret == 0 && vm->lr) {
		vm_wait_bound(c, vm);
	}
	return ret;
}

static int bind_changes(struct thread *t, struct mvm *vm, const struct change *ch, unsigned n)
{
	int ret = bind_behind(t, vm, ch, n);

	for (unsigned i = 0; i < VM_JOBS; i++) {
		vm->job[i].pinned = false;
	}
	return ret;
}

/* ---- steps ----------------------------------------------------------------------------------- */

/* Most of VRAM is asked for at once: what others have there has to go. */
static int step_evict(struct thread *t, struct mvm *vm)
{
	static const int also[] = { -ENOMEM, -ENOSPC, -ENOENT, -EINVAL, 0 };
	struct mclient *c = t->client;
	uint64_t size_B = uapi_device_core(c->device->uapi)->mem.region[MEM_VRAM].size_B * 3 / 4;
	struct drm_xe_vm_bind_op op;
	uint32_t handle;
	int ret;

	if (!c->device->vram || size_B > 2 * SZ_2M) {
		return -ENODATA;
	}
	ret = client_gem_create(c->file, 0, align_down(size_B, UNIT_B), 2, 0, &handle);
	if (answered(c, table_made(c, TABLE_HANDLES, ret), "GEM_CREATE", also)) {
		return ret;
	}
	op = client_op(DRM_XE_VM_BIND_OP_MAP, handle, 0, PRESS_VA, align_down(size_B, UNIT_B));
	ret = answered(c, client_bind(c->file, vm->id, 0, &op, 1, NULL, 0), "VM_BIND", also);
	if (ret == 0) {
		(void)step_exec(t, SIM_EXEC);
		op = client_op(DRM_XE_VM_BIND_OP_UNMAP, 0, 0, PRESS_VA, align_down(size_B, UNIT_B));
		for (unsigned tries = 0; tries < 5; tries++) {
			ret = client_bind(c->file, vm->id, 0, &op, 1, NULL, 0);
			if (answered(c, ret, "VM_BIND", also) == 0) {
				break;
			}
		}
	}
	(void)gem_end(c, handle);
	return ret;
}

static int draw_list(struct thread *t, struct mvm *vm, struct change *ch)
{
	unsigned n = 2 + draw(t, OPS - 1), have = 0;

	for (unsigned i = 0; i < n; i++) {
		if (draw(t, 3) ? draw_map(t, vm, &ch[have]) : draw_unmap(t, &ch[have])) {
			have++;
		}
	}
	if (have && draw(t, 3) == 0) {
		ch[draw(t, have)].op.flags |= FORCE_ERROR;
	}
	return (int)have;
}

int step_bind(struct thread *t, enum sim_kind kind)
{
	struct mclient *c = t->client;
	struct mvm *vm = pick_vm(t);
	struct change ch[OPS];
	int n = 1, ret = -ENODATA;

	if (!vm || c->sharing) {
		return -ENODATA;
	}
	vm_use(vm);
	c->binding++;
	switch (kind) {
	case SIM_MAP:
		n = draw_map(t, vm, &ch[0]);
		break;
	case SIM_UNMAP:
		n = draw_unmap(t, &ch[0]);
		break;
	case SIM_LIST:
		n = draw_list(t, vm, ch);
		break;
	case SIM_PREFETCH:
		n = draw_prefetch(t, &ch[0]);
		break;
	default:
		ret = step_evict(t, vm);
		n = 0;
	}
	if (n) {
		ret = bind_changes(t, vm, ch, (unsigned)n);
	}
	c->binding--;
	vm_unuse(vm);
	return ret;
}
