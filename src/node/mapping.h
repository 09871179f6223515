/* SPDX-License-Identifier: MIT */
/* Which of the client's addresses show an object of the device, so that the object stays. */
#ifndef NODE_MAPPING_H
#define NODE_MAPPING_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Around the real call that changes mappings, so that what is known and what is there change
 * together. Inside the gate; the rest only in between.
 */
void mapping_lock(void);
void mapping_unlock(void);
/* Is anything known at all? Needs no lock. */
bool mapping_any(void);
/* [addr, addr + size_B) shows @object now, whose reference is taken over on success. 0, -ENOMEM. */
int mapping_add(uint64_t addr, uint64_t size_B, void *object);
/* Nothing of ours is in [addr, addr + size_B) any more. */
void mapping_cut(uint64_t addr, uint64_t size_B);
/* The object shown at @addr with a reference, or NULL. */
void *mapping_object(uint64_t addr);

#endif
