// SPDX-License-Identifier: MIT
/*
 * /sys/devices/virtual/workqueue/cpumask: the CPUs that do work in the background.
 *
 * A kernel's driver leaves work to workqueues, and this file says where they run. The device's work
 * is done by threads of this process, so the file is theirs and not the host's, which a client that
 * runs as root would change for everybody.
 *
 * Text as a kernel has it: hexadecimal digits, the lowest CPU last, each eight of them before a
 * comma. CPUs that the host has not are taken and left out.
 *
 * Example: "3\n" on two CPUs; after a write of "2" it is the second one alone.
 */
#include "node/node.h"

#include "port/posix.h"

#include <ctype.h>
#include <stdio.h>

#define GROUP 8 /* digits */
#define DIGITS (PORT_CPU_WORDS * 16)

static unsigned digit_at(const uint64_t *mask, unsigned i)
{
	return (unsigned)(mask[i / 16] >> i % 16 * 4) & 0xf;
}

size_t cpus_show(char text[CPUS_TEXT_B])
{
	uint64_t mask[PORT_CPU_WORDS];
	unsigned digits = DIGITS;
	size_t n = 0;

	port_threads_cpus(mask);
	while (digits > 1 && !digit_at(mask, digits - 1)) {
		digits--;
	}
	while (digits--) {
		text[n++] = "0123456789abcdef"[digit_at(mask, digits)];
		if (digits && digits % GROUP == 0) {
			text[n++] = ',';
		}
	}
	text[n++] = '\n';
	return n;
}

static uint32_t digit_of(char c)
{
	return (uint32_t)(isdigit((unsigned char)c) ? c - '0' : (c | 0x20) - 'a' + 10);
}

/* A group of digits into @group_out. How many there are; -EINVAL, -EOVERFLOW. */
static int parse_group(const char *at, const char *end, uint32_t *group_out)
{
	const char *p;

	*group_out = 0;
	for (p = at; p < end && *p != ','; p++) {
		if (!isxdigit((unsigned char)*p)) {
			return -EINVAL;
		}
		if (p - at >= GROUP) {
			return -EOVERFLOW;
		}
		*group_out = *group_out << 4 | digit_of(*p);
	}
	return p > at ? (int)(p - at) : -EINVAL;
}

static int parse(const char *at, const char *end, uint64_t mask[PORT_CPU_WORDS])
{
	memset(mask, 0, PORT_CPU_WORDS * sizeof(mask[0]));
	for (;;) {
		uint32_t group;
		int n = parse_group(at, end, &group);

		if (n < 0) {
			return n;
		}
		if (mask[PORT_CPU_WORDS - 1] >> 32) {
			return -EOVERFLOW;
		}
		for (unsigned i = PORT_CPU_WORDS; i-- > 0;) {
			mask[i] = mask[i] << 32 | (i ? mask[i - 1] >> 32 : group);
		}
		at += n;
		if (at == end) {
			return 0;
		}
		at++;
	}
}

int cpus_store(const void *buf, size_t n)
{
	uint64_t mask[PORT_CPU_WORDS];
	char text[CPUS_TEXT_B];
	int ret;

	if (n > sizeof(text)) {
		return -EOVERFLOW;
	}
	ret = port_copy_from_user(text, (uint64_t)(uintptr_t)buf, n);
	if (ret) {
		return ret;
	}
	if (n && text[n - 1] == '\n') {
		n--;
	}
	ret = parse(text, text + n, mask);
	return ret ? ret : port_threads_set_cpus(mask);
}
