// SPDX-License-Identifier: MIT
/* GEM_CREATE, GEM_MMAP_OFFSET and mmap; VM_CREATE, VM_DESTROY and properties. */
#include "client.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

static struct client c;

static int create(struct drm_xe_gem_create args)
{
	int ret = IOCTL(c.file, XE_GEM_CREATE, &args);

	if (ret == 0) {
		CHECK_OK(client_gem_close(c.file, args.handle));
	}
	return ret;
}

/* One good request, changed in one place per check. */
#define CREATE(...)                                                                                \
	create((struct drm_xe_gem_create){ .size = SZ_64K, .placement = 2, .cpu_caching = 2,       \
					   __VA_ARGS__ })

#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winitializer-overrides"
#endif

static void create_checks_every_field(void)
{
	client_init(&c, "bmg");
	CHECK_OK(CREATE(.flags = 0));
	CHECK_OK(CREATE(.flags = 15)); /* every known flag */
	CHECK_OK(CREATE(.placement = 3));
	CHECK_OK(CREATE(.placement = 1, .size = SZ_4K, .cpu_caching = 1));
	CHECK_ERR(CREATE(.extensions = UINT64_MAX), -EINVAL);
	CHECK_ERR(CREATE(.pad = { 1 }), -EINVAL);
	CHECK_ERR(CREATE(.pad = { 0, 1 }), -EINVAL);
	CHECK_ERR(CREATE(.pad = { 0, 0, 1 }), -EINVAL);
	CHECK_ERR(CREATE(.reserved = { 1 }), -EINVAL);
	CHECK_ERR(CREATE(.reserved = { 0, 1 }), -EINVAL);
	CHECK_ERR(CREATE(.placement = 0), -EINVAL);
	CHECK_ERR(CREATE(.placement = 4), -EINVAL);
	CHECK_ERR(CREATE(.placement = 7), -EINVAL);
	CHECK_ERR(CREATE(.flags = 16), -EINVAL);
	CHECK_ERR(CREATE(.handle = 1), -EINVAL);
	CHECK_ERR(CREATE(.size = 0), -EINVAL);
	CHECK_ERR(CREATE(.size = 2048), -EINVAL);
	CHECK_ERR(CREATE(.size = SZ_64K / 2), -EINVAL);
	CHECK_ERR(CREATE(.size = SZ_64K + SZ_4K), -EINVAL);
	CHECK_ERR(CREATE(.placement = 1, .flags = 4), -EINVAL); /* visible VRAM without VRAM */
	CHECK_ERR(CREATE(.cpu_caching = 0), -EINVAL);
	CHECK_ERR(CREATE(.cpu_caching = 3), -EINVAL);
	CHECK_ERR(CREATE(.cpu_caching = UINT16_MAX), -EINVAL);
	CHECK_ERR(CREATE(.cpu_caching = 1), -EINVAL); /* write-back in VRAM */
	CHECK_ERR(CREATE(.placement = 3, .cpu_caching = 1), -EINVAL);
	CHECK_ERR(CREATE(.placement = 1, .cpu_caching = 1, .flags = 2), -EINVAL); /* scanout */
	CHECK_ERR(CREATE(.vm_id = 99), -ENOENT);
	CHECK_ERR(CREATE(.size = UINT64_MAX << 32), -ENOSPC);
	CHECK_ERR(CREATE(.size = 257 << 20), -ENOSPC);
	client_fini(&c);
	client_init(&c, "lnl");
	CHECK_ERR(CREATE(.placement = 2), -EINVAL); /* no such memory */
	CHECK_ERR(CREATE(.placement = 1, .size = UINT64_MAX << 32), -ENOSPC);
	client_fini(&c);
}

static void visible_memory_can_be_too_small(void)
{
	struct uapi_config config = client_config("bmg");

	config.vram_visible_B = 16 << 20;
	client_init_as(&c, &config);
	CHECK_ERR(CREATE(.size = 17 << 20, .flags = 4), -ENOSPC);
	CHECK_OK(CREATE(.size = 17 << 20, .flags = 4, .placement = 3));
	CHECK_OK(CREATE(.size = 17 << 20));
	/* Deferred or not: it could never be there. */
	CHECK_ERR(CREATE(.size = 17 << 20, .flags = 4 | 1), -ENOSPC);
	CHECK_ERR(CREATE(.placement = 1, .flags = 4), -EINVAL);
	CHECK_OK(CREATE(.size = 16 << 20, .flags = 4));
	client_fini(&c);
}

