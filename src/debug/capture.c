// SPDX-License-Identifier: MIT
/*
 * Keeping a record of a job that is lost.
 *
 * Overview. The device calls for each job it gives up, on the way to the signal of its fence. So
 * nothing is allocated here (all there is room for was reserved with the dump, as address space
 * that costs memory once it is written), no reservation and no vm.lock is taken and no fence waited
 * for. What is mapped is read from the page tables under vm.pt, which such a path may take; entries
 * carry a bit for software that says what belongs into a dump.
 *
 * Contents are read as the batch would have read them: through its engine, which it still has, and
 * that engine's translations. An access holds no lock, keeps those waiting that would take the
 * memory away, and survives that a client's memory has gone. So contents may be younger than the
 * list by what the client has changed meanwhile.
 *
 * Time is bounded by what fits: what cannot be read takes its room too.
 *
 * Locking: .state is the lock of the record. Who has moved it from DUMP_EMPTY to DUMP_FILLING fills
 * the record; once it is DUMP_KEPT readers hold .lock, as does who clears it. The order is .lock,
 * then the rest of the world; a job that is lost never waits for .lock.
 *
 * Example: see dump.h.
 */
#include "debug/dump_priv.h"

/* Read in one go; also the size of the pieces that are looked at page by page if that fails. */
#define CHUNK_B SZ_64K

static struct port_lock_class dump_class = { .name = "dump", .rank = RANK_GROUP_MODE };

static unsigned pieces_max(const struct dump *dump)
{
	return 2 * dump->config.runs;
}

/* ---- registers ------------------------------------------------------------------------------- */

static void take_context(struct dump *dump, const struct device_lost *lost, const struct vm *vm)
{
	struct dump_record *r = &dump->record;
	const struct gpu_engine *engine = &dump->device->engine[lost->engine].gpu;
	const struct gpu_pt_format *fmt = vm->hw.fmt;

	r->lost = *lost;
	r->ctx = *lost->ctx;
	r->fault = lost->fault ? *lost->fault : (struct gpu_fault){ 0 };
	r->lost.ctx = NULL;
	r->lost.fault = NULL;
	r->time_ns = port_now_clock_ns(0);
	r->boot_ns = port_now_clock_ns(7);
	r->pid = port_pid();
	r->class = engine->class;
	r->instance = engine->instance;
	r->mmio_base = engine->mmio_base;
	r->timestamp = gpu_timestamp(engine->clock_hz);
	r->ctx_timestamp = gpu_ticks(r->ctx.runtime_ns, engine->clock_hz);
	r->vm_flags = vm->flags;
	r->walk_addr = gpu_va_bare(fmt, lost->fault ? r->fault.address : r->ctx.ip);
}

/* ---- mappings -------------------------------------------------------------------------------- */

/* Where what is mapped from @start on without a gap ends, up to @limit. vm.pt held. */
static uint64_t mapped_end(struct pt *pt, uint64_t start, uint64_t limit)
{
	uint64_t addr = start;
	struct pt_run run;

	while (addr < limit && pt_run_next(pt, addr, &run) && run.start == addr) {
		addr = run.end;
	}
	return min_u64(addr, limit);
}

/* What is dumped of a batch. */
struct window {
	uint64_t start, end;
};

static struct window from_start(struct pt *pt, const struct dump_record *r, uint64_t top)
{
	uint64_t first = r->ctx.ring.size_B ? r->ctx.ring.va : r->lost.batch;
	struct window w = { .start = gpu_va_bare(pt->fmt, first) };

	w.start = align_down(w.start, 4);
	w.end = align_down(w.start, PAGE_SIZE) + DUMP_BATCH_B;
	w.end = mapped_end(pt, w.start, min_u64(w.end, top));
	return w;
}

