// SPDX-License-Identifier: MIT
/*
 * Directory streams over the overlay.
 *
 * libc lists directories with system calls of its own, so a stream that shows something of ours is
 * ours altogether: opendir() makes a list of all entries, the host's and our own, and the other
 * calls walk it. Such a stream begins with a word that no stream of libc begins with (there it is
 * a descriptor number and a lock).
 *
 * Locking: none; like libc's, a stream is used by one thread at a time.
 */
#include "node/node.h"

#include <stdlib.h>

#define STREAM_MAGIC 0xd1ff0d1ff0d1ff0dull

struct stream {
	uint64_t magic;
	int fd; /* the client's; in the table */
	size_t count, cap, at;
	struct dirent *entry; /* count of them */
};

_Static_assert(sizeof(struct dirent) == sizeof(struct dirent64), "one layout for both");

static struct stream *as_stream(DIR *dir)
{
	struct stream *s = (struct stream *)dir;

	return s->magic == STREAM_MAGIC ? s : NULL;
}

static bool stream_has(const struct stream *s, const char *name)
{
	for (size_t i = 0; i < s->count; i++) {
		if (strcmp(s->entry[i].d_name, name) == 0) {
			return true;
		}
	}
	return false;
}

static bool stream_add(struct stream *s, const char *name, ino_t number, unsigned char type)
{
	struct dirent *entry;

	if (stream_has(s, name)) {
		return true;
	}
	if (s->count == s->cap) {
		size_t cap = s->cap ? 2 * s->cap : 32;
		struct dirent *grown = realloc(s->entry, cap * sizeof(*grown));

		if (!grown) {
			return false;
		}
		s->entry = grown;
		s->cap = cap;
	}
	entry = &s->entry[s->count++];
	memset(entry, 0, sizeof(*entry));
	entry->d_ino = number;
	entry->d_off = (off_t)s->count;
	entry->d_reclen = sizeof(*entry);
	entry->d_type = type;
	snprintf(entry->d_name, sizeof(entry->d_name), "%s", name);
	return true;
}

/* What the host has at @path; nothing if it has nothing. */
static bool stream_add_host(struct stream *s, const char *path)
{
	DIR *dir = REAL(opendir)(path);
	const struct dirent *entry;
	bool ok = true;

	while (dir && ok && (entry = REAL(readdir)(dir)) != NULL) {
		ok = stream_add(s, entry->d_name, entry->d_ino, entry->d_type);
	}
	if (dir) {
		REAL(closedir)(dir);
	}
	return ok;
}

static bool stream_fill(struct stream *s, struct tnode *node)
{
	const struct tnode *child;
	char path[PATH_MAX];
	bool ok;

	tree_complete(node);
	ok = stream_add(s, ".", node->number, DT_DIR) &&
	     stream_add(s, "..", node->parent->number, DT_DIR);
	child = atomic_load_explicit(&node->children, memory_order_acquire);
	for (; ok && child; child = child->next) {
		ok = !tree_shows(child) ||
		     stream_add(s, child->name, child->number, tree_dirent_type(child));
	}
	if (ok && !node->whole && tree_path(node, path, sizeof(path))) {
		ok = stream_add_host(s, path);
	}
	return ok;
}

/* The stream takes over @fd, which is in the table. */
static DIR *stream_create(int fd, struct tnode *node)
{
	struct stream *s = calloc(1, sizeof(*s));

	if (s && stream_fill(s, node)) {
		s->magic = STREAM_MAGIC;
		s->fd = fd;
		return (DIR *)s;
	}
	if (s) {
		free(s->entry);
		free(s);
	}
	errno = ENOMEM;
	return NULL;
}

/* The directory of the tree behind @fd, or NULL. */
static struct tnode *fd_dir(int fd)
{
	struct node_file *file;
	struct tnode *node;

	if (!fd_is_marked(fd)) {
		return NULL;
	}
	file = fd_get(fd);
	node = file && file->kind == NODE_TREE ? file->tnode : NULL;
	node_enter();
	file_put(file);
	node_leave();
	return node;
}

/* ---- the interposers ------------------------------------------------------------------------- */

EXPORT DIR *opendir(const char *name)
{
	struct path path;
	struct tnode *node;
	DIR *dir;
	int fd;

	switch (path_resolve(AT_FDCWD, name, 0, &path)) {
	case PATH_HOST:
		if (!path.node) {
			return REAL(opendir)(name);
		}
		break;
	case PATH_MOVED:
		if (!path.node) {
			return REAL(opendir)(path.path);
		}
		break;
	default:
		break;
	}
	if (!node_open(AT_FDCWD, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, &fd)) {
		fd = -ENOENT; /* it was here a moment ago */
	}
	if (fd < 0) {
		errno = -fd;
		return NULL;
	}
	node = fd_dir(fd);
	dir = node ? stream_create(fd, node) : REAL(fdopendir)(fd);
	if (!dir) {
		int saved_errno = errno;

		node_close(fd);
		errno = saved_errno;
	}
	return dir;
}

EXPORT DIR *fdopendir(int fd)
{
	struct tnode *node = fd_dir(fd);

	if (!node) {
		return REAL(fdopendir)(fd);
	}
	if (node->kind != TNODE_DIR) {
		errno = ENOTDIR;
		return NULL;
	}
	return stream_create(fd, node);
}

