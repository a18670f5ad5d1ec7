/* SPDX-License-Identifier: MIT */
/* daemon/exec/cold.c - rows of cold tables are brought before a batch runs */
#include "exec/cold.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "exec/cold_file.h"
#include "memory/resident.h"

#define TABLE_SHIFT 48 /* of a row's key: tables are 64, rows fewer than 2^48 */
#define BYTES_DIVISOR 10 /* so much of the tables is in memory when nobody says how much */
#define SLOTS_MAX (1 << 30)
#define SCATTER UINT64_C(2654435761)   /* the golden ratio of 2^32: Knuth, volume 3, 6.4 */
#define IDS_MAX (UINT64_C(1) << 28) /* of one table in one batch */

struct cold_pool_rows {
	struct hot_rows hot;
	char *slots;
	uint32_t row_bytes;
};

/* A pinned slot, and the row that shall come there. */
struct pin {
	struct cold *cold;
	uint32_t pool, slot;
	uint32_t table;
	uint64_t row;
};

struct cold_stage {
	struct cold *cold;
	int32_t *ids[COLD_IDS_MAX];
	uint64_t capacities[COLD_IDS_MAX];
	uint64_t counts[COLD_IDS_MAX]; /* of this batch */
	struct pin *pins;
	struct pin **wanted; /* those whose rows are to be read */
	uint64_t pin_count, pins_here; /* the first ones, which wait for nothing */
	uint64_t wanted_count, wanted_started;
	uint64_t begun_ns;
};

struct cold {
	struct cold_plan plan;
	struct cold_file files[COLD_TABLES_MAX];
	struct cold_pool_rows pools[COLD_TABLES_MAX];
	struct cold_stage *stages;
	uint32_t stage_count;
	struct cold_counters counters;
};

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

/* --- a batch ---------------------------------------------------------------------------------- */

static int64_t id_at(const void *ids, enum dtype dtype, int64_t place)
{
	return dtype == DTYPE_I64 ? ((const int64_t *)ids)[place] : ((const int32_t *)ids)[place];
}

/* The slot that stands for an id in the bag: of its row, of padding, or invalid. */
static int32_t slot_take(struct cold_stage *stage, const struct cold_ids *ids, int64_t id)
{
	struct cold *cold = stage->cold;
	const struct cold_table *table = &cold->plan.tables[ids->table];
	struct pin *pin = &stage->pins[stage->pin_count];
	struct hot_rows *hot = &cold->pools[table->pool].hot;

	if (ids->missing == MISSING_WRAP && id < 0 && id >= -table->rows)
		id += table->rows;
	if (id < 0 || id >= table->rows)
		return COLD_SLOT_INVALID;
	if (id == ids->padding_idx)
		return (int32_t)cold->plan.pools[table->pool].slots - 1;
	*pin = (struct pin){ cold, table->pool, 0, ids->table, (uint64_t)id };
	switch (hot_rows_take(hot, (uint64_t)ids->table << TABLE_SHIFT | (uint64_t)id, &pin->slot)) {
	case HOT_ROW_FULL: /* there is a slot for each id of each stage: cold_need */
		return COLD_SLOT_UNREAD;
	case HOT_ROW_WANTED:
		stage->wanted[stage->wanted_count++] = pin;
		break;
	default:
		break;
	}
	stage->pin_count++;
	return (int32_t)pin->slot;
}

static void ids_take(struct cold_stage *stage, uint32_t index, const int64_t symbols[],
		     const void *const inputs[])
{
	const struct cold_ids *ids = &stage->cold->plan.ids[index];
	const void *from = inputs[ids->input];
	int64_t offset = poly_value(&ids->offset, symbols);
	int64_t stride = poly_value(&ids->stride, symbols);
	int64_t row_stride = poly_value(&ids->row_stride, symbols);
	int64_t rows = ids->hot > 0 ? poly_value(&ids->rows, symbols) : 1;
	int64_t count = ids->hot > 0 ? ids->hot : poly_value(&ids->count, symbols);
	int32_t *slot = stage->ids[index];

	for (int64_t row = 0; row < rows; row++)
		for (int64_t place = 0; place < count; place++)
			*slot++ = slot_take(stage, ids,
					    id_at(from, ids->dtype,
						  offset + row * row_stride + place * stride));
	stage->counts[index] = (uint64_t)(rows * count);
}

