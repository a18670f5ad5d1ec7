/* SPDX-License-Identifier: MIT */
/*
 * tools/hearthctl/top/figures.c - rates over a restart, over versions that come and go, and by process
 *
 * What grew is divided by the time between two readings of the same age: rows of a stats page that no
 * one writes any more tell no rate, though the daemon's totals go on.
 */
#include "tools/hearthctl/top/figures.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/hearthctl/chart.h"
#include "tools/hearthctl/interval.h"

#define INTERVAL_S_MIN 1e-3 /* two ages of one page may differ by so much */
#define ROWS_MIN 16

static const struct figures_column model_columns[] = {
	{"MODEL", true}, {"REQ/S", false}, {"P50", false}, {"P99", false}, {"ROWS/BATCH", false},
	{"ERR/S", false}, {"ROWS/S", false}, {"STATE", true},
};
static const struct figures_column client_columns[] = {
	{"PID", false}, {"REQ/S", false}, {"WAITING", false}, {"CONNECTIONS", false}, {"UID", false},
	{"REFUSED", false}, {"PROGRAM", true},
};
static const struct figures_column memory_columns[] = {
	{"MEMORY", true}, {"TOTAL", false}, {"FREE", false}, {"HEARTHD", false}, {"USED", false},
};

#define COUNT_OF(columns) ((uint32_t)(sizeof(columns) / sizeof((columns)[0])))

void figures_init(struct figures *figures)
{
	*figures = (struct figures){
		.tables = {
			[FIGURES_MODELS] = {.columns = model_columns, .column_count = COUNT_OF(model_columns)},
			[FIGURES_CLIENTS] = {.columns = client_columns, .column_count = COUNT_OF(client_columns),
					     .sort_column = 1},
			[FIGURES_MEMORY] = {.columns = memory_columns, .column_count = COUNT_OF(memory_columns)},
		},
	};
}

void figures_deinit(struct figures *figures)
{
	for (uint32_t kind = 0; kind < FIGURES_KINDS; kind++)
		free(figures->tables[kind].rows);
	*figures = (struct figures){0};
}

/* --- cells --------------------------------------------------------------------------------------- */

/* NULL: there is no memory for it. */
static struct figures_row *row_add(struct figures *figures, enum figures_kind kind)
{
	struct figures_table *table = &figures->tables[kind];
	struct figures_row *row;

	if (table->row_count == table->row_count_max) {
		uint32_t more = table->row_count_max ? 2 * table->row_count_max : ROWS_MIN;
		struct figures_row *moved = reallocarray(table->rows, more, sizeof(*moved));

		if (!moved) {
			figures->lacks_memory = true;
			return NULL;
		}
		table->rows = moved;
		table->row_count_max = more;
	}
	row = &table->rows[table->row_count];
	memset(row, 0, sizeof(*row));
	row->place = table->row_count++;
	return row;
}

