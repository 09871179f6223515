// SPDX-License-Identifier: MIT
/*
 * What a submission costs that is a store to memory (B21), beside one that is a call: the same tiny
 * batch, on the same engine of the same device. And the round trip: until the client sees what the
 * batch has stored, beside EXEC and its wait, and beside a word that goes to another thread and
 * back.
 *
 *	bench-ring [--rounds N] [--calls N] [FILTER]
 *	bench-ring --count exec|ring|kick
 *
 * One line per measurement: NAME, median, NAME OF THE LIMIT, its median, unit, goal (0: none), goal
 * of the ratio (0: none). With --count COUNT_N submissions are made in counted(), for a tool that
 * counts instructions there.
 */
#include "measure.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <vmbind/vmbind.h>

#define ROUNDS_MAX 101
#define RING 0x100000u
#define RING_B 0x10000u
#define CONTROL 0x200000u
#define CODE 0x300000u
#define DATA 0x400000u
#define PAGE 0x1000u
#define GATE_B 0x800u /* in the object of the batches: a spinner; in that of the data its word */
#define ENTRY_B 16u
#define BURST 500u /* submissions behind one gate; a queue takes 1000 */
#define COUNT_N 2000u

static unsigned rounds = 21, calls = 2000;
static const char *filter = "";
static struct vmb_device *device;

/* An address space with batches and data; the ring's has the ring too. */
static struct space {
	struct vmb_vm *vm;
	struct vmb_bo *code, *data;
	volatile uint32_t *word;
} plain, direct;

static struct vmb_queue *queue;
static struct vmb_syncobj *done;
static struct vmb_ring *ring;
static struct vmb_ring_control *control;
static uint8_t *commands;
static uint64_t tail;

static void need(int ret, const char *what)
{
	if (ret) {
		fprintf(stderr, "bench-ring: %s: %s\n", what, strerror(-ret));
		exit(1);
	}
}

static struct vmb_bo *new_bo(struct vmb_vm *vm, uint64_t addr, uint64_t length_B)
{
	struct vmb_bo_args args = { .size_B = sizeof(args), .length_B = length_B };
	struct vmb_bind_op op = { .kind = VMB_BIND_MAP, .addr = addr, .range_B = length_B };
	struct vmb_bind_args bind = { .size_B = sizeof(bind), .flags = VMB_BIND_SYNC, .ops = &op,
				      .op_count = 1 };

	need(vmb_bo_create(device, &args, &op.bo), "an object");
	need(vmb_bind(vm, &bind, NULL), "a bind");
	return op.bo;
}

static void space_init(struct space *s, uint32_t flags)
{
	static const uint32_t add[] = { 0x2fu << 23 | 5u << 8 | 1, DATA, 0, 0x0au << 23 };
	static const uint32_t gate[] = { 0x36u << 23 | 1u << 21 | 2, 0, DATA + GATE_B, 0,
					 0x31u << 23 | 1u << 8 | 1, CODE + GATE_B, 0 };
	struct vmb_vm_args args = { .size_B = sizeof(args), .flags = flags };

	need(vmb_vm_create(device, &args, &s->vm), "an address space");
	s->code = new_bo(s->vm, CODE, PAGE);
	s->data = new_bo(s->vm, DATA, PAGE);
	s->word = vmb_bo_map(s->data);
	memcpy(vmb_bo_map(s->code), add, sizeof(add));
	memcpy((char *)vmb_bo_map(s->code) + GATE_B, gate, sizeof(gate));
}

static void make_device(void)
{
	struct vmb_device_config config = { .size_B = sizeof(config), .system_B = 1 << 28,
					    .vram_B = 1 << 28 };

	need(vmb_device_create(&config, &device, NULL), "a device");
}

static void make_queue(void)
{
	struct vmb_queue_args args = { .size_B = sizeof(args),
				       .engine_class = VMB_ENGINE_COPY };

	space_init(&plain, 0);
	need(vmb_queue_create(plain.vm, &args, &queue), "a queue");
	need(vmb_syncobj_create(device, 0, &done), "a syncobj");
}

