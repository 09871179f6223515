/* SPDX-License-Identifier: MIT */
/*
 * Faults that a user asks for: `vmbind run --fault SPEC`. They use the points of port.h, in a
 * program that is not a test of ours, and tell a listener what happened.
 *
 *	SPEC   FAULT[,FAULT...], or count: none, but all is counted
 *	FAULT  alloc[@FILE:LINE]=WHEN[/IOCTL]   memory of the device: NULL or -ENOMEM
 *	       vram=N[/IOCTL]                   from the N-th request on there is no VRAM
 *	       bind=WHEN[:ERROR]                a list of binds; -ENOMEM if no error is named
 *	       wait[@FILE:LINE]=WHEN[/IOCTL]    an interruptible wait: -EINTR
 *	       ioctl:IOCTL=WHEN[:ERROR]         before anything of it is done
 *	WHEN   N (the N-th, from 1), everyN (each N-th), fromN (the N-th and all after it)
 *	IOCTL  VM_BIND, XE_VM_BIND or DRM_IOCTL_XE_VM_BIND
 */
#ifndef PORT_FAULT_H
#define PORT_FAULT_H

#include "port/port.h"

#define PORT_FAULTS_MAX 16
#define PORT_FAULT_TEXT_B 128

enum port_fault_when {
	PORT_FAULT_NTH,
	PORT_FAULT_EVERY,
	PORT_FAULT_FROM,
};

struct port_fault {
	enum port_fault_point point;
	enum port_fault_when when;
	uint64_t n;
	int error;                     /* -errno */
	char text[PORT_FAULT_TEXT_B];  /* as it was asked for */
	char ioctl[PORT_FAULT_TEXT_B]; /* only inside this one; empty: anywhere */
	char place[PORT_FAULT_TEXT_B]; /* only at this FILE:LINE; empty: anywhere */
};

struct port_faults {
	struct port_fault fault[PORT_FAULTS_MAX];
	unsigned count;
};

/*
 * Reads @spec. @known: is there an ioctl of this name, without its prefixes? On failure false, and
 * @why of @why_B says what is wrong and how to say it right.
 */
bool port_fault_parse(const char *spec, bool (*known)(const char *ioctl), struct port_faults *out,
		      char *why, size_t why_B);
/* An ioctl's name without DRM_IOCTL_ and the name of the driver (XE_). */
const char *port_fault_ioctl(const char *name);
/* What a SPEC calls @point; NULL: nothing. */
const char *port_fault_name(enum port_fault_point point);

/*
 * One occurrence: @fault is -1 for all of @point, and then the index of each fault that it is one
 * of, with its number @n there; @strikes: and that made it fail. @ioctl: NULL outside of all.
 * Called under any lock; the strings are static.
 */
typedef void port_fault_listener(enum port_fault_point point, int fault, uint64_t n, bool strikes,
				 const char *ioctl, const char *place);
/*
 * From now on, in this process and those it forks. Once, before any other thread is in the device.
 * Occurrences are numbered in the order in which threads come.
 */
void port_fault_arm(const struct port_faults *faults, port_fault_listener *listener);

#endif
