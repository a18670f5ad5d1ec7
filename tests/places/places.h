/* SPDX-License-Identifier: MIT */
/*
 * tests/places/places.h - processes in other namespaces, with a chosen pid, or without some calls
 *
 *     int main(int argc, char **argv)
 *     {
 *             place_main(argc, argv);
 *             ...
 *             appliance.wrapper = (const char *[]){ PLACE_WRAPPER, "clock=3600", PLACE_END };
 *
 * Words that a place is made of:
 *     clock=S          a time namespace, whose CLOCK_MONOTONIC is S seconds ahead
 *     user             a user namespace; our user is its root, all others are unmapped
 *     no-peerpidfd=E   getsockopt(SO_PEERPIDFD) fails with this errno
 *     no-pidfd=E       pidfd_open fails with this errno
 *     no-io_uring=E    io_uring_setup does; no-io_uring-register=E and no-io_uring-enter=E alike
 *     memlock=BYTES    no more memory may be locked, by root either
 *
 * Owns:     nothing: who starts a process ends it with crowd_finish or crowd_kill
 * Threads:  one thread at a time
 * Errors:   `must` (crowd.h), but where a function says what it returns
 */
#ifndef HEARTH_TESTS_SYSTEM_PLACES_H
#define HEARTH_TESTS_SYSTEM_PLACES_H

#include <stdint.h>
#include <sys/types.h>

/* In front of the words and behind them: this very program executes hearthd there. */
#define PLACE_WRAPPER "/proc/self/exe", "--place"
#define PLACE_END "--", NULL

/* Returns at once, unless the program was started as a wrapper. First thing in main. */
void place_main(int argc, char **argv);

/* Brings the calling process to such a place: 0, or -errno. NULL after the last word. */
int place_enter(const char *const words[]);

/* Whether a process may go there, tried in one of its own: 0, or -errno. */
int place_try(const char *const words[]);

/*
 * As crowd_start, with clone3: `namespaces` are CLONE_NEW*, where CLONE_NEWUSER makes our user its
 * root; `wanted` is its pid in our namespace, 0 for any. Returns the pid, or -errno where that is
 * not allowed.
 */
pid_t place_start(uint64_t namespaces, pid_t wanted, void (*work)(void *argument), void *argument);

/* Between the two, children are born into a pid namespace of their own; 0 or -errno. */
int place_pids_begin(void);
void place_pids_end(void);

#endif
