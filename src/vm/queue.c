// SPDX-License-Identifier: MIT
/*
 * Bind queues: the order of binds (A11). A queue is a timeline of fences and the last of them; the
 * jobs themselves are on the VM's pending list.
 */
#include "vm/job.h"

static struct port_lock_class queue_class = { .name = "bind_queue", .rank = RANK_QUEUE_SUBMIT };

int bind_queue_create_own(struct vm *vm, struct bind_queue **queue_out)
{
	struct bind_queue *queue = port_alloc(sizeof(*queue));

	if (!queue) {
		return -ENOMEM;
	}
	ref_init(&queue->ref);
	port_mutex_init(&queue->lock, &queue_class);
	queue->vm = vm;
	queue->context = sync_new_context(vm->env->sync);
	queue->id = (uint32_t)queue->context;
	*queue_out = queue;
	return 0;
}

int bind_queue_create(struct vm *vm, struct bind_queue **queue_out)
{
	int ret = bind_queue_create_own(vm, queue_out);

	if (!ret) {
		(*queue_out)->holds_vm = true;
		vm_get(vm);
	}
	return ret;
}

struct bind_queue *bind_queue_get(struct bind_queue *queue)
{
	ref_get(&queue->ref);
	return queue;
}

void bind_queue_put(struct bind_queue *queue)
{
	struct vm *vm;

	if (!queue || !ref_put(&queue->ref)) {
		return;
	}
	vm = queue->holds_vm ? queue->vm : NULL;
	fence_put(queue->last);
	port_mutex_fini(&queue->lock);
	port_free(queue);
	vm_put(vm);
}

struct fence *bind_queue_last(struct bind_queue *queue)
{
	struct fence *fence;

	port_mutex_lock(&queue->lock);
	fence = fence_get(queue->last ? queue->last : queue->vm->env->sync->stub);
	port_mutex_unlock(&queue->lock);
	return fence;
}
