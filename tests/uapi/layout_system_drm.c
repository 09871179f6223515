// SPDX-License-Identifier: MIT
/* The system's DRM core header agrees with the layouts we were written from. Only compiled. */
#include <stddef.h>
#include <libdrm/drm.h>

#define SIZE(s, n)        _Static_assert(sizeof(struct s) == (n), #s);
#define GREW(s, old, now)                                                                          \
	_Static_assert(sizeof(struct s) == (old) || sizeof(struct s) == (now), #s);
#define FIELD(s, f, off)  _Static_assert(offsetof(struct s, f) == (off), #s "." #f);
#define REQUEST(name, n)  _Static_assert((name) == (n), #name);
#include "layout_drm.inc"
