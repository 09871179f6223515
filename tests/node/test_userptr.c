// SPDX-License-Identifier: MIT
/*
 * Client memory that is bound on the GPU and goes in every way there is: through libc, inside libc,
 * by raw system calls, with its file. The GPU sees what is there now, what is not there is a fault
 * of the GPU, and nobody hangs. Run twice, with userfaultfd and without it; what vmbind counts for
 * --report tells which, and what it noticed.
 */
#include "client.h"

#include "trace/counters.h"

#include <dirent.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PAGE 4096u
#define MIB (1024 * KIB)
#define WINDOW_B (16 * PAGE)
#define PATIENCE_NS 20000000000ll

#define BATCH_VA (1ull << 30)
#define RESULT 64 /* word of the page with the batch */
#define SPIN_FLAG 128
#define SENTINEL 0xdeadbeefu
#define DATA_VA (1ull << 32)

/* ---- what the device noticed ----------------------------------------------------------------- */

static struct counters_shared *counters;

static void counters_map(void)
{
	int fd = atoi(getenv("VMBIND_COUNTERS_FD"));

	/* Not through libc: the number is hidden from clients. */
	counters = (void *)syscall(SYS_mmap, NULL, sizeof(*counters), PROT_READ, MAP_SHARED, fd, 0);
	if (counters == MAP_FAILED || counters->version != COUNTERS_VERSION) {
		printf("Bail out! to be run by `vmbind run --report FILE`\n");
		exit(1);
	}
}

static bool watched(void)
{
	return strcmp(counters->watched_by, "userfaultfd and interposition") == 0;
}

static uint64_t seen(enum event_type type)
{
	return atomic_load(&counters->events[type]);
}

static uint64_t invalidations(void)
{
	return seen(EVENT_USERPTR_INVALIDATE);
}

/* What was announced is known already; what was not is heard of soon, or with no watch never. */
static void check_unannounced(uint64_t before, uint64_t n)
{
	int64_t deadline = client_now_ns() + PATIENCE_NS;

	if (!watched()) {
		CHECK_EQ(invalidations(), before);
		return;
	}
	while (invalidations() < before + n) {
		CHECK(client_now_ns() < deadline);
		sched_yield();
	}
	CHECK_EQ(invalidations(), before + n);
}

/* ---- a GPU that reads a word ----------------------------------------------------------------- */

struct gpu {
	int fd;
	uint32_t vm, *page;
};

static void bind(const struct gpu *gpu, uint32_t op, uint64_t va, void *ptr, size_t size_B,
		 uint32_t bo)
{
	struct drm_xe_vm_bind args = {
		.vm_id = gpu->vm,
		.num_binds = 1,
		.bind = { .op = op, .addr = va, .range = size_B, .obj = bo, .pat_index = 2 },
	};

	if (op == DRM_XE_VM_BIND_OP_MAP_USERPTR) {
		args.bind.userptr = (uintptr_t)ptr;
	}
	CHECK_EQ(ioctl(gpu->fd, DRM_IOCTL_XE_VM_BIND, &args), 0);
}

static void bind_user(const struct gpu *gpu, uint64_t va, void *ptr, size_t size_B)
{
	bind(gpu, DRM_XE_VM_BIND_OP_MAP_USERPTR, va, ptr, size_B, 0);
}

static void unbind(const struct gpu *gpu, uint64_t va, size_t size_B)
{
	bind(gpu, DRM_XE_VM_BIND_OP_UNMAP, va, NULL, size_B, 0);
}

