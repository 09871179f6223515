// SPDX-License-Identifier: MIT
/*
 * first-light: the smallest program that uses VM_BIND, against a Xe device file.
 *
 * It opens a render node, makes an address space and two buffers, binds them asynchronously, lets
 * the GPU store a few values, unbinds one page of the target and shows that the rest is still
 * there. It knows nothing of vmbind and would do the same on a Battlemage card.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#include "uapi/vmb_drm.h"
#include "uapi/xe_drm.h"

#define BATCH_ADDR 0x100000ull
#define TARGET_ADDR 0x40000000ull
#define SIZE 0x10000ull
#define STORES 4

static int fd;

static void call(unsigned long cmd, void *arg, const char *what)
{
	int ret;

	do {
		ret = ioctl(fd, cmd, arg);
	} while (ret && (errno == EINTR || errno == EAGAIN));
	if (ret) {
		fprintf(stderr, "first-light: %s: %s\n", what, strerror(errno));
		exit(1);
	}
}

static uint32_t new_syncobj(void)
{
	struct drm_syncobj_create create = { 0 };

	call(DRM_IOCTL_SYNCOBJ_CREATE, &create, "SYNCOBJ_CREATE");
	return create.handle;
}

/* Waits until the syncobj's fence has signalled, five seconds at most. */
static void wait_syncobj(uint32_t handle)
{
	struct timespec now;
	struct drm_syncobj_wait wait = {
		.handles = (uintptr_t)&handle,
		.count_handles = 1,
	};

	clock_gettime(CLOCK_MONOTONIC, &now);
	wait.timeout_nsec = (now.tv_sec + 5) * 1000000000ll + now.tv_nsec;
	call(DRM_IOCTL_SYNCOBJ_WAIT, &wait, "SYNCOBJ_WAIT");
}

static uint32_t new_buffer(uint32_t vm)
{
	struct drm_xe_gem_create create = {
		.size = SIZE,
		.placement = 1, /* system memory */
		.vm_id = vm,
		.cpu_caching = DRM_XE_GEM_CPU_CACHING_WB,
	};

	call(DRM_IOCTL_XE_GEM_CREATE, &create, "GEM_CREATE");
	return create.handle;
}

static uint32_t *map_buffer(uint32_t handle)
{
	struct drm_xe_gem_mmap_offset offset = { .handle = handle };
	void *ptr;

	call(DRM_IOCTL_XE_GEM_MMAP_OFFSET, &offset, "GEM_MMAP_OFFSET");
	ptr = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset.offset);
	if (ptr == MAP_FAILED) {
		perror("first-light: mmap");
		exit(1);
	}
	return ptr;
}

/* One operation; @signal (0: none) signals when it is done. */
static void bind(uint32_t vm, struct drm_xe_vm_bind_op op, uint32_t signal)
{
	struct drm_xe_sync sync = {
		.type = DRM_XE_SYNC_TYPE_SYNCOBJ,
		.flags = DRM_XE_SYNC_FLAG_SIGNAL,
		.handle = signal,
	};
	struct drm_xe_vm_bind bind = {
		.vm_id = vm,
		.num_binds = 1,
		.bind = op,
		.num_syncs = signal ? 1 : 0,
		.syncs = (uintptr_t)&sync,
	};

	call(DRM_IOCTL_XE_VM_BIND, &bind, "VM_BIND");
}

static struct drm_xe_vm_bind_op map_op(uint32_t handle, uint64_t addr)
{
	return (struct drm_xe_vm_bind_op){
		.obj = handle,
		.pat_index = 2, /* write-back, coherent */
		.range = SIZE,
		.addr = addr,
		.op = DRM_XE_VM_BIND_OP_MAP,
	};
}

static uint32_t new_queue(uint32_t vm)
{
	struct drm_xe_engine_class_instance copy = { .engine_class = DRM_XE_ENGINE_CLASS_COPY };
	struct drm_xe_exec_queue_create create = {
		.width = 1,
		.num_placements = 1,
		.vm_id = vm,
		.instances = (uintptr_t)&copy,
	};

	call(DRM_IOCTL_XE_EXEC_QUEUE_CREATE, &create, "EXEC_QUEUE_CREATE");
	return create.exec_queue_id;
}

static void write_batch(uint32_t *cs)
{
	for (uint32_t i = 0; i < STORES; i++) {
		uint64_t addr = TARGET_ADDR + i * 0x1000;

		*cs++ = 0x20u << 23 | 2; /* MI_STORE_DATA_IMM */
		*cs++ = (uint32_t)addr;
		*cs++ = (uint32_t)(addr >> 32);
		*cs++ = 0xf1257000u + i;
	}
	*cs = 0x0au << 23; /* MI_BATCH_BUFFER_END */
}

/* Runs the batch after @wait and blocks until it is through. */
static void run(uint32_t queue, uint32_t wait)
{
	uint32_t done = new_syncobj();
	struct drm_xe_sync sync[2] = {
		{ .type = DRM_XE_SYNC_TYPE_SYNCOBJ, .handle = wait },
		{ .type = DRM_XE_SYNC_TYPE_SYNCOBJ, .flags = DRM_XE_SYNC_FLAG_SIGNAL,
		  .handle = done },
	};
	struct drm_xe_exec exec = {
		.exec_queue_id = queue,
		.num_syncs = 2,
		.syncs = (uintptr_t)sync,
		.address = BATCH_ADDR,
		.num_batch_buffer = 1,
	};

	call(DRM_IOCTL_XE_EXEC, &exec, "EXEC");
	wait_syncobj(done);
}

static void expect(const uint32_t *target, unsigned page, uint32_t value)
{
	if (target[page * 1024] != value) {
		fprintf(stderr, "first-light: page %u holds 0x%08x instead of 0x%08x\n", page,
			target[page * 1024], value);
		exit(1);
	}
}

int main(void)
{
	struct drm_xe_vm_create vm = { .flags = DRM_XE_VM_CREATE_FLAG_SCRATCH_PAGE };
	uint32_t batch, target, queue, bound, *cs, *words;

	fd = open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		perror("first-light: /dev/dri/renderD128 (try: vmbind run -- first-light)");
		return 1;
	}
	call(DRM_IOCTL_XE_VM_CREATE, &vm, "VM_CREATE");
	batch = new_buffer(vm.vm_id);
	target = new_buffer(vm.vm_id);
	cs = map_buffer(batch);
	words = map_buffer(target);
	queue = new_queue(vm.vm_id);
	bound = new_syncobj();
	write_batch(cs);

	bind(vm.vm_id, map_op(batch, BATCH_ADDR), 0);
	bind(vm.vm_id, map_op(target, TARGET_ADDR), bound);
	run(queue, bound);
	for (unsigned i = 0; i < STORES; i++) {
		expect(words, i, 0xf1257000u + i);
	}
	printf("bound two buffers, %u stores by the GPU arrived\n", STORES);

	/* Page 1 goes; the store to it meets the scratch page, the others arrive. */
	memset(words, 0, SIZE);
	bind(vm.vm_id,
	     (struct drm_xe_vm_bind_op){ .range = 0x1000, .addr = TARGET_ADDR + 0x1000,
					 .op = DRM_XE_VM_BIND_OP_UNMAP, .pat_index = 2 },
	     bound);
	run(queue, bound);
	expect(words, 0, 0xf1257000u);
	expect(words, 1, 0);
	expect(words, 2, 0xf1257002u);
	printf("unbound one page: its store went nowhere, its neighbours' arrived\n");
	return 0;
}
