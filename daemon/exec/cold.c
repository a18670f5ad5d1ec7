/* SPDX-License-Identifier: MIT */
/* daemon/exec/cold.c - cold tables: how much of them is in memory, and the memory of their batches */
#include "exec/cold_parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory/resident.h"

#define BYTES_DIVISOR 10 /* so much of the tables is in memory when nobody says how much */
#define SLOTS_MAX (1 << 30)
#define SCATTER UINT64_C(2654435761)   /* the golden ratio of 2^32: Knuth, volume 3, 6.4 */
#define IDS_MAX (UINT64_C(1) << 28) /* of one table in one batch */

/* --- sizes ------------------------------------------------------------------------------------ */

/* Slots of each pool that all stages together can pin at once, and one more to read ahead. */
static void slots_needed(const struct cold_plan *plan, const int64_t capacity[],
			 uint32_t stage_count, uint64_t ret_slots[])
{
	uint64_t needs[COLD_TABLES_MAX] = {0};

	for (uint32_t index = 0; index < plan->ids_count; index++) {
		const struct cold_ids *ids = &plan->ids[index];
		int64_t count = poly_value(&ids->count, capacity);
		int64_t rows = plan->tables[ids->table].rows;

		/* However many ids there are, a table has no more rows than it has. */
		needs[plan->tables[ids->table].pool] += (uint64_t)(count < rows ? count : rows);
	}
	for (uint32_t pool = 0; pool < plan->pool_count; pool++)
		ret_slots[pool] = needs[pool] * stage_count + 1;
}

static uint64_t pool_bytes(const struct cold_plan *plan, uint32_t pool, uint64_t slots)
{
	return slots * (uint64_t)plan->pools[pool].dim * sizeof(float);
}

int cold_share(const struct cold_plan *plan, const char *name,
	       const int64_t capacity[SIGNATURE_SYMBOLS_MAX], uint32_t stage_count, uint64_t bytes,
	       uint32_t ret_slots[])
{
	uint64_t needs[COLD_TABLES_MAX], rows[COLD_TABLES_MAX] = {0};
	uint64_t table_bytes = 0, needed_bytes = 0;
	bool fits = true;

	slots_needed(plan, capacity, stage_count, needs);
	for (uint32_t table = 0; table < plan->table_count; table++)
		rows[plan->tables[table].pool] += (uint64_t)plan->tables[table].rows;
	for (uint32_t pool = 0; pool < plan->pool_count; pool++)
		table_bytes += pool_bytes(plan, pool, rows[pool]);
	for (uint32_t pool = 0; pool < plan->pool_count; pool++) {
		double share = (double)pool_bytes(plan, pool, rows[pool]) / (double)table_bytes;
		double wanted = bytes > 0 ? (double)bytes : (double)table_bytes / BYTES_DIVISOR;
		double slots = wanted * share / (double)pool_bytes(plan, pool, 1);

		needed_bytes += (uint64_t)((double)pool_bytes(plan, pool, needs[pool]) / share);
		if (slots < (double)needs[pool] && bytes == 0)
			slots = (double)needs[pool];
		fits = fits && slots >= (double)needs[pool];
		if (slots > (double)rows[pool] + 1)
			slots = (double)rows[pool] + 1;
		if (slots > SLOTS_MAX)
			slots = SLOTS_MAX;
		ret_slots[pool] = (uint32_t)slots;
	}
	if (fits)
		return 0;
	return err_raise(-EINVAL,
			 "%s: %llu bytes for rows of cold tables; %u batches of the largest size "
			 "may need %llu: give it more, or fewer rows a batch (rows_max)",
			 name, (unsigned long long)bytes, stage_count,
			 (unsigned long long)needed_bytes);
}

/* --- life ------------------------------------------------------------------------------------- */

static int table_open(struct cold *cold, const struct cold_options *options, uint32_t index)
{
	const struct cold_table *table = &cold->plan.tables[index];
	const struct graph *graph = options->lowering->graph;
	const struct value *value = graph_value(graph, table->value);
	struct cold_file *file = &cold->files[index];
	uint64_t offset;
	int r;

	r = onnx_tensor_open(graph->model, value->tensor, &file->fd, &file->direct_fd, &offset);
	if (r < 0)
		return err_trace(r);
	r = cold_file_note(file, value->name);
	if (r < 0)
		return err_trace(r);
	r = row_file_init(&file->rows, file->fd, file->direct_fd, offset, (uint64_t)table->rows,
			  (uint32_t)cold->plan.pools[table->pool].dim * (uint32_t)sizeof(float),
			  value->name);
	return r < 0 ? err_trace(r) : 0;
}

