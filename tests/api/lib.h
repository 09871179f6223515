/* SPDX-License-Identifier: MIT */
/*
 * For programs that test the library as somebody else's program sees it: they know the public
 * header and nothing else of this tree. Every case runs with a device of its own, once under each
 * schedule; a failed check prints where and aborts.
 */
#ifndef TESTS_API_LIB_H
#define TESTS_API_LIB_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <vmbind/vmbind.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define PAGE 0x1000u
#define SPACE_B ((uint64_t)1 << 48)
#define MEMORY_B ((uint64_t)64 << 20) /* of each kind the device has */

struct test_case {
	const char *name;
	void (*fn)(struct vmb_device *device);
};
#define TEST(fn) { #fn, fn }

int test_main(const struct test_case *cases, size_t n, int argc, char **argv);

void test_eq(const char *file, int line, const char *text, int64_t got, int64_t want);
#define CHECK_EQ(a, b)                                                                             \
	test_eq(__FILE__, __LINE__, #a " == " #b, (int64_t)(a), (int64_t)(b))
#define CHECK(cond) test_eq(__FILE__, __LINE__, #cond, !!(cond), 1)
#define CHECK_OK(expr) CHECK_EQ(expr, 0)

/* A struct that is too long for the library, with something or nothing behind its end. */
#define LONGER(type) struct { type args; uint64_t later; }

/* ---- short ways; what they do must succeed --------------------------------------------------- */

struct vmb_vm *new_vm(struct vmb_device *device, uint32_t flags, uint32_t errors);
struct vmb_bo *new_bo(struct vmb_device *device, uint64_t length_B);
struct vmb_syncobj *new_syncobj(struct vmb_device *device);
/* On any copy engine. */
struct vmb_queue *new_queue(struct vmb_vm *vm);

struct vmb_bind_op op_map(struct vmb_bo *bo, uint64_t addr, uint64_t offset, uint64_t range_B);
struct vmb_bind_op op_unmap(uint64_t addr, uint64_t range_B);

struct vmb_sync sync_wait(struct vmb_syncobj *syncobj, uint64_t point);
struct vmb_sync sync_signal(struct vmb_syncobj *syncobj, uint64_t point);

/* Synchronous; these return what vmb_bind() does. */
int bind_list(struct vmb_vm *vm, const struct vmb_bind_op *ops, uint32_t n, uint32_t flags,
	      struct vmb_bind_reply *reply);
int bind_one(struct vmb_vm *vm, struct vmb_bind_op op);
/* One operation with syncs. */
int bind_syncs(struct vmb_vm *vm, struct vmb_bind_queue *queue, struct vmb_bind_op op,
	       const struct vmb_sync *syncs, uint32_t n);
int submit(struct vmb_queue *queue, uint64_t batch, const struct vmb_sync *syncs, uint32_t n);

uint64_t in_ms(unsigned ms); /* as a deadline */
/* Waits for one syncobj, ten seconds at most. */
int wait_for(struct vmb_syncobj *syncobj, uint64_t point);
bool is_signalled(struct vmb_syncobj *syncobj, uint64_t point);

/* Where @addr leads: the first dword there, -EFAULT. */
int64_t read_dword(struct vmb_vm *vm, uint64_t addr);
/* How many mappings there are. */
unsigned mappings(struct vmb_vm *vm);

/* A batch that stores @value at GPU address @addr. */
void batch_store(void *cpu, uint64_t addr, uint32_t value);
/* A batch at @self that spins until the dword at @flag is 0. */
void batch_spin(void *cpu, uint64_t self, uint64_t flag);

#endif
