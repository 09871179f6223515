// SPDX-License-Identifier: MIT
/*
 * Switching stacks. On x86-64 in a dozen instructions: ucontext would make a system call for each,
 * and would make AddressSanitizer forget all it knows of the stack. A context that does not run
 * keeps what the calling convention preserves on its own stack. The floating-point control words
 * stay what they are: nothing in a simulation changes them. Elsewhere (or with PORT_SIM_PORTABLE)
 * it is ucontext.
 */
#include "port/sim_context.h"

#if SIM_CONTEXT_ASM

#include <stdint.h>

void sim_context_asm(void **save_sp, void *load_sp);

__asm__(".pushsection .text\n"
	".hidden sim_context_asm\n.globl sim_context_asm\n.type sim_context_asm, @function\n"
	"sim_context_asm:\n"
	".cfi_startproc\n"
	"push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
	".cfi_adjust_cfa_offset 48\n"
	"mov %rsp, (%rdi)\n"
	"mov %rsi, %rsp\n"
	"pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\n"
	".cfi_adjust_cfa_offset -48\n"
	"ret\n"
	".cfi_endproc\n"
	".size sim_context_asm, . - sim_context_asm\n"
	".popsection\n");

uint64_t sim_context_look_asm(uint64_t (*fn)(const void *sp));

__asm__(".pushsection .text\n"
	".hidden sim_context_look_asm\n.globl sim_context_look_asm\n"
	".type sim_context_look_asm, @function\n"
	"sim_context_look_asm:\n"
	".cfi_startproc\n"
	"push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
	".cfi_adjust_cfa_offset 48\n"
	"mov %rdi, %rax\n"
	"mov %rsp, %rdi\n"
	"sub $8, %rsp\n"
	".cfi_adjust_cfa_offset 8\n"
	"call *%rax\n"
	"add $56, %rsp\n"
	".cfi_adjust_cfa_offset -56\n"
	"ret\n"
	".cfi_endproc\n"
	".size sim_context_look_asm, . - sim_context_look_asm\n"
	".popsection\n");

uint64_t sim_context_look(uint64_t (*fn)(const void *sp))
{
	return sim_context_look_asm(fn);
}

void sim_context_make(struct sim_context *c, void *stack, size_t size_B, void (*fn)(void))
{
	uintptr_t top = ((uintptr_t)stack + size_B) & ~(uintptr_t)15;
	uintptr_t *sp = (uintptr_t *)top;

	*--sp = 0; /* where a return address would be: ends a backtrace, aligns as a call does */
	*--sp = (uintptr_t)fn;
	for (int i = 0; i < 6; i++) {
		*--sp = 0;
	}
	c->sp = sp;
}

void sim_context_switch(struct sim_context *from, struct sim_context *to)
{
	sim_context_asm(&from->sp, to->sp);
}

#else

uint64_t sim_context_look(uint64_t (*fn)(const void *sp))
{
	(void)fn;
	return 0;
}

void sim_context_make(struct sim_context *c, void *stack, size_t size_B, void (*fn)(void))
{
	getcontext(&c->uc);
	c->uc.uc_stack.ss_sp = stack;
	c->uc.uc_stack.ss_size = size_B;
	c->uc.uc_link = NULL;
	makecontext(&c->uc, fn, 0);
}

void sim_context_switch(struct sim_context *from, struct sim_context *to)
{
	swapcontext(&from->uc, &to->uc);
}

#endif
