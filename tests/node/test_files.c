// SPDX-License-Identifier: MIT
/* The names of the device: /dev/dri, sysfs, debugfs, by every call that takes a name. */
#include "client.h"

#include <dirent.h>
#include <glob.h>
#include <limits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define CHAR "/sys/dev/char/226:0"

static void stat_of_nodes(void)
{
	struct stat st;

	CHECK_EQ(stat(CARD, &st), 0);
	CHECK_EQ(st.st_mode, S_IFCHR | 0666);
	CHECK_EQ(st.st_rdev, makedev(226, 0));
	CHECK_EQ(stat("/dev//dri/./renderD128", &st), 0);
	CHECK_EQ(st.st_rdev, makedev(226, 128));
	CHECK_EQ(stat("/dev/dri", &st), 0);
	CHECK(S_ISDIR(st.st_mode));
	CHECK_ERRNO(stat("/dev/dri/card1", &st), ENOENT);
	CHECK_EQ(access(CARD, R_OK | W_OK), 0);
	CHECK_ERRNO(access(CARD, X_OK), EACCES);
	CHECK_ERRNO(access("/dev/dri/card7", F_OK), ENOENT);
	CHECK_EQ(stat("/dev/null", &st), 0);
	CHECK_EQ(st.st_rdev, makedev(1, 3));
	CHECK_EQ(stat("/dev/dri/../null", &st), 0);
	CHECK_EQ(st.st_rdev, makedev(1, 3));
}

/* Which of the comma-separated @names are there? All of them, is the answer wanted. */
static bool lists(const char *dir, const char *names)
{
	DIR *stream = opendir(dir);
	const struct dirent *entry;
	char left[256];
	int missing = 1;

	snprintf(left, sizeof(left), ",%s,", names);
	for (const char *p = names; *p; p++) {
		missing += *p == ',';
	}
	while (stream && (entry = readdir(stream)) != NULL) {
		char name[300];

		snprintf(name, sizeof(name), ",%s,", entry->d_name);
		missing -= strstr(left, name) != NULL;
	}
	return stream && closedir(stream) == 0 && missing == 0;
}

static void directories(void)
{
	CHECK(lists("/dev/dri", ".,..,card0,renderD128,by-path"));
	CHECK(lists("/dev", "dri,null,zero"));
	CHECK(lists("/sys/class", "drm,tty"));
	CHECK(lists("/sys/class/drm", "card0,renderD128,version"));
	CHECK(lists(CHAR, "dev,device,subsystem,uevent"));
	CHECK(lists(CHAR "/device", "vendor,device,revision,uevent,drm,config,driver,subsystem"));
	CHECK(lists(CHAR "/device/drm", "card0,renderD128"));
	CHECK(lists("/sys/dev/char", "226:0,226:128,1:3"));
	CHECK_EQ(opendir("/dev/dri/nothing") == NULL, 1);
	CHECK_EQ(errno, ENOENT);
	CHECK_EQ(opendir(CARD) == NULL, 1);
	CHECK_EQ(errno, ENOTDIR);
}

static void directory_streams(void)
{
	DIR *stream = opendir("/dev/dri");
	int fd = dirfd(stream), n = 0, again, node;
	struct dirent *entry;
	long at;

	CHECK(fd >= 0);
	CHECK(readdir(stream));
	at = telldir(stream);
	entry = readdir(stream);
	seekdir(stream, at);
	CHECK_EQ(readdir(stream)->d_ino, entry->d_ino);
	rewinddir(stream);
	while (readdir(stream)) {
		n++;
	}
	CHECK_EQ(n, 5);
	node = openat(fd, "renderD128", O_RDWR);
	CHECK_EQ(client_version(node), 0);
	close(node);
	again = dup(fd);
	CHECK_EQ(closedir(stream), 0);
	CHECK_ERRNO(fcntl(fd, F_GETFD), EBADF);
	stream = fdopendir(again);
	CHECK(stream);
	CHECK_EQ(closedir(stream), 0);
	stream = opendir("/proc");
	CHECK(stream && readdir(stream) && closedir(stream) == 0);
}

