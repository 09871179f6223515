// SPDX-License-Identifier: MIT
/*
 * Client memory (userptr).
 *
 * A window gets a range of physical addresses that is never used again, with the same offset in
 * 2 MiB as the client's address, so that large entries are possible, and a gap behind it, so that
 * two windows are never one contiguous stretch. Its generation lives in a cell of a table of the
 * device: a translation that outlived its window can still be asked for its generation.
 *
 * States, all changed under mem.userptr_lock: invalid -> (pinned) -> valid -> going -> invalid; a
 * pin that finds nothing there leaves it invalid and missing. Whoever may use it has tried to pin
 * it: so an access that meets an invalid window is a missing wait, but one that meets a missing
 * window has found what the client has left there. While a range of the client's memory goes
 * (mem_client_range_begin() to _end(), with the real munmap() in between) nothing in it can be
 * pinned; a pin that was under way notices by the generation, which moves in either state, or by
 * the range.
 *
 * Invalidation of a valid window: it is going, with a reference; ops->quiesce() keeps new users
 * away and waits for the old ones, who still reach the memory; then it is invalid, so that no
 * translation can be made any more; ops->zap() drops those that exist; then the generation moves. A
 * stale one met after that is a missing invalidation, and none is met before.
 *
 * Where the host sees memory go that nobody announced (mem.watch), a window is armed before it is
 * pinned: what happened before that is in what the pin finds, and what happens later is told, as a
 * range that begins and ends after the fact.
 *
 * Locking: mem.userptr_lock, a leaf; mem.userptr_wq is woken when an invalidation or a range ends.
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
	list_init(&mem->ranges);
	mem->userptr_next_phys = USERPTR_PHYS_BASE;
	mem->userptr_cell_free = FRAME_NIL;
	return 0;
}

void mem_userptrs_fini(struct mem *mem)
{
	ASSERT(list_empty(&mem->userptrs) && list_empty(&mem->ranges));
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
		} else if (userptr->missing) {
			ret = -ENXIO;
		}
		break;
	}
	port_mutex_unlock(&mem->userptr_lock);
	return ret;
}

/* ---- one window ----------------------------------------------------------------------------- */

static bool window_meets(const struct userptr *userptr, uint64_t start, uint64_t end)
{
	return range_overlaps(userptr->addr, userptr->addr + userptr->size_B, start, end);
}

/* Is some of the window's memory just going? */
static bool window_in_range(const struct userptr *userptr)
{
	port_mutex_assert_held(&userptr->mem->userptr_lock);
	if (userptr->going) {
		return true;
	}
	list_for_each(range, &userptr->mem->ranges, struct mem_client_range, node) {
		if (window_meets(userptr, range->start, range->end)) {
			return true;
		}
	}
	return false;
}

/* Returns when nothing of the window is going: the generation then. */
static unsigned wait_ranges(struct userptr *userptr)
{
	struct mem *mem = userptr->mem;

	for (;;) {
		uint32_t seq = port_wq_prepare(&mem->userptr_wq);
		unsigned gen;
		bool going;

		port_mutex_lock(&mem->userptr_lock);
		going = window_in_range(userptr);
		gen = gen_of(userptr);
		port_mutex_unlock(&mem->userptr_lock);
		if (!going) {
			return gen;
		}
		port_wq_wait(&mem->userptr_wq, seq, PORT_FOREVER, 0);
	}
}

/* Makes the memory present and the window valid. 0 or -EFAULT. */
static int window_pin(struct userptr *userptr, bool write)
{
	struct mem *mem = userptr->mem;
	bool pinned;
	int ret;

	do {
		unsigned gen = wait_ranges(userptr);

		if (userptr->watched) {
			mem->watch->arm(mem->watch_ctx, userptr->addr, userptr->size_B);
		}
		ret = port_user_populate(userptr->addr, userptr->size_B, write);
		port_mutex_lock(&mem->userptr_lock);
		/* Some of it may have gone after it was looked at. */
		pinned = !ret && gen_of(userptr) == gen && !window_in_range(userptr);
		if (pinned) {
			atomic_store_explicit(&userptr->valid, true, memory_order_release);
		}
		userptr->missing = ret;
		port_mutex_unlock(&mem->userptr_lock);
	} while (!pinned && !ret);
	return ret;
}

int userptr_init(struct userptr *userptr, struct mem *mem, uint64_t addr, uint64_t size_B,
		 bool write, const struct userptr_ops *ops)
{
	int ret = 0;

	ASSERT(ops && ops->quiesce && ops->zap && ops->release);
	*userptr = (struct userptr){
		.mem = mem,
		.addr = addr,
		.size_B = size_B,
		.ops = ops,
	};
	ref_init(&userptr->ref);
	atomic_init(&userptr->valid, false);
	list_init(&userptr->node);
	if (!size_B || !is_aligned(addr | size_B, PAGE_SIZE) || addr > UINT64_MAX - size_B) {
		ret = -EINVAL;
	}
	/* Listed first, so that memory that goes while it is looked at is noticed. */
	if (!ret) {
		port_mutex_lock(&mem->userptr_lock);
		ret = window_add(mem, userptr);
		port_mutex_unlock(&mem->userptr_lock);
	}
	if (ret) {
		ops->release(userptr);
		return ret;
	}
	userptr->watched = mem->watch && mem->watch->watch(mem->watch_ctx, addr, size_B);
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

	if (userptr->watched) {
		mem->watch->unwatch(mem->watch_ctx, userptr->addr, userptr->size_B);
	}
	port_mutex_lock(&mem->userptr_lock);
	ASSERT(userptr->cell && !list_empty(&userptr->node));
	list_del(&userptr->node);
	atomic_store_explicit(&userptr->valid, false, memory_order_relaxed);
	gen_move(userptr);
	cell_give(mem, userptr->cell);
	userptr->cell = NULL;
	last = ref_put(&userptr->ref);
	port_mutex_unlock(&mem->userptr_lock);
	if (last) {
		userptr->ops->release(userptr);
	}
}

