// SPDX-License-Identifier: MIT
/* Locks, event counts and threads: what holds on both hosts. */
#include "test.h"

#define MS 1000000ull

static struct port_lock_class leaf_class = { .name = "test.leaf", .rank = RANK_LEAF };
static struct port_lock_class vm_class = { .name = "test.vm", .rank = RANK_VM };

static void start(struct port_thread **out, void (*fn)(void *arg), void *arg)
{
	CHECK_OK(port_thread_create(out, "worker", fn, arg));
}

/* ---- mutual exclusion ------------------------------------------------------------------------ */

struct shared {
	struct port_mutex mutex;
	struct port_rwlock rwlock;
	uint64_t a, b; /* equal whenever the lock is free */
	unsigned rounds;
	unsigned id[4];
};

static void shared_init(struct shared *s, unsigned rounds)
{
	memset(s, 0, sizeof(*s));
	port_mutex_init(&s->mutex, &leaf_class);
	port_rwlock_init(&s->rwlock, &vm_class);
	s->rounds = rounds;
}

static void shared_fini(struct shared *s)
{
	port_mutex_fini(&s->mutex);
	port_rwlock_fini(&s->rwlock);
}

static void mutex_worker(void *arg)
{
	struct shared *s = arg;

	for (unsigned i = 0; i < s->rounds; i++) {
		if (i % 3) {
			port_mutex_lock(&s->mutex);
		} else {
			while (!port_mutex_trylock(&s->mutex)) {
				port_relax();
			}
		}
		port_mutex_assert_held(&s->mutex);
		CHECK_EQ(s->a, s->b);
		s->a++;
		port_relax();
		s->b++;
		port_mutex_unlock(&s->mutex);
	}
}

static void mutex_excludes(void)
{
	struct port_thread *t[4];
	struct shared s;

	shared_init(&s, test_scale(2000));
	for (int i = 0; i < 4; i++) {
		start(&t[i], mutex_worker, &s);
	}
	for (int i = 0; i < 4; i++) {
		port_thread_join(t[i]);
	}
	CHECK_EQ(s.a, 4ull * s.rounds);
	CHECK_EQ(s.b, s.a);
	CHECK(port_mutex_trylock(&s.mutex));
	port_mutex_unlock(&s.mutex);
	shared_fini(&s);
}

static void rw_worker(void *arg)
{
	struct shared *s = arg;

	for (unsigned i = 0; i < s->rounds; i++) {
		if (i % 4 == 0) {
			if (i % 8) {
				port_rwlock_wrlock(&s->rwlock);
			} else {
				CHECK_OK(port_rwlock_wrlock_interruptible(&s->rwlock));
			}
			port_rwlock_assert_write(&s->rwlock);
			s->a++;
			port_relax();
			s->b++;
			port_rwlock_wrunlock(&s->rwlock);
		} else {
			if (i % 8 == 1) {
				CHECK_OK(port_rwlock_rdlock_interruptible(&s->rwlock));
			} else {
				port_rwlock_rdlock(&s->rwlock);
			}
			port_rwlock_assert_held(&s->rwlock);
			CHECK_EQ(s->a, s->b);
			port_relax();
			CHECK_EQ(s->a, s->b);
			port_rwlock_rdunlock(&s->rwlock);
		}
	}
}

static void rwlock_excludes(void)
{
	struct port_thread *t[4];
	struct shared s;

	shared_init(&s, test_scale(2000) / 4 * 4);
	for (int i = 0; i < 4; i++) {
		start(&t[i], rw_worker, &s);
	}
	for (int i = 0; i < 4; i++) {
		port_thread_join(t[i]);
	}
	CHECK_EQ(s.a, s.rounds);
	shared_fini(&s);
}

static void read_twice(void *arg)
{
	struct shared *s = arg;

	port_rwlock_rdlock(&s->rwlock);
	s->a = 1;
	port_rwlock_rdunlock(&s->rwlock);
}

static void readers_share(void)
{
	struct port_thread *t;
	struct shared s;

	shared_init(&s, 0);
	port_rwlock_rdlock(&s.rwlock);
	start(&t, read_twice, &s);
	port_rwlock_rdunlock(&s.rwlock);
	port_thread_join(t);
	CHECK_EQ(s.a, 1);
	shared_fini(&s);
}

/* ---- event counts ---------------------------------------------------------------------------- */

struct ping {
	struct port_wq wq[2];
	atomic_uint turn;
	unsigned rounds;
	unsigned flags;
};

static void ping_side(struct ping *p, unsigned me)
{
	for (unsigned i = 0; i < p->rounds; i++) {
		for (;;) {
			uint32_t seq = port_wq_prepare(&p->wq[me]);

			if (atomic_load(&p->turn) % 2 == me) {
				break;
			}
			/* A lost wake would hang: nothing else ends this sleep. */
			CHECK_OK(port_wq_wait(&p->wq[me], seq, PORT_FOREVER, p->flags));
		}
		atomic_fetch_add(&p->turn, 1);
		port_wq_wake(&p->wq[!me]);
	}
}

static void ping_other(void *arg)
{
	ping_side(arg, 1);
}

static void no_wake_is_lost_with(unsigned flags)
{
	struct ping p = { .rounds = test_scale(5000), .flags = flags };
	struct port_thread *t;

	port_wq_init(&p.wq[0]);
	port_wq_init(&p.wq[1]);
	start(&t, ping_other, &p);
	ping_side(&p, 0);
	port_thread_join(t);
	CHECK_EQ(atomic_load(&p.turn), 2 * p.rounds);
	CHECK_EQ(atomic_load(&p.wq[0].waiters), 0);
	CHECK_EQ(atomic_load(&p.wq[1].waiters), 0);
}