/* Where a client would map it: in the arena, or beyond its end. */
static bool is_reached(uint32_t handle, uint64_t size)
{
	struct drm_xe_gem_mmap_offset args = { .handle = handle };
	struct stat st;
	uint64_t host_offset;
	int host_fd;

	CHECK_OK(IOCTL(c.file, XE_GEM_MMAP_OFFSET, &args));
	CHECK_OK(uapi_mmap(c.file, args.offset, size, &host_fd, &host_offset));
	CHECK_EQ(fstat(host_fd, &st), 0);
	CHECK_EQ(host_offset % (uint64_t)st.st_size, args.offset);
	return host_offset < (uint64_t)st.st_size;
}

static void the_cpu_reaches_what_says_so(void)
{
	struct uapi_config config = client_config("bmg");
	uint32_t bo[8];

	config.vram_visible_B = 16 << 20;
	client_init_as(&c, &config);
	CHECK_OK(client_gem_create(c.file, 0, SZ_2M, 2, 0, &bo[0]));
	CHECK_OK(client_gem_create(c.file, 0, SZ_2M, 2, 4, &bo[1]));
	CHECK_OK(client_gem_create(c.file, 0, SZ_2M, 3, 0, &bo[2]));
	CHECK_OK(client_gem_create(c.file, 0, SZ_2M, 1, 0, &bo[3]));
	CHECK_OK(client_gem_create(c.file, 0, SZ_2M, 2, 1, &bo[4]));
	CHECK_OK(client_gem_create(c.file, 0, SZ_2M, 2, 4 | 1, &bo[5]));
	CHECK_OK(client_gem_create(c.file, 0, 16 << 20, 3, 4, &bo[6])); /* system memory */
	CHECK_OK(client_gem_create(c.file, 0, 16 << 20, 2, 4, &bo[7])); /* spilled */
	for (unsigned i = 0; i < ARRAY_LEN(bo); i++) {
		CHECK_EQ(is_reached(bo[i], SZ_2M), i != 0 && i != 2 && i != 4);
		CHECK_OK(client_gem_close(c.file, bo[i]));
	}
	client_fini(&c);
}

static void test_A20_memory_runs_out_and_comes_back(void)
{
	static const unsigned room[] = { 256, 256 + 512 }; /* MiB: system, VRAM with its spill */
	uint32_t bo[64];

	for (uint32_t placement = 1; placement <= 2; placement++) {
		unsigned n = 0;
		int ret = 0;

		client_init(&c, "bmg");
		while (n < ARRAY_LEN(bo) && ret == 0) {
			ret = client_gem_create(c.file, 0, 32 << 20, placement, 0, &bo[n]);
			n += ret == 0;
		}
		CHECK_ERR(ret, -ENOMEM);
		/* Page tables are in system memory. */
		CHECK_EQ(n, room[placement - 1] / 32 - (placement == 1));
		/* Deferred, it is only a name. */
		CHECK_OK(client_gem_create(c.file, 0, 32 << 20, placement,
					   DRM_XE_GEM_CREATE_FLAG_DEFER_BACKING, &bo[n]));
		CHECK_OK(client_gem_close(c.file, bo[0]));
		CHECK_OK(client_gem_create(c.file, 0, 32 << 20, placement, 0, &bo[0]));
		client_fini(&c);
	}
}

/* ---- more objects than VRAM ------------------------------------------------------------------ */

#define OBJECT_B ((uint64_t)32 << 20)
#define FIT 8u /* so many are as large as VRAM */

/* Binds object @i at its place; it is made when it is not there yet. */
static int bind_nth(uint32_t vm, uint32_t *bo, unsigned i, uint32_t flags)
{
	struct drm_xe_vm_bind_op op;

	if (!bo[i]) {
		CHECK_OK(client_gem_create(c.file, i % 2 ? vm : 0, OBJECT_B, 2,
					   i % 3 ? DRM_XE_GEM_CREATE_FLAG_DEFER_BACKING : 0,
					   &bo[i]));
	}
	op = client_op(DRM_XE_VM_BIND_OP_MAP, bo[i], 0, (i + 1) * OBJECT_B, OBJECT_B);
	op.flags = flags;
	return client_bind(c.file, vm, 0, &op, 1, NULL, 0);
}

