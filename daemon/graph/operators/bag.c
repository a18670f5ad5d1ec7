/* SPDX-License-Identifier: MIT */
/* daemon/graph/operators/bag.c - embedding bags and plain rows become a table of KERNEL_EMBED */
#include <errno.h>

#include "graph/bag.h"
#include "graph/lower.h"
#include "graph/operators/ids.h"
#include "graph/ops.h"
#include "graph/rows.h"

/* Of a bag with offsets: others come after the shapes. */
static int infer_bag(struct graph *graph, struct node *node)
{
	const struct bag *bag = node->fused;
	struct dim dims[2] = {node_input(graph, node, BAG_OFFSETS)->dims[0],
			      node_input(graph, node, BAG_TABLE)->dims[1]};

	if (bag->offsets_beyond && !dim_add(dims[0], dim_constant(-1), &dims[0]))
		return node_refuse(graph, node, -EOPNOTSUPP, "there are too many offsets");
	infer_output(graph, node, 0, DTYPE_F32, 2, dims);
	return 0;
}

static const struct op bag_op = {
	.name = "EmbeddingBag",
	.attributes = "",
	.infer = infer_bag,
	.lower = lower_bag,
	.rows = ROWS_BAG,
};

bool bag_fits(const struct graph *graph, uint32_t table_index, uint32_t ids_index)
{
	const struct value *table = graph_value(graph, table_index);
	const struct value *ids = graph_value(graph, ids_index);
	struct poly hot;

	if (ids->rank == 0 || ids->dims[0].constant < 0 ||
	    (ids->dims[0].symbol >= 0 && (ids->dims[0].factor != 1 || ids->dims[0].constant != 0)))
		return false;
	hot = value_span(ids, 1, ids->rank);
	if (!poly_is_constant(&hot) || poly_value(&hot, NULL) < 1)
		return false;
	return table->kind == VALUE_CONSTANT && table->dtype == DTYPE_F32 && table->rank == 2 &&
	       constant_elements(table) > 0 && ids->kind != VALUE_CONSTANT && !ids->known &&
	       (ids->dtype == DTYPE_I32 || ids->dtype == DTYPE_I64);
}

int bag_node(struct graph *graph, struct node *node, const struct bag *bag, uint32_t table,
	     uint32_t ids, uint32_t offsets, uint32_t weights)
{
	struct bag *kept = graph_allocate(graph, 1, sizeof(*kept));
	uint32_t *inputs = graph_allocate(graph, BAG_INPUTS, sizeof(*inputs));

	if (!kept || !inputs)
		return err_trace(-ENOMEM);
	*kept = *bag;
	inputs[BAG_TABLE] = table;
	inputs[BAG_IDS] = ids;
	inputs[BAG_OFFSETS] = offsets;
	inputs[BAG_WEIGHTS] = weights;
	node->op = &bag_op;
	node->fused = kept;
	node->inputs = inputs;
	node->input_count = BAG_INPUTS;
	return 0;
}

int bag_emit(struct graph *graph, const struct node *node, const struct bag *bag, uint32_t table,
	     uint32_t ids, uint32_t offsets, uint32_t weights)
{
	struct node emitted = {
		.source = node->source,
		.names = node->names,
		.name = node->name,
		.output_count = 1,
		.outputs = graph_allocate(graph, 1, sizeof(*emitted.outputs)),
		.bias = GRAPH_NONE,
		.stands_for = 1,
	};
	int r;

	if (!emitted.outputs)
		return err_trace(-ENOMEM);
	emitted.outputs[0] = node->outputs[0];
	r = bag_node(graph, &emitted, bag, table, ids, offsets, weights);
	if (r < 0)
		return err_trace(r);
	return graph_emit(graph, &emitted);
}

const struct bag *node_bag(const struct node *node)
{
	return node->op == &bag_op ? node->fused : NULL;
}

/* Ids of one row; 0: offsets tell. */
static int64_t bag_hot(const struct graph *graph, const struct node *node)
{
	const struct value *ids = node_input(graph, node, BAG_IDS);
	struct poly span = value_span(ids, 1, ids->rank);

	return node_has_input(node, BAG_OFFSETS) ? 0 : poly_value(&span, NULL);
}

/* Bags of values and offsets belong to a row each where the rows are proven apart. */
static bool bag_is_of_row(const struct lowering *lowering, const struct node *node)
{
	return node_has_input(node, BAG_OFFSETS) && lowering->row_symbol >= 0 &&
	       lowering->rows[node->outputs[0]] == ROWS_EACH;
}

/* In a chunk of a batch's rows that of the row behind it is there, too. */
static struct poly bag_offsets_count(const struct lowering *lowering, const struct node *node)
{
	struct poly rows = poly_dim(node_output(lowering->graph, node, 0)->dims[0]);

	if (node_bag(node)->offsets_beyond)
		return poly_add(rows, poly_constant(1));
	if (lowering->followed_symbol < 0 || !bag_is_of_row(lowering, node))
		return rows;
	return poly_add(rows, poly_dim(dim_symbol((uint32_t)lowering->followed_symbol)));
}

/* Offsets of a narrower type are read where they come from. */
static int bag_offsets(struct lowering *lowering, const struct node *node, struct step *step,
		       struct embed_table *table)
{
	struct graph *graph = lowering->graph;
	struct ids_source offsets = ids_find(graph, node->inputs[BAG_OFFSETS]);
	int r;

