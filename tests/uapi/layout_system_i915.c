// SPDX-License-Identifier: MIT
/* The system's i915 header agrees with the layouts we were written from. Only compiled. */
#include <stddef.h>
#include <libdrm/i915_drm.h>

#define SIZE(s, n)        _Static_assert(sizeof(struct s) == (n), #s);
#define FIELD(s, f, off)  _Static_assert(offsetof(struct s, f) == (off), #s "." #f);
#define REQUEST(name, n)  _Static_assert((name) == (n), #name);
#define CONSTANT(name, n) _Static_assert((long long)(name) == (n), #name);
#include "layout_i915.inc"
