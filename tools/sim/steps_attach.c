// SPDX-License-Identifier: MIT
/*
 * Fences from outside: the client has a file of the companion card too, and attaches fences to
 * objects with it that it signals later. Who asks an object's dma-buf has to wait for them: so do
 * jobs whose client synchronises by objects. They are also in the way of evictions.
 *
 * The releaser signals them, each when its time has come. One whose number is lost on its way to
 * the client is nobody's to signal: then the file is closed, which does it.
 */
#include "sim.h"

#include "uapi/vgem_drm.h"
#include "uapi/vmb_dma_buf.h"
#include "uapi/vmb_sync.h"

#include <stdlib.h>

#define US UINT64_C(1000)

static struct attached *attached_new(struct world *w, struct mclient *c, struct obj *obj,
				     bool write)
{
	struct attached *a = calloc(1, sizeof(*a));

	ASSERT(a);
	a->client = c;
	a->obj = obj;
	a->write = write;
	a->next = w->attached;
	w->attached = a;
	return a;
}

static bool is_pending(const struct attached *a, const struct obj *obj)
{
	return a->obj == obj && a->number && !a->signalled;
}

struct attached *attached_to(struct world *w, const struct obj *obj, bool write)
{
	struct attached *found = NULL;

	for (struct attached *a = w->attached; a; a = a->next) {
		if (is_pending(a, obj) && (write || a->write)) {
			found = a;
		}
	}
	return found;
}

/* ---- attaching ------------------------------------------------------------------------------- */

static int export_fd(struct mclient *c, uint32_t handle, int *fd_out)
{
	static const int also[] = { -ENOENT, -EMFILE, 0 };
	struct drm_prime_handle args = { .handle = handle };
	int ret = IOCTL(c->file, PRIME_HANDLE_TO_FD, &args);

	*fd_out = args.fd;
	return answered(c, ret, "PRIME_HANDLE_TO_FD", also);
}

/* A handle of the card's, or 0. */
static uint32_t import_to_card(struct mclient *c, int fd)
{
	struct drm_prime_handle args = { .fd = fd };
	int ret = IOCTL(c->card, PRIME_FD_TO_HANDLE, &args);

	return answered(c, ret, "PRIME_FD_TO_HANDLE", NULL) ? 0 : args.handle;
}

void card_shut(struct mclient *c)
{
	struct uapi_file *card = c->card;

	c->card = NULL;
	while (c->card_busy) {
		nap(20 * US);
	}
	for (struct attached *a = c->world->attached; a && card; a = a->next) {
		if (a->client == c) {
			attached_signal(a);
		}
	}
	if (card) {
		uapi_close(card);
	}
}

static void attach(struct thread *t, struct mclient *c, struct obj *obj, uint32_t handle)
{
	static const int also[] = { -EBUSY, 0 };
	struct drm_vgem_fence_attach args = {
		.handle = handle,
		.flags = draw(t, 3) == 0 ? VGEM_FENCE_WRITE : 0,
	};
	bool write = args.flags & VGEM_FENCE_WRITE;
	struct attached *before = attached_to(t->world, obj, write);
	struct attached *a = attached_new(t->world, c, obj, write);
	int ret = answered(c, IOCTL(c->card, VGEM_FENCE_ATTACH, &args), "FENCE_ATTACH", also);

	if (ret == 0 && before && !before->signalled) {
		sim_fail(t->world, "fences", "two fences are attached to bo %llu, one of a writer",
			 (unsigned long long)obj->bo_id);
	}
	if (ret == 0) {
		a->number = args.out_fence;
		a->due_ns = port_now_ns() + draw(t, 8) * 300 * US;
	} else if (ret == -EFAULT) {
		card_shut(c);
		(void)card_open(c);
	}
}

