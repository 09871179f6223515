// SPDX-License-Identifier: MIT
/*
 * What both forms of a dump say in the same words.
 *
 * Lines are made so that no decoder takes them for its own: none holds three dashes, none begins
 * with a bracket, a colon or a tilde, and only one has the id of the device.
 *
 * Locking: dump.lock is held.
 *
 *	show_walk(&t, dump, "  ");
 */
#include "debug/dump_priv.h"

const char *show_class(enum gpu_class class)
{
	static const char *const names[GPU_CLASSES] = {
		[GPU_CLASS_RENDER] = "rcs",
		[GPU_CLASS_COPY] = "bcs",
		[GPU_CLASS_VIDEO_DECODE] = "vcs",
		[GPU_CLASS_VIDEO_ENHANCE] = "vecs",
		[GPU_CLASS_COMPUTE] = "ccs",
	};

	return names[class];
}

static const char *fault_name(enum gpu_fault_type type)
{
	switch (type) {
	case GPU_FAULT_NOT_PRESENT:
		return "nothing is mapped";
	case GPU_FAULT_WRITE:
		return "the page is read only";
	case GPU_FAULT_ATOMIC:
		return "no atomics on this page";
	case GPU_FAULT_STALE:
		return "a translation that should have been dropped";
	case GPU_FAULT_MEMORY:
		return "the client's memory has gone";
	case GPU_FAULT_COMMAND:
		return "no command begins like this";
	}
	return "unknown";
}

const char *show_reason(const struct dump_record *r)
{
	switch (r->lost.reason) {
	case LOST_TIMEOUT:
		return "hang";
	case LOST_FAULT:
		return r->fault.type == GPU_FAULT_COMMAND ? "bad batch" : "page fault";
	case LOST_RESET:
		return "reset";
	}
	return "unknown";
}

void show_time(struct text *t, const struct dump *dump)
{
	const struct dump_record *r = &dump->record;
	uint64_t later = atomic_load(&dump->later);

	text_dec(t, "Time: ", r->time_ns / 1000000000u);
	text_dec(t, " s ", r->time_ns % 1000000000u / 1000);
	text_dec(t, " us\nBoottime: ", r->boot_ns / 1000000000u);
	text_dec(t, " s ", r->boot_ns % 1000000000u / 1000);
	text_dec(t, " us\nPID: ", r->pid);
	text_put(t, "\n");
	if (later) {
		text_dec(t, "Errors since then, of which nothing is kept: ", later);
		text_put(t, "\n");
	}
	if (r->runs < r->all_runs) {
		text_dec(t, "Cut: the list of mappings has ", r->runs);
		text_dec(t, " of ", r->all_runs);
		text_put(t, "\n");
	}
	if (r->missing_B) {
		text_dec(t, "Cut: contents of ", r->missing_B);
		text_put(t, " bytes did not fit\n");
	}
}

void show_fault(struct text *t, const struct dump_record *r, const char *indent)
{
	static const char *const accesses[] = {
		[GPU_READ] = "read",
		[GPU_WRITE] = "write",
		[GPU_ATOMIC] = "atomic",
	};

	if (r->lost.reason != LOST_FAULT) {
		return;
	}
	text_put(t, indent);
	text_hex(t, "fault_addr: 0x", r->fault.address, 16);
	text_put(t, "\n");
	text_put(t, indent);
	text_put(t, "fault_type: ");
	text_put(t, fault_name(r->fault.type));
	text_put(t, "\n");
	if (r->fault.type != GPU_FAULT_COMMAND) {
		text_put(t, indent);
		text_put(t, "fault_access: ");
		text_put(t, accesses[r->fault.access]);
		text_put(t, "\n");
		text_put(t, indent);
		text_dec(t, "fault_level: ", r->fault.level);
		text_put(t, "\n");
	}
}

/* NAME: 0x... */
static void show_register(struct text *t, const char *indent, const char *name, uint64_t value)
{
	text_put(t, indent);
	text_put(t, name);
	text_hex(t, ": 0x", value, 16);
	text_put(t, "\n");
}

