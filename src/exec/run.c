// SPDX-License-Identifier: MIT
/*
 * Stepping engines, workers and helpers (P4).
 *
 * Overview. Two kinds of work wait to be run: ready items (a bind whose dependencies have
 * signalled, a job that may start, a user fence to write) and runs (a batch on an engine). Whoever
 * has a reason takes one: a thread that waits for a fence helps, workers see to it that there is
 * progress when nobody waits. A wake across cores costs tens of microseconds, so a helper usually
 * gets there first.
 *
 * An engine is stepped by one thread at a time, under a budget; several runs on one engine take
 * turns. A run that polls memory and sees no change is put aside until the workers come round
 * again; helpers leave it alone, and workers sleep between rounds if all they have is polling.
 *
 * Whose turn it is. Of the runs of an engine that do more than poll the one of highest priority has
 * the next step, so a new one preempts others at their next command or, at the latest, the end of
 * their step. Among equals one keeps the engine for its timeslice, then the oldest has it. A run
 * that polls has given its slice up. It looks again when it is the older one, unless the turn would
 * be one of higher priority: a spinner that nobody ends costs the work below it one look per step.
 * The rule is the same for helpers, who leave an engine alone when its turn is not for them.
 *
 * Locking: device.run_lock is a leaf; nothing is stepped or run under it.
 */
#include "exec/job.h"

#define STEP_COMMANDS 4096
#define STEP_BYTES ((uint64_t)4 << 20)
#define ACCESS_BYTES ((uint64_t)1 << 20)
/* Between rounds of polling: long enough not to burn a core, short against what clients expect. */
#define POLL_MIN_NS ((uint64_t)20000)
#define POLL_MAX_NS ((uint64_t)1000000)
#define LAZY_NS ((uint64_t)3000000)
#define ADVERSARIAL_MAX_NS ((uint64_t)1000000)
/* Most that one step counts for: that the process was stopped, or starved, is no hang. */
#define COUNT_MAX_NS ((uint64_t)10000000)

void device_add_run(struct device *device, struct exec_run *run, bool kick)
{
	port_mutex_lock(&device->run_lock);
	list_add_tail(&device->runnable, &run->node);
	device->dma_runs[run->engine->group] += !run->queue->lr;
	port_mutex_unlock(&device->run_lock);
	if (kick) {
		device->sync.help_ops->kick(device);
	}
}

/* ---- stepping ------------------------------------------------------------------------------- */

static bool may_step(const struct exec_run *run, bool help)
{
	return !run->engine->busy && !(help && (run->queue->lr || run->polled)) &&
	       preempt_may_step_locked(run);
}

static struct gpu_context *context_of(struct exec_run *run)
{
	return &run->queue->ctx[run - run->queue->run];
}

/* Is there more to ask than which run is the oldest? */
static bool has_rules_locked(const struct device *device, const struct device_engine *engine)
{
	return engine->holder || atomic_load(&device->ranked);
}

/* Whose turn is it on @engine, which has one at least? NULL: nobody's whom a helper may step. */
static struct exec_run *turn_of_locked(struct device *device, struct device_engine *engine,
				       bool help)
{
	struct exec_run *first = NULL, *poll = NULL, *best = NULL;
	bool poll_older = false;

	list_for_each(run, &device->runnable, struct exec_run, node) {
		int priority = run->queue->priority;

		if (run->engine != engine || !preempt_may_step_locked(run)) {
			continue;
		}
		first = first ? first : run;
		if (run->polled) {
			if (!poll || priority > poll->queue->priority) {
				poll = run;
				poll_older = false;
			}
		} else if (!best || priority > best->queue->priority ||
			   (priority == best->queue->priority && run == engine->holder)) {
			best = run;
			poll_older = poll;
		}
	}
	if (!best) {
		return help ? NULL : first;
	}
	if (help) {
		return best->queue->lr ? NULL : best;
	}
	if (poll_older && (poll->queue->priority > best->queue->priority ||
			   (poll->queue->priority == best->queue->priority &&
			    best != engine->holder))) {
		return poll;
	}
	return best;
}

