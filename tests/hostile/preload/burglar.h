/* SPDX-License-Identifier: MIT */
/*
 * tests/hostile/preload/burglar.h - what code inside hearthd was refused, thread by thread
 *
 * The library runs in each of the daemon's threads, at a place that the thread
 * passes anyway, and does what an attacker would who got that far. Each
 * attempt is made so that it would fail in another way, or do nothing, if it
 * were allowed: an error tells whether it was refused.
 *
 * Threads:  the four of hearthd write their reports; the test sets `wanted`
 *           and reads a report when it is done
 */
#ifndef HEARTH_TESTS_SYSTEM_PRELOAD_BURGLAR_H
#define HEARTH_TESTS_SYSTEM_PRELOAD_BURGLAR_H

#include <stdint.h>

#define BURGLAR_FILE "HEARTH_BURGLAR"   /* environment: where struct burglar lies */
#define BURGLAR_LACKS "HEARTH_LACKS"    /* environment: "Landlock" or "seccomp" is not there */
#define BURGLAR_CALLS 512               /* system calls by number; Linux 6.18 has 470 */
#define BURGLAR_OPERATIONS 128          /* of io_uring; Linux 6.18 has 62 */
#define BURGLAR_FLAGS 7                 /* of an io_uring entry */
#define BURGLAR_ATTEMPTS_MAX 64
#define BURGLAR_UNTRIED (-1)

enum burglar_thread {
	BURGLAR_CONTROL,
	BURGLAR_DATA,
	BURGLAR_LOADER,
	BURGLAR_WORKER,
	BURGLAR_THREADS,
};

/* Errors are positive, 0 is success. */
struct burglar_attempt {
	char name[56];
	int32_t expected;
	int32_t found;
};

struct burglar_report {
	uint64_t is_done;
	uint32_t attempt_count;
	int32_t calls[BURGLAR_CALLS]; /* all but those that the daemon needs */
	int32_t operations[BURGLAR_OPERATIONS];
	int32_t flags[BURGLAR_FLAGS]; /* of an operation that is allowed */
	int32_t unflagged;            /* the same without any */
	struct burglar_attempt attempts[BURGLAR_ATTEMPTS_MAX];
};

struct burglar {
	uint64_t wanted;
	uint64_t is_rung_by_socket; /* so the data ring waits for no futex */
	uint64_t has_no_rings;      /* its loops wait with ppoll */
	char model[160];   /* a file of the repository */
	char outside[160]; /* one that is neither in it nor beside the sockets */
	struct burglar_report reports[BURGLAR_THREADS];
};

#endif