static int is_card(const struct dirent *entry)
{
	return strncmp(entry->d_name, "card", 4) == 0;
}

static void scandir_and_glob(void)
{
	struct dirent **list;
	glob_t found;

	CHECK_EQ(scandir("/dev/dri", &list, is_card, alphasort), 1);
	CHECK_EQ(strcmp(list[0]->d_name, "card0"), 0);
	free(list[0]);
	free(list);
	CHECK_EQ(scandir("/dev/dri", &list, NULL, alphasort), 5);
	CHECK_EQ(strcmp(list[0]->d_name, "."), 0);
	CHECK_EQ(glob("/dev/dri/render*", 0, NULL, &found), 0);
	CHECK_EQ(found.gl_pathc, 1);
	CHECK_EQ(strcmp(found.gl_pathv[0], RENDER), 0);
	globfree(&found);
	CHECK_EQ(glob("/sys/class/drm/card*/device/vendor", 0, NULL, &found), 0);
	CHECK_EQ(found.gl_pathc, 1);
	globfree(&found);
	CHECK_EQ(glob("/dev/dri/nothing*", 0, NULL, &found), GLOB_NOMATCH);
}

static bool reads(int dirfd, const char *name, const char *expected)
{
	char buf[2048];
	int fd = openat(dirfd, name, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);

	close(fd);
	buf[n < 0 ? 0 : n] = '\0';
	return n >= 0 && strstr(buf, expected);
}

static void identity(void)
{
	char line[64] = "";
	FILE *stream;
	uint8_t config[64];
	int fd;

	CHECK(reads(AT_FDCWD, CHAR "/device/vendor", "0x8086\n"));
	CHECK(reads(AT_FDCWD, CHAR "/device/device", "0xe20b\n"));
	CHECK(reads(AT_FDCWD, CHAR "/device/uevent", "PCI_ID=8086:E20B\n"));
	CHECK(reads(AT_FDCWD, "/sys/dev/char/226:128/dev", "226:128\n"));
	CHECK(reads(AT_FDCWD, "/sys/class/drm/card0/device/revision", "0x00\n"));
	CHECK(reads(AT_FDCWD, "/sys/kernel/debug/dri/0/name", "xe dev=0000:03:00.0"));
	CHECK(reads(AT_FDCWD, "/sys/kernel/debug/dri/128/name", "xe dev=0000:03:00.0"));
	CHECK(reads(AT_FDCWD, "/sys/kernel/debug/dri/0/info", "graphics_verx100 2001\n"));
	CHECK(reads(AT_FDCWD, "/sys/kernel/debug/dri/0/info", "devid 0xe20b\n"));
	CHECK(reads(AT_FDCWD, "/sys/kernel/debug/dri/0/gt0/mocs", "\nGLOB_MOCS[ 0] = [0, 0, 3]"));
	CHECK(reads(AT_FDCWD, "/sys/kernel/debug/dri/0/gt0/mocs", "\nGLOB_MOCS[15] = [1, 0, 0]"));
	CHECK(access("/sys/kernel/debug/dri/0/gt0/force_reset", R_OK | W_OK) == 0);
	CHECK(reads(AT_FDCWD, "/sys/module/xe/initstate", "live\n"));
	CHECK(reads(AT_FDCWD, "/sys/bus/pci/drivers/xe/0000:03:00.0/class", "0x030000\n"));
	fd = open("/sys/bus/pci/devices/0000:03:00.0/config", O_RDONLY);
	CHECK_EQ(read(fd, config, sizeof(config)), sizeof(config));
	CHECK_EQ(config[0] | config[1] << 8, 0x8086);
	CHECK_EQ(config[2] | config[3] << 8, 0xe20b);
	close(fd);
	stream = fopen(CHAR "/device/subsystem_vendor", "re");
	CHECK(stream && fgets(line, sizeof(line), stream));
	CHECK_EQ(strcmp(line, "0x8086\n"), 0);
	fclose(stream);
	CHECK_ERRNO(open(CHAR "/device/vendor", O_WRONLY), EACCES);
	CHECK_EQ(fopen(CHAR "/device/nothing", "r") == NULL, 1);
	CHECK_ERRNO(getxattr(CARD, "user.x", line, sizeof(line)), ENODATA);
}

