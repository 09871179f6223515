// SPDX-License-Identifier: MIT
#include "test_rules.h"

static struct rules rules;
static atomic_bool following;

static void ended(struct event_reader *reader)
{
	(void)reader;
	rules_fini(&rules);
	atomic_store(&following, false);
}

void test_follow_rules(struct event_stream *stream)
{
	if (atomic_exchange(&following, true)) {
		return;
	}
	if (rules_init(&rules, RULES_AGE_NS)) {
		atomic_store(&following, false);
		return;
	}
	rules.reader.ended = ended;
	event_attach(stream, &rules.reader);
}

struct rules *test_rules(void)
{
	return atomic_load(&following) ? &rules : NULL;
}
