// SPDX-License-Identifier: MIT
/*
 * Host side of a GPU access.
 *
 * A client thread may poll a word that a batch writes, or write a word that a batch polls, so every
 * access is made of atomic units: 8 bytes where the address allows it, else 4, else single bytes.
 * An aligned store of 4 or 8 bytes is thus one store. Stores release and loads acquire: a client
 * that sees a word also sees what the batch wrote before it, as on coherent memory.
 *
 * Copies and fills of more than 8 bytes are plain memory operations: whoever looks at such memory
 * waits for a fence first.
 *
 * Guarded memory belongs to the client and may vanish at any time; only the port may touch it.
 */
#include "gpu/host.h"

#include "base/bits.h"

static size_t unit_at(const uint8_t *p, size_t n)
{
	if (n >= 8 && ((uintptr_t)p & 7) == 0) {
		return 8;
	}
	return n >= 4 && ((uintptr_t)p & 3) == 0 ? 4 : 1;
}

static uint64_t load_unit(const uint8_t *p, size_t unit)
{
	if (unit == 8) {
		return __atomic_load_n((const uint64_t *)(const void *)p, __ATOMIC_ACQUIRE);
	}
	if (unit == 4) {
		return __atomic_load_n((const uint32_t *)(const void *)p, __ATOMIC_ACQUIRE);
	}
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static void store_unit(uint8_t *p, size_t unit, uint64_t value)
{
	if (unit == 8) {
		__atomic_store_n((uint64_t *)(void *)p, value, __ATOMIC_RELEASE);
	} else if (unit == 4) {
		__atomic_store_n((uint32_t *)(void *)p, (uint32_t)value, __ATOMIC_RELEASE);
	} else {
		__atomic_store_n(p, (uint8_t)value, __ATOMIC_RELEASE);
	}
}

int gpu_host_load(const struct gpu_span *span, void *dst)
{
	uint8_t *out = dst;

	ASSERT(span->n > 0 && span->n <= GPU_EPOCH_MAX_B);
	if (!span->host) {
		memset(dst, 0, span->n);
		return 0;
	}
	if (span->guarded) {
		return port_gpu_load((uint64_t)(uintptr_t)span->host, dst, span->n);
	}
	for (size_t i = 0; i < span->n;) {
		size_t unit = unit_at(span->host + i, span->n - i);
		uint64_t value = load_unit(span->host + i, unit);

		memcpy(out + i, &value, unit);
		i += unit;
	}
	return 0;
}

int gpu_host_store(const struct gpu_span *span, const void *src)
{
	const uint8_t *in = src;

	ASSERT(span->n > 0 && span->n <= GPU_EPOCH_MAX_B);
	if (!span->host) {
		return 0;
	}
	if (span->guarded) {
		return port_gpu_store((uint64_t)(uintptr_t)span->host, src, span->n);
	}
	for (size_t i = 0; i < span->n;) {
		size_t unit = unit_at(span->host + i, span->n - i);
		uint64_t value = 0;

		memcpy(&value, in + i, unit);
		store_unit(span->host + i, unit, value);
		i += unit;
	}
	return 0;
}

#define BOUNCE_B 1024

/* Below BOUNCE_B bytes only when that is how far @dst is behind @src: see gpu_host_copy(). */
static size_t bounce_piece(const struct gpu_span *dst, const struct gpu_span *src)
{
	size_t ahead = (size_t)((uintptr_t)dst->host - (uintptr_t)src->host);

	return ahead > 0 && ahead < BOUNCE_B ? ahead : BOUNCE_B;
}

/* Through memory of our own: each side alone can do what it has to. */
static int copy_bounced(const struct gpu_span *dst, const struct gpu_span *src,
			const struct gpu_span **failed_out)
{
	size_t step = bounce_piece(dst, src);
	uint8_t bounce[BOUNCE_B];

	for (size_t done = 0, n; done < dst->n; done += n) {
		struct gpu_span to = *dst, from = *src;

		n = min_u64(dst->n - done, step);
		from.host = src->host ? src->host + done : NULL;
		to.host = dst->host ? dst->host + done : NULL;
		from.n = to.n = n;
		if (gpu_host_load(&from, bounce)) {
			*failed_out = src;
			return -EFAULT;
		}
		if (gpu_host_store(&to, bounce)) {
			*failed_out = dst;
			return -EFAULT;
		}
	}
	return 0;
}

int gpu_host_copy(const struct gpu_span *dst, const struct gpu_span *src,
		  const struct gpu_span **failed_out)
{
	size_t ahead = (size_t)((uintptr_t)dst->host - (uintptr_t)src->host);
	size_t n = dst->n;

	ASSERT(n > 0 && n <= GPU_EPOCH_MAX_B && src->n == n);
	/* Few bytes are perhaps a word that somebody polls: one store. */
	if (n <= 8 || dst->guarded || src->guarded || !dst->host) {
		return copy_bounced(dst, src, failed_out);
	}
	if (!src->host) {
		memset(dst->host, 0, n);
	} else if (ahead - 1 < n - 1) {
		for (size_t i = 0; i < n; i++) {
			dst->host[i] = src->host[i];
		}
	} else {
		memmove(dst->host, src->host, n);
	}
	return 0;
}

/* True when @desired replaced *@old_io; else *@old_io is what is there. */
static bool exchange(const struct gpu_span *span, uint64_t *old_io, uint64_t desired)
{
	void *p = span->host;
	uint32_t old32 = (uint32_t)*old_io;
	bool done;

	if (span->n == 8) {
		return __atomic_compare_exchange_n((uint64_t *)p, old_io, desired, false,
						   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	}
	done = __atomic_compare_exchange_n((uint32_t *)p, &old32, (uint32_t)desired, false,
					   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	*old_io = old32;
	return done;
}

static int rmw_guarded(const struct gpu_span *span, gpu_rmw_fn fn, const void *arg,
		       uint64_t *old_out)
{
	uint64_t addr = (uint64_t)(uintptr_t)span->host;
	uint64_t old = 0;
	int ret = port_gpu_load(addr, &old, span->n);

	while (!ret) {
		uint64_t seen = old;

		ret = port_gpu_cmpxchg(addr, span->n, &seen, fn(old, arg));
		if (!ret && seen == old) {
			*old_out = old;
			return 0;
		}
		old = seen;
	}
	return ret;
}

int gpu_host_rmw(const struct gpu_span *span, gpu_rmw_fn fn, const void *arg, uint64_t *old_out)
{
	uint64_t old;

	ASSERT(span->n == 4 || span->n == 8);
	ASSERT(((uintptr_t)span->host & (span->n - 1)) == 0);
	if (!span->host) {
		*old_out = 0;
		return 0;
	}
	if (span->guarded) {
		return rmw_guarded(span, fn, arg, old_out);
	}
	old = load_unit(span->host, span->n);
	while (!exchange(span, &old, fn(old, arg))) {
	}
	*old_out = old;
	return 0;
}
