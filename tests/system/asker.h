/* SPDX-License-Identifier: MIT */
/*
 * tests/system/asker.h - a client of the model of tests/exec/cold_model.h that knows the right answers
 *
 * Owns:     the connection, from asker_open until hearth_close
 * Threads:  one thread at a time
 * Errors:   what may not fail, and an answer that is wrong, ends the process with a sentence
 */
#ifndef HEARTH_TESTS_SYSTEM_ASKER_H
#define HEARTH_TESTS_SYSTEM_ASKER_H

#include "appliance.h"
#include "client/hearth.h"

#define ASKER_ROWS 8 /* of a question */

struct asker {
	struct hearth *hearth;
	const struct hearth_model_info *model;
	uint64_t seed;
	int64_t user_count; /* questions are about those below it */
};

/* The model is called "cold". */
void asker_open(struct asker *asker, const struct appliance *appliance, uint64_t seed);

void asker_ask(struct asker *asker, uint64_t number);
/* Returns the status of an answer; where it is 0 the answer was right. */
int asker_take(struct asker *asker);

#endif
