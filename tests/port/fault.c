// SPDX-License-Identifier: MIT
/* What `--fault` asks for: how it is said, and which occurrences fail. */
#include "port/fault.h"

#include <stdio.h>

#include "test.h"
#include "base/bits.h"

#define WHY_B 256

static bool known(const char *ioctl)
{
	return strcmp(ioctl, "VM_BIND") == 0 || strcmp(ioctl, "EXEC") == 0;
}

static struct port_faults parsed(const char *spec)
{
	struct port_faults faults;
	char why[WHY_B] = "";

	CHECK(port_fault_parse(spec, known, &faults, why, sizeof(why)));
	return faults;
}

static void good_ones(void)
{
	struct port_faults f = parsed("alloc=7,alloc=3/VM_BIND,alloc@src/vm/bind.c:120=1,"
				      "ioctl:XE_VM_BIND=5:EIO,wait=every3,vram=10,bind=from2");

	CHECK_EQ(f.count, 7);
	CHECK_EQ(f.fault[0].point, PORT_FAULT_ALLOC);
	CHECK_EQ(f.fault[0].when, PORT_FAULT_NTH);
	CHECK_EQ(f.fault[0].n, 7);
	CHECK_EQ(f.fault[0].error, -ENOMEM);
	CHECK(!*f.fault[0].ioctl && !*f.fault[0].place);
	CHECK(strcmp(f.fault[1].ioctl, "VM_BIND") == 0);
	CHECK(strcmp(f.fault[1].text, "alloc=3/VM_BIND") == 0);
	CHECK(strcmp(f.fault[2].place, "src/vm/bind.c:120") == 0);
	CHECK_EQ(f.fault[3].point, PORT_FAULT_IOCTL);
	CHECK_EQ(f.fault[3].error, -EIO);
	CHECK(strcmp(f.fault[3].ioctl, "VM_BIND") == 0);
	CHECK_EQ(f.fault[4].point, PORT_FAULT_SLEEP);
	CHECK_EQ(f.fault[4].when, PORT_FAULT_EVERY);
	CHECK_EQ(f.fault[4].error, -EINTR);
	CHECK_EQ(f.fault[5].point, PORT_FAULT_VRAM);
	CHECK_EQ(f.fault[5].when, PORT_FAULT_FROM);
	CHECK_EQ(f.fault[6].when, PORT_FAULT_FROM);
	CHECK_EQ(f.fault[6].error, -ENOMEM);
	CHECK_EQ(parsed("count").count, 0);
}

/* Each says what is wrong with which word. */
static void bad_ones(void)
{
	static const char *const bad[][2] = {
		{ "", "'' is no fault" },
		{ "frob=1", "'frob=1' is no fault" },
		{ "allocate=1", "'allocate=1' is no fault" },
		{ "alloc=1,", "'' is no fault" },
		{ "alloc", "does not say when" },
		{ "alloc=", "'' in 'alloc=' does not say which" },
		{ "alloc=0", "'0' in" },
		{ "alloc=-1", "'-1' in" },
		{ "alloc=every", "'every' in" },
		{ "alloc=99999999999999999999", "does not say which" },
		{ "alloc=1:EIO", "leave ':EIO' out" },
		{ "alloc=1/FROB", "'FROB' in" },
		{ "alloc@bind.c=1", "is no place" },
		{ "alloc@bind.c:=1", "is no place" },
		{ "alloc@\":1=1", "is no place" },
		{ "bind@bind.c:1=1", "is no place" },
		{ "bind=1/EXEC", "leave '/EXEC' out" },
		{ "bind:EXEC=1", "':EXEC' in" },
		{ "bind=1:EFROB", "'EFROB' in" },
		{ "ioctl=1", "does not say which ioctl" },
		{ "ioctl:FROB=1", "'FROB' in" },
		{ "vram=from3", "say vram=3" },
		{ "wait=1,wait=1,wait=1,wait=1,wait=1,wait=1,wait=1,wait=1,wait=1,wait=1,wait=1,"
		  "wait=1,wait=1,wait=1,wait=1,wait=1,wait=17", "'wait=17' is too much" },
		{ "alloc@a/very/long/path/that/is/longer/than/any/file/of/this/tree/could/be/said/"
		  "to/be/even/by/those/who/like/to/exaggerate/a/little/file.c:1=1", "too long" },
	};

	for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
		struct port_faults faults;
		char why[WHY_B] = "";

		CHECK(!port_fault_parse(bad[i][0], known, &faults, why, sizeof(why)));
		if (!strstr(why, bad[i][1])) {
			printf("# %s: %s\n", bad[i][0], why);
			CHECK(strstr(why, bad[i][1]));
		}
	}
}

