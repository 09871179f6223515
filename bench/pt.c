// SPDX-License-Identifier: MIT
/*
 * Page tables: what pt_write() and pt_clear() cost with the lock held, beside memset() of as many
 * bytes as there are entries, in pages as many and as warm. scripts/bench runs this.
 *
 *	bench-pt [--rounds N] [--calls N] [FILTER]
 *
 * One line per measurement: NAME, median ns, NAME OF THE LIMIT, its ns, goal in ns (0: none). A
 * round reserves its jobs, runs them (this is timed) and releases them.
 */
#include "measure.h"

#include "gpu/mmu.h"
#include "mem/mem.h"
#include "pt/pt.h"

#include <stdio.h>
#include <stdlib.h>

#define VA ((uint64_t)0x123400000000)
#define JOBS 64u
#define PIECES 31u /* of 64 KiB in a table; one more keeps it */
#define ROUNDS_MAX 10001u
#define GIB_PTES ((uint64_t)1 << 18)

static unsigned rounds = 501;
static const char *filter = "";
static struct event_stream events;
static struct mem mem;
static struct pt pt;
static struct pt_pool pool[JOBS];
static struct gpu_vm hw;

/* Memory that is not there. Crooked: no two pages of 4 KiB make a larger one. */
static const struct extent crooked_extent = { .phys = 0x400001000, .size_B = 2 * SZ_1G };
static const struct extent even_extent = { .phys = 0x800000000, .size_B = 2 * SZ_1G };
static const struct backing crooked = { .extents = &crooked_extent, .count = 1 };
static const struct backing even = { .extents = &even_extent, .count = 1 };
static const struct gpu_pte_attrs rw = { .writable = true };

static void need(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "bench-pt: %s\n", what);
		exit(1);
	}
}

static void print(const char *name, double ns, const char *limit, double limit_ns, double goal_ns)
{
	printf("%s %.3f %s %.3f %.3f\n", name, ns, limit, limit_ns, goal_ns);
	fflush(stdout);
}

/* ---- jobs ------------------------------------------------------------------------------------ */

/* One kind of job; the i-th of a round is at VA + i * step_B + skip_B. */
struct kind {
	const char *name;
	const struct backing *backing;
	uint64_t skip_B, size_B, step_B;
	unsigned jobs;
	uint64_t parts;      /* what a time is divided by, beside the jobs */
	double map_goal_ns, clear_goal_ns; /* 0: not shown */
	const char *clear_name;
	bool kept; /* the tables are there before and after */
};

static uint64_t start_of(const struct kind *k, unsigned i)
{
	return VA + i * k->step_B + k->skip_B;
}

static void reserve(const struct kind *k, unsigned i, bool map)
{
	uint64_t start = start_of(k, i), end = start + k->size_B;

	need(map ? !pt_reserve_map(&pt, &pool[i], start, end, k->backing, 0, false)
		 : !pt_reserve_clear(&pt, &pool[i], start, end, false), "no memory");
}

static void run(const struct kind *k, unsigned i, bool map)
{
	uint64_t start = start_of(k, i), end = start + k->size_B;

	if (map) {
		pt_write(&pt, &pool[i], start, end, k->backing, 0, &rw);
	} else {
		pt_clear(&pt, &pool[i], start, end);
	}
}

static void release(unsigned i)
{
	pt_release(&pt, &pool[i]);
	pt_free_dirs(&pt, &pool[i]);
}

/* The mean time of one job of a round. */
static double run_round(const struct kind *k, bool map)
{
	uint64_t start;
	double ns;

	for (unsigned i = 0; i < k->jobs; i++) {
		reserve(k, i, map);
	}
	port_mutex_lock(&pt.lock);
	start = now_ns();
	for (unsigned i = 0; i < k->jobs; i++) {
		run(k, i, map);
	}
	ns = (double)(now_ns() - start) / (double)(k->jobs * k->parts);
	port_mutex_unlock(&pt.lock);
	for (unsigned i = 0; i < k->jobs; i++) {
		release(i);
	}
	return ns;
}

/* What a job writes: entries of 4 KiB, or one of 2 MiB. */
static uint64_t entry_bytes(const struct kind *k)
{
	return k->backing == &even ? 8 : k->size_B / SZ_4K * 8;
}

