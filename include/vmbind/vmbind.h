/* SPDX-License-Identifier: MIT */
/*
 * libvmbind: a GPU with VM_BIND in this process.
 *
 * What an unmodified program gets by `vmbind run`, for programs that want to hold the device
 * themselves: emulators, test benches, front-ends of other kinds. A device, files of it, and the
 * same ioctls that /dev/dri/renderD128 takes.
 *
 *	struct vmb_device *device;
 *	struct vmb_file *file;
 *	int ret = vmb_device_create(NULL, &device, NULL);
 *
 *	if (!ret) {
 *		ret = vmb_file_open(device, 0, &file);
 *		if (!ret) {
 *			ret = vmb_ioctl(file, DRM_IOCTL_VERSION, &version);
 *			vmb_file_close(file);
 *		}
 *		vmb_device_destroy(device);
 *	}
 *
 * Errors are negative errno. Link with `pkg-config --cflags --libs vmbind`. Functions may be called
 * from any thread at any time, but not from a signal handler, and not in the child of a fork(),
 * where a device of the parent cannot be used. The first device takes over SIGSEGV and SIGBUS of
 * the process: it repairs its own faults on client memory and passes all others to the handler that
 * was there before; one installed later must pass faults that are not its own back in turn.
 */
#ifndef VMBIND_VMBIND_H
#define VMBIND_VMBIND_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header. */
#define VMB_VERSION_MAJOR 0
#define VMB_VERSION_MINOR 1
#define VMB_VERSION_PATCH 0

struct vmb_device;
struct vmb_file;

/*
 * The version of the library that runs, "0.1.0"; a static string. The three numbers go where the
 * arguments point, each of which may be NULL.
 */
const char *vmb_version(int *major_out, int *minor_out, int *patch_out);

/*
 * What the device is to be. Set @size_B to sizeof(struct vmb_device_config) and all else to zero;
 * zero means the default everywhere. Later versions add members at the end only.
 */
struct vmb_device_config {
	uint64_t size_B;
	const char *uapi;        /* kernel interface: "xe" (default) */
	const char *gpu;         /* "bmg" (default), "lnl": see `vmbind info` */
	const char *schedule;    /* "normal" (default), "eager", "lazy", "adversarial" */
	uint64_t system_B;       /* system memory the GPU may use; default: what is free */
	uint64_t vram_B;         /* memory of the GPU; default: the real one's */
	uint64_t visible_vram_B; /* how much of that the CPU reaches; default: all */
};

/*
 * Makes a device. @config may be NULL for all defaults and is not needed afterwards. @what_out may
 * be NULL; on failure it gets what was at fault ("gpu", "vram", "memory"), a static string.
 *
 * 0; -EINVAL: a name is unknown or a size impossible; -E2BIG: @config is of a later version and
 * sets something this library does not know; -ENOMEM; -EAGAIN: threads cannot be had.
 */
int vmb_device_create(const struct vmb_device_config *config, struct vmb_device **device_out,
		      const char **what_out);

/* Ends a device; NULL is fine. Its files must have been closed: the program is stopped if not. */
void vmb_device_destroy(struct vmb_device *device);

/* Opens the primary node (card0) instead of the render node (renderD128). */
#define VMB_FILE_PRIMARY 1u

/*
 * A new open file of @device, as open() of its node gives. @flags: 0 or VMB_FILE_PRIMARY. The file
 * is the caller's, to vmb_file_close(). 0, -EINVAL, -ENOMEM.
 */
int vmb_file_open(struct vmb_device *device, unsigned flags, struct vmb_file **file_out);

/*
 * Closes @file and everything in it: objects, address spaces, queues, whose unfinished work is
 * cancelled. NULL is fine. No other call may be in the file.
 */
void vmb_file_close(struct vmb_file *file);

/*
 * One ioctl, with the request numbers and structs of the kernel's <drm/drm.h> and of the driver's
 * header (<drm/xe_drm.h>). Pointers in @arg are addresses of this process; a bad one is -EFAULT.
 * Waits may sleep as long as they say.
 *
 * 0 or what the kernel would put into errno, negative. What would make a file descriptor (exporting
 * a syncobj, a sync file or a dma-buf) is -EOPNOTSUPP, and a descriptor given is one it does not
 * know: a device in a process has none.
 */
int vmb_ioctl(struct vmb_file *file, unsigned long request, void *arg);

#ifdef __cplusplus
}
#endif

#endif
