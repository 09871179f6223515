// SPDX-License-Identifier: MIT
/* Signals of the client around and inside calls, and fork: the posix host only. */
#include "test.h"

#include "port/posix.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MS 1000000ull

static struct port_lock_class vm_class = { .name = "t.vm", .rank = RANK_VM };

static atomic_uint handler_ran;
static struct port_wq wq, handler_wq;
static sigjmp_buf way_out;

static void counting_handler(int sig)
{
	(void)sig;
	atomic_fetch_add(&handler_ran, 1);
}

/* Calls into the device again, as a handler may. */
static void calling_handler(int sig)
{
	(void)sig;
	port_client_enter();
	port_assert_no_locks();
	port_wq_wait(&handler_wq, port_wq_prepare(&handler_wq), port_now_ns() + MS,
		     PORT_WAIT_INTERRUPTIBLE);
	port_client_exit();
	atomic_fetch_add(&handler_ran, 1);
}

static void leaving_handler(int sig)
{
	siglongjmp(way_out, sig);
}

static void install(int sig, void (*fn)(int sig), int flags)
{
	struct sigaction act = { .sa_handler = fn, .sa_flags = flags };

	CHECK(sigaction(sig, &act, NULL) == 0);
	atomic_store(&handler_ran, 0);
}

struct kick {
	pthread_t thread;
	int sig;
};

/* Signals a thread once it sleeps. */
static void kicker(void *arg)
{
	struct kick *k = arg;

	while (!atomic_load(&wq.waiters)) {
		port_relax();
	}
	nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
	pthread_kill(k->thread, k->sig);
}

static void setup(void)
{
	port_wq_init(&wq);
	port_wq_init(&handler_wq);
}

static int sleep_for(uint64_t ns)
{
	uint64_t deadline = ns == PORT_FOREVER ? ns : port_now_ns() + ns;

	return port_wq_wait(&wq, port_wq_prepare(&wq), deadline, PORT_WAIT_INTERRUPTIBLE);
}

static void a_signal_ends_a_sleep_in_a_call(void)
{
	struct kick k = { pthread_self(), SIGUSR1 };
	struct port_thread *t;

	setup();
	for (int i = 0; i < 5; i++) {
		install(SIGUSR1, counting_handler, i % 2 ? SA_RESTART : 0);
		CHECK_OK(port_thread_create(&t, "kicker", kicker, &k));
		errno = 77;
		port_client_enter();
		CHECK_ERR(sleep_for(PORT_FOREVER), -EINTR);
		CHECK_EQ(port_client_restarts(), i % 2);
		CHECK_EQ(atomic_load(&handler_ran), 0);
		errno = 5;
		port_client_exit();
		CHECK_EQ(errno, 77);
		CHECK_EQ(atomic_load(&handler_ran), 1);
		port_thread_join(t);
	}
	signal(SIGUSR1, SIG_DFL);
}

static void a_signal_ends_a_sleep_outside_a_call(void)
{
	struct kick k = { pthread_self(), SIGUSR1 };
	struct port_thread *t;

	setup();
	install(SIGUSR1, counting_handler, 0);
	CHECK_OK(port_thread_create(&t, "kicker", kicker, &k));
	CHECK_ERR(sleep_for(PORT_FOREVER), -EINTR);
	CHECK_EQ(atomic_load(&handler_ran), 1);
	port_thread_join(t);
	signal(SIGUSR1, SIG_DFL);
}

static void a_signal_before_the_sleep_is_not_lost(void)
{
	setup();
	install(SIGUSR1, counting_handler, 0);
	port_client_enter();
	CHECK(port_inside());
	pthread_kill(pthread_self(), SIGUSR1);
	CHECK_EQ(atomic_load(&handler_ran), 0);
	CHECK_ERR(sleep_for(PORT_FOREVER), -EINTR);
	/* Still there: the next one ends as well, so that a loop over sleeps gets out. */
	CHECK_ERR(sleep_for(PORT_FOREVER), -EINTR);
	CHECK_EQ(port_client_restarts(), false);
	port_client_exit();
	CHECK_EQ(atomic_load(&handler_ran), 1);
	CHECK(!port_inside());

	/* The same sent to the process. */
	port_client_enter();
	kill(getpid(), SIGUSR1);
	CHECK_ERR(sleep_for(PORT_FOREVER), -EINTR);
	port_client_exit();
	CHECK_EQ(atomic_load(&handler_ran), 2);
	signal(SIGUSR1, SIG_DFL);
}

