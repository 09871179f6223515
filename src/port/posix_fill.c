// SPDX-License-Identifier: MIT
/*
 * Bulk stores of page-table entries, as wide as the CPU allows.
 *
 * A walker may read an entry at any time and must see the old or the new value of all its 64 bits.
 * The vector stores are aligned to their 32 bytes, so none crosses a cache line. The makers of
 * x86-64 CPUs promise that aligned 16 bytes are stored at once where there is AVX; a CPU that
 * splits 32 bytes makes two of these of it. So each entry, aligned to 8 bytes, is part of exactly
 * one store. That is also why nobody calls memset() here: it may store single bytes.
 *
 * ThreadSanitizer does not see a vector store as atomic, so it gets the plain loop.
 */
#include "port/internal.h"

static void fill_one_by_one(uint64_t *dst, uint64_t value, uint64_t step, size_t n)
{
	for (size_t i = 0; i < n; i++, value += step) {
		__atomic_store_n(&dst[i], value, __ATOMIC_RELAXED);
	}
}

#if defined(__x86_64__) && !defined(PORT_TSAN)

typedef uint64_t four __attribute__((vector_size(32), may_alias));

__attribute__((target("avx2"))) static void fill_by_four(uint64_t *dst, uint64_t value,
							 uint64_t step, size_t n)
{
	size_t head = -(uintptr_t)dst / sizeof(*dst) % 4;
	four v, next;

	head = head < n ? head : n;
	fill_one_by_one(dst, value, step, head);
	dst += head;
	n -= head;
	value += head * step;
	v = (four){ value, value + step, value + 2 * step, value + 3 * step };
	next = (four){ 4 * step, 4 * step, 4 * step, 4 * step };
	for (; n >= 4; n -= 4, dst += 4, v += next) {
		*(four *)dst = v;
	}
	fill_one_by_one(dst, v[0], step, n);
}

void port_fill64(uint64_t *dst, uint64_t value, uint64_t step, size_t n)
{
	if (n >= 8 && __builtin_cpu_supports("avx2")) {
		fill_by_four(dst, value, step, n);
	} else {
		fill_one_by_one(dst, value, step, n);
	}
}

#else

void port_fill64(uint64_t *dst, uint64_t value, uint64_t step, size_t n)
{
	fill_one_by_one(dst, value, step, n);
}

#endif
