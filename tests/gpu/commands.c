// SPDX-License-Identifier: MIT
/* What single commands do to memory and registers, and how unknown ones are stepped over. */
#include "rig.h"

static struct rig rig;

#define MI(op, len) ((uint32_t)(op) << 23 | (uint32_t)(len))
#define CS_DST (1u << 19)
#define CS_SRC (1u << 18)
#define GPR(n) (0x600u + 8u * (n))
#define BASE 0x22000u /* of the rig's copy engine */

static void emit_lri(uint32_t reg, uint32_t value)
{
	emit(&rig, MI(0x22, 1) | CS_DST);
	emit(&rig, reg);
	emit(&rig, value);
}

static void emit_srm(uint32_t reg, uint64_t addr)
{
	emit(&rig, MI(0x24, 2) | CS_DST);
	emit(&rig, reg);
	emit_addr(&rig, addr);
}

static void store_writes_a_dword(void)
{
	rig_init(&rig);
	emit_store(&rig, RIG_DATA + 4, 0xc0ffee);
	rig_finish(&rig);
	CHECK_EQ(*rig_data32(&rig, 0), 0);
	CHECK_EQ(*rig_data32(&rig, 4), 0xc0ffee);
	CHECK_EQ(*rig_data32(&rig, 8), 0);
	rig_fini(&rig);
}

static void store_writes_a_qword(void)
{
	rig_init(&rig);
	emit(&rig, MI(0x20, 3) | 1u << 21);
	emit_addr(&rig, RIG_DATA + 8);
	emit_addr(&rig, 0x1122334455667788);
	rig_finish(&rig);
	CHECK_EQ(*rig_data64(&rig, 8), 0x1122334455667788);
	rig_fini(&rig);
}

static void store_of_a_thousand_dwords_crosses_pages(void)
{
	const uint32_t n = 1000;

	rig_init(&rig);
	emit(&rig, MI(0x20, n + 1));
	emit_addr(&rig, RIG_DATA + 4096 - 8);
	for (uint32_t i = 0; i < n; i++) {
		emit(&rig, i * 3 + 1);
	}
	rig_finish(&rig);
	for (uint32_t i = 0; i < n; i++) {
		CHECK_EQ(*rig_data32(&rig, 4096 - 8 + 4 * i), i * 3 + 1);
	}
	CHECK_EQ(*rig_data32(&rig, 4096 - 8 + 4 * n), 0);
	rig_fini(&rig);
}

static void address_fields_have_48_bits(void)
{
	uint64_t va = 0x812300000000;

	rig_init(&rig);
	rig_map(&rig, va, 0, false, (RIG_PHYS + RIG_DATA) | E_RW);
	emit_store(&rig, va, 1);
	emit_store(&rig, va + 4 + ((uint64_t)0xffff << 48), 2);
	emit_store(&rig, va + 8 + ((uint64_t)0x1234 << 48), 3);
	rig_finish(&rig);
	CHECK_EQ(*rig_data32(&rig, 0), 1);
	CHECK_EQ(*rig_data32(&rig, 4), 2);
	CHECK_EQ(*rig_data32(&rig, 8), 3);
	rig_fini(&rig);
}

static void registers_are_loaded_moved_and_stored(void)
{
	rig_init(&rig);
	*rig_data32(&rig, 0x40) = 0xabcd;
	emit(&rig, MI(0x22, 3) | CS_DST); /* two at once */
	emit(&rig, GPR(1));
	emit(&rig, 0x11);
	emit(&rig, GPR(1) + 4);
	emit(&rig, 0x22);
	emit(&rig, MI(0x2a, 1) | CS_DST | CS_SRC);
	emit(&rig, GPR(1) + 4);
	emit(&rig, GPR(15));
	emit(&rig, MI(0x29, 2) | CS_DST);
	emit(&rig, GPR(2));
	emit_addr(&rig, RIG_DATA + 0x40);
	emit_srm(GPR(1), RIG_DATA);
	emit_srm(GPR(1) + 4, RIG_DATA + 4);
	emit_srm(GPR(15), RIG_DATA + 8);
	emit_srm(GPR(2), RIG_DATA + 12);
	rig_finish(&rig);
	CHECK_EQ(*rig_data32(&rig, 0), 0x11);
	CHECK_EQ(*rig_data32(&rig, 4), 0x22);
	CHECK_EQ(*rig_data32(&rig, 8), 0x22);
	CHECK_EQ(*rig_data32(&rig, 12), 0xabcd);
	CHECK_EQ(rig.ctx.gpr[1], 0x2200000011);
	rig_fini(&rig);
}

