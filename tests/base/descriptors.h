/* SPDX-License-Identifier: MIT */
/*
 * tests/base/descriptors.h - what this process has open
 *
 * Owns:     nothing
 * Threads:  any; what others open and close meanwhile may be told or not
 * Errors:   ends the test with a sentence
 */
#ifndef HEARTH_TESTS_BASE_DESCRIPTORS_H
#define HEARTH_TESTS_BASE_DESCRIPTORS_H

#include <stdint.h>

#define DESCRIPTORS_MAX 256

/* Descriptors whose link holds `part`; NULL: all but the one that reads them. */
uint32_t descriptors_find(const char *part, int ret_fds[DESCRIPTORS_MAX]);
uint32_t descriptors_count(void);

#endif