static void gpu_open(struct gpu *gpu)
{
	struct drm_xe_vm_create vm = { 0 };
	uint32_t bo;

	gpu->fd = client_open(RENDER);
	bo = client_bo(gpu->fd, 64 * KIB);
	gpu->page = mmap(NULL, 64 * KIB, PROT_READ | PROT_WRITE, MAP_SHARED, gpu->fd,
			 (off_t)client_mmap_offset(gpu->fd, bo));
	CHECK(gpu->page != MAP_FAILED);
	CHECK_EQ(ioctl(gpu->fd, DRM_IOCTL_XE_VM_CREATE, &vm), 0);
	gpu->vm = vm.vm_id;
	bind(gpu, DRM_XE_VM_BIND_OP_MAP, BATCH_VA, NULL, 64 * KIB, bo);
}

static void gpu_close(struct gpu *gpu)
{
	close(gpu->fd);
	munmap(gpu->page, 64 * KIB);
}

/* On a queue of its own: a fault ends a queue. The syncobj signals when it is through. */
static uint32_t submit(const struct gpu *gpu)
{
	struct drm_xe_engine_class_instance copy = { .engine_class = DRM_XE_ENGINE_CLASS_COPY };
	struct drm_xe_exec_queue_create queue = {
		.width = 1,
		.num_placements = 1,
		.vm_id = gpu->vm,
		.instances = (uintptr_t)&copy,
	};
	struct drm_xe_sync sync = {
		.type = DRM_XE_SYNC_TYPE_SYNCOBJ,
		.flags = DRM_XE_SYNC_FLAG_SIGNAL,
		.handle = client_syncobj(gpu->fd),
	};
	struct drm_xe_exec exec = {
		.num_syncs = 1,
		.syncs = (uintptr_t)&sync,
		.address = BATCH_VA,
		.num_batch_buffer = 1,
	};

	CHECK_EQ(ioctl(gpu->fd, DRM_IOCTL_XE_EXEC_QUEUE_CREATE, &queue), 0);
	exec.exec_queue_id = queue.exec_queue_id;
	CHECK_EQ(ioctl(gpu->fd, DRM_IOCTL_XE_EXEC, &exec), 0);
	return sync.handle;
}

/* The word at @va as the GPU finds it; SENTINEL when it finds none. */
static uint32_t gpu_read(const struct gpu *gpu, uint64_t va)
{
	const uint32_t batch[] = {
		0x2eu << 23 | 3, /* MI_COPY_MEM_MEM */
		(uint32_t)BATCH_VA + 4 * RESULT, 0, (uint32_t)va, (uint32_t)(va >> 32),
		0x0au << 23, /* MI_BATCH_BUFFER_END */
	};

	memcpy(gpu->page, batch, sizeof(batch));
	gpu->page[RESULT] = SENTINEL;
	(void)client_syncobj_wait(gpu->fd, submit(gpu), INT64_MAX);
	return gpu->page[RESULT];
}

/* It finds none, and that is one fault. */
static void check_fault(const struct gpu *gpu, uint64_t va)
{
	uint64_t faults = seen(EVENT_GPU_FAULT);

	CHECK_EQ(gpu_read(gpu, va), SENTINEL);
	CHECK_EQ(seen(EVENT_GPU_FAULT), faults + 1);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void *raw_mmap(void *at, size_t size_B)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | (at ? MAP_FIXED : 0);

	return (void *)syscall(SYS_mmap, at, size_B, PROT_READ | PROT_WRITE, flags, -1, 0);
}

static int raw_munmap(void *ptr, size_t size_B)
{
	return (int)syscall(SYS_munmap, ptr, size_B);
}

/* Its first word of each page is @value. */
static void fill(void *ptr, size_t size_B, uint32_t value)
{
	for (size_t off_B = 0; off_B < size_B; off_B += PAGE) {
		*(uint32_t *)((uint8_t *)ptr + off_B) = value;
	}
}

static void *filled(size_t size_B, uint32_t value)
{
	void *ptr = raw_mmap(NULL, size_B);

	CHECK(ptr != MAP_FAILED);
	fill(ptr, size_B, value);
	return ptr;
}

static void *page_up(void *ptr)
{
	return (void *)(((uintptr_t)ptr + PAGE - 1) & ~(uintptr_t)(PAGE - 1));
}

