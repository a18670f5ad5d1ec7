/* SPDX-License-Identifier: MIT */
/*
 * daemon/base/error.h - one integer, three meanings
 *
 *     0    success
 *   < 0    fatal here, -errno; never matched, only traced up
 *   > 0    an expected outcome NOUN_E_* that the direct caller must handle
 *
 * err_raise starts a trace with a sentence for a person, err_trace adds a
 * frame, err_fold makes an unhandled outcome fatal. Success costs one compare.
 *
 * Owns:     the calling thread's last trace
 * Threads:  each thread has its own trace
 */
#ifndef HEARTH_BASE_ERROR_H
#define HEARTH_BASE_ERROR_H

#include <stddef.h>

#define must_check __attribute__((warn_unused_result))

/* The sentence names what was wrong, what was wanted and how to mend it.
 * Returns `error`, which must be negative. */
#define err_raise(error, ...) err_raise_at((error), __FILE__, __LINE__, __VA_ARGS__)
#define err_trace(error) err_trace_at((error), __FILE__, __LINE__)
#define err_fold(result) err_fold_at((result), __FILE__, __LINE__)

int err_raise_at(int error, const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
int err_trace_at(int error, const char *file, int line);
int err_fold_at(int result, const char *file, int line);

/* The sentence of the last err_raise on this thread; "" when there was none. */
const char *err_message(void);

/* The frames, "file:line < file:line", innermost first. */
const char *err_frames(void);

#endif
