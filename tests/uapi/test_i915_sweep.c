// SPDX-License-Identifier: MIT
/*
 * One session with every ioctl of i915, while each allocation, user copy, sleep and thread creation
 * fails in turn: an error or success, nothing leaked, and it works afterwards. Binds that fail
 * leave the address space as it was (A23); unbinds do not fail for want of memory (A24).
 */
#include "i915_client.h"

#include <string.h>

#include "uapi/i915/i915.h"

#define A      UINT64_C(0x40000000)
#define MS     INT64_C(1000000)
#define SIGNAL I915_TIMELINE_FENCE_SIGNAL

/* Only an injected failure may make a call fail. */
static bool fine(int ret)
{
	CHECK(ret == 0 || test_injected());
	return ret == 0;
}

static char pages[2 * SZ_4K] __attribute__((aligned(4096)));

struct session {
	struct client c;
	bool long_running;
	uint32_t vm, bo, private_bo, user, ctx, so, line;
	uint32_t *cpu;
	uint64_t fence, turn;
};

/* ---- the session ----------------------------------------------------------------------------- */

static int make_objects(struct session *s)
{
	struct drm_i915_gem_vm_control vm = { .flags = I915_VM_CREATE_FLAGS_USE_VM_BIND };
	struct drm_i915_gem_userptr user = { .user_ptr = PTR(pages), .user_size = sizeof(pages),
					     .flags = I915_USERPTR_PROBE };
	struct drm_i915_gem_create_ext_vm_private private = {
		.base.name = I915_GEM_CREATE_EXT_VM_PRIVATE,
	};
	struct drm_i915_gem_create bo = { .size = SZ_64K };
	struct drm_syncobj_create so = { 0 }, line = { 0 };
	int ret = IOCTL(s->c.file, I915_GEM_VM_CREATE, &vm);

	s->vm = private.vm_id = vm.vm_id;
	ret = ret ? ret : IOCTL(s->c.file, I915_GEM_CREATE, &bo);
	s->bo = bo.handle;
	ret = ret ? ret : i915_create_ext(s->c.file, SZ_64K, 0, &private, &s->private_bo);
	ret = ret ? ret : IOCTL(s->c.file, I915_GEM_USERPTR, &user);
	s->user = user.handle;
	ret = ret ? ret : IOCTL(s->c.file, SYNCOBJ_CREATE, &so);
	s->so = so.handle;
	ret = ret ? ret : IOCTL(s->c.file, SYNCOBJ_CREATE, &line);
	s->line = line.handle;
	return ret;
}

/* A map of one of each kind of places. */
static int make_context(struct session *s)
{
	struct {
		struct i915_context_engines_parallel_submit ext;
		struct i915_engine_class_instance engine[2];
	} p = { .ext = { .base.name = I915_CONTEXT_ENGINES_EXT_PARALLEL_SUBMIT,
			 .engine_index = 1, .width = 2, .num_siblings = 1 },
		.engine = { { I915_ENGINE_CLASS_VIDEO, 0 }, { I915_ENGINE_CLASS_VIDEO, 1 } } };
	struct {
		struct i915_context_engines_load_balance ext;
		struct i915_engine_class_instance engine[2];
	} b = { .ext = { .base = { .name = I915_CONTEXT_ENGINES_EXT_LOAD_BALANCE,
				   .next_extension = PTR(&p) },
			 .engine_index = 2, .num_siblings = 2 },
		.engine = { { I915_ENGINE_CLASS_VIDEO, 0 }, { I915_ENGINE_CLASS_VIDEO, 1 } } };
	struct {
		struct i915_context_param_engines head;
		struct i915_engine_class_instance engine[4];
	} map = { .head.extensions = PTR(&b),
		  .engine = { { I915_ENGINE_CLASS_RENDER, 0 },
			      { I915_ENGINE_CLASS_INVALID, I915_ENGINE_CLASS_INVALID_NONE },
			      { I915_ENGINE_CLASS_INVALID, I915_ENGINE_CLASS_INVALID_NONE },
			      { I915_ENGINE_CLASS_COPY, 0 } } };

	return i915_context_of(s->c.file, s->vm,
			       s->long_running ? I915_CONTEXT_CREATE_FLAGS_LONG_RUNNING : 0,
			       &map.head, sizeof(map), &s->ctx);
}

