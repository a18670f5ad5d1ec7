/* SPDX-License-Identifier: MIT */
/*
 * daemon/ops/manifest.h - what is served, as one daemon tells it to the next
 *
 * The struct is its own form outside the process, as its first manifest_bytes bytes: numbers of
 * fixed width in the machine's own order, no pointers, every byte named. Whoever reads it does so
 * on the machine that wrote it.
 *
 * Owns:     nothing
 * Threads:  any
 * Errors:   manifest_read -EINVAL with a sentence that begins with `name` and says what is wrong
 */
#ifndef HEARTH_OPS_MANIFEST_H
#define HEARTH_OPS_MANIFEST_H

#include <stdint.h>

#include "base/error.h"
#include "exec/roofline.h"
#include "shm/abi.h"

#define MANIFEST_MAGIC UINT64_C(0x7473656669616d68) /* "hmaifest" */
#define MANIFEST_FORMAT UINT64_C(1)
#define MANIFEST_ENTRIES_MAX 511 /* two descriptors each, and more: hearthd.service */
#define MANIFEST_SHEETS_MAX 16

struct manifest_entry {
	char model[HEARTH_NAME_BYTES];
	uint64_t id; /* names its descriptors; no two versions ever have the same */
	uint64_t weights_bytes;
	uint64_t layout_hash; /* these as in exec/engine.h */
	uint64_t files_hash;
	uint64_t content_hash;
	struct roofline roofline;
	uint32_t number;
	uint32_t is_current; /* 0 or 1 */
	uint32_t newest; /* the highest number that was served of this model */
	uint32_t load;   /* the model's `load` setting: enum options_load, */
	uint32_t load_version; /* and the version that it names */
	uint32_t sheet_count;
	uint64_t sheets[MANIFEST_SHEETS_MAX]; /* numbers of large tables, which several may have */
};

struct manifest {
	uint64_t magic;
	uint64_t format;
	uint64_t hash; /* of all that follows */
	uint64_t generation; /* the higher one of two counts */
	uint64_t id_last;
	uint64_t entry_count;
	struct manifest_entry entries[MANIFEST_ENTRIES_MAX];
};

/* How many bytes of it count. */
uint64_t manifest_bytes(const struct manifest *manifest);

/* Fills in magic, format and hash: from now on it can be kept. */
void manifest_seal(struct manifest *manifest);

/* A copy of what was kept, if nothing is wrong with it. */
must_check int manifest_read(const void *bytes, uint64_t byte_count, const char *name,
			     struct manifest *ret_manifest);

#endif
