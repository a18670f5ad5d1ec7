/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/watch.h - a question that is asked time and again, and a daemon that goes and comes
 *
 * Owns:     nothing
 * Threads:  one
 * Units:    seconds; due_ns on clock_ns()
 * Errors:   exit codes, with a sentence on stderr
 */
#ifndef HEARTH_TOOLS_HEARTHCTL_WATCH_H
#define HEARTH_TOOLS_HEARTHCTL_WATCH_H

#include <stdbool.h>

#include "tools/hearthctl/command.h"

/* A daemon that cannot be reached is told once, and once that it answers again. */
struct watch {
	bool has_answered;
	bool is_away;
	uint64_t due_ns; /* when the next question is */
};

/* What asks returns its exit code. A daemon that has answered once may be away: EXIT_UNREACHABLE is
 * then for the caller to wait and ask again. */
int watch_ask(struct watch *watch, int (*ask)(void *context), void *context);

/* Sleeps until the next question is due; those that the last answer took the time of are left out. */
void watch_wait(struct watch *watch, double seconds);

/* A command time and again: in place on a terminal, else one block after the other. */
int watch_run(const struct invocation *invocation, int (*run)(const struct invocation *invocation));

#endif
