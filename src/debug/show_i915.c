// SPDX-License-Identifier: MIT
/*
 * A dump as an error state of i915.
 *
 * Tools read it line by line. "PCI ID: 0x" tells them the commands, "rcs0 command stream:" begins
 * an engine, registers stand behind two blanks. "rcs0 --- batch = 0xHHHHHHHH LLLLLLLL" announces
 * memory at that address, the line behind it is ascii85 after a tilde (a colon would say that it is
 * compressed). What this device has no register for is left out.
 *
 * Locking: dump.lock is held. Example: dump_show().
 */
#include "debug/dump_priv.h"

static void show_engine_name(struct text *t, const struct dump_record *r)
{
	text_put(t, show_class(r->class));
	text_dec(t, "", r->instance);
}

/* "HHHHHHHH", @between, "LLLLLLLL". */
static void show_halves(struct text *t, const char *before, const char *between, uint64_t value)
{
	text_hex(t, before, value >> 32, 8);
	text_hex(t, between, value & UINT32_MAX, 8);
}

static void show_header(struct text *t, const struct dump *dump)
{
	const struct dump_config *config = &dump->config;
	const struct dump_record *r = &dump->record;

	text_dec(t, "GPU HANG: ecode ", dump->device->graphics_ver);
	text_hex(t, ":", BIT64(r->lost.engine), 1);
	text_hex(t, ":", r->header_known ? r->header : 0, 8);
	text_put(t, ", ");
	text_put(t, show_reason(r));
	text_put(t, " on ");
	show_engine_name(t, r);
	text_put(t, "\nDriver: ");
	text_put(t, config->date);
	text_put(t, "\n");
	show_time(t, dump);
	text_put(t, "Platform: ");
	text_put(t, config->gpu);
	text_hex(t, "\nPCI ID: 0x", config->device_id, 4);
	text_hex(t, "\nPCI Revision: 0x", config->revision, 2);
	text_hex(t, "\nPCI Subsystem: ", config->subsystem_vendor, 4);
	text_hex(t, ":", config->subsystem_device, 4);
	text_put(t, "\n");
}

static void show_engine(struct text *t, const struct dump *dump)
{
	const struct dump_record *r = &dump->record;

	show_engine_name(t, r);
	text_put(t, " command stream:\n");
	show_halves(t, "  ACTHD: 0x", " ", r->ctx.ip);
	text_put(t, "\n");
	if (r->header_known) {
		text_hex(t, "  IPEHR: 0x", r->header, 8);
		text_put(t, "\n");
	}
	show_halves(t, "  BBADDR: 0x", "_", r->ctx.ip);
	/* It is the first that is read. */
	show_halves(t, "\n  batch: [0x", "_", r->lost.batch);
	if (r->pieces && dump->piece[0].kind == DUMP_BATCH) {
		show_halves(t, ", 0x", "_", dump->piece[0].end);
	}
	text_put(t, "]\n");
	show_registers(t, r, "  ");
	text_put(t, r->lost.reason == LOST_TIMEOUT ? "  hung: 1\n" : "  hung: 0\n");
	text_dec(t, "  Active context: ", r->lost.queue);
	text_dec(t, " vm ", r->lost.vm);
	text_dec(t, " job ", r->lost.job);
	text_dec(t, " unit ", r->lost.unit);
	text_dec(t, ", runtime of the job ", r->lost.ran_ns);
	text_put(t, "ns\n");
}

static void show_faults(struct text *t, const struct dump_record *r)
{
	uint64_t page = r->fault.address >> PAGE_SHIFT;

	show_fault(t, r, "  ");
	if (r->lost.reason == LOST_FAULT && r->fault.type != GPU_FAULT_COMMAND) {
		/* The upper bits of the page first; it is one of a PPGTT. */
		text_hex(t, "  FAULT_TLB_DATA: 0x", page >> 32, 8);
		text_hex(t, " 0x", page & UINT32_MAX, 8);
		text_put(t, "\n");
	}
}

static void show_piece(struct text *t, const struct dump *dump, const struct dump_piece *piece)
{
	uint64_t size_B = piece->end - piece->start;

	if (piece->error) {
		text_hex(t, "Unreadable: 0x", piece->start, 16);
		text_hex(t, " to 0x", piece->end, 16);
		text_dec(t, " error -", (uint64_t)-piece->error);
		text_put(t, "\n");
		return;
	}
	show_engine_name(t, &dump->record);
	show_halves(t, piece->kind == DUMP_BATCH ? " --- batch = 0x" : " --- user = 0x", " ",
		    piece->start);
	text_put(t, "\n~");
	text_ascii85(t, dump->contents + piece->at, size_B);
	text_put(t, "\n");
}

void show_i915(struct text *t, const struct dump *dump)
{
	const struct dump_record *r = &dump->record;

	show_header(t, dump);
	show_engine(t, dump);
	show_faults(t, r);
	show_walk(t, dump, "  ", "capture");
	show_mappings(t, dump, "  ", "capture");
	for (unsigned i = 0; i < r->pieces; i++) {
		show_piece(t, dump, &dump->piece[i]);
	}
}
