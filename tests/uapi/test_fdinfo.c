// SPDX-License-Identifier: MIT
/* What /proc/PID/fdinfo says of a file: whose it is, its objects' memory, its queues' time. */
#include "client.h"

#include "mem/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SPIN_AT 0x200000
#define TICK_HZ 19200000
#define MS_TICKS (TICK_HZ / 1000)

static struct client c;
static char text[UAPI_FDINFO_B + 1];

static const char *info(struct uapi_file *file)
{
	int n = uapi_fdinfo(file, text);

	CHECK(n >= 0 && n <= UAPI_FDINFO_B);
	text[n] = '\0';
	return text;
}

static bool says(struct uapi_file *file, const char *line)
{
	return strstr(info(file), line) != NULL;
}

static uint32_t make(struct uapi_file *file, uint64_t size_B, uint32_t placement, uint32_t flags)
{
	uint32_t handle;

	CHECK_OK(client_gem_create(file, 0, size_B, placement, flags, &handle));
	return handle;
}

static void a_file_says_whose_it_is(void)
{
	struct uapi_file *other;

	client_init(&c, "bmg");
	other = client_open(&c, false);
	CHECK(says(c.file, "drm-driver:\txe\ndrm-client-id:\t1\ndrm-pdev:\t0000:03:00.0\n"));
	CHECK(says(other, "drm-driver:\txe\ndrm-client-id:\t2\ndrm-pdev:\t0000:03:00.0\n"));
	uapi_close(other);
	client_fini(&c);
}

static void objects_count_where_they_are(void)
{
	uint32_t vram, system;

	client_init(&c, "bmg");
	CHECK(says(c.file, "drm-total-system:\t0\n"));
	CHECK(says(c.file, "drm-total-gtt:\t0\n"));
	CHECK(says(c.file, "drm-total-vram0:\t0\n"));
	vram = make(c.file, SZ_64K, BIT(MEM_VRAM), 0);
	system = make(c.file, 2 * SZ_2M, BIT(MEM_SYSTEM), 0);
	/* One that has no memory yet. */
	make(c.file, SZ_64K, BIT(MEM_VRAM), DRM_XE_GEM_CREATE_FLAG_DEFER_BACKING);
	CHECK(says(c.file, "drm-total-gtt:\t4 MiB\ndrm-shared-gtt:\t0\n"
			   "drm-resident-gtt:\t4 MiB\ndrm-active-gtt:\t0\n"));
	CHECK(says(c.file, "drm-total-vram0:\t128 KiB\ndrm-shared-vram0:\t0\n"
			   "drm-resident-vram0:\t64 KiB\ndrm-active-vram0:\t0\n"));
	CHECK_OK(client_gem_close(c.file, vram));
	CHECK_OK(client_gem_close(c.file, system));
	CHECK(says(c.file, "drm-total-gtt:\t0\n"));
	CHECK(says(c.file, "drm-total-vram0:\t64 KiB\n"));
	client_fini(&c);
}

/* Clients look for the third and the second kind by their places. */
static void what_is_in_no_region_comes_first(void)
{
	struct uapi_config config = client_config("bmg");
	const char *first, *second, *third;

	config.vram_B = SZ_2M;
	client_init_as(&c, &config);
	make(c.file, SZ_2M, BIT(MEM_VRAM), 0);
	make(c.file, SZ_64K, BIT(MEM_VRAM), 0); /* spilled */
	CHECK(says(c.file, "drm-total-vram0:\t2 MiB\n"));
	CHECK(says(c.file, "drm-total-system:\t64 KiB\n"));
	CHECK(says(c.file, "drm-resident-system:\t64 KiB\n"));
	first = strstr(text, "drm-total-system:");
	second = strstr(text, "drm-total-gtt:");
	third = strstr(text, "drm-total-vram0:");
	CHECK(first < second && second < third);
	client_fini(&c);
	client_init(&c, "lnl");
	CHECK(!says(c.file, "vram0"));
	client_fini(&c);
}