static int map_cpu(struct session *s)
{
	struct drm_i915_gem_mmap_offset args = { .handle = s->bo, .flags = I915_MMAP_OFFSET_WB };
	uint64_t offset;
	int fd, ret = IOCTL(s->c.file, I915_GEM_MMAP_OFFSET, &args);

	ret = ret ? ret : uapi_mmap(s->c.file, args.offset, SZ_64K, &fd, &offset);
	s->cpu = ret ? NULL : (uint32_t *)((char *)uapi_arena_base(s->c.device) + offset);
	return ret;
}

/* All that a bind or an unbind may come with, of the last of which .fence hears. */
struct company {
	struct drm_i915_vm_bind_ext_timeline_fences fences;
	struct drm_i915_vm_bind_ext_user_fence user;
	struct drm_i915_vm_bind_ext_queue queue;
	struct drm_i915_gem_exec_fence handle[2];
	uint64_t value[2];
	struct drm_i915_vm_bind_user_fence fence;
};

static uint64_t company_init(struct company *e, struct session *s, bool queue)
{
	memset(e, 0, sizeof(*e));
	s->turn++;
	e->handle[0] = (struct drm_i915_gem_exec_fence){ s->so, SIGNAL };
	e->handle[1] = (struct drm_i915_gem_exec_fence){ s->line, SIGNAL };
	e->value[1] = s->turn;
	e->fences.base.name = I915_VM_BIND_EXT_TIMELINE_FENCES;
	e->fences.base.next_extension = PTR(&e->user);
	e->fences.fence_count = 2;
	e->fences.handles_ptr = PTR(e->handle);
	e->fences.values_ptr = PTR(e->value);
	e->user.base.name = I915_VM_BIND_EXT_USER_FENCE;
	e->user.base.next_extension = queue ? PTR(&e->queue) : 0;
	e->user.fence_count = 1;
	e->user.user_fence_ptr = PTR(&e->fence);
	e->fence = (struct drm_i915_vm_bind_user_fence){
		PTR(&s->fence), s->turn, I915_VM_BIND_USER_FENCE_SIGNAL, 0,
	};
	e->queue.base.name = I915_VM_BIND_EXT_QUEUE;
	e->queue.queue_idx = 3;
	return PTR(&e->fences);
}

static int bind(struct session *s, uint32_t bo, uint64_t start, uint64_t length, uint64_t ext)
{
	struct drm_i915_gem_vm_bind args = {
		.vm_id = s->vm, .handle = bo, .start = start, .length = length, .extensions = ext,
	};

	return IOCTL(s->c.file, I915_GEM_VM_BIND, &args);
}

static int unbind(struct session *s, uint64_t start, uint64_t length, uint64_t ext,
		  struct drm_i915_gem_timeline_fence fence)
{
	struct drm_i915_gem_vm_unbind args = {
		.vm_id = s->vm, .start = start, .length = length, .extensions = ext,
		.fence = fence,
	};

	return client_ioctl(s->c.file, DRM_IOCTL_I915_GEM_VM_UNBIND_56, &args);
}

static int binds(struct session *s)
{
	struct company e;
	int ret = bind(s, s->bo, A, SZ_64K, 0);

	ret = ret ? ret : bind(s, s->private_bo, A + SZ_2M, SZ_64K, company_init(&e, s, true));
	ret = ret ? ret : client_point_wait(s->c.file, s->line, s->turn, 0, INT64_MAX);
	ret = ret ? ret : bind(s, s->user, A + SZ_1G, SZ_4K, 0);
	ret = ret ? ret : unbind(s, A + SZ_2M + SZ_4K, SZ_4K, company_init(&e, s, false),
				 (struct drm_i915_gem_timeline_fence){ 0 });
	return ret ? ret : client_point_wait(s->c.file, s->line, s->turn, 0, INT64_MAX);
}

