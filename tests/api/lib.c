// SPDX-License-Identifier: MIT
#include "lib.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char *const schedules[] = { "normal", "eager", "lazy", "adversarial" };
static char running[128];

void test_eq(const char *file, int line, const char *text, int64_t got, int64_t want)
{
	if (got == want) {
		return;
	}
	fprintf(stderr, "%s: %s:%d: %s: %lld instead of %lld\n", running, file, line, text,
		(long long)got, (long long)want);
	abort();
}

static void run(const struct test_case *test, const char *schedule)
{
	struct vmb_device_config config = {
		.size_B = sizeof(config),
		.schedule = schedule,
		.system_B = MEMORY_B,
		.vram_B = MEMORY_B,
	};
	struct vmb_device *device;

	snprintf(running, sizeof(running), "%s (%s)", test->name, schedule);
	CHECK_OK(vmb_device_create(&config, &device, NULL));
	test->fn(device);
	vmb_device_destroy(device);
}

int test_main(const struct test_case *cases, size_t n, int argc, char **argv)
{
	unsigned number = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; j < ARRAY_LEN(schedules); j++) {
			if (argc > 1 && !strstr(cases[i].name, argv[1])) {
				continue;
			}
			run(&cases[i], schedules[j]);
			printf("ok %u - %s\n", ++number, running);
		}
	}
	printf("1..%u\n", number);
	return number ? 0 : 1;
}

/* ---- short ways ------------------------------------------------------------------------------ */

struct vmb_vm *new_vm(struct vmb_device *device, uint32_t flags, uint32_t errors)
{
	struct vmb_vm_args args = { .size_B = sizeof(args), .flags = flags, .errors = errors };
	struct vmb_vm *vm;

	CHECK_OK(vmb_vm_create(device, &args, &vm));
	return vm;
}

struct vmb_bo *new_bo(struct vmb_device *device, uint64_t length_B)
{
	struct vmb_bo_args args = { .size_B = sizeof(args), .length_B = length_B };
	struct vmb_bo *bo;

	CHECK_OK(vmb_bo_create(device, &args, &bo));
	return bo;
}

struct vmb_syncobj *new_syncobj(struct vmb_device *device)
{
	struct vmb_syncobj *syncobj;

	CHECK_OK(vmb_syncobj_create(device, 0, &syncobj));
	return syncobj;
}

struct vmb_queue *new_queue(struct vmb_vm *vm)
{
	struct vmb_queue_args args = {
		.size_B = sizeof(args),
		.engine_class = VMB_ENGINE_COPY,
		.instance = VMB_ENGINE_ANY,
	};
	struct vmb_queue *queue;

	CHECK_OK(vmb_queue_create(vm, &args, &queue));
	return queue;
}

struct vmb_bind_op op_map(struct vmb_bo *bo, uint64_t addr, uint64_t offset, uint64_t range_B)
{
	return (struct vmb_bind_op){
		.kind = VMB_BIND_MAP,
		.addr = addr,
		.range_B = range_B,
		.bo = bo,
		.offset = offset,
	};
}

struct vmb_bind_op op_unmap(uint64_t addr, uint64_t range_B)
{
	return (struct vmb_bind_op){ .kind = VMB_BIND_UNMAP, .addr = addr, .range_B = range_B };
}

struct vmb_sync sync_wait(struct vmb_syncobj *syncobj, uint64_t point)
{
	return (struct vmb_sync){ .flags = VMB_SYNC_WAIT, .syncobj = syncobj, .point = point };
}

struct vmb_sync sync_signal(struct vmb_syncobj *syncobj, uint64_t point)
{
	return (struct vmb_sync){ .flags = VMB_SYNC_SIGNAL, .syncobj = syncobj, .point = point };
}

int bind_list(struct vmb_vm *vm, const struct vmb_bind_op *ops, uint32_t n, uint32_t flags,
	      struct vmb_bind_reply *reply)
{
	struct vmb_bind_args args = {
		.size_B = sizeof(args),
		.ops = ops,
		.op_count = n,
		.flags = VMB_BIND_SYNC | flags,
	};

	if (reply) {
		reply->size_B = sizeof(*reply);
	}
	return vmb_bind(vm, &args, reply);
}

int bind_one(struct vmb_vm *vm, struct vmb_bind_op op)
{
	return bind_list(vm, &op, 1, 0, NULL);
}

int bind_syncs(struct vmb_vm *vm, struct vmb_bind_queue *queue, struct vmb_bind_op op,
	       const struct vmb_sync *syncs, uint32_t n)
{
	struct vmb_bind_args args = {
		.size_B = sizeof(args),
		.queue = queue,
		.ops = &op,
		.op_count = 1,
		.syncs = syncs,
		.sync_count = n,
	};

	return vmb_bind(vm, &args, NULL);
}

int submit(struct vmb_queue *queue, uint64_t batch, const struct vmb_sync *syncs, uint32_t n)
{
	struct vmb_submit_args args = {
		.size_B = sizeof(args),
		.batches = &batch,
		.batch_count = 1,
		.syncs = syncs,
		.sync_count = n,
	};

	return vmb_queue_submit(queue, &args);
}

uint64_t in_ms(unsigned ms)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec + ms * 1000000ull;
}

static int wait_until(struct vmb_syncobj *syncobj, uint64_t point, uint64_t deadline_ns)
{
	struct vmb_wait wait = { .syncobj = syncobj, .point = point };
	struct vmb_wait_args args = {
		.size_B = sizeof(args),
		.waits = &wait,
		.count = 1,
		.deadline_ns = deadline_ns,
	};

	return vmb_syncobj_wait(&args, NULL);
}

int wait_for(struct vmb_syncobj *syncobj, uint64_t point)
{
	return wait_until(syncobj, point, in_ms(10000));
}

bool is_signalled(struct vmb_syncobj *syncobj, uint64_t point)
{
	int ret = wait_until(syncobj, point, 0);

	CHECK(ret == 0 || ret == -ETIME);
	return ret == 0;
}

int64_t read_dword(struct vmb_vm *vm, uint64_t addr)
{
	uint32_t value;
	int ret = vmb_vm_read(vm, addr, &value, sizeof(value));

	return ret ? ret : (int64_t)value;
}

unsigned mappings(struct vmb_vm *vm)
{
	struct vmb_mapping mapping = { .size_B = sizeof(mapping) };
	unsigned n = 0;

	while (vmb_vm_mapping_next(vm, mapping.end, &mapping) == 0) {
		n++;
	}
	return n;
}

void batch_store(void *cpu, uint64_t addr, uint32_t value)
{
	uint32_t *cs = cpu;

	cs[0] = 0x20u << 23 | 2; /* MI_STORE_DATA_IMM */
	cs[1] = (uint32_t)addr;
	cs[2] = (uint32_t)(addr >> 32);
	cs[3] = value;
	cs[4] = 0x0au << 23; /* MI_BATCH_BUFFER_END */
}

void batch_spin(void *cpu, uint64_t self, uint64_t flag)
{
	uint32_t *cs = cpu;

	cs[0] = 0x36u << 23 | 1u << 21 | 2; /* MI_CONDITIONAL_BATCH_BUFFER_END, compare */
	cs[1] = 0;
	cs[2] = (uint32_t)flag;
	cs[3] = (uint32_t)(flag >> 32);
	cs[4] = 0x31u << 23 | 1u << 8 | 1; /* MI_BATCH_BUFFER_START */
	cs[5] = (uint32_t)self;
	cs[6] = (uint32_t)(self >> 32);
}