/*
 * A batch that waits in a loop would have its engine between two steps too. Those who do that on
 * one engine take turns there: they share the time.
 */
static void count_idle_locked(struct device_engine *engine, uint64_t now)
{
	if (engine->polling && now > engine->gpu.last_ns) {
		engine->idle_ns += min_u64(now - engine->gpu.last_ns, COUNT_MAX_NS) /
				   engine->polling;
	}
}

/* Where a job of @group that promises a dma fence was made; NULL: none waits for a step now. */
static const struct fence *dma_fence_of_locked(struct device *device, unsigned group)
{
	list_for_each(run, &device->runnable, struct exec_run, node) {
		if (run->engine->group == group && !run->queue->lr) {
			return &run->queue->current->fence;
		}
	}
	return NULL;
}

/* A fault may need memory, whose way is barred by dma fences. */
static void check_groups_locked(const struct exec_run *run)
{
	const struct exec_queue *queue = run->queue;
	const struct fence *fence;

	if (!queue->gives_way || run->owed || !queue->device->dma_runs[run->engine->group] ||
	    atomic_load(&queue->error)) {
		return;
	}
	fence = dma_fence_of_locked(queue->device, run->engine->group);
	if (fence) {
		port_rule_broken("R15", queue->current->fence.where, fence->where,
				 "job %lu of queue %u, of a vm with faults, gets engine %u while "
				 "fence %lu:%lu is promised by the same group",
				 (unsigned long)queue->current->id, queue->id, run->engine->index,
				 (unsigned long)fence->context, (unsigned long)fence->seqno);
	}
}

static void take_locked(struct exec_run *run)
{
	struct device_engine *engine = run->engine;

	check_groups_locked(run);
	list_del(&run->node);
	engine->busy = true;
	engine->run = run;
	run->begun = true;
	run->queue->on_engine++;
	run->taken_ns = port_now_ns();
	count_idle_locked(engine, run->taken_ns);
	run->polled = false;
	if (run->shares) {
		uint64_t share_ns = engine->idle_ns - run->idle_ns;

		run->shares = false;
		engine->polling--;
		run->ran_ns += share_ns;
		context_of(run)->runtime_ns += share_ns;
	}
	if (engine->holder != run) {
		engine->holder = run;
		run->slice_end_ns = run->taken_ns + run->queue->timeslice_ns;
	}
}

/* The queue is the caller's to resume; its run waits behind the others meanwhile. */
static void take_resume_locked(struct exec_run *run)
{
	struct device *device = run->queue->device;

	device->resuming = exec_queue_get(run->queue);
	list_del(&run->node);
	list_add_tail(&device->runnable, &run->node);
}

/*
 * Takes a run and its engine's token, or with *resume_out its queue to be resumed; or NULL, with
 * *resume_out if there is one to be resumed later.
 */
static struct exec_run *take_run(struct device *device, bool help, bool *resume_out)
{
	struct exec_run *taken = NULL;
	unsigned skip = 0;
	bool rests = false;
	uint32_t not_ours = 0; /* engines whose turn is not a helper's */

	*resume_out = false;
	if (device->schedule == SCHEDULE_ADVERSARIAL) {
		skip = (unsigned)(port_random() % 4);
	}
	port_mutex_lock(&device->run_lock);
	list_for_each(run, &device->runnable, struct exec_run, node) {
		struct exec_run *turn = NULL;
		bool resume = false;

		if (may_step(run, help) && !(not_ours & BIT(run->engine->index))) {
			turn = has_rules_locked(device, run->engine)
				       ? turn_of_locked(device, run->engine, help)
				       : run;
			not_ours |= turn ? 0 : BIT(run->engine->index);
		} else if (!help && preempt_may_resume_locked(run)) {
			resume = !preempt_rests_locked(run);
			rests |= !resume;
			turn = resume ? run : NULL;
		}
		if (turn) {
			taken = turn;
			*resume_out = resume;
			if (skip-- == 0) {
				break;
			}
		}
	}
	if (*resume_out) {
		take_resume_locked(taken);
	} else if (taken) {
		take_locked(taken);
	} else {
		*resume_out = rests;
	}
	port_mutex_unlock(&device->run_lock);
	return taken;
}

