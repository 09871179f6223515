// SPDX-License-Identifier: MIT
/*
 * --fault: what the environment asks for, and what came of it. The numbers are in the memory that
 * the processes of the command added to, as for --report.
 */
#include "tools.h"

#include "node/options.h"
#include "port/fault.h"
#include "trace/counters.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static struct port_faults faults;
static bool wanted;

#define SAID_MAX 8 /* one by one, for people */

_Static_assert(COUNTERS_FAULTS == PORT_FAULTS_MAX, "room for each");

bool fault_check(void)
{
	const char *spec = getenv(ENV_FAULT);
	char why[256];

	/* The library takes an empty one for none, and so do we. */
	wanted = spec && *spec;
	if (wanted && !port_fault_parse(spec, option_knows_ioctl, &faults, why, sizeof(why))) {
		complain("--fault: %s; see `vmbind help run`", why);
		return false;
	}
	return true;
}

bool fault_wanted(void)
{
	return wanted;
}

/* The @i-th of those that were noted, or NULL. */
static const struct counters_hit *hit_at(const struct counters_shared *counters, uint64_t i)
{
	const struct counters_hit *hit = i < COUNTERS_HITS ? &counters->hit[i] : NULL;

	return hit && atomic_load(&hit->told) && hit->fault < faults.count ? hit : NULL;
}

static const char *error_name(const struct counters_hit *hit)
{
	return strerrorname_np(-faults.fault[hit->fault].error);
}

/* In the order of the enumeration, with what is written before each but the first. */
static void put_points(FILE *to, const struct counters_shared *counters, const char *format,
		       const char *between)
{
	const char *before = "";

	for (unsigned point = 0; point < PORT_FAULT_POINTS; point++) {
		const char *name = port_fault_name((enum port_fault_point)point);

		if (name) {
			fputs(before, to);
			fprintf(to, format, name, atomic_load(&counters->fault_points[point]));
			before = between;
		}
	}
}

void fault_say(const struct counters_shared *counters)
{
	for (uint64_t i = 0; i < SAID_MAX; i++) {
		const struct counters_hit *hit = hit_at(counters, i);

		if (hit) {
			complain("--fault %s: number %" PRIu64 " failed with %s in %s at %s",
				 faults.fault[hit->fault].text, hit->n, error_name(hit),
				 *hit->ioctl ? hit->ioctl : "no ioctl", hit->place);
		}
	}
	for (unsigned i = 0; i < faults.count; i++) {
		uint64_t struck = atomic_load(&counters->faults_struck[i]);

		complain("--fault %s: %" PRIu64 " of %" PRIu64 " failed%s", faults.fault[i].text,
			 struck, atomic_load(&counters->faults[i]),
			 struck ? "" : "; that many never came");
	}
	fprintf(stderr, "%s: there were ", complain_as);
	put_points(stderr, counters, "%s %" PRIu64, ", ");
	fputc('\n', stderr);
}

/* No text of ours has anything in it that JSON would mind. */
void fault_report(FILE *to, const struct counters_shared *counters)
{
	const char *between = "";

	fputs("  \"faults\": {\n    \"happened\": {", to);
	put_points(to, counters, "\"%s\": %" PRIu64, ", ");
	fputs("},\n    \"asked\": [", to);
	for (unsigned i = 0; i < faults.count; i++) {
		fprintf(to, "%s{\"fault\": \"%s\", \"happened\": %" PRIu64, i ? ", " : "",
			faults.fault[i].text, atomic_load(&counters->faults[i]));
		fprintf(to, ", \"failed\": %" PRIu64 "}",
			atomic_load(&counters->faults_struck[i]));
	}
	fputs("],\n    \"failed\": [", to);
	for (uint64_t i = 0; i < COUNTERS_HITS; i++) {
		const struct counters_hit *hit = hit_at(counters, i);

		if (hit) {
			fprintf(to, "%s\n      {\"fault\": \"%s\", \"number\": %" PRIu64
				", \"error\": \"%s\", \"ioctl\": \"%s\", \"place\": \"%s\"}",
				between, faults.fault[hit->fault].text, hit->n, error_name(hit),
				hit->ioctl, hit->place);
			between = ",";
		}
	}
	fputs("]\n  },\n", to);
}
