// SPDX-License-Identifier: MIT
/*
 * Steps that submit work, wait for it, and compare what it has found with what the model says.
 *
 * A job copies words from where things are mapped into a page that the CPU sees, stores new ones,
 * and at its end its own number: whoever finds that number knows that it has run to its end.
 */
#include "sim.h"

#define MI_STORE 0x10000002u
#define MI_COPY  (0x2eu << 23 | 3)
#define MI_END   0x05000000u
#define MS       UINT64_C(1000000)

/* ---- commands -------------------------------------------------------------------------------- */

static uint32_t *put_store(uint32_t *cs, uint64_t addr, uint32_t value)
{
	cs[0] = MI_STORE;
	cs[1] = (uint32_t)addr;
	cs[2] = (uint32_t)(addr >> 32);
	cs[3] = value;
	return cs + 4;
}

static uint32_t *put_copy(uint32_t *cs, uint64_t to, uint64_t from)
{
	cs[0] = MI_COPY;
	cs[1] = (uint32_t)to;
	cs[2] = (uint32_t)(to >> 32);
	cs[3] = (uint32_t)from;
	cs[4] = (uint32_t)(from >> 32);
	return cs + 5;
}

static uint64_t word_va(const struct touch *touch)
{
	return UNIT_VA(touch->unit) + WORD_OF(touch->page);
}

static uint64_t result_va(const struct job *job)
{
	return BATCH_VA + RESULTS_OFF + job->slot * RESULT_B;
}

/* Where there is nothing to be had: client memory that is gone, if any is mapped. */
static uint64_t nothing_va(const struct mvm *vm)
{
	for (unsigned i = 0; i < UNITS; i++) {
		if (vm->unit[i].kind == UNIT_OBJ && vm->unit[i].obj->gone) {
			return UNIT_VA(i);
		}
	}
	return NOWHERE_VA;
}

/* The commands of a job; its second unit only says that it has run. */
static void write_batches(struct mvm *vm, struct job *job, enum sim_kind kind)
{
	uint64_t at = BATCH_VA + job->slot * SLOT_B;
	uint32_t *cs = (uint32_t *)(vm->cpu + job->slot * SLOT_B), *second = cs + SLOT_B / 8;

	memset(job_results(vm, job), 0, RESULT_B);
	if (kind == SIM_SPIN) {
		uint64_t flag = BATCH_VA + FLAGS_OFF + job->slot * 8;

		/* Ends when the flag is 0: goes round until then. */
		*(uint32_t *)(vm->cpu + FLAGS_OFF + job->slot * 8) = 1;
		cs[0] = 0x1cu << 23 | 1u << 15 | 4u << 12 | 2; /* waits until it is equal */
		cs[1] = 0;
		cs[2] = (uint32_t)flag;
		cs[3] = (uint32_t)(flag >> 32);
		cs += 4;
	} else if (kind == SIM_HANG) {
		cs[0] = MI_BATCH;
		cs[1] = (uint32_t)at;
		cs[2] = (uint32_t)(at >> 32);
		cs += 3;
	} else if (kind == SIM_FAULT) {
		cs = put_store(cs, nothing_va(vm), 1);
	}
	for (unsigned i = 0; i < job->reads; i++) {
		cs = put_copy(cs, result_va(job) + i * 4, word_va(&job->read[i]));
	}
	for (unsigned i = 0; i < job->writes; i++) {
		cs = put_store(cs, word_va(&job->write[i]), job->write[i].value);
	}
	cs = put_store(cs, result_va(job) + RESULT_SEQ * 4, job->seq);
	*cs = MI_END;
	second = put_store(second, result_va(job) + RESULT_SEQ * 4 + 4, job->seq);
	*second = MI_END;
}

/* ---- what a job may touch -------------------------------------------------------------------- */

/* Would a job of @q find in @unit what the model says? */
static bool foreseeable(const struct unit *unit, const struct mqueue *q)
{
	const struct obj *obj = unit->obj;

	if (unit->kind == UNIT_NULL) {
		return true;
	}
	return unit->kind == UNIT_OBJ && !obj->gone && !obj->doubtful &&
	       (!obj->busy[unit->page] || obj->owner[unit->page] == q);
}

