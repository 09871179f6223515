/* SPDX-License-Identifier: MIT */
/*
 * Table of small numbers (handles) to objects; the lowest free number is given out first, from 1.
 *
 * The table does not know references: a caller that looks an object up under ids_lock() takes its
 * own reference before ids_unlock(), so a concurrent removal cannot free it in between. Growing
 * allocates outside the lock.
 */
#ifndef BASE_IDS_H
#define BASE_IDS_H

#include "port/port.h"

struct ids {
	struct port_mutex lock; /* RANK_LEAF; protects the rest */
	void **slot;            /* slot[0] is never used */
	uint32_t cap;
	uint32_t lowest_free;   /* no free number below it */
};

void ids_init(struct ids *ids);
/* The table is empty or its objects are owned elsewhere. */
void ids_fini(struct ids *ids);
/* 0 and the number, or -ENOMEM. @obj may be a reserved placeholder replaced later by ids_set(). */
int ids_alloc(struct ids *ids, void *obj, uint32_t *id_out);
/* Takes @id out and returns what was there, NULL if nothing. */
void *ids_remove(struct ids *ids, uint32_t id);
void ids_lock(struct ids *ids);
void ids_unlock(struct ids *ids);
/* Under ids_lock(). NULL when there is none. */
void *ids_find_locked(struct ids *ids, uint32_t id);
void ids_set_locked(struct ids *ids, uint32_t id, void *obj);
/* The first object at or above *@id_io, NULL at the end; sets *@id_io. Takes the lock. */
void *ids_next(struct ids *ids, uint32_t *id_io);

#endif
