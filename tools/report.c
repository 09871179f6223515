// SPDX-License-Identifier: MIT
/*
 * --report: what the run did, as JSON. The numbers come from the memory that the processes of the
 * command added to (trace/counters.h), so that a killed one has reported all it did. Written once,
 * when the command has ended or could not be started.
 *
 * The file is opened before the command runs: that it cannot be written is found out in time.
 */
#include "tools.h"

#include "trace/counters.h"
#include "uapi/uapi.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static size_t utf8_length(const unsigned char *text)
{
	size_t len = *text < 0x80 ? 1 : *text >= 0xc2 && *text < 0xe0 ? 2 :
		     *text >= 0xe0 && *text < 0xf0 ? 3 : *text >= 0xf0 && *text < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < len; i++) {
		if ((text[i] & 0xc0) != 0x80) {
			return 0;
		}
	}
	/* Too long a form, half of a surrogate pair, beyond the last character. */
	if ((*text == 0xe0 && text[1] < 0xa0) || (*text == 0xed && text[1] >= 0xa0) ||
	    (*text == 0xf0 && text[1] < 0x90) || (*text == 0xf4 && text[1] >= 0x90)) {
		return 0;
	}
	return len;
}

/* A word of the command line may be anything; a byte that is no UTF-8 appears as U+00XX. */
static void put_string(FILE *to, const char *string)
{
	const unsigned char *text = (const unsigned char *)string;

	fputc('"', to);
	while (*text) {
		size_t len = utf8_length(text);

		if (*text == '"' || *text == '\\') {
			fprintf(to, "\\%c", *text);
		} else if (len == 0 || *text < 0x20 || *text == 0x7f) {
			fprintf(to, "\\u%04x", *text);
		} else {
			fwrite(text, 1, len, to);
		}
		text += len ? len : 1;
	}
	fputc('"', to);
}

static void put_text(FILE *to, const char *name, const char *text)
{
	fprintf(to, "  \"%s\": ", name);
	put_string(to, text);
	fputs(",\n", to);
}

static void put_number(FILE *to, const char *name, uint64_t value)
{
	fprintf(to, "  \"%s\": %" PRIu64 ",\n", name, value);
}

static uint64_t ioctl_sum(const struct counters_shared *counters, unsigned nr, unsigned first)
{
	uint64_t sum = 0;

	for (unsigned i = first; i < COUNTERS_RESULTS; i++) {
		sum += atomic_load(&counters->ioctls[nr][i]);
	}
	return sum;
}

/* { "EINVAL": 2, "ENOENT": 1 } */
static void put_errors(FILE *to, const struct counters_shared *counters, unsigned nr)
{
	const char *between = "";

	fputs("{", to);
	for (int err = 1; err < COUNTERS_RESULTS; err++) {
		uint64_t n = atomic_load(&counters->ioctls[nr][err]);
		const char *name = strerrorname_np(err);

		if (n) {
			fprintf(to, "%s\"%s\": %" PRIu64, between, name ? name : "other", n);
			between = ", ";
		}
	}
	fputs("}", to);
}

static void put_ioctls(FILE *to, const struct counters_shared *counters)
{
	const char *between = "\n";

	fputs("  \"ioctls\": [", to);
	for (unsigned nr = 0; nr < COUNTERS_IOCTLS; nr++) {
		const char *name = uapi_ioctl_name(*counters->uapi ? counters->uapi : NULL, nr);
		uint64_t calls = ioctl_sum(counters, nr, 0);

		if (calls) {
			fprintf(to, "%s    {\"nr\": %u, \"name\": ", between, nr);
			put_string(to, name ? name : "unknown");
			fprintf(to, ", \"calls\": %" PRIu64 ", \"failed\": %" PRIu64
				", \"errors\": ", calls, ioctl_sum(counters, nr, 1));
			put_errors(to, counters, nr);
			fputs("}", to);
			between = ",\n";
		}
	}
	fputs(*between == ',' ? "\n  ],\n" : "],\n", to);
}

static void put_device(FILE *to, const struct counters_shared *counters)
{
	static const struct {
		const char *name;
		enum event_type type;
	} sums[] = {
		{ "vms", EVENT_VM_CREATE },
		{ "vms_banned", EVENT_VM_BAN },
		{ "bos", EVENT_BO_CREATE },
		{ "binds", EVENT_BIND_PUBLISH },
		{ "binds_failed", EVENT_BIND_FAIL },
		{ "maps", EVENT_BIND_MAP },
		{ "unmaps", EVENT_BIND_UNMAP },
		{ "queues", EVENT_QUEUE_CREATE },
		{ "queues_banned", EVENT_QUEUE_BAN },
		{ "execs", EVENT_EXEC_SUBMIT },
		{ "hangs", EVENT_HANG },
		{ "resets", EVENT_RESET },
		{ "wedged", EVENT_WEDGE },
		{ "userptr_invalidations", EVENT_USERPTR_INVALIDATE },
		{ "gpu_faults", EVENT_GPU_FAULT },
		{ "stale_accesses", EVENT_STALE_ACCESS },
	};

	put_text(to, "uapi", counters->uapi);
	put_text(to, "gpu", counters->gpu);
	put_text(to, "schedule", counters->schedule);
	put_text(to, "client_memory_watched_by", counters->watched_by);
	put_number(to, "device_opens", atomic_load(&counters->opens));
	put_number(to, "devices", atomic_load(&counters->devices));
	for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++) {
		put_number(to, sums[i].name, atomic_load(&counters->events[sums[i].type]));
	}
	put_number(to, "execs_failed", atomic_load(&counters->failed_execs));
	put_number(to, "bo_peak_bytes", atomic_load(&counters->bo_peak_B));
	put_ioctls(to, counters);
}

bool report_write(FILE *to, char *const *command, const struct outcome *outcome,
		  const struct counters_shared *counters)
{
	static const struct counters_shared nothing;

	fputs("{\n", to);
	put_text(to, "vmbind", VMBIND_VERSION);
	fputs("  \"command\": [", to);
	for (char *const *word = command; *word; word++) {
		fputs(word == command ? "" : ", ", to);
		put_string(to, *word);
	}
	fputs("],\n", to);
	put_text(to, "outcome", outcome->timed_out ? "timeout" : outcome->signal ? "signal" :
				outcome->started ? "exit" : "not started");
	put_number(to, "exit_status", (uint64_t)outcome->code);
	put_number(to, "signal", (uint64_t)outcome->signal);
	fprintf(to, "  \"seconds\": %.3f,\n", outcome->seconds);
	put_number(to, "max_rss_bytes", (uint64_t)outcome->max_rss_kib * 1024);
	put_device(to, counters ? counters : &nothing);
	if (counters && fault_wanted()) {
		fault_report(to, counters);
	}
	/* Last, so that each line before ends with a comma. */
	fprintf(to, "  \"device_used\": %s\n}\n",
		counters && atomic_load(&counters->opens) ? "true" : "false");
	if (ferror(to) | fclose(to)) {
		complain("--report: could not be written: %s", strerror(errno));
		return false;
	}
	return true;
}