/* May it have the next step too? Nothing says that slices are kept, so adversarial does not. */
static bool keeps_engine(const struct device *device, struct exec_run *run, enum gpu_run state)
{
	return state == GPU_RUN_MORE && device->schedule != SCHEDULE_ADVERSARIAL &&
	       run->engine->gpu.last_ns < run->slice_end_ns;
}

/*
 * After a step, before anybody hears of what it has ended: whoever waits for a job and looks then
 * finds all of its time.
 */
static void count_usage(struct exec_run *run)
{
	struct exec_usage *usage = run->queue->usage;
	uint64_t ran_ns = context_of(run)->runtime_ns;

	ASSERT(run->engine->busy && ran_ns >= run->counted_ns);
	if (usage) {
		atomic_fetch_add(&usage->ran_ns[run->engine->gpu.class], ran_ns - run->counted_ns);
	}
	run->counted_ns = ran_ns;
}

/*
 * The run of @job leaves its engine, for ever if it has ended. True: so have all units of the job,
 * which is the caller's to end. Else the job and its queue may be gone when this returns.
 */
static bool give_back(struct device *device, struct exec_run *run, struct exec_job *job,
		      enum gpu_run state, bool help)
{
	bool left, last = false;

	port_mutex_lock(&device->run_lock);
	run->engine->busy = false;
	run->engine->run = NULL;
	if (!keeps_engine(device, run, state)) {
		run->engine->holder = NULL;
	}
	run->queue->on_engine--;
	preempt_left_locked(run);
	if (state == GPU_RUN_MORE || state == GPU_RUN_POLL) {
		run->polled = state == GPU_RUN_POLL;
		run->shares = run->polled && !gpu_context_is_dry(context_of(run));
		run->engine->polling += run->shares;
		run->idle_ns = run->engine->idle_ns;
		list_add_tail(&device->runnable, &run->node);
	} else {
		last = --job->units_there == 0;
		device->dma_runs[run->engine->group] -= !run->queue->lr;
	}
	left = !list_empty(&device->runnable);
	port_mutex_unlock(&device->run_lock);
	/* Workers may have gone to sleep because the helper had the engine; it may leave now. */
	if (left && help) {
		device->sync.help_ops->kick(device);
	}
	return last;
}

static void job_error(struct exec_job *job, int error)
{
	int none = 0;

	(void)atomic_compare_exchange_strong(&job->error, &none, error);
}

static void fault_event(struct exec_run *run, const struct gpu_fault *fault)
{
	struct device *device = run->queue->device;
	struct vm *vm = run->queue->vm;

	vm_note_fault(vm, fault);
	event_emit(&device->events, EVENT_GPU_FAULT, vm->id, fault->address, fault->access,
		   fault->type, fault->level, run->engine->index);
	if (fault->type == GPU_FAULT_STALE) {
		event_emit(&device->events, EVENT_STALE_ACCESS, vm->id, fault->address,
			   run->engine->index, 0, 0, 0);
	}
}

/* For who keeps a record of it. */
static void tell_lost(const struct exec_run *run, enum device_lost_reason reason,
		      const struct gpu_fault *fault)
{
	const struct exec_queue *queue = run->queue;
	const struct exec_job *job = queue->current;
	unsigned unit = (unsigned)(run - queue->run);
	const struct device_lost lost = {
		.reason = reason,
		.vm = queue->vm->id,
		.queue = queue->id,
		.job = job->id,
		.unit = unit,
		.engine = run->engine->index,
		.batch = job->batch[unit],
		.ran_ns = run->ran_ns,
		.ctx = &queue->ctx[unit],
		.fault = fault,
	};

	if (queue->device->lost) {
		queue->device->lost(queue->device->lost_ctx, &lost);
	}
}

