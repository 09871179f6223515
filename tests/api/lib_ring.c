// SPDX-License-Identifier: MIT
/* Rings: commands and doorbell are objects that the program writes. */
#include "lib.h"

#include <sched.h>

#define RING 0x100000
#define CONTROL (RING + PAGE)
#define CODE (RING + 2 * PAGE)
#define DATA (RING + 3 * PAGE)

/* One object, of a page for each of the four. */
struct thing {
	struct vmb_vm *vm;
	struct vmb_bo *bo;
	struct vmb_ring *ring;
	uint8_t *cpu;
	struct vmb_ring_control *control;
	uint64_t *data;
	uint64_t tail;
};

static struct vmb_ring_args ring_args(void)
{
	return (struct vmb_ring_args){
		.size_B = sizeof(struct vmb_ring_args),
		.engine_class = VMB_ENGINE_COPY,
		.instance = VMB_ENGINE_ANY,
		.ring_addr = RING,
		.ring_B = PAGE,
		.control_addr = CONTROL,
	};
}

static void thing_init(struct thing *t, struct vmb_device *device)
{
	memset(t, 0, sizeof(*t));
	t->vm = new_vm(device, VMB_VM_LONG_RUNNING, 0);
	t->bo = new_bo(device, 4 * PAGE);
	t->cpu = vmb_bo_map(t->bo);
	t->control = (struct vmb_ring_control *)(void *)(t->cpu + CONTROL - RING);
	t->data = (uint64_t *)(void *)(t->cpu + DATA - RING);
	CHECK_OK(bind_one(t->vm, op_map(t->bo, RING, 0, 4 * PAGE)));
}

static void thing_fini(struct thing *t)
{
	vmb_ring_destroy(t->ring);
	vmb_vm_destroy(t->vm);
	vmb_bo_destroy(t->bo);
}

static void open_ring(struct thing *t, const struct vmb_ring_args *args)
{
	CHECK_OK(vmb_ring_create(t->vm, args, &t->ring));
	CHECK_OK(vmb_ring_error(t->ring));
}

/* A store of eight bytes at DATA or elsewhere: six dwords, of which one does nothing. */
static void store(struct thing *t, uint64_t addr, uint64_t value)
{
	const uint32_t cs[] = { 0x20u << 23 | 1u << 21 | 3, (uint32_t)addr, (uint32_t)(addr >> 32),
				(uint32_t)value, (uint32_t)(value >> 32), 0 };

	if (PAGE - t->tail % PAGE < sizeof(cs)) {
		memset(t->cpu + t->tail % PAGE, 0, PAGE - t->tail % PAGE);
		t->tail += PAGE - t->tail % PAGE;
	}
	memcpy(t->cpu + t->tail % PAGE, cs, sizeof(cs));
	t->tail += sizeof(cs);
	__atomic_store_n(&t->control->tail, t->tail, __ATOMIC_RELEASE);
}

static void test_B21_stores_submit(struct vmb_device *device)
{
	struct thing t;
	struct vmb_ring_args args = ring_args();

	thing_init(&t, device);
	open_ring(&t, &args);
	for (uint64_t i = 1; i <= 500; i++) {
		store(&t, DATA, i);
		if (i % 50 == 0) {
			CHECK_OK(vmb_memory_wait(device, t.data, i, in_ms(10000)));
			vmb_ring_kick(t.ring); /* for nothing */
		} else {
			while (__atomic_load_n(t.data, __ATOMIC_ACQUIRE) != i) {
				sched_yield();
			}
		}
	}
	store(&t, DATA, 1000);
	vmb_ring_kick(t.ring);
	CHECK_OK(vmb_memory_wait(device, t.data, 1000, in_ms(10000)));
	CHECK_OK(vmb_memory_wait(device, &t.control->head, t.tail, in_ms(10000)));
	CHECK_OK(vmb_ring_error(t.ring));
	thing_fini(&t);
}

static void test_B21_a_ring_on_every_engine(struct vmb_device *device)
{
	struct vmb_engine all[32];
	int n = vmb_device_engines(device, all, ARRAY_LEN(all));

	for (int i = 0; i < n; i++) {
		struct vmb_ring_args args = ring_args();
		struct thing t;

		args.engine_class = all[i].engine_class;
		args.instance = i % 2 ? all[i].instance : VMB_ENGINE_ANY;
		thing_init(&t, device);
		store(&t, DATA, 7); /* before there is a ring */
		open_ring(&t, &args);
		CHECK_OK(vmb_memory_wait(device, t.data, 7, in_ms(10000)));
		thing_fini(&t);
	}
}

