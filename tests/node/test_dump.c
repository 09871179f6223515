// SPDX-License-Identifier: MIT
/*
 * Error dumps as files: where clients of each driver look for them, what reads and writes do. What
 * is in them tests/uapi/test_dump.c knows; here some words of a marked mapping are looked for.
 */
#include "client.h"

#include "uapi/i915_drm.h"

#include <dirent.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define BO_B (64 * KIB)
#define ADDR (1u << 30)
#define BAD_COMMAND 0x7f000000u
#define MARK_AT 1024 /* in words */

#define ERROR_FILE "/sys/class/drm/card0/error"
#define DEBUG_FILE "/sys/kernel/debug/dri/0/i915_error_state"
#define CORE "/sys/class/drm/card0/device/devcoredump"
#define CLASS "/sys/class/devcoredump"
#define VIRTUAL "/sys/devices/virtual/devcoredump/devcd1"
#define NO_ERROR "No error state collected\n"

static const uint32_t mark[] = { 0xdeadbeef, 0x12345678, 0x0badcafe, 0x7fffffff };

/* The words above as both forms of a dump write them. */
static const char *mark_text(void)
{
	static char text[5 * sizeof(mark) / 4 + 1];

	for (size_t i = 0; i < sizeof(mark) / 4; i++) {
		uint32_t word = mark[i];

		for (int k = 4; k >= 0; k--) {
			text[5 * i + (size_t)k] = (char)('!' + word % 85);
			word /= 85;
		}
	}
	return text;
}

/* All of a file, or NULL; to be freed. */
static char *contents(const char *name)
{
	FILE *stream = fopen(name, "r");
	size_t room = 1 << 20, n;
	char *text = stream ? malloc(room) : NULL;

	if (!stream) {
		return NULL;
	}
	n = fread(text, 1, room - 1, stream);
	CHECK(n < room - 1 && !ferror(stream));
	text[n] = '\0';
	fclose(stream);
	return text;
}

static bool reads(const char *name, const char *start, const char *within)
{
	char *text = contents(name);
	bool is = text && strncmp(text, start, strlen(start)) == 0 && strstr(text, within);

	free(text);
	return is;
}

static int write_to(const char *name)
{
	int fd = open(name, O_WRONLY | O_CLOEXEC), ret;

	if (fd < 0) {
		return -errno;
	}
	ret = write(fd, "1", 1) == 1 ? 0 : -errno;
	close(fd);
	return ret;
}

static bool is_listed(const char *dir, const char *name)
{
	DIR *stream = opendir(dir);
	const struct dirent *entry;
	bool is = false;

	CHECK(stream != NULL);
	while ((entry = readdir(stream)) != NULL) {
		is |= strcmp(entry->d_name, name) == 0;
	}
	closedir(stream);
	return is;
}

static void fill(int fd, uint64_t offset)
{
	uint32_t *words = mmap(NULL, BO_B, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);

	CHECK(words != MAP_FAILED);
	words[0] = BAD_COMMAND;
	memcpy(words + MARK_AT, mark, sizeof(mark));
	munmap(words, BO_B);
}

/* ---- Xe -------------------------------------------------------------------------------------- */

/* A file with an address space whose one mapping is marked, and a bad batch. */
static int xe_place(uint32_t *vm_out)
{
	struct drm_xe_vm_create vm = { 0 };
	int fd = client_open(RENDER);
	uint32_t bo = client_bo(fd, BO_B);
	struct drm_xe_vm_bind bind = {
		.num_binds = 1,
		.bind = { .obj = bo, .pat_index = 2, .range = BO_B, .addr = ADDR,
			  .op = DRM_XE_VM_BIND_OP_MAP, .flags = DRM_XE_VM_BIND_FLAG_DUMPABLE },
	};

	CHECK_EQ(ioctl(fd, DRM_IOCTL_XE_VM_CREATE, &vm), 0);
	fill(fd, client_mmap_offset(fd, bo));
	bind.vm_id = vm.vm_id;
	CHECK_EQ(ioctl(fd, DRM_IOCTL_XE_VM_BIND, &bind), 0);
	*vm_out = vm.vm_id;
	return fd;
}

