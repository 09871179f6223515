// SPDX-License-Identifier: MIT
/*
 * ring: work is submitted by stores to memory, and waited for by loads.
 *
 * The GPU takes commands from a ring, which is memory like any other: an object that is mapped into
 * an address space. Next to it is a word, the tail, that says how far there are commands. Once the
 * ring is made no function of the library is called: not to submit a thousand batches, nor to learn
 * that they are done.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vmbind/vmbind.h>

#define RING 0x10000u
#define RING_B 0x1000u
#define CONTROL 0x20000u
#define CODE 0x30000u
#define DATA 0x40000u
#define ENTRY_B 16u /* divides the ring: no entry goes across its end */
#define ROUNDS 1000u

static struct vmb_device *device;
static struct vmb_vm *vm;

static void must(const char *what, int ret)
{
	if (ret) {
		fprintf(stderr, "ring: %s: %s\n", what, strerror(-ret));
		exit(1);
	}
}

/* A new page of memory, mapped at @addr. */
static struct vmb_bo *page_at(uint64_t addr)
{
	struct vmb_bo_args args = { .size_B = sizeof(args), .length_B = RING_B };
	struct vmb_bind_op op = { .kind = VMB_BIND_MAP, .addr = addr, .range_B = RING_B };
	struct vmb_bind_args bind = { .size_B = sizeof(bind), .flags = VMB_BIND_SYNC, .ops = &op,
				      .op_count = 1 };

	must("an object", vmb_bo_create(device, &args, &op.bo));
	must("a bind", vmb_bind(vm, &bind, NULL));
	return op.bo;
}

static struct vmb_ring *new_ring(void)
{
	struct vmb_ring_args args = { .size_B = sizeof(args), .engine_class = VMB_ENGINE_COPY,
				      .instance = VMB_ENGINE_ANY, .ring_addr = RING,
				      .ring_B = RING_B, .control_addr = CONTROL };
	struct vmb_ring *ring;

	must("a ring", vmb_ring_create(vm, &args, &ring));
	return ring;
}

int main(void)
{
	/* A batch that adds 1 to the word at DATA. */
	static const uint32_t batch[] = { 0x2fu << 23 | 5u << 8 | 1, DATA, 0, 0x0au << 23 };
	/* The ring's entry that calls it: the fourth dword does nothing. */
	static const uint32_t entry[] = { 0x31u << 23 | 1u << 8 | 1, CODE, 0, 0 };
	struct vmb_vm_args args = { .size_B = sizeof(args), .flags = VMB_VM_LONG_RUNNING };
	struct vmb_bo *ring_bo, *control_bo, *code_bo, *data_bo;
	struct vmb_ring_control *control;
	uint64_t tail = 0;
	struct vmb_ring *ring;
	uint32_t *word;

	must("a device", vmb_device_create(NULL, &device, NULL));
	must("an address space", vmb_vm_create(device, &args, &vm));
	ring_bo = page_at(RING);
	control_bo = page_at(CONTROL);
	code_bo = page_at(CODE);
	data_bo = page_at(DATA);
	memcpy(vmb_bo_map(code_bo), batch, sizeof(batch));
	control = vmb_bo_map(control_bo);
	word = vmb_bo_map(data_bo);
	ring = new_ring();

	for (uint32_t i = 1; i <= ROUNDS; i++) {
		memcpy((char *)vmb_bo_map(ring_bo) + tail % RING_B, entry, sizeof(entry));
		tail += ENTRY_B;
		__atomic_store_n(&control->tail, tail, __ATOMIC_RELEASE);
		while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != i) {
		}
	}
	printf("%u batches, one after the other: the word is %u\n", ROUNDS, *word);

	/* All at once: who is a ring ahead of the engine waits for the head. */
	for (uint32_t i = 1; i <= ROUNDS; i++) {
		while (tail - __atomic_load_n(&control->head, __ATOMIC_ACQUIRE) == RING_B) {
		}
		memcpy((char *)vmb_bo_map(ring_bo) + tail % RING_B, entry, sizeof(entry));
		tail += ENTRY_B;
		__atomic_store_n(&control->tail, tail, __ATOMIC_RELEASE);
	}
	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != 2 * ROUNDS) {
	}
	printf("%u batches, one behind the other: the word is %u\n", ROUNDS, *word);
	printf("the ring went round %u times\n", (unsigned)(tail / RING_B));
	must("the ring", vmb_ring_error(ring));

	vmb_ring_destroy(ring);
	vmb_vm_destroy(vm);
	vmb_bo_destroy(ring_bo);
	vmb_bo_destroy(control_bo);
	vmb_bo_destroy(code_bo);
	vmb_bo_destroy(data_bo);
	vmb_device_destroy(device);
	return 0;
}
