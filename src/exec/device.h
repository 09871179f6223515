/* SPDX-License-Identifier: MIT */
/*
 * A device: the engines, the memory, the workers that make progress when nobody waits.
 */
#ifndef EXEC_DEVICE_H
#define EXEC_DEVICE_H

#include "gpu/gpu.h"
#include "mem/mem.h"
#include "vm/vm.h"

struct exec_run;

#define DEVICE_MAX_ENGINES 16
#define DEVICE_GROUPS 3 /* of engines: render and compute, copy, the rest */
#define DEVICE_WORKERS 2
#define DEVICE_THREADS 4096 /* thread ids are taken modulo this */

/* When ready work runs (P4). The documents allow all of them; a client that relies on one errs. */
enum device_schedule {
	SCHEDULE_NORMAL,      /* workers soon, waiters help */
	SCHEDULE_EAGER,       /* at once, on the submitter's thread */
	SCHEDULE_LAZY,        /* only when somebody waits, or after a while */
	SCHEDULE_ADVERSARIAL, /* late and in any order the rules allow */
};

struct device_engine_desc {
	enum gpu_class class;
	uint16_t instance;
};

struct device_config {
	struct mem_config mem;
	const struct device_engine_desc *engines;
	unsigned engine_count;
	const struct gpu_pt_format *fmt;
	uint32_t graphics_ver;
	enum device_schedule schedule;
	enum vm_tlb_rule tlb_rule;
	bool no_mixing; /* see struct vm_env */
};

/* An engine and its token: who set @busy under device.run_lock may step .gpu. */
struct device_engine {
	struct gpu_engine gpu;
	unsigned index;
	unsigned group; /* device.dma_runs */
	/* By device.run_lock. */
	bool busy;
	/* Whose slice it is, compared only: it may be gone. NULL: nobody's. */
	const struct exec_run *holder;
	struct exec_run *run; /* that is being stepped; NULL: none, or an access of the owner */
	unsigned polling; /* runs that were put aside here because they poll */
	uint64_t idle_ns; /* what each of these would have had of the engine; only grows */
};

/* When a device gives up, and takes no more work. */
enum device_wedge_mode {
	WEDGE_NEVER,
	WEDGE_UPON_FAILURE, /* when a reset fails; so at first */
	WEDGE_UPON_HANG,    /* also when a job is lost, in whatever way */
	WEDGE_MODES,
};

/* A job that does not end by itself, for who keeps a record of it. */
struct device_lost {
	enum device_lost_reason {
		LOST_TIMEOUT, /* it had its engine for too long */
		LOST_FAULT,   /* an access or a command that nobody can serve */
		LOST_RESET,   /* it had begun when all engines were reset */
	} reason;
	uint32_t vm, queue;  /* their ids */
	uint64_t job;
	unsigned unit, engine;
	uint64_t batch;      /* GPU address of the unit's batch */
	uint64_t ran_ns;     /* on the engine */
	const struct gpu_context *ctx; /* where it has got to */
	const struct gpu_fault *fault; /* LOST_FAULT only */
};

struct device {
	struct event_stream events;
	struct sync sync;
	struct mem mem;
	struct vm_env vm_env;
	const struct gpu_ops *gpu;
	uint32_t graphics_ver;
	enum device_schedule schedule;
	unsigned engine_count;
	struct device_engine engine[DEVICE_MAX_ENGINES];
	struct gpu_engine *gpu_engine[DEVICE_MAX_ENGINES]; /* the same, for vm_env */

	/*
	 * Called once for each job that is lost, or NULL. It still has its engine, so nothing of it
	 * changes meanwhile; its queue is banned after, but at a reset before. No lock held; must
	 * not wait for fences.
	 * Set while no queue exists.
	 */
	void (*lost)(void *ctx, const struct device_lost *lost);
	void *lost_ctx;

	atomic_uint resets;         /* of all engines: how many there were */
	struct port_mutex run_lock; /* RANK_LEAF; .runnable, engine.busy, who is suspended */
	struct list queues;         /* struct exec_queue.device_node; by .run_lock */
	atomic_bool wedged;         /* set under .run_lock */
	atomic_uint wedge_mode;     /* enum device_wedge_mode */
	atomic_uint ranked;         /* queues of other than normal priority */
	struct list runnable;       /* struct exec_run.node: to be stepped, oldest first */
	/* Runs that promise a dma fence, by group of engines; by .run_lock. See preempt.c. */
	unsigned dma_runs[DEVICE_GROUPS];
	struct exec_queue *resuming; /* a worker's, with a reference; or NULL; by .run_lock */
	struct port_wq work_wq;     /* workers sleep here */
	/* See ring.c. */
	atomic_uint ring_watcher;   /* thread id + 1 of the worker that looks at rings now; or 0 */
	atomic_ullong ring_worked_ns; /* when one had something to do last */
	atomic_bool stop;
	atomic_ullong ready_since_ns; /* lazy: when work came that no worker saw yet; or 0 */
	atomic_uchar helping[DEVICE_THREADS]; /* by thread id: in a helper now, so not again */
	atomic_bool workers_up;     /* started, or just being started */
	struct port_thread *worker[DEVICE_WORKERS]; /* with the count: whoever raised .workers_up */
	unsigned worker_count;
	atomic_uint next_queue_id;
	atomic_ullong next_job_id;
	unsigned forks;             /* moves in the child of a fork: older jobs are the parent's */
};

/* 0, -ENOMEM, -EAGAIN (threads), -EINVAL. All workers run afterwards. */
int device_create(const struct device_config *config, struct device **device_out);
/* Every VM and queue is closed. Ends the workers; asserts that nothing is left. */
void device_destroy(struct device *device);

/*
 * Resets all engines: the queue of each job that has begun is banned, -EIO, and the job ends at its
 * next step; those that have not begun run as if nothing had been. Does not wait for that. No lock
 * held.
 */
void device_reset(struct device *device);

/*
 * Takes no more work: every queue is banned, -ECANCELED, those that are made later too; their jobs
 * end with it at their next step, or at once. Does not wait for that. Binds go on. Idempotent. No
 * lock held.
 */
void device_wedge(struct device *device);
/* Work of new queues is taken again, and the mode is as at first. */
void device_unwedge(struct device *device);
static inline bool device_is_wedged(const struct device *device)
{
	return atomic_load(&device->wedged);
}

/*
 * Runs one piece of work on the calling thread if there is some that may be helped: a ready item,
 * or a step of an engine for work that promises a dma fence. False: nothing to do now. No lock
 * held.
 */
bool device_help(struct device *device);

/*
 * An access of the device's owner through the tables of @vm, as its engines do it: for debuggers
 * and tests. @access is GPU_READ (into @buf) or GPU_WRITE (from it); [addr, addr + n) is below the
 * format's va_bits. Takes an engine's token for a piece at a time, so it may wait for one step of
 * other work. 0; -EFAULT with *fault_out, what comes before the fault was done; -EINTR, -ENOMEM.
 * @vm is alive; no lock held.
 */
int device_access(struct device *device, struct vm *vm, uint64_t addr, void *buf, size_t n,
		  enum gpu_access access, struct gpu_fault *fault_out);

/*
 * Around fork(), see P7: there are no workers in between. In the child, work in flight belongs to
 * the parent: its fences signal -ECANCELED without running. device_start_workers() (every entry of
 * a client calls it; free when they run) gives the child workers of its own.
 */
int device_start_workers(struct device *device);
void device_before_fork(struct device *device);
void device_after_fork_parent(struct device *device);
void device_after_fork_child(struct device *device);

#endif
