// SPDX-License-Identifier: MIT
/* What a list that fails leaves behind, in each of the three flavours, and how one goes on. */
#include "lib.h"

#include <sys/mman.h>

#define OPS 5
#define AT(i) (((uint64_t)(i) + 1) << 32)

/* A list of maps, of which one can be made unable to work. */
struct list {
	struct vmb_device *device;
	struct vmb_bo *bo;      /* what the others map, a page each */
	struct vmb_bo *big;     /* most of the system memory there is */
	struct vmb_bo *foreign; /* private to @owner */
	struct vmb_vm *owner;
	void *hole;             /* addresses with nothing behind them */
	struct vmb_bind_op ops[OPS];
};

static void list_init(struct list *l, struct vmb_device *device)
{
	struct vmb_bo_args args = { .size_B = sizeof(args), .length_B = MEMORY_B / 4 * 3 };

	l->device = device;
	l->bo = new_bo(device, OPS * PAGE);
	l->owner = new_vm(device, 0, 0);
	CHECK_OK(vmb_bo_create(device, &args, &l->big));
	args.length_B = PAGE;
	args.vm = l->owner;
	CHECK_OK(vmb_bo_create(device, &args, &l->foreign));
	l->hole = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(l->hole != MAP_FAILED);
	for (unsigned i = 0; i < OPS; i++) {
		((uint32_t *)vmb_bo_map(l->bo))[i * PAGE / 4] = 0x500 + i;
		l->ops[i] = op_map(l->bo, AT(i), i * PAGE, PAGE);
	}
}

static void list_fini(struct list *l)
{
	vmb_bo_destroy(l->bo);
	vmb_bo_destroy(l->big);
	vmb_bo_destroy(l->foreign);
	vmb_vm_destroy(l->owner);
	munmap(l->hole, PAGE);
}

/* Takes up so much memory that @big gets none, until what it returns is destroyed. */
static struct vmb_vm *hog(struct list *l)
{
	struct vmb_bo_args args = { .size_B = sizeof(args), .length_B = MEMORY_B / 2 };
	struct vmb_vm *vm = new_vm(l->device, 0, 0);
	struct vmb_bo *bo;

	CHECK_OK(vmb_bo_create(l->device, &args, &bo));
	CHECK_OK(bind_one(vm, op_map(bo, PAGE, 0, PAGE)));
	vmb_bo_destroy(bo);
	return vm;
}

struct failure {
	int error;
	enum vmb_bind_reason reason;
	bool mistake; /* found before the first operation */
};

/* Makes operation @at one that fails, in one of several ways; false: there are no more. */
static bool spoil(struct list *l, unsigned at, unsigned way, struct failure *want)
{
	struct vmb_bind_op *op = &l->ops[at];

	switch (way) {
	case 0:
		*op = op_map(l->bo, SPACE_B, 0, PAGE);
		*want = (struct failure){ -EINVAL, VMB_REASON_BAD_RANGE, true };
		return true;
	case 1:
		*op = op_map(l->bo, AT(at), OPS * PAGE, PAGE);
		*want = (struct failure){ -EINVAL, VMB_REASON_BAD_RANGE, true };
		return true;
	case 2:
		*op = op_map(l->foreign, AT(at), 0, PAGE);
		*want = (struct failure){ -EINVAL, VMB_REASON_FOREIGN_BO, true };
		return true;
	case 3:
		*op = op_map(l->big, AT(at), 0, PAGE);
		*want = (struct failure){ -ENOSPC, VMB_REASON_NO_FRAMES, false };
		return true;
	case 4:
		*op = (struct vmb_bind_op){ .kind = VMB_BIND_MAP_USER, .addr = AT(at),
					    .range_B = PAGE, .user = l->hole };
		*want = (struct failure){ -EFAULT, VMB_REASON_NO_CLIENT_MEMORY, false };
		return true;
	default:
		return false;
	}
}

/* Exactly the first @n operations of the list have been carried out. */
static void check_first(const struct list *l, struct vmb_vm *vm, unsigned n)
{
	CHECK_EQ(mappings(vm), n);
	for (unsigned i = 0; i < OPS; i++) {
		CHECK_EQ(read_dword(vm, AT(i)), i < n ? 0x500 + (int)i : -EFAULT);
	}
}

