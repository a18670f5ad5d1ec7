/* SPDX-License-Identifier: MIT */
/* daemon/base/log.c - one line, one write, and one place among the last ones */

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

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"

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
static struct log_events *kept; /* NULL: none are */

const char *log_level_name(enum log_level level)
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

static size_t prefix_print(enum log_level level, uint64_t unix_ns, char *line, size_t bytes)
{
	struct timespec now = clock_timespec(unix_ns);
	struct tm broken_down;
	size_t used;

	if (is_journal)
		return (size_t)snprintf(line, bytes, "<%d>", (int)level);
	localtime_r(&now.tv_sec, &broken_down);
	used = strftime(line, bytes, "%Y-%m-%dT%H:%M:%S", &broken_down);
	used += (size_t)snprintf(line + used, bytes - used, ".%03ld %s: ", now.tv_nsec / 1000000,
				 log_level_name(level));
	return used;
}

static void event_keep(enum log_level level, uint64_t unix_ns, const char *text, size_t bytes)
{
	struct log_event *event = kept->events + kept->count++ % LOG_EVENTS;

	event->unix_ns = unix_ns;
	event->level = level;
	memcpy(event->text, text, bytes);
	event->text[bytes] = '\0';
	text_clean(event->text);
}

void log_line(enum log_level level, const char *format, ...)
{
	char line[LOG_LINE_BYTES];
	int saved_errno = errno;
	uint64_t unix_ns;
	va_list arguments;
	size_t prefix;
	size_t used;
	size_t at;
	int printed;

	if ((int)level > __atomic_load_n(&level_max, __ATOMIC_RELAXED))
		return;
	unix_ns = clock_unix_ns();
	prefix = prefix_print(level, unix_ns, line, sizeof(line));
	va_start(arguments, format);
	printed = vsnprintf(line + prefix, sizeof(line) - prefix, format, arguments);
	va_end(arguments);
	used = prefix + (printed > 0 ? (size_t)printed : 0);
	if (used > sizeof(line) - 1)
		used = sizeof(line) - 1;
	for (at = prefix; at < used; at++) {
		if ((unsigned char)line[at] < ' ' || line[at] == 0x7f)
			line[at] = ' ';
	}
	if (kept && level <= LOG_LEVEL_INFO)
		event_keep(level, unix_ns, line + prefix, used - prefix);
	line[used] = '\n';
	if (write(STDERR_FILENO, line, used + 1) < 0)
		errno = 0; /* nobody is left to be told */
	errno = saved_errno;
}

void log_keep(struct log_events *events)
{
	kept = events;
}

const struct log_event *log_event(const struct log_events *events, uint64_t position)
{
	if (position >= events->count || events->count - position > LOG_EVENTS)
		return NULL;
	return events->events + position % LOG_EVENTS;
}
