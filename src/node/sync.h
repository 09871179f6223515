/* SPDX-License-Identifier: MIT */
/*
 * What sync.c and sync_watch.c share: the timelines and foreign sync files this process knows.
 *
 * Locking: @sync_lock (RANK_NODE_GATE) protects both lists and the watcher's state.
 */
#ifndef NODE_SYNC_H
#define NODE_SYNC_H

#include "node/node.h"

#include "sync/timeline.h"

/* A timeline in the memory that parents and children share. */
struct sync_slot {
	_Atomic uint64_t inode; /* of its pipe; 0: free; 1: being made */
	uint64_t serial;        /* never used again */
	atomic_uint processes;  /* that know it; those that were killed too */
	struct timeline_counter counter;
	char name[TIMELINE_NAME_B];
};

/* A timeline in this process. */
struct sync_entry {
	struct sync_entry *next;
	struct sync_slot *slot;
	void *timeline;         /* a reference, of kind UAPI_FD_TIMELINE */
	int read_fd;            /* of its pipe: hung up when no process has it open; or -1 */
	unsigned files;         /* of ours that stand for it */
};

/* A sync file of which only the descriptor tells when it has signalled. */
struct sync_foreign {
	struct sync_foreign *next;
	int fd;                 /* a private copy */
	int maker_fd;           /* readable when the process that made it has ended; or -1 */
	bool maker_gone;        /* it had ended before */
	void *object;           /* a reference, of kind UAPI_FD_SYNC_FILE */
	const atomic_int *status;
};

extern struct port_mutex sync_lock;
extern struct sync_entry *sync_entries;
extern struct sync_foreign *sync_foreigns;

/* True once a process was forked, so that others may advance what is known here. */
bool sync_is_shared(void);
/* Becomes readable, for an edge, whenever a process has changed a counter. */
int sync_wake_fd(void);
/* Looks at everything: what has ended, what is due. Under sync_lock. */
void sync_look(void);

/* From now on a thread of this process hears of changes. Under sync_lock; harmless again. */
void sync_watch(void);
/* The watcher, if there is one, hears of @fd from now on, or no more. Under sync_lock. */
void sync_watch_fd(int fd, unsigned events);
void sync_unwatch_fd(int fd);
/* In the child of a fork: the thread is the parent's. */
void sync_watch_forget(void);

#endif
