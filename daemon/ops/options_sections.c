/* SPDX-License-Identifier: MIT */
/* daemon/ops/options_sections.c - [model NAME], [table MODEL/TABLE] and [nodes] */
#include "options_parts.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLD_BYTES_MAX (UINT64_C(1) << 46)
#define RESERVE_BYTES_MAX (UINT64_C(1) << 46)

int options_place(const struct config_entry *entry, bool is_weights,
		  struct options_place *ret_place)
{
	struct options_place place = { OPTIONS_WHERE_NODE, -1 };
	char *end = "";
	long node;

	errno = 0;
	if (strcmp(entry->value, "local") == 0) {
		place.where = OPTIONS_WHERE_LOCAL;
	} else if (strcmp(entry->value, "interleave") == 0) {
		place.where = OPTIONS_WHERE_INTERLEAVE;
	} else if (is_weights && strcmp(entry->value, "replicate") == 0) {
		place.where = OPTIONS_WHERE_REPLICATE;
	} else {
		node = strncmp(entry->value, "node ", 5) == 0 ? strtol(entry->value + 5, &end, 10)
							       : -1;
		if (node < 0 || node >= TOPOLOGY_NODES_MAX || errno || *end ||
		    end == entry->value + 5)
			return err_raise(-EINVAL,
					 "%s:%u: %s = %s: local, interleave%s or node N is wanted",
					 entry->file, entry->line, entry->key, entry->value,
					 is_weights ? ", replicate" : "");
		place.node = (int)node;
	}
	*ret_place = place;
	return 0;
}

int options_worker_nodes(const struct config_entry *entry, uint64_t *ret_nodes)
{
	const char *at = entry->value;
	uint64_t nodes = 0;

	if (strcmp(at, "one") == 0 || strcmp(at, "all") == 0) {
		*ret_nodes = *at == 'o' ? 0 : OPTIONS_NODES_ALL;
		return 0;
	}
	for (;;) {
		char *end;
		unsigned long node = strtoul(at, &end, 10);

		if (*at < '0' || *at > '9' || node >= TOPOLOGY_NODES_MAX || (*end && *end != ','))
			return err_raise(-EINVAL, "%s:%u: %s = %s: one, all or numbers of nodes "
					 "(0,1) are wanted", entry->file, entry->line, entry->key,
					 entry->value);
		nodes |= UINT64_C(1) << node;
		if (!*end)
			break;
		at = end + 1;
	}
	*ret_nodes = nodes;
	return 0;
}

static uint64_t size_bytes(const char *size)
{
	return strcmp(size, "2M") == 0 ? UINT64_C(2) << 20
	       : strcmp(size, "1G") == 0 ? UINT64_C(1) << 30
					 : 0;
}

/* "0:2M:8G" */
static int reserve_parse(const struct config_entry *entry, const char *word,
			 struct reserve_want *ret_want)
{
	struct config_entry amount = *entry;
	unsigned int node;
	char size[8];
	int used = 0;

	if (!isdigit((unsigned char)*word) ||
	    sscanf(word, "%2u:%7[0-9A-Z]:%n", &node, size, &used) != 2 || used == 0 ||
	    node >= TOPOLOGY_NODES_MAX || size_bytes(size) == 0)
		return err_raise(-EINVAL, "%s:%u: %s = %s: NODE:SIZE:BYTES is wanted, SIZE 2M or 1G, "
				 "such as 0:2M:8G", entry->file, entry->line, entry->key, word);
	*ret_want = (struct reserve_want){ .node = (int)node, .page_bytes = size_bytes(size) };
	amount.value = word + used;
	if (config_bytes(&amount, RESERVE_BYTES_MAX, &ret_want->bytes) < 0)
		return -EINVAL;
	if (ret_want->bytes == 0 || ret_want->bytes % ret_want->page_bytes > 0)
		return err_raise(-EINVAL, "%s:%u: %s = %s: whole pages of %s are wanted, and one at "
				 "least", entry->file, entry->line, entry->key, word, size);
	return 0;
}

static int reserve_push(const struct config_entry *entry, const char *word, struct options *options)
{
	struct reserve_want want;
	int r;

	r = reserve_parse(entry, word, &want);
	if (r < 0)
		return err_trace(r);
	for (uint32_t index = 0; index < options->reserve_count; index++)
		if (options->reserves[index].node == want.node &&
		    options->reserves[index].page_bytes == want.page_bytes)
			return err_raise(-EINVAL, "%s:%u: %s = %s: node and size have one already",
					 entry->file, entry->line, entry->key, word);
	options->reserves[options->reserve_count++] = want;
	return 0;
}

