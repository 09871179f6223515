// SPDX-License-Identifier: MIT
/*
 * map: the smallest program that holds a GPU with libvmbind.
 *
 * It makes a device, an address space and objects, maps the objects, writes one of them with the
 * CPU, lets the GPU copy a word into another, and unmaps. What a driver's user-space half does in
 * its first minute, without a kernel in between.
 *
 *	cc map.c $(pkg-config --cflags --libs vmbind) && ./a.out
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vmbind/vmbind.h>

/* Addresses of the GPU are ours to choose. */
#define SOURCE 0x100000u
#define TARGET 0x40000000u
#define CODE 0x80000000u
#define LENGTH 0x10000u

static struct vmb_device *device;
static struct vmb_vm *vm;

static void must(const char *what, int ret)
{
	if (ret) {
		fprintf(stderr, "map: %s: %s\n", what, strerror(-ret));
		exit(1);
	}
}

static struct vmb_bo *new_object(void)
{
	struct vmb_bo_args args = { .size_B = sizeof(args), .length_B = LENGTH,
				    .placement = VMB_BO_SYSTEM };
	struct vmb_bo *bo;

	must("an object", vmb_bo_create(device, &args, &bo));
	return bo;
}

/* One operation, done when this returns. */
static void bind(struct vmb_bind_op op)
{
	struct vmb_bind_args args = { .size_B = sizeof(args), .flags = VMB_BIND_SYNC,
				      .ops = &op, .op_count = 1 };

	must("a bind", vmb_bind(vm, &args, NULL));
}

static void map(struct vmb_bo *bo, uint64_t addr)
{
	bind((struct vmb_bind_op){ .kind = VMB_BIND_MAP, .bo = bo, .addr = addr,
				   .range_B = LENGTH });
}

/* Lets a copy engine run the batch at CODE, and waits for it. */
static void run(void)
{
	struct vmb_queue_args engine = { .size_B = sizeof(engine),
					 .engine_class = VMB_ENGINE_COPY,
					 .instance = VMB_ENGINE_ANY };
	const uint64_t batch = CODE;
	struct vmb_sync done = { .flags = VMB_SYNC_SIGNAL };
	struct vmb_submit_args submit = { .size_B = sizeof(submit), .batches = &batch,
					  .batch_count = 1, .syncs = &done, .sync_count = 1 };
	struct vmb_wait wait;
	struct vmb_wait_args waits = { .size_B = sizeof(waits), .waits = &wait, .count = 1,
				       .deadline_ns = VMB_FOREVER };
	struct vmb_queue *queue;

	must("a syncobj", vmb_syncobj_create(device, 0, &done.syncobj));
	must("a queue", vmb_queue_create(vm, &engine, &queue));
	must("a submission", vmb_queue_submit(queue, &submit));
	wait = (struct vmb_wait){ .syncobj = done.syncobj };
	must("a wait", vmb_syncobj_wait(&waits, NULL));
	must("the work", vmb_queue_error(queue));
	vmb_queue_destroy(queue);
	vmb_syncobj_destroy(done.syncobj);
}

int main(void)
{
	/* The command that copies four bytes from one address to another, and the end. */
	static const uint32_t copy[] = { 0x2eu << 23 | 3, TARGET, 0, SOURCE, 0, 0x0au << 23 };
	struct vmb_bo *source, *target, *code;
	uint32_t word;

	must("a device", vmb_device_create(NULL, &device, NULL));
	must("an address space", vmb_vm_create(device, NULL, &vm));
	source = new_object();
	target = new_object();
	code = new_object();
	map(source, SOURCE);
	map(target, TARGET);
	map(code, CODE);

	*(uint32_t *)vmb_bo_map(source) = 0xcafe;
	memcpy(vmb_bo_map(code), copy, sizeof(copy));
	run();
	printf("the GPU copied 0x%x\n", *(const uint32_t *)vmb_bo_map(target));

	/* The address space can be looked into, through its page tables, without any work. */
	must("a read", vmb_vm_read(vm, SOURCE, &word, sizeof(word)));
	printf("at 0x%x it sees 0x%x\n", SOURCE, word);
	bind((struct vmb_bind_op){ .kind = VMB_BIND_UNMAP, .addr = SOURCE, .range_B = LENGTH });
	printf("unmapped: %s\n", strerror(-vmb_vm_read(vm, SOURCE, &word, sizeof(word))));

	/* In any order, but the device comes last. */
	vmb_bo_destroy(code);
	vmb_bo_destroy(target);
	vmb_bo_destroy(source);
	vmb_vm_destroy(vm);
	vmb_device_destroy(device);
	return 0;
}
