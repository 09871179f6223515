/* SPDX-License-Identifier: MIT */
/*
 * GPU address spaces: the mapping index, binds and their queues, bans.
 *
 * A bind is prepare / run / cleanup (see docs/design.md, "a bind"): everything that can fail
 * happens in vm_bind() before publication; index state changes there, in publication order; page
 * tables change when the job runs; what was unmapped is freed in cleanup, after its TLB entries are
 * gone.
 */
#ifndef VM_VM_H
#define VM_VM_H

#include "mem/mem.h"
#include "pt/pt.h"
#include "sync/active.h"
#include "sync/fence.h"
#include "sync/ufence.h"
#include "vm/index.h"
#include "vm/pool.h"

/* When translations that a bind has made stale are dropped; see tlb.c. */
enum vm_tlb_rule {
	VM_TLB_AT_UNBIND, /* by the bind, whose fence covers it (Xe) */
	VM_TLB_AT_SUBMIT, /* by the next submission, and before memory is given back (B09) */
};

/*
 * What keeps memory and order right (P1, P3, P5). A test takes one away and sees what it is for.
 */
enum vm_guard {
	GUARD_CLEAR = 1,       /* fresh frames are cleared */
	GUARD_KERNEL = 2,      /* who uses an object waits until it has moved */
	GUARD_FREE = 4,        /* frames are given back when the move away from them is done */
	GUARD_MARK = 8,        /* pass 1: who has validated before must do it again */
	GUARD_COLLECT = 16,    /* pass 2: who was published before is waited for */
	GUARD_RECHECK = 32,    /* at publication: what was validated is so still */
	GUARD_ORDER = 64,      /* a bind or job comes after the one before it on its queue */
	GUARD_RANGE = 128,     /* a bind comes after unfinished ones whose ranges meet its own */
	GUARD_IN_FENCES = 256, /* and after its in-fences */
	GUARD_TLB = 512,       /* translations that a bind has made stale are dropped */
	GUARD_CLOSED = 1024,   /* a closed VM takes no more binds and jobs */
	GUARD_QUIESCE = 2048,  /* client memory goes when its users have ended */
	GUARD_JOB_FENCES = 4096, /* a job comes after its in-fences */
	GUARD_GROUPS = 8192,   /* work with faults gives way to work that promises a dma fence */
};

/* What a device gives all its VMs. */
struct vm_env {
	struct event_stream *events;
	struct sync *sync;
	struct mem *mem;
	const struct gpu_ops *gpu;
	const struct gpu_pt_format *fmt;
	struct gpu_engine *const *engines; /* every engine that may hold translations */
	unsigned engine_count;
	enum vm_tlb_rule tlb_rule;
	/*
	 * Objects that may be in VRAM, whose pages are of 64 KiB there, do not share 2 MiB of
	 * addresses with anything else (B29).
	 */
	bool no_mixing;
	struct port_mutex stale_lock; /* RANK_LEAF */
	struct list stale;      /* struct vm.stale_node; by .stale_lock */
	bool defer_ready;       /* lazy: a ready bind is left to workers */
	unsigned without;       /* for tests: enum vm_guard, those that are taken away */
	struct port_rwlock evict_lock; /* RANK_DEV_VALIDATE: who makes room in VRAM; see evict.c */
	atomic_uint next_vm_id; /* ids for events and address-space tags */
	atomic_ullong next_job_id;
};

/* .stale and the locks; the rest is the caller's to fill. */
void vm_env_init(struct vm_env *env);
/* No VM is left. */
void vm_env_fini(struct vm_env *env);
/*
 * Memory is about to be given back that translations may lead to: drops all that are stale. No lock
 * of rank RANK_LEAF or later.
 */
void vm_env_flush(struct vm_env *env);

#define VM_SCRATCH BIT_(0)
#define VM_LR BIT_(1)
#define VM_FAULT BIT_(2)
/*
 * What a failed list leaves behind (A25-A27). Without a flag: nothing, the VM is as before. In any
 * flavour the failing operation itself changes nothing.
 */
