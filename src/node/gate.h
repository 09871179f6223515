/* SPDX-License-Identifier: MIT */
/* Who is inside the device: every call from the client passes here, and fork() shuts it. */
#ifndef NODE_GATE_H
#define NODE_GATE_H

#include <stdbool.h>

/*
 * Between the two: asynchronous signals are blocked, no fork() happens, and node_inside() is true.
 * errno is the client's again after node_leave(). Does not nest.
 */
void node_enter(void);
void node_leave(void);
/* Is the calling thread in a call, or one of the device's own? */
bool node_inside(void);

/* Waits until nobody else is inside, but asleep without a lock, and keeps it so. */
void gate_shut(void);
void gate_open(void);
/* In the child of a fork: only this thread exists. */
void gate_open_child(void);

/* Around a sleep that signals may end, in which fork() may happen. */
void gate_sleep_begin(void);
void gate_sleep_end(void);

#endif