void show_registers(struct text *t, const struct dump_record *r, const char *indent)
{
	const struct gpu_context *ctx = &r->ctx;

	show_register(t, indent, "TIMESTAMP", r->timestamp);
	show_register(t, indent, "CTX_TIMESTAMP", r->ctx_timestamp);
	for (unsigned i = 0; i < GPU_GPRS; i++) {
		text_put(t, indent);
		text_dec(t, "CS_GPR", i);
		text_hex(t, ": 0x", ctx->gpr[i], 16);
		text_put(t, "\n");
	}
	show_register(t, indent, "MI_PREDICATE_SRC0", ctx->regs_other[CS_PREDICATE_SRC0]);
	show_register(t, indent, "MI_PREDICATE_SRC1", ctx->regs_other[CS_PREDICATE_SRC1]);
	show_register(t, indent, "MI_PREDICATE_DATA", ctx->regs_other[CS_PREDICATE_DATA]);
	show_register(t, indent, "MI_PREDICATE_RESULT", ctx->regs_other[CS_PREDICATE_RESULT]);
	show_register(t, indent, "MI_PREDICATE_RESULT_2",
		      ctx->regs_other[CS_PREDICATE_RESULT_2]);
	if (ctx->ring.size_B) {
		show_register(t, indent, "ring_addr", ctx->ring.va);
		show_register(t, indent, "ring_head", ctx->head);
		show_register(t, indent, "ring_tail", ctx->tail);
	}
	text_put(t, indent);
	text_dec(t, "runtime: ", ctx->runtime_ns);
	text_put(t, " ns\n");
	for (unsigned i = 0; i < ctx->depth; i++) {
		text_put(t, indent);
		text_dec(t, "return[", i);
		text_hex(t, "]: 0x", ctx->ret[i], 16);
		text_put(t, "\n");
	}
}

static const char *page_name(unsigned shift)
{
	switch (shift) {
	case 12:
		return "4K";
	case 16:
		return "64K";
	case 21:
		return "2M";
	case 30:
		return "1G";
	default:
		return "?";
	}
}

static void show_attrs(struct text *t, const struct gpu_pte_attrs *attrs, uint64_t phys,
		       const char *mark)
{
	if (attrs->null) {
		text_put(t, " null");
	} else {
		text_hex(t, attrs->device ? " vram 0x" : " system 0x", phys, 12);
	}
	text_put(t, attrs->writable ? " read_write" : " read_only");
	text_put(t, attrs->atomic ? " atomic" : "");
	text_dec(t, " pat ", attrs->pat);
	if (attrs->dumpable) {
		text_put(t, " ");
		text_put(t, mark);
	}
	text_put(t, "\n");
}

void show_walk(struct text *t, const struct dump *dump, const char *indent, const char *mark)
{
	const struct gpu_pt_format *fmt = dump->device->vm_env.fmt;
	const struct dump_record *r = &dump->record;

	text_put(t, indent);
	text_hex(t, "Page-table walk of 0x", r->walk_addr, 16);
	text_put(t, "\n");
	for (unsigned i = 0; i < r->walk_steps; i++) {
		const struct pt_step *step = &r->walk[i];
		struct gpu_pte pte = gpu_pte_decode(fmt, step->level, step->compact, step->entry);

		text_put(t, indent);
		text_dec(t, "level ", step->level);
		if (step->evicted) {
			text_put(t, " (evicted)");
		} else {
			text_hex(t, " table 0x", step->table, 12);
		}
		text_dec(t, " entry ", step->slot);
		text_hex(t, " = 0x", step->entry, 16);
		switch (pte.kind) {
		case GPU_PTE_NONE:
			text_put(t, " not present\n");
			break;
		case GPU_PTE_TABLE:
			text_hex(t, pte.compact ? " table of 64K pages 0x" : " table 0x",
				 pte.phys, 12);
			text_put(t, "\n");
			break;
		case GPU_PTE_LEAF:
			text_put(t, " page of ");
			text_put(t, page_name(pte.ps64 ? fmt->compact_shift : pte.shift));
			show_attrs(t, &pte.attrs, pte.phys, mark);
			break;
		}
	}
}

void show_mappings(struct text *t, const struct dump *dump, const char *indent, const char *mark)
{
	const struct dump_record *r = &dump->record;

	text_put(t, indent);
	text_dec(t, "Mappings: ", r->all_runs);
	text_put(t, "\n");
	for (unsigned i = 0; i < r->runs; i++) {
		const struct pt_run *run = &dump->run[i];

		text_put(t, indent);
		text_hex(t, "0x", run->start, 16);
		text_hex(t, " to 0x", run->end, 16);
		text_put(t, " in ");
		text_put(t, page_name(run->page_shift));
		show_attrs(t, &run->attrs, run->phys, mark);
	}
}