static void an_object_of_two_files_is_shared(void)
{
	struct drm_prime_handle args = { .flags = DRM_CLOEXEC | DRM_RDWR };
	struct uapi_file *other;

	client_init(&c, "bmg");
	other = client_open(&c, true);
	args.handle = make(c.file, SZ_64K, BIT(MEM_SYSTEM), 0);
	CHECK_OK(IOCTL(c.file, PRIME_HANDLE_TO_FD, &args));
	CHECK(says(c.file, "drm-shared-gtt:\t0\n"));
	CHECK_OK(IOCTL(other, PRIME_FD_TO_HANDLE, &args));
	CHECK(says(c.file, "drm-total-gtt:\t64 KiB\ndrm-shared-gtt:\t64 KiB\n"));
	CHECK(says(other, "drm-total-gtt:\t64 KiB\ndrm-shared-gtt:\t64 KiB\n"));
	CHECK_OK(client_gem_close(other, args.handle));
	CHECK(says(c.file, "drm-shared-gtt:\t0\n"));
	CHECK(says(other, "drm-total-gtt:\t0\n"));
	client_close_fd(&c, args.fd);
	uapi_close(other);
	client_fini(&c);
}

/* The number behind @key and @class. */
static uint64_t number(struct uapi_file *file, const char *key, const char *class)
{
	char line[64];
	const char *at;

	snprintf(line, sizeof(line), "\n%s%s:\t", key, class);
	at = strstr(info(file), line);
	CHECK(at != NULL);
	return strtoull(at + strlen(line), NULL, 10);
}

static uint64_t cycles(struct uapi_file *file, const char *class)
{
	return number(file, "drm-cycles-", class);
}

static uint64_t total(struct uapi_file *file, const char *class)
{
	return number(file, "drm-total-cycles-", class);
}

static void classes_of_engines_are_told(void)
{
	static const char *const classes[] = { "rcs", "bcs", "vcs", "ccs" };

	client_init(&c, "bmg");
	for (unsigned i = 0; i < ARRAY_LEN(classes); i++) {
		uint64_t before = gpu_timestamp(TICK_HZ), seen = total(c.file, classes[i]);

		CHECK(seen >= before && seen <= gpu_timestamp(TICK_HZ));
		CHECK_EQ(cycles(c.file, classes[i]), 0);
	}
	CHECK(says(c.file, "drm-engine-capacity-vcs:\t2\n"));
	CHECK(says(c.file, "drm-engine-capacity-ccs:\t2\n"));
	/* One is what it is where nothing is said. */
	CHECK(!says(c.file, "drm-engine-capacity-rcs"));
	CHECK(!says(c.file, "drm-engine-capacity-bcs"));
	CHECK(!says(c.file, "vecs"));
	client_fini(&c);
}

static void nap(void)
{
	struct port_wq wq;

	port_wq_init(&wq);
	(void)port_wq_wait(&wq, port_wq_prepare(&wq), port_now_ns() + 100000, 0);
}

/* A spinner on @queue until it has had a millisecond; what it had of @class in all. */
static uint64_t spin_a_while(uint32_t queue, atomic_uint *flag, const char *class)
{
	uint32_t done = client_syncobj(c.file, false);
	struct drm_xe_sync signal = client_signal(done);
	uint64_t start = total(c.file, class), before = cycles(c.file, class), used;

	atomic_store(flag, 1);
	CHECK_OK(client_exec(c.file, queue, SPIN_AT, &signal, 1));
	while (cycles(c.file, class) - before < MS_TICKS) {
		nap();
	}
	/* Half of it is still to come. */
	used = cycles(c.file, class);
	while (cycles(c.file, class) - used < MS_TICKS) {
		nap();
	}
	atomic_store(flag, 0);
	CHECK_OK(client_syncobj_wait(c.file, done, INT64_MAX));
	used = cycles(c.file, class) - before;
	CHECK(used <= total(c.file, class) - start);
	/* Only virtual time is exact. */
	CHECK(!test_is_sim() || used >= (total(c.file, class) - start) / 10 * 9);
	return cycles(c.file, class);
}

