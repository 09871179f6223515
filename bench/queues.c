// SPDX-License-Identifier: MIT
/*
 * Many queues: threads that submit at once, each to its own; and batches that spin on every engine
 * until the CPU ends them.
 *
 *	bench-queues [--rounds N] [--calls N] [FILTER]
 *
 * One line per measurement: NAME, ns, NAME OF THE LIMIT, its ns, goal in ns (0: none).
 * exec_queues_N is the time of N threads for a submission and its wait, by the number of
 * submissions, beside that of one thread. exec_spinner_worst is the longest time from the store
 * that ends a spinner until its fence has signalled, of SEEN of them, beside how late a sleep of a
 * millisecond is.
 */
#include "backend.h"
#include "measure.h"

#include "uapi/vmb_drm.h"
#include "uapi/xe_drm.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define QUEUES_MAX 64u
#define ROUNDS_MAX 101u
#define SEEN 1000u
#define SEEN_GOAL_NS 10e6
#define BO_B 0x10000ull
#define BATCH_ADDR 0x100000ull
#define DATA_ADDR 0x200000ull
#define SLOT_B 256u /* of a queue, in each */
#define SPIN_OFFSET_B 64u /* of the batch that spins, in its slot */
#define MI_STORE_DWORD 0x10000002u
#define MI_CONDITIONAL_BATCH_BUFFER_END 0x1b200002u /* of the inverse: goes on while above */
#define MI_BATCH_BUFFER_START 0x18800101u
#define MI_BATCH_BUFFER_END 0x05000000u
#define FOREVER INT64_MAX

struct lane {
	pthread_t thread;
	uint32_t queue, syncobj;
	uint64_t batch; /* GPU address */
	volatile uint32_t *stored, *flag;
	unsigned n;     /* submissions to make */
};

static const struct drm_xe_engine_class_instance engines[] = {
	{ .engine_class = DRM_XE_ENGINE_CLASS_RENDER },
	{ .engine_class = DRM_XE_ENGINE_CLASS_COPY },
	{ .engine_class = DRM_XE_ENGINE_CLASS_VIDEO_DECODE },
	{ .engine_class = DRM_XE_ENGINE_CLASS_VIDEO_DECODE, .engine_instance = 1 },
	{ .engine_class = DRM_XE_ENGINE_CLASS_COMPUTE },
	{ .engine_class = DRM_XE_ENGINE_CLASS_COMPUTE, .engine_instance = 1 },
};
#define ENGINES (unsigned)(sizeof(engines) / sizeof(engines[0]))

static unsigned rounds = 21, calls = 2000;
static const char *filter = "";
static struct lane lane[QUEUES_MAX];
static pthread_barrier_t start;

static void call(uint32_t cmd, void *arg, const char *what)
{
	int ret = backend_ioctl(cmd, arg);

	if (ret) {
		fprintf(stderr, "bench-queues: %s: %s\n", what, strerror(-ret));
		exit(1);
	}
}

static void print(const char *name, double ns, const char *limit, double limit_ns, double goal_ns)
{
	printf("%s %.1f %s %.1f %.0f\n", name, ns, limit, limit_ns, goal_ns);
	fflush(stdout);
}

/* ---- set-up ---------------------------------------------------------------------------------- */

static char *make_object(uint32_t vm, uint64_t addr)
{
	struct drm_xe_gem_create create = {
		.size = BO_B,
		.placement = 1,
		.cpu_caching = DRM_XE_GEM_CPU_CACHING_WB,
	};
	struct drm_xe_vm_bind bind = {
		.vm_id = vm,
		.num_binds = 1,
		.bind.range = BO_B,
		.bind.addr = addr,
		.bind.op = DRM_XE_VM_BIND_OP_MAP,
		.bind.pat_index = 2,
	};

	call(DRM_IOCTL_XE_GEM_CREATE, &create, "GEM_CREATE");
	bind.bind.obj = create.handle;
	call(DRM_IOCTL_XE_VM_BIND, &bind, "VM_BIND");
	return backend_map(create.handle, BO_B);
}

static void write_batches(struct lane *l, unsigned i, char *batches, char *data)
{
	uint64_t stored = DATA_ADDR + i * SLOT_B, flag = stored + 64;
	uint64_t spin = BATCH_ADDR + i * SLOT_B + SPIN_OFFSET_B;
	const uint32_t store[] = { MI_STORE_DWORD, (uint32_t)stored, 0, 1, MI_BATCH_BUFFER_END };
	const uint32_t spinner[] = { MI_CONDITIONAL_BATCH_BUFFER_END, 0, (uint32_t)flag, 0,
				     MI_BATCH_BUFFER_START, (uint32_t)spin, 0 };

	memcpy(batches + i * SLOT_B, store, sizeof(store));
	memcpy(batches + i * SLOT_B + SPIN_OFFSET_B, spinner, sizeof(spinner));
	l->batch = BATCH_ADDR + i * SLOT_B;
	l->stored = (volatile uint32_t *)(data + i * SLOT_B);
	l->flag = l->stored + 16;
}

