// SPDX-License-Identifier: MIT
/* dma-buf descriptors: fences in and out, waits, names, and what an import that fails leaves. */
#include "client.h"
#include "exec/device.h"
#include "uapi/vmb_dma_buf.h"

#include <string.h>

#define SPIN_AT ((uint64_t)100 * SZ_2M)

static struct client c;

static int export_bo(struct uapi_file *file, uint32_t handle, int *fd_out)
{
	struct drm_prime_handle args = { .handle = handle, .flags = DRM_CLOEXEC | DRM_RDWR };
	int ret = IOCTL(file, PRIME_HANDLE_TO_FD, &args);

	*fd_out = args.fd;
	return ret;
}

static void *object_of(int fd)
{
	return c.host.fd[fd - CLIENT_FD_BASE].object;
}

static int ask(int fd, uint32_t cmd, const void *arg)
{
	return uapi_dmabuf_ioctl(c.device, object_of(fd), cmd, PTR(arg));
}

static int export_sync(int fd, uint32_t flags, int *sync_fd_out)
{
	struct dma_buf_export_sync_file args = { .flags = flags, .fd = -1 };
	int ret = ask(fd, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &args);

	*sync_fd_out = args.fd;
	return ret;
}

static int import_sync(int fd, uint32_t flags, int sync_fd)
{
	struct dma_buf_import_sync_file args = { .flags = flags, .fd = sync_fd };

	return ask(fd, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &args);
}

/* A sync file of what syncobj @handle holds. */
static int sync_file_of(uint32_t handle)
{
	struct drm_syncobj_handle args = {
		.handle = handle,
		.flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_EXPORT_SYNC_FILE,
	};

	CHECK_OK(IOCTL(c.file, SYNCOBJ_HANDLE_TO_FD, &args));
	CHECK_EQ(c.host.fd[args.fd - CLIENT_FD_BASE].kind, UAPI_FD_SYNC_FILE);
	return args.fd;
}

/* Has what a reader (or @write, a writer) waits for signalled? The same in both ways to ask. */
static bool is_ready(int fd, bool write)
{
	void *watched;
	int sync_fd;
	bool ready;

	CHECK_OK(export_sync(fd, write ? DMA_BUF_SYNC_RW : DMA_BUF_SYNC_READ, &sync_fd));
	CHECK(c.host.fd[sync_fd - CLIENT_FD_BASE].cloexec);
	ready = uapi_sync_file_status(object_of(sync_fd));
	client_close_fd(&c, sync_fd);
	CHECK_OK(uapi_dmabuf_poll(object_of(fd), write, &watched));
	CHECK_EQ(watched == NULL, ready);
	if (watched) {
		uapi_fd_put_object(UAPI_FD_SYNC_FILE, watched);
	}
	return ready;
}

/* Binds @bo at its place behind a fence that @gate will signal: syncobj @out then has a fence. */
static void pend(uint32_t vm, uint32_t bo, unsigned place, uint32_t gate, uint32_t out)
{
	struct drm_xe_vm_bind_op op =
		client_op(DRM_XE_VM_BIND_OP_MAP, bo, 0, (place + 1) * SZ_2M, SZ_64K);
	struct drm_xe_sync sync[2] = { client_wait_for(gate), client_signal(out) };

	CHECK_OK(client_bind(c.file, vm, 0, &op, 1, sync, 2));
}

struct scene {
	uint32_t vm, bo, spin_bo, gate, out;
	atomic_uint *flag; /* 0 lets the spinner end */
	int fd;
};

/* A spinner that signals .gate when its flag is cleared, and an object that has nothing to do. */
static void scene_init(struct scene *s)
{
	struct drm_xe_sync signal;
	uint32_t *batch;

	client_init(&c, "bmg");
	s->vm = client_vm(&c, 0);
	s->bo = client_bo(&c, 0, SZ_64K);
	s->spin_bo = client_bo(&c, 0, SZ_64K);
	s->gate = client_syncobj(c.file, false);
	s->out = client_syncobj(c.file, false);
	CHECK_OK(export_bo(c.file, s->bo, &s->fd));
	batch = client_cpu(&c, c.file, s->spin_bo, SZ_64K);
	s->flag = (atomic_uint *)(batch + 1024);
	atomic_store(s->flag, 1);
	client_batch_spin(batch, SPIN_AT, SPIN_AT + 4096);
	CHECK_OK(client_map(&c, s->vm, s->spin_bo, 0, SPIN_AT, SZ_64K));
	signal = client_signal(s->gate);
	CHECK_OK(client_exec(c.file, client_queue(&c, s->vm, 0), SPIN_AT, &signal, 1));
}

static void scene_release(struct scene *s)
{
	atomic_store(s->flag, 0);
	CHECK_OK(client_syncobj_wait(c.file, s->gate, INT64_MAX));
}

