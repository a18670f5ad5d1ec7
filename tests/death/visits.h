/* SPDX-License-Identifier: MIT */
/*
 * tests/death/visits.h - the places of one scene: where its process was seen, where it was killed
 *
 * A place is an instruction about to run, on the first, second or third visit of a run; and for a
 * system call also its inside. Before an instruction is after the one that ran.
 *
 * Owns:     nothing: it is all zero at first, and may be shared between processes
 * Threads:  one thread at a time
 */
#ifndef HEARTH_TESTS_SYSTEM_VISITS_H
#define HEARTH_TESTS_SYSTEM_VISITS_H

#include <stdbool.h>
#include <stdint.h>

#define VISITS_MAX 3
#define VISITS_OF_ADDRESS (2 * VISITS_MAX)
#define VISITS_ADDRESSES 8192

/* Bits: visit v is bit v, inside the system call at visit v is bit VISITS_MAX + v. */
struct place {
	uint64_t address;
	uint32_t run;     /* that visited it last */
	uint16_t visits;  /* in that run */
	uint8_t known;
	uint8_t killed;
	bool is_judged; /* known to be a system call or not */
	bool is_call;
};

struct visits {
	struct place list[VISITS_ADDRESSES]; /* in the order of their first visit */
	uint32_t numbers[2 * VISITS_ADDRESSES]; /* in the list, from 1, by address; 0 = vacant */
	uint32_t addresses;
	uint32_t run;
};

/* A process begins. */
void visits_begin(struct visits *visits);
/* It is about to run the instruction: counts the visit. */
struct place *visits_add(struct visits *visits, uint64_t address);

uint32_t visits_known(const struct visits *visits);
uint32_t visits_killed(const struct visits *visits);

/* The `number`-th place that is known and where nothing was killed, at `ret_bit` of an address;
 * NULL if there are fewer. */
struct place *visits_choose(struct visits *visits, uint32_t number, uint8_t *ret_bit);

#endif
