// SPDX-License-Identifier: MIT
/* Dispatch and the core ioctls: sizes that grow, rights, names, handles, sharing. */
#include "client.h"

#include <string.h>

/* A request as a client with other headers makes it: another size, other directions. */
static uint32_t with_size(uint32_t cmd, uint32_t size)
{
	return (cmd & ~(0x3fffu << 16)) | size << 16;
}

static uint32_t with_dir(uint32_t cmd, uint32_t dir)
{
	return (cmd & ~(3u << 30)) | dir << 30;
}

static void unknown_requests_are_refused(void)
{
	struct client c;
	uint64_t data[16] = { 0 };

	client_init(&c, "lnl");
	CHECK_ERR(client_ioctl(c.file, 0x5401, data), -ENOTTY);            /* TCGETS */
	CHECK_ERR(client_ioctl(c.file, 0xc0086201, data), -ENOTTY);        /* type 'b' */
	CHECK_ERR(client_ioctl(c.file, DRM_REQ_IO(0x3e), data), -EINVAL);  /* a gap of the core */
	CHECK_ERR(client_ioctl(c.file, DRM_REQ_IO(0xff), data), -EINVAL);  /* behind the core */
	CHECK_ERR(client_ioctl(c.file, DRM_REQ_IO(0x9f), data), -EINVAL);  /* behind the driver */
	/* What is not done is not there. */
	CHECK_ERR(client_ioctl(c.file, 0x4020644b, data), -EINVAL);        /* OBSERVATION */
	CHECK_ERR(client_ioctl(c.file, 0x4040644c, data), -EINVAL);        /* MADVISE */
	CHECK_ERR(client_ioctl(c.file, 0xc040644d, data), -EINVAL);        /* MEM_RANGE_ATTRS */
	CHECK_ERR(client_ioctl(c.file, 0x4028644e, data), -EINVAL);        /* SET_PROPERTY */
	client_fini(&c);
}

static void ioctl_with_a_lock(void *arg)
{
	static struct port_lock_class class = { .name = "t.leaf", .rank = RANK_LEAF };
	struct port_mutex lock;
	struct client c;

	client_init(&c, "lnl");
	port_mutex_init(&lock, &class);
	port_mutex_lock(&lock);
	(void)client_ioctl(c.file, 0x4028644e, NULL);
}

static void a_broken_rule_names_the_ioctl(void)
{
	test_expect_abort(ioctl_with_a_lock, NULL, "rule R4 broken: ");
	test_expect_abort(ioctl_with_a_lock, NULL, "vmbind:   during ioctl 0x4e\n");
}

static void a_shorter_struct_ends_in_zeroes(void)
{
	struct drm_syncobj_handle args = { 0 };
	struct client c;
	uint32_t so;

	client_init(&c, "lnl");
	so = client_syncobj(c.file, true);
	/* 16 bytes, as before timelines: garbage where the point is now must not be read. */
	args.handle = so;
	args.flags = DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_TIMELINE;
	args.point = 7;
	CHECK_ERR(IOCTL(c.file, SYNCOBJ_HANDLE_TO_FD, &args), -EINVAL);
	CHECK_OK(client_ioctl(c.file, with_size(DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, 16), &args));
	CHECK_EQ(args.point, 7);
	CHECK(args.fd >= CLIENT_FD_BASE);
	/* So short that the handle is not in it: no such handle. */
	CHECK_ERR(client_ioctl(c.file, with_size(DRM_IOCTL_SYNCOBJ_DESTROY, 0), &args), -EINVAL);
	client_fini(&c);
}

static void a_longer_struct_keeps_its_tail(void)
{
	struct {
		struct drm_get_cap cap;
		uint64_t tail[40];
	} args = { .cap = { .capability = DRM_CAP_SYNCOBJ } };
	uint32_t cmd = with_size(DRM_IOCTL_GET_CAP, sizeof(args));
	struct client c;

	client_init(&c, "lnl");
	CHECK_OK(client_ioctl(c.file, cmd, &args)); /* zero tail */
	CHECK_EQ(args.cap.value, 1);
	CHECK_EQ(args.tail[39], 0);
	memset(args.tail, 0xa5, sizeof(args.tail));
	args.cap.value = 0;
	CHECK_OK(client_ioctl(c.file, cmd, &args)); /* garbage there is ignored and comes back */
	CHECK_EQ(args.cap.value, 1);
	for (unsigned i = 0; i < 40; i++) {
		CHECK_EQ(args.tail[i], UINT64_C(0xa5a5a5a5a5a5a5a5));
	}
	client_fini(&c);
}

