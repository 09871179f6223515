// SPDX-License-Identifier: MIT
/*
 * One session with every ioctl that makes something, while each allocation, user copy, sleep and
 * thread creation fails in turn: an error or success, nothing leaked, and it works afterwards. The
 * same for unmaps, which must not fail for want of memory. And two threads that use and destroy the
 * same numbers.
 */
#include "client.h"

#include <string.h>

#include "uapi/xe/xe.h"

#define A UINT64_C(0x200000)

/* Only an injected failure may make a call fail. */
static bool fine(int ret)
{
	CHECK(ret == 0 || test_injected());
	return ret == 0;
}

struct session {
	struct client c;
	uint32_t vm, bo, so, line, queue, binds, name;
	uint64_t fence;
};

static int make_objects(struct session *s)
{
	struct drm_syncobj_create so = { 0 }, line = { 0 };
	struct drm_xe_vm_create vm = { 0 };
	struct drm_xe_engine_class_instance eci[2] = { { 0 }, { .engine_class = 5 } };
	struct drm_xe_exec_queue_create queue = { .width = 1, .num_placements = 1 };
	int ret = IOCTL(s->c.file, XE_VM_CREATE, &vm);

	s->vm = vm.vm_id;
	if (ret == 0) {
		ret = client_gem_create(s->c.file, 0, SZ_64K, 1, 0, &s->bo);
	}
	if (ret == 0) {
		ret = IOCTL(s->c.file, SYNCOBJ_CREATE, &so);
		s->so = so.handle;
	}
	if (ret == 0) {
		ret = IOCTL(s->c.file, SYNCOBJ_CREATE, &line);
		s->line = line.handle;
	}
	for (unsigned i = 0; i < 2 && ret == 0; i++) {
		queue.vm_id = s->vm;
		queue.instances = PTR(&eci[i]);
		ret = IOCTL(s->c.file, XE_EXEC_QUEUE_CREATE, &queue);
		*(i ? &s->binds : &s->queue) = queue.exec_queue_id;
	}
	return ret;
}

static int share(struct session *s)
{
	struct drm_prime_handle prime = { .handle = s->bo };
	struct drm_syncobj_handle fd = { .handle = s->so };
	struct drm_syncobj_eventfd event = { .handle = s->line, .point = 1 };
	int ret = IOCTL(s->c.file, PRIME_HANDLE_TO_FD, &prime);

	if (ret == 0) {
		ret = IOCTL(s->c.file, PRIME_FD_TO_HANDLE, &prime);
	}
	if (ret == 0) {
		ret = IOCTL(s->c.file, SYNCOBJ_HANDLE_TO_FD, &fd);
	}
	if (ret == 0) {
		ret = IOCTL(s->c.file, SYNCOBJ_FD_TO_HANDLE, &fd);
	}
	return ret ? ret : IOCTL(s->c.file, SYNCOBJ_EVENTFD, &event);
}

static int submit(struct session *s)
{
	struct drm_xe_vm_bind_op ops[2] = {
		client_op(DRM_XE_VM_BIND_OP_MAP, s->bo, 0, A, SZ_64K),
		client_op(DRM_XE_VM_BIND_OP_MAP, s->bo, 0, A + SZ_2M, SZ_4K),
	};
	struct drm_xe_sync syncs[3] = {
		client_signal(s->so),
		client_signal_point(s->line, 1),
		client_signal_user(&s->fence, 3),
	};
	struct drm_syncobj_transfer move = { .src_handle = s->line, .dst_handle = s->so,
					     .src_point = 1 };
	struct drm_xe_wait_user_fence wait = { .addr = PTR(&s->fence), .value = 3,
					       .mask = UINT64_MAX, .timeout = 1000000 };
	int ret = client_bind(s->c.file, s->vm, s->binds, ops, 2, syncs, 3);

	if (ret == 0) {
		ret = client_point_wait(s->c.file, s->line, 1, 0, INT64_MAX);
	}
	if (ret == 0) {
		ret = IOCTL(s->c.file, SYNCOBJ_TRANSFER, &move);
	}
	if (ret == 0) {
		syncs[1] = client_signal_point(s->line, 2);
		syncs[0] = client_wait_for(s->so);
		ret = client_exec(s->c.file, s->queue, A, syncs, 2);
	}
	if (ret == 0) {
		ret = client_point_wait(s->c.file, s->line, 2, 0, INT64_MAX);
	}
	if (ret == 0) {
		/* The value may be lost with an injected copy; the wait then ends by itself. */
		ret = IOCTL(s->c.file, XE_WAIT_USER_FENCE, &wait);
	}
	return ret;
}