/* ---- cases ----------------------------------------------------------------------------------- */

static bool has_thread(const char *name)
{
	DIR *dir = opendir("/proc/self/task");
	bool has = false;

	CHECK(dir);
	for (struct dirent *entry; (entry = readdir(dir));) {
		char path[NAME_MAX + 32], comm[32] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", entry->d_name);
		file = fopen(path, "r");
		if (file) {
			has = has || (fgets(comm, sizeof(comm), file) &&
				      strncmp(comm, name, strlen(name)) == 0);
			fclose(file);
		}
	}
	closedir(dir);
	return has;
}

/* Comes first. */
static void test_B08_nobody_watches_before_the_first_window(void)
{
	uint64_t before = invalidations();
	void *ptr = filled(WINDOW_B, 1);
	struct gpu gpu;

	gpu_open(&gpu);
	CHECK(!has_thread("vmbind-watch"));
	bind_user(&gpu, DATA_VA, ptr, WINDOW_B);
	CHECK_EQ(raw_munmap(ptr, WINDOW_B), 0);
	check_unannounced(before, 1);
	CHECK_EQ(has_thread("vmbind-watch"), watched());
	gpu_close(&gpu);
}

static void test_B08_raw_unmap_and_map_again(void)
{
	void *ptr = filled(WINDOW_B, 1);
	struct gpu gpu;

	gpu_open(&gpu);
	bind_user(&gpu, DATA_VA, ptr, WINDOW_B);
	for (uint32_t value = 1; value < 5; value++) {
		uint64_t before = invalidations();

		CHECK_EQ(gpu_read(&gpu, DATA_VA), value);
		CHECK_EQ(raw_munmap(ptr, WINDOW_B), 0);
		check_unannounced(before, 1);
		CHECK_EQ(raw_mmap(ptr, WINDOW_B), ptr);
		fill(ptr, WINDOW_B, value + 1);
	}
	/* In one step. */
	for (uint32_t value = 5; value < 9; value++) {
		uint64_t before = invalidations();

		CHECK_EQ(gpu_read(&gpu, DATA_VA + PAGE), value);
		CHECK_EQ(raw_mmap(ptr, WINDOW_B), ptr);
		fill(ptr, WINDOW_B, value + 1);
		check_unannounced(before, 1);
	}
	CHECK_EQ(gpu_read(&gpu, DATA_VA + PAGE), 9);
	CHECK_EQ(munmap(ptr, WINDOW_B), 0);
	gpu_close(&gpu);
}

static void test_B08_raw_unmap_is_a_fault(void)
{
	void *ptr = filled(WINDOW_B, 1);
	uint64_t before;
	struct gpu gpu;

	gpu_open(&gpu);
	bind_user(&gpu, DATA_VA, ptr, WINDOW_B);
	CHECK_EQ(gpu_read(&gpu, DATA_VA), 1);
	before = invalidations();
	CHECK_EQ(raw_munmap((uint8_t *)ptr + WINDOW_B / 2, WINDOW_B / 2), 0);
	check_unannounced(before, 1);
	check_fault(&gpu, DATA_VA + WINDOW_B / 2);
	CHECK_EQ(munmap(ptr, WINDOW_B), 0);
	check_fault(&gpu, DATA_VA);
	gpu_close(&gpu);
}

