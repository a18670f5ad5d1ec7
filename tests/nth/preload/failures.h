/* SPDX-License-Identifier: MIT */
/*
 * tests/nth/preload/failures.h - what the preloaded injector and the test tell each other
 *
 * Owns:     nothing: the test makes the file, the injector maps it
 * Threads:  the test writes before main() or while the program idles; any thread of the program
 *           counts
 */
#ifndef HEARTH_TESTS_SYSTEM_PRELOAD_FAILURES_H
#define HEARTH_TESTS_SYSTEM_PRELOAD_FAILURES_H

#include <stdint.h>

/* Environment: the path of the file; and whether the program stops itself before main(), so that
 * a tracer sees everything from there on and nothing of the loader's. */
#define FAILURES_FILE "HEARTH_FAILURES"
#define FAILURES_STOP "HEARTH_FAILURES_STOP"

#define FAILURES_CALLS_MAX 262144

struct failures {
	/* the test's */
	uint64_t fail_at;  /* the number of the allocation that fails, from 1; 0: none */
	uint64_t for_ever; /* and all after it */
	uint64_t has_sites; /* stacks are wanted */
	/* the program's, all from main() on */
	uint64_t calls;  /* of malloc, calloc, realloc, aligned_alloc, posix_memalign */
	uint64_t failed; /* of these, on purpose */
	int64_t live;    /* blocks that were allocated less blocks that were freed */
	uint64_t has_ended;
	int64_t live_at_end; /* when main() has returned */
	uint64_t descriptors_at_end;
	/* a client's and its judge's (nth_client.c) */
	uint64_t turn;
	int64_t status;
	uint64_t has_sentence;
	uint64_t calls_before;
	uint64_t calls_after;
	uint64_t sites[FAILURES_CALLS_MAX]; /* of call n at n - 1: a hash of who called */
};

#endif
