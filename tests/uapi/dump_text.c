// SPDX-License-Identifier: MIT
#include "dump_text.h"

#include <stdio.h>
#include <stdlib.h>

int dump_text_put(void *ctx, const char *text, size_t n)
{
	struct dump_text *d = ctx;

	if (d->fail_at && d->n + n > d->fail_at) {
		return -ENOSPC;
	}
	if (d->n + n + 1 > d->room) {
		d->room = 2 * (d->n + n + 1);
		d->text = realloc(d->text, d->room);
		CHECK(d->text);
	}
	memcpy(d->text + d->n, text, n);
	d->n += n;
	d->text[d->n] = '\0';
	return 0;
}

void dump_text_free(struct dump_text *d)
{
	for (unsigned i = 0; i < d->blobs; i++) {
		free(d->blob[i].data);
	}
	free(d->text);
	memset(d, 0, sizeof(*d));
}

/* ---- lines ----------------------------------------------------------------------------------- */

static const char *next_line(const char *line)
{
	const char *end = strchr(line, '\n');

	CHECK(end);
	return end + 1;
}

const char *dump_line(const struct dump_text *d, const char *key)
{
	size_t n = strlen(key);

	for (const char *line = d->text; *line; line = next_line(line)) {
		const char *word = line + strspn(line, " \t");

		if (strncmp(word, key, n) == 0) {
			return word + n;
		}
	}
	return NULL;
}

bool dump_says(const struct dump_text *d, const char *key, const char *rest)
{
	const char *line = dump_line(d, key);
	size_t n = strlen(rest);

	return line && strncmp(line, rest, n) == 0 && line[n] == '\n';
}

static uint64_t number_at(const char *at, const char **end_out)
{
	char *end;
	uint64_t value = strtoull(at, &end, strncmp(at, "0x", 2) == 0 ? 16 : 10);

	CHECK(end != at);
	if (end_out) {
		*end_out = end;
	}
	return value;
}

uint64_t dump_number(const struct dump_text *d, const char *key)
{
	const char *line = dump_line(d, key);

	CHECK(line);
	return number_at(line, NULL);
}

static uint64_t halves_at(const char *at)
{
	unsigned high, low;
	char between;

	CHECK_EQ(sscanf(at, "0x%8x%c%8x", &high, &between, &low), 3);
	CHECK(between == ' ' || between == '_');
	return (uint64_t)high << 32 | low;
}