static int unbind_nth(uint32_t vm, unsigned i)
{
	struct drm_xe_vm_bind_op op =
		client_op(DRM_XE_VM_BIND_OP_UNMAP, 0, 0, (i + 1) * OBJECT_B, OBJECT_B);

	return client_bind(c.file, vm, 0, &op, 1, NULL, 0);
}

/* A long-running space must fit when it is bound; unbinding makes room. */
static void test_A20_long_running_binds_must_fit(void)
{
	uint32_t bo[FIT + 2] = { 0 }, vm, other;
	struct drm_xe_vm_bind_op op;

	client_init(&c, "bmg");
	vm = client_vm(&c, DRM_XE_VM_CREATE_FLAG_LR_MODE);
	for (unsigned i = 0; i < FIT; i++) {
		CHECK_OK(bind_nth(vm, bo, i, 0));
	}
	CHECK_ERR(bind_nth(vm, bo, FIT, 0), -ENOMEM);
	/* Once more somewhere else, it is the same object. */
	op = client_op(DRM_XE_VM_BIND_OP_MAP, bo[0], 0, SZ_1G, OBJECT_B);
	CHECK_OK(client_bind(c.file, vm, 0, &op, 1, NULL, 0));
	/* Another address space has a VRAM of its own to fit into. */
	other = client_vm(&c, DRM_XE_VM_CREATE_FLAG_LR_MODE);
	CHECK_OK(bind_nth(other, bo, FIT, 0));
	CHECK_OK(unbind_nth(vm, 0));
	CHECK_ERR(bind_nth(vm, bo, FIT, 0), -ENOMEM); /* its other mapping is still there */
	CHECK_OK(unbind_nth(vm, 1));
	CHECK_OK(bind_nth(vm, bo, FIT, 0));
	CHECK_ERR(bind_nth(vm, bo, 1, 0), -ENOMEM);
	client_fini(&c);
}

static int exec_nothing(uint32_t queue, uint32_t vm)
{
	uint32_t bo, done = client_syncobj(c.file, false);
	struct drm_xe_sync sync = client_signal(done);
	int ret;

	CHECK_OK(client_gem_create(c.file, vm, SZ_64K, 1, 0, &bo));
	CHECK_OK(client_map(&c, vm, bo, 0, SZ_2M, SZ_64K));
	*(uint32_t *)client_cpu(&c, c.file, bo, SZ_64K) = 0x05000000; /* MI_BATCH_BUFFER_END */
	ret = client_exec(c.file, queue, SZ_2M, &sync, 1);
	if (ret == 0) {
		CHECK_OK(client_syncobj_wait(c.file, done, INT64_MAX));
	}
	CHECK_OK(client_syncobj_destroy(c.file, done));
	CHECK_OK(client_unmap(&c, vm, SZ_2M, SZ_64K));
	CHECK_OK(client_gem_close(c.file, bo));
	return ret;
}

/* Others must fit when they run. */
static void test_A20_submissions_must_fit(void)
{
	uint32_t bo[FIT + 1] = { 0 }, vm, queue;

	client_init(&c, "bmg");
	vm = client_vm(&c, 0);
	queue = client_queue(&c, vm, DRM_XE_ENGINE_CLASS_COPY);
	for (unsigned i = 0; i < FIT; i++) {
		CHECK_OK(bind_nth(vm, bo, i, 0));
	}
	CHECK_OK(exec_nothing(queue, vm));
	CHECK_OK(bind_nth(vm, bo, FIT, 0));
	CHECK_ERR(exec_nothing(queue, vm), -ENOMEM);
	CHECK_OK(unbind_nth(vm, 3));
	CHECK_OK(exec_nothing(queue, vm));
	client_fini(&c);
}

