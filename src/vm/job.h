/* SPDX-License-Identifier: MIT */
/*
 * A bind in flight. Private to src/vm/.
 *
 * Life: vm_bind() creates and fills it (prepare), publishes it under vm.lock and the queue's lock;
 * from then on it belongs to whoever runs it. bind_job_run() writes the tables, invalidates,
 * signals and cleans up; the last reference to job.fence frees it.
 */
#ifndef VM_JOB_H
#define VM_JOB_H

#include "vm/change.h"

/* One change of the tables, in order. */
struct bind_step {
	uint64_t start, end;
	uint64_t order_start, order_end; /* what others must not touch meanwhile: pt_pool */
	bool reshapes;         /* likewise */
	bool map;              /* else clear */
	bool invalidate;       /* a translation of the range may be cached */
	struct bo *bo;         /* map: an object, a reference, */
	struct place *place;   /* and where it was when this was reserved for it; likewise */
	struct vm_userptr *userptr; /* or client memory; likewise */
	uint64_t offset;       /* into the object or the window */
	struct gpu_pte_attrs attrs;
};

struct bind_job {
	struct fence fence;        /* the out-fence; holds the job's memory */
	struct ready_item item;
	struct deps deps;
	struct vm *vm;             /* a reference until cleanup */
	struct bind_queue *queue;  /* likewise */
	uint64_t id;
	struct list pending_node;  /* vm.pending; by vm.pending_lock */
	struct pt_pool pool;
	struct bind_step *step;    /* .step_one, or owned */
	unsigned step_count, step_cap;
	bool ran;                  /* it counts in vm.cleaning */
	struct list removed;       /* struct vma.remove_node: to be freed after TLB_DONE */
	struct vma_change *change; /* by operation: .change_one, or owned */
	unsigned change_count;
	bool deferred;             /* it has a fence and will be published */
	/* The objects whose mappings it changes, by id, with a reference each. Owned. */
	struct bo **named;
	unsigned named_count, named_cap;
	bool left_fence;           /* on these; until then it has a place in each reservation */
	/* Most lists have one operation. */
	struct bind_step step_one;
	struct vma_change change_one;
};

/*
 * On the caller's memory, for one operation (more: bind_job_room()), without a fence: it is never
 * published but carried out with bind_job_run_now(). Allocates nothing.
 */
void bind_job_init(struct bind_job *job, struct vm *vm, struct bind_queue *queue);
/* A queue that lives inside its VM: a reference to that would keep it alive for ever. */
int bind_queue_create_own(struct vm *vm, struct bind_queue **queue_out);

/* Room for the changes of @ops operations. 0 or -ENOMEM. */
int bind_job_room(struct bind_job *job, unsigned ops);
/* The translations of [start, end) are stale: drops them when the VM's rule says so. */
void vm_invalidate(struct vm *vm, uint64_t start, uint64_t end);

/* For @ops operations; nothing is reserved yet. NULL without memory. */
struct bind_job *bind_job_create(struct vm *vm, struct bind_queue *queue, unsigned ops);
/* Before publication only: drops everything the job holds. */
void bind_job_abandon(struct bind_job *job);
/* Room for one more step; NULL without memory. The step is zeroed. */
struct bind_step *bind_job_add_step(struct bind_job *job);
/* What the steps from @count on hold is dropped: they belong to an operation that failed. */
void bind_job_trim_steps(struct bind_job *job, unsigned count);
/*
 * The job changes mappings of @bo: if it will be published, its fence has a place in the object's
 * reservation from here on (R6). 0 or -ENOMEM.
 */
int bind_job_name(struct bind_job *job, struct bo *bo);
/* May an unfinished job (published, or this one's own steps) reshape the tables of the range? */
bool bind_range_contended(struct bind_job *job, uint64_t start, uint64_t end);
/* Is any job unfinished? vm.lock held for writing: there can only become fewer. */
bool bind_any_pending(struct vm *vm);
/*
 * A reference to the fence of an unfinished job that is on @queue (may be NULL) or touches [start,
 * end), widened to whole directories; NULL if there is none. vm.lock held for writing.
 */
struct fence *bind_pending_fence(struct vm *vm, const struct bind_queue *queue, uint64_t start,
				 uint64_t end);

/*
 * Gives the job its place on its queue's timeline and leaves its fence, for who takes their memory
 * away, on the objects it names (P1). vm.lock held for writing; bind_job_publish() follows, nothing
 * in between can fail or wait.
 */
void bind_job_leave_fence(struct bind_job *job);
/*
 * Publishes under vm.lock (write): queue order, range fences, in-fences, user fence (may be
 * NULL). Room for the dependencies is what bind_job_deps_max() said, reserved before. @ops is for
 * the event. True: nothing holds it back and the caller runs it with bind_job_run() after dropping
 * its locks.
 */
bool bind_job_publish(struct bind_job *job, struct fence *const *in_fences, unsigned in_count,
		      struct ufence *ufence, unsigned ops);
unsigned bind_job_deps_max(struct vm *vm, unsigned in_count);

/* Runs a job whose dependencies have signalled, and cleans up. No lock held. Cannot fail. */
void bind_job_run(struct bind_job *job);
/*
 * Runs the steps of a bind_job_init() job, which no unfinished job overlaps, to the end of their
 * invalidation; then bind_job_fini(). vm.lock held for writing.
 */
void bind_job_run_now(struct bind_job *job);
/* No lock held. */
void bind_job_fini(struct bind_job *job);

#endif