static void make_ring(void)
{
	struct vmb_ring_args args = { .size_B = sizeof(args), .engine_class = VMB_ENGINE_COPY,
				      .ring_addr = RING, .ring_B = RING_B,
				      .control_addr = CONTROL };

	space_init(&direct, VMB_VM_LONG_RUNNING);
	commands = vmb_bo_map(new_bo(direct.vm, RING, RING_B));
	control = vmb_bo_map(new_bo(direct.vm, CONTROL, PAGE));
	need(vmb_ring_create(direct.vm, &args, &ring), "a ring");
}

/* ---- one submission -------------------------------------------------------------------------- */

static inline void exec(uint64_t batch)
{
	struct vmb_sync sync = { .flags = VMB_SYNC_SIGNAL, .syncobj = done };
	struct vmb_submit_args args = { .size_B = sizeof(args), .batches = &batch,
					.batch_count = 1, .syncs = &sync, .sync_count = 1 };

	need(vmb_queue_submit(queue, &args), "a submission");
}

static inline void store(uint64_t batch)
{
	const uint32_t entry[] = { 0x31u << 23 | 1u << 8 | 1, (uint32_t)batch, 0, 0 };

	_Static_assert(sizeof(entry) == ENTRY_B, "an entry");
	memcpy(commands + tail % RING_B, entry, ENTRY_B);
	tail += ENTRY_B;
	__atomic_store_n(&control->tail, tail, __ATOMIC_RELEASE);
}

enum way { EXEC, STORE, KICK };

__attribute__((noinline)) void counted(enum way way, unsigned n);
void counted(enum way way, unsigned n)
{
	while (n--) {
		if (way == EXEC) {
			exec(CODE);
			continue;
		}
		store(CODE);
		if (way == KICK) {
			vmb_ring_kick(ring);
		}
	}
}

/* By this, so that the compiler makes no copy of it under another name. */
static void (*volatile submissions)(enum way way, unsigned n) = counted;

/* Until what was submitted so far has been executed. */
static void drain(enum way way)
{
	struct vmb_wait wait = { .syncobj = done };
	struct vmb_wait_args args = { .size_B = sizeof(args), .waits = &wait, .count = 1,
				      .deadline_ns = VMB_FOREVER };

	if (way == EXEC) {
		need(vmb_syncobj_wait(&args, NULL), "a wait");
		need(vmb_queue_error(queue), "the queue");
		return;
	}
	while (__atomic_load_n(&control->head, __ATOMIC_ACQUIRE) != tail) {
		need(vmb_ring_error(ring), "the ring");
		sched_yield();
	}
}

/*
 * A burst of submissions: the time of making them alone. They are behind work that waits, but for
 * those with a kick: there the engine is to be awake, as with a client that has much to do.
 */
static uint64_t burst(enum way way, unsigned n)
{
	struct space *s = way == EXEC ? &plain : &direct;
	volatile uint32_t *gate = s->word + GATE_B / sizeof(*gate);
	uint64_t start, ns;

	*s->word = 0;
	*gate = way != KICK;
	if (way == EXEC) {
		exec(CODE + GATE_B);
	} else {
		store(CODE + GATE_B);
	}
	if (way == KICK) {
		drain(way);
	}
	start = now_ns();
	submissions(way, n);
	ns = now_ns() - start;
	*gate = 0;
	drain(way);
	if (*s->word != n) {
		fprintf(stderr, "bench-ring: %u of %u batches have run\n", *s->word, n);
		exit(1);
	}
	return ns;
}

static double measure_bursts(enum way way)
{
	unsigned n = calls < BURST ? calls : BURST, bursts = calls / n;
	double ns[ROUNDS_MAX];

	burst(way, n);
	for (unsigned i = 0; i < rounds; i++) {
		uint64_t sum = 0;

		for (unsigned j = 0; j < bursts; j++) {
			sum += burst(way, n);
		}
		ns[i] = (double)sum / bursts / n;
	}
	return median(ns, rounds);
}

