// SPDX-License-Identifier: MIT
/* ioctl() and the other calls on a descriptor, but for mmap() and poll(). */
#include "node/node.h"

#include <stdarg.h>

#define DRM_IOCTL_TYPE 'd'
#define SYNC_IOCTL_TYPE '>'
#define SW_SYNC_IOCTL_TYPE 'W'

/* The commands that a kernel answers for every file. */
static bool is_generic(unsigned long cmd)
{
	return cmd == FIOCLEX || cmd == FIONCLEX || cmd == FIONBIO || cmd == FIOASYNC;
}

static int timeline_ioctl(struct node_file *file, uint32_t cmd, uint64_t arg)
{
	int ret = uapi_timeline_ioctl(node_device_if_any(), file->object, cmd, arg);

	sync_tell();
	return ret;
}

/* Inside the gate. */
static int file_ioctl(struct node_file *file, uint32_t cmd, uint64_t arg)
{
	unsigned type = _IOC_TYPE(cmd);

	if (file->kind == NODE_DEVICE && type == DRM_IOCTL_TYPE) {
		watch_resume();
		return uapi_ioctl(file->device, cmd, arg);
	}
	if (file->kind == NODE_OBJECT && file->object_kind == UAPI_FD_SYNC_FILE &&
	    type == SYNC_IOCTL_TYPE) {
		return uapi_sync_file_ioctl(node_device_if_any(), file->object, cmd, arg);
	}
	if (file->kind == NODE_OBJECT && file->object_kind == UAPI_FD_DMABUF) {
		return uapi_dmabuf_ioctl(node_device_if_any(), file->object, cmd, arg);
	}
	if (file->kind == NODE_OBJECT && file->object_kind == UAPI_FD_TIMELINE &&
	    type == SW_SYNC_IOCTL_TYPE) {
		return timeline_ioctl(file, cmd, arg);
	}
	return -ENOTTY;
}

/* A sync file or timeline from another process is known by what is asked of it. */
static bool adopt_for(int fd, unsigned long cmd)
{
	unsigned type = _IOC_TYPE(cmd);
	bool adopted;

	if ((type != SYNC_IOCTL_TYPE && type != SW_SYNC_IOCTL_TYPE) || node_inside()) {
		return false;
	}
	node_enter();
	adopted = sync_adopt(fd);
	node_leave();
	return adopted;
}

static int marked_ioctl(int fd, uint32_t cmd, void *arg)
{
	struct node_file *file;
	int ret;

	for (;;) {
		bool again = false;

		node_enter();
		file = fd_get(fd);
		if (!file) {
			ret = -EBADF;
		} else {
			ret = file_ioctl(file, cmd, (uint64_t)(uintptr_t)arg);
		}
		again = ret == -EINTR && port_client_restarts();
		file_put(file);
		node_leave(); /* the handler runs here */
		if (!again) {
			return ret;
		}
	}
}

EXPORT int ioctl(int fd, unsigned long cmd, ...)
{
	va_list args;
	void *arg;

	va_start(args, cmd);
	arg = va_arg(args, void *);
	va_end(args);
	if (!fd_is_marked(fd) && !adopt_for(fd, cmd)) {
		return REAL(ioctl)(fd, cmd, arg);
	}
	if (fd_is_private(fd)) {
		return node_result(-EBADF);
	}
	if (is_generic(cmd)) {
		return REAL(ioctl)(fd, cmd, arg);
	}
	return node_result(marked_ioctl(fd, (uint32_t)cmd, arg));
}

bool fd_is_kind(int fd, enum node_kind kind)
{
	struct node_file *file;
	bool is;

	if (!fd_is_marked(fd)) {
		return false;
	}
	node_enter();
	file = fd_get(fd);
	is = file && file->kind == kind;
	file_put(file);
	node_leave();
	return is;
}

/* ---- read, write, lseek ---------------------------------------------------------------------- */

/* An event of the device, of which there are none. */
static ssize_t device_read(int fd)
{
	int flags = REAL(fcntl)(fd, F_GETFL);

	if (flags >= 0 && (flags & O_NONBLOCK)) {
		return node_result(-EAGAIN);
	}
	return REAL(poll)(NULL, 0, -1);
}

EXPORT ssize_t read(int fd, void *buf, size_t n)
{
	if (__builtin_expect(fd_is_marked(fd), 0)) {
		if (fd_is_private(fd)) {
			return node_result(-EBADF);
		}
		if (fd_is_kind(fd, NODE_DEVICE)) {
			return device_read(fd);
		}
		if (fd_is_kind(fd, NODE_OBJECT)) {
			return node_result(-EINVAL);
		}
	}
	return REAL(read)(fd, buf, n);
}

EXPORT ssize_t __read_chk(int fd, void *buf, size_t n, size_t buf_B)
{
	return n > buf_B ? REAL(__read_chk)(fd, buf, n, buf_B) : read(fd, buf, n);
}

