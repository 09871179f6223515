/* SPDX-License-Identifier: MIT */
/*
 * The ground vulkan-sparse stands on: a device with a queue that copies and, mostly another, that
 * binds; buffers; command buffers that are made, submitted and waited for. What fails ends the
 * program: 1 something is wrong, 2 there is no device to try.
 */
#ifndef VULKAN_DEVICE_H
#define VULKAN_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include <vulkan/vulkan.h>

#define STAGING_B (10u * 1024 * 1024) /* size of the buffers through which the host sees others */

struct lane {
	uint32_t family;
	VkQueue queue;
};

struct buffer {
	VkBuffer handle;
	VkDeviceMemory memory;
	VkDeviceSize size_B;
	uint8_t *host; /* NULL: not mapped */
};

/* When to begin and what to signal; a semaphore of NULL: at once, nothing. */
struct order {
	VkSemaphore wait;
	uint64_t wait_value;
	VkSemaphore signal;
	uint64_t signal_value;
};

struct gpu {
	VkInstance instance;
	VkPhysicalDevice physical;
	VkDevice device;
	VkPhysicalDeviceProperties properties;
	VkPhysicalDeviceDriverProperties driver;
	VkPhysicalDeviceMemoryProperties memory;
	struct lane transfer, sparse;
	bool has_sparse; /* a queue binds; buffers may have holes and share their memory */
	bool strict;     /* holes read as zero, and what is written there is gone */
	VkCommandPool pool;
	VkSemaphore done; /* of run() and bind_and_wait() */
	uint64_t done_value;
	struct buffer upload, readback;
};

extern struct gpu gpu;

void die(int code, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));
void vk(VkResult result, const char *what);

/* Opens the first device, or the first with @wanted in its name, and prints which. */
void open_gpu(const char *wanted);
void close_gpu(void);

/* Do copies and binds have queues of their own? */
bool two_queues(void);

VkBuffer new_buffer(VkDeviceSize size_B, VkBufferCreateFlags flags);
VkDeviceMemory new_memory(VkDeviceSize size_B, uint32_t types, VkMemoryPropertyFlags need);
void make_buffer(struct buffer *buffer, VkDeviceSize size_B, bool for_host);
void destroy_buffer(struct buffer *buffer);

VkCommandBuffer begin(void);
/* What was written so far is seen by what follows, by copies and by the host. */
void barrier(VkCommandBuffer commands);
void copy(VkCommandBuffer commands, const struct buffer *from, VkDeviceSize from_B,
	  const struct buffer *to, VkDeviceSize to_B, VkDeviceSize size_B);
/* Ends and submits @commands; NULL: nothing but the order. */
void submit(VkCommandBuffer commands, struct order order);
/* Submits and waits; nothing else may be under way. */
void run(VkCommandBuffer commands);

VkTimelineSemaphoreSubmitInfo values_of(const struct order *order);
VkSemaphore new_timeline(void);
void wait_for(VkSemaphore semaphore, uint64_t value);
uint64_t value_of(VkSemaphore semaphore);
void host_signals(VkSemaphore semaphore, uint64_t value);

#endif
