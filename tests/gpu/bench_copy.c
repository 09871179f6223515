// SPDX-License-Identifier: MIT
/*
 * How fast the blitter copies and fills, beside memcpy and memset of the same bytes in the same
 * memory: a shared mapping of a memfd, as a device's arena is. One line per case:
 *
 *	NAME ours limit ratio
 *
 * in GB/s, the best of several rounds that alternate; a ratio of 1 is the limit's speed.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/bits.h"
#include "gpu/gpu.h"

#define AREA_B ((uint64_t)256 << 20) /* of the source and of the destination */
#define SRC_PHYS ((uint64_t)0)
#define DST_PHYS AREA_B
#define BATCH_PHYS (2 * AREA_B)
#define TABLE_PHYS (BATCH_PHYS + SZ_2M) /* tables; from here upwards */
#define MEM_B (TABLE_PHYS + 2 * SZ_2M)

#define SRC ((uint64_t)4 << 30)
#define DST ((uint64_t)5 << 30)
#define BATCH ((uint64_t)6 << 30)
#define SCATTER 0x155u /* frame n of a scattered area is at n ^ this */

#define E_RW ((uint64_t)0x803) /* present, writable, device memory */
#define E_HUGE ((uint64_t)1 << 7)

struct bench {
	uint8_t *mem;
	uint64_t next_table;
	struct gpu_engine engine;
	struct gpu_vm vm;
	struct gpu_context ctx;
	uint32_t dwords;
};

static struct bench bench;

static int find_page(void *ctx, uint64_t phys, bool device, struct gpu_page *page_out)
{
	struct bench *b = ctx;

	if (!device || phys >= MEM_B) {
		return -EFAULT;
	}
	*page_out = (struct gpu_page){ .size_B = MEM_B, .host = b->mem };
	return 0;
}

static const struct gpu_mem_ops mem_ops = { .page = find_page };

static void map(struct bench *b, uint64_t va, unsigned level, uint64_t entry)
{
	static const unsigned shift[] = { 12, 21, 30, 39 };
	uint64_t table = b->vm.root_phys;

	for (unsigned l = 3; l > level; l--) {
		uint64_t *e = (uint64_t *)(void *)(b->mem + table) + ((va >> shift[l]) & 511);

		if (!*e) {
			*e = b->next_table | E_RW;
			b->next_table += SZ_4K;
		}
		table = *e & 0xffffffffff000;
	}
	((uint64_t *)(void *)(b->mem + table))[(va >> shift[level]) & 511] = entry;
}

static void map_area(struct bench *b, uint64_t va, uint64_t phys, bool scattered)
{
	struct gpu_engine *engines[] = { &b->engine };
	uint64_t step = scattered ? SZ_4K : SZ_2M;

	for (uint64_t off = 0; off < AREA_B; off += step) {
		if (scattered) {
			map(b, va + off, 0, (phys + (off ^ SCATTER * SZ_4K)) | E_RW);
		} else {
			map(b, va + off, 1, (phys + off) | E_RW | E_HUGE);
		}
	}
	gpu_soft_ops.invalidate(engines, 1, &b->vm, va, va + AREA_B);
}

static void emit(struct bench *b, uint32_t dw)
{
	((uint32_t *)(void *)(b->mem + BATCH_PHYS))[b->dwords++] = dw;
}

static void emit_addr(struct bench *b, uint64_t addr)
{
	emit(b, (uint32_t)addr);
	emit(b, (uint32_t)(addr >> 32));
}

/* Rows of 256 KiB, in elements of 16 bytes: one command for all of them. */
static void emit_copy(struct bench *b, uint64_t size_B)
{
	emit(b, 2u << 29 | 0x41u << 22 | 5u << 19 | 20);
	emit(b, 0x3ffff);
	emit(b, 0);
	emit(b, (uint32_t)(size_B >> 18) << 16 | 16384);
	emit_addr(b, DST);
	emit(b, 0);
	emit(b, 0);
	emit(b, 0x3ffff);
	emit_addr(b, SRC);
	for (unsigned i = 0; i < 11; i++) {
		emit(b, 0);
	}
}

