// SPDX-License-Identifier: MIT
/*
 * MMU: TLB, access epochs, invalidation.
 *
 * An access is cut at translation boundaries and at GPU_EPOCH_MAX_B. Each piece is one epoch:
 * enter, translate, touch, leave. The TLB is direct mapped, its entries are 4 KiB, 64 KiB or 2 MiB:
 * the largest that the leaf and the stretch of host memory behind it allow. A stale entry stays
 * usable until it is invalidated; only the generation of its frame tells that somebody forgot to.
 * Misses are not remembered, but those of a VM with .scratch_cached: as the scratch page is one of
 * its pages, it sees a new mapping only after an invalidation. Any other sees it at once.
 *
 * There is no lock. The run side is whoever holds the engine's token; invalidators run beside it.
 *
 *	run side				invalidator (has already written the entries)
 *	R1 epoch becomes odd			I1 bump vm->inval_seq
 *	R2 look at the tag; a miss:		I2 clear overlapping tags, engines with their bit
 *	R3 seq = vm->inval_seq			I3 read each engine's epoch; while it is odd and
 *	R4 walk the tables			   unchanged, wait
 *	R5 tag = 0, payload, engine's bit in
 *	   vm->cached_by, tag = new
 *	R6 inval_seq moved since R3? tag = 0
 *	R7 touch memory
 *	R8 epoch becomes even
 *
 * R1, R2, R3, R5's bit and tags, R6, I1, I2 and I3 are sequentially consistent, so all threads
 * agree on one order of them. Claim: once the invalidator is past I3, no access uses a translation
 * that was gone before I1. Take an epoch.
 *  - R1 before I3 in that order: the invalidator sees the odd value, or a later one. It waits until
 *    R8, whatever the epoch does in between; R8 releases and I3 acquires, so the touch is over.
 *  - R1 after I3: then R2 and R3 are after I1 and I2. R3 reads the bumped counter, which orders the
 *    walk after the entries the invalidator had written. So only a tag left behind can be old. Old
 *    tags that were there at I2 are cleared. One that was set after I2 came from an epoch whose
 *    walk saw old entries, hence whose R3 was before I1 and R1 before I3; its R6 came after its R5,
 *    after I2, after I1, so it saw the counter move and cleared the tag before its R8, for which
 *    the invalidator waited. An engine whose bit was not there at I2 is passed over; it sets the
 *    bit before its first tag, so that tag was set after I2, and the same holds for it.
 *
 * A copy translates its target and its source in one epoch. The argument is about each translation
 * by itself, so it holds for both; one may even take the other's slot, since the host addresses
 * have been read by then and the open epoch keeps them good.
 *
 * The payload of an entry is written only by the run side while the tag is 0 and read only by the
 * run side, so it needs no atomics. The tag need not be checked again after the payload was read:
 * an invalidator that clears it meanwhile is held at I3 by the epoch that is still open. When the
 * token changes hands, its lock orders the payloads.
 *
 * The tag carries only the low bits of the asid: an invalidator may thus drop an entry of another
 * VM, which costs a walk; a lookup compares the whole asid in the payload.
 */
#include "gpu/mmu.h"

#include "base/bits.h"
#include "gpu/host.h"

static const uint8_t tlb_shift[] = { 12, 16, 21 };

/* Tag: valid, 16 bits of asid, 2 bits of size (index into tlb_shift), 45 bits of page number. */
#define TAG_VALID BIT64(63)
#define TAG_ASID_SHIFT 47
#define TAG_ASID_MASK ((uint64_t)0xffff)
#define TAG_SIZE_SHIFT 45
#define TAG_SIZE_MASK ((uint64_t)3)
#define TAG_PAGE_MASK (BIT64(45) - 1)

_Static_assert(GPU_TLB_ENTRIES == 256, "tlb_slot() takes eight bits of its hash");

static uint64_t tag_of(const struct gpu_vm *vm, unsigned size, uint64_t va)
{
	ASSERT(size < ARRAY_LEN(tlb_shift));
	return TAG_VALID | (vm->asid & TAG_ASID_MASK) << TAG_ASID_SHIFT |
	       (uint64_t)size << TAG_SIZE_SHIFT | ((va >> tlb_shift[size]) & TAG_PAGE_MASK);
}

