/* SPDX-License-Identifier: MIT */
/*
 * tests/death/scenes.h - each call of the client, beginning in each state of its ring
 *
 * A scene opens a connection of SCENE_SLOTS slots, brings its rings into the state, and calls
 * once, between two marks (stepper.h). Nothing spins: the budget is 0.
 *
 * Errors:   `must` (crowd.h), also when the call does not return what it has to
 */
#ifndef HEARTH_TESTS_SYSTEM_SCENES_H
#define HEARTH_TESTS_SYSTEM_SCENES_H

#include <stdint.h>

enum scene_call {
	SCENE_OPEN, /* a second connection of the process */
	SCENE_ACQUIRE,
	SCENE_SUBMIT,
	SCENE_PEEK,
	SCENE_WAIT,
	SCENE_CANCEL,
	SCENE_RELEASE,
	SCENE_CLOSE,
	SCENE_CALLS,
};

enum scene_state {
	SCENE_EMPTY,
	SCENE_ONE,     /* one request in flight, answered */
	SCENE_SLOW,    /* one request in flight, not yet answered: hearth_wait sleeps */
	SCENE_FULL,    /* every slot in flight, some answered */
	SCENE_WRAPPED, /* both rings have gone round, one request in flight */
	SCENE_STATES,
};

struct scene {
	const char *socket;
	enum scene_call call;
	enum scene_state state;
};

const char *scene_call_name(enum scene_call call);
const char *scene_state_name(enum scene_state state);

/* Calls everything once in this process, so that a process it starts finds each function of libc
 * bound to its address. */
void scene_rehearse(const struct scene *scene);

/* For stepper_start. */
void scene_play(void *scene);

#endif
