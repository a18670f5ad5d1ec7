/* SPDX-License-Identifier: MIT */
/*
 * tests/hostile/vandals.h - what a client can do to a daemon, each way by itself, and its honest twin
 *
 * A vandal goes on until it is told to stop, and comes back whenever it is thrown
 * out. Its twin is an honest program with the same threads, processes and offered
 * load: what a neighbour loses beside the vandal and not beside the twin is harm.
 *
 * Errors:   `must` (crowd.h); being refused or thrown out is no error
 */
#ifndef HEARTH_TESTS_HOSTILE_VANDALS_H
#define HEARTH_TESTS_HOSTILE_VANDALS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define VANDAL_SLOTS 16
#define VANDAL_AREA_BYTES 65536
#define VANDAL_ROWS 8		  /* of a request */
#define VANDAL_WAITERS 1000	  /* threads that sleep on one word */
#define VANDAL_PAUSE_NS 1000000	  /* of whoever comes and goes */
#define VANDAL_STANDS_NS 5000000 /* still, before it is killed */

struct vandal_plan {
	const struct vandal *vandal;
	const char *socket;
	uid_t uid; /* whose process it is; only root can choose */
	uint64_t seed;
	const uint64_t *stop; /* a shared word */
	uint64_t *acts;	      /* the same; counts on */
};

struct vandal {
	const char *name;
	void (*rage)(const struct vandal_plan *plan);
	void (*twin)(const struct vandal_plan *plan);
	uint64_t acts_min; /* fewer prove little */
};

extern const struct vandal vandals[];
extern const uint32_t vandal_count;

/* For crowd_start. */
void vandal_run(void *plan);
void vandal_twin_run(void *plan);

/* honest.c: what does as much, and no harm. */
void honest_asks(const struct vandal_plan *plan);		    /* all slots, without a pause */
void honest_asks_in_two_threads(const struct vandal_plan *plan);
void honest_sleeps_among_sleepers(const struct vandal_plan *plan);
void honest_comes_and_goes(const struct vandal_plan *plan);   /* opens, asks once a slot, closes */
void honest_comes_in_pairs(const struct vandal_plan *plan);   /* the same, from two processes */
void honest_stands_still(const struct vandal_plan *plan);	    /* a process that asks and pauses */
void honest_describes(const struct vandal_plan *plan);	    /* asks the control thread */

/* Whether it goes on. */
bool vandal_act(const struct vandal_plan *plan);

#endif
