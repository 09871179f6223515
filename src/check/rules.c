// SPDX-License-Identifier: MIT
/*
 * The graph of unsignalled fences.
 *
 * Overview. A node for each fence that was published or is waited for, an edge for each dependency.
 * Both go when they are over, so the graph is as large as what is unfinished; tables of a fixed
 * size hold it, as a reader may not allocate, and where they are full nothing more is followed.
 *
 * A circle can only be closed by a fence that somebody waits for already, so most dependencies need
 * no search. For fences that do not signal the oldest one is looked at with each event: what it
 * waits for in the end, its root, must signal within the time once it waits for nothing. A root
 * that nobody published is a client's (a software timeline), whose promise is not ours.
 * Long-running work promises nothing, and a preempt fence only once somebody waits for it.
 *
 * Locking: called under the stream's lock.
 *
 * Example: rules_init(&rules, RULES_AGE_NS); event_attach(&device->events, &rules.reader);
 */
#include "check/rules.h"

#include "base/bits.h"

#define NODES 65536u
#define EDGES 262144u
#define BUCKETS 16384u
#define CHAIN_MAX 16 /* names of one chain that are printed */

struct rules_node {
	uint64_t context, seqno;
	uint64_t id, of;         /* of a published one: see enum event_owner */
	uint64_t since_ns;       /* published */
	uint64_t root_ns;        /* found to wait for nothing; 0: not yet */
	const char *where;       /* published or waited for */
	uint32_t next;           /* in its bucket, or free */
	uint32_t edges;          /* what it waits for: first */
	uint32_t waiters;        /* edges that lead here */
	uint32_t older, younger; /* published ones */
	uint32_t mark, before;   /* of a search */
	uint32_t todo;
	uint8_t owner;           /* enum event_owner */
	bool published, signalled;
};

struct rules_edge {
	uint32_t to, next;
	const char *where;
};

/* ---- tables ---------------------------------------------------------------------------------- */

static uint32_t *bucket_of(struct rules *rules, uint64_t context, uint64_t seqno)
{
	uint64_t hash = (context * 0x9e3779b97f4a7c15u + seqno) * 0x9e3779b97f4a7c15u;

	return &rules->bucket[(hash >> 40) % BUCKETS];
}

static uint32_t node_find(struct rules *rules, uint64_t context, uint64_t seqno)
{
	uint32_t at = *bucket_of(rules, context, seqno);

	while (at && (rules->node[at].context != context || rules->node[at].seqno != seqno)) {
		at = rules->node[at].next;
	}
	return at;
}

/* 0: no room. */
static uint32_t node_make(struct rules *rules, uint64_t context, uint64_t seqno)
{
	uint32_t *bucket = bucket_of(rules, context, seqno);
	uint32_t at = rules->node_free;

	if (at) {
		rules->node_free = rules->node[at].next;
	} else if (rules->node_top + 1 < NODES) {
		at = ++rules->node_top;
	} else {
		return 0;
	}
	rules->node[at] = (struct rules_node){ .context = context, .seqno = seqno,
					       .next = *bucket };
	*bucket = at;
	rules->nodes++;
	return at;
}

/* Once nobody asks for it any more. */
static void node_drop(struct rules *rules, uint32_t at)
{
	struct rules_node *node = &rules->node[at];
	uint32_t *link = bucket_of(rules, node->context, node->seqno);

	if (node->waiters || node->edges || (node->published && !node->signalled)) {
		return;
	}
	while (*link != at) {
		link = &rules->node[*link].next;
	}
	*link = node->next;
	node->next = rules->node_free;
	rules->node_free = at;
	rules->nodes--;
}

static void edges_drop(struct rules *rules, struct rules_node *node)
{
	while (node->edges) {
		uint32_t at = node->edges;
		struct rules_edge *edge = &rules->edge[at];

		node->edges = edge->next;
		ASSERT(rules->node[edge->to].waiters);
		rules->node[edge->to].waiters--;
		node_drop(rules, edge->to);
		edge->next = rules->edge_free;
		rules->edge_free = at;
		rules->edges--;
	}
}

static void edge_make(struct rules *rules, uint32_t from, uint32_t to, const char *where)
{
	uint32_t at = rules->edge_free;

	if (at) {
		rules->edge_free = rules->edge[at].next;
	} else if (rules->edge_top + 1 < EDGES) {
		at = ++rules->edge_top;
	} else {
		return;
	}
	rules->edge[at] = (struct rules_edge){ to, rules->node[from].edges, where };
	rules->node[from].edges = at;
	rules->node[to].waiters++;
	rules->edges++;
}

