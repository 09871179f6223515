// SPDX-License-Identifier: MIT
/*
 * async-bind: binds and work are given to the device ahead of time, and nobody waits in between.
 *
 * Three things are queued: a bind that waits for the CPU, a batch that waits for the bind, and an
 * unbind that waits for the batch. Each names a point of one timeline to wait for and the next one
 * to signal. Only then the CPU lets the first one go, and waits for the last.
 *
 * How the CPU holds work back: a batch that spins on a word in memory. (A syncobj to wait for must
 * hold something that will surely happen; the CPU's word is no such thing, the end of a batch is.)
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vmbind/vmbind.h>

#define GATE 0x10000u /* the spinning batch; the word is in its second half */
#define FLAG (GATE + 0x800u)
#define CODE 0x100000u
#define DATA 0x200000u
#define PAGE 0x1000u

static struct vmb_device *device;
static struct vmb_vm *vm;
static struct vmb_queue *queue, *gate_queue;
static struct vmb_syncobj *line; /* the timeline */

static void must(const char *what, int ret)
{
	if (ret) {
		fprintf(stderr, "async-bind: %s: %s\n", what, strerror(-ret));
		exit(1);
	}
}

static struct vmb_bo *new_page(void)
{
	struct vmb_bo_args args = { .size_B = sizeof(args), .length_B = PAGE };
	struct vmb_bo *bo;

	must("an object", vmb_bo_create(device, &args, &bo));
	return bo;
}

static struct vmb_queue *new_queue(void)
{
	struct vmb_queue_args args = { .size_B = sizeof(args), .engine_class = VMB_ENGINE_COPY,
				       .instance = VMB_ENGINE_ANY };
	struct vmb_queue *made;

	must("a queue", vmb_queue_create(vm, &args, &made));
	return made;
}

/* After point @after (0: at once), signals the one behind it. */
static uint32_t fill_syncs(struct vmb_sync *syncs, uint64_t after)
{
	uint32_t n = 0;

	if (after) {
		syncs[n++] = (struct vmb_sync){ .flags = VMB_SYNC_WAIT, .syncobj = line,
						.point = after };
	}
	syncs[n++] = (struct vmb_sync){ .flags = VMB_SYNC_SIGNAL, .syncobj = line,
					.point = after + 1 };
	return n;
}

/* Returns when the bind is checked and queued, not when it is done. */
static void bind(enum vmb_bind_kind kind, struct vmb_bo *bo, uint64_t addr, uint64_t after)
{
	struct vmb_bind_op op = { .kind = kind, .bo = bo, .addr = addr, .range_B = PAGE };
	struct vmb_sync syncs[2];
	struct vmb_bind_args args = { .size_B = sizeof(args), .ops = &op, .op_count = 1,
				      .syncs = syncs, .sync_count = fill_syncs(syncs, after) };

	must("a bind", vmb_bind(vm, &args, NULL));
}

static void submit(struct vmb_queue *to, uint64_t batch, uint64_t after)
{
	struct vmb_sync syncs[2];
	struct vmb_submit_args args = { .size_B = sizeof(args), .batches = &batch,
					.batch_count = 1, .syncs = syncs,
					.sync_count = fill_syncs(syncs, after) };

	must("a submission", vmb_queue_submit(to, &args));
}

/* A page that is mapped at once. */
static struct vmb_bo *mapped_page(uint64_t addr)
{
	struct vmb_bo *bo = new_page();
	struct vmb_bind_op op = { .kind = VMB_BIND_MAP, .bo = bo, .addr = addr, .range_B = PAGE };
	struct vmb_bind_args args = { .size_B = sizeof(args), .flags = VMB_BIND_SYNC,
				      .ops = &op, .op_count = 1 };

	must("a bind", vmb_bind(vm, &args, NULL));
	return bo;
}

int main(void)
{
	/* Ends when the word is 0; else begins again. */
	static const uint32_t spin[] = { 0x36u << 23 | 1u << 21 | 2, 0, FLAG, 0,
					 0x31u << 23 | 1u << 8 | 1, GATE, 0 };
	static const uint32_t store[] = { 0x20u << 23 | 2, DATA, 0, 42, 0x0au << 23 };
	struct vmb_wait wait;
	struct vmb_wait_args waits = { .size_B = sizeof(waits), .waits = &wait, .count = 1,
				       .deadline_ns = VMB_FOREVER };
	struct vmb_bo *gate, *code, *data;
	uint32_t *flag, word;
	uint64_t point;

	must("a device", vmb_device_create(NULL, &device, NULL));
	must("an address space", vmb_vm_create(device, NULL, &vm));
	must("a syncobj", vmb_syncobj_create(device, 0, &line));
	gate_queue = new_queue();
	queue = new_queue();
	gate = mapped_page(GATE);
	code = mapped_page(CODE);
	data = new_page();
	flag = (uint32_t *)vmb_bo_map(gate) + (FLAG - GATE) / 4;
	*flag = 1;
	memcpy(vmb_bo_map(gate), spin, sizeof(spin));
	memcpy(vmb_bo_map(code), store, sizeof(store));

	submit(gate_queue, GATE, 0);            /* point 1: when the CPU says so */
	bind(VMB_BIND_MAP, data, DATA, 1);      /* point 2: DATA is mapped */
	submit(queue, CODE, 2);                 /* point 3: and has been written */
	bind(VMB_BIND_UNMAP, NULL, DATA, 3);    /* point 4: and is gone again */
	must("a query", vmb_syncobj_query(line, &point));
	printf("all is queued; point %u of 4, the word is %u\n", (unsigned)point,
	       *(const uint32_t *)vmb_bo_map(data));

	__atomic_store_n(flag, 0, __ATOMIC_RELEASE);
	wait = (struct vmb_wait){ .syncobj = line, .point = 4 };
	must("a wait", vmb_syncobj_wait(&waits, NULL));
	must("the work", vmb_queue_error(queue));
	must("a query", vmb_syncobj_query(line, &point));
	printf("all is done; point %u of 4, the word is %u\n", (unsigned)point,
	       *(const uint32_t *)vmb_bo_map(data));
	printf("the mapping is gone: %s\n",
	       strerror(-vmb_vm_read(vm, DATA, &word, sizeof(word))));

	vmb_vm_destroy(vm);
	vmb_queue_destroy(queue);
	vmb_queue_destroy(gate_queue);
	vmb_syncobj_destroy(line);
	vmb_bo_destroy(gate);
	vmb_bo_destroy(code);
	vmb_bo_destroy(data);
	vmb_device_destroy(device);
	return 0;
}