#define VM_ERRORS_RESTART BIT_(3) /* what came before it; the VM is in error state */
#define VM_ERRORS_COOKIE BIT_(4)  /* what came before it; the caller goes on from there */
#define VM_NO_OVERCOMMIT BIT_(5)  /* with VM_FAULT, see vm.vram_B */
#define VM_LR_LATER BIT_(6)       /* vm_decide() says whether it is VM_LR; until then it is not */

enum vm_ban_reason {
	VM_NOT_BANNED,
	VM_BANNED_FAULT,    /* a GPU fault of a kind the VM does not recover from */
	VM_BANNED_BY_OWNER,
};

/* How many GPU faults a VM remembers: the first ones, which tell most. Xe keeps as many. */
#define VM_FAULTS_MAX 50

struct bind_queue;
struct vma;

/* A list that failed in a VM with VM_ERRORS_RESTART: where it goes on, and how to know it. */
struct vm_restart {
	bool pending;           /* the VM is in error state */
	unsigned done, op_count;
	uint64_t fingerprint[2]; /* of its operations */
};

/* What may be submitted to it. */
enum vm_kind {
	VM_UNDECIDED, /* VM_LR_LATER: nothing yet */
	VM_OF_JOBS,   /* which have dma fences */
	VM_OF_LONG_RUNNING,
};

struct vm {
	struct ref ref;
	struct vm_env *env;
	uint32_t id;
	unsigned flags;
	atomic_int kind;                /* enum vm_kind; decided under .lock */
	struct gpu_vm hw;
	struct pt pt;
	struct active_set *active;      /* running execs, one slot per exec queue */
	struct bind_queue *default_queue;
	struct bind_queue *rebind_queue; /* entries that are written again */
	struct lru_bulk bulk;           /* its objects in VRAM */

	struct port_rwlock lock;        /* RANK_VM */
	struct vma_index index;         /* the mappings; by .lock */
	struct vma_pool pool;           /* their records */
	/*
	 * The size of all objects mapped here that may be in VRAM only; by .lock. All of them have
	 * to be there together when the VM runs, unless it can fault: if they are more than fits
	 * (A20), binds fail on a long-running VM, which runs whenever it likes, and submissions on
	 * others. Where faults fetch one after the other there is no limit, but for immediate binds
	 * of a VM that asked for it.
	 */
	uint64_t vram_B;
	bool closed;                    /* by .lock */
	atomic_int ban;                 /* enum vm_ban_reason */

	struct port_mutex pending_lock; /* RANK_LEAF */
	struct list pending;            /* struct bind_job.pending_node: published, not done */
	atomic_uint pending_count;      /* of these; grows only under .lock (write) */
	atomic_uint cleaning;           /* binds that are done but have not given all back */
	struct port_wq cleaned;         /* woken when these become fewer */
	/*
	 * Mappings whose entries are out of date, struct vma.remove_node: their object has moved,
	 * or they were given up for want of a page table (P2). They are taken off with .lock held
	 * for writing; vm_rebind_begin() makes them whole.
	 */
	struct port_mutex evicted_lock; /* RANK_LEAF */
	struct list evicted;            /* by .evicted_lock */
	atomic_bool evicted_any;        /* stored under it */
	atomic_bool tables_gone;        /* page tables were taken away; by env.evict_lock */
	struct vm_restart restart;      /* by .lock */

	struct list stale_node;         /* env.stale; by its lock */

	struct port_mutex faults_lock;  /* RANK_LEAF */
	struct gpu_fault fault[VM_FAULTS_MAX]; /* the first ones; by .faults_lock */
	unsigned fault_count;           /* by .faults_lock */