int options_reserve(const struct config_entry *entry, struct options *options)
{
	const char *at = entry->value;
	char word[64];
	int r = 0;

	for (at += strspn(at, " "); r == 0 && *at; at += strspn(at, " ")) {
		size_t length = strcspn(at, " ");

		snprintf(word, sizeof(word), "%.*s", (int)length, at);
		r = length < sizeof(word)
			    ? reserve_push(entry, word, options)
			    : err_raise(-EINVAL, "%s:%u: %s = %s: NODE:SIZE:BYTES is wanted",
					entry->file, entry->line, entry->key, word);
		at += length;
	}
	return r < 0 ? err_trace(r) : 0;
}

/* The section's model, which its first key adds; NULL: there are too many. */
static struct options_model *model_of(struct options *options, const struct config_entry *entry)
{
	const char *name = entry->section + strlen("model ");
	const struct options_model *model = options_model_of(options, name);

	if (model)
		return options->models + (model - options->models);
	if (options->model_count == OPTIONS_MODELS_MAX)
		return NULL;
	options->models[options->model_count].model = name;
	return options->models + options->model_count++;
}

static int model_load(struct options_model *model, const struct config_entry *entry)
{
	char *end;
	unsigned long version;

	model->has_load = true;
	if (strcmp(entry->value, "latest") == 0) {
		model->load = OPTIONS_LOAD_LATEST;
	} else if (strcmp(entry->value, "all") == 0) {
		model->load = OPTIONS_LOAD_ALL;
	} else if (strcmp(entry->value, "none") == 0) {
		model->load = OPTIONS_LOAD_NONE;
	} else {
		errno = 0;
		version = strtoul(entry->value, &end, 10);
		if (errno || *end || version == 0 || version > UINT32_MAX ||
		    entry->value[0] == '-')
			return err_raise(-EINVAL,
					 "%s:%u: load = %s: latest, all, none or a version is "
					 "wanted", entry->file, entry->line, entry->value);
		model->load = OPTIONS_LOAD_VERSION;
		model->version = (uint32_t)version;
	}
	return 0;
}

static int file_model(struct options *options, const struct config_entry *entry)
{
	struct options_model *model;
	bool is_load = strcmp(entry->key, "load") == 0;
	bool is_cold = strcmp(entry->key, "cold") == 0;
	bool is_weights = strcmp(entry->key, "weights") == 0;
	bool is_tables = strcmp(entry->key, "tables") == 0;

	if (!is_load && !is_cold && !is_weights && !is_tables &&
	    strcmp(entry->key, "cold_bytes") != 0)
		return config_refuse(entry);
	model = model_of(options, entry);
	if (!model)
		return err_raise(-EINVAL, "%s:%u: at most %d [model] sections", entry->file,
				 entry->line, OPTIONS_MODELS_MAX);
	if (is_load)
		return model_load(model, entry);
	if (is_cold)
		return config_bool(entry, &model->is_cold);
	if (is_weights || is_tables)
		return options_place(entry, is_weights,
				     is_weights ? &model->weights_place : &model->tables_place);
	return config_bytes(entry, COLD_BYTES_MAX, &model->cold_bytes);
}

/* The section's table, which its first key adds; NULL: -EINVAL has been raised. */
static struct options_table *table_of(struct options *options, const struct config_entry *entry)
{
	const char *section = entry->section + strlen("table ");
	const char *slash = strchr(section, '/');
	struct options_table *table;
	char *name;

	for (table = options->tables; table < options->tables + options->table_count; table++)
		if (slash && strncmp(table->model, section, (size_t)(slash - section)) == 0 &&
		    table->model[slash - section] == '\0' && strcmp(table->table, slash + 1) == 0)
			return table;
	name = strdup(section);
	if (!slash || !name || options->table_count == OPTIONS_TABLES_MAX) {
		free(name);
		(void)err_raise(-EINVAL,
				slash ? "%s:%u: at most %d [table] sections, and memory for them"
				      : "%s:%u: [table MODEL/TABLE] is wanted",
				entry->file, entry->line, OPTIONS_TABLES_MAX);
		return NULL;
	}
	name[slash - section] = '\0';
	options->table_count++;
	table->model = name; /* both live in one allocation */
	table->table = name + (slash - section) + 1;
	return table;
}

