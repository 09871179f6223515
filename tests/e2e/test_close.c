// SPDX-License-Identifier: MIT
/*
 * Classes of bugs where something goes while others use it; the numbers are as in test_classes.c.
 */
#include "client.h"
#include "rig.h"

#define A SZ_1G
#define BATCH 0x100000

/* ---- 16: an address space is switched off while entries of it are written -------------------- */

#define BINDS 24
#define JOBS 8

struct closing {
	struct device *device;
	struct vm *vm;
	struct bo *bo, *batch;
	struct fence *in;
	struct fence *bound[BINDS], *done[JOBS];
	struct exec_queue *queue;
};

/* Until it is refused. Some wait for others of theirs, some for a fence of everybody's. */
static void bind_on(void *arg)
{
	struct closing *c = arg;
	struct bind_queue *queue;

	if (bind_queue_create(c->vm, &queue)) {
		return;
	}
	for (unsigned i = 0; i < BINDS; i++) {
		uint64_t addr = A + port_random() % 4 * SZ_2M, range = SZ_64K << port_random() % 5;
		struct bind_op op = port_random() % 2 ? rig_map(c->bo, addr, 0, range)
						      : rig_unmap(addr, range);
		int ret = rig_bind_list(c->vm, queue, &op, 1, i == BINDS / 2 ? c->in : NULL,
					&c->bound[i]);

		if (ret) {
			CHECK_ERR(ret, -ENOENT);
			break;
		}
	}
	bind_queue_put(queue);
}

static void submit_on(void *arg)
{
	struct closing *c = arg;

	for (unsigned i = 0; i < JOBS; i++) {
		if (rig_exec(c->queue, BATCH, i == JOBS / 2 ? c->in : NULL, &c->done[i])) {
			break;
		}
	}
}

static void end_all(struct fence **fence, unsigned n)
{
	for (unsigned i = 0; i < n && fence[i]; i++) {
		CHECK_OK(fence_wait(fence[i], PORT_FOREVER, 0));
		CHECK(fence_error(fence[i]) == 0 || fence_error(fence[i]) == -ECANCELED);
		fence_put(fence[i]);
	}
}

static void closing(uint64_t seed)
{
	struct port_thread *binder, *submitter;
	struct closing c = { 0 };
	uint64_t addr = A, page;
	uint32_t value = 7;
	struct vm *other;

	c.device = rig_device(seed % 2 ? SCHEDULE_NORMAL : SCHEDULE_ADVERSARIAL);
	c.vm = rig_vm(c.device, 0);
	other = rig_vm(c.device, 0);
	c.bo = rig_bo(c.device, SZ_2M, MEM_VRAM);
	c.batch = rig_bo(c.device, SZ_64K, MEM_SYSTEM);
	rig_batch_stores(c.batch, 0, &addr, &value, 1);
	CHECK_OK(rig_bind(c.vm, rig_map(c.batch, BATCH, 0, SZ_64K)));
	CHECK_OK(rig_bind(other, rig_map(c.bo, A, 0, SZ_2M)));
	c.queue = rig_queue(c.device, c.vm, RIG_RENDER);
	c.in = rig_fence(c.device);
	CHECK_OK(port_thread_create(&binder, "binder", bind_on, &c));
	CHECK_OK(port_thread_create(&submitter, "submitter", submit_on, &c));
	rig_nap(port_random() % 20000);
	if (seed % 3) {
		fence_signal(c.in, 0);
	}
	/* As a driver's file does: its queues go first. */
	exec_queue_kill(c.queue);
	vm_close(c.vm);
	if (seed % 3 == 0) {
		fence_signal(c.in, 0);
	}
	port_thread_join(binder);
	port_thread_join(submitter);
	end_all(c.bound, BINDS);
	end_all(c.done, JOBS);
	fence_put(c.in);
	exec_queue_put(c.queue);
	vm_put(c.vm);
	/* The object and its other mapping are as they were. */
	for (page = 1; page < SZ_2M / PAGE_SIZE; page += 37) {
		uint64_t got;

		CHECK_OK(rig_load64(other, A + page * PAGE_SIZE, &got));
		CHECK_EQ(got, rig_stamp(c.bo, page));
	}
	rig_vm_done(other);
	bo_put(c.bo);
	bo_put(c.batch);
	device_destroy(c.device);
}

static void test_class_16_a_space_is_closed_while_its_entries_are_written(void)
{
	test_seeds(closing, 1, test_scale(200));
}

/* ---- 21: a queue is used while it is destroyed ----------------------------------------------- */

#define PLACES 4
#define THREADS 4
#define STEPS 40

struct crowd {
	struct client c;
	uint32_t vm;
	atomic_uint queue[PLACES]; /* as somebody has made it last; it may be gone */
};

static void check_one_of(int ret, int a, int b, int c)
{
	CHECK(ret == 0 || ret == a || ret == b || ret == c);
}

