// SPDX-License-Identifier: MIT
/*
 * The overlay: directories, files, links and two device nodes that a client sees in /dev and /sys.
 *
 * The skeleton below is there from the start; what carries the device's name or identity is added
 * by sysfs.c when the device is made, which the first look into a lazy directory causes. A shared
 * directory shows the host's entries too (and may be missing on the host); a whole one is ours
 * alone, so a real GPU of the host stays out of sight.
 *
 * Example: /sys/dev/char is shared and lazy for names that begin with "226:". Looking at 226:128
 * makes the device, looking at 1:3 goes to the host.
 *
 * Locking: nodes are added by one thread at a time (device.c) and published with one store; they
 * are never changed or removed.
 */
#include "node/node.h"

#include "node/options.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <time.h>

#define NODES_MAX 368
/* No real file system has this device number. */
#define TREE_DEV makedev(0, 0xd2d)
#define SYSFS_FILE_B 4096

struct skeleton {
	const char *path;
	bool whole;
	const char *lazy;
};

static const struct skeleton skeleton[] = {
	{ "/dev", false, NULL },
	{ "/dev/dri", true, NULL },
	{ "/dev/dri/by-path", true, "" },
	{ "/sys", false, NULL },
	{ "/sys/bus", false, NULL },
	{ "/sys/bus/pci", false, NULL },
	{ "/sys/bus/pci/devices", false, "" },
	{ "/sys/bus/pci/drivers", false, NULL },
	{ "/sys/class", false, NULL },
	{ "/sys/class/devcoredump", true, "" },
	{ "/sys/class/drm", true, "" },
	{ "/sys/dev", false, NULL },
	{ "/sys/dev/char", false, "226:" },
	{ "/sys/devices", false, NULL },
	{ "/sys/devices/pci0000:00", false, "0000:" },
	{ "/sys/devices/virtual", false, NULL },
	{ "/sys/devices/virtual/devcoredump", true, "" },
	{ "/sys/devices/virtual/workqueue", false, NULL },
	{ "/sys/kernel", false, NULL },
	{ "/sys/kernel/debug", false, NULL },
	{ "/sys/kernel/debug/dri", true, "" },
	{ "/sys/kernel/debug/sync", true, NULL },
	{ "/sys/module", false, NULL },
};

static struct tnode pool[NODES_MAX];
static atomic_uint pool_used;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct timespec born;

static struct tnode *node_add(struct tnode *parent, const char *name, enum tnode_kind kind)
{
	unsigned n = atomic_fetch_add(&pool_used, 1);
	struct tnode *node = &pool[n];

	ASSERT(n < NODES_MAX);
	node->name = name;
	node->kind = kind;
	node->number = n + 1;
	node->parent = parent ? parent : node;
	return node;
}

/* From here others can find it. */
static void node_publish(struct tnode *node)
{
	node->next = atomic_load(&node->parent->children);
	atomic_store_explicit(&node->parent->children, node, memory_order_release);
}

static struct tnode *add_dir(struct tnode *parent, const char *name, bool only_with_dump)
{
	struct tnode *node = node_add(parent, name, TNODE_DIR);

	node->whole = true;
	node->only_with_dump = only_with_dump;
	node_publish(node);
	return node;
}

struct tnode *tree_dir(struct tnode *parent, const char *name)
{
	return add_dir(parent, name, false);
}

struct tnode *tree_dump_dir(struct tnode *parent, const char *name)
{
	return add_dir(parent, name, true);
}

void tree_file(struct tnode *parent, const char *name, const void *text, size_t size_B)
{
	struct tnode *node = node_add(parent, name, TNODE_FILE);

	node->text = text;
	node->size_B = size_B;
	node_publish(node);
}

void tree_registers(struct tnode *parent, const char *name, size_t size_B)
{
	struct tnode *node = node_add(parent, name, TNODE_REGISTERS);

	node->size_B = size_B;
	node_publish(node);
}

void tree_action(struct tnode *parent, const char *name, enum tnode_kind kind)
{
	node_publish(node_add(parent, name, kind));
}

void tree_attr(struct tnode *parent, const char *name, unsigned attr, bool writable)
{
	struct tnode *node = node_add(parent, name, TNODE_ATTR);

	node->attr = attr;
	node->writable = writable;
	node_publish(node);
}