EXPORT int closedir(DIR *dir)
{
	struct stream *s = as_stream(dir);
	int fd;

	if (!s) {
		fd_fresh(REAL(dirfd)(dir));
		return REAL(closedir)(dir);
	}
	fd = s->fd;
	s->magic = 0;
	free(s->entry);
	free(s);
	return node_close(fd);
}

EXPORT struct dirent *readdir(DIR *dir)
{
	struct stream *s = as_stream(dir);

	if (!s) {
		return REAL(readdir)(dir);
	}
	return s->at < s->count ? &s->entry[s->at++] : NULL;
}

EXPORT struct dirent64 *readdir64(DIR *dir)
{
	return as_stream(dir) ? (struct dirent64 *)readdir(dir) : REAL(readdir64)(dir);
}

EXPORT int dirfd(DIR *dir)
{
	struct stream *s = as_stream(dir);

	return s ? s->fd : REAL(dirfd)(dir);
}

EXPORT void rewinddir(DIR *dir)
{
	struct stream *s = as_stream(dir);

	if (s) {
		s->at = 0;
	} else {
		REAL(rewinddir)(dir);
	}
}

EXPORT long telldir(DIR *dir)
{
	struct stream *s = as_stream(dir);

	return s ? (long)s->at : REAL(telldir)(dir);
}

EXPORT void seekdir(DIR *dir, long at)
{
	struct stream *s = as_stream(dir);

	if (!s) {
		REAL(seekdir)(dir, at);
	} else if (at >= 0 && (size_t)at <= s->count) {
		s->at = (size_t)at;
	}
}

/* ---- scandir, glob: libc's own would not call the functions above ---------------------------- */

typedef int (*scan_filter)(const struct dirent *);
typedef int (*scan_compare)(const struct dirent **, const struct dirent **);

static void list_free(struct dirent **list, int n)
{
	while (n > 0) {
		free(list[--n]);
	}
	free(list);
}

static int scan(DIR *dir, struct dirent ***list_out, scan_filter filter, scan_compare compare)
{
	const struct stream *s = as_stream(dir);
	struct dirent **list = calloc(s->count + 1, sizeof(*list));
	int n = 0;

	for (size_t i = 0; list && i < s->count; i++) {
		if (filter && !filter(&s->entry[i])) {
			continue;
		}
		list[n] = malloc(sizeof(**list));
		if (!list[n]) {
			list_free(list, n);
			list = NULL;
			break;
		}
		*list[n++] = s->entry[i];
	}
	if (!list) {
		errno = ENOMEM;
		return -1;
	}
	if (compare) {
		qsort(list, (size_t)n, sizeof(*list), (int (*)(const void *, const void *))compare);
	}
	*list_out = list;
	return n;
}

EXPORT int scandir(const char *name, struct dirent ***list_out, scan_filter filter,
		   scan_compare compare)
{
	struct path path;
	DIR *dir;
	int n;

	if (path_resolve(AT_FDCWD, name, 0, &path) == PATH_HOST && !path.node) {
		return REAL(scandir)(name, list_out, filter, compare);
	}
	if (path.kind == PATH_MOVED && !path.node) {
		return REAL(scandir)(path.path, list_out, filter, compare);
	}
	dir = opendir(name);
	if (!dir) {
		return -1;
	}
	n = as_stream(dir) ? scan(dir, list_out, filter, compare) :
			     REAL(scandir)(name, list_out, filter, compare);
	closedir(dir);
	return n;
}

EXPORT int scandir64(const char *name, struct dirent64 ***list_out,
		     int (*filter)(const struct dirent64 *),
		     int (*compare)(const struct dirent64 **, const struct dirent64 **))
{
	return scandir(name, (struct dirent ***)list_out, (scan_filter)filter,
		       (scan_compare)compare);
}

static void glob_closedir(void *dir)
{
	closedir(dir);
}

static struct dirent *glob_readdir(void *dir)
{
	return readdir(dir);
}

static void *glob_opendir(const char *name)
{
	return opendir(name);
}

EXPORT int glob(const char *pattern, int flags, int (*error)(const char *, int), glob_t *found)
{
	bool ours = strncmp(pattern, "/dev/", 5) == 0 || strncmp(pattern, "/sys/", 5) == 0;
	int ret;

	if (!ours || (flags & GLOB_ALTDIRFUNC)) {
		return REAL(glob)(pattern, flags, error, found);
	}
	found->gl_closedir = glob_closedir;
	found->gl_readdir = glob_readdir;
	found->gl_opendir = glob_opendir;
	found->gl_lstat = node_lstat;
	found->gl_stat = node_stat;
	ret = REAL(glob)(pattern, flags | GLOB_ALTDIRFUNC, error, found);
	found->gl_flags &= ~GLOB_ALTDIRFUNC;
	return ret;
}

_Static_assert(sizeof(glob_t) == sizeof(glob64_t), "one layout for both");

EXPORT int glob64(const char *pattern, int flags, int (*error)(const char *, int),
		  glob64_t *found)
{
	return glob(pattern, flags, error, (glob_t *)found);
}