uint64_t dump_halves(const struct dump_text *d, const char *key)
{
	const char *line = dump_line(d, key);

	CHECK(line);
	return halves_at(line);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* Five characters, or a 'z' for zero, are one dword. */
static uint64_t ascii85(const char *in, uint8_t **data_out)
{
	size_t chars = strcspn(in, "\n"), n = 0;
	uint8_t *data = malloc(4 * chars + 1);

	CHECK(data);
	for (const char *end = in + chars; in < end; n += 4) {
		uint64_t value = 0;
		uint32_t dword;

		if (*in == 'z') {
			in++;
		} else {
			CHECK(end - in >= 5);
			for (unsigned i = 0; i < 5; i++, in++) {
				CHECK(*in >= '!' && *in <= 'u');
				value = value * 85 + (uint64_t)(*in - '!');
			}
		}
		CHECK(value <= UINT32_MAX);
		dword = (uint32_t)value;
		memcpy(data + n, &dword, 4);
	}
	*data_out = data;
	return n;
}

static struct dump_blob *add_blob(struct dump_text *d, uint64_t addr)
{
	CHECK(d->blobs < DUMP_BLOBS);
	d->blob[d->blobs].addr = addr;
	return &d->blob[d->blobs++];
}

/* "ENGINE --- NAME = 0xHIGH LOW", and a line with a tilde. Returns the last of the two. */
static const char *parse_i915(struct dump_text *d, const char *line)
{
	const char *dashes = strstr(line, " --- "), *end = next_line(line);
	struct dump_blob *blob;

	if (!dashes || dashes >= end) {
		return line;
	}
	CHECK(strchr(line, '=') && strchr(line, '=') < end);
	blob = add_blob(d, halves_at(strchr(line, '=') + 2));
	CHECK_EQ(sscanf(dashes + 5, "%15s", blob->name), 1);
	CHECK_EQ(*end, '~');
	blob->size_B = ascii85(end + 1, &blob->data);
	CHECK(blob->size_B > 0);
	return end;
}

/* "[ADDRESS].length: 0xN", and a line with .data or .error. Returns the last of the two. */
static const char *parse_xe(struct dump_text *d, const char *line)
{
	struct dump_blob *blob;
	const char *at;
	char *end;

	CHECK_EQ(*line, '['); /* nothing else may be in this section */
	blob = add_blob(d, strtoull(line + 1, &end, 16));
	CHECK_EQ(strncmp(end, "].length: 0x", 12), 0);
	blob->size_B = number_at(end + 10, NULL);
	line = next_line(line);
	CHECK_EQ(*line, '[');
	CHECK_EQ(strtoull(line + 1, &end, 16), blob->addr);
	if (strncmp(end, "].error: -", 10) == 0) {
		blob->error = -(int)number_at(end + 10, NULL);
		return line;
	}
	CHECK_EQ(strncmp(end, "].data: ", 8), 0);
	at = end + 8;
	CHECK_EQ(ascii85(at, &blob->data), blob->size_B);
	return line;
}

const struct dump_blob *dump_blob_at(const struct dump_text *d, uint64_t addr)
{
	for (unsigned i = 0; i < d->blobs; i++) {
		if (addr - d->blob[i].addr < d->blob[i].size_B) {
			return &d->blob[i];
		}
	}
	return NULL;
}

unsigned dump_blobs_at(const struct dump_text *d, uint64_t addr)
{
	unsigned n = 0;

	for (unsigned i = 0; i < d->blobs; i++) {
		n += addr - d->blob[i].addr < d->blob[i].size_B;
	}
	return n;
}

bool dump_has(const struct dump_text *d, uint64_t addr, const void *want, size_t n)
{
	const uint8_t *bytes = want;

	for (size_t i = 0; i < n; i++) {
		const struct dump_blob *blob = dump_blob_at(d, addr + i);

		if (!blob || !blob->data || blob->data[addr + i - blob->addr] != bytes[i]) {
			return false;
		}
	}
	return true;
}

bool dump_touches(const struct dump_text *d, uint64_t addr, size_t n)
{
	for (unsigned i = 0; i < d->blobs; i++) {
		if (d->blob[i].data && addr < d->blob[i].addr + d->blob[i].size_B &&
		    d->blob[i].addr < addr + n) {
			return true;
		}
	}
	return false;
}

/* ---- the list and the walk ------------------------------------------------------------------- */

static unsigned page_B(const char *name)
{
	static const char *const names[] = { "4K", "64K", "2M", "1G" };
	static const unsigned shifts[] = { 12, 16, 21, 30 };

	for (unsigned i = 0; i < 4; i++) {
		if (strcmp(name, names[i]) == 0) {
			return 1u << shifts[i];
		}
	}
	test_fail(__FILE__, __LINE__, "no page: %s", name);
}

/* "0xSTART to 0xEND in PAGE WHERE RIGHTS [atomic] pat N [MARK]" */
static void parse_mapping(struct dump_text *d, const char *word)
{
	struct dump_mapping *m = &d->mapping[d->mappings];
	char line[256], *save, *token;
	const char *at = word;

	CHECK(d->mappings++ < DUMP_MAPPINGS);
	m->start = number_at(at, &at);
	CHECK_EQ(strncmp(at, " to ", 4), 0);
	m->end = number_at(at + 4, &at);
	CHECK_EQ(strncmp(at, " in ", 4), 0);
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(at + 4, "\n"), at + 4);
	m->page_B = page_B(strtok_r(line, " ", &save));
	while ((token = strtok_r(NULL, " ", &save))) {
		if (strcmp(token, "null") == 0) {
			m->null = true;
		} else if (strcmp(token, "vram") == 0 || strcmp(token, "system") == 0) {
			m->vram = token[0] == 'v';
			m->phys = number_at(strtok_r(NULL, " ", &save), NULL);
		} else if (strcmp(token, "read_write") == 0) {
			m->writable = true;
		} else if (strcmp(token, "atomic") == 0) {
			m->atomic = true;
		} else if (strcmp(token, "pat") == 0) {
			m->pat = (unsigned)number_at(strtok_r(NULL, " ", &save), NULL);
		} else if (strcmp(token, d->xe ? "dumpable" : "capture") == 0) {
			m->marked = true;
		} else {
			CHECK_EQ(strcmp(token, "read_only"), 0);
		}
	}
}

/* "level N table 0xPHYS entry SLOT = 0xENTRY WHAT" */
static void parse_level(struct dump_text *d, const char *word)
{
	struct dump_level *level = &d->walk[d->levels];
	unsigned long long table, slot, entry;

	CHECK(d->levels++ < DUMP_LEVELS);
	CHECK_EQ(sscanf(word, "level %u table 0x%llx entry %llu = 0x%llx %127[^\n]", &level->level,
			&table, &slot, &entry, level->what), 5);
	level->slot = slot;
	level->entry = entry;
}

const struct dump_mapping *dump_mapping_at(const struct dump_text *d, uint64_t addr)
{
	for (unsigned i = 0; i < d->mappings; i++) {
		if (addr >= d->mapping[i].start && addr < d->mapping[i].end) {
			return &d->mapping[i];
		}
	}
	return NULL;
}

void dump_text_parse(struct dump_text *d)
{
	static const char title[] = "**** Xe Device Coredump ****\n";
	static const char walk[] = "Page-table walk of ";
	bool vm_state = false;

	CHECK(d->text && d->n > 0 && d->text[d->n - 1] == '\n');
	d->xe = strncmp(d->text, title, strlen(title)) == 0;
	for (const char *line = d->text; *line; line = next_line(line)) {
		const char *word = line + strspn(line, " \t");

		if (strncmp(line, "**** ", 5) == 0) {
			vm_state = strncmp(line + 5, "VM state ****\n", 14) == 0;
		} else if (vm_state) {
			line = parse_xe(d, line);
		} else if (strncmp(word, walk, strlen(walk)) == 0) {
			d->walk_addr = number_at(word + strlen(walk), NULL);
		} else if (word > line && strncmp(word, "level ", 6) == 0) {
			parse_level(d, word);
		} else if (word > line && strncmp(word, "0x", 2) == 0) {
			parse_mapping(d, word);
		} else if (!d->xe) {
			line = parse_i915(d, line);
		}
	}
}