static void register_can_be_named_relative_or_absolute(void)
{
	rig_init(&rig);
	emit(&rig, MI(0x22, 1));
	emit(&rig, BASE + GPR(3));
	emit(&rig, 5);
	emit_srm(GPR(3), RIG_DATA);
	/* Another engine's register of that name is none of ours. */
	emit(&rig, MI(0x22, 1));
	emit(&rig, 0x2000 + GPR(3));
	emit(&rig, 6);
	emit_srm(GPR(3), RIG_DATA + 4);
	rig_finish(&rig);
	CHECK_EQ(*rig_data32(&rig, 0), 5);
	CHECK_EQ(*rig_data32(&rig, 4), 5);
	rig_fini(&rig);
}

static void unknown_register_reads_zero_and_drops_writes(void)
{
	rig_init(&rig);
	*rig_data32(&rig, 0) = 1;
	emit_lri(0x9c, 0xffffffff);
	emit_srm(0x9c, RIG_DATA);
	rig_finish(&rig);
	CHECK_EQ(*rig_data32(&rig, 0), 0);
	rig_fini(&rig);
}

static void byte_disables_keep_bytes_of_a_register(void)
{
	rig_init(&rig);
	emit_lri(GPR(0), 0x11223344);
	emit(&rig, MI(0x22, 1) | CS_DST | 5u << 8);
	emit(&rig, GPR(0));
	emit(&rig, 0xaabbccdd);
	rig_finish(&rig);
	CHECK_EQ(rig.ctx.gpr[0], 0xaa22cc44);
	rig_fini(&rig);
}

#define ALU(op, a, b) ((uint32_t)(op) << 20 | (uint32_t)(a) << 10 | (uint32_t)(b))

/* Runs R2 = R0 @op R1, R3 = zero flag, R4 = carry flag. */
static void math(unsigned op, uint64_t a, uint64_t b)
{
	rig.emitted = 0;
	rig.ctx.gpr[0] = a;
	rig.ctx.gpr[1] = b;
	emit(&rig, MI(0x1a, 5));
	emit(&rig, ALU(0x080, 0x20, 0));
	emit(&rig, ALU(0x080, 0x21, 1));
	emit(&rig, ALU(op, 0, 0));
	emit(&rig, ALU(0x180, 2, 0x31));
	emit(&rig, ALU(0x180, 3, 0x32));
	emit(&rig, ALU(0x180, 4, 0x33));
	rig_finish(&rig);
}

static void math_computes_with_flags(void)
{
	static const struct {
		unsigned op;
		uint64_t a, b, result;
		bool zero, carry;
	} t[] = {
		{ 0x100, 5, 7, 12, false, false },
		{ 0x100, UINT64_MAX, 1, 0, true, true },
		{ 0x101, 7, 5, 2, false, false },
		{ 0x101, 5, 5, 0, true, false },
		{ 0x101, 5, 7, UINT64_MAX - 1, false, true },
		{ 0x102, 0xff00, 0x0ff0, 0x0f00, false, false },
		{ 0x103, 0xff00, 0x0ff0, 0xfff0, false, false },
		{ 0x104, 0xff00, 0x0ff0, 0xf0f0, false, false },
		{ 0x105, 3, 62, (uint64_t)3 << 62, false, false },
		{ 0x106, (uint64_t)1 << 63, 63, 1, false, false },
		{ 0x107, (uint64_t)1 << 63, 63, UINT64_MAX, false, false },
	};

	rig_init(&rig);
	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		math(t[i].op, t[i].a, t[i].b);
		CHECK_EQ(rig.ctx.gpr[2], t[i].result);
		CHECK_EQ(rig.ctx.gpr[3], t[i].zero ? UINT64_MAX : 0);
		CHECK_EQ(rig.ctx.gpr[4], t[i].carry ? UINT64_MAX : 0);
	}
	rig_fini(&rig);
}