#define RCS CHAR "/device/tile0/gt0/engines/rcs"

/* Numbers of the device that root may change; a read says what was so when it was opened. */
static void attributes(void)
{
	const char *name = RCS "/timeslice_duration_us";
	bool root = geteuid() == 0;
	struct stat st;
	char line[32];
	FILE *stream;
	int fd;

	CHECK(lists(CHAR "/device/tile0/gt0/engines", ".,..,rcs,bcs,vcs,ccs"));
	CHECK(lists(RCS, ".defaults,job_timeout_ms,job_timeout_min,job_timeout_max,"
			 "timeslice_duration_us,preempt_timeout_us"));
	CHECK(reads(AT_FDCWD, "/sys/class/drm/card0/device/tile0/gt0/engines/rcs/job_timeout_ms",
		    "5000\n"));
	CHECK(reads(AT_FDCWD, name, "1000\n"));
	CHECK_EQ(stat(name, &st), 0);
	CHECK_EQ(st.st_mode, S_IFREG | 0644);
	CHECK_EQ(access(name, W_OK), root ? 0 : -1);
	CHECK_EQ(stat(RCS "/.defaults/timeslice_duration_us", &st), 0);
	CHECK_EQ(st.st_mode, S_IFREG | 0444);
	CHECK_ERRNO(open(RCS "/.defaults/timeslice_duration_us", O_WRONLY), EACCES);
	fd = open(name, O_RDONLY);
	CHECK_ERRNO(write(fd, "5", 1), EBADF);
	CHECK_EQ(close(fd), 0);
	fd = open(name, O_WRONLY | O_TRUNC);
	CHECK_EQ(fd >= 0, root);
	if (root) {
		CHECK_EQ(write(fd, "2000\n", 5), 5);
		CHECK(reads(AT_FDCWD, name, "2000\n"));
		CHECK_ERRNO(write(fd, "0", 1), EINVAL);
		CHECK_ERRNO(write(fd, "9999999999", 10), ERANGE);
		CHECK(reads(AT_FDCWD, name, "2000\n"));
		CHECK_EQ(close(fd), 0);
		/* What libc writes by itself does not get there, and says so. */
		stream = fopen(name, "w");
		CHECK(stream && fputs("3000", stream) > 0 && fclose(stream) != 0);
		CHECK(reads(AT_FDCWD, name, "2000\n"));
	}
	stream = fopen(name, "r");
	CHECK(stream && fgets(line, sizeof(line), stream) && fclose(stream) == 0);
	CHECK_EQ(atoi(line), root ? 2000 : 1000);
}

#define DRIVER "/sys/bus/pci/drivers/xe"
#define DEBUG "/sys/kernel/debug/dri/0"

static int write_text(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY), n;

	CHECK(fd >= 0);
	n = (int)write(fd, text, strlen(text));
	close(fd);
	return n == (int)strlen(text) ? 0 : -1;
}

