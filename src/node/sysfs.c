// SPDX-License-Identifier: MIT
/*
 * What sysfs, debugfs and /dev say of one PCI graphics device.
 *
 * /sys/devices/pci0000:00/SLOT is the device; everything else leads there by links, as in a kernel:
 * /sys/dev/char/226:N, /sys/class/drm/, /sys/bus/pci/. Clients follow them in all the ways one can
 * (libdrm by realpath and by name, libudev by openat from link to link).
 *
 * Contents are made once, from the identity, and kept for the life of the process; but for the
 * attributes, which the device is asked for at every open.
 */
#include "node/node.h"

#include <stdarg.h>

#define CONFIG_B 256
#define BARS 13
#define REGISTERS_B ((size_t)16 << 20)

/* The names of the device, from which contents and links are made. */
struct names {
	const struct uapi_identity *id;
	const char *slot;      /* the last component of the next */
	char device_link[128]; /* below /sys: devices/pci0000:00/SLOT */
	bool failed;
};

/* Text that stays. NULL without memory, noted in @n. */
static __attribute__((format(printf, 2, 3))) char *text(struct names *n, const char *format, ...)
{
	char buf[512], *copy;
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(buf, sizeof(buf), format, args);
	va_end(args);
	ASSERT(len >= 0 && len < (int)sizeof(buf));
	copy = port_alloc((size_t)len + 1);
	if (!copy) {
		n->failed = true;
		return NULL;
	}
	memcpy(copy, buf, (size_t)len + 1);
	return copy;
}

static void add_text(struct names *n, struct tnode *dir, const char *name, char *contents)
{
	if (dir && contents) {
		tree_file(dir, name, contents, strlen(contents));
	} else {
		n->failed = true;
	}
}

static void add_link(struct names *n, struct tnode *dir, const char *name, char *target)
{
	if (dir && name && target) {
		tree_link(dir, name, target);
	} else {
		n->failed = true;
	}
}

/* A PCI configuration header, type 0, with the ids and nothing else. */
static void add_config(struct names *n, struct tnode *dir)
{
	const struct uapi_identity *id = n->id;
	uint8_t *c = port_alloc(CONFIG_B);

	if (!c) {
		n->failed = true;
		return;
	}
	c[0x00] = (uint8_t)id->vendor;
	c[0x01] = (uint8_t)(id->vendor >> 8);
	c[0x02] = (uint8_t)id->device;
	c[0x03] = (uint8_t)(id->device >> 8);
	c[0x04] = 0x06; /* memory and bus master enabled */
	c[0x08] = id->revision;
	c[0x0b] = 0x03; /* display controller */
	c[0x2c] = (uint8_t)id->subsystem_vendor;
	c[0x2d] = (uint8_t)(id->subsystem_vendor >> 8);
	c[0x2e] = (uint8_t)id->subsystem_device;
	c[0x2f] = (uint8_t)(id->subsystem_device >> 8);
	tree_file(dir, "config", c, CONFIG_B);
}

/*
 * One window, of registers: they are zero and do nothing. Tools look there whether this is a
 * virtual function, which says so with a 1.
 */
static void add_resources(struct names *n, struct tnode *dir)
{
	static const char none[] = "0x0000000000000000 0x0000000000000000 0x0000000000000000\n";
	static const char window[] = "0x0000000081000000 0x0000000081ffffff 0x0000000000140204\n";
	size_t line_B = sizeof(none) - 1;
	char *all = port_alloc(BARS * line_B + 1);

	for (size_t i = 0; all && i < BARS; i++) {
		memcpy(all + i * line_B, i ? none : window, line_B);
	}
	add_text(n, dir, "resource", all);
	tree_registers(dir, "resource0", REGISTERS_B);
}

/* SLOT/drm/NAME, and the links that lead to it. */
static void add_minor(struct names *n, struct tnode *drm, const char *name, unsigned minor_number)
{
	struct tnode *dir = tree_dir(drm, name);
	char *link;

	add_text(n, dir, "dev", text(n, "%d:%u\n", TREE_MAJOR, minor_number));
	add_text(n, dir, "uevent",
		 text(n, "MAJOR=%d\nMINOR=%u\nDEVNAME=dri/%s\nDEVTYPE=drm_minor\n", TREE_MAJOR,
		      minor_number, name));
	add_link(n, dir, "device", text(n, "../../../%s", n->slot));
	add_link(n, dir, "subsystem", text(n, "../../../../../class/drm"));
	link = text(n, "../../%s/drm/%s", n->device_link, name);
	add_link(n, tree_find("/sys/class/drm"), name, link);
	add_link(n, tree_find("/sys/dev/char"), text(n, "%d:%u", TREE_MAJOR, minor_number), link);
}