static void xe_lose(int fd, uint32_t vm)
{
	struct drm_xe_engine_class_instance engine = { .engine_class = DRM_XE_ENGINE_CLASS_COPY };
	struct drm_xe_exec_queue_create queue = { .width = 1, .num_placements = 1, .vm_id = vm,
						  .instances = (uintptr_t)&engine };
	struct drm_xe_sync sync = {
		.type = DRM_XE_SYNC_TYPE_SYNCOBJ, .flags = DRM_XE_SYNC_FLAG_SIGNAL,
		.handle = client_syncobj(fd),
	};
	struct drm_xe_exec exec = { .num_batch_buffer = 1, .address = ADDR, .num_syncs = 1,
				    .syncs = (uintptr_t)&sync };

	CHECK_EQ(ioctl(fd, DRM_IOCTL_XE_EXEC_QUEUE_CREATE, &queue), 0);
	exec.exec_queue_id = queue.exec_queue_id;
	CHECK_EQ(ioctl(fd, DRM_IOCTL_XE_EXEC, &exec), 0);
	CHECK_EQ(client_syncobj_wait(fd, sync.handle, INT64_MAX), 0);
}

static void check_absent(void)
{
	struct stat st;

	CHECK_ERRNO(stat(CORE, &st), ENOENT);
	CHECK_ERRNO(stat(CLASS "/devcd1/data", &st), ENOENT);
	CHECK_ERRNO(open(CORE "/data", O_RDONLY), ENOENT);
	CHECK_EQ(write_to(CORE "/data"), -ENOENT);
	CHECK(!is_listed(CLASS, "devcd1"));
	CHECK(!is_listed("/sys/class/drm/card0/device", "devcoredump"));
}

static void test_B07_devcoredump_is_there_after_an_error(void)
{
	static const char *const names[] = { CORE "/data", CLASS "/devcd1/data", VIRTUAL "/data" };
	static const char title[] = "**** Xe Device Coredump ****\nReason: bad batch on bcs0\n";
	char first[sizeof(title)] = "", id[16] = "";
	struct stat st;
	uint32_t vm;
	int fd, open_fd;
	FILE *device;

	fd = xe_place(&vm);
	check_absent();
	CHECK_ERRNO(stat(ERROR_FILE, &st), ENOENT);
	xe_lose(fd, vm);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		CHECK(reads(names[i], title, mark_text()));
		CHECK_EQ(stat(names[i], &st), 0);
		CHECK(S_ISREG(st.st_mode));
	}
	CHECK(is_listed(CLASS, "devcd1"));
	CHECK(is_listed("/sys/class/drm/card0/device", "devcoredump"));
	CHECK(is_listed(CORE, "data"));
	device = fopen(CLASS "/devcd1/failing_device/vendor", "r");
	CHECK(device && fgets(id, sizeof(id), device) && fclose(device) == 0);
	CHECK_EQ(strcmp(id, "0x8086\n"), 0);
	/* Who reads goes on reading what it has opened. */
	open_fd = open(names[0], O_RDWR);
	CHECK(open_fd >= 0);
	CHECK_EQ(write(open_fd, "anything", 8), 8);
	check_absent();
	CHECK_EQ(pread(open_fd, first, strlen(title), 0), (long)strlen(title));
	CHECK_EQ(strcmp(first, title), 0);
	CHECK_EQ(close(open_fd), 0);
	/* And the next error is told again. */
	xe_lose(fd, vm);
	CHECK(reads(names[1], title, mark_text()));
	open_fd = open(names[1], O_RDONLY);
	CHECK_ERRNO(write(open_fd, "1", 1), EBADF);
	CHECK_EQ(close(open_fd), 0);
	CHECK_EQ(write_to(names[2]), 0);
	check_absent();
	close(fd);
}

/* ---- i915 ------------------------------------------------------------------------------------ */

