// SPDX-License-Identifier: MIT
/*
 * Accesses to memory that belongs to the client and may not be there.
 *
 * On x86-64 every access is made by one of a few leaf functions in assembly that use no stack. The
 * handler of SIGSEGV and SIGBUS looks at the program counter: a fault inside that unit resumes at
 * its one fixup, which returns -EFAULT for the function. Nothing has to be saved before an access,
 * so a guarded load costs what a call costs. Elsewhere (or with PORT_GUARD_PORTABLE) the access is
 * made under sigsetjmp() and the handler jumps.
 *
 * Every other fault goes to the client: port_client_sigaction() records what the client wants, the
 * handler does what the kernel would have done with it.
 *
 * Locking: @client_lock protects client_action[]; it is held with asynchronous signals blocked, and
 * the handler runs with them blocked, so a handler never waits for its own thread.
 */
#include "port/internal.h"
#include "port/posix.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

/* No user mapping ends above this on any paging mode; the hardware refuses the rest itself. */
#define USER_END ((uint64_t)1 << 56)

#if defined(__x86_64__) && !defined(PORT_GUARD_PORTABLE)
#define GUARD_ASM 1
#else
#define GUARD_ASM 0
#endif

/* ---- the accesses ---------------------------------------------------------------------------- */

#if GUARD_ASM

/*
 * All return 0, or -EFAULT by way of the fixup. They must not touch the stack, or the fixup would
 * return to the wrong place.
 */
int guard_load32(const void *src, void *dst);
int guard_load64(const void *src, void *dst);
int guard_store32(void *dst, const void *src);
int guard_store64(void *dst, const void *src);
int guard_cmpxchg32(void *addr, void *old_io, uint64_t desired);
int guard_cmpxchg64(void *addr, void *old_io, uint64_t desired);
int guard_copy(void *dst, const void *src, size_t n);

extern const char guard_begin[], guard_end[], guard_fixup[];

#define ASM_FUNC(name, body)                                                                       \
	".hidden " name "\n.globl " name "\n.type " name ", @function\n" name ":\n"                \
	".cfi_startproc\n" body "xor %eax, %eax\nret\n.cfi_endproc\n.size " name ", . - " name "\n"

__asm__(".pushsection .text.guard, \"ax\", @progbits\n"
	".balign 16\n"
	".hidden guard_begin\n.globl guard_begin\nguard_begin:\n"
	ASM_FUNC("guard_load32", "mov (%rdi), %eax\nmov %eax, (%rsi)\n")
	ASM_FUNC("guard_load64", "mov (%rdi), %rax\nmov %rax, (%rsi)\n")
	ASM_FUNC("guard_store32", "mov (%rsi), %eax\nmov %eax, (%rdi)\n")
	ASM_FUNC("guard_store64", "mov (%rsi), %rax\nmov %rax, (%rdi)\n")
	ASM_FUNC("guard_cmpxchg32",
		 "mov (%rsi), %eax\nlock cmpxchg %edx, (%rdi)\nmov %eax, (%rsi)\n")
	ASM_FUNC("guard_cmpxchg64",
		 "mov (%rsi), %rax\nlock cmpxchg %rdx, (%rdi)\nmov %rax, (%rsi)\n")
	/* rdi, rsi, rdx: a string copy pays only when long; words below that, then bytes. */
	ASM_FUNC("guard_copy",
		 "mov %rdx, %rcx\n"
		 "cmp $256, %rdx\n"
		 "jae 3f\n"
		 "1: cmp $8, %rcx\n"
		 "jb 2f\n"
		 "mov (%rsi), %rax\n"
		 "mov %rax, (%rdi)\n"
		 "add $8, %rsi\n"
		 "add $8, %rdi\n"
		 "sub $8, %rcx\n"
		 "jmp 1b\n"
		 "2: test %rcx, %rcx\n"
		 "jz 4f\n"
		 "movzbl (%rsi), %eax\n"
		 "mov %al, (%rdi)\n"
		 "inc %rsi\n"
		 "inc %rdi\n"
		 "dec %rcx\n"
		 "jmp 2b\n"
		 "3: rep movsb\n"
		 "4:\n")
	".hidden guard_end\n.globl guard_end\nguard_end:\n"
	".hidden guard_fixup\n.globl guard_fixup\n.type guard_fixup, @function\nguard_fixup:\n"
	".cfi_startproc\nmov $-14, %eax\nret\n.cfi_endproc\n"
	".popsection\n");