static void what_the_client_blocks_or_ignores_waits(void)
{
	sigset_t set, before;

	setup();
	install(SIGUSR1, counting_handler, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, &before);
	port_client_enter();
	pthread_kill(pthread_self(), SIGUSR1);
	CHECK_ERR(sleep_for(2 * MS), -ETIMEDOUT);
	CHECK_EQ(port_client_restarts(), true);
	port_client_exit();
	CHECK_EQ(atomic_load(&handler_ran), 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	CHECK_EQ(atomic_load(&handler_ran), 1);

	signal(SIGUSR1, SIG_IGN);
	port_client_enter();
	pthread_kill(pthread_self(), SIGUSR1);
	pthread_kill(pthread_self(), SIGWINCH); /* ignored by default */
	CHECK_ERR(sleep_for(2 * MS), -ETIMEDOUT);
	port_client_exit();
	signal(SIGUSR1, SIG_DFL);
}

static void plain_sleeps_are_not_interrupted(void)
{
	setup();
	install(SIGUSR1, counting_handler, 0);
	port_client_enter();
	pthread_kill(pthread_self(), SIGUSR1);
	CHECK_ERR(port_wq_wait(&wq, port_wq_prepare(&wq), port_now_ns() + 2 * MS, 0), -ETIMEDOUT);
	port_client_exit();
	CHECK_EQ(atomic_load(&handler_ran), 1);
	signal(SIGUSR1, SIG_DFL);
}

static void calls_nest(void)
{
	sigset_t mask;

	setup();
	install(SIGUSR1, counting_handler, 0);
	port_client_enter();
	port_client_enter();
	pthread_kill(pthread_self(), SIGUSR1);
	CHECK_ERR(sleep_for(PORT_FOREVER), -EINTR);
	port_client_exit();
	CHECK_EQ(atomic_load(&handler_ran), 0);
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	CHECK_EQ(sigismember(&mask, SIGUSR2), 1);
	CHECK_EQ(sigismember(&mask, SIGSEGV), 0);
	port_client_exit();
	CHECK_EQ(atomic_load(&handler_ran), 1);
	pthread_sigmask(SIG_BLOCK, NULL, &mask);
	CHECK_EQ(sigismember(&mask, SIGUSR2), 0);
	signal(SIGUSR1, SIG_DFL);
}

static void a_handler_may_call_in(void)
{
	setup();
	install(SIGUSR1, calling_handler, 0);
	port_client_enter();
	pthread_kill(pthread_self(), SIGUSR1);
	CHECK_ERR(sleep_for(PORT_FOREVER), -EINTR);
	port_client_exit();
	CHECK_EQ(atomic_load(&handler_ran), 1);
	CHECK(!port_inside());
	signal(SIGUSR1, SIG_DFL);
}

static void a_handler_may_leave(void)
{
	int sig;

	setup();
	install(SIGUSR1, leaving_handler, 0);
	sig = sigsetjmp(way_out, 1);
	if (sig == 0) {
		port_client_enter();
		pthread_kill(pthread_self(), SIGUSR1);
		CHECK_ERR(sleep_for(PORT_FOREVER), -EINTR);
		port_client_exit();
		CHECK(false);
	}
	CHECK_EQ(sig, SIGUSR1);
	CHECK(!port_inside());
	port_client_enter();
	CHECK_ERR(sleep_for(MS), -ETIMEDOUT);
	port_client_exit();
	signal(SIGUSR1, SIG_DFL);
}

static void waker(void *arg)
{
	while (!atomic_load(&wq.waiters)) {
		port_relax();
	}
	port_wq_wake(&wq);
}

static void wakes_reach_sleeps_in_calls(void)
{
	struct port_thread *t;

	setup();
	for (unsigned i = 0; i < test_scale(200); i++) {
		CHECK_OK(port_thread_create(&t, "waker", waker, NULL));
		port_client_enter();
		CHECK_OK(sleep_for(PORT_FOREVER));
		port_client_exit();
		port_thread_join(t);
		CHECK_EQ(atomic_load(&wq.waiters), 0);
	}
}

/* ---- a wake at every moment of falling asleep ------------------------------------------------ */

struct moment {
	atomic_uint asked, given; /* the partner answers each question, a little later each time */
	unsigned rounds;
};

static void moment_partner(void *arg)
{
	struct moment *m = arg;

	for (unsigned i = 1; i <= m->rounds; i++) {
		while (atomic_load(&m->asked) < i) {
			port_relax();
		}
		for (unsigned delay = i % 400; delay; delay--) {
			port_relax();
		}
		atomic_store(&m->given, i);
		port_wq_wake(&wq);
	}
}

static void a_wake_at_every_moment(void)
{
	struct moment m = { .rounds = test_scale(20000) };
	struct port_thread *t;

	setup();
	CHECK_OK(port_thread_create(&t, "partner", moment_partner, &m));
	for (unsigned i = 1; i <= m.rounds; i++) {
		bool call = i / 400 % 2;

		if (call) {
			port_client_enter();
		}
		atomic_store(&m.asked, i);
		for (;;) {
			uint32_t seq = port_wq_prepare(&wq);

			if (atomic_load(&m.given) == i) {
				break;
			}
			CHECK_OK(port_wq_wait(&wq, seq, PORT_FOREVER, PORT_WAIT_INTERRUPTIBLE));
		}
		if (call) {
			port_client_exit();
		}
	}
	port_thread_join(t);
}

/* ---- a stress of all of it ------------------------------------------------------------------- */

struct stress {
	atomic_uint turn;
	unsigned rounds;
	pthread_t client;
	atomic_bool done;
};

static void stress_partner(void *arg)
{
	struct stress *s = arg;

	while (atomic_load(&s->turn) < 2 * s->rounds) {
		uint32_t seq = port_wq_prepare(&wq);

		if (atomic_load(&s->turn) % 2 == 1) {
			atomic_fetch_add(&s->turn, 1);
			port_wq_wake(&wq);
		} else if (atomic_load(&s->turn) < 2 * s->rounds) {
			port_wq_wait(&wq, seq, PORT_FOREVER, 0);
		}
	}
}

static void stress_kicker(void *arg)
{
	struct stress *s = arg;

	while (!atomic_load(&s->done)) {
		pthread_kill(s->client, SIGUSR1);
		nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
	}
}

static void no_wake_is_lost_among_signals(void)
{
	struct stress s = { .rounds = test_scale(3000), .client = pthread_self() };
	struct port_thread *partner, *kick;
	unsigned interrupts = 0;

	setup();
	install(SIGUSR1, counting_handler, 0);
	CHECK_OK(port_thread_create(&partner, "partner", stress_partner, &s));
	CHECK_OK(port_thread_create(&kick, "kicker", stress_kicker, &s));
	while (atomic_load(&s.turn) < 2 * s.rounds) {
		uint32_t seq;

		port_client_enter();
		seq = port_wq_prepare(&wq);
		if (atomic_load(&s.turn) % 2 == 0) {
			atomic_fetch_add(&s.turn, 1);
			port_wq_wake(&wq);
		} else {
			interrupts += port_wq_wait(&wq, seq, PORT_FOREVER,
						   PORT_WAIT_INTERRUPTIBLE) == -EINTR;
		}
		port_client_exit();
	}
	port_wq_wake(&wq);
	port_thread_join(partner);
	atomic_store(&s.done, true);
	port_thread_join(kick);
	CHECK(atomic_load(&handler_ran) >= interrupts);
	signal(SIGUSR1, SIG_DFL);
}

/* ---- locks ----------------------------------------------------------------------------------- */

static struct port_rwlock rwlock;
static atomic_bool release;

static void write_holder(void *arg)
{
	port_rwlock_wrlock(&rwlock);
	atomic_store((atomic_bool *)arg, true);
	while (!atomic_load(&release)) {
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	port_rwlock_wrunlock(&rwlock);
}

static void waiting_for_a_lock_can_be_interrupted(void)
{
	struct port_thread *t;
	atomic_bool held = false;

	port_rwlock_init(&rwlock, &vm_class);
	install(SIGUSR1, counting_handler, 0);
	atomic_store(&release, false);
	CHECK_OK(port_thread_create(&t, "holder", write_holder, &held));
	while (!atomic_load(&held)) {
		port_relax();
	}
	port_client_enter();
	pthread_kill(pthread_self(), SIGUSR1);
	CHECK_ERR(port_rwlock_rdlock_interruptible(&rwlock), -EINTR);
	CHECK_ERR(port_rwlock_wrlock_interruptible(&rwlock), -EINTR);
	port_client_exit();
	CHECK_EQ(atomic_load(&handler_ran), 1);
	atomic_store(&release, true);
	port_rwlock_rdlock(&rwlock); /* no trace is left of the writer that gave up */
	port_rwlock_rdunlock(&rwlock);
	port_thread_join(t);
	port_rwlock_fini(&rwlock);
	signal(SIGUSR1, SIG_DFL);
}

/* ---- threads of the device, descriptors, fork ------------------------------------------------ */

static void look_at_mask(void *arg)
{
	pthread_sigmask(SIG_BLOCK, NULL, arg);
	CHECK(port_inside());
}

static void threads_of_the_device_take_no_signals(void)
{
	struct port_thread *t;
	sigset_t mask;

	CHECK_OK(port_thread_create(&t, "masked", look_at_mask, &mask));
	port_thread_join(t);
	CHECK_EQ(sigismember(&mask, SIGINT), 1);
	CHECK_EQ(sigismember(&mask, SIGPROF), 1);
	CHECK_EQ(sigismember(&mask, SIGSEGV), 0);
	CHECK_EQ(sigismember(&mask, SIGBUS), 0);
}

struct pinned {
	atomic_bool up, end;
	cpu_set_t before, after;
};

static void look_at_cpus(void *arg)
{
	struct pinned *p = arg;

	sched_getaffinity(0, sizeof(p->before), &p->before);
	atomic_store(&p->up, true);
	while (!atomic_load(&p->end)) {
		port_relax();
	}
	sched_getaffinity(0, sizeof(p->after), &p->after);
}

/* Threads that run, and those that come later; not the client's. */
static void threads_of_the_device_run_where_they_are_told(void)
{
	uint64_t all[PORT_CPU_WORDS], one[PORT_CPU_WORDS] = { 1 }, none[PORT_CPU_WORDS] = { 0 };
	uint64_t more[PORT_CPU_WORDS], now[PORT_CPU_WORDS];
	struct pinned first = { 0 }, later = { 0 };
	struct port_thread *t;
	cpu_set_t ours, still;

	sched_getaffinity(0, sizeof(ours), &ours);
	port_threads_cpus(all);
	CHECK_OK(port_thread_create(&t, "first", look_at_cpus, &first));
	while (!atomic_load(&first.up)) {
		port_relax();
	}
	CHECK_EQ(CPU_EQUAL(&first.before, &ours), 1);
	CHECK_OK(port_threads_set_cpus(one));
	atomic_store(&first.end, true);
	port_thread_join(t);
	atomic_store(&later.end, true);
	CHECK_OK(port_thread_create(&t, "later", look_at_cpus, &later));
	port_thread_join(t);
	CHECK(CPU_COUNT(&first.after) == 1 && CPU_ISSET(0, &first.after));
	CHECK(CPU_COUNT(&later.before) == 1 && CPU_ISSET(0, &later.before));
	sched_getaffinity(0, sizeof(still), &still);
	CHECK_EQ(CPU_EQUAL(&still, &ours), 1);
	/* What there is not is left out, and without anything left nothing changes. */
	CHECK_ERR(port_threads_set_cpus(none), -EINVAL);
	port_threads_cpus(now);
	CHECK_EQ(memcmp(now, one, sizeof(now)), 0);
	memset(more, 0xff, sizeof(more));
	CHECK_OK(port_threads_set_cpus(more));
	port_threads_cpus(now);
	CHECK_EQ(memcmp(now, all, sizeof(now)), 0);
}

static void a_client_that_closes_everything(void)
{
	unsigned owned = 0;

	setup();
	install(SIGUSR1, counting_handler, 0);
	for (int fd = 3; fd < 2048; fd++) {
		if (port_owns_fd(fd)) {
			owned++;
			close(fd);
		}
	}
	CHECK(owned >= 2);
	port_client_enter();
	CHECK_OK(sleep_for(2 * MS)); /* notices, returns early once */
	CHECK_ERR(sleep_for(2 * MS), -ETIMEDOUT);
	pthread_kill(pthread_self(), SIGUSR1);
	CHECK_ERR(sleep_for(PORT_FOREVER), -EINTR);
	port_client_exit();
	CHECK_EQ(atomic_load(&handler_ran), 1);
	CHECK(!port_owns_fd(-1));
	signal(SIGUSR1, SIG_DFL);
}

static void wait_for_go(void *arg)
{
	for (;;) {
		uint32_t seq = port_wq_prepare(&wq);

		if (atomic_load(&release)) {
			return;
		}
		port_wq_wait(&wq, seq, PORT_FOREVER, 0);
	}
}

static void a_child_goes_on_alone(void)
{
	struct port_thread *t;
	int status;
	pid_t pid;

	setup();
	atomic_store(&release, false);
	CHECK_OK(port_thread_create(&t, "parent's", wait_for_go, NULL));
	port_before_fork();
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		unsigned id = port_thread_id();

		port_after_fork_child();
		alarm(20);
		CHECK_EQ(port_thread_id(), id);
		port_thread_join(t); /* not here: only forgotten */
		install(SIGUSR1, counting_handler, 0);
		port_client_enter();
		CHECK_ERR(sleep_for(MS), -ETIMEDOUT);
		pthread_kill(pthread_self(), SIGUSR1);
		CHECK_ERR(sleep_for(PORT_FOREVER), -EINTR);
		port_client_exit();
		CHECK_EQ(atomic_load(&handler_ran), 1);
		_exit(0);
	}
	port_after_fork_parent();
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
	atomic_store(&release, true);
	port_wq_wake(&wq);
	port_thread_join(t);
}

static void *foreign_thread(void *arg)
{
	*(unsigned *)arg = port_thread_id();
	return NULL;
}

static void ids_of_ended_threads_come_again(void)
{
	unsigned first = 0, id;

	for (int i = 0; i < 20; i++) {
		pthread_t thread;

		CHECK(pthread_create(&thread, NULL, foreign_thread, &id) == 0);
		pthread_join(thread, NULL);
		CHECK(id && id != port_thread_id());
		first = i ? first : id;
		CHECK_EQ(id, first);
	}
}

static const struct test_case cases[] = {
	TEST(a_signal_ends_a_sleep_in_a_call),
	TEST(a_signal_ends_a_sleep_outside_a_call),
	TEST(a_signal_before_the_sleep_is_not_lost),
	TEST(what_the_client_blocks_or_ignores_waits),
	TEST(plain_sleeps_are_not_interrupted),
	TEST(calls_nest),
	TEST(a_handler_may_call_in),
	TEST(a_handler_may_leave),
	TEST(wakes_reach_sleeps_in_calls),
	TEST(a_wake_at_every_moment),
	TEST(no_wake_is_lost_among_signals),
	TEST(waiting_for_a_lock_can_be_interrupted),
	TEST(threads_of_the_device_take_no_signals),
	TEST(threads_of_the_device_run_where_they_are_told),
	TEST(a_client_that_closes_everything),
	TEST(a_child_goes_on_alone),
	TEST(ids_of_ended_threads_come_again),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