/* Multiplicative hashing: pages a power of two apart, as clients place them, rarely collide. */
static struct gpu_tlb_entry *tlb_slot(struct gpu_engine *engine, const struct gpu_vm *vm,
				      unsigned size, uint64_t va)
{
	uint64_t key = (va >> tlb_shift[size]) ^ (uint64_t)size << 56 ^ (uint64_t)vm->asid << 40;

	return &engine->tlb[(key * 0x9e3779b97f4a7c15) >> 56 & (GPU_TLB_ENTRIES - 1)];
}

static struct gpu_tlb_entry *tlb_find(struct gpu_engine *engine, const struct gpu_vm *vm,
				      uint64_t va)
{
	for (unsigned size = 0; size < ARRAY_LEN(tlb_shift); size++) {
		struct gpu_tlb_entry *e = tlb_slot(engine, vm, size, va);

		if (atomic_load(&e->tag) == tag_of(vm, size, va) && e->asid == vm->asid) {
			return e;
		}
	}
	return NULL;
}

static void epoch_enter(struct gpu_engine *engine)
{
	unsigned before = atomic_fetch_add(&engine->epoch, 1);

	ASSERT((before & 1) == 0);
}

static void epoch_leave(struct gpu_engine *engine)
{
	/* Nobody else writes it. */
	unsigned before = atomic_load_explicit(&engine->epoch, memory_order_relaxed);

	ASSERT((before & 1) == 1);
	atomic_store_explicit(&engine->epoch, before + 1, memory_order_release);
}

static int fault(const struct gpu_vm *vm, uint64_t addr, enum gpu_access access,
		 enum gpu_fault_type type, unsigned level, struct gpu_fault *fault_out)
{
	*fault_out = (struct gpu_fault){
		.address = gpu_va_bare(vm->fmt, addr),
		.access = access,
		.type = type,
		.level = (uint8_t)level,
	};
	return -EFAULT;
}

/* Has @e the right for @access? If not, *type_out is the fault. */
static bool allows(const struct gpu_vm *vm, const struct gpu_tlb_entry *e, enum gpu_access access,
		   enum gpu_fault_type *type_out)
{
	if (e->null || access == GPU_READ) {
		return true;
	}
	if (!e->writable) {
		*type_out = GPU_FAULT_WRITE;
		return false;
	}
	if (access == GPU_ATOMIC && vm->check_atomic && !e->atomic) {
		*type_out = GPU_FAULT_ATOMIC;
		return false;
	}
	return true;
}

/* The generation is read anew at every use. */
static bool stale(const struct gpu_tlb_entry *e)
{
	return e->page.gen_cell &&
	       atomic_load_explicit(e->page.gen_cell, memory_order_acquire) != e->page.gen;
}

/*
 * Cuts @page, the stretch around @phys, to the largest block a TLB entry can hold inside a leaf of
 * 1 << @leaf_shift bytes. Returns the size's index.
 */
static unsigned cut_block(unsigned leaf_shift, uint64_t phys, struct gpu_page *page)
{
	unsigned size = ARRAY_LEN(tlb_shift) - 1;
	uint64_t base;

	ASSERT(phys >= page->phys && phys - page->phys < page->size_B);
	for (;; size--) {
		uint64_t size_B = BIT64(tlb_shift[size]);

		base = align_down(phys, size_B);
		if (tlb_shift[size] <= leaf_shift && base >= page->phys &&
		    range_inside(base - page->phys, size_B, page->size_B)) {
			break;
		}
		ASSERT(size > 0); /* a stretch is at least 4 KiB, and aligned */
	}
	page->host = (uint8_t *)page->host + (base - page->phys);
	page->phys = base;
	page->size_B = BIT64(tlb_shift[size]);
	return size;
}

/* Puts a leaf into the TLB. @seq is vm->inval_seq from before the walk. */
static struct gpu_tlb_entry *tlb_fill(struct gpu_engine *engine, struct gpu_vm *vm, uint64_t va,
				      const struct gpu_pte *pte, unsigned level,
				      const struct gpu_page *page, unsigned size, unsigned seq)
{
	struct gpu_tlb_entry *e = tlb_slot(engine, vm, size, va);

	atomic_store(&e->tag, 0);
	e->page = *page;
	e->va = align_down(va, BIT64(tlb_shift[size]));
	e->asid = vm->asid;
	e->shift = tlb_shift[size];
	e->level = (uint8_t)level;
	e->writable = pte->attrs.writable;
	e->null = pte->attrs.null;
	e->atomic = pte->attrs.atomic || pte->attrs.device;
	if (!(atomic_load(&vm->cached_by) & engine->vm_bit)) {
		atomic_fetch_or(&vm->cached_by, engine->vm_bit);
	}
	atomic_store(&e->tag, tag_of(vm, size, va));
	if (atomic_load(&vm->inval_seq) != seq) {
		atomic_store(&e->tag, 0);
	}
	return e;
}

