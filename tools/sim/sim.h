/* SPDX-License-Identifier: MIT */
/*
 * vmbind-sim: whole devices and their clients in the simulator, one execution for each seed.
 *
 * A run is a function of its plan: the seed, and what is left out of it. Each thread of a client
 * takes numbered steps; what a step does depends on the seed, the thread and the number only, so
 * that leaving steps out changes no other step's dice.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "base/bits.h"
#include "exec/device.h"
#include "sync/timeline.h"
#include "xe_client.h"

#define SIM_DEVICES 3
#define SIM_CLIENTS 4
#define SIM_THREADS (2 * SIM_CLIENTS) /* each client has one that makes, and one that ends */
#define SIM_STEPS   256               /* at most, of a thread */
#define SIM_TAIL    20                /* events that a failure shows */

/* What a step can be. The names are those of --without. */
#define SIM_KINDS(X)                                                                               \
	X(VM, "vm")           /* an address space is made */                                       \
	X(VM_END, "vm-end")   /* and destroyed, whatever runs */                                   \
	X(BO, "bo")                                                                                \
	X(BO_END, "bo-end")   /* a handle is closed */                                             \
	X(USERPTR, "userptr")                                                                      \
	X(VANISH, "vanish")   /* client memory is replaced, or goes */                             \
	X(MAP, "map")                                                                              \
	X(UNMAP, "unmap")                                                                          \
	X(LIST, "list")       /* binds in a list, some of which fail */                            \
	X(PREFETCH, "prefetch")                                                                    \
	X(QUEUE, "queue")                                                                          \
	X(RING, "ring")       /* a queue that takes work without a call */                         \
	X(KILL, "kill")       /* a queue is destroyed, whatever it does */                         \
	X(EXEC, "exec")       /* a job that reads and writes what is mapped */                     \
	X(SPIN, "spin")       /* one that waits for memory */                                      \
	X(HANG, "hang")       /* one that never ends */                                            \
	X(FAULT, "fault")     /* one that touches what is not there */                             \
	X(WAIT, "wait")                                                                            \
	X(SHARE, "share")     /* an object goes to another client by dma-buf */                    \
	X(ATTACH, "attach")   /* a fence from outside is attached to an object */                  \
	X(SYNC, "sync")       /* syncobjs: transfer, reset, query, sync files */                   \
	X(EVICT, "evict")     /* an object that needs most of VRAM */                              \
	X(RESET, "reset")                                                                          \
	X(WEDGE, "wedge")                                                                          \
	X(CLOSE, "close")     /* the file is closed and opened again */                            \
	X(INJECT, "inject")   /* something fails that the host or the device may refuse */         \
	X(SIGNAL, "signal")   /* another thread's sleep is interrupted */                          \
	X(RACE, "race")       /* a submission loses its race */                                    \
	X(QUERY, "query")

enum sim_kind {
#define X(name, text) SIM_##name,
	SIM_KINDS(X)
#undef X
	SIM_KIND_COUNT,
};

const char *sim_kind_name(enum sim_kind kind);

struct sim_scenario {
	const char *name, *what;
	/* How often a kind is drawn, before the seed weights it. 0: never. */
	uint8_t weight[SIM_KIND_COUNT];
	bool planted; /* with a bug, which has to be found */
};

/* By index; NULL behind the last. */
const struct sim_scenario *sim_scenario(unsigned index);

struct sim_plan {
	uint64_t seed;
	const struct sim_scenario *scenario;
	unsigned steps;           /* of each thread */
	uint32_t without_kinds;   /* bit per enum sim_kind */
	uint32_t without_threads; /* bit per thread */
	uint64_t skipped[SIM_THREADS][SIM_STEPS / 64]; /* bit per step */
};

static inline bool sim_skipped(const struct sim_plan *plan, unsigned thread, unsigned step)
{
	return plan->skipped[thread][step / 64] >> step % 64 & 1;
}

/* What a run tells whoever started it, in memory that outlives its process. */
struct sim_report {
	uint64_t hash, sim_steps, virtual_ns;
	unsigned done, failed;     /* steps taken; of these, that were answered with an error */
	unsigned kinds[SIM_KIND_COUNT]; /* steps that were answered with success */
	unsigned checked;          /* pages read back, and right */
	unsigned thread, step;     /* taken now */
	enum sim_kind kind;
	char check[32], text[320]; /* what failed; empty: nothing that we looked for */
	unsigned tail_next;
	struct {
		struct event event;
		unsigned device;
	} tail[SIM_TAIL];
	bool over;
};