static int submit(struct session *s)
{
	struct drm_i915_gem_execbuffer3_ext_user_fence user = {
		.base.name = DRM_I915_GEM_EXECBUFFER3_EXT_USER_FENCE,
		.addr = A + 2 * SZ_4K, .value = s->turn,
	};
	struct drm_i915_gem_timeline_fence fence[2] = {
		i915_fence(s->so, 0, I915_TIMELINE_FENCE_WAIT),
		i915_fence(s->line, s->turn + 1, SIGNAL),
	};
	uint64_t batches[2] = { A, A };
	struct drm_i915_gem_execbuffer3 args = {
		.ctx_id = s->ctx, .timeline_fences = PTR(fence),
		.fence_count = s->long_running ? 1 : 2, .extensions = PTR(&user),
	};
	struct drm_i915_gem_wait_user_fence wait = {
		.addr = PTR(s->cpu + 2 * SZ_4K / 4), .value = s->turn, .mask = UINT64_MAX,
		.ctx_id = s->ctx, .timeout = 100 * MS,
	};
	int ret = 0;

	(void)client_batch_store(s->cpu, A + SZ_4K, 7);
	for (args.engine_idx = 0; args.engine_idx < 3 && ret == 0; args.engine_idx++) {
		args.batch_address = args.engine_idx == 1 ? PTR(batches) : A;
		fence[1].value = ++s->turn;
		user.value = wait.value = s->turn;
		ret = IOCTL(s->c.file, I915_GEM_EXECBUFFER3, &args);
		if (ret == 0 && !s->long_running) {
			ret = client_point_wait(s->c.file, s->line, s->turn, 0, INT64_MAX);
		}
		/* The value may be lost with an injected copy; the wait then ends by itself. */
		ret = ret ? ret : IOCTL(s->c.file, I915_GEM_WAIT_USER_FENCE, &wait);
	}
	return ret;
}

static int ask(struct session *s)
{
	struct drm_i915_gem_busy busy = { .handle = s->bo };
	struct drm_i915_gem_wait wait = { .bo_handle = s->bo, .timeout_ns = -1 };
	struct drm_i915_reset_stats stats = { .ctx_id = s->ctx };
	struct drm_i915_query_item item[3] = { { .query_id = DRM_I915_QUERY_TOPOLOGY_INFO },
					       { .query_id = DRM_I915_QUERY_ENGINE_INFO },
					       { .query_id = DRM_I915_QUERY_MEMORY_REGIONS } };
	struct drm_i915_query query = { .num_items = 3, .items_ptr = PTR(item) };
	int value;
	struct drm_i915_getparam param = { .param = I915_PARAM_VM_BIND_VERSION,
					   .value = PTR(&value) };
	int ret = IOCTL(s->c.file, I915_GETPARAM, &param);

	ret = ret ? ret : IOCTL(s->c.file, I915_QUERY, &query);
	ret = ret ? ret : IOCTL(s->c.file, I915_GEM_BUSY, &busy);
	if (!s->long_running) {
		ret = ret ? ret : IOCTL(s->c.file, I915_GEM_WAIT, &wait);
	}
	return ret ? ret : IOCTL(s->c.file, I915_GET_RESET_STATS, &stats);
}

static int session_run(struct session *s)
{
	int ret = make_objects(s);

	ret = ret ? ret : make_context(s);
	ret = ret ? ret : map_cpu(s);
	ret = ret ? ret : binds(s);
	ret = ret ? ret : submit(s);
	ret = ret ? ret : ask(s);
	return ret ? ret : i915_context_destroy(&s->c, s->ctx);
}

static void session(void *arg)
{
	struct uapi_config config = i915_config("tgl", 2);
	struct session s;

	memset(&s, 0, sizeof(s));
	s.long_running = arg;
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
	CHECK(test_sweep(PORT_FAULT_ALLOC, session, NULL) > 40);
}

static void every_allocation_of_a_long_running_client_fails_in_turn(void)
{
	static bool long_running;

	CHECK(test_sweep(PORT_FAULT_ALLOC, session, &long_running) > 40);
}

static void every_user_copy_fails_in_turn(void)
{
	CHECK(test_sweep(PORT_FAULT_USER_COPY, session, NULL) > 40);
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

	for (unsigned i = 0; i < 2 * ARRAY_LEN(schedules); i++) {
		struct uapi_config config = i915_config("tgl", 2);

		memset(&s, 0, sizeof(s));
		s.long_running = i & 1;
		config.schedule = schedules[i / 2];
		client_init_as(&s.c, &config);
		CHECK_OK(session_run(&s));
		CHECK_OK(session_run(&s));
		client_fini(&s.c);
	}
}

/* ---- binds that fail ------------------------------------------------------------------------- */

#define MANY 64