/* With faults nothing has to fit, unless the space asked for it and the bind is immediate. */
static void test_A20_spaces_with_faults_overcommit(void)
{
	uint32_t flags = DRM_XE_VM_CREATE_FLAG_LR_MODE | DRM_XE_VM_CREATE_FLAG_FAULT_MODE;
	uint32_t bo[FIT + 2], vm;

	for (unsigned strict = 0; strict < 2; strict++) {
		memset(bo, 0, sizeof(bo));
		client_init(&c, "bmg");
		vm = client_vm(&c, flags | (strict ? DRM_XE_VM_CREATE_FLAG_NO_VM_OVERCOMMIT : 0));
		for (unsigned i = 0; i < FIT; i++) {
			CHECK_OK(bind_nth(vm, bo, i, DRM_XE_VM_BIND_FLAG_IMMEDIATE));
		}
		CHECK_ERR(bind_nth(vm, bo, FIT, DRM_XE_VM_BIND_FLAG_IMMEDIATE),
			  strict ? -ENOMEM : 0);
		CHECK_OK(bind_nth(vm, bo, FIT, 0));
		CHECK_OK(unbind_nth(vm, 0));
		CHECK_OK(bind_nth(vm, bo, FIT, DRM_XE_VM_BIND_FLAG_IMMEDIATE));
		client_fini(&c);
	}
}

static uint64_t resident_pages(const uint8_t *start, uint64_t size_B)
{
	static uint8_t page[SZ_1G / SZ_4K];
	uint64_t count = 0;

	for (uint64_t off = 0; off < size_B; off += SZ_1G) {
		uint64_t part_B = min_u64(size_B - off, SZ_1G);

		CHECK_OK(mincore((void *)(uintptr_t)(start + off), part_B, page));
		for (uint64_t i = 0; i < part_B / SZ_4K; i++) {
			count += page[i] & 1;
		}
	}
	return count;
}

/* As large as 16 GiB where the host could hold that. */
static void an_untouched_object_costs_no_memory(void)
{
	uint64_t size_B = align_down(min_u64(16 * SZ_1G, port_host_memory_B() / 2), SZ_2M);
	struct uapi_config config = client_config("bmg");
	uint32_t bo, vm, spilled;
	uint8_t *cpu;

	config.vram_B = size_B;
	client_init_as(&c, &config);
	vm = client_vm(&c, 0);
	bo = client_bo(&c, vm, size_B);
	CHECK_OK(client_gem_create(c.file, vm, size_B, 2, 0, &spilled));
	cpu = client_cpu(&c, c.file, bo, size_B);
	CHECK_OK(client_map(&c, vm, bo, 0, SZ_1G, size_B));
	CHECK_OK(client_map(&c, vm, spilled, 0, 64 * SZ_1G, size_B));
	CHECK_EQ(resident_pages(cpu, size_B), 0);
	cpu[size_B / 2] = 1;
	CHECK_EQ(resident_pages(cpu, size_B), 1);
	CHECK_OK(client_unmap(&c, vm, SZ_1G, size_B));
	CHECK_OK(client_unmap(&c, vm, 64 * SZ_1G, size_B));
	CHECK_EQ(resident_pages(cpu, size_B), 1);
	CHECK_EQ(resident_pages(client_cpu(&c, c.file, spilled, size_B), size_B), 0);
	CHECK_OK(client_gem_close(c.file, spilled));
	CHECK_OK(client_gem_close(c.file, bo));
	CHECK_EQ(resident_pages(cpu, size_B), 0); /* the window is still mapped here */
	client_fini(&c);
}

static void mmap_offset_checks(void)
{
	struct drm_xe_gem_mmap_offset args;
	uint32_t bo;

	client_init(&c, "bmg");
	bo = client_bo(&c, 0, SZ_64K);
	args = (struct drm_xe_gem_mmap_offset){ .handle = bo, .extensions = 1 };
	CHECK_ERR(IOCTL(c.file, XE_GEM_MMAP_OFFSET, &args), -EINVAL);
	args = (struct drm_xe_gem_mmap_offset){ .handle = bo, .reserved = { 0, 1 } };
	CHECK_ERR(IOCTL(c.file, XE_GEM_MMAP_OFFSET, &args), -EINVAL);
	args = (struct drm_xe_gem_mmap_offset){ .handle = bo, .flags = UINT32_MAX };
	CHECK_ERR(IOCTL(c.file, XE_GEM_MMAP_OFFSET, &args), -EINVAL);
	args = (struct drm_xe_gem_mmap_offset){ .flags = DRM_XE_MMAP_OFFSET_FLAG_PCI_BARRIER };
	CHECK_ERR(IOCTL(c.file, XE_GEM_MMAP_OFFSET, &args), -EINVAL);
	args = (struct drm_xe_gem_mmap_offset){ .handle = 0xdeadbeef };
	CHECK_ERR(IOCTL(c.file, XE_GEM_MMAP_OFFSET, &args), -ENOENT);
	client_fini(&c);
}