/* Every operation fails in every way; what is left is as @errors says. */
static void fail_everywhere(struct vmb_device *device, enum vmb_errors errors)
{
	struct failure want;

	for (unsigned way = 0, at = 0;;) {
		struct vmb_bind_op next;
		struct vmb_bind_reply reply;
		struct list l;
		struct vmb_vm *full, *vm = new_vm(device, 0, errors);
		bool more;

		list_init(&l, device);
		full = hog(&l);
		more = spoil(&l, at, way, &want);
		if (more) {
			bool kept = errors != VMB_ERRORS_UNWIND && !want.mistake;
			bool stuck = errors == VMB_ERRORS_RESTART && !want.mistake;
			unsigned left = kept ? at : 0;

			CHECK_EQ(bind_list(vm, l.ops, OPS, 0, &reply), want.error);
			CHECK_EQ(reply.reason, want.reason);
			CHECK_EQ(reply.failed_op, at);
			CHECK_EQ(reply.done, left);
			check_first(&l, vm, left);
			next = op_map(l.bo, AT(left), left * PAGE, PAGE);
			CHECK_EQ(bind_one(vm, next), stuck ? -EALREADY : 0);
			check_first(&l, vm, left + !stuck);
		}
		vmb_vm_destroy(vm);
		vmb_vm_destroy(full);
		list_fini(&l);
		if (!more) {
			return;
		}
		way += at == OPS - 1;
		at = (at + 1) % OPS;
	}
}

static void test_A27_unwinding_leaves_nothing(struct vmb_device *device)
{
	fail_everywhere(device, VMB_ERRORS_UNWIND);
}

static void test_A26_a_cookie_leaves_what_came_before(struct vmb_device *device)
{
	fail_everywhere(device, VMB_ERRORS_COOKIE);
}

static void test_A25_restarting_leaves_what_came_before(struct vmb_device *device)
{
	fail_everywhere(device, VMB_ERRORS_RESTART);
}

/* What an unwound list took out of the address space is there again. */
static void test_A23_what_was_replaced_is_back(struct vmb_device *device)
{
	struct vmb_vm *vm = new_vm(device, 0, VMB_ERRORS_UNWIND);
	struct failure want;
	struct list l;

	list_init(&l, device);
	CHECK_OK(bind_list(vm, l.ops, OPS, 0, NULL));
	l.ops[0] = op_unmap(0, SPACE_B);
	l.ops[1] = op_map(l.bo, AT(2), 0, PAGE);
	CHECK(spoil(&l, 2, 4, &want));
	CHECK_EQ(bind_list(vm, l.ops, OPS, 0, NULL), want.error);
	check_first(&l, vm, OPS);
	vmb_vm_destroy(vm);
	list_fini(&l);
}

static void test_A26_a_cookie_is_gone_on_from(struct vmb_device *device)
{
	struct vmb_vm *vm = new_vm(device, 0, VMB_ERRORS_COOKIE);
	struct vmb_bind_reply reply;
	struct failure want;
	struct list l;

	list_init(&l, device);
	CHECK(spoil(&l, 2, 4, &want));
	CHECK_EQ(bind_list(vm, l.ops, OPS, 0, &reply), want.error);
	CHECK_EQ(reply.done, 2);
	check_first(&l, vm, 2);
	l.ops[2] = op_map(l.bo, AT(2), 2 * PAGE, PAGE);
	CHECK_OK(bind_list(vm, l.ops + reply.done, OPS - reply.done, 0, &reply));
	CHECK_EQ(reply.done, OPS - 2);
	check_first(&l, vm, OPS);
	vmb_vm_destroy(vm);
	list_fini(&l);
}

