/* SPDX-License-Identifier: MIT */
/* daemon/graph/join.c - a request's one row among the rows of several requests */
#include "graph/join.h"

#include <errno.h>
#include <string.h>

#include "graph/ops.h"

/* What an inserted node says of itself in sentences. */
static const struct onnx_node gather_source = {
	.name = "row_requests",
	.op_type = "Gather",
	.domain = "",
};

struct joining {
	struct graph *graph;
	struct rows_proof *proof;
	struct node *nodes;    /* the old ones and those that are inserted */
	uint32_t node_count;
	uint32_t row_requests; /* the value */
	uint32_t *gathered;    /* per old value: its rows, one for each row of the batch; GRAPH_NONE */
	uint8_t *rows;
	uint32_t rows_capacity;
};

static bool meets_rows(const struct joining *joining, const struct node *node, uint32_t input)
{
	return node_has_input(node, input) && node_has_output(node, 0) &&
	       joining->rows[node->inputs[input]] == ROWS_REQUEST &&
	       joining->rows[node->outputs[0]] == ROWS_EACH;
}

static uint32_t meetings_count(const struct joining *joining)
{
	uint32_t count = 0;

	for (uint32_t index = 0; index < joining->graph->node_count; index++) {
		const struct node *node = &joining->graph->nodes[index];

		for (uint32_t input = 0; !node->dead && input < node->input_count; input++)
			count += meets_rows(joining, node, input);
	}
	return count;
}

static int value_add(struct joining *joining, enum value_kind kind, enum dtype dtype,
		     const char *name, uint32_t *ret_index)
{
	struct value *value = graph_value_new(joining->graph, name, ret_index);

	if (!value)
		return err_trace(-ENOMEM);
	value->kind = kind;
	value->dtype = dtype;
	value->rank = 1;
	value->dims[0] = dim_symbol((uint32_t)joining->proof->symbol);
	joining->rows[*ret_index] = ROWS_EACH;
	return 0;
}

/* A Gather of the value's rows by request, behind the nodes that are there. */
static int gather_insert(struct joining *joining, uint32_t source)
{
	struct node *node = &joining->nodes[joining->node_count];
	const struct value *parted = graph_value(joining->graph, source);
	uint32_t *operands = graph_allocate(joining->graph, 3, sizeof(*operands));
	struct value *value;
	int r;

	if (!operands)
		return err_trace(-ENOMEM);
	*node = (struct node){
		.source = &gather_source,
		.op = op_find("Gather"),
		.name = parted->name,
		.input_count = 2,
		.output_count = 1,
		.inputs = operands,
		.outputs = operands + 2,
		.bias = GRAPH_NONE,
	};
	operands[0] = source;
	operands[1] = joining->row_requests;
	r = value_add(joining, VALUE_COMPUTED, parted->dtype, parted->name, &operands[2]);
	if (r < 0)
		return err_trace(r);
	value = graph_value(joining->graph, operands[2]);
	value->rank = parted->rank;
	for (uint32_t axis = 1; axis < parted->rank; axis++)
		value->dims[axis] = parted->dims[axis];
	value->producer = joining->node_count++;
	joining->gathered[source] = operands[2];
	return 0;
}

static int node_move(struct joining *joining, const struct node *node)
{
	struct node *moved;

	for (uint32_t input = 0; !node->dead && input < node->input_count; input++) {
		int r;

		if (!meets_rows(joining, node, input))
			continue;
		if (joining->gathered[node->inputs[input]] == GRAPH_NONE) {
			r = gather_insert(joining, node->inputs[input]);
			if (r < 0)
				return err_trace(r);
		}
		node->inputs[input] = joining->gathered[node->inputs[input]];
	}
	moved = &joining->nodes[joining->node_count];
	*moved = *node;
	for (uint32_t output = 0; output < node->output_count; output++) {
		if (node_has_output(node, output) &&
		    graph_value(joining->graph, node->outputs[output])->producer != GRAPH_NONE)
			graph_value(joining->graph, node->outputs[output])->producer =
				joining->node_count;
	}
	joining->node_count++;
	return 0;
}

/* Everything that is one of a request becomes as many as there are requests. */
static int requests_count(struct joining *joining)
{
	struct graph *graph = joining->graph;

	if (graph->symbol_count == SIGNATURE_SYMBOLS_MAX)
		return err_raise(-EOPNOTSUPP, "%s: more than %d free sizes are not supported",
				 graph->name, SIGNATURE_SYMBOLS_MAX - 1);
	joining->proof->request_symbol = (int32_t)graph->symbol_count;
	graph->symbols[graph->symbol_count] = "requests";
	for (uint32_t index = 0; index < graph->value_count; index++) {
		if (joining->rows[index] == ROWS_REQUEST)
			graph_value(graph, index)->dims[0] = dim_symbol(graph->symbol_count);
	}
	return 0;
}

static int joining_init(struct joining *joining)
{
	struct graph *graph = joining->graph;
	uint32_t meetings;

	joining->rows = (uint8_t *)(uintptr_t)joining->proof->rows;
	meetings = meetings_count(joining);
	joining->rows_capacity = graph->value_count + meetings + 1;
	joining->rows = graph_allocate(graph, joining->rows_capacity, sizeof(joining->rows[0]));
	joining->gathered =
		graph_allocate(graph, graph->value_count, sizeof(joining->gathered[0]));
	joining->nodes = graph_allocate(graph, (size_t)graph->node_count + meetings,
					sizeof(joining->nodes[0]));
	if (!joining->rows || !joining->gathered || !joining->nodes)
		return err_trace(-ENOMEM);
	memcpy(joining->rows, joining->proof->rows, graph->value_count);
	memset(joining->gathered, 0xff, graph->value_count * sizeof(joining->gathered[0]));
	return 0;
}

static bool has_requests(const struct graph *graph, const struct rows_proof *proof)
{
	for (uint32_t input = 0; input < graph->input_count; input++) {
		if (proof->rows[graph->inputs[input]] == ROWS_REQUEST)
			return true;
	}
	return false;
}

int join_requests(struct graph *graph, struct rows_proof *proof)
{
	struct joining joining = {.graph = graph, .proof = proof};
	int r;

	if (proof->symbol < 0 || !has_requests(graph, proof))
		return 0;
	r = joining_init(&joining);
	if (r < 0)
		return err_trace(r);
	r = requests_count(&joining);
	if (r < 0)
		return err_trace(r);
	r = value_add(&joining, VALUE_INPUT, DTYPE_I32, "row_requests", &joining.row_requests);
	if (r < 0)
		return err_trace(r);
	graph_value(graph, joining.row_requests)->input_index = graph->input_count;
	for (uint32_t index = 0; index < graph->node_count; index++) {
		r = node_move(&joining, &graph->nodes[index]);
		if (r < 0)
			return err_trace(r);
	}
	graph->nodes = joining.nodes;
	graph->node_count = joining.node_count;
	proof->rows = joining.rows;
	return 0;
}
