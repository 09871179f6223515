// SPDX-License-Identifier: MIT
/*
 * Filling memory with a few bytes again and again, as fast as memset() fills it with one.
 *
 * A fill of many MiB arrives here in pieces of one access epoch. memset() would see each of them as
 * small and leave it in the caches, which costs a third of the speed; so the pattern remembers that
 * it belongs to a large fill, whose pieces go past the caches. The processor's own string store
 * does what its vector stores do, without their dispatch; elsewhere there is a portable loop.
 *
 * Example: gpu_pattern_init() once per command, gpu_host_fill() in each epoch.
 */
#include "base/bits.h"
#include "gpu/host.h"

#define STREAM_B ((uint64_t)32 << 20) /* about what caches hold: such a fill leaves nothing there */
#define STREAM_STEP_B 48u             /* of every period a multiple */
#define STREAM_PIECE_B 16384u         /* below it the wait at the end costs more than it saves */
#define LONG_B 256u                   /* the string store needs a run-up */

_Static_assert(GPU_PATTERN_B % STREAM_STEP_B == 0, "a pattern holds whole steps");

/* The shortest period that gives the same bytes: clients fill in units as large as they can. */
static size_t shortest_period(const uint8_t *bytes, size_t period)
{
	static const uint8_t divisors[] = { 1, 2, 4, 8, 12, 16 };

	for (unsigned i = 0; i < ARRAY_LEN(divisors) && divisors[i] < period; i++) {
		if (period % divisors[i] == 0 &&
		    memcmp(bytes, bytes + divisors[i], period - divisors[i]) == 0) {
			return divisors[i];
		}
	}
	return period;
}

void gpu_pattern_init(struct gpu_pattern *pattern, const void *value, size_t period,
		      uint64_t fill_B)
{
	size_t want = min_u64(fill_B, GPU_PATTERN_B);

	ASSERT(period > 0 && period <= 16 && GPU_PATTERN_B % period == 0);
	memcpy(pattern->bytes, value, period);
	pattern->period = shortest_period(pattern->bytes, period);
	pattern->stream = fill_B >= STREAM_B;
	pattern->size = period;
	while (pattern->size < want) {
		size_t n = min_u64(pattern->size, GPU_PATTERN_B - pattern->size);

		memcpy(pattern->bytes + pattern->size, pattern->bytes, n);
		pattern->size += n;
	}
}

#if defined(__x86_64__)

typedef uint64_t vector __attribute__((vector_size(16)));

static void store_past_caches(uint8_t *dst, vector value)
{
#if defined(__clang__)
	__builtin_nontemporal_store(value, (vector *)(void *)dst);
#else
	typedef long long words __attribute__((vector_size(16)));

	__builtin_ia32_movntdq((words *)(void *)dst, (words)value);
#endif
}

/* Whole steps at an address aligned to 16 bytes; *@phase stays. */
static size_t fill_stream(uint8_t *dst, size_t n, const uint8_t *bytes)
{
	const uint8_t *end = dst + n / STREAM_STEP_B * STREAM_STEP_B;
	vector a, b, c;

	ASSERT(is_aligned((uintptr_t)dst, sizeof(vector)));
	memcpy(&a, bytes, sizeof(a));
	memcpy(&b, bytes + 16, sizeof(b));
	memcpy(&c, bytes + 32, sizeof(c));
	for (; dst != end; dst += STREAM_STEP_B) {
		store_past_caches(dst, a);
		store_past_caches(dst + 16, b);
		store_past_caches(dst + 32, c);
	}
	/* Such stores are ordered by nothing else. */
	__builtin_ia32_sfence();
	return n / STREAM_STEP_B * STREAM_STEP_B;
}

/* Whole words at an address aligned to them. */
static size_t fill_words(uint8_t *dst, size_t n, const uint8_t *bytes)
{
	uint64_t value, count = n / sizeof(value);

	ASSERT(is_aligned((uintptr_t)dst, sizeof(value)));
	memcpy(&value, bytes, sizeof(value));
	__asm__ volatile("rep stosq" : "+D"(dst), "+c"(count) : "a"(value) : "memory");
	return n / sizeof(value) * sizeof(value);
}

#else

static size_t fill_stream(uint8_t *dst, size_t n, const uint8_t *bytes)
{
	return 0;
}

static size_t fill_words(uint8_t *dst, size_t n, const uint8_t *bytes)
{
	return 0;
}

#endif

/* Copies of the pattern, one after the other. */
static void fill_plain(uint8_t *dst, size_t n, const struct gpu_pattern *pattern, size_t phase)
{
	for (size_t done = 0, piece; done < n; done += piece, phase = 0) {
		piece = min_u64(n - done, pattern->size - phase);
		memcpy(dst + done, pattern->bytes + phase, piece);
	}
}

/* Long fills: the ends as they come, what is aligned in between at full speed. */
static void fill_long(uint8_t *dst, size_t n, const struct gpu_pattern *pattern, size_t phase)
{
	size_t head = -(uintptr_t)dst & 15, done = head;
	const uint8_t *bytes = pattern->bytes + (phase + head) % pattern->period;

	ASSERT(n >= LONG_B && pattern->size >= STREAM_STEP_B + pattern->period);
	fill_plain(dst, head, pattern, phase);
	if (pattern->stream && n >= STREAM_PIECE_B) {
		done += fill_stream(dst + done, n - done, bytes);
	} else if (pattern->period == 1) {
		memset(dst + done, bytes[0], n - done);
		done = n;
	} else if (8 % pattern->period == 0) {
		done += fill_words(dst + done, n - done, bytes);
	}
	fill_plain(dst + done, n - done, pattern, (phase + done) % pattern->period);
}

static int fill_guarded(const struct gpu_span *span, const struct gpu_pattern *pattern,
			size_t phase)
{
	struct gpu_span piece = *span;

	for (size_t done = 0; done < span->n; done += piece.n, phase = 0) {
		piece.host = span->host + done;
		piece.n = min_u64(span->n - done, pattern->size - phase);
		if (gpu_host_store(&piece, pattern->bytes + phase)) {
			return -EFAULT;
		}
	}
	return 0;
}

int gpu_host_fill(const struct gpu_span *span, const struct gpu_pattern *pattern, size_t phase)
{
	ASSERT(span->n > 0 && span->n <= GPU_EPOCH_MAX_B);
	ASSERT(phase < pattern->size && pattern->size % pattern->period == 0);
	if (!span->host) {
		return 0;
	}
	/* Few bytes are perhaps a word that somebody polls: one store. */
	if (span->n <= 8 || span->guarded) {
		return fill_guarded(span, pattern, phase);
	}
	if (span->n < LONG_B) {
		fill_plain(span->host, span->n, pattern, phase);
	} else {
		fill_long(span->host, span->n, pattern, phase);
	}
	return 0;
}
