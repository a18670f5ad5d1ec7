/* SPDX-License-Identifier: MIT */
/* daemon/ops/manifest.c - a hash against damage, and each word checked before it is believed */
#include "ops/manifest.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/hash.h"
#include "model/repository.h"

#define HEAD_BYTES offsetof(struct manifest, entries)
#define HASHED_FROM offsetof(struct manifest, generation)

static_assert(HEAD_BYTES == 48 && sizeof(struct manifest_entry) == 288,
	      "another form is another MANIFEST_FORMAT");
static_assert(HEARTH_NAME_BYTES == REPOSITORY_NAME_BYTES_MAX + 1, "every name has room");

uint64_t manifest_bytes(const struct manifest *manifest)
{
	return HEAD_BYTES + manifest->entry_count * sizeof(manifest->entries[0]);
}

static uint64_t manifest_hash(const struct manifest *manifest)
{
	return hash_bytes((const uint8_t *)manifest + HASHED_FROM,
			  manifest_bytes(manifest) - HASHED_FROM);
}

void manifest_seal(struct manifest *manifest)
{
	manifest->magic = MANIFEST_MAGIC;
	manifest->format = MANIFEST_FORMAT;
	manifest->hash = manifest_hash(manifest);
}

static int head_check(const struct manifest *manifest, uint64_t byte_count, const char *name)
{
	if (byte_count < HEAD_BYTES || manifest->magic != MANIFEST_MAGIC)
		return err_raise(-EINVAL, "%s is no manifest: its %llu bytes begin otherwise", name,
				 (unsigned long long)byte_count);
	if (manifest->format != MANIFEST_FORMAT)
		return err_raise(-EINVAL, "%s has format %llu, and this hearthd reads %llu", name,
				 (unsigned long long)manifest->format,
				 (unsigned long long)MANIFEST_FORMAT);
	if (manifest->entry_count > MANIFEST_ENTRIES_MAX || byte_count != manifest_bytes(manifest))
		return err_raise(-EINVAL, "%s is damaged: it has %llu bytes, and speaks of %llu "
				 "versions", name, (unsigned long long)byte_count,
				 (unsigned long long)manifest->entry_count);
	if (manifest->hash != manifest_hash(manifest))
		return err_raise(-EINVAL, "%s is damaged: its hash is not that of its bytes", name);
	return 0;
}

/* Do two entries claim what only one can have? */
static bool entries_collide(const struct manifest_entry *one, const struct manifest_entry *other)
{
	return one->id == other->id ||
	       (strcmp(one->model, other->model) == 0 &&
		(one->number == other->number || (one->is_current && other->is_current)));
}

static int entry_check(const struct manifest *manifest, uint64_t index, const char *name)
{
	const struct manifest_entry *entry = manifest->entries + index;
	uint64_t before;

	if (strnlen(entry->model, sizeof(entry->model)) == sizeof(entry->model) ||
	    !repository_is_name(entry->model))
		return err_raise(-EINVAL, "%s: entry %llu has no model's name", name,
				 (unsigned long long)index);
	if (entry->number == 0 || entry->newest < entry->number || entry->is_current > 1 ||
	    entry->id == 0 || entry->id > manifest->id_last ||
	    entry->sheet_count > MANIFEST_SHEETS_MAX)
		return err_raise(-EINVAL, "%s: %s@%u is said to be what no version is", name,
				 entry->model, entry->number);
	for (before = 0; before < index; before++)
		if (entries_collide(manifest->entries + before, entry))
			return err_raise(-EINVAL, "%s: %s@%u is there twice, or current twice, or "
					 "has another's descriptors", name, entry->model,
					 entry->number);
	return 0;
}

int manifest_read(const void *bytes, uint64_t byte_count, const char *name,
		  struct manifest *ret_manifest)
{
	uint64_t index;
	int r;

	memset(ret_manifest, 0, HEAD_BYTES);
	memcpy(ret_manifest, bytes,
	       byte_count < sizeof(*ret_manifest) ? byte_count : sizeof(*ret_manifest));
	r = head_check(ret_manifest, byte_count, name);
	for (index = 0; r == 0 && index < ret_manifest->entry_count; index++)
		r = entry_check(ret_manifest, index, name);
	if (r < 0) {
		ret_manifest->entry_count = 0;
		return err_trace(r);
	}
	return 0;
}
