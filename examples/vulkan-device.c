// SPDX-License-Identifier: MIT
#include "vulkan-device.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEVICES_MAX 16u
#define FAMILIES_MAX 16u
#define TIMEOUT_NS 30000000000ull

struct gpu gpu;

void die(int code, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "vulkan-sparse: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(code);
}

void vk(VkResult result, const char *what)
{
	if (result != VK_SUCCESS) {
		die(1, "%s gives %s%d", what, result == VK_TIMEOUT ? "VK_TIMEOUT, " : "", result);
	}
}

static void pick_device(const char *wanted)
{
	VkApplicationInfo app = { .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
				  .pApplicationName = "vulkan-sparse",
				  .apiVersion = VK_API_VERSION_1_2 };
	VkInstanceCreateInfo info = { .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
				      .pApplicationInfo = &app };
	VkPhysicalDevice devices[DEVICES_MAX];
	uint32_t count = DEVICES_MAX;
	VkResult result = vkCreateInstance(&info, NULL, &gpu.instance);

	if (result) {
		die(2, "there is no Vulkan driver here (vkCreateInstance gives %d)", result);
	}
	result = vkEnumeratePhysicalDevices(gpu.instance, &count, devices);
	if ((result && result != VK_INCOMPLETE) || !count) {
		die(2, "there is no Vulkan device here (try: vmbind run -- vulkan-sparse)");
	}
	for (uint32_t i = 0; i < count; i++) {
		vkGetPhysicalDeviceProperties(devices[i], &gpu.properties);
		if (!wanted || strstr(gpu.properties.deviceName, wanted)) {
			gpu.physical = devices[i];
			break;
		}
	}
	if (!gpu.physical) {
		die(2, "none of %u devices has '%s' in its name", count, wanted);
	}
	if (gpu.properties.apiVersion < VK_API_VERSION_1_2) {
		die(2, "%s has no Vulkan 1.2", gpu.properties.deviceName);
	}
}

/* A family that only copies, else any that copies; a family that binds. */
static void pick_families(void)
{
	VkQueueFamilyProperties families[FAMILIES_MAX];
	uint32_t count = FAMILIES_MAX;
	int best = -1, copies = -1, binds = -1;

	vkGetPhysicalDeviceQueueFamilyProperties(gpu.physical, &count, families);
	for (uint32_t i = 0; i < count; i++) {
		VkQueueFlags flags = families[i].queueFlags;
		VkQueueFlags computes = flags & (VK_QUEUE_GRAPHICS_BIT | VK_QUEUE_COMPUTE_BIT);

		if ((flags & VK_QUEUE_TRANSFER_BIT) && !computes && best < 0) {
			best = (int)i;
		}
		if (((flags & VK_QUEUE_TRANSFER_BIT) || computes) && copies < 0) {
			copies = (int)i;
		}
		if ((flags & VK_QUEUE_SPARSE_BINDING_BIT) && binds < 0) {
			binds = (int)i;
		}
	}
	if (copies < 0) {
		die(2, "%s has no queue that copies", gpu.properties.deviceName);
	}
	gpu.transfer.family = (uint32_t)(best >= 0 ? best : copies);
	gpu.has_sparse = binds >= 0;
	gpu.sparse.family = binds >= 0 ? (uint32_t)binds : gpu.transfer.family;
	printf("queues   copies on family %u%s, binds on %s%u\n", gpu.transfer.family,
	       best >= 0 ? " (transfer only)" : "", gpu.has_sparse ? "family " : "none, not ",
	       gpu.sparse.family);
}

bool two_queues(void)
{
	return gpu.transfer.family != gpu.sparse.family;
}

static void ask_device(void)
{
	VkPhysicalDeviceTimelineSemaphoreFeatures timeline = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES,
	};
	VkPhysicalDeviceFeatures2 features = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &timeline,
	};
	VkPhysicalDeviceProperties2 properties = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &gpu.driver,
	};

	gpu.driver.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES;
	vkGetPhysicalDeviceProperties2(gpu.physical, &properties);
	vkGetPhysicalDeviceFeatures2(gpu.physical, &features);
	vkGetPhysicalDeviceMemoryProperties(gpu.physical, &gpu.memory);
	printf("device   %s\ndriver   %s, %s\n", gpu.properties.deviceName, gpu.driver.driverName,
	       gpu.driver.driverInfo);
	pick_families();
	if (!timeline.timelineSemaphore) {
		die(2, "%s has no timeline semaphores", gpu.properties.deviceName);
	}
	gpu.has_sparse = gpu.has_sparse && features.features.sparseBinding &&
			 features.features.sparseResidencyBuffer &&
			 features.features.sparseResidencyAliased;
	gpu.strict = properties.properties.sparseProperties.residencyNonResidentStrict;
}

