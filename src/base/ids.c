// SPDX-License-Identifier: MIT
/*
 * Table of small numbers to objects.
 *
 * Overview: an array of pointers, indexed by number, NULL where a number is free. @lowest_free only
 * says where a search may begin, so taking the lowest number costs a scan over what was handed out
 * since the last removal, and nothing in the common case of a table that only grows.
 *
 * Locking: ids.lock protects everything. It is a leaf, under which nothing may be allocated: growth
 * prepares the larger array outside it, and takes it into use only if nobody else grew meanwhile.
 *
 * Example:
 *	ret = ids_alloc(&file->bos, bo, &handle);
 *	...
 *	ids_lock(&file->bos);
 *	bo = bo_get(ids_find_locked(&file->bos, handle));
 *	ids_unlock(&file->bos);
 */
#include "base/ids.h"

#define IDS_FIRST_CAP 16u
#define IDS_MAX_CAP (1u << 24)

static struct port_lock_class ids_class = { .name = "ids", .rank = RANK_LEAF };

void ids_init(struct ids *ids)
{
	port_mutex_init(&ids->lock, &ids_class);
	ids->slot = NULL;
	ids->cap = 0;
	ids->lowest_free = 1;
}

void ids_fini(struct ids *ids)
{
	port_free(ids->slot);
	ids->slot = NULL;
	ids->cap = 0;
	ids->lowest_free = 1;
	port_mutex_fini(&ids->lock);
}

/* 0 when the table is full as it is. */
static uint32_t take_lowest_locked(struct ids *ids, void *obj)
{
	uint32_t id = ids->lowest_free;

	port_mutex_assert_held(&ids->lock);
	ASSERT(id >= 1);
	while (id < ids->cap && ids->slot[id]) {
		id++;
	}
	ids->lowest_free = id;
	if (id >= ids->cap) {
		return 0;
	}
	ids->slot[id] = obj;
	ids->lowest_free = id + 1;
	return id;
}

/* Doubles a table that had @old_cap entries when the caller looked. */
static int grow(struct ids *ids, uint32_t old_cap)
{
	uint32_t cap = old_cap ? old_cap * 2 : IDS_FIRST_CAP;
	void **slot, **unused;

	if (old_cap >= IDS_MAX_CAP) {
		return -ENOMEM;
	}
	slot = port_alloc(cap * sizeof(*slot));
	if (!slot) {
		return -ENOMEM;
	}
	ids_lock(ids);
	if (ids->cap == old_cap) {
		if (old_cap) {
			memcpy(slot, ids->slot, old_cap * sizeof(*slot));
		}
		unused = ids->slot;
		ids->slot = slot;
		ids->cap = cap;
	} else {
		unused = slot;
	}
	ids_unlock(ids);
	port_free(unused);
	return 0;
}

int ids_alloc(struct ids *ids, void *obj, uint32_t *id_out)
{
	ASSERT(obj);
	ASSERT(id_out);
	for (;;) {
		uint32_t id, cap;
		int ret;

		ids_lock(ids);
		id = take_lowest_locked(ids, obj);
		cap = ids->cap;
		ids_unlock(ids);
		if (id) {
			*id_out = id;
			return 0;
		}
		ret = grow(ids, cap);
		if (ret) {
			return ret;
		}
	}
}

void *ids_remove(struct ids *ids, uint32_t id)
{
	void *obj;

	ids_lock(ids);
	obj = ids_find_locked(ids, id);
	if (obj) {
		ids->slot[id] = NULL;
		if (id < ids->lowest_free) {
			ids->lowest_free = id;
		}
	}
	ids_unlock(ids);
	return obj;
}

void ids_lock(struct ids *ids)
{
	port_mutex_lock(&ids->lock);
}

void ids_unlock(struct ids *ids)
{
	port_mutex_unlock(&ids->lock);
}

void *ids_find_locked(struct ids *ids, uint32_t id)
{
	port_mutex_assert_held(&ids->lock);
	if (id == 0 || id >= ids->cap) {
		return NULL;
	}
	return ids->slot[id];
}

void ids_set_locked(struct ids *ids, uint32_t id, void *obj)
{
	ASSERT(obj);
	ASSERT(ids_find_locked(ids, id));
	ids->slot[id] = obj;
}

void *ids_next(struct ids *ids, uint32_t *id_io)
{
	uint32_t id = *id_io ? *id_io : 1;
	void *obj = NULL;

	ids_lock(ids);
	while (id < ids->cap && !ids->slot[id]) {
		id++;
	}
	if (id < ids->cap) {
		obj = ids->slot[id];
		*id_io = id;
	}
	ids_unlock(ids);
	return obj;
}
