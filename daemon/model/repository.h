/* SPDX-License-Identifier: MIT */
/*
 * daemon/model/repository.h - a directory of models: ROOT/NAME/VERSION/model.onnx, as Triton's
 *
 * A name is 1 to 63 of A-Z a-z 0-9 . _ - and does not begin with a dot; a version
 * is a decimal number from 1 to 4294967295 without leading zeros. Both are
 * checked here and looked up beneath the root without following symbolic links,
 * so a name that a client sent is never a path. The root itself may be a link:
 * it is the directory that its path leads to when it is opened.
 *
 * Owns:     the root's descriptor; a listing owns its strings
 * Threads:  open and close on one; the rest on any, at once
 * Errors:   -errno of the system, each with a sentence
 */
#ifndef HEARTH_MODEL_REPOSITORY_H
#define HEARTH_MODEL_REPOSITORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define REPOSITORY_NAME_BYTES_MAX 63

struct repository {
	int root_fd; /* -1: not open */
	char *path;  /* for sentences */
};

#define REPOSITORY_NONE ((struct repository){.root_fd = -1})

struct repository_model {
	char name[REPOSITORY_NAME_BYTES_MAX + 1];
	bool has_config_pbtxt; /* which is not read */
	uint32_t version_count; /* at least 1 */
	uint32_t *versions;     /* ascending; each has a regular file model.onnx */
};

struct repository_listing {
	uint32_t model_count;
	uint32_t ignored_count;
	struct repository_model *models; /* by name, in byte order */
	char **ignored; /* "shoppers/latest: not a version (...)", one an entry, in byte order */
};

must_check int repository_open(const char *path, struct repository *ret_repository);

/* What is there now. */
must_check int repository_list(const struct repository *repository,
			       struct repository_listing *ret_listing);

/* -ENOENT: there is no such name, or what was given is not a name. */
must_check int repository_newest(const struct repository *repository, const char *name,
				 uint32_t *ret_version);

/* The directory of one version, for onnx_open; the caller closes it. -ENOENT:
 * there is no such name or version. */
must_check int repository_open_version(const struct repository *repository, const char *name,
				       uint32_t version, int *ret_directory_fd);

bool repository_is_name(const char *name);

void repository_listing_deinit(struct repository_listing *listing);
void repository_close(struct repository *repository);

#endif
