// SPDX-License-Identifier: MIT
/* The two rules when translations are dropped (B09). */
#include "rig.h"

#define ADDR SZ_2M
#define BATCH SZ_1G

static unsigned flushes; /* and invalidations, since the last look */

static void count_flush(struct event_reader *reader, const struct event *event)
{
	flushes += event->type == EVENT_TLB_INVALIDATE;
}

static unsigned flushed(void)
{
	unsigned n = flushes;

	flushes = 0;
	return n;
}

struct scene {
	struct device *device;
	struct event_reader reader;
	struct vm *vm;
	struct exec_queue *queue;
	struct bo *batch, *data;
};

static void scene_init(struct scene *s, enum vm_tlb_rule rule)
{
	*s = (struct scene){ .reader = { .read = count_flush } };
	s->device = rig_device_with(SCHEDULE_NORMAL, rule);
	s->vm = rig_vm(s->device, 0);
	s->queue = rig_queue(s->device, s->vm, RIG_RENDER);
	s->batch = rig_bo(s->device, SZ_64K, MEM_SYSTEM);
	s->data = rig_bo(s->device, SZ_64K, MEM_VRAM);
	rig_batch_stores(s->batch, 0, NULL, NULL, 0);
	CHECK_OK(rig_bind(s->vm, rig_map(s->batch, BATCH, 0, SZ_64K)));
	/* A neighbour keeps the leaf table where it is. */
	CHECK_OK(rig_bind(s->vm, rig_map(s->batch, ADDR + SZ_64K, 0, SZ_64K)));
	event_attach(&s->device->events, &s->reader);
	flushes = 0;
}

static void scene_fini(struct scene *s)
{
	event_detach(&s->device->events, &s->reader);
	rig_queue_done(s->queue);
	rig_vm_done(s->vm);
	bo_put(s->batch);
	bo_put(s->data);
	device_destroy(s->device);
}

/* Leaves a translation of ADDR in a TLB, unless binds drop it. */
static void map_use_unmap(struct scene *s)
{
	uint64_t value;

	CHECK_OK(rig_bind(s->vm, rig_map(s->data, ADDR, 0, SZ_64K)));
	CHECK_OK(rig_load64(s->vm, ADDR, &value));
	CHECK_EQ(flushed(), 0);
	CHECK_OK(rig_bind(s->vm, rig_unmap(ADDR, SZ_64K)));
}

static void test_B09_binds_flush_nothing_submissions_do(void)
{
	struct scene s;
	uint64_t value;

	scene_init(&s, VM_TLB_AT_SUBMIT);
	map_use_unmap(&s);
	CHECK_EQ(flushed(), 0);
	/* What is cached stays usable: the object is still there. */
	CHECK(!rig_mapped(s.vm, ADDR));
	CHECK_OK(rig_load64(s.vm, ADDR, &value));
	CHECK_EQ(value, rig_stamp(s.data, 0));
	CHECK_OK(rig_exec_wait(s.queue, BATCH));
	CHECK_EQ(flushed(), 1);
	CHECK_ERR(rig_load64(s.vm, ADDR, &value), -EFAULT);
	scene_fini(&s);
}

/* It is the owner's submission: what it finds is what the tables say now. */
static void test_B09_an_access_of_the_owner_flushes_too(void)
{
	struct scene s;
	struct gpu_fault fault;
	uint64_t value;

	scene_init(&s, VM_TLB_AT_SUBMIT);
	map_use_unmap(&s);
	CHECK_ERR(device_access(s.device, s.vm, ADDR, &value, sizeof(value), GPU_READ, &fault),
		  -EFAULT);
	CHECK_EQ(flushed(), 1);
	scene_fini(&s);
}

static void test_B09_pages_are_flushed_when_they_are_released(void)
{
	struct scene s;
	uint64_t value;

	scene_init(&s, VM_TLB_AT_SUBMIT);
	map_use_unmap(&s);
	CHECK_EQ(flushed(), 0);
	/* The VM never submits again, the object goes: its frames are nobody's translation. */
	bo_put(s.data);
	s.data = NULL;
	CHECK_EQ(flushed(), 1);
	CHECK_ERR(rig_load64(s.vm, ADDR, &value), -EFAULT);
	scene_fini(&s);
}

static void test_B09_the_other_rule_invalidates_at_unbind(void)
{
	struct scene s;
	uint64_t value;

	scene_init(&s, VM_TLB_AT_UNBIND);
	map_use_unmap(&s);
	CHECK_EQ(flushed(), 1);
	CHECK_ERR(rig_load64(s.vm, ADDR, &value), -EFAULT);
	CHECK_OK(rig_exec_wait(s.queue, BATCH));
	CHECK_EQ(flushed(), 0);
	scene_fini(&s);
}

static const struct test_case cases[] = {
	TEST(test_B09_binds_flush_nothing_submissions_do),
	TEST(test_B09_an_access_of_the_owner_flushes_too),
	TEST(test_B09_pages_are_flushed_when_they_are_released),
	TEST(test_B09_the_other_rule_invalidates_at_unbind),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
