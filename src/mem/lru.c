// SPDX-License-Identifier: MIT
/*
 * Which objects in VRAM were used last (B16).
 *
 * Overview. An address space has a list of objects (a bulk), and bulks are in the order of the
 * last submissions of their address spaces: a submission moves one bulk to the end, whatever it
 * maps. An object that several address spaces map is on the list of one of them, which need not be
 * the one that used it last; nobody corrects that until somebody looks for a victim and meets the
 * object. Objects that nobody has asked for since they came to VRAM are on the idle list, before
 * all others.
 *
 * Looking for victims is a round: each list is gone through from its head, and what was looked at
 * goes to the tail of its list with the round's number, so that a list whose head has that number
 * is done. After a round in which all were looked at each list is in its old order.
 *
 * Locking: lru.lock, a leaf. An object is listed and unlisted with its reservation held, or by who
 * drops its last reference; from the list it can be had as long as its count is not zero.
 */
#include "mem/mem_priv.h"

static struct port_lock_class lru_class = { .name = "lru", .rank = RANK_LEAF };

static void bulk_init(struct lru_bulk *bulk)
{
	list_init(&bulk->node);
	list_init(&bulk->objects);
	atomic_init(&bulk->stamp, 0);
}

void lru_init(struct mem *mem)
{
	struct lru *lru = &mem->lru;

	port_mutex_init(&lru->lock, &lru_class);
	list_init(&lru->bulks);
	bulk_init(&lru->idle);
	list_add_tail(&lru->bulks, &lru->idle.node);
	atomic_init(&lru->newest, NULL);
}

void lru_fini(struct mem *mem)
{
	struct lru *lru = &mem->lru;

	ASSERT(list_empty(&lru->idle.objects));
	ASSERT(lru->bulks.next == &lru->idle.node && lru->bulks.prev == &lru->idle.node);
	port_mutex_fini(&lru->lock);
}

void lru_bulk_init(struct mem *mem, struct lru_bulk *bulk)
{
	bulk_init(bulk);
	lru_touch(mem, bulk);
}

void lru_bulk_fini(struct mem *mem, struct lru_bulk *bulk)
{
	struct lru *lru = &mem->lru;

	port_mutex_lock(&lru->lock);
	list_splice_tail(&lru->idle.objects, &bulk->objects);
	list_del(&bulk->node);
	if (atomic_load_explicit(&lru->newest, memory_order_relaxed) == bulk) {
		atomic_store_explicit(&lru->newest, NULL, memory_order_relaxed);
	}
	port_mutex_unlock(&lru->lock);
}

void lru_touch(struct mem *mem, struct lru_bulk *bulk)
{
	struct lru *lru = &mem->lru;

	if (atomic_load_explicit(&lru->newest, memory_order_relaxed) == bulk) {
		return;
	}
	port_mutex_lock(&lru->lock);
	list_del(&bulk->node);
	list_add_tail(&lru->bulks, &bulk->node);
	atomic_store_explicit(&bulk->stamp, ++lru->stamp, memory_order_relaxed);
	atomic_store_explicit(&lru->newest, bulk, memory_order_relaxed);
	port_mutex_unlock(&lru->lock);
}

void lru_add(struct bo *bo, struct lru_bulk *bulk)
{
	struct lru *lru = &bo->mem->lru;

	port_mutex_lock(&lru->lock);
	list_del(&bo->lru_node);
	list_add_tail(bulk ? &bulk->objects : &lru->idle.objects, &bo->lru_node);
	bo->lru_round = 0;
	port_mutex_unlock(&lru->lock);
}

void lru_remove(struct bo *bo)
{
	struct lru *lru = &bo->mem->lru;

	port_mutex_lock(&lru->lock);
	list_del(&bo->lru_node);
	port_mutex_unlock(&lru->lock);
}

uint64_t lru_round(struct mem *mem)
{
	uint64_t round;

	port_mutex_lock(&mem->lru.lock);
	round = ++mem->lru.round;
	port_mutex_unlock(&mem->lru.lock);
	return round;
}

/* The next object of @bulk. NULL: it is done. */
static struct bo *next_of(struct lru_bulk *bulk, uint64_t round)
{
	while (!list_empty(&bulk->objects)) {
		struct bo *bo = list_first(&bulk->objects, struct bo, lru_node);

		if (bo->lru_round == round) {
			break;
		}
		bo->lru_round = round;
		list_del(&bo->lru_node);
		list_add_tail(&bulk->objects, &bo->lru_node);
		if (ref_get_unless_zero(&bo->ref)) {
			return bo;
		}
	}
	return NULL;
}

struct bo *lru_next(struct mem *mem, uint64_t round, uint64_t *stamp_out)
{
	struct lru *lru = &mem->lru;
	struct bo *bo = NULL;

	port_mutex_lock(&lru->lock);
	list_for_each(bulk, &lru->bulks, struct lru_bulk, node) {
		bo = next_of(bulk, round);
		if (bo) {
			*stamp_out = atomic_load_explicit(&bulk->stamp, memory_order_relaxed);
			break;
		}
	}
	port_mutex_unlock(&lru->lock);
	return bo;
}