/* Wedged by a reset that fails; the way out is to bind the driver anew. */
static void driver(void)
{
	bool root = geteuid() == 0;
	struct stat st;
	int fd, after;

	CHECK(lists(DRIVER, ".,..,bind,unbind,module,0000:03:00.0"));
	CHECK(lists("/sys/module/xe/drivers/pci:xe", "bind,unbind"));
	CHECK_EQ(stat(DRIVER "/unbind", &st), 0);
	CHECK_EQ(st.st_mode, S_IFREG | 0200);
	CHECK_ERRNO(open(DRIVER "/unbind", O_RDONLY), EACCES);
	CHECK_EQ(stat(CHAR "/device/resource0", &st), 0);
	CHECK_EQ(st.st_size, 16 << 20);
	if (!root) {
		CHECK_ERRNO(open(DRIVER "/unbind", O_WRONLY), EACCES);
		CHECK_ERRNO(open(CHAR "/device/resource0", O_RDWR), EACCES);
		return;
	}
	fd = client_open(RENDER);
	CHECK_ERRNO(write_text(DRIVER "/bind", "0000:03:00.0"), EBUSY);
	CHECK(reads(AT_FDCWD, DEBUG "/wedged_mode", "1\n"));
	CHECK_EQ(write_text(DEBUG "/fail_gt_reset/probability", "100"), 0);
	CHECK_EQ(write_text(DEBUG "/fail_gt_reset/times", "1"), 0);
	CHECK_EQ(close(open(DEBUG "/gt0/force_reset", O_RDONLY)), 0);
	CHECK_EQ(client_version(fd), -ECANCELED);
	CHECK_ERRNO(write_text(DRIVER "/unbind", "0000:03:00.1"), ENODEV);
	CHECK_ERRNO(write_text(DRIVER "/unbind", "0000:03:00.0 "), ENODEV);
	CHECK_EQ(write_text(DRIVER "/unbind", "0000:03:00.0\n"), 0);
	CHECK_ERRNO(open(RENDER, O_RDWR), ENODEV);
	CHECK_EQ(write_text(DRIVER "/bind", "0000:03:00.0"), 0);
	CHECK_EQ(client_version(fd), -ENODEV);
	after = client_open(RENDER);
	CHECK_EQ(client_version(after), 0);
	close(after);
	close(fd);
}

/* How many threads of the device are there, that run on just the first CPU? */
static unsigned workers_on_the_first(unsigned *others_out)
{
	DIR *dir = opendir("/proc/self/task");
	const struct dirent *entry;
	unsigned n = 0;

	*others_out = 0;
	while ((entry = readdir(dir))) {
		cpu_set_t set;
		char path[64];

		snprintf(path, sizeof(path), "/proc/self/task/%.16s/comm", entry->d_name);
		if (reads(AT_FDCWD, path, "vmbind-work\n") &&
		    sched_getaffinity(atoi(entry->d_name), sizeof(set), &set) == 0) {
			bool first = CPU_COUNT(&set) == 1 && CPU_ISSET(0, &set);

			n += first;
			*others_out += !first;
		}
	}
	closedir(dir);
	return n;
}

/* Where work in the background is done: what is written holds for the device, not for the host. */
static void cpus(void)
{
	const char *name = "/sys/devices/virtual/workqueue/cpumask";
	static const char *const wrong[] = {
		"\n", "g", "1,", ",1", "0x1", "1 ", "0", "00000000,0",
	};
	char before[320];
	unsigned others;
	int fd, n;

	CHECK(lists("/sys/devices/virtual/workqueue", ".,..,cpumask"));
	CHECK(lists("/sys/devices/virtual", "workqueue,mem"));
	fd = open(name, O_RDONLY);
	n = (int)read(fd, before, sizeof(before) - 1);
	CHECK(n > 1 && before[n - 1] == '\n');
	before[n] = '\0';
	CHECK_ERRNO(write(fd, "1", 1), EBADF);
	close(fd);
	if (geteuid() != 0) {
		CHECK_ERRNO(open(name, O_WRONLY), EACCES);
		return;
	}
	fd = client_open(RENDER);
	CHECK_EQ(write_text(name, "1\n"), 0);
	CHECK(reads(AT_FDCWD, name, "1\n"));
	/* One that is just starting takes it over when it runs. */
	while (workers_on_the_first(&others) != 2 || others) {
		sched_yield();
	}
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		CHECK_ERRNO(write_text(name, wrong[i]), EINVAL);
	}
	CHECK_ERRNO(write_text(name, "123456789"), EOVERFLOW);
	CHECK(reads(AT_FDCWD, name, "1\n"));
	CHECK_EQ(write_text(name, "FfFf,ffffffff"), 0);
	CHECK(reads(AT_FDCWD, name, before));
	close(fd);
}

