// SPDX-License-Identifier: MIT
/* Every rule of the lock checker, broken in a child that must abort saying so. */
#include "test.h"

static struct port_lock_class vm = { .name = "t.vm", .rank = RANK_VM };
static struct port_lock_class resv = { .name = "t.resv", .rank = RANK_RESV,
				       .flags = PORT_LOCK_NEST };
static struct port_lock_class resv2 = { .name = "t.resv2", .rank = RANK_RESV,
					.flags = PORT_LOCK_NEST };
static struct port_lock_class notifier = { .name = "t.notifier", .rank = RANK_VM_NOTIFIER };
static struct port_lock_class leaf = { .name = "t.leaf", .rank = RANK_LEAF };
static struct port_lock_class leaf2 = { .name = "t.leaf2", .rank = RANK_LEAF };
static struct port_lock_class token = { .name = "t.token", .rank = RANK_ENGINE_TOKEN };
static struct port_lock_class fence = { .name = "t.fence", .rank = RANK_FENCE };

static struct port_mutex m_vm, m_resv, m_resv_b, m_resv2, m_leaf, m_leaf2, m_token, m_fence;
static struct port_rwlock rw_notifier;
static struct port_wq wq;

static void setup(void)
{
	port_mutex_init(&m_vm, &vm);
	port_mutex_init(&m_resv, &resv);
	port_mutex_init(&m_resv_b, &resv);
	port_mutex_init(&m_resv2, &resv2);
	port_mutex_init(&m_leaf, &leaf);
	port_mutex_init(&m_leaf2, &leaf2);
	port_mutex_init(&m_token, &token);
	port_mutex_init(&m_fence, &fence);
	port_rwlock_init(&rw_notifier, &notifier);
	port_wq_init(&wq);
}

static void lock_and_unlock(struct port_mutex *a, struct port_mutex *b)
{
	port_mutex_lock(a);
	port_mutex_lock(b);
	port_mutex_unlock(a); /* in any order */
	port_mutex_unlock(b);
}

static void wrong_rank(void *arg)
{
	lock_and_unlock(&m_leaf, &m_vm);
}

static void equal_rank(void *arg)
{
	lock_and_unlock(&m_leaf, &m_leaf2);
}

static void recursion(void *arg)
{
	lock_and_unlock(&m_resv, &m_resv);
}

static void read_recursion(void *arg)
{
	port_rwlock_rdlock(&rw_notifier);
	port_rwlock_rdlock(&rw_notifier);
}

static void cycle(void *arg)
{
	port_mutex_lock(&m_vm);
	lock_and_unlock(&m_resv, &m_resv2);
	port_mutex_unlock(&m_vm);
	lock_and_unlock(&m_resv2, &m_resv);
}

/* Over a class that is no lock: whoever waits holds what another needs before it signals. */
static void cycle_over_fences(void *arg)
{
	port_mutex_lock(&m_token);
	if (port_mutex_trylock(&m_vm)) {
		port_mutex_unlock(&m_token);
		port_fence_wait_at(3, 1, PORT_HERE);
	}
	port_mutex_unlock(&m_vm);
	port_signalling_begin(3, 1);
	port_mutex_lock(&m_vm);
}

static void publish_and_pin(void *arg)
{
	port_publishing_begin(7, 1);
	port_user_populate(0, 1, false);
}

static void publish_and_wait(void *arg)
{
	port_publishing_begin(7, 1);
	port_fence_wait_at(8, 1, PORT_HERE);
}

static void ioctl_in_progress(void *arg)
{
	port_doing("ioctl", 0x45);
	lock_and_unlock(&m_leaf, &m_vm);
}

static void say_more(void *ctx)
{
	port_panic_line("more of %s\n", (const char *)ctx);
}

static void panic_that_says_more(void *arg)
{
	port_on_panic(say_more, "this");
	lock_and_unlock(&m_leaf, &m_vm);
}

static void alloc_under_notifier(void *arg)
{
	port_rwlock_rdlock(&rw_notifier);
	port_alloc(1);
}

static void alloc_while_signalling(void *arg)
{
	port_signalling_begin(7, 1);
	port_signalling_begin(7, 1);
	port_signalling_end();
	port_alloc(1);
}

static void reserve_while_signalling(void *arg)
{
	port_signalling_begin(7, 1);
	port_reserve(4096);
}

static void nothing(void *arg)
{
}

static void thread_while_signalling(void *arg)
{
	struct port_thread *t;

	port_signalling_begin(7, 1);
	port_thread_create(&t, "t", nothing, NULL);
}

static void sleep_under_leaf(void *arg)
{
	port_mutex_lock(&m_leaf);
	port_wq_wait(&wq, port_wq_prepare(&wq), 0, 0);
}

static void sleep_under_token(void *arg)
{
	port_mutex_lock(&m_token);
	port_relax();
	port_wq_wait(&wq, port_wq_prepare(&wq), 0, 0);
}

static void unlock_unheld(void *arg)
{
	port_mutex_unlock(&m_leaf);
}

static void assert_unheld(void *arg)
{
	port_mutex_assert_held(&m_leaf);
}