static void math_loads_constants_and_inverses(void)
{
	rig_init(&rig);
	rig.ctx.gpr[0] = 0xf0;
	emit(&rig, MI(0x1a, 11));
	emit(&rig, ALU(0x480, 0x20, 0)); /* a = ~R0 */
	emit(&rig, ALU(0x081, 0x21, 0)); /* b = 0 */
	emit(&rig, ALU(0x103, 0, 0));
	emit(&rig, ALU(0x180, 1, 0x31));
	emit(&rig, ALU(0x580, 2, 0x31)); /* R2 = ~~R0 */
	emit(&rig, ALU(0x481, 0x20, 0)); /* a = all ones */
	emit(&rig, ALU(0x081, 0x21, 0));
	emit(&rig, ALU(0x100, 0, 0));
	emit(&rig, ALU(0x180, 3, 0x31));
	emit(&rig, ALU(0x580, 4, 0x32)); /* R4 = not zero */
	emit(&rig, ALU(0x000, 0, 0));
	emit(&rig, ALU(0x180, 5, 0x20));
	rig_finish(&rig);
	CHECK_EQ(rig.ctx.gpr[1], ~(uint64_t)0xf0);
	CHECK_EQ(rig.ctx.gpr[2], 0xf0);
	CHECK_EQ(rig.ctx.gpr[3], UINT64_MAX);
	CHECK_EQ(rig.ctx.gpr[4], UINT64_MAX);
	CHECK_EQ(rig.ctx.gpr[5], UINT64_MAX);
	rig_fini(&rig);
}

static void math_reaches_memory_through_the_accumulator(void)
{
	rig_init(&rig);
	rig.ctx.gpr[0] = RIG_DATA;
	rig.ctx.gpr[1] = 8;
	*rig_data64(&rig, 8) = 0x123456789abcdef0;
	emit(&rig, MI(0x1a, 7));
	emit(&rig, ALU(0x080, 0x20, 0));
	emit(&rig, ALU(0x080, 0x21, 1));
	emit(&rig, ALU(0x100, 0, 0));
	emit(&rig, ALU(0x082, 2, 0x31));
	emit(&rig, ALU(0x081, 0x21, 0));
	emit(&rig, ALU(0x001, 0, 0));
	emit(&rig, ALU(0x100, 0, 0));
	emit(&rig, ALU(0x181, 0x31, 2));
	rig_finish(&rig);
	CHECK_EQ(rig.ctx.gpr[2], 0x123456789abcdef0);
	CHECK_EQ(*rig_data64(&rig, 0), 0x123456789abcdef0);
	rig_fini(&rig);
}

static void math_that_faults_changes_no_register(void)
{
	rig_init(&rig);
	rig.ctx.gpr[5] = 9;
	emit(&rig, MI(0x1a, 2));
	emit(&rig, ALU(0x180, 5, 0x31)); /* R5 = 0 */
	emit(&rig, ALU(0x082, 2, 0x31)); /* from address 0 */
	emit(&rig, ALU(0x000, 0, 0));
	emit_end(&rig);
	CHECK_EQ(rig_run(&rig, 1), GPU_RUN_FAULT);
	CHECK_EQ(rig.ctx.gpr[5], 9);
	CHECK_EQ(rig.ctx.ip, RIG_BATCH);
	rig_fini(&rig);
}

static void emit_atomic(unsigned opcode, uint64_t addr, uint64_t a, uint64_t b)
{
	bool qword = opcode & 0x20;

	emit(&rig, MI(0x2f, 9) | opcode << 8 | 1u << 16 | 1u << 18 | (qword ? 1u << 19 : 0));
	emit_addr(&rig, addr);
	emit(&rig, (uint32_t)a);
	emit(&rig, (uint32_t)b);
	emit(&rig, (uint32_t)(a >> 32));
	emit(&rig, (uint32_t)(b >> 32));
	for (unsigned i = 0; i < 4; i++) {
		emit(&rig, 0);
	}
}

