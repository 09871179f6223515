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
 *
 * A user's faults (fault.h) are looked at where a point is switched on, so they cost nothing else:
 * arming switches all points on, to count only. They are constant from then on. A thread knows the
 * ioctl that it is in; what workers and helpers do is in none.
 */
#include "port/fault.h"

#include "port/internal.h"

struct fault_point {
	_Atomic uint64_t nth;   /* 0: off */
	_Atomic uint64_t count; /* occurrences since it was switched on */
	atomic_bool for_ever;
};

static struct fault_point points[PORT_FAULT_POINTS];
atomic_uint port_fault_on;

/* Written once, before @armed is set. */
static struct port_faults faults;
static port_fault_listener *listener;
static _Atomic uint64_t happened[PORT_FAULTS_MAX];
static atomic_bool armed;

/* What a point fails with if nobody names an error. */
static const int errors[PORT_FAULT_POINTS] = {
	[PORT_FAULT_ALLOC] = -ENOMEM, [PORT_FAULT_USER_COPY] = -EFAULT,
	[PORT_FAULT_SLEEP] = -EINTR,  [PORT_FAULT_THREAD] = -EAGAIN,
	[PORT_FAULT_BIND] = -ENOMEM,  [PORT_FAULT_IOCTL] = -ENOMEM,
	[PORT_FAULT_VRAM] = -ENOMEM,
};

void port_fault_set(enum port_fault_point point, uint64_t nth, bool for_ever)
{
	struct fault_point *p = &points[point];

	ASSERT(point < PORT_FAULT_POINTS);
	atomic_store(&p->nth, 0);
	atomic_store(&p->count, 0);
	atomic_store(&p->for_ever, for_ever);
	atomic_store(&p->nth, nth);
	if (nth) {
		atomic_fetch_or(&port_fault_on, 1u << point);
	} else {
		atomic_fetch_and(&port_fault_on, ~(1u << point));
	}
}

uint64_t port_fault_count(enum port_fault_point point)
{
	ASSERT(point < PORT_FAULT_POINTS);
	return atomic_load(&points[point].count);
}

/* ---- a user's faults ------------------------------------------------------------------------- */

/* Files are named as the compiler was told to, which may be relative to where it ran. */
static const char *place_name(const char *place)
{
	while (strncmp(place, "../", 3) == 0) {
		place += 3;
	}
	return place;
}

/* @place ends with @wanted, which begins with the name of a folder or of the file. */
static bool is_at(const char *place, const char *wanted)
{
	size_t len = strlen(place), wanted_len = strlen(wanted);

	return len >= wanted_len && strcmp(place + len - wanted_len, wanted) == 0 &&
	       (len == wanted_len || place[len - wanted_len - 1] == '/');
}

static bool concerns(const struct port_fault *fault, enum port_fault_point point,
		     const char *ioctl, const char *place)
{
	return fault->point == point &&
	       (!*fault->ioctl ||
		(ioctl && strcmp(port_fault_ioctl(ioctl), fault->ioctl) == 0)) &&
	       (!*fault->place || is_at(place, fault->place));
}

static bool strikes(const struct port_fault *fault, uint64_t n)
{
	switch (fault->when) {
	case PORT_FAULT_EVERY:
		return n % fault->n == 0;
	case PORT_FAULT_FROM:
		return n >= fault->n;
	default:
		return n == fault->n;
	}
}

/* Each fault counts what concerns it; of those that strike the first says what with. */
static int armed_error(enum port_fault_point point, uint64_t total, const char *place)
{
	const char *ioctl = host_checks()->fault_ioctl;
	int error = 0;

	place = place_name(place);
	listener(point, -1, total, false, ioctl, place);
	for (unsigned i = 0; i < faults.count; i++) {
		const struct port_fault *fault = &faults.fault[i];
		bool strike;
		uint64_t n;

		if (!concerns(fault, point, ioctl, place)) {
			continue;
		}
		n = atomic_fetch_add_explicit(&happened[i], 1, memory_order_relaxed) + 1;
		strike = !error && strikes(fault, n);
		listener(point, (int)i, n, strike, ioctl, place);
		if (strike) {
			error = fault->error;
		}
	}
	if (error == -EINTR) {
		host_checks()->fault_interrupted = true;
	}
	return error;
}

void port_fault_arm(const struct port_faults *wanted, port_fault_listener *tell)
{
	ASSERT(!atomic_load(&armed) && wanted->count <= PORT_FAULTS_MAX);
	faults = *wanted;
	listener = tell;
	atomic_store(&armed, true);
	for (unsigned point = 0; point < PORT_FAULT_POINTS; point++) {
		port_fault_set((enum port_fault_point)point, UINT64_MAX, false);
	}
}

int port_fault_occurs(enum port_fault_point point, const char *place)
{
	struct fault_point *p = &points[point];
	uint64_t n, nth;

	ASSERT(point < PORT_FAULT_POINTS);
	nth = atomic_load_explicit(&p->nth, memory_order_relaxed);
	if (nth == 0) {
		return 0;
	}
	n = atomic_fetch_add_explicit(&p->count, 1, memory_order_relaxed) + 1;
	if (n == nth || (n > nth && atomic_load(&p->for_ever))) {
		return errors[point];
	}
	return atomic_load(&armed) ? armed_error(point, n, place) : 0;
}

int port_fault_begin(const char *name, const char *place)
{
	if (atomic_load(&armed)) {
		host_checks()->fault_ioctl = name;
		host_checks()->fault_interrupted = false;
	}
	return port_fault_occurs(PORT_FAULT_IOCTL, place);
}

void port_fault_end(void)
{
	if (atomic_load(&armed)) {
		host_checks()->fault_ioctl = NULL;
	}
}

bool fault_interrupted(void)
{
	struct lock_checks *own = host_checks();
	bool interrupted = own->fault_interrupted;

	own->fault_interrupted = false;
	return interrupted;
}
