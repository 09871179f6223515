/* SPDX-License-Identifier: MIT */
/* Execution queues and their jobs. Private to src/exec/. */
#ifndef EXEC_JOB_H
#define EXEC_JOB_H

#include "exec/queue.h"

/* One batch of the current job, on its engine. */
struct exec_run {
	struct list node;             /* device.runnable; by device.run_lock */
	struct exec_queue *queue;
	struct device_engine *engine; /* fixed while the job runs */
	unsigned evictions;           /* vm.evictions that it has seen made good */
	bool ended;                   /* all but the job's user fence, whose page was missing */
	bool polled;                  /* its last step found nothing changed; by device.run_lock */
};

struct exec_queue {
	struct ref ref;
	struct device *device;
	struct vm *vm;             /* a reference */
	uint32_t id;
	unsigned width, placements;
	uint8_t engine[EXEC_MAX_WIDTH * DEVICE_MAX_ENGINES]; /* [unit][placement] */
	bool lr;                   /* long running: its fences are no dma fences, nobody helps it */
	atomic_int error;          /* 0, or why it takes no more work; set once */
	struct active_slot slot;   /* in vm.active */

	struct port_mutex lock;    /* RANK_QUEUE_SUBMIT; protects the rest */
	uint64_t context, seqno;   /* of its fences */
	struct fence *last;        /* a reference; NULL before the first job */
	struct list jobs;          /* struct exec_job.node, in order */
	unsigned job_count;

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
	unsigned forks;            /* device.forks when it was made */
	struct list node;          /* queue.jobs */
	uint64_t batch[EXEC_MAX_WIDTH];
	bool has_ufence;
	uint64_t ufence_addr, ufence_value;
	atomic_uint units_left;
	atomic_int error;          /* the first of its units' */
};

/* The queue takes no more work, for @error; its current job ends at its next command. */
void exec_queue_ban(struct exec_queue *queue, int error);
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

extern const struct sync_help_ops device_sync_help_ops;
void device_stop_workers(struct device *device);

#endif
