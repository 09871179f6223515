// SPDX-License-Identifier: MIT
/* Error dumps, read back as text: what is in them, of both drivers, and what becomes of them. */
#include "dump_text.h"
#include "i915_client.h"

#include <stdlib.h>
#include <sys/mman.h>

#define BATCH    UINT64_C(0x100000)
#define DATA     UINT64_C(0x400000)  /* marked */
#define PLAIN    UINT64_C(0x800000)  /* not marked */
#define USER     UINT64_C(0xc00000)  /* marked, of the client, read only */
#define USER_B   (3 * SZ_4K)
#define NOWHERE  UINT64_C(0x7fff40000000)
#define FLAG     (BATCH + 0x8000)
#define GPR0     0x2600u             /* of the first render engine */
#define GPR_VALUE 0x12345678u
#define BAD_COMMAND 0x7f000000u      /* nothing begins like this */

struct setting {
	struct client c;
	uint32_t vm, queue; /* of i915: a context */
	uint32_t *batch, *data, *plain;
	uint8_t *user;
	struct dump_text d;
};

static void fill(void *memory, size_t n_B, uint32_t seed)
{
	uint32_t *words = memory;

	for (size_t i = 0; i < n_B / 4; i++) {
		/* Zeroes are written in another way. */
		words[i] = i % 7 == 3 ? 0 : seed * 2654435761u + (uint32_t)i * 40503u;
	}
}

static void *client_memory(void)
{
	void *memory = mmap(NULL, USER_B, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			    0);

	CHECK(memory != MAP_FAILED);
	fill(memory, USER_B, 3);
	return memory;
}

/* ---- Xe -------------------------------------------------------------------------------------- */

static void map(struct setting *p, uint32_t op, uint32_t bo, uint64_t offset, uint64_t addr,
		uint64_t range, uint32_t flags)
{
	struct drm_xe_vm_bind_op bind = client_op(op, bo, offset, addr, range);
	uint32_t done = client_syncobj(p->c.file, false);
	struct drm_xe_sync sync = client_signal(done);

	bind.flags = flags;
	CHECK_OK(client_bind(p->c.file, p->vm, 0, &bind, 1, &sync, 1));
	CHECK_OK(client_syncobj_wait(p->c.file, done, INT64_MAX));
	CHECK_OK(client_syncobj_destroy(p->c.file, done));
}

static void xe_init(struct setting *p, const char *gpu)
{
	static const char timeout[] = "50";
	struct uapi_attr attr;
	unsigned i = 0;
	uint32_t bo;

	memset(p, 0, sizeof(*p));
	client_init(&p->c, gpu);
	while (uapi_attr_find(p->c.device, i, &attr) &&
	       strcmp(attr.path, "tile0/gt0/engines/rcs/job_timeout_ms")) {
		i++;
	}
	CHECK_OK(uapi_attr_store(p->c.device, i, PTR(timeout), strlen(timeout)));
	p->vm = client_vm(&p->c, 0);
	bo = client_bo(&p->c, p->vm, SZ_64K);
	p->batch = client_cpu(&p->c, p->c.file, bo, SZ_64K);
	map(p, DRM_XE_VM_BIND_OP_MAP, bo, 0, BATCH, SZ_64K, 0);
	bo = client_bo(&p->c, p->vm, 2 * SZ_64K);
	p->data = client_cpu(&p->c, p->c.file, bo, 2 * SZ_64K);
	fill(p->data, 2 * SZ_64K, 1);
	map(p, DRM_XE_VM_BIND_OP_MAP, bo, 0, DATA, 2 * SZ_64K, DRM_XE_VM_BIND_FLAG_DUMPABLE);
	bo = client_bo(&p->c, p->vm, SZ_64K);
	p->plain = client_cpu(&p->c, p->c.file, bo, SZ_64K);
	fill(p->plain, SZ_64K, 2);
	map(p, DRM_XE_VM_BIND_OP_MAP, bo, 0, PLAIN, SZ_64K, 0);
	p->user = client_memory();
	map(p, DRM_XE_VM_BIND_OP_MAP_USERPTR, 0, PTR(p->user), USER, USER_B,
	    DRM_XE_VM_BIND_FLAG_DUMPABLE | DRM_XE_VM_BIND_FLAG_READONLY);
	p->queue = client_queue(&p->c, p->vm, DRM_XE_ENGINE_CLASS_RENDER);
}

