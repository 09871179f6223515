// SPDX-License-Identifier: MIT
/*
 * The table of libc's own functions.
 *
 * Each is looked up once, at load or at the first use before that: an interposer may be reached
 * from another library's constructor. A name the libc at hand does not have (it may be older or
 * newer than the one this was built with) fails with ENOSYS when called.
 *
 * Locking: none; two threads that look a name up find the same.
 */
#include "node/real.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>

static const char *const real_name[REAL_IDS] = {
#define X(name) #name,
	REAL_NAMES(X)
#undef X
};

static _Atomic(void *) real_fn[REAL_IDS];

/* Right for all that report failure as -1, which is all that a libc could lack. */
static long real_missing(void)
{
	errno = ENOSYS;
	return -1;
}

void *real_get(enum real_id id)
{
	void *fn = atomic_load_explicit(&real_fn[id], memory_order_acquire);

	if (__builtin_expect(!fn, 0)) {
		fn = dlsym(RTLD_NEXT, real_name[id]);
		if (!fn) {
			fn = (void *)real_missing;
		}
		atomic_store_explicit(&real_fn[id], fn, memory_order_release);
	}
	return fn;
}

void real_init(void)
{
	for (int id = 0; id < REAL_IDS; id++) {
		real_get((enum real_id)id);
	}
}
