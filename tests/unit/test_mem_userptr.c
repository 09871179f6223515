// SPDX-License-Identifier: MIT
/* Client memory: windows, invalidation, pinning again, and all of it at once. */
#include "mem/mem.h"
#include "test.h"

#include <sys/mman.h>

struct rig {
	struct event_stream events;
	struct mem mem;
	uint8_t *client; /* CLIENT_B of memory that is mapped */
};

#define CLIENT_B (4 * SZ_2M)

/* What the owner of a window notices. */
struct owner {
	struct userptr window;
	atomic_uint calls, inside;
	atomic_bool hold; /* quiesce() stays inside while this is set */
	bool ends;        /* quiesce() ends the window */
	atomic_bool released;
};

static void owner_quiesce(struct userptr *userptr)
{
	struct owner *owner = container_of(userptr, struct owner, window);

	atomic_fetch_add(&owner->inside, 1);
	atomic_fetch_add(&owner->calls, 1);
	while (atomic_load(&owner->hold)) {
		port_relax();
	}
	if (owner->ends) {
		userptr_fini(userptr);
	}
	port_relax();
	atomic_fetch_sub(&owner->inside, 1);
}

static void owner_zap(struct userptr *userptr)
{
	/* Nothing translates to it any more, and its generation has yet to move. */
	CHECK(!atomic_load(&userptr->valid));
	port_relax();
}

static void owner_release(struct userptr *userptr)
{
	struct owner *owner = container_of(userptr, struct owner, window);

	CHECK_EQ(atomic_load(&owner->inside), 0);
	CHECK(!atomic_exchange(&owner->released, true));
}

static const struct userptr_ops owner_ops = {
	.quiesce = owner_quiesce, .zap = owner_zap, .release = owner_release,
};

/* And waits until nobody else is at it. */
static void owner_end(struct owner *owner)
{
	userptr_fini(&owner->window);
	while (!atomic_load(&owner->released)) {
		port_relax();
	}
}

static void begin(struct rig *rig)
{
	struct mem_config config = { .system_B = 4 << 20 };

	event_stream_init(&rig->events);
	CHECK_OK(mem_init(&rig->mem, &config, &rig->events, NULL));
	rig->client = mmap(NULL, CLIENT_B, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			   0);
	CHECK(rig->client != MAP_FAILED);
}

static void end(struct rig *rig)
{
	CHECK(munmap(rig->client, CLIENT_B) == 0);
	mem_fini(&rig->mem);
	event_stream_fini(&rig->events);
}

static uint64_t client(const struct rig *rig, uint64_t off_B)
{
	return (uintptr_t)rig->client + off_B;
}

static int window(struct rig *rig, struct owner *owner, uint64_t off_B, uint64_t size_B)
{
	memset(owner, 0, sizeof(*owner));
	return userptr_init(&owner->window, &rig->mem, client(rig, off_B), size_B, true,
			    &owner_ops);
}

static int find(struct rig *rig, uint64_t phys, struct gpu_page *page_out)
{
	return mem_gpu_ops.page(&rig->mem, phys, false, page_out);
}

static void gone(struct rig *rig, uint64_t off_B, uint64_t size_B)
{
	struct mem_client_range range;

	mem_client_range_begin(&rig->mem, &range, client(rig, off_B), size_B);
	mem_client_range_end(&rig->mem, &range);
}

/* ---- windows -------------------------------------------------------------------------------- */

static void bad_windows_are_refused(void)
{
	struct owner o;
	struct rig rig;

	begin(&rig);
	CHECK_ERR(window(&rig, &o, 0, 0), -EINVAL);
	CHECK_ERR(window(&rig, &o, 1, SZ_4K), -EINVAL);
	CHECK_ERR(window(&rig, &o, 0, SZ_4K + 1), -EINVAL);
	CHECK(atomic_exchange(&o.released, false));
	CHECK_ERR(userptr_init(&o.window, &rig.mem, UINT64_MAX - SZ_4K + 1, 2 * SZ_4K, false,
			       &owner_ops),
		  -EINVAL);
	end(&rig);
}