static void place_fini(struct setting *p)
{
	dump_text_free(&p->d);
	client_fini(&p->c);
	munmap(p->user, USER_B);
}

static void xe_run(struct setting *p)
{
	uint32_t done = client_syncobj(p->c.file, false);
	struct drm_xe_sync sync = client_signal(done);

	CHECK_OK(client_exec(p->c.file, p->queue, BATCH, &sync, 1));
	CHECK_OK(client_syncobj_wait(p->c.file, done, INT64_MAX));
	CHECK_OK(client_syncobj_destroy(p->c.file, done));
}

/* A queue that has lost a job takes no more; its VM does. */
static void xe_run_anew(struct setting *p)
{
	CHECK_OK(client_queue_destroy(p->c.file, p->queue));
	p->queue = client_queue(&p->c, p->vm, DRM_XE_ENGINE_CLASS_RENDER);
	xe_run(p);
}

/* Loads a register, then stores at @addr: where that command is. */
static uint64_t write_store(struct setting *p, uint64_t addr)
{
	p->batch[0] = 0x22u << 23 | 1; /* MI_LOAD_REGISTER_IMM */
	p->batch[1] = GPR0;
	p->batch[2] = GPR_VALUE;
	(void)client_batch_store(p->batch + 3, addr, 42);
	return BATCH + 12;
}

static void write_spin(struct setting *p)
{
	p->batch[(FLAG - BATCH) / 4] = 1;
	(void)client_batch_spin(p->batch, BATCH, FLAG);
}

static void write_bad(struct setting *p)
{
	(void)client_batch_store(p->batch, DATA, p->data[0]);
	p->batch[4] = BAD_COMMAND;
}

static void show(struct setting *p)
{
	dump_text_free(&p->d);
	CHECK(uapi_dump_is_kept(p->c.device));
	CHECK_OK(uapi_dump_show(p->c.device, dump_text_put, &p->d));
	dump_text_parse(&p->d);
}

/* What every dump of @p has. */
static void check_memory(const struct setting *p)
{
	const struct dump_mapping *batch = dump_mapping_at(&p->d, BATCH);
	const struct dump_mapping *data = dump_mapping_at(&p->d, DATA + SZ_64K);
	const struct dump_mapping *plain = dump_mapping_at(&p->d, PLAIN);
	const struct dump_mapping *user = dump_mapping_at(&p->d, USER);

	CHECK(batch && data && plain && user);
	CHECK_EQ(batch->start, BATCH);
	CHECK_EQ(batch->end, BATCH + SZ_64K);
	CHECK(!batch->marked && batch->writable && !batch->null);
	CHECK_EQ(data->end, DATA + 2 * SZ_64K);
	CHECK(data->marked && data->writable);
	CHECK(!plain->marked && plain->writable);
	CHECK_EQ(user->start, USER);
	CHECK(user->marked && !user->writable && !user->vram);
	CHECK(!dump_mapping_at(&p->d, BATCH - 1) && !dump_mapping_at(&p->d, PLAIN + SZ_64K));
	CHECK(dump_has(&p->d, BATCH, p->batch, SZ_64K));
	CHECK(dump_has(&p->d, DATA, p->data, 2 * SZ_64K));
	CHECK(dump_has(&p->d, USER, p->user, USER_B));
	CHECK(!dump_touches(&p->d, PLAIN, SZ_64K));
	CHECK_EQ(dump_blobs_at(&p->d, BATCH), 1);
	CHECK(!dump_line(&p->d, "Cut:"));
}

static void check_xe_header(const struct setting *p, const char *reason)
{
	const struct uapi_identity *id = uapi_device_identity(p->c.device);

	CHECK(p->d.xe);
	CHECK(dump_says(&p->d, "Reason: ", reason));
	CHECK_EQ(dump_number(&p->d, "PCI ID: "), id->device);
	CHECK_EQ(dump_number(&p->d, "batch_addr[0]: "), BATCH);
	CHECK(dump_says(&p->d, "rcs0 (physical), ", "logical instance=0"));
	CHECK(dump_says(&p->d, "module: ", "xe"));
}

