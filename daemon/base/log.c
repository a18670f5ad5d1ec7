/* SPDX-License-Identifier: MIT */
/* daemon/base/log.c - one line, one write */

#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

#define LINE_BYTES 1024

static const struct {
	enum log_level level;
	const char *name;
} level_names[] = {
	{ LOG_LEVEL_ERROR, "error" },
	{ LOG_LEVEL_WARNING, "warning" },
	{ LOG_LEVEL_INFO, "info" },
	{ LOG_LEVEL_DEBUG, "debug" },
};

static int level_max = LOG_LEVEL_INFO; /* touched with __atomic only */
static bool is_journal;

static const char *level_name(enum log_level level)
{
	size_t index;

	for (index = 0; index < sizeof(level_names) / sizeof(level_names[0]); index++) {
		if (level_names[index].level == level)
			return level_names[index].name;
	}
	return "info";
}

/* JOURNAL_STREAM names the device and inode of the journal's socket; a child
 * whose stderr was redirected inherits the variable, so stderr must be it. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device;
	unsigned long long inode;
	struct stat stat;

	if (!stream || sscanf(stream, "%llu:%llu", &device, &inode) != 2)
		return false;
	return fstat(STDERR_FILENO, &stat) == 0 && stat.st_dev == device && stat.st_ino == inode;
}

void log_init(enum log_level level)
{
	is_journal = stderr_is_journal();
	log_level_set(level);
}

void log_level_set(enum log_level level)
{
	__atomic_store_n(&level_max, (int)level, __ATOMIC_RELAXED);
}

int log_level_parse(const char *name, enum log_level *ret_level)
{
	size_t index;

	for (index = 0; index < sizeof(level_names) / sizeof(level_names[0]); index++) {
		if (strcmp(level_names[index].name, name) == 0) {
			*ret_level = level_names[index].level;
			return 0;
		}
	}
	return err_raise(-EINVAL, "'%s' is no log level; error, warning, info and debug are", name);
}

static size_t prefix_print(enum log_level level, char *line, size_t bytes)
{
	struct timespec now;
	struct tm broken_down;
	size_t used;

	if (is_journal)
		return (size_t)snprintf(line, bytes, "<%d>", (int)level);
	clock_gettime(CLOCK_REALTIME, &now);
	localtime_r(&now.tv_sec, &broken_down);
	used = strftime(line, bytes, "%Y-%m-%dT%H:%M:%S", &broken_down);
	used += (size_t)snprintf(line + used, bytes - used, ".%03ld %s: ", now.tv_nsec / 1000000,
				 level_name(level));
	return used;
}

void log_line(enum log_level level, const char *format, ...)
{
	char line[LINE_BYTES];
	int saved_errno = errno;
	va_list arguments;
	size_t used;
	size_t at;
	int printed;

	if ((int)level > __atomic_load_n(&level_max, __ATOMIC_RELAXED))
		return;
	used = prefix_print(level, line, sizeof(line));
	at = used;
	va_start(arguments, format);
	printed = vsnprintf(line + used, sizeof(line) - used, format, arguments);
	va_end(arguments);
	if (printed < 0)
		printed = 0;
	used += (size_t)printed;
	if (used > sizeof(line) - 1)
		used = sizeof(line) - 1;
	for (; at < used; at++) {
		if ((unsigned char)line[at] < ' ' || line[at] == 0x7f)
			line[at] = ' ';
	}
	line[used] = '\n';
	if (write(STDERR_FILENO, line, used + 1) < 0)
		errno = 0; /* nobody is left to be told */
	errno = saved_errno;
}
