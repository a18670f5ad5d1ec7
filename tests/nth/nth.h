/* SPDX-License-Identifier: MIT */
/*
 * tests/nth/nth.h - one allocation or system call of a real hearthd fails; what comes of it
 *
 *     nth_open(&nth);
 *     nth_run(&nth, &(struct nth_injection){ .at = 17 }, NTH_ALL);
 *     nth_run(&nth, &(struct nth_injection){ "mmap", "ENOMEM", 3, true }, NTH_ALL);
 *     nth_close(&nth);
 *
 * Allocations fail by a preloaded library (preload/failures.c), system calls by
 * strace. The n-th is counted from main() on, or from the moment when a daemon
 * that is ready is asked; strace counts every thread for itself, so that the
 * n-th call of each thread fails.
 *
 * What may come of it: hearthd refuses to start, with a sentence and a status
 * that is not 0; or it goes on, and what failed succeeds when it is tried
 * again. Where everything after the n-th fails, it may also end by itself with
 * a sentence. Never a signal, a hang, a wrong answer, a socket file or a block
 * of memory left behind, or a thread that spins.
 *
 * Owns:     an appliance; a tracer while one is attached
 * Threads:  one thread at a time
 * Errors:   a bad outcome is printed with its injection and counted; the
 *           campaign goes on with the next one
 */
#ifndef HEARTH_TESTS_SYSTEM_NTH_H
#define HEARTH_TESTS_SYSTEM_NTH_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/nth/nth_script.h"
#include "tests/nth/nth_trace.h"
#include "tests/nth/preload/failures.h"
#include "tests/system/appliance.h"

struct nth_injection {
	const char *call;  /* a system call, "": none, but traced; NULL: an allocation */
	const char *error; /* of a system call: its name */
	uint64_t at;	   /* from 1; 0: nothing fails */
	bool for_ever;
};

enum nth_outcome {
	NTH_WENT_ON,  /* and ended with 0 when it was told to */
	NTH_REFUSED,  /* to start */
	NTH_ENDED,    /* by itself, later */
	NTH_BAD,
	NTH_OUTCOMES,
};

struct nth {
	struct appliance appliance;
	struct failures *failures;
	char failures_path[128];
	char library[128];
	char trace[128];
	pid_t tracer;		   /* 0: none */
	int64_t live_at_end;	   /* blocks, where nothing fails */
	uint64_t descriptors_at_end;
	uint64_t counts[NTH_OUTCOMES];
	uint64_t hits;	   /* injections that were reached */
	struct nth_trial *shared; /* with the process of the trial that runs */
};

typedef enum nth_outcome (*nth_play)(struct nth *nth, const struct nth_injection *injection,
				     uint32_t steps);

void nth_open(struct nth *nth);
/* Ends the test if an outcome was bad. */
void nth_close(struct nth *nth);
/* Plays in a process of its own, and counts what came of it. */
enum nth_outcome nth_try(struct nth *nth, nth_play play, const struct nth_injection *injection,
			 uint32_t steps);

/* Starts hearthd, plays the steps, ends it: with the injection in force all the time. */
enum nth_outcome nth_run(struct nth *nth, const struct nth_injection *injection, uint32_t steps);

/* The same against one that is ready: nth_begin starts it, each round plays the steps with the
 * injection in force and again without it, and ends where it began. */
void nth_begin(struct nth *nth);
enum nth_outcome nth_round(struct nth *nth, const struct nth_injection *injection, uint32_t steps);
void nth_end(struct nth *nth);

/* What fails for ever must not be tried for ever without a pause. */
void nth_must_idle(const struct nth *nth);
/* In its log. */
bool nth_has_said(const struct nth *nth, const char *text);

/* The numbers of the allocations whose caller is seen for the first, the second or the last time,
 * from malloc, the caller's; and how many callers there are. Of a run or of a round. */
uint64_t *nth_sites(struct nth *nth, bool is_round, uint32_t steps, uint32_t *ret_sites,
		    uint32_t *ret_count);

/* The system calls of a run or of a round. */
uint32_t nth_calls(struct nth *nth, bool is_round, uint32_t steps,
		   struct trace_call ret_calls[TRACE_CALLS_MAX]);

#endif