static void scene_fini(struct scene *s)
{
	client_close_fd(&c, s->fd);
	client_fini(&c);
}

static void test_B17_imported_fences_are_seen_by_who_asks(void)
{
	struct scene s;
	int work;

	for (unsigned flags = DMA_BUF_SYNC_READ; flags <= DMA_BUF_SYNC_RW; flags++) {
		bool writes = flags & DMA_BUF_SYNC_WRITE;

		scene_init(&s);
		CHECK(is_ready(s.fd, false) && is_ready(s.fd, true));
		work = sync_file_of(s.gate);
		CHECK_OK(import_sync(s.fd, flags, work));
		client_close_fd(&c, work);
		CHECK_EQ(is_ready(s.fd, false), !writes);
		CHECK(!is_ready(s.fd, true));
		scene_release(&s);
		CHECK(is_ready(s.fd, false) && is_ready(s.fd, true));
		scene_fini(&s);
	}
}

static void test_B18_binds_and_submissions_are_not_seen(void)
{
	struct scene s;

	scene_init(&s);
	pend(s.vm, s.bo, 0, s.gate, s.out);
	pend(s.vm, s.spin_bo, 1, s.gate, s.out);
	CHECK_ERR(client_syncobj_wait(c.file, s.out, 0), -ETIME);
	CHECK(is_ready(s.fd, false) && is_ready(s.fd, true));
	scene_release(&s);
	CHECK_OK(client_syncobj_wait(c.file, s.out, INT64_MAX));
	scene_fini(&s);
}

static void an_exported_fence_is_of_its_time(void)
{
	struct scene s;
	int work, before, after;

	scene_init(&s);
	CHECK_OK(export_sync(s.fd, DMA_BUF_SYNC_WRITE, &before));
	work = sync_file_of(s.gate);
	CHECK_OK(import_sync(s.fd, DMA_BUF_SYNC_WRITE, work));
	CHECK_OK(export_sync(s.fd, DMA_BUF_SYNC_WRITE, &after));
	CHECK(uapi_sync_file_status(object_of(before)));
	CHECK(!uapi_sync_file_status(object_of(after)));
	/* It stays what it was when all it came from is gone. */
	client_close_fd(&c, work);
	client_close_fd(&c, s.fd);
	CHECK_OK(client_gem_close(c.file, s.bo));
	CHECK(!uapi_sync_file_status(object_of(after)));
	scene_release(&s);
	CHECK(uapi_sync_file_status(object_of(after)));
	client_close_fd(&c, before);
	client_close_fd(&c, after);
	client_fini(&c);
}

static void a_fence_for_several_is_added_in_parts(void)
{
	struct scene s;
	uint32_t far;
	int work[2], all;

	scene_init(&s);
	far = client_syncobj(c.file, false);
	pend(s.vm, s.bo, 0, s.gate, far);
	work[0] = sync_file_of(s.gate);
	work[1] = sync_file_of(far);
	CHECK_OK(import_sync(s.fd, DMA_BUF_SYNC_READ, work[0]));
	CHECK_OK(import_sync(s.fd, DMA_BUF_SYNC_READ, work[1]));
	CHECK_OK(export_sync(s.fd, DMA_BUF_SYNC_WRITE, &all));
	CHECK_OK(import_sync(s.fd, DMA_BUF_SYNC_WRITE, all)); /* its own, and now writers */
	CHECK(!is_ready(s.fd, false));
	scene_release(&s);
	CHECK_OK(client_syncobj_wait(c.file, far, INT64_MAX));
	CHECK(uapi_sync_file_status(object_of(all)));
	CHECK(is_ready(s.fd, false) && is_ready(s.fd, true));
	client_close_fd(&c, work[0]);
	client_close_fd(&c, work[1]);
	client_close_fd(&c, all);
	scene_fini(&s);
}

static void clear_flag(void *arg)
{
	struct scene *s = arg;

	atomic_store(s->flag, 0);
}

static void sync_waits_for_others(void)
{
	struct dma_buf_sync args = { .flags = DMA_BUF_SYNC_READ };
	struct port_thread *thread;
	struct scene s;
	int work;

	scene_init(&s);
	work = sync_file_of(s.gate);
	CHECK_OK(import_sync(s.fd, DMA_BUF_SYNC_READ, work));
	CHECK_OK(ask(s.fd, DMA_BUF_IOCTL_SYNC, &args)); /* a reader does not wait for readers */
	args.flags = DMA_BUF_SYNC_RW | DMA_BUF_SYNC_END;
	CHECK_OK(ask(s.fd, DMA_BUF_IOCTL_SYNC, &args));
	CHECK(!uapi_sync_file_status(object_of(work)));
	CHECK_OK(port_thread_create(&thread, "other", clear_flag, &s));
	args.flags = DMA_BUF_SYNC_WRITE;
	CHECK_OK(ask(s.fd, DMA_BUF_IOCTL_SYNC, &args));
	CHECK(uapi_sync_file_status(object_of(work)));
	port_thread_join(thread);
	client_close_fd(&c, work);
	scene_fini(&s);
}