static void add_device(struct names *n)
{
	const struct uapi_identity *id = n->id;
	struct tnode *dir = tree_dir(tree_find("/sys/devices/pci0000:00"), id->pci_slot);
	struct tnode *drm, *power;

	add_text(n, dir, "vendor", text(n, "0x%04x\n", id->vendor));
	add_text(n, dir, "device", text(n, "0x%04x\n", id->device));
	add_text(n, dir, "subsystem_vendor", text(n, "0x%04x\n", id->subsystem_vendor));
	add_text(n, dir, "subsystem_device", text(n, "0x%04x\n", id->subsystem_device));
	add_text(n, dir, "revision", text(n, "0x%02x\n", id->revision));
	add_text(n, dir, "class", text(n, "0x030000\n"));
	add_text(n, dir, "irq", text(n, "0\n"));
	add_text(n, dir, "enable", text(n, "1\n"));
	add_text(n, dir, "boot_vga", text(n, "0\n"));
	add_text(n, dir, "numa_node", text(n, "-1\n"));
	add_text(n, dir, "modalias",
		 text(n, "pci:v%08Xd%08Xsv%08Xsd%08Xbc03sc00i00\n", id->vendor, id->device,
		      id->subsystem_vendor, id->subsystem_device));
	add_text(n, dir, "uevent",
		 text(n, "DRIVER=%s\nPCI_CLASS=30000\nPCI_ID=%04X:%04X\nPCI_SUBSYS_ID=%04X:%04X\n"
		      "PCI_SLOT_NAME=%s\nMODALIAS=pci:v%08Xd%08Xsv%08Xsd%08Xbc03sc00i00\n",
		      id->driver, id->vendor, id->device, id->subsystem_vendor,
		      id->subsystem_device, id->pci_slot, id->vendor, id->device,
		      id->subsystem_vendor, id->subsystem_device));
	add_config(n, dir);
	add_resources(n, dir);
	add_link(n, dir, "subsystem", text(n, "../../../bus/pci"));
	add_link(n, dir, "driver", text(n, "../../../bus/pci/drivers/%s", id->driver));
	power = tree_dir(dir, "power");
	add_text(n, power, "control", text(n, "on\n"));
	add_text(n, power, "runtime_status", text(n, "active\n"));
	drm = tree_dir(dir, "drm");
	add_minor(n, drm, "card0", TREE_PRIMARY_MINOR);
	add_minor(n, drm, "renderD128", TREE_RENDER_MINOR);
}

/*
 * The directory below @dir that @path leads to, made as far as it is not there; *name_out is what
 * is behind the last slash. NULL without memory, noted in @n.
 */
static struct tnode *add_dirs(struct names *n, struct tnode *dir, const char *path,
			      const char **name_out)
{
	size_t len;

	for (len = strcspn(path, "/"); path[len]; len = strcspn(path, "/")) {
		struct tnode *next = tree_child_now(dir, path, len);

		if (!next) {
			char *copy = text(n, "%.*s", (int)len, path);

			if (!copy) {
				return NULL;
			}
			next = tree_dir(dir, copy);
		}
		dir = next;
		path += len + 1;
	}
	*name_out = path;
	return dir;
}

/* What can be tuned. */
static void add_attrs(struct names *n, const struct uapi_device *device)
{
	static const char *const parents[] = { "/sys/devices/pci0000:00", "/sys/kernel/debug/dri" };
	struct uapi_attr attr;

	for (unsigned i = 0; uapi_attr_find(device, i, &attr); i++) {
		struct tnode *top = tree_child_now(tree_find(parents[attr.debugfs]), n->slot,
						   strlen(n->slot));
		const char *name;
		struct tnode *dir = add_dirs(n, top, attr.path, &name);

		if (!dir) {
			return;
		}
		tree_attr(dir, name, i, attr.writable);
	}
}

static void add_bus(struct names *n)
{
	const char *name = n->id->driver;
	struct tnode *driver = tree_find(text(n, "/sys/bus/pci/drivers/%s", name));
	struct tnode *module = tree_find(text(n, "/sys/module/%s", name));

	add_link(n, tree_find("/sys/bus/pci/devices"), n->id->pci_slot,
		 text(n, "../../../%s", n->device_link));
	add_link(n, driver, n->id->pci_slot, text(n, "../../../../%s", n->device_link));
	tree_action(driver, "bind", TNODE_BIND);
	tree_action(driver, "unbind", TNODE_UNBIND);
	add_link(n, driver, "module", text(n, "../../../../module/%s", name));
	add_text(n, module, "initstate", text(n, "live\n"));
	add_text(n, module, "refcnt", text(n, "0\n"));
	tree_dir(module, "parameters");
	add_link(n, tree_dir(module, "drivers"), text(n, "pci:%s", name),
		 text(n, "../../../bus/pci/drivers/%s", name));
	add_text(n, tree_find("/sys/class/drm"), "version", text(n, "drm 1.1.0 20060810\n"));
}

