/* SPDX-License-Identifier: MIT */
/* daemon/graph/jagged.c - a node that pools bags given as values and offsets */
#include "graph/jagged.h"

#include <errno.h>
#include <string.h>

#include "graph/lower.h"
#include "graph/ops.h"

static int jagged_infer(struct graph *graph, struct node *node)
{
	const struct jagged *jagged = node->fused;
	const struct value *table = node_input(graph, node, JAGGED_TABLE);
	const struct value *offsets = node_input(graph, node, JAGGED_OFFSETS);
	struct dim dims[2] = {offsets->dims[0], table->dims[1]};

	if (jagged->offsets_beyond && !dim_add(dims[0], dim_constant(-1), &dims[0]))
		return node_refuse(graph, node, -EOPNOTSUPP, "there are too many offsets");
	infer_output(graph, node, 0, DTYPE_F32, 2, dims);
	return 0;
}

static int jagged_sizes(struct lowering *lowering, const struct node *node, struct step *step)
{
	struct graph *graph = lowering->graph;
	const struct value *output = node_output(graph, node, 0);
	struct poly rows = poly_dim(output->dims[0]);
	struct poly count = value_elements(node_input(graph, node, JAGGED_IDS));
	int r;

	r = step_size(lowering, step, FIELD(embed_args, rows), rows);
	if (r >= 0)
		r = step_size(lowering, step, FIELD(embed_args, end_row), rows);
	if (r >= 0)
		r = step_size(lowering, step, FIELD_TABLE(0, ids_count), count);
	return r < 0 ? err_trace(r) : 0;
}

/* All that happens to a row is told of the first one: rows of a jagged graph are not proven apart. */
static int jagged_status(struct lowering *lowering, const struct node *node, struct step *step)
{
	struct embed_table *table = &step->args->embed.tables[0];
	struct poly per_row;
	int r;

	step->args->embed.status_stride = 0;
	if (lowering->folding)
		return 0;
	r = lower_site(lowering, node->inputs[JAGGED_IDS], &table->site);
	if (r >= 0)
		r = lower_site(lowering, node->inputs[JAGGED_OFFSETS], &table->offsets_site);
	if (r >= 0)
		r = step_status(lowering, step, FIELD(embed_args, status),
				node->inputs[JAGGED_OFFSETS], &per_row);
	return r < 0 ? err_trace(r) : 0;
}

static int jagged_operands(struct lowering *lowering, const struct node *node, struct step *step)
{
	static const uint32_t fields[JAGGED_INPUTS] = {
		[JAGGED_IDS] = FIELD_TABLE(0, ids),
		[JAGGED_OFFSETS] = FIELD_TABLE(0, offsets),
		[JAGGED_WEIGHTS] = FIELD_TABLE(0, weights),
	};
	uint32_t table = graph_root(lowering->graph, node->inputs[JAGGED_TABLE]);
	int r;

	if (lowering->folding)
		r = step_read(lowering, step, FIELD_TABLE(0, data), table, poly_constant(0));
	else
		r = step_weight(lowering, step, FIELD_TABLE(0, data),
				(struct weight){.layout = WEIGHT_TABLE, .value = table});
	for (uint32_t input = JAGGED_IDS; r >= 0 && input < node->input_count; input++)
		r = step_read(lowering, step, fields[input], node->inputs[input], poly_constant(0));
	if (r >= 0)
		r = step_write(lowering, step, FIELD_TABLE(0, y), node->outputs[0],
			       poly_constant(0));
	return r < 0 ? err_trace(r) : 0;
}

static int jagged_lower(struct lowering *lowering, const struct node *node)
{
	const struct jagged *jagged = node->fused;
	const struct value *data = node_input(lowering->graph, node, JAGGED_TABLE);
	struct poly elements = value_elements(node_output(lowering->graph, node, 0));
	struct embed_table *table;
	struct step *step;
	int r;

	if (poly_is(&elements, 0))
		return 0;
	step = step_new_sized(lowering, KERNEL_EMBED, embed_args_bytes(1));
	if (!step)
		return err_trace(-ENOMEM);
	step->args->embed.table_count = 1;
	table = &step->args->embed.tables[0];
	table->axis = data->dims[0].constant;
	table->dim = data->dims[1].constant;
	table->ids_stride = 1;
	table->weights_stride = 1;
	table->y_row_stride = table->dim;
	table->padding_idx = -1;
	table->mode = jagged->mode;
	table->ids_dtype = node_input(lowering->graph, node, JAGGED_IDS)->dtype;
	table->offsets_dtype = node_input(lowering->graph, node, JAGGED_OFFSETS)->dtype;
	table->offsets_beyond = jagged->offsets_beyond;
	r = lower_missing(lowering, node, node->inputs[JAGGED_TABLE], node->inputs[JAGGED_IDS],
			  table->axis, &table->missing, &table->missing_row);
	if (r >= 0)
		r = jagged_operands(lowering, node, step);
	if (r >= 0)
		r = jagged_sizes(lowering, node, step);
	if (r >= 0)
		r = jagged_status(lowering, node, step);
	return r < 0 ? err_trace(r) : 0;
}

static const struct op jagged_op = {
	.name = "EmbeddingBag",
	.attributes = "",
	.infer = jagged_infer,
	.lower = jagged_lower,
	.rows = ROWS_OPAQUE,
	.known = KNOWN_NOTHING,
};

bool is_jagged(const struct node *node)
{
	return node->op == &jagged_op;
}

int jagged_emit(struct graph *graph, const struct node *node, struct jagged jagged,
		const uint32_t inputs[JAGGED_INPUTS])
{
	struct jagged *fused = graph_allocate(graph, 1, sizeof(*fused));
	struct node emitted = {
		.source = node->source,
		.op = &jagged_op,
		.names = node->names,
		.name = node->name,
		.input_count = JAGGED_INPUTS - (inputs[JAGGED_WEIGHTS] == GRAPH_NONE),
		.output_count = 1,
		.inputs = graph_allocate(graph, JAGGED_INPUTS, sizeof(*emitted.inputs)),
		.outputs = graph_allocate(graph, 1, sizeof(*emitted.outputs)),
		.bias = GRAPH_NONE,
		.stands_for = 1,
		.fused = fused,
	};

	if (!fused || !emitted.inputs || !emitted.outputs)
		return err_trace(-ENOMEM);
	*fused = jagged;
	memcpy(emitted.inputs, inputs, JAGGED_INPUTS * sizeof(inputs[0]));
	emitted.outputs[0] = node->outputs[0];
	return graph_emit(graph, &emitted);
}