static void test_B08_raw_calls_that_drop_and_move(void)
{
	void *ptr = filled(WINDOW_B, 1), *moved;
	struct gpu gpu;
	uint64_t before;

	gpu_open(&gpu);
	bind_user(&gpu, DATA_VA, ptr, WINDOW_B);
	CHECK_EQ(gpu_read(&gpu, DATA_VA), 1);
	before = invalidations();
	CHECK_EQ(syscall(SYS_madvise, ptr, PAGE, MADV_DONTNEED), 0);
	check_unannounced(before, 1);
	CHECK_EQ(gpu_read(&gpu, DATA_VA), 0);
	CHECK_EQ(gpu_read(&gpu, DATA_VA + PAGE), 1);

	before = invalidations();
	moved = (void *)syscall(SYS_mremap, ptr, WINDOW_B, 4 * WINDOW_B, MREMAP_MAYMOVE);
	CHECK(moved != MAP_FAILED);
	if (moved != ptr) {
		check_unannounced(before, 1);
		check_fault(&gpu, DATA_VA + PAGE);
	}
	CHECK_EQ(munmap(moved, 4 * WINDOW_B), 0);
	check_fault(&gpu, DATA_VA + PAGE);
	gpu_close(&gpu);
}

/* What libc gives back by itself. */
static void test_B08_free_and_realloc(void)
{
	uint8_t *block, *grown;
	uint64_t before;
	struct gpu gpu;

	mallopt(M_MMAP_THRESHOLD, 128 * (int)KIB);
	gpu_open(&gpu);
	for (int i = 0; i < 8; i++) {
		block = malloc(MIB);
		CHECK(block);
		fill(page_up(block), MIB - 2 * PAGE, 7);
		bind_user(&gpu, DATA_VA, page_up(block), MIB / 2);
		CHECK_EQ(gpu_read(&gpu, DATA_VA), 7);
		before = invalidations();
		free(block);
		check_unannounced(before, 1);
		check_fault(&gpu, DATA_VA);
		unbind(&gpu, DATA_VA, MIB / 2);
	}

	block = malloc(MIB);
	CHECK(block);
	fill(page_up(block), MIB - 2 * PAGE, 8);
	bind_user(&gpu, DATA_VA, page_up(block), MIB / 2);
	CHECK_EQ(gpu_read(&gpu, DATA_VA), 8);
	grown = realloc(block, 64 * MIB);
	CHECK(grown);
	CHECK_EQ(*(uint32_t *)page_up(grown), 8);
	bind_user(&gpu, DATA_VA, page_up(grown), MIB / 2);
	CHECK_EQ(gpu_read(&gpu, DATA_VA), 8);
	free(grown);
	gpu_close(&gpu);
}

static void *stack_of(void *arg)
{
	pthread_attr_t attr;
	size_t size_B;

	CHECK_EQ(pthread_getattr_np(pthread_self(), &attr), 0);
	CHECK_EQ(pthread_attr_getstack(&attr, arg, &size_B), 0);
	pthread_attr_destroy(&attr);
	return NULL;
}

struct stack_user {
	const struct gpu *gpu;
	void *stack;
};

static void *bind_stack(void *arg)
{
	struct stack_user *user = arg;

	stack_of(&user->stack);
	user->stack = page_up(user->stack);
	fill(user->stack, WINDOW_B, 3);
	bind_user(user->gpu, DATA_VA, user->stack, WINDOW_B);
	CHECK_EQ(gpu_read(user->gpu, DATA_VA), 3);
	return NULL;
}

