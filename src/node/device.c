// SPDX-License-Identifier: MIT
/*
 * The one device of the process, made when it is first needed: at an open of a node, or when
 * something looks at files that name it. A program that does neither is left alone.
 *
 * A device that cannot be made says so once and is tried again at the next open.
 *
 * Locking: @make_lock while the device is made; afterwards the pointer is constant.
 */
#include "node/node.h"

#include "check/rules.h"
#include "node/options.h"
#include "port/fault.h"
#include "trace/counters.h"
#include "trace/trace.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>

static struct port_lock_class make_class = { .name = "node.device", .rank = RANK_NODE_GATE };
static struct port_mutex make_lock;
static _Atomic(struct uapi_device *) the_device;
static struct uapi_device *the_companion; /* written before the_device */
static struct trace trace_reader;
static struct counters counters_reader;
static struct rules rules_reader;
static int trace_fd = -1;
static atomic_bool complained;

static __attribute__((constructor)) void init(void)
{
	port_mutex_init(&make_lock, &make_class);
}

static __attribute__((format(printf, 1, 2))) void complain(const char *format, ...)
{
	char text[512];
	va_list args;
	ssize_t done;
	int len;

	if (atomic_exchange(&complained, true)) {
		return;
	}
	va_start(args, format);
	len = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	done = REAL(write)(STDERR_FILENO, text, (size_t)len < sizeof(text) ? (size_t)len :
									     sizeof(text) - 1);
	(void)done;
}

/* False when the variable is set to something that is no size. */
static bool env_size(const char *name, uint64_t *size_B_out)
{
	const char *text = getenv(name);

	*size_B_out = 0;
	if (!text || !*text || option_size(text, size_B_out)) {
		return true;
	}
	complain("vmbind: %s=%s is not a size; say for example 256M or 8G\n", name, text);
	return false;
}

static const char *env_name(const char *name, const char *otherwise)
{
	const char *text = getenv(name);

	return text && *text ? text : otherwise;
}

static void trace_write(void *ctx, const char *line, size_t size_B)
{
	ssize_t done = REAL(write)(trace_fd, line, size_B);

	(void)done; /* a full disk must not stop the program */
}