static void add_link(struct tnode *parent, const char *name, const char *target,
		     bool only_with_dump)
{
	struct tnode *node = node_add(parent, name, TNODE_LINK);

	node->target = target;
	node->only_with_dump = only_with_dump;
	node_publish(node);
}

void tree_link(struct tnode *parent, const char *name, const char *target)
{
	add_link(parent, name, target, false);
}

void tree_dump_link(struct tnode *parent, const char *name, const char *target)
{
	add_link(parent, name, target, true);
}

static void node_char(struct tnode *parent, const char *name, unsigned minor_number)
{
	struct tnode *node = node_add(parent, name, TNODE_CHAR);

	node->minor = minor_number;
	node_publish(node);
}

struct tnode *tree_child_now(struct tnode *dir, const char *name, size_t len)
{
	struct tnode *node = atomic_load_explicit(&dir->children, memory_order_acquire);

	for (; node; node = node->next) {
		if (strncmp(node->name, name, len) == 0 && node->name[len] == '\0') {
			return node;
		}
	}
	return NULL;
}

static struct tnode *walk(const char *path)
{
	struct tnode *node = &pool[0];

	while (node && *path) {
		size_t len;

		path += strspn(path, "/");
		len = strcspn(path, "/");
		if (len) {
			node = tree_child_now(node, path, len);
		}
		path += len;
	}
	return node;
}

bool tree_has_companion(void)
{
	const char *text = getenv(ENV_WITH_VGEM);

	return text && *text;
}

/* Its directories have the name of the uAPI. */
static void init_driver(void)
{
	static const char *const parents[] = { "/sys/bus/pci/drivers", "/sys/module" };

	for (size_t i = 0; i < ARRAY_LEN(parents); i++) {
		struct tnode *node = node_add(walk(parents[i]), option_uapi(), TNODE_DIR);

		node->whole = true;
		node->lazy = "";
		node_publish(node);
	}
}

static void init_companion(void)
{
	struct tnode *platform = node_add(walk("/sys/devices"), "platform", TNODE_DIR);

	platform->lazy = "vgem";
	node_publish(platform);
	node_char(walk("/dev/dri"), "card1", TREE_PRIMARY_MINOR + TREE_COMPANION);
	node_char(walk("/dev/dri"), "renderD129", TREE_RENDER_MINOR + TREE_COMPANION);
}

static void init(void)
{
	struct tnode *root = node_add(NULL, "", TNODE_DIR);

	clock_gettime(CLOCK_REALTIME, &born);
	for (size_t i = 0; i < ARRAY_LEN(skeleton); i++) {
		const struct skeleton *s = &skeleton[i];
		const char *name = strrchr(s->path, '/') + 1;
		struct tnode *parent = root, *node, *next;

		/* The parent is the node whose path is everything before the last component. */
		for (const char *p = s->path + 1; p < name; p += strcspn(p, "/") + 1) {
			next = tree_child_now(parent, p, strcspn(p, "/"));
			ASSERT(next);
			parent = next;
		}
		node = node_add(parent, name, TNODE_DIR);
		node->whole = s->whole;
		node->lazy = s->lazy;
		node_publish(node);
	}
	node_char(walk("/dev/dri"), "card0", TREE_PRIMARY_MINOR);
	node_char(walk("/dev/dri"), "renderD128", TREE_RENDER_MINOR);
	node_publish(node_add(walk("/sys/kernel/debug/sync"), "sw_sync", TNODE_SW_SYNC));
	node_publish(node_add(walk("/sys/devices/virtual/workqueue"), "cpumask", TNODE_CPUS));
	init_driver();
	if (tree_has_companion()) {
		init_companion();
	}
}

struct tnode *tree_root(void)
{
	pthread_once(&once, init);
	return &pool[0];
}

struct tnode *tree_find(const char *path)
{
	struct tnode *node;

	tree_root();
	node = walk(path);
	ASSERT(node);
	return node;
}

void tree_complete(struct tnode *dir)
{
	if (dir->lazy && !node_device_if_any()) {
		node_enter();
		node_device();
		node_leave();
	}
}

