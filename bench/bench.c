// SPDX-License-Identifier: MIT
/*
 * Benchmarks of the way in: a bind, a submission with its wait, each beside something of the same
 * machine and run that it cannot beat. scripts/bench runs this and makes the table.
 *
 * Built twice. As bench-core the device is in this process and entered at uapi_ioctl(). As
 * bench-node it is a program that knows nothing of vmbind, opens a render node and calls ioctl():
 * the difference is what interposition costs.
 *
 *	bench-core [--rounds N] [--calls N] [FILTER]
 *	bench-core --count submit private|shared OBJECTS
 *	bench-core --count wait eager|normal 0
 *
 * One line per measurement: NAME, median ns, NAME OF THE LIMIT, its ns, goal in ns (0: none). A
 * round is many calls; what is printed is the median of the rounds' means. With --count COUNT_N
 * calls are made by counted_ioctl(), for a tool that counts instructions there.
 */
#include "backend.h"
#include "measure.h"

#include "uapi/vmb_drm.h"
#include "uapi/xe_drm.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROUNDS_MAX 101
#define BO_B 0x10000ull
#define NEIGHBOURS 1024u /* other mappings in the address space, around those that change */
#define BIND_BASE 0x40000000ull
#define BATCH_ADDR 0x100000ull
#define TARGET_ADDR 0x200000ull
#define MI_STORE_DWORD 0x10000002u
#define MI_BATCH_BUFFER_END 0x05000000u
#define STORED 0x12345678u
#define MI_SEMAPHORE_WAIT_EQUAL 0x0e00c002u /* polls until the dword is the one given */
#define GATE_OFFSET_B 0x100u  /* in the object of the target: what the gate waits for */
#define GATE_BATCH_B 0x100u   /* in the object of the batches */
#define OPEN 1u
#define SMALL_B 0x1000ull
#define SMALL_BASE 0x100000000ull
#define BURST 500u /* submissions behind one gate; a queue takes 1000 */
#define COUNT_N 2000u
#define FOREVER INT64_MAX

static unsigned rounds = 21, calls = 2000;
static const char *filter = "";

/* Median over the rounds of the mean time of one call of @fn, which makes @n of them. */
static double measure(void (*fn)(unsigned n), unsigned n)
{
	double ns[ROUNDS_MAX];

	fn(n / 10 + 1); /* warm */
	for (unsigned i = 0; i < rounds; i++) {
		uint64_t start = now_ns();

		fn(n);
		ns[i] = (double)(now_ns() - start) / n;
	}
	return median(ns, rounds);
}

static bool wanted(const char *name)
{
	return strstr(name, filter);
}

static void print(const char *name, double ns, const char *limit, double limit_ns, double goal_ns)
{
	printf("%s %.1f %s %.1f %.0f\n", name, ns, limit, limit_ns, goal_ns);
	fflush(stdout);
}

static _Noreturn void fail(const char *what, int ret)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(-ret));
	exit(1);
}

static void call(uint32_t cmd, void *arg, const char *what)
{
	int ret = backend_ioctl(cmd, arg);

	if (ret) {
		fail(what, ret);
	}
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void null_ioctl(unsigned n)
{
	while (n--) {
		syscall(SYS_ioctl, -1, 0, 0);
	}
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void mutex_pair(unsigned n)
{
	while (n--) {
		pthread_mutex_lock(&mutex);
		pthread_mutex_unlock(&mutex);
	}
}

static atomic_uint turn;

static void turn_wait(unsigned mine)
{
	unsigned now;

	while ((now = atomic_load(&turn)) != mine) {
		syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, now, NULL, NULL, 0);
	}
}

static void turn_give(unsigned to)
{
	atomic_store(&turn, to);
	syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Turn 0: ours, 1: the partner's, 2: the partner's last. */
static void *partner(void *arg)
{
	for (;;) {
		unsigned now;

		while ((now = atomic_load(&turn)) == 0) {
			syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, now, NULL, NULL, 0);
		}
		if (now == 2) {
			return NULL;
		}
		turn_give(0);
	}
}

static void futex_round_trip(unsigned n)
{
	while (n--) {
		turn_give(1);
		turn_wait(0);
	}
}

/* Both threads on one core: what a hand-over between threads costs at its best. */
static double measure_futex(void)
{
	cpu_set_t before, one;
	pthread_t thread;
	double ns;

	sched_getaffinity(0, sizeof(before), &before);
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE && !CPU_COUNT(&one); cpu++) {
		if (CPU_ISSET(cpu, &before)) {
			CPU_SET(cpu, &one);
		}
	}
	sched_setaffinity(0, sizeof(one), &one);
	if (pthread_create(&thread, NULL, partner, NULL)) {
		fail("pthread_create", -EAGAIN);
	}
	ns = measure(futex_round_trip, calls);
	turn_give(2);
	pthread_join(thread, NULL);
	atomic_store(&turn, 0);
	sched_setaffinity(0, sizeof(before), &before);
	return ns;
}

