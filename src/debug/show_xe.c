// SPDX-License-Identifier: MIT
/*
 * A dump as a devcoredump of Xe.
 *
 * Tools know the sections by their lines of stars and look in each for a few lines: in the first
 * for "PCI ID: 0x", in "Job" for "batch_addr[", in "HW Engines" for engines and registers, and in
 * "VM state" for "[ADDRESS].length: 0x", behind it ".data: " in ascii85 or ".error: ". In there
 * nothing else may stand, so what they do not look for comes before. Sections that they do not know
 * belong to the one above.
 *
 * Memory at one address should be there once: what was read of a batch is left out where the
 * mapping's own contents have it.
 *
 * Locking: dump.lock is held. Example: dump_show().
 */
#include "debug/dump_priv.h"

static void show_header(struct text *t, const struct dump *dump)
{
	const struct dump_config *config = &dump->config;
	const struct dump_record *r = &dump->record;

	text_put(t, "**** Xe Device Coredump ****\nReason: ");
	text_put(t, show_reason(r));
	text_put(t, " on ");
	text_put(t, show_class(r->class));
	text_dec(t, "", r->instance);
	text_put(t, "\nmodule: ");
	text_put(t, config->driver);
	text_put(t, "\n");
	show_time(t, dump);
	text_put(t, "Platform: ");
	text_put(t, config->gpu);
	text_dec(t, "\nGraphics version: ", dump->device->graphics_ver);
	text_hex(t, "\nPCI ID: 0x", config->device_id, 4);
	text_hex(t, "\nPCI revision: 0x", config->revision, 2);
	text_put(t, "\n");
}

static void show_context(struct text *t, const struct dump_record *r)
{
	text_put(t, "\n**** Contexts ****\n");
	text_dec(t, "Exec queue: ", r->lost.queue);
	text_dec(t, "\n\tVM: ", r->lost.vm);
	text_put(t, r->vm_flags & VM_SCRATCH ? ", scratch page" : "");
	text_put(t, r->vm_flags & VM_FAULT ? ", page faults" : "");
	text_put(t, "\n\tClass: ");
	text_put(t, show_class(r->class));
	text_put(t, "\n");
	show_registers(t, r, "\t");
}

static void show_job(struct text *t, const struct dump_record *r)
{
	text_put(t, "\n**** Job ****\n");
	text_dec(t, "\tJob: ", r->lost.job);
	text_dec(t, "\n\tUnit: ", r->lost.unit);
	text_dec(t, "\n\tRan: ", r->lost.ran_ns);
	text_dec(t, " ns\n\tbatch_addr[", r->lost.unit);
	text_hex(t, "]: 0x", r->lost.batch, 16);
	text_put(t, "\n");
}

static void show_engine(struct text *t, const struct dump_record *r)
{
	text_put(t, "\n**** HW Engines ****\n");
	text_put(t, show_class(r->class));
	text_dec(t, "", r->instance);
	text_dec(t, " (physical), logical instance=", r->instance);
	/* As of the moment of the error: "Manual" would be what is found there later. */
	text_put(t, "\n\tCapture_source: GuC");
	text_hex(t, "\n\tACTHD: 0x", r->ctx.ip, 16);
	text_hex(t, "\n\tRING_BBADDR: 0x", r->ctx.ip, 16);
	if (r->header_known) {
		text_hex(t, "\n\tIPEHR: 0x", r->header, 8);
	}
	text_put(t, "\n");
}

static void show_vm_piece(struct text *t, const struct dump *dump, const struct dump_piece *piece)
{
	uint64_t size_B = piece->end - piece->start;

	text_hex(t, "[", piece->start, 1);
	text_hex(t, "].length: 0x", size_B, 1);
	text_hex(t, "\n[", piece->start, 1);
	if (piece->error) {
		text_dec(t, "].error: -", (uint64_t)-piece->error);
	} else {
		text_put(t, "].data: ");
		text_ascii85(t, dump->contents + piece->at, size_B);
	}
	text_put(t, "\n");
}

/* Is it within the contents of a mapping? */
static bool is_covered(const struct dump *dump, const struct dump_piece *piece)
{
	for (unsigned i = 0; i < dump->record.pieces; i++) {
		const struct dump_piece *other = &dump->piece[i];

		if (other->kind == DUMP_MAPPING && !other->error && other->start <= piece->start &&
		    other->end >= piece->end) {
			return true;
		}
	}
	return false;
}

static void show_vm_state(struct text *t, const struct dump *dump)
{
	text_put(t, "\n**** VM state ****\n");
	for (unsigned i = 0; i < dump->record.pieces; i++) {
		const struct dump_piece *piece = &dump->piece[i];

		if (piece->kind == DUMP_MAPPING || !is_covered(dump, piece)) {
			show_vm_piece(t, dump, piece);
		}
	}
}

void show_xe(struct text *t, const struct dump *dump)
{
	const struct dump_record *r = &dump->record;

	show_header(t, dump);
	show_context(t, r);
	show_job(t, r);
	text_put(t, "\n**** Page tables ****\n");
	show_fault(t, r, "\t");
	show_walk(t, dump, "\t", "dumpable");
	show_mappings(t, dump, "\t", "dumpable");
	show_engine(t, r);
	show_vm_state(t, dump);
}