static void test_B07_a_fault_is_dumped(void)
{
	static const char *const gpus[] = { "bmg", "lnl" };

	for (unsigned i = 0; i < ARRAY_LEN(gpus); i++) {
		const struct dump_level *last;
		struct setting p;
		uint64_t at;

		xe_init(&p, gpus[i]);
		CHECK(!uapi_dump_is_kept(p.c.device));
		at = write_store(&p, NOWHERE + 8);
		xe_run(&p);
		show(&p);
		check_xe_header(&p, "page fault on rcs0");
		CHECK_EQ(dump_number(&p.d, "ACTHD: "), at);
		CHECK_EQ(dump_number(&p.d, "RING_BBADDR: "), at);
		CHECK_EQ(dump_number(&p.d, "IPEHR: "), p.batch[3]);
		CHECK_EQ(dump_number(&p.d, "CS_GPR0: "), GPR_VALUE);
		CHECK_EQ(dump_number(&p.d, "fault_addr: "), NOWHERE + 8);
		CHECK(dump_says(&p.d, "fault_access: ", "write"));
		CHECK(dump_says(&p.d, "fault_type: ", "nothing is mapped"));
		CHECK_EQ(p.d.walk_addr, NOWHERE + 8);
		last = &p.d.walk[p.d.levels - 1];
		CHECK_EQ(p.d.walk[0].level, 3);
		CHECK_EQ(p.d.walk[0].slot, NOWHERE >> 39);
		CHECK_EQ(last->entry, 0);
		CHECK_EQ(strcmp(last->what, "not present"), 0);
		CHECK_EQ(last->level, dump_number(&p.d, "fault_level: "));
		check_memory(&p);
		CHECK_EQ(dump_mapping_at(&p.d, DATA)->vram, client_has_vram(&p.c));
		CHECK_EQ(dump_mapping_at(&p.d, DATA)->pat, CLIENT_PAT_WB);
		place_fini(&p);
	}
}

static void test_B07_the_walk_shows_what_refused(void)
{
	const struct dump_level *last;
	struct setting p;

	xe_init(&p, "bmg");
	write_store(&p, USER + SZ_4K);
	xe_run(&p);
	show(&p);
	CHECK(dump_says(&p.d, "fault_type: ", "the page is read only"));
	CHECK_EQ(dump_number(&p.d, "fault_addr: "), USER + SZ_4K);
	CHECK_EQ(p.d.levels, 4);
	last = &p.d.walk[3];
	CHECK_EQ(last->level, 0);
	CHECK_EQ(last->slot, (USER + SZ_4K) / SZ_4K % 512);
	/* Present, not writable, the bit of software, and the page that the list has. */
	CHECK_EQ(last->entry & 3, 1);
	CHECK(last->entry & BIT64(52));
	CHECK_EQ(last->entry & 0xffffffffff000, dump_mapping_at(&p.d, USER)->phys + SZ_4K);
	CHECK(strstr(last->what, "read_only") && strstr(last->what, "dumpable"));
	check_memory(&p);
	place_fini(&p);
}

static void test_B07_a_hang_is_dumped(void)
{
	struct setting p;

	xe_init(&p, "bmg");
	write_spin(&p);
	/* The batch is among what is marked: it is there once. */
	map(&p, DRM_XE_VM_BIND_OP_UNMAP, 0, 0, BATCH, SZ_64K, 0);
	map(&p, DRM_XE_VM_BIND_OP_MAP, 1, 0, BATCH, SZ_64K, DRM_XE_VM_BIND_FLAG_DUMPABLE);
	xe_run(&p);
	show(&p);
	check_xe_header(&p, "hang on rcs0");
	CHECK(dump_number(&p.d, "ACTHD: ") - BATCH < 28);
	CHECK(dump_number(&p.d, "Ran: ") >= 50000000);
	CHECK(!dump_line(&p.d, "fault_addr: "));
	CHECK_EQ(p.d.walk_addr, dump_number(&p.d, "ACTHD: "));
	CHECK(dump_mapping_at(&p.d, BATCH)->marked);
	CHECK(dump_has(&p.d, BATCH, p.batch, SZ_64K));
	CHECK(dump_has(&p.d, DATA, p.data, 2 * SZ_64K));
	CHECK_EQ(dump_blobs_at(&p.d, BATCH), 1);
	place_fini(&p);
}

