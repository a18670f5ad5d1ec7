/* SPDX-License-Identifier: MIT */
/*
 * tests/death/waiters.h - clients that wait for a daemon when it is killed, then for another
 *
 * What it had published comes, every other request comes back as lost, once, and then nothing. The
 * next daemon is asked what its clients ask it, and nothing that the one before left behind.
 *
 * Units:    ns
 * Errors:   `must` (crowd.h); how long it takes is measured, not judged
 */
#ifndef HEARTH_TESTS_SYSTEM_WAITERS_H
#define HEARTH_TESTS_SYSTEM_WAITERS_H

#include <stdint.h>

#include "tests/system/appliance.h"

#define WAITERS_MAX 16

struct waiters_plan {
	const char *const *flags; /* of the daemons; NULL at the end, or NULL */
	uint32_t clients;
	uint32_t kills; /* of every two, the first daemon is suspended before, the second serves */
	uint64_t seed;
};

struct waiters_count {
	uint64_t answered; /* of those that were killed or by those that came after */
	uint64_t lost;
	uint64_t times; /* clients that learned of a death */
	uint64_t late;  /* of them more than 50 ms after SIGKILL */
	uint64_t late_behind; /* and more than 50 ms after the hang-up */
	int64_t time_ns_p50; /* from SIGKILL to the call that says that all was reported */
	int64_t time_ns_max;
	/* The same for one that does nothing but poll its socket: what this machine needs to end a
	 * daemon and to wake somebody. */
	int64_t hangup_ns_p50;
	int64_t hangup_ns_max;
};

/* On a daemon that runs and has no clients; leaves one like it. */
struct waiters_count waiters_run(struct appliance *appliance, const struct waiters_plan *plan);

#endif