/* The job cannot go on, and its queue has lost its context. */
static void run_lost(struct exec_run *run, enum device_lost_reason reason,
		     const struct gpu_fault *fault)
{
	struct exec_queue *queue = run->queue;
	struct exec_job *job = queue->current;

	if (!atomic_exchange(&job->lost, true)) {
		atomic_fetch_add(&queue->lost_active, 1);
		tell_lost(run, reason, fault);
	}
	job_error(job, -ECANCELED);
	exec_queue_ban(queue, -EIO);
	if (atomic_load(&queue->device->wedge_mode) == WEDGE_UPON_HANG) {
		device_wedge(queue->device);
	}
}

/* A fault that nobody can serve. */
static void run_faulted(struct exec_run *run, const struct gpu_fault *fault)
{
	fault_event(run, fault);
	run_lost(run, LOST_FAULT, fault);
}

/*
 * After a step that has not ended the batch: has the job had its engine for too long? Engines are
 * given back after each step, so that nobody else loses anything.
 */
static bool run_timed_out(struct exec_run *run)
{
	struct exec_queue *queue = run->queue;
	uint64_t now = run->engine->gpu.last_ns;

	if (now > run->taken_ns) {
		run->ran_ns += min_u64(now - run->taken_ns, COUNT_MAX_NS);
	}
	if (queue->lr || run->ran_ns < queue->job_timeout_ns) {
		return false;
	}
	event_emit(&queue->device->events, EVENT_HANG, queue->id, queue->current->id,
		   run->engine->index, run->ran_ns / 1000000, 0, 0);
	run_lost(run, LOST_TIMEOUT, NULL);
	return true;
}

/* The last unit of a job has ended and still has its engine: the user fence goes through it. */
static void write_ufence(struct exec_run *run)
{
	struct exec_job *job = run->queue->current;
	struct gpu_fault fault;

	if (job->has_ufence && !atomic_load(&job->error) &&
	    run->queue->device->gpu->store(&run->engine->gpu, &run->queue->vm->hw,
					   gpu_va_canonical(run->queue->vm->hw.fmt,
							    job->ufence_addr),
					   &job->ufence_value,
					   sizeof(job->ufence_value), &fault)) {
		run_faulted(run, &fault);
	}
}

static bool run_decide(struct exec_run *run, enum run_fate fate)
{
	unsigned open = RUN_OPEN;

	return atomic_compare_exchange_strong(&run->fate, &open, fate);
}

/* A batch that has begun has lost its place. True if so. */
static bool reset_locked(struct exec_run *run)
{
	port_mutex_assert_held(&run->queue->device->run_lock);
	if (!run->begun || !run_decide(run, RUN_RESET)) {
		return false;
	}
	exec_queue_ban(run->queue, -EIO);
	return true;
}

void device_reset(struct device *device)
{
	unsigned batches = 0;

	atomic_fetch_add(&device->resets, 1);
	port_mutex_lock(&device->run_lock);
	for (unsigned i = 0; i < device->engine_count; i++) {
		struct exec_run *run = device->engine[i].run;

		batches += run && reset_locked(run);
	}
	list_for_each(run, &device->runnable, struct exec_run, node) {
		batches += reset_locked(run);
	}
	event_emit(&device->events, EVENT_RESET, batches, 0, 0, 0, 0, 0);
	port_mutex_unlock(&device->run_lock);
	device->sync.help_ops->kick(device);
}

/* The queue behind @queue (NULL: the first) with a reference, for that of @queue; or NULL. */
static struct exec_queue *next_queue(struct device *device, struct exec_queue *queue)
{
	struct list *at;
	struct exec_queue *next = NULL;

	port_mutex_lock(&device->run_lock);
	at = queue ? queue->device_node.next : device->queues.next;
	for (; at != &device->queues && !next; at = at->next) {
		next = container_of(at, struct exec_queue, device_node);
		next = ref_get_unless_zero(&next->ref) ? next : NULL;
	}
	port_mutex_unlock(&device->run_lock);
	exec_queue_put(queue);
	return next;
}

