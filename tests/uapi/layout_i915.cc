// SPDX-License-Identifier: MIT
/* The i915 header is C++ too, with the same layouts and numbers. Only compiled. */
#include "uapi/i915_drm.h"

#include <cstddef>

#define SIZE(s, n)        static_assert(sizeof(struct s) == (n), #s);
#define FIELD(s, f, off)  static_assert(offsetof(struct s, f) == (off), #s "." #f);
#define REQUEST(name, n)  static_assert((name) == (n), #name);
#define CONSTANT(name, n) static_assert(static_cast<long long>(name) == (n), #name);
#include "layout_i915.inc"
#include "layout_i915_vm_bind.inc"