static int ask(struct session *s)
{
	uint64_t room[64];
	struct drm_xe_device_query query = { .query = DRM_XE_DEVICE_QUERY_GT_LIST };
	struct drm_version version = { 0 };
	int ret = IOCTL(s->c.file, XE_DEVICE_QUERY, &query);

	query.data = PTR(room);
	if (ret == 0) {
		ret = IOCTL(s->c.file, XE_DEVICE_QUERY, &query);
	}
	return ret ? ret : IOCTL(s->c.file, VERSION, &version);
}

static int session_run(struct session *s)
{
	uint64_t offset;
	int fd, ret = make_objects(s);
	struct drm_xe_gem_mmap_offset map = { .handle = s->bo };

	if (ret == 0) {
		ret = IOCTL(s->c.file, XE_GEM_MMAP_OFFSET, &map);
	}
	if (ret == 0) {
		ret = uapi_mmap(s->c.file, map.offset, SZ_64K, &fd, &offset);
	}
	if (ret == 0) {
		uint32_t *cpu = (uint32_t *)((char *)uapi_arena_base(s->c.device) + offset);

		client_batch_store(cpu, A + SZ_4K * 2, 1);
		ret = share(s);
	}
	if (ret == 0) {
		ret = submit(s);
	}
	return ret ? ret : ask(s);
}

static void session(void *arg)
{
	struct uapi_config config = client_config("lnl");
	struct session s;

	memset(&s, 0, sizeof(s));
	if (!fine(client_try_init(&s.c, &config))) {
		return;
	}
	fine(session_run(&s));
	test_injection_off();
	CHECK_OK(session_run(&s)); /* with fresh objects, on what is left */
	client_fini(&s.c);
}

static void every_allocation_fails_in_turn(void)
{
	CHECK(test_sweep(PORT_FAULT_ALLOC, session, NULL) > 20);
}

static void every_user_copy_fails_in_turn(void)
{
	CHECK(test_sweep(PORT_FAULT_USER_COPY, session, NULL) > 20);
}

static void every_sleep_and_thread_fails_in_turn(void)
{
	CHECK(test_sweep(PORT_FAULT_SLEEP, session, NULL) > 0);
	CHECK(test_sweep(PORT_FAULT_THREAD, session, NULL) > 0);
}

static void every_schedule_serves(void)
{
	static const char *const schedules[] = { "normal", "eager", "lazy", "adversarial" };
	struct session s;

	for (unsigned i = 0; i < ARRAY_LEN(schedules); i++) {
		struct uapi_config config = client_config("bmg");

		memset(&s, 0, sizeof(s));
		config.schedule = schedules[i];
		client_init_as(&s.c, &config);
		CHECK_OK(session_run(&s));
		CHECK_OK(session_run(&s));
		client_fini(&s.c);
	}
}

/* ---- unmaps without memory ------------------------------------------------------------------- */

#define LIST 1000
#define OUTS 5

enum shape { SHAPE_ONE, SHAPE_THREE, SHAPE_LONG, SHAPE_ALL, SHAPE_MIXED, SHAPES };
enum company { WITH_NOTHING, WITH_IN_AND_OUT, WITH_POINT, WITH_MANY, WITH_USER_FENCE, COMPANIES };

