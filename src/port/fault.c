// SPDX-License-Identifier: MIT
/*
 * Failures on demand. Every place of the port that a host may refuse asks port_fault_hit() first;
 * a test chooses which occurrence of which point fails. Lock-free: the counters are independent and
 * a test changes them while nothing else runs.
 *
 *	port_fault_set(PORT_FAULT_ALLOC, 3, false);   the third allocation from now fails
 *	ret = operation();
 *	fired = port_fault_count(PORT_FAULT_ALLOC) >= 3;
 *	port_fault_set(PORT_FAULT_ALLOC, 0, false);
 */
#include "port/internal.h"

struct fault_point {
	_Atomic uint64_t nth;   /* 0: off */
	_Atomic uint64_t count; /* occurrences since it was switched on */
	atomic_bool for_ever;
};

static struct fault_point points[PORT_FAULT_POINTS];

void port_fault_set(enum port_fault_point point, uint64_t nth, bool for_ever)
{
	struct fault_point *p = &points[point];

	ASSERT(point < PORT_FAULT_POINTS);
	atomic_store(&p->nth, 0);
	atomic_store(&p->count, 0);
	atomic_store(&p->for_ever, for_ever);
	atomic_store(&p->nth, nth);
}

uint64_t port_fault_count(enum port_fault_point point)
{
	ASSERT(point < PORT_FAULT_POINTS);
	return atomic_load(&points[point].count);
}

bool port_fault_hit(enum port_fault_point point)
{
	struct fault_point *p = &points[point];
	uint64_t n, nth;

	ASSERT(point < PORT_FAULT_POINTS);
	nth = atomic_load_explicit(&p->nth, memory_order_relaxed);
	if (__builtin_expect(nth == 0, 1)) {
		return false;
	}
	n = atomic_fetch_add_explicit(&p->count, 1, memory_order_relaxed) + 1;
	return n == nth || (n > nth && atomic_load(&p->for_ever));
}
