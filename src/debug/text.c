// SPDX-License-Identifier: MIT
/*
 * Text that goes out as it is made: a dump of many MiB is never in memory as a whole.
 *
 * Locking: the caller's; a struct text is one thread's.
 *
 *	struct text t = { .put = put, .ctx = ctx };
 *
 *	text_hex(&t, "ACTHD: 0x", ip, 16);
 *	text_put(&t, "\n");
 *	ret = text_end(&t);
 */
#include "debug/dump_priv.h"

static void flush(struct text *t)
{
	if (t->n && !t->error) {
		t->error = t->put(t->ctx, t->buf, t->n);
	}
	t->n = 0;
}

static void put_char(struct text *t, char c)
{
	if (t->n == sizeof(t->buf)) {
		flush(t);
	}
	t->buf[t->n++] = c;
}

void text_put(struct text *t, const char *s)
{
	while (*s) {
		put_char(t, *s++);
	}
}

static void put_number(struct text *t, uint64_t value, unsigned base, unsigned digits)
{
	char reversed[20];
	unsigned n = 0;

	ASSERT(digits <= sizeof(reversed));
	do {
		reversed[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value || n < digits);
	while (n) {
		put_char(t, reversed[--n]);
	}
}

void text_dec(struct text *t, const char *before, uint64_t value)
{
	text_put(t, before);
	put_number(t, value, 10, 1);
}

void text_hex(struct text *t, const char *before, uint64_t value, unsigned digits)
{
	text_put(t, before);
	put_number(t, value, 16, digits);
}

void text_ascii85(struct text *t, const uint8_t *data, size_t n)
{
	ASSERT(n % 4 == 0);
	for (size_t i = 0; i < n && !t->error; i += 4) {
		uint32_t dword, scale = 85u * 85 * 85 * 85;

		memcpy(&dword, data + i, 4);
		if (!dword) {
			put_char(t, 'z');
			continue;
		}
		for (; scale; scale /= 85) {
			put_char(t, (char)('!' + dword / scale % 85));
		}
	}
}

int text_end(struct text *t)
{
	flush(t);
	return t->error;
}