/* What is mapped, and how and in which company it is unmapped. */
struct unmaps {
	struct client c;
	uint32_t vm, bo, other;
	uint32_t in, in_line;
	uint32_t out[OUTS], line[OUTS]; /* the first so many are used */
	unsigned outs, lines;
	bool user;
	uint64_t fence, turn;           /* the value, and the point, of this turn */
	struct drm_xe_vm_bind_op op[LIST];
	uint32_t op_count;
	struct drm_xe_sync sync[12];
	uint32_t sync_count;
};

static uint64_t place(unsigned i)
{
	static const unsigned at[] = { 0, 500, LIST - 1 };

	return A + at[i] * SZ_2M;
}

static void unmaps_init(struct unmaps *u)
{
	memset(u, 0, sizeof(*u));
	client_init(&u->c, "lnl");
	u->vm = client_vm(&u->c, 0);
	u->bo = client_bo(&u->c, u->vm, SZ_64K);
	u->other = client_bo(&u->c, u->vm, SZ_64K);
	u->in = client_syncobj(u->c.file, false);
	u->in_line = client_syncobj(u->c.file, false);
	for (unsigned i = 0; i < OUTS; i++) {
		u->out[i] = client_syncobj(u->c.file, false);
		u->line[i] = client_syncobj(u->c.file, false);
	}
}

/* Maps three places, @in and @in_line tell when that is done. */
static void unmaps_map(struct unmaps *u)
{
	struct drm_xe_sync syncs[2];
	struct drm_xe_vm_bind_op ops[3];

	u->turn++;
	syncs[0] = client_signal(u->in);
	syncs[1] = client_signal_point(u->in_line, u->turn);
	for (unsigned i = 0; i < 3; i++) {
		ops[i] = client_op(DRM_XE_VM_BIND_OP_MAP, u->bo, 0, place(i), SZ_64K);
	}
	CHECK_OK(client_bind(u->c.file, u->vm, 0, ops, 3, syncs, 2));
}

static void add_op(struct unmaps *u, uint32_t op, uint32_t bo, uint64_t addr, uint64_t range)
{
	u->op[u->op_count++] = client_op(op, bo, 0, addr, range);
}

static void unmaps_shape(struct unmaps *u, enum shape shape)
{
	u->op_count = 0;
	for (unsigned i = 0; i < LIST && shape == SHAPE_LONG; i++) {
		add_op(u, DRM_XE_VM_BIND_OP_UNMAP, 0, A + i * SZ_2M, SZ_64K);
	}
	for (unsigned i = 0; i < 3 && (shape == SHAPE_THREE || shape == SHAPE_MIXED); i++) {
		add_op(u, DRM_XE_VM_BIND_OP_UNMAP, 0, place(i), SZ_64K);
		if (shape == SHAPE_MIXED) {
			add_op(u, DRM_XE_VM_BIND_OP_UNMAP_ALL, i ? u->bo : u->other, 0, 0);
		}
	}
	if (shape == SHAPE_ONE) {
		add_op(u, DRM_XE_VM_BIND_OP_UNMAP, 0, A, LIST * SZ_2M);
	} else if (shape == SHAPE_ALL) {
		add_op(u, DRM_XE_VM_BIND_OP_UNMAP_ALL, u->bo, 0, 0);
	}
}

static void unmaps_company(struct unmaps *u, enum company company)
{
	bool many = company == WITH_MANY;

	u->outs = company == WITH_IN_AND_OUT ? 1 : many ? OUTS : 0;
	u->lines = company == WITH_POINT ? 1 : many ? OUTS - 1 : 0;
	u->user = company == WITH_USER_FENCE || many;
	u->sync_count = 0;
	if (u->outs) {
		u->sync[u->sync_count++] = client_wait_for(u->in);
		u->sync[u->sync_count] = client_signal_point(u->in_line, u->turn);
		u->sync[u->sync_count++].flags = 0;
	}
	for (unsigned i = 0; i < u->outs; i++) {
		CHECK_OK(client_syncobj_reset(u->c.file, u->out[i]));
		u->sync[u->sync_count++] = client_signal(u->out[i]);
	}
	for (unsigned i = 0; i < u->lines; i++) {
		u->sync[u->sync_count++] = client_signal_point(u->line[i], u->turn);
	}
	if (u->user) {
		u->fence = 0;
		u->sync[u->sync_count++] = client_signal_user(&u->fence, u->turn);
	}
	CHECK(u->sync_count <= ARRAY_LEN(u->sync));
}

