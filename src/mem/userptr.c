// SPDX-License-Identifier: MIT
/*
 * Client memory (userptr).
 *
 * A window gets a range of physical addresses that is never used again, with the same offset in
 * 2 MiB as the client's address, so that large entries are possible, and a gap behind it, so that
 * two windows are never one contiguous stretch. Its generation lives in a cell of a table of the
 * device: a translation that outlived its window can still be asked for its generation.
 *
 * States, all changed under mem.userptr_lock: not valid -> (pinned) -> valid -> (the client's
 * memory goes) -> not valid. Pinning looks at the client's memory without the lock; the generation
 * tells whether that memory went away meanwhile, for which it moves in either state.
 *
 * Invalidation: under the lock, the window becomes invalid, its generation moves, a reference is
 * taken; then ops->invalidate() runs without any lock; then the reference is dropped. References
 * beyond the owner's are therefore invalidations that run, and userptr_fini() and every other
 * mem_client_range_gone() of the same memory wait until there is none.
 *
 * Locking: mem.userptr_lock, a leaf; mem.userptr_wq is woken when an invalidation has ended.
 */
#include "mem/mem_priv.h"

static struct port_lock_class userptr_class = { .name = "userptrs", .rank = RANK_LEAF };

#define CELLS_B (USERPTR_MAX * sizeof(struct userptr_cell))

int mem_userptrs_init(struct mem *mem)
{
	mem->userptr_cell = port_reserve(CELLS_B);
	if (!mem->userptr_cell) {
		return -ENOMEM;
	}
	port_mutex_init(&mem->userptr_lock, &userptr_class);
	port_wq_init(&mem->userptr_wq);
	list_init(&mem->userptrs);
	mem->userptr_next_phys = USERPTR_PHYS_BASE;
	mem->userptr_cell_free = FRAME_NIL;
	return 0;
}

void mem_userptrs_fini(struct mem *mem)
{
	ASSERT(list_empty(&mem->userptrs));
	port_mutex_fini(&mem->userptr_lock);
	port_unreserve(mem->userptr_cell, CELLS_B);
	mem->userptr_cell = NULL;
}

static unsigned gen_of(const struct userptr *userptr)
{
	return atomic_load_explicit(&userptr->cell->gen, memory_order_acquire);
}

static void gen_move(struct userptr *userptr)
{
	atomic_fetch_add_explicit(&userptr->cell->gen, 1, memory_order_release);
}

/* ---- address space -------------------------------------------------------------------------- */

static struct userptr_cell *cell_take(struct mem *mem)
{
	struct userptr_cell *cell;

	if (mem->userptr_cell_free != FRAME_NIL) {
		cell = &mem->userptr_cell[mem->userptr_cell_free];
		mem->userptr_cell_free = cell->next_free;
		return cell;
	}
	if (mem->userptr_cells == USERPTR_MAX) {
		return NULL;
	}
	return &mem->userptr_cell[mem->userptr_cells++];
}

static void cell_give(struct mem *mem, struct userptr_cell *cell)
{
	cell->next_free = mem->userptr_cell_free;
	mem->userptr_cell_free = (uint32_t)(cell - mem->userptr_cell);
}

/* Gives the window its addresses and puts it on the list. 0, or -ENOMEM when they are used up. */
static int window_add(struct mem *mem, struct userptr *userptr)
{
	uint64_t phys;

	port_mutex_assert_held(&mem->userptr_lock);
	phys = align_up(mem->userptr_next_phys, SZ_2M) + (userptr->addr & (SZ_2M - 1));
	if (phys >= USERPTR_PHYS_END || userptr->size_B > USERPTR_PHYS_END - phys) {
		return -ENOMEM;
	}
	userptr->cell = cell_take(mem);
	if (!userptr->cell) {
		return -ENOMEM;
	}
	userptr->phys = phys;
	userptr->extent = (struct extent){ .phys = phys, .size_B = userptr->size_B };
	mem->userptr_next_phys = phys + userptr->size_B + SZ_4K;
	list_add_tail(&mem->userptrs, &userptr->node);
	return 0;
}

int mem_userptr_find(struct mem *mem, uint64_t phys, struct gpu_page *page_out)
{
	int ret = -EFAULT;

	port_mutex_lock(&mem->userptr_lock);
	list_for_each(userptr, &mem->userptrs, struct userptr, node) {
		if (phys < userptr->phys || phys - userptr->phys >= userptr->size_B) {
			continue;
		}
		/* The next miss is likely in the same window. */
		list_del(&userptr->node);
		list_add_head(&mem->userptrs, &userptr->node);
		if (atomic_load_explicit(&userptr->valid, memory_order_relaxed)) {
			*page_out = (struct gpu_page){
				.phys = userptr->phys,
				.size_B = userptr->size_B,
				.host = (void *)(uintptr_t)userptr->addr,
				.gen_cell = &userptr->cell->gen,
				.gen = gen_of(userptr),
				.guarded = true,
			};
			ret = 0;
		}
		break;
	}
	port_mutex_unlock(&mem->userptr_lock);
	return ret;
}

/* ---- one window ----------------------------------------------------------------------------- */

/* Makes the memory present and the window valid. 0 or -EFAULT. */
static int window_pin(struct userptr *userptr, bool write)
{
	struct mem *mem = userptr->mem;
	unsigned gen;

	for (;;) {
		gen = gen_of(userptr);
		if (port_user_populate(userptr->addr, userptr->size_B, write)) {
			return -EFAULT;
		}
		port_mutex_lock(&mem->userptr_lock);
		if (gen_of(userptr) == gen) {
			break;
		}
		/* Some of it went away after it was looked at. */
		port_mutex_unlock(&mem->userptr_lock);
	}
	atomic_store_explicit(&userptr->valid, true, memory_order_release);
	port_mutex_unlock(&mem->userptr_lock);
	return 0;
}

