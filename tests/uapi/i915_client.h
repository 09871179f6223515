/* SPDX-License-Identifier: MIT */
/*
 * What clients of i915 say, by ioctl, on top of client.h. What can fail is returned; what a test
 * relies on aborts when it fails.
 *
 *	struct client c;
 *
 *	i915_init(&c, "dg2", 2);
 *	vm = i915_vm(&c);
 *	bo = i915_bo(&c, SZ_64K);
 *	CHECK_OK(i915_bind(&c, vm, bo, 0x100000, 0, SZ_64K));
 *	ctx = i915_context(&c, vm, 0);
 *	CHECK_OK(i915_exec(&c, ctx, 0x100000, NULL, 0));
 *	client_fini(&c);
 */
#ifndef TESTS_UAPI_I915_CLIENT_H
#define TESTS_UAPI_I915_CLIENT_H

#include "client.h"
#include "uapi/i915_drm.h"
#include "vm/vm.h"

/* What the interface has is followed by arrays of its engines and regions. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wgnu-variable-sized-type-not-at-end"
#endif

/* A device with 256 MiB of each memory, of VM_BIND version 1 or 2 (0: as by default). */
void i915_init(struct client *c, const char *gpu, unsigned version);
bool i915_has_vram(struct client *c);

/* An address space of VM_BIND. */
uint32_t i915_vm(struct client *c);
/* In memory of the device's own if there is any; private to @vm unless that is 0. */
uint32_t i915_bo(struct client *c, uint64_t size);
uint32_t i915_bo_private(struct client *c, uint32_t vm, uint64_t size);
uint32_t i915_bo_system(struct client *c, uint64_t size);
int i915_create_ext(struct uapi_file *file, uint64_t size, uint32_t flags, const void *extensions,
		    uint32_t *handle_out);
/* Where the CPU sees it; stays valid as long as the object. */
void *i915_cpu(struct client *c, uint32_t handle, uint64_t size);

int i915_bind(struct client *c, uint32_t vm, uint32_t bo, uint64_t start, uint64_t offset,
	      uint64_t length);
int i915_unbind(struct client *c, uint32_t vm, uint64_t start, uint64_t length);

/* A context whose map has the engines of the device in the order of the query. */
uint32_t i915_context(struct client *c, uint32_t vm, uint32_t flags);
/* The same with a map of @n places. */
int i915_context_of(struct uapi_file *file, uint32_t vm, uint32_t flags,
		    const struct i915_context_param_engines *map, uint32_t size_B,
		    uint32_t *ctx_out);
int i915_context_destroy(struct client *c, uint32_t ctx);
/* One batch on the first engine of the map. */
int i915_exec(struct client *c, uint32_t ctx, uint64_t batch,
	      const struct drm_i915_gem_timeline_fence *fences, uint32_t count);
/* The same, and waits for its end. */
int i915_exec_wait(struct client *c, uint32_t ctx, uint64_t batch);
struct drm_i915_gem_timeline_fence i915_fence(uint32_t syncobj, uint64_t point, uint32_t flags);

/* ---- what tests look at ---------------------------------------------------------------------- */

/* The mappings of @vm, at most @cap; how many there are. */
unsigned i915_mappings(struct client *c, uint32_t vm, struct vm_mapping *out, unsigned cap);
bool i915_same_mappings(const struct vm_mapping *a, const struct vm_mapping *b, unsigned n);

/* A syncobj with a fence that signals when it is opened, and a sync file of it. Opened once. */
struct i915_gate {
	uint32_t syncobj;
	int fd;
	void *object;
};
struct i915_gate i915_gate(struct client *c);
void i915_gate_open(struct i915_gate *gate);

/* ---- a start --------------------------------------------------------------------------------- */

#define I915_AT UINT64_C(0x200000)
#define I915_B  SZ_64K

/*
 * A device, an address space, a context of all its engines, and an object of I915_B bytes at
 * I915_AT, which the CPU sees at .cpu.
 */
struct i915_scene {
	struct client c;
	uint32_t vm, ctx, bo;
	uint32_t *cpu;
};
void i915_scene_init(struct i915_scene *s, const char *gpu, unsigned version);
/* The same, with a context of @flags. */
void i915_scene_init_as(struct i915_scene *s, const struct uapi_config *config, uint32_t flags);
void i915_scene_fini(struct i915_scene *s);
struct uapi_config i915_config(const char *gpu, unsigned version);
/* Writes a batch into .cpu at byte @at that stores @value at GPU address @addr. */
uint64_t i915_store(struct i915_scene *s, uint64_t at, uint64_t addr, uint32_t value);
/* One there that copies the dword at @from to @to. */
uint64_t i915_copy(struct i915_scene *s, uint64_t at, uint64_t to, uint64_t from);
/* One there that runs until the dword at byte @flag of .cpu is 0, which it sets to 1 now. */
uint64_t i915_spin(struct i915_scene *s, uint64_t at, uint64_t flag);
/* Lets it end. */
void i915_stop(struct i915_scene *s, uint64_t flag);
/* What the GPU reads at @addr. */
uint32_t i915_read(struct i915_scene *s, uint64_t addr);

#endif
