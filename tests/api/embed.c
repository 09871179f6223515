// SPDX-License-Identifier: MIT
/*
 * A program of somebody else: knows the installed header and library, and libdrm's copy of the
 * kernel's drm.h, nothing of this tree. Prints TAP.
 */
#include <drm.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <vmbind/vmbind.h>

static int number, failed;

static void check(const char *name, int good)
{
	printf("%s %d - %s\n", good ? "ok" : "not ok", ++number, name);
	failed |= !good;
}

static void versions(void)
{
	char text[32];
	int major = -1, minor = -1, patch = -1;

	vmb_version(NULL, NULL, NULL);
	snprintf(text, sizeof(text), "%d.%d.%d", VMB_VERSION_MAJOR, VMB_VERSION_MINOR,
		 VMB_VERSION_PATCH);
	check("the library is the header's",
	      strcmp(vmb_version(&major, &minor, &patch), text) == 0);
	check("the numbers say the same", major == VMB_VERSION_MAJOR &&
	      minor == VMB_VERSION_MINOR && patch == VMB_VERSION_PATCH);
}

static void configs(void)
{
	struct {
		struct vmb_device_config config;
		uint64_t later;
	} newer = { .config.size_B = sizeof(newer), .later = 1 };
	struct vmb_device_config bad = { .size_B = sizeof(bad), .gpu = "none" };
	struct vmb_device *device;
	const char *what = "";

	check("an unknown GPU", vmb_device_create(&bad, &device, &what) == -EINVAL && !device &&
	      strcmp(what, "gpu") == 0);
	bad.gpu = "lnl";
	bad.vram_B = 1 << 30;
	check("memory of a GPU that has none", vmb_device_create(&bad, &device, NULL) == -EINVAL);
	bad.size_B = 0;
	check("no size", vmb_device_create(&bad, &device, NULL) == -EINVAL);
	check("a later member", vmb_device_create(&newer.config, &device, NULL) == -E2BIG);
	newer.later = 0;
	check("a later member that is zero", vmb_device_create(&newer.config, &device, NULL) == 0);
	vmb_device_destroy(device);
	newer.config.size_B = sizeof(uint64_t) + 2 * sizeof(char *);
	newer.config.gpu = "lnl";
	newer.config.vram_B = 1; /* behind the end */
	check("an earlier config", vmb_device_create(&newer.config, &device, NULL) == 0);
	vmb_device_destroy(device);
	vmb_device_destroy(NULL);
	vmb_file_close(NULL);
}

static void files(void)
{
	struct drm_syncobj_create create = { .flags = DRM_SYNCOBJ_CREATE_SIGNALED };
	struct drm_syncobj_handle handle = { .fd = -1 };
	struct drm_version version = { .name_len = 16 };
	char name[16] = "";
	struct vmb_device *device;
	struct vmb_file *render, *primary, *none;

	version.name = name;
	check("a device", vmb_device_create(NULL, &device, NULL) == 0);
	check("a render node", vmb_file_open(device, 0, &render) == 0);
	check("a primary node", vmb_file_open(device, VMB_FILE_PRIMARY, &primary) == 0);
	check("another flag", vmb_file_open(device, 2, &none) == -EINVAL && !none);
	check("an ioctl", vmb_ioctl(render, DRM_IOCTL_VERSION, &version) == 0 &&
	      strcmp(name, "xe") == 0);
	check("a bad pointer", vmb_ioctl(render, DRM_IOCTL_VERSION, (void *)8) == -EFAULT);
	check("what is none", vmb_ioctl(render, 0x1234, NULL) == -ENOTTY);
	check("the primary's business", vmb_ioctl(render, DRM_IOCTL_DROP_MASTER, NULL) == -EACCES);
	check("is the primary's", vmb_ioctl(primary, DRM_IOCTL_DROP_MASTER, NULL) == 0);
	check("a syncobj", vmb_ioctl(render, DRM_IOCTL_SYNCOBJ_CREATE, &create) == 0);
	handle.handle = create.handle;
	check("no descriptor of it",
	      vmb_ioctl(render, DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, &handle) == -EOPNOTSUPP);
	check("nor from one",
	      vmb_ioctl(render, DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE, &handle) == -EINVAL);
	vmb_file_close(primary);
	vmb_file_close(render);
	vmb_device_destroy(device);
}

int main(void)
{
	versions();
	configs();
	files();
	printf("1..%d\n", number);
	return failed;
}