static const struct {
	unsigned op;
	int64_t old, a, b, result;
} atomics[] = {
	{ 1, 0xff0, 0x0ff, 0, 0x0f0 },
	{ 2, 0xff0, 0x0ff, 0, 0xfff },
	{ 3, 0xff0, 0x0ff, 0, 0xf0f },
	{ 4, 1, 77, 0, 77 },
	{ 5, -1, 0, 0, 0 },
	{ 6, 0, 0, 0, -1 },
	{ 7, 40, 2, 0, 42 },
	{ 8, 40, 2, 0, 38 },
	{ 9, 40, 2, 0, -38 },
	{ 10, -5, 3, 0, 3 },
	{ 10, 3, -5, 0, 3 },
	{ 11, -5, 3, 0, -5 },
	{ 11, 3, -5, 0, -5 },
	{ 12, -5, 3, 0, -5 },
	{ 13, -5, 3, 0, 3 },
	{ 14, 5, 5, 9, 9 },
	{ 14, 5, 6, 9, 5 },
	{ 15, 5, 0, 0, 4 },
};

static void atomics_of_dwords_compute_and_return(void)
{
	for (unsigned i = 0; i < ARRAY_LEN(atomics); i++) {
		uint64_t want = atomics[i].op == 15 ? atomics[i].result : atomics[i].old;
		uint32_t seen = (uint32_t)want;

		rig_init(&rig);
		rig.ctx.gpr[4] = UINT64_MAX;
		*rig_data32(&rig, 4) = (uint32_t)atomics[i].old;
		emit_atomic(atomics[i].op, RIG_DATA + 4, (uint64_t)atomics[i].a,
			    (uint64_t)atomics[i].b);
		rig_finish(&rig);
		CHECK_EQ(*rig_data32(&rig, 4), (uint32_t)atomics[i].result);
		CHECK_EQ(*rig_data32(&rig, 0) | *rig_data32(&rig, 8), 0);
		CHECK_EQ(rig.ctx.gpr[4], (uint64_t)UINT32_MAX << 32 | seen);
		rig_fini(&rig);
	}
}

static void atomics_of_qwords_compute_and_return(void)
{
	for (unsigned i = 0; i < ARRAY_LEN(atomics); i++) {
		int64_t seen = atomics[i].op == 15 ? atomics[i].result : atomics[i].old;

		rig_init(&rig);
		*rig_data64(&rig, 8) = (uint64_t)atomics[i].old;
		emit_atomic(atomics[i].op | 0x20, RIG_DATA + 8, (uint64_t)atomics[i].a,
			    (uint64_t)atomics[i].b);
		rig_finish(&rig);
		CHECK_EQ(*rig_data64(&rig, 8), atomics[i].result);
		CHECK_EQ(rig.ctx.gpr[4], seen);
		rig_fini(&rig);
	}
}

static void atomic_without_inline_data_takes_its_operands_from_registers(void)
{
	rig_init(&rig);
	rig.ctx.gpr[0] = 5;
	rig.ctx.gpr[2] = (uint64_t)9 << 32;
	*rig_data64(&rig, 0) = 5;
	*rig_data32(&rig, 8) = 0;
	emit(&rig, MI(0x2f, 1) | 46u << 8); /* compare and write, qword */
	emit_addr(&rig, RIG_DATA);
	emit(&rig, MI(0x2f, 1) | 5u << 8); /* increment, as the suites encode it */
	emit_addr(&rig, RIG_DATA + 8);
	rig_finish(&rig);
	CHECK_EQ(*rig_data64(&rig, 0), (uint64_t)9 << 32);
	CHECK_EQ(*rig_data32(&rig, 8), 1);
	CHECK_EQ(rig.ctx.gpr[4], 0);
	rig_fini(&rig);
}