/* What stays waits for the in-syncs like the list; the out-syncs are not signalled. */
static void what_stays_waits_for_the_in_syncs(struct vmb_device *device)
{
	struct vmb_vm *vm = new_vm(device, 0, VMB_ERRORS_COOKIE);
	struct vmb_syncobj *in = new_syncobj(device), *out = new_syncobj(device);
	struct vmb_queue *queue;
	struct vmb_sync syncs[2] = { sync_signal(in, 0) };
	struct vmb_bind_args args = { .size_B = sizeof(args), .op_count = OPS, .syncs = syncs,
				      .sync_count = 2 };
	struct vmb_bo *gate = new_bo(device, PAGE);
	uint32_t *flag = (uint32_t *)vmb_bo_map(gate) + 0x800 / 4;
	struct vmb_bind_reply reply = { .size_B = sizeof(reply) };
	struct failure want;
	struct list l;

	list_init(&l, device);
	*flag = 1;
	batch_spin(vmb_bo_map(gate), PAGE, PAGE + 0x800);
	CHECK_OK(bind_one(l.owner, op_map(gate, PAGE, 0, PAGE)));
	queue = new_queue(l.owner);
	CHECK_OK(submit(queue, PAGE, syncs, 1));
	syncs[0] = sync_wait(in, 0);
	syncs[1] = sync_signal(out, 1);
	args.ops = l.ops;
	CHECK(spoil(&l, 3, 4, &want));
	CHECK_EQ(vmb_bind(vm, &args, &reply), want.error);
	CHECK_EQ(reply.done, 3);
	CHECK_EQ(mappings(vm), 3);
	CHECK_EQ(read_dword(vm, AT(0)), -EFAULT);
	__atomic_store_n(flag, 0, __ATOMIC_RELEASE);
	CHECK_OK(bind_list(vm, NULL, 0, 0, NULL)); /* behind what was published */
	check_first(&l, vm, 3);
	CHECK_EQ(wait_for(out, 1), -EINVAL);
	vmb_queue_destroy(queue);
	vmb_vm_destroy(vm);
	vmb_bo_destroy(gate);
	vmb_syncobj_destroy(in);
	vmb_syncobj_destroy(out);
	list_fini(&l);
}

static void test_A25_A28_an_error_state_and_a_restart(struct vmb_device *device)
{
	struct vmb_vm *full, *vm = new_vm(device, 0, VMB_ERRORS_RESTART);
	struct vmb_bind_reply reply;
	struct failure want;
	struct list l;

	list_init(&l, device);
	full = hog(&l);
	CHECK(spoil(&l, 3, 3, &want));
	CHECK_EQ(bind_list(vm, l.ops, OPS, 0, &reply), want.error);
	check_first(&l, vm, 3);
	/* Only unmapping, until it is restarted. */
	CHECK_EQ(bind_list(vm, &l.ops[4], 1, 0, &reply), -EALREADY);
	CHECK_EQ(reply.reason, VMB_REASON_ERROR_STATE);
	CHECK_EQ(bind_list(vm, l.ops, OPS, 0, &reply), -EALREADY);
	CHECK_EQ(bind_list(vm, l.ops, 4, VMB_BIND_RESTART, &reply), -EINVAL);
	CHECK_EQ(reply.reason, VMB_REASON_NOT_THE_LIST);
	CHECK_OK(bind_one(vm, op_unmap(AT(2), PAGE)));
	check_first(&l, vm, 2);
	/* Nothing has changed: it fails again. */
	CHECK_EQ(bind_list(vm, l.ops, OPS, VMB_BIND_RESTART, &reply), want.error);
	CHECK_EQ(reply.reason, want.reason);
	CHECK_EQ(reply.failed_op, 3);
	vmb_vm_destroy(full);
	CHECK_OK(bind_list(vm, l.ops, OPS, VMB_BIND_RESTART, &reply));
	CHECK_EQ(reply.done, OPS);
	CHECK_EQ(mappings(vm), 4);
	CHECK_EQ(read_dword(vm, AT(2)), -EFAULT);
	CHECK_EQ(read_dword(vm, AT(3)), 0);
	CHECK_EQ(read_dword(vm, AT(4)), 0x504);
	/* And all is well again. */
	CHECK_OK(bind_one(vm, op_map(l.bo, AT(2), 2 * PAGE, PAGE)));
	CHECK_EQ(bind_list(vm, l.ops, OPS, VMB_BIND_RESTART, &reply), -EINVAL);
	CHECK_EQ(reply.reason, VMB_REASON_NOT_THE_LIST);
	vmb_vm_destroy(vm);
	list_fini(&l);
}

