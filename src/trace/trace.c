// SPDX-License-Identifier: MIT
/*
 * Trace writer: a reader of the event stream that turns each event into a line of text and hands it
 * to whoever owns the file. Addresses, sizes and offsets are hexadecimal, errors signed, everything
 * else (ids, counts) decimal.
 */
#include "trace/trace.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define LINE_B 512

struct line {
	char *text;
	size_t size_B, len;
};

static __attribute__((format(printf, 2, 3))) void add(struct line *line, const char *format, ...)
{
	va_list args;
	size_t left = line->size_B - line->len;
	int n;

	va_start(args, format);
	n = vsnprintf(line->text + line->len, left, format, args);
	va_end(args);
	if (n > 0) {
		line->len += (size_t)n < left ? (size_t)n : left - 1;
	}
}

static bool is_any(const char *name, size_t len, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strncmp(list[i], name, len) == 0 && list[i][len] == '\0') {
			return true;
		}
	}
	return false;
}

static void add_value(struct line *line, const char *name, size_t len, uint64_t value)
{
	static const char *const hex[] = { "addr", "range", "size", "offset", "flags" };
	static const char *const sign[] = { "error", "reason" };

	if (is_any(name, len, hex, sizeof(hex) / sizeof(hex[0]))) {
		add(line, " %.*s=0x%" PRIx64, (int)len, name, value);
	} else if (is_any(name, len, sign, sizeof(sign) / sizeof(sign[0]))) {
		add(line, " %.*s=%" PRId64, (int)len, name, (int64_t)value);
	} else {
		add(line, " %.*s=%" PRIu64, (int)len, name, value);
	}
}

size_t trace_format(const struct event *event, char *text, size_t size_B)
{
	struct line line = { .text = text, .size_B = size_B };
	const char *name = event_args(event->type);

	add(&line, "[%" PRIu64 ".%09" PRIu64 "] %" PRIu64 " t%" PRIu32 " %s",
	    event->time_ns / 1000000000u, event->time_ns % 1000000000u, event->seq, event->thread,
	    event_name(event->type));
	for (size_t i = 0; i < EVENT_ARGS && *name; i++) {
		size_t len = strcspn(name, ",");

		add_value(&line, name, len, event->arg[i]);
		name += len + (name[len] == ',');
	}
	return line.len;
}

static void trace_read(struct event_reader *self, const struct event *event)
{
	struct trace *trace = container_of(self, struct trace, reader);
	char line[LINE_B];
	size_t len = trace_format(event, line, sizeof(line) - 1);

	line[len++] = '\n';
	trace->write(trace->ctx, line, len);
}

void trace_init(struct trace *trace, void (*write)(void *ctx, const char *line, size_t size_B),
		void *ctx)
{
	trace->reader.read = trace_read;
	list_init(&trace->reader.node);
	trace->write = write;
	trace->ctx = ctx;
}