/* The largest size of an entry inside a leaf of 1 << @leaf_shift bytes. */
static unsigned size_inside(unsigned leaf_shift)
{
	unsigned size = ARRAY_LEN(tlb_shift) - 1;

	while (tlb_shift[size] > leaf_shift) {
		size--;
	}
	return size;
}

/* The scratch page, all over the hole of an entry at @level that is empty. */
static struct gpu_tlb_entry *scratch_fill(struct gpu_engine *engine, struct gpu_vm *vm, uint64_t va,
					  unsigned level, unsigned seq)
{
	const struct gpu_pte pte = { .attrs = { .null = true, .writable = true, .atomic = true } };
	const struct gpu_page page = { 0 };

	return tlb_fill(engine, vm, va, &pte, level, &page,
			size_inside(vm->fmt->level[level].shift), seq);
}

/* Walks for the leaf that maps @addr. NULL: *type_out and *level_out say why there is none. */
static struct gpu_tlb_entry *tlb_miss(struct gpu_engine *engine, struct gpu_vm *vm, uint64_t addr,
				      enum gpu_fault_type *type_out, unsigned *level_out)
{
	unsigned seq = atomic_load(&vm->inval_seq);
	uint64_t va = gpu_va_bare(vm->fmt, addr);
	struct gpu_page page = { 0 };
	unsigned leaf_shift, size;
	struct gpu_pte pte;

	if (gpu_walk(engine->mem_ops, engine->mem_ctx, vm, addr, &pte, level_out)) {
		*type_out = GPU_FAULT_NOT_PRESENT;
		return vm->scratch_cached ? scratch_fill(engine, vm, va, *level_out, seq) : NULL;
	}
	/* A hinted 4 KiB entry speaks for its whole 64 KiB page, whatever its neighbours say. */
	leaf_shift = pte.ps64 ? vm->fmt->compact_shift : pte.shift;
	if (pte.attrs.null) {
		size = size_inside(leaf_shift);
	} else {
		uint64_t in_leaf = va & (BIT64(leaf_shift) - 1);
		uint64_t phys = align_down(pte.phys, BIT64(leaf_shift)) + in_leaf;

		int ret = engine->mem_ops->page(engine->mem_ctx, phys, pte.attrs.device, &page);

		/* Else an entry that points to no frame has outlived it. */
		if (ret) {
			*type_out = ret == -ENXIO ? GPU_FAULT_MEMORY : GPU_FAULT_STALE;
			return NULL;
		}
		size = cut_block(leaf_shift, phys, &page);
	}
	return tlb_fill(engine, vm, va, &pte, *level_out, &page, size, seq);
}

static void span_of(const struct gpu_tlb_entry *e, uint64_t va, size_t n, struct gpu_span *span_out)
{
	uint64_t off = va - e->va;

	ASSERT(va >= e->va && off < BIT64(e->shift));
	span_out->n = min_u64(min_u64(n, BIT64(e->shift) - off), GPU_EPOCH_MAX_B);
	span_out->host = e->null ? NULL : (uint8_t *)e->page.host + off;
	span_out->guarded = !e->null && e->page.guarded;
	if (span_out->guarded) {
		/* It is there or not by pages, so a fault names the first byte that is not. */
		span_out->n = min_u64(span_out->n, PAGE_SIZE - (va & (PAGE_SIZE - 1)));
	}
}

/* Inside an epoch: where the first bytes of [@addr, @addr + @n) are. 0, or -EFAULT. */
static int translate(struct gpu_engine *engine, struct gpu_vm *vm, uint64_t addr, size_t n,
		     enum gpu_access access, struct gpu_span *span_out,
		     struct gpu_fault *fault_out)
{
	uint64_t va = gpu_va_bare(vm->fmt, addr);
	enum gpu_fault_type type = GPU_FAULT_NOT_PRESENT;
	unsigned level = vm->fmt->levels - 1;
	struct gpu_tlb_entry *e;

