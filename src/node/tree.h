/* SPDX-License-Identifier: MIT */
/* The files that exist only for the client: a small tree that lies over the host's. */
#ifndef NODE_TREE_H
#define NODE_TREE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

enum tnode_kind {
	TNODE_DIR,
	TNODE_FILE,
	TNODE_ATTR, /* a file whose text the device makes when it is opened */
	TNODE_LINK,
	TNODE_CHAR,
	/* The engines are reset at each open: nobody opens it but to read or write it. Empty. */
	TNODE_RESET,
	TNODE_SW_SYNC, /* every open is a timeline of its own */
	TNODE_REGISTERS, /* zeroes to be mapped, an own copy for each who opens it */
	TNODE_UNBIND,  /* who writes the device's name takes its driver off it */
	TNODE_BIND,
	TNODE_CPUS, /* see cpus.c */
	TNODE_DUMP, /* shows the error dump when it is opened; who writes anything clears it */
};

/* Immutable once it can be found, but for @children, which only grows. Lives as long as we. */
struct tnode {
	const char *name;
	struct tnode *parent; /* of the root: itself */
	struct tnode *_Atomic children;
	struct tnode *next;
	enum tnode_kind kind;
	/* Directory: nothing of the host's shows inside. Otherwise both show, ours first. */
	bool whole;
	/* Directory: has children only once there is a device; these all begin like this. */
	const char *lazy;
	bool only_with_dump; /* to be found and listed only while there is an error dump */
	const char *target; /* link */
	const void *text;   /* file */
	size_t size_B;      /* file, registers */
	unsigned attr;      /* of the device, see uapi_attr_find() */
	bool writable;      /* attribute: by root */
	unsigned minor;     /* device: 226:minor */
	unsigned number;    /* for st_ino */
};

#define TREE_MAJOR 226
#define TREE_PRIMARY_MINOR 0
#define TREE_RENDER_MINOR 128
#define TREE_COMPANION 1 /* added to both for the second card */
#define TREE_SW_SYNC "/sys/kernel/debug/sync/sw_sync"

struct tnode *tree_root(void);
/* Is it to be found now? */
bool tree_shows(const struct tnode *node);
/* Makes the device if @name could be there only with it: call outside the gate. NULL if none. */
struct tnode *tree_child(struct tnode *dir, const char *name, size_t len);
/* Before its children are listed: the same. */
void tree_complete(struct tnode *dir);
/* Could a path that begins with this component lead here from some host directory? */
bool tree_knows(const char *name, size_t len);
/* Absolute name of @node. False when it does not fit. */
bool tree_path(const struct tnode *node, char *buf, size_t size);
void tree_stat(const struct tnode *node, struct stat *st);
unsigned char tree_dirent_type(const struct tnode *node);

/* Does the client get the second card? */
bool tree_has_companion(void);

/* Adding; strings must stay valid. Only while the device is made, by one thread. */
struct tnode *tree_dir(struct tnode *parent, const char *name);
void tree_file(struct tnode *parent, const char *name, const void *text, size_t size_B);
void tree_registers(struct tnode *parent, const char *name, size_t size_B);
/* One that does something: TNODE_RESET, TNODE_UNBIND, TNODE_BIND, TNODE_DUMP. */
void tree_action(struct tnode *parent, const char *name, enum tnode_kind kind);
void tree_attr(struct tnode *parent, const char *name, unsigned attr, bool writable);
void tree_link(struct tnode *parent, const char *name, const char *target);
/* The same, there only while there is an error dump. */
struct tnode *tree_dump_dir(struct tnode *parent, const char *name);
void tree_dump_link(struct tnode *parent, const char *name, const char *target);
/* The child of that name, which @name need not end with, or NULL. */
struct tnode *tree_child_now(struct tnode *dir, const char *name, size_t len);
/* The node at @path, without links, which exists. */
struct tnode *tree_find(const char *path);

/* ---- sysfs.c --------------------------------------------------------------------------------- */

struct uapi_identity;
struct uapi_device;
/* Adds everything that names the device. 0 or -ENOMEM. */
int sysfs_build(const struct uapi_device *device);
/* The same for the second card, after that. */
int sysfs_build_companion(const struct uapi_identity *identity);

#endif