int userptr_repin(struct userptr *userptr, bool write)
{
	struct mem *mem = userptr->mem;
	bool pinned;

	ASSERT(userptr->cell);
	port_mutex_lock(&mem->userptr_lock);
	pinned = atomic_load_explicit(&userptr->valid, memory_order_relaxed) &&
		 !window_in_range(userptr);
	port_mutex_unlock(&mem->userptr_lock);
	return pinned ? 0 : window_pin(userptr, write);
}

struct backing userptr_backing(const struct userptr *userptr)
{
	ASSERT(userptr->extent.size_B == userptr->size_B);
	return (struct backing){ .extents = &userptr->extent, .count = 1, .device = false };
}

/* ---- invalidation --------------------------------------------------------------------------- */

/* Stops pins of the range that are under way. */
static void stop_pins(struct mem *mem, const struct mem_client_range *range)
{
	port_mutex_assert_held(&mem->userptr_lock);
	list_for_each(userptr, &mem->userptrs, struct userptr, node) {
		if (!atomic_load_explicit(&userptr->valid, memory_order_relaxed) &&
		    window_meets(userptr, range->start, range->end)) {
			gen_move(userptr);
		}
	}
}

/*
 * The next valid window of the range, now going and referenced; NULL when there is none.
 * *@running_out: one is going by another thread's doing.
 */
static struct userptr *take_next(struct mem *mem, const struct mem_client_range *range,
				 bool *running_out)
{
	struct userptr *found = NULL;

	*running_out = false;
	port_mutex_lock(&mem->userptr_lock);
	list_for_each(userptr, &mem->userptrs, struct userptr, node) {
		if (!window_meets(userptr, range->start, range->end)) {
			continue;
		}
		if (userptr->going) {
			*running_out = true;
		} else if (atomic_load_explicit(&userptr->valid, memory_order_relaxed)) {
			userptr->going = true;
			ref_get(&userptr->ref);
			found = userptr;
			break;
		}
	}
	port_mutex_unlock(&mem->userptr_lock);
	return found;
}

/* Takes one window away from its users. @userptr may be freed when this returns. */
static void invalidate(struct mem *mem, struct userptr *userptr)
{
	bool last;

	userptr->ops->quiesce(userptr);
	port_mutex_lock(&mem->userptr_lock);
	atomic_store_explicit(&userptr->valid, false, memory_order_relaxed);
	port_mutex_unlock(&mem->userptr_lock);
	userptr->ops->zap(userptr);
	port_mutex_lock(&mem->userptr_lock);
	if (userptr->cell) {
		gen_move(userptr); /* else its owner has ended it meanwhile */
	}
	userptr->going = false;
	last = ref_put(&userptr->ref);
	port_mutex_unlock(&mem->userptr_lock);
	port_wq_wake(&mem->userptr_wq);
	if (last) {
		userptr->ops->release(userptr);
	}
}

void mem_client_range_begin(struct mem *mem, struct mem_client_range *range, uint64_t addr,
			    uint64_t size_B)
{
	/* Whole pages, as munmap() takes them; a range beyond the last page ends there. */
	uint64_t last_page = align_down(UINT64_MAX, PAGE_SIZE);

	port_assert_no_locks();
	range->start = align_down(addr, PAGE_SIZE);
	range->end = addr >= last_page || size_B > last_page - addr
			     ? UINT64_MAX
			     : align_up(addr + size_B, PAGE_SIZE);
	if (!size_B) {
		range->end = range->start;
	}
	port_mutex_lock(&mem->userptr_lock);
	list_add_tail(&mem->ranges, &range->node);
	stop_pins(mem, range);
	port_mutex_unlock(&mem->userptr_lock);
	port_notifier_begin(range->start, range->end);
	for (;;) {
		uint32_t seq = port_wq_prepare(&mem->userptr_wq);
		bool running;
		struct userptr *userptr = take_next(mem, range, &running);

		if (userptr) {
			invalidate(mem, userptr);
		} else if (running) {
			port_wq_wait(&mem->userptr_wq, seq, PORT_FOREVER, 0);
		} else {
			break;
		}
	}
	port_notifier_end();
}

void mem_client_range_end(struct mem *mem, struct mem_client_range *range)
{
	port_mutex_lock(&mem->userptr_lock);
	list_del(&range->node);
	port_mutex_unlock(&mem->userptr_lock);
	port_wq_wake(&mem->userptr_wq);
}
