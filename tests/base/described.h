/* SPDX-License-Identifier: MIT */
/*
 * tests/base/described.h - a machine that files in a folder describe, as /sys and /proc do this one
 *
 * described_make and described_remove are Check's checked fixtures.
 *
 * Owns:     the folder, and everything in it
 * Threads:  one
 * Errors:   ends the test with a sentence
 */
#ifndef HEARTH_TESTS_BASE_DESCRIBED_H
#define HEARTH_TESTS_BASE_DESCRIBED_H

extern char described_root[]; /* in place of "/" */

void described_make(void);

/* Writes a file, and the folders that it lies in. `path` begins with a slash. */
void described_put(const char *path, const char *text);

void described_remove(void);

#endif
