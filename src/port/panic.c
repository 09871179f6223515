// SPDX-License-Identifier: MIT
/*
 * The end of a run that broke an invariant: says where, what, which locks the thread holds and how
 * to run into it again, then aborts. Uses neither stdio nor the allocator, because the state of
 * both is unknown. A panic inside a panic aborts at once.
 */
#include "port/internal.h"

#include <dlfcn.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static atomic_bool panicking;
static _Atomic(void (*)(void *ctx)) on_panic;
static void *_Atomic on_panic_ctx;

static void panic_vprint(const char *format, va_list args)
{
	char text[1024];
	int n = vsnprintf(text, sizeof(text), format, args);
	size_t left = n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
	const char *p = text;

	while (left) {
		ssize_t done = write(STDERR_FILENO, p, left);

		if (done <= 0) {
			return;
		}
		p += done;
		left -= (size_t)done;
	}
}

void panic_print(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	panic_vprint(format, args);
	va_end(args);
}

void panic_print_where(const char *before, uintptr_t where)
{
	Dl_info info;

	if (where && dladdr((void *)where, &info) && info.dli_fbase) {
		panic_print("%s%s+0x%lx\n", before, info.dli_fname,
			    (unsigned long)(where - (uintptr_t)info.dli_fbase));
	} else {
		panic_print("%s0x%lx\n", before, (unsigned long)where);
	}
}

struct lock_name lock_name(const struct port_lock_class *class, const void *lock)
{
	struct lock_name name;

	if (lock && class->of_id) {
		snprintf(name.text, sizeof(name.text), "\"%s\" of %s %lu", class->name, class->of,
			 (unsigned long)class->of_id(lock));
	} else {
		snprintf(name.text, sizeof(name.text), "\"%s\"", class->name);
	}
	return name;
}

void panic_print_held(const struct lock_checks *checks)
{
	for (unsigned i = 0; i < checks->depth; i++) {
		const struct held *h = &checks->held[i];

		panic_print("vmbind:   holds %u of %s (rank %d), taken at %s\n", h->count,
			    lock_name(h->class, h->lock).text, (int)h->class->rank, h->where);
	}
}

void port_on_panic(void (*fn)(void *ctx), void *ctx)
{
	atomic_store(&on_panic, NULL);
	atomic_store(&on_panic_ctx, ctx);
	atomic_store(&on_panic, fn);
}

void port_panic_line(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	panic_vprint(format, args);
	va_end(args);
}

/* A panic inside a panic says nothing more. */
static void panic_begin(void)
{
	if (atomic_exchange(&panicking, true)) {
		abort();
	}
}

_Noreturn void panic_end(void)
{
	const struct lock_checks *checks = host_checks();
	void (*fn)(void *ctx) = atomic_load(&on_panic);

	if (checks->doing) {
		panic_print("vmbind:   during %s 0x%lx\n", checks->doing,
			    (unsigned long)checks->doing_nr);
	}
	if (checks->signalling || checks->publishing) {
		panic_print("vmbind:   on the way to the signal of fence %lu:%lu\n",
			    (unsigned long)checks->context, (unsigned long)checks->seqno);
	}
	if (checks->end) {
		panic_print("vmbind:   at client memory [0x%lx, 0x%lx)\n",
			    (unsigned long)checks->start, (unsigned long)checks->end);
	}
	panic_print_held(checks);
	if (fn) {
		fn(atomic_load(&on_panic_ctx));
	}
	host_panic_note();
	abort();
}

_Noreturn void port_panic(const char *file, int line, const char *what)
{
	panic_begin();
	panic_print("vmbind: panic at %s:%d: %s\n", file, line, what);
	panic_end();
}

static void rule_vprint(const char *rule, const char *first, const char *second,
			const char *format, va_list args)
{
	panic_begin();
	panic_print("vmbind: rule %s broken: ", rule);
	panic_vprint(format, args);
	panic_print("\n");
	if (first) {
		panic_print("vmbind:   at %s\n", first);
	}
	if (second) {
		panic_print("vmbind:   and %s\n", second);
	}
}

void panic_rule(const char *rule, const char *first, const char *second, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	rule_vprint(rule, first, second, format, args);
	va_end(args);
}

_Noreturn void port_rule_broken(const char *rule, const char *first, const char *second,
				const char *format, ...)
{
	va_list args;

	va_start(args, format);
	rule_vprint(rule, first, second, format, args);
	va_end(args);
	panic_end();
}

_Noreturn void panic_format(const char *file, int line, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	port_panic(file, line, text);
}

void spin_lock(struct spin *s)
{
	unsigned spins = 0;

	while (atomic_flag_test_and_set_explicit(&s->flag, memory_order_acquire)) {
		if (++spins % 64 == 0) {
			sched_yield();
		}
	}
}

void spin_unlock(struct spin *s)
{
	atomic_flag_clear_explicit(&s->flag, memory_order_release);
}

void spin_reset(struct spin *s)
{
	atomic_flag_clear_explicit(&s->flag, memory_order_relaxed);
}