static void atomic_on_a_read_only_page_faults(void)
{
	rig_init(&rig);
	rig_map(&rig, RIG_DATA, 0, false, (RIG_PHYS + RIG_DATA) | E_PRESENT | E_DEVICE);
	emit_atomic(5, RIG_DATA, 0, 0);
	CHECK_EQ(rig_run(&rig, 1), GPU_RUN_FAULT);
	CHECK_EQ(rig.ctx.fault.type, GPU_FAULT_WRITE);
	CHECK_EQ(rig.ctx.fault.access, GPU_ATOMIC);
	CHECK_EQ(rig.ctx.fault.address, RIG_DATA);
	rig_fini(&rig);
}

static void atomic_on_system_memory_wants_its_bit_where_the_vm_says_so(void)
{
	static uint32_t words[2048] __attribute__((aligned(4096)));

	rig_init(&rig);
	words[0] = 41;
	rig.client = (uint8_t *)words;
	rig.client_B = sizeof(words);
	rig.vm.check_atomic = true;
	rig_map(&rig, SZ_1G * 4, 0, false, E_PRESENT | E_WRITE);
	rig_map(&rig, SZ_1G * 4 + 4096, 0, false, 4096 | E_PRESENT | E_WRITE | E_ATOMIC);
	emit_atomic(5, SZ_1G * 4 + 4096, 0, 0);
	emit_atomic(5, RIG_DATA, 0, 0); /* device memory needs no bit */
	emit_atomic(5, SZ_1G * 4, 0, 0);
	CHECK_EQ(rig_run(&rig, 1), GPU_RUN_FAULT);
	CHECK_EQ(rig.ctx.fault.type, GPU_FAULT_ATOMIC);
	CHECK_EQ(words[1024], 1);
	CHECK_EQ(*rig_data32(&rig, 0), 1);
	CHECK_EQ(words[0], 41);
	rig.vm.check_atomic = false;
	gpu_soft_ops.retry(&rig.ctx);
	CHECK_EQ(gpu_soft_ops.run(&rig.engine, &rig.ctx, &(struct gpu_budget){ 1, 1000 }),
		 GPU_RUN_MORE);
	CHECK_EQ(words[0], 42);
	rig_fini(&rig);
}

static void atomic_on_a_null_page_sees_zero(void)
{
	rig_init(&rig);
	rig_map(&rig, SZ_1G * 4, 0, false, E_PRESENT | E_NULL);
	rig.ctx.gpr[4] = 1;
	emit_atomic(0x25, SZ_1G * 4, 0, 0);
	emit_atomic(0x25, SZ_1G * 4, 0, 0);
	rig_finish(&rig);
	CHECK_EQ(rig.ctx.gpr[4], 0);
	rig_fini(&rig);
}

static void flush_writes_immediates_and_timestamps(void)
{
	uint64_t before = gpu_timestamp(19200000);

	rig_init(&rig);
	emit(&rig, MI(0x26, 3) | 1u << 14);
	emit_addr(&rig, RIG_DATA);
	emit_addr(&rig, 0x8877665544332211);
	emit(&rig, MI(0x26, 3) | 3u << 14);
	emit_addr(&rig, RIG_DATA + 8);
	emit_addr(&rig, 0);
	emit(&rig, MI(0x26, 3) | 1u << 14 | 1u << 21); /* to the driver's page: dropped */
	emit_addr(&rig, RIG_DATA + 16);
	emit_addr(&rig, 1);
	emit(&rig, MI(0x26, 3)); /* writes nothing */
	emit_addr(&rig, 0);
	emit_addr(&rig, 1);
	rig_finish(&rig);
	CHECK_EQ(*rig_data64(&rig, 0), 0x8877665544332211);
	CHECK(*rig_data64(&rig, 8) >= before);
	CHECK(*rig_data64(&rig, 8) <= gpu_timestamp(19200000));
	CHECK_EQ(*rig_data64(&rig, 16), 0);
	rig_fini(&rig);
}