/* A job reads before it writes. */
static bool writes_it(const struct job *job, const struct touch *touch)
{
	for (unsigned i = 0; i < job->writes; i++) {
		if (touch->obj && job->write[i].obj == touch->obj &&
		    job->write[i].page == touch->page) {
			return true;
		}
	}
	return false;
}

/* Now and then one whose object has a fence from outside, if any has. */
static unsigned pick_unit(struct thread *t, const struct mvm *vm)
{
	unsigned first = draw(t, UNITS);
	bool any = draw(t, 2);

	for (unsigned i = 0; i < UNITS && !any; i++) {
		const struct unit *unit = &vm->unit[(first + i) % UNITS];

		if (unit->obj && attached_to(t->world, unit->obj, true)) {
			return (first + i) % UNITS;
		}
	}
	return first;
}

static void plan_touches(struct thread *t, struct mvm *vm, struct job *job)
{
	unsigned reads = draw(t, 5), writes = draw(t, 4), tries = 12;

	while (tries-- && (job->reads < reads || job->writes < writes)) {
		unsigned at = pick_unit(t, vm);
		const struct unit *unit = &vm->unit[at];
		struct touch touch = { .obj = unit->obj, .page = unit->page, .unit = at };
		bool null = unit->kind == UNIT_NULL;

		if (!foreseeable(unit, job->queue) || writes_it(job, &touch)) {
			continue;
		}
		if (job->reads < reads && (null || !unit->obj->unsure[unit->page])) {
			touch.value = null ? 0 : unit->obj->value[unit->page];
			job->read[job->reads++] = touch;
			job_touch(job, &touch);
		} else if (job->writes < writes && !unit->readonly) {
			touch.value = ++t->world->serial;
			job->write[job->writes++] = touch;
			job_touch(job, &touch);
			if (!null) {
				unit->obj->value[unit->page] = touch.value;
				unit->obj->unsure[unit->page] = false;
			}
		}
	}
}

static struct job *job_new(struct mvm *vm, struct mqueue *q)
{
	for (unsigned i = 0; i < VM_JOBS; i++) {
		if (!vm->job[i].used) {
			memset(&vm->job[i], 0, sizeof(vm->job[i]));
			vm->job[i].used = true;
			vm->job[i].queue = q;
			vm->job[i].slot = i;
			vm->job[i].seq = ++vm->client->world->serial;
			return &vm->job[i];
		}
	}
	return NULL;
}

/* ---- submissions ----------------------------------------------------------------------------- */

static int job_submit(struct mclient *c, struct mvm *vm, struct job *job, uint32_t held)
{
	static const int also[] = { -ECANCELED, -ENOENT, -ENOMEM, -EAGAIN, 0 };
	uint64_t at[2] = { BATCH_VA + job->slot * SLOT_B,
			   BATCH_VA + job->slot * SLOT_B + SLOT_B / 2 };
	struct drm_xe_sync sync[VM_BINDS + 2];
	struct drm_xe_exec args = {
		.exec_queue_id = job->queue->id,
		.syncs = PTR(sync),
		.num_batch_buffer = (uint16_t)job->queue->width,
	};
	unsigned n = 0;
	int ret;

	for (unsigned i = 0; i < VM_BINDS; i++) {
		if (vm->bind_sync[i]) {
			sync[n++] = client_wait_for(vm->bind_sync[i]);
		}
	}
	if (held) {
		sync[n++] = client_wait_for(held);
	}
	if (vm->lr) {
		sync[n++] = (struct drm_xe_sync){
			.type = DRM_XE_SYNC_TYPE_USER_FENCE,
			.flags = DRM_XE_SYNC_FLAG_SIGNAL,
			.addr = result_va(job) + RESULT_FENCE * 4,
			.timeline_value = job->seq,
		};
	} else {
		sync[n++] = client_signal(job->syncobj);
	}
	args.num_syncs = n;
	args.address = job->queue->width == 1 ? at[0] : PTR(at);
	ret = job->queue->ring ? ring_submit(job) : IOCTL(c->file, XE_EXEC, &args);
	ret = answered(c, ret, "EXEC", also);
	if (ret == -ECANCELED && !job->queue->excused && !vm->excused && !vm->gone &&
	    !job->queue->gone && !c->device->ever_wedged) {
		sim_fail(c->world, "fences", "queue %u is banned without a reason", job->queue->id);
	}
	return ret;
}