static void test_B08_stack_of_a_thread(void)
{
	uint64_t before = invalidations();
	struct stack_user user;
	pthread_attr_t attr;
	pthread_t thread;
	struct gpu gpu;

	gpu_open(&gpu);
	user.gpu = &gpu;
	CHECK_EQ(pthread_attr_init(&attr), 0);
	/* More than libc keeps. */
	CHECK_EQ(pthread_attr_setstacksize(&attr, 64 * MIB), 0);
	CHECK_EQ(pthread_create(&thread, &attr, bind_stack, &user), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	pthread_attr_destroy(&attr);
	if (watched()) {
		int64_t deadline = client_now_ns() + PATIENCE_NS;

		while (invalidations() == before) {
			CHECK(client_now_ns() < deadline);
			sched_yield();
		}
	}
	check_fault(&gpu, DATA_VA);
	gpu_close(&gpu);
}

/* A child has windows of its own, and its own ways to lose them. */
static void test_B08_fork(void)
{
	void *ptr = filled(WINDOW_B, 1);
	uint64_t before;
	struct gpu gpu;
	int status = -1;
	pid_t pid;

	gpu_open(&gpu);
	bind_user(&gpu, DATA_VA, ptr, WINDOW_B);
	CHECK_EQ(gpu_read(&gpu, DATA_VA), 1);
	before = invalidations();
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK_EQ(gpu_read(&gpu, DATA_VA), 1);
		CHECK_EQ(raw_mmap(ptr, WINDOW_B), ptr);
		check_unannounced(before, 1);
		fill(ptr, WINDOW_B, 2);
		CHECK_EQ(gpu_read(&gpu, DATA_VA), 2);
		CHECK_EQ(raw_munmap(ptr, WINDOW_B), 0);
		check_unannounced(before, 2);
		check_fault(&gpu, DATA_VA);
		_exit(0);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	CHECK_EQ(gpu_read(&gpu, DATA_VA), 1);
	before = invalidations();
	CHECK_EQ(raw_munmap(ptr, WINDOW_B), 0);
	check_unannounced(before, 1);
	check_fault(&gpu, DATA_VA);
	gpu_close(&gpu);
}

static void test_B08_many_windows_and_overlapping_ones(void)
{
	enum { N = 64 };
	uint8_t *ptr = filled(2 * N * PAGE, 1);
	uint64_t before;
	struct gpu gpu;

	gpu_open(&gpu);
	for (unsigned i = 0; i < N; i++) {
		bind_user(&gpu, DATA_VA + i * PAGE, ptr + 2 * i * PAGE, PAGE);
	}
	bind_user(&gpu, DATA_VA + MIB, ptr, 2 * N * PAGE);
	bind_user(&gpu, DATA_VA + 2 * MIB, ptr + N * PAGE, N * PAGE);
	CHECK_EQ(gpu_read(&gpu, DATA_VA), 1);
	/* The large one goes: the small ones stay watched. */
	unbind(&gpu, DATA_VA + MIB, 2 * N * PAGE);
	before = invalidations();
	CHECK_EQ(raw_mmap(ptr, PAGE), ptr);
	check_unannounced(before, 1);
	CHECK_EQ(gpu_read(&gpu, DATA_VA), 0);
	/* Between the windows of the lower half nothing is bound. */
	before = invalidations();
	CHECK_EQ(raw_mmap(ptr + PAGE, PAGE), ptr + PAGE);
	CHECK_EQ(raw_munmap(ptr, 2 * N * PAGE), 0);
	check_unannounced(before, N + 1);
	for (unsigned i = 0; i < N; i += 9) {
		check_fault(&gpu, DATA_VA + i * PAGE);
	}
	gpu_close(&gpu);
}

/* A mapping that is watched in part is several; libc's callers see one. */
static void test_B08_mremap_of_a_mapping_bound_in_part(void)
{
	uint8_t *ptr = filled(2 * WINDOW_B, 1), *moved;
	uint64_t before;
	struct gpu gpu;

	gpu_open(&gpu);
	bind_user(&gpu, DATA_VA, ptr + 2 * PAGE, WINDOW_B);
	CHECK_EQ(gpu_read(&gpu, DATA_VA), 1);
	before = invalidations();
	moved = mremap(ptr, 2 * WINDOW_B, 8 * WINDOW_B, MREMAP_MAYMOVE);
	CHECK(moved != MAP_FAILED);
	CHECK_EQ(invalidations(), before + 1);
	CHECK_EQ(*(uint32_t *)(moved + WINDOW_B), 1);
	bind_user(&gpu, DATA_VA, moved + 2 * PAGE, WINDOW_B);
	CHECK_EQ(gpu_read(&gpu, DATA_VA), 1);
	CHECK_EQ(munmap(moved + 2 * WINDOW_B, 6 * WINDOW_B), 0);
	CHECK_EQ(mremap(moved, 2 * WINDOW_B, 3 * WINDOW_B, 0), moved);
	CHECK_EQ(gpu_read(&gpu, DATA_VA), 1);
	CHECK_EQ(munmap(moved, 3 * WINDOW_B), 0);
	check_fault(&gpu, DATA_VA);
	gpu_close(&gpu);
}

static void shrink(const struct gpu *gpu, int fd, int (*call)(int fd, off_t length_B))
{
	void *ptr = mmap(NULL, WINDOW_B, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	uint64_t before;

	CHECK(ptr != MAP_FAILED);
	fill(ptr, WINDOW_B, 5);
	bind_user(gpu, DATA_VA, ptr, WINDOW_B);
	CHECK_EQ(gpu_read(gpu, DATA_VA + PAGE), 5);
	before = invalidations();
	CHECK_EQ(call(fd, PAGE / 2), 0);
	CHECK_EQ(invalidations(), before + (call == ftruncate));
	check_fault(gpu, DATA_VA + PAGE);
	CHECK_EQ(call(fd, WINDOW_B), 0);
	bind_user(gpu, DATA_VA, ptr, WINDOW_B);
	CHECK_EQ(gpu_read(gpu, DATA_VA + PAGE), 0);
	CHECK_EQ(munmap(ptr, WINDOW_B), 0);
	check_fault(gpu, DATA_VA);
	unbind(gpu, DATA_VA, WINDOW_B);
}

static int raw_ftruncate(int fd, off_t length_B)
{
	return (int)syscall(SYS_ftruncate, fd, length_B);
}

static char file_name[] = "/tmp/vmbind-userptr-XXXXXX";

static int by_name(int fd, off_t length_B)
{
	(void)fd;
	return truncate(file_name, length_B);
}

static void test_B08_files_that_get_shorter(void)
{
	int memfd = (int)syscall(SYS_memfd_create, "userptr", 0), file = mkstemp(file_name);
	uint64_t before;
	struct gpu gpu;
	void *ptr;

	CHECK(memfd >= 0 && file >= 0);
	CHECK_EQ(ftruncate(memfd, WINDOW_B) | ftruncate(file, WINDOW_B), 0);
	gpu_open(&gpu);
	shrink(&gpu, memfd, ftruncate);
	shrink(&gpu, memfd, raw_ftruncate);
	shrink(&gpu, file, ftruncate);
	/* By name; what does not reach the window leaves it alone. */
	ptr = mmap(NULL, WINDOW_B, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	bind_user(&gpu, DATA_VA, ptr, WINDOW_B / 2);
	before = invalidations();
	CHECK_EQ(by_name(file, WINDOW_B / 2), 0);
	CHECK_EQ(invalidations(), before);
	CHECK_EQ(by_name(file, 0), 0);
	CHECK_EQ(invalidations(), before + 1);
	check_fault(&gpu, DATA_VA);
	munmap(ptr, WINDOW_B);
	gpu_close(&gpu);
	unlink(file_name);
	close(file);
	close(memfd);
}

/* Work that runs keeps nobody from unmapping below libc, one after the other. */
static void test_B08_unmapping_waits_for_no_work(void)
{
	const uint32_t batch[] = { 0x1b200002, 0, (uint32_t)BATCH_VA + 4 * SPIN_FLAG, 0,
				   0x18800101, (uint32_t)BATCH_VA, 0 };
	uint8_t *ptr = filled(2 * WINDOW_B, 1);
	uint64_t before;
	uint32_t done;
	struct gpu gpu;

	gpu_open(&gpu);
	bind_user(&gpu, DATA_VA, ptr, WINDOW_B);
	bind_user(&gpu, DATA_VA + MIB, ptr + WINDOW_B, WINDOW_B);
	memcpy(gpu.page, batch, sizeof(batch));
	gpu.page[SPIN_FLAG] = 1;
	before = invalidations();
	done = submit(&gpu);
	for (unsigned i = 0; i < 200; i++) {
		CHECK_EQ(raw_munmap(ptr + i % 2 * WINDOW_B, WINDOW_B), 0);
		CHECK_EQ(raw_mmap(ptr + i % 2 * WINDOW_B, WINDOW_B), ptr + i % 2 * WINDOW_B);
	}
	*(volatile uint32_t *)&gpu.page[SPIN_FLAG] = 0;
	CHECK_EQ(client_syncobj_wait(gpu.fd, done, INT64_MAX), 0);
	check_unannounced(before, 2);
	CHECK_EQ(gpu_read(&gpu, DATA_VA), 0);
	CHECK_EQ(munmap(ptr, 2 * WINDOW_B), 0);
	gpu_close(&gpu);
}

/* ---- all at once ----------------------------------------------------------------------------- */

#define ROUNDS 150

static void *churn(void *arg)
{
	uint64_t va = DATA_VA + (uintptr_t)arg * 16 * MIB;
	struct gpu gpu;

	gpu_open(&gpu);
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint8_t *block = malloc(256 * KIB + i % 7 * 64 * KIB);
		uint8_t *mapped = raw_mmap(NULL, WINDOW_B);

		CHECK(block && mapped != MAP_FAILED);
		fill(mapped, WINDOW_B, i);
		fill(page_up(block), 128 * KIB, i);
		bind_user(&gpu, va, page_up(block), 128 * KIB);
		bind_user(&gpu, va + MIB, mapped, WINDOW_B);
		CHECK_EQ(gpu_read(&gpu, va), i);
		if (i % 3 == 0) {
			raw_munmap(mapped, WINDOW_B);
		}
		free(block);
		unbind(&gpu, va, 2 * MIB);
		if (i % 3) {
			munmap(mapped, WINDOW_B);
		}
	}
	gpu_close(&gpu);
	return NULL;
}

static void test_B08_threads_and_forks(void)
{
	uint64_t faults = seen(EVENT_GPU_FAULT);
	pthread_t threads[4];

	mallopt(M_MMAP_THRESHOLD, 128 * (int)KIB);
	for (uintptr_t i = 0; i < 4; i++) {
		CHECK_EQ(pthread_create(&threads[i], NULL, churn, (void *)i), 0);
	}
	for (unsigned i = 0; i < 30; i++) {
		int status = -1;
		pid_t pid = fork();

		CHECK(pid >= 0);
		if (pid == 0) {
			free(malloc(MIB));
			_exit(0);
		}
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK_EQ(status, 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	}
	CHECK_EQ(seen(EVENT_GPU_FAULT), faults);
}

static const struct client_case cases[] = {
	CASE(test_B08_nobody_watches_before_the_first_window),
	CASE(test_B08_raw_unmap_and_map_again),
	CASE(test_B08_raw_unmap_is_a_fault),
	CASE(test_B08_raw_calls_that_drop_and_move),
	CASE(test_B08_free_and_realloc),
	CASE(test_B08_stack_of_a_thread),
	CASE(test_B08_fork),
	CASE(test_B08_many_windows_and_overlapping_ones),
	CASE(test_B08_mremap_of_a_mapping_bound_in_part),
	CASE(test_B08_files_that_get_shorter),
	CASE(test_B08_unmapping_waits_for_no_work),
	CASE(test_B08_threads_and_forks),
};

int main(void)
{
	bool denied = getenv("VMBIND_USERFAULTFD") != NULL;
	int fd = client_open(RENDER);

	counters_map();
	if (!watched() && !denied) {
		printf("1..0 # SKIP client memory is watched by %s\n", counters->watched_by);
		return 0;
	}
	CHECK_EQ(watched(), !denied);
	alarm(100);
	close(fd);
	return client_main(cases, sizeof(cases) / sizeof(cases[0]));
}
