/* SPDX-License-Identifier: MIT */
/* How `vmbind run` tells the preloaded library what to be: names of the environment, and sizes. */
#ifndef NODE_OPTIONS_H
#define NODE_OPTIONS_H

#include "port/fault.h"
#include "uapi/uapi.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENV_UAPI "VMBIND_UAPI"
#define ENV_GPU "VMBIND_GPU"
#define ENV_BIND_VERSION "VMBIND_VM_BIND_VERSION" /* of i915: 1 or 2 */
#define ENV_VRAM "VMBIND_VRAM"
#define ENV_VISIBLE_VRAM "VMBIND_VISIBLE_VRAM"
#define ENV_SCHEDULE "VMBIND_SCHEDULE"
#define ENV_WITH_VGEM "VMBIND_WITH_VGEM" /* set and not empty: a second card */
#define ENV_TRACE "VMBIND_TRACE"
#define ENV_FAULT "VMBIND_FAULT" /* see port/fault.h */
#define ENV_CHECK "VMBIND_CHECK" /* "rules" or "none"; the port reads it too */
#define ENV_USERFAULTFD "VMBIND_USERFAULTFD" /* 0: it is not used */
/* "FD:DEV:INO" of an inherited file to share: struct counters_shared of trace/counters.h. */
#define ENV_COUNTERS_FD "VMBIND_COUNTERS_FD"

/* "4096", "256M", "8G", "1GiB"; K, M, G, T are powers of 1024. False if it is none of these. */
static inline bool option_size(const char *text, uint64_t *size_B_out)
{
	static const char unit[] = "KMGT";
	unsigned shift = 0;
	uint64_t size_B;
	char *end;

	if (!isdigit((unsigned char)*text)) {
		return false;
	}
	errno = 0;
	size_B = strtoull(text, &end, 10);
	for (unsigned i = 0; *end && i < 4; i++) {
		if (toupper((unsigned char)*end) == unit[i]) {
			shift = 10 * (i + 1);
			end++;
			end += end[0] == 'i' && end[1] == 'B' ? 2 : end[0] == 'B';
			break;
		}
	}
	if (errno || *end || size_B > UINT64_MAX >> shift) {
		return false;
	}
	*size_B_out = size_B << shift;
	return true;
}

/*
 * The uAPI that the environment asks for, by name or by a GPU that only it has; the first if that
 * is none. A static string.
 */
static inline const char *option_uapi(void)
{
	const char *name = getenv(ENV_UAPI), *gpu = getenv(ENV_GPU);

	for (unsigned i = 0; uapi_name(i); i++) {
		if (name && *name && strcmp(name, uapi_name(i)) == 0) {
			return uapi_name(i);
		}
		for (unsigned j = 0; !(name && *name) && uapi_gpu_name(uapi_name(i), j); j++) {
			if (gpu && strcmp(gpu, uapi_gpu_name(uapi_name(i), j)) == 0) {
				return uapi_name(i);
			}
		}
	}
	return uapi_name(0);
}

/* An ioctl of the device that the environment asks for, without prefixes (port/fault.h). */
static inline bool option_knows_ioctl(const char *name)
{
	for (uint32_t nr = 0; nr < 256; nr++) {
		const char *known = uapi_ioctl_name(option_uapi(), nr);

		if (known && strcmp(port_fault_ioctl(known), name) == 0) {
			return true;
		}
	}
	return false;
}

static inline bool option_userfaultfd(void)
{
	const char *text = getenv(ENV_USERFAULTFD);

	return !text || strcmp(text, "0") != 0;
}

#define WATCH_TEXT_B 96 /* COUNTERS_TEXT_B of trace/counters.h */

/* What client memory is watched by; @error: -errno of port_watch_open(), -ECANCELED: not wanted. */
static inline void option_watch_text(char text[WATCH_TEXT_B], int error)
{
	if (!error) {
		snprintf(text, WATCH_TEXT_B, "userfaultfd and interposition");
	} else if (error == -ECANCELED) {
		snprintf(text, WATCH_TEXT_B, "interposition only: " ENV_USERFAULTFD " is 0");
	} else {
		snprintf(text, WATCH_TEXT_B, "interposition only: userfaultfd: %s",
			 strerror(-error));
	}
}

#endif
