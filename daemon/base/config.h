/* SPDX-License-Identifier: MIT */
/*
 * daemon/base/config.h - settings from a file that a person writes
 *
 * Owns:     the file's text; entries point into it
 * Threads:  one at a time; entries may be read by any
 * Units:    as each function says
 * Errors:   -EINVAL and what open returns, with a sentence that begins with
 *           file:line
 *
 *     # a comment
 *     rows_max = 512        # one too: '#' at the start or after a space
 *     [table emb_user]
 *     missing = default_row
 *
 * Keys are letters, digits, '_', '-' and '.'; a key may stand once a section, and
 * a section's name once a file. Values run to the end of the line, spaces
 * around them dropped; no quotes, no continued lines.
 */
#ifndef HEARTH_BASE_CONFIG_H
#define HEARTH_BASE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define CONFIG_FILE_BYTES_MAX 65536
#define CONFIG_LINE_BYTES_MAX 1024
#define CONFIG_ENTRIES_MAX 1024

struct config_entry {
	const char *file;    /* for messages */
	const char *section; /* "" before the first one */
	const char *key;
	const char *value;   /* not "" */
	uint32_t line;
};

struct config {
	char *text;
	struct config_entry *entries; /* in the file's order */
	uint32_t entry_count;
};

/* A missing file is -ENOENT, for the caller to find acceptable or not. */
must_check int config_open(const char *path, struct config *ret_config);

/* The same from memory; `name` is for messages and is copied. */
must_check int config_parse(const char *text, size_t bytes, const char *name,
			    struct config *ret_config);

/* NULL when the key is not there. */
const struct config_entry *config_find(const struct config *config, const char *section,
				       const char *key);

/* What the value must be; the sentence names file, line, key and what is allowed. */
must_check int config_integer(const struct config_entry *entry, int64_t min, int64_t max,
			      int64_t *ret_value);
must_check int config_bool(const struct config_entry *entry, bool *ret_value); /* yes, no */
must_check int config_bytes(const struct config_entry *entry, uint64_t max_bytes,
			    uint64_t *ret_bytes); /* 4096, 64K, 16M, 2G, 1T */
must_check int config_choice(const struct config_entry *entry, const char *const choices[],
			     uint32_t choice_count, uint32_t *ret_index);

/* For an entry that nothing asked for. */
int config_refuse(const struct config_entry *entry);

void config_close(struct config *config);

#endif