static void text_set(struct figures_cell *cell, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void text_set(struct figures_cell *cell, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(cell->text, sizeof(cell->text), format, arguments);
	va_end(arguments);
	text_disarm(cell->text);
}

static void count_set(struct figures_cell *cell, uint64_t count)
{
	cell->number = (double)count;
	text_set(cell, "%" PRIu64, count);
}

static void bytes_set(struct figures_cell *cell, uint64_t bytes)
{
	char text[TEXT_BYTES];

	cell->number = (double)bytes;
	text_set(cell, "%s", text_bytes(bytes, text));
}

/* Small ones have a digit behind the point. */
static const char *number_text(double number, char text[TEXT_BYTES])
{
	if (number < 0)
		return "-";
	snprintf(text, TEXT_BYTES, "%.*f", number > 0 && number < 9.95 ? 1 : 0, number);
	return text;
}

static void number_set(struct figures_cell *cell, double number)
{
	char text[TEXT_BYTES];

	cell->number = number;
	text_set(cell, "%s", number_text(number, text));
}

static const char *time_text(const struct percentiles *percentiles, uint64_t ns,
			     char text[TEXT_BYTES])
{
	return percentiles->count > 0 ? text_ns(ns, text) : "-";
}

static void time_set(struct figures_cell *cell, const struct percentiles *percentiles, uint64_t ns)
{
	char text[TEXT_BYTES];

	cell->number = percentiles->count > 0 ? (double)ns : -1;
	text_set(cell, "%s", time_text(percentiles, ns, text));
}

/* --- what grew ----------------------------------------------------------------------------------- */

/* Below 0: there is no interval. */
static double rate_of(uint64_t before, uint64_t now, double interval_s)
{
	return interval_s > 0 ? (double)interval_grown(before, now) / interval_s : -1;
}

static double ratio_of(double rows_per_s, double batches_per_s)
{
	return batches_per_s > 0 ? rows_per_s / batches_per_s : -1;
}

static double seconds_between(uint64_t before_ns, uint64_t now_ns)
{
	double seconds = now_ns > before_ns ? (double)(now_ns - before_ns) / 1e9 : 0;

	return seconds >= INTERVAL_S_MIN ? seconds : 0;
}

/* Another process, or one with the same pid that is younger than it should be. */
static bool has_restarted(const struct reading *before, const struct reading *now)
{
	double interval_s = seconds_between(before->at_ns, now->at_ns);

	if (before->pid != now->pid)
		return true;
	return before->has_uptime && now->has_uptime &&
	       now->uptime_s < before->uptime_s + interval_s / 2;
}

/* --- rows ------------------------------------------------------------------------------------------ */

/* NULL `before`: it was not there, or has begun again. */
static void model_add(struct figures *figures, const struct reading_model *before,
		      const struct reading_model *now, double interval_s)
{
	const struct reading_model none = {0};
	const struct reading_model *base = before ? before : &none;
	const struct reading_totals *was = &base->totals, *is = &now->totals;
	struct figures_row *row = row_add(figures, FIGURES_MODELS);
	struct percentiles percentiles = {0};
	double rows_per_s;

	if (!row)
		return;
	if (interval_s > 0) {
		interval_histogram(&base->times, &now->times, &figures->interval);
		percentiles = percentiles_of(&figures->interval);
	}
	rows_per_s = rate_of(was->rows, is->rows, interval_s);
	text_set(&row->cells[0], "%s@%" PRIu32, now->name, now->version);
	number_set(&row->cells[1], rate_of(was->requests, is->requests, interval_s));
	time_set(&row->cells[2], &percentiles, percentiles.p50_ns);
	time_set(&row->cells[3], &percentiles, percentiles.p99_ns);
	number_set(&row->cells[4], ratio_of(rows_per_s, rate_of(was->batches, is->batches, interval_s)));
	number_set(&row->cells[5], rate_of(was->errors, is->errors, interval_s));
	number_set(&row->cells[6], rows_per_s);
	text_set(&row->cells[7], "%s%s", now->state, now->is_current ? ", current" : "");
	row->is_bad = strcmp(now->state, "failed") == 0 || row->cells[5].number > 0;
}

static void models_add(struct figures *figures, const struct reading *before,
		       const struct reading *now, double interval_s)
{
	for (uint32_t at = 0; at < now->model_count; at++) {
		const struct reading_model *model = &now->models[at];
		const struct reading_model *was =
			before ? reading_find_model(before, model->name, model->version) : NULL;

		/* It was unloaded and has come again. */
		if (was && was->totals.requests > model->totals.requests)
			was = NULL;
		model_add(figures, was, model, interval_s);
	}
}

/* What a connection had been asked before; what is new had been asked nothing. */
static uint64_t client_requests(const struct reading *before, const struct reading_client *now)
{
	for (uint32_t at = 0; before && at < before->client_count; at++) {
		const struct reading_client *client = &before->clients[at];

		if (client->pid == now->pid && client->opened_ns == now->opened_ns &&
		    client->requests <= now->requests)
			return client->requests;
	}
	return 0;
}

static bool is_same_process(const struct reading_client *one, const struct reading_client *other)
{
	return one->pid == other->pid && one->uid == other->uid && strcmp(one->exe, other->exe) == 0;
}

/* All connections of the process of the one that stands at `first`. */
static void client_add(struct figures *figures, const struct reading *before,
		       const struct reading *now, uint32_t first, double interval_s)
{
	const struct reading_client *process = &now->clients[first];
	struct figures_row *row = row_add(figures, FIGURES_CLIENTS);
	uint64_t connections = 0, outstanding = 0, refused = 0, grown = 0;

	if (!row)
		return;
	for (uint32_t at = first; at < now->client_count; at++) {
		const struct reading_client *client = &now->clients[at];

		if (!is_same_process(client, process))
			continue;
		connections++;
		outstanding += client->outstanding;
		refused += client->refused;
		grown += client->requests - client_requests(before, client);
	}
	count_set(&row->cells[0], process->pid);
	number_set(&row->cells[1], rate_of(0, grown, interval_s));
	count_set(&row->cells[2], outstanding);
	count_set(&row->cells[3], connections);
	count_set(&row->cells[4], process->uid);
	count_set(&row->cells[5], refused);
	text_set(&row->cells[6], "%s", process->exe);
	row->is_bad = refused > 0;
}

static void clients_add(struct figures *figures, const struct reading *before,
			const struct reading *now, double interval_s)
{
	for (uint32_t at = 0; at < now->client_count; at++) {
		bool is_first = true;

		for (uint32_t other = 0; other < at && is_first; other++)
			is_first = !is_same_process(&now->clients[other], &now->clients[at]);
		if (is_first)
			client_add(figures, before, now, at, interval_s);
	}
}

/* Cells of `bytes` out of the pool's; what there is of has one at least. */
static uint32_t cells_of(const struct reading_pool *pool, uint64_t bytes)
{
	double cells = (double)bytes / (double)pool->total_bytes * FIGURES_BAR_CELLS;

	if (cells >= FIGURES_BAR_CELLS)
		return FIGURES_BAR_CELLS;
	return bytes > 0 && cells < 1 ? 1 : (uint32_t)cells;
}

static void memory_add(struct figures *figures, const struct reading_pool *pool)
{
	struct figures_row *row = row_add(figures, FIGURES_MEMORY);
	uint64_t used_bytes = pool->total_bytes > pool->free_bytes ? pool->total_bytes - pool->free_bytes
								   : 0;
	uint32_t hearthd = cells_of(pool, pool->resident_bytes);
	uint32_t used = cells_of(pool, used_bytes);
	char bar[FIGURES_BAR_CELLS + 1];

	if (!row)
		return;
	if (used < hearthd)
		used = hearthd;
	for (uint32_t cell = 0; cell < FIGURES_BAR_CELLS; cell++)
		bar[cell] = cell < hearthd ? '#' : cell < used ? '=' : '.';
	bar[FIGURES_BAR_CELLS] = '\0';
	text_set(&row->cells[0], "%s node %" PRIu64, pool->pages, pool->node);
	bytes_set(&row->cells[1], pool->total_bytes);
	bytes_set(&row->cells[2], pool->free_bytes);
	bytes_set(&row->cells[3], pool->resident_bytes);
	row->cells[4].number = 100.0 * (double)used_bytes / (double)pool->total_bytes;
	text_set(&row->cells[4], "|%s| %3.0f %%", bar, row->cells[4].number);
}

/* --- the head -------------------------------------------------------------------------------------- */

static void item_add(struct figures *figures, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void item_add(struct figures *figures, const char *format, ...)
{
	char *item = figures->items[figures->item_count];
	va_list arguments;

	if (figures->item_count == FIGURES_ITEMS_MAX)
		return;
	figures->item_count++;
	va_start(arguments, format);
	vsnprintf(item, FIGURES_ITEM_BYTES, format, arguments);
	va_end(arguments);
	text_disarm(item);
}

/* Of all versions together. */
static struct percentiles times_of(struct figures *figures, const struct reading *before,
				   const struct reading *now)
{
	struct histogram *sums = calloc(2, sizeof(*sums));
	struct percentiles percentiles = {0};

	if (!sums) {
		figures->lacks_memory = true;
		return percentiles;
	}
	for (uint32_t at = 0; at < now->model_count; at++) {
		const struct reading_model *model = &now->models[at];
		const struct reading_model *was =
			before ? reading_find_model(before, model->name, model->version) : NULL;

		interval_histogram(was ? &was->times : &sums[0], &model->times, &figures->interval);
		histogram_merge(&sums[1], &figures->interval);
	}
	percentiles = percentiles_of(&sums[1]);
	free(sums);
	return percentiles;
}

static void head_make(struct figures *figures, const struct reading *before,
		      const struct reading *now, double interval_s, bool has_times)
{
	const struct reading_totals none = {0};
	const struct reading_totals *was = before ? &before->totals : &none, *is = &now->totals;
	double rows_per_s = rate_of(was->rows, is->rows, interval_s);
	struct percentiles percentiles = {0};
	char text[TEXT_BYTES];

	if (has_times)
		percentiles = times_of(figures, before, now);
	/* A small terminal has room for the first ones. */
	if (now->has_uptime)
		item_add(figures, "up %s", text_duration_s(now->uptime_s, text));
	item_add(figures, "%s", now->is_ready ? "ready" : "not ready");
	item_add(figures, "requests/s %s",
		 number_text(rate_of(was->requests, is->requests, interval_s), text));
	item_add(figures, "p50 %s", time_text(&percentiles, percentiles.p50_ns, text));
	item_add(figures, "p99 %s", time_text(&percentiles, percentiles.p99_ns, text));
	item_add(figures, "rows/s %s", number_text(rows_per_s, text));
	item_add(figures, "rows/batch %s",
		 number_text(ratio_of(rows_per_s, rate_of(was->batches, is->batches, interval_s)),
			     text));
	item_add(figures, "errors/s %s",
		 number_text(rate_of(was->errors, is->errors, interval_s), text));
	item_add(figures, "hearthd %s", now->version);
	item_add(figures, "pid %" PRIu64, now->pid);
	memcpy(figures->worst, now->worst, sizeof(figures->worst));
	text_disarm(figures->worst);
}

void figures_make(struct figures *figures, const struct reading *before, const struct reading *now)
{
	bool is_known = before->has_answer;
	double interval_s = is_known ? seconds_between(before->at_ns, now->at_ns) : 0;
	double rows_interval_s = is_known ? seconds_between(before->rows_at_ns, now->rows_at_ns) : 0;

	if (is_known && has_restarted(before, now)) {
		if (interval_s > now->uptime_s && now->uptime_s > 0)
			interval_s = rows_interval_s = now->uptime_s;
		is_known = false;
	}
	figures->item_count = 0;
	for (uint32_t kind = 0; kind < FIGURES_KINDS; kind++)
		figures->tables[kind].row_count = 0;
	head_make(figures, is_known ? before : NULL, now, interval_s, rows_interval_s > 0);
	models_add(figures, is_known ? before : NULL, now, rows_interval_s);
	clients_add(figures, is_known ? before : NULL, now, rows_interval_s);
	for (uint32_t at = 0; at < now->pool_count; at++)
		memory_add(figures, &now->pools[at]);
	for (uint32_t kind = 0; kind < FIGURES_KINDS; kind++)
		figures_sort(&figures->tables[kind]);
}

/* --- order ----------------------------------------------------------------------------------------- */

static int rows_compare(const void *left, const void *right, void *context)
{
	const struct figures_row *one = left, *other = right;
	const struct figures_table *table = context;
	const struct figures_cell *a = &one->cells[table->sort_column];
	const struct figures_cell *b = &other->cells[table->sort_column];
	int order;

	if (table->columns[table->sort_column].is_text)
		order = strverscmp(a->text, b->text);
	else
		order = (b->number > a->number) - (b->number < a->number);
	if (order != 0)
		return table->is_reverse ? -order : order;
	return (one->place > other->place) - (one->place < other->place);
}

void figures_sort(struct figures_table *table)
{
	if (table->row_count > 1)
		qsort_r(table->rows, table->row_count, sizeof(*table->rows), rows_compare, table);
}
