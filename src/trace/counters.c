// SPDX-License-Identifier: MIT
/*
 * Counters: a reader of the event stream that keeps numbers only.
 *
 * Locking: called under the stream's lock, which is this process's; the sums are atomic because
 * other processes of the run add to them too.
 */
#include "trace/counters.h"

static void add(_Atomic uint64_t *sum)
{
	atomic_fetch_add_explicit(sum, 1, memory_order_relaxed);
}

static void count_ioctl(struct counters_shared *shared, uint64_t nr, int64_t ret)
{
	uint64_t result = ret <= 0 ? (uint64_t)-ret : COUNTERS_RESULTS;

	if (nr < COUNTERS_IOCTLS) {
		add(&shared->ioctls[nr][min_u64(result, COUNTERS_RESULTS - 1)]);
	}
}

static void count_bo(struct counters *counters, uint64_t size_B)
{
	_Atomic uint64_t *peak_B = &counters->shared->bo_peak_B;
	uint64_t known_B = atomic_load_explicit(peak_B, memory_order_relaxed);

	counters->bo_B += size_B;
	while (known_B < counters->bo_B &&
	       !atomic_compare_exchange_weak(peak_B, &known_B, counters->bo_B)) {
	}
}

static void counters_read(struct event_reader *self, const struct event *event)
{
	struct counters *counters = container_of(self, struct counters, reader);
	struct counters_shared *shared = counters->shared;

	add(&shared->events[event->type]);
	switch (event->type) {
	case EVENT_IOCTL:
		count_ioctl(shared, event->arg[0], (int64_t)event->arg[1]);
		break;
	case EVENT_BO_CREATE:
		count_bo(counters, event->arg[1]);
		break;
	case EVENT_BO_FREE:
		counters->bo_B -= min_u64(event->arg[1], counters->bo_B);
		break;
	case EVENT_EXEC_DONE:
		if (event->arg[2]) {
			add(&shared->failed_execs);
		}
		break;
	default:
		break;
	}
}

void counters_init(struct counters *counters, struct counters_shared *shared)
{
	counters->reader.read = counters_read;
	list_init(&counters->reader.node);
	counters->shared = shared;
	counters->bo_B = 0;
}
