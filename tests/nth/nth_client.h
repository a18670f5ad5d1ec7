/* SPDX-License-Identifier: MIT */
/*
 * tests/nth/nth_client.h - the same for a client: something fails while it opens, asks, closes
 *
 * What may come of it: a number below zero with a sentence, or an answer; and
 * the client holds no more descriptors, mappings and blocks than before, asks
 * again and is answered, and the daemon has forgotten it.
 *
 * Owns:     a process that executes this program again, with the injector preloaded
 * Threads:  one thread at a time
 * Errors:   `must` (crowd.h)
 */
#ifndef HEARTH_TESTS_SYSTEM_NTH_CLIENT_H
#define HEARTH_TESTS_SYSTEM_NTH_CLIENT_H

#include "tests/nth/nth.h"

/* First in main(): does not return where this process is to be the client. */
void nth_client_main(int argc, char **argv);

/* One client of a daemon that appliance_start started: NTH_WENT_ON when it is served nevertheless,
 * else NTH_REFUSED. */
enum nth_outcome nth_client_run(struct nth *nth, const struct nth_injection *injection);

/* How many allocations one client makes; its system calls are in nth->trace. */
uint64_t nth_client_allocations(struct nth *nth);

#endif
