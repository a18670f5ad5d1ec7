/* SPDX-License-Identifier: MIT */
/* daemon/ops/kept.c - the manifest follows the registry, and the registry once follows the manifest */
#include "ops/kept.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "memory/sealed.h"
#include "ops/loop.h"
#include "ops/reload.h"

#define MANIFESTS 2

static_assert(MANIFEST_SHEETS_MAX == ENGINE_SHEETS_MAX, "all tables of a version");

static void manifest_name(uint64_t generation, char name[STORE_NAME_BYTES])
{
	snprintf(name, STORE_NAME_BYTES, "manifest.%d", (int)(generation % MANIFESTS));
}

static void part_name(const char *part, uint64_t id, char name[STORE_NAME_BYTES])
{
	snprintf(name, STORE_NAME_BYTES, "%s.%llu", part, (unsigned long long)id);
}

/* entry->sheet_count: it has not got it. */
static uint32_t sheet_find(const struct manifest_entry *entry, uint64_t sheet)
{
	uint32_t index = 0;

	while (index < entry->sheet_count && entry->sheets[index] != sheet)
		index++;
	return index;
}

static bool has_sheet(const struct manifest *manifest, uint64_t sheet)
{
	uint64_t index;

	for (index = 0; index < manifest->entry_count; index++)
		if (sheet_find(manifest->entries + index, sheet) <
		    manifest->entries[index].sheet_count)
			return true;
	return false;
}

static const struct manifest_entry *entry_of_id(const struct manifest *manifest, uint64_t id)
{
	uint64_t index;

	for (index = 0; index < manifest->entry_count; index++)
		if (manifest->entries[index].id == id)
			return manifest->entries + index;
	return NULL;
}

static void parts_remove(uint64_t id)
{
	char name[STORE_NAME_BYTES];

	part_name("model", id, name);
	store_remove(name);
	part_name("weights", id, name);
	store_remove(name);
}

/* --- what came ------------------------------------------------------------------------------------ */

static int manifest_read_fd(int fd, const char *name, struct manifest *ret_manifest)
{
	uint64_t byte_count = 0;
	const void *bytes = NULL;
	int r;

	r = sealed_map(fd, name, &bytes, &byte_count);
	if (r < 0)
		return err_trace(r);
	r = manifest_read(bytes, byte_count, name, ret_manifest);
	sealed_unmap(bytes, byte_count);
	return r;
}

/* Of two that are whole the one that was written later. */
static void manifests_take(struct kept *kept)
{
	char name[STORE_NAME_BYTES];
	uint64_t index;
	int fd;

	for (index = 0; index < MANIFESTS; index++) {
		manifest_name(index, name);
		fd = store_find(&kept->store, name);
		if (fd < 0)
			continue;
		if (manifest_read_fd(fd, name, &kept->next) < 0)
			log_line(LOG_LEVEL_ERROR, "refused: %s", err_message());
		else if (kept->next.generation > kept->manifest.generation)
			kept->manifest = kept->next;
	}
}

static bool is_spoken_of(const struct manifest *manifest, const char *name, uint64_t id)
{
	if (strncmp(name, "manifest.", 9) == 0)
		return manifest->generation > 0;
	if (strncmp(name, "table.", 6) == 0)
		return has_sheet(manifest, id);
	return entry_of_id(manifest, id) != NULL;
}

/* What no manifest speaks of would be held for ever. */
static void strays_remove(struct kept *kept)
{
	unsigned long long id;
	uint32_t index;

	for (index = 0; index < kept->store.entry_count; index++) {
		const char *name = kept->store.entries[index].name;

		if (sscanf(name, "%*[a-z].%llu", &id) == 1 &&
		    is_spoken_of(&kept->manifest, name, id))
			continue;
		store_remove(name);
	}
}

