// SPDX-License-Identifier: MIT
/*
 * Fences: those of one context signal in their order and once; none signals without an error before
 * what it waits for; every job and every bind that was published ends once, and before the end of
 * its address space is over if it is a bind.
 *
 * Kept from the events alone: what depends on what, and what is under way. A close overtakes what
 * binds wait for; meanwhile dependencies are not looked at.
 */
#include "sim.h"

#define NAME "fences"
#define CONTEXTS 8192
#define EDGES 4096
#define WORK 2048
#define ENDED 256

struct edge {
	uint64_t context, seqno, on_context, on_seqno;
};

struct work {
	bool exec;
	uint64_t id, owner; /* its job; queue or vm */
};

/* The fence of a bind, from its publication until it signals. */
struct bound {
	uint64_t context, seqno, vm;
};

static struct book {
	uint64_t last[CONTEXTS]; /* seqno + 1 that signalled last */
	struct edge edge[EDGES];
	struct work work[WORK];
	struct bound bound[WORK];
	uint64_t ended[ENDED]; /* binds, the last ones */
	unsigned edges, works, bounds, ends;
} books[SIM_DEVICES];

static void begin(struct world *w)
{
	(void)w;
	memset(books, 0, sizeof(books));
}

static void check_edges(struct mdevice *d, struct book *b, uint64_t context, uint64_t seqno,
			bool good)
{
	for (unsigned i = 0; i < b->edges; i++) {
		struct edge *e = &b->edge[i];

		if (e->context != context || e->seqno != seqno) {
			continue;
		}
		if (good && !d->ending && e->on_context < CONTEXTS &&
		    b->last[e->on_context] <= e->on_seqno) {
			sim_fail(d->world, NAME,
				 "fence %llu:%llu signals before %llu:%llu, which it waits for",
				 (unsigned long long)context, (unsigned long long)seqno,
				 (unsigned long long)e->on_context,
				 (unsigned long long)e->on_seqno);
		}
		*e = b->edge[--b->edges];
		i--;
	}
}

static void signalled(struct mdevice *d, struct book *b, const struct event *event)
{
	uint64_t context = event->arg[0], seqno = event->arg[1];

	if (context >= CONTEXTS) {
		return;
	}
	if (b->last[context] > seqno) {
		sim_fail(d->world, NAME, "context %llu: fence %llu signals after %llu",
			 (unsigned long long)context, (unsigned long long)seqno,
			 (unsigned long long)b->last[context] - 1);
	}
	check_edges(d, b, context, seqno, event->arg[2] == 0);
	b->last[context] = seqno + 1;
	for (unsigned i = 0; i < b->bounds; i++) {
		if (b->bound[i].context == context && b->bound[i].seqno == seqno) {
			b->bound[i] = b->bound[--b->bounds];
			break;
		}
	}
}

static void vm_closed(struct mdevice *d, const struct book *b, uint64_t vm)
{
	for (unsigned i = 0; i < b->bounds; i++) {
		if (b->bound[i].vm == vm) {
			sim_fail(d->world, NAME, "vm %llu is closed, and fence %llu:%llu of a bind "
				 "of it has not signalled", (unsigned long long)vm,
				 (unsigned long long)b->bound[i].context,
				 (unsigned long long)b->bound[i].seqno);
		}
	}
}

static void work_add(struct book *b, bool exec, uint64_t owner, uint64_t id)
{
	ASSERT(b->works < WORK);
	b->work[b->works++] = (struct work){ exec, id, owner };
}

static void work_end(struct mdevice *d, struct book *b, bool exec, uint64_t owner, uint64_t id)
{
	for (unsigned i = 0; i < b->works; i++) {
		if (b->work[i].exec == exec && b->work[i].id == id && b->work[i].owner == owner) {
			b->work[i] = b->work[--b->works];
			return;
		}
	}
	/* Entries that are written again are binds that nobody has published. */
	for (unsigned i = 0; i < ENDED && !exec; i++) {
		exec = b->ended[i] == id;
	}
	if (exec) {
		sim_fail(d->world, NAME, "work %llu of %llu ends, but has not begun, or twice",
			 (unsigned long long)id, (unsigned long long)owner);
	}
}

static void event(struct mdevice *d, const struct event *event)
{
	struct book *b = &books[d->index];
	const uint64_t *arg = event->arg;

	switch (event->type) {
	case EVENT_FENCE_DEP:
		if (b->edges < EDGES) {
			b->edge[b->edges++] = (struct edge){ arg[0], arg[1], arg[2], arg[3] };
		}
		break;
	case EVENT_FENCE_PUBLISH:
		if (arg[2] == EVENT_OF_BIND && arg[0] < CONTEXTS) {
			ASSERT(b->bounds < WORK);
			b->bound[b->bounds++] = (struct bound){ arg[0], arg[1], arg[4] };
		}
		break;
	case EVENT_FENCE_SIGNAL:
		signalled(d, b, event);
		break;
	case EVENT_VM_CLOSE:
		vm_closed(d, b, arg[0]);
		break;
	case EVENT_EXEC_SUBMIT:
		work_add(b, true, arg[1], arg[2]);
		break;
	case EVENT_EXEC_DONE:
		work_end(d, b, true, arg[0], arg[1]);
		break;
	case EVENT_BIND_PUBLISH:
		work_add(b, false, arg[0], arg[1]);
		break;
	case EVENT_BIND_DONE:
		work_end(d, b, false, arg[0], arg[1]);
		b->ended[b->ends++ % ENDED] = arg[1];
		break;
	default:
		break;
	}
}

static void end(struct world *w)
{
	for (unsigned i = 0; i < w->devices; i++) {
		const struct book *b = &books[i];

		for (unsigned tries = 0; b->works && tries < 100; tries++) {
			nap(100000);
		}
		if (b->works) {
			sim_fail(w, NAME, "all is closed, but %u jobs and binds have not ended: "
				 "%s %llu of %llu", b->works, b->work[0].exec ? "job" : "bind",
				 (unsigned long long)b->work[0].id,
				 (unsigned long long)b->work[0].owner);
		}
	}
}

const struct checker check_fences = { .name = NAME, .event = event, .begin = begin, .end = end };