/* It ends with its address space, whichever goes first, and when that is banned. */
static void test_B21_rings_end_with_their_space(struct vmb_device *device)
{
	struct vmb_ring_args args = ring_args();
	struct vmb_ring *none;
	struct thing t;

	thing_init(&t, device);
	open_ring(&t, &args);
	vmb_vm_destroy(t.vm);
	t.vm = NULL;
	CHECK_EQ(vmb_ring_error(t.ring), -ECANCELED);
	store(&t, DATA, 1);
	vmb_ring_kick(t.ring);
	thing_fini(&t);
	thing_init(&t, device);
	open_ring(&t, &args);
	vmb_vm_ban(t.vm);
	while (!vmb_ring_error(t.ring)) {
		sched_yield();
	}
	CHECK_EQ(vmb_ring_error(t.ring), -ECANCELED);
	CHECK_EQ(vmb_ring_create(t.vm, &args, &none), -ENOENT);
	CHECK(!none);
	thing_fini(&t);
}

/* A fault, a tail that is none, a reset of the device. */
static void test_B21_a_ring_that_is_lost(struct vmb_device *device)
{
	struct vmb_ring_args args = ring_args();
	struct vmb_fault fault;
	struct thing t;

	for (unsigned i = 0; i < 3; i++) {
		thing_init(&t, device);
		open_ring(&t, &args);
		store(&t, DATA, 1);
		CHECK_OK(vmb_memory_wait(device, t.data, 1, in_ms(10000)));
		switch (i) {
		case 0:
			store(&t, RING + 4 * PAGE, 1);
			break;
		case 1:
			__atomic_store_n(&t.control->tail, t.tail + 4, __ATOMIC_RELEASE);
			break;
		default:
			vmb_device_reset(device);
		}
		while (!vmb_ring_error(t.ring)) {
			sched_yield();
		}
		CHECK_EQ(vmb_ring_error(t.ring), -EIO);
		CHECK_EQ(vmb_vm_faults(t.vm, &fault, 1), !i);
		CHECK(i || fault.addr == RING + 4 * PAGE);
		thing_fini(&t);
	}
}

static void rings_that_are_none(struct vmb_device *device)
{
	LONGER(struct vmb_ring_args) longer = { .args = ring_args(), .later = 1 };
	struct vmb_vm *plain = new_vm(device, 0, 0);
	struct vmb_ring_args args = ring_args();
	struct vmb_ring *none;
	struct thing t;

	thing_init(&t, device);
	longer.args.size_B = sizeof(longer);
	CHECK_EQ(vmb_ring_create(NULL, &args, &none), -EINVAL);
	CHECK(!none);
	CHECK_EQ(vmb_ring_create(t.vm, NULL, &none), -EINVAL);
	CHECK_EQ(vmb_ring_create(t.vm, &args, NULL), -EINVAL);
	CHECK_EQ(vmb_ring_create(plain, &args, &none), -EINVAL);
	CHECK_EQ(vmb_ring_create(t.vm, &longer.args, &none), -E2BIG);
	args.ring_B = PAGE + 8;
	CHECK_EQ(vmb_ring_create(t.vm, &args, &none), -EINVAL);
	args = ring_args();
	args.control_addr += 4;
	CHECK_EQ(vmb_ring_create(t.vm, &args, &none), -EINVAL);
	args = ring_args();
	args.ring_addr = SPACE_B;
	CHECK_EQ(vmb_ring_create(t.vm, &args, &none), -EINVAL);
	args = ring_args();
	args.instance = 1000;
	CHECK_EQ(vmb_ring_create(t.vm, &args, &none), -ENODEV);
	args.engine_class = VMB_ENGINE_COMPUTE + 1;
	CHECK_EQ(vmb_ring_create(t.vm, &args, &none), -EINVAL);
	CHECK(!none);
	args = ring_args();
	args.priority = 2;
	CHECK_EQ(vmb_ring_create(t.vm, &args, &none), -EINVAL);
	CHECK_EQ(vmb_ring_error(NULL), -EINVAL);
	vmb_ring_kick(NULL);
	vmb_ring_destroy(NULL);
	vmb_vm_destroy(plain);
	thing_fini(&t);
}

static const struct test_case cases[] = {
	TEST(test_B21_stores_submit),
	TEST(test_B21_a_ring_on_every_engine),
	TEST(test_B21_rings_end_with_their_space),
	TEST(test_B21_a_ring_that_is_lost),
	TEST(rings_that_are_none),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