/* Nothing if that is in @done. */
static struct window around(struct pt *pt, const struct dump_record *r, const struct window *done,
			    uint64_t top)
{
	uint64_t ip = gpu_va_bare(pt->fmt, r->ctx.ip), page = align_down(ip, PAGE_SIZE);
	struct window w = { 0, 0 };

	if (ip >= done->start && ip < done->end) {
		return w;
	}
	w.start = page - min_u64(page, DUMP_BATCH_B / 2);
	while (w.start < page && mapped_end(pt, w.start, page) < page) {
		w.start += PAGE_SIZE;
	}
	w.end = mapped_end(pt, w.start, min_u64(w.start + DUMP_BATCH_B, top));
	return w;
}

/* All that is asked of the tables, at one moment. */
static void take_tables(struct dump *dump, struct vm *vm, struct window window_out[2])
{
	struct dump_record *r = &dump->record;
	uint64_t top = BIT64(vm->hw.fmt->va_bits);
	struct pt *pt = &vm->pt;
	struct pt_run run;

	port_mutex_lock(&pt->lock);
	r->walk_steps = pt_trace(pt, r->walk_addr, r->walk);
	for (uint64_t addr = 0; pt_run_next(pt, addr, &run); addr = run.end) {
		r->all_runs++;
		if (r->runs < dump->config.runs) {
			dump->run[r->runs++] = run;
		} else if (run.attrs.dumpable && !run.attrs.null) {
			r->missing_B += run.end - run.start;
		}
	}
	window_out[0] = from_start(pt, r, top);
	window_out[1] = around(pt, r, &window_out[0], top);
	port_mutex_unlock(&pt->lock);
}

/* ---- contents -------------------------------------------------------------------------------- */

/* [start, end) is in the contents at their end, or ends in @error. False: there is no room. */
static bool add_piece(struct dump *dump, uint64_t start, uint64_t end, int error,
		      enum dump_kind kind)
{
	struct dump_record *r = &dump->record;
	struct dump_piece *last = r->pieces ? &dump->piece[r->pieces - 1] : NULL;

	if (last && last->end == start && last->error == error && last->kind == kind) {
		last->end = end;
	} else if (r->pieces < pieces_max(dump)) {
		dump->piece[r->pieces++] = (struct dump_piece){
			.start = start, .end = end, .at = r->contents_B, .error = error,
			.kind = kind,
		};
	} else {
		return false;
	}
	r->contents_B += end - start;
	return true;
}

static void take_contents(struct dump *dump, const struct device_lost *lost, struct vm *vm,
			  const struct window *w, enum dump_kind kind)
{
	struct device *device = dump->device;
	struct dump_record *r = &dump->record;
	uint64_t by_page_to = 0; /* up to here something cannot be read */

	for (uint64_t addr = w->start, next; addr < w->end; addr = next) {
		uint64_t room_B = dump->config.contents_B - r->contents_B;
		uint64_t step_B = addr < by_page_to ? PAGE_SIZE : CHUNK_B;
		struct gpu_fault fault;
		int ret = 0;

		next = min_u64(align_down(addr, step_B) + step_B, w->end);
		next = min_u64(next, addr + room_B);
		if (next > addr) {
			ret = device->gpu->load(&device->engine[lost->engine].gpu, &vm->hw,
						gpu_va_canonical(vm->hw.fmt, addr),
						dump->contents + r->contents_B, next - addr,
						&fault);
			if (ret && step_B > PAGE_SIZE) {
				by_page_to = next;
				next = addr;
				continue;
			}
		}
		if (next == addr || !add_piece(dump, addr, next, ret, kind)) {
			r->missing_B += w->end - addr;
			return;
		}
	}
}

static void take_command(struct dump *dump, const struct device_lost *lost, struct vm *vm)
{
	struct gpu_engine *engine = &dump->device->engine[lost->engine].gpu;
	struct dump_record *r = &dump->record;
	struct gpu_fault fault;

	r->header_known = dump->device->gpu->load(engine, &vm->hw, r->ctx.ip, &r->header,
						  sizeof(r->header), &fault) == 0;
}

