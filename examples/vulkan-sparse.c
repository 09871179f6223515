// SPDX-License-Identifier: MIT
/*
 * vulkan-sparse: what a Vulkan program asks of VM_BIND, with every byte looked at afterwards.
 *
 *   vulkan-sparse [DEVICE]      part of a device's name, or VULKAN_SPARSE_DEVICE; else the first
 *
 * Copies, fills and updates on a transfer queue; a sparse buffer with holes that is bound, unbound
 * and bound again, 64 pieces in one call too; timeline semaphores that order copies and binds on
 * two queues, also such whose signal is submitted after the wait. A model on the CPU says what each
 * byte must be. What a device does not offer is left out, and said so.
 *
 * It is an ordinary Vulkan 1.2 program without shaders. Exit code: 0 all is right, 1 something is
 * not, 2 there is no device to try.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vulkan-device.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define PLAIN_B (2u * 1024 * 1024 + 4)
#define BLOCK_MIN_B 65536u
#define BLOCKS 128u /* of the sparse buffer */
#define BACKING 96u /* of memory behind it */
#define HOLE (-1)
#define SPARSE_FLAGS                                                                               \
	(VK_BUFFER_CREATE_SPARSE_BINDING_BIT | VK_BUFFER_CREATE_SPARSE_RESIDENCY_BIT |             \
	 VK_BUFFER_CREATE_SPARSE_ALIASED_BIT)
#define CHAIN_ROUNDS 16u
#define CHURN_ROUNDS 32u

/* The sparse buffer, and what the memory behind it must hold. */
static struct {
	struct buffer buffer;
	struct buffer alias; /* an ordinary buffer that lies on the same memory */
	uint32_t block_B;
	int behind[BLOCKS]; /* block of memory, or HOLE */
	uint8_t *memory;    /* the model */
} sparse;

static unsigned passed, failed;

static void check(bool right, const char *what)
{
	if (right) {
		passed++;
	} else {
		failed++;
		printf("WRONG    %s\n", what);
	}
}

static void check_bytes(const uint8_t *got, const uint8_t *want, size_t size_B, const char *what)
{
	size_t first, wrong = 0;

	check(memcmp(got, want, size_B) == 0, what);
	for (size_t i = size_B; i-- > 0;) {
		if (got[i] != want[i]) {
			first = i;
			wrong++;
		}
	}
	if (wrong) {
		printf("         %zu of %zu bytes differ, the first at %zu: 0x%02x instead of "
		       "0x%02x\n", wrong, size_B, first, got[first], want[first]);
	}
}

static void *allocate(size_t size_B)
{
	void *memory = calloc(1, size_B);

	if (!memory) {
		die(1, "out of memory");
	}
	return memory;
}

/* Bytes that differ from place to place and from call to call. */
static void scramble(uint8_t *bytes, size_t size_B)
{
	static uint64_t state = 0x9e3779b97f4a7c15ull;

	for (size_t i = 0; i < size_B; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		bytes[i] = (uint8_t)(state >> 32);
	}
}

/* Long enough that what does not wait shows. */
static void pause_a_moment(void)
{
	struct timespec moment = { .tv_nsec = 20000000 };

	nanosleep(&moment, NULL);
}

/* Copies all of @buffer back, and compares. */
static void verify(const struct buffer *buffer, const uint8_t *want, const char *what)
{
	VkCommandBuffer commands = begin();

	memset(gpu.readback.host, 0xee, buffer->size_B);
	copy(commands, buffer, 0, &gpu.readback, 0, buffer->size_B);
	run(commands);
	check_bytes(gpu.readback.host, want, buffer->size_B, what);
}

/* ---- Copies, fills, updates --------------------------------------------------------------- */