static int manifest_push(struct manifest *manifest, uint64_t place)
{
	char name[STORE_NAME_BYTES];
	int fd = -1;
	int r;

	manifest_seal(manifest);
	manifest_name(place, name);
	r = sealed_new(name, manifest, manifest_bytes(manifest), &fd);
	if (r < 0)
		return err_trace(r);
	store_remove(name);
	r = store_push(name, fd);
	close(fd);
	return r;
}

/* systemd drops what its store has no room for, and nobody is told. A manifest takes the place of the
 * one before it, so it always comes in when both places are taken before anything else is given. */
static void places_take(struct kept *kept)
{
	char name[STORE_NAME_BYTES];
	uint64_t place;

	for (place = 0; place < MANIFESTS; place++) {
		manifest_name(place, name);
		if (store_find(&kept->store, name) >= 0)
			continue;
		kept->next.generation = 0;
		kept->next.entry_count = 0;
		if (manifest_push(&kept->next, place) < 0)
			log_line(LOG_LEVEL_WARNING, "%s", err_message());
	}
}

static void sheets_bring(struct control *control)
{
	struct kept *kept = &control->kept;
	char name[STORE_NAME_BYTES];
	uint64_t entry;
	uint32_t index;

	for (entry = 0; entry < kept->manifest.entry_count; entry++) {
		for (index = 0; index < kept->manifest.entries[entry].sheet_count; index++) {
			uint64_t sheet = kept->manifest.entries[entry].sheets[index];

			/* There is one, however many have it. */
			part_name("table", sheet, name);
			shelf_bring(&control->shelf, sheet, store_claim(&kept->store, name));
		}
	}
}

void kept_begin(struct control *control)
{
	struct kept *kept = &control->kept;

	kept->is_on = control->options->is_warm && store_is_there();
	if (control->options->is_warm && !kept->is_on)
		log_line(LOG_LEVEL_WARNING, "--warm-restart has no effect: there is no systemd to "
			 "keep anything (NOTIFY_SOCKET is not set)");
	if (kept->is_on)
		manifests_take(kept);
	strays_remove(kept);
	if (kept->is_on)
		places_take(kept);
	sheets_bring(control);
	kept->came = kept->manifest;
	kept->is_dirty = true;
	if (kept->store.entry_count > 0 && kept->came.entry_count == 0)
		log_line(LOG_LEVEL_WARNING, "of %u descriptors that systemd kept none is of use: all "
			 "models are loaded from their files", kept->store.entry_count);
}

/* Is the setting what it was when the entry was written? */
static bool entry_stands(const struct control *control, const struct manifest_entry *entry)
{
	uint32_t version;

	return reload_setting(control, entry->model, &version) == entry->load &&
	       version == entry->load_version;
}

void kept_want(struct control *control)
{
	const struct manifest *manifest = &control->kept.manifest;
	uint64_t index;
	uint32_t turn;

	/* The first version of a model becomes the current one. */
	for (turn = 0; turn < 2; turn++) {
		for (index = 0; index < manifest->entry_count; index++) {
			const struct manifest_entry *entry = manifest->entries + index;

			if (entry->is_current == !turn && entry_stands(control, entry))
				registry_submit(&control->registry, REGISTRY_LOAD, entry->model,
						entry->number, 0, 0);
		}
	}
}

uint32_t kept_newest(const struct control *control, const char *model)
{
	const struct manifest *manifest = &control->kept.manifest;
	uint32_t newest = 0;
	uint64_t index;

	for (index = 0; index < manifest->entry_count; index++) {
		const struct manifest_entry *entry = manifest->entries + index;

		if (strcmp(entry->model, model) == 0 && entry->newest > newest &&
		    entry_stands(control, entry))
			newest = entry->newest;
	}
	return newest;
}

static bool parts_claim(struct kept *kept, const struct manifest_entry *entry,
			struct engine_kept *ret_kept)
{
	char name[STORE_NAME_BYTES];