bool tree_shows(const struct tnode *node)
{
	const struct uapi_device *device = node->only_with_dump ? node_device_if_any() : NULL;

	return !node->only_with_dump || (device && uapi_dump_is_kept(device));
}

struct tnode *tree_child(struct tnode *dir, const char *name, size_t len)
{
	struct tnode *node = tree_child_now(dir, name, len);

	if (!node && dir->lazy && !node_device_if_any() &&
	    strncmp(name, dir->lazy, strlen(dir->lazy)) == 0) {
		tree_complete(dir);
		node = tree_child_now(dir, name, len);
	}
	return node && tree_shows(node) ? node : NULL;
}

bool tree_knows(const char *name, size_t len)
{
	unsigned used = atomic_load(&pool_used);

	for (unsigned i = 1; i < used; i++) {
		const struct tnode *node = &pool[i];

		if (!node->parent || node->parent->whole) {
			continue;
		}
		if ((strncmp(node->name, name, len) == 0 && node->name[len] == '\0') ||
		    (node->lazy && *node->lazy &&
		     strncmp(name, node->lazy, strlen(node->lazy)) == 0)) {
			return true;
		}
	}
	return false;
}

bool tree_path(const struct tnode *node, char *buf, size_t size)
{
	size_t at = size, len;

	if (node == node->parent) {
		return size > 1 && strcpy(buf, "/");
	}
	if (!size) {
		return false;
	}
	buf[--at] = '\0';
	for (; node != node->parent; node = node->parent) {
		len = strlen(node->name);
		if (at < len + 1) {
			return false;
		}
		at -= len;
		memcpy(buf + at, node->name, len);
		buf[--at] = '/';
	}
	memmove(buf, buf + at, size - at);
	return true;
}

void tree_stat(const struct tnode *node, struct stat *st)
{
	memset(st, 0, sizeof(*st));
	st->st_dev = TREE_DEV;
	st->st_ino = node->number;
	st->st_nlink = 1;
	st->st_blksize = 4096;
	st->st_atim = st->st_mtim = st->st_ctim = born;
	switch (node->kind) {
	case TNODE_DIR:
		st->st_mode = S_IFDIR | 0755;
		st->st_nlink = 2;
		break;
	case TNODE_RESET:
	case TNODE_SW_SYNC:
	case TNODE_DUMP:
		st->st_mode = S_IFREG | 0666;
		break;
	case TNODE_REGISTERS:
		st->st_mode = S_IFREG | 0600;
		st->st_size = (off_t)node->size_B;
		break;
	case TNODE_UNBIND:
	case TNODE_BIND:
		st->st_mode = S_IFREG | 0200;
		st->st_size = SYSFS_FILE_B;
		break;
	case TNODE_FILE:
		st->st_mode = S_IFREG | 0444;
		st->st_size = SYSFS_FILE_B;
		break;
	case TNODE_CPUS:
		st->st_mode = S_IFREG | 0644;
		st->st_size = SYSFS_FILE_B;
		break;
	case TNODE_ATTR:
		st->st_mode = S_IFREG | (node->writable ? 0644 : 0444);
		st->st_size = SYSFS_FILE_B;
		break;
	case TNODE_LINK:
		st->st_mode = S_IFLNK | 0777;
		st->st_size = (off_t)strlen(node->target);
		break;
	case TNODE_CHAR:
		st->st_mode = S_IFCHR | 0666;
		st->st_rdev = makedev(TREE_MAJOR, node->minor);
		break;
	}
}

unsigned char tree_dirent_type(const struct tnode *node)
{
	static const unsigned char type[] = {
		[TNODE_DIR] = DT_DIR,
		[TNODE_FILE] = DT_REG,
		[TNODE_RESET] = DT_REG,
		[TNODE_ATTR] = DT_REG,
		[TNODE_LINK] = DT_LNK,
		[TNODE_CHAR] = DT_CHR,
		[TNODE_SW_SYNC] = DT_REG,
		[TNODE_REGISTERS] = DT_REG,
		[TNODE_UNBIND] = DT_REG,
		[TNODE_BIND] = DT_REG,
		[TNODE_CPUS] = DT_REG,
		[TNODE_DUMP] = DT_REG,
	};

	return type[node->kind];
}
