/* SPDX-License-Identifier: MIT */
/*
 * tests/memory/ring_flight.h - what this process's io_urings have taken and not given back
 *
 * Owns:     nothing
 * Threads:  any
 * Errors:   ends the test with a sentence
 */
#ifndef HEARTH_TESTS_MEMORY_RING_FLIGHT_H
#define HEARTH_TESTS_MEMORY_RING_FLIGHT_H

#include <stdint.h>

/* Submissions without a completion, of all rings, as /proc/self/fdinfo tells them. */
uint32_t ring_flight(void);

/* Descriptors of this process whose link holds `part`; NULL: all but the one that reads them. */
uint32_t ring_flight_fds(const char *part, int fds[], uint32_t fd_max);

#endif