/* Parts of mappings that were cut, and NULL mappings. */
static void test_B07_what_is_left_of_a_mapping_stays_marked(void)
{
	const struct dump_mapping *null;
	struct setting p;

	xe_init(&p, "bmg");
	map(&p, DRM_XE_VM_BIND_OP_MAP, 0, 0, 4 * SZ_2M * 8, SZ_2M,
	    DRM_XE_VM_BIND_FLAG_NULL | DRM_XE_VM_BIND_FLAG_DUMPABLE);
	map(&p, DRM_XE_VM_BIND_OP_UNMAP, 0, 0, DATA + SZ_64K, SZ_64K, 0);
	write_store(&p, NOWHERE);
	xe_run(&p);
	show(&p);
	CHECK_EQ(dump_mapping_at(&p.d, DATA)->end, DATA + SZ_64K);
	CHECK(dump_mapping_at(&p.d, DATA)->marked);
	CHECK(dump_has(&p.d, DATA, p.data, SZ_64K));
	CHECK(!dump_touches(&p.d, DATA + SZ_64K, SZ_64K));
	null = dump_mapping_at(&p.d, 4 * SZ_2M * 8);
	CHECK(null && null->null && null->marked);
	CHECK_EQ(null->page_B, SZ_2M);
	CHECK(!dump_touches(&p.d, null->start, SZ_2M));
	place_fini(&p);
}

static void test_B07_client_memory_that_has_gone_is_listed(void)
{
	const struct dump_blob *gone;
	struct setting p;

	xe_init(&p, "bmg");
	write_store(&p, NOWHERE);
	/* Behind the device's back. */
	CHECK_OK(munmap(p.user + SZ_4K, SZ_4K));
	xe_run(&p);
	show(&p);
	CHECK(dump_has(&p.d, USER, p.user, SZ_4K));
	CHECK(dump_has(&p.d, USER + 2 * SZ_4K, p.user + 2 * SZ_4K, SZ_4K));
	gone = dump_blob_at(&p.d, USER + SZ_4K);
	CHECK(gone && !gone->data);
	CHECK_EQ(gone->addr, USER + SZ_4K);
	CHECK_EQ(gone->size_B, SZ_4K);
	CHECK_EQ(gone->error, -EFAULT);
	CHECK(dump_has(&p.d, DATA, p.data, 2 * SZ_64K));
	place_fini(&p);
}

static void test_B07_the_first_one_is_kept_until_it_is_cleared(void)
{
	struct setting p;

	xe_init(&p, "bmg");
	CHECK_OK(uapi_dump_show(p.c.device, dump_text_put, &p.d));
	CHECK_EQ(p.d.n, 0);
	uapi_dump_clear(p.c.device);
	write_store(&p, NOWHERE);
	xe_run(&p);
	write_store(&p, NOWHERE + SZ_2M);
	xe_run_anew(&p);
	write_bad(&p);
	xe_run_anew(&p);
	show(&p);
	CHECK_EQ(dump_number(&p.d, "fault_addr: "), NOWHERE);
	CHECK_EQ(dump_number(&p.d, "Errors since then, of which nothing is kept: "), 2);
	uapi_dump_clear(p.c.device);
	CHECK(!uapi_dump_is_kept(p.c.device));
	dump_text_free(&p.d);
	CHECK_OK(uapi_dump_show(p.c.device, dump_text_put, &p.d));
	CHECK_EQ(p.d.n, 0);
	xe_run_anew(&p);
	show(&p);
	check_xe_header(&p, "bad batch on rcs0");
	CHECK(!dump_line(&p.d, "Errors since then"));
	CHECK_EQ(dump_number(&p.d, "IPEHR: "), BAD_COMMAND);
	CHECK_EQ(dump_number(&p.d, "ACTHD: "), BATCH + 16);
	check_memory(&p);
	place_fini(&p);
}

static void test_B07_a_reader_that_has_no_room_is_told(void)
{
	struct dump_text full = { .fail_at = 10000 };
	struct setting p;

	xe_init(&p, "bmg");
	write_store(&p, NOWHERE);
	xe_run(&p);
	CHECK_ERR(uapi_dump_show(p.c.device, dump_text_put, &full), -ENOSPC);
	CHECK(full.n <= full.fail_at);
	dump_text_free(&full);
	show(&p);
	check_memory(&p);
	place_fini(&p);
}

/* ---- i915 ------------------------------------------------------------------------------------ */

