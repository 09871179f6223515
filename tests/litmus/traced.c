// SPDX-License-Identifier: MIT
/*
 * What -fsanitize=thread makes the compiler call at each access to memory, here without its
 * runtime: every access is told to the simulator. Also the functions of libc that the core calls,
 * by other names (-Dmemcpy=traced_memcpy), as no compiler sees what they access.
 *
 * One thread runs at a time and gives way in the port only, so plain accesses do for atomic ones.
 */
#include "port/sim.h"

#include <string.h>

typedef unsigned __int128 u128;

void __tsan_init(void);
void __tsan_func_entry(void *pc);
void __tsan_func_exit(void);
void __tsan_vptr_update(void **at, void *value);
void __tsan_vptr_read(void **at);
void __tsan_read_range(void *at, size_t n);
void __tsan_write_range(void *at, size_t n);
void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_signal_fence(int order);

void __tsan_init(void)
{
}

void __tsan_func_entry(void *pc)
{
}

/* What the caller has on the stack ends with it. */
void __tsan_func_exit(void)
{
	sim_frame_ended((const char *)__builtin_frame_address(1) + 2 * sizeof(void *));
}

void __tsan_vptr_update(void **at, void *value)
{
	sim_touch(at, sizeof(*at), SIM_WRITE);
}

void __tsan_vptr_read(void **at)
{
	sim_touch(at, sizeof(*at), SIM_READ);
}

void __tsan_read_range(void *at, size_t n)
{
	sim_touch(at, n, SIM_READ);
}

void __tsan_write_range(void *at, size_t n)
{
	sim_touch(at, n, SIM_WRITE);
}

void __tsan_atomic_thread_fence(int order)
{
}

void __tsan_atomic_signal_fence(int order)
{
}

/*
 * gcc tells of a write to a bit-field as if all of the bytes around it were written. Their other
 * bits are kept, so these bytes are read too. No bit-field has more than 32 bits.
 */
#define BIT_FIELD_B 4

#define PLAIN(prefix, n)                                                                           \
	void __tsan_##prefix##read##n(void *at);                                                   \
	void __tsan_##prefix##write##n(void *at);                                                  \
	void __tsan_##prefix##read##n(void *at)                                                    \
	{                                                                                          \
		sim_touch(at, n, SIM_READ);                                                        \
	}                                                                                          \
	void __tsan_##prefix##write##n(void *at)                                                   \
	{                                                                                          \
		sim_touch(at, n, (n) <= BIT_FIELD_B ? SIM_WRITE_BITS : SIM_WRITE);                 \
	}

PLAIN(, 1)
PLAIN(, 2)
PLAIN(, 4)
PLAIN(, 8)
PLAIN(, 16)
PLAIN(unaligned_, 2)
PLAIN(unaligned_, 4)
PLAIN(unaligned_, 8)
PLAIN(unaligned_, 16)
PLAIN(volatile_, 1)
PLAIN(volatile_, 2)
PLAIN(volatile_, 4)
PLAIN(volatile_, 8)
PLAIN(volatile_, 16)

/* clang: a read and a write of the same place. */
#define COMPOUND(n)                                                                                \
	void __tsan_read_write##n(void *at);                                                       \
	void __tsan_read_write##n(void *at)                                                        \
	{                                                                                          \
		sim_touch(at, n, SIM_READ);                                                        \
		sim_touch(at, n, SIM_WRITE);                                                       \
	}

COMPOUND(1)
COMPOUND(2)
COMPOUND(4)
COMPOUND(8)
COMPOUND(16)

#define FETCH(bits, type, name, op)                                                                \
	type __tsan_atomic##bits##_fetch_##name(volatile type *at, type value, int order);         \
	type __tsan_atomic##bits##_fetch_##name(volatile type *at, type value, int order)          \
	{                                                                                          \
		type old = *at;                                                                    \
		sim_touch((void *)at, sizeof(*at), SIM_READ);                                      \
		sim_touch((void *)at, sizeof(*at), SIM_WRITE);                                     \
		*at = (type)(op);                                                                  \
		return old;                                                                        \
	}

