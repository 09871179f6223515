/* SPDX-License-Identifier: MIT */
/*
 * Error dumps: what is kept of the first job that was lost, and its text.
 *
 * A device has one dump, which is empty until a job hangs, faults or is reset away
 * (device.lost). Then it holds that one until it is cleared; later errors are counted. It is the
 * client's to read: nobody else looks at it, and a device without errors pays nothing but address
 * space.
 *
 *	CHECK_OK(dump_create(device, &config, &dump));
 *	...					a job is lost
 *	if (dump_is_kept(dump)) {
 *		ret = dump_show(dump, DUMP_XE, put, file);
 *		dump_clear(dump);
 *	}
 *	device_destroy(device);
 *	dump_destroy(dump);
 */
#ifndef DEBUG_DUMP_H
#define DEBUG_DUMP_H

#include "exec/device.h"

struct dump;

/* Whose decoders read it. What is in it is the same. */
enum dump_form {
	DUMP_I915, /* the error state of i915 */
	DUMP_XE,   /* the devcoredump of Xe */
};

/* What the core does not know of itself; strings stay valid as long as the dump. */
struct dump_config {
	const char *driver, *date; /* of the driver that is presented */
	const char *gpu;
	uint16_t device_id, subsystem_vendor, subsystem_device;
	uint8_t revision;
	/* How much is kept at most; 0: DUMP_CONTENTS_B, DUMP_RUNS. What does not fit is cut. */
	uint64_t contents_B; /* whole pages */
	unsigned runs;       /* of the list of mappings; of pieces of contents twice as many */
};

#define DUMP_CONTENTS_B ((uint64_t)64 << 20)
#define DUMP_RUNS 32768u

/*
 * An empty dump that hangs on device->lost. 0 or -ENOMEM. No queue exists yet; *@config is not
 * needed any more.
 */
int dump_create(struct device *device, const struct dump_config *config, struct dump **dump_out);
/* The device has gone, or will lose no more jobs. NULL is fine. */
void dump_destroy(struct dump *dump);

/* Is there one? Any thread, any lock. */
bool dump_is_kept(const struct dump *dump);
/* The next error is kept again. No lock held. */
void dump_clear(struct dump *dump);
/*
 * Its text, in pieces of any size, to @put, which returns 0 to go on and else what dump_show()
 * returns. Without a dump there is no text. @put may take no lock of a rank below RANK_VM. No lock
 * held.
 */
int dump_show(struct dump *dump, enum dump_form form,
	      int (*put)(void *ctx, const char *text, size_t n), void *ctx);

#endif