static void emit_fill(struct bench *b, uint64_t size_B, uint32_t value)
{
	emit(b, 2u << 29 | 0x44u << 22 | 5u << 19 | 14);
	emit(b, 0x3ffff);
	emit(b, 0);
	emit(b, (uint32_t)(size_B >> 18) << 16 | 16384);
	emit_addr(b, DST);
	emit(b, 0);
	for (unsigned i = 0; i < 4; i++) {
		emit(b, value);
	}
	for (unsigned i = 0; i < 5; i++) {
		emit(b, 0);
	}
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Runs the batch @times times, as a worker would: a few MiB at a time. */
static bool run(struct bench *b, unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		enum gpu_run state;

		gpu_soft_ops.start(&b->ctx, BATCH);
		do {
			struct gpu_budget budget = { .commands = 4096, .bytes = 4 << 20 };

			state = gpu_soft_ops.run(&b->engine, &b->ctx, &budget);
		} while (state == GPU_RUN_MORE);
		if (state != GPU_RUN_DONE) {
			fprintf(stderr, "bench-copy: the batch ended with state %d\n", (int)state);
			return false;
		}
	}
	return true;
}

static void limit(struct bench *b, unsigned times, uint64_t size_B, bool fill, uint32_t value)
{
	for (unsigned i = 0; i < times; i++) {
		if (fill) {
			memset(b->mem + DST_PHYS, (int)value, size_B);
		} else {
			memcpy(b->mem + DST_PHYS, b->mem + SRC_PHYS, size_B);
		}
		__asm__ volatile("" ::: "memory");
	}
}

static bool measure(const char *name, uint64_t size_B, bool fill, uint32_t value)
{
	unsigned times = size_B >= AREA_B ? 1 : (unsigned)(AREA_B / size_B / 4);
	double ours = 1e9, best = 1e9;
	struct bench *b = &bench;

	b->dwords = 0;
	if (fill) {
		emit_fill(b, size_B, value);
	} else {
		emit_copy(b, size_B);
	}
	emit(b, 0x0au << 23);
	for (unsigned round = 0; round < 9; round++) {
		double t = seconds();

		limit(b, times, size_B, fill, value);
		best = seconds() - t < best ? seconds() - t : best;
		t = seconds();
		if (!run(b, times)) {
			return false;
		}
		ours = seconds() - t < ours ? seconds() - t : ours;
	}
	printf("%s %.2f %.2f %.3f\n", name, 1e-9 * (double)(size_B * times) / ours,
	       1e-9 * (double)(size_B * times) / best, best / ours);
	return true;
}

static bool set_up(struct bench *b)
{
	int fd = memfd_create("bench-copy", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)MEM_B)) {
		perror("bench-copy: no memory");
		return false;
	}
	b->mem = mmap(NULL, MEM_B, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (b->mem == MAP_FAILED) {
		perror("bench-copy: no memory");
		return false;
	}
	memset(b->mem, 1, BATCH_PHYS); /* warm */
	b->vm = (struct gpu_vm){
		.fmt = &gpu_format_intel48,
		.root_phys = TABLE_PHYS,
		.root_device = true,
		.asid = 1,
	};
	b->next_table = TABLE_PHYS + SZ_4K;
	gpu_engine_init(&b->engine, GPU_CLASS_COPY, 0, &mem_ops, b);
	gpu_soft_ops.context_init(&b->ctx, &b->vm, 20);
	map_area(b, SRC, SRC_PHYS, false);
	map_area(b, DST, DST_PHYS, false);
	map(b, BATCH, 1, BATCH_PHYS | E_RW | E_HUGE);
	return true;
}

int main(void)
{
	bool ok = set_up(&bench);

	ok = ok && measure("copy-2M", SZ_2M, false, 0) &&
	     measure("copy-256M", AREA_B, false, 0) &&
	     measure("fill-2M", SZ_2M, true, 0x5a5a5a5a) &&
	     measure("fill-256M", AREA_B, true, 0x5a5a5a5a) &&
	     measure("fill-zero-2M", SZ_2M, true, 0) &&
	     measure("fill-zero-256M", AREA_B, true, 0) &&
	     measure("fill-pattern-2M", SZ_2M, true, 0xdeadbeef) &&
	     measure("fill-pattern-256M", AREA_B, true, 0xdeadbeef);
	if (ok) {
		/* New tables for the same addresses. */
		memset(bench.mem + TABLE_PHYS, 0, MEM_B - TABLE_PHYS);
		bench.next_table = TABLE_PHYS + SZ_4K;
		map_area(&bench, SRC, SRC_PHYS, true);
		map_area(&bench, DST, DST_PHYS, true);
		map(&bench, BATCH, 1, BATCH_PHYS | E_RW | E_HUGE);
	}
	ok = ok && measure("copy-scattered-4K-2M", SZ_2M, false, 0) &&
	     measure("copy-scattered-4K-256M", AREA_B, false, 0) &&
	     measure("fill-scattered-4K-256M", AREA_B, true, 0);
	return ok ? 0 : 1;
}
