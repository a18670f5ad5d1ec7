/* SPDX-License-Identifier: MIT */
/*
 * tests/death/stepper.h - a process that another one runs instruction by instruction
 *
 *     static void work(void *argument)          stepper_start(&stepper, work, argument);
 *     {                                         while (stepper_step(&stepper))
 *             ... at full speed ...                     ... stepper.address is next ...
 *             stepper_mark();                   stepper_kill(&stepper);
 *             ... stepped ...                     or
 *             stepper_mark();                   stepper_finish(&stepper);
 *             ... at full speed ...
 *     }
 *
 * Two steppers that the same process starts see the same addresses: both are its copies.
 *
 * Owns:     one process, until stepper_kill or stepper_finish
 * Threads:  the one that started it
 * Errors:   `must` (crowd.h)
 */
#ifndef HEARTH_TESTS_SYSTEM_STEPPER_H
#define HEARTH_TESTS_SYSTEM_STEPPER_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct stepper {
	uint64_t address; /* of the next instruction */
	uint64_t steps;
	pid_t pid;
};

/* Are there ptrace and a processor that is known here? */
bool stepper_is_able(void);

/* Stays on one CPU from then on, with all that it starts: a step is two switches between two
 * processes, and a wake across CPUs costs ten times as much. */
void stepper_settle(void);

/* Begin and end of what is stepped, in the process that is. */
static inline void stepper_mark(void)
{
#if defined(__x86_64__)
	__asm__ volatile("int3" : : : "memory");
#else
	raise(SIGTRAP);
#endif
}

/* Starts a process, and runs it at full speed to its first mark. */
void stepper_start(struct stepper *ret_stepper, void (*work)(void *argument), void *argument);

/* Runs one instruction. False: that was the second mark. */
bool stepper_step(struct stepper *stepper);

/* Runs at full speed until the instruction at the address is next for the `visits`-th time. False:
 * the second mark came first. */
bool stepper_reach(struct stepper *stepper, uint64_t address, uint32_t visits);

/* Is the next instruction a system call? */
bool stepper_is_at_call(const struct stepper *stepper);

/* Lets it go into the system call that is next, waits, and kills it. True: it was still inside. */
bool stepper_kill_inside(struct stepper *stepper, int64_t pause_ns);

void stepper_kill(struct stepper *stepper);

/* At full speed to its end, which must be a success. */
void stepper_finish(struct stepper *stepper);

#endif
