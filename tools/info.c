// SPDX-License-Identifier: MIT
/* vmbind info: the devices that can be presented, and what this machine offers for them. */
#include "tools.h"

#include "node/options.h"
#include "port/posix.h"
#include "uapi/uapi.h"

#include <stdio.h>
#include <unistd.h>

static const char help[] = "usage: vmbind info\n"
			   "\n"
			   "Lists the GPUs that `vmbind run --gpu NAME` can present, and says how\n"
			   "the device hears of client memory that goes away: from calls of libc\n"
			   "(interposition), and from the kernel where it offers userfaultfd.\n";

static bool show(const char *uapi, const char *gpu)
{
	struct uapi_config config = {
		.uapi = uapi,
		.gpu = gpu,
	};
	const struct uapi_identity *id;
	struct uapi_device *device;
	const char *what = NULL;
	int ret = uapi_device_create(&config, &device, &what);

	if (ret) {
		complain("%s cannot be made: %s", gpu, what ? what : strerror(-ret));
		return false;
	}
	id = uapi_device_identity(device);
	printf("%-6s %-6s %04x:%04x  %-14s %s\n", gpu, id->driver, id->vendor, id->device,
	       id->pci_slot, id->description);
	uapi_device_destroy(device);
	return true;
}

static void show_watch(void)
{
	int fd = option_userfaultfd() ? port_watch_open() : -ECANCELED;
	char text[WATCH_TEXT_B];

	option_watch_text(text, fd < 0 ? fd : 0);
	printf("\nclient memory is watched by: %s\n", text);
	if (fd >= 0) {
		close(fd);
	}
}

static int run(int argc, char **argv)
{
	bool ok = true;

	if (argc > 1) {
		fputs(help, strcmp(argv[1], "--help") == 0 ? stdout : stderr);
		return strcmp(argv[1], "--help") == 0 ? 0 : EXIT_OURS;
	}
	printf("%-6s %-6s %-9s  %-14s %s\n", "GPU", "UAPI", "PCI ID", "SLOT", "DESCRIPTION");
	for (unsigned i = 0; uapi_name(i); i++) {
		for (unsigned j = 0; uapi_gpu_name(uapi_name(i), j); j++) {
			ok = show(uapi_name(i), uapi_gpu_name(uapi_name(i), j)) && ok;
		}
	}
	show_watch();
	return ok ? 0 : EXIT_OURS;
}

const struct subcommand subcommand_info = {
	.name = "info",
	.summary = "list the devices, and what watches client memory",
	.help = help,
	.run = run,
};
