// SPDX-License-Identifier: MIT
/*
 * What is mapped, as the tables say it: for error dumps, which may look at nothing else.
 *
 * An error is dumped on the way to a fence's signal, where the list of mappings cannot be locked.
 * The tables say what the GPU sees, which is the better answer anyway. Tables that are evicted are
 * read from their images.
 *
 * Locking: pt.lock is held by the caller.
 *
 *	for (addr = 0; pt_run_next(pt, addr, &run); addr = run.end) {
 *		...
 *	}
 */
#include "pt/pt_priv.h"

/* Where a way from the root ends: an entry that is no table, or none. */
struct end {
	const struct pt_table *table;
	unsigned slot;
	struct gpu_pte pte;
	uint64_t start, end; /* what the entry is asked about */
};

static unsigned slot_in(const struct gpu_pt_format *fmt, const struct pt_table *table,
			uint64_t addr)
{
	if (table->compact) {
		return (unsigned)((addr >> fmt->compact_shift) & (BIT64(fmt->compact_bits) - 1));
	}
	return pt_slot(fmt, table->level, addr);
}

static uint64_t entry_B(const struct gpu_pt_format *fmt, const struct pt_table *table)
{
	return BIT64(table->compact ? fmt->compact_shift : fmt->level[table->level].shift);
}

/* The table that has the last word about @addr. */
static const struct pt_table *last_table(const struct pt *pt, uint64_t addr)
{
	const struct pt_table *table = pt->root, *child = table;

	while (child) {
		table = child;
		child = table->child ? table->child[slot_in(pt->fmt, table, addr)] : NULL;
	}
	return table;
}

/* The entry of .table at .slot, which is for @addr. */
static void look(const struct pt *pt, uint64_t addr, struct end *end)
{
	const struct pt_table *table = end->table;
	uint64_t n_B = entry_B(pt->fmt, table);

	end->pte = gpu_pte_decode(pt->fmt, table->level, table->compact,
				  pt_entry(table, end->slot));
	end->start = align_down(addr, n_B);
	end->end = end->start + n_B;
}

static void find_end(const struct pt *pt, uint64_t addr, struct end *end_out)
{
	end_out->table = last_table(pt, addr);
	end_out->slot = slot_in(pt->fmt, end_out->table, addr);
	look(pt, addr, end_out);
}

/* The one behind it, which is mostly in the same table. Not at the end of all addresses. */
static void next_end(const struct pt *pt, struct end *end)
{
	const struct pt_table *table = end->table;

	end->slot++;
	if (end->slot == pt_entries(pt->fmt, table) ||
	    (table->child && table->child[end->slot])) {
		find_end(pt, end->end, end);
	} else {
		look(pt, end->end, end);
	}
}

static bool same_attrs(const struct gpu_pte_attrs *a, const struct gpu_pte_attrs *b)
{
	return a->writable == b->writable && a->null == b->null && a->device == b->device &&
	       a->atomic == b->atomic && a->dumpable == b->dumpable && a->pat == b->pat;
}

static uint8_t page_shift(const struct gpu_pt_format *fmt, const struct gpu_pte *pte)
{
	return pte->ps64 ? fmt->compact_shift : (uint8_t)pte->shift;
}

static uint64_t phys_at(const struct end *end, uint64_t addr)
{
	return end->pte.attrs.null ? 0 : end->pte.phys + (addr - end->start);
}

bool pt_run_next(struct pt *pt, uint64_t addr, struct pt_run *run_out)
{
	uint64_t top = BIT64(pt->fmt->va_bits);
	struct end end;
	uint64_t goes_on;

	port_mutex_assert_held(&pt->lock);
	if (addr >= top) {
		return false;
	}
	find_end(pt, addr, &end);
	while (end.pte.kind != GPU_PTE_LEAF) {
		if (end.end >= top) {
			return false;
		}
		next_end(pt, &end);
	}
	run_out->start = max_u64(addr, end.start);
	run_out->end = end.end;
	run_out->phys = phys_at(&end, run_out->start);
	run_out->page_shift = page_shift(pt->fmt, &end.pte);
	run_out->attrs = end.pte.attrs;
	while (run_out->end < top) {
		next_end(pt, &end);
		goes_on = run_out->attrs.null ? 0 : run_out->phys + (run_out->end - run_out->start);
		if (end.pte.kind != GPU_PTE_LEAF || !same_attrs(&end.pte.attrs, &run_out->attrs) ||
		    page_shift(pt->fmt, &end.pte) != run_out->page_shift ||
		    phys_at(&end, end.start) != goes_on) {
			break;
		}
		run_out->end = end.end;
	}
	return true;
}

unsigned pt_trace(struct pt *pt, uint64_t addr, struct pt_step step_out[GPU_PT_MAX_LEVELS])
{
	const struct pt_table *table = pt->root;
	unsigned steps = 0;

	port_mutex_assert_held(&pt->lock);
	ASSERT(addr < BIT64(pt->fmt->va_bits));
	while (table) {
		unsigned slot = slot_in(pt->fmt, table, addr);

		step_out[steps++] = (struct pt_step){
			.level = table->level,
			.compact = table->compact,
			.evicted = pt_is_evicted(table),
			.table = table->page.phys,
			.slot = slot,
			.entry = pt_entry(table, slot),
		};
		table = table->child ? table->child[slot] : NULL;
	}
	return steps;
}
