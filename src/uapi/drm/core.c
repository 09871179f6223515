// SPDX-License-Identifier: MIT
/*
 * Core ioctls that say who the device is and who may do what: version, capabilities, master and
 * magic numbers. There is no display: what belongs to mode setting answers as a kernel driver
 * without it does.
 *
 * Locking: device.master_lock, a leaf. Example: the first file opened on the primary node is master
 * and authenticated; another one is authenticated when the master accepts its magic number.
 */
#include "uapi/drm/drm.h"

#define DRM_IF_MAJOR 1
#define DRM_IF_MINOR 4
#define TEXT_MAX     64
#define UID_OVERFLOW 65534u /* GET_CLIENT tells nobody's user id */

static size_t text_len(const char *text)
{
	size_t n = 0;

	/* Bounded, or compilers make a call of strlen() of it, which the core does not have. */
	while (n < TEXT_MAX && text[n]) {
		n++;
	}
	ASSERT(n < TEXT_MAX);
	return n;
}

bool drm_text_equal(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

/* As much of @text as the client has room for; its whole length comes back. */
static int copy_text(uint64_t addr, uint64_t *len_io, const char *text)
{
	uint64_t len = text_len(text);
	uint64_t room = min_u64(*len_io, len);

	*len_io = len;
	return addr && room ? port_copy_to_user(addr, text, room) : 0;
}

int drm_version_ioctl(struct uapi_file *file, void *data)
{
	const struct uapi_driver *driver = file->device->driver;
	struct drm_version *args = data;
	int ret;

	args->version_major = driver->major;
	args->version_minor = driver->minor;
	args->version_patchlevel = driver->patch;
	ret = copy_text(args->name, &args->name_len, driver->name);
	if (ret == 0) {
		ret = copy_text(args->date, &args->date_len, driver->date);
	}
	if (ret == 0) {
		ret = copy_text(args->desc, &args->desc_len, driver->desc);
	}
	return ret;
}

int drm_get_unique_ioctl(struct uapi_file *file, void *data)
{
	struct uapi_device *device = file->device;
	struct drm_unique *args = data;
	char unique[32] = "pci:";
	size_t len = 0;

	port_mutex_lock(&device->master_lock);
	if (device->busid_set && device->identity.pci_slot) {
		size_t slot = text_len(device->identity.pci_slot);

		ASSERT(slot < sizeof(unique) - 4);
		memcpy(unique + 4, device->identity.pci_slot, slot);
		len = 4 + slot;
	}
	port_mutex_unlock(&device->master_lock);
	if (len && args->unique_len >= len && port_copy_to_user(args->unique, unique, len)) {
		return -EFAULT;
	}
	args->unique_len = len;
	return 0;
}

int drm_get_magic_ioctl(struct uapi_file *file, void *data)
{
	struct drm_auth *args = data;
	uint32_t magic = atomic_load(&file->magic);
	unsigned none = 0;
	int ret;

	if (!magic) {
		ret = ids_alloc(&file->device->magics, file, &magic);
		if (ret) {
			return ret;
		}
		if (!atomic_compare_exchange_strong(&file->magic, &none, magic)) {
			ids_remove(&file->device->magics, magic);
			magic = none;
		}
	}
	args->magic = magic;
	return 0;
}

int drm_auth_magic_ioctl(struct uapi_file *file, void *data)
{
	struct ids *magics = &file->device->magics;
	struct drm_auth *args = data;
	struct uapi_file *other;

	ids_lock(magics);
	other = ids_find_locked(magics, args->magic);
	if (other) {
		atomic_store(&other->authenticated, true);
	}
	ids_unlock(magics);
	return other ? 0 : -EINVAL;
}

int drm_get_client_ioctl(struct uapi_file *file, void *data)
{
	struct drm_client *args = data;

	if (args->idx != 0) {
		return -EINVAL;
	}
	args->auth = atomic_load(&file->authenticated);
	args->pid = port_pid();
	args->uid = UID_OVERFLOW;
	args->magic = 0;
	args->iocs = 0;
	return 0;
}

int drm_get_stats_ioctl(struct uapi_file *file, void *data)
{
	memset(data, 0, sizeof(struct drm_stats));
	return 0;
}

int drm_set_version_ioctl(struct uapi_file *file, void *data)
{
	const struct uapi_driver *driver = file->device->driver;
	struct drm_set_version *args = data;
	int ret = 0;

	if (args->drm_di_major != -1) {
		if (args->drm_di_major != DRM_IF_MAJOR || args->drm_di_minor < 0 ||
		    args->drm_di_minor > DRM_IF_MINOR) {
			ret = -EINVAL;
		} else if (args->drm_di_minor >= 1) {
			port_mutex_lock(&file->device->master_lock);
			file->device->busid_set = true;
			port_mutex_unlock(&file->device->master_lock);
		}
	}
	if (ret == 0 && args->drm_dd_major != -1 &&
	    (args->drm_dd_major != driver->major || args->drm_dd_minor < 0 ||
	     args->drm_dd_minor > driver->minor)) {
		ret = -EINVAL;
	}
	args->drm_di_major = DRM_IF_MAJOR;
	args->drm_di_minor = DRM_IF_MINOR;
	args->drm_dd_major = driver->major;
	args->drm_dd_minor = driver->minor;
	return ret;
}

int drm_get_cap_ioctl(struct uapi_file *file, void *data)
{
	struct drm_get_cap *args = data;

	args->value = 0;
	switch (args->capability) {
	case DRM_CAP_TIMESTAMP_MONOTONIC:
	case DRM_CAP_SYNCOBJ:
	case DRM_CAP_SYNCOBJ_TIMELINE:
		args->value = 1;
		return 0;
	case DRM_CAP_PRIME:
		args->value = DRM_PRIME_CAP_IMPORT | DRM_PRIME_CAP_EXPORT;
		return 0;
	case DRM_CAP_DUMB_BUFFER:
		args->value = file->device->driver->dumb_create != NULL;
		return 0;
	case DRM_CAP_VBLANK_HIGH_CRTC:
	case DRM_CAP_DUMB_PREFERRED_DEPTH:
	case DRM_CAP_DUMB_PREFER_SHADOW:
	case DRM_CAP_ASYNC_PAGE_FLIP:
	case DRM_CAP_CURSOR_WIDTH:
	case DRM_CAP_CURSOR_HEIGHT:
	case DRM_CAP_ADDFB2_MODIFIERS:
	case DRM_CAP_PAGE_FLIP_TARGET:
	case DRM_CAP_CRTC_IN_VBLANK_EVENT:
	case DRM_CAP_ATOMIC_ASYNC_PAGE_FLIP:
		return -EOPNOTSUPP;
	default:
		return -EINVAL;
	}
}

int drm_no_modeset_ioctl(struct uapi_file *file, void *data)
{
	return -EOPNOTSUPP;
}

/* ---- master ---------------------------------------------------------------------------------- */

bool drm_is_master(struct uapi_file *file)
{
	bool master;

	port_mutex_lock(&file->device->master_lock);
	master = file->device->master == file;
	port_mutex_unlock(&file->device->master_lock);
	return master;
}

void drm_master_open(struct uapi_file *file)
{
	bool first;

	if (file->render) {
		return;
	}
	port_mutex_lock(&file->device->master_lock);
	first = !file->device->master;
	if (first) {
		file->device->master = file;
	}
	port_mutex_unlock(&file->device->master_lock);
	/* The right to raise priorities stands for a privileged client here. */
	atomic_store(&file->authenticated, first || port_client_may_raise_priority());
}

void drm_master_close(struct uapi_file *file)
{
	uint32_t magic = atomic_load(&file->magic);

	if (magic) {
		ids_remove(&file->device->magics, magic);
	}
	port_mutex_lock(&file->device->master_lock);
	if (file->device->master == file) {
		file->device->master = NULL;
	}
	port_mutex_unlock(&file->device->master_lock);
}

int drm_set_master_ioctl(struct uapi_file *file, void *data)
{
	struct uapi_device *device = file->device;
	int ret = 0;

	port_mutex_lock(&device->master_lock);
	if (!device->master) {
		device->master = file;
		atomic_store(&file->authenticated, true);
	} else if (device->master != file) {
		ret = -EBUSY;
	}
	port_mutex_unlock(&device->master_lock);
	return ret;
}

int drm_drop_master_ioctl(struct uapi_file *file, void *data)
{
	struct uapi_device *device = file->device;
	int ret = -EINVAL;

	port_mutex_lock(&device->master_lock);
	if (device->master == file) {
		device->master = NULL;
		ret = 0;
	}
	port_mutex_unlock(&device->master_lock);
	return ret;
}