static void directions_say_what_is_copied(void)
{
	static const struct drm_gem_close constant = { .handle = 99 };
	struct drm_get_cap cap = { .capability = DRM_CAP_SYNCOBJ, .value = 9 };
	struct client c;

	client_init(&c, "lnl");
	/* Written only: done, but the answer stays here. */
	CHECK_OK(client_ioctl(c.file, with_dir(DRM_IOCTL_GET_CAP, DRM_DIR_WRITE), &cap));
	CHECK_EQ(cap.value, 9);
	/* Read only: the capability asked for is 0. */
	CHECK_ERR(client_ioctl(c.file, with_dir(DRM_IOCTL_GET_CAP, DRM_DIR_READ), &cap), -EINVAL);
	CHECK_EQ(cap.capability, 0);
	/* Nothing is copied back that the table does not copy back, whatever the client says. */
	CHECK_ERR(uapi_ioctl(c.file, with_dir(DRM_IOCTL_GEM_CLOSE, 3), PTR(&constant)), -EINVAL);
	client_fini(&c);
}

static void bad_pointers_are_efault(void)
{
	static const uint32_t cmds[] = {
		DRM_IOCTL_VERSION, DRM_IOCTL_GEM_CLOSE, DRM_IOCTL_GET_CAP,
		DRM_IOCTL_PRIME_HANDLE_TO_FD, DRM_IOCTL_PRIME_FD_TO_HANDLE,
		DRM_IOCTL_SYNCOBJ_CREATE, DRM_IOCTL_SYNCOBJ_DESTROY,
		DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD, DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE,
		DRM_IOCTL_SYNCOBJ_WAIT, DRM_IOCTL_SYNCOBJ_RESET, DRM_IOCTL_SYNCOBJ_SIGNAL,
		DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT, DRM_IOCTL_SYNCOBJ_QUERY,
		DRM_IOCTL_SYNCOBJ_TRANSFER, DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL,
		DRM_IOCTL_SYNCOBJ_EVENTFD, DRM_IOCTL_XE_DEVICE_QUERY, DRM_IOCTL_XE_GEM_CREATE,
		DRM_IOCTL_XE_GEM_MMAP_OFFSET, DRM_IOCTL_XE_VM_CREATE, DRM_IOCTL_XE_VM_DESTROY,
		DRM_IOCTL_XE_VM_BIND, DRM_IOCTL_XE_EXEC_QUEUE_CREATE,
		DRM_IOCTL_XE_EXEC_QUEUE_DESTROY, DRM_IOCTL_XE_EXEC_QUEUE_GET_PROPERTY,
		DRM_IOCTL_XE_EXEC, DRM_IOCTL_XE_WAIT_USER_FENCE, DRM_IOCTL_XE_VM_GET_PROPERTY,
	};
	struct client c;

	client_init(&c, "bmg");
	for (unsigned i = 0; i < ARRAY_LEN(cmds); i++) {
		CHECK_ERR(uapi_ioctl(c.file, cmds[i], CLIENT_BAD), -EFAULT);
		CHECK_ERR(uapi_ioctl(c.file, cmds[i], UINT64_MAX - 7), -EFAULT);
	}
	client_fini(&c);
}

