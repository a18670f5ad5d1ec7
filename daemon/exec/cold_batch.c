/* SPDX-License-Identifier: MIT */
/* daemon/exec/cold_batch.c - rows of cold tables are brought before a batch runs */
#include "exec/cold_parts.h"

#include "base/clock.h"

#define TABLE_SHIFT 48 /* of a row's key: tables are 64, rows fewer than 2^48 */

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
	counter_add(&pin->cold->counters.read_bytes, end->bytes);
	if (end->result < 0)
		counter_add(&pin->cold->counters.failures, 1);
}
