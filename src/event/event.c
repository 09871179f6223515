// SPDX-License-Identifier: MIT
#include "event/event.h"

static struct port_lock_class events_class = { .name = "events", .rank = RANK_EVENTS };

void event_stream_init(struct event_stream *stream)
{
	atomic_init(&stream->on, false);
	atomic_init(&stream->ticks, false);
	port_mutex_init(&stream->lock, &events_class);
	list_init(&stream->readers);
	stream->seq = 0;
}

void event_stream_fini(struct event_stream *stream)
{
	while (!list_empty(&stream->readers)) {
		struct event_reader *reader = list_first(&stream->readers, struct event_reader,
							 node);

		ASSERT(reader->ended);
		list_del(&reader->node);
		reader->ended(reader);
	}
	port_mutex_fini(&stream->lock);
}

void event_attach(struct event_stream *stream, struct event_reader *reader)
{
	port_mutex_lock(&stream->lock);
	list_add_tail(&stream->readers, &reader->node);
	if (reader->tick) {
		atomic_store(&stream->ticks, true);
	}
	atomic_store(&stream->on, true);
	port_mutex_unlock(&stream->lock);
}

void event_detach(struct event_stream *stream, struct event_reader *reader)
{
	port_mutex_lock(&stream->lock);
	list_del(&reader->node);
	atomic_store(&stream->on, !list_empty(&stream->readers));
	port_mutex_unlock(&stream->lock);
}

void event_tick(struct event_stream *stream)
{
	port_mutex_lock(&stream->lock);
	list_for_each(reader, &stream->readers, struct event_reader, node) {
		if (reader->tick) {
			reader->tick(reader, port_now_ns());
		}
	}
	port_mutex_unlock(&stream->lock);
}

void event_emit_slow(struct event_stream *stream, enum event_type type, uint64_t a, uint64_t b,
		     uint64_t c, uint64_t d, uint64_t e, uint64_t f, const char *where)
{
	struct event event = {
		.type = type,
		.thread = port_thread_id(),
		.arg = { a, b, c, d, e, f },
		.where = where,
	};

	ASSERT(type < EVENT_TYPES);
	port_mutex_lock(&stream->lock);
	event.seq = ++stream->seq;
	event.time_ns = port_now_ns();
	list_for_each(reader, &stream->readers, struct event_reader, node) {
		reader->read(reader, &event);
	}
	port_mutex_unlock(&stream->lock);
}

const char *event_name(enum event_type type)
{
	static const char *const names[] = {
#define X(name, text, args) text,
		EVENT_TABLE(X)
#undef X
	};

	ASSERT(type < EVENT_TYPES);
	return names[type];
}

const char *event_args(enum event_type type)
{
	static const char *const args_of[] = {
#define X(name, text, args) args,
		EVENT_TABLE(X)
#undef X
	};

	ASSERT(type < EVENT_TYPES);
	return args_of[type];
}
