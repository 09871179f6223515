// SPDX-License-Identifier: MIT
/* The companion card: dumb buffers, fences that a client signals, sharing with the first card. */
#include "client.h"
#include "exec/device.h"
#include "uapi/vgem_drm.h"

#include <string.h>

static struct client c;
static struct uapi_device *companion;
static struct uapi_file *card;

static void start(void)
{
	client_init(&c, "bmg");
	CHECK_OK(uapi_companion_create(c.device, &companion));
	CHECK_OK(uapi_open(companion, false, &card));
}

static void stop(void)
{
	uapi_close(card);
	uapi_device_destroy(companion);
	client_fini(&c);
}

static int create(uint32_t width, uint32_t height, uint32_t bpp, struct drm_mode_create_dumb *out)
{
	*out = (struct drm_mode_create_dumb){ .width = width, .height = height, .bpp = bpp };
	return IOCTL(card, MODE_CREATE_DUMB, out);
}

static uint32_t buffer(void)
{
	struct drm_mode_create_dumb args;

	CHECK_OK(create(1, 1, 32, &args));
	return args.handle;
}

static int attach(struct uapi_file *file, uint32_t bo, uint32_t flags, uint32_t *fence_out)
{
	struct drm_vgem_fence_attach args = { .handle = bo, .flags = flags };
	int ret = IOCTL(file, VGEM_FENCE_ATTACH, &args);

	*fence_out = args.out_fence;
	return ret;
}

static int signal_fence(struct uapi_file *file, uint32_t fence)
{
	struct drm_vgem_fence_signal args = { .fence = fence };

	return IOCTL(file, VGEM_FENCE_SIGNAL, &args);
}

static int export_bo(struct uapi_file *file, uint32_t handle)
{
	struct drm_prime_handle args = { .handle = handle };

	CHECK_OK(IOCTL(file, PRIME_HANDLE_TO_FD, &args));
	return args.fd;
}

static bool is_idle(int fd, bool write)
{
	void *watched;

	CHECK_OK(uapi_dmabuf_poll(c.host.fd[fd - CLIENT_FD_BASE].object, write, &watched));
	if (watched) {
		uapi_fd_put_object(UAPI_FD_SYNC_FILE, watched);
	}
	return !watched;
}

static void it_says_what_it_is(void)
{
	struct drm_get_cap cap = { .capability = DRM_CAP_DUMB_BUFFER };
	char name[8] = "";
	struct drm_version version = { .name = PTR(name), .name_len = sizeof(name) };
	struct drm_set_version set = { -1, -1, -1, -1 };
	struct drm_unique unique = { 0 };

	start();
	CHECK_OK(IOCTL(card, VERSION, &version));
	CHECK(strcmp(name, "vgem") == 0);
	CHECK_OK(IOCTL(card, GET_CAP, &cap));
	CHECK_EQ(cap.value, 1);
	CHECK_OK(IOCTL(c.file, GET_CAP, &cap));
	CHECK_EQ(cap.value, 0);
	set.drm_di_major = 1;
	set.drm_di_minor = 4;
	CHECK_OK(IOCTL(card, SET_VERSION, &set));
	CHECK_OK(IOCTL(card, GET_UNIQUE, &unique));
	CHECK_EQ(unique.unique_len, 0);
	CHECK(!uapi_device_identity(companion)->pci_slot);
	for (unsigned i = 0; uapi_name(i); i++) {
		CHECK(strcmp(uapi_name(i), "vgem") != 0); /* nobody's first card */
	}
	stop();
}

