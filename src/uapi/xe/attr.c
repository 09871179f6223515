// SPDX-License-Identifier: MIT
/*
 * Files of one number each that the driver has: those of debugfs here, those of sysfs in sched.c.
 *
 * wedged_mode says when the device gives up (enum device_wedge_mode). fail_gt_reset/ makes resets
 * fail, as the kernel's fault injection does: with a probability in percent, so many times.
 *
 * Example: probability 100, times 1, and the next reset wedges the device, unless its mode is 0.
 */
#include "uapi/xe/xe.h"

enum {
	WEDGED_MODE,
	FAIL_PROBABILITY,
	FAIL_TIMES,
	OWN,
};

static const char *const paths[OWN] = {
	[WEDGED_MODE] = "wedged_mode",
	[FAIL_PROBABILITY] = "fail_gt_reset/probability",
	[FAIL_TIMES] = "fail_gt_reset/times",
};

static atomic_uint *cell(struct uapi_device *device, unsigned index)
{
	ASSERT(index < OWN);
	return index == WEDGED_MODE ? &device->dev->wedge_mode
				    : &device->tuned[XE_TUNED_FAILURES + index - FAIL_PROBABILITY];
}

void xe_attr_init(struct uapi_device *device)
{
	_Static_assert(XE_TUNED_FAILURES + OWN - FAIL_PROBABILITY <= DRM_TUNED, "room for them");
	atomic_init(cell(device, FAIL_PROBABILITY), 0);
	atomic_init(cell(device, FAIL_TIMES), 1);
}

bool xe_reset_fails(struct uapi_device *device)
{
	atomic_uint *times = cell(device, FAIL_TIMES);
	unsigned left = atomic_load(times);

	if (atomic_load(cell(device, FAIL_PROBABILITY)) <= port_random() % 100) {
		return false;
	}
	while (left && !atomic_compare_exchange_weak(times, &left, left - 1)) {
	}
	return left != 0;
}

bool xe_attr_find(const struct uapi_device *device, unsigned index, struct uapi_attr *attr_out)
{
	if (index >= OWN) {
		return xe_sched_attr_find(device, index - OWN, attr_out);
	}
	*attr_out = (struct uapi_attr){ paths[index], .debugfs = true, .writable = true };
	return true;
}

uint32_t xe_attr_load(struct uapi_device *device, unsigned index)
{
	return index < OWN ? atomic_load(cell(device, index))
			   : xe_sched_attr_load(device, index - OWN);
}

int xe_attr_store(struct uapi_device *device, unsigned index, uint32_t value)
{
	if (index >= OWN) {
		return xe_sched_attr_store(device, index - OWN, value);
	}
	if (index == WEDGED_MODE && value >= WEDGE_MODES) {
		return -EINVAL;
	}
	atomic_store(cell(device, index), value);
	return 0;
}
