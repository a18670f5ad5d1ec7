/* SPDX-License-Identifier: MIT */
/*
 * daemon/graph/passes/concat.c - what a Concat joins is computed in its place there
 *
 * A Concat whose output has rows (what lies before its axis) joins parts of rows. A part is
 * computed in the Concat's output, with a stride, when its producer and all its readers can do so
 * (graph/passes/strides.h); a view of it is such a part as well. Others are copied: inputs of the
 * run, constants, outputs of the graph, and what another Concat has got. A Concat may be a part of
 * one that follows it; then its own parts are parts of that one.
 */
#include <errno.h>

#include "graph/graph.h"
#include "graph/ops.h"
#include "graph/passes/strides.h"

struct reading {
	uint32_t node;
	uint32_t input;
	uint32_t next; /* of the same value, 1 + its index */
};

struct placing {
	struct graph *graph;
	struct reading *readings;
	uint32_t *first;      /* per root value: 1 + a reading; 0: none */
	uint8_t *is_output;   /* per root value: of the graph */
	uint32_t *parent;     /* per root value: the Concat's output it is a part of */
	int64_t *offset;      /* per root value: in a row there */
	int64_t *row_width;   /* per root value: of a Concat that has parts; 0: none */
};

/* Only names of the same bytes, or sizes known before the run, follow from such a node. */
static bool is_view(const struct graph *graph, const struct node *node)
{
	return node_has_output(node, 0) &&
	       (node->op->lower == lower_view ||
		node_output(graph, node, 0)->view_of != GRAPH_NONE);
}

static int placing_init(struct placing *placing)
{
	struct graph *graph = placing->graph;
	size_t count = 0;

	for (uint32_t index = 0; index < graph->node_count; index++)
		count += graph->nodes[index].input_count;
	placing->readings = graph_allocate(graph, count + 1, sizeof(placing->readings[0]));
	placing->first = graph_allocate(graph, graph->value_count, sizeof(placing->first[0]));
	placing->is_output =
		graph_allocate(graph, graph->value_count, sizeof(placing->is_output[0]));
	placing->parent = graph_allocate(graph, graph->value_count, sizeof(placing->parent[0]));
	placing->offset = graph_allocate(graph, graph->value_count, sizeof(placing->offset[0]));
	placing->row_width =
		graph_allocate(graph, graph->value_count, sizeof(placing->row_width[0]));
	if (!placing->readings || !placing->first || !placing->is_output || !placing->parent ||
	    !placing->offset || !placing->row_width)
		return err_trace(-ENOMEM);
	for (uint32_t output = 0; output < graph->output_count; output++)
		placing->is_output[graph_root(graph, graph->outputs[output])] = 1;
	for (uint32_t value = 0; value < graph->value_count; value++)
		placing->parent[value] = GRAPH_NONE;
	return 0;
}

static void readings_collect(struct placing *placing)
{
	struct graph *graph = placing->graph;
	uint32_t count = 0;

	for (uint32_t index = 0; index < graph->node_count; index++) {
		const struct node *node = &graph->nodes[index];

		if (node->dead || is_view(graph, node))
			continue;
		for (uint32_t input = 0; input < node->input_count; input++) {
			uint32_t root;

			if (!node_has_input(node, input))
				continue;
			root = graph_root(graph, node->inputs[input]);
			placing->readings[count] = (struct reading){
				.node = index, .input = input, .next = placing->first[root]};
			placing->first[root] = ++count;
		}
	}
}

static bool can_be_written(const struct graph *graph, uint32_t root, int64_t width)
{
	uint32_t producer = graph_value(graph, root)->producer;
	const struct node *node = &graph->nodes[producer];

	if (producer == GRAPH_NONE || node->dead)
		return false;
	for (uint32_t output = 0; output < node->output_count; output++) {
		if (node->outputs[output] == root)
			return strides_write(graph, node, output, width);
	}
	return false;
}

static bool can_be_part(const struct placing *placing, uint32_t root, int64_t width)
{
	const struct graph *graph = placing->graph;
	const struct value *value = graph_value(graph, root);

	if (value->kind != VALUE_COMPUTED || value->dtype != DTYPE_F32 || value->known ||
	    placing->is_output[root] || placing->parent[root] != GRAPH_NONE ||
	    (placing->row_width[root] != 0 && placing->row_width[root] != width) ||
	    !can_be_written(graph, root, width))
		return false;
	for (uint32_t next = placing->first[root]; next != 0;) {
		const struct reading *reading = &placing->readings[next - 1];

		if (!strides_read(graph, &graph->nodes[reading->node], reading->input, width))
			return false;
		next = reading->next;
	}
	return true;
}

/* Elements of a row, when their number is known: 0 where it is not, or where there are none. */
static int64_t width_of(const struct value *value, uint32_t axis)
{
	struct poly span = value_span(value, axis, value->rank);
	int64_t width = poly_is_constant(&span) ? poly_value(&span, NULL) : 0;

	return width > 0 ? width : 0;
}

static void concat_place(struct placing *placing, const struct node *node)
{
	struct graph *graph = placing->graph;
	uint32_t axis = (uint32_t)node->axis;
	uint32_t whole = node->outputs[0];
	int64_t row_width = width_of(graph_value(graph, whole), axis);
	int64_t offset = 0;

	if (row_width == 0 || graph_value(graph, whole)->dtype != DTYPE_F32)
		return;
	for (uint32_t input = 0; input < node->input_count; input++) {
		uint32_t root = graph_root(graph, node->inputs[input]);
		int64_t width = width_of(node_input(graph, node, input), axis);

		if (width > 0 && can_be_part(placing, root, width)) {
			placing->parent[root] = whole;
			placing->row_width[whole] = row_width;
			placing->offset[root] = offset;
			graph_value(graph, root)->part_width = width;
		}
		offset += width;
	}
}

/* Parts of parts become parts of the outermost one; views lie where their root does. */
static void parts_resolve(struct placing *placing)
{
	struct graph *graph = placing->graph;

	for (uint32_t index = 0; index < graph->value_count; index++) {
		uint32_t root = graph_root(graph, index);
		struct value *value = graph_value(graph, index);
		uint32_t outer = placing->parent[root];

		if (outer == GRAPH_NONE)
			continue;
		value->part_offset = placing->offset[root];
		for (; placing->parent[outer] != GRAPH_NONE; outer = placing->parent[outer])
			value->part_offset += placing->offset[outer];
		value->part_of = outer;
		value->part_width = graph_value(graph, root)->part_width;
		value->part_stride = placing->row_width[outer];
	}
}

int pass_concat(struct graph *graph)
{
	struct placing placing = {.graph = graph};
	int r;

	r = placing_init(&placing);
	if (r < 0)
		return err_trace(r);
	readings_collect(&placing);
	for (uint32_t index = 0; index < graph->node_count; index++) {
		const struct node *node = &graph->nodes[index];

		if (!node->dead && node->op->lower == lower_concat && node_has_output(node, 0) &&
		    !is_view(graph, node))
			concat_place(&placing, node);
	}
	parts_resolve(&placing);
	return 0;
}