	part_name("model", entry->id, name);
	ret_kept->model_fd = store_claim(&kept->store, name);
	part_name("weights", entry->id, name);
	ret_kept->weights_fd = store_claim(&kept->store, name);
	if (ret_kept->model_fd >= 0 && ret_kept->weights_fd >= 0)
		return true;
	log_line(LOG_LEVEL_ERROR, "refused: %s@%u: systemd has not kept its %s", entry->model,
		 entry->number, ret_kept->model_fd < 0 ? "model" : "weights");
	if (ret_kept->model_fd >= 0)
		close(ret_kept->model_fd);
	if (ret_kept->weights_fd >= 0)
		close(ret_kept->weights_fd);
	return false;
}

bool kept_recall(void *context, const char *model, uint32_t number, struct engine_kept *ret_kept,
		 struct registry_mark *ret_mark)
{
	struct kept *kept = &((struct control *)context)->kept;
	struct manifest_entry entry;
	uint64_t index;

	for (index = 0; index < kept->came.entry_count; index++)
		if (kept->came.entries[index].number == number &&
		    strcmp(kept->came.entries[index].model, model) == 0)
			break;
	if (index == kept->came.entry_count)
		return false;
	entry = kept->came.entries[index];
	kept->came.entries[index] = kept->came.entries[--kept->came.entry_count];
	*ret_kept = (struct engine_kept){
		.weights_bytes = entry.weights_bytes,
		.layout_hash = entry.layout_hash,
		.files_hash = entry.files_hash,
		.roofline = entry.roofline,
		.sheet_count = entry.sheet_count,
	};
	memcpy(ret_kept->sheets, entry.sheets, sizeof(entry.sheets));
	if (!parts_claim(kept, &entry, ret_kept))
		return false;
	*ret_mark = (struct registry_mark){ entry.id, entry.content_hash };
	return true;
}

/* --- what is served ------------------------------------------------------------------------------- */

static int parts_push(struct kept *kept, const struct engine_kept *parts, uint64_t *ret_id)
{
	uint64_t id = kept->next.id_last + 1;
	char name[STORE_NAME_BYTES];
	int r;

	part_name("model", id, name);
	r = store_push(name, parts->model_fd);
	if (r < 0)
		return err_trace(r);
	part_name("weights", id, name);
	r = store_push(name, parts->weights_fd);
	if (r < 0) {
		parts_remove(id);
		return err_trace(r);
	}
	kept->next.id_last = id;
	*ret_id = id;
	return 0;
}

static int sheet_push(struct control *control, uint64_t id)
{
	struct sheet *sheet = shelf_take(&control->shelf, id);
	char name[STORE_NAME_BYTES];
	int r;

	part_name("table", id, name);
	r = store_push(name, sheet->fd);
	shelf_return(&control->shelf, sheet);
	return err_trace(r);
}

