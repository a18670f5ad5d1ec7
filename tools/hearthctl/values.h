/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/values.h - what stands behind an option or for an argument, as a value
 *
 * Owns:     nothing; texts are those of the arguments
 * Units:    a name's last word
 * Errors:   argp_error: a sentence that names `what` and the text, and the program's end
 */
#ifndef HEARTH_TOOLS_HEARTHCTL_VALUES_H
#define HEARTH_TOOLS_HEARTHCTL_VALUES_H

#include <argp.h>
#include <stdint.h>

#include "tools/hearthctl/command.h"

#define TIMEOUT_SECONDS_MAX 1e6

uint64_t number_parse(const struct argp_state *state, const char *what, const char *text,
		      uint64_t min, uint64_t max);

/* Above 0. */
double real_parse(const struct argp_state *state, const char *what, const char *text, double max);

/* 500us, 2ms, 1s */
uint64_t duration_parse_ns(const struct argp_state *state, const char *what, const char *text);

/* One of `words`, which have commas between them. */
const char *word_parse(const struct argp_state *state, const char *what, const char *text,
		       const char *words);

/* NAME=FILE, cut in two in place. */
void input_parse(const struct argp_state *state, char *text, struct invocation *invocation);

/* MODEL, MODEL@VERSION, and as a second argument VERSION. */
void model_parse(const struct argp_state *state, const char *text, struct invocation *invocation);

#endif