static void trace_start(struct uapi_device *device)
{
	const char *name = getenv(ENV_TRACE);

	if (!name || !*name) {
		return;
	}
	if (strcmp(name, "-") == 0) {
		trace_fd = fd_hide(REAL(fcntl)(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
	} else {
		/* Appended to: the processes of one run share it. */
		trace_fd = fd_hide(REAL(open)(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
					      0666));
	}
	if (trace_fd < 0) {
		complain("vmbind: cannot write the trace to %s: %s\n", name, strerror(errno));
		return;
	}
	trace_init(&trace_reader, trace_write, NULL);
	event_attach(uapi_device_events(device), &trace_reader.reader);
}

/* For --check rules; the port checks locks for itself. */
static void rules_start(struct uapi_device *device)
{
	const char *text = getenv(ENV_CHECK);

	if (text && strcmp(text, "rules") == 0) {
		if (rules_init(&rules_reader, RULES_AGE_NS)) {
			complain("vmbind: no memory for --check rules\n");
			return;
		}
		event_attach(uapi_device_events(device), &rules_reader.reader);
	}
}

/* ---- for --require-use and --report ---------------------------------------------------------- */

/* The descriptor to share, or -1: a number that a program in between reused is not ours. */
static int counters_fd(void)
{
	const char *text = getenv(ENV_COUNTERS_FD);
	uintmax_t dev, ino;
	struct stat st;
	int fd;

	if (!text || sscanf(text, "%d:%ju:%ju", &fd, &dev, &ino) != 3 ||
	    REAL(fstat)(fd, &st) || st.st_dev != dev || st.st_ino != ino ||
	    st.st_size < (off_t)sizeof(struct counters_shared)) {
		return -1;
	}
	return fd;
}

/* A program that closes all it inherited before it starts another must not lose it. */
static __attribute__((constructor)) void counters_fd_init(void)
{
	int fd = counters_fd();

	if (fd >= 0) {
		fd_set_private(fd);
	}
}

/* What this process adds to, or NULL. */
static struct counters_shared *counters_shared(void)
{
	static _Atomic(struct counters_shared *) mapped;
	struct counters_shared *shared = atomic_load(&mapped), *none = NULL;
	int fd = shared ? -1 : counters_fd();

	if (fd < 0) {
		return shared;
	}
	shared = REAL(mmap)(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED) {
		return NULL;
	}
	if (shared->version != COUNTERS_VERSION ||
	    !atomic_compare_exchange_strong(&mapped, &none, shared)) {
		REAL(munmap)(shared, sizeof(*shared));
		return none;
	}
	return shared;
}

void node_mark_used(void)
{
	struct counters_shared *shared = counters_shared();

	if (shared) {
		atomic_fetch_add(&shared->opens, 1);
	}
}

static void counters_start(struct uapi_device *device, const struct uapi_config *config,
			   int watch_error)
{
	struct counters_shared *shared = counters_shared();

	if (!shared || !shared->wanted) {
		return;
	}
	atomic_fetch_add(&shared->devices, 1);
	snprintf(shared->uapi, sizeof(shared->uapi), "%s", config->uapi);
	snprintf(shared->gpu, sizeof(shared->gpu), "%s", config->gpu);
	snprintf(shared->schedule, sizeof(shared->schedule), "%s", config->schedule);
	option_watch_text(shared->watched_by, watch_error);
	counters_init(&counters_reader, shared);
	event_attach(uapi_device_events(device), &counters_reader.reader);
}

/* ---- for --fault ----------------------------------------------------------------------------- */

static void fault_note(struct counters_shared *shared, uint32_t fault, uint64_t n,
		       const char *ioctl, const char *place)
{
	uint64_t slot = atomic_fetch_add(&shared->hits, 1);
	struct counters_hit *hit;

	if (slot >= COUNTERS_HITS) {
		return;
	}
	hit = &shared->hit[slot];
	hit->fault = fault;
	hit->n = n;
	snprintf(hit->ioctl, sizeof(hit->ioctl), "%s", ioctl ? ioctl : "");
	snprintf(hit->place, sizeof(hit->place), "%s", place);
	atomic_store(&hit->told, 1);
}

/* Under any lock. */
static void fault_listen(enum port_fault_point point, int fault, uint64_t n, bool strikes,
			 const char *ioctl, const char *place)
{
	struct counters_shared *shared = counters_shared();

	if (!shared) {
		return;
	}
	if (fault < 0) {
		atomic_fetch_add(&shared->fault_points[point], 1);
		return;
	}
	atomic_fetch_add(&shared->faults[fault], 1);
	if (strikes) {
		atomic_fetch_add(&shared->faults_struck[fault], 1);
		fault_note(shared, (uint32_t)fault, n, ioctl, place);
	}
}

/* False when the variable is set to something that says no faults. */
static bool fault_read(struct port_faults *faults)
{
	const char *text = env_name(ENV_FAULT, "count");
	char why[256];

	if (port_fault_parse(text, option_knows_ioctl, faults, why, sizeof(why))) {
		return true;
	}
	complain("vmbind: " ENV_FAULT ": %s\n", why);
	return false;
}

/* ---- the device ------------------------------------------------------------------------------ */

/* The second card, if the client gets one. 0 or -ENOMEM. */
static int companion_make(struct uapi_device *device)
{
	int ret;

	if (!tree_has_companion()) {
		return 0;
	}
	ret = uapi_companion_create(device, &the_companion);
	if (!ret) {
		ret = sysfs_build_companion(uapi_device_identity(the_companion));
		if (ret) {
			uapi_device_destroy(the_companion);
			the_companion = NULL;
		}
	}
	return ret;
}

/* Under make_lock. */
static struct uapi_device *device_make(void)
{
	struct uapi_config config = {
		.uapi = option_uapi(),
		.gpu = env_name(ENV_GPU, uapi_gpu_name(option_uapi(), 0)),
		.schedule = env_name(ENV_SCHEDULE, "normal"),
		.host = &node_host_ops,
	};
	struct uapi_device *device = NULL;
	struct port_faults faults;
	const char *what = NULL;
	int ret;

	config.vm_bind_version = (unsigned)strtoul(env_name(ENV_BIND_VERSION, "0"), NULL, 10);
	if (!fault_read(&faults) || !env_size(ENV_VRAM, &config.vram_B) ||
	    !env_size(ENV_VISIBLE_VRAM, &config.vram_visible_B)) {
		return NULL;
	}
	ret = uapi_device_create(&config, &device, &what);
	if (ret) {
		complain("vmbind: no device: %s%s%s\n", what ? what : "", what ? ": " : "",
			 strerror(-ret));
		return NULL;
	}
	ret = sync_init_shared();
	if (!ret) {
		ret = sysfs_build(device);
	}
	if (!ret) {
		ret = companion_make(device);
	}
	if (ret) {
		complain("vmbind: no device: %s\n", strerror(-ret));
		uapi_device_destroy(device);
		return NULL;
	}
	trace_start(device);
	rules_start(device);
	counters_start(device, &config, watch_probe());
	if (*env_name(ENV_FAULT, "")) {
		/* Not before: a machine whose driver does not load is nothing to walk through. */
		port_fault_arm(&faults, fault_listen);
	}
	return device;
}

struct uapi_device *node_device(void)
{
	struct uapi_device *device = atomic_load(&the_device);

	if (device) {
		return device;
	}
	port_mutex_lock(&make_lock);
	device = atomic_load(&the_device);
	if (!device) {
		device = device_make();
		atomic_store(&the_device, device);
	}
	port_mutex_unlock(&make_lock);
	return device;
}

struct uapi_device *node_companion(void)
{
	return node_device_if_any() ? the_companion : NULL;
}

struct uapi_device *node_device_if_any(void)
{
	return atomic_load_explicit(&the_device, memory_order_acquire);
}
