/* SPDX-License-Identifier: MIT */
/*
 * tests/nth/nth_trace.h - strace, attached to a process and taken away again
 *
 * Owns:     the tracer, from trace_attach to trace_detach
 * Threads:  one thread at a time
 * Errors:   `must` (crowd.h)
 */
#ifndef HEARTH_TESTS_SYSTEM_NTH_TRACE_H
#define HEARTH_TESTS_SYSTEM_NTH_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A system call, and how often the busiest thread makes it. */
struct trace_call {
	char name[32];
	uint64_t count;
};
#define TRACE_CALLS_MAX 128

/* False where strace is not there, or may not trace. */
bool trace_is_possible(void);

/* Traces every thread of `pid` from here on, into the file. The n-th `call` of each thread
 * fails with `error`, or the n-th and all after it; where `call` is "", nothing does. */
pid_t trace_attach(pid_t pid, const char *path, const char *call, const char *error, uint64_t at,
		   bool for_ever);
/* Lets the process go on without; also when it has ended. */
void trace_detach(pid_t tracer);

uint32_t trace_count(const char *path, struct trace_call ret_calls[TRACE_CALLS_MAX]);
/* How many calls in the file failed on purpose. */
uint64_t trace_injected(const char *path);

/* The plausible errors of a call, NULL at the end; none at all for one that libc makes for itself
 * and that cannot fail in its hands. */
const char *const *trace_errors(const char *call);

#endif