static int pool_init(struct cold *cold, const struct cold_options *options, uint32_t index,
		     uint64_t needed)
{
	const struct cold_pool *pool = &cold->plan.pools[index];

	cold->pools[index].slots =
		options->weights + options->lowering->weights[pool->weight].offset;
	cold->pools[index].row_bytes = (uint32_t)pool->dim * (uint32_t)sizeof(float);
	return hot_rows_init(&cold->pools[index].hot, pool->cached,
			     needed < pool->cached ? (uint32_t)needed : pool->cached);
}

static int stage_init(struct cold *cold, const struct cold_options *options,
		      struct cold_stage *stage)
{
	uint64_t total = 0;

	stage->cold = cold;
	for (uint32_t index = 0; index < cold->plan.ids_count; index++) {
		int64_t count = poly_value(&cold->plan.ids[index].count, options->capacity);

		if (count < 0 || (uint64_t)count > IDS_MAX)
			return err_raise(-EOPNOTSUPP,
					 "%s: a batch has %lld ids of a cold table; at most %llu "
					 "are possible",
					 options->lowering->graph->name, (long long)count,
					 (unsigned long long)IDS_MAX);
		stage->ids[index] = resident_alloc((size_t)count + 1, sizeof(int32_t));
		if (!stage->ids[index])
			return err_raise(-ENOMEM, "no memory for %lld ids", (long long)count);
		stage->capacities[index] = (uint64_t)count;
		total += (uint64_t)count;
	}
	stage->pins = resident_alloc(total + 1, sizeof(stage->pins[0]));
	stage->wanted = resident_alloc(total + 1, sizeof(stage->wanted[0]));
	if (!stage->pins || !stage->wanted)
		return err_raise(-ENOMEM, "no memory for %llu ids", (unsigned long long)total);
	return 0;
}

static int resident_read(struct cold *cold, const struct cold_options *options,
			 struct row_reader *reader, const struct cold_ids *ids)
{
	const struct cold_table *table = &cold->plan.tables[ids->table];
	struct cold_pool_rows *pool = &cold->pools[table->pool];
	struct row_end end = {0};

	(void)row_reader_read(reader, &cold->files[ids->table].rows, (uint64_t)ids->missing_row,
			      pool->slots + (uint64_t)ids->resident * pool->row_bytes, NULL);
	(void)row_reader_take(reader, &end);
	if (end.result == 0)
		return 0;
	return err_raise(end.result, "%s: row %lld of table '%s': %s",
			 options->lowering->graph->name, (long long)ids->missing_row,
			 graph_value(options->lowering->graph, table->value)->name,
			 strerror(-end.result));
}

/* Rows that stand in for ids outside of their table stay. */
static int residents_read(struct cold *cold, const struct cold_options *options)
{
	struct row_reader *reader = malloc(sizeof(*reader));
	int r = 0;

	if (!reader)
		return err_raise(-ENOMEM, "no memory to read rows");
	row_reader_init(reader, false);
	for (uint32_t index = 0; r == 0 && index < cold->plan.ids_count; index++) {
		if (cold->plan.ids[index].missing != MISSING_ROW)
			continue;
		r = row_reader_populate(reader, &options->owner, options->node);
		if (r == 0)
			r = resident_read(cold, options, reader, &cold->plan.ids[index]);
	}
	row_reader_deinit(reader);
	free(reader);
	return r < 0 ? err_trace(r) : 0;
}

static int cold_fill(struct cold *cold, const struct cold_options *options)
{
	uint64_t needs[COLD_TABLES_MAX];
	int r = 0;

	slots_needed(&cold->plan, options->capacity, options->stage_count, needs);
	for (uint32_t table = 0; r == 0 && table < cold->plan.table_count; table++)
		r = table_open(cold, options, table);
	for (uint32_t pool = 0; r == 0 && pool < cold->plan.pool_count; pool++)
		r = pool_init(cold, options, pool, needs[pool]);
	for (uint32_t stage = 0; r == 0 && stage < options->stage_count; stage++)
		r = stage_init(cold, options, &cold->stages[stage]);
	if (r == 0)
		r = residents_read(cold, options);
	return r < 0 ? err_trace(r) : 0;
}

