// SPDX-License-Identifier: MIT
/*
 * Whose is a path?
 *
 * Most paths are told apart by their first component, without a system call: only /dev, /sys and
 * /proc lead to us, and a relative path only through ".." or a component we know, or from a
 * directory of ours. The rest is walked component by component. While the walk is in the tree, our
 * links are followed; when it leaves the tree through a shared directory it is the host's, and
 * nothing but ".." brings it back (taken literally: a link of the host on the way is not seen).
 *
 * Example: /sys/dev/char/226:0/device/vendor. 226:0 is our link to ../../devices/.../drm/card0,
 * "device" there our link to the PCI device, "vendor" our file.
 */
#include "node/node.h"

#include <stdlib.h>
#include <sys/syscall.h>

#define LINKS_MAX 40

struct walk {
	struct tnode *node;     /* where we are; NULL: below @host, at the host's */
	struct tnode *host;     /* the shared directory where we left the tree */
	unsigned host_depth;    /* components walked since */
	char left[PATH_MAX];    /* still to walk */
	char below[PATH_MAX];   /* host components since @host */
	unsigned links;
	bool moved;             /* the host may not find it by the name the client said */
};

/* Components that can begin a path to us from the root. */
static bool first_is_ours(const char *path)
{
	size_t len;

	path += strspn(path, "/");
	len = strcspn(path, "/");
	if (len == 3) {
		return strncmp(path, "dev", 3) == 0 || strncmp(path, "sys", 3) == 0;
	}
	return (len == 4 && strncmp(path, "proc", 4) == 0) ||
	       (len == 2 && strncmp(path, "..", 2) == 0) || (len == 1 && *path == '.');
}

static bool relative_may_be_ours(const char *path)
{
	size_t len;

	while (path[0] == '.' && path[1] == '/') {
		path += 2;
		path += strspn(path, "/");
	}
	len = strcspn(path, "/");
	return (len == 2 && strncmp(path, "..", 2) == 0) || tree_knows(path, len);
}

/* What follows @prefix in @path, or NULL. */
static const char *behind(const char *path, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(path, prefix, len) == 0 ? path + len : NULL;
}

/* What follows /proc/self/ and its likes, or NULL. */
static const char *behind_proc_self(const char *path)
{
	const char *rest = behind(path, "/proc/self/");
	char *end;

	if (!rest) {
		rest = behind(path, "/proc/thread-self/");
	}
	if (!rest && strncmp(path, "/proc/", 6) == 0 && path[6] >= '1' && path[6] <= '9' &&
	    strtol(path + 6, &end, 10) == getpid() && *end == '/') {
		rest = end + 1;
	}
	return rest;
}

/* The number that @digits (may be NULL) begins with, what follows in *@rest_out; or -1. */
static int leading_fd(const char *digits, const char **rest_out)
{
	char *end;
	long fd;

	if (!digits || *digits < '0' || *digits > '9') {
		return -1;
	}
	fd = strtol(digits, &end, 10);
	*rest_out = end;
	return (*end == '\0' || *end == '/') && fd <= INT_MAX ? (int)fd : -1;
}

/* The number at the end of /proc/self/fd/N and its likes, what follows in *@rest_out; or -1. */
static int proc_fd(const char *path, const char **rest_out)
{
	const char *self = behind_proc_self(path);

	return leading_fd(self ? behind(self, "fd/") : behind(path, "/dev/fd/"), rest_out);
}

/* Is @dirfd the directory /proc/self/fdinfo? */
static bool is_fdinfo(int dirfd)
{
	char name[32], target[64];
	const char *rest;
	ssize_t n;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", dirfd);
	n = REAL(readlink)(name, target, sizeof(target) - 1);
	target[n < 0 ? 0 : n] = '\0';
	rest = behind_proc_self(target);
	return rest && strcmp(rest, "fdinfo") == 0;
}

int path_fdinfo(int dirfd, const char *name)
{
	const char *self, *rest = "";
	int fd;

	if (!name) {
		return -1;
	}
	self = behind_proc_self(name);
	fd = leading_fd(self ? behind(self, "fdinfo/") : name, &rest);
	if (fd < 0 || *rest || !fd_is_kind(fd, NODE_DEVICE) || (!self && !is_fdinfo(dirfd))) {
		return -1;
	}
	return fd;
}

static bool append(char *buf, const char *text, size_t len)
{
	size_t at = strlen(buf);

	if (at + len + 1 > PATH_MAX) {
		return false;
	}
	memcpy(buf + at, text, len);
	buf[at + len] = '\0';
	return true;
}

/* Puts @target in front of what is left, which is nothing or begins with a slash. */
static bool prepend(char *left, const char *target)
{
	size_t len = strlen(target), have = strlen(left);

	if (len + have + 1 > PATH_MAX) {
		return false;
	}
	memmove(left + len, left, have + 1);
	memcpy(left, target, len);
	return true;
}

/* One component below the host's part of the path. */
static int step_host(struct walk *w, const char *name, size_t len)
{
	if (len == 2 && strncmp(name, "..", 2) == 0) {
		*strrchr(w->below, '/') = '\0';
		if (--w->host_depth == 0) {
			w->node = w->host;
		}
		return 0;
	}
	w->host_depth++;
	return append(w->below, "/", 1) && append(w->below, name, len) ? 0 : -ENAMETOOLONG;
}