#define FAULTS 6
#define PLACE_LINE 118

static uint64_t came[FAULTS], struck[FAULTS], points[PORT_FAULT_POINTS];
static const char *last_ioctl, *last_place;

static void listen(enum port_fault_point point, int fault, uint64_t n, bool strikes,
		   const char *ioctl, const char *place)
{
	if (fault < 0) {
		points[point]++;
		return;
	}
	came[fault]++;
	CHECK_EQ(came[fault], n);
	if (strikes) {
		struck[fault] |= BIT64(n);
		last_ioctl = ioctl;
		last_place = place;
	}
}

static bool alloc_here(void)
{
#line PLACE_LINE "../../tests/port/place.c"
	void *p = port_alloc(8);

	port_free(p);
	return p;
}

/* Once in a process: what is armed stays. */
static void occurrences(void)
{
	static struct port_faults f;
	void *p;

	f = parsed("alloc=2,alloc=every2/VM_BIND,alloc@port/place.c:118=from3,ioctl:EXEC=2:EIO,"
		   "wait=1,alloc@ace.c:118=1");
	port_fault_arm(&f, listen);
	CHECK(alloc_here());
	CHECK(!alloc_here()); /* the second of all */
	CHECK(strcmp(last_place, "tests/port/place.c:118") == 0);
	CHECK(!last_ioctl);
	CHECK(!alloc_here()); /* the third here */
	CHECK_OK(port_fault_enter("XE_VM_BIND"));
	for (int i = 1; i <= 5; i++) {
		p = port_alloc(8);
		CHECK_EQ(p == NULL, i % 2 == 0);
		port_free(p);
	}
	port_fault_leave();
	CHECK(strcmp(last_ioctl, "XE_VM_BIND") == 0);
	CHECK_OK(port_fault_enter("XE_EXEC"));
	port_fault_leave();
	CHECK_ERR(port_fault_enter("XE_EXEC"), -EIO);
	port_fault_leave();
	CHECK_ERR(port_fault_error(PORT_FAULT_SLEEP), -EINTR);
	CHECK_OK(port_fault_error(PORT_FAULT_SLEEP));
	CHECK_EQ(came[0], 8);
	CHECK_EQ(struck[0], BIT64(2));
	CHECK_EQ(came[1], 5);
	CHECK_EQ(struck[1], BIT64(2) | BIT64(4));
	CHECK_EQ(came[2], 3);
	CHECK_EQ(struck[2], BIT64(3));
	CHECK_EQ(came[3], 2);
	CHECK_EQ(came[5], 0); /* part of a file's name is not the file */
	CHECK_EQ(points[PORT_FAULT_ALLOC], 8);
	CHECK_EQ(points[PORT_FAULT_IOCTL], 3);
	CHECK_EQ(points[PORT_FAULT_SLEEP], 2);
}

static const struct test_case cases[] = {
	TEST(good_ones),
	TEST(bad_ones),
	TEST(occurrences),
};

int main(int argc, char **argv)
{
	return test_main(cases, ARRAY_LEN(cases), argc, argv);
}