/* By every name that leads there; the kernel's own lines come first. */
static void fdinfo(void)
{
	int fd = client_open(RENDER), plain, dir = open("/proc/self/fdinfo", O_DIRECTORY);
	char number[16], name[64];

	client_bo(fd, 64 * KIB);
	snprintf(number, sizeof(number), "%d", fd);
	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", fd);
	CHECK(reads(AT_FDCWD, name, "pos:\t"));
	CHECK(reads(AT_FDCWD, name, "\ndrm-driver:\txe\n"));
	CHECK(reads(AT_FDCWD, name, "\ndrm-total-gtt:\t64 KiB\n"));
	snprintf(name, sizeof(name), "/proc/%d/fdinfo/%d", (int)getpid(), fd);
	CHECK(reads(AT_FDCWD, name, "\ndrm-total-gtt:\t64 KiB\n"));
	CHECK(reads(dir, number, "\ndrm-total-gtt:\t64 KiB\n"));
	client_bo(fd, 64 * KIB);
	CHECK(reads(dir, number, "\ndrm-total-gtt:\t128 KiB\n"));
	close(dir);
	/* Others are the kernel's, and so is what other directories have. */
	plain = open("/dev/null", O_RDONLY);
	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", plain);
	CHECK(reads(AT_FDCWD, name, "pos:\t"));
	CHECK(!reads(AT_FDCWD, name, "drm"));
	close(plain);
	dir = open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
	CHECK(reads(dir, number, ""));
	CHECK(!reads(dir, number, "drm-"));
	close(dir);
	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", fd);
	close(fd);
	CHECK_ERRNO(open(name, O_RDONLY), ENOENT);
}

static void links(void)
{
	char buf[PATH_MAX] = "", *resolved;
	struct stat st;

	CHECK(readlink(CHAR "/device/subsystem", buf, sizeof(buf)) > 0);
	CHECK_EQ(strcmp(strrchr(buf, '/'), "/pci"), 0);
	memset(buf, 0, sizeof(buf));
	CHECK(readlink(CHAR "/device/driver", buf, sizeof(buf)) > 0);
	CHECK_EQ(strcmp(strrchr(buf, '/'), "/xe"), 0);
	CHECK(realpath(CHAR "/device/subsystem", buf));
	CHECK_EQ(strcmp(buf, "/sys/bus/pci"), 0);
	resolved = realpath("/sys/class/drm/renderD128", NULL);
	CHECK(resolved);
	CHECK_EQ(strcmp(resolved, "/sys/devices/pci0000:00/0000:03:00.0/drm/renderD128"), 0);
	free(resolved);
	CHECK_EQ(lstat(CHAR, &st), 0);
	CHECK(S_ISLNK(st.st_mode));
	CHECK_EQ(stat(CHAR, &st), 0);
	CHECK(S_ISDIR(st.st_mode));
	CHECK_ERRNO(open("/sys/class/drm/card0", O_RDONLY | O_NOFOLLOW), ELOOP);
	CHECK_ERRNO(readlink(CARD, buf, sizeof(buf)), EINVAL);
	CHECK_EQ(stat("/dev/dri/by-path/pci-0000:03:00.0-render", &st), 0);
	CHECK_EQ(st.st_rdev, makedev(226, 128));
	CHECK_EQ(stat(CHAR "/device/subsystem/devices/0000:03:00.0/vendor", &st), 0);
	CHECK_ERRNO(stat(CHAR "/device/vendor/more", &st), ENOTDIR);
}