_Static_assert(EFAULT == 14, "written out in guard_fixup");

#else

/* Set while this thread is inside a guarded access: where its fault resumes. */
static _Thread_local sigjmp_buf *volatile guard_jump;

#define GUARDED(access)                                                                            \
	do {                                                                                       \
		sigjmp_buf here;                                                                   \
		if (sigsetjmp(here, 0)) {                                                          \
			guard_jump = NULL;                                                         \
			return -EFAULT;                                                            \
		}                                                                                  \
		guard_jump = &here;                                                                \
		atomic_signal_fence(memory_order_seq_cst);                                         \
		access;                                                                            \
		atomic_signal_fence(memory_order_seq_cst);                                         \
		guard_jump = NULL;                                                                 \
	} while (0)

/* A sanitizer's own code must not be what faults: it would be left holding its locks. */
#if defined(__has_attribute)
#if __has_attribute(disable_sanitizer_instrumentation)
#define NOT_AT_ALL disable_sanitizer_instrumentation,
#endif
#endif
#ifndef NOT_AT_ALL
#define NOT_AT_ALL
#endif
#define NO_SANITIZE                                                                                \
	__attribute__((NOT_AT_ALL noinline, no_sanitize("address", "thread", "undefined")))

static NO_SANITIZE int guard_load32(const void *src, void *dst)
{
	GUARDED(*(uint32_t *)dst = *(const volatile uint32_t *)src);
	return 0;
}

static NO_SANITIZE int guard_load64(const void *src, void *dst)
{
	GUARDED(*(uint64_t *)dst = *(const volatile uint64_t *)src);
	return 0;
}

static NO_SANITIZE int guard_store32(void *dst, const void *src)
{
	GUARDED(*(volatile uint32_t *)dst = *(const uint32_t *)src);
	return 0;
}

static NO_SANITIZE int guard_store64(void *dst, const void *src)
{
	GUARDED(*(volatile uint64_t *)dst = *(const uint64_t *)src);
	return 0;
}

