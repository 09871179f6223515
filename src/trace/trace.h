/* SPDX-License-Identifier: MIT */
/*
 * The event stream as text, one line per event:
 *
 *	[12.345678901] 42 t3 bind_map vm=1 job=7 addr=0x10000 range=0x1000 bo=2 offset=0x0
 *
 * time in seconds, position in the stream, thread, name, arguments.
 */
#ifndef TRACE_TRACE_H
#define TRACE_TRACE_H

#include "event/event.h"

struct trace {
	struct event_reader reader; /* attached and detached by the owner */
	/* Mandatory. Gets one line with its end; called in stream order under the stream's lock. */
	void (*write)(void *ctx, const char *line, size_t size_B);
	void *ctx;
};

void trace_init(struct trace *trace, void (*write)(void *ctx, const char *line, size_t size_B),
		void *ctx);
/* The line of one event, cut to @size_B with the ending zero. Its length without. */
size_t trace_format(const struct event *event, char *line, size_t size_B);

#endif