/* Runs @plan in this process. Failures end it. */
void sim_run_plan(const struct sim_plan *plan, struct sim_report *report);

/* ---- the model (model.c) --------------------------------------------------------------------- */

#define UNIT_B     SZ_64K
#define UNITS      48 /* of an address space that are used */
#define OBJ_UNITS  8
#define USER_MAPPED_B (2 * SZ_2M)
#define CLIENT_OBJS 12
#define CLIENT_VMS 3
#define CLIENT_QUEUES 6
#define VM_JOBS    16
#define VM_BINDS   4
#define VM_RINGS   3

struct world;

/* Memory: an object of the device, or the client's own. */
struct obj {
	struct obj *next;      /* of the world */
	unsigned device;
	uint64_t bo_id;        /* of the core; 0: client memory */
	unsigned units;
	void *host, *mapped;   /* client memory, and all that was mapped for it */
	bool gone;             /* it is not mapped on the CPU any more */
	bool doubtful;         /* it is, but a pin of it may have been made to fail */
	uint32_t value[OBJ_UNITS];  /* of one word in each unit, as the next GPU reader finds it */
	bool unsure[OBJ_UNITS];     /* nobody can tell what it is */
	unsigned busy[OBJ_UNITS];   /* jobs that touch it */
	struct mqueue *owner[OBJ_UNITS]; /* theirs, when all are of one queue */
};

/* A fence that a client attaches to an object, and signals when it likes. */
struct attached {
	struct attached *next; /* of the world */
	struct mclient *client;
	struct obj *obj;
	bool write, signalled;
	uint32_t number;       /* 0: not attached (yet) */
	uint64_t due_ns;
};

struct unit {
	enum { UNIT_NONE, UNIT_NULL, UNIT_OBJ, UNIT_UNSURE } kind;
	bool readonly;
	struct obj *obj;
	unsigned page;
};

struct touch {
	struct obj *obj; /* NULL: a NULL mapping */
	unsigned page, unit;
	uint32_t value;
};

struct job {
	bool used;
	bool loose;          /* what it reads or writes is not foreseeable */
	bool excused;        /* it may be lost */
	bool submitted;      /* the device has it */
	bool waited;         /* a thread is at it */
	bool pinned;         /* a bind is just being put behind it */
	struct mqueue *queue;
	uint32_t seq;
	unsigned slot, reads, writes;
	struct touch read[4], write[3];
	struct touch astray[6]; /* where writes may go that something was mapped under */
	unsigned astrays;
	uint32_t syncobj;    /* 0: of a long-running VM */
	struct attached *behind; /* it waits for this one, by its object; or NULL */
	uint64_t ring_end;   /* the ring's head is here, or further, when it is done */
};

struct mvm {
	struct mclient *client;
	bool used, gone;       /* gone: its end has begun */
	bool ending;           /* and may yet be refused */
	unsigned users;        /* threads at it, and its queues: until then it is remembered */
	bool excused;          /* it may be banned */
	uint32_t id, core_id, batch_bo, bind_queue;
	uint64_t batch_bo_id;
	bool lr, fault, scratch;
	char *cpu;             /* of the batches */
	struct unit unit[UNITS];
	struct job job[VM_JOBS];
	uint32_t bind_sync[VM_BINDS];
	unsigned next_bind;
	unsigned rings;        /* made so far */
	bool ringing;          /* one is just being made */
	uint64_t bind_fence, bind_value; /* a user fence of binds */
	uint64_t bind_ns;      /* when the last of them was said */
};

struct mqueue {
	struct mvm *vm;
	bool used, gone;
	bool ending;  /* a thread is about it: it may be refused */
	bool excused; /* it may be banned */
	uint32_t id;
	unsigned width;
	struct exec_queue *ring; /* NULL: it has a number, and jobs are submitted */
	unsigned page;
	uint64_t tail;
};

/* Numbers that a file gives out. */
enum table { TABLE_VMS, TABLE_QUEUES, TABLE_HANDLES, TABLE_SYNCOBJS, TABLES };