	/*
	 * RANK_VM_VALIDATE: one submission at a time makes client memory usable again; who comes
	 * beside it waits until that is so, though the list is empty by then.
	 */
	struct port_mutex validate_lock;
	struct port_rwlock notifier;    /* RANK_VM_NOTIFIER: the invalidated list */
	struct list invalidated;        /* struct vma.invalid_node; by .notifier (write) */
	atomic_bool invalidated_any;    /* it may have some; stored under .notifier (write) */
};

/* 0, -ENOMEM. One reference; close with vm_close() before the last vm_put(). */
int vm_create(struct vm_env *env, unsigned flags, struct vm **vm_out);
struct vm *vm_get(struct vm *vm);
void vm_put(struct vm *vm); /* NULL is fine */
/*
 * Ends the VM (L11): no bind or exec succeeds after it; waits for published binds (in-fences that
 * never signal are overtaken: the jobs run now), whose fences have signalled when it returns;
 * unmaps everything, frees the tables. The caller has stopped the VM's exec queues. No lock held.
 */
void vm_close(struct vm *vm);
/*
 * Is it for long-running work from here on? 0; -EINVAL: it is decided otherwise; -ENOSPC: long
 * running, but what is mapped does not fit (vm.vram_B). No lock held.
 */
int vm_decide(struct vm *vm, bool long_running);
static inline bool vm_is_lr(const struct vm *vm)
{
	return atomic_load(&vm->kind) == VM_OF_LONG_RUNNING;
}
void vm_ban(struct vm *vm, enum vm_ban_reason reason);
/* Why it was banned, or VM_NOT_BANNED. */
static inline enum vm_ban_reason vm_ban_reason(const struct vm *vm)
{
	return (enum vm_ban_reason)atomic_load(&vm->ban);
}
static inline bool vm_is_banned(const struct vm *vm)
{
	return atomic_load(&vm->ban) != VM_NOT_BANNED;
}

/* Remembers a fault of an access that nobody could serve, if there is room. Any context. */
void vm_note_fault(struct vm *vm, const struct gpu_fault *fault);
/* Copies the first @cap remembered faults; returns how many there are. */
unsigned vm_faults(struct vm *vm, struct gpu_fault *faults_out, unsigned cap);

/* ---- bind queues ---------------------------------------------------------------------------- */

/* Order of binds (A11): jobs of one queue run in publication order, queues are independent. */
struct bind_queue {
	struct ref ref;
	struct vm *vm;
	bool holds_vm;          /* .vm is a reference: not of the VM's own queues */
	uint32_t id;
	uint64_t context, seqno; /* of its fences; by vm.lock (write) */
	struct port_mutex lock; /* RANK_QUEUE_SUBMIT; protects .last */
	struct fence *last;     /* of the last job; a reference; NULL before the first */
};

int bind_queue_create(struct vm *vm, struct bind_queue **queue_out);
struct bind_queue *bind_queue_get(struct bind_queue *queue);
void bind_queue_put(struct bind_queue *queue);
/* The fence of the queue's last job (a reference), or the signalled one. */
struct fence *bind_queue_last(struct bind_queue *queue);

/* ---- binds ---------------------------------------------------------------------------------- */

enum bind_kind {
	BIND_MAP,         /* bo (or NULL mapping) at [addr, addr + range) */
	BIND_MAP_USERPTR, /* client memory */
	BIND_UNMAP,       /* whatever is in the range; nothing there is fine */
	BIND_UNMAP_BO,    /* every mapping of bo in this VM */
	BIND_PREFETCH,    /* brings what is mapped there, and may be there, to .prefetch_region */
};

struct bind_op {
	enum bind_kind kind;
	uint64_t addr, range;   /* bytes; 4 KiB aligned; range > 0 unless UNMAP_BO */
	struct bo *bo;          /* MAP (NULL: a NULL mapping), UNMAP_BO; the caller's reference */
	uint64_t offset;        /* into the object, or the client's address for MAP_USERPTR */
	bool null, readonly, dumpable, immediate;
	/*
	 * MAP: nothing is mapped there yet (-EEXIST). UNMAP: of exactly what one MAP has mapped, or
	 * of nothing (-EINVAL). VMs whose binds all are like that have no mapping that was cut.
	 */
	bool exact;
	uint16_t pat;
	enum mem_region prefetch_region; /* PREFETCH */
	bool inject_error; /* fail here with -ENOSPC: clients test the unwinding */
};