static bool anything_mapped(struct unmaps *u)
{
	struct xe_vm *xvm = xe_vm_lookup(u->c.file, u->vm);
	struct vm_mapping mapping;
	bool any = vm_mapping_next(xvm->vm, 0, &mapping);

	xe_vm_put(xvm);
	return any;
}

static int unmaps_bind(struct unmaps *u)
{
	return client_bind(u->c.file, u->vm, 0, u->op, u->op_count, u->sync, u->sync_count);
}

/* It was unmapped, and everybody is told. */
static void unmaps_check(struct unmaps *u, bool user)
{
	struct drm_xe_wait_user_fence wait = { .addr = PTR(&u->fence), .value = u->turn,
					       .mask = UINT64_MAX, .timeout = -1 };

	CHECK(!anything_mapped(u));
	for (unsigned i = 0; i < u->outs; i++) {
		CHECK_OK(client_syncobj_wait(u->c.file, u->out[i], INT64_MAX));
	}
	for (unsigned i = 0; i < u->lines; i++) {
		CHECK_OK(client_point_wait(u->c.file, u->line[i], u->turn, 0, INT64_MAX));
	}
	if (user) {
		CHECK_OK(IOCTL(u->c.file, XE_WAIT_USER_FENCE, &wait));
	}
}

/* One unmap, whose @nth allocation fails. Was there one? */
static bool unmap_without(struct unmaps *u, uint64_t nth, bool for_ever)
{
	bool struck;

	CHECK(anything_mapped(u));
	port_fault_set(PORT_FAULT_ALLOC, nth, for_ever);
	CHECK_OK(unmaps_bind(u));
	struck = port_fault_count(PORT_FAULT_ALLOC) >= nth;
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	unmaps_check(u, u->user);
	return struck;
}

static void unmap_sweep(enum shape shape, bool for_ever)
{
	static struct unmaps u;

	unmaps_init(&u);
	for (unsigned company = 0; company < COMPANIES; company++) {
		uint64_t nth = 0;

		do {
			unmaps_map(&u);
			unmaps_shape(&u, shape);
			unmaps_company(&u, company);
		} while (unmap_without(&u, ++nth, for_ever));
	}
	client_fini(&u.c);
}

static void test_A24_an_unmap_needs_no_memory(void)
{
	for (unsigned shape = 0; shape < SHAPES; shape++) {
		unmap_sweep(shape, false);
		unmap_sweep(shape, true);
	}
}

/*
 * Half the way back: the first allocation fails, so that the list is streamed, and then one of the
 * copies or sleeps. To be told so is all right; to ask again must then work.
 */
static void stream_sweep(enum shape shape, enum port_fault_point point, int error)
{
	static struct unmaps u;
	uint64_t nth = 0;
	bool struck;

	unmaps_init(&u);
	do {
		int ret;

		unmaps_map(&u);
		unmaps_shape(&u, shape);
		unmaps_company(&u, WITH_MANY);
		port_fault_set(PORT_FAULT_ALLOC, 1, false);
		port_fault_set(point, ++nth, false);
		ret = unmaps_bind(&u);
		struck = port_fault_count(point) >= nth;
		port_fault_set(point, 0, false);
		port_fault_set(PORT_FAULT_ALLOC, 0, false);
		CHECK(ret == 0 || (struck && ret == error));
		if (ret) {
			CHECK_OK(unmaps_bind(&u));
		}
		/* Without an error it was the user fence's own copy that failed. */
		unmaps_check(&u, ret || !struck);
	} while (struck);
	client_fini(&u.c);
}

