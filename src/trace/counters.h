/* SPDX-License-Identifier: MIT */
/*
 * What a run did, in numbers: a reader of the event stream that adds up in memory which several
 * processes share. `vmbind run` makes that memory, hands it to the processes of the command and
 * reads it when they are gone, however they went.
 */
#ifndef TRACE_COUNTERS_H
#define TRACE_COUNTERS_H

#include "base/bits.h"
#include "event/event.h"
#include "port/port.h"

#define COUNTERS_VERSION 4
#define COUNTERS_IOCTLS 256
/* Results of an ioctl: 0, an errno, and one more for all that are neither. */
#define COUNTERS_RESULTS 135
#define COUNTERS_NAME_B 32
#define COUNTERS_TEXT_B 96
#define COUNTERS_FAULTS 16 /* PORT_FAULTS_MAX of port/fault.h */
#define COUNTERS_HITS 64   /* that are told one by one */

/* A failure that was made. */
struct counters_hit {
	_Atomic uint32_t told; /* set last: all below is there */
	uint32_t fault;        /* index in the SPEC */
	uint64_t n;            /* which of its occurrences, in that process */
	char ioctl[COUNTERS_NAME_B], place[COUNTERS_TEXT_B];
};

/*
 * Zeroes at first. All numbers only grow and are added to without a lock; memory that nobody
 * touches costs nothing.
 */
struct counters_shared {
	uint32_t version;          /* set by who makes it; a library with another one keeps away */
	uint32_t wanted;           /* the same; 0: nothing but @opens is counted */
	_Atomic uint64_t opens;    /* of device files */
	_Atomic uint64_t devices;  /* made; one per process, children of fork() share theirs */
	/* Of the device made last; written once by each process that makes one. */
	char uapi[COUNTERS_NAME_B], gpu[COUNTERS_NAME_B], schedule[COUNTERS_NAME_B];
	char watched_by[COUNTERS_TEXT_B]; /* client memory */
	_Atomic uint64_t events[EVENT_TYPES];
	_Atomic uint64_t failed_execs;
	_Atomic uint64_t bo_peak_B; /* most that the objects of one process had at a time */
	_Atomic uint64_t ioctls[COUNTERS_IOCTLS][COUNTERS_RESULTS];
	/* Of `--fault`. */
	_Atomic uint64_t fault_points[PORT_FAULT_POINTS];
	_Atomic uint64_t faults[COUNTERS_FAULTS], faults_struck[COUNTERS_FAULTS];
	_Atomic uint64_t hits;
	struct counters_hit hit[COUNTERS_HITS];
};

struct counters {
	struct event_reader reader; /* attached and detached by the owner */
	struct counters_shared *shared;
	uint64_t bo_B; /* in objects now; under the stream's lock. A fork()ed child has its own. */
};

/* @shared must outlive the reader. */
void counters_init(struct counters *counters, struct counters_shared *shared);

#endif
