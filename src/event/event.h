/* SPDX-License-Identifier: MIT */
/*
 * The event stream: one table of typed events, emitted by the core at fixed points, read by the
 * trace writer, the checkers, the debugger and the simulator's hash. Free when nobody listens.
 *
 * Arguments are ids, offsets, sizes and error numbers. Never a pointer, a file descriptor or an
 * address of the client's memory: the same seed must give the same events on every build.
 */
#ifndef EVENT_EVENT_H
#define EVENT_EVENT_H

#include "base/list.h"
#include "port/port.h"

#define EVENT_ARGS 6

/* name, text, arguments (in order, as the trace prints them) */
#define EVENT_TABLE(X)                                                                             \
	X(VM_CREATE, "vm_create", "vm,flags")                                                      \
	X(VM_CLOSE, "vm_close", "vm")                                                              \
	X(VM_BAN, "vm_ban", "vm,reason")                                                           \
	X(BO_CREATE, "bo_create", "bo,size,placement")                                             \
	X(BO_BACK, "bo_back", "bo,region,extents")                                                 \
	X(BO_FREE, "bo_free", "bo,size")                                                           \
	X(BO_MOVE, "bo_move", "bo,from,to,size,deps")                                              \
	X(BO_MOVED, "bo_moved", "bo,region")                                                       \
	X(BIND_MAP, "bind_map", "vm,job,addr,range,bo,offset")                                     \
	X(BIND_UNMAP, "bind_unmap", "vm,job,addr,range")                                           \
	X(BIND_FAIL, "bind_fail", "vm,job,op,error")                                               \
	X(BIND_PUBLISH, "bind_publish", "vm,job,queue,ops,deps")                                   \
	X(BIND_RUN, "bind_run", "vm,job")                                                          \
	X(BIND_DONE, "bind_done", "vm,job")                                                        \
	X(TABLES_EVICT, "tables_evict", "vm,tables")                                               \
	X(TABLES_RESTORE, "tables_restore", "vm")                                                  \
	X(TLB_INVALIDATE, "tlb_invalidate", "vm,addr,range")                                       \
	X(USERPTR_INVALIDATE, "userptr_invalidate", "vm,addr,range")                               \
	X(USERPTR_REPIN, "userptr_repin", "vm,addr,range,error")                                   \
	X(QUEUE_CREATE, "queue_create", "vm,queue,class,width")                                    \
	X(QUEUE_DESTROY, "queue_destroy", "queue")                                                 \
	X(QUEUE_BAN, "queue_ban", "queue,error")                                                   \
	X(HANG, "hang", "queue,job,engine,ran_ms")                                                 \
	X(RESET, "reset", "batches")                                                               \
	X(WEDGE, "wedge", "")                                                                      \
	X(QUEUE_RESUME, "queue_resume", "queue")                                                   \
	X(QUEUE_SUSPEND, "queue_suspend", "queue")                                                 \
	X(EXEC_SUBMIT, "exec_submit", "vm,queue,job,batches,deps")                                 \
	X(EXEC_START, "exec_start", "queue,job,engine")                                            \
	X(EXEC_DONE, "exec_done", "queue,job,error")                                               \
	X(FENCE_PUBLISH, "fence_publish", "context,seqno,owner,id,of")                             \
	X(FENCE_SIGNAL, "fence_signal", "context,seqno,error")                                     \
	X(FENCE_FORGET, "fence_forget", "context,seqno")                                           \
	X(FENCE_DEP, "fence_dep", "context,seqno,on_context,on_seqno,over")                        \
	X(GPU_FAULT, "gpu_fault", "vm,addr,access,type,level,engine")                              \
	X(STALE_ACCESS, "stale_access", "vm,addr,engine")                                          \
	X(IOCTL, "ioctl", "nr,error")

enum event_type {
#define X(name, text, args) EVENT_##name,
	EVENT_TABLE(X)
#undef X
	EVENT_TYPES,
};

/* Whose fence was published: what .id and .of of FENCE_PUBLISH are. */
enum event_owner {
	EVENT_OF_JOB,        /* a job, a queue */
	EVENT_OF_LR_JOB,     /* likewise, long-running */
	EVENT_OF_BIND,       /* a job, a vm */
	EVENT_OF_MOVE,       /* the fence's context, an object */
	EVENT_OF_PREEMPTION, /* the fence's seqno, a queue */
};

struct event {
	enum event_type type;
	uint32_t thread;  /* port_thread_id() of the emitter */
	uint64_t seq;     /* position in the stream, from 1 */
	uint64_t time_ns; /* port_now_ns() */
	uint64_t arg[EVENT_ARGS];
	const char *where; /* in the source, for messages: no part of the stream */
};

/* A listener; @read is called in stream order under the stream's lock and must not emit. */
struct event_reader {
	void (*read)(struct event_reader *self, const struct event *event); /* mandatory */
	/* Optional: called likewise, once in EVENT_TICK_NS or so, also when nothing happens. */
	void (*tick)(struct event_reader *self, uint64_t now_ns);
	/* Optional: the stream ends, with the reader still attached. It is detached now. */
	void (*ended)(struct event_reader *self);
	struct list node; /* owned by the stream */
};

#define EVENT_TICK_NS ((uint64_t)1000000000)

struct event_stream {
	atomic_bool on;
	atomic_bool ticks; /* a reader has .tick */
	struct port_mutex lock; /* protects the rest */
	struct list readers;
	uint64_t seq;
};

void event_stream_init(struct event_stream *stream);
/* No reader may be attached any more that has no .ended. */
void event_stream_fini(struct event_stream *stream);
void event_attach(struct event_stream *stream, struct event_reader *reader);
void event_detach(struct event_stream *stream, struct event_reader *reader);

/* By whoever is there when nothing happens. */
void event_tick(struct event_stream *stream);

void event_emit_slow(struct event_stream *stream, enum event_type type, uint64_t a, uint64_t b,
		     uint64_t c, uint64_t d, uint64_t e, uint64_t f, const char *where);

static inline void event_emit_at(struct event_stream *stream, enum event_type type, uint64_t a,
				 uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f,
				 const char *where)
{
	if (__builtin_expect(atomic_load_explicit(&stream->on, memory_order_relaxed), 0)) {
		event_emit_slow(stream, type, a, b, c, d, e, f, where);
	}
}
#define event_emit(stream, type, a, b, c, d, e, f) \
	event_emit_at(stream, type, a, b, c, d, e, f, PORT_HERE)

/* Text and comma-separated argument names of a type; static strings. */
const char *event_name(enum event_type type);
const char *event_args(enum event_type type);

#endif
