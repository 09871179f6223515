// SPDX-License-Identifier: MIT
/*
 * i915-sparse: a texture that is larger than its memory, streamed tile by tile, against the header
 * of the i915 VM_BIND RFC and nothing else.
 *
 *	vmbind run --uapi i915 -- i915-sparse
 *
 * The texture has 64 tiles of addresses and 12 tiles of memory, which is one object private to the
 * address space: what a frame costs does not depend on how much there is of it. A view wanders over
 * the texture. For each frame the tiles that come into view are written to memory of tiles that
 * have left it, and bound; each bind signals a point of a timeline, and the frame waits for the
 * last of them. Unbinding waits for nobody: before it the client waits for the last frame that may
 * have used the tile. What is not bound reads as zero.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <uapi/i915_drm.h>

#define TILE_B    0x10000u
#define TILES     64u
#define POOL      12u /* tiles of memory */
#define VIEW      8u  /* tiles that a frame looks at */
#define FRAMES    100u
#define NOWHERE   TILES
#define TEXTURE   0x40000000u
#define BATCH     0x100000u
#define RESULT    0x200000u
#define COPY_WORD 0x17000003u /* 5 dwords: to where, from where */
#define BATCH_END 0x05000000u
#define PTR(p)    ((uint64_t)(uintptr_t)(p))

static int fd;
static uint32_t vm, ctx, binds, frames; /* the last two are timelines */
static uint64_t bind_point;
static uint32_t pool, *pool_cpu, *batch_cpu, *result_cpu;

static struct slot {
	unsigned tile;       /* that lies in it, or NOWHERE */
	uint64_t last_frame; /* that may have used it */
} slots[POOL];

static void must(const char *what, unsigned long request, void *arg)
{
	if (ioctl(fd, request, arg)) {
		fprintf(stderr, "i915-sparse: %s: %s\n", what, strerror(errno));
		exit(1);
	}
}

static uint32_t new_timeline(void)
{
	struct drm_syncobj_create args = { 0 };

	must("a timeline", DRM_IOCTL_SYNCOBJ_CREATE, &args);
	return args.handle;
}

static void wait_point(uint32_t timeline, uint64_t point)
{
	struct drm_syncobj_timeline_wait args = {
		.handles = PTR(&timeline),
		.points = PTR(&point),
		.count_handles = 1,
		.timeout_nsec = INT64_MAX,
	};

	if (point) {
		must("waiting", DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT, &args);
	}
}

/* Private to the address space, in memory of the device's own if there is any. */
static uint32_t new_object(uint64_t size, uint32_t **cpu_out)
{
	struct drm_i915_gem_memory_class_instance region = { I915_MEMORY_CLASS_DEVICE, 0 };
	struct drm_i915_gem_create_ext_vm_private private = {
		.base.name = I915_GEM_CREATE_EXT_VM_PRIVATE,
		.vm_id = vm,
	};
	struct drm_i915_gem_create_ext_memory_regions regions = {
		.base = { .name = I915_GEM_CREATE_EXT_MEMORY_REGIONS,
			  .next_extension = PTR(&private) },
		.num_regions = 1,
		.regions = PTR(&region),
	};
	struct drm_i915_gem_create_ext create = { .size = size, .extensions = PTR(&regions) };
	struct drm_i915_gem_mmap_offset map = { .flags = I915_MMAP_OFFSET_FIXED };

	if (ioctl(fd, DRM_IOCTL_I915_GEM_CREATE_EXT, &create)) {
		region.memory_class = I915_MEMORY_CLASS_SYSTEM;
		map.flags = I915_MMAP_OFFSET_WB;
		must("an object", DRM_IOCTL_I915_GEM_CREATE_EXT, &create);
	}
	map.handle = create.handle;
	must("its offset", DRM_IOCTL_I915_GEM_MMAP_OFFSET, &map);
	*cpu_out = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)map.offset);
	if (*cpu_out == MAP_FAILED) {
		fprintf(stderr, "i915-sparse: mmap: %s\n", strerror(errno));
		exit(1);
	}
	return create.handle;
}

/* Returns at once; the next point of the timeline says when it is done. */
static void bind(uint32_t object, uint64_t start, uint64_t offset, uint64_t length)
{
	struct drm_i915_gem_vm_bind args = {
		.vm_id = vm,
		.handle = object,
		.start = start,
		.offset = offset,
		.length = length,
		.fence = { binds, I915_TIMELINE_FENCE_SIGNAL, ++bind_point },
	};

	must("a bind", DRM_IOCTL_I915_GEM_VM_BIND, &args);
}

static void unbind(uint64_t start, uint64_t length)
{
	struct drm_i915_gem_vm_unbind args = { .vm_id = vm, .start = start, .length = length };

	must("an unbind", DRM_IOCTL_I915_GEM_VM_UNBIND_56, &args);
}

static void submit(uint64_t frame)
{
	struct drm_i915_gem_timeline_fence fences[] = {
		{ binds, I915_TIMELINE_FENCE_WAIT, bind_point },
		{ frames, I915_TIMELINE_FENCE_SIGNAL, frame },
	};
	struct drm_i915_gem_execbuffer3 args = {
		.ctx_id = ctx,
		.batch_address = BATCH,
		.fence_count = 2,
		.timeline_fences = PTR(fences),
	};

	must("a submission", DRM_IOCTL_I915_GEM_EXECBUFFER3, &args);
}

