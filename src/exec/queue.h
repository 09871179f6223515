/* SPDX-License-Identifier: MIT */
/*
 * Execution queues: batches in order, fences in order, one hardware context per unit of width.
 */
#ifndef EXEC_QUEUE_H
#define EXEC_QUEUE_H

#include "exec/device.h"

#define EXEC_MAX_WIDTH 8
#define EXEC_PRIORITY_NORMAL 1
#define EXEC_JOB_TIMEOUT_MS 5000
#define EXEC_MAX_JOBS 1000 /* in flight per queue; one more is -EAGAIN */

/* What the queues of one client have had of engines, by class; only grows. Anybody may read it. */
struct exec_usage {
	atomic_ullong ran_ns[GPU_CLASSES];
};

struct exec_queue_args {
	struct vm *vm;
	unsigned width;             /* batches per submission, run side by side */
	unsigned placements;        /* candidate engines per unit of width */
	/* device engine index of [unit][placement], flattened: width * placements entries */
	const uint8_t *engines;
	int priority;               /* EXEC_PRIORITY_NORMAL, less or more */
	/*
	 * How long work of it that does not just poll keeps an engine from others of its priority;
	 * 0: for one step.
	 */
	uint32_t timeslice_us;
	/* What a job may have of its engine before it counts as hung; 0: EXEC_JOB_TIMEOUT_MS. */
	uint32_t job_timeout_ms;
	/* NULL, or where its time is counted too, until its last job has ended. */
	struct exec_usage *usage;
};

struct exec_queue;

/* 0, -ENOMEM, -ENOENT (VM closed or banned). One reference. */
int exec_queue_create(struct device *device, const struct exec_queue_args *args,
		      struct exec_queue **queue_out);
struct exec_queue *exec_queue_get(struct exec_queue *queue);
void exec_queue_put(struct exec_queue *queue); /* NULL is fine */
/*
 * Ends the queue: what is queued or running completes with -ECANCELED at its next command; later
 * submissions fail with -ECANCELED. Idempotent. No lock held.
 */
void exec_queue_kill(struct exec_queue *queue);
/* 0 while the queue takes work; else the reason (-EIO after a hang or fault, -ECANCELED killed). */
int exec_queue_error(const struct exec_queue *queue);
/* Jobs lost by what went wrong on the queue. */
struct exec_losses {
	unsigned active;  /* which ran and went wrong themselves */
	unsigned pending; /* which were behind them */
};
void exec_queue_losses(const struct exec_queue *queue, struct exec_losses *losses_out);
/* The engines' class that @fence's job runs on (enum gpu_class); -1: it is no job's. */
int exec_fence_class(const struct fence *fence);
struct vm *exec_queue_vm(struct exec_queue *queue);
unsigned exec_queue_width(const struct exec_queue *queue);
uint32_t exec_queue_id(const struct exec_queue *queue);
/* Has it so many jobs in flight that a submission now would be -EAGAIN? */
bool exec_queue_is_full(const struct exec_queue *queue);
/* The fence of the last submission (a reference), or the signalled one. */
struct fence *exec_queue_last(struct exec_queue *queue);

/*
 * A ring: a queue of one engine that takes commands from memory instead of submissions (B21). It
 * runs from now on until it is killed. @args: of a long-running VM, of width 1; a job timeout means
 * nothing. Its memory is bound in that VM; what is not is a fault at the first step.
 *
 * 0, -EINVAL (also a ring that is none), -ENOENT (VM closed or banned), -ECANCELED (the device is
 * wedged), -ENOSPC, -ENOMEM, -EINTR. One reference; exec_queue_kill() before the last is put. No
 * lock held.
 */
int exec_ring_create(struct device *device, const struct exec_queue_args *args,
		     const struct gpu_ring *ring, struct exec_queue **queue_out);
/*
 * Its tail has moved: workers that sleep look at once. Not needed for it to be seen; costs a count,
 * a fence and a load when one is awake. Any lock.
 */
void exec_ring_kick(struct exec_queue *queue);

struct exec_args {
	const uint64_t *batches;        /* GPU addresses, one per unit of width; canonical or not */
	struct fence *const *in_fences; /* may be NULL */
	unsigned in_count;
	/* Written through the VM when the job has ended (a user fence of an exec); 0: none. */
	uint64_t ufence_addr, ufence_value;
	bool has_ufence;
};

/*
 * Submits one job (A12): validates what was evicted or invalidated, publishes one fence, returns.
 * *fence_out gets a reference. -ECANCELED the queue or its VM is banned, -EAGAIN too many jobs in
 * flight, -ENOSPC (vm.vram_B), -ENOMEM, -EINTR. No lock held.
 */
int exec_submit(struct exec_queue *queue, const struct exec_args *args, struct fence **fence_out);

#endif
