// SPDX-License-Identifier: MIT
/*
 * What the owner of a machine may tune of scheduling: per class of engines a job's timeout, a
 * timeslice and a preemption timeout, each with limits, in files of sysfs.
 *
 * A value is taken over by queues that are made afterwards. The limits can be changed too, within
 * those of the driver. They bind clients that may not raise priorities; the others have the
 * driver's.
 *
 * Example: tile0/gt0/engines/ccs/timeslice_duration_max is 10000000 until somebody writes another
 * number, .defaults/timeslice_duration_max beside it for ever.
 *
 * Locking: none; each number is read and written whole, as in a kernel.
 */
#include "uapi/xe/xe.h"

struct limits {
	uint32_t value, min, max; /* at the start; nothing is ever set outside */
};

static const struct limits builtin[XE_SCHED_PROPS] = {
	[XE_SCHED_JOB_TIMEOUT_MS] = { 5000, 1, 10 * 1000 },
	[XE_SCHED_TIMESLICE_US] = { 1000, 1, 10 * 1000 * 1000 },
	[XE_SCHED_PREEMPT_TIMEOUT_US] = { 640 * 1000, 1, 10 * 1000 * 1000 },
};

/* Of one class: three files each, then the same with what they say at the start. */
#define FILES (XE_SCHED_PROPS * 3)
#define CLASS_FILES(dir)                                                                           \
	{                                                                                          \
		dir "job_timeout_ms", dir "job_timeout_min", dir "job_timeout_max",                \
		dir "timeslice_duration_us", dir "timeslice_duration_min",                         \
		dir "timeslice_duration_max", dir "preempt_timeout_us",                            \
		dir "preempt_timeout_min", dir "preempt_timeout_max",                              \
	}
#define CLASS(name)                                                                                \
	{ CLASS_FILES("tile0/gt0/engines/" name "/"),                                              \
	  CLASS_FILES("tile0/gt0/engines/" name "/.defaults/") }

static const char *const paths[XE_CLASSES][2][FILES] = {
	[GPU_CLASS_RENDER] = CLASS("rcs"),
	[GPU_CLASS_COPY] = CLASS("bcs"),
	[GPU_CLASS_VIDEO_DECODE] = CLASS("vcs"),
	[GPU_CLASS_VIDEO_ENHANCE] = CLASS("vecs"),
	[GPU_CLASS_COMPUTE] = CLASS("ccs"),
};

/* One file: a number of a class. */
struct knob {
	unsigned class;
	bool is_default;
	enum xe_sched_prop prop;
	unsigned field; /* 0 value, 1 min, 2 max */
};

static bool has_class(const struct xe_gpu *gpu, unsigned class)
{
	for (unsigned i = 0; i < gpu->engine_count; i++) {
		if ((unsigned)gpu->engines[i].class == class) {
			return true;
		}
	}
	return false;
}

/* False: there are not so many. */
static bool find(const struct uapi_device *device, unsigned index, struct knob *knob)
{
	unsigned per_class = 2 * FILES, nth = index / per_class;

	for (unsigned class = 0; class < XE_CLASSES; class++) {
		if (has_class(device->gpu, class) && nth-- == 0) {
			knob->class = class;
			knob->is_default = index % per_class >= FILES;
			knob->prop = (enum xe_sched_prop)(index % FILES / 3);
			knob->field = index % 3;
			return true;
		}
	}
	return false;
}

static atomic_uint *cell(struct uapi_device *device, const struct knob *knob, unsigned field)
{
	return &device->tuned[(knob->class * XE_SCHED_PROPS + knob->prop) * 3 + field];
}

static uint32_t start_value(enum xe_sched_prop prop, unsigned field)
{
	const struct limits *limits = &builtin[prop];

	return field == 0 ? limits->value : field == 1 ? limits->min : limits->max;
}

void xe_sched_init(struct uapi_device *device)
{
	_Static_assert(XE_CLASSES * FILES <= XE_TUNED_FAILURES, "room for all of them");
	for (unsigned i = 0; i < XE_CLASSES * FILES; i++) {
		atomic_init(&device->tuned[i],
			    start_value((enum xe_sched_prop)(i / 3 % XE_SCHED_PROPS), i % 3));
	}
}

uint32_t xe_sched_value(struct uapi_device *device, unsigned class, enum xe_sched_prop prop)
{
	struct knob knob = { .class = class, .prop = prop };

	ASSERT(class < XE_CLASSES);
	return atomic_load(cell(device, &knob, 0));
}

bool xe_sched_allowed(struct uapi_device *device, unsigned class, enum xe_sched_prop prop,
		      uint64_t value)
{
	struct knob knob = { .class = class, .prop = prop };
	uint32_t min = builtin[prop].min, max = builtin[prop].max;

	ASSERT(class < XE_CLASSES);
	if (!port_client_may_raise_priority()) {
		min = atomic_load(cell(device, &knob, 1));
		max = atomic_load(cell(device, &knob, 2));
	}
	return value >= min && value <= max;
}

bool xe_sched_attr_find(const struct uapi_device *device, unsigned index,
			struct uapi_attr *attr_out)
{
	struct knob knob;

	if (!find(device, index, &knob)) {
		return false;
	}
	attr_out->path = paths[knob.class][knob.is_default][index % FILES];
	attr_out->debugfs = false;
	attr_out->writable = !knob.is_default;
	return true;
}

uint32_t xe_sched_attr_load(struct uapi_device *device, unsigned index)
{
	struct knob knob;
	bool found = find(device, index, &knob);

	ASSERT(found);
	return knob.is_default ? start_value(knob.prop, knob.field)
			       : atomic_load(cell(device, &knob, knob.field));
}

int xe_sched_attr_store(struct uapi_device *device, unsigned index, uint32_t value)
{
	const struct limits *limits;
	uint32_t min, max;
	struct knob knob;
	bool found = find(device, index, &knob);

	ASSERT(found && !knob.is_default);
	limits = &builtin[knob.prop];
	/* The value is between the limits as they are; each limit is beyond the other one. */
	min = knob.field == 1 ? limits->min : atomic_load(cell(device, &knob, 1));
	max = knob.field == 2 ? limits->max : atomic_load(cell(device, &knob, 2));
	if (value < min || value > max) {
		return -EINVAL;
	}
	atomic_store(cell(device, &knob, knob.field), value);
	return 0;
}
