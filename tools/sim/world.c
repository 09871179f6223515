// SPDX-License-Identifier: MIT
/*
 * A run: the devices, files and threads that its seed asks for, their steps, then the phase in
 * which nothing is made to fail any more and all work has to end within a bound of virtual time,
 * then the ends of everything.
 */
#include "sim.h"

#include "port/sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define QUIET_EVERY 24u /* steps of all threads, between two looks at the whole world */
#define MS 1000000ull
#define CALM_NS (2000 * MS) /* all work ends within it, once faults have stopped */
#define CLOSE_NS (2000 * MS)

const struct checker *const checkers[] = {
	&check_model, &check_pages, &check_fences, &check_memory, &check_handles,
};
const unsigned checker_count = ARRAY_LEN(checkers);

uint64_t sim_mix(uint64_t a, uint64_t b)
{
	uint64_t z = a * 0x9e3779b97f4a7c15u + b + 0x632be59bd9b4e019u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

uint32_t draw(struct thread *t, uint32_t n)
{
	t->random = sim_mix(t->random, n);
	return (uint32_t)((t->random >> 32) % n);
}

void nap(uint64_t ns)
{
	struct port_wq wq;
	uint32_t seq;

	port_wq_init(&wq);
	seq = port_wq_prepare(&wq); /* takes time: before the clock is read, in every build */
	(void)port_wq_wait(&wq, seq, port_now_ns() + ns, 0);
}

_Noreturn void sim_fail(struct world *w, const char *check, const char *format, ...)
{
	va_list args;

	snprintf(w->report->check, sizeof(w->report->check), "%s", check);
	va_start(args, format);
	vsnprintf(w->report->text, sizeof(w->report->text), format, args);
	va_end(args);
	port_panic(__FILE__, __LINE__, w->report->text);
}

/* ---- events ---------------------------------------------------------------------------------- */

static void read_event(struct event_reader *reader, const struct event *event)
{
	struct mdevice *d = container_of(reader, struct mdevice, reader);
	struct sim_report *r = d->world->report;
	unsigned at = r->tail_next++ % SIM_TAIL;
	uint64_t hash = r->hash;

	r->tail[at].event = *event;
	r->tail[at].device = d->index;
	hash = sim_mix(hash ^ event->type, d->index);
	hash = sim_mix(hash ^ event->time_ns, event->thread);
	for (unsigned i = 0; i < EVENT_ARGS; i++) {
		hash = sim_mix(hash, event->arg[i]);
	}
	r->hash = hash;
	for (unsigned i = 0; i < checker_count; i++) {
		if (checkers[i]->event) {
			checkers[i]->event(d, event);
		}
	}
}

/* ---- what the seed asks for ------------------------------------------------------------------ */

/* What hangs is to end soon, and long before somebody is tired of waiting for it. */
void device_set_timeouts(struct mdevice *d)
{
	static const char text[] = "20", name[] = "/job_timeout_ms";
	struct uapi_attr attr;

	for (unsigned i = 0; uapi_attr_find(d->uapi, i, &attr); i++) {
		size_t len = strlen(attr.path);

		if (attr.writable && len > strlen(name) &&
		    strcmp(attr.path + len - strlen(name), name) == 0) {
			while (uapi_attr_store(d->uapi, i, PTR(text), strlen(text)) != 0) {
				nap(50000); /* failures end */
			}
		}
	}
}

static void device_make(struct world *w, unsigned index)
{
	bool planted = w->plan->scenario->planted;
	uint64_t dice = sim_mix(w->plan->seed, 1000 + index) | planted;
	struct mdevice *d = &w->device[index];
	struct uapi_config config = {
		.gpu = dice % 4 ? "bmg" : "lnl",
		.schedule = uapi_schedule_name(dice / 4 % 4),
		.system_B = (uint64_t)(dice / 16 % 2 ? 64 : 12) << 20,
		.vram_B = dice % 4 ? (uint64_t)(dice / 32 % 2 ? 16 : 1) << 20 : 0,
		.vram_copies = dice / 64 % 4 != 0 || planted,
		.host = &client_host_ops,
		.host_ctx = &d->host,
	};
	const char *what = NULL;
	int ret = uapi_device_create(&config, &d->uapi, &what);

	if (ret) {
		sim_fail(w, "start", "device %u cannot be made: %d, %s", index, ret, what);
	}
	if (uapi_companion_create(d->uapi, &d->companion)) {
		sim_fail(w, "start", "device %u has no companion", index);
	}
	d->world = w;
	d->index = index;
	d->vram = config.vram_B != 0;
	d->idle_system_B = uapi_device_core(d->uapi)->mem.region[MEM_SYSTEM].used_B;
	device_set_timeouts(d);
	if (planted) {
		/* Fresh memory is what somebody else has left. */
		uapi_device_core(d->uapi)->vm_env.without = GUARD_CLEAR;
	}
	d->reader.read = read_event;
	event_attach(uapi_device_events(d->uapi), &d->reader);
}

static void set_weights(struct world *w)
{
	for (unsigned i = 0; i < SIM_KIND_COUNT; i++) {
		uint64_t dice = sim_mix(w->plan->seed, 2000 + i);
		/* Without these nothing at all would happen. */
		bool always = i == SIM_VM || i == SIM_BO || i == SIM_MAP || i == SIM_QUEUE ||
			      i == SIM_EXEC;

		w->weight[i] = w->plan->scenario->weight[i] * (1 + (uint32_t)(dice % 8));
		/* While it is wedged nothing else happens: few seeds are about that. */
		if (!always && dice / 8 % 8 < (i == SIM_WEDGE ? 7 : 2)) {
			w->weight[i] = 0;
		}
		w->weights += w->weight[i];
	}
}

static void world_make(struct world *w)
{
	uint64_t dice = sim_mix(w->plan->seed, 1);

	w->devices = dice % 4 ? 1 : 2 + (unsigned)(dice / 4 % (SIM_DEVICES - 1));
	w->clients = 1 + (unsigned)(dice / 16 % SIM_CLIENTS);
	set_weights(w);
	for (unsigned i = 0; i < w->devices; i++) {
		device_make(w, i);
	}
	for (unsigned i = 0; i < w->clients; i++) {
		struct mclient *c = &w->client[i];

		c->world = w;
		c->index = i;
		c->device = &w->device[i % w->devices];
		if (client_try_open(c) != 0) {
			sim_fail(w, "start", "client %u cannot open its device", i);
		}
	}
}

/* ---- steps ----------------------------------------------------------------------------------- */

/* Who ends things does not make them. */
static bool is_for(enum sim_kind kind, unsigned thread)
{
	static const uint32_t ending =
		BIT(SIM_VM_END) | BIT(SIM_BO_END) | BIT(SIM_KILL) | BIT(SIM_VANISH) |
		BIT(SIM_RESET) | BIT(SIM_WEDGE) | BIT(SIM_CLOSE) | BIT(SIM_INJECT) |
		BIT(SIM_SIGNAL) | BIT(SIM_RACE) | BIT(SIM_QUERY) | BIT(SIM_WAIT);

	return thread % 2 == 0 || (ending & BIT(kind));
}

/* SIM_KIND_COUNT: nothing. */
static enum sim_kind draw_kind(struct thread *t)
{
	struct world *w = t->world;
	uint32_t at = draw(t, w->weights);

	for (unsigned i = 0; i < SIM_KIND_COUNT; i++) {
		if (at < w->weight[i]) {
			return is_for(i, t->index) ? (enum sim_kind)i : SIM_KIND_COUNT;
		}
		at -= w->weight[i];
	}
	return SIM_KIND_COUNT;
}

/* All threads stand before their next step; what workers do goes on. */
static void look_at_the_world(struct world *w)
{
	w->stop = true;
	while (w->inside) {
		nap(20000);
	}
	for (unsigned i = 0; i < checker_count; i++) {
		if (checkers[i]->quiet) {
			checkers[i]->quiet(w);
		}
	}
	w->stop = false;
}

static void take(struct thread *t, enum sim_kind kind)
{
	struct world *w = t->world;
	struct sim_report *r = w->report;
	int ret;

	while (w->stop || t->client->closing) {
		nap(30000);
	}
	w->inside++;
	t->client->inside++;
	r->thread = t->index;
	r->step = t->step;
	r->kind = kind;
	ret = step_take(t, kind);
	r->done++;
	r->failed += ret != 0 && ret != -ENODATA;
	r->kinds[kind] += ret == 0;
	r->hash = sim_mix(r->hash, (uint64_t)(int64_t)ret);
	t->client->inside--;
	w->inside--;
	if (r->done % QUIET_EVERY == 0 && !w->stop) {
		look_at_the_world(w);
	}
}

static void thread_main(void *arg)
{
	struct thread *t = arg;
	const struct sim_plan *plan = t->world->plan;

	t->id = port_thread_id();
	for (t->step = 0; t->step < plan->steps; t->step++) {
		enum sim_kind kind;

		t->random = sim_mix(sim_mix(plan->seed, 77 + t->index), t->step);
		kind = draw_kind(t);
		if (kind < SIM_KIND_COUNT && !sim_skipped(plan, t->index, t->step) &&
		    !(plan->without_kinds & BIT(kind))) {
			take(t, kind);
		}
		if (t->index % 2) {
			nap(sim_mix(t->random, 1) % 100000);
		}
	}
	t->id = 0;
}

static void stop_failures(struct world *w)
{
	if (w->copies_fail) {
		w->copies_fail = false;
		w->copies_ns = port_now_ns();
	}
	for (unsigned i = 0; i < PORT_FAULT_POINTS; i++) {
		port_fault_set((enum port_fault_point)i, 0, false);
	}
}

/* What clients hold back goes on after a while, whatever they do; memory comes back too. */
static void releaser_main(void *arg)
{
	struct world *w = arg;

	while (!w->over) {
		nap(150000);
		if (w->injected && port_now_ns() > w->injected_until_ns) {
			stop_failures(w);
		}
		attached_release(w);
		for (unsigned i = 0; i < w->clients; i++) {
			struct mclient *c = &w->client[i];

			if (c->timeline &&
			    atomic_load(&c->counter.value) < c->held + TIMELINE_START) {
				atomic_fetch_add(&c->counter.value, 1);
				uapi_timeline_update(c->timeline);
			}
			for (unsigned k = 0; k < CLIENT_VMS; k++) {
				struct mvm *vm = &c->vm[k];

				/* Ends what spins. */
				if (vm->used && !vm->gone && vm->cpu) {
					memset(vm->cpu + FLAGS_OFF, 0, VM_JOBS * 8);
				}
			}
		}
	}
}

/* ---- the end --------------------------------------------------------------------------------- */

static void calm_vm(struct mclient *c, struct mvm *vm, uint64_t deadline_ns)
{
	for (unsigned i = 0; i < VM_JOBS; i++) {
		struct job *job = &vm->job[i];

		if (job->used && !job_finish(c, vm, job, deadline_ns)) {
			sim_fail(c->world, "liveness",
				 "client %u: a job of queue %u has not ended %llu ms after the "
				 "last failure", c->index, job->queue->id,
				 (unsigned long long)(CALM_NS / MS));
		}
	}
	if (!vm->excused && !c->lost_device && !c->device->wedged) {
		vm_read_back(c, vm);
	}
}

static void calm(struct world *w)
{
	uint64_t deadline_ns;

	stop_failures(w);
	w->calm = true;
	deadline_ns = port_now_ns() + CALM_NS;
	for (unsigned i = 0; i < w->clients; i++) {
		struct mclient *c = &w->client[i];

		for (unsigned k = 0; k < CLIENT_VMS && c->file; k++) {
			if (c->vm[k].used && !c->vm[k].gone) {
				calm_vm(c, &c->vm[k], deadline_ns);
			}
		}
	}
	look_at_the_world(w);
	for (unsigned i = 0; i < checker_count; i++) {
		if (checkers[i]->calm) {
			checkers[i]->calm(w);
		}
	}
}

static void close_all(struct world *w)
{
	uint64_t begin_ns = port_now_ns();

	for (unsigned i = 0; i < w->clients; i++) {
		client_shut(&w->client[i]);
	}
	for (unsigned i = 0; i < w->devices; i++) {
		client_host_fini(&w->device[i].host);
	}
	if (port_now_ns() - begin_ns > CLOSE_NS) {
		sim_fail(w, "liveness", "closing all files took %llu ms of virtual time",
			 (unsigned long long)((port_now_ns() - begin_ns) / MS));
	}
	for (unsigned i = 0; i < checker_count; i++) {
		if (checkers[i]->end) {
			checkers[i]->end(w);
		}
	}
}

static void world_end(struct world *w)
{
	for (unsigned i = 0; i < w->devices; i++) {
		event_detach(uapi_device_events(w->device[i].uapi), &w->device[i].reader);
		uapi_device_destroy(w->device[i].companion);
		uapi_device_destroy(w->device[i].uapi);
	}
	w->report->virtual_ns = port_now_ns();
}

static void world_main(void *arg)
{
	struct world *w = arg;
	struct port_thread *releaser;
	uint64_t blocks[2], bytes[2];

	port_alloc_stats(&blocks[0], &bytes[0]);
	for (unsigned i = 0; i < checker_count; i++) {
		if (checkers[i]->begin) {
			checkers[i]->begin(w);
		}
	}
	world_make(w);
	w->stop = true; /* a step may make the start of a thread fail */
	ASSERT(port_thread_create(&releaser, "releaser", releaser_main, w) == 0);
	for (unsigned i = 0; i < 2 * w->clients; i++) {
		struct thread *t = &w->thread[i];

		t->world = w;
		t->index = i;
		t->client = &w->client[i / 2];
		t->port = NULL;
		if (!(w->plan->without_threads & BIT(i))) {
			ASSERT(port_thread_create(&t->port, "client", thread_main, t) == 0);
		}
	}
	w->stop = false;
	for (unsigned i = 0; i < 2 * w->clients; i++) {
		if (w->thread[i].port) {
			port_thread_join(w->thread[i].port);
		}
	}
	calm(w);
	close_all(w);
	w->over = true;
	port_thread_join(releaser);
	world_end(w);
	port_alloc_stats(&blocks[1], &bytes[1]);
	if (blocks[0] != blocks[1] || bytes[0] != bytes[1]) {
		sim_fail(w, "balance", "%lld blocks, %lld bytes more than before the run",
			 (long long)(blocks[1] - blocks[0]), (long long)(bytes[1] - bytes[0]));
	}
}

void sim_run_plan(const struct sim_plan *plan, struct sim_report *report)
{
	struct sim_config config = { .seed = plan->seed, .max_steps = 20000000 };
	static struct world world;

	memset(&world, 0, sizeof(world));
	memset(report, 0, sizeof(*report));
	world.plan = plan;
	world.report = report;
	sim_run(&config, world_main, &world);
	report->sim_steps = sim_steps();
	report->over = true;
	while (world.objs) {
		struct obj *obj = world.objs;

		world.objs = obj->next;
		obj_free(obj);
	}
	while (world.attached) {
		struct attached *a = world.attached;

		world.attached = a->next;
		free(a);
	}
}
