/* SPDX-License-Identifier: MIT */
/* daemon/graph/cold.c - tables of which a few rows are in memory at a time */
#include "graph/cold.h"

#include <errno.h>
#include <string.h>

#define NAME_EVERY "*"
#define SLOT_PADDING 1 /* a pool's last slot */

/* --- which tables ------------------------------------------------------------------------------ */

/* The names that are looked for, and which of them a table had. */
struct search {
	struct lowering *lowering;
	struct cold_plan *plan;
	const char *const *names;
	uint32_t name_count;
	bool *is_found; /* per name */
};

static bool name_matches(struct search *search, const char *name, bool *ret_is_every)
{
	bool matches = false;

	*ret_is_every = true;
	for (uint32_t index = 0; index < search->name_count; index++) {
		if (strcmp(search->names[index], name) == 0) {
			search->is_found[index] = true;
			*ret_is_every = false;
			matches = true;
		}
		matches = matches || strcmp(search->names[index], NAME_EVERY) == 0;
	}
	return matches;
}

static int refuse(const struct search *search, const struct value *table, const char *why)
{
	return err_raise(-EOPNOTSUPP, "%s: table '%s' cannot be cold: %s",
			 search->lowering->graph->name, table->name, why);
}

/* An operand of the step by its field; NULL: there is none. */
static struct operand *operand_find(const struct step *step, uint32_t field)
{
	for (struct operand *operand = step->operands; operand; operand = operand->next) {
		if (operand->field == field)
			return operand;
	}
	return NULL;
}

/* A size of the args: one of the run, or the constant that is there already. */
static struct poly size_of(const struct step *step, uint32_t field)
{
	for (const struct step_size *size = step->sizes; size; size = size->next) {
		if (size->field == field)
			return size->value;
	}
	return poly_constant(*(const int64_t *)(const void *)((const char *)step->args + field));
}

static void size_forget(struct step *step, uint32_t field)
{
	for (struct step_size **link = &step->sizes; *link;) {
		if ((*link)->field == field)
			*link = (*link)->next;
		else
			link = &(*link)->next;
	}
}

static uint32_t pool_of(struct cold_plan *plan, int64_t dim)
{
	for (uint32_t pool = 0; pool < plan->pool_count; pool++) {
		if (plan->pools[pool].dim == dim)
			return pool;
	}
	plan->pools[plan->pool_count].dim = dim;
	return plan->pool_count++;
}

static int table_add(struct search *search, uint32_t value, const struct embed_table *table,
		     uint32_t *ret_table)
{
	struct cold_plan *plan = search->plan;

	for (uint32_t index = 0; index < plan->table_count; index++) {
		if (plan->tables[index].value == value) {
			*ret_table = index;
			return 0;
		}
	}
	if (plan->table_count == COLD_TABLES_MAX)
		return err_raise(-EOPNOTSUPP, "%s: at most %d tables can be cold",
				 search->lowering->graph->name, COLD_TABLES_MAX);
	plan->tables[plan->table_count] = (struct cold_table){
		.value = value,
		.pool = pool_of(plan, table->dim),
		.rows = table->axis,
	};
	*ret_table = plan->table_count++;
	return 0;
}

/* --- which ids --------------------------------------------------------------------------------- */

/* Why a table's bag cannot read slots; NULL: it can. */
static const char *obstacle(const struct search *search, const struct value *table,
			    const struct operand *ids)
{
	uint32_t input;

	if (!table->tensor || table->tensor->source != ONNX_EXTERNAL)
		return "its rows are in model.onnx itself; export it with external data";
	if (table->dtype != DTYPE_F32)
		return "its rows are not float32";
	if (!ids || lower_place(search->lowering, ids->index, &input) != PLACE_INPUT ||
	    input >= search->lowering->graph->input_count)
		return "its ids are computed; ids that come with the request are wanted";
	return NULL;
}

static bool rows_are(const struct cold_ids *ids, int32_t symbol)
{
	struct poly rows;

	if (symbol < 0 || ids->hot == 0)
		return false;
	rows = poly_dim(dim_symbol((uint32_t)symbol));
	return poly_equal(&ids->rows, &rows);
}

