// SPDX-License-Identifier: MIT
/*
 * Devices and open files: the entry functions of uapi.h that are not ioctls.
 *
 * A file closes in the order that cannot hang: its queues are killed, its address spaces closed,
 * what it waited for forgotten, its handles dropped. Objects live on as long as another file, a
 * descriptor or a mapping uses them.
 *
 * Offsets for mmap are offsets in the arena: an object's window is where the client maps it, and a
 * host whose device files are duplicates of the arena's descriptor needs no translation.
 */
#include "uapi/drm/drm.h"

#include "sync/timeline.h"

static struct port_lock_class handle_class = { .name = "drm.handle", .rank = RANK_GROUP_MODE };
static struct port_lock_class master_class = { .name = "drm.master", .rank = RANK_LEAF };
static struct port_lock_class eventfd_class = { .name = "drm.eventfd", .rank = RANK_LEAF };

static const struct uapi_driver *const drivers[] = { &xe_driver, &i915_driver };

static const char *const schedules[] = {
	[SCHEDULE_NORMAL] = "normal",
	[SCHEDULE_EAGER] = "eager",
	[SCHEDULE_LAZY] = "lazy",
	[SCHEDULE_ADVERSARIAL] = "adversarial",
};

const struct uapi_driver *drm_driver_find(const char *name)
{
	for (unsigned i = 0; i < ARRAY_LEN(drivers); i++) {
		if (!name || drm_text_equal(name, drivers[i]->name)) {
			return drivers[i];
		}
	}
	return NULL;
}

int drm_gpu_index(const char *(*name_of)(unsigned index), const char *name)
{
	for (int i = 0; name_of((unsigned)i); i++) {
		if (!name || drm_text_equal(name_of((unsigned)i), name)) {
			return i;
		}
	}
	return -1;
}

const char *uapi_name(unsigned index)
{
	return index < ARRAY_LEN(drivers) ? drivers[index]->name : NULL;
}

const char *uapi_gpu_name(const char *uapi, unsigned index)
{
	const struct uapi_driver *driver = drm_driver_find(uapi);

	return driver ? driver->gpu_name(index) : NULL;
}

const char *uapi_schedule_name(unsigned index)
{
	return index < ARRAY_LEN(schedules) ? schedules[index] : NULL;
}

/* NULL names stand for the first of a list. */
static bool name_is(const char *wanted, const char *name, unsigned index)
{
	return wanted ? drm_text_equal(wanted, name) : index == 0;
}

static int parse_names(const struct uapi_config *config, struct uapi_device *device,
		       struct device_config *core, const char **what_out)
{
	bool known = false;

	*what_out = "uapi";
	device->driver = drm_driver_find(config->uapi);
	if (!device->driver) {
		return -EINVAL;
	}
	*what_out = "schedule";
	for (unsigned i = 0; i < ARRAY_LEN(schedules); i++) {
		if (name_is(config->schedule, schedules[i], i)) {
			core->schedule = (enum device_schedule)i;
			known = true;
		}
	}
	return known ? device->driver->describe(config, device, core, what_out) : -EINVAL;
}

int drm_describe_memory(const struct uapi_config *config, uint64_t vram_B, uint64_t min_page_B,
			struct mem_config *mem)
{
	if ((config->vram_B || config->vram_visible_B) && !vram_B) {
		return -EINVAL;
	}
	*mem = (struct mem_config){
		.system_B = config->system_B ? config->system_B : port_host_memory_B(),
		.vram_B = config->vram_B ? config->vram_B : vram_B,
		.vram_visible_B = config->vram_visible_B,
		.vram_copies = config->vram_copies,
		.vram_min_page_B = min_page_B,
	};
	mem->system_B = align_down(mem->system_B, PAGE_SIZE);
	mem->vram_B = vram_B ? align_down(mem->vram_B, min_page_B) : 0;
	return mem->system_B == 0 || (vram_B && mem->vram_B == 0) ||
			       mem->vram_visible_B > mem->vram_B
		       ? -EINVAL
		       : 0;
}

static int no_fd_install(void *ctx, enum uapi_fd_kind kind, void *object, uint64_t size_B,
			 bool cloexec)
{
	return -EOPNOTSUPP;
}

static void *no_fd_lookup(void *ctx, int fd, enum uapi_fd_kind kind)
{
	return NULL;
}

static void *no_eventfd_get(void *ctx, int fd)
{
	return NULL;
}

static const struct uapi_host_ops no_descriptors = {
	.fd_install = no_fd_install,
	.fd_lookup = no_fd_lookup,
	.eventfd_get = no_eventfd_get,
};

/* What has its own locks and tables but for the objects'. */
static void device_init(struct uapi_device *device)
{
	port_mutex_init(&device->master_lock, &master_class);
	ids_init(&device->magics);
	port_mutex_init(&device->eventfd_lock, &eventfd_class);
	list_init(&device->eventfds);
}

static bool host_watch(void *ctx, uint64_t addr, uint64_t size_B)
{
	struct uapi_device *device = ctx;

	return device->host->watch(device->host_ctx, addr, size_B);
}