static void version_fills_what_there_is_room_for(void)
{
	char name[16] = "unchanged", desc[64] = { 0 };
	struct drm_version v = { .name_len = 1, .name = PTR(name) };
	struct client c;

	client_init(&c, "bmg");
	CHECK_OK(IOCTL(c.file, VERSION, &v));
	CHECK_EQ(v.version_major, 1);
	CHECK_EQ(v.name_len, 2);
	CHECK(memcmp(name, "xnchanged", 9) == 0);
	CHECK(v.desc_len > 0 && v.date_len > 0);
	v = (struct drm_version){ .name_len = 15, .name = PTR(name),
				  .desc_len = sizeof(desc), .desc = PTR(desc) };
	CHECK_OK(IOCTL(c.file, VERSION, &v));
	CHECK(memcmp(name, "xechanged", 9) == 0);
	CHECK_EQ(strlen(desc), v.desc_len);
	v = (struct drm_version){ .name_len = 15, .name = CLIENT_BAD };
	CHECK_ERR(IOCTL(c.file, VERSION, &v), -EFAULT);
	v = (struct drm_version){ .date_len = 15, .date = CLIENT_BAD };
	CHECK_ERR(IOCTL(c.file, VERSION, &v), -EFAULT);
	v = (struct drm_version){ .desc_len = 15, .desc = CLIENT_BAD };
	CHECK_ERR(IOCTL(c.file, VERSION, &v), -EFAULT);
	client_fini(&c);
}

static int cap(struct client *c, uint64_t capability, uint64_t *value_out)
{
	struct drm_get_cap args = { .capability = capability, .value = 77 };
	int ret = IOCTL(c->file, GET_CAP, &args);

	*value_out = args.value;
	return ret;
}

static void capabilities(void)
{
	struct client c;
	uint64_t value;

	client_init(&c, "bmg");
	CHECK_OK(cap(&c, DRM_CAP_SYNCOBJ, &value));
	CHECK_EQ(value, 1);
	CHECK_OK(cap(&c, DRM_CAP_SYNCOBJ_TIMELINE, &value));
	CHECK_EQ(value, 1);
	CHECK_OK(cap(&c, DRM_CAP_PRIME, &value));
	CHECK_EQ(value, 3);
	CHECK_OK(cap(&c, DRM_CAP_TIMESTAMP_MONOTONIC, &value));
	CHECK_EQ(value, 1);
	CHECK_OK(cap(&c, DRM_CAP_DUMB_BUFFER, &value));
	CHECK_EQ(value, 0);
	CHECK_ERR(cap(&c, DRM_CAP_CURSOR_WIDTH, &value), -EOPNOTSUPP);
	CHECK_ERR(cap(&c, 0, &value), -EINVAL);
	CHECK_ERR(cap(&c, 0x1234, &value), -EINVAL);
	client_fini(&c);
}

static void render_nodes_may_not_everything(void)
{
	struct drm_set_version version = { -1, -1, -1, -1 };
	struct drm_mode_card_res res = { 0 };
	struct drm_client client = { 0 };
	struct drm_auth auth = { 0 };
	struct uapi_file *primary;
	struct client c;

	client_init(&c, "lnl");
	CHECK_ERR(IOCTL(c.file, GET_MAGIC, &auth), -EACCES);
	CHECK_ERR(IOCTL(c.file, GET_CLIENT, &client), -EACCES);
	CHECK_ERR(client_ioctl(c.file, DRM_IOCTL_SET_MASTER, NULL), -EACCES);
	CHECK_ERR(IOCTL(c.file, SET_VERSION, &version), -EACCES);
	CHECK_ERR(IOCTL(c.file, MODE_GETRESOURCES, &res), -EACCES);
	primary = client_open(&c, false);
	CHECK_OK(IOCTL(primary, GET_MAGIC, &auth));
	CHECK_OK(IOCTL(primary, GET_CLIENT, &client));
	CHECK_EQ(client.auth, 1);
	CHECK_EQ(client.pid, port_pid());
	CHECK_ERR(IOCTL(primary, MODE_GETRESOURCES, &res), -EOPNOTSUPP);
	client.idx = 1;
	CHECK_ERR(IOCTL(primary, GET_CLIENT, &client), -EINVAL);
	uapi_close(primary);
	client_fini(&c);
}

