// SPDX-License-Identifier: MIT
/*
 * What /proc/PID/fdinfo/N says of an open file: whose it is, how much memory its objects take
 * where, and what its queues have had of the engines. Tools such as gputop and nvtop read it; the
 * keys are those of the kernel's documentation (drm-usage-stats).
 *
 * An object counts for each file that has a handle to it. One without frames counts where it would
 * go first. "Shared" are those with several handles, "active" those in use by binds or submissions
 * that have not ended. What is in no region that clients are told about (spilled) is the driver's
 * third kind of memory.
 *
 * Cycles are ticks of the clock that batches read, of all engines of a class together; the total is
 * the time now. Queues that are gone still count. A batch that is running counts up to its last
 * step, and one that polls up to its last look.
 *
 * Locking: one object at a time, see drm_gem_next() and vm_bo_users(); the numbers are of no single
 * moment.
 */
#include "uapi/drm/drm.h"

struct usage {
	uint64_t total_B, shared_B, resident_B, active_B;
};

struct text {
	char *at, *end;
};

static void put(struct text *t, const char *s)
{
	while (*s) {
		ASSERT(t->at < t->end);
		*t->at++ = *s++;
	}
}

static void put_number(struct text *t, uint64_t value)
{
	char digits[21], *p = &digits[20];

	*p = 0;
	do {
		*--p = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	put(t, p);
}

/* In the largest unit in which it is a whole number. */
static void put_size(struct text *t, uint64_t size_B)
{
	static const char *const units[] = { "", " KiB", " MiB" };
	unsigned unit = 0;

	while (size_B && size_B % 1024 == 0 && unit + 1 < ARRAY_LEN(units)) {
		size_B /= 1024;
		unit++;
	}
	put_number(t, size_B);
	put(t, units[unit]);
}

static void put_key(struct text *t, const char *key, const char *region, uint64_t size_B)
{
	put(t, key);
	put(t, region);
	put(t, ":\t");
	put_size(t, size_B);
	put(t, "\n");
}

static void put_line(struct text *t, const char *key, const char *class, uint64_t count,
		     const char *unit)
{
	put(t, key);
	put(t, class);
	put(t, ":\t");
	put_number(t, count);
	put(t, unit);
}

static void put_count(struct text *t, const char *key, const char *class, uint64_t count)
{
	put_line(t, key, class, count, "\n");
}

static unsigned first_choice(const struct bo *bo)
{
	return bo->placement & BIT(MEM_VRAM) ? MEM_VRAM : MEM_SYSTEM;
}

/* 0 or -ENOMEM. */
static int add_object(struct usage *usage, struct bo *bo, bool shared)
{
	const struct region *region;
	struct fence *users = vm_bo_users(bo);
	struct usage *u;

	if (!users) {
		return -ENOMEM;
	}
	resv_lock(&bo->resv);
	region = bo->place ? bo->place->region : NULL;
	resv_unlock(&bo->resv);
	u = &usage[!region ? first_choice(bo) :
		   region == &bo->mem->spill ? MEM_REGIONS : region->index];
	u->total_B += bo->size_B;
	u->shared_B += shared ? bo->size_B : 0;
	u->resident_B += region ? bo->size_B : 0;
	u->active_B += fence_is_signalled(users) ? 0 : bo->size_B;
	fence_put(users);
	return 0;
}

static int add_objects(struct uapi_file *file, struct usage *usage)
{
	uint32_t handle = 0;
	struct bo *bo;
	bool shared;
	int ret = 0;

	while (!ret && drm_gem_next(file, &handle, &bo, &shared)) {
		ret = add_object(usage, bo, shared);
		bo_put(bo);
		handle++;
	}
	return ret;
}

/* i915 tells the time, Xe ticks. */
static void put_usage(struct text *t, struct uapi_file *file, unsigned class, uint32_t clock_hz)
{
	const char *name = file->device->driver->class_name[class];
	uint64_t ran_ns = atomic_load(&file->usage.ran_ns[class]);

	if (file->device->driver->usage_in_ns) {
		put_line(t, "drm-engine-", name, ran_ns, " ns\n");
		return;
	}
	put_count(t, "drm-cycles-", name, gpu_ticks(ran_ns, clock_hz));
	put_count(t, "drm-total-cycles-", name, gpu_timestamp(clock_hz));
}

static void put_engines(struct text *t, struct uapi_file *file)
{
	const struct device *dev = file->device->dev;

	for (unsigned class = 0; class < GPU_CLASSES; class++) {
		const char *name = file->device->driver->class_name[class];
		uint32_t clock_hz = 0;
		unsigned n = 0;

		for (unsigned i = 0; i < dev->engine_count; i++) {
			if ((unsigned)dev->engine[i].gpu.class == class) {
				clock_hz = dev->engine[i].gpu.clock_hz;
				n++;
			}
		}
		if (!n) {
			continue;
		}
		put_usage(t, file, class, clock_hz);
		if (n > 1) {
			put_count(t, "drm-engine-capacity-", name, n);
		}
	}
}

int uapi_fdinfo(struct uapi_file *file, char *buf)
{
	const struct uapi_driver *driver = file->device->driver;
	struct usage usage[DRM_MEMORIES] = { 0 };
	struct text t = { buf, buf + UAPI_FDINFO_B };
	int ret;

	if (!driver->memory_name[0]) {
		return 0;
	}
	ret = add_objects(file, usage);
	if (ret) {
		return ret;
	}
	put(&t, "drm-driver:\t");
	put(&t, driver->name);
	put(&t, "\ndrm-client-id:\t");
	put_number(&t, file->id);
	put(&t, "\ndrm-pdev:\t");
	put(&t, file->device->identity.pci_slot);
	put(&t, "\n");
	/* What is not the device's comes first: clients count on the order. */
	for (unsigned i = 0; i < DRM_MEMORIES; i++) {
		unsigned kind = (i + MEM_REGIONS) % DRM_MEMORIES;
		const char *name = driver->memory_name[kind];

		if (kind != MEM_VRAM || file->device->dev->mem.region_count > MEM_VRAM) {
			put_key(&t, "drm-total-", name, usage[kind].total_B);
			put_key(&t, "drm-shared-", name, usage[kind].shared_B);
			put_key(&t, "drm-resident-", name, usage[kind].resident_B);
			put_key(&t, "drm-active-", name, usage[kind].active_B);
		}
	}
	put_engines(&t, file);
	return (int)(t.at - buf);
}