/* From directory to directory, as libudev walks. */
static void relative_to_directories(void)
{
	int sys = open("/sys", O_RDONLY | O_DIRECTORY), class, device, path;
	char buf[64] = "";
	struct stat st;

	CHECK(sys >= 0);
	class = openat(sys, "class", O_PATH | O_DIRECTORY);
	CHECK(class >= 0);
	CHECK(reads(class, "drm/card0/device/vendor", "0x8086"));
	CHECK_EQ(readlinkat(class, "drm/card0/device/driver", buf, sizeof(buf)), 27);
	device = openat(class, "drm/card0/device", O_RDONLY);
	CHECK(device >= 0);
	CHECK(reads(device, "uevent", "DRIVER=xe"));
	CHECK(reads(device, "../../pci0000:00/0000:03:00.0/device", "0xe20b"));
	CHECK_EQ(faccessat(device, "drm", F_OK, 0), 0);
	CHECK_EQ(fstatat(device, "driver", &st, AT_SYMLINK_NOFOLLOW), 0);
	CHECK(S_ISLNK(st.st_mode));
	CHECK_EQ(fstat(device, &st), 0);
	CHECK(S_ISDIR(st.st_mode));
	path = open(CARD, O_PATH);
	CHECK_EQ(fstat(path, &st), 0);
	CHECK_EQ(st.st_rdev, makedev(226, 0));
	CHECK_EQ(chdir("/dev"), 0);
	CHECK_EQ(stat("dri/card0", &st), 0);
	CHECK_EQ(stat("../dev/dri/card0", &st), 0);
	CHECK_EQ(stat("null", &st), 0);
	CHECK_EQ(chdir("/"), 0);
	CHECK_EQ(stat("dev/dri/card0", &st), 0);
	CHECK_ERRNO(stat("dri/card0", &st), ENOENT);
	close(sys);
	close(class);
	close(device);
	close(path);
}

static void long_and_odd_names(void)
{
	char name[2 * PATH_MAX];
	struct stat st;

	memset(name, 'x', sizeof(name));
	memcpy(name, "/dev/dri/", 9);
	name[9 + NAME_MAX + 1] = '\0';
	CHECK_ERRNO(stat(name, &st), ENAMETOOLONG);
	memset(name, '/', sizeof(name));
	memcpy(name, "/dev/", 5);
	name[sizeof(name) - 1] = '\0';
	CHECK_ERRNO(stat(name, &st), ENAMETOOLONG);
	CHECK_ERRNO(stat("", &st), ENOENT);
	CHECK_ERRNO(open("", O_RDONLY), ENOENT);
	CHECK_ERRNO(access("/sys/devices/nothing/../class/drm", F_OK), ENOENT);
}

static int write_one(const char *name, int flags)
{
	int fd = open(name, flags, 0600), ret = fd < 0 ? -errno : 0;

	if (!ret && write(fd, "1", 1) != 1) {
		ret = -errno;
	}
	close(fd);
	return ret;
}

/* What a test program does to its machine as root does not reach it. */
static void host_is_spared(void)
{
	char before[32] = "", after[32] = "";
	FILE *stream = fopen("/proc/self/oom_score_adj", "r");

	CHECK(stream && fgets(before, sizeof(before), stream) && fclose(stream) == 0);
	CHECK_EQ(write_one("/dev/kmsg", O_WRONLY | O_CREAT | O_TRUNC), 0);
	CHECK_EQ(write_one("/proc/self/oom_score_adj", O_WRONLY), 0);
	CHECK_EQ(write_one("/proc/sys/kernel/ftrace_dump_on_oops", O_RDWR), 0);
	CHECK_EQ(write_one("/sys/class/vtconsole/vtcon0/bind", O_WRONLY), 0);
	CHECK_EQ(write_one("/sys/kernel/debug/tracing/trace_marker", O_WRONLY), 0);
	stream = fopen("/proc/self/oom_score_adj", "w");
	CHECK(stream && fputs("1000", stream) > 0 && fclose(stream) == 0);
	stream = fopen("/proc/self/oom_score_adj", "r");
	CHECK(stream && fgets(after, sizeof(after), stream) && fclose(stream) == 0);
	CHECK_EQ(strcmp(before, after), 0);
	CHECK_EQ(mount("debug", "/sys/kernel/debug", "debugfs", 0, NULL), 0);
}

static const struct client_case cases[] = {
	CASE(stat_of_nodes),
	CASE(directories),
	CASE(directory_streams),
	CASE(scandir_and_glob),
	CASE(identity),
	CASE(attributes),
	CASE(cpus),
	CASE(driver),
	CASE(fdinfo),
	CASE(links),
	CASE(relative_to_directories),
	CASE(long_and_odd_names),
	CASE(host_is_spared),
};

int main(void)
{
	return client_main(cases, sizeof(cases) / sizeof(cases[0]));
}