static void dumb_buffers(void)
{
	struct drm_mode_create_dumb dumb;
	struct drm_mode_map_dumb map = { .handle = 1 };
	struct drm_mode_destroy_dumb destroy = { .handle = 1 };
	struct uapi_file *xe;
	uint64_t offset;
	int fd;

	start();
	xe = client_open(&c, false);
	CHECK_ERR(IOCTL(xe, MODE_CREATE_DUMB, &dumb), -ENOSYS);
	CHECK_ERR(IOCTL(xe, MODE_MAP_DUMB, &map), -ENOSYS);
	CHECK_ERR(IOCTL(xe, MODE_DESTROY_DUMB, &destroy), -ENOSYS);
	uapi_close(xe);
	CHECK_ERR(create(0, 1, 32, &dumb), -EINVAL);
	CHECK_ERR(create(1, 0, 32, &dumb), -EINVAL);
	CHECK_ERR(create(1, 1, 0, &dumb), -EINVAL);
	CHECK_ERR(create(1 << 16, 1 << 16, 8, &dumb), -EINVAL);
	CHECK_ERR(create(1 << 30, 1, 32, &dumb), -EINVAL);
	CHECK_ERR(create(UINT32_MAX, 1, 8, &dumb), -EINVAL); /* not in whole pages */
	CHECK_ERR(create(UINT32_MAX, UINT32_MAX, UINT32_MAX, &dumb), -EINVAL);
	CHECK_ERR(create(1 << 20, 512, 32, &dumb), -ENOMEM); /* the device has 256 MiB */
	CHECK_ERR(IOCTL(card, MODE_MAP_DUMB, &map), -ENOENT);
	CHECK_ERR(IOCTL(card, MODE_DESTROY_DUMB, &destroy), -EINVAL);
	CHECK_OK(create(1025, 3, 17, &dumb));
	CHECK_EQ(dumb.pitch, 1025 * 3);
	CHECK_EQ(dumb.size, 3 * SZ_4K);
	map.handle = dumb.handle;
	CHECK_OK(IOCTL(card, MODE_MAP_DUMB, &map));
	CHECK_OK(uapi_mmap(card, map.offset, dumb.size, &fd, &offset));
	CHECK_ERR(uapi_mmap(c.file, map.offset, dumb.size, &fd, &offset), -EINVAL);
	destroy.handle = dumb.handle;
	CHECK_OK(IOCTL(card, MODE_DESTROY_DUMB, &destroy));
	CHECK_ERR(uapi_mmap(card, map.offset, dumb.size, &fd, &offset), -EINVAL);
	stop();
}

static void fences_of_readers_and_writers(void)
{
	uint32_t bo, fence[3];
	int fd;

	start();
	bo = buffer();
	fd = export_bo(card, bo);
	CHECK(is_idle(fd, true));
	CHECK_OK(attach(card, bo, 0, &fence[0]));
	CHECK_OK(attach(card, bo, 0, &fence[1])); /* readers may be several */
	CHECK(is_idle(fd, false) && !is_idle(fd, true));
	CHECK_ERR(attach(card, bo, VGEM_FENCE_WRITE, &fence[2]), -EBUSY);
	CHECK_OK(signal_fence(card, fence[0]));
	CHECK(!is_idle(fd, true));
	CHECK_OK(signal_fence(card, fence[1]));
	CHECK(is_idle(fd, true));
	CHECK_ERR(signal_fence(card, fence[1]), -ENOENT);
	CHECK_OK(attach(card, bo, VGEM_FENCE_WRITE, &fence[2]));
	CHECK_ERR(attach(card, bo, 0, &fence[0]), -EBUSY);
	CHECK(!is_idle(fd, false) && !is_idle(fd, true));
	/* Who attached it is gone: nobody else could signal it. */
	uapi_close(card);
	CHECK(is_idle(fd, false) && is_idle(fd, true));
	CHECK_OK(uapi_open(companion, true, &card));
	client_close_fd(&c, fd);
	stop();
}

struct counting {
	struct event_reader reader;
	unsigned ioctls;
};

static void count_ioctls(struct event_reader *self, const struct event *event)
{
	container_of(self, struct counting, reader)->ioctls += event->type == EVENT_IOCTL;
}

/* Its numbers mean something else: who reads the events would take them for the first card's. */
static void its_requests_are_no_events(void)
{
	struct counting counting = { .reader.read = count_ioctls };

	start();
	event_attach(uapi_device_events(c.device), &counting.reader);
	buffer();
	CHECK_EQ(counting.ioctls, 0);
	client_bo(&c, 0, SZ_64K);
	CHECK_EQ(counting.ioctls, 1);
	event_detach(uapi_device_events(c.device), &counting.reader);
	stop();
}