static void memory_that_is_not_there_faults(void)
{
	struct owner o;
	struct rig rig;

	begin(&rig);
	CHECK(munmap(rig.client + 3 * SZ_4K, SZ_4K) == 0);
	CHECK_ERR(window(&rig, &o, 0, 5 * SZ_4K), -EFAULT);
	CHECK_OK(window(&rig, &o, 0, 3 * SZ_4K));
	owner_end(&o);
	CHECK_EQ(atomic_load(&o.calls), 0);
	end(&rig);
}

static void a_window_is_found_by_its_addresses(void)
{
	struct gpu_page page;
	struct backing backing;
	struct owner o;
	struct rig rig;

	begin(&rig);
	CHECK_OK(window(&rig, &o, 0x5000, 0x7000));
	CHECK(o.window.phys >= USERPTR_PHYS_BASE);
	CHECK_EQ(o.window.phys % SZ_2M, client(&rig, 0x5000) % SZ_2M);
	backing = userptr_backing(&o.window);
	CHECK(backing.count == 1 && !backing.device);
	CHECK_EQ(backing.extents[0].phys, o.window.phys);
	CHECK_EQ(backing.extents[0].size_B, 0x7000);
	CHECK_OK(find(&rig, o.window.phys + 0x6fff, &page));
	CHECK_EQ(page.phys, o.window.phys);
	CHECK_EQ(page.size_B, 0x7000);
	CHECK(page.guarded && (uintptr_t)page.host == client(&rig, 0x5000));
	CHECK_EQ(atomic_load(page.gen_cell), page.gen);
	CHECK_ERR(find(&rig, o.window.phys - 1, &page), -EFAULT);
	CHECK_ERR(find(&rig, o.window.phys + 0x7000, &page), -EFAULT);
	owner_end(&o);
	end(&rig);
}

static void windows_are_never_neighbours(void)
{
	struct owner o[20];
	struct rig rig;

	begin(&rig);
	for (unsigned i = 0; i < 20; i++) {
		CHECK_OK(window(&rig, &o[i], i * SZ_4K, i % 3 ? SZ_2M : 3 * SZ_4K));
		CHECK_EQ(o[i].window.phys % SZ_2M, client(&rig, i * SZ_4K) % SZ_2M);
		if (i) {
			CHECK(o[i].window.phys > o[i - 1].window.phys + o[i - 1].window.size_B);
		}
	}
	for (unsigned i = 0; i < 20; i++) {
		struct gpu_page page;

		CHECK_OK(find(&rig, o[(i * 7) % 20].window.phys, &page));
		CHECK_EQ((uintptr_t)page.host, client(&rig, (i * 7) % 20 * SZ_4K));
	}
	for (unsigned i = 0; i < 20; i++) {
		owner_end(&o[i]);
	}
	end(&rig);
}

static void addresses_run_out_without_harm(void)
{
	struct owner o;
	struct rig rig;

	begin(&rig);
	rig.mem.userptr_next_phys = USERPTR_PHYS_END - SZ_4K;
	CHECK_ERR(window(&rig, &o, 0, SZ_4K), -ENOMEM);
	rig.mem.userptr_next_phys = USERPTR_PHYS_BASE;
	CHECK_OK(window(&rig, &o, 0, SZ_4K));
	owner_end(&o);
	end(&rig);
}

/* ---- invalidation --------------------------------------------------------------------------- */

static void invalidation_moves_the_generation(void)
{
	struct gpu_page page, again;
	struct owner o;
	struct rig rig;

	begin(&rig);
	CHECK_OK(window(&rig, &o, 0, 4 * SZ_4K));
	CHECK_OK(find(&rig, o.window.phys, &page));
	gone(&rig, SZ_4K, SZ_4K);
	CHECK_EQ(atomic_load(&o.calls), 1);
	CHECK(!atomic_load(&o.window.valid));
	CHECK(atomic_load(page.gen_cell) != page.gen);
	CHECK_ERR(find(&rig, o.window.phys, &again), -EFAULT);
	gone(&rig, SZ_4K, SZ_4K);
	CHECK_EQ(atomic_load(&o.calls), 1); /* nobody uses it any more */
	CHECK_OK(userptr_repin(&o.window, true));
	CHECK(atomic_load(&o.window.valid));
	CHECK_OK(find(&rig, o.window.phys, &again));
	CHECK(again.gen != page.gen && atomic_load(again.gen_cell) == again.gen);
	CHECK_OK(userptr_repin(&o.window, true));
	CHECK_EQ(atomic_load(again.gen_cell), again.gen);
	gone(&rig, 0, CLIENT_B);
	CHECK_EQ(atomic_load(&o.calls), 2);
	owner_end(&o);
	end(&rig);
}