/* The same bytes by memset(), other ones for each job. */
static double memset_round(const struct kind *k, uint8_t *pages)
{
	static volatile int zero;
	uint64_t bytes = entry_bytes(k), start = now_ns();

	for (unsigned i = 0; i < k->jobs; i++) {
		memset(pages + i * bytes, zero, bytes);
		__asm__ volatile("" : : "r"(pages) : "memory");
	}
	return (double)(now_ns() - start) / (double)(k->jobs * k->parts);
}

static bool wanted(const struct kind *k)
{
	return (k->map_goal_ns > 0 && strstr(k->name, filter)) ||
	       (k->clear_name && strstr(k->clear_name, filter));
}

static void measure(const struct kind *k)
{
	static double map_ns[ROUNDS_MAX], clear_ns[ROUNDS_MAX], limit_ns[ROUNDS_MAX];
	unsigned n = k->parts > 1 ? rounds / 10 + 1 : rounds;
	uint8_t *pages;
	double limit;

	if (!wanted(k)) {
		return;
	}
	pages = aligned_alloc(SZ_4K, align_up(entry_bytes(k) * k->jobs, SZ_4K));
	need(pages, "no memory");
	for (unsigned i = 0; i < n; i++) {
		map_ns[i] = run_round(k, true);
		clear_ns[i] = run_round(k, false);
		memset_round(k, pages);
		limit_ns[i] = memset_round(k, pages);
	}
	free(pages);
	limit = median(limit_ns, n);
	if (k->map_goal_ns > 0) {
		print(k->name, median(map_ns, n), "memset", limit, k->map_goal_ns);
	}
	if (k->clear_name) {
		print(k->clear_name, median(clear_ns, n), "memset", limit, k->clear_goal_ns);
	}
}

/* From reserve to release, one after the other: three times the lock. */
static void measure_jobs(const struct kind *k, const char *name)
{
	static double ns[ROUNDS_MAX], mutex_ns[ROUNDS_MAX];

	if (!strstr(name, filter)) {
		return;
	}
	for (unsigned r = 0; r < rounds; r++) {
		uint64_t start = now_ns();

		for (unsigned i = 0; i < 2 * k->jobs; i++) {
			unsigned job = i % k->jobs;

			reserve(k, job, i < k->jobs);
			port_mutex_lock(&pt.lock);
			run(k, job, i < k->jobs);
			port_mutex_unlock(&pt.lock);
			release(job);
		}
		ns[r] = (double)(now_ns() - start) / (2 * k->jobs);
		start = now_ns();
		for (unsigned i = 0; i < k->jobs; i++) {
			for (unsigned j = 0; j < 3; j++) {
				port_mutex_lock(&pt.lock);
				port_mutex_unlock(&pt.lock);
			}
		}
		mutex_ns[r] = (double)(now_ns() - start) / k->jobs;
	}
	print(name, median(ns, rounds), "three_mutex_pairs", median(mutex_ns, rounds), 0);
}

/* ---- lookups --------------------------------------------------------------------------------- */

#define LOOKUPS 1024u

static double chase_round(const uint64_t *addr)
{
	uint64_t start = now_ns();
	uintptr_t last = 0;

	for (unsigned i = 0; i < LOOKUPS; i++) {
		const struct pt_table *table = pt.root;

		for (unsigned level = 3; level > 0; level--) {
			table = table->child[((addr[i] + last) >> (12 + 9 * level)) & 511];
		}
		last = (table->page.host[((addr[i] + last) >> 12) & 511] == 1);
	}
	need(last == 0, "a page is missing");
	return (double)(now_ns() - start) / LOOKUPS;
}

static double walk_round(const uint64_t *addr)
{
	uint64_t start = now_ns(), last = 0;

	for (unsigned i = 0; i < LOOKUPS; i++) {
		struct gpu_pte pte;
		unsigned level;

		need(!gpu_walk(&mem_gpu_ops, &mem, &hw, addr[i] + last, &pte, &level),
		     "a page is missing");
		last = pte.phys == 1;
	}
	return (double)(now_ns() - start) / LOOKUPS;
}