static void host_arm(void *ctx, uint64_t addr, uint64_t size_B)
{
	struct uapi_device *device = ctx;

	device->host->watch_arm(device->host_ctx, addr, size_B);
}

static void host_unwatch(void *ctx, uint64_t addr, uint64_t size_B)
{
	struct uapi_device *device = ctx;

	device->host->unwatch(device->host_ctx, addr, size_B);
}

static const struct mem_watch_ops watch_ops = {
	.watch = host_watch,
	.arm = host_arm,
	.unwatch = host_unwatch,
};

static int create_core(struct uapi_device *device, const struct device_config *core)
{
	const struct uapi_identity *id = &device->identity;
	const struct dump_config dump = {
		.driver = device->driver->name,
		.date = device->driver->date,
		.gpu = id->gpu,
		.device_id = id->device,
		.subsystem_vendor = id->subsystem_vendor,
		.subsystem_device = id->subsystem_device,
		.revision = id->revision,
	};
	int ret = device_create(core, &device->dev);

	if (ret == 0) {
		ret = dump_create(device->dev, &dump, &device->dump);
		if (ret) {
			device_destroy(device->dev);
		}
	}
	return ret;
}

int uapi_device_create(const struct uapi_config *config, struct uapi_device **device_out,
		       const char **what_out)
{
	struct uapi_device *device = port_alloc(sizeof(*device));
	struct device_config core = { 0 };
	const char *what = "memory";
	int ret = -ENOMEM;

	if (device) {
		ret = parse_names(config, device, &core, &what);
	}
	if (ret == 0) {
		what = "core";
		device->host = config->host ? config->host : &no_descriptors;
		device->host_ctx = config->host_ctx;
		ret = drm_gem_device_init(device);
	}
	if (ret == 0) {
		ret = create_core(device, &core);
		if (ret) {
			drm_gem_device_fini(device);
		}
	}
	if (ret) {
		port_free(device);
		if (what_out) {
			*what_out = what;
		}
		return ret;
	}
	if (device->host->watch) {
		device->dev->mem.watch = &watch_ops;
		device->dev->mem.watch_ctx = device;
	}
	device_init(device);
	*device_out = device;
	return 0;
}

int uapi_companion_create(struct uapi_device *device, struct uapi_device **companion_out)
{
	struct uapi_device *companion = port_alloc(sizeof(*companion));

	if (!companion) {
		return -ENOMEM;
	}
	if (drm_gem_device_init(companion)) {
		port_free(companion);
		return -ENOMEM;
	}
	companion->dev = device->dev;
	companion->is_companion = true;
	companion->driver = &vgem_driver;
	companion->identity.driver = vgem_driver.name;
	companion->host = device->host;
	companion->host_ctx = device->host_ctx;
	device_init(companion);
	*companion_out = companion;
	return 0;
}

void uapi_device_destroy(struct uapi_device *device)
{
	if (!device) {
		return;
	}
	ASSERT(atomic_load(&device->file_count) == 0);
	ASSERT(list_empty(&device->eventfds));
	drm_gem_device_fini(device);
	if (!device->is_companion) {
		device_destroy(device->dev);
		dump_destroy(device->dump);
	}
	ids_fini(&device->magics);
	port_mutex_fini(&device->eventfd_lock);
	port_mutex_fini(&device->master_lock);
	port_free(device);
}

const struct uapi_identity *uapi_device_identity(const struct uapi_device *device)
{
	return &device->identity;
}

struct event_stream *uapi_device_events(struct uapi_device *device)
{
	return &device->dev->events;
}

struct device *uapi_device_core(struct uapi_device *device)
{
	return device->dev;
}

void uapi_device_reset(struct uapi_device *device)
{
	if (!device->driver->reset_fails || !device->driver->reset_fails(device)) {
		device_reset(device->dev);
	} else if (atomic_load(&device->dev->wedge_mode) != WEDGE_NEVER) {
		device_wedge(device->dev);
	}
}

int uapi_device_unbind(struct uapi_device *device)
{
	if (atomic_exchange(&device->unbound, true)) {
		return -ENODEV;
	}
	atomic_fetch_add(&device->unbinds, 1);
	device_wedge(device->dev);
	return 0;
}

int uapi_device_bind(struct uapi_device *device)
{
	if (!atomic_load(&device->unbound)) {
		return -EBUSY;
	}
	device_unwedge(device->dev);
	if (device->driver->rebound) {
		device->driver->rebound(device);
	}
	atomic_store(&device->unbound, false);
	return 0;
}

static bool file_is_orphan(const struct uapi_file *file)
{
	return file->unbinds != atomic_load(&file->device->unbinds);
}

int drm_file_refused(const struct uapi_file *file)
{
	if (file_is_orphan(file)) {
		return -ENODEV;
	}
	return device_is_wedged(file->device->dev) && !file->device->is_companion ? -ECANCELED : 0;
}