/* ---- round trips ----------------------------------------------------------------------------- */

static void exec_and_wait(unsigned n)
{
	*plain.word = 0;
	for (unsigned i = 1; i <= n; i++) {
		exec(CODE);
		drain(EXEC);
		if (*plain.word != i) {
			fprintf(stderr, "bench-ring: a batch has not run\n");
			exit(1);
		}
	}
}

static void store_and_look(unsigned n)
{
	*direct.word = 0;
	for (unsigned i = 1; i <= n; i++) {
		store(CODE);
		while (*direct.word != i) {
		}
	}
	drain(STORE);
}

static _Atomic unsigned ball;

static void *other_side(void *arg)
{
	unsigned seen = 0;

	while ((seen = atomic_load(&ball)) != UINT32_MAX) {
		if (seen % 2) {
			atomic_store(&ball, seen + 1);
		}
	}
	return arg;
}

static void there_and_back(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		atomic_store(&ball, 2 * i + 1);
		while (atomic_load(&ball) != 2 * i + 2) {
		}
	}
}

static double measure(void (*fn)(unsigned n))
{
	double ns[ROUNDS_MAX];

	fn(calls / 10 + 1);
	for (unsigned i = 0; i < rounds; i++) {
		uint64_t start = now_ns();

		fn(calls);
		ns[i] = (double)(now_ns() - start) / calls;
	}
	return median(ns, rounds);
}

static double measure_line(void)
{
	pthread_t thread;
	double ns;

	need(-pthread_create(&thread, NULL, other_side, NULL), "a thread");
	ns = measure(there_and_back);
	atomic_store(&ball, UINT32_MAX);
	pthread_join(thread, NULL);
	return ns;
}

/* ---- all ------------------------------------------------------------------------------------- */

static void print(const char *name, double ns, const char *limit, double limit_ns,
		  double ratio_goal)
{
	if (strstr(name, filter)) {
		printf("%s %.1f %s %.1f ns 0 %g\n", name, ns, limit, limit_ns, ratio_goal);
		fflush(stdout);
	}
}

static unsigned number(const char *text, unsigned most)
{
	unsigned long value = text ? strtoul(text, NULL, 10) : 0;

	if (value < 1 || value > most) {
		fprintf(stderr, "bench-ring: '%s' is not between 1 and %u\n", text ? text : "",
			most);
		exit(2);
	}
	return (unsigned)value;
}

static void count(const char *what)
{
	enum way way = strcmp(what, "exec") == 0 ? EXEC : strcmp(what, "ring") == 0 ? STORE : KICK;

	make_device();
	if (way == EXEC) {
		make_queue();
	} else {
		make_ring();
	}
	for (unsigned i = 0; i < COUNT_N / BURST; i++) {
		burst(way, BURST);
	}
}

int main(int argc, char **argv)
{
	double call_ns, wait_ns, look_ns, line_ns;

	if (argc == 3 && strcmp(argv[1], "--count") == 0) {
		count(argv[2]);
		return 0;
	}
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--rounds") == 0) {
			rounds = number(argv[++i], ROUNDS_MAX);
		} else if (strcmp(argv[i], "--calls") == 0) {
			calls = number(argv[++i], 1000000);
		} else {
			filter = argv[i];
		}
	}
	make_device();
	make_queue();
	/* A ring would be looked at meanwhile. */
	call_ns = measure_bursts(EXEC);
	wait_ns = measure(exec_and_wait);
	line_ns = measure_line();
	make_ring();
	print("exec_direct_submit", measure_bursts(STORE), "exec_submit", call_ns, 0.1);
	print("exec_direct_submit_kick", measure_bursts(KICK), "exec_submit", call_ns, 0.25);
	look_ns = measure(store_and_look);
	print("exec_direct_round_trip", look_ns, "two_threads", line_ns, 4);
	print("exec_direct_round_trip_exec", look_ns, "exec+wait", wait_ns, 0);
	return 0;
}