	ASSERT(n > 0 && vm->asid != 0);
	if (gpu_va_canonical(vm->fmt, addr) != addr) {
		return fault(vm, addr, access, type, level, fault_out);
	}
	e = tlb_find(engine, vm, va);
	if (e && stale(e)) {
		return fault(vm, addr, access, GPU_FAULT_STALE, e->level, fault_out);
	}
	/* Rights may have been added without an invalidation: a hit that forbids is a miss. */
	if (!e || !allows(vm, e, access, &type)) {
		e = tlb_miss(engine, vm, addr, &type, &level);
		if (!e && type == GPU_FAULT_NOT_PRESENT && vm->scratch) {
			uint64_t hole_B = BIT64(vm->fmt->level[level].shift);

			n = min_u64(n, hole_B - (va & (hole_B - 1)));
			*span_out = (struct gpu_span){ .n = min_u64(n, GPU_EPOCH_MAX_B) };
			return 0;
		}
		if (!e || !allows(vm, e, access, &type)) {
			return fault(vm, addr, access, type, e ? e->level : level, fault_out);
		}
	}
	span_of(e, va, n, span_out);
	return 0;
}

/* One epoch: moves up to @n bytes, says how many. Exactly one of @dst and @src is there. */
static int access_piece(struct gpu_engine *engine, struct gpu_vm *vm, uint64_t addr, void *dst,
			const void *src, size_t n, size_t *moved_out, struct gpu_fault *fault_out)
{
	enum gpu_access access = dst ? GPU_READ : GPU_WRITE;
	struct gpu_span span;
	int ret;

	ASSERT(!dst != !src);
	epoch_enter(engine);
	ret = translate(engine, vm, addr, n, access, &span, fault_out);
	if (!ret) {
		*moved_out = span.n;
		if (dst ? gpu_host_load(&span, dst) : gpu_host_store(&span, src)) {
			ret = fault(vm, addr, access, GPU_FAULT_MEMORY, 0, fault_out);
		}
	}
	epoch_leave(engine);
	return ret;
}

int gpu_mmu_read(struct gpu_engine *engine, struct gpu_vm *vm, uint64_t addr, void *dst, size_t n,
		 struct gpu_fault *fault_out)
{
	for (size_t done = 0; done < n;) {
		size_t moved;

		if (access_piece(engine, vm, addr + done, (uint8_t *)dst + done, NULL, n - done,
				 &moved, fault_out)) {
			return -EFAULT;
		}
		ASSERT(moved > 0 && moved <= n - done);
		done += moved;
	}
	return 0;
}

int gpu_mmu_write(struct gpu_engine *engine, struct gpu_vm *vm, uint64_t addr, const void *src,
		  size_t n, struct gpu_fault *fault_out)
{
	for (size_t done = 0; done < n;) {
		size_t moved;

		if (access_piece(engine, vm, addr + done, NULL, (const uint8_t *)src + done,
				 n - done, &moved, fault_out)) {
			return -EFAULT;
		}
		ASSERT(moved > 0 && moved <= n - done);
		done += moved;
	}
	return 0;
}

int gpu_mmu_copy(struct gpu_engine *engine, struct gpu_vm *vm, uint64_t dst, uint64_t src, size_t n,
		 size_t *moved_out, struct gpu_fault *fault_out)
{
	struct gpu_span from, to;
	const struct gpu_span *failed;
	int ret;

	ASSERT(n > 0);
	epoch_enter(engine);
	ret = translate(engine, vm, src, n, GPU_READ, &from, fault_out);
	if (!ret) {
		ret = translate(engine, vm, dst, from.n, GPU_WRITE, &to, fault_out);
	}
	if (!ret) {
		ASSERT(to.n > 0 && to.n <= from.n);
		from.n = to.n;
		*moved_out = to.n;
		if (gpu_host_copy(&to, &from, &failed)) {
			ret = failed == &to ? fault(vm, dst, GPU_WRITE, GPU_FAULT_MEMORY, 0,
						    fault_out) :
					      fault(vm, src, GPU_READ, GPU_FAULT_MEMORY, 0,
						    fault_out);
		}
	}
	epoch_leave(engine);
	return ret;
}

int gpu_mmu_fill(struct gpu_engine *engine, struct gpu_vm *vm, uint64_t addr, size_t n,
		 const struct gpu_pattern *pattern, size_t phase, size_t *moved_out,
		 struct gpu_fault *fault_out)
{
	struct gpu_span span;
	int ret;

