/* SPDX-License-Identifier: MIT */
/*
 * daemon/base/log.h - lines for whoever runs the daemon
 *
 * Owns:     the level
 * Threads:  any; a line is one write(2), so lines never mix
 * Errors:   none; a line that cannot be written is lost
 *
 * Called by main and ops/ only: libraries return a sentence, they do not log.
 * Under the journal each line carries its priority ("<4>"), elsewhere a time.
 */
#ifndef HEARTH_BASE_LOG_H
#define HEARTH_BASE_LOG_H

/* The numbers are syslog's. */
enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7,
};

/* Finds out who reads stderr. Before it lines go out with a time. */
void log_init(enum log_level level);
void log_level_set(enum log_level level);

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

#endif