struct picture {
	struct vm_mapping mapping[MANY];
	unsigned count;
};

static void picture_take(struct session *s, struct picture *p)
{
	p->count = i915_mappings(&s->c, s->vm, p->mapping, MANY);
	CHECK(p->count <= MANY);
}

static void begin(struct session *s)
{
	struct uapi_config config = i915_config("tgl", 2);

	memset(s, 0, sizeof(*s));
	client_init_as(&s->c, &config);
	CHECK_OK(make_objects(s));
	CHECK_OK(map_cpu(s));
}

/* A bind over the middle of what is there, with each occurrence of @point failing in turn. */
static void bind_sweep(enum port_fault_point point, int error)
{
	struct picture before, after;
	struct company e;
	struct session s;
	uint64_t nth = 0;
	bool struck;

	begin(&s);
	do {
		uint64_t ext = company_init(&e, &s, false);
		int ret;

		CHECK_OK(unbind(&s, A, SZ_1G, 0, (struct drm_i915_gem_timeline_fence){ 0 }));
		CHECK_OK(bind(&s, s.bo, A, SZ_64K, 0));
		picture_take(&s, &before);
		port_fault_set(point, ++nth, true);
		ret = bind(&s, s.private_bo, A + SZ_4K, 2 * SZ_4K, ext);
		struck = port_fault_count(point) >= nth;
		port_fault_set(point, 0, false);
		CHECK(ret == 0 || (struck && ret == error));
		if (ret) {
			picture_take(&s, &after);
			CHECK_EQ(after.count, before.count);
			CHECK(i915_same_mappings(before.mapping, after.mapping, before.count));
			CHECK_ERR(client_point_wait(s.c.file, s.line, s.turn, 0, 0), -EINVAL);
			CHECK_OK(bind(&s, s.private_bo, A + SZ_4K, 2 * SZ_4K, ext));
		}
		CHECK_OK(client_point_wait(s.c.file, s.line, s.turn, 0, INT64_MAX));
		CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), 3);
	} while (struck);
	CHECK(nth > 3 || point != PORT_FAULT_ALLOC);
	client_fini(&s.c);
}

static void test_A23_a_bind_without_memory_changes_nothing(void)
{
	bind_sweep(PORT_FAULT_ALLOC, -ENOMEM);
}

static void test_A23_a_bind_whose_arguments_go_away_changes_nothing(void)
{
	struct session s;
	struct company e;
	uint64_t nth = 0;
	bool struck;

	begin(&s);
	do {
		uint64_t ext = company_init(&e, &s, true);
		int ret;

		port_fault_set(PORT_FAULT_USER_COPY, ++nth, false);
		ret = bind(&s, s.bo, A, SZ_64K, ext);
		struck = port_fault_count(PORT_FAULT_USER_COPY) >= nth;
		port_fault_set(PORT_FAULT_USER_COPY, 0, false);
		CHECK(ret == 0 || (struck && ret == -EFAULT));
	} while (struck);
	CHECK(nth > 5);
	client_fini(&s.c);
}

static void test_A21_an_interrupted_call_is_made_again(void)
{
	bind_sweep(PORT_FAULT_SLEEP, -EINTR);
}

/* ---- unbinds --------------------------------------------------------------------------------- */

enum with { WITH_NOTHING, WITH_BINARY, WITH_POINT, WITH_LISTS, WITH_QUEUE, WITHS };

static int unbind_with(struct session *s, enum with with, struct company *e, uint64_t start,
		       uint64_t length)
{
	struct drm_i915_gem_timeline_fence fence = { 0 };
	uint64_t ext = company_init(e, s, with == WITH_QUEUE);

	if (with == WITH_BINARY) {
		fence = i915_fence(s->so, 0, SIGNAL);
	} else if (with == WITH_POINT) {
		fence = i915_fence(s->line, s->turn, SIGNAL);
	}
	return unbind(s, start, length, with >= WITH_LISTS ? ext : 0, fence);
}