/* ---- binds ----------------------------------------------------------------------------------- */

static uint32_t vm, bo;

static void bind_range(uint32_t op, uint32_t object, uint64_t addr, uint64_t range_B)
{
	struct drm_xe_vm_bind args = {
		.vm_id = vm,
		.num_binds = 1,
		.bind = {
			.obj = object,
			.range = range_B,
			.addr = addr,
			.op = op,
			.pat_index = 2,
		},
	};

	call(DRM_IOCTL_XE_VM_BIND, &args, "VM_BIND");
}

static void bind_one(uint32_t op, uint32_t object, uint64_t addr)
{
	bind_range(op, object, addr, BO_B);
}

/* A hole in the middle of the others is filled and made again, another one each time. */
static void bind_pairs(unsigned n)
{
	for (unsigned i = 0; i < n; i += 2) {
		uint64_t addr = BIND_BASE + (2 * (i * 37 % NEIGHBOURS) + 1) * BO_B;

		bind_one(DRM_XE_VM_BIND_OP_MAP, bo, addr);
		bind_one(DRM_XE_VM_BIND_OP_UNMAP, 0, addr);
	}
}

/* Of one VM, or shared (@owner 0). */
static uint32_t make_bo(uint64_t size_B, uint32_t owner)
{
	struct drm_xe_gem_create args = {
		.size = size_B,
		.vm_id = owner,
		.placement = 1,
		.cpu_caching = DRM_XE_GEM_CPU_CACHING_WB,
	};

	call(DRM_IOCTL_XE_GEM_CREATE, &args, "GEM_CREATE");
	return args.handle;
}

static void make_vm(void)
{
	struct drm_xe_vm_create args = { 0 };

	call(DRM_IOCTL_XE_VM_CREATE, &args, "VM_CREATE");
	vm = args.vm_id;
	bo = make_bo(BO_B, 0);
}

static void destroy_vm(void)
{
	struct drm_xe_vm_destroy args = { .vm_id = vm };

	call(DRM_IOCTL_XE_VM_DESTROY, &args, "VM_DESTROY");
}

static void measure_bind(double ioctl_ns)
{
	if (!wanted("vm_bind_64K") || !backend_open("normal")) {
		return;
	}
	make_vm();
	for (unsigned i = 0; i < NEIGHBOURS; i++) {
		bind_one(DRM_XE_VM_BIND_OP_MAP, bo, BIND_BASE + 2 * i * BO_B);
	}
	print("vm_bind_64K", measure(bind_pairs, 2 * calls), "null_ioctl", ioctl_ns, 500);
	destroy_vm();
	backend_close();
}

/* ---- binds among many ------------------------------------------------------------------------ */

#define OS_LIVE 30000u /* mappings a process may have, and some room */

static uint64_t live; /* mappings in the address space */
static uint32_t drawn = 1;
static char *os_base;
static int os_fd;

static uint64_t draw(uint64_t below)
{
	drawn = drawn * 1664525u + 1013904223u;
	return (uint64_t)drawn * below >> 32;
}

/* One of the mappings goes and comes back. */
static void rebind_pairs(unsigned n)
{
	while (n--) {
		uint64_t addr = BIND_BASE + 2 * draw(live) * BO_B;

		bind_one(DRM_XE_VM_BIND_OP_UNMAP, 0, addr);
		bind_one(DRM_XE_VM_BIND_OP_MAP, bo, addr);
	}
}

static void os_map(uint64_t i)
{
	void *at = os_base + 2 * i * BO_B;

	if (mmap(at, BO_B, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, os_fd, 0) != at) {
		fail("mmap", -errno);
	}
}

static void os_pairs(unsigned n)
{
	uint64_t count = live < OS_LIVE ? live : OS_LIVE;

	while (n--) {
		uint64_t i = draw(count);

		if (munmap(os_base + 2 * i * BO_B, BO_B)) {
			fail("munmap", -errno);
		}
		os_map(i);
	}
}