static void repinning_needs_the_memory(void)
{
	struct gpu_page page;
	struct owner o;
	struct rig rig;

	begin(&rig);
	CHECK_OK(window(&rig, &o, 0, 4 * SZ_4K));
	gone(&rig, SZ_4K, SZ_4K);
	CHECK(munmap(rig.client + SZ_4K, SZ_4K) == 0);
	CHECK_ERR(find(&rig, o.window.phys, &page), -EFAULT);
	CHECK_ERR(userptr_repin(&o.window, true), -EFAULT);
	CHECK_ERR(find(&rig, o.window.phys, &page), -ENXIO); /* nobody's mistake but the client's */
	CHECK(mmap(rig.client + SZ_4K, SZ_4K, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
	CHECK_OK(userptr_repin(&o.window, true));
	CHECK_OK(find(&rig, o.window.phys, &page));
	owner_end(&o);
	end(&rig);
}

static void only_what_overlaps_is_invalidated(void)
{
	struct mem_client_range range;
	struct owner o[4];
	struct rig rig;

	begin(&rig);
	for (unsigned i = 0; i < 4; i++) {
		CHECK_OK(window(&rig, &o[i], i * 2 * SZ_4K, 2 * SZ_4K));
	}
	gone(&rig, 2 * SZ_4K, 0);
	gone(&rig, 8 * SZ_4K, SZ_4K);
	CHECK_EQ(atomic_load(&o[3].calls), 0);
	gone(&rig, 3 * SZ_4K, 1); /* a byte is a page */
	CHECK_EQ(atomic_load(&o[0].calls), 0);
	CHECK_EQ(atomic_load(&o[1].calls), 1);
	CHECK_EQ(atomic_load(&o[2].calls), 0);
	CHECK_OK(userptr_repin(&o[1].window, true));
	gone(&rig, 3 * SZ_4K, 2 * SZ_4K);
	CHECK_EQ(atomic_load(&o[1].calls), 2);
	CHECK_EQ(atomic_load(&o[2].calls), 1);
	mem_client_range_begin(&rig.mem, &range, 0, UINT64_MAX);
	mem_client_range_end(&rig.mem, &range);
	mem_client_range_begin(&rig.mem, &range, UINT64_MAX - 5, UINT64_MAX);
	mem_client_range_end(&rig.mem, &range);
	CHECK_EQ(atomic_load(&o[0].calls), 1);
	CHECK_EQ(atomic_load(&o[3].calls), 1);
	for (unsigned i = 0; i < 4; i++) {
		owner_end(&o[i]);
	}
	end(&rig);
}

/* A translation may outlive its window; its generation can still be asked for. */
static void what_was_kept_of_a_window_is_stale(void)
{
	struct gpu_page page[8];
	struct owner o;
	struct rig rig;

	begin(&rig);
	for (unsigned i = 0; i < 8; i++) {
		CHECK_OK(window(&rig, &o, 0, SZ_4K));
		CHECK_OK(find(&rig, o.window.phys, &page[i]));
		owner_end(&o);
		memset(&o, 0xee, sizeof(o));
		for (unsigned j = 0; j <= i; j++) {
			CHECK(atomic_load(page[j].gen_cell) != page[j].gen);
		}
	}
	CHECK_EQ(rig.mem.userptr_cells, 1);
	end(&rig);
}

/* ---- at the same time ----------------------------------------------------------------------- */

struct gone_call {
	struct rig *rig;
	uint64_t off_B, size_B;
	atomic_bool done;
};

static void gone_thread(void *arg)
{
	struct gone_call *call = arg;

	gone(call->rig, call->off_B, call->size_B);
	atomic_store(&call->done, true);
}

static void wait_inside(struct owner *o)
{
	while (!atomic_load(&o->inside)) {
		port_relax();
	}
}

/* What is left of it is let go by who takes the memory away. */
static void the_end_does_not_wait_for_an_invalidation(void)
{
	struct port_thread *invalidator;
	struct gone_call call;
	struct owner o;
	struct rig rig;

	begin(&rig);
	CHECK_OK(window(&rig, &o, 0, SZ_4K));
	atomic_store(&o.hold, true);
	call = (struct gone_call){ .rig = &rig, .size_B = SZ_4K };
	CHECK_OK(port_thread_create(&invalidator, "invalidator", gone_thread, &call));
	wait_inside(&o);
	userptr_fini(&o.window);
	for (unsigned i = 0; i < 1000; i++) {
		port_relax();
		CHECK(!atomic_load(&o.released) && !atomic_load(&call.done));
	}
	atomic_store(&o.hold, false);
	port_thread_join(invalidator);
	CHECK(atomic_load(&o.released));
	CHECK_EQ(atomic_load(&o.calls), 1);
	end(&rig);
}

/* Whoever waits for its users may come upon the cleanup that ends it. */
static void it_may_be_ended_by_who_invalidates_it(void)
{
	struct owner o;
	struct rig rig;

	begin(&rig);
	CHECK_OK(window(&rig, &o, 0, SZ_4K));
	o.ends = true;
	gone(&rig, 0, SZ_4K);
	CHECK(atomic_load(&o.released));
	end(&rig);
}

static void a_second_unmap_waits_for_the_first(void)
{
	struct port_thread *first, *second;
	struct gone_call call[2];
	struct owner o;
	struct rig rig;

	begin(&rig);
	CHECK_OK(window(&rig, &o, 0, 2 * SZ_4K));
	atomic_store(&o.hold, true);
	call[0] = (struct gone_call){ .rig = &rig, .size_B = SZ_4K };
	call[1] = (struct gone_call){ .rig = &rig, .off_B = SZ_4K, .size_B = SZ_4K };
	CHECK_OK(port_thread_create(&first, "first", gone_thread, &call[0]));
	wait_inside(&o);
	CHECK_OK(port_thread_create(&second, "second", gone_thread, &call[1]));
	for (unsigned i = 0; i < 1000; i++) {
		port_relax();
		CHECK(!atomic_load(&call[1].done));
	}
	/* Elsewhere nothing has to be waited for. */
	gone(&rig, 2 * SZ_4K, SZ_4K);
	atomic_store(&o.hold, false);
	port_thread_join(first);
	port_thread_join(second);
	CHECK_EQ(atomic_load(&o.calls), 1);
	owner_end(&o);
	end(&rig);
}

#define RACE_OWNERS 3u

struct race {
	struct rig rig;
	atomic_bool stop;
};

/* Each owner makes, pins again and ends windows on the same memory. */
static void owner_thread(void *arg)
{
	struct race *race = arg;
	unsigned rounds = test_is_sim() ? 8 : test_scale(2000);

	for (unsigned i = 0; i < rounds; i++) {
		struct gpu_page page;
		struct owner o;

		CHECK_OK(window(&race->rig, &o, i % 3 * SZ_4K, (i % 4 + 1) * SZ_4K));
		for (unsigned j = 0; j < 3; j++) {
			if (!find(&race->rig, o.window.phys + SZ_4K - 1, &page)) {
				CHECK((uintptr_t)page.host == o.window.addr);
			}
			CHECK_OK(userptr_repin(&o.window, true));
		}
		owner_end(&o);
		CHECK_EQ(atomic_load(&o.inside), 0);
		/* Nobody comes back to it. */
		memset(&o, 0xdd, sizeof(o));
		port_relax();
		CHECK_EQ(((uint8_t *)&o)[sizeof(o) / 2], 0xdd);
	}
}

static void unmapper_thread(void *arg)
{
	struct race *race = arg;
	unsigned i = 0;

	while (!atomic_load(&race->stop)) {
		gone(&race->rig, i++ % 5 * SZ_4K, 2 * SZ_4K);
		port_relax();
	}
}

static void race_seed(uint64_t seed)
{
	struct port_thread *owner[RACE_OWNERS], *unmapper[2];
	struct race race = { 0 };

	begin(&race.rig);
	for (unsigned i = 0; i < RACE_OWNERS; i++) {
		CHECK_OK(port_thread_create(&owner[i], "owner", owner_thread, &race));
	}
	for (unsigned i = 0; i < 2; i++) {
		CHECK_OK(port_thread_create(&unmapper[i], "unmapper", unmapper_thread, &race));
	}
	for (unsigned i = 0; i < RACE_OWNERS; i++) {
		port_thread_join(owner[i]);
	}
	atomic_store(&race.stop, true);
	for (unsigned i = 0; i < 2; i++) {
		port_thread_join(unmapper[i]);
	}
	CHECK(race.rig.mem.userptr_cells <= RACE_OWNERS);
	end(&race.rig);
}

static void windows_come_and_go_while_memory_does(void)
{
	test_seeds(race_seed, 1, test_is_sim() ? test_scale(200) : 2);
}

/*
 * Memory that goes while it is pinned: whatever order things happen in, a window that is valid when
 * the unmapping thread is through was pinned after it began.
 */
struct pin_race {
	struct rig rig;
	struct owner owner;
};

static void pin_thread(void *arg)
{
	struct pin_race *race = arg;

	CHECK_OK(userptr_repin(&race->owner.window, true));
}

static void pin_race_seed(uint64_t seed)
{
	struct port_thread *pinner;
	struct pin_race race;
	struct gpu_page page;
	unsigned gen;

	begin(&race.rig);
	CHECK_OK(window(&race.rig, &race.owner, 0, SZ_4K));
	gone(&race.rig, 0, SZ_4K);
	gen = atomic_load(&race.owner.window.cell->gen);
	CHECK_OK(port_thread_create(&pinner, "pinner", pin_thread, &race));
	gone(&race.rig, 0, SZ_4K);
	CHECK(atomic_load(&race.owner.window.cell->gen) != gen);
	port_thread_join(pinner);
	if (!find(&race.rig, race.owner.window.phys, &page)) {
		CHECK(page.gen != gen);
	} else {
		CHECK_EQ(atomic_load(&race.owner.calls), 2);
	}
	owner_end(&race.owner);
	end(&race.rig);
}

static void memory_goes_while_it_is_pinned(void)
{
	test_seeds(pin_race_seed, 1, test_scale(200));
}

static void doomed_pin_thread(void *arg)
{
	struct pin_race *race = arg;
	int ret = userptr_repin(&race->owner.window, true);

	CHECK(ret == 0 || ret == -EFAULT);
}

/* Memory that is gone before its window hears of it: no pin may rest on having seen it before. */
static void doomed_pin_seed(uint64_t seed)
{
	struct port_thread *pinner;
	struct pin_race race;

	begin(&race.rig);
	CHECK_OK(window(&race.rig, &race.owner, 0, SZ_4K));
	gone(&race.rig, 0, SZ_4K);
	CHECK_OK(port_thread_create(&pinner, "pinner", doomed_pin_thread, &race));
	port_relax();
	CHECK(munmap(race.rig.client, SZ_4K) == 0);
	gone(&race.rig, 0, SZ_4K);
	CHECK(!atomic_load(&race.owner.window.valid));
	port_thread_join(pinner);
	CHECK(!atomic_load(&race.owner.window.valid));
	owner_end(&race.owner);
	end(&race.rig);
}

static void a_pin_does_not_rest_on_memory_that_has_gone(void)
{
	test_seeds(doomed_pin_seed, 1, test_scale(400));
}

/* ---- failures ------------------------------------------------------------------------------- */

static void sweep_body(void *arg)
{
	struct rig *rig = arg;
	struct owner o;
	int ret = window(rig, &o, SZ_4K, 3 * SZ_4K);

	if (ret) {
		CHECK(test_injected());
		CHECK_ERR(ret, -EFAULT);
		CHECK(list_empty(&rig->mem.userptrs));
		test_injection_off();
		CHECK_OK(window(rig, &o, SZ_4K, 3 * SZ_4K));
	}
	gone(rig, 0, CLIENT_B);
	ret = userptr_repin(&o.window, true);
	if (ret) {
		CHECK(test_injected());
		CHECK_ERR(ret, -EFAULT);
		CHECK(!atomic_load(&o.window.valid));
		test_injection_off();
		CHECK_OK(userptr_repin(&o.window, true));
	}
	CHECK(atomic_load(&o.window.valid));
	owner_end(&o);
}

static void every_pin_can_fail(void)
{
	struct rig rig;

	begin(&rig);
	CHECK(test_sweep(PORT_FAULT_USER_COPY, sweep_body, &rig) >= 6);
	CHECK_EQ(test_sweep(PORT_FAULT_ALLOC, sweep_body, &rig), 3); /* allocates nothing */
	end(&rig);
}

/* ---- a host that watches -------------------------------------------------------------------- */

struct host {
	const struct rig *rig;
	unsigned windows, arms;
	bool full;
};

static bool host_watch(void *ctx, uint64_t addr, uint64_t size_B)
{
	struct host *host = ctx;

	CHECK(addr == client(host->rig, SZ_4K) && size_B == 2 * SZ_4K);
	host->windows += !host->full;
	return !host->full;
}

static void host_arm(void *ctx, uint64_t addr, uint64_t size_B)
{
	struct host *host = ctx;

	CHECK(addr == client(host->rig, SZ_4K) && size_B == 2 * SZ_4K && host->windows);
	host->arms++;
}

static void host_unwatch(void *ctx, uint64_t addr, uint64_t size_B)
{
	struct host *host = ctx;

	CHECK(addr == client(host->rig, SZ_4K) && size_B == 2 * SZ_4K && host->windows);
	host->windows--;
}

static const struct mem_watch_ops watch_ops = {
	.watch = host_watch,
	.arm = host_arm,
	.unwatch = host_unwatch,
};

static void test_B08_a_window_is_armed_before_each_pin(void)
{
	struct host host;
	struct owner o;
	struct rig rig;

	begin(&rig);
	host = (struct host){ .rig = &rig };
	rig.mem.watch = &watch_ops;
	rig.mem.watch_ctx = &host;
	CHECK_OK(window(&rig, &o, SZ_4K, 2 * SZ_4K));
	CHECK_EQ(host.windows, 1);
	CHECK_EQ(host.arms, 1);
	CHECK_OK(userptr_repin(&o.window, true)); /* it is */
	CHECK_EQ(host.arms, 1);
	gone(&rig, 2 * SZ_4K, SZ_4K);
	CHECK_OK(userptr_repin(&o.window, true));
	CHECK_EQ(host.arms, 2);
	owner_end(&o);
	CHECK_EQ(host.windows, 0);

	/* One that the host cannot watch is a window all the same. */
	host = (struct host){ .rig = &rig, .full = true };
	CHECK_OK(window(&rig, &o, SZ_4K, 2 * SZ_4K));
	owner_end(&o);
	CHECK_EQ(host.arms, 0);

	/* And one that cannot be had is watched no longer. */
	host = (struct host){ .rig = &rig };
	CHECK(munmap(rig.client + 2 * SZ_4K, SZ_4K) == 0);
	CHECK_ERR(window(&rig, &o, SZ_4K, 2 * SZ_4K), -EFAULT);
	CHECK_EQ(host.windows, 0);
	CHECK_EQ(host.arms, 1);
	end(&rig);
}

static const struct test_case cases[] = {
	TEST(bad_windows_are_refused),
	TEST(memory_that_is_not_there_faults),
	TEST(a_window_is_found_by_its_addresses),
	TEST(windows_are_never_neighbours),
	TEST(addresses_run_out_without_harm),
	TEST(invalidation_moves_the_generation),
	TEST(repinning_needs_the_memory),
	TEST(only_what_overlaps_is_invalidated),
	TEST(what_was_kept_of_a_window_is_stale),
	TEST(the_end_does_not_wait_for_an_invalidation),
	TEST(it_may_be_ended_by_who_invalidates_it),
	TEST(a_second_unmap_waits_for_the_first),
	TEST(windows_come_and_go_while_memory_does),
	TEST(memory_goes_while_it_is_pinned),
	TEST(a_pin_does_not_rest_on_memory_that_has_gone),
	TEST(every_pin_can_fail),
	TEST(test_B08_a_window_is_armed_before_each_pin),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