static void try_copies(struct buffer *plain, uint8_t *want)
{
	static const VkBufferCopy regions[] = {
		/* source, destination, size */
		{ 0, 0, 1 },
		{ 1, 3, 2 },
		{ 7, 17, 3 },
		{ 4, 32, 4 },
		{ 8, 48, 16 },
		{ 15, 81, 255 },
		{ 65521, 4099, 4093 },
		{ 65537, 12289, 65537 },
		{ 13, 100003, 777777 },
		{ 262144, 917504, 65536 },
		{ 99991, 1048577, 31337 },
		{ 524288, 1179648, 524288 + 48 },
		{ 3000001, 1900001, 16385 },
		{ 5, PLAIN_B - 7, 7 },
	};
	VkCommandBuffer commands = begin();
	VkDeviceSize total_B = 0;

	vkCmdFillBuffer(commands, plain->handle, 0, VK_WHOLE_SIZE, 0xa5a5a5a5);
	memset(want, 0xa5, PLAIN_B);
	barrier(commands);
	for (size_t i = 0; i < ARRAY_LEN(regions); i++) {
		vkCmdCopyBuffer(commands, gpu.upload.handle, plain->handle, 1, &regions[i]);
		memcpy(want + regions[i].dstOffset, gpu.upload.host + regions[i].srcOffset,
		       regions[i].size);
		total_B += regions[i].size;
	}
	run(commands);
	verify(plain, want, "copies of odd sizes and offsets");

	commands = begin();
	vkCmdFillBuffer(commands, plain->handle, 0, VK_WHOLE_SIZE, 0);
	barrier(commands);
	vkCmdCopyBuffer(commands, gpu.upload.handle, plain->handle, ARRAY_LEN(regions), regions);
	run(commands);
	memset(want, 0, PLAIN_B);
	for (size_t i = 0; i < ARRAY_LEN(regions); i++) {
		memcpy(want + regions[i].dstOffset, gpu.upload.host + regions[i].srcOffset,
		       regions[i].size);
	}
	verify(plain, want, "the same regions in one command");
	printf("copied   %zu regions of odd sizes and offsets, one by one and in one command, "
	       "%llu bytes\n", ARRAY_LEN(regions), 2ull * total_B);
}

static void try_copy_within(struct buffer *plain, uint8_t *want)
{
	VkCommandBuffer commands = begin();

	for (uint32_t i = 0; i < 20; i++) {
		/* Each takes what the one before brought. */
		VkDeviceSize from = 3 + i * 50021, to = from + 50021, size_B = 49999 + i;

		copy(commands, plain, from, plain, to, size_B);
		barrier(commands);
		memcpy(want + to, want + from, size_B);
	}
	run(commands);
	verify(plain, want, "a chain of copies inside one buffer");
}

static void try_fills(struct buffer *plain, uint8_t *want)
{
	static const VkDeviceSize fills[][2] = {
		{ 4, 4 },	  { 12, 8 },	    { 64, 16 },		 { 100, 60 },
		{ 4096, 4092 },	  { 10000, 65540 }, { 131072, 1048576 }, { 1500004, 99996 },
	};
	uint8_t value[4] = { 0x11, 0x22, 0x33, 0x44 };
	VkCommandBuffer commands = begin();
	uint32_t word;

	for (size_t i = 0; i < ARRAY_LEN(fills); i++) {
		value[0] = (uint8_t)(0x80 + i);
		memcpy(&word, value, sizeof(word));
		vkCmdFillBuffer(commands, plain->handle, fills[i][0], fills[i][1], word);
		for (VkDeviceSize at = 0; at < fills[i][1]; at++) {
			want[fills[i][0] + at] = value[at % 4];
		}
	}
	run(commands);
	verify(plain, want, "fills");
	printf("filled   %zu ranges\n", ARRAY_LEN(fills));
}

static void try_updates(struct buffer *plain, uint8_t *want)
{
	static const VkDeviceSize updates[][2] = {
		{ 0, 4 },	  { 20, 12 },	      { 1000, 1020 },
		{ 70000, 65532 }, { 200004, 65536 }, { PLAIN_B - 8, 8 },
	};
	VkCommandBuffer commands = begin();
	uint8_t *data = allocate(65536);

	for (size_t i = 0; i < ARRAY_LEN(updates); i++) {
		scramble(data, updates[i][1]);
		vkCmdUpdateBuffer(commands, plain->handle, updates[i][0], updates[i][1], data);
		memcpy(want + updates[i][0], data, updates[i][1]);
	}
	run(commands);
	verify(plain, want, "updates");
	printf("updated  %zu ranges\n", ARRAY_LEN(updates));
	free(data);
}

static void try_plain(void)
{
	struct buffer plain;
	uint8_t *want = allocate(PLAIN_B);

	make_buffer(&plain, PLAIN_B, false);
	try_copies(&plain, want);
	try_copy_within(&plain, want);
	try_fills(&plain, want);
	try_updates(&plain, want);
	destroy_buffer(&plain);
	free(want);
}

