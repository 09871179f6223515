// SPDX-License-Identifier: MIT
/*
 * Engine maps of contexts.
 *
 * A place is a physical engine; or one of several alike, whichever has time (LOAD_BALANCE); or some
 * side by side, with a batch each (PARALLEL_SUBMIT). The last two fill places that were left empty.
 */
#include "uapi/i915/i915.h"

struct map_request {
	const struct i915_gpu *gpu;
	struct i915_map *map;
};

/* An empty place for an extension to fill; NULL: there is none, *@ret_out says why. */
static struct i915_place *empty_place(struct map_request *req, unsigned index, int taken,
				      int *ret_out)
{
	struct i915_place *place = &req->map->place[index];

	*ret_out = index >= req->map->count ? -EINVAL : place->width ? taken : 0;
	return *ret_out ? NULL : place;
}

/* Reads @n engines of one class at @addr. */
static int read_engines(const struct map_request *req, uint64_t addr, unsigned n, uint8_t *out)
{
	unsigned class = 0;

	for (unsigned i = 0; i < n; i++) {
		struct i915_engine_class_instance engine;
		int index;

		if (port_copy_from_user(&engine, addr + i * sizeof(engine), sizeof(engine))) {
			return -EFAULT;
		}
		index = i915_engine_find(req->gpu, engine);
		if (index < 0 || (i && engine.engine_class != class)) {
			return -EINVAL;
		}
		class = engine.engine_class;
		out[i] = (uint8_t)index;
	}
	return 0;
}

static int load_balance(uint64_t addr, void *ctx)
{
	struct i915_context_engines_load_balance ext;
	struct map_request *req = ctx;
	struct i915_place *place;
	int ret;

	if (port_copy_from_user(&ext, addr, sizeof(ext))) {
		return -EFAULT;
	}
	place = empty_place(req, ext.engine_index, -EEXIST, &ret);
	if (!place) {
		return ret;
	}
	if (ext.flags || ext.mbz64) {
		return -EINVAL;
	}
	if (ext.num_siblings == 0) {
		return 0;
	}
	if (ext.num_siblings > DEVICE_MAX_ENGINES) {
		return -EINVAL;
	}
	ret = read_engines(req, addr + sizeof(ext), ext.num_siblings, place->engines);
	if (ret == 0) {
		place->width = 1;
		place->placements = ext.num_siblings;
	}
	return ret;
}

/* Each unit's engines are the neighbours of those of the unit before. */
static bool are_neighbours(const struct map_request *req, const uint8_t *engines, unsigned width,
			   unsigned placements)
{
	for (unsigned i = placements; i < width * placements; i++) {
		const struct device_engine_desc *engine = req->gpu->engines;

		if (engine[engines[i]].instance != engine[engines[i - placements]].instance + 1) {
			return false;
		}
	}
	return true;
}

static int parallel_submit(uint64_t addr, void *ctx)
{
	struct i915_context_engines_parallel_submit ext;
	struct map_request *req = ctx;
	struct i915_place *place;
	int ret;

	if (port_copy_from_user(&ext, addr, sizeof(ext))) {
		return -EFAULT;
	}
	place = empty_place(req, ext.engine_index, -EINVAL, &ret);
	if (!place) {
		return ret;
	}
	if (ext.flags || ext.mbz16 || ext.mbz64[0] || ext.mbz64[1] || ext.mbz64[2] ||
	    ext.width < 2 || ext.width > EXEC_MAX_WIDTH || ext.num_siblings < 1 ||
	    ext.num_siblings > DEVICE_MAX_ENGINES) {
		return -EINVAL;
	}
	ret = read_engines(req, addr + sizeof(ext), (unsigned)ext.width * ext.num_siblings,
			   place->engines);
	if (ret == 0 && !are_neighbours(req, place->engines, ext.width, ext.num_siblings)) {
		ret = -EINVAL;
	}
	if (ret == 0) {
		place->width = ext.width;
		place->placements = ext.num_siblings;
	}
	return ret;
}

static int (*const extensions[])(uint64_t addr, void *ctx) = {
	[I915_CONTEXT_ENGINES_EXT_LOAD_BALANCE] = load_balance,
	[I915_CONTEXT_ENGINES_EXT_PARALLEL_SUBMIT] = parallel_submit,
};

static int read_places(struct map_request *req, uint64_t addr)
{
	for (unsigned i = 0; i < req->map->count; i++) {
		struct i915_place *place = &req->map->place[i];
		struct i915_engine_class_instance engine;
		int index;

		if (port_copy_from_user(&engine, addr + i * sizeof(engine), sizeof(engine))) {
			return -EFAULT;
		}
		if (engine.engine_class == I915_ENGINE_CLASS_INVALID &&
		    engine.engine_instance == I915_ENGINE_CLASS_INVALID_NONE) {
			continue;
		}
		index = i915_engine_find(req->gpu, engine);
		if (index < 0) {
			return -ENOENT;
		}
		*place = (struct i915_place){ .width = 1, .placements = 1 };
		place->engines[0] = (uint8_t)index;
	}
	return 0;
}

int i915_map_read(const struct i915_gpu *gpu, uint64_t addr, uint32_t size_B, struct i915_map *map)
{
	const size_t entry_B = sizeof(struct i915_engine_class_instance);
	const size_t head_B = sizeof(struct i915_context_param_engines);
	struct map_request req = { .gpu = gpu, .map = map };
	uint64_t chain;
	int ret;

	if (size_B < head_B || (size_B - head_B) % entry_B) {
		return -EINVAL;
	}
	map->count = (unsigned)((size_B - head_B) / entry_B);
	if (map->count > I915_ENGINES_MAX) {
		return -EINVAL;
	}
	/* One more, as none would be no memory. */
	map->place = port_alloc((map->count + 1) * sizeof(*map->place));
	if (!map->place) {
		return -ENOMEM;
	}
	ret = read_places(&req, addr + head_B);
	if (ret == 0) {
		ret = port_copy_from_user(&chain, addr, sizeof(chain));
	}
	if (ret == 0) {
		ret = i915_extensions(chain, extensions, ARRAY_LEN(extensions), &req);
	}
	return ret; /* what there is in it goes with the context that it was for */
}