VkSemaphore new_timeline(void)
{
	VkSemaphoreTypeCreateInfo type = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
		.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE,
	};
	VkSemaphoreCreateInfo info = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO,
				       .pNext = &type };
	VkSemaphore semaphore;

	vk(vkCreateSemaphore(gpu.device, &info, NULL, &semaphore), "vkCreateSemaphore");
	return semaphore;
}

static void open_device(void)
{
	static const float priority = 1.0f;
	VkDeviceQueueCreateInfo queues[2] = {
		{ .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1,
		  .queueFamilyIndex = gpu.transfer.family, .pQueuePriorities = &priority },
		{ .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, .queueCount = 1,
		  .queueFamilyIndex = gpu.sparse.family, .pQueuePriorities = &priority },
	};
	VkPhysicalDeviceTimelineSemaphoreFeatures timeline = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES,
		.timelineSemaphore = VK_TRUE,
	};
	VkPhysicalDeviceFeatures features = { .sparseBinding = gpu.has_sparse,
					      .sparseResidencyBuffer = gpu.has_sparse,
					      .sparseResidencyAliased = gpu.has_sparse };
	VkDeviceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
		.pNext = &timeline,
		.queueCreateInfoCount = two_queues() ? 2 : 1,
		.pQueueCreateInfos = queues,
		.pEnabledFeatures = &features,
	};
	VkCommandPoolCreateInfo pool = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
		.flags = VK_COMMAND_POOL_CREATE_TRANSIENT_BIT,
		.queueFamilyIndex = gpu.transfer.family,
	};

	vk(vkCreateDevice(gpu.physical, &info, NULL, &gpu.device), "vkCreateDevice");
	vkGetDeviceQueue(gpu.device, gpu.transfer.family, 0, &gpu.transfer.queue);
	vkGetDeviceQueue(gpu.device, gpu.sparse.family, 0, &gpu.sparse.queue);
	vk(vkCreateCommandPool(gpu.device, &pool, NULL, &gpu.pool), "vkCreateCommandPool");
	gpu.done = new_timeline();
}

/* ---- Buffers and memory ------------------------------------------------------------------- */

VkBuffer new_buffer(VkDeviceSize size_B, VkBufferCreateFlags flags)
{
	uint32_t families[] = { gpu.transfer.family, gpu.sparse.family };
	VkBufferCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.flags = flags,
		.size = size_B,
		.usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT,
		.sharingMode = two_queues() ? VK_SHARING_MODE_CONCURRENT
					    : VK_SHARING_MODE_EXCLUSIVE,
		.queueFamilyIndexCount = two_queues() ? 2 : 0,
		.pQueueFamilyIndices = families,
	};
	VkBuffer buffer;

	vk(vkCreateBuffer(gpu.device, &info, NULL, &buffer), "vkCreateBuffer");
	return buffer;
}

/* The first type of @types that has all of @need; types come best first. */
VkDeviceMemory new_memory(VkDeviceSize size_B, uint32_t types, VkMemoryPropertyFlags need)
{
	VkMemoryAllocateInfo info = { .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
				      .allocationSize = size_B };
	VkDeviceMemory memory;

	for (uint32_t i = 0; i < gpu.memory.memoryTypeCount; i++) {
		if ((types & 1u << i) &&
		    (gpu.memory.memoryTypes[i].propertyFlags & need) == need) {
			info.memoryTypeIndex = i;
			vk(vkAllocateMemory(gpu.device, &info, NULL, &memory), "vkAllocateMemory");
			return memory;
		}
	}
	die(1, "no memory type has the properties 0x%x", need);
}

void make_buffer(struct buffer *buffer, VkDeviceSize size_B, bool for_host)
{
	VkMemoryRequirements need;
	void *host = NULL;

	buffer->size_B = size_B;
	buffer->handle = new_buffer(size_B, 0);
	vkGetBufferMemoryRequirements(gpu.device, buffer->handle, &need);
	buffer->memory = new_memory(need.size, need.memoryTypeBits,
				    for_host ? VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
						       VK_MEMORY_PROPERTY_HOST_COHERENT_BIT
					     : VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
	vk(vkBindBufferMemory(gpu.device, buffer->handle, buffer->memory, 0),
	   "vkBindBufferMemory");
	if (for_host) {
		vk(vkMapMemory(gpu.device, buffer->memory, 0, VK_WHOLE_SIZE, 0, &host),
		   "vkMapMemory");
	}
	buffer->host = host;
}

void destroy_buffer(struct buffer *buffer)
{
	vkDestroyBuffer(gpu.device, buffer->handle, NULL);
	vkFreeMemory(gpu.device, buffer->memory, NULL);
	memset(buffer, 0, sizeof(*buffer));
}

/* ---- Work --------------------------------------------------------------------------------- */

VkCommandBuffer begin(void)
{
	VkCommandBufferAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.commandPool = gpu.pool,
		.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
		.commandBufferCount = 1,
	};
	VkCommandBufferBeginInfo once = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
		.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
	};
	VkCommandBuffer commands;

	vk(vkAllocateCommandBuffers(gpu.device, &info, &commands), "vkAllocateCommandBuffers");
	vk(vkBeginCommandBuffer(commands, &once), "vkBeginCommandBuffer");
	return commands;
}