static void flush_that_asks_for_it_drops_the_engines_translations(void)
{
	rig_init(&rig);
	rig_read32(&rig, RIG_DATA);
	rig_map(&rig, RIG_DATA, 0, false, (RIG_PHYS + RIG_DATA + 4096) | E_RW);
	emit_store(&rig, RIG_DATA, 1);
	emit(&rig, MI(0x26, 3) | 1u << 18);
	emit_addr(&rig, 0);
	emit_addr(&rig, 0);
	emit_store(&rig, RIG_DATA, 2);
	rig_finish(&rig);
	CHECK_EQ(*rig_data32(&rig, 0), 1);
	CHECK_EQ(*rig_data32(&rig, 4096), 2);
	rig_fini(&rig);
}

static void pipe_control_writes_after_the_pipe(void)
{
	rig_init(&rig);
	emit(&rig, 0x7a000004);
	emit(&rig, 1u << 14 | 1u << 20);
	emit_addr(&rig, RIG_DATA + 8);
	emit_addr(&rig, 0x100000002);
	emit(&rig, 0x7a000004);
	emit(&rig, 3u << 14);
	emit_addr(&rig, RIG_DATA + 16);
	emit_addr(&rig, 0);
	emit(&rig, 0x7a000004);
	emit(&rig, 1u << 20);
	emit_addr(&rig, RIG_DATA + 24);
	emit_addr(&rig, 5);
	rig_finish(&rig);
	CHECK_EQ(*rig_data64(&rig, 8), 0x100000002);
	CHECK(*rig_data64(&rig, 16) != 0);
	CHECK_EQ(*rig_data64(&rig, 24), 0);
	rig_fini(&rig);
}

static void short_flush_writes_a_dword(void)
{
	rig_init(&rig);
	*rig_data64(&rig, 8) = UINT64_MAX;
	emit(&rig, MI(0x26, 2) | 1u << 14);
	emit_addr(&rig, RIG_DATA + 8);
	emit(&rig, 7);
	rig_finish(&rig);
	CHECK_EQ(*rig_data64(&rig, 8), (uint64_t)UINT32_MAX << 32 | 7);
	rig_fini(&rig);
}

/* Nothing is drawn; and what goes to the driver's page goes nowhere. */
static void pipe_control_counts_no_samples(void)
{
	rig_init(&rig);
	*rig_data64(&rig, 8) = UINT64_MAX;
	*rig_data64(&rig, 16) = UINT64_MAX;
	emit(&rig, 0x7a000004);
	emit(&rig, 2u << 14);
	emit_addr(&rig, RIG_DATA + 8);
	emit_addr(&rig, 5);
	emit(&rig, 0x7a000004);
	emit(&rig, 1u << 14 | 1u << 21);
	emit_addr(&rig, RIG_DATA + 16);
	emit_addr(&rig, 5);
	rig_finish(&rig);
	CHECK_EQ(*rig_data64(&rig, 8), 0);
	CHECK_EQ(*rig_data64(&rig, 16), UINT64_MAX);
	rig_fini(&rig);
}

static void pipe_control_writes_a_register(void)
{
	rig_init(&rig);
	emit(&rig, 0x7a000004);
	emit(&rig, 1u << 23 | 1u << 20);
	emit_addr(&rig, BASE + GPR(3) + 4);
	emit_addr(&rig, 0xffffffff00000005);
	emit_srm(GPR(3) + 4, RIG_DATA);
	rig_finish(&rig);
	CHECK_EQ(*rig_data32(&rig, 0), 5);
	CHECK_EQ(rig.ctx.gpr[3], (uint64_t)5 << 32);
	rig_fini(&rig);
}

/* A pair that is cut off is none. */
static void load_of_an_odd_number_of_dwords_ends_with_its_last_pair(void)
{
	rig_init(&rig);
	emit(&rig, MI(0x22, 2) | CS_DST);
	emit(&rig, GPR(1));
	emit(&rig, 0x11);
	emit(&rig, GPR(2));
	emit_store(&rig, RIG_DATA, 1);
	rig_finish(&rig);
	CHECK_EQ(rig.ctx.gpr[1], 0x11);
	CHECK_EQ(rig.ctx.gpr[2], 0);
	CHECK_EQ(*rig_data32(&rig, 0), 1);
	rig_fini(&rig);
}

