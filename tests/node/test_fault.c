// SPDX-License-Identifier: MIT
/* One case per run: the name says which, `vmbind run --fault` what is to fail in it. */
#include "client.h"

#include <sys/mman.h>

#define ADDR (1u << 30)
#define BO_B (64 * KIB)
#define SYSTEM 1
#define VRAM 2

static int fd;

static int make_vm(uint32_t *vm_out)
{
	struct drm_xe_vm_create vm = { 0 };
	int ret = ioctl(fd, DRM_IOCTL_XE_VM_CREATE, &vm);

	*vm_out = vm.vm_id;
	return ret;
}

static int create_in(uint32_t placement, uint32_t *handle_out)
{
	struct drm_xe_gem_create create = { .size = BO_B, .placement = placement,
					    .cpu_caching = DRM_XE_GEM_CPU_CACHING_WC };
	int ret = ioctl(fd, DRM_IOCTL_XE_GEM_CREATE, &create);

	*handle_out = create.handle;
	return ret;
}

/* A pair of mappings, of @bo or of nothing. */
static int bind_two(uint32_t vm, uint32_t bo, uint32_t op)
{
	struct drm_xe_vm_bind_op ops[] = {
		{ .obj = bo, .pat_index = 2, .range = BO_B, .addr = ADDR, .op = op },
		{ .obj = bo, .pat_index = 2, .range = BO_B, .addr = 2ull * ADDR, .op = op },
	};
	struct drm_xe_vm_bind args = { .vm_id = vm, .num_binds = 2,
				       .vector_of_binds = (uintptr_t)ops };

	return ioctl(fd, DRM_IOCTL_XE_VM_BIND, &args);
}

/* 0 when a batch at ADDR can be run, or errno of what became of it. */
static int run_batch(uint32_t vm)
{
	struct drm_xe_engine_class_instance engine = { .engine_class = DRM_XE_ENGINE_CLASS_COPY };
	struct drm_xe_exec_queue_create queue = { .width = 1, .num_placements = 1, .vm_id = vm,
						  .instances = (uintptr_t)&engine };
	struct drm_xe_sync sync = { .type = DRM_XE_SYNC_TYPE_SYNCOBJ,
				    .flags = DRM_XE_SYNC_FLAG_SIGNAL,
				    .handle = client_syncobj(fd) };
	struct drm_xe_exec exec = { .num_batch_buffer = 1, .address = ADDR, .num_syncs = 1,
				    .syncs = (uintptr_t)&sync };
	struct drm_xe_exec_queue_get_property banned = {
		.property = DRM_XE_EXEC_QUEUE_GET_PROPERTY_BAN,
	};

	CHECK_EQ(ioctl(fd, DRM_IOCTL_XE_EXEC_QUEUE_CREATE, &queue), 0);
	exec.exec_queue_id = banned.exec_queue_id = queue.exec_queue_id;
	if (ioctl(fd, DRM_IOCTL_XE_EXEC, &exec)) {
		return errno;
	}
	CHECK_EQ(client_syncobj_wait(fd, sync.handle, INT64_MAX), 0);
	CHECK_EQ(ioctl(fd, DRM_IOCTL_XE_EXEC_QUEUE_GET_PROPERTY, &banned), 0);
	return banned.value ? EFAULT : 0;
}

static uint32_t make_batch(uint32_t placement)
{
	uint32_t bo, *words;

	CHECK_EQ(create_in(placement, &bo), 0);
	words = mmap(NULL, BO_B, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		     (off_t)client_mmap_offset(fd, bo));

	CHECK(words != MAP_FAILED);
	words[0] = 0x05000000; /* the end of a batch */
	CHECK_EQ(munmap(words, BO_B), 0);
	return bo;
}

/* alloc=1/VM_CREATE: this call, and not the next. */
static void an_allocation_fails(void)
{
	uint32_t vm;

	CHECK_ERRNO(make_vm(&vm), ENOMEM);
	CHECK_EQ(make_vm(&vm), 0);
	CHECK_EQ(bind_two(vm, make_batch(SYSTEM), DRM_XE_VM_BIND_OP_MAP), 0);
}

/* bind=2:EDEADLK,bind=4:ENOSPC: all of a list or nothing, maps and unmaps. */
static void a_bind_fails_and_changes_nothing(void)
{
	uint32_t vm, other, bo = make_batch(SYSTEM);

	CHECK_EQ(make_vm(&other), 0);
	CHECK_EQ(make_vm(&vm), 0);
	CHECK_EQ(bind_two(other, bo, DRM_XE_VM_BIND_OP_MAP), 0);
	CHECK_ERRNO(bind_two(vm, bo, DRM_XE_VM_BIND_OP_MAP), EDEADLK);
	CHECK_EQ(run_batch(other), 0);
	CHECK_EQ(run_batch(vm), EFAULT);
	CHECK_EQ(make_vm(&vm), 0);
	CHECK_EQ(bind_two(vm, bo, DRM_XE_VM_BIND_OP_MAP), 0);
	CHECK_ERRNO(bind_two(vm, 0, DRM_XE_VM_BIND_OP_UNMAP), ENOSPC);
	CHECK_EQ(run_batch(vm), 0);
	CHECK_EQ(bind_two(vm, 0, DRM_XE_VM_BIND_OP_UNMAP), 0);
	CHECK_EQ(run_batch(vm), EFAULT);
}

/* ioctl:GEM_CREATE=2:EPERM */
static void an_ioctl_fails(void)
{
	uint32_t bo;

	CHECK_EQ(create_in(SYSTEM, &bo), 0);
	CHECK_ERRNO(create_in(SYSTEM, &bo), EPERM);
	CHECK_EQ(bo, 0);
	CHECK_EQ(create_in(SYSTEM, &bo), 0);
}

/* wait=every3/SYNCOBJ_WAIT: two waits out of three sleep till their time is up. */
static void every_third_wait_is_interrupted(void)
{
	uint32_t syncobj = client_syncobj(fd);

	for (int i = 1; i <= 9; i++) {
		CHECK_EQ(client_syncobj_wait(fd, syncobj, client_now_ns() + 1000000),
			 i % 3 ? -ETIME : -EINTR);
	}
}

/* vram=2: what may be elsewhere goes there, the rest is refused, what is there stays. */
static void vram_ends(void)
{
	uint32_t vm, bo;

	CHECK_EQ(make_vm(&vm), 0);
	CHECK_EQ(bind_two(vm, make_batch(VRAM), DRM_XE_VM_BIND_OP_MAP), 0);
	CHECK_ERRNO(create_in(VRAM, &bo), ENOMEM);
	CHECK_ERRNO(create_in(VRAM, &bo), ENOMEM);
	CHECK_EQ(run_batch(vm), 0);
	CHECK_EQ(bind_two(vm, make_batch(SYSTEM | VRAM), DRM_XE_VM_BIND_OP_MAP), 0);
	CHECK_EQ(run_batch(vm), 0);
}

int main(int argc, char **argv)
{
	static const struct client_case cases[] = {
		CASE(an_allocation_fails),
		CASE(a_bind_fails_and_changes_nothing),
		CASE(an_ioctl_fails),
		CASE(every_third_wait_is_interrupted),
		CASE(vram_ends),
	};

	for (size_t i = 0; argc == 2 && i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (strcmp(cases[i].name, argv[1]) == 0) {
			fd = client_open(RENDER);
			return client_main(&cases[i], 1);
		}
	}
	return 2;
}