static void lost_hook(void *ctx, const struct device_lost *lost)
{
	/* Its queue keeps it. */
	struct vm *vm = container_of(lost->ctx->vm, struct vm, hw);
	struct dump *dump = ctx;
	unsigned empty = DUMP_EMPTY;
	struct window window[2];

	if (!atomic_compare_exchange_strong(&dump->state, &empty, DUMP_FILLING)) {
		atomic_fetch_add(&dump->later, 1);
		return;
	}
	memset(&dump->record, 0, sizeof(dump->record));
	take_context(dump, lost, vm);
	take_tables(dump, vm, window);
	take_command(dump, lost, vm);
	/* First what is needed most. */
	take_contents(dump, lost, vm, &window[0], DUMP_BATCH);
	take_contents(dump, lost, vm, &window[1], DUMP_NEAR);
	for (unsigned i = 0; i < dump->record.runs; i++) {
		const struct pt_run *run = &dump->run[i];
		const struct window all = { run->start, run->end };

		if (run->attrs.dumpable && !run->attrs.null) {
			take_contents(dump, lost, vm, &all, DUMP_MAPPING);
		}
	}
	atomic_store(&dump->state, DUMP_KEPT);
}

/* ---- life ------------------------------------------------------------------------------------ */

static size_t run_B(const struct dump *dump)
{
	return dump->config.runs * sizeof(*dump->run);
}

static size_t piece_B(const struct dump *dump)
{
	return pieces_max(dump) * sizeof(*dump->piece);
}

static void release(struct dump *dump)
{
	if (dump->run) {
		port_unreserve(dump->run, run_B(dump));
	}
	if (dump->piece) {
		port_unreserve(dump->piece, piece_B(dump));
	}
	if (dump->contents) {
		port_unreserve(dump->contents, dump->config.contents_B);
	}
	port_free(dump);
}

int dump_create(struct device *device, const struct dump_config *config, struct dump **dump_out)
{
	struct dump *dump = port_alloc(sizeof(*dump));

	if (!dump) {
		return -ENOMEM;
	}
	dump->config = *config;
	if (!dump->config.contents_B) {
		dump->config.contents_B = DUMP_CONTENTS_B;
	}
	if (!dump->config.runs) {
		dump->config.runs = DUMP_RUNS;
	}
	ASSERT(is_aligned(dump->config.contents_B, PAGE_SIZE));
	dump->run = port_reserve(run_B(dump));
	dump->piece = port_reserve(piece_B(dump));
	dump->contents = port_reserve(dump->config.contents_B);
	if (!dump->run || !dump->piece || !dump->contents) {
		release(dump);
		return -ENOMEM;
	}
	port_mutex_init(&dump->lock, &dump_class);
	dump->device = device;
	ASSERT(!device->lost);
	device->lost = lost_hook;
	device->lost_ctx = dump;
	*dump_out = dump;
	return 0;
}

void dump_destroy(struct dump *dump)
{
	if (!dump) {
		return;
	}
	ASSERT(atomic_load(&dump->state) != DUMP_FILLING);
	port_mutex_fini(&dump->lock);
	release(dump);
}

bool dump_is_kept(const struct dump *dump)
{
	return atomic_load(&dump->state) == DUMP_KEPT;
}

void dump_clear(struct dump *dump)
{
	port_mutex_lock(&dump->lock);
	if (dump_is_kept(dump)) {
		port_reserve_discard(dump->run, run_B(dump));
		port_reserve_discard(dump->piece, piece_B(dump));
		port_reserve_discard(dump->contents, dump->config.contents_B);
		atomic_store(&dump->later, 0);
		atomic_store(&dump->state, DUMP_EMPTY);
	}
	port_mutex_unlock(&dump->lock);
}

int dump_show(struct dump *dump, enum dump_form form,
	      int (*put)(void *ctx, const char *text, size_t n), void *ctx)
{
	struct text t = { .put = put, .ctx = ctx };
	int ret = 0;

	port_mutex_lock(&dump->lock);
	if (dump_is_kept(dump)) {
		if (form == DUMP_I915) {
			show_i915(&t, dump);
		} else {
			show_xe(&t, dump);
		}
		ret = text_end(&t);
	}
	port_mutex_unlock(&dump->lock);
	return ret;
}
