// SPDX-License-Identifier: MIT
/* What a user says of faults, as text; see fault.h for the grammar. */
#include "port/fault.h"

#include "port/internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define ERRNO_MAX 4095
#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static const struct kind {
	const char *name;
	enum port_fault_point point;
	bool names_ioctl;   /* is about one, behind a colon */
	bool inside_ioctl;  /* may be kept to one */
	bool at_place;      /* or to a line of the source */
	bool named_error;   /* the error may be chosen */
	int error;          /* if it is not */
} kinds[] = {
	{ "alloc", PORT_FAULT_ALLOC, false, true, true, false, -ENOMEM },
	{ "vram", PORT_FAULT_VRAM, false, true, false, false, -ENOMEM },
	{ "bind", PORT_FAULT_BIND, false, false, false, true, -ENOMEM },
	{ "wait", PORT_FAULT_SLEEP, false, true, true, false, -EINTR },
	{ "ioctl", PORT_FAULT_IOCTL, true, false, false, true, -ENOMEM },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct parse {
	struct port_fault *fault;
	bool (*known)(const char *ioctl);
	char *why;
	size_t why_B;
};

#define WRONG(p, ...) (snprintf((p)->why, (p)->why_B, __VA_ARGS__), false)

const char *port_fault_ioctl(const char *name)
{
	static const char *const prefixes[] = { "DRM_IOCTL_", "XE_" };

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		size_t len = strlen(prefixes[i]);

		name += strncmp(name, prefixes[i], len) == 0 ? len : 0;
	}
	return name;
}

const char *port_fault_name(enum port_fault_point point)
{
	for (size_t i = 0; i < KINDS; i++) {
		if (kinds[i].point == point) {
			return kinds[i].name;
		}
	}
	return NULL;
}

static bool parse_error(struct parse *p, const char *text)
{
	for (int err = 1; err <= ERRNO_MAX; err++) {
		const char *name = strerrorname_np(err);

		if (name && strcmp(name, text) == 0) {
			p->fault->error = -err;
			return true;
		}
	}
	return WRONG(p, "'%s' in '%s' is no error; say for example ENOMEM", text, p->fault->text);
}

static bool parse_ioctl(struct parse *p, const char *name)
{
	strcpy(p->fault->ioctl, port_fault_ioctl(name));
	if (!p->known(p->fault->ioctl)) {
		return WRONG(p, "'%s' in '%s' is no ioctl of this device; say for example VM_BIND",
			     name, p->fault->text);
	}
	return true;
}

/* N, everyN, fromN */
static bool parse_number(struct parse *p, const struct kind *kind, const char *text)
{
	struct port_fault *fault = p->fault;
	const char *number = text;
	char *end;

	if (strncmp(text, "every", 5) == 0) {
		fault->when = PORT_FAULT_EVERY;
		number += 5;
	} else if (strncmp(text, "from", 4) == 0) {
		fault->when = PORT_FAULT_FROM;
		number += 4;
	}
	errno = 0;
	fault->n = strtoull(number, &end, 10);
	if (!isdigit((unsigned char)*number) || *end || errno || !fault->n) {
		return WRONG(p, "'%s' in '%s' does not say which; say 7 (the seventh), every7 or "
			     "from7", text, fault->text);
	}
	if (kind->point == PORT_FAULT_VRAM) {
		if (number != text) {
			return WRONG(p, "'%s': VRAM ends once, and stays so; say vram=%s",
				     fault->text, number);
		}
		fault->when = PORT_FAULT_FROM;
	}
	return true;
}

/* What is behind the '='. @text is ours to cut. */
static bool parse_when(struct parse *p, const struct kind *kind, char *text)
{
	char *error = strchr(text, ':'), *inside = strchr(text, '/');

	if (error && !kind->named_error) {
		return WRONG(p, "'%s': the error of '%s' cannot be chosen; leave '%s' out",
			     p->fault->text, kind->name, error);
	}
	if (inside && !kind->inside_ioctl) {
		return WRONG(p, "'%s': '%s' cannot be kept to an ioctl; leave '%s' out",
			     p->fault->text, kind->name, inside);
	}
	if (error) {
		*error++ = '\0';
	}
	if (inside) {
		*inside++ = '\0';
	}
	return parse_number(p, kind, text) && (!error || parse_error(p, error)) &&
	       (!inside || parse_ioctl(p, inside));
}

/* FILE:LINE */
static bool parse_place(struct parse *p, const struct kind *kind, const char *place)
{
	const char *line = strrchr(place, ':');

	if (!kind->at_place || !line || line == place || !line[1] ||
	    strspn(line + 1, DIGITS) != strlen(line + 1) ||
	    strspn(place, DIGITS LETTERS "_-./") != (size_t)(line - place)) {
		return WRONG(p, "'@%s' in '%s' is no place; say for example "
			     "alloc@src/vm/bind.c:120=1", place, p->fault->text);
	}
	strcpy(p->fault->place, place);
	return true;
}

/* What is between the name and the '='. */
static bool parse_scope(struct parse *p, const struct kind *kind, const char *text)
{
	if (kind->names_ioctl) {
		if (*text != ':') {
			return WRONG(p, "'%s' does not say which ioctl; say for example "
				     "ioctl:VM_BIND=5:ENOMEM", p->fault->text);
		}
		return parse_ioctl(p, text + 1);
	}
	if (*text == '@') {
		return parse_place(p, kind, text + 1);
	}
	if (*text) {
		return WRONG(p, "'%s' in '%s' cannot follow '%s'; leave it out", text,
			     p->fault->text, kind->name);
	}
	return true;
}

static bool parse_fault(struct parse *p)
{
	char text[PORT_FAULT_TEXT_B], *when;

	strcpy(text, p->fault->text);
	when = strrchr(text, '=');
	if (when) {
		*when++ = '\0';
	}
	for (size_t i = 0; i < KINDS; i++) {
		const struct kind *kind = &kinds[i];
		size_t len = strlen(kind->name);

		if (strncmp(text, kind->name, len) == 0 && !isalnum((unsigned char)text[len])) {
			if (!when) {
				return WRONG(p, "'%s' does not say when; say for example "
					     "alloc=7", p->fault->text);
			}
			p->fault->point = kind->point;
			p->fault->error = kind->error;
			return parse_scope(p, kind, text + len) && parse_when(p, kind, when);
		}
	}
	return WRONG(p, "'%s' is no fault; known are alloc, bind, wait, ioctl:NAME and vram, and "
		     "count alone", p->fault->text);
}

bool port_fault_parse(const char *spec, bool (*known)(const char *ioctl), struct port_faults *out,
		      char *why, size_t why_B)
{
	struct parse p = { .known = known, .why = why, .why_B = why_B };

	memset(out, 0, sizeof(*out));
	if (strcmp(spec, "count") == 0) {
		return true;
	}
	for (;;) {
		size_t len = strcspn(spec, ",");

		if (out->count == PORT_FAULTS_MAX) {
			return WRONG(&p, "'%s' is too much; at most %d faults can be given",
				     spec, PORT_FAULTS_MAX);
		}
		if (len >= PORT_FAULT_TEXT_B) {
			return WRONG(&p, "'%s' is too long for one fault; separate them by commas",
				     spec);
		}
		p.fault = &out->fault[out->count++];
		memcpy(p.fault->text, spec, len);
		if (!parse_fault(&p)) {
			return false;
		}
		if (!spec[len]) {
			return true;
		}
		spec += len + 1;
	}
}