static void master_and_magic(void)
{
	struct uapi_file *first, *second;
	struct drm_auth auth = { 0 };
	struct client c;

	client_init(&c, "lnl");
	first = client_open(&c, false);
	second = client_open(&c, false);
	CHECK_ERR(client_ioctl(second, DRM_IOCTL_SET_MASTER, NULL), -EBUSY);
	CHECK_ERR(client_ioctl(second, DRM_IOCTL_DROP_MASTER, NULL), -EINVAL);
	CHECK_OK(IOCTL(second, GET_MAGIC, &auth));
	CHECK(auth.magic != 0);
	CHECK_OK(IOCTL(first, AUTH_MAGIC, &auth));
	CHECK_ERR(IOCTL(second, AUTH_MAGIC, &auth), -EACCES);
	auth.magic = 0xdead;
	CHECK_ERR(IOCTL(first, AUTH_MAGIC, &auth), -EINVAL);
	CHECK_OK(client_ioctl(first, DRM_IOCTL_SET_MASTER, NULL));
	CHECK_OK(client_ioctl(first, DRM_IOCTL_DROP_MASTER, NULL));
	CHECK_OK(client_ioctl(second, DRM_IOCTL_SET_MASTER, NULL));
	uapi_close(second); /* and with it the master */
	CHECK_OK(client_ioctl(first, DRM_IOCTL_SET_MASTER, NULL));
	uapi_close(first);
	client_fini(&c);
}

static void version_negotiation_names_the_bus(void)
{
	char text[32] = { 0 };
	struct drm_unique unique = { sizeof(text), PTR(text) };
	struct drm_set_version v = { 1, 4, -1, -1 };
	struct uapi_file *primary;
	struct client c;

	client_init(&c, "bmg");
	primary = client_open(&c, false);
	CHECK_OK(IOCTL(primary, GET_UNIQUE, &unique));
	CHECK_EQ(unique.unique_len, 0);
	v.drm_di_minor = 5;
	CHECK_ERR(IOCTL(primary, SET_VERSION, &v), -EINVAL);
	CHECK_EQ(v.drm_di_minor, 4);
	v = (struct drm_set_version){ 1, 4, -1, -1 };
	CHECK_OK(IOCTL(primary, SET_VERSION, &v));
	CHECK_EQ(v.drm_dd_major, 1);
	unique.unique_len = 3; /* too short: the length alone */
	CHECK_OK(IOCTL(primary, GET_UNIQUE, &unique));
	CHECK_EQ(unique.unique_len, 16);
	CHECK_EQ(text[0], 0);
	CHECK_OK(IOCTL(primary, GET_UNIQUE, &unique));
	CHECK(memcmp(text, "pci:0000:03:00.0", 17) == 0);
	unique.unique = CLIENT_BAD;
	CHECK_ERR(IOCTL(primary, GET_UNIQUE, &unique), -EFAULT);
	uapi_close(primary);
	client_fini(&c);
}

/* ---- handles and sharing --------------------------------------------------------------------- */

static void handles_are_of_their_file(void)
{
	struct uapi_file *other;
	struct client c;
	uint32_t bo, again;

	client_init(&c, "bmg");
	other = client_open(&c, true);
	bo = client_bo(&c, 0, SZ_64K);
	CHECK_ERR(client_gem_close(other, bo), -EINVAL);
	CHECK_ERR(client_gem_close(c.file, 0), -EINVAL);
	CHECK_ERR(client_gem_close(c.file, UINT32_MAX), -EINVAL);
	CHECK_OK(client_gem_close(c.file, bo));
	CHECK_ERR(client_gem_close(c.file, bo), -EINVAL);
	again = client_bo(&c, 0, SZ_64K);
	CHECK_EQ(again, bo); /* the lowest free number */
	uapi_close(other);
	client_fini(&c);
}

static int export_fd(struct uapi_file *file, uint32_t handle, uint32_t flags, int *fd_out)
{
	struct drm_prime_handle args = { .handle = handle, .flags = flags, .fd = -1 };
	int ret = IOCTL(file, PRIME_HANDLE_TO_FD, &args);

	*fd_out = args.fd;
	return ret;
}

static int import_fd(struct uapi_file *file, int fd, uint32_t *handle_out)
{
	struct drm_prime_handle args = { .fd = fd };
	int ret = IOCTL(file, PRIME_FD_TO_HANDLE, &args);

	*handle_out = args.handle;
	return ret;
}