/* It was unbound, and everybody is told. */
static void check_told(struct session *s, enum with with)
{
	struct drm_i915_gem_wait_user_fence wait = {
		.addr = PTR(&s->fence), .value = s->turn, .mask = UINT64_MAX, .timeout = -1,
		.flags = I915_UFENCE_WAIT_SOFT,
	};

	if (with == WITH_BINARY || with >= WITH_LISTS) {
		CHECK_OK(client_syncobj_wait(s->c.file, s->so, INT64_MAX));
	}
	if (with >= WITH_POINT) {
		CHECK_OK(client_point_wait(s->c.file, s->line, s->turn, 0, INT64_MAX));
	}
	if (with >= WITH_LISTS) {
		CHECK_OK(IOCTL(s->c.file, I915_GEM_WAIT_USER_FENCE, &wait));
	}
}

/* The whole, a part that splits, several; @for_ever: nothing can be had from then on. */
static void unbind_sweep(enum with with, uint64_t at, uint64_t length, bool for_ever)
{
	struct company e;
	struct session s;
	uint64_t nth = 0;
	bool struck;

	begin(&s);
	do {
		CHECK_OK(unbind(&s, A, SZ_1G, 0, (struct drm_i915_gem_timeline_fence){ 0 }));
		CHECK_OK(client_syncobj_reset(s.c.file, s.so));
		for (unsigned i = 0; i < 3; i++) {
			CHECK_OK(bind(&s, s.bo, A + i * SZ_64K, SZ_64K, 0));
		}
		port_fault_set(PORT_FAULT_ALLOC, ++nth, for_ever);
		CHECK_OK(unbind_with(&s, with, &e, A + at, length));
		struck = port_fault_count(PORT_FAULT_ALLOC) >= nth;
		port_fault_set(PORT_FAULT_ALLOC, 0, false);
		check_told(&s, with);
		CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), at ? 4 : length == SZ_64K ? 2 : 0);
	} while (struck);
	client_fini(&s.c);
}

static void test_A24_an_unbind_needs_no_memory(void)
{
	for (unsigned with = 0; with < WITHS; with++) {
		for (unsigned for_ever = 0; for_ever < 2; for_ever++) {
			unbind_sweep(with, 0, SZ_64K, for_ever);
			unbind_sweep(with, SZ_4K, SZ_4K, for_ever);
			unbind_sweep(with, 0, SZ_1G, for_ever);
		}
	}
}

/* Half the way back: memory is missing, and one of the copies fails. To ask again must work. */
static void an_unbind_without_memory_can_be_asked_for_again(void)
{
	struct company e;
	struct session s;
	uint64_t nth = 0;
	bool struck;

	begin(&s);
	do {
		int ret;

		CHECK_OK(bind(&s, s.bo, A, SZ_64K, 0));
		port_fault_set(PORT_FAULT_ALLOC, 1, true);
		port_fault_set(PORT_FAULT_USER_COPY, ++nth, false);
		ret = unbind_with(&s, WITH_QUEUE, &e, A, SZ_64K);
		struck = port_fault_count(PORT_FAULT_USER_COPY) >= nth;
		port_fault_set(PORT_FAULT_USER_COPY, 0, false);
		CHECK(ret == 0 || (struck && ret == -EFAULT));
		if (ret) {
			CHECK_OK(unbind_with(&s, WITH_QUEUE, &e, A, SZ_64K));
		}
		port_fault_set(PORT_FAULT_ALLOC, 0, false);
		CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), 0);
		CHECK_OK(client_point_wait(s.c.file, s.line, s.turn, 0, INT64_MAX));
	} while (struck);
	client_fini(&s.c);
}