static int ids_add(struct search *search, struct step *step, uint32_t place, uint32_t value)
{
	const struct embed_table *table = &step->args->embed.tables[place];
	const struct operand *ids = operand_find(step, FIELD_TABLE(place, ids));
	struct cold_plan *plan = search->plan;
	struct cold_ids *found;
	uint32_t element_bytes = dtype_bytes(table->ids_dtype);
	int r;

	if (plan->ids_count == COLD_IDS_MAX)
		return err_raise(-EOPNOTSUPP, "%s: ids of at most %d tables can be cold",
				 search->lowering->graph->name, COLD_IDS_MAX);
	found = &plan->ids[plan->ids_count];
	*found = (struct cold_ids){
		.dtype = table->ids_dtype,
		.offset = ids->offset_bytes,
		.row_stride = size_of(step, FIELD_TABLE(place, ids_row_stride)),
		.stride = size_of(step, FIELD_TABLE(place, ids_stride)),
		.rows = size_of(step, FIELD(embed_args, rows)),
		.hot = table->hot,
		.padding_idx = table->padding_idx,
		.missing = table->missing,
		.missing_row = table->missing_row,
		.step = step,
		.place = place,
	};
	for (uint32_t term = 0; term < found->offset.count; term++)
		found->offset.terms[term].scale /= element_bytes;
	(void)lower_place(search->lowering, ids->index, &found->input);
	found->count = table->hot > 0 ? poly_scale(found->rows, table->hot)
				      : size_of(step, FIELD_TABLE(place, ids_count));
	found->is_of_rows = rows_are(found, search->lowering->row_symbol);
	found->is_of_requests = rows_are(found, search->lowering->request_symbol);
	r = table_add(search, value, table, &found->table);
	if (r < 0)
		return err_trace(r);
	plan->ids_count++;
	return 0;
}

static int bags_search(struct search *search, struct step *step)
{
	int r;

	for (uint32_t place = 0; place < step->args->embed.table_count; place++) {
		const struct operand *data = operand_find(step, FIELD_TABLE(place, data));
		uint32_t value = search->lowering->weights[data->index].value;
		const struct value *table = graph_value(search->lowering->graph, value);
		const char *why;
		bool is_every;

		if (!name_matches(search, table->name, &is_every))
			continue;
		why = obstacle(search, table, operand_find(step, FIELD_TABLE(place, ids)));
		if (why && is_every)
			continue;
		if (why)
			return refuse(search, table, why);
		r = ids_add(search, step, place, value);
		if (r < 0)
			return err_trace(r);
	}
	return 0;
}

/* A table that another kernel reads, too, must be there whole. */
static int others_check(const struct search *search, const struct step *step)
{
	const struct cold_plan *plan = search->plan;

	for (const struct operand *operand = step->operands; operand; operand = operand->next) {
		if (operand->kind != OPERAND_WEIGHT)
			continue;
		for (uint32_t table = 0; table < plan->table_count; table++)
			if (plan->tables[table].value ==
			    search->lowering->weights[operand->index].value)
				return refuse(search,
					      graph_value(search->lowering->graph,
							  plan->tables[table].value),
					      "it is read whole, or by something that is no "
					      "embedding bag");
	}
	return 0;
}

int cold_find(struct lowering *lowering, const char *const names[], uint32_t name_count,
	      struct cold_plan *ret_plan)
{
	struct search search = {
		.lowering = lowering,
		.plan = ret_plan,
		.names = names,
		.name_count = name_count,
		.is_found = graph_allocate(lowering->graph, (size_t)name_count + 1, sizeof(bool)),
	};
	int r = 0;

	if (!search.is_found)
		return err_trace(-ENOMEM);
	*ret_plan = (struct cold_plan){0};
	for (uint32_t index = 0; r == 0 && index < lowering->step_count; index++) {
		if (lowering->steps[index]->kernel == KERNEL_EMBED)
			r = bags_search(&search, lowering->steps[index]);
	}
	for (uint32_t index = 0; r == 0 && index < lowering->step_count; index++) {
		if (lowering->steps[index]->kernel != KERNEL_EMBED)
			r = others_check(&search, lowering->steps[index]);
	}
	for (uint32_t index = 0; r == 0 && index < name_count; index++) {
		if (!search.is_found[index] && strcmp(names[index], NAME_EVERY) != 0)
			return err_raise(-EINVAL,
					 "%s: table '%s' shall be cold, and no embedding bag reads a "
					 "constant of that name",
					 lowering->graph->name, names[index]);
	}
	return r < 0 ? err_trace(r) : 0;
}

