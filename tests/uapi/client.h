/* SPDX-License-Identifier: MIT */
/*
 * A client in the test's own process: a device behind a host that keeps descriptors in a table, and
 * short ways to say what real clients say by ioctl. What can fail is returned; what a test relies
 * on aborts when it fails.
 *
 *	struct client c;
 *
 *	client_init(&c, "bmg");
 *	vm = client_vm(&c, 0);
 *	bo = client_bo(&c, vm, SZ_64K);
 *	CHECK_OK(client_map(&c, vm, bo, 0, 0x100000, SZ_64K));
 *	client_fini(&c);
 */
#ifndef TESTS_UAPI_CLIENT_H
#define TESTS_UAPI_CLIENT_H

#include "test.h"
#include "xe_client.h"

#define CLIENT_BAD UINT64_C(0x10) /* an address nothing is at */

struct client {
	struct uapi_device *device;
	struct uapi_file *file;   /* of the render node */
	struct client_host host;
};

/* A device with 256 MiB of each memory, and one open file. */
void client_init(struct client *c, const char *gpu);
void client_init_as(struct client *c, const struct uapi_config *config);
/* As client_init_as(), but may fail: nothing is left then. */
int client_try_init(struct client *c, const struct uapi_config *config);
void client_fini(struct client *c);
/* What client_init() asks for. */
struct uapi_config client_config(const char *gpu);
/* Another file of the same device, to uapi_close(). */
struct uapi_file *client_open(struct client *c, bool render);
void client_close_fd(struct client *c, int fd);

/* ---- objects --------------------------------------------------------------------------------- */

uint32_t client_vm(struct client *c, uint32_t flags);
int client_vm_destroy(struct client *c, uint32_t vm);
/* In VRAM if there is any; aborts on failure. */
uint32_t client_bo(struct client *c, uint32_t vm, uint64_t size);
/* Where the CPU sees it; stays valid as long as the object. */
void *client_cpu(struct client *c, struct uapi_file *file, uint32_t handle, uint64_t size);
bool client_has_vram(struct client *c);
uint64_t client_page(struct client *c); /* smallest object */

/* ---- syncobjs -------------------------------------------------------------------------------- */

uint32_t client_syncobj(struct uapi_file *file, bool signalled);

/* ---- binds ----------------------------------------------------------------------------------- */

/* Maps or unmaps and waits until it is done. */
int client_map(struct client *c, uint32_t vm, uint32_t bo, uint64_t offset, uint64_t addr,
	       uint64_t range);
int client_unmap(struct client *c, uint32_t vm, uint64_t addr, uint64_t range);

/* ---- submissions ----------------------------------------------------------------------------- */

uint32_t client_queue(struct client *c, uint32_t vm, uint16_t class);
uint32_t client_bind_queue(struct client *c, uint32_t vm);

#endif
