// SPDX-License-Identifier: MIT
#include "i915_client.h"

#include <string.h>

#include "uapi/i915/i915.h"

#define ENGINES_MAX 16

struct uapi_config i915_config(const char *gpu, unsigned version)
{
	struct uapi_config config = client_config(gpu);

	config.uapi = "i915";
	config.vm_bind_version = version;
	if (strcmp(gpu, "tgl") == 0) {
		config.vram_B = 0;
	}
	return config;
}

void i915_init(struct client *c, const char *gpu, unsigned version)
{
	struct uapi_config config = i915_config(gpu, version);

	client_init_as(c, &config);
}

bool i915_has_vram(struct client *c)
{
	return strcmp(uapi_device_identity(c->device)->gpu, "tgl") != 0;
}

uint32_t i915_vm(struct client *c)
{
	struct drm_i915_gem_vm_control args = { .flags = I915_VM_CREATE_FLAGS_USE_VM_BIND };

	CHECK_OK(IOCTL(c->file, I915_GEM_VM_CREATE, &args));
	return args.vm_id;
}

int i915_create_ext(struct uapi_file *file, uint64_t size, uint32_t flags, const void *extensions,
		    uint32_t *handle_out)
{
	struct drm_i915_gem_create_ext args = {
		.size = size,
		.flags = flags,
		.extensions = PTR(extensions),
	};
	int ret = IOCTL(file, I915_GEM_CREATE_EXT, &args);

	*handle_out = args.handle;
	return ret;
}

static uint32_t create(struct client *c, uint32_t vm, uint64_t size, bool local)
{
	const struct drm_i915_gem_memory_class_instance region = {
		local ? I915_MEMORY_CLASS_DEVICE : I915_MEMORY_CLASS_SYSTEM, 0,
	};
	struct drm_i915_gem_create_ext_vm_private private = {
		.base.name = I915_GEM_CREATE_EXT_VM_PRIVATE,
		.vm_id = vm,
	};
	struct drm_i915_gem_create_ext_memory_regions regions = {
		.base = { .name = I915_GEM_CREATE_EXT_MEMORY_REGIONS,
			  .next_extension = vm ? PTR(&private) : 0 },
		.num_regions = 1,
		.regions = PTR(&region),
	};
	uint32_t handle;

	CHECK_OK(i915_create_ext(c->file, size, 0, &regions, &handle));
	return handle;
}

uint32_t i915_bo(struct client *c, uint64_t size)
{
	return create(c, 0, size, i915_has_vram(c));
}

uint32_t i915_bo_private(struct client *c, uint32_t vm, uint64_t size)
{
	return create(c, vm, size, i915_has_vram(c));
}

uint32_t i915_bo_system(struct client *c, uint64_t size)
{
	return create(c, 0, size, false);
}

void *i915_cpu(struct client *c, uint32_t handle, uint64_t size)
{
	struct drm_i915_gem_mmap_offset args = {
		.handle = handle,
		.flags = i915_has_vram(c) ? I915_MMAP_OFFSET_FIXED : I915_MMAP_OFFSET_WB,
	};
	uint64_t offset;
	int fd;

	CHECK_OK(IOCTL(c->file, I915_GEM_MMAP_OFFSET, &args));
	CHECK_OK(uapi_mmap(c->file, args.offset, size, &fd, &offset));
	return (char *)uapi_arena_base(c->device) + offset;
}

int i915_bind(struct client *c, uint32_t vm, uint32_t bo, uint64_t start, uint64_t offset,
	      uint64_t length)
{
	struct drm_i915_gem_vm_bind args = {
		.vm_id = vm, .handle = bo, .start = start, .offset = offset, .length = length,
	};

	return IOCTL(c->file, I915_GEM_VM_BIND, &args);
}

int i915_unbind(struct client *c, uint32_t vm, uint64_t start, uint64_t length)
{
	struct drm_i915_gem_vm_unbind args = { .vm_id = vm, .start = start, .length = length };

	return client_ioctl(c->file, DRM_IOCTL_I915_GEM_VM_UNBIND_56, &args);
}

