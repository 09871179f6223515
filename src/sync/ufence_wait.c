// SPDX-License-Identifier: MIT
/*
 * Waits for a value in the client's memory (B20).
 *
 * Any store may end one, also the GPU's and the client's own, of which nobody tells us: besides
 * being woken whenever the device wrote a user fence, the waiter looks once a millisecond.
 *
 * Locking: none is held.
 *
 * Example: ufence_wait(sync, &(struct ufence_cond){ .addr = a, .value = 1, .mask = UINT64_MAX },
 * PORT_FOREVER, NULL, NULL) returns 0 when the client finds 1 at a.
 */
#include "base/bits.h"
#include "sync/ufence.h"

#define POLL_NS (UINT64_C(1000) * 1000)

static bool compare(const struct ufence_cond *cond, uint64_t memory)
{
	uint64_t seen = memory & cond->mask, value = cond->value & cond->mask;

	switch (cond->op) {
	case UFENCE_EQ:
		return seen == value;
	case UFENCE_NEQ:
		return seen != value;
	case UFENCE_GT:
		return seen > value;
	case UFENCE_GTE:
		return seen >= value;
	case UFENCE_LT:
		return seen < value;
	case UFENCE_LTE:
		return seen <= value;
	case UFENCE_BEFORE:
		return (int64_t)(seen - value) < 0;
	default:
		return (int64_t)(seen - value) > 0;
	}
}

int ufence_wait(struct sync *sync, const struct ufence_cond *cond, uint64_t deadline_ns,
		bool (*lost)(void *ctx), void *ctx)
{
	ASSERT(cond->op <= UFENCE_AFTER);
	port_assert_no_locks();
	for (;;) {
		uint32_t seq = port_wq_prepare(&sync->ufence_wq);
		/* Looked at before the value: what it wrote last counts. */
		bool is_lost = lost && lost(ctx);
		uint64_t memory, now_ns;
		int ret = port_copy_from_user(&memory, cond->addr, sizeof(memory));

		if (ret || compare(cond, memory)) {
			return ret;
		}
		if (is_lost) {
			return -EIO;
		}
		now_ns = port_now_ns();
		if (now_ns >= deadline_ns) {
			return -ETIME;
		}
		ret = port_wq_wait(&sync->ufence_wq, seq, min_u64(deadline_ns, now_ns + POLL_NS),
				   PORT_WAIT_INTERRUPTIBLE);
		if (ret && ret != -ETIMEDOUT) {
			return ret;
		}
	}
}

/* Negative timeouts never end; those too far away do not wrap. */
uint64_t ufence_deadline(int64_t timeout_ns, bool absolute, uint64_t now_ns)
{
	if (timeout_ns < 0) {
		return PORT_FOREVER;
	}
	if (absolute) {
		return (uint64_t)timeout_ns;
	}
	return (uint64_t)timeout_ns > PORT_FOREVER - now_ns ? PORT_FOREVER
							    : now_ns + (uint64_t)timeout_ns;
}

int64_t ufence_timeout_left(int64_t timeout_ns, uint64_t start_ns)
{
	uint64_t passed_ns = port_now_ns() - start_ns;

	return timeout_ns > 0 ? timeout_ns - (int64_t)min_u64(passed_ns, (uint64_t)timeout_ns)
			      : timeout_ns;
}

int ufence_wait_timeout(struct sync *sync, const struct ufence_cond *cond, int64_t *timeout_io,
			bool absolute, bool (*lost)(void *ctx), void *ctx)
{
	uint64_t start_ns = port_now_ns();
	int ret = ufence_wait(sync, cond, ufence_deadline(*timeout_io, absolute, start_ns), lost,
			      ctx);

	if (!absolute) {
		*timeout_io = ufence_timeout_left(*timeout_io, start_ns);
	}
	return ret;
}
