// SPDX-License-Identifier: MIT
/*
 * Contexts: GEM_CONTEXT_CREATE_EXT, GEM_CONTEXT_DESTROY, GET_RESET_STATS.
 *
 * A context on an address space of VM_BIND has an exec queue for each place of its engine map. One
 * that is destroyed with work left to do is kept until that has ended, unless the client does not
 * want it to persist or it may run for ever; with its file every one of them ends.
 */
#include "uapi/i915/i915.h"

#define CREATE_FLAGS                                                                               \
	(I915_CONTEXT_CREATE_FLAGS_USE_EXTENSIONS | I915_CONTEXT_CREATE_FLAGS_SINGLE_TIMELINE |    \
	 I915_CONTEXT_CREATE_FLAGS_LONG_RUNNING)

struct i915_context *i915_context_lookup(struct uapi_file *file, uint32_t id)
{
	struct ids *contexts = &i915_file(file)->contexts;
	struct i915_context *context;

	ids_lock(contexts);
	context = ids_find_locked(contexts, id);
	if (context) {
		ref_get(&context->ref);
	}
	ids_unlock(contexts);
	return context;
}

void i915_context_put(struct i915_context *context)
{
	if (!context || !ref_put(&context->ref)) {
		return;
	}
	for (unsigned i = 0; i < context->engine_count; i++) {
		exec_queue_put(context->engine[i]);
	}
	port_free(context->engine);
	i915_vm_put(context->ivm);
	port_free(context);
}

bool i915_context_banned(const struct i915_context *context)
{
	for (unsigned i = 0; i < context->engine_count; i++) {
		if (context->engine[i] && exec_queue_error(context->engine[i])) {
			return true;
		}
	}
	return false;
}

/* ---- what becomes of it ---------------------------------------------------------------------- */

static bool is_idle(const struct i915_context *context)
{
	bool idle = true;

	for (unsigned i = 0; i < context->engine_count && idle; i++) {
		struct fence *last = context->engine[i] ? exec_queue_last(context->engine[i])
							: NULL;

		idle = !last || fence_is_signalled(last);
		fence_put(last);
	}
	return idle;
}

static void context_kill(struct i915_context *context)
{
	for (unsigned i = 0; i < context->engine_count; i++) {
		if (context->engine[i]) {
			exec_queue_kill(context->engine[i]);
		}
	}
}

/* Of those that have been destroyed: the first, or the first that is idle, off the list. */
static struct i915_context *take_ending(struct i915_file *ifile, bool any)
{
	struct i915_context *found = NULL;

	port_mutex_lock(&ifile->ending_lock);
	list_for_each(context, &ifile->ending, struct i915_context, node) {
		if (any || is_idle(context)) {
			found = context;
			list_del(&context->node);
			break;
		}
	}
	port_mutex_unlock(&ifile->ending_lock);
	return found;
}

/* Its number is withdrawn; takes over the table's reference. */
static void context_close(struct i915_file *ifile, struct i915_context *context)
{
	struct i915_context *idle;

	while ((idle = take_ending(ifile, false))) {
		i915_context_put(idle);
	}
	if (context->persistent && !context->long_running && !is_idle(context)) {
		port_mutex_lock(&ifile->ending_lock);
		list_add_tail(&ifile->ending, &context->node);
		port_mutex_unlock(&ifile->ending_lock);
		return;
	}
	context_kill(context);
	i915_context_put(context);
}

void i915_context_kill_all(struct uapi_file *file)
{
	struct i915_file *ifile = i915_file(file);
	struct i915_context *context;
	uint32_t id = 0;

	while (ids_next(&ifile->contexts, &id)) {
		context = ids_remove(&ifile->contexts, id);
		context_kill(context);
		i915_context_put(context);
	}
	while ((context = take_ending(ifile, true))) {
		context_kill(context);
		i915_context_put(context);
	}
}

/* ---- parameters ------------------------------------------------------------------------------ */

struct create {
	struct uapi_file *file;
	struct i915_context *context;
	struct i915_map map;
	int priority;
};

static int set_vm(struct create *create, const struct drm_i915_gem_context_param *param)
{
	if (param->size) {
		return -EINVAL;
	}
	i915_vm_put(create->context->ivm);
	create->context->ivm = param->value >> 32 ? NULL
						  : i915_vm_lookup(create->file,
								   (uint32_t)param->value);
	return create->context->ivm ? 0 : -ENOENT;
}

static int set_engines(struct create *create, const struct drm_i915_gem_context_param *param)
{
	if (create->map.place) {
		return -EINVAL;
	}
	/* The old way of naming engines, which submissions here do not know. */
	if (!param->size) {
		return 0;
	}
	return i915_map_read(i915_gpu(create->file), param->value, param->size, &create->map);
}

static int set_priority(struct create *create, const struct drm_i915_gem_context_param *param)
{
	int64_t priority = (int64_t)param->value;

	if (param->size || priority > I915_CONTEXT_MAX_USER_PRIORITY ||
	    priority < I915_CONTEXT_MIN_USER_PRIORITY) {
		return -EINVAL;
	}
	if (priority > I915_CONTEXT_DEFAULT_PRIORITY && !port_client_may_raise_priority()) {
		return -EPERM;
	}
	create->priority = (int)priority;
	return 0;
}

