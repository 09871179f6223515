// SPDX-License-Identifier: MIT
/*
 * The error dump, as the driver presents it: see debug/dump.h.
 *
 *	if (uapi_dump_is_kept(device)) {
 *		ret = uapi_dump_show(device, put, file);
 *	}
 */
#include "uapi/drm/drm.h"

bool uapi_dump_is_kept(const struct uapi_device *device)
{
	return device->dump && dump_is_kept(device->dump);
}

struct shown {
	int (*put)(void *ctx, const char *text, size_t n);
	void *ctx;
	bool any;
};

static int put_shown(void *ctx, const char *text, size_t n)
{
	struct shown *shown = ctx;

	shown->any = true;
	return shown->put(shown->ctx, text, n);
}

int uapi_dump_show(struct uapi_device *device,
		   int (*put)(void *ctx, const char *text, size_t n), void *ctx)
{
	struct shown shown = { .put = put, .ctx = ctx };
	const char *none = device->driver->no_dump;
	int ret;

	ASSERT(device->dump);
	ret = dump_show(device->dump, device->driver->dump_form, put_shown, &shown);
	if (!shown.any && none) {
		ret = put(ctx, none, device->driver->no_dump_B);
	}
	return ret;
}

void uapi_dump_clear(struct uapi_device *device)
{
	ASSERT(device->dump);
	dump_clear(device->dump);
}