/* @card: 0, or TREE_COMPANION. */
static void add_debugfs(struct names *n, unsigned card)
{
	struct tnode *dri = tree_find("/sys/kernel/debug/dri"), *dir = tree_dir(dri, n->slot);

	add_text(n, dir, "name",
		 text(n, "%s dev=%s unique=%s\n", n->id->driver, n->slot, n->slot));
	add_link(n, dri, text(n, "%u", TREE_PRIMARY_MINOR + card), text(n, "%s", n->slot));
	add_link(n, dri, text(n, "%u", TREE_RENDER_MINOR + card), text(n, "%s", n->slot));
	if (card == 0) {
		struct tnode *gt = tree_dir(dir, "gt0");

		tree_action(gt, "force_reset", TNODE_RESET);
		tree_action(gt, "force_reset_sync", TNODE_RESET);
	}
	for (const struct uapi_debug_file *file = n->id->debug; file && file->path; file++) {
		const char *name;
		struct tnode *parent = add_dirs(n, dir, file->path, &name);

		if (parent) {
			tree_file(parent, name, file->text, strlen(file->text));
		}
	}
}

/* Where the driver's clients look for what is left of an error. */
static void add_dump(struct names *n)
{
	struct tnode *device = tree_child_now(tree_find("/sys/devices/pci0000:00"), n->slot,
					      strlen(n->slot));
	struct tnode *debug = tree_child_now(tree_find("/sys/kernel/debug/dri"), n->slot,
					     strlen(n->slot));
	struct tnode *drm = tree_child_now(device, "drm", 3);

	if (n->id->coredump) {
		struct tnode *dir = tree_dump_dir(tree_find("/sys/devices/virtual/devcoredump"),
						  "devcd1");

		add_link(n, dir, "failing_device", text(n, "../../../pci0000:00/%s", n->slot));
		tree_action(dir, "data", TNODE_DUMP);
		tree_dump_link(device, "devcoredump", "../../virtual/devcoredump/devcd1");
		tree_dump_link(tree_find("/sys/class/devcoredump"), "devcd1",
			       "../../devices/virtual/devcoredump/devcd1");
	} else {
		tree_action(tree_child_now(drm, "card0", 5), "error", TNODE_DUMP);
		tree_action(debug, "i915_error_state", TNODE_DUMP);
	}
}

int sysfs_build(const struct uapi_device *device)
{
	const struct uapi_identity *identity = uapi_device_identity(device);
	struct names names = { .id = identity, .slot = identity->pci_slot };
	struct tnode *by_path;

	snprintf(names.device_link, sizeof(names.device_link), "devices/pci0000:00/%s",
		 identity->pci_slot);
	add_device(&names);
	add_bus(&names);
	add_debugfs(&names, 0);
	add_attrs(&names, device);
	add_dump(&names);
	by_path = tree_find("/dev/dri/by-path");
	add_link(&names, by_path, text(&names, "pci-%s-card", identity->pci_slot),
		 text(&names, "../card0"));
	add_link(&names, by_path, text(&names, "pci-%s-render", identity->pci_slot),
		 text(&names, "../renderD128"));
	return names.failed ? -ENOMEM : 0;
}

/* A platform device: it has no address on any bus. */
int sysfs_build_companion(const struct uapi_identity *identity)
{
	struct names names = { .id = identity, .slot = identity->driver };
	struct tnode *dir = tree_dir(tree_find("/sys/devices/platform"), identity->driver);
	struct tnode *drm;

	snprintf(names.device_link, sizeof(names.device_link), "devices/platform/%s",
		 identity->driver);
	add_text(&names, dir, "uevent",
		 text(&names, "DRIVER=%s\nMODALIAS=platform:%s\n", identity->driver,
		      identity->driver));
	add_text(&names, dir, "modalias", text(&names, "platform:%s\n", identity->driver));
	add_link(&names, dir, "subsystem", text(&names, "../../../bus/platform"));
	drm = tree_dir(dir, "drm");
	add_minor(&names, drm, "card1", TREE_PRIMARY_MINOR + TREE_COMPANION);
	add_minor(&names, drm, "renderD129", TREE_RENDER_MINOR + TREE_COMPANION);
	add_debugfs(&names, TREE_COMPANION);
	return names.failed ? -ENOMEM : 0;
}