static void no_wake_is_lost(void)
{
	no_wake_is_lost_with(0);
	no_wake_is_lost_with(PORT_WAIT_INTERRUPTIBLE);
}

struct crowd {
	struct port_wq wq;
	atomic_bool go;
	atomic_uint through;
};

static void crowd_member(void *arg)
{
	struct crowd *c = arg;

	for (;;) {
		uint32_t seq = port_wq_prepare(&c->wq);

		if (atomic_load(&c->go)) {
			break;
		}
		CHECK_OK(port_wq_wait(&c->wq, seq, PORT_FOREVER, 0));
	}
	atomic_fetch_add(&c->through, 1);
}

static void one_wake_is_for_all(void)
{
	struct port_thread *t[8];
	struct crowd c;

	port_wq_init(&c.wq);
	atomic_init(&c.go, false);
	atomic_init(&c.through, 0);
	for (int i = 0; i < 8; i++) {
		start(&t[i], crowd_member, &c);
	}
	while (atomic_load(&c.wq.waiters) < 5) {
		port_relax();
	}
	CHECK_EQ(atomic_load(&c.through), 0);
	atomic_store(&c.go, true);
	port_wq_wake(&c.wq);
	for (int i = 0; i < 8; i++) {
		port_thread_join(t[i]);
	}
	CHECK_EQ(atomic_load(&c.through), 8);
}

static void a_sleep_ends_at_its_deadline(void)
{
	struct port_wq wq;
	uint64_t before = port_now_ns();
	uint32_t seq;
	int ret;

	port_wq_init(&wq);
	seq = port_wq_prepare(&wq);
	CHECK_ERR(port_wq_wait(&wq, seq, 0, 0), -ETIMEDOUT);
	CHECK_ERR(port_wq_wait(&wq, seq, before, PORT_WAIT_INTERRUPTIBLE), -ETIMEDOUT);
	do {
		ret = port_wq_wait(&wq, seq, before + 5 * MS, 0);
	} while (ret == 0);
	CHECK_ERR(ret, -ETIMEDOUT);
	CHECK(port_now_ns() >= before + 5 * MS);

	port_wq_wake(&wq);
	CHECK_OK(port_wq_wait(&wq, seq, PORT_FOREVER, 0)); /* the count has moved */
}

/* ---- failures on demand ---------------------------------------------------------------------- */

static void injected_interrupts(void)
{
	struct shared s;
	struct port_wq wq;

	shared_init(&s, 0);
	port_wq_init(&wq);
	port_fault_set(PORT_FAULT_SLEEP, 2, true);
	CHECK_OK(port_rwlock_wrlock_interruptible(&s.rwlock));
	port_rwlock_wrunlock(&s.rwlock);
	CHECK_ERR(port_rwlock_wrlock_interruptible(&s.rwlock), -EINTR);
	CHECK_ERR(port_rwlock_rdlock_interruptible(&s.rwlock), -EINTR);
	CHECK_ERR(port_wq_wait(&wq, port_wq_prepare(&wq), PORT_FOREVER, PORT_WAIT_INTERRUPTIBLE),
		  -EINTR);
	CHECK_EQ(port_fault_count(PORT_FAULT_SLEEP), 4);
	/* What cannot be interrupted is no occurrence. */
	CHECK_ERR(port_wq_wait(&wq, port_wq_prepare(&wq), 0, 0), -ETIMEDOUT);
	CHECK_EQ(port_fault_count(PORT_FAULT_SLEEP), 4);
	port_fault_set(PORT_FAULT_SLEEP, 0, false);
	CHECK_OK(port_rwlock_wrlock_interruptible(&s.rwlock));
	port_rwlock_wrunlock(&s.rwlock);
	shared_fini(&s);
}

/* ---- threads --------------------------------------------------------------------------------- */

static void tell_id(void *arg)
{
	unsigned *id = arg;

	*id = port_thread_id();
	CHECK_EQ(port_thread_id(), *id);
}

static void ids_are_unique_among_the_living(void)
{
	struct port_thread *t[4];
	unsigned id[5] = { 0 };

	for (int i = 0; i < 4; i++) {
		start(&t[i], tell_id, &id[i]);
	}
	tell_id(&id[4]);
	for (int i = 0; i < 4; i++) {
		port_thread_join(t[i]);
	}
	for (int i = 0; i < 5; i++) {
		CHECK(id[i]);
		for (int j = 0; j < i; j++) {
			CHECK(id[i] != id[j]);
		}
	}
}

static void a_thread_that_cannot_start(void)
{
	struct port_thread *t = (void *)1;
	unsigned id = 0;

	port_fault_set(PORT_FAULT_THREAD, 1, false);
	CHECK_ERR(port_thread_create(&t, "refused", tell_id, &id), -EAGAIN);
	CHECK_EQ(t, NULL);
	port_fault_set(PORT_FAULT_THREAD, 0, false);
	port_fault_set(PORT_FAULT_ALLOC, 1, false);
	CHECK_ERR(port_thread_create(&t, "refused", tell_id, &id), -ENOMEM);
	CHECK_EQ(t, NULL);
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	CHECK_EQ(id, 0);
}

static const struct test_case cases[] = {
	TEST(mutex_excludes),
	TEST(rwlock_excludes),
	TEST(readers_share),
	TEST(no_wake_is_lost),
	TEST(one_wake_is_for_all),
	TEST(a_sleep_ends_at_its_deadline),
	TEST(injected_interrupts),
	TEST(ids_are_unique_among_the_living),
	TEST(a_thread_that_cannot_start),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
