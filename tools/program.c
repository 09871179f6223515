// SPDX-License-Identifier: MIT
/*
 * Will preloading work? The loader ignores LD_PRELOAD for programs that run with somebody else's
 * rights, static programs have no loader, and a library for one libc or machine does not load into
 * another. Each of these would run the program without the device and without a word, so they are
 * found out before. For a script it is the interpreter that counts.
 */
#include "tools.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SCRIPTS_MAX 4
#define HEADERS_MAX 64
#define LINE_MAX_B 256

int program_find(const char *name, char path[PATH_MAX])
{
	const char *list = getenv("PATH"), *next;

	if (!*name) {
		complain("the command is empty");
		return EXIT_NOT_FOUND;
	}
	if (strchr(name, '/')) {
		if (strlen(name) >= PATH_MAX || access(name, F_OK)) {
			complain("there is no program '%s': %s", name, strerror(errno));
			return EXIT_NOT_FOUND;
		}
		strcpy(path, name);
		return 0;
	}
	for (list = list ? list : "/usr/bin:/bin"; list; list = next) {
		size_t len = strcspn(list, ":");
		struct stat st;

		next = list[len] ? list + len + 1 : NULL;
		if (len + strlen(name) + 3 > PATH_MAX) {
			continue;
		}
		memcpy(path, list, len);
		strcpy(path + len, len ? "/" : "./");
		strcat(path, name);
		if (access(path, X_OK) == 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
			return 0;
		}
	}
	complain("there is no program '%s' in PATH; say where it is, like ./%s", name, name);
	return EXIT_NOT_FOUND;
}

static int check_rights(const char *path, const struct stat *st)
{
	bool changes = ((st->st_mode & S_ISUID) && st->st_uid != geteuid()) ||
		       ((st->st_mode & S_ISGID) && st->st_gid != getegid()) ||
		       (geteuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0);

	if (changes) {
		complain("'%s' runs with other rights than yours (setuid, setgid or file "
			 "capabilities), where the loader ignores LD_PRELOAD; run a copy without "
			 "them or run it as their owner", path);
		return EXIT_OURS;
	}
	return 0;
}

/* Is it the loader itself, which preloads into what it is told to run? */
static bool is_loader(const char *path)
{
	char real[PATH_MAX];
	const char *name = realpath(path, real) ? strrchr(real, '/') + 1 : path;

	return strncmp(name, "ld-", 3) == 0 || strncmp(name, "ld.so", 5) == 0;
}

/* Reads PT_INTERP into @loader; empty if there is none. False when the file is damaged. */
static bool read_loader(int fd, const Elf64_Ehdr *header, char loader[PATH_MAX])
{
	Elf64_Phdr segment[HEADERS_MAX];
	size_t size_B = header->e_phnum * sizeof(segment[0]);

	loader[0] = '\0';
	if (header->e_phnum > HEADERS_MAX || header->e_phentsize != sizeof(segment[0]) ||
	    pread(fd, segment, size_B, (off_t)header->e_phoff) != (ssize_t)size_B) {
		return false;
	}
	for (int i = 0; i < header->e_phnum; i++) {
		size_t len = segment[i].p_filesz;

		if (segment[i].p_type == PT_INTERP) {
			if (!len || len >= PATH_MAX ||
			    pread(fd, loader, len, (off_t)segment[i].p_offset) != (ssize_t)len) {
				return false;
			}
			loader[len] = '\0';
		}
	}
	return true;
}

static int check_elf(const char *path, int fd, const Elf64_Ehdr *header)
{
	char loader[PATH_MAX];

	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_machine != EM_X86_64) {
		complain("'%s' is not a 64-bit x86 program, so the device's library does not load "
			 "into it; run a 64-bit build", path);
		return EXIT_OURS;
	}
	if (!read_loader(fd, header, loader)) {
		complain("'%s' is not a whole program", path);
		return EXIT_CANNOT_RUN;
	}
	if (!*loader && !is_loader(path)) {
		complain("'%s' is statically linked, so nothing can be preloaded into it; run a "
			 "dynamically linked build", path);
		return EXIT_OURS;
	}
	if (strstr(loader, "musl")) {
		complain("'%s' is built for musl (%s), but the device's library needs glibc; run a "
			 "glibc build", path, loader);
		return EXIT_OURS;
	}
	return 0;
}

/* The interpreter of a script, from its first line. False if it is none. */
static bool read_script(const char *head, char path[PATH_MAX])
{
	size_t len;

	if (strncmp(head, "#!", 2) != 0) {
		return false;
	}
	head += 2;
	head += strspn(head, " \t");
	len = strcspn(head, " \t\n");
	if (!len || len >= PATH_MAX) {
		return false;
	}
	memcpy(path, head, len);
	path[len] = '\0';
	return true;
}

int program_check(const char *path)
{
	union {
		Elf64_Ehdr elf;
		char text[LINE_MAX_B];
	} head;
	char script[PATH_MAX];
	int code = 0;

	for (int depth = 0; depth < SCRIPTS_MAX && !code; depth++) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		struct stat st;
		ssize_t n;

		if (fd < 0) {
			/* May be executable without being readable: then it runs or it does not. */
			return 0;
		}
		if (fstat(fd, &st) || S_ISDIR(st.st_mode) || access(path, X_OK)) {
			close(fd);
			complain("'%s' is not an executable file; chmod +x makes it one", path);
			return EXIT_CANNOT_RUN;
		}
		memset(&head, 0, sizeof(head));
		n = read(fd, &head, sizeof(head) - 1);
		code = check_rights(path, &st);
		if (!code && n >= (ssize_t)sizeof(head.elf) &&
		    memcmp(head.elf.e_ident, ELFMAG, SELFMAG) == 0) {
			code = check_elf(path, fd, &head.elf);
			close(fd);
			return code;
		}
		close(fd);
		if (!read_script(head.text, script)) {
			return code;
		}
		path = script;
	}
	return code;
}

bool program_part(const char *name, const char *in_build_tree, char path[PATH_MAX])
{
	const char *const folders[] = { "../" VMBIND_LIBDIR "/vmbind", "../lib/vmbind",
					in_build_tree };
	char self[PATH_MAX], tried[2 * PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (len < 0) {
		complain("cannot tell where I am (/proc/self/exe: %s); is /proc mounted?",
			 strerror(errno));
		return false;
	}
	self[len] = '\0';
	*strrchr(self, '/') = '\0';
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
		if (snprintf(tried, sizeof(tried), "%s/%s/%s", self, folders[i], name) <
		    (int)sizeof(tried) && realpath(tried, path)) {
			return true;
		}
	}
	complain("cannot find %s in %s/../" VMBIND_LIBDIR "/vmbind; install vmbind as a whole",
		 name, self);
	return false;
}