static struct mqueue *pick_queue(struct thread *t, enum sim_kind kind)
{
	for (unsigned i = 0; i < CLIENT_QUEUES && kind == SIM_FAULT; i++) {
		struct mqueue *q = &t->client->queue[i];

		if (q->used && !q->gone && !q->vm->gone && nothing_va(q->vm) != NOWHERE_VA) {
			return q;
		}
	}
	for (unsigned tries = 0; tries < 8; tries++) {
		struct mqueue *q = &t->client->queue[draw(t, CLIENT_QUEUES)];
		bool here = q->used && !q->gone && !q->vm->gone;

		/* Nobody ends long-running work but its client. */
		if (here && (kind == SIM_EXEC || kind == SIM_SPIN || !q->vm->lr)) {
			return q;
		}
	}
	return NULL;
}

int step_exec(struct thread *t, enum sim_kind kind)
{
	struct mclient *c = t->client;
	struct mqueue *q = pick_queue(t, kind);
	struct mvm *vm = q ? q->vm : NULL;
	struct job *job = q ? job_new(vm, q) : NULL;
	uint32_t held = 0;
	int ret = 0;

	if (!job) {
		return -ENODATA;
	}
	vm_use(vm);
	if (kind == SIM_HANG || kind == SIM_FAULT) {
		job->excused = true;
		q->excused = true;
		vm->excused = vm->excused || kind == SIM_FAULT;
	}
	if (!vm->lr) {
		ret = answered(c, syncobj_new(c, &job->syncobj), "SYNCOBJ_CREATE", NULL);
		job->syncobj = ret ? 0 : job->syncobj;
	}
	if (ret == 0) {
		plan_touches(t, vm, job);
		write_batches(vm, job, kind);
		if (!q->ring && draw(t, 4) == 0) {
			held = held_new(c);
		} else if (!q->ring && draw(t, 2)) {
			held = implicit_new(c, job);
		}
		ret = job_submit(c, vm, job, held);
	}
	if (held) {
		syncobj_end(c, held);
	}
	if (ret) {
		if (job->syncobj) {
			syncobj_end(c, job->syncobj);
		}
		job_drop(job, false);
	}
	job->submitted = ret == 0;
	vm_unuse(vm);
	return ret;
}

/* ---- waiting --------------------------------------------------------------------------------- */

static bool has_excuse(const struct mclient *c, const struct mvm *vm, const struct job *job)
{
	return job->excused || job->queue->excused || job->queue->gone || vm->excused ||
	       vm->gone || c->device->ever_wedged;
}

/* It has ended: rightly? */
static void job_judge(struct mclient *c, struct mvm *vm, struct job *job)
{
	const uint32_t *found = job_results(vm, job);
	bool done = found[RESULT_SEQ] == job->seq &&
		    (job->queue->width == 1 || found[RESULT_SEQ + 1] == job->seq);

	if (!done && !has_excuse(c, vm, job)) {
		sim_fail(c->world, "fences", "a job of queue %u was lost without a reason",
			 job->queue->id);
	}
	for (unsigned i = 0; i < job->reads && done && !job->loose; i++) {
		const struct touch *touch = &job->read[i];

		if (found[i] != touch->value) {
			sim_fail(c->world, "model",
				 "client %u, vm %u: the GPU reads %u at 0x%llx, but %u was written "
				 "(unit %u of %s %llu)", c->index, vm->core_id, found[i],
				 (unsigned long long)word_va(touch), touch->value, touch->page,
				 touch->obj && touch->obj->bo_id ? "bo" : "client memory",
				 touch->obj ? (unsigned long long)touch->obj->bo_id : 0);
		}
		c->world->report->checked++;
	}
	if (job->syncobj) {
		syncobj_end(c, job->syncobj);
	}
	job_drop(job, done);
}