/* --- slots ------------------------------------------------------------------------------------- */

/* The input of slot numbers that stands for the client's ids. */
static int slots_input(struct lowering *lowering, uint32_t number, uint32_t *ret_value)
{
	struct graph *graph = lowering->graph;
	struct value *value = graph_value_new(graph, "slots", ret_value);
	int r;

	if (!value)
		return err_trace(-ENOMEM);
	value->kind = VALUE_INPUT;
	value->dtype = DTYPE_I32;
	value->rank = 0; /* of no size: it is nobody's to allocate or to copy */
	value->input_index = graph->input_count + 1 + number;
	r = value_need(lowering, *ret_value);
	return r < 0 ? err_trace(r) : 0;
}

static int ids_replace(struct lowering *lowering, struct cold_plan *plan, uint32_t number)
{
	struct cold_ids *ids = &plan->ids[number];
	const struct cold_pool *pool = &plan->pools[plan->tables[ids->table].pool];
	struct operand *operand = operand_find(ids->step, FIELD_TABLE(ids->place, ids));
	struct operand *data = operand_find(ids->step, FIELD_TABLE(ids->place, data));
	struct embed_table *table = &ids->step->args->embed.tables[ids->place];
	uint32_t value;
	int r;

	r = slots_input(lowering, number, &value);
	if (r < 0)
		return err_trace(r);
	operand->index = value;
	operand->value = value;
	operand->offset_bytes = poly_constant(0);
	data->index = pool->weight;
	size_forget(ids->step, FIELD_TABLE(ids->place, ids_row_stride));
	size_forget(ids->step, FIELD_TABLE(ids->place, ids_stride));
	table->ids_row_stride = table->hot;
	table->ids_stride = 1;
	table->ids_dtype = DTYPE_I32;
	table->axis = pool->slots;
	table->has_unread = 1;
	if (table->missing == MISSING_WRAP)
		table->missing = MISSING_ERROR; /* exec/cold.c has wrapped them */
	if (table->missing == MISSING_ROW)
		table->missing_row = ids->resident;
	if (table->padding_idx >= 0)
		table->padding_idx = pool->slots - 1;
	embed_settle(&ids->step->args->embed);
	return 0;
}

static int pool_place(struct lowering *lowering, struct cold_pool *pool)
{
	return lower_weight(lowering, (struct weight){
						.layout = WEIGHT_SLOTS,
						.value = GRAPH_NONE,
						.bytes = pool->slots * (uint64_t)pool->dim *
							 sizeof(float),
					}, &pool->weight);
}

int cold_place(struct lowering *lowering, struct cold_plan *plan, const uint32_t cached_slots[])
{
	int r;

	for (uint32_t pool = 0; pool < plan->pool_count; pool++)
		plan->pools[pool].cached = cached_slots[pool];
	for (uint32_t number = 0; number < plan->ids_count; number++) {
		struct cold_ids *ids = &plan->ids[number];
		struct cold_pool *pool = &plan->pools[plan->tables[ids->table].pool];

		if (ids->missing == MISSING_ROW)
			ids->resident = pool->cached + pool->resident_count++;
	}
	for (uint32_t pool = 0; pool < plan->pool_count; pool++) {
		plan->pools[pool].slots = plan->pools[pool].cached +
					  plan->pools[pool].resident_count + SLOT_PADDING;
		r = pool_place(lowering, &plan->pools[pool]);
		if (r < 0)
			return err_trace(r);
	}
	for (uint32_t number = 0; number < plan->ids_count; number++) {
		r = ids_replace(lowering, plan, number);
		if (r < 0)
			return err_trace(r);
	}
	/* Nothing reads the tables themselves any more. */
	for (uint32_t index = 0; index < lowering->weight_count; index++) {
		for (uint32_t table = 0; table < plan->table_count; table++)
			if (lowering->weights[index].value == plan->tables[table].value) {
				lowering->weights[index].layout = WEIGHT_COLD;
				lowering->weights[index].bytes = 0;
			}
	}
	return 0;
}