/* What the pools have counted, for others to read. */
static void counters_publish(struct cold *cold)
{
	uint64_t hits = 0, misses = 0, evictions = 0;

	for (uint32_t pool = 0; pool < cold->plan.pool_count; pool++) {
		hits += cold->pools[pool].hot.hits;
		misses += cold->pools[pool].hot.misses;
		evictions += cold->pools[pool].hot.evictions;
	}
	counter_set(&cold->counters.hits, hits);
	counter_set(&cold->counters.misses, misses);
	counter_set(&cold->counters.evictions, evictions);
}

void cold_begin(struct cold_stage *stage, const int64_t symbols[SIGNATURE_SYMBOLS_MAX],
		const void *const inputs[])
{
	stage->pin_count = 0;
	stage->pins_here = 0;
	stage->wanted_count = 0;
	stage->wanted_started = 0;
	stage->begun_ns = 0;
	for (uint32_t index = 0; index < stage->cold->plan.ids_count; index++)
		ids_take(stage, index, symbols, inputs);
	counters_publish(stage->cold);
}

/* Slots whose row could not be read are told to the kernel, which tells their rows. */
static void failures_mark(struct cold_stage *stage)
{
	struct cold *cold = stage->cold;

	for (uint32_t index = 0; index < cold->plan.ids_count; index++) {
		const struct cold_table *table =
			&cold->plan.tables[cold->plan.ids[index].table];
		const struct hot_rows *hot = &cold->pools[table->pool].hot;

		for (uint64_t place = 0; place < stage->counts[index]; place++) {
			int32_t *slot = &stage->ids[index][place];

			if (*slot >= 0 && (uint32_t)*slot < hot->slot_count &&
			    hot_rows_has_failed(hot, (uint32_t)*slot))
				*slot = COLD_SLOT_UNREAD;
		}
	}
}

bool cold_has_read(const struct cold_stage *stage)
{
	return stage->wanted_count > 0;
}

bool cold_go_on(struct cold_stage *stage, struct row_reader *reader)
{
	struct cold *cold = stage->cold;
	bool has_failed = false;

	while (stage->wanted_started < stage->wanted_count) {
		struct pin *pin = stage->wanted[stage->wanted_started];
		struct cold_pool_rows *pool = &cold->pools[pin->pool];

		if (!row_reader_read(reader, &cold->files[pin->table].rows, pin->row,
				     pool->slots + (uint64_t)pin->slot * pool->row_bytes, pin))
			break;
		stage->wanted_started++;
	}
	row_reader_submit(reader);
	while (stage->pins_here < stage->pin_count) {
		const struct pin *pin = &stage->pins[stage->pins_here];

		if (hot_rows_is_coming(&cold->pools[pin->pool].hot, pin->slot)) {
			if (stage->begun_ns == 0)
				stage->begun_ns = clock_ns();
			return false;
		}
		stage->pins_here++;
	}
	for (uint64_t index = 0; index < stage->pin_count && !has_failed; index++)
		has_failed = hot_rows_has_failed(&cold->pools[stage->pins[index].pool].hot,
						 stage->pins[index].slot);
	if (has_failed)
		failures_mark(stage);
	if (stage->begun_ns > 0)
		histogram_record(&cold->counters.waits, clock_ns() - stage->begun_ns);
	return true;
}

void cold_end(struct cold_stage *stage)
{
	for (uint64_t index = 0; index < stage->pin_count; index++)
		hot_rows_give(&stage->cold->pools[stage->pins[index].pool].hot,
			      stage->pins[index].slot);
	stage->pin_count = 0;
}

void cold_arrive(const struct row_end *end)
{
	struct pin *pin = end->user;

	hot_rows_arrive(&pin->cold->pools[pin->pool].hot, pin->slot, end->result == 0);
	if (end->result < 0)
		counter_add(&pin->cold->counters.failures, 1);
}

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