/* One write of the device's name, or of another's. 0 or -errno. */
static int bind_write(enum tnode_kind kind, const void *buf, size_t n)
{
	struct uapi_device *device = node_device_if_any();
	const char *slot = uapi_device_identity(device)->pci_slot;
	size_t len = strlen(slot);
	char name[NAME_MAX];

	if (n > sizeof(name) || port_copy_from_user(name, (uint64_t)(uintptr_t)buf, n)) {
		return n > sizeof(name) ? -ENODEV : -EFAULT;
	}
	if ((n != len && !(n == len + 1 && name[len] == '\n')) || memcmp(name, slot, len) != 0) {
		return -ENODEV;
	}
	return kind == TNODE_BIND ? uapi_device_bind(device) : uapi_device_unbind(device);
}

/* One write to a file of the tree: 0 or -errno. */
static int tree_write(const struct tnode *node, const void *buf, size_t n)
{
	if (!n) {
		return 0;
	}
	switch (node->kind) {
	case TNODE_ATTR:
		return uapi_attr_store(node_device_if_any(), node->attr, (uint64_t)(uintptr_t)buf,
				       n);
	case TNODE_CPUS:
		return cpus_store(buf, n);
	case TNODE_DUMP:
		uapi_dump_clear(node_device_if_any());
		return 0;
	default:
		return bind_write(node->kind, buf, n);
	}
}

static bool takes_writes(const struct node_file *file)
{
	if (!file || file->kind != NODE_TREE) {
		return false;
	}
	switch (file->tnode->kind) {
	case TNODE_ATTR:
	case TNODE_BIND:
	case TNODE_UNBIND:
	case TNODE_CPUS:
	case TNODE_DUMP:
		return true;
	default:
		return false;
	}
}

/* True when @fd is one of these: *ret_out is what write() says. */
static bool attr_write(int fd, const void *buf, size_t n, ssize_t *ret_out)
{
	struct node_file *file;
	bool ours;
	int ret = -EBADF;

	node_enter();
	file = fd_get(fd);
	ours = takes_writes(file);
	if (ours && file->writes) {
		ret = tree_write(file->tnode, buf, n);
	}
	file_put(file);
	node_leave();
	if (ours) {
		*ret_out = ret ? node_result(ret) : (ssize_t)n;
	}
	return ours;
}

EXPORT ssize_t write(int fd, const void *buf, size_t n)
{
	ssize_t ret;

	if (__builtin_expect(fd_is_marked(fd), 0)) {
		if (fd_is_private(fd)) {
			return node_result(-EBADF);
		}
		if (fd_is_kind(fd, NODE_DEVICE) || fd_is_kind(fd, NODE_OBJECT)) {
			return node_result(-EINVAL);
		}
		if (attr_write(fd, buf, n, &ret)) {
			return ret;
		}
	}
	return REAL(write)(fd, buf, n);
}

/* Only the size of a dma-buf and its start are places to go. */
static off64_t dmabuf_seek(const struct node_file *file, off64_t offset, int whence)
{
	if (offset != 0 || (whence != SEEK_END && whence != SEEK_SET)) {
		return -EINVAL;
	}
	return whence == SEEK_END ? (off64_t)file->size_B : 0;
}

EXPORT off64_t lseek64(int fd, off64_t offset, int whence)
{
	struct node_file *file;
	off64_t ret;
	bool ours;

	if (!fd_is_marked(fd) || fd_is_private(fd)) {
		return REAL(lseek64)(fd_is_private(fd) ? -1 : fd, offset, whence);
	}
	node_enter();
	file = fd_get(fd);
	ours = file && file->kind != NODE_TREE;
	if (!ours || file->kind == NODE_DEVICE) {
		ret = 0; /* a device has no position */
	} else if (file->object_kind == UAPI_FD_DMABUF) {
		ret = dmabuf_seek(file, offset, whence);
	} else {
		ret = -ESPIPE;
	}
	file_put(file);
	node_leave();
	if (!ours) {
		return REAL(lseek64)(fd, offset, whence);
	}
	return ret < 0 ? node_result((int)ret) : ret;
}

EXPORT off_t lseek(int fd, off_t offset, int whence)
{
	return lseek64(fd, offset, whence);
}

/* ---- descriptors that leave ------------------------------------------------------------------ */

#define CONTROL_MAX_B 4096u /* as many descriptors as a message may carry, and some */

/* The descriptors in a message that is about to be sent. What cannot be read is the kernel's. */
static void note_sent(const struct msghdr *msg)
{
	_Alignas(struct cmsghdr) char control[CONTROL_MAX_B];
	struct msghdr copy;

	if (!node_device_if_any() || port_copy_from_user(&copy, (uintptr_t)msg, sizeof(copy)) ||
	    !copy.msg_control) {
		return;
	}
	copy.msg_controllen = min_u64(copy.msg_controllen, sizeof(control));
	if (port_copy_from_user(control, (uintptr_t)copy.msg_control, copy.msg_controllen)) {
		return;
	}
	copy.msg_control = control;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&copy); c; c = CMSG_NXTHDR(&copy, c)) {
		size_t room_B = (size_t)(control + copy.msg_controllen - (char *)c), n = 0;

		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
		    c->cmsg_len >= CMSG_LEN(0) && c->cmsg_len <= room_B) {
			n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		}
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			sync_sent(fd);
		}
	}
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	note_sent(msg);
	return REAL(sendmsg)(fd, msg, flags);
}

EXPORT int sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	for (unsigned i = 0; i < n; i++) {
		note_sent(&msgs[i].msg_hdr);
	}
	return REAL(sendmmsg)(fd, msgs, n, flags);
}
