/* SPDX-License-Identifier: MIT */
/* daemon/base/config.c - one pass over the text, cutting it into entries in place */

#include "base/config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct parser {
	struct config *config;
	const char *name;
	const char *section;
	uint32_t line;
	uint32_t section_count;
	const char *sections[CONFIG_ENTRIES_MAX];
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Drops a comment and the blanks around what is left; returns its beginning. */
static char *line_trim(char *line)
{
	char *end;
	char *at;

	for (at = line; *at; at++) {
		if (*at == '#' && (at == line || is_blank(at[-1]))) {
			*at = '\0';
			break;
		}
	}
	end = line + strlen(line);
	while (end > line && is_blank(end[-1]))
		*--end = '\0';
	while (is_blank(*line))
		line++;
	return line;
}

static int section_parse(struct parser *parser, char *line)
{
	size_t bytes = strlen(line);
	uint32_t index;

	if (line[bytes - 1] != ']')
		return err_raise(-EINVAL, "%s:%u: '[' without ']'; a section is [name]",
				 parser->name, parser->line);
	line[bytes - 1] = '\0';
	line = line_trim(line + 1);
	if (*line == '\0' || strpbrk(line, "[]"))
		return err_raise(-EINVAL, "%s:%u: '[%.80s]' is no section; a section is [name]",
				 parser->name, parser->line, line);
	for (index = 0; index < parser->section_count; index++) {
		if (strcmp(parser->sections[index], line) == 0)
			return err_raise(-EINVAL, "%s:%u: section [%s] is there already",
					 parser->name, parser->line, line);
	}
	if (parser->section_count == CONFIG_ENTRIES_MAX)
		return err_raise(-EINVAL, "%s:%u: more than %d sections", parser->name,
				 parser->line, CONFIG_ENTRIES_MAX);
	parser->sections[parser->section_count++] = line;
	parser->section = line;
	return 0;
}

static bool key_is_valid(const char *key)
{
	const char *at;

	for (at = key; *at; at++) {
		if (!isalnum((unsigned char)*at) && !strchr("_-.", *at))
			return false;
	}
	return at > key;
}

static int entry_parse(struct parser *parser, char *line)
{
	struct config *config = parser->config;
	const struct config_entry *earlier;
	char *equals = strchr(line, '=');
	char *value;

	if (!equals)
		return err_raise(-EINVAL, "%s:%u: '%.80s' is neither 'key = value' nor '[section]'",
				 parser->name, parser->line, line);
	*equals = '\0';
	line = line_trim(line);
	value = line_trim(equals + 1);
	if (!key_is_valid(line))
		return err_raise(-EINVAL,
				 "%s:%u: '%.80s' is no key; letters, digits, '_', '-' and '.' are",
				 parser->name, parser->line, line);
	if (*value == '\0')
		return err_raise(-EINVAL, "%s:%u: %s has no value; leave the line out instead",
				 parser->name, parser->line, line);
	earlier = config_find(config, parser->section, line);
	if (earlier)
		return err_raise(-EINVAL, "%s:%u: %s is given a second time; first in line %u",
				 parser->name, parser->line, line, earlier->line);
	if (config->entry_count == CONFIG_ENTRIES_MAX)
		return err_raise(-EINVAL, "%s:%u: more than %d settings", parser->name,
				 parser->line, CONFIG_ENTRIES_MAX);
	config->entries[config->entry_count++] = (struct config_entry){
		.file = parser->name,
		.section = parser->section,
		.key = line,
		.value = value,
		.line = parser->line,
	};
	return 0;
}

static int line_parse(struct parser *parser, char *line, size_t bytes)
{
	size_t at;

	if (bytes > CONFIG_LINE_BYTES_MAX)
		return err_raise(-EINVAL, "%s:%u: a line of %zu bytes; %d are allowed",
				 parser->name, parser->line, bytes, CONFIG_LINE_BYTES_MAX);
	for (at = 0; at < bytes; at++) {
		if (iscntrl((unsigned char)line[at]) && !is_blank(line[at]))
			return err_raise(-EINVAL, "%s:%u: control character 0x%02x",
					 parser->name, parser->line, (unsigned char)line[at]);
	}
	line = line_trim(line);
	if (*line == '\0')
		return 0;
	if (*line == '[')
		return err_trace(section_parse(parser, line));
	return err_trace(entry_parse(parser, line));
}

static int text_parse(struct parser *parser, char *text, char *end)
{
	int r;

	while (text < end) {
		char *newline = memchr(text, '\n', (size_t)(end - text));

		if (!newline)
			newline = end; /* the terminator lies there */
		*newline = '\0';
		parser->line++;
		r = line_parse(parser, text, (size_t)(newline - text));
		if (r < 0)
			return err_trace(r);
		text = newline + 1;
	}
	return 0;
}