static void errors_in_order(void)
{
	struct drm_vgem_fence_attach attach_args = { .handle = 99, .flags = 2 };
	struct drm_vgem_fence_signal signal_args = { .fence = 99, .flags = 1 };
	struct uapi_file *other;
	uint32_t bo, fence;

	start();
	CHECK_ERR(IOCTL(card, VGEM_FENCE_ATTACH, &attach_args), -EINVAL);
	attach_args = (struct drm_vgem_fence_attach){ .handle = 99, .pad = 1 };
	CHECK_ERR(IOCTL(card, VGEM_FENCE_ATTACH, &attach_args), -EINVAL);
	attach_args.pad = 0;
	CHECK_ERR(IOCTL(card, VGEM_FENCE_ATTACH, &attach_args), -ENOENT);
	CHECK_ERR(IOCTL(card, VGEM_FENCE_SIGNAL, &signal_args), -EINVAL);
	signal_args.flags = 0;
	CHECK_ERR(IOCTL(card, VGEM_FENCE_SIGNAL, &signal_args), -ENOENT);
	/* Another file has neither the object nor the fence. */
	CHECK_OK(uapi_open(companion, false, &other));
	bo = buffer();
	CHECK_OK(attach(card, bo, 0, &fence));
	CHECK_ERR(attach(other, bo, 0, &fence), -ENOENT);
	CHECK_ERR(signal_fence(other, 1), -ENOENT);
	uapi_close(other);
	CHECK_ERR(client_ioctl(card, DRM_REQ_IO(DRM_COMMAND_BASE), NULL), -EINVAL);
	CHECK_ERR(client_ioctl(card, DRM_REQ_IO(DRM_COMMAND_BASE + 3), NULL), -EINVAL);
	stop();
}

static void objects_cross_from_card_to_card(void)
{
	struct drm_prime_handle args = { 0 };
	uint32_t bo, vm;
	uint64_t *cpu;
	int fd;

	start();
	/* From the companion to the GPU, which reads it by an address. */
	bo = buffer();
	args.fd = export_bo(card, bo);
	CHECK_OK(IOCTL(c.file, PRIME_FD_TO_HANDLE, &args));
	client_close_fd(&c, args.fd);
	CHECK_OK(client_gem_close(card, bo));
	cpu = client_cpu(&c, c.file, args.handle, SZ_4K);
	*cpu = 42;
	vm = client_vm(&c, 0);
	CHECK_OK(client_map(&c, vm, args.handle, 0, SZ_2M, SZ_4K));
	/* And back, and the other way. */
	fd = export_bo(c.file, args.handle);
	args.fd = fd;
	CHECK_OK(IOCTL(card, PRIME_FD_TO_HANDLE, &args));
	CHECK_OK(attach(card, args.handle, VGEM_FENCE_WRITE, &bo));
	CHECK(!is_idle(fd, false));
	CHECK_OK(signal_fence(card, bo));
	client_close_fd(&c, fd);
	args.fd = export_bo(c.file, client_bo(&c, 0, SZ_64K));
	CHECK_OK(IOCTL(card, PRIME_FD_TO_HANDLE, &args));
	client_close_fd(&c, args.fd);
	CHECK_EQ(*cpu, 42);
	stop();
}

static void session(void *arg)
{
	struct uapi_device *second;
	struct uapi_file *file;
	struct drm_mode_create_dumb dumb = { .width = 4, .height = 4, .bpp = 8 };
	uint32_t fence;
	int ret = uapi_companion_create(c.device, &second);

	CHECK(ret == 0 || test_injected());
	if (ret) {
		return;
	}
	ret = uapi_open(second, false, &file);
	CHECK(ret == 0 || test_injected());
	if (ret == 0) {
		ret = IOCTL(file, MODE_CREATE_DUMB, &dumb);
		CHECK(ret == 0 || test_injected());
		for (unsigned i = 0; i < 4 && ret == 0; i++) {
			ret = attach(file, dumb.handle, 0, &fence);
			CHECK(ret == 0 || test_injected());
		}
		uapi_close(file);
	}
	uapi_device_destroy(second);
}

static void every_failure_leaves_nothing(void)
{
	client_init(&c, "lnl");
	CHECK(test_sweep(PORT_FAULT_ALLOC, session, NULL) > 10);
	CHECK(test_sweep(PORT_FAULT_USER_COPY, session, NULL) > 6);
	client_fini(&c);
}

static const struct test_case cases[] = {
	TEST(it_says_what_it_is),
	TEST(dumb_buffers),
	TEST(fences_of_readers_and_writers),
	TEST(its_requests_are_no_events),
	TEST(errors_in_order),
	TEST(objects_cross_from_card_to_card),
	TEST(every_failure_leaves_nothing),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