static void capture(struct setting *p, uint32_t bo, uint64_t addr, uint64_t length, uint32_t flags)
{
	struct drm_i915_gem_vm_bind args = {
		.vm_id = p->vm, .handle = bo, .start = addr, .length = length, .flags = flags,
	};

	CHECK_OK(IOCTL(p->c.file, I915_GEM_VM_BIND, &args));
}

static void i915_place_init(struct setting *p, const char *gpu)
{
	struct drm_i915_gem_userptr user = {
		.user_size = USER_B, .flags = I915_USERPTR_READ_ONLY,
	};
	uint32_t bo;

	memset(p, 0, sizeof(*p));
	i915_init(&p->c, gpu, 2);
	p->vm = i915_vm(&p->c);
	bo = i915_bo(&p->c, SZ_64K);
	p->batch = i915_cpu(&p->c, bo, SZ_64K);
	capture(p, bo, BATCH, SZ_64K, 0);
	bo = i915_bo(&p->c, 2 * SZ_64K);
	p->data = i915_cpu(&p->c, bo, 2 * SZ_64K);
	fill(p->data, 2 * SZ_64K, 1);
	capture(p, bo, DATA, 2 * SZ_64K, I915_GEM_VM_BIND_CAPTURE);
	bo = i915_bo(&p->c, SZ_64K);
	p->plain = i915_cpu(&p->c, bo, SZ_64K);
	fill(p->plain, SZ_64K, 2);
	capture(p, bo, PLAIN, SZ_64K, 0);
	p->user = client_memory();
	user.user_ptr = PTR(p->user);
	CHECK_OK(IOCTL(p->c.file, I915_GEM_USERPTR, &user));
	capture(p, user.handle, USER, USER_B, I915_GEM_VM_BIND_CAPTURE);
	p->queue = i915_context(&p->c, p->vm, 0);
}

static void check_i915_header(const struct setting *p, const char *reason)
{
	const struct uapi_identity *id = uapi_device_identity(p->c.device);
	const struct dump_blob *batch = dump_blob_at(&p->d, BATCH);
	const char *line = dump_line(&p->d, "GPU HANG: ecode ");

	CHECK(!p->d.xe);
	CHECK(line && strchr(line, ',') && strncmp(strchr(line, ',') + 2, reason,
						   strlen(reason)) == 0);
	CHECK_EQ(dump_number(&p->d, "PCI ID: "), id->device);
	CHECK(dump_line(&p->d, "rcs0 command stream:"));
	CHECK_EQ(dump_halves(&p->d, "BBADDR: "), dump_halves(&p->d, "ACTHD: "));
	CHECK_EQ(dump_halves(&p->d, "batch: ["), BATCH);
	CHECK(batch && strcmp(batch->name, "batch") == 0);
	CHECK_EQ(batch->addr, BATCH);
	CHECK_EQ(strcmp(dump_blob_at(&p->d, DATA)->name, "user"), 0);
}

static void test_B07_i915_dumps_a_bad_batch(void)
{
	static const char none[] = "No error state collected\n";
	static const char *const gpus[] = { "dg2", "tgl" };

	for (unsigned i = 0; i < ARRAY_LEN(gpus); i++) {
		struct setting p;

		i915_place_init(&p, gpus[i]);
		CHECK(!uapi_dump_is_kept(p.c.device));
		CHECK_OK(uapi_dump_show(p.c.device, dump_text_put, &p.d));
		CHECK_EQ(strcmp(p.d.text, none), 0);
		write_bad(&p);
		CHECK_OK(i915_exec_wait(&p.c, p.queue, BATCH));
		show(&p);
		check_i915_header(&p, "bad batch on rcs0\n");
		CHECK_EQ(dump_halves(&p.d, "ACTHD: "), BATCH + 16);
		CHECK_EQ(dump_number(&p.d, "IPEHR: "), BAD_COMMAND);
		CHECK_EQ(dump_number(&p.d, "hung: "), 0);
		CHECK(!dump_line(&p.d, "FAULT_TLB_DATA: "));
		check_memory(&p);
		uapi_dump_clear(p.c.device);
		dump_text_free(&p.d);
		CHECK_OK(uapi_dump_show(p.c.device, dump_text_put, &p.d));
		CHECK_EQ(strcmp(p.d.text, none), 0);
		place_fini(&p);
	}
}