int i915_context_of(struct uapi_file *file, uint32_t vm, uint32_t flags,
		    const struct i915_context_param_engines *map, uint32_t size_B,
		    uint32_t *ctx_out)
{
	struct drm_i915_gem_context_create_ext_setparam engines = {
		.base.name = I915_CONTEXT_CREATE_EXT_SETPARAM,
		.param = { .param = I915_CONTEXT_PARAM_ENGINES, .size = size_B, .value = PTR(map) },
	};
	struct drm_i915_gem_context_create_ext_setparam space = {
		.base = { .name = I915_CONTEXT_CREATE_EXT_SETPARAM,
			  .next_extension = map ? PTR(&engines) : 0 },
		.param = { .param = I915_CONTEXT_PARAM_VM, .value = vm },
	};
	struct drm_i915_gem_context_create_ext args = {
		.flags = flags | I915_CONTEXT_CREATE_FLAGS_USE_EXTENSIONS,
		.extensions = vm ? PTR(&space) : space.base.next_extension,
	};
	int ret = IOCTL(file, I915_GEM_CONTEXT_CREATE_EXT, &args);

	*ctx_out = args.ctx_id;
	return ret;
}

uint32_t i915_context(struct client *c, uint32_t vm, uint32_t flags)
{
	struct {
		struct i915_context_param_engines map;
		struct i915_engine_class_instance engine[ENGINES_MAX];
	} m = { 0 };
	struct {
		struct drm_i915_query_engine_info head;
		struct drm_i915_engine_info info[ENGINES_MAX];
	} e = { 0 };
	struct drm_i915_query_item item = {
		.query_id = DRM_I915_QUERY_ENGINE_INFO, .length = sizeof(e), .data_ptr = PTR(&e),
	};
	struct drm_i915_query query = { .num_items = 1, .items_ptr = PTR(&item) };
	uint32_t ctx;

	CHECK_OK(IOCTL(c->file, I915_QUERY, &query));
	CHECK(item.length > 0);
	for (uint32_t i = 0; i < e.head.num_engines; i++) {
		m.engine[i] = e.info[i].engine;
	}
	CHECK_OK(i915_context_of(c->file, vm, flags, &m.map,
				 (uint32_t)(sizeof(m.map) +
					    e.head.num_engines * sizeof(m.engine[0])),
				 &ctx));
	return ctx;
}

int i915_context_destroy(struct client *c, uint32_t ctx)
{
	struct drm_i915_gem_context_destroy args = { .ctx_id = ctx };

	return IOCTL(c->file, I915_GEM_CONTEXT_DESTROY, &args);
}

struct drm_i915_gem_timeline_fence i915_fence(uint32_t syncobj, uint64_t point, uint32_t flags)
{
	return (struct drm_i915_gem_timeline_fence){
		.handle = syncobj, .flags = flags, .value = point,
	};
}

int i915_exec(struct client *c, uint32_t ctx, uint64_t batch,
	      const struct drm_i915_gem_timeline_fence *fences, uint32_t count)
{
	struct drm_i915_gem_execbuffer3 args = {
		.ctx_id = ctx,
		.batch_address = batch,
		.fence_count = count,
		.timeline_fences = PTR(fences),
	};

	return IOCTL(c->file, I915_GEM_EXECBUFFER3, &args);
}

int i915_exec_wait(struct client *c, uint32_t ctx, uint64_t batch)
{
	uint32_t done = client_syncobj(c->file, false);
	struct drm_i915_gem_timeline_fence fence = i915_fence(done, 0, I915_TIMELINE_FENCE_SIGNAL);
	int ret = i915_exec(c, ctx, batch, &fence, 1);

	if (ret == 0) {
		ret = client_syncobj_wait(c->file, done, INT64_MAX);
	}
	CHECK_OK(client_syncobj_destroy(c->file, done));
	return ret;
}

/* ---- what tests look at ---------------------------------------------------------------------- */

unsigned i915_mappings(struct client *c, uint32_t vm, struct vm_mapping *out, unsigned cap)
{
	struct i915_vm *ivm = i915_vm_lookup(c->file, vm);
	struct vm_mapping mapping;
	unsigned n = 0;

	CHECK(ivm);
	for (uint64_t at = 0; vm_mapping_next(ivm->vm, at, &mapping); at = mapping.end) {
		if (n < cap) {
			out[n] = mapping;
		}
		n++;
	}
	i915_vm_put(ivm);
	return n;
}