/* More than a streamer holds at once; the last of several to one register stays. */
static void load_of_many_registers(void)
{
	rig_init(&rig);
	emit(&rig, MI(0x22, 2 * 100 - 1) | CS_DST);
	for (uint32_t i = 0; i < 100; i++) {
		emit(&rig, GPR(i % 16));
		emit(&rig, i);
	}
	rig_finish(&rig);
	for (uint32_t i = 0; i < 16; i++) {
		CHECK_EQ(rig.ctx.gpr[i], i < 4 ? 96 + i : 80 + i);
	}
	rig_fini(&rig);
}

static void copy_moves_a_dword(void)
{
	rig_init(&rig);
	*rig_data32(&rig, 0x100) = 0x600d;
	emit(&rig, MI(0x2e, 3));
	emit_addr(&rig, RIG_DATA + 0x200);
	emit_addr(&rig, RIG_DATA + 0x100);
	rig_finish(&rig);
	CHECK_EQ(*rig_data32(&rig, 0x200), 0x600d);
	rig_fini(&rig);
}

static void timestamp_register_is_the_devices_clock(void)
{
	uint64_t before = gpu_timestamp(19200000), seen;

	rig_init(&rig);
	emit_srm(0x358, RIG_DATA);
	emit_srm(0x35c, RIG_DATA + 4);
	emit_lri(0x358, 0);
	rig_finish(&rig);
	seen = *rig_data64(&rig, 0);
	CHECK(seen >= before && seen <= gpu_timestamp(19200000));
	rig_fini(&rig);
}

/* A command of @dwords whose body, if it were executed, would end the batch. */
static void check_skipped(uint32_t header, uint32_t dwords)
{
	rig_init(&rig);
	emit(&rig, header);
	for (uint32_t i = 1; i < dwords; i++) {
		emit_end(&rig);
	}
	emit_store(&rig, RIG_DATA, 1);
	rig_finish(&rig);
	CHECK_EQ(*rig_data32(&rig, 0), 1);
	rig_fini(&rig);
}

static void commands_without_effect_are_stepped_over_by_their_length(void)
{
	check_skipped(MI(0x00, 0), 1);          /* NOOP */
	check_skipped(MI(0x00, 1u << 22), 1);   /* NOOP with an identification */
	check_skipped(MI(0x02, 0), 1);          /* USER_INTERRUPT */
	check_skipped(MI(0x05, 0), 1);          /* ARB_CHECK */
	check_skipped(MI(0x08, 1), 1);          /* ARB_ON_OFF */
	check_skipped(MI(0x09, 3), 1);          /* MEM_FENCE */
	check_skipped(MI(0x1b, 0), 2);          /* SEMAPHORE_SIGNAL */
	check_skipped(MI(0x1d, 0), 2);          /* FORCE_WAKEUP */
	check_skipped(MI(0x28, 2), 4);          /* REPORT_PERF_COUNT */
	check_skipped(MI(0x26, 3) | 1u << 7 | 1u << 9, 5);
	check_skipped(2u << 29 | 0x48u << 22 | 3, 5);   /* XY_CTRL_SURF_COPY_BLT */
	check_skipped(2u << 29 | 0x53u << 22 | 8, 10);  /* an old blit */
	check_skipped(0x61090001, 3);           /* STATE_SYSTEM_MEM_FENCE_ADDRESS */
	check_skipped(0x61010014, 22);          /* STATE_BASE_ADDRESS */
	check_skipped(0x69040000, 1);           /* PIPELINE_SELECT */
	check_skipped(0x680b0001, 1);           /* VF_STATISTICS */
	check_skipped(0x780b0000, 1);
	check_skipped(0x72000004, 6);           /* CFE_STATE */
	check_skipped(0x72020125, 39);          /* COMPUTE_WALKER, predicated */
	check_skipped(0x71000104, 262);         /* media, a long length */
	check_skipped(0x78100003, 5);           /* a 3D state */
	check_skipped(0x7b000005, 7);           /* 3DPRIMITIVE */
}

