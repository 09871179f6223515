// SPDX-License-Identifier: MIT
/*
 * The posix host: threads, time, chance and what else a process offers. Locks are in posix_lock.c,
 * sleeping and the client's signals in posix_wait.c.
 *
 * A thread of the client becomes known at its first call and forgotten when it ends; threads made
 * here run with asynchronous signals blocked and cancellation off.
 *
 * Locking: @threads_lock protects the ids and the list of our own threads.
 */
#include "port/posix_internal.h"

#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define IDS_MAX 4096
#define STACK_B ((size_t)1 << 20)

struct port_thread {
	struct thread_state state;
	pthread_t pthread;
	const char *name;
	void (*fn)(void *arg);
	void *arg;
	pid_t tid; /* under threads_lock: while it runs, and else 0 */
	bool gone; /* under threads_lock: belonged to the parent of this process */
	struct port_thread *prev, *next; /* under threads_lock */
};

static struct spin threads_lock = SPIN_INIT;
static struct port_thread *threads; /* under threads_lock */
static cpu_set_t cpus; /* under threads_lock: that they run on; none: wherever they like */
/* Bit set: id in use. Under threads_lock. Id 0 is nobody; past the end ids are not used again. */
static uint64_t ids[IDS_MAX / 64] = { 1 };
static unsigned ids_past_end = IDS_MAX;

static pthread_key_t state_key;
static pthread_once_t state_once = PTHREAD_ONCE_INIT;
/* In the static block, so that reading it never allocates. */
static _Thread_local struct thread_state *self
	__attribute__((tls_model("initial-exec")));

/* ---- threads --------------------------------------------------------------------------------- */

static unsigned id_get(void)
{
	unsigned id = 0;

	spin_lock(&threads_lock);
	for (unsigned i = 0; i < IDS_MAX / 64 && !id; i++) {
		if (~ids[i]) {
			id = i * 64 + (unsigned)__builtin_ctzll(~ids[i]);
			ids[i] |= (uint64_t)1 << id % 64;
		}
	}
	if (!id) {
		id = ids_past_end++;
	}
	spin_unlock(&threads_lock);
	return id;
}

static void id_put(unsigned id)
{
	if (id < IDS_MAX) {
		spin_lock(&threads_lock);
		ids[id / 64] &= ~((uint64_t)1 << id % 64);
		spin_unlock(&threads_lock);
	}
}

/*
 * A thread of the client comes and goes outside port_client_enter(): no handler of the client may
 * run in between and call in itself.
 */
static void signals_off(sigset_t *before)
{
	sigset_t set;

	signals_asynchronous(&set);
	pthread_sigmask(SIG_BLOCK, &set, before);
}