static void a_streamed_list_can_be_asked_for_again(void)
{
	stream_sweep(SHAPE_MIXED, PORT_FAULT_USER_COPY, -EFAULT);
	stream_sweep(SHAPE_MIXED, PORT_FAULT_SLEEP, -EINTR);
	stream_sweep(SHAPE_ONE, PORT_FAULT_USER_COPY, -EFAULT);
	stream_sweep(SHAPE_ONE, PORT_FAULT_SLEEP, -EINTR);
}

/* A list that maps is refused, whole: the array cannot be had, or the room for what it says. */
static void a_list_that_maps_may_fail(void)
{
	static struct unmaps u;

	unmaps_init(&u);
	unmaps_map(&u);
	unmaps_shape(&u, SHAPE_MIXED);
	unmaps_company(&u, WITH_NOTHING);
	u.op[5] = client_op(DRM_XE_VM_BIND_OP_MAP, u.other, 0, A, SZ_64K);
	port_fault_set(PORT_FAULT_ALLOC, 1, false);
	CHECK_ERR(unmaps_bind(&u), -ENOBUFS);
	port_fault_set(PORT_FAULT_ALLOC, 2, false);
	CHECK_ERR(unmaps_bind(&u), -ENOMEM);
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	CHECK(anything_mapped(&u));
	client_fini(&u.c);
}

/* ---- numbers used and destroyed at once ------------------------------------------------------ */

static struct session shared;

static void use_and_destroy(void *arg)
{
	struct client *c = &shared.c;
	struct drm_xe_vm_bind_op op = client_op(DRM_XE_VM_BIND_OP_MAP, 1, 0, A, SZ_64K);
	struct drm_xe_sync sync = client_signal(1);

	/* Every number is 1: whoever comes too late is told so, nobody crashes. */
	client_bind(c->file, 1, 0, &op, 1, &sync, 1);
	client_exec(c->file, 1, A, &sync, 1);
	client_gem_close(c->file, 1);
	client_syncobj_signal(c->file, 1);
	client_queue_destroy(c->file, 1);
	client_syncobj_destroy(c->file, 1);
	client_vm_destroy(c, 1);
}

static void race(uint64_t seed)
{
	struct port_thread *thread[2];
	struct drm_prime_handle prime = { .handle = 1 };
	uint32_t bo, queue;

	memset(&shared, 0, sizeof(shared));
	client_init(&shared.c, "lnl");
	CHECK_EQ(client_vm(&shared.c, 0), 1);
	CHECK_OK(client_gem_create(shared.c.file, 0, SZ_64K, 1, 0, &bo));
	CHECK_EQ(client_syncobj(shared.c.file, false), 1);
	CHECK_OK(client_queue_create(shared.c.file, 1, 0, &queue));
	for (unsigned i = 0; i < 2; i++) {
		CHECK_OK(port_thread_create(&thread[i], "client", use_and_destroy, NULL));
	}
	/* Meanwhile the same object goes out and comes back. */
	if (IOCTL(shared.c.file, PRIME_HANDLE_TO_FD, &prime) == 0) {
		CHECK_OK(IOCTL(shared.c.file, PRIME_FD_TO_HANDLE, &prime));
	}
	client_queue_create(shared.c.file, 1, 0, &queue);
	port_thread_join(thread[0]);
	port_thread_join(thread[1]);
	client_fini(&shared.c);
}

static void numbers_can_go_at_any_time(void)
{
	test_seeds(race, 1, test_scale(100));
}

static const struct test_case cases[] = {
	TEST(every_allocation_fails_in_turn),
	TEST(every_user_copy_fails_in_turn),
	TEST(every_sleep_and_thread_fails_in_turn),
	TEST(every_schedule_serves),
	TEST(test_A24_an_unmap_needs_no_memory),
	TEST(a_streamed_list_can_be_asked_for_again),
	TEST(a_list_that_maps_may_fail),
	TEST(numbers_can_go_at_any_time),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
