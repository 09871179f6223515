// SPDX-License-Identifier: MIT
/*
 * Dispatch: from a request number to a handler.
 *
 * A request carries its own size. The client's struct may be shorter or longer than the one known
 * here: what it passed is copied in, zeroes follow up to the known size, and the client's size is
 * copied back. The direction bits of the client and of the table must both ask for a copy. What
 * lies behind the known struct comes back as it went in; where nothing comes back it is not looked
 * at, so that a request that only goes in needs no memory, however long (A24).
 *
 * Errors, in order: -ENOTTY (not a DRM request), -ENODEV and -ECANCELED (the device has gone, or is
 * wedged), -EINVAL (unknown number), -EACCES (this kind of file may not), a made one, -ENOMEM,
 * -EFAULT (copy in), the handler's, -EFAULT (copy out; replaces it).
 */
#include "uapi/drm/drm.h"

#define IOCTL_STACK_B 256

#define LINE(name, rights, func)                                                                   \
	[DRM_REQ_NR(DRM_IOCTL_##name)] = { DRM_IOCTL_##name, rights, func, #name }

static const struct drm_ioctl core_ioctls[] = {
	LINE(VERSION, DRM_RENDER_ALLOW, drm_version_ioctl),
	LINE(GET_UNIQUE, 0, drm_get_unique_ioctl),
	LINE(GET_MAGIC, 0, drm_get_magic_ioctl),
	LINE(GET_CLIENT, 0, drm_get_client_ioctl),
	LINE(GET_STATS, 0, drm_get_stats_ioctl),
	LINE(SET_VERSION, DRM_MASTER, drm_set_version_ioctl),
	LINE(GEM_CLOSE, DRM_RENDER_ALLOW, drm_gem_close_ioctl),
	LINE(GEM_FLINK, DRM_AUTH, drm_gem_flink_ioctl),
	LINE(GEM_OPEN, DRM_AUTH, drm_gem_open_ioctl),
	LINE(GET_CAP, DRM_RENDER_ALLOW, drm_get_cap_ioctl),
	LINE(SET_CLIENT_CAP, 0, drm_no_modeset_ioctl),
	LINE(AUTH_MAGIC, DRM_MASTER, drm_auth_magic_ioctl),
	LINE(SET_MASTER, 0, drm_set_master_ioctl),
	LINE(DROP_MASTER, 0, drm_drop_master_ioctl),
	LINE(PRIME_HANDLE_TO_FD, DRM_RENDER_ALLOW, drm_prime_handle_to_fd_ioctl),
	LINE(PRIME_FD_TO_HANDLE, DRM_RENDER_ALLOW, drm_prime_fd_to_handle_ioctl),
	LINE(MODE_GETRESOURCES, 0, drm_no_modeset_ioctl),
	LINE(MODE_CREATE_DUMB, 0, drm_create_dumb_ioctl),
	LINE(MODE_MAP_DUMB, 0, drm_map_dumb_ioctl),
	LINE(MODE_DESTROY_DUMB, 0, drm_destroy_dumb_ioctl),
	LINE(SYNCOBJ_CREATE, DRM_RENDER_ALLOW, drm_syncobj_create_ioctl),
	LINE(SYNCOBJ_DESTROY, DRM_RENDER_ALLOW, drm_syncobj_destroy_ioctl),
	LINE(SYNCOBJ_HANDLE_TO_FD, DRM_RENDER_ALLOW, drm_syncobj_handle_to_fd_ioctl),
	LINE(SYNCOBJ_FD_TO_HANDLE, DRM_RENDER_ALLOW, drm_syncobj_fd_to_handle_ioctl),
	LINE(SYNCOBJ_WAIT, DRM_RENDER_ALLOW, drm_syncobj_wait_ioctl),
	LINE(SYNCOBJ_RESET, DRM_RENDER_ALLOW, drm_syncobj_reset_ioctl),
	LINE(SYNCOBJ_SIGNAL, DRM_RENDER_ALLOW, drm_syncobj_signal_ioctl),
	LINE(SYNCOBJ_TIMELINE_WAIT, DRM_RENDER_ALLOW, drm_syncobj_timeline_wait_ioctl),
	LINE(SYNCOBJ_QUERY, DRM_RENDER_ALLOW, drm_syncobj_query_ioctl),
	LINE(SYNCOBJ_TRANSFER, DRM_RENDER_ALLOW, drm_syncobj_transfer_ioctl),
	LINE(SYNCOBJ_TIMELINE_SIGNAL, DRM_RENDER_ALLOW, drm_syncobj_timeline_signal_ioctl),
	LINE(SYNCOBJ_EVENTFD, DRM_RENDER_ALLOW, drm_syncobj_eventfd_ioctl),
};

static const struct drm_ioctl *ioctl_find(const struct uapi_driver *driver, uint32_t nr)
{
	const struct drm_ioctl *line = NULL;

	if (nr >= DRM_COMMAND_BASE && nr < DRM_COMMAND_END) {
		nr -= DRM_COMMAND_BASE;
		if (nr < driver->ioctl_count) {
			line = &driver->ioctls[nr];
		}
	} else if (nr < ARRAY_LEN(core_ioctls)) {
		line = &core_ioctls[nr];
	}
	return line && line->handler ? line : NULL;
}

const char *uapi_ioctl_name(const char *uapi, uint32_t nr)
{
	const struct uapi_driver *driver = drm_driver_find(uapi);
	const struct drm_ioctl *line = driver ? ioctl_find(driver, nr) : NULL;

	return line ? line->name : NULL;
}

static bool ioctl_permitted(struct uapi_file *file, unsigned flags)
{
	if ((flags & DRM_AUTH) && !file->render && !atomic_load(&file->authenticated)) {
		return false;
	}
	if ((flags & DRM_MASTER) && !drm_is_master(file)) {
		return false;
	}
	return (flags & DRM_RENDER_ALLOW) || !file->render;
}

static int ioctl_run(struct uapi_file *file, const struct drm_ioctl *line, uint32_t cmd,
		     uint64_t arg)
{
	uint64_t stack[IOCTL_STACK_B / sizeof(uint64_t)];
	uint32_t dir = DRM_REQ_DIR(cmd) & DRM_REQ_DIR(line->cmd);
	size_t in_B = dir & DRM_DIR_WRITE ? DRM_REQ_SIZE(cmd) : 0;
	size_t out_B = dir & DRM_DIR_READ ? DRM_REQ_SIZE(cmd) : 0;
	size_t known_B = DRM_REQ_SIZE(line->cmd), size_B;
	char *data = (char *)stack;
	int ret;

	if (!out_B) {
		in_B = min_u64(in_B, known_B);
	}
	size_B = max_u64(max_u64(in_B, out_B), known_B);
	if (size_B > sizeof(stack)) {
		data = port_alloc(size_B);
		if (!data) {
			return -ENOMEM;
		}
	}
	ret = in_B ? port_copy_from_user(data, arg, in_B) : 0;
	if (ret == 0) {
		memset(data + in_B, 0, size_B - in_B);
		ret = line->handler(file, data);
		/* Also after an error: that is how a wait hands back the time that was left. */
		if (out_B && port_copy_to_user(arg, data, out_B)) {
			ret = -EFAULT;
		}
	}
	if (data != (char *)stack) {
		port_free(data);
	}
	return ret;
}

int uapi_ioctl(struct uapi_file *file, uint32_t cmd, uint64_t arg)
{
	const struct drm_ioctl *line;
	int ret;

	ASSERT(file);
	if (DRM_REQ_TYPE(cmd) != DRM_IOCTL_BASE) {
		return -ENOTTY;
	}
	port_doing("ioctl", DRM_REQ_NR(cmd));
	port_assert_no_locks();
	/* After a fork() there are none yet. */
	ret = device_start_workers(file->device->dev);
	if (ret) {
		port_doing(NULL, 0);
		return ret;
	}
	line = ioctl_find(file->device->driver, DRM_REQ_NR(cmd));
	ret = drm_file_refused(file);
	if (ret) {
		/* Whatever it asks for. */
	} else if (!line) {
		ret = -EINVAL;
	} else if (!ioctl_permitted(file, line->flags)) {
		ret = -EACCES;
	} else {
		ret = port_fault_enter(line->name);
		if (ret == 0) {
			ret = ioctl_run(file, line, cmd, arg);
		}
		port_fault_leave();
	}
	if (!file->device->is_companion) { /* whose numbers mean something else */
		event_emit(uapi_device_events(file->device), EVENT_IOCTL, DRM_REQ_NR(cmd),
			   (uint64_t)(int64_t)ret, 0, 0, 0, 0);
	}
	port_assert_no_locks();
	port_doing(NULL, 0);
	return ret;
}

int drm_copy_array(uint64_t addr, uint64_t n, size_t size_B, void **array_out)
{
	void *array;
	int ret;

	ASSERT(size_B > 0);
	/* What a kernel allocator would refuse is refused here too, before memory is asked for. */
	if (n == 0 || n > INT32_MAX / size_B) {
		return -ENOMEM;
	}
	array = port_alloc(n * size_B);
	if (!array) {
		return -ENOMEM;
	}
	ret = port_copy_from_user(array, addr, n * size_B);
	if (ret) {
		port_free(array);
		return ret;
	}
	*array_out = array;
	return 0;
}