/* Why an operation failed, more precisely than its errno. */
enum bind_reason {
	BIND_OK,
	BIND_BAD_OP,        /* -EINVAL: the operation contradicts itself */
	BIND_BAD_RANGE,     /* -EINVAL: outside the address space or the object, or misaligned */
	BIND_FOREIGN_BO,    /* -EINVAL: private to another VM */
	BIND_VM_GONE,       /* -ENOENT: closed or banned */
	BIND_BUSY,          /* -EBUSY: a mapping it touches is still being bound */
	BIND_NO_CLIENT_MEMORY, /* -EFAULT: userptr, nothing there */
	BIND_NO_FRAMES,     /* -ENOSPC: no region the object may be in has room (also vm.vram_B) */
	BIND_NO_MEMORY,     /* -ENOMEM: of the host */
	BIND_INTERRUPTED,   /* -EINTR: run it again */
	BIND_ERROR_STATE,   /* -EALREADY: a list that failed has to be restarted first */
	BIND_NOT_THE_LIST,  /* -EINVAL: restart of something else, or of nothing */
	BIND_INJECTED,      /* bind_op.inject_error (-ENOSPC), or PORT_FAULT_BIND */
	BIND_TAKEN,         /* -EEXIST: bind_op.exact, and something is there */
	BIND_NOT_ALLOWED_THERE, /* -EINVAL: bind_op.exact, or what vm_env.no_mixing keeps apart */
};

struct bind_args {
	const struct bind_op *ops;
	unsigned op_count;
	struct bind_queue *queue;        /* NULL: the VM's default queue */
	struct fence *const *in_fences;  /* waited for before the first operation; may be NULL */
	unsigned in_count;
	bool restart;                    /* goes on with the list that failed; same @ops */
	bool continued;                  /* what a client calls one list, from its second part on */
	struct ufence *ufence;           /* written when it is done, remembered by the mappings
					  * made; not armed yet; may be NULL */
	/* out */
	unsigned failed_op;              /* index of the operation that failed; valid on error */
	unsigned done;                   /* operations carried out, in order: op_count on success */
	enum bind_reason reason;         /* of a failure */
};

/*
 * Prepares, publishes, and - if nothing holds it back - runs a list of operations (A02, A10).
 * *fence_out gets a reference to the job's out-fence, which covers the last operation and its TLB
 * invalidation. Errors: -ENOENT closed or banned, -EINVAL range outside the address space or the
 * object, -EFAULT userptr, -EBUSY a touched mapping's bind has a user fence that is not signalled,
 * -ENOSPC region full, -ENOMEM, -EINTR, -EALREADY. No lock held.
 *
 * A list of unmaps (UNMAP, UNMAP_BO) without a user fence never fails for want of memory (A24); it
 * may then wait, interruptibly, for its in-fences and for the binds before it. Other lists wait the
 * same way before they give up with -ENOMEM (A09).
 *
 * What a failure leaves is the VM's error flavour. By default the VM is as before (A23). With
 * VM_ERRORS_COOKIE and _RESTART the operations before the failing one, args->done of them, stay:
 * they were published as a job of their own behind the in-fences (which bind_queue_last() shows),
 * without @ufence, and *fence_out is not set. The caller of a cookie VM calls again with the rest.
 * With _RESTART the VM is in error state until the same list is given again with args->restart
 * (then it goes on at the operation that failed, whose fences and user fence are this call's) or
 * the VM is closed; meanwhile lists of unmaps are accepted and others are -EALREADY. Errors that
 * concern no operation (-ENOENT, -EINTR before the first, -EALREADY) change no state.
 */