static void i915_lose(void)
{
	struct drm_i915_gem_vm_control vm = { .flags = I915_VM_CREATE_FLAGS_USE_VM_BIND };
	struct drm_i915_gem_create_ext bo = { .size = BO_B };
	struct drm_i915_gem_mmap_offset map = { .flags = I915_MMAP_OFFSET_FIXED };
	/* No extensions, and one engine. */
	struct {
		uint64_t extensions;
		struct i915_engine_class_instance engine;
	} engines = { .engine = { I915_ENGINE_CLASS_COPY, 0 } };
	struct drm_i915_gem_context_create_ext_setparam set_engines = {
		.base.name = I915_CONTEXT_CREATE_EXT_SETPARAM,
		.param = { .param = I915_CONTEXT_PARAM_ENGINES, .size = 12,
			   .value = (uintptr_t)&engines },
	};
	struct drm_i915_gem_context_create_ext_setparam set_vm = {
		.base = { .name = I915_CONTEXT_CREATE_EXT_SETPARAM,
			  .next_extension = (uintptr_t)&set_engines },
		.param = { .param = I915_CONTEXT_PARAM_VM },
	};
	struct drm_i915_gem_context_create_ext ctx = {
		.flags = I915_CONTEXT_CREATE_FLAGS_USE_EXTENSIONS,
		.extensions = (uintptr_t)&set_vm,
	};
	int fd = client_open(RENDER);
	struct drm_i915_gem_timeline_fence fence = {
		.handle = client_syncobj(fd), .flags = I915_TIMELINE_FENCE_SIGNAL,
	};
	struct drm_i915_gem_execbuffer3 exec = {
		.batch_address = ADDR, .fence_count = 1, .timeline_fences = (uintptr_t)&fence,
	};
	struct drm_i915_gem_vm_bind bind = {
		.start = ADDR, .length = BO_B, .flags = I915_GEM_VM_BIND_CAPTURE,
	};

	CHECK_EQ(ioctl(fd, DRM_IOCTL_I915_GEM_VM_CREATE, &vm), 0);
	CHECK_EQ(ioctl(fd, DRM_IOCTL_I915_GEM_CREATE_EXT, &bo), 0);
	map.handle = bind.handle = bo.handle;
	CHECK_EQ(ioctl(fd, DRM_IOCTL_I915_GEM_MMAP_OFFSET, &map), 0);
	fill(fd, map.offset);
	bind.vm_id = vm.vm_id;
	CHECK_EQ(ioctl(fd, DRM_IOCTL_I915_GEM_VM_BIND, &bind), 0);
	set_vm.param.value = vm.vm_id;
	CHECK_EQ(ioctl(fd, DRM_IOCTL_I915_GEM_CONTEXT_CREATE_EXT, &ctx), 0);
	exec.ctx_id = ctx.ctx_id;
	CHECK_EQ(ioctl(fd, DRM_IOCTL_I915_GEM_EXECBUFFER3, &exec), 0);
	CHECK_EQ(client_syncobj_wait(fd, fence.handle, INT64_MAX), 0);
	close(fd);
}

static void test_B07_error_state_says_whether_there_was_an_error(void)
{
	static const char title[] = "GPU HANG: ecode 12:";
	struct stat st;

	CHECK(reads(ERROR_FILE, NO_ERROR, ""));
	CHECK(reads(DEBUG_FILE, NO_ERROR, ""));
	CHECK(!is_listed(CLASS, "devcd1"));
	CHECK_EQ(stat(ERROR_FILE, &st), 0);
	CHECK(S_ISREG(st.st_mode));
	for (unsigned i = 0; i < 2; i++) {
		i915_lose();
		CHECK(reads(ERROR_FILE, title, mark_text()));
		CHECK(reads(DEBUG_FILE, title, "bad batch on bcs0\n"));
		CHECK_EQ(write_to(i ? DEBUG_FILE : ERROR_FILE), 0);
		CHECK(reads(ERROR_FILE, NO_ERROR, ""));
		CHECK(reads(DEBUG_FILE, NO_ERROR, ""));
	}
}

static const struct client_case xe_cases[] = {
	CASE(test_B07_devcoredump_is_there_after_an_error),
};

static const struct client_case i915_cases[] = {
	CASE(test_B07_error_state_says_whether_there_was_an_error),
};

int main(int argc, char **argv)
{
	return argc > 1 && strcmp(argv[1], "i915") == 0 ? client_main(i915_cases, 1)
							: client_main(xe_cases, 1);
}