static void age_list_remove(struct rules *rules, const struct rules_node *node)
{
	uint32_t *from_older = node->older ? &rules->node[node->older].younger : &rules->oldest;
	uint32_t *from_younger = node->younger ? &rules->node[node->younger].older
					       : &rules->youngest;

	*from_older = node->younger;
	*from_younger = node->older;
}

static void age_list_add(struct rules *rules, uint32_t at)
{
	struct rules_node *node = &rules->node[at];

	node->older = rules->youngest;
	node->younger = 0;
	*(node->older ? &rules->node[node->older].younger : &rules->oldest) = at;
	rules->youngest = at;
}

/* ---- names ----------------------------------------------------------------------------------- */

static void print_node(const struct rules_node *node, const char *before)
{
	static const char *const owner[] = {
		[EVENT_OF_JOB] = "job",
		[EVENT_OF_LR_JOB] = "long-running job",
		[EVENT_OF_BIND] = "bind",
		[EVENT_OF_MOVE] = "move",
		[EVENT_OF_PREEMPTION] = "suspension",
	};
	static const char *const of[] = {
		[EVENT_OF_JOB] = "queue",
		[EVENT_OF_LR_JOB] = "queue",
		[EVENT_OF_BIND] = "vm",
		[EVENT_OF_MOVE] = "object",
		[EVENT_OF_PREEMPTION] = "queue",
	};

	port_panic_line("vmbind:   %s", before);
	if (node->published) {
		port_panic_line("%s %lu of %s %lu", owner[node->owner], (unsigned long)node->id,
				of[node->owner], (unsigned long)node->of);
	} else {
		port_panic_line("what nobody here has published");
	}
	port_panic_line(" (fence %lu:%lu, %s)\n", (unsigned long)node->context,
			(unsigned long)node->seqno, node->where ? node->where : "?");
}

/* The first thing that @node still waits for, or 0. */
static uint32_t waits_for(const struct rules *rules, const struct rules_node *node)
{
	for (uint32_t e = node->edges; e; e = rules->edge[e].next) {
		if (!rules->node[rules->edge[e].to].signalled) {
			return rules->edge[e].to;
		}
	}
	return 0;
}

/* From the end of the circle back to its beginning. */
static void print_circle(const struct rules *rules)
{
	uint32_t at = rules->circle;

	print_node(&rules->node[at], "the circle: ");
	for (unsigned i = 0; i < CHAIN_MAX && at != rules->circle_on; i++) {
		at = rules->node[at].before;
		print_node(&rules->node[at], "for which waits ");
	}
	print_node(&rules->node[rules->circle], "for which would wait ");
}

/* From any panic: what has been unfinished for longest, and why. */
static void print_state(void *ctx)
{
	const struct rules *rules = ctx;
	uint32_t at = rules->oldest;

	if (rules->circle) {
		print_circle(rules);
	}
	for (unsigned i = 0; at && i < CHAIN_MAX; i++) {
		print_node(&rules->node[at], i ? "which waits for " : "unfinished: ");
		at = waits_for(rules, &rules->node[at]);
	}
}

/* ---- rules ----------------------------------------------------------------------------------- */

/* Does @from wait for @to, whatever is in between? Then .before leads back from @to to @from. */
static bool leads_to(struct rules *rules, uint32_t from, uint32_t to)
{
	uint32_t todo = from;

	rules->mark++;
	rules->node[from].mark = rules->mark;
	rules->node[from].todo = 0;
	while (todo) {
		struct rules_node *node = &rules->node[todo];
		uint32_t at = todo;

		todo = node->todo;
		if (at == to) {
			return true;
		}
		for (uint32_t e = node->signalled ? 0 : node->edges; e; e = rules->edge[e].next) {
			struct rules_node *next = &rules->node[rules->edge[e].to];

			if (next->mark != rules->mark) {
				next->mark = rules->mark;
				next->before = at;
				next->todo = todo;
				todo = rules->edge[e].to;
			}
		}
	}
	return false;
}

static _Noreturn void circle(struct rules *rules, uint32_t own, uint32_t on, const char *where)
{
	rules->circle = own;
	rules->circle_on = on;
	port_rule_broken("R14", where, rules->node[on].where,
			 "fence %lu:%lu would wait for %lu:%lu, which waits for it",
			 (unsigned long)rules->node[own].context,
			 (unsigned long)rules->node[own].seqno,
			 (unsigned long)rules->node[on].context,
			 (unsigned long)rules->node[on].seqno);
}

