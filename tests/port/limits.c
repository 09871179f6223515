// SPDX-License-Identifier: MIT
/* What the host has, as files below a directory say it. */
#include "port/posix.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB ((uint64_t)1 << 20)

static char root[64];

static void put(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		mkdir(path, 0700);
		*slash = '/';
	}
	f = fopen(path, "w");
	CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void begin(const char *groups)
{
	strcpy(root, "/tmp/vmbind-limits-XXXXXX");
	CHECK(mkdtemp(root));
	put("proc/meminfo", "MemTotal: 9000000 kB\nMemFree: 1 kB\nMemAvailable:    8388608 kB\n");
	put("proc/self/cgroup", groups);
}

static void end(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", root);
	CHECK_EQ(system(command), 0);
}

static uint64_t mib(void)
{
	CHECK(is_aligned(posix_host_memory_B(root), MIB));
	return posix_host_memory_B(root) / MIB;
}

static void without_limits_it_is_what_is_available(void)
{
	begin("");
	CHECK_EQ(mib(), 8192);
	put("proc/self/cgroup", "0::/\n4:memory:/\n");
	CHECK_EQ(mib(), 8192);
	put("sys/fs/cgroup/memory.max", "max\n");
	put("sys/fs/cgroup/memory.current", "999999999\n");
	CHECK_EQ(mib(), 8192);
	put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
	CHECK_EQ(mib(), 8192);
	end();
}

/* As in a container, whose own group is the root of what it sees. */
static void a_limit_leaves_what_is_not_used(void)
{
	begin("0::/outside/box\n");
	put("sys/fs/cgroup/memory.max", "4294967296\n");
	CHECK_EQ(mib(), 4096);
	put("sys/fs/cgroup/memory.current", "1073741824\n");
	CHECK_EQ(mib(), 3072);
	put("sys/fs/cgroup/memory.stat",
	    "anon 1\ninactive_file 268435456\nactive_file 268435456\n");
	CHECK_EQ(mib(), 3584);
	put("sys/fs/cgroup/memory.current", "5294967296\n");
	CHECK_EQ(mib(), 0);
	put("sys/fs/cgroup/memory.max", "94294967296\n");
	CHECK_EQ(mib(), 8192);
	end();
}

static void every_group_around_it_counts(void)
{
	begin("0::/a/b\n");
	put("sys/fs/cgroup/a/b/memory.max", "4294967296\n");
	CHECK_EQ(mib(), 4096);
	put("sys/fs/cgroup/a/memory.max", "1073741824\n");
	CHECK_EQ(mib(), 1024);
	put("sys/fs/cgroup/a/c/memory.max", "1048576\n"); /* somebody else's */
	CHECK_EQ(mib(), 1024);
	end();
}

static void the_first_kind_of_groups(void)
{
	begin("5:devices:/d\n4:memory:/m\n0::/\n");
	put("sys/fs/cgroup/memory/m/memory.limit_in_bytes", "2147483648\n");
	put("sys/fs/cgroup/memory/m/memory.usage_in_bytes", "1073741824\n");
	put("sys/fs/cgroup/memory/m/memory.stat",
	    "inactive_file 5\ntotal_inactive_file 536870912\ntotal_active_file 0\n");
	CHECK_EQ(mib(), 1536);
	end();
}

static const struct test_case cases[] = {
	TEST(without_limits_it_is_what_is_available),
	TEST(a_limit_leaves_what_is_not_used),
	TEST(every_group_around_it_counts),
	TEST(the_first_kind_of_groups),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