int uapi_open(struct uapi_device *device, bool render, struct uapi_file **file_out)
{
	struct uapi_file *file;
	int ret;

	if (atomic_load(&device->unbound)) {
		return -ENODEV;
	}
	file = port_alloc(sizeof(*file));
	if (!file) {
		return -ENOMEM;
	}
	file->device = device;
	file->unbinds = atomic_load(&device->unbinds);
	file->id = atomic_fetch_add(&device->next_file_id, 1) + 1;
	file->render = render;
	port_mutex_init(&file->handle_lock, &handle_class);
	ids_init(&file->handles);
	ids_init(&file->syncobjs);
	ret = device->driver->open(file);
	if (ret) {
		ids_fini(&file->syncobjs);
		ids_fini(&file->handles);
		port_mutex_fini(&file->handle_lock);
		port_free(file);
		return ret;
	}
	drm_master_open(file);
	atomic_fetch_add(&device->file_count, 1);
	*file_out = file;
	return 0;
}

void uapi_close(struct uapi_file *file)
{
	struct uapi_device *device;

	if (!file) {
		return;
	}
	port_assert_no_locks();
	device = file->device;
	drm_master_close(file);
	device->driver->close(file);
	drm_eventfd_file_close(file);
	drm_gem_file_close(file);
	drm_syncobj_file_close(file);
	ids_fini(&file->syncobjs);
	ids_fini(&file->handles);
	port_mutex_fini(&file->handle_lock);
	port_free(file);
	atomic_fetch_sub(&device->file_count, 1);
}

/* ---- mmap ------------------------------------------------------------------------------------ */

/*
 * What the CPU does not reach is as far beyond the end of the arena as its window is inside: it can
 * be mapped, and a touch of it is SIGBUS, as of any mapping beyond the end of a file.
 */
static int window_of(struct bo *bo, uint64_t offset, uint64_t size_B, int *host_fd_out,
		     uint64_t *host_offset_out)
{
	bool reaches;

	if (size_B == 0 || !range_inside(offset, size_B, bo->size_B)) {
		return -EINVAL;
	}
	if (bo_cpu_reaches(bo, &reaches)) {
		return -ENOMEM;
	}
	*host_fd_out = bo->arena->port.fd;
	*host_offset_out = bo->arena_off + offset;
	if (!reaches) {
		*host_offset_out += bo->arena->port.size_B;
	}
	return 0;
}

int uapi_mmap(struct uapi_file *file, uint64_t offset, uint64_t size_B, int *host_fd_out,
	      uint64_t *host_offset_out)
{
	struct bo *bo;
	int ret = file_is_orphan(file) ? -ENODEV : drm_gem_at_offset(file, offset, &bo);

	if (ret == 0) {
		ret = window_of(bo, 0, size_B, host_fd_out, host_offset_out);
		bo_put(bo);
	}
	return ret;
}

void *uapi_mmap_object(struct uapi_file *file, uint64_t offset)
{
	struct bo *bo;

	return drm_gem_at_offset(file, offset, &bo) ? NULL : bo;
}

int uapi_dmabuf_mmap(void *object, uint64_t offset, uint64_t size_B, int *host_fd_out,
		     uint64_t *host_offset_out)
{
	return window_of(object, offset, size_B, host_fd_out, host_offset_out);
}

int uapi_arena_fd(struct uapi_device *device)
{
	return device->dev->mem.first_arena->port.fd;
}

void *uapi_arena_base(struct uapi_device *device)
{
	return device->dev->mem.first_arena->port.base;
}

/* ---- descriptors ----------------------------------------------------------------------------- */

void uapi_fd_get_object(enum uapi_fd_kind kind, void *object)
{
	switch (kind) {
	case UAPI_FD_SYNCOBJ:
		syncobj_get(object);
		break;
	case UAPI_FD_SYNC_FILE:
		sync_file_get(object);
		break;
	case UAPI_FD_DMABUF:
		bo_get(object);
		break;
	case UAPI_FD_TIMELINE:
		timeline_get(object);
		break;
	}
}

void uapi_fd_put_object(enum uapi_fd_kind kind, void *object)
{
	switch (kind) {
	case UAPI_FD_SYNCOBJ:
		syncobj_put(object);
		break;
	case UAPI_FD_SYNC_FILE:
		sync_file_put(object);
		break;
	case UAPI_FD_DMABUF:
		bo_put(object);
		break;
	case UAPI_FD_TIMELINE:
		timeline_put(object);
		break;
	}
}

/* ---- what happens to the client -------------------------------------------------------------- */

_Static_assert(sizeof(struct mem_client_range) <= sizeof(struct uapi_client_range), "fits");

void uapi_client_range_begin(struct uapi_device *device, struct uapi_client_range *range,
			     uint64_t addr, uint64_t size_B)
{
	mem_client_range_begin(&device->dev->mem, (struct mem_client_range *)range, addr, size_B);
}

void uapi_client_range_end(struct uapi_device *device, struct uapi_client_range *range)
{
	mem_client_range_end(&device->dev->mem, (struct mem_client_range *)range);
}

void uapi_before_fork(struct uapi_device *device)
{
	device_before_fork(device->dev);
}

void uapi_after_fork_parent(struct uapi_device *device)
{
	device_after_fork_parent(device->dev);
}

void uapi_after_fork_child(struct uapi_device *device)
{
	device_after_fork_child(device->dev);
}
