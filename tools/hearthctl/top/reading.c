/* SPDX-License-Identifier: MIT */
/* tools/hearthctl/top/reading.c - rows of JSON become numbers in arrays */
#include "tools/hearthctl/top/reading.h"

#include <stdlib.h>
#include <string.h>

#define ITEMS_MIN 16

/* One more at the end of an array, all zero; NULL: there is no memory for it. */
static void *item_add(struct reading *reading, void **items, uint32_t *count, uint32_t *count_max,
		      size_t item_bytes)
{
	void *item;

	if (*count == *count_max) {
		uint32_t more = *count_max ? 2 * *count_max : ITEMS_MIN;
		void *moved = reallocarray(*items, more, item_bytes);

		if (!moved) {
			reading->lacks_memory = true;
			return NULL;
		}
		*items = moved;
		*count_max = more;
	}
	item = (char *)*items + (size_t)(*count)++ * item_bytes;
	memset(item, 0, item_bytes);
	return item;
}

/* The end of a text that is too long, from the beginning of a character on. */
static void tail_copy(char *copy, size_t copy_bytes, const char *text)
{
	size_t bytes = strlen(text);
	const char *from = bytes < copy_bytes ? text : text + bytes - copy_bytes + 1;

	while (((unsigned char)*from & 0xc0) == 0x80)
		from++;
	memcpy(copy, from, strlen(from) + 1);
}

static void head_copy(char *copy, size_t copy_bytes, const char *text)
{
	size_t bytes = strnlen(text, copy_bytes - 1);

	while (bytes > 0 && ((unsigned char)text[bytes] & 0xc0) == 0x80)
		bytes--;
	memcpy(copy, text, bytes);
	copy[bytes] = '\0';
}

static struct reading_totals totals_of(const json_t *row)
{
	return (struct reading_totals){
		.requests = row_number(row, "requests_total"),
		.rows = row_number(row, "rows_total"),
		.batches = row_number(row, "batches_total"),
		.errors = row_number(row, "errors_total"),
	};
}

void reading_begin(struct reading *reading, uint64_t at_ns)
{
	struct reading had = *reading;

	*reading = (struct reading){
		.listing = had.listing,
		.at_ns = at_ns,
		.rows_at_ns = at_ns,
		.models = had.models,
		.model_count_max = had.model_count_max,
		.clients = had.clients,
		.client_count_max = had.client_count_max,
		.pools = had.pools,
		.pool_count_max = had.pool_count_max,
	};
}

void reading_keep_pools(struct reading *reading, const struct reading *before)
{
	for (uint32_t at = 0; at < before->pool_count; at++) {
		struct reading_pool *pool = item_add(reading, (void **)&reading->pools,
						     &reading->pool_count, &reading->pool_count_max,
						     sizeof(*pool));
		if (pool)
			*pool = before->pools[at];
	}
}

int reading_add_status(const json_t *row, void *context)
{
	struct reading *reading = context;
	double age_s = row_real(row, "page_age_s");

	reading->is_page = json_object_get(row, "page_age_s") != NULL;
	if (age_s > 0 && age_s * 1e9 < (double)reading->at_ns)
		reading->rows_at_ns -= (uint64_t)(age_s * 1e9);
	reading->has_uptime = json_object_get(row, "uptime_s") != NULL;
	reading->uptime_s = row_real(row, "uptime_s");
	reading->pid = row_number(row, "pid");
	reading->is_ready = json_is_true(json_object_get(row, "ready"));
	reading->totals = totals_of(row);
	head_copy(reading->version, sizeof(reading->version), row_text(row, "version"));
	head_copy(reading->worst, sizeof(reading->worst), row_text(row, "worst"));
	return EXIT_OK;
}

int reading_add_model(const json_t *row, void *context)
{
	struct reading *reading = context;
	struct reading_model *model = item_add(reading, (void **)&reading->models,
					       &reading->model_count, &reading->model_count_max,
					       sizeof(*model));

	if (!model)
		return EXIT_OK;
	head_copy(model->name, sizeof(model->name), row_text(row, "model"));
	model->version = (uint32_t)row_number(row, "version");
	head_copy(model->state, sizeof(model->state), row_text(row, "state"));
	model->is_current = json_is_true(json_object_get(row, "current"));
	model->totals = totals_of(row);
	return EXIT_OK;
}

const struct reading_model *reading_find_model(const struct reading *reading, const char *name,
					       uint32_t version)
{
	for (uint32_t at = 0; at < reading->model_count; at++)
		if (reading->models[at].version == version &&
		    strcmp(reading->models[at].name, name) == 0)
			return &reading->models[at];
	return NULL;
}

/* A version that was loaded between the two questions is shown the next time. */
int reading_add_latency(const json_t *row, void *context)
{
	struct reading *reading = context;
	const struct reading_model *model;

	if (strcmp(row_text(row, "time"), "total") != 0)
		return EXIT_OK;
	model = reading_find_model(reading, row_text(row, "model"),
				   (uint32_t)row_number(row, "version"));
	if (model)
		row_add_histogram(row, &reading->models[model - reading->models].times);
	return EXIT_OK;
}

int reading_add_client(const json_t *row, void *context)
{
	struct reading *reading = context;
	json_t *refused = json_object_get(row, "refused");
	struct reading_client *client = item_add(reading, (void **)&reading->clients,
						 &reading->client_count,
						 &reading->client_count_max, sizeof(*client));
	const char *reason;
	json_t *count;

	if (!client)
		return EXIT_OK;
	client->pid = row_number(row, "pid");
	client->uid = row_number(row, "uid");
	client->opened_ns = row_number(row, "opened_ns");
	tail_copy(client->exe, sizeof(client->exe), row_text(row, "exe"));
	client->outstanding = row_number(row, "outstanding");
	client->requests = row_number(row, "requests_total");
	json_object_foreach(refused, reason, count)
		client->refused += row_number(refused, reason);
	return EXIT_OK;
}

/* Transparent pages are cut out of the ordinary ones, which have a row of their own. */
int reading_add_pool(const json_t *row, void *context)
{
	struct reading *reading = context;
	const char *pages = row_text(row, "pool");
	struct reading_pool *pool;

	if (!*pages || strcmp(pages, "thp") == 0 || row_number(row, "total_bytes") == 0)
		return EXIT_OK;
	pool = item_add(reading, (void **)&reading->pools, &reading->pool_count,
			&reading->pool_count_max, sizeof(*pool));
	if (!pool)
		return EXIT_OK;
	head_copy(pool->pages, sizeof(pool->pages), pages);
	pool->node = row_number(row, "node");
	pool->total_bytes = row_number(row, "total_bytes");
	pool->free_bytes = row_number(row, "free_bytes");
	pool->resident_bytes = row_number(row, "resident_bytes");
	return EXIT_OK;
}

void reading_deinit(struct reading *reading)
{
	free(reading->models);
	free(reading->clients);
	free(reading->pools);
	*reading = (struct reading){0};
}
