// SPDX-License-Identifier: MIT
/*
 * The device's synchronisation state and its ready queue.
 *
 * Overview: fence callbacks may only count, push and wake. Everything a signal must cause beyond
 * that is a ready item: pushed here, first in first out, and run by a worker or a waiting thread at
 * depth 0 with no ranked lock held (P4).
 *
 * Who runs it: with help_ops set, the workers behind kick() do, and waiters through help(). Without
 * (no workers yet, or a program that has none) waiters run the items themselves, and sleep on
 * @ready_wq, so that a push reaches those who sleep already.
 *
 * Locking: ready_lock (RANK_READY) protects the list; it is taken under fence locks. The kick comes
 * after it is dropped, still under the fence's lock, and takes none.
 */
#include "sync/ufence.h"

static struct port_lock_class ready_class = { .name = "sync.ready", .rank = RANK_READY };

int sync_init(struct sync *sync, struct event_stream *events)
{
	ASSERT(events);
	sync->events = events;
	atomic_init(&sync->next_context, 1);
	port_mutex_init(&sync->ready_lock, &ready_class);
	list_init(&sync->ready);
	atomic_init(&sync->ready_any, false);
	list_init(&sync->ufences);
	sync->ufence_writing = false;
	sync->ufence_item.run = ufences_run;
	port_wq_init(&sync->ready_wq);
	port_wq_init(&sync->ufence_wq);
	sync->help_ops = NULL;
	sync->help_ctx = NULL;
	sync->stub = fence_create(sync, FENCE_DMA);
	if (!sync->stub) {
		port_mutex_fini(&sync->ready_lock);
		return -ENOMEM;
	}
	fence_signal(sync->stub, 0);
	return 0;
}

void sync_fini(struct sync *sync)
{
	ASSERT(ready_empty(sync) && list_empty(&sync->ufences));
	/* Somebody who still holds the stub would put it after the device is gone. */
	ASSERT(atomic_load_explicit(&sync->stub->ref.count, memory_order_acquire) == 1);
	fence_put(sync->stub);
	sync->stub = NULL;
	port_mutex_fini(&sync->ready_lock);
}

uint64_t sync_new_context(struct sync *sync)
{
	return atomic_fetch_add_explicit(&sync->next_context, 1, memory_order_relaxed);
}

void ready_push(struct sync *sync, struct ready_item *item)
{
	ASSERT(item->run);
	port_mutex_lock(&sync->ready_lock);
	list_add_tail(&sync->ready, &item->node);
	atomic_store(&sync->ready_any, true);
	port_mutex_unlock(&sync->ready_lock);
	/* From here on @item may have run and be gone. */
	if (sync->help_ops) {
		sync->help_ops->kick(sync->help_ctx);
	} else {
		port_wq_wake(&sync->ready_wq);
	}
}

struct ready_item *ready_pop(struct sync *sync)
{
	struct ready_item *item = NULL;

	/* Mostly so. Who finds it empty too early is woken by the kick that follows the push. */
	if (!atomic_load(&sync->ready_any)) {
		return NULL;
	}
	port_mutex_lock(&sync->ready_lock);
	if (!list_empty(&sync->ready)) {
		item = list_first(&sync->ready, struct ready_item, node);
		list_del(&item->node);
		atomic_store_explicit(&sync->ready_any, !list_empty(&sync->ready),
				      memory_order_relaxed);
	}
	port_mutex_unlock(&sync->ready_lock);
	return item;
}

bool ready_empty(struct sync *sync)
{
	bool empty;

	port_mutex_lock(&sync->ready_lock);
	empty = list_empty(&sync->ready);
	port_mutex_unlock(&sync->ready_lock);
	return empty;
}
