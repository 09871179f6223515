/* SPDX-License-Identifier: MIT */
/*
 * Reads an error dump back, of either form, knowing nothing of who has written it: lines by their
 * first word, memory as tools find it.
 *
 *	struct dump_text d = { 0 };
 *
 *	CHECK_OK(uapi_dump_show(device, dump_text_put, &d));
 *	dump_text_parse(&d);
 *	CHECK_EQ(dump_number(&d, "ACTHD: "), addr);
 *	dump_text_free(&d);
 */
#ifndef TESTS_UAPI_DUMP_TEXT_H
#define TESTS_UAPI_DUMP_TEXT_H

#include "test.h"

#define DUMP_BLOBS 64
#define DUMP_MAPPINGS 64
#define DUMP_LEVELS 5

struct dump_blob {
	uint64_t addr, size_B;
	uint8_t *data; /* NULL: it could not be read */
	int error;     /* then */
	char name[16]; /* "batch", "user"; of Xe "" */
};

struct dump_mapping {
	uint64_t start, end, phys;
	unsigned page_B, pat;
	bool null, vram, writable, atomic, marked;
};

struct dump_level {
	unsigned level;
	uint64_t slot, entry;
	char what[128]; /* the rest of the line */
};

struct dump_text {
	char *text; /* ends with a zero */
	size_t n, room;
	size_t fail_at; /* dump_text_put() is -ENOSPC behind so many bytes; 0: never */
	bool xe;
	unsigned blobs, mappings, levels;
	struct dump_blob blob[DUMP_BLOBS];
	struct dump_mapping mapping[DUMP_MAPPINGS];
	struct dump_level walk[DUMP_LEVELS];
	uint64_t walk_addr;
};

int dump_text_put(void *ctx, const char *text, size_t n);
/* Aborts when a line that tools read is not as they want it. */
void dump_text_parse(struct dump_text *d);
void dump_text_free(struct dump_text *d);

/* What follows @key where a line begins with it, blanks apart. NULL: none does. */
const char *dump_line(const struct dump_text *d, const char *key);
bool dump_says(const struct dump_text *d, const char *key, const char *rest);
/* A number that follows, decimal or with 0x; aborts if there is none. */
uint64_t dump_number(const struct dump_text *d, const char *key);
/* Two halves of eight digits. */
uint64_t dump_halves(const struct dump_text *d, const char *key);
/* Is all of [addr, addr + n) there, and as @want says? */
bool dump_has(const struct dump_text *d, uint64_t addr, const void *want, size_t n);
/* Is any byte of it there? */
bool dump_touches(const struct dump_text *d, uint64_t addr, size_t n);
const struct dump_blob *dump_blob_at(const struct dump_text *d, uint64_t addr);
/* How many have it? */
unsigned dump_blobs_at(const struct dump_text *d, uint64_t addr);
/* NULL when it is not listed. */
const struct dump_mapping *dump_mapping_at(const struct dump_text *d, uint64_t addr);

#endif