void barrier(VkCommandBuffer commands)
{
	VkMemoryBarrier memory = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
		.dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT |
				 VK_ACCESS_HOST_READ_BIT,
	};

	vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT,
			     VK_PIPELINE_STAGE_TRANSFER_BIT | VK_PIPELINE_STAGE_HOST_BIT, 0, 1,
			     &memory, 0, NULL, 0, NULL);
}

void copy(VkCommandBuffer commands, const struct buffer *from, VkDeviceSize from_B,
	  const struct buffer *to, VkDeviceSize to_B, VkDeviceSize size_B)
{
	VkBufferCopy region = { .srcOffset = from_B, .dstOffset = to_B, .size = size_B };

	vkCmdCopyBuffer(commands, from->handle, to->handle, 1, &region);
}

VkTimelineSemaphoreSubmitInfo values_of(const struct order *order)
{
	return (VkTimelineSemaphoreSubmitInfo){
		.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
		.waitSemaphoreValueCount = order->wait ? 1 : 0,
		.pWaitSemaphoreValues = &order->wait_value,
		.signalSemaphoreValueCount = order->signal ? 1 : 0,
		.pSignalSemaphoreValues = &order->signal_value,
	};
}

void submit(VkCommandBuffer commands, struct order order)
{
	static const VkPipelineStageFlags stage = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
	VkTimelineSemaphoreSubmitInfo values = values_of(&order);
	VkSubmitInfo info = {
		.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
		.pNext = &values,
		.waitSemaphoreCount = values.waitSemaphoreValueCount,
		.pWaitSemaphores = &order.wait,
		.pWaitDstStageMask = &stage,
		.commandBufferCount = commands ? 1 : 0,
		.pCommandBuffers = &commands,
		.signalSemaphoreCount = values.signalSemaphoreValueCount,
		.pSignalSemaphores = &order.signal,
	};

	if (commands) {
		barrier(commands);
		vk(vkEndCommandBuffer(commands), "vkEndCommandBuffer");
	}
	vk(vkQueueSubmit(gpu.transfer.queue, 1, &info, VK_NULL_HANDLE), "vkQueueSubmit");
}

void wait_for(VkSemaphore semaphore, uint64_t value)
{
	VkSemaphoreWaitInfo info = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
				     .semaphoreCount = 1, .pSemaphores = &semaphore,
				     .pValues = &value };

	vk(vkWaitSemaphores(gpu.device, &info, TIMEOUT_NS), "vkWaitSemaphores");
}

uint64_t value_of(VkSemaphore semaphore)
{
	uint64_t value;

	vk(vkGetSemaphoreCounterValue(gpu.device, semaphore, &value),
	   "vkGetSemaphoreCounterValue");
	return value;
}

void host_signals(VkSemaphore semaphore, uint64_t value)
{
	VkSemaphoreSignalInfo info = { .sType = VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO,
				       .semaphore = semaphore, .value = value };

	vk(vkSignalSemaphore(gpu.device, &info), "vkSignalSemaphore");
}

void run(VkCommandBuffer commands)
{
	submit(commands, (struct order){ .signal = gpu.done, .signal_value = ++gpu.done_value });
	wait_for(gpu.done, gpu.done_value);
	vk(vkResetCommandPool(gpu.device, gpu.pool, 0), "vkResetCommandPool");
}

void open_gpu(const char *wanted)
{
	pick_device(wanted);
	ask_device();
	open_device();
	make_buffer(&gpu.upload, STAGING_B, true);
	make_buffer(&gpu.readback, STAGING_B, true);
}

void close_gpu(void)
{
	vk(vkDeviceWaitIdle(gpu.device), "vkDeviceWaitIdle");
	destroy_buffer(&gpu.upload);
	destroy_buffer(&gpu.readback);
	vkDestroySemaphore(gpu.device, gpu.done, NULL);
	vkDestroyCommandPool(gpu.device, gpu.pool, NULL);
	vkDestroyDevice(gpu.device, NULL);
	vkDestroyInstance(gpu.instance, NULL);
}