static void a_spinner_has_all_of_its_engine(void)
{
	struct uapi_file *other;
	uint32_t vm, bo, queue;
	uint32_t *batch;
	atomic_uint *flag;
	uint64_t used;

	client_init(&c, "bmg");
	other = client_open(&c, true);
	vm = client_vm(&c, 0);
	bo = make(c.file, SZ_64K, BIT(MEM_VRAM), 0);
	batch = client_cpu(&c, c.file, bo, SZ_64K);
	flag = (atomic_uint *)(batch + 1024);
	client_batch_spin(batch, SPIN_AT, SPIN_AT + 4096);
	CHECK_OK(client_map(&c, vm, bo, 0, SPIN_AT, SZ_64K));
	queue = client_queue(&c, vm, DRM_XE_ENGINE_CLASS_COPY);
	used = spin_a_while(queue, flag, "bcs");
	CHECK_EQ(cycles(c.file, "rcs"), 0);
	CHECK_EQ(cycles(c.file, "vcs"), 0);
	CHECK_EQ(cycles(c.file, "ccs"), 0);
	CHECK_EQ(cycles(other, "bcs"), 0);
	/* What a queue had is its file's for ever. */
	CHECK_OK(client_queue_destroy(c.file, queue));
	CHECK_EQ(cycles(c.file, "bcs"), used);
	queue = client_queue(&c, vm, DRM_XE_ENGINE_CLASS_COPY);
	CHECK(spin_a_while(queue, flag, "bcs") >= used + 2 * MS_TICKS);
	spin_a_while(client_queue(&c, vm, DRM_XE_ENGINE_CLASS_COMPUTE), flag, "ccs");
	CHECK_EQ(cycles(other, "bcs"), 0);
	uapi_close(other);
	client_fini(&c);
}

static void an_object_in_use_is_active(void)
{
	uint32_t vm, bo, done;
	struct drm_xe_sync signal;
	uint32_t *batch;
	atomic_uint *flag;

	client_init(&c, "bmg");
	vm = client_vm(&c, 0);
	bo = make(c.file, SZ_64K, BIT(MEM_VRAM), 0);
	make(c.file, SZ_64K, BIT(MEM_VRAM), 0); /* is not */
	done = client_syncobj(c.file, false);
	batch = client_cpu(&c, c.file, bo, SZ_64K);
	flag = (atomic_uint *)(batch + 1024);
	atomic_store(flag, 1);
	client_batch_spin(batch, SPIN_AT, SPIN_AT + 4096);
	CHECK_OK(client_map(&c, vm, bo, 0, SPIN_AT, SZ_64K));
	signal = client_signal(done);
	CHECK_OK(client_exec(c.file, client_queue(&c, vm, 0), SPIN_AT, &signal, 1));
	CHECK(says(c.file, "drm-total-vram0:\t128 KiB\n"));
	CHECK(says(c.file, "drm-active-vram0:\t64 KiB\n"));
	atomic_store(flag, 0);
	CHECK_OK(client_syncobj_wait(c.file, done, INT64_MAX));
	CHECK(says(c.file, "drm-active-vram0:\t0\n"));
	client_fini(&c);
}

static const struct test_case cases[] = {
	TEST(a_file_says_whose_it_is),
	TEST(objects_count_where_they_are),
	TEST(what_is_in_no_region_comes_first),
	TEST(an_object_of_two_files_is_shared),
	TEST(an_object_in_use_is_active),
	TEST(classes_of_engines_are_told),
	TEST(a_spinner_has_all_of_its_engine),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