#define COMPARE(bits, type, name)                                                                  \
	int __tsan_atomic##bits##_compare_exchange_##name(volatile type *at, type *expected,       \
							  type value, int order, int fail_order);  \
	int __tsan_atomic##bits##_compare_exchange_##name(volatile type *at, type *expected,       \
							  type value, int order, int fail_order)   \
	{                                                                                          \
		type old = *at;                                                                    \
		sim_touch((void *)at, sizeof(*at), SIM_READ);                                      \
		sim_touch(expected, sizeof(*expected), SIM_READ);                                  \
		if (old == *expected) {                                                            \
			sim_touch((void *)at, sizeof(*at), SIM_WRITE);                             \
			*at = value;                                                               \
			return 1;                                                                  \
		}                                                                                  \
		sim_touch(expected, sizeof(*expected), SIM_WRITE);                                 \
		*expected = old;                                                                   \
		return 0;                                                                          \
	}

#define ATOMIC(bits, type)                                                                         \
	type __tsan_atomic##bits##_load(const volatile type *at, int order);                       \
	void __tsan_atomic##bits##_store(volatile type *at, type value, int order);                \
	type __tsan_atomic##bits##_compare_exchange_val(volatile type *at, type expected,          \
							type value, int order, int fail_order);    \
	type __tsan_atomic##bits##_load(const volatile type *at, int order)                        \
	{                                                                                          \
		sim_touch((const void *)at, sizeof(*at), SIM_READ);                                \
		return *at;                                                                        \
	}                                                                                          \
	void __tsan_atomic##bits##_store(volatile type *at, type value, int order)                 \
	{                                                                                          \
		sim_touch((void *)at, sizeof(*at), SIM_WRITE);                                     \
		*at = value;                                                                       \
	}                                                                                          \
	type __tsan_atomic##bits##_exchange(volatile type *at, type value, int order);             \
	type __tsan_atomic##bits##_exchange(volatile type *at, type value, int order)              \
	{                                                                                          \
		type old = *at;                                                                    \
		sim_touch((void *)at, sizeof(*at), SIM_READ);                                      \
		sim_touch((void *)at, sizeof(*at), SIM_WRITE);                                     \
		*at = value;                                                                       \
		return old;                                                                        \
	}                                                                                          \
	FETCH(bits, type, add, old + value)                                                        \
	FETCH(bits, type, sub, old - value)                                                        \
	FETCH(bits, type, and, old & value)                                                        \
	FETCH(bits, type, or, old | value)                                                         \
	FETCH(bits, type, xor, old ^ value)                                                        \
	FETCH(bits, type, nand, ~(old & value))                                                    \
	COMPARE(bits, type, strong)                                                                \
	COMPARE(bits, type, weak)                                                                  \
	type __tsan_atomic##bits##_compare_exchange_val(volatile type *at, type expected,          \
							type value, int order, int fail_order)     \
	{                                                                                          \
		type old = *at;                                                                    \
		sim_touch((void *)at, sizeof(*at), SIM_READ);                                      \
		if (old == expected) {                                                             \
			sim_touch((void *)at, sizeof(*at), SIM_WRITE);                             \
			*at = value;                                                               \
		}                                                                                  \
		return old;                                                                        \
	}

ATOMIC(8, uint8_t)
ATOMIC(16, uint16_t)
ATOMIC(32, uint32_t)
ATOMIC(64, uint64_t)
ATOMIC(128, u128)

/* ---- libc ------------------------------------------------------------------------------------ */

void *traced_memcpy(void *to, const void *from, size_t n);
void *traced_memmove(void *to, const void *from, size_t n);
void *traced_memset(void *to, int byte, size_t n);
int traced_memcmp(const void *a, const void *b, size_t n);

void *traced_memcpy(void *to, const void *from, size_t n)
{
	sim_touch(from, n, SIM_READ);
	sim_touch(to, n, SIM_WRITE);
	return memcpy(to, from, n);
}

void *traced_memmove(void *to, const void *from, size_t n)
{
	sim_touch(from, n, SIM_READ);
	sim_touch(to, n, SIM_WRITE);
	return memmove(to, from, n);
}

void *traced_memset(void *to, int byte, size_t n)
{
	sim_touch(to, n, SIM_WRITE);
	return memset(to, byte, n);
}

int traced_memcmp(const void *a, const void *b, size_t n)
{
	sim_touch(a, n, SIM_READ);
	sim_touch(b, n, SIM_READ);
	return memcmp(a, b, n);
}
