/* SPDX-License-Identifier: MIT */
/*
 * client/failure.h - the sentence of a thread's last failure
 *
 * Owns:     one sentence for each thread, shared by all files of a program that include this
 */
#ifndef HEARTH_CLIENT_FAILURE_H
#define HEARTH_CLIENT_FAILURE_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shm/handshake.h"

struct hearth_failure {
	int error;
	char text[HEARTH_TEXT_BYTES];
};

/* One for each thread, shared by all files of a program that include this header. */
__attribute__((weak, visibility("hidden"))) __thread struct hearth_failure hearth_last_failure;

static inline int hearth_fail(int error)
{
	hearth_last_failure.error = error;
	hearth_last_failure.text[0] = '\0';
	return error < 0 ? error : -EIO;
}

__attribute__((format(printf, 1, 2))) static inline void hearth_explain_write(const char *format,
									      ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(hearth_last_failure.text, sizeof(hearth_last_failure.text), format,
			arguments);
	va_end(arguments);
}

/* Returns its number, so that the compiler sees a failure wherever one is returned. */
static inline int hearth_explained(int error)
{
	hearth_last_failure.error = error;
	return error < 0 ? error : -EIO;
}

/* Fails with a sentence: what was wrong, what was wanted, how to mend it. */
#define hearth_explain(error, ...) (hearth_explain_write(__VA_ARGS__), hearth_explained(error))

static inline const char *hearth_error_sentence(int error)
{
	switch (-error) {
	case EAGAIN:
		return "nothing there, or no slot or room left: consume and release completions";
	case EMSGSIZE:
		return "too large";
	case ENOBUFS:
		return "the response range is too small";
	case EBUSY:
		return "the daemon is full, or the request is still in flight";
	case EDQUOT:
		return "the quota of this user is used up";
	case ETIME:
		return "the deadline passed before the answer";
	case ETIMEDOUT:
		return "nothing came in the time given";
	case ENODATA:
		return "nothing is in flight";
	case ECANCELED:
		return "canceled";
	case ESHUTDOWN:
		return "the daemon is stopping and takes no more requests";
	case EOWNERDEAD:
		return "the daemon died before it answered";
	case ENOTCONN:
		return "the daemon is gone: close this handle and open another";
	case EPERM:
		return "this handle belongs to the parent process: open another after fork()";
	case EINVAL:
		return "not a valid argument, or not in a state for this call";
	case EPROTO:
		return "the daemon's answer does not make sense";
	case ESTALE:
		return "the files of this version have changed: it is out of service until it is "
		       "loaded again";
	case ERANGE:
		return "an id is outside its table";
	case EIO:
		return "rows could not be read from storage";
	default:
		return error < 0 ? strerror(-error) : "no error";
	}
}

HEARTH_API const char *hearth_strerror(int error)
{
	if (error < 0 && hearth_last_failure.error == error && hearth_last_failure.text[0])
		return hearth_last_failure.text;
	return hearth_error_sentence(error);
}

#endif
