// SPDX-License-Identifier: MIT
/*
 * Files of the device's directory in sysfs that hold one number each, as text.
 *
 * Which there are, and what may be written, is the driver's business (uapi_driver.attr_*). Written
 * is a number as C has it, decimal, octal or hexadecimal, perhaps with a plus before and the end of
 * the line behind it; anything else is -EINVAL, and one too large for 32 bits -ERANGE.
 */
#include "uapi/drm/drm.h"

bool uapi_attr_find(const struct uapi_device *device, unsigned index, struct uapi_attr *attr_out)
{
	return device->driver->attr_find && device->driver->attr_find(device, index, attr_out);
}

int uapi_attr_show(struct uapi_device *device, unsigned index, char *buf)
{
	uint32_t value = device->driver->attr_load(device, index);
	char digits[UAPI_ATTR_B];
	int n = 0, len = 0;

	do {
		digits[n++] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	while (n) {
		buf[len++] = digits[--n];
	}
	buf[len++] = '\n';
	return len;
}

/* 255 for what is no digit. */
static unsigned digit_of(char c)
{
	if (c >= '0' && c <= '9') {
		return (unsigned)(c - '0');
	}
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
		return (unsigned)((c | 0x20) - 'a' + 10);
	}
	return 255;
}

/* Takes off what says the base. */
static unsigned base_of(const char **at, const char *end)
{
	if (end - *at < 2 || **at != '0') {
		return 10;
	}
	if (((*at)[1] | 0x20) == 'x') {
		*at += 2;
		return 16;
	}
	return 8;
}

static int parse(const char *at, const char *end, uint32_t *value_out)
{
	uint64_t value = 0;
	unsigned base;

	if (end > at && end[-1] == '\n') {
		end--;
	}
	if (at < end && *at == '+') {
		at++;
	}
	base = base_of(&at, end);
	if (at == end) {
		return -EINVAL;
	}
	for (; at < end; at++) {
		if (digit_of(*at) >= base) {
			return -EINVAL;
		}
		/* Stays too large, whatever follows. */
		value = min_u64(value * base + digit_of(*at), UINT64_C(1) << 32);
	}
	*value_out = (uint32_t)value;
	return value > UINT32_MAX ? -ERANGE : 0;
}

/* Some write the zero behind a string too. */
static size_t text_len(const char *text, size_t n)
{
	size_t len = 0;

	while (len < n && text[len]) {
		len++;
	}
	return len;
}

int uapi_attr_store(struct uapi_device *device, unsigned index, uint64_t addr, size_t n)
{
	char text[UAPI_ATTR_MAX_B];
	uint32_t value;
	int ret;

	if (n > sizeof(text)) {
		return -EINVAL;
	}
	ret = port_copy_from_user(text, addr, n);
	if (!ret) {
		ret = parse(text, text + text_len(text, n), &value);
	}
	return ret ? ret : device->driver->attr_store(device, index, value);
}