	if (!poly_is(&offsets.stride, 1))
		offsets = (struct ids_source){.value = node->inputs[BAG_OFFSETS],
					      .offset = poly_constant(0)};
	r = step_read(lowering, step, FIELD_TABLE(0, offsets), offsets.value, offsets.offset);
	if (r < 0)
		return err_trace(r);
	table->offsets_dtype = graph_value(graph, offsets.value)->dtype;
	r = step_size(lowering, step, FIELD_TABLE(0, offsets_count),
		      bag_offsets_count(lowering, node));
	if (r < 0)
		return err_trace(r);
	return step_size(lowering, step, FIELD_TABLE(0, ids_count),
			 value_elements(node_input(graph, node, BAG_IDS)));
}

static int bag_operands(struct lowering *lowering, const struct node *node, struct step *step,
			int64_t hot, struct embed_table *table)
{
	struct graph *graph = lowering->graph;
	struct ids_source ids = ids_find(graph, node->inputs[BAG_IDS]);
	int64_t width = table->dim * (table->mode == EMBED_COPY ? hot : 1);
	uint32_t weight_root = graph_root(graph, node->inputs[BAG_TABLE]);
	int r;

	r = step_weight(lowering, step, FIELD_TABLE(0, data),
			(struct weight){.layout = WEIGHT_TABLE, .value = weight_root});
	if (r < 0)
		return err_trace(r);
	r = step_read(lowering, step, FIELD_TABLE(0, ids), ids.value, ids.offset);
	if (r < 0)
		return err_trace(r);
	table->ids_dtype = graph_value(graph, ids.value)->dtype;
	r = step_size(lowering, step, FIELD_TABLE(0, ids_stride), ids.stride);
	if (r < 0)
		return err_trace(r);
	r = step_size(lowering, step, FIELD_TABLE(0, ids_row_stride), poly_scale(ids.stride, hot));
	if (r < 0)
		return err_trace(r);
	if (node_has_input(node, BAG_OFFSETS)) {
		r = bag_offsets(lowering, node, step, table);
		if (r < 0)
			return err_trace(r);
	}
	if (node_has_input(node, BAG_WEIGHTS)) {
		r = step_read(lowering, step, FIELD_TABLE(0, weights), node->inputs[BAG_WEIGHTS],
			      poly_constant(0));
		if (r < 0)
			return err_trace(r);
	}
	table->weights_stride = 1;
	table->weights_row_stride = hot;
	return step_write_rows(lowering, step, FIELD_TABLE(0, y), FIELD_TABLE(0, y_row_stride),
			       node->outputs[0], width);
}

static int bag_status(struct lowering *lowering, const struct node *node, struct step *step,
		      int64_t hot, struct embed_table *table)
{
	struct poly per_row;
	int r;

	r = lower_missing(lowering, node, node->inputs[BAG_TABLE], node->inputs[BAG_IDS],
			  table->axis, &table->missing, &table->missing_row);
	if (r < 0)
		return err_trace(r);
	if (table->missing == MISSING_WRAP && node_bag(node)->ids_natural)
		table->missing = MISSING_ERROR;
	r = lower_site(lowering, node->inputs[BAG_IDS], &table->site);
	if (r < 0)
		return err_trace(r);
	if (node_has_input(node, BAG_OFFSETS)) {
		r = lower_site(lowering, node->inputs[BAG_OFFSETS], &table->offsets_site);
		if (r < 0)
			return err_trace(r);
	}
	r = step_status(lowering, step, FIELD(embed_args, status), node->inputs[BAG_IDS], &per_row);
	if (r < 0)
		return err_trace(r);
	step->args->embed.status_stride =
		(hot > 0 && poly_is(&per_row, hot)) || bag_is_of_row(lowering, node);
	return 0;
}

int lower_bag(struct lowering *lowering, const struct node *node)
{
	struct graph *graph = lowering->graph;
	const struct bag *bag = node->fused;
	const struct value *rows_of = node_input(graph, node, BAG_TABLE);
	const struct value *output = node_output(graph, node, 0);
	struct poly elements = value_elements(output);
	struct poly rows = poly_dim(output->dims[0]);
	int64_t hot = bag_hot(graph, node);
	struct embed_table *table;
	struct step *step;
	int r;

	if (poly_is(&elements, 0))
		return 0;
	step = step_new_sized(lowering, KERNEL_EMBED, embed_args_bytes(1));
	if (!step)
		return err_trace(-ENOMEM);
	step->args->embed.table_count = 1;
	table = step->args->embed.tables;
	table->axis = rows_of->dims[0].constant;
	table->dim = rows_of->dims[1].constant;
	table->hot = hot;
	table->mode = bag->mode;
	table->padding_idx = bag->padding_idx;
	table->offsets_whole = bag->offsets_whole;
	r = step_size(lowering, step, FIELD(embed_args, rows), rows);
	if (r < 0)
		return err_trace(r);
	r = step_size(lowering, step, FIELD(embed_args, end_row), rows);
	if (r < 0)
		return err_trace(r);
	r = bag_operands(lowering, node, step, hot, table);
	if (r < 0)
		return err_trace(r);
	r = bag_status(lowering, node, step, hot, table);
	if (r < 0)
		return err_trace(r);
	embed_settle(&step->args->embed);
	return 0;
}
