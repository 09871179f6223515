// SPDX-License-Identifier: MIT
/*
 * error-flavours: the same list of binds fails in three address spaces, one of each flavour.
 *
 * The list maps four pages, the third of an object for which the GPU has no memory left. What is
 * there afterwards, and how the caller goes on once there is memory, tells the flavours apart:
 *
 *	unwind	 nothing is left; the caller gives the whole list again
 *	cookie	 the first two are there; the caller gives the rest, from .done on
 *	restart	 the first two are there, and nothing else may be mapped until the caller gives the
 *		 same list again as a restart, which goes on where it stopped
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vmbind/vmbind.h>

#define PAGE 0x1000u
#define OPS 4u
#define MEMORY ((uint64_t)64 << 20)

static struct vmb_device *device;

static void must(const char *what, int ret)
{
	if (ret) {
		fprintf(stderr, "error-flavours: %s: %s\n", what, strerror(-ret));
		exit(1);
	}
}

static struct vmb_bo *new_object(uint64_t length_B)
{
	struct vmb_bo_args args = { .size_B = sizeof(args), .length_B = length_B };
	struct vmb_bo *bo;

	must("an object", vmb_bo_create(device, &args, &bo));
	return bo;
}

static struct vmb_vm *new_vm(enum vmb_errors errors)
{
	struct vmb_vm_args args = { .size_B = sizeof(args), .errors = errors };
	struct vmb_vm *vm;

	must("an address space", vmb_vm_create(device, &args, &vm));
	return vm;
}

static int bind(struct vmb_vm *vm, const struct vmb_bind_op *ops, uint32_t count, uint32_t flags,
		struct vmb_bind_reply *reply)
{
	struct vmb_bind_args args = { .size_B = sizeof(args), .flags = VMB_BIND_SYNC | flags,
				      .ops = ops, .op_count = count };

	reply->size_B = sizeof(*reply);
	return vmb_bind(vm, &args, reply);
}

static unsigned mappings(struct vmb_vm *vm)
{
	struct vmb_mapping mapping = { .size_B = sizeof(mapping) };
	unsigned count = 0;

	while (vmb_vm_mapping_next(vm, mapping.end, &mapping) == 0) {
		count++;
	}
	return count;
}

static void try_flavour(const char *name, enum vmb_errors errors)
{
	struct vmb_bo *small = new_object(PAGE);
	struct vmb_bo *large = new_object(MEMORY / 4 * 3), *hog = new_object(MEMORY / 2);
	struct vmb_vm *vm = new_vm(errors), *other = new_vm(VMB_ERRORS_UNWIND);
	struct vmb_bind_op ops[OPS], first;
	struct vmb_bind_reply reply;
	int ret;

	for (unsigned i = 0; i < OPS; i++) {
		ops[i] = (struct vmb_bind_op){ .kind = VMB_BIND_MAP, .addr = (i + 1) * 0x100000u,
					       .range_B = PAGE, .bo = i == 2 ? large : small };
	}
	/* Somebody else has half of the memory, of which the large object needs more. */
	first = ops[0];
	first.bo = hog;
	must("a bind", bind(other, &first, 1, 0, &reply));

	ret = bind(vm, ops, OPS, 0, &reply);
	printf("%s: operation %u: %s (%s); done %u, mapped %u\n", name, reply.failed_op,
	       strerror(-ret), vmb_bind_reason_text((enum vmb_bind_reason)reply.reason),
	       reply.done, mappings(vm));
	if (errors == VMB_ERRORS_RESTART) {
		bind(vm, &first, 1, 0, &reply);
		printf("%s: meanwhile another bind: %s\n", name,
		       vmb_bind_reason_text((enum vmb_bind_reason)reply.reason));
	}

	/* Memory is freed by what ends the other's mapping; then it works. */
	vmb_vm_destroy(other);
	vmb_bo_destroy(hog);
	switch (errors) {
	case VMB_ERRORS_UNWIND:
		ret = bind(vm, ops, OPS, 0, &reply);
		break;
	case VMB_ERRORS_COOKIE:
		ret = bind(vm, ops + reply.done, OPS - reply.done, 0, &reply);
		break;
	case VMB_ERRORS_RESTART:
		ret = bind(vm, ops, OPS, VMB_BIND_RESTART, &reply);
		break;
	}
	must("the rest", ret);
	printf("%s: then %u done, mapped %u\n", name, reply.done, mappings(vm));
	vmb_vm_destroy(vm);
	vmb_bo_destroy(small);
	vmb_bo_destroy(large);
}

int main(void)
{
	struct vmb_device_config config = { .size_B = sizeof(config), .system_B = MEMORY };

	must("a device", vmb_device_create(&config, &device, NULL));
	try_flavour("unwind", VMB_ERRORS_UNWIND);
	try_flavour("cookie", VMB_ERRORS_COOKIE);
	try_flavour("restart", VMB_ERRORS_RESTART);
	vmb_device_destroy(device);
	return 0;
}
