/* SPDX-License-Identifier: MIT */
/*
 * daemon/exec/cold_file.h - the file of a cold table, and whether it has still the bytes it was opened with
 *
 * A change shows in its size or in its time of modification; where that was put back, in its time of
 * change. Links, names, owners and permissions have a part in that one too, so one that moves with any
 * of these means no bytes; one that moves alone does, or an attribute that nobody can tell from them.
 *
 * Owns:     nothing: the descriptors are closed by who opened them
 * Threads:  one at a time
 * Errors:   -errno with a sentence
 */
#ifndef HEARTH_EXEC_COLD_FILE_H
#define HEARTH_EXEC_COLD_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/error.h"
#include "memory/row_reader.h"

struct cold_file {
	struct row_file rows;
	int fd;
	int direct_fd; /* -1: there is none */
	struct stat state; /* when it was opened; what is no change of its bytes is taken over */
	uint64_t name_hash; /* of its path then */
};

/* Of the file that was just opened as file->fd; `name` is the table's, for the error. */
must_check int cold_file_note(struct cold_file *file, const char *name);

bool cold_file_has_changed(struct cold_file *file);

#endif
