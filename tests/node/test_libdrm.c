// SPDX-License-Identifier: MIT
/* How drivers find their device: libdrm, unmodified. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xf86drm.h>

static int number, bad;

static void check(const char *what, int good)
{
	number++;
	bad += !good;
	printf("%s %d - %s\n", good ? "ok" : "not ok", number, what);
}

static void check_device(const drmDevice *device)
{
	check("both nodes are available",
	      device->available_nodes == (1 << DRM_NODE_PRIMARY | 1 << DRM_NODE_RENDER));
	check("primary node", strcmp(device->nodes[DRM_NODE_PRIMARY], "/dev/dri/card0") == 0);
	check("render node", strcmp(device->nodes[DRM_NODE_RENDER], "/dev/dri/renderD128") == 0);
	check("bus", device->bustype == DRM_BUS_PCI && device->businfo.pci->bus == 3 &&
		     device->businfo.pci->dev == 0 && device->businfo.pci->func == 0);
	check("PCI id", device->deviceinfo.pci->vendor_id == 0x8086 &&
			device->deviceinfo.pci->device_id == 0xe20b);
}

int main(void)
{
	drmDevicePtr devices[4] = { NULL }, device = NULL;
	int n = drmGetDevices2(DRM_DEVICE_GET_PCI_REVISION, devices, 4), fd;
	drmVersionPtr version;
	char *name;

	check("one device", n == 1);
	if (n == 1) {
		check_device(devices[0]);
		drmFreeDevices(devices, n);
	}
	fd = open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC);
	check("device of a descriptor", drmGetDevice2(fd, 0, &device) == 0);
	if (device) {
		check_device(device);
		drmFreeDevice(&device);
	}
	version = drmGetVersion(fd);
	check("driver", version && strcmp(version->name, "xe") == 0);
	drmFreeVersion(version);
	name = drmGetDeviceNameFromFd2(fd);
	check("name of a descriptor", name && strcmp(name, "/dev/dri/renderD128") == 0);
	drmFree(name);
	check("type of node", drmGetNodeTypeFromFd(fd) == DRM_NODE_RENDER);
	close(fd);
	printf("1..%d\n", number);
	return bad ? 1 : 0;
}