static void open_lanes(unsigned n)
{
	struct drm_xe_vm_create vm = { 0 };
	char *batches, *data;

	backend_open("normal");
	call(DRM_IOCTL_XE_VM_CREATE, &vm, "VM_CREATE");
	batches = make_object(vm.vm_id, BATCH_ADDR);
	data = make_object(vm.vm_id, DATA_ADDR);
	for (unsigned i = 0; i < n; i++) {
		struct drm_xe_exec_queue_create queue = {
			.width = 1,
			.num_placements = 1,
			.vm_id = vm.vm_id,
			.instances = (uintptr_t)&engines[i % ENGINES],
		};
		struct drm_syncobj_create sync = { 0 };

		call(DRM_IOCTL_XE_EXEC_QUEUE_CREATE, &queue, "EXEC_QUEUE_CREATE");
		call(DRM_IOCTL_SYNCOBJ_CREATE, &sync, "SYNCOBJ_CREATE");
		lane[i].queue = queue.exec_queue_id;
		lane[i].syncobj = sync.handle;
		write_batches(&lane[i], i, batches, data);
	}
}

static void submit(struct lane *l, uint64_t batch)
{
	struct drm_xe_sync sync = {
		.type = DRM_XE_SYNC_TYPE_SYNCOBJ,
		.flags = DRM_XE_SYNC_FLAG_SIGNAL,
		.handle = l->syncobj,
	};
	struct drm_xe_exec exec = {
		.exec_queue_id = l->queue,
		.num_syncs = 1,
		.syncs = (uintptr_t)&sync,
		.address = batch,
		.num_batch_buffer = 1,
	};

	call(DRM_IOCTL_XE_EXEC, &exec, "EXEC");
}

static void wait_last(struct lane *l)
{
	struct drm_syncobj_wait wait = {
		.handles = (uintptr_t)&l->syncobj,
		.count_handles = 1,
		.timeout_nsec = FOREVER,
	};

	call(DRM_IOCTL_SYNCOBJ_WAIT, &wait, "SYNCOBJ_WAIT");
}

/* ---- at once --------------------------------------------------------------------------------- */

static void *work(void *arg)
{
	struct lane *l = arg;

	pthread_barrier_wait(&start);
	for (unsigned i = 0; i < l->n; i++) {
		*l->stored = 0;
		submit(l, l->batch);
		wait_last(l);
		if (*l->stored != 1) {
			fprintf(stderr, "bench-queues: the store did not arrive\n");
			exit(1);
		}
	}
	return NULL;
}

/* ns by submission. */
static double at_once(unsigned queues)
{
	unsigned n = calls / queues + 1;
	uint64_t began;

	pthread_barrier_init(&start, NULL, queues + 1);
	for (unsigned i = 0; i < queues; i++) {
		lane[i].n = n;
		if (pthread_create(&lane[i].thread, NULL, work, &lane[i])) {
			fprintf(stderr, "bench-queues: no threads\n");
			exit(1);
		}
	}
	began = now_ns();
	pthread_barrier_wait(&start);
	for (unsigned i = 0; i < queues; i++) {
		pthread_join(lane[i].thread, NULL);
	}
	pthread_barrier_destroy(&start);
	return (double)(now_ns() - began) / (n * queues);
}

static void measure_queues(unsigned queues)
{
	double one[ROUNDS_MAX], many[ROUNDS_MAX], one_ns;
	char name[32];

	snprintf(name, sizeof(name), "exec_queues_%u", queues);
	if (!strstr(name, filter)) {
		return;
	}
	open_lanes(queues);
	at_once(queues);
	for (unsigned i = 0; i < rounds; i++) {
		one[i] = at_once(1);
		many[i] = at_once(queues);
	}
	one_ns = median(one, rounds);
	print(name, median(many, rounds), "one_queue", one_ns, 2 * one_ns);
	backend_close();
}

/* ---- spinners -------------------------------------------------------------------------------- */

static double late(void)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	uint64_t began = now_ns();

	nanosleep(&nap, NULL);
	return (double)(now_ns() - began) - 1e6;
}

static void spin(struct lane *l)
{
	*l->flag = 1;
	submit(l, l->batch + SPIN_OFFSET_B);
}

static void measure_spinners(void)
{
	unsigned seen = calls < SEEN ? calls : SEEN;
	double ns[SEEN], slept[SEEN];

	if (!strstr("exec_spinner_worst exec_spinner_median", filter)) {
		return;
	}
	open_lanes(ENGINES);
	for (unsigned i = 0; i < ENGINES; i++) {
		spin(&lane[i]);
	}
	for (unsigned i = 0; i < seen; i++) {
		struct lane *l = &lane[i % ENGINES];
		uint64_t began;

		slept[i] = late();
		began = now_ns();
		*l->flag = 0;
		wait_last(l);
		ns[i] = (double)(now_ns() - began);
		spin(l);
	}
	print("exec_spinner_median", median(ns, seen), "sleep_late", median(slept, seen), 0);
	print("exec_spinner_worst", ns[seen - 1], "sleep_late", slept[seen - 1], SEEN_GOAL_NS);
	backend_close();
}

int main(int argc, char **argv)
{
	static const unsigned queues[] = { 1, 2, 8, QUEUES_MAX };

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--rounds") == 0) {
			rounds = (unsigned)strtoul(argv[++i], NULL, 10);
		} else if (strcmp(argv[i], "--calls") == 0) {
			calls = (unsigned)strtoul(argv[++i], NULL, 10);
		} else {
			filter = argv[i];
		}
	}
	if (rounds < 1 || rounds > ROUNDS_MAX || calls < 1) {
		fprintf(stderr, "bench-queues: 1 to %u rounds of at least one call\n", ROUNDS_MAX);
		return 2;
	}
	for (unsigned i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
		measure_queues(queues[i]);
	}
	measure_spinners();
	return 0;
}