/* An address space ends in its error state like in any other. */
static void test_A25_an_end_in_error_state(struct vmb_device *device)
{
	struct vmb_vm *vm = new_vm(device, 0, VMB_ERRORS_RESTART);
	struct failure want;
	struct list l;

	list_init(&l, device);
	CHECK(spoil(&l, 2, 4, &want));
	CHECK_EQ(bind_list(vm, l.ops, OPS, 0, NULL), want.error);
	vmb_vm_destroy(vm);
	list_fini(&l);
}

static void every_reason_has_a_text(struct vmb_device *device)
{
	const char *unknown = vmb_bind_reason_text(VMB_REASON_NOT_THE_LIST + 1);

	(void)device;
	CHECK(strcmp(unknown, "unknown reason") == 0);
	for (int i = VMB_REASON_NONE; i <= VMB_REASON_NOT_THE_LIST; i++) {
		CHECK(strcmp(vmb_bind_reason_text((enum vmb_bind_reason)i), unknown) != 0);
	}
	CHECK(strcmp(vmb_bind_reason_text((enum vmb_bind_reason)-1), unknown) == 0);
}

static void other_reasons(struct vmb_device *device)
{
	struct vmb_vm *vm = new_vm(device, 0, 0);
	struct vmb_bo *bo = new_bo(device, PAGE), *gate = new_bo(device, PAGE);
	struct vmb_queue *queue = new_queue(vm);
	struct vmb_syncobj *in = new_syncobj(device);
	uint64_t memory = 0;
	struct vmb_sync syncs[2] = { sync_signal(in, 0) };
	struct vmb_bind_op map = op_map(bo, AT(0), 0, PAGE);
	uint32_t *flag = (uint32_t *)vmb_bo_map(gate) + 0x800 / 4;
	struct vmb_bind_reply reply;

	*flag = 1;
	batch_spin(vmb_bo_map(gate), PAGE, PAGE + 0x800);
	CHECK_OK(bind_one(vm, op_map(gate, PAGE, 0, PAGE)));
	CHECK_OK(submit(queue, PAGE, syncs, 1));
	syncs[0] = sync_wait(in, 0);
	syncs[1] = (struct vmb_sync){ .flags = VMB_SYNC_SIGNAL, .memory = &memory, .value = 1 };
	CHECK_OK(bind_syncs(vm, NULL, map, syncs, 2));
	CHECK_EQ(bind_list(vm, &map, 1, 0, &reply), -EBUSY);
	CHECK_EQ(reply.reason, VMB_REASON_BUSY);
	CHECK_EQ(bind_list(vm, &map, 1, VMB_BIND_RESTART, &reply), -EINVAL);
	CHECK_EQ(reply.reason, VMB_REASON_NOT_THE_LIST);
	__atomic_store_n(flag, 0, __ATOMIC_RELEASE);
	CHECK_OK(vmb_memory_wait(device, &memory, 1, in_ms(10000)));
	vmb_vm_ban(vm);
	CHECK_EQ(bind_list(vm, &map, 1, 0, &reply), -ENOENT);
	CHECK_EQ(reply.reason, VMB_REASON_VM_GONE);
	CHECK_EQ(reply.done, 0);
	vmb_queue_destroy(queue);
	vmb_vm_destroy(vm);
	vmb_bo_destroy(bo);
	vmb_bo_destroy(gate);
	vmb_syncobj_destroy(in);
}

static const struct test_case cases[] = {
	TEST(test_A23_what_was_replaced_is_back),
	TEST(test_A25_an_end_in_error_state),
	TEST(every_reason_has_a_text),
	TEST(test_A27_unwinding_leaves_nothing),
	TEST(test_A26_a_cookie_leaves_what_came_before),
	TEST(test_A25_restarting_leaves_what_came_before),
	TEST(test_A26_a_cookie_is_gone_on_from),
	TEST(what_stays_waits_for_the_in_syncs),
	TEST(test_A25_A28_an_error_state_and_a_restart),
	TEST(other_reasons),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