static void assert_write_unheld(void *arg)
{
	port_rwlock_rdlock(&rw_notifier);
	port_rwlock_assert_held(&rw_notifier);
	port_rwlock_assert_write(&rw_notifier);
}

static void assert_read_unheld(void *arg)
{
	port_rwlock_assert_held(&rw_notifier);
}

static void assert_none(void *arg)
{
	port_assert_no_locks();
	port_mutex_lock(&m_vm);
	port_assert_no_locks();
}

static void fini_held(void *arg)
{
	port_mutex_lock(&m_vm);
	port_mutex_fini(&m_vm);
}

static void fini_read(void *arg)
{
	port_rwlock_rdlock(&rw_notifier);
	port_rwlock_fini(&rw_notifier);
}

static void signalling_unbalanced(void *arg)
{
	port_signalling_end();
}

static void order_after_trylock(void *arg)
{
	port_mutex_lock(&m_fence);
	if (port_mutex_trylock(&m_vm)) { /* allowed: it cannot wait */
		port_mutex_lock(&m_leaf); /* not: below the fence that is held */
	}
}

static const struct {
	void (*fn)(void *arg);
	const char *text;
} rules[] = {
	{ wrong_rank, "lock order: taking \"t.vm\" (rank 3) while holding \"t.leaf\"" },
	{ equal_rank, "lock order: taking \"t.leaf2\"" },
	{ recursion, "lock order: \"t.resv\" is taken while this thread holds it" },
	{ read_recursion, "lock order: \"t.notifier\" is taken while this thread holds it" },
	{ cycle, "rule P6 broken: lock order: taking \"t.resv\" while holding \"t.resv2\"" },
	{ cycle, "but \"t.resv2\" has been taken at " },
	{ cycle, "with \"t.vm\" held, taken at " },
	{ cycle, "with \"t.resv\" held, taken at " },
	{ cycle, "holds 1 of \"t.resv2\" (rank 8), taken at " },
	{ cycle_over_fences, "rule R2 broken: lock order: taking \"t.vm\"" },
	{ publish_and_pin, "rule R8 broken: " },
	{ publish_and_wait, "rule R3 broken: fence 8:1 is waited for" },
	{ ioctl_in_progress, "vmbind:   during ioctl 0x45\n" },
	{ panic_that_says_more, "more of this\n" },
	{ alloc_under_notifier, "an allocation of 1 bytes while holding \"t.notifier\"" },
	{ alloc_while_signalling, "an allocation of 1 bytes inside a signalling section" },
	{ reserve_while_signalling, "inside a signalling section" },
	{ thread_while_signalling, "inside a signalling section" },
	{ sleep_under_leaf, "a sleep while holding \"t.leaf\"" },
	{ sleep_under_token, "a sleep while holding \"t.token\"" },
	{ unlock_unheld, "a \"t.leaf\" lock is released that this thread does not hold" },
	{ assert_unheld, "a \"t.leaf\" mutex is not held" },
	{ assert_write_unheld, "a \"t.notifier\" lock is not held for writing" },
	{ assert_read_unheld, "a \"t.notifier\" lock is not held" },
	{ assert_none, "that must hold no lock" },
	{ fini_held, "a \"t.vm\" mutex is destroyed while held" },
	{ fini_read, "a \"t.notifier\" lock is destroyed while held" },
	{ signalling_unbalanced, "that was not begun" },
	{ order_after_trylock, "lock order: taking \"t.leaf\"" },
};

static void broken_rules_abort(void)
{
	setup();
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		test_expect_abort(rules[i].fn, NULL, rules[i].text);
	}
	test_expect_abort(wrong_rank, NULL, "holds 1 of \"t.leaf\" (rank 16), taken at ");
}

static void kept_rules_pass(void)
{
	setup();
	port_mutex_lock(&m_vm);
	lock_and_unlock(&m_resv, &m_resv2);
	/* Many of one class: counted, not listed. */
	port_mutex_lock(&m_resv);
	port_mutex_lock(&m_resv_b);
	port_mutex_assert_held(&m_resv);
	port_mutex_assert_held(&m_resv_b);
	port_free(port_alloc(16));
	port_mutex_unlock(&m_resv);
	port_mutex_unlock(&m_resv_b);
	lock_and_unlock(&m_leaf, &m_fence);
	port_rwlock_rdlock(&rw_notifier);
	port_wq_wait(&wq, port_wq_prepare(&wq), 0, 0);
	port_rwlock_rdunlock(&rw_notifier);
	port_mutex_unlock(&m_vm);
	port_assert_no_locks();

	port_signalling_begin(7, 1);
	lock_and_unlock(&m_leaf, &m_fence);
	port_free(NULL);
	port_signalling_end();
	port_free(port_alloc(1));

	/* Out of order, but by trylock. */
	port_mutex_lock(&m_leaf);
	CHECK(port_mutex_trylock(&m_vm));
	port_mutex_unlock(&m_vm);
	port_mutex_unlock(&m_leaf);
}

static const struct test_case cases[] = {
	TEST(broken_rules_abort),
	TEST(kept_rules_pass),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