static void test_B07_i915_dumps_a_fault(void)
{
	struct setting p;
	const char *rest;

	i915_place_init(&p, "dg2");
	write_store(&p, USER + SZ_4K);
	CHECK_OK(i915_exec_wait(&p.c, p.queue, BATCH));
	show(&p);
	check_i915_header(&p, "page fault on rcs0\n");
	CHECK_EQ(dump_halves(&p.d, "ACTHD: "), BATCH + 12);
	CHECK_EQ(dump_number(&p.d, "CS_GPR0: "), GPR_VALUE);
	CHECK_EQ(dump_number(&p.d, "fault_addr: "), USER + SZ_4K);
	/* As decoders read it: the page in the second, what is above 44 bits in the first. */
	rest = dump_line(&p.d, "FAULT_TLB_DATA: 0x00000000 ");
	CHECK(rest && strtoull(rest, NULL, 16) == (USER + SZ_4K) >> 12);
	CHECK_EQ(p.d.walk_addr, USER + SZ_4K);
	CHECK(strstr(p.d.walk[p.d.levels - 1].what, "read_only pat 0 capture") ||
	      strstr(p.d.walk[p.d.levels - 1].what, "read_only atomic pat 0 capture"));
	check_memory(&p);
	place_fini(&p);
}

/* And who has asked about it: one batch was running, what was behind it is lost with it. */
static void test_B07_i915_dumps_a_hang_and_counts_it(void)
{
	uint32_t done[3];
	struct drm_i915_reset_stats stats = { 0 };
	struct setting p;

	i915_place_init(&p, "dg2");
	write_spin(&p);
	for (unsigned i = 0; i < ARRAY_LEN(done); i++) {
		struct drm_i915_gem_timeline_fence fence;

		done[i] = client_syncobj(p.c.file, false);
		fence = i915_fence(done[i], 0, I915_TIMELINE_FENCE_SIGNAL);
		CHECK_OK(i915_exec(&p.c, p.queue, BATCH, &fence, 1));
	}
	for (unsigned i = 0; i < ARRAY_LEN(done); i++) {
		CHECK_OK(client_syncobj_wait(p.c.file, done[i], INT64_MAX));
	}
	show(&p);
	check_i915_header(&p, "hang on rcs0\n");
	CHECK(dump_halves(&p.d, "ACTHD: ") - BATCH < 28);
	CHECK_EQ(dump_number(&p.d, "hung: "), 1);
	check_memory(&p);
	stats.ctx_id = p.queue;
	CHECK_OK(IOCTL(p.c.file, I915_GET_RESET_STATS, &stats));
	CHECK_EQ(stats.batch_active, 1);
	CHECK_EQ(stats.batch_pending, 2);
	/* The others are no errors of their own. */
	CHECK(!dump_line(&p.d, "Errors since then"));
	place_fini(&p);
}

/* ---- no memory ------------------------------------------------------------------------------- */

static void make_device(void *arg)
{
	struct uapi_config config = client_config("bmg");
	struct client c;
	int ret = client_try_init(&c, &config);

	CHECK(ret == 0 || (test_injected() && ret == -ENOMEM));
	if (ret == 0) {
		CHECK_OK(uapi_dump_show(c.device, dump_text_put, NULL));
		client_fini(&c);
	}
}

static void test_B07_a_device_without_memory_for_dumps_is_none(void)
{
	CHECK(test_sweep(PORT_FAULT_ALLOC, make_device, NULL) > 4);
}

static const struct test_case cases[] = {
	TEST(test_B07_a_fault_is_dumped),
	TEST(test_B07_the_walk_shows_what_refused),
	TEST(test_B07_a_hang_is_dumped),
	TEST(test_B07_what_is_left_of_a_mapping_stays_marked),
	TEST(test_B07_client_memory_that_has_gone_is_listed),
	TEST(test_B07_the_first_one_is_kept_until_it_is_cleared),
	TEST(test_B07_a_reader_that_has_no_room_is_told),
	TEST(test_B07_i915_dumps_a_bad_batch),
	TEST(test_B07_i915_dumps_a_fault),
	TEST(test_B07_i915_dumps_a_hang_and_counts_it),
	TEST(test_B07_a_device_without_memory_for_dumps_is_none),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