void device_wedge(struct device *device)
{
	struct exec_queue *queue;
	bool already;

	port_mutex_lock(&device->run_lock);
	already = atomic_exchange(&device->wedged, true);
	port_mutex_unlock(&device->run_lock);
	if (already) {
		return;
	}
	event_emit(&device->events, EVENT_WEDGE, 0, 0, 0, 0, 0, 0);
	for (queue = next_queue(device, NULL); queue; queue = next_queue(device, queue)) {
		exec_queue_cancel(queue);
	}
}

void device_unwedge(struct device *device)
{
	port_mutex_lock(&device->run_lock);
	atomic_store(&device->wedged, false);
	port_mutex_unlock(&device->run_lock);
	atomic_store(&device->wedge_mode, WEDGE_UPON_FAILURE);
}

/* GPU_RUN_FAULT: the job is lost. */
static enum gpu_run run_step(struct exec_run *run)
{
	struct exec_queue *queue = run->queue;
	struct gpu_context *ctx = context_of(run);
	struct gpu_budget budget = { .commands = STEP_COMMANDS, .bytes = STEP_BYTES };
	enum gpu_run state;

	if (queue->ring.size_B && vm_is_banned(queue->vm)) {
		exec_queue_ban(queue, -ECANCELED); /* nothing more is submitted */
	}
	if (atomic_load(&queue->error)) {
		if (atomic_load(&run->fate) == RUN_RESET) {
			run_lost(run, LOST_RESET, NULL);
		}
		job_error(queue->current, -ECANCELED);
		return GPU_RUN_DONE;
	}
	if (queue->lr) {
		preempt_before_step(queue);
	}
	state = queue->device->gpu->run(&run->engine->gpu, ctx, &budget);
	if (state == GPU_RUN_FAULT) {
		run_faulted(run, &ctx->fault);
	} else if (state == GPU_RUN_DONE && !run_decide(run, RUN_ENDED)) {
		run_lost(run, LOST_RESET, NULL);
	} else if (state != GPU_RUN_DONE && run_timed_out(run)) {
		state = GPU_RUN_FAULT;
	}
	return state;
}

enum device_step device_step(struct device *device, bool help)
{
	bool resume;
	struct exec_run *run = take_run(device, help, &resume);
	struct exec_queue *queue;
	struct exec_job *job;
	enum gpu_run state;
	uint64_t head;
	bool worked, last;

	if (!run) {
		return resume ? STEP_POLLED : STEP_NOTHING;
	}
	queue = run->queue;
	if (!help && (resume || !queue->ring.size_B)) {
		(void)ring_unwatch(device);
	}
	if (resume) {
		return preempt_resume(queue) ? STEP_WORKED : STEP_POLLED;
	}
	job = queue->current;
	head = context_of(run)->head;
	port_signalling_begin(job->fence.context, job->fence.seqno);
	state = run_step(run);
	count_usage(run);
	worked = queue->ring.size_B ? ring_has_worked(run, head, state) : state != GPU_RUN_POLL;
	if ((state == GPU_RUN_DONE || state == GPU_RUN_FAULT) &&
	    atomic_fetch_sub(&job->units_left, 1) == 1) {
		write_ufence(run);
		queue->current = NULL;
	}
	last = give_back(device, run, job, state, help);
	port_signalling_end();
	if (last) {
		exec_job_end(job); /* may free the queue */
	}
	return worked ? STEP_WORKED : STEP_POLLED;
}

/* ---- accesses of the owner ------------------------------------------------------------------ */

static struct device_engine *take_engine(struct device *device)
{
	struct device_engine *taken = NULL;

	for (;;) {
		port_mutex_lock(&device->run_lock);
		for (unsigned i = 0; i < device->engine_count && !taken; i++) {
			if (!device->engine[i].busy) {
				taken = &device->engine[i];
				taken->busy = true;
			}
		}
		port_mutex_unlock(&device->run_lock);
		if (taken) {
			return taken;
		}
		port_relax(); /* a step is bounded */
	}
}

static void give_engine_back(struct device *device, struct device_engine *engine)
{
	bool left;

	port_mutex_lock(&device->run_lock);
	engine->busy = false;
	left = !list_empty(&device->runnable);
	port_mutex_unlock(&device->run_lock);
	/* Workers may have found it busy and gone to sleep. */
	if (left) {
		device->sync.help_ops->kick(device);
	}
}