/* Memory that comes and goes while its addresses are used again at once. */
static void try_churn(void)
{
	char what[64];

	for (uint32_t i = 0; i < CHURN_ROUNDS; i++) {
		struct buffer buffer;
		VkDeviceSize size_B = 4096 + i * 12345;
		VkCommandBuffer commands = begin();

		make_buffer(&buffer, size_B, false);
		copy(commands, &gpu.upload, i, &buffer, 0, size_B);
		run(commands);
		snprintf(what, sizeof(what), "buffer %u of those that come and go", i);
		verify(&buffer, gpu.upload.host + i, what);
		destroy_buffer(&buffer);
	}
	printf("churned  %u buffers made, written, verified and freed\n", CHURN_ROUNDS);
}

/* ---- The sparse buffer -------------------------------------------------------------------- */

/* Binds @count blocks from @block on to memory from @first on (HOLE: to none). */
static void fill_bind(VkSparseMemoryBind *bind, uint32_t block, uint32_t count, int first)
{
	*bind = (VkSparseMemoryBind){
		.resourceOffset = (VkDeviceSize)block * sparse.block_B,
		.size = (VkDeviceSize)count * sparse.block_B,
		.memory = first == HOLE ? VK_NULL_HANDLE : sparse.alias.memory,
		.memoryOffset = first == HOLE ? 0 : (VkDeviceSize)first * sparse.block_B,
	};
	for (uint32_t i = 0; i < count; i++) {
		sparse.behind[block + i] = first == HOLE ? HOLE : first + (int)i;
	}
}

static void queue_binds(const VkSparseMemoryBind *binds, uint32_t count, struct order order)
{
	VkTimelineSemaphoreSubmitInfo values = values_of(&order);
	VkSparseBufferMemoryBindInfo buffer = { .buffer = sparse.buffer.handle,
						.bindCount = count, .pBinds = binds };
	VkBindSparseInfo info = {
		.sType = VK_STRUCTURE_TYPE_BIND_SPARSE_INFO,
		.pNext = &values,
		.waitSemaphoreCount = values.waitSemaphoreValueCount,
		.pWaitSemaphores = &order.wait,
		.bufferBindCount = count ? 1 : 0,
		.pBufferBinds = &buffer,
		.signalSemaphoreCount = values.signalSemaphoreValueCount,
		.pSignalSemaphores = &order.signal,
	};

	vk(vkQueueBindSparse(gpu.sparse.queue, 1, &info, VK_NULL_HANDLE), "vkQueueBindSparse");
}

static void bind_and_wait(const VkSparseMemoryBind *binds, uint32_t count)
{
	queue_binds(binds, count,
		    (struct order){ .signal = gpu.done, .signal_value = ++gpu.done_value });
	wait_for(gpu.done, gpu.done_value);
}

static void bind_one(uint32_t block, uint32_t count, int first)
{
	VkSparseMemoryBind bind;

	fill_bind(&bind, block, count, first);
	bind_and_wait(&bind, 1);
}

/* What the model says of a write of the upload buffer's bytes from @from on. */
static void model_write(VkDeviceSize from, VkDeviceSize at, VkDeviceSize size_B)
{
	for (VkDeviceSize i = 0; i < size_B; i++) {
		int block = sparse.behind[(at + i) / sparse.block_B];

		if (block != HOLE) {
			sparse.memory[(VkDeviceSize)block * sparse.block_B +
				      (at + i) % sparse.block_B] = gpu.upload.host[from + i];
		}
	}
}

/* One copy across bound blocks and holes; where holes must not be touched, bound blocks only. */
static void sparse_write(VkCommandBuffer commands, VkDeviceSize from, VkDeviceSize at,
			 VkDeviceSize size_B)
{
	VkDeviceSize end = at + size_B;

	model_write(from, at, size_B);
	if (gpu.strict) {
		copy(commands, &gpu.upload, from, &sparse.buffer, at, size_B);
		return;
	}
	while (at < end) {
		VkDeviceSize next = (at / sparse.block_B + 1) * sparse.block_B;
		VkDeviceSize part_B = (next < end ? next : end) - at;

		if (sparse.behind[at / sparse.block_B] != HOLE) {
			copy(commands, &gpu.upload, from, &sparse.buffer, at, part_B);
		}
		at += part_B;
		from += part_B;
	}
}

/* Copies the sparse buffer back, all of it or what is bound. */
static void sparse_read(VkCommandBuffer commands)
{
	if (gpu.strict) {
		copy(commands, &sparse.buffer, 0, &gpu.readback, 0, sparse.buffer.size_B);
		return;
	}
	for (uint32_t i = 0; i < BLOCKS; i++) {
		VkDeviceSize at = (VkDeviceSize)i * sparse.block_B;

		if (sparse.behind[i] != HOLE) {
			copy(commands, &sparse.buffer, at, &gpu.readback, at, sparse.block_B);
		}
	}
}

