/* SPDX-License-Identifier: MIT */
/* What the files of debug/ share with one another. */
#ifndef DEBUG_DUMP_PRIV_H
#define DEBUG_DUMP_PRIV_H

#include "debug/dump.h"

/* Of a batch: so much from its start, and as much around where it has got to if that is beyond. */
#define DUMP_BATCH_B SZ_64K

enum dump_kind {
	DUMP_MAPPING, /* of those that are marked */
	DUMP_BATCH,   /* from the start of the batch, or of the ring */
	DUMP_NEAR,    /* around the command it is at */
};

/* What was read, or why not. */
struct dump_piece {
	uint64_t start, end; /* GPU addresses; multiples of 4 */
	uint64_t at;         /* in dump.contents */
	int error;           /* 0, or -errno: what is in the contents means nothing */
	enum dump_kind kind;
};

/* The error that is kept. */
struct dump_record {
	struct device_lost lost; /* .ctx and .fault lead nowhere any more */
	struct gpu_context ctx;
	struct gpu_fault fault;  /* of LOST_FAULT */
	uint64_t time_ns, boot_ns; /* of the clocks of Linux: realtime and boottime */
	uint32_t pid;
	enum gpu_class class;    /* of the engine */
	uint16_t instance;
	uint32_t mmio_base;
	uint64_t timestamp, ctx_timestamp;
	bool header_known;
	uint32_t header;         /* of the command it is at */
	unsigned vm_flags;       /* VM_* */
	uint64_t walk_addr;      /* of the fault, else of that command */
	struct pt_step walk[GPU_PT_MAX_LEVELS];
	unsigned walk_steps;

	/* How many are kept of each; and how many there were, how much is missing. */
	unsigned runs, pieces;
	uint64_t all_runs;
	uint64_t contents_B, missing_B; /* the first with the room of what could not be read */
};

enum dump_state {
	DUMP_EMPTY,
	DUMP_FILLING, /* by who has lost a job; nobody else looks */
	DUMP_KEPT,    /* constant, until it is cleared */
};

struct dump {
	struct device *device;
	struct dump_config config;
	atomic_uint state;      /* enum dump_state; leaves DUMP_KEPT with the lock held only */
	atomic_ullong later;    /* errors while one was kept */
	struct port_mutex lock; /* RANK_GROUP_MODE; who reads, and who clears */
	struct dump_record record;
	/* port_reserve()d, config.runs, twice as many, config.contents_B. */
	struct pt_run *run;
	struct dump_piece *piece;
	uint8_t *contents;
};

/* ---- text (text.c) --------------------------------------------------------------------------- */

/* Collects, and hands on what is full. After an error it drops everything. */
struct text {
	int (*put)(void *ctx, const char *text, size_t n);
	void *ctx;
	int error;
	size_t n;
	char buf[4096];
};

void text_put(struct text *t, const char *s);
/* @before, and the number: decimal, or hexadecimal with at least so many digits. */
void text_dec(struct text *t, const char *before, uint64_t value);
void text_hex(struct text *t, const char *before, uint64_t value, unsigned digits);
/* In ascii85, dword by dword; @n is a multiple of 4. */
void text_ascii85(struct text *t, const uint8_t *data, size_t n);
/* Hands on the rest. The first error, or 0. */
int text_end(struct text *t);

/* ---- what both forms have (show.c) ----------------------------------------------------------- */

/* "rcs", as tools know it. */
const char *show_class(enum gpu_class class);
const char *show_reason(const struct dump_record *r);
/* The following are whole lines, each after @indent. */
void show_time(struct text *t, const struct dump *dump);
void show_fault(struct text *t, const struct dump_record *r, const char *indent);
/* Registers that a batch can reach, beside those that each form has in its own way. */
void show_registers(struct text *t, const struct dump_record *r, const char *indent);
/* @mark: what the form calls a mapping whose contents are dumped. */
void show_walk(struct text *t, const struct dump *dump, const char *indent, const char *mark);
void show_mappings(struct text *t, const struct dump *dump, const char *indent, const char *mark);

void show_i915(struct text *t, const struct dump *dump);
void show_xe(struct text *t, const struct dump *dump);

#endif