static int wait_user(struct mclient *c, struct mvm *vm, struct job *job, uint64_t deadline_ns)
{
	struct drm_xe_wait_user_fence args = {
		.addr = PTR(job_results(vm, job) + RESULT_FENCE),
		.op = DRM_XE_UFENCE_WAIT_OP_EQ,
		.flags = DRM_XE_UFENCE_WAIT_FLAG_ABSTIME,
		.value = job->seq,
		.mask = UINT64_MAX,
		.timeout = (int64_t)deadline_ns,
		.exec_queue_id = job->queue->id,
	};

	/* Its number may be another one's by now. */
	return job->queue->gone ? -ENOENT : IOCTL(c->file, XE_WAIT_USER_FENCE, &args);
}

bool job_finish(struct mclient *c, struct mvm *vm, struct job *job, uint64_t deadline_ns)
{
	static const int also[] = { -ETIME, -EIO, -ENOENT, 0 };
	uint32_t seq = job->seq;
	bool ended;
	int ret;

	if (job->waited || job->pinned) {
		return false;
	}
	job->waited = true;
	vm_use(vm);
	do {
		ret = job->queue->ring ? ring_wait(c, job, deadline_ns)
		      : vm->lr ? wait_user(c, vm, job, deadline_ns)
			       : client_syncobj_wait(c->file, job->syncobj, (int64_t)deadline_ns);
		(void)answered(c, ret, "a wait for a job", also);
	} while (ret == -EINTR);
	ASSERT(job->used && job->seq == seq);
	ended = ret != -ETIME && ret != -ENOMEM && ret != -EAGAIN && ret != -EFAULT;
	if (ended) {
		job_judge(c, vm, job);
	} else {
		job->waited = false;
	}
	vm_unuse(vm);
	return ended;
}

int step_wait(struct thread *t)
{
	struct mclient *c = t->client;
	struct mvm *vm = pick_vm(t);
	unsigned first = draw(t, VM_JOBS);

	for (unsigned i = 0; vm && i < VM_JOBS; i++) {
		struct job *job = &vm->job[(first + i) % VM_JOBS];

		if (job->used && job->submitted && !job->waited) {
			uint64_t until_ns = port_now_ns() + (draw(t, 2) ? 0 : draw(t, 3) * MS);

			return job_finish(c, vm, job, until_ns) ? 0 : -ETIME;
		}
	}
	return -ENODATA;
}

/* ---- at the end: all that is known ----------------------------------------------------------- */

static void read_units(struct mclient *c, struct mvm *vm, struct mqueue *q, unsigned *at)
{
	struct job *job = job_new(vm, q);
	uint64_t deadline_ns = port_now_ns() + 1000 * MS;

	ASSERT(job);
	for (; *at < UNITS && job->reads < ARRAY_LEN(job->read); (*at)++) {
		const struct unit *unit = &vm->unit[*at];
		struct touch touch = { .obj = unit->obj, .page = unit->page, .unit = *at };

		if (foreseeable(unit, q) && (!touch.obj || !touch.obj->unsure[touch.page])) {
			touch.value = touch.obj ? touch.obj->value[touch.page] : 0;
			job->read[job->reads++] = touch;
			job_touch(job, &touch);
		}
	}
	write_batches(vm, job, SIM_EXEC);
	if (!vm->lr && syncobj_new(c, &job->syncobj) != 0) {
		sim_fail(c->world, "liveness", "no syncobj after all failures have stopped");
	}
	if (job_submit(c, vm, job, 0) != 0) {
		/* More than VRAM is mapped: not a failure of anybody. */
		if (job->syncobj) {
			syncobj_end(c, job->syncobj);
		}
		job_drop(job, false);
		*at = UNITS;
	} else if (!job_finish(c, vm, job, deadline_ns)) {
		sim_fail(c->world, "liveness", "client %u: reading back does not end", c->index);
	}
}

void vm_read_back(struct mclient *c, struct mvm *vm)
{
	struct mqueue q = { 0 };
	unsigned at = 0;

	if (queue_make(c, vm, &q, DRM_XE_ENGINE_CLASS_COPY, 1, 1) != 0) {
		return;
	}
	while (at < UNITS) {
		read_units(c, vm, &q, &at);
	}
	(void)client_queue_destroy(c->file, q.id);
	vm_unuse(vm);
}
