// SPDX-License-Identifier: MIT
/*
 * What EXECBUFFER3 costs among objects that are private to its address space: a burst of
 * submissions behind one that waits (B14).
 *
 *	bench-i915 --count OBJECTS
 *
 * COUNT_N of the calls are made by counted_ioctl(), for a tool that counts instructions there.
 */
#include "base/bits.h"
#include "uapi/i915_drm.h"
#include "uapi/uapi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT_N 900u /* in flight at once: a queue takes 1000 */
#define BATCH   UINT64_C(0x100000)
#define STORE   1024u /* in the batch's object: the batch of the burst, what it stores, the gate */
#define TARGET  2048u
#define GATE    4096u
#define OBJECTS UINT64_C(0x10000000)

static struct uapi_device *device;
static struct uapi_file *file;
static uint32_t vm, ctx;
static volatile uint32_t *words;

__attribute__((noinline, noclone)) int counted_ioctl(uint32_t cmd, void *arg);
int counted_ioctl(uint32_t cmd, void *arg)
{
	return uapi_ioctl(file, cmd, (uintptr_t)arg);
}

static void need(int ret, const char *what)
{
	if (ret) {
		fprintf(stderr, "bench-i915: %s: %d\n", what, ret);
		exit(1);
	}
}

#define ASK(name, arg) need(uapi_ioctl(file, DRM_IOCTL_I915_##name, (uintptr_t)(arg)), #name)

static uint32_t object(uint64_t addr, uint64_t size_B)
{
	struct drm_i915_gem_create_ext_vm_private private = {
		.base.name = I915_GEM_CREATE_EXT_VM_PRIVATE, .vm_id = vm,
	};
	struct drm_i915_gem_create_ext args = {
		.size = size_B, .extensions = (uintptr_t)&private,
	};
	struct drm_i915_gem_vm_bind bind = { .vm_id = vm, .start = addr, .length = size_B };

	ASK(GEM_CREATE_EXT, &args);
	bind.handle = args.handle;
	ASK(GEM_VM_BIND, &bind);
	return args.handle;
}

static void make_context(void)
{
	struct {
		struct i915_context_param_engines head;
		struct i915_engine_class_instance engine[2];
	} map = { .engine = { { I915_ENGINE_CLASS_RENDER, 0 }, { I915_ENGINE_CLASS_COPY, 0 } } };
	struct drm_i915_gem_context_create_ext_setparam ext[2] = {
		{ .param = { .param = I915_CONTEXT_PARAM_VM, .value = vm } },
		{ .param = { .param = I915_CONTEXT_PARAM_ENGINES, .size = sizeof(map),
			     .value = (uintptr_t)&map } },
	};
	struct drm_i915_gem_context_create_ext args = {
		.flags = I915_CONTEXT_CREATE_FLAGS_USE_EXTENSIONS, .extensions = (uintptr_t)ext,
	};

	ext[0].base.next_extension = (uintptr_t)&ext[1];
	ASK(GEM_CONTEXT_CREATE_EXT, &args);
	ctx = args.ctx_id;
}

static void make(unsigned objects)
{
	const struct uapi_config config = {
		.uapi = "i915", .gpu = "tgl", .schedule = "normal", .system_B = UINT64_C(1) << 30,
	};
	struct drm_i915_gem_vm_control space = { .flags = I915_VM_CREATE_FLAGS_USE_VM_BIND };
	struct drm_i915_gem_mmap_offset map = { .flags = I915_MMAP_OFFSET_WB };
	const char *what;
	uint64_t offset;
	int fd;

	need(uapi_device_create(&config, &device, &what), "device");
	need(uapi_open(device, true, &file), "open");
	ASK(GEM_VM_CREATE, &space);
	vm = space.vm_id;
	make_context();
	map.handle = object(BATCH, SZ_64K);
	ASK(GEM_MMAP_OFFSET, &map);
	need(uapi_mmap(file, map.offset, SZ_64K, &fd, &offset), "mmap");
	words = (uint32_t *)((char *)uapi_arena_base(device) + offset);
	for (unsigned i = 0; i < objects; i++) {
		(void)object(OBJECTS + i * (uint64_t)SZ_4K, SZ_4K);
	}
}

/* The first waits at the gate; the last one's fence tells the end of all. */
static void burst(uint32_t syncobj)
{
	const uint32_t wait[] = { 0x0e00c002, 1, BATCH + GATE, 0, 0x05000000 };
	const uint32_t store[] = { 0x10000002, BATCH + TARGET, 0, 1, 0x05000000 };
	struct drm_i915_gem_timeline_fence out = {
		.handle = syncobj, .flags = I915_TIMELINE_FENCE_SIGNAL,
	};
	struct drm_i915_gem_execbuffer3 args = { .ctx_id = ctx, .batch_address = BATCH };
	struct drm_syncobj_wait end = {
		.handles = (uintptr_t)&syncobj, .count_handles = 1, .timeout_nsec = INT64_MAX,
	};

	memcpy((void *)(uintptr_t)words, wait, sizeof(wait));
	memcpy((void *)(uintptr_t)(words + STORE / 4), store, sizeof(store));
	words[TARGET / 4] = 0;
	words[GATE / 4] = 0;
	ASK(GEM_EXECBUFFER3, &args);
	args.batch_address = BATCH + STORE;
	args.timeline_fences = (uintptr_t)&out;
	args.fence_count = 1;
	for (unsigned i = 0; i < COUNT_N; i++) {
		need(counted_ioctl(DRM_IOCTL_I915_GEM_EXECBUFFER3, &args), "EXECBUFFER3");
	}
	need(words[TARGET / 4] != 0, "the gate did not hold");
	words[GATE / 4] = 1;
	need(uapi_ioctl(file, DRM_IOCTL_SYNCOBJ_WAIT, (uintptr_t)&end), "wait");
	need(words[TARGET / 4] != 1, "nothing was stored");
}

int main(int argc, char **argv)
{
	struct drm_syncobj_create syncobj = { 0 };

	if (argc != 3 || strcmp(argv[1], "--count") != 0) {
		fprintf(stderr, "usage: bench-i915 --count OBJECTS\n");
		return 2;
	}
	make((unsigned)strtoul(argv[2], NULL, 10));
	need(uapi_ioctl(file, DRM_IOCTL_SYNCOBJ_CREATE, (uintptr_t)&syncobj), "syncobj");
	burst(syncobj.handle);
	uapi_close(file);
	uapi_device_destroy(device);
	return 0;
}