/* The oldest has been there for long: is that because somebody of ours does not do his part? */
static void look_at_oldest(struct rules *rules)
{
	uint32_t at = rules->oldest, next;
	struct rules_node *root, *oldest = &rules->node[at];

	while ((next = waits_for(rules, &rules->node[at]))) {
		at = next;
	}
	root = &rules->node[at];
	if (root->published && !root->root_ns) {
		root->root_ns = rules->now_ns;
	}
	if (root->root_ns && rules->now_ns - root->root_ns > rules->age_ns) {
		port_rule_broken("R14", root->where, oldest->where,
				 "fence %lu:%lu waits for nothing and has not signalled for %lu ms",
				 (unsigned long)root->context, (unsigned long)root->seqno,
				 (unsigned long)((rules->now_ns - root->root_ns) / 1000000));
	}
	if (!root->root_ns) {
		/* Somebody else's to signal: its turn comes again. */
		oldest->since_ns = rules->now_ns;
		age_list_remove(rules, oldest);
		age_list_add(rules, (uint32_t)(oldest - rules->node));
	}
}

/* ---- events ---------------------------------------------------------------------------------- */

static uint32_t node_get(struct rules *rules, uint64_t context, uint64_t seqno)
{
	uint32_t at = node_find(rules, context, seqno);

	return at ? at : node_make(rules, context, seqno);
}

static void published(struct rules *rules, const struct event *event)
{
	uint32_t at = node_get(rules, event->arg[0], event->arg[1]);
	struct rules_node *node = &rules->node[at];

	if (!at || node->published || node->signalled) {
		return;
	}
	node->published = true;
	node->owner = (uint8_t)event->arg[2];
	node->id = event->arg[3];
	node->of = event->arg[4];
	node->since_ns = event->time_ns;
	node->where = event->where;
	if (node->owner != EVENT_OF_PREEMPTION && node->owner != EVENT_OF_LR_JOB) {
		age_list_add(rules, at);
	}
}

static void depends(struct rules *rules, const struct event *event)
{
	uint32_t own = node_get(rules, event->arg[0], event->arg[1]), on;

	if (event->arg[4] || !own) {
		return; /* is over already */
	}
	on = node_get(rules, event->arg[2], event->arg[3]);
	if (!on) {
		node_drop(rules, own);
		return;
	}
	rules->node[on].where = rules->node[on].where ? rules->node[on].where : event->where;
	if (rules->node[own].waiters && leads_to(rules, on, own)) {
		circle(rules, own, on, event->where);
	}
	edge_make(rules, own, on, event->where);
	node_drop(rules, on); /* without an edge */
}

static void signalled(struct rules *rules, const struct event *event)
{
	uint32_t at = node_find(rules, event->arg[0], event->arg[1]);
	struct rules_node *node = &rules->node[at];

	if (!at) {
		return;
	}
	if (node->published && node->owner != EVENT_OF_PREEMPTION &&
	    node->owner != EVENT_OF_LR_JOB) {
		age_list_remove(rules, node);
	}
	node->signalled = true;
	edges_drop(rules, node);
	node_drop(rules, at);
}

static void rules_tick(struct event_reader *self, uint64_t now_ns)
{
	struct rules *rules = container_of(self, struct rules, reader);

	rules->now_ns = now_ns;
	if (rules->oldest && now_ns - rules->node[rules->oldest].since_ns > rules->age_ns) {
		look_at_oldest(rules);
	}
}

static void rules_read(struct event_reader *self, const struct event *event)
{
	struct rules *rules = container_of(self, struct rules, reader);

	switch (event->type) {
	case EVENT_FENCE_PUBLISH:
		published(rules, event);
		break;
	case EVENT_FENCE_DEP:
		depends(rules, event);
		break;
	case EVENT_FENCE_SIGNAL:
	case EVENT_FENCE_FORGET:
		signalled(rules, event);
		break;
	default:
		break;
	}
	rules_tick(self, event->time_ns);
}

int rules_init(struct rules *rules, uint64_t age_ns)
{
	*rules = (struct rules){ .age_ns = age_ns };
	rules->reader.read = rules_read;
	rules->reader.tick = rules_tick;
	list_init(&rules->reader.node);
	rules->node = port_reserve(NODES * sizeof(*rules->node));
	rules->edge = port_reserve(EDGES * sizeof(*rules->edge));
	rules->bucket = port_reserve(BUCKETS * sizeof(*rules->bucket));
	if (!rules->node || !rules->edge || !rules->bucket) {
		rules_fini(rules);
		return -ENOMEM;
	}
	port_on_panic(print_state, rules);
	return 0;
}

void rules_fini(struct rules *rules)
{
	port_on_panic(NULL, NULL);
	port_unreserve(rules->node, NODES * sizeof(*rules->node));
	port_unreserve(rules->edge, EDGES * sizeof(*rules->edge));
	port_unreserve(rules->bucket, BUCKETS * sizeof(*rules->bucket));
}
