/* SPDX-License-Identifier: MIT */
/*
 * tests/system/duel.h - a round trip against what two processes can do at best, on the same two CPUs
 *
 * The limit is bare.h: a cache line there and one back, and as many bytes copied in between as the
 * candidate copies. Slices alternate, limit, candidate, limit, and whoever has no slice sleeps. Two
 * CPUs can be a core's hyperthreads or two cores, and a host may move ours from one to the other,
 * which changes everything several times over: a bare line before each slice of the limit tells, and
 * slices of either kind are reported by themselves.
 *
 * Threads:  the one that called, which must be pinned
 */
#ifndef HEARTH_TESTS_SYSTEM_DUEL_H
#define HEARTH_TESTS_SYSTEM_DUEL_H

#include <stdbool.h>
#include <stdint.h>

struct duel_plan {
	const char *name;    /* the candidate's, in a word */
	const char *meaning; /* what is compared with what, in a sentence */
	double p50_goal;     /* p50 of the candidate to p50 of the limit, at most */
	double p99_goal;     /* the same of their p99; 0: none */
	double shared_goal_ns; /* on one core, instead: p50 over the limit's, at most; 0: as above */
	uint32_t bytes;      /* copied in a round of the limit */
	int cpu;
	int cpu_other;
	void (*round)(void *context, uint64_t turn);
	void (*rest)(void *context); /* until the candidate leaves the other CPU alone */
	void *context;
};

/* Runs for seconds, then prints a table with a verdict, or one line of JSON. */
void duel_run(const struct duel_plan *plan, bool is_json);

#endif