int cold_new(const struct cold_options *options, struct cold **ret_cold)
{
	struct cold *cold = resident_alloc(1, sizeof(*cold));
	int r;

	if (!cold)
		return err_raise(-ENOMEM, "no memory for cold tables");
	cold->plan = *options->plan;
	for (uint32_t table = 0; table < COLD_TABLES_MAX; table++)
		cold->files[table].fd = cold->files[table].direct_fd = -1;
	cold->stage_count = options->stage_count;
	cold->stages = resident_alloc(options->stage_count, sizeof(cold->stages[0]));
	r = cold->stages ? cold_fill(cold, options)
			 : err_raise(-ENOMEM, "no memory for cold tables");
	if (r < 0) {
		cold_free(cold);
		return err_trace(r);
	}
	*ret_cold = cold;
	return 0;
}

void cold_free(struct cold *cold)
{
	if (!cold)
		return;
	for (uint32_t number = 0; cold->stages && number < cold->stage_count; number++) {
		struct cold_stage *stage = &cold->stages[number];

		for (uint32_t index = 0; index < COLD_IDS_MAX; index++)
			free(stage->ids[index]);
		free(stage->pins);
		free(stage->wanted);
	}
	free(cold->stages);
	for (uint32_t pool = 0; pool < COLD_TABLES_MAX; pool++)
		hot_rows_deinit(&cold->pools[pool].hot);
	for (uint32_t table = 0; table < COLD_TABLES_MAX; table++) {
		if (cold->files[table].fd >= 0)
			close(cold->files[table].fd);
		if (cold->files[table].direct_fd >= 0)
			close(cold->files[table].direct_fd);
	}
	free(cold);
}

struct cold_stage *cold_stage(struct cold *cold, uint32_t number)
{
	return &cold->stages[number];
}

uint32_t cold_ids_count(const struct cold *cold)
{
	return cold->plan.ids_count;
}

void *cold_stage_ids(const struct cold_stage *stage, uint32_t index)
{
	return stage->ids[index];
}

void *cold_stage_scatter(struct cold_stage *stage, uint32_t index)
{
	const struct cold_plan *plan = &stage->cold->plan;
	uint32_t cached = plan->pools[plan->tables[plan->ids[index].table].pool].cached;

	for (uint64_t place = 0; place < stage->capacities[index]; place++)
		stage->ids[index][place] = (int32_t)(place * SCATTER % cached);
	return stage->ids[index];
}

struct cold_cut cold_ids_cut(const struct cold *cold, uint32_t index)
{
	const struct cold_ids *ids = &cold->plan.ids[index];
	uint64_t bytes = (uint64_t)ids->hot * sizeof(int32_t);

	return (struct cold_cut){
		.row_bytes = ids->is_of_rows ? bytes : 0,
		.request_bytes = ids->is_of_requests ? bytes : 0,
	};
}

/* --- what there is ------------------------------------------------------------------------------ */

uint64_t cold_plan_bytes(const struct cold_plan *plan)
{
	uint64_t bytes = 0;

	for (uint32_t table = 0; table < plan->table_count; table++)
		bytes += pool_bytes(plan, plan->tables[table].pool,
				    (uint64_t)plan->tables[table].rows);
	return bytes;
}

uint64_t cold_table_bytes(const struct cold *cold)
{
	return cold_plan_bytes(&cold->plan);
}

uint64_t cold_row_bytes(const struct cold *cold)
{
	uint64_t bytes = 0;

	for (uint32_t pool = 0; pool < cold->plan.pool_count; pool++)
		bytes += pool_bytes(&cold->plan, pool, cold->plan.pools[pool].slots);
	return bytes;
}

bool cold_is_direct(const struct cold *cold)
{
	for (uint32_t table = 0; table < cold->plan.table_count; table++)
		if (cold->files[table].rows.block_bytes == 1)
			return false;
	return true;
}

bool cold_has_changed(struct cold *cold)
{
	for (uint32_t table = 0; table < cold->plan.table_count; table++)
		if (cold_file_has_changed(&cold->files[table]))
			return true;
	return false;
}

const struct cold_counters *cold_counters(const struct cold *cold)
{
	return &cold->counters;
}
