/* SPDX-License-Identifier: MIT */
/*
 * tests/model/scratch.h - directories that are gone after the test, also when it fails
 *
 * scratch_begin and scratch_end are Check's unchecked fixtures: they run in the
 * parent, so a test that aborts leaves nothing behind.
 *
 * Owns:     one directory under TMPDIR, and everything in it
 * Threads:  one thread at a time
 */
#ifndef HEARTH_TESTS_MODEL_SCRATCH_H
#define HEARTH_TESTS_MODEL_SCRATCH_H

#include <stddef.h>

void scratch_begin(void);

/* Makes a fresh directory; the path stays valid until the next call. */
const char *scratch_directory(void);

/* All of these end the test with a sentence when they fail. */
int scratch_open(const char *directory); /* a descriptor; the caller closes it */
void scratch_write(int directory_fd, const char *name, const void *data, size_t bytes);
void *scratch_read(const char *path, size_t *ret_bytes); /* the caller frees it */

void scratch_end(void);

#endif
