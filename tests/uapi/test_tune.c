// SPDX-License-Identifier: MIT
/* Files that tune the scheduling of a class of engines: what they say and take, whom they bind. */
#include "client.h"

#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CCS "tile0/gt0/engines/ccs/"
#define TIMESLICE 1 /* DRM_XE_EXEC_QUEUE_SET_PROPERTY_TIMESLICE */

static struct client c;

/* The file of that name, or -1. */
static int find(const char *path, bool *writable_out)
{
	struct uapi_attr attr;

	for (unsigned i = 0; uapi_attr_find(c.device, i, &attr); i++) {
		if (strcmp(attr.path, path) == 0) {
			*writable_out = attr.writable;
			return (int)i;
		}
	}
	return -1;
}

static bool says(const char *path, const char *line)
{
	char text[UAPI_ATTR_B + 1];
	bool writable;
	int index = find(path, &writable), n;

	CHECK(index >= 0);
	n = uapi_attr_show(c.device, (unsigned)index, text);
	CHECK(n > 0 && n <= UAPI_ATTR_B);
	text[n] = '\0';
	return strcmp(text, line) == 0;
}

static int store(const char *path, const char *text)
{
	bool writable;
	int index = find(path, &writable);

	CHECK(index >= 0 && writable);
	return uapi_attr_store(c.device, (unsigned)index, PTR(text), strlen(text));
}

static void each_class_has_its_files(void)
{
	static const char *const classes[] = { "rcs", "bcs", "vcs", "ccs" };
	static const struct {
		const char *name, *line;
	} files[] = {
		{ "job_timeout_ms", "5000\n" },
		{ "job_timeout_min", "1\n" },
		{ "job_timeout_max", "10000\n" },
		{ "timeslice_duration_us", "1000\n" },
		{ "timeslice_duration_min", "1\n" },
		{ "timeslice_duration_max", "10000000\n" },
		{ "preempt_timeout_us", "640000\n" },
		{ "preempt_timeout_min", "1\n" },
		{ "preempt_timeout_max", "10000000\n" },
	};
	struct uapi_attr attr;
	char path[96];
	bool writable;
	unsigned n = 0;

	client_init(&c, "bmg");
	for (unsigned i = 0; i < ARRAY_LEN(classes) * ARRAY_LEN(files); i++) {
		const char *class = classes[i / ARRAY_LEN(files)];

		snprintf(path, sizeof(path), "tile0/gt0/engines/%s/%s", class,
			 files[i % ARRAY_LEN(files)].name);
		CHECK(says(path, files[i % ARRAY_LEN(files)].line));
		CHECK(find(path, &writable) >= 0 && writable);
		snprintf(path, sizeof(path), "tile0/gt0/engines/%s/.defaults/%s", class,
			 files[i % ARRAY_LEN(files)].name);
		CHECK(says(path, files[i % ARRAY_LEN(files)].line));
		CHECK(find(path, &writable) >= 0 && !writable);
	}
	for (unsigned i = 0; uapi_attr_find(c.device, i, &attr); i++) {
		n += !attr.debugfs;
	}
	CHECK_EQ(n, 2 * ARRAY_LEN(classes) * ARRAY_LEN(files)); /* none of video enhancement */
	client_fini(&c);
}

static void values_stay_between_their_limits(void)
{
	client_init(&c, "bmg");
	CHECK_OK(store(CCS "timeslice_duration_us", "10000000"));
	CHECK(says(CCS "timeslice_duration_us", "10000000\n"));
	CHECK_ERR(store(CCS "timeslice_duration_us", "10000001"), -EINVAL);
	CHECK_ERR(store(CCS "timeslice_duration_us", "0"), -EINVAL);
	CHECK(says(CCS "timeslice_duration_us", "10000000\n"));
	/* Another class, and what was there at the start, are as they were. */
	CHECK(says("tile0/gt0/engines/rcs/timeslice_duration_us", "1000\n"));
	CHECK(says(CCS ".defaults/timeslice_duration_us", "1000\n"));
	/* Narrower limits, which a value from before may be outside of. */
	CHECK_OK(store(CCS "timeslice_duration_max", "500"));
	CHECK_OK(store(CCS "timeslice_duration_min", "100"));
	CHECK(says(CCS "timeslice_duration_us", "10000000\n"));
	CHECK_ERR(store(CCS "timeslice_duration_us", "501"), -EINVAL);
	CHECK_ERR(store(CCS "timeslice_duration_us", "99"), -EINVAL);
	CHECK_OK(store(CCS "timeslice_duration_us", "500"));
	CHECK_OK(store(CCS "timeslice_duration_us", "100"));
	/* A limit stays within the driver's, and on its side of the other one. */
	CHECK_ERR(store(CCS "timeslice_duration_max", "99"), -EINVAL);
	CHECK_ERR(store(CCS "timeslice_duration_min", "501"), -EINVAL);
	CHECK_ERR(store(CCS "timeslice_duration_max", "10000001"), -EINVAL);
	CHECK_ERR(store(CCS "timeslice_duration_min", "0"), -EINVAL);
	CHECK_OK(store(CCS "timeslice_duration_max", "10000000"));
	client_fini(&c);
}

