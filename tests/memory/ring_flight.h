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

#endif
