/* SPDX-License-Identifier: MIT */
/* Execution queues and their jobs. Private to src/exec/. */
#ifndef EXEC_JOB_H
#define EXEC_JOB_H

#include "exec/queue.h"

/* A batch ends, or is taken by a reset of its engine: the first to say so is right. */
enum run_fate {
	RUN_OPEN,
	RUN_ENDED,
	RUN_RESET,
};

/* One batch of the current job, on its engine. */
struct exec_run {
	struct list node;             /* device.runnable; by device.run_lock */
	struct exec_queue *queue;
	struct device_engine *engine; /* fixed while the job runs */
	uint64_t slice_end_ns;        /* when it holds the engine */
	bool polled;                  /* its last step found nothing changed; by device.run_lock */
	bool shares;                  /* and would keep its engine meanwhile; by device.run_lock */
	uint64_t idle_ns;             /* if so: engine.idle_ns then */
	uint64_t taken_ns;            /* when its step began; of who steps it, as the next */
	uint64_t ran_ns;              /* what its job has had of the engine */
	uint64_t counted_ns;          /* of the context's time, in queue.usage */
	bool begun;                   /* has had a step; by device.run_lock */
	atomic_uint fate;             /* enum run_fate */
	bool owed;                    /* one step before a suspension; by device.run_lock */
};

struct exec_queue {
	struct ref ref;
	struct device *device;
	struct vm *vm;             /* a reference */
	uint32_t id;
	unsigned width, placements;
	uint8_t engine[EXEC_MAX_WIDTH * DEVICE_MAX_ENGINES]; /* [unit][placement] */
	int priority;              /* see struct exec_queue_args */
	uint64_t timeslice_ns;
	uint64_t job_timeout_ns;
	struct exec_usage *usage;  /* of its client; NULL: not counted */
	bool gives_way;            /* see preempt.c */
	bool lr;                   /* long running: its fences are no dma fences, nobody helps it */
	struct gpu_ring ring;      /* .size_B 0: it is none (ring.c) */
	atomic_uint kicks;         /* of a ring: counts */
	atomic_int error;          /* 0, or why it takes no more work; set once */
	atomic_uint lost_active, lost_pending; /* see exec_queue_losses() */
	struct active_slot slot;   /* in vm.active; the preempt fences if @lr, else the jobs' */

	/* By device.run_lock; the rest if @lr only. */
	struct list device_node;   /* device.queues */
	unsigned on_engine;        /* runs that are being stepped */
	struct exec_preempt *preempt; /* a reference; NULL while it is suspended or being resumed */
	unsigned owed;             /* runs that are owed a step */
	uint64_t head_then;        /* of a ring: .head when it was resumed */
	unsigned kicks_then;       /* and .kicks */
	uint64_t rest_until_ns;    /* of one that is suspended: it has no use for a resume */
	uint64_t preempt_context, preempt_seqno; /* of these fences; who resumes it */

	struct port_mutex lock;    /* RANK_QUEUE_SUBMIT; protects the rest */
	uint64_t context, seqno;   /* of its fences */
	struct fence *last;        /* a reference; NULL before the first job */
	struct list jobs;          /* struct exec_job.node, in order */
	atomic_uint job_count;     /* changes under the lock */

	/* The job that runs now; only the thread that started or steps it looks here. */
	struct exec_job *current;
	struct gpu_context ctx[EXEC_MAX_WIDTH];
	struct exec_run run[EXEC_MAX_WIDTH];
};

struct exec_job {
	struct fence fence;        /* holds the job's memory */
	struct ready_item item;
	struct deps deps;
	struct exec_queue *queue;  /* a reference until it ends */
	uint64_t id;
	enum gpu_class class;      /* of its engines */
	unsigned forks;            /* device.forks when it was made */
	struct list node;          /* queue.jobs */
	uint64_t batch[EXEC_MAX_WIDTH];
	bool has_ufence;
	uint64_t ufence_addr, ufence_value;
	atomic_uint units_left;    /* whose batches have not ended */
	unsigned units_there;      /* that have not given their engines back; by run_lock */
	atomic_int error;          /* the first of its units' */
	atomic_bool lost;          /* and that has been told */
};

/* The queue takes no more work, for @error; its current job ends at its next command. */
void exec_queue_ban(struct exec_queue *queue, int error);
/* Bans it, -ECANCELED, and ends its jobs, as exec_queue_kill(); but does not wait for them. */
void exec_queue_cancel(struct exec_queue *queue);
/*
 * Dependencies have signalled: the job goes onto its engines, or ends at once. No lock held. @kick:
 * workers are told; else the caller runs it.
 */
void exec_job_start(struct exec_job *job, bool kick);
/* All units are off their engines: signals and cleans up. No lock held. */
void exec_job_end(struct exec_job *job);
/* Puts a run where workers and helpers find it; with @kick workers are told. */
void device_add_run(struct device *device, struct exec_run *run, bool kick);

enum device_step {
	STEP_NOTHING, /* no run may be stepped now */
	STEP_POLLED,  /* one was stepped; it polls and nothing changed */
	STEP_WORKED,
};
/* Steps one run. @help: only runs whose completion is a dma fence and that do not just poll. */
enum device_step device_step(struct device *device, bool help);

/* ---- preemption of long-running work; _locked: with device.run_lock -------------------------- */

/* Is the queue on its engines, or the run only to be ended? */
bool preempt_may_step_locked(const struct exec_run *run);
/*
 * On an engine, before each step of a queue that is long-running and not in error: a resume is a
 * submission to the rule of when translations are dropped (B09).
 */
void preempt_before_step(struct exec_queue *queue);
/* Has the queue to be resumed for it, and may a worker do that now? */
bool preempt_may_resume_locked(const struct exec_run *run);
/* If so: is it to be later, as the last time was for nothing? */
bool preempt_rests_locked(const struct exec_run *run);
/*
 * Resumes device.resuming, with the caller's reference to the queue. False: try again later. A
 * worker; no lock held.
 */
bool preempt_resume(struct exec_queue *queue);
/* The run has left its engine, or will get none any more: suspends the queue if that is wanted. */
void preempt_left_locked(struct exec_run *run);
/* The queue goes: nobody waits for it any more. */
void preempt_end(struct exec_queue *queue);

/* ---- rings ----------------------------------------------------------------------------------- */

/* Its run has just made a step, and began it with .head @head_before: did it do anything? */
bool ring_has_worked(struct exec_run *run, uint64_t head_before, enum gpu_run state);
/*
 * A worker that has nothing to do but to poll: is it to go on at once, so that what comes on a ring
 * is seen without anybody being woken?
 */
bool ring_watch(struct device *device);
/*
 * A worker is about to sleep, or to do something that takes longer. True: a ring may have been rung
 * that it has not looked at since.
 */
bool ring_unwatch(struct device *device);

extern const struct sync_help_ops device_sync_help_ops;
void device_stop_workers(struct device *device);

#endif
