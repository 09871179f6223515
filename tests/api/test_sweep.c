// SPDX-License-Identifier: MIT
/*
 * The library without memory: every allocation of a small program fails, once or from then on. What
 * cannot be had is -ENOMEM and leaves nothing; what there is goes on, and can be unmapped and
 * destroyed.
 */
#include "test.h"

#include <vmbind/vmbind.h>

#define PAGE 0x1000u
#define OPS 16
#define SYNCS 20

struct things {
	struct vmb_device *device;
	struct vmb_vm *vm;
	struct vmb_bo *bo;
	struct vmb_syncobj *in, *out;
	struct vmb_bind_queue *binds;
	struct vmb_queue *queue;
};

/* True when it worked; it need not once something has failed. */
static bool worked(int ret)
{
	if (ret) {
		CHECK(test_injected());
		CHECK_ERR(ret, -ENOMEM);
	}
	return ret == 0;
}

static bool make(struct things *t)
{
	struct vmb_device_config config = { .size_B = sizeof(config), .system_B = 16 << 20,
					    .vram_B = 16 << 20 };
	struct vmb_bo_args bo = { .size_B = sizeof(bo), .length_B = 2 * OPS * PAGE };
	struct vmb_queue_args queue = { .size_B = sizeof(queue),
					.engine_class = VMB_ENGINE_COPY };

	return worked(vmb_device_create(&config, &t->device, NULL)) &&
	       worked(vmb_vm_create(t->device, NULL, &t->vm)) &&
	       worked(vmb_bo_create(t->device, &bo, &t->bo)) &&
	       worked(vmb_syncobj_create(t->device, 1, &t->in)) &&
	       worked(vmb_syncobj_create(t->device, 0, &t->out)) &&
	       worked(vmb_bind_queue_create(t->vm, &t->binds)) &&
	       worked(vmb_queue_create(t->vm, &queue, &t->queue));
}

/* More operations and syncs than go without memory. */
static bool map(struct things *t, uint64_t *memory)
{
	struct vmb_bind_op ops[2 * OPS];
	struct vmb_sync syncs[SYNCS];
	struct vmb_bind_args args = { .size_B = sizeof(args), .queue = t->binds, .ops = ops,
				      .op_count = 2 * OPS, .syncs = syncs, .sync_count = SYNCS };
	struct vmb_bind_reply reply = { .size_B = sizeof(reply) };
	int ret;

	for (unsigned i = 0; i < 2 * OPS; i++) {
		ops[i] = (struct vmb_bind_op){ .kind = VMB_BIND_MAP, .addr = i * PAGE,
					       .range_B = PAGE, .bo = t->bo,
					       .offset = i * PAGE };
	}
	for (unsigned i = 0; i < SYNCS - 1; i++) {
		syncs[i] = (struct vmb_sync){ .flags = i % 2 ? VMB_SYNC_SIGNAL : VMB_SYNC_WAIT,
					      .syncobj = i % 2 ? t->out : t->in,
					      .point = i % 2 ? i : 0 };
	}
	syncs[SYNCS - 1] = (struct vmb_sync){ .flags = VMB_SYNC_SIGNAL, .memory = memory,
					      .value = 1 };
	ret = vmb_bind(t->vm, &args, &reply);
	if (ret) {
		CHECK_EQ(reply.reason, VMB_REASON_NO_MEMORY);
		CHECK_EQ(reply.done, 0);
	}
	return worked(ret);
}

static bool submit(struct things *t, uint64_t *memory)
{
	const uint64_t batch = 0;
	struct vmb_sync syncs[] = {
		{ .flags = VMB_SYNC_SIGNAL, .syncobj = t->out, .point = 100 },
		{ .flags = VMB_SYNC_SIGNAL, .memory = memory, .value = 2 },
	};
	struct vmb_submit_args args = { .size_B = sizeof(args), .batches = &batch,
					.batch_count = 1, .syncs = syncs, .sync_count = 2 };

	return worked(vmb_queue_submit(t->queue, &args));
}

/* In the middle of what is mapped, in as many pieces as need no memory. */
static void unmap(struct things *t)
{
	struct vmb_bind_op ops[OPS];
	struct vmb_bind_args args = { .size_B = sizeof(args), .flags = VMB_BIND_SYNC, .ops = ops,
				      .op_count = OPS };
	uint32_t word;

	for (unsigned i = 0; i < OPS; i++) {
		ops[i] = (struct vmb_bind_op){ .kind = VMB_BIND_UNMAP, .addr = (2 * i + 1) * PAGE,
					       .range_B = PAGE };
	}
	CHECK_OK(vmb_bind(t->vm, &args, NULL));
	CHECK_ERR(vmb_vm_read(t->vm, PAGE, &word, sizeof(word)), -EFAULT);
}

static void program(void *arg)
{
	struct things t = { 0 };
	uint64_t memory = 0;

	if (make(&t)) {
		bool mapped = map(&t, &memory);

		if (mapped) {
			CHECK_OK(vmb_memory_wait(t.device, &memory, 1, VMB_FOREVER));
			((uint32_t *)vmb_bo_map(t.bo))[0] = 0x0au << 23; /* an empty batch */
			if (submit(&t, &memory)) {
				CHECK_OK(vmb_memory_wait(t.device, &memory, 2, VMB_FOREVER));
			}
			CHECK_OK(vmb_queue_error(t.queue));
		}
		(void)worked(vmb_syncobj_signal(t.out, 200));
		unmap(&t);
	}
	vmb_queue_destroy(t.queue);
	vmb_bind_queue_destroy(t.binds);
	vmb_syncobj_destroy(t.out);
	vmb_syncobj_destroy(t.in);
	vmb_bo_destroy(t.bo);
	vmb_vm_destroy(t.vm);
	vmb_device_destroy(t.device);
}

static void test_A24_the_library_without_memory(void)
{
	CHECK(test_sweep(PORT_FAULT_ALLOC, program, NULL) > 40);
}

/* Nothing is mapped: it reads zeroes, and has nothing to do. */
static void ring_program(void *arg)
{
	struct vmb_device_config config = { .size_B = sizeof(config), .system_B = 16 << 20,
					    .vram_B = 16 << 20 };
	struct vmb_vm_args vm_args = { .size_B = sizeof(vm_args),
				       .flags = VMB_VM_LONG_RUNNING | VMB_VM_SCRATCH };
	struct vmb_ring_args args = { .size_B = sizeof(args), .engine_class = VMB_ENGINE_COPY,
				      .ring_B = PAGE, .control_addr = PAGE };
	struct vmb_device *device;
	struct vmb_vm *vm = NULL;
	struct vmb_ring *ring = NULL;

	if (worked(vmb_device_create(&config, &device, NULL)) &&
	    worked(vmb_vm_create(device, &vm_args, &vm)) &&
	    worked(vmb_ring_create(vm, &args, &ring))) {
		CHECK_OK(vmb_ring_error(ring));
	}
	vmb_ring_destroy(ring);
	vmb_vm_destroy(vm);
	vmb_device_destroy(device);
}

static void test_B21_a_ring_of_the_library_without_memory(void)
{
	CHECK(test_sweep(PORT_FAULT_ALLOC, ring_program, NULL) > 10);
}

static const struct test_case cases[] = {
	TEST(test_A24_the_library_without_memory),
	TEST(test_B21_a_ring_of_the_library_without_memory),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