static void prime_shares_one_object(void)
{
	struct uapi_file *other;
	uint32_t bo, here, there, there2;
	uint64_t *mine, *theirs, offset;
	struct client c;
	void *dmabuf;
	int fd, host_fd;

	client_init(&c, "bmg");
	other = client_open(&c, true);
	bo = client_bo(&c, 0, SZ_64K);
	CHECK_OK(export_fd(c.file, bo, DRM_CLOEXEC | DRM_RDWR, &fd));
	CHECK(c.host.fd[fd - CLIENT_FD_BASE].cloexec);
	CHECK_EQ(c.host.fd[fd - CLIENT_FD_BASE].size_B, SZ_64K);
	CHECK_OK(import_fd(c.file, fd, &here));
	CHECK_EQ(here, bo);
	CHECK_OK(import_fd(other, fd, &there));
	CHECK_OK(import_fd(other, fd, &there2));
	CHECK_EQ(there, there2);
	mine = client_cpu(&c, c.file, bo, SZ_64K);
	theirs = client_cpu(&c, other, there, SZ_64K);
	CHECK_EQ(mine, theirs);
	*mine = 42;
	dmabuf = c.host.fd[fd - CLIENT_FD_BASE].object;
	CHECK_OK(uapi_dmabuf_mmap(dmabuf, SZ_4K, SZ_4K, &host_fd, &offset));
	CHECK_ERR(uapi_dmabuf_mmap(dmabuf, SZ_4K, SZ_64K, &host_fd, &offset), -EINVAL);
	/* The object lives as long as one of its three holders. */
	CHECK_OK(client_gem_close(c.file, bo));
	client_close_fd(&c, fd);
	CHECK_EQ(*theirs, 42);
	CHECK_OK(client_gem_close(other, there));
	CHECK_ERR(client_gem_close(other, there), -EINVAL);
	uapi_close(other);
	client_fini(&c);
}

static void prime_errors_in_order(void)
{
	struct client c;
	uint32_t vm, bo, handle, so;
	struct drm_syncobj_handle sync_fd;
	int fd;

	client_init(&c, "bmg");
	CHECK_ERR(export_fd(c.file, 99, 0x80000000, &fd), -EINVAL);
	CHECK_ERR(export_fd(c.file, 99, 0, &fd), -ENOENT);
	vm = client_vm(&c, 0);
	bo = client_bo(&c, vm, SZ_64K);
	CHECK_ERR(export_fd(c.file, bo, 0, &fd), -EPERM); /* it is the address space's */
	bo = client_bo(&c, 0, SZ_64K);
	c.host.no_fds = true;
	CHECK_ERR(export_fd(c.file, bo, 0, &fd), -EMFILE);
	c.host.no_fds = false;
	CHECK_ERR(import_fd(c.file, -1, &handle), -EBADF);
	CHECK_ERR(import_fd(c.file, 3, &handle), -EINVAL);
	so = client_syncobj(c.file, false);
	sync_fd = (struct drm_syncobj_handle){ .handle = so };
	CHECK_OK(IOCTL(c.file, SYNCOBJ_HANDLE_TO_FD, &sync_fd));
	CHECK_ERR(import_fd(c.file, sync_fd.fd, &handle), -EINVAL);
	client_fini(&c);
}

static void objects_of_another_device_are_not_imported(void)
{
	struct client a, b;
	uint32_t bo, handle;
	int fd;

	client_init(&a, "lnl");
	client_init(&b, "lnl");
	bo = client_bo(&a, 0, SZ_4K);
	CHECK_OK(export_fd(a.file, bo, 0, &fd));
	b.host.fd[0] = a.host.fd[fd - CLIENT_FD_BASE]; /* as if passed from one to the other */
	uapi_fd_get_object(UAPI_FD_DMABUF, b.host.fd[0].object);
	CHECK_ERR(import_fd(b.file, CLIENT_FD_BASE, &handle), -EINVAL);
	client_close_fd(&b, CLIENT_FD_BASE);
	client_fini(&b);
	client_fini(&a);
}