static void measure_walk(void)
{
	static const struct kind mapped = {
		.backing = &crooked, .size_B = SZ_2M, .step_B = SZ_2M, .jobs = JOBS, .parts = 1,
	};
	static double ns[ROUNDS_MAX], limit_ns[ROUNDS_MAX];
	static uint64_t addr[LOOKUPS];
	uint64_t x = 1;

	if (!strstr("pt_walk_4_levels", filter)) {
		return;
	}
	run_round(&mapped, true);
	for (unsigned i = 0; i < LOOKUPS; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		addr[i] = VA + align_down((x >> 33) % (JOBS * SZ_2M), SZ_4K);
	}
	for (unsigned r = 0; r < rounds; r++) {
		ns[r] = walk_round(addr);
		limit_ns[r] = chase_round(addr);
	}
	run_round(&mapped, false);
	print("pt_walk_4_levels", median(ns, rounds), "dependent_loads", median(limit_ns, rounds),
	      10);
}

/* ---- all ------------------------------------------------------------------------------------- */

static const struct kind kinds[] = {
	{
		.name = "pt_map_2M_by_4K", .map_goal_ns = 130,
		.clear_name = "pt_unmap_2M_of_4K", .clear_goal_ns = 130,
		.backing = &crooked, .size_B = SZ_2M, .step_B = SZ_2M, .jobs = JOBS, .parts = 1,
	}, {
		.name = "", .clear_name = "pt_unmap_2M_less_4K", .clear_goal_ns = 130,
		.backing = &crooked, .size_B = SZ_2M - SZ_4K, .step_B = SZ_2M, .jobs = JOBS,
		.parts = 1, .kept = true,
	}, {
		.name = "pt_map_64K_by_4K", .map_goal_ns = 30,
		.clear_name = "pt_unmap_64K_of_4K", .clear_goal_ns = 30,
		.backing = &crooked, .size_B = SZ_64K, .step_B = SZ_64K, .jobs = PIECES,
		.parts = 1, .kept = true,
	}, {
		.name = "pt_map_2M_entry", .map_goal_ns = 25,
		.backing = &even, .size_B = SZ_2M, .step_B = SZ_2M, .jobs = JOBS, .parts = 1,
	}, {
		.name = "pt_map_1G_by_4K_per_page", .map_goal_ns = 0.25,
		.backing = &crooked, .size_B = SZ_1G, .jobs = 1, .parts = GIB_PTES,
	},
};

/* A page at the end of each slot. */
static void keep_last_pages(bool map)
{
	static const struct kind last = {
		.backing = &crooked, .skip_B = SZ_2M - SZ_4K, .size_B = SZ_4K, .step_B = SZ_2M,
		.jobs = JOBS, .parts = 1,
	};

	run_round(&last, map);
}

static unsigned number(const char *text)
{
	unsigned long value = text ? strtoul(text, NULL, 10) : 0;

	need(value >= 1 && value <= ROUNDS_MAX / 20, "a number between 1 and 500 is wanted");
	return (unsigned)value;
}

int main(int argc, char **argv)
{
	struct mem_config config = { .system_B = 64 << 20 };

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--rounds") == 0) {
			rounds = 20 * number(argv[++i]) + 1;
		} else if (strcmp(argv[i], "--calls") == 0) {
			i++; /* a job is reserved once: it is the rounds that count */
		} else {
			filter = argv[i];
		}
	}
	event_stream_init(&events);
	need(!mem_init(&mem, &config, &events, NULL) &&
	     !pt_init(&pt, &mem, &gpu_format_intel48), "no memory");
	hw = (struct gpu_vm){
		.fmt = &gpu_format_intel48,
		.root_phys = pt.root->page.phys,
		.root_device = pt.root->page.device,
		.asid = 1,
	};
	for (unsigned i = 0; i < JOBS; i++) {
		pt_pool_init(&pool[i]);
	}
	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
		if (kinds[i].kept) {
			keep_last_pages(true);
		}
		measure(&kinds[i]);
		if (kinds[i].size_B == SZ_64K) {
			measure_jobs(&kinds[i], "pt_64K_reserve_to_release");
		}
		if (kinds[i].kept) {
			keep_last_pages(false);
		}
	}
	measure_walk();
	pt_fini(&pt);
	mem_fini(&mem);
	event_stream_fini(&events);
	return 0;
}