int step_attach(struct thread *t)
{
	struct mclient *c = t->client;
	unsigned at = draw(t, CLIENT_OBJS);
	struct obj *obj = c->obj[at];
	uint32_t handle = 0;
	int fd, ret;

	if (!c->card || !c->handle[at] || c->sharing) {
		return -ENODATA;
	}
	c->binding++;
	ret = export_fd(c, c->handle[at], &fd);
	if (ret == 0) {
		handle = import_to_card(c, fd);
		client_host_close_fd(&c->device->host, fd);
	}
	if (handle) {
		attach(t, c, obj, handle);
		(void)answered(c, c->card ? client_gem_close(c->card, handle) : 0, "GEM_CLOSE",
			       (const int[]){ -EINVAL, 0 }); /* of the file before */
	}
	c->binding--;
	return ret;
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* What the object's dma-buf says has to be waited for, in a syncobj; 0: none to be had. */
static uint32_t fences_of(struct mclient *c, uint32_t handle, bool write)
{
	struct client_host *host = &c->device->host;
	struct dma_buf_export_sync_file out = {
		.flags = write ? DMA_BUF_SYNC_WRITE : DMA_BUF_SYNC_READ,
	};
	struct drm_syncobj_handle in = {
		.flags = DRM_SYNCOBJ_FD_TO_HANDLE_FLAGS_IMPORT_SYNC_FILE,
	};
	int fd, ret = export_fd(c, handle, &fd);

	if (ret) {
		return 0;
	}
	ret = uapi_dmabuf_ioctl(c->device->uapi, host->fd[fd - CLIENT_FD_BASE].object,
				DMA_BUF_IOCTL_EXPORT_SYNC_FILE, PTR(&out));
	client_host_close_fd(host, fd);
	if (answered(c, ret, "EXPORT_SYNC_FILE", (const int[]){ -EMFILE, 0 })) {
		return 0;
	}
	if (syncobj_new(c, &in.handle) == 0) {
		in.fd = out.fd;
		ret = answered(c, IOCTL(c->file, SYNCOBJ_FD_TO_HANDLE, &in), "FD_TO_HANDLE", NULL);
		if (ret) {
			syncobj_end(c, in.handle);
			in.handle = 0;
		}
	} else {
		in.handle = 0;
	}
	client_host_close_fd(host, out.fd);
	return in.handle;
}

/* The client's handle of something that @job touches and that has a fence from outside; or 0. */
static uint32_t handle_behind(struct mclient *c, struct job *job, bool *write_out)
{
	for (unsigned i = 0; i < job->reads + job->writes; i++) {
		bool write = i >= job->reads;
		struct touch *touch = write ? &job->write[i - job->reads] : &job->read[i];

		for (unsigned k = 0; k < CLIENT_OBJS && touch->obj; k++) {
			if (c->obj[k] != touch->obj || !c->handle[k]) {
				continue;
			}
			job->behind = attached_to(c->world, touch->obj, write);
			if (job->behind) {
				*write_out = write;
				return c->handle[k];
			}
		}
	}
	return 0;
}

uint32_t implicit_new(struct mclient *c, struct job *job)
{
	uint32_t handle, syncobj = 0;
	bool write;

	if (c->sharing) {
		return 0;
	}
	c->binding++;
	handle = handle_behind(c, job, &write);
	if (handle) {
		syncobj = fences_of(c, handle, write);
	}
	if (!syncobj) {
		job->behind = NULL;
	}
	c->binding--;
	return syncobj;
}

/* ---- signalling ------------------------------------------------------------------------------ */

static void look_at_job(const struct attached *a, const struct mvm *vm, const struct job *job)
{
	if (job->used && job->behind == a && vm->cpu &&
	    job_results(vm, job)[RESULT_SEQ] == job->seq) {
		sim_fail(a->client->world, "fences",
			 "a job of queue %u has run before the fence that client %u attached to "
			 "bo %llu", job->queue->id, a->client->index,
			 (unsigned long long)a->obj->bo_id);
	}
}

void attached_signal(struct attached *a)
{
	struct world *w = a->client->world;

	for (unsigned i = 0; i < w->clients * CLIENT_VMS && !a->signalled; i++) {
		const struct mvm *vm = &w->client[i / CLIENT_VMS].vm[i % CLIENT_VMS];

		for (unsigned k = 0; k < VM_JOBS && vm->used; k++) {
			look_at_job(a, vm, &vm->job[k]);
		}
	}
	a->signalled = true;
}

void attached_release(struct world *w)
{
	for (struct attached *a = w->attached; a; a = a->next) {
		struct drm_vgem_fence_signal args = { .fence = a->number };
		struct mclient *c = a->client;

		if (!a->number || a->signalled || !c->card ||
		    (port_now_ns() < a->due_ns && !w->calm)) {
			continue;
		}
		attached_signal(a);
		c->card_busy = true;
		/* It may be made to fail: then it is for the next time. */
		a->signalled = answered(c, IOCTL(c->card, VGEM_FENCE_SIGNAL, &args),
					"FENCE_SIGNAL", NULL) == 0;
		c->card_busy = false;
	}
}