static void header_of_no_command_faults_where_it_stands(void)
{
	static const uint32_t headers[] = {
		0x20000000, 0x80000000, 0xa0000000, 0xffffffff,
		0x62000000, /* common state, opcode 2 */
		0x6a000000,
		0x73000000,
		0x7c000000,
	};

	for (unsigned i = 0; i < ARRAY_LEN(headers); i++) {
		rig_init(&rig);
		emit_store(&rig, RIG_DATA, 1);
		emit(&rig, headers[i]);
		emit_end(&rig);
		CHECK_EQ(rig_run(&rig, 1), GPU_RUN_FAULT);
		CHECK_EQ(rig.ctx.fault.type, GPU_FAULT_COMMAND);
		CHECK_EQ(rig.ctx.fault.address, RIG_BATCH + 16);
		CHECK_EQ(*rig_data32(&rig, 0), 1);
		rig_fini(&rig);
	}
}

static void command_that_makes_no_sense_faults(void)
{
	static const uint32_t headers[] = {
		MI(0x20, 1), MI(0x22, 0), MI(0x24, 1), MI(0x31, 0), MI(0x36, 1), MI(0x1c, 1),
		MI(0x2f, 2) | 1u << 18, /* inline data that is not there */
		MI(0x2f, 1) | 78u << 8, /* 16 bytes */
		MI(0x26, 1) | 1u << 14,
		MI(0x26, 3) | 2u << 14, /* only a pipe control counts samples */
		0x7a000002,             /* with a write below */
		2u << 29 | 0x41u << 22 | 9, 2u << 29 | 0x42u << 22 | 7, 2u << 29 | 0x44u << 22 | 8,
		2u << 29 | 0x5au << 22 | 7, 2u << 29 | 0x5bu << 22 | 4,
	};

	for (unsigned i = 0; i < ARRAY_LEN(headers); i++) {
		rig_init(&rig);
		emit(&rig, headers[i]);
		emit(&rig, 1u << 14);
		emit_end(&rig);
		CHECK_EQ(rig_run(&rig, 1), GPU_RUN_FAULT);
		CHECK_EQ(rig.ctx.fault.type, GPU_FAULT_COMMAND);
		rig_fini(&rig);
	}
}

static const struct test_case cases[] = {
	TEST(store_writes_a_dword),
	TEST(store_writes_a_qword),
	TEST(store_of_a_thousand_dwords_crosses_pages),
	TEST(address_fields_have_48_bits),
	TEST(registers_are_loaded_moved_and_stored),
	TEST(register_can_be_named_relative_or_absolute),
	TEST(unknown_register_reads_zero_and_drops_writes),
	TEST(byte_disables_keep_bytes_of_a_register),
	TEST(math_computes_with_flags),
	TEST(math_loads_constants_and_inverses),
	TEST(math_reaches_memory_through_the_accumulator),
	TEST(math_that_faults_changes_no_register),
	TEST(atomics_of_dwords_compute_and_return),
	TEST(atomics_of_qwords_compute_and_return),
	TEST(atomic_without_inline_data_takes_its_operands_from_registers),
	TEST(atomic_on_a_read_only_page_faults),
	TEST(atomic_on_system_memory_wants_its_bit_where_the_vm_says_so),
	TEST(atomic_on_a_null_page_sees_zero),
	TEST(flush_writes_immediates_and_timestamps),
	TEST(flush_that_asks_for_it_drops_the_engines_translations),
	TEST(pipe_control_writes_after_the_pipe),
	TEST(short_flush_writes_a_dword),
	TEST(pipe_control_counts_no_samples),
	TEST(pipe_control_writes_a_register),
	TEST(load_of_an_odd_number_of_dwords_ends_with_its_last_pair),
	TEST(load_of_many_registers),
	TEST(copy_moves_a_dword),
	TEST(timestamp_register_is_the_devices_clock),
	TEST(commands_without_effect_are_stepped_over_by_their_length),
	TEST(header_of_no_command_faults_where_it_stands),
	TEST(command_that_makes_no_sense_faults),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