/* The same work done by the machine's own virtual memory. */
static double measure_os(void)
{
	uint64_t count = live < OS_LIVE ? live : OS_LIVE, size_B = 2 * count * BO_B;
	double ns;

	os_fd = memfd_create("bench", 0);
	os_base = mmap(NULL, size_B, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (os_fd < 0 || ftruncate(os_fd, (off_t)BO_B) || os_base == MAP_FAILED) {
		fail("memory of the machine", -errno);
	}
	for (uint64_t i = 0; i < count; i++) {
		os_map(i);
	}
	ns = measure(os_pairs, calls);
	munmap(os_base, size_B);
	close(os_fd);
	return ns;
}

static void measure_rebind(unsigned exponent)
{
	char name[32];

	snprintf(name, sizeof(name), "vm_bind_pair_1e%u", exponent);
	live = 1;
	for (unsigned i = 0; i < exponent; i++) {
		live *= 10;
	}
	/* Setting up a million takes seconds; a check that all works takes fewer. */
	if (!backend_has_locks || !wanted(name) || (calls < 1000 && live > 10000) ||
	    !backend_open("normal")) {
		return;
	}
	make_vm();
	for (uint64_t i = 0; i < live; i++) {
		bind_one(DRM_XE_VM_BIND_OP_MAP, bo, BIND_BASE + 2 * i * BO_B);
	}
	print(name, measure(rebind_pairs, calls), "munmap+mmap", measure_os(), 0);
	destroy_vm();
	backend_close();
}

/* ---- submissions ----------------------------------------------------------------------------- */

static uint32_t queue, syncobj;
static volatile uint32_t *target;

/* What --count counts, and nothing else. */
__attribute__((noinline)) int counted_ioctl(uint32_t cmd, void *arg);
int counted_ioctl(uint32_t cmd, void *arg)
{
	return backend_ioctl(cmd, arg);
}

typedef int entry(uint32_t cmd, void *arg);

static void exec_at(uint64_t address, entry *enter)
{
	struct drm_xe_sync sync = {
		.type = DRM_XE_SYNC_TYPE_SYNCOBJ,
		.flags = DRM_XE_SYNC_FLAG_SIGNAL,
		.handle = syncobj,
	};
	struct drm_xe_exec exec = {
		.exec_queue_id = queue,
		.num_syncs = 1,
		.syncs = (uintptr_t)&sync,
		.address = address,
		.num_batch_buffer = 1,
	};
	int ret = enter(DRM_IOCTL_XE_EXEC, &exec);

	if (ret) {
		fail("EXEC", ret);
	}
}

static void wait_last(entry *enter)
{
	struct drm_syncobj_wait wait = {
		.handles = (uintptr_t)&syncobj,
		.count_handles = 1,
		.timeout_nsec = FOREVER,
	};
	int ret = enter(DRM_IOCTL_SYNCOBJ_WAIT, &wait);

	if (ret) {
		fail("SYNCOBJ_WAIT", ret);
	}
}

static void check_stored(void)
{
	if (*target != STORED) {
		fail("the store did not arrive", -EIO);
	}
}

static void exec_wait(unsigned n)
{
	while (n--) {
		*target = 0;
		exec_at(BATCH_ADDR, counted_ioctl);
		wait_last(counted_ioctl);
		check_stored();
	}
}

static void make_queue(void)
{
	struct drm_xe_engine_class_instance engine = { .engine_class = DRM_XE_ENGINE_CLASS_COPY };
	struct drm_xe_exec_queue_create create = {
		.width = 1,
		.num_placements = 1,
		.vm_id = vm,
		.instances = (uintptr_t)&engine,
	};
	struct drm_syncobj_create sync = { 0 };
	uint32_t batch_bo = make_bo(BO_B, 0);
	char *batch = backend_map(batch_bo, BO_B);
	const uint32_t store[] = { MI_STORE_DWORD, (uint32_t)TARGET_ADDR, 0, STORED,
				   MI_BATCH_BUFFER_END };
	const uint32_t gate[] = { MI_SEMAPHORE_WAIT_EQUAL, OPEN,
				  (uint32_t)TARGET_ADDR + GATE_OFFSET_B, 0, MI_BATCH_BUFFER_END };

	memcpy(batch, store, sizeof(store));
	memcpy(batch + GATE_BATCH_B, gate, sizeof(gate));
	target = backend_map(bo, BO_B);
	bind_one(DRM_XE_VM_BIND_OP_MAP, batch_bo, BATCH_ADDR);
	bind_one(DRM_XE_VM_BIND_OP_MAP, bo, TARGET_ADDR);
	call(DRM_IOCTL_XE_EXEC_QUEUE_CREATE, &create, "EXEC_QUEUE_CREATE");
	queue = create.exec_queue_id;
	call(DRM_IOCTL_SYNCOBJ_CREATE, &sync, "SYNCOBJ_CREATE");
	syncobj = sync.handle;
}

static void measure_exec(const char *schedule, double futex_ns, double goal_ns)
{
	char name[64];

	snprintf(name, sizeof(name), "exec_wait_%s", schedule);
	if (!wanted(name) || !backend_open(schedule)) {
		return;
	}
	make_vm();
	make_queue();
	print(name, measure(exec_wait, calls), "futex_round_trip", futex_ns, goal_ns);
	backend_close();
}

/* ---- submissions among many objects ---------------------------------------------------------- */

/* A burst of submissions behind a job that waits: the time of the calls alone, summed up. */
static uint64_t submit_burst(unsigned n)
{
	volatile uint32_t *gate = target + GATE_OFFSET_B / sizeof(*gate);
	uint64_t start, ns;

	*target = 0;
	*gate = 0;
	exec_at(BATCH_ADDR + GATE_BATCH_B, backend_ioctl);
	start = now_ns();
	for (unsigned i = 0; i < n; i++) {
		exec_at(BATCH_ADDR, counted_ioctl);
	}
	ns = now_ns() - start;
	if (*target) {
		fail("the gate did not hold", -EIO);
	}
	*gate = OPEN;
	wait_last(backend_ioctl);
	check_stored();
	return ns;
}

static double measure_bursts(void)
{
	unsigned n = calls < BURST ? calls : BURST, bursts = calls / n;
	double ns[ROUNDS_MAX];

	submit_burst(n);
	for (unsigned i = 0; i < rounds; i++) {
		uint64_t sum = 0;

		for (unsigned j = 0; j < bursts; j++) {
			sum += submit_burst(n);
		}
		ns[i] = (double)sum / bursts / n;
	}
	return median(ns, rounds);
}

/* A VM with @count small objects in system memory, each mapped once. */
static void make_objects(unsigned count, bool shared)
{
	make_vm();
	make_queue();
	for (unsigned i = 0; i < count; i++) {
		bind_range(DRM_XE_VM_BIND_OP_MAP, make_bo(SMALL_B, shared ? 0 : vm),
			   SMALL_BASE + i * SMALL_B, SMALL_B);
	}
}

static void measure_submit(unsigned exponent, bool shared, double ioctl_ns)
{
	unsigned count = 1;
	char name[64];

	for (unsigned i = 0; i < exponent; i++) {
		count *= 10;
	}
	snprintf(name, sizeof(name), "exec_submit_%s_1e%u", shared ? "shared" : "private",
		 exponent);
	if (!backend_has_locks || !wanted(name) || (calls < 1000 && count > 10000) ||
	    !backend_open("normal")) {
		return;
	}
	make_objects(count, shared);
	print(name, measure_bursts(), "null_ioctl", ioctl_ns, 500);
	backend_close();
}

/* ---- all ------------------------------------------------------------------------------------- */

static unsigned number(const char *text, unsigned most)
{
	unsigned long value = text ? strtoul(text, NULL, 10) : 0;

	if (value < 1 || value > most) {
		fprintf(stderr, "bench: '%s' is not between 1 and %u\n", text ? text : "", most);
		exit(2);
	}
	return (unsigned)value;
}

/* The caller's tool counts what is inside counted_ioctl(). */
static void count(const char *what, const char *how, const char *objects)
{
	bool submit = strcmp(what, "submit") == 0;

	backend_open(submit ? "normal" : how);
	make_objects((unsigned)strtoul(objects, NULL, 10), strcmp(how, "shared") == 0);
	if (!submit) {
		exec_wait(COUNT_N);
	}
	for (unsigned i = 0; submit && i < COUNT_N / BURST; i++) {
		submit_burst(BURST);
	}
	backend_close();
}

int main(int argc, char **argv)
{
	double ioctl_ns, futex_ns, mutex_ns;

	if (argc == 5 && strcmp(argv[1], "--count") == 0) {
		count(argv[2], argv[3], argv[4]);
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
	ioctl_ns = measure(null_ioctl, 10 * calls);
	futex_ns = measure_futex();
	if (backend_has_locks && wanted("mutex_pair")) {
		mutex_ns = measure(mutex_pair, 100 * calls);
		print("mutex_pair", measure(backend_mutex_pairs, 100 * calls), "pthread_mutex",
		      mutex_ns, 0);
	}
	measure_bind(ioctl_ns);
	for (unsigned exponent = 3; exponent <= 6; exponent++) {
		measure_rebind(exponent);
	}
	measure_exec("eager", futex_ns, 2000);
	measure_exec("normal", futex_ns, 10000);
	for (unsigned i = 0; i < 2; i++) {
		measure_submit(0, i, ioctl_ns);
		for (unsigned exponent = 2; exponent <= 5; exponent++) {
			measure_submit(exponent, i, ioctl_ns);
		}
	}
	return 0;
}