static void only_a_file_with_a_handle_maps(void)
{
	struct drm_xe_gem_mmap_offset args = { 0 };
	struct uapi_file *other;
	uint64_t host_offset;
	int host_fd;

	client_init(&c, "bmg");
	other = client_open(&c, true);
	args.handle = client_bo(&c, 0, SZ_2M);
	CHECK_OK(IOCTL(c.file, XE_GEM_MMAP_OFFSET, &args));
	CHECK_OK(uapi_mmap(c.file, args.offset, SZ_2M, &host_fd, &host_offset));
	CHECK_OK(uapi_mmap(c.file, args.offset, SZ_4K, &host_fd, &host_offset));
	CHECK_ERR(uapi_mmap(other, args.offset, SZ_4K, &host_fd, &host_offset), -EACCES);
	CHECK_ERR(uapi_mmap(c.file, args.offset, SZ_2M + SZ_4K, &host_fd, &host_offset), -EINVAL);
	CHECK_ERR(uapi_mmap(c.file, args.offset, UINT64_MAX, &host_fd, &host_offset), -EINVAL);
	CHECK_ERR(uapi_mmap(c.file, args.offset, 0, &host_fd, &host_offset), -EINVAL);
	CHECK_ERR(uapi_mmap(c.file, args.offset + SZ_4K, SZ_4K, &host_fd, &host_offset), -EINVAL);
	CHECK_OK(client_gem_close(c.file, args.handle));
	CHECK_ERR(uapi_mmap(c.file, args.offset, SZ_4K, &host_fd, &host_offset), -EINVAL);
	uapi_close(other);
	client_fini(&c);
}

static void new_objects_read_as_zero(void)
{
	uint32_t bo;
	uint64_t *p;

	client_init(&c, "lnl");
	for (unsigned i = 0; i < 3; i++) {
		bo = client_bo(&c, 0, SZ_64K);
		p = client_cpu(&c, c.file, bo, SZ_64K);
		CHECK_EQ(p[0] | p[SZ_64K / 8 - 1], 0);
		p[0] = p[SZ_64K / 8 - 1] = UINT64_MAX;
		CHECK_OK(client_gem_close(c.file, bo));
	}
	client_fini(&c);
}

/* ---- address spaces -------------------------------------------------------------------------- */

static int vm_create_flags(uint32_t flags)
{
	struct drm_xe_vm_create args = { .flags = flags };
	int ret = IOCTL(c.file, XE_VM_CREATE, &args);

	return ret ? ret : client_vm_destroy(&c, args.vm_id);
}

static void vm_create_checks(void)
{
	struct drm_xe_vm_create args = { .extensions = 1 };

	client_init(&c, "bmg");
	CHECK_ERR(IOCTL(c.file, XE_VM_CREATE, &args), -EINVAL);
	args = (struct drm_xe_vm_create){ .reserved = { 1 } };
	CHECK_ERR(IOCTL(c.file, XE_VM_CREATE, &args), -EINVAL);
	args = (struct drm_xe_vm_create){ .reserved = { 0, 1 } };
	CHECK_ERR(IOCTL(c.file, XE_VM_CREATE, &args), -EINVAL);
	CHECK_OK(vm_create_flags(0));
	CHECK_OK(vm_create_flags(1));
	CHECK_OK(vm_create_flags(2));
	CHECK_OK(vm_create_flags(3));
	CHECK_OK(vm_create_flags(2 | 4));
	CHECK_OK(vm_create_flags(1 | 2 | 4));
	CHECK_OK(vm_create_flags(2 | 4 | 8));
	CHECK_ERR(vm_create_flags(4), -EINVAL);     /* fault mode is long-running */
	CHECK_ERR(vm_create_flags(1 | 4), -EINVAL);
	CHECK_ERR(vm_create_flags(8), -EINVAL);     /* overcommit is about faults */
	CHECK_ERR(vm_create_flags(2 | 8), -EINVAL);
	CHECK_ERR(vm_create_flags(16), -EINVAL);
	CHECK_ERR(vm_create_flags(~7u), -EINVAL);
	client_fini(&c);
}

