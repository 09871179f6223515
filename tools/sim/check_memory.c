// SPDX-License-Identifier: MIT
/*
 * Memory: what a region says is used is what the objects in it need, as the events tell, and in
 * system memory what page tables have beside that. When all is closed nothing is used any more.
 *
 * An object that moves has its new place at once and gives the old one back later: meanwhile it may
 * count twice. Who frees is a worker, so a difference has a moment to go away.
 */
#include "sim.h"

#include "uapi/xe/xe.h"

#define NAME "memory"
#define OBJECTS 4096
#define NOWHERE UINT64_MAX

struct entry {
	uint64_t id, size_B, region, from;
	unsigned moves; /* under way */
};

static struct book {
	struct entry entry[OBJECTS];
	unsigned count;
} books[SIM_DEVICES];

static void begin(struct world *w)
{
	(void)w;
	memset(books, 0, sizeof(books));
}

static struct entry *find(struct mdevice *d, uint64_t id)
{
	struct book *b = &books[d->index];

	for (unsigned i = 0; i < b->count; i++) {
		if (b->entry[i].id == id) {
			return &b->entry[i];
		}
	}
	sim_fail(d->world, NAME, "an event of bo %llu, which does not exist",
		 (unsigned long long)id);
}

static void event(struct mdevice *d, const struct event *event)
{
	struct book *b = &books[d->index];
	const uint64_t *arg = event->arg;
	struct entry *e;

	switch (event->type) {
	case EVENT_BO_CREATE:
		ASSERT(b->count < OBJECTS);
		b->entry[b->count++] = (struct entry){ arg[0], arg[1], NOWHERE, NOWHERE, 0 };
		break;
	case EVENT_BO_BACK:
		find(d, arg[0])->region = arg[1];
		break;
	case EVENT_BO_MOVE:
		e = find(d, arg[0]);
		e->from = arg[1];
		e->region = arg[2];
		e->moves++;
		break;
	case EVENT_BO_MOVED:
		find(d, arg[0])->moves--;
		break;
	case EVENT_BO_FREE:
		e = find(d, arg[0]);
		*e = b->entry[--b->count];
		break;
	default:
		break;
	}
}

static uint64_t tables_B(struct world *w, const struct mdevice *d)
{
	uint64_t sum_B = 0;

	for (unsigned i = 0; i < w->clients; i++) {
		struct mclient *c = &w->client[i];
		uint32_t id = 0;
		struct xe_vm *xvm;

		while (c->file && c->device == d && (xvm = ids_next(&xe_file(c->file)->vms, &id))) {
			sum_B += pt_frames_B(&xvm->vm->pt);
			id++;
		}
	}
	return sum_B;
}

/* The least and the most that may be used of @region now. */
static bool agrees(struct world *w, const struct mdevice *d, const struct region *region,
		   uint64_t *least_out, uint64_t *most_out)
{
	const struct book *b = &books[d->index];
	uint64_t least_B = 0, most_B = 0;

	for (unsigned i = 0; i < b->count; i++) {
		const struct entry *e = &b->entry[i];

		least_B += e->region == region->index ? e->size_B : 0;
		most_B += e->region == region->index ? e->size_B : 0;
		/* Any of several moves may have left it anywhere. */
		most_B += e->moves && (e->from == region->index || e->moves > 1) ? e->size_B : 0;
	}
	if (region->index == MEM_SYSTEM) {
		least_B += tables_B(w, d);
		most_B = UINT64_MAX; /* slabs of tables may have room */
	}
	*least_out = least_B;
	*most_out = most_B;
	return region->used_B >= least_B && region->used_B <= most_B;
}

static void check_region(struct world *w, struct mdevice *d, struct region *region)
{
	uint64_t least_B, most_B;

	for (unsigned tries = 0; !agrees(w, d, region, &least_B, &most_B); tries++) {
		if (tries == 200) {
			sim_fail(w, NAME,
				 "device %u: %llu bytes of %s are used, but objects and tables "
				 "need %llu to %llu", d->index, (unsigned long long)region->used_B,
				 region->name, (unsigned long long)least_B,
				 (unsigned long long)most_B);
		}
		nap(50000);
	}
}

static void quiet(struct world *w)
{
	for (unsigned i = 0; i < w->devices; i++) {
		struct mem *mem = &uapi_device_core(w->device[i].uapi)->mem;

		for (unsigned k = 0; k < mem->region_count; k++) {
			check_region(w, &w->device[i], &mem->region[k]);
		}
	}
}

static void end(struct world *w)
{
	for (unsigned i = 0; i < w->devices; i++) {
		struct mdevice *d = &w->device[i];
		struct region *region = uapi_device_core(d->uapi)->mem.region;

		for (unsigned tries = 0; books[i].count && tries < 200; tries++) {
			nap(50000);
		}
		if (books[i].count) {
			sim_fail(w, NAME, "all is closed, but %u objects are left: bo %llu",
				 books[i].count, (unsigned long long)books[i].entry[0].id);
		}
		if (region[MEM_SYSTEM].used_B > d->idle_system_B || region[MEM_VRAM].used_B) {
			sim_fail(w, NAME, "all is closed, but %llu and %llu bytes are used",
				 (unsigned long long)region[MEM_SYSTEM].used_B,
				 (unsigned long long)region[MEM_VRAM].used_B);
		}
	}
}

const struct checker check_memory = {
	.name = NAME, .event = event, .begin = begin, .quiet = quiet, .end = end,
};