int userptr_init(struct userptr *userptr, struct mem *mem, uint64_t addr, uint64_t size_B,
		 bool write, const struct userptr_ops *ops)
{
	int ret;

	ASSERT(ops && ops->invalidate);
	if (!size_B || !is_aligned(addr | size_B, PAGE_SIZE) || addr > UINT64_MAX - size_B) {
		return -EINVAL;
	}
	*userptr = (struct userptr){
		.mem = mem,
		.addr = addr,
		.size_B = size_B,
		.ops = ops,
	};
	ref_init(&userptr->ref);
	atomic_init(&userptr->valid, false);
	list_init(&userptr->node);
	/* Listed first, so that memory that goes while it is looked at is noticed. */
	port_mutex_lock(&mem->userptr_lock);
	ret = window_add(mem, userptr);
	port_mutex_unlock(&mem->userptr_lock);
	if (ret) {
		return ret;
	}
	ret = window_pin(userptr, write);
	if (ret) {
		userptr_fini(userptr);
	}
	return ret;
}

void userptr_fini(struct userptr *userptr)
{
	struct mem *mem = userptr->mem;
	bool last;

	port_mutex_lock(&mem->userptr_lock);
	ASSERT(userptr->cell && !list_empty(&userptr->node));
	list_del(&userptr->node);
	atomic_store_explicit(&userptr->valid, false, memory_order_relaxed);
	gen_move(userptr);
	cell_give(mem, userptr->cell);
	userptr->cell = NULL;
	last = ref_put(&userptr->ref);
	port_mutex_unlock(&mem->userptr_lock);
	while (!last) {
		uint32_t seq = port_wq_prepare(&mem->userptr_wq);

		if (atomic_load_explicit(&userptr->ref.count, memory_order_acquire) == 0) {
			break;
		}
		port_wq_wait(&mem->userptr_wq, seq, PORT_FOREVER, 0);
	}
}

int userptr_repin(struct userptr *userptr, bool write)
{
	ASSERT(userptr->cell);
	if (atomic_load_explicit(&userptr->valid, memory_order_acquire)) {
		return 0;
	}
	return window_pin(userptr, write);
}

struct backing userptr_backing(const struct userptr *userptr)
{
	ASSERT(userptr->extent.size_B == userptr->size_B);
	return (struct backing){ .extents = &userptr->extent, .count = 1, .device = false };
}

/* ---- invalidation --------------------------------------------------------------------------- */

static bool window_meets(const struct userptr *userptr, uint64_t start, uint64_t end)
{
	return range_overlaps(userptr->addr, userptr->addr + userptr->size_B, start, end);
}

/* Stops pins of [start, end) that are under way. */
static void stop_pins(struct mem *mem, uint64_t start, uint64_t end)
{
	port_mutex_lock(&mem->userptr_lock);
	list_for_each(userptr, &mem->userptrs, struct userptr, node) {
		if (!atomic_load_explicit(&userptr->valid, memory_order_relaxed) &&
		    window_meets(userptr, start, end)) {
			gen_move(userptr);
		}
	}
	port_mutex_unlock(&mem->userptr_lock);
}

/*
 * The next valid window of [start, end), made invalid and referenced; NULL when there is none.
 * *@running_out: an invalidation of another thread is still running on one.
 */
static struct userptr *invalidate_next(struct mem *mem, uint64_t start, uint64_t end,
				       bool *running_out)
{
	struct userptr *found = NULL;

	*running_out = false;
	port_mutex_lock(&mem->userptr_lock);
	list_for_each(userptr, &mem->userptrs, struct userptr, node) {
		if (!window_meets(userptr, start, end)) {
			continue;
		}
		if (atomic_load_explicit(&userptr->valid, memory_order_relaxed)) {
			atomic_store_explicit(&userptr->valid, false, memory_order_relaxed);
			gen_move(userptr);
			ref_get(&userptr->ref);
			found = userptr;
			break;
		}
		if (atomic_load_explicit(&userptr->ref.count, memory_order_acquire) > 1) {
			*running_out = true;
		}
	}
	port_mutex_unlock(&mem->userptr_lock);
	return found;
}

void mem_client_range_gone(struct mem *mem, uint64_t addr, uint64_t size_B)
{
	/* Whole pages, as munmap() takes them; a range beyond the last page ends there. */
	uint64_t last_page = align_down(UINT64_MAX, PAGE_SIZE);
	uint64_t start = align_down(addr, PAGE_SIZE);
	uint64_t end = addr >= last_page || size_B > last_page - addr
			       ? UINT64_MAX
			       : align_up(addr + size_B, PAGE_SIZE);

	port_assert_no_locks();
	if (!size_B) {
		return;
	}
	stop_pins(mem, start, end);
	for (;;) {
		uint32_t seq = port_wq_prepare(&mem->userptr_wq);
		bool running;
		struct userptr *userptr = invalidate_next(mem, start, end, &running);

		if (userptr) {
			userptr->ops->invalidate(userptr);
			/* Its owner may be waiting for this, and free it then. */
			ref_put(&userptr->ref);
			port_wq_wake(&mem->userptr_wq);
		} else if (running) {
			port_wq_wait(&mem->userptr_wq, seq, PORT_FOREVER, 0);
		} else {
			break;
		}
	}
}