/* Without memory, and with what an unbind comes with being wrong in one place. */
static void an_unbind_without_memory_checks_the_same(void)
{
	const struct drm_i915_gem_timeline_fence none = { 0 };
	struct company e;
	struct session s;
	uint64_t ext;

	begin(&s);
	CHECK_OK(bind(&s, s.bo, A, SZ_64K, 0));
	ext = company_init(&e, &s, true);
	e.handle[0].handle = s.line; /* a point, for which there is no memory, comes first */
	e.value[0] = s.turn;
	e.value[1] = 0;
	port_fault_set(PORT_FAULT_ALLOC, 1, true);
	e.handle[1].handle = 99;
	CHECK_ERR(unbind(&s, A, SZ_64K, ext, none), -ENOENT);
	e.handle[1] = (struct drm_i915_gem_exec_fence){ s.so, I915_TIMELINE_FENCE_WAIT };
	CHECK_ERR(unbind(&s, A, SZ_64K, ext, none), -EINVAL); /* has no fence */
	e.handle[1].flags = 4;
	CHECK_ERR(unbind(&s, A, SZ_64K, ext, none), -EINVAL);
	e.handle[1].flags = SIGNAL;
	e.fence.addr++;
	CHECK_ERR(unbind(&s, A, SZ_64K, ext, none), -EINVAL);
	e.fence.addr--;
	e.queue.queue_idx = 16;
	CHECK_ERR(unbind(&s, A, SZ_64K, ext, none), -EINVAL);
	e.queue.queue_idx = 0;
	e.user.fence_count = 0;
	CHECK_ERR(unbind(&s, A, SZ_64K, ext, none), -EINVAL);
	e.user.fence_count = 1;
	e.fences.fence_count = UINT64_MAX;
	CHECK_ERR(unbind(&s, A, SZ_64K, ext, none), -EINVAL);
	e.fences.fence_count = 2;
	CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), 1);
	CHECK_EQ(s.fence, 0);
	CHECK_OK(unbind(&s, A, SZ_64K, ext, none));
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), 0);
	client_fini(&s.c);
}

struct opener {
	struct session *s;
	struct i915_gate gate;
	uint64_t word, nothing;
	atomic_bool opened;
};

static void nap(struct opener *o)
{
	struct drm_i915_gem_wait_user_fence args = {
		.addr = PTR(&o->nothing), .value = 1, .mask = UINT64_MAX, .timeout = 3 * MS,
		.flags = I915_UFENCE_WAIT_SOFT,
	};

	CHECK_ERR(IOCTL(o->s->c.file, I915_GEM_WAIT_USER_FENCE, &args), -ETIME);
	CHECK_EQ(i915_mappings(&o->s->c, o->s->vm, NULL, 0), 1); /* it waits */
}

static void open_both(void *arg)
{
	struct opener *o = arg;

	nap(o);
	ufence_write_now(&o->s->c.device->dev->sync, PTR(&o->word), 5);
	nap(o);
	atomic_store(&o->opened, true);
	i915_gate_open(&o->gate);
}

/* First for what the client writes, then for fences, and then it unbinds. */
static void an_unbind_without_memory_waits_in_the_call(void)
{
	struct port_thread *thread;
	struct opener o = { 0 };
	struct company e;
	struct session s;
	uint64_t ext;

	begin(&s);
	o.s = &s;
	o.gate = i915_gate(&s.c);
	CHECK_OK(bind(&s, s.bo, A, SZ_64K, 0));
	ext = company_init(&e, &s, true);
	e.handle[0] = (struct drm_i915_gem_exec_fence){ o.gate.syncobj, I915_TIMELINE_FENCE_WAIT };
	e.fence = (struct drm_i915_vm_bind_user_fence){
		PTR(&o.word), 5, I915_VM_BIND_USER_FENCE_WAIT, 0,
	};
	CHECK_OK(port_thread_create(&thread, "opener", open_both, &o));
	port_fault_set(PORT_FAULT_ALLOC, 1, true);
	CHECK_OK(unbind(&s, A, SZ_64K, ext, (struct drm_i915_gem_timeline_fence){ 0 }));
	port_fault_set(PORT_FAULT_ALLOC, 0, false);
	CHECK(atomic_load(&o.opened));
	CHECK_EQ(i915_mappings(&s.c, s.vm, NULL, 0), 0);
	CHECK_OK(client_point_wait(s.c.file, s.line, s.turn, 0, INT64_MAX));
	port_thread_join(thread);
	client_fini(&s.c);
}

static const struct test_case cases[] = {
	TEST(every_allocation_fails_in_turn),
	TEST(every_allocation_of_a_long_running_client_fails_in_turn),
	TEST(every_user_copy_fails_in_turn),
	TEST(every_sleep_and_thread_fails_in_turn),
	TEST(every_schedule_serves),
	TEST(test_A23_a_bind_without_memory_changes_nothing),
	TEST(test_A23_a_bind_whose_arguments_go_away_changes_nothing),
	TEST(test_A21_an_interrupted_call_is_made_again),
	TEST(test_A24_an_unbind_needs_no_memory),
	TEST(an_unbind_without_memory_can_be_asked_for_again),
	TEST(an_unbind_without_memory_checks_the_same),
	TEST(an_unbind_without_memory_waits_in_the_call),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