static void what_is_written_is_one_number(void)
{
	static const char *const bad[] = { "", "\n", "+", "-1", " 1", "1 ", "1\n\n", "0x", "08",
					   "1a", "garbage", "1.5", "++1" };
	static const char *const large[] = { "4294967296", "0x100000000",
					     "99999999999999999999999999999999999999" };
	char many[80];
	bool writable;

	client_init(&c, "bmg");
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		CHECK_ERR(store(CCS "job_timeout_ms", bad[i]), -EINVAL);
	}
	for (unsigned i = 0; i < ARRAY_LEN(large); i++) {
		CHECK_ERR(store(CCS "job_timeout_ms", large[i]), -ERANGE);
	}
	memset(many, '0', sizeof(many));
	many[sizeof(many) - 1] = '\0';
	CHECK_ERR(store(CCS "job_timeout_ms", many), -EINVAL);
	CHECK(says(CCS "job_timeout_ms", "5000\n"));
	CHECK_OK(store(CCS "job_timeout_ms", "+7\n"));
	CHECK(says(CCS "job_timeout_ms", "7\n"));
	CHECK_OK(store(CCS "job_timeout_ms", "010"));
	CHECK(says(CCS "job_timeout_ms", "8\n"));
	CHECK_OK(store(CCS "job_timeout_ms", "0X1f"));
	CHECK(says(CCS "job_timeout_ms", "31\n"));
	CHECK_OK(uapi_attr_store(c.device, (unsigned)find(CCS "job_timeout_ms", &writable),
				 PTR("12\0" "3"), 4));
	CHECK(says(CCS "job_timeout_ms", "12\n"));
	CHECK_ERR(uapi_attr_store(c.device, 0, CLIENT_BAD, 1), -EFAULT);
	client_fini(&c);
}

/* Takes the right to raise priorities from this thread, or gives it back. */
static void privileged(bool on)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };
	struct __user_cap_data_struct *word = &data[CAP_TO_INDEX(CAP_SYS_NICE)];

	CHECK_OK((int)syscall(SYS_capget, &header, data));
	word->effective &= ~CAP_TO_MASK(CAP_SYS_NICE);
	word->effective |= on ? word->permitted & CAP_TO_MASK(CAP_SYS_NICE) : 0;
	CHECK_OK((int)syscall(SYS_capset, &header, data));
}

static int queue_with_timeslice(uint16_t class, uint64_t us)
{
	struct drm_xe_engine_class_instance eci = { class, 0, 0, 0 };
	struct drm_xe_ext_set_property ext = { .property = TIMESLICE, .value = us };
	struct drm_xe_exec_queue_create args = { .width = 1, .num_placements = 1,
						 .vm_id = client_vm(&c, 0),
						 .instances = PTR(&eci),
						 .extensions = PTR(&ext) };

	return IOCTL(c.file, XE_EXEC_QUEUE_CREATE, &args);
}

/* Binds are done by the copy engine. */
static void the_limits_bind_who_has_no_privilege(void)
{
	int outside;

	client_init(&c, "bmg");
	CHECK_OK(store("tile0/gt0/engines/bcs/timeslice_duration_max", "500"));
	CHECK_OK(store("tile0/gt0/engines/bcs/timeslice_duration_min", "100"));
	for (int on = 1; on >= 0; on--) {
		privileged(on);
		outside = port_client_may_raise_priority() ? 0 : -EINVAL;
		CHECK_OK(queue_with_timeslice(DRM_XE_ENGINE_CLASS_COPY, 100));
		CHECK_OK(queue_with_timeslice(DRM_XE_ENGINE_CLASS_COPY, 500));
		CHECK_ERR(queue_with_timeslice(DRM_XE_ENGINE_CLASS_COPY, 99), outside);
		CHECK_ERR(queue_with_timeslice(DRM_XE_ENGINE_CLASS_COPY, 501), outside);
		CHECK_ERR(queue_with_timeslice(DRM_XE_ENGINE_CLASS_VM_BIND, 501), outside);
		CHECK_OK(queue_with_timeslice(DRM_XE_ENGINE_CLASS_RENDER, 501));
		CHECK_ERR(queue_with_timeslice(DRM_XE_ENGINE_CLASS_COPY, 10000001), -EINVAL);
		CHECK_ERR(queue_with_timeslice(DRM_XE_ENGINE_CLASS_COPY, 0), -EINVAL);
	}
	privileged(true);
	client_fini(&c);
}

static const struct test_case cases[] = {
	TEST(each_class_has_its_files),
	TEST(values_stay_between_their_limits),
	TEST(what_is_written_is_one_number),
	TEST(the_limits_bind_who_has_no_privilege),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