static void vm_destroy_checks(void)
{
	struct drm_xe_vm_destroy args = { 0 };
	struct uapi_file *other;
	uint32_t vm;

	client_init(&c, "bmg");
	other = client_open(&c, true);
	vm = client_vm(&c, 0);
	args = (struct drm_xe_vm_destroy){ .vm_id = vm, .pad = 1 };
	CHECK_ERR(IOCTL(c.file, XE_VM_DESTROY, &args), -EINVAL);
	args = (struct drm_xe_vm_destroy){ .vm_id = vm, .reserved = { 1 } };
	CHECK_ERR(IOCTL(c.file, XE_VM_DESTROY, &args), -EINVAL);
	args = (struct drm_xe_vm_destroy){ .vm_id = vm, .reserved = { 0, 1 } };
	CHECK_ERR(IOCTL(c.file, XE_VM_DESTROY, &args), -EINVAL);
	args = (struct drm_xe_vm_destroy){ .vm_id = vm };
	CHECK_ERR(IOCTL(other, XE_VM_DESTROY, &args), -ENOENT);
	CHECK_ERR(client_vm_destroy(&c, 0xdeadbeef), -ENOENT);
	CHECK_OK(client_vm_destroy(&c, vm));
	CHECK_ERR(client_vm_destroy(&c, vm), -ENOENT);
	uapi_close(other);
	client_fini(&c);
}

static int property(struct drm_xe_vm_get_property args)
{
	return IOCTL(c.file, XE_VM_GET_PROPERTY, &args);
}

#define PROPERTY(...) property((struct drm_xe_vm_get_property){ __VA_ARGS__ })

static void vm_properties(void)
{
	struct drm_xe_vm_get_property args = { .value = 1 };
	uint32_t vm;

	client_init(&c, "bmg");
	vm = client_vm(&c, 0);
	CHECK_ERR(PROPERTY(.vm_id = 99, .reserved = { 1 }), -EINVAL);
	CHECK_ERR(PROPERTY(.vm_id = 99, .reserved = { 0, 0, 1 }), -EINVAL);
	CHECK_ERR(PROPERTY(.vm_id = 99, .extensions = 1), -EINVAL);
	CHECK_ERR(PROPERTY(.vm_id = 99, .pad = 1), -EINVAL);
	CHECK_ERR(PROPERTY(.vm_id = 99), -ENOENT);
	CHECK_ERR(PROPERTY(.vm_id = vm, .size = UINT32_MAX), -EINVAL);
	CHECK_ERR(PROPERTY(.vm_id = vm, .size = 47), -EINVAL);
	CHECK_ERR(PROPERTY(.vm_id = vm, .property = 0xdeadbeef), -EINVAL);
	args.vm_id = vm;
	CHECK_OK(IOCTL(c.file, XE_VM_GET_PROPERTY, &args));
	CHECK_EQ(args.size, 0); /* no faults */
	client_fini(&c);
}

static const struct test_case cases[] = {
	TEST(create_checks_every_field),
	TEST(visible_memory_can_be_too_small),
	TEST(the_cpu_reaches_what_says_so),
	TEST(test_A20_memory_runs_out_and_comes_back),
	TEST(test_A20_long_running_binds_must_fit),
	TEST(test_A20_submissions_must_fit),
	TEST(test_A20_spaces_with_faults_overcommit),
	TEST(an_untouched_object_costs_no_memory),
	TEST(mmap_offset_checks),
	TEST(only_a_file_with_a_handle_maps),
	TEST(new_objects_read_as_zero),
	TEST(vm_create_checks),
	TEST(vm_destroy_checks),
	TEST(vm_properties),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