int config_parse(const char *text, size_t bytes, const char *name, struct config *ret_config)
{
	struct config config = { 0 };
	struct parser parser = { .config = &config, .section = "" };
	size_t name_bytes = strlen(name) + 1;
	int r;

	if (bytes > CONFIG_FILE_BYTES_MAX)
		return err_raise(-EINVAL, "%s:1: more than %d bytes are no configuration", name,
				 CONFIG_FILE_BYTES_MAX);
	config.text = malloc(bytes + 1 + name_bytes);
	config.entries = calloc(CONFIG_ENTRIES_MAX, sizeof(config.entries[0]));
	if (!config.text || !config.entries) {
		config_close(&config);
		return err_raise(-ENOMEM, "no memory to read %s", name);
	}
	memcpy(config.text, text, bytes);
	config.text[bytes] = '\0';
	memcpy(config.text + bytes + 1, name, name_bytes);
	parser.name = config.text + bytes + 1;

	r = text_parse(&parser, config.text, config.text + bytes);
	if (r < 0) {
		config_close(&config);
		return err_trace(r);
	}
	*ret_config = config;
	return 0;
}

int config_open(const char *path, struct config *ret_config)
{
	size_t text_bytes = 0;
	char *text;
	int fd;
	int r;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hold us */
	if (fd < 0)
		return err_raise(-errno, "%s cannot be opened: %s", path, strerror(errno));
	text = malloc(CONFIG_FILE_BYTES_MAX + 1);
	if (!text) {
		r = err_raise(-ENOMEM, "no memory to read %s", path);
		goto out;
	}
	for (;;) {
		ssize_t got = read(fd, text + text_bytes, CONFIG_FILE_BYTES_MAX + 1 - text_bytes);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			r = err_raise(-errno, "%s cannot be read: %s", path, strerror(errno));
			goto out;
		}
		text_bytes += (size_t)got;
		if (got == 0 || text_bytes > CONFIG_FILE_BYTES_MAX)
			break;
	}
	r = err_trace(config_parse(text, text_bytes, path, ret_config));
out:
	free(text);
	close(fd);
	return r;
}

const struct config_entry *config_find(const struct config *config, const char *section,
				       const char *key)
{
	uint32_t index;

	for (index = 0; index < config->entry_count; index++) {
		const struct config_entry *entry = &config->entries[index];
		if (strcmp(entry->key, key) == 0 && strcmp(entry->section, section) == 0)
			return entry;
	}
	return NULL;
}

int config_integer(const struct config_entry *entry, int64_t min, int64_t max, int64_t *ret_value)
{
	long long value;
	char *end;

	errno = 0;
	value = strtoll(entry->value, &end, 10);
	if (errno != 0 || end == entry->value || *end != '\0' || value < min || value > max)
		return err_raise(-EINVAL,
				 "%s:%u: %s = %.80s; an integer from %" PRId64 " to %" PRId64
				 " is wanted",
				 entry->file, entry->line, entry->key, entry->value, min, max);
	*ret_value = value;
	return 0;
}

int config_bool(const struct config_entry *entry, bool *ret_value)
{
	static const char *const choices[] = { "no", "yes" };
	uint32_t index;
	int r;

	r = config_choice(entry, choices, 2, &index);
	if (r < 0)
		return err_trace(r);
	*ret_value = index == 1;
	return 0;
}

int config_bytes(const struct config_entry *entry, uint64_t max_bytes, uint64_t *ret_bytes)
{
	static const char suffixes[] = "KMGT";
	unsigned long long value;
	unsigned shift = 0;
	char *end;

	errno = 0;
	value = strtoull(entry->value, &end, 10);
	if (*end != '\0' && strchr(suffixes, *end)) {
		shift = 10 * (unsigned)(strchr(suffixes, *end) - suffixes + 1);
		end++;
	}
	if (errno != 0 || !isdigit((unsigned char)entry->value[0]) || *end != '\0' ||
	    value > max_bytes >> shift)
		return err_raise(-EINVAL,
				 "%s:%u: %s = %.80s; a number of bytes up to %" PRIu64
				 " is wanted, such as 4096, 64K, 16M or 2G",
				 entry->file, entry->line, entry->key, entry->value, max_bytes);
	*ret_bytes = value << shift;
	return 0;
}

int config_choice(const struct config_entry *entry, const char *const choices[],
		  uint32_t choice_count, uint32_t *ret_index)
{
	char allowed[256] = "";
	size_t used = 0;
	uint32_t index;

	for (index = 0; index < choice_count; index++) {
		if (strcmp(entry->value, choices[index]) == 0) {
			*ret_index = index;
			return 0;
		}
		if (used < sizeof(allowed))
			used += (size_t)snprintf(allowed + used, sizeof(allowed) - used, "%s%s",
						 index > 0 ? ", " : "", choices[index]);
	}
	return err_raise(-EINVAL, "%s:%u: %s = %.80s; one of these is wanted: %s", entry->file,
			 entry->line, entry->key, entry->value, allowed);
}

int config_refuse(const struct config_entry *entry)
{
	return err_raise(-EINVAL, "%s:%u: %s%s%s%s is no setting that hearth knows", entry->file,
			 entry->line, entry->section[0] ? "[" : "", entry->section,
			 entry->section[0] ? "] " : "", entry->key);
}

void config_close(struct config *config)
{
	free(config->text);
	free(config->entries);
	memset(config, 0, sizeof(*config));
}