static int table_missing(struct options_table *table, const struct config_entry *entry)
{
	char *end;

	table->has_policy = true;
	if (strcmp(entry->value, "wrap") == 0) {
		table->missing = MISSING_WRAP;
	} else if (strcmp(entry->value, "error") == 0) {
		table->missing = MISSING_ERROR;
	} else if (strcmp(entry->value, "zero") == 0) {
		table->missing = MISSING_ZERO;
	} else {
		errno = 0;
		table->missing = MISSING_ROW;
		table->missing_row = strncmp(entry->value, "row ", 4) == 0
					     ? strtoll(entry->value + 4, &end, 10)
					     : -1;
		if (table->missing_row < 0 || errno || *end)
			return err_raise(-EINVAL,
					 "%s:%u: missing = %s: wrap, error, zero or row N is wanted",
					 entry->file, entry->line, entry->value);
	}
	return 0;
}

static int file_table(struct options *options, const struct config_entry *entry)
{
	struct options_table *table;
	bool is_missing = strcmp(entry->key, "missing") == 0;

	if (!is_missing && strcmp(entry->key, "cold") != 0)
		return config_refuse(entry);
	table = table_of(options, entry);
	if (!table)
		return -EINVAL;
	return is_missing ? table_missing(table, entry) : config_bool(entry, &table->is_cold);
}

/* "0:300 1:300 2:60" */
static int file_nodes(struct options *options, const struct config_entry *entry)
{
	const char *at = entry->value;

	if (strcmp(entry->key, "bandwidth") != 0)
		return config_refuse(entry);
	while (*at) {
		char *colon;
		char *end;
		unsigned long node = strtoul(at, &colon, 10);
		unsigned long bandwidth = *colon == ':' ? strtoul(colon + 1, &end, 10) : 0;

		if (!isdigit((unsigned char)*at) || *colon != ':' ||
		    !isdigit((unsigned char)colon[1]) || (*end && *end != ' ') ||
		    node >= TOPOLOGY_NODES_MAX || bandwidth < 1 || bandwidth > UINT32_MAX ||
		    options->bandwidths[node] > 0)
			return err_raise(-EINVAL,
					 "%s:%u: bandwidth = %s: NODE:BANDWIDTH of each node that "
					 "takes part is wanted, once, such as 0:300 1:300 2:60",
					 entry->file, entry->line, entry->value);
		options->bandwidths[node] = (uint32_t)bandwidth;
		at = end + strspn(end, " ");
	}
	return 0;
}

int options_section(struct options *options, const struct config_entry *entry)
{
	int r;

	if (strncmp(entry->section, "model ", 6) == 0)
		r = file_model(options, entry);
	else if (strncmp(entry->section, "table ", 6) == 0)
		r = file_table(options, entry);
	else if (strcmp(entry->section, "nodes") == 0)
		r = file_nodes(options, entry);
	else
		r = config_refuse(entry);
	return r < 0 ? err_trace(r) : 0;
}

const struct options_model *options_model_of(const struct options *options, const char *name)
{
	uint32_t index;

	for (index = 0; index < options->model_count; index++)
		if (strcmp(options->models[index].model, name) == 0)
			return options->models + index;
	return NULL;
}

static uint64_t place_nodes(struct options_place place)
{
	return place.where == OPTIONS_WHERE_NODE ? UINT64_C(1) << place.node : 0;
}

uint64_t options_nodes(const struct options *options)
{
	uint64_t nodes = options->node >= 0 ? UINT64_C(1) << options->node : 0;

	if (options->worker_nodes != OPTIONS_NODES_ALL)
		nodes |= options->worker_nodes;
	nodes |= place_nodes(options->weights_place) | place_nodes(options->tables_place);
	for (uint32_t index = 0; index < options->model_count; index++)
		nodes |= place_nodes(options->models[index].weights_place) |
			 place_nodes(options->models[index].tables_place);
	for (int node = 0; node < TOPOLOGY_NODES_MAX; node++)
		nodes |= options->bandwidths[node] > 0 ? UINT64_C(1) << node : 0;
	for (uint32_t index = 0; index < options->reserve_count; index++)
		nodes |= UINT64_C(1) << options->reserves[index].node;
	return nodes;
}
