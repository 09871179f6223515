/* SPDX-License-Identifier: MIT */
/* Switching stacks; see sim_context.c. */
#ifndef PORT_SIM_CONTEXT_H
#define PORT_SIM_CONTEXT_H

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__) && !defined(PORT_SIM_PORTABLE)
#define SIM_CONTEXT_ASM 1
struct sim_context {
	void *sp;
};
#else
#define SIM_CONTEXT_ASM 0
#include <ucontext.h>
struct sim_context {
	ucontext_t uc;
};
#endif

/* @fn will run on the stack at the first switch to @c. It never returns. */
void sim_context_make(struct sim_context *c, void *stack, size_t size_B, void (*fn)(void));
/* Returns when something switches back to @from. */
void sim_context_switch(struct sim_context *from, struct sim_context *to);
/*
 * Calls @fn and returns what it does. Between @sp and the end of the stack is all that the caller's
 * caller will find again: the registers that a call preserves, and the frames. 0: not known here.
 */
uint64_t sim_context_look(uint64_t (*fn)(const void *sp));

#endif