/* Compares what sparse_read() brought; holes stay zero, or unread. */
static void sparse_compare(const char *what)
{
	uint8_t *want = allocate(sparse.buffer.size_B);

	for (uint32_t i = 0; i < BLOCKS; i++) {
		if (sparse.behind[i] != HOLE) {
			memcpy(want + (size_t)i * sparse.block_B,
			       sparse.memory + (size_t)sparse.behind[i] * sparse.block_B,
			       sparse.block_B);
		} else if (!gpu.strict) {
			memset(want + (size_t)i * sparse.block_B, 0xee, sparse.block_B);
		}
	}
	check_bytes(gpu.readback.host, want, sparse.buffer.size_B, what);
	free(want);
}

/* The sparse buffer as it is seen through its addresses, and the memory as it is. */
static void sparse_verify(const char *what)
{
	VkCommandBuffer commands = begin();
	char memory[128];

	memset(gpu.readback.host, 0xee, sparse.buffer.size_B);
	sparse_read(commands);
	run(commands);
	sparse_compare(what);
	snprintf(memory, sizeof(memory), "%s: the memory behind it", what);
	verify(&sparse.alias, sparse.memory, memory);
}

static void sparse_make(void)
{
	VkMemoryRequirements need, plain_need;
	VkDeviceSize size_B;

	/* Ask with a small buffer how large a block is. */
	sparse.buffer.handle = new_buffer(4096, SPARSE_FLAGS);
	vkGetBufferMemoryRequirements(gpu.device, sparse.buffer.handle, &need);
	vkDestroyBuffer(gpu.device, sparse.buffer.handle, NULL);
	sparse.block_B = need.alignment > BLOCK_MIN_B ? (uint32_t)need.alignment : BLOCK_MIN_B;
	size_B = (VkDeviceSize)sparse.block_B * BLOCKS;
	if (size_B > STAGING_B) {
		die(1, "blocks of %u bytes are more than this program is made for",
		    sparse.block_B);
	}
	sparse.buffer.size_B = size_B;
	sparse.buffer.handle = new_buffer(size_B, SPARSE_FLAGS);
	vkGetBufferMemoryRequirements(gpu.device, sparse.buffer.handle, &need);

	sparse.alias.size_B = (VkDeviceSize)sparse.block_B * BACKING;
	sparse.alias.handle = new_buffer(sparse.alias.size_B, 0);
	vkGetBufferMemoryRequirements(gpu.device, sparse.alias.handle, &plain_need);
	sparse.alias.memory = new_memory(plain_need.size,
					 need.memoryTypeBits & plain_need.memoryTypeBits,
					 VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
	vk(vkBindBufferMemory(gpu.device, sparse.alias.handle, sparse.alias.memory, 0),
	   "vkBindBufferMemory");
	sparse.memory = allocate(sparse.alias.size_B);
	for (uint32_t i = 0; i < BLOCKS; i++) {
		sparse.behind[i] = HOLE;
	}
}

/* New contents for the memory behind the sparse buffer, and for the upload buffer. */
static void sparse_refill(void)
{
	VkCommandBuffer commands = begin();

	scramble(gpu.upload.host, gpu.upload.size_B);
	memcpy(sparse.memory, gpu.upload.host, sparse.alias.size_B);
	copy(commands, &gpu.upload, 0, &sparse.alias, 0, sparse.alias.size_B);
	run(commands);
	scramble(gpu.upload.host, gpu.upload.size_B);
}

static void try_holes(void)
{
	VkCommandBuffer commands;
	uint32_t bound = 0;

	sparse_refill();
	sparse_verify("nothing bound yet");
	bind_one(0, 5, 10);
	bind_one(9, 1, 3);
	bind_one(40, 30, 40);
	bind_one(BLOCKS - 1, 1, 0);
	sparse_verify("some blocks bound");
	commands = begin();
	sparse_write(commands, 11, 5, 3 * sparse.block_B + 777);
	sparse_write(commands, 1000001, 7 * (VkDeviceSize)sparse.block_B + 9, 777777);
	sparse_write(commands, 77, 35 * (VkDeviceSize)sparse.block_B + 1,
		     40 * (VkDeviceSize)sparse.block_B - 3);
	run(commands);
	sparse_verify("written across blocks and holes");
	for (uint32_t i = 0; i < BLOCKS; i++) {
		bound += sparse.behind[i] != HOLE;
	}
	printf("bound    %u of %u blocks of %u bytes%s\n", bound, BLOCKS, sparse.block_B,
	       gpu.strict ? ", holes read as zero and swallow writes" : "");
	if (!gpu.strict) {
		puts("left out reads and writes of holes: residencyNonResidentStrict is not "
		     "reported");
	}
}

static void try_rebinding(void)
{
	VkCommandBuffer commands;

	/* The middle of a range goes, part of it moves, another part appears twice. */
	bind_one(50, 7, HOLE);
	sparse_verify("the middle unbound");
	bind_one(52, 3, 80);
	bind_one(41, 4, 60);
	sparse_verify("parts bound elsewhere");
	commands = begin();
	sparse_write(commands, 4242, 40 * (VkDeviceSize)sparse.block_B + 123,
		     8 * (VkDeviceSize)sparse.block_B);
	run(commands);
	sparse_verify("written after rebinding");
	bind_one(0, BLOCKS, HOLE);
	sparse_verify("all unbound");
	printf("rebound  the middle, parts, all of it\n");
}

static void try_many(void)
{
	VkSparseMemoryBind binds[64];
	VkCommandBuffer commands;

	sparse_refill();
	for (uint32_t i = 0; i < 64; i++) {
		fill_bind(&binds[i], 2 * i, 1, (int)(63 - i));
	}
	bind_and_wait(binds, 64);
	sparse_verify("64 binds in one call");
	/* Backwards through the buffer, now every third, with unbinds among them. */
	for (uint32_t i = 0; i < 64; i++) {
		fill_bind(&binds[i], BLOCKS - 1 - i, 1, i % 3 ? (int)(i + 20) : HOLE);
	}
	bind_and_wait(binds, 64);
	commands = begin();
	sparse_write(commands, 31, 64 * (VkDeviceSize)sparse.block_B + 31,
		     50 * (VkDeviceSize)sparse.block_B);
	run(commands);
	sparse_verify("64 more, with unbinds among them");
	bind_one(0, BLOCKS, HOLE);
	printf("bound    64 pieces in one call, twice\n");
}

/* ---- Order -------------------------------------------------------------------------------- */

/* Binds and copies take turns on two queues; the host waits for the last one only. */
static void try_chain(void)
{
	VkSemaphore chain = new_timeline();
	VkSparseMemoryBind binds[8];
	uint64_t value = 0;

	sparse_refill();
	for (uint32_t i = 0; i < CHAIN_ROUNDS; i++) {
		VkCommandBuffer commands = begin();
		int first = (int)(i * 5 % (BACKING - 8));

		for (uint32_t j = 0; j < 8; j++) {
			fill_bind(&binds[j], 16 + j, 1, j == i % 8 ? HOLE : first + (int)j);
		}
		queue_binds(binds, 8, (struct order){ chain, value, chain, value + 1 });
		sparse_write(commands, i * 1001, 16 * (VkDeviceSize)sparse.block_B + i,
			     7 * (VkDeviceSize)sparse.block_B + 4321);
		submit(commands, (struct order){ chain, value + 1, chain, value + 2 });
		value += 2;
	}
	wait_for(chain, value);
	check(value_of(chain) == value, "the chain's last value");
	sparse_verify("binds and copies by turns");
	printf("ordered  %u calls that bind and %u copies by a timeline, one wait by the host\n",
	       CHAIN_ROUNDS, CHAIN_ROUNDS);
	vkDestroySemaphore(gpu.device, chain, NULL);
}

/* A copy waits for a value that only the host signals, later. */
static void try_host_signal(void)
{
	VkSemaphore gate = new_timeline(), done = new_timeline();
	VkCommandBuffer commands = begin();

	scramble(gpu.upload.host, gpu.upload.size_B);
	memset(gpu.readback.host, 0xee, 99999);
	copy(commands, &gpu.upload, 3, &gpu.readback, 0, 99999);
	submit(commands, (struct order){ gate, 7, done, 1 });
	pause_a_moment();
	host_signals(gate, 6);
	pause_a_moment();
	check(value_of(done) == 0 && gpu.readback.host[0] == 0xee &&
		      gpu.readback.host[99998] == 0xee,
	      "a copy begins before the host's signal");
	host_signals(gate, 7);
	wait_for(done, 1);
	check_bytes(gpu.readback.host, gpu.upload.host + 3, 99999, "a copy the host let go");
	printf("waited   a copy for a value the host signalled afterwards\n");
	vkDestroySemaphore(gpu.device, gate, NULL);
	vkDestroySemaphore(gpu.device, done, NULL);
}

/* Submissions that hold nothing still wait and signal in their turn. */
static void try_empty(void)
{
	VkSemaphore gate = new_timeline(), relay = new_timeline();

	submit(VK_NULL_HANDLE, (struct order){ gate, 1, relay, 1 });
	if (gpu.has_sparse) {
		queue_binds(NULL, 0, (struct order){ relay, 1, relay, 2 });
	} else {
		submit(VK_NULL_HANDLE, (struct order){ relay, 1, relay, 2 });
	}
	submit(VK_NULL_HANDLE, (struct order){ relay, 2, relay, 3 });
	pause_a_moment();
	check(value_of(relay) == 0, "what holds nothing goes before its turn");
	host_signals(gate, 1);
	wait_for(relay, 3);
	vk(vkQueueWaitIdle(gpu.transfer.queue), "vkQueueWaitIdle");
	vk(vkQueueWaitIdle(gpu.sparse.queue), "vkQueueWaitIdle");
	check(value_of(relay) == 3, "the last value of what holds nothing");
	printf("relayed  a signal through submissions and binds of nothing\n");
	vkDestroySemaphore(gpu.device, gate, NULL);
	vkDestroySemaphore(gpu.device, relay, NULL);
}

/* A copy waits for a bind submitted after it, and a bind for a copy submitted after it. */
static void try_late_signals(void)
{
	VkSemaphore bound = new_timeline(), copied = new_timeline();
	VkSparseMemoryBind early, late;
	VkCommandBuffer commands;

	sparse_refill();
	bind_one(0, BLOCKS, HOLE);
	fill_bind(&early, 30, 4, 11);
	commands = begin();
	sparse_write(commands, 5, 30 * (VkDeviceSize)sparse.block_B + 3,
		     3 * (VkDeviceSize)sparse.block_B);
	submit(commands, (struct order){ bound, 1, copied, 1 });
	pause_a_moment();
	check(value_of(copied) == 0, "a copy begins before its blocks are bound");
	queue_binds(&early, 1, (struct order){ .signal = bound, .signal_value = 1 });

	/* The blocks move only when the second copy has gone to where they were. */
	commands = begin();
	sparse_write(commands, 100003, 31 * (VkDeviceSize)sparse.block_B, sparse.block_B);
	fill_bind(&late, 30, 4, 70);
	queue_binds(&late, 1, (struct order){ copied, 2, bound, 2 });
	pause_a_moment();
	check(value_of(bound) < 2, "a bind happens before what it waits for");
	submit(commands, (struct order){ copied, 1, copied, 2 });
	commands = begin();
	sparse_write(commands, 200005, 30 * (VkDeviceSize)sparse.block_B + 1,
		     2 * (VkDeviceSize)sparse.block_B);
	submit(commands, (struct order){ bound, 2, copied, 3 });
	wait_for(copied, 3);
	sparse_verify("waits submitted before their signals");
	printf("waited   a copy for a later bind, and a bind for a later copy\n");
	vkDestroySemaphore(gpu.device, bound, NULL);
	vkDestroySemaphore(gpu.device, copied, NULL);
}

static void try_sparse(void)
{
	if (!gpu.has_sparse) {
		puts("left out all binding: no queue binds, or sparseResidencyBuffer or "
		     "sparseResidencyAliased is not reported");
		return;
	}
	sparse_make();
	try_holes();
	try_rebinding();
	try_many();
	try_chain();
	if (two_queues()) {
		try_late_signals();
	} else {
		puts("left out waits for work submitted later: there is only one queue");
	}
	vkDestroyBuffer(gpu.device, sparse.buffer.handle, NULL);
	destroy_buffer(&sparse.alias);
	free(sparse.memory);
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	open_gpu(argc > 1 ? argv[1] : getenv("VULKAN_SPARSE_DEVICE"));
	scramble(gpu.upload.host, gpu.upload.size_B);

	try_plain();
	try_churn();
	try_host_signal();
	try_empty();
	try_sparse();

	close_gpu();
	if (failed) {
		printf("%u of %u checks failed\n", failed, passed + failed);
		return 1;
	}
	printf("%u checks passed\n", passed);
	return 0;
}