int vm_bind(struct vm *vm, struct bind_args *args, struct fence **fence_out);

/* ---- for submissions ------------------------------------------------------------------------ */

/*
 * Before a submission: makes usable again what was invalidated since the last one (O(changed)).
 * Client memory that is gone is unmapped from the tables: no error until it is used (A24, bug 7).
 * Called with vm.lock held. False: mappings are to be made whole first; drop the lock, come again
 * between vm_rebind_begin() and _end().
 */
bool vm_validate(struct vm *vm);

/* When a submission starts on the hardware. */
void vm_flush_at_submit(struct vm *vm);

/* May it be submitted to, with what is mapped (vm.vram_B)? vm.lock held. */
bool vm_fits(const struct vm *vm);

/*
 * Has it mappings to make whole, or page tables to bring back? That may have become so just now:
 * who must not miss it looks at active_seq() first.
 */
static inline bool vm_has_evicted(const struct vm *vm)
{
	return atomic_load(&vm->evicted_any) || atomic_load(&vm->tables_gone);
}
/*
 * Makes the mappings on vm.evicted whole: page tables get their frames back, objects that may be in
 * VRAM only are brought there if there can be room, entries are written again, at once or, where an
 * object is still moving or a bind is unfinished, by jobs, the last of which vm_rebind_fence() is
 * of. 0 with vm.lock (write) and env.evict_lock held until vm_rebind_end(): nothing is taken away
 * in between, but client memory. Else -EINTR (only @interruptible), or -ENOMEM (what is not whole
 * stays on the list). No lock held.
 */
int vm_rebind_begin(struct vm *vm, bool interruptible);
void vm_rebind_end(struct vm *vm);
/* Both: for whom it is enough that they are whole now. */
int vm_rebind(struct vm *vm, bool interruptible);
/* What submissions must come after: the last rebind's fence, or the stub. A reference. */
struct fence *vm_rebind_fence(struct vm *vm);

/*
 * Who uses @bo (P1): a fence that signals when the object's own fences have, and what was submitted
 * to the VMs that map it now; long-running work is off its engines then, and suspended as soon as
 * the fence is waited for (B19). A dma fence. A reference; NULL without memory. No reservation
 * held.
 */
struct fence *vm_bo_users(struct bo *bo);
/* Is @bo mapped where work runs for as long as it likes? No reservation held. */
bool vm_bo_is_lr(struct bo *bo);

/* ---- what it takes up ------------------------------------------------------------------------ */

struct vm_usage {
	uint64_t mappings;      /* live runs, as vm_mapping_next() shows them */
	uint64_t evicted;       /* of these, whose entries are to be written again: vm.evicted */
	uint64_t mapped_B;      /* addresses in them */
	uint64_t bo_B;          /* objects mapped, each once and whole */
	uint64_t vram_B;        /* of these, in VRAM or on their way there */
	uint64_t page_tables_B; /* pt_memory_B() */
	uint64_t page_table_frames_B; /* pt_frames_B() */
};
/*
 * Walks over all mappings, with vm.lock held for reading, which keeps binds out meanwhile, and the
 * reservation of one object at a time: what moves beside it may be seen before or after. An object
 * is looked for among its mappings from the newest on, those in other VMs too.
 */
void vm_usage(struct vm *vm, struct vm_usage *usage_out);

/* ---- mapping index, for tests, dumps and the checker ---------------------------------------- */

struct vm_mapping {
	uint64_t start, end;
	uint64_t bo_id;    /* 0: none */
	uint64_t offset;   /* into the object or client memory */
	bool null, userptr, readonly;
	uint16_t pat;
};
/* The first live run at or above @addr; false at the end. Takes vm.lock for reading. */
bool vm_mapping_next(struct vm *vm, uint64_t addr, struct vm_mapping *mapping_out);

/* Asserts that index and counters agree. Takes vm.lock for reading. */
void vm_check(struct vm *vm);

#endif