static void names_are_global(void)
{
	struct uapi_file *one, *two;
	struct drm_gem_flink flink = { 0 };
	struct drm_gem_open opened = { 0 };
	uint32_t bo, name;
	struct client c;

	client_init(&c, "lnl");
	one = client_open(&c, false);
	two = client_open(&c, false);
	CHECK_OK(client_gem_create(one, 0, SZ_4K, 1, 0, &bo));
	flink.handle = 99;
	CHECK_ERR(IOCTL(one, GEM_FLINK, &flink), -ENOENT);
	CHECK_ERR(IOCTL(c.file, GEM_FLINK, &flink), -EACCES); /* render node */
	flink.handle = bo;
	CHECK_OK(IOCTL(one, GEM_FLINK, &flink));
	name = flink.name;
	CHECK_OK(IOCTL(one, GEM_FLINK, &flink));
	CHECK_EQ(flink.name, name);
	opened.name = name;
	CHECK_OK(IOCTL(two, GEM_OPEN, &opened));
	CHECK_EQ(opened.size, SZ_4K);
	CHECK_EQ(client_cpu(&c, one, bo, SZ_4K), client_cpu(&c, two, opened.handle, SZ_4K));
	CHECK_OK(client_gem_close(one, bo));
	opened.name = name;
	CHECK_OK(IOCTL(one, GEM_OPEN, &opened)); /* the other file's handle keeps the name */
	uapi_close(two);
	uapi_close(one);
	one = client_open(&c, false);
	opened.name = name;
	CHECK_ERR(IOCTL(one, GEM_OPEN, &opened), -ENOENT);
	uapi_close(one);
	client_fini(&c);
}

static void devices_are_chosen_by_name(void)
{
	struct uapi_config config = client_config("lnl");
	const struct uapi_identity *id;
	struct client c;

	config.gpu = "nothing";
	CHECK_ERR(client_try_init(&c, &config), -EINVAL);
	config.gpu = "lnl";
	config.uapi = "zz";
	CHECK_ERR(client_try_init(&c, &config), -EINVAL);
	config.uapi = "xe";
	config.schedule = "sometimes";
	CHECK_ERR(client_try_init(&c, &config), -EINVAL);
	config.schedule = NULL;
	config.vram_B = SZ_1G; /* it has none */
	CHECK_ERR(client_try_init(&c, &config), -EINVAL);
	config.vram_B = 0;
	client_init_as(&c, &config);
	id = uapi_device_identity(c.device);
	CHECK_EQ(id->device, 0x64a0);
	CHECK_EQ(id->vendor, 0x8086);
	client_fini(&c);
}

static void names_are_listed(void)
{
	struct uapi_config config = client_config(NULL);
	struct client c;

	CHECK(strcmp(uapi_name(0), "xe") == 0);
	CHECK(!uapi_gpu_name("none", 0));
	CHECK(strcmp(uapi_gpu_name(NULL, 0), "bmg") == 0);
	for (unsigned i = 0; uapi_gpu_name(uapi_name(0), i); i++) {
		config = client_config(uapi_gpu_name(uapi_name(0), i));
		client_init_as(&c, &config);
		CHECK(strcmp(uapi_device_identity(c.device)->gpu, config.gpu) == 0);
		client_fini(&c);
	}
	for (unsigned i = 0; uapi_schedule_name(i); i++) {
		config.schedule = uapi_schedule_name(i);
		client_init_as(&c, &config);
		client_fini(&c);
	}
	CHECK(strcmp(uapi_ioctl_name(NULL, 0), "VERSION") == 0);
	CHECK(strcmp(uapi_ioctl_name("xe", DRM_REQ_NR(DRM_IOCTL_XE_VM_BIND)), "XE_VM_BIND") == 0);
	CHECK(!uapi_ioctl_name("xe", 0x9f));
	CHECK(!uapi_ioctl_name("none", 0));
}

static const struct test_case cases[] = {
	TEST(unknown_requests_are_refused),
	TEST(a_broken_rule_names_the_ioctl),
	TEST(a_shorter_struct_ends_in_zeroes),
	TEST(a_longer_struct_keeps_its_tail),
	TEST(directions_say_what_is_copied),
	TEST(bad_pointers_are_efault),
	TEST(version_fills_what_there_is_room_for),
	TEST(capabilities),
	TEST(render_nodes_may_not_everything),
	TEST(master_and_magic),
	TEST(version_negotiation_names_the_bus),
	TEST(handles_are_of_their_file),
	TEST(prime_shares_one_object),
	TEST(prime_errors_in_order),
	TEST(objects_of_another_device_are_not_imported),
	TEST(names_are_global),
	TEST(devices_are_chosen_by_name),
	TEST(names_are_listed),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