struct mclient {
	struct world *world;
	unsigned index;
	struct mdevice *device;
	struct uapi_file *file; /* NULL: closed */
	struct uapi_file *card; /* of the companion; NULL: closed */
	bool card_busy;         /* the releaser is in it */
	unsigned unbinds;       /* of the device when it was opened */
	unsigned inside;        /* threads that are in a step of it */
	bool closing;
	unsigned binding;       /* threads that use handles they have looked up before */
	unsigned sharing;       /* others that give it new handles: not both */
	bool lost_device;       /* the file is of no more use */
	struct mvm vm[CLIENT_VMS];
	struct mqueue queue[CLIENT_QUEUES];
	struct obj *obj[CLIENT_OBJS];
	uint32_t handle[CLIENT_OBJS];
	unsigned syncobjs;      /* how many there are */
	int least[TABLES], most[TABLES]; /* that a table has more than the client knows of */
	struct timeline_counter counter;
	void *timeline;
	uint32_t held;          /* its last number given out */
};

struct mdevice {
	struct world *world;
	unsigned index;
	bool vram, wedged, ever_wedged;
	unsigned excuses;       /* how often all of its queues might have been banned */
	bool returning;         /* it has its driver back, but not yet its timeouts */
	struct client_host host;
	struct uapi_device *uapi, *companion;
	struct event_reader reader;
	unsigned ending;        /* address spaces and files that are just being closed */
	uint64_t idle_system_B; /* used by nobody's objects */
};

struct thread {
	struct world *world;
	struct mclient *client;
	struct port_thread *port;
	unsigned index, step;
	unsigned id; /* of the port; 0: it does not run */
	uint64_t random;
};

struct world {
	const struct sim_plan *plan;
	struct sim_report *report;
	unsigned devices, clients;
	struct mdevice device[SIM_DEVICES];
	struct mclient client[SIM_CLIENTS];
	struct thread thread[SIM_THREADS];
	struct obj *objs;
	struct attached *attached;
	uint32_t weight[SIM_KIND_COUNT], weights;
	unsigned inside;       /* threads that are in a step */
	bool stop;             /* nobody begins one */
	bool over;
	bool signalled;        /* once at least */
	uint32_t injected;     /* bit per enum port_fault_point: the same */
	uint64_t injected_until_ns;
	bool copies_fail;      /* now, and when they last did */
	uint64_t copies_ns;
	bool calm;             /* nothing is made to fail any more */
	uint32_t serial;
};