/* One component in the tree. @last: nothing but slashes follow. */
static int step_tree(struct walk *w, const char *name, size_t len, bool last, unsigned flags)
{
	struct tnode *child;

	if (w->node->kind != TNODE_DIR) {
		return -ENOTDIR;
	}
	if (len == 2 && strncmp(name, "..", 2) == 0) {
		w->node = w->node->parent;
		w->moved = true; /* the host may not have what was walked through */
		return 0;
	}
	child = tree_child(w->node, name, len);
	if (!child) {
		if (w->node->whole) {
			return -ENOENT;
		}
		w->host = w->node;
		w->node = NULL;
		w->host_depth = 0;
		w->below[0] = '\0';
		return step_host(w, name, len);
	}
	if (child->kind != TNODE_LINK || (last && (flags & PATH_NOFOLLOW))) {
		w->node = child;
		return 0;
	}
	if (++w->links > LINKS_MAX) {
		return -ELOOP;
	}
	w->moved = true;
	return prepend(w->left, child->target) ? 0 : -ENAMETOOLONG;
}

static int walk_all(struct walk *w, unsigned flags)
{
	int ret = 0;

	while (!ret) {
		size_t skip = strspn(w->left, "/"), len = strcspn(w->left + skip, "/");
		char name[NAME_MAX + 1];
		const char *after;
		bool last;

		if (!len) {
			/* A slash at the end asks for a directory. */
			return skip && w->node && w->node->kind != TNODE_DIR ? -ENOTDIR : 0;
		}
		if (len > NAME_MAX) {
			return -ENAMETOOLONG;
		}
		memcpy(name, w->left + skip, len);
		name[len] = '\0';
		after = w->left + skip + len;
		last = *after == '\0';
		memmove(w->left, after, strlen(after) + 1);
		if (len == 1 && name[0] == '.') {
			continue;
		}
		ret = w->node ? step_tree(w, name, len, last, flags) : step_host(w, name, len);
	}
	return ret;
}

/* Fills @w->left with the absolute form of @name. False when it is the host's for sure. */
static bool walk_start(struct walk *w, int dirfd, const char *name, struct path *out)
{
	const char *rest = NULL;
	int fd;

	w->left[0] = '\0';
	if (name[0] == '/') {
		fd = first_is_ours(name) ? proc_fd(name, &rest) : -1;
		if (fd < 0) {
			return first_is_ours(name) && append(w->left, name, strlen(name));
		}
		if (!fd_is_marked(fd) || fd_is_private(fd)) {
			return false;
		}
		if (*rest == '\0') {
			out->kind = PATH_FD;
			out->fd = fd;
			return false;
		}
		dirfd = fd;
		name = rest;
	} else if (dirfd == AT_FDCWD) {
		if (!relative_may_be_ours(name) ||
		    syscall(SYS_getcwd, w->left, sizeof(w->left)) < 0) {
			return false;
		}
		return append(w->left, "/", 1) && append(w->left, name, strlen(name));
	}
	if (fd_is_marked(dirfd)) {
		struct node_file *file = fd_get(dirfd);
		bool ours = file && file->kind == NODE_TREE &&
			    tree_path(file->tnode, w->left, sizeof(w->left));

		w->moved = ours;
		node_enter();
		file_put(file);
		node_leave();
		return ours && append(w->left, "/", 1) && append(w->left, name, strlen(name));
	}
	return false;
}

bool host_has(const char *path)
{
	return REAL(faccessat)(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static void host_path(const struct walk *w, struct path *out)
{
	bool fits = w->host == tree_root() || tree_path(w->host, out->path, sizeof(out->path));

	if (fits && append(out->path, w->below, strlen(w->below))) {
		out->kind = w->moved ? PATH_MOVED : PATH_HOST;
	} else {
		out->kind = PATH_ERROR;
		out->error = -ENAMETOOLONG;
	}
}

enum path_kind path_resolve(int dirfd, const char *name, unsigned flags, struct path *out)
{
	struct walk w;
	int ret;

	out->kind = PATH_HOST;
	out->node = NULL;
	out->path[0] = '\0';
	if (!name || !*name || (*name == '/' && !first_is_ours(name))) {
		return PATH_HOST;
	}
	w.node = tree_root();
	w.links = 0;
	w.moved = false;
	if (!walk_start(&w, dirfd, name, out)) {
		return out->kind;
	}
	ret = walk_all(&w, flags);
	if (ret) {
		out->kind = PATH_ERROR;
		out->error = ret;
	} else if (w.node) {
		out->node = w.node;
		tree_path(w.node, out->path, sizeof(out->path));
		if (w.node->kind != TNODE_DIR || w.node->whole || !host_has(out->path)) {
			out->kind = PATH_NODE;
		} else {
			out->kind = w.moved ? PATH_MOVED : PATH_HOST;
		}
	} else {
		host_path(&w, out);
	}
	return out->kind;
}