	ASSERT(n > 0 && phase < pattern->size);
	epoch_enter(engine);
	ret = translate(engine, vm, addr, n, GPU_WRITE, &span, fault_out);
	if (!ret) {
		*moved_out = span.n;
		if (gpu_host_fill(&span, pattern, phase)) {
			ret = fault(vm, addr, GPU_WRITE, GPU_FAULT_MEMORY, 0, fault_out);
		}
	}
	epoch_leave(engine);
	return ret;
}

int gpu_mmu_rmw(struct gpu_engine *engine, struct gpu_vm *vm, uint64_t addr, size_t n,
		gpu_rmw_fn fn, const void *arg, uint64_t *old_out, struct gpu_fault *fault_out)
{
	struct gpu_span span;
	int ret;

	ASSERT((n == 4 || n == 8) && is_aligned(addr, n));
	epoch_enter(engine);
	ret = translate(engine, vm, addr, n, GPU_ATOMIC, &span, fault_out);
	if (!ret) {
		ASSERT(span.n == n);
		if (gpu_host_rmw(&span, fn, arg, old_out)) {
			ret = fault(vm, addr, GPU_ATOMIC, GPU_FAULT_MEMORY, 0, fault_out);
		}
	}
	epoch_leave(engine);
	return ret;
}

/* Is the page of @tag one of @vm that meets [start, end)? */
static bool tag_meets(uint64_t tag, const struct gpu_vm *vm, uint64_t start, uint64_t end)
{
	unsigned size = (tag >> TAG_SIZE_SHIFT) & TAG_SIZE_MASK;
	uint64_t va;

	if (!(tag & TAG_VALID) ||
	    ((tag >> TAG_ASID_SHIFT) & TAG_ASID_MASK) != (vm->asid & TAG_ASID_MASK)) {
		return false;
	}
	ASSERT(size < ARRAY_LEN(tlb_shift));
	va = (tag & TAG_PAGE_MASK) << tlb_shift[size];
	return range_overlaps(va, va + BIT64(tlb_shift[size]), start, end);
}

static void entry_clear(struct gpu_tlb_entry *e, const struct gpu_vm *vm, uint64_t start,
			uint64_t end)
{
	unsigned long long tag = atomic_load(&e->tag);

	/* When the exchange fails the run side has put another page there meanwhile. */
	while (tag_meets(tag, vm, start, end) && !atomic_compare_exchange_weak(&e->tag, &tag, 0)) {
	}
}

/* A small range can only be in few slots, a large one in all. */
static void tlb_clear(struct gpu_engine *engine, const struct gpu_vm *vm, uint64_t start,
		      uint64_t end)
{
	if ((end - start) >> tlb_shift[0] < GPU_TLB_ENTRIES / 2) {
		for (unsigned size = 0; size < ARRAY_LEN(tlb_shift); size++) {
			uint64_t page_B = BIT64(tlb_shift[size]);

			for (uint64_t va = align_down(start, page_B); va < end; va += page_B) {
				entry_clear(tlb_slot(engine, vm, size, va), vm, start, end);
			}
		}
		return;
	}
	for (unsigned i = 0; i < GPU_TLB_ENTRIES; i++) {
		entry_clear(&engine->tlb[i], vm, start, end);
	}
}

void gpu_mmu_flush_own(struct gpu_engine *engine, const struct gpu_vm *vm)
{
	ASSERT((atomic_load_explicit(&engine->epoch, memory_order_relaxed) & 1) == 0);
	tlb_clear(engine, vm, 0, UINT64_MAX);
}

void gpu_mmu_invalidate(struct gpu_engine *const *engines, unsigned count, struct gpu_vm *vm,
			uint64_t start, uint64_t end)
{
	uint64_t cached_by;

	ASSERT(start <= end);
	ASSERT(vm->asid != 0);
	if (start == end) {
		return;
	}
	atomic_fetch_add(&vm->inval_seq, 1);
	cached_by = atomic_load(&vm->cached_by);
	for (unsigned i = 0; i < count; i++) {
		if (cached_by & engines[i]->vm_bit) {
			tlb_clear(engines[i], vm, start, end);
		}
	}
	for (unsigned i = 0; i < count; i++) {
		unsigned seen = atomic_load(&engines[i]->epoch);

		while ((seen & 1) && atomic_load(&engines[i]->epoch) == seen) {
			port_relax();
		}
	}
}