/* Those that systemd does not hold yet. */
static int sheets_push(struct control *control, const struct manifest_entry *entry)
{
	const struct kept *kept = &control->kept;
	uint32_t index;
	int r;

	for (index = 0; index < entry->sheet_count; index++) {
		uint64_t sheet = entry->sheets[index];

		if (sheet_find(entry, sheet) < index || has_sheet(&kept->manifest, sheet) ||
		    has_sheet(&kept->next, sheet))
			continue;
		r = sheet_push(control, sheet);
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

/* Those of an entry that neither of the two has. */
static void sheets_remove(const struct manifest_entry *entry, const struct manifest *one,
			  const struct manifest *other)
{
	char name[STORE_NAME_BYTES];
	uint32_t index;

	for (index = 0; index < entry->sheet_count; index++) {
		if (has_sheet(one, entry->sheets[index]) || has_sheet(other, entry->sheets[index]))
			continue;
		part_name("table", entry->sheets[index], name);
		store_remove(name);
	}
}

static uint32_t newest_of(const struct manifest *manifest, const char *model, uint32_t newest)
{
	uint64_t index;

	for (index = 0; index < manifest->entry_count; index++)
		if (manifest->entries[index].newest > newest &&
		    strcmp(manifest->entries[index].model, model) == 0)
			newest = manifest->entries[index].newest;
	return newest;
}

static void version_add(struct control *control, const struct registry_model *model,
			struct registry_version *slot)
{
	struct kept *kept = &control->kept;
	struct manifest *next = &kept->next;
	const struct engine_kept *parts = engine_kept(slot->version->engine);
	struct manifest_entry entry = { .number = slot->number };

	if (!parts || next->entry_count == MANIFEST_ENTRIES_MAX)
		return;
	entry.sheet_count = parts->sheet_count;
	memcpy(entry.sheets, parts->sheets, sizeof(entry.sheets));
	if (sheets_push(control, &entry) < 0 ||
	    (slot->mark.id == 0 && parts_push(kept, parts, &slot->mark.id) < 0)) {
		log_line(LOG_LEVEL_WARNING, "%s@%u is not kept: %s", model->name, slot->number,
			 err_message());
		/* No manifest will name what was pushed before. */
		sheets_remove(&entry, &kept->manifest, next);
		return;
	}
	memcpy(entry.model, model->name, sizeof(entry.model));
	entry.id = slot->mark.id;
	entry.content_hash = slot->mark.content_hash;
	entry.weights_bytes = parts->weights_bytes;
	entry.layout_hash = parts->layout_hash;
	entry.files_hash = parts->files_hash;
	entry.roofline = parts->roofline;
	entry.is_current = model->current == slot->version;
	entry.newest = newest_of(&kept->manifest, model->name, slot->number);
	entry.load = reload_setting(control, model->name, &entry.load_version);
	next->entries[next->entry_count++] = entry;
}

static void next_make(struct control *control)
{
	struct registry *registry = &control->registry;
	struct manifest *next = &control->kept.next;
	uint32_t model;
	uint32_t index;

	next->entry_count = 0;
	next->generation = control->kept.manifest.generation + 1;
	next->id_last = control->kept.manifest.id_last;
	for (model = 0; model < registry->model_count; model++)
		for (index = 0; index < DATA_VERSIONS_MAX; index++)
			if (registry->models[model].versions[index].state == REGISTRY_SERVING)
				version_add(control, registry->models + model,
					    registry->models[model].versions + index);
}

static bool manifests_differ(const struct manifest *one, const struct manifest *other)
{
	return one->entry_count != other->entry_count ||
	       memcmp(one->entries, other->entries,
		      one->entry_count * sizeof(one->entries[0])) != 0;
}

/* One that no longer tells what is served would bring back what was. */
static void manifests_remove(void)
{
	char name[STORE_NAME_BYTES];
	uint64_t index;

	for (index = 0; index < MANIFESTS; index++) {
		manifest_name(index, name);
		store_remove(name);
	}
}

/* What is new is in the store before the manifest names it, and what it no longer names goes after. */
static void manifest_replace(struct kept *kept)
{
	uint64_t index;

	if (manifest_push(&kept->next, kept->next.generation) < 0) {
		log_line(LOG_LEVEL_WARNING, "nothing is kept over a restart until something changes: "
			 "%s", err_message());
		manifests_remove();
	}
	for (index = 0; index < kept->manifest.entry_count; index++) {
		const struct manifest_entry *entry = kept->manifest.entries + index;

		if (!entry_of_id(&kept->next, entry->id))
			parts_remove(entry->id);
		sheets_remove(entry, &kept->next, &kept->next);
	}
	kept->manifest = kept->next;
}

void kept_sync(struct control *control)
{
	struct kept *kept = &control->kept;

	if (!kept->is_dirty)
		return;
	kept->is_dirty = false;
	/* Nobody will ask for the rest of what came. */
	store_deinit(&kept->store);
	shelf_settle(&control->shelf);
	kept->came.entry_count = 0;
	if (!kept->is_on)
		return;
	next_make(control);
	if (manifests_differ(&kept->next, &kept->manifest))
		manifest_replace(kept);
}

void kept_deinit(struct control *control)
{
	store_deinit(&control->kept.store);
}