/*
 * As before a submission: what has moved, was given up or has gone can be used again. 0, -EINTR,
 * -ENOMEM.
 */
static int make_usable(struct vm *vm)
{
	struct fence *rebound;
	bool whole = false;
	int ret = 0;

	while (!whole && !ret) {
		port_rwlock_rdlock(&vm->lock);
		whole = vm_validate(vm);
		port_rwlock_rdunlock(&vm->lock);
		if (!whole) {
			ret = vm_rebind(vm, true);
		}
	}
	rebound = vm_rebind_fence(vm);
	if (!ret) {
		ret = fence_wait(rebound, PORT_FOREVER, PORT_WAIT_INTERRUPTIBLE);
	}
	if (!ret) {
		vm_flush_at_submit(vm);
	}
	fence_put(rebound);
	return ret;
}

/*
 * One piece. Who takes memory away waits for submissions, which this is not; but first it tells
 * the VM, under vm.notifier. -EAGAIN: it has.
 */
static int access_piece(struct device *device, struct vm *vm, uint64_t addr, void *buf, size_t n,
			enum gpu_access access, struct gpu_fault *fault_out)
{
	uint64_t where = gpu_va_canonical(vm->env->fmt, addr);
	struct device_engine *engine = take_engine(device);
	struct fence *rebound;
	int ret = -EAGAIN;

	port_rwlock_rdlock(&vm->notifier);
	rebound = vm_rebind_fence(vm);
	if (!vm_has_evicted(vm) && !atomic_load(&vm->invalidated_any) &&
	    fence_is_signalled(rebound)) {
		ret = access == GPU_READ ? device->gpu->load(&engine->gpu, &vm->hw, where, buf, n,
							     fault_out)
					 : device->gpu->store(&engine->gpu, &vm->hw, where, buf, n,
							      fault_out);
	}
	port_rwlock_rdunlock(&vm->notifier);
	give_engine_back(device, engine);
	fence_put(rebound);
	return ret;
}

int device_access(struct device *device, struct vm *vm, uint64_t addr, void *buf, size_t n,
		  enum gpu_access access, struct gpu_fault *fault_out)
{
	uint8_t *bytes = buf;
	int ret;

	port_assert_no_locks();
	ASSERT(access == GPU_READ || access == GPU_WRITE);
	ASSERT(range_inside(addr, n, BIT64(vm->env->fmt->va_bits)));
	ret = make_usable(vm);
	while (n && !ret) {
		/* No piece goes across the hole between the two canonical halves. */
		size_t piece = min_u64(n, ACCESS_BYTES - (addr & (ACCESS_BYTES - 1)));

		ret = access_piece(device, vm, addr, bytes, piece, access, fault_out);
		if (ret == -EAGAIN) {
			ret = make_usable(vm);
			continue;
		}
		addr += piece;
		bytes += piece;
		n -= piece;
	}
	return ret;
}

/* ---- taking work ---------------------------------------------------------------------------- */

static bool run_ready(struct device *device)
{
	struct ready_item *item = ready_pop(&device->sync);

	/* Items in the ready queue do not depend on one another: any order is a legal one. */
	if (item && device->schedule == SCHEDULE_ADVERSARIAL && port_random() % 2) {
		ready_push(&device->sync, item);
		item = ready_pop(&device->sync);
	}
	if (!item) {
		return false;
	}
	item->run(item);
	return true;
}

bool device_help(struct device *device)
{
	atomic_uchar *helping = &device->helping[port_thread_id() % DEVICE_THREADS];
	bool worked;

	if (atomic_exchange(helping, 1)) {
		return false;
	}
	worked = run_ready(device) || device_step(device, true) == STEP_WORKED;
	atomic_store(helping, 0);
	return worked;
}

static bool help(void *ctx)
{
	return device_help(ctx);
}

