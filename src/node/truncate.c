// SPDX-License-Identifier: MIT
/*
 * Files that get shorter: what is mapped beyond their new end is SIGBUS to touch, and may be bound
 * on the GPU. The device hears of it before. No event tells of it, so a raw system call is found
 * only when the GPU gets there: a fault of the GPU too, see port/guard.c.
 *
 * Which mappings are of the file says /proc/self/maps. It is known there by its inode; its device
 * number may be another than stat() says. All between the first and the last of them goes, whatever
 * it is: too much is harmless, and rare.
 */
#include "node/node.h"

#include <inttypes.h>

#define LINE_MAX_B (PATH_MAX + 128)

struct stretch {
	uint64_t start, end;
};

/* One line of maps: widens @stretch by what is mapped of @ino from @length_B on. */
static void take_line(const char *line, uint64_t ino, uint64_t length_B, struct stretch *stretch)
{
	uint64_t start, end, offset, mapped_ino;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %*s %" SCNu64, &start, &end,
		   &offset, &mapped_ino) != 4 || mapped_ino != ino) {
		return;
	}
	start += length_B > offset ? min_u64(length_B - offset, end - start) : 0;
	if (start < end) {
		stretch->start = min_u64(stretch->start, start);
		stretch->end = max_u64(stretch->end, end);
	}
}

static struct stretch find_mapped(uint64_t ino, uint64_t length_B)
{
	struct stretch stretch = { .start = UINT64_MAX };
	char text[LINE_MAX_B + 1];
	size_t have = 0;
	ssize_t n;
	int fd = REAL(open)("/proc/self/maps", O_RDONLY | O_CLOEXEC);

	while (fd >= 0 && (n = REAL(read)(fd, text + have, LINE_MAX_B - have)) > 0) {
		char *line = text, *end;

		have += (size_t)n;
		text[have] = 0;
		while ((end = strchr(line, '\n'))) {
			*end = 0;
			take_line(line, ino, length_B, &stretch);
			line = end + 1;
		}
		have -= (size_t)(line - text);
		memmove(text, line, have);
	}
	if (fd >= 0) {
		REAL(close)(fd);
	}
	return stretch;
}

/* Inside the gate: is it about to get shorter? The range is empty if nothing of that is mapped. */
static void shrink_begin(struct uapi_client_range *range, const struct stat *st, off64_t length_B)
{
	struct stretch stretch = { 0 };

	if (S_ISREG(st->st_mode) && length_B >= 0 && length_B < st->st_size) {
		stretch = find_mapped(st->st_ino, align_up((uint64_t)length_B, PAGE_SIZE));
	}
	client_range_begin(range, stretch.start,
			   stretch.start < stretch.end ? stretch.end - stretch.start : 0);
}

static int ftruncate_any(int fd, off64_t length_B)
{
	struct uapi_client_range range;
	struct stat st;
	int ret;

	if (fd_is_marked(fd) || !client_range_matters() || REAL(fstat)(fd, &st)) {
		return REAL(ftruncate64)(fd, length_B);
	}
	node_enter();
	shrink_begin(&range, &st, length_B);
	ret = REAL(ftruncate64)(fd, length_B) ? -errno : 0;
	client_range_end(&range);
	node_leave();
	return node_result(ret);
}

static int truncate_any(const char *name, off64_t length_B)
{
	struct uapi_client_range range;
	struct stat st;
	int ret;

	if (!client_range_matters() || REAL(stat)(name, &st)) {
		return REAL(truncate64)(name, length_B);
	}
	node_enter();
	shrink_begin(&range, &st, length_B);
	ret = REAL(truncate64)(name, length_B) ? -errno : 0;
	client_range_end(&range);
	node_leave();
	return node_result(ret);
}

EXPORT int ftruncate(int fd, off_t length_B)
{
	return ftruncate_any(fd, length_B);
}

EXPORT int ftruncate64(int fd, off64_t length_B)
{
	return ftruncate_any(fd, length_B);
}

EXPORT int truncate(const char *name, off_t length_B)
{
	return truncate_any(name, length_B);
}

EXPORT int truncate64(const char *name, off64_t length_B)
{
	return truncate_any(name, length_B);
}
