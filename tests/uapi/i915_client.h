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

#endif
