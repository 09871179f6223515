// SPDX-License-Identifier: MIT
#include "clients.h"

#include "rig.h"

#define CLIENTS 3
#define SLOTS 8
#define BATCH 0x100000
/* Client i uses addresses from here on; two slots share a leaf table. */
#define AREA(i) ((uint64_t)(1 + (i)) << 30)

struct hasher {
	struct event_reader reader;
	uint64_t hash;
};

static void hash_event(struct event_reader *reader, const struct event *event)
{
	struct hasher *h = container_of(reader, struct hasher, reader);
	uint64_t word[EVENT_ARGS + 4] = { event->type, event->thread, event->seq, event->time_ns };

	memcpy(&word[4], event->arg, sizeof(event->arg));
	for (unsigned i = 0; i < ARRAY_LEN(word); i++) {
		h->hash = (h->hash ^ word[i]) * 0x100000001b3u;
		h->hash ^= h->hash >> 29;
	}
}

struct client {
	struct device *device;
	struct vm *vm;
	struct bo *shared;
	unsigned index;
	uint64_t rng;
	/* one page per slot: what the client believes is there */
	bool mapped[SLOTS];
	uint32_t value;
};

static uint64_t draw(struct client *c, uint64_t below)
{
	c->rng ^= c->rng << 13;
	c->rng ^= c->rng >> 7;
	c->rng ^= c->rng << 17;
	return c->rng % below;
}

static uint64_t slot_addr(const struct client *c, unsigned slot)
{
	return AREA(c->index) + slot * (SZ_2M / 2);
}

/* Binds and execs chained by fences only; the end of the chain is waited for and checked. */
static void round_of(struct client *c, struct bind_queue *bq, struct exec_queue *queue,
		     struct bo *batch, struct bo *data)
{
	unsigned slot = (unsigned)draw(c, SLOTS);
	uint64_t addr = slot_addr(c, slot);
	struct fence *bound, *done;

	if (c->mapped[slot] && draw(c, 3) == 0) {
		rig_wait(rig_bind_async(c->vm, bq, rig_unmap(addr, SZ_64K), NULL));
		c->mapped[slot] = false;
		CHECK(!rig_mapped(c->vm, addr));
		return;
	}
	c->value++;
	rig_batch_stores(batch, slot * 64, &addr, &c->value, 1);
	bound = rig_bind_async(c->vm, draw(c, 2) ? bq : NULL,
			       rig_map(data, addr, slot * SZ_64K, SZ_64K), NULL);
	c->mapped[slot] = true;
	CHECK_OK(rig_exec(queue, BATCH + c->index * SZ_64K + slot * 64, bound, &done));
	fence_put(bound);
	CHECK_OK(fence_wait(done, PORT_FOREVER, 0));
	CHECK_OK(fence_error(done));
	fence_put(done);
	CHECK_EQ(rig_read32(data, slot * SZ_64K), c->value);
}

static void client_main(void *arg)
{
	struct client *c = arg;
	struct bo *batch = rig_bo(c->device, SZ_64K, MEM_SYSTEM);
	struct bo *data = rig_bo(c->device, SLOTS * SZ_64K, MEM_VRAM);
	struct exec_queue *queue = rig_queue(c->device, c->vm, c->index % RIG_ENGINES);
	struct bind_queue *bq;

	CHECK_OK(bind_queue_create(c->vm, &bq));
	CHECK_OK(rig_bind(c->vm, rig_map(batch, BATCH + c->index * SZ_64K, 0, SZ_64K)));
	for (unsigned i = 0; i < 20; i++) {
		round_of(c, bq, queue, batch, data);
		/* The neighbours' part of the same VM: mapped and unmapped beside theirs. */
		if (draw(c, 4) == 0) {
			CHECK_OK(rig_bind(c->vm, rig_map(c->shared, AREA(7) + draw(c, 32) * SZ_64K,
							 0, SZ_64K)));
			CHECK_OK(rig_bind(c->vm, rig_unmap(AREA(7), 32 * SZ_64K)));
		}
	}
	rig_queue_done(queue);
	bind_queue_put(bq);
	bo_put(batch);
	bo_put(data);
}

uint64_t clients_run(uint64_t seed)
{
	struct hasher hasher = { .reader.read = hash_event, .hash = 0xcbf29ce484222325u };
	static const enum device_schedule schedules[] = {
		SCHEDULE_NORMAL, SCHEDULE_EAGER, SCHEDULE_LAZY, SCHEDULE_ADVERSARIAL,
	};
	struct device *device = rig_device(schedules[seed % ARRAY_LEN(schedules)]);
	struct port_thread *thread[CLIENTS];
	struct client client[CLIENTS];
	struct vm *vm;
	struct bo *shared;

	event_attach(&device->events, &hasher.reader);
	vm = rig_vm(device, 0);
	shared = rig_bo(device, SZ_64K, MEM_SYSTEM);
	for (unsigned i = 0; i < CLIENTS; i++) {
		client[i] = (struct client){
			.device = device, .vm = vm, .shared = shared, .index = i,
			.rng = (seed + 1) * 0x9e3779b97f4a7c15u + i + 1,
		};
		CHECK_OK(port_thread_create(&thread[i], "client", client_main, &client[i]));
	}
	for (unsigned i = 0; i < CLIENTS; i++) {
		port_thread_join(thread[i]);
	}
	rig_vm_done(vm);
	bo_put(shared);
	event_detach(&device->events, &hasher.reader);
	device_destroy(device);
	return hasher.hash;
}