static int setparam(uint64_t addr, void *ctx)
{
	struct drm_i915_gem_context_create_ext_setparam ext;
	struct create *create = ctx;

	if (port_copy_from_user(&ext, addr, sizeof(ext))) {
		return -EFAULT;
	}
	if (ext.param.ctx_id) {
		return -EINVAL;
	}
	switch (ext.param.param) {
	case I915_CONTEXT_PARAM_VM:
		return set_vm(create, &ext.param);
	case I915_CONTEXT_PARAM_ENGINES:
		return set_engines(create, &ext.param);
	case I915_CONTEXT_PARAM_PRIORITY:
		return set_priority(create, &ext.param);
	case I915_CONTEXT_PARAM_PERSISTENCE:
		create->context->persistent = ext.param.value;
		return ext.param.size ? -EINVAL : 0;
	case I915_CONTEXT_PARAM_RECOVERABLE: /* one that has hung is banned either way */
	case I915_CONTEXT_PARAM_BANNABLE:
	case I915_CONTEXT_PARAM_NO_ERROR_CAPTURE:
		return ext.param.size ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

static int (*const extensions[])(uint64_t addr, void *ctx) = {
	[I915_CONTEXT_CREATE_EXT_SETPARAM] = setparam,
};

/* ---- create ---------------------------------------------------------------------------------- */

static int create_queues(struct create *create)
{
	struct i915_context *context = create->context;
	int ret;

	if (!create->map.count || !context->ivm || !context->ivm->bind_mode) {
		return context->long_running ? -EINVAL : 0;
	}
	context->engine = port_alloc(create->map.count * sizeof(struct exec_queue *));
	if (!context->engine) {
		return -ENOMEM;
	}
	context->engine_count = create->map.count;
	ret = vm_decide(context->ivm->vm, context->long_running);
	for (unsigned i = 0; i < create->map.count && ret == 0; i++) {
		const struct i915_place *place = &create->map.place[i];
		const struct exec_queue_args args = {
			.vm = context->ivm->vm,
			.width = place->width,
			.placements = place->placements,
			.engines = place->engines,
			.priority = EXEC_PRIORITY_NORMAL + create->priority,
			.timeslice_us = 1000,
			.usage = &create->file->usage,
		};

		if (place->width) {
			ret = exec_queue_create(create->file->device->dev, &args,
						&context->engine[i]);
		}
	}
	return i915_no_room(ret);
}

int i915_context_create_ioctl(struct uapi_file *file, void *data)
{
	struct drm_i915_gem_context_create_ext *args = data;
	struct create create = { .file = file };
	int ret = 0;

	if (args->flags & ~CREATE_FLAGS) {
		return -EINVAL;
	}
	create.context = port_alloc(sizeof(*create.context));
	if (!create.context) {
		return -ENOMEM;
	}
	ref_init(&create.context->ref);
	create.context->persistent = true;
	create.context->long_running = args->flags & I915_CONTEXT_CREATE_FLAGS_LONG_RUNNING;
	if (args->flags & I915_CONTEXT_CREATE_FLAGS_USE_EXTENSIONS) {
		ret = i915_extensions(args->extensions, extensions, ARRAY_LEN(extensions),
				      &create);
	}
	if (ret == 0) {
		ret = create_queues(&create);
	}
	port_free(create.map.place);
	if (ret == 0) {
		ret = ids_alloc(&i915_file(file)->contexts, create.context, &args->ctx_id);
	}
	if (ret) {
		context_kill(create.context);
		i915_context_put(create.context);
	}
	return ret;
}

int i915_context_destroy_ioctl(struct uapi_file *file, void *data)
{
	const struct drm_i915_gem_context_destroy *args = data;
	struct i915_file *ifile = i915_file(file);
	struct i915_context *context;

	if (args->pad) {
		return -EINVAL;
	}
	context = args->ctx_id ? ids_remove(&ifile->contexts, args->ctx_id) : NULL;
	if (!context) {
		return -ENOENT;
	}
	context_close(ifile, context);
	return 0;
}

/* ---- GET_RESET_STATS ------------------------------------------------------------------------- */

int i915_reset_stats_ioctl(struct uapi_file *file, void *data)
{
	struct drm_i915_reset_stats *args = data;
	struct i915_context *context;

	if (args->flags || args->pad) {
		return -EINVAL;
	}
	context = i915_context_lookup(file, args->ctx_id);
	if (!context) {
		return -ENOENT;
	}
	args->reset_count = 0;
	args->batch_active = 0;
	args->batch_pending = 0;
	for (unsigned i = 0; i < context->engine_count; i++) {
		struct exec_losses losses = { 0 };

		if (context->engine[i]) {
			exec_queue_losses(context->engine[i], &losses);
		}
		args->batch_active += losses.active;
		args->batch_pending += losses.pending;
	}
	if (port_client_may_raise_priority()) {
		args->reset_count = atomic_load(&file->device->dev->resets);
	}
	i915_context_put(context);
	return 0;
}