static NO_SANITIZE int guard_cmpxchg32(void *addr, void *old_io, uint64_t desired)
{
	GUARDED(__atomic_compare_exchange_n((uint32_t *)addr, (uint32_t *)old_io, (uint32_t)desired,
					    false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	return 0;
}

static NO_SANITIZE int guard_cmpxchg64(void *addr, void *old_io, uint64_t desired)
{
	GUARDED(__atomic_compare_exchange_n((uint64_t *)addr, (uint64_t *)old_io, desired, false,
					    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	return 0;
}

static NO_SANITIZE int guard_copy(void *dst, const void *src, size_t n)
{
	volatile unsigned char *d = dst;
	const volatile unsigned char *s = src;

	GUARDED(for (size_t i = 0; i < n; i++) { d[i] = s[i]; });
	return 0;
}

#endif

/* ---- the handler ----------------------------------------------------------------------------- */

/*
 * libc's own name for sigaction(): src/node/ puts another function before the public one, which
 * ends up here again.
 */
int __sigaction(int sig, const struct sigaction *act, struct sigaction *old_out);

static struct spin client_lock = SPIN_INIT;
static struct sigaction client_action[2]; /* under client_lock: SIGSEGV, SIGBUS */
static pthread_once_t installed = PTHREAD_ONCE_INIT;

static struct sigaction *client_slot(int sig)
{
	return &client_action[sig == SIGBUS];
}

void signals_asynchronous(sigset_t *set)
{
	static const int synchronous[] = { SIGSEGV, SIGBUS,  SIGFPE, SIGILL,
					   SIGTRAP, SIGABRT, SIGSYS };

	sigfillset(set);
	for (size_t i = 0; i < sizeof(synchronous) / sizeof(synchronous[0]); i++) {
		sigdelset(set, synchronous[i]);
	}
}

/* The mask the signal interrupted. The kernel fills only its own 64 signals of uc_sigmask. */
static void interrupted_mask(const ucontext_t *uc, sigset_t *mask)
{
	sigemptyset(mask);
	for (int s = 1; s <= 64; s++) {
		if (sigismember(&uc->uc_sigmask, s) == 1) {
			sigaddset(mask, s);
		}
	}
}

/* Does what the kernel would have done, had the client's action been installed. */
static void pass_to_client(int sig, siginfo_t *info, ucontext_t *uc)
{
	struct sigaction act;
	sigset_t mask;

	spin_lock(&client_lock);
	act = *client_slot(sig);
	if (act.sa_flags & SA_RESETHAND) {
		client_slot(sig)->sa_handler = SIG_DFL;
		client_slot(sig)->sa_flags = 0;
	}
	spin_unlock(&client_lock);

	if (act.sa_handler == SIG_IGN && info->si_code <= 0) {
		return; /* sent by somebody; a fault of the program cannot be ignored */
	}
	if (act.sa_handler == SIG_DFL || act.sa_handler == SIG_IGN) {
		struct sigaction dfl = { .sa_handler = SIG_DFL };

		/* Returning repeats the instruction, which then kills in the right place. */
		__sigaction(sig, &dfl, NULL);
		if (info->si_code <= 0) {
			raise(sig);
		}
		return;
	}

	interrupted_mask(uc, &mask);
	sigorset(&mask, &mask, &act.sa_mask);
	if (!(act.sa_flags & SA_NODEFER)) {
		sigaddset(&mask, sig);
	}
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	if (act.sa_flags & SA_SIGINFO) {
		act.sa_sigaction(sig, info, uc);
	} else {
		act.sa_handler(sig);
	}
}

static void fault_handler(int sig, siginfo_t *info, void *context)
{
	int saved_errno = errno;
	ucontext_t *uc = context;

	/* si_code <= 0 is a signal somebody sent, wherever it arrived. */
	if (info->si_code > 0) {
#if GUARD_ASM
		uintptr_t pc = (uintptr_t)uc->uc_mcontext.gregs[REG_RIP];

		if (pc >= (uintptr_t)guard_begin && pc < (uintptr_t)guard_end) {
			uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)guard_fixup;
			return;
		}
#else
		if (guard_jump) {
			sigset_t mask;

			interrupted_mask(uc, &mask);
			pthread_sigmask(SIG_SETMASK, &mask, NULL);
			siglongjmp(*guard_jump, 1);
		}
#endif
	}
	pass_to_client(sig, info, uc);
	errno = saved_errno;
}

static void install(void)
{
	struct sigaction act = {
		.sa_sigaction = fault_handler,
		.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK | SA_RESTART,
	};

	signals_asynchronous(&act.sa_mask);
	ASSERT(__sigaction(SIGSEGV, &act, &client_action[0]) == 0);
	ASSERT(__sigaction(SIGBUS, &act, &client_action[1]) == 0);
}

int port_client_sigaction(int sig, const struct sigaction *act, struct sigaction *old_out)
{
	sigset_t asynchronous, before;
	struct sigaction old;

	if (sig != SIGSEGV && sig != SIGBUS) {
		return __sigaction(sig, act, old_out) ? -errno : 0;
	}
	pthread_once(&installed, install);
	signals_asynchronous(&asynchronous);
	pthread_sigmask(SIG_BLOCK, &asynchronous, &before);
	spin_lock(&client_lock);
	old = *client_slot(sig);
	if (act) {
		*client_slot(sig) = *act;
	}
	spin_unlock(&client_lock);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (old_out) {
		*old_out = old;
	}
	return 0;
}

void guard_lock(void)
{
	pthread_once(&installed, install);
	spin_lock(&client_lock);
}

void guard_unlock(void)
{
	spin_unlock(&client_lock);
}

void guard_fork_child(void)
{
	spin_reset(&client_lock);
}

/* ---- what port.h promises -------------------------------------------------------------------- */

static bool range_is_user(uint64_t addr, uint64_t n)
{
	return n <= USER_END && addr <= USER_END - n;
}

int port_gpu_load(uint64_t addr, void *dst, size_t n)
{
	const void *src = (const void *)(uintptr_t)addr;

	pthread_once(&installed, install);
	if (!range_is_user(addr, n)) {
		return -EFAULT;
	}
	host_touch(src, n, false);
	host_touch(dst, n, true);
	if (n == 4 && addr % 4 == 0) {
		return guard_load32(src, dst);
	}
	if (n == 8 && addr % 8 == 0) {
		return guard_load64(src, dst);
	}
	return n ? guard_copy(dst, src, n) : 0;
}

int port_gpu_store(uint64_t addr, const void *src, size_t n)
{
	void *dst = (void *)(uintptr_t)addr;

	pthread_once(&installed, install);
	if (!range_is_user(addr, n)) {
		return -EFAULT;
	}
	host_touch(src, n, false);
	host_touch(dst, n, true);
	if (n == 4 && addr % 4 == 0) {
		return guard_store32(dst, src);
	}
	if (n == 8 && addr % 8 == 0) {
		return guard_store64(dst, src);
	}
	return n ? guard_copy(dst, src, n) : 0;
}

int port_gpu_cmpxchg(uint64_t addr, size_t n, uint64_t *old_io, uint64_t desired)
{
	void *ptr = (void *)(uintptr_t)addr;
	uint32_t old32 = (uint32_t)*old_io;
	int ret;

	ASSERT((n == 4 || n == 8) && addr % n == 0);
	pthread_once(&installed, install);
	if (!range_is_user(addr, n)) {
		return -EFAULT;
	}
	host_touch(ptr, n, false);
	host_touch(ptr, n, true);
	if (n == 8) {
		return guard_cmpxchg64(ptr, old_io, desired);
	}
	ret = guard_cmpxchg32(ptr, &old32, desired);
	*old_io = old32;
	return ret;
}

int port_copy_from_user(void *dst, uint64_t src, size_t n)
{
	host_point();
	return port_fault_hit(PORT_FAULT_USER_COPY) ? -EFAULT : port_gpu_load(src, dst, n);
}

int port_copy_to_user(uint64_t dst, const void *src, size_t n)
{
	int ret;

	host_point();
	ret = port_fault_hit(PORT_FAULT_USER_COPY) ? -EFAULT : port_gpu_store(dst, src, n);
	/* The client sees the bytes before the caller goes on. */
	host_point();
	return ret;
}

/* For kernels before 5.14: touches each page; a write of what is there makes it writable. */
static int populate_by_touch(uint64_t addr, uint64_t end, uint64_t page, bool write)
{
	for (; addr < end; addr += page) {
		uint64_t seen;
		int ret = port_gpu_load(addr, &seen, sizeof(seen));

		if (ret == 0 && write) {
			ret = port_gpu_cmpxchg(addr, sizeof(seen), &seen, seen);
		}
		if (ret) {
			return ret;
		}
	}
	return 0;
}

int port_user_populate_at(uint64_t addr, uint64_t size_B, bool write, const char *where)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t first = addr & ~(page - 1), end;
	int saved_errno = errno, ret;

	lockcheck_pin(addr, addr + size_B, where);
	host_point();
	if (port_fault_hit(PORT_FAULT_USER_COPY) || !range_is_user(addr, size_B)) {
		return -EFAULT;
	}
	if (!size_B) {
		return 0;
	}
	end = (addr + size_B + page - 1) & ~(page - 1);
	do {
		ret = madvise((void *)(uintptr_t)first, end - first,
			      write ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
	} while (ret && (errno == EINTR || errno == EAGAIN));
	if (ret && errno == EINVAL) {
		ret = populate_by_touch(first, end, page, write);
	}
	errno = saved_errno;
	return ret ? -EFAULT : 0;
}