static void errors_in_order(void)
{
	struct dma_buf_sync sync = { 0 };
	const uint64_t bad_sync[] = { 0, DMA_BUF_SYNC_END, 8 | DMA_BUF_SYNC_READ, UINT64_MAX,
				      UINT64_C(1) << 32 | DMA_BUF_SYNC_READ };
	char name[40] = "a name of thirty-one characters";
	int bo_fd, fd, sync_fd;
	uint32_t so;

	client_init(&c, "lnl");
	CHECK_OK(export_bo(c.file, client_bo(&c, 0, SZ_4K), &bo_fd));
	so = client_syncobj(c.file, true);
	sync_fd = sync_file_of(so);
	for (unsigned i = 0; i < ARRAY_LEN(bad_sync); i++) {
		sync.flags = bad_sync[i];
		CHECK_ERR(ask(bo_fd, DMA_BUF_IOCTL_SYNC, &sync), -EINVAL);
	}
	CHECK_ERR(ask(bo_fd, DMA_BUF_IOCTL_SYNC, (void *)CLIENT_BAD), -EFAULT);
	CHECK_ERR(ask(bo_fd, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, (void *)CLIENT_BAD), -EFAULT);
	CHECK_ERR(ask(bo_fd, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, (void *)CLIENT_BAD), -EFAULT);
	CHECK_ERR(export_sync(bo_fd, 0, &fd), -EINVAL);
	CHECK_ERR(export_sync(bo_fd, DMA_BUF_SYNC_RW | DMA_BUF_SYNC_END, &fd), -EINVAL);
	c.host.no_fds = true;
	CHECK_ERR(export_sync(bo_fd, 0, &fd), -EINVAL); /* first what was asked for */
	CHECK_ERR(export_sync(bo_fd, DMA_BUF_SYNC_READ, &fd), -EMFILE);
	c.host.no_fds = false;
	CHECK_ERR(import_sync(bo_fd, 0, sync_fd), -EINVAL);
	CHECK_ERR(import_sync(bo_fd, 4, sync_fd), -EINVAL);
	CHECK_ERR(import_sync(bo_fd, DMA_BUF_SYNC_READ, -1), -EINVAL);
	CHECK_ERR(import_sync(bo_fd, DMA_BUF_SYNC_READ, bo_fd), -EINVAL); /* no sync file */
	CHECK_OK(import_sync(bo_fd, DMA_BUF_SYNC_READ, sync_fd));
	CHECK_ERR(ask(bo_fd, DMA_BUF_SET_NAME_A, (void *)CLIENT_BAD), -EFAULT);
	CHECK_OK(ask(bo_fd, DMA_BUF_SET_NAME_A, name));
	CHECK_OK(ask(bo_fd, DMA_BUF_SET_NAME_B, name));
	name[strlen(name)] = '!';
	CHECK_ERR(ask(bo_fd, DMA_BUF_SET_NAME_B, name), -EINVAL);
	CHECK_ERR(ask(bo_fd, DRM_IOCTL_GEM_CLOSE, name), -ENOTTY);
	CHECK_ERR(ask(bo_fd, DMA_BUF_IOCTL_SYNC + (1 << 16), name), -ENOTTY); /* another size */
	client_close_fd(&c, sync_fd);
	client_close_fd(&c, bo_fd);
	client_fini(&c);
}

/* A number the client could not be told would be open for ever. */
static void an_export_that_cannot_be_told_makes_none(void)
{
	struct dma_buf_export_sync_file args = { .flags = DMA_BUF_SYNC_READ };
	unsigned before = 0, after = 0;
	int bo_fd;

	client_init(&c, "lnl");
	CHECK_OK(export_bo(c.file, client_bo(&c, 0, SZ_4K), &bo_fd));
	for (unsigned i = 0; i < CLIENT_FDS; i++) {
		before += c.host.fd[i].used;
	}
	port_fault_set(PORT_FAULT_USER_COPY, 2, false); /* the first one reads */
	CHECK_ERR(ask(bo_fd, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &args), -EFAULT);
	port_fault_set(PORT_FAULT_USER_COPY, 0, false);
	for (unsigned i = 0; i < CLIENT_FDS; i++) {
		after += c.host.fd[i].used;
	}
	CHECK_EQ(before, after);
	client_close_fd(&c, bo_fd);
	client_fini(&c);
}

/*
 * Bug class 22: an import that fails must leave neither a handle nor a reference. The object is
 * gone with its last descriptor, which its bytes in the region tell.
 */
