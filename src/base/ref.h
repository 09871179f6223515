/* SPDX-License-Identifier: MIT */
/* Reference counts. The object's own type decides what happens at zero. */
#ifndef BASE_REF_H
#define BASE_REF_H

#include <stdatomic.h>
#include <stdbool.h>

struct ref {
	atomic_uint count;
};

static inline void ref_init(struct ref *r)
{
	atomic_init(&r->count, 1);
}

/* The caller already holds a reference, or a lock that keeps the last one from going. */
static inline void ref_get(struct ref *r)
{
	atomic_fetch_add_explicit(&r->count, 1, memory_order_relaxed);
}

/* Takes a reference unless the object is already dying. */
static inline bool ref_get_unless_zero(struct ref *r)
{
	unsigned n = atomic_load_explicit(&r->count, memory_order_relaxed);

	while (n && !atomic_compare_exchange_weak_explicit(&r->count, &n, n + 1,
							   memory_order_acquire,
							   memory_order_relaxed)) {
	}
	return n != 0;
}

/* True when this was the last reference: the caller then destroys the object. */
static inline bool ref_put(struct ref *r)
{
	return atomic_fetch_sub_explicit(&r->count, 1, memory_order_acq_rel) == 1;
}

#endif