static void kick(void *ctx)
{
	struct device *device = ctx;

	if (device->schedule == SCHEDULE_LAZY) {
		unsigned long long none = 0;

		(void)atomic_compare_exchange_strong(&device->ready_since_ns, &none,
						     port_now_ns());
	}
	port_wq_wake(&device->work_wq);
}

const struct sync_help_ops device_sync_help_ops = {
	.help = help,
	.kick = kick,
};

/* ---- workers -------------------------------------------------------------------------------- */

/* How long the schedule wants work to lie before a worker touches it; 0: now. */
static uint64_t hold_back(struct device *device)
{
	uint64_t now = port_now_ns(), since = atomic_load(&device->ready_since_ns);

	if (device->schedule == SCHEDULE_LAZY && since && now < since + LAZY_NS) {
		return since + LAZY_NS - now;
	}
	if (device->schedule == SCHEDULE_ADVERSARIAL && port_random() % 4 == 0) {
		return port_random() % ADVERSARIAL_MAX_NS;
	}
	return 0;
}

/* What a resume waits for may be another worker's to do. */
static bool may_leave(struct device *device)
{
	bool resuming;

	if (__builtin_expect(!atomic_load(&device->stop), 1)) {
		return false;
	}
	port_mutex_lock(&device->run_lock);
	resuming = device->resuming;
	port_mutex_unlock(&device->run_lock);
	return !resuming;
}

/*
 * Works until there is nothing left but polling. True when something polls. *@poll_ns becomes
 * POLL_MIN_NS if there was work.
 */
static bool work_round(struct device *device, uint64_t *poll_ns)
{
	unsigned polled = 0, limit = DEVICE_MAX_ENGINES * 4;

	atomic_store(&device->ready_since_ns, 0);
	while (!may_leave(device)) {
		enum device_step step;

		step = run_ready(device) ? STEP_WORKED : device_step(device, false);
		if (step == STEP_NOTHING) {
			return polled != 0;
		}
		if (step == STEP_WORKED) {
			*poll_ns = POLL_MIN_NS;
			polled = 0;
		} else if (++polled > limit && !ring_watch(device)) {
			return true;
		}
	}
	return false;
}

static void worker(void *arg)
{
	struct device *device = arg;
	uint64_t poll_ns = POLL_MIN_NS;

	for (;;) {
		uint32_t seq = port_wq_prepare(&device->work_wq);
		uint64_t wait_ns = hold_back(device), deadline = PORT_FOREVER;

		if (may_leave(device)) {
			return;
		}
		if (!wait_ns) {
			bool polls;

			do {
				polls = work_round(device, &poll_ns);
			} while (ring_unwatch(device));
			wait_ns = polls ? poll_ns : 0;
			poll_ns = polls ? min_u64(poll_ns * 2, POLL_MAX_NS) : POLL_MIN_NS;
		}
		if (wait_ns) {
			deadline = port_now_ns() + wait_ns;
		}
		if (atomic_load_explicit(&device->events.ticks, memory_order_relaxed)) {
			event_tick(&device->events);
			deadline = min_u64(deadline, port_now_ns() + EVENT_TICK_NS);
		}
		(void)port_wq_wait(&device->work_wq, seq, deadline, 0);
	}
}

int device_start_workers(struct device *device)
{
	/* Threads of a forked child may come together: one starts them. */
	if (__builtin_expect(atomic_load(&device->workers_up), 1) ||
	    atomic_exchange(&device->workers_up, true)) {
		return 0;
	}
	atomic_store(&device->stop, false);
	while (device->worker_count < DEVICE_WORKERS) {
		int ret = port_thread_create(&device->worker[device->worker_count], "vmbind-work",
					     worker, device);

		/* One alone could sleep in a resume while others need it (preempt.c). */
		if (ret) {
			device_stop_workers(device);
			return ret;
		}
		device->worker_count++;
	}
	return 0;
}

void device_stop_workers(struct device *device)
{
	atomic_store(&device->stop, true);
	port_wq_wake(&device->work_wq);
	while (device->worker_count) {
		port_thread_join(device->worker[--device->worker_count]);
	}
	atomic_store(&device->workers_up, false);
}