static void make(struct crowd *m, unsigned place)
{
	static const uint16_t class[] = {
		DRM_XE_ENGINE_CLASS_RENDER, DRM_XE_ENGINE_CLASS_COPY, DRM_XE_ENGINE_CLASS_COMPUTE,
	};
	uint32_t queue;

	CHECK_OK(client_queue_create(m->c.file, m->vm, class[port_random() % 3], &queue));
	atomic_store(&m->queue[place], queue);
}

/* Ids come again, so it may be another queue than was meant, but never one that is gone. */
static void use(struct crowd *m, uint32_t queue)
{
	struct drm_xe_exec_queue_get_property get = {
		.exec_queue_id = queue, .property = DRM_XE_EXEC_QUEUE_GET_PROPERTY_BAN,
	};
	uint64_t word = 0;
	struct drm_xe_wait_user_fence wait = {
		.addr = PTR(&word), .op = DRM_XE_UFENCE_WAIT_OP_EQ, .value = 1, .mask = ~0ull,
		.timeout = 1, .exec_queue_id = queue,
	};

	switch (port_random() % 5) {
	case 0:
		check_one_of(client_queue_destroy(m->c.file, queue), -ENOENT, 0, 0);
		break;
	case 1:
		check_one_of(IOCTL(m->c.file, XE_EXEC_QUEUE_GET_PROPERTY, &get), -ENOENT, 0, 0);
		break;
	case 2:
		CHECK(queue == 0 || IOCTL(m->c.file, XE_WAIT_USER_FENCE, &wait) != 0);
		break;
	default:
		check_one_of(client_exec(m->c.file, queue, BATCH, NULL, 0), -ENOENT, -ECANCELED, 0);
	}
}

static void crowd_work(void *arg)
{
	struct crowd *m = arg;

	for (unsigned i = 0; i < STEPS; i++) {
		unsigned place = (unsigned)(port_random() % PLACES);

		if (port_random() % 4 == 0) {
			make(m, place);
		} else {
			use(m, atomic_load(&m->queue[place]));
		}
	}
}

static void crowd(uint64_t seed)
{
	struct crowd *m = port_alloc(sizeof(*m));
	struct port_thread *thread[THREADS];
	uint32_t bo, *batch;

	(void)seed;
	CHECK(m);
	client_init(&m->c, "bmg");
	m->vm = client_vm(&m->c, 0);
	bo = client_bo(&m->c, 0, SZ_64K);
	batch = client_cpu(&m->c, m->c.file, bo, SZ_64K);
	client_batch_store(batch, BATCH + 4096, 1);
	CHECK_OK(client_map(&m->c, m->vm, bo, 0, BATCH, SZ_64K));
	for (unsigned i = 0; i < THREADS; i++) {
		CHECK_OK(port_thread_create(&thread[i], "crowd", crowd_work, m));
	}
	for (unsigned i = 0; i < THREADS; i++) {
		port_thread_join(thread[i]);
	}
	client_fini(&m->c);
	port_free(m);
}

static void test_class_21_a_queue_is_used_while_it_is_destroyed(void)
{
	test_seeds(crowd, 1, test_scale(200));
}

/* ---- binds that wait, and whose address space is closed -------------------------------------- */

#define CHAIN 5

/* A close lets them run whatever they wait for, beside workers that the first of them wakes. */
static void chain(uint64_t seed)
{
	struct device *device = rig_device(SCHEDULE_NORMAL);
	struct bo *bo = rig_bo(device, SZ_64K, MEM_SYSTEM);
	struct fence *bound[CHAIN], *in = rig_fence(device);
	struct vm *vm = rig_vm(device, 0);
	struct bind_queue *queue;

	(void)seed;
	CHECK_OK(bind_queue_create(vm, &queue));
	for (unsigned i = 0; i < CHAIN; i++) {
		bound[i] = rig_bind_async(vm, queue, rig_map(bo, A + i * SZ_64K, 0, SZ_64K),
					  i ? NULL : in);
	}
	bind_queue_put(queue);
	rig_vm_done(vm);
	for (unsigned i = 0; i < CHAIN; i++) {
		CHECK(fence_is_signalled(bound[i]));
		CHECK(i == 0 || bound[i - 1]->signal_ns <= bound[i]->signal_ns);
	}
	for (unsigned i = 0; i < CHAIN; i++) {
		fence_put(bound[i]);
	}
	rig_fence_done(in);
	bo_put(bo);
	device_destroy(device);
}

static void test_a_close_lets_binds_signal_in_their_order(void)
{
	test_seeds(chain, 1, test_scale(500));
}

static const struct test_case cases[] = {
	TEST(test_a_close_lets_binds_signal_in_their_order),
	TEST(test_class_16_a_space_is_closed_while_its_entries_are_written),
	TEST(test_class_21_a_queue_is_used_while_it_is_destroyed),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
