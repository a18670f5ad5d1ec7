/* SPDX-License-Identifier: MIT */
/*
 * daemon/base/log.h - lines for whoever runs the daemon
 *
 * Owns:     the level; lines are kept in memory of the caller's
 * Threads:  any; a line is one write(2), so lines never mix. Where they are kept: one
 * Units:    positions count the lines that were ever kept
 * Errors:   none; a line that cannot be written is lost
 *
 * Called by main and ops/ only: libraries return a sentence, they do not log.
 * Under the journal each line carries its priority ("<4>"), elsewhere a time.
 */
#ifndef HEARTH_BASE_LOG_H
#define HEARTH_BASE_LOG_H

#include <stdint.h>

#define LOG_LINE_BYTES 1024
#define LOG_EVENTS 512

/* The numbers are syslog's. */
enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
};

struct log_event {
	uint64_t unix_ns;
	enum log_level level;
	char text[LOG_LINE_BYTES]; /* clean: base/text.h */
};

struct log_events {
	uint64_t count;
	struct log_event events[LOG_EVENTS];
};

/* Finds out who reads stderr. Before it lines go out with a time. */
void log_init(enum log_level level);
void log_level_set(enum log_level level);

const char *log_level_name(enum log_level level);

/* "error", "warning", "info", "debug"; -EINVAL for anything else. */
int log_level_parse(const char *name, enum log_level *ret_level);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* At most 1024 bytes; control characters become spaces, so that a name from a
 * client cannot forge a line. */
void log_line(enum log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* From now on the last lines that are logged, those for debugging apart, are kept here, too. It is
 * zeroed, and there as long as something is logged. */
void log_keep(struct log_events *events);

/* NULL: nothing was kept at this position, or it is gone. */
const struct log_event *log_event(const struct log_events *events, uint64_t position);

#endif
