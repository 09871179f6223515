// SPDX-License-Identifier: MIT
/* The system's header of sync files agrees with the layouts we were written from. Only compiled. */
#include <stddef.h>
#include <linux/sync_file.h>

#define SIZE(s, n)        _Static_assert(sizeof(struct s) == (n), #s);
#define FIELD(s, f, off)  _Static_assert(offsetof(struct s, f) == (off), #s "." #f);
#define REQUEST(name, n)  _Static_assert((name) == (n), #name);
#include "layout_sync.inc"