static void new_context(void)
{
	struct {
		struct i915_context_param_engines map;
		struct i915_engine_class_instance engine;
	} engines = { .engine = { I915_ENGINE_CLASS_RENDER, 0 } };
	struct drm_i915_gem_context_create_ext_setparam map = {
		.base.name = I915_CONTEXT_CREATE_EXT_SETPARAM,
		.param = { .param = I915_CONTEXT_PARAM_ENGINES,
			   .size = sizeof(engines),
			   .value = PTR(&engines) },
	};
	struct drm_i915_gem_context_create_ext_setparam space = {
		.base = { .name = I915_CONTEXT_CREATE_EXT_SETPARAM, .next_extension = PTR(&map) },
		.param = { .param = I915_CONTEXT_PARAM_VM, .value = vm },
	};
	struct drm_i915_gem_context_create_ext args = {
		.flags = I915_CONTEXT_CREATE_FLAGS_USE_EXTENSIONS,
		.extensions = PTR(&space),
	};

	must("a context", DRM_IOCTL_I915_GEM_CONTEXT_CREATE_EXT, &args);
	ctx = args.ctx_id;
}

static void start(void)
{
	struct drm_i915_gem_vm_control space = { .flags = I915_VM_CREATE_FLAGS_USE_VM_BIND };
	int version = 0;
	struct drm_i915_getparam ask = { I915_PARAM_VM_BIND_VERSION, PTR(&version) };
	uint32_t object;

	fd = open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, DRM_IOCTL_I915_GETPARAM, &ask) || version < 1) {
		fprintf(stderr, "i915-sparse: there is no i915 with VM_BIND here (try: "
				"vmbind run --uapi i915 -- i915-sparse)\n");
		exit(1);
	}
	must("an address space", DRM_IOCTL_I915_GEM_VM_CREATE, &space);
	vm = space.vm_id;
	binds = new_timeline();
	frames = new_timeline();
	new_context();
	pool = new_object((uint64_t)POOL * TILE_B, &pool_cpu);
	object = new_object(TILE_B, &batch_cpu);
	bind(object, BATCH, 0, TILE_B);
	object = new_object(TILE_B, &result_cpu);
	bind(object, RESULT, 0, TILE_B);
	for (unsigned i = 0; i < POOL; i++) {
		slots[i].tile = NOWHERE;
	}
}

/* The memory of @tile, or of what has been out of view for longest. */
static unsigned slot_for(unsigned tile)
{
	unsigned oldest = 0;

	for (unsigned i = 0; i < POOL; i++) {
		if (slots[i].tile == tile) {
			return i;
		}
		if (slots[i].last_frame < slots[oldest].last_frame) {
			oldest = i;
		}
	}
	return oldest;
}

/* Makes sure that @tile can be looked at. True: it had to be streamed in. */
static int stream(unsigned tile, uint64_t frame)
{
	unsigned i = slot_for(tile);
	int missing = slots[i].tile != tile;

	if (missing) {
		wait_point(frames, slots[i].last_frame);
		if (slots[i].tile != NOWHERE) {
			unbind(TEXTURE + (uint64_t)slots[i].tile * TILE_B, TILE_B);
		}
		for (unsigned k = 0; k < TILE_B / 4; k++) {
			pool_cpu[i * (TILE_B / 4) + k] = tile << 16 | (k & 0xffff);
		}
		bind(pool, TEXTURE + (uint64_t)tile * TILE_B, (uint64_t)i * TILE_B, TILE_B);
		slots[i].tile = tile;
	}
	slots[i].last_frame = frame;
	return missing;
}

/* Looks at word @word of each tile of the texture, in view or not. */
static void write_batch(unsigned word)
{
	uint32_t *at = batch_cpu;

	for (unsigned tile = 0; tile < TILES; tile++) {
		uint64_t from = TEXTURE + (uint64_t)tile * TILE_B + word * 4u;

		*at++ = COPY_WORD;
		*at++ = RESULT + tile * 4;
		*at++ = 0;
		*at++ = (uint32_t)from;
		*at++ = (uint32_t)(from >> 32);
	}
	*at = BATCH_END;
}

static unsigned check(unsigned word)
{
	unsigned wrong = 0;

	for (unsigned tile = 0; tile < TILES; tile++) {
		uint32_t expect = 0;

		for (unsigned i = 0; i < POOL; i++) {
			expect = slots[i].tile == tile ? tile << 16 | word : expect;
		}
		wrong += result_cpu[tile] != expect;
	}
	return wrong;
}

int main(void)
{
	unsigned streamed = 0, wrong = 0;

	start();
	for (uint64_t frame = 1; frame <= FRAMES; frame++) {
		unsigned first = (unsigned)(frame * frame / 3) % TILES, word = (unsigned)frame * 37;

		for (unsigned i = 0; i < VIEW; i++) {
			streamed += (unsigned)stream((first + i) % TILES, frame);
		}
		write_batch(word);
		submit(frame);
		wait_point(frames, frame);
		wrong += check(word);
	}
	printf("%u frames, %u tiles streamed through %u, %u words of %u wrong\n", FRAMES, streamed,
	       POOL, wrong, FRAMES * TILES);
	return wrong != 0;
}