static void test_class_22_an_import_that_fails_leaves_nothing(void)
{
	struct drm_prime_handle args;
	struct uapi_file *other;
	uint64_t used_B, nth = 0;
	struct region *region;
	uint32_t bo;
	int fd, ret;

	client_init(&c, "bmg");
	region = &uapi_device_core(c.device)->mem.region[MEM_VRAM];
	other = client_open(&c, true);
	used_B = region->used_B;
	do {
		bo = client_bo(&c, 0, SZ_64K);
		CHECK_OK(export_bo(c.file, bo, &fd));
		CHECK_OK(client_gem_close(c.file, bo));
		args = (struct drm_prime_handle){ .fd = fd };
		port_fault_set(PORT_FAULT_ALLOC, ++nth, true);
		ret = IOCTL(other, PRIME_FD_TO_HANDLE, &args);
		port_fault_set(PORT_FAULT_ALLOC, 0, false);
		CHECK(ret == 0 || ret == -ENOMEM);
		if (ret) {
			CHECK_ERR(client_gem_close(other, 1), -EINVAL);
			CHECK_EQ(region->used_B, used_B + SZ_64K);
		} else {
			CHECK_OK(client_gem_close(other, args.handle));
		}
		client_close_fd(&c, fd);
		CHECK_EQ(region->used_B, used_B);
	} while (ret);
	CHECK(nth > 2);
	uapi_close(other);
	client_fini(&c);
}

static void sync_body(void *arg)
{
	const struct scene *s = arg;
	struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_RW | DMA_BUF_SYNC_END };
	void *watched = NULL;
	int fd = -1, ret;

	ret = ask(s->fd, DMA_BUF_IOCTL_SYNC, &sync);
	CHECK(ret == 0 || test_injected());
	ret = export_sync(s->fd, DMA_BUF_SYNC_RW, &fd);
	CHECK(ret == 0 || test_injected());
	if (ret == 0) {
		ret = import_sync(s->fd, DMA_BUF_SYNC_RW, fd);
		CHECK(ret == 0 || test_injected());
	}
	for (int i = 0; i < CLIENT_FDS; i++) { /* also one that could not be told */
		if (c.host.fd[i].used && c.host.fd[i].kind == UAPI_FD_SYNC_FILE) {
			client_close_fd(&c, CLIENT_FD_BASE + i);
		}
	}
	ret = uapi_dmabuf_poll(object_of(s->fd), true, &watched);
	CHECK(ret == 0 || test_injected());
	if (watched) {
		uapi_fd_put_object(UAPI_FD_SYNC_FILE, watched);
	}
}

static void every_failure_leaves_it_as_it_was(void)
{
	struct scene s;
	uint32_t so[10];
	int work;

	scene_init(&s);
	for (unsigned i = 0; i < ARRAY_LEN(so); i++) { /* more than fit on a stack */
		uint32_t queue = client_bind_queue(&c, s.vm);
		struct drm_xe_sync sync[2] = { client_wait_for(s.gate) };
		struct drm_xe_vm_bind_op op = client_op(DRM_XE_VM_BIND_OP_MAP, s.bo, 0,
							(i + 1) * SZ_2M, SZ_64K);

		so[i] = client_syncobj(c.file, false);
		sync[1] = client_signal(so[i]);
		CHECK_OK(client_bind(c.file, s.vm, queue, &op, 1, sync, 2));
		work = sync_file_of(so[i]);
		CHECK_OK(import_sync(s.fd, DMA_BUF_SYNC_READ, work));
		client_close_fd(&c, work);
	}
	sync_body(&s); /* the reservation has grown as far as it will */
	CHECK(test_sweep(PORT_FAULT_ALLOC, sync_body, &s) > 6);
	CHECK(test_sweep(PORT_FAULT_USER_COPY, sync_body, &s) > 6);
	CHECK(!is_ready(s.fd, true));
	scene_release(&s);
	for (unsigned i = 0; i < ARRAY_LEN(so); i++) {
		CHECK_OK(client_syncobj_wait(c.file, so[i], INT64_MAX));
	}
	CHECK(is_ready(s.fd, true));
	scene_fini(&s);
}

static const struct test_case cases[] = {
	TEST(test_B17_imported_fences_are_seen_by_who_asks),
	TEST(test_B18_binds_and_submissions_are_not_seen),
	TEST(an_exported_fence_is_of_its_time),
	TEST(a_fence_for_several_is_added_in_parts),
	TEST(sync_waits_for_others),
	TEST(errors_in_order),
	TEST(an_export_that_cannot_be_told_makes_none),
	TEST(test_class_22_an_import_that_fails_leaves_nothing),
	TEST(every_failure_leaves_it_as_it_was),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