bool i915_same_mappings(const struct vm_mapping *a, const struct vm_mapping *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (a[i].start != b[i].start || a[i].end != b[i].end || a[i].bo_id != b[i].bo_id ||
		    a[i].offset != b[i].offset || a[i].null != b[i].null || a[i].pat != b[i].pat ||
		    a[i].userptr != b[i].userptr || a[i].readonly != b[i].readonly) {
			return false;
		}
	}
	return true;
}

struct i915_gate i915_gate(struct client *c)
{
	struct i915_gate gate = { .syncobj = client_syncobj(c->file, false) };
	struct drm_syncobj_handle args = {
		.handle = gate.syncobj,
		.flags = DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE,
	};

	gate.object = uapi_sync_file_foreign(c->device);
	CHECK(gate.object);
	gate.fd = client_host_ops.fd_install(&c->host, UAPI_FD_SYNC_FILE, gate.object, 0, true);
	CHECK(gate.fd >= 0);
	args.fd = gate.fd;
	CHECK_OK(IOCTL(c->file, SYNCOBJ_FD_TO_HANDLE, &args));
	return gate;
}

void i915_gate_open(struct i915_gate *gate)
{
	uapi_sync_file_signal(gate->object, 0);
}

/* ---- a start --------------------------------------------------------------------------------- */

void i915_scene_init_as(struct i915_scene *s, const struct uapi_config *config, uint32_t flags)
{
	memset(s, 0, sizeof(*s));
	client_init_as(&s->c, config);
	s->vm = i915_vm(&s->c);
	s->ctx = i915_context(&s->c, s->vm, flags);
	s->bo = i915_bo(&s->c, I915_B);
	s->cpu = i915_cpu(&s->c, s->bo, I915_B);
	CHECK_OK(i915_bind(&s->c, s->vm, s->bo, I915_AT, 0, I915_B));
}

void i915_scene_init(struct i915_scene *s, const char *gpu, unsigned version)
{
	struct uapi_config config = i915_config(gpu, version);

	i915_scene_init_as(s, &config, 0);
}

void i915_scene_fini(struct i915_scene *s)
{
	client_fini(&s->c);
}

uint64_t i915_store(struct i915_scene *s, uint64_t at, uint64_t addr, uint32_t value)
{
	(void)client_batch_store(s->cpu + at / 4, addr, value);
	return I915_AT + at;
}

uint64_t i915_copy(struct i915_scene *s, uint64_t at, uint64_t to, uint64_t from)
{
	uint32_t *batch = s->cpu + at / 4;

	batch[0] = 0x2eu << 23 | 3; /* MI_COPY_MEM_MEM */
	batch[1] = (uint32_t)to;
	batch[2] = (uint32_t)(to >> 32);
	batch[3] = (uint32_t)from;
	batch[4] = (uint32_t)(from >> 32);
	batch[5] = 0x0au << 23; /* MI_BATCH_BUFFER_END */
	return I915_AT + at;
}

uint64_t i915_spin(struct i915_scene *s, uint64_t at, uint64_t flag)
{
	__atomic_store_n(&s->cpu[flag / 4], 1, __ATOMIC_RELEASE);
	(void)client_batch_spin(s->cpu + at / 4, I915_AT + at, I915_AT + flag);
	return I915_AT + at;
}

void i915_stop(struct i915_scene *s, uint64_t flag)
{
	__atomic_store_n(&s->cpu[flag / 4], 0, __ATOMIC_RELEASE);
}

/* The last page of the object is for this. */
uint32_t i915_read(struct i915_scene *s, uint64_t addr)
{
	const uint64_t at = I915_B - SZ_4K, to = at + 64;

	CHECK_OK(i915_exec_wait(&s->c, s->ctx, i915_copy(s, at, I915_AT + to, addr)));
	return __atomic_load_n(&s->cpu[to / 4], __ATOMIC_ACQUIRE);
}