/* The end of a thread of the client. */
static void state_free(void *ptr)
{
	struct thread_state *t = ptr;
	sigset_t before;

	signals_off(&before);
	self = NULL;
	id_put(t->id);
	free(t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void state_init(void)
{
	ASSERT(pthread_key_create(&state_key, state_free) == 0);
}

static __attribute__((noinline)) struct thread_state *state_create(void)
{
	struct thread_state *t;
	sigset_t before;

	signals_off(&before);
	t = calloc(1, sizeof(*t));
	if (!t) {
		panic_print("vmbind: no memory for the state of a thread\n");
		abort();
	}
	pthread_once(&state_once, state_init);
	t->id = id_get();
	self = t;
	pthread_setspecific(state_key, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return t;
}

struct thread_state *thread_state(void)
{
	struct thread_state *t = self;

	return __builtin_expect(t != NULL, 1) ? t : state_create();
}

struct lock_checks *host_checks(void)
{
	return &thread_state()->checks;
}

unsigned port_locks_held(void)
{
	return host_checks()->locks;
}

unsigned port_thread_id(void)
{
	return thread_state()->id;
}

/* A CPU may be taken away from the process at any time: then it stays where it is. */
static void thread_pin_locked(const struct port_thread *t)
{
	if (t->tid && CPU_COUNT(&cpus)) {
		(void)sched_setaffinity(t->tid, sizeof(cpus), &cpus);
	}
}

static void thread_set_tid(struct port_thread *t, pid_t tid)
{
	spin_lock(&threads_lock);
	t->tid = tid;
	thread_pin_locked(t);
	spin_unlock(&threads_lock);
}

int port_threads_set_cpus(const uint64_t mask[PORT_CPU_WORDS])
{
	unsigned n = (unsigned)sysconf(_SC_NPROCESSORS_CONF);
	cpu_set_t set;

	_Static_assert(PORT_CPU_WORDS * 64 == CPU_SETSIZE, "a bit for each");
	CPU_ZERO(&set);
	for (unsigned i = 0; i < n && i < CPU_SETSIZE; i++) {
		if (mask[i / 64] >> i % 64 & 1) {
			CPU_SET(i, &set);
		}
	}
	if (!CPU_COUNT(&set)) {
		return -EINVAL;
	}
	spin_lock(&threads_lock);
	cpus = set;
	for (struct port_thread *t = threads; t; t = t->next) {
		thread_pin_locked(t);
	}
	spin_unlock(&threads_lock);
	return 0;
}

void port_threads_cpus(uint64_t mask_out[PORT_CPU_WORDS])
{
	unsigned n = (unsigned)sysconf(_SC_NPROCESSORS_CONF);
	cpu_set_t set;

	spin_lock(&threads_lock);
	set = cpus;
	spin_unlock(&threads_lock);
	memset(mask_out, 0, PORT_CPU_WORDS * sizeof(mask_out[0]));
	for (unsigned i = 0; i < n && i < CPU_SETSIZE; i++) {
		if (!CPU_COUNT(&set) || CPU_ISSET(i, &set)) {
			mask_out[i / 64] |= (uint64_t)1 << i % 64;
		}
	}
}

static void *thread_main(void *arg)
{
	struct port_thread *t = arg;

	self = &t->state;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
	pthread_setname_np(pthread_self(), t->name);
	thread_set_tid(t, gettid());
	t->fn(t->arg);
	thread_set_tid(t, 0);
	lockcheck_thread_end();
	self = NULL;
	return NULL;
}

static int thread_start(struct port_thread *t)
{
	pthread_attr_t attr;
	sigset_t blocked, before;
	int ret;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_B);
	/* Inherited by the new thread, so that no signal finds it unprepared. */
	signals_asynchronous(&blocked);
	pthread_sigmask(SIG_SETMASK, &blocked, &before);
	ret = pthread_create(&t->pthread, &attr, thread_main, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return ret ? -EAGAIN : 0;
}

static void thread_forget(struct port_thread *t)
{
	spin_lock(&threads_lock);
	if (t->prev) {
		t->prev->next = t->next;
	} else {
		threads = t->next;
	}
	if (t->next) {
		t->next->prev = t->prev;
	}
	spin_unlock(&threads_lock);
	id_put(t->state.id);
	port_free(t);
}

int port_thread_create(struct port_thread **thread_out, const char *name, void (*fn)(void *arg),
		       void *arg)
{
	struct port_thread *t;
	int ret;

	*thread_out = NULL;
	ASSERT(strlen(name) < 16);
	if (port_fault_hit(PORT_FAULT_THREAD)) {
		return -EAGAIN;
	}
	t = port_alloc(sizeof(*t));
	if (!t) {
		return -ENOMEM;
	}
	t->state.id = id_get();
	t->state.device = true;
	t->name = name;
	t->fn = fn;
	t->arg = arg;
	spin_lock(&threads_lock);
	t->next = threads;
	if (threads) {
		threads->prev = t;
	}
	threads = t;
	spin_unlock(&threads_lock);

	*thread_out = t;
	ret = thread_start(t);
	if (ret) {
		thread_forget(t);
		*thread_out = NULL;
	}
	return ret;
}

void port_thread_join(struct port_thread *t)
{
	lockcheck_no_locks("a thread is joined");
	ASSERT(&t->state != self);
	if (!t->gone) {
		ASSERT(pthread_join(t->pthread, NULL) == 0);
	}
	thread_forget(t);
}

void port_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#else
	sched_yield();
#endif
}

void host_point(void)
{
}

void host_panic_note(void)
{
}

/* ---- time and chance ------------------------------------------------------------------------- */

uint64_t port_now_clock_ns(int clockid)
{
	struct timespec ts;

	if (clock_gettime(clockid, &ts) != 0) {
		return 0;
	}
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t port_now_ns(void)
{
	return port_now_clock_ns(CLOCK_MONOTONIC);
}

static _Atomic uint64_t random_state;
static pthread_once_t random_once = PTHREAD_ONCE_INIT;

static void random_init(void)
{
	const char *env = getenv("VMBIND_SEED");
	uint64_t seed = 0;

	if (env) {
		seed = strtoull(env, NULL, 0);
	} else if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != sizeof(seed)) {
		seed = port_now_ns() ^ (uint64_t)getpid() << 32;
	}
	atomic_store(&random_state, seed);
}

uint64_t port_random(void)
{
	uint64_t z;

	/* splitmix64: a counter and a mixer, so that threads need no lock. */
	pthread_once(&random_once, random_init);
	z = atomic_fetch_add(&random_state, 0x9e3779b97f4a7c15ull) + 0x9e3779b97f4a7c15ull;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* ---- fork ------------------------------------------------------------------------------------ */

void port_before_fork(void)
{
	guard_lock();
	wait_before_fork();
	spin_lock(&threads_lock);
}

void port_after_fork_parent(void)
{
	spin_unlock(&threads_lock);
	wait_after_fork(false);
	guard_unlock();
}

void port_after_fork_child(void)
{
	unsigned id = self ? self->id : 0;

	memset(ids, 0, sizeof(ids));
	ids[0] = 1;
	if (id < IDS_MAX) {
		ids[id / 64] |= (uint64_t)1 << id % 64;
	}
	for (struct port_thread *t = threads; t; t = t->next) {
		t->gone = true;
		t->tid = 0;
		if (t->state.id < IDS_MAX) {
			ids[t->state.id / 64] |= (uint64_t)1 << t->state.id % 64;
		}
	}
	spin_reset(&threads_lock);
	if (!getenv("VMBIND_SEED")) {
		/* Or parent and child would draw the same numbers. */
		atomic_fetch_xor(&random_state, (uint64_t)getpid() << 32);
	}
	wait_after_fork(true);
	guard_fork_child();
	lockcheck_fork_child();
	watch_fork_child();
}

/* ---- the process ----------------------------------------------------------------------------- */

uint32_t port_pid(void)
{
	return (uint32_t)getpid();
}

bool port_client_may_raise_priority(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

	/* Asked each time: a client may have dropped it since. */
	return syscall(SYS_capget, &header, data) == 0 &&
	       (data[CAP_TO_INDEX(CAP_SYS_NICE)].effective & CAP_TO_MASK(CAP_SYS_NICE));
}