uint64_t sim_mix(uint64_t a, uint64_t b);
uint32_t draw(struct thread *t, uint32_t n);
void nap(uint64_t ns);
/* The run has failed: in @check, for a reason. */
_Noreturn void sim_fail(struct world *w, const char *check, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define UNIT_VA(i) (UINT64_C(0x3fe00000) + (uint64_t)(i) * UNIT_B) /* across a GiB */
#define BATCH_VA   UINT64_C(0x100000)
#define SLOT_B      2048 /* commands of one job, behind BATCH_VA; then results, then flags */
#define RESULTS_OFF UINT64_C(0x8000)
#define RESULT_B    64
#define RESULT_SEQ  8    /* the words of a result: what was read, then these */
#define RESULT_FENCE 12
#define FLAGS_OFF   UINT64_C(0xc000)
#define MI_BATCH    (0x31u << 23 | 1u << 8 | 1) /* a jump: an address follows */
#define PRESS_VA   UINT64_C(0x8000000)
#define NOWHERE_VA (UINT64_C(1) << 40)
/* Of the unit's word: another small page in each unit. */
#define WORD_OF(page) ((uint64_t)(page) * SZ_4K + 64)

/* Of all engines; its driver begins with longer ones. */
void device_set_timeouts(struct mdevice *device);
int client_try_open(struct mclient *c);
int card_open(struct mclient *c);
void client_shut(struct mclient *c);
struct obj *obj_new(struct world *w, unsigned device, unsigned units);
void obj_free(struct obj *obj);
/* The words of all of its units are now 0. */
void obj_cleared(struct obj *obj);
void vm_excuse(struct mvm *vm);
void device_excuse(struct mdevice *device);
/* Work that touches units [first, first + n) of its VM. */
bool job_touches(const struct job *job, unsigned first, unsigned n);
void job_touch(struct job *job, const struct touch *touch);
/* Whether it does what it is to do is not foreseeable, nor what those find that come after it. */
void job_doubt(struct world *w, struct job *job);
/* Some of what it writes may go to @page of @obj: known again when it has ended. */
void job_goes_astray(struct world *w, struct job *job, struct obj *obj, unsigned page);
/* It has ended, or nobody will know: what it wrote is known only if it was @done. */
void job_drop(struct job *job, bool done);
void vm_use(struct mvm *vm);
/* The last one of a VM that is gone forgets it. */
void vm_unuse(struct mvm *vm);
void queue_forget(struct mqueue *q);
/* What jobs under way do with @obj is not foreseeable any more. */
void obj_loosen(struct world *w, struct obj *obj);
/* Copies of client memory may have failed then, or since. */
bool copies_failed(const struct world *w, uint64_t ns);
/* Client memory was looked for, and not found. */
void pin_failed(struct mdevice *device, const struct event *event);
/*
 * @ret is what the making of a number was answered with, or the end of one that the client forgets
 * whatever it is. The first may have been done though its answer was lost. Both return @ret.
 */
int table_made(struct mclient *c, enum table table, int ret);
int table_left(struct mclient *c, enum table table, int ret);
/* The client learns of a number that may be one of those that it has lost. */
void table_found(struct mclient *c, enum table table);
int syncobj_new(struct mclient *c, uint32_t *handle_out);
void syncobj_end(struct mclient *c, uint32_t handle);
uint32_t *job_results(const struct mvm *vm, const struct job *job);

/* ---- steps (steps*.c) ------------------------------------------------------------------------ */

/* 0 or the -errno that the device answered; -ENODATA: there was nothing to do it with. */
int step_take(struct thread *t, enum sim_kind kind);
/* May the device say @ret now? Else the run has failed. */
int answered(struct mclient *c, int ret, const char *what, const int *also);

int step_exec(struct thread *t, enum sim_kind kind);
int step_bind(struct thread *t, enum sim_kind kind); /* steps_bind.c */
int step_ring(struct thread *t); /* steps_ring.c */
/* As EXEC: 0 or -ECANCELED; and as a wait for its user fence: also -ETIME. */
int ring_submit(struct job *job);
int ring_wait(struct mclient *c, struct job *job, uint64_t deadline_ns);
void ring_kill(struct mqueue *q);
/* Those of @vm, or all: before it is closed. */
void rings_kill(struct mclient *c, const struct mvm *vm);
int step_attach(struct thread *t); /* steps_attach.c */
/* The oldest fence on @obj that somebody who reads or writes there has to wait for; or NULL. */
struct attached *attached_to(struct world *w, const struct obj *obj, bool write);
/* A syncobj with what the memory that @job touches says has to be waited for; 0: nothing. */
uint32_t implicit_new(struct mclient *c, struct job *job);
/* It is just being signalled: looks whether somebody has not waited. */
void attached_signal(struct attached *a);
/* Signals those whose time has come. */
void attached_release(struct world *w);
void card_shut(struct mclient *c);
/* The VM's user fence, with its next value; then until the bind with it is done. */
struct drm_xe_sync vm_signal_user(struct mvm *vm);
void vm_wait_bound(struct mclient *c, struct mvm *vm);
int step_wait(struct thread *t);
/* Ends when the job has, at @deadline_ns at the latest; true: it has, and was looked at. */
bool job_finish(struct mclient *c, struct mvm *vm, struct job *job, uint64_t deadline_ns);
/* Reads all that is mapped and known back, on queues of its own. */
void vm_read_back(struct mclient *c, struct mvm *vm);
struct mvm *pick_vm(struct thread *t);
/* The client does not know the handle any more afterwards, whatever was answered. */
int gem_end(struct mclient *c, uint32_t handle);
/* A syncobj that signals when the releaser comes round; 0: none to be had. */
uint32_t held_new(struct mclient *c);
int queue_make(struct mclient *c, struct mvm *vm, struct mqueue *q, uint16_t class,
	       unsigned width, int priority);

/* ---- checkers (check_*.c) -------------------------------------------------------------------- */

struct checker {
	const char *name;
	/* Optional, all. Called in stream order, under the stream's lock. */
	void (*event)(struct mdevice *device, const struct event *event);
	void (*begin)(struct world *w);
	/* No client is in the device; workers may be. */
	void (*quiet)(struct world *w);
	/* All work is done, all is still there. */
	void (*calm)(struct world *w);
	/* All files are closed. */
	void (*end)(struct world *w);
};

extern const struct checker check_model, check_pages, check_fences, check_memory, check_handles;
extern const struct checker *const checkers[];
extern const unsigned checker_count;

#endif
